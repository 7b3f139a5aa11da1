"""Whether a connection takes over from an older one: a person's decision about a proposal, and its undo."""

from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kombo_pipeline.backoffice import rendering
from kombo_pipeline.backoffice.access import needs
from kombo_pipeline.ingest import successions
from kombo_pipeline.ingest.successions import SuccessionError

_DECISIONS: Final[Mapping[str, tuple[Callable[..., None], str]]] = {
    "accept": (successions.accept, "Taken over: links and answers have followed by remote id."),
    "refuse": (successions.refuse, "Refused: both connections stay as they are."),
    "undo": (
        successions.undo,
        "Undone: the older connection has its jobs and links back. Its next fetch brings what changed meanwhile.",
    ),
}


@needs("admin")
def decide(request: Request) -> Response:
    """Accept or refuse that the integration takes over from an older one, or undo it."""
    integration_id = request.path_params["integration_id"]
    decision = str(request.state.form.get("decision", ""))
    if decision not in _DECISIONS:
        raise HTTPException(400, "Say whether to accept, to refuse or to undo")
    carry_out, message = _DECISIONS[decision]
    pair: dict[str, Any] = {
        "integration_id": integration_id,
        "predecessor_id": str(request.state.form.get("predecessor", "")),
        "decided_by": request.state.viewer.name,
    }
    back = f"/integrations/{quote(integration_id, safe=':')}"
    try:
        with rendering.warehouse(request) as conn:
            carry_out(conn, **pair)
    except LookupError:
        raise HTTPException(404) from None
    except SuccessionError as error:
        return rendering.redirect(request, back, message=str(error), kind="warning")
    return rendering.redirect(request, back, message=message)


routes: list[Route] = [Route("/integrations/{integration_id}/takeover", decide, methods=["POST"])]
