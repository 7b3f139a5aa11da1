"""What goes over the wire: faults on demand, and the log of requests."""

import random
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal


@dataclass(slots=True)
class Fault:
    """One request that goes wrong, put into `World.faults`; used up by the first `times` requests it matches.

    `answer` replaces the answer by `status`, `body`, `headers`; `drop` closes the connection without one;
    `truncate` cuts the body in half; `slow` waits `seconds` first; `retype` sends the body as `text/html`.
    """

    kind: Literal["answer", "drop", "truncate", "slow", "retype"]
    status: int = 502
    body: bytes | str = "<html><body><h1>502 Bad Gateway</h1></body></html>"
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "text/html"})
    seconds: float = 0.0
    path: str = ""
    """Part of the path to match; empty matches every path."""
    page: int | None = None
    """Only the page of this number (from 1) of a traversal."""
    parameter: str | None = None
    """Only requests that carry this query parameter."""
    times: int = 1

    def matches(self, path: str, page: int, parameters: Collection[str] = ()) -> bool:
        """Whether a request is hit."""
        return (
            self.path in path and self.page in (None, page) and (self.parameter is None or self.parameter in parameters)
        )


RANDOM_FAULTS = (
    Fault("answer", status=502),
    Fault("answer", status=503, body="Service Unavailable", headers={}),
    Fault(
        "answer",
        status=500,
        headers={"content-type": "application/json"},
        body='{"status":"error","error":{"code":"PLATFORM.UNKNOWN_ERROR","title":"Unknown error",'
        '"message":"Something went wrong on our side.","log_url":null}}',
    ),
    Fault("drop"),
    Fault("truncate"),
)
"""What `Behaviour.fault_rate` picks from."""


def take_fault(faults: deque[Fault], path: str, page: int, parameters: Collection[str]) -> Fault | None:
    """The first fault that hits a request, if any; used up by it."""
    for fault in faults:
        if fault.matches(path, page, parameters):
            fault.times -= 1
            if fault.times <= 0:
                faults.remove(fault)
            return fault
    return None


def random_fault(rng: random.Random, rate: float) -> Fault | None:
    """A fault for a share of the requests (0 to 1)."""
    return rng.choice(RANDOM_FAULTS) if rate > 0 and rng.random() < rate else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request the sandbox answered; `status` is 0 for a connection dropped on purpose."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    status: int

    @property
    def integration_id(self) -> str | None:
        """The tenant asked for."""
        return self.headers.get("x-integration-id")
