"""Traps 17 to 24: how jobs end, and when they only seem to."""

from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta

import pytest

from kombo_pipeline.kombo.errors import KomboUnavailable
from kombo_pipeline.sandbox.traffic import Fault
from kombo_pipeline_tests.ingest.model import assert_equals_kombo
from kombo_pipeline_tests.traps.subscriber import Subscriber

DAY = timedelta(days=1)


def answer_without(customer: Subscriber, gone: list[str]) -> None:
    """Let the coming full fetch bring, on two pages, every job but some."""
    shown = [customer.kombo_job(job_id) for job_id in customer.ids() if job_id not in gone]
    customer.answer(shown[:5], shown[5:])


def test_trap_17_a_job_ends_by_tombstone_or_by_status_and_stays_on_record(acme: Subscriber) -> None:
    """Whoever handles only one of the two ways keeps dead jobs open; whoever deletes rows loses their history."""
    deleted, closed = acme.open_ids()[:2]
    names = {job_id: acme.job(job_id)["name"] for job_id in (deleted, closed)}
    acme.world.delete_job(acme.id, deleted)
    acme.world.set_status(acme.id, closed, "CLOSED")
    assert acme.sync_and_fetch().closed == 2
    assert (acme.job(deleted)["lifecycle"], acme.job(closed)["lifecycle"]) == ("deleted", "closed")
    assert not {deleted, closed} & set(acme.open_ids())
    assert {job_id: acme.job(job_id)["name"] for job_id in names} == names


@pytest.mark.parametrize("days", [9, 15, 40])
def test_trap_18_a_job_deleted_during_a_long_downtime_is_closed(acme: Subscriber, days: int) -> None:
    """After 14 days the tombstone is gone and no incremental fetch will ever tell of the deletion."""
    job_id = acme.open_ids()[0]
    acme.world.delete_job(acme.id, job_id)
    acme.world.sync(acme.id)
    acme.world.clock.advance(days * DAY)
    acme.fetch()
    assert acme.job(job_id)["lifecycle"] == ("deleted" if days < 14 else "vanished")
    assert job_id not in acme.open_ids()


def test_trap_19_a_tombstone_that_comes_back_empty_overwrites_no_good_copy(acme: Subscriber) -> None:
    """After 14 days every field of a tombstone may be null, even `remote_id`."""
    acme.world.behaviour.anonymise_purged = True
    job_id = acme.job_with("stages")
    before = acme.job(job_id)
    acme.world.delete_job(acme.id, job_id)
    acme.world.sync(acme.id)
    acme.world.clock.advance(15 * DAY)
    assert acme.kombo_job(job_id)["name"] is None
    acme.fetch()
    after = acme.job(job_id)
    assert after["lifecycle"] == "deleted"
    assert {key for key in before if before[key] != after[key]} == {
        *("lifecycle", "publishable", "remote_deleted_at", "record_hash", "last_fetch_id")
    }
    stages = "select count(*) as n from core.job_stages where kombo_job_id = %s"
    assert acme.one(stages, job_id)["n"] > 0


def test_trap_20_a_deletion_is_believed_when_a_full_sync_of_kombo_tells_it_and_not_before(acme: Subscriber) -> None:
    """Delta syncs and upstream events cannot see deletions: a dead job looks open until the next full sync."""
    job_id = acme.open_ids()[0]
    acme.world.delete_job(acme.id, job_id)
    acme.world.upstream_event(acme.id, job_id)
    acme.world.sync(acme.id, kind="DELTA")
    for full in (False, True):
        acme.fetch(full=full)
        assert acme.job(job_id)["lifecycle"] == "open"
    assert acme.sync_and_fetch().kind == "incremental"
    assert acme.job(job_id)["lifecycle"] == "deleted"


def test_trap_21_a_switched_off_jobs_model_closes_nothing_before_a_person_says_so(
    connect: Callable[..., Subscriber],
) -> None:
    """Switching the model off in the scope configuration marks every job deleted, although none is."""
    customer = connect(jobs=40)
    customer.settle()
    open_ids = customer.open_ids()
    assert len(open_ids) > 10
    customer.world.disable_jobs_model(customer.id)
    customer.sync_and_fetch()
    assert customer.open_ids() == open_ids
    held = customer.health()
    assert (held["health"], held["who_must_act"], held["held_jobs"]) == ("needs attention", "us", len(open_ids))


def test_trap_21_what_is_absent_while_the_data_awaits_a_sync_has_not_vanished(acme: Subscriber) -> None:
    """`data_expired_at` says that filters or scopes changed and the stored data no longer matches them."""
    open_ids = acme.open_ids()
    acme.world.enable_jobs_model(acme.id)
    assert acme.world.integration(acme.id).data_expired_at
    answer_without(acme, open_ids[:3])
    assert acme.fetch(full=True).notes
    assert acme.open_ids() == open_ids


def test_trap_21_a_status_field_switched_off_closes_nothing_before_a_person_says_so(
    connect: Callable[..., Subscriber],
) -> None:
    """A field switched off is null on all entries after the next sync: with `status` no job is open any more."""
    customer = connect(jobs=40)
    customer.settle()
    open_ids = customer.open_ids()
    for job_id in customer.ids():
        customer.edit(job_id, status=None)
    customer.sync_and_fetch()
    assert customer.open_ids() == open_ids


def test_trap_21_a_field_switched_off_leaves_its_values_in_the_history(acme: Subscriber) -> None:
    """The next sync overwrites a field that was switched off with null on all entries."""
    known = {job_id: acme.job(job_id)["department"] for job_id in acme.ids()}
    for job_id in known:
        acme.edit(job_id, department=None)
    acme.sync_and_fetch()
    kept = acme.conn.execute(
        "select kombo_job_id, old_value from core.job_changes where field = 'department' and new_value is null"
    ).fetchall()
    assert {row["kombo_job_id"]: row["old_value"] for row in kept} == {k: v for k, v in known.items() if v is not None}


def test_trap_22_a_job_that_reappears_lives_again(acme: Subscriber) -> None:
    """It keeps its Kombo id, and `remote_deleted_at` is null again."""
    job_id = acme.open_ids()[0]
    acme.world.delete_job(acme.id, job_id)
    acme.sync_and_fetch()
    acme.world.restore_job(acme.id, job_id)
    acme.sync_and_fetch()
    job = acme.job(job_id)
    assert (job["lifecycle"], job["remote_deleted_at"]) == ("open", None)
    assert [event for _, event in acme.changes(job_id) if event != "changed"] == ["deleted", "restored"]


def break_off(customer: Subscriber) -> None:
    customer.world.faults[1] = Fault("answer", status=500, path="/ats/jobs", page=2, times=9)


def fail_a_sync(customer: Subscriber) -> None:
    customer.world.sync(customer.id, "FAILED")
    customer.deliver()


DOUBTS: dict[str, Callable[[Subscriber], None]] = {
    "the last page does not come": break_off,
    "credentials are invalid": lambda customer: customer.world.set_state(customer.id, state="INVALID"),
    "switched off": lambda customer: customer.world.set_state(customer.id, state="INACTIVE"),
    "not set up": lambda customer: customer.world.set_state(customer.id, setup_status="FINAL_SYNC_PENDING"),
    "the newest sync failed": fail_a_sync,
}


@pytest.mark.parametrize("doubt", list(DOUBTS))
def test_trap_23_a_reconcile_in_doubt_closes_nothing(acme: Subscriber, doubt: str) -> None:
    """Absence proves something only in a complete, unfiltered, error-free answer of a healthy integration."""
    open_ids = acme.open_ids()
    answer_without(acme, open_ids[:3])
    DOUBTS[doubt](acme)
    with nullcontext() if doubt != "the last page does not come" else pytest.raises(KomboUnavailable):
        acme.land(full=True)
    acme.apply()
    assert acme.open_ids() == open_ids
    assert all(request.query.keys() <= {"include_deleted", "page_size", "cursor", "ids"} for request in acme.requests())


def test_trap_23_an_empty_answer_closes_nothing_however_few_jobs_there_are(connect: Callable[..., Subscriber]) -> None:
    """Six jobs are too few for the guard of mass closures, and still no record at all is no answer to trust."""
    customer = connect(jobs=6)
    customer.settle()
    open_ids = customer.open_ids()
    assert open_ids
    customer.answer([])
    assert customer.fetch(full=True).held
    assert customer.open_ids() == open_ids


def test_trap_23_a_reconcile_without_doubt_closes_what_is_gone(acme: Subscriber) -> None:
    """The same absence in a healthy answer is a deletion that was never told."""
    gone = acme.open_ids()[:3]
    answer_without(acme, gone)
    assert acme.fetch(full=True).repaired == 3
    assert {acme.job(job_id)["lifecycle"] for job_id in gone} == {"vanished"}


def test_trap_24_a_deleted_integration_takes_its_jobs_along_and_its_successor_starts_anew(
    acme: Subscriber, connect: Callable[..., Subscriber]
) -> None:
    """`integration-deleted` brings no job tombstones, and reconnecting changes all Kombo ids."""
    old = set(acme.ids())
    acme.world.sync(acme.id)
    acme.world.delete_integration(acme.id)
    acme.deliver()
    assert set(acme.lifecycles().values()) == {"integration_gone"}
    assert acme.due() == []
    waiting = acme.conn.execute("select event_type from raw.webhook_events where handled_at is null").fetchall()
    assert waiting == []
    acme.world.requests.clear()
    assert acme.land().status == "gone"
    assert not acme.world.requests
    successor = connect(jobs=20, organization="The same company")
    successor.deliver()
    assert successor.due() == [successor.id]
    successor.fetch()
    assert_equals_kombo(successor)
    assert not old & set(successor.ids())
    assert set(acme.lifecycles().values()) == {"integration_gone"}
