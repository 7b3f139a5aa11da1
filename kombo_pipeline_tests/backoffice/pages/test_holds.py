"""Held withdrawals of own jobs: shown where people look, and decided by an admin for that very set."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.own_jobs.importing import import_own_jobs
from kombo_pipeline.own_jobs.reading import OwnJob
from kombo_pipeline_tests.backoffice.ats_jobs import add_integration, add_job, targets
from kombo_pipeline_tests.backoffice.conftest import Backoffice, Client, assert_accessible

HERE = "personio:acme"
EVIL = "<b>north</b>"
PageAs = Callable[..., Page]


def brought(conn: Connection, *numbers: int, list_name: str = EVIL) -> int | None:
    jobs = [OwnJob(f"own-{number}", f"Nurse {number}", location="Berlin") for number in numbers]
    done = import_own_jobs(conn, jobs, customer_id="acme", source="multiposter", list_name=list_name, replace=True)
    conn.commit()
    return done.hold_id


@pytest.fixture(scope="module", autouse=True)
def customer(backoffice: Backoffice) -> None:
    with backoffice.connect() as conn:
        add_integration(conn, HERE, "acme", organization_name="Acme Care")
        add_integration(conn, "greenhouse:other", "other")
        add_job(conn, HERE, "k7", name="Linked nurse")


@pytest.fixture
def held(backoffice: Backoffice) -> int:
    """The hold of 39 of a list's 40 own jobs, of which one is linked and an application target."""
    with backoffice.connect() as conn:
        for table in ("job_links", "exposed_jobs", "held_withdrawals", "own_jobs"):
            conn.execute(f"delete from core.{table}")
        brought(conn, *range(40))
        conn.execute(
            "insert into core.job_links (customer_id, own_job_id, integration_id, kombo_job_id, method, own_seen, "
            "ats_seen) values ('acme', 'own-7', %s, 'k7', 'job_code', '{}', '{}')",
            (HERE,),
        )
        conn.execute(
            "insert into core.exposed_jobs (integration_id, kombo_job_id, exposed_by, channel) "
            "values (%s, 'k7', 'jana', 'picker')",
            (HERE,),
        )
        hold_id = brought(conn, 0)
        assert hold_id is not None
        return hold_id


def living(backoffice: Backoffice) -> set[str]:
    with backoffice.connect() as conn:
        rows = conn.execute("select own_job_id from core.own_jobs where withdrawn_at is null").fetchall()
    return {row["own_job_id"] for row in rows}


def test_a_held_withdrawal_is_shown_wherever_people_look(held: int, viewer: Client) -> None:
    holds = viewer.get("/holds").text
    assert "39 own jobs would be withdrawn" in holds
    assert "linked to Linked nurse" in holds
    assert f"/holds/own-jobs/{held}" in holds
    for path in ("/own-jobs", "/own-jobs?customer=acme", f"/integrations/{HERE}"):
        shown = viewer.get(path).text
        assert "39 own jobs of acme are missing in list &lt;b&gt;north&lt;/b&gt;" in shown, path
        assert f"/holds/own-jobs/{held}" in shown
        assert EVIL not in shown
    assert viewer.get("/integrations").text.count("39 own jobs held") == 1
    for path in ("/own-jobs?customer=other", "/integrations/greenhouse:other"):
        assert "are missing in list" not in viewer.get(path).text


def test_a_release_withdraws_the_very_set_that_is_shown_and_suspends_its_links(
    held: int, backoffice: Backoffice, admin: Client
) -> None:
    with backoffice.connect() as conn:
        conn.execute("update core.own_jobs set withdrawn_at = now() where own_job_id = 'own-9'")
        conn.execute("update core.own_jobs set list = 'mine' where own_job_id = 'own-8'")
    shown = admin.get(f"/holds/own-jobs/{held}").text
    assert "Withdraw 37 own jobs" in shown
    assert "withdrawn already: stays" in shown
    assert "in list mine now: stays" in shown
    assert "Nurse 39" in shown
    assert "own-0<" not in shown
    done = admin.submit(f"/holds/own-jobs/{held}", decision="release")
    assert "37 own jobs withdrawn." in admin.get(done.headers["location"]).text
    assert living(backoffice) == {"own-0", "own-8"}
    with backoffice.connect() as conn:
        assert targets(conn) == set()
        link = conn.execute("select state, reason from core.job_links").fetchone()
        assert link == {"state": "suspended", "reason": "withdrawn"}
        hold = conn.execute("select decision, decided_by from core.held_withdrawals").fetchone()
        assert hold == {"decision": "released", "decided_by": "admin"}
    assert "own jobs, list &lt;b&gt;north&lt;/b&gt;" in admin.get("/holds").text
    assert "admin has released it" in admin.get(f"/holds/own-jobs/{held}").text


def test_a_refusal_leaves_the_own_jobs_and_who_comes_second_is_told(
    held: int, backoffice: Backoffice, admin: Client
) -> None:
    done = admin.submit(f"/holds/own-jobs/{held}", decision="refuse")
    assert "the own jobs stay as they are" in admin.get(done.headers["location"]).text
    late = admin.submit(f"/holds/own-jobs/{held}", decision="release")
    assert "admin has refused this withdrawal meanwhile. Nothing was done." in admin.get(late.headers["location"]).text
    assert len(living(backoffice)) == 40


def test_a_hold_that_a_later_list_has_replaced_cannot_be_released_any_more(
    held: int, backoffice: Backoffice, admin: Client
) -> None:
    with backoffice.connect() as conn:
        second = brought(conn, 1)
    assert second not in (None, held)
    late = admin.submit(f"/holds/own-jobs/{held}", decision="release")
    assert "A later list has made this withdrawal void. Nothing was done." in admin.get(late.headers["location"]).text
    assert len(living(backoffice)) == 40


def test_only_an_admin_decides_and_only_what_there_is(
    held: int, backoffice: Backoffice, viewer: Client, reviewer: Client, admin: Client
) -> None:
    path = f"/holds/own-jobs/{held}"
    assert "An admin decides" in viewer.get(path).text
    assert reviewer.submit(path, decision="release").status_code == 403
    assert admin.submit(path, decision="perhaps").status_code == 400
    assert admin.submit("/holds/own-jobs/999999", decision="release").status_code == 404
    assert viewer.get("/holds/own-jobs/999999").status_code == 404
    assert viewer.get("/holds/own-jobs/1e5").status_code == 404
    assert len(living(backoffice)) == 40


def test_an_admin_finds_and_decides_a_withdrawal_in_the_browser(
    held: int, backoffice: Backoffice, page_as: PageAs
) -> None:
    page = page_as("admin")
    page.goto("/own-jobs")
    page.get_by_role("link", name="Look and decide").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("39 own jobs")
    assert_accessible(page)
    page.goto("/holds")
    assert_accessible(page)
    page.get_by_role("link", name="Look at all and decide").click()
    page.get_by_role("button", name="Withdraw 39 own jobs").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("39 own jobs withdrawn.")).to_be_visible()
    expect(page.get_by_text("No withdrawal is held")).to_be_visible()
    assert living(backoffice) == {"own-0"}
