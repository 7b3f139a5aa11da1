"""Statements on raw.webhook_events and raw.dead_events."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import class_row

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.ingest.fetchable import may_be_fetched


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
    # In the order of their ids, so that two receivers with the same events never wait for each other.
    ordered = sorted(deliveries, key=lambda delivery: delivery.event_id)
    await conn.execute(
        """
        with durable as materialized (
            select set_config('synchronous_commit', 'on', true)
        )
        insert into raw.webhook_events (event_id, event_type, integration_id, body, payload, secret_index)
        select
            delivery.event_id, delivery.event_type, delivery.integration_id,
            delivery.body, delivery.payload, delivery.secret_index
        from durable, unnest(
            %(event_id)b::text[],
            %(event_type)b::text[],
            %(integration_id)b::text[],
            %(body)b::bytea[],
            %(payload)b::text[]::jsonb[],
            %(secret_index)b::smallint[]
        ) as delivery (event_id, event_type, integration_id, body, payload, secret_index)
        on conflict do nothing
        """,
        {name: [getattr(delivery, name) for delivery in ordered] for name in Delivery._fields},
    )


class LandedEvent(NamedTuple):
    """An event as it landed. `payload` is JSON text; `body` is there only where that is missing."""

    event_seq: int
    event_type: str | None
    integration_id: str | None
    payload: str | None
    body: bytes | None
    received_at: datetime
    replays: int


class Seen(NamedTuple):
    """What became of an event."""

    event_seq: int
    starts_fetch: bool
    """Whether it asks for a fetch."""
    dead_reason: str | None = None
    """Why it could not be interpreted; None when it could."""


def unseen(conn: Connection, limit: int, *, max_bytes: int = 1 << 30) -> list[LandedEvent]:
    """Return events that nobody has looked at, in order of landing, locked until the transaction ends.

    Returns at most `limit` events whose bodies have at most `max_bytes` together, but always at least one.
    """
    with conn.cursor(row_factory=class_row(LandedEvent)) as cursor:
        return cursor.execute(
            """
            select
                event_seq, event_type, integration_id,
                payload::text as payload,
                case when payload is null then body end as body,
                received_at, replays
            from raw.webhook_events
            where starts_fetch is null and event_seq = any(array(
                select event_seq
                from (
                    select
                        event_seq,
                        sum(octet_length(body)) over (order by event_seq) as bytes,
                        row_number() over (order by event_seq) as place
                    from (
                        select event_seq, body
                        from raw.webhook_events
                        where starts_fetch is null
                        order by event_seq
                        limit %(limit)s
                    ) waiting
                ) counted
                where place = 1 or coalesce(bytes, 0) <= %(max_bytes)s
            ))
            order by event_seq
            for update
            """,
            {"limit": limit, "max_bytes": max_bytes},
        ).fetchall()


def mark_seen(conn: Connection, seen: Sequence[Seen]) -> None:
    """Note which events ask for a fetch and which are dead; every other one is handled with that."""
    conn.execute(
        """
        update raw.webhook_events e
        set starts_fetch = s.starts_fetch,
            handled_at = case when not (s.starts_fetch or s.is_dead) then coalesce(e.handled_at, clock_timestamp()) end
        from unnest(%s::bigint[], %s::boolean[], %s::boolean[]) as s (event_seq, starts_fetch, is_dead)
        where e.event_seq = s.event_seq
        """,
        (
            [each.event_seq for each in seen],
            [each.starts_fetch for each in seen],
            [each.dead_reason is not None for each in seen],
        ),
    )
    if dead := [each for each in seen if each.dead_reason is not None]:
        conn.execute(
            """
            insert into raw.dead_events (event_seq, reason)
            select event_seq, reason
            from unnest(%s::bigint[], %s::text[]) as d (event_seq, reason)
            on conflict (event_seq) do update set reason = excluded.reason, died_at = excluded.died_at
            """,
            ([each.event_seq for each in dead], [each.dead_reason for each in dead]),
        )


@dataclass(frozen=True)
class WaitingIntegration:
    """An integration that waits for a fetch: for its events, or because work on it was interrupted."""

    integration_id: str
    deleted_at: datetime | None
    succeeded_by: str | None
    watermark: datetime | None
    newest_event: int
    """event_seq of its newest trigger event that no fetch has covered; 0 when there is none."""
    newest_received_at: datetime | None
    replays: int
    """How often a person asked to handle its waiting events again."""
    interrupted: str | None = None
    """What was cut off (orchestration/backlog.py); None when nothing was."""


def waiting_for_fetch(conn: Connection) -> list[WaitingIntegration]:
    """Return the integrations with unhandled trigger events, what has waited longest first.

    Events of an integration that has a successor stay unhandled: they count again when the takeover is undone.
    """
    with conn.cursor(row_factory=class_row(WaitingIntegration)) as cursor:
        found = cursor.execute(
            """
            select
                i.integration_id,
                i.deleted_at,
                i.succeeded_by,
                i.kombo_last_sync_started_at as watermark,
                max(e.event_seq) as newest_event,
                max(e.received_at) as newest_received_at,
                sum(e.replays) as replays
            from raw.webhook_events e
            join core.integrations i using (integration_id)
            where e.starts_fetch
                and e.handled_at is null
                and i.integration_id not in (select integration_id from core.forgotten)
            group by i.integration_id
            order by min(e.event_seq)
            """
        ).fetchall()
    return [each for each in found if may_be_fetched(each)]


def mark_covered(conn: Connection, *, integration_id: str, covers_event_seq: int) -> int:
    """Note that an applied fetch covers the integration's events up to a number; return how many."""
    return conn.execute(
        """
        update raw.webhook_events
        set handled_at = clock_timestamp()
        where integration_id = %s and event_seq <= %s and starts_fetch and handled_at is null
        """,
        (integration_id, covers_event_seq),
    ).rowcount


def cover_all(conn: Connection, integration_ids: Sequence[str], *, up_to: int) -> None:
    """Mark the trigger events of integrations up to a number as handled, because no fetch will cover them."""
    conn.execute(
        """
        update raw.webhook_events
        set handled_at = clock_timestamp()
        where integration_id = any(%s) and event_seq <= %s and starts_fetch and handled_at is null
        """,
        (list(integration_ids), up_to),
    )


class ReplayedEvent(NamedTuple):
    """An event that will be handled again."""

    event_id: str
    event_type: str | None
    integration_id: str | None


def replay(conn: Connection, event_ids: Sequence[str] | None) -> list[ReplayedEvent]:
    """Make events unhandled again and return them; without ids, all that are unhandled or dead.

    The number of replays is part of the run key, so that Dagster runs them again where a run failed on them before.
    The dead letter is removed: an event that still cannot be interpreted gets a new one.
    """
    with conn.cursor(row_factory=class_row(ReplayedEvent)) as cursor:
        return cursor.execute(
            """
            with again as (
                update raw.webhook_events
                set starts_fetch = null, handled_at = null, replays = replays + 1
                where case when %(ids)s::text[] is null then handled_at is null else event_id = any(%(ids)s) end
                returning event_seq, event_id, event_type, integration_id
            ),
            removed as (
                delete from raw.dead_events
                where event_seq in (select event_seq from again)
            )
            select event_id, event_type, integration_id
            from again
            """,
            {"ids": None if event_ids is None else list(event_ids)},
        ).fetchall()


class Counts(NamedTuple):
    """How many events the webhook sensor has not seen, how many wait for a fetch, how many are dead."""

    unseen: int
    waiting: int
    dead: int


def counts(conn: Connection) -> Counts:
    """Count the events that are not done with."""
    with conn.cursor(row_factory=class_row(Counts)) as cursor:
        found = cursor.execute(
            """
            select
                (select count(*) from raw.webhook_events where starts_fetch is null) as unseen,
                (select count(*) from raw.webhook_events where starts_fetch and handled_at is null) as waiting,
                (select count(*) from raw.dead_events) as dead
            """
        ).fetchone()
    assert found is not None
    return found


@dataclass(frozen=True)
class DeadEvent:
    """An event that could not be interpreted, and why."""

    event_id: str
    event_type: str | None
    integration_id: str | None
    customer_id: str | None
    reason: str
    received_at: datetime
    died_at: datetime


def dead(conn: Connection, limit: int) -> list[DeadEvent]:
    """Return events that could not be interpreted, the newest first."""
    with conn.cursor(row_factory=class_row(DeadEvent)) as cursor:
        return cursor.execute(
            """
            select event_id, event_type, integration_id, customer_id, reason, received_at, died_at
            from marts.dead_events
            order by died_at desc, event_id
            limit %s
            """,
            (limit,),
        ).fetchall()


def empty_bodies(conn: Connection, *, older_than: timedelta) -> int:
    """Empty the bodies of events handled long ago; return how many. Their ids stay, to recognise repeated events."""
    return conn.execute(
        """
        update raw.webhook_events
        set body = null, payload = null
        where body is not null and handled_at < now() - %s
        """,
        (older_than,),
    ).rowcount
