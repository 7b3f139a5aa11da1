"""A run is cut off at every statement, commit and request, once each; repeated, it must end where it would have."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple

import psycopg
import pytest
from psycopg.rows import dict_row

from kombo_pipeline.kombo import client as kombo_client
from kombo_pipeline.kombo.client import Kombo
from kombo_pipeline.kombo.errors import KomboError
from kombo_pipeline.local import postgres
from kombo_pipeline.sandbox.traffic import Fault
from kombo_pipeline.sync import apply, health
from kombo_pipeline.sync.apply import apply_landed_fetches
from kombo_pipeline.sync.fetch import land_fetch
from kombo_pipeline.warehouse.connection import Connection, connect
from kombo_pipeline.warehouse.migrate import migrate
from kombo_pipeline_tests.sync.model import (
    OVERLAP,
    Customer,
    Served,
    assert_equals_kombo,
    assert_history_has_no_gap,
    client,
    picture,
)


class Lost(psycopg.OperationalError):
    """The server, or we, went away; what came of a commit under way is unknown."""


class FatalConnection(psycopg.Connection[dict[str, Any]]):
    """A connection that is lost at the `fatal`-th of its points: before a statement, before or after a commit."""

    points = 0
    fatal = 0

    def point(self) -> None:
        self.points += 1
        if self.points == self.fatal:
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


def run(url: str, acme: Customer, *, full: bool, fatal: int = 0, fault: tuple[int, str] | None = None) -> Outcome:
    """Look at events, fetch, apply; cut off at a point of the connection or at a request."""
    requests = 0

    def take_fault(path: str, page: int) -> Fault | None:
        nonlocal requests
        requests += 1
        return Fault(fault[1]) if fault and requests == fault[0] else None  # type: ignore[arg-type]

    acme.world.take_fault = take_fault  # type: ignore[method-assign]
    with FatalConnection.connect(url, row_factory=dict_row, cursor_factory=FatalCursor) as conn:
        conn.fatal = fatal
        health.observe_events(conn)
        conn.commit()
        land_fetch(conn, acme.kombo, acme.id, overlap=OVERLAP, full=full, now=acme.world.clock.now)
        apply_landed_fetches(conn, acme.id)
        conn.commit()
        # Leaving the block commits once more.
        return Outcome(conn.points, requests)


class Snapshot:
    """The warehouse at one moment, to go back to."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._statements = ["set local session_replication_role = replica"]
        tables = conn.execute(
            "select table_schema as schema, table_name as name, string_agg(quote_ident(column_name), ', ') as columns "
            "from information_schema.columns join pg_tables on schemaname = table_schema and tablename = table_name "
            "where table_schema in ('raw', 'core') and is_generated = 'NEVER' group by 1, 2"
        ).fetchall()
        conn.execute("drop schema if exists snapshot cascade")
        conn.execute("create schema snapshot")
        for table in tables:
            original, kept = f"{table['schema']}.{table['name']}", f"snapshot.{table['name']}"
            conn.execute(f"create table {kept} as table {original}")
            self._statements += [
                f"delete from {original}",
                f"insert into {original} ({table['columns']}) overriding system value "
                f"select {table['columns']} from {kept}",
            ]
        conn.commit()

    def restore(self) -> None:
        self._conn.execute("; ".join(self._statements))
        self._conn.commit()


Upstream = Callable[[Customer], None]


def beginning(acme: Customer) -> None:
    acme.distort(acme.ids()[3], name=7)


def life_goes_on(acme: Customer) -> None:
    ids = acme.open_ids()
    acme.world.open_job(acme.id)
    acme.world.edit_job(acme.id, ids[0], name="Renamed")
    acme.world.set_status(acme.id, ids[1], "CLOSED")
    acme.world.delete_job(acme.id, ids[2])
    acme.world.add_nested(acme.id, ids[3], "stages", name="Chat")
    acme.world.sync(acme.id)
    acme.distort(ids[0], description="\0")
    acme.world.clock.advance(timedelta(hours=1))
    acme.deliver()


def two_weeks_of_silence(acme: Customer) -> None:
    ids = acme.open_ids()
    acme.world.set_raw(acme.id, ids[0], None)
    acme.world.delete_job(acme.id, ids[4])
    acme.world.edit_nested(acme.id, ids[5], "stages", 0, name="Edited")
    acme.world.sync(acme.id)
    acme.world.clock.advance(timedelta(days=15))
    acme.world.sync(acme.id)
    acme.deliver()


PHASES: dict[str, tuple[Upstream, bool]] = {
    "first full fetch, with an odd record": (beginning, False),
    "incremental fetch with new, changed, closed, deleted and odd jobs": (life_goes_on, False),
    "full fetch with a vanished job": (two_weeks_of_silence, True),
}


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several pages a traversal and several batches an apply, from few jobs."""
    monkeypatch.setattr(kombo_client, "PAGE_SIZE", 6)
    monkeypatch.setattr(apply, "_PAGES_A_BATCH", 2)


@pytest.mark.usefixtures("small_pages")
def test_a_run_cut_off_anywhere_and_repeated_leaves_the_tables_of_an_undisturbed_one(
    warehouse_url: str, conn: Connection, served: Served
) -> None:
    acme = Customer(conn, served, jobs=18)
    hasty = Kombo(api_url=served.url, api_key="sandbox-key", now=acme.world.clock.now, max_attempts=1)
    acme.kombo = hasty
    counted: dict[str, Outcome] = {}
    failures = []
    with hasty:
        for phase, (upstream, full) in PHASES.items():
            upstream(acme)
            start = Snapshot(conn)
            undisturbed = run(warehouse_url, acme, full=full)
            expected = picture(conn)
            counted[phase] = undisturbed
            fatal_points: list[dict[str, Any]] = [{"fatal": n} for n in range(1, undisturbed.points + 1)]
            faults: tuple[Literal["drop", "truncate", "answer"], ...] = ("drop", "truncate", "answer")
            fatal_points += [{"fault": (n, k)} for n in range(1, undisturbed.requests + 1) for k in faults]
            for point in fatal_points:
                start.restore()
                with pytest.raises((Lost, KomboError)):
                    run(warehouse_url, acme, full=full, **point)
                run(warehouse_url, acme, full=full)
                found = picture(conn)
                failures += [(phase, point, table) for table in expected if found[table] != expected[table]]
            start.restore()
            run(warehouse_url, acme, full=full)
    points = sum(outcome.points + 3 * outcome.requests for outcome in counted.values())
    assert not failures, f"{len(failures)} of {points} points: {failures[:20]}"
    assert points >= 200, f"only {points} points: {counted}"
    assert sorted(set(acme.lifecycles().values()) & {"open", "closed", "deleted", "vanished"}) == [
        "closed",
        "deleted",
        "open",
        "vanished",
    ]
    assert len(acme.quarantined()) == 1
    assert_history_has_no_gap(conn)
    print(f"{points} points: {counted}")
