"""Every connection has the settings that statements rely on, whatever environment, database or role say."""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from kombo_pipeline import settings
from kombo_pipeline.backoffice import app as backoffice
from kombo_pipeline.cli import main
from kombo_pipeline.db import embedded, urls
from kombo_pipeline.db.connection import Session, UnsuitableDatabaseError, connect, connect_async, with_driver
from kombo_pipeline.db.migrate import migrate
from kombo_pipeline.sandbox.world import World
from kombo_pipeline_tests.ingest.model import stored

HOSTILE = {
    "client_encoding": "LATIN1",
    "DateStyle": "German",
    "IntervalStyle": "sql_standard",
    "TimeZone": "America/New_York",
    "standard_conforming_strings": "off",
    "search_path": "pg_temp, evil",
    "default_transaction_isolation": "serializable",
    "extra_float_digits": "-15",
    "array_nulls": "off",
    "transform_null_equals": "on",
}
ENVIRONMENTS = {
    "PGCLIENTENCODING": {"PGCLIENTENCODING": "LATIN1"},
    "PGCLIENTENCODING of SQL_ASCII": {"PGCLIENTENCODING": "SQL_ASCII"},
    "PGDATESTYLE": {"PGDATESTYLE": "German"},
    "PGTZ": {"PGTZ": "Asia/Tokyo"},
    "PGOPTIONS": {
        "PGOPTIONS": " ".join("-c {}={}".format(key, value.replace(" ", "\\ ")) for key, value in HOSTILE.items())
    },
}
READ = """
select 'Köln 日本 €' as text, timestamptz '2026-01-02 03:04:05.678+00' as at, date '2026-03-04' as day,
    interval '1 day 02:03:04' as span, 0.1::double precision + 0.2::double precision as sum,
    '{null}'::text[] as nulls, '\\n' as backslash, (null = 1) as compared,
    current_setting('search_path') as path, current_setting('transaction_isolation') as isolation
"""
WANTED = {
    "text": "Köln 日本 €",
    "at": datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC),
    "day": datetime(2026, 3, 4).date(),
    "span": timedelta(days=1, hours=2, minutes=3, seconds=4),
    "sum": 0.1 + 0.2,
    "nulls": [None],
    "backslash": "\\n",
    "compared": None,
    "path": "",
    "isolation": "read committed",
}


async def _read_async(url: str) -> Any:
    conn = await connect_async(url, name="test", settings={}, row_factory=psycopg.rows.dict_row)
    async with conn:
        return await (await conn.execute(READ)).fetchone()


def read_by_connect(url: str) -> Any:
    with connect(url) as conn:
        return conn.execute(READ).fetchone()


def read_by_the_back_office(url: str) -> Any:
    environment = settings.load()
    pool = backoffice.app(warehouse_url=url, settings=environment).state.pool
    with closing(pool):
        pool.open()
        with pool.connection() as conn:
            return conn.execute(READ).fetchone()


WAYS: dict[str, Callable[[str], Any]] = {
    "connect": read_by_connect,
    "the receiver": lambda url: asyncio.run(_read_async(url)),
    "the back office": read_by_the_back_office,
}


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOMBO_BACKOFFICE_SECRET", "x" * 40)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("environment", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_no_environment_changes_what_is_read(
    warehouse_url: str, secret: None, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], way: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert WAYS[way](warehouse_url) == WANTED


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("whose", ["database", "role"])
def test_no_setting_of_the_database_or_the_role_changes_what_is_read(
    postgres_server: embedded.Server, warehouse_url: str, secret: None, whose: str, way: str
) -> None:
    name = urlsplit(warehouse_url).path[1:]
    role = f"member_{uuid4().hex[:8]}"
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as admin:
        admin.execute(f"create role {role} login superuser password 'member'")
        for key, value in HOSTILE.items():
            target = f"database {name}" if whose == "database" else f"role {role}"
            admin.execute(f"alter {target} set {key} = {value if key == 'search_path' else repr(value)}")
        parts = urlsplit(warehouse_url)
        url = parts._replace(netloc=f"{role}:member@{parts.netloc.rpartition('@')[2]}").geturl()
        try:
            assert WAYS[way](url) == WANTED
        finally:
            admin.execute(f"drop role {role}")


def test_names_arrive_unharmed_and_everything_runs_in_a_hostile_environment(
    world: World, warehouse_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(warehouse_url, autocommit=True) as admin:
        name = urlsplit(warehouse_url).path[1:]
        for key, value in HOSTILE.items():
            admin.execute(f"alter database {name} set {key} = {value if key == 'search_path' else repr(value)}")
    for environment in ENVIRONMENTS.values():
        for key, value in environment.items():
            monkeypatch.setenv(key, value)
    acme = world.add_integration(jobs=6, integration_id="greenhouse:acme")
    world.open_job(acme, name="Köln – 東京 €")
    world.sync(acme)
    for command in (["migrate"], ["sync", acme], ["sync", acme, "--full"], ["replay"], ["release", "closure"]):
        result = CliRunner().invoke(main, command)
        assert result.exit_code == 0, result.output
    with connect(warehouse_url) as conn:
        assert "Köln – 東京 €" in {job["name"] for job in stored(conn, acme).values()}


def test_what_the_user_says_in_the_url_or_in_pgoptions_is_kept(
    warehouse_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = "select current_setting('work_mem') as memory, current_setting('application_name') as name"
    own = f"{warehouse_url}?application_name=crm&options=-c%20work_mem%3D5MB"
    monkeypatch.setenv("PGOPTIONS", "-c work_mem=7MB")
    for url, expected in ((own, {"memory": "5MB", "name": "crm"}), (warehouse_url, {"memory": "7MB", "name": "x"})):
        with connect(url, name="x") as conn:
            assert conn.execute(shown).fetchone() == expected
    monkeypatch.setenv("PGAPPNAME", "by environment")
    with connect(warehouse_url) as conn:
        assert conn.info.parameter_status("application_name") == "by environment"


# -- databases that will not do


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1", "EUC_JP"])
def test_a_database_that_is_not_utf8_is_refused_in_one_line_before_anything_is_done(
    postgres_server: embedded.Server, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    name = f"other_{uuid4().hex[:8]}"
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as admin:
        admin.execute(
            f"create database {name} encoding '{encoding}' locale 'C' locale_provider libc template template0"
        )
        monkeypatch.setenv("KOMBO_WAREHOUSE_URL", postgres_server.url(name))
        for command in (["migrate"], ["replay"], ["sync", "greenhouse:acme"]):
            result = CliRunner().invoke(main, command)
            assert result.exit_code == 1
            [line] = result.stderr.splitlines()
            assert encoding in line
            assert "encoding 'UTF8'" in line
        with psycopg.connect(postgres_server.url(name)) as conn:
            assert conn.execute("select count(*) from pg_namespace where nspname = 'raw'").fetchone() == (0,)
        admin.execute(f"drop database {name} with (force)")


@contextmanager
def server_of_version(version: str) -> Iterator[str]:
    """A server that lets everybody in, says its version and answers nothing more."""

    def message(kind: bytes, body: bytes) -> bytes:
        return kind + struct.pack("!i", len(body) + 4) + body

    def status(name: str, value: str) -> bytes:
        return message(b"S", f"{name}\0{value}\0".encode())

    welcome = (
        message(b"R", struct.pack("!i", 0)) + status("server_version", version) + status("server_encoding", "UTF8")
    )
    welcome += status("client_encoding", "UTF8") + message(b"K", struct.pack("!ii", 1, 2)) + message(b"Z", b"I")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                with client:
                    size = struct.unpack("!i", client.recv(4))[0]
                    client.recv(size - 4)
                    client.sendall(welcome)
                    client.recv(1024)

        threading.Thread(target=serve, daemon=True).start()
        yield f"postgresql://me@127.0.0.1:{listener.getsockname()[1]}/warehouse?sslmode=disable&gssencmode=disable"


@pytest.mark.parametrize("version", ["9.6.24", "13.4", "14.22 (Debian 14.22-1)"])
@pytest.mark.parametrize("command", [["migrate"], ["replay"], ["release", "closure"]], ids=" ".join)
def test_a_postgres_that_is_too_old_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, version: str, command: list[str]
) -> None:
    with server_of_version(version) as url:
        monkeypatch.setenv("KOMBO_WAREHOUSE_URL", url)
        result = CliRunner().invoke(main, command)
    assert result.exit_code == 1
    [line] = result.stderr.splitlines()
    assert f"Postgres {version.partition('.')[0]};" in line
    assert "15 or newer" in line


def test_an_unsuitable_database_counts_as_one_that_cannot_be_used() -> None:
    assert issubclass(UnsuitableDatabaseError, psycopg.OperationalError)


@pytest.mark.parametrize("may_connect_only", [True, False], ids=["no right at all", "a schema but not public"])
def test_a_role_without_the_rights_to_migrate_is_told_in_one_line_what_to_grant(
    postgres_server: embedded.Server, monkeypatch: pytest.MonkeyPatch, may_connect_only: bool
) -> None:
    name = f"weak_{uuid4().hex[:8]}"
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as admin:
        admin.execute(f"create role {name} login password 'weak'")
        admin.execute(f"create database {name}")
        if not may_connect_only:
            admin.execute(f"grant create on database {name} to {name}")
        host = postgres_server.url(name).rpartition("@")[2]
        monkeypatch.setenv("KOMBO_WAREHOUSE_URL", f"postgresql://{name}:weak@{host}")
        result = CliRunner().invoke(main, ["migrate"])
        assert result.exit_code == 1
        [line] = result.stderr.splitlines()
        assert f"Role {name} may not migrate" in line
        assert f"grant create on schema public to {name}" in line
        assert "weak@" not in line
        admin.execute(f"drop database {name} with (force)")
        admin.execute(f"drop role {name}")


# -- URLs


def two_hosts(url: str, **parameters: str) -> str:
    """The URL with a server in front of it that is not there."""
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    query = "&".join(f"{name}={value}" for name, value in parameters.items())
    return parts._replace(netloc=f"{user}@127.0.0.1:1,{host}", query=query).geturl()


def test_a_url_of_several_hosts_reaches_the_one_that_answers(warehouse_url: str) -> None:
    url = two_hosts(warehouse_url, target_session_attrs="read-write", application_name="ours")
    migrate(url)
    for spelling in ("postgres://", "postgresql+psycopg2://"):
        with connect(url.replace("postgresql://", spelling)) as conn:
            assert conn.info.parameter_status("application_name") == "ours"
    engine = sa.create_engine(with_driver(url, "psycopg2"), poolclass=sa.NullPool)
    with engine.connect() as conn:
        assert conn.exec_driver_sql("select current_setting('application_name')").scalar() == "ours"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u:p@a:1,b:2/db", "postgresql+psycopg2://u:p@/db?host=a,b&port=1,2"),
        ("postgresql://u:p@a,b/db", "postgresql+psycopg2://u:p@/db?host=a,b&port=5432,5432"),
        ("postgres://u@a,b:2/db?sslmode=require", "postgresql+psycopg2://u@/db?sslmode=require&host=a,b&port=5432,2"),
        ("postgresql://u:p%40%2F%3A@a,b/db", "postgresql+psycopg2://u:p%40%2F%3A@/db?host=a,b&port=5432,5432"),
        ("postgresql://u:p@[::1]:1,[::2]:2/db", "postgresql+psycopg2://u:p@/db?host=::1,::2&port=1,2"),
        ("postgresql://u:p@a:1/db?options=-c%20x%3Dy", "postgresql+psycopg2://u:p@a:1/db?options=-c%20x%3Dy"),
    ],
)
def test_sqlalchemy_gets_several_hosts_in_the_query(url: str, expected: str) -> None:
    found = with_driver(url, "psycopg2")
    assert sa.make_url(found) == sa.make_url(expected)


def test_dagsters_storage_takes_several_hosts_and_its_options(
    postgres_server: embedded.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dagster_postgres.run_storage import PostgresRunStorage

    name = f"dagster_{uuid4().hex[:8]}"
    url = embedded.ensure_database(postgres_server, name)
    monkeypatch.setenv("KOMBO_DAGSTER_URL", two_hosts(url, options="-c%20work_mem%3D5MB"))
    storage = PostgresRunStorage.create_clean_storage(urls.dagster_url(settings.load()))
    assert storage.get_runs() == []
    with storage.connect() as conn:
        assert conn.exec_driver_sql("select current_setting('work_mem')").scalar() == "5MB"
        assert conn.exec_driver_sql("show client_encoding").scalar() == "UTF8"
    storage.dispose()


@pytest.mark.parametrize(
    "environment",
    [
        {"PGSSLMODE": "require"},
        {"PGSSLMODE": "verify-full"},
        {"PGCHANNELBINDING": "require"},
        {"PGHOSTADDR": "192.0.2.1"},
        {"PGTARGETSESSIONATTRS": "standby"},
        {"PGSSLMODE": "require", "PGCLIENTENCODING": "LATIN1"},
    ],
    ids=str,
)
def test_the_environment_of_another_server_keeps_nobody_from_the_embedded_one(
    postgres_server: embedded.Server, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    monkeypatch.setenv("KOMBO_DATA_DIR", str(Path(postgres_server.data_dir).parent))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = settings.load()
    with connect(urls.warehouse_url(found)) as conn:
        assert conn.execute("select 1 as one").fetchone() == {"one": 1}
    with sa.create_engine(urls.dagster_url(found), poolclass=sa.NullPool).connect() as engine:
        assert engine.exec_driver_sql("select 1").scalar() == 1


def test_statements_are_never_prepared_since_a_pooler_hands_them_to_other_sessions(warehouse_url: str) -> None:
    with Session.connect(warehouse_url, settings={}) as conn:
        assert conn.prepare_threshold is None
