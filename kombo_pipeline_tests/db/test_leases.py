"""Leases: one process does a work, a killed one is followed soon, a stalled one changes nothing any more."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from kombo_pipeline.db import leases
from kombo_pipeline.db.connection import Connection, connect
from kombo_pipeline.db.leases import Held, LeaseLostError, LeaseTakenError, hold

ACME, GLOBEX = "greenhouse:acme", "lever:globex"
WORKS = ("fetch", "apply", "rematch")


@pytest.fixture
def other(warehouse_url: str) -> Iterator[Connection]:
    """Another process's connection."""
    with connect(warehouse_url) as connection:
        yield connection


def rows(conn: Connection) -> list[tuple[str, str]]:
    conn.rollback()
    found = conn.execute("select integration_id, work from core.leases order by 1, 2").fetchall()
    conn.commit()
    return [(row["integration_id"], row["work"]) for row in found]


def expire(conn: Connection) -> None:
    conn.rollback()
    conn.execute("update core.leases set until = clock_timestamp() - interval '1 millisecond'")
    conn.commit()


def left_behind(conn: Connection, work: str = "fetch", run_id: str | None = None) -> Held:
    """The lease of a process that was killed."""
    held = Held(ACME, work, uuid4())
    leases.acquire(conn, held, run_id=run_id)
    conn.commit()
    return held


@pytest.mark.parametrize("work", WORKS)
def test_a_work_is_done_by_one_process_at_a_time(conn: Connection, other: Connection, work: str) -> None:
    with hold(conn, ACME, work, run_id="run-1"):
        with (
            pytest.raises(
                LeaseTakenError, match=rf"{work} of {ACME} is in work elsewhere: .*:{os.getpid()} \(run run-1\)"
            ),
            hold(other, ACME, work),
        ):
            pass
        for integration_id, another_work in [(ACME, each) for each in WORKS if each != work] + [(GLOBEX, work)]:
            with hold(other, integration_id, another_work):
                pass
        assert rows(other) == [(ACME, work)]
    with hold(other, ACME, work):
        pass
    assert rows(conn) == []


@pytest.mark.parametrize("failure", [ValueError("of ours"), KeyboardInterrupt(), psycopg.OperationalError("lost")])
def test_no_lease_is_left_behind_whatever_happens(conn: Connection, other: Connection, failure: BaseException) -> None:
    with pytest.raises(type(failure)), hold(conn, ACME, "fetch"):
        conn.execute("create table core.half_done ()")
        raise failure
    assert rows(other) == []
    assert other.execute("select to_regclass('core.half_done') as table").fetchone() == {"table": None}


def test_a_lease_is_given_back_although_the_connection_is_lost(conn: Connection, other: Connection) -> None:
    with pytest.raises(psycopg.OperationalError), hold(conn, ACME, "fetch"):
        other.execute("select pg_terminate_backend(%s)", (conn.info.backend_pid,))
        other.commit()
        conn.execute("select 1")
    assert rows(other) == []


def test_the_lease_of_a_killed_process_holds_until_it_expires_and_counts_as_an_attempt(
    conn: Connection, other: Connection
) -> None:
    left_behind(conn)
    with pytest.raises(LeaseTakenError), hold(other, ACME, "fetch"):
        pass
    for attempt in (2, 3):
        expire(conn)
        assert leases.live(conn) == []
        left_behind(other)
        found = leases.find(conn, ACME, "fetch")
        assert found is not None
        assert found.attempts == attempt
        assert found.until > found.acquired_at
    expire(conn)
    with hold(other, ACME, "fetch"):
        pass
    assert rows(conn) == []


def test_a_run_that_tries_again_takes_over_its_own_lease_and_that_of_a_run_that_has_ended(
    conn: Connection, other: Connection
) -> None:
    left_behind(conn, run_id="run-1")
    with hold(other, ACME, "fetch", run_id="run-1"):
        pass
    left_behind(conn, run_id="run-1")
    with pytest.raises(LeaseTakenError), hold(other, ACME, "fetch", run_id="run-2", ended_run="run-3"):
        pass
    with hold(other, ACME, "fetch", run_id="run-2", ended_run="run-1"):
        pass
    left_behind(conn, run_id=None)
    with pytest.raises(LeaseTakenError), hold(other, ACME, "fetch", run_id=None, ended_run=None):
        pass


def test_a_lease_is_renewed_while_a_long_statement_runs(
    conn: Connection, other: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "LEASE_SECONDS", 0.8)
    monkeypatch.setattr(leases, "RENEW_SECONDS", 0.1)
    with hold(conn, ACME, "fetch"):
        conn.execute("select pg_sleep(2)")
        assert [lease.work for lease in leases.live(other)] == ["fetch"]
        with pytest.raises(LeaseTakenError), hold(other, ACME, "fetch"):
            pass


def test_a_renewal_survives_a_lost_connection(
    conn: Connection, other: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "LEASE_SECONDS", 4.0)
    monkeypatch.setattr(leases, "RENEW_SECONDS", 0.1)
    others = (
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> all(%s)"
    )
    with hold(conn, ACME, "fetch"):
        time.sleep(0.4)
        other.execute(others, ([conn.info.backend_pid, other.info.backend_pid],))
        other.commit()
        time.sleep(1.5)
        before = leases.find(other, ACME, "fetch")
        other.commit()
        time.sleep(0.5)
        after = leases.find(other, ACME, "fetch")
        assert before is not None
        assert after is not None
        assert after.until > before.until


def test_a_process_that_was_taken_over_commits_nothing(conn: Connection, other: Connection) -> None:
    with pytest.raises(LeaseLostError, match="taken over by another process"), hold(conn, ACME, "apply") as lease:
        conn.execute("create table core.too_late ()")
        expire(other)
        left_behind(other, "apply")
        lease.confirm(conn)
        conn.commit()
    conn.rollback()
    assert conn.execute("select to_regclass('core.too_late') as table").fetchone() == {"table": None}
    assert rows(other) == [(ACME, "apply")], "the lease of who took over stays"


def test_an_expired_lease_that_nobody_took_over_still_may_commit(conn: Connection, other: Connection) -> None:
    with hold(conn, ACME, "apply") as lease:
        conn.execute("create table core.in_time ()")
        expire(other)
        lease.confirm(conn)
        conn.commit()
    assert other.execute("select to_regclass('core.in_time') is not null as there").fetchone() == {"there": True}


def test_nobody_takes_over_between_the_confirmation_and_the_commit(conn: Connection, other: Connection) -> None:
    outcome: list[Any] = []

    def take_over() -> None:
        try:
            leases.acquire(other, Held(ACME, "apply", uuid4()))
            outcome.append("taken")
        except LeaseTakenError as error:
            outcome.append(error)

    expire_by_itself = "update core.leases set until = clock_timestamp() - interval '1 second'"
    with hold(conn, ACME, "apply") as lease:
        conn.execute(expire_by_itself)
        conn.commit()
        lease.confirm(conn)
        thread = threading.Thread(target=take_over)
        thread.start()
        thread.join(timeout=0.5)
        assert outcome == [], "waits for the one that is about to commit"
        conn.commit()
        thread.join(timeout=10)
        assert outcome == ["taken"]
        other.rollback()


def test_what_another_process_keeps_locked_is_taken_and_not_waited_for_without_end(
    conn: Connection, other: Connection
) -> None:
    with hold(conn, ACME, "apply") as lease:
        lease.confirm(conn)
        began = time.monotonic()
        with pytest.raises(LeaseTakenError), hold(other, ACME, "apply"):
            pass
        assert time.monotonic() - began < 30
        conn.commit()


@pytest.mark.parametrize("at_once", [2, 5])
def test_of_many_that_ask_at_the_same_moment_one_gets_the_lease(warehouse_url: str, at_once: int) -> None:
    for begin_with_expired in (False, True):
        barrier, got = threading.Barrier(at_once), []

        def ask(barrier: threading.Barrier, got: list[bool]) -> None:
            with connect(warehouse_url) as conn:
                barrier.wait()
                try:
                    leases.acquire(conn, Held(ACME, "fetch", uuid4()))
                    conn.commit()
                    got.append(True)
                except LeaseTakenError:
                    got.append(False)

        threads = [threading.Thread(target=ask, args=(barrier, got)) for _ in range(at_once)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(got) == [False] * (at_once - 1) + [True], f"expired: {begin_with_expired}"
        with connect(warehouse_url) as conn:
            expire(conn)


def test_a_lease_needs_no_session(warehouse_url: str) -> None:
    """A pooler in transaction mode gives each transaction another session."""
    held = Held(ACME, "fetch", uuid4())
    with connect(warehouse_url) as first:
        leases.acquire(first, held)
    with connect(warehouse_url) as second:
        held.confirm(second)
        assert leases.renew(second, held)
    with connect(warehouse_url) as third:
        leases.release(third, held)
        assert leases.live(third) == []
        assert not leases.renew(third, held)
    with connect(warehouse_url) as conn, hold(conn, ACME, "fetch"):
        locks = "select count(*) as n from pg_locks where locktype = 'advisory'"
        assert conn.execute(locks).fetchone() == {"n": 0}


def test_leases_that_expired_long_ago_are_deleted_and_no_others(conn: Connection) -> None:
    left_behind(conn, "fetch")
    left_behind(conn, "apply")
    left_behind(conn, "rematch")
    conn.execute("update core.leases set until = now() - interval '25 hours' where work = 'fetch'")
    conn.execute("update core.leases set until = now() - interval '23 hours' where work = 'apply'")
    assert leases.delete_long_expired(conn) == 1
    conn.commit()
    assert rows(conn) == [(ACME, "apply"), (ACME, "rematch")]


WORKER = """
import sys, time
from kombo_pipeline.db import leases
from kombo_pipeline.db.connection import connect
leases.LEASE_SECONDS, leases.RENEW_SECONDS = 1.0, 0.2
with connect(sys.argv[1]) as conn, leases.hold(conn, "greenhouse:acme", "apply", run_id="killed") as lease:
    conn.execute("insert into core.integrations (integration_id, tool) values ('by:worker', 'late')")
    print("working", flush=True)
    sys.stdin.readline()
    lease.confirm(conn)
    conn.commit()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_killed_or_stopped_process_is_followed_as_soon_as_its_lease_expires(
    warehouse_url: str, conn: Connection, number: signal.Signals
) -> None:
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, warehouse_url],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert worker.stdout is not None
    try:
        assert worker.stdout.readline() == "working\n"
        time.sleep(1.5)
        with pytest.raises(LeaseTakenError, match="run killed"):
            leases.acquire(conn, Held(ACME, "apply", uuid4()))
        conn.rollback()
        worker.send_signal(number)
        time.sleep(1.5)
        with hold(conn, ACME, "apply"):
            worker.send_signal(signal.SIGCONT)
            _, told = worker.communicate("\n", timeout=20)
            if number == signal.SIGSTOP:
                assert "LeaseLostError" in told
            assert [lease.run_id for lease in leases.live(conn)] == [None]
        found = conn.execute("select from core.integrations where integration_id = 'by:worker'").fetchone()
        assert found is None, "nothing of it is stored"
    finally:
        worker.kill()
        worker.wait()
