"""Web servers that clients cannot hold up: uvicorn with limits on what a connection sends, holds and leaves unread."""

import asyncio
import logging
import resource
import socket
import time
from collections.abc import Mapping

import uvicorn
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kombo_pipeline.serving.connections import Config, Connection
from kombo_pipeline.serving.doors import DEFAULT_SECONDS, Doors, Seconds

SPARE_FILES = 128
"""Open files besides the connections: the warehouse, logs, modules."""

log = logging.getLogger(__name__)

__all__ = ["DEFAULT_SECONDS", "Seconds", "serve", "server"]


def server(
    app: ASGIApp,
    *,
    max_connections: int,
    keep_alive_seconds: int,
    grace_seconds: int,
    websockets: bool = False,
    seconds: Seconds = DEFAULT_SECONDS,
    slow_bodies: Mapping[str, float] | None = None,
) -> uvicorn.Server:
    """A server for `app`, for any socket.

    `max_connections` bounds the connections that are open; a request is answered 503 only when so many are in work.
    `slow_bodies` names paths by their beginning, and the seconds that a body may take there; their endpoints answer a
    slow one themselves and limit its memory. All other bodies that are read are answered 408 after `seconds.body`.
    `grace_seconds` is what requests in work have to end when the server stops.
    """
    doors = Doors(max_connections, keep_alive_seconds, seconds, slow_bodies or {})
    return _Server(
        Config(
            doors,
            _BodiesInTime(app, doors),
            http=Connection,
            log_level="error",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws="auto" if websockets else "none",
            lifespan="on",
            timeout_keep_alive=keep_alive_seconds,
            timeout_graceful_shutdown=grace_seconds,
        )
    )


def serve(server: uvicorn.Server, *, host: str, port: int) -> None:
    """Serve in the foreground until interrupted. Raises OSError if the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family) as listener:
        server.run([listener])


class _Server(uvicorn.Server):
    """uvicorn's server, which looks after its connections ten times a second."""

    config: Config

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Allow as many open files as connections are allowed, and listen."""
        doors = self.config.doors
        doors.max_connections = _raise_file_limit(doors.max_connections)
        await super().startup(sockets)

    async def on_tick(self, counter: int) -> bool:
        """Look after the connections before uvicorn does its own."""
        self.config.doors.look_after(
            [each for each in self.server_state.connections if isinstance(each, Connection)], time.monotonic()
        )
        return await super().on_tick(counter)


class _BodiesInTime:
    """Answers 408 when the rest of a body does not come."""

    def __init__(self, app: ASGIApp, doors: Doors) -> None:
        self._app, self._doors = app, doors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _has_come(receive) or self._doors.slow_body(scope["path"]) is not None:
            return await self._app(scope, receive, send)
        end = asyncio.get_running_loop().time() + self._doors.seconds.body
        is_whole = False

        async def receive_in_time() -> Message:
            nonlocal is_whole
            if is_whole:  # What comes next is that the client left, at any time.
                return await receive()
            try:
                async with asyncio.timeout_at(end):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, headers={"Connection": "close"}) from None
            is_whole = not message.get("more_body", False)
            return message

        return await self._app(scope, receive_in_time, send)


def _has_come(receive: Receive) -> bool:
    """Whether the body of a request is whole already, as most are: then nobody need watch the time."""
    return getattr(getattr(receive, "__self__", None), "more_body", True) is False


def _raise_file_limit(connections: int) -> int:
    """Allow so many connections as open files; return how many of them are allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        if soft < needed:
            connections = max(soft - SPARE_FILES, soft // 2)
            log.warning("only %d connections at a time: raise the limit of open files to %d", connections, needed)
    return connections
