"""The total wait is a total: sleeps and hanging requests, of a call, of a traversal and of a run."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest

from kombo_pipeline.kombo import client as client_module
from kombo_pipeline.kombo.client import Kombo
from kombo_pipeline.kombo.errors import KomboUnavailable
from kombo_pipeline_tests.kombo.test_client import ACME, KEY, Reply, page

BUDGET = 1.0
LATE = 1.5
"""What scheduling on a loaded machine and the last attempt may add."""


def calls(kombo: Kombo):
    return {
        "pages": lambda: list(kombo.job_pages(ACME)),
        "lookup": lambda: kombo.find_jobs(ACME, ids=["a"], job_codes=["b"], post_urls=["c", "d"]),
        "details": lambda: kombo.integration(ACME),
    }


@pytest.fixture
def deaf() -> Iterator[str]:
    """A server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"


def seconds_until_unavailable(call) -> float:
    began = time.monotonic()
    with pytest.raises(KomboUnavailable):
        call()
    return time.monotonic() - began


@pytest.mark.parametrize("call", ["pages", "lookup", "details"])
def test_a_kombo_that_hangs_costs_no_more_than_the_total(deaf, call):
    with Kombo(api_url=deaf, api_key=KEY, max_total_wait=BUDGET) as kombo:
        assert BUDGET * 0.9 <= seconds_until_unavailable(calls(kombo)[call]) <= BUDGET + LATE


def test_attempts_that_hang_and_the_pauses_between_them_are_one_total(deaf):
    timeout = httpx.Timeout(5, read=0.2)
    with Kombo(api_url=deaf, api_key=KEY, max_total_wait=BUDGET, timeout=timeout, max_attempts=50) as kombo:
        assert seconds_until_unavailable(calls(kombo)["pages"]) <= BUDGET + LATE


def test_a_run_that_has_used_its_time_budget_fails_at_once(deaf):
    with Kombo(api_url=deaf, api_key=KEY, max_total_wait=BUDGET) as kombo:
        seconds_until_unavailable(calls(kombo)["pages"])
        assert sum(seconds_until_unavailable(calls(kombo)[call]) for call in ("pages", "details", "lookup")) < BUDGET


def test_the_details_are_given_up_before_the_jobs_are(deaf, monkeypatch):
    monkeypatch.setattr(client_module, "DETAILS_SECONDS", 0.3)
    with Kombo(api_url=deaf, api_key=KEY, max_total_wait=60) as kombo:
        assert seconds_until_unavailable(calls(kombo)["details"]) <= 0.3 + LATE


TRICKLES = {
    "the body, often": (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b" ", 0.05),
    "the body, seldom": (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b" ", BUDGET * 0.8),
    "the headers": (b"HTTP/1.1 200 OK\r\nX: ", b"x", 0.05),
    "the headers, seldom": (b"HTTP/1.1 200 OK\r\nX: ", b"x", BUDGET * 0.8),
    "the status": (b"H", b"", 0.05),
    "chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n", 0.05),
}


@pytest.mark.parametrize(("begin", "drop", "every"), TRICKLES.values(), ids=TRICKLES)
def test_an_answer_that_trickles_is_given_up_within_the_total(begin, drop, every):
    """A byte at a time never trips a time-out between two bytes."""
    stop = threading.Event()

    def trickle(client):
        with client, suppress(OSError):
            client.sendall(begin)
            while not stop.wait(every):
                client.sendall(drop)

    def serve():
        with suppress(OSError):
            while True:
                threading.Thread(target=trickle, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        with Kombo(api_url=url, api_key=KEY, max_total_wait=BUDGET) as kombo:
            assert seconds_until_unavailable(calls(kombo)["pages"]) <= BUDGET + LATE
        stop.set()


BUSY = Reply(status=429, headers={"ratelimit-reset": "57"})


def test_the_pages_of_a_traversal_share_one_total(server, waits):
    server.script = [BUSY, page(following="c2"), BUSY, page(following="c3"), BUSY, page()]
    with Kombo(api_url=server.url, api_key=KEY, sleep=waits.append, max_total_wait=120) as kombo:
        pages = kombo.job_pages(ACME)
        assert [next(pages).number, next(pages).number] == [1, 2]
        with pytest.raises(KomboUnavailable):
            next(pages)
    assert len(waits) == 2


def test_the_requests_of_a_lookup_share_one_total(server, waits):
    server.script = [BUSY, page(), BUSY, page(), BUSY, page()]
    kombo = Kombo(api_url=server.url, api_key=KEY, sleep=waits.append, max_total_wait=120)
    with kombo, pytest.raises(KomboUnavailable):
        kombo.find_jobs(ACME, ids=["a"], job_codes=["b"], remote_ids=["c"])
    assert len(waits) == 2


def test_answers_that_come_cost_no_time_budget_however_slow(server):
    class Slow(list):
        def pop(self, index=-1):
            time.sleep(0.15)
            return super().pop(index)

    server.script = Slow([page(following=f"c{n}") for n in range(8)] + [page()])
    with Kombo(api_url=server.url, api_key=KEY, max_total_wait=0.6) as kombo:
        assert len(list(kombo.job_pages(ACME))) == 9


def test_kombos_pace_is_kept_and_costs_no_patience_unless_it_is_longer_than_the_total(server, waits):
    used_up = {"ratelimit-remaining": "0", "ratelimit-reset": "57"}
    server.script = [page(following=f"c{n}", headers=used_up) for n in range(4)] + [page()]
    with Kombo(api_url=server.url, api_key=KEY, sleep=waits.append, max_total_wait=100) as kombo:
        assert len(list(kombo.job_pages(ACME))) == 5
    assert len(waits) == 4
    server.script = [page(following="c1", headers=used_up), page()]
    with Kombo(api_url=server.url, api_key=KEY, sleep=waits.append, max_total_wait=20) as kombo:
        pages = kombo.job_pages(ACME)
        next(pages)
        with pytest.raises(KomboUnavailable, match="rate limit"):
            next(pages)
    assert len(waits) == 4
