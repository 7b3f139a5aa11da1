"""When things run: the pure decisions, then the sensor, the schedules and the jobs by hand on a real Dagster."""

import json
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, cast
from uuid import uuid4

import dagster as dg
import pytest
from dagster._core.definitions.sensor_definition import SensorExecutionData
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin

from kombo_pipeline.db import leases
from kombo_pipeline.db.connection import Connection
from kombo_pipeline.definitions import defs
from kombo_pipeline.ingest import apply, events, renewal
from kombo_pipeline.ingest.fetch import FULL_FETCH_FORCED_AFTER, plan
from kombo_pipeline.ingest.polling import FULL_FETCH_EVERY, POLL_AT_LEAST_EVERY
from kombo_pipeline.ingest.statements import integrations, webhook_events
from kombo_pipeline.ingest.statements.integrations import Integration
from kombo_pipeline.ingest.statements.webhook_events import WaitingIntegration
from kombo_pipeline.kombo import webhooks
from kombo_pipeline.kombo.webhooks import UNRELATED_MODELS
from kombo_pipeline.linking import decisions
from kombo_pipeline.linking.decisions import Answer
from kombo_pipeline.matching.version import versions
from kombo_pipeline.orchestration import due, schedules, sensors
from kombo_pipeline.orchestration.resources import Warehouse
from kombo_pipeline.sandbox.traffic import Fault
from kombo_pipeline.sandbox.world import World
from kombo_pipeline_tests.ingest.model import stored

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
ACME = "greenhouse:acme"


# Pure decisions


def backlog(**values: Any) -> WaitingIntegration:
    waiting = WaitingIntegration(
        integration_id=ACME,
        deleted_at=None,
        succeeded_by=None,
        watermark=NOW,
        newest_event=7,
        newest_received_at=NOW,
        replays=0,
    )
    return replace(waiting, **values)


def test_one_state_of_the_backlog_has_one_run_key() -> None:
    assert due.run_key(backlog()) == due.run_key(backlog())


@pytest.mark.parametrize(
    "change",
    [
        {"newest_event": 8},
        {"newest_received_at": NOW + timedelta(microseconds=1)},
        {"watermark": NOW + MINUTE},
        {"watermark": None},
        {"replays": 1},
        {"integration_id": "b"},
        {"interrupted": "lease 1"},
    ],
)
def test_whatever_may_change_the_outcome_changes_the_run_key(change: dict[str, Any]) -> None:
    assert due.run_key(backlog(**change)) != due.run_key(backlog())


def test_replays_and_events_are_told_apart_in_the_run_key() -> None:
    assert due.run_key(backlog(newest_event=1, replays=11)) != due.run_key(backlog(newest_event=11, replays=1))


def test_only_integrations_that_are_not_in_work_are_due() -> None:
    waiting = [backlog(integration_id=name) for name in "abc"]
    assert due.due_integrations(waiting, {"b", "z"}) == [waiting[0], waiting[2]]
    assert due.due_integrations(waiting, set()) == waiting


def integration_of(**values: Any) -> Integration:
    usual: dict[str, Any] = {field.name: None for field in fields(Integration)}
    return Integration(**usual | {"integration_id": ACME, "closures_await_details": False} | values)


def planned(*, watermark: datetime | None, full_fetched_at: datetime | None, full: bool = False) -> tuple[str, Any]:
    chosen = plan(
        integration_of(kombo_last_sync_started_at=watermark, full_fetched_at=full_fetched_at),
        now=NOW,
        overlap=5 * MINUTE,
        full=full,
    )
    assert chosen.why
    return chosen.kind, chosen.updated_after


def test_an_incremental_fetch_asks_from_the_watermark_less_the_overlap() -> None:
    assert planned(watermark=NOW - HOUR, full_fetched_at=NOW - DAY) == ("incremental", NOW - HOUR - 5 * MINUTE)


@pytest.mark.parametrize(
    "state",
    [
        {"watermark": None, "full_fetched_at": None},
        {"watermark": NOW - HOUR, "full_fetched_at": None},
        {"watermark": NOW - HOUR, "full_fetched_at": NOW - HOUR, "full": True},
        {"watermark": NOW - HOUR, "full_fetched_at": NOW - FULL_FETCH_FORCED_AFTER - MINUTE},
        {"watermark": NOW + 6 * MINUTE, "full_fetched_at": NOW - HOUR},
        {"watermark": NOW - HOUR, "full_fetched_at": NOW + 6 * MINUTE},
    ],
)
def test_a_full_fetch_is_planned_whenever_an_incremental_one_could_miss_something(state: dict[str, Any]) -> None:
    assert planned(**state) == ("full", None)


def test_a_clock_that_is_a_little_ahead_forces_no_full_fetch() -> None:
    assert planned(watermark=NOW + 4 * MINUTE, full_fetched_at=NOW)[0] == "incremental"


def test_a_full_fetch_is_forced_before_kombo_purges_tombstones() -> None:
    assert FULL_FETCH_FORCED_AFTER + POLL_AT_LEAST_EVERY < 14 * DAY
    assert FULL_FETCH_EVERY < FULL_FETCH_FORCED_AFTER


# The sensor and the schedules, evaluated as the daemon does


@pytest.fixture(scope="module")
def daemon() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as instance:
        yield instance


class Pipeline:
    """A customer's Kombo, the landed webhooks, and the daemon's view of them."""

    def __init__(self, world: World, conn: Connection, instance: dg.DagsterInstance) -> None:
        self.world, self.conn, self.instance = world, conn, instance
        self._numbers = count()

    def land(self, *, event_type: str = "data-changed", event_id: str | None = None, **data: Any) -> str:
        """Land one webhook as the receiver does."""
        event_id = event_id or f"event-{next(self._numbers)}"
        data = {"integration_category": "ATS"} | data
        self._insert(json.dumps({"id": event_id, "type": event_type, "data": data}).encode())
        return event_id

    def deliver(self) -> int:
        """Land every webhook that the sandbox wants to send."""
        hooks = self.world.drain()
        for hook in hooks:
            self._insert(hook.body)
        return len(hooks)

    def _insert(self, body: bytes) -> None:
        event = webhooks.parse(body)
        assert event is not None
        self.conn.execute(
            "insert into raw.webhook_events (event_id, event_type, integration_id, body, payload) "
            "values (%s, %s, %s, %b, %s)",
            (event.event_id, event.event_type, event.integration_id, body, webhooks.jsonb_text(body)),
        )
        self.conn.commit()

    def tick(self, sensor: dg.SensorDefinition = sensors.webhook_sensor) -> SensorExecutionData:
        """One tick, with the partitions it asks for added."""
        context = dg.build_sensor_context(
            instance=self.instance,
            instance_ref=self.instance.get_ref(),
            repository_def=defs.get_repository_def(),
            resources={"warehouse": Warehouse()},
        )
        data = sensor.evaluate_tick(context)
        for request in data.dynamic_partitions_requests or []:
            assert isinstance(request, dg.AddDynamicPartitionsRequest)
            self.instance.add_dynamic_partitions("integration", list(request.partition_keys))
        return data

    def requested(self, sensor: dg.SensorDefinition = sensors.webhook_sensor) -> dict[str, str | None]:
        """The partitions that a tick asks to run, with their run keys."""
        requests = self.tick(sensor).run_requests or []
        found = {cast(str, request.partition_key): request.run_key for request in requests}
        assert len(found) == len(requests)
        return found

    def run(self, integration_id: str, job: str = "sync_integration", **options: Any) -> dg.ExecuteInProcessResult:
        return defs.resolve_job_def(job).execute_in_process(
            partition_key=integration_id, instance=self.instance, raise_on_error=False, **options
        )

    def unhandled(self) -> list[str]:
        self.conn.rollback()
        rows = self.conn.execute("select event_id from raw.webhook_events where handled_at is null order by event_seq")
        return [row["event_id"] for row in rows]


@pytest.fixture
def pipeline(world: World, conn: Connection, daemon: dg.DagsterInstance) -> Pipeline:
    for key in daemon.get_dynamic_partitions("integration"):
        daemon.delete_dynamic_partition("integration", key)
    return Pipeline(world, conn, daemon)


def test_many_events_of_an_integration_become_one_run_and_its_partition_is_added(pipeline: Pipeline) -> None:
    acme, globex = (pipeline.world.add_integration(jobs=2) for _ in range(2))
    for _ in range(3):
        pipeline.world.sync(acme)
    assert pipeline.deliver() > 6
    assert pipeline.requested().keys() == {acme, globex}
    assert set(pipeline.instance.get_dynamic_partitions("integration")) == {acme, globex}


def test_a_tick_without_events_adds_no_partition_and_says_what_it_saw(pipeline: Pipeline) -> None:
    data = pipeline.tick()
    assert not data.run_requests
    assert not data.dynamic_partitions_requests
    assert data.skip_message == "0 events seen, 0 integrations wait for a run in flight"


def add_run(pipeline: Pipeline, integration_id: str, job: str = "sync_integration", **options: Any) -> dg.DagsterRun:
    """A run as the daemon would have it, of which no process exists."""
    location = RegisteredCodeLocationOrigin("kombo_pipeline")
    run = dg.DagsterRun(
        job,
        status=options.get("status", dg.DagsterRunStatus.QUEUED),
        tags={"dagster/partition": integration_id} | options.get("tags", {}),
        remote_job_origin=RemoteJobOrigin(RemoteRepositoryOrigin(location, "__repository__"), job),
    )
    pipeline.instance.run_storage.add_run(run)
    return run


def test_while_a_run_has_not_begun_no_second_one_is_requested(pipeline: Pipeline) -> None:
    acme = pipeline.world.add_integration(jobs=2)
    pipeline.deliver()
    assert pipeline.requested().keys() == {acme}
    for status in (dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING):
        run = add_run(pipeline, acme, status=status)
        pipeline.land(integration_id=acme)  # however many events come meanwhile
        assert pipeline.requested() == {}
        pipeline.instance.delete_run(run.run_id)
    assert pipeline.requested().keys() == {acme}


@pytest.mark.parametrize(
    ("job", "tags"),
    [
        ("rematch", {}),
        ("full_reconcile", {"dagster/priority": "-10"}),
        ("sync_integration", {"dagster/priority": "-5"}),
    ],
)
def test_a_queued_run_that_does_not_fetch_or_is_less_urgent_holds_up_no_webhook(
    pipeline: Pipeline, job: str, tags: dict[str, str]
) -> None:
    acme = pipeline.world.add_integration(jobs=2)
    pipeline.deliver()
    run = add_run(pipeline, acme, job, tags=tags)
    assert pipeline.requested().keys() == {acme}
    pipeline.instance.delete_run(run.run_id)


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING])
def test_what_dagster_calls_started_is_in_work_only_as_long_as_its_lease_holds(
    pipeline: Pipeline, status: dg.DagsterRunStatus
) -> None:
    acme = pipeline.world.add_integration(jobs=2)
    pipeline.deliver()
    [first] = pipeline.requested().values()
    run = add_run(pipeline, acme, status=status)
    for work in ("fetch", "apply"):
        lease(pipeline, acme, work, run_id=run.run_id)
        assert pipeline.requested() == {}
        pipeline.land(integration_id=acme)
        assert pipeline.requested() == {}
        expire(pipeline)
        [again] = pipeline.requested().values()
        assert again != first, "Dagster drops a run key that it has seen"
        assert list(pipeline.requested().values()) == [again], "one request for one killed process"
        first = again
        pipeline.conn.execute("delete from core.leases")
        pipeline.conn.commit()
    pipeline.instance.delete_run(run.run_id)


def lease(pipeline: Pipeline, integration_id: str, work: str = "fetch", run_id: str | None = None) -> None:
    """A lease as a process takes it, which then is killed."""
    leases.acquire(pipeline.conn, leases.Held(integration_id, work, uuid4()), run_id=run_id)
    pipeline.conn.commit()


def expire(pipeline: Pipeline) -> None:
    pipeline.conn.rollback()
    pipeline.conn.execute("update core.leases set until = clock_timestamp() - interval '1 second'")
    pipeline.conn.commit()


def test_a_completed_run_handles_the_events_that_landed_before_it_began(pipeline: Pipeline) -> None:
    acme = pipeline.world.add_integration(jobs=2)
    pipeline.deliver()
    pipeline.tick()
    assert pipeline.run(acme).success
    assert pipeline.unhandled() == []
    assert pipeline.requested() == {}
    later = pipeline.land(integration_id=acme)
    assert pipeline.requested().keys() == {acme}
    assert pipeline.unhandled() == [later]


def test_an_event_that_lands_while_the_run_is_fetching_is_run_for_again(pipeline: Pipeline) -> None:
    acme = pipeline.world.add_integration(jobs=2)
    pipeline.deliver()
    [first] = pipeline.requested().values()
    assert pipeline.run(acme, asset_selection=[dg.AssetKey("raw_job_pages")]).success
    late = pipeline.land(integration_id=acme)
    assert pipeline.run(acme, asset_selection=[dg.AssetKey("jobs")]).success
    assert pipeline.unhandled() == [late]
    [second] = pipeline.requested().values()
    assert second != first


def test_a_failed_run_is_asked_for_again_by_an_event_a_replay_and_the_poll_but_not_by_the_next_tick(
    pipeline: Pipeline,
) -> None:
    acme = pipeline.world.add_integration(jobs=2)
    pipeline.deliver()
    asked = [pipeline.requested()[acme]]
    body = (
        '{"status":"error","error":{"code":"INTEGRATION.PERMISSION_MISSING","title":"","message":"no","log_url":null}}'
    )
    pipeline.world.faults.append(Fault("answer", status=403, body=body, path="/ats/jobs", times=100))
    assert not pipeline.run(acme).success
    # Dagster drops a request whose run key it has seen.
    assert pipeline.requested()[acme] == asked[-1]
    pipeline.land(integration_id=acme)
    asked.append(pipeline.requested()[acme])
    assert not pipeline.run(acme).success
    webhook_events.replay(pipeline.conn, None)
    pipeline.conn.commit()
    asked.append(pipeline.requested()[acme])
    assert len(set(asked)) == 3
    assert not pipeline.run(acme).success

    assert polled(pipeline) == {}
    integrations.update(pipeline.conn, acme, {"fetch_attempted_at": datetime.now(UTC) - POLL_AT_LEAST_EVERY})
    pipeline.conn.commit()
    assert polled(pipeline).keys() == {acme}


def polled(
    pipeline: Pipeline, schedule: dg.ScheduleDefinition = schedules.poll_silent_integrations
) -> dict[str | None, str | None]:
    context = dg.build_schedule_context(
        instance=pipeline.instance,
        instance_ref=pipeline.instance.get_ref(),
        repository_def=defs.get_repository_def(),
        resources={"warehouse": Warehouse()},
    )
    requests = schedule.evaluate_tick(context).run_requests or []
    return {request.partition_key: request.run_key for request in requests}


def test_a_warehouse_that_was_restored_asks_for_runs_that_dagster_has_not_seen(pipeline: Pipeline) -> None:
    """Dagster's database is newer: it knows the keys of the runs that the restored warehouse has forgotten."""
    acme, conn = pipeline.world.add_integration(jobs=2), pipeline.conn
    pipeline.deliver()
    pipeline.tick()
    assert pipeline.run(acme).success
    waiting = pipeline.land(integration_id=acme)
    asked = {pipeline.requested()[acme]}
    landed = "select event_id, event_seq from raw.webhook_events order by event_seq"
    restored = conn.execute(landed).fetchall(), stored_integration(conn)
    conn.commit()
    lost = pipeline.land(integration_id=acme)
    asked.add(pipeline.requested()[acme])
    assert pipeline.run(acme).success
    # Back to what the backup holds: one event waits, the next number and the old watermark come again.
    conn.execute("delete from raw.webhook_events where event_id = %s", (lost,))
    conn.execute("update raw.webhook_events set handled_at = null where event_id = %s", (waiting,))
    conn.execute("update core.integrations set kombo_last_sync_started_at = %s", (restored[1],))
    conn.execute(
        """
        select setval(pg_get_serial_sequence('raw.webhook_events', 'event_seq'), max(event_seq))
        from raw.webhook_events
        """
    )
    conn.commit()
    assert conn.execute(landed).fetchall() == restored[0]
    assert pipeline.requested()[acme] in asked, "Dagster drops it: it is what `replay` is for"
    pipeline.land(integration_id=acme)
    later = pipeline.requested()[acme]
    assert later not in asked
    webhook_events.replay(conn, None)
    conn.commit()
    assert pipeline.requested()[acme] not in asked | {later}


def stored_integration(conn: Connection) -> Any:
    row = conn.execute("select kombo_last_sync_started_at from core.integrations").fetchone()
    assert row is not None
    return row["kombo_last_sync_started_at"]


def test_the_poll_asks_silent_integrations_that_are_partitions_and_leaves_those_in_work(pipeline: Pipeline) -> None:
    silent = ("a:silent", "b:no-partition", "c:in-work", "d:queued", "e:killed")
    for key in silent:
        integrations.register(pipeline.conn, key)
    pipeline.conn.commit()
    pipeline.instance.add_dynamic_partitions("integration", [key for key in silent if key != "b:no-partition"])
    lease(pipeline, "e:killed")
    expire(pipeline)
    lease(pipeline, "c:in-work")
    runs = [
        add_run(pipeline, "d:queued", tags={"dagster/priority": "-5"}),
        add_run(pipeline, "e:killed", status=dg.DagsterRunStatus.STARTED),
    ]
    assert polled(pipeline).keys() == {"a:silent", "e:killed"}
    for run in runs:
        pipeline.instance.delete_run(run.run_id)


def test_the_poll_asks_for_an_event_whose_run_could_not_be_launched(pipeline: Pipeline) -> None:
    acme = pipeline.world.add_integration(jobs=2)
    pipeline.deliver()
    pipeline.tick()
    assert pipeline.run(acme).success
    pipeline.land(integration_id=acme)
    assert pipeline.requested().keys() == {acme}
    assert polled(pipeline) == {}
    pipeline.conn.execute(
        "update core.integrations set fetch_attempted_at = now() - interval '10 minutes'; "
        "update raw.webhook_events set received_at = now() - interval '10 minutes'"
    )
    pipeline.conn.commit()
    assert polled(pipeline).keys() == {acme}


def test_the_weekly_reconcile_asks_each_integration_when_its_own_week_is_over(pipeline: Pipeline) -> None:
    for key, age in (("a:due", 8 * DAY), ("b:fresh", DAY)):
        integrations.register(pipeline.conn, key)
        integrations.update(pipeline.conn, key, {"full_fetched_at": datetime.now(UTC) - age})
    pipeline.conn.commit()
    pipeline.instance.add_dynamic_partitions("integration", ["a:due", "b:fresh"])
    assert polled(pipeline, schedules.reconcile_weekly).keys() == {"a:due"}
    assert schedules.reconcile_weekly.job_name == "full_reconcile"


@pytest.mark.parametrize(
    ("event_type", "data"),
    [
        ("sync-finished", {"sync_state": "FAILED"}),
        ("sync-finished", {"sync_state": "AUTHENTICATION_FAILED"}),
        ("data-changed", {"changed_models": [{"name": sorted(UNRELATED_MODELS)[0]}]}),
        ("integration-state-changed", {"state": "INVALID"}),
        ("issue-status-changed", {"issue": {"id": "i", "status": "OPEN"}}),
        ("a-type-of-next-year", {}),
        ("data-changed", {"integration_category": "HRIS"}),
    ],
)
def test_an_event_that_asks_for_no_fetch_is_handled_at_the_tick(
    pipeline: Pipeline, event_type: str, data: dict[str, Any]
) -> None:
    pipeline.land(event_type=event_type, integration_id=ACME, **data)
    assert pipeline.requested() == {}
    assert pipeline.unhandled() == []


@pytest.mark.parametrize(
    ("event_type", "data"),
    [
        ("sync-finished", {"sync_state": "SUCCEEDED"}),
        ("sync-finished", {"sync_state": "PARTIALLY_FAILED"}),
        ("sync-finished", {"sync_state": "A_STATE_OF_NEXT_YEAR"}),
        ("data-changed", {"changed_models": [{"name": "ats_jobs"}]}),
        ("data-changed", {"changed_models": [{"name": "ats_model_of_next_year"}]}),
    ],
)
def test_an_event_that_may_show_in_jobs_starts_a_run(pipeline: Pipeline, event_type: str, data: dict[str, Any]) -> None:
    event = pipeline.land(event_type=event_type, integration_id=ACME, **data)
    assert pipeline.requested().keys() == {ACME}
    assert pipeline.unhandled() == [event]


def test_events_of_other_categories_and_without_an_integration_register_nothing(pipeline: Pipeline) -> None:
    pipeline.land(integration_id="hris:one", integration_category="HRIS")
    pipeline.land(event_type="connection-flow-failed")
    assert pipeline.tick().dynamic_partitions_requests == []
    assert integrations.registered(pipeline.conn) == []
    assert pipeline.unhandled() == []


def test_a_deleted_integration_takes_its_jobs_along_at_the_tick(pipeline: Pipeline) -> None:
    acme = pipeline.world.add_integration(jobs=2)
    pipeline.deliver()
    pipeline.tick()
    pipeline.run(acme)
    assert len(stored(pipeline.conn, acme)) == 2
    pipeline.world.delete_integration(acme)
    pipeline.deliver()
    assert pipeline.requested() == {}
    pipeline.conn.rollback()
    rows = pipeline.conn.execute("select distinct lifecycle from core.jobs").fetchall()
    assert rows == [{"lifecycle": "integration_gone"}]
    row = pipeline.conn.execute("select health from marts.integration_health").fetchone()
    assert row == {"health": "gone"}


def test_a_tick_with_an_event_that_nobody_can_read_goes_on_and_runs_the_others(pipeline: Pipeline) -> None:
    """The smallest inputs that stopped the webhooks of all customers."""
    pipeline.land(event_type="integration-state-changed", integration_id="a:1", updated_at="9999-12-31T23:59:59-05:00")
    pipeline.land(integration_id="a:2", end_user={"origin_id": "".join(chr(0x4E00 + n) for n in range(6000))})
    odd = pipeline.land(integration_id="a b")
    pipeline.land(integration_id=ACME)
    assert pipeline.requested().keys() == {"a:2", ACME}
    assert pipeline.unhandled().count(odd) == 1
    assert [row.event_id for row in webhook_events.dead(pipeline.conn, 10)] == [odd]


def test_a_tick_works_off_a_backlog_of_several_batches(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events.work_off, "__kwdefaults__", events.work_off.__kwdefaults__ | {"limit": 3})
    for number in range(10):
        pipeline.land(integration_id=f"a:{number % 2}")
    assert pipeline.requested().keys() == {"a:0", "a:1"}
    assert webhook_events.unseen(pipeline.conn, 1) == []


# Jobs by hand


@pytest.fixture
def aged(world: World, conn: Connection) -> Pipeline:
    """A pipeline whose Dagster has no history but the test's own."""
    return Pipeline(world, conn, dg.DagsterInstance.ephemeral())


def by_hand(pipeline: Pipeline, job: str, op: str, **config: Any) -> dg.ExecuteInProcessResult:
    return defs.resolve_job_def(job).execute_in_process(
        instance=pipeline.instance, run_config={"ops": {op: {"config": config}}}, raise_on_error=False
    )


def test_a_replay_in_the_ui_makes_the_named_events_wait_again(pipeline: Pipeline) -> None:
    acme = pipeline.world.add_integration(jobs=1)
    pipeline.deliver()
    event = pipeline.land(integration_id=acme)
    pipeline.tick()
    assert pipeline.run(acme).success
    assert pipeline.unhandled() == []
    assert by_hand(pipeline, "replay_events", "replay_landed_events", event_ids=[event]).success
    assert pipeline.unhandled() == [event]
    assert pipeline.requested().keys() == {acme}


def test_a_replay_of_an_unknown_event_fails_and_names_it(pipeline: Pipeline) -> None:
    known = pipeline.land(integration_id=ACME)
    result = by_hand(pipeline, "replay_events", "replay_landed_events", event_ids=["nobody", known])
    [failure] = result.get_step_failure_events()
    assert failure.step_failure_data.user_failure_data.description == "No such event: nobody"
    assert pipeline.unhandled() == [known]


def runs_of(pipeline: Pipeline, integration_id: str) -> list[str]:
    filters = dg.RunsFilter(tags={"dagster/partition": integration_id})
    return [run.run_id for run in pipeline.instance.get_runs(filters)]


def test_pruning_deletes_old_runs_but_the_latest_materialization_of_each_partition(aged: Pipeline) -> None:
    acme, globex = (aged.world.add_integration(jobs=1) for _ in range(2))
    aged.instance.add_dynamic_partitions("integration", [acme, globex])
    acme_runs = [aged.run(acme).run_id for _ in range(3)]
    globex_run = aged.run(globex).run_id
    later_jobs = aged.run(globex, asset_selection=[dg.AssetKey("jobs")]).run_id
    assert by_hand(aged, "prune", "prune_history").success
    assert sorted(runs_of(aged, acme)) == sorted(acme_runs), "younger than two weeks"
    assert by_hand(aged, "prune", "prune_history", runs_days=0).success
    assert runs_of(aged, acme) == acme_runs[-1:]
    # The newest run of raw_job_pages is not that of jobs: both keep their green mark.
    assert runs_of(aged, globex) == [later_jobs, globex_run]
    for asset in ("raw_job_pages", "jobs"):
        assert {acme, globex} <= aged.instance.get_materialized_partitions(dg.AssetKey(asset))


def test_a_pruned_event_is_empty_and_still_keeps_its_duplicate_out(aged: Pipeline) -> None:
    handled = aged.land(event_type="a-type-of-next-year", integration_id=ACME)
    waiting = aged.land(integration_id=ACME)
    assert events.observe_events(aged.conn) == 2
    aged.conn.commit()
    assert by_hand(aged, "prune", "prune_history").success
    bodies = "select event_id, body is null as empty from raw.webhook_events order by event_seq"
    assert [row["empty"] for row in aged.conn.execute(bodies)] == [False, False]
    assert by_hand(aged, "prune", "prune_history", event_bodies_days=0).success
    aged.conn.rollback()
    assert aged.conn.execute(bodies).fetchall() == [
        {"event_id": handled, "empty": True},
        {"event_id": waiting, "empty": False},
    ]
    again = aged.conn.execute(
        "insert into raw.webhook_events (event_id, event_type) values (%s, 'x') on conflict do nothing", (handled,)
    )
    assert again.rowcount == 0


def test_pruning_keeps_the_pages_from_which_the_jobs_can_be_rebuilt(aged: Pipeline) -> None:
    acme = aged.world.add_integration(jobs=2)
    aged.instance.add_dynamic_partitions("integration", [acme])
    reconcile = defs.resolve_job_def("full_reconcile")
    aged.run(acme)
    aged.run(acme)
    assert reconcile.execute_in_process(partition_key=acme, instance=aged.instance).success
    aged.run(acme)
    assert by_hand(aged, "prune", "prune_history", pages_days=0).success
    aged.conn.rollback()
    rows = aged.conn.execute(
        "select kind, count(page_number) as pages from raw.fetches left join raw.job_pages using (fetch_id) "
        "group by fetch_id, kind order by fetch_id"
    )
    assert [(row["kind"], row["pages"]) for row in rows] == [
        ("full", 0),
        ("incremental", 0),
        ("full", 1),
        ("incremental", 1),
    ]


def test_own_jobs_are_matched_however_they_were_written(pipeline: Pipeline) -> None:
    acme = pipeline.world.add_integration(jobs=3, origin_id="acme")
    pipeline.world.add_integration(jobs=3, origin_id="other")
    sensor = sensors.own_jobs_sensor
    pipeline.deliver()
    pipeline.tick()
    write = "insert into core.own_jobs (customer_id, own_job_id, title) values ('acme', '1', 'Cook')"
    for statement in (
        write,
        "update core.own_jobs set title = 'Baker'",
        "update core.own_jobs set withdrawn_at = now()",
    ):
        pipeline.conn.execute(statement)
        pipeline.conn.commit()
        if statement == write:
            assert pipeline.requested(sensor) == {}  # nothing to match with before the first fetch
            assert pipeline.run(acme).success
            assert pipeline.requested(sensor) == {}  # a sync matches too
            continue
        first = pipeline.requested(sensor)
        assert list(first) == [acme]
        assert pipeline.requested(sensor) == first  # Dagster asks once for a key
        assert pipeline.run(acme, "rematch").success
        assert pipeline.requested(sensor) == {}


def test_a_rejected_candidate_has_the_own_job_matched_again(pipeline: Pipeline) -> None:
    acme = pipeline.world.add_integration(origin_id="acme")
    job = pipeline.world.open_job(acme, name="Cook")
    pipeline.world.sync(acme)
    pipeline.deliver()
    pipeline.tick()
    pipeline.conn.execute("insert into core.own_jobs (customer_id, own_job_id, title) values ('acme', '1', 'Cook')")
    pipeline.conn.commit()
    assert pipeline.run(acme).success
    answer = Answer(
        answer_id=uuid4(), customer_id="acme", own_job_id="1", integration_id=acme, decision="rejected",
        decided_by="ana", kombo_job_ids=[job],
    )  # fmt: skip
    decisions.answer(pipeline.conn, answer)
    pipeline.conn.commit()
    assert list(pipeline.requested(sensors.own_jobs_sensor)) == [acme]
    assert pipeline.run(acme, "rematch").success
    assert pipeline.requested(sensors.own_jobs_sensor) == {}


def test_what_was_matched_by_older_rules_is_matched_again_by_itself(pipeline: Pipeline) -> None:
    acme = pipeline.world.add_integration(jobs=3, origin_id="acme")
    pipeline.world.sync(acme)
    pipeline.deliver()
    pipeline.conn.execute("insert into core.own_jobs (customer_id, own_job_id, title) values ('acme', '1', 'Cook')")
    pipeline.conn.commit()
    pipeline.tick()
    assert pipeline.run(acme).success
    assert pipeline.requested(sensors.own_jobs_sensor) == {}
    for name in versions():
        pipeline.conn.execute("update core.integrations set matched_with = replace(matched_with, %s, 'older')", (name,))
        pipeline.conn.execute("update core.own_job_matches set matcher_version = 'older'")
        pipeline.conn.commit()
        assert list(pipeline.requested(sensors.own_jobs_sensor)) == [acme]
        assert pipeline.run(acme, "rematch").success
        assert pipeline.requested(sensors.own_jobs_sensor) == {}
    row = pipeline.conn.execute("select matched_with, matcher_version from core.integrations, core.own_job_matches")
    assert all("older" not in value for value in row.fetchall()[0].values())


def test_what_older_code_read_is_due_until_it_was_read_again(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = pipeline.world.add_integration(jobs=3, origin_id="acme")
    pipeline.world.sync(acme)
    pipeline.deliver()
    pipeline.tick()
    assert pipeline.run(acme).success
    for module in (apply, renewal):
        monkeypatch.setattr(module, "RECORD_RULE", apply.RECORD_RULE + 1)
    told = [pipeline.tick(sensors.renewal_sensor).skip_message for _ in range(2)]
    assert told == [f"{records} records read again, 0 integrations wait for it" for records in (3, 0)]


def test_a_tick_notes_what_is_stale_by_the_setting_and_what_is_fresh_again(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.conn.execute(
        "insert into core.integrations (integration_id, fetched_at) values (%s, now() - interval '5 days')", (ACME,)
    )
    pipeline.conn.commit()

    def is_stale() -> bool:
        pipeline.tick()
        pipeline.conn.rollback()
        found = integrations.get(pipeline.conn, ACME)
        pipeline.conn.rollback()
        return found is not None and found.stale_since is not None

    assert not is_stale()
    monkeypatch.setenv("KOMBO_STALE_AFTER_DAYS", "4")
    assert is_stale()
    monkeypatch.setenv("KOMBO_STALE_AFTER_DAYS", "6")
    assert not is_stale()


def test_every_schedule_and_sensor_runs_from_the_start() -> None:
    for sensor in (
        sensors.webhook_sensor,
        sensors.own_jobs_sensor,
        sensors.lost_runs_sensor,
        sensors.renewal_sensor,
    ):
        assert sensor.default_status == dg.DefaultSensorStatus.RUNNING
    running: list[Callable[..., Any] | dg.ScheduleDefinition] = [
        schedules.poll_silent_integrations,
        schedules.reconcile_weekly,
        schedules.freshness_hourly,
        schedules.prune_daily,
    ]
    assert [cast(dg.ScheduleDefinition, each).default_status for each in running] == [
        dg.DefaultScheduleStatus.RUNNING
    ] * 4
