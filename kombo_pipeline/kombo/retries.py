"""Retries of requests to Kombo: the pauses between attempts, and the time that failed attempts may cost in all."""

import socket
import threading
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import httpx
import tenacity

from kombo_pipeline.kombo.errors import KomboError

MAX_RETRY_WAIT = 300.0
"""Seconds: the longest single wait, whatever a header asks for."""
LAST_ATTEMPT = 0.5
"""Seconds that an attempt has at least, even when the pause before it has used up the time budget."""

_BACKOFF = tenacity.wait_random_exponential(multiplier=1, max=60)


class TimeBudget:
    """The seconds left for pauses between attempts and for failed requests. Successful requests cost nothing."""

    def __init__(self, seconds: float) -> None:
        self.left = seconds


class OpenConnections:
    """The open connections of a client, so that they can be closed when a response takes too long.

    The read time-out of httpx counts from byte to byte, so it does not limit a response that arrives byte by byte.
    """

    def __init__(self) -> None:
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    def note(self, event: str, info: Mapping[str, Any]) -> None:
        """Remember a new connection; called by httpcore's `trace` extension."""
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            found = info["return_value"].get_extra_info("socket")
            if isinstance(found, socket.socket):
                self._sockets.add(found)

    @contextmanager
    def cut_after(self, seconds: float) -> Iterator[None]:
        """Close the connections when the block takes longer; reading from them then raises a transport error."""
        timer = threading.Timer(seconds, self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _cut(self) -> None:
        for each in list(self._sockets):
            with suppress(OSError):
                # The method of the plain socket: that of a TLS socket would change the state its reader uses.
                socket.socket.shutdown(each, socket.SHUT_RDWR)


def pause_before_retry(state: tenacity.RetryCallState) -> float:
    """Return seconds to wait: what the response asks for, plus jitter, so that clients do not all retry at once."""
    error = error_of(state)
    asked = error.retry_after if isinstance(error, KomboError) else None
    return min((asked or 0.0) + _BACKOFF(state), MAX_RETRY_WAIT)


def error_of(state: tenacity.RetryCallState) -> BaseException | None:
    """Return the error of the newest attempt."""
    return state.outcome.exception() if state.outcome else None


def within(timeout: httpx.Timeout, seconds: float) -> httpx.Timeout:
    """Return the timeout with each part limited to the seconds that are left."""
    parts = (timeout.connect, timeout.read, timeout.write, timeout.pool)
    connect, read, write, pool = (seconds if part is None else min(part, seconds) for part in parts)
    return httpx.Timeout(connect=connect, read=read, write=write, pool=pool)
