"""Statements on core.own_jobs."""

from collections.abc import Iterable, Sequence
from typing import Any

from psycopg import sql

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.db.queries import like_literal


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


def is_customer(conn: Connection, customer_id: str) -> bool:
    """Whether there is an integration or an own job of the customer."""
    row = conn.execute(
        "select exists (select from core.integrations where customer_id = %(id)s) "
        "or exists (select from core.own_jobs where customer_id = %(id)s) as known",
        {"id": customer_id},
    ).fetchone()
    return row is not None and bool(row["known"])


def exists(conn: Connection, *, customer_id: str, own_job_id: str) -> bool:
    """Return whether there is such an own job, withdrawn or not."""
    return bool(
        conn.execute(
            "select from core.own_jobs where customer_id = %s and own_job_id = %s", (customer_id, own_job_id)
        ).rowcount
    )


def set_withdrawn(conn: Connection, *, customer_id: str, own_job_id: str, withdrawn: bool) -> bool:
    """Withdraw an own job, or bring it back; return whether there is such a job. What it is already it stays."""
    return bool(
        conn.execute(
            "update core.own_jobs set withdrawn_at = case when %s then coalesce(withdrawn_at, now()) end "
            "where customer_id = %s and own_job_id = %s",
            (withdrawn, customer_id, own_job_id),
        ).rowcount
    )


def page(
    conn: Connection,
    *,
    customer_id: str | None,
    words: Sequence[str],
    source: str | None,
    state: str | None,
    offset: int,
    limit: int,
) -> tuple[list[dict[str, Any]], int]:
    """Return a page of own jobs with their newest live link, the newest first, and how many match.

    `words` are part of title, id, code or place. `state` is active, suspended, none (no live link) or withdrawn;
    without one, withdrawn jobs are left out. None matches everything.
    """
    link = (
        "(select l.state from core.job_links l where l.customer_id = o.customer_id and l.own_job_id = o.own_job_id "
        "and l.state <> 'retired' order by l.state, l.link_id desc limit 1)"
    )
    conditions = ["o.withdrawn_at is not null" if state == "withdrawn" else "o.withdrawn_at is null"]
    if customer_id is not None:
        conditions.append("o.customer_id = %(customer)s")
    if source is not None:
        conditions.append("o.source = %(source)s")
    if state in ("active", "suspended"):
        conditions.append(f"{link} = %(state)s")
    elif state == "none":
        conditions.append(f"{link} is null")
    if words:
        conditions.append(
            "lower(concat_ws(' ', o.title, o.own_job_id, o.job_code, o.location) collate \"default\") "
            "like all (%(patterns)s)"
        )
    values = {
        "customer": customer_id,
        "source": source,
        "state": state,
        "patterns": [f"%{like_literal(word.lower())}%" for word in words],
        "offset": offset,
        "limit": limit,
    }
    # Conditions are constants of this function.
    matching = f"from core.own_jobs o where {' and '.join(conditions)}"
    rows = conn.execute(
        "select p.*, l.state as link_state, l.reason as link_reason, l.state_since, l.integration_id, "  # noqa: S608
        "l.kombo_job_id, l.method, l.confirmed_by, j.name as ats_title, "
        "core.no_target_because(l.customer_id, l.own_job_id, l.integration_id, l.kombo_job_id) as no_target_because "
        f"from (select o.* {matching} order by o.created_at desc, o.customer_id, o.own_job_id "
        "offset %(offset)s limit %(limit)s) p left join lateral (select * from core.job_links l "
        "where l.customer_id = p.customer_id and l.own_job_id = p.own_job_id and l.state <> 'retired' "
        "order by l.state, l.link_id desc limit 1) l on true left join core.jobs j "
        "on j.integration_id = l.integration_id and j.kombo_job_id = l.kombo_job_id "
        "order by p.created_at desc, p.customer_id, p.own_job_id",
        values,
    ).fetchall()
    counted = conn.execute(f"select count(*) as jobs {matching}", values).fetchone()
    assert counted is not None
    return rows, counted["jobs"]
