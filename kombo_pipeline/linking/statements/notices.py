"""Statements on core.notices, the outbox of what your product is told."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from psycopg.rows import class_row

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.linking.own_job_key import OwnJobKey
from kombo_pipeline.vocabulary import LinkReason, NoTargetReason, NoticeType


class DueNotice(NamedTuple):
    """A notice that is to be sent now."""

    notice_id: UUID
    payload: Mapping[str, Any]
    """What is sent, as JSON."""
    attempts: int
    """How often it was tried before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class UndeliveredNotice:
    """A notice that waits or was given up, and what it is about."""

    notice_id: UUID
    type: NoticeType
    link_id: int | None
    customer_id: str | None
    own_job_id: str | None
    integration_id: str
    kombo_job_id: str | None
    attempts: int
    next_attempt_at: datetime | None
    """When it is tried next; None where it was given up."""
    last_error: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class NoticeOfLink:
    """A notice of a link, or of its own job as an application target, and whether it was delivered."""

    sequence: int
    type: NoticeType
    notice_id: UUID
    reason: LinkReason | NoTargetReason | None
    created_at: datetime
    attempts: int
    next_attempt_at: datetime | None
    delivered_at: datetime | None
    dead_at: datetime | None
    """When it was given up."""
    last_error: str | None


def claim_due(conn: Connection, limit: int) -> list[DueNotice]:
    """Lock the notices that are due and return them, the longest due first; those that others deliver are left out.

    A notice is not due while an earlier one with the same ordering key waits: notices about one own job go out in
    order. A notice that was given up does not wait, so it holds no other back.
    """
    with conn.cursor(row_factory=class_row(DueNotice)) as cursor:
        return cursor.execute(
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
    """Give up the notices that nobody has tried to send for as long as `older_than`; return how many.

    Of these the first attempt is still due at the moment of writing. A notice that a person has asked for again is due
    later, so it is not given up here.
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


def undelivered(conn: Connection, *, dead: bool, limit: int) -> list[UndeliveredNotice]:
    """Return the notices that wait, or with `dead` those that were given up, the oldest first."""
    with conn.cursor(row_factory=class_row(UndeliveredNotice)) as cursor:
        return cursor.execute(
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
    """Make a notice due at once, or without an id every notice that was given up; return how many.

    Each has all its attempts again. A notice that was delivered is not sent again.
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


def of_link(conn: Connection, key: OwnJobKey, *, link_id: int, kombo_job_id: str) -> list[NoticeOfLink]:
    """Return the notices of a link, and those of its own job as a target of its ATS job, in order."""
    with conn.cursor(row_factory=class_row(NoticeOfLink)) as cursor:
        return cursor.execute(
            """
            select
                sequence, type, notice_id, reason, created_at, attempts, next_attempt_at, delivered_at, dead_at,
                last_error
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
            {**key._asdict(), "link_id": link_id, "kombo_job_id": kombo_job_id},
        ).fetchall()
