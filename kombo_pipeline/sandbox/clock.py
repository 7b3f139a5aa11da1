"""The world's time: UTC, moved by hand or running with the machine."""

import time
from datetime import UTC, datetime, timedelta

START = datetime(2026, 9, 14, 9, 0, tzinfo=UTC)
"""Where a clock that stands still begins, so that a seed alone decides every byte."""


class Clock:
    """A clock that stands still until it is advanced, or runs with real time from `start`."""

    def __init__(self, start: datetime | None = None, *, running: bool = False) -> None:
        self._start = start or (datetime.now(UTC) if running else START)
        self._running = running
        self._began = time.monotonic()
        self._advanced = timedelta(0)

    def now(self) -> datetime:
        """The world's instant, UTC."""
        elapsed = timedelta(seconds=time.monotonic() - self._began) if self._running else timedelta(0)
        return self._start + self._advanced + elapsed

    def advance(self, delta: timedelta) -> None:
        """Move forward; time never runs back."""
        if delta < timedelta(0):
            raise ValueError("a clock is only advanced")
        self._advanced += delta

    def uptime(self) -> float:
        """Seconds of real time plus all advances, running even while `now` stands still.

        Rate limit windows use it: a client that really waits must get through a clock that stands still.
        """
        return time.monotonic() - self._began + self._advanced.total_seconds()


def stamp(instant: datetime) -> str:
    """An instant as Kombo writes it: UTC, milliseconds (truncated), `Z`."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
