"""Writing many rows of a table of core: they are copied into a temporary table and merged from there."""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any

from psycopg import sql

from kombo_pipeline.db.connection import Connection


def columns_of(row: Any) -> tuple[str, ...]:
    """Return the columns that a dataclass of rows has: the names of its fields, in their order."""
    return tuple(field.name for field in fields(row))


def create(conn: Connection, table: str, columns: Sequence[str]) -> None:
    """Create the empty temporary table `incoming_<table>` with these columns of core.<table>, until the commit."""
    stage = sql.Identifier(f"incoming_{table}")
    conn.execute(sql.SQL("drop table if exists {}").format(stage))
    conn.execute(
        sql.SQL("create temporary table {} on commit drop as select {} from core.{} with no data").format(
            stage, sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier(table)
        )
    )


def copy_rows(conn: Connection, table: str, columns: Sequence[str], rows: Iterable[object]) -> None:
    """Copy rows, objects with an attribute for each column, into `incoming_<table>`."""
    statement = sql.SQL("copy {} ({}) from stdin").format(
        sql.Identifier(f"incoming_{table}"), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    values = attrgetter(*columns)
    with conn.cursor().copy(statement) as copy:
        for row in rows:
            copy.write_row(values(row))


def merge(conn: Connection, table: str, columns: Sequence[str], *, given: dict[str, str], key: Sequence[str]) -> None:
    """Insert or update the staged rows in core.<table>; a row that is equal is not written.

    `given` are the leading columns of the primary key with the value that all rows share, `key` its other columns.
    """
    values = [sql.Identifier(name) for name in columns if name not in key]
    conn.execute(
        sql.SQL(
            """
            insert into core.{table} as t ({given}, {columns})
            select {shared}, {columns}
            from {stage}
            on conflict ({given}, {key})
            do update
            set ({values}) = row({excluded})
            where ({stored}) is distinct from ({excluded})
            """
        ).format(
            table=sql.Identifier(table),
            stage=sql.Identifier(f"incoming_{table}"),
            given=sql.SQL(", ").join(map(sql.Identifier, given)),
            shared=sql.SQL(", ").join(map(sql.Literal, given.values())),
            key=sql.SQL(", ").join(map(sql.Identifier, key)),
            columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
            values=sql.SQL(", ").join(values),
            excluded=sql.SQL(", ").join(sql.SQL("excluded.{}").format(name) for name in values),
            stored=sql.SQL(", ").join(sql.SQL("t.{}").format(name) for name in values),
        )
    )
