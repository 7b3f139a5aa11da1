"""Statements on core.forgotten, and on all that hangs on an integration."""

from datetime import datetime
from graphlib import TopologicalSorter
from typing import NamedTuple

from psycopg import sql
from psycopg.rows import class_row

from kombo_pipeline.db.connection import Connection


class ForgottenError(RuntimeError):
    """The integration was forgotten and stays away until a person brings it back."""


class Forgotten(NamedTuple):
    """An integration that must not come back."""

    integration_id: str
    forgotten_at: datetime
    forgotten_by: str
    reason: str | None


def forgotten(conn: Connection) -> list[Forgotten]:
    """Return every integration that must not come back, the newest first."""
    with conn.cursor(row_factory=class_row(Forgotten)) as cursor:
        return cursor.execute(
            """
            select integration_id, forgotten_at, forgotten_by, reason
            from core.forgotten
            order by forgotten_at desc, integration_id
            """
        ).fetchall()


def refuse(conn: Connection, integration_id: str) -> None:
    """Raise ForgottenError for an integration that must not come back."""
    row = conn.execute(
        """
        select forgotten_at, forgotten_by
        from core.forgotten
        where integration_id = %s
        """,
        (integration_id,),
    ).fetchone()
    if row is not None:
        raise ForgottenError(
            f"{integration_id} was forgotten on {row['forgotten_at']:%Y-%m-%d} by {row['forgotten_by']}; bring it back "
            f"with `kombo-pipeline forget --undo {integration_id}`"
        )


def keep_away(conn: Connection, integration_id: str, *, forgotten_by: str, reason: str | None) -> None:
    """Note that an integration must not come back. The lock makes sure that nobody registers it at this moment."""
    conn.execute("lock table core.integrations in share row exclusive mode")
    conn.execute(
        """
        insert into core.forgotten (integration_id, forgotten_by, reason)
        values (%s, %s, %s)
        on conflict do nothing
        """,
        (integration_id, forgotten_by, reason),
    )


def bring_back(conn: Connection, integration_id: str) -> bool:
    """Let an integration come back; return whether it was forgotten."""
    return conn.execute("delete from core.forgotten where integration_id = %s", (integration_id,)).rowcount == 1


class Place(NamedTuple):
    """A table of raw or core, and the columns in which it names integrations."""

    schema: str
    table: str
    columns: tuple[str, ...]

    @property
    def name(self) -> str:
        """The table with its schema."""
        return f"{self.schema}.{self.table}"


def places(conn: Connection) -> list[Place]:
    """Return the tables with rows of an integration, in an order in which foreign keys allow to delete them.

    They are read from the catalog, so that a table that is added later is found too: every column named integration_id,
    and every column with a foreign key to core.integrations. core.targets is left out: the triggers of the commit
    delete its rows when they tell the product that the targets have ended.
    """
    rows = conn.execute(
        """
        select
            n.nspname as schema,
            c.relname as table,
            array_agg(distinct a.attname::text order by a.attname::text) as columns
        from pg_catalog.pg_class c
        join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        where n.nspname in ('raw', 'core') and c.relkind in ('r', 'p')
            and n.nspname || '.' || c.relname not in (
                'core.forgotten', 'core.leases', 'core.targets', 'core.targets_due', 'raw.webhook_events'
            )
            and (
                a.attname = 'integration_id'
                or c.oid <> 'core.integrations'::regclass and exists (
                    select
                    from pg_catalog.pg_constraint k
                    join pg_catalog.pg_attribute target on target.attrelid = k.confrelid
                        and target.attnum = k.confkey[array_position(k.conkey, a.attnum)]
                    where k.contype = 'f' and k.conrelid = c.oid and a.attnum = any(k.conkey)
                        and k.confrelid = 'core.integrations'::regclass and target.attname = 'integration_id'
                )
            )
        group by n.nspname, c.relname
        """
    ).fetchall()
    found = {
        f"{row['schema']}.{row['table']}": Place(row["schema"], row["table"], tuple(row["columns"])) for row in rows
    }
    references = conn.execute(
        """
        select
            source.nspname || '.' || child.relname as child,
            target.nspname || '.' || parent.relname as parent
        from pg_catalog.pg_constraint k
        join pg_catalog.pg_class child on child.oid = k.conrelid
        join pg_catalog.pg_namespace source on source.oid = child.relnamespace
        join pg_catalog.pg_class parent on parent.oid = k.confrelid
        join pg_catalog.pg_namespace target on target.oid = parent.relnamespace
        where k.contype = 'f' and k.conrelid <> k.confrelid
        """
    )
    order: TopologicalSorter[str] = TopologicalSorter({name: set() for name in found})
    for row in references:
        if row["child"] in found and row["parent"] in found:
            order.add(row["parent"], row["child"])
    return [found[name] for name in order.static_order()]


def count(conn: Connection, place: Place, integration_id: str) -> int:
    """Return how many rows of an integration are in a place."""
    query = sql.SQL("select count(*) as n from {} where {}").format(_table(place), _names(place))
    row = conn.execute(query, {"integration_id": integration_id}).fetchone()
    assert row is not None
    return int(row["n"])


def delete(conn: Connection, place: Place, integration_id: str) -> int:
    """Delete an integration's rows in a place; return how many."""
    query = sql.SQL("delete from {} where {}").format(_table(place), _names(place))
    return conn.execute(query, {"integration_id": integration_id}).rowcount


def allow_deleting_answers(conn: Connection) -> None:
    """Let this transaction delete from core.link_decisions, if the role has the right at all."""
    conn.execute("set local kombo_pipeline.forgets = 'yes'")


def end_links(conn: Connection, integration_id: str) -> int:
    """Retire what is linked to an integration, so that the product is told; return how many links ended.

    Notices of the integration that wait are still sent, the others go.
    """
    ended = conn.execute(
        """
        update core.job_links
        set state = 'retired', reason = 'forgotten', state_since = now()
        where integration_id = %s and state <> 'retired'
        """,
        (integration_id,),
    ).rowcount
    conn.execute(
        """
        delete from core.notices
        where next_attempt_at is null and payload #>> '{data,integration_id}' = %s
        """,
        (integration_id,),
    )
    return ended


def empty_events(conn: Connection, integration_id: str) -> int:
    """Empty an integration's events and mark them handled; their ids stay and keep repeated ones out."""
    return conn.execute(
        """
        update raw.webhook_events
        set body = null,
            payload = null,
            starts_fetch = coalesce(starts_fetch, false),
            handled_at = coalesce(handled_at, now())
        where integration_id = %s and (body is not null or handled_at is null)
        """,
        (integration_id,),
    ).rowcount


def ignore_events(conn: Connection) -> int:
    """Mark the events of forgotten integrations as handled that nobody has looked at; return how many."""
    return conn.execute(
        """
        update raw.webhook_events e
        set starts_fetch = false, handled_at = coalesce(handled_at, now())
        from core.forgotten f
        where e.starts_fetch is null and e.integration_id = f.integration_id
        """
    ).rowcount


def _table(place: Place) -> sql.Identifier:
    return sql.Identifier(place.schema, place.table)


def _names(place: Place) -> sql.Composed:
    return sql.SQL(" or ").join(
        sql.SQL("{} = %(integration_id)s").format(sql.Identifier(column)) for column in place.columns
    )
