"""Statements on the jobs of a fetch while it is applied: sorted, staged in temporary tables, merged into core.jobs.

`fetched_jobs` has a row for each job of the fetch. `incoming_jobs` and its nested tables hold the new rows of jobs that
core.jobs has already. All of them end with the transaction.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from psycopg import sql
from psycopg.rows import class_row

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.ingest.statements import unreadable_fields

DELIMITER: Final = "\x1f"
NULL: Final = "\x1d"
"""Both stand in the rows that `copy_rows` takes: characters that JSON carries only as escapes."""

_TABLES = ("jobs", "job_stages", "job_screening_questions", "job_postings", "job_hiring_team")
# Columns whose change is not an event in the life of the job: bookkeeping, columns computed from others, and
# timestamps that move with every other field.
_NOT_COMPARED = [
    *("integration_id", "kombo_job_id", "record_hash", "first_seen_at", "last_fetch_id"),
    *("publishable", "changed_at", "remote_updated_at"),
]
# These say to which job an entry belongs and where it stands in the list, not what it is.
_NOT_COMPARED_IN_LISTS = ["integration_id", "kombo_job_id", "position"]


class Sorted(NamedTuple):
    """How many jobs of a fetch are new, changed and unchanged."""

    new: int
    changed: int
    unchanged: int


def classify(conn: Connection, *, integration_id: str, fetch_id: int, reads_again: bool = False) -> Sorted:
    """Sort the jobs of a fetch into new, changed and unchanged by the hash of their record; return the counts.

    When the fetch `reads_again` what core.jobs has already, every known job counts as changed: today's code may read
    more of the same record.

    Creates the temporary table `fetched_jobs`, one row per job. When a record came twice, the one fetched last counts,
    because Kombo promises neither an order nor a snapshot across pages.
    """
    conn.execute("drop table if exists fetched_jobs")
    conn.execute(
        """
        create temporary table fetched_jobs on commit drop as
        select
            f.kombo_job_id, f.record_hash, f.page_number, f.position,
            case
                when j.kombo_job_id is null then 'new'
                when %s or j.record_hash is distinct from f.record_hash then 'changed'
                else 'unchanged'
            end as state
        from (
            select distinct on (r.id)
                r.id as kombo_job_id, r.hash as record_hash, p.page_number, r.position::int as position
            from raw.job_pages p
            cross join lateral unnest(p.record_ids, p.record_hashes) with ordinality as r (id, hash, position)
            where p.fetch_id = %s and r.id is not null
            order by r.id, p.page_number desc, r.position desc
        ) f
        left join core.jobs j on j.integration_id = %s and j.kombo_job_id = f.kombo_job_id
        """,
        (reads_again, fetch_id, integration_id),
    )
    conn.execute("analyze fetched_jobs")
    with conn.cursor(row_factory=class_row(Sorted)) as cursor:
        counts = cursor.execute(
            """
            select
                count(*) filter (where state = 'new') as new,
                count(*) filter (where state = 'changed') as changed,
                count(*) filter (where state = 'unchanged') as unchanged
            from fetched_jobs
            """
        ).fetchone()
    assert counts is not None
    return counts


class Places(NamedTuple):
    """Where the records that must be read stand on a page: positions, the first record is 1."""

    page_number: int
    new: list[int]
    changed: list[int]
    unidentified: list[int]
    """Records without a readable id."""


def records_to_read(conn: Connection, fetch_id: int) -> dict[int, Places]:
    """Return the places of records that are new, changed or without a readable id, by page number in order."""
    with conn.cursor(row_factory=class_row(Places)) as cursor:
        found = cursor.execute(
            """
            select
                page_number,
                coalesce(array_agg(position) filter (where state = 'new'), '{}') as new,
                coalesce(array_agg(position) filter (where state = 'changed'), '{}') as changed,
                coalesce(array_agg(position) filter (where state = 'unidentified'), '{}') as unidentified
            from (
                select page_number, position, state
                from fetched_jobs
                where state <> 'unchanged'
                union all
                select p.page_number, r.position::int, 'unidentified'
                from raw.job_pages p
                cross join lateral unnest(p.record_ids) with ordinality as r (id, position)
                where p.fetch_id = %s and r.id is null
            ) records
            group by page_number
            order by page_number
            """,
            (fetch_id,),
        ).fetchall()
    return {places.page_number: places for places in found}


def prepare_incoming(conn: Connection) -> None:
    """Create the empty temporary tables in which changed jobs are staged."""
    for table in _TABLES:
        names = {"incoming": sql.Identifier(f"incoming_{table}"), "table": sql.Identifier("core", table)}
        conn.execute(sql.SQL("drop table if exists {incoming}").format(**names))
        conn.execute(
            sql.SQL(
                """
                create temporary table {incoming} (
                    like {table} including generated including defaults
                )
                on commit drop
                """
            ).format(**names)
        )
    conn.execute("drop table if exists incoming_untold")
    conn.execute("create temporary table incoming_untold (kombo_job_id text, field text) on commit drop")
    unreadable_fields.prepare(conn)


def copy_rows(conn: Connection, table: str, columns: Sequence[str], rows: Iterable[str], *, incoming: bool) -> None:
    """COPY rows (ingest/rows.py) into a table of core, or into the temporary table that stages its changes."""
    data = "".join(rows)
    if not data:
        return
    statement = sql.SQL("copy {table} ({columns}) from stdin with (delimiter {delimiter}, null {null})").format(
        table=sql.Identifier(f"incoming_{table}") if incoming else sql.Identifier("core", table),
        columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
        delimiter=DELIMITER,
        null=NULL,
    )
    with conn.cursor().copy(statement) as copy:
        copy.write(data.encode())


def note_untold_lists(conn: Connection, untold: Sequence[tuple[str, str]]) -> None:
    """Note (job, nested list) pairs that are missing from the staged records: their stored entries stay."""
    if untold:
        conn.cursor().executemany("insert into incoming_untold (kombo_job_id, field) values (%s, %s)", untold)


def record_creations(conn: Connection, *, integration_id: str, fetch_id: int) -> None:
    """Write the first history row of each new job of the fetch."""
    conn.execute(
        """
        insert into core.job_changes (integration_id, kombo_job_id, field, new_value, fetch_id)
        select j.integration_id, j.kombo_job_id, 'lifecycle', to_jsonb(j.lifecycle), %(fetch)s
        from fetched_jobs f
        join core.jobs j on j.integration_id = %(integration)s and j.kombo_job_id = f.kombo_job_id
        where f.state = 'new'
        """,
        {"integration": integration_id, "fetch": fetch_id},
    )


def merge_changed_jobs(conn: Connection, *, fetch_id: int, columns: Sequence[str]) -> None:
    """Write a history row for each field in which a staged job differs from core.jobs, then update core.jobs."""
    conn.execute("analyze incoming_jobs (integration_id, kombo_job_id)")
    # Without `offset 0`, Postgres would make the JSON of the old row again for each column.
    conn.execute(
        """
        insert into core.job_changes (integration_id, kombo_job_id, field, old_value, new_value, fetch_id)
        select
            r.integration_id, r.kombo_job_id, a.key, nullif(r.old -> a.key, 'null'), nullif(a.value, 'null'), %s
        from (
            select n.integration_id, n.kombo_job_id, to_jsonb(n) - %s::text[] as new, to_jsonb(o) as old
            from incoming_jobs n
            join core.jobs o using (integration_id, kombo_job_id)
            offset 0
        ) r
        cross join lateral jsonb_each(r.new) a
        where a.value is distinct from r.old -> a.key
        """,
        (fetch_id, _NOT_COMPARED),
    )
    written = (*columns, "vanished_at", "integration_gone_at")
    conn.execute(
        sql.SQL(
            """
            update core.jobs o
            set ({columns}) = (select {values})
            from incoming_jobs n
            where o.integration_id = n.integration_id and o.kombo_job_id = n.kombo_job_id
            """
        ).format(
            columns=sql.SQL(", ").join(map(sql.Identifier, written)),
            values=sql.SQL(", ").join(sql.Identifier("n", name) for name in written),
        )
    )


def merge_changed_children(
    conn: Connection, *, field: str, table: str, columns: Sequence[str], integration_id: str, fetch_id: int
) -> None:
    """Replace one nested list of each staged job in which it differs, with one history row per list.

    Lists are compared as sets: neither Kombo nor the ATSs promise an order, and entries carry their own index.
    """
    compared = [sql.Identifier("c", name) for name in columns if name not in _NOT_COMPARED_IN_LISTS]
    names = {
        "table": sql.Identifier("core", table),
        "incoming": sql.Identifier(f"incoming_{table}"),
        "columns": sql.SQL(", ").join(map(sql.Identifier, columns)),
        # Composite values are compared in a fraction of the time that it takes to make their JSON.
        "composite": sql.SQL("array_agg(({}) order by c.id)").format(sql.SQL(", ").join(compared)),
        "json": sql.SQL("coalesce(jsonb_agg(to_jsonb(c) - {}::text[] order by c.id), '[]')").format(
            _NOT_COMPARED_IN_LISTS
        ),
    }
    parameters = {"integration": integration_id, "fetch": fetch_id, "field": field}
    _find_differing(conn, names, parameters)
    _record_differing(conn, names, parameters)
    conn.execute(
        sql.SQL(
            """
            delete from {table} c
            using differing d
            where c.integration_id = %(integration)s and c.kombo_job_id = d.kombo_job_id
            """
        ).format(**names),
        parameters,
    )
    conn.execute(
        sql.SQL(
            """
            insert into {table} ({columns})
            select {columns}
            from {incoming}
            join differing using (kombo_job_id)
            """
        ).format(**names)
    )


def _find_differing(conn: Connection, names: Mapping[str, sql.Composable], parameters: Mapping[str, Any]) -> None:
    """Fill the temporary table `differing` with the staged jobs whose list is not the stored one."""
    conn.execute("drop table if exists differing")
    conn.execute(
        sql.SQL(
            """
            create temporary table differing on commit drop as
            select n.kombo_job_id
            from incoming_jobs n
            cross join lateral (
                select {composite} as entries
                from {table} c
                where c.integration_id = n.integration_id and c.kombo_job_id = n.kombo_job_id
            ) old
            left join (
                select c.kombo_job_id, {composite} as entries
                from {incoming} c
                group by c.kombo_job_id
            ) new on new.kombo_job_id = n.kombo_job_id
            where old.entries is distinct from new.entries
                and not exists (
                    select
                    from incoming_untold u
                    where u.kombo_job_id = n.kombo_job_id and u.field = %(field)s
                )
            """
        ).format(**names),
        parameters,
    )


def _record_differing(conn: Connection, names: Mapping[str, sql.Composable], parameters: Mapping[str, Any]) -> None:
    """Write a history row for each list of `differing`."""
    conn.execute(
        sql.SQL(
            """
            insert into core.job_changes (integration_id, kombo_job_id, field, old_value, new_value, fetch_id)
            select
                %(integration)s, d.kombo_job_id, %(field)s, old.entries, coalesce(new.entries, '[]'), %(fetch)s
            from differing d
            cross join lateral (
                select {json} as entries
                from {table} c
                where c.integration_id = %(integration)s and c.kombo_job_id = d.kombo_job_id
            ) old
            left join (
                select c.kombo_job_id, {json} as entries
                from {incoming} c
                join differing using (kombo_job_id)
                group by c.kombo_job_id
            ) new on new.kombo_job_id = d.kombo_job_id
            """
        ).format(**names),
        parameters,
    )


def absent_jobs(conn: Connection, *, integration_id: str) -> dict[str, bool]:
    """Return the live jobs that the full fetch being applied did not show, and whether each is open."""
    rows = conn.execute(
        """
        select j.kombo_job_id, j.lifecycle = 'open' as is_open
        from core.jobs j
        where j.integration_id = %s
            and j.remote_deleted_at is null
            and j.vanished_at is null
            and j.integration_gone_at is null
            and not exists (select from fetched_jobs f where f.kombo_job_id = j.kombo_job_id)
        order by j.kombo_job_id
        """,
        (integration_id,),
    ).fetchall()
    return {row["kombo_job_id"]: row["is_open"] for row in rows}


def staged_deletions(conn: Connection, *, integration_id: str, emptied: Mapping[str, datetime]) -> dict[str, datetime]:
    """Return the open jobs that staged records or `emptied` tombstones call deleted, with Kombo's time of it (UTC)."""
    rows = conn.execute(
        """
        select o.kombo_job_id, n.remote_deleted_at
        from core.jobs o
        join (
            select kombo_job_id, remote_deleted_at
            from incoming_jobs
            where remote_deleted_at is not null
            union all
            select kombo_job_id, remote_deleted_at
            from unnest(%s::text[], %s::timestamptz[]) as emptied (kombo_job_id, remote_deleted_at)
        ) n using (kombo_job_id)
        where o.integration_id = %s and o.lifecycle = 'open'
        """,
        (list(emptied), list(emptied.values()), integration_id),
    ).fetchall()
    return {row["kombo_job_id"]: row["remote_deleted_at"] for row in rows}


def staged_status_losses(conn: Connection) -> dict[str, datetime]:
    """Return the open jobs whose staged record has no status any more, with the time of this transaction (UTC).

    A status that is there but cannot be read is not a loss: such a job must not stay open.
    """
    rows = conn.execute(
        """
        select kombo_job_id, now() as lost_at
        from incoming_jobs n
        join core.jobs o using (integration_id, kombo_job_id)
        where n.status is null
            and n.remote_deleted_at is null
            and o.lifecycle = 'open'
            and not coalesce(n.unreadable_fields ? 'status', false)
        """
    ).fetchall()
    return {row["kombo_job_id"]: row["lost_at"] for row in rows}


def unstage(conn: Connection, kombo_job_ids: Sequence[str]) -> None:
    """Take jobs out of the staged changes."""
    conn.execute("delete from incoming_jobs where kombo_job_id = any(%s)", (list(kombo_job_ids),))
