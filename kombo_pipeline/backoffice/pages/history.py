"""Every answer there ever was, the newest first, with what was on the screen."""

from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kombo_pipeline.backoffice import rendering
from kombo_pipeline.backoffice.access import needs
from kombo_pipeline.backoffice.widgets.card import say
from kombo_pipeline.backoffice.widgets.view import card_url
from kombo_pipeline.linking.statements import link_decisions, review_queue
from kombo_pipeline.vocabulary import DECISIONS

PAGE: Final = 50


@needs("viewer")
def page(request: Request) -> Response:
    """A page of answers, narrowed by person, customer and kind of answer."""
    query = request.query_params
    before = query.get("before", "")
    chosen = {
        "decided_by": query.get("by") or None,
        "customer_id": query.get("customer") or None,
        "decision": query.get("decision") if query.get("decision") in DECISIONS else None,
    }
    with rendering.warehouse(request) as conn:
        found = link_decisions.newest(
            conn, **chosen, before=int(before) if before.isdecimal() and len(before) < 19 else None, limit=PAGE + 1
        )
        people = link_decisions.people(conn)
        connections = review_queue.connections(conn)
    customers = {str(each["customer_id"]) for each in connections}
    if chosen["customer_id"]:
        customers.add(chosen["customer_id"])
    shown = found[:PAGE]
    narrowed = {
        name: value
        for name, value in (
            ("by", chosen["decided_by"]), ("customer", chosen["customer_id"]), ("decision", chosen["decision"]),
        )
        if value
    }  # fmt: skip
    older = urlencode(narrowed | {"before": str(shown[-1][0]["decision_id"])}) if len(found) > PAGE else None
    return rendering.render(
        request,
        "history.html",
        found=shown,
        older=f"/history?{older}" if older else None,
        newest=f"/history?{urlencode(narrowed)}" if before else None,
        here=f"/history?{request.url.query}" if request.url.query else "/history",
        narrowed=narrowed,
        people=[(each, each) for each in people],
        customers=[(each, each) for each in sorted(customers)],
        decisions=DECISIONS,
        say=say,
        card_url=card_url,
    )


routes: list[Route] = [Route("/history", page, methods=["GET"])]
