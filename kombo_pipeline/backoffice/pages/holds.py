"""Held mass closures: what would close, and a person's decision."""

import re
from collections.abc import Mapping
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kombo_pipeline.backoffice import rendering
from kombo_pipeline.backoffice.access import needs
from kombo_pipeline.backoffice.statements import overview
from kombo_pipeline.ingest import lifecycle
from kombo_pipeline.ingest.statements import held_closures

SAMPLE: Final = 8
SHOWN: Final = 2000
REASONS: Final[Mapping[str, str]] = {
    "vanished": "A complete fetch did not show these jobs, and Kombo never called them deleted.",
    "jobs_model_off": "Kombo reports these jobs as deleted while its jobs model is switched off or its data is out of "
    "step: rather a change of settings than of jobs.",
    "details_unknown": "Kombo reports these jobs as deleted and did not give the details of the integration, which say "
    "whether its jobs model is switched off. The next complete fetch that has them decides by itself.",
    "status_off": "These jobs lost their status all at once: rather a field that was switched off in Kombo.",
}
"""Why a closure is held, in words."""


@needs("viewer")
def waiting(request: Request) -> Response:
    """The closures that wait, each with a sample, and those that were decided last."""
    with rendering.warehouse(request) as conn:
        found = overview.holds(conn)
        samples = {
            hold["hold_id"]: overview.held_jobs(conn, hold["hold_id"], SAMPLE)
            for hold in found
            if hold["decision"] is None
        }
    return rendering.render(
        request,
        "holds.html",
        waiting=[hold for hold in found if hold["decision"] is None],
        decided=[hold for hold in found if hold["decision"] is not None],
        samples=samples,
        reasons=REASONS,
    )


@needs("viewer")
def hold(request: Request) -> Response:
    """The very set that a release closes, and for an admin the buttons that decide."""
    hold_id = _hold_id(request)
    with rendering.warehouse(request) as conn:
        found = overview.holds(conn, hold_id=hold_id)
        if not found:
            raise HTTPException(404)
        jobs = overview.held_jobs(conn, hold_id, SHOWN)
        seen: set[str] = set()
        if found[0]["reason"] == "vanished" and found[0]["decision"] is None:
            seen = held_closures.seen_since(
                conn,
                **{name: found[0][name] for name in ("integration_id", "fetch_id", "kombo_job_ids")},
            )
    return rendering.render(request, "hold.html", hold=found[0], jobs=jobs, seen=seen, reasons=REASONS)


@needs("admin")
def decide(request: Request) -> Response:
    """Close exactly the held set, or refuse to. Whoever comes second is told what the first did."""
    hold_id, decision = _hold_id(request), request.state.form.get("decision")
    if decision not in ("release", "refuse"):
        raise HTTPException(400, "Say whether to release or to refuse the closure")
    with rendering.warehouse(request) as conn:
        found = overview.holds(conn, hold_id=hold_id)
        if not found:
            raise HTTPException(404)
        closed = lifecycle.release_closure(
            conn, hold_id, decided_by=request.state.viewer.name, refuse=decision == "refuse"
        )
        if closed is None:
            [found] = [overview.holds(conn, hold_id=hold_id)]
    if closed is None:
        return rendering.redirect(request, f"/holds/{hold_id}", notice=_overtaken(found[0]), kind="warning")
    if decision == "refuse":
        return rendering.redirect(request, "/holds", notice="Refused; the jobs stay as they are.")
    told = f"{_counted(closed, 'job')} closed, {_counted(found[0]['linked'], 'link')} suspended."
    return rendering.redirect(request, "/holds", notice=told)


def _counted(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def _overtaken(decided: Mapping[str, Any]) -> str:
    if decided["decision"] == "superseded":
        return "A later fetch has made this closure void. Nothing was done."
    return f"{decided['decided_by']} has {decided['decision']} this closure meanwhile. Nothing was done."


def _hold_id(request: Request) -> int:
    given = request.path_params["hold_id"]
    if not re.fullmatch(r"\d{1,18}", given):
        raise HTTPException(404)
    return int(given)


routes: list[Route] = [
    Route("/holds", waiting, methods=["GET"]),
    Route("/holds/{hold_id}", hold, methods=["GET"]),
    Route("/holds/{hold_id}", decide, methods=["POST"]),
]
