"""The Dagster location as Dagster loads it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml

from kombo_pipeline.definitions import defs

REPOSITORY = Path(__file__).parents[1]
SYNCED = ("raw_job_pages", "jobs", "job_match_candidates")


def test_the_location_can_be_loaded() -> None:
    dg.Definitions.validate_loadable(defs)


def test_asset_keys_and_the_partitions_definition_bear_the_names_of_the_contract() -> None:
    graph = defs.resolve_asset_graph()
    assert {key.to_user_string() for key in graph.get_all_asset_keys()} == {*SYNCED, "own_jobs", "integrations"}
    for name in SYNCED:
        partitions = graph.get(dg.AssetKey(name)).partitions_def
        assert isinstance(partitions, dg.DynamicPartitionsDefinition)
        assert partitions.name == "integration"
    assert graph.get(dg.AssetKey("jobs")).parent_keys == {dg.AssetKey("raw_job_pages")}
    assert graph.get(dg.AssetKey("job_match_candidates")).parent_keys == {dg.AssetKey("jobs"), dg.AssetKey("own_jobs")}
    assert graph.get(dg.AssetKey("own_jobs")).partitions_def is None


def test_the_check_of_all_integrations_is_on_an_asset_that_no_run_materializes() -> None:
    """The result of a check is shown as "Not evaluated" as soon as its asset is materialized by a later run."""
    graph = defs.resolve_asset_graph()
    [check] = [key for key in graph.asset_check_keys if key.name == "every_integration_fresh"]
    assert not graph.get(check.asset_key).is_executable
    for job in ("sync_integration", "full_reconcile", "rematch", "check_freshness"):
        steps = {node.name for node in defs.resolve_job_def(job).nodes}
        assert ("integrations_every_integration_fresh" in steps) == (job == "check_freshness")


def test_every_asset_says_what_it_is() -> None:
    graph = defs.resolve_asset_graph()
    for name in (*SYNCED, "own_jobs"):
        node = graph.get(dg.AssetKey(name))
        assert node.description
        assert node.group_name == "kombo_pipeline"
        assert "postgres" in node.kinds


def test_every_check_but_those_of_all_integrations_is_partitioned() -> None:
    graph = defs.resolve_asset_graph()
    assert {key.name: graph.get(key).partitions_def is not None for key in graph.asset_check_keys} == {
        "job_ids_are_unique": True,
        "watermark_moved": True,
        "nothing_is_quarantined": True,
        "sync_is_healthy": True,
        "links_are_sound": True,
        "every_integration_fresh": False,
        "every_event_was_understood": False,
        "product_knows_every_target": False,
    }


@pytest.mark.parametrize("job", ["sync_integration", "full_reconcile"])
def test_a_sync_runs_the_assets_and_the_checks_of_its_own_integration(job: str) -> None:
    assert {node.name for node in defs.resolve_job_def(job).nodes} == {
        *("raw_job_pages", "jobs", "jobs_job_ids_are_unique", "jobs_watermark_moved"),
        *("jobs_nothing_is_quarantined", "jobs_sync_is_healthy"),
        *("job_match_candidates", "job_match_candidates_links_are_sound"),
    }


@pytest.mark.parametrize(
    "job", ["sync_integration", "full_reconcile", "rematch", "check_freshness", "replay_events", "prune"]
)
def test_every_job_runs_in_one_process(job: str) -> None:
    assert defs.resolve_job_def(job).executor_def.name == "in_process"


def test_a_materialization_from_the_ui_runs_in_one_process() -> None:
    assert defs.resolve_implicit_global_asset_job_def().executor_def.name == "in_process"


def test_nothing_heavy_is_imported_with_the_definitions() -> None:
    code = "import sys, kombo_pipeline.definitions; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "kombo_pipeline.orchestration.sensors" in loaded
    heavy = {
        "pandas",
        "numpy",
        "scipy",
        "rapidfuzz",
        "openpyxl",
        "starlette",
        "uvicorn",
        "kombo_pipeline.ingest.receiver",
        "kombo_pipeline.sandbox",
    }
    assert heavy & set(loaded) == set()


def test_the_workspace_names_the_location_on_which_sensor_state_hangs() -> None:
    workspace = yaml.safe_load((REPOSITORY / "workspace.yaml").read_text())
    assert workspace == {
        "load_from": [
            {"python_module": {"module_name": "kombo_pipeline.definitions", "location_name": "kombo_pipeline"}}
        ]
    }


@pytest.mark.parametrize("url", ["", "postgresql://nobody@127.0.0.1:1/nothing"])
def test_dagster_validates_the_workspace_without_a_server_and_with_the_instance_of_the_repository(
    url: str, tmp_path: Path
) -> None:
    data_dir, home = tmp_path / "data", tmp_path / "home"
    home.mkdir()
    shutil.copyfile(REPOSITORY / "dagster.yaml", home / "dagster.yaml")
    done = subprocess.run(
        [str(Path(sys.executable).parent / "dagster"), "definitions", "validate", "-w", "workspace.yaml"],
        cwd=REPOSITORY,
        env=os.environ | {"KOMBO_DAGSTER_URL": url, "KOMBO_DATA_DIR": str(data_dir), "DAGSTER_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Validation successful for code location kombo_pipeline" in done.stdout + done.stderr
    assert not data_dir.exists(), "nothing embedded starts"
