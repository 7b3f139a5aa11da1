"""Any number of processes may migrate at any time; what is killed half-way leaves nothing."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from alembic import command

from kombo_pipeline.db import embedded
from kombo_pipeline.db import migrate as migrations
from kombo_pipeline.db.connection import connect, redacted, with_driver
from kombo_pipeline.db.migrate import SchemaError, migrate, newest_revision
from kombo_pipeline_tests.linking.told import Product, assert_told, targets_by

SPELLINGS = ("postgres://", "postgresql://", "postgresql+psycopg://", "postgresql+psycopg2://", "postgres+asyncpg://")
OBJECTS = "select oid, relname from pg_class where relnamespace in ({}) order by oid".format(
    "select oid from pg_namespace where nspname in ('raw', 'core', 'marts')"
)


def current_revision(url: str) -> str | None:
    """The revision of the warehouse at `url`; None when it was never migrated."""
    with psycopg.connect(url) as conn:
        if conn.execute("select to_regclass('kombo_pipeline_revision')").fetchone() == (None,):
            return None
        row = conn.execute("select version_num from kombo_pipeline_revision").fetchone()
    return row[0] if row else None


@pytest.fixture
def empty_url(postgres_server: embedded.Server) -> Iterator[str]:
    """A database without anything in it."""
    name = f"empty_{uuid4().hex[:12]}"
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as admin:
        admin.execute(f"create database {name}")
        yield postgres_server.url(name)
        admin.execute(f"drop database {name} with (force)")


def objects(url: str) -> list[tuple[int, str]]:
    with psycopg.connect(url) as conn:
        return conn.execute(OBJECTS).fetchall()


def test_an_empty_database_becomes_a_warehouse(empty_url: str) -> None:
    assert current_revision(empty_url) is None
    assert migrate(empty_url) == newest_revision() == current_revision(empty_url)
    assert {"jobs", "job_pages", "open_jobs"} <= {name for _, name in objects(empty_url)}


def test_migrating_again_touches_nothing(warehouse_url: str) -> None:
    before = objects(warehouse_url)
    assert migrate(warehouse_url) == newest_revision()
    assert objects(warehouse_url) == before


def test_several_processes_may_migrate_at_once(empty_url: str) -> None:
    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(migrate, [empty_url] * 6)) == {newest_revision()}
    assert objects(empty_url)


def test_a_schema_that_is_newer_than_the_code_is_refused_with_what_to_do(warehouse_url: str) -> None:
    with psycopg.connect(warehouse_url) as conn:
        conn.execute("update kombo_pipeline_revision set version_num = '9999'")
    before = objects(warehouse_url)
    with pytest.raises(SchemaError, match=r"revision 9999, which this version .* does not know .*Install the version"):
        migrate(warehouse_url)
    assert objects(warehouse_url) == before
    assert current_revision(warehouse_url) == "9999"


def test_a_migration_that_is_killed_half_way_leaves_nothing(empty_url: str) -> None:
    code = (
        "import os, signal, sys; from kombo_pipeline.db import migrate as m; "
        "m._replace_views = lambda connection: os.kill(os.getpid(), signal.SIGKILL); m.migrate(sys.argv[1])"
    )
    killed = subprocess.run([sys.executable, "-c", code, empty_url], capture_output=True, check=False)
    assert killed.returncode == -9
    assert objects(empty_url) == []
    assert migrate(empty_url) == newest_revision()


@pytest.fixture
def views(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One of the files of marts/, in a copy of the folder that migrations read."""
    package = Path(migrations.__file__).parent
    for name in ("migrations", "roles.sql"):
        (tmp_path / name).symlink_to(package / name)
    monkeypatch.setattr(migrations, "_HERE", tmp_path)
    shutil.copytree(package / "marts", tmp_path / "marts")
    return tmp_path / "marts" / "linking.sql"


ONE = "\ncreate view marts.one as ( -- One.\n    select 1 as one -- {}\n);\n"
COMMENTS = (
    "select c.relname, coalesce(a.attname, ''), d.description from pg_description d "
    "join pg_class c on c.oid = d.objoid left join pg_attribute a "
    "on a.attrelid = c.oid and a.attnum = d.objsubid and d.objsubid > 0 "
    "where c.relnamespace = 'marts'::regnamespace order by 1, 2"
)


def comments(url: str) -> list[tuple[str, ...]]:
    with psycopg.connect(url) as conn:
        return conn.execute(COMMENTS).fetchall()


def test_views_are_replaced_only_when_their_file_differs_and_keep_their_comments(
    warehouse_url: str, views: Path
) -> None:
    before, comments_before, text = objects(warehouse_url), comments(warehouse_url), views.read_text()
    views.write_text(text + ONE.format("First."))
    migrate(warehouse_url)
    assert {name for _, name in set(objects(warehouse_url)) - set(before)} == {"one"}
    assert set(comments(warehouse_url)) - set(comments_before) == {("one", "", "One."), ("one", "one", "First.")}
    views.write_text(text + ONE.format("Second."))
    migrate(warehouse_url)
    assert set(comments(warehouse_url)) - set(comments_before) == {("one", "", "One."), ("one", "one", "Second.")}
    views.write_text(text)
    migrate(warehouse_url)
    assert objects(warehouse_url) == before
    assert comments(warehouse_url) == comments_before
    with psycopg.connect(warehouse_url) as conn:
        [(comment,)] = conn.execute("select obj_description('marts'::regnamespace)")
    assert len(re.findall(r"Views: revision \w{12}\.", comment)) == 1


def test_views_of_your_own_stay_unless_a_column_they_may_read_goes_and_then_you_are_told(
    warehouse_url: str, views: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = views.read_text()
    views.write_text(text + ONE.format("First."))
    migrate(warehouse_url)
    with psycopg.connect(warehouse_url) as conn:
        conn.execute("create schema mine")
        conn.execute("create view mine.of_one as select one from marts.one")
        conn.execute("create view mine.of_mine as select * from mine.of_one")
    views.write_text(text + ONE.format("First.").replace("select 1 as one", "select 2 as one, 3 as two"))
    migrate(warehouse_url)
    with psycopg.connect(warehouse_url) as conn:
        assert conn.execute("select * from mine.of_mine").fetchall() == [(2,)]
    assert caplog.messages == []
    comments_before = comments(warehouse_url)
    views.write_text(text + ONE.format("First.").replace("select 1 as one", "select 2 as eins, 3 as two"))
    migrate(warehouse_url)
    assert caplog.messages == [
        "Dropped, because views of marts that they read have changed: mine.of_mine, mine.of_one. Create them again."
    ]
    changed = {row[:2] for row in set(comments_before) ^ set(comments(warehouse_url))}
    assert changed <= {("one", "one"), ("one", "eins"), ("one", "two")}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_of_a_postgres_url_connects(warehouse_url: str, spelling: str) -> None:
    url = warehouse_url.replace("postgresql://", spelling)
    assert migrate(url) == newest_revision()
    with connect(url) as conn:
        assert conn.execute("select current_setting('TimeZone') as zone").fetchone() == {"zone": "UTC"}
    assert with_driver(url, "psycopg2") == warehouse_url.replace("postgresql://", "postgresql+psycopg2://")


@pytest.mark.parametrize(
    "url",
    [
        "mysql://user:hush@host/db",
        "user:hush@host/db",
        "host=127.0.0.1 password=hush",
        "postgres:/user:hush@host/db",
        "postgresql://user:hu%zzsh@host/db",
        "postgresql://user:hu@hush@host/db",
        "postgresql://user:hu/hush@host/db",
        "",
    ],
)
def test_what_is_no_postgres_url_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ValueError, match="write postgresql://user:password@host:5432/database") as raised:
        with_driver(url)
    assert "hu" not in str(raised.value).replace("host", "")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgres://u:hush@h:1/db", "postgres://u:***@h:1/db"),
        ("postgres://u:hu@sh@h/db", "postgres://u:***@h/db"),
        ("postgres://u@h/db?password=hush&sslmode=require", "postgres://u@h/db?password=***&sslmode=require"),
        ("postgres://h:5432/db", "postgres://h:5432/db"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert redacted(url) == shown


def test_notices_of_links_keep_their_form_in_the_outbox_of_all_and_what_is_a_target_is_told(empty_url: str) -> None:
    with migrations._transaction(empty_url) as connection:
        config = migrations._config()
        config.attributes |= {"connection": connection, "version_table_schema": "public"}
        command.upgrade(config, "0011")
    with connect(empty_url) as conn:
        conn.execute(
            "insert into core.integrations (integration_id, customer_id, kombo_last_sync_started_at) "
            "values ('tool:one', 'acme', now()); "
            "insert into core.own_jobs (customer_id, own_job_id) values ('acme', 'A-1'); "
            "insert into core.jobs (integration_id, kombo_job_id, status, last_fetch_id) "
            "values ('tool:one', 'j1', 'OPEN', 1); "
            "insert into core.exposed_jobs (integration_id, kombo_job_id, exposed_by, channel) "
            "values ('tool:one', 'j1', 'ana', 'picker'); "
            "insert into core.job_links (customer_id, own_job_id, integration_id, kombo_job_id, method, own_seen, "
            "ats_seen) values ('acme', 'A-1', 'tool:one', 'j1', 'job_code', '{}', '{}'); "
            "update core.link_notices set attempts = 3, last_error = 'answered 500'; "
            "create view public.mine as select notice_seq, event_type, payload from core.link_notices"
        )
        before = conn.execute("select * from core.link_notices order by notice_seq").fetchall()
        mine = conn.execute("select * from public.mine").fetchall()
    assert [row["event_type"] for row in before] == ["link.started"]
    migrate(empty_url)
    with connect(empty_url) as conn:
        assert conn.execute("select * from core.link_notices order by notice_seq").fetchall() == before
        assert conn.execute("select * from public.mine where event_type like 'link.%'").fetchall() == mine
        assert_told(conn, Product())
        assert len(targets_by(conn, "core.targets")) == 1
        # The release before delivers them as ever.
        conn.execute("select notice_id from core.link_notices where next_attempt_at <= now() for update skip locked")
        conn.execute("update core.link_notices set attempts = attempts + 1, delivered_at = now()")
