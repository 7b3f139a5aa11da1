"""What pasted lines mean: read without a warehouse, resolved against a real one, asked of a served Kombo."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.linking import pasted
from kombo_pipeline.linking.statements import ats_jobs
from kombo_pipeline.sandbox.world import World
from kombo_pipeline_tests.backoffice.ats_jobs import add_integration, add_job, match

HERE = "personio:acme"


@pytest.mark.parametrize(
    ("line", "plain"),
    [
        ("- REQ-1", "REQ-1"), ("  * REQ-1", "REQ-1"), ("• REQ-1", "REQ-1"), ("1. REQ-1", "REQ-1"),
        ("12) REQ-1", "REQ-1"), ("(a) REQ-1", "REQ-1"), ("> > REQ-1", "REQ-1"), ("[x] REQ-1", "REQ-1"),
        ("– – REQ-1", "REQ-1"), ("\u2022\tREQ-1  ", "REQ-1"), ("3D Artist", "3D Artist"), ("-REQ-1", "-REQ-1"),
    ],
)  # fmt: skip
def test_bullets_and_numbers_in_front_do_no_harm(line: str, plain: str) -> None:
    assert [read.text for read in pasted.read_lines(line)[0]] == [plain]


def test_lines_that_say_nothing_are_left_out_and_numbers_are_those_of_the_text() -> None:
    lines, too_many = pasted.read_lines("\n---\n\n * \nREQ-1\n>\n==\nREQ-2\0")
    assert [(line.number, line.text) for line in lines] == [(5, "REQ-1"), (8, "REQ-2")]
    assert too_many == 0


def test_more_lines_than_are_read_are_counted() -> None:
    lines, too_many = pasted.read_lines("\n".join(f"REQ-{n}" for n in range(pasted.MAX_LINES + 7)))
    assert (len(lines), too_many) == (pasted.MAX_LINES, 7)


@pytest.mark.parametrize(
    ("line", "urls", "codes"),
    [
        ("see <https://a.example/jobs/1>, please", ("https://a.example/jobs/1",), ("see , please",)),
        ("a.example/jobs/1", ("a.example/jobs/1",), ()),
        ("Job code: REQ-1", (), ("Job code: REQ-1", "REQ-1")),
        ("Kombo-ID = abc1", (), ("Kombo-ID = abc1", "abc1")),
        ("Ref.: REQ-1.", (), ("Ref.: REQ-1", "REQ-1")),
    ],
)
def test_addresses_and_labelled_codes_are_found_in_a_line(line: str, urls: Any, codes: Any) -> None:
    [read] = pasted.read_lines(line)[0]
    assert (read.urls, read.codes) == (urls, codes)


@pytest.fixture
def jobs(conn: Connection) -> Iterator[Connection]:
    """The jobs of acme, read by matching; one of another customer with the same code."""
    add_integration(conn, HERE, "acme")
    add_integration(conn, "personio:other", "other")
    add_job(conn, "personio:other", "theirs", name="Nurse", job_code="REQ-9")
    add_job(conn, HERE, "k1", name="Registered Nurse", job_code="REQ-1", remote_id="4711", location_city="Berlin",
            post_url="https://acme.jobs.personio.de/job/4711")  # fmt: skip
    add_job(conn, HERE, "k2", name="Registered Nurse", job_code="REQ-2", location_city="Hamburg")
    add_job(conn, HERE, "k3", name="Warehouse Worker", job_code="TWIN-7")
    add_job(conn, HERE, "k4", name="Warehouse Worker", job_code="TWIN-7")
    add_job(conn, HERE, "k5", name="Electrician", job_code="REQ-5", status="CLOSED")
    add_job(conn, HERE, "k6", name="Accountant", job_code="REQ-6", remote_deleted_at="2026-01-01",
            post_url="https://acme.jobs.personio.de/job/4716")  # fmt: skip
    conn.commit()
    match(conn, HERE)
    yield conn


def verdicts(conn: Connection, text: str) -> list[tuple[str, tuple[str, ...], str]]:
    [integration] = ats_jobs.integrations(conn, customer_id="acme")
    found = pasted.resolve(conn, integration, pasted.read_lines(text)[0])
    return [(each.kind, each.jobs, each.by or each.remark) for each in found]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("REQ-1", ("found", ("k1",), "job code")),
        ("Req_0001", ("found", ("k1",), "job code, read loosely")),
        ("k1", ("found", ("k1",), "Kombo id")),
        ("4711", ("found", ("k1",), "id in the ATS")),
        ("https://acme.jobs.personio.de/job/4711?utm_source=x#apply", ("found", ("k1",), "address")),
        ("- Registered Nurse: https://acme.jobs.personio.de/job/4711", ("found", ("k1",), "address")),
        ("TWIN-7", ("several", ("k3", "k4"), "job code")),
        ("REQ-5", ("found", ("k5",), "job code")),
        ("REQ-6", ("found", ("k6",), "job code")),
        ("https://acme.jobs.personio.de/job/4716?src=mail", ("found", ("k6",), "address")),
        ("Registered Nurse, Berlin (REQ-1)", ("found", ("k1",), "code and title")),
        ("Elephant keeper (REQ-1)", ("nothing", (), "")),
        ("REQ-9", ("nothing", (), "")),
        ("https://acme.jobs.personio.de/job/99", ("nothing", (), "")),
        ("Kind regards,", ("nothing", (), "")),
    ],
)
def test_each_line_gets_its_verdict(jobs: Connection, line: str, expected: Any) -> None:
    assert verdicts(jobs, line) == [expected]


def test_a_title_only_proposes_and_the_place_in_it_counts(jobs: Connection) -> None:
    [(kind, found, _)] = verdicts(jobs, "Registered Nurse Hamburg")
    assert (kind, found[0]) == ("title", "k2")
    assert "k5" not in found


def test_a_line_that_comes_twice_is_one(jobs: Connection) -> None:
    assert verdicts(jobs, "REQ-1\n* req-1") == [
        ("found", ("k1",), "job code"),
        ("repeated", (), "the same as line 1"),
    ]


def test_jobs_that_matching_has_not_read_are_found_by_what_names_them(jobs: Connection) -> None:
    add_job(jobs, HERE, "k7", name="Driver", job_code="REQ-7")
    assert verdicts(jobs, "REQ-7") == [("found", ("k7",), "job code")]


def asked(conn: Connection, world: World, text: str, integration: str, **options: Any) -> Any:
    """The verdicts with what the served Kombo says."""
    [row] = ats_jobs.integrations(conn, customer_id="acme")
    found = pasted.resolve(conn, row, pasted.read_lines(text)[0])
    given = {"api_url": os.environ["KOMBO_API_URL"], "api_key": "sandbox-key"} | options
    asked = pasted.ask_kombo(pasted.to_ask(found), integration_id=integration, **given)
    return [(each.kind, each.jobs) for each in pasted.with_kombo(conn, integration, found, asked.records)], asked


@pytest.fixture
def connected(world: World, conn: Connection) -> tuple[str, list[str]]:
    """An integration of acme whose three jobs Kombo knows, and the first of them the warehouse."""
    integration = world.add_integration(jobs=0, origin_id="acme")
    ids = [
        world.open_job(
            integration,
            name=f"Nurse {n}",
            job_code=f"REQ-{n}",
            remote_id=f"r-{n}",
            post_url=f"https://a.example/jobs/{n}",
        )
        for n in range(3)
    ]
    world.sync(integration)
    add_integration(conn, integration, "acme")
    add_job(conn, integration, ids[0], name="Nurse 0")
    conn.commit()
    return integration, ids


def test_what_is_not_here_is_asked_from_kombo_in_batches(
    world: World, conn: Connection, connected: tuple[str, list[str]]
) -> None:
    integration, ids = connected
    world.requests.clear()
    text = f"req-1\nr-2\n{ids[1]}\nhttps://a.example/jobs/2\nREQ-77\nhttps://a.example/jobs/77\nSome title"
    found, answer = asked(conn, world, text, integration)
    assert [kind for kind, _ in found] == ["kombo", "kombo", "kombo", "kombo", "nothing", "nothing", "nothing"]
    assert (answer.failure, answer.lines_left, answer.requests) == ("", 0, len(world.requests))
    filters = [sorted(set(request.query) - {"include_deleted", "page_size"}) for request in world.requests]
    assert filters == [["ids"], ["remote_ids"], ["job_codes"], ["post_url"], ["post_url"]]


def test_what_kombo_knows_under_another_name_is_found_here(
    world: World, conn: Connection, connected: tuple[str, list[str]]
) -> None:
    integration, ids = connected
    assert asked(conn, world, "REQ-0", integration)[0] == [("found", (ids[0],))]


def test_without_a_key_or_a_kombo_the_verdicts_stand_and_it_is_said(
    world: World, conn: Connection, connected: tuple[str, list[str]]
) -> None:
    integration, _ = connected
    found, answer = asked(conn, world, "REQ-1", integration, api_key=None)
    assert (found, "KOMBO_API_KEY" in answer.failure) == ([("nothing", ())], True)
    found, answer = asked(conn, world, "REQ-1", integration, api_url="http://127.0.0.1:9/v1")
    assert (found, "refused" in answer.failure) == ([("nothing", ())], True)
