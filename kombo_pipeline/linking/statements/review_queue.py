"""Statements behind the review page: the queue, and what a card shows of an own job and of ATS jobs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, NamedTuple

from psycopg import sql
from psycopg.rows import args_row

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.db.queries import like_literal
from kombo_pipeline.vocabulary import IDENTIFIER_METHODS, LIKELY

Row = dict[str, Any]
Key = tuple[str, str, str]
"""Customer, own job and integration."""
Order = Literal["strongest", "oldest", "informative"]


class WaitingJob(NamedTuple):
    """An own job that waits for a person's answer, with what queues go by.

    `margin` is how far the first candidate is ahead of the second; it and the confidence are None without candidates.
    """

    customer_id: str
    own_job_id: str
    integration_id: str
    why: str
    band: str | None
    source: str
    created_at: datetime
    confidence: float | None
    margin: float | None

    @property
    def key(self) -> Key:
        """What tells it from all others."""
        return self[:3]


@dataclass(frozen=True, kw_only=True)
class Queue:
    """Which own jobs are asked for; None where it does not matter. Unlikely ones only when `why` says so."""

    customer_id: str | None = None
    integration_id: str | None = None
    band: str | None = None
    why: str | None = None
    source: str | None = None
    days: int | None = None
    """Own jobs that came at least so many days ago."""
    order: Order = "strongest"

    def holds(self, job: WaitingJob) -> bool:
        """Whether an own job is one of those asked for."""
        return (
            (job.why == self.why if self.why else job.why != "unlikely")
            and self.customer_id in (None, job.customer_id)
            and self.integration_id in (None, job.integration_id)
            and self.band in (None, job.band)
            and self.source in (None, job.source)
            and (self.days is None or job.created_at <= datetime.now(UTC) - timedelta(days=self.days))
        )

    def sort_key(self, job: WaitingJob) -> tuple[Any, ...]:
        """What puts own jobs in the queue's order."""
        match self.order:
            case "strongest":
                return (job.confidence is None, -(job.confidence or 0.0), job.key)
            case "oldest":
                return (job.created_at, job.key)
            case "informative":
                # What is hardest to tell apart teaches most.
                return (job.margin is None, job.margin, job.key)


_WAITING: Final = sql.SQL(
    """
    select
        w.customer_id, w.own_job_id, w.integration_id, w.why, w.band, w.source, w.created_at,
        w.confidence,
        w.confidence - coalesce(c.confidence, 0)
    from marts.review_queue w
    left join core.job_match_candidates c
        on c.customer_id = w.customer_id
        and c.own_job_id = w.own_job_id
        and c.integration_id = w.integration_id
        and c.rank = 2
    """
)


def waiting(conn: Connection) -> list[WaitingJob]:
    """Return every own job that waits."""
    with conn.cursor(row_factory=args_row(WaitingJob)) as cursor:
        return cursor.execute(_WAITING).fetchall()


def waiting_job(conn: Connection, key: Key) -> WaitingJob | None:
    """Return an own job as it waits now; None when it does not."""
    with conn.cursor(row_factory=args_row(WaitingJob)) as cursor:
        one = sql.SQL("{} where w.customer_id = %s and w.own_job_id = %s and w.integration_id = %s").format(_WAITING)
        return cursor.execute(one, key).fetchone()


def own_job(conn: Connection, *, customer_id: str, own_job_id: str, integration_id: str) -> Row | None:
    """Return an own job with what matching found in the integration and why it waits (null: it does not).

    None when there is no such own job, or the integration is not the customer's.
    """
    return conn.execute(
        """
        select
            o.*,
            core.seen(o) as seen,
            i.integration_id, i.organization_name, i.tool, m.outcome,
            m.reason as match_reason,
            m.none_probability, m.matched_at, m.band, m.matcher_version, q.why
        from core.own_jobs o
        join core.integrations i using (customer_id)
        left join core.own_job_matches m using (customer_id, own_job_id, integration_id)
        left join marts.review_queue q using (customer_id, own_job_id, integration_id)
        where o.customer_id = %s
            and o.own_job_id = %s
            and i.integration_id = %s
        """,
        (customer_id, own_job_id, integration_id),
    ).fetchone()


def candidates(
    conn: Connection, *, customer_id: str, own_job_id: str, integration_id: str, limit: int = 5
) -> list[Row]:
    """Return the own job's best candidates that are not rejected, in order."""
    return conn.execute(
        """
        select kombo_job_id, rank, confidence, band, method, evidence, matcher_version
        from marts.match_candidates
        where customer_id = %s
            and own_job_id = %s
            and integration_id = %s
            and not rejected
        order by rank
        limit %s
        """,
        (customer_id, own_job_id, integration_id, limit),
    ).fetchall()


def ats_jobs(conn: Connection, *, integration_id: str, kombo_job_ids: Sequence[str], own_job_id: str) -> dict[str, Row]:
    """Return what a card shows of ATS jobs, by id: `linked_to` and `best_of` name up to three other own jobs."""
    rows = conn.execute(
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
                    select l.own_job_id, o.title, l.state, l.confirmed_by
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
    return {row["kombo_job_id"]: row for row in rows}


def search(
    conn: Connection, integration_id: str, *, words: Sequence[str], keys: Sequence[str], limit: int
) -> list[Row]:
    """Return ATS jobs of the integration that one of `keys` names, then those with every one of `words`.

    Open ones first. `keys` are written as in core.matchable_jobs.identifiers; words are part of its search text.
    """
    named, found = list[Row](), list[Row]()
    if keys:
        named = _found(conn, integration_id, sql.SQL("m.identifiers && %(given)s"), keys, limit=limit, first="")
    if words:
        patterns = [f"%{like_literal(word.lower())}%" for word in words]
        first = f"{like_literal(' '.join(words).lower())}%"
        every = sql.SQL("m.search_text like all (%(given)s)")
        found = _found(conn, integration_id, every, patterns, limit=limit, first=first)
    known = {row["kombo_job_id"] for row in named}
    together = named + [row for row in found if row["kombo_job_id"] not in known]
    return sorted(together, key=lambda row: row["lifecycle"] != "open")[:limit]


def _found(
    conn: Connection, integration_id: str, condition: sql.SQL, given: Sequence[str], *, limit: int, first: str
) -> list[Row]:
    # Whether a job has a vector tells nearly always whether it is open, without a look at its wide row.
    return conn.execute(
        sql.SQL(
            """
            select
                j.kombo_job_id, j.name,
                core.place(j) as place,
                j.job_code, j.remote_id, j.department, j.lifecycle
            from (
                select
                    kombo_job_id, title,
                    vector is null as is_shut,
                    search_text not like %(first)s as is_inside
                from core.matchable_jobs m
                where m.integration_id = %(integration)s
                    and {condition}
                order by is_shut, is_inside, title, kombo_job_id
                limit %(limit)s
            ) m
            join core.jobs j
                on j.integration_id = %(integration)s
                and j.kombo_job_id = m.kombo_job_id
            order by m.is_shut, m.is_inside, m.title, m.kombo_job_id
            """
        ).format(condition=condition),
        {"integration": integration_id, "given": list(given), "limit": limit, "first": first},
    ).fetchall()


def connections(conn: Connection) -> list[Row]:
    """Return the integrations that a queue may be narrowed to, with what is known of their matching."""
    return conn.execute(
        """
        select
            customer_id, integration_id,
            coalesce(organization_name, customer_id) as name,
            tool, fetch_state, matched_at, who_must_act, what_to_do
        from core.integrations
        where customer_id is not null
            and deleted_at is null
            and succeeded_by is null
        order by name, integration_id
        """
    ).fetchall()


def description(conn: Connection, integration_id: str, kombo_job_id: str) -> str | None:
    """Return the description of an ATS job, HTML as it came; None where there is no such job, or none of it."""
    row = conn.execute(
        """
        select description
        from core.jobs
        where integration_id = %s and kombo_job_id = %s
        """,
        (integration_id, kombo_job_id),
    ).fetchone()
    return row["description"] if row else None


def own_jobs_by_source(conn: Connection) -> dict[str, int]:
    """Return how many own jobs there are by source, withdrawn ones aside."""
    rows = conn.execute(
        """
        select source, count(*) as n
        from core.own_jobs
        where withdrawn_at is null
        group by source
        order by source
        """
    )
    return {row["source"]: row["n"] for row in rows}


def matched_own_jobs(conn: Connection) -> int:
    """Return how many own jobs matching has looked at in some integration."""
    row = conn.execute("""
        select count(distinct (customer_id, own_job_id)) as n
        from core.own_job_matches
        """).fetchone()
    assert row is not None
    return int(row["n"])


def collisions(conn: Connection, *, customer_id: str | None) -> list[Row]:
    """Return each own job whose identifier belongs to several ATS jobs, once for each of those that is not rejected.

    `others_named` says whether its identifiers name ATS jobs beside these, `wanted_by` how many other own jobs name
    this ATS job by an identifier or are linked to it.
    """
    return conn.execute(
        sql.SQL(
            """
            select
                q.customer_id, q.own_job_id, q.integration_id, q.title, q.reason, c.kombo_job_id,
                c.method, c.matcher_version, c.confidence, c.band, c.rank, c.evidence, j.name,
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
        ).format(newest=_NEWEST),
        {"customer": customer_id},
    ).fetchall()


_NEWEST: Final = sql.SQL(
    "(select coalesce(max(d.decision_id), 0) from core.link_decisions d where d.customer_id = q.customer_id "
    "and d.own_job_id = q.own_job_id and d.integration_id = q.integration_id)"
)


def resumable(conn: Connection, *, customer_id: str | None) -> list[Row]:
    """Return links that an identifier made and still would, whose ATS job is open again, neither job changed since.

    A link that no other own job shares, and whose resumption nobody took back.
    """
    return conn.execute(
        sql.SQL(
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
        ).format(newest=_NEWEST),
        {"customer": customer_id, "methods": list(IDENTIFIER_METHODS)},
    ).fetchall()
