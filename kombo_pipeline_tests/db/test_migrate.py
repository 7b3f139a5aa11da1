"""Any number of processes may migrate at any time; what is killed half-way leaves nothing."""

import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import psycopg
import pytest
from alembic import command

from kombo_pipeline.db import embedded
from kombo_pipeline.db import migrate as migrations
from kombo_pipeline.db.connection import connect, redacted, with_driver
from kombo_pipeline.db.ddl import execute
from kombo_pipeline.db.migrate import migrate
from kombo_pipeline.db.versions import SchemaError, newest_revision
from kombo_pipeline_tests.linking.told import Product, assert_told, targets_by

SPELLINGS = ("postgres://", "postgresql://", "postgresql+psycopg://", "postgresql+psycopg2://", "postgres+asyncpg://")
OBJECTS = "select oid, relname from pg_class where relnamespace in ({}) order by oid".format(
    "select oid from pg_namespace where nspname in ('raw', 'core', 'marts')"
)


class Built(NamedTuple):
    """A warehouse with what others built, and how to change the view that they built on."""

    url: str
    role: str
    change: Callable[[str], object]


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
        "m.views.replace = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL); m.migrate(sys.argv[1])"
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


# What analysts granted and built


def published(url: str, *statements: str) -> None:
    with psycopg.connect(url) as conn:
        for statement in statements:
            conn.execute(statement)


def asked(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as conn:
        return conn.execute(query).fetchall()


@pytest.fixture
def built_on(warehouse_url: str, views: Path, postgres_server: embedded.Server) -> Iterator[Built]:
    """A view of marts with all that others may hang on one: grants, views, a materialized view, rules, comments."""
    role = f"bi_{uuid4().hex[:8]}"
    text = views.read_text()
    views.write_text(text + TALLY)
    migrate(warehouse_url)
    published(
        warehouse_url,
        f"create role {role}",
        f"grant select on marts.tally to {role} with grant option",
        "grant select (amount) on marts.tally to public",
        f"grant update (label) on marts.tally to {role}",
        f"create schema mine authorization {role}",
        "create view mine.doubled with (security_barrier) as select amount * 2 as doubled, label from marts.tally",
        "comment on column mine.doubled.doubled is 'Twice.'",
        "create materialized view mine.kept as select * from mine.doubled",
        "create unique index kept_label on mine.kept (label)",
        "create materialized view mine.empty as select * from mine.kept with no data",
        "create rule nowhere as on insert to mine.doubled do instead nothing",
        *(f"alter {kind} mine.{name} owner to {role}" for kind, name in OF_MINE),
        "grant select on mine.kept to public",
    )
    yield Built(warehouse_url, role, lambda changed: views.write_text(text + changed))
    published(warehouse_url, "drop schema mine cascade", f"drop owned by {role}", f"drop role {role}")


TALLY = """
create view marts.tally as ( -- One.
    select
        1 as amount, -- Amount.
        'a'::text as label -- Label.
);
"""
OF_MINE = (("view", "doubled"), ("materialized view", "kept"), ("materialized view", "empty"))
STATE = """
select
    n.nspname || '.' || c.relname,
    c.relkind,
    c.relispopulated,
    pg_get_userbyid(c.relowner),
    c.reloptions,
    array(select x::text from unnest(c.relacl) x where x::text not like 'kombo\\_%' order by 1),
    array(
        select a.attname || ' ' || array_to_string(a.attacl, ' ')
        from pg_attribute a where a.attrelid = c.oid and a.attacl is not null order by 1
    ),
    col_description(c.oid, 1),
    array(select indexdef from pg_indexes i where i.schemaname = n.nspname and i.tablename = c.relname order by 1),
    array(select definition from pg_rules r where r.schemaname = n.nspname and r.tablename = c.relname order by 1)
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = 'mine' and c.relkind in ('v', 'm') or c.relname = 'tally'
order by 1
"""


ADDED_OR_WIDENED = {
    "another value": (("1 as amount,", "5 as amount,"), [(10,)]),
    "a column at the end": (("as label --", "as label, -- L.\n        2 as more --"), [(2,)]),
    "a column at the front": (("1 as amount,", "2 as more, -- M.\n        1 as amount,"), [(2,)]),
    "a wider type": (("1 as amount,", "1::bigint as amount,"), [(2,)]),
    "both": (("1 as amount, -- Amount.", "'b'::text as b, -- B.\n        3.5 as amount, -- A."), [(7,)]),
}


def test_a_column_that_is_added_or_widened_costs_others_nothing(
    built_on: Built, caplog: pytest.LogCaptureFixture
) -> None:
    before = asked(built_on.url, STATE)
    assert len(before) == 4
    for case, (change, amounts) in ADDED_OR_WIDENED.items():
        built_on.change(TALLY.replace(*change))
        migrate(built_on.url)
        after = asked(built_on.url, STATE)
        # The view's own comment is the file's.
        assert [row[:7] + row[8:] for row in after] == [row[:7] + row[8:] for row in before], case
        assert {row[0]: row[7] for row in after}["mine.doubled"] == "Twice.", case
        assert asked(built_on.url, "select doubled from mine.doubled") == amounts, case
    assert caplog.messages == []


DOES_NOT_FIT = {
    "the view is gone": ("", "marts.tally"),
    "a column is renamed": (TALLY.replace("as amount", "as number"), "amount"),
    "a column is dropped": (TALLY.replace("1 as amount, -- Amount.", ""), "amount"),
    "another type": (TALLY.replace("'a'::text", "date '2026-01-01'"), "label is text and would be date"),
    "a type that does not compute": (TALLY.replace("1 as amount", "'x'::text as amount"), "text"),
}


def test_what_others_built_is_dropped_only_when_told_so_and_is_named_with_the_reason(
    built_on: Built, caplog: pytest.LogCaptureFixture
) -> None:
    before, revision = asked(built_on.url, STATE), asked(built_on.url, "select obj_description('marts'::regnamespace)")
    for changed, reason in DOES_NOT_FIT.values():
        built_on.change(changed)
        told = f"mine.doubled .*{reason}.*--drop-dependents.*Nothing was changed"
        with pytest.raises(SchemaError, match=told) as refused:
            migrate(built_on.url)
        assert all(f"mine.{name} (" in str(refused.value) for _, name in OF_MINE)
        assert asked(built_on.url, STATE) == before
        assert asked(built_on.url, "select obj_description('marts'::regnamespace)") == revision
    migrate(built_on.url, drop_dependents=True)
    assert asked(built_on.url, "select 1 from pg_class where relnamespace = 'mine'::regnamespace") == []
    assert [line.split(" (")[0] for line in caplog.messages] == [
        f"Dropped, and not made again: mine.{name}" for _, name in OF_MINE
    ]
    assert "SELECT (amount * 2) AS doubled" in caplog.messages[0]


def test_a_view_of_others_inside_marts_stays_and_one_of_ours_that_is_gone_is_named(
    built_on: Built, caplog: pytest.LogCaptureFixture
) -> None:
    published(built_on.url, "create view marts.of_theirs as select amount from marts.tally")
    built_on.change(TALLY.replace("1 as amount", "1::bigint as amount"))
    migrate(built_on.url)
    assert asked(built_on.url, "select amount from marts.of_theirs") == [(1,)]
    assert caplog.messages == []
    published(built_on.url, "drop view marts.of_theirs", "drop schema mine cascade", "create schema mine")
    built_on.change("")
    migrate(built_on.url)
    assert caplog.messages == ["Dropped, for this release has them no more: marts.tally."]


def test_a_function_on_a_view_that_must_be_made_anew_is_named_too(built_on: Built) -> None:
    published(built_on.url, "create function mine.f() returns marts.tally language sql return null::marts.tally")
    built_on.change(TALLY.replace("1 as amount", "1::bigint as amount"))
    with pytest.raises(SchemaError, match=r"marts.tally .*function mine.f\(\) depends on .*Nothing was changed"):
        migrate(built_on.url)
    migrate(built_on.url, drop_dependents=True)
    assert asked(built_on.url, "select doubled from mine.kept") == [(2,)]


def test_a_table_whose_column_is_retyped_keeps_the_views_that_read_it(
    built_on: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a later migration may do it: Postgres refuses to retype what a view reads."""
    published(built_on.url, "create view mine.pages as select pages, status from raw.fetches")
    before, marts = asked(built_on.url, STATE), asked(built_on.url, GRANTS)
    upgrade = migrations.command.upgrade

    def retypes_a_column(config: Any, revision: str) -> None:
        upgrade(config, revision)
        execute(config.attributes["connection"], "alter table raw.fetches alter pages type bigint")

    monkeypatch.setattr(migrations.command, "upgrade", retypes_a_column)
    migrate(built_on.url)
    assert asked(built_on.url, "select pg_typeof(pages)::text from mine.pages union all select 'none'")[-1] == ("none",)
    types = "select format_type(atttypid, null) from pg_attribute where attname = 'pages' and attrelid = '{}'::regclass"
    assert asked(built_on.url, types.format("mine.pages")) == [("bigint",)]
    assert asked(built_on.url, types.format("marts.fetches")) == [("bigint",)]
    assert [row for row in asked(built_on.url, STATE) if row[0] != "mine.pages"] == [
        row for row in before if row[0] != "mine.pages"
    ]
    assert asked(built_on.url, GRANTS) == marts


GRANTS = """
select c.relname, array(select x::text from unnest(c.relacl) x order by 1)
from pg_class c
where c.relnamespace = 'marts'::regnamespace
order by 1
"""


def test_readers_of_several_views_in_any_order_neither_fail_nor_make_a_migration_fail(
    warehouse_url: str, views: Path
) -> None:
    names = ["marts.jobs", "marts.own_jobs", "marts.integration_health", "marts.fetches", "marts.job_links"]
    text, done = views.read_text(), threading.Event()

    def read(order: list[str], pause: float) -> int:
        """Without a pause each query is a transaction of its own, as a dashboard's are; with one they share it."""
        rounds = 0
        with psycopg.connect(warehouse_url, autocommit=not pause) as conn:
            while not done.is_set():
                for name in order:
                    conn.execute(f"select 1 from {name} limit 1")
                    time.sleep(pause)
                conn.commit()
                time.sleep(pause * 10)
                rounds += 1
        return rounds

    with ThreadPoolExecutor(4) as pool:
        readers = [
            pool.submit(read, order, pause)
            for order, pause in ((names, 0.0), (names[::-1], 0.0), (names, 0.01), (names[2:] + names[:2], 0.02))
        ]
        try:
            for turn in range(3):
                # Both are read by the transactions, in either order.
                views.write_text(wrapped(text).replace("true as wrapped", f"{turn}{turn * '::bigint'} as wrapped"))
                migrate(warehouse_url)
        finally:
            done.set()
        assert all(reader.result() > 1 for reader in readers)
    types = asked(warehouse_url, "select format_type(atttypid, null) from pg_attribute where attname = 'wrapped'")
    assert types == [("bigint",)] * 2


def test_a_migration_waits_for_a_reader_says_for_whom_and_gives_up_without_a_change(
    warehouse_url: str, views: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = views.read_text()
    with psycopg.connect(warehouse_url, application_name="dashboard") as reader, ThreadPoolExecutor(1) as pool:
        reader.execute("select from marts.own_jobs")
        views.write_text(text + TALLY)
        migrate(warehouse_url)
        assert caplog.messages == [], "a new view waits for nobody"
        views.write_text(wrapped(text).replace("true as wrapped", "1 as wrapped"))
        before = objects(warehouse_url)
        told = r"in use for 0 minutes \(postgres, process \d+ \(dashboard\), .* since .*Nothing was changed"
        with pytest.raises(SchemaError, match=told):
            migrate(warehouse_url, wait=timedelta(0))
        assert objects(warehouse_url) == before
        waiting = pool.submit(migrate, warehouse_url)
        for _ in range(100):
            if caplog.messages:
                break
            time.sleep(0.05)
        # Meanwhile nobody else waits for long.
        with psycopg.connect(warehouse_url, options="-c lock_timeout=2s") as another:
            another.execute("select from marts.own_jobs")
        reader.rollback()
        assert waiting.result() == newest_revision()
    assert "dashboard" in caplog.messages[0]
    assert "Trying again in" in caplog.messages[0]
    assert asked(warehouse_url, "select attname from pg_attribute where attname = 'wrapped'") == [("wrapped",)] * 2


def test_an_owner_who_may_not_see_other_sessions_is_told_for_whom_it_waits_all_the_same(
    empty_url: str, views: Path, postgres_server: embedded.Server
) -> None:
    database = empty_url.rpartition("/")[2].partition("?")[0]
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as admin:
        admin.execute(f"create role {database} login password 'owner'")
        admin.execute(f"alter database {database} owner to {database}")
    owner_url = f"postgresql://{database}:owner@{empty_url.partition('@')[2]}"
    migrate(owner_url)
    with psycopg.connect(empty_url, application_name="dashboard") as reader:
        reader.execute("select from marts.own_jobs")
        views.write_text(wrapped(views.read_text()))
        told = r"in use for 0 minutes \(postgres, process \d+ \(dashboard\), \w+\.\w+\)"
        with pytest.raises(SchemaError, match=told):
            migrate(owner_url, wait=timedelta(0))


def wrapped(text: str) -> str:
    """The file's views with a column more in two of them."""
    views_of_two = r"^(create view marts.(?:own_jobs|job_links) as \()(.*?)(^\);)"
    changed = re.sub(views_of_two, r"\1 select inside.*, true as wrapped from (\2) inside\n\3", text, flags=re.M | re.S)
    assert changed.count("wrapped") == 2
    return changed


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
