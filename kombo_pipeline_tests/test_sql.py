"""Every statement of the package names only tables, columns and functions that the warehouse has.

The statements are found, not listed. Those that stand in the code as a whole are prepared as they stand. For those that
are composed, every function that takes a connection is called with arguments made up from its type hints (each word of
a Literal, each bool, None where it may be), on a connection that prepares what it is given and answers with made-up
rows. What was read in the code and reached no prepared statement is an error too, so that no text of SQL is left out.

Where a part of a statement is not reached, give the function type hints that say what it takes (a Literal, not str).
"""

import importlib
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from kombo_pipeline.db.connection import SESSION
from kombo_pipeline_tests.made_up import NAMING, call, calls, has_nothing, makes_sql, takes_connection, words_of
from kombo_pipeline_tests.sql_preparing import PreparingConnection, Record, Rows
from kombo_pipeline_tests.sql_texts import Module, Text, modules

LONGEST_LINE = 100
"""A statement with more characters is written a clause a line."""


MIGRATING = {f"kombo_pipeline/db/{name}.py" for name in ("ddl", "dependents", "migrate", "views")}
"""Left out: they make and drop views, which exist in a migration alone. test_migrate.py runs every line of them."""

Call = tuple[Callable[..., Any], Callable[[], Callable[..., Any]]]
"""What has the type hints, and what gives the function to be called: a method needs an object first."""


@pytest.fixture(scope="module")
def preparing(module_warehouse_url: str) -> Iterator[PreparingConnection]:
    """A connection to a migrated warehouse that prepares what it is given."""
    options = " ".join(f"-c {name}={value}" for name, value in SESSION.items())
    with PreparingConnection.connect(module_warehouse_url, options=options, row_factory=dict_row) as conn:
        yield conn


@pytest.fixture(scope="module")
def checked(preparing: PreparingConnection) -> tuple[Record, list[Text]]:
    """What was prepared and refused of the package, and the texts that are part of nothing prepared."""
    return check(preparing, [module for module in modules() if str(module.path) not in MIGRATING])


def check(conn: PreparingConnection, there: list[Module]) -> tuple[Record, list[Text]]:
    """Prepare what stands in the code, call the functions, and see which texts are left.

    Modules with texts that are left, and those that import them, are called again, with the words that stand in the
    dictionaries and tuples of the former.
    """
    record = Record()
    texts = [text for module in there for text in module.texts()]
    left = [text for text in texts if not (text.is_statement and can_be_prepared(conn, text.text))]
    conn.words = []
    drive_all(conn, record, there)
    left = [text for text in left if not any(map(text.is_in, record.prepared))]
    if names := {text.module for text in left}:
        conn.words = [word for name in sorted(names) for word in words_of(importlib.import_module(name))]
        drive_all(conn, record, [module for module in there if module.name in names or module.imports(names)])
    return record, [text for text in left if not any(map(text.is_in, record.prepared))]


def drive_all(conn: PreparingConnection, record: Record, driven: list[Module]) -> None:
    """Call the functions of modules, again and again until no call makes a temporary table that others read."""
    known, refused = -1, dict(record.refused)
    while known < len(record.temporary):
        known, record.refused = len(record.temporary), dict(refused)
        with conn.recording(record):
            for module in driven:
                drive(importlib.import_module(module.name), conn)


def drive(module: ModuleType, conn: PreparingConnection) -> None:
    """Call what takes a connection, with all arguments that its type hints give and every kind of made-up rows."""
    conn.parts = list(made_parts(module, conn))
    for hinted, given in functions(module, conn):
        for arguments in calls(hinted, conn):
            conn.is_empty = any(map(has_nothing, arguments.values()))
            conn.is_guess = bool(conn.words) or not NAMING.isdisjoint(arguments)
            for rows in get_args(Rows)[: 1 if conn.is_guess else None]:
                with conn.driving(rows):
                    call(given, arguments)
            if conn.took_seconds:
                break  # it waits for something, and would again


def can_be_prepared(conn: PreparingConnection, statement: str) -> bool:
    """Whether Postgres knows all that a statement names; one of temporary tables has to be called where they are."""
    numbers: dict[str, str] = {}

    def number(match: re.Match[str]) -> str:
        return "%" if match[0] == "%%" else numbers.setdefault(match[1] or str(len(numbers)), f"${len(numbers) + 1}")

    text = re.sub(r"%%|%s|%\((\w+)\)s", number, statement)
    return conn.pgconn.prepare(b"", text.encode()).status == psycopg.pq.ExecStatus.COMMAND_OK


def made_parts(module: ModuleType, conn: PreparingConnection) -> Iterator[sql.Composable]:
    """The parts of statements that a module's public functions make for its other functions."""
    conn.parts = []
    for name, function in vars(module).items():
        if inspect.isfunction(function) and function.__module__ == module.__name__ and not name.startswith("_"):
            for arguments in calls(function, conn) if makes_sql(function) else ():
                yield function(**arguments)


def functions(module: ModuleType, conn: PreparingConnection) -> Iterator[Call]:
    """The functions of a module that take a connection, and the methods of its classes that do or that hold one."""
    for value in vars(module).values():
        if getattr(value, "__module__", None) != module.__name__:
            continue
        if inspect.isfunction(value) and takes_connection(value):
            yield value, partial(_itself, value)
        elif inspect.isclass(value):
            for name, method in vars(value).items():
                holds = inspect.isfunction(method) and (takes_connection(value) or takes_connection(method))
                if holds and not name.startswith("__"):
                    yield from ((method, partial(new, value, given, name)) for given in calls(value, conn))


def _itself(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


def new(kind: type, arguments: dict[str, Any], method: str) -> Callable[..., Any]:
    """A method of a new object."""
    function: Callable[..., Any] = getattr(kind(**arguments), method)
    return function


def test_every_statement_names_what_the_warehouse_has(checked: tuple[Record, list[Text]]) -> None:
    record, _ = checked
    refused = [f"{message.splitlines()[0]}: {statement}" for statement, message in record.refused.items()]
    assert not refused, "\n".join(refused)


def test_every_text_of_sql_is_part_of_a_prepared_statement(checked: tuple[Record, list[Text]]) -> None:
    _, left = checked
    assert not left, "\n".join(map(str, left))


def test_statements_are_triple_quoted_and_read_a_clause_a_line() -> None:
    texts = [text for module in modules() for text in module.texts()]
    packed = [
        str(text)
        for text in texts
        if not text.source.lstrip("r").startswith('"""') and ("\n" in text.source or len(text.text) > LONGEST_LINE)
    ]
    assert not packed, "\n".join(packed)


def test_statements_are_composed_by_psycopg_alone() -> None:
    places = {place for module in modules() for place in module.patched()}
    patched = [place for place in sorted(places) if place.partition(":")[0] not in MIGRATING]
    assert not patched, "\n".join(patched)


MISSPELT = {
    "a statement": """
        def found(conn: Connection) -> None:
            conn.execute("select plcae from core.matchable_jobs")
    """,
    "a variant": """
        def found(conn: Connection, *, is_long: bool) -> None:
            more = sql.SQL(", m.plcae") if is_long else sql.SQL("")
            conn.execute(sql.SQL("select m.title{} from core.matchable_jobs m").format(more))
    """,
    "the order of a choice": """
        ORDERS = {"title": sql.SQL("m.title"), "place": sql.SQL("m.plcae")}

        def found(conn: Connection, order: Literal["title", "place"]) -> None:
            conn.execute(sql.SQL("select m.title from core.matchable_jobs m order by {}").format(ORDERS[order]))
    """,
    "a filter": """
        @dataclass(frozen=True)
        class Filter:
            integration_id: str
            place: str | None = None

        def found(conn: Connection, wanted: Filter) -> None:
            conditions = [sql.SQL("m.integration_id = %(integration_id)s")]
            if wanted.place is not None:
                conditions.append(sql.SQL("m.plcae ilike %(place)s"))
            statement = sql.SQL("select m.title from core.matchable_jobs m where {}")
            conn.execute(statement.format(sql.SQL(" and ").join(conditions)), vars(wanted))
    """,
    "a COPY": """
        def found(conn: Connection) -> None:
            with conn.cursor().copy("copy core.matchable_jobs (kombo_job_id, plcae) from stdin") as copy:
                copy.write_row(("1", "Berlin"))
    """,
    "a server-side cursor": """
        def found(conn: Connection, *, newest: bool) -> Iterator[str]:
            order = sql.SQL("m.posted_on desc" if newest else "m.plcae")
            with conn.cursor(name="found") as cursor:
                cursor.execute(sql.SQL("select m.title from core.matchable_jobs m order by {}").format(order))
                for row in cursor:
                    yield row["title"]
    """,
    "a temporary table": """
        def made(conn: Connection) -> None:
            conn.execute("create temporary table places on commit drop as select place from core.matchable_jobs")

        def found(conn: Connection) -> None:
            conn.execute("delete from places where plcae is null")
    """,
    "after a row": """
        def found(conn: Connection) -> None:
            row = conn.execute("select title from core.matchable_jobs limit 1").fetchone()
            if row is not None and row["title"]:
                conn.execute(sql.SQL("select {} from core.matchable_jobs").format(sql.SQL("plcae")))
    """,
    "what no call reaches": """
        def found(conn: Connection, order: str) -> None:
            if order == "place":
                conn.execute(sql.SQL("select title from core.matchable_jobs order by {}").format(sql.SQL("plcae")))
    """,
}


@pytest.mark.parametrize("code", MISSPELT.values(), ids=list(MISSPELT))
def test_a_misspelt_column_is_found(
    code: str, preparing: PreparingConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"misspelt_{tmp_path.name}.py"
    path.write_text(_IMPORTS + textwrap.dedent(code))
    monkeypatch.syspath_prepend(tmp_path)
    record, left = check(preparing, [Module(path, tmp_path)])
    assert [word for word in [*record.refused, *(text.text for text in left)] if "plcae" in word]
    path.write_text(_IMPORTS + textwrap.dedent(code).replace("plcae", "place").replace("order: str", "order: Order"))
    monkeypatch.delitem(sys.modules, path.stem)
    importlib.invalidate_caches()
    record, left = check(preparing, [Module(path, tmp_path)])
    assert (record.refused, left) == ({}, [])


_IMPORTS = """
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from psycopg import sql

from kombo_pipeline.db.connection import Connection

Order = Literal["title", "place"]
"""
