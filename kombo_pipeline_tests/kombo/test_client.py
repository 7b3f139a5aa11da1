"""The client against a real HTTP server that answers by script."""

import gzip
import json
import logging
import pickle
import re
import socket
import threading
import time
import tracemalloc
import typing
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kombo.models import KomboAtsErrorCode

from kombo_pipeline.kombo import client as client_module
from kombo_pipeline.kombo import responses as responses_module
from kombo_pipeline.kombo.client import Kombo
from kombo_pipeline.kombo.errors import (
    ERROR_CODES,
    KomboError,
    KomboNotReady,
    KomboProtocolError,
    KomboRefused,
    KomboUnavailable,
    error_from_response,
)
from kombo_pipeline.kombo.responses import page_text, read_page

KEY = "key-0123456789-secret"
ACME = "personio:CBNMt7dSNCzBdnRTx87dev4E"
PENDING = (
    "The first sync of this integration didn't finish yet! You can keep polling this until you get a "
    "successful response or react to our webhooks."
)


@dataclass
class Reply:
    """One scripted answer. `declared` is the Content-Length sent, `drop` closes without an answer."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    declared: int | None = None
    drop: bool = False
    hold: threading.Event | None = None


@dataclass
class Received:
    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes


class ScriptedKombo:
    """Answers requests in turn from `script`; the last answer repeats when `forever`."""

    def __init__(self):
        self.script: list[Reply] = []
        self.received: list[Received] = []
        self.forever = False
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # One segment an answer: two would cost a delayed ACK of 40 ms.

            def answer(self):
                url = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                query = parse_qsl(url.query, keep_blank_values=True)
                outer.received.append(Received(self.command, url.path, query, headers, body))
                reply = outer.next_reply()
                if reply.hold:
                    reply.hold.wait(10)
                if reply.drop:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return
                self.send_response_only(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(reply.declared or len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)
                self.close_connection = reply.declared is not None

            do_GET = do_POST = answer

            def log_message(self, *args):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass  # A client that hangs up is part of some scripts.

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def next_reply(self):
        if self.forever and len(self.script) == 1:
            return self.script[0]
        return self.script.pop(0) if self.script else Reply(b"the script has ended", status=400)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def envelope(data):
    return json.dumps({"status": "success", "data": data}).encode()


def page(*records, following=None, **reply):
    return Reply(envelope({"next": following, "results": list(records)}), **reply)


def failure(status, code, message="No.", headers=None, **more):
    error = {"code": code, "title": None, "message": message, "log_url": None} | more
    return Reply(json.dumps({"status": "error", "error": error}).encode(), status=status, headers=headers or {})


def decoded(pages):
    return [[msgspec.json.decode(record) for record in p.records] for p in pages]


# -- the traversal -----------------------------------------------------------------------------------------


def test_only_a_null_cursor_ends_the_traversal(server, kombo):
    server.script = [
        page({"id": "a"}, following="c2="),
        page(following="c3="),
        page({"id": "b"}, {"id": "c"}),
    ]
    pages = list(kombo.job_pages(ACME))
    assert decoded(pages) == [[{"id": "a"}], [], [{"id": "b"}, {"id": "c"}]]
    assert [(p.number, p.cursor, p.next_cursor) for p in pages] == [
        (1, None, "c2="),
        (2, "c2=", "c3="),
        (3, "c3=", None),
    ]


def test_every_page_is_asked_for_with_the_same_parameters_and_the_same_integration(server, kombo, monkeypatch):
    monkeypatch.setenv("INTEGRATION_ID", "other:tenant")
    server.script = [page(following="c/2+="), page(following="c3"), page()]
    list(kombo.job_pages(ACME, updated_after=datetime(2026, 1, 2, tzinfo=UTC)))
    common = [
        ("updated_after", "2026-01-02T00:00:00.000Z"),
        ("include_deleted", "true"),
        ("page_size", "250"),
    ]
    assert [r.query for r in server.received] == [
        common,
        [*common, ("cursor", "c/2+=")],
        [*common, ("cursor", "c3")],
    ]
    assert {(r.method, r.path) for r in server.received} == {("GET", "/v1/ats/jobs")}
    assert {r.headers["x-integration-id"] for r in server.received} == {ACME}
    assert {r.headers["authorization"] for r in server.received} == {f"Bearer {KEY}"}
    assert {r.headers["accept-encoding"] for r in server.received} == {"gzip"}


@pytest.mark.parametrize(
    ("at", "sent"),
    [
        (datetime(2026, 1, 2, 3, 4, 5, 999_999, UTC), "2026-01-02T03:04:05.999Z"),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2))), "2026-01-02T01:04:05.000Z"),
        (datetime(1970, 1, 1, tzinfo=UTC), "1970-01-01T00:00:00.000Z"),
    ],
)
def test_updated_after_goes_out_in_utc_cut_to_the_millisecond(server, kombo, at, sent):
    server.script = [page()]
    list(kombo.job_pages(ACME, updated_after=at))
    assert dict(server.received[0].query)["updated_after"] == sent


def test_a_time_without_a_zone_is_refused_before_anything_is_sent(server, kombo):
    with pytest.raises(ValueError, match="time zone"):
        kombo.job_pages(ACME, updated_after=datetime(2026, 1, 2))
    assert server.received == []


@pytest.mark.parametrize("integration_id", ["", "a\nb", "a\r\nX-Evil: 1", "a/../b", "ü", " "])
def test_an_integration_id_that_is_none_is_refused_before_anything_is_sent(server, kombo, integration_id):
    for call in (kombo.job_pages, kombo.find_jobs, kombo.integration):
        with pytest.raises(ValueError, match="integration id"):
            call(integration_id)
    assert server.received == []


def test_a_gzip_page_is_kept_byte_for_byte_and_an_identity_page_is_compressed(server, kombo):
    text = page({"id": "ä"}, following="c2").body
    wire = gzip.compress(text)
    server.script = [
        Reply(wire, headers={"Content-Encoding": "gzip", "Content-Type": "application/json"}),
        page({"id": "b"}),
    ]
    first, second = kombo.job_pages(ACME)
    assert first.body == wire
    assert gzip.decompress(second.body) == page({"id": "b"}).body
    for kept in (first, second):
        assert [bytes(r) for r in read_page(kept.body)] == [bytes(r) for r in kept.records]
    assert page_text(first.body) == text.decode()


def test_gzip_in_several_members_is_read_whole(server, kombo):
    text = page({"id": "a"}, {"id": "b"}).body
    wire = gzip.compress(text[:20]) + gzip.compress(text[20:])
    server.script = [Reply(wire, headers={"Content-Encoding": "gzip"})]
    assert decoded(kombo.job_pages(ACME)) == [[{"id": "a"}, {"id": "b"}]]


def test_records_of_any_json_type_survive_the_split_byte_for_byte(server, kombo):
    records = [
        b'{"id": "a",  "n": 1.0}',
        b"1",
        b"1e999",
        b"null",
        b"[[], {}]",
        b'"\xff"',
        rb'"\u0000"',
        rb'"\\ud800"',
        rb'"\ud83d\ude00"',
    ]
    server.script = [Reply(b'{"status":"success","data":{"next":null,"results":[' + b" , ".join(records) + b"]}}")]
    (only,) = kombo.job_pages(ACME)
    assert [bytes(record) for record in only.records] == records
    assert page_text(only.body).count("\ufffd") == 1


def test_half_an_emoji_costs_one_character_and_not_the_page(server, kombo):
    server.script = [page({"name": "Chef \ud83d"}, {"name": "\ude00\ud83d\\ud83d 😀"}, {"name": "b"})]
    (only,) = kombo.job_pages(ACME)
    assert decoded([only]) == [[{"name": "Chef \ufffd"}, {"name": "\ufffd\ufffd\\ud83d 😀"}, {"name": "b"}]]
    assert r"Chef \ud83d" in page_text(only.body)


@given(st.lists(st.text(st.characters() | st.sampled_from("\\u\ud83d\ude00d8"))))
def test_a_split_page_differs_only_in_lone_surrogates(texts):
    body = gzip.compress(envelope({"next": None, "results": texts}))
    expected = [re.sub("[\ud800-\udfff]", "\ufffd", json.loads(json.dumps(text))) for text in texts]
    assert [msgspec.json.decode(record) for record in read_page(body)] == expected


def test_a_page_tells_both_clocks(server):
    server.script = [
        page(following="c2", headers={"Date": "Mon, 24 Nov 2025 02:00:07 GMT"}),
        page(following="c3", headers={"Date": "yesterday"}),
        page(),
    ]
    ticks = (datetime(2025, 11, 24, 2, 0, second, tzinfo=UTC) for second in range(6))
    with Kombo(api_url=server.url, api_key=KEY, now=lambda: next(ticks)) as kombo:
        first, second, third = kombo.job_pages(ACME)
    assert first.kombo_date == datetime(2025, 11, 24, 2, 0, 7, tzinfo=UTC)
    assert second.kombo_date is third.kombo_date is None
    assert [(p.requested_at.second, p.fetched_at.second) for p in (first, second, third)] == [
        (0, 1),
        (2, 3),
        (4, 5),
    ]


def test_the_request_time_is_that_of_the_attempt_that_succeeded(server, waits):
    server.script = [Reply(status=503), page()]
    ticks = (datetime(2025, 11, 24, 2, 0, second, tzinfo=UTC) for second in range(4))
    with Kombo(api_url=server.url, api_key=KEY, now=lambda: next(ticks), sleep=waits.append) as kombo:
        (only,) = kombo.job_pages(ACME)
    assert (only.requested_at.second, only.fetched_at.second) == (2, 3)


# -- fetching ahead ----------------------------------------------------------------------------------------


def prefetching():
    return [thread for thread in threading.enumerate() if thread.name.startswith("kombo-prefetch")]


def wait_for(condition, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def test_one_page_and_no_more_is_fetched_while_the_caller_handles_another(server, kombo):
    server.script = [page(following=f"c{n}") for n in range(2, 9)]
    with closing(kombo.job_pages(ACME)) as pages:
        next(pages)
        wait_for(lambda: len(server.received) == 2)
        time.sleep(0.1)
        assert len(server.received) == 2
        next(pages)
        wait_for(lambda: len(server.received) == 3)


def test_closing_early_stops_the_thread(server, kombo):
    server.script = [page(following=f"c{n}") for n in range(2, 9)]
    pages = kombo.job_pages(ACME)
    next(pages)
    pages.close()
    assert prefetching() == []
    assert len(server.received) <= 2


def test_closing_early_ends_a_wait_for_another_attempt(server):
    server.script = [page(following="c2"), Reply(status=429, headers={"Retry-After": "120"})]
    with Kombo(api_url=server.url, api_key=KEY) as kombo:
        pages = kombo.job_pages(ACME)
        next(pages)
        wait_for(lambda: len(server.received) == 2)
        before = time.monotonic()
        pages.close()
        assert time.monotonic() - before < 5
    assert prefetching() == []
    assert len(server.received) == 2


def test_an_exception_of_the_caller_stops_the_thread(server, kombo):
    server.script = [page(following=f"c{n}") for n in range(2, 9)]
    with pytest.raises(ZeroDivisionError):
        for _ in kombo.job_pages(ACME):
            1 / 0  # noqa: B018
    assert prefetching() == []


def test_an_error_surfaces_after_the_pages_before_it(server, kombo):
    server.script = [
        page(1, following="c2"),
        page(2, following="c3"),
        failure(404, "PLATFORM.INTEGRATION_NOT_FOUND"),
    ]
    pages = kombo.job_pages(ACME)
    assert decoded([next(pages), next(pages)]) == [[1], [2]]
    with pytest.raises(KomboRefused):
        next(pages)
    assert prefetching() == []


def test_two_traversals_may_interleave(server, kombo):
    server.script = [page(n, following=f"c{n}") for n in range(4)]
    one, two = kombo.job_pages(ACME), kombo.job_pages("other:tenant")
    with closing(one), closing(two):
        next(one)
        next(two)
    assert {r.headers["x-integration-id"] for r in server.received} == {ACME, "other:tenant"}


# -- answers that break the contract -----------------------------------------------------------------------


@pytest.mark.parametrize("cursors", [["a", "a"], ["a", "b", "a"]])
def test_a_cursor_that_comes_back_ends_in_an_error_and_not_in_a_loop(server, kombo, cursors):
    server.script = [page(following=cursor) for cursor in cursors] + [page(following="never")]
    pages = kombo.job_pages(ACME)
    for _ in cursors:
        next(pages)
    with pytest.raises(KomboProtocolError, match="used before") as caught:
        next(pages)
    assert not caught.value.retryable
    assert caught.value.integration_id == ACME
    assert len(server.received) == len(cursors)


def test_a_cursor_that_cannot_be_sent_ends_in_an_error(server, kombo):
    server.script = [page(following="x" * 4001), page()]
    with pytest.raises(KomboProtocolError):
        list(kombo.job_pages(ACME))
    assert len(server.received) == 1


def test_a_traversal_without_end_ends_in_an_error(server, kombo, monkeypatch):
    monkeypatch.setattr(client_module, "MAX_PAGES", 3)
    server.script = [page(following=f"c{n}") for n in range(2, 9)]
    with pytest.raises(KomboProtocolError, match="more than 3 pages"):
        list(kombo.job_pages(ACME))
    assert len(server.received) == 3


SHAPES = [
    b"",
    b"<html>Welcome</html>",
    b"null",
    b'{"status":"success"}',
    b'{"status":"error","error":{"message":"no"}}',
    b'{"status":"error","data":{"next":null,"results":[]}}',
    b'{"status":"success","data":{"results":[]}}',
    b'{"status":"success","data":{"next":7,"results":[]}}',
    b'{"status":"success","data":{"next":null,"results":null}}',
    b'{"status":"success","data":{"next":null,"results":[{"id":"a"},{"id"',
]


@pytest.mark.parametrize("body", SHAPES, ids=range(len(SHAPES)))
def test_an_answer_that_is_no_page_is_asked_for_again_and_then_an_error(server, kombo, waits, body):
    server.script = [Reply(body), page({"id": "a"})]
    assert decoded(kombo.job_pages(ACME)) == [[{"id": "a"}]]
    assert len(waits) == 1
    server.script, server.forever = [Reply(body)], True
    with pytest.raises(KomboProtocolError) as caught:
        list(kombo.job_pages(ACME))
    assert (caught.value.retryable, caught.value.integration_id) == (True, ACME)
    assert len(server.received) == 2 + 6


def damaged(wire):
    return bytes([*wire[:-6], wire[-6] ^ 1, *wire[-5:]])


COMPLETE = gzip.compress(page({"id": "a"}).body)


@pytest.mark.parametrize("wire", [COMPLETE[:-3], COMPLETE[:30], damaged(COMPLETE), b"no gzip", b""], ids=range(5))
def test_damaged_gzip_is_asked_for_again(server, kombo, wire):
    server.script = [Reply(wire, headers={"Content-Encoding": "gzip"}), page({"id": "b"})]
    assert decoded(kombo.job_pages(ACME)) == [[{"id": "b"}]]


def test_an_encoding_nobody_asked_for_is_an_error(server, kombo, waits):
    server.script = [Reply(b"?", headers={"Content-Encoding": "br"})]
    with pytest.raises(KomboProtocolError, match="encoding"):
        list(kombo.job_pages(ACME))
    assert waits == []


def test_an_answer_too_large_once_decompressed_is_refused(server, kombo, waits):
    bomb = gzip.compress(bytes(65 * 1024 * 1024), compresslevel=1)
    server.script, server.forever = [Reply(bomb, headers={"Content-Encoding": "gzip"})], True
    with pytest.raises(KomboProtocolError, match="67108864 bytes once decompressed"):
        list(kombo.job_pages(ACME))
    assert waits == []


def test_a_decompression_bomb_is_not_unpacked(monkeypatch):
    monkeypatch.setattr(responses_module, "MAX_BYTES", 100_000)
    bomb = gzip.compress(bytes(20_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(KomboProtocolError):
            read_page(bomb)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_a_body_too_large_is_not_read_to_its_end(server, kombo, waits):
    server.script, server.forever = [Reply(bytes(65 * 1024 * 1024))], True
    with pytest.raises(KomboProtocolError, match="more than 67108864 bytes"):
        list(kombo.job_pages(ACME))
    assert waits == []


# -- retries -----------------------------------------------------------------------------------------------

NOON = "Mon, 24 Nov 2025 12:00:00 GMT"
PASSING = {
    **{f"plain {status}": Reply(status=status) for status in (408, 425, 429, 500, 502, 503, 504, 529)},
    "HTML 502": Reply(b"<html>Bad Gateway</html>", status=502),
    "HTML 503 that calls itself gzip": Reply(b"<html>", status=503, headers={"Content-Encoding": "gzip"}),
    "rate limit": failure(429, "PLATFORM.RATE_LIMIT_EXCEEDED"),
    "remote rate limit": failure(400, "REMOTE.RATE_LIMIT_EXCEEDED"),
    "tool down": failure(503, "REMOTE.SERVICE_UNAVAILABLE"),
    "fault of Kombo": failure(500, "PLATFORM.UNKNOWN_ERROR"),
    "another message": failure(503, None, "The first sync was a while ago."),
    "unknown code": failure(503, "PLATFORM.LUNCH_BREAK"),
    "dropped": Reply(drop=True),
    "truncated": Reply(page().body[:-10], declared=len(page().body)),
}


@pytest.mark.parametrize("reply", PASSING.values(), ids=PASSING)
def test_what_may_pass_by_itself_is_asked_for_again(server, kombo, waits, reply):
    server.script = [reply, reply, page({"id": "a"})]
    assert decoded(kombo.job_pages(ACME)) == [[{"id": "a"}]]
    assert len(server.received) == 3
    assert len({tuple(r.query) for r in server.received}) == 1
    assert 0 <= waits[0] <= 1
    assert 0 <= waits[1] <= 2


@pytest.mark.parametrize("reply", PASSING.values(), ids=PASSING)
def test_after_six_attempts_it_is_an_error_that_says_it_may_pass(server, kombo, waits, reply):
    server.script, server.forever = [reply], True
    with pytest.raises(KomboUnavailable) as caught:
        list(kombo.job_pages(ACME))
    assert caught.value.retryable
    assert caught.value.integration_id == ACME
    assert (len(server.received), len(waits)) == (6, 5)


def test_a_server_that_is_not_there_is_unavailable(waits):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        client = Kombo(api_url=url, api_key=KEY, sleep=waits.append, max_attempts=2)
        with client, pytest.raises(KomboUnavailable, match="ConnectError"):
            client.integration(ACME)
    assert len(waits) == 1


def test_an_answer_that_does_not_come_is_unavailable(server):
    released = threading.Event()
    server.script = [Reply(hold=released)]
    slow = httpx.Timeout(5, read=0.1)
    client = Kombo(api_url=server.url, api_key=KEY, timeout=slow, max_attempts=1)
    with client, pytest.raises(KomboUnavailable, match="ReadTimeout"):
        client.integration(ACME)
    released.set()


def test_an_answer_that_trickles_is_given_up(server, monkeypatch):
    monkeypatch.setattr(client_module, "MAX_RESPONSE_SECONDS", 0.0)
    server.script = [page()]
    with Kombo(api_url=server.url, api_key=KEY, max_attempts=1) as kombo, pytest.raises(KomboUnavailable):
        list(kombo.job_pages(ACME))


@pytest.mark.parametrize(
    ("reply", "at_least"),
    [
        (Reply(status=429, headers={"ratelimit-reset": "57"}), 57),
        (Reply(status=429, headers={"Retry-After": "30", "ratelimit-reset": "57"}), 57),
        (Reply(status=429, headers={"Retry-After": "90", "ratelimit-reset": "57"}), 90),
        (Reply(status=429, headers={"Retry-After": "3600"}), 300),
        (Reply(status=429, headers={"Retry-After": "soon", "ratelimit-reset": "-5"}), 0),
        (Reply(status=429, headers={"Date": NOON, "Retry-After": "Mon, 24 Nov 2025 12:00:40 GMT"}), 40),
        (Reply(status=429, headers={"Date": NOON, "Retry-After": "Mon, 24 Nov 2025 11:00:00 GMT"}), 0),
        (Reply(status=503, headers={"Retry-After": "20", "ratelimit-reset": "57"}), 20),
        (Reply(status=503, headers={"ratelimit-reset": "57"}), 0),
    ],
    ids=range(9),
)
def test_the_wait_is_what_the_answer_asks_for_and_at_most_five_minutes(server, kombo, waits, reply, at_least):
    server.script = [reply, page()]
    list(kombo.job_pages(ACME))
    assert len(waits) == 1
    assert at_least <= waits[0] <= min(at_least + 1, 300)


def test_waiting_has_a_budget_in_total(server, waits):
    server.script, server.forever = [Reply(status=429, headers={"ratelimit-reset": "57"})], True
    client = Kombo(api_url=server.url, api_key=KEY, sleep=waits.append, max_total_wait=100)
    with client, pytest.raises(KomboUnavailable) as caught:
        list(client.job_pages(ACME))
    assert caught.value.retry_after == 57
    assert (len(server.received), len(waits)) == (2, 1)


def test_a_used_up_rate_limit_is_waited_for_and_not_run_into(server, kombo, waits):
    used_up = {"ratelimit-limit": "300", "ratelimit-remaining": "0", "ratelimit-reset": "57"}
    left = {"ratelimit-limit": "300", "ratelimit-remaining": "12", "ratelimit-reset": "57"}
    server.script = [page(following="c2", headers=left), page(following="c3", headers=used_up), page(following="c4")]
    server.script.append(page())
    assert len(list(kombo.job_pages(ACME))) == 4
    assert len(waits) == 1
    assert 56 < waits[0] <= 57


def test_a_retry_is_one_log_line_without_the_key(server, kombo, caplog):
    caplog.set_level(logging.DEBUG)
    server.script = [Reply(status=503), Reply(b"<html>", status=502), page()]
    list(kombo.job_pages(ACME))
    lines = [r.getMessage() for r in caplog.records if r.name == "kombo_pipeline.kombo.client"]
    assert [re.sub(r"\d+\.\d s", "T", line) for line in lines] == [
        f"GET /ats/jobs, integration {ACME}: attempt 1 of 6 failed, next in T: a response without a Kombo "
        f"error: '' [HTTP 503, {ACME}]",
        f"GET /ats/jobs, integration {ACME}: attempt 2 of 6 failed, next in T: a response without a Kombo "
        f"error: '<html>' [HTTP 502, {ACME}]",
    ]
    assert KEY not in caplog.text


# -- refusals ----------------------------------------------------------------------------------------------

FINAL = [code for code, (kind, _) in ERROR_CODES.items() if kind is not KomboUnavailable]


@pytest.mark.parametrize("code", FINAL)
def test_what_needs_a_person_or_time_is_asked_once(server, kombo, waits, code):
    server.script = [failure(409, code, "Because.", log_url="https://app.kombo.dev/my-prod/logs?id=1")]
    with pytest.raises(KomboError) as caught:
        list(kombo.job_pages(ACME))
    error = caught.value
    assert type(error) is ERROR_CODES[code][0]
    assert error.who_must_act in {"us", "kombo", "customer"}
    assert (error.code, error.status, error.message, error.log_url, error.integration_id) == (
        code,
        409,
        "Because.",
        "https://app.kombo.dev/my-prod/logs?id=1",
        ACME,
    )
    assert not error.retryable
    assert (len(server.received), waits) == (1, [])


def test_every_code_of_the_sdk_is_known():
    assert set(ERROR_CODES) == set(typing.get_args(KomboAtsErrorCode))


@pytest.mark.parametrize(
    "reply",
    [
        failure(409, "INTEGRATION.SETUP_SYNC_PENDING", "Anything."),
        failure(503, "INTEGRATION.SETUP_SYNC_PENDING", "Anything."),
        failure(409, "INTEGRATION.SETUP_INCOMPLETE"),
        failure(503, "INTEGRATION.QA_FAILED"),
        Reply(json.dumps({"status": "error", "error": {"message": PENDING}}).encode(), status=503),
        failure(503, None, PENDING),
        failure(409, None, PENDING.replace("finish yet", "finish successfully yet")),
    ],
)
def test_a_first_sync_still_running_is_a_state_and_not_a_failure(server, kombo, waits, reply):
    server.script = [reply]
    with pytest.raises(KomboNotReady):
        list(kombo.job_pages(ACME))
    assert (len(server.received), waits) == (1, [])


def test_the_message_decides_nothing_where_there_is_a_code():
    body = failure(503, "REMOTE.SERVICE_UNAVAILABLE", PENDING).body
    assert type(error_from_response(503, {}, body, ACME)) is KomboUnavailable
    body = failure(404, None, PENDING).body
    assert type(error_from_response(404, {}, body, ACME)) is KomboRefused


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((status, KomboRefused) for status in (204, 400, 401, 403, 404, 409, 422)),
        *((status, KomboUnavailable) for status in (408, 425, 429, 500, 502, 503, 504)),
    ],
)
@pytest.mark.parametrize("code", [None, "PLATFORM.SOMETHING_OF_TOMORROW"])
def test_without_a_known_code_the_status_decides(status, kind, code):
    error = error_from_response(status, {}, failure(status, code).body, ACME)
    assert (type(error), error.code) == (kind, code)


@pytest.mark.parametrize("status", [302, 308])
@pytest.mark.parametrize("location", ["https://evil.example/v1?x=1", "//evil.example", "/elsewhere", "https://[", ""])
def test_a_redirect_is_not_followed(server, kombo, waits, status, location):
    server.script = [Reply(status=status, headers={"Location": location}), page()]
    with pytest.raises(KomboRefused, match="redirected to") as caught:
        list(kombo.job_pages(ACME))
    assert ("evil.example" in str(caught.value)) == ("evil.example" in location)
    assert (caught.value.who_must_act, len(server.received), waits) == ("us", 1, [])


BODIES = [
    b"null",
    b"[]",
    b'{"error":"no"}',
    b'{"error":{}}',
    b'{"error":{"code":7,"message":[]}}',
    b"[" * 9999,
    b"\xff",
]


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_an_error_of_any_shape_becomes_a_kombo_error(body):
    error = error_from_response(400, {}, body, None)
    assert type(error) is KomboRefused
    assert error.code is error.log_url is None
    assert str(error).endswith("[HTTP 400]")


def test_a_message_is_one_printable_line_and_hides_no_code():
    body = failure(409, "INTEGRATION.QA_FAILED", "a\n\x00\x1b[31mb\ud800 " + "x" * 9999).body
    error = error_from_response(409, {}, body, None)
    assert error.message == "a [31mb " + "x" * 492
    assert error.code == "INTEGRATION.QA_FAILED"
    assert error_from_response(409, {}, body.replace(b"[31mb", b"\xff"), None).code == "INTEGRATION.QA_FAILED"


def test_an_error_survives_pickling():
    error = error_from_response(429, {"Retry-After": "5"}, failure(429, None).body, ACME)
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.retry_after, copy.integration_id) == (str(error), 5, ACME)


# -- the key -----------------------------------------------------------------------------------------------


def test_the_key_is_in_no_exception_even_if_the_answer_echoes_it(server, kombo, waits, caplog):
    caplog.set_level(logging.DEBUG)
    echo = f"You sent Authorization: Bearer {KEY}"
    server.script = [Reply(echo.encode(), status=502), failure(400, None, echo)]
    with pytest.raises(KomboRefused) as caught:
        list(kombo.job_pages(ACME))
    assert "[API key]" in str(caught.value)
    assert KEY not in repr(caught.value) + str(vars(caught.value)) + caplog.text + repr(kombo)


@pytest.mark.parametrize("key", ["", "secret\n", "sec ret", "secret\r\nX: 1", "sécret"])
def test_a_key_that_cannot_be_sent_is_refused_without_being_shown(key):
    with pytest.raises(ValueError, match="API key") as caught:
        Kombo(api_url="https://api.kombo.dev/v1", api_key=key)
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize("url", ["", "api.kombo.dev/v1", "ftp://api.kombo.dev", "https://u:p@api.kombo.dev/v1"])
def test_a_url_that_cannot_be_used_is_refused(url):
    with pytest.raises(ValueError, match="API URL"):
        Kombo(api_url=url, api_key=KEY)


def test_neither_netrc_nor_a_proxy_comes_between_the_client_and_this_machine(server, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    server.script = [Reply(envelope(DETAILS))]
    with Kombo(api_url=server.url + "/", api_key=KEY, max_attempts=1) as kombo:
        kombo.integration(ACME)
    assert (server.received[0].path, server.received[0].headers["authorization"]) == (
        f"/v1/integrations/{ACME}",
        f"Bearer {KEY}",
    )


# -- looking up --------------------------------------------------------------------------------------------


def filters(server):
    constant = {"include_deleted", "page_size", "cursor"}
    return [{name: value for name, value in r.query if name not in constant} for r in server.received]


def test_every_kind_of_identifier_is_its_own_request(server, kombo):
    server.script, server.forever = [page()], True
    urls = ["https://x.example/a,b?c=1&d=2", "https://x.example/2"]
    kombo.find_jobs(ACME, ids=["k1", "k2"], remote_ids=["r 1"], job_codes=["c&1"], post_urls=urls, name_contains="a, b")
    assert filters(server) == [
        {"ids": "k1,k2"},
        {"remote_ids": "r 1"},
        {"job_codes": "c&1"},
        {"post_url": "https://x.example/a,b?c=1&d=2"},
        {"post_url": "https://x.example/2"},
        {"name_contains": "a, b"},
    ]
    assert {dict(r.query)["include_deleted"] for r in server.received} == {"true"}
    assert {r.headers["x-integration-id"] for r in server.received} == {ACME}


def test_identifiers_go_out_once_each_a_hundred_at_a_time_and_fewer_when_they_are_long(server, kombo):
    server.script, server.forever = [page()], True
    codes = [f"code-{n}" for n in range(250)]
    kombo.find_jobs(ACME, job_codes=codes + codes)
    batches = [query["job_codes"].split(",") for query in filters(server)]
    assert [len(batch) for batch in batches] == [100, 100, 50]
    assert ",".join(query["job_codes"] for query in filters(server)) == ",".join(codes)
    server.received.clear()
    long = [f"ü{n}" * 100 for n in range(30)]
    kombo.find_jobs(ACME, remote_ids=long)
    assert ",".join(query["remote_ids"] for query in filters(server)) == ",".join(long)
    assert len(server.received) > 1


def test_a_lookup_follows_pages_and_returns_a_job_once(server, kombo):
    server.script = [
        page({"id": "a"}, {"id": "b"}, following="c2"),
        page({"id": "b"}, {"id": "c"}),
        page({"id": "a"}, {"odd": 1}, {"odd": 1}, 7),
    ]
    found = kombo.find_jobs(ACME, ids=["a", "b", "c"], job_codes=["x"])
    assert [msgspec.json.decode(record) for record in found] == [
        {"id": "a"},
        {"id": "b"},
        {"id": "c"},
        {"odd": 1},
        7,
    ]


def test_nothing_to_look_up_sends_nothing(server, kombo):
    assert kombo.find_jobs(ACME) == []
    assert server.received == []


@pytest.mark.parametrize(
    ("lookup", "complaint"),
    [
        ({"job_codes": ["A1", "B,2"]}, "'B,2'"),
        ({"ids": ["a,b"]}, "'a,b'"),
        ({"remote_ids": ["a", ","]}, "','"),
        ({"job_codes": ["A1", ""]}, "blank"),
        ({"post_urls": [" "]}, "blank"),
        ({"name_contains": ""}, "blank"),
    ],
)
def test_a_value_that_would_be_another_filter_is_refused_before_anything_is_sent(server, kombo, lookup, complaint):
    with pytest.raises(ValueError, match=complaint):
        kombo.find_jobs(ACME, **({"ids": ["fine"]} | lookup))
    assert server.received == []


# -- integrations ------------------------------------------------------------------------------------------

DETAILS = {
    "id": ACME,
    "tool": {"id": "personio", "label": "Personio", "internal_label": None, "logo_url": "x", "icon_url": "y"},
    "category": "ATS",
    "status": "ACTIVE",
    "setup_status": "COMPLETED",
    "end_user": {"organization_name": "Acme, Inc.", "creator_email": None, "origin_id": "36123"},
    "scope_config": {"id": "s", "name": "Default"},
    "data_expired_at": None,
    "created_at": "2026-01-02T03:04:05.678Z",
    "beta": False,
    "read_models": [],
    "write_actions": [],
}


def test_the_details_of_an_integration_are_read_without_its_scope(server, kombo):
    server.script = [Reply(envelope(DETAILS | {"data_expired_at": "2026-03-04T00:00:00.000Z", "status": "RESTING"}))]
    details = kombo.integration(ACME)
    assert (server.received[0].path, "x-integration-id" in server.received[0].headers) == (
        f"/v1/integrations/{ACME}",
        False,
    )
    assert (details.id, details.tool, details.tool_label) == (ACME, "personio", "Personio")
    assert (details.category, details.status, details.setup_status) == ("ATS", "RESTING", "COMPLETED")
    assert (details.organization_name, details.origin_id) == ("Acme, Inc.", "36123")
    assert details.created_at == datetime(2026, 1, 2, 3, 4, 5, 678_000, UTC)
    assert details.data_expired_at == datetime(2026, 3, 4, tzinfo=UTC)


def test_what_kombo_does_not_tell_of_an_integration_is_none(server, kombo):
    bare = {"id": ACME, "tool": {"id": "personio"}, "end_user": None, "read_models": None}
    server.script = [Reply(envelope(bare))]
    details = kombo.integration(ACME)
    assert (details.organization_name, details.status, details.jobs_model_enabled) == (None, None, None)


JOBS = {
    "id": "ats_jobs",
    "is_available": True,
    "scope_config_setting": "ENABLED",
    "opted_out_by_customer": False,
    "fields": [],
}


@pytest.mark.parametrize(
    ("models", "enabled"),
    [
        ([JOBS], True),
        ([{"id": "ats_users", "is_available": False}, JOBS], True),
        ([JOBS | {"scope_config_setting": "OPTIONAL"}], True),
        ([JOBS | {"scope_config_setting": "DISABLED"}], False),
        ([JOBS | {"opted_out_by_customer": True}], False),
        ([JOBS | {"is_available": False}], False),
        ([JOBS | {"is_available": None}], None),
        ([{"id": "ats_jobs"}], None),
        ([{"id": "ats_users", "is_available": True}], None),
        ([], None),
    ],
)
def test_a_jobs_model_that_is_off_is_told_from_one_nobody_knows_of(server, kombo, models, enabled):
    server.script = [Reply(envelope(DETAILS | {"read_models": models}))]
    assert kombo.integration(ACME).jobs_model_enabled is enabled


def test_a_wrong_key_is_refused(server, kombo):
    server.script = [failure(401, "PLATFORM.AUTHENTICATION_INVALID")]
    with pytest.raises(KomboRefused) as caught:
        kombo.integration(ACME)
    assert (caught.value.who_must_act, "x-integration-id" in server.received[0].headers) == ("us", False)
