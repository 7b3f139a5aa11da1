"""What the pages that expose ATS jobs share: the integration of a request, exposing, the chips of a job."""

from collections.abc import Sequence

from starlette.exceptions import HTTPException
from starlette.requests import Request

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.linking.statements import ats_jobs, exposed_jobs
from kombo_pipeline.linking.statements.ats_jobs import Integration, Job
from kombo_pipeline.linking.statements.exposed_jobs import Action
from kombo_pipeline.vocabulary import GONE, LIFECYCLES, Channel


def visible_integration(request: Request, conn: Connection, integration_id: str | None) -> Integration:
    """Return an integration that the viewer may see; raises HTTPException 404 otherwise."""
    for integration in ats_jobs.integrations(conn, customer_id=request.state.viewer.customer_id):
        if integration.integration_id == integration_id:
            return integration
    raise HTTPException(404)


def channel(request: Request, page: Channel) -> Channel:
    """Return through what jobs are exposed: `customer` for a customer's own link, else the channel of the page."""
    return page if request.state.viewer.customer_id is None else "customer"


def chosen_by(request: Request, name: str | None) -> str | None:
    """Return who exposed a job as the viewer may read it: customers read their own name, and `us` for all staff."""
    viewer = request.state.viewer
    return name if name is None or viewer.customer_id is None or name == viewer.name else "us"


def act(conn: Connection, integration_id: str, ids: Sequence[str], action: Action, *, by: str, channel: Channel) -> str:
    """Expose jobs or end their exposure; return a message that says what was done."""
    if action == "end":
        ended = exposed_jobs.end_exposures(conn, integration_id, ids, by=by)
        return f"{jobs_in_words(len(ended))} no longer exposed." + _unchanged(len(ids) - len(ended), "was not exposed")
    exposed = exposed_jobs.expose(conn, integration_id, ids, by=by, channel=channel)
    message = f"{jobs_in_words(len(exposed))} exposed." + _unchanged(
        len(ids) - len(exposed), "was exposed already, or is gone from the ATS"
    )
    held_back = sum(not job.publishable for job in ats_jobs.jobs(conn, integration_id, exposed))
    if held_back:
        message += (
            f" {held_back} of them {'is' if held_back == 1 else 'are'} not open, internal, confidential or of unknown "
            "visibility: no application target while that is so."
        )
    return message


def jobs_in_words(number: int) -> str:
    """A number of jobs: 1 job, 1,203 jobs."""
    return f"{number:,} job{'' if number == 1 else 's'}"


def chips(job: Job) -> list[tuple[str, str]]:
    """Return the colour and the text of each chip of a job: its lifecycle, its visibility, what could not be read."""
    lifecycle, visibility = job.lifecycle, job.visibility
    kind = {"open": "good", "closed": "warn"}.get(lifecycle, "bad" if lifecycle in GONE else "")
    text = LIFECYCLES[lifecycle]
    if lifecycle == "unknown":
        text = f"status {job.status}" if job.status else "no status"
    found = [(kind, text[:60])]
    if visibility in ("INTERNAL", "CONFIDENTIAL"):
        found.append(("warn", visibility.lower()))
    elif visibility == "UNLISTED":
        found.append(("", "unlisted"))
    elif visibility not in (None, "PUBLIC"):
        found.append(("warn", f"visibility {visibility}"[:60]))
    if unreadable := job.unreadable_fields:
        found.append(("warn", f"could not be read: {', '.join(sorted(unreadable)).replace('_', ' ')}"))
    return found


def _unchanged(number: int, why: str) -> str:
    if not number:
        return ""
    return f" {number} more {why}." if number == 1 else f" {number} more: each {why}."
