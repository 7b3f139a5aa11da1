"""Which requests are served at a time: no visitor takes all threads, and what waits for others has threads of its own.

Requests wait their turn in the event loop, where waiting costs neither a thread nor a connection.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Final, Literal

import anyio
import anyio.to_thread
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

Pool = Literal["pages", "customers", "kombo", "dagster"]

THREADS: Final[dict[Pool, int]] = {"pages": 32, "customers": 3, "kombo": 4, "dagster": 4}
"""Threads of a kind of work; `customers` are the pages of those that came by a link, all of them together."""
REQUESTS_OF_A_VISITOR: Final = 3
"""Requests of one visitor that are served at a time; the next ones wait."""
WAIT_SECONDS: Final = 20
"""A request whose turn has not come by then is answered 429."""
_TOO_MANY: Final = (
    "Too many requests are being served before this one. Nothing was saved. Wait a moment, then try again."
)


class Threads:
    """The threads of this process; lives in one event loop."""

    def __init__(self) -> None:
        self._pools = {pool: anyio.CapacityLimiter(number) for pool, number in THREADS.items()}
        self._all = anyio.CapacityLimiter(sum(THREADS.values()))
        self._turns: dict[str, anyio.Semaphore] = {}
        self._there: Counter[str] = Counter()

    async def run(self, pool: Pool, visitor: str, serve: Callable[[], Response]) -> Response:
        """Serve a request in a thread of the pool when its visitor's turn has come.

        Raises HTTPException 429 when that takes too long.
        """
        turn = self._turns.setdefault(visitor, anyio.Semaphore(REQUESTS_OF_A_VISITOR))
        self._there[visitor] += 1
        try:
            async with AsyncExitStack() as held:
                with anyio.move_on_after(WAIT_SECONDS) as waiting:
                    await held.enter_async_context(turn)
                    await held.enter_async_context(self._pools[pool])
                if waiting.cancelled_caught:
                    raise HTTPException(429, _TOO_MANY, {"Retry-After": str(WAIT_SECONDS)})
                return await anyio.to_thread.run_sync(serve, limiter=self._all)
        finally:
            self._there[visitor] -= 1
            if not self._there[visitor]:
                del self._there[visitor], self._turns[visitor]


def threads_of(request: Request) -> Threads:
    """Return the threads that all pages of this process share."""
    state = request.app.state
    if not hasattr(state, "threads"):
        state.threads = Threads()
    return state.threads  # type: ignore[no-any-return]
