"""Dagster's webserver, kept away from the pages of other sites.

Dagster itself takes mutations by GET, under any host name and from any page. Whatever else its own command sets up
(instance, workspace, code locations that are loaded again when they change) is set up here as it does it.
"""

from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from dagster import DagsterInstance
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster._utils.interrupts import setup_interrupt_handlers
from dagster._utils.log import configure_loggers
from dagster_webserver.cli import DEFAULT_DB_STATEMENT_TIMEOUT, DEFAULT_POOL_MAX_OVERFLOW, DEFAULT_POOL_RECYCLE
from dagster_webserver.version import __version__
from dagster_webserver.webserver import DagsterWebserver
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from kombo_pipeline import serving
from kombo_pipeline.serving.same_origin import SameOrigin

_POLL_MILLISECONDS: Final = 2000
"""How often the UI asks for updated assets; Dagster's own default."""
MAX_CONNECTIONS: Final = 256
KEEP_ALIVE_SECONDS: Final = 75
GRACE_SECONDS: Final = 5


class _Webserver(DagsterWebserver[Any, Any]):
    """Dagster's web app, in which GET runs no GraphQL, and no other site shows its pages in a frame."""

    def make_security_headers(self) -> dict[str, str]:
        """Headers of the UI's page."""
        return {**super().make_security_headers(), "X-Frame-Options": "SAMEORIGIN"}

    async def graphql_http_endpoint(self, request: Request) -> Response:
        """Run one query that came as JSON by POST; GET shows the page of GraphiQL alone."""
        if request.method == "POST":
            refusal = await _refusal(request)
        else:
            by_get = "Send GraphQL by POST, as JSON; GET shows the page of GraphiQL, without a query."
            refusal = PlainTextResponse(by_get, 405, {"Allow": "POST"}) if request.url.query else None
        response: Response = refusal or await super().graphql_http_endpoint(request)
        response.headers["X-Frame-Options"] = "SAMEORIGIN"
        return response


def serve(
    *, host: str, port: int, workspace: tuple[Path, ...], path_prefix: str, read_only: bool, hosts: tuple[str, ...]
) -> None:
    """Serve the UI and the GraphQL API until interrupted; `hosts` are names beside those of this machine.

    Raises OSError when the port is taken, ValueError for a host name that is none.
    """
    configure_loggers(formatter="colored", log_level="INFO")
    setup_interrupt_handlers()
    with DagsterInstance.get() as instance:
        instance.optimize_for_webserver(DEFAULT_DB_STATEMENT_TIMEOUT, DEFAULT_POOL_RECYCLE, DEFAULT_POOL_MAX_OVERFLOW)
        target = WorkspaceFileTarget([str(path) for path in workspace])
        with WorkspaceProcessContext(instance, target, version=__version__, read_only=read_only) as context:
            app = _Webserver(context, path_prefix, _POLL_MILLISECONDS).create_asgi_app()
            server = serving.server(
                SameOrigin(app, hosts=hosts, setting="KOMBO_DAGSTER_HOSTS"),
                max_connections=MAX_CONNECTIONS,
                keep_alive_seconds=KEEP_ALIVE_SECONDS,
                grace_seconds=GRACE_SECONDS,
                websockets=True,
            )
            with suppress(KeyboardInterrupt):
                serving.serve(server, host=host, port=port)


async def _refusal(request: Request) -> Response | None:
    # Dagster looks for it in this spelling, and else takes the query from the address.
    if "application/json" not in request.headers.get("content-type", ""):
        return PlainTextResponse("Send JSON, with the header Content-Type: application/json.", 415)
    try:
        body = await request.json()
    except (ValueError, RecursionError):
        body = None
    told = body if isinstance(body, dict) else {}
    is_query = (
        isinstance(told.get("query"), str)
        and isinstance(told.get("variables"), dict | str | None)
        and isinstance(told.get("operationName"), str | None)
    )
    return None if is_query else PlainTextResponse('Send one GraphQL query: a JSON object with "query".', 400)
