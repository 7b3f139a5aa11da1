"""Links that live, as staff meet them."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from kombo_pipeline.linking import decisions, links
from kombo_pipeline.linking.decisions import Answer
from kombo_pipeline.vocabulary import NO_TARGET_REASONS
from kombo_pipeline_tests.backoffice.conftest import Backoffice, Client, assert_accessible
from kombo_pipeline_tests.backoffice.customers import Customer, add_customer


@pytest.fixture(scope="module")
def story(backoffice: Backoffice) -> dict[str, int]:
    """Links by what became of them: active, closed, reopened, deleted with a successor, superseded."""
    found: dict[str, int] = {}
    with backoffice.connect() as conn:
        for name in ("active", "closed", "reopened", "successor", "past"):
            customer = add_customer(backoffice, name)
            found[name] = accept(conn, customer, customer.job)
            if name == "past":
                found["chosen instead"] = accept(conn, customer, f"{name}-job-2")
            status = {"closed": "CLOSED", "reopened": "CLOSED", "successor": "CLOSED"}.get(name)
            if status is None:
                continue
            set_status(conn, customer, status)
            if name == "reopened":
                set_status(conn, customer, "OPEN")
            if name == "successor":
                conn.execute(
                    "insert into core.job_match_candidates select customer_id, own_job_id, integration_id, %s, 2, "
                    "score, confidence, band, method, evidence, matcher_version from core.job_match_candidates "
                    "where own_job_id = %s",
                    ("successor-job-2", customer.own_job),
                )
        conn.execute(
            "update core.link_notices set attempts = 10, next_attempt_at = null, dead_at = now(), "
            "last_error = 'answered 500 <b>oh</b>' where link_id = %s and event_type = 'link.suspended'",
            (found["closed"],),
        )
        conn.execute(
            "update core.link_notices set attempts = 1, next_attempt_at = null, delivered_at = now() "
            "where link_id = %s",
            (found["active"],),
        )
    return found


def accept(conn: Any, customer: Customer, job: str) -> int:
    decisions.answer(
        conn,
        Answer(
            answer_id=uuid4(),
            customer_id=customer.customer,
            own_job_id=customer.own_job,
            integration_id=customer.integration,
            decision="accepted",
            kombo_job_ids=[job],
            decided_by="ana",
            note="<i>sure</i>",
        ),
    )
    conn.commit()
    row = conn.execute("select max(link_id) as id from core.job_links where kombo_job_id = %s", (job,)).fetchone()
    return int(row["id"])


def set_status(conn: Any, customer: Customer, status: str) -> None:
    conn.execute(
        "with before as (select lifecycle from core.jobs where kombo_job_id = %(job)s) "
        "insert into core.job_changes (integration_id, kombo_job_id, field, old_value, new_value) "
        "select %(integration)s, %(job)s, 'lifecycle', to_jsonb(lifecycle), to_jsonb(lower(%(status)s)) from before",
        {"integration": customer.integration, "job": customer.job, "status": status},
    )
    conn.execute("update core.jobs set status = %s where kombo_job_id = %s", (status, customer.job))
    links.follow_jobs(conn, customer.integration)
    conn.commit()


def shown(client: Client, **query: str) -> set[str]:
    """The own jobs that the list shows."""
    text = client.get("/links", params=query).text
    names = ("active", "closed", "reopened", "successor", "past")
    return {name for name in names if f'<span class="code">{name}/own?1</span>' in text}


def test_the_list_says_why_and_since_when_a_link_is_suspended_and_what_is_proposed(
    viewer: Client, story: dict[str, int]
) -> None:
    text = viewer.get("/links").text
    assert "3 suspended, 1 past" in text
    for words in ("the ATS job is closed", "another ATS job was chosen", "is open: resume the link?", "Re-posted?"):
        assert words in text
    assert "confirmed by ana" in text
    assert "given up" in text
    assert "<b>oh</b>" not in text


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, {"active", "closed", "reopened", "successor", "past"}),
        ({"state": "active"}, {"active", "past"}),
        ({"state": "suspended"}, {"closed", "reopened", "successor"}),
        ({"state": "retired"}, {"past"}),
        ({"reason": "superseded"}, {"past"}),
        ({"proposal": "reopened"}, {"reopened"}),
        ({"proposal": "successor"}, {"successor"}),
        ({"customer": "closed"}, {"closed"}),
        ({"integration": "personio:closed"}, {"closed"}),
        ({"text": "at CLOSED"}, {"closed"}),
        ({"text": "closed/own?1"}, {"closed"}),
        ({"text": "%"}, set()),
        ({"text": "_"}, set()),
        ({"text": "' or true --\0"}, set()),
        ({"state": "nonsense", "page": "-1"}, {"active", "closed", "reopened", "successor", "past"}),
        ({"page": "2"}, set()),
    ],
)
def test_filters_in_the_address_choose_links(
    query: dict[str, str], expected: set[str], viewer: Client, story: dict[str, int]
) -> None:
    assert shown(viewer, **query) == expected


def test_a_notice_of_a_target_names_no_link_and_stands_on_the_page_of_its_link_in_order(
    backoffice: Backoffice, viewer: Client, story: dict[str, int]
) -> None:
    told = "select core.tell(%s, customer_id, integration_id, own_job_id, kombo_job_id, %s)"
    with backoffice.connect() as conn:
        for kind, reason in (("target.opened", None), ("target.closed", "stale")):
            conn.execute(f"{told} from core.job_links where link_id = %s", (kind, reason, story["active"]))
        conn.commit()
    notices = viewer.get(f"/links/{story['active']}").text.partition('id="told"')[2]
    newest_first = [notices.index(words) for words in ("target closed", "target opened", "started")]
    assert newest_first == sorted(newest_first)
    assert NO_TARGET_REASONS["stale"] in notices


def test_the_page_of_a_link_has_its_whole_history(viewer: Client, story: dict[str, int]) -> None:
    text = viewer.get(f"/links/{story['closed']}").text
    assert "&lt;i&gt;sure&lt;/i&gt;" in text
    for words in ("Linked", "started", "suspended", "given up", "answered 500 &lt;b&gt;oh&lt;/b&gt;"):
        assert words in text
    assert "Take back" not in text
    assert 'href="/review?of=closed&amp;in=personio%3Aclosed&amp;own=closed/own%3F1"' in text
    assert "delivered" in viewer.get(f"/links/{story['active']}").text
    successor = viewer.get(f"/links/{story['successor']}").text
    assert "Perhaps re-posted as" in successor
    assert "Engineer 2 at successor" in successor
    assert f'href="/links/{story["past"]}"' in viewer.get(f"/links/{story['chosen instead']}").text
    for unknown in ("999999", "0", "-1", "x"):
        assert viewer.get(f"/links/{unknown}").status_code == 404


def test_a_reviewer_takes_an_answer_back_from_the_links_page(
    page_as: Callable[..., Page], backoffice: Backoffice, story: dict[str, int]
) -> None:
    customer = add_customer(backoffice, "regretted")
    with backoffice.connect() as conn:
        link_id = accept(conn, customer, customer.job)
    page = page_as("reviewer")
    page.goto(f"/links/{link_id}")
    page.get_by_role("button", name="Take back").click()
    page.wait_for_url(f"**/links/{link_id}")
    expect(page.get_by_text("taken back by reviewer")).to_be_visible()
    expect(page.get_by_text("the answer behind it was taken back")).to_be_visible()


def test_filters_swap_the_list_without_loading_the_page_anew_and_the_address_follows(
    page_as: Callable[..., Page], story: dict[str, int]
) -> None:
    page = page_as("viewer")
    page.goto("/links")
    page.evaluate("window.still = true")
    page.get_by_role("link", name="Suspended", exact=True).click()
    page.wait_for_url("**/links?state=suspended")
    expect(page.get_by_role("link", name="Engineer at active")).to_have_count(0)
    page.get_by_label("Title, code or own id").fill("at closed")
    page.keyboard.press("Enter")
    page.wait_for_url("**text=at%20closed**")
    expect(page.get_by_role("link", name="Engineer at closed")).to_be_visible()
    expect(page.get_by_role("link", name="Engineer at successor")).to_have_count(0)
    assert page.evaluate("window.still")
    page.go_back()
    expect(page.get_by_role("link", name="Engineer at successor")).to_be_visible()


@pytest.mark.parametrize(
    ("color_scheme", "viewport"),
    [("dark", {"width": 320, "height": 640}), ("light", {"width": 1280, "height": 800})],
    ids=["phone", "desk"],
)
def test_links_are_accessible_and_fit(
    page_as: Callable[..., Page], story: dict[str, int], color_scheme: str, viewport: dict[str, int]
) -> None:
    page = page_as("reviewer", color_scheme=color_scheme, viewport=viewport)
    for address in ("/links", "/links?text=nobody", *(f"/links/{link_id}" for link_id in story.values())):
        page.goto(address)
        assert_accessible(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"], address
