"""Statements on core.jobs and core.job_changes: how jobs end, how many there are, what a fetch changed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from psycopg import sql
from psycopg.rows import class_row

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.db.queries import number

GoneColumn = Literal["remote_deleted_at", "vanished_at", "integration_gone_at"]
"""The columns of core.jobs that say since when a job is gone, and why."""


def clear_status(conn: Connection, *, integration_id: str, kombo_job_ids: Sequence[str], fetch_id: int | None) -> None:
    """Clear the status of jobs whose record in Kombo has none, with their history."""
    conn.execute(
        """
        with before as (
            select kombo_job_id, status, lifecycle
            from core.jobs
            where integration_id = %(integration)s
                and kombo_job_id = any(%(ids)s)
                and status is not null
            for update
        ),
        after as (
            update core.jobs j
            set status = null, record_hash = null
            from before b
            where j.integration_id = %(integration)s and j.kombo_job_id = b.kombo_job_id
            returning j.kombo_job_id, j.lifecycle
        )
        insert into core.job_changes (integration_id, kombo_job_id, field, old_value, new_value, fetch_id)
        select %(integration)s, kombo_job_id, c.field, c.old_value, c.new_value, %(fetch)s
        from before b
        join after a using (kombo_job_id)
        cross join lateral (
            values
                ('status', to_jsonb(b.status), null),
                ('lifecycle', to_jsonb(b.lifecycle), to_jsonb(a.lifecycle))
        ) as c (field, old_value, new_value)
        where c.old_value is distinct from c.new_value
        """,
        {"integration": integration_id, "ids": list(kombo_job_ids), "fetch": fetch_id},
    )
    _match_again(conn, integration_id, kombo_job_ids)


def open_job_count(conn: Connection, integration_id: str) -> int:
    """Return how many jobs of the integration are open."""
    return number(
        conn,
        """
        select count(*) as n
        from core.jobs
        where integration_id = %s and lifecycle = 'open'
        """,
        (integration_id,),
    )


def job_count(conn: Connection, integration_id: str) -> int:
    """Return how many jobs of the integration are known, gone ones included."""
    return number(conn, "select count(*) as n from core.jobs where integration_id = %s", (integration_id,))


def mark_gone(
    conn: Connection,
    *,
    integration_id: str,
    column: GoneColumn,
    gone_at: Mapping[str, datetime],
    fetch_id: int | None,
) -> None:
    """Set `column` of the jobs in `gone_at` that do not have it yet, with their history.

    Everything else of the row stays as it was last known. The hash is cleared so that a job that comes
    back is applied even when its record is the one it had before.
    """
    if not gone_at:
        return
    conn.execute(
        sql.SQL(
            """
            with gone as (
                select kombo_job_id, at
                from unnest(%(ids)s::text[], %(at)s::timestamptz[]) as g (kombo_job_id, at)
            ),
            before as (
                select j.kombo_job_id, j.lifecycle, g.at
                from core.jobs j
                join gone g using (kombo_job_id)
                where j.integration_id = %(integration)s and j.{column} is null
                for update of j
            ),
            after as (
                update core.jobs j
                set {column} = b.at,
                    record_hash = null,
                    last_fetch_id = greatest(j.last_fetch_id, coalesce(%(fetch)s, 0))
                from before b
                where j.integration_id = %(integration)s and j.kombo_job_id = b.kombo_job_id
                returning j.kombo_job_id, j.lifecycle
            )
            insert into core.job_changes (integration_id, kombo_job_id, field, old_value, new_value, fetch_id)
            select %(integration)s, kombo_job_id, c.field, c.old_value, c.new_value, %(fetch)s
            from before b
            join after a using (kombo_job_id)
            cross join lateral (
                values
                    ({name}, null, to_jsonb(b.at)),
                    ('lifecycle', to_jsonb(b.lifecycle), to_jsonb(a.lifecycle))
            ) as c (field, old_value, new_value)
            where c.old_value is distinct from c.new_value
            """
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
    """Make the next matching read jobs that a person or a webhook changed; those of fetches it finds without help."""
    conn.execute(
        """
        update core.matchable_jobs
        set job_hash = ''
        where integration_id = %s and kombo_job_id = any(%s)
        """,
        (integration_id, list(kombo_job_ids)),
    )


def mark_integration_gone(conn: Connection, *, integration_id: str, gone_at: datetime) -> None:
    """Mark every live job of an integration as gone with it."""
    rows = conn.execute(
        """
        select kombo_job_id
        from core.jobs
        where integration_id = %s
            and remote_deleted_at is null
            and vanished_at is null
            and integration_gone_at is null
        """,
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
    """Return how many jobs were open before the fetch and are not since."""
    return number(
        conn,
        """
        select count(*) as n
        from core.job_changes
        where fetch_id = %s and field = 'lifecycle' and old_value = '"open"'
        """,
        (fetch_id,),
    )


def changed_by(conn: Connection, fetch_id: int) -> int:
    """Return in how many known jobs the fetch changed at least one field."""
    return number(
        conn,
        """
        select count(distinct kombo_job_id) as n
        from core.job_changes
        where fetch_id = %s and event <> 'created'
        """,
        (fetch_id,),
    )


def changed_before(conn: Connection, fetch_id: int, watermark: datetime | None) -> int:
    """Return how many of the jobs that the fetch created or changed had changed before `watermark` (UTC).

    Earlier incremental fetches should have brought those. Changes of nested lists do not move changed_at, so they are
    not counted.
    """
    return number(
        conn,
        """
        select count(distinct c.kombo_job_id) as n
        from core.job_changes c
        join core.jobs j using (integration_id, kombo_job_id)
        where c.fetch_id = %s
            and j.changed_at < %s
            and c.field not in ('stages', 'screening_questions', 'job_postings', 'hiring_team')
        """,
        (fetch_id, watermark),
    )


@dataclass(frozen=True)
class JobChange:
    """A change of a job as Dagster shows it, values cut to 80 characters."""

    kombo_job_id: str
    name: str | None
    event: str
    field: str
    old_value: str | None
    new_value: str | None


def changes_of(conn: Connection, fetch_id: int, limit: int) -> list[JobChange]:
    """Return some changes that the fetch brought, closures and deletions first."""
    with conn.cursor(row_factory=class_row(JobChange)) as cursor:
        return cursor.execute(
            """
            select
                c.kombo_job_id, j.name, c.event, c.field,
                left(c.old_value::text, 80) as old_value,
                left(c.new_value::text, 80) as new_value
            from core.job_changes c
            join core.jobs j using (integration_id, kombo_job_id)
            where c.fetch_id = %s
            order by c.event in ('created', 'changed'), c.event = 'created', c.change_id
            limit %s
            """,
            (fetch_id, limit),
        ).fetchall()
