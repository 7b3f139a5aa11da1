"""Runs that are cut off at a chosen statement, commit or request."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import dict_row

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.ingest import events
from kombo_pipeline.ingest.apply import apply_landed_fetches
from kombo_pipeline.ingest.fetch import land_fetch
from kombo_pipeline.sandbox.traffic import Fault
from kombo_pipeline_tests.ingest.model import OVERLAP, Customer


class Lost(psycopg.OperationalError):
    """The server, or we, went away; what came of a commit under way is unknown."""


class FatalConnection(psycopg.Connection[dict[str, Any]]):
    """A connection that is lost at the `fatal`-th of its points: before a statement, before or after a commit."""

    points = 0
    fatal = 0
    strike: Callable[[], None] | None = None

    def point(self) -> None:
        self.points += 1
        if self.points != self.fatal:
            return
        if self.strike:
            self.strike()
        else:
            self.close()
            raise Lost(f"the connection is lost at point {self.fatal}")

    def commit(self) -> None:
        self.point()
        super().commit()
        self.point()


class FatalCursor(psycopg.Cursor[dict[str, Any]]):
    """Each statement is a point of the connection."""

    def execute(self, *arguments: Any, **options: Any) -> Any:
        self.connection.point()  # type: ignore[attr-defined]
        return super().execute(*arguments, **options)

    def executemany(self, *arguments: Any, **options: Any) -> None:
        self.connection.point()  # type: ignore[attr-defined]
        super().executemany(*arguments, **options)

    @contextmanager
    def copy(self, *arguments: Any, **options: Any) -> Iterator[psycopg.Copy]:
        self.connection.point()  # type: ignore[attr-defined]
        with super().copy(*arguments, **options) as copy:
            yield copy
            # The rows are on their way, the statement has not ended.
            self.connection.point()  # type: ignore[attr-defined]


class Outcome(NamedTuple):
    points: int
    requests: int


def run(
    url: str,
    acme: Customer,
    *,
    full: bool,
    fatal: int = 0,
    strike: Callable[[], None] | None = None,
    fault: tuple[int, str] | None = None,
) -> Outcome:
    """Look at events, fetch, apply; cut off at a point of the connection (by `strike`) or at a request."""
    requests = 0

    def take_fault(*_: object) -> Fault | None:
        nonlocal requests
        requests += 1
        return Fault(fault[1]) if fault and requests == fault[0] else None  # type: ignore[arg-type]

    acme.world.take_fault = take_fault  # type: ignore[method-assign]
    try:
        with FatalConnection.connect(
            url, row_factory=dict_row, cursor_factory=FatalCursor, options="-c timezone=UTC"
        ) as conn:
            backend = conn.info.backend_pid
            conn.fatal, conn.strike = fatal, strike
            events.observe_events(conn)
            conn.commit()
            land_fetch(conn, acme.kombo, acme.id, overlap=OVERLAP, full=full, now=acme.now)
            apply_landed_fetches(conn, acme.id)
            conn.commit()
            return Outcome(conn.points, requests)
    finally:
        del acme.world.take_fault
        wait_until_gone(acme.conn, backend)


def wait_until_gone(conn: Connection, backend: int | None = None) -> None:
    """Until the server has noticed that a client (all others when none is named) is gone, and freed its locks."""
    others = (
        "select from pg_stat_activity where datname = current_database() and backend_type = 'client backend' "
        "and pid <> pg_backend_pid() and pid = coalesce(%s, pid)"
    )
    while conn.execute(others, (backend,)).fetchone() is not None:
        conn.rollback()
        time.sleep(0.005)
    conn.rollback()
