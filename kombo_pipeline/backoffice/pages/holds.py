"""Holds: closures of many ATS jobs and withdrawals of many own jobs, which an admin releases or refuses."""

import re
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kombo_pipeline import guard
from kombo_pipeline.backoffice import rendering
from kombo_pipeline.backoffice.access import needs
from kombo_pipeline.backoffice.statements import holds as statements
from kombo_pipeline.db.connection import Connection
from kombo_pipeline.ingest import lifecycle
from kombo_pipeline.ingest.statements import held_closures
from kombo_pipeline.linking import links
from kombo_pipeline.own_jobs import held_withdrawals, importing
from kombo_pipeline.own_jobs.held_withdrawals import HeldWithdrawal
from kombo_pipeline.vocabulary import HOLD_REASONS

SAMPLE: Final = 8
SHOWN: Final = 500
DECIDED: Final = 20


@needs("viewer")
def waiting(request: Request) -> Response:
    """Show the closures and withdrawals that wait, each with some of its jobs, and those that were decided last."""
    with rendering.warehouse(request) as conn:
        found = statements.holds(conn)
        samples = {
            hold.hold_id: statements.held_jobs(conn, hold.hold_id, SAMPLE) for hold in found if hold.decision is None
        }
        withdrawals = held_withdrawals.waiting(conn)
        missing = {each.hold_id: statements.held_own_jobs(conn, each.hold_id, SAMPLE) for each in withdrawals}
        decided_withdrawals = held_withdrawals.newest_decided(conn, DECIDED)
    return rendering.render(
        request,
        "holds.html",
        waiting=[hold for hold in found if hold.decision is None],
        decided=[hold for hold in found if hold.decision is not None],
        samples=samples,
        reasons=HOLD_REASONS,
        guard=guard,
        withdrawals=withdrawals,
        missing=missing,
        decided_withdrawals=decided_withdrawals,
    )


@needs("viewer")
def hold(request: Request) -> Response:
    """Show the jobs that a release closes, and to an admin the buttons that decide."""
    hold_id = _hold_id(request)
    with rendering.warehouse(request) as conn:
        found = statements.holds(conn, hold_id=hold_id)
        if not found:
            raise HTTPException(404)
        jobs = statements.held_jobs(conn, hold_id, SHOWN)
        seen: set[str] = set()
        if found[0].reason == "vanished" and found[0].decision is None:
            seen = held_closures.seen_since(
                conn,
                integration_id=found[0].integration_id,
                fetch_id=found[0].fetch_id,
                kombo_job_ids=found[0].kombo_job_ids,
            )
    return rendering.render(request, "hold.html", hold=found[0], jobs=jobs, seen=seen, reasons=HOLD_REASONS)


@needs("admin")
def decide(request: Request) -> Response:
    """Close exactly the jobs that are held, or refuse to. A second admin reads what the first has decided."""
    hold_id, decision = _hold_id(request), _decision(request)
    with rendering.warehouse(request) as conn:
        found = statements.holds(conn, hold_id=hold_id)
        if not found:
            raise HTTPException(404)
        closed = lifecycle.release_closure(
            conn, hold_id, decided_by=request.state.viewer.name, refuse=decision == "refuse"
        )
        if closed is None:
            [found] = [statements.holds(conn, hold_id=hold_id)]
    if closed is None:
        message = _overtaken(found[0].decision, found[0].decided_by, what="closure", later="fetch")
        return rendering.redirect(request, f"/holds/{hold_id}", message=message, kind="warning")
    if decision == "refuse":
        return rendering.redirect(request, "/holds", message="Refused; the jobs stay as they are.")
    message = f"{_counted(closed, 'job')} closed, {_counted(found[0].linked, 'link')} suspended."
    return rendering.redirect(request, "/holds", message=message)


@needs("viewer")
def withdrawal(request: Request) -> Response:
    """Show the own jobs that a release withdraws, and to an admin the buttons that decide."""
    with rendering.warehouse(request) as conn:
        found = _withdrawal(request, conn)
        jobs = statements.held_own_jobs(conn, found.hold_id, SHOWN)
    return rendering.render(request, "hold_own_jobs.html", hold=found, jobs=jobs)


@needs("admin")
def decide_withdrawal(request: Request) -> Response:
    """Withdraw exactly the own jobs that are held, or refuse to. A second admin reads what the first has decided."""
    decision = _decision(request)
    with rendering.warehouse(request) as conn:
        hold_id = _withdrawal(request, conn).hold_id
        released = importing.release_withdrawal(
            conn, hold_id, decided_by=request.state.viewer.name, refuse=decision == "refuse"
        )
        if released is not None:
            links.follow_own_jobs(conn, released.customer_id)
        found = _withdrawal(request, conn)
    if released is None:
        message = _overtaken(found.decision, found.decided_by, what="withdrawal", later="list")
        return rendering.redirect(request, f"/holds/own-jobs/{hold_id}", message=message, kind="warning")
    if decision == "refuse":
        return rendering.redirect(request, "/holds", message="Refused; the own jobs stay as they are.")
    return rendering.redirect(request, "/holds", message=f"{_counted(len(released.withdrawn), 'own job')} withdrawn.")


def _withdrawal(request: Request, conn: Connection) -> HeldWithdrawal:
    found = held_withdrawals.get(conn, _hold_id(request))
    if found is None:
        raise HTTPException(404)
    return found


def _decision(request: Request) -> str:
    decision = request.state.form.get("decision")
    if decision not in ("release", "refuse"):
        raise HTTPException(400, "Say whether to release or to refuse")
    return str(decision)


def _counted(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def _overtaken(decision: str | None, decided_by: str | None, *, what: str, later: str) -> str:
    if decision == "superseded":
        return f"A later {later} has made this {what} void. Nothing was done."
    return f"{decided_by} has {decision} this {what} meanwhile. Nothing was done."


def _hold_id(request: Request) -> int:
    given = request.path_params["hold_id"]
    if not re.fullmatch(r"\d{1,18}", given):
        raise HTTPException(404)
    return int(given)


routes: list[Route] = [
    Route("/holds", waiting, methods=["GET"]),
    Route("/holds/{hold_id}", hold, methods=["GET"]),
    Route("/holds/{hold_id}", decide, methods=["POST"]),
    Route("/holds/own-jobs/{hold_id}", withdrawal, methods=["GET"]),
    Route("/holds/own-jobs/{hold_id}", decide_withdrawal, methods=["POST"]),
]
