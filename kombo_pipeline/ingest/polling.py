"""How long an integration may be silent before it is asked, and when it is fetched in full."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

from kombo_pipeline.ingest.fetchable import may_be_fetched
from kombo_pipeline.ingest.statements.integrations import Rhythm

RETRY_UNAVAILABLE_AFTER = timedelta(minutes=10)
POLL_AT_MOST_EVERY = timedelta(hours=1)
POLL_AT_LEAST_EVERY = timedelta(hours=6)
FULL_FETCH_EVERY = timedelta(days=7)


def silence_allowed(event_times: Sequence[datetime]) -> timedelta:
    """Return how long an integration may be silent before it is polled, from its recent trigger events.

    How often Kombo syncs differs by tool and plan (every 3 hours, every 24 with upstream webhooks, seconds in
    between). An event is late after 1.5 times the median gap. The result lies between one hour and six: silence may
    also mean that webhooks do not arrive.
    """
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(event_times)]
    usual = timedelta(seconds=1.5 * median(gaps)) if gaps else POLL_AT_MOST_EVERY
    return min(max(usual, POLL_AT_MOST_EVERY), POLL_AT_LEAST_EVERY)


def is_silent(rhythm: Rhythm, *, now: datetime) -> bool:
    """Whether an integration must be polled: no event and no fetch of ours for longer than its rhythm allows.

    After a failure that may pass it is asked again soon; a run that waited instead would keep its slot from others.
    After a refusal it is asked at the slowest pace, because somebody has to act first. An event that no fetch has
    covered for RETRY_UNAVAILABLE_AFTER was lost with its run, for example one that could not be launched.
    """
    attempted_at = rhythm.fetch_attempted_at
    if not may_be_fetched(rhythm):
        return False
    if attempted_at is None:
        return True
    if rhythm.fetch_state == "unavailable":
        return now - attempted_at >= RETRY_UNAVAILABLE_AFTER
    if rhythm.fetch_state == "refused":
        return now - attempted_at >= POLL_AT_LEAST_EVERY
    if rhythm.fetch_state == "current" and rhythm.waiting_since is not None:
        return now - max(attempted_at, rhythm.waiting_since) >= RETRY_UNAVAILABLE_AFTER
    return now - max([attempted_at, *rhythm.event_times[-1:]]) >= silence_allowed(rhythm.event_times)


def full_fetch_is_due(rhythm: Rhythm, *, now: datetime) -> bool:
    """Whether the newest full fetch is a week old. An integration without one is not due: its first fetch is full."""
    if not may_be_fetched(rhythm) or rhythm.full_fetched_at is None:
        return False
    return now - rhythm.full_fetched_at >= FULL_FETCH_EVERY


@dataclass(frozen=True)
class Silence:
    """How long an integration has been silent, and how long it may be."""

    silent_for: timedelta | None
    """Since the newest event or fetch; None when there was none yet."""
    allowed: timedelta
    """It is polled after this much silence."""
    is_due: bool
    """Whether it must be polled now."""
    waiting_since: datetime | None
    """Since when an event waits that no fetch has covered."""


def silence(rhythm: Rhythm, *, now: datetime) -> Silence:
    """Return how long an integration has been silent at `now`, and whether it must be polled."""
    heard = [moment for moment in (rhythm.fetch_attempted_at, *rhythm.event_times[-1:]) if moment]
    return Silence(
        now - max(heard) if heard else None,
        silence_allowed(rhythm.event_times),
        is_silent(rhythm, now=now),
        rhythm.waiting_since,
    )
