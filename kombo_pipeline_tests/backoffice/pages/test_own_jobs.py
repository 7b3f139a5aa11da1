"""Own jobs made by hand, with the ATS job chosen from all of the customer's, and the list of own jobs."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from kombo_pipeline.linking.statements import exposed_jobs
from kombo_pipeline_tests.backoffice.ats_jobs import add_integration, add_job, add_own_job, match, targets
from kombo_pipeline_tests.backoffice.conftest import Backoffice, Client, assert_accessible

HERE = "personio:acme"
EVIL = "<script>alert(1)</script>"
PageAs = Callable[..., Page]


@pytest.fixture(scope="module", autouse=True)
def customers(backoffice: Backoffice) -> None:
    with backoffice.connect() as conn:
        add_integration(conn, HERE, "acme", organization_name="Acme Care")
        add_integration(conn, "greenhouse:other", "other")
        add_job(conn, "greenhouse:other", "theirs", name="Night nurse of other")
        for n in range(4):
            add_job(conn, HERE, f"k{n}", name=f"Night nurse {n}", job_code=f"REQ-{n}", location_raw="Berlin")
        add_job(conn, HERE, "hidden", name="Confidential driver", visibility="CONFIDENTIAL")
        add_job(conn, HERE, "shut", name="Closed driver", status="CLOSED")
        add_job(conn, HERE, "evil", name=f"{EVIL} baker")
        conn.commit()
        match(conn, HERE)


@pytest.fixture(autouse=True)
def nothing_linked(backoffice: Backoffice) -> None:
    with backoffice.connect() as conn:
        conn.execute("delete from core.exposed_jobs")
        conn.execute("update core.job_links set state = 'retired', reason = 'undone'")


def own_job(backoffice: Backoffice, title: str) -> dict[str, Any]:
    with backoffice.connect() as conn:
        row = conn.execute("select * from core.own_jobs where title = %s", (title,)).fetchone()
    assert row is not None
    return row


def form(**fields: str) -> dict[str, str]:
    return {
        "integration": HERE, "answer": str(uuid4()), "new_id": f"manual-{uuid4().hex[:12]}", "title": "Baker", **fields,
    }  # fmt: skip


def told(client: Client, answer: Any) -> str:
    assert answer.status_code == 303, answer.text
    return client.get(answer.headers["location"]).text


def test_an_own_job_by_hand_is_linked_from_the_dropdown_and_becomes_a_target(
    page_as: PageAs, backoffice: Backoffice
) -> None:
    page = page_as("reviewer")
    page.goto(f"/own-jobs/new?integration={HERE}")
    page.get_by_label("Title (needed)").fill("Nurse at night")
    page.get_by_label("Place").fill("Berlin")
    box = page.get_by_role("combobox", name="Search the ATS jobs")
    page.get_by_label("Search the ATS jobs").press_sequentially("night req-2")
    expect(page.get_by_role("option")).to_have_count(1)
    expect(box).to_have_attribute("aria-expanded", "true")
    assert_accessible(page)
    box.press("ArrowDown")
    assert box.get_attribute("aria-activedescendant") == page.get_by_role("option").get_attribute("id")
    box.press("Enter")
    expect(page.get_by_role("radio", name="Night nurse 2")).to_be_checked()
    expect(page.get_by_role("option")).to_have_count(0)
    page.get_by_role("button", name="Make the own job").click()
    expect(page.locator(".notice.done")).to_contain_text("linked to Night nurse 2. Applications can be created now.")
    expect(page.get_by_role("row", name="Nurse at night")).to_contain_text("application target")
    made = own_job(backoffice, "Nurse at night")
    assert (made["source"], made["location"], made["customer_id"]) == ("manual", "Berlin", "acme")
    with backoffice.connect() as conn:
        assert targets(conn) == {(made["own_job_id"], "k2")}
        link = conn.execute("select method, confirmed_by from core.job_links where state = 'active'").fetchone()
        assert link == {"method": "search", "confirmed_by": "reviewer"}
        assert [(row.who, row.channel) for row in exposed_jobs.history(conn, HERE)] == [("reviewer", "manual")]


def test_the_dropdown_can_be_clicked_closed_and_finds_hostile_titles(page_as: PageAs) -> None:
    page = page_as("reviewer")
    page.goto(f"/own-jobs/new?integration={HERE}")
    search = page.get_by_label("Search the ATS jobs")
    search.press_sequentially("baker")
    expect(page.get_by_role("option")).to_contain_text(EVIL)
    search.press("Escape")
    expect(page.get_by_role("listbox")).to_be_hidden()
    search.press_sequentially(" ")
    page.get_by_role("option").click()
    expect(page.get_by_role("radio", name=f"{EVIL} baker")).to_be_checked()


def test_it_works_without_javascript_and_loses_nothing_while_searching(page_as: PageAs, backoffice: Backoffice) -> None:
    page = page_as("reviewer", java_script_enabled=False)
    page.goto(f"/own-jobs/new?integration={HERE}")
    page.get_by_label("Title (needed)").fill("By hand alone")
    page.get_by_label("Search the ATS jobs").fill("night nurse")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_label("Title (needed)")).to_have_value("By hand alone")
    page.get_by_role("radio", name="Night nurse 1").check()
    page.get_by_role("button", name="Make the own job").click()
    with backoffice.connect() as conn:
        assert targets(conn) == {(own_job(backoffice, "By hand alone")["own_job_id"], "k1")}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"title": " "}, "A title is needed."),
        ({"posted_at": "31.31.2026"}, "cannot be read"),
        ({"own_job_id": "x" * 501}, "500 are possible"),
        ({"own_job_id": "taken/1"}, "There is an own job taken/1 already"),
        ({"kombo_job_id": "theirs"}, "not there any more"),
        ({"kombo_job_id": "no\0where"}, "not there any more"),
    ],
)
def test_what_cannot_be_taken_is_said_and_nothing_is_lost(
    reviewer: Client, backoffice: Backoffice, fields: dict[str, str], reason: str
) -> None:
    with backoffice.connect() as conn:
        conn.execute("delete from core.own_jobs where own_job_id = 'taken/1'")
        add_own_job(conn, "acme", "taken/1", title="Taken")
    given = form(department="Dep & <b>", **fields)
    answer = reviewer.submit("/own-jobs/new", **given)
    assert answer.status_code == 422
    assert reason in answer.text
    assert 'value="Dep &amp; &lt;b&gt;"' in answer.text
    with backoffice.connect() as conn:
        found = conn.execute("select count(*) as n from core.own_jobs where department = 'Dep & <b>'").fetchone()
        assert found == {"n": 0}
        assert own_job(backoffice, "Taken")["department"] is None


def test_a_form_sent_twice_makes_one_job_and_one_answer(reviewer: Client, backoffice: Backoffice) -> None:
    given = form(title="Sent twice", kombo_job_id="k0")
    for _ in range(2):
        assert reviewer.submit("/own-jobs/new", **given).status_code == 303
    made = own_job(backoffice, "Sent twice")
    with backoffice.connect() as conn:
        answers = conn.execute(
            "select count(*) as n from core.link_decisions where own_job_id = %s", (made["own_job_id"],)
        ).fetchone()
        assert answers == {"n": 1}


def test_it_is_said_why_no_applications_follow(reviewer: Client, backoffice: Backoffice) -> None:
    assert "It is not linked" in told(reviewer, reviewer.submit("/own-jobs/new", **form()))
    hidden = told(reviewer, reviewer.submit("/own-jobs/new", **form(kombo_job_id="hidden")))
    assert "no applications while that is so" in hidden
    shut = told(reviewer, reviewer.submit("/own-jobs/new", **form(kombo_job_id="shut")))
    assert "The link is suspended: the ATS job is closed." in shut
    with backoffice.connect() as conn:
        exposed_jobs.expose(conn, HERE, ["k3"], by="ana", channel="picker")
        exposed_jobs.end_exposures(conn, HERE, ["k3"], by="ana")
    ended = told(reviewer, reviewer.submit("/own-jobs/new", **form(kombo_job_id="k3")))
    assert "until it is exposed again in the picker" in ended
    with backoffice.connect() as conn:
        assert targets(conn) == set()


def test_the_dropdown_shows_no_job_of_another_customer(reviewer: Client) -> None:
    found = reviewer.get("/own-jobs/ats-jobs", params={"integration": HERE, "q": "night nurse"}).json()
    assert {job["id"] for job in found} == {"k0", "k1", "k2", "k3"}
    assert reviewer.get("/own-jobs/ats-jobs", params={"integration": HERE, "q": "\0"}).json() == []


def test_a_withdrawn_job_is_no_target_and_can_be_brought_back(page_as: PageAs, backoffice: Backoffice) -> None:
    backoffice.client("reviewer").submit("/own-jobs/new", **form(title="To withdraw", kombo_job_id="k1"))
    page = page_as("reviewer")
    page.goto("/own-jobs?customer=acme&q=withdraw")
    expect(page.locator("tbody")).to_contain_text("application target")
    page.get_by_role("button", name="Withdraw To withdraw").click()
    expect(page.locator(".notice.done")).to_contain_text("is withdrawn")
    with backoffice.connect() as conn:
        assert targets(conn) == set()
    page.get_by_label("Link").select_option("withdrawn")
    page.get_by_role("button", name="Bring back To withdraw").click()
    expect(page.locator(".notice.done")).to_contain_text("is back")
    with backoffice.connect() as conn:
        assert {job for _, job in targets(conn)} == {"k1"}


def test_own_jobs_are_listed_by_customer_state_and_source(viewer: Client, backoffice: Backoffice) -> None:
    with backoffice.connect() as conn:
        conn.execute("delete from core.own_jobs where own_job_id like 'list%'")
        add_own_job(conn, "acme", "list/1?", title="Listed 100%", source="email")
        add_own_job(conn, "other", "list2", title="Listed of other", source="import")
    everybody = viewer.get("/own-jobs", params={"q": "listed"}).text
    assert "Listed 100%" in everybody and "Listed of other" in everybody
    of_acme = viewer.get("/own-jobs", params={"customer": "acme", "q": "listed"}).text
    assert "Listed 100%" in of_acme and "Listed of other" not in of_acme
    assert "Listed of other" not in viewer.get("/own-jobs", params={"q": "100%"}).text
    assert "No own job matches" in viewer.get("/own-jobs", params={"source": "multiposter"}).text
    assert (
        "Listed" not in viewer.get("/own-jobs", params={"q": "listed", "state": "active"}).text.partition("<table")[2]
    )
    assert "Withdraw" not in everybody.partition("<table")[2]
    for odd in ({"page": "9" * 30}, {"state": "x", "source": "y"}, {"customer": "none \0"}):
        assert viewer.get("/own-jobs", params=odd).status_code == 200


@pytest.mark.parametrize("width", [1280, 320])
def test_the_pages_are_accessible_and_fit_a_phone(page_as: PageAs, backoffice: Backoffice, width: int) -> None:
    backoffice.client("reviewer").submit("/own-jobs/new", **form(title=EVIL, kombo_job_id="evil"))
    page = page_as(
        "reviewer", viewport={"width": width, "height": 700}, color_scheme="dark" if width > 320 else "light"
    )
    for address in (
        "/own-jobs", "/own-jobs?customer=acme", "/own-jobs?q=none", "/own-jobs/new",
        f"/own-jobs/new?integration={HERE}", f"/own-jobs/new?integration={HERE}&job=evil",
    ):  # fmt: skip
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), address
        assert_accessible(page)
