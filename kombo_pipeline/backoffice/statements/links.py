"""What the back office shows of links: a list of them, and one with its answers, changes and possible successors."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from psycopg import sql
from psycopg.rows import class_row

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.db.queries import like_literal
from kombo_pipeline.vocabulary import (
    Band,
    Decision,
    Lifecycle,
    LinkReason,
    LinkState,
    Method,
    NoTargetReason,
    NoticeType,
    ReviewReason,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class LinkRow:
    """A link with both of its jobs, the question that is open about it, and its newest notice."""

    link_id: int
    customer_id: str
    own_job_id: str
    integration_id: str
    kombo_job_id: str
    method: Method
    confirmed_by: str | None
    state: LinkState
    reason: LinkReason | None
    state_since: datetime
    created_at: datetime
    own_seen: Mapping[str, Any] | None
    """The own job as it was when somebody last confirmed the link."""
    ats_seen: Mapping[str, Any] | None
    """The ATS job at the same moment."""
    own_changed: bool | None
    ats_changed: bool | None
    own_title: str | None
    own_code: str | None
    own_place: str | None
    ats_title: str | None
    ats_code: str | None
    ats_place: str | None
    lifecycle: Lifecycle
    publishable: bool
    unreadable_fields: Mapping[str, str] | None
    organization_name: str | None
    tool: str | None
    no_target_because: NoTargetReason | None
    proposal: ReviewReason | None
    """What a person is asked about the link."""
    told: NoticeType | None
    """The type of the newest notice; the columns that follow are of it too."""
    delivered_at: datetime | None
    dead_at: datetime | None
    next_attempt_at: datetime | None
    last_error: str | None


class LinkCount(NamedTuple):
    """How many links have a state and a reason."""

    state: LinkState
    reason: LinkReason | None
    links: int


@dataclass(frozen=True, kw_only=True, slots=True)
class LinkDecision:
    """An answer about the own job of a link."""

    decision: Decision
    answer_id: UUID | None
    kombo_job_id: str | None
    ats_title: str | None
    decided_by: str
    decided_at: datetime
    note: str | None
    undone_at: datetime | None
    undone_by: str | None
    stands: bool | None
    """Whether it still holds: it is not undone, and the jobs are what they were."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Successor:
    """An ATS job as which the job of a link may have been posted again."""

    kombo_job_id: str
    ats_title: str | None
    ats_place: str | None
    job_code: str | None
    lifecycle: Lifecycle
    band: Band
    why: str | None


_LINKS: Final = sql.SQL(
    """
    select
        l.link_id, l.customer_id, l.own_job_id, l.integration_id, l.kombo_job_id,
        l.method, l.confirmed_by, l.state, l.reason, l.state_since, l.created_at, l.own_seen, l.ats_seen,
        l.own_seen <> core.seen(o) as own_changed,
        l.ats_seen <> core.seen(j) as ats_changed,
        o.title as own_title, o.job_code as own_code, o.location as own_place,
        j.name as ats_title, j.job_code as ats_code, core.place(j) as ats_place,
        j.lifecycle, j.publishable, j.unreadable_fields,
        i.organization_name, i.tool,
        core.no_target_because(l.customer_id, l.own_job_id, l.integration_id, l.kombo_job_id) as no_target_because,
        q.why as proposal,
        n.type as told, n.delivered_at, n.dead_at, n.next_attempt_at, n.last_error
    from core.job_links l
    join core.own_jobs o using (customer_id, own_job_id)
    join core.jobs j on j.integration_id = l.integration_id and j.kombo_job_id = l.kombo_job_id
    join core.integrations i on i.integration_id = l.integration_id
    left join lateral (
        select w.why
        from marts.review_queue w
        where w.customer_id = l.customer_id
            and w.own_job_id = l.own_job_id
            and w.integration_id = l.integration_id
            and w.link_id = l.link_id
    ) q on true
    left join lateral (
        select newest.type, newest.delivered_at, newest.dead_at, newest.next_attempt_at, newest.last_error
        from core.notices newest
        where newest.link_id = l.link_id
        order by newest.sequence desc
        limit 1
    ) n on true
    where {conditions}
    order by l.state_since desc, l.link_id desc
    """
)
# The page of links is found first: what is shown of each link is looked up for that page only.
_ON_PAGE: Final = sql.SQL(
    """
    l.link_id = any(array(
        select l.link_id
        from core.job_links l
        where {conditions}
        order by l.state_since desc, l.link_id desc
        limit %(limit)s
        offset %(offset)s
    ))
    """
)
_FILTERS: Final[Mapping[str, sql.SQL]] = {
    "state": sql.SQL("l.state = %(state)s"),
    "reason": sql.SQL("l.reason = %(reason)s"),
    "customer": sql.SQL("l.customer_id = %(customer)s"),
    "integration": sql.SQL("l.integration_id = %(integration)s"),
    "own_job": sql.SQL("l.own_job_id = %(own_job)s"),
    "text": sql.SQL(
        """
        (
            l.own_job_id = %(text)s
            or exists (
                select
                from core.own_jobs o
                where o.customer_id = l.customer_id
                    and o.own_job_id = l.own_job_id
                    and o.title ilike %(like)s
            )
            or exists (
                select
                from core.jobs j
                where j.integration_id = l.integration_id
                    and j.kombo_job_id = l.kombo_job_id
                    and (j.name ilike %(like)s or j.job_code ilike %(like)s)
            )
        )
        """
    ),
    # What is asked about a link depends on its state: so the view is read for few links only.
    "proposal": sql.SQL(
        """
        l.state = case when %(proposal)s = 'changed' then 'active' else 'suspended' end
        and exists (
            select
            from marts.review_queue w
            where w.customer_id = l.customer_id
                and w.own_job_id = l.own_job_id
                and w.integration_id = l.integration_id
                and w.link_id = l.link_id
                and w.why = %(proposal)s
        )
        """
    ),
}


def links(conn: Connection, *, limit: int, offset: int = 0, **wanted: str | None) -> list[LinkRow]:
    """Return links, those that changed last first.

    `wanted` may name state, reason, customer, integration, own_job, text (part of a title or a code) and proposal
    (reopened, successor or changed).
    """
    given = {name: value for name, value in wanted.items() if value}
    conditions = sql.SQL(" and ").join([_FILTERS[name] for name in given] or [sql.SQL("true")])
    with conn.cursor(row_factory=class_row(LinkRow)) as cursor:
        return cursor.execute(
            _LINKS.format(conditions=_ON_PAGE.format(conditions=conditions)),
            {**given, "like": f"%{like_literal(given.get('text', ''))}%", "limit": limit, "offset": offset},
        ).fetchall()


def link(conn: Connection, link_id: int) -> LinkRow | None:
    """Return a link; None when there is none of that id."""
    with conn.cursor(row_factory=class_row(LinkRow)) as cursor:
        return cursor.execute(_LINKS.format(conditions=sql.SQL("l.link_id = %s")), (link_id,)).fetchone()


def link_counts(conn: Connection) -> list[LinkCount]:
    """Return how many links there are by state and reason, the commonest reason of each state first."""
    with conn.cursor(row_factory=class_row(LinkCount)) as cursor:
        return cursor.execute(
            """
            select state, reason, count(*) as links
            from core.job_links
            group by state, reason
            order by state, links desc
            """
        ).fetchall()


def decisions_about(conn: Connection, *, customer_id: str, own_job_id: str, integration_id: str) -> list[LinkDecision]:
    """Return every answer about an own job in an integration, the newest first."""
    with conn.cursor(row_factory=class_row(LinkDecision)) as cursor:
        return cursor.execute(
            """
            select
                d.decision, d.answer_id, d.kombo_job_id, j.name as ats_title,
                d.decided_by, d.decided_at, d.note, d.undone_at, d.undone_by, d.stands
            from marts.link_decisions d
            left join core.jobs j on j.integration_id = d.integration_id and j.kombo_job_id = d.kombo_job_id
            where d.customer_id = %s and d.own_job_id = %s and d.integration_id = %s
            order by d.decision_id desc
            """,
            (customer_id, own_job_id, integration_id),
        ).fetchall()


def successors(conn: Connection, link: LinkRow, limit: int) -> list[Successor]:
    """Return the candidates of a link's own job other than the job it is linked to, the likeliest first."""
    with conn.cursor(row_factory=class_row(Successor)) as cursor:
        return cursor.execute(
            """
            select c.kombo_job_id, c.ats_title, c.ats_place, j.job_code, c.lifecycle, c.band, c.why
            from marts.match_candidates c
            join core.jobs j using (integration_id, kombo_job_id)
            where c.customer_id = %s
                and c.own_job_id = %s
                and c.integration_id = %s
                and c.kombo_job_id <> %s
                and not c.rejected
            order by c.rank
            limit %s
            """,
            (link.customer_id, link.own_job_id, link.integration_id, link.kombo_job_id, limit),
        ).fetchall()
