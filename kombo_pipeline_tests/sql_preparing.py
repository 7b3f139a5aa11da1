"""A connection that prepares statements and runs none: it answers with rows that are made up, of the right types."""

import re
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from types import SimpleNamespace
from typing import Any, Final, Literal, NoReturn, Self
from unittest.mock import patch

import psycopg
from psycopg import errors, sql
from psycopg._queries import PostgresQuery
from psycopg.adapt import Transformer
from psycopg.rows import dict_row

MADE_UP: Final = "made_up"
"""Every text that is made up, so that an error about it is known to be no error of the statement."""
Rows = Literal["one", "none", "one of nothing"]
"""What a statement returns: a row, no row, or a row of nulls, zeros and empty texts."""
MOST_STATEMENTS: Final = 100
"""After so many statements a function is stopped: it waits for what a made-up row never says."""
PATIENCE_SECONDS: Final = 0.9
"""After so long a call is stopped."""
PLANNED: Final = ("select", "insert", "update", "delete", "with", "values", "merge")
"""How statements begin that Postgres looks at whole when it prepares them; others it must run."""
TEXTS: Final[Mapping[str, str]] = dict.fromkeys(("name", "column_name"), "'description'")
"""Texts that a later statement uses as a name: what stands in such a column of a result."""
TEMPORARY: Final = re.compile(r"\s*create temporary table \"?(\w+)")
VALUES: Final[Mapping[str, tuple[str, str]]] = {
    "text": (f"'{MADE_UP}'", "''"),
    "character varying": (f"'{MADE_UP}'", "''"),
    "name": (f"'{MADE_UP}'", "''"),
    '"char"': ("'r'", "''"),
    "boolean": ("true", "false"),
    "date": ("current_date", "null"),
    "timestamp with time zone": ("now()", "null"),
    "interval": ("'1 hour'", "null"),
    "bytea": ("'a'", "''"),
    "json": ("'{}'", "null"),
    "jsonb": ("'{}'", "null"),
    "uuid": ("'00000000-0000-0000-0000-000000000001'", "null"),
} | dict.fromkeys(("smallint", "integer", "bigint", "numeric", "double precision", "real", "oid"), ("1", "0"))
"""A value of a type, and one of nothing."""


class AnyRow(dict[str, Any]):
    """A row that has every key."""

    def __missing__(self, key: str) -> str:
        return MADE_UP

    def __contains__(self, key: object) -> bool:
        return True


class Stopped(BaseException):
    """A call waits, or runs statement after statement. The code that is called must not catch it."""


@dataclass
class Record:
    """What was prepared, and what Postgres refused."""

    prepared: set[str] = field(default_factory=set)
    refused: dict[str, str] = field(default_factory=dict)
    """Statement -> what Postgres says of it."""
    temporary: dict[str, bytes] = field(default_factory=dict)
    """Temporary table -> the statement that makes it."""

    def refuse(self, statement: str, error: psycopg.Error) -> None:
        """Note an error, if it is one of the statement's own and not of a name or value that was made up."""
        missing = (errors.UndefinedTable, errors.UndefinedObject, errors.InvalidSchemaName)
        if MADE_UP in str(error) and isinstance(error, missing):
            self.prepared.add(statement)  # Of a table whose name is a value, Postgres can only read the statement.
        elif MADE_UP not in statement and MADE_UP not in str(error):
            self.refused[statement] = str(error)


class PreparingCursor(psycopg.Cursor[Any]):
    """A cursor that prepares."""

    rowcount = 1  # type: ignore[assignment]
    itersize = 100

    def execute(self, query: Any, params: Any = None, **_: Any) -> Self:  # type: ignore[override]
        """Prepare a statement and hold made-up rows as its result."""
        self.connection.prepare(self, query, params)
        return self

    def executemany(self, query: Any, params_seq: Any, *, returning: bool = False) -> None:
        """Prepare a statement with the first parameters."""
        for params in list(params_seq)[:1]:
            self.connection.prepare(self, query, params)

    @contextmanager
    def copy(self, statement: Any, params: Any = None, **_: Any) -> Iterator[Any]:  # type: ignore[override]
        """Begin a COPY; no row is written, whatever the caller writes."""
        text = self.connection.text(statement)
        self.connection.pgconn.exec_(b"savepoint one_statement")
        try:
            with psycopg.Cursor.copy(self, statement, params) as copy:
                self.connection.record.prepared.add(text)
                yield (
                    copy
                    if " to stdout" in text
                    else SimpleNamespace(write_row=lambda _: None, write=lambda _: None, set_types=copy.set_types)
                )
        except psycopg.Error as error:
            self.connection.pgconn.exec_(b"rollback to savepoint one_statement")
            self.connection._refuse(text, error)
            raise

    def run(self, statement: sql.Composed | bytes) -> None:
        """Run a statement of the test's own."""
        super().execute(statement)


class PreparingConnection(psycopg.Connection[Any]):
    """A connection whose cursors prepare."""

    record: Record
    rows: Rows = "one"
    parts: Sequence[sql.Composable] = ()
    """Parts of statements, for functions that take one."""
    words: Sequence[str] = ()
    """Texts beside the made-up one, for functions that take a text."""
    took_seconds: bool = False
    """Whether the last call had to be stopped."""
    is_empty: bool = False
    """Whether an argument is an empty list, which the code may never give: then errors do not count."""
    is_guess: bool = False
    """Whether an argument is a word or a table that the code may never give: then errors do not count either."""
    _left: int = 0

    @contextmanager
    def recording(self, record: Record) -> Iterator[None]:
        """Begin a transaction that has the temporary tables of earlier calls, and is rolled back."""
        self.record = record
        self.pgconn.exec_(b"begin")
        try:
            for statement in record.temporary.values():
                self.pgconn.exec_(statement)
            with patch("time.sleep", _stop):
                yield
        finally:
            self.pgconn.exec_(b"rollback")

    @contextmanager
    def driving(self, rows: Rows) -> Iterator[None]:
        """Undo what one call of a function does; a call that waits, or takes seconds, is stopped."""
        self.rows, self._left, began = rows, MOST_STATEMENTS, time.monotonic()
        self.pgconn.exec_(b"savepoint one_call")
        signal.signal(signal.SIGALRM, _stop)
        signal.setitimer(signal.ITIMER_REAL, PATIENCE_SECONDS)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            self.took_seconds = time.monotonic() - began >= PATIENCE_SECONDS
            self.pgconn.exec_(b"rollback to savepoint one_call")

    def cursor(self, name: str = "", *, row_factory: Any = None, **_: Any) -> Any:  # type: ignore[override]
        """Return a cursor that prepares, for server-side cursors too."""
        return PreparingCursor(self, row_factory=row_factory or self.row_factory)

    def execute(self, query: Any, params: Any = None, **_: Any) -> Any:  # type: ignore[override]
        """Prepare a statement."""
        return self.cursor().execute(query, params)

    def commit(self) -> None:
        """Do nothing: what is made for a call ends with it."""

    rollback = commit

    def pipeline(self) -> Any:  # type: ignore[override]
        """Do without a pipeline, in which Postgres answers later."""
        return nullcontext()

    def transaction(self, *_: Any, **__: Any) -> Any:  # type: ignore[override]
        """Do without a savepoint."""
        return nullcontext()

    @cached_property
    def tables(self) -> dict[str, list[str]]:
        """The tables of core, with the columns that statements may write."""
        with psycopg.Cursor(self, row_factory=dict_row) as cursor:
            psycopg.Cursor.execute(
                cursor,
                """
                select attrelid::regclass::text as name, array_agg(attname::text order by attnum) as columns
                from pg_attribute
                join pg_class on pg_class.oid = attrelid
                where relnamespace = 'core'::regnamespace
                    and relkind = 'r'
                    and attnum > 0
                    and not attisdropped
                    and attgenerated = ''
                    and attidentity = ''
                group by attrelid
                """,
            )
            return {row["name"].removeprefix("core."): row["columns"] for row in cursor.fetchall()}

    def text(self, query: Any) -> str:
        """Return a statement as text, with the placeholders of psycopg."""
        if isinstance(query, bytes):
            return query.decode()
        return query.as_string(self) if isinstance(query, sql.Composable) else query

    def prepare(self, cursor: PreparingCursor, query: Any, params: Any) -> None:
        """Prepare a statement, and give the cursor made-up rows of the result that Postgres describes."""
        self._left -= 1
        if self._left < 0:
            raise Stopped
        text = self.text(query)
        converted = PostgresQuery(Transformer(self))
        if isinstance(params, Mapping) and MADE_UP in params:
            params = AnyRow(params)  # made of one, as in {**row, "limit": limit}
        converted.convert(query, params)
        self.pgconn.exec_(b"savepoint one_statement")
        try:
            if found := TEMPORARY.match(text):
                self.pgconn.exec_(f"drop table if exists pg_temp.{found[1]}".encode())
                psycopg.Cursor.execute(cursor, query, params)
                self.record.prepared.add(text)
                if not self.is_empty:
                    made = psycopg.ClientCursor(self).mogrify(query, params).encode()
                    self.record.temporary.setdefault(found[1], made)
            elif text.lstrip().startswith(PLANNED):
                columns = self._described(converted)
                self.record.prepared.add(text)
                cursor.run(self._made_up(columns))
            else:
                psycopg.Cursor.execute(cursor, query, params)
                self.record.prepared.add(text)
        except psycopg.Error as error:
            self.pgconn.exec_(b"rollback to savepoint one_statement")
            self._refuse(text, error)
            raise

    def _refuse(self, statement: str, error: psycopg.Error) -> None:
        if not self.is_empty and not self.is_guess and '""' not in statement:  # a name that was made up of nothing
            self.record.refuse(statement, error)

    def _described(self, query: PostgresQuery) -> list[tuple[str, int]]:
        """Prepare; return the names and types of the result's columns. Raises psycopg.Error."""
        for result in (
            self.pgconn.prepare(b"", query.query, query.types or None),
            self.pgconn.describe_prepared(b""),
        ):
            if result.status != psycopg.pq.ExecStatus.COMMAND_OK:
                raise errors.error_from_result(result)
        return [((result.fname(i) or b"").decode(), result.ftype(i)) for i in range(result.nfields)]

    def _made_up(self, columns: Sequence[tuple[str, int]]) -> sql.Composed | bytes:
        """Return a statement that selects made-up rows."""
        if not columns:
            return b"select where false"
        values = sql.SQL(", ").join(
            sql.SQL("{}::{} as {}").format(
                sql.SQL(TEXTS.get(name, self._value(kind)) if kind == "text" else self._value(kind)),
                sql.SQL(kind),
                sql.Identifier(name),
            )
            for name, kind in ((name, self._kind(oid)) for name, oid in columns)
        )
        return sql.SQL("select {} where {}").format(values, sql.Literal(self.rows != "none"))

    def _kind(self, oid: int) -> str:
        """Return the name of a type, as the catalog has it; text for those of which there are no values."""
        known = self.__dict__.setdefault("_kinds", {})
        if oid not in known:
            with psycopg.Cursor(self, row_factory=dict_row) as cursor:
                row = psycopg.Cursor.execute(
                    cursor, "select format_type(oid, null) as name, typtype::text from pg_type where oid = %s", (oid,)
                ).fetchone()
            known[oid] = row["name"] if row and row["typtype"] != "p" else "text"
        return str(known[oid])

    def _value(self, kind: str) -> str:
        full = self.rows == "one"
        if kind.endswith("[]"):
            value = VALUES.get(kind.removesuffix("[]"), ("null", "null"))[0]
            return f"array[{value if full else ''}]"
        return VALUES.get(kind, ("null", "null"))[0 if full else 1]


def _stop(*_: object) -> NoReturn:
    raise Stopped
