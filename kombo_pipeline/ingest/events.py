"""Interprets landed webhooks: registers integrations, notes their state, marks the events that ask for a fetch.

A batch of events is interpreted in memory and written with a few statements. A batch that fails is halved until the
event that cannot be interpreted is alone; that one becomes a dead letter (raw.dead_events), which people see.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import psycopg

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.ingest import health, lifecycle
from kombo_pipeline.ingest.interpreting import Reading, UninterpretableError, interpret, read
from kombo_pipeline.ingest.statements import forgotten, integration_issues, integrations, webhook_events
from kombo_pipeline.ingest.statements.integrations import Integration
from kombo_pipeline.ingest.statements.webhook_events import LandedEvent, Seen
from kombo_pipeline.linking.statements import job_links

BATCH: Final = 1000
BATCH_BYTES: Final = 32 * 1024 * 1024
"""The largest sum of bodies in a batch, so that it fits into memory."""
MAX_REASON: Final = 300
# What Postgres says of a value that it cannot store: data, integrity, limits of the program, a trigger's exception.
_REFUSED_VALUES: Final = ("22", "23", "54", "P0")

log = logging.getLogger(__name__)


def work_off(conn: Connection, *, seconds: float, limit: int = BATCH) -> int:
    """Interpret landed events, batch after batch, for about `seconds`; commit each batch and return how many events."""
    until, seen = time.monotonic() + seconds, 0
    while True:
        found = observe_events(conn, limit, until=until)
        conn.commit()
        seen += found
        if not found or time.monotonic() >= until:
            return seen


def observe_events(conn: Connection, limit: int = BATCH, *, until: float | None = None) -> int:
    """Interpret a batch of events that are new, in the caller's transaction; return how many there were.

    Registers integrations, notes their state, closes the jobs of deleted ones, and marks the events that ask for a
    fetch. When many events cannot be interpreted, it stops at `until` (time.monotonic) and leaves the rest to the next
    call. Raises psycopg.OperationalError when the database fails; the events are interpreted by a later call then.
    """
    forgotten.ignore_events(conn)
    waiting: list[Sequence[LandedEvent]] = [webhook_events.unseen(conn, limit, max_bytes=BATCH_BYTES)]
    seen = 0
    while waiting and (seen == 0 or until is None or time.monotonic() < until):
        batch = waiting.pop()
        if not batch:
            continue
        try:
            with conn.transaction():
                _observe(conn, batch)
        except Exception as error:
            if not _is_fault_of_an_event(error):
                raise
            if len(batch) > 1:
                middle = len(batch) // 2
                waiting += [batch[middle:], batch[:middle]]
                continue
            _bury(conn, batch[0], error)
        seen += len(batch)
    return seen


def _observe(conn: Connection, batch: Sequence[LandedEvent]) -> None:
    seen: list[Seen] = []
    readings: list[Reading] = []
    for event in batch:
        try:
            readings.append(read(event))
        except Exception as error:
            seen.append(Seen(event.event_seq, starts_fetch=False, dead_reason=_reason(event, error)))
    before = _integrations(conn, {reading.integration_id for reading in readings if reading.integration_id is not None})
    linked = job_links.linked_integrations(conn, list(before)) if before else set()
    after = dict(before)
    understood: list[Reading] = []
    for reading in readings:
        integration_id, starts_fetch = reading.integration_id, False
        try:
            if integration_id is not None and integration_id in after:
                after[integration_id], starts_fetch = interpret(
                    reading, after[integration_id], has_links=integration_id in linked
                )
        except Exception as error:
            seen.append(Seen(reading.event.event_seq, starts_fetch=False, dead_reason=_reason(reading.event, error)))
        else:
            understood.append(reading)
            seen.append(Seen(reading.event.event_seq, starts_fetch))
    health.store(conn, [(before[key], after[key]) for key in before])
    integration_issues.keep_newest(conn, [reading.issue for reading in understood if reading.issue is not None])
    webhook_events.mark_seen(conn, seen)
    _end_deleted(conn, before, after, up_to=batch[-1].event_seq)


def _integrations(conn: Connection, integration_ids: set[str]) -> dict[str, Integration]:
    """Register integrations that are new; lock and return all of them."""
    if not integration_ids:
        return {}
    found = integrations.lock_all(conn, integration_ids)
    if len(found) < len(integration_ids):
        integrations.register_all(conn, integration_ids - found.keys())
        found = integrations.lock_all(conn, integration_ids)
    return found


def _end_deleted(
    conn: Connection, before: Mapping[str, Integration], after: Mapping[str, Integration], *, up_to: int
) -> None:
    deleted: dict[str, datetime] = {key: each.deleted_at for key, each in after.items() if each.deleted_at}
    if not deleted:
        return
    lifecycle.close_integrations(conn, {key: at for key, at in deleted.items() if before[key].deleted_at is None})
    # No fetch will ever cover their events.
    webhook_events.cover_all(conn, list(deleted), up_to=up_to)


def _bury(conn: Connection, event: LandedEvent, error: Exception) -> None:
    webhook_events.mark_seen(conn, [Seen(event.event_seq, starts_fetch=False, dead_reason=_reason(event, error))])


def _is_fault_of_an_event(error: Exception) -> bool:
    """Whether another batch may succeed where this one failed; a database that is down or not migrated fails all."""
    if isinstance(error, MemoryError):
        return False
    if not isinstance(error, psycopg.Error):
        return True
    if error.sqlstate is None:
        # psycopg's own: a value that it cannot send, or a connection that is lost.
        return isinstance(error, psycopg.DataError | psycopg.ProgrammingError | psycopg.NotSupportedError)
    return error.sqlstate.startswith(_REFUSED_VALUES)


def _reason(event: LandedEvent, error: Exception) -> str:
    """Return in one line why an event is dead; log what is our own mistake, with the place."""
    lines = str(error).strip().splitlines() or [""]
    if isinstance(error, UninterpretableError):
        told = lines[0]
    else:
        log.error("event %d cannot be interpreted", event.event_seq, exc_info=error)
        told = f"{type(error).__name__}: {lines[0]}"
    printable = "".join(character if character.isprintable() else " " for character in told)
    return printable if len(printable) <= MAX_REASON else f"{printable[:MAX_REASON]}..."
