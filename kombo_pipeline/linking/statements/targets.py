"""Statements on core.targets: the application targets that your product was told."""

from collections.abc import Sequence
from typing import NamedTuple

from psycopg.rows import class_row

from kombo_pipeline.db.connection import Connection


class Pair(NamedTuple):
    """An application target: an own job, and the ATS job in which its applications are created."""

    own_job_id: str
    integration_id: str
    kombo_job_id: str


class Told(NamedTuple):
    """A target that your product was told, with the sequence of the newest notice at that moment."""

    customer_id: str
    own_job_id: str
    integration_id: str
    kombo_job_id: str
    sequence: int

    @property
    def pair(self) -> Pair:
        """The own job and the ATS job."""
        return Pair(self.own_job_id, self.integration_id, self.kombo_job_id)


class Untold(NamedTuple):
    """An integration whose targets differ from those that your product was told."""

    integration_id: str
    not_told_open: int
    """Targets that your product was not told."""
    not_told_closed: int
    """What your product was told and is no target."""


def compare(conn: Connection, integration_id: str) -> None:
    """Have all targets of an integration compared with what was told, when this transaction commits."""
    conn.execute("select core.compare_targets(%s)", (integration_id,))


def told(conn: Connection, customer_id: str | None) -> list[Told]:
    """Return the targets that were told, of one customer or of all, in the order of customers."""
    with conn.cursor(row_factory=class_row(Told)) as cursor:
        return cursor.execute(
            """
            select
                t.customer_id,
                t.own_job_id,
                t.integration_id,
                t.kombo_job_id,
                (select coalesce(max(n.sequence), 0) from core.notices n) as sequence
            from core.targets t
            where %(customer)s::text is null or t.customer_id = %(customer)s
            order by t.customer_id
            """,
            {"customer": customer_id},
        ).fetchall()


def newest_sequence(conn: Connection) -> int:
    """Return the sequence of the newest notice, 0 before the first one."""
    row = conn.execute("select coalesce(max(sequence), 0) as sequence from core.notices").fetchone()
    assert row is not None
    return int(row["sequence"])


def wait_for_turn(conn: Connection) -> None:
    """Wait until no other transaction writes notices, and keep others from writing them until this one ends."""
    conn.execute("select core.wait_for_turn_to_tell()")


def tell_pairs(conn: Connection, customer_id: str, *, opened: Sequence[Pair], closed: Sequence[Pair]) -> None:
    """Write a notice about each pair of a customer, also where the same was told before."""
    conn.execute(
        """
        select core.tell(
            case when p.is_open then 'target.opened' else 'target.closed' end,
            %(customer)s,
            p.integration_id,
            p.own_job_id,
            p.kombo_job_id,
            case when not p.is_open then coalesce(
                core.no_target_because(%(customer)s, p.own_job_id, p.integration_id, p.kombo_job_id), 'link_ended'
            ) end
        )
        from unnest(%(own)s::text[], %(integrations)s::text[], %(jobs)s::text[], %(open)s::boolean[])
            with ordinality as p (own_job_id, integration_id, kombo_job_id, is_open, position)
        order by p.position
        """,
        {
            "customer": customer_id,
            "own": [pair.own_job_id for pair in (*closed, *opened)],
            "integrations": [pair.integration_id for pair in (*closed, *opened)],
            "jobs": [pair.kombo_job_id for pair in (*closed, *opened)],
            "open": [False] * len(closed) + [True] * len(opened),
        },
    )


def untold(conn: Connection) -> list[Untold]:
    """Return the integrations whose targets differ from what was told, those with the most differences first."""
    with conn.cursor(row_factory=class_row(Untold)) as cursor:
        return cursor.execute(
            """
            select
                integration_id,
                count(*) filter (where t.customer_id is null) as not_told_open,
                count(*) filter (where a.customer_id is null) as not_told_closed
            from marts.application_targets a
            full join core.targets t using (customer_id, own_job_id, integration_id, kombo_job_id)
            where a.customer_id is null or t.customer_id is null
            group by integration_id
            order by count(*) desc, integration_id
            """
        ).fetchall()
