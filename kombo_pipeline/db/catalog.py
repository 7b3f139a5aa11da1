"""What the database says of itself: columns with their types and comments."""

from typing import Any

from kombo_pipeline.db.connection import Connection


def columns(conn: Connection, schema: str, table: str) -> list[dict[str, Any]]:
    """Return the columns of a table or view in order: name, type, nullable, comment."""
    return conn.execute(
        "select a.attname as name, format_type(a.atttypid, a.atttypmod) as type, not a.attnotnull as nullable, "
        "col_description(a.attrelid, a.attnum) as comment from pg_attribute a "
        "where a.attrelid = format('%%I.%%I', %s::text, %s::text)::regclass and a.attnum > 0 "
        "and not a.attisdropped order by a.attnum",
        (schema, table),
    ).fetchall()


def relations(conn: Connection) -> list[dict[str, Any]]:
    """Return the tables and views of the warehouse: schema, name, kind (table or view), comment."""
    return conn.execute(
        "select n.nspname as schema, c.relname as name, case c.relkind when 'v' then 'view' else 'table' end as kind, "
        "obj_description(c.oid, 'pg_class') as comment from pg_class c join pg_namespace n on n.oid = c.relnamespace "
        "where n.nspname in ('raw', 'core', 'marts') and c.relkind in ('r', 'v', 'p') "
        "order by array_position(array['raw', 'core', 'marts'], n.nspname::text), c.relname"
    ).fetchall()
