"""Which requests are served at a time: no visitor takes all threads, and what waits for others has threads of its own.

Requests wait their turn in the event loop, where waiting costs neither a thread nor a connection.
"""

from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Final, Literal, TypeVar
from weakref import WeakValueDictionary

import anyio
import anyio.to_thread
from starlette.exceptions import HTTPException

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


T = TypeVar("T")


class Threads:
    """The threads that all pages of this process share."""

    def __init__(self) -> None:
        self._pools = {pool: anyio.CapacityLimiter(number) for pool, number in THREADS.items()}
        self._all = anyio.CapacityLimiter(sum(THREADS.values()))
        self._turns: WeakValueDictionary[str, anyio.Semaphore] = WeakValueDictionary()
        """Of those who are served or wait; nobody else holds one."""

    async def run(self, pool: Pool, visitor: str, serve: Callable[[], T]) -> T:
        """Run a part of a request in a thread of the pool when its visitor's turn has come.

        Raises HTTPException 429 when that takes too long.
        """
        turn = self._turns.setdefault(visitor, anyio.Semaphore(REQUESTS_OF_A_VISITOR))
        async with AsyncExitStack() as held:
            with anyio.move_on_after(WAIT_SECONDS) as waiting:
                await held.enter_async_context(turn)
                await held.enter_async_context(self._pools[pool])
            if waiting.cancelled_caught:
                raise HTTPException(429, _TOO_MANY, {"Retry-After": str(WAIT_SECONDS)})
            return await anyio.to_thread.run_sync(serve, limiter=self._all)
