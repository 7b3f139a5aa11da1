"""Statements on core.held_closures: closures of so many jobs that a person must confirm them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.vocabulary import HoldDecision, HoldReason


@dataclass(frozen=True)
class HeldClosure:
    """A closure of jobs that waits, or waited, for a person's decision."""

    hold_id: int
    integration_id: str
    fetch_id: int
    reason: HoldReason
    kombo_job_ids: list[str]
    gone_at: list[datetime]
    """Since when each of `kombo_job_ids` is gone, in the same order."""
    open_jobs: int
    """How many jobs were open when it was held."""
    held_at: datetime


def hold(
    conn: Connection,
    *,
    integration_id: str,
    fetch_id: int,
    reason: HoldReason,
    gone_at: Mapping[str, datetime],
    open_jobs: int,
) -> None:
    """Hold a closure for a person's decision; an earlier one for the same reason is superseded unless it is equal.

    A set of jobs that a person has refused to close is not held again until one of its jobs has come back.
    """
    ids = sorted(gone_at)
    same = conn.execute(
        """
        select hold_id
        from core.held_closures
        where integration_id = %s
            and reason = %s
            and kombo_job_ids = %s
            and (decision is null or decision = 'refused' and returned_at is null)
        """,
        (integration_id, reason, ids),
    ).fetchone()
    if same:
        return
    supersede(conn, integration_id=integration_id, reason=reason)
    conn.execute(
        """
        insert into core.held_closures (integration_id, fetch_id, reason, kombo_job_ids, gone_at, open_jobs)
        values (%s, %s, %s, %s, %s::timestamptz[], %s)
        """,
        (integration_id, fetch_id, reason, ids, [gone_at[id_] for id_ in ids], open_jobs),
    )


def supersede(conn: Connection, *, integration_id: str, reason: HoldReason) -> None:
    """Mark a waiting hold as superseded: a later fetch has decided."""
    conn.execute(
        """
        update core.held_closures
        set decision = 'superseded', decided_at = now()
        where integration_id = %s and reason = %s and decision is null
        """,
        (integration_id, reason),
    )


def note_returned(conn: Connection, *, integration_id: str, fetch_id: int) -> None:
    """Note the refused holds of which a fetch has shown a job again as core.jobs has it.

    Such a refusal has served its purpose: the same set may be held again. The record that was held does not count, for
    it differs from core.jobs.
    """
    conn.execute(
        """
        update core.held_closures h
        set returned_at = now()
        where h.integration_id = %(integration)s
            and h.decision = 'refused'
            and h.returned_at is null
            and h.fetch_id < %(fetch)s
            and exists (
                select
                from raw.job_pages p
                cross join lateral unnest(p.record_ids, p.record_hashes) r (id, hash)
                join core.jobs j on j.kombo_job_id = r.id and j.record_hash = r.hash
                where p.fetch_id = %(fetch)s
                    and p.record_ids && h.kombo_job_ids
                    and r.id = any(h.kombo_job_ids)
                    and j.integration_id = h.integration_id
            )
        """,
        {"integration": integration_id, "fetch": fetch_id},
    )


def waiting(conn: Connection) -> list[HeldClosure]:
    """Return the holds that wait for a decision, oldest first."""
    with conn.cursor(row_factory=class_row(HeldClosure)) as cursor:
        return cursor.execute(
            """
            select hold_id, integration_id, fetch_id, reason, kombo_job_ids, gone_at, open_jobs, held_at
            from core.held_closures
            where decision is null
            order by hold_id
            """
        ).fetchall()


def decide(conn: Connection, hold_id: int, *, decision: HoldDecision, decided_by: str) -> HeldClosure | None:
    """Decide a waiting hold and return it; None when no hold of that id waits."""
    with conn.cursor(row_factory=class_row(HeldClosure)) as cursor:
        return cursor.execute(
            """
            update core.held_closures
            set decision = %s, decided_by = %s, decided_at = now()
            where hold_id = %s and decision is null
            returning hold_id, integration_id, fetch_id, reason, kombo_job_ids, gone_at, open_jobs, held_at
            """,
            (decision, decided_by, hold_id),
        ).fetchone()


def seen_since(conn: Connection, *, integration_id: str, fetch_id: int, kombo_job_ids: Sequence[str]) -> set[str]:
    """Return which of the jobs an applied fetch later than `fetch_id` has shown."""
    rows = conn.execute(
        "select id from core.seen_since(%s, %s, %s) as id", (integration_id, fetch_id, list(kombo_job_ids))
    )
    return {row["id"] for row in rows}
