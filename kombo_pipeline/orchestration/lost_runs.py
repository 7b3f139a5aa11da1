"""Runs that Dagster calls started although their process is gone."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Final

import dagster as dg

SILENT_FOR: Final = timedelta(seconds=45)
"""A run that lives holds a lease, or logs the beginning and end of its steps, or waits 15 seconds for a retry."""
_AT_ONCE: Final = 200
_PARTITION: Final = "dagster/partition"


def lost_runs(instance: dg.DagsterInstance, working: Collection[str], *, now: datetime) -> list[dg.DagsterRun]:
    """Return the started runs of one integration that are not in `working` and have logged nothing for a while.

    Only started runs are read, of which there are no more than slots.
    """
    started = instance.get_run_records(
        dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]),
        limit=_AT_ONCE,
        ascending=True,
    )
    return [
        record.dagster_run
        for record in started
        if _PARTITION in record.dagster_run.tags
        and record.dagster_run.run_id not in working
        and now - _last_sign(instance, record) > SILENT_FOR
    ]


def _last_sign(instance: dg.DagsterInstance, record: dg.RunRecord) -> datetime:
    newest = instance.get_records_for_run(record.dagster_run.run_id, limit=1, ascending=False).records
    times = [record.start_time or record.create_timestamp.timestamp()]
    times += [each.event_log_entry.timestamp for each in newest]
    return datetime.fromtimestamp(max(times), UTC)
