"""Statements on core.own_jobs."""

from collections.abc import Iterable, Sequence
from typing import Any

from psycopg import sql

from kombo_pipeline.warehouse.connection import Connection


def counts(conn: Connection) -> list[dict[str, Any]]:
    """Return how many own jobs each customer has from each source, living and withdrawn, the largest first."""
    return conn.execute(
        "select customer_id, source, count(*) filter (where withdrawn_at is null) as own_jobs, "
        "count(*) filter (where withdrawn_at is not null) as withdrawn, max(imported_at) as newest_import "
        "from core.own_jobs group by customer_id, source order by own_jobs desc, customer_id, source"
    ).fetchall()


def stage(conn: Connection, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Put jobs into the temporary table `incoming_own_jobs`, which ends with the transaction."""
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    conn.execute("drop table if exists incoming_own_jobs")
    conn.execute(
        sql.SQL(
            "create temporary table incoming_own_jobs on commit drop as select {} from core.own_jobs with no data"
        ).format(names)
    )
    with conn.cursor().copy(sql.SQL("copy incoming_own_jobs ({}) from stdin").format(names)) as copy:
        for row in rows:
            copy.write_row(row)
    conn.execute("analyze incoming_own_jobs")


def upsert_staged(conn: Connection, *, customer_id: str, source: str, columns: Sequence[str]) -> tuple[int, int]:
    """Insert or update the staged jobs of a customer, which are alive from then on; return new and changed ones.

    A staged null leaves what is stored, a staged empty text clears it. An unchanged job is not written.
    """
    values = [name for name in columns if name not in ("own_job_id", "posted_at")]
    written = [sql.Identifier(name) for name in (*values, "posted_at", "source")]
    rows = conn.execute(
        sql.SQL(
            "insert into core.own_jobs as o (customer_id, own_job_id, {columns}) "
            "select %(customer)s, i.own_job_id, {values}, coalesce(i.posted_at, o.posted_at), %(source)s "
            "from incoming_own_jobs i left join core.own_jobs o "
            "on o.customer_id = %(customer)s and o.own_job_id = i.own_job_id order by i.own_job_id "
            "on conflict (customer_id, own_job_id) do update set "
            "({columns}, imported_at, withdrawn_at) = ({excluded}, now(), null) "
            "where o.withdrawn_at is not null or ({stored}) is distinct from ({excluded}) "
            "returning o.xmax = 0 as new"
        ).format(
            columns=sql.SQL(", ").join(written),
            values=sql.SQL(", ").join(
                sql.SQL("nullif(coalesce(i.{0}, o.{0}), '')").format(sql.Identifier(name)) for name in values
            ),
            stored=sql.SQL(", ").join(sql.SQL("o.{}").format(name) for name in written),
            excluded=sql.SQL(", ").join(sql.SQL("excluded.{}").format(name) for name in written),
        ),
        {"customer": customer_id, "source": source},
    ).fetchall()
    new = sum(row["new"] for row in rows)
    return new, len(rows) - new


def withdraw_unstaged(conn: Connection, *, customer_id: str, source: str, spared: Sequence[str]) -> int:
    """Withdraw the customer's jobs of a source that are neither staged nor spared; return how many."""
    return conn.execute(
        "update core.own_jobs o set withdrawn_at = now() "
        "where customer_id = %s and source = %s and withdrawn_at is null and own_job_id <> all(%s) "
        "and not exists (select from incoming_own_jobs i where i.own_job_id = o.own_job_id)",
        (customer_id, source, list(spared)),
    ).rowcount
