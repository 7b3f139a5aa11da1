"""The Dagster instance of dagster.yaml, on a Postgres database of its own."""

import logging
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import dagster as dg
import pytest
import sqlalchemy as sa

from kombo_pipeline.db import embedded
from kombo_pipeline.orchestration.pruning import delete_old_runs, delete_orphaned_checks

CHECKS = "select count(*) from asset_check_executions"


@pytest.fixture(scope="module")
def instance(
    postgres_server: embedded.Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dg.DagsterInstance]:
    home = tmp_path_factory.mktemp("dagster")
    shutil.copy(Path(__file__).parents[2] / "dagster.yaml", home)
    url = embedded.ensure_database(postgres_server, f"dagster_{uuid4().hex[:8]}")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("KOMBO_DAGSTER_URL", url)
        with dg.DagsterInstance.from_config(str(home)) as found:
            yield found


@dg.asset
def looked_at() -> None:
    logging.getLogger("kombo_pipeline.kombo.client").warning("Kombo does not answer")


@dg.asset_check(asset=looked_at)
def is_fine() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)


def number_of_checks(instance: dg.DagsterInstance) -> int:
    with instance.event_log_storage.index_connection() as conn:  # type: ignore[attr-defined]
        return int(conn.execute(sa.text(CHECKS)).scalar())


def test_a_warning_of_the_client_shows_in_the_log_of_the_run(instance: dg.DagsterInstance) -> None:
    run_id = dg.materialize([looked_at], instance=instance).run_id
    messages = [(entry.level, entry.user_message) for entry in instance.all_logs(run_id)]
    assert (logging.WARNING, "Kombo does not answer") in messages


def test_what_is_pruned_leaves_no_results_of_checks_behind(instance: dg.DagsterInstance) -> None:
    gone = dg.materialize([looked_at, is_fine], instance=instance).run_id
    stays = dg.materialize([looked_at, is_fine], instance=instance).run_id
    before = number_of_checks(instance)
    instance.delete_run(gone)
    assert number_of_checks(instance) == before, "Dagster deletes them by itself now: delete_orphaned_checks can go"
    assert delete_orphaned_checks(instance) == 1
    assert delete_orphaned_checks(instance) == 0
    assert number_of_checks(instance) == before - 1
    assert instance.has_run(stays)


def test_pruning_works_through_batches_and_stops_in_time(instance: dg.DagsterInstance) -> None:
    for _ in range(3):
        dg.materialize([looked_at], instance=instance)
    yesterday, later = datetime.now(UTC) - timedelta(days=1), datetime.now(UTC) + timedelta(minutes=1)
    assert sum(delete_old_runs(instance, before=later, within=timedelta(0))) == 0
    assert sum(delete_old_runs(instance, before=yesterday, within=timedelta(minutes=1))) == 0
    assert sum(delete_old_runs(instance, before=later, within=timedelta(minutes=1))) >= 3
    assert not instance.get_runs()
