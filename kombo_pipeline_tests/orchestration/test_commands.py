"""`kombo-pipeline forget`: what was forgotten is gone, stays away, and may be brought back."""

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import uuid4

import dagster as dg
import psycopg
import pytest
from click.testing import CliRunner

from kombo_pipeline.cli import main
from kombo_pipeline.db import leases
from kombo_pipeline.db.connection import Connection, connect
from kombo_pipeline.ingest import forget as forgetting
from kombo_pipeline.ingest.statements import forgotten, integrations
from kombo_pipeline.kombo import webhooks
from kombo_pipeline.linking import decisions
from kombo_pipeline.linking.decisions import Answer
from kombo_pipeline.orchestration import sensors
from kombo_pipeline.orchestration.resources import Warehouse
from kombo_pipeline.sandbox.world import World
from kombo_pipeline_tests.conftest import as_member

ACME, OTHER, TYPO = "greenhouse:acme", "greenhouse:other", "greenhouse:typotypotypo"


def kombo_pipeline(*arguments: str) -> Any:
    return CliRunner().invoke(main, list(arguments))


def said(*arguments: str) -> str:
    result = kombo_pipeline(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def complaint(*arguments: str) -> str:
    result = kombo_pipeline(*arguments)
    assert result.exit_code == 1, result.output
    [line] = result.stderr.splitlines()
    return line


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """A Dagster on disk that DAGSTER_HOME names, as beside the daemon."""
    (tmp_path / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with dg.DagsterInstance.get() as found:
        yield found


@pytest.fixture
def acme(world: World, conn: Connection, warehouse_url: str, run: Callable[..., Any]) -> str:
    """A customer with rows everywhere: jobs, a link by an identifier, answers of a person, events, an exposed job."""
    world.add_integration(jobs=12, integration_id=OTHER, origin_id="other")
    world.add_integration(jobs=14, integration_id=ACME, origin_id="acme")
    job, linked = world.ats_jobs(ACME)[:2]
    for integration in (ACME, OTHER):
        assert run(integration).success
    remote_id = world.ats_job(ACME, linked)["remote_id"]
    conn.execute("insert into core.own_jobs (customer_id, own_job_id, title) values ('acme', 'own-1', 'Engineer')")
    conn.execute(
        "insert into core.own_jobs (customer_id, own_job_id, title, remote_id) values ('acme', 'own-2', 'x', %s)",
        (remote_id,),
    )
    conn.commit()
    assert run(ACME).success
    world.open_job(ACME)
    world.sync(ACME)
    decisions.answer(
        conn,
        Answer(
            integration_id=ACME,
            decision="accepted",
            kombo_job_ids=(job,),
            answer_id=uuid4(),
            customer_id="acme",
            own_job_id="own-1",
            decided_by="ana",
        ),
    )
    deliver(conn, world)
    conn.commit()
    return ACME


def deliver(conn: Connection, world: World) -> None:
    """Land the webhooks that wait, as the receiver does."""
    for hook in world.drain():
        event = webhooks.parse(hook.body)
        assert event is not None
        conn.execute(
            "insert into raw.webhook_events (event_id, event_type, integration_id, body, payload) "
            "values (%s, %s, %s, %b, %s) on conflict do nothing",
            (
                webhooks.event_id_of(hook.body, event),
                event.event_type,
                event.integration_id,
                hook.body,
                webhooks.jsonb_text(hook.body),
            ),
        )
    conn.commit()


def tick(instance: dg.DagsterInstance) -> Any:
    """A tick of the webhook sensor, its partition requests carried out as the daemon does."""
    from kombo_pipeline.definitions import defs

    with dg.build_sensor_context(
        instance=instance,
        repository_def=defs.get_repository_def(),
        resources={"warehouse": Warehouse()},
    ) as context:
        result: Any = sensors.webhook_sensor(context)
    for request in getattr(result, "dynamic_partitions_requests", None) or []:
        if isinstance(request, dg.AddDynamicPartitionsRequest):
            instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
        else:
            for key in request.partition_keys:
                instance.delete_dynamic_partition(request.partitions_def_name, key)
    return result


def partitions(instance: dg.DagsterInstance) -> set[str]:
    return set(instance.get_dynamic_partitions("integration"))


def rows(conn: Connection, integration_id: str) -> dict[str, int]:
    """How many rows name the integration, by table; in every column that is called after integrations."""
    found = {}
    columns = conn.execute(
        "select table_schema || '.' || table_name as name, column_name as col from information_schema.columns "
        "join pg_tables on schemaname = table_schema and tablename = table_name "
        "where table_schema in ('raw', 'core') and column_name like '%integration_id'"
    ).fetchall()
    for each in columns:
        row = conn.execute(f"select count(*) as n from {each['name']} where {each['col']} = %s", (integration_id,))
        found[each["name"]] = found.get(each["name"], 0) + row.fetchone()["n"]  # type: ignore[index]
    conn.rollback()
    return {name: count for name, count in found.items() if count}


def test_everything_of_the_integration_goes_and_nothing_beside_it(
    acme: str, conn: Connection, instance: dg.DagsterInstance
) -> None:
    before, others = rows(conn, acme), rows(conn, OTHER)
    assert {"core.jobs", "core.job_changes", "core.job_links", "core.link_decisions", "raw.fetches"} <= before.keys()
    assert {"raw.webhook_events", "core.exposed_jobs", "core.own_job_matches"} <= before.keys()
    said("forget", acme, "--by", "jana", "--reason", "left us")
    assert rows(conn, acme).keys() == {"core.forgotten", "raw.webhook_events"}
    assert rows(conn, OTHER) == others
    assert conn.execute(
        "select count(*) as n from raw.job_pages p left join raw.fetches f using (fetch_id) where f.fetch_id is null"
    ).fetchone() == {"n": 0}
    left = conn.execute(
        "select count(*) as n from raw.webhook_events where integration_id = %s and (body is not null or payload is "
        "not null or handled_at is null)",
        (acme,),
    )
    assert left.fetchone() == {"n": 0}
    assert conn.execute("select own_job_id from core.own_jobs order by 1").fetchall() == [
        {"own_job_id": "own-1"},
        {"own_job_id": "own-2"},
    ]
    [row] = forgotten.forgotten(conn)
    assert (row.integration_id, row.forgotten_by, row.reason) == (acme, "jana", "left us")
    assert f"{acme}, " in said("forget")


def test_a_dry_run_counts_and_changes_nothing(acme: str, conn: Connection) -> None:
    before = rows(conn, acme)
    text = said("forget", acme, "--dry-run")
    assert f"core.jobs: {before['core.jobs']} rows" in text
    assert "Nothing was changed" in text
    assert rows(conn, acme) == before
    assert "No integration was forgotten" in said("forget")


def test_the_product_is_told_that_links_ended(acme: str, conn: Connection) -> None:
    linked = conn.execute("select count(*) as n from core.job_links where state <> 'retired'").fetchone()
    assert linked is not None
    assert linked["n"] >= 1
    assert f"{linked['n']} links ended" in said("forget", acme)
    told = conn.execute("select * from marts.link_notices where event_type = 'link.ended'").fetchall()
    assert len(told) == linked["n"]
    assert {(row["customer_id"], row["payload"]["data"]["reason"]) for row in told} == {("acme", "forgotten")}
    assert conn.execute("select count(*) as n from marts.application_targets").fetchone() == {"n": 0}


def test_its_partition_goes_and_does_not_come_back_whatever_lands(
    acme: str, world: World, conn: Connection, instance: dg.DagsterInstance
) -> None:
    tick(instance)
    assert {acme, OTHER} <= partitions(instance)
    said("forget", acme)
    assert acme not in partitions(instance)
    world.open_job(acme)
    world.sync(acme)
    world.delete_integration(acme)
    deliver(conn, world)
    result = tick(instance)
    assert acme not in {request.partition_key for request in getattr(result, "run_requests", None) or []}
    assert acme not in partitions(instance)
    assert OTHER in partitions(instance)
    assert integrations.get(conn, acme) is None
    waiting = "select count(*) as n from raw.webhook_events where integration_id = %s and handled_at is null"
    assert conn.execute(waiting, (acme,)).fetchone() == {"n": 0}


def test_without_dagster_at_hand_the_next_tick_drops_the_partition(
    acme: str, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    tick(instance)
    monkeypatch.delenv("DAGSTER_HOME")
    assert "next tick" in said("forget", acme)
    assert acme in partitions(instance)
    tick(instance)
    assert acme not in partitions(instance)


def test_a_partition_of_a_customer_long_gone_stays_deleted(
    acme: str, world: World, conn: Connection, instance: dg.DagsterInstance
) -> None:
    world.delete_integration(acme)
    deliver(conn, world)
    tick(instance)
    instance.delete_dynamic_partition("integration", acme)
    tick(instance)
    assert acme not in partitions(instance)


def test_a_sync_of_a_forgotten_one_says_how_to_bring_it_back_and_then_it_comes(
    acme: str, conn: Connection, instance: dg.DagsterInstance
) -> None:
    said("forget", acme)
    line = complaint("sync", acme)
    assert "was forgotten on" in line
    assert f"`kombo-pipeline forget --undo {acme}`" in line
    assert rows(conn, acme).keys() == {"core.forgotten", "raw.webhook_events"}
    assert acme not in partitions(instance)
    said("forget", "--undo", acme)
    assert "fetch full" in said("sync", acme)
    assert rows(conn, acme)["core.jobs"] >= 14
    assert "was not forgotten" in complaint("forget", "--undo", acme)


def test_an_id_that_kombo_does_not_know_leaves_no_trace(
    world: World, conn: Connection, instance: dg.DagsterInstance
) -> None:
    assert f"{TYPO} was not synced. Refused:" in complaint("sync", TYPO)
    assert rows(conn, TYPO) == {}
    assert TYPO not in partitions(instance)


def test_an_id_nobody_has_heard_of_can_be_kept_away(world: World, conn: Connection) -> None:
    assert "0 rows deleted" in said("forget", TYPO)
    assert "was forgotten on" in complaint("sync", TYPO)


def test_forgetting_twice_is_no_mistake(acme: str, conn: Connection) -> None:
    said("forget", acme, "--by", "jana")
    assert "0 rows deleted" in said("forget", acme, "--by", "ali")
    assert [row.forgotten_by for row in forgotten.forgotten(conn)] == ["jana"]


def test_a_fetch_that_is_running_is_waited_for(acme: str, conn: Connection, warehouse_url: str) -> None:
    slept: list[float] = []
    with connect(warehouse_url) as rival, connect(warehouse_url) as ours:
        running = leases.hold(rival, acme, "fetch")
        running.__enter__()

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            assert "core.jobs" in rows(conn, acme)
            running.__exit__(None, None, None)

        receipt = forgetting.forget(ours, acme, forgotten_by="jana", sleep=sleep)
    assert len(slept) == 1
    assert receipt.rows["core.jobs"] >= 14


def test_a_fetch_that_does_not_end_is_not_broken_off(acme: str, conn: Connection, warehouse_url: str) -> None:
    before = rows(conn, acme)
    with connect(warehouse_url) as rival, connect(warehouse_url) as ours, leases.hold(rival, acme, "fetch"):  # noqa: SIM117
        with pytest.raises(RuntimeError, match="in work elsewhere"):
            forgetting.forget(ours, acme, forgotten_by="jana", wait_seconds=0)
    assert rows(conn, acme) == before


def test_killed_before_the_rows_went_it_is_kept_away_and_can_be_repeated(
    acme: str, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(BaseException):
        pass

    def die(*_: object) -> None:
        raise KilledError

    monkeypatch.setattr(forgotten, "end_links", die)
    with pytest.raises(KilledError):
        forgetting.forget(conn, acme, forgotten_by="jana")
    assert "was forgotten on" in complaint("sync", acme)
    monkeypatch.undo()
    forgetting.forget(conn, acme, forgotten_by="jana")
    assert rows(conn, acme).keys() == {"core.forgotten", "raw.webhook_events"}


# Rights


def test_the_loader_forgets_what_nobody_has_answered_about(
    world: World, run: Callable[..., Any], conn: Connection, warehouse_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.add_integration(jobs=3, integration_id=OTHER)
    assert run(OTHER).success
    monkeypatch.setenv("KOMBO_WAREHOUSE_URL", as_member("kombo_pipeline_loader", warehouse_url))
    said("forget", OTHER)
    assert rows(conn, OTHER).keys() == {"core.forgotten", "raw.webhook_events"} - (
        set() if rows(conn, OTHER).get("raw.webhook_events") else {"raw.webhook_events"}
    )
    said("forget", "--undo", OTHER)


def test_answers_of_people_are_deleted_by_the_owner_alone(
    acme: str, conn: Connection, warehouse_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = rows(conn, acme)
    monkeypatch.setenv("KOMBO_WAREHOUSE_URL", as_member("kombo_pipeline_loader", warehouse_url))
    line = complaint("forget", acme)
    assert "core.link_decisions" in line
    assert "KOMBO_WAREHOUSE_URL" in line
    assert rows(conn, acme) == before


@pytest.mark.parametrize("statement", ["delete from core.link_decisions", "update core.link_decisions set note = 'x'"])
def test_answers_stay_append_only_for_everything_else(acme: str, conn: Connection, statement: str) -> None:
    with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
        conn.execute(statement)
    conn.rollback()
    forgotten.allow_deleting_answers(conn)
    if statement.startswith("update"):
        with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
            conn.execute(statement)
    conn.rollback()


def test_who_registers_at_the_same_moment_comes_first_or_not_at_all(conn: Connection, warehouse_url: str) -> None:
    with connect(warehouse_url) as other:
        integrations.register(other, ACME)
        thread = Thread(target=lambda: forgetting.forget(conn, ACME, forgotten_by="jana"))
        thread.start()
        thread.join(0.5)
        assert thread.is_alive()
        other.commit()
        thread.join(10)
        assert not thread.is_alive()
        assert integrations.get(other, ACME) is None
        assert not integrations.register(other, ACME)
