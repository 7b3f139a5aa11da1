"""Brings a warehouse to the newest schema."""

import hashlib
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError

from kombo_pipeline.db.connection import Session, with_driver
from kombo_pipeline.db.ddl import execute

_HERE = Path(__file__).parent
# A name of its own, for a database that another Alembic project shares.
_VERSION_TABLE = "kombo_pipeline_revision"
ROLES = ("kombo_receiver", "kombo_backoffice", "kombo_pipeline_loader", "kombo_analyst")
"""The group roles of roles.sql. They belong to the whole cluster."""
_LOCK = "select pg_advisory_xact_lock(hashtextextended('kombo_pipeline migrate', 0))"

log = logging.getLogger(__name__)


class SchemaError(RuntimeError):
    """The warehouse's schema does not fit this version of the code; the message says what to do."""


def migrate(url: str) -> str:
    """Bring the warehouse at `url` to the newest schema and return the revision.

    Everything happens in one transaction under a lock, so several processes may migrate at once and a
    killed migration leaves nothing behind. Raises SchemaError when the schema is newer than the code, and when a
    right is missing.
    """
    with _transaction(url) as connection:
        connection.exec_driver_sql(_LOCK)
        refuse_newer_schema(connection)
        config = _config()
        config.attributes["connection"] = connection
        config.attributes["version_table_schema"] = _version_schema(connection)
        command.upgrade(config, "head")
        _replace_views(connection)
        _grant_roles(connection)
    return newest_revision()


def newest_revision() -> str:
    """Return the revision of the schema that this code was written for."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None
    return head


def refuse_newer_schema(connection: sa.Connection) -> None:
    """Raise SchemaError when the database has a revision that this code does not know."""
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


def _replace_views(connection: sa.Connection) -> None:
    ddl = "\n".join(path.read_text() for path in sorted((_HERE / "marts").glob("*.sql")))
    revision = hashlib.sha256(ddl.encode()).hexdigest()[:12]
    known = connection.exec_driver_sql("select obj_description('marts'::regnamespace)").scalar() or ""
    if revision in known:
        return
    existing = {name for (name,) in connection.exec_driver_sql(_VIEWS).all()}
    try:
        with connection.begin_nested():
            # Where a view only gains columns, its grants stay, and what others built on it.
            for view in existing - set(re.findall(r"^create view marts\.(\w+)", ddl, re.MULTILINE)):
                execute(connection, f'drop view marts."{view}"')
            execute(connection, _CLEAR_COMMENTS)
            execute(connection, re.sub(r"^create view", "create or replace view", ddl, flags=re.MULTILINE))
    except (psycopg.errors.InvalidTableDefinition, psycopg.errors.DependentObjectsStillExist):
        if dropped := connection.exec_driver_sql(_VIEWS_ON_VIEWS).scalars().all():
            log.warning(
                "Dropped, because views of marts that they read have changed: %s. Create them again.",
                ", ".join(dropped),
            )
        for view in existing:
            connection.exec_driver_sql(f'drop view if exists marts."{view}" cascade')
        execute(connection, ddl)
    for _ in ("views of tables", "views of views"):
        execute(connection, _INHERIT_COMMENTS)
    text = known.split(" Views: ")[0]
    execute(connection, f"comment on schema marts is '{text} Views: revision {revision}.'")


def _grant_roles(connection: sa.Connection) -> None:
    """Make the roles that are missing and give each what roles.sql says; without the right to, say so and go on."""
    try:
        with connection.begin_nested():
            for role in ROLES:
                execute(connection, _CREATE_ROLE.format(role=role))
            execute(connection, (_HERE / "roles.sql").read_text())
    except psycopg.errors.InsufficientPrivilege as error:
        log.warning(
            "The database roles %s were left as they are, which is harmless: %s. To have them, migrate as the owner of "
            "the tables with CREATEROLE, or create them first (see docs/operations.md).",
            ", ".join(ROLES),
            str(error).partition("\n")[0],
        )


# Another database of the cluster may be migrated at the same time.
_CREATE_ROLE = """
do $$
begin
    if not exists (select from pg_roles where rolname = '{role}') then
        create role {role} nologin;
        if '{role}' like '%_analyst' then
            alter role {role} set statement_timeout = '60s';
            alter role {role} set default_transaction_read_only = on;
        end if;
    end if;
exception when duplicate_object or unique_violation then null;
end $$
"""
_VERSION_SCHEMA = """
select schemaname
from pg_catalog.pg_tables
where tablename = %(table)s
order by schemaname <> 'public', schemaname
limit 1
"""
_VIEWS = "select viewname from pg_views where schemaname = 'marts'"
_VIEWS_ON_VIEWS = """
with recursive reads (view, read) as (
    select r.ev_class, d.refobjid from pg_depend d join pg_rewrite r on r.oid = d.objid
    where d.classid = 'pg_rewrite'::regclass and d.refclassid = 'pg_class'::regclass and r.ev_class <> d.refobjid
), dependent (oid) as (
    select oid from pg_class where relnamespace = 'marts'::regnamespace and relkind = 'v'
    union select view from reads join dependent on dependent.oid = reads.read
)
select c.oid::regclass::text from dependent join pg_class c using (oid)
where c.relnamespace <> 'marts'::regnamespace order by 1
"""
_CLEAR_COMMENTS = """
do $$
declare
    told record;
begin
    for told in
        select v.relname, a.attname from pg_class v
        join pg_attribute a on a.attrelid = v.oid and a.attnum > 0 and not a.attisdropped
        where v.relnamespace = 'marts'::regnamespace and v.relkind = 'v'
            and col_description(v.oid, a.attnum) is not null
    loop
        execute format('comment on column marts.%I.%I is null', told.relname, told.attname);
    end loop;
end $$
"""
_INHERIT_COMMENTS = """
do $$
declare
    missing record;
begin
    for missing in
        select v.relname, a.attname, min(d.description) as description
        from pg_class v
        join pg_attribute a on a.attrelid = v.oid and a.attnum > 0 and not a.attisdropped
        join pg_rewrite r on r.ev_class = v.oid
        join pg_depend p on p.classid = 'pg_rewrite'::regclass and p.objid = r.oid and p.refobjid <> v.oid
        join pg_attribute b on b.attrelid = p.refobjid and b.attnum = p.refobjsubid and b.attname = a.attname
        join pg_description d on d.classoid = 'pg_class'::regclass and d.objoid = b.attrelid and d.objsubid = b.attnum
        where v.relnamespace = 'marts'::regnamespace and v.relkind = 'v'
            and col_description(v.oid, a.attnum) is null
        group by v.oid, v.relname, a.attname
        order by v.oid
    loop
        execute format('comment on column marts.%I.%I is %L', missing.relname, missing.attname, missing.description);
    end loop;
end $$
"""
