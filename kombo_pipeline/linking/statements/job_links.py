"""Statements on core.job_links.

Whether a link may be active is decided by core.suspended_by alone: every statement here that makes a link active asks
it, and no other module sets a link's state but for the links that follow to another connection (carried_links).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final, Literal

from psycopg import sql
from psycopg.rows import class_row

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.linking.own_job_key import OwnJobKey
from kombo_pipeline.vocabulary import Lifecycle, LinkReason, LinkState, Method

Seen = Mapping[str, Any]
"""Title, code and place of a job as somebody saw them: {"title": ..., "job_code": ..., "place": ...}."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NewLink:
    """A pair to be linked, and what allows it: an identifier, or the person who confirmed it."""

    customer_id: str
    own_job_id: str
    kombo_job_id: str
    method: Method
    confirmed_by: str | None
    """None where an identifier alone made the link."""
    matcher_version: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Link:
    """A link that is active or suspended, with the lifecycle of its ATS job."""

    link_id: int
    own_job_id: str
    kombo_job_id: str
    method: Method
    confirmed_by: str | None
    state: LinkState
    reason: LinkReason | None
    state_since: datetime
    created_at: datetime
    own_seen: Seen
    """The own job as it was when the link was made or last confirmed."""
    ats_seen: Seen
    """The ATS job at the same moment; empty when a person must look at the link again."""
    lifecycle: Lifecycle


def lock_own_job(conn: Connection, customer_id: str, own_job_id: str) -> Seen | None:
    """Lock an own job until the transaction ends and return what a person sees of it; None if it is unknown."""
    row = conn.execute(
        """
        select core.seen(o) as seen
        from core.own_jobs o
        where customer_id = %s and own_job_id = %s
        for update
        """,
        (customer_id, own_job_id),
    ).fetchone()
    return row["seen"] if row else None


def lock_ats_job(conn: Connection, *, customer_id: str, integration_id: str, kombo_job_id: str) -> Seen | None:
    """Lock an ATS job against changes until the transaction ends and return what a person sees of it.

    None when it is unknown or another customer's.
    """
    row = conn.execute(
        """
        select core.seen(j) as seen
        from core.jobs j
        join core.integrations i using (integration_id)
        where i.customer_id = %s
            and j.integration_id = %s
            and j.kombo_job_id = %s
        for share of j
        """,
        (customer_id, integration_id, kombo_job_id),
    ).fetchone()
    return row["seen"] if row else None


_LIVE: Final = sql.SQL(
    """
    select
        l.link_id, l.own_job_id, l.kombo_job_id, l.method, l.confirmed_by, l.state, l.reason, l.state_since,
        l.created_at, l.own_seen, l.ats_seen, j.lifecycle
    from core.job_links l
    join core.jobs j using (integration_id, kombo_job_id)
    where l.integration_id = %(integration_id)s
        and l.state <> 'retired'
        and {condition}
    """
)


def live_link(conn: Connection, key: OwnJobKey) -> Link | None:
    """Return the own job's link in the integration that is not retired; there is at most one."""
    condition = sql.SQL("l.customer_id = %(customer_id)s and l.own_job_id = %(own_job_id)s")
    with conn.cursor(row_factory=class_row(Link)) as cursor:
        return cursor.execute(_LIVE.format(condition=condition), key._asdict()).fetchone()


def live_links(conn: Connection, integration_id: str, own_job_ids: Sequence[str] | None) -> dict[str, Link]:
    """Return the links of the own jobs named (None: of all) that are not retired, by own job."""
    condition = sql.SQL("(%(ids)s::text[] is null or l.own_job_id = any(%(ids)s))")
    wanted = {"integration_id": integration_id, "ids": None if own_job_ids is None else list(own_job_ids)}
    with conn.cursor(row_factory=class_row(Link)) as cursor:
        return {link.own_job_id: link for link in cursor.execute(_LIVE.format(condition=condition), wanted)}


def insert_link(conn: Connection, integration_id: str, link: NewLink) -> int:
    """Insert a link and return its id. It is suspended at once where it cannot be active (core.suspended_by)."""
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
        {**asdict(link), "integration_id": integration_id},
    ).fetchone()
    assert row is not None
    return int(row["link_id"])


def confirm(conn: Connection, link_id: int, *, confirmed_by: str) -> None:
    """Confirm a link that is not retired for what both jobs are today; it is active unless something suspends it."""
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


def revive(conn: Connection, link_id: int) -> None:
    """Let a retired link live again: active, or suspended where it cannot be active now (core.suspended_by)."""
    conn.execute(
        """
        update core.job_links l
        set state = case when n.reason is null then 'active' else 'suspended' end,
            reason = n.reason,
            state_since = now()
        from (
            select l.link_id, core.suspended_by(j, i, o) as reason
            from core.job_links l
            join core.own_jobs o on o.customer_id = l.customer_id and o.own_job_id = l.own_job_id
            join core.jobs j on j.integration_id = l.integration_id and j.kombo_job_id = l.kombo_job_id
            join core.integrations i on i.integration_id = l.integration_id
            where l.link_id = %s
        ) n
        where l.link_id = n.link_id
        """,
        (link_id,),
    )


def set_state(conn: Connection, link_id: int, state: Literal["suspended", "retired"], reason: LinkReason) -> None:
    """Suspend or retire a link; one that has this state for this reason already stays as it is."""
    conn.execute(
        """
        update core.job_links
        set state = %(state)s, reason = %(reason)s, state_since = now()
        where link_id = %(link)s
            and (state, reason) is distinct from (%(state)s, %(reason)s)
        """,
        {"state": state, "reason": reason, "link": link_id},
    )


def ask_again(conn: Connection, link_id: int) -> None:
    """Have a person asked about a link again, by forgetting what was seen of its ATS job."""
    conn.execute("update core.job_links set ats_seen = '{}' where link_id = %s", (link_id,))


def link_ended_at(conn: Connection, key: OwnJobKey, *, moment: datetime, reasons: Sequence[LinkReason]) -> int | None:
    """Return the newest link of an own job that was retired at this very moment for one of `reasons`; None without one.

    The moment is the time of a transaction: that of an answer finds the link which the answer ended.
    """
    row = conn.execute(
        """
        select link_id
        from core.job_links
        where customer_id = %(customer_id)s
            and own_job_id = %(own_job_id)s
            and integration_id = %(integration_id)s
            and state = 'retired'
            and reason = any(%(reasons)s)
            and state_since = %(moment)s
        order by link_id desc
        limit 1
        """,
        {**key._asdict(), "moment": moment, "reasons": list(reasons)},
    ).fetchone()
    return row["link_id"] if row else None


def which(*, link_ids: Sequence[int] | None = None, fetch_id: int | None = None) -> sql.Composable:
    """Return the condition that narrows the statements below to these links, or to links whose ATS job a fetch changed.

    Without either it holds for all links of the integration.
    """
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

    A link that was suspended only because its own job was withdrawn, or because the owner was in doubt, is active again
    once that is over. The reason of a suspended link follows its ATS job (closed, then deleted). A doubt about the
    owner does not replace a reason that only a person can lift. Returns how many links changed.
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


def mark_questions(conn: Connection, integration_id: str, narrowed: sql.Composable) -> None:
    """Note on each link that is not retired since when a person should be asked about it (`look_again_since`).

    A person is asked when the ATS job of a suspended link is open again, and when title, code or place of an open ATS
    job are not what was confirmed.
    """
    conn.execute(
        sql.SQL(
            """
            update core.job_links l
            set look_again_since = case when due.is_due then now() end
            from (
                select
                    l.link_id,
                    j.lifecycle = 'open'
                        and coalesce(l.reason, '') not in ('withdrawn', 'owner_in_doubt')
                        and (l.state = 'suspended' or l.ats_seen <> core.seen(j)) as is_due
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
    """Expose the publishable ATS jobs that have an active link and were never exposed before."""
    conn.execute(
        sql.SQL(
            """
            insert into core.exposed_jobs (integration_id, kombo_job_id, exposed_by, channel)
            select distinct on (j.kombo_job_id)
                j.integration_id,
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
    """Retire the links of an integration that belong to another customer, and delete that customer's matches."""
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
