"""Statements on records that core.jobs shows: where they landed, and which of them an older rule has read."""

from collections.abc import Sequence
from typing import NamedTuple

from psycopg.rows import class_row

from kombo_pipeline.db.connection import Connection


class LandedRecord(NamedTuple):
    """Where the record of a job stands among the landed pages; `position` is 1 for the first of its page."""

    kombo_job_id: str
    record_hash: str
    fetch_id: int
    page_number: int
    position: int


def of_older_rule(conn: Connection, integration_id: str, record_rule: int) -> list[LandedRecord]:
    """Return the records as core.jobs has them that an older rule than `record_rule` has read, where they are kept.

    A job without a hash is not among them: it ended, or its row is not what its record says for another reason.
    """
    with conn.cursor(row_factory=class_row(LandedRecord)) as cursor:
        return cursor.execute(
            """
            with older as materialized (
                select j.kombo_job_id, j.record_hash
                from core.jobs j
                join raw.fetches f on f.fetch_id = j.last_fetch_id
                where j.integration_id = %(integration)s and f.record_rule < %(rule)s
            )
            select distinct on (o.kombo_job_id)
                o.kombo_job_id,
                o.record_hash::text as record_hash,
                p.fetch_id,
                p.page_number,
                r.position::int as position
            from raw.fetches f
            join raw.job_pages p using (fetch_id)
            cross join lateral unnest(p.record_ids, p.record_hashes) with ordinality as r (id, hash, position)
            join older o on o.kombo_job_id = r.id and o.record_hash = r.hash
            where f.integration_id = %(integration)s and f.status = 'applied'
            order by o.kombo_job_id, p.fetch_id desc, p.page_number desc
            """,
            {"integration": integration_id, "rule": record_rule},
        ).fetchall()


def still_shown(conn: Connection, integration_id: str, landed: Sequence[LandedRecord]) -> list[LandedRecord]:
    """Return those of the records that core.jobs shows still: no job that has changed or ended meanwhile."""
    rows = conn.execute(
        """
        select j.kombo_job_id
        from core.jobs j
        join unnest(%s::text[], %s::uuid[]) as read (kombo_job_id, record_hash)
            on read.kombo_job_id = j.kombo_job_id and read.record_hash = j.record_hash
        where j.integration_id = %s
        """,
        ([each.kombo_job_id for each in landed], [each.record_hash for each in landed], integration_id),
    )
    shown = {row["kombo_job_id"] for row in rows}
    return [each for each in landed if each.kombo_job_id in shown]


def apply_at_next_sighting(conn: Connection, integration_id: str, record_rule: int) -> int:
    """Have the jobs that an older rule has read applied when a fetch shows them next, even unchanged; return how many.

    That is for those whose record is not kept any more.
    """
    return conn.execute(
        """
        update core.jobs j
        set record_hash = null
        from raw.fetches f
        where f.fetch_id = j.last_fetch_id
            and j.integration_id = %s
            and j.record_hash is not null
            and f.record_rule < %s
        """,
        (integration_id, record_rule),
    ).rowcount
