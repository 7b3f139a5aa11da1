"""What the pages that expose ATS jobs share: whose jobs, what was done in words, the chips of a job."""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.linking.statements import exposed_jobs
from kombo_pipeline.linking.statements.exposed_jobs import Action
from kombo_pipeline.vocabulary import GONE, LIFECYCLES


def visible_integration(request: Request, conn: Connection, integration_id: str | None) -> dict[str, Any]:
    """Return an integration that the viewer may see; raises HTTPException 404 otherwise."""
    for row in exposed_jobs.integrations(conn, customer_id=request.state.viewer.customer_id):
        if row["integration_id"] == integration_id:
            return row
    raise HTTPException(404)


def channel(request: Request, otherwise: str) -> str:
    """Through what a choice comes: a customer's own link, or what the page at hand is."""
    return otherwise if request.state.viewer.customer_id is None else "customer"


def chosen_by(request: Request, name: str | None) -> str | None:
    """Who made a choice, for the viewer's eyes: a customer reads its own name, and "us" for anybody of ours."""
    viewer = request.state.viewer
    return name if name is None or viewer.customer_id is None or name == viewer.name else "us"


def act(conn: Connection, integration_id: str, ids: Sequence[str], action: Action, *, by: str, channel: str) -> str:
    """Expose jobs or end their exposure; return in words what that did."""
    if action == "end":
        ended = exposed_jobs.end_exposures(conn, integration_id, ids, by=by)
        return f"{jobs_in_words(len(ended))} no longer exposed." + _unchanged(len(ids) - len(ended), "was not exposed")
    exposed = exposed_jobs.expose(conn, integration_id, ids, by=by, channel=channel)
    told = f"{jobs_in_words(len(exposed))} exposed." + _unchanged(
        len(ids) - len(exposed), "was exposed already, or is gone from the ATS"
    )
    held_back = sum(not row["publishable"] for row in exposed_jobs.jobs(conn, integration_id, exposed))
    if held_back:
        told += (
            f" {held_back} of them {'is' if held_back == 1 else 'are'} not open, internal, confidential or of unknown "
            "visibility: no application target while that is so."
        )
    return told


def jobs_in_words(number: int) -> str:
    """A number of jobs: 1 job, 1,203 jobs."""
    return f"{number:,} job{'' if number == 1 else 's'}"


def chips(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """State and visibility of a job as kind and text of a chip each."""
    lifecycle, visibility = row["lifecycle"], row["visibility"]
    kind = {"open": "good", "closed": "warn"}.get(lifecycle, "bad" if lifecycle in GONE else "")
    text = LIFECYCLES[lifecycle]
    if lifecycle == "unknown":
        text = f"status {row['status']}" if row["status"] else "no status"
    found = [(kind, text[:60])]
    if visibility in ("INTERNAL", "CONFIDENTIAL"):
        found.append(("warn", visibility.lower()))
    elif visibility == "UNLISTED":
        found.append(("", "unlisted"))
    elif visibility not in (None, "PUBLIC"):
        found.append(("warn", f"visibility {visibility}"[:60]))
    if odd := row["unreadable_fields"]:
        found.append(("warn", f"could not be read: {', '.join(sorted(odd)).replace('_', ' ')}"))
    return found


def _unchanged(number: int, why: str) -> str:
    if not number:
        return ""
    return f" {number} more {why}." if number == 1 else f" {number} more: each {why}."
