"""Drops the views and materialized views that read a view, and makes them again as they were."""

import json
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Final

import psycopg
import sqlalchemy as sa
from psycopg import sql
from psycopg.rows import class_row, tuple_row

from kombo_pipeline.db.ddl import driver_of
from kombo_pipeline.db.versions import SchemaError

# What Postgres says of a view that cannot be as it is wanted: classes of SQLSTATE (definition, data, features).
_DOES_NOT_FIT: Final = ("42", "22", "0A")

log = logging.getLogger(__name__)


class _RetypedError(Exception):
    """A view was made again, but columns have other types than before."""


@dataclass(frozen=True)
class Relation:
    """A view or materialized view, with all that is needed to make it again."""

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
    def is_commented(self) -> bool:
        """Whether the relation itself has a comment, as each view of ours has."""
        return any(column is None for column, _ in self.comments)

    @property
    def identifier(self) -> sql.Identifier:
        """Schema and name, for statements."""
        return sql.Identifier(self.schema, self.name)

    @property
    def kind(self) -> sql.SQL:
        """What it is called in statements."""
        return sql.SQL("materialized view" if self.is_materialized else "view")


def drop(connection: sa.Connection, oids: Sequence[int], *, drop_dependents: bool) -> list[Relation]:
    """Drop views and every view that reads them; return what was dropped, each after what it reads.

    Raises SchemaError when something else depends on one of them, such as a function, and `drop_dependents` is false.
    """
    if not oids:
        return []
    relations = _with_dependents(connection, oids)
    for relation in reversed(relations):
        statement = sql.SQL("drop {} {}").format(relation.kind, relation.identifier)
        try:
            with connection.begin_nested():
                driver_of(connection).execute(statement)
        except psycopg.errors.DependentObjectsStillExist as error:
            depends = (error.diag.message_detail or str(error)).replace("\n", "; ")
            if not drop_dependents:
                raise SchemaError(
                    f"{relation.label} must be made anew, but it cannot be dropped: {depends}. Drop what depends on "
                    "it, or run `kombo-pipeline migrate --drop-dependents`. Nothing was changed."
                ) from error
            log.warning("Dropped with %s, not made again: %s.", relation.label, depends)
            driver_of(connection).execute(statement + sql.SQL(" cascade"))
    return relations


def all_views(connection: sa.Connection) -> list[int]:
    """Return the views that read tables of the warehouse, those of others too."""
    return [oid for (oid,) in driver_of(connection).cursor(row_factory=tuple_row).execute(_READERS_OF_TABLES)]


def does_not_fit(error: psycopg.Error) -> bool:
    """Whether the definition of a view is at fault: not a missing right, nor a lock that somebody holds."""
    is_right = isinstance(error, psycopg.errors.InsufficientPrivilege)
    return not is_right and (error.sqlstate or "").startswith(_DOES_NOT_FIT)


def _with_dependents(connection: sa.Connection, oids: Collection[int]) -> list[Relation]:
    """Return views and all that read them, directly or not, each after what it reads."""
    driver = driver_of(connection)
    reads: dict[int, set[int]] = {oid: set() for oid in oids}
    with driver.cursor(row_factory=tuple_row) as cursor:
        for reader, read in cursor.execute(_READERS, {"oids": list(oids)}):
            reads.setdefault(reader, set()).add(read)
    with driver.cursor(row_factory=class_row(Relation)) as cursor:
        found = {each.oid: each for each in cursor.execute(_RELATIONS, {"oids": list(reads)})}
    return [found[oid] for oid in TopologicalSorter(reads).static_order() if oid in found]


def put_back(connection: sa.Connection, relations: Sequence[Relation], *, drop_dependents: bool) -> None:
    """Make views of others again, each after what it reads."""
    lost: dict[str, str] = {}
    for relation in relations:
        try:
            with connection.begin_nested():
                _make(connection, relation)
        except (psycopg.Error, _RetypedError) as error:
            if isinstance(error, psycopg.Error) and not does_not_fit(error):
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
    driver = driver_of(connection)
    options = sql.SQL(" with ({})").format(sql.SQL(", ").join(map(sql.SQL, relation.options)))
    ending = sql.SQL("" if not relation.is_materialized or relation.is_populated else " with no data")
    driver.execute(
        sql.SQL("create {kind} {name}{options} as {definition}{ending}").format(
            kind=relation.kind,
            name=relation.identifier,
            options=options if relation.options else sql.SQL(""),
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
    put_back_rights(connection, relation)


def put_back_rights(connection: sa.Connection, relation: Relation) -> None:
    """Give a relation that was made again the owner and the grants that it had, and no others."""
    driver, name = driver_of(connection), relation.identifier.as_string()
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
