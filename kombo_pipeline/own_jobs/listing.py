"""The list of own jobs that people see: filtered, a page at a time, with the newest link of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from psycopg import sql
from psycopg.rows import class_row

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.db.queries import like_literal
from kombo_pipeline.vocabulary import LinkReason, LinkState, Method, NoTargetReason, Source


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedOwnJob:
    """An own job as a list shows it, with its newest link that is active or suspended."""

    customer_id: str
    own_job_id: str
    title: str | None
    job_code: str | None
    location: str | None
    source: Source
    list: str
    created_at: datetime
    withdrawn_at: datetime | None
    link_state: LinkState | None
    """None where no link is active or suspended; the columns that follow are of the link too."""
    link_reason: LinkReason | None
    state_since: datetime | None
    integration_id: str | None
    kombo_job_id: str | None
    method: Method | None
    confirmed_by: str | None
    ats_title: str | None
    no_target_because: NoTargetReason | None


def page(
    conn: Connection,
    *,
    customer_id: str | None,
    words: Sequence[str],
    source: str | None,
    state: str | None,
    offset: int,
    limit: int,
) -> tuple[list[ListedOwnJob], int]:
    """Return a page of own jobs with their newest live link, the newest first, and how many match.

    `words` are part of title, id, code or place. `state` is active, suspended, none (no live link) or withdrawn;
    without one, withdrawn jobs are left out. None matches everything.
    """
    conditions = [_CONDITIONS["withdrawn" if state == "withdrawn" else "living"]]
    conditions += [_CONDITIONS["customer"]] if customer_id is not None else []
    conditions += [_CONDITIONS["source"]] if source is not None else []
    conditions += [_CONDITIONS[state]] if state in ("active", "suspended", "none") else []
    conditions += [_CONDITIONS["words"]] if words else []
    values = {
        "customer": customer_id,
        "source": source,
        "state": state,
        "patterns": [f"%{like_literal(word.lower())}%" for word in words],
        "offset": offset,
        "limit": limit,
    }
    matching = sql.SQL(" and ").join(conditions)
    with conn.cursor(row_factory=class_row(ListedOwnJob)) as cursor:
        rows = cursor.execute(_PAGE.format(matching=matching, link=_NEWEST_LINK), values).fetchall()
    counted = conn.execute(
        sql.SQL("select count(*) as jobs from core.own_jobs o where {}").format(matching), values
    ).fetchone()
    assert counted is not None
    return rows, counted["jobs"]


_NEWEST_LINK: Final = sql.SQL(
    """
    select l.*
    from core.job_links l
    where l.customer_id = o.customer_id and l.own_job_id = o.own_job_id and l.state <> 'retired'
    order by l.state, l.link_id desc
    limit 1
    """
)
_LINK_STATE: Final = sql.SQL("(select l.state from ({}) l)").format(_NEWEST_LINK)
_CONDITIONS: Final[dict[str, sql.Composable]] = {
    "living": sql.SQL("o.withdrawn_at is null"),
    "withdrawn": sql.SQL("o.withdrawn_at is not null"),
    "customer": sql.SQL("o.customer_id = %(customer)s"),
    "source": sql.SQL("o.source = %(source)s"),
    "active": sql.SQL("{} = %(state)s").format(_LINK_STATE),
    "suspended": sql.SQL("{} = %(state)s").format(_LINK_STATE),
    "none": sql.SQL("{} is null").format(_LINK_STATE),
    "words": sql.SQL(
        """
        lower(concat_ws(' ', o.title, o.own_job_id, o.job_code, o.location) collate "default")
            like all (%(patterns)s)
        """
    ),
}
# The page of own jobs is found first: links and targets are looked up for that page only.
_PAGE: Final = sql.SQL(
    """
    select
        o.customer_id,
        o.own_job_id,
        o.title,
        o.job_code,
        o.location,
        o.source,
        o.list,
        o.created_at,
        o.withdrawn_at,
        l.state as link_state,
        l.reason as link_reason,
        l.state_since,
        l.integration_id,
        l.kombo_job_id,
        l.method,
        l.confirmed_by,
        j.name as ats_title,
        core.no_target_because(l.customer_id, l.own_job_id, l.integration_id, l.kombo_job_id) as no_target_because
    from (
        select
            o.customer_id,
            o.own_job_id,
            o.title,
            o.job_code,
            o.location,
            o.source,
            o.list,
            o.created_at,
            o.withdrawn_at
        from core.own_jobs o
        where {matching}
        order by o.created_at desc, o.customer_id, o.own_job_id
        offset %(offset)s
        limit %(limit)s
    ) o
    left join lateral ({link}) l on true
    left join core.jobs j on j.integration_id = l.integration_id and j.kombo_job_id = l.kombo_job_id
    order by o.created_at desc, o.customer_id, o.own_job_id
    """
)
