"""Statements on core.link_notices, the outbox of what your product is told of links."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from kombo_pipeline.db.connection import Connection

Row = dict[str, Any]


def claim_due(conn: Connection, limit: int) -> list[Row]:
    """Lock the notices that are due, the longest due first; others that are being delivered are passed over.

    A notice whose link has an earlier one that still waits is not due: a link's notices go out in order.
    """
    return conn.execute(
        "select notice_id, payload, attempts from core.link_notices n where next_attempt_at <= now() "
        "and not exists (select from core.link_notices e where e.link_id = n.link_id and e.notice_seq < n.notice_seq "
        "and e.next_attempt_at is not null) order by next_attempt_at, notice_seq limit %s for update skip locked",
        (limit,),
    ).fetchall()


def mark_delivered(conn: Connection, notice_id: UUID) -> None:
    """Note that the receiver took a notice."""
    conn.execute(
        "update core.link_notices set attempts = attempts + 1, delivered_at = clock_timestamp(), "
        "next_attempt_at = null, last_error = null where notice_id = %s",
        (notice_id,),
    )


def mark_failed(conn: Connection, notice_id: UUID, *, error: str, retry_after: timedelta | None) -> None:
    """Note a failed attempt; without a time to the next one the notice is given up."""
    conn.execute(
        "update core.link_notices set attempts = attempts + 1, last_error = %(error)s, "
        "next_attempt_at = clock_timestamp() + %(retry_after)s::interval, "
        "dead_at = case when %(retry_after)s::interval is null then clock_timestamp() end "
        "where notice_id = %(notice)s",
        {"error": error, "retry_after": retry_after, "notice": notice_id},
    )


def give_up_unsent(conn: Connection, *, older_than: timedelta, error: str) -> int:
    """Give up the notices that nobody tried to send for so long; return how many.

    The first attempt is due at the very moment of writing, so one that a person asked for again is spared.
    """
    return conn.execute(
        "update core.link_notices set dead_at = now(), next_attempt_at = null, last_error = %s "
        "where next_attempt_at = created_at and created_at < now() - %s::interval and attempts = 0",
        (error, older_than),
    ).rowcount


def undelivered(conn: Connection, *, dead: bool, limit: int) -> list[Row]:
    """Return the notices that wait, or those that were given up, the oldest first."""
    return conn.execute(
        f"select * from marts.link_notices where {'dead_at' if dead else 'next_attempt_at'} is not null "  # noqa: S608
        "order by notice_seq limit %s",
        (limit,),
    ).fetchall()


def retry(conn: Connection, notice_id: UUID | None = None) -> int:
    """Make a notice due at once with all its attempts, or every one that was given up; return how many.

    One that was delivered is not sent again.
    """
    return conn.execute(
        "update core.link_notices set next_attempt_at = now(), dead_at = null, attempts = 0 "
        "where delivered_at is null and (notice_id = %(notice)s or %(notice)s::uuid is null and dead_at is not null)",
        {"notice": notice_id},
    ).rowcount


def of_links(conn: Connection, link_ids: list[int]) -> list[Row]:
    """Return the notices of some links, in order."""
    return conn.execute(
        "select * from core.link_notices where link_id = any(%s) order by notice_seq", (link_ids,)
    ).fetchall()
