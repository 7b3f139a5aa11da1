"""Who may use a page: sessions, the header of a trusted proxy, signed links of customers, CSRF.

`needs` decorates every endpoint of a page. Of three ways to come in the first that is there decides: a customer's
link that was opened in this browser, the proxy's header where one is trusted, a session.
"""

import functools
import hashlib
import hmac
import math
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import quote, urlsplit

import psycopg
from itsdangerous import BadSignature, URLSafeSerializer
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kombo_pipeline.backoffice import proxies
from kombo_pipeline.backoffice.statements import users
from kombo_pipeline.backoffice.statements.users import User
from kombo_pipeline.backoffice.threads import Pool, Threads
from kombo_pipeline.serving.same_origin import read_origin
from kombo_pipeline.settings import Settings
from kombo_pipeline.vocabulary import ROLES, Role

MINIMUM_SECRET_LENGTH = 32
SESSION_HOURS = 8
CUSTOMER_LINK_DAYS = 7
MAX_FORM_FIELDS = 20_000
MAX_BYTES_OF_STRANGERS: Final = 16 * 1024
"""A longer form is parsed only for somebody who is signed in, because all requests wait meanwhile."""

Endpoint = Callable[[Request], Response]


class GuardedEndpoint(Protocol):
    """An endpoint that `needs` decorates; its attribute `needs` is the role, and whether customers may come in."""

    needs: tuple[Role, bool]

    def __call__(self, request: Request) -> Awaitable[Response]: ...  # noqa: D102


@dataclass(frozen=True)
class Viewer:
    """The person who looks at a page."""

    name: str
    """The name that is stored with each answer."""
    role: Role
    customer_id: str | None = None
    """The only customer to be seen; None for staff, who see all."""

    def may(self, role: Role) -> bool:
        """Whether the viewer has the rights of `role`."""
        return self.role in ROLES and ROLES.index(self.role) >= ROLES.index(role)


class Access:
    """Makes and checks everything that is signed with the secret, and names the cookies."""

    def __init__(self, settings: Settings) -> None:
        """Raise ValueError when there is no secret, or one that can be guessed."""
        secret = settings.backoffice_secret
        if secret is None or len(secret) < MINIMUM_SECRET_LENGTH:
            raise ValueError(
                f"KOMBO_BACKOFFICE_SECRET needs {MINIMUM_SECRET_LENGTH} random characters or more, for example of "
                "`openssl rand -base64 33`; only `kombo-pipeline up` makes one by itself"
            )
        self._secret = secret.encode()
        self.url = settings.backoffice_url
        self.proxy_header = settings.backoffice_proxy_header
        self.trusted_proxies = settings.trusted_proxies
        self.is_https = self.url.startswith("https:")
        prefix = "__Host-" if self.is_https else ""
        self.session_cookie, self.customer_cookie = f"{prefix}kombo_session", f"{prefix}kombo_customer"
        self.flash_cookie = f"{prefix}kombo_flash"
        self.browser_cookie, self.form_cookie = f"{prefix}kombo_browser", f"{prefix}kombo_form"

    def customer_link(self, customer_id: str, *, days: float = CUSTOMER_LINK_DAYS) -> str:
        """Return an address that shows its holder the jobs of one customer, and expires."""
        claims = {"customer": customer_id, "until": int(time.time() + days * 86_400)}
        return f"{self.url}/c/{self.signer('customer').dumps(claims)}"

    def customer_of(self, token: str) -> str | None:
        """Return whose link it is; None when it is forged or has expired."""
        try:
            claims = self.signer("customer").loads(token)
        except BadSignature:
            return None
        return str(claims["customer"]) if claims["until"] > time.time() else None

    def csrf_token(self, binding: str) -> str:
        """Return what every POST form carries; `binding` is known only to the browser it was made for."""
        return hmac.digest(self._secret, f"csrf {binding}".encode(), "sha256").hex()

    def keyed_hash(self, *parts: str) -> bytes:
        """Return a hash of texts from which nobody reads them without the secret."""
        return hmac.digest(self._secret, f"hash {parts!r}".encode(), "sha256")

    def signer(self, purpose: str) -> URLSafeSerializer:
        """Return a serializer whose texts are worth nothing for another purpose."""
        return URLSafeSerializer(self._secret, salt=purpose, signer_kwargs={"digest_method": hashlib.sha256})

    def set_cookie(self, response: Response, name: str, value: str, *, max_age: int) -> None:
        """Set a cookie that scripts cannot read and other sites' forms do not send."""
        response.set_cookie(name, value, max_age=max_age, path="/", secure=self.is_https, httponly=True, samesite="lax")

    def delete_cookie(self, response: Response, name: str) -> None:
        """Have the browser forget a cookie."""
        response.delete_cookie(name, path="/", secure=self.is_https, httponly=True, samesite="lax")


def new_token() -> str:
    """Return a text nobody can guess, for a cookie or a sign-in link."""
    return secrets.token_urlsafe(32)


def token_hash(token: str, *, purpose: str = "session") -> bytes:
    """Return what the warehouse keeps of a token; a token of one purpose is not one of another."""
    return hashlib.sha256(f"{purpose}:{token}".encode()).digest()


def needs(role: Role, *, customers: bool = False, pool: Pool = "pages") -> Callable[[Endpoint], GuardedEndpoint]:
    """Let an endpoint run only for viewers of `role` or more.

    It runs in a thread of `pool` when its visitor's turn has come, with `request.state.viewer` and `.form` set.
    Customers that came by their link are kept out (404) unless `customers`. Nobody signed in: a GET is sent to the
    sign-in page, a POST answered 401. Raises HTTPException 403 for a role that does not suffice and for a POST that
    does not come from a form of ours.
    """

    def guard(endpoint: Endpoint) -> GuardedEndpoint:
        @functools.wraps(endpoint)
        async def guarded(request: Request) -> Response:
            is_post = request.method not in ("GET", "HEAD")
            if is_post:
                refuse_other_sites(request)
            who = visitor(request)
            theirs: Pool = "customers" if pool == "pages" and who.startswith("customer ") else pool
            threads: Threads = request.app.state.threads
            if is_post:
                if len(await request.body()) > MAX_BYTES_OF_STRANGERS:
                    await threads.run(theirs, who, functools.partial(_refuse_strangers, request))
                request.state.form = await read_form(request)
            return await threads.run(theirs, who, functools.partial(admit, request, is_post))

        def admit(request: Request, is_post: bool) -> Response:
            viewer = identify(request)
            if viewer is None:
                return _sign_in_first(request, is_post)
            if viewer.customer_id is not None and not customers:
                raise HTTPException(404)
            if not viewer.may(role):
                raise HTTPException(403, f"This needs the role {role}; you are {viewer.role}. Ask an admin.")
            if is_post:
                check_csrf(request)
            return endpoint(request)

        result: Any = guarded
        result.needs = (role, customers)
        return result  # type: ignore[no-any-return]

    return guard


def identify(request: Request) -> Viewer | None:
    """Find out who asks and remember it in `request.state`; None for nobody we know.

    Raises HTTPException 400 when the trusted header is there more than once.
    """
    access: Access = request.app.state.access
    state = request.state
    user: User | None = None
    state.viewer, state.csrf_binding = None, "nobody"
    if token := request.cookies.get(access.customer_cookie):
        customer_id = access.customer_of(token)
        if customer_id is not None:
            state.viewer = Viewer(f"customer {customer_id}", "reviewer", customer_id)
            state.csrf_binding = f"customer {token}"
            return state.viewer  # type: ignore[no-any-return]
    if access.proxy_header is not None:
        if name := _named_by_proxy(request):
            with request.app.state.pool.connection() as conn:
                user = users.user(conn, name)
            state.csrf_binding = f"proxy {_form_token(request)} {name}"
    elif token := request.cookies.get(access.session_cookie):
        with request.app.state.pool.connection() as conn:
            user = users.session_user(conn, token_hash(token))
        state.csrf_binding = f"session {token}"
    if user:
        state.viewer = Viewer(user.user_name, user.role)
    return state.viewer  # type: ignore[no-any-return]


def _named_by_proxy(request: Request) -> str | None:
    """The user that the proxy names. With trusted proxies set, the header of anybody else counts as absent."""
    access: Access = request.app.state.access
    if access.trusted_proxies and not proxies.comes_from_proxy(request, access.trusted_proxies):
        return None
    given = [value.strip() for value in request.headers.getlist(access.proxy_header or "")]
    if len(given) > 1:
        raise HTTPException(400, f"The header {access.proxy_header} came more than once")
    return given[0] if given else None


def _form_token(request: Request) -> str:
    """What tells the sessions of a user apart behind a proxy; a page shown without one makes it (rendering.py)."""
    token = request.cookies.get(request.app.state.access.form_cookie)
    if not token:
        token = request.state.new_form_token = new_token()
    return token


def visitor(request: Request) -> str:
    """Return whose turn a request takes, without a look into the warehouse: all browsers of a customer are one."""
    access: Access = request.app.state.access
    if token := request.cookies.get(access.customer_cookie):
        customer_id = access.customer_of(token)
        if customer_id is not None:
            return f"customer {customer_id}"
    if access.proxy_header is not None:
        return f"proxy {_named_by_proxy(request)}"
    if token := request.cookies.get(access.session_cookie):
        return f"session {token}"
    return f"address {proxies.visitor(request, access.trusted_proxies)}"


def refuse_other_sites(request: Request) -> None:
    """Raise HTTPException 403 unless the browser says that the request comes from a page of ours.

    Sec-Fetch-Site decides where it is sent, that is with https and on this machine; Origin otherwise, and a
    request without either is refused. With an https address whatever names plain http is of another site. `null` is
    what browsers send as Origin for pages that keep their address to themselves, as ours do: it says nothing.
    """
    access: Access = request.app.state.access
    sites, origins = request.headers.getlist("sec-fetch-site"), request.headers.getlist("origin")
    named = [*origins, *request.headers.getlist("referer")]
    if access.is_https and any(name.strip().lower().startswith("http:") for name in named):
        raise HTTPException(403, f"This form was sent from a page of plain http; open {access.url} instead")
    if sites:
        if sites != ["same-origin"]:
            raise HTTPException(403, "This form was sent from another site")
        return
    public = urlsplit(access.url)
    ours = {read_origin(f"{public.scheme}://{public.netloc}")}
    if not access.is_https:
        ours.add(read_origin(f"{request.url.scheme}://{request.headers.get('host', '')}"))
    if len(origins) != 1 or read_origin(origins[0]) is None or read_origin(origins[0]) not in ours:
        raise HTTPException(
            403, "Your browser does not say where this form comes from; the back office needs https or this machine"
        )


def check_csrf(request: Request) -> None:
    """Raise HTTPException 403 unless the form carries the token of this very session."""
    expected = request.app.state.access.csrf_token(request.state.csrf_binding)
    given = request.state.form.get("csrf_token")
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(), expected.encode()):
        raise HTTPException(
            403,
            "This form is of an earlier session; nothing was saved. Go back, reload the page and send it again.",
        )


async def read_form(request: Request, *, max_fields: int = MAX_FORM_FIELDS, max_bytes: float = math.inf) -> FormData:
    """Return the fields of a form.

    Raises HTTPException 400 for one that cannot be read or carries files, 413 for a longer one.
    """
    # Parsed only once it is whole: the fields of half a form would take a hundred times the memory of its bytes.
    if len(await request.body()) > max_bytes:
        raise HTTPException(413)
    return await request.form(max_files=0, max_fields=max_fields)


def customer_link(request: Request, customer_id: str, *, days: float = CUSTOMER_LINK_DAYS) -> str:
    """Return a customer's link, for an admin to pass on; raises HTTPException 403 for anybody else."""
    if not request.state.viewer.may("admin"):
        raise HTTPException(403)
    return request.app.state.access.customer_link(customer_id, days=days)  # type: ignore[no-any-return]


def _refuse_strangers(request: Request) -> None:
    """Raise HTTPException 401 when nobody is signed in; without a warehouse nobody can tell."""
    with suppress(psycopg.OperationalError):
        if identify(request) is None:
            _sign_in_first(request, is_post=True)


def _sign_in_first(request: Request, is_post: bool) -> Response:
    access: Access = request.app.state.access
    if access.proxy_header is not None:
        if access.trusted_proxies and not proxies.comes_from_proxy(request, access.trusted_proxies):
            raise HTTPException(401, "This did not come through a proxy of KOMBO_TRUSTED_PROXIES. Ask an admin.")
        raise HTTPException(401, "The proxy in front of the back office named nobody who may enter. Ask an admin.")
    if is_post:
        raise HTTPException(
            401, "You are signed out; nothing was saved. Sign in, open the page again and repeat it there."
        )
    target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"/login?next={quote(target, safe='')}" if target != "/" else "/login", 303)
