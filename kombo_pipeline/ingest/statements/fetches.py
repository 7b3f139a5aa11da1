"""Statements on raw.fetches, raw.job_pages and raw.quarantined_records."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from kombo_pipeline.db.connection import Connection

APPLIED_COUNTS = ("new", "changed", "unchanged", "closed", "quarantined", "repaired")


class FetchAbandonedError(RuntimeError):
    """A later fetch of the integration has begun: what this one still brings must not be stored."""


def start(
    conn: Connection,
    *,
    integration_id: str,
    kind: str,
    updated_after: datetime | None,
    requested_at: datetime,
    dagster_run_id: str | None,
) -> int:
    """Open a fetch and return its id; fetches of the integration that never ended become abandoned.

    Covers every event that has landed: one that commits later with a smaller number was received before
    this statement, so the change behind it is already in Kombo.
    """
    conn.execute(
        "update raw.fetches set status = 'abandoned', finished_at = clock_timestamp(), "
        "error = 'The run that fetched ended before its last page.' "
        "where integration_id = %s and status = 'running'",
        (integration_id,),
    )
    row = conn.execute(
        "insert into raw.fetches (integration_id, kind, updated_after, requested_at, dagster_run_id, covers_event_seq) "
        "values (%(integration)s, %(kind)s, %(updated_after)s, %(requested_at)s, %(run)s, coalesce("
        "(select max(event_seq) from raw.webhook_events where integration_id = %(integration)s), 0)) "
        "returning fetch_id",
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


def land_page(
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


def set_started_at(conn: Connection, fetch_id: int, started_at: datetime) -> None:
    """Note when the fetch began on Kombo's clock: the watermark once it is applied."""
    conn.execute("update raw.fetches set started_at = %s where fetch_id = %s", (started_at, fetch_id))


def finish(
    conn: Connection, fetch_id: int, status: str, *, error: str | None = None, log_url: str | None = None
) -> None:
    """End a running fetch as landed, waiting, refused or unavailable, and count what landed.

    Raises FetchAbandonedError when a later fetch has begun.
    """
    finished = conn.execute(
        "update raw.fetches f set status = %s, finished_at = clock_timestamp(), error = %s, log_url = %s, "
        "pages = p.pages, records = p.records "
        "from (select count(*) as pages, coalesce(sum(cardinality(record_ids)), 0) as records "
        "from raw.job_pages where fetch_id = %s) p where f.fetch_id = %s and f.status = 'running'",
        (status, error, log_url, fetch_id, fetch_id),
    )
    if finished.rowcount == 0:
        raise FetchAbandonedError(f"Fetch {fetch_id} is no longer running: a later fetch has taken its place")


def landed(conn: Connection, integration_id: str) -> list[dict[str, Any]]:
    """Return the fetches whose pages are complete and not applied, oldest first, locked until the transaction ends."""
    return conn.execute(
        "select * from raw.fetches where integration_id = %s and status = 'landed' order by fetch_id for update",
        (integration_id,),
    ).fetchall()


def newest(conn: Connection, integration_id: str) -> dict[str, Any] | None:
    """Return the integration's newest fetch, whatever its status."""
    return conn.execute(
        "select * from raw.fetches where integration_id = %s order by fetch_id desc limit 1",
        (integration_id,),
    ).fetchone()


class Progress(NamedTuple):
    """How much of a fetch has landed."""

    pages: int
    records: int


def progress(conn: Connection, integration_id: str) -> Progress:
    """Return how much of the integration's newest fetch has landed; nothing when there is none."""
    row = conn.execute(
        "select count(p.page_number) as pages, coalesce(sum(cardinality(record_ids)), 0) as records "
        "from raw.fetches f left join raw.job_pages p using (fetch_id) where f.fetch_id = "
        "(select max(fetch_id) from raw.fetches where integration_id = %s)",
        (integration_id,),
    ).fetchone()
    assert row is not None
    return Progress(row["pages"], row["records"])


def let_commit_return_early(conn: Connection) -> None:
    """Let this transaction's commit not wait for the disk: a crash of Postgres may take it back, whole."""
    conn.execute("set local synchronous_commit = off")


def mark_applied(conn: Connection, fetch_id: int, counts: Mapping[str, int], *, record_rule: int) -> None:
    """Note that core.jobs shows the fetch, what it brought, and by which rule its records were read."""
    conn.execute(
        "update raw.fetches set status = 'applied', applied_at = clock_timestamp(), jobs_new = %s, "
        "jobs_changed = %s, jobs_unchanged = %s, jobs_closed = %s, jobs_quarantined = %s, jobs_repaired = %s, "
        "record_rule = %s where fetch_id = %s",
        (*(counts[name] for name in APPLIED_COUNTS), record_rule, fetch_id),
    )


def live_jobs_not_shown(conn: Connection, *, integration_id: str, fetch_id: int) -> list[str]:
    """Return the live jobs in core.jobs that no landed page of a fetch shows."""
    rows = conn.execute(
        "select kombo_job_id from core.jobs where integration_id = %s and remote_deleted_at is null "
        "and vanished_at is null and integration_gone_at is null "
        "except select unnest(record_ids) from raw.job_pages where fetch_id = %s order by 1",
        (integration_id, fetch_id),
    )
    return [row["kombo_job_id"] for row in rows]


def abandon(conn: Connection, fetch_id: int, reason: str) -> None:
    """Set a landed fetch aside: it will not be applied."""
    conn.execute("update raw.fetches set status = 'abandoned', error = %s where fetch_id = %s", (reason, fetch_id))


class LandedPage(NamedTuple):
    """A page as it was kept."""

    number: int
    body: bytes  # gzip
    record_hashes: list[str]


def read_pages(conn: Connection, fetch_id: int, page_numbers: Sequence[int]) -> list[LandedPage]:
    """Return some pages of a fetch, in order."""
    rows = conn.execute(
        "select page_number, body, record_hashes::text[] from raw.job_pages "
        "where fetch_id = %s and page_number = any(%s) order by page_number",
        (fetch_id, list(page_numbers)),
        binary=True,
    ).fetchall()
    return [LandedPage(row["page_number"], row["body"], row["record_hashes"]) for row in rows]


class Quarantined(NamedTuple):
    """A record that cannot be read whole."""

    page_number: int
    kombo_job_id: str | None
    record_hash: str
    record: bytes
    reason: str


def quarantine(conn: Connection, records: Sequence[Quarantined], *, integration_id: str, fetch_id: int) -> None:
    """Keep records that cannot be read whole; one that is kept already stays once, and is no longer released."""
    if not records:
        return
    conn.cursor().executemany(
        """
        insert into raw.quarantined_records (
            integration_id, fetch_id, page_number, kombo_job_id, record_hash, record, reason
        )
        values (%s, %s, %s, %s, %s, %b, %s)
        on conflict (integration_id, record_hash) do update set
            fetch_id = excluded.fetch_id,
            page_number = excluded.page_number,
            reason = excluded.reason,
            released_at = null
        """,
        [(integration_id, fetch_id, *record) for record in records],
    )


def forget_quarantined(conn: Connection, *, fetch_id: int, kombo_job_ids: Sequence[str]) -> None:
    """Take records of held jobs out of quarantine: a release, one by one, must not go round the hold.

    Nothing is lost, for the next fetch that shows such a job reads its record again.
    """
    conn.execute(
        """
        update raw.quarantined_records
        set released_at = now()
        where fetch_id = %s
            and kombo_job_id = any(%s)
            and released_at is null
        """,
        (fetch_id, list(kombo_job_ids)),
    )


def quarantined(conn: Connection, quarantine_ids: Sequence[int] | None = None) -> list[dict[str, Any]]:
    """Return records in quarantine, oldest first; all of them when no ids are given."""
    return conn.execute(
        "select * from raw.quarantined_records where released_at is null "
        "and (%(ids)s::bigint[] is null or quarantine_id = any(%(ids)s)) order by fetch_id, quarantine_id",
        {"ids": None if quarantine_ids is None else list(quarantine_ids)},
    ).fetchall()


def quarantined_by_older_rule(conn: Connection, integration_id: str, record_rule: int) -> list[int]:
    """Return the records in quarantine that an older rule could not read, by their quarantine_id."""
    rows = conn.execute(
        """
        select q.quarantine_id
        from raw.quarantined_records q
        join raw.fetches f using (fetch_id)
        where q.integration_id = %s and q.released_at is null and f.record_rule < %s
        order by q.quarantine_id
        """,
        (integration_id, record_rule),
    )
    return [row["quarantine_id"] for row in rows]


def mark_released(conn: Connection, quarantine_ids: Sequence[int]) -> None:
    """Take records out of quarantine; those that still cannot be read come back when they are applied."""
    conn.execute(
        "update raw.quarantined_records set released_at = now() where quarantine_id = any(%s)",
        (list(quarantine_ids),),
    )


def release_overtaken(conn: Connection, *, integration_id: str, fetch_id: int, shows_all: bool) -> None:
    """Release quarantined records that the fetch being applied has overtaken.

    Those of jobs that it shows in another version; all others too when it `shows_all` there is, for then their jobs
    are gone. The version that core.jobs has now stays as long as it cannot be read whole.
    """
    conn.execute(
        """
        update raw.quarantined_records q
        set released_at = now()
        where q.integration_id = %(integration)s
            and q.released_at is null
            and q.fetch_id < %(fetch)s
            and case
                when q.kombo_job_id in (select kombo_job_id from fetched_jobs) then not exists (
                    select from core.jobs j
                    where j.integration_id = q.integration_id
                        and j.kombo_job_id = q.kombo_job_id
                        and j.record_hash = q.record_hash
                        and j.unreadable_fields is not null
                )
                else %(shows_all)s
            end
        """,
        {"integration": integration_id, "fetch": fetch_id, "shows_all": shows_all},
    )


def delete_pages(conn: Connection, *, older_than: timedelta) -> int:
    """Delete the pages of old fetches; return how many.

    Those since each integration's newest applied full fetch stay whatever their age: core.jobs can be
    rebuilt from them.
    """
    return conn.execute(
        "delete from raw.job_pages p using raw.fetches f where p.fetch_id = f.fetch_id "
        "and f.status not in ('running', 'landed') and f.requested_at < now() - %s and f.fetch_id < coalesce(("
        "select max(full_fetch.fetch_id) from raw.fetches full_fetch where full_fetch.kind = 'full' "
        "and full_fetch.status = 'applied' and full_fetch.integration_id = f.integration_id), 0)",
        (older_than,),
    ).rowcount


def _array(values: Sequence[str]) -> str:
    """A Postgres array literal of values that need no quoting."""
    return "{" + ",".join(values) + "}"
