"""A field that cannot be read costs that field: never the record, its lifecycle, or anything beside it."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kombo_pipeline import limits
from kombo_pipeline.db.connection import Connection
from kombo_pipeline.ingest.apply import release_records
from kombo_pipeline.kombo import tolerance
from kombo_pipeline_tests.ingest.model import (
    NESTED_TABLES,
    Customer,
    Record,
    Served,
    as_stored,
    assert_equals_kombo,
    assert_history_has_no_gap,
    empty,
    stored,
)
from kombo_pipeline_tests.ingest.oddities import ODDITIES, field_of, make_targets, odd, row, targets
from kombo_pipeline_tests.kombo.test_tolerance import ENDINGS as ANY_ENDING
from kombo_pipeline_tests.kombo.test_tolerance import RECORDS, quick

ENDINGS: dict[str, Record] = {
    "closed": {"status": "CLOSED"},
    "deleted": {"remote_deleted_at": "2026-09-01T08:00:00.000Z"},
}
# What is stored of a field although it is odd: what can be read inside it.
READABLE_INSIDE: dict[str, Record] = {
    "number inside the location": {
        "location_country": "DE",
        **dict.fromkeys(f"location_{part}" for part in ("raw", "state", "street_1", "street_2", "zip_code")),
    },
    "city beyond its limit": {
        "location_country": "DE",
        **dict.fromkeys(f"location_{part}" for part in ("raw", "state", "street_1", "street_2", "zip_code")),
    },
    "id of an entry beyond its limit": {"hiring_team": []},
    "title of an entry beyond its limit": {"job_postings": [{"id": "x", "title": None}]},
    "NUL in a text": {"name": "ab"},
    "NUL in free JSON": {"custom_fields": {"a": ""}},
    "no UTF-8": {"name": "\ufffd"},
    "no UTF-8 in free JSON": {"custom_fields": {"a": "\ufffd"}},
    "number beyond integer": {"stages": [{"id": "x", "index": None}]},
    "fraction for an integer": {"screening_questions": [{"id": "x", "index": None}]},
    "entry that is null": {"hiring_team": []},
    "entry that is text": {"hiring_team": []},
    "entry without id": {"job_postings": []},
    "entry whose id is a number": {"job_postings": []},
    "NUL in a nested text": {"stages": [{"id": "x", "name": "a"}]},
    "NUL in a nested id": {"stages": []},
    "too deep in an entry": {"stages": [{"id": "x", "remote_data": None}]},
}


@pytest.fixture
def acme(conn: Connection, served: Served) -> Iterator[Customer]:
    """A customer of twelve jobs, fetched long enough ago for nothing to be told twice."""
    customer = Customer(conn, served, jobs=12)
    customer.fetch()
    customer.world.clock.advance(timedelta(hours=1))
    yield customer
    conn.rollback()


def open_record(acme: Customer) -> Record:
    """An open and public job as Kombo has it, which is an application target."""
    job_id = acme.open_ids()[0]
    acme.conn.execute("update core.jobs set visibility = null where kombo_job_id = %s", (job_id,))
    make_targets(acme, [job_id])
    assert targets(acme) == {job_id}
    return acme.kombo_job(job_id) | {"visibility": "PUBLIC"}


@pytest.mark.parametrize("full", [False, True], ids=["incremental", "full"])
@pytest.mark.parametrize("ending", list(ENDINGS))
def test_a_job_that_ends_has_ended_whatever_else_its_record_says(acme: Customer, ending: str, full: bool) -> None:
    template = open_record(acme)
    acme.answer([template | {"id": oddity} for oddity in ODDITIES])
    acme.fetch()
    make_targets(acme, list(ODDITIES))
    assert targets(acme) == {template["id"], *ODDITIES}
    acme.answer([
        odd(template | {"id": oddity} | ENDINGS[ending], key=key, text=text) for oddity, (key, text) in ODDITIES.items()
    ])  # fmt: skip
    acme.fetch(full=full)
    assert not targets(acme) & ODDITIES.keys()
    for oddity in ODDITIES:
        job = acme.job(oddity)
        assert job["lifecycle"] == ending, oddity
        assert list(job["unreadable_fields"]) == [field_of(oddity)], oddity
    links = acme.conn.execute("select kombo_job_id from core.job_links where state = 'suspended'").fetchall()
    assert {link["kombo_job_id"] for link in links} >= ODDITIES.keys()


@pytest.mark.parametrize("known", [True, False], ids=["known", "unseen"])
def test_an_odd_field_costs_itself_and_all_others_arrive(acme: Customer, known: bool) -> None:
    template = acme.kombo_job(acme.ids()[0]) | {"job_postings": [{"id": "p", "title": "Posted"}]}
    if known:
        acme.answer([template | {"id": oddity} for oddity in ODDITIES])
        acme.fetch()
    before = stored(acme.conn, acme.id)
    records = {oddity: template | {"id": oddity, "department": "Moved", "status": "DRAFT"} for oddity in ODDITIES}
    good = template | {"id": "good", "name": "Good"}
    acme.answer([good, *[odd(records[oddity], key=key, text=text) for oddity, (key, text) in ODDITIES.items()]])
    applied = acme.fetch()
    assert (applied.quarantined, applied.changed) == (len(ODDITIES), len(ODDITIES) if known else 0)
    assert {row["kombo_job_id"] for row in acme.quarantined()} == ODDITIES.keys()
    assert all(field_of(row["kombo_job_id"]) in row["reason"] for row in acme.quarantined())
    after = stored(acme.conn, acme.id)
    assert after["good"]["name"] == "Good"
    for oddity, record in records.items():
        is_, was = after[oddity], before.get(oddity, {})
        assert list(is_["unreadable_fields"]) == [field_of(oddity)], oddity
        wanted = as_stored(record, is_) | {"unreadable_fields": is_["unreadable_fields"]}
        odd_columns = {c for c in is_ if field_of(oddity) in (c, c.partition("_")[0])}
        assert {c for c in is_ if is_[c] != wanted[c]} <= odd_columns, oddity
        for column in odd_columns - READABLE_INSIDE.get(oddity, {}).keys():
            assert is_[column] == was.get(column, [] if column in NESTED_TABLES else None), oddity
        for column, value in READABLE_INSIDE.get(oddity, {}).items():
            if column in NESTED_TABLES:
                told = [entry.items() >= part.items() for entry, part in zip(is_[column], value, strict=True)]
                assert all(told), oddity
            else:
                assert is_[column] == value, oddity
    unknown = {o: acme.job(o)["unknown_fields"] for o in ODDITIES if field_of(o) == "unknown_fields"}
    assert unknown == {
        "NUL under an unknown key": {"parking": ""},
        "too deep under an unknown key": None,
        "unknown text beyond its limit": None,
    }
    assert_history_has_no_gap(acme.conn)


@settings(quick, max_examples=15)
@given(st.lists(st.tuples(RECORDS, ANY_ENDING), min_size=30, max_size=30), st.booleans())
def test_whatever_an_ending_record_holds_no_target_and_no_open_job_is_left(
    acme: Customer, records: list[tuple[Record, Record]], full: bool
) -> None:
    """Any JSON in any field, from Kombo's answer to the view that your product reads."""
    empty(acme.conn)
    names = [f"job {number}" for number in range(len(records))]
    acme.answer([{"id": name, "name": "Engineer", "status": "OPEN"} for name in names])
    acme.fetch()
    make_targets(acme, names)
    assert targets(acme) == set(names)
    acme.answer([record | ending | {"id": name} for name, (record, ending) in zip(names, records, strict=True)])
    acme.fetch(full=full)
    assert targets(acme) == set()
    lifecycles = acme.lifecycles()
    for name, (record, ending) in zip(names, records, strict=True):
        sent = record | ending
        deleted_at = sent.get("remote_deleted_at")
        is_deleted = deleted_at is not None and "remote_deleted_at" not in (acme.job(name)["unreadable_fields"] or {})
        wanted = {"deleted"} if is_deleted else {"closed"} if sent.get("status") == "CLOSED" else {"unknown"}
        assert lifecycles[name] in wanted, sent
    assert_history_has_no_gap(acme.conn)


WORDS = [
    b"7",
    b"true",
    b"{}",
    b'["OPEN"]',
    b'{"value": "OPEN"}',
    b'"OPEN\\u0000"',
    b'"\xff"',
    b"[" * 5000 + b"]" * 5000,
]


@pytest.mark.parametrize("known", [True, False], ids=["known", "unseen"])
@pytest.mark.parametrize("text", WORDS, ids=range(len(WORDS)))
def test_a_status_that_cannot_be_read_is_unknown_and_not_open(acme: Customer, text: bytes, known: bool) -> None:
    record = open_record(acme) | ({} if known else {"id": "fresh"})
    acme.answer([odd(record, key="status", text=text)])
    acme.fetch()
    job = acme.job(record["id"])
    assert (job["lifecycle"], job["publishable"]) == ("unknown", False)
    assert "status" in job["unreadable_fields"]
    assert record["id"] not in targets(acme)
    assert len(job["status"]) <= 200


@pytest.mark.parametrize("text", [b"{}", b"7", b'""', b'"soon"', b'"0000-12-31T00:00:00Z"', b'"2026-09-01T99:00:00Z"'])
def test_a_deletion_date_that_cannot_be_read_is_not_an_open_job(acme: Customer, text: bytes) -> None:
    record = open_record(acme)
    for job_id in (record["id"], "fresh"):
        acme.answer([odd(record | {"id": job_id}, key="remote_deleted_at", text=text)])
        acme.fetch()
        job = acme.job(job_id)
        assert (job["lifecycle"], job["status"]) == ("unknown", None)
        assert {"status", "remote_deleted_at"} <= job["unreadable_fields"].keys()
    assert targets(acme) == set()


@pytest.mark.parametrize("text", WORDS, ids=range(len(WORDS)))
def test_a_visibility_that_cannot_be_read_is_not_publishable(acme: Customer, text: bytes) -> None:
    record = open_record(acme)
    acme.answer([odd(record, key="visibility", text=text.replace(b"OPEN", b"PUBLIC"))])
    acme.fetch()
    job = acme.job(record["id"])
    assert (job["lifecycle"], job["publishable"]) == ("open", False)
    assert targets(acme) == set()


@pytest.mark.parametrize("oddity", [{"status": {"word": "OPEN"}}, {"remote_deleted_at": {"at": "2026-09-01"}}])
def test_jobs_whose_status_or_deletion_cannot_be_read_are_not_held_as_open(
    conn: Connection, served: Served, oddity: Record
) -> None:
    big = Customer(conn, served, jobs=40)
    big.fetch()
    big.world.clock.advance(timedelta(hours=1))
    big.answer([record | oddity for record in big.world.kombo_jobs(big.id).values()])
    assert big.fetch().held == 0
    assert big.open_ids() == []
    assert big.hold() is None


DATES = ["0001-01-01T00:00:00+02:00", "9999-12-31T23:59:59-05:00", "0001-01-01", "9999-12-31T24:00:00Z"]


@pytest.mark.parametrize("date", [*DATES, *(ODDITIES[name][1].decode().strip('"') for name in ("year nought",))])
def test_dates_beyond_pythons_reach_stop_neither_the_fetch_nor_anything_that_reads_them(
    acme: Customer, date: str
) -> None:
    record = acme.kombo_job(acme.open_ids()[0])
    dates = dict.fromkeys(("opened_at", "closed_at", "remote_created_at", "remote_updated_at", "changed_at"), date)
    acme.answer([record | dates | {"name": "Arrived"}])
    acme.fetch()
    assert acme.job(record["id"])["name"] == "Arrived"
    assert acme.conn.execute("select * from marts.jobs").fetchall()


@pytest.mark.parametrize("date", [*DATES[:2], "2026-09-01T24:00:00Z", "2026-12-31T23:59:60Z", "2026-09-01"])
def test_an_emptied_tombstone_with_a_rare_date_deletes_and_keeps_the_good_copy(acme: Customer, date: str) -> None:
    job_id = acme.open_ids()[0]
    name = acme.job(job_id)["name"]
    acme.answer([{"id": job_id, "remote_id": None, "name": None, "remote_deleted_at": date, "weekly_hours": "40"}])
    acme.fetch()
    assert (acme.job(job_id)["lifecycle"], acme.job(job_id)["name"]) == ("deleted", name)


def test_a_tombstone_whose_name_cannot_be_read_is_not_an_emptied_one(acme: Customer) -> None:
    record = acme.kombo_job(acme.open_ids()[0])
    acme.answer([record | {"remote_id": None, "name": 7, "job_code": "new"} | ENDINGS["deleted"]])
    acme.fetch()
    job = acme.job(record["id"])
    assert (job["lifecycle"], job["name"], job["job_code"]) == ("deleted", record["name"], "new")


def test_a_page_of_odd_records_costs_their_fields_alone(acme: Customer) -> None:
    """All at once, in a way that only COPY notices."""
    make_targets(acme, acme.open_ids())
    ended = [record | {"status": "CLOSED"} for record in acme.world.kombo_jobs(acme.id).values()]
    acme.answer([odd(record, key="opened_at", text=b'"0000-12-31T00:00:00Z"') for record in ended])
    acme.fetch()
    assert targets(acme) == set()
    assert set(acme.lifecycles().values()) <= {"closed", "deleted"}


def test_what_postgres_refuses_for_an_unforeseen_reason_costs_everything_but_the_lifecycle(
    acme: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        tolerance._JOB_READERS, "opened_at", lambda text: tolerance._text(text, limits.NAME)
    )  # as if any text were a date
    record = open_record(acme)
    acme.answer([record | {"status": "CLOSED", "name": "New", "opened_at": "0000-12-31T00:00:00Z"}])
    acme.fetch()
    job = acme.job(record["id"])
    assert (job["lifecycle"], job["name"]) == ("closed", record["name"])
    assert "0000-12-31" in job["unreadable_fields"]["name"]
    assert targets(acme) == set()


# Later, and again


def test_a_readable_record_clears_what_was_unreadable_and_leaves_quarantine(acme: Customer) -> None:
    job_id = acme.ids()[0]
    acme.distort(job_id, name=7)
    acme.fetch()
    assert acme.job(job_id)["unreadable_fields"] == {"name": "expected text, got a number"}
    acme.world.set_raw(acme.id, job_id, None)
    acme.fetch()
    assert acme.job(job_id)["unreadable_fields"] is None
    assert acme.quarantined() == []
    assert_equals_kombo(acme)
    assert_history_has_no_gap(acme.conn)


def test_another_odd_version_takes_the_place_of_the_first(acme: Customer) -> None:
    job_id = acme.ids()[0]
    for oddity in ({"name": 7}, {"name": 8}, {"job_code": 9}):
        acme.distort(job_id, **oddity)
        acme.fetch()
        (quarantined,) = acme.quarantined()
        assert list(acme.job(job_id)["unreadable_fields"]) == list(oddity)
        assert next(iter(oddity)) in quarantined["reason"]
    assert acme.job(job_id)["name"] == acme.kombo_job(job_id)["name"]


def test_full_equals_incremental_but_for_the_columns_named(acme: Customer) -> None:
    """The same records in one full fetch and over many incremental ones."""
    records = list(acme.world.kombo_jobs(acme.id).values())
    oddities = [o for o in ODDITIES if ODDITIES[o][0] != "changed_at"][: len(records) * 3]
    newest: dict[str, bytes] = {}
    for number, oddity in enumerate(oddities):
        record = records[number % len(records)] | {"department": f"D{number}", "status": "CLOSED"}
        newest[record["id"]] = odd(record, key=ODDITIES[oddity][0], text=ODDITIES[oddity][1])
        acme.answer([newest[record["id"]]])
        acme.fetch()
    incremental = stored(acme.conn, acme.id)
    acme.conn.execute("delete from core.jobs")
    for table in ("job_stages", "job_screening_questions", "job_postings", "job_hiring_team", "job_changes"):
        acme.conn.execute(f"delete from core.{table}")
    acme.conn.commit()
    acme.answer(list(newest.values()))
    acme.fetch(full=True)
    full = stored(acme.conn, acme.id)
    assert full.keys() == incremental.keys()
    for job_id, job in full.items():
        named = set(job["unreadable_fields"])
        differing = {column for column in job if job[column] != incremental[job_id][column]}
        assert {"location" if c.startswith("location_") else c for c in differing} <= named


def test_release_reads_again_with_the_code_of_today(acme: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = acme.ids()[0]
    acme.distort(job_id, weekly_hours="40")
    acme.fetch()
    applied, (staying,) = release_records(acme.conn)
    assert (applied, staying.kombo_job_id) == (0, job_id)
    # As if the reader had learned that a text may be a number.
    monkeypatch.setitem(tolerance._JOB_READERS, "weekly_hours", lambda text: float(text.strip('"')))
    assert release_records(acme.conn) == (1, [])
    job = acme.job(job_id)
    assert (job["weekly_hours"], job["unreadable_fields"]) == (40, None)


def test_a_release_of_records_does_not_go_round_a_held_closure(conn: Connection, served: Served) -> None:
    big = Customer(conn, served, jobs=40)
    big.fetch()
    big.world.clock.advance(timedelta(hours=1))
    held = big.open_ids()
    big.world.enable_jobs_model(big.id, enabled=False)
    ended = [big.kombo_job(job_id) | ENDINGS["deleted"] | {"weekly_hours": "40"} for job_id in held]
    big.answer(ended)
    assert big.fetch().held == len(held) > 10
    for quarantine_id in [record["quarantine_id"] for record in big.quarantined()] or [1]:
        release_records(big.conn, [quarantine_id])
    assert big.open_ids() == held


def test_a_job_with_unreadable_fields_does_not_claim_to_be_fresh(acme: Customer) -> None:
    def data_as_of(job_id: str) -> Any:
        return row(acme, "select data_as_of from marts.jobs where kombo_job_id = %s", job_id)["data_as_of"]

    job_id, other = acme.ids()[:2]
    read_whole = data_as_of(job_id)
    for _ in range(2):
        acme.distort(job_id, name=7, job_code=str(acme.world.clock.now()))
        acme.world.clock.advance(timedelta(hours=1))
        acme.fetch()
        assert data_as_of(job_id) == read_whole < data_as_of(other)
    acme.answer([acme.kombo_job(other) | {"id": "fresh", "name": 7}])
    acme.fetch()
    assert data_as_of("fresh") is None
    acme.world.set_raw(acme.id, job_id, None)
    acme.fetch()
    assert data_as_of(job_id) == data_as_of(other) > read_whole


# The alarm


def health(acme: Customer) -> Record:
    return row(acme, "select * from marts.integration_health where integration_id = %s", acme.id)


@pytest.mark.parametrize(("jobs", "odd_jobs", "alarm"), [(40, 11, True), (40, 10, False), (12, 12, True)])
def test_more_than_ten_odd_records_that_are_more_than_a_twentieth_are_an_alarm_for_us(
    conn: Connection, served: Served, jobs: int, odd_jobs: int, alarm: bool
) -> None:
    customer = Customer(conn, served, jobs=jobs)
    customer.fetch()
    ids = customer.ids()[:odd_jobs]
    customer.world.clock.advance(timedelta(hours=1))
    for number, job_id in enumerate(ids):
        customer.distort(job_id, **({"salary_amount": {}} if number else {"salary_amount": {}, "name": 7}))
    assert customer.fetch().quarantined == odd_jobs
    told = health(customer)
    assert (told["unreadable_jobs"], told["unreadable_fields"]["salary_amount"]) == (odd_jobs, odd_jobs)
    assert (told["health"] == "needs attention", told["who_must_act"] == "us") == (alarm, alarm)
    assert ("salary_amount" in (told["what_to_do"] or "")) is alarm
    customer.fetch(full=True)
    assert health(customer)["who_must_act"] == told["who_must_act"], "the same records again change nothing"
    for job_id in ids[1:]:
        customer.world.set_raw(customer.id, job_id, None)
    customer.fetch()
    told = health(customer)
    assert (told["who_must_act"], told["unreadable_jobs"]) == (None, 1)


def test_odd_records_that_are_many_of_a_fetch_but_few_of_all_are_an_alarm_until_a_fetch_shows_few(
    conn: Connection, served: Served
) -> None:
    customer = Customer(conn, served, jobs=300)
    for _ in range(2):
        customer.world.clock.advance(timedelta(hours=1))
        customer.fetch()
    for job_id in customer.ids()[:12]:
        customer.distort(job_id, salary_amount={})
    assert customer.fetch().unchanged == 0
    assert health(customer)["who_must_act"] == "us"
    customer.fetch(full=True)
    assert health(customer)["who_must_act"] is None
    assert health(customer)["unreadable_jobs"] == 12


def test_records_without_an_id_count_for_the_alarm(acme: Customer) -> None:
    acme.answer([{"id": None, "name": str(number)} for number in range(11)])
    acme.fetch()
    assert (health(acme)["who_must_act"], health(acme)["quarantined_records"]) == ("us", 11)


def test_a_text_that_was_stored_without_limits_does_not_stay(acme: Customer) -> None:
    """What older code has stored of these fields is far beyond their limits; what it has stored of others stays."""
    record = acme.kombo_job(acme.ids()[0]) | {"id": "long", "name": "Cook", "location": {"city": "Bonn", "raw": "Here"}}
    acme.answer([record])
    acme.fetch()
    texts = [column for column in tolerance.TEXT_LIMITS if column not in ("status", "visibility")]
    long = {column: "x" * (tolerance.TEXT_LIMITS[column].most + 1) for column in texts}
    for column, text in long.items():
        acme.conn.execute(f"update core.jobs set {column} = %s where kombo_job_id = 'long'", (text,))
    acme.conn.commit()
    location = {
        column.removeprefix("location_"): text for column, text in long.items() if column.startswith("location_")
    }
    acme.answer([record | {name: text for name, text in long.items() if name in record} | {"location": location}])
    acme.fetch()
    assert {acme.job("long")[column] for column in texts} == {None}
    assert acme.job("long")["unreadable_fields"].keys() == {*record, "location"} & {*long, "location"}


def test_the_stored_text_stays_where_a_longer_one_comes(acme: Customer) -> None:
    record = acme.kombo_job(acme.ids()[0]) | {"id": "long", "name": "Cook", "post_url": "https://x.example/1"}
    acme.answer([record])
    acme.fetch()
    acme.answer([record | {"name": "x" * 1001, "post_url": "https://" + "x" * 5000, "department": "Kitchen"}])
    acme.fetch()
    job = acme.job("long")
    assert (job["name"], job["post_url"], job["department"]) == ("Cook", "https://x.example/1", "Kitchen")
    assert job["unreadable_fields"] == {
        "name": "too long: 1,001 characters; 1,000 are possible",
        "post_url": "too long: 5,008 characters; 4,000 are possible",
    }
