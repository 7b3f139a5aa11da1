"""Integrations: the health of each customer's connection, who must act, and buttons that fetch it."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kombo_pipeline.backoffice import access, rendering
from kombo_pipeline.backoffice.access import needs
from kombo_pipeline.backoffice.runs import Dagster, NotStartedError
from kombo_pipeline.backoffice.statements import holds, overview
from kombo_pipeline.backoffice.statements.overview import OverviewRow
from kombo_pipeline.backoffice.waiting import waiting_lists
from kombo_pipeline.db.connection import Connection
from kombo_pipeline.ingest import health
from kombo_pipeline.ingest.fetchable import not_fetched_because
from kombo_pipeline.ingest.polling import silence
from kombo_pipeline.ingest.statements import integrations as statements
from kombo_pipeline.ingest.statements import successions
from kombo_pipeline.own_jobs import held_withdrawals
from kombo_pipeline.vocabulary import HEALTHS, REFUSAL_REASONS, Health

PAGE_SIZE: Final = 100
NEWEST_FETCHES: Final = 15
NEWEST_CHANGES: Final = 30
_CHIPS: Final[Mapping[Health, str]] = {
    "failing": "bad",
    "needs attention": "warn",
    "waiting": "info",
    "healthy": "good",
    "gone": "",
}
LINK_DAYS: Final = (1, 7, 30)


def duration(span: timedelta | None) -> str:
    """Write a time span with its two largest units: 3 d 4 h, 25 min; a dash for none."""
    if span is None:
        return "–"
    minutes = int(abs(span).total_seconds() // 60)
    parts = [(minutes // 1440, "d"), (minutes // 60 % 24, "h"), (minutes % 60, "min")]
    while len(parts) > 1 and not parts[0][0]:
        parts.pop(0)
    return " ".join(f"{number} {unit}" for number, unit in parts[:2] if number) or "less than a minute"


@needs("viewer")
def glance(request: Request) -> Response:
    """List the integrations, those first that somebody must look at; filtered by health and by a part of a name."""
    wanted, text = request.query_params.get("health", ""), request.query_params.get("q", "").strip()
    with rendering.warehouse(request) as conn:
        rows = overview.health(conn)
        found = [row for row in rows if wanted in ("", row.health) and _has(row, text)]
        page, number = _page(request, found)
        facts = _facts(request, conn, None)
        odd = overview.odd_deliveries(conn)
    return rendering.render(
        request,
        "integrations.html",
        rows=page,
        number=number,
        found=len(found),
        page_size=PAGE_SIZE,
        counts={name: sum(row.health == name for row in rows) for name in HEALTHS},
        total=len(rows),
        health=wanted,
        text=text,
        odd=odd,
        refusals=REFUSAL_REASONS,
        **facts,
    )


@needs("viewer")
def detail(request: Request) -> Response:
    """Show one integration with its newest fetches and changes."""
    return _detail(request)


@needs("reviewer", pool="dagster")
def fetch(request: Request) -> Response:
    """Start a run in Dagster that fetches the integration, and link to it."""
    integration_id, full = request.path_params["integration_id"], request.state.form.get("full") == "1"
    with rendering.warehouse(request) as conn:
        state = statements.get(conn, integration_id)
    if state is None:
        raise HTTPException(404)
    back = _url(integration_id)
    why_not = not_fetched_because(state)
    if why_not == "deleted":
        return rendering.redirect(
            request, back, message="The integration was deleted in Kombo; there is nothing to fetch.", kind="warning"
        )
    if why_not == "succeeded":
        words = f"{state.succeeded_by} has taken over from it; undo that to fetch it again."
        return rendering.redirect(request, back, message=words, kind="warning")
    try:
        run = _dagster(request).fetch(integration_id, full=full, by=request.state.viewer.name)
    except NotStartedError as error:
        return rendering.redirect(request, back, message=str(error), kind="error")
    what = "Full reconcile" if full else "Fetch of what changed"
    if not run.started:
        what = "A run of this integration is under way already; no other run was started"
        return rendering.redirect(request, f"{back}?run={run.run_id}", message=f"{what}.", kind="warning")
    return rendering.redirect(request, f"{back}?run={run.run_id}", message=f"{what} started.")


@needs("admin")
def invite(request: Request) -> Response:
    """Make a link by which the customer sees its own jobs, and show it once."""
    with rendering.warehouse(request) as conn:
        state = statements.get(conn, request.path_params["integration_id"])
    customer_id = rendering.visible_customer(request, state.customer_id if state else None)
    given = str(request.state.form.get("days", ""))
    if given not in map(str, LINK_DAYS):
        raise HTTPException(400, "A link is valid for 1, 7 or 30 days")
    link = access.customer_link(request, customer_id, days=int(given))
    return _detail(request, customer_link=link, link_days=int(given))


@needs("admin")
def owner(request: Request) -> Response:
    """Save to which customer an integration belongs, when Kombo names another one than is known.

    An admin whose page is out of date reads that nothing was done.
    """
    integration_id, form = request.path_params["integration_id"], request.state.form
    customer_id, claimed = str(form.get("customer", "")), str(form.get("claimed", ""))
    back, moved = _url(integration_id), False
    with rendering.warehouse(request) as conn:
        state = statements.lock(conn, integration_id)
        if state is None:
            raise HTTPException(404)
        if state.claimed_customer_id is None or state.claimed_customer_id != claimed:
            message = "What Kombo says of the owner has changed, or somebody has answered meanwhile. Nothing was done."
            return rendering.redirect(request, back, message=message, kind="warning")
        if customer_id not in (state.customer_id, claimed):
            raise HTTPException(400, "Say which of the two customers it is")
        moved = health.answer_owner(
            conn, integration_id, customer_id=customer_id, answered_by=request.state.viewer.name
        )
    done = "the links of the former customer have ended." if moved else "its links stand again."
    return rendering.redirect(request, back, message=f"It belongs to {customer_id}; {done}")


def _detail(request: Request, **more: Any) -> Response:
    integration_id = request.path_params["integration_id"]
    with rendering.warehouse(request) as conn:
        found = overview.health(conn, integration_id)
        if not found:
            raise HTTPException(404)
        context = {
            "row": found[0],
            "fetches": overview.newest_fetches(conn, integration_id, NEWEST_FETCHES),
            "changes": overview.newest_changes(conn, integration_id, NEWEST_CHANGES),
            "quarantined": overview.quarantined(conn, integration_id, 20),
            "issues": overview.open_issues(conn, integration_id),
            "successions": successions.of_integration(conn, integration_id),
            "holds": [hold for hold in holds.holds(conn) if hold.integration_id == integration_id],
            "held_withdrawals": [
                hold for hold in held_withdrawals.waiting(conn) if hold.customer_id == found[0].customer_id
            ],
            **_facts(request, conn, integration_id),
        }
    run_id = request.query_params.get("run", "")
    return rendering.render(
        request,
        "integration.html",
        **context,
        run_url=_dagster(request).run_url(run_id) if re.fullmatch(r"[0-9a-f-]{36}", run_id) else None,
        dagster=_dagster(request),
        link_choices=LINK_DAYS,
        plain=rendering.plain,
        **({"customer_link": None, "link_days": None} | more),
    )


def _facts(request: Request, conn: Connection, integration_id: str | None) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "silences": {each.integration_id: silence(each, now=now) for each in statements.rhythms(conn)},
        "funnels": overview.funnels(conn, integration_id),
        "waiting": waiting_lists(request).by_integration(conn),
        "first_syncs": overview.first_syncs(conn),
        "takeovers": successions.waiting(conn),
        "now": now,
        "duration": duration,
        "chips": _CHIPS,
        "address": _url,
    }


def _has(row: OverviewRow, text: str) -> bool:
    texts = (row.organization_name, row.customer_id, row.integration_id, row.tool)
    return any(text.casefold() in each.casefold() for each in texts if each)


def _page(request: Request, rows: Sequence[Any]) -> tuple[Sequence[Any], int]:
    number = rendering.page_number(request)
    return rows[(number - 1) * PAGE_SIZE : number * PAGE_SIZE], number


def _url(integration_id: str) -> str:
    return f"/integrations/{quote(integration_id, safe=':')}"


def _dagster(request: Request) -> Dagster:
    return Dagster(request.app.state.settings.dagster_webserver)


routes: list[Route] = [
    Route("/integrations", glance, methods=["GET"]),
    Route("/integrations/{integration_id}", detail, methods=["GET"]),
    Route("/integrations/{integration_id}/fetch", fetch, methods=["POST"]),
    Route("/integrations/{integration_id}/customer-link", invite, methods=["POST"]),
    Route("/integrations/{integration_id}/owner", owner, methods=["POST"]),
]
