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
    """Hold a closure for a person's decision; an earlier one for the same reason is superseded unless it is equal."""
    ids = sorted(gone_at)
    same = conn.execute(
        "select hold_id from core.held_closures where integration_id = %s and reason = %s and kombo_job_ids = %s "
        "and (decision is null or decision = 'refused')",
        (integration_id, reason, ids),
    ).fetchone()
    if same:
        return
    supersede(conn, integration_id=integration_id, reason=reason)
    conn.execute(
        "insert into core.held_closures (integration_id, fetch_id, reason, kombo_job_ids, gone_at, open_jobs) "
        "values (%s, %s, %s, %s, %s::timestamptz[], %s)",
        (integration_id, fetch_id, reason, ids, [gone_at[id_] for id_ in ids], open_jobs),
    )


def supersede(conn: Connection, *, integration_id: str, reason: str) -> None:
    """Withdraw a waiting hold that a later fetch has made void."""
    conn.execute(
        "update core.held_closures set decision = 'superseded', decided_at = now() "
        "where integration_id = %s and reason = %s and decision is null",
        (integration_id, reason),
    )


def waiting(conn: Connection) -> list[dict[str, Any]]:
    """Return the holds that wait for a decision, oldest first."""
    return conn.execute("select * from core.held_closures where decision is null order by hold_id").fetchall()


def decide(conn: Connection, hold_id: int, *, decision: str, decided_by: str) -> dict[str, Any] | None:
    """Decide a waiting hold and return it; None when there is none of that id."""
    return conn.execute(
        "update core.held_closures set decision = %s, decided_by = %s, decided_at = now() "
        "where hold_id = %s and decision is null returning *",
        (decision, decided_by, hold_id),
    ).fetchone()


def seen_since(conn: Connection, *, integration_id: str, fetch_id: int, kombo_job_ids: Sequence[str]) -> set[str]:
    """Return which of the jobs an applied fetch later than `fetch_id` has shown."""
    rows = conn.execute(
        "select id from core.seen_since(%s, %s, %s) as id", (integration_id, fetch_id, list(kombo_job_ids))
    )
    return {row["id"] for row in rows}
