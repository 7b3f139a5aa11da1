"""Statements on raw.webhook_events."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

import psycopg

from kombo_pipeline.db.connection import Connection


class Delivery(NamedTuple):
    """A verified webhook as it is landed; `payload` is JSON text that Postgres accepts as jsonb."""

    event_id: str
    event_type: str | None
    integration_id: str | None
    body: bytes
    payload: str | None
    secret_index: int


async def land(conn: psycopg.AsyncConnection[Any], deliveries: Iterable[Delivery]) -> None:
    """Insert deliveries in one statement; an event id that is known already adds nothing.

    Committed means durable, whatever the database's own default, and through a pooler too: so the statement itself
    says that its commit waits for the disk.
    """
    # In the order of their ids, so that two receivers with the same events never wait for each other in a ring.
    rows = sorted(deliveries, key=lambda delivery: delivery.event_id)
    await conn.execute(
        """
        with durable as materialized (
            select set_config('synchronous_commit', 'on', true)
        )
        insert into raw.webhook_events (event_id, event_type, integration_id, body, payload, secret_index)
        select delivery.*
        from durable, unnest(
            %b::text[], %b::text[], %b::text[], %b::bytea[], %b::text[]::jsonb[], %b::smallint[]
        ) as delivery
        on conflict do nothing
        """,
        [[row[column] for row in rows] for column in range(len(Delivery._fields))],
    )


def unseen(conn: Connection, limit: int) -> list[dict[str, Any]]:
    """Return events that nobody has looked at, in order of landing, locked until the transaction ends."""
    return conn.execute(
        "select event_seq, event_type, integration_id, payload, received_at from raw.webhook_events "
        "where starts_fetch is null and (integration_id is null or integration_id not in "
        "(select f.integration_id from core.forgotten f)) order by event_seq limit %s for update",
        (limit,),
    ).fetchall()


def mark_seen(conn: Connection, event_seq: int, *, starts_fetch: bool) -> None:
    """Note whether an event asks for a fetch; one that does not is handled with that."""
    conn.execute(
        "update raw.webhook_events set starts_fetch = %s, "
        "handled_at = case when %s then null else coalesce(handled_at, clock_timestamp()) end where event_seq = %s",
        (starts_fetch, starts_fetch, event_seq),
    )


def waiting_for_fetch(conn: Connection) -> list[dict[str, Any]]:
    """Return one row an integration with unhandled trigger events: integration_id, newest_event, replays, watermark."""
    return conn.execute(
        "select e.integration_id, max(e.event_seq) as newest_event, sum(e.replays) as replays, "
        "i.kombo_last_sync_started_at as watermark, min(e.received_at) as waiting_since "
        "from raw.webhook_events e join core.integrations i using (integration_id) "
        "where e.starts_fetch and e.handled_at is null and i.deleted_at is null "
        "and i.integration_id not in (select integration_id from core.forgotten) "
        "group by e.integration_id, i.kombo_last_sync_started_at order by min(e.event_seq)"
    ).fetchall()


def mark_covered(conn: Connection, *, integration_id: str, covers_event_seq: int) -> int:
    """Note that an applied fetch covers the integration's events up to a number; return how many."""
    return conn.execute(
        "update raw.webhook_events set handled_at = clock_timestamp() "
        "where integration_id = %s and event_seq <= %s and starts_fetch and handled_at is null",
        (integration_id, covers_event_seq),
    ).rowcount


def replay(conn: Connection, event_ids: Sequence[str] | None) -> list[dict[str, Any]]:
    """Make events unhandled again (all of the unhandled ones when no ids are given) and return them.

    The count of replays enters the run key, so that a run that failed on them before does not swallow them.
    """
    return conn.execute(
        "update raw.webhook_events set starts_fetch = null, handled_at = null, replays = replays + 1 "
        "where case when %(ids)s::text[] is null then handled_at is null else event_id = any(%(ids)s) end "
        "returning event_id, event_type, integration_id",
        {"ids": None if event_ids is None else list(event_ids)},
    ).fetchall()


def empty_bodies(conn: Connection, *, older_than: timedelta) -> int:
    """Empty the bodies of events handled long ago; return how many. Their ids stay and keep repeated ones out."""
    return conn.execute(
        "update raw.webhook_events set body = null, payload = null where body is not null and handled_at < now() - %s",
        (older_than,),
    ).rowcount
