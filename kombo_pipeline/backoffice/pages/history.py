"""The page with all answers, the newest first, each with what was on the screen."""

from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kombo_pipeline.backoffice import rendering
from kombo_pipeline.backoffice.access import needs
from kombo_pipeline.backoffice.widgets.card import say
from kombo_pipeline.backoffice.widgets.view import card_url
from kombo_pipeline.linking.statements import answers, review_cards
from kombo_pipeline.vocabulary import DECISIONS, Decision

PAGE: Final = 50


@needs("viewer")
def page(request: Request) -> Response:
    """Show a page of answers, filtered by person, customer and kind of answer."""
    query = request.query_params
    before = query.get("before", "")
    decided_by, customer_id = query.get("by") or None, query.get("customer") or None
    decision: Decision | None = next((each for each in DECISIONS if each == query.get("decision")), None)
    with rendering.warehouse(request) as conn:
        found = answers.newest(
            conn,
            decided_by=decided_by,
            customer_id=customer_id,
            decision=decision,
            before=int(before) if before.isdecimal() and len(before) < 19 else None,
            limit=PAGE + 1,
        )
        people = answers.people(conn)
        integrations = review_cards.integrations(conn)
    customers = {each.customer_id for each in integrations} | ({customer_id} if customer_id else set())
    shown = found[:PAGE]
    given = {"by": decided_by, "customer": customer_id, "decision": decision}
    narrowed = {name: value for name, value in given.items() if value}
    older = urlencode(narrowed | {"before": str(shown[-1][0].decision_id)}) if len(found) > PAGE else None
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
