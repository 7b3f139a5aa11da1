"""Decides whether this code may work on a schema: each schema names the oldest code that it serves.

During an upgrade the schema is migrated first, then the programs are replaced one after the other. So older code may
work on a newer schema, unless core.schema_versions says otherwise; newer code refuses an older schema.
"""

import logging
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg.rows import tuple_row

from kombo_pipeline.db.connection import Connection, connect

_MIGRATIONS: Final = Path(__file__).parent / "migrations" / "versions"
_found_fit: set[str] = set()
"""URLs of warehouses that this process has checked: it checks when it starts, and not again while it works."""

log = logging.getLogger(__name__)


class SchemaError(RuntimeError):
    """The warehouse's schema does not fit this version of the code; the message says what to do."""


def newest_revision() -> str:
    """Return the revision of the schema that this code was written for."""
    return max(path.name.partition("_")[0] for path in _MIGRATIONS.glob("[0-9]*.py"))


def code_version() -> str:
    """Return the version of kombo_pipeline that is installed."""
    return metadata.version("kombo_pipeline")


def open_warehouse(url: str) -> Connection:
    """Open a connection to the warehouse for a program of this process.

    Raises SchemaError when this code cannot work on its schema, and what `connect` raises.
    """
    conn = connect(url)
    try:
        if url not in _found_fit:
            refuse_unfit_schema(conn)
            conn.rollback()
            _found_fit.add(url)
    except BaseException:
        conn.close()
        raise
    return conn


def refuse_unfit_warehouse(url: str) -> None:
    """Raise SchemaError when this code cannot work on the warehouse; one that cannot be reached raises nothing."""
    with suppress(psycopg.OperationalError):
        open_warehouse(url).close()


def refuse_unfit_schema(conn: psycopg.Connection[Any], *, code: str | None = None) -> None:
    """Raise SchemaError unless code whose newest revision is `code` (by default this code's) may work here."""
    code = code or newest_revision()
    try:
        with conn.cursor(row_factory=tuple_row) as cursor:
            found = cursor.execute(
                """
                select revision, oldest_code, migrated_by
                from core.schema_versions
                order by revision desc
                limit 1
                """
            ).fetchone()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        found = None
    except psycopg.errors.InsufficientPrivilege as error:
        # The rights of the roles are the migrator's to give, and it says so where it cannot.
        log.warning("The schema's version was not looked at: %s", str(error).partition("\n")[0])
        conn.rollback()
        return
    revision, oldest_code, migrated_by = found or (None, None, None)
    if revision is None or revision < code:
        has = f"schema revision {revision}" if revision else "no schema, or one from before revision 0011"
        raise SchemaError(
            f"The warehouse has {has}; kombo_pipeline {code_version()} needs revision {code}: run "
            "`kombo-pipeline migrate`, then start this again."
        )
    if code < oldest_code:
        raise SchemaError(
            f"The warehouse has schema revision {revision}, which serves code from revision {oldest_code} on; "
            f"kombo_pipeline {code_version()} knows {code}. Install version {migrated_by}, which migrated it, or later."
        )
