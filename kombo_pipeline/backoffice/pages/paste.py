"""The paste box: somebody pastes a text, sees which ATS job each line means, and exposes some of them."""

from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kombo_pipeline.backoffice import rendering
from kombo_pipeline.backoffice.access import needs
from kombo_pipeline.backoffice.widgets.exposure import act, channel, chips, visible_integration
from kombo_pipeline.backoffice.widgets.selection import address
from kombo_pipeline.linking import pasted
from kombo_pipeline.linking.pasted import Asked, Line, Verdict
from kombo_pipeline.linking.statements import ats_jobs, lookups
from kombo_pipeline.linking.statements.ats_jobs import Integration, Job
from kombo_pipeline.linking.statements.lookups import Turn
from kombo_pipeline.vocabulary import GONE

KINDS: Final[Mapping[str, tuple[str, str]]] = {
    "found": ("good", "found"),
    "several": ("warn", "several jobs"),
    "kombo": ("info", "known to Kombo"),
    "title": ("warn", "looks like a title"),
    "repeated": ("", "repeated"),
    "nothing": ("bad", "belongs to nothing"),
}
_MAX_TEXT: Final = 200_000
_STILL_THERE: Final = "A job that is not found here may still be in the ATS."


@needs("viewer", customers=True)
def show(request: Request) -> Response:
    """Show the empty box."""
    with rendering.warehouse(request) as conn:
        known = ats_jobs.integrations(conn, customer_id=request.state.viewer.customer_id)
        integration_id = request.query_params.get("integration")
        if not integration_id and len(known) != 1:
            return rendering.render(request, "picker_integrations.html", integrations=known, path_to="/picker/paste")
        integration = visible_integration(request, conn, integration_id or known[0].integration_id)
    return _page(request, integration)


@needs("reviewer", customers=True, pool="kombo")
def read(request: Request) -> Response:
    """Show which job each line means. Kombo is asked about lines for which the warehouse has none.

    Meanwhile no connection to the database is held.
    """
    form = request.state.form
    text = form.get("text", "")[:_MAX_TEXT]
    lines, too_many = pasted.read_lines(text)
    with rendering.warehouse(request) as conn:
        integration = visible_integration(request, conn, form.get("integration"))
        integration_id = integration.integration_id
        verdicts = pasted.resolve(conn, integration, lines)
    records, not_asked = _ask_kombo(request, integration_id, pasted.to_ask(verdicts))
    with rendering.warehouse(request) as conn:
        if records:
            verdicts = pasted.with_kombo(conn, integration_id, verdicts, records)
        ids = sorted({job for verdict in verdicts for job in verdict.jobs})
        rows = {row.kombo_job_id: row for row in ats_jobs.jobs(conn, integration_id, ids)}
    return _page(request, integration, text=text, verdicts=verdicts, rows=rows, too_many=too_many, not_asked=not_asked)


def _ask_kombo(request: Request, integration_id: str, lines: list[Line]) -> tuple[dict[int, list[Any]], str]:
    """Ask Kombo if the viewer may do so now; return its jobs by number of the line, and why lines were not asked."""
    settings, viewer = request.app.state.settings, request.state.viewer
    if not lines:
        return {}, ""
    with rendering.warehouse(request) as conn:
        turn = lookups.begin(
            conn,
            customer_id=viewer.customer_id,
            asked_by=viewer.name,
            budget=int(settings.customer_requests_an_hour),
            most=pasted.MAX_REQUESTS,
            at_a_time=lookups.CUSTOMERS_AT_A_TIME,
        )
    if turn.lookup_id is None:
        return {}, _why_not(turn)
    requests = turn.requests
    try:
        asked = pasted.ask_kombo(
            lines,
            api_url=settings.kombo_api_url,
            api_key=settings.kombo_api_key,
            integration_id=integration_id,
            most=turn.requests,
        )
        requests = asked.requests
    finally:
        with rendering.warehouse(request) as conn:
            lookups.end(conn, turn.lookup_id, requests=requests)
    return asked.records, _not_asked(asked, is_customer=viewer.customer_id is not None)


def _not_asked(asked: Asked, *, is_customer: bool) -> str:
    """Say why Kombo was not asked about some lines. Only staff read the cause: it may name settings and addresses."""
    if asked.failure and is_customer:
        return f"Kombo could not be asked about every line. {_STILL_THERE}"
    if asked.failure:
        return f"Kombo could not be asked about every line: {asked.failure}. {_STILL_THERE}"
    if asked.lines_left:
        lines = "1 line was" if asked.lines_left == 1 else f"{asked.lines_left} lines were"
        return (
            f"{lines} not sent to Kombo, which takes few requests at once. Paste the lines that were not found again."
        )
    return ""


def _why_not(turn: Turn) -> str:
    """Say why Kombo is not asked now, and when it can be asked again."""
    match turn.why_not:
        case "asking":
            reason = "Kombo is still being asked about another paste of yours. Read this one again when that is done"
        case "others ask":
            reason = "other customers are asking Kombo just now. Read this again in a minute"
        case _:
            at = f"at {turn.again_at:%H:%M} UTC" if turn.again_at else "when the limit is raised"
            reason = f"the requests of this hour are used up. Read this again {at}"
    return f"Kombo was not asked: {reason}. {_STILL_THERE}"


@needs("reviewer", customers=True)
def expose(request: Request) -> Response:
    """Expose the jobs that were ticked among the verdicts."""
    form = request.state.form
    with rendering.warehouse(request) as conn:
        integration = visible_integration(request, conn, form.get("integration"))
        integration_id = integration.integration_id
        chosen = [value for name, value in form.multi_items() if name == "job" or name.startswith("choice-")]
        ids = list(dict.fromkeys(value.replace("\0", "") for value in chosen if value))
        if not ids:
            return rendering.redirect(
                request,
                address("/picker/paste", integration=integration_id),
                message="No job was ticked; nothing was changed.",
                kind="warning",
            )
        message = act(
            conn, integration_id, ids, "expose", by=request.state.viewer.name, channel=channel(request, "paste")
        )
    return rendering.redirect(
        request, address("/picker", integration=integration_id, exposed="yes", status="all"), message=message
    )


def _page(
    request: Request,
    integration: Integration,
    *,
    text: str = "",
    verdicts: list[Verdict] | None = None,
    rows: Mapping[str, Job] | None = None,
    too_many: int = 0,
    not_asked: str = "",
) -> Response:
    return rendering.render(
        request,
        "paste.html",
        integration=integration,
        text=text,
        verdicts=verdicts,
        rows=rows or {},
        kinds=KINDS,
        counts={kind: sum(verdict.kind == kind for verdict in verdicts or ()) for kind in KINDS},
        chips=chips,
        gone=GONE,
        too_many=too_many,
        max_lines=pasted.MAX_LINES,
        most_codes=pasted.MAX_CODES_ASKED,
        most_urls=pasted.MAX_URLS_ASKED,
        not_asked=not_asked,
        may_choose=request.state.viewer.may("reviewer"),
    )


routes: list[Route] = [
    Route("/picker/paste", show, methods=["GET"]),
    Route("/picker/paste", read, methods=["POST"]),
    Route("/picker/paste/expose", expose, methods=["POST"]),
]
