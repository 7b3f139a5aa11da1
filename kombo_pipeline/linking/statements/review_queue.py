"""The queue of own jobs that wait for a person's answer (marts.review_queue)."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, NamedTuple

from psycopg import sql
from psycopg.rows import class_row

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.db.queries import number
from kombo_pipeline.linking.own_job_key import OwnJobKey, own_job_key
from kombo_pipeline.vocabulary import Band, ReviewReason, Source

Order = Literal["strongest", "oldest", "informative"]


class WaitingJob(NamedTuple):
    """An own job that waits for a person's answer, and by what queues are filtered and sorted."""

    customer_id: str
    own_job_id: str
    integration_id: str
    why: ReviewReason
    band: Band | None
    source: Source
    created_at: datetime
    confidence: float | None
    """Of the first candidate; None without candidates."""
    margin: float | None
    """How much more confidence the first candidate has than the second; None without candidates."""

    @property
    def key(self) -> OwnJobKey:
        """The own job and the integration."""
        return own_job_key(self)


@dataclass(frozen=True, kw_only=True)
class Queue:
    """Which own jobs are asked for; None matches everything, but for `why`: None leaves out the unlikely ones."""

    customer_id: str | None = None
    integration_id: str | None = None
    band: Band | None = None
    why: ReviewReason | None = None
    source: Source | None = None
    days: int | None = None
    """Own jobs that came at least this many days ago."""
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
        """Return by what own jobs are sorted into the queue's order."""
        match self.order:
            case "strongest":
                return (job.confidence is None, -(job.confidence or 0.0), job.key)
            case "oldest":
                return (job.created_at, job.key)
            case "informative":
                # Where the first two candidates are close, an answer teaches the matcher most.
                return (job.margin is None, job.margin, job.key)


_WAITING: Final = sql.SQL(
    """
    select
        w.customer_id, w.own_job_id, w.integration_id, w.why, w.band, w.source, w.created_at,
        w.confidence,
        w.confidence - coalesce(c.confidence, 0) as margin
    from marts.review_queue w
    left join core.job_match_candidates c
        on c.customer_id = w.customer_id
        and c.own_job_id = w.own_job_id
        and c.integration_id = w.integration_id
        and c.rank = 2
    """
)
_OF_OWN_JOB: Final = sql.SQL(
    """
    {waiting}
    where w.customer_id = %(customer_id)s
        and w.own_job_id = %(own_job_id)s
        and w.integration_id = %(integration_id)s
    """
)


def waiting(conn: Connection) -> list[WaitingJob]:
    """Return every own job that waits."""
    with conn.cursor(row_factory=class_row(WaitingJob)) as cursor:
        return cursor.execute(_WAITING).fetchall()


def waiting_job(conn: Connection, key: OwnJobKey) -> WaitingJob | None:
    """Return an own job as it waits now; None when it does not."""
    with conn.cursor(row_factory=class_row(WaitingJob)) as cursor:
        return cursor.execute(_OF_OWN_JOB.format(waiting=_WAITING), key._asdict()).fetchone()


def own_jobs_by_source(conn: Connection) -> dict[Source, int]:
    """Return how many own jobs there are by source, without the withdrawn ones."""
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
    """Return how many own jobs have been matched in some integration."""
    return number(
        conn,
        """
        select count(distinct (customer_id, own_job_id)) as n
        from core.own_job_matches
        """,
    )
