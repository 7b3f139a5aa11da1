"""The paste box in a browser, with a served Kombo behind it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from kombo_pipeline.sandbox.clock import Clock
from kombo_pipeline.sandbox.server import running
from kombo_pipeline.sandbox.world import World
from kombo_pipeline_tests.backoffice.ats_jobs import add_integration, add_job, match
from kombo_pipeline_tests.backoffice.conftest import Backoffice, Client, assert_accessible

EVIL = "<script>alert(1)</script><b>bold</b>"
PageAs = Callable[..., Page]


@pytest.fixture(scope="module")
def world() -> World:
    return World(seed=7, clock=Clock(running=True))


@pytest.fixture(scope="module")
def backoffice_values(world: World) -> Iterator[dict[str, Any]]:
    """A back office that may ask a served Kombo."""
    with running(world) as sandbox:
        yield {"kombo_api_url": sandbox.url, "kombo_api_key": "sandbox-key"}


@pytest.fixture(scope="module")
def here(world: World, backoffice: Backoffice) -> str:
    """An integration of acme; Kombo knows a job more than the warehouse."""
    integration = world.add_integration(jobs=0, origin_id="acme", tool="personio")
    world.open_job(integration, name="Brand new job", job_code="NEW-1", post_url="https://acme.example/jobs/new")
    world.sync(integration)
    with backoffice.connect() as conn:
        add_integration(conn, integration, "acme", organization_name="Acme Care")
        add_job(conn, integration, "k1", name="Registered Nurse", job_code="REQ-1", location_city="Berlin",
                post_url="https://acme.jobs.personio.de/job/4711")  # fmt: skip
        add_job(conn, integration, "k2", name="Registered Nurse", job_code="REQ-2", location_city="Hamburg")
        add_job(conn, integration, "k3", name="Warehouse Worker", job_code="TWIN-7")
        add_job(conn, integration, "k4", name=EVIL, job_code="TWIN-7")
        add_job(conn, integration, "k5", name="Electrician", job_code="REQ-5", status="CLOSED")
        add_job(conn, integration, "k6", name="Accountant", job_code="REQ-6", remote_deleted_at="2026-01-01")
        add_job(conn, integration, "k7", name="Secret driver", job_code="REQ-7", visibility="CONFIDENTIAL")
        conn.commit()
        match(conn, integration)
    return integration


@pytest.fixture(autouse=True)
def nothing_yet(world: World, backoffice: Backoffice, here: str) -> None:
    """Nothing is exposed, and Kombo was asked nothing."""
    with backoffice.connect() as conn:
        conn.execute("delete from core.exposed_jobs")
    world.requests.clear()


MAIL = f"""Hi Ana,
 1. https://acme.jobs.personio.de/job/4711?utm_source=mail
 2. twin-7
 * Ref: REQ-5
 * REQ-6
 * REQ-7
Registered Nurse Hamburg
NEW-1
https://acme.example/jobs/new
REQ-404
req-5
{EVIL} of none
"""


def exposed(backoffice: Backoffice) -> dict[str, str]:
    with backoffice.connect() as conn:
        rows = conn.execute("select kombo_job_id, channel from core.exposed_jobs where exposed_until is null")
        return {row["kombo_job_id"]: row["channel"] for row in rows}


@pytest.mark.parametrize("scripts", [True, False], ids=["with JavaScript", "without"])
def test_a_mail_is_read_line_by_line_and_what_is_meant_is_exposed_at_once(
    page_as: PageAs, backoffice: Backoffice, world: World, here: str, scripts: bool
) -> None:
    page = page_as("reviewer", java_script_enabled=scripts)
    page.goto(f"/picker/paste?integration={here}")
    page.get_by_label("What came by e-mail").fill(MAIL)
    page.get_by_role("button", name="Read it").click()
    expect(page.get_by_role("heading", name="12 lines read")).to_be_visible()
    expect(page.locator("#line-1")).to_contain_text("belongs to nothing")
    expect(page.locator("#line-2")).to_contain_text("found by address")
    expect(page.locator("#line-3")).to_contain_text("several jobs")
    expect(page.locator("#line-4")).to_contain_text("found, but not open")
    expect(page.locator("#line-5")).to_contain_text("deleted in the ATS")
    expect(page.locator("#line-6")).to_contain_text("confidential")
    expect(page.locator("#line-7")).to_contain_text("looks like a title")
    for line in (8, 9):
        expect(page.locator(f"#line-{line}")).to_contain_text("Brand new job (open)")
        expect(page.locator(f"#line-{line}")).to_contain_text("arrives with the next fetch")
    expect(page.locator("#line-10")).to_contain_text("The ATS may still have it")
    expect(page.locator("#line-12 .said")).to_have_text(f"{EVIL} of none")
    assert page.locator(".verdicts input:checked:not([value=''])").evaluate_all("all => all.map(e => e.value)") == [
        "k1"
    ]
    page.locator("#line-3 input[value=k4]").check()
    page.locator("#line-7 input[value=k2]").check()
    page.get_by_role("button", name="Expose ticked").click()
    expect(page.locator(".notice.done")).to_have_text("3 jobs exposed.")
    assert exposed(backoffice) == {"k1": "paste", "k2": "paste", "k4": "paste"}
    assert {request.path for request in world.requests} == {"/v1/ats/jobs"}


@pytest.mark.parametrize("width", [1280, 320])
def test_verdicts_are_accessible_and_fit_a_phone(page_as: PageAs, here: str, width: int) -> None:
    page = page_as("reviewer", viewport={"width": width, "height": 700}, color_scheme="dark")
    page.goto(f"/picker/paste?integration={here}")
    assert_accessible(page)
    page.get_by_label("What came by e-mail").fill(MAIL)
    page.get_by_role("button", name="Read it").click()
    expect(page.locator(".verdicts")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert_accessible(page)


def test_a_customer_pastes_among_its_own_jobs(backoffice: Backoffice, here: str) -> None:
    customer = backoffice.customer("acme")
    page = customer.submit("/picker/paste", integration=here, text="REQ-1")
    assert "Registered Nurse" in page.text
    assert "/integrations/" not in page.text
    assert customer.submit("/picker/paste/expose", integration=here, job="k1").status_code == 303
    assert exposed(backoffice) == {"k1": "customer"}
    stranger = backoffice.customer("other")
    assert stranger.submit("/picker/paste", integration=here, text="REQ-1").status_code == 404


def test_nothing_to_read_and_nothing_ticked_are_said(reviewer: Client, backoffice: Backoffice, here: str) -> None:
    assert "The text is empty" in reviewer.submit("/picker/paste", integration=here, text=" \n - \n").text
    answer = reviewer.submit("/picker/paste/expose", integration=here, **{"choice-3": ""})
    assert "No job was ticked" in reviewer.get(answer.headers["location"]).text
    assert exposed(backoffice) == {}
