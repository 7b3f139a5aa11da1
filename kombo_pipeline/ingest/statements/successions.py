"""Statements on core.successions: connections that take over from older ones of the same customer and tool."""

from datetime import datetime
from typing import NamedTuple

from psycopg.rows import class_row

from kombo_pipeline.db.connection import Connection


class Other(NamedTuple):
    """Another connection of the same customer and tool, from which nobody has taken over yet."""

    integration_id: str
    has_stopped: bool
    """INVALID, INACTIVE or deleted in Kombo."""
    is_proposed: bool


class Agreement(NamedTuple):
    """How many jobs of two connections were compared, and how many agree in remote id and title."""

    agreeing: int
    compared: int
    is_older: bool
    """Whether the jobs of the one to be taken over from were seen first."""


class Succession(NamedTuple):
    """A row of core.successions, with the customers that both connections belong to now."""

    integration_id: str
    predecessor_id: str
    state: str
    agreeing_jobs: int
    compared_jobs: int
    decided_by: str | None
    decided_at: datetime | None
    customer_id: str | None
    deleted_at: datetime | None
    succeeded_by: str | None
    predecessor_customer_id: str | None
    predecessor_deleted_at: datetime | None
    predecessor_succeeded_by: str | None
    predecessor_succeeded_at: datetime | None


def other_connections(conn: Connection, integration_id: str) -> list[Other]:
    """Return the connections that the integration may take over from, if its jobs agree with theirs, the newest first.

    That is of the same customer and tool, taken over by nobody, and nobody has decided about the pair.
    """
    with conn.cursor(row_factory=class_row(Other)) as cursor:
        return cursor.execute(
            """
            select
                a.integration_id,
                a.deleted_at is not null or coalesce(a.state in ('INVALID', 'INACTIVE'), false) as has_stopped,
                s.state is not null as is_proposed
            from core.integrations b
            join core.integrations a
                on a.customer_id = b.customer_id
                and lower(a.tool) = lower(b.tool)
                and a.integration_id <> b.integration_id
            left join core.successions s
                on s.integration_id = b.integration_id
                and s.predecessor_id = a.integration_id
            where b.integration_id = %(integration)s
                and b.deleted_at is null
                and b.succeeded_by is null
                and b.full_fetched_at is not null
                and a.succeeded_by is null
                and coalesce(a.claimed_customer_id, b.claimed_customer_id) is null
                and coalesce(s.state, 'proposed') = 'proposed'
            order by a.registered_at desc, a.integration_id
            """,
            {"integration": integration_id},
        ).fetchall()


def agreement(conn: Connection, *, integration_id: str, predecessor_id: str) -> Agreement:
    """Compare the jobs of two connections by remote id and title.

    Compared are the jobs of the predecessor that were open when it stopped, and the open jobs of the successor that are
    not newer than what is known of the predecessor. Each counts once, whichever side has it. A pair agrees when its
    remote id belongs to one job on either side and the titles are equal but for case and blanks; whether it is
    still open in the successor does not matter.
    """
    with conn.cursor(row_factory=class_row(Agreement)) as cursor:
        row = cursor.execute(
            """
            with jobs as (
                select
                    j.integration_id,
                    nullif(btrim(j.remote_id), '') as remote_id,
                    lower(btrim(regexp_replace(coalesce(j.name, ''), '\\s+', ' ', 'g'))) as title,
                    coalesce(j.status, 'OPEN') not in ('CLOSED', 'DRAFT', 'ARCHIVED') as is_open,
                    coalesce(j.remote_created_at, j.opened_at) as came_at,
                    j.remote_deleted_at is null and j.vanished_at is null as is_there,
                    count(*) over (partition by j.integration_id, btrim(j.remote_id)) as sharing,
                    j.first_seen_at
                from core.jobs j
                where j.integration_id in (%(integration)s, %(predecessor)s)
            ),
            old as (select * from jobs where integration_id = %(predecessor)s and is_there),
            new as (select * from jobs where integration_id = %(integration)s and is_there),
            compared as (
                select
                    old.sharing = 1 and new.sharing = 1 and old.title = new.title and old.title <> '' as agrees
                from old
                full join new on new.remote_id = old.remote_id
                where coalesce(old.is_open, false)
                    or new.is_open and not coalesce(new.came_at > (
                        select kombo_last_sync_started_at
                        from core.integrations
                        where integration_id = %(predecessor)s
                    ), false)
            )
            select
                count(*) filter (where agrees) as agreeing,
                count(*) as compared,
                coalesce((
                    select
                        min(first_seen_at) filter (where integration_id = %(predecessor)s)
                        < min(first_seen_at) filter (where integration_id = %(integration)s)
                    from jobs
                ), false) as is_older
            from compared
            """,
            {"integration": integration_id, "predecessor": predecessor_id},
        ).fetchone()
    assert row is not None
    return row


def lock_free(conn: Connection, predecessor_id: str) -> bool:
    """Lock a connection until the transaction ends; return whether nobody has taken over from it, even just now."""
    row = conn.execute(
        """
        select succeeded_by is null as is_free
        from core.integrations
        where integration_id = %s
        for update
        """,
        (predecessor_id,),
    ).fetchone()
    return bool(row and row["is_free"])


def write(conn: Connection, *, integration_id: str, predecessor_id: str, found: Agreement, is_accepted: bool) -> None:
    """Note the agreement of a pair that nobody has decided about: proposed, or accepted by the rule."""
    conn.execute(
        """
        insert into core.successions as s
            (integration_id, predecessor_id, state, agreeing_jobs, compared_jobs, decided_at)
        values (
            %(integration)s,
            %(predecessor)s,
            case when %(accepted)s then 'accepted' else 'proposed' end,
            %(agreeing)s,
            %(compared)s,
            case when %(accepted)s then now() end
        )
        on conflict (integration_id, predecessor_id) do update
        set state = excluded.state,
            agreeing_jobs = excluded.agreeing_jobs,
            compared_jobs = excluded.compared_jobs,
            decided_at = excluded.decided_at
        where s.state = 'proposed'
        """,
        {
            "integration": integration_id,
            "predecessor": predecessor_id,
            "accepted": is_accepted,
            "agreeing": found.agreeing,
            "compared": found.compared,
        },
    )


def withdraw_proposal(conn: Connection, *, integration_id: str, predecessor_id: str) -> None:
    """Take back a proposal of which nothing speaks any more."""
    conn.execute(
        """
        delete from core.successions
        where integration_id = %s and predecessor_id = %s and state = 'proposed'
        """,
        (integration_id, predecessor_id),
    )


def set_state(conn: Connection, *, integration_id: str, predecessor_id: str, state: str, decided_by: str) -> None:
    """Note a person's decision."""
    conn.execute(
        """
        update core.successions
        set state = %(state)s, decided_by = %(by)s, decided_at = now()
        where integration_id = %(integration)s and predecessor_id = %(predecessor)s
        """,
        {"state": state, "by": decided_by, "integration": integration_id, "predecessor": predecessor_id},
    )


def lock(conn: Connection, *, integration_id: str, predecessor_id: str) -> Succession | None:
    """Return a succession, locked with both of its connections until the transaction ends; None if there is none."""
    conn.execute(
        """
        select 1
        from core.integrations
        where integration_id in (%s, %s)
        order by integration_id = %s desc
        for update
        """,
        (integration_id, predecessor_id, integration_id),
    )
    with conn.cursor(row_factory=class_row(Succession)) as cursor:
        return cursor.execute(
            """
            select
                s.integration_id,
                s.predecessor_id,
                s.state,
                s.agreeing_jobs,
                s.compared_jobs,
                s.decided_by,
                s.decided_at,
                b.customer_id,
                b.deleted_at,
                b.succeeded_by,
                a.customer_id as predecessor_customer_id,
                a.deleted_at as predecessor_deleted_at,
                a.succeeded_by as predecessor_succeeded_by,
                a.succeeded_at as predecessor_succeeded_at
            from core.successions s
            join core.integrations b on b.integration_id = s.integration_id
            join core.integrations a on a.integration_id = s.predecessor_id
            where s.integration_id = %s and s.predecessor_id = %s
            for update of s
            """,
            (integration_id, predecessor_id),
        ).fetchone()


def mark_succeeded(conn: Connection, *, predecessor_id: str, succeeded_by: str | None) -> datetime | None:
    """Note who has taken over from an integration, or that nobody has any more, and return since when.

    The next matching of the integration reads all of its jobs anew.
    """
    row = conn.execute(
        """
        update core.integrations
        set succeeded_by = %(by)s,
            succeeded_at = case when %(by)s::text is not null then now() end,
            matched_with = null
        where integration_id = %(predecessor)s
        returning succeeded_at
        """,
        {"by": succeeded_by, "predecessor": predecessor_id},
    ).fetchone()
    return row["succeeded_at"] if row else None


def restore_jobs(conn: Connection, *, predecessor_id: str, gone_at: datetime) -> None:
    """Bring back the jobs that ended at `gone_at`, when another connection took over, with their history.

    The hash stays cleared: the next fetch applies them whatever it holds.
    """
    conn.execute(
        """
        with before as (
            select kombo_job_id, lifecycle, integration_gone_at
            from core.jobs
            where integration_id = %(predecessor)s and integration_gone_at = %(gone_at)s
            for update
        ),
        after as (
            update core.jobs j
            set integration_gone_at = null
            from before b
            where j.integration_id = %(predecessor)s and j.kombo_job_id = b.kombo_job_id
            returning j.kombo_job_id, j.lifecycle
        )
        insert into core.job_changes (integration_id, kombo_job_id, field, old_value, new_value)
        select %(predecessor)s, kombo_job_id, c.field, c.old_value, c.new_value
        from before b
        join after a using (kombo_job_id)
        cross join lateral (
            values
                ('integration_gone_at', to_jsonb(b.integration_gone_at), null),
                ('lifecycle', to_jsonb(b.lifecycle), to_jsonb(a.lifecycle))
        ) as c (field, old_value, new_value)
        where c.old_value is distinct from c.new_value
        """,
        {"predecessor": predecessor_id, "gone_at": gone_at},
    )


def waiting(conn: Connection) -> set[str]:
    """Return the integrations of which a person is asked whether they take over from another one."""
    rows = conn.execute(
        """
        select s.integration_id
        from core.successions s
        join core.integrations a on a.integration_id = s.predecessor_id
        where s.state = 'proposed' and a.succeeded_by is null
        """
    )
    return {row["integration_id"] for row in rows}


class OfIntegration(NamedTuple):
    """A succession as the page of an integration shows it, with the name of the other connection."""

    integration_id: str
    predecessor_id: str
    other_id: str
    is_successor: bool
    """Whether the integration asked for is the successor; else it is the predecessor."""
    state: str
    agreeing_jobs: int
    compared_jobs: int
    decided_by: str | None
    decided_at: datetime | None
    other_registered_at: datetime
    carried_links: int


def of_integration(conn: Connection, integration_id: str) -> list[OfIntegration]:
    """Return the successions that an integration takes part in, the newest first."""
    with conn.cursor(row_factory=class_row(OfIntegration)) as cursor:
        return cursor.execute(
            """
            select
                s.integration_id,
                s.predecessor_id,
                o.integration_id as other_id,
                s.integration_id = %(integration)s as is_successor,
                s.state,
                s.agreeing_jobs,
                s.compared_jobs,
                s.decided_by,
                s.decided_at,
                o.registered_at as other_registered_at,
                (
                    select count(*)
                    from core.carried_links c
                    where c.integration_id = s.integration_id
                        and c.predecessor_id = s.predecessor_id
                        and c.to_link_id is not null
                        and c.taken_back_at is null
                ) as carried_links
            from core.successions s
            join core.integrations o
                on o.integration_id = case
                    when s.integration_id = %(integration)s then s.predecessor_id
                    else s.integration_id
                end
            join core.integrations a on a.integration_id = s.predecessor_id
            where %(integration)s in (s.integration_id, s.predecessor_id)
                and (s.state <> 'proposed' or a.succeeded_by is null)
            order by coalesce(s.decided_at, s.created_at) desc, other_id
            """,
            {"integration": integration_id},
        ).fetchall()
