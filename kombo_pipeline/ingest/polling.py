"""How long an integration may be silent before it is asked, and when it is fetched in full."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Any

RETRY_UNAVAILABLE_AFTER = timedelta(minutes=10)
POLL_AT_MOST_EVERY = timedelta(hours=1)
POLL_AT_LEAST_EVERY = timedelta(hours=6)
FULL_FETCH_EVERY = timedelta(days=7)


def silence_allowed(event_times: Sequence[datetime]) -> timedelta:
    """Return how long an integration may be silent before it is polled, from its recent trigger events.

    Kombo's rhythm differs by tool and plan (3 hours, 24 with upstream webhooks, seconds in between). Half
    again the median gap means that an event is late; never more often than hourly, never less than every
    six hours, since silence may also mean that webhooks do not arrive.
    """
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(event_times)]
    usual = timedelta(seconds=1.5 * median(gaps)) if gaps else POLL_AT_MOST_EVERY
    return min(max(usual, POLL_AT_MOST_EVERY), POLL_AT_LEAST_EVERY)


def is_silent(state: Mapping[str, Any], *, now: datetime) -> bool:
    """Whether an integration must be polled: neither an event nor a fetch of ours for longer than its rhythm allows.

    One whose fetch failed for a passing reason is asked again soon, for a run that waited would keep others
    from its slot; a refused one at the slowest pace, for somebody has to act first. An event that no fetch
    has covered for as long was lost with its run, one that could not be launched for example.
    """
    attempted_at, fetch_state = state["fetch_attempted_at"], state["fetch_state"]
    if state["deleted_at"] is not None or state["succeeded_by"] is not None:
        return False
    if attempted_at is None:
        return True
    if fetch_state in ("unavailable", "refused"):
        pause = RETRY_UNAVAILABLE_AFTER if fetch_state == "unavailable" else POLL_AT_LEAST_EVERY
        return bool(now - attempted_at >= pause)
    if fetch_state == "current" and state["waiting_since"] is not None:
        return bool(now - max(attempted_at, state["waiting_since"]) >= RETRY_UNAVAILABLE_AFTER)
    heard_at = max([attempted_at, *state["event_times"][-1:]])
    return bool(now - heard_at >= silence_allowed(state["event_times"]))


def full_fetch_is_due(state: Mapping[str, Any], *, now: datetime) -> bool:
    """Whether an integration's newest full fetch is a week old; one that was never fetched awaits its first."""
    full_fetched_at = state["full_fetched_at"]
    if state["deleted_at"] is not None or state["succeeded_by"] is not None:
        return False
    return full_fetched_at is not None and now - full_fetched_at >= FULL_FETCH_EVERY
