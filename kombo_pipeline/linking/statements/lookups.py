"""Statements on core.lookups: who asks Kombo now, and how many requests a customer has left in this hour."""

from datetime import datetime
from typing import Final, Literal, NamedTuple

from psycopg.rows import class_row

from kombo_pipeline.db.connection import Connection

CUSTOMERS_AT_A_TIME: Final = 2
LONGEST_SECONDS: Final = 120
"""A lookup counts as ended after this, also where its process was killed."""


class Turn(NamedTuple):
    """Whether somebody may ask Kombo now."""

    lookup_id: int | None
    """The number of the lookup that has begun; None where nobody may ask now."""
    requests: int
    """How many requests it may make."""
    why_not: Literal["", "asking", "others ask", "used up"]
    again_at: datetime | None
    """When the oldest lookup of the hour no longer counts; None unless the requests are used up."""


def begin(conn: Connection, *, customer_id: str | None, asked_by: str, budget: int, most: int, at_a_time: int) -> Turn:
    """Begin a lookup of at most `most` requests to Kombo, or say why none may begin now.

    The same person or customer makes one lookup at a time, `at_a_time` customers make one each, and a customer has
    `budget` requests an hour. For staff, who have no customer id, only the first of these limits counts. The caller
    commits at once, because all other lookups wait for the commit.
    """
    conn.execute("lock table core.lookups in share row exclusive mode")
    conn.execute("""
        delete from core.lookups
        where started_at < clock_timestamp() - interval '1 day'
        """)
    with conn.cursor(row_factory=class_row(Turn)) as cursor:
        turn = cursor.execute(
            _BEGIN,
            {
                "customer": customer_id,
                "by": asked_by,
                "budget": budget,
                "most": most,
                "at_a_time": at_a_time,
                "seconds": LONGEST_SECONDS,
            },
        ).fetchone()
    assert turn is not None
    return turn


# The caller has locked the table: nobody else takes a turn meanwhile.
_BEGIN: Final = """
    with asking as (
        select l.customer_id, l.asked_by
        from core.lookups l
        where l.ended_at is null and l.until > clock_timestamp()
    ),
    used as (
        select coalesce(sum(l.requests), 0) as requests, min(l.started_at) + interval '1 hour' as again_at
        from core.lookups l
        where l.customer_id = %(customer)s
            and l.started_at > clock_timestamp() - interval '1 hour'
            and l.requests > 0
    ),
    state as (
        select
            case
                when %(customer)s::text is null then %(most)s
                else least(%(most)s, %(budget)s - used.requests)
            end as requests,
            used.again_at,
            exists (
                select
                from asking
                where asking.asked_by = %(by)s and asking.customer_id is not distinct from %(customer)s
            ) as is_asking,
            %(customer)s::text is not null and (
                select count(*) from asking where asking.customer_id is not null
            ) >= %(at_a_time)s as others_ask
        from used
    ),
    begun as (
        insert into core.lookups (customer_id, asked_by, until, requests)
        select %(customer)s, %(by)s, clock_timestamp() + make_interval(secs => %(seconds)s), state.requests
        from state
        where not state.is_asking and not state.others_ask and state.requests > 0
        returning lookup_id
    )
    select
        (select begun.lookup_id from begun) as lookup_id,
        greatest(state.requests, 0)::int as requests,
        case
            when state.is_asking then 'asking'
            when state.requests <= 0 then 'used up'
            when state.others_ask then 'others ask'
            else ''
        end as why_not,
        case when state.requests <= 0 then state.again_at end as again_at
    from state
"""


def end(conn: Connection, lookup_id: int, *, requests: int) -> None:
    """Give the turn back, with the number of requests that were made."""
    conn.execute(
        """
        update core.lookups
        set ended_at = clock_timestamp(), requests = %(requests)s
        where lookup_id = %(lookup)s
        """,
        {"lookup": lookup_id, "requests": requests},
    )
