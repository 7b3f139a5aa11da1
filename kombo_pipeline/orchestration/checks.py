"""What must hold after a run, integration by integration, and once an hour for all of them together."""

import warnings

import dagster as dg

from kombo_pipeline.ingest.statements import webhook_events
from kombo_pipeline.linking.statements import targets
from kombo_pipeline.orchestration import audits
from kombo_pipeline.orchestration.assets import integration, integrations, job_match_candidates, jobs
from kombo_pipeline.orchestration.metadata import table
from kombo_pipeline.orchestration.resources import Warehouse

# Partitioned checks are a preview in Dagster 1.13. Without them the newest integration's result hides all others'.
warnings.filterwarnings("ignore", category=dg.PreviewWarning)


@dg.asset_check(asset=jobs, partitions_def=integration)
def job_ids_are_unique(context: dg.AssetCheckExecutionContext, warehouse: Warehouse) -> dg.AssetCheckResult:
    """Each job has one row, and each nested entry belongs to a job that exists."""
    with warehouse.connect() as conn:
        orphans = audits.orphans(conn, context.partition_key)
        duplicates = audits.remote_id_duplicates(conn, context.partition_key)
    what = ", ".join(f"{count} in core.{name}" for name, count in orphans.items())
    return dg.AssetCheckResult(
        passed=not orphans,
        description=f"Nested entries without their job: {what}. Launch full_reconcile for this integration."
        if orphans
        else "Each job has one row, and each nested entry its job.",
        metadata={"orphaned_entries": sum(orphans.values()), "open_jobs_sharing_a_remote_id": duplicates},
    )


@dg.asset_check(asset=jobs, partitions_def=integration)
def watermark_moved(context: dg.AssetCheckExecutionContext, warehouse: Warehouse) -> dg.AssetCheckResult:
    """The watermark is that of the newest applied fetch, and no landed fetch is left behind."""
    with warehouse.connect() as conn:
        state = audits.watermark(conn, context.partition_key)
    watermark, newest_applied, left_behind = None, None, 0
    waiting = False
    if state is not None:
        watermark, newest_applied, left_behind = state.watermark, state.newest_applied, state.left_behind
        waiting = state.fetch_state in ("never", "waiting") or state.ended_at is not None
    moved = watermark is not None and newest_applied is not None and watermark >= newest_applied
    if waiting:
        description = "No fetch is expected: the first sync is pending, or the integration was deleted."
    elif left_behind:
        description = f"{left_behind} landed fetches are not applied. Run sync_integration once more."
    elif not moved:
        description = "The watermark is behind the newest applied fetch. Launch full_reconcile for this integration."
    else:
        description = "The watermark is that of the newest applied fetch."
    return dg.AssetCheckResult(
        passed=waiting or (moved and not left_behind),
        description=description,
        metadata={
            "watermark": str(watermark),
            "newest_applied_fetch_began": str(newest_applied),
            "landed_but_not_applied": left_behind,
        },
    )


@dg.asset_check(asset=jobs, partitions_def=integration)
def nothing_is_quarantined(context: dg.AssetCheckExecutionContext, warehouse: Warehouse) -> dg.AssetCheckResult:
    """Every record could be read whole."""
    with warehouse.connect() as conn:
        records = audits.quarantined(conn, context.partition_key)
        fields = audits.unreadable_fields(conn, context.partition_key)
    return dg.AssetCheckResult(
        passed=not records,
        description=f"{len(records)} records could not be read as a whole: see the reasons, correct "
        "kombo/record.py, then run `kombo-pipeline release records`."
        if records
        else "Every record could be read.",
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "records": len(records),
            "jobs_by_unreadable_field": fields,
            "what_to_do": "Correct kombo/record.py, then run `kombo-pipeline release records`."
            if records
            else "nothing",
            "sample": table(records[:10], ("quarantine_id", "kombo_job_id", "reason", "quarantined_at")),
        },
    )


@dg.asset_check(asset=jobs, partitions_def=integration)
def sync_is_healthy(context: dg.AssetCheckExecutionContext, warehouse: Warehouse) -> dg.AssetCheckResult:
    """Nobody has to act on the integration, and no closure waits for a person."""
    with warehouse.connect() as conn:
        state = audits.health(conn, context.partition_key)
    return dg.AssetCheckResult(
        passed=state.who_must_act is None and not state.held_jobs,
        description=_what_is_wrong(state),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            name: str(value if value is not None else "nobody" if name == "who_must_act" else "-")
            for name, value in vars(state).items()
        },
    )


@dg.asset_check(asset=job_match_candidates, partitions_def=integration)
def links_are_sound(context: dg.AssetCheckExecutionContext, warehouse: Warehouse) -> dg.AssetCheckResult:
    """No link across customers, no own job with two links, no link from a title without a person, none to a job gone.

    The database refuses the first three by itself; this says that nobody took its constraints away.
    """
    with warehouse.connect() as conn:
        broken = audits.broken_links(conn, context.partition_key)
    wrong = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in broken.items() if count)
    description = (
        f"Links that must not exist: {wrong}. Look at marts.job_links; a constraint of the database is missing."
    )
    return dg.AssetCheckResult(
        passed=not wrong, description=description if wrong else "Every link keeps the rules.", metadata={**broken}
    )


@dg.asset_check(asset=integrations.key)
def every_integration_fresh(warehouse: Warehouse) -> dg.AssetCheckResult:
    """Every integration was fetched within a day, and Kombo has read its ATS within two.

    Dagster judges freshness per asset, so that one busy customer would keep all of them green.
    """
    with warehouse.connect() as conn:
        stale = audits.stale_integrations(conn)
        total = audits.live_integrations(conn)
    return dg.AssetCheckResult(
        passed=not stale,
        description=f"{len(stale)} of {total} integrations are stale: see who must act, in the sample and in "
        "marts.integration_health."
        if stale
        else f"All {total} integrations are fresh.",
        metadata={
            "integrations": total,
            "stale": len(stale),
            "sample": table(
                stale[:20],
                ("integration_id", "organization_name", "fresh_as_of", "kombo_read_at", "who_must_act", "what_to_do"),
            ),
        },
    )


@dg.asset_check(asset=integrations.key)
def every_event_was_understood(warehouse: Warehouse) -> dg.AssetCheckResult:
    """No webhook event is dead: each one could be interpreted."""
    with warehouse.connect() as conn:
        dead = audits.dead_events(conn)
        sample = webhook_events.dead(conn, 20)
    return dg.AssetCheckResult(
        passed=not dead,
        description=f"{dead} events could not be interpreted: read the reasons with `kombo-pipeline events --dead`, "
        "remove the cause, then `kombo-pipeline replay EVENT_ID`."
        if dead
        else "Every event could be interpreted.",
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "dead_events": dead,
            "what_to_do": "Read the reasons (`kombo-pipeline events --dead`), remove the cause, then "
            "`kombo-pipeline replay EVENT_ID`."
            if dead
            else "nothing",
            "sample": table(
                sample, ("event_id", "event_type", "integration_id", "customer_id", "reason", "received_at", "died_at")
            ),
        },
    )


@dg.asset_check(asset=integrations.key)
def product_knows_every_target(warehouse: Warehouse) -> dg.AssetCheckResult:
    """What your product was told of application targets, replayed, is marts.application_targets, computed anew."""
    with warehouse.connect() as conn:
        untold = targets.untold(conn)
    return dg.AssetCheckResult(
        passed=not untold,
        description=f"{len(untold)} integrations have application targets that differ from what your product was told: "
        "launch rematch for them, which tells the difference; a trigger of the database is missing or was switched off."
        if untold
        else "Your product was told of every application target.",
        metadata={
            "integrations": len(untold),
            "sample": table(
                [each._asdict() for each in untold[:20]], ("integration_id", "not_told_open", "not_told_closed")
            ),
        },
    )


def _what_is_wrong(state: audits.IntegrationHealth) -> str:
    wrong = []
    if state.who_must_act is not None:
        wrong.append(f"Who must act: {state.who_must_act}. {state.what_to_do or ''}".strip())
    if state.held_jobs:
        wrong.append(f"{state.held_jobs} jobs would close and wait for a person: see `kombo-pipeline release closure`.")
    return " ".join(wrong) or "Nobody has to act."
