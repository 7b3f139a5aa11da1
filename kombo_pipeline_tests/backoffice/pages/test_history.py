"""The history of answers: complete, in pages, each with what was on the screen."""

import html
import re
from uuid import uuid4

import pytest

from kombo_pipeline_tests.backoffice import reviewing as r
from kombo_pipeline_tests.backoffice.conftest import Backoffice, Client


@pytest.fixture
def conn(backoffice: Backoffice):
    with backoffice.connect() as connection:
        yield connection


def text(client: Client, path: str = "/history", **query: str) -> str:
    response = client.get(path, params=query or None)
    assert response.status_code == 200
    return html.unescape(response.text)


def entries(page: str) -> list[str]:
    return re.findall(r'<a href="/review\?[^"]*">([^<]+)</a>', page)


def test_an_empty_history_says_what_will_come(viewer: Client) -> None:
    assert "Nobody has answered yet" in text(viewer)


@pytest.fixture
def acme(conn) -> str:
    """A customer with answers of two people; the first was taken back."""
    name = f"c{uuid4().hex[:8]}"
    r.add_customer(conn, name, own_jobs=3)
    seen = {"kombo_job_id": f"{name}-0", "title": "Seen <b>then</b>", "band": "strong", "confidence": 1}
    screen = {"candidates": [seen]}
    r.say(conn, name, f"{name}/0", "accepted", f"{name}-0", on_screen=screen, note="sure")
    r.say(conn, name, f"{name}/1", "rejected", f"{name}-0", f"{name}-1", f"{name}-2", decided_by="cleo")
    r.say(conn, name, f"{name}/2", "no_counterpart", decided_by="cleo")
    return name


def test_every_answer_is_there_newest_first_with_what_was_on_the_screen(reviewer: Client, conn, acme: str) -> None:
    page = text(reviewer, customer=acme)
    assert [entry.split("”", 1)[1] for entry in entries(page)] == [
        " has no counterpart in the ATS",
        " is not “Backend Engineer Senior”, nor 2 other jobs",
        " is “Backend Engineer Senior”",
    ]
    assert "“sure”" in page
    assert "Seen &lt;b&gt;then" in reviewer.get("/history", params={"customer": acme}).text


def test_an_answer_that_was_taken_back_stays_with_who_did_it(reviewer: Client, conn, acme: str) -> None:
    [row] = conn.execute("select answer_id from core.link_decisions where own_job_id = %s", (f"{acme}/0",)).fetchall()
    here = f"/history?customer={acme}"
    undone = reviewer.submit("/review/undo", answer_id=str(row["answer_id"]), back=here)
    assert undone.headers["location"] == here
    page = text(reviewer, customer=acme)
    assert "taken back by reviewer" in page
    assert entries(page)[0].startswith("took back: “Senior Backend Engineer")
    assert len(entries(page)) == 4


def test_history_is_narrowed_by_person_customer_and_answer(viewer: Client, conn, acme: str) -> None:
    assert len(entries(text(viewer, customer=acme, by="cleo"))) == 2
    assert len(entries(text(viewer, customer=acme, decision="rejected"))) == 1
    assert len(entries(text(viewer, customer=acme, decision="nonsense", before="x"))) == 3
    assert "No answer matches the filter" in text(viewer, customer="nobody")
    assert ">Undo" not in text(viewer, customer=acme)


def test_pages_hold_every_answer_once(viewer: Client, conn, acme: str) -> None:
    for number in range(120):
        r.say(conn, acme, f"{acme}/2", "unsure" if number % 2 else "no_counterpart", decided_by="dora")
    address, seen, pages = f"/history?customer={acme}&by=dora", 0, 0
    while address:
        page = text(viewer, address)
        seen, pages = seen + len(entries(page)), pages + 1
        older = re.search(r'<a class="button" href="([^"]+)">Older', page)
        address = older[1] if older else ""
    assert (seen, pages) == (120, 3)
    assert "This is the first answer." in page
