"""What pages show of ATS jobs: the integrations to choose from, jobs by their ids, counts, and what to filter by.

Rows of core.jobs are wide: a list finds the ids first (`job_filter`), and reads here what it shows of one page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from psycopg import sql
from psycopg.rows import class_row, kwargs_row

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.vocabulary import Actor, Channel, FetchState, Lifecycle, LinkReason, LinkState


@dataclass(frozen=True, kw_only=True, slots=True)
class Integration:
    """An integration whose jobs can be chosen: its customer is known."""

    integration_id: str
    customer_id: str
    name: str
    """The name of the customer's organization; the customer's id where Kombo does not give the name."""
    organization_name: str | None
    tool: str | None
    fetch_state: FetchState
    fetched_at: datetime | None
    kombo_last_sync_started_at: datetime | None
    matched_at: datetime | None
    deleted_at: datetime | None
    succeeded_by: str | None
    who_must_act: Actor | None
    what_to_do: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class LinkedOwnJob:
    """An own job that is linked to an ATS job."""

    own_job_id: str
    title: str | None
    state: LinkState
    reason: LinkReason | None
    customer_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """An ATS job as lists show it."""

    integration_id: str
    kombo_job_id: str
    name: str | None
    job_code: str | None
    remote_id: str | None
    place: str | None
    department: str | None
    employment_type: str | None
    lifecycle: Lifecycle
    publishable: bool
    status: str | None
    visibility: str | None
    opened_at: datetime | None
    closed_at: datetime | None
    post_url: str | None
    remote_url: str | None
    unreadable_fields: Mapping[str, str] | None
    """Why each of these fields of the newest record could not be read."""
    exposed_from: datetime | None
    """Since when the job is exposed; None while it is not."""
    exposed_by: str | None
    channel: Channel | None
    was_ever_exposed: bool
    links: Sequence[LinkedOwnJob]
    """The first three own jobs whose link is active or suspended."""


class Counts(NamedTuple):
    """How many jobs an integration has."""

    by_lifecycle: Mapping[Lifecycle, int]
    publishable: int
    """Open jobs that may become application targets."""
    exposed: int


@dataclass(frozen=True, kw_only=True, slots=True)
class UnreadJob:
    """The identifiers of a job that core.matchable_jobs does not hold."""

    kombo_job_id: str
    name: str | None
    remote_id: str | None
    job_code: str | None
    urls: Sequence[str]


def integrations(conn: Connection, *, customer_id: str | None) -> list[Integration]:
    """Return the integrations of a customer, of all customers where it is None, by name; those that ended come last."""
    with conn.cursor(row_factory=class_row(Integration)) as cursor:
        return cursor.execute(
            """
            select
                integration_id, customer_id,
                coalesce(organization_name, customer_id) as name,
                organization_name, tool, fetch_state, fetched_at, kombo_last_sync_started_at, matched_at,
                deleted_at, succeeded_by, who_must_act, what_to_do
            from core.integrations
            where customer_id is not null
                and (%(customer)s::text is null or customer_id = %(customer)s)
            order by coalesce(deleted_at, succeeded_at) nulls first, name, integration_id
            """,
            {"customer": customer_id},
        ).fetchall()


def counts(conn: Connection, integration_id: str) -> Counts:
    """Count the jobs of an integration by lifecycle, those that may be application targets, and the exposed ones."""
    rows = conn.execute(
        """
        select lifecycle, publishable, count(*) as jobs
        from core.jobs
        where integration_id = %s
        group by lifecycle, publishable
        """,
        (integration_id,),
    ).fetchall()
    exposed = conn.execute(
        """
        select count(*) as jobs
        from core.exposed_jobs
        where integration_id = %s and exposed_until is null
        """,
        (integration_id,),
    ).fetchone()
    by_lifecycle: dict[Lifecycle, int] = {}
    for row in rows:
        by_lifecycle[row["lifecycle"]] = by_lifecycle.get(row["lifecycle"], 0) + row["jobs"]
    assert exposed is not None
    return Counts(by_lifecycle, sum(row["jobs"] for row in rows if row["publishable"]), exposed["jobs"])


def suggestions(conn: Connection, integration_id: str, *, sample: int = 3000, limit: int = 40) -> dict[str, list[str]]:
    """Return the commonest places and departments among a sample of jobs, by name, as suggestions for the filter."""
    found = {}
    for column in ("place", "department"):
        rows = conn.execute(
            sql.SQL(
                """
                select value
                from (
                    select left({column}, 80) as value
                    from core.matchable_jobs
                    where integration_id = %s
                    order by kombo_job_id
                    limit %s
                ) sample
                where value <> ''
                group by value
                order by count(*) desc, value
                limit %s
                """
            ).format(column=sql.Identifier(column)),
            (integration_id, sample, limit),
        )
        found[column] = sorted(row["value"] for row in rows)
    return found


def jobs(conn: Connection, integration_id: str, kombo_job_ids: Sequence[str]) -> list[Job]:
    """Return the jobs in the order of the ids; ids that no job of the integration has are left out."""
    with conn.cursor(row_factory=kwargs_row(_job)) as cursor:
        return cursor.execute(
            """
            select
                j.integration_id, j.kombo_job_id, j.name, j.job_code, j.remote_id,
                core.place(j) as place,
                j.department, j.employment_type, j.lifecycle, j.publishable, j.status, j.visibility,
                coalesce(j.opened_at, j.remote_created_at) as opened_at,
                j.closed_at, j.post_url, j.remote_url, j.unreadable_fields,
                e.exposed_from, e.exposed_by, e.channel,
                exists (
                    select
                    from core.exposed_jobs x
                    where (x.integration_id, x.kombo_job_id) = (j.integration_id, j.kombo_job_id)
                ) as was_ever_exposed,
                (
                    select coalesce(jsonb_agg(link), '[]')
                    from (
                        select l.own_job_id, o.title, l.state, l.reason, l.customer_id
                        from core.job_links l
                        join core.own_jobs o using (customer_id, own_job_id)
                        where (l.integration_id, l.kombo_job_id) = (j.integration_id, j.kombo_job_id)
                            and state <> 'retired'
                        order by l.link_id
                        limit 3
                    ) link
                ) as links
            from unnest(%(ids)s::text[]) with ordinality given (kombo_job_id, position)
            join core.jobs j on j.integration_id = %(integration)s and j.kombo_job_id = given.kombo_job_id
            left join core.exposed_jobs e
                on (e.integration_id, e.kombo_job_id) = (j.integration_id, j.kombo_job_id)
                and e.exposed_until is null
            order by given.position
            """,
            {"integration": integration_id, "ids": list(kombo_job_ids)},
        ).fetchall()


def _job(*, links: Sequence[Mapping[str, Any]], **columns: Any) -> Job:
    return Job(links=[LinkedOwnJob(**link) for link in links], **columns)


def unread_jobs(conn: Connection, integration_id: str, *, limit: int = 5000) -> list[UnreadJob]:
    """Return the jobs that core.matchable_jobs does not hold (new ones and gone ones), the newest first."""
    with conn.cursor(row_factory=class_row(UnreadJob)) as cursor:
        return cursor.execute(
            """
            select
                j.kombo_job_id, j.name, j.remote_id, j.job_code,
                array_remove(
                    array[j.post_url, j.remote_url] || array(
                        select p.url
                        from marts.job_postings p
                        where p.integration_id = j.integration_id and p.kombo_job_id = j.kombo_job_id
                    ),
                    null
                ) as urls
            from core.jobs j
            where j.integration_id = %(integration)s
                and not exists (
                    select
                    from core.matchable_jobs m
                    where m.integration_id = j.integration_id and m.kombo_job_id = j.kombo_job_id
                )
            order by j.first_seen_at desc, j.kombo_job_id
            limit %(limit)s
            """,
            {"integration": integration_id, "limit": limit},
        ).fetchall()
