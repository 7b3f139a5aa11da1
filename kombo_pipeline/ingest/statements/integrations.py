"""Statements on core.integrations and its issues."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from psycopg import sql
from psycopg.rows import class_row

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.ingest.statements.fetches import Fetch
from kombo_pipeline.kombo.record import RECORD_RULE
from kombo_pipeline.vocabulary import Actor, FetchState


@dataclass(frozen=True)
class Integration:
    """A row of core.integrations, without what matching keeps there; its columns are explained in docs/tables.md."""

    integration_id: str
    registered_at: datetime
    # Whose it is, and who says so.
    customer_id: str | None
    organization_name: str | None
    tool: str | None
    category: str | None
    identity_event_seq: int | None
    identity_told_at: datetime | None
    details_read_at: datetime | None
    claimed_customer_id: str | None
    claimed_at: datetime | None
    declined_customer_id: str | None
    # Its state in Kombo.
    state: str | None
    setup_status: str | None
    qa_status: str | None
    state_updated_at: datetime | None
    state_time_is_ours: bool
    jobs_model_enabled: bool | None
    data_expired_at: datetime | None
    deleted_at: datetime | None
    succeeded_by: str | None
    succeeded_at: datetime | None
    # Its newest sync in Kombo.
    last_sync_id: str | None
    last_sync_state: str | None
    last_sync_ended_at: datetime | None
    sync_time_is_ours: bool
    last_sync_succeeded_at: datetime | None
    last_data_changed_at: datetime | None
    last_sync_log_url: str | None
    # Our fetches.
    fetch_state: FetchState
    fetch_error_code: str | None
    fetch_error: str | None
    fetch_attempted_at: datetime | None
    fetched_at: datetime | None
    full_fetched_at: datetime | None
    kombo_last_sync_started_at: datetime | None
    details_error: str | None
    details_error_by: Actor | None
    closures_await_details: bool
    # What follows.
    who_must_act: Actor | None
    what_to_do: str | None
    stale_since: datetime | None


_COLUMNS = sql.SQL(", ").join(sql.Identifier(field.name) for field in fields(Integration))


def get(conn: Connection, integration_id: str) -> Integration | None:
    """Return an integration; None when it is not registered."""
    with conn.cursor(row_factory=class_row(Integration)) as cursor:
        return cursor.execute(
            sql.SQL(
                """
                select {columns}
                from core.integrations
                where integration_id = %s
                """
            ).format(columns=_COLUMNS),
            (integration_id,),
        ).fetchone()


def lock(conn: Connection, integration_id: str) -> Integration | None:
    """Return an integration, locked until the transaction ends; None when it is not registered."""
    return lock_all(conn, [integration_id]).get(integration_id)


def register(conn: Connection, integration_id: str) -> bool:
    """Make sure that the integration has a row, unless it was forgotten; return whether it is new."""
    return register_all(conn, [integration_id]) == 1


def unregister(conn: Connection, integration_id: str) -> None:
    """Take back a registration that nothing but a failed fetch hangs on."""
    conn.execute("delete from raw.fetches where integration_id = %s", (integration_id,))
    conn.execute("delete from core.integrations where integration_id = %s", (integration_id,))


def register_all(conn: Connection, integration_ids: Iterable[str]) -> int:
    """Make sure that the integrations have a row, except those that were forgotten; return how many are new.

    Every caller inserts in the order of the ids, so that two of them never wait for each other.
    """
    return conn.execute(
        """
        insert into core.integrations (integration_id, record_rule)
        select id, %s
        from unnest(%s::text[]) as wanted (id)
        where id not in (select f.integration_id from core.forgotten f)
        on conflict do nothing
        """,
        (RECORD_RULE, sorted(integration_ids)),
    ).rowcount


def lock_all(conn: Connection, integration_ids: Iterable[str]) -> dict[str, Integration]:
    """Return integrations by id, locked in the order of the ids until the transaction ends."""
    with conn.cursor(row_factory=class_row(Integration)) as cursor:
        found = cursor.execute(
            sql.SQL(
                """
                select {columns}
                from core.integrations
                where integration_id = any(%s)
                order by integration_id
                for update
                """
            ).format(columns=_COLUMNS),
            (sorted(integration_ids),),
        ).fetchall()
    return {integration.integration_id: integration for integration in found}


def registered(conn: Connection) -> list[str]:
    """Return the ids of the integrations that live, the oldest first."""
    rows = conn.execute(
        """
        select integration_id
        from core.integrations
        where deleted_at is null and integration_id not in (select integration_id from core.forgotten)
        order by registered_at, integration_id
        """
    )
    return [row["integration_id"] for row in rows]


class Owned(NamedTuple):
    """An integration and its customer."""

    integration_id: str
    customer_id: str


def fetched_in_full(conn: Connection) -> list[Owned]:
    """Return the integrations that live, whose customer is known and whose jobs a full fetch has shown."""
    with conn.cursor(row_factory=class_row(Owned)) as cursor:
        return cursor.execute(
            """
            select integration_id, customer_id
            from core.integrations
            where full_fetched_at is not null
                and customer_id is not null
                and deleted_at is null
                and succeeded_by is null
            order by integration_id
            """
        ).fetchall()


@dataclass(frozen=True)
class Rhythm:
    """When an integration was heard of and asked: what the poll decides on."""

    integration_id: str
    deleted_at: datetime | None
    succeeded_by: str | None
    fetch_state: FetchState
    fetch_attempted_at: datetime | None
    full_fetched_at: datetime | None
    event_times: Sequence[datetime]
    """When its newest 20 trigger events came, oldest first (our clock)."""
    waiting_since: datetime | None
    """When the oldest trigger event came that no fetch has covered; None when there is none."""


def rhythms(conn: Connection) -> list[Rhythm]:
    """Return the rhythm of each integration, those first that were not asked for the longest time."""
    with conn.cursor(row_factory=class_row(Rhythm)) as cursor:
        return cursor.execute(
            """
            select
                i.integration_id, i.deleted_at, i.succeeded_by,
                i.fetch_state, i.fetch_attempted_at, i.full_fetched_at,
                r.event_times, r.waiting_since
            from core.integrations i
            join marts.integration_rhythms r using (integration_id)
            order by i.fetch_attempted_at nulls first, i.integration_id
            """
        ).fetchall()


def read_by_older_rule(conn: Connection, record_rule: int) -> list[str]:
    """Return the integrations with a job that was read by an older rule than this one, the oldest rule first."""
    rows = conn.execute(
        """
        select integration_id
        from core.integrations
        where record_rule < %s and integration_id not in (select integration_id from core.forgotten)
        order by record_rule, fetched_at desc nulls last, integration_id
        """,
        (record_rule,),
    )
    return [row["integration_id"] for row in rows]


def update(conn: Connection, integration_id: str, values: Mapping[str, Any]) -> None:
    """Set columns of an integration. What Kombo tells of it is written by health.store instead."""
    if not values:
        return
    conn.execute(
        sql.SQL(
            """
            update core.integrations
            set {changes}
            where integration_id = %(integration_id)s
            """
        ).format(
            changes=sql.SQL(", ").join(
                sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in values
            )
        ),
        {**values, "integration_id": integration_id},
    )


def mark_fetched(conn: Connection, fetch: Fetch) -> None:
    """Move the watermark to the start of a fetch, in the transaction that applies it; it never moves back."""
    conn.execute(
        """
        update core.integrations
        set kombo_last_sync_started_at = greatest(kombo_last_sync_started_at, %(started_at)s),
            full_fetched_at = case when %(kind)s = 'full' then %(requested_at)s else full_fetched_at end,
            closures_await_details = closures_await_details and (%(kind)s <> 'full' or details_error is not null),
            fetched_at = clock_timestamp(),
            fetch_state = 'current',
            fetch_error_code = null,
            fetch_error = null
        where integration_id = %(integration_id)s
        """,
        {
            "integration_id": fetch.integration_id,
            "started_at": fetch.started_at,
            "kind": fetch.kind,
            "requested_at": fetch.requested_at,
        },
    )


def with_live_jobs(conn: Connection, integration_ids: Sequence[str]) -> list[str]:
    """Return which of the integrations have a job that is not gone, in the order of their ids."""
    rows = conn.execute(
        """
        select integration_id
        from unnest(%s::text[]) as asked (integration_id)
        where exists (
            select
            from core.jobs j
            where j.integration_id = asked.integration_id
                and j.lifecycle not in ('deleted', 'vanished', 'integration_gone')
        )
        order by integration_id collate "C"
        """,
        (list(integration_ids),),
    )
    return [row["integration_id"] for row in rows]


def note_staleness(conn: Connection, *, after: timedelta, limit: int) -> int:
    """Store since when data is too old for applications, or that it is not any more; return how many rows changed.

    Data is stale in two cases: no fetch of ours has completed for `after`, or Kombo reports failures and has reported
    no success for `after`. Silence alone does not make it stale: perhaps nothing has changed. At most `limit` rows are
    changed, and none that a fetch is working on.
    """
    return conn.execute(
        """
        update core.integrations i
        set stale_since = case when due.is_stale then now() end
        from (
            select integration_id, is_stale
            from core.integrations
            cross join lateral (
                select coalesce(
                    coalesce(fetched_at, registered_at) < now() - %(after)s::interval
                    or last_sync_state in ('FAILED', 'TIMED_OUT', 'AUTHENTICATION_FAILED')
                    and coalesce(greatest(last_sync_succeeded_at, last_data_changed_at), registered_at)
                        < now() - %(after)s::interval,
                    false
                ) as is_stale
            ) judged
            where deleted_at is null and succeeded_by is null and is_stale = (stale_since is null)
            order by integration_id
            limit %(limit)s
            for update of integrations skip locked
        ) due
        where i.integration_id = due.integration_id
        """,
        {"after": after, "limit": limit},
    ).rowcount


TOLD_COLUMNS = (
    *("customer_id", "organization_name", "tool", "category", "state", "setup_status", "qa_status"),
    *("state_updated_at", "state_time_is_ours", "jobs_model_enabled", "data_expired_at"),
    *("last_sync_id", "last_sync_state", "last_sync_ended_at", "sync_time_is_ours", "last_sync_succeeded_at"),
    *("last_data_changed_at", "last_sync_log_url", "who_must_act", "what_to_do", "deleted_at"),
    *("identity_event_seq", "identity_told_at", "details_read_at"),
    *("claimed_customer_id", "claimed_at", "declined_customer_id"),
)
"""The columns that follow from what Kombo tells."""


def write_told(conn: Connection, changed: Sequence[Integration]) -> None:
    """Write the TOLD_COLUMNS of integrations whose rows are locked, in one statement."""
    if not changed:
        return
    told = [{name: getattr(each, name) for name in ("integration_id", *TOLD_COLUMNS)} for each in changed]
    conn.execute(
        sql.SQL(
            """
            update core.integrations i
            set {changes}
            from json_populate_recordset(null::core.integrations, %s::json) t
            where i.integration_id = t.integration_id
            """
        ).format(
            changes=sql.SQL(", ").join(
                sql.SQL("{} = {}").format(sql.Identifier(name), sql.Identifier("t", name)) for name in TOLD_COLUMNS
            )
        ),
        (json.dumps(told, default=_written),),
    )


def _written(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"a {type(value).__name__} cannot be written as JSON")
