"""Brings the views of marts to what marts/*.sql says, and keeps the grants of others and the views built on them.

A view that only gains columns at its end is replaced where it stands. Any other change needs it dropped and made again;
then its grants, its owner, and the views and materialized views that read it are put back as they were.
"""

import hashlib
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import psycopg
import sqlalchemy as sa
from psycopg import sql
from psycopg.rows import tuple_row

from kombo_pipeline.db import dependents
from kombo_pipeline.db.ddl import comments, driver_of, execute

_STATEMENT: Final = re.compile(r"^create view marts\.(\w+).*?^\);$", re.MULTILINE | re.DOTALL)

log = logging.getLogger(__name__)


def wanted_views(folder: Path) -> tuple[dict[str, str], str]:
    """Return the statement of each view of marts by name, in order, and the revision of all of them."""
    ddl = "\n".join(path.read_text() for path in sorted(folder.glob("*.sql")))
    return {found[1]: found[0] for found in _STATEMENT.finditer(ddl)}, hashlib.sha256(ddl.encode()).hexdigest()[:12]


def changing(connection: sa.Connection, folder: Path) -> list[str]:
    """Return the names of the views of marts that differ from the files, sorted; nothing is locked."""
    wanted, revision = wanted_views(folder)
    if revision in _comment_of_schema(connection):
        return []
    return sorted(name for name in _existing(connection) if not _is_as_wanted(connection, name, wanted.get(name)))


def lock(connection: sa.Connection, name: str) -> None:
    """Keep readers from a view of marts until the transaction ends, and from nothing else.

    LOCK TABLE would lock what the view reads too. A reader that is inside another view then waits for us, and we for it
    when that view's turn comes.
    """
    # Changes nothing: none of them has the option.
    driver_of(connection).execute(
        sql.SQL("alter view {} reset (security_barrier)").format(sql.Identifier("marts", name))
    )


def replace(
    connection: sa.Connection, folder: Path, *, set_aside: Sequence[dependents.Relation], drop_dependents: bool
) -> None:
    """Bring the views of marts to what the files say; `set_aside` are relations that were dropped for a migration.

    Raises SchemaError, which names them, when views of others do not fit any more and `drop_dependents` is false.
    """
    wanted, revision = wanted_views(folder)
    known = _comment_of_schema(connection)
    if revision in known and not set_aside:
        return
    existing = _existing(connection)
    was_there = {*existing, *(each.name for each in set_aside if each.schema == "marts" and each.is_commented)}
    removed = sorted(was_there - wanted.keys())
    not_in_place = list(removed)
    execute(connection, _CLEAR_COMMENTS)
    for name, statement in wanted.items():
        if name in existing and _is_as_wanted(connection, name, statement):
            for comment in comments(statement):
                driver_of(connection).execute(comment.encode())
        elif not _replaced_in_place(connection, statement):
            not_in_place.append(name)
    dropped = dependents.drop(
        connection, [existing[name] for name in not_in_place if name in existing], drop_dependents=drop_dependents
    )
    gone = {each.label for each in dropped}
    before = {each.label: each for each in [*set_aside, *dropped]}
    for name, statement in wanted.items():
        label = f"marts.{name}"
        if name in not_in_place or label in gone:
            execute(connection, statement)
        if label in before:
            dependents.put_back_rights(connection, before[label])
    ours = {f"marts.{name}" for name in [*wanted, *removed]}
    of_others = [each for each in before.values() if each.label not in ours]
    dependents.put_back(connection, of_others, drop_dependents=drop_dependents)
    for _ in ("views of tables", "views of views"):
        execute(connection, _INHERIT_COMMENTS)
    if removed:
        log.warning("Dropped, for this release has them no more: %s.", ", ".join(f"marts.{name}" for name in removed))
    text = known.split(" Views: ")[0]
    driver_of(connection).execute(
        sql.SQL("comment on schema marts is {}").format(f"{text} Views: revision {revision}.")
    )


def _is_as_wanted(connection: sa.Connection, name: str, statement: str | None) -> bool:
    """Whether a view has the definition of a statement: compared with a temporary view made of it, without a lock."""
    if statement is None:
        return False
    twin = re.sub(r"^create view marts\.\w+", "create temporary view twin", statement)
    try:
        with connection.begin_nested() as tried, driver_of(connection).cursor(row_factory=tuple_row) as cursor:
            cursor.execute(twin.encode())
            same = cursor.execute(_SAME_DEFINITION, {"name": name}).fetchone() == (True,)
            tried.rollback()
    except psycopg.Error as error:
        if not dependents.does_not_fit(error):
            raise
        return False
    return same


def _replaced_in_place(connection: sa.Connection, statement: str) -> bool:
    try:
        with connection.begin_nested():
            execute(connection, statement.replace("create view", "create or replace view", 1))
    except psycopg.Error as error:
        if not dependents.does_not_fit(error):
            raise
        return False
    return True


def _existing(connection: sa.Connection) -> dict[str, int]:
    with driver_of(connection).cursor(row_factory=tuple_row) as cursor:
        return dict(cursor.execute(_EXISTING).fetchall())


def _comment_of_schema(connection: sa.Connection) -> str:
    return str(connection.exec_driver_sql("select obj_description(to_regnamespace('marts'))").scalar() or "")


# Each view of ours has a comment.
_EXISTING = """
select relname, oid
from pg_class
where relnamespace = to_regnamespace('marts') and relkind = 'v' and obj_description(oid, 'pg_class') is not null
"""
_SAME_DEFINITION = """
select pg_get_viewdef('pg_temp.twin'::regclass) = pg_get_viewdef(('marts.' || %(name)s)::regclass)
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
            and obj_description(v.oid, 'pg_class') is not null
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
