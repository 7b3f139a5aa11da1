"""What the back office shows of holds: closures and withdrawals that wait for a person, and the jobs in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from psycopg.rows import class_row

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.vocabulary import HoldDecision, HoldReason, Lifecycle


@dataclass(frozen=True, kw_only=True, slots=True)
class Hold:
    """A closure of many ATS jobs that waits for a person, or that was decided."""

    hold_id: int
    integration_id: str
    customer_id: str | None
    organization_name: str | None
    tool: str | None
    fetch_id: int
    """The fetch that would have closed the jobs."""
    kombo_job_ids: Sequence[str]
    reason: HoldReason
    open_jobs: int
    """How many jobs of the integration were open when the closure was held."""
    held_at: datetime
    decision: HoldDecision | None
    decided_at: datetime | None
    decided_by: str | None
    jobs: int
    """How many jobs would close."""
    linked: int
    """How many active links a release would suspend."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldJob:
    """An ATS job of a held closure, and the own jobs that are linked to it."""

    kombo_job_id: str
    gone_at: datetime | None
    name: str | None
    job_code: str | None
    place: str | None
    lifecycle: Lifecycle | None
    own_titles: Sequence[str]
    link_ids: Sequence[int]


def holds(conn: Connection, *, hold_id: int | None = None, decided_limit: int = 20) -> list[Hold]:
    """Return one held closure, or all that wait and after them the `decided_limit` that were decided last."""
    with conn.cursor(row_factory=class_row(Hold)) as cursor:
        return cursor.execute(
            """
            select
                h.hold_id, h.integration_id, i.customer_id, i.organization_name, i.tool,
                h.fetch_id, h.kombo_job_ids, h.reason, h.open_jobs, h.held_at,
                h.decision, h.decided_at, h.decided_by,
                cardinality(h.kombo_job_ids) as jobs,
                (
                    select count(*)
                    from core.job_links l
                    where l.integration_id = h.integration_id
                        and l.state = 'active'
                        and l.kombo_job_id = any(h.kombo_job_ids)
                ) as linked
            from core.held_closures h
            join core.integrations i using (integration_id)
            where h.hold_id = %(hold)s
                or %(hold)s::bigint is null
                and (
                    h.decision is null
                    or h.hold_id in (
                        select hold_id
                        from core.held_closures
                        where decision is not null
                        order by decided_at desc
                        limit %(limit)s
                    )
                )
            order by h.decision is not null, h.decided_at desc, h.hold_id
            """,
            {"hold": hold_id, "limit": decided_limit},
        ).fetchall()


def held_jobs(conn: Connection, hold_id: int, limit: int | None = None) -> list[HeldJob]:
    """Return the jobs of a held closure, those first to which the most own jobs are linked."""
    with conn.cursor(row_factory=class_row(HeldJob)) as cursor:
        return cursor.execute(
            """
            select
                held.kombo_job_id, held.gone_at,
                j.name, j.job_code, core.place(j) as place, j.lifecycle,
                array_remove(array_agg(o.title order by o.own_job_id), null) as own_titles,
                array_remove(array_agg(l.link_id order by o.own_job_id), null) as link_ids
            from core.held_closures h
            cross join lateral unnest(h.kombo_job_ids, h.gone_at) held (kombo_job_id, gone_at)
            left join core.jobs j on j.integration_id = h.integration_id and j.kombo_job_id = held.kombo_job_id
            left join core.job_links l
                on l.integration_id = h.integration_id
                and l.kombo_job_id = held.kombo_job_id
                and l.state = 'active'
            left join core.own_jobs o on o.customer_id = l.customer_id and o.own_job_id = l.own_job_id
            where h.hold_id = %s
            group by held.kombo_job_id, held.gone_at, j.name, j.job_code, j.lifecycle, core.place(j)
            order by count(l.link_id) desc, j.name, held.kombo_job_id
            limit %s
            """,
            (hold_id, limit),
        ).fetchall()


class HeldOwnJob(NamedTuple):
    """An own job of a held withdrawal, and the links that a release would suspend."""

    own_job_id: str
    title: str | None
    location: str | None
    stays: str
    """Why a release leaves it as it is; empty where it withdraws it."""
    ats_titles: list[str]
    link_ids: list[int]


def held_own_jobs(conn: Connection, hold_id: int, limit: int) -> list[HeldOwnJob]:
    """Return the own jobs of a held withdrawal and the ATS jobs linked to each, linked ones first."""
    with conn.cursor(row_factory=class_row(HeldOwnJob)) as cursor:
        return cursor.execute(
            """
            select
                held.own_job_id,
                o.title,
                o.location,
                case
                    when h.decision is not null then ''
                    when o.own_job_id is null then 'not there any more'
                    when o.withdrawn_at is not null then 'withdrawn already'
                    when o.list <> h.list then 'in list ' || o.list || ' now'
                    else ''
                end as stays,
                coalesce(l.ats_titles, '{}') as ats_titles,
                coalesce(l.link_ids, '{}') as link_ids
            from core.held_withdrawals h
            cross join lateral unnest(h.own_job_ids) held (own_job_id)
            left join core.own_jobs o on o.customer_id = h.customer_id and o.own_job_id = held.own_job_id
            left join lateral (
                select
                    array_agg(coalesce(j.name, j.kombo_job_id) order by l.link_id) as ats_titles,
                    array_agg(l.link_id order by l.link_id) as link_ids
                from core.job_links l
                join core.jobs j on j.integration_id = l.integration_id and j.kombo_job_id = l.kombo_job_id
                where l.customer_id = h.customer_id and l.own_job_id = held.own_job_id and l.state = 'active'
            ) l on true
            where h.hold_id = %s
            order by coalesce(cardinality(l.link_ids), 0) desc, o.title, held.own_job_id
            limit %s
            """,
            (hold_id, limit),
        ).fetchall()
