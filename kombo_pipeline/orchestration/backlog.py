"""What the sensors read and note: work that was interrupted, and the runs they requested last."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from psycopg.rows import class_row

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.ingest.fetchable import may_be_fetched
from kombo_pipeline.ingest.statements.webhook_events import WaitingIntegration
from kombo_pipeline.vocabulary import Work


def interrupted_fetches(conn: Connection) -> list[WaitingIntegration]:
    """Return the integrations whose fetch or apply was cut off, oldest first; only leases and tables decide that.

    `interrupted` names what was cut off: a lease that expired, or a fetch without a lease, left by a process that was
    killed between fetching and applying. Work that kills its process again and again is requested after a pause that
    doubles each time, up to an hour.
    """
    with conn.cursor(row_factory=class_row(WaitingIntegration)) as cursor:
        found = cursor.execute(
            """
            with expired as (
                select integration_id, max(acquired_at) as acquired_at
                from core.leases
                where work in ('fetch', 'apply')
                    and until + least(interval '30 seconds' * (power(2, least(attempts, 9) - 1) - 1), interval '1 hour')
                        < clock_timestamp()
                group by integration_id
            ),
            left_behind as (
                select f.integration_id, min(f.fetch_id) as fetch_id
                from raw.fetches f
                where f.status in ('running', 'landed')
                    and coalesce(f.finished_at, f.requested_at) < clock_timestamp() - interval '30 seconds'
                    and not exists (
                        select
                        from core.leases l
                        where l.integration_id = f.integration_id
                            and l.work in ('fetch', 'apply')
                    )
                group by f.integration_id
            )
            select
                i.integration_id,
                i.deleted_at,
                i.succeeded_by,
                i.kombo_last_sync_started_at as watermark,
                0 as newest_event,
                null::timestamptz as newest_received_at,
                0 as replays,
                coalesce('lease ' || extract(epoch from e.acquired_at), 'fetch ' || l.fetch_id) as interrupted
            from core.integrations i
            left join expired e using (integration_id)
            left join left_behind l using (integration_id)
            where e.integration_id is not null or l.integration_id is not null
            order by e.acquired_at, l.fetch_id
            """
        ).fetchall()
    return [each for each in found if may_be_fetched(each)]


@dataclass(frozen=True)
class InterruptedMatching:
    """An integration whose own jobs must be matched again, and what names the reason in a run key."""

    integration_id: str
    matched_at: datetime | None
    interrupted: str


def interrupted_matchings(conn: Connection, versions: Sequence[str]) -> list[InterruptedMatching]:
    """Return the integrations whose matching was cut off, was left out by a run killed after its apply, or is outdated.

    A matching is outdated when it was made by other rules than `versions`, those of the code.
    """
    cursor = conn.cursor(row_factory=class_row(InterruptedMatching))
    return cursor.execute(
        """
        with expired as (
            select integration_id, acquired_at
            from core.leases
            where work = 'rematch'
                and until + least(interval '30 seconds' * (power(2, least(attempts, 9) - 1) - 1), interval '1 hour')
                    < clock_timestamp()
        )
        select
            i.integration_id,
            i.matched_at,
            coalesce(
                'lease ' || extract(epoch from e.acquired_at),
                concat_ws(' ', nullif(array_to_string(missing.versions, ' '), ''), 'fetch ' || newest.fetch_id)
            ) as interrupted
        from core.integrations i
        cross join lateral (
            select array(
                select version
                from unnest(%s::text[]) as version
                where strpos(i.matched_with, version) = 0
            ) as versions
        ) missing
        left join expired e using (integration_id)
        left join lateral (
            select f.fetch_id, f.applied_at
            from raw.fetches f
            where f.integration_id = i.integration_id
                and f.status = 'applied'
            order by f.fetch_id desc
            limit 1
        ) newest on i.fetched_at > now() - interval '1 day'
        where i.deleted_at is null
            and i.succeeded_by is null
            and i.customer_id is not null
            and i.full_fetched_at is not null
            and (
                e.integration_id is not null
                or missing.versions <> '{}'
                or newest.fetch_id > coalesce(i.matched_fetch_id, 0)
                    and newest.applied_at < clock_timestamp() - interval '60 seconds'
                    and not exists (
                        select
                        from core.leases l
                        where l.integration_id = i.integration_id
                            and l.work = 'rematch'
                    )
            )
        order by i.matched_at nulls first, i.integration_id
        """,
        (list(versions),),
    ).fetchall()


class Asked(NamedTuple):
    """The newest run that was requested from Dagster for an integration."""

    run_key: str
    requested_at: datetime


def asked(conn: Connection, work: Work) -> dict[str, Asked]:
    """Return the newest request of a kind of work, by integration."""
    rows = conn.execute(
        """
        select integration_id, run_key, requested_at
        from core.run_requests
        where work = %s
        """,
        (work,),
    )
    return {row["integration_id"]: Asked(row["run_key"], row["requested_at"]) for row in rows}


def note_asked(conn: Connection, work: Work, run_keys: Mapping[str, str]) -> None:
    """Note the runs that are requested from Dagster now."""
    conn.execute(
        """
        insert into core.run_requests (integration_id, work, run_key, requested_at)
        select integration_id, %s, run_key, clock_timestamp()
        from unnest(%s::text[], %s::text[]) as asked (integration_id, run_key)
        on conflict (integration_id, work) do update
        set run_key = excluded.run_key,
            requested_at = excluded.requested_at
        """,
        (work, list(run_keys), list(run_keys.values())),
    )
