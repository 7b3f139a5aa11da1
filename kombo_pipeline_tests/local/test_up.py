"""`up` and `down` as a user runs them: real processes, a data directory of their own, whatever ports are free."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest

from kombo_pipeline.db import embedded
from kombo_pipeline.db.connection import Connection, connect
from kombo_pipeline.kombo.client import Kombo
from kombo_pipeline.kombo.errors import KomboRefused
from kombo_pipeline.kombo.webhooks import sign
from kombo_pipeline.sandbox.api import API_KEY
from kombo_pipeline.sandbox.deliveries import WEBHOOK_SECRET
from kombo_pipeline.settings import BACKOFFICE_PORT, RECEIVER_PORT, SANDBOX_PORT, WEBSERVER_PORT
from kombo_pipeline_tests.ingest.model import as_stored, stored

REPOSITORY = Path(__file__).parents[2]
WORLD = ("--jobs", "200", "--integrations", "3")
# What `updated_after` does not report (Kombo's docs): these lists are repaired by a full fetch.
NOT_INCREMENTAL = ("stages", "hiring_team")
pytestmark = pytest.mark.timeout(900)


def until(condition: Callable[[], Any], *, within: float = 180) -> Any:
    """What a condition gives once it is true; processes come and go while it is asked."""
    deadline = time.monotonic() + within
    while True:
        with suppress(psutil.Error, psycopg.OperationalError, httpx.HTTPError, OSError):
            if result := condition():
                return result
        assert time.monotonic() < deadline, f"{condition} did not come true"
        time.sleep(0.1)


class Up:
    """A `kombo-pipeline up`, seen from outside."""

    def __init__(self, data_dir: Path, *arguments: str) -> None:
        self.data_dir = data_dir
        self._log = data_dir / "up.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "kombo_pipeline", "up", *WORLD, *arguments],
                cwd=REPOSITORY,
                env=os.environ | {"KOMBO_DATA_DIR": str(data_dir), "COLUMNS": "200"},
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )

    @property
    def output(self) -> str:
        return self._log.read_text()

    def address(self, name: str) -> str:
        """The URL that `up` printed for a process."""
        return next(line.split()[1] for line in self.output.splitlines() if line.startswith(f"{name} "))

    def pid(self, name: str) -> int:
        """The process of the stack that bears a name at the moment."""
        return int(json.loads((self.data_dir / "up.json").read_text())["processes"][name])

    def alive(self) -> list[str]:
        """The command lines of every process that knows this data directory, `up` and Postgres among them."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                told = process.environ().get("KOMBO_DATA_DIR") == str(self.data_dir)
                if (told or str(self.data_dir) in process.cmdline()) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(" ".join(process.cmdline()))
        return found

    def run_workers(self) -> list[psutil.Process]:
        """Processes that execute a Dagster run."""
        server = psutil.Process(self.pid("code-server"))
        return [p for p in server.children(recursive=True) if "spawn_main" in " ".join(p.cmdline())]

    def kill(self, name: str) -> None:
        """`kill -9` a process of the stack and wait until another has taken its place."""
        before = self.pid(name)
        os.kill(before, signal.SIGKILL)
        until(lambda: self.pid(name) != before)

    def kill_postgres(self) -> None:
        """`kill -9` the database server and wait until `up` has started it again."""
        pid_file = self.data_dir / "postgres" / "pgdata" / "postmaster.pid"
        before = pid_file.read_text()
        os.kill(int(before.split()[0]), signal.SIGKILL)
        until(lambda: pid_file.read_text() != before and embedded.status(self.data_dir / "postgres"))

    def connect(self) -> Connection:
        assert self.process.poll() is None, self.output
        server = embedded.status(self.data_dir / "postgres")
        if server is None:
            raise psycopg.OperationalError("Postgres is being started again")
        return connect(server.url("warehouse"))

    def number(self, query: str, *parameters: Any) -> int:
        with self.connect() as conn:
            row = conn.execute(query, parameters).fetchone()
        assert row is not None
        return int(next(iter(row.values())))


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A directory that any account can enter; whatever server is started below it is stopped."""
    directory = Path(tempfile.mkdtemp(prefix="kombo-test-up-"))
    directory.chmod(0o711)
    yield directory
    for cluster in directory.rglob("pgdata"):
        embedded.stop(cluster.parent)
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def default_ports_are_taken() -> Iterator[None]:
    with ExitStack() as stack:
        for port in (RECEIVER_PORT, SANDBOX_PORT, WEBSERVER_PORT, BACKOFFICE_PORT, 4266):
            with suppress(OSError):  # somebody else's, then it is taken all the same
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
        yield


def test_up_once_shows_what_landed_and_leaves_nothing_running(place: Path, default_ports_are_taken: None) -> None:
    (place / "once").mkdir(mode=0o711)
    up = Up(place / "once", "--once", "--integrations", "3", "--jobs", "1200")
    assert up.process.wait(timeout=500) == 0, up.output
    assert "What landed" in up.output
    summary = up.output[up.output.index("What landed") :]
    assert summary.count("healthy") + summary.count("needs attention") + summary.count("failing") >= 3, up.output
    assert all(column in summary for column in ("Own jobs", "Linked", "To review")), up.output
    assert int(re.findall(r"([\d,]+) own jobs", up.output)[-1].replace(",", "")) > 100, up.output
    assert f":{RECEIVER_PORT}/" not in up.output
    until(lambda: not up.alive(), within=60)
    assert embedded.status(up.data_dir / "postgres") is None
    assert not (up.data_dir / "up.json").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_who_interrupts_the_start_or_closes_the_terminal_leaves_nothing_running(place: Path, number: int) -> None:
    (place / str(number)).mkdir(mode=0o711)
    up = Up(place / str(number))
    until(lambda: "Receiver" in up.output)
    up.process.send_signal(number)
    assert up.process.wait(timeout=100) == 0, up.output
    until(lambda: not up.alive())
    assert embedded.status(up.data_dir / "postgres") is None


@pytest.fixture(scope="module")
def session(place: Path) -> Iterator[Up]:
    """An `up` that has landed its customers and goes on."""
    (place / "session").mkdir(mode=0o711)
    up = Up(place / "session", "--integrations", "3", "--jobs", "40")
    try:
        until(lambda: "Ctrl-C stops everything" in up.output or up.process.poll() is not None, within=500)
        assert up.process.poll() is None, up.output
        yield up
    finally:
        if up.process.poll() is None:
            up.process.terminate()
            up.process.wait(timeout=40)


def test_nobody_else_can_look_into_what_up_makes(session: Up) -> None:
    opened = {
        str(path.relative_to(session.data_dir.parent)): oct(path.stat().st_mode & 0o777)
        for path in (session.data_dir, *session.data_dir.iterdir(), *(session.data_dir / "postgres").iterdir())
        if path.is_dir() and path.stat().st_mode & 0o066
    }
    assert opened == {}
    closed = ("logs", "dagster", "postgres/pgdata", "postgres/log", "postgres/run")
    assert {(session.data_dir / name).stat().st_mode & 0o777 for name in closed} == {0o700}


def test_the_link_that_up_prints_signs_the_first_user_in_once(session: Up) -> None:
    [line] = [line for line in session.output.splitlines() if line.startswith("Back office ")]
    link = line.split()[-1]
    origin, token = link.partition("/login?token=")[::2]
    password = session.data_dir / "backoffice-password"
    for kept in (password, session.data_dir / "backoffice-secret"):
        assert kept.stat().st_mode & 0o777 == 0o600
        assert kept.read_text().strip() not in session.output
    with httpx.Client(base_url=origin, headers={"Sec-Fetch-Site": "same-origin"}) as client:
        assert client.get("/").headers["location"] == "/login"
        assert client.get(link).is_success
        assert client.post("/login", data={"token": token}).headers["location"] == "/"
        assert client.get("/").headers["location"] == "/review"
        assert client.post("/login", data={"token": token}).status_code == 401
        signed_in = client.post("/login", data={"name": "admin", "password": password.read_text().strip()})
        assert signed_in.headers["location"] == "/"


def test_what_up_serves_without_a_sign_in_refuses_the_pages_of_other_sites(session: Up) -> None:
    dagster, sandbox = session.address("Dagster"), session.address("Sandbox")
    mutation = "mutation {reloadWorkspace {__typename}}"
    assert httpx.get(f"{dagster}/graphql", params={"query": mutation}).status_code == 405
    assert httpx.post(f"{dagster}/graphql", json={"query": mutation}, timeout=60).status_code == 200
    for url in (f"{dagster}/graphql", f"{sandbox}/integrations"):
        form = {"Content-Type": "text/plain", "Origin": "null"}
        for foreign in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}, form):
            headers = {"Content-Type": "application/json"} | foreign
            assert httpx.post(url, content=b"{}", headers=headers).status_code in (403, 415)


class Sender(threading.Thread):
    """Somebody who goes on sending webhooks, and remembers which of them were acknowledged."""

    def __init__(self, up: Up, integration_ids: list[str]) -> None:
        super().__init__(daemon=True)
        self._url, self._integration_ids = up.address("Receiver"), integration_ids
        self._stopped = threading.Event()
        self.acknowledged: list[str] = []
        self.refused = 0

    def run(self) -> None:
        number = 0
        while not self._stopped.wait(0.05):
            number += 1
            integration_id = self._integration_ids[number % len(self._integration_ids)]
            self.send(f"sender-{number}", integration_id)

    def send(self, event_id: str, integration_id: str) -> None:
        data = {
            "integration_id": integration_id,
            "integration_category": "ATS",
            "changed_models": [{"name": "ats_jobs"}],
        }
        body = json.dumps({"id": event_id, "type": "data-changed", "data": data}).encode()
        try:
            answer = httpx.post(
                self._url, content=body, headers={"X-Kombo-Signature": sign(WEBHOOK_SECRET, body)}, timeout=5
            )
        except httpx.HTTPError:
            self.refused += 1
            return
        if answer.status_code < 300:
            self.acknowledged.append(event_id)

    def __enter__(self) -> "Sender":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self.join()


def test_a_second_up_on_the_same_directory_is_refused_in_one_line(session: Up) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "kombo_pipeline", "up"],
        cwd=REPOSITORY,
        env=os.environ | {"KOMBO_DATA_DIR": str(session.data_dir)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert second.returncode == 1
    assert f"runs already (process {session.process.pid})" in second.stderr
    assert second.stderr.count("\n") == 1
    assert session.process.poll() is None


@pytest.mark.long
def test_whatever_is_killed_everything_is_caught_up_and_no_acknowledged_event_is_lost(session: Up) -> None:
    control = session.address("Sandbox")
    customers = [each["id"] for each in httpx.get(control).json()["integrations"]]
    ghost = "greenhouse:unknownToKombo"
    refused = "select count(*) from raw.fetches where integration_id = %s and status = 'refused'"
    with Sender(session, customers) as sender:
        sender.send("for-the-ghost", ghost)
        until(lambda: session.number(refused, ghost) == 1)
        session.kill("daemon")
        until(session.run_workers)[0].kill()
        session.kill("receiver")
        until(lambda: httpx.get(session.address("Receiver").replace("webhooks/kombo", "healthz")).is_success)
        session.kill("code-server")
        session.kill_postgres()
        restarted = len(sender.acknowledged)
        until(lambda: len(sender.acknowledged) > restarted + 20)
    assert sender.refused, "the receiver was never away"

    httpx.post(f"{control.removesuffix('/')}/live", json={"action": "pause"}).raise_for_status()
    customers = [each["id"] for each in httpx.get(control).json()["integrations"]]
    for integration_id in customers:
        httpx.post(f"{control}/integrations/{integration_id}/sync", json={}, timeout=10).raise_for_status()
    told = [f"sync {integration_id}" for integration_id in customers]
    for event_id, integration_id in zip(told, customers, strict=True):
        sender.send(event_id, integration_id)  # should the sandbox's own webhook not have arrived
    assert set(told) <= set(sender.acknowledged)

    landed = "select count(*) from raw.webhook_events where event_id = any(%s)"
    assert session.number(landed, sender.acknowledged) == len(set(sender.acknowledged))
    waiting = (
        "select count(*) from raw.webhook_events e where handled_at is null and (starts_fetch is null "
        "or integration_id = any(%s))"
    )
    until(lambda: session.number(waiting, customers) == 0, within=400)
    with session.connect() as conn, Kombo(api_url=control.replace("sandbox", "v1"), api_key=API_KEY) as kombo:
        for integration_id in customers:
            assert_copy_equals_kombo(conn, kombo, integration_id)

    # Dagster drops a request whose run key it has seen: the refused fetch is not repeated at each tick.
    assert session.number(refused, ghost) == 1
    sender.send("for-the-ghost-again", ghost)
    until(lambda: session.number(refused, ghost) == 2)


def assert_copy_equals_kombo(conn: Connection, kombo: Kombo, integration_id: str) -> None:
    theirs: dict[str, dict[str, Any]] = {}
    with suppress(KomboRefused):  # deleted in the meantime
        theirs = {
            r["id"]: r for page in kombo.job_pages(integration_id) for r in map(json.loads, map(bytes, page.records))
        }
    ours = stored(conn, integration_id)
    assert theirs.keys() == ours.keys()
    assert len(theirs) > 0
    for job_id, record in theirs.items():
        wanted = as_stored(record, ours[job_id])
        compared = ours[job_id].keys() - set(NOT_INCREMENTAL)
        assert {key: ours[job_id][key] for key in compared} == {key: wanted[key] for key in compared}


def test_after_kill_9_of_up_itself_down_cleans_up(session: Up) -> None:
    session.process.kill()
    session.process.wait(timeout=10)
    assert len(session.alive()) > 5
    down = subprocess.run(
        [sys.executable, "-m", "kombo_pipeline", "down"],
        cwd=REPOSITORY,
        env=os.environ | {"KOMBO_DATA_DIR": str(session.data_dir)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert down.returncode == 0, down.stderr
    for name in ("receiver", "backoffice", "code-server", "daemon", "webserver", "sandbox", "postgres"):
        assert name in down.stdout
    until(lambda: not session.alive(), within=60)
    assert embedded.status(session.data_dir / "postgres") is None
