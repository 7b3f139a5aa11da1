"""Runs as Dagster has them: those in work or queued, those to request, and one in this process."""

import os
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import dagster as dg
from dagster._check import CheckError

from kombo_pipeline.db import leases
from kombo_pipeline.db.connection import Connection
from kombo_pipeline.ingest.statements import integrations
from kombo_pipeline.kombo.webhooks import valid_integration_id
from kombo_pipeline.orchestration.assets import (
    FetchConfig,
    integration,
    job_match_candidates,
    jobs,
    raw_job_pages,
)
from kombo_pipeline.orchestration.due import REQUESTS_A_TICK
from kombo_pipeline.orchestration.resources import KomboApi, Warehouse

PRIORITIES: Final = {"by hand": 10, "interrupted": 5, "webhook": 0, "poll": -5, "own jobs": -7, "weekly reconcile": -10}
"""What is started first when runs queue, by what asks for them. A job started by hand bears the tag of its job."""
FETCHING_JOBS: Final = ("sync_integration", "full_reconcile")
_PRIORITY, _PARTITION = "dagster/priority", "dagster/partition"
_NOT_BEGUN = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING]


def in_work(conn: Connection, *works: str) -> set[str]:
    """Return the integrations of which a live lease tells that one of `works` is being done; fetch includes apply."""
    wanted = {*works, "apply"} if "fetch" in works else set(works)
    return {lease.integration_id for lease in leases.live(conn) if lease.work in wanted}


def queued(instance: dg.DagsterInstance, jobs: Collection[str], *, at_least: int) -> set[str]:
    """Return the integrations with a run of one of `jobs` that has not begun: it has no lease yet, and will see all.

    One of a lower priority than `at_least` does not count, so that nothing urgent waits behind it. What Dagster
    calls started does not count either: its process may be gone, and only a lease tells.
    """
    runs = instance.get_runs(dg.RunsFilter(statuses=_NOT_BEGUN))
    return {
        run.tags[_PARTITION]
        for run in runs
        if run.job_name in jobs and _PARTITION in run.tags and _priority(run) >= at_least
    }


def requests(run_keys: Mapping[str, str], *, trigger: str) -> list[dg.RunRequest]:
    """Request a run for each integration, under its key."""
    tags = {"kombo/trigger": trigger, _PRIORITY: str(PRIORITIES[trigger])}
    return [dg.RunRequest(partition_key=key, run_key=run_key, tags=tags) for key, run_key in run_keys.items()]


def scheduled_requests(
    context: dg.ScheduleEvaluationContext,
    conn: Connection,
    due: Iterable[str],
    *,
    trigger: str,
    jobs: Collection[str],
) -> list[dg.RunRequest]:
    """Request the integrations that are due, the first hundred that are neither in work nor queued.

    They must be partitions, for an unknown one would fail the whole tick. Each has a run key, without which Dagster
    accepts no more than one request; the time in it lets the next tick ask again for a run that failed.
    """
    partitions = set(context.instance.get_dynamic_partitions(str(integration.name)))
    held_up = in_work(conn, "fetch") | queued(context.instance, jobs, at_least=PRIORITIES[trigger])
    chosen = [key for key in due if key in partitions and key not in held_up][:REQUESTS_A_TICK]
    return requests({key: f"{key}@{_tick_time(context)}" for key in chosen}, trigger=trigger)


def _tick_time(context: dg.ScheduleEvaluationContext) -> str:
    try:
        return context.scheduled_execution_time.astimezone(UTC).isoformat()
    except CheckError:  # evaluated by hand
        return datetime.now(UTC).isoformat()


def _priority(run: dg.DagsterRun) -> int:
    try:
        return int(run.tags.get(_PRIORITY, "0"))
    except ValueError:
        return 0


def drop_partition(instance: dg.DagsterInstance, integration_id: str) -> None:
    """Take an integration out of Dagster's list; its runs and materializations stay."""
    instance.delete_dynamic_partition(str(integration.name), integration_id)


class Outcome(NamedTuple):
    """How a run in this process ended: what to print of it, and in one line why it failed if it did."""

    lines: list[str]
    failure: str | None


def run_in_this_process(integration_id: str, *, full: bool = False) -> Outcome:
    """Materialize an integration's partition here and now; leases keep it apart from other runs.

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
