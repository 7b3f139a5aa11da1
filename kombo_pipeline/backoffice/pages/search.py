"""The search box of the review card: it finds any job of the integration by title, place, code, id or address."""

import re
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from kombo_pipeline.backoffice import rendering
from kombo_pipeline.backoffice.access import needs
from kombo_pipeline.db.connection import Connection
from kombo_pipeline.linking.statements import review_cards
from kombo_pipeline.linking.statements.review_cards import FoundJob
from kombo_pipeline.matching.identifiers import OwnIdentity, own_keys

FOUND: Final = 12
LONGEST: Final = 500
MAX_WORDS: Final = 12


def find(conn: Connection, integration_id: str, text: str) -> list[FoundJob]:
    """Return the ATS jobs of an integration that a text names by title, place, code, id or address, open ones first."""
    text = text.replace("\x00", "").strip()[:LONGEST]
    if not text:
        return []
    named = OwnIdentity("", kombo_job_id=text, remote_id=text, job_code=text, post_url=text)
    words = [] if re.match(r"https?://", text, re.IGNORECASE) else text.split()[:MAX_WORDS]
    return review_cards.search(conn, integration_id, words=words, keys=own_keys([named])[""], limit=FOUND)


@needs("viewer")
def options(request: Request) -> Response:
    """Return the options that the search box shows while somebody types."""
    query = request.query_params
    sought = query.get("q", "")
    with rendering.warehouse(request) as conn:
        results = find(conn, query.get("in", ""), sought)
    return rendering.render(request, "review_options.html", results=results, sought=sought)
