"""Runs as Dagster has them: those in flight, those to request, and one in this process."""

import os
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import dagster as dg

from kombo_pipeline.ingest.statements import integrations
from kombo_pipeline.kombo.webhooks import valid_integration_id
from kombo_pipeline.orchestration.assets import (
    FetchConfig,
    integration,
    job_match_candidates,
    jobs,
    own_jobs,
    raw_job_pages,
)
from kombo_pipeline.orchestration.resources import KomboApi, Warehouse

_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_PARTITION = "dagster/partition"


def in_flight(instance: dg.DagsterInstance) -> set[str]:
    """Return the integrations with a run that is queued or has not ended."""
    runs = instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED))
    return {run.tags[_PARTITION] for run in runs if _PARTITION in run.tags}


def requests(
    instance: dg.DagsterInstance, keys: Iterable[str], *, trigger: str, run_keys: Mapping[str, str] | None = None
) -> list[dg.RunRequest]:
    """Request the keys that are partitions (an unknown one would fail the whole tick) and have no run in flight."""
    partitions = set(instance.get_dynamic_partitions(str(integration.name)))
    running = in_flight(instance)
    return [
        dg.RunRequest(partition_key=key, run_key=(run_keys or {}).get(key), tags={"kombo/trigger": trigger})
        for key in keys
        if key in partitions and key not in running
    ]


def newest_runs(instance: dg.DagsterInstance) -> set[str]:
    """Return the runs that last materialized an asset in a partition."""
    newest: set[str] = set()
    for asset in (raw_job_pages, jobs, own_jobs, job_match_candidates):
        latest = instance.event_log_storage.get_latest_storage_id_by_partition(
            asset.key, dg.DagsterEventType.ASSET_MATERIALIZATION
        )
        if latest:
            records = instance.fetch_materializations(
                dg.AssetRecordsFilter(asset_key=asset.key, storage_ids=list(latest.values())),
                limit=len(latest),
            ).records
            newest |= {record.run_id for record in records}
    return newest


def drop_partition(instance: dg.DagsterInstance, integration_id: str) -> None:
    """Take an integration out of Dagster's list; its runs and materializations stay."""
    instance.delete_dynamic_partition(str(integration.name), integration_id)


class Outcome(NamedTuple):
    """How a run in this process ended: what to print of it, and in one line why it failed if it did."""

    lines: list[str]
    failure: str | None


def run_in_this_process(integration_id: str, *, full: bool = False) -> Outcome:
    """Materialize an integration's partition here and now; the lock keeps it apart from queued runs.

    It shows in the Dagster UI when DAGSTER_HOME is set. Raises ValueError for an id that cannot be one.
    """
    if not valid_integration_id(integration_id):
        raise ValueError(f"{integration_id!r} is no integration id; it looks like personio:CBNMt7dSNCzBdnRTx87dev4E")
    with dg.DagsterInstance.get() if "DAGSTER_HOME" in os.environ else dg.DagsterInstance.ephemeral() as instance:
        was_known = instance.has_dynamic_partition(str(integration.name), integration_id)
        instance.add_dynamic_partitions(str(integration.name), [integration_id])
        result = dg.materialize(
            [raw_job_pages, jobs, job_match_candidates],
            partition_key=integration_id,
            instance=instance,
            resources={"warehouse": Warehouse(), "kombo": KomboApi()},
            run_config=dg.RunConfig(
                ops={"raw_job_pages": FetchConfig(full=full)},
                loggers={"console": {"config": {"log_level": "CRITICAL"}}},
            ),
            raise_on_error=False,
        )
        if not result.success and not was_known and not _is_registered(integration_id):
            drop_partition(instance, integration_id)
    lines = [
        f"{event.asset_key.to_user_string()}: " + ", ".join(_readable(event.materialization.metadata))
        for event in result.get_asset_materialization_events()
        if event.asset_key
    ]
    reasons = [_reason(event) for event in result.get_step_failure_events()]
    return Outcome(lines, None if result.success else "; ".join(reasons) or "The run failed; see its log.")


def _is_registered(integration_id: str) -> bool:
    with Warehouse().connect() as conn:
        return integrations.get(conn, integration_id) is not None


def _reason(event: dg.DagsterEvent) -> str:
    failure = event.step_failure_data
    if failure.user_failure_data and failure.user_failure_data.description:
        return str(failure.user_failure_data.description)
    error = failure.error.cause or failure.error if failure.error else None
    return error.message.strip().splitlines()[0] if error else "a step failed"


def _readable(metadata: Mapping[str, dg.MetadataValue[Any]]) -> list[str]:
    simple = (dg.IntMetadataValue, dg.FloatMetadataValue, dg.TextMetadataValue)
    return [
        f"{name} {value.value}"
        for name, value in metadata.items()
        if isinstance(value, simple) and not name.startswith("dagster/")
    ]
