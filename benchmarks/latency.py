"""From a webhook that was accepted to a row that is committed, beside an empty Dagster run started the same way.

python -m benchmarks.latency [--trials 20] [--integrations 40]
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
from typing import Any

import psycopg

from benchmarks.lab import embedded_postgres, fresh_database, machine, median, table
from kombo_pipeline.db import embedded
from kombo_pipeline.local.stack import Stack, free_port, listens, script

ROOT = Path(__file__).parents[1]


def empty_runs(server: embedded.Server, trials: int) -> list[float]:
    """Seconds from a committed row to the row that an empty asset commits."""
    url = fresh_database(server, "bench_empty", migrated=False)
    dagster = fresh_database(server, "bench_empty_dagster", migrated=False)
    with psycopg.connect(url, autocommit=True) as conn, tempfile.TemporaryDirectory() as home:
        conn.execute("create schema bench")
        conn.execute(
            "create table bench.events (id bigint generated always as identity, "
            "landed_at timestamptz default clock_timestamp(), done_at timestamptz)"
        )
        shutil.copyfile(ROOT / "dagster.yaml", Path(home) / "dagster.yaml")
        port = free_port(4300)
        workspace = Path(home) / "workspace.yaml"
        workspace.write_text(f"load_from:\n  - grpc_server: {{host: 127.0.0.1, port: {port}, location_name: empty}}\n")
        environment = os.environ | {"DAGSTER_HOME": home, "KOMBO_DAGSTER_URL": dagster, "BENCH_URL": url}
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
                trials,
                trigger,
                "select extract(epoch from done_at - landed_at)::float8 as s, id from bench.events "
                "where done_at is not null order by id desc limit 1",
            )
        finally:
            stack.stop()


def _latencies(conn: psycopg.Connection[Any], trials: int, trigger: Callable[[], None], question: str) -> list[float]:
    seconds: list[float] = []
    last: Any = None
    for trial in range(trials + 1):
        trigger()
        deadline = time.monotonic() + 120
        while True:
            row = conn.execute(question).fetchone()
            if row and row[1] != last:
                last = row[1]
                break
            if time.monotonic() > deadline:
                raise RuntimeError("a run did not come to its end within 120 s")
            time.sleep(0.05)
        if trial:  # the first one warms up
            seconds.append(row[0])
        time.sleep(random.uniform(0, 5))  # the sensor ticks every 5 s: meet it at any moment
    return seconds


@contextmanager
def running_up(server: embedded.Server, integrations: int) -> Iterator[tuple[psycopg.Connection[Any], str]]:
    """`kombo-pipeline up` with still customers; yields a warehouse connection and the sandbox's control URL."""
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
                yield conn, sandbox
        finally:
            up.send_signal(signal.SIGINT)
            up.wait(60)


def ours(conn: psycopg.Connection[Any], sandbox: str, trials: int) -> list[float]:
    """Seconds from an accepted webhook to the commit that shows what it announced."""
    integration_id, job_id = _some_job(conn)
    job = f"{sandbox}/integrations/{integration_id}/jobs/{job_id}"
    counter = iter(range(10_000))

    def trigger() -> None:
        _post(f"{job}/edit", {"name": f"Latency {next(counter)}"})
        _post(f"{job}/event", {})

    return _latencies(
        conn,
        trials,
        trigger,
        "select extract(epoch from f.applied_at - e.received_at)::float8, e.event_seq from raw.webhook_events e "
        "join raw.fetches f on f.integration_id = e.integration_id and f.covers_event_seq >= e.event_seq "
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
    request = urllib.request.Request(url, data=json.dumps(body).encode(), method="POST")
    urllib.request.urlopen(request, timeout=10).read()


def _row(name: str, seconds: list[float], floor: list[float]) -> list[object]:
    ordered = sorted(seconds)
    p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    return [name, len(seconds), median(seconds), p95, median(seconds) / median(floor)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--integrations", type=int, default=40)
    options = parser.parse_args()
    print(machine())
    with embedded_postgres() as server:
        floor = empty_runs(server, options.trials)
        with running_up(server, options.integrations) as (conn, sandbox):
            measured = ours(conn, sandbox, options.trials)
            runs, seconds = burst(conn, sandbox)
    print("\n## From an accepted webhook to the committed row\n")
    header = ["run", "trials", "median s", "p95 s", "to an empty run"]
    rows = [_row("an empty asset", floor, floor), _row("raw_job_pages, jobs, 4 checks", measured, floor)]
    print(table(header, rows))
    pace = 60 * runs / seconds
    print(f"\n{options.integrations} integrations at once: {runs} runs in {seconds:.0f} s, {pace:.1f} a minute")


if __name__ == "__main__":
    main()
