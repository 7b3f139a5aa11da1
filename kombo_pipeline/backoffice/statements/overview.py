"""What the back office shows of integrations: their health, figures, fetches and changes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from psycopg.rows import class_row

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.db.queries import number
from kombo_pipeline.vocabulary import HEALTHS, Actor, FetchKind, FetchState, FetchStatus, Health


@dataclass(frozen=True, kw_only=True, slots=True)
class OverviewRow:
    """An integration, as marts.integration_health describes it; the comments of that view say what the columns mean."""

    customer_id: str | None
    organization_name: str | None
    tool: str | None
    integration_id: str
    health: Health
    who_must_act: Actor | None
    what_to_do: str | None
    fresh_as_of: datetime | None
    stale: bool
    stale_since: datetime | None
    kombo_read_at: datetime | None
    state: str | None
    setup_status: str | None
    qa_status: str | None
    last_sync_state: str | None
    last_sync_ended_at: datetime | None
    last_sync_log_url: str | None
    fetch_state: FetchState
    fetch_error_code: str | None
    fetch_error: str | None
    fetch_attempted_at: datetime | None
    full_fetched_at: datetime | None
    full_fetch_deadline: datetime | None
    registered_at: datetime
    deleted_at: datetime | None
    succeeded_by: str | None
    claimed_customer_id: str | None
    claimed_at: datetime | None
    jobs: int
    open_jobs: int
    held_jobs: int
    quarantined_records: int
    unreadable_fields: Mapping[str, int] | None
    dead_events: int


def health(conn: Connection, integration_id: str | None = None) -> list[OverviewRow]:
    """Return one integration, or all of them, those first that somebody must look at."""
    with conn.cursor(row_factory=class_row(OverviewRow)) as cursor:
        return cursor.execute(
            """
            select
                customer_id, organization_name, tool, integration_id,
                health, who_must_act, what_to_do, fresh_as_of, stale, stale_since, kombo_read_at,
                state, setup_status, qa_status, last_sync_state, last_sync_ended_at, last_sync_log_url,
                fetch_state, fetch_error_code, fetch_error, fetch_attempted_at, full_fetched_at, full_fetch_deadline,
                registered_at, deleted_at, succeeded_by, claimed_customer_id, claimed_at,
                jobs, open_jobs, held_jobs, quarantined_records, unreadable_fields, dead_events
            from marts.integration_health
            where %(id)s::text is null or integration_id = %(id)s
            order by
                array_position(%(healths)s::text[], health),
                organization_name nulls last,
                integration_id
            """,
            {"id": integration_id, "healths": list(HEALTHS)},
        ).fetchall()


class OddDeliveries(NamedTuple):
    """How many events are dead, and how many deliveries were refused within a day, by reason."""

    dead: int
    refused: dict[str, int]


def odd_deliveries(conn: Connection) -> OddDeliveries:
    """Count what was delivered and could not be used."""
    refused = conn.execute(
        """
        select reason, sum(deliveries)::bigint as deliveries
        from marts.refused_deliveries
        where minute > now() - interval '24 hours'
        group by reason
        order by 2 desc, 1
        """
    ).fetchall()
    dead = number(conn, "select count(*) as n from marts.dead_events")
    return OddDeliveries(dead, {row["reason"]: row["deliveries"] for row in refused})


class Funnel(NamedTuple):
    """How far linking has come in an integration."""

    integration_id: str
    own_jobs: int
    linked: int
    suspended: int
    application_targets: int
    held_own_jobs: int
    """Own jobs of the customer whose withdrawal waits for a person."""


def funnels(conn: Connection, integration_id: str | None = None) -> dict[str, Funnel]:
    """Return how far linking has come in one integration or in all, by integration.

    marts.link_funnel has the same figures and more; to count only these takes a tenth of its time.
    """
    with conn.cursor(row_factory=class_row(Funnel)) as cursor:
        rows = cursor.execute(
            """
            select
                i.integration_id,
                coalesce(o.n, 0) as own_jobs,
                coalesce(l.active, 0) as linked,
                coalesce(l.suspended, 0) as suspended,
                coalesce(t.n, 0) as application_targets,
                coalesce(h.n, 0) as held_own_jobs
            from core.integrations i
            left join (
                select customer_id, sum(cardinality(own_job_ids)) as n
                from core.held_withdrawals
                where decision is null
                group by customer_id
            ) h on h.customer_id = i.customer_id
            left join (
                select customer_id, count(*) as n
                from core.own_jobs
                where withdrawn_at is null
                    and (
                        %(id)s::text is null
                        or customer_id = (select customer_id from core.integrations where integration_id = %(id)s)
                    )
                group by customer_id
            ) o on o.customer_id = i.customer_id
            left join (
                select
                    l.integration_id,
                    count(*) filter (where l.state = 'active') as active,
                    count(*) filter (where l.state = 'suspended') as suspended
                from core.job_links l
                join core.own_jobs o using (customer_id, own_job_id)
                where l.state <> 'retired'
                    and o.withdrawn_at is null
                    and (%(id)s::text is null or l.integration_id = %(id)s)
                group by l.integration_id
            ) l on l.integration_id = i.integration_id
            left join (
                select integration_id, count(distinct own_job_id) as n
                from marts.application_targets
                where %(id)s::text is null or integration_id = %(id)s
                group by integration_id
            ) t on t.integration_id = i.integration_id
            where %(id)s::text is null or i.integration_id = %(id)s
            """,
            {"id": integration_id},
        ).fetchall()
    return {row.integration_id: row for row in rows}


class FirstSync(NamedTuple):
    """How far an integration without a complete fetch has come."""

    integration_id: str
    usual: timedelta | None
    """Median time from registration to the first complete fetch among integrations of the same tool."""
    known: int
    """How many integrations that median is of; with 0 it is None."""
    attempts: int
    """How many fetches have begun."""
    pages: int
    """How many pages of the running fetch have landed."""


def first_syncs(conn: Connection) -> dict[str, FirstSync]:
    """Return the integrations that have no complete fetch yet, by id."""
    with conn.cursor(row_factory=class_row(FirstSync)) as cursor:
        rows = cursor.execute(
            """
            with first as (
                select i.tool, i.integration_id, min(f.applied_at) - i.registered_at as took
                from core.integrations i
                join marts.fetches f using (integration_id)
                where f.kind = 'full' and f.status = 'applied'
                group by i.integration_id
            ),
            usual as (
                select tool, percentile_cont(0.5) within group (order by took) as usual, count(*) as known
                from first
                where took > interval '0'
                group by tool
            )
            select
                i.integration_id,
                usual.usual,
                coalesce(usual.known, 0) as known,
                (select count(*) from marts.fetches f where f.integration_id = i.integration_id) as attempts,
                coalesce((
                    select f.pages_landed
                    from marts.fetches f
                    where f.integration_id = i.integration_id and f.status in ('running', 'landed')
                    order by fetch_id desc
                    limit 1
                ), 0) as pages
            from core.integrations i
            left join usual using (tool)
            where i.fetched_at is null and i.deleted_at is null
            """
        ).fetchall()
    return {row.integration_id: row for row in rows}


@dataclass(frozen=True, kw_only=True, slots=True)
class FetchRow:
    """A fetch and what it brought."""

    fetch_id: int
    kind: FetchKind
    status: FetchStatus
    error: str | None
    requested_at: datetime
    pages: int
    pages_landed: int
    records: int
    jobs_new: int | None
    jobs_changed: int | None
    jobs_closed: int | None
    jobs_repaired: int | None
    dagster_run_id: str | None
    log_url: str | None


def newest_fetches(conn: Connection, integration_id: str, limit: int) -> list[FetchRow]:
    """Return the newest fetches of an integration."""
    with conn.cursor(row_factory=class_row(FetchRow)) as cursor:
        return cursor.execute(
            """
            select
                fetch_id, kind, status, error, requested_at, pages, pages_landed, records,
                jobs_new, jobs_changed, jobs_closed, jobs_repaired, dagster_run_id, log_url
            from marts.fetches
            where integration_id = %s
            order by fetch_id desc
            limit %s
            """,
            (integration_id, limit),
        ).fetchall()


@dataclass(frozen=True, kw_only=True, slots=True)
class JobChange:
    """A field of an ATS job that changed, or an event of its life."""

    kombo_job_id: str
    name: str | None
    job_code: str | None
    event: str
    field: str | None
    old_value: Any
    new_value: Any
    observed_at: datetime


def newest_changes(conn: Connection, integration_id: str, limit: int) -> list[JobChange]:
    """Return the newest changes of an integration's jobs; that a job was seen first is none."""
    with conn.cursor(row_factory=class_row(JobChange)) as cursor:
        return cursor.execute(
            """
            select
                c.kombo_job_id, j.name, j.job_code,
                c.event, c.field, c.old_value, c.new_value, c.observed_at
            from core.job_changes c
            left join core.jobs j using (integration_id, kombo_job_id)
            where c.change_id = any(array(
                select change_id
                from core.job_changes
                where integration_id = %s and event <> 'created'
                order by observed_at desc, change_id desc
                limit %s
            ))
            order by c.observed_at desc, c.change_id desc
            """,
            (integration_id, limit),
        ).fetchall()


def changes_of_job(conn: Connection, integration_id: str, kombo_job_id: str, limit: int) -> list[JobChange]:
    """Return the newest changes of a job."""
    with conn.cursor(row_factory=class_row(JobChange)) as cursor:
        return cursor.execute(
            """
            select
                c.kombo_job_id, j.name, j.job_code,
                c.event, c.field, c.old_value, c.new_value, c.observed_at
            from core.job_changes c
            left join core.jobs j using (integration_id, kombo_job_id)
            where c.integration_id = %s and c.kombo_job_id = %s
            order by c.change_id desc
            limit %s
            """,
            (integration_id, kombo_job_id, limit),
        ).fetchall()


class QuarantinedRecord(NamedTuple):
    """A record that could not be read whole, without its content."""

    quarantine_id: int
    kombo_job_id: str | None
    reason: str
    quarantined_at: datetime


def quarantined(conn: Connection, integration_id: str, limit: int) -> list[QuarantinedRecord]:
    """Return the newest records of an integration that are in quarantine."""
    with conn.cursor(row_factory=class_row(QuarantinedRecord)) as cursor:
        return cursor.execute(
            """
            select quarantine_id, kombo_job_id, reason, quarantined_at
            from marts.quarantined_records
            where integration_id = %s and released_at is null
            order by quarantine_id desc
            limit %s
            """,
            (integration_id, limit),
        ).fetchall()


class Issue(NamedTuple):
    """A problem that Kombo has raised about an integration."""

    title: str | None
    issue_type: str | None
    message: str | None
    first_observed_at: datetime | None


def open_issues(conn: Connection, integration_id: str) -> list[Issue]:
    """Return the problems of an integration that are not resolved, the newest first."""
    with conn.cursor(row_factory=class_row(Issue)) as cursor:
        return cursor.execute(
            """
            select title, issue_type, message, first_observed_at
            from core.integration_issues
            where integration_id = %s and status = 'OPEN'
            order by first_observed_at desc nulls last
            """,
            (integration_id,),
        ).fetchall()
