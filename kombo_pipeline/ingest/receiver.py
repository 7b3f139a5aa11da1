"""The public web app that Kombo's webhooks reach: verify, land, answer.

A delivery is answered 2xx once its commit is durable. Kombo publishes no retry policy (docs.kombo.dev), and
senders of its kind never repeat what got a 4xx: so whatever goes wrong on our side is a 503, and nothing that
was signed is refused for what it says.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import psycopg
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from kombo_pipeline import serving
from kombo_pipeline.db import versions
from kombo_pipeline.db.connection import connect_async, with_driver
from kombo_pipeline.ingest.refusals import CountRefusals, Refusals
from kombo_pipeline.ingest.statements import webhook_events
from kombo_pipeline.kombo import webhooks
from kombo_pipeline.settings import MINIMUM_SECRET_LENGTH

WEBHOOKS_PATH = "/webhooks/kombo"
MAX_BODY_BYTES = 256 * 1024
"""A longer body is answered 413; Kombo's samples have about 1 kB."""
LANDING_SECONDS = 5
"""A delivery that is not committed by then is answered 503; it may still land, and its repetition is harmless."""
RECONNECT_SECONDS = 0.2
"""The pause after a lost warehouse: what arrives meanwhile shares the next attempt, and its line in the log."""
MAX_IN_FLIGHT = 64
"""Deliveries handed to the writer at a time; others wait for a place as long as LANDING_SECONDS allows."""
MAX_CONNECTIONS = 1024
"""Those that wait longest for their clients are closed for new ones; 503 if all have requests in work."""
KEEP_ALIVE_SECONDS = 75
"""Longer than the 60 s after which load balancers drop an idle connection: the closing side must be theirs."""

log = logging.getLogger(__name__)


def app(*, warehouse_url: str, secrets: Sequence[str]) -> Starlette:
    """`POST /webhooks/kombo` and `GET /healthz`; `secrets` are all accepted, the newest comes first.

    It starts without a warehouse too, and answers 503 as long as there is none. Raises ValueError without a
    secret, for one that can be guessed, and for a URL that is not Postgres's.
    """
    if not secrets or any(len(secret) < MINIMUM_SECRET_LENGTH for secret in secrets):
        raise ValueError(
            f"KOMBO_WEBHOOK_SECRETS needs at least one secret, and {MINIMUM_SECRET_LENGTH} characters or more in "
            "each; copy it from the webhook's page in the Kombo dashboard"
        )
    writer, refusals = Writer(warehouse_url), Refusals(warehouse_url)

    async def receive(request: Request) -> Response:
        try:
            raw = await request.body()
        except ClientDisconnect:
            return Response(status_code=400)
        secret_index = webhooks.verify(secrets, raw, _signature(request))
        if secret_index is None:
            return Response("X-Kombo-Signature is missing or wrong", 401)
        return _answer(await writer.land(_delivery(raw, secret_index)))

    async def healthz(_: Request) -> Response:
        healthy = await writer.land()
        told = {"status": "ok" if healthy else "unavailable", "refused_last_hour": refusals.of_last_hour()}
        return JSONResponse(told) if healthy else JSONResponse(told, 503, {"Retry-After": "5"})

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        running = [asyncio.create_task(task.run()) for task in (writer, refusals)]
        yield
        for task in running:
            task.cancel()
        await asyncio.wait(running)

    application = Starlette(
        routes=[
            Route(
                WEBHOOKS_PATH,
                receive,
                methods=["POST"],
                middleware=[Middleware(RequestBodyLimitMiddleware, max_body_size=MAX_BODY_BYTES)],
            ),
            Route("/healthz", healthz, methods=["GET"]),
        ],
        middleware=[Middleware(CountRefusals, refusals=refusals, path=WEBHOOKS_PATH)],
        exception_handlers={HTTPException: _http_error, Exception: _our_error},
        lifespan=lifespan,
    )
    application.router.redirect_slashes = False
    return application


def server(
    *, warehouse_url: str, secrets: Sequence[str], seconds: serving.Seconds = serving.DEFAULT_SECONDS
) -> uvicorn.Server:
    """The app with its limits on connections, for any socket. Raises ValueError as `app` does."""
    return serving.server(
        app(warehouse_url=warehouse_url, secrets=secrets),
        max_connections=MAX_CONNECTIONS,
        keep_alive_seconds=KEEP_ALIVE_SECONDS,
        grace_seconds=int(seconds.body) + LANDING_SECONDS,
        seconds=seconds,
    )


def serve(*, warehouse_url: str, secrets: Sequence[str], host: str, port: int) -> None:
    """Serve the app in the foreground until interrupted; what has arrived by then is still landed.

    Raises ValueError as `app` does, OSError if the port is taken, and SchemaError when the warehouse is there and has a
    schema on which this code cannot work.
    """
    receiver = server(warehouse_url=warehouse_url, secrets=secrets)
    versions.refuse_unfit_warehouse(warehouse_url)
    serving.serve(receiver, host=host, port=port)


class _Waiting(NamedTuple):
    deliveries: Sequence[webhook_events.Delivery]
    committed: asyncio.Future[bool]


class Writer:
    """Group commit: one connection lands all deliveries that wait in one transaction.

    While one commit is on its way to the disk the next deliveries gather, so their number a second is not
    bound by the number of commits.
    """

    def __init__(self, warehouse_url: str) -> None:
        self._url = with_driver(warehouse_url)
        self._conn: psycopg.AsyncConnection[Any] | None = None
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue(MAX_IN_FLIGHT)

    async def land(self, *deliveries: webhook_events.Delivery) -> bool:
        """Whether the deliveries are committed; without any, whether they could be.

        False is no promise that they are not: the connection may have been lost between commit and answer.
        """
        committed = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(LANDING_SECONDS):
                await self._queue.put(_Waiting(deliveries, committed))
                return bool(await committed)
        except TimeoutError:
            return False

    async def run(self) -> None:
        """Land what waits, for ever; close the connection when cancelled."""
        try:
            while True:
                batch = [await self._queue.get()]
                while not self._queue.empty():
                    batch.append(self._queue.get_nowait())
                await self._settle([waiting for waiting in batch if not waiting.committed.done()])
        finally:
            await self._disconnect()

    async def _settle(self, batch: Sequence[_Waiting]) -> None:
        """Commit a batch, or else each of it alone, so that what Postgres refuses takes nothing else along."""
        committed, pause = False, 0.0
        try:
            await self._commit([delivery for waiting in batch for delivery in waiting.deliveries])
            committed = True
        except Exception as error:
            await self._disconnect()
            pause = RECONNECT_SECONDS if isinstance(error, psycopg.OperationalError) else 0
            if len(batch) > 1 and not pause:
                for waiting in batch:
                    await self._settle([waiting])
                return
            # The first line only: those that follow may show the row.
            reason = str(error).partition("\n")[0]
            log.error("%d deliveries not landed: %s: %s", len(batch), type(error).__name__, reason)  # noqa: TRY400
        for waiting in batch:
            if not waiting.committed.done():
                waiting.committed.set_result(committed)
        await asyncio.sleep(pause)

    async def _commit(self, deliveries: Sequence[webhook_events.Delivery]) -> None:
        if self._conn is not None:
            try:
                return await webhook_events.land(self._conn, deliveries)
            except psycopg.OperationalError:
                # A connection that died while nobody used it tells so only now. Whether or not the deliveries
                # got through, they can be landed again.
                if not self._conn.closed:
                    raise
        self._conn = await connect_async(
            self._url,
            name="kombo_pipeline receiver",
            settings={"statement_timeout": f"{LANDING_SECONDS}s"},
            connect_timeout=LANDING_SECONDS,
            # A server that vanished without a word is given up in seconds.
            tcp_user_timeout=LANDING_SECONDS * 1000,
        )
        return await webhook_events.land(self._conn, deliveries)

    async def _disconnect(self) -> None:
        if self._conn is not None:
            await self._conn.close()
            self._conn = None


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _our_error(_: Request, __: Exception) -> Response:
    return JSONResponse({"error": "Something went wrong here; it is in the log"}, 500)


def _answer(committed: bool) -> Response:
    return Response() if committed else Response("Try again", 503, {"Retry-After": "5"})


def _signature(request: Request) -> bytes | None:
    """The header's bytes; None unless it is there exactly once."""
    given = [value for name, value in request.headers.raw if name == b"x-kombo-signature"]
    return given[0] if len(given) == 1 else None


def _delivery(raw: bytes, secret_index: int) -> webhook_events.Delivery:
    event = webhooks.parse(raw)
    return webhook_events.Delivery(
        event_id=webhooks.event_id_of(raw, event),
        event_type=event.event_type if event else None,
        integration_id=event.integration_id if event else None,
        body=raw,
        payload=webhooks.jsonb_text(raw) if event else None,
        secret_index=secret_index,
    )
