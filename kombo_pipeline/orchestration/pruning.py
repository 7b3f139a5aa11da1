"""Deletes what Dagster keeps for ever: old runs, and what Dagster leaves of them."""

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

import dagster as dg
import sqlalchemy as sa
from dagster._core.storage.event_log import SqlEventLogStorage
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable
from dagster._core.storage.runs import SqlRunStorage
from dagster._core.storage.runs.schema import RunsTable

from kombo_pipeline.orchestration.assets import job_match_candidates, jobs, own_jobs, raw_job_pages

_FINISHED: Final = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_AT_ONCE: Final = 500


def delete_old_runs(instance: dg.DagsterInstance, *, before: datetime, within: timedelta) -> Iterator[int]:
    """Delete the finished runs that did not change since `before`; yield how many, batch by batch.

    Stops when none is left, or after `within`. Runs that last materialized an asset in a partition stay.
    """
    deadline = time.monotonic() + within.total_seconds()
    newest = newest_runs(instance)
    old = dg.RunsFilter(statuses=_FINISHED, updated_before=before)
    cursor = None
    # Dagster lists the newest first. The cursor must be a run that exists: the last one that stays.
    while time.monotonic() < deadline:
        batch = instance.get_run_records(old, limit=_AT_ONCE, cursor=cursor)
        if not batch:
            return
        doomed = [record.dagster_run.run_id for record in batch if record.dagster_run.run_id not in newest]
        kept = [record.dagster_run.run_id for record in batch if record.dagster_run.run_id in newest]
        deleted = 0
        for run_id in doomed:
            if time.monotonic() >= deadline:
                break
            instance.delete_run(run_id)
            deleted += 1
        yield deleted
        cursor = kept[-1] if kept else cursor


def delete_orphaned_checks(instance: dg.DagsterInstance) -> int:
    """Delete the results of checks whose run is gone: Dagster leaves them behind. Return how many.

    Storages that keep events and runs in different databases are left alone.
    """
    events, runs = instance.event_log_storage, instance.run_storage
    if not isinstance(events, SqlEventLogStorage) or not isinstance(runs, SqlRunStorage):
        return 0
    with events.index_connection() as conn:
        if not sa.inspect(conn).has_table(RunsTable.name):
            return 0
        orphans = AssetCheckExecutionsTable.delete().where(
            ~sa.exists().where(RunsTable.c.run_id == AssetCheckExecutionsTable.c.run_id)
        )
        return int(conn.execute(orphans).rowcount)


def newest_runs(instance: dg.DagsterInstance) -> set[str]:
    """Return the runs that last materialized an asset in a partition."""
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
