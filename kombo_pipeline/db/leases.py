"""Leases: who works on an integration now, so that two processes never do the same work at once.

A lease is a row of core.leases with an end that its owner keeps moving on. A process that is killed stops to do so,
and another takes over as soon as the lease has expired. Nothing hangs on a session, so it works through a pooler, and
nothing hangs on the clocks of the machines: only the database tells the time.
"""

import logging
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid4

import psycopg
from psycopg.rows import class_row

from kombo_pipeline.db.connection import Connection

logger = logging.getLogger(__name__)

LEASE_SECONDS: Final = 30.0
"""How long a lease outlives its last renewal: what a killed process costs before another takes over."""
RENEW_SECONDS: Final = 7.0
"""Several renewals may fail, or be late, before a lease expires."""
IDLE_LIMIT: Final = "2min"
"""A process that stands still inside a transaction keeps its locks from whoever took over: the server ends it then."""


@dataclass(frozen=True)
class Lease:
    """A row of core.leases."""

    integration_id: str
    work: str
    owner: UUID
    held_by: str
    run_id: str | None
    acquired_at: datetime
    until: datetime
    attempts: int
    is_live: bool
    """Whether it has not expired, by the clock of the database."""


class LeaseTakenError(RuntimeError):
    """Another process does this work; ask again in some seconds."""

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        run = f" (run {lease.run_id})" if lease.run_id else ""
        super().__init__(
            f"The {lease.work} of {lease.integration_id} is in work elsewhere: {lease.held_by}{run}, since "
            f"{lease.acquired_at:%Y-%m-%d %H:%M:%S} UTC. Try again in half a minute."
        )


class LeaseLostError(RuntimeError):
    """This process stood still for so long that another one took its work over; nothing of it was stored."""


@dataclass(frozen=True)
class Held:
    """A lease of this process."""

    integration_id: str
    work: str
    owner: UUID

    def confirm(self, conn: Connection) -> None:
        """Make sure, before a commit, that the work is still this process's; nobody takes it over until the commit.

        Raises LeaseLostError when another process took it over.
        """
        mine = conn.execute(
            """
            select
            from core.leases
            where integration_id = %s
                and work = %s
                and owner = %s
            for update
            """,
            (self.integration_id, self.work, self.owner),
        ).fetchone()
        if mine is None:
            raise LeaseLostError(
                f"The {self.work} of {self.integration_id} was taken over by another process, because this one stood "
                "still too long. Nothing of it was stored here; the other process does the work."
            )


@contextmanager
def hold(
    conn: Connection, integration_id: str, work: str, *, run_id: str | None = None, ended_run: str | None = None
) -> Iterator[Held]:
    """Hold a lease for a block that may span several transactions of `conn`.

    It is renewed meanwhile over a connection of its own, so a long statement does not let it expire. A lease of the
    same run, or of `ended_run`, is taken over at once. Raises LeaseTakenError when another process holds the lease.
    """
    held, stop, parameters = Held(integration_id, work, uuid4()), threading.Event(), _parameters(conn)
    renewal = threading.Thread(target=_renew, args=(parameters, held, stop), name=f"lease {work}", daemon=True)
    try:
        acquire(conn, held, run_id=run_id, ended_run=ended_run)
        conn.commit()
        renewal.start()
        yield held
    except LeaseTakenError:
        conn.rollback()
        raise
    except BaseException:
        stop.set()
        _give_back(conn, held, parameters)
        raise
    else:
        stop.set()
        _give_back(conn, held, parameters)


def acquire(conn: Connection, held: Held, *, run_id: str | None = None, ended_run: str | None = None) -> None:
    """Take a lease in the caller's transaction; raises LeaseTakenError when another process holds it."""
    taken = find(conn, held.integration_id, held.work)
    if taken is not None and taken.is_live and taken.run_id not in {run_id, ended_run} - {None}:
        raise LeaseTakenError(taken)
    # The row is locked from here on: for an instant, or the process stands still, which nobody shall wait for.
    conn.execute("select set_config('lock_timeout', '5s', true)")
    limit_idle_time(conn, "10s")
    for _ in range(3):
        try:
            with conn.transaction():
                row = _insert(conn, held, run_id=run_id, ended_run=ended_run)
        except psycopg.errors.LockNotAvailable:
            row = None
        if row is not None:
            return
        # One that was released in between is free now.
        if (taken := find(conn, held.integration_id, held.work)) is not None:
            raise LeaseTakenError(taken)
    raise RuntimeError(f"The lease of the {held.work} of {held.integration_id} can neither be taken nor seen")


def _insert(conn: Connection, held: Held, *, run_id: str | None, ended_run: str | None) -> dict[str, Any] | None:
    return conn.execute(
        """
        insert into core.leases as held (integration_id, work, owner, held_by, run_id, until)
        values (
            %(integration_id)s, %(work)s, %(owner)s, %(held_by)s, %(run_id)s,
            clock_timestamp() + make_interval(secs => %(seconds)s)
        )
        on conflict (integration_id, work) do update
        set owner = excluded.owner,
            held_by = excluded.held_by,
            run_id = excluded.run_id,
            acquired_at = clock_timestamp(),
            until = excluded.until,
            attempts = held.attempts + 1
        where held.until < clock_timestamp()
            or held.run_id in (%(run_id)s, %(ended_run)s)
        returning owner
        """,
        {
            "integration_id": held.integration_id,
            "work": held.work,
            "owner": held.owner,
            "held_by": f"{socket.gethostname()}:{os.getpid()}",
            "run_id": run_id,
            "ended_run": ended_run,
            "seconds": LEASE_SECONDS,
        },
    ).fetchone()


def renew(conn: psycopg.Connection[Any], held: Held) -> bool:
    """Move the end of a lease on; return False when another process took it over or it was released."""
    return bool(
        conn.execute(
            """
            update core.leases
            set until = clock_timestamp() + make_interval(secs => %s)
            where integration_id = %s
                and work = %s
                and owner = %s
            """,
            (LEASE_SECONDS, held.integration_id, held.work, held.owner),
        ).rowcount
    )


def release(conn: psycopg.Connection[Any], held: Held) -> None:
    """Give a lease back; one that another process took over stays."""
    conn.execute(
        """
        delete from core.leases
        where integration_id = %s
            and work = %s
            and owner = %s
        """,
        (held.integration_id, held.work, held.owner),
    )


def find(conn: Connection, integration_id: str, work: str) -> Lease | None:
    """Return a lease, whether it has expired or not; None when nobody took it."""
    with conn.cursor(row_factory=class_row(Lease)) as cursor:
        return cursor.execute(
            """
            select
                integration_id, work, owner, held_by, run_id, acquired_at, until, attempts,
                until >= clock_timestamp() as is_live
            from core.leases
            where integration_id = %s
                and work = %s
            """,
            (integration_id, work),
        ).fetchone()


def live(conn: Connection) -> list[Lease]:
    """Return the leases that have not expired: what is in work."""
    with conn.cursor(row_factory=class_row(Lease)) as cursor:
        return cursor.execute(
            """
            select
                integration_id, work, owner, held_by, run_id, acquired_at, until, attempts,
                until >= clock_timestamp() as is_live
            from core.leases
            where until >= clock_timestamp()
            order by integration_id, work
            """
        ).fetchall()


def delete_long_expired(conn: Connection) -> int:
    """Delete the leases that expired a day ago and that nobody took over; return how many."""
    return conn.execute(
        """
        delete from core.leases
        where until < clock_timestamp() - interval '1 day'
        """
    ).rowcount


def limit_idle_time(conn: Connection, limit: str = IDLE_LIMIT) -> None:
    """Let the server end this transaction when the process stands still in it; see IDLE_LIMIT."""
    conn.execute("select set_config('idle_in_transaction_session_timeout', %s, true)", (limit,))


def _renew(parameters: dict[str, Any], held: Held, stop: threading.Event) -> None:
    """Renew a lease until `stop` is set; whatever fails is tried again soon, over a new connection."""
    conn: psycopg.Connection[Any] | None = None
    pause = RENEW_SECONDS
    try:
        while not stop.wait(pause):
            try:
                conn = conn or _connect(parameters)
                pause = RENEW_SECONDS
                if not renew(conn, held) and not stop.is_set():
                    logger.warning(
                        "The %s of %s was taken over by another process; this one will store nothing more of it",
                        held.work,
                        held.integration_id,
                    )
                    return
            except psycopg.Error as error:
                logger.warning("The lease of %s cannot be renewed, tried again: %s", held.integration_id, error)
                pause = 1.0
                if conn is not None:
                    conn.close()
                conn = None
    finally:
        if conn is not None:
            conn.close()


def _give_back(conn: Connection, held: Held, parameters: dict[str, Any]) -> None:
    """Release a lease whatever has become of the connection; what cannot be released expires by itself."""
    with suppress(psycopg.Error):
        conn.rollback()
        release(conn, held)
        conn.commit()
        return
    try:
        with _connect(parameters) as another:
            release(another, held)
    except psycopg.Error as error:
        logger.warning("The lease of %s could not be given back and expires by itself: %s", held.integration_id, error)


def _parameters(conn: Connection) -> dict[str, Any]:
    """Return with what a connection was made, for another one like it."""
    password = {"password": conn.info.password} if conn.info.password else {}
    return {**conn.info.get_parameters(), **password}


def _connect(parameters: dict[str, Any]) -> psycopg.Connection[Any]:
    return psycopg.connect(**{**parameters, "connect_timeout": 5}, autocommit=True, prepare_threshold=None)
