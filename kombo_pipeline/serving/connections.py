"""A connection of uvicorn's with limits on heads, bodies, chunks, pipelines and unread answers."""

import asyncio
import math
import time
from http import HTTPStatus
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from kombo_pipeline.serving.doors import MAX_HELD_BYTES, Doors

MAX_HEAD_BYTES = 64 * 1024
"""A longer head is answered 431; chunk extensions and trailers, which nobody reads, may be as long."""
MAX_HEADERS = 256
"""More are answered 431: thousands of short ones would fit in the bytes and take thirty times their memory."""
MAX_PIPELINED = 16
"""Requests that may wait on one connection for the answer to an earlier one; the connection is closed beyond."""
MAX_SMALL_CHUNKS = 1000
"""More are refused unless they have SMALL_CHUNK_BYTES on average: each byte of a body would cost a call."""
SMALL_CHUNK_BYTES = 64
_FEED_BYTES = 16 * 1024
"""The parser gets no more at a time, so that a limit is noticed before much more was parsed."""
_READ_BYTES = 64 * 1024
"""A client that reads so much of its answer within the time for it is not stalled."""


class Config(uvicorn.Config):
    """uvicorn's settings, and what its connections share."""

    def __init__(self, doors: Doors, app: ASGIApp, **options: Any) -> None:
        super().__init__(app, **options)
        self.doors = doors


class _TooMuchError(Exception):
    """Raised inside the parser, which answers it as it answers what is no HTTP."""


class Connection(HttpToolsProtocol):
    """uvicorn's connection with limits. `deadline` is when its client has kept it waiting too long."""

    config: Config

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any], _loop: Any = None) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._doors = config.doors
        self._seconds = config.doors.seconds
        self.connected_at = time.monotonic()
        self.deadline = math.inf
        self.was_served = False
        self.held = 0
        """Bytes of the unfinished head, or of the bodies that are not answered yet."""
        self.unread = 0
        self.stalled_since = math.inf
        self._in_head = self._in_body = self._is_idle = False
        self._since_milestone = 0
        """Bytes since the parser last finished something: the length of an unfinished head, extension or trailer."""
        self._milestone = False
        self._body_bytes = self._chunks = 0
        self._counts_body = True
        self._refusal = HTTPStatus.BAD_REQUEST

    # What arrives

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect a head from now on, and close another connection if there are too many."""
        super().connection_made(transport)
        self._wait(self._seconds.head)
        if len(self.connections) > self._doors.max_connections:
            self._doors.make_room(self, self.connected_at)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._leave()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what has come, in pieces."""
        was_idle = self._is_idle
        if len(data) <= _FEED_BYTES:
            self._feed(data)
        else:
            view = memoryview(data)
            for start in range(0, len(data), _FEED_BYTES):
                if self.parser is None or self.transport.is_closing():
                    break
                self._feed(view[start : start + _FEED_BYTES])
        if was_idle and self._is_idle and not self.transport.is_closing():
            # The next request has begun, and its head is not whole.
            self._is_idle = False
            self._wait(self._seconds.head)

    def _feed(self, data: Any) -> None:
        self._milestone = False
        super().data_received(data)
        if not self._milestone:
            self._since_milestone += len(data)
        else:
            self._since_milestone = len(data) if self._in_head or self._in_body else 0
        if self.transport.is_closing():
            return
        if self._since_milestone > MAX_HEAD_BYTES + _FEED_BYTES or len(self.headers or ()) > MAX_HEADERS:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        elif self._in_head:
            self._hold(self._since_milestone)

    # What the parser finds

    def on_message_begin(self) -> None:
        """Note that a head has begun."""
        self._milestone = self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Refuse what is too much; else start the request, or queue it behind an earlier one."""
        if len(self.headers) > MAX_HEADERS or (
            self._since_milestone
            and len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > MAX_HEAD_BYTES
        ):
            self._refusal = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            raise _TooMuchError
        if len(self.pipeline) >= MAX_PIPELINED:
            raise _TooMuchError
        self._milestone, self._in_head, self._in_body, self._is_idle = True, False, True, False
        working = len(self.connections) - self._doors.number_waiting()
        self.limit_concurrency = 0 if working >= self._doors.max_connections else None
        is_next = self.cycle is None or self.cycle.response_complete
        super().on_headers_complete()
        if self.parser.should_upgrade() and self._should_upgrade():
            return
        self._body_bytes = self._chunks = 0
        # Trailers come here from now on; the application does not see them.
        self.headers = []
        slow = self._doors.slow_body(self.scope["path"]) if self._doors.slow_bodies else None
        self._counts_body = slow is None
        if is_next:
            # A second more, so that an application that reads the body can answer first.
            self._hold(0)
            self.deadline = time.monotonic() + 1 + (self._seconds.body if slow is None else slow)

    def on_body(self, body: bytes) -> None:
        """Keep a piece of a body, and count it."""
        self._milestone = True
        self._body_bytes += len(body)
        super().on_body(body)
        if self._counts_body and not self.cycle.response_complete:
            self._hold(self.held + len(body))

    def on_chunk_complete(self) -> None:
        """Start to count anew: a chunk has ended, with its extensions."""
        self._milestone = True
        self._chunks += 1
        if self._chunks > MAX_SMALL_CHUNKS and self._chunks * SMALL_CHUNK_BYTES > self._body_bytes:
            raise _TooMuchError

    def on_message_complete(self) -> None:
        """Wait for the application rather than for the client."""
        self._milestone, self._in_body = True, False
        super().on_message_complete()
        if self.cycle is None or self.pipeline:
            return
        if self.cycle.response_complete:
            self._rest()
        else:
            self._work()

    def on_response_complete(self) -> None:
        """Wait for the client again, unless its next request is here already."""
        following = self.pipeline[-1][0] if self.pipeline else None
        super().on_response_complete()
        self.was_served = True
        if self.transport.is_closing():
            return
        if following is not None:
            self._work()
            if following.more_body:
                self._wait(self._seconds.body + 1)
        elif self._in_body:
            # It was answered before its end, and what still comes is thrown away.
            self._hold(0)
            self._wait(self._seconds.body)
        elif self._in_head:
            self._wait(self._seconds.head)
        else:
            self._rest()

    # For whom it waits

    def _wait(self, seconds: float) -> None:
        self.deadline = time.monotonic() + seconds
        self._doors.waits(self)

    def _work(self) -> None:
        self.deadline = math.inf
        self._doors.works(self)

    def _rest(self) -> None:
        self._is_idle = True
        self._hold(0)
        self._wait(self._doors.keep_alive_seconds)

    def _hold(self, size: int) -> None:
        if size != self.held:
            self._doors.held += size - self.held
            self.held = size
            if self._doors.held > MAX_HELD_BYTES:
                self._doors.free_memory()

    def _leave(self) -> None:
        self._work()
        self._doors.held -= self.held
        self.held = 0

    def pause_writing(self) -> None:
        """Wait for the client to read."""
        super().pause_writing()
        self._doors.waits(self)

    def resume_writing(self) -> None:
        """Go on: the client has read."""
        super().resume_writing()
        self.stalled_since = math.inf
        if self.deadline == math.inf:
            self._doors.works(self)

    def look_after(self, now: float) -> int:
        """Close the connection if its client has kept it waiting too long; return how much is left unread."""
        size = self.transport.get_write_buffer_size()
        if not size:
            self.stalled_since = math.inf
        elif self.stalled_since == math.inf or size <= self.unread - _READ_BYTES:
            self.stalled_since, self.unread = now, size
        if now > self.stalled_since + self._seconds.answer:
            self.abandon()
        elif now > self.deadline:
            self._give_up()
        return size

    # How it ends

    def _give_up(self) -> None:
        """End a connection whose client is late; one that has sent half a head is told why."""
        if self._is_idle and not self.unread:
            self._leave()
            self.transport.close()
        elif self._in_head and not self.unread:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)
        else:
            self.abandon()

    def abandon(self) -> None:
        """End the connection at once, without a word, and free what it holds."""
        self._leave()
        # Not counted any more, although the transport says so only later.
        self.connections.discard(self)
        self.transport.abort()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        """Answer what the parser does not understand, or what was refused inside it."""
        self._refuse(self._refusal)

    def _refuse(self, status: HTTPStatus) -> None:
        self._leave()
        if self.cycle is not None and not self.cycle.response_complete:
            # It would be taken for the answer to an earlier request.
            self.abandon()
            return
        text = status.phrase.encode()
        self.transport.write(
            b"HTTP/1.1 %d %s\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n"
            b"connection: close\r\n\r\n%s" % (status, text, len(text), text)
        )
        self.transport.close()

    def handle_websocket_upgrade(self) -> None:
        """Leave the connection to the WebSocket library, which has limits of its own."""
        self._leave()
        super().handle_websocket_upgrade()
