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
from kombo_pipeline.linking.pasted import Verdict
from kombo_pipeline.linking.statements import exposed_jobs as statements

KINDS: Final[Mapping[str, tuple[str, str]]] = {
    "found": ("good", "found"),
    "several": ("warn", "several jobs"),
    "kombo": ("info", "known to Kombo"),
    "title": ("warn", "looks like a title"),
    "repeated": ("", "repeated"),
    "nothing": ("bad", "belongs to nothing"),
}
_MAX_TEXT: Final = 200_000


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


@needs("reviewer", customers=True)
def read(request: Request) -> Response:
    """A verdict for each line. Kombo is asked for what is not in the warehouse, without a transaction held open."""
    form = request.state.form
    text = form.get("text", "")[:_MAX_TEXT]
    lines, too_many = pasted.read_lines(text)
    with rendering.warehouse(request) as conn:
        integration = visible_integration(request, conn, form.get("integration"))
        integration_id = integration["integration_id"]
        verdicts = pasted.resolve(conn, integration, lines)
    settings = request.app.state.settings
    answered, told = pasted.ask_kombo(
        verdicts, api_url=settings.kombo_api_url, api_key=settings.kombo_api_key, integration_id=integration_id
    )
    if told and request.state.viewer.customer_id is not None:
        told = "Kombo could not be asked about every line; what is not found here may still be there."
    with rendering.warehouse(request) as conn:
        if answered:
            verdicts = pasted.with_kombo(conn, integration_id, verdicts, answered)
        ids = sorted({job for verdict in verdicts for job in verdict.jobs})
        rows = {row["kombo_job_id"]: row for row in statements.jobs(conn, integration_id, ids)}
    return _page(request, integration, text=text, verdicts=verdicts, rows=rows, too_many=too_many, told=told)


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
        gone=statements.GONE,
        too_many=too_many,
        max_lines=pasted.MAX_LINES,
        told=told,
        may_choose=request.state.viewer.may("reviewer"),
    )


routes: list[Route] = [
    Route("/picker/paste", show, methods=["GET"]),
    Route("/picker/paste", read, methods=["POST"]),
    Route("/picker/paste/expose", expose, methods=["POST"]),
]
