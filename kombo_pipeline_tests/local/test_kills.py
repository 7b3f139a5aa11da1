"""kill -9: of one process while twenty integrations are in work, and of all processes at random for ten minutes."""

import base64
import json
import os
import random
import secrets
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import httpx
import psutil
import pytest

from kombo_pipeline.db import embedded
from kombo_pipeline.kombo.client import Kombo
from kombo_pipeline.sandbox.api import API_KEY
from kombo_pipeline_tests.local.test_up import Sender, Up, assert_copy_equals_kombo, until

INTEGRATIONS = 20
WITHIN_SECONDS = 60
pytestmark = [pytest.mark.long, pytest.mark.timeout(1500)]


@pytest.fixture(scope="module")
def session() -> Iterator[Up]:
    """An `up` with twenty customers, all of them fetched in full."""
    yield from started("--integrations", str(INTEGRATIONS), "--jobs", "600")


def started(*arguments: str) -> Iterator[Up]:
    """An `up` in a directory of its own, whose customers have been fetched and matched."""
    directory = Path(tempfile.mkdtemp(prefix="kombo-test-kills-"))
    directory.chmod(0o711)
    up = Up(directory, *arguments)
    try:
        until(lambda: "Ctrl-C stops everything" in up.output or up.process.poll() is not None, within=900)
        assert up.process.poll() is None, up.output
        yield up
    finally:
        print(up.output[-20_000:])
        for log in (up.data_dir / "logs").iterdir():
            print(f"{log.name} ends with\n{log.read_text(errors='replace')[-2_000:]}")
        if up.process.poll() is None:
            up.process.terminate()
            up.process.wait(timeout=60)
        for cluster in directory.rglob("pgdata"):
            embedded.stop(cluster.parent)
        shutil.rmtree(directory, ignore_errors=True)


def in_work(up: Up) -> set[str]:
    """The integrations that a live lease says are being fetched or applied."""
    with up.connect() as conn:
        rows = conn.execute(IN_WORK).fetchall()
    return {row["integration_id"] for row in rows}


def applied_since(up: Up, moment: object) -> dict[str, int]:
    """How many fetches that began after a moment have been applied, by integration."""
    with up.connect() as conn:
        rows = conn.execute(
            "select integration_id, count(*) as n from raw.fetches "
            "where status = 'applied' and applied_at >= %s group by integration_id",
            (moment,),
        ).fetchall()
    return {row["integration_id"]: row["n"] for row in rows}


def kill_a_worker(up: Up) -> None:
    worker: psutil.Process = until(lambda: next(iter(up.run_workers()), None), within=60)
    worker.send_signal(signal.SIGKILL)


def kill_every_worker(up: Up) -> None:
    for worker in up.run_workers():
        os.kill(worker.pid, signal.SIGKILL)


@pytest.mark.parametrize(
    "kill", [kill_a_worker, kill_every_worker, lambda up: up.kill("daemon"), Up.kill_postgres], ids=[
        "a worker", "every worker", "the daemon", "the database",
    ],
)  # fmt: skip
def test_what_was_in_work_is_applied_within_a_minute_of_the_restart(session: Up, kill: Callable[[Up], None]) -> None:
    # Nothing is left over from what was killed before; the customers themselves go on working.
    until(lambda: session.number(EXPIRED) == 0, within=400)
    with session.connect() as conn:
        ids = [row["integration_id"] for row in conn.execute("select integration_id from core.integrations")]
        [moment] = conn.execute("select clock_timestamp() as now").fetchall()
    for integration_id in ids:
        httpx.post(f"{session.address('Sandbox')}/integrations/{integration_id}/sync").raise_for_status()
    victims: set[str] = until(lambda: len(found := in_work(session)) >= 2 and found, within=120)
    kill(session)
    restarted = time.monotonic()
    until(lambda: victims <= applied_since(session, moment["now"]).keys(), within=400)
    seconds = time.monotonic() - restarted
    print(f"{len(victims)} integrations in work, applied {seconds:.1f} s after the restart")
    assert seconds <= WITHIN_SECONDS
    until(lambda: set(ids) <= applied_since(session, moment["now"]).keys(), within=600)
    print(f"all {len(ids)} applied {time.monotonic() - restarted:.1f} s after the restart")
    until(lambda: session.number(EXPIRED) == 0, within=400)
    assert session.number(GAPS) == 0, "a change was written twice, or one is missing"


class Product(BaseHTTPRequestHandler):
    """Hears notices, and fails at some of them."""

    heard: ClassVar[defaultdict[bytes, set[str]]] = defaultdict(set)
    """The ids under which each body came."""
    fails: ClassVar[bool] = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.heard[body].add(self.headers["webhook-id"])
        self.send_response(500 if self.fails and len(self.heard) % 7 == 0 and random.random() < 0.5 else 204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Up]:
    """An `up` of its own that tells a product, with all its customers fetched."""
    product = ThreadingHTTPServer(("127.0.0.1", 0), Product)
    threading.Thread(target=product.serve_forever, daemon=True).start()
    monkeypatch.setenv("KOMBO_NOTICE_URL", f"http://127.0.0.1:{product.server_port}/")
    monkeypatch.setenv("KOMBO_NOTICE_SECRET", f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}")
    yield from started("--integrations", "6", "--jobs", "120")
    product.shutdown()


def test_ten_minutes_of_kills_at_random_lose_nothing_and_repeat_nothing(killed: Up) -> None:
    """Every process of `up` but the sandbox, which stands for Kombo, and `up` itself, which starts the others again."""
    control = killed.address("Sandbox")
    customers = [each["id"] for each in httpx.get(control).json()["integrations"]]
    dice = random.Random(secrets.randbits(32))
    killings: Counter[str] = Counter()
    waiting: list[str] = []
    until_then = time.monotonic() + KILLING_SECONDS
    with Sender(killed, customers) as sender:
        while time.monotonic() < until_then:
            waiting = waiting or dice.sample(VICTIMS, len(VICTIMS))
            name = waiting.pop()
            with suppress(OSError, psutil.Error, KeyError, json.JSONDecodeError):
                os.kill(victim(killed, name, dice), signal.SIGKILL)
                killings[name] += 1
            # Slower than `up` gives a process up: five restarts in a minute.
            time.sleep(dice.uniform(1, 6))
        assert killed.process.poll() is None, killed.output
        healthz = killed.address("Receiver").replace("webhooks/kombo", "healthz")
        until(lambda: killed.process.poll() is not None or httpx.get(healthz).is_success)
        assert killed.process.poll() is None, killed.output
        acknowledged = len(sender.acknowledged)
        until(lambda: len(sender.acknowledged) > acknowledged + 20)
    print(f"{killings.total()} kills: {dict(killings)}; {len(sender.acknowledged)} deliveries acknowledged")
    assert set(killings) == set(VICTIMS)

    httpx.post(f"{control.removesuffix('/')}/live", json={"action": "pause"}).raise_for_status()
    customers = [each["id"] for each in httpx.get(control).json()["integrations"]]
    for integration_id in customers:
        httpx.post(f"{control}/integrations/{integration_id}/sync", json={}, timeout=10).raise_for_status()
        sender.send(f"the last of {integration_id}", integration_id)
    with killed.connect() as conn:
        [moment] = conn.execute("select clock_timestamp() as now").fetchall()

    landed = "select count(*) from raw.webhook_events where event_id = any(%s)"
    assert killed.number(landed, sender.acknowledged) == len(set(sender.acknowledged))
    until(lambda: killed.number(WAITING, customers) == 0, within=400)
    until(lambda: not in_work(killed), within=120)
    with killed.connect() as conn, Kombo(api_url=control.replace("sandbox", "v1"), api_key=API_KEY) as kombo:
        for integration_id in customers:
            assert_copy_equals_kombo(conn, kombo, integration_id)
    until(lambda: killed.number("select count(*) from core.leases") == 0, within=400)
    assert killed.number(GAPS) == 0, "a change was written twice, or one is missing"
    Product.fails = False
    with killed.connect() as conn:
        # What failed twice pauses for half an hour; the back office can send it at once, as is done here.
        conn.execute("update core.notices set next_attempt_at = now() where delivered_at is null")
    until(lambda: killed.number(UNSENT, moment["now"]) == 0, within=400)
    assert Product.heard, "the product was told something"
    assert {len(ids) for ids in Product.heard.values()} == {1}, "a notice came under two ids"
    with killed.connect() as conn:
        told = {row["notice_id"] for row in conn.execute(TOLD).fetchall()}
    assert told <= {id_ for ids in Product.heard.values() for id_ in ids}, "delivered, and never heard"


@pytest.fixture
def alone() -> Iterator[Up]:
    """An `up` of its own with one customer."""
    yield from started("--integrations", "1", "--jobs", "10")


def test_a_database_that_comes_back_on_another_port_ends_everything_with_a_word(alone: Up) -> None:
    """All processes look for it where it was, so nothing would work any more."""
    server = embedded.status(alone.data_dir / "postgres")
    assert server is not None
    postmaster = int((alone.data_dir / "postgres/pgdata/postmaster.pid").read_text().split()[0])
    alone.process.send_signal(signal.SIGSTOP)
    os.kill(postmaster, signal.SIGKILL)
    until(lambda: not psutil.pid_exists(postmaster))
    with socket.create_server(("127.0.0.1", server.port)):
        alone.process.send_signal(signal.SIGCONT)
        assert alone.process.wait(timeout=120) == 1, alone.output
    assert "another program has taken its port" in alone.output
    until(lambda: not [each for each in alone.alive() if "postgres" not in each])


def victim(up: Up, name: str, dice: random.Random) -> int:
    """A process of that kind."""
    if name == "worker":
        return int(dice.choice(up.run_workers() or [psutil.Process(up.pid("code-server"))]).pid)
    if name == "database":
        server = psutil.Process(int((up.data_dir / "postgres/pgdata/postmaster.pid").read_text().split()[0]))
        return int(dice.choice([server, *server.children()]).pid)
    return up.pid(name)


KILLING_SECONDS = 600
VICTIMS = ("receiver", "backoffice", "webserver", "daemon", "code-server", "database", "worker")
WAITING = """
    select count(*)
    from raw.webhook_events
    where handled_at is null and (starts_fetch is null or integration_id = any(%s))
"""
UNSENT = """
    select count(*)
    from core.notices
    where delivered_at is null and dead_at is null and created_at < %s
"""
TOLD = """
    select notice_id::text as notice_id
    from core.notices
    where delivered_at is not null
"""
IN_WORK = "select integration_id from core.leases where until > clock_timestamp() and work in ('fetch', 'apply')"
EXPIRED = "select count(*) from core.leases where until < clock_timestamp()"
GAPS = (
    "select count(*) from (select old_value, lag(new_value) over w as before, row_number() over w as place "
    "from core.job_changes where field = 'lifecycle' "
    "window w as (partition by integration_id, kombo_job_id order by change_id)) history "
    "where place > 1 and old_value is distinct from before"
)
