"""Statements on core.sign_in_attempts."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from kombo_pipeline.db.connection import Connection

PRUNED_AT_ONCE = 100


class Budget(NamedTuple):
    """So many wrong passwords may be tried in so many seconds; `counted` says whose they are."""

    name: str
    counted: bytes
    limit: int
    seconds: int


def wait(conn: Connection, budgets: Sequence[Budget]) -> timedelta | None:
    """Return how long until all budgets allow an attempt again; None when they allow one now. Writes nothing."""
    row = conn.execute(
        """
        select max(a.ends_at - now()) as wait
        from unnest(%(names)s::text[], %(counted)s::bytea[], %(limits)s::int[]) b (budget, counted, allowed)
        join core.sign_in_attempts a using (budget, counted)
        where a.attempts >= b.allowed and a.ends_at > now()
        """,
        _columns(budgets),
    ).fetchone()
    return row["wait"] if row else None


def count(conn: Connection, budgets: Sequence[Budget]) -> timedelta | None:
    """Count an attempt in all budgets; return None when they allowed it, else how long to wait.

    Attempts at the same time wait for each other here. The caller rolls back what is not allowed, so that it counts
    in no budget.
    """
    rows = conn.execute(
        """
        insert into core.sign_in_attempts as a (budget, counted, attempts, ends_at)
        select b.budget, b.counted, 1, now() + b.seconds * interval '1 second'
        from unnest(%(names)s::text[], %(counted)s::bytea[], %(seconds)s::int[]) b (budget, counted, seconds)
        order by b.budget, b.counted
        on conflict (budget, counted) do update
        set
            attempts = case when a.ends_at > now() then a.attempts else 0 end + 1,
            ends_at = case when a.ends_at > now() then a.ends_at else excluded.ends_at end
        returning budget, attempts, ends_at - now() as wait
        """,
        _columns(budgets),
    ).fetchall()
    limits = {budget.name: budget.limit for budget in budgets}
    return max((row["wait"] for row in rows if row["attempts"] > limits[row["budget"]]), default=None)


def take_back(conn: Connection, budgets: Sequence[Budget]) -> None:
    """Take an attempt out of all budgets again: its password was right."""
    conn.execute(
        """
        update core.sign_in_attempts a
        set attempts = a.attempts - 1
        from (
            select s.budget, s.counted
            from core.sign_in_attempts s
            join unnest(%(names)s::text[], %(counted)s::bytea[]) b (budget, counted) using (budget, counted)
            order by s.budget, s.counted
            for update of s
        ) given
        where (a.budget, a.counted) = (given.budget, given.counted) and a.attempts > 0
        """,
        _columns(budgets),
    )


def prune(conn: Connection) -> None:
    """Delete rows whose time is over, more of them than an attempt adds."""
    conn.execute(
        """
        delete from core.sign_in_attempts a
        using (
            select budget, counted
            from core.sign_in_attempts
            where ends_at < now()
            order by ends_at
            limit %s
            for update skip locked
        ) over
        where (a.budget, a.counted) = (over.budget, over.counted)
        """,
        (PRUNED_AT_ONCE,),
    )


def _columns(budgets: Sequence[Budget]) -> dict[str, list[Any]]:
    return {
        "names": [budget.name for budget in budgets],
        "counted": [budget.counted for budget in budgets],
        "limits": [budget.limit for budget in budgets],
        "seconds": [budget.seconds for budget in budgets],
    }
