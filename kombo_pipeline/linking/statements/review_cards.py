"""What a review card shows: the own job, its candidates, the ATS jobs, and what the search box finds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from psycopg import sql
from psycopg.rows import class_row, kwargs_row

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.db.queries import like_literal
from kombo_pipeline.linking.own_job_key import OwnJobKey, own_job_key
from kombo_pipeline.linking.statements.job_links import Seen
from kombo_pipeline.vocabulary import (
    LIKELY,
    Band,
    FetchState,
    Lifecycle,
    LinkState,
    Method,
    Outcome,
    ReviewReason,
    Source,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnJob:
    """An own job among the jobs of one integration, with what matching found for it there."""

    customer_id: str
    own_job_id: str
    integration_id: str
    organization_name: str | None
    tool: str | None
    title: str | None
    location: str | None
    department: str | None
    employment_type: str | None
    job_code: str | None
    remote_id: str | None
    kombo_job_id: str | None
    post_url: str | None
    posted_at: date | None
    source: Source
    seen: Seen
    """Title, code and place: what an answer holds for."""
    outcome: Outcome | None
    """None, like the columns of matching that follow, where it was never matched."""
    match_reason: str | None
    """Why identifiers did not decide, in words."""
    none_probability: float | None
    """Probability that the ATS has no counterpart."""
    matched_at: datetime | None
    band: Band | None
    """Of the first candidate."""
    matcher_version: str | None
    why: ReviewReason | None
    """Why it waits for a person; None when it does not."""

    @property
    def key(self) -> OwnJobKey:
        """The own job and the integration."""
        return own_job_key(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """An ATS job that matching proposes for an own job."""

    kombo_job_id: str
    rank: int
    """1 is the likeliest."""
    confidence: float
    band: Band
    method: Method
    evidence: Mapping[str, Any]
    """{"contributions": [{"text": ..., "weight": ...}], ...}; weights in log-odds."""
    matcher_version: str


@dataclass(frozen=True, kw_only=True, slots=True)
class LinkedOwnJob:
    """Another own job that is linked to an ATS job."""

    own_job_id: str
    title: str | None
    state: LinkState


@dataclass(frozen=True, kw_only=True, slots=True)
class RivalOwnJob:
    """Another own job whose best candidate is an ATS job."""

    own_job_id: str
    title: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class AtsJob:
    """An ATS job as a card shows it."""

    kombo_job_id: str
    name: str | None
    place: str | None
    job_code: str | None
    remote_id: str | None
    department: str | None
    employment_type: str | None
    description: str | None
    """HTML as the ATS sent it."""
    post_url: str | None
    remote_url: str | None
    lifecycle: Lifecycle
    visibility: str | None
    confidential: bool | None
    publishable: bool
    opened_at: datetime | None
    remote_created_at: datetime | None
    closed_at: datetime | None
    remote_deleted_at: datetime | None
    vanished_at: datetime | None
    unreadable_fields: Mapping[str, str] | None
    """Why each of these fields of the newest record could not be read."""
    seen: Seen
    """Title, code and place: what an answer holds for."""
    linked_to: Sequence[LinkedOwnJob]
    """Up to three other own jobs with an active or suspended link to it."""
    best_of: Sequence[RivalOwnJob]
    """Up to three other own jobs of which it is the best candidate."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundJob:
    """An ATS job that the search box found."""

    kombo_job_id: str
    name: str | None
    place: str | None
    job_code: str | None
    remote_id: str | None
    department: str | None
    lifecycle: Lifecycle


@dataclass(frozen=True, kw_only=True, slots=True)
class ReviewedIntegration:
    """An integration to which a queue can be narrowed."""

    customer_id: str
    integration_id: str
    name: str
    """The name of the customer's organization; the customer's id where Kombo does not give the name."""
    tool: str | None
    fetch_state: FetchState


def own_job(conn: Connection, key: OwnJobKey) -> OwnJob | None:
    """Return an own job with what matching found for it in the integration.

    None when there is no such own job, or the integration is another customer's.
    """
    with conn.cursor(row_factory=class_row(OwnJob)) as cursor:
        return cursor.execute(
            """
            select
                o.customer_id, o.own_job_id, i.integration_id, i.organization_name, i.tool,
                o.title, o.location, o.department, o.employment_type, o.job_code, o.remote_id, o.kombo_job_id,
                o.post_url, o.posted_at, o.source,
                core.seen(o) as seen,
                m.outcome, m.reason as match_reason, m.none_probability, m.matched_at, m.band, m.matcher_version,
                q.why
            from core.own_jobs o
            join core.integrations i using (customer_id)
            left join core.own_job_matches m using (customer_id, own_job_id, integration_id)
            left join marts.review_queue q using (customer_id, own_job_id, integration_id)
            where o.customer_id = %(customer_id)s
                and o.own_job_id = %(own_job_id)s
                and i.integration_id = %(integration_id)s
            """,
            key._asdict(),
        ).fetchone()


def candidates(conn: Connection, key: OwnJobKey, *, limit: int = 5) -> list[Candidate]:
    """Return the own job's best candidates that are not rejected, in order."""
    with conn.cursor(row_factory=class_row(Candidate)) as cursor:
        return cursor.execute(
            """
            select kombo_job_id, rank, confidence, band, method, evidence, matcher_version
            from marts.match_candidates
            where customer_id = %(customer_id)s
                and own_job_id = %(own_job_id)s
                and integration_id = %(integration_id)s
                and not rejected
            order by rank
            limit %(limit)s
            """,
            {**key._asdict(), "limit": limit},
        ).fetchall()


def ats_jobs(
    conn: Connection, *, integration_id: str, kombo_job_ids: Sequence[str], own_job_id: str
) -> dict[str, AtsJob]:
    """Return ATS jobs by id, as the card of an own job shows them; unknown ids are left out."""
    with conn.cursor(row_factory=kwargs_row(_ats_job)) as cursor:
        rows = cursor.execute(
            """
            select
                j.kombo_job_id, j.name,
                core.place(j) as place,
                j.job_code, j.remote_id, j.department, j.employment_type, j.description, j.post_url,
                j.remote_url, j.lifecycle, j.visibility, j.confidential, j.publishable, j.opened_at,
                j.remote_created_at, j.closed_at, j.remote_deleted_at, j.vanished_at,
                j.unreadable_fields,
                core.seen(j) as seen,
                (
                    select coalesce(jsonb_agg(other), '[]')
                    from (
                        select l.own_job_id, o.title, l.state
                        from core.job_links l
                        join core.own_jobs o using (customer_id, own_job_id)
                        where l.integration_id = j.integration_id
                            and l.kombo_job_id = j.kombo_job_id
                            and l.state <> 'retired'
                            and l.own_job_id <> %(own)s
                        order by l.link_id
                        limit 3
                    ) other
                ) as linked_to,
                (
                    select coalesce(jsonb_agg(other), '[]')
                    from (
                        select c.own_job_id, o.title
                        from core.job_match_candidates c
                        join core.own_jobs o using (customer_id, own_job_id)
                        where c.integration_id = j.integration_id
                            and c.kombo_job_id = j.kombo_job_id
                            and c.rank = 1
                            and c.band = any(%(likely)s)
                            and o.withdrawn_at is null
                            and c.own_job_id <> %(own)s
                        order by c.confidence desc, c.own_job_id
                        limit 3
                    ) other
                ) as best_of
            from core.jobs j
            where j.integration_id = %(integration)s
                and j.kombo_job_id = any(%(ids)s)
            """,
            {"integration": integration_id, "ids": list(kombo_job_ids), "own": own_job_id, "likely": list(LIKELY)},
        )
        return {job.kombo_job_id: job for job in rows}


def _ats_job(*, linked_to: Sequence[Mapping[str, Any]], best_of: Sequence[Mapping[str, Any]], **columns: Any) -> AtsJob:
    return AtsJob(
        linked_to=[LinkedOwnJob(**other) for other in linked_to],
        best_of=[RivalOwnJob(**other) for other in best_of],
        **columns,
    )


def search(
    conn: Connection, integration_id: str, *, words: Sequence[str], keys: Sequence[str], limit: int
) -> list[FoundJob]:
    """Return the ATS jobs of the integration that one of `keys` names, then those that have every one of `words`.

    Open jobs come first. `keys` have the form of core.matchable_jobs.identifiers; words are part of the search text.
    """
    named, found = list[FoundJob](), list[FoundJob]()
    if keys:
        named = _found(conn, integration_id, sql.SQL("m.identifiers && %(given)s"), keys, limit=limit, first="")
    if words:
        patterns = [f"%{like_literal(word.lower())}%" for word in words]
        first = f"{like_literal(' '.join(words).lower())}%"
        every = sql.SQL("m.search_text like all (%(given)s)")
        found = _found(conn, integration_id, every, patterns, limit=limit, first=first)
    known = {job.kombo_job_id for job in named}
    together = named + [job for job in found if job.kombo_job_id not in known]
    return sorted(together, key=lambda job: job.lifecycle != "open")[:limit]


def _found(
    conn: Connection, integration_id: str, condition: sql.SQL, given: Sequence[str], *, limit: int, first: str
) -> list[FoundJob]:
    # Nearly always a job without a vector is not open: this is known without reading its wide row of core.jobs.
    with conn.cursor(row_factory=class_row(FoundJob)) as cursor:
        return cursor.execute(
            sql.SQL(
                """
                select
                    j.kombo_job_id, j.name,
                    core.place(j) as place,
                    j.job_code, j.remote_id, j.department, j.lifecycle
                from (
                    select
                        kombo_job_id, title,
                        vector is null as is_closed,
                        search_text not like %(first)s as is_inside
                    from core.matchable_jobs m
                    where m.integration_id = %(integration)s
                        and {condition}
                    order by is_closed, is_inside, title, kombo_job_id
                    limit %(limit)s
                ) m
                join core.jobs j
                    on j.integration_id = %(integration)s
                    and j.kombo_job_id = m.kombo_job_id
                order by m.is_closed, m.is_inside, m.title, m.kombo_job_id
                """
            ).format(condition=condition),
            {"integration": integration_id, "given": list(given), "limit": limit, "first": first},
        ).fetchall()


def integrations(conn: Connection) -> list[ReviewedIntegration]:
    """Return the integrations to which a queue can be narrowed, by name."""
    with conn.cursor(row_factory=class_row(ReviewedIntegration)) as cursor:
        return cursor.execute(
            """
            select
                customer_id, integration_id,
                coalesce(organization_name, customer_id) as name,
                tool, fetch_state
            from core.integrations
            where customer_id is not null
                and deleted_at is null
                and succeeded_by is null
            order by name, integration_id
            """
        ).fetchall()


def description(conn: Connection, integration_id: str, kombo_job_id: str) -> str | None:
    """Return the description of an ATS job, HTML as it came; None where there is no such job or no description."""
    row = conn.execute(
        """
        select description
        from core.jobs
        where integration_id = %s and kombo_job_id = %s
        """,
        (integration_id, kombo_job_id),
    ).fetchone()
    return row["description"] if row else None
