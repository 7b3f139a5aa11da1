"""How long Kombo is waited for: the pauses between attempts, and the total that they and hanging requests share."""

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
"""Seconds: what an attempt gets at least, after a pause that has used up the patience."""

_BACKOFF = tenacity.wait_random_exponential(multiplier=1, max=60)


class Patience:
    """Seconds that may still be lost: to sleeps between attempts, and to requests that fail in the end."""

    def __init__(self, seconds: float) -> None:
        self.left = seconds


class Lines:
    """The connections of a client, to be cut when an answer takes too long.

    A time-out between two bytes says nothing of an answer, or its headers, that comes a byte at a time.
    """

    def __init__(self) -> None:
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    def note(self, event: str, info: Mapping[str, Any]) -> None:
        """Note a connection that is made; httpcore's `trace`."""
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            found = info["return_value"].get_extra_info("socket")
            if isinstance(found, socket.socket):
                self._sockets.add(found)

    @contextmanager
    def cut_after(self, seconds: float) -> Iterator[None]:
        """Cut the connections when the block takes longer; whoever reads from one gets a transport error."""
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
                # That of the plain socket: a TLS one would first change what its reader works with.
                socket.socket.shutdown(each, socket.SHUT_RDWR)


def pause_before_retry(state: tenacity.RetryCallState) -> float:
    """Seconds of full jitter, after what the answer asked for: all who wait for one reset wake at once."""
    error = error_of(state)
    asked = error.retry_after if isinstance(error, KomboError) else None
    return min((asked or 0.0) + _BACKOFF(state), MAX_RETRY_WAIT)


def error_of(state: tenacity.RetryCallState) -> BaseException | None:
    """The error of the newest attempt."""
    return state.outcome.exception() if state.outcome else None


def within(timeout: httpx.Timeout, seconds: float) -> httpx.Timeout:
    """The timeout, with no part of it longer than the seconds that are left."""
    parts = (timeout.connect, timeout.read, timeout.write, timeout.pool)
    connect, read, write, pool = (seconds if part is None else min(part, seconds) for part in parts)
    return httpx.Timeout(connect=connect, read=read, write=write, pool=pool)
