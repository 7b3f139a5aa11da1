"""Statements on core.jobs.unreadable_fields: what could not be read of a job, and of how many jobs."""

from collections.abc import Sequence
from typing import NamedTuple

from psycopg import sql
from psycopg.rows import class_row

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.db.queries import number


def prepare(conn: Connection) -> None:
    """Create the empty temporary table of the columns that staged records leave out."""
    conn.execute("drop table if exists incoming_left_out")
    conn.execute("create temporary table incoming_left_out (kombo_job_id text, columns text[]) on commit drop")


def note_left_out(conn: Connection, left_out: Sequence[tuple[str, list[str]]]) -> None:
    """Note the columns of staged jobs that have no readable value: what is stored of them stays."""
    if left_out:
        conn.cursor().executemany("insert into incoming_left_out values (%s, %s)", left_out)


def keep_stored_values(conn: Connection) -> None:
    """Give staged jobs the stored value of each column that their record leaves out."""
    rows = conn.execute("select distinct unnest(columns) as name from incoming_left_out order by 1").fetchall()
    if not rows:
        return
    kept = [
        sql.SQL("{name} = case when {literal} = any(k.columns) then o.{name} else n.{name} end").format(
            name=sql.Identifier(row["name"]), literal=sql.Literal(row["name"])
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


def read_again(conn: Connection, integration_id: str, record_hashes: Sequence[str]) -> None:
    """Have the next fetch apply these records although core.jobs has them, for today's code may read more of them."""
    conn.execute(
        """
        update core.jobs
        set record_hash = null
        where integration_id = %s
            and record_hash = any(%s)
            and unreadable_fields is not null
        """,
        (integration_id, list(record_hashes)),
    )


class Share(NamedTuple):
    """How many records of an integration cannot be read whole now."""

    odd: int  # of all that Kombo has shown
    jobs: int  # known and not gone
    odd_of_newest: int  # of the newest fetch of more than ten records
    records_of_newest: int
    field: str | None  # the most frequent one
    jobs_with_field: int


def share(conn: Connection, integration_id: str) -> Share:
    """Return how many records of an integration cannot be read whole, and the field that is the most frequent."""
    with conn.cursor(row_factory=class_row(Share)) as cursor:
        found = cursor.execute(
            """
            with odd as (
                select q.kombo_job_id, j.unreadable_fields
                from raw.quarantined_records q
                left join core.jobs j using (integration_id, kombo_job_id)
                where q.integration_id = %(integration)s and q.released_at is null
            ),
            newest as (
                select jobs_quarantined, records
                from raw.fetches
                where integration_id = %(integration)s
                    and status = 'applied'
                    and kind <> 'release'
                    and records > 10
                order by fetch_id desc
                limit 1
            ),
            fields as (
                select field, count(distinct kombo_job_id) as jobs
                from odd
                cross join lateral jsonb_object_keys(unreadable_fields) as field
                group by field
                order by jobs desc, field
                limit 1
            )
            select
                (select count(*) from odd) as odd,
                (
                    select count(*)
                    from core.jobs
                    where integration_id = %(integration)s
                        and lifecycle not in ('deleted', 'vanished', 'integration_gone')
                ) as jobs,
                coalesce((select jobs_quarantined from newest), 0) as odd_of_newest,
                coalesce((select records from newest), 0) as records_of_newest,
                (select field from fields) as field,
                coalesce((select jobs from fields), 0) as jobs_with_field
            """,
            {"integration": integration_id},
        ).fetchone()
    assert found is not None
    return found
