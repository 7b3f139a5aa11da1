"""What the connections of one server share: its limits, and who waits for its client.

A connection waits for its client while it has sent nothing, has sent a part of a request, or does not read its answer.
Each of these has a time. When there are too many connections, or they hold too much memory, those that wait for their
clients are closed; a request that has arrived whole is never given up for another.
"""

import logging
import math
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

MAX_HELD_BYTES = 16 * 1024 * 1024
"""What all connections together may hold of unfinished heads and of bodies in work; and as much of unread answers."""
_SILENT_SECONDS = 1
"""So long has a connection to send its first request before it is closed rather than one that served already."""
_LINE_SECONDS = 60

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Seconds:
    """How long a connection waits for its client."""

    head: float = 10
    """For a whole head, from connecting or from the first byte after an earlier request."""
    body: float = 10
    """For a whole body, from the end of the head."""
    answer: float = 30
    """Without progress while the client should read its answer."""


DEFAULT_SECONDS = Seconds()


class Waiter(Protocol):
    """A connection as the others see it."""

    connected_at: float
    was_served: bool
    held: int
    unread: int
    stalled_since: float

    def look_after(self, now: float) -> int:
        """Close the connection if its client has kept it waiting too long; return how much is left unread."""

    def abandon(self) -> None:
        """End the connection at once."""


@dataclass
class Doors:
    """What the connections of one server share: the limits, and who waits for its client, longest first."""

    max_connections: int
    keep_alive_seconds: float
    seconds: Seconds
    slow_bodies: Mapping[str, float]
    held: int = 0
    silent: OrderedDict[Waiter, None] = field(default_factory=OrderedDict)
    """Connections that wait and have had no answer yet."""
    served: OrderedDict[Waiter, None] = field(default_factory=OrderedDict)
    """Connections that wait and have had one: those of load balancers, above all."""
    closed: Counter[str] = field(default_factory=Counter)
    told_at: float = -math.inf

    def slow_body(self, path: str) -> float | None:
        """How long a body may take at a path of `slow_bodies`, None at all others."""
        return next((seconds for start, seconds in self.slow_bodies.items() if path.startswith(start)), None)

    def waits(self, connection: Waiter) -> None:
        """Note that a connection waits for its client from now on."""
        self.works(connection)
        (self.served if connection.was_served else self.silent)[connection] = None

    def works(self, connection: Waiter) -> None:
        """Note that a connection does not wait for its client, or is gone."""
        self.silent.pop(connection, None)
        self.served.pop(connection, None)

    def number_waiting(self) -> int:
        """How many connections wait for their clients."""
        return len(self.silent) + len(self.served)

    def make_room(self, newcomer: Waiter, now: float) -> None:
        """Close the connection that has waited longest; none if only the newcomer waits."""
        silent, served = next(iter(self.silent)), next(iter(self.served), None)
        longest = silent if served is None or silent.connected_at < now - _SILENT_SECONDS else served
        if longest is not newcomer:
            self.closed["too many connections"] += 1
            longest.abandon()

    def free_memory(self) -> None:
        """Close the unfinished requests that hold most, until the rest is within the limit."""
        waiting = sorted((*self.silent, *self.served), key=lambda each: each.held, reverse=True)
        for connection in waiting:
            if self.held <= MAX_HELD_BYTES or not connection.held:
                break
            self.closed["too much unfinished"] += 1
            connection.abandon()

    def look_after(self, connections: Sequence[Waiter], now: float) -> None:
        """Close whatever has waited too long or leaves too much unread."""
        unread = sum(connection.look_after(now) for connection in connections)
        if unread > MAX_HELD_BYTES:
            for connection in sorted(connections, key=lambda each: each.unread, reverse=True):
                if unread > MAX_HELD_BYTES and connection.stalled_since < now - _SILENT_SECONDS:
                    self.closed["too much unread"] += 1
                    unread -= connection.unread
                    connection.abandon()
        if self.closed and now > self.told_at + _LINE_SECONDS:
            reasons = ", ".join(f"{reason} ({number} closed)" for reason, number in self.closed.items())
            log.warning(
                "connections were closed before their time: %s; limit the connections of an address in the proxy "
                "in front, or there is more load than one process carries",
                reasons,
            )
            self.told_at = now
            self.closed.clear()
