"""What `kombo-pipeline up` asks the warehouse: what has landed, and whether the first chains are complete."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from psycopg.rows import class_row

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.vocabulary import Actor, FetchKind, Health


class Counts(NamedTuple):
    """How much has landed."""

    integrations: int
    jobs: int
    own_jobs: int
    changes: int
    fetches: int


@dataclass(frozen=True, kw_only=True, slots=True)
class SummaryRow:
    """What has landed of an integration, and how far linking has come."""

    organization_name: str | None
    jobs: int
    open_jobs: int
    changes: int
    own_jobs: int
    linked: int
    waiting_for_review: int
    fresh_as_of: datetime | None
    health: Health
    who_must_act: Actor | None


class Matched(NamedTuple):
    """How many own jobs an integration has, and how many of them have been matched."""

    own_jobs: int
    matched: int


def counts(conn: Connection) -> Counts:
    """Return how many integrations, jobs, own jobs, changes and applied fetches there are."""
    with conn.cursor(row_factory=class_row(Counts)) as cursor:
        row = cursor.execute(
            """
            select
                (select count(*) from core.integrations) as integrations,
                (select count(*) from core.jobs) as jobs,
                (select count(*) from core.own_jobs where withdrawn_at is null) as own_jobs,
                (select count(*) from core.job_changes where event <> 'created') as changes,
                (select count(*) from raw.fetches where status = 'applied') as fetches
            """
        ).fetchone()
    assert row is not None
    return row


def summary(conn: Connection) -> list[SummaryRow]:
    """Return what has landed of each integration, the one with the most jobs first."""
    with conn.cursor(row_factory=class_row(SummaryRow)) as cursor:
        return cursor.execute(
            """
            select
                h.organization_name,
                h.jobs,
                h.open_jobs,
                (
                    select count(*)
                    from core.job_changes c
                    where c.integration_id = h.integration_id and c.event <> 'created'
                ) as changes,
                f.own_jobs,
                f.linked_by_identifier + f.linked_by_person as linked,
                f.waiting_for_review,
                h.fresh_as_of,
                h.health,
                h.who_must_act
            from marts.integration_health h
            join marts.link_funnel f using (integration_id)
            order by h.jobs desc
            """
        ).fetchall()


def have_applied(conn: Connection, integration_ids: Sequence[str], *, kind: FetchKind, since: datetime) -> bool:
    """Whether a fetch of the kind that began since then was applied in each of the integrations not deleted."""
    row = conn.execute(
        """
        select
            count(*) filter (
                where i.deleted_at is not null
                    or exists (
                        select
                        from raw.fetches f
                        where f.integration_id = i.integration_id
                            and f.status = 'applied'
                            and f.kind = %s
                            and f.requested_at >= %s
                    )
            ) as complete
        from core.integrations i
        where i.integration_id = any(%s)
        """,
        (kind, since, list(integration_ids)),
    ).fetchone()
    return row is not None and row["complete"] == len(integration_ids)


def matched(conn: Connection, integration_ids: Sequence[str]) -> list[Matched]:
    """Return how many own jobs of each integration have been matched; deleted integrations are left out."""
    with conn.cursor(row_factory=class_row(Matched)) as cursor:
        return cursor.execute(
            """
            select f.own_jobs, f.matched
            from marts.link_funnel f
            join core.integrations i using (integration_id)
            where f.integration_id = any(%s) and i.deleted_at is null
            """,
            (list(integration_ids),),
        ).fetchall()
