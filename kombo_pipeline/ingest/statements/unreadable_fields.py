"""Statements on core.jobs.unreadable_fields: what could not be read of a job, and of how many jobs."""

from collections.abc import Sequence
from typing import NamedTuple

from psycopg import sql

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.db.queries import number
from kombo_pipeline.kombo.tolerance import TEXT_LIMITS


def prepare(conn: Connection) -> None:
    """Create the empty temporary table of the columns that staged records leave out."""
    conn.execute("drop table if exists incoming_left_out")
    conn.execute("create temporary table incoming_left_out (kombo_job_id text, columns text[]) on commit drop")


def note_left_out(conn: Connection, left_out: Sequence[tuple[str, list[str]]]) -> None:
    """Note the columns of staged jobs that have no readable value: what is stored of them stays."""
    if left_out:
        conn.cursor().executemany("insert into incoming_left_out (kombo_job_id, columns) values (%s, %s)", left_out)


def keep_stored_values(conn: Connection) -> None:
    """Give staged jobs the stored value of each column that their record leaves out.

    A stored text that exceeds its limit was written by an older version that knew no limit; it is not kept.
    """
    rows = conn.execute("""
        select distinct unnest(columns) as name
        from incoming_left_out
        order by 1
        """).fetchall()
    if not rows:
        return
    kept = [
        sql.SQL("{name} = case when {literal} = any(k.columns) and {fits} then o.{name} else n.{name} end").format(
            name=sql.Identifier(row["name"]), literal=sql.Literal(row["name"]), fits=_fits(row["name"])
        )
        for row in rows
    ]
    conn.execute(
        sql.SQL(
            """
            update incoming_jobs n
            set {kept}
            from incoming_left_out k, core.jobs o
            where k.kombo_job_id = n.kombo_job_id
                and o.integration_id = n.integration_id
                and o.kombo_job_id = n.kombo_job_id
            """
        ).format(kept=sql.SQL(", ").join(kept))
    )


def _fits(column: str) -> sql.Composable:
    """Whether the stored value of a column is within its limit."""
    if column not in TEXT_LIMITS:
        return sql.SQL("true")
    limit = TEXT_LIMITS[column]
    size = sql.SQL("length" if limit.unit == "characters" else "octet_length")
    return sql.SQL("coalesce({size}(o.{name}) <= {most}, true)").format(
        size=size, name=sql.Identifier(column), most=sql.Literal(limit.most)
    )


def shown_by_fetch(conn: Connection, integration_id: str) -> int:
    """Return how many jobs that the fetch being applied shows cannot be read whole, unchanged ones included."""
    return number(
        conn,
        """
        select count(*) as n
        from fetched_jobs f
        join core.jobs j on j.integration_id = %s and j.kombo_job_id = f.kombo_job_id
        where j.unreadable_fields is not null
        """,
        (integration_id,),
    )


class Share(NamedTuple):
    """How many records of an integration cannot be read whole now."""

    odd: int  # of all that Kombo has shown
    jobs: int  # known and not gone
    odd_of_newest: int  # of the newest fetch of more than ten records
    records_of_newest: int
    field: str | None  # the most frequent one
    jobs_with_field: int


def shares(conn: Connection, integration_ids: Sequence[str]) -> dict[str, Share]:
    """Return how many records of each integration cannot be read whole, and which field is concerned most often.

    Integrations without such records are left out. Read from marts, because the back office asks too and may not read
    raw.
    """
    rows = conn.execute(
        """
        select
            odd.integration_id,
            odd.odd,
            (
                select count(*)
                from core.jobs j
                where j.integration_id = odd.integration_id
                    and lifecycle not in ('deleted', 'vanished', 'integration_gone')
            ) as jobs,
            coalesce(newest.jobs_quarantined, 0) as odd_of_newest,
            coalesce(newest.records, 0) as records_of_newest,
            commonest.field,
            coalesce(commonest.jobs, 0) as jobs_with_field
        from (
            select integration_id, count(*) as odd
            from marts.quarantined_records
            where integration_id = any(%s) and released_at is null
            group by integration_id
        ) odd
        left join lateral (
            select jobs_quarantined, records
            from marts.fetches f
            where f.integration_id = odd.integration_id
                and status = 'applied'
                and kind <> 'release'
                and records > 10
            order by fetch_id desc
            limit 1
        ) newest on true
        left join lateral (
            select field, count(distinct q.kombo_job_id) as jobs
            from marts.quarantined_records q
            join core.jobs j using (integration_id, kombo_job_id)
            cross join lateral jsonb_object_keys(j.unreadable_fields) as field
            where q.integration_id = odd.integration_id and q.released_at is null
            group by field
            order by jobs desc, field
            limit 1
        ) commonest on true
        """,
        (list(integration_ids),),
    ).fetchall()
    return {row.pop("integration_id"): Share(**row) for row in rows}
