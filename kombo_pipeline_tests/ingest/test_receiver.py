"""What is acknowledged is in the warehouse; what is not signed leaves no trace; whatever fails here is a 503."""

import asyncio
import hmac
import http.client
import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kombo_pipeline.db import embedded
from kombo_pipeline.db.connection import Connection
from kombo_pipeline.db.migrate import migrate
from kombo_pipeline.ingest import receiver
from kombo_pipeline.ingest.statements import webhook_events
from kombo_pipeline.kombo.webhooks import sign
from kombo_pipeline.serving import Seconds

NEW, OLD = "the-newest-secret-of-kombo", "the-one-before-that-secret"
GREENHOUSE = "greenhouse:CBNMt7dSNCzBdnRTx87dev4E"
UNPARSABLE = (b"", b"no json", b"[1]", b"\xff", b'{"type":"data-changed"}', b"[" * 100_000)
on_the_same_server = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def event(event_id: str, **data: object) -> bytes:
    body = {"id": event_id, "type": "data-changed", "data": {"integration_id": GREENHOUSE} | data}
    return json.dumps(body, indent=2).encode()


def signed(raw: bytes, secret: str = NEW) -> dict[str, str]:
    return {"X-Kombo-Signature": sign(secret, raw)}


def rows(conn: Connection, columns: str = "event_id") -> list:
    found = conn.execute(f"select {columns} from raw.webhook_events order by event_seq").fetchall()
    conn.commit()
    return [tuple(row.values()) if "," in columns else next(iter(row.values())) for row in found]


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@contextmanager
def serving(warehouse_url: str, *, body_seconds: float = 10) -> Iterator["Kombo"]:
    """The receiver on a free port, in a thread."""
    server = receiver.server(warehouse_url=warehouse_url, secrets=(NEW, OLD), seconds=Seconds(body=body_seconds))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        until(lambda: server.started)
        yield Kombo(f"http://127.0.0.1:{listener.getsockname()[1]}")
        server.should_exit = True
        thread.join()


class Kombo:
    """The sender's side of one receiver."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = httpx.Client(base_url=url, timeout=20, limits=httpx.Limits(max_connections=None))

    def deliver(self, raw: bytes, secret: str = NEW) -> int:
        return self.post(raw, signed(raw, secret)).status_code

    def post(self, raw, headers=None) -> httpx.Response:
        return self.client.post("/webhooks/kombo", content=raw, headers=headers)

    def health(self) -> int:
        return self.client.get("/healthz").status_code

    @contextmanager
    def begin(self, body: bytes, *headers: str) -> Iterator[socket.socket]:
        """A request as it stands on the wire, perhaps unfinished."""
        address = urlsplit(self.url)
        head = "\r\n".join(["POST /webhooks/kombo HTTP/1.1", f"Host: {address.netloc}", *headers, "", ""])
        with socket.create_connection((address.hostname, address.port), timeout=20) as connection:
            connection.sendall(head.encode() + body)
            yield connection

    @contextmanager
    def begin_all(self, raws: Sequence[bytes]) -> Iterator[list[socket.socket]]:
        """As many requests at once, each of which lacks only the last byte of its body."""
        with ExitStack() as stack:
            yield [
                stack.enter_context(
                    self.begin(raw[:-1], f"X-Kombo-Signature: {sign(NEW, raw)}", f"Content-Length: {len(raw)}")
                )
                for raw in raws
            ]


def answer(connection: socket.socket) -> http.client.HTTPResponse:
    response = http.client.HTTPResponse(connection)
    response.begin()
    return response


@pytest.fixture
def kombo(warehouse_url: str) -> Iterator[Kombo]:
    with serving(warehouse_url) as sender:
        yield sender


# -- landing -----------------------------------------------------------------------------------------------


def test_a_signed_event_is_landed_with_its_body_kept_exactly_as_received(kombo, conn):
    raw = b'{ "type":"data-changed",\r\n"id":"e1", "data":{"integration_id":"a:b","x":1.0,"x":"\\u00e9"} }\n'
    assert kombo.deliver(raw) == 200
    [(event_id, event_type, integration_id, body, payload, secret, handled)] = rows(
        conn, "event_id, event_type, integration_id, body, payload, secret_index, handled_at"
    )
    assert (event_id, event_type, integration_id) == ("e1", "data-changed", "a:b")
    assert bytes(body) == raw
    assert payload == {"id": "e1", "type": "data-changed", "data": {"integration_id": "a:b", "x": "é"}}
    assert (secret, handled) == (0, None)


def test_every_active_secret_is_accepted_and_the_one_that_matched_recorded(kombo, conn):
    assert [kombo.deliver(event("e1"), NEW), kombo.deliver(event("e2"), OLD)] == [200, 200]
    assert rows(conn, "event_id, secret_index") == [("e1", 0), ("e2", 1)]


@pytest.mark.parametrize("event_type", ["assessment:order-received", "a-type-of-next-year"])
def test_an_event_of_unknown_type_or_without_integration_is_landed_all_the_same(kombo, conn, event_type):
    assert kombo.deliver(json.dumps({"id": "e1", "type": event_type, "data": None}).encode()) == 200
    assert rows(conn, "event_type, integration_id") == [(event_type, None)]


@pytest.mark.parametrize("raw", UNPARSABLE, ids=repr)
def test_a_signed_body_that_is_no_event_is_landed_under_its_hash(kombo, conn, raw):
    assert kombo.deliver(raw) == kombo.deliver(raw) == 200
    [(event_id, event_type, body, payload)] = rows(conn, "event_id, event_type, body, payload")
    assert event_id.startswith("sha256:") and len(event_id) == 71
    assert (event_type, bytes(body), payload) == (None, raw, None)


def test_an_event_that_jsonb_cannot_hold_is_landed_without_payload(kombo, conn):
    raw = b'{"id":"e1","type":"data-changed","data":"\\u0000"}'
    assert kombo.deliver(raw) == 200
    assert rows(conn, "event_id, event_type, payload") == [("e1", "data-changed", None)]


def test_a_repeated_event_is_acknowledged_and_adds_nothing(kombo, conn):
    first, other_body = event("e1"), event("e1", note="sent again")
    assert [kombo.deliver(raw) for raw in (first, first, other_body)] == [200, 200, 200]
    assert [bytes(body) for body in rows(conn, "body")] == [first]


def test_hundreds_of_simultaneous_deliveries_of_one_event_make_one_row(kombo, conn):
    raw = event("e1")
    with kombo.begin_all([raw] * 250) as connections:
        for connection in connections:
            connection.sendall(raw[-1:])
        assert {answer(connection).status for connection in connections} == {200}
    assert rows(conn) == ["e1"]


def test_deliveries_that_wait_share_a_transaction_of_at_most_64(kombo, conn):
    raws = [event(f"e{number}") for number in range(200)]
    conn.execute("lock raw.webhook_events in share mode")
    with kombo.begin_all(raws) as connections:
        for raw, connection in zip(raws, connections, strict=True):
            connection.sendall(raw[-1:])
        time.sleep(0.3)
        conn.commit()
        assert {answer(connection).status for connection in connections} == {200}
    transactions = Counter(rows(conn, "xmin::text as transaction"))
    assert transactions.total() == 200
    assert max(transactions.values()) == 64


def test_two_receivers_with_the_same_events_never_wait_for_each_other_in_a_ring(warehouse_url, conn):
    def delivery(event_id: str) -> webhook_events.Delivery:
        return webhook_events.Delivery(event_id, None, None, b"", None, 0)

    async def land(*event_ids: str) -> None:
        async with await psycopg.AsyncConnection.connect(warehouse_url, autocommit=True) as other:
            await webhook_events.land(other, map(delivery, event_ids))

    insert = "insert into raw.webhook_events (event_id) values (%s)"
    waiting = "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    conn.execute(insert, ["e1"])
    with psycopg.connect(warehouse_url, autocommit=True) as observer, ThreadPoolExecutor(1) as thread:
        landing = thread.submit(asyncio.run, land("e2", "e1"))
        try:
            until(lambda: observer.execute(waiting).fetchone())
        except AssertionError:
            conn.rollback()
            raise
        conn.execute(insert, ["e2"])
        conn.commit()
        landing.result(10)
    assert rows(conn) == ["e1", "e2"]


@on_the_same_server
@given(
    raw=st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda children: st.lists(children) | st.dictionaries(st.sampled_from(["id", "type", "data"]), children),
    ).map(lambda value: json.dumps(value).encode())
)
def test_whatever_is_signed_is_landed(kombo, conn, raw):
    assert kombo.deliver(raw) == 200
    assert raw in [bytes(body) for body in rows(conn, "body")] or json.loads(raw)["id"] in rows(conn)


# -- signatures --------------------------------------------------------------------------------------------

RAW = event("e1")
GOOD = sign(NEW, RAW)
BAD_HEADERS = {
    "missing": [],
    "empty": [b""],
    "wrong": [sign("another secret entirely", RAW)],
    "of another body": [sign(NEW, RAW + b"\n")],
    "truncated": [GOOD[:-1]],
    "padded": [GOOD + "="],
    "another spelling of the same bytes": [GOOD[:-1] + chr(ord(GOOD[-1]) + 1)],
    "hex": [hmac.new(NEW.encode(), RAW, "sha256").hexdigest()],
    "not ASCII": ["é".encode() * 20],
    "not UTF-8": [b"\xff" * 43],
    "twice": [GOOD, GOOD],
}


@pytest.mark.parametrize("signatures", BAD_HEADERS.values(), ids=BAD_HEADERS.keys())
def test_a_bad_signature_is_answered_401_without_a_reason_and_lands_nothing(kombo, conn, signatures):
    answers = [
        kombo.post(RAW, [(b"X-Kombo-Signature", s if isinstance(s, bytes) else s.encode()) for s in given])
        for given in (signatures, [sign("another secret entirely", RAW)])
    ]
    assert [answer.status_code for answer in answers] == [401, 401]
    assert answers[0].content == answers[1].content
    assert [set(answer.headers) for answer in answers] == [set(answers[1].headers)] * 2
    assert rows(conn) == []


@on_the_same_server
@given(
    header=st.binary(max_size=60).map(lambda b: bytes(c for c in b if c == 9 or 31 < c != 127).strip()),
    raw=st.binary(max_size=300),
)
def test_no_made_up_signature_ever_lands_anything(kombo, conn, header, raw):
    assert kombo.post(raw, [(b"X-Kombo-Signature", header)]).status_code == 401
    assert rows(conn) == []


@pytest.mark.parametrize("secrets", [(), ("",), ("fifteen letters",), (NEW, "short")])
def test_it_is_not_built_without_secrets_that_cannot_be_guessed(warehouse_url, secrets):
    with pytest.raises(ValueError, match="KOMBO_WEBHOOK_SECRETS") as refusal:
        receiver.app(warehouse_url=warehouse_url, secrets=secrets)
    assert not any(secret and secret in str(refusal.value) for secret in secrets)


# -- requests nobody should send ---------------------------------------------------------------------------


def test_other_methods_and_other_paths_are_refused(kombo, conn):
    headers = signed(RAW)
    assert {
        (method, path): kombo.client.request(method, path, content=RAW, headers=headers).status_code
        for method, path in [
            ("GET", "/webhooks/kombo"),
            ("PUT", "/webhooks/kombo"),
            ("POST", "/healthz"),
            ("POST", "/webhooks/kombo/"),
            ("POST", "/"),
            ("GET", "/docs"),
        ]
    } == {
        ("GET", "/webhooks/kombo"): 405,
        ("PUT", "/webhooks/kombo"): 405,
        ("POST", "/healthz"): 405,
        ("POST", "/webhooks/kombo/"): 404,
        ("POST", "/"): 404,
        ("GET", "/docs"): 404,
    }
    assert rows(conn) == []


def test_a_body_of_256_kib_is_landed_and_one_byte_more_is_refused(kombo, conn):
    largest = b"x" * 256 * 1024
    assert kombo.deliver(largest) == 200
    assert kombo.deliver(largest + b"x") == 413
    assert [bytes(body) for body in rows(conn, "body")] == [largest]


def test_a_chunked_body_is_refused_as_soon_as_it_is_too_long_although_it_does_not_end(kombo, conn):
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    with kombo.begin(chunk * 5, "Transfer-Encoding: chunked") as connection:
        assert answer(connection).status == 413
    assert rows(conn) == []


def test_a_chunked_body_is_landed_as_one(kombo, conn):
    assert kombo.post(iter([RAW[:7], RAW[7:]]), signed(RAW)).status_code == 200
    assert [bytes(body) for body in rows(conn, "body")] == [RAW]


def test_a_body_that_takes_too_long_ends_in_408_and_a_closed_connection(warehouse_url, conn):
    with serving(warehouse_url, body_seconds=0.3) as kombo, kombo.begin_all([RAW]) as [connection]:
        response = answer(connection)
        assert response.status == 408
        response.read()
        assert connection.recv(1) == b""
    assert rows(conn) == []


def test_a_client_that_leaves_in_mid_body_lands_nothing_and_makes_no_noise(kombo, conn, capfd, caplog):
    with kombo.begin_all([RAW] * 5):
        pass
    assert kombo.health() == 200
    assert rows(conn) == []
    assert (capfd.readouterr().err, [record.name for record in caplog.records if record.name != "httpx"]) == ("", [])


def test_answers_do_not_name_the_server(kombo):
    assert "server" not in kombo.post(RAW, signed(RAW)).headers


# -- a warehouse in trouble --------------------------------------------------------------------------------


def test_deliveries_that_cannot_be_committed_in_time_are_503_and_land_when_repeated(kombo, conn, monkeypatch):
    monkeypatch.setattr(receiver, "LANDING_SECONDS", 1)
    raws = [event(f"e{number}") for number in range(150)]
    conn.execute("lock raw.webhook_events")
    with kombo.begin_all(raws) as connections:
        for raw, connection in zip(raws, connections, strict=True):
            connection.sendall(raw[-1:])
        answers = [answer(connection) for connection in connections]
    assert {(one.status, one.headers["Retry-After"]) for one in answers} == {(503, "5")}
    conn.rollback()
    until(lambda: kombo.health() == 200)
    assert {kombo.deliver(raw) for raw in raws} == {200}
    assert sorted(rows(conn)) == sorted(f"e{number}" for number in range(150))


def test_an_event_that_postgres_refuses_takes_no_other_along(kombo, conn, caplog):
    conn.execute("alter table raw.webhook_events add constraint no_poison check (event_id <> 'poison')")
    conn.commit()
    conn.execute("lock raw.webhook_events in share mode")
    raws = [event(event_id) for event_id in ("e1", "e2", "poison", "e3", "e4")]
    with kombo.begin_all(raws) as connections:
        for raw, connection in zip(raws, connections, strict=True):
            connection.sendall(raw[-1:])
        # The first waits for the lock; the others gather behind it.
        time.sleep(0.3)
        conn.commit()
        assert [answer(connection).status for connection in connections] == [200, 200, 503, 200, 200]
    assert sorted(rows(conn)) == ["e1", "e2", "e3", "e4"]
    [message] = [record.getMessage() for record in caplog.records if record.name == receiver.__name__]
    assert "no_poison" in message and "Failing row" not in message


def test_a_connection_that_died_in_the_meantime_costs_no_delivery(kombo, conn):
    assert kombo.deliver(event("e1")) == 200
    for number in range(3):
        conn.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity "
            "where application_name = 'kombo_pipeline receiver' and datname = current_database()"
        )
        conn.commit()
        assert kombo.deliver(event(f"after {number}")) == 200
    assert rows(conn) == ["e1", "after 0", "after 1", "after 2"]


def test_a_warehouse_that_answers_but_cannot_be_written_is_not_healthy(kombo, conn):
    assert kombo.health() == 200
    for schema, health in [("core", 503), ("raw", 200)]:
        conn.execute(f"alter table {'raw' if schema == 'core' else 'core'}.webhook_events set schema {schema}")
        conn.commit()
        assert kombo.health() == health
    assert rows(conn) == []


def test_a_bad_signature_is_told_without_a_warehouse():
    with serving("postgresql://nobody@127.0.0.1:1/none") as kombo:
        assert (kombo.post(RAW).status_code, kombo.deliver(RAW), kombo.health()) == (401, 503, 503)


@pytest.fixture
def own_server() -> Iterator[embedded.Server]:
    """A Postgres that the test may stop."""
    directory = Path(tempfile.mkdtemp(prefix="kombo-test-"))
    directory.chmod(0o711)
    yield embedded.ensure(directory / "postgres")
    embedded.stop(directory / "postgres")
    shutil.rmtree(directory)


def test_without_its_warehouse_it_answers_503_and_recovers_by_itself(own_server, caplog):
    warehouse_url = embedded.ensure_database(own_server, "warehouse")
    migrate(warehouse_url)
    embedded.stop(own_server.data_dir)
    with serving(warehouse_url) as kombo:
        for _ in range(2):
            assert (kombo.health(), kombo.deliver(RAW)) == (503, 503)
            assert kombo.post(RAW, signed(RAW)).headers["Retry-After"] == "5"
            embedded.ensure(own_server.data_dir)
            assert (kombo.health(), kombo.deliver(RAW)) == (200, 200)
            embedded.stop(own_server.data_dir)
    messages = " ".join(record.getMessage() for record in caplog.records if record.levelno >= logging.INFO)
    assert "not landed" in messages
    assert not [secret for secret in (NEW, OLD, own_server.password) if secret in messages]


# -- kill -9 -----------------------------------------------------------------------------------------------


def start_receiver(warehouse_url: str, port: int, log: Path) -> subprocess.Popen[bytes]:
    code = (
        "import os; from kombo_pipeline.ingest.receiver import serve; serve(warehouse_url=os.environ['WAREHOUSE'], "
        f"secrets=os.environ['SECRETS'].split(','), host='127.0.0.1', port={port})"
    )
    environment = os.environ | {"WAREHOUSE": warehouse_url, "SECRETS": f"{NEW},{OLD}"}
    with log.open("ab") as output:
        process = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=output, stderr=output)
    until(lambda: process.poll() is not None or is_listening(port))
    assert process.poll() is None, log.read_text()
    return process


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_no_acknowledged_event_is_lost_when_the_receiver_is_killed_under_load(warehouse_url, conn, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    kombo, log, stopping = Kombo(f"http://127.0.0.1:{port}"), tmp_path / "log", threading.Event()

    def deliver(worker: int) -> list[str]:
        acknowledged, number = [], 0
        while not stopping.is_set():
            number += 1
            raw = event(f"{worker}-{number}")
            try:
                status = kombo.deliver(raw)
            except httpx.TransportError:
                time.sleep(0.01)
            else:
                assert status == 200
                acknowledged.append(f"{worker}-{number}")
        return acknowledged

    with ThreadPoolExecutor(8) as threads:
        load = [threads.submit(deliver, worker) for worker in range(8)]
        try:
            for end in [signal.SIGKILL] * 4 + [signal.SIGTERM]:
                process = start_receiver(warehouse_url, port, log)
                before = len(rows(conn))
                until(lambda landed=before: len(rows(conn)) > landed + 50)
                process.send_signal(end)
                process.wait(20)
        finally:
            stopping.set()
            process.kill()
        acknowledged = {event_id for worker in load for event_id in worker.result()}
    assert len(acknowledged) > 200
    assert acknowledged <= set(rows(conn))
    assert log.read_text() == ""


def test_a_taken_port_is_an_error(warehouse_url):
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        receiver.serve(warehouse_url=warehouse_url, secrets=[NEW], host="127.0.0.1", port=taken.getsockname()[1])


def test_a_warehouse_url_of_another_kind_is_refused_without_its_password():
    with pytest.raises(ValueError, match="postgresql://") as refusal:
        receiver.app(warehouse_url="mysql://root:hunter2hunter2@host/db", secrets=[NEW])
    assert "hunter2" not in str(refusal.value)


# What was refused is counted


def refused(conn: Connection) -> dict[str, int]:
    found = conn.execute("select reason, sum(deliveries)::int as n from raw.refused_deliveries group by reason")
    counts = {row["reason"]: row["n"] for row in found}
    conn.commit()
    return counts


@pytest.fixture
def written_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kombo_pipeline.ingest.refusals.FLUSH_SECONDS", 0.1)


@pytest.fixture
def impatient(warehouse_url: str) -> Iterator[Kombo]:
    with serving(warehouse_url, body_seconds=0.2) as sender:
        yield sender


def test_refused_deliveries_are_counted_by_reason_and_signed_ones_are_not(written_at_once, impatient, conn):
    kombo = impatient
    for _ in range(3):
        assert kombo.deliver(event("evt"), "a-secret-of-another-webhook") == 401
    assert kombo.post(event("evt")).status_code == 401
    too_long = b"x" * (256 * 1024 + 1)
    assert kombo.deliver(too_long) == 413
    with kombo.begin(b"{", f"X-Kombo-Signature: {sign(NEW, b'{}')}", "Content-Length: 2") as slow:
        assert b" 408 " in slow.recv(1000)
    with kombo.begin(b"{", f"X-Kombo-Signature: {sign(NEW, b'{}')}", "Content-Length: 2"):
        pass
    assert kombo.deliver(event("evt-good")) == 200
    assert kombo.client.get("/webhooks/kombo").status_code == 405
    assert kombo.client.post("/elsewhere").status_code == 404
    expected = {"wrong_signature": 3, "no_signature": 1, "too_large": 1, "too_slow": 1, "cut_off": 1}
    until(lambda: refused(conn) == expected)
    health = kombo.client.get("/healthz")
    assert health.status_code == 200
    assert health.json() == {"status": "ok", "refused_last_hour": expected}
    assert rows(conn) == ["evt-good"]


def test_a_flood_without_signatures_writes_few_rows_and_a_line_without_its_bodies(
    warehouse_url, conn, monkeypatch, caplog
):
    monkeypatch.setattr("kombo_pipeline.ingest.refusals.FLUSH_SECONDS", 0.5)
    with serving(warehouse_url) as kombo:
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: kombo.deliver(b"a secret body", "another-secret-than-ours"), range(400)))
        assert set(answers) == {401}
        until(lambda: refused(conn) == {"wrong_signature": 400})
    [written] = conn.execute("select count(*) as n from raw.refused_deliveries").fetchall()
    assert written["n"] < 30
    lines = [line for line in caplog.messages if line.startswith("refused")]
    # One at once, one at the end.
    assert 1 <= len(lines) <= 2
    assert "KOMBO_WEBHOOK_SECRETS" in lines[0]
    assert "body" not in lines[0].replace("their body", "")


def test_refusals_are_counted_while_the_warehouse_is_away_and_written_when_it_is_back(written_at_once, kombo, conn):
    conn.execute("alter table raw.refused_deliveries rename to away")
    conn.commit()
    try:
        assert kombo.deliver(event("evt"), "another-secret-than-ours") == 401
        time.sleep(0.5)
        assert kombo.deliver(event("evt")) == 200
    finally:
        conn.execute("alter table raw.away rename to refused_deliveries")
        conn.commit()
    until(lambda: refused(conn) == {"wrong_signature": 1})


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", "/healthz", 405), ("GET", "/webhooks/kombo", 405), ("GET", "/nothing", 404), ("POST", "/webhooks", 404),
     ("GET", "/%00", 404), ("GET", "/" + "a" * 5000, 404), ("GET", "/..%2f..%2fetc", 404), ("GET", "/%ff", 404)],
)  # fmt: skip
def test_an_address_that_nobody_serves_is_answered_in_json(kombo: Kombo, method: str, path: str, status: int) -> None:
    answer = kombo.client.request(method, path, headers={"X-Forwarded-For": "127.0.0.1"})
    assert (answer.status_code, list(answer.json())) == (status, ["error"])


def test_a_long_body_where_none_is_expected_is_answered_in_json_too(kombo: Kombo) -> None:
    too_long = b"x" * (receiver.MAX_BODY_BYTES + 1)
    for method, path, status in (("GET", "/healthz", 200), ("POST", "/healthz", 405), ("POST", "/nothing", 404)):
        answer = kombo.client.request(method, path, content=too_long)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json"), path


def test_no_header_of_a_proxy_changes_who_a_sender_is(warehouse_url: str) -> None:
    config = receiver.server(warehouse_url=warehouse_url, secrets=(NEW,)).config
    assert config.proxy_headers is False, "X-Forwarded-For is not read: only the signature lets in"
