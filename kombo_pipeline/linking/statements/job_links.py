"""Statements on core.job_links."""

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg import sql

from kombo_pipeline.db.connection import Connection

Row = dict[str, Any]


def lock_own_job(conn: Connection, customer_id: str, own_job_id: str) -> Row | None:
    """Return an own job with what a person sees of it (`seen`), locked until the transaction ends; None if unknown."""
    return conn.execute(
        """
        select o.*, core.seen(o) as seen
        from core.own_jobs o
        where customer_id = %s and own_job_id = %s
        for update
        """,
        (customer_id, own_job_id),
    ).fetchone()


def ats_job(conn: Connection, *, customer_id: str, integration_id: str, kombo_job_id: str) -> Row | None:
    """Return an ATS job's lifecycle and what a person sees of it, locked for the transaction.

    None when it is unknown or of another customer.
    """
    return conn.execute(
        """
        select j.kombo_job_id, j.lifecycle, core.seen(j) as seen
        from core.jobs j
        join core.integrations i using (integration_id)
        where i.customer_id = %s
            and j.integration_id = %s
            and j.kombo_job_id = %s
        for share of j
        """,
        (customer_id, integration_id, kombo_job_id),
    ).fetchone()


def live_link(conn: Connection, *, customer_id: str, own_job_id: str, integration_id: str) -> Row | None:
    """Return the own job's link in the integration that is not retired; there is one at most."""
    return conn.execute(
        """
        select *
        from core.job_links
        where customer_id = %s
            and own_job_id = %s
            and integration_id = %s
            and state <> 'retired'
        """,
        (customer_id, own_job_id, integration_id),
    ).fetchone()


def insert_link(conn: Connection, link: Mapping[str, Any]) -> int:
    """Insert a link, suspended at once where it cannot be active; return its id."""
    row = conn.execute(
        """
        insert into core.job_links (
            customer_id, own_job_id, integration_id, kombo_job_id, method, confirmed_by, matcher_version,
            state, reason, own_seen, ats_seen
        )
        select
            o.customer_id, o.own_job_id, j.integration_id, j.kombo_job_id,
            %(method)s, %(confirmed_by)s, %(matcher_version)s,
            case when s.reason is null then 'active' else 'suspended' end, s.reason, core.seen(o), core.seen(j)
        from core.own_jobs o, core.jobs j
        join core.integrations i using (integration_id)
        cross join lateral (select core.suspended_by(j, i, o) as reason) s
        where o.customer_id = %(customer_id)s
            and o.own_job_id = %(own_job_id)s
            and j.integration_id = %(integration_id)s
            and j.kombo_job_id = %(kombo_job_id)s
        returning link_id
        """,
        link,
    ).fetchone()
    assert row is not None
    return int(row["link_id"])


def confirm(conn: Connection, link_id: int, *, confirmed_by: str) -> None:
    """Confirm a live link as it is now: active if nothing suspends it, and holding for what both jobs are today."""
    conn.execute(
        """
        update core.job_links l
        set own_seen = n.own_seen,
            ats_seen = n.ats_seen,
            confirmed_by = %(by)s,
            state = case when n.reason is null then 'active' else 'suspended' end,
            reason = n.reason,
            state_since = case when (l.state = 'active') = (n.reason is null) then l.state_since else now() end
        from (
            select l.link_id, core.seen(o) as own_seen, core.seen(j) as ats_seen, core.suspended_by(j, i, o) as reason
            from core.job_links l
            join core.own_jobs o on o.customer_id = l.customer_id and o.own_job_id = l.own_job_id
            join core.jobs j on j.integration_id = l.integration_id and j.kombo_job_id = l.kombo_job_id
            join core.integrations i on i.integration_id = l.integration_id
            where l.link_id = %(link)s
        ) n
        where l.link_id = n.link_id
        """,
        {"by": confirmed_by, "link": link_id},
    )


def set_state(conn: Connection, link_id: int, state: str, reason: str | None) -> None:
    """Change the state of a link; what it is already is left as it is."""
    conn.execute(
        """
        update core.job_links
        set state = %(state)s, reason = %(reason)s, state_since = now()
        where link_id = %(link)s
            and (state, reason) is distinct from (%(state)s, %(reason)s)
        """,
        {"state": state, "reason": reason, "link": link_id},
    )


def forget_look(conn: Connection, link_id: int) -> None:
    """Make a link come back for another look."""
    conn.execute("update core.job_links set ats_seen = '{}' where link_id = %s", (link_id,))


def ended_with(conn: Connection, decision: Mapping[str, Any], reasons: Sequence[str]) -> Row | None:
    """Return the link that the decision's own transaction retired for one of `reasons`, None when there is none.

    `suspended_by` is why it cannot be active now, None when it can.
    """
    return conn.execute(
        """
        select l.*, core.suspended_by(j, i, o) as suspended_by
        from core.job_links l
        join core.own_jobs o on o.customer_id = l.customer_id and o.own_job_id = l.own_job_id
        join core.jobs j on j.integration_id = l.integration_id and j.kombo_job_id = l.kombo_job_id
        join core.integrations i on i.integration_id = l.integration_id
        where l.customer_id = %(customer_id)s
            and l.own_job_id = %(own_job_id)s
            and l.integration_id = %(integration_id)s
            and l.state = 'retired'
            and l.reason = any(%(reasons)s)
            and l.state_since = %(decided_at)s
        order by l.link_id desc
        limit 1
        """,
        {**decision, "reasons": list(reasons)},
    ).fetchone()


def which(*, link_ids: Sequence[int] | None = None, fetch_id: int | None = None) -> sql.Composable:
    """Narrow the statements below to some links, or to the links whose ATS job a fetch changed; all of an integration's
    otherwise."""
    if link_ids is not None:
        return sql.SQL("and l.link_id = any({})").format(sql.Literal(list(link_ids)))
    if fetch_id is not None:
        return sql.SQL("""
            and l.kombo_job_id in (
                select kombo_job_id
                from core.job_changes
                where fetch_id = {}
            )
            """).format(sql.Literal(fetch_id))
    return sql.SQL("")


def follow_lifecycle(conn: Connection, integration_id: str, narrowed: sql.Composable) -> int:
    """Suspend the active links of an integration that cannot be active now (core.suspended_by).

    A link that was suspended for its own job or a doubt about the owner alone is active again once that is over. The
    reason of a suspended link follows the ATS job (closed, then deleted); a doubt hides no reason that only a person
    can lift. Returns how many links changed their state.
    """
    return conn.execute(
        sql.SQL(
            """
            with now_true as (
                select l.link_id, core.suspended_by(j, i, o) as reason
                from core.job_links l
                join core.jobs j on j.integration_id = l.integration_id and j.kombo_job_id = l.kombo_job_id
                join core.integrations i on i.integration_id = l.integration_id
                join core.own_jobs o on o.customer_id = l.customer_id and o.own_job_id = l.own_job_id
                where l.integration_id = %s and l.state <> 'retired' {narrowed}
            )
            update core.job_links l
            set state = case when n.reason is null then 'active' else 'suspended' end,
                reason = n.reason,
                state_since = case when l.state = 'active' or n.reason is null then now() else l.state_since end
            from now_true n
            where l.link_id = n.link_id
                and l.reason is distinct from n.reason
                and case
                    when n.reason is null then l.reason in ('withdrawn', 'owner_in_doubt')
                    when n.reason = 'owner_in_doubt' then l.state = 'active' or l.reason = 'withdrawn'
                    else true
                end
            """
        ).format(narrowed=narrowed),
        (integration_id,),
    ).rowcount


def mark_for_another_look(conn: Connection, integration_id: str, narrowed: sql.Composable) -> None:
    """Say of each live link of an integration whether a person should look at it again, and since when.

    That is so when its ATS job is open again, and when an open one's title, code or place are not what was looked at.
    """
    conn.execute(
        sql.SQL(
            """
            update core.job_links l
            set look_again_since = case when due.is_due then now() end
            from (
                select
                    l.link_id,
                    j.lifecycle = 'open' and coalesce(l.reason, '') not in (
                        'withdrawn',
                        'owner_in_doubt'
                    ) and (l.state = 'suspended' or l.ats_seen <> core.seen(j)) as is_due
                from core.job_links l
                join core.jobs j using (integration_id, kombo_job_id)
                where l.integration_id = %s
                    and l.state <> 'retired' {narrowed}
            ) due
            where l.link_id = due.link_id
                and due.is_due <> (l.look_again_since is not null)
            """
        ).format(narrowed=narrowed),
        (integration_id,),
    )


def expose_linked(conn: Connection, integration_id: str, narrowed: sql.Composable) -> None:
    """Expose publishable ATS jobs with an active link of which nobody has ever chosen anything."""
    conn.execute(
        sql.SQL(
            """
            insert into core.exposed_jobs (integration_id, kombo_job_id, exposed_by, channel)
            select distinct on
                (j.kombo_job_id) j.integration_id,
                j.kombo_job_id,
                coalesce(l.confirmed_by, 'identifier ' || l.method),
                'link'
            from core.job_links l
            join core.jobs j using (integration_id, kombo_job_id)
            where l.integration_id = %s
                and l.state = 'active' {narrowed}
                and j.publishable
                and not exists (
                    select
                    from core.exposed_jobs e
                    where e.integration_id = j.integration_id
                        and e.kombo_job_id = j.kombo_job_id
                )
            order by j.kombo_job_id, l.link_id
            """
        ).format(narrowed=narrowed),
        (integration_id,),
    )


def end_other_customer(conn: Connection, integration_id: str, *, customer_id: str) -> None:
    """Retire the links of an integration and forget its matches, if they are those of another customer."""
    others = {"integration": integration_id, "customer": customer_id}
    conn.execute(
        """
        delete from core.own_job_matches
        where integration_id = %(integration)s
            and customer_id <> %(customer)s
        """,
        others,
    )
    conn.execute(
        """
        update core.job_links
        set state = 'retired', reason = 'customer_changed', state_since = now()
        where integration_id = %(integration)s
            and customer_id <> %(customer)s
            and state <> 'retired'
        """,
        others,
    )


def linked_integrations(conn: Connection, integration_ids: Sequence[str]) -> set[str]:
    """Return which of the integrations have a link that is not retired."""
    rows = conn.execute(
        """
        select integration_id
        from unnest(%s::text[]) as asked (integration_id)
        where exists (
            select
            from core.job_links l
            where l.integration_id = asked.integration_id and l.state <> 'retired'
        )
        """,
        (list(integration_ids),),
    )
    return {row["integration_id"] for row in rows}
