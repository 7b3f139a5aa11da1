"""Older code works on a newer schema unless that says otherwise; newer code waits for its schema."""

import ast
import importlib.util
import logging
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import psycopg
import pytest
from click.testing import CliRunner

import kombo_pipeline
from kombo_pipeline.cli import main
from kombo_pipeline.db import versions
from kombo_pipeline.db.connection import connect
from kombo_pipeline.db.versions import SchemaError, newest_revision, open_warehouse, refuse_unfit_schema
from kombo_pipeline_tests.conftest import as_member

PACKAGE = Path(kombo_pipeline.__file__).parent
MIGRATIONS = sorted((PACKAGE / "db" / "migrations" / "versions").glob("[0-9]*.py"))
LAST_RELEASE = "0008"
"""The newest revision that the code of the last release knows."""


@pytest.fixture(autouse=True)
def first_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "_found_fit", set())


def migrated(url: str, *, revision: str, oldest_code: str) -> None:
    """As a later release leaves the warehouse."""
    with psycopg.connect(url) as conn:
        conn.execute(
            "insert into core.schema_versions (revision, oldest_code, migrated_by) values (%s, %s, '9.1.0')",
            (revision, oldest_code),
        )


def test_a_migration_notes_its_revision_and_the_oldest_code_that_it_serves(warehouse_url: str) -> None:
    with psycopg.connect(warehouse_url) as conn:
        rows = conn.execute("select revision, oldest_code, migrated_by from core.schema_versions").fetchall()
    assert rows == [(newest_revision(), module(MIGRATIONS[-1]).oldest_code, versions.code_version())]


@pytest.mark.parametrize(
    ("code", "oldest_code", "fits"),
    [
        ("0011", "0008", True),
        ("0011", "0011", True),
        ("0008", "0008", True),
        ("0009", "0010", False),
        ("0008", "9999", False),
    ],
)
def test_only_code_older_than_the_schema_serves_is_refused(
    warehouse_url: str, code: str, oldest_code: str, fits: bool
) -> None:
    migrated(warehouse_url, revision="9999", oldest_code=oldest_code)
    with connect(warehouse_url) as conn:
        if fits:
            refuse_unfit_schema(conn, code=code)
            return
        told = (
            f"revision 9999, which serves code from revision {oldest_code} on; .* knows {code}. Install version 9.1.0"
        )
        with pytest.raises(SchemaError, match=told):
            refuse_unfit_schema(conn, code=code)


@pytest.mark.parametrize("statement", ["drop table core.schema_versions", "drop schema core cascade", "select 1"])
def test_code_newer_than_the_schema_is_told_to_migrate(warehouse_url: str, statement: str) -> None:
    with psycopg.connect(warehouse_url) as conn:
        conn.execute(statement)
    with (
        connect(warehouse_url) as conn,
        pytest.raises(SchemaError, match="needs revision 9998: run `kombo-pipeline migrate`"),
    ):
        refuse_unfit_schema(conn, code="9998")


def test_a_program_looks_once_and_is_not_stopped_while_it_works(warehouse_url: str) -> None:
    open_warehouse(warehouse_url).close()
    migrated(warehouse_url, revision="9999", oldest_code="9999")
    open_warehouse(warehouse_url).close()


@pytest.mark.parametrize("role", ["kombo_receiver", "kombo_backoffice", "kombo_pipeline_loader"])
def test_every_program_may_look_with_the_rights_of_its_role(warehouse_url: str, role: str) -> None:
    open_warehouse(as_member(role, warehouse_url)).close()
    migrated(warehouse_url, revision="9999", oldest_code="9999")
    versions._found_fit.clear()
    with pytest.raises(SchemaError, match="serves code from revision 9999 on"):
        open_warehouse(as_member(role, warehouse_url))


def test_a_role_that_may_not_look_is_let_through_and_told_so(
    warehouse_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with psycopg.connect(warehouse_url) as conn:
        conn.execute("revoke all on core.schema_versions from kombo_receiver")
    open_warehouse(as_member("kombo_receiver", warehouse_url)).close()
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


@pytest.mark.parametrize(
    "command", [["events"], ["notices"], ["user", "list"], ["forget"], ["receiver"], ["backoffice"]]
)
def test_every_command_that_uses_the_warehouse_refuses_in_one_line(
    warehouse_url: str, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    migrated(warehouse_url, revision="9999", oldest_code="9999")
    monkeypatch.setenv("KOMBO_WAREHOUSE_URL", warehouse_url)
    monkeypatch.setenv("KOMBO_WEBHOOK_SECRETS", "a-secret-that-is-long-enough")
    monkeypatch.setenv("KOMBO_BACKOFFICE_SECRET", "another-secret-that-is-long-enough-for-it")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        # One that does not refuse fails at the port, and does not serve for ever.
        port = ["--port", str(taken.getsockname()[1])] if command[0] in ("receiver", "backoffice") else []
        result = CliRunner().invoke(main, [*command, *port])
    assert result.exit_code == 1
    [line] = result.output.strip().splitlines()
    assert line.startswith("Error: The warehouse has schema revision 9999, which serves code from revision 9999 on;")


def test_a_receiver_starts_although_its_warehouse_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    versions.refuse_unfit_warehouse(f"postgresql://nobody@127.0.0.1:{port}/nothing")


def test_a_migrate_that_finds_another_at_work_waits_for_it_and_both_succeed(warehouse_url: str) -> None:
    command = [sys.executable, "-m", "kombo_pipeline", "migrate"]
    environment = os.environ | {"KOMBO_WAREHOUSE_URL": warehouse_url}
    with psycopg.connect(warehouse_url) as another:
        another.execute("select pg_advisory_xact_lock(hashtextextended('kombo_pipeline migrate', 0))")
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        assert process.stderr.readline() == "Another `kombo-pipeline migrate` is at work; waiting for it to end.\n"
        another.rollback()
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert output == f"The warehouse has schema revision {newest_revision()}.\n"


# Rules for those who write migrations and statements


def module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def test_the_newest_migration_says_which_code_it_serves_and_that_is_the_last_release_s() -> None:
    newest = module(MIGRATIONS[-1])
    assert newest.revision == newest_revision()
    assert newest.oldest_code <= LAST_RELEASE


NOT_ADDITIVE = re.compile(
    r"\bdrop (?:table|column|view|function|schema)\b|\brename\b|\bset not null\b"
    r"|\balter (?:column )?\w+ (?:set data )?type\b"
    r"|\badd (?:column )?(?!constraint\b)\w+ [^,;]*\bnot null\b(?![^,;]*\bdefault\b)",
    re.IGNORECASE,
)


@pytest.mark.parametrize(
    ("statement", "is_additive"),
    [
        ("alter table a add b integer;", True),
        ("alter table a add b integer not null default 1;", True),
        ("alter table a add b integer not null;", False),
        ("alter table a drop column b;", False),
        ("alter table a rename b to c;", False),
        ("alter table a alter b type bigint;", False),
        ("alter table a alter column b set not null;", False),
        ("drop table a;", False),
        ("alter table a drop constraint c, add constraint c check (d in (1, 2));", True),
    ],
)
def test_what_takes_something_away_is_told_from_what_adds(statement: str, is_additive: bool) -> None:
    assert (NOT_ADDITIVE.search(statement) is None) == is_additive


STILL_SERVED = {
    "0010_own_job_lists": "a trigger fills the new column where older code leaves it out",
    "0012_targets": "a view under the old name takes what older code asks of the renamed table",
}
"""Migrations that take something away, and what older code has instead."""


@pytest.mark.parametrize(
    "path",
    [path for path in MIGRATIONS if path.name[:4] > LAST_RELEASE and path.stem not in STILL_SERVED],
    ids=lambda path: path.stem,
)
def test_a_migration_since_the_last_release_takes_nothing_away(path: Path) -> None:
    statements = re.sub(r"--.*", "", path.with_suffix(".sql").read_text())
    assert NOT_ADDITIVE.findall(statements) == []


def test_the_last_release_writes_own_jobs_without_a_list(warehouse_url: str) -> None:
    with connect(warehouse_url) as conn:
        conn.execute(
            "insert into core.own_jobs (customer_id, own_job_id, title, source) values ('acme', '1', 'Cook', 'email')"
        )
        assert conn.execute("select list from core.own_jobs").fetchone() == {"list": "email"}


def test_the_last_release_delivers_notices_through_the_view_that_bears_the_old_name(warehouse_url: str) -> None:
    with connect(warehouse_url) as conn:
        conn.execute(
            """
            insert into core.integrations (integration_id, customer_id) values ('a', 'acme');
            insert into core.jobs (integration_id, kombo_job_id, status, visibility, last_fetch_id)
            values ('a', 'k', 'OPEN', 'PUBLIC', 1);
            insert into core.own_jobs (customer_id, own_job_id, title) values ('acme', '1', 'Cook');
            insert into core.job_links (
                customer_id, own_job_id, integration_id, kombo_job_id, method, own_seen, ats_seen
            )
            values ('acme', '1', 'a', 'k', 'job_code', '{}', '{}')
            """
        )
        conn.commit()
        # As linking/statements/link_notices.py of the last release has it.
        due = conn.execute(
            "select notice_id, payload, attempts from core.link_notices n where next_attempt_at <= now() "
            "and not exists (select from core.link_notices e where e.link_id = n.link_id "
            "and e.notice_seq < n.notice_seq and e.next_attempt_at is not null) "
            "order by next_attempt_at, notice_seq limit %s for update skip locked",
            (16,),
        ).fetchall()
        assert [row["payload"]["type"] for row in due] == ["link.started"]
        conn.execute(
            "update core.link_notices set attempts = attempts + 1, delivered_at = clock_timestamp(), "
            "next_attempt_at = null, last_error = null where notice_id = %s",
            (due[0]["notice_id"],),
        )
        row = conn.execute("select delivered_at from core.notices where link_id is not null").fetchone()
        assert row["delivered_at"] is not None


@pytest.fixture(scope="module")
def functions() -> list[tuple[str, str]]:
    """Every function of the package: its name, and its text."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        lines = path.read_text().splitlines()
        for node in ast.walk(ast.parse("\n".join(lines))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                found.append((f"{path.name}: {node.name}", "\n".join(lines[node.lineno - 1 : node.end_lineno])))
    return found


EVERYTHING = re.compile(r"select \*\s+from (?:raw|core|marts)\.|returning (?:\w+\.)?\*|(?:select|,)\s+\w+\.\*")
WITHOUT_COLUMNS = re.compile(r"insert into (?:raw|core)\.\w+(?: as \w+)?\s+(?!as\b|\()\w|copy (?:raw|core)\.\w+ from")


def test_rows_of_a_class_come_from_named_columns(functions: list[tuple[str, str]]) -> None:
    """A column that a later migration adds must not reach a class that does not know it."""
    of_class = [each for each in functions if "class_row(" in each[1] or re.search(r"\b[A-Z]\w+\(\*\*row\)", each[1])]
    assert len(of_class) > 5
    assert [name for name, text in of_class if EVERYTHING.search(text)] == []


def test_what_is_written_names_its_columns(functions: list[tuple[str, str]]) -> None:
    assert [name for name, text in functions if WITHOUT_COLUMNS.search(text)] == []


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (EVERYTHING, "select * from core.jobs", True),
        (EVERYTHING, "select *\n        from marts.jobs", True),
        (EVERYTHING, "update core.jobs set a = 1 returning *", True),
        (EVERYTHING, "select j.* from core.jobs j", True),
        (EVERYTHING, "with a as (select b from core.jobs) select * from a", False),
        (WITHOUT_COLUMNS, "insert into core.jobs values (1)", True),
        (WITHOUT_COLUMNS, "insert into core.jobs\nselect 1", True),
        (WITHOUT_COLUMNS, "insert into core.jobs as j (a) values (1)", False),
        (WITHOUT_COLUMNS, "copy core.jobs from stdin", True),
    ],
)
def test_a_statement_without_columns_is_recognised(pattern: re.Pattern[str], text: str, found: bool) -> None:
    assert bool(pattern.search(text)) == found
