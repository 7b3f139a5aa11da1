"""Own jobs over HTTP: a multiposter, or any program of yours, sends its list of jobs with a token."""

import asyncio
import hmac
import logging
import tempfile
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Any, BinaryIO, Final, NamedTuple, TypeVar, cast
from weakref import WeakValueDictionary

import anyio
import anyio.to_thread
import psycopg
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from kombo_pipeline.own_jobs import importing, reading, statements
from kombo_pipeline.own_jobs.files import FeedError, TooLargeError
from kombo_pipeline.own_jobs.formats import MEDIA_TYPES
from kombo_pipeline.settings import MINIMUM_SECRET_LENGTH, SettingsError
from kombo_pipeline.vocabulary import SOURCES

MAX_BYTES: Final = 64 * 1024 * 1024
"""A longer body gets the response 413. 100,000 jobs without descriptions are 30 MB, less when packed by gzip."""
BODY_SECONDS: Final = 300
AT_A_TIME: Final = 2
"""How many lists are read and imported at a time: each is in memory as a whole."""
_SHOWN: Final = 1000
_IN_MEMORY_BYTES: Final = 1024 * 1024

_FLAGS: Final = {"": False, "0": False, "false": False, "1": True, "true": True}

T = TypeVar("T")

_log: Final = logging.getLogger(__name__)


class Token(NamedTuple):
    """Lets its bearer write the own jobs of one customer; of every customer where none is named."""

    customer_id: str | None
    secret: bytes


def read_tokens(entries: Iterable[str]) -> list[Token]:
    """Read KOMBO_OWN_JOBS_TOKENS: `customer=token`, or a bare token for all customers.

    Raises SettingsError, which shows none, for a token that can be guessed. That is also what a bare token with
    an equals sign in it looks like.
    """
    tokens = []
    for entry in entries:
        before, equals, after = entry.partition("=")
        customer_id, secret = (before.strip(), after.strip()) if equals else (None, before)
        if len(secret) < MINIMUM_SECRET_LENGTH or customer_id == "":
            raise SettingsError(
                "KOMBO_OWN_JOBS_TOKENS: each entry is customer=token or a token for all without = in it, of "
                f"{MINIMUM_SECRET_LENGTH} characters or more; make one with: openssl rand -hex 24"
            )
        tokens.append(Token(customer_id, secret.encode()))
    return tokens


class Turns:
    """Limit the requests that are served at a time: AT_A_TIME in all, and one of each customer.

    The lists of a customer may change the same jobs.
    """

    def __init__(self) -> None:
        self._all = anyio.CapacityLimiter(AT_A_TIME)
        self._customers: WeakValueDictionary[str, anyio.Semaphore] = WeakValueDictionary()

    async def run(self, customer_id: str, serve: Callable[[], T]) -> T:
        """Run in a thread when the customer's turn has come."""
        turn = self._customers.setdefault(customer_id, anyio.Semaphore(1))
        async with turn:
            return await anyio.to_thread.run_sync(serve, limiter=self._all)


class _RefusedError(Exception):
    """The request cannot be served; nothing was written."""

    def __init__(self, status_code: int, reason: str) -> None:
        super().__init__(reason)
        self.status_code = status_code


async def receive(request: Request) -> Response:
    """Import a list of own jobs in one transaction; respond with what was done, and which rows are bad."""
    return await _respond(request, _receive)


async def withdraw(request: Request) -> Response:
    """Withdraw one own job of any list; respond with the number 1, or 0 where it was withdrawn already."""
    return await _respond(request, _withdraw)


async def _respond(request: Request, serve: Callable[[Request, str], Awaitable[dict[str, Any]]]) -> Response:
    try:
        return JSONResponse(await serve(request, _admitted(request)))
    except _RefusedError as refused:
        headers = {"WWW-Authenticate": "Bearer"} if refused.status_code == 401 else {}
        return JSONResponse({"error": str(refused)}, refused.status_code, headers)
    except psycopg.OperationalError:
        return JSONResponse({"error": "the database does not answer; send it again"}, 503, {"Retry-After": "5"})
    except ClientDisconnect:
        return Response(status_code=400)
    except (ValueError, psycopg.DataError, psycopg.IntegrityError) as error:
        # No check of ours has found it, but the cause is in the list.
        return JSONResponse({"error": f"the list cannot be imported: {str(error)[:_SHOWN]}"}, 422)
    except Exception:
        _log.exception("A list of own jobs failed")
        return JSONResponse({"error": "an error of ours, which is in our log; nothing was imported"}, 500)


async def _receive(request: Request, customer_id: str) -> dict[str, Any]:
    form = _format(request)
    options = _options(request)
    with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES) as body:
        await _store(request, body)
        turns: Turns = request.app.state.feed_turns
        return await turns.run(customer_id, partial(_import, request, cast(BinaryIO, body), customer_id, form, options))


async def _withdraw(request: Request, customer_id: str) -> dict[str, Any]:
    query = _known_parameters(request, "own_job_id", "dry_run")
    own_job_id, is_dry = query.get("own_job_id", ""), _flag(query, "dry_run")
    if not own_job_id or "\0" in own_job_id:
        raise _RefusedError(422, "name the job: ?own_job_id=ID")
    turns: Turns = request.app.state.feed_turns
    withdrawn = await turns.run(customer_id, partial(_withdraw_one, request, customer_id, own_job_id, is_dry))
    return {"withdrawn": withdrawn, "dry_run": is_dry}


def _withdraw_one(request: Request, customer_id: str, own_job_id: str, is_dry: bool) -> int:
    with request.app.state.pool.connection() as conn:
        if "\0" in customer_id or not statements.exists(conn, customer_id=customer_id, own_job_id=own_job_id):
            raise _RefusedError(404, f"customer {customer_id!r} has no own job {own_job_id!r}")
        withdrawn = statements.withdraw(conn, customer_id=customer_id, own_job_ids=[own_job_id])
        if is_dry:
            conn.rollback()
    return len(withdrawn)


def _admitted(request: Request) -> str:
    """Return the customer of the address if the token may write its jobs.

    Every token is compared, so that the time does not show which one was nearly right. Raises _RefusedError.
    """
    customer_id: str = request.path_params["customer"]
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    matching = [
        token
        for token in request.app.state.feed_tokens
        if hmac.compare_digest(token.secret, given.strip().encode("utf-8", "replace"))
    ]
    if scheme.lower() != "bearer" or not matching:
        raise _RefusedError(401, "send `Authorization: Bearer TOKEN` with a token of KOMBO_OWN_JOBS_TOKENS")
    if not any(token.customer_id in (None, customer_id) for token in matching):
        raise _RefusedError(403, "this token is another customer's")
    return customer_id


def _format(request: Request) -> str:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in MEDIA_TYPES:
        raise _RefusedError(415, f"Content-Type {media_type or '(none)'} is not read; send {', '.join(MEDIA_TYPES)}")
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise _RefusedError(415, "Content-Encoding may be gzip, or left out")
    return MEDIA_TYPES[media_type]


class _Options(NamedTuple):
    """What the address says of a list."""

    source: str
    list_name: str
    replace: bool
    dry_run: bool


def _options(request: Request) -> _Options:
    query = _known_parameters(request, "source", "list", "replace", "dry_run")
    source = query.get("source", "multiposter")
    if source not in SOURCES:
        raise _RefusedError(422, f"{source!r} is no source; known are {', '.join(SOURCES)}")
    try:
        list_name = importing.checked_list_name(query.get("list", source))
    except ValueError as error:
        raise _RefusedError(422, str(error)) from error
    return _Options(source, list_name, _flag(query, "replace"), _flag(query, "dry_run"))


def _known_parameters(request: Request, *known: str) -> Mapping[str, str]:
    query = request.query_params
    if unknown := set(query) - set(known):
        raise _RefusedError(422, f"unknown parameter {min(unknown)!r}; known are {', '.join(known)}")
    return query


def _flag(query: Mapping[str, str], name: str) -> bool:
    value = query.get(name, "").lower()
    if value not in _FLAGS:
        raise _RefusedError(422, f"{name} is 1 or 0")
    return _FLAGS[value]


async def _store(request: Request, body: "tempfile.SpooledTemporaryFile[bytes]") -> None:
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body.write(chunk)
                if body.tell() > MAX_BYTES:
                    raise HTTPException(413)
    except TimeoutError:
        raise _RefusedError(408, "the body took too long") from None
    except HTTPException as error:
        raise _RefusedError(error.status_code, f"longer than {MAX_BYTES // 2**20} MB; pack it with gzip") from None
    body.seek(0)


def _import(request: Request, body: BinaryIO, customer_id: str, form: str, options: _Options) -> dict[str, Any]:
    max_rows = request.app.state.settings.own_jobs_max_rows
    try:
        rows = importing.collect(reading.read(body, format=form, max_rows=max_rows))
    except FeedError as error:
        raise _RefusedError(413 if isinstance(error, TooLargeError) else 422, str(error)[:_SHOWN]) from error
    with request.app.state.pool.connection() as conn:
        has_token = any(token.customer_id == customer_id for token in request.app.state.feed_tokens)
        if not has_token and ("\0" in customer_id or not statements.is_customer(conn, customer_id)):
            raise _RefusedError(
                404, f"no integration and no own job has the customer id {customer_id!r}; is it misspelt?"
            )
        imported = importing.import_own_jobs(
            conn,
            rows,
            customer_id=customer_id,
            source=options.source,
            list_name=options.list_name,
            replace=options.replace,
        )
        if options.dry_run:
            conn.rollback()
    return _body(imported, options)


def _body(imported: importing.Imported, options: _Options) -> dict[str, Any]:
    bad = [
        {"line": row.line, "reason": row.reason, "kept": row.kept, "own_job_id": row.own_job_id} for row in imported.bad
    ]
    return {
        "new": imported.new,
        "changed": imported.changed,
        "unchanged": imported.unchanged,
        "withdrawn": imported.withdrawn,
        "held": imported.held,
        "hold_id": None if options.dry_run else imported.hold_id,
        "not_withdrawn": importing.why_not_withdrawn(imported, dry_run=options.dry_run) or None,
        "list": options.list_name,
        "dry_run": options.dry_run,
        "examples": {kind: [job._asdict() for job in jobs] for kind, jobs in imported.examples.items()},
        "bad": bad,
        "bad_not_shown": imported.more_bad,
    }


routes: list[Route] = [
    Route("/api/own-jobs/{customer:path}", receive, methods=["POST"]),
    Route("/api/own-jobs/{customer:path}", withdraw, methods=["DELETE"]),
]
