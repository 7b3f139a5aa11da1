"""The web app of the back office: its routes, the headers of every response, limits, error pages."""

import logging
import mimetypes
import traceback
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, Final

import psycopg
import uvicorn
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kombo_pipeline import serving
from kombo_pipeline.backoffice import rendering
from kombo_pipeline.backoffice.access import Access, identify, needs
from kombo_pipeline.backoffice.pages import (
    bulk,
    history,
    holds,
    integrations,
    links,
    own_jobs,
    paste,
    picker,
    review,
    sign_in,
    takeovers,
)
from kombo_pipeline.backoffice.threads import Threads
from kombo_pipeline.db import versions
from kombo_pipeline.db.connection import Connection, Session, with_driver
from kombo_pipeline.linking import notices
from kombo_pipeline.own_jobs import feed
from kombo_pipeline.settings import Settings

MAX_FORM_BYTES = 1024 * 1024
"""A longer form gets the response 413. Ten thousand ticked jobs, or a paste of as many lines, are shorter."""
STATEMENT_SECONDS = 30
LOCK_SECONDS = 5
"""How long a request waits for rows that another transaction has locked; then its response is 503."""
CONNECTIONS = 8
WAIT_SECONDS = 5
"""How long a request waits for a connection to the database; then its response is 503."""
MAX_CONNECTIONS = 512
"""At the limit, the connection that has waited longest for its client is closed; 503 if all serve requests."""
KEEP_ALIVE_SECONDS = 75
"""Longer than the 60 s after which load balancers close an idle connection, so that they close it and not we."""
GRACE_SECONDS = 5
LOGGED_CHARACTERS = 200
"""How much is logged of the message of an error that no handler knows."""

log = logging.getLogger(__name__)

_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
_WORDS: Mapping[int, tuple[str, str]] = {
    400: ("That could not be read", "Go back and try again."),
    401: ("Nobody is signed in", "Sign in and try again."),
    403: ("You may not do this", "Ask an admin for the role that it needs."),
    404: ("There is nothing here", "It does not exist, or you may not see it."),
    408: ("That came too slowly", "Nothing was saved. Send it again; if it fails again, in parts."),
    405: ("This address does not accept such a request", "Use the links and buttons of the pages."),
    413: ("That was too much at once", "Send it in parts; nothing was saved."),
    429: ("That was too much at once", "Nothing was saved. Wait a moment, then try again."),
    500: ("Something went wrong here", "Nothing was saved. It is in the log; try again, or tell who runs this."),
    503: ("The database does not answer", "Nothing was saved. Try again in a moment."),
}
_JSON_DOORS: Final = ("api", "healthz")
"""First parts of addresses for programs, whose responses are JSON, also for errors."""
_JSON_WORDS: Final[Mapping[int, str]] = {
    400: "that could not be read; nothing was saved",
    404: "there is nothing at this address",
    405: "this address does not accept such a request",
    413: "that was too long; nothing was saved",
    500: "something went wrong here; nothing was saved, and it is in the log",
    503: "the database does not answer; send it again",
}


def app(*, warehouse_url: str, settings: Settings) -> Starlette:
    """Make the app with all its pages. It starts without a warehouse too, and responds 503 as long as there is none.

    Raises ValueError without a secret, for one that can be guessed, for a token or an endpoint that cannot be used,
    and for a URL that is not Postgres's.
    """
    notice_endpoint = notices.endpoint(settings.notice_url, settings.notice_secret)
    deliverer = notices.Deliverer(warehouse_url, notice_endpoint) if notice_endpoint else None
    pool = _pool(warehouse_url)
    application = _Backoffice(
        routes=_routes(),
        middleware=[Middleware(_BodyLimits)],
        exception_handlers={
            HTTPException: _http_error,
            ClientDisconnect: _left,
            psycopg.errors.LockNotAvailable: _locked,
            psycopg.OperationalError: _no_warehouse,
            psycopg.DataError: _unreadable,
            Exception: _our_error,
        },
        lifespan=_lifespan(pool, deliverer),
    )
    application.router.redirect_slashes = False
    application.state.access = Access(settings)
    application.state.settings = settings
    application.state.pool = pool
    application.state.feed_tokens = feed.read_tokens(settings.own_jobs_tokens)
    application.state.threads = Threads()
    application.state.turns = sign_in.Turns()
    application.state.feed_turns = feed.Turns()
    application.state.warned_of_proxies = False
    return application


def _pool(warehouse_url: str) -> ConnectionPool[Connection]:
    return ConnectionPool(
        with_driver(warehouse_url),
        connection_class=Session,
        kwargs={
            "row_factory": dict_row,
            "name": "kombo_pipeline back office",
            "connect_timeout": WAIT_SECONDS,
            "settings": {
                "statement_timeout": f"{STATEMENT_SECONDS}s",
                "lock_timeout": f"{LOCK_SECONDS}s",
                "idle_in_transaction_session_timeout": "60s",
            },
        },
        min_size=1,
        max_size=CONNECTIONS,
        timeout=WAIT_SECONDS,
        check=ConnectionPool.check_connection,
        open=False,
    )


def _lifespan(
    pool: ConnectionPool[Connection], deliverer: notices.Deliverer | None
) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    """Keep the pool open, and the notices being delivered, for as long as the app runs."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        pool.open()
        if deliverer:
            deliverer.start()
        yield
        if deliverer:
            await run_in_threadpool(deliverer.stop)
        await run_in_threadpool(pool.close)

    return lifespan


def server(
    *, warehouse_url: str, settings: Settings, seconds: serving.Seconds = serving.DEFAULT_SECONDS
) -> uvicorn.Server:
    """The app with its limits on connections, for any socket. Raises ValueError as `app` does."""
    return serving.server(
        app(warehouse_url=warehouse_url, settings=settings),
        max_connections=MAX_CONNECTIONS,
        keep_alive_seconds=KEEP_ALIVE_SECONDS,
        grace_seconds=GRACE_SECONDS,
        seconds=seconds,
        slow_bodies={"/api/": feed.BODY_SECONDS},
    )


def serve(*, warehouse_url: str, settings: Settings, host: str, port: int) -> None:
    """Serve the app in the foreground until interrupted.

    Raises ValueError as `app` does, OSError for a taken port, and SchemaError when the warehouse is there and has a
    schema on which this code cannot work.
    """
    backoffice = server(warehouse_url=warehouse_url, settings=settings)
    versions.refuse_unfit_warehouse(warehouse_url)
    serving.serve(backoffice, host=host, port=port)


@needs("viewer", customers=True)
def start(request: Request) -> Response:
    """Redirect to the first page of the viewer."""
    return RedirectResponse("/review" if request.state.viewer.customer_id is None else "/picker", 303)


def healthz(request: Request) -> Response:
    """Respond 200 if the warehouse answers."""
    with rendering.warehouse(request) as conn:
        conn.execute("select 1")
    return JSONResponse({"status": "ok"})


def static(request: Request) -> Response:
    """Send a file of static/. Browsers may keep it for ever if the address has the hash of its content."""
    name = request.path_params["name"]
    try:
        content, version = rendering.static_file(name)
    except (FileNotFoundError, ValueError):
        raise HTTPException(404) from None
    kept = request.query_params.get("v") == version
    media_type = mimetypes.guess_type(name)[0] or "text/plain"
    return Response(
        content, media_type=media_type, headers={"Cache-Control": f"public, max-age={31_536_000 if kept else 0}"}
    )


def _routes() -> list[Route]:
    return [
        Route("/", start, methods=["GET"]),
        Route("/healthz", healthz, methods=["GET"]),
        Route("/static/{name}", static, methods=["GET"]),
        *sign_in.routes,
        *review.routes,
        *bulk.routes,
        *history.routes,
        *picker.routes,
        *paste.routes,
        *own_jobs.routes,
        *integrations.routes,
        *takeovers.routes,
        *holds.routes,
        *links.routes,
        *feed.routes,
    ]


class _Backoffice(Starlette):
    """Starlette that sends our headers with every response, also with those to its own failures."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if self.state.access.is_https:
                    headers.setdefault("strict-transport-security", "max-age=31536000")
            await send(message)

        try:
            await super().__call__(scope, receive, send_with_headers)
        except Exception as error:
            # The response 500 was sent. Raised again, the server would log the whole message, which may hold a long
            # address and the token of a link.
            log.error(  # noqa: TRY400
                "%s answered 500: %s: %s\n%s",
                getattr(scope.get("endpoint"), "__qualname__", "No page of ours"),
                type(error).__name__,
                str(error).partition("\n")[0][:LOGGED_CHARACTERS],
                "".join(traceback.format_tb(error.__traceback__)),
            )


class _BodyLimits:
    """Refuse long bodies with 413, as a page for people and as JSON for programs; the feed of own jobs may send more.

    Starlette's RequestBodyLimitMiddleware replaces both by plain text for a body whose declared length is too long.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        limit = feed.MAX_BYTES if scope["path"].startswith("/api/") else MAX_FORM_BYTES
        declared = Headers(scope=scope).get("content-length", "")
        received = 0

        async def receive_within_limit() -> Message:
            nonlocal received
            if declared.isdecimal() and int(declared) > limit:
                raise HTTPException(413)
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise HTTPException(413)
            return message

        return await self._app(scope, receive_within_limit, send)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if not hasattr(request.state, "viewer") and not _speaks_json(request):
        # An address that no route knows: the page around the message is the viewer's all the same.
        with suppress(HTTPException, psycopg.Error):
            await run_in_threadpool(identify, request)
    return await run_in_threadpool(_error_page, request, error.status_code, error.detail, error.headers)


async def _left(_: Request, __: Exception) -> Response:
    """Respond to a client that left before the end of its form; nobody reads this."""
    return Response(status_code=400)


async def _no_warehouse(request: Request, _: Exception) -> Response:
    return await run_in_threadpool(_error_page, request, 503, "", {"Retry-After": "5"})


async def _locked(request: Request, _: Exception) -> Response:
    text = "Something else is changing the same data. Nothing was saved. Try again in a moment."
    return await run_in_threadpool(_error_page, request, 503, text, {"Retry-After": "5"})


async def _unreadable(request: Request, _: Exception) -> Response:
    """Respond to a NUL in a text, or a number larger than any id; our pages send neither."""
    return await run_in_threadpool(_error_page, request, 400)


async def _our_error(request: Request, _: Exception) -> Response:
    return await run_in_threadpool(_error_page, request, 500)


def _error_page(request: Request, status_code: int, detail: str = "", headers: Any = None) -> Response:
    heading, text = _WORDS.get(status_code, ("That did not work", "Go back and try again."))
    if detail and detail != _phrase(status_code):
        text = detail
    if _speaks_json(request):
        reason = text if text == detail else _JSON_WORDS.get(status_code, _phrase(status_code))
        return JSONResponse({"error": reason}, status_code, headers)
    response = rendering.render(
        request, "error.html", status_code=status_code, heading=heading, text=text, typed=_typed(request)
    )
    response.headers.update(headers or {})
    return response


def _speaks_json(request: Request) -> bool:
    return request.scope["path"].lstrip("/").partition("/")[0] in _JSON_DOORS


def _typed(request: Request) -> list[str]:
    """Return the texts of the form that failed, to show them.

    Browsers do not keep our pages: whoever goes back finds an empty form.
    """
    form = getattr(request.state, "form", None) or FormData()
    written = [value for name, value in form.multi_items() if isinstance(value, str) and name != "password"]
    return [value for value in written if len(value.split()) > 1]


def _phrase(status_code: int) -> str:
    return HTTPException(status_code).detail
