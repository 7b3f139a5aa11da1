"""Statements on raw.fetches: how a fetch begins, ends and is applied."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from psycopg.rows import class_row

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.vocabulary import FetchKind, FetchStatus

APPLIED_COUNTS: Final = ("new", "changed", "unchanged", "closed", "quarantined", "repaired")
"""What is counted in jobs when a fetch is applied; raw.fetches has a column jobs_... for each."""


class FetchAbandonedError(RuntimeError):
    """A later fetch of the integration has begun, so nothing more of this one may be stored."""


@dataclass(frozen=True)
class Fetch:
    """A row of raw.fetches, without what was counted when it was applied."""

    fetch_id: int
    integration_id: str
    kind: FetchKind
    status: FetchStatus
    started_at: datetime | None
    """When it began on Kombo's clock; the watermark once it is applied."""
    requested_at: datetime
    """When it began on our clock."""
    covers_event_seq: int
    pages: int
    records: int


def start(
    conn: Connection,
    *,
    integration_id: str,
    kind: FetchKind,
    updated_after: datetime | None,
    requested_at: datetime,
    dagster_run_id: str | None,
) -> int:
    """Open a fetch and return its id; fetches of the integration that never ended become abandoned.

    It covers every event that has landed. An event that commits later with a smaller number was received before
    this statement, so the change behind it is already in Kombo.
    """
    conn.execute(
        """
        update raw.fetches
        set status = 'abandoned',
            finished_at = clock_timestamp(),
            error = 'The run that fetched ended before its last page.'
        where integration_id = %s and status = 'running'
        """,
        (integration_id,),
    )
    row = conn.execute(
        """
        insert into raw.fetches (integration_id, kind, updated_after, requested_at, dagster_run_id, covers_event_seq)
        values (
            %(integration)s,
            %(kind)s,
            %(updated_after)s,
            %(requested_at)s,
            %(run)s,
            coalesce((select max(event_seq) from raw.webhook_events where integration_id = %(integration)s), 0)
        )
        returning fetch_id
        """,
        {
            "integration": integration_id,
            "kind": kind,
            "updated_after": updated_after,
            "requested_at": requested_at,
            "run": dagster_run_id,
        },
    ).fetchone()
    assert row is not None
    return int(row["fetch_id"])


def set_started_at(conn: Connection, fetch_id: int, started_at: datetime) -> None:
    """Note when the fetch began on Kombo's clock (UTC): the watermark once it is applied."""
    conn.execute("update raw.fetches set started_at = %s where fetch_id = %s", (started_at, fetch_id))


def finish(
    conn: Connection, fetch_id: int, status: FetchStatus, *, error: str | None = None, log_url: str | None = None
) -> None:
    """End a running fetch with its status, and count what landed.

    Raises FetchAbandonedError when a later fetch has begun.
    """
    finished = conn.execute(
        """
        update raw.fetches f
        set status = %(status)s,
            finished_at = clock_timestamp(),
            error = %(error)s,
            log_url = %(log_url)s,
            pages = p.pages,
            records = p.records
        from (
            select count(*) as pages, coalesce(sum(cardinality(record_ids)), 0) as records
            from raw.job_pages
            where fetch_id = %(fetch)s
        ) p
        where f.fetch_id = %(fetch)s and f.status = 'running'
        """,
        {"status": status, "error": error, "log_url": log_url, "fetch": fetch_id},
    )
    if finished.rowcount == 0:
        raise FetchAbandonedError(f"Fetch {fetch_id} is no longer running: a later fetch has taken its place")


def landed(conn: Connection, integration_id: str) -> list[Fetch]:
    """Return the fetches whose pages are complete and not applied, oldest first, locked until the transaction ends."""
    with conn.cursor(row_factory=class_row(Fetch)) as cursor:
        return cursor.execute(
            """
            select
                fetch_id, integration_id, kind, status, started_at, requested_at, covers_event_seq, pages, records
            from raw.fetches
            where integration_id = %s and status = 'landed'
            order by fetch_id
            for update
            """,
            (integration_id,),
        ).fetchall()


def newest(conn: Connection, integration_id: str) -> Fetch | None:
    """Return the integration's newest fetch, whatever its status; None when it was never fetched."""
    with conn.cursor(row_factory=class_row(Fetch)) as cursor:
        return cursor.execute(
            """
            select
                fetch_id, integration_id, kind, status, started_at, requested_at, covers_event_seq, pages, records
            from raw.fetches
            where integration_id = %s
            order by fetch_id desc
            limit 1
            """,
            (integration_id,),
        ).fetchone()


def let_commit_return_early(conn: Connection) -> None:
    """Let the commit of this transaction return before it is on disk: a crash of Postgres may undo it, as a whole."""
    conn.execute("set local synchronous_commit = off")


def mark_applied(conn: Connection, fetch_id: int, counts: Mapping[str, int], *, record_rule: int) -> None:
    """Note that core.jobs shows the fetch, the APPLIED_COUNTS of it, and by which rule its records were read."""
    conn.execute(
        """
        update raw.fetches
        set status = 'applied',
            applied_at = clock_timestamp(),
            jobs_new = %(new)s,
            jobs_changed = %(changed)s,
            jobs_unchanged = %(unchanged)s,
            jobs_closed = %(closed)s,
            jobs_quarantined = %(quarantined)s,
            jobs_repaired = %(repaired)s,
            record_rule = %(record_rule)s
        where fetch_id = %(fetch_id)s
        """,
        {**counts, "record_rule": record_rule, "fetch_id": fetch_id},
    )


def abandon(conn: Connection, fetch_id: int, reason: str) -> None:
    """Set a landed fetch aside: it will not be applied."""
    conn.execute(
        """
        update raw.fetches
        set status = 'abandoned', error = %s
        where fetch_id = %s
        """,
        (reason, fetch_id),
    )
