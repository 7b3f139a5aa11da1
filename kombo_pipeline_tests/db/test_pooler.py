"""Everything works through pgbouncer in transaction mode, where each transaction may have another session."""

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from kombo_pipeline import settings
from kombo_pipeline.backoffice import app as backoffice
from kombo_pipeline.cli import main
from kombo_pipeline.db import embedded
from kombo_pipeline.db.connection import connect
from kombo_pipeline.local.stack import free_port
from kombo_pipeline.sandbox.world import World
from kombo_pipeline_tests.ingest.model import stored
from kombo_pipeline_tests.ingest.test_receiver import event, serving

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
SESSIONS = 4
"""Sessions of the pool."""
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(PGBOUNCER is None, reason="pgbouncer is not installed: apt-get install pgbouncer"),
]

LIVES = {"as it is": "", "told to ignore options": "ignore_startup_parameters = options,extra_float_digits"}


@contextmanager
def pgbouncer(url: str, directory: Path, more: str) -> Iterator[str]:
    """Serve a database through a pooler in transaction mode; yields the URL through it."""
    assert PGBOUNCER is not None
    parts, port = urlsplit(url), free_port(26432)
    (directory / "users.txt").write_text(f'"{parts.username}" "{parts.password}"\n')
    (directory / "pgbouncer.ini").write_text(
        f"[databases]\n* = host=127.0.0.1 port={parts.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
        f"listen_port = {port}\nunix_socket_dir =\nauth_type = plain\nauth_file = {directory}/users.txt\n"
        f"pool_mode = transaction\ndefault_pool_size = {SESSIONS}\nserver_tls_sslmode = disable\n{more}\n"
    )
    account: dict[str, Any] = {}
    if os.geteuid() == 0:
        # It refuses to run as root.
        nobody = pwd.getpwnam("nobody")
        for path in (directory, *directory.iterdir()):
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
        account = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen([PGBOUNCER, directory / "pgbouncer.ini"], stdout=log, stderr=log, **account)
    try:
        until = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None, (directory / "log").read_text()
                assert time.monotonic() < until
                time.sleep(0.05)
        yield parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{port}").geturl()
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(params=LIVES.values(), ids=LIVES)
def pooled(
    request: pytest.FixtureRequest, postgres_server: embedded.Server, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The URL of an empty database through a pooler, to which the environment points."""
    name = f"pooled_{uuid4().hex[:8]}"
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as admin:
        admin.execute(f"create database {name}")
        for key, value in (("client_encoding", "LATIN1"), ("DateStyle", "German"), ("TimeZone", "Asia/Tokyo")):
            admin.execute(f"alter database {name} set {key} = '{value}'")
    # Not below pytest's own directory, into which no other account can look.
    with (
        TemporaryDirectory(prefix="kombo-pgbouncer-") as directory,
        pgbouncer(postgres_server.url(name), Path(directory), request.param) as url,
    ):
        monkeypatch.setenv("KOMBO_BACKOFFICE_SECRET", "x" * 40)
        yield url
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as admin:
        admin.execute(f"drop database {name} with (force)")


def said(*arguments: str) -> str:
    result = CliRunner().invoke(main, list(arguments))
    assert result.exit_code == 0, result.output
    return result.stdout


def test_commands_receiver_and_back_office_work_through_a_pooler(
    pooled: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KOMBO_WAREHOUSE_URL", pooled)
    said("migrate")
    said("migrate")
    acme = world.add_integration(jobs=30, integration_id="greenhouse:acme")
    world.open_job(acme, name="Köln – 東京 €")
    world.sync(acme)
    for full in ((), (), ("--full",)):
        said("sync", acme, *full)
    with connect(pooled) as conn:
        assert "Köln – 東京 €" in {job["name"] for job in stored(conn, acme).values()}
        assert conn.execute("select current_setting('TimeZone') as zone").fetchone() == {"zone": "UTC"}
    with serving(pooled) as kombo:
        with ThreadPoolExecutor(8) as pool:
            answers = set(pool.map(lambda number: kombo.deliver(event(f"evt-{number}")), range(40)))
        assert (answers, kombo.health()) == ({200}, 200)
    with connect(pooled) as conn:
        assert conn.execute("select count(*) as n from raw.webhook_events").fetchone() == {"n": 40}
    said("user", "add", "ana", "--role", "admin", "--no-password")
    monkeypatch.setenv("KOMBO_BACKOFFICE_PROXY_HEADER", "X-User")
    with TestClient(backoffice.app(warehouse_url=pooled, settings=settings.load())) as browser:
        for path in ("/integrations", "/review", "/links", "/own-jobs", "/holds", "/history"):
            for _ in range(3):
                assert browser.get(path, headers={"X-User": "ana"}).status_code == 200, path
    said("forget", acme)


def test_sessions_that_change_hands_keep_what_the_statements_rely_on(pooled: str) -> None:
    def read(number: int) -> Any:
        with connect(pooled) as conn:
            found = []
            for _ in range(10):
                found.append(
                    conn.execute(
                        "select current_setting('client_encoding') as encoding, current_setting('DateStyle') as dates, "
                        "current_setting('TimeZone') as zone, 'ö–東' as text, timestamptz '2026-01-02 00:00+00' as at"
                    ).fetchone()
                )
                conn.commit()
            return {(row["encoding"], row["dates"], row["zone"], row["text"], row["at"].isoformat()) for row in found}

    with ThreadPoolExecutor(6) as pool:
        seen: set[Any] = set().union(*pool.map(read, range(6)))
    assert seen == {("UTF8", "ISO, MDY", "UTC", "ö–東", "2026-01-02T00:00:00+00:00")}


def test_nothing_of_ours_is_left_in_a_session_that_others_get(pooled: str) -> None:
    with connect(pooled, statement_timeout="3s") as conn:
        conn.execute("select 1")
    with psycopg.connect(pooled, prepare_threshold=None) as other:
        shown: Callable[[str], Any] = lambda name: other.execute(f"show {name}").fetchone()  # noqa: E731
        assert [shown(name) for name in ("statement_timeout", "idle_in_transaction_session_timeout")] == [
            ("0",),
            ("0",),
        ]
        assert shown("search_path") == ('"$user", public',)


def test_a_wrong_signature_is_still_refused_through_a_pooler(pooled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOMBO_WAREHOUSE_URL", pooled)
    said("migrate")
    with serving(pooled) as kombo:
        assert kombo.post(b"{}", {"X-Kombo-Signature": "no"}).status_code == 401
