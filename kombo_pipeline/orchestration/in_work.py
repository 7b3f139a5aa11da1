"""Leases as the assets take them: in the name of their run."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from kombo_pipeline.db import leases
from kombo_pipeline.db.connection import Connection


@contextmanager
def hold(context: dg.AssetExecutionContext, conn: Connection, work: str) -> Iterator[leases.Held]:
    """Hold the lease of a work on the partition; raises LeaseTakenError when another process holds it."""
    taken_over = ended_run(context, conn, work)
    with leases.hold(
        conn, context.partition_key, work, run_id=context.op_execution_context.run_id, ended_run=taken_over
    ) as lease:
        yield lease


def ended_run(context: dg.AssetExecutionContext, conn: Connection, work: str) -> str | None:
    """Return the run that holds the lease of a work on the partition, if that run has ended: it was killed in it.

    Its lease need not expire first. Whether its process is really gone does not matter, for it can commit no more.
    """
    lease = leases.find(conn, context.partition_key, work)
    conn.commit()
    if lease is None or lease.run_id in (None, context.op_execution_context.run_id):
        return None
    run = context.instance.get_run_by_id(lease.run_id)
    return lease.run_id if run and run.is_finished else None


def ask_again(context: dg.AssetExecutionContext, taken: leases.LeaseTakenError) -> dg.RetryRequested:
    """Return what to raise when another process does the work: the step waits a little and tries again."""
    context.log.info(str(taken))
    return dg.RetryRequested(max_retries=10, seconds_to_wait=15)
