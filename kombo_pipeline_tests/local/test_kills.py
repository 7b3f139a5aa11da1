"""kill -9 while twenty integrations are in work: what was in work is applied soon after the restart, and once."""

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from kombo_pipeline.db import embedded
from kombo_pipeline_tests.local.test_up import Up, until

INTEGRATIONS = 20
WITHIN_SECONDS = 60
pytestmark = [pytest.mark.long, pytest.mark.timeout(1500)]


@pytest.fixture(scope="module")
def session() -> Iterator[Up]:
    """An `up` with twenty customers, all of them fetched in full."""
    directory = Path(tempfile.mkdtemp(prefix="kombo-test-kills-"))
    directory.chmod(0o711)
    up = Up(directory, "--integrations", str(INTEGRATIONS), "--jobs", "600")
    try:
        until(lambda: "Ctrl-C stops everything" in up.output or up.process.poll() is not None, within=900)
        assert up.process.poll() is None, up.output
        yield up
    finally:
        if up.process.poll() is None:
            up.process.terminate()
            up.process.wait(timeout=60)
        for cluster in directory.rglob("pgdata"):
            embedded.stop(cluster.parent)
        shutil.rmtree(directory, ignore_errors=True)


def in_work(up: Up) -> set[str]:
    """The integrations that a live lease says are being fetched or applied."""
    with up.connect() as conn:
        rows = conn.execute(IN_WORK).fetchall()
    return {row["integration_id"] for row in rows}


def applied_since(up: Up, moment: object) -> dict[str, int]:
    """How many fetches that began after a moment have been applied, by integration."""
    with up.connect() as conn:
        rows = conn.execute(
            "select integration_id, count(*) as n from raw.fetches "
            "where status = 'applied' and applied_at >= %s group by integration_id",
            (moment,),
        ).fetchall()
    return {row["integration_id"]: row["n"] for row in rows}


def kill_a_worker(up: Up) -> None:
    worker: psutil.Process = until(lambda: next(iter(up.run_workers()), None), within=60)
    worker.send_signal(signal.SIGKILL)


def kill_every_worker(up: Up) -> None:
    for worker in up.run_workers():
        os.kill(worker.pid, signal.SIGKILL)


@pytest.mark.parametrize(
    "kill", [kill_a_worker, kill_every_worker, lambda up: up.kill("daemon"), Up.kill_postgres], ids=[
        "a worker", "every worker", "the daemon", "the database",
    ],
)  # fmt: skip
def test_what_was_in_work_is_applied_within_a_minute_of_the_restart(session: Up, kill: Callable[[Up], None]) -> None:
    # Nothing is left over from what was killed before; the customers themselves go on working.
    until(lambda: session.number(EXPIRED) == 0, within=400)
    with session.connect() as conn:
        ids = [row["integration_id"] for row in conn.execute("select integration_id from core.integrations")]
        [moment] = conn.execute("select clock_timestamp() as now").fetchall()
    for integration_id in ids:
        httpx.post(f"{session.address('Sandbox')}/integrations/{integration_id}/sync").raise_for_status()
    victims: set[str] = until(lambda: len(found := in_work(session)) >= 2 and found, within=120)
    kill(session)
    restarted = time.monotonic()
    until(lambda: victims <= applied_since(session, moment["now"]).keys(), within=400)
    seconds = time.monotonic() - restarted
    print(f"{len(victims)} integrations in work, applied {seconds:.1f} s after the restart")
    assert seconds <= WITHIN_SECONDS
    until(lambda: set(ids) <= applied_since(session, moment["now"]).keys(), within=600)
    print(f"all {len(ids)} applied {time.monotonic() - restarted:.1f} s after the restart")
    until(lambda: session.number(EXPIRED) == 0, within=400)
    assert session.number(GAPS) == 0, "a change was written twice, or one is missing"


IN_WORK = "select integration_id from core.leases where until > clock_timestamp() and work in ('fetch', 'apply')"
EXPIRED = "select count(*) from core.leases where until < clock_timestamp()"
GAPS = (
    "select count(*) from (select old_value, lag(new_value) over w as before, row_number() over w as place "
    "from core.job_changes where field = 'lifecycle' "
    "window w as (partition by integration_id, kombo_job_id order by change_id)) history "
    "where place > 1 and old_value is distinct from before"
)
