"""No client stops a server: whatever it sends, holds or leaves unread ends in time and costs little memory."""

import asyncio
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any

import httpx
import psutil
import pytest
import websockets.sync.client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from kombo_pipeline import serving
from kombo_pipeline.kombo.webhooks import sign
from kombo_pipeline.serving import Seconds

SECRET = "the-newest-secret-of-kombo"
SHORT = Seconds(head=1, body=1, answer=1)
MB = 1024 * 1024

RECEIVER = """
from kombo_pipeline.ingest import receiver
server = receiver.server(warehouse_url=url, secrets=[secret], seconds=seconds)
"""
BACKOFFICE = """
from kombo_pipeline.backoffice import app
from kombo_pipeline.settings import Settings, load
empty = load()
values = {name: getattr(empty, name) for name in empty.__dataclass_fields__}
values |= {"backoffice_secret": secret * 2, "backoffice_url": "http://127.0.0.1:" + str(port)}
server = app.server(warehouse_url=url, settings=Settings(**values), seconds=seconds)
"""
PROCESS = """
import json, os, resource, sys
from kombo_pipeline import serving
url, secret, port, files = os.environ["URL"], os.environ["SECRET"], int(sys.argv[1]), int(sys.argv[3])
seconds = serving.Seconds(**json.loads(sys.argv[2]))
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1] if sys.argv[4] == "True" else files
resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
"""


@dataclass
class Door:
    """A server of ours in a process of its own."""

    port: int
    process: psutil.Process
    path: str
    """Where a body is read."""

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def head(self, *lines: str, method: str = "POST") -> bytes:
        return "\r\n".join([f"{method} {self.path} HTTP/1.1", "Host: x", *lines, "", ""]).encode()

    def healthy(self) -> float:
        """Seconds in which a new connection is answered well."""
        begun = time.monotonic()
        assert httpx.get(f"http://127.0.0.1:{self.port}/healthz", timeout=20).status_code == 200
        return time.monotonic() - begun

    def memory(self) -> float:
        return self.process.memory_info().rss / MB

    def most_memory(self, seconds: float) -> float:
        """The most of some time, in which what is in the buffers of the kernel is read."""
        end = time.monotonic() + seconds
        most = 0.0
        while time.monotonic() < end:
            most = max(most, self.memory())
            time.sleep(0.05)
        return most

    def connections(self) -> int:
        return sum(one.status == psutil.CONN_ESTABLISHED for one in self.process.net_connections("tcp"))


@contextmanager
def running(
    kind: str, warehouse_url: str, seconds: Seconds, *, files: int = 1024, may_be_raised: bool = True
) -> Iterator[Door]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    code = PROCESS + (RECEIVER if kind == "receiver" else BACKOFFICE)
    code += "serving.serve(server, host='127.0.0.1', port=port)\n"
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(port), json.dumps(asdict(seconds)), str(files), str(may_be_raised)],
        env=os.environ | {"URL": warehouse_url, "SECRET": SECRET},
    )
    door = Door(port, psutil.Process(process.pid), "/webhooks/kombo" if kind == "receiver" else "/login")
    try:
        deadline = time.monotonic() + 60
        while True:
            with suppress(httpx.TransportError):
                door.healthy()
                break
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
        yield door
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module", params=["receiver", "back office"])
def door(request: pytest.FixtureRequest, module_warehouse_url: str) -> Iterator[Door]:
    with running(request.param, module_warehouse_url, SHORT) as started:
        yield started


SAME_SITE = ("Sec-Fetch-Site: same-origin", "Content-Type: application/x-www-form-urlencoded")


# -- what is sent for ever ---------------------------------------------------------------------------------

CHUNKED = (*SAME_SITE, "Transfer-Encoding: chunked")
ENDLESS: dict[str, Callable[[Door], tuple[bytes, bytes]]] = {
    "many headers": lambda _: (b"GET /healthz HTTP/1.1\r\nHost: x\r\n", b"X-n: " + b"a" * 1000 + b"\r\n"),
    "short headers": lambda _: (b"GET /healthz HTTP/1.1\r\nHost: x\r\n", b"a:\r\n" * 1000),
    "a value": lambda _: (b"GET /healthz HTTP/1.1\r\nX: ", b"a" * 10_000),
    "a name": lambda _: (b"GET /healthz HTTP/1.1\r\n", b"a" * 10_000),
    "an address": lambda _: (b"GET /", b"a" * 10_000),
    "a query": lambda _: (b"GET /healthz?", b"a=b&" * 2_500),
    "spaces before a value": lambda _: (b"GET /healthz HTTP/1.1\r\nX:", b" " * 10_000),
    "empty lines": lambda _: (b"", b"\r\n" * 5_000),
    "a chunk extension": lambda door: (door.head(*CHUNKED) + b"5;a=", b"a" * 10_000),
    "a trailer": lambda door: (door.head(*CHUNKED) + b"1\r\na\r\n0\r\nX: ", b"a" * 10_000),
    "trailers": lambda door: (door.head(*CHUNKED) + b"1\r\na\r\n0\r\n", b"a: b\r\n" * 2_000),
    "chunks": lambda door: (door.head(*CHUNKED), b"2000\r\n" + b"a" * 0x2000 + b"\r\n"),
    "tiny chunks": lambda door: (door.head(*CHUNKED), b"1\r\na\r\n" * 2_000),
    "a body": lambda door: (door.head(*SAME_SITE, "Content-Length: 9999999999"), b"a" * 10_000),
    "a body nobody reads": lambda _: (
        b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999999\r\n\r\n",
        b"a" * 10_000,
    ),
    "a body of a GET": lambda _: (
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999999\r\n\r\n",
        b"a" * 10_000,
    ),
    "a body of HTTP/1.0": lambda door: (
        door.head(*SAME_SITE, "Content-Length: 9999999999").replace(b"1.1", b"1.0"),
        b"a" * 10_000,
    ),
    "what follows an upgrade": lambda _: (
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        b"a" * 10_000,
    ),
    "what follows CONNECT": lambda _: (b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", b"a" * 10_000),
    "requests": lambda _: (b"", b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n" * 1_000),
}


def flood(door: Door, begin: bytes, more: bytes, *, seconds: float) -> float:
    """Send for ever over eight connections; return after how many seconds all of them were closed."""
    begun = time.monotonic()

    def send() -> None:
        with door.connect() as connection, suppress(OSError):
            connection.settimeout(1)
            connection.sendall(begin)
            while time.monotonic() < begun + seconds:
                with suppress(TimeoutError):
                    connection.sendall(more)

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.monotonic() - begun


@pytest.mark.parametrize("attack", ENDLESS.values(), ids=ENDLESS.keys())
def test_what_is_sent_for_ever_is_cut_off_and_costs_no_memory(door: Door, attack: Any) -> None:
    before = door.memory()
    assert flood(door, *attack(door), seconds=8) < 6
    assert door.memory() < before + 50
    assert door.healthy() < 2


def test_a_head_may_have_64_kb_and_not_more_however_it_is_cut(door: Door) -> None:
    def status(size: int, piece: int) -> int:
        head = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"a" * size + b"\r\n\r\n"
        with door.connect() as connection:
            try:
                for start in range(0, len(head), piece):
                    connection.sendall(head[start : start + piece])
                    time.sleep(0.001)
                answer = http.client.HTTPResponse(connection)
                answer.begin()
            except OSError:
                return 431  # Closed before all was sent: nobody reads the answer.
            return answer.status

    assert [status(60_000, piece) for piece in (1_000, 100_000)] == [200, 200]
    for size in (66_000, 80_000, 200_000):
        assert [status(size, piece) for piece in (1_000, 10_000, 10 * MB)] == [431] * 3


def test_a_trailer_is_no_header(module_warehouse_url: str, door: Door) -> None:
    if door.path != "/webhooks/kombo":
        pytest.skip("only the receiver reads a header after the body")
    raw = b'{"id":"by trailer"}'
    with door.connect() as connection:
        chunk = b"%x\r\n%s\r\n0\r\n" % (len(raw), raw)
        connection.sendall(
            door.head("Transfer-Encoding: chunked") + chunk + f"X-Kombo-Signature: {sign(SECRET, raw)}\r\n\r\n".encode()
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 401 ")


# -- what comes slowly, or not at all ----------------------------------------------------------------------

SLOW: dict[str, Callable[[Door], bytes]] = {
    "nothing": lambda _: b"",
    "half a line": lambda _: b"GET /hea",
    "half a head": lambda _: b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-a: ",
    "half a second head": lambda _: b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\nGET /he",
    "an empty line": lambda _: b"\r\n",
    "half a body": lambda door: door.head(*SAME_SITE, "Content-Length: 900") + b"a",
    "half a chunk": lambda door: door.head(*CHUNKED) + b"100\r\na",
    "half a trailer": lambda door: door.head(*CHUNKED) + b"0\r\nX: ",
    "half a file": lambda door: (
        door.head("Sec-Fetch-Site: same-origin", "Content-Type: multipart/form-data; boundary=x", "Content-Length: 900")
        + b"--x\r\n"
    ),
    "a body that is announced": lambda door: door.head(*SAME_SITE, "Content-Length: 900", "Expect: 100-continue"),
    "half a body nobody reads": lambda _: b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\na",
    "half a body of a GET": lambda _: b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\na",
    "half a second body": lambda door: (
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" + door.head(*SAME_SITE, "Content-Length: 900") + b"a"
    ),
    "half a body of a method without one": lambda _: b"PATCH /login HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\na",
}


def in_parallel(attack: Callable[[str], None], names: Sequence[str]) -> None:
    threads = [threading.Thread(target=attack, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def closed_after(connection: socket.socket, *, drip: bytes, limit: float) -> float:
    """Seconds until the server closes, while a byte is sent every 0.2 s."""
    begun = time.monotonic()
    connection.settimeout(0.2)
    while time.monotonic() < begun + limit:
        try:
            if not connection.recv(65536):
                break
        except TimeoutError:
            try:
                connection.sendall(drip)
            except OSError:
                break
        except OSError:
            break
    return time.monotonic() - begun


@pytest.mark.parametrize("drip", [b"", b"a"], ids=["silent", "dripping"])
def test_what_comes_slowly_ends_in_time(door: Door, drip: bytes) -> None:
    found = {}

    def attack(name: str) -> None:
        with door.connect() as connection:
            connection.sendall(SLOW[name](door))
            found[name] = closed_after(connection, drip=drip, limit=8)

    names = [name for name in SLOW if drip == b"" or name != "nothing"]
    in_parallel(attack, names)
    assert found.keys() == set(names)
    assert {name: seconds for name, seconds in found.items() if not (drip or seconds > 0.7) or seconds > 5} == {}
    assert door.connections() <= 8  # the warehouse's own


@pytest.mark.parametrize("begun", [b"GET /hea", b"\r\n", b"GET /healthz HTTP/1.1\r\nX: a"])
def test_a_second_head_that_has_begun_has_no_more_time_than_the_first(door: Door, begun: bytes) -> None:
    with door.connect() as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        time.sleep(0.2)
        connection.sendall(begun)
        assert 0.7 < closed_after(connection, drip=b"", limit=8) < 5


@pytest.mark.parametrize("begun", ["GET /hea", "POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n{site}\r\na"])
def test_who_is_late_is_told_408(door: Door, begun: str) -> None:
    site = "\r\n".join([*SAME_SITE, ""])
    with door.connect() as connection:
        connection.sendall(begun.format(site=site).replace("/login", door.path).encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 408 ")


@pytest.mark.long
def test_a_load_balancer_keeps_its_connection_between_requests(door: Door) -> None:
    with door.connect() as connection:
        for _ in range(3):
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            assert (answer.status, answer.getheader("connection")) == (200, None)
            answer.read()
            time.sleep(2.5)  # longer than all times of this door, but the one for idle connections


def content_length(file: Any) -> int:
    """Read the rest of a head."""
    lines = list(iter(file.readline, b"\r\n"))
    return next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))


def test_pipelined_requests_are_answered_in_order(door: Door) -> None:
    with door.connect() as connection:
        requests = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n" * 4
        connection.sendall(requests)
        statuses = []
        file = connection.makefile("rb")
        for _ in range(8):
            statuses.append(int(file.readline().split()[1]))
            length = content_length(file)
            file.read(length)
        assert statuses == [200, 404] * 4


# -- too many ----------------------------------------------------------------------------------------------


def deliver(door: Door, name: str) -> tuple[int, float]:
    raw = json.dumps({"id": name, "type": "data-changed", "data": {}}).encode()
    begun = time.monotonic()
    url = f"http://127.0.0.1:{door.port}/webhooks/kombo"
    answer = httpx.post(url, content=raw, headers={"X-Kombo-Signature": sign(SECRET, raw)}, timeout=20)
    return answer.status_code, time.monotonic() - begun


CROWDS: dict[str, Callable[[Door], bytes]] = {
    "silent": SLOW["nothing"],
    "half heads": SLOW["half a head"],
    "half bodies": SLOW["half a body"],
    "half bodies nobody reads": SLOW["half a body nobody reads"],
    "answered and idle": lambda _: b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n",
}


@contextmanager
def crowd(door: Door, begun: bytes, number: int) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        found = []
        for _ in range(number):
            found.append(stack.enter_context(door.connect()))
            with suppress(OSError):
                found[-1].sendall(begun)
        yield found


@pytest.mark.parametrize("begun", CROWDS.values(), ids=CROWDS.keys())
def test_signed_deliveries_land_while_more_connections_wait_than_are_allowed(
    patient: Door, begun: Callable[[Door], bytes]
) -> None:
    before = patient.memory()
    with crowd(patient, begun(patient), 1_200), crowd(patient, SLOW["half a body"](patient), 64):
        answers = [deliver(patient, f"{number}") for number in range(5)]
        assert [status for status, _ in answers] == [200] * 5
        assert max(seconds for _, seconds in answers) < 2
        assert patient.memory() < before + 50
        assert patient.connections() < 1_024 + 32


@pytest.fixture(scope="module")
def patient(module_warehouse_url: str) -> Iterator[Door]:
    """The receiver as it is, whose limit of open files was lower than what it needs."""
    with running("receiver", module_warehouse_url, Seconds(), files=256) as started:
        yield started


def test_unfinished_bodies_of_a_crowd_cost_little_memory(patient: Door) -> None:
    before = patient.memory()
    body = patient.head("Content-Length: 262000") + b"a" * 260_000
    with crowd(patient, body, 300):
        assert patient.most_memory(2) < before + 50
        assert deliver(patient, "beside bodies")[0] == 200


def test_half_forms_of_thousands_of_fields_cost_little_memory(door: Door) -> None:
    before = door.memory()
    path = "/review/bulk" if door.path == "/login" else door.path
    body = door.head(*SAME_SITE, "Content-Length: 262000").replace(door.path.encode(), path.encode()) + b"a=b&" * 15_000
    with crowd(door, body, 100):
        assert door.most_memory(0.7) < before + 50
        assert door.healthy() < 2


def test_unfinished_heads_of_a_crowd_cost_little_memory(patient: Door) -> None:
    before = patient.memory()
    with crowd(patient, b"GET /" + b"a" * 60_000, 1_000):
        assert patient.most_memory(2) < before + 50
        assert deliver(patient, "beside heads")[0] == 200


@pytest.mark.long
def test_at_the_real_limits_slow_and_silent_connections_end_after_ten_seconds(patient: Door) -> None:
    names = ("nothing", "half a head", "half a body", "half a body nobody reads")
    found = {}

    def attack(name: str) -> None:
        with patient.connect() as connection:
            connection.sendall(SLOW[name](patient))
            found[name] = closed_after(connection, drip=b"", limit=30)

    in_parallel(attack, names)
    assert {name: seconds for name, seconds in found.items() if not 9 < seconds < 13} == {}
    assert len(found) == len(names)


@pytest.mark.slow
def test_deliveries_land_while_a_crowd_reconnects_as_fast_as_it_can(patient: Door) -> None:
    stopping = threading.Event()

    def reconnect() -> None:
        while not stopping.is_set():
            with suppress(OSError), crowd(patient, b"", 256):
                pass

    threads = [threading.Thread(target=reconnect) for _ in range(2)]
    with crowd(patient, b"", 1_024), crowd(patient, SLOW["half a head"](patient), 64):
        for thread in threads:
            thread.start()
        try:
            answers = [deliver(patient, f"again {number}") for number in range(20)]
        finally:
            stopping.set()
            for thread in threads:
                thread.join()
    assert {status for status, _ in answers} == {200}
    assert max(seconds for _, seconds in answers) < 2


def test_where_few_files_may_be_open_fewer_connections_are_taken_and_it_goes_on(module_warehouse_url: str) -> None:
    with (
        running("receiver", module_warehouse_url, Seconds(), files=256, may_be_raised=False) as few,
        crowd(few, b"", 400),
    ):
        assert deliver(few, "few files")[0] == 200
        assert few.process.num_fds() < 256


# -- other applications ------------------------------------------------------------------------------------


@contextmanager
def serving_here(app: Starlette, **options: Any) -> Iterator[int]:
    server = serving.server(app, **({"max_connections": 50, "keep_alive_seconds": 5, "grace_seconds": 1} | options))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join(20)


LARGE = 12 * MB


async def large(_: Request) -> Response:
    return Response(b"a" * LARGE)


async def huge(_: Request) -> Response:
    return Response(b"a" * 3 * LARGE)


async def streamed(_: Request) -> Response:
    return StreamingResponse(b"a" * 300_000 for _ in range(LARGE // 300_000 + 1))


async def echo(request: Request) -> Response:
    return Response(await request.body())


async def slow(_: Request) -> Response:
    await asyncio.sleep(2)
    return Response("slow")


async def talk(websocket: WebSocket) -> None:
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text)


APP = Starlette(
    routes=[
        Route("/large", large),
        Route("/huge", huge),
        Route("/streamed", streamed),
        Route("/echo", echo, methods=["POST"]),
        Route("/slow-echo", echo, methods=["POST"]),
        Route("/slow", slow),
        WebSocketRoute("/talk", talk),
    ]
)


@pytest.mark.parametrize(
    ("path", "requests", "answer"), [("/large", 1, 1), ("/large", 10, 1), ("/streamed", 1, 1), ("/huge", 1, 999)]
)
def test_a_client_that_does_not_read_its_answer_is_closed(path: str, requests: int, answer: int) -> None:
    """The last holds more than all may hold together, and is closed for that."""
    with (
        serving_here(APP, keep_alive_seconds=60, seconds=Seconds(head=1, body=1, answer=answer)) as port,
        socket.socket() as connection,
    ):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", port))
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode() * requests)
        mine = connection.getsockname()[1]

        def is_open() -> bool:
            return any(
                (one.laddr.port, one.raddr and one.raddr.port, one.status) == (port, mine, psutil.CONN_ESTABLISHED)
                for one in psutil.Process().net_connections("tcp")
            )

        time.sleep(0.3)
        assert is_open()
        deadline = time.monotonic() + 8
        while is_open():
            assert time.monotonic() < deadline
            time.sleep(0.1)


@pytest.mark.parametrize("path", ["/large", "/streamed"])
def test_a_client_that_reads_steadily_has_its_whole_answer(path: str) -> None:
    with serving_here(APP, seconds=Seconds(answer=0.5)) as port, socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        connection.connect(("127.0.0.1", port))
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        received, begun = 0, time.monotonic()
        while data := connection.recv(32 * 1024):
            received += len(data)
            time.sleep(0.004)
    assert received > LARGE
    assert time.monotonic() - begun > 1


def test_an_application_may_take_its_time() -> None:
    with serving_here(APP, seconds=Seconds(head=0.5, body=0.5, answer=0.5)) as port:
        assert httpx.get(f"http://127.0.0.1:{port}/slow").text == "slow"


@pytest.mark.parametrize(("path", "status"), [("/slow-echo", b"200"), ("/echo", b"408")])
def test_a_body_may_come_slowly_only_where_that_is_said(path: str, status: bytes) -> None:
    with (
        serving_here(APP, seconds=SHORT, slow_bodies={"/slow-": 10}) as port,
        socket.create_connection(("127.0.0.1", port), timeout=20) as connection,
    ):
        connection.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n".encode())
        with suppress(OSError):
            for _ in range(10):
                connection.sendall(b"a")
                time.sleep(0.25)
        assert connection.recv(12) == b"HTTP/1.1 " + status


def test_that_connections_were_closed_before_their_time_is_said_once_a_minute(caplog: Any) -> None:
    with serving_here(APP, max_connections=5) as port:
        door = Door(port, psutil.Process(), "/")
        with crowd(door, b"", 30):
            time.sleep(0.5)
    [line] = [record.getMessage() for record in caplog.records if record.name.startswith(serving.__name__)]
    assert "too many connections (" in line and "proxy in front" in line


def test_a_request_is_answered_503_only_when_as_many_are_in_work_as_there_may_be() -> None:
    request = b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"
    with serving_here(APP, max_connections=5) as port:
        door = Door(port, psutil.Process(), "/")
        with crowd(door, request, 5) as working, door.connect() as late:
            time.sleep(0.3)
            late.sendall(request)
            assert late.recv(100).startswith(b"HTTP/1.1 503 ")
            assert {each.recv(12) for each in working} == {b"HTTP/1.1 200"}


@pytest.mark.long
def test_websockets_are_open_where_they_are_allowed_and_stay_open() -> None:
    with (
        serving_here(APP, websockets=True, seconds=SHORT) as port,
        websockets.sync.client.connect(f"ws://127.0.0.1:{port}/talk") as talking,
    ):
        for word in ("first", "later"):
            talking.send(word)
            assert talking.recv() == word
            time.sleep(2.5)
    with serving_here(APP) as port, pytest.raises(websockets.exceptions.InvalidStatus):
        websockets.sync.client.connect(f"ws://127.0.0.1:{port}/talk")


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    bodies=st.lists(st.binary(max_size=300_000), min_size=1, max_size=4),
    piece=st.integers(min_value=500, max_value=400_000),
    chunk=st.none() | st.integers(min_value=1000, max_value=100_000),
)
def test_whatever_is_sent_in_whatever_pieces_arrives_whole(
    echoing: int, bodies: list[bytes], piece: int, chunk: int | None
) -> None:
    sent = b""
    for body in bodies:
        sent += b"POST /echo HTTP/1.1\r\nHost: x\r\n"
        if chunk is None:
            sent += b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
            continue
        sent += b"Transfer-Encoding: chunked\r\n\r\n"
        for start in range(0, len(body), chunk):
            part = body[start : start + chunk]
            sent += b"%x\r\n%s\r\n" % (len(part), part)
        sent += b"0\r\n\r\n"
    with socket.create_connection(("127.0.0.1", echoing), timeout=20) as connection:

        def send() -> None:
            for start in range(0, len(sent), piece):
                connection.sendall(sent[start : start + piece])

        thread = threading.Thread(target=send)
        thread.start()
        file = connection.makefile("rb")
        for body in bodies:
            assert file.readline().startswith(b"HTTP/1.1 200 ")
            length = content_length(file)
            assert length == len(body)
            assert file.read(length) == body
        thread.join()


@pytest.fixture(scope="module")
def echoing() -> Iterator[int]:
    with serving_here(APP) as port:
        yield port
