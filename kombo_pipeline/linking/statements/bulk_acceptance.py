"""What may be accepted in bulk: own jobs that identifiers left to a person for a reason that may be harmless."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from psycopg import sql
from psycopg.rows import class_row

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.linking.own_job_key import OwnJobKey, own_job_key
from kombo_pipeline.linking.statements.job_links import Seen
from kombo_pipeline.vocabulary import IDENTIFIER_METHODS, Band, Lifecycle, LinkReason, Method


@dataclass(frozen=True, kw_only=True, slots=True)
class IdentifiedPair:
    """An own job that waits for a person, and an ATS job that one of its identifiers names."""

    customer_id: str
    own_job_id: str
    integration_id: str
    title: str | None
    location: str | None
    own_seen: Seen
    kombo_job_id: str
    name: str | None
    place: str | None
    job_code: str | None
    lifecycle: Lifecycle
    seen: Seen
    """Title, code and place of the ATS job."""
    method: Method
    matcher_version: str | None
    seen_decision_id: int
    """The newest decision about the own job, 0 without one."""

    @property
    def key(self) -> OwnJobKey:
        """The own job and the integration."""
        return own_job_key(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class CollidingPair(IdentifiedPair):
    """A pair whose identifier belongs to several ATS jobs."""

    reason: str | None
    """Why identifiers did not decide, in words."""
    rank: int
    confidence: float
    band: Band
    department: str | None
    employment_type: str | None
    ats_department: str | None
    ats_employment_type: str | None
    others_named: bool
    """Whether identifiers of the own job name ATS jobs that are not among its candidates."""
    wanted_by: int
    """How many other own jobs name this ATS job by an identifier or are linked to it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ResumablePair(IdentifiedPair):
    """A suspended link whose ATS job is open again."""

    reason: LinkReason
    """Why the link is suspended."""
    look_again_since: datetime
    """Since when a person is asked about it."""


_NEWEST_DECISION: Final = sql.SQL(
    """
    (
        select coalesce(max(d.decision_id), 0)
        from core.link_decisions d
        where d.customer_id = q.customer_id
            and d.own_job_id = q.own_job_id
            and d.integration_id = q.integration_id
    )
    """
)


def colliding_pairs(conn: Connection, *, customer_id: str | None) -> list[CollidingPair]:
    """Return each own job whose identifier belongs to several ATS jobs, with each of these that is not rejected.

    The pairs of an own job follow each other, the likeliest first. `customer_id` None means all customers.
    """
    with conn.cursor(row_factory=class_row(CollidingPair)) as cursor:
        return cursor.execute(
            _COLLIDING.format(newest=_NEWEST_DECISION),
            {"customer": customer_id},
        ).fetchall()


def resumable_pairs(conn: Connection, *, customer_id: str | None) -> list[ResumablePair]:
    """Return suspended links whose identifier still decides, whose ATS job is open again, and whose jobs are unchanged.

    Left out are links to an ATS job that another own job has too, and links whose resumption somebody took back.
    `customer_id` None means all customers.
    """
    with conn.cursor(row_factory=class_row(ResumablePair)) as cursor:
        return cursor.execute(
            _RESUMABLE.format(newest=_NEWEST_DECISION),
            {"customer": customer_id, "methods": list(IDENTIFIER_METHODS)},
        ).fetchall()


_COLLIDING: Final = sql.SQL(
    """
    select
        q.customer_id, q.own_job_id, q.integration_id, q.title, q.reason, c.kombo_job_id,
        c.method, c.matcher_version, c.confidence, c.band, c.rank, j.name,
        core.place(j) as place,
        j.job_code, j.lifecycle,
        core.seen(j) as seen,
        core.seen(o) as own_seen,
        o.location, o.department, o.employment_type,
        j.department as ats_department,
        j.employment_type as ats_employment_type,
        exists (
            select
            from core.matchable_jobs x
            where x.integration_id = q.integration_id
                and x.identifiers && m.identifiers
                and x.kombo_job_id <> all (
                    array(
                        select y.kombo_job_id
                        from core.job_match_candidates y
                        where y.customer_id = q.customer_id
                            and y.own_job_id = q.own_job_id
                            and y.integration_id = q.integration_id
                            and y.method <> 'title'
                    )
                )
        ) as others_named,
        (
            select count(*)
            from core.own_job_matches x
            where x.integration_id = q.integration_id
                and x.own_job_id <> q.own_job_id
                and x.identifiers && a.identifiers
        ) + (
            select count(*)
            from core.job_links l
            where l.integration_id = q.integration_id
                and l.kombo_job_id = c.kombo_job_id
                and l.own_job_id <> q.own_job_id
                and l.state <> 'retired'
        ) as wanted_by,
        {newest} as seen_decision_id
    from marts.review_queue q
    join core.own_jobs o using (customer_id, own_job_id)
    join core.own_job_matches m using (customer_id, own_job_id, integration_id)
    join marts.match_candidates c using (customer_id, own_job_id, integration_id)
    join core.jobs j
        on j.integration_id = c.integration_id
        and j.kombo_job_id = c.kombo_job_id
    left join core.matchable_jobs a
        on a.integration_id = c.integration_id
        and a.kombo_job_id = c.kombo_job_id
    where q.why = 'identifiers'
        and c.method <> 'title'
        and not c.rejected
        and (%(customer)s::text is null or q.customer_id = %(customer)s)
    order by q.customer_id, q.own_job_id, q.integration_id, c.rank
    """
)


_RESUMABLE: Final = sql.SQL(
    """
    select
        q.customer_id, q.own_job_id, q.integration_id, q.title, l.kombo_job_id, l.method,
        l.reason, l.look_again_since, l.matcher_version, j.name,
        core.place(j) as place,
        j.job_code, j.lifecycle,
        core.seen(j) as seen,
        core.seen(o) as own_seen,
        o.location,
        {newest} as seen_decision_id
    from marts.review_queue q
    join core.own_jobs o using (customer_id, own_job_id)
    join core.job_links l using (link_id)
    join core.jobs j
        on j.integration_id = l.integration_id
        and j.kombo_job_id = l.kombo_job_id
    where q.why = 'reopened'
        and q.outcome = 'linked'
        and l.method = any(%(methods)s)
        and l.reason <> 'undone'
        and l.own_seen = core.seen(o)
        and l.ats_seen = core.seen(j)
        and j.lifecycle = 'open'
        and not exists (
            select
            from core.job_links x
            where x.integration_id = l.integration_id
                and x.kombo_job_id = l.kombo_job_id
                and x.link_id <> l.link_id
                and x.state <> 'retired'
        )
        and (%(customer)s::text is null or q.customer_id = %(customer)s)
    order by q.customer_id, q.own_job_id, q.integration_id
    """
)
