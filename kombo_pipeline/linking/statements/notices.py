"""Statements on core.notices, the outbox of what your product is told."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from kombo_pipeline.db.connection import Connection

Row = dict[str, Any]


def claim_due(conn: Connection, limit: int) -> list[Row]:
    """Lock the notices that are due, the longest due first; others that are being delivered are passed over.

    A notice is not due while an earlier one of its ordering key waits: notices about one own job go out in order. One
    that was given up does not wait, so it holds nothing back.
    """
    return conn.execute(
        """
        select notice_id, payload, attempts
        from core.notices n
        where next_attempt_at <= now()
            and not exists (
                select
                from core.notices e
                where e.ordering_key = n.ordering_key and e.sequence < n.sequence and e.next_attempt_at is not null
            )
        order by next_attempt_at, sequence
        limit %s
        for update skip locked
        """,
        (limit,),
    ).fetchall()


def mark_delivered(conn: Connection, notice_id: UUID) -> None:
    """Note that the receiver took a notice."""
    conn.execute(
        """
        update core.notices
        set
            attempts = attempts + 1,
            delivered_at = clock_timestamp(),
            next_attempt_at = null,
            last_error = null
        where notice_id = %s
        """,
        (notice_id,),
    )


def mark_failed(conn: Connection, notice_id: UUID, *, error: str, retry_after: timedelta | None) -> None:
    """Note a failed attempt; without a time to the next one the notice is given up."""
    conn.execute(
        """
        update core.notices
        set
            attempts = attempts + 1,
            last_error = %(error)s,
            next_attempt_at = clock_timestamp() + %(retry_after)s::interval,
            dead_at = case when %(retry_after)s::interval is null then clock_timestamp() end
        where notice_id = %(notice)s
        """,
        {"error": error, "retry_after": retry_after, "notice": notice_id},
    )


def give_up_unsent(conn: Connection, *, older_than: timedelta, error: str) -> int:
    """Give up the notices that nobody tried to send for so long; return how many.

    The first attempt is due at the very moment of writing, so one that a person asked for again is spared.
    """
    return conn.execute(
        """
        update core.notices
        set dead_at = now(), next_attempt_at = null, last_error = %s
        where next_attempt_at = created_at
            and created_at < now() - %s::interval
            and attempts = 0
        """,
        (error, older_than),
    ).rowcount


def undelivered(conn: Connection, *, dead: bool, limit: int) -> list[Row]:
    """Return the notices that wait, or those that were given up, the oldest first."""
    return conn.execute(
        """
        select
            notice_id, type, link_id, customer_id, own_job_id, integration_id, kombo_job_id, attempts,
            next_attempt_at, last_error
        from marts.notices
        where case when %s then dead_at else next_attempt_at end is not null
        order by sequence
        limit %s
        """,
        (dead, limit),
    ).fetchall()


def retry(conn: Connection, notice_id: UUID | None = None) -> int:
    """Make a notice due at once with all its attempts, or every one that was given up; return how many.

    One that was delivered is not sent again.
    """
    return conn.execute(
        """
        update core.notices
        set next_attempt_at = now(), dead_at = null, attempts = 0
        where delivered_at is null
            and (notice_id = %(notice)s or %(notice)s::uuid is null and dead_at is not null)
        """,
        {"notice": notice_id},
    ).rowcount


def of_link(conn: Connection, link: Mapping[str, Any]) -> list[Row]:
    """Return the notices of a link, and those of its own job as a target of its ATS job, in order."""
    return conn.execute(
        """
        select
            sequence, type, notice_id, reason, created_at, attempts, next_attempt_at, delivered_at, dead_at, last_error
        from marts.notices
        where notice_id in (
                select n.notice_id
                from core.notices n
                where n.ordering_key = core.ordering_key(%(customer_id)s, %(own_job_id)s, null, null)
            )
            and (
                link_id = %(link_id)s
                or link_id is null and integration_id = %(integration_id)s and kombo_job_id = %(kombo_job_id)s
            )
        order by sequence
        """,
        link,
    ).fetchall()
