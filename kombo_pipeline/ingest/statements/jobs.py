"""Statements on core.jobs, its children and core.job_changes."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from psycopg import sql

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.db.queries import number
from kombo_pipeline.ingest.statements import unreadable_fields

DELIMITER, NULL = "\x1f", "\x1d"
"""Of the rows that `copy_rows` takes: characters that JSON carries only as escapes."""

# Columns whose change is no event of the job's life: bookkeeping, what follows from others, and
# the clocks that move with every other field.
_NOT_COMPARED = [
    *("integration_id", "kombo_job_id", "record_hash", "first_seen_at", "last_fetch_id"),
    *("publishable", "changed_at", "remote_updated_at"),
]
# What says to which job an entry belongs and where it stands, not what it is.
_NOT_COMPARED_IN_LISTS = ["integration_id", "kombo_job_id", "position"]


def classify(conn: Connection, *, integration_id: str, fetch_id: int, reads_again: bool = False) -> dict[str, int]:
    """Sort the jobs of a fetch into new, changed and unchanged by the hash of their record; return the counts.

    None is unchanged when the fetch `reads_again` what core.jobs has, for today's code may read more of it.

    Leaves the temporary table `fetched_jobs`, one row a job; of records that came twice the one fetched
    last counts, because nothing promises an order or a snapshot across pages.
    """
    conn.execute("drop table if exists fetched_jobs")
    conn.execute(
        "create temporary table fetched_jobs on commit drop as "
        "select f.*, case when j.kombo_job_id is null then 'new' "
        "when %s or j.record_hash is distinct from f.record_hash then 'changed' else 'unchanged' end as state "
        "from (select distinct on (r.id) r.id as kombo_job_id, r.hash as record_hash, p.page_number, "
        "r.position::int as position from raw.job_pages p "
        "cross join lateral unnest(p.record_ids, p.record_hashes) with ordinality as r (id, hash, position) "
        "where p.fetch_id = %s and r.id is not null order by r.id, p.page_number desc, r.position desc) f "
        "left join core.jobs j on j.integration_id = %s and j.kombo_job_id = f.kombo_job_id",
        (reads_again, fetch_id, integration_id),
    )
    conn.execute("analyze fetched_jobs")
    rows = conn.execute("select state, count(*) as jobs from fetched_jobs group by state").fetchall()
    counts = {row["state"]: row["jobs"] for row in rows}
    return {state: counts.get(state, 0) for state in ("new", "changed", "unchanged")}


class Places(NamedTuple):
    """Where records to read stand on a page: 1-based positions."""

    new: list[int]
    changed: list[int]
    unidentified: list[int]


def records_to_read(conn: Connection, fetch_id: int) -> dict[int, Places]:
    """Return the places of records that are new, changed or without a readable id, by page number in order."""
    rows = conn.execute(
        "select page_number, coalesce(array_agg(position) filter (where state = 'new'), '{}') as new, "
        "coalesce(array_agg(position) filter (where state = 'changed'), '{}') as changed, "
        "coalesce(array_agg(position) filter (where state = 'unidentified'), '{}') as unidentified from ("
        "select page_number, position, state from fetched_jobs where state <> 'unchanged' union all "
        "select p.page_number, r.position::int, 'unidentified' from raw.job_pages p "
        "cross join lateral unnest(p.record_ids) with ordinality as r (id, position) "
        "where p.fetch_id = %s and r.id is null) records group by page_number order by page_number",
        (fetch_id,),
    ).fetchall()
    return {row["page_number"]: Places(row["new"], row["changed"], row["unidentified"]) for row in rows}


def prepare_incoming(conn: Connection) -> None:
    """Create the empty temporary tables that changed jobs are staged in."""
    conn.execute("drop table if exists incoming_untold")
    for table in ("jobs", "job_stages", "job_screening_questions", "job_postings", "job_hiring_team"):
        conn.execute(sql.SQL("drop table if exists {}").format(sql.Identifier(f"incoming_{table}")))
        conn.execute(
            sql.SQL(
                "create temporary table {} (like core.{} including generated including defaults) on commit drop"
            ).format(sql.Identifier(f"incoming_{table}"), sql.Identifier(table))
        )
    conn.execute("create temporary table incoming_untold (kombo_job_id text, field text) on commit drop")
    unreadable_fields.prepare(conn)


def copy_rows(conn: Connection, table: str, columns: Sequence[str], rows: Iterable[str], *, incoming: bool) -> None:
    """COPY rows (ingest/rows.py) into a core table, or into the temporary table that stages its changes."""
    target = sql.Identifier(f"incoming_{table}") if incoming else sql.Identifier("core", table)
    statement = sql.SQL("copy {} ({}) from stdin with (delimiter {}, null {})").format(
        target, sql.SQL(", ").join(map(sql.Identifier, columns)), DELIMITER, NULL
    )
    data = "".join(rows)
    if data:
        with conn.cursor().copy(statement) as copy:
            copy.write(data.encode())


def note_untold_lists(conn: Connection, untold: Sequence[tuple[str, str]]) -> None:
    """Note (job, nested list) pairs that a staged record does not tell of: what is stored stays."""
    if untold:
        conn.cursor().executemany("insert into incoming_untold values (%s, %s)", untold)


def record_creations(conn: Connection, *, integration_id: str, fetch_id: int) -> None:
    """Write the first history row of each job that the fetch brought."""
    conn.execute(
        "insert into core.job_changes (integration_id, kombo_job_id, field, new_value, fetch_id) "
        "select j.integration_id, j.kombo_job_id, 'lifecycle', to_jsonb(j.lifecycle), %(fetch)s "
        "from fetched_jobs f join core.jobs j on j.integration_id = %(integration)s "
        "and j.kombo_job_id = f.kombo_job_id where f.state = 'new'",
        {"integration": integration_id, "fetch": fetch_id},
    )


def merge_changed_jobs(conn: Connection, *, fetch_id: int, columns: Sequence[str]) -> None:
    """Write a history row for each field in which a staged job differs from core.jobs, then update core.jobs."""
    conn.execute("analyze incoming_jobs (integration_id, kombo_job_id)")
    conn.execute(
        "insert into core.job_changes (integration_id, kombo_job_id, field, old_value, new_value, fetch_id) "
        "select r.integration_id, r.kombo_job_id, a.key, nullif(r.old -> a.key, 'null'), nullif(a.value, 'null'), %s "
        # Without the offset, Postgres would make the old row's JSON anew for each column.
        "from (select n.integration_id, n.kombo_job_id, to_jsonb(n) - %s::text[] as new, to_jsonb(o) as old "
        "from incoming_jobs n join core.jobs o using (integration_id, kombo_job_id) offset 0) r "
        "cross join lateral jsonb_each(r.new) a where a.value is distinct from r.old -> a.key",
        (fetch_id, _NOT_COMPARED),
    )
    written = [sql.Identifier(name) for name in (*columns, "vanished_at", "integration_gone_at")]
    conn.execute(
        sql.SQL(
            "update core.jobs o set ({columns}) = (select {values}) from incoming_jobs n "
            "where o.integration_id = n.integration_id and o.kombo_job_id = n.kombo_job_id"
        ).format(
            columns=sql.SQL(", ").join(written),
            values=sql.SQL(", ").join(sql.SQL("n.{}").format(name) for name in written),
        )
    )


def merge_changed_children(
    conn: Connection, *, field: str, table: str, columns: Sequence[str], integration_id: str, fetch_id: int
) -> None:
    """Replace one nested list of each staged job in which it differs, with a history row a list.

    Lists are compared as sets: neither Kombo nor the ATSs promise an order, entries carry their own index.
    """
    told = [sql.SQL("c.{}").format(sql.Identifier(name)) for name in columns if name not in _NOT_COMPARED_IN_LISTS]
    names = {
        "table": sql.Identifier("core", table),
        "incoming": sql.Identifier(f"incoming_{table}"),
        "columns": sql.SQL(", ").join(map(sql.Identifier, columns)),
        # Composite values are compared in a fraction of the time that their JSON takes to be made.
        "composed": sql.SQL("array_agg(({}) order by c.id)").format(sql.SQL(", ").join(told)),
        "json": sql.SQL("coalesce(jsonb_agg(to_jsonb(c) - {}::text[] order by c.id), '[]')").format(
            _NOT_COMPARED_IN_LISTS
        ),
    }
    parameters = {"integration": integration_id, "fetch": fetch_id, "field": field}
    conn.execute("drop table if exists differing")
    conn.execute(
        sql.SQL(
            "create temporary table differing on commit drop as select n.kombo_job_id from incoming_jobs n "
            "cross join lateral (select {composed} as entries from {table} c "
            "where c.integration_id = n.integration_id and c.kombo_job_id = n.kombo_job_id) old "
            "left join (select c.kombo_job_id, {composed} as entries "
            "from {incoming} c group by c.kombo_job_id) new on new.kombo_job_id = n.kombo_job_id "
            "where old.entries is distinct from new.entries and not exists ("
            "select from incoming_untold u where u.kombo_job_id = n.kombo_job_id and u.field = %(field)s)"
        ).format(**names),
        parameters,
    )
    conn.execute(
        sql.SQL(
            "insert into core.job_changes (integration_id, kombo_job_id, field, old_value, new_value, fetch_id) "
            "select %(integration)s, d.kombo_job_id, %(field)s, old.entries, coalesce(new.entries, '[]'), %(fetch)s "
            "from differing d cross join lateral (select {json} as entries from {table} c "
            "where c.integration_id = %(integration)s and c.kombo_job_id = d.kombo_job_id) old "
            "left join (select c.kombo_job_id, {json} as entries from {incoming} c "
            "join differing using (kombo_job_id) group by c.kombo_job_id) new on new.kombo_job_id = d.kombo_job_id"
        ).format(**names),
        parameters,
    )
    conn.execute(
        sql.SQL(
            "delete from {table} c using differing d "
            "where c.integration_id = %(integration)s and c.kombo_job_id = d.kombo_job_id"
        ).format(**names),
        parameters,
    )
    conn.execute(
        sql.SQL(
            "insert into {table} ({columns}) select {columns} from {incoming} join differing using (kombo_job_id)"
        ).format(**names)
    )


def absent_jobs(conn: Connection, *, integration_id: str) -> dict[str, bool]:
    """Return the live jobs that the full fetch being applied did not show, and whether each is open."""
    rows = conn.execute(
        "select j.kombo_job_id, j.lifecycle = 'open' as is_open from core.jobs j where j.integration_id = %s "
        "and j.remote_deleted_at is null and j.vanished_at is null and j.integration_gone_at is null "
        "and not exists (select from fetched_jobs f where f.kombo_job_id = j.kombo_job_id) order by 1",
        (integration_id,),
    ).fetchall()
    return {row["kombo_job_id"]: row["is_open"] for row in rows}


def staged_deletions(conn: Connection, *, integration_id: str, emptied: Mapping[str, datetime]) -> dict[str, datetime]:
    """Return the open jobs that staged records or `emptied` tombstones call deleted, with Kombo's time of it."""
    rows = conn.execute(
        "select o.kombo_job_id, n.remote_deleted_at from core.jobs o join ("
        "select kombo_job_id, remote_deleted_at from incoming_jobs where remote_deleted_at is not null union all "
        "select * from unnest(%s::text[], %s::timestamptz[])) n (kombo_job_id, remote_deleted_at) "
        "using (kombo_job_id) where o.integration_id = %s and o.lifecycle = 'open'",
        (list(emptied), list(emptied.values()), integration_id),
    ).fetchall()
    return {row["kombo_job_id"]: row["remote_deleted_at"] for row in rows}


def staged_status_losses(conn: Connection) -> dict[str, datetime]:
    """Return the open jobs whose staged record has no status any more, with the time of this transaction.

    A status that is there but cannot be believed is no loss: such a job must not stay open.
    """
    rows = conn.execute(
        "select kombo_job_id, now() as lost_at from incoming_jobs n "
        "join core.jobs o using (integration_id, kombo_job_id) "
        "where n.status is null and n.remote_deleted_at is null and o.lifecycle = 'open' "
        "and not coalesce(n.unreadable_fields ? 'status', false)"
    ).fetchall()
    return {row["kombo_job_id"]: row["lost_at"] for row in rows}


def clear_status(conn: Connection, *, integration_id: str, kombo_job_ids: Sequence[str], fetch_id: int | None) -> None:
    """Take the status from jobs, as their record in Kombo has none."""
    conn.execute(
        "with before as (select kombo_job_id, status, lifecycle from core.jobs where integration_id = %(integration)s "
        "and kombo_job_id = any(%(ids)s) and status is not null for update), "
        "after as (update core.jobs j set status = null, record_hash = null from before b "
        "where j.integration_id = %(integration)s and j.kombo_job_id = b.kombo_job_id "
        "returning j.kombo_job_id, j.lifecycle) "
        "insert into core.job_changes (integration_id, kombo_job_id, field, old_value, new_value, fetch_id) "
        "select %(integration)s, kombo_job_id, c.field, c.old_value, c.new_value, %(fetch)s "
        "from before b join after a using (kombo_job_id) cross join lateral (values "
        "('status', to_jsonb(b.status), null), ('lifecycle', to_jsonb(b.lifecycle), to_jsonb(a.lifecycle))"
        ") as c (field, old_value, new_value) where c.old_value is distinct from c.new_value",
        {"integration": integration_id, "ids": list(kombo_job_ids), "fetch": fetch_id},
    )
    _match_again(conn, integration_id, kombo_job_ids)


def unstage(conn: Connection, kombo_job_ids: Sequence[str]) -> None:
    """Take jobs out of the staged changes."""
    conn.execute("delete from incoming_jobs where kombo_job_id = any(%s)", (list(kombo_job_ids),))


def open_job_count(conn: Connection, integration_id: str) -> int:
    """Return how many jobs of the integration are open."""
    return number(
        conn,
        "select count(*) as n from core.jobs where integration_id = %s and lifecycle = 'open'",
        (integration_id,),
    )


def job_count(conn: Connection, integration_id: str) -> int:
    """Return how many jobs of the integration are known, gone ones included."""
    return number(conn, "select count(*) as n from core.jobs where integration_id = %s", (integration_id,))


def mark_gone(
    conn: Connection,
    *,
    integration_id: str,
    column: str,
    gone_at: Mapping[str, datetime],
    fetch_id: int | None,
) -> None:
    """Set `column` (remote_deleted_at, vanished_at or integration_gone_at) of the jobs that do not have it.

    Everything else of the row stays as it was last known. The hash is cleared so that a job that comes
    back is applied even when its record is the one it had before.
    """
    if not gone_at:
        return
    conn.execute(
        sql.SQL(
            "with gone as (select * from unnest(%(ids)s::text[], %(at)s::timestamptz[]) as g (kombo_job_id, at)), "
            "before as (select j.kombo_job_id, j.lifecycle, g.at from core.jobs j join gone g using (kombo_job_id) "
            "where j.integration_id = %(integration)s and j.{column} is null for update of j), "
            "after as (update core.jobs j set {column} = b.at, "
            "record_hash = null, last_fetch_id = greatest(j.last_fetch_id, coalesce(%(fetch)s, 0)) from before b "
            "where j.integration_id = %(integration)s and j.kombo_job_id = b.kombo_job_id "
            "returning j.kombo_job_id, j.lifecycle) "
            "insert into core.job_changes (integration_id, kombo_job_id, field, old_value, new_value, fetch_id) "
            "select %(integration)s, kombo_job_id, c.field, c.old_value, c.new_value, %(fetch)s "
            "from before b join after a using (kombo_job_id) cross join lateral (values "
            "({name}, null, to_jsonb(b.at)), ('lifecycle', to_jsonb(b.lifecycle), to_jsonb(a.lifecycle))"
            ") as c (field, old_value, new_value) where c.old_value is distinct from c.new_value"
        ).format(column=sql.Identifier(column), name=sql.Literal(column)),
        {
            "integration": integration_id,
            "ids": list(gone_at),
            "at": list(gone_at.values()),
            "fetch": fetch_id,
        },
    )
    _match_again(conn, integration_id, gone_at)


def _match_again(conn: Connection, integration_id: str, kombo_job_ids: Iterable[str]) -> None:
    """Have the next matching look at jobs that a person or a webhook changed; it finds those of fetches by itself."""
    conn.execute(
        "update core.matchable_jobs set job_hash = '' where integration_id = %s and kombo_job_id = any(%s)",
        (integration_id, list(kombo_job_ids)),
    )


def mark_integration_gone(conn: Connection, *, integration_id: str, gone_at: datetime) -> None:
    """Mark every live job of an integration as gone with it."""
    rows = conn.execute(
        "select kombo_job_id from core.jobs where integration_id = %s and remote_deleted_at is null "
        "and vanished_at is null and integration_gone_at is null",
        (integration_id,),
    ).fetchall()
    mark_gone(
        conn,
        integration_id=integration_id,
        column="integration_gone_at",
        gone_at=dict.fromkeys([row["kombo_job_id"] for row in rows], gone_at),
        fetch_id=None,
    )


def closed_by(conn: Connection, fetch_id: int) -> int:
    """Return how many jobs that were open are not any more since the fetch."""
    return number(
        conn,
        "select count(*) as n from core.job_changes "
        "where fetch_id = %s and field = 'lifecycle' and old_value = '\"open\"'",
        (fetch_id,),
    )


def changed_by(conn: Connection, fetch_id: int) -> int:
    """Return how many known jobs differ since the fetch in at least one field."""
    return number(
        conn,
        "select count(distinct kombo_job_id) as n from core.job_changes where fetch_id = %s and event <> 'created'",
        (fetch_id,),
    )


def changed_before(conn: Connection, fetch_id: int, watermark: datetime | None) -> int:
    """Return how many of the jobs that the fetch created or changed had changed before `watermark`.

    Earlier incremental fetches should have brought those. Nested changes do not move changed_at and are
    left out.
    """
    return number(
        conn,
        "select count(distinct c.kombo_job_id) as n from core.job_changes c "
        "join core.jobs j using (integration_id, kombo_job_id) where c.fetch_id = %s and j.changed_at < %s "
        "and c.field not in ('stages', 'screening_questions', 'job_postings', 'hiring_team')",
        (fetch_id, watermark),
    )


def changes_of(conn: Connection, fetch_id: int, limit: int) -> list[dict[str, Any]]:
    """Return some changes that the fetch brought, closures and deletions first."""
    return conn.execute(
        "select c.kombo_job_id, j.name, c.event, c.field, left(c.old_value::text, 80) as old_value, "
        "left(c.new_value::text, 80) as new_value from core.job_changes c "
        "join core.jobs j using (integration_id, kombo_job_id) where c.fetch_id = %s "
        "order by c.event in ('created', 'changed'), c.event = 'created', c.change_id limit %s",
        (fetch_id, limit),
    ).fetchall()
