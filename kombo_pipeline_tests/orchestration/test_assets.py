"""The two assets, run as Dagster runs them, between a served Kombo and a real warehouse."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from kombo_pipeline.db import leases
from kombo_pipeline.db.connection import Connection
from kombo_pipeline.ingest.statements import integrations
from kombo_pipeline.orchestration.assets import FetchConfig, raw_job_pages
from kombo_pipeline.orchestration.resources import KomboApi, Warehouse
from kombo_pipeline.own_jobs.importing import import_own_jobs
from kombo_pipeline.own_jobs.reading import OwnJob
from kombo_pipeline.sandbox.traffic import Fault
from kombo_pipeline.sandbox.world import World
from kombo_pipeline_tests.ingest.model import as_stored, stored

Run = Callable[..., dg.ExecuteInProcessResult]


def told(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    """The metadata of an asset's materialization, as plain values."""
    [materialization] = result.asset_materializations_for_node(asset)
    return {name: value.value for name, value in materialization.metadata.items()}


def state(conn: Connection, integration_id: str) -> integrations.Integration:
    conn.rollback()
    found = integrations.get(conn, integration_id)
    assert found is not None
    return found


def asked(world: World, path: str = "/ats/jobs") -> list[Any]:
    return [request for request in world.requests if path in request.path]


def answer(code: str, *, status: int, path: str = "/ats/jobs", times: int = 100, **headers: str) -> Fault:
    body = (
        f'{{"status":"error","error":{{"code":"{code}","title":"No","message":"It says no.",'
        '"log_url":"https://app.kombo.dev/logs?interactionId=1"}}'
    )
    return Fault(
        "answer",
        status=status,
        body=body,
        headers={"content-type": "application/json"} | headers,
        path=path,
        times=times,
    )


def test_the_first_run_copies_every_job_and_the_next_one_only_asks_for_changes(
    world: World, run: Run, conn: Connection
) -> None:
    acme = world.add_integration(jobs=12)
    first = run(acme)
    assert first.success
    assert (told(first, "raw_job_pages")["fetch"], told(first, "jobs")["new"]) == ("full", 12)
    job_id = world.ats_jobs(acme)[0]
    world.edit_job(acme, job_id, name="Chief Yak Shaver")
    world.sync(acme)
    second = run(acme)
    assert told(second, "raw_job_pages")["fetch"] == "incremental"
    assert [told(second, "jobs")[name] for name in ("new", "changed", "unchanged")] == [0, 1, 11]
    ours = stored(conn, acme)
    assert ours == {job: as_stored(record, ours[job]) for job, record in world.kombo_jobs(acme).items()}


def test_a_materialization_tells_what_a_data_engineer_asks_first(world: World, run: Run, conn: Connection) -> None:
    acme = world.add_integration(jobs=12, organization="Acme GmbH")
    run(acme)
    before = state(conn, acme).kombo_last_sync_started_at
    world.set_status(acme, world.ats_jobs(acme)[0], "OPEN")
    world.sync(acme)
    run(acme)
    between = state(conn, acme).kombo_last_sync_started_at
    world.set_status(acme, world.ats_jobs(acme)[0], "CLOSED")
    world.set_raw(acme, world.ats_jobs(acme)[1], lambda record: record | {"stages": 7})
    world.sync(acme)
    result = run(acme)
    after = state(conn, acme).kombo_last_sync_started_at

    pages, jobs = told(result, "raw_job_pages"), told(result, "jobs")
    assert {name: pages[name] for name in ("status", "fetch", "pages", "records", "organization")} == {
        "status": "landed",
        "fetch": "incremental",
        "pages": 1,
        "records": 12,
        "organization": "Acme GmbH",
    }
    assert pages["updated_after"] == (between - timedelta(minutes=5)).timestamp()
    assert pages["seconds"] >= 0
    assert pages["why"] == "changes since the watermark, less the overlap"
    assert pages["fetch_id"] == 3
    counts = ("new", "changed", "unchanged", "closed", "quarantined", "repaired", "held")
    assert [jobs[name] for name in counts] == [0, 2, 10, 1, 1, 0, 0]
    assert jobs["fetches_applied"] == "3 (incremental)"
    assert before <= between <= after
    assert (jobs["watermark_before"], jobs["watermark_after"]) == (between.timestamp(), after.timestamp())
    assert jobs["dagster/table_name"] == "core.jobs"
    assert jobs["dagster/partition_row_count"] == 12
    columns = {column.name: column for column in jobs["dagster/column_schema"].columns}
    assert columns["kombo_job_id"].description == "Kombo's id of the job; stable as long as the integration lives."
    assert (columns["name"].type, columns["kombo_job_id"].constraints.nullable) == ("text", False)
    changes = [(row.data["field"], row.data["event"], row.data["new_value"]) for row in jobs["changes"].records]
    assert ("lifecycle", "closed", '"closed"') in [(f, e, str(n)) for f, e, n in changes]


def test_the_log_of_kombo_is_one_click_away(world: World, run: Run, conn: Connection) -> None:
    acme = world.add_integration(jobs=2)
    run(acme)
    integrations.update(conn, acme, {"last_sync_log_url": "https://app.kombo.dev/logs?syncId=1"})
    conn.commit()
    result = run(acme)
    for asset in ("raw_job_pages", "jobs"):
        assert told(result, asset)["kombo_log"] == "https://app.kombo.dev/logs?syncId=1"


def test_a_first_sync_that_is_pending_is_no_failure(world: World, run: Run, conn: Connection) -> None:
    newcomer = world.add_integration(jobs=5, synced=False)
    for answer_of_kombo in ("409", "503", "message-only"):
        world.behaviour.pending_answer = answer_of_kombo
        result = run(newcomer)
        assert result.success
        assert told(result, "raw_job_pages")["status"] == "waiting"
        assert told(result, "jobs")["fetches_applied"] == "none"
        assert all(check.passed for check in result.get_asset_check_evaluations())
    assert len(asked(world)) == 3
    assert (state(conn, newcomer).kombo_last_sync_started_at, state(conn, newcomer).fetch_state) == (
        None,
        "waiting",
    )
    world.sync(newcomer)
    assert told(run(newcomer), "jobs")["new"] == 5


def test_what_kombo_refuses_is_asked_once(world: World, run: Run, conn: Connection) -> None:
    acme = world.add_integration(jobs=2)
    world.faults.append(answer("INTEGRATION.PERMISSION_MISSING", status=403))
    result = run(acme)
    assert not result.success
    assert len(asked(world)) == 1
    [failure] = result.get_step_failure_events()
    description = failure.step_failure_data.user_failure_data
    assert description.description.startswith("Refused: It says no.")
    assert description.description.endswith("Who must act: customer.")
    assert description.metadata["kombo_log"].value == "https://app.kombo.dev/logs?interactionId=1"
    assert not result.asset_materializations_for_node("jobs")
    assert (state(conn, acme).fetch_state, state(conn, acme).who_must_act) == ("refused", "customer")


def test_while_kombo_is_unavailable_the_failure_says_that_the_poll_asks_again(
    world: World, run: Run, conn: Connection
) -> None:
    acme = world.add_integration(jobs=2)
    run(acme)
    before = state(conn, acme)
    world.faults.append(answer("REMOTE.SERVICE_UNAVAILABLE", status=503, **{"retry-after": "1000"}))
    result = run(acme)
    assert not result.success
    [failure] = result.get_step_failure_events()
    assert failure.step_failure_data.user_failure_data.description.endswith("The poll asks again in some minutes.")
    after = state(conn, acme)
    assert after.fetch_state == "unavailable"
    assert after.kombo_last_sync_started_at == before.kombo_last_sync_started_at
    world.faults.clear()
    assert run(acme).success
    assert state(conn, acme).fetch_state == "current"


def test_the_header_always_names_the_partition(world: World, run: Run) -> None:
    customers = [world.add_integration(jobs=1) for _ in range(3)]
    for customer in customers:
        run(customer)
    assert [request.integration_id for request in asked(world)] == customers


def test_an_integration_never_sees_the_jobs_of_another(world: World, run: Run, conn: Connection) -> None:
    acme, globex = world.add_integration(jobs=3), world.add_integration(jobs=4)
    run(acme)
    assert stored(conn, globex) == {}
    ours = stored(conn, acme)
    watermark = state(conn, acme).kombo_last_sync_started_at
    assert told(run(globex), "jobs")["dagster/partition_row_count"] == 4
    assert stored(conn, acme) == ours
    assert stored(conn, acme).keys().isdisjoint(stored(conn, globex))
    assert state(conn, acme).kombo_last_sync_started_at == watermark


def test_the_full_reconcile_fetches_everything_and_closes_what_vanished(
    world: World, run: Run, conn: Connection
) -> None:
    acme = world.add_integration(jobs=12)
    run(acme)
    gone = world.ats_jobs(acme)[0]
    world.delete_job(acme, gone)
    world.sync(acme)
    world.clock.advance(timedelta(days=15))
    assert told(run(acme, job="sync_integration"), "jobs")["repaired"] == 0
    result = run(acme, job="full_reconcile")
    assert told(result, "raw_job_pages")["fetch"] == "full"
    assert told(result, "jobs")["repaired"] == 1
    row = conn.execute("select lifecycle from core.jobs where kombo_job_id = %s", (gone,)).fetchone()
    assert row == {"lifecycle": "vanished"}


def test_a_run_whose_fetch_landed_but_was_not_applied_is_completed_by_the_next(
    world: World, run: Run, conn: Connection
) -> None:
    acme = world.add_integration(jobs=3)
    assert run(acme, asset_selection=[dg.AssetKey("raw_job_pages")]).success
    assert stored(conn, acme) == {}
    assert told(run(acme, asset_selection=[dg.AssetKey("jobs")]), "jobs")["new"] == 3


def test_a_deleted_integration_is_not_asked_for(world: World, run: Run, conn: Connection) -> None:
    acme = world.add_integration(jobs=3)
    run(acme)
    integrations.update(conn, acme, {"deleted_at": datetime.now(UTC)})
    conn.commit()
    world.requests.clear()
    result = run(acme)
    assert result.success
    assert told(result, "raw_job_pages")["status"] == "gone"
    assert not world.requests


def test_check_results_belong_to_their_partition(world: World, run: Run) -> None:
    acme, globex = world.add_integration(jobs=3), world.add_integration(jobs=3)
    world.set_raw(acme, world.ats_jobs(acme)[0], lambda record: record | {"stages": 7})
    results = {customer: run(customer).get_asset_check_evaluations() for customer in (acme, globex)}
    passed = {(check.partition, check.check_name): check.passed for checks in results.values() for check in checks}
    assert passed.keys() == {
        (customer, name)
        for customer in (acme, globex)
        for name in (
            *("job_ids_are_unique", "watermark_moved", "nothing_is_quarantined", "sync_is_healthy"),
            "links_are_sound",
        )
    }
    assert [key for key, value in passed.items() if not value] == [(acme, "nothing_is_quarantined")]


def test_a_sync_links_what_identifiers_decide_and_proposes_the_rest(world: World, run: Run, conn: Connection) -> None:
    acme = world.add_integration(origin_id="acme")
    first = world.open_job(acme, name="Night Nurse", job_code="R-4711")
    world.open_job(acme, name="Data Engineer")
    world.sync(acme)
    own = [("1", "Night Nurse", "R-4711"), ("2", "Data Engineer (m/w/d)", None), ("3", "Cook", None)]
    import_own(conn, "acme", own)
    conn.execute("insert into core.integrations (integration_id, customer_id) values (%s, 'acme')", (acme,))
    conn.commit()
    result = run(acme)
    assert result.success
    metadata = told(result, "job_match_candidates")
    assert metadata["own_jobs_scored"] == 3
    assert metadata["linked_now_by_job_code"] == 1
    assert metadata["links_active"] == 1
    assert metadata["without_counterpart"] == 1
    assert metadata["waiting_for_review"] == 1
    confidences = rows_of(result, "job_match_candidates", "confidence")
    assert [record["confidence"] for record in confidences][::9] == ["0.0 to 0.1", "0.9 to 1.0"]
    assert len(confidences) == 10
    assert sum(int(record["own_jobs"]) for record in confidences) == 3
    assert {record["own_title"] for record in rows_of(result, "job_match_candidates", "examples")} >= {
        "Data Engineer (m/w/d)"
    }
    guide = conn.execute("select id, title, customer_id, kombo_job_id from marts.own_jobs order by id").fetchall()
    assert [tuple(row.values()) for row in guide] == [
        ("1", "Night Nurse", "acme", first),
        ("2", "Data Engineer (m/w/d)", "acme", None),
        ("3", "Cook", "acme", None),
    ]


def test_own_jobs_show_how_many_came_by_which_way(world: World, run: Run, conn: Connection) -> None:
    acme = world.add_integration(origin_id="acme")
    import_own(conn, "acme", [("1", "Cook", None), ("2", "Baker", None)])
    result = run(acme, job="rematch")
    assert result.success
    metadata = told(result, "own_jobs")
    assert metadata["dagster/row_count"] == 2
    [row] = rows_of(result, "own_jobs", "by_customer_and_source")
    assert (row["customer_id"], row["list"], row["source"], row["own_jobs"]) == ("acme", "import", "import", "2")
    assert metadata["held"] == 0
    assert told(result, "job_match_candidates")["status"] == "the integration is not registered yet"


def rows_of(result: dg.ExecuteInProcessResult, asset: str, name: str) -> list[Any]:
    """The rows of a table in the metadata of an asset's materialization."""
    [materialization] = result.asset_materializations_for_node(asset)
    table = materialization.metadata[name]
    assert isinstance(table, dg.TableMetadataValue)
    return [record.data for record in table.records]


def import_own(conn: Connection, customer: str, jobs: list[tuple[str, str, str | None]]) -> None:
    rows = [OwnJob(own_job_id, title=title, job_code=code) for own_job_id, title, code in jobs]
    import_own_jobs(conn, rows, customer_id=customer, source="import")
    conn.commit()


def test_an_integration_that_another_process_fetches_is_asked_again_later(world: World, conn: Connection) -> None:
    acme = world.add_integration(jobs=1)
    with leases.hold(conn, acme, "fetch"), pytest.raises(dg.RetryRequested) as raised:
        raw_job_pages(
            dg.build_asset_context(partition_key=acme), FetchConfig(), warehouse=Warehouse(), kombo=KomboApi()
        )
    assert raised.value.seconds_to_wait == 15
    assert not asked(world)


def test_without_a_key_the_run_says_which_variable_to_set(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KOMBO_API_KEY")
    context = dg.build_asset_context(partition_key="greenhouse:x")
    with pytest.raises(dg.Failure, match="KOMBO_API_KEY is not set") as raised:
        raw_job_pages(context, FetchConfig(), warehouse=Warehouse(), kombo=KomboApi())
    assert not raised.value.allow_retries
