"""When things run. Pure decisions first, the Dagster glue that asks them below."""

import os
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import dagster as dg
from pydantic import Field

from kombo_pipeline.ingest import events
from kombo_pipeline.ingest.polling import full_fetch_is_due, is_silent
from kombo_pipeline.ingest.statements import integrations, retention, webhook_events
from kombo_pipeline.kombo.webhooks import valid_integration_id
from kombo_pipeline.linking.statements import match_candidates
from kombo_pipeline.orchestration.assets import (
    FetchConfig,
    integration,
    job_match_candidates,
    jobs,
    own_jobs,
    raw_job_pages,
)
from kombo_pipeline.orchestration.checks import every_integration_fresh
from kombo_pipeline.orchestration.resources import KomboApi, Warehouse

_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_PARTITION = "dagster/partition"


def run_key(waiting: Mapping[str, Any]) -> str:
    """Return the key under which one state of an integration's backlog is run once.

    Dagster drops a request whose key it has seen, however that run ended. A failed run is therefore asked
    for again only by something that changes the key: a newer event, a moved watermark, or a replay; the poll,
    which has no key, is the last resort.
    """
    watermark = waiting["watermark"]
    since = watermark.isoformat() if watermark else "first"
    return f"{waiting['integration_id']}@{since}@{waiting['newest_event']}.{waiting['replays']}"


def rematch_keys(waiting: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the key under which one state of an integration's own jobs is matched once; see `run_key`.

    A failed run is asked for again by the next own job, and by every sync, which matches as well.
    """
    return {
        each["integration_id"]: f"{each['integration_id']}@{each['matched_at']}@{each['state']}" for each in waiting
    }


def due_integrations(waiting: Iterable[Mapping[str, Any]], in_flight: Collection[str]) -> list[Mapping[str, Any]]:
    """Return the integrations to run for their waiting events: those without a run in flight.

    However many events wait, one run covers them. An event that lands while a run is in flight is covered
    by it if the run has not begun to fetch, and is still waiting afterwards if it had.
    """
    return [each for each in waiting if each["integration_id"] not in in_flight]


# Without the check of all integrations, which reads every customer's jobs: a run of one must not pay for that.
_ONE_INTEGRATION = dg.AssetSelection.assets(raw_job_pages, jobs, job_match_candidates) - dg.AssetSelection.checks(
    every_integration_fresh
)

sync_integration = dg.define_asset_job(
    "sync_integration",
    selection=_ONE_INTEGRATION,
    description="Fetch what changed in one integration since its watermark, and apply it.",
)
full_reconcile = dg.define_asset_job(
    "full_reconcile",
    selection=_ONE_INTEGRATION,
    config=dg.RunConfig(ops={"raw_job_pages": FetchConfig(full=True)}),
    description="Fetch every job of one integration, repair what incremental fetches missed, close what vanished.",
)
rematch = dg.define_asset_job(
    "rematch",
    selection=dg.AssetSelection.assets(own_jobs, job_match_candidates),
    description="Match the own jobs of one integration's customer that are new or changed with its ATS jobs.",
)
check_freshness = dg.define_asset_job(
    "check_freshness",
    selection=dg.AssetSelection.checks(every_integration_fresh),
    description="Name the integrations whose copy is older than a day.",
)


@dg.sensor(
    job=sync_integration,
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Looks at landed webhooks: notes what they tell, adds partitions, runs the integrations that are due.",
)
def webhook_sensor(context: dg.SensorEvaluationContext, warehouse: Warehouse) -> dg.SensorResult | dg.SkipReason:
    """Keep no cursor: what is due follows from the events that no completed fetch covers."""
    with warehouse.connect() as conn:
        seen = events.observe_events(conn)
        conn.commit()
        waiting = webhook_events.waiting_for_fetch(conn)
        known = integrations.registered(conn)
    # Read after the events: a run that is queued by now will see every one of them when it begins.
    due = due_integrations(waiting, _in_flight(context.instance))
    partitions = set(context.instance.get_dynamic_partitions(str(integration.name)))
    added = [key for key in known if key not in partitions]
    if not due and not added:
        return dg.SkipReason(f"{seen} events seen, {len(waiting)} integrations wait for a run in flight")
    return dg.SensorResult(
        dynamic_partitions_requests=[integration.build_add_request(added)] if added else [],
        run_requests=[
            dg.RunRequest(
                partition_key=each["integration_id"], run_key=run_key(each), tags={"kombo/trigger": "webhook"}
            )
            for each in due
        ],
    )


@dg.sensor(
    job=rematch,
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Looks at own jobs: matches those that are new or changed, and those of which a person said no.",
)
def own_jobs_sensor(context: dg.SensorEvaluationContext, warehouse: Warehouse) -> dg.SensorResult | dg.SkipReason:
    """Keep no cursor: an own job waits as long as it is not matched as it is now, however it was written."""
    with warehouse.connect() as conn:
        waiting = match_candidates.own_jobs_waiting(conn)
    run_keys = rematch_keys(waiting)
    requests = _requests(context.instance, run_keys, trigger="own jobs", run_keys=run_keys)
    if not requests:
        return dg.SkipReason(
            f"{len(waiting)} integrations with own jobs to match, all of them running or not fetched yet"
        )
    return dg.SensorResult(run_requests=requests)


@dg.schedule(
    job=sync_integration,
    cron_schedule="*/10 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Asks integrations that are silent longer than their rhythm: webhooks can be lost.",
)
def poll_silent_integrations(context: dg.ScheduleEvaluationContext, warehouse: Warehouse) -> list[dg.RunRequest]:
    """Run the integrations that have been silent too long; without a run key, so a failed one is asked again."""
    now = datetime.now(UTC)
    with warehouse.connect() as conn:
        silent = [each["integration_id"] for each in integrations.rhythms(conn) if is_silent(each, now=now)]
    return _requests(context.instance, silent, trigger="poll")


@dg.schedule(
    job=full_reconcile,
    cron_schedule="17 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Fetches every integration in full once a week, each when its own week is over.",
)
def reconcile_weekly(context: dg.ScheduleEvaluationContext, warehouse: Warehouse) -> list[dg.RunRequest]:
    """Run the full reconcile of the integrations whose newest full fetch is a week old."""
    now = datetime.now(UTC)
    with warehouse.connect() as conn:
        due = [each["integration_id"] for each in integrations.rhythms(conn) if full_fetch_is_due(each, now=now)]
    return _requests(context.instance, due, trigger="weekly reconcile")


freshness_hourly = dg.ScheduleDefinition(
    name="freshness_hourly",
    job=check_freshness,
    cron_schedule="7 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)


class ReplayConfig(dg.Config):
    """What to handle again."""

    event_ids: list[str] = Field(default_factory=list)
    """Kombo's event ids; empty: every event that no fetch has covered."""


@dg.op
def replay_landed_events(context: dg.OpExecutionContext, config: ReplayConfig, warehouse: Warehouse) -> None:
    """Make landed events unhandled again; the webhook sensor takes them up at its next tick."""
    with warehouse.connect() as conn:
        replayed = webhook_events.replay(conn, config.event_ids or None)
    for event in replayed:
        context.log.info("%(event_id)s (%(event_type)s, %(integration_id)s) will be handled again", event)
    if unknown := set(config.event_ids) - {event["event_id"] for event in replayed}:
        raise dg.Failure(f"No such event: {', '.join(sorted(unknown))}", allow_retries=False)


@dg.job(description="Handle landed webhook events again: name them in the Launchpad, or none for all that wait.")
def replay_events() -> None:
    """Replay events by hand."""
    replay_landed_events()


class PruneConfig(dg.Config):
    """How long to keep what is only of passing interest, in days."""

    runs_days: int = 14
    event_bodies_days: int = 90
    pages_days: int = 30


@dg.op
def prune_history(context: dg.OpExecutionContext, config: PruneConfig, warehouse: Warehouse) -> None:
    """Delete old runs, event bodies and pages. Dagster itself never deletes a run: 52 kB each, forever.

    The run that last materialized a partition stays, because with it goes the partition's green mark. Event
    ids stay for ever, for they recognise repeated deliveries; pages since the newest full fetch stay, for
    core.jobs can be rebuilt from them.
    """
    with warehouse.connect() as conn:
        bodies = retention.empty_event_bodies(conn, older_than=timedelta(days=config.event_bodies_days))
        pages = retention.delete_pages(conn, older_than=timedelta(days=config.pages_days))
    before = datetime.now(UTC) - timedelta(days=config.runs_days)
    runs = context.instance.get_run_records(dg.RunsFilter(statuses=_FINISHED, updated_before=before), limit=5000)
    newest = _newest_runs(context.instance)
    doomed = [record.dagster_run.run_id for record in runs if record.dagster_run.run_id not in newest]
    for run_id in doomed:
        context.instance.delete_run(run_id)
    context.log.info("Deleted %d runs and %d pages, emptied %d event bodies", len(doomed), pages, bodies)


@dg.job(description="Delete old runs, event bodies and raw pages.")
def prune() -> None:
    """Prune by schedule or by hand."""
    prune_history()


prune_daily = dg.ScheduleDefinition(
    name="prune_daily", job=prune, cron_schedule="40 3 * * *", default_status=dg.DefaultScheduleStatus.RUNNING
)


def _newest_runs(instance: dg.DagsterInstance) -> set[str]:
    """The runs that last materialized an asset in a partition."""
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


def _in_flight(instance: dg.DagsterInstance) -> set[str]:
    runs = instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED))
    return {run.tags[_PARTITION] for run in runs if _PARTITION in run.tags}


def _requests(
    instance: dg.DagsterInstance, keys: Iterable[str], *, trigger: str, run_keys: Mapping[str, str] | None = None
) -> list[dg.RunRequest]:
    """Request the keys that are partitions (an unknown one would fail the whole tick) and have no run in flight."""
    partitions = set(instance.get_dynamic_partitions(str(integration.name)))
    in_flight = _in_flight(instance)
    return [
        dg.RunRequest(partition_key=key, run_key=(run_keys or {}).get(key), tags={"kombo/trigger": trigger})
        for key in keys
        if key in partitions and key not in in_flight
    ]


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
    lines = [
        f"{event.asset_key.to_user_string()}: " + ", ".join(_readable(event.materialization.metadata))
        for event in result.get_asset_materialization_events()
        if event.asset_key
    ]
    reasons = [_reason(event) for event in result.get_step_failure_events()]
    return Outcome(lines, None if result.success else "; ".join(reasons) or "The run failed; see its log.")


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
