"""Signing in and out, and the address at which customers come in by their link."""

import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from kombo_pipeline.backoffice import access, attempts, passwords, rendering
from kombo_pipeline.backoffice.access import SESSION_HOURS, Access, new_token, token_hash
from kombo_pipeline.backoffice.statements import sign_in_attempts, users
from kombo_pipeline.backoffice.statements.sign_in_attempts import Budget
from kombo_pipeline.db.connection import Connection

_WRONG = "Name or password is wrong, or the user is disabled."
_MAX_FIELDS = 20
log = logging.getLogger(__name__)

_TOO_OFTEN = "Too many wrong passwords. Wait {wait}, then try again."
_NOT_ELSEWHERE = " A browser in which you signed in before need not wait."
_BUSY = "Many people are signing in just now. Try again in a few seconds."
MAX_IN_LINE: Final = 32
"""How many sign-ins may wait for their password to be checked; further ones get the response 503."""


class Turns:
    """Limits how many passwords are hashed at a time: one from a known browser, and one from any other.

    A hash takes 64 MiB and several cores for some 50 ms.
    """

    def __init__(self) -> None:
        self._limiters = {is_known: anyio.CapacityLimiter(1) for is_known in (False, True)}

    def of(self, *, is_known: bool) -> anyio.CapacityLimiter | None:
        """Return the limiter to wait for, without holding a thread; None when too many wait already."""
        limiter = self._limiters[is_known]
        return limiter if limiter.statistics().tasks_waiting < MAX_IN_LINE else None


def sign_in_link(conn: Connection, settings_url: str, user_name: str, *, lasts: timedelta) -> str:
    """Return an address that signs a user in once; the user's later links leave it valid until it is used."""
    token = new_token()
    users.start_session(conn, user_name, token_hash(token, purpose="sign-in"), lasts=lasts)
    return f"{settings_url}/login?token={token}"


async def login(request: Request) -> Response:
    """Show the form, or sign in with a password or a sign-in link.

    Without a session there is no CSRF token: the headers of the browser must show that the form is ours.
    """
    if request.app.state.access.proxy_header is not None:
        raise HTTPException(404)
    if request.method != "POST":
        return await run_in_threadpool(_login_page, request)
    access.refuse_other_sites(request)
    request.state.form = await _read_form(request)
    if request.state.form.get("token"):
        return await run_in_threadpool(_sign_in_by_link, request)
    return await _sign_in_by_password(request)


async def logout(request: Request) -> Response:
    """End the session, or forget the customer's link; the other cookies of the browser stay."""
    access.refuse_other_sites(request)
    request.state.form = await _read_form(request)
    return await run_in_threadpool(_sign_out, request)


async def _read_form(request: Request) -> FormData:
    """Read a form that anybody may send: few fields, few bytes."""
    return await access.read_form(request, max_fields=_MAX_FIELDS, max_bytes=access.MAX_BYTES_OF_STRANGERS)


async def open_customer_link(request: Request) -> Response:
    """Let the holder of a customer's link in, in this browser, until it expires."""
    doors: Access = request.app.state.access
    token = request.path_params["token"]
    if doors.customer_of(token) is None:
        return rendering.render(
            request,
            "error.html",
            status_code=404,
            heading="This link does not open anything",
            text="It has expired, or was not copied as a whole. Ask whoever sent it for a new one.",
            typed=[],
        )
    response = RedirectResponse("/picker", 303)
    doors.set_cookie(response, doors.customer_cookie, token, max_age=90 * 86_400)
    return response


def _login_page(request: Request, *, status_code: int = 200, name: str = "", problem: str | None = None) -> Response:
    given = request.state.form if request.method == "POST" else request.query_params
    request.state.viewer = None
    return rendering.render(
        request,
        "login.html",
        status_code=status_code,
        name=name,
        problem=problem,
        token="" if problem else str(given.get("token", "")),
        next=rendering.local_path(str(given.get("next", ""))),
    )


def _sign_in_by_link(request: Request) -> Response:
    with rendering.warehouse(request) as conn:
        name = users.end_session(conn, token_hash(str(request.state.form["token"]), purpose="sign-in"))
    if name is None:
        problem = "This sign-in link was used before or has expired. Sign in with your password."
        return _login_page(request, status_code=401, problem=problem)
    return _let_in(request, name)


async def _sign_in_by_password(request: Request) -> Response:
    """Sign in with a right password. After too many attempts nothing is counted or hashed any more."""
    name, password = (str(request.state.form.get(field, "")) for field in ("name", "password"))
    name = name.strip()
    budgets, is_known = attempts.budgets(request, name), attempts.is_known(request, name)
    wait, right = await run_in_threadpool(_wait, request, budgets), False
    if wait is None:
        turn = request.app.state.turns.of(is_known=is_known)
        if turn is None:
            return await run_in_threadpool(_login_again, request, 503, name, _BUSY, timedelta(seconds=5))
        async with turn:
            wait, right = await run_in_threadpool(_try, request, budgets, name, password)
    if wait is not None:
        _warn_of_unread_header(request)
        problem = _TOO_OFTEN.format(wait=attempts.in_words(wait)) + ("" if is_known else _NOT_ELSEWHERE)
        return await run_in_threadpool(_login_again, request, 429, name, problem, wait)
    if not right:
        return await run_in_threadpool(_login_again, request, 401, name, _WRONG)
    return await run_in_threadpool(_let_in, request, name)


def _warn_of_unread_header(request: Request) -> None:
    """Warn once that all visitors may share the address of a proxy, so that each can lock out all others."""
    state = request.app.state
    if "x-forwarded-for" in request.headers and not state.access.trusted_proxies and not state.warned_of_proxies:
        state.warned_of_proxies = True
        log.warning(
            "Somebody tried too many passwords, and X-Forwarded-For is not read: if a proxy stands in front, all "
            "visitors count as one. Set KOMBO_TRUSTED_PROXIES to its network"
        )


def _wait(request: Request, budgets: Sequence[Budget]) -> timedelta | None:
    with rendering.warehouse(request) as conn:
        return sign_in_attempts.wait(conn, budgets)


def _try(request: Request, budgets: Sequence[Budget], name: str, password: str) -> tuple[timedelta | None, bool]:
    """Return how long to wait before this may be tried (None: not at all), and whether the password is right."""
    with rendering.warehouse(request) as conn:
        wait = sign_in_attempts.count(conn, budgets)
        if wait is not None:
            conn.rollback()
            return wait, False
        user = users.user(conn, name) if "\x00" not in name else None
    # The attempt is counted and committed, so that it counts although the process may end now. Hashing holds no
    # connection.
    right = passwords.is_right(user.password_hash if user else None, password)
    with rendering.warehouse(request) as conn:
        if right:
            sign_in_attempts.take_back(conn, budgets)
        sign_in_attempts.prune(conn)
    return None, right


def _login_again(
    request: Request, status_code: int, name: str, problem: str, retry_after: timedelta | None = None
) -> Response:
    response = _login_page(request, status_code=status_code, name=name, problem=problem)
    if retry_after is not None:
        response.headers["Retry-After"] = str(attempts.whole_seconds(retry_after))
    return response


def _let_in(request: Request, name: str) -> Response:
    doors: Access = request.app.state.access
    session = new_token()
    with rendering.warehouse(request) as conn:
        if old := request.cookies.get(doors.session_cookie):
            users.end_session(conn, token_hash(old))
        users.start_session(conn, name, token_hash(session), lasts=timedelta(hours=SESSION_HOURS))
    response = RedirectResponse(rendering.local_path(str(request.state.form.get("next", ""))), 303)
    doors.set_cookie(response, doors.session_cookie, session, max_age=SESSION_HOURS * 3600)
    doors.delete_cookie(response, doors.customer_cookie)
    attempts.remember_browser(request, response, name)
    return response


def _sign_out(request: Request) -> Response:
    doors: Access = request.app.state.access
    viewer = access.identify(request)
    response = RedirectResponse("/login" if doors.proxy_header is None else "/", 303)
    if viewer is None:
        return response
    access.check_csrf(request)
    if viewer.customer_id is not None:
        response = RedirectResponse("/", 303)
        doors.delete_cookie(response, doors.customer_cookie)
    elif token := request.cookies.get(doors.session_cookie):
        with rendering.warehouse(request) as conn:
            users.end_session(conn, token_hash(token))
        doors.delete_cookie(response, doors.session_cookie)
    else:
        doors.delete_cookie(response, doors.form_cookie)
    return response


routes = [
    Route("/login", login, methods=["GET", "POST"]),
    Route("/logout", logout, methods=["POST"]),
    Route("/c/{token}", open_customer_link, methods=["GET"]),
]
