"""No visitor takes all threads: a reviewer's pages come while others keep Kombo, Dagster or passwords busy."""

import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from kombo_pipeline.linking.pasted import MAX_REQUESTS
from kombo_pipeline.linking.statements import lookups
from kombo_pipeline.sandbox.clock import Clock
from kombo_pipeline.sandbox.server import running
from kombo_pipeline.sandbox.world import World
from kombo_pipeline_tests.backoffice.ats_jobs import add_integration, add_job
from kombo_pipeline_tests.backoffice.conftest import PASSWORD, Backoffice

PASTES = 45
CUSTOMERS = [f"c{number}" for number in range(6)]
BUDGET = 30


@pytest.fixture(scope="module")
def world() -> World:
    world = World(seed=7, clock=Clock(running=True))
    world.behaviour.rate_limit = None
    return world


@pytest.fixture(scope="module")
def backoffice_values(world: World) -> Iterator[dict[str, Any]]:
    """A back office that may ask a served Kombo, which also stands for a Dagster that does not answer."""
    with running(world) as sandbox:
        yield {
            "kombo_api_url": sandbox.url,
            "kombo_api_key": "sandbox-key",
            "dagster_webserver": sandbox.url,
            "customer_requests_an_hour": BUDGET,
        }


@pytest.fixture(scope="module")
def integrations(world: World, backoffice: Backoffice) -> dict[str, str]:
    """The integration of each customer, and of the customer whose budget only one test spends."""
    found = {}
    with backoffice.connect() as conn:
        for customer in (*CUSTOMERS, "spender"):
            found[customer] = world.add_integration(jobs=1, origin_id=customer, tool="personio")
            world.sync(found[customer])
            add_integration(conn, found[customer], customer)
            add_job(conn, found[customer], f"{customer}-1")
    return found


@pytest.fixture(autouse=True)
def quick_again(world: World, backoffice: Backoffice) -> Iterator[None]:
    yield
    world.behaviour.latency_seconds = 0
    world.requests.clear()
    with backoffice.connect() as conn:
        conn.execute("truncate core.lookups")


def paste(backoffice: Backoffice, customer: str, integration: str, lines: int = 1, word: str = "REQ") -> httpx.Response:
    text = "\n".join(f"{word}-{number}" for number in range(4000, 4000 + lines))
    return backoffice.customer(customer).submit("/picker/paste", integration=integration, text=text)


@contextlib.contextmanager
def crowd(work: Callable[[int], Any], number: int = PASTES) -> Iterator[list[Any]]:
    """Everybody at once, while the block runs; afterwards the list holds what came of it."""
    answers: list[Any] = []
    with ThreadPoolExecutor(number) as pool:
        sent = [pool.submit(work, each) for each in range(number)]
        time.sleep(0.3)  # all of them have arrived
        yield answers
        assert any(not each.done() for each in sent), "nobody was kept busy"
        answers += [each.result() for each in sent]


def slowest_page(backoffice: Backoffice, *paths: str) -> float:
    """How long the slowest of a reviewer's pages takes."""
    client = backoffice.client("reviewer")
    times = []
    for path in paths or ("/links", "/review", "/integrations", "/static/style.css", "/healthz"):
        began = time.monotonic()
        answer = client.get(path)
        times.append(time.monotonic() - began)
        assert answer.status_code == 200, path
    return max(times)


@pytest.mark.parametrize("customers", [1, 6], ids=["of one customer", "of several"])
def test_pages_come_while_pastes_wait_for_kombo(
    world: World, backoffice: Backoffice, integrations: dict[str, str], customers: int
) -> None:
    slowest_page(backoffice)
    for customer in CUSTOMERS:
        backoffice.customer(customer)
    world.behaviour.latency_seconds = 2.0

    def one(number: int) -> httpx.Response:
        customer = CUSTOMERS[number % customers]
        return paste(backoffice, customer, integrations[customer])

    with crowd(one) as answers:
        assert slowest_page(backoffice) < 1
        with backoffice.connect() as conn:
            asking = conn.execute("select customer_id from core.lookups where ended_at is null").fetchall()
    assert {answer.status_code for answer in answers} <= {200, 429}
    assert 1 <= len({row["customer_id"] for row in asking}) == len(asking) <= 2
    assert any("Kombo was not asked" in answer.text for answer in answers)


def test_a_customer_asks_kombo_only_as_often_as_its_budget_allows_and_is_told_when_to_go_on(
    world: World, backoffice: Backoffice, integrations: dict[str, str]
) -> None:
    here = integrations["spender"]
    pages = [paste(backoffice, "spender", here, lines=300, word=f"W{number}") for number in range(14)]
    assert len(world.requests) <= BUDGET + 2
    told = pages[-1].text
    assert "the requests of this hour are used up" in told
    at = told.partition("Read this again at ")[2][:5]
    again = datetime.now(UTC) + timedelta(hours=1)
    assert at in {f"{again - timedelta(minutes=minutes):%H:%M}" for minutes in range(3)}
    # Its own jobs are found all the same, others and staff go on.
    found = backoffice.customer("spender").submit("/picker/paste", integration=here, text="spender-1")
    assert "Job spender-1" in found.text
    before = len(world.requests)
    paste(backoffice, "c1", integrations["c1"])
    backoffice.client("reviewer").submit("/picker/paste", integration=here, text="REQ-1")
    assert len(world.requests) > before + 3


@pytest.mark.parametrize("text", [
    "\n".join(f"REQ-{number}" for number in range(300)),
    "\n".join(f"https://jobs.example.com/{number}" for number in range(300)),
    "\n".join(f"REQ-{number}\nhttps://jobs.example.com/{number}" for number in range(150)),
    "\n".join(f"{'ü' * 190}{number}" for number in range(300)),
], ids=["codes", "addresses", "both", "long codes"])  # fmt: skip
@pytest.mark.parametrize("fails", [False, True], ids=["answering", "failing"])
def test_one_paste_makes_few_requests_and_says_what_it_left_out(
    world: World, backoffice: Backoffice, integrations: dict[str, str], text: str, fails: bool
) -> None:
    world.behaviour.fault_rate = 1.0 if fails else 0.0
    try:
        page = backoffice.customer("c2").submit("/picker/paste", integration=integrations["c2"], text=text).text
    finally:
        world.behaviour.fault_rate = 0.0
    assert 0 < len(world.requests) <= MAX_REQUESTS + 1
    assert "not sent to Kombo" in page or "Kombo could not be asked about every line" in page


def test_a_killed_process_keeps_nobody_from_asking_for_long(backoffice: Backoffice) -> None:
    turn = {"customer_id": "acme", "asked_by": "customer acme", "budget": 60, "most": 12, "at_a_time": 2}
    with backoffice.connect() as conn:
        assert lookups.begin(conn, **turn).lookup_id is not None
        conn.commit()
        second = lookups.begin(conn, **turn)
        assert (second.why_not, second.lookup_id) == ("asking", None)
        conn.execute("update core.lookups set until = clock_timestamp()")
        assert lookups.begin(conn, **turn).lookup_id is not None
        conn.execute("update core.lookups set started_at = started_at - interval '2 days'")
        lookups.begin(conn, **turn | {"customer_id": "other"})
        rows = conn.execute("select customer_id from core.lookups").fetchall()
        assert [row["customer_id"] for row in rows] == ["other"]


def test_pages_come_while_people_sign_in(backoffice: Backoffice) -> None:
    slowest_page(backoffice)

    def sign_in(number: int) -> int:
        with backoffice.new_client() as client:
            return client.submit(
                "/login", name="viewer" if number % 2 else f"nobody {number}", password=PASSWORD
            ).status_code

    with crowd(sign_in, 50) as codes:
        assert slowest_page(backoffice, "/links") < 1
    assert set(codes) <= {303, 401, 429, 503}


@pytest.mark.long
def test_pages_come_while_dagster_does_not_answer(
    world: World, backoffice: Backoffice, integrations: dict[str, str]
) -> None:
    slowest_page(backoffice)
    world.behaviour.latency_seconds = 2.0
    admin = backoffice.client("admin")

    def fetch(number: int) -> int:
        return admin.submit(f"/integrations/{integrations[CUSTOMERS[number % 6]]}/fetch", full="0").status_code

    with crowd(fetch, 10) as codes:
        assert slowest_page(backoffice) < 1
    assert set(codes) <= {303, 429}


def test_one_visitor_that_asks_for_what_takes_long_takes_no_page_from_others(
    backoffice: Backoffice, integrations: dict[str, str]
) -> None:
    slowest_page(backoffice)
    here = integrations["c3"]
    customer, viewer = backoffice.customer("c3"), backoffice.client("viewer")
    with backoffice.connect() as lock:
        lock.execute("lock table core.exposed_jobs in access exclusive mode")

        def wait(number: int) -> int:
            # All of them wait for the lock, as for a statement that takes long.
            client = customer if number % 2 else viewer
            paths = (f"/picker?integration={here}", f"/picker/export?integration={here}")
            return client.get(paths[number // 2 % 2]).status_code

        with crowd(wait, 60) as codes:
            try:
                assert slowest_page(backoffice, "/links", "/review") < 1
            finally:
                lock.rollback()
    assert set(codes) == {200}
