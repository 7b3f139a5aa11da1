"""What differs between two jobs, in words."""

import dataclasses
from datetime import UTC, date, datetime
from typing import Any

import pytest

from kombo_pipeline.backoffice.widgets.comparison import compare_titles, fields
from kombo_pipeline.linking.statements.review_cards import AtsJob, OwnJob


def only(words: list) -> list[str]:
    return [word.text for word in words if word.only]


@pytest.mark.parametrize(
    ("own", "ats", "ours", "theirs"),
    [
        ("Senior Backend Engineer (m/w/d)", "Backend Engineer Senior", [], []),
        ("Senior Engineer", "Engineer", ["Senior"], []),
        ("Sr. Entwickler:in", "Senior Entwickler (all genders)", [], []),
        ("Data Engineer", "Data Engineer II", [], ["II"]),
        ("Pflegefachkraft", "Pflegefachkraft Intensivstation", [], ["Intensivstation"]),
        ("", "Engineer", [], ["Engineer"]),
    ],
)
def test_only_words_that_say_something_else_are_marked(own: str, ats: str, ours: list[str], theirs: list[str]) -> None:
    mine, others = compare_titles(own, ats)
    assert (only(mine), only(others)) == (ours, theirs)


def test_the_words_of_a_title_stay_as_they_were_written() -> None:
    mine, _ = compare_titles("  Senior   Engineer (m/w/d) ", "Engineer")
    assert [word.text for word in mine] == ["Senior", "Engineer", "(m/w/d)"]


def row(kind: type, **given: object) -> Any:
    """A row of which only these columns are known; all others are empty."""
    return kind(**(dict.fromkeys(field.name for field in dataclasses.fields(kind)) | given))


def verdicts(own: dict[str, object], job: dict[str, object]) -> dict[str, str]:
    pairs = fields(row(OwnJob, **own), row(AtsJob, **{"kombo_job_id": "j1", **job}))
    return {field.label: field.verdict for field in pairs}


def test_fields_of_which_neither_side_speaks_are_left_out() -> None:
    assert verdicts({}, {}) == {}


def test_each_field_says_in_words_how_the_sides_stand() -> None:
    own = {"location": "Berlin", "job_code": "REQ-0012", "department": "Sales", "posted_at": date(2026, 1, 3)}
    job = {"place": "Berlin, DE", "job_code": "req 12", "opened_at": datetime(2026, 1, 1, tzinfo=UTC), "remote_id": "7"}
    assert verdicts(own, job) == {
        "Place": "differs",
        "Job code": "same",
        "Department": "only ours",
        "Posted": "2 days earlier in the ATS",
        "Id in the ATS": "only in the ATS",
    }


def test_addresses_are_the_same_when_they_lead_to_the_same_job() -> None:
    own = {"post_url": "https://acme.jobs.personio.de/job/17?utm_source=x"}
    assert verdicts(own, {"post_url": "https://acme.jobs.personio.com/job/17"}) == {"Address": "same"}
    assert verdicts(own, {"post_url": "https://acme.jobs.personio.com/job/18"}) == {"Address": "differs"}
