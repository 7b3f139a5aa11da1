"""Traps 32 to 43: what a job record may hold."""

import json
from collections.abc import Callable

import pytest
import xxhash

from kombo_pipeline.kombo.responses import page_text
from kombo_pipeline_tests.ingest.model import NESTED_TABLES, Record, assert_equals_kombo, stored
from kombo_pipeline_tests.traps.subscriber import Subscriber


def test_trap_32_an_odd_record_costs_neither_its_page_nor_itself_where_it_can_be_read(acme: Subscriber) -> None:
    """To the SDK one unknown word of a closed list, or one missing key, costs all 250 jobs of a page."""
    wordy = acme.job_with(*NESTED_TABLES)
    unreadable, incomplete, plain = [job_id for job_id in acme.ids() if job_id != wordy][:3]
    record = acme.kombo_job(wordy)
    role = {"remote_id": None, "remote_label": None, "unified_type": "SPONSOR", "scope": "SYSTEM"}
    words: dict[str, Record] = {
        "stages": {"status": "PAUSED"},
        "screening_questions": {"category": "PANEL"},
        "job_postings": {"status": "EXPIRED", "visibility": "PARTNERS"},
        "hiring_team": {"job_roles": [role]},
    }
    acme.distort(wordy, **{field: [record[field][0] | odd] for field, odd in words.items()})
    acme.distort(unreadable, weekly_hours="many")
    acme.world.set_raw(acme.id, incomplete, lambda job: {k: job[k] for k in ("id", "remote_id", "name", "status")})
    acme.edit(plain, name="Renamed")
    acme.sync_and_fetch()
    assert [(row["kombo_job_id"], "weekly_hours" in row["reason"]) for row in acme.quarantined()] == [
        (unreadable, True)
    ]
    assert list(acme.job(unreadable)["unreadable_fields"]) == ["weekly_hours"]
    ours = stored(acme.conn, acme.id)
    for field, odd in words.items():
        [entry] = ours[wordy][field]
        assert entry.items() >= odd.items()
    assert ours[incomplete]["name"] == acme.kombo_job(incomplete)["name"]
    assert ours[plain]["name"] == "Renamed"


def test_trap_33_a_nested_object_that_cannot_be_read_is_told_and_not_silently_unset(acme: Subscriber) -> None:
    """The SDK turns an invalid `location` or a question format of a new type into "unset", without an error."""
    homeless, quizzed = [job_id for job_id in acme.ids() if acme.kombo_job(job_id)["screening_questions"]][:2]
    city = acme.job(homeless)["location_city"]
    assert city
    acme.distort(homeless, location="Berlin")
    question = acme.kombo_job(quizzed)["screening_questions"][0]
    formats = [{"type": "VIDEO", "seconds": 90}, {"type": "SINGLE_SELECT"}]
    acme.distort(quizzed, screening_questions=[question | {"id": str(n), "format": f} for n, f in enumerate(formats)])
    acme.fetch()
    [odd] = acme.quarantined()
    assert (odd["kombo_job_id"], "location" in odd["reason"]) == (homeless, True)
    assert acme.job(homeless)["location_city"] == city
    assert acme.job(homeless)["unreadable_fields"] == {"location": "expected an object, got text"}
    assert [q["format"] for q in stored(acme.conn, acme.id)[quizzed]["screening_questions"]] == formats


def test_trap_34_what_the_sdk_drops_is_kept(acme: Subscriber) -> None:
    """`remote_data`, `integration_fields` and every field that is not known yet."""
    job_id = acme.job_with("stages", "job_postings")
    record = acme.kombo_job(job_id)
    acme.distort(
        job_id,
        remote_data={"ats": [1, 2.5]},
        integration_fields=[{"id": "f", "key": "team", "type": "CUSTOM", "value": "Blue", "label": None}],
        parking="yes",
        stages=[record["stages"][0] | {"remote_data": {"colour": "red"}, "icon": "star"}],
    )
    acme.fetch()
    job, [stage] = acme.job(job_id), stored(acme.conn, acme.id)[job_id]["stages"]
    assert job["remote_data"] == {"ats": [1, 2.5]}
    assert job["integration_fields"][0]["value"] == "Blue"
    assert stage["remote_data"] == {"colour": "red"}
    assert job["unknown_fields"] == {"parking": "yes", "stages": [{"id": stage["id"], "icon": "star"}]}


def test_trap_35_the_page_is_kept_and_its_records_are_hashed_as_they_came(acme: Subscriber) -> None:
    """Dumping SDK models renames `type`, turns integers into floats and writes times anew."""
    raw = (
        b'{ "id":"raw" ,"remote_id":"1","name":"Caf\\u00e9","custom_fields":{"n":1,"f":1.0},"weekly_hours":4e1,'
        b'"opened_at":"2026-09-01","screening_questions":[{"id":"q","format":{"type":"DATE"}}]}'
    )
    acme.answer([raw, raw.replace(b"4e1", b"40")])
    fetch_id = acme.land().fetch_id
    acme.apply()
    page = acme.one("select * from raw.job_pages where fetch_id = %s", fetch_id)
    assert raw.decode() in page_text(page["body"])
    first, second = page["record_hashes"]
    assert first.hex == xxhash.xxh3_128_hexdigest(raw) != second.hex
    job = acme.job("raw")
    assert (job["name"], job["weekly_hours"]) == ("Café", 40)
    assert json.dumps(job["custom_fields"], sort_keys=True) == '{"f": 1.0, "n": 1}'
    assert stored(acme.conn, acme.id)["raw"]["screening_questions"][0]["format"] == {"type": "DATE"}


def test_trap_36_a_record_of_nulls_without_its_optional_keys_is_a_job(acme: Subscriber) -> None:
    """Nearly everything is nullable, `name` and `status` included, and six keys may be missing altogether."""
    optional = {"employment_type", "status", "visibility", "remote_work_status", "salary_period", "location"}
    template = acme.kombo_job(acme.ids()[0])
    bare = {key: None for key in template if key not in optional} | {key: [] for key in NESTED_TABLES}
    bare |= {"id": "bare", "remote_id": "r-1", "changed_at": template["changed_at"]}
    acme.answer([bare, bare | dict.fromkeys(optional) | {"id": "null"}])
    assert (acme.fetch().new, acme.quarantined()) == (2, [])
    for job_id in ("bare", "null"):
        job = acme.job(job_id)
        assert (job["name"], job["lifecycle"], job["publishable"]) == (None, "unknown", False)


def test_trap_37_only_what_outsiders_may_certainly_see_is_publishable(acme: Subscriber) -> None:
    """Open enums pass the ATS's own words through; OPEN and INTERNAL or CONFIDENTIAL is not public."""
    template = acme.kombo_job(acme.ids()[0]) | {"closed_at": None}
    states = {
        "public": ("OPEN", "PUBLIC"),
        "internal": ("OPEN", "INTERNAL"),
        "confidential": ("OPEN", "CONFIDENTIAL"),
        "raw visibility": ("OPEN", "Members"),
        "raw status": ("open for staff", "PUBLIC"),
        "no status": (None, "PUBLIC"),
        "draft": ("DRAFT", "PUBLIC"),
    }
    before = acme.publishable()
    acme.answer([template | {"id": name, "status": s, "visibility": v} for name, (s, v) in states.items()])
    acme.fetch()
    assert acme.publishable() - before == {"public"}
    assert {name: (acme.job(name)["status"], acme.job(name)["visibility"]) for name in states} == states


def test_trap_38_a_closing_date_in_the_future_closes_nothing(acme: Subscriber) -> None:
    """`closed_at` tells when a job closed or is scheduled to close."""
    job_id = min(acme.publishable())
    acme.edit(job_id, closed_at="2031-12-31T22:59:59.000Z")
    acme.sync_and_fetch()
    assert acme.job(job_id)["closed_at"].year == 2031
    assert job_id in acme.publishable()


@pytest.mark.parametrize(("visibility", "confidential"), [("PUBLIC", True), ("CONFIDENTIAL", False)])
def test_trap_39_visibility_decides_and_not_the_deprecated_confidential(
    acme: Subscriber, visibility: str, confidential: bool
) -> None:
    """`confidential`, `contact_id` and `hiring_team_roles` are deprecated."""
    job_id = acme.job_with("hiring_team")
    acme.edit(job_id, visibility=visibility, confidential=confidential)
    acme.sync_and_fetch()
    assert (job_id in acme.publishable()) is (visibility == "PUBLIC")
    assert_equals_kombo(acme)


def test_trap_40_jobs_are_told_apart_by_integration_and_kombo_id_alone(
    acme: Subscriber, connect: Callable[..., Subscriber]
) -> None:
    """Kombo ids are unique per model only, `job_code` is not unique at all, `remote_id` may be composite."""
    template = acme.kombo_job(acme.job_with("stages"))
    stages = [template["stages"][0] | {"id": "same"}]
    twins = [template | {"id": name, "remote_id": "1/7,DE", "stages": stages} for name in ("same", "twin")]
    other = connect(jobs=0)
    for customer in (acme, other):
        customer.answer(twins)
        assert customer.fetch().new == 2
        assert {customer.job(name)["remote_id"] for name in ("same", "twin")} == {"1/7,DE"}
        assert {customer.job(name)["job_code"] for name in ("same", "twin")} == {template["job_code"]}
    assert acme.one("select count(*) as n from core.job_stages where id = 'same'")["n"] == 4


def test_trap_41_the_three_addresses_of_a_job_and_its_foreign_html_are_kept_apart_and_as_they_are(
    acme: Subscriber,
) -> None:
    """`remote_url` points into the ATS, `post_url` to the public, each posting has an address of its own."""
    job_id = acme.job_with("job_postings")
    posting = acme.kombo_job(job_id)["job_postings"][0] | {"url": "https://posting.example"}
    html = "<p onclick=x>5 < 6 & more</p>\n<script>alert('1\\n')</script>\ttab"
    acme.edit(
        job_id,
        post_url="https://public.example",
        remote_url="https://ats.example",
        job_postings=[posting],
        description=html,
    )
    acme.sync_and_fetch()
    job, [kept] = acme.job(job_id), stored(acme.conn, acme.id)[job_id]["job_postings"]
    assert (job["post_url"], job["remote_url"]) == ("https://public.example", "https://ats.example")
    assert kept["url"] == "https://posting.example"
    assert job["description"] == html


@pytest.mark.parametrize("field", list(NESTED_TABLES))
def test_trap_42_an_entry_that_is_no_longer_in_the_list_is_gone(acme: Subscriber, field: str) -> None:
    """Nested entries have neither timestamps nor tombstones: merging keeps the dead ones for ever."""
    job_id = acme.job_with(field)
    acme.world.add_nested(acme.id, job_id, field)
    acme.world.remove_nested(acme.id, job_id, field, 0)
    acme.sync_and_fetch()
    assert_equals_kombo(acme)
    assert acme.changes() == [(field, "changed")]


def test_trap_43_the_published_sample_is_read_although_the_sdk_rejects_it(acme: Subscriber) -> None:
    """Its stages lack `status` and `custom_fields`, and nullable enums are null."""
    from kombo.models.getatsjobspositiveresponse import GetAtsJobsPositiveResponseResult
    from pydantic import ValidationError

    sample = acme.kombo_job(acme.job_with("stages")) | {"id": "sample", "employment_type": None, "visibility": None}
    sample["stages"] = [{"id": "s1", "name": "Initial Screening", "remote_id": "32", "remote_data": None}]
    with pytest.raises(ValidationError, match=r"custom_fields"):
        GetAtsJobsPositiveResponseResult.model_validate(sample)
    acme.answer([sample])
    assert (acme.fetch().new, acme.quarantined()) == (1, [])
    assert [stage["name"] for stage in stored(acme.conn, acme.id)["sample"]["stages"]] == ["Initial Screening"]
