"""The job picker as people use it: in a browser, without JavaScript, by a customer's link."""

import csv
import io
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from kombo_pipeline.linking.statements import exposed_jobs
from kombo_pipeline_tests.backoffice.ats_jobs import add_integration, add_job, add_own_job, match, targets
from kombo_pipeline_tests.backoffice.conftest import Backoffice, Client, assert_accessible

HERE = "personio:acme"
EVIL = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'
PageAs = Callable[..., Page]


@pytest.fixture(scope="module", autouse=True)
def customers(backoffice: Backoffice) -> None:
    """acme with sixty jobs that matching has read, one of them hostile, one linked; another customer; one waiting."""
    with backoffice.connect() as conn:
        add_integration(conn, HERE, "acme", organization_name="Acme Care")
        add_integration(conn, "greenhouse:other", "other", tool="greenhouse")
        add_integration(conn, "softgarden:new", "new", fetch_state="waiting")
        conn.execute("update core.integrations set fetched_at = null where customer_id = 'new'")
        add_job(conn, "greenhouse:other", "theirs", name="Secret of other")
        add_job(conn, "greenhouse:other", "shared-id", name="Nurse of other")
        for n in range(55):
            add_job(
                conn, HERE, f"k{n:02}", name=f"Nurse {n:02}", job_code=f"REQ-{n}", department=("Care", "Field")[n % 2],
                location_raw=("Berlin", "Köln")[n % 2], opened_at=f"2026-01-{1 + n % 28:02}",
            )  # fmt: skip
        add_job(conn, HERE, "shared-id", name="Nurse of acme")
        add_job(conn, HERE, "hidden", name="Confidential driver", visibility="CONFIDENTIAL")
        add_job(conn, HERE, "inside", name="Internal driver", visibility="INTERNAL")
        add_job(conn, HERE, "shut", name="Closed driver", status="CLOSED")
        add_job(
            conn, HERE, "gone", name="Deleted driver", remote_deleted_at="2026-01-01",
            unreadable_fields='{"opened_at": "no date", "job_code": "a list"}',
        )  # fmt: skip
        add_job(
            conn, HERE, "evil", name=EVIL, job_code="=1+1", department=EVIL, location_raw=EVIL, remote_id="@x",
            post_url="javascript:alert(1)", visibility="\"'><i>", status="<b>",
        )  # fmt: skip
        add_own_job(conn, "acme", "own-1", title="Night nurse 01", job_code="REQ-1")
        conn.commit()
        match(conn, HERE)


@pytest.fixture(autouse=True)
def nothing_exposed(backoffice: Backoffice) -> None:
    with backoffice.connect() as conn:
        conn.execute("delete from core.exposed_jobs")


def exposed(backoffice: Backoffice, integration_id: str = HERE) -> dict[str, tuple[str, str]]:
    """The jobs exposed now: by whom and through what."""
    with backoffice.connect() as conn:
        rows = conn.execute(
            "select kombo_job_id, exposed_by, channel from core.exposed_jobs where integration_id = %s "
            "and exposed_until is null",
            (integration_id,),
        ).fetchall()
    return {row["kombo_job_id"]: (row["exposed_by"], row["channel"]) for row in rows}


def names(page: Page) -> list[str]:
    return page.locator("table.jobs td.title > a:first-child").all_inner_texts()


def test_jobs_are_searched_filtered_sorted_and_paged_in_the_address(page_as: PageAs) -> None:
    page = page_as("viewer")
    page.goto("/picker")
    page.get_by_role("link", name="Acme Care").click()
    expect(page.locator(".found")).to_have_text("58 jobs, 1–50 shown")
    page.get_by_role("link", name="Next").click()
    expect(page.get_by_text("Page 2 of 2")).to_be_visible()
    page.get_by_label("Search").fill("req-1 köln")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator(".found")).to_have_text("6 jobs")
    assert "q=req-1" in page.url and "page" not in page.url
    page.locator("thead a", has_text="Job").click()
    expect(page.locator("th[aria-sort=ascending]")).to_have_text("Job")
    assert names(page)[0] == "Nurse 01"
    page.locator("thead a", has_text="Job").click()
    expect(page.locator("th[aria-sort=descending]")).to_have_text("Job")
    assert names(page)[0] == "Nurse 19"
    page.get_by_label("Own job").select_option("Linked")
    expect(page.locator(".found")).to_have_text("1 job")
    expect(page.locator("td.links")).to_contain_text("Night nurse")
    page.reload()
    assert names(page) == ["Nurse 01"]
    page.get_by_role("link", name="Clear").click()
    expect(page.locator(".found")).to_have_text("58 jobs, 1–50 shown")
    page.get_by_label("Status").select_option(label="Gone from the ATS (1)")
    expect(page.locator("table.jobs tbody")).to_contain_text("deleted in the ATS")
    expect(page.locator("table.jobs tbody")).to_contain_text("could not be read: job code, opened at")
    assert names(page) == ["Deleted driver"]


def test_ticked_jobs_are_exposed_and_ended_together_and_the_history_tells_it(
    page_as: PageAs, backoffice: Backoffice
) -> None:
    page = page_as("reviewer")
    page.goto(f"/picker?integration={HERE}&sort=title&q=nurse+req-1")
    page.get_by_label("Tick all of this page that may become application targets").check()
    expect(page.locator("[data-count]")).to_have_text("11 ticked")
    page.get_by_label("Nurse 10", exact=True).uncheck()
    page.get_by_role("button", name="Expose ticked").click()
    expect(page.locator(".notice.done")).to_have_text("10 jobs exposed.")
    assert exposed(backoffice) == {f"k{n:02}": ("reviewer", "picker") for n in (1, *range(11, 20))}
    with backoffice.connect() as conn:
        assert targets(conn) == {("own-1", "k01")}
    page.get_by_role("button", name="End exposure of Nurse 01").click()
    expect(page.locator(".notice.done")).to_have_text("1 job no longer exposed.")
    with backoffice.connect() as conn:
        assert targets(conn) == set()
    page.get_by_role("link", name="History of every choice").click()
    expect(page.locator(".timeline li")).to_have_count(2)
    expect(page.locator(".timeline li").first).to_contain_text("reviewer ended the exposure of Nurse 01")
    expect(page.locator(".timeline li").last).to_contain_text("reviewer exposed 10 jobs at once")
    expect(page.locator(".timeline li").last).to_contain_text("picker")
    page.get_by_role("link", name="Nurse 01").first.click()
    expect(page.locator(".one-job")).to_contain_text("Nurse 01")
    expect(page.locator(".timeline li")).to_have_count(2)
    assert_accessible(page)


def test_all_that_match_are_previewed_and_confidential_ones_left_out(page_as: PageAs, backoffice: Backoffice) -> None:
    page = page_as("reviewer")
    page.goto(f"/picker?integration={HERE}&q=driver&status=all")
    page.get_by_label("Tick all of this page that may become application targets").check()
    assert page.locator("tbody input:checked").count() == 0
    page.goto(f"/picker?integration={HERE}&status=all")
    page.get_by_role("link", name="Expose all that match").click()
    expect(page.locator(".total")).to_have_text("56 jobs would be exposed.")
    expect(page.get_by_text("2 are internal, confidential or of unknown visibility: left out.")).to_be_visible()
    expect(page.get_by_text("3 are not open: left out.")).to_be_visible()
    assert_accessible(page)
    page.get_by_role("button", name="Expose 56 jobs").click()
    expect(page.locator(".notice.done")).to_have_text("56 jobs exposed.")
    assert not {"hidden", "inside", "shut", "gone", "evil"} & exposed(backoffice).keys()
    page.get_by_role("link", name="End all that match").click()
    page.get_by_role("button", name="End exposure of 56 jobs").click()
    expect(page.locator(".notice.done")).to_have_text("56 jobs no longer exposed.")
    assert exposed(backoffice) == {}


def test_a_set_that_changed_since_its_preview_is_shown_again(reviewer: Client, backoffice: Backoffice) -> None:
    preview = reviewer.get(f"/picker/preview?integration={HERE}&q=nurse+0&action=expose").text
    digest = preview.partition('name="digest" value="')[2].partition('"')[0]
    fields = {"integration": HERE, "q": "nurse 0", "action": "expose", "digest": digest}
    reviewer.submit("/picker/choose", integration=HERE, only_expose="k03")
    changed = reviewer.submit("/picker/choose-all", **fields)
    assert changed.status_code == 409
    assert "The jobs that match have changed" in changed.text
    assert exposed(backoffice).keys() == {"k03"}


def test_a_confidential_job_is_chosen_one_by_one_and_it_is_said_what_that_means(
    reviewer: Client, backoffice: Backoffice
) -> None:
    answer = reviewer.submit("/picker/choose", integration=HERE, action="expose", job_one_by_one=["hidden", "inside"])
    page = reviewer.get(answer.headers["location"]).text
    assert "2 jobs exposed. 2 of them are not open, internal, confidential" in page
    assert exposed(backoffice).keys() == {"hidden", "inside"}


def test_nothing_ticked_and_nonsense_change_nothing(reviewer: Client, backoffice: Backoffice) -> None:
    assert reviewer.submit("/picker/choose", integration=HERE, action="expose").status_code == 303
    assert reviewer.submit("/picker/choose", integration=HERE, action="burn", job="k01").status_code == 400
    assert (
        reviewer.submit("/picker/choose", integration=HERE, action="expose", job=["gone", "no\0pe"]).status_code == 303
    )
    assert reviewer.submit("/picker/choose", integration="personio:none", action="expose", job="k01").status_code == 404
    assert exposed(backoffice) == {}


@pytest.mark.parametrize(
    "query",
    ["page=99999999999999999999", "page=-1", "page=99", "page=x", "status=x&sort=x&order=x&visibility=x&exposed=x",
     "q=%00%FF", "q=" + "a" * 5000, "place=%25%25&department=%5C", "q=" + quote(EVIL), "q=https://[", "before=x"],
)  # fmt: skip
def test_an_odd_address_is_answered(viewer: Client, query: str) -> None:
    for path in ("/picker", "/picker/history", "/picker/export"):
        assert viewer.get(f"{path}?integration={HERE}&{query}").status_code == 200


def test_a_viewer_looks_and_does_not_choose(page_as: PageAs, backoffice: Backoffice) -> None:
    page = page_as("viewer")
    page.goto(f"/picker?integration={HERE}")
    expect(page.get_by_role("button", name="Expose")).to_have_count(0)
    expect(page.locator("input[type=checkbox]")).to_have_count(0)
    refused = backoffice.client("viewer").submit("/picker/choose", integration=HERE, action="expose", job="k01")
    assert refused.status_code == 403


def test_a_customer_sees_and_chooses_among_its_own_jobs_alone(page_as: PageAs, backoffice: Backoffice) -> None:
    page = page_as(customer="acme")
    page.goto("/picker")
    expect(page.get_by_role("heading", name="Jobs to expose")).to_contain_text("Acme Care")
    expect(page.get_by_role("link", name="New own job")).to_have_count(0)
    page.get_by_label("Search").fill("nurse of")
    page.get_by_label("Search").press("Enter")
    expect(page.locator(".found")).to_have_text("1 job")
    page.get_by_role("button", name="Expose Nurse of acme").click()
    expect(page.locator(".notice.done")).to_have_text("1 job exposed.")
    assert exposed(backoffice) == {"shared-id": ("customer acme", "customer")}
    assert exposed(backoffice, "greenhouse:other") == {}
    acme = backoffice.customer("acme")
    other = "greenhouse:other"
    for path in ("/picker", "/picker/history", "/picker/export", "/picker/preview", "/picker/paste"):
        assert acme.get(f"{path}?integration={other}&action=expose").status_code == 404
    assert acme.submit("/picker/choose", integration=other, action="expose", job="theirs").status_code == 404
    assert acme.submit("/picker/choose", integration=HERE, action="expose", job="theirs").status_code == 303
    assert acme.submit("/picker/paste/expose", integration=other, job="theirs").status_code == 404
    assert acme.get(f"/picker/history?integration={HERE}&job=theirs").status_code == 404
    for path in ("/own-jobs", f"/own-jobs/new?integration={HERE}", f"/own-jobs/ats-jobs?integration={HERE}&q=n"):
        assert acme.get(path).status_code == 404
    assert exposed(backoffice, other) == {}


def test_it_works_without_javascript(page_as: PageAs, backoffice: Backoffice) -> None:
    page = page_as("reviewer", java_script_enabled=False)
    page.goto(f"/picker?integration={HERE}")
    page.get_by_label("Status").select_option("closed")
    page.get_by_role("button", name="Apply").click()
    assert names(page) == ["Closed driver"]
    page.goto(f"/picker?integration={HERE}&q=nurse+12")
    page.get_by_label("Nurse 12", exact=True).check()
    page.get_by_role("button", name="Expose ticked").click()
    expect(page.locator(".notice.done")).to_have_text("1 job exposed.")
    assert exposed(backoffice).keys() == {"k12"}
    assert "q=nurse+12" in page.url


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 320)])
def test_hostile_jobs_are_text_and_every_state_is_accessible(page_as: PageAs, scheme: Any, width: int) -> None:
    page = page_as("reviewer", color_scheme=scheme, viewport={"width": width, "height": 700})
    page.goto(f"/picker?integration={HERE}&status=all&q=alert")
    expect(page.locator("td.title > a:first-child")).to_have_text(EVIL)
    expect(page.get_by_role("link", name="Posting")).to_have_count(0)
    for address in (
        page.url,
        f"/picker?integration={HERE}",
        f"/picker?integration={HERE}&q=none-such",
        "/picker?integration=softgarden:new",
        "/picker",
        f"/picker/history?integration={HERE}&job=evil",
        f"/picker/preview?integration={HERE}&status=all&action=expose",
    ):
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), address
        assert_accessible(page)


def test_empty_and_waiting_states_say_what_happens_next(viewer: Client) -> None:
    assert "The first jobs are on their way" in viewer.get("/picker?integration=softgarden:new").text
    assert "Look among all" in viewer.get(f"/picker?integration={HERE}&q=none-such").text
    assert "Nobody has chosen yet" in viewer.get(f"/picker/history?integration={HERE}").text


def test_an_export_holds_what_matches_and_no_formula(viewer: Client) -> None:
    answer = viewer.get(f"/picker/export?integration={HERE}&status=all&q=alert")
    assert answer.headers["content-disposition"] == 'attachment; filename="ats-jobs.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"), newline="")))
    assert [(row["job_code"], row["remote_id"]) for row in rows] == [("'=1+1", "'@x")]
    assert rows[0]["job_code"] == "'=1+1"
    assert rows[0]["name"] == EVIL
    everything = viewer.get(f"/picker/export?integration={HERE}&status=all").text
    assert len(list(csv.reader(io.StringIO(everything)))) == 62
    assert "Secret of other" not in everything


def test_the_address_of_a_posting_finds_its_job(viewer: Client, backoffice: Backoffice) -> None:
    with backoffice.connect() as conn:
        conn.execute(
            "update core.jobs set post_url = 'https://acme.jobs.personio.de/job/99' where kombo_job_id = 'k07'"
        )
        conn.execute("update core.integrations set matched_with = null where integration_id = %s", (HERE,))
        match(conn, HERE)
    page = viewer.get("/picker", params={"integration": HERE, "q": "https://acme.jobs.personio.de/job/99?utm_source=x"})
    assert "Nurse 07" in page.text and "Nurse 08" not in page.text


def test_two_choices_at_once_are_one(backoffice: Backoffice) -> None:
    with backoffice.connect() as first, backoffice.connect() as second:
        exposed_jobs.expose(first, HERE, ["k01"], by="ana", channel="picker")
        second.execute("set local lock_timeout = '300ms'")
        first.commit()
        assert exposed_jobs.expose(second, HERE, ["k01"], by="ben", channel="picker") == []
    assert exposed(backoffice)["k01"] == ("ana", "picker")
