"""The filters of the job picker: which ATS jobs of an integration match, a page of them, or all of them.

The list is read from core.matchable_jobs and from indexes, because rows of core.jobs are wide. What that table does
not hold (jobs that are gone, and all jobs of an integration that matching has not read) is read from core.jobs.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from psycopg import sql

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.db.queries import like_literal
from kombo_pipeline.linking.statements import ats_jobs
from kombo_pipeline.linking.statements.ats_jobs import Job
from kombo_pipeline.vocabulary import GONE, LIFECYCLES, Lifecycle

Status = Literal["open", "closed", "draft", "archived", "unknown", "gone", "all"]
Visibility = Literal["visible", "internal", "confidential", "other"]
STATUSES: Final[Mapping[str, tuple[Lifecycle, ...]]] = {
    "open": ("open",),
    "closed": ("closed",),
    "draft": ("draft",),
    "archived": ("archived",),
    "unknown": ("unknown",),
    "gone": GONE,
    "all": tuple(LIFECYCLES),
}
"""The choices of the status filter, with the lifecycles that each includes."""
VISIBILITIES: Final[Mapping[str, sql.SQL]] = {
    "visible": sql.SQL("(j.visibility is null or j.visibility in ('PUBLIC', 'UNLISTED'))"),
    "internal": sql.SQL("(not j.publishable and j.visibility = 'INTERNAL')"),
    "confidential": sql.SQL("(not j.publishable and j.visibility = 'CONFIDENTIAL')"),
    "other": sql.SQL(
        """
        (
            not j.publishable
            and j.visibility not in ('PUBLIC', 'UNLISTED', 'INTERNAL', 'CONFIDENTIAL')
        )
        """
    ),
}
"""The choices of the visibility filter, with the condition of each."""
SORTS: Final = ("opened", "title", "place", "department")
"""The columns by which a list can be sorted."""

IS_EXPOSED: Final = sql.SQL(
    """
    exists (
        select
        from core.exposed_jobs e
        where e.integration_id = {job}.integration_id
            and e.kombo_job_id = {job}.kombo_job_id
            and e.exposed_until is null
    )
    """
)
"""Whether the job of the table alias `job` is exposed."""
_IS_LINKED: Final = sql.SQL(
    """
    exists (
        select
        from core.job_links l
        where l.integration_id = j.integration_id
            and l.kombo_job_id = j.kombo_job_id
            and l.state <> 'retired'
    )
    """
)


@dataclass(frozen=True, kw_only=True)
class _Source:
    """Tables from which a list can be read, and the expressions by which it is filtered and sorted there."""

    tables: sql.SQL
    title: sql.SQL
    place: sql.SQL
    department: sql.SQL
    opened: sql.SQL
    searched: sql.SQL
    """The lower-case text in which the search words are looked for."""
    has_address: sql.SQL
    """Whether the address that was searched for belongs to the job."""


_CORE: Final = _Source(
    tables=sql.SQL("core.jobs j"),
    title=sql.SQL("coalesce(j.name, '')"),
    place=sql.SQL("coalesce(core.place(j), '')"),
    department=sql.SQL("coalesce(j.department, '')"),
    opened=sql.SQL("coalesce(j.opened_at, j.remote_created_at)::date"),
    # Ids are collated "C", in which only a-z have capitals.
    searched=sql.SQL(
        """
        lower(
            concat_ws(' ', j.name, j.job_code, core.place(j), j.department, j.remote_id, j.kombo_job_id)
            collate "default"
        )
        """
    ),
    has_address=sql.SQL("j.post_url = any(%(urls)s)"),
)
_MATCHABLE: Final = _Source(
    tables=sql.SQL("core.matchable_jobs m join core.jobs j using (integration_id, kombo_job_id)"),
    title=sql.SQL("m.title"),
    place=sql.SQL("m.place"),
    department=sql.SQL("m.department"),
    opened=sql.SQL("m.posted_on"),
    searched=sql.SQL("m.search_text"),
    has_address=sql.SQL("m.identifiers && %(keys)s"),
)
_SELECT: Final = sql.SQL(
    """
    select
        integration_id,
        j.kombo_job_id,
        j.lifecycle,
        j.publishable,
        {opened} as opened,
        lower(left({title}, 100)) as title,
        lower(left({place}, 100)) as place,
        lower(left({department}, 100)) as department
    from {tables}
    where {conditions}
    """
)


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which ATS jobs of an integration are wanted; an empty text or None sets no condition."""

    integration_id: str
    status: Status = "open"
    words: tuple[str, ...] = ()
    """Each must be part of the job's title, code, place, department or ids."""
    keys: tuple[str, ...] = ()
    """When an address is searched for instead of words: its keys, as in core.matchable_jobs.identifiers."""
    urls: tuple[str, ...] = ()
    """The address itself, for jobs that matching has not read."""
    place: str = ""
    department: str = ""
    visibility: Visibility | Literal[""] = ""
    exposed: bool | None = None
    linked: bool | None = None

    @property
    def is_status_alone(self) -> bool:
        """Whether the status is the only condition, so that the counts by lifecycle are the counts of the filter."""
        return self == Filter(integration_id=self.integration_id, status=self.status)


def page(
    conn: Connection, wanted: Filter, *, sort: str = "opened", descending: bool = True, offset: int, limit: int
) -> tuple[list[str], int | None]:
    """Return the job ids of a page, and how many jobs match.

    That number is None past the end, and where `wanted.is_status_alone`: then `ats_jobs.counts` tells it faster.
    """
    # The indexes of core.matchable_jobs are sorted in this order, and are read from either end.
    order = (
        sql.SQL("{sort} {direction} nulls last, kombo_job_id")
        if sort == "opened"
        else sql.SQL("{sort} {direction}, kombo_job_id {direction}")
    ).format(sort=sql.Identifier(sort), direction=sql.SQL("desc" if descending else "asc"))
    matching, values = matching_jobs(conn, wanted)
    rows = conn.execute(
        sql.SQL(
            """
            select kombo_job_id, {total} as total
            from ({matching}) m
            order by {order}
            offset %(offset)s
            limit %(limit)s
            """
        ).format(
            total=sql.SQL("null::bigint" if wanted.is_status_alone else "count(*) over ()"),
            matching=matching,
            order=order,
        ),
        {**values, "offset": offset, "limit": limit},
        # One plan for all filters would be a bad plan for most of them.
        prepare=False,
    ).fetchall()
    return [row["kombo_job_id"] for row in rows], rows[0]["total"] if rows else None


def every_job(conn: Connection, wanted: Filter, *, at_once: int = 2000) -> Iterator[list[Job]]:
    """Yield all jobs that match, the newest first, in lists of `at_once`. Changes made meanwhile do not show."""
    matching, values = matching_jobs(conn, wanted)
    with conn.cursor(name="every_job") as cursor:
        cursor.execute(
            sql.SQL(
                """
                select kombo_job_id
                from ({}) m
                order by opened desc nulls last, kombo_job_id
                """
            ).format(matching),
            values,
        )
        while rows := cursor.fetchmany(at_once):
            yield ats_jobs.jobs(conn, wanted.integration_id, [row["kombo_job_id"] for row in rows])


def matching_jobs(conn: Connection, wanted: Filter) -> tuple[sql.Composed, dict[str, Any]]:
    """Return a query for the jobs that match, and its parameters.

    Its columns are integration_id, kombo_job_id, lifecycle, publishable and those of SORTS.
    """
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
        return _select(wanted, _CORE), values
    present = [lifecycle for lifecycle in lifecycles if lifecycle not in GONE]
    parts = []
    if present:
        parts.append(_select(wanted, _MATCHABLE))
    if len(present) < len(lifecycles):
        parts.append(_select(replace(wanted, status="gone"), _CORE, sql.SQL("j.lifecycle = any(%(gone)s)")))
        values["gone"] = list(GONE)
    return sql.SQL(" union all ").join(parts), values


def _select(wanted: Filter, source: _Source, *more: sql.SQL) -> sql.Composed:
    conditions: list[sql.Composable] = [
        sql.SQL("integration_id = %(integration)s"),
        sql.SQL("j.lifecycle = any(%(lifecycles)s)"),
        *more,
    ]
    if wanted.keys:
        conditions.append(source.has_address)
    elif wanted.words:
        conditions.append(sql.SQL("{} like all (%(patterns)s)").format(source.searched))
    if wanted.place:
        conditions.append(sql.SQL("{} ilike %(place)s").format(source.place))
    if wanted.department:
        conditions.append(sql.SQL("{} ilike %(department)s").format(source.department))
    if wanted.visibility == "visible" and wanted.status == "open":
        conditions.append(sql.SQL("j.publishable"))
    elif wanted.visibility:
        conditions.append(VISIBILITIES[wanted.visibility])
    is_exposed = IS_EXPOSED.format(job=sql.Identifier("j"))
    for flag, condition in ((wanted.exposed, is_exposed), (wanted.linked, _IS_LINKED)):
        if flag is not None:
            conditions.append(condition if flag else sql.SQL("not {}").format(condition))
    return _SELECT.format(
        opened=source.opened,
        title=source.title,
        place=source.place,
        department=source.department,
        tables=source.tables,
        conditions=sql.SQL(" and ").join(conditions),
    )


def _is_read_by_matching(conn: Connection, integration_id: str) -> bool:
    """Whether core.matchable_jobs is up to date: matching has read the newest fetch, or ran in the last 15 minutes."""
    row = conn.execute(
        """
        select
            matched_fetch_id is not null
            and (
                matched_at > now() - interval '15 minutes'
                or matched_fetch_id >= coalesce((
                    select max(fetch_id)
                    from marts.fetches f
                    where f.integration_id = i.integration_id and f.status = 'applied'
                ), 0)
            ) as is_read
        from core.integrations i
        where integration_id = %s
        """,
        (integration_id,),
    ).fetchone()
    return bool(row and row["is_read"])


def _contains(text: str) -> str:
    return f"%{like_literal(text)}%"
