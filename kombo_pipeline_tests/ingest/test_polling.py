"""How long an integration may be silent, and when it is fetched in full: pure decisions."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kombo_pipeline.ingest.polling import full_fetch_is_due, is_silent, silence, silence_allowed
from kombo_pipeline.ingest.statements.integrations import Rhythm

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("gaps", "allowed"),
    [
        ([], HOUR),
        ([timedelta(seconds=20)] * 5, HOUR),
        ([2 * HOUR] * 5, 3 * HOUR),
        ([2 * HOUR, 2 * HOUR, 30 * DAY], 3 * HOUR),
        ([3 * HOUR] * 5, 4.5 * HOUR),
        ([DAY] * 5, 6 * HOUR),
    ],
)
def test_half_again_the_usual_gap_may_pass_but_never_less_than_an_hour_nor_more_than_six(
    gaps: list[timedelta], allowed: timedelta
) -> None:
    times = [NOW]
    for gap in gaps:
        times.append(times[-1] + gap)
    assert silence_allowed(times) == allowed


def state_of(**values: Any) -> Rhythm:
    usual: dict[str, Any] = {
        "integration_id": "tool:acme",
        "fetch_attempted_at": NOW,
        "fetch_state": "current",
        "deleted_at": None,
        "succeeded_by": None,
        "event_times": [],
        "waiting_since": None,
        "full_fetched_at": NOW,
    }
    return Rhythm(**usual | values)


@pytest.mark.parametrize(
    ("fetch_state", "pause"),
    [("current", HOUR), ("waiting", HOUR), ("never", HOUR), ("unavailable", 10 * MINUTE), ("refused", 6 * HOUR)],
)
def test_how_long_an_integration_may_be_silent_follows_from_its_last_fetch(fetch_state: str, pause: timedelta) -> None:
    state = state_of(fetch_state=fetch_state)
    assert not is_silent(state, now=NOW + pause - timedelta(seconds=1))
    assert is_silent(state, now=NOW + pause)


def test_an_integration_that_was_never_fetched_is_silent() -> None:
    assert is_silent(state_of(fetch_attempted_at=None, fetch_state="never"), now=NOW)


def test_an_event_breaks_the_silence_of_a_healthy_integration_only() -> None:
    heard = state_of(event_times=[NOW + 50 * MINUTE])
    assert not is_silent(heard, now=NOW + HOUR + MINUTE)
    assert is_silent(replace(heard, fetch_state="unavailable"), now=NOW + HOUR + MINUTE)


def test_an_event_whose_run_was_lost_is_polled_for_after_ten_minutes() -> None:
    event = NOW + 50 * MINUTE
    lost = state_of(event_times=[event], waiting_since=event)
    assert not is_silent(lost, now=event + 9 * MINUTE)
    assert is_silent(lost, now=event + 10 * MINUTE)
    assert not is_silent(replace(lost, fetch_attempted_at=event + 5 * MINUTE), now=event + 10 * MINUTE)
    assert not is_silent(replace(lost, fetch_state="refused"), now=event + 10 * MINUTE)
    assert not is_silent(replace(lost, fetch_state="waiting"), now=event + 10 * MINUTE)


def test_a_deleted_integration_is_never_polled_nor_reconciled() -> None:
    gone = state_of(deleted_at=NOW, fetch_attempted_at=None, full_fetched_at=NOW - 30 * DAY)
    assert not is_silent(gone, now=NOW + 30 * DAY)
    assert not full_fetch_is_due(gone, now=NOW + 30 * DAY)


def test_a_full_fetch_is_due_a_week_after_the_newest_one() -> None:
    assert not full_fetch_is_due(state_of(), now=NOW + 7 * DAY - MINUTE)
    assert full_fetch_is_due(state_of(), now=NOW + 7 * DAY)
    assert not full_fetch_is_due(state_of(full_fetched_at=None), now=NOW + 30 * DAY)


def test_silence_is_measured_by_the_integrations_own_rhythm() -> None:
    events = [NOW - (8 - 2 * n) * HOUR for n in range(3)]
    heard = state_of(fetch_attempted_at=NOW - 5 * HOUR, event_times=events)
    found = silence(heard, now=NOW)
    assert (found.silent_for, found.allowed, found.is_due) == (4 * HOUR, 3 * HOUR, True)
    assert silence(replace(heard, event_times=[], fetch_attempted_at=None), now=NOW).silent_for is None
