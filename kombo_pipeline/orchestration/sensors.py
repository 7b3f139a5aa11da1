"""Sensors: what has landed or changed in the tables asks for runs."""

import dagster as dg

from kombo_pipeline.ingest import events
from kombo_pipeline.ingest.statements import forgotten, integrations, webhook_events
from kombo_pipeline.linking.statements import match_candidates
from kombo_pipeline.orchestration.assets import integration
from kombo_pipeline.orchestration.due import due_integrations, rematch_keys, run_key
from kombo_pipeline.orchestration.jobs import rematch, sync_integration
from kombo_pipeline.orchestration.resources import Warehouse
from kombo_pipeline.orchestration.runs import in_flight, requests


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
        gone = {each.integration_id for each in forgotten.forgotten(conn)}
    # Read after the events: a run that is queued by now will see every one of them when it begins.
    due = due_integrations(waiting, in_flight(context.instance))
    partitions = set(context.instance.get_dynamic_partitions(str(integration.name)))
    added = [key for key in known if key not in partitions]
    dropped = sorted(gone & partitions)
    if not due and not added and not dropped:
        return dg.SkipReason(f"{seen} events seen, {len(waiting)} integrations wait for a run in flight")
    return dg.SensorResult(
        dynamic_partitions_requests=[
            *([integration.build_add_request(added)] if added else []),
            *([integration.build_delete_request(dropped)] if dropped else []),
        ],
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
    run_requests = requests(context.instance, run_keys, trigger="own jobs", run_keys=run_keys)
    if not run_requests:
        return dg.SkipReason(
            f"{len(waiting)} integrations with own jobs to match, all of them running or not fetched yet"
        )
    return dg.SensorResult(run_requests=run_requests)
