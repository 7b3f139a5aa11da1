"""What the back office shows of integrations, holds and links, read at one glance each."""

from typing import Any, NamedTuple

from psycopg import sql
from psycopg.rows import class_row

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.db.queries import like_literal, number

Row = dict[str, Any]


def health(conn: Connection, integration_id: str | None = None) -> list[Row]:
    """Return one integration or all, as marts.integration_health has them, those that need somebody first."""
    return conn.execute(
        "select * from marts.integration_health where %(id)s::text is null or integration_id = %(id)s "
        "order by array_position(array['failing', 'needs attention', 'waiting', 'healthy', 'gone'], health), "
        "organization_name nulls last, integration_id",
        {"id": integration_id},
    ).fetchall()


class OddDeliveries(NamedTuple):
    """How many events are dead, and how many deliveries were refused within a day, by reason."""

    dead: int
    refused: dict[str, int]


def odd_deliveries(conn: Connection) -> OddDeliveries:
    """Count what was delivered and could not be used."""
    refused = conn.execute(
        """
        select reason, sum(deliveries)::bigint as deliveries
        from marts.refused_deliveries
        where minute > now() - interval '24 hours'
        group by reason
        order by 2 desc, 1
        """
    ).fetchall()
    dead = number(conn, "select count(*) as n from marts.dead_events")
    return OddDeliveries(dead, {row["reason"]: row["deliveries"] for row in refused})


def funnels(conn: Connection, integration_id: str | None = None) -> dict[str, Row]:
    """Return how far linking has come, by integration: own jobs, those held, links and application targets.

    These figures of marts.link_funnel take a tenth of its time where only they are counted.
    """
    rows = conn.execute(
        "select i.integration_id, coalesce(o.n, 0) as own_jobs, coalesce(l.active, 0) as linked, "
        "coalesce(l.suspended, 0) as suspended, coalesce(t.n, 0) as application_targets, "
        "coalesce(h.n, 0) as held_own_jobs from core.integrations i "
        "left join (select customer_id, sum(cardinality(own_job_ids)) as n from core.held_withdrawals "
        "where decision is null group by 1) h on h.customer_id = i.customer_id "
        "left join (select customer_id, count(*) as n from core.own_jobs where withdrawn_at is null "
        "and (%(id)s::text is null or customer_id = (select customer_id from core.integrations "
        "where integration_id = %(id)s)) group by 1) o on o.customer_id = i.customer_id "
        "left join (select l.integration_id, count(*) filter (where l.state = 'active') as active, "
        "count(*) filter (where l.state = 'suspended') as suspended from core.job_links l "
        "join core.own_jobs o using (customer_id, own_job_id) where l.state <> 'retired' and o.withdrawn_at is null "
        "and (%(id)s::text is null or l.integration_id = %(id)s) group by 1) l on l.integration_id = i.integration_id "
        "left join (select integration_id, count(distinct own_job_id) as n from marts.application_targets "
        "where %(id)s::text is null or integration_id = %(id)s group by 1) t on t.integration_id = i.integration_id "
        "where %(id)s::text is null or i.integration_id = %(id)s",
        {"id": integration_id},
    )
    return {row["integration_id"]: row for row in rows}


def first_syncs(conn: Connection) -> dict[str, Row]:
    """Return of each integration without a complete fetch what has come of it so far.

    `attempts` fetches were begun, `pages` of the newest have landed; `usual` is the median time that integrations
    of the same tool took from their first sign of life to their first complete fetch, of `known` of them; None
    when there is none.
    """
    rows = conn.execute(
        "with first as (select i.tool, i.integration_id, min(f.applied_at) - i.registered_at as took "
        "from core.integrations i join marts.fetches f using (integration_id) "
        "where f.kind = 'full' and f.status = 'applied' group by i.integration_id), "
        "usual as (select tool, percentile_cont(0.5) within group (order by took) as usual, count(*) as known "
        "from first where took > interval '0' group by tool) "
        "select i.integration_id, usual.usual, coalesce(usual.known, 0) as known, "
        "(select count(*) from marts.fetches f where f.integration_id = i.integration_id) as attempts, "
        "coalesce((select f.pages_landed from marts.fetches f where f.integration_id = i.integration_id "
        "and f.status in ('running', 'landed') order by fetch_id desc limit 1), 0) as pages "
        "from core.integrations i left join usual using (tool) where i.fetched_at is null and i.deleted_at is null"
    )
    return {row["integration_id"]: row for row in rows}


def newest_fetches(conn: Connection, integration_id: str, limit: int) -> list[Row]:
    """Return the newest fetches of an integration."""
    return conn.execute(
        "select * from marts.fetches where integration_id = %s order by fetch_id desc limit %s",
        (integration_id, limit),
    ).fetchall()


def newest_changes(conn: Connection, integration_id: str, limit: int) -> list[Row]:
    """Return the newest changes of an integration's jobs, without those of its first fetch."""
    return conn.execute(
        "select c.*, j.name, j.job_code from core.job_changes c "
        "left join core.jobs j using (integration_id, kombo_job_id) where c.change_id = any(array("
        "select change_id from core.job_changes where integration_id = %s and event <> 'created' "
        "order by observed_at desc, change_id desc limit %s)) order by c.observed_at desc, c.change_id desc",
        (integration_id, limit),
    ).fetchall()


def changes_of_job(conn: Connection, integration_id: str, kombo_job_id: str, limit: int) -> list[Row]:
    """Return the newest changes of a job."""
    return conn.execute(
        "select * from core.job_changes where integration_id = %s and kombo_job_id = %s "
        "order by change_id desc limit %s",
        (integration_id, kombo_job_id, limit),
    ).fetchall()


def quarantined(conn: Connection, integration_id: str, limit: int) -> list[Row]:
    """Return the newest records of an integration that could not be read, without their content."""
    return conn.execute(
        "select * from marts.quarantined_records where integration_id = %s and released_at is null "
        "order by quarantine_id desc limit %s",
        (integration_id, limit),
    ).fetchall()


def open_issues(conn: Connection, integration_id: str) -> list[Row]:
    """Return the problems that Kombo has raised about an integration and not resolved."""
    return conn.execute(
        "select * from core.integration_issues where integration_id = %s and status = 'OPEN' "
        "order by first_observed_at desc nulls last",
        (integration_id,),
    ).fetchall()


def holds(conn: Connection, *, hold_id: int | None = None, decided_limit: int = 20) -> list[Row]:
    """Return one held closure, or those that wait and the newest decided ones; those that wait come first.

    `linked` counts own jobs whose active link a release would suspend.
    """
    return conn.execute(
        "select h.*, i.customer_id, i.organization_name, i.tool, cardinality(h.kombo_job_ids) as jobs, "
        "(select count(*) from core.job_links l where l.integration_id = h.integration_id and l.state = 'active' "
        "and l.kombo_job_id = any(h.kombo_job_ids)) as linked "
        "from core.held_closures h join core.integrations i using (integration_id) "
        "where h.hold_id = %(hold)s or %(hold)s::bigint is null and (h.decision is null or h.hold_id in ("
        "select hold_id from core.held_closures where decision is not null order by decided_at desc limit %(limit)s)) "
        "order by h.decision is not null, h.decided_at desc, h.hold_id",
        {"hold": hold_id, "limit": decided_limit},
    ).fetchall()


def held_jobs(conn: Connection, hold_id: int, limit: int | None = None) -> list[Row]:
    """Return the jobs of a held closure and the own jobs linked to each, linked ones first."""
    return conn.execute(
        "select held.kombo_job_id, held.gone_at, j.name, j.job_code, core.place(j) as place, j.lifecycle, "
        "array_remove(array_agg(o.title order by o.own_job_id), null) as own_titles, "
        "array_remove(array_agg(l.link_id order by o.own_job_id), null) as link_ids "
        "from core.held_closures h cross join lateral unnest(h.kombo_job_ids, h.gone_at) held (kombo_job_id, gone_at) "
        "left join core.jobs j on j.integration_id = h.integration_id and j.kombo_job_id = held.kombo_job_id "
        "left join core.job_links l on l.integration_id = h.integration_id and l.kombo_job_id = held.kombo_job_id "
        "and l.state = 'active' left join core.own_jobs o on o.customer_id = l.customer_id "
        "and o.own_job_id = l.own_job_id where h.hold_id = %s "
        "group by held.kombo_job_id, held.gone_at, j.name, j.job_code, j.lifecycle, core.place(j) "
        "order by count(l.link_id) desc, j.name, held.kombo_job_id limit %s",
        (hold_id, limit),
    ).fetchall()


class HeldOwnJob(NamedTuple):
    """An own job of a held withdrawal, and the links that a release would suspend."""

    own_job_id: str
    title: str | None
    location: str | None
    stays: str
    """Why a release leaves it as it is; empty where it withdraws it."""
    ats_titles: list[str]
    link_ids: list[int]


def held_own_jobs(conn: Connection, hold_id: int, limit: int) -> list[HeldOwnJob]:
    """Return the own jobs of a held withdrawal and the ATS jobs linked to each, linked ones first."""
    with conn.cursor(row_factory=class_row(HeldOwnJob)) as cursor:
        return cursor.execute(
            """
            select
                held.own_job_id,
                o.title,
                o.location,
                case
                    when h.decision is not null then ''
                    when o.own_job_id is null then 'not there any more'
                    when o.withdrawn_at is not null then 'withdrawn already'
                    when o.list <> h.list then 'in list ' || o.list || ' now'
                    else ''
                end as stays,
                coalesce(l.ats_titles, '{}') as ats_titles,
                coalesce(l.link_ids, '{}') as link_ids
            from core.held_withdrawals h
            cross join lateral unnest(h.own_job_ids) held (own_job_id)
            left join core.own_jobs o on o.customer_id = h.customer_id and o.own_job_id = held.own_job_id
            left join lateral (
                select
                    array_agg(coalesce(j.name, j.kombo_job_id) order by l.link_id) as ats_titles,
                    array_agg(l.link_id order by l.link_id) as link_ids
                from core.job_links l
                join core.jobs j on j.integration_id = l.integration_id and j.kombo_job_id = l.kombo_job_id
                where l.customer_id = h.customer_id and l.own_job_id = held.own_job_id and l.state = 'active'
            ) l on true
            where h.hold_id = %s
            order by coalesce(cardinality(l.link_ids), 0) desc, o.title, held.own_job_id
            limit %s
            """,
            (hold_id, limit),
        ).fetchall()


_LINKS = sql.SQL(
    "select l.*, o.title as own_title, o.job_code as own_code, o.location as own_place, j.name as ats_title, "
    "j.job_code as ats_code, core.place(j) as ats_place, j.lifecycle, j.publishable, j.unreadable_fields, "
    "i.organization_name, i.tool, q.why as proposal, n.event_type as told, n.delivered_at, n.dead_at, "
    "n.next_attempt_at, n.last_error, "
    "l.own_seen <> core.seen(o) as own_changed, l.ats_seen <> core.seen(j) as ats_changed "
    "from core.job_links l join core.own_jobs o using (customer_id, own_job_id) "
    "join core.jobs j on j.integration_id = l.integration_id and j.kombo_job_id = l.kombo_job_id "
    "join core.integrations i on i.integration_id = l.integration_id "
    "left join lateral (select why from marts.review_queue q where q.customer_id = l.customer_id "
    "and q.own_job_id = l.own_job_id and q.integration_id = l.integration_id and q.link_id = l.link_id) q on true "
    "left join lateral (select * from core.link_notices n where n.link_id = l.link_id "
    "order by notice_seq desc limit 1) n on true "
)
_FILTERS = {
    "state": "l.state = %(state)s",
    "reason": "l.reason = %(reason)s",
    "customer": "l.customer_id = %(customer)s",
    "integration": "l.integration_id = %(integration)s",
    "own_job": "l.own_job_id = %(own_job)s",
    "text": "(l.own_job_id = %(text)s or exists (select from core.own_jobs o where o.customer_id = l.customer_id "
    "and o.own_job_id = l.own_job_id and o.title ilike %(like)s) or exists (select from core.jobs j "
    "where j.integration_id = l.integration_id and j.kombo_job_id = l.kombo_job_id "
    "and (j.name ilike %(like)s or j.job_code ilike %(like)s)))",
    # What is proposed of a link depends on its state: few links are looked at in full.
    "proposal": "l.state = case when %(proposal)s = 'changed' then 'active' else 'suspended' end and exists ("
    "select from marts.review_queue w where w.customer_id = l.customer_id and w.own_job_id = l.own_job_id "
    "and w.integration_id = l.integration_id and w.link_id = l.link_id and w.why = %(proposal)s)",
}


def links(conn: Connection, *, limit: int, offset: int = 0, **wanted: str | None) -> list[Row]:
    """Return links, those that changed last first, with what is proposed for each and its newest notice.

    `wanted` may name state, reason, customer, integration, own_job, text (part of a title or a code) and proposal
    (reopened, successor or changed).
    """
    given = {name: value for name, value in wanted.items() if value}
    conditions = [sql.SQL(_FILTERS[name]) for name in given]
    like = f"%{like_literal(given.get('text', ''))}%"
    # The page of links is found first: what is shown of each is looked up for that page only.
    query = sql.SQL(
        "{links} where l.link_id = any(array(select l.link_id from core.job_links l where {conditions} "
        "order by l.state_since desc, l.link_id desc limit %(limit)s offset %(offset)s)) "
        "order by l.state_since desc, l.link_id desc"
    ).format(links=_LINKS, conditions=sql.SQL(" and ").join(conditions or [sql.SQL("true")]))
    return conn.execute(query, {**given, "like": like, "limit": limit, "offset": offset}).fetchall()


def link(conn: Connection, link_id: int) -> Row | None:
    """Return a link as `links` does; None when there is none of that id."""
    return conn.execute(sql.SQL("{} where l.link_id = %s").format(_LINKS), (link_id,)).fetchone()


def link_counts(conn: Connection) -> list[Row]:
    """Return how many links there are by state and reason."""
    return conn.execute(
        "select state, reason, count(*) as links from core.job_links group by state, reason order by 1, 3 desc"
    ).fetchall()


def decisions_about(conn: Connection, *, customer_id: str, own_job_id: str, integration_id: str) -> list[Row]:
    """Return every answer about an own job in an integration, the newest first, with the ATS job's title."""
    return conn.execute(
        "select d.*, j.name as ats_title from marts.link_decisions d left join core.jobs j "
        "on j.integration_id = d.integration_id and j.kombo_job_id = d.kombo_job_id "
        "where d.customer_id = %s and d.own_job_id = %s and d.integration_id = %s order by d.decision_id desc",
        (customer_id, own_job_id, integration_id),
    ).fetchall()


def successors(conn: Connection, link: Row, limit: int) -> list[Row]:
    """Return the candidates of a link's own job other than the job it is linked to, the likeliest first."""
    return conn.execute(
        "select c.*, j.job_code from marts.match_candidates c join core.jobs j using (integration_id, kombo_job_id) "
        "where c.customer_id = %(customer_id)s and c.own_job_id = %(own_job_id)s "
        "and c.integration_id = %(integration_id)s and c.kombo_job_id <> %(kombo_job_id)s and not c.rejected "
        "order by c.rank limit %(limit)s",
        {**link, "limit": limit},
    ).fetchall()
