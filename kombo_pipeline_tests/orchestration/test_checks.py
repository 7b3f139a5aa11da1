"""Each check fails as soon as what it claims does not hold, and only then."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
from dagster._core.execution.context.invocation import DirectAssetCheckExecutionContext

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.ingest.apply import release_records
from kombo_pipeline.orchestration import checks
from kombo_pipeline.orchestration.resources import Warehouse
from kombo_pipeline.sandbox.world import World

Judge = Callable[[], dict[str, dg.AssetCheckResult]]
PARTITIONED = [
    checks.job_ids_are_unique,
    checks.watermark_moved,
    checks.nothing_is_quarantined,
    checks.sync_is_healthy,
]


@pytest.fixture
def acme(world: World, run: Callable[..., Any]) -> str:
    """A customer of thirty open jobs that was fetched a moment ago."""
    acme = world.add_integration(jobs=30)
    for job_id in world.ats_jobs(acme):
        world.set_status(acme, job_id, "OPEN")
    world.sync(acme)
    assert run(acme).success
    return acme


@pytest.fixture
def judge(acme: str) -> Judge:
    """Asks every check, about the customer and about all integrations, and runs no asset."""

    def ask() -> dict[str, dg.AssetCheckResult]:
        results = {
            "every_integration_fresh": checks.every_integration_fresh(warehouse=Warehouse()),
            "every_event_was_understood": checks.every_event_was_understood(warehouse=Warehouse()),
            "product_knows_every_target": checks.product_knows_every_target(warehouse=Warehouse()),
        }
        for check in PARTITIONED:
            # `build_asset_check_context` takes no partition.
            context = DirectAssetCheckExecutionContext(dg.build_op_context(partition_key=acme))
            results[check.check_key.name] = check(context, warehouse=Warehouse())
        return results

    return ask


def failing(judge: Judge) -> list[str]:
    return [name for name, found in judge().items() if not found.passed]


def change(conn: Connection, statement: str, *parameters: Any) -> None:
    assert conn.execute(statement, parameters).rowcount > 0
    conn.commit()


def test_a_healthy_customer_passes_every_check(judge: Judge) -> None:
    assert failing(judge) == []


def test_a_nested_entry_without_its_job_is_found(judge: Judge, conn: Connection, acme: str) -> None:
    change(conn, "insert into core.job_stages values (%s, 'nobody', 'stage', 0)", acme)
    assert failing(judge) == ["job_ids_are_unique"]
    assert judge()["job_ids_are_unique"].metadata["orphaned_entries"].value == 1


def test_open_jobs_that_share_a_remote_id_are_counted_and_pass(judge: Judge, conn: Connection, acme: str) -> None:
    change(conn, "update core.jobs set remote_id = 'the same' where integration_id = %s", acme)
    assert failing(judge) == []
    assert judge()["job_ids_are_unique"].metadata["open_jobs_sharing_a_remote_id"].value == 30


@pytest.mark.parametrize("watermark", ["null", "kombo_last_sync_started_at - interval '1 second'"])
def test_a_watermark_behind_the_newest_applied_fetch_is_found(judge: Judge, conn: Connection, watermark: str) -> None:
    change(conn, f"update core.integrations set kombo_last_sync_started_at = {watermark}")
    assert failing(judge) == ["watermark_moved"]


def test_a_landed_fetch_that_is_not_applied_is_found(judge: Judge, conn: Connection) -> None:
    change(conn, "update raw.fetches set status = 'landed'")
    change(
        conn,
        "insert into raw.fetches (integration_id, kind, started_at, covers_event_seq, status) "
        "select integration_id, kind, started_at, covers_event_seq, 'applied' from raw.fetches",
    )
    assert failing(judge) == ["watermark_moved"]
    assert judge()["watermark_moved"].metadata["landed_but_not_applied"].value == 1


@pytest.mark.parametrize("state", ["never", "waiting"])
def test_an_integration_whose_first_sync_is_pending_owes_no_watermark(
    judge: Judge, conn: Connection, state: str
) -> None:
    change(conn, "update core.integrations set kombo_last_sync_started_at = null, fetch_state = %s", state)
    assert judge()["watermark_moved"].passed


def test_a_record_in_quarantine_is_shown_with_its_reason(
    judge: Judge, conn: Connection, world: World, run: Callable[..., Any], acme: str
) -> None:
    job_id = world.ats_jobs(acme)[0]
    world.set_raw(acme, job_id, lambda record: record | {"stages": 7})
    run(acme)
    result = judge()["nothing_is_quarantined"]
    assert failing(judge) == ["nothing_is_quarantined"]
    assert result.severity == dg.AssetCheckSeverity.WARN
    [row] = result.metadata["sample"].records
    assert row.data["kombo_job_id"] == job_id
    assert "stages" in row.data["reason"]
    assert result.metadata["jobs_by_unreadable_field"].value == {"stages": 1}
    assert "release records" in result.metadata["what_to_do"].value
    world.set_raw(acme, job_id, None)
    run(acme)
    assert failing(judge) == []
    assert release_records(conn) == (0, [])


def test_many_odd_records_are_for_us_to_mend_and_name_the_field(
    judge: Judge, world: World, run: Callable[..., Any], acme: str
) -> None:
    for number, job_id in enumerate(world.ats_jobs(acme)):
        world.set_raw(acme, job_id, {"weekly_hours": "40"} if number else {"weekly_hours": "40", "job_code": 4711})
    run(acme)
    assert failing(judge) == ["nothing_is_quarantined", "sync_is_healthy"]
    checks = judge()
    assert checks["sync_is_healthy"].metadata["who_must_act"].value == "us"
    assert "weekly_hours" in checks["sync_is_healthy"].metadata["what_to_do"].value
    fields = checks["nothing_is_quarantined"].metadata["jobs_by_unreadable_field"].value
    assert list(fields.items()) == [("weekly_hours", len(world.ats_jobs(acme))), ("job_code", 1)]


@pytest.mark.parametrize("sync", ["AUTHENTICATION_FAILED: customer", "FAILED: kombo", "PARTIALLY_FAILED: kombo"])
def test_a_sync_that_went_wrong_names_who_must_act(
    judge: Judge, conn: Connection, run: Callable[..., Any], acme: str, sync: str
) -> None:
    state, who = sync.split(": ")
    change(conn, "update core.integrations set last_sync_state = %s", state)
    run(acme)
    result = judge()["sync_is_healthy"]
    assert failing(judge) == ["sync_is_healthy"]
    assert result.metadata["who_must_act"].value == who
    assert len(result.metadata["what_to_do"].value) > 20


def test_a_held_closure_keeps_the_customer_from_being_healthy(
    judge: Judge, world: World, run: Callable[..., Any], acme: str
) -> None:
    for job_id in world.ats_jobs(acme)[:20]:
        world.delete_job(acme, job_id)
    world.sync(acme)
    world.clock.advance(timedelta(days=15))  # Kombo forgets its tombstones
    run(acme, job="full_reconcile")
    assert failing(judge) == ["sync_is_healthy"]
    assert judge()["sync_is_healthy"].metadata["held_jobs"].value == "20"


def test_one_stale_customer_among_fresh_ones_is_named(judge: Judge, conn: Connection, acme: str) -> None:
    for number in range(3):
        change(conn, "insert into core.integrations (integration_id, fetched_at) values (%s, now())", f"fresh:{number}")
    long_ago = datetime.now(UTC) - timedelta(hours=25)
    change(conn, "update core.integrations set registered_at = now() - interval '1 week'")
    change(conn, "update core.integrations set fetched_at = %s where integration_id = %s", long_ago, acme)
    result = judge()["every_integration_fresh"]
    assert failing(judge) == ["every_integration_fresh"]
    assert (result.metadata["integrations"].value, result.metadata["stale"].value) == (4, 1)
    assert [row.data["integration_id"] for row in result.metadata["sample"].records] == [acme]


def test_an_integration_that_was_never_fetched_is_stale_after_a_day(judge: Judge, conn: Connection) -> None:
    change(conn, "update core.integrations set fetched_at = null")
    assert failing(judge) == []
    change(conn, "update core.integrations set registered_at = now() - interval '25 hours'")
    assert failing(judge) == ["every_integration_fresh"]


def test_a_deleted_integration_is_never_stale(judge: Judge, conn: Connection) -> None:
    change(conn, "update core.integrations set fetched_at = now() - interval '1 year', deleted_at = now()")
    assert judge()["every_integration_fresh"].passed


def test_the_hourly_job_runs_only_the_checks_of_all_integrations(run: Callable[..., Any], acme: str) -> None:
    result = run(job="check_freshness")
    evaluations = result.get_asset_check_evaluations()
    assert sorted((check.check_name, check.partition, check.passed) for check in evaluations) == [
        ("every_event_was_understood", None, True),
        ("every_integration_fresh", None, True),
        ("product_knows_every_target", None, True),
    ]


def test_a_target_that_was_not_told_is_found_with_its_integration_and_the_next_matching_tells_it(
    judge: Judge, conn: Connection, run: Callable[..., Any], acme: str
) -> None:
    change(
        conn,
        "insert into core.own_jobs (customer_id, own_job_id, kombo_job_id, title) select customer_id, 'own-1', "
        "kombo_job_id, name from marts.jobs where publishable order by kombo_job_id limit 1",
    )
    assert run(acme, job="rematch").success
    assert failing(judge) == []
    change(conn, "delete from core.targets")
    assert failing(judge) == ["product_knows_every_target"]
    sample = str(judge()["product_knows_every_target"].metadata["sample"].value)
    assert acme in sample
    assert run(acme, job="rematch").success
    assert failing(judge) == []


def test_a_dead_event_is_counted_and_shown_with_its_reason(judge: Judge, conn: Connection) -> None:
    change(
        conn,
        "with landed as (insert into raw.webhook_events (event_id, event_type, starts_fetch) "
        "values ('e1', 'data-changed', false) returning event_seq) "
        "insert into raw.dead_events (event_seq, reason) select event_seq, 'it names no integration' from landed",
    )
    assert failing(judge) == ["every_event_was_understood"]
    metadata = judge()["every_event_was_understood"].metadata
    assert metadata["dead_events"].value == 1
    assert "events --dead" in str(metadata["what_to_do"].value)
    assert "it names no integration" in str(metadata["sample"].value)
