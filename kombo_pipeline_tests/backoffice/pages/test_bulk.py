"""Accepting in bulk: only what an identifier decides and a harmless reason held back."""

import html
import re
from typing import Any
from uuid import uuid4

import pytest

from kombo_pipeline.backoffice.pages import bulk
from kombo_pipeline_tests.backoffice import reviewing as r
from kombo_pipeline_tests.backoffice.ats_jobs import add_integration, add_job, add_own_job, match
from kombo_pipeline_tests.backoffice.conftest import Backoffice, Client


@pytest.fixture
def conn(backoffice: Backoffice):
    with backoffice.connect() as connection:
        yield connection


@pytest.fixture
def acme(conn) -> str:
    """A customer of the test's own, without jobs."""
    name = f"c{uuid4().hex[:8]}"
    add_integration(conn, f"personio:{name}", name)
    return name


def nurse(conn, acme: str, *jobs: dict[str, Any], **own: Any) -> str:
    """An own job with the code N-1 and ATS jobs; return the own job's id."""
    for number, job in enumerate(jobs):
        add_job(conn, f"personio:{acme}", f"{acme}-{number}", **({"name": "Nurse", "job_code": "N-4711"} | job))
    add_own_job(conn, acme, f"{acme}/own", **({"title": "Nurse (m/w/d)", "job_code": "N-4711"} | own))
    match(conn, f"personio:{acme}")
    return f"{acme}/own"


def harmless(conn, acme: str) -> list[tuple[str, str]]:
    conn.rollback()
    return [(item.pair.kombo_job_id, item.reason) for item in bulk.harmless(conn, customer_id=acme)]


CLOSED = {"status": "CLOSED"}


def test_the_only_open_one_of_several_jobs_with_a_code_is_harmless(conn, acme: str) -> None:
    nurse(conn, acme, CLOSED, {})
    assert harmless(conn, acme) == [(f"{acme}-1", "the only open one of 2 ATS jobs with this job code")]


def test_a_code_that_is_alike_only_when_read_loosely_is_settled_by_the_same_title(conn, acme: str) -> None:
    nurse(
        conn,
        acme,
        {"job_code": "N 4711", "name": "Nurse"},
        {"job_code": "n-04711", "name": "Nurse Manager"},
        job_code="N/4711",
    )
    assert harmless(conn, acme) == [
        (f"{acme}-0", "the only one of 2 ATS jobs with a similar job code that has the same title")
    ]


@pytest.mark.parametrize(
    ("jobs", "own"),
    [
        ([{}, {}], {}),
        ([CLOSED, CLOSED], {}),
        ([CLOSED, {"name": "Gardener"}], {}),
        ([CLOSED, {}, {"job_code": "X", "remote_id": "77", "name": "Nurse"}], {"remote_id": "77"}),
        ([{"job_code": None, "name": "Nurse"}], {"job_code": None}),
        ([{"name": "Gardener"}], {}),
    ],
    ids=["two open", "none open", "another title", "another identifier says otherwise", "title only", "titles differ"],
)
def test_what_needs_a_look_is_not_offered(conn, acme: str, jobs: list[dict], own: dict) -> None:
    own_job = nurse(conn, acme, *jobs, **own)
    assert harmless(conn, acme) == []
    del own_job


def test_a_job_that_another_own_job_names_or_has_is_not_offered(conn, acme: str) -> None:
    add_own_job(conn, acme, f"{acme}/other", title="Nurse", job_code="N-4711")
    nurse(conn, acme, CLOSED, {})
    assert harmless(conn, acme) == []
    conn.execute("update core.own_jobs set job_code = 'other' where own_job_id = %s", (f"{acme}/other",))
    r.rematch(conn, f"personio:{acme}")
    assert len(harmless(conn, acme)) == 1
    r.say(conn, acme, f"{acme}/other", "accepted", f"{acme}-1")
    assert harmless(conn, acme) == []


def reopen(conn, acme: str, **change: Any) -> None:
    for status in ("CLOSED", "OPEN"):
        conn.execute("update core.jobs set status = %s where kombo_job_id = %s", (status, f"{acme}-0"))
        if status == "OPEN" and change:
            conn.execute(
                "update core.jobs set name = %(name)s where kombo_job_id = %(id)s", change | {"id": f"{acme}-0"}
            )
        r.rematch(conn, f"personio:{acme}")


def test_a_link_by_identifier_whose_job_opened_again_unchanged_is_harmless(conn, acme: str) -> None:
    own = nurse(conn, acme, {})
    assert r.link_of(conn, acme, own) == (f"{acme}-0", "active", None)
    reopen(conn, acme)
    [(job, reason)] = harmless(conn, acme)
    assert job == f"{acme}-0"
    assert reason.startswith("open again since ")
    assert reason.endswith("; its job code still decides")


def test_a_reopened_job_with_another_title_and_a_link_by_title_are_not_offered(conn, acme: str) -> None:
    nurse(conn, acme, {})
    reopen(conn, acme, name="Nurse Manager")
    assert harmless(conn, acme) == []
    add_job(conn, f"personio:{acme}", f"{acme}-t", name="Cook")
    add_own_job(conn, acme, f"{acme}/cook", title="Cook")
    r.rematch(conn, f"personio:{acme}")
    r.say(conn, acme, f"{acme}/cook", "accepted", f"{acme}-t")
    for status in ("CLOSED", "OPEN"):
        conn.execute("update core.jobs set status = %s where kombo_job_id = %s", (status, f"{acme}-t"))
        r.rematch(conn, f"personio:{acme}")
    assert harmless(conn, acme) == []


def offered(page: str) -> tuple[str, list[str]]:
    """The list that travels with the form, and its boxes."""
    boxes = re.findall(r'name="item" value="([^"]+)"', page)
    token = re.search(r'name="batch" value="([^"]+)"', page)
    assert token
    return html.unescape(token[1]), [html.unescape(box) for box in boxes]


def several(conn, acme: str, count: int) -> None:
    for number in range(count):
        for job, status in (("old", "CLOSED"), ("new", "OPEN")):
            names = {"name": f"Nurse ward {number}", "job_code": f"N-471{number}", "status": status}
            add_job(conn, f"personio:{acme}", f"{acme}-{job}-{number}", **names)
        add_own_job(conn, acme, f"{acme}/{number}", title=f"Nurse ward {number}", job_code=f"N-471{number}")
    match(conn, f"personio:{acme}")


def test_a_batch_is_one_answer_an_item_and_is_undone_as_a_whole(reviewer: Client, conn, acme: str) -> None:
    several(conn, acme, 4)
    page = reviewer.get("/review/bulk", params={"customer": acme}).text
    token, boxes = offered(page)
    assert len(boxes) == 4
    chosen = [box for box in boxes if "%2F3&" not in box]
    said = reviewer.submit("/review/bulk", batch=token, item=chosen)
    after = html.unescape(reviewer.get(said.headers["location"]).text)
    assert "Accepted 3" in after
    assert "Undo the batch of 3" in after
    conn.rollback()
    rows = conn.execute(
        "select answer_id, batch_id, decision, method, on_screen from core.link_decisions where customer_id = %s",
        (acme,),
    ).fetchall()
    assert len({row["answer_id"] for row in rows}) == 3
    [batch] = {row["batch_id"] for row in rows}
    assert {(row["decision"], row["method"]) for row in rows} == {("accepted", "job_code")}
    assert all(row["on_screen"]["candidates"][0]["title"].startswith("Nurse") for row in rows)
    assert r.link_of(conn, acme, f"{acme}/0") == (f"{acme}-new-0", "active", None)
    assert r.link_of(conn, acme, f"{acme}/3") is None
    again = reviewer.submit("/review/bulk", batch=token, item=chosen)
    assert "accepted before" in reviewer.get(again.headers["location"]).text
    undone = reviewer.submit("/review/undo", batch_id=str(batch), back="/review/bulk")
    assert undone.headers["location"] == "/review/bulk"
    assert "Taken back: 3 answers" in reviewer.get("/review/bulk").text
    assert r.link_of(conn, acme, f"{acme}/0") is None
    assert len(harmless(conn, acme)) == 4


def test_what_changed_since_the_preview_is_left_out_and_said(reviewer: Client, conn, acme: str) -> None:
    several(conn, acme, 3)
    token, boxes = offered(reviewer.get("/review/bulk", params={"customer": acme}).text)
    r.say(conn, acme, f"{acme}/0", "unsure")
    conn.execute("update core.jobs set name = 'Nurse ward 1, nights' where kombo_job_id = %s", (f"{acme}-new-1",))
    conn.commit()
    said = reviewer.submit("/review/bulk", batch=token, item=boxes)
    assert "Accepted 1; 2 changed meanwhile and were left out" in reviewer.get(said.headers["location"]).text


def test_nothing_chosen_nothing_accepted(reviewer: Client, viewer: Client, conn, acme: str) -> None:
    several(conn, acme, 1)
    token, boxes = offered(reviewer.get("/review/bulk", params={"customer": acme}).text)
    said = reviewer.submit("/review/bulk", batch=token, item=["customer_id=x&own_job_id=y&integration_id=z"])
    assert "Nothing was chosen" in reviewer.get(said.headers["location"]).text
    assert reviewer.submit("/review/bulk", batch="forged", item=boxes).status_code == 400
    assert viewer.submit("/review/bulk", batch=token, item=boxes).status_code == 403
    assert r.link_of(conn, acme, f"{acme}/0") is None
    assert "You can see this page, but only a reviewer can accept." in viewer.get("/review/bulk").text
