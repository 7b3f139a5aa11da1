"""Statements on core.held_closures: closures too large to believe, which wait for a person."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from kombo_pipeline.db.connection import Connection


def hold(
    conn: Connection,
    *,
    integration_id: str,
    fetch_id: int,
    reason: str,
    gone_at: Mapping[str, datetime],
    open_jobs: int,
) -> None:
    """Hold a closure for a person's decision; an earlier one for the same reason is superseded unless it is equal.

    A set that a person has refused to close is not held again until one of its jobs has come back in between.
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


def supersede(conn: Connection, *, integration_id: str, reason: str) -> None:
    """Withdraw a waiting hold that a later fetch has made void."""
    conn.execute(
        """
        update core.held_closures
        set decision = 'superseded', decided_at = now()
        where integration_id = %s and reason = %s and decision is null
        """,
        (integration_id, reason),
    )


def note_returned(conn: Connection, *, integration_id: str, fetch_id: int) -> None:
    """Note the refused sets of which a fetch has shown a job as core.jobs has it: the refusal has served its purpose.

    The record that was held tells something else of the job than core.jobs, so it does not count.
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


def waiting(conn: Connection) -> list[dict[str, Any]]:
    """Return the holds that wait for a decision, oldest first."""
    return conn.execute(
        """
        select hold_id, integration_id, fetch_id, reason, kombo_job_ids, gone_at, open_jobs, held_at
        from core.held_closures
        where decision is null
        order by hold_id
        """
    ).fetchall()


def decide(conn: Connection, hold_id: int, *, decision: str, decided_by: str) -> dict[str, Any] | None:
    """Decide a waiting hold and return it; None when there is none of that id."""
    return conn.execute(
        """
        update core.held_closures
        set decision = %s, decided_by = %s, decided_at = now()
        where hold_id = %s and decision is null
        returning hold_id, integration_id, fetch_id, reason, kombo_job_ids, gone_at
        """,
        (decision, decided_by, hold_id),
    ).fetchone()


def seen_since(conn: Connection, *, integration_id: str, fetch_id: int, kombo_job_ids: Sequence[str]) -> set[str]:
    """Return which of the jobs an applied fetch later than `fetch_id` has shown."""
    rows = conn.execute(
        "select id from core.seen_since(%s, %s, %s) as id", (integration_id, fetch_id, list(kombo_job_ids))
    )
    return {row["id"] for row in rows}
