"""Statements on core.integration_issues: problems that Kombo raised about an integration."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from kombo_pipeline.db.connection import Connection


class Issue(NamedTuple):
    """A problem that Kombo raised, as core.integration_issues keeps it."""

    issue_id: str
    integration_id: str | None
    issue_type: str | None
    title: str | None
    status: str | None
    message: str | None
    first_observed_at: datetime | None
    resolved_at: datetime | None


def keep_newest(conn: Connection, issues: Iterable[Issue]) -> None:
    """Keep the newest state of each issue as Kombo told it; a late event does not open a resolved issue again."""
    newest: dict[str, Issue] = {}
    for issue in issues:
        known = newest.get(issue.issue_id)
        if known is None or known.status != "RESOLVED":
            newest[issue.issue_id] = issue
    if not newest:
        return
    ordered = [newest[issue_id] for issue_id in sorted(newest)]
    conn.execute(
        """
        insert into core.integration_issues (
            issue_id, integration_id, issue_type, title, status, message, first_observed_at, resolved_at
        )
        select
            issue_id, integration_id, issue_type, title, status, message, first_observed_at, resolved_at
        from unnest(
            %(issue_id)s::text[],
            %(integration_id)s::text[],
            %(issue_type)s::text[],
            %(title)s::text[],
            %(status)s::text[],
            %(message)s::text[],
            %(first_observed_at)s::timestamptz[],
            %(resolved_at)s::timestamptz[]
        ) as told (
            issue_id, integration_id, issue_type, title, status, message, first_observed_at, resolved_at
        )
        on conflict (issue_id) do update
        set status = excluded.status, resolved_at = excluded.resolved_at, message = excluded.message
        where core.integration_issues.status is distinct from 'RESOLVED'
        """,
        {name: [getattr(issue, name) for issue in ordered] for name in Issue._fields},
    )
