"""What the database says of itself: its tables and views, and their columns, with types and comments."""

from dataclasses import dataclass
from typing import Literal

from psycopg.rows import class_row

from kombo_pipeline.db.connection import Connection


@dataclass(frozen=True)
class Column:
    """A column of a table or view."""

    name: str
    type: str
    """As Postgres writes it, such as timestamp with time zone."""
    nullable: bool
    comment: str | None


@dataclass(frozen=True)
class Relation:
    """A table or view."""

    schema: str
    name: str
    kind: Literal["table", "view"]
    comment: str | None


def columns(conn: Connection, schema: str, table: str) -> list[Column]:
    """Return the columns of a table or view in their order; raises psycopg.errors.UndefinedTable if there is none."""
    with conn.cursor(row_factory=class_row(Column)) as cursor:
        return cursor.execute(
            """
            select
                a.attname as name,
                format_type(a.atttypid, a.atttypmod) as type,
                not a.attnotnull as nullable,
                col_description(a.attrelid, a.attnum) as comment
            from pg_attribute a
            where a.attrelid = format('%%I.%%I', %s::text, %s::text)::regclass
                and a.attnum > 0
                and not a.attisdropped
            order by a.attnum
            """,
            (schema, table),
        ).fetchall()


def relations(conn: Connection) -> list[Relation]:
    """Return the tables and views of the warehouse: of raw, then core, then marts, by name."""
    with conn.cursor(row_factory=class_row(Relation)) as cursor:
        return cursor.execute(
            """
            select
                n.nspname as schema,
                c.relname as name,
                case c.relkind when 'v' then 'view' else 'table' end as kind,
                obj_description(c.oid, 'pg_class') as comment
            from pg_class c
            join pg_namespace n on n.oid = c.relnamespace
            where n.nspname in ('raw', 'core', 'marts') and c.relkind in ('r', 'v', 'p')
            order by array_position(array['raw', 'core', 'marts'], n.nspname::text), c.relname
            """
        ).fetchall()
