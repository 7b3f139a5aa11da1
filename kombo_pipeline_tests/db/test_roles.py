"""Each database role may do what its program needs and nothing else: the whole grid, and the programs themselves."""

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from click.testing import CliRunner

from kombo_pipeline.cli import main
from kombo_pipeline.db import embedded
from kombo_pipeline.db import migrate as migrations
from kombo_pipeline.db.connection import Connection, connect
from kombo_pipeline.db.migrate import ROLES, migrate
from kombo_pipeline.db.versions import newest_revision
from kombo_pipeline.kombo.webhooks import sign
from kombo_pipeline.sandbox.world import World
from kombo_pipeline_tests.conftest import as_member
from kombo_pipeline_tests.ingest.test_receiver import NEW, event, rows, serving, signed

BACKOFFICE = {
    "core.schema_versions": "select",
    "core.integrations": "select",
    "core.integration_issues": "select",
    "core.jobs": "select",
    "core.job_changes": "select insert",
    "core.held_closures": "select",
    "core.own_jobs": "select insert update",
    "core.held_withdrawals": "select insert update",
    "core.matchable_jobs": "select",
    "core.own_job_matches": "select delete",
    "core.job_match_candidates": "select",
    "core.job_links": "select insert update",
    "core.link_decisions": "select insert",
    "core.exposed_jobs": "select insert update",
    "core.notices": "select update",
    "core.link_notices": "select update",
    "core.successions": "select update",
    "core.carried_links": "select insert update",
    "core.carried_decisions": "select insert",
    "core.lookups": "select insert update delete",
    "core.backoffice_users": "select",
    "core.backoffice_sessions": "select insert update delete",
    "core.sign_in_attempts": "select insert update delete",
}
BACKOFFICE_COLUMNS = {
    "core.held_closures": "decided_at decided_by decision",
    "core.jobs": "integration_gone_at last_fetch_id record_hash remote_deleted_at status vanished_at",
    "core.integrations": "claimed_at claimed_customer_id customer_id declined_customer_id matched_with "
    "owner_answered_at owner_answered_by succeeded_at succeeded_by what_to_do who_must_act",
    "core.matchable_jobs": "job_hash",
    "core.own_job_matches": "own_hash",
}

ADDED_TO_ONLY = ("core.link_decisions", "core.carried_decisions")


def expected(relations: list[str]) -> set[tuple[str, str, str]]:
    """(role, relation, privilege) of everything that is granted."""
    grid = {("kombo_receiver", f"raw.{table}", "insert") for table in ("webhook_events", "refused_deliveries")}
    grid |= {("kombo_receiver", "core.schema_versions", "select")}
    for relation in relations:
        if relation.startswith("marts."):
            readers = {role for role in ROLES if role != "kombo_receiver"}
            if relation == "marts.job_hiring_team":
                readers.remove("kombo_backoffice")
            grid |= {(role, relation, "select") for role in readers}
            continue
        writes = {"insert"} if relation in ADDED_TO_ONLY else {"insert", "update", "delete"}
        grid |= {("kombo_pipeline_loader", relation, privilege) for privilege in {"select"} | writes}
    for relation, privileges in BACKOFFICE.items():
        grid |= {("kombo_backoffice", relation, privilege) for privilege in privileges.split()}
    return grid


def test_the_grid_of_roles_tables_and_privileges_is_this_one(conn: Connection) -> None:
    found = conn.execute(
        "select n.nspname || '.' || c.relname as relation, r.role, p.privilege, "
        "has_table_privilege(r.role, c.oid, p.privilege) as granted from pg_class c "
        "join pg_namespace n on n.oid = c.relnamespace cross join unnest(%s::text[]) r (role) "
        "cross join unnest(array['select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger', "
        "'maintain']) p (privilege) where n.nspname in ('raw', 'core', 'marts') and c.relkind in ('r', 'v', 'm', 'p')",
        (list(ROLES),),
    ).fetchall()
    relations = sorted({row["relation"] for row in found})
    assert len(found) == len(relations) * len(ROLES) * 8
    granted = {(row["role"], row["relation"], row["privilege"]) for row in found if row["granted"]}
    assert granted == expected(relations)


def test_single_columns_are_granted_only_for_closures_owners_and_successions(conn: Connection) -> None:
    found = conn.execute(
        "select r.role, a.attrelid::regclass::text as relation, p.privilege, "
        "string_agg(a.attname, ' ' order by a.attname) as columns from pg_attribute a "
        "join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace "
        "cross join unnest(%s::text[]) r (role) "
        "cross join unnest(array['select', 'insert', 'update', 'references']) p (privilege) "
        "where n.nspname in ('raw', 'core', 'marts') and a.attnum > 0 and not a.attisdropped "
        "and c.relkind in ('r', 'v') and has_column_privilege(r.role, c.oid, a.attname, p.privilege) "
        "and not has_table_privilege(r.role, c.oid, p.privilege) group by 1, 2, 3",
        (list(ROLES),),
    )
    assert {(row["role"], row["privilege"], row["relation"]): row["columns"] for row in found} == {
        ("kombo_backoffice", "update", relation): columns for relation, columns in BACKOFFICE_COLUMNS.items()
    }


def test_schemas_sequences_and_functions_are_open_only_to_who_needs_them(conn: Connection) -> None:
    schemas = conn.execute(
        "select r.role, string_agg(n.nspname, ' ' order by n.nspname) as schemas from pg_namespace n "
        "cross join unnest(%s::text[]) r (role) where n.nspname in ('raw', 'core', 'marts') "
        "and has_schema_privilege(r.role, n.oid, 'usage') group by 1",
        (list(ROLES),),
    )
    assert {row["role"]: row["schemas"] for row in schemas} == {
        "kombo_receiver": "core raw",
        "kombo_backoffice": "core marts",
        "kombo_pipeline_loader": "core marts raw",
        "kombo_analyst": "marts",
    }
    others = conn.execute(
        "select r.role, c.relname as name from pg_class c cross join unnest(%(roles)s::text[]) r (role) "
        "where c.relkind = 'S' and has_sequence_privilege(r.role, c.oid, 'usage, select, update') "
        "union all select r.role, n.nspname from pg_namespace n cross join unnest(%(roles)s::text[]) r (role) "
        "where has_schema_privilege(r.role, n.oid, 'create') "
        "union all select r.role, p.proname from pg_proc p cross join unnest(%(roles)s::text[]) r (role) "
        "where p.prosecdef and p.pronamespace = 'core'::regnamespace "
        "and has_function_privilege(r.role, p.oid, 'execute')",
        {"roles": list(ROLES)},
    )
    assert {(row["role"], row["name"]) for row in others} == {
        ("kombo_backoffice", "seen_since"),
        ("kombo_pipeline_loader", "seen_since"),
    }


def test_the_receiver_needs_no_more_than_its_role(conn: Connection, warehouse_url: str) -> None:
    with serving(as_member("kombo_receiver", warehouse_url)) as kombo:
        assert kombo.health() == 200
        raw = event("evt-1")
        assert [kombo.deliver(raw), kombo.deliver(raw)] == [200, 200]
        assert kombo.post(b"{}", {"X-Kombo-Signature": sign("wrong", b"{}")}).status_code == 401
        assert kombo.post(b"no json", signed(b"no json", NEW)).status_code == 200
    assert conn.execute("select reason, deliveries from marts.refused_deliveries").fetchall() == [
        {"reason": "wrong_signature", "deliveries": 1}
    ]
    assert rows(conn)[0] == "evt-1"
    assert len(rows(conn)) == 2
    with connect(as_member("kombo_receiver", warehouse_url)) as stolen:
        for statement in (
            "select * from raw.webhook_events",
            "update raw.webhook_events set handled_at = now()",
            "delete from raw.webhook_events",
            "truncate raw.webhook_events",
            "select * from raw.refused_deliveries",
            "update raw.refused_deliveries set deliveries = 1",
            "select * from raw.job_pages",
            "select * from core.jobs",
            "select * from marts.jobs",
            "create table raw.mine ()",
        ):
            assert_refused(stolen, statement)


def test_the_back_office_cannot_touch_pages_users_or_answers_given(warehouse_url: str) -> None:
    with connect(as_member("kombo_backoffice", warehouse_url)) as stolen:
        for statement in (
            "select count(*) from raw.job_pages",
            "select * from raw.webhook_events",
            "select * from core.job_hiring_team",
            "update core.jobs set name = 'x'",
            "delete from core.jobs",
            "update core.link_decisions set note = 'x'",
            "delete from core.link_decisions",
            "insert into core.backoffice_users (user_name, role) values ('me', 'admin')",
            "update core.backoffice_users set role = 'admin'",
        ):
            assert_refused(stolen, statement)


def test_an_analyst_reads_every_view_and_nothing_else(warehouse_url: str) -> None:
    with connect(as_member("kombo_analyst", warehouse_url)) as analyst:
        views = analyst.execute("select viewname from pg_views where schemaname = 'marts'").fetchall()
        assert len(views) > 15
        for view in views:
            analyst.execute(f"select * from marts.{view['viewname']} limit 1")
        for table in ("core.jobs", "core.own_jobs", "core.backoffice_users", "raw.job_pages", "raw.webhook_events"):
            assert_refused(analyst, f"select * from {table}")
        assert_refused(analyst, "create view marts.mine as select 1")


def test_what_was_granted_by_hand_is_taken_back_and_new_views_are_granted(
    warehouse_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = Path(migrations.__file__).parent
    for name in ("migrations", "roles.sql"):
        (tmp_path / name).symlink_to(package / name)
    shutil.copytree(package / "marts", tmp_path / "marts")
    one = "create view marts.one as ( -- One.\n    select 1 as one -- 1.\n);\n"
    (tmp_path / "marts" / "one.sql").write_text(one)
    monkeypatch.setattr(migrations, "_HERE", tmp_path)
    with connect(warehouse_url) as conn:
        conn.execute("grant select on raw.job_pages to kombo_analyst")
        conn.execute("grant usage on schema raw to kombo_analyst")
    migrate(warehouse_url)
    with connect(warehouse_url) as conn:
        row = conn.execute(
            "select has_table_privilege('kombo_analyst', 'marts.one', 'select') as one, "
            "has_table_privilege('kombo_analyst', 'marts.jobs', 'select') as jobs, "
            "has_table_privilege('kombo_analyst', 'raw.job_pages', 'select') as pages"
        ).fetchone()
    assert row == {"one": True, "jobs": True, "pages": False}


def assert_refused(conn: Connection, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn.execute(statement)
    conn.rollback()


# Roles that the cluster does not have yet


@pytest.fixture
def new_roles(postgres_server: embedded.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The roles under other names, which nobody has made; they and the databases named after them are gone later."""
    prefix = f"r{uuid4().hex[:8]}"
    names = [role.replace("kombo", prefix) for role in ROLES]
    package = Path(migrations.__file__).parent
    for name in ("migrations", "marts"):
        (tmp_path / name).symlink_to(package / name)
    (tmp_path / "roles.sql").write_text((package / "roles.sql").read_text().replace("kombo_", f"{prefix}_"))
    monkeypatch.setattr(migrations, "_HERE", tmp_path)
    monkeypatch.setattr(migrations, "ROLES", names)
    yield names
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as admin:
        for (database,) in admin.execute("select datname from pg_database where datname ~ %s", (prefix,)).fetchall():
            admin.execute(f"drop database {database} with (force)")
        for (role,) in admin.execute("select rolname from pg_roles where rolname ~ %s", (prefix,)).fetchall():
            admin.execute(f"drop role {role}")


def may_read_marts(url: str, role: str) -> object:
    with connect(url) as conn:
        return conn.execute("select has_table_privilege(%s, 'marts.jobs', 'select') as may", (role,)).fetchone()


def test_several_databases_of_a_cluster_may_migrate_at_once(
    postgres_server: embedded.Server, migrated_template: str, new_roles: list[str]
) -> None:
    databases = [f"at_once_{number}_{new_roles[0]}" for number in range(3)]
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as admin:
        for database in databases:
            admin.execute(f"create database {database} template {migrated_template}")
        urls = [postgres_server.url(database) for database in databases]
        # Processes: Alembic keeps its state in module globals.
        with ProcessPoolExecutor(3, get_context("fork")) as pool:
            assert set(pool.map(migrate, urls)) == {newest_revision()}
        assert [may_read_marts(url, new_roles[-1]) for url in urls] == [{"may": True}] * len(urls)
        found = admin.execute(
            "select rolcanlogin, rolsuper, rolcreaterole, rolconfig from pg_roles where rolname = any(%s) order by 4",
            (new_roles,),
        ).fetchall()
    assert found == [
        (False, False, False, ["statement_timeout=60s", "default_transaction_read_only=on"]),
        *[(False, False, False, None)] * 3,
    ]


def test_without_the_right_to_make_roles_a_migration_says_so_in_a_line_and_goes_on(
    postgres_server: embedded.Server, new_roles: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    owner = f"owner_{new_roles[0]}"
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as admin:
        admin.execute(f"create role {owner} login password 'owner'")
        admin.execute(f"create database {owner} owner {owner}")
        url = f"postgresql://{owner}:owner@{postgres_server.url(owner).partition('@')[2]}"
        assert migrate(url) == newest_revision()
        [line] = caplog.messages
        assert all(role in line for role in new_roles)
        assert "CREATEROLE" in line
        assert "\n" not in line

        for role in new_roles:
            admin.execute(f"create role {role}")
        caplog.clear()
        migrate(url)
        assert caplog.messages == []
        assert may_read_marts(url, new_roles[-1]) == {"may": True}


def test_runs_and_commands_need_no_more_than_the_loader(
    world: World, run: Callable[..., Any], warehouse_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    acme = world.add_integration(jobs=12, integration_id="greenhouse:acme")
    monkeypatch.setenv("KOMBO_WAREHOUSE_URL", as_member("kombo_pipeline_loader", warehouse_url))
    assert run(acme).success
    with connect(warehouse_url) as conn:
        row = conn.execute("select customer_id, name from marts.jobs where lifecycle = 'open' limit 1").fetchone()
    assert row is not None
    own = tmp_path / "own.csv"
    own.write_text(f"own_job_id,title\n1,{row['name']}\n")
    for command in (
        ["import-own-jobs", str(own), "--customer", row["customer_id"]],
        ["replay"],
        ["release", "records"],
        ["release", "closure"],
        ["release", "own-jobs"],
        ["release", "owner"],
        ["events"],
        ["events", "--dead"],
        ["user", "add", "ana", "--role", "viewer", "--no-password"],
        ["user", "disable", "ana"],
    ):
        result = CliRunner().invoke(main, command)
        assert result.exit_code == 0, result.output
    assert run(acme).success
    assert run(job="prune", partition_key=None).success
    with connect(warehouse_url) as conn:
        assert conn.execute("select 1 as one from core.own_job_matches").fetchall() == [{"one": 1}]


# What Postgres grants to everybody


@pytest.fixture
def alone(warehouse_url: str) -> str:
    """A warehouse that holds nothing but the pipeline; the rights of a database are not copied with a template."""
    migrate(warehouse_url)
    return warehouse_url


FILLING_THE_DISK = (
    "create temporary table filled as select generate_series(1, 1000)",
    "create temporary view filled as select 1",
    "select 1 into temporary filled",
    "create temporary sequence filled",
    "select lo_create(0)",
    "select lo_creat(-1)",
    "select lo_from_bytea(0, '\\x00')",
)


@pytest.mark.parametrize("role", ["kombo_analyst", "kombo_receiver"])
@pytest.mark.parametrize("statement", FILLING_THE_DISK)
def test_who_only_reads_or_receives_cannot_fill_the_disk(alone: str, role: str, statement: str) -> None:
    with connect(as_member(role, alone)) as conn:
        conn.execute("set default_transaction_read_only = off")
        conn.commit()
        assert_refused(conn, statement)


@pytest.mark.parametrize("role", ["kombo_backoffice", "kombo_pipeline_loader"])
def test_who_stages_rows_may_have_temporary_tables(alone: str, role: str) -> None:
    with connect(as_member(role, alone)) as conn:
        conn.execute("create temporary table staged (id text) on commit drop")


def test_of_a_database_with_tables_of_others_nothing_is_taken(warehouse_url: str) -> None:
    with connect(warehouse_url) as conn:
        conn.execute("create schema theirs")
        conn.execute("create table theirs.orders ()")
    migrate(warehouse_url)
    with connect(as_member("kombo_analyst", warehouse_url)) as conn:
        conn.execute("create temporary table theirs as select 1")


def test_the_back_office_does_not_see_who_hires(warehouse_url: str) -> None:
    with connect(as_member("kombo_backoffice", warehouse_url)) as conn:
        for relation in ("marts.job_hiring_team", "core.job_hiring_team"):
            assert_refused(conn, f"select * from {relation}")
    with connect(warehouse_url) as conn:
        others = conn.execute(
            "select table_schema || '.' || table_name as name from information_schema.columns "
            "where column_name in ('email', 'first_name', 'last_name') and table_schema in ('core', 'marts') "
            "and has_table_privilege('kombo_backoffice', table_schema || '.' || table_name, 'select')"
        ).fetchall()
    assert others == []
