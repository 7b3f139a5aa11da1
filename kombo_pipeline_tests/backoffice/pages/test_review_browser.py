"""The review page in a real browser: by keyboard, with two people, without JavaScript, on a phone."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from kombo_pipeline_tests.backoffice import reviewing as r
from kombo_pipeline_tests.backoffice.ats_jobs import add_job, add_own_job
from kombo_pipeline_tests.backoffice.conftest import Backoffice, assert_accessible

Open = Callable[..., Page]

pytestmark = pytest.mark.usefixtures("nobody_looked_before")


@pytest.fixture
def conn(backoffice: Backoffice):
    with backoffice.connect() as connection:
        yield connection


def customer_with(conn, own_jobs: int) -> str:
    name = f"c{uuid4().hex[:8]}"
    r.add_customer(conn, name, own_jobs=own_jobs)
    return name


@pytest.fixture
def acme(conn) -> str:
    return customer_with(conn, 8)


def left(page: Page, count: int) -> None:
    expect(page.locator(".progress-line .count").first).to_have_text(str(count))


def title(page: Page) -> str:
    return page.locator("#own-title").inner_text()


def test_thirty_cards_by_keyboard(page_as: Open, conn) -> None:
    name = customer_with(conn, 34)
    page = page_as("reviewer")
    page.goto(f"/review?customer={name}")
    loads = []
    page.on("load", lambda _: loads.append(page.url))
    left(page, 34)
    passed = title(page)
    page.keyboard.press("j")
    expect(page.locator("#own-title")).not_to_have_text(passed)
    page.keyboard.press("k")
    expect(page.locator("#own-title")).to_have_text(passed)
    for number in range(30):
        before = title(page)
        page.keyboard.press("yy1yuyynyx"[number % 10])
        left(page, 33 - number)
        expect(page.locator("#own-title")).not_to_have_text(before)
    conn.rollback()
    rows = conn.execute(
        "select decision, count(distinct answer_id) as n from core.link_decisions where customer_id = %s group by 1",
        (name,),
    ).fetchall()
    assert {row["decision"]: row["n"] for row in rows} == {
        "accepted": 21, "unsure": 3, "rejected": 3, "no_counterpart": 3,
    }  # fmt: skip
    assert f"customer={name}" in page.url
    assert loads == [], "the whole page was loaded again"
    expect(page.locator(".progress-line")).to_contain_text("s each")


def test_z_takes_the_newest_answer_back_and_again_the_one_before(page_as: Open, conn, acme: str) -> None:
    page = page_as("reviewer")
    page.goto(f"/review?customer={acme}")
    first = title(page)
    page.keyboard.press("y")
    left(page, 7)
    second = title(page)
    page.keyboard.press("n")
    left(page, 6)
    page.keyboard.press("z")
    expect(page.locator("#own-title")).to_have_text(second)
    expect(page.get_by_role("status").first).to_contain_text("Taken back")
    page.keyboard.press("z")
    expect(page.locator("#own-title")).to_have_text(first)
    left(page, 8)
    page.keyboard.press("j")
    expect(page.locator("#own-title")).to_have_text(first)


def test_keys_rest_while_somebody_types_and_while_help_is_open(page_as: Open, conn, acme: str) -> None:
    page = page_as("reviewer")
    page.goto(f"/review?customer={acme}")
    page.locator("#note").focus()
    page.keyboard.type("any note 12")
    page.keyboard.press("Escape")
    page.locator("#sought").focus()
    page.keyboard.type("yn1")
    page.locator("h1").click()
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    assert_accessible(page)
    page.keyboard.press("y")
    page.keyboard.press("Escape")
    expect(page.locator("#keys")).to_be_hidden()
    page.keyboard.press("Control+y")
    left(page, 8)
    assert conn.execute("select count(*) as n from core.link_decisions where customer_id = %s", (acme,)).fetchone() == {
        "n": 0
    }


def test_w_shows_the_reasons_of_every_candidate(page_as: Open, acme: str) -> None:
    page = page_as("reviewer")
    page.goto(f"/review?customer={acme}")
    count = page.locator("details.why").count()
    assert count > 1
    page.keyboard.press("w")
    assert page.locator("details.why[open]").count() == count
    page.keyboard.press("w")
    assert page.locator("details.why[open]").count() == 0


def test_search_by_keyboard_compares_and_links(page_as: Open, conn, acme: str) -> None:
    page = page_as("reviewer")
    page.goto("/review?" + "&".join(f"{name}={value}" for name, value in r.at(acme, f"{acme}/0").items()))
    page.keyboard.press("s")
    page.keyboard.type("graz store")
    option = page.locator("#options").get_by_role("option", name="Store Manager")
    expect(option).to_have_count(1)
    box = page.locator("#sought")
    expect(box).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("ArrowDown")
    expect(option).to_have_attribute("aria-selected", "true")
    assert box.get_attribute("aria-activedescendant") == option.get_attribute("id")
    assert_accessible(page)
    page.keyboard.press("Enter")
    expect(page.locator(".pair.found h3")).to_contain_text("Store Manager")
    assert "found=" in page.url
    expect(page.locator(".pair.found .primary")).to_be_focused()
    assert_accessible(page)
    page.keyboard.press("Enter")
    expect(page.locator(".strip .what").first).to_contain_text("is “Store Manager Nachwuchs”")
    [row] = conn.execute("select method, kombo_job_id from core.job_links where customer_id = %s", (acme,)).fetchall()
    assert row == {"method": "search", "kombo_job_id": f"{acme}-7"}


def test_two_people_with_one_card(page_as: Open, conn, acme: str) -> None:
    first, second = page_as("reviewer"), page_as("admin")
    for page in (first, second):
        page.goto(f"/review?customer={acme}")
    shown = title(first)
    assert title(second) == shown
    first.keyboard.press("y")
    left(first, 7)
    second.keyboard.press("u")
    expect(second.locator(".conflict")).to_contain_text("reviewer answered")
    expect(second.locator("#own-title")).to_have_text(shown)
    assert_accessible(second)
    second.get_by_role("link", name="Leave it and go on").click()
    left(second, 7)
    expect(second.locator("#own-title")).not_to_have_text(shown)
    first.goto(f"/review?customer={acme}")
    shown = title(second)
    first.keyboard.press("y")
    left(first, 6)
    second.keyboard.press("x")
    second.get_by_role("button", name="No counterpart anyway").click()
    expect(second.locator(".conflict")).to_have_count(0)
    left(second, 6)
    rows = conn.execute(
        "select decision, decided_by from core.link_decisions where customer_id = %s order by decision_id", (acme,)
    ).fetchall()
    assert [tuple(row.values()) for row in rows] == [
        ("accepted", "reviewer"), ("accepted", "reviewer"), ("no_counterpart", "admin"),
    ]  # fmt: skip


def test_a_note_that_is_needed_is_asked_for_where_the_keyboard_is(page_as: Open, conn, acme: str) -> None:
    page = page_as("reviewer")
    page.goto(f"/review?customer={acme}")
    shown = title(page)
    page.keyboard.press(str(page.locator(".pair").count()))
    expect(page.locator("#note")).to_be_focused()
    expect(page.get_by_role("alert")).to_contain_text("The match is weak")
    assert_accessible(page)
    page.keyboard.type("they are the same team")
    page.get_by_role("button", name="Link with this note").click()
    left(page, 7)
    expect(page.locator("#own-title")).not_to_have_text(shown)
    [row] = conn.execute("select note from core.link_decisions where customer_id = %s", (acme,)).fetchall()
    assert row["note"] == "they are the same team"


def test_a_job_that_closes_while_its_card_is_open(page_as: Open, conn, acme: str) -> None:
    page = page_as("reviewer")
    page.goto("/review?" + "&".join(f"{name}={value}" for name, value in r.at(acme, f"{acme}/0").items()))
    conn.execute("update core.jobs set status = 'CLOSED' where kombo_job_id = %s", (f"{acme}-0",))
    conn.commit()
    page.keyboard.press("1")
    expect(page.locator(".notice.warning")).to_contain_text("the link is suspended, because the ATS job is closed")
    expect(page.locator(".strip .what").first).to_contain_text("suspended: the ATS job is closed")
    assert (
        conn.execute("select count(*) as n from marts.application_targets where customer_id = %s", (acme,)).fetchone()[
            "n"
        ]
        == 0
    )


def test_without_javascript_everything_has_a_button(page_as: Open, conn, acme: str) -> None:
    page = page_as("reviewer", java_script_enabled=False)
    page.goto(f"/review?customer={acme}")
    before = title(page)
    page.get_by_role("button", name="Link").first.click()
    assert title(page) != before
    page.locator(".strip button").first.click()
    assert title(page) == before
    page.fill("#sought", "store graz")
    page.locator("#find button").click()
    page.get_by_role("link", name="Store Manager Nachwuchs").click()
    page.locator(".pair.found .primary").click()
    expect(page.locator(".strip .what").first).to_contain_text("Store Manager Nachwuchs")
    page.select_option("select[name=order]", "oldest")
    page.get_by_role("button", name="Apply").click()
    assert "order=oldest" in page.url
    conn.rollback()
    rows = conn.execute("select decision from core.link_decisions where customer_id = %s order by decision_id", (acme,))
    assert [row["decision"] for row in rows] == ["accepted", "undone", "accepted"]


def test_a_filter_applies_as_soon_as_it_is_chosen(page_as: Open, acme: str) -> None:
    page = page_as("viewer")
    page.goto("/review")
    page.select_option("select[name=customer]", acme)
    left(page, 8)
    assert f"customer={acme}" in page.url


EVIL = "<script>window.evil = 1</script><img src=x onerror='window.evil = 2'>"


def test_foreign_text_runs_nothing(page_as: Open, conn, acme: str) -> None:
    conn.execute(
        "update core.jobs set name = name || %(evil)s, "
        "description = %(evil)s || '<a href=\"javascript:evil=1\">x</a>', "
        "post_url = 'javascript:window.evil=3', department = %(evil)s where kombo_job_id = %(job)s",
        {"evil": EVIL, "job": f"{acme}-0"},
    )
    conn.execute("update core.own_jobs set title = title || %s where own_job_id = %s", (EVIL, f"{acme}/0"))
    r.rematch(conn, f"personio:{acme}")
    page = page_as("reviewer")
    page.goto("/review?" + "&".join(f"{name}={value}" for name, value in r.at(acme, f"{acme}/0").items()))
    page.locator(".description summary").first.click()
    page.keyboard.press("s")
    page.keyboard.type("backend")
    expect(page.locator("#options [role=option]")).to_have_count(1)
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.keyboard.press("y")
    expect(page.locator(".strip .what").first).to_contain_text("<script>")
    page.goto("/history")
    assert page.evaluate("window.evil") is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_state_is_accessible_in_light_and_dark(page_as: Open, acme: str, scheme: str) -> None:
    page = page_as("reviewer", color_scheme=scheme)
    for address in (
        f"/review?customer={acme}", "/review?customer=nobody", "/review/bulk", f"/history?customer={acme}",
    ):  # fmt: skip
        page.goto(address)
        page.keyboard.press("w")
        assert_accessible(page)
    page.goto(f"/review?customer={acme}")
    page.keyboard.press("n")
    left(page, 7)
    assert_accessible(page)
    page.goto(f"/history?customer={acme}")
    page.get_by_text("What was on the screen").click()
    assert_accessible(page)


def test_on_a_phone_nothing_scrolls_sideways(page_as: Open, conn, acme: str) -> None:
    conn.execute(
        "update core.own_jobs set title = %s, own_job_id = own_job_id where customer_id = %s and own_job_id = %s",
        ("Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" * 2, acme, f"{acme}/0"),
    )
    conn.commit()
    page = page_as("reviewer", viewport={"width": 320, "height": 640})
    for address in (
        "/review?" + "&".join(f"{name}={value}" for name, value in r.at(acme, f"{acme}/0").items()),
        f"/review?customer={acme}", "/review?customer=nobody", "/review/bulk", "/history",
    ):  # fmt: skip
        page.goto(address)
        page.keyboard.press("w")
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, address
        assert_accessible(page)


def test_bulk_accept_counts_what_is_chosen_and_takes_it_back(page_as: Open, conn, acme: str) -> None:
    for number in range(3):
        for job, status in (("old", "CLOSED"), ("new", "OPEN")):
            names = {"name": f"Nurse ward {number}", "job_code": f"N-471{number}", "status": status}
            add_job(conn, f"personio:{acme}", f"{acme}-{job}-{number}", **names)
        add_own_job(conn, acme, f"{acme}/n{number}", title=f"Nurse ward {number}", job_code=f"N-471{number}")
    r.rematch(conn, f"personio:{acme}")
    page = page_as("reviewer")
    page.goto(f"/review/bulk?customer={acme}")
    button = page.locator("[data-counts]")
    expect(button).to_have_text("Accept 3 links")
    assert_accessible(page)
    page.get_by_label("Nurse ward 1").uncheck()
    expect(button).to_have_text("Accept 2 links")
    page.get_by_label("All", exact=True).uncheck()
    expect(button).to_be_disabled()
    page.get_by_label("Nurse ward 2").check()
    expect(button).to_have_text("Accept 1 link")
    button.click()
    expect(page.get_by_role("status").first).to_contain_text("Accepted 1")
    assert r.link_of(conn, acme, f"{acme}/n2") == (f"{acme}-new-2", "active", None)
    page.get_by_role("button", name="Undo the batch of 1").click()
    expect(page.get_by_role("status").first).to_contain_text("Taken back")
    assert r.link_of(conn, acme, f"{acme}/n2") is None


def test_links_to_be_looked_at_again_are_accessible_and_answered_by_y(page_as: Open, conn, acme: str) -> None:
    for number, job in ((0, "changed"), (1, "reopened"), (2, "successor")):
        r.say(conn, acme, f"{acme}/{number}", "accepted", f"{acme}-{number}", note=job)
    conn.execute("update core.jobs set name = 'Principal Backend Engineer' where kombo_job_id = %s", (f"{acme}-0",))
    conn.execute("update core.jobs set status = 'CLOSED' where kombo_job_id = any(%s)", ([f"{acme}-1", f"{acme}-2"],))
    add_job(conn, f"personio:{acme}", f"{acme}-again", name="Key Account Manager", location_city="Hamburg")
    r.rematch(conn, f"personio:{acme}")
    conn.execute("update core.jobs set status = 'OPEN' where kombo_job_id = %s", (f"{acme}-1",))
    r.rematch(conn, f"personio:{acme}")
    page = page_as("reviewer")
    for number, why in ((0, "changed"), (1, "reopened"), (2, "successor")):
        page.goto(f"/review?customer={acme}&why={why}")
        page.keyboard.press("w")
        assert_accessible(page)
        page.keyboard.press("y")
        left(page, 0)
        assert r.link_of(conn, acme, f"{acme}/{number}") == (
            f"{acme}-again" if why == "successor" else f"{acme}-{number}", "active", None,
        )  # fmt: skip
