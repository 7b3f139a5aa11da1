"""Runs whose process was killed give their slot free, and no run that lives is ended."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import dagster as dg
import pytest

from kombo_pipeline.db import leases
from kombo_pipeline.db.connection import Connection
from kombo_pipeline.definitions import defs
from kombo_pipeline.orchestration import lost_runs as module
from kombo_pipeline.orchestration import sensors
from kombo_pipeline.orchestration.lost_runs import SILENT_FOR, lost_runs
from kombo_pipeline.orchestration.resources import Warehouse

ACME = "greenhouse:acme"


@pytest.fixture(scope="module")
def module_instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as instance:
        yield instance


@pytest.fixture
def instance(
    warehouse_url: str, module_instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> dg.DagsterInstance:
    monkeypatch.setenv("KOMBO_WAREHOUSE_URL", warehouse_url)
    module_instance.wipe()
    module_instance.add_dynamic_partitions("integration", [ACME])
    return module_instance


def run(instance: dg.DagsterInstance, *, partition: str | None = ACME, status: str = "STARTED") -> dg.DagsterRun:
    tags = {"dagster/partition": partition} if partition else {}
    return instance.create_run_for_job(
        defs.resolve_job_def("sync_integration"), tags=tags, status=dg.DagsterRunStatus[status]
    )


def at(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


SILENT = SILENT_FOR.total_seconds()


def test_a_started_run_that_is_silent_and_holds_no_lease_is_lost(instance: dg.DagsterInstance) -> None:
    killed = run(instance)
    working = run(instance)
    others = [run(instance, status=status) for status in ("NOT_STARTED", "STARTING", "SUCCESS", "FAILURE", "CANCELED")]
    without_partition = run(instance, partition=None)
    found = lost_runs(instance, {working.run_id}, now=at(SILENT + 5))
    assert [each.run_id for each in found] == [killed.run_id]
    assert lost_runs(instance, {working.run_id}, now=at(0)) == []
    assert others
    assert without_partition


def test_a_run_that_logs_something_is_not_lost_however_old_it_is(instance: dg.DagsterInstance) -> None:
    old = run(instance)
    instance.report_engine_event("still here", old)
    assert lost_runs(instance, set(), now=at(SILENT - 5)) == []
    assert [each.run_id for each in lost_runs(instance, set(), now=at(SILENT + 5))] == [old.run_id]


def test_the_sensor_ends_lost_runs_and_leaves_those_with_a_lease(
    instance: dg.DagsterInstance, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SILENT_FOR", timedelta(seconds=-1))
    killed, working = run(instance), run(instance)
    leases.acquire(conn, leases.Held(ACME, "fetch", uuid4()), run_id=working.run_id)
    leases.acquire(conn, leases.Held(ACME, "apply", uuid4()), run_id=killed.run_id)
    conn.execute("update core.leases set until = clock_timestamp() - interval '1 second' where work = 'apply'")
    conn.commit()
    context = dg.build_sensor_context(
        instance=instance,
        instance_ref=instance.get_ref(),
        repository_def=defs.get_repository_def(),
        resources={"warehouse": Warehouse()},
    )
    assert sensors.lost_runs_sensor.evaluate_tick(context).skip_message == f"1 runs ended: {killed.run_id}"
    statuses = {each.run_id: each.status for each in instance.get_runs()}
    assert statuses == {
        killed.run_id: dg.DagsterRunStatus.FAILURE,
        working.run_id: dg.DagsterRunStatus.STARTED,
    }
    assert sensors.lost_runs_sensor.evaluate_tick(context).skip_message == "No lost run"
