"""Read-only questions that the asset checks ask."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from psycopg import sql
from psycopg.rows import class_row

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.db.queries import number
from kombo_pipeline.vocabulary import Actor, FetchState, Health

_NESTED_TABLES: Final = ("job_stages", "job_screening_questions", "job_postings", "job_hiring_team")


def orphans(conn: Connection, integration_id: str) -> dict[str, int]:
    """Return how many nested entries belong to no job, by table; empty when there are none."""
    found = {}
    for table in _NESTED_TABLES:
        row = conn.execute(
            sql.SQL(
                """
                select count(*) as n
                from {table} c
                where c.integration_id = %s
                    and not exists (
                        select
                        from core.jobs j
                        where j.integration_id = c.integration_id and j.kombo_job_id = c.kombo_job_id
                    )
                """
            ).format(table=sql.Identifier("core", table)),
            (integration_id,),
        ).fetchone()
        if row and row["n"]:
            found[table] = row["n"]
    return found


def remote_id_duplicates(conn: Connection, integration_id: str) -> int:
    """Return how many open jobs share their remote id with another one."""
    return number(
        conn,
        """
        select coalesce(sum(jobs), 0) as n
        from (
            select count(*) as jobs
            from core.jobs
            where integration_id = %s and lifecycle = 'open' and remote_id is not null
            group by remote_id
            having count(*) > 1
        ) shared
        """,
        (integration_id,),
    )


@dataclass(frozen=True)
class WatermarkState:
    """The watermark of an integration beside what it must agree with."""

    watermark: datetime | None
    fetch_state: FetchState
    ended_at: datetime | None
    """When the integration was deleted or taken over."""
    newest_applied: datetime | None
    """When the newest applied fetch began, on Kombo's clock."""
    left_behind: int
    """Fetches that have landed and are not applied."""


def watermark(conn: Connection, integration_id: str) -> WatermarkState | None:
    """Return the watermark of an integration and what it must agree with; None when it is not registered."""
    with conn.cursor(row_factory=class_row(WatermarkState)) as cursor:
        return cursor.execute(
            """
            select
                i.kombo_last_sync_started_at as watermark,
                i.fetch_state,
                coalesce(i.deleted_at, i.succeeded_at) as ended_at,
                (
                    select max(f.started_at)
                    from raw.fetches f
                    where f.integration_id = i.integration_id and f.status = 'applied'
                ) as newest_applied,
                (
                    select count(*)
                    from raw.fetches f
                    where f.integration_id = i.integration_id and f.status = 'landed'
                ) as left_behind
            from core.integrations i
            where i.integration_id = %s
            """,
            (integration_id,),
        ).fetchone()


@dataclass(frozen=True)
class QuarantineReason:
    """Why a record is in quarantine."""

    quarantine_id: int
    kombo_job_id: str | None
    reason: str
    quarantined_at: datetime


def quarantined(conn: Connection, integration_id: str) -> list[QuarantineReason]:
    """Return why records of an integration are in quarantine, the newest first."""
    with conn.cursor(row_factory=class_row(QuarantineReason)) as cursor:
        return cursor.execute(
            """
            select quarantine_id, kombo_job_id, reason, quarantined_at
            from raw.quarantined_records
            where integration_id = %s and released_at is null
            order by quarantine_id desc
            """,
            (integration_id,),
        ).fetchall()


def unreadable_fields(conn: Connection, integration_id: str) -> dict[str, int]:
    """Return the fields of an integration that could not be read, with the number of jobs, the most frequent first."""
    row = conn.execute(
        """
        select unreadable_fields
        from marts.integration_health
        where integration_id = %s
        """,
        (integration_id,),
    ).fetchone()
    fields = (row["unreadable_fields"] if row else None) or {}
    return dict(sorted(fields.items(), key=lambda item: (-item[1], item[0])))


@dataclass(frozen=True)
class IntegrationHealth:
    """What marts.integration_health says of an integration."""

    health: Health
    who_must_act: Actor | None
    what_to_do: str | None
    last_sync_state: str | None
    fetch_state: FetchState
    held_jobs: int | None
    dead_events: int | None


def health(conn: Connection, integration_id: str) -> IntegrationHealth:
    """Return the health of an integration; raises LookupError when it is not registered."""
    with conn.cursor(row_factory=class_row(IntegrationHealth)) as cursor:
        found = cursor.execute(
            """
            select health, who_must_act, what_to_do, last_sync_state, fetch_state, held_jobs, dead_events
            from marts.integration_health
            where integration_id = %s
            """,
            (integration_id,),
        ).fetchone()
    if found is None:
        raise LookupError(f"{integration_id} is not registered")
    return found


def broken_links(conn: Connection, integration_id: str) -> dict[str, int]:
    """Return how many links of the integration break each rule that links must keep."""
    row = conn.execute(
        """
        with live as (
            select
                l.own_job_id, l.customer_id, l.method, l.confirmed_by, l.state,
                i.customer_id as owner,
                j.lifecycle
            from core.job_links l
            join core.integrations i using (integration_id)
            join core.jobs j using (integration_id, kombo_job_id)
            where l.integration_id = %s and l.state <> 'retired'
        )
        select
            (
                select count(*)
                from live
                where customer_id is distinct from owner
            ) as across_customers,
            (
                select count(*)
                from (select from live group by own_job_id having count(*) > 1) twice
            ) as linked_twice,
            (
                select count(*)
                from live
                where method in ('title', 'search') and confirmed_by is null
            ) as from_a_title_without_a_person,
            (
                select count(*)
                from live
                where state = 'active' and lifecycle <> 'open'
            ) as active_to_a_job_not_open
        """,
        (integration_id,),
    ).fetchone()
    assert row is not None
    return row


@dataclass(frozen=True)
class StaleIntegration:
    """An integration that marts.integration_health calls stale."""

    integration_id: str
    organization_name: str | None
    fresh_as_of: datetime | None
    kombo_read_at: datetime | None
    who_must_act: Actor | None
    what_to_do: str | None


def stale_integrations(conn: Connection) -> list[StaleIntegration]:
    """Return the stale integrations, the stalest first.

    An integration that was registered within the last day has time for its first sync.
    """
    with conn.cursor(row_factory=class_row(StaleIntegration)) as cursor:
        return cursor.execute(
            """
            select integration_id, organization_name, fresh_as_of, kombo_read_at, who_must_act, what_to_do
            from marts.integration_health
            where stale and registered_at < now() - interval '24 hours'
            order by least(fetched_at, kombo_read_at) nulls first
            """
        ).fetchall()


def live_integrations(conn: Connection) -> int:
    """Return how many integrations are fetched: neither deleted in Kombo nor taken over by another one."""
    return number(
        conn,
        """
        select count(*) as n
        from core.integrations
        where deleted_at is null and succeeded_by is null
        """,
    )


def dead_events(conn: Connection) -> int:
    """Return how many events could not be interpreted."""
    return number(conn, "select count(*) as n from raw.dead_events")
