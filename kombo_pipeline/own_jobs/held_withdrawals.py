"""Statements on core.held_withdrawals: withdrawals too large to believe, which wait for a person."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from psycopg import sql
from psycopg.rows import class_row

from kombo_pipeline.db.connection import Connection


@dataclass(frozen=True, slots=True)
class HeldWithdrawal:
    """Own jobs that a list lacked, too many at once to be withdrawn without a person."""

    hold_id: int
    customer_id: str
    list_name: str
    own_job_ids: list[str]
    living_jobs: int
    held_at: datetime
    decision: str | None
    decided_at: datetime | None
    decided_by: str | None


_COLUMNS: Final = sql.SQL(
    """
    h.hold_id,
    h.customer_id,
    h.list as list_name,
    h.own_job_ids,
    h.living_jobs,
    h.held_at,
    h.decision,
    h.decided_at,
    h.decided_by
    """
)


def hold(
    conn: Connection, *, customer_id: str, list_name: str, own_job_ids: Sequence[str], living_jobs: int
) -> int | None:
    """Hold a withdrawal for a person's decision, in place of one of the list that waits; return its number.

    The same set stays the same hold. None: a person has refused to withdraw this very set, and no list has
    brought a job of it since.
    """
    ids = sorted(own_job_ids)
    same = conn.execute(
        """
        select hold_id, decision
        from core.held_withdrawals
        where customer_id = %s
            and list = %s
            and own_job_ids = %s
            and (decision is null or decision = 'refused' and returned_at is null)
        order by decision nulls first
        limit 1
        """,
        (customer_id, list_name, ids),
    ).fetchone()
    if same and same["decision"] is None:
        return int(same["hold_id"])
    supersede(conn, customer_id=customer_id, list_name=list_name)
    if same:
        return None
    row = conn.execute(
        """
        insert into core.held_withdrawals (customer_id, list, own_job_ids, living_jobs)
        values (%s, %s, %s, %s)
        returning hold_id
        """,
        (customer_id, list_name, ids, living_jobs),
    ).fetchone()
    assert row is not None
    return int(row["hold_id"])


def supersede(conn: Connection, *, customer_id: str, list_name: str) -> None:
    """Make the waiting hold of a list void, because a later list has decided."""
    conn.execute(
        """
        update core.held_withdrawals
        set decision = 'superseded', decided_at = now()
        where customer_id = %s and list = %s and decision is null
        """,
        (customer_id, list_name),
    )


def take_out_staged(conn: Connection, *, customer_id: str) -> None:
    """Take the staged jobs out of the customer's waiting holds, of whatever list: a list has brought them.

    A hold of which nothing is left is superseded. A refusal holds no longer than its jobs stay away.
    """
    conn.execute(
        """
        with returned as (
            select
                h.hold_id,
                array_agg(id order by id) filter (where i.own_job_id is null) as left_over
            from core.held_withdrawals h
            cross join lateral unnest(h.own_job_ids) id
            left join incoming_own_jobs i on i.own_job_id = id
            where h.customer_id = %s
                and (h.decision is null or h.decision = 'refused' and h.returned_at is null)
            group by h.hold_id
            having count(i.own_job_id) > 0
        )
        update core.held_withdrawals h
        set own_job_ids = case when h.decision is null then coalesce(r.left_over, h.own_job_ids) else h.own_job_ids end,
            returned_at = case when h.decision = 'refused' then now() end,
            decided_at = case when h.decision is null and r.left_over is null then now() else h.decided_at end,
            decision = case when r.left_over is null then coalesce(h.decision, 'superseded') else h.decision end
        from returned r
        where r.hold_id = h.hold_id
        """,
        (customer_id,),
    )


def waiting(conn: Connection, *, customer_id: str | None = None) -> list[HeldWithdrawal]:
    """Return the holds of a customer, of all where it is None, that wait for a decision, oldest first."""
    with conn.cursor(row_factory=class_row(HeldWithdrawal)) as cursor:
        return cursor.execute(
            sql.SQL(
                """
                select {}
                from core.held_withdrawals h
                where h.decision is null and (%(customer)s::text is null or h.customer_id = %(customer)s)
                order by h.hold_id
                """
            ).format(_COLUMNS),
            {"customer": customer_id},
        ).fetchall()


def newest_decided(conn: Connection, limit: int) -> list[HeldWithdrawal]:
    """Return the holds that were decided last."""
    with conn.cursor(row_factory=class_row(HeldWithdrawal)) as cursor:
        return cursor.execute(
            sql.SQL(
                """
                select {}
                from core.held_withdrawals h
                where h.decision is not null
                order by h.decided_at desc, h.hold_id desc
                limit %s
                """
            ).format(_COLUMNS),
            (limit,),
        ).fetchall()


def get(conn: Connection, hold_id: int) -> HeldWithdrawal | None:
    """Return a hold, decided or not; None when there is none of that number."""
    with conn.cursor(row_factory=class_row(HeldWithdrawal)) as cursor:
        return cursor.execute(
            sql.SQL("select {} from core.held_withdrawals h where h.hold_id = %s").format(_COLUMNS), (hold_id,)
        ).fetchone()


def decide(conn: Connection, hold_id: int, *, decision: str, decided_by: str) -> HeldWithdrawal | None:
    """Decide a waiting hold and return it; None when none of that number waits."""
    with conn.cursor(row_factory=class_row(HeldWithdrawal)) as cursor:
        return cursor.execute(
            sql.SQL(
                """
                update core.held_withdrawals h
                set decision = %s, decided_by = %s, decided_at = now()
                where h.hold_id = %s and h.decision is null
                returning {}
                """
            ).format(_COLUMNS),
            (decision, decided_by, hold_id),
        ).fetchone()
