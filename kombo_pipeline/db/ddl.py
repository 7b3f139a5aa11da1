"""Runs DDL and copies the comments at the ends of its lines into the database, as COMMENTs.

Each column is described once, on its own line of the migration or view, where its author and its readers see it beside
the type; from there it reaches Dagster, docs/tables.md and every SQL client. Separate COMMENT statements would stand a
page below, and go out of step. The lines are read by regular expressions, not by a parser: our own DDL keeps to a
column a line, migrations that were released never change, and a test fails for a column without a comment.
"""

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import sqlalchemy as sa

_OBJECT = re.compile(r"^create (?:or replace )?(schema|table|view) ([\w.]+).*?--\s*(.+)$")
_COLUMN = re.compile(r"^    (?!constraint\b)(\w+) .*?--\s*(.+)$")
_STORED_COLUMN_START = re.compile(r"^    (\w+) .*generated always as \($")
_STORED_COLUMN_END = re.compile(r"^    \) stored.*?--\s*(.+)$")
_VIEW_COLUMN = re.compile(r"^ .*?(\w+),? -- (.+)$")


def driver_of(connection: sa.Connection) -> psycopg.Connection[Any]:
    """Return psycopg's connection behind SQLAlchemy's."""
    return connection.connection.driver_connection  # type: ignore[return-value]


def execute(connection: sa.Connection, ddl: str) -> None:
    """Run `ddl` and set the comments written in it. It may hold several statements; `%` has no special meaning."""
    driver = driver_of(connection)
    driver.execute(ddl.encode())
    for statement in comments(ddl):
        driver.execute(statement.encode())


def comments(ddl: str) -> Iterator[str]:
    """Yield a COMMENT statement for each `-- text` behind a schema, table, view or column of `ddl`.

    A column of a table is named by the first word of its line, a column of a view by the last word
    before the comment, which is where its output name stands.
    """
    kind, name, generated = "", "", ""
    for line in ddl.splitlines():
        if found := _OBJECT.match(line):
            kind, name = found[1], found[2]
            yield _comment(kind, name, found[3])
        elif line.startswith(");"):
            kind = ""
        elif kind == "table":
            if found := _STORED_COLUMN_START.match(line):
                generated = found[1]
            elif found := _STORED_COLUMN_END.match(line):
                yield _comment("column", f"{name}.{generated}", found[1])
            elif found := _COLUMN.match(line):
                yield _comment("column", f"{name}.{found[1]}", found[2])
        elif kind == "view" and (found := _VIEW_COLUMN.match(line)):
            yield _comment("column", f"{name}.{found[1]}", found[2])


def _comment(kind: str, name: str, text: str) -> str:
    return f"comment on {kind} {name} is '{text.strip().replace(chr(39), chr(39) * 2)}'"
