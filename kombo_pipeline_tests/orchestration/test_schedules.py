"""Every sensor and schedule with none, one, two and many due, evaluated by Dagster as the daemon does it."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import uuid4

import dagster as dg
import pytest
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin

from kombo_pipeline.db import leases
from kombo_pipeline.db.connection import Connection
from kombo_pipeline.definitions import defs
from kombo_pipeline.orchestration import due, schedules, sensors
from kombo_pipeline.orchestration.backlog import Asked
from kombo_pipeline.orchestration.resources import Warehouse

TICK = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
LIMIT = due.REQUESTS_A_TICK
NUMBERS = [0, 1, 2, 500]


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
    return module_instance


def integrations(conn: Connection, instance: dg.DagsterInstance, number: int) -> list[str]:
    """Integrations that were fetched in full a month ago, the one with the lowest number the longest ago."""
    keys = [f"greenhouse:{each:04}" for each in range(number)]
    conn.execute(
        """
        insert into core.integrations (
            integration_id, customer_id, full_fetched_at, fetch_attempted_at, fetched_at, fetch_state, registered_at
        )
        select key, key, moment, moment, moment, 'current', moment
        from unnest(%s::text[]) with ordinality as keys (key, number),
            lateral (select now() - interval '40 days' + number * interval '1 minute' as moment) moments
        """,
        (keys,),
    )
    conn.commit()
    if keys:
        instance.add_dynamic_partitions("integration", keys)
    return keys


def with_events(conn: Connection, keys: list[str]) -> None:
    conn.execute(
        """
        insert into raw.webhook_events (event_id, event_type, integration_id, body, payload)
        select
            gen_random_uuid()::text, 'data-changed', key, '', '{"data": {"integration_category": "ATS"}}'::jsonb
        from unnest(%s::text[]) as keys (key)
        """,
        (keys,),
    )
    conn.commit()


def with_own_jobs(conn: Connection, keys: list[str]) -> None:
    conn.execute(
        """
        insert into core.own_jobs (customer_id, own_job_id, title)
        select key, '1', 'Cook'
        from unnest(%s::text[]) as keys (key)
        """,
        (keys,),
    )
    conn.commit()


def tick(instance: dg.DagsterInstance, ticked: Any, *, at: datetime = TICK) -> list[dg.RunRequest]:
    common: dict[str, Any] = {
        "instance": instance,
        "instance_ref": instance.get_ref(),
        "repository_def": defs.get_repository_def(),
        "resources": {"warehouse": Warehouse()},
    }
    if isinstance(ticked, dg.SensorDefinition):
        return list(ticked.evaluate_tick(dg.build_sensor_context(**common)).run_requests or [])
    context = dg.build_schedule_context(scheduled_execution_time=at, **common)
    return list(ticked.evaluate_tick(context).run_requests or [])


BACKLOGS: dict[str, tuple[Any, Callable[[Connection, list[str]], None], int]] = {
    "webhooks": (sensors.webhook_sensor, with_events, 0),
    "own jobs": (sensors.own_jobs_sensor, with_own_jobs, -7),
    "poll": (schedules.poll_silent_integrations, lambda conn, keys: None, -5),
    "reconcile": (schedules.reconcile_weekly, lambda conn, keys: None, -10),
}
ALL = pytest.mark.parametrize("what", BACKLOGS)


@ALL
@pytest.mark.parametrize("number", NUMBERS)
def test_a_tick_asks_for_each_that_is_due_up_to_a_limit_the_oldest_first(
    conn: Connection, instance: dg.DagsterInstance, what: str, number: int
) -> None:
    ticked, make_due, priority = BACKLOGS[what]
    keys = integrations(conn, instance, number)
    make_due(conn, keys)
    found = tick(instance, ticked)
    assert [request.partition_key for request in found] == keys[:LIMIT]
    assert len({request.run_key for request in found}) == min(number, LIMIT)
    assert all(request.run_key for request in found)
    assert {request.tags["dagster/priority"] for request in found} <= {str(priority)}


def queue(instance: dg.DagsterInstance, ticked: Any, requests: list[dg.RunRequest]) -> None:
    """What the daemon makes of requests: a queued run for each, with the tags of its job and its request."""
    job = defs.resolve_job_def(cast(str, ticked.job_name))
    repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("kombo_pipeline"), "__repository__")
    for request in requests:
        run = dg.DagsterRun(
            job.name,
            status=dg.DagsterRunStatus.QUEUED,
            tags={**job.run_tags, **request.tags, "dagster/partition": str(request.partition_key)},
            remote_job_origin=RemoteJobOrigin(repository, job.name),
        )
        instance.run_storage.add_run(run)


@pytest.mark.parametrize("what", ["webhooks", "reconcile"])
def test_a_backlog_is_asked_for_to_its_end_and_nothing_twice_while_it_is_queued(
    conn: Connection, instance: dg.DagsterInstance, what: str
) -> None:
    ticked, make_due, _ = BACKLOGS[what]
    keys = integrations(conn, instance, LIMIT + 20)
    make_due(conn, keys)
    asked: list[str | None] = []
    for number in range(2):
        requests = tick(instance, ticked, at=TICK + number * timedelta(minutes=10))
        queue(instance, ticked, requests)
        asked += [request.partition_key for request in requests]
    assert asked == keys


@pytest.mark.parametrize("what", ["webhooks", "own jobs"])
def test_runs_that_fail_again_and_again_starve_nobody(
    conn: Connection, instance: dg.DagsterInstance, what: str
) -> None:
    """Dagster drops their keys, so no run is queued for them, and they stay due."""
    ticked, make_due, _ = BACKLOGS[what]
    keys = integrations(conn, instance, 2 * LIMIT + 20)
    make_due(conn, keys)
    asked: list[str | None] = []
    for _ in range(3):
        asked += [request.partition_key for request in tick(instance, ticked)]
    assert asked[: len(keys)] == keys
    assert asked[len(keys) :] == keys[: 3 * LIMIT - len(keys)], "then those that were asked for the longest time ago"


def test_what_was_not_asked_for_yet_goes_first_then_what_was_asked_for_the_longest_time_ago() -> None:
    asked = {"a": Asked("a1", TICK), "b": Asked("b1", TICK - timedelta(hours=1)), "c": Asked("c1", TICK)}
    run_keys = {"a": "a1", "b": "b1", "c": "c2", "d": "d1"}
    assert list(due.next_requests(run_keys, asked, limit=3)) == ["c", "d", "b"]
    assert due.next_requests({}, asked) == {}


@pytest.mark.parametrize("what", ["poll", "reconcile"])
def test_the_next_tick_of_a_schedule_asks_again_for_a_run_that_failed(
    conn: Connection, instance: dg.DagsterInstance, what: str
) -> None:
    ticked, _, _ = BACKLOGS[what]
    integrations(conn, instance, 2)
    first, again, later = (
        {request.run_key for request in tick(instance, ticked, at=at)}
        for at in (TICK, TICK, TICK + timedelta(minutes=10))
    )
    assert first == again, "a tick that the daemon repeats asks for nothing twice"
    assert not first & later


@ALL
@pytest.mark.parametrize("work", ["fetch", "apply"])
def test_nobody_is_asked_for_while_it_is_in_work_and_again_once_its_lease_expired(
    conn: Connection, instance: dg.DagsterInstance, what: str, work: str
) -> None:
    ticked, make_due, _ = BACKLOGS[what]
    busy, idle = integrations(conn, instance, 2)
    make_due(conn, [busy, idle])
    leases.acquire(conn, leases.Held(busy, work, uuid4()), run_id="a-run")
    conn.commit()
    assert [request.partition_key for request in tick(instance, ticked)] == [idle]
    conn.execute("update core.leases set until = clock_timestamp() - interval '1 second'")
    conn.commit()
    assert {request.partition_key for request in tick(instance, ticked)} == {busy, idle}


def test_a_job_started_by_hand_goes_before_all_others() -> None:
    for job in ("sync_integration", "full_reconcile", "rematch"):
        assert defs.resolve_job_def(job).run_tags["dagster/priority"] == "10"


# Work that was cut off


def interrupted(conn: Connection, instance: dg.DagsterInstance) -> dict[str | None, str | None]:
    return {request.partition_key: request.run_key for request in tick(instance, sensors.webhook_sensor)}


@pytest.mark.parametrize("status", ["running", "landed"])
def test_a_fetch_that_a_killed_process_left_behind_is_asked_for_once_without_any_event(
    conn: Connection, instance: dg.DagsterInstance, status: str
) -> None:
    [acme] = integrations(conn, instance, 1)
    conn.execute(
        """
        insert into raw.fetches (integration_id, kind, status, covers_event_seq, requested_at)
        values (%s, 'incremental', %s, 0, now() - interval '29 seconds')
        """,
        (acme, status),
    )
    conn.commit()
    assert interrupted(conn, instance) == {}, "a run has a moment between two steps"
    conn.execute("update raw.fetches set requested_at = now() - interval '31 seconds'")
    conn.commit()
    first = interrupted(conn, instance)
    assert first.keys() == {acme}
    assert interrupted(conn, instance) == first
    [request] = tick(instance, sensors.webhook_sensor)
    assert request.tags["dagster/priority"] == "5", "what a killed process left has waited for its lease already"
    leases.acquire(conn, leases.Held(acme, "apply", uuid4()))
    conn.commit()
    assert interrupted(conn, instance) == {}


def test_work_that_kills_its_process_again_and_again_is_asked_for_after_longer_and_longer_pauses(
    conn: Connection, instance: dg.DagsterInstance
) -> None:
    [acme] = integrations(conn, instance, 1)
    pauses = {1: 0, 2: 30, 3: 90, 5: 450, 50: 3600}
    for attempts, pause in pauses.items():
        for seconds, expected in ((pause - 5, set()), (pause + 5, {acme})):
            conn.execute("delete from core.leases")
            leases.acquire(conn, leases.Held(acme, "fetch", uuid4()))
            conn.execute(
                "update core.leases set attempts = %s, until = clock_timestamp() - make_interval(secs => %s)",
                (attempts, seconds),
            )
            conn.commit()
            assert interrupted(conn, instance).keys() == expected, (attempts, seconds)


def test_a_matching_that_was_cut_off_or_left_out_is_asked_for(conn: Connection, instance: dg.DagsterInstance) -> None:
    killed_in_it, killed_before, matched = integrations(conn, instance, 3)
    conn.execute("update core.integrations set fetched_at = now()")
    leases.acquire(conn, leases.Held(killed_in_it, "rematch", uuid4()))
    conn.execute("update core.leases set until = clock_timestamp() - interval '1 second'")
    for key in (killed_before, matched):
        conn.execute(
            """
            insert into raw.fetches (integration_id, kind, status, covers_event_seq, applied_at)
            values (%s, 'incremental', 'applied', 0, now() - interval '61 seconds')
            """,
            (key,),
        )
    conn.execute(
        """
        update core.integrations i
        set matched_fetch_id = (select max(fetch_id) from raw.fetches f where f.integration_id = i.integration_id)
        where integration_id = %s
        """,
        (matched,),
    )
    conn.commit()
    first = {request.partition_key: request.run_key for request in tick(instance, sensors.own_jobs_sensor)}
    assert first.keys() == {killed_in_it, killed_before}
    again = {request.partition_key: request.run_key for request in tick(instance, sensors.own_jobs_sensor)}
    assert again == first


# The first look at a fresh stack


def test_own_jobs_has_a_materialization_from_the_first_tick_so_that_no_launch_warns(
    conn: Connection, instance: dg.DagsterInstance
) -> None:
    context = dg.build_sensor_context(
        instance=instance,
        instance_ref=instance.get_ref(),
        repository_def=defs.get_repository_def(),
        resources={"warehouse": Warehouse()},
    )
    first = sensors.own_jobs_sensor.evaluate_tick(context)
    [event] = first.asset_events
    assert isinstance(event, dg.AssetMaterialization)
    assert event.asset_key == dg.AssetKey("own_jobs")
    instance.report_runless_asset_event(event)
    assert not sensors.own_jobs_sensor.evaluate_tick(context).asset_events
