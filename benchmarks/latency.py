"""From a webhook that was accepted to a row that is committed, beside an empty Dagster run started the same way.

Both wait for the tick of a sensor with the same interval, and both keep Dagster's storage in the same Postgres. The
wait for the tick is chance and the same for both, so it is measured apart: what is compared is the time from the
creation of the run to the committed row.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

from benchmarks.lab import embedded_postgres, fresh_database, machine, median, table
from kombo_pipeline.db import embedded
from kombo_pipeline.local.stack import Stack, free_port, listens, script
from kombo_pipeline.orchestration.sensors import webhook_sensor

ROOT = Path(__file__).parents[1]


class Latency(NamedTuple):
    """Seconds of one trial."""

    tick: float
    """From the accepted webhook to the run that a tick of the sensor creates."""
    run: float
    """From there to the committed row."""


def empty_runs(server: embedded.Server, trials: int) -> list[Latency]:
    """From a committed row to the row that an empty asset commits."""
    url = fresh_database(server, "bench_empty", migrated=False)
    dagster = fresh_database(server, "bench_empty_dagster", migrated=False)
    with psycopg.connect(url, autocommit=True) as conn, tempfile.TemporaryDirectory() as home:
        conn.execute("create schema bench")
        conn.execute(
            "create table bench.events (id bigint generated always as identity, "
            "landed_at timestamptz default clock_timestamp(), done_at timestamptz, run_id text)"
        )
        shutil.copyfile(ROOT / "dagster.yaml", Path(home) / "dagster.yaml")
        port = free_port(4300)
        workspace = Path(home) / "workspace.yaml"
        workspace.write_text(f"load_from:\n  - grpc_server: {{host: 127.0.0.1, port: {port}, location_name: empty}}\n")
        environment = os.environ | {"DAGSTER_HOME": home, "KOMBO_DAGSTER_URL": dagster, "BENCH_URL": url}
        environment["BENCH_SENSOR_SECONDS"] = str(webhook_sensor.minimum_interval_seconds)
        stack = Stack(Path(home))
        try:
            stack.start(
                "code-server",
                [
                    *(script("dagster"), "code-server", "start", "-h", "127.0.0.1", "-p", str(port)),
                    *("-m", "benchmarks.empty_location", "--location-name", "empty"),
                ],
                environment=environment,
                is_ready=lambda: listens(port),
            )
            stack.start(
                "daemon",
                [script("dagster-daemon"), "run", "-w", str(workspace)],
                environment=environment,
                is_ready=lambda: True,
            )

            def trigger() -> None:
                conn.execute("insert into bench.events default values")

            return _latencies(
                conn,
                dagster,
                trials,
                trigger,
                "select id, extract(epoch from landed_at)::float8, extract(epoch from done_at)::float8, run_id "
                "from bench.events where done_at is not null order by id desc limit 1",
            )
        finally:
            stack.stop()


def _latencies(
    conn: psycopg.Connection[Any], dagster: str, trials: int, trigger: Callable[[], None], question: str
) -> list[Latency]:
    """`question` finds the newest event that is done: its id, when it landed and was done, and the run."""
    found: list[Latency] = []
    last: Any = None
    for trial in range(trials + 1):
        trigger()
        deadline = time.monotonic() + 120
        while True:
            row = conn.execute(question).fetchone()
            if row and row[0] != last:
                last = row[0]
                break
            if time.monotonic() > deadline:
                raise RuntimeError("a run did not come to its end within 120 s")
            time.sleep(0.05)
        if trial:  # the first one warms up
            _, landed, done, run_id = row
            created = _created(dagster, run_id)
            found.append(Latency(created - landed, done - created))
        time.sleep(random.uniform(0, webhook_sensor.minimum_interval_seconds))  # meet the sensor at any moment
    return found


def _created(dagster: str, run_id: str) -> float:
    with psycopg.connect(dagster) as conn:
        # Dagster writes its server's time without a zone.
        row = conn.execute(
            "select extract(epoch from create_timestamp at time zone current_setting('TimeZone'))::float8 "
            "from runs where run_id = %s",
            (run_id,),
        ).fetchone()
    assert row is not None
    return float(row[0])


@contextmanager
def running_up(server: embedded.Server, integrations: int) -> Iterator[tuple[psycopg.Connection[Any], str, str]]:
    """`kombo-pipeline up` with still customers; yields a warehouse connection, Dagster's URL and the sandbox's."""
    url = fresh_database(server, "bench_up", migrated=False)
    dagster = fresh_database(server, "bench_up_dagster", migrated=False)
    with tempfile.TemporaryDirectory() as data_dir:
        environment = os.environ | {
            "KOMBO_WAREHOUSE_URL": url,
            "KOMBO_DAGSTER_URL": dagster,
            "KOMBO_DATA_DIR": data_dir,
        }
        up = subprocess.Popen(
            [
                *(sys.executable, "-m", "kombo_pipeline", "up"),
                *("--integrations", str(integrations), "--jobs", str(50 * integrations)),
            ],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert up.stdout is not None
        sandbox = ""
        for line in up.stdout:
            if line.startswith("Sandbox"):
                sandbox = line.split()[-1]
            if "Changes go on arriving" in line:
                break
        _post(f"{sandbox}/live", {"action": "pause"})
        try:
            with psycopg.connect(url, autocommit=True) as conn:
                _until_quiet(conn)
                yield conn, dagster, sandbox
        finally:
            up.send_signal(signal.SIGINT)
            up.wait(60)


def ours(conn: psycopg.Connection[Any], dagster: str, sandbox: str, trials: int) -> list[Latency]:
    """From an accepted webhook to the commit that shows what it announced."""
    integration_id, job_id = _some_job(conn)
    job = f"{sandbox}/integrations/{integration_id}/jobs/{job_id}"
    counter = iter(range(10_000))

    def trigger() -> None:
        _post(f"{job}/edit", {"name": f"Latency {next(counter)}"})
        _post(f"{job}/event", {})

    return _latencies(
        conn,
        dagster,
        trials,
        trigger,
        "select e.event_seq, extract(epoch from e.received_at)::float8, extract(epoch from f.applied_at)::float8, "
        "f.dagster_run_id from raw.webhook_events e join raw.fetches f on f.integration_id = e.integration_id "
        "and f.covers_event_seq >= e.event_seq "
        "where e.event_type = 'data-changed' and f.applied_at > e.received_at "
        "order by e.event_seq desc, f.fetch_id limit 1",
    )


def burst(conn: psycopg.Connection[Any], sandbox: str) -> tuple[int, float]:
    """All integrations sync at once: how many runs, and in how many seconds from the first event to the last commit."""
    live = conn.execute("select integration_id from core.integrations where deleted_at is null").fetchall()
    before = conn.execute(
        "select coalesce(max(fetch_id), 0), (select max(event_seq) from raw.webhook_events) from raw.fetches"
    ).fetchone()
    assert before is not None
    for (integration_id,) in live:
        _post(f"{sandbox}/integrations/{integration_id}/sync", {})
    _until_quiet(conn)
    row = conn.execute(
        "select count(*), extract(epoch from max(f.applied_at) - (select min(received_at) from raw.webhook_events "
        "where event_seq > %s))::float8 from raw.fetches f where f.fetch_id > %s and f.status = 'applied'",
        (before[1], before[0]),
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def _until_quiet(conn: psycopg.Connection[Any]) -> None:
    deadline = time.monotonic() + 600
    quiet_since = None
    while time.monotonic() < deadline:
        row = conn.execute(
            "select count(*) from raw.webhook_events where handled_at is null and starts_fetch is not false"
        ).fetchone()
        if row and row[0]:
            quiet_since = None
        elif quiet_since is None:
            quiet_since = time.monotonic()
        elif time.monotonic() - quiet_since > 3:
            return
        time.sleep(0.2)
    raise RuntimeError("events are still waiting after 600 s")


def _some_job(conn: psycopg.Connection[Any]) -> tuple[str, str]:
    row = conn.execute(
        "select integration_id, kombo_job_id from core.jobs where lifecycle = 'open' order by 1, 2 limit 1"
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def _post(url: str, body: dict[str, Any]) -> None:
    request = urllib.request.Request(
        url, data=json.dumps(body).encode(), headers={"Content-Type": "application/json"}, method="POST"
    )
    urllib.request.urlopen(request, timeout=10).read()


def _row(name: str, found: list[Latency], floor: list[Latency]) -> list[object]:
    runs = sorted(each.run for each in found)
    p95 = runs[min(len(runs) - 1, int(0.95 * len(runs)))]
    ticks = median([each.tick for each in found])
    return [name, len(found), ticks, median(runs), p95, median(runs) / median([each.run for each in floor])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=40, help="webhooks sent one after the other, on either side")
    parser.add_argument("--integrations", type=int, default=40, help="those that sync at once in the end")
    options = parser.parse_args()
    print(machine())
    with embedded_postgres() as server:
        floor = empty_runs(server, options.trials)
        with running_up(server, options.integrations) as (conn, dagster, sandbox):
            measured = ours(conn, dagster, sandbox, options.trials)
            runs, seconds = burst(conn, sandbox)
    print("\n## From an accepted webhook to the committed row\n")
    header = ["run", "trials", "wait for the tick, median s", "run, median s", "run, p95 s", "run to an empty run"]
    rows = [_row("an empty asset", floor, floor), _row("raw_job_pages, jobs, 4 checks", measured, floor)]
    print(table(header, rows))
    pace = 60 * runs / seconds
    print(f"\n{options.integrations} integrations at once: {runs} runs in {seconds:.0f} s, {pace:.1f} a minute")


if __name__ == "__main__":
    main()
