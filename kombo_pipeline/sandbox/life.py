"""Customers that live: seeded random changes, syncs in every state, integrations that come and go."""

import random
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from kombo_pipeline.sandbox import words
from kombo_pipeline.sandbox.world import World

_SYNC_STATES: Final = {
    "SUCCEEDED": 70,
    "PARTIALLY_FAILED": 12,
    "FAILED": 5,
    "TIMED_OUT": 4,
    "CANCELLED": 3,
    "AUTHENTICATION_FAILED": 3,
    "SKIPPED_BY_POLICY": 1,
}
"""How often syncs end in which state; the last is one that Kombo does not document."""

_SIZES: Final = (50, 25, 13, 8, 4)
"""Shares of the starting jobs, repeated: customers differ in size."""


class Life:
    """Changes a world step by step; `active` False pauses it. `pace` is the mean number of seconds between
    steps.
    """

    def __init__(self, world: World, pace: float = 2.0) -> None:
        self.active = True
        self._world = world
        self._pace = pace
        self._rng = random.Random(f"{world.seed}/life")
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sandbox-life", daemon=True)
        self._deleted: list[tuple[str, str]] = []
        self._steps: dict[Callable[[str], str], int] = {
            self._open: 14,
            self._edit: 18,
            self._edit_nested: 14,
            self._close: 8,
            self._archive: 2,
            self._delete: 4,
            self._restore: 1,
            self._repost: 3,
            self._upstream_event: 8,
            self._sync: 24,
            self._change_state: 1,
            self._connect: 1,
            self._disconnect: 1,
        }

    def step(self) -> str:
        """Let one thing happen; returns it in words."""
        chosen = self._rng.choice(self._world.integrations())
        act = self._rng.choices(list(self._steps), list(self._steps.values()))[0]
        return act(chosen)

    def start(self) -> None:
        """Step on in a thread until `stop`."""
        self._thread.start()

    def stop(self) -> None:
        """End after the step in hand."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(self._rng.expovariate(1 / self._pace)):
            if self.active:
                self.step()

    def _job(self, integration_id: str) -> str:
        jobs = self._world.ats_jobs(integration_id)
        return self._rng.choice(jobs) if jobs else self._world.open_job(integration_id)

    def _open(self, integration_id: str) -> str:
        return f"opened {self._world.open_job(integration_id, status='OPEN', closed_at=None)}"

    def _edit(self, integration_id: str) -> str:
        job_id = self._job(integration_id)
        job = self._world.ats_job(integration_id, job_id)
        low = float(self._rng.randint(35, 95) * 1000)
        pay = {
            "salary_amount": None,
            "salary_amount_from": low,
            "salary_amount_to": low * 1.2,
            "salary_currency": "EUR",
            "salary_period": "YEAR",
        }
        fields = self._rng.choice(({"name": f"{job['name']} - {self._rng.choice(('urgent', 'hybrid', 'II'))}"}, pay))
        self._world.edit_job(integration_id, job_id, **fields)
        return f"edited {job_id}: {', '.join(fields)}"

    def _edit_nested(self, integration_id: str) -> str:
        job_id = self._job(integration_id)
        list_name, field = self._rng.choice(
            (
                ("stages", "name"),
                ("screening_questions", "title"),
                ("job_postings", "title"),
                ("hiring_team", "last_name"),
            )
        )
        entries = self._world.ats_job(integration_id, job_id)[list_name]
        act = self._rng.choice(("add", "edit", "remove")) if entries else "add"
        index = self._rng.randrange(len(entries) or 1)
        if act == "add":
            self._world.add_nested(integration_id, job_id, list_name, **{field: self._rng.choice(words.LAST_NAMES)})
        elif act == "edit":
            changed = f"{entries[index][field]} (edited)"
            self._world.edit_nested(integration_id, job_id, list_name, index, **{field: changed})
        else:
            self._world.remove_nested(integration_id, job_id, list_name, index)
        return f"{act} in {list_name} of {job_id}"

    def _close(self, integration_id: str) -> str:
        job_id = self._job(integration_id)
        self._world.set_status(integration_id, job_id, "CLOSED")
        return f"closed {job_id}"

    def _archive(self, integration_id: str) -> str:
        job_id = self._job(integration_id)
        self._world.set_status(integration_id, job_id, "ARCHIVED")
        return f"archived {job_id}"

    def _delete(self, integration_id: str) -> str:
        job_id = self._job(integration_id)
        self._world.delete_job(integration_id, job_id)
        self._deleted.append((integration_id, job_id))
        return f"deleted {job_id}"

    def _restore(self, _: str) -> str:
        alive = self._world.integrations()
        candidates = [pair for pair in self._deleted if pair[0] in alive]
        if not candidates:
            return "nothing to restore"
        pair = self._rng.choice(candidates)
        self._deleted.remove(pair)
        self._world.restore_job(*pair)
        return f"restored {pair[1]}"

    def _repost(self, integration_id: str) -> str:
        job_id = self._job(integration_id)
        reposted = self._world.repost_job(integration_id, job_id)
        self._world.set_status(integration_id, job_id, "CLOSED")
        return f"re-posted {job_id} as {reposted}"

    def _upstream_event(self, integration_id: str) -> str:
        integration = self._world.integration(integration_id)
        waiting = sorted(integration.ats.touched & integration.ats.jobs.keys())
        if not waiting or not integration.synced:
            return "no upstream event"
        job_id = self._rng.choice(waiting)
        self._world.upstream_event(integration_id, job_id)
        return f"upstream event for {job_id}"

    def _sync(self, integration_id: str) -> str:
        state = self._rng.choices(list(_SYNC_STATES), list(_SYNC_STATES.values()))[0]
        kind = self._rng.choices(("FULL", "DELTA"), (3, 2))[0]
        self._world.sync(integration_id, state, kind="DELTA" if kind == "DELTA" else "FULL")
        return f"{kind} sync of {integration_id} {state}"

    def _change_state(self, integration_id: str) -> str:
        state = "INVALID" if self._world.integration(integration_id).state == "ACTIVE" else "ACTIVE"
        self._world.set_state(integration_id, state=state)
        if state == "INVALID":
            self._world.raise_issue(integration_id)
        return f"{integration_id} is {state}"

    def _connect(self, _: str) -> str:
        tool = self._rng.choice(list(words.TOOLS))
        integration_id = self._world.add_integration(tool=tool, jobs=self._rng.randint(5, 40), synced=False)
        self._world.queue_sync(integration_id, delay=timedelta(seconds=10))
        return f"connected {integration_id}"

    def _disconnect(self, integration_id: str) -> str:
        if len(self._world.integrations()) < 3:
            return "nobody left to disconnect"
        self._world.delete_integration(integration_id)
        return f"disconnected {integration_id}"


def populate(
    world: World,
    *,
    integrations: int = 5,
    jobs: int = 2000,
    first_sync_delay: timedelta = timedelta(seconds=8),
) -> list[str]:
    """Fill a world with customers of different sizes and tools, `jobs` in total; returns their ids.

    With three or more, the last one's first sync ends only after `first_sync_delay`.
    """
    shares = [_SIZES[number % len(_SIZES)] for number in range(integrations)]
    tools = list(words.TOOLS)
    created = []
    for number, share in enumerate(shares):
        late = integrations >= 3 and number == integrations - 1
        rest = jobs - sum(jobs * other // sum(shares) for other in shares) if number == 0 else 0
        count = jobs * share // sum(shares) + rest
        created.append(world.add_integration(tool=tools[number % len(tools)], jobs=count, synced=not late))
        if late:
            world.queue_sync(created[-1], delay=first_sync_delay)
    return created
