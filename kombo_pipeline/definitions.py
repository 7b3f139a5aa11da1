"""The whole Dagster location.

webhook_sensor, poll_silent_integrations ─▶ sync_integration: raw_job_pages ─▶ jobs ─▶ job_match_candidates
reconcile_weekly ─────────────────────────▶ full_reconcile:   the same, every job                ▲
own_jobs_sensor ──────────────────────────▶ rematch:                              own_jobs ──────┘
freshness_hourly ─▶ check_freshness (integrations)      prune_daily ─▶ prune      by hand ─▶ replay_events
lost_runs_sensor ends runs whose process was killed      renewal_sensor reads records again that older code has read
"""

import dagster as dg

from kombo_pipeline.orchestration import assets, checks, jobs, schedules, sensors
from kombo_pipeline.orchestration.resources import KomboApi, Warehouse

defs = dg.Definitions(
    assets=[assets.integrations, assets.raw_job_pages, assets.jobs, assets.own_jobs, assets.job_match_candidates],
    asset_checks=[
        checks.job_ids_are_unique,
        checks.watermark_moved,
        checks.nothing_is_quarantined,
        checks.sync_is_healthy,
        checks.links_are_sound,
        checks.every_integration_fresh,
        checks.every_event_was_understood,
        checks.product_knows_every_target,
    ],
    jobs=[
        jobs.sync_integration,
        jobs.full_reconcile,
        jobs.rematch,
        jobs.check_freshness,
        jobs.replay_events,
        jobs.prune,
    ],
    sensors=[sensors.webhook_sensor, sensors.own_jobs_sensor, sensors.lost_runs_sensor, sensors.renewal_sensor],
    schedules=[
        schedules.poll_silent_integrations,
        schedules.reconcile_weekly,
        schedules.freshness_hourly,
        schedules.prune_daily,
    ],
    resources={"warehouse": Warehouse(), "kombo": KomboApi()},
    # A run of small steps costs 2.5 CPU-seconds in one process, 9 in one process a step.
    executor=dg.in_process_executor,
)
