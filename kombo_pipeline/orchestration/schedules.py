"""Schedules: runs that are due by time alone."""

from datetime import UTC, datetime

import dagster as dg

from kombo_pipeline.ingest.polling import full_fetch_is_due, is_silent
from kombo_pipeline.ingest.statements import integrations
from kombo_pipeline.orchestration.jobs import check_freshness, full_reconcile, prune, sync_integration
from kombo_pipeline.orchestration.resources import Warehouse
from kombo_pipeline.orchestration.runs import FETCHING_JOBS, scheduled_requests


@dg.schedule(
    job=sync_integration,
    cron_schedule="*/5 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Asks integrations that are silent longer than their rhythm: webhooks can be lost.",
)
def poll_silent_integrations(context: dg.ScheduleEvaluationContext, warehouse: Warehouse) -> list[dg.RunRequest]:
    """Run the integrations that have been silent too long, those first that were not asked for the longest time."""
    now = datetime.now(UTC)
    with warehouse.connect() as conn:
        silent = [each.integration_id for each in integrations.rhythms(conn) if is_silent(each, now=now)]
        return scheduled_requests(context, conn, silent, trigger="poll", jobs=FETCHING_JOBS)


@dg.schedule(
    job=full_reconcile,
    cron_schedule="17 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Fetches every integration in full once a week, each when its own week is over.",
)
def reconcile_weekly(context: dg.ScheduleEvaluationContext, warehouse: Warehouse) -> list[dg.RunRequest]:
    """Run the full reconcile of the integrations whose newest full fetch is a week old, the oldest first."""
    now = datetime.now(UTC)
    with warehouse.connect() as conn:
        due = [each for each in integrations.rhythms(conn) if full_fetch_is_due(each, now=now)]
        due.sort(key=lambda each: each.full_fetched_at or now)
        keys = [each.integration_id for each in due]
        return scheduled_requests(context, conn, keys, trigger="weekly reconcile", jobs=(full_reconcile.name,))


freshness_hourly = dg.ScheduleDefinition(
    name="freshness_hourly",
    job=check_freshness,
    cron_schedule="7 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)


prune_daily = dg.ScheduleDefinition(
    name="prune_daily", job=prune, cron_schedule="40 * * * *", default_status=dg.DefaultScheduleStatus.RUNNING
)
