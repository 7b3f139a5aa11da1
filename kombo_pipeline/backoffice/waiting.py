"""A list of the own jobs that wait for review, kept in memory so that the next card is shown at once.

To read it, Postgres looks at every own job and every answer, which takes 0.1 s or more for tens of thousands. So the
list is kept for some minutes, and read again, after a page was sent, once it is a minute old. Own jobs that anybody
has answered since are taken out before it is used, and every own job is checked again before it is shown. Only an own
job that begins to wait meanwhile is shown late.
"""

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from starlette.requests import Request

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.linking.own_job_key import OwnJobKey, own_job_key
from kombo_pipeline.linking.statements import link_decisions, review_queue
from kombo_pipeline.linking.statements.review_queue import Queue, WaitingJob

FRESH_SECONDS: Final = 60
KEPT_SECONDS: Final = 300
EMPTY_SECONDS: Final = 1
"""An empty queue is read again after this time: a page should not say that nothing waits when something does."""
KEPT_QUEUES: Final = 16
MOST_ANSWERS: Final = 100
"""After more answers than this the whole list is read again."""


@dataclass
class _Everything:
    """The own jobs that waited when the list was read. Threads may share it: each change of a queue is one step."""

    jobs: dict[OwnJobKey, WaitingJob]
    read_at: float
    decision_id: int
    queues: dict[Queue, dict[OwnJobKey, None]] = field(default_factory=dict)  # in order

    @property
    def age(self) -> float:
        return time.monotonic() - self.read_at

    def queue(self, queue: Queue) -> dict[OwnJobKey, None]:
        keys = self.queues.get(queue)
        if keys is None:
            held = [job for job in list(self.jobs.values()) if queue.holds(job)]
            keys = self.queues[queue] = dict.fromkeys(job.key for job in sorted(held, key=queue.sort_key))
            for oldest in list(self.queues)[:-KEPT_QUEUES]:
                self.queues.pop(oldest, None)
        return keys

    def update(self, key: OwnJobKey, job: WaitingJob | None) -> None:
        """Store how an own job is now, and take it out of the queues that do not hold it; None: it no longer waits."""
        if job is None:
            self.jobs.pop(key, None)
        else:
            self.jobs[key] = job
        for queue, keys in list(self.queues.items()):
            if job is None or not queue.holds(job):
                keys.pop(key, None)


class Waiting:
    """The queues of this process; may be used by several threads."""

    def __init__(self) -> None:
        self._kept: _Everything | None = None

    def next(self, conn: Connection, queue: Queue, *, skip: int = 0) -> tuple[int, int, OwnJobKey | None]:
        """Return how many own jobs wait, how many are passed over, and the own job after those.

        No more than all but one are passed over; None where nothing waits.
        """
        kept = self._current(conn, queue)
        while keys := list(kept.queue(queue)):
            skip = min(skip, len(keys) - 1)
            job = review_queue.waiting_job(conn, keys[skip])
            if job is not None and queue.holds(job):
                return len(keys), skip, keys[skip]
            kept.update(keys[skip], job)
        return 0, 0, None

    def count(self, conn: Connection, queue: Queue) -> int:
        """Return how many own jobs wait."""
        return len(self._current(conn, queue).queue(queue))

    def by_integration(self, conn: Connection) -> Counter[str]:
        """Return how many own jobs wait of each integration."""
        return Counter(key.integration_id for key in list(self._current(conn, Queue()).queue(Queue())))

    def is_old(self) -> bool:
        """Whether the list should be read again in the background."""
        return self._kept is not None and self._kept.age > FRESH_SECONDS

    def read(self, conn: Connection) -> _Everything:
        """Read the list again."""
        read_at, decision_id = time.monotonic(), link_decisions.newest_id(conn)
        self._kept = _Everything({job.key: job for job in review_queue.waiting(conn)}, read_at, decision_id)
        return self._kept

    def _current(self, conn: Connection, queue: Queue) -> _Everything:
        kept = self._kept
        if kept is None or kept.age > KEPT_SECONDS or (kept.age > EMPTY_SECONDS and not kept.queue(queue)):
            return self.read(conn)
        since = link_decisions.decided_since(conn, kept.decision_id, limit=MOST_ANSWERS + 1)
        # An own job whose answer was taken back waits again; only a new list has its place.
        if len(since) > MOST_ANSWERS or any(row.decision == "undone" for row in since):
            return self.read(conn)
        for key in {own_job_key(row) for row in since}:
            if key in kept.jobs:
                kept.update(key, review_queue.waiting_job(conn, key))
        kept.decision_id = max([kept.decision_id, *(row.decision_id for row in since)])
        return kept


def waiting_lists(request: Request) -> Waiting:
    """Return the lists that all pages of this process share."""
    state = request.app.state
    if not hasattr(state, "waiting"):
        state.waiting = Waiting()
    return state.waiting  # type: ignore[no-any-return]
