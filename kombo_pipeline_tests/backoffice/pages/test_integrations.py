"""Integrations at a glance and held closures, as staff meet them."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from kombo_pipeline.backoffice import rendering
from kombo_pipeline.backoffice.pages.integrations import duration
from kombo_pipeline.backoffice.runs import Dagster
from kombo_pipeline.backoffice.statements import overview, users
from kombo_pipeline.backoffice.waiting import Waiting
from kombo_pipeline.db.connection import connect
from kombo_pipeline.linking import links
from kombo_pipeline_tests.backoffice.conftest import (
    PASSWORD,
    Backoffice,
    Client,
    assert_accessible,
    running_backoffice,
)
from kombo_pipeline_tests.backoffice.customers import Customer, add_customer
from kombo_pipeline_tests.orchestration.webservers import running_webserver

PHONE = {"width": 320, "height": 640}
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def customers(backoffice: Backoffice) -> dict[str, Customer]:
    """One customer of every kind: healthy, waiting for its first sync, failing, at the customer to mend, gone."""
    found = {name: add_customer(backoffice, name) for name in ("healthy", "waiting", "failing", "invalid", "gone")}
    settings = {
        "healthy": "last_sync_state = 'SUCCEEDED', last_sync_ended_at = now(), last_sync_succeeded_at = now(), "
        "last_sync_log_url = 'https://app.kombo.dev/logs/1', kombo_last_sync_started_at = now(), "
        "fetch_attempted_at = now()",
        "waiting": "fetch_state = 'waiting', fetched_at = null, full_fetched_at = null, setup_status = "
        "'FINAL_SYNC_PENDING', registered_at = now() - interval '2 hours 5 minutes', "
        "fetch_attempted_at = now() - interval '10 minutes'",
        "failing": "fetch_state = 'refused', fetch_error = 'The key is not known', fetch_error_code = "
        "'PLATFORM.AUTHENTICATION_INVALID', who_must_act = 'us', what_to_do = 'Kombo does not accept the key.', "
        "fetched_at = now() - interval '3 days', full_fetched_at = now() - interval '15 days'",
        "invalid": "state = 'INVALID', who_must_act = 'customer', what_to_do = 'Ask the customer to reconnect.', "
        "last_sync_log_url = 'javascript:alert(1)', last_sync_state = 'AUTHENTICATION_FAILED', "
        "full_fetched_at = now() - interval '12 days', fetch_attempted_at = now() - interval '9 hours'",
        "gone": "deleted_at = now() - interval '1 day'",
    }
    with backoffice.connect() as conn:
        for name, values in settings.items():
            conn.execute(f"update core.integrations set {values} where integration_id = %s", (found[name].integration,))
        conn.execute("delete from raw.fetches where integration_id = %s", (found["waiting"].integration,))
        conn.execute(
            "insert into raw.fetches (integration_id, kind, covers_event_seq, status, requested_at) "
            "select %s, 'full', 0, 'waiting', now() - n * interval '40 minutes' from generate_series(1, 3) n",
            (found["waiting"].integration,),
        )
        conn.execute("delete from core.held_closures where integration_id <> %s", (found["healthy"].integration,))
        conn.execute(
            "insert into raw.quarantined_records (integration_id, kombo_job_id, fetch_id, page_number, record_hash, "
            "record, reason) values (%s, 'odd-1', 1, 1, gen_random_uuid(), '{}', 'name is <b>no</b> text')",
            (found["failing"].integration,),
        )
        conn.execute(
            "insert into core.jobs (integration_id, kombo_job_id, last_fetch_id, unreadable_fields) "
            "values (%s, 'odd-1', 1, '{\"salary_amount\": \"expected a number, got an object\"}')",
            (found["failing"].integration,),
        )
        conn.execute(
            "insert into core.integration_issues values ('i1', %s, 'integration.authentication_failed', "
            "'Authentication failed', 'OPEN', '**Reconnect** <script>alert(1)</script>', now(), null)",
            (found["invalid"].integration,),
        )
        conn.execute(
            "insert into core.job_changes (integration_id, kombo_job_id, field, old_value, new_value) "
            "values (%s, %s, 'name', '\"Engineer\"', '\"<i>Engineer</i> II\"')",
            (found["healthy"].integration, found["healthy"].job),
        )
        conn.execute(
            "update raw.fetches set dagster_run_id = '11111111-2222-3333-4444-555555555555' where integration_id = %s",
            (found["healthy"].integration,),
        )
    return found


def path(customer: Customer) -> str:
    return f"/integrations/{customer.integration}"


def test_the_page_says_of_each_integration_how_it_is_and_who_must_act(
    viewer: Client, customers: dict[str, Customer]
) -> None:
    text = viewer.get("/integrations").text
    places = [text.index(customers[name].integration) for name in ("failing", "invalid", "waiting", "healthy", "gone")]
    assert places == sorted(places)
    for words in ("we must act", "the customer must act", "Ask the customer to reconnect.", "Kombo does not accept"):
        assert words in text
    assert "1 d 0 h over" not in text
    assert "1 d over" in text
    assert "1 d 23 h left" in text
    assert "1 unreadable" in text
    assert "javascript:" not in text


def test_a_first_sync_that_is_awaited_is_told_as_it_is(
    backoffice: Backoffice, viewer: Client, customers: dict[str, Customer]
) -> None:
    text = " ".join(viewer.get(path(customers["waiting"])).text.split())
    assert "We have waited 2 h 5 min and asked 3 times" in text
    # The others of the tool were fetched in the moment they were registered: nothing is known of them.
    assert "How long it takes is not known" in text
    with backoffice.connect() as conn:
        conn.execute(
            "update core.integrations set registered_at = now() - interval '45 min 50 s' where integration_id = %s",
            (customers["healthy"].integration,),
        )
        conn.execute(
            "update raw.fetches set status = 'running' where fetch_id = (select max(fetch_id) from raw.fetches "
            "where integration_id = %s)",
            (customers["waiting"].integration,),
        )
        conn.execute(
            "insert into raw.job_pages select max(fetch_id), n, null, null, now(), '', '{}', '{}' from raw.fetches, "
            "generate_series(1, 7) n where integration_id = %s group by n",
            (customers["waiting"].integration,),
        )
    text = " ".join(viewer.get(path(customers["waiting"])).text.split())
    assert "7 pages landed so far" in text
    assert "Usual for personio: 45 min (median of 1)" in text


def test_filters_find_by_state_and_name_and_an_empty_answer_says_so(
    viewer: Client, customers: dict[str, Customer]
) -> None:
    text = viewer.get("/integrations", params={"health": "needs attention"}).text
    assert customers["invalid"].integration in text
    assert customers["healthy"].integration not in text
    text = viewer.get("/integrations", params={"q": "HEALTHY"}).text
    assert customers["healthy"].integration in text
    assert customers["invalid"].integration not in text
    text = viewer.get("/integrations", params={"q": "<b>nobody</b>", "health": "gone", "page": "9x"}).text
    assert "None of them is like that" in text
    assert "<b>nobody</b>" not in text


def test_the_page_of_one_integration_shows_what_it_was_told_and_leads_on(
    viewer: Client, customers: dict[str, Customer]
) -> None:
    text = viewer.get(path(customers["healthy"])).text
    assert 'href="https://app.kombo.dev/logs/1" rel="noopener noreferrer"' in text
    assert 'href="http://127.0.0.1:3000/assets/jobs?view=partitions&amp;partition=personio%3Ahealthy"' in text
    assert 'href="http://127.0.0.1:3000/runs/11111111-2222-3333-4444-555555555555"' in text
    assert "&lt;i&gt;Engineer&lt;/i&gt; II" in text
    assert "Look and decide" in text
    text = viewer.get(path(customers["invalid"])).text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "javascript:" not in text
    text = viewer.get(path(customers["failing"])).text
    assert "name is &lt;b&gt;no&lt;/b&gt; text" in text
    assert "Fields: <b>salary amount</b> in 1 job." in text
    assert "Deleted in Kombo" in viewer.get(path(customers["gone"])).text
    assert viewer.get("/integrations/personio:nobody").status_code == 404


def test_a_fetch_is_for_reviewers_and_of_integrations_that_live(
    viewer: Client, reviewer: Client, customers: dict[str, Customer]
) -> None:
    assert viewer.submit(path(customers["healthy"]) + "/fetch", full="0").status_code == 403
    assert "Fetch what changed" not in viewer.get(path(customers["healthy"])).text
    assert reviewer.submit("/integrations/personio:nobody/fetch").status_code == 404
    gone = reviewer.submit(path(customers["gone"]) + "/fetch", full="0")
    assert "there is nothing to fetch" in reviewer.get(gone.headers["location"]).text


def test_an_admin_makes_a_link_for_the_customer_and_nobody_else_does(
    admin: Client, reviewer: Client, customers: dict[str, Customer]
) -> None:
    at = path(customers["healthy"]) + "/customer-link"
    assert reviewer.submit(at, days="7").status_code == 403
    assert "Make a link" not in reviewer.get(path(customers["healthy"])).text
    assert admin.submit(at, days="999").status_code == 400
    shown = admin.submit(at, days="30")
    assert shown.status_code == 200
    link = shown.text.split('id="customer-link" readonly value="')[1].split('"')[0]
    assert admin.access.customer_of(link.rpartition("/")[2]) == "healthy"


# What was delivered and could not be used


def test_dead_events_and_refused_deliveries_are_shown_with_what_to_do(viewer: Client, backoffice: Backoffice) -> None:
    assert "refused" not in viewer.get("/integrations").text
    assert "could not be understood" not in viewer.get("/integrations").text
    with backoffice.connect() as conn:
        conn.execute(
            "with landed as (insert into raw.webhook_events (event_id, event_type, starts_fetch) "
            "values ('odd', 'data-changed', false) returning event_seq) "
            "insert into raw.dead_events (event_seq, reason) select event_seq, 'odd' from landed"
        )
        conn.execute(
            "insert into raw.refused_deliveries (minute, reason, deliveries) values (now(), 'wrong_signature', 1200), "
            "(now(), 'wrong_signature', 34), (now() - interval '2 days', 'wrong_signature', 7), (now(), 'too_large', 1)"
        )
    try:
        page = viewer.get("/integrations").text
        assert "1 event could not be understood" in page
        assert "kombo-pipeline events --dead" in page
        assert "1,234 with a wrong signature, 1 too large" in page
        assert "Is the webhook secret right?" in page
    finally:
        with backoffice.connect() as conn:
            conn.execute("delete from raw.dead_events")
            conn.execute("delete from raw.refused_deliveries")


# Whose an integration is


@pytest.fixture
def doubted(backoffice: Backoffice) -> Customer:
    """A customer of the test's own, whose integration Kombo says belongs to another one now."""
    customer = add_customer(backoffice, f"doubted-{time.monotonic_ns()}")
    with backoffice.connect() as conn:
        conn.execute(
            "insert into core.job_links (customer_id, own_job_id, integration_id, kombo_job_id, method, own_seen, "
            "ats_seen) values (%s, %s, %s, %s, 'job_code', '{}', '{}')",
            (customer.customer, customer.own_job, customer.integration, customer.job),
        )
        conn.execute(
            "update core.integrations set claimed_customer_id = '<b>new</b>', claimed_at = now() "
            "where integration_id = %s",
            (customer.integration,),
        )
        links.follow_jobs(conn, customer.integration)
    return customer


def linked(backoffice: Backoffice, customer: Customer) -> list[tuple[str, str | None]]:
    with backoffice.connect() as conn:
        rows = conn.execute(
            "select state, reason from core.job_links where integration_id = %s order by link_id",
            (customer.integration,),
        )
        return [(row["state"], row["reason"]) for row in rows]


@pytest.mark.parametrize(
    ("still", "expected"), [(True, ("active", None)), (False, ("retired", "customer_changed"))], ids=["still", "moved"]
)
def test_an_admin_says_whose_an_integration_is_and_nobody_else_does(
    backoffice: Backoffice, doubted: Customer, still: bool, expected: tuple[str, str | None]
) -> None:
    viewer, reviewer, admin = (backoffice.client(role) for role in ("viewer", "reviewer", "admin"))
    at = path(doubted) + "/owner"
    assert ("suspended", "owner_in_doubt") in linked(backoffice, doubted)
    page = viewer.get(path(doubted)).text
    assert "Whose integration is it?" in page
    assert "&lt;b&gt;new&lt;/b&gt;" in page
    assert "An admin can answer" in page
    assert "let the links stand again" in admin.get(path(doubted)).text
    answer = {"claimed": "<b>new</b>", "customer": doubted.customer if still else "<b>new</b>"}
    assert reviewer.submit(at, **answer).status_code == 403
    assert admin.submit(at, **answer | {"customer": "a stranger"}).status_code == 400
    stale = admin.submit(at, **answer | {"claimed": "somebody else"})
    assert "Nothing was done" in admin.get(stale.headers["location"]).text
    assert ("suspended", "owner_in_doubt") in linked(backoffice, doubted)
    done = admin.submit(at, **answer)
    assert "It belongs to" in admin.get(done.headers["location"]).text
    assert expected in linked(backoffice, doubted)
    again = admin.submit(at, **answer)
    assert "Nothing was done" in admin.get(again.headers["location"]).text
    assert admin.submit("/integrations/personio:nobody/owner", **answer).status_code == 404


# Held closures


@pytest.fixture
def held(backoffice: Backoffice) -> Iterator[tuple[Customer, int]]:
    """A customer of the test's own, its second job held and linked."""
    customer = add_customer(backoffice, f"held-{time.monotonic_ns()}")
    with backoffice.connect() as conn:
        conn.execute(
            "insert into core.job_links (customer_id, own_job_id, integration_id, kombo_job_id, method, own_seen, "
            "ats_seen) values (%s, %s, %s, %s, 'job_code', '{}', '{}')",
            (customer.customer, customer.own_job, customer.integration, f"{customer.customer}-job-2"),
        )
    yield customer, customer.hold
    with backoffice.connect() as conn:
        conn.execute("delete from core.held_closures where hold_id = %s", (customer.hold,))


def lifecycle(backoffice: Backoffice, customer: Customer) -> list[str]:
    with backoffice.connect() as conn:
        rows = conn.execute(
            "select lifecycle from core.jobs where kombo_job_id = any(%s) order by kombo_job_id",
            ([f"{customer.customer}-job-{number}" for number in (1, 2)],),
        ).fetchall()
    return [row["lifecycle"] for row in rows]


def test_a_release_closes_exactly_the_set_that_was_shown_and_suspends_its_links(
    backoffice: Backoffice, admin: Client, held: tuple[Customer, int]
) -> None:
    customer, hold = held
    assert f"Engineer 2 at {customer.customer}" in admin.get("/holds").text
    shown = admin.get(f"/holds/{hold}").text
    assert f"Engineer 2 at {customer.customer}" in shown
    assert f"Engineer 1 at {customer.customer}" not in shown
    assert "suspends <b>1 link</b>" in shown
    done = admin.submit(f"/holds/{hold}", decision="release")
    assert "1 job closed, 1 link suspended." in admin.get(done.headers["location"]).text
    assert lifecycle(backoffice, customer) == ["open", "vanished"]
    with backoffice.connect() as conn:
        assert conn.execute(
            "select state, reason from core.job_links where kombo_job_id = %s", (f"{customer.customer}-job-2",)
        ).fetchone() == {"state": "suspended", "reason": "vanished"}
        assert conn.execute(
            "select decision, decided_by from core.held_closures where hold_id = %s", (hold,)
        ).fetchone() == {"decision": "released", "decided_by": "admin"}


def test_a_refusal_leaves_the_jobs_and_who_comes_second_is_told(
    backoffice: Backoffice, admin: Client, held: tuple[Customer, int]
) -> None:
    customer, hold = held
    done = admin.submit(f"/holds/{hold}", decision="refuse")
    assert "the jobs stay as they are" in admin.get(done.headers["location"]).text
    late = admin.submit(f"/holds/{hold}", decision="release")
    assert "admin has refused this closure meanwhile. Nothing was done." in admin.get(late.headers["location"]).text
    assert lifecycle(backoffice, customer) == ["open", "open"]


def test_jobs_that_have_shown_themselves_since_are_said_to_stay(
    backoffice: Backoffice, admin: Client, held: tuple[Customer, int]
) -> None:
    customer, hold = held
    with backoffice.connect() as conn:
        fetch = conn.execute(
            "insert into raw.fetches (integration_id, kind, covers_event_seq, status, applied_at) "
            "values (%s, 'incremental', 0, 'applied', now()) returning fetch_id",
            (customer.integration,),
        ).fetchone()
        assert fetch
        conn.execute(
            "insert into raw.job_pages values (%s, 1, null, null, now(), '', %s, array[gen_random_uuid()])",
            (fetch["fetch_id"], [f"{customer.customer}-job-2"]),
        )
    assert "seen again: stays" in admin.get(f"/holds/{hold}").text
    assert "Close 0 jobs" in admin.get(f"/holds/{hold}").text
    admin.submit(f"/holds/{hold}", decision="release")
    assert lifecycle(backoffice, customer) == ["open", "open"]


def test_only_an_admin_decides_and_only_what_there_is(
    admin: Client, reviewer: Client, viewer: Client, held: tuple[Customer, int]
) -> None:
    _, hold = held
    assert "An admin decides" in viewer.get(f"/holds/{hold}").text
    assert reviewer.submit(f"/holds/{hold}", decision="release").status_code == 403
    assert admin.submit(f"/holds/{hold}", decision="perhaps").status_code == 400
    assert admin.submit("/holds/999999", decision="release").status_code == 404
    assert viewer.get("/holds/999999").status_code == 404
    assert viewer.get("/holds/1e5").status_code == 404


# In the browser


@pytest.mark.parametrize(
    ("color_scheme", "viewport"), [("dark", PHONE), ("light", {"width": 1280, "height": 800})], ids=["phone", "desk"]
)
def test_every_state_is_accessible_and_fits(
    page_as: Callable[..., Page],
    customers: dict[str, Customer],
    held: tuple[Customer, int],
    color_scheme: str,
    viewport: dict[str, int],
) -> None:
    page = page_as("admin", color_scheme=color_scheme, viewport=viewport)
    addresses = ["/integrations", "/integrations?q=nobody", "/holds", f"/holds/{held[1]}"]
    for address in addresses + [path(customer) for customer in customers.values()]:
        page.goto(address)
        assert_accessible(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"], address


def test_an_admin_decides_a_hold_with_the_keyboard_alone(
    page_as: Callable[..., Page], backoffice: Backoffice, held: tuple[Customer, int]
) -> None:
    page = page_as("admin", java_script_enabled=False)
    page.goto(f"/holds/{held[1]}")
    page.get_by_role("button", name="Refuse").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Refused; the jobs stay as they are.")).to_be_visible()
    assert lifecycle(backoffice, held[0]) == ["open", "open"]


@contextmanager
def signed_in(url: str, backoffice: Backoffice, name: str) -> Iterator[Client]:
    """A client of another back office on the same warehouse."""
    with Client(base_url=url, headers={"Sec-Fetch-Site": "same-origin"}, timeout=60) as client:
        client.access = backoffice.access
        assert client.submit("/login", name=name, password=PASSWORD).status_code == 303
        yield client


def test_the_fetch_button_says_that_dagster_is_down_and_what_to_do(
    browser: Browser, customers: dict[str, Customer], backoffice: Backoffice
) -> None:
    with running_backoffice(backoffice.warehouse_url, dagster_webserver="http://127.0.0.1:1") as url:
        with signed_in(url, backoffice, "reviewer") as client:
            context = browser.new_context(base_url=url)
            context.add_cookies([{"name": name, "value": value, "url": url} for name, value in client.cookies.items()])
        page = context.new_page()
        page.goto(path(customers["healthy"]))
        page.get_by_role("button", name="Fetch what changed").click()
        expect(page.get_by_text("Dagster's webserver does not answer, so no run was started.")).to_be_visible()
        assert_accessible(page)
        context.close()


def test_without_integrations_the_pages_say_what_happens_next(
    warehouse_url: str, hashed_password: str, browser: Browser
) -> None:
    with connect(warehouse_url) as conn:
        users.put_user(conn, "ana", role="viewer", password_hash=hashed_password)
    with running_backoffice(warehouse_url) as url:
        page = browser.new_page(base_url=url)
        page.goto("/login")
        page.get_by_label("Name").fill("ana")
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url("**/review")
        for address, words in (
            ("/integrations", "No integration yet"),
            ("/holds", "No closure is held"),
            ("/links", "No link yet"),
        ):
            page.goto(address)
            expect(page.get_by_text(words)).to_be_visible()
            assert_accessible(page)
        page.close()


# A real Dagster


@pytest.fixture
def webserver(tmp_path: Path) -> Iterator[str]:
    """A Dagster webserver with the project loaded, without a daemon: what is started stays queued."""
    with running_webserver(tmp_path) as url:
        yield url


@pytest.mark.slow
def test_the_buttons_start_a_run_of_the_partition_in_dagster_and_no_second_one_while_it_is_in_flight(
    webserver: str, backoffice: Backoffice, customers: dict[str, Customer]
) -> None:
    with (
        running_backoffice(backoffice.warehouse_url, dagster_webserver=webserver) as url,
        signed_in(url, backoffice, "reviewer") as client,
    ):
        runs = {}
        for name, full in (("healthy", "0"), ("failing", "1")):
            started = client.submit(path(customers[name]) + "/fetch", full=full)
            page = client.get(started.headers["location"]).text
            assert ("Full reconcile started." if full == "1" else "Fetch of what changed started.") in page
            runs[name] = started.headers["location"].rpartition("=")[2]
            assert f'href="{webserver}/runs/{runs[name]}"' in page
        again = client.submit(path(customers["healthy"]) + "/fetch", full="1")
        assert "is under way already" in client.get(again.headers["location"]).text
        assert again.headers["location"].endswith(runs["healthy"])
    asked = httpx.post(
        f"{webserver}/graphql",
        json={"query": "{runsOrError {... on Runs {results {runId jobName status runConfigYaml tags {key value}}}}}"},
        timeout=30,
    ).json()["data"]["runsOrError"]["results"]
    found = {run["runId"]: run for run in asked}
    assert set(found) == set(runs.values())
    for name, job in (("healthy", "sync_integration"), ("failing", "full_reconcile")):
        run = found[runs[name]]
        tags = {tag["key"]: tag["value"] for tag in run["tags"]}
        assert (run["jobName"], run["status"]) == (job, "QUEUED")
        assert tags["dagster/partition"] == customers[name].integration
        assert tags["kombo/requested_by"] == "reviewer"
        assert ("full: true" in run["runConfigYaml"]) == (job == "full_reconcile")


# Pure


@pytest.mark.parametrize(
    ("span", "written"),
    [
        (None, "–"),
        (timedelta(seconds=20), "less than a minute"),
        (timedelta(minutes=25), "25 min"),
        (timedelta(hours=4), "4 h"),
        (timedelta(days=3, hours=4, minutes=9), "3 d 4 h"),
        (timedelta(days=-1), "1 d"),
    ],
)
def test_a_time_span_is_written_with_its_largest_units(span: timedelta | None, written: str) -> None:
    assert duration(span) == written


def test_a_changed_value_is_one_short_line() -> None:
    assert [rendering.plain(value) for value in (None, "", "a\n b", 3, ["x"], "é" * 200)] == [
        *("–", "–", "a b", "3", '["x"]'),
        "é" * 120 + "…",
    ]


def test_addresses_in_dagster_survive_odd_ids() -> None:
    assert Dagster("http://d").partition_url("tool:a&b=#?").endswith("partition=tool%3Aa%26b%3D%23%3F")


def test_the_figures_of_links_are_those_of_the_funnel_that_analysts_read(
    backoffice: Backoffice, customers: dict[str, Customer]
) -> None:
    with backoffice.connect() as conn:
        told = conn.execute("select * from marts.link_funnel").fetchall()
        counted, waiting = overview.funnels(conn), Waiting().by_integration(conn)
        assert len(told) == len(counted) > 4
        for row in told:
            mine = counted[row["integration_id"]]
            assert mine == overview.funnels(conn, row["integration_id"])[row["integration_id"]]
            assert mine.linked == row["linked_by_identifier"] + row["linked_by_person"]
            assert waiting[row["integration_id"]] == row["waiting_for_review"]
            for name in ("own_jobs", "suspended", "application_targets"):
                assert getattr(mine, name) == row[name], name
