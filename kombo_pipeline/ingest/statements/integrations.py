"""Statements on core.integrations and its issues."""

from collections.abc import Mapping
from typing import Any

from psycopg import sql

from kombo_pipeline.db.connection import Connection


def get(conn: Connection, integration_id: str, *, lock: bool = False) -> dict[str, Any] | None:
    """Return an integration's row, None when it is not registered; locked until the transaction ends on demand."""
    return conn.execute(
        f"select * from core.integrations where integration_id = %s {'for update' if lock else ''}",  # noqa: S608
        (integration_id,),
    ).fetchone()


def register(conn: Connection, integration_id: str) -> bool:
    """Make sure that the integration has a row, unless it was forgotten; return whether it is new."""
    registered = conn.execute(
        """
        insert into core.integrations (integration_id)
        select id
        from (values (%s)) as wanted (id)
        where not exists (select from core.forgotten f where f.integration_id = wanted.id)
        on conflict do nothing
        """,
        (integration_id,),
    )
    return registered.rowcount == 1


def unregister(conn: Connection, integration_id: str) -> None:
    """Take back a registration that nothing but a failed fetch hangs on."""
    conn.execute("delete from raw.fetches where integration_id = %s", (integration_id,))
    conn.execute("delete from core.integrations where integration_id = %s", (integration_id,))


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
        "and deleted_at is null order by integration_id"
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


def upsert_issue(conn: Connection, issue: Mapping[str, Any]) -> None:
    """Keep an issue as Kombo told it; one that is resolved is not opened again by a late event."""
    conn.execute(
        "insert into core.integration_issues values (%(issue_id)s, %(integration_id)s, %(issue_type)s, %(title)s, "
        "%(status)s, %(message)s, %(first_observed_at)s, %(resolved_at)s) on conflict (issue_id) do update set "
        "status = excluded.status, resolved_at = excluded.resolved_at, message = excluded.message "
        "where core.integration_issues.status is distinct from 'RESOLVED'",
        issue,
    )
