"""The pages on links: their states and reasons, what a person is asked, and what your product was told."""

import re
from typing import Any, Final
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kombo_pipeline.backoffice import rendering
from kombo_pipeline.backoffice.access import needs
from kombo_pipeline.backoffice.statements import links as statements
from kombo_pipeline.backoffice.statements import overview
from kombo_pipeline.backoffice.statements.links import LinkRow
from kombo_pipeline.db.connection import Connection
from kombo_pipeline.linking.own_job_key import own_job_key
from kombo_pipeline.linking.statements import notices
from kombo_pipeline.vocabulary import LINK_QUESTIONS, LINK_STATES

PAGE_SIZE: Final = 50
_FILTERS: Final = ("state", "reason", "customer", "integration", "own_job", "text", "proposal")


@needs("viewer")
def listing(request: Request) -> Response:
    """Show all links, those that changed last first; the filters are in the address."""
    wanted = {name: request.query_params.get(name, "").strip().replace("\0", "") for name in _FILTERS}
    if wanted["state"] not in LINK_STATES:
        wanted["state"] = ""
    if wanted["proposal"] not in LINK_QUESTIONS:
        wanted["proposal"] = ""
    number = rendering.page_number(request)
    with rendering.warehouse(request) as conn:
        # One more than is shown tells whether there is a next page.
        found = statements.links(conn, limit=PAGE_SIZE + 1, offset=(number - 1) * PAGE_SIZE, **wanted)
        counts = statements.link_counts(conn)
    chosen = {name: value for name, value in wanted.items() if value}
    return rendering.render(
        request,
        "links.html",
        links=found[:PAGE_SIZE],
        has_next=len(found) > PAGE_SIZE,
        number=number,
        wanted=wanted,
        counts={state: sum(row.links for row in counts if row.state == state) for state in LINK_STATES},
        given_reasons=[row.reason for row in counts if row.reason and wanted["state"] in ("", row.state)],
        address=lambda **change: "/links?" + urlencode({k: v for k, v in {**chosen, **change}.items() if v}),
    )


@needs("viewer")
def detail(request: Request) -> Response:
    """Show one link: both jobs, people's answers, the notices to your product, and the changes in the ATS."""
    with rendering.warehouse(request) as conn:
        link = _link(conn, request)
        key = own_job_key(link)
        context: dict[str, Any] = {
            "link": link,
            "decisions": statements.decisions_about(conn, **key._asdict()),
            "notices": notices.of_link(conn, key, link_id=link.link_id, kombo_job_id=link.kombo_job_id),
            "changes": overview.changes_of_job(conn, link.integration_id, link.kombo_job_id, 30),
            "successors": statements.successors(conn, link, 5) if link.proposal == "successor" else [],
            "others": [
                other
                for other in statements.links(conn, limit=20, customer=link.customer_id, own_job=link.own_job_id)
                if other.link_id != link.link_id
            ],
        }
    return rendering.render(request, "link.html", **context, plain=rendering.plain)


def _link(conn: Connection, request: Request) -> LinkRow:
    given = request.path_params["link_id"]
    link = statements.link(conn, int(given)) if re.fullmatch(r"\d{1,18}", given) else None
    if link is None:
        raise HTTPException(404)
    return link


routes: list[Route] = [
    Route("/links", listing, methods=["GET"]),
    Route("/links/{link_id}", detail, methods=["GET"]),
]
