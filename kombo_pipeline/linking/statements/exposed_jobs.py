"""Statements of the job picker: an integration's ATS jobs as a list, and the customer's choice among them.

Rows of core.jobs are wide, so the list is read from core.matchable_jobs and from indexes. What that table does not
hold (jobs that are gone, and all of an integration that matching has not read) is read from core.jobs itself.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal

from psycopg import sql

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.db.queries import like_literal
from kombo_pipeline.vocabulary import GONE, LIFECYCLES

Row = dict[str, Any]
Action = Literal["expose", "end"]

STATUSES: Final[Mapping[str, tuple[str, ...]]] = {
    "open": ("open",),
    "closed": ("closed",),
    "draft": ("draft",),
    "archived": ("archived",),
    "unknown": ("unknown",),
    "gone": GONE,
    "all": tuple(LIFECYCLES),
}
"""What one may filter by, and the lifecycles that are meant."""
VISIBILITIES: Final[Mapping[str, str]] = {
    "visible": "(j.visibility is null or j.visibility in ('PUBLIC', 'UNLISTED'))",
    "internal": "(not j.publishable and j.visibility = 'INTERNAL')",
    "confidential": "(not j.publishable and j.visibility = 'CONFIDENTIAL')",
    "other": "(not j.publishable and j.visibility not in ('PUBLIC', 'UNLISTED', 'INTERNAL', 'CONFIDENTIAL'))",
}
SORTS: Final = ("opened", "title", "place", "department")

_EXPOSED: Final = (
    "exists (select from core.exposed_jobs e where e.integration_id = j.integration_id "
    "and e.kombo_job_id = j.kombo_job_id and e.exposed_until is null)"
)
_LINKED: Final = (
    "exists (select from core.job_links l where l.integration_id = j.integration_id "
    "and l.kombo_job_id = j.kombo_job_id and l.state <> 'retired')"
)
_WIDE: Final[Mapping[str, str]] = {
    "title": "coalesce(j.name, '')",
    "place": "coalesce(core.place(j), '')",
    "department": "coalesce(j.department, '')",
    "opened": "coalesce(j.opened_at, j.remote_created_at)::date",
    # Ids are collated "C", in which only a-z have capitals.
    "searched": "lower(concat_ws(' ', j.name, j.job_code, core.place(j), j.department, j.remote_id, j.kombo_job_id) "
    'collate "default")',
    "named": "j.post_url = any(%(urls)s)",
}
_NARROW: Final[Mapping[str, str]] = {
    "title": "m.title",
    "place": "m.place",
    "department": "m.department",
    "opened": "m.posted_on",
    "searched": "m.search_text",
    "named": "m.identifiers && %(keys)s",
}


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which ATS jobs of an integration are meant; empty texts and None where it does not matter."""

    integration_id: str
    status: str = "open"
    words: tuple[str, ...] = ()
    """Each is part of the job's title, code, place, department or ids."""
    keys: tuple[str, ...] = ()
    """Or, of an address that was searched for: what names the job, as in core.matchable_jobs.identifiers."""
    urls: tuple[str, ...] = ()
    """And the address itself."""
    place: str = ""
    department: str = ""
    visibility: str = ""
    exposed: bool | None = None
    linked: bool | None = None

    @property
    def is_status_alone(self) -> bool:
        """Whether counting by state counts what is meant."""
        return self == Filter(integration_id=self.integration_id, status=self.status)


def integrations(conn: Connection, *, customer_id: str | None) -> list[Row]:
    """Return the integrations whose jobs can be picked, of one customer or of all, by name."""
    return conn.execute(
        "select integration_id, customer_id, coalesce(organization_name, customer_id) as name, organization_name, "
        "tool, fetch_state, fetched_at, kombo_last_sync_started_at, matched_at, deleted_at, succeeded_by, "
        "who_must_act, what_to_do from core.integrations where customer_id is not null "
        "and (%(customer)s::text is null or customer_id = %(customer)s) "
        "order by coalesce(deleted_at, succeeded_at) nulls first, name, integration_id",
        {"customer": customer_id},
    ).fetchall()


def counts(conn: Connection, integration_id: str) -> tuple[dict[str, int], int, int]:
    """Return the number of jobs by lifecycle, of open ones that may be application targets, and of exposed ones."""
    rows = conn.execute(
        "select lifecycle, publishable, count(*) as jobs from core.jobs where integration_id = %s group by 1, 2",
        (integration_id,),
    ).fetchall()
    exposed = conn.execute(
        "select count(*) as jobs from core.exposed_jobs where integration_id = %s and exposed_until is null",
        (integration_id,),
    ).fetchone()
    by_lifecycle: dict[str, int] = {}
    for row in rows:
        by_lifecycle[row["lifecycle"]] = by_lifecycle.get(row["lifecycle"], 0) + row["jobs"]
    assert exposed is not None
    return by_lifecycle, sum(row["jobs"] for row in rows if row["publishable"]), exposed["jobs"]


def suggestions(conn: Connection, integration_id: str, *, sample: int = 3000, limit: int = 40) -> dict[str, list[str]]:
    """Return the commonest places and departments of a sample of jobs, by name: what one may want to filter by."""
    found = {}
    for column in ("place", "department"):
        rows = conn.execute(
            sql.SQL(
                "select value from (select left({column}, 80) as value from core.matchable_jobs "
                "where integration_id = %s order by kombo_job_id limit %s) sample where value <> '' "
                "group by value order by count(*) desc, value limit %s"
            ).format(column=sql.Identifier(column)),
            (integration_id, sample, limit),
        )
        found[column] = sorted(row["value"] for row in rows)
    return found


def page(
    conn: Connection, wanted: Filter, *, sort: str = "opened", descending: bool = True, offset: int, limit: int
) -> tuple[list[str], int | None]:
    """Return a page of job ids, and how many match; None for that when counting by state tells it, or past the end."""
    # As the indexes of core.matchable_jobs are sorted, read from either end.
    order = sql.SQL(
        "{sort} {direction} nulls last, kombo_job_id"
        if sort == "opened"
        else "{sort} {direction}, kombo_job_id {direction}"
    ).format(sort=sql.Identifier(sort), direction=sql.SQL("desc" if descending else "asc"))
    total = sql.SQL("null::bigint" if wanted.is_status_alone else "count(*) over ()")
    matching, values = _matching(conn, wanted)
    rows = conn.execute(
        sql.SQL("select kombo_job_id, {} as total from ({}) m order by {} offset %(offset)s limit %(limit)s").format(
            total, matching, order
        ),
        {**values, "offset": offset, "limit": limit},
        # A plan for any filter is a bad one for most.
        prepare=False,
    ).fetchall()
    return [row["kombo_job_id"] for row in rows], rows[0]["total"] if rows else None


def jobs(conn: Connection, integration_id: str, kombo_job_ids: Sequence[str]) -> list[Row]:
    """Return what the list shows of jobs, in the order given; unknown ones are left out.

    `links` are the own jobs that are linked and not retired, three at most; `chosen_before` says whether anybody
    has ever chosen the job.
    """
    return conn.execute(
        """
        select
            j.integration_id, j.kombo_job_id, j.name, j.job_code, j.remote_id, core.place(j) as place, j.department,
            j.employment_type, j.lifecycle, j.publishable, j.status, j.visibility,
            coalesce(j.opened_at, j.remote_created_at) as opened_at, j.closed_at, j.post_url, j.remote_url,
            j.unreadable_fields, e.exposed_from, e.exposed_by, e.channel,
            exists (
                select from core.exposed_jobs x
                where (x.integration_id, x.kombo_job_id) = (j.integration_id, j.kombo_job_id)
            ) as chosen_before,
            (
                select coalesce(jsonb_agg(link), '[]')
                from (
                    select l.own_job_id, o.title, l.state, l.reason, l.customer_id
                    from core.job_links l join core.own_jobs o using (customer_id, own_job_id)
                    where (l.integration_id, l.kombo_job_id) = (j.integration_id, j.kombo_job_id) and state <> 'retired'
                    order by l.link_id limit 3
                ) link
            ) as links
        from unnest(%(ids)s::text[]) with ordinality given (kombo_job_id, position)
        join core.jobs j on j.integration_id = %(integration)s and j.kombo_job_id = given.kombo_job_id
        left join core.exposed_jobs e
            on (e.integration_id, e.kombo_job_id) = (j.integration_id, j.kombo_job_id) and e.exposed_until is null
        order by given.position
        """,
        {"integration": integration_id, "ids": list(kombo_job_ids)},
    ).fetchall()


def every_job(conn: Connection, wanted: Filter, *, at_once: int = 2000) -> Iterator[list[Row]]:
    """Yield all jobs that match, newest first, in lists of `at_once`, as one moment shows them."""
    matching, values = _matching(conn, wanted)
    with conn.cursor(name="every_job") as cursor:
        cursor.execute(
            sql.SQL("select kombo_job_id from ({}) m order by opened desc nulls last, kombo_job_id").format(matching),
            values,
        )
        while rows := cursor.fetchmany(at_once):
            yield jobs(conn, wanted.integration_id, [row["kombo_job_id"] for row in rows])


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What choosing all that match would do, in jobs."""

    chosen: int
    """So many would be exposed, or have their exposure ended."""
    digest: str
    """Of their ids: it changes with the set."""
    first: list[str]
    """Ids of some of them."""
    left_out: Mapping[str, int]
    """Why the others would not: already (so), not_open, not_visible (internal, confidential, unknown visibility)."""


def preview(conn: Connection, wanted: Filter, action: Action, *, show: int = 10) -> Preview:
    """Say what `choose_all` would do."""
    matching, values = _matching(conn, wanted)
    judged = sql.SQL(
        "select n.*, case when {exposed} = (%(action)s = 'expose') then 'already' "
        "when %(action)s = 'end' then 'chosen' when n.lifecycle <> 'open' then 'not_open' "
        "when not n.publishable then 'not_visible' else 'chosen' end as what from ({matching}) n"
    ).format(exposed=sql.SQL(_EXPOSED.replace("j.", "n.")), matching=matching)
    counted = conn.execute(
        sql.SQL(
            "select what, count(*) as jobs, sum(hashtextextended(kombo_job_id, 0))::text as digest "
            "from ({}) m group by 1"
        ).format(judged),
        {**values, "action": action},
        prepare=False,
    ).fetchall()
    first = conn.execute(
        sql.SQL(
            "select kombo_job_id from ({}) m where what = 'chosen' order by opened desc nulls last, kombo_job_id "
            "limit %(show)s"
        ).format(judged),
        {**values, "action": action, "show": show},
        prepare=False,
    ).fetchall()
    by_what = {row["what"]: row for row in counted}
    chosen = by_what.pop("chosen", {"jobs": 0, "digest": ""})
    return Preview(
        chosen=chosen["jobs"],
        digest=chosen["digest"],
        first=[row["kombo_job_id"] for row in first],
        left_out={what: row["jobs"] for what, row in by_what.items()},
    )


def choose_all(conn: Connection, wanted: Filter, action: Action, *, by: str, channel: str) -> int:
    """Expose all jobs that match and may be application targets, or end the exposure of all that match.

    Returns how many. Jobs that are internal, confidential or of unknown visibility are never exposed by this.
    """
    matching, values = _matching(conn, wanted)
    only = sql.SQL("publishable" if action == "expose" else "true")
    rows = conn.execute(sql.SQL("select kombo_job_id from ({}) m where {}").format(matching, only), values).fetchall()
    ids = [row["kombo_job_id"] for row in rows]
    if action == "expose":
        return len(expose(conn, wanted.integration_id, ids, by=by, channel=channel))
    return len(end_exposures(conn, wanted.integration_id, ids, by=by))


def expose(conn: Connection, integration_id: str, kombo_job_ids: Sequence[str], *, by: str, channel: str) -> list[str]:
    """Expose jobs that are not gone and not exposed already; return their ids."""
    rows = conn.execute(
        "insert into core.exposed_jobs (integration_id, kombo_job_id, exposed_by, channel) "
        "select j.integration_id, j.kombo_job_id, %(by)s, %(channel)s from core.jobs j "
        "where j.integration_id = %(integration)s and j.kombo_job_id = any(%(ids)s) and j.lifecycle <> all(%(gone)s) "
        "order by j.kombo_job_id on conflict (integration_id, kombo_job_id) where exposed_until is null do nothing "
        "returning kombo_job_id",
        {
            "integration": integration_id,
            "ids": list(kombo_job_ids),
            "by": by,
            "channel": channel,
            "gone": list(GONE),
        },
    )
    return [row["kombo_job_id"] for row in rows]


def end_exposures(conn: Connection, integration_id: str, kombo_job_ids: Sequence[str], *, by: str) -> list[str]:
    """End the current exposure of jobs; return the ids of those that had one."""
    rows = conn.execute(
        "update core.exposed_jobs set exposed_until = now(), ended_by = %s "
        "where integration_id = %s and kombo_job_id = any(%s) and exposed_until is null returning kombo_job_id",
        (by, integration_id, list(kombo_job_ids)),
    )
    return [row["kombo_job_id"] for row in rows]


def unread_jobs(conn: Connection, integration_id: str, *, limit: int = 5000) -> list[Row]:
    """Return what names the jobs that core.matchable_jobs does not hold, the newest first: gone ones, and new ones."""
    return conn.execute(
        "select j.kombo_job_id, j.name, j.remote_id, j.job_code, array_remove(array[j.post_url, j.remote_url] "
        "|| array(select p.url from marts.job_postings p where p.integration_id = j.integration_id "
        "and p.kombo_job_id = j.kombo_job_id), null) as urls from core.jobs j where j.integration_id = %(integration)s "
        "and not exists (select from core.matchable_jobs m where m.integration_id = j.integration_id "
        "and m.kombo_job_id = j.kombo_job_id) order by j.first_seen_at desc, j.kombo_job_id limit %(limit)s",
        {"integration": integration_id, "limit": limit},
    ).fetchall()


def history(
    conn: Connection,
    integration_id: str,
    *,
    kombo_job_id: str | None = None,
    before: datetime | None = None,
    limit: int = 50,
) -> list[Row]:
    """Return what was chosen, the newest first: of one job, or of all with what one person did at once as one row.

    `what` is exposed or ended, `channel` is null for an end; `ids` are some of the jobs.
    """
    return conn.execute(
        "select at, what, who, channel, count(*) as jobs, (array_agg(kombo_job_id order by kombo_job_id))[:5] as ids "
        "from (select exposed_from as at, 'exposed' as what, exposed_by as who, channel, kombo_job_id "
        "from core.exposed_jobs where integration_id = %(integration)s "
        "and (%(job)s::text is null or kombo_job_id = %(job)s) union all "
        "select exposed_until, 'ended', ended_by, null, kombo_job_id from core.exposed_jobs "
        "where integration_id = %(integration)s and exposed_until is not null "
        "and (%(job)s::text is null or kombo_job_id = %(job)s)) events "
        "where %(before)s::timestamptz is null or at < %(before)s "
        "group by at, what, who, channel order by at desc, what, who, channel limit %(limit)s",
        {"integration": integration_id, "job": kombo_job_id, "before": before, "limit": limit},
    ).fetchall()


def _matching(conn: Connection, wanted: Filter) -> tuple[sql.Composed, dict[str, Any]]:
    """A query for the jobs that match: kombo_job_id, lifecycle, publishable and what one may sort by."""
    lifecycles = STATUSES[wanted.status]
    values = {
        "integration": wanted.integration_id,
        "lifecycles": list(lifecycles),
        "patterns": [_contains(word.lower()) for word in wanted.words],
        "keys": list(wanted.keys),
        "urls": list(wanted.urls),
        "place": _contains(wanted.place),
        "department": _contains(wanted.department),
    }
    if not _is_read_by_matching(conn, wanted.integration_id):
        return _select(wanted, _WIDE, "core.jobs j"), values
    there = [lifecycle for lifecycle in lifecycles if lifecycle not in GONE]
    parts = []
    if there:
        narrow = "core.matchable_jobs m join core.jobs j using (integration_id, kombo_job_id)"
        parts.append(_select(wanted, _NARROW, narrow))
    if len(there) < len(lifecycles):
        parts.append(_select(replace(wanted, status="gone"), _WIDE, "core.jobs j", more="j.lifecycle = any(%(gone)s)"))
        values["gone"] = list(GONE)
    return sql.SQL(" union all ").join(parts), values


def _select(wanted: Filter, columns: Mapping[str, str], source: str, *, more: str = "true") -> sql.Composed:
    conditions = ["integration_id = %(integration)s", "j.lifecycle = any(%(lifecycles)s)", more]
    if wanted.keys:
        conditions.append(columns["named"])
    elif wanted.words:
        conditions.append(f"{columns['searched']} like all (%(patterns)s)")
    if wanted.place:
        conditions.append(f"{columns['place']} ilike %(place)s")
    if wanted.department:
        conditions.append(f"{columns['department']} ilike %(department)s")
    if wanted.visibility == "visible" and wanted.status == "open":
        conditions.append("j.publishable")
    elif wanted.visibility:
        conditions.append(VISIBILITIES[wanted.visibility])
    for flag, condition in ((wanted.exposed, _EXPOSED), (wanted.linked, _LINKED)):
        if flag is not None:
            conditions.append(condition if flag else f"not {condition}")
    sortable = ", ".join(
        f"{columns[name] if name == 'opened' else f'lower(left({columns[name]}, 100))'} as {name}" for name in SORTS
    )
    text = (
        f"select integration_id, j.kombo_job_id, j.lifecycle, j.publishable, {sortable} "  # noqa: S608 -- constants
        f"from {source} where {' and '.join(conditions)}"
    )
    return sql.Composed([sql.SQL(text)])


def _is_read_by_matching(conn: Connection, integration_id: str) -> bool:
    """Whether core.matchable_jobs can stand for the jobs: matching has read the newest fetch, or did so of late."""
    row = conn.execute(
        "select matched_fetch_id is not null and (matched_at > now() - interval '15 minutes' or matched_fetch_id >= "
        "coalesce((select max(fetch_id) from marts.fetches f where f.integration_id = i.integration_id "
        "and f.status = 'applied'), 0)) as is_read from core.integrations i where integration_id = %s",
        (integration_id,),
    ).fetchone()
    return bool(row and row["is_read"])


def _contains(text: str) -> str:
    return f"%{like_literal(text)}%"
