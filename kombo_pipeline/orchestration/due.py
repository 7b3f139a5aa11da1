"""Which integrations are to be run, decided from the state of the tables; nothing here knows Dagster."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any


def run_key(waiting: Mapping[str, Any]) -> str:
    """Return the key under which one state of an integration's backlog is run once.

    Dagster drops a request whose key it has seen, however that run ended. A failed run is therefore asked
    for again only by something that changes the key: a newer event, a moved watermark, or a replay; the poll,
    which has no key, is the last resort.
    """
    watermark = waiting["watermark"]
    since = watermark.isoformat() if watermark else "first"
    return f"{waiting['integration_id']}@{since}@{waiting['newest_event']}.{waiting['replays']}"


def rematch_keys(waiting: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the key under which one state of an integration's own jobs is matched once; see `run_key`.

    A failed run is asked for again by the next own job, and by every sync, which matches as well.
    """
    return {
        each["integration_id"]: f"{each['integration_id']}@{each['matched_at']}@{each['state']}" for each in waiting
    }


def due_integrations(waiting: Iterable[Mapping[str, Any]], in_flight: Collection[str]) -> list[Mapping[str, Any]]:
    """Return the integrations to run for their waiting events: those without a run in flight.

    However many events wait, one run covers them. An event that lands while a run is in flight is covered
    by it if the run has not begun to fetch, and is still waiting afterwards if it had.
    """
    return [each for each in waiting if each["integration_id"] not in in_flight]
