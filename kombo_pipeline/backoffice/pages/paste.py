"""The paste box: what came by e-mail, line by line, and choosing among what it names."""

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
from kombo_pipeline.linking.statements import exposed_jobs as statements
from kombo_pipeline.linking.statements import lookups
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
_STILL_THERE: Final = "What is not found here may still be there."


@needs("viewer", customers=True)
def show(request: Request) -> Response:
    """The empty box."""
    with rendering.warehouse(request) as conn:
        known = statements.integrations(conn, customer_id=request.state.viewer.customer_id)
        integration_id = request.query_params.get("integration")
        if not integration_id and len(known) != 1:
            return rendering.render(request, "picker_integrations.html", integrations=known, path_to="/picker/paste")
        integration = visible_integration(request, conn, integration_id or known[0]["integration_id"])
    return _page(request, integration)


@needs("reviewer", customers=True, pool="kombo")
def read(request: Request) -> Response:
    """A verdict for each line. Kombo is asked for what is not in the warehouse, without a connection held meanwhile."""
    form = request.state.form
    text = form.get("text", "")[:_MAX_TEXT]
    lines, too_many = pasted.read_lines(text)
    with rendering.warehouse(request) as conn:
        integration = visible_integration(request, conn, form.get("integration"))
        integration_id = integration["integration_id"]
        verdicts = pasted.resolve(conn, integration, lines)
    records, told = _ask_kombo(request, integration_id, pasted.to_ask(verdicts))
    with rendering.warehouse(request) as conn:
        if records:
            verdicts = pasted.with_kombo(conn, integration_id, verdicts, records)
        ids = sorted({job for verdict in verdicts for job in verdict.jobs})
        rows = {row["kombo_job_id"]: row for row in statements.jobs(conn, integration_id, ids)}
    return _page(request, integration, text=text, verdicts=verdicts, rows=rows, too_many=too_many, told=told)


def _ask_kombo(request: Request, integration_id: str, lines: list[Line]) -> tuple[dict[int, list[Any]], str]:
    """Ask Kombo when it is the viewer's turn: its records by number of the line, and what was not asked and why."""
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
    """Which lines Kombo was not asked about, and why. Causes are for staff: they may name settings and addresses."""
    if asked.failure and is_customer:
        return f"Kombo could not be asked about every line. {_STILL_THERE}"
    if asked.failure:
        return f"Kombo could not be asked about every line: {asked.failure}. {_STILL_THERE}"
    if asked.lines_left:
        lines = "1 line was" if asked.lines_left == 1 else f"{asked.lines_left} lines were"
        return f"{lines} not asked of Kombo, which takes few questions at once. Paste what is not found again."
    return ""


def _why_not(turn: Turn) -> str:
    """Why Kombo is not asked now, and when one can go on."""
    match turn.why_not:
        case "asking":
            why = "another paste of yours is being asked. Read this one again when it is answered"
        case "others ask":
            why = "others are asking. Read this again in a minute"
        case _:
            at = f"at {turn.again_at:%H:%M} UTC" if turn.again_at else "when the limit is raised"
            why = f"the questions of this hour are used up. Read this again {at}"
    return f"Kombo was not asked: {why}. {_STILL_THERE}"


@needs("reviewer", customers=True)
def expose(request: Request) -> Response:
    """Expose the jobs that were ticked among the verdicts."""
    form = request.state.form
    with rendering.warehouse(request) as conn:
        integration = visible_integration(request, conn, form.get("integration"))
        integration_id = integration["integration_id"]
        chosen = [value for name, value in form.multi_items() if name == "job" or name.startswith("choice-")]
        ids = list(dict.fromkeys(value.replace("\0", "") for value in chosen if value))
        if not ids:
            return rendering.redirect(
                request,
                address("/picker/paste", integration=integration_id),
                notice="No job was ticked; nothing was changed.",
                kind="warning",
            )
        notice = act(
            conn, integration_id, ids, "expose", by=request.state.viewer.name, channel=channel(request, "paste")
        )
    return rendering.redirect(
        request, address("/picker", integration=integration_id, exposed="yes", status="all"), notice=notice
    )


def _page(
    request: Request,
    integration: Mapping[str, Any],
    *,
    text: str = "",
    verdicts: list[Verdict] | None = None,
    rows: Mapping[str, Any] | None = None,
    too_many: int = 0,
    told: str = "",
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
        told=told,
        may_choose=request.state.viewer.may("reviewer"),
    )


routes: list[Route] = [
    Route("/picker/paste", show, methods=["GET"]),
    Route("/picker/paste", read, methods=["POST"]),
    Route("/picker/paste/expose", expose, methods=["POST"]),
]
