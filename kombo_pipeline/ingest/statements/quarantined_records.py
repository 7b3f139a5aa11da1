"""Statements on raw.quarantined_records: records that could not be read whole."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from psycopg.rows import class_row

from kombo_pipeline.db.connection import Connection


class UnreadRecord(NamedTuple):
    """A record that cannot be read whole, on its way into quarantine."""

    page_number: int
    kombo_job_id: str | None
    record_hash: str
    record: bytes
    reason: str


@dataclass(frozen=True)
class QuarantinedRecord:
    """A record in quarantine, with its bytes as Kombo sent them."""

    quarantine_id: int
    integration_id: str
    kombo_job_id: str | None
    record: bytes
    reason: str
    quarantined_at: datetime


def keep(conn: Connection, records: Sequence[UnreadRecord], *, integration_id: str, fetch_id: int) -> None:
    """Put records into quarantine; one that is there already stays once, and is not released any more."""
    if not records:
        return
    conn.cursor().executemany(
        """
        insert into raw.quarantined_records (
            integration_id, fetch_id, page_number, kombo_job_id, record_hash, record, reason
        )
        values (
            %(integration_id)s, %(fetch_id)s, %(page_number)s, %(kombo_job_id)s, %(record_hash)s, %(record)b, %(reason)s
        )
        on conflict (integration_id, record_hash) do update set
            fetch_id = excluded.fetch_id,
            page_number = excluded.page_number,
            reason = excluded.reason,
            released_at = null
        """,
        [{"integration_id": integration_id, "fetch_id": fetch_id, **record._asdict()} for record in records],
    )


def drop_held(conn: Connection, *, fetch_id: int, kombo_job_ids: Sequence[str]) -> None:
    """Take records of held jobs out of quarantine: releasing them one by one must not bypass the hold.

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


def waiting(conn: Connection, quarantine_ids: Sequence[int] | None = None) -> list[QuarantinedRecord]:
    """Return records in quarantine, oldest first; all of them when no ids are given."""
    with conn.cursor(row_factory=class_row(QuarantinedRecord)) as cursor:
        return cursor.execute(
            """
            select quarantine_id, integration_id, kombo_job_id, record, reason, quarantined_at
            from raw.quarantined_records
            where released_at is null
                and (%(ids)s::bigint[] is null or quarantine_id = any(%(ids)s))
            order by fetch_id, quarantine_id
            """,
            {"ids": None if quarantine_ids is None else list(quarantine_ids)},
        ).fetchall()


def of_older_rule(conn: Connection, integration_id: str, record_rule: int) -> list[int]:
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
        """
        update raw.quarantined_records
        set released_at = now()
        where quarantine_id = any(%s)
        """,
        (list(quarantine_ids),),
    )


def release_overtaken(conn: Connection, *, integration_id: str, fetch_id: int, shows_all: bool) -> None:
    """Release quarantined records that the fetch being applied has overtaken.

    A record is overtaken when the fetch shows another version of its job. When the fetch `shows_all` jobs, records of
    jobs that it does not show are overtaken too: those jobs are gone. The version that core.jobs has now stays in
    quarantine as long as it cannot be read whole.
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
