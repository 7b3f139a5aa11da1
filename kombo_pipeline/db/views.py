"""The views of marts, brought to what marts/*.sql says without losing what others granted and built on them.

A view that only gains columns at its end is replaced where it stands. Any other change needs it dropped and made again;
then its grants, its owner, and the views and materialized views that read it are put back as they were.
"""

import hashlib
import json
import logging
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, Final

import psycopg
import sqlalchemy as sa
from psycopg import sql
from psycopg.rows import class_row, tuple_row

from kombo_pipeline.db.ddl import comments, execute
from kombo_pipeline.db.versions import SchemaError

_STATEMENT: Final = re.compile(r"^create view marts\.(\w+).*?^\);$", re.MULTILINE | re.DOTALL)
# What Postgres says of a view that cannot be as it is wanted: classes of SQLSTATE (definition, data, features).
_DOES_NOT_FIT: Final = ("42", "22", "0A")

log = logging.getLogger(__name__)


class _RetypedError(Exception):
    """A view could be made again, but whoever reads it would meet other types."""


@dataclass(frozen=True)
class Relation:
    """A view or materialized view as it stands, with all that makes it again."""

    oid: int
    schema: str
    name: str
    is_materialized: bool
    is_populated: bool
    owner: str
    options: list[str]
    definition: str
    columns: list[tuple[str, int]]
    """Name and type, by oid."""
    comments: list[tuple[str | None, str]]
    """Column (None: the relation itself) and text."""
    grants: list[tuple[str | None, str | None, str, bool]]
    """Column (None: the relation itself), role (None: public), privilege, and whether it may be passed on."""
    others: list[str]
    """Statements that make its indexes, triggers and rules."""

    @property
    def label(self) -> str:
        """Schema and name, for people."""
        return f"{self.schema}.{self.name}"

    @property
    def identifier(self) -> sql.Identifier:
        """Schema and name, for statements."""
        return sql.Identifier(self.schema, self.name)

    @property
    def kind(self) -> sql.SQL:
        """What it is called in statements."""
        return sql.SQL("materialized view" if self.is_materialized else "view")


def wanted_views(folder: Path) -> tuple[dict[str, str], str]:
    """Return the statement of each view of marts by name, in order, and the revision of all of them."""
    ddl = "\n".join(path.read_text() for path in sorted(folder.glob("*.sql")))
    return {found[1]: found[0] for found in _STATEMENT.finditer(ddl)}, hashlib.sha256(ddl.encode()).hexdigest()[:12]


def changing(connection: sa.Connection, folder: Path) -> list[str]:
    """Return the views of marts that are not as the files say, in the order of their names; nothing is locked."""
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
    _driver(connection).execute(sql.SQL("alter view {} reset (security_barrier)").format(sql.Identifier("marts", name)))


def replace(connection: sa.Connection, folder: Path, *, set_aside: Sequence[Relation], drop_dependents: bool) -> None:
    """Bring the views of marts to what the files say; `set_aside` are relations that were dropped for a migration.

    Raises SchemaError, which names them, when views of others do not fit any more, unless `drop_dependents` says that
    they may go.
    """
    wanted, revision = wanted_views(folder)
    known = _comment_of_schema(connection)
    if revision in known and not set_aside:
        return
    existing = _existing(connection)
    execute(connection, _CLEAR_COMMENTS)
    not_in_place = [name for name in existing if name not in wanted]
    for name, statement in wanted.items():
        if name in existing and _is_as_wanted(connection, name, statement):
            for comment in comments(statement):
                _driver(connection).execute(comment.encode())
        elif not _replaced_in_place(connection, statement):
            not_in_place.append(name)
    dropped = drop_with_dependents(
        connection, [existing[name] for name in not_in_place if name in existing], drop_dependents=drop_dependents
    )
    gone = {each.label for each in dropped}
    before = {each.label: each for each in [*set_aside, *dropped]}
    for name, statement in wanted.items():
        label = f"marts.{name}"
        if name in not_in_place or label in gone:
            execute(connection, statement)
        if label in before:
            _put_back_rights(connection, before[label])
    of_others = [each for each in before.values() if each.schema != "marts" or each.is_materialized]
    _put_back(connection, of_others, drop_dependents=drop_dependents)
    for _ in ("views of tables", "views of views"):
        execute(connection, _INHERIT_COMMENTS)
    text = known.split(" Views: ")[0]
    execute(connection, f"comment on schema marts is '{text} Views: revision {revision}.'")


def drop_with_dependents(connection: sa.Connection, oids: Sequence[int], *, drop_dependents: bool) -> list[Relation]:
    """Drop views and every view that reads them; return what was dropped, each after what it reads.

    Raises SchemaError when something else hangs on one of them, such as a function, unless `drop_dependents`.
    """
    if not oids:
        return []
    relations = _with_dependents(connection, oids)
    for relation in reversed(relations):
        statement = sql.SQL("drop {} {}").format(relation.kind, relation.identifier)
        try:
            with connection.begin_nested():
                _driver(connection).execute(statement)
        except psycopg.errors.DependentObjectsStillExist as error:
            hanging = (error.diag.message_detail or str(error)).replace("\n", "; ")
            if not drop_dependents:
                raise SchemaError(
                    f"{relation.label} must be made anew, but it cannot be dropped: {hanging}. Drop what hangs on it, "
                    "or run `kombo-pipeline migrate --drop-dependents`. Nothing was changed."
                ) from error
            log.warning("Dropped with %s, not made again: %s.", relation.label, hanging)
            _driver(connection).execute(statement + sql.SQL(" cascade"))
    return relations


def all_views(connection: sa.Connection) -> list[int]:
    """Return the views that read tables of the warehouse, those of others too."""
    return [oid for (oid,) in _driver(connection).cursor(row_factory=tuple_row).execute(_READERS_OF_TABLES)]


def _is_as_wanted(connection: sa.Connection, name: str, statement: str | None) -> bool:
    """Whether a view has the definition of a statement; told without a lock on it, from a twin of it."""
    if statement is None:
        return False
    twin = re.sub(r"^create view marts\.\w+", "create temporary view twin", statement)
    try:
        with connection.begin_nested() as tried, _driver(connection).cursor(row_factory=tuple_row) as cursor:
            cursor.execute(twin.encode())
            same = cursor.execute(_SAME_DEFINITION, {"name": name}).fetchone() == (True,)
            tried.rollback()
    except psycopg.Error as error:
        if not _does_not_fit(error):
            raise
        return False
    return same


def _replaced_in_place(connection: sa.Connection, statement: str) -> bool:
    try:
        with connection.begin_nested():
            execute(connection, statement.replace("create view", "create or replace view", 1))
    except psycopg.Error as error:
        if not _does_not_fit(error):
            raise
        return False
    return True


def _does_not_fit(error: psycopg.Error) -> bool:
    """Whether the definition of a view is at fault: not a missing right, nor a lock that somebody holds."""
    is_right = isinstance(error, psycopg.errors.InsufficientPrivilege)
    return not is_right and (error.sqlstate or "").startswith(_DOES_NOT_FIT)


def _with_dependents(connection: sa.Connection, oids: Collection[int]) -> list[Relation]:
    """Return views and all that read them, directly or not, each after what it reads."""
    driver = _driver(connection)
    reads: dict[int, set[int]] = {oid: set() for oid in oids}
    with driver.cursor(row_factory=tuple_row) as cursor:
        for reader, read in cursor.execute(_READERS, {"oids": list(oids)}):
            reads.setdefault(reader, set()).add(read)
    with driver.cursor(row_factory=class_row(Relation)) as cursor:
        found = {each.oid: each for each in cursor.execute(_RELATIONS, {"oids": list(reads)})}
    return [found[oid] for oid in TopologicalSorter(reads).static_order() if oid in found]


def _put_back(connection: sa.Connection, relations: Sequence[Relation], *, drop_dependents: bool) -> None:
    """Make views of others again, each after what it reads."""
    lost: dict[str, str] = {}
    for relation in relations:
        try:
            with connection.begin_nested():
                _make(connection, relation)
        except (psycopg.Error, _RetypedError) as error:
            if isinstance(error, psycopg.Error) and not _does_not_fit(error):
                raise
            reason = lost[relation.label] = str(error).partition("\n")[0]
            if drop_dependents:
                log.warning(
                    "Dropped, and not made again: %s (%s). It was: %s", relation.label, reason, relation.definition
                )
    if lost and not drop_dependents:
        named = "; ".join(f"{label} ({reason})" for label, reason in lost.items())
        raise SchemaError(
            f"These do not fit the new views of marts: {named}. Change them first, or run `kombo-pipeline migrate "
            "--drop-dependents`, which drops them and shows how they were defined. Nothing was changed."
        )


def _make(connection: sa.Connection, relation: Relation) -> None:
    driver = _driver(connection)
    options = sql.SQL(f" with ({', '.join(relation.options)})" if relation.options else "")
    ending = sql.SQL("" if not relation.is_materialized or relation.is_populated else " with no data")
    driver.execute(
        sql.SQL("create {kind} {name}{options} as {definition}{ending}").format(
            kind=relation.kind,
            name=relation.identifier,
            options=options,
            definition=sql.SQL(relation.definition.rstrip().rstrip(";")),
            ending=ending,
        )
    )
    parameters = {"relation": relation.identifier.as_string(), "columns": json.dumps(relation.columns)}
    if retyped := driver.execute(_RETYPED, parameters).fetchall():
        raise _RetypedError(", ".join(f"column {name} is {old} and would be {new}" for name, old, new in retyped))
    for statement in relation.others:
        driver.execute(statement.encode())
    for column, text in relation.comments:
        target = sql.SQL("column {}").format(sql.Identifier(relation.schema, relation.name, column)) if column else None
        driver.execute(
            sql.SQL("comment on {} is {}").format(
                target or sql.SQL("{} {}").format(relation.kind, relation.identifier), text
            )
        )
    _put_back_rights(connection, relation)


def _put_back_rights(connection: sa.Connection, relation: Relation) -> None:
    """Give a relation that was made again the grants and the owner that it had, and nothing by default besides."""
    driver, name = _driver(connection), relation.identifier.as_string()
    columns = {column for (column,) in driver.cursor(row_factory=tuple_row).execute(_COLUMNS, (name,))}
    with driver.cursor(row_factory=tuple_row) as cursor:
        for (role,) in cursor.execute(_GRANTEES, (name,)).fetchall():
            driver.execute(sql.SQL("revoke all on {} from {}").format(relation.identifier, _role(role)))
    for column, role, privilege, may_pass_on in relation.grants:
        if column is not None and column not in columns:
            continue
        driver.execute(
            sql.SQL("grant {privilege}{column} on {relation} to {role}{option}").format(
                privilege=sql.SQL(privilege),
                column=sql.SQL(" ({})").format(sql.Identifier(column)) if column else sql.SQL(""),
                relation=relation.identifier,
                role=_role(role),
                option=sql.SQL(" with grant option" if may_pass_on else ""),
            )
        )
    if relation.owner != driver.info.user:
        driver.execute(
            sql.SQL("alter {} {} owner to {}").format(
                relation.kind, relation.identifier, sql.Identifier(relation.owner)
            )
        )


def _role(name: str | None) -> sql.Composable:
    return sql.SQL("public") if name is None else sql.Identifier(name)


def _existing(connection: sa.Connection) -> dict[str, int]:
    with _driver(connection).cursor(row_factory=tuple_row) as cursor:
        return dict(cursor.execute(_EXISTING).fetchall())


def _comment_of_schema(connection: sa.Connection) -> str:
    return str(connection.exec_driver_sql("select obj_description(to_regnamespace('marts'))").scalar() or "")


def _driver(connection: sa.Connection) -> psycopg.Connection[Any]:
    return connection.connection.driver_connection  # type: ignore[return-value]


_EXISTING = """
select relname, oid
from pg_class
where relnamespace = to_regnamespace('marts') and relkind = 'v'
"""
_SAME_DEFINITION = """
select pg_get_viewdef('pg_temp.twin'::regclass) = pg_get_viewdef(('marts.' || %(name)s)::regclass)
"""
_COLUMNS = """
select attname
from pg_attribute
where attrelid = %s::regclass and attnum > 0 and not attisdropped
"""
_GRANTEES = """
select distinct r.rolname
from pg_class c
cross join lateral aclexplode(c.relacl) a
left join pg_roles r on r.oid = a.grantee
where c.oid = %s::regclass and a.grantee <> c.relowner
"""
# A wider type serves whoever read the narrower one.
_RETYPED = """
select a.attname, format_type(told.type, null), format_type(a.atttypid, null)
from (
    select each ->> 0 as name, (each ->> 1)::bigint::oid as type
    from jsonb_array_elements(%(columns)s::jsonb) as each
) told
join pg_attribute a on a.attrelid = %(relation)s::regclass and a.attname = told.name
where a.atttypid <> told.type
    and not exists (
        select
        from pg_cast
        where castsource = told.type and casttarget = a.atttypid and castcontext = 'i'
    )
"""
_READERS = """
with recursive reads (reader, read) as (
    select r.ev_class, d.refobjid
    from pg_depend d
    join pg_rewrite r on r.oid = d.objid
    where d.classid = 'pg_rewrite'::regclass
        and d.refclassid = 'pg_class'::regclass
        and r.ev_class <> d.refobjid
), found (reader, read) as (
    select reader, read
    from reads
    where read = any(%(oids)s)
    union
    select reads.reader, reads.read
    from reads
    join found on found.reader = reads.read
)
select reader::bigint, read::bigint
from found
"""
_READERS_OF_TABLES = """
select distinct r.ev_class::bigint
from pg_depend d
join pg_rewrite r on r.oid = d.objid
join pg_class t on t.oid = d.refobjid
where d.classid = 'pg_rewrite'::regclass
    and d.refclassid = 'pg_class'::regclass
    and t.relkind in ('r', 'p')
    and t.relnamespace in (to_regnamespace('raw'), to_regnamespace('core'))
"""
_RELATIONS = """
select
    c.oid::bigint as oid,
    n.nspname as schema,
    c.relname as name,
    c.relkind = 'm' as is_materialized,
    c.relispopulated as is_populated,
    pg_get_userbyid(c.relowner) as owner,
    coalesce(c.reloptions, '{}') as options,
    pg_get_viewdef(c.oid) as definition,
    (
        select jsonb_agg(jsonb_build_array(a.attname, a.atttypid::bigint) order by a.attnum)
        from pg_attribute a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    ) as columns,
    coalesce((
        select array_agg(array[a.attname::text, d.description])
        from pg_description d
        left join pg_attribute a on a.attrelid = c.oid and a.attnum = d.objsubid and d.objsubid > 0
        where d.classoid = 'pg_class'::regclass and d.objoid = c.oid
    ), '{}') as comments,
    coalesce((
        select jsonb_agg(jsonb_build_array(g.column_name, r.rolname, g.privilege_type, g.is_grantable))
        from (
            select null::name as column_name, a.grantee, a.privilege_type, a.is_grantable
            from aclexplode(c.relacl) a
            union all
            select t.attname, a.grantee, a.privilege_type, a.is_grantable
            from pg_attribute t
            cross join lateral aclexplode(t.attacl) a
            where t.attrelid = c.oid and not t.attisdropped
        ) g
        left join pg_roles r on r.oid = g.grantee
        where g.grantee <> c.relowner
    ), '[]') as grants,
    array(
        select pg_get_indexdef(i.indexrelid) from pg_index i where i.indrelid = c.oid
        union all
        select pg_get_triggerdef(t.oid) from pg_trigger t where t.tgrelid = c.oid and not t.tgisinternal
        union all
        select pg_get_ruledef(w.oid) from pg_rewrite w where w.ev_class = c.oid and w.rulename <> '_RETURN'
    ) as others
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where c.oid = any(%(oids)s) and c.relkind in ('v', 'm')
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
