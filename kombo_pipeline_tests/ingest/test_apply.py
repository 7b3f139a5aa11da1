import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from kombo_pipeline.db.connection import Connection, connect
from kombo_pipeline.ingest import lifecycle
from kombo_pipeline.ingest.apply import release_records
from kombo_pipeline.ingest.statements import fetches
from kombo_pipeline.kombo.errors import KomboError
from kombo_pipeline.limits import DESCRIPTION
from kombo_pipeline.sandbox.traffic import Fault
from kombo_pipeline_tests.ingest.model import (
    NESTED_TABLES,
    Customer,
    Record,
    Served,
    as_stored,
    assert_equals_kombo,
    assert_history_has_no_gap,
    client,
    stored,
)
from kombo_pipeline_tests.ingest.oddities import odd


@pytest.fixture
def acme(conn: Connection, served: Served) -> Iterator[Customer]:
    """A customer of twelve jobs, fetched long enough ago for nothing to be told twice."""
    yield from settled(Customer(conn, served, jobs=12))


@pytest.fixture
def big(conn: Connection, served: Served) -> Iterator[Customer]:
    """A customer of forty jobs, enough for a closure too large to believe."""
    yield from settled(Customer(conn, served, jobs=40))


def settled(customer: Customer) -> Iterator[Customer]:
    for _ in range(2):
        customer.fetch()
        customer.world.clock.advance(timedelta(hours=1))
    yield customer
    assert_history_has_no_gap(customer.conn)


def row_versions(conn: Connection) -> list[dict[str, Any]]:
    tables = ["jobs", *NESTED_TABLES.values(), "job_changes"]
    union = " union all ".join(f"select '{t}' as name, ctid::text, xmin::text from core.{t}" for t in tables)
    return conn.execute(f"{union} order by 1, 2").fetchall()


# What a fetch brings


def test_the_first_fetch_copies_every_field_of_every_job(acme: Customer) -> None:
    assert_equals_kombo(acme)
    assert acme.changes() == []


def test_an_unchanged_full_fetch_writes_no_row(acme: Customer) -> None:
    before = row_versions(acme.conn)
    applied = acme.fetch(full=True)
    assert row_versions(acme.conn) == before
    assert (applied.new, applied.changed, applied.unchanged, applied.repaired) == (0, 0, 12, 0)


def test_records_in_another_order_write_nothing(acme: Customer) -> None:
    before = row_versions(acme.conn)
    acme.world.behaviour.shuffle = True
    acme.fetch(full=True)
    assert row_versions(acme.conn) == before


def test_keys_in_another_order_write_no_history(acme: Customer) -> None:
    job_id = acme.ids()[0]
    acme.world.set_raw(acme.id, job_id, lambda record: dict(reversed(record.items())))
    acme.fetch(full=True)
    assert acme.changes() == []
    assert acme.fetch(full=True).unchanged == 12


def test_nested_entries_in_another_order_write_no_history(acme: Customer) -> None:
    job_id = acme.ids()[0]
    acme.distort(job_id, stages=acme.kombo_job(job_id)["stages"][::-1])
    assert acme.fetch(full=True).changed == 0
    assert acme.changes() == []


def test_of_a_job_on_two_pages_the_one_fetched_last_wins(acme: Customer) -> None:
    known, fresh = acme.kombo_job(acme.ids()[0]), acme.kombo_job(acme.ids()[1]) | {"id": "fresh"}
    acme.answer(
        [known | {"name": "second"}, fresh | {"name": "first"}, fresh | {"name": "second"}],
        [known | {"name": "third"}, fresh | {"name": "third"}],
    )
    acme.fetch()
    assert (acme.job(known["id"])["name"], acme.job("fresh")["name"]) == ("third", "third")
    assert acme.changes(known["id"]) == [("name", "changed")]


@pytest.mark.parametrize(
    ("field", "value"), [("screening_questions", {"title": "Why?"}), ("job_postings", {"title": "Posting"})]
)
def test_an_edited_nested_record_arrives_although_changed_at_stands_still(
    acme: Customer, field: str, value: dict[str, Any]
) -> None:
    job_id = next(id_ for id_ in acme.ids() if acme.kombo_job(id_)[field])
    before = acme.job(job_id)["changed_at"]
    acme.world.edit_nested(acme.id, job_id, field, 0, **value)
    assert acme.sync_and_fetch().kind == "incremental"
    assert_equals_kombo(acme)
    assert acme.changes() == [(field, "changed")]
    assert acme.job(job_id)["changed_at"] == before


@pytest.mark.parametrize(("field", "value"), [("stages", {"name": "Chat"}), ("hiring_team", {"last_name": "X"})])
def test_an_edited_stage_or_person_arrives_with_the_full_fetch(
    acme: Customer, field: str, value: dict[str, Any]
) -> None:
    job_id = next(id_ for id_ in acme.ids() if acme.kombo_job(id_)[field])
    acme.world.edit_nested(acme.id, job_id, field, 0, **value)
    acme.sync_and_fetch()
    assert acme.changes() == []
    acme.fetch(full=True)
    assert_equals_kombo(acme)
    assert set(acme.changes()) == {(field, "changed")}


@pytest.mark.parametrize("missing", [True, False])
@pytest.mark.parametrize("field", list(NESTED_TABLES))
def test_a_nested_list_that_is_not_told_keeps_what_is_stored(acme: Customer, field: str, missing: bool) -> None:
    job_id = next(id_ for id_ in acme.ids() if acme.kombo_job(id_)[field])
    told = acme.kombo_job(job_id) | {"name": "Renamed", field: None}
    if missing:
        del told[field]
    acme.answer([told])
    acme.fetch()
    assert acme.changes() == [("name", "changed")]
    assert stored(acme.conn, acme.id)[job_id][field] != []


def test_an_empty_nested_list_empties_what_is_stored(acme: Customer) -> None:
    job_id = acme.ids()[0]
    acme.distort(job_id, stages=[])
    acme.fetch()
    assert acme.changes() == [("stages", "changed")]
    assert stored(acme.conn, acme.id)[job_id]["stages"] == []


@pytest.mark.parametrize("known", [True, False])
def test_of_nested_entries_with_one_id_the_last_is_kept(acme: Customer, known: bool) -> None:
    record = acme.kombo_job(acme.ids()[0]) | ({} if known else {"id": "fresh"})
    stage = record["stages"][0]
    acme.answer([record | {"stages": [stage, stage | {"name": "Last"}]}])
    acme.fetch()
    assert [s["name"] for s in stored(acme.conn, acme.id)[record["id"]]["stages"]] == ["Last"]


def test_unknown_keys_are_kept_wherever_they_stand(acme: Customer) -> None:
    record = acme.kombo_job(acme.ids()[0])
    stage = record["stages"][0]
    acme.answer([
        record | {"perks": ["dog"], "location": {"city": "Ulm", "lat": 48.4}, "stages": [stage | {"icon": "x"}]}
    ])  # fmt: skip
    acme.fetch()
    job = acme.job(record["id"])
    assert job["unknown_fields"] == {
        "perks": ["dog"],
        "location": {"lat": 48.4},
        "stages": [{"id": stage["id"], "icon": "x"}],
    }
    assert job["location_city"] == "Ulm"
    assert acme.quarantined() == []


def test_a_status_nobody_knows_is_unknown_and_not_publishable(acme: Customer) -> None:
    job_id = acme.open_ids()[0]
    acme.distort(job_id, status="On Hold", employment_type="Werkvertrag", visibility="Partners only")
    acme.fetch()
    job = acme.job(job_id)
    assert (job["lifecycle"], job["publishable"]) == ("unknown", False)
    assert (job["status"], job["employment_type"]) == ("On Hold", "Werkvertrag")


@pytest.mark.parametrize(
    ("visibility", "publishable"),
    [
        ("PUBLIC", True),
        ("UNLISTED", True),
        (None, True),
        ("INTERNAL", False),
        ("CONFIDENTIAL", False),
        ("Club", False),
    ],
)
def test_an_open_job_is_publishable_only_where_outsiders_may_see_it(
    acme: Customer, visibility: str | None, publishable: bool
) -> None:
    job_id = acme.open_ids()[0]
    acme.distort(job_id, visibility=visibility)
    acme.fetch()
    assert acme.job(job_id)["publishable"] is publishable


def test_closed_at_in_the_future_does_not_close(acme: Customer) -> None:
    job_id = acme.open_ids()[0]
    acme.world.edit_job(acme.id, job_id, closed_at="2031-01-01T00:00:00.000Z", visibility="PUBLIC")
    acme.sync_and_fetch()
    job = acme.job(job_id)
    assert (job["lifecycle"], job["publishable"], job["closed_at"].year) == ("open", True, 2031)


@pytest.mark.parametrize("status", ["CLOSED", "ARCHIVED", "DRAFT"])
def test_a_job_that_leaves_open_arrives_with_the_next_fetch(acme: Customer, status: str) -> None:
    job_id = acme.open_ids()[0]
    acme.world.set_status(acme.id, job_id, status)
    applied = acme.sync_and_fetch()
    assert applied.closed == 1
    assert acme.job(job_id)["lifecycle"] == status.lower()
    assert ("lifecycle", "closed") in acme.changes(job_id)


# Records that cannot be read


@pytest.mark.parametrize(
    "record",
    [b"null", b"7", b'"text"', b"[]", b"{}", b'{"id": null}', b'{"id": ""}', b'{"id": 5}', b'{"id": "a\\u0000"}'],
)
def test_a_record_without_a_readable_id_is_set_aside_and_nothing_vanishes(acme: Customer, record: bytes) -> None:
    first, second = acme.kombo_job(acme.ids()[0]), acme.kombo_job(acme.ids()[1])
    acme.answer([first | {"name": "Good"}, record, second])
    applied = acme.fetch(full=True)
    (row,) = acme.quarantined()
    assert (row["kombo_job_id"], row["record"]) == (None, record)
    assert (applied.quarantined, applied.closed, applied.held) == (1, 0, 0)
    assert "no readable id" in applied.notes[0]
    assert acme.job(first["id"])["name"] == "Good"
    assert "vanished" not in acme.lifecycles().values()


@pytest.mark.parametrize("known", [True, False], ids=["known", "unseen"])
def test_a_lone_surrogate_becomes_a_replacement_character(acme: Customer, known: bool) -> None:
    record = acme.kombo_job(acme.ids()[0]) | ({} if known else {"id": "fresh"})
    acme.answer([odd(record, key="name", text=b'"Koch \\ud83d"')])
    acme.fetch()
    assert acme.job(record["id"])["name"] == "Koch \ufffd"
    assert acme.quarantined() == []


@pytest.mark.parametrize("known", [True, False], ids=["known", "unseen"])
def test_a_description_is_read_up_to_its_limit_and_one_of_ten_megabytes_is_left_out(
    acme: Customer, known: bool
) -> None:
    record = acme.kombo_job(acme.ids()[0]) | ({} if known else {"id": "fresh"})
    longest = "ä\\\t\n\r" * (DESCRIPTION.most // 6)
    acme.answer([record | {"description": longest}])
    acme.fetch()
    assert acme.job(record["id"])["description"] == longest
    acme.answer([record | {"description": "ä\\\t\n\r" * 2_000_000}])
    acme.fetch()
    job = acme.job(record["id"])
    assert (job["description"], list(job["unreadable_fields"])) == (longest, ["description"])


def test_only_the_id_is_needed_to_read_a_record(acme: Customer) -> None:
    acme.answer([{"id": "bare"}])
    acme.fetch()
    assert acme.job("bare")["lifecycle"] == "unknown"
    assert acme.quarantined() == []


def test_an_odd_record_that_comes_again_is_quarantined_once_and_counted_each_time(acme: Customer) -> None:
    acme.distort(acme.ids()[0], name=7)
    acme.fetch()
    before = row_versions(acme.conn)
    assert acme.fetch(full=True).quarantined == 1
    assert len(acme.quarantined()) == 1
    assert row_versions(acme.conn) == before


def test_an_odd_record_that_heals_leaves_quarantine(acme: Customer) -> None:
    job_id = acme.ids()[0]
    acme.distort(job_id, name=7)
    acme.fetch()
    acme.world.set_raw(acme.id, job_id, None)
    acme.fetch()
    assert acme.quarantined() == []
    assert_equals_kombo(acme)


def test_released_records_that_can_still_not_be_read_stay_in_quarantine(acme: Customer) -> None:
    acme.distort(acme.ids()[0], name=7)
    acme.fetch()
    applied, (staying,) = release_records(acme.conn)
    assert applied == 0
    assert "name" in staying.reason


def quarantine_by_hand(acme: Customer, record: Record) -> int:
    """A record set aside by code that could not read it yet; returns its fetch."""
    acme.answer([odd(record, key="name", text=b"7")])
    fetch_id = acme.fetch().fetch_id
    acme.conn.execute(
        "update raw.quarantined_records set record = %b, record_hash = gen_random_uuid() where fetch_id = %s",
        (json.dumps(record).encode(), fetch_id),
    )
    acme.conn.commit()
    return fetch_id


def test_a_released_record_is_applied_once_it_can_be_read_and_moves_no_watermark(acme: Customer) -> None:
    job_id = acme.ids()[0]
    quarantine_by_hand(acme, acme.kombo_job(job_id) | {"name": "Readable"})
    watermark = acme.integration()["kombo_last_sync_started_at"]
    assert release_records(acme.conn) == (1, [])
    assert acme.job(job_id)["name"] == "Readable"
    assert acme.integration()["kombo_last_sync_started_at"] == watermark
    assert release_records(acme.conn) == (0, [])


def test_a_released_record_never_overwrites_a_later_one_that_waits_to_be_applied(acme: Customer) -> None:
    job_id = acme.ids()[0]
    quarantine_by_hand(acme, acme.kombo_job(job_id) | {"name": "Old"})
    acme.answer([acme.kombo_job(job_id) | {"name": "Newer"}])
    acme.land()
    release_records(acme.conn)
    assert acme.job(job_id)["name"] == "Newer"


def test_a_released_record_does_not_revive_a_job_that_vanished_since(acme: Customer) -> None:
    job_id = acme.open_ids()[0]
    quarantine_by_hand(acme, acme.kombo_job(job_id) | {"name": "Old"})
    acme.answer([job for id_, job in acme.world.kombo_jobs(acme.id).items() if id_ != job_id])
    acme.fetch(full=True)
    assert acme.job(job_id)["lifecycle"] == "vanished"
    release_records(acme.conn)
    assert acme.job(job_id)["lifecycle"] == "vanished"


# How jobs end


def test_a_deleted_job_keeps_its_content_and_can_come_back(acme: Customer) -> None:
    job_id = acme.open_ids()[0]
    acme.world.delete_job(acme.id, job_id)
    assert acme.sync_and_fetch().closed == 1
    assert (acme.job(job_id)["lifecycle"], acme.job(job_id)["publishable"]) == ("deleted", False)
    assert acme.job(job_id)["name"]
    acme.world.restore_job(acme.id, job_id)
    acme.sync_and_fetch()
    assert acme.job(job_id)["lifecycle"] == "open"
    assert [event for field, event in acme.changes(job_id) if field == "lifecycle"] == ["deleted", "restored"]
    assert_equals_kombo(acme)


@pytest.mark.parametrize("missed", [False, True], ids=["deletion fetched", "deletion missed"])
def test_an_emptied_tombstone_dates_the_deletion_and_keeps_the_good_copy(acme: Customer, missed: bool) -> None:
    acme.world.behaviour.anonymise_purged = True
    job_id = acme.open_ids()[0]
    good = acme.kombo_job(job_id)
    acme.world.delete_job(acme.id, job_id)
    acme.world.sync(acme.id)
    deleted_at = acme.world.clock.now()
    if not missed:
        acme.fetch()
        good = acme.kombo_job(job_id)
    acme.world.clock.advance(timedelta(days=15))
    for _ in range(2):
        acme.fetch(full=True)
        job = acme.job(job_id)
        assert (job["lifecycle"], job["remote_deleted_at"]) == ("deleted", deleted_at)
        kept = stored(acme.conn, acme.id)[job_id]
        assert kept == as_stored(good, kept) | {"remote_deleted_at": deleted_at}
    assert [event for field, event in acme.changes(job_id) if field == "lifecycle"] == ["deleted"]


def test_emptied_tombstones_whose_times_lack_a_zone_are_read_as_utc(acme: Customer) -> None:
    first, second = acme.open_ids()[:2]
    empty = {"remote_id": None, "name": None}
    acme.answer([
        {"id": first, "remote_deleted_at": "2026-09-01T00:00:00"} | empty,
        {"id": second, "remote_deleted_at": "2026-09-01T00:00:00.000Z"} | empty,
    ])  # fmt: skip
    acme.fetch()
    assert acme.job(first)["remote_deleted_at"] == acme.job(second)["remote_deleted_at"] is not None


def test_a_job_that_a_full_fetch_does_not_show_has_vanished_and_may_return_as_it_was(acme: Customer) -> None:
    job_id = acme.open_ids()[0]
    acme.answer([job for id_, job in acme.world.kombo_jobs(acme.id).items() if id_ != job_id])
    applied = acme.fetch(full=True)
    assert (applied.closed, applied.repaired) == (1, 1)
    assert acme.job(job_id)["lifecycle"] == "vanished"
    acme.fetch(full=True)
    assert acme.job(job_id)["lifecycle"] == "open"
    assert [event for field, event in acme.changes(job_id) if field == "lifecycle"] == ["vanished", "restored"]
    assert_equals_kombo(acme)


def test_an_incremental_fetch_closes_nothing_that_it_does_not_show(acme: Customer) -> None:
    acme.answer([])
    assert acme.fetch().closed == 0
    assert "vanished" not in acme.lifecycles().values()


def test_a_full_fetch_that_breaks_off_closes_nothing(acme: Customer) -> None:
    watermark = acme.integration()["kombo_last_sync_started_at"]
    acme.answer([acme.kombo_job(acme.ids()[0])], [])
    acme.world.faults[1] = Fault("answer", status=503, path="/ats/jobs", page=2, times=9)
    with pytest.raises(KomboError):
        acme.land(full=True)
    assert acme.apply() == []
    assert "vanished" not in acme.lifecycles().values()
    assert acme.integration()["kombo_last_sync_started_at"] == watermark


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("last_sync_state", "PARTIALLY_FAILED"),
        ("last_sync_state", "AUTHENTICATION_FAILED"),
    ],
)
def test_nothing_vanishes_while_the_data_behind_is_in_doubt(acme: Customer, column: str, value: str) -> None:
    acme.land()
    acme.apply()
    acme.conn.execute(f"update core.integrations set {column} = %s", (value,))
    acme.conn.commit()
    acme.answer([acme.kombo_job(acme.ids()[0])])
    applied = acme.fetch(full=True)
    assert (applied.closed, applied.held) == (0, 0)
    assert "were left as they are" in applied.notes[0]


@pytest.mark.parametrize("state", ["INVALID", "INACTIVE"])
def test_nothing_vanishes_while_the_integration_is_not_active(acme: Customer, state: str) -> None:
    acme.world.set_state(acme.id, state=state)
    acme.answer([acme.kombo_job(acme.ids()[0])])
    assert acme.fetch(full=True).closed == 0
    assert "vanished" not in acme.lifecycles().values()


def let_vanish(big: Customer, gone: list[str]) -> Any:
    big.answer([job for id_, job in big.world.kombo_jobs(big.id).items() if id_ not in gone])
    return big.fetch(full=True)


def test_a_mass_closure_waits_and_its_release_closes_exactly_that_set(big: Customer) -> None:
    gone = big.open_ids()[:15]
    assert let_vanish(big, gone).held == 15
    assert big.open_ids() == sorted({*big.open_ids(), *gone})
    hold = big.hold()
    assert hold is not None
    assert (hold["kombo_job_ids"], hold["reason"]) == (gone, "vanished")
    returned, *closed = gone
    big.answer([big.kombo_job(returned)])
    big.fetch()
    assert lifecycle.release_closure(big.conn, hold["hold_id"], decided_by="Jana") == 14
    big.conn.commit()
    assert sorted(id_ for id_, state in big.lifecycles().items() if state == "vanished") == closed
    assert lifecycle.release_closure(big.conn, hold["hold_id"], decided_by="Jana") is None


def test_statuses_lost_all_at_once_are_held_and_taken_only_when_released(big: Customer) -> None:
    open_ids = big.open_ids()
    for job_id in open_ids:
        big.world.edit_job(big.id, job_id, status=None)
    assert big.sync_and_fetch().held == len(open_ids)
    assert big.open_ids() == open_ids
    hold = big.hold()
    assert hold is not None
    assert (hold["kombo_job_ids"], hold["reason"]) == (open_ids, "status_off")
    assert lifecycle.release_closure(big.conn, hold["hold_id"], decided_by="Jana") == len(open_ids)
    big.conn.commit()
    assert {big.lifecycles()[job_id] for job_id in open_ids} == {"unknown"}
    assert_history_has_no_gap(big.conn)


def test_a_status_that_comes_back_withdraws_the_hold(big: Customer) -> None:
    open_ids = big.open_ids()
    for status in (None, "OPEN"):
        for job_id in open_ids:
            big.world.edit_job(big.id, job_id, status=status)
        big.sync_and_fetch(full=status == "OPEN")
    assert big.hold() is None
    assert big.open_ids() == open_ids


def test_the_same_mass_closure_is_held_once_and_not_again_after_a_refusal(big: Customer) -> None:
    gone = big.open_ids()[:15]
    let_vanish(big, gone)
    let_vanish(big, gone)
    hold = big.hold()
    assert hold is not None
    assert lifecycle.release_closure(big.conn, hold["hold_id"], decided_by="Jana", refuse=True) == 0
    big.conn.commit()
    let_vanish(big, gone)
    assert big.hold() is None
    assert "vanished" not in big.lifecycles().values()
    assert big.conn.execute("select count(*) as n from core.held_closures").fetchone() == {"n": 1}


def test_a_held_closure_is_superseded_by_a_fetch_that_shows_the_jobs_again(big: Customer) -> None:
    let_vanish(big, big.open_ids()[:15])
    big.fetch(full=True)
    assert big.hold() is None
    assert big.conn.execute("select decision from core.held_closures").fetchone() == {"decision": "superseded"}


def test_a_held_closure_is_superseded_by_a_larger_one(big: Customer) -> None:
    let_vanish(big, big.open_ids()[:15])
    let_vanish(big, big.open_ids()[:16])
    hold = big.hold()
    assert hold is not None
    assert len(hold["kombo_job_ids"]) == 16


def test_ten_vanished_jobs_are_believed_and_an_empty_answer_never_is(acme: Customer) -> None:
    assert let_vanish(acme, acme.ids()[1:11]).held == 0
    assert list(acme.lifecycles().values()).count("vanished") == 10
    if acme.open_ids():
        acme.answer([])
        acme.fetch(full=True)
        assert acme.hold() is not None


@pytest.mark.parametrize("emptied", [False, True], ids=["tombstones", "emptied tombstones"])
def test_a_switched_off_jobs_model_holds_the_tombstones(big: Customer, emptied: bool) -> None:
    big.world.behaviour.anonymise_purged = True
    open_ids = big.open_ids()
    big.world.disable_jobs_model(big.id)
    big.world.sync(big.id)
    big.world.clock.advance(timedelta(days=15 if emptied else 1))
    applied = big.fetch(full=True)
    assert applied.held == len(open_ids)
    assert big.open_ids() == open_ids
    hold = big.hold()
    assert hold is not None
    assert hold["reason"] == "jobs_model_off"
    assert lifecycle.release_closure(big.conn, hold["hold_id"], decided_by="Jana") == len(open_ids)
    assert big.open_ids() == []


def test_the_hold_ends_when_the_jobs_model_is_back(big: Customer) -> None:
    open_ids = big.open_ids()
    big.world.disable_jobs_model(big.id)
    big.sync_and_fetch()
    assert big.hold() is not None
    big.world.enable_jobs_model(big.id)
    big.sync_and_fetch()
    assert big.hold() is None
    assert big.open_ids() == open_ids
    assert_equals_kombo(big)


def test_real_deletions_are_applied_at_once_however_many(big: Customer) -> None:
    open_ids = big.open_ids()
    for job_id in open_ids:
        big.world.delete_job(big.id, job_id)
    assert big.sync_and_fetch().closed == len(open_ids)
    assert big.open_ids() == []


def test_a_deleted_integration_takes_its_jobs_with_it(acme: Customer) -> None:
    open_ids = acme.open_ids()
    acme.land()
    acme.world.delete_integration(acme.id)
    acme.deliver()
    assert set(acme.lifecycles().values()) == {"integration_gone"}
    assert acme.apply() == []
    assert acme.land().status == "gone"
    assert all(acme.changes(job_id)[-1] == ("lifecycle", "integration_gone") for job_id in open_ids)


# Crashes and rivals


def test_a_landed_fetch_is_applied_by_the_next_run(acme: Customer) -> None:
    job_id = acme.open_ids()[0]
    acme.world.set_status(acme.id, job_id, "CLOSED")
    acme.world.sync(acme.id)
    acme.land()
    assert acme.job(job_id)["lifecycle"] == "open"
    acme.apply()
    assert acme.job(job_id)["lifecycle"] == "closed"
    assert acme.apply() == []


def test_an_apply_that_does_not_commit_leaves_nothing(acme: Customer) -> None:
    acme.distort(acme.ids()[0], name="Changed")
    acme.distort(acme.ids()[1], name=7)
    acme.land()
    before = (row_versions(acme.conn), acme.integration(), acme.quarantined())
    from kombo_pipeline.ingest.apply import apply_landed_fetches

    apply_landed_fetches(acme.conn, acme.id)
    acme.conn.rollback()
    assert (row_versions(acme.conn), acme.integration(), acme.quarantined()) == before
    assert len(acme.apply()) == 1


def test_a_fetch_that_a_later_one_overtook_may_not_land(acme: Customer, warehouse_url: str) -> None:
    watermark = acme.integration()["kombo_last_sync_started_at"]

    def overtake(record: Record) -> Record:
        with connect(warehouse_url) as rival:
            fetches.start(
                rival,
                integration_id=acme.id,
                kind="incremental",
                updated_after=None,
                requested_at=acme.world.clock.now(),
                dagster_run_id=None,
            )
        return record

    acme.world.set_raw(acme.id, acme.ids()[0], overtake)
    with pytest.raises(fetches.FetchAbandonedError):
        acme.land()
    assert acme.apply() == []
    assert acme.integration()["kombo_last_sync_started_at"] == watermark


def test_a_failed_fetch_leaves_watermark_and_jobs_as_they_are(acme: Customer) -> None:
    before = (row_versions(acme.conn), acme.integration()["kombo_last_sync_started_at"])
    acme.world.behaviour.fault_rate = 1
    with pytest.raises(KomboError):
        acme.land()
    acme.world.behaviour.fault_rate = 0
    assert acme.apply() == []
    assert (row_versions(acme.conn), acme.integration()["kombo_last_sync_started_at"]) == before
    acme.distort(acme.ids()[0], name="Afterwards")
    acme.fetch()
    assert acme.job(acme.ids()[0])["name"] == "Afterwards"


def test_the_watermark_stays_when_our_clock_falls_back(acme: Customer, served: Served) -> None:
    watermark = acme.integration()["kombo_last_sync_started_at"]
    acme.skew = timedelta(hours=-3)
    with client(served.url, acme.now) as acme.kombo:
        acme.fetch()
    assert acme.integration()["kombo_last_sync_started_at"] == watermark


def test_a_clock_that_once_ran_a_year_ahead_does_not_put_off_full_fetches(acme: Customer) -> None:
    acme.skew = timedelta(days=365)
    acme.fetch(full=True)
    acme.skew = timedelta(0)
    assert acme.land().kind == "full"
    acme.apply()
    assert acme.land().kind == "incremental"
