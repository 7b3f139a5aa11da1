"""Traps 1 to 16: what an incremental fetch can miss."""

import re
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta

import pytest

from kombo_pipeline.db.connection import connect as connect_to
from kombo_pipeline.db.leases import LeaseTakenError
from kombo_pipeline.ingest.fetch import land_fetch
from kombo_pipeline.kombo.errors import KomboRefused
from kombo_pipeline.kombo.record import read_id
from kombo_pipeline.sandbox.clock import stamp
from kombo_pipeline.sandbox.traffic import Fault
from kombo_pipeline_tests.ingest.model import OVERLAP, assert_equals_kombo, stored
from kombo_pipeline_tests.traps.subscriber import Meanwhile, Subscriber

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def test_trap_01_a_closed_job_arrives_although_only_open_jobs_are_exposed(acme: Subscriber) -> None:
    """`statuses=OPEN` with `updated_after` hides every job that leaves OPEN, and null and raw statuses."""
    statuses = {"CLOSED": "closed", "ARCHIVED": "archived", "DRAFT": "draft", "On hold": "unknown", None: "unknown"}
    leaving = dict(zip(acme.open_ids(), statuses, strict=False))
    assert len(leaving) == 5
    for job_id, status in leaving.items():
        acme.world.set_status(acme.id, job_id, status)
    assert acme.sync_and_fetch().kind == "incremental"
    assert [acme.job(job_id)["lifecycle"] for job_id in leaving] == list(statuses.values())
    assert not acme.publishable() & leaving.keys()


@pytest.mark.parametrize("strict", [False, True], ids=["typos ignored", "typos refused"])
def test_trap_02_deletions_are_asked_for_under_the_one_name_kombo_knows(acme: Subscriber, strict: bool) -> None:
    """`included_deleted`, as a curl of the guide spells it, is no parameter: deletions would never arrive."""
    acme.world.behaviour.reject_unknown_parameters = strict
    job_id = acme.open_ids()[0]
    acme.world.delete_job(acme.id, job_id)
    acme.sync_and_fetch()
    assert acme.job(job_id)["lifecycle"] == "deleted"


@pytest.mark.usefixtures("small_pages")
def test_trap_03_a_change_behind_the_traversal_arrives_with_the_next_fetch(acme: Subscriber) -> None:
    """A watermark taken at the end of the fetch loses what changed while it went on."""
    with closing(acme.kombo.job_pages(acme.id)) as pages:
        job_id = read_id(next(pages).records[0])

    def meanwhile() -> None:
        acme.world.clock.advance(10 * MINUTE)
        acme.edit(job_id, name="Changed behind our back")
        acme.world.sync(acme.id)
        acme.world.clock.advance(HOUR)

    patient, acme.kombo = acme.kombo, Meanwhile(acme.kombo, meanwhile)
    acme.fetch(full=True)
    assert acme.job(job_id)["name"] != "Changed behind our back"
    acme.kombo = patient
    assert acme.fetch().kind == "incremental"
    assert acme.job(job_id)["name"] == "Changed behind our back"


@pytest.mark.usefixtures("small_pages")
def test_trap_03_a_fetch_that_breaks_off_moves_no_watermark(acme: Subscriber) -> None:
    """A watermark written before the last page has landed loses the pages after it for good."""
    for job_id in acme.ids():
        acme.edit(job_id, department="Everywhere")
    acme.world.sync(acme.id)
    acme.world.clock.advance(HOUR)
    acme.world.faults.append(Fault("answer", status=400, path="/ats/jobs", page=3))
    with pytest.raises(KomboRefused):
        acme.land()
    assert acme.apply() == []
    acme.world.clock.advance(HOUR)
    acme.fetch()
    assert_equals_kombo(acme)


def test_trap_04_a_sync_start_told_by_a_webhook_is_no_watermark(acme: Subscriber) -> None:
    """Asking from the webhook's `sync_started_at` loses upstream events before it, whose own webhook got lost."""
    by_event, by_sync = acme.open_ids()[:2]
    acme.edit(by_event, name="Told by an upstream event")
    acme.world.upstream_event(acme.id, by_event)
    acme.world.drain()
    acme.world.clock.advance(HOUR)
    acme.edit(by_sync, name="Told by a sync")
    acme.world.sync(acme.id)
    acme.deliver()
    assert acme.due() == [acme.id]
    acme.fetch()
    assert acme.job(by_event)["name"] == "Told by an upstream event"
    assert acme.job(by_sync)["name"] == "Told by a sync"


def test_trap_05_the_watermark_follows_kombos_clock_and_no_timestamp_of_a_record(acme: Subscriber) -> None:
    """`changed_at` and `remote_updated_at` stand still, run ahead or are missing; an empty answer has neither."""
    ahead = stamp(acme.world.clock.now() + timedelta(days=365))
    acme.distort(acme.ids()[0], remote_updated_at=ahead, changed_at=ahead)
    for brought in (1, 0):
        acme.world.clock.advance(HOUR)
        assert acme.land().records == brought
        acme.apply()
        assert acme.integration()["kombo_last_sync_started_at"] == acme.world.clock.now()
    job_id = acme.open_ids()[1]
    acme.world.set_status(acme.id, job_id, "CLOSED")
    acme.sync_and_fetch()
    assert acme.job(job_id)["lifecycle"] == "closed"


@pytest.mark.parametrize("field", ["screening_questions", "job_postings"])
def test_trap_06_a_nested_change_arrives_although_changed_at_is_unchanged(acme: Subscriber, field: str) -> None:
    """Whoever skips records of an unchanged `changed_at` throws nested changes away."""
    job_id = acme.job_with(field)
    changed_at = acme.job(job_id)["changed_at"]
    acme.world.edit_nested(acme.id, job_id, field, 0, title="Edited")
    acme.sync_and_fetch()
    assert "Edited" in [entry["title"] for entry in stored(acme.conn, acme.id)[job_id][field]]
    assert acme.job(job_id)["changed_at"] == changed_at


@pytest.mark.parametrize(
    ("field", "edit", "model"),
    [
        ("stages", {"name": "Coffee"}, "ats_application_stages"),
        ("hiring_team", {"last_name": "Coffee"}, "ats_users"),
    ],
)
def test_trap_07_an_event_that_brings_no_record_is_answered_and_its_edit_comes_with_the_full_fetch(
    acme: Subscriber, field: str, edit: dict[str, str], model: str
) -> None:
    """Edits of stages and users are announced, but do not match `updated_after`: zero records is normal."""
    acme.world.edit_nested(acme.id, acme.job_with(field), field, 0, **edit)
    acme.world.sync(acme.id)
    [announcement] = [hook for hook in acme.world.drain() if hook.type == "data-changed"]
    assert announcement.payload["data"]["changed_models"] == [{"name": model}]
    acme.deliver([announcement])
    assert acme.due() == [acme.id]
    landed = acme.land()
    acme.apply()
    assert (landed.kind, landed.status, landed.records) == ("incremental", "landed", 0)
    assert (acme.due(), acme.health()["health"]) == ([], "healthy")
    acme.fetch(full=True)
    assert_equals_kombo(acme)


@pytest.mark.parametrize("counts", [True, False], ids=["since July 2026", "May 2026"])
def test_trap_08_an_edited_question_arrives_under_either_rule(acme: Subscriber, counts: bool) -> None:
    """Question edits match `updated_after` only since 2026-07-16."""
    acme.world.behaviour.question_edits_count = counts
    acme.world.edit_nested(acme.id, acme.job_with("screening_questions"), "screening_questions", 0, title="Edited")
    assert acme.sync_and_fetch().changed == counts
    acme.fetch(full=True)
    assert_equals_kombo(acme)


@pytest.mark.parametrize("inclusive", [False, True])
def test_trap_09_a_change_in_the_very_instant_of_a_fetch_arrives_once(acme: Subscriber, inclusive: bool) -> None:
    """Whether `updated_after` includes its boundary is documented nowhere."""
    acme.world.behaviour.updated_after_inclusive = inclusive
    job_id = acme.open_ids()[0]
    acme.fetch()
    acme.edit(job_id, name="In the same instant")
    acme.world.sync(acme.id)
    for _ in range(2):
        acme.fetch()
    assert acme.changes(job_id) == [("name", "changed")]


def test_trap_09_a_clock_of_ours_that_runs_ahead_loses_nothing(acme: Subscriber) -> None:
    """`updated_after` is compared with Kombo's clock, not with ours."""
    acme.skew = HOUR
    with acme.client() as acme.kombo:
        acme.fetch()
        acme.world.clock.advance(10 * MINUTE)
        acme.edit(acme.ids()[0], name="Within the hour")
        assert acme.sync_and_fetch().kind == "incremental"
    assert acme.job(acme.ids()[0])["name"] == "Within the hour"


@pytest.mark.usefixtures("small_pages")
def test_trap_10_every_page_is_asked_for_with_the_same_filters(acme: Subscriber) -> None:
    """The cursor carries no filter: without its parameters page 2 is another query."""
    deleted, edited = acme.open_ids()[:3], acme.open_ids()[3:9]
    for job_id in edited:
        acme.edit(job_id, department="Elsewhere")
    for job_id in deleted:
        acme.world.delete_job(acme.id, job_id)
    acme.world.sync(acme.id)
    landed = acme.land()
    acme.apply()
    assert (landed.pages, landed.records) == (3, 9)
    assert {acme.job(job_id)["lifecycle"] for job_id in deleted} == {"deleted"}
    asked = [{key: value for key, value in r.query.items() if key != "cursor"} for r in acme.requests()]
    assert asked == [asked[0]] * 3
    assert asked[0].keys() == {"updated_after", "include_deleted", "page_size"}


@pytest.mark.parametrize("cursors", ["keyset", "offset"])
@pytest.mark.usefixtures("small_pages")
def test_trap_11_a_job_on_two_pages_counts_once_and_one_on_none_is_not_deleted(acme: Subscriber, cursors: str) -> None:
    """Neither an order nor a snapshot is promised: absence from an incremental answer means nothing."""
    behaviour = acme.world.behaviour
    behaviour.cursors, behaviour.shuffle, behaviour.duplicate_rate = cursors, True, 1.0
    for job_id in acme.ids()[:10]:
        acme.edit(job_id, department="Elsewhere")
    acme.world.sync(acme.id)
    landed = acme.land()
    [applied] = acme.apply()
    assert landed.records > 10
    assert (applied.new, applied.changed, applied.closed) == (0, 10, 0)
    assert acme.changes() == [("department", "changed")] * 10
    assert_equals_kombo(acme)


@pytest.mark.usefixtures("small_pages")
def test_trap_11_a_live_job_that_slips_between_two_pages_of_a_full_fetch_stays_as_it_is(acme: Subscriber) -> None:
    """With a cursor that counts rows, rows that go from page 1 move others from page 3 to page 2 unseen."""
    acme.world.behaviour.cursors = "offset"
    for row in acme.world.integration(acme.id).mirror.ordered()[:3]:
        acme.world.delete_job(acme.id, row.id)
    acme.sync_and_fetch()
    acme.world.clock.advance(timedelta(days=13, hours=23))
    before = acme.lifecycles()
    acme.kombo = Meanwhile(acme.kombo, lambda: acme.world.clock.advance(HOUR))
    acme.fetch(full=True)
    assert acme.lifecycles() == before


@pytest.mark.usefixtures("small_pages")
def test_trap_12_only_a_null_cursor_ends_the_traversal(acme: Subscriber) -> None:
    """A short or even empty page is not the last one as long as `next` is set."""
    acme.world.behaviour.short_page_rate = 1.0
    for job_id in acme.ids():
        acme.edit(job_id, department="Everywhere")
    acme.world.sync(acme.id)
    fetch_id = acme.land(full=True).fetch_id
    acme.apply()
    empty = "select count(*) as n from raw.job_pages where fetch_id = %s and record_ids = '{}' and next_cursor > ''"
    assert acme.one(empty, fetch_id)["n"] > 0
    assert_equals_kombo(acme)


def test_trap_13_a_tool_without_a_field_costs_no_job(connect: Callable[..., Subscriber]) -> None:
    """A filter on a field that the tool does not provide filters everything out, with a plain success."""
    customer = connect(jobs=20, unsupported=frozenset({"status", "visibility", "job_code"}))
    for full in (False, True):
        customer.fetch(full=full)
        assert set(customer.lifecycles().values()) == {"unknown"}
        assert len(customer.lifecycles()) == 20
    assert customer.kombo.find_jobs(customer.id, job_codes=["ENG-1"]) == []
    filters = {name for request in customer.requests() for name in request.query}
    assert filters == {"include_deleted", "page_size", "job_codes"}


@pytest.mark.usefixtures("small_pages")
def test_trap_14_a_lookup_finds_what_was_asked_for_and_nothing_else(acme: Subscriber) -> None:
    """In the SDK an empty list is no filter, a comma splits a code, a generator is used up after page 1."""
    wanted = acme.ids()[:9]
    found = acme.kombo.find_jobs(acme.id, ids=(job_id for job_id in wanted))  # type: ignore[arg-type]
    assert {read_id(record) for record in found} == set(wanted)
    acme.world.requests.clear()
    assert acme.kombo.find_jobs(acme.id, ids=[], job_codes=[]) == []
    with pytest.raises(ValueError, match=r"comma in 'ENG,7'"):
        acme.kombo.find_jobs(acme.id, job_codes=["ENG,7"])
    assert not acme.world.requests


def test_trap_15_updated_after_goes_out_in_utc_whatever_zone_the_database_answers_in(acme: Subscriber) -> None:
    """A naive time or an offset such as +02:00 is outside the pattern that Kombo documents."""
    acme.conn.execute("set timezone to 'Asia/Kolkata'")
    acme.conn.commit()
    watermark = acme.integration()["kombo_last_sync_started_at"]
    assert watermark.utcoffset() == timedelta(hours=5.5)
    acme.fetch()
    sent = acme.requests()[-1].query["updated_after"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", sent)
    assert datetime.fromisoformat(sent) == watermark - OVERLAP
    with pytest.raises(ValueError, match="time zone"):
        acme.kombo.job_pages(acme.id, updated_after=watermark.replace(tzinfo=None))


def test_trap_16_an_event_during_a_fetch_starts_no_second_one_and_is_not_lost(
    acme: Subscriber, warehouse_url: str
) -> None:
    """Of two overlapping fetches the slower one writes older data."""
    job_id = acme.open_ids()[0]
    patient = acme.kombo

    def meanwhile() -> None:
        acme.edit(job_id, name="Late")
        acme.world.sync(acme.id)
        acme.deliver()
        assert acme.due(in_work=[acme.id]) == []
        with connect_to(warehouse_url) as other, pytest.raises(LeaseTakenError):
            land_fetch(other, patient, acme.id, overlap=OVERLAP)

    acme.kombo = Meanwhile(patient, meanwhile)
    acme.fetch()
    assert acme.job(job_id)["name"] != "Late"
    assert acme.due() == [acme.id]
    acme.kombo = patient
    acme.fetch()
    assert acme.job(job_id)["name"] == "Late"
    assert acme.due() == []


def test_trap_16_the_watermark_never_moves_back(acme: Subscriber) -> None:
    """An older watermark must not replace a newer one, were our clock to jump back by a day."""
    acme.skew = -timedelta(days=1)
    watermark = acme.integration()["kombo_last_sync_started_at"]
    with acme.client() as acme.kombo:
        acme.fetch()
    assert acme.one("select started_at from raw.fetches order by fetch_id desc limit 1")["started_at"] < watermark
    assert acme.integration()["kombo_last_sync_started_at"] == watermark
