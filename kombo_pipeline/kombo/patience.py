"""How long Kombo is waited for: the pauses between attempts, and the total that they and hanging requests share."""

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
