"""Brings a warehouse to the newest schema."""

import logging
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

import psycopg
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from psycopg import sql

from kombo_pipeline.db import dependents, views
from kombo_pipeline.db.connection import Session, connect, with_driver
from kombo_pipeline.db.ddl import driver_of, execute
from kombo_pipeline.db.versions import SchemaError, code_version, newest_revision

_HERE = Path(__file__).parent
# A name of its own, for a database that another Alembic project shares.
_VERSION_TABLE = "kombo_pipeline_revision"
ROLES = ("kombo_receiver", "kombo_backoffice", "kombo_pipeline_loader", "kombo_analyst")
"""The group roles of roles.sql. They belong to the whole cluster."""
PATIENCE: Final = timedelta(minutes=10)
"""How long a migration tries again what somebody uses."""
LOCK_MILLISECONDS: Final = 400
"""How long it waits for a lock at a time: less than the second after which Postgres looks for a deadlock."""
_LOCK = "select pg_advisory_xact_lock(hashtextextended('kombo_pipeline migrate', 0))"
_TRY_LOCK = "select pg_try_advisory_xact_lock(hashtextextended('kombo_pipeline migrate', 0))"
# Errors of a warehouse in use. XX000 is how Postgres refuses two changes of one catalog row at a time.
_BUSY = (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled, psycopg.errors.DeadlockDetected)
_VIEWS_IN_THE_WAY = (psycopg.errors.FeatureNotSupported, psycopg.errors.DependentObjectsStillExist)

log = logging.getLogger(__name__)


class _BusyError(Exception):
    """Another session uses what a migration changes; nothing was changed."""


def migrate(url: str, *, drop_dependents: bool = False, wait: timedelta = PATIENCE) -> str:
    """Bring the warehouse at `url` to the newest schema and return the revision.

    Everything happens in one transaction under a lock, so several processes may migrate at once and a killed migration
    leaves nothing behind. Readers may go on: while one of them uses what has to be changed, the migration tries again,
    for as long as `wait`, and logs whom it waits for. Views that others built on those of marts stay. When one of them
    does not fit any more, nothing is changed, unless `drop_dependents` is true: then that view is dropped.

    Raises SchemaError when the schema is newer than the code, when a right is missing, when views of others do not fit,
    and when the wait was too short.
    """
    deadline, pause = time.monotonic() + wait.total_seconds(), 1.0
    while True:
        try:
            with _transaction(url) as connection:
                _take_turn(connection)
                _migrate(connection, drop_dependents=drop_dependents)
            return newest_revision()
        except _BusyError as error:
            left = deadline - time.monotonic()
            by_whom = _in_the_way(url)
            if left <= 0:
                raise SchemaError(
                    f"The warehouse was in use for {wait.total_seconds() / 60:.0f} minutes ({by_whom}). End that, or "
                    "run `kombo-pipeline migrate` at a quieter time. Nothing was changed."
                ) from error
            log.warning(
                "The warehouse is in use (%s). Trying again in %.0f s, for %.0f minutes at most.",
                by_whom, pause, left / 60 + 0.5,
            )  # fmt: skip
            time.sleep(min(pause, max(left, 0)))
            pause = min(pause * 1.5, 15)


def _migrate(connection: sa.Connection, *, drop_dependents: bool) -> None:
    refuse_newer_schema(connection)
    config = _config()
    config.attributes["connection"] = connection
    config.attributes["version_table_schema"] = _version_schema(connection)
    folder, set_aside = _HERE / "marts", []
    _lock(connection, views.changing(connection, folder))
    try:
        with connection.begin_nested():
            command.upgrade(config, "head")
    except _VIEWS_IN_THE_WAY:
        # A column that views read is retyped or dropped.
        set_aside = dependents.drop(connection, dependents.all_views(connection), drop_dependents=drop_dependents)
        command.upgrade(config, "head")
    views.replace(connection, folder, set_aside=set_aside, drop_dependents=drop_dependents)
    _note_version(connection)
    _grant_roles(connection)


def _take_turn(connection: sa.Connection) -> None:
    """Wait for another migration to end, then limit how long this one waits for a lock, so that no reader notices."""
    if not connection.exec_driver_sql(_TRY_LOCK).scalar():
        log.warning("Another `kombo-pipeline migrate` is at work; waiting for it to end.")
        connection.exec_driver_sql(_LOCK)
    connection.exec_driver_sql("select set_config('lock_timeout', %s, true)", (str(LOCK_MILLISECONDS),))
    # A role's own limit is meant for queries.
    connection.exec_driver_sql("set local statement_timeout = 0")


def _lock(connection: sa.Connection, changing: Sequence[str]) -> None:
    """Lock what will change, before anything else: views first, then tables, as readers lock them.

    A reader that has waited for a second looks for a deadlock and may be ended. So this gives up sooner.

    Raises _BusyError when that takes too long.
    """
    tables = _changing_tables(connection)
    began = time.monotonic()
    for name in changing:
        views.lock(connection, name)
        if time.monotonic() - began > LOCK_MILLISECONDS / 1000:
            raise _BusyError(f"marts.{name}")
    if tables:
        names = sql.SQL(", ").join(sql.Identifier(*table.split(".")) for table in tables)
        driver_of(connection).execute(sql.SQL("lock table {} in access exclusive mode").format(names))


def _changing_tables(connection: sa.Connection) -> list[str]:
    """Return the tables that are altered by migrations which have not run yet."""
    known = _context(connection).get_current_revision()
    if known is None:
        return []
    texts = [
        path.read_text() for path in sorted((_HERE / "migrations" / "versions").glob("*.sql")) if path.name[:4] > known
    ]
    found = dict.fromkeys(re.findall(r"^alter table (\w+\.\w+)", "\n".join(texts), re.MULTILINE))
    there = connection.exec_driver_sql(
        "select to_regclass(t)::text from unnest(%s::text[]) t", (list(found),)
    ).scalars()
    return [table for table in there if table]


def _in_the_way(url: str) -> str:
    """Say who holds locks on the warehouse's tables and views, the longest first.

    The start is missing for a transaction that has just ended, and for sessions that the migrating role may not see.
    """
    with connect(url) as conn:
        rows = conn.execute(_HOLDERS).fetchall()
    names = [
        f"{row['usename'] or 'the server'}, process {row['pid']} ({row['application_name'] or 'unnamed'}), "
        f"{row['relation']}" + (f" since {row['since']:%H:%M:%S} UTC" if row["since"] else "")
        for row in rows
    ]
    return "; ".join(names) or "by somebody who has just finished"


def _note_version(connection: sa.Connection) -> None:
    """Note which code the newest schema serves."""
    script = ScriptDirectory.from_config(_config()).get_revision(newest_revision())
    assert script is not None
    connection.exec_driver_sql(
        """
        insert into core.schema_versions (revision, oldest_code, migrated_by)
        values (%(revision)s, %(oldest_code)s, %(version)s)
        on conflict do nothing
        """,
        {"revision": script.revision, "oldest_code": script.module.oldest_code, "version": code_version()},
    )


def refuse_newer_schema(connection: sa.Connection) -> None:
    """Raise SchemaError when the database has a revision that this code does not know, and so cannot migrate."""
    revision = _context(connection).get_current_revision()
    if revision is None:
        return
    try:
        ScriptDirectory.from_config(_config()).get_revision(revision)
    except CommandError:
        raise SchemaError(
            f"The warehouse has schema revision {revision}, which this version of kombo_pipeline does not know "
            f"(its newest is {newest_revision()}). Install the version that migrated it, or a later one."
        ) from None


@contextmanager
def _transaction(url: str) -> Iterator[sa.Connection]:
    # Connected before SQLAlchemy takes over, which would wrap what psycopg says in an error of its own.
    with Session.connect(with_driver(url), name="kombo_pipeline migrate", settings={}) as driver:
        engine = sa.create_engine("postgresql+psycopg://", creator=lambda: driver, poolclass=sa.NullPool)
        user, database = driver.info.user, driver.info.dbname
        try:
            with engine.begin() as connection:
                yield connection
        except (sa.exc.DBAPIError, psycopg.Error) as error:
            cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
            if isinstance(cause, _BUSY) or "concurrently" in str(cause):
                raise _BusyError(str(cause)) from error
            if isinstance(cause, psycopg.errors.InsufficientPrivilege):
                raise SchemaError(_missing_right(user, database, cause)) from error
            raise


def _missing_right(user: str, database: str, error: psycopg.Error) -> str:
    return (
        f"Role {user} may not migrate database {database}: {str(error).partition(chr(10))[0]}. Migrate as the "
        f"owner of its tables; the first time as a role with: grant create on database {database} to {user}; "
        f"grant create on schema public to {user}. Nothing was changed."
    )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_HERE / "migrations"))
    config.attributes["version_table"] = _VERSION_TABLE
    return config


def _context(connection: sa.Connection) -> MigrationContext:
    opts = {"version_table": _VERSION_TABLE, "version_table_schema": _version_schema(connection)}
    return MigrationContext.configure(connection, opts=opts)


def _version_schema(connection: sa.Connection) -> str:
    """Where the table of the revision is; public before the first migration."""
    found = connection.exec_driver_sql(_VERSION_SCHEMA, {"table": _VERSION_TABLE}).scalar()
    return str(found or "public")


def _grant_roles(connection: sa.Connection) -> None:
    """Make the missing roles and grant each what roles.sql says; without the right to do so, log that and go on."""
    try:
        with connection.begin_nested():
            for role in ROLES:
                driver_of(connection).execute(_CREATE_ROLE.format(role=sql.Identifier(role), name=role))
            execute(connection, (_HERE / "roles.sql").read_text())
    except psycopg.errors.InsufficientPrivilege as error:
        log.warning(
            "The database roles %s were left as they are, which is harmless: %s. To have them, migrate as the owner of "
            "the tables with CREATEROLE, or create them first (see docs/operations.md).",
            ", ".join(ROLES),
            str(error).partition("\n")[0],
        )


# Another database of the cluster may be migrated at the same time.
_CREATE_ROLE = sql.SQL("""
do $$
begin
    if not exists (select from pg_roles where rolname = {name}) then
        create role {role} nologin;
        if {name} like '%_analyst' then
            alter role {role} set statement_timeout = '60s';
            alter role {role} set default_transaction_read_only = on;
        end if;
    end if;
exception when duplicate_object or unique_violation then null;
end $$
""")
_VERSION_SCHEMA = """
select schemaname
from pg_catalog.pg_tables
where tablename = %(table)s
order by schemaname <> 'public', schemaname
limit 1
"""
_HOLDERS = """
select
    a.pid,
    a.usename,
    a.application_name,
    min(n.nspname || '.' || c.relname) as relation,
    min(a.xact_start) as since
from pg_locks l
join pg_class c on c.oid = l.relation
join pg_namespace n on n.oid = c.relnamespace
join pg_stat_activity a using (pid)
where l.granted
    and n.nspname in ('raw', 'core', 'marts')
    and c.relkind in ('r', 'p', 'v', 'm')
    and l.database = (select oid from pg_database where datname = current_database())
    and a.pid <> pg_backend_pid()
group by 1, 2, 3
order by since
limit 3
"""
