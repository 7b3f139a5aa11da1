"""Statements on core.integrations and its issues."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from psycopg import sql

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.kombo.record import RECORD_RULE


def get(conn: Connection, integration_id: str, *, lock: bool = False) -> dict[str, Any] | None:
    """Return an integration's row, None when it is not registered; locked until the transaction ends on demand."""
    return conn.execute(
        f"select * from core.integrations where integration_id = %s {'for update' if lock else ''}",  # noqa: S608
        (integration_id,),
    ).fetchone()


def register(conn: Connection, integration_id: str) -> bool:
    """Make sure that the integration has a row, unless it was forgotten; return whether it is new."""
    return register_all(conn, [integration_id]) == 1


def unregister(conn: Connection, integration_id: str) -> None:
    """Take back a registration that nothing but a failed fetch hangs on."""
    conn.execute("delete from raw.fetches where integration_id = %s", (integration_id,))
    conn.execute("delete from core.integrations where integration_id = %s", (integration_id,))


def register_all(conn: Connection, integration_ids: Iterable[str]) -> int:
    """Make sure that the integrations have a row, less those that were forgotten; return how many are new.

    One order for everybody, so that nobody waits in a ring.
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


def lock_all(conn: Connection, integration_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the rows of integrations by id, locked in the order of the ids until the transaction ends."""
    rows = conn.execute(
        """
        select *
        from core.integrations
        where integration_id = any(%s)
        order by integration_id
        for update
        """,
        (sorted(integration_ids),),
    )
    return {row["integration_id"]: row for row in rows}


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


def fetched_in_full(conn: Connection) -> list[dict[str, Any]]:
    """Return the integrations that live, whose customer is known and whose jobs a full fetch has shown."""
    return conn.execute(
        "select * from core.integrations where full_fetched_at is not null and customer_id is not null "
        "and deleted_at is null and succeeded_by is null order by integration_id"
    ).fetchall()


def rhythms(conn: Connection) -> list[dict[str, Any]]:
    """Return each integration with what the poll decides on.

    `event_times` are those of its newest 20 trigger events, oldest first; `waiting_since` is when the oldest
    one arrived that no fetch has covered, None when there is none.
    """
    return conn.execute(
        "select i.*, r.event_times, r.waiting_since from core.integrations i "
        "join marts.integration_rhythms r using (integration_id) "
        "order by fetch_attempted_at nulls first, integration_id"
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
    """Set columns of an integration; health.note is the door for what Kombo tells of it."""
    if not values:
        return
    conn.execute(
        sql.SQL("update core.integrations set {} where integration_id = %(integration_id)s").format(
            sql.SQL(", ").join(
                sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in values
            )
        ),
        {**values, "integration_id": integration_id},
    )


def mark_fetched(conn: Connection, *, integration_id: str, fetch: Mapping[str, Any]) -> None:
    """Move the watermark to the start of a fetch, in the transaction that applies it; it never moves back."""
    conn.execute(
        "update core.integrations set "
        "kombo_last_sync_started_at = greatest(kombo_last_sync_started_at, %(started_at)s), "
        "full_fetched_at = case when %(kind)s = 'full' then %(requested_at)s else full_fetched_at end, "
        "closures_await_details = closures_await_details and (%(kind)s <> 'full' or details_error is not null), "
        "fetched_at = clock_timestamp(), fetch_state = 'current', fetch_error_code = null, fetch_error = null "
        "where integration_id = %(integration_id)s",
        {
            "integration_id": integration_id,
            "started_at": fetch["started_at"],
            "kind": fetch["kind"],
            "requested_at": fetch["requested_at"],
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

    Data is stale when it is older than `after`: no fetch of ours has completed since then; or Kombo reports failures
    and has told of no success since then. An integration of which nothing is heard is not stale for that: perhaps
    nothing has changed. At most `limit` rows are changed, and none that a fetch is working on.
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


def write_told(conn: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the TOLD_COLUMNS of integrations whose rows are locked, in one statement."""
    if not rows:
        return
    told = [{name: row[name] for name in ("integration_id", *TOLD_COLUMNS)} for row in rows]
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


class Issue(NamedTuple):
    """A problem that Kombo raised, as core.integration_issues keeps it."""

    issue_id: str
    integration_id: str | None
    issue_type: str | None
    title: str | None
    status: str | None
    message: str | None
    first_observed_at: datetime | None
    resolved_at: datetime | None


def upsert_issues(conn: Connection, issues: Iterable[Issue]) -> None:
    """Keep the newest state of each issue as Kombo told it; a late event opens none again that is resolved."""
    newest: dict[str, Issue] = {}
    for issue in issues:
        known = newest.get(issue.issue_id)
        if known is None or known.status != "RESOLVED":
            newest[issue.issue_id] = issue
    if not newest:
        return
    rows = [newest[issue_id] for issue_id in sorted(newest)]
    conn.execute(
        """
        insert into core.integration_issues (
            issue_id, integration_id, issue_type, title, status, message, first_observed_at, resolved_at
        )
        select *
        from unnest(
            %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::timestamptz[], %s::timestamptz[]
        )
        on conflict (issue_id) do update
        set status = excluded.status, resolved_at = excluded.resolved_at, message = excluded.message
        where core.integration_issues.status is distinct from 'RESOLVED'
        """,
        [[row[column] for row in rows] for column in range(len(Issue._fields))],
    )


def told_since(conn: Connection, integration_id: str, moment: datetime) -> bool:
    """Return whether the newest event that told the identity of an integration was received after a moment."""
    return (
        conn.execute(
            """
            select
            from core.integrations i
            join raw.webhook_events e on e.event_seq = i.identity_event_seq
            where i.integration_id = %s and e.received_at > %s
            """,
            (integration_id, moment),
        ).fetchone()
        is not None
    )


def write_owner_answer(conn: Connection, row: Mapping[str, Any], *, answered_by: str) -> None:
    """Write whose an integration is, as a person has answered; only the columns that the back office may change."""
    conn.execute(
        """
        update core.integrations
        set customer_id = %(customer_id)s,
            claimed_customer_id = null,
            claimed_at = null,
            declined_customer_id = %(declined_customer_id)s,
            who_must_act = %(who_must_act)s,
            what_to_do = %(what_to_do)s,
            owner_answered_by = %(answered_by)s,
            owner_answered_at = now()
        where integration_id = %(integration_id)s
        """,
        {**row, "answered_by": answered_by},
    )


def owner_questions(conn: Connection) -> list[dict[str, Any]]:
    """Return the integrations whose owner is in doubt, the longest first."""
    return conn.execute(
        """
        select integration_id, customer_id, claimed_customer_id, claimed_at
        from core.integrations
        where claimed_customer_id is not null
        order by claimed_at, integration_id
        """
    ).fetchall()
