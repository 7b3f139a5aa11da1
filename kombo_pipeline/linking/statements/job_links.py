"""Statements on core.job_links and core.link_decisions."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import sql
from psycopg.types.json import Jsonb

from kombo_pipeline.db.connection import Connection

Row = dict[str, Any]


def lock_own_job(conn: Connection, customer_id: str, own_job_id: str) -> Row | None:
    """Return an own job with what a person sees of it (`seen`), locked until the transaction ends; None if unknown."""
    return conn.execute(
        "select o.*, core.seen(o) as seen from core.own_jobs o where customer_id = %s and own_job_id = %s for update",
        (customer_id, own_job_id),
    ).fetchone()


def ats_job(conn: Connection, *, customer_id: str, integration_id: str, kombo_job_id: str) -> Row | None:
    """Return an ATS job's lifecycle and what a person sees of it, locked for the transaction.

    None when it is unknown or of another customer.
    """
    return conn.execute(
        "select j.kombo_job_id, j.lifecycle, core.seen(j) as seen from core.jobs j join core.integrations i "
        "using (integration_id) where i.customer_id = %s and j.integration_id = %s and j.kombo_job_id = %s "
        "for share of j",
        (customer_id, integration_id, kombo_job_id),
    ).fetchone()


def live_link(conn: Connection, *, customer_id: str, own_job_id: str, integration_id: str) -> Row | None:
    """Return the own job's link in the integration that is not retired; there is one at most."""
    return conn.execute(
        "select * from core.job_links where customer_id = %s and own_job_id = %s and integration_id = %s "
        "and state <> 'retired'",
        (customer_id, own_job_id, integration_id),
    ).fetchone()


def insert_link(conn: Connection, link: Mapping[str, Any]) -> int:
    """Insert a link, suspended at once where the ATS job is not open; return its id."""
    row = conn.execute(
        "insert into core.job_links (customer_id, own_job_id, integration_id, kombo_job_id, method, confirmed_by, "
        "matcher_version, state, reason, own_seen, ats_seen) "
        "select o.customer_id, o.own_job_id, j.integration_id, j.kombo_job_id, %(method)s, %(confirmed_by)s, "
        "%(matcher_version)s, case when j.lifecycle = 'open' then 'active' else 'suspended' end, "
        "nullif(j.lifecycle, 'open'), core.seen(o), core.seen(j) from core.own_jobs o, core.jobs j "
        "where o.customer_id = %(customer_id)s and o.own_job_id = %(own_job_id)s "
        "and j.integration_id = %(integration_id)s and j.kombo_job_id = %(kombo_job_id)s returning link_id",
        link,
    ).fetchone()
    assert row is not None
    return int(row["link_id"])


def look_again(conn: Connection, link_id: int, *, confirmed_by: str) -> None:
    """Confirm a live link as it is now: it is active if the ATS job is open, and holds for what both jobs are today."""
    conn.execute(
        "update core.job_links l set own_seen = core.seen(o), ats_seen = core.seen(j), confirmed_by = %s, "
        "state = case when j.lifecycle = 'open' then 'active' else 'suspended' end, "
        "reason = nullif(j.lifecycle, 'open'), "
        "state_since = case when (l.state = 'active') = (j.lifecycle = 'open') then l.state_since else now() end "
        "from core.own_jobs o, core.jobs j where l.link_id = %s and o.customer_id = l.customer_id "
        "and o.own_job_id = l.own_job_id and j.integration_id = l.integration_id and j.kombo_job_id = l.kombo_job_id",
        (confirmed_by, link_id),
    )


def set_state(conn: Connection, link_id: int, state: str, reason: str | None) -> None:
    """Change the state of a link; what it is already is left as it is."""
    conn.execute(
        "update core.job_links set state = %(state)s, reason = %(reason)s, state_since = now() "
        "where link_id = %(link)s and (state, reason) is distinct from (%(state)s, %(reason)s)",
        {"state": state, "reason": reason, "link": link_id},
    )


def forget_look(conn: Connection, link_id: int) -> None:
    """Make a link come back for another look."""
    conn.execute("update core.job_links set ats_seen = '{}' where link_id = %s", (link_id,))


def ended_with(conn: Connection, decision: Mapping[str, Any], reasons: Sequence[str]) -> Row | None:
    """Return the link that the decision's own transaction retired for one of `reasons`, None when there is none."""
    return conn.execute(
        "select l.*, j.lifecycle from core.job_links l join core.jobs j using (integration_id, kombo_job_id) "
        "where l.customer_id = %(customer_id)s and l.own_job_id = %(own_job_id)s "
        "and l.integration_id = %(integration_id)s and l.state = 'retired' and l.reason = any(%(reasons)s) "
        "and l.state_since = %(decided_at)s order by l.link_id desc limit 1",
        {**decision, "reasons": list(reasons)},
    ).fetchone()


def insert_decision(conn: Connection, decision: Mapping[str, Any]) -> Row:
    """Append a decision and return its row."""
    row = conn.execute(
        "insert into core.link_decisions (answer_id, batch_id, customer_id, own_job_id, integration_id, kombo_job_id, "
        "decision, method, undoes, decided_by, note, own_seen, ats_seen, on_screen, matcher_version) values ("
        "%(answer_id)s, %(batch_id)s, %(customer_id)s, %(own_job_id)s, %(integration_id)s, %(kombo_job_id)s, "
        "%(decision)s, %(method)s, %(undoes)s, %(decided_by)s, %(note)s, %(own_seen)s, %(ats_seen)s, %(on_screen)s, "
        "%(matcher_version)s) returning *",
        {
            **dict.fromkeys(("batch_id", "kombo_job_id", "method", "undoes", "note", "matcher_version")),
            **decision,
            **{name: _jsonb(decision.get(name)) for name in ("own_seen", "ats_seen", "on_screen")},
        },
    ).fetchone()
    assert row is not None
    return row


def decisions_of_answer(conn: Connection, answer_id: UUID) -> list[Row]:
    """Return the rows of an answer, in order; empty when it was never given."""
    return conn.execute(
        "select * from core.link_decisions where answer_id = %s order by decision_id", (answer_id,)
    ).fetchall()


def decisions_since(
    conn: Connection, decision_id: int, *, customer_id: str, own_job_id: str, integration_id: str
) -> list[Row]:
    """Return what was decided about an own job later than `decision_id`, in order."""
    return conn.execute(
        "select * from core.link_decisions where customer_id = %s and own_job_id = %s and integration_id = %s "
        "and decision_id > %s order by decision_id",
        (customer_id, own_job_id, integration_id, decision_id),
    ).fetchall()


def standing_of(conn: Connection, *, answer_id: UUID | None = None, batch_id: UUID | None = None) -> list[Row]:
    """Return the decisions of an answer or a batch that were not undone, the newest first, their own jobs locked."""
    return conn.execute(
        "select d.* from core.link_decisions d join core.own_jobs o on o.customer_id = d.customer_id "
        "and o.own_job_id = d.own_job_id where (d.answer_id = %s or d.batch_id = %s) and d.decision <> 'undone' "
        "and not exists (select from core.link_decisions u where u.undoes = d.decision_id) "
        "order by d.decision_id desc for update of o",
        (answer_id, batch_id),
    ).fetchall()


def rejected_pairs(conn: Connection, integration_id: str) -> set[tuple[str, str]]:
    """Return the (own job, ATS job) pairs of the integration of which a person said no, as long as that stands."""
    rows = conn.execute(
        "select own_job_id, kombo_job_id from marts.link_decisions where integration_id = %s "
        "and decision = 'rejected' and stands",
        (integration_id,),
    )
    return {(row["own_job_id"], row["kombo_job_id"]) for row in rows}


def without_counterpart(conn: Connection, integration_id: str) -> set[str]:
    """Return the own jobs of which a person said that the ATS has none of them, as long as that stands."""
    rows = conn.execute(
        "select own_job_id from marts.link_decisions where integration_id = %s and decision = 'no_counterpart' "
        "and stands",
        (integration_id,),
    )
    return {row["own_job_id"] for row in rows}


def which(*, link_id: int | None = None, fetch_id: int | None = None) -> sql.Composable:
    """Narrow the statements below to one link, or to the links whose ATS job a fetch changed; all of an integration's
    otherwise."""
    if link_id is not None:
        return sql.SQL("and l.link_id = {}").format(sql.Literal(link_id))
    if fetch_id is not None:
        return sql.SQL("and l.kombo_job_id in (select kombo_job_id from core.job_changes where fetch_id = {})").format(
            sql.Literal(fetch_id)
        )
    return sql.SQL("")


def follow_lifecycle(conn: Connection, integration_id: str, narrowed: sql.Composable) -> int:
    """Suspend the active links of an integration whose ATS job is not open or whose own job is withdrawn.

    A link that was suspended for its own job alone is active again once that is back. The reason of a suspended link
    follows the ATS job (closed, then deleted). Returns how many links changed their state.
    """
    return conn.execute(
        sql.SQL(
            "with now_true as (select l.link_id, case when j.lifecycle <> 'open' then j.lifecycle "
            "when o.withdrawn_at is not null then 'withdrawn' end as reason from core.job_links l "
            "join core.jobs j using (integration_id, kombo_job_id) join core.own_jobs o "
            "on o.customer_id = l.customer_id and o.own_job_id = l.own_job_id "
            "where l.integration_id = %s and l.state <> 'retired' {narrowed}) update core.job_links l "
            "set state = case when n.reason is null then 'active' else 'suspended' end, "
            "reason = n.reason, state_since = case when l.state = 'active' or n.reason is null then now() "
            "else l.state_since end from now_true n where l.link_id = n.link_id and (n.reason is not null "
            "and l.reason is distinct from n.reason or n.reason is null and l.reason = 'withdrawn')"
        ).format(narrowed=narrowed),
        (integration_id,),
    ).rowcount


def mark_for_another_look(conn: Connection, integration_id: str, narrowed: sql.Composable) -> None:
    """Say of each live link of an integration whether a person should look at it again, and since when.

    That is so when its ATS job is open again, and when an open one's title, code or place are not what was looked at.
    """
    conn.execute(
        sql.SQL(
            "update core.job_links l set look_again_since = case when due.is_due then now() end from ("
            "select l.link_id, j.lifecycle = 'open' and l.reason is distinct from 'withdrawn' "
            "and (l.state = 'suspended' or l.ats_seen <> core.seen(j)) as is_due from core.job_links l "
            "join core.jobs j using (integration_id, kombo_job_id) "
            "where l.integration_id = %s and l.state <> 'retired' {narrowed}) due "
            "where l.link_id = due.link_id and due.is_due <> (l.look_again_since is not null)"
        ).format(narrowed=narrowed),
        (integration_id,),
    )


def expose_linked(conn: Connection, integration_id: str, narrowed: sql.Composable) -> None:
    """Expose publishable ATS jobs with an active link of which nobody has ever chosen anything."""
    conn.execute(
        sql.SQL(
            "insert into core.exposed_jobs (integration_id, kombo_job_id, exposed_by, channel) "
            "select distinct on (j.kombo_job_id) j.integration_id, j.kombo_job_id, "
            "coalesce(l.confirmed_by, 'identifier ' || l.method), 'link' from core.job_links l "
            "join core.jobs j using (integration_id, kombo_job_id) "
            "where l.integration_id = %s and l.state = 'active' {narrowed} and j.publishable "
            "and not exists (select from core.exposed_jobs e where e.integration_id = j.integration_id "
            "and e.kombo_job_id = j.kombo_job_id) order by j.kombo_job_id, l.link_id"
        ).format(narrowed=narrowed),
        (integration_id,),
    )


def end_other_customer(conn: Connection, integration_id: str, *, customer_id: str) -> None:
    """Retire the links of an integration and forget its matches, if they are those of another customer."""
    others = {"integration": integration_id, "customer": customer_id}
    conn.execute(
        "delete from core.own_job_matches where integration_id = %(integration)s and customer_id <> %(customer)s",
        others,
    )
    conn.execute(
        "update core.job_links set state = 'retired', reason = 'customer_changed', state_since = now() "
        "where integration_id = %(integration)s and customer_id <> %(customer)s and state <> 'retired'",
        others,
    )


def _jsonb(value: Any) -> Jsonb | None:
    return None if value is None else Jsonb(value)


def newest_decision(
    conn: Connection, *, customer_id: str, own_job_id: str, integration_id: str
) -> tuple[int, datetime | None]:
    """Return the id and time of the newest decision about an own job; (0, None) when there is none."""
    row = conn.execute(
        "select decision_id, decided_at from core.link_decisions where customer_id = %s and own_job_id = %s "
        "and integration_id = %s order by decision_id desc limit 1",
        (customer_id, own_job_id, integration_id),
    ).fetchone()
    return (row["decision_id"], row["decided_at"]) if row else (0, None)
