"""Jobs are found in the JSON that people have: boards' answers, JSON-LD, lists under many names; or it is refused."""

import json
import time
from contextlib import suppress
from datetime import date
from itertools import count
from typing import Any

import pytest

from kombo_pipeline.own_jobs.files import BadRow, FeedError
from kombo_pipeline.own_jobs.reading import OwnJob
from kombo_pipeline_tests.own_jobs.lists import bad, jobs, rows, told

KOCH = {"id": 7, "title": "Koch"}
DAY = date(2026, 3, 14)
POSTING = {
    "@type": "JobPosting",
    "title": "Koch",
    "identifier": {"@type": "PropertyValue", "name": "Acme", "value": "7"},
    "hiringOrganization": {"@type": "Organization", "name": "Acme", "identifier": "9", "url": "https://acme.example"},
    "jobLocation": [
        {"@type": "Place", "address": {"@type": "PostalAddress", "addressLocality": "Berlin", "addressCountry": "DE"}},
        {
            "@type": "Place",
            "address": {"addressLocality": "Bonn", "addressCountry": {"@type": "Country", "name": "DE"}},
        },
    ],
    "employmentType": ["FULL_TIME", "PART_TIME"],
    "datePosted": "2026-03-14",
}
POSTED = {
    "own_job_id": "7", "title": "Koch", "location": "Berlin, DE; Bonn, DE",
    "employment_type": "FULL_TIME, PART_TIME", "posted_at": DAY,
}  # fmt: skip
PAGE = {"@type": "WebPage", "@id": "https://x/page", "name": "Jobs"}


@pytest.mark.parametrize(
    "document",
    [
        POSTING,
        [POSTING],
        {"@context": "https://schema.org", "@graph": [PAGE, POSTING]},
        [{"@context": "https://schema.org", "@graph": [PAGE, POSTING]}],
        [PAGE, {**POSTING, "@type": ["JobPosting", "Thing"]}],
        {**POSTING, "@type": "https://schema.org/JobPosting"},
        {"@type": "ItemList", "itemListElement": [{"@type": "ListItem", "position": 1, "item": POSTING}]},
        {"@type": "DataFeed", "dataFeedElement": [POSTING]},
    ],
)
@pytest.mark.parametrize("indent", [None, 1])
def test_json_ld_is_read_wherever_the_posting_stands(document: Any, indent: int | None) -> None:
    assert told(json.dumps(document, indent=indent)) == [POSTED]


@pytest.mark.parametrize(
    ("identifier", "own_job_id"),
    [
        ("7", "7"),
        (7, "7"),
        ({"value": 7, "name": "Acme"}, "7"),
        ([{"@type": "PropertyValue", "name": "Acme", "value": "7"}], "7"),
    ],
)
def test_an_identifier_is_its_value_never_the_name_of_its_organisation(identifier: Any, own_job_id: str) -> None:
    assert [job.own_job_id for job in jobs({**POSTING, "identifier": identifier})] == [own_job_id]


def test_the_address_of_the_record_is_the_id_where_there_is_none() -> None:
    posting = {name: value for name, value in POSTING.items() if name != "identifier"}
    assert [job.own_job_id for job in jobs({**posting, "@id": "https://x/7"})] == ["https://x/7"]
    with pytest.raises(FeedError, match="no job understood"):
        rows(posting)


@pytest.mark.parametrize(
    "name",
    [
        "jobs", "content", "offers", "data", "results", "postings", "items", "vacancies", "positions", "Stellen",
        "job_ads", "records", "hits", "value", "elements", "entries", "jobPostings", "job_openings",
    ],
)  # fmt: skip
def test_a_list_is_found_under_a_usual_name(name: str) -> None:
    assert jobs({"company": {"id": 9, "name": "Acme"}, name: [KOCH]}) == [OwnJob("7", "Koch")]
    assert jobs({"status": "ok", "data": {name: [KOCH]}}) == [OwnJob("7", "Koch")]
    assert jobs({name: []}) == []


@pytest.mark.parametrize(
    "wrapped",
    [{"job": KOCH}, {"node": KOCH}, {"_id": "x", "_source": KOCH}, {"item": KOCH}, {"posting": KOCH}, {"fields": KOCH}],
)
def test_what_only_wraps_a_job_is_passed_through(wrapped: Any) -> None:
    assert [job.title for job in jobs([wrapped])] == ["Koch"]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (  # Greenhouse
            {"jobs": [{
                "id": 7, "internal_job_id": 3, "title": "Koch", "requisition_id": "R1", "location": {"name": "Berlin"},
                "absolute_url": "https://b/7", "departments": [{"id": 5, "name": "Care"}], "updated_at": "2026-04-01",
                "offices": [{"id": 1, "name": "EMEA"}], "first_published": "2026-03-14T10:00:00-04:00",
            }], "meta": {"total": 1}},
            {"job_code": "R1", "location": "Berlin", "post_url": "https://b/7", "department": "Care", "posted_at": DAY},
        ),
        (  # Lever
            [{
                "id": "7", "text": "Koch", "hostedUrl": "https://h/7", "applyUrl": "https://h/7/apply",
                "categories": {"location": "Berlin", "team": "Care", "commitment": "FT",
                               "allLocations": ["Berlin", "Bonn"]},
                "createdAt": 1773446400000, "lists": [{"text": "Tasks", "content": "<li>"}], "descriptionPlain": "x",
            }],
            {"location": "Berlin; Bonn", "post_url": "https://h/7", "department": "Care", "employment_type": "FT",
             "posted_at": DAY},
        ),
        (  # Ashby
            {"apiVersion": "1", "jobs": [{
                "id": "7", "title": "Koch", "department": "Care", "team": "T", "employmentType": "FullTime",
                "location": "Berlin", "secondaryLocations": [{"location": "Bonn", "address": {"postalAddress": {
                    "addressLocality": "Bonn"}}}], "publishedAt": "2026-03-14T00:00:00+00:00", "jobUrl": "https://j/7",
                "applyUrl": "https://j/7/a", "address": {"postalAddress": {"addressLocality": "Berlin"}},
            }]},
            {"location": "Berlin; Bonn", "post_url": "https://j/7", "department": "Care", "employment_type": "FullTime",
             "posted_at": DAY},
        ),
        (  # SmartRecruiters
            {"offset": 0, "limit": 100, "totalFound": 1, "content": [{
                "id": "7", "name": "Koch", "refNumber": "R1", "company": {"identifier": "acme", "name": "Acme"},
                "releasedDate": "2026-03-14T00:00:00Z", "location": {"city": "Berlin", "country": "de"},
                "department": {"id": "1", "label": "Care"}, "typeOfEmployment": {"id": "permanent", "label": "FT"},
            }]},
            {"job_code": "R1", "location": "Berlin, de", "department": "Care", "employment_type": "FT",
             "posted_at": DAY},
        ),
        (  # Recruitee
            {"offers": [{
                "id": 7, "slug": "koch", "position": 3, "title": "Koch", "location": "Berlin, Germany",
                "city": "Berlin",
                "country": "Germany", "country_code": "DE", "careers_url": "https://r/7", "department": "Care",
                "careers_apply_url": "https://r/7/c", "employment_type_code": "FT",
                "published_at": "2026-03-14 10:00:00 UTC",
                "locations": [{"city": "Berlin", "country": "Germany"}, {"city": "Bonn", "country": "Germany"}],
            }]},
            {"location": "Berlin, Germany; Bonn, Germany", "post_url": "https://r/7", "department": "Care",
             "employment_type": "FT", "posted_at": DAY},
        ),
        (  # Workable
            {"name": "Acme", "description": "x", "jobs": [{
                "title": "Koch", "shortcode": "7", "code": "C1", "employment_type": "FT", "telecommuting": False,
                "department": "Care", "url": "https://w/j/7", "shortlink": "https://w/7", "published_on": "2026-03-14",
                "country": "Germany", "city": "Berlin", "state": "",
                "locations": [{"country": "Germany", "city": "Berlin"}],
            }]},
            {"job_code": "C1", "location": "Berlin, Germany", "post_url": "https://w/j/7", "department": "Care",
             "employment_type": "FT", "posted_at": DAY},
        ),
        (  # Teamtailor
            {"data": [{
                "id": "7", "type": "jobs", "links": {"careersite-job-url": "https://t/7", "self": "https://api/7"},
                "attributes": {"title": "Koch", "body": "x", "created-at": "2026-03-14T10:00:00+01:00"},
            }], "meta": {"record-count": 1}},
            {"post_url": "https://t/7", "posted_at": DAY},
        ),
    ],
)  # fmt: skip
def test_public_answers_of_boards_are_read_without_a_map(document: Any, expected: dict[str, Any]) -> None:
    [job] = told(document)
    assert job == {"own_job_id": "7", "title": "Koch", **expected}
    assert bad(document) == []


@pytest.mark.parametrize(
    "record",
    [
        {"company": {"id": 9, "name": "Acme"}, "id": 7, "title": "Koch"},
        {"contact": {"title": "Dr.", "id": 9}, "id": 7, "title": "Koch"},
        {"source": {"id": 9, "name": "Board", "title": "x"}, "id": 7, "title": "Koch"},
        {"header": {"id": 9, "title": "x"}, "id": 7, "title": "Koch"},
        {"descriptions": [{"name": "Tasks", "id": 9}], "id": 7, "name": "Koch"},
    ],
)
def test_the_own_name_and_id_come_before_nested_ones(record: Any) -> None:
    assert told([record]) == [{"own_job_id": "7", "title": "Koch"}]


@pytest.mark.parametrize("nested", ["company", "contact", "source", "recruiter", "team_lead", "organization"])
def test_the_id_of_another_thing_is_never_the_jobs(nested: str) -> None:
    with pytest.raises(FeedError, match="no job understood: none has an id"):
        rows([{nested: {"id": 9, "identifier": "9", "value": "9"}, "title": "Koch"}])


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "no list of jobs.*The document has nothing"),
        ({"error": "no access"}, "The document has error"),
        ({"departments": [{"id": 1, "name": "Care"}]}, "The document has departments"),
        (["a", "b"], "no job understood"),
        ([{"nummer": 1, "bezeichner": "Koch"}], "no job understood.*has nummer, bezeichner.*map"),
        ('{"nummer": 1}\n{"nummer": 2}', "no job understood"),
        ([PAGE], "no job understood|no list"),
        ({"@graph": [PAGE]}, "no job understood|no list"),
    ],
)
def test_nothing_understood_is_an_error(document: Any, message: str) -> None:
    with pytest.raises(FeedError, match=message):
        rows(document)


@pytest.mark.parametrize("document", ['"just text"', "17", "null", "true"])
def test_a_lone_value_is_no_list(document: str) -> None:
    with pytest.raises(FeedError, match=f"no list of jobs.*The document is {document}"):
        rows(document, format="json")


@pytest.mark.parametrize("document", ["[]", '{"jobs": []}', '{"total": 0, "content": []}', " [ ] "])
def test_an_empty_list_is_a_list_of_no_jobs(document: str) -> None:
    assert rows(document) == []


@pytest.mark.parametrize("second", ["[]", '[{"id": 2, "title": "Cook"}]', "{}", "x"])
def test_what_stands_behind_a_list_is_an_error(second: str) -> None:
    with pytest.raises(FeedError, match="behind the list"):
        rows(f'[{{"id": 1, "title": "Koch"}}]\n{second}')


def test_named_values_that_are_not_understood_tell_nothing_and_null_tells_that_there_is_none() -> None:
    [job] = jobs([{**KOCH, "ref": {"no": 5}, "department": {"x": 1}, "url": None, "location": [], "type": []}])
    assert (job.job_code, job.department, job.post_url, job.location, job.employment_type) == (None, None, "", "", "")


@pytest.mark.parametrize("value", [True, False, None, {}, [], {"x": 1}, ""])
def test_what_is_no_id_is_none(value: Any) -> None:
    refused, job = rows([{"id": value, "title": "Koch"}, KOCH])
    assert isinstance(refused, BadRow)
    assert (refused.kept, refused.own_job_id) == (False, None)
    assert job == OwnJob("7", "Koch")


def test_a_list_within_a_job_is_no_list_of_jobs() -> None:
    assert told({"id": 7, "title": "Koch", "items": [{"name": "Canteen"}, {"name": "Bicycle"}]}) == [
        {"own_job_id": "7", "title": "Koch"}
    ]


@pytest.mark.parametrize(
    "document",
    [
        {"jobs": [KOCH], "total": 250},
        {"content": [KOCH], "totalFound": 2},
        {"results": [KOCH], "next": "https://x?page=2"},
        {"data": [KOCH], "links": {"next": "https://x?page=2"}},
        {"data": [KOCH], "meta": {"pagination": {}, "total": 3}},
    ],
)
def test_one_page_of_several_is_not_taken_for_the_whole_list(document: Any) -> None:
    job, note = rows(document)
    assert job == OwnJob("7", "Koch")
    assert isinstance(note, BadRow)
    assert (note.kept, note.own_job_id, "one page of several" in note.reason) == (False, None, True)


@pytest.mark.parametrize("end", [{"total": 1}, {"next": None}, {"links": {"next": ""}}, {"total": {"jobs": 9}}])
def test_a_last_page_is_the_whole_list(end: Any) -> None:
    assert rows({"jobs": [KOCH], **end}) == [OwnJob("7", "Koch")]


@pytest.mark.parametrize(
    ("place", "location"),
    [
        ("Berlin", "Berlin"),
        (["Berlin", "Bonn"], "Berlin; Bonn"),
        ([{"name": "Berlin"}, {"city": "Bonn", "country": "DE"}], "Berlin; Bonn, DE"),
        ({"name": "Plant 2", "address": {"city": "Bonn"}}, "Plant 2, Bonn"),
        ({"address": "Hauptstr. 1, Bonn"}, "Hauptstr. 1, Bonn"),
        ({"city": ["Berlin", "Bonn"], "country": "DE"}, "Berlin, DE; Bonn, DE"),
        ({"city": "Dresden", "country": {"code": "DE", "name": "Germany"}}, "Dresden, Germany"),
        ({"office": ["Berlin", "Bonn"]}, "Berlin; Bonn"),
        ({"city": "New York", "state": "New York"}, "New York"),
    ],
)
def test_each_place_is_kept(place: Any, location: str) -> None:
    assert [job.location for job in jobs([{**KOCH, "location": place}])] == [location]


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Sales &amp;amp; Care", "Sales & Care"),
        ("Sales &amp;amp;amp; Care", "Sales & Care"),
        ("<b>Koch</b> S&uuml;d", "Koch Süd"),
        ("&lt;b&gt;Koch&lt;/b&gt;", "Koch"),
        ("Koch<br/>Köln", "Koch Köln"),
        ("Engineer <C++>, List<String>", "Engineer <C++>, List<String>"),
        ("R&D, AT&T; a &lt b", "R&D, AT&T; a &lt b"),
        ("Koch &#8211; Köln", "Koch – Köln"),
    ],
)
def test_markup_is_taken_out_of_titles_and_places(text: str, plain: str) -> None:
    [job] = jobs([{"id": 7, "title": text, "location": text}])
    assert (job.title, job.location) == (plain, plain)


def test_an_address_is_unescaped_and_keeps_what_only_looks_escaped() -> None:
    [job] = jobs([{**KOCH, "url": "https://x/?a=1&amp;amp;b=2&copy=3"}])
    assert job.post_url == "https://x/?a=1&b=2&copy=3"


@pytest.mark.parametrize(
    "content",
    ["[" * 50_000, '{"a":' * 20_000, '{"jobs":[' + "{}," * 30_000, '[{"id":1,"title":"' + "&amp;" * 20_000 + '"}]',
     '[{"id":1,"title":"' + "<b " * 30_000 + '"}]', "{}\n" * 30_000],
    ids=count(),
)  # fmt: skip
def test_odd_documents_take_no_time(content: str) -> None:
    begun = time.perf_counter()
    with suppress(FeedError):
        rows(content)
    assert time.perf_counter() - begun < 5
