"""Signing in and out, and the door for customers that come by their link."""

import functools
from datetime import timedelta

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from kombo_pipeline.backoffice import access, passwords, rendering
from kombo_pipeline.backoffice.access import SESSION_HOURS, Access, new_token, token_hash
from kombo_pipeline.backoffice.statements import users
from kombo_pipeline.backoffice.threads import threads_of
from kombo_pipeline.db.connection import Connection

_WRONG = "Name or password is wrong, or the user is disabled."
_TOO_OFTEN = "Too many wrong passwords. Wait a minute, then try again."


def sign_in_link(conn: Connection, settings_url: str, user_name: str, *, lasts: timedelta) -> str:
    """Return an address that signs a user in once; the user's later links leave it valid until it is used."""
    token = new_token()
    users.start_session(conn, user_name, token_hash(token, purpose="sign-in"), lasts=lasts)
    return f"{settings_url}/login?token={token}"


async def login(request: Request) -> Response:
    """Show the form, or sign in with what it holds; without a session, the browser's word for its origin must do."""
    if request.app.state.access.proxy_header is not None:
        raise HTTPException(404)
    if request.method != "POST":
        return await run_in_threadpool(_login_page, request)
    access.refuse_other_sites(request)
    request.state.form = await access.read_form(request)
    # By themselves: an office shares an address, and must not wait for one another's pages.
    who = f"sign-in {id(request)}"
    return await threads_of(request).run("passwords", who, functools.partial(_sign_in, request))


async def logout(request: Request) -> Response:
    """End the session, or leave a customer's view; what else the browser holds stays."""
    access.refuse_other_sites(request)
    request.state.form = await access.read_form(request)
    return await run_in_threadpool(_sign_out, request)


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


def _sign_in(request: Request) -> Response:
    doors: Access = request.app.state.access
    attempts: passwords.Attempts = request.app.state.attempts
    form = request.state.form
    address = request.client.host if request.client else ""
    name, password, token = (str(form.get(field, "")) for field in ("name", "password", "token"))
    name = name.strip()
    if token:
        with rendering.warehouse(request) as conn:
            user_name = users.end_session(conn, token_hash(token, purpose="sign-in"))
        if user_name is None:
            problem = "This sign-in link was used before or has expired. Sign in with your password."
            return _login_page(request, status_code=401, problem=problem)
    else:
        if not attempts.may_try(name, address):
            return _login_page(request, status_code=429, name=name, problem=_TOO_OFTEN)
        with rendering.warehouse(request) as conn:
            user = users.user(conn, name) if "\x00" not in name else None
        # No connection is held meanwhile: hashing takes its time.
        if not passwords.is_right(user["password_hash"] if user else None, password):
            return _login_page(request, status_code=401, name=name, problem=_WRONG)
        attempts.forgive(name, address)
        user_name = name
    session = new_token()
    with rendering.warehouse(request) as conn:
        if old := request.cookies.get(doors.session_cookie):
            users.end_session(conn, token_hash(old))
        users.start_session(conn, user_name, token_hash(session), lasts=timedelta(hours=SESSION_HOURS))
    response = RedirectResponse(rendering.local_path(str(form.get("next", ""))), 303)
    doors.set_cookie(response, doors.session_cookie, session, max_age=SESSION_HOURS * 3600)
    doors.delete_cookie(response, doors.customer_cookie)
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
    return response


routes = [
    Route("/login", login, methods=["GET", "POST"]),
    Route("/logout", logout, methods=["POST"]),
    Route("/c/{token}", open_customer_link, methods=["GET"]),
]
