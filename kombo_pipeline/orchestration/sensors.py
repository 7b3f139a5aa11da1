"""Sensors: what has landed or changed in the tables asks for runs."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from kombo_pipeline import settings
from kombo_pipeline.db import leases
from kombo_pipeline.ingest import events, health, renewal
from kombo_pipeline.ingest.statements import forgotten, integrations, webhook_events
from kombo_pipeline.linking.statements import matched_integrations
from kombo_pipeline.matching.version import versions
from kombo_pipeline.orchestration import backlog
from kombo_pipeline.orchestration.assets import integration, own_jobs, own_jobs_metadata
from kombo_pipeline.orchestration.due import (
    due_integrations,
    next_requests,
    rematch_keys,
    run_key,
    with_interrupted,
)
from kombo_pipeline.orchestration.jobs import rematch, sync_integration
from kombo_pipeline.orchestration.lost_runs import lost_runs
from kombo_pipeline.orchestration.resources import Warehouse
from kombo_pipeline.orchestration.runs import FETCHING_JOBS, PRIORITIES, in_work, queued, requests

_LOOKING_SECONDS = 20
"""How long a tick looks at what waits; Dagster ends a tick after 60."""


@dg.sensor(
    job=sync_integration,
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Looks at landed webhooks: notes what they tell and what is stale, adds partitions, runs what is due.",
)
def webhook_sensor(context: dg.SensorEvaluationContext, warehouse: Warehouse) -> dg.SensorResult | dg.SkipReason:
    """Keep no cursor: what is due follows from the events that no completed fetch covers."""
    with warehouse.connect() as conn:
        seen = events.work_off(conn, seconds=_LOOKING_SECONDS)
        health.note_staleness(conn, after=timedelta(days=settings.load().stale_after_days))
        waiting = with_interrupted(webhook_events.waiting_for_fetch(conn), backlog.interrupted_fetches(conn))
        known = integrations.registered(conn)
        # Read after the events: a fetch that begins after this look sees every one of them.
        working = in_work(conn, "fetch")
        held_up = working | queued(context.instance, FETCHING_JOBS, at_least=PRIORITIES["webhook"])
        cut_off = {each.integration_id for each in waiting if each.interrupted}
        if cut_off:
            # Interrupted work has waited for its lease to expire already, so only an equally urgent run holds it up.
            urgent = queued(context.instance, FETCHING_JOBS, at_least=PRIORITIES["interrupted"])
            held_up = held_up - cut_off | working | urgent
        due = {each.integration_id: run_key(each) for each in due_integrations(waiting, held_up)}
        chosen = next_requests(due, backlog.asked(conn, "fetch"))
        backlog.note_asked(conn, "fetch", chosen)
        gone = {each.integration_id for each in forgotten.forgotten(conn)}
    partitions = set(context.instance.get_dynamic_partitions(str(integration.name)))
    added = [key for key in known if key not in partitions]
    dropped = sorted(gone & partitions)
    if not chosen and not added and not dropped:
        return dg.SkipReason(f"{seen} events seen, {len(waiting)} integrations wait for a run in flight")
    return dg.SensorResult(
        dynamic_partitions_requests=[
            *([integration.build_add_request(added)] if added else []),
            *([integration.build_delete_request(dropped)] if dropped else []),
        ],
        run_requests=[
            *requests({key: chosen[key] for key in chosen if key in cut_off}, trigger="interrupted"),
            *requests({key: chosen[key] for key in chosen if key not in cut_off}, trigger="webhook"),
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
    partitions = set(context.instance.get_dynamic_partitions(str(integration.name)))
    with warehouse.connect() as conn:
        waiting = rematch_keys(
            matched_integrations.own_jobs_waiting(conn), backlog.interrupted_matchings(conn, versions())
        )
        # A sync that is in work, or queued, matches as well.
        held_up = in_work(conn, "fetch", "rematch") | queued(
            context.instance, (*FETCHING_JOBS, rematch.name), at_least=PRIORITIES["own jobs"]
        )
        due = {key: waiting[key] for key in waiting if key in partitions and key not in held_up}
        chosen = next_requests(due, backlog.asked(conn, "rematch"))
        backlog.note_asked(conn, "rematch", chosen)
        first_look = []
        if context.instance.get_latest_materialization_event(own_jobs.key) is None:
            # Until then Dagster warns of a missing input before every run that is started by hand.
            first_look = [dg.AssetMaterialization(own_jobs.key, metadata=own_jobs_metadata(conn))]
    if not chosen and not first_look:
        return dg.SkipReason(
            f"{len(waiting)} integrations with own jobs to match, all of them running or not fetched yet"
        )
    return dg.SensorResult(run_requests=requests(chosen, trigger="own jobs"), asset_events=first_look)


@dg.sensor(
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Ends runs whose process was killed: Dagster calls them started for hours, and they keep a slot.",
)
def lost_runs_sensor(context: dg.SensorEvaluationContext, warehouse: Warehouse) -> dg.SkipReason:
    """Fail the runs that hold no lease and have logged nothing for a while; what they left is asked for again."""
    with warehouse.connect() as conn:
        working = {lease.run_id for lease in leases.live(conn) if lease.run_id}
        leases.delete_long_expired(conn)
    lost = lost_runs(context.instance, working, now=datetime.now(UTC))
    for run in lost:
        context.instance.report_run_failed(
            run, "The process of this run is gone: it renews no lease and logs nothing. Its work is asked for again."
        )
    return dg.SkipReason(f"{len(lost)} runs ended: {', '.join(run.run_id for run in lost)}" if lost else "No lost run")


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Reads landed records again that an older version of the code has read: after an upgrade, no fetch.",
)
def renewal_sensor(warehouse: Warehouse) -> dg.SkipReason:
    """Keep no cursor: what is due follows from the rule that each integration's records were read with."""
    with warehouse.connect() as conn:
        records, waiting = renewal.work_off(conn, seconds=_LOOKING_SECONDS)
    return dg.SkipReason(f"{records} records read again, {waiting} integrations wait for it")
