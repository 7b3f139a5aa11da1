"""A Dagster location with one empty asset, started as ours is: a sensor sees a row and runs a partition."""

import os

import dagster as dg
import psycopg

integration = dg.DynamicPartitionsDefinition(name="integration")
URL = os.environ["BENCH_URL"]
INTERVAL = int(os.environ["BENCH_SENSOR_SECONDS"])


@dg.asset(partitions_def=integration)
def empty(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    with psycopg.connect(URL) as conn:
        conn.execute(
            "update bench.events set done_at = clock_timestamp(), run_id = %s where done_at is null",
            (context.run.run_id,),
        )
    return dg.MaterializeResult()


run_empty = dg.define_asset_job("run_empty", selection=[empty])


@dg.sensor(job=run_empty, minimum_interval_seconds=INTERVAL, default_status=dg.DefaultSensorStatus.RUNNING)
def rows(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    with psycopg.connect(URL) as conn:
        newest = conn.execute("select max(id) from bench.events where done_at is null").fetchone()[0]
    known = context.instance.get_dynamic_partitions("integration")
    return dg.SensorResult(
        dynamic_partitions_requests=[] if "one" in known else [integration.build_add_request(["one"])],
        run_requests=[dg.RunRequest(partition_key="one", run_key=str(newest))] if newest else [],
    )


defs = dg.Definitions(assets=[empty], jobs=[run_empty], sensors=[rows], executor=dg.in_process_executor)
