"""Kombo's endpoints over a world: jobs, integration details, key check, forced syncs; with its errors and
headers.
"""

from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from email.utils import format_datetime
from typing import Any, Final

import anyio
import msgspec
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kombo_pipeline.sandbox import traffic
from kombo_pipeline.sandbox.integration import Integration, SyncKind
from kombo_pipeline.sandbox.query import Cursor, InputInvalidError, parse_query
from kombo_pipeline.sandbox.records import kombo_id
from kombo_pipeline.sandbox.world import World
from kombo_pipeline.serving.same_origin import SameOrigin

API_KEY = "sandbox-key"
"""The key the sandbox accepts unless another is given."""

_TITLES: Final = {
    "INTEGRATION.SETUP_SYNC_PENDING": "The integration's setup sync is still running.",
    "INTEGRATION.SETUP_INCOMPLETE": "The integration's setup is not complete.",
    "INTEGRATION.QA_FAILED": "The integration's data failed quality checks.",
    "INTEGRATION.INACTIVE": "The integration is inactive.",
    "PLATFORM.INPUT_INVALID": "The input is invalid.",
    "PLATFORM.INTEGRATION_NOT_FOUND": "The integration was not found.",
    "PLATFORM.AUTHENTICATION_INVALID": "The API key is invalid.",
    "PLATFORM.RATE_LIMIT_EXCEEDED": "The rate limit was exceeded.",
}
_PENDING_MESSAGE: Final = (
    "The first sync of this integration didn't finish successfully yet! You can keep polling this until you "
    "get a "
    "successful response or react to our webhooks."
)
_LOGGED_HEADERS: Final = ("x-integration-id", "accept-encoding", "user-agent")


class RefusalError(Exception):
    """An error answer of Kombo's shape; `code` None is an error without one."""

    def __init__(self, status: int, code: str | None, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, headers

    def response(self) -> Response:
        """All four keys are required, three may be null (Kombo SDK)."""
        error = {
            "code": self.code,
            "title": _TITLES.get(self.code or ""),
            "message": self.message,
            "log_url": None,
        }
        return JSONResponse({"status": "error", "error": error}, self.status, self.headers)


Handler = Callable[[Request], Awaitable[Response]]


class KomboApi:
    """The handlers of the `/v1` endpoints."""

    def __init__(self, world: World, *, api_key: str) -> None:
        self._world = world
        self._api_key = api_key
        self._window = (0.0, 0)

    def routes(self) -> list[Route]:
        """Every endpoint under `/v1`."""
        return [
            Route("/v1/ats/jobs", self._admitted(self._jobs)),
            Route("/v1/check-api-key", self._admitted(self._check_api_key)),
            Route("/v1/integrations/{integration_id}", self._admitted(self._integration)),
            Route("/v1/force-sync", self._admitted(self._force_sync), methods=["POST"]),
        ]

    def _admitted(self, handler: Handler) -> Handler:
        """Check key and rate limit first, and tell of the limit on each answer."""

        async def endpoint(request: Request) -> Response:
            if request.headers.get("authorization") != f"Bearer {self._api_key}":
                raise RefusalError(401, "PLATFORM.AUTHENTICATION_INVALID", "Provide a valid API key as a Bearer token.")
            limits = self._count_request()
            try:
                response = await handler(request)
            except RefusalError as refusal:
                response = refusal.response()
            except InputInvalidError as invalid:
                response = RefusalError(400, "PLATFORM.INPUT_INVALID", str(invalid)).response()
            response.headers.update(limits)
            return response

        return endpoint

    def _count_request(self) -> dict[str, str]:
        limit = self._world.behaviour.rate_limit
        if limit is None:
            return {}
        now = self._world.clock.uptime()
        began, used = self._window if now - self._window[0] < 60 else (now, 0)
        self._window = (began, used + 1)
        reset = str(max(1, round(began + 60 - now)))
        headers = {
            "ratelimit-limit": str(limit),
            "ratelimit-remaining": str(max(0, limit - used - 1)),
            "ratelimit-reset": reset,
        }
        if used >= limit:
            headers |= {"retry-after": reset} if self._world.behaviour.retry_after else {}
            raise RefusalError(429, "PLATFORM.RATE_LIMIT_EXCEEDED", f"{limit} requests a minute are allowed.", headers)
        return headers

    async def _jobs(self, request: Request) -> Response:
        integration = self._find(_header_id(request))
        self._require_data(integration)
        query, cursor = parse_query(request.query_params.multi_items(), self._world.behaviour)
        gzip = "gzip" in request.headers.get("accept-encoding", "")
        body = self._world.jobs_page(integration.id, query, cursor, gzip=gzip)
        headers = {"vary": "accept-encoding"} | ({"content-encoding": "gzip"} if gzip else {})
        return Response(body, headers=headers, media_type="application/json")

    async def _check_api_key(self, _: Request) -> Response:
        environment = kombo_id(self._world.seed, "environment")
        return _success({"environment_id": environment, "customer_id": environment})

    async def _integration(self, request: Request) -> Response:
        return _success(self._find(request.path_params["integration_id"]).details())

    async def _force_sync(self, request: Request) -> Response:
        integration = self._find(_header_id(request))
        try:
            wanted = (msgspec.json.decode(await request.body() or b"{}", type=dict[str, Any])).get("type", "FULL")
        except msgspec.DecodeError:
            raise InputInvalidError("the body is no JSON object") from None
        if wanted not in ("FULL", "DELTA"):
            raise InputInvalidError('"type" must be FULL or DELTA')
        behaviour = self._world.behaviour
        kind: SyncKind = "DELTA" if wanted == "DELTA" and behaviour.delta_syncs else "FULL"
        delay = timedelta(seconds=behaviour.force_sync_delay_seconds)
        queued, already = self._world.queue_sync(integration.id, kind=kind, delay=delay)
        return _success({"already_queued": already, "sync_id": queued.sync_id, "type": kind})

    def _find(self, integration_id: str) -> Integration:
        try:
            return self._world.integration(integration_id)
        except KeyError:
            message = f'No integration "{integration_id}" exists in this environment.'
            raise RefusalError(404, "PLATFORM.INTEGRATION_NOT_FOUND", message) from None

    def _require_data(self, integration: Integration) -> None:
        behaviour = self._world.behaviour
        code = integration.blocked_by()
        if code is not None:
            if behaviour.pending_answer == "message-only":
                raise _MessageOnlyError(503, None, _PENDING_MESSAGE.replace(" successfully", ""))
            message = _PENDING_MESSAGE if code == "INTEGRATION.SETUP_SYNC_PENDING" else _TITLES[code]
            raise RefusalError(int(behaviour.pending_answer), code, message)
        if integration.state != "ACTIVE" and behaviour.refuse_inactive:
            raise RefusalError(409, "INTEGRATION.INACTIVE", "The integration does not sync at present.")


class _MessageOnlyError(RefusalError):
    def response(self) -> Response:
        return JSONResponse({"status": "error", "error": {"message": self.message}}, self.status)


class Wire:
    """Around the whole app: the world's `Date`, latency, faults, and the log of requests."""

    def __init__(self, app: ASGIApp, world: World) -> None:
        self._app = app
        self._world = world

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, once it is complete in memory."""
        if scope["type"] != "http" or not scope["path"].startswith("/v1"):
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        await anyio.sleep(self._world.behaviour.latency_seconds)
        fault = self._world.take_fault(request.url.path, _page_number(request), request.query_params)
        answer: list[Message] = []

        async def keep(message: Message) -> None:
            answer.append(message)

        if fault is not None and fault.kind == "answer":
            await Response(fault.body, fault.status, fault.headers)(scope, receive, keep)
        elif fault is None or fault.kind != "drop":
            await self._app(scope, receive, keep)
        if fault is not None and fault.kind == "slow":
            await anyio.sleep(fault.seconds)
        self._log(request, answer)
        if not answer:
            await _hang_up(receive, send)
            return
        start, body = answer
        headers = MutableHeaders(raw=start["headers"])
        headers["date"] = format_datetime(self._world.clock.now(), usegmt=True)
        if fault is not None and fault.kind == "retype":
            headers["content-type"] = "text/html"
        await send(start)
        if fault is not None and fault.kind == "truncate":
            await send({**body, "body": body["body"][: len(body["body"]) // 2], "more_body": True})
            await _hang_up(receive, send)
            return
        await send(body)

    def _log(self, request: Request, answer: list[Message]) -> None:
        entry = traffic.Request(
            method=request.method,
            path=request.url.path,
            query=dict(request.query_params),
            headers={name: request.headers[name] for name in _LOGGED_HEADERS if name in request.headers},
            status=answer[0]["status"] if answer else 0,
        )
        self._world.requests.append(entry)


def build_app(
    world: World, *, api_key: str = API_KEY, extra_routes: list[Route] | None = None, hosts: Iterable[str] = ()
) -> ASGIApp:
    """The sandbox as an ASGI app; `hosts` are names under which it is reached beside those of this machine."""
    api = KomboApi(world, api_key=api_key)
    app = Starlette(
        routes=[*api.routes(), *(extra_routes or [])],
        exception_handlers={RefusalError: _answer_refusal, 404: _answer_unknown, 405: _answer_unknown},
    )
    return SameOrigin(Wire(app, world), hosts=hosts, setting="--allow-host", programs_send_json=False)


def _success(data: Any) -> Response:
    return JSONResponse({"status": "success", "data": data})


async def _answer_refusal(_: Request, error: Exception) -> Response:
    assert isinstance(error, RefusalError)
    return error.response()


async def _answer_unknown(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    return RefusalError(status, None, f"Nothing answers {request.method} {request.url.path}.").response()


def _header_id(request: Request) -> str:
    integration_id = request.headers.get("x-integration-id")
    if not integration_id:
        raise InputInvalidError('The header "X-Integration-Id" is missing')
    return integration_id


def _page_number(request: Request) -> int:
    try:
        return Cursor.decode(request.query_params["cursor"]).page
    except (KeyError, InputInvalidError):
        return 1


async def _hang_up(receive: Receive, send: Send) -> None:
    # ASGI has no message for it; uvicorn's `send` is a method of the object that holds the transport.
    send.__self__.transport.close()  # type: ignore[attr-defined]
    while (await receive())["type"] != "http.disconnect":
        pass
