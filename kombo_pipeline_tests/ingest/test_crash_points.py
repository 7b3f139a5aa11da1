"""A run is cut off at a statement, commit or request; repeated, it must end where it would have."""

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import psutil
import psycopg
import pytest

from kombo_pipeline.db import embedded
from kombo_pipeline.db.connection import Connection, connect
from kombo_pipeline.db.migrate import migrate
from kombo_pipeline.ingest import apply
from kombo_pipeline.kombo import client as kombo_client
from kombo_pipeline.kombo.errors import KomboError
from kombo_pipeline_tests.ingest.crashes import Outcome, run, wait_until_gone
from kombo_pipeline_tests.ingest.model import (
    Customer,
    Served,
    assert_equals_kombo,
    assert_history_has_no_gap,
    client,
    picture,
)


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


# Every point takes three minutes; the step of the sample has no common divisor with the points of a page or a batch.
@pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.long), 11], ids=["every point", "a sample"])
@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("small_pages")
def test_a_run_cut_off_anywhere_and_repeated_leaves_the_tables_of_an_undisturbed_one(
    warehouse_url: str, conn: Connection, served: Served, step: int
) -> None:
    acme = Customer(conn, served, jobs=18)
    acme.kombo = hasty = client(served.url, acme.now, max_attempts=1)
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
            for point in fatal_points[::step]:
                start.restore()
                # The first request asks for the details of the integration, which are a help and no condition.
                is_fatal = point.get("fault", (0, ""))[0] != 1
                with pytest.raises((psycopg.OperationalError, KomboError)) if is_fatal else nullcontext():
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


ENDLESS_RUN = """
import sys
from datetime import datetime, timedelta
from kombo_pipeline.kombo.client import Kombo
from kombo_pipeline.ingest.apply import apply_landed_fetches
from kombo_pipeline.ingest.fetch import land_fetch
from kombo_pipeline.db.connection import connect

url, api_url, integration_id, now = sys.argv[1:]
now = datetime.fromisoformat(now)
with connect(url) as conn, Kombo(api_url=api_url, api_key="sandbox-key") as kombo:
    print("ready", flush=True)
    while True:
        land_fetch(conn, kombo, integration_id, overlap=timedelta(minutes=5), now=lambda: now)
        apply_landed_fetches(conn, integration_id)
        conn.commit()
"""


def expire_leases(conn: Connection) -> None:
    """Half a minute passes since a process was killed."""
    conn.execute("update core.leases set until = clock_timestamp() - interval '1 second'")
    conn.commit()


def test_a_process_killed_at_any_moment_loses_and_invents_nothing(
    warehouse_url: str, conn: Connection, served: Served
) -> None:
    acme = Customer(conn, served, jobs=700)
    acme.world.behaviour.latency_seconds = 0.02
    watermarks = []
    statuses = set()
    for moment in (0.0, 0.06, 0.15, 0.3, 0.6, 1.2):
        arguments = (warehouse_url, served.url, acme.id, acme.world.clock.now().isoformat())
        process = subprocess.Popen([sys.executable, "-c", ENDLESS_RUN, *arguments], stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(moment)
        process.kill()
        process.communicate()
        wait_until_gone(conn)
        expire_leases(conn)
        statuses |= {row["status"] for row in conn.execute("select status from raw.fetches")}
        watermarks.append(acme.integration()["kombo_last_sync_started_at"] if statuses else None)
        conn.rollback()
        for job_id in acme.ids()[:200]:
            acme.world.edit_job(acme.id, job_id, name=f"Renamed after {moment} s")
        acme.world.delete_job(acme.id, acme.ids()[0])
        acme.world.sync(acme.id)
        acme.world.clock.advance(timedelta(hours=1))
    acme.fetch()
    assert_equals_kombo(acme)
    assert_history_has_no_gap(conn)
    known = [watermark for watermark in watermarks if watermark]
    assert known == sorted(known)
    assert statuses & {"running", "landed"}, f"no moment hit a run in the middle: {statuses}"


def test_a_postgres_killed_in_the_middle_of_an_apply_comes_back_to_equal_tables(
    warehouse_url: str, conn: Connection, served: Served, tmp_path: Path
) -> None:
    acme = Customer(conn, served, jobs=300)
    acme.distort(acme.ids()[0], name=7)
    last = run(warehouse_url, acme, full=True).points
    expected = picture(conn)
    data_dir = tmp_path / "postgres"
    try:
        server = embedded.ensure(data_dir)
        migrate(embedded.ensure_database(server, "template_warehouse"))
        # While the last page lands, while rows are copied, while history is written, before the last commit.
        for nth, fatal in enumerate((last - 70, last - 50, last - 30, last - 3)):
            server = embedded.ensure(data_dir)
            name = f"warehouse_{nth}"
            with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
                admin.execute(f"create database {name} template template_warehouse")
            with pytest.raises(psycopg.OperationalError):
                run(server.url(name), acme, full=True, fatal=fatal, strike=lambda: kill_server(data_dir))
            url = embedded.ensure(data_dir).url(name)
            with connect(url) as again:
                assert again.execute("select from core.jobs").fetchone() is None
                expire_leases(again)
            run(url, acme, full=True)
            with connect(url) as again:
                assert picture(again) == expected
    finally:
        embedded.stop(data_dir)


def kill_server(data_dir: Path) -> None:
    postmaster = psutil.Process(int((data_dir / "pgdata" / "postmaster.pid").read_text().split()[0]))
    for process in [postmaster, *postmaster.children(recursive=True)]:
        process.kill()
