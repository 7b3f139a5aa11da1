"""Statements on core.own_jobs."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from psycopg import sql
from psycopg.rows import class_row

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.db.queries import number
from kombo_pipeline.vocabulary import Source

EXAMPLES: Final = 5
"""Jobs that a result names of each kind."""


class NamedJob(NamedTuple):
    """An own job as results and pages name it."""

    own_job_id: str
    title: str | None
    changed: Sequence[str] = ()
    """The columns that were changed; empty for a new job and for one that is withdrawn."""


class Written(NamedTuple):
    """What writing a list did: how many jobs were new and changed, and the first of each."""

    new: int
    changed: int
    new_jobs: list[NamedJob]
    changed_jobs: list[NamedJob]


class ListCount(NamedTuple):
    """How many own jobs a list of a customer has."""

    customer_id: str
    list: str
    source: Source
    own_jobs: int
    withdrawn: int
    held: int
    """Own jobs whose withdrawal waits for a person."""
    newest_import: datetime


def counts(conn: Connection) -> list[ListCount]:
    """Return how many own jobs each list of a customer has, living, withdrawn and held, the largest first."""
    with conn.cursor(row_factory=class_row(ListCount)) as cursor:
        return cursor.execute(
            """
        select
            o.customer_id,
            o.list,
            o.source,
            count(*) filter (where o.withdrawn_at is null) as own_jobs,
            count(*) filter (where o.withdrawn_at is not null) as withdrawn,
            count(*) filter (where o.withdrawn_at is null and o.own_job_id = any(h.own_job_ids)) as held,
            max(o.imported_at) as newest_import
        from core.own_jobs o
        left join core.held_withdrawals h
            on h.customer_id = o.customer_id and h.list = o.list and h.decision is null
        group by o.customer_id, o.list, o.source
        order by own_jobs desc, o.customer_id, o.list, o.source
        """
        ).fetchall()


def lock_customer(conn: Connection, customer_id: str) -> None:
    """Wait until no other import of the customer's own jobs is under way, and keep others waiting until the commit."""
    conn.execute("select pg_advisory_xact_lock(hashtextextended('own jobs of ' || %s, 0))", (customer_id,))


def stage(conn: Connection, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Put jobs into the temporary table `incoming_own_jobs`, which ends with the transaction."""
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    conn.execute("drop table if exists incoming_own_jobs")
    conn.execute(
        sql.SQL(
            """
            create temporary table incoming_own_jobs
            on commit drop
            as select {} from core.own_jobs with no data
            """
        ).format(names)
    )
    with conn.cursor().copy(sql.SQL("copy incoming_own_jobs ({}) from stdin").format(names)) as copy:
        for row in rows:
            copy.write_row(row)
    conn.execute("analyze incoming_own_jobs")


def upsert_staged(
    conn: Connection, *, customer_id: str, source: str, list_name: str, columns: Sequence[str]
) -> Written:
    """Insert or update the staged jobs of a customer, which are alive from then on and belong to the list.

    A staged null leaves what is stored, a staged empty text clears it. An unchanged job is not written.
    """
    values = [name for name in columns if name not in ("own_job_id", "posted_at")]
    written = (*values, "posted_at", "source", "list")
    row = conn.execute(
        _UPSERT.format(
            columns=_listed("{0}", written),
            values=_listed("nullif(coalesce(i.{0}, b.{0}), '')", values),
            stored=_listed("o.{0}", written),
            excluded=_listed("excluded.{0}", written),
            differences=_listed("case when w.{0} is distinct from b.{0} then {1} end", written),
            examples=sql.Literal(EXAMPLES),
        ),
        {"customer": customer_id, "source": source, "list": list_name},
    ).fetchone()
    assert row is not None
    return Written(
        row["new"],
        row["changed"],
        [NamedJob(*job) for job in row["new_jobs"] or ()],
        [NamedJob(*job) for job in row["changed_jobs"] or ()],
    )


# `before` is what stood there when the statement began, whatever `written` does.
_UPSERT: Final = sql.SQL(
    """
    with before as materialized (
        select o.own_job_id, o.withdrawn_at, {stored}
        from core.own_jobs o
        join incoming_own_jobs i using (own_job_id)
        where o.customer_id = %(customer)s
    ),
    written as (
        insert into core.own_jobs as o (customer_id, own_job_id, {columns})
        select %(customer)s, i.own_job_id, {values}, coalesce(i.posted_at, b.posted_at), %(source)s, %(list)s
        from incoming_own_jobs i
        left join before b using (own_job_id)
        order by i.own_job_id
        on conflict (customer_id, own_job_id) do update
        set ({columns}, imported_at, withdrawn_at) = ({excluded}, now(), null)
        where o.withdrawn_at is not null or ({stored}) is distinct from ({excluded})
        returning o.own_job_id, {stored}
    ),
    outcome as (
        select
            w.own_job_id,
            w.title,
            b.own_job_id is null as is_new,
            array_remove(
                array[case when b.withdrawn_at is not null then 'withdrawn' end, {differences}],
                null
            ) as changed
        from written w
        left join before b using (own_job_id)
    )
    select
        count(*) filter (where is_new) as new,
        count(*) filter (where not is_new) as changed,
        (
            select json_agg(json_build_array(own_job_id, title))
            from (select own_job_id, title from outcome where is_new order by own_job_id limit {examples}) first
        ) as new_jobs,
        (
            select json_agg(json_build_array(own_job_id, title, changed))
            from (
                select own_job_id, title, changed
                from outcome
                where not is_new
                order by own_job_id
                limit {examples}
            ) first
        ) as changed_jobs
    from outcome
    """
)


def _listed(form: str, names: Sequence[str]) -> sql.Composable:
    """A form for each name, with commas between: {0} in it is the name of the column, {1} the same as a text."""
    each = sql.SQL(form)
    return sql.SQL(", ").join(each.format(sql.Identifier(name), sql.Literal(name)) for name in names)


def living(conn: Connection, *, customer_id: str, list_name: str) -> int:
    """Return how many jobs of a customer's list are not withdrawn."""
    return number(
        conn,
        """
        select count(*) as n
        from core.own_jobs
        where customer_id = %s and list = %s and withdrawn_at is null
        """,
        (customer_id, list_name),
    )


def absent(conn: Connection, *, customer_id: str, list_name: str, spared: Sequence[str]) -> list[NamedJob]:
    """Return the living jobs of a customer's list that are neither staged nor spared."""
    with conn.cursor(row_factory=class_row(NamedJob)) as cursor:
        return cursor.execute(
            """
            select o.own_job_id, o.title
            from core.own_jobs o
            where o.customer_id = %s
                and o.list = %s
                and o.withdrawn_at is null
                and o.own_job_id <> all(%s)
                and not exists (select from incoming_own_jobs i where i.own_job_id = o.own_job_id)
            order by o.own_job_id
            """,
            (customer_id, list_name, list(spared)),
        ).fetchall()


def withdraw(
    conn: Connection, *, customer_id: str, own_job_ids: Sequence[str], list_name: str | None = None
) -> list[NamedJob]:
    """Withdraw and return those of the customer's jobs that are alive and belong to the list, where one is named."""
    with conn.cursor(row_factory=class_row(NamedJob)) as cursor:
        withdrawn = cursor.execute(
            """
            update core.own_jobs
            set withdrawn_at = now()
            where customer_id = %(customer)s
                and own_job_id = any(%(ids)s)
                and withdrawn_at is null
                and (%(list)s::text is null or list = %(list)s)
            returning own_job_id, title
            """,
            {"customer": customer_id, "ids": list(own_job_ids), "list": list_name},
        ).fetchall()
    return sorted(withdrawn)


def unknown(conn: Connection, *, customer_id: str, own_job_ids: Sequence[str]) -> set[str]:
    """Return which ids no own job of the customer has, withdrawn or not."""
    rows = conn.execute(
        """
        select id
        from unnest(%s::text[]) id
        where not exists (select from core.own_jobs o where o.customer_id = %s and o.own_job_id = id)
        """,
        (list(own_job_ids), customer_id),
    )
    return {row["id"] for row in rows}


def is_customer(conn: Connection, customer_id: str) -> bool:
    """Whether there is an integration or an own job of the customer."""
    row = conn.execute(
        """
        select
            exists (select from core.integrations where customer_id = %(id)s)
            or exists (select from core.own_jobs where customer_id = %(id)s) as known
        """,
        {"id": customer_id},
    ).fetchone()
    return row is not None and bool(row["known"])


def exists(conn: Connection, *, customer_id: str, own_job_id: str) -> bool:
    """Return whether there is such an own job, withdrawn or not."""
    return not unknown(conn, customer_id=customer_id, own_job_ids=[own_job_id])


def set_withdrawn(conn: Connection, *, customer_id: str, own_job_id: str, withdrawn: bool) -> bool:
    """Withdraw an own job, or bring it back; return whether there is such a job. What it is already it stays."""
    return bool(
        conn.execute(
            """
            update core.own_jobs
            set withdrawn_at = case when %s then coalesce(withdrawn_at, now()) end
            where customer_id = %s and own_job_id = %s
            """,
            (withdrawn, customer_id, own_job_id),
        ).rowcount
    )
