"""What an older version of the code has read is read again after an upgrade: from the landed pages, without a fetch."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from kombo_pipeline.db import leases
from kombo_pipeline.db.connection import Connection, connect
from kombo_pipeline.guard import HELD_ABOVE_JOBS
from kombo_pipeline.ingest import apply, renewal
from kombo_pipeline.kombo.record import RECORD_RULE
from kombo_pipeline.kombo.responses import read_page
from kombo_pipeline_tests.ingest.model import (
    Customer,
    Record,
    Served,
    assert_equals_kombo,
    assert_history_has_no_gap,
    picture,
    stored,
)
from kombo_pipeline_tests.ingest.oddities import make_targets, odd

NEWER = RECORD_RULE + 1
# Columns that an older version may not have known, or have read otherwise.
OLDER_READING = {
    "text": "department = null",
    "number": "salary_amount_from = null, salary_amount_to = 7",
    "json": "custom_fields = null",
    "what no column knew": "post_url = null, unknown_fields = "
    "case when post_url <> '' then jsonb_build_object('post_url', post_url) end",
    "instant": "opened_at = null",
}


@pytest.fixture
def acme(conn: Connection, served: Served) -> Iterator[Customer]:
    """A customer whose jobs came by a full fetch and by incremental ones."""
    customer = Customer(conn, served, jobs=25)
    customer.fetch()
    for _ in range(2):
        for job_id in customer.ids()[:5]:
            customer.world.edit_job(customer.id, job_id)
        customer.world.clock.advance(timedelta(hours=1))
        customer.sync_and_fetch()
    yield customer
    conn.rollback()


@pytest.fixture
def newer_code(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (apply, renewal):
        monkeypatch.setattr(module, "RECORD_RULE", NEWER)


@contextmanager
def older_code() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as older:
        older.setattr(apply, "RECORD_RULE", RECORD_RULE)
        yield


def history(acme: Customer) -> list[Record]:
    return acme.conn.execute(
        "select kombo_job_id, field, old_value, new_value from core.job_changes order by change_id"
    ).fetchall()


def renew(acme: Customer, **options: Any) -> tuple[int, int]:
    done = renewal.work_off(acme.conn, **{"seconds": 60, **options})
    acme.conn.commit()
    return done


@pytest.mark.parametrize("reading", list(OLDER_READING))
def test_a_field_that_newer_code_reads_reaches_jobs_that_did_not_change(
    acme: Customer, newer_code: None, monkeypatch: pytest.MonkeyPatch, reading: str
) -> None:
    monkeypatch.setattr(renewal, "AT_ONCE", 10)
    before, changes = stored(acme.conn, acme.id), history(acme)
    watermark = acme.integration()["kombo_last_sync_started_at"]
    acme.conn.execute(f"update core.jobs set {OLDER_READING[reading]}")
    older = stored(acme.conn, acme.id)
    differing = {job for job in before if before[job] != older[job]}
    assert differing
    acme.conn.commit()
    requests = len(acme.world.requests)
    assert renew(acme) == (25, 0)
    assert stored(acme.conn, acme.id) == before
    assert_equals_kombo(acme)
    assert len(acme.world.requests) == requests, "no fetch"
    assert acme.integration()["kombo_last_sync_started_at"] == watermark
    # What changed is told, and nothing else.
    assert {row["kombo_job_id"] for row in history(acme)[len(changes) :]} == differing
    assert acme.sync_and_fetch(full=True).changed == 0
    assert renew(acme) == (0, 0)


def test_what_did_not_change_with_the_rule_writes_no_history(acme: Customer, newer_code: None) -> None:
    before, changes = picture(acme.conn), history(acme)
    assert renew(acme) == (25, 0)
    assert picture(acme.conn) == before
    assert history(acme) == changes


def test_nested_lists_are_read_again_too(acme: Customer, newer_code: None) -> None:
    before = stored(acme.conn, acme.id)
    acme.conn.execute("update core.job_stages set name = null")
    acme.conn.execute("delete from core.job_postings")
    acme.conn.commit()
    renew(acme)
    assert stored(acme.conn, acme.id) == before


def test_jobs_that_ended_stay_as_they_are(acme: Customer, newer_code: None) -> None:
    deleted, closed, vanished = acme.open_ids()[:3]
    acme.world.delete_job(acme.id, vanished)
    acme.world.sync(acme.id)
    acme.world.clock.advance(timedelta(days=20))
    acme.world.purge(acme.id)
    acme.distort(closed, status="CLOSED")
    acme.distort(deleted, remote_deleted_at="2026-09-01T08:00:00.000Z")
    acme.sync_and_fetch(full=True)
    lifecycles = acme.lifecycles()
    assert [lifecycles[job] for job in (deleted, closed, vanished)] == ["deleted", "closed", "vanished"]
    renew(acme)
    assert acme.lifecycles() == lifecycles
    assert_history_has_no_gap(acme.conn)


def test_a_closure_that_waits_for_a_person_goes_on_waiting(
    acme: Customer, newer_code: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest landed record of each job is a tombstone then, which a small batch would apply."""
    monkeypatch.setattr(renewal, "AT_ONCE", HELD_ABOVE_JOBS)
    open_ids = acme.open_ids()
    assert len(open_ids) > HELD_ABOVE_JOBS
    acme.world.disable_jobs_model(acme.id)
    acme.world.clock.advance(timedelta(hours=1))
    with older_code():
        assert acme.sync_and_fetch().held == len(open_ids)
    hold = acme.hold()
    assert renew(acme) == (25, 0)
    assert (acme.open_ids(), acme.hold()) == (open_ids, hold)


def test_an_integration_that_is_gone_is_left_alone_and_not_due_for_ever(acme: Customer, newer_code: None) -> None:
    acme.conn.execute("update core.integrations set deleted_at = now()")
    acme.conn.commit()
    before = picture(acme.conn)
    assert renew(acme) == (0, 0)
    assert picture(acme.conn)["core.job_changes"] == before["core.job_changes"]


def test_a_job_whose_record_was_pruned_is_applied_at_its_next_sighting(acme: Customer, newer_code: None) -> None:
    before = stored(acme.conn, acme.id)
    acme.conn.execute("delete from raw.job_pages")
    acme.conn.execute("update core.jobs set department = 'old'")
    acme.conn.commit()
    assert renew(acme) == (0, 0)
    acme.world.clock.advance(timedelta(hours=1))
    assert acme.sync_and_fetch(full=True).changed == 25
    assert stored(acme.conn, acme.id) == before


def test_a_record_that_older_code_could_not_read_leaves_quarantine_without_a_person(
    acme: Customer, newer_code: None
) -> None:
    before, job_id = stored(acme.conn, acme.id), acme.open_ids()[0]
    older_code_could_not_read(acme, job_id, "job_code")
    older_code_could_not_read(acme, acme.open_ids()[1], "name")
    assert len(acme.quarantined()) == 2
    renew(acme)
    assert acme.quarantined() == []
    assert stored(acme.conn, acme.id) == before


def test_a_record_that_newer_code_cannot_read_either_stays_in_quarantine_once(acme: Customer, newer_code: None) -> None:
    with older_code():
        acme.answer([odd(acme.kombo_job(acme.open_ids()[0]) | {"id": "odd"}, key="job_code", text=b"4711")])
        acme.fetch()
    [before] = acme.quarantined()
    renew(acme)
    [after] = acme.quarantined()
    assert (after["quarantine_id"], after["reason"]) == (before["quarantine_id"], before["reason"])
    assert acme.job("odd")["unreadable_fields"].keys() == {"job_code"}
    assert acme.integration()["record_rule"] == NEWER


def older_code_could_not_read(acme: Customer, job_id: str, field: str) -> None:
    fetch_id = acme.job(job_id)["last_fetch_id"]
    acme.conn.execute(
        "insert into raw.quarantined_records "
        "(integration_id, kombo_job_id, fetch_id, page_number, record_hash, record, reason) "
        "select integration_id, kombo_job_id, %s, 1, record_hash, %b, 'odd' from core.jobs where kombo_job_id = %s",
        (fetch_id, landed_record(acme, job_id), job_id),
    )
    acme.conn.execute(
        f"update core.jobs set {field} = null, unreadable_fields = %s where kombo_job_id = %s",
        (json.dumps({field: "odd"}), job_id),
    )
    acme.conn.commit()


def landed_record(acme: Customer, job_id: str) -> bytes:
    rows = acme.conn.execute(
        "select body from raw.job_pages where %s = any(record_ids) order by fetch_id desc", (job_id,)
    )
    records = [bytes(record) for row in rows for record in read_page(row["body"])]
    return next(record for record in records if json.loads(record)["id"] == job_id)


def test_what_older_code_writes_during_the_upgrade_is_due_again(acme: Customer, newer_code: None) -> None:
    renew(acme)
    job_id = acme.open_ids()[0]
    acme.distort(job_id, department="New")
    with older_code():
        acme.world.clock.advance(timedelta(hours=1))
        assert acme.sync_and_fetch(full=True).changed == 1
    assert acme.integration()["record_rule"] == RECORD_RULE
    acme.conn.execute("update core.jobs set category = 'as older code reads it' where kombo_job_id = %s", (job_id,))
    acme.conn.commit()
    assert renew(acme) == (1, 0)
    assert acme.job(job_id)["category"] != "as older code reads it"
    assert acme.integration()["record_rule"] == NEWER


def test_a_link_follows_its_job_in_the_transaction_that_reads_it_again(acme: Customer, newer_code: None) -> None:
    job_id = acme.open_ids()[0]
    acme.distort(job_id, status="CLOSED")
    acme.world.clock.advance(timedelta(hours=1))
    with older_code():
        acme.sync_and_fetch(full=True)
    acme.conn.execute("update core.jobs set status = 'OPEN' where kombo_job_id = %s", (job_id,))
    make_targets(acme, [job_id])
    acme.conn.commit()
    renew(acme)
    link = acme.conn.execute("select state, reason from core.job_links").fetchone()
    assert link == {"state": "suspended", "reason": "closed"}


def test_a_link_follows_a_job_whose_record_is_not_kept(acme: Customer, newer_code: None) -> None:
    """As after a migration that tells a lifecycle otherwise."""
    job_id = acme.open_ids()[0]
    make_targets(acme, [job_id])
    acme.conn.execute("update core.jobs set status = 'ARCHIVED' where kombo_job_id = %s", (job_id,))
    acme.conn.execute("delete from raw.job_pages")
    acme.conn.commit()
    renew(acme)
    link = acme.conn.execute("select state, reason from core.job_links").fetchone()
    assert link == {"state": "suspended", "reason": "archived"}


def test_one_integration_that_fails_or_is_in_work_keeps_no_other_waiting(
    acme: Customer, served: Served, newer_code: None, monkeypatch: pytest.MonkeyPatch, warehouse_url: str
) -> None:
    others = [Customer(acme.conn, served, jobs=3) for _ in range(2)]
    with older_code():
        for other in others:
            other.fetch()
    odd_one, read_page = others[0].id, renewal.read_page

    def fails(body: bytes) -> Any:
        records = read_page(body)
        if others[0].ids()[0].encode() in b"".join(map(bytes, records)):
            raise MemoryError("too large")
        return records

    monkeypatch.setattr(renewal, "read_page", fails)
    told = f"cannot be read again: {odd_one} \\(MemoryError: too large\\). See the log"
    with connect(warehouse_url) as elsewhere, leases.hold(elsewhere, others[1].id, "fetch"):  # noqa: SIM117
        with pytest.raises(RuntimeError, match=told):
            renew(acme)
    assert acme.integration()["record_rule"] == NEWER
    assert [other.integration()["record_rule"] for other in others] == [RECORD_RULE] * 2
    monkeypatch.setattr(renewal, "read_page", read_page)
    assert renew(acme) == (6, 0)


def test_work_that_is_cut_off_goes_on_where_it_stopped(
    acme: Customer, newer_code: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewal, "AT_ONCE", 10)
    assert renewal.renew(acme.conn, acme.id, until=0.0) == 0
    applied, counted = renewal.apply_landed_fetches, []

    def third_time_killed(*args: Any) -> Any:
        counted.append(args)
        if len(counted) == 3:
            raise KeyboardInterrupt
        return applied(*args)

    monkeypatch.setattr(renewal, "apply_landed_fetches", third_time_killed)
    with pytest.raises(KeyboardInterrupt):
        renew(acme)
    acme.conn.rollback()
    assert acme.integration()["record_rule"] == RECORD_RULE
    assert renew(acme) == (15, 0)
