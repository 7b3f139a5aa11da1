"""Which own jobs wait, kept between two cards so that the next one is there at once.

To list all that wait takes a look at every own job and every answer, a tenth of a second or more for tens of
thousands. So each queue's list is kept for some minutes, and read anew after the page is sent once it is a minute old.
Answers given since, by whomever, are taken out of it before it is used, and no own job is shown without asking
whether it still waits; only what begins to wait meanwhile comes late.
"""

import time
from collections import Counter
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request

from kombo_pipeline.warehouse import answers, review
from kombo_pipeline.warehouse.connection import Connection
from kombo_pipeline.warehouse.review import Key, Queue

FRESH_SECONDS: Final = 60
KEPT_SECONDS: Final = 300
KEPT_QUEUES: Final = 16
MOST_ANSWERS: Final = 100
"""After more answers than this a list is read anew."""


@dataclass
class _List:
    keys: dict[Key, None]  # in order; a key is taken out in one step, whatever other threads do
    read_at: float
    decision_id: int


class Waiting:
    """The queues' lists in this process; may be used by several threads."""

    def __init__(self) -> None:
        self._lists: dict[Queue, _List] = {}

    def next(self, conn: Connection, queue: Queue, *, skip: int = 0) -> tuple[int, int, Key | None]:
        """Return how many own jobs wait, how many are passed over, and the own job after those.

        No more than all but one are passed over; None where nothing waits.
        """
        kept = self._current(conn, queue)
        while keys := list(kept.keys):
            skip = min(skip, len(keys) - 1)
            if review.waits(conn, queue, keys[skip]):
                return len(keys), skip, keys[skip]
            kept.keys.pop(keys[skip], None)
        return 0, 0, None

    def count(self, conn: Connection, queue: Queue) -> int:
        """Return how many own jobs wait."""
        return len(self._current(conn, queue).keys)

    def by_integration(self, conn: Connection) -> Counter[str]:
        """Return how many own jobs wait of each integration."""
        return Counter(integration_id for _, _, integration_id in list(self._current(conn, Queue()).keys))

    def is_old(self, queue: Queue) -> bool:
        """Whether a queue's list should be read anew, without anybody waiting for it."""
        kept = self._lists.get(queue)
        return kept is not None and time.monotonic() - kept.read_at > FRESH_SECONDS

    def read(self, conn: Connection, queue: Queue) -> None:
        """Read a queue's list anew."""
        self._read(conn, queue)

    def _current(self, conn: Connection, queue: Queue) -> _List:
        kept = self._lists.get(queue)
        if kept is None or not kept.keys or time.monotonic() - kept.read_at > KEPT_SECONDS:
            return self._read(conn, queue)
        since = answers.decided_since(conn, kept.decision_id, limit=MOST_ANSWERS + 1)
        # What was taken back waits again, at a place that only a new list knows.
        if len(since) > MOST_ANSWERS or any(row["decision"] == "undone" for row in since):
            return self._read(conn, queue)
        for key in {(row["customer_id"], row["own_job_id"], row["integration_id"]) for row in since}:
            if key in kept.keys and not review.waits(conn, queue, key):
                kept.keys.pop(key, None)
        kept.decision_id = max([kept.decision_id, *(row["decision_id"] for row in since)])
        return kept

    def _read(self, conn: Connection, queue: Queue) -> _List:
        read_at, decision_id = time.monotonic(), answers.newest_id(conn)
        kept = _List(dict.fromkeys(review.waiting_keys(conn, queue)), read_at, decision_id)
        self._lists.pop(queue, None)
        self._lists[queue] = kept
        for oldest in list(self._lists)[:-KEPT_QUEUES]:
            self._lists.pop(oldest, None)
        return kept


def waiting_lists(request: Request) -> Waiting:
    """Return the lists that all pages of this process share."""
    state = request.app.state
    if not hasattr(state, "waiting"):
        state.waiting = Waiting()
    return state.waiting  # type: ignore[no-any-return]
