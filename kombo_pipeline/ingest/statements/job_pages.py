"""Statements on raw.job_pages: the pages of a fetch as Kombo sent them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from psycopg.rows import class_row

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.ingest.statements.fetches import FetchAbandonedError


def land(
    conn: Connection,
    fetch_id: int,
    *,
    page_number: int,
    cursor: str | None,
    next_cursor: str | None,
    fetched_at: datetime,
    body: bytes,
    record_ids: Sequence[str | None],
    record_hashes: Sequence[str],
) -> None:
    """Keep a page as received. Raises FetchAbandonedError when a later fetch has begun."""
    landed = conn.execute(
        """
        insert into raw.job_pages (
            fetch_id, page_number, cursor, next_cursor, fetched_at, body, record_ids, record_hashes
        )
        select fetch_id, %s, %s, %s, %s, %b, %s::text[], %s::uuid[]
        from raw.fetches
        where fetch_id = %s and status = 'running'
        """,
        (
            page_number,
            cursor,
            next_cursor,
            fetched_at,
            body,
            list(record_ids),
            _array(record_hashes),
            fetch_id,
        ),
    )
    if landed.rowcount == 0:
        raise FetchAbandonedError(f"Fetch {fetch_id} is no longer running: a later fetch has taken its place")


class Progress(NamedTuple):
    """How much of a fetch has landed."""

    pages: int
    records: int


def progress(conn: Connection, integration_id: str) -> Progress:
    """Return how much of the integration's newest fetch has landed; zeros when there is none."""
    with conn.cursor(row_factory=class_row(Progress)) as cursor:
        found = cursor.execute(
            """
            select count(p.page_number) as pages, coalesce(sum(cardinality(p.record_ids)), 0) as records
            from raw.fetches f
            left join raw.job_pages p using (fetch_id)
            where f.fetch_id = (select max(fetch_id) from raw.fetches where integration_id = %s)
            """,
            (integration_id,),
        ).fetchone()
    assert found is not None
    return found


def live_jobs_not_shown(conn: Connection, *, integration_id: str, fetch_id: int) -> list[str]:
    """Return the live jobs in core.jobs that no landed page of a fetch shows."""
    rows = conn.execute(
        """
        select kombo_job_id
        from core.jobs
        where integration_id = %s
            and remote_deleted_at is null
            and vanished_at is null
            and integration_gone_at is null
        except
        select unnest(record_ids) as kombo_job_id
        from raw.job_pages
        where fetch_id = %s
        order by kombo_job_id
        """,
        (integration_id, fetch_id),
    )
    return [row["kombo_job_id"] for row in rows]


class LandedPage(NamedTuple):
    """A page as it was kept."""

    page_number: int
    body: bytes
    """The response of Kombo, compressed with gzip."""
    record_hashes: list[str]


def read(conn: Connection, fetch_id: int, page_numbers: Sequence[int]) -> list[LandedPage]:
    """Return some pages of a fetch, in order."""
    with conn.cursor(binary=True, row_factory=class_row(LandedPage)) as cursor:
        return cursor.execute(
            """
            select page_number, body, record_hashes::text[] as record_hashes
            from raw.job_pages
            where fetch_id = %s and page_number = any(%s)
            order by page_number
            """,
            (fetch_id, list(page_numbers)),
        ).fetchall()


def delete(conn: Connection, *, older_than: timedelta) -> int:
    """Delete the pages of old fetches; return how many.

    Those since each integration's newest applied full fetch stay whatever their age: core.jobs can be
    rebuilt from them.
    """
    return conn.execute(
        """
        delete from raw.job_pages p
        using raw.fetches f
        where p.fetch_id = f.fetch_id
            and f.status not in ('running', 'landed')
            and f.requested_at < now() - %s
            and f.fetch_id < coalesce((
                select max(newest.fetch_id)
                from raw.fetches newest
                where newest.kind = 'full'
                    and newest.status = 'applied'
                    and newest.integration_id = f.integration_id
            ), 0)
        """,
        (older_than,),
    ).rowcount


def _array(values: Sequence[str]) -> str:
    """Write a Postgres array literal of values that need no quoting."""
    return "{" + ",".join(values) + "}"
