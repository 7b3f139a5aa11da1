"""Which integrations are to be run, decided from the state of the tables; nothing here knows Dagster."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Final

from kombo_pipeline.ingest.statements.webhook_events import WaitingIntegration
from kombo_pipeline.linking.statements.matched_integrations import WaitingMatching
from kombo_pipeline.orchestration.backlog import Asked, InterruptedMatching

REQUESTS_A_TICK: Final = 100
"""Dagster checks each request on its own and gives a tick 60 seconds. What is left out comes with the next tick."""


def run_key(waiting: WaitingIntegration) -> str:
    """Return the key under which one state of an integration's backlog is run once.

    Dagster drops a request whose key it has seen, however that run ended. A failed run is therefore asked
    for again only by something that changes the key: a newer event, a moved watermark, a replay, or work that was
    cut off because its process was killed; the poll, whose keys tell the time, is the last resort. The time of the
    newest event stands beside its number, since a restored warehouse gives the same numbers to other events.
    """
    since = waiting.watermark.isoformat() if waiting.watermark else "first"
    received = f"/{waiting.newest_received_at.timestamp():.6f}" if waiting.newest_received_at else ""
    key = f"{waiting.integration_id}@{since}@{waiting.newest_event}{received}.{waiting.replays}"
    return f"{key}#{waiting.interrupted}" if waiting.interrupted else key


def rematch_keys(waiting: Iterable[WaitingMatching], interrupted: Iterable[InterruptedMatching] = ()) -> dict[str, str]:
    """Return the key under which one state of an integration's own jobs is matched once; see `run_key`.

    A failed run is asked for again by the next own job, and by every sync, which matches as well.
    """
    keys = {each.integration_id: f"{each.integration_id}@{each.matched_at}@{each.state}" for each in waiting}
    for each in interrupted:
        key = keys.get(each.integration_id) or f"{each.integration_id}@{each.matched_at}@"
        keys[each.integration_id] = f"{key}#{each.interrupted}"
    return keys


def with_interrupted(
    waiting: Iterable[WaitingIntegration], interrupted: Iterable[WaitingIntegration]
) -> list[WaitingIntegration]:
    """Return what waits for a fetch: first work that was cut off, which is the oldest, then by the oldest event."""
    cut_off = {each.integration_id: each for each in interrupted}
    with_events = {each.integration_id: each for each in waiting}
    both = [replace(each, interrupted=cut_off[key].interrupted) for key, each in with_events.items() if key in cut_off]
    return [
        *(each for key, each in cut_off.items() if key not in with_events),
        *both,
        *(each for key, each in with_events.items() if key not in cut_off),
    ]


def due_integrations(waiting: Iterable[WaitingIntegration], in_work: Collection[str]) -> list[WaitingIntegration]:
    """Return the integrations to run for their waiting events: those that are not in work.

    However many events wait, one run covers them. An event that lands while a fetch is in work is covered
    by it if it landed before the fetch began, and is still waiting afterwards if it did not.
    """
    return [each for each in waiting if each.integration_id not in in_work]


def next_requests(
    run_keys: Mapping[str, str], asked: Mapping[str, Asked], *, limit: int = REQUESTS_A_TICK
) -> dict[str, str]:
    """Return the requests of one tick, so that nobody starves: those not asked for yet, then the longest ago.

    Within each group the order is that of `run_keys`, the oldest first. A request that Dagster has received before
    starts nothing; repeating it makes up for a request that got lost.
    """
    new = [key for key in run_keys if key not in asked or asked[key].run_key != run_keys[key]]
    is_new = set(new)
    again = sorted((key for key in run_keys if key not in is_new), key=lambda key: asked[key].requested_at)
    return {key: run_keys[key] for key in [*new, *again][:limit]}
