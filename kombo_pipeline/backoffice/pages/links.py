"""Links that live: which are suspended, why and since when, what is proposed, and what your product was told."""

import re
from collections.abc import Mapping
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
from kombo_pipeline.linking.statements import notices
from kombo_pipeline.vocabulary import LINK_QUESTIONS, LINK_REASONS, LINK_STATES, NO_TARGET_REASONS, LinkState

PAGE_SIZE: Final = 50
_CHIPS: Final[Mapping[LinkState, str]] = {"active": "good", "suspended": "warn", "retired": ""}
_FILTERS: Final = ("state", "reason", "customer", "integration", "own_job", "text", "proposal")


@needs("viewer")
def listing(request: Request) -> Response:
    """All links, those that changed last first; the filters stand in the address."""
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
        **_words(),
    )


@needs("viewer")
def detail(request: Request) -> Response:
    """One link: both jobs, what people said, what your product was told, what changed in the ATS."""
    with rendering.warehouse(request) as conn:
        link = _link(conn, request)
        own = {name: getattr(link, name) for name in ("customer_id", "own_job_id", "integration_id")}
        context: dict[str, Any] = {
            "link": link,
            "decisions": statements.decisions_about(conn, **own),
            "notices": notices.of_link(conn, {**own, "link_id": link.link_id, "kombo_job_id": link.kombo_job_id}),
            "changes": overview.changes_of_job(conn, link.integration_id, link.kombo_job_id, 30),
            "successors": statements.successors(conn, link, 5) if link.proposal == "successor" else [],
            "others": [
                other
                for other in statements.links(conn, limit=20, customer=link.customer_id, own_job=link.own_job_id)
                if other.link_id != link.link_id
            ],
        }
    return rendering.render(request, "link.html", **context, **_words(), plain=rendering.plain)


def _link(conn: Connection, request: Request) -> LinkRow:
    given = request.path_params["link_id"]
    link = statements.link(conn, int(given)) if re.fullmatch(r"\d{1,18}", given) else None
    if link is None:
        raise HTTPException(404)
    return link


def _words() -> dict[str, Any]:
    return {"states": _CHIPS, "reasons": LINK_REASONS, "proposals": LINK_QUESTIONS, "no_target": NO_TARGET_REASONS}


routes: list[Route] = [
    Route("/links", listing, methods=["GET"]),
    Route("/links/{link_id}", detail, methods=["GET"]),
]
