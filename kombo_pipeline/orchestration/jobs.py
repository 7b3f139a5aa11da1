"""Jobs: what can be run, of one integration or of all, by a sensor, a schedule or by hand."""

from datetime import UTC, datetime, timedelta

import dagster as dg
from pydantic import Field

from kombo_pipeline.ingest.statements import job_pages, refused_deliveries, webhook_events
from kombo_pipeline.orchestration import pruning
from kombo_pipeline.orchestration.assets import FetchConfig, job_match_candidates, jobs, own_jobs, raw_job_pages
from kombo_pipeline.orchestration.checks import (
    every_event_was_understood,
    every_integration_fresh,
    product_knows_every_target,
)
from kombo_pipeline.orchestration.resources import Warehouse
from kombo_pipeline.orchestration.runs import PRIORITIES

# Sensors and schedules put their own priority in its place: see runs.PRIORITIES.
_BY_HAND = {"dagster/priority": str(PRIORITIES["by hand"])}

_ONE_INTEGRATION = dg.AssetSelection.assets(raw_job_pages, jobs, job_match_candidates)

sync_integration = dg.define_asset_job(
    "sync_integration",
    selection=_ONE_INTEGRATION,
    tags=_BY_HAND,
    description="Fetch what changed in one integration since its watermark, and apply it.",
)
full_reconcile = dg.define_asset_job(
    "full_reconcile",
    selection=_ONE_INTEGRATION,
    tags=_BY_HAND,
    config=dg.RunConfig(ops={"raw_job_pages": FetchConfig(full=True)}),
    description="Fetch every job of one integration, repair what incremental fetches missed, close what vanished.",
)
rematch = dg.define_asset_job(
    "rematch",
    selection=dg.AssetSelection.assets(own_jobs, job_match_candidates),
    tags=_BY_HAND,
    description="Match the own jobs of one integration's customer that are new or changed with its ATS jobs.",
)
check_freshness = dg.define_asset_job(
    "check_freshness",
    selection=dg.AssetSelection.checks(every_integration_fresh, every_event_was_understood, product_knows_every_target),
    description="Name the integrations whose copy is older than a day, the events that could not be interpreted, and "
    "the application targets of which your product was not told.",
)


class ReplayConfig(dg.Config):
    """What to handle again."""

    event_ids: list[str] = Field(default_factory=list)
    """Kombo's event ids; empty: every event that no fetch has covered, dead ones too."""


@dg.op
def replay_landed_events(context: dg.OpExecutionContext, config: ReplayConfig, warehouse: Warehouse) -> None:
    """Make landed events unhandled again; the webhook sensor takes them up at its next tick."""
    with warehouse.connect() as conn:
        replayed = webhook_events.replay(conn, config.event_ids or None)
    for event in replayed:
        context.log.info("%(event_id)s (%(event_type)s, %(integration_id)s) will be handled again", event._asdict())
    if unknown := set(config.event_ids) - {event.event_id for event in replayed}:
        raise dg.Failure(f"No such event: {', '.join(sorted(unknown))}", allow_retries=False)


@dg.job(description="Handle landed webhook events again: name them in the Launchpad, or none for all that wait.")
def replay_events() -> None:
    """Replay events by hand."""
    replay_landed_events()


class PruneConfig(dg.Config):
    """How long to keep what is only of passing interest, in days, and how long to delete, in minutes."""

    runs_days: int = 14
    event_bodies_days: int = 90
    pages_days: int = 30
    refused_deliveries_days: int = 30
    minutes: float = 20


@dg.op
def prune_history(context: dg.OpExecutionContext, config: PruneConfig, warehouse: Warehouse) -> None:
    """Delete old runs, event bodies and pages. Dagster itself never deletes a run: 104 kB each, forever.

    The run that last materialized a partition stays, because with it goes the partition's green mark. Event
    ids stay for ever, for they recognise repeated deliveries; pages since the newest full fetch stay, for
    core.jobs can be rebuilt from them. What is left over when the minutes are over is deleted in the next run.
    """
    with warehouse.connect() as conn:
        bodies = webhook_events.empty_bodies(conn, older_than=timedelta(days=config.event_bodies_days))
        refused_deliveries.delete(conn, older_than=timedelta(days=config.refused_deliveries_days))
        pages = job_pages.delete(conn, older_than=timedelta(days=config.pages_days))
    context.log.info("Deleted %d pages, emptied %d event bodies", pages, bodies)
    runs = 0
    before = datetime.now(UTC) - timedelta(days=config.runs_days)
    for batch in pruning.delete_old_runs(context.instance, before=before, within=timedelta(minutes=config.minutes)):
        runs += batch
        context.log.info("Deleted %d old runs", runs)
    orphans = pruning.delete_orphaned_checks(context.instance)
    context.log.info("Deleted %d old runs in all, and %d results of checks whose run is gone", runs, orphans)


@dg.job(description="Delete old runs, event bodies and raw pages.", tags={"dagster/max_runtime": "2400"})
def prune() -> None:
    """Prune by schedule or by hand."""
    prune_history()
