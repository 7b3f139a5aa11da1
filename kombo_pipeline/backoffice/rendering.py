"""What pages share: templates, the warehouse, redirects with a message, filters for values from outside."""

import functools
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import jinja2
from itsdangerous import BadSignature
from markupsafe import Markup, escape
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from kombo_pipeline import vocabulary
from kombo_pipeline.backoffice.access import SESSION_HOURS, Access, Viewer
from kombo_pipeline.backoffice.widgets import colours
from kombo_pipeline.db.connection import Connection

HERE = Path(__file__).parent
STATIC = HERE / "static"
SHOWN_CHARACTERS = 120
MAX_PAGE_BYTES = 1_000_000
SHOWN_BYTES = (4_000, 600, 200)
"""How many bytes of a value a page shows: the first number; the next ones where the page would become too large."""
WHOLE_BYTES = 300_000
MAX_URL_CHARACTERS = 4_000
_BYTES_A_CHARACTER = 5
"""At most: `&` becomes `&amp;`, and other characters have up to four bytes."""
FlashKind = Literal["done", "warning", "error"]
"""The kind of a message that a page shows once, after a redirect."""

_STAFF_PAGES = (
    ("/review", "Review"),
    ("/picker", "Job picker"),
    ("/own-jobs", "Own jobs"),
    ("/links", "Links"),
    ("/holds", "Holds"),
    ("/integrations", "Integrations"),
    ("/history", "History"),
)
_CUSTOMER_PAGES = (("/picker", "Job picker"),)


def render(request: Request, template: str, *, status_code: int = 200, **context: Any) -> Response:
    """Return a page. Templates get `viewer`, `csrf_field()`, `flash`, `nav`, `path` and what `context` names."""
    access: Access = request.app.state.access
    viewer: Viewer | None = getattr(request.state, "viewer", None)
    flash = _flash(request)
    context |= {
        "viewer": viewer,
        "nav": _CUSTOMER_PAGES if viewer and viewer.customer_id is not None else _STAFF_PAGES if viewer else (),
        "path": request.url.path,
        "flash": flash,
        "csrf_field": functools.partial(_csrf_field, request),
    }
    response = HTMLResponse(_within_limit(template, context), status_code)
    if flash:
        access.delete_cookie(response, access.flash_cookie)
    if form_token := getattr(request.state, "new_form_token", None):
        access.set_cookie(response, access.form_cookie, form_token, max_age=SESSION_HOURS * 3600)
    return response


class Whole(str):
    """A text that a page shows as it is, up to WHOLE_BYTES: an address, or what somebody has typed."""

    __slots__ = ()


_shown_bytes = ContextVar("shown_bytes", default=SHOWN_BYTES[0])


def _within_limit(template: str, context: dict[str, Any]) -> str:
    """Render a page; where it would be too large, again with less of each value."""
    html = ""
    for shown in SHOWN_BYTES:
        token = _shown_bytes.set(shown)
        try:
            html = _templates().get_template(template).render(context)
        finally:
            _shown_bytes.reset(token)
        if len(html.encode()) <= MAX_PAGE_BYTES:
            break
    return html


def shortened(value: Any) -> Any:
    """Return a value as a page shows it: long texts are cut, with their length behind them."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    most = WHOLE_BYTES if isinstance(value, Whole) else _shown_bytes.get()
    if len(value) * _BYTES_A_CHARACTER <= most:
        return value
    text = value[:most]
    while (size := len(escape(text).encode())) > most:
        text = text[: len(text) * most // size]
    return value if len(text) == len(value) else f"{text}… ({len(value):,} characters)"


def redirect(request: Request, url: str, *, message: str | None = None, kind: FlashKind = "done") -> Response:
    """Send the browser to another page after a POST; that page shows `message` once. `url` is a path of this site."""
    response = RedirectResponse(local_path(url), 303)
    if message:
        access: Access = request.app.state.access
        # Browsers keep cookies up to 4 kB.
        access.set_cookie(
            response, access.flash_cookie, access.signer("flash").dumps([kind, message[:500]]), max_age=60
        )
    return response


@contextmanager
def warehouse(request: Request) -> Iterator[Connection]:
    """Lend a connection for a block that is one transaction: it commits at the end, rolls back when it raises."""
    with request.app.state.pool.connection() as conn:
        yield conn


def visible_customer(request: Request, customer_id: str | None) -> str:
    """Return the customer's id; raises HTTPException 404 when the viewer may not see that customer, or it is none."""
    viewer: Viewer = request.state.viewer
    if customer_id is None or viewer.customer_id not in (None, customer_id):
        raise HTTPException(404)
    return customer_id


def local_path(url: str | None, *, default: str = "/") -> str:
    """Return `url` if it is a path of this site, else `default`: nobody is sent elsewhere."""
    if not url or not re.match(r"/(?![/\\])[^\s\\\x00-\x1f]*$", url):
        return default
    return url


def safe_url(url: str | None) -> str:
    """Return `url` if a link may lead there (http or https, not longer than an address is), else an empty text."""
    if not url or len(url) > MAX_URL_CHARACTERS:
        return ""
    # Browsers drop tabs and newlines before they read the scheme.
    plain = re.sub(r"[\x00-\x20\x7f]+", "", url)
    try:
        parts = urlsplit(plain)
    except ValueError:
        return ""
    return Whole(plain) if parts.scheme.lower() in ("http", "https") and parts.hostname else ""


def when(moment: datetime | None) -> Markup:
    """Return a moment in UTC as an element for people and programs; a dash for none."""
    if moment is None:
        return Markup('<span class="quiet">–</span>')
    utc = moment.astimezone(UTC)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        utc.isoformat(timespec="seconds"), _distance(utc), utc.strftime("%Y-%m-%d %H:%M UTC")
    )


def ago(moment: datetime | None) -> Markup:
    """Return how long ago a moment is, or how far ahead, with the moment itself as its title; a dash for none."""
    if moment is None:
        return Markup('<span class="quiet">–</span>')
    utc = moment.astimezone(UTC)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        utc.isoformat(timespec="seconds"), utc.strftime("%Y-%m-%d %H:%M:%S UTC"), _distance(utc)
    )


def plain(value: Any) -> str:
    """Write an old or new value of a changed field in one short line."""
    text = "–" if value in (None, "") else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = " ".join(text.split())
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…"


def page_number(request: Request) -> int:
    """Return which page of a list is asked for; the first unless it says otherwise."""
    given = request.query_params.get("page", "1")
    return int(given) if re.fullmatch(r"[1-9]\d{0,5}", given) else 1


def static_url(name: str) -> str:
    """Return the address of a file in static/, which changes with its content and so may be kept for ever."""
    return f"/static/{name}?v={static_file(name)[1]}"


def static_file(name: str) -> tuple[bytes, str]:
    """Return a file of static/ and a hash of it; raises FileNotFoundError for any other name."""
    # Looked up, not opened: a name that the system refuses, as a long one, is none of ours.
    path = next((path for path in STATIC.iterdir() if path.name == name), None)
    if path is None or not path.is_file():
        raise FileNotFoundError
    return _read(path, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _read(path: Path, _changed_at: int) -> tuple[bytes, str]:
    content = path.read_bytes()
    return content, hashlib.sha256(content).hexdigest()[:16]


@functools.cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        # Whatever the name of the file: the usual choice by suffix leaves some unescaped.
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=shortened,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "static_url": static_url,
        "safe_url": safe_url,
        "when": when,
        "ago": ago,
        "vocabulary": vocabulary,
        "colours": colours,
    }
    environment.filters |= {"safe_url": safe_url, "when": when, "ago": ago, "whole": Whole, "sentence": sentence}
    return environment


def sentence(text: str) -> str:
    """Begin a text with a capital; names in it keep theirs."""
    return text[:1].upper() + text[1:]


def _csrf_field(request: Request) -> Markup:
    access: Access = request.app.state.access
    token = access.csrf_token(getattr(request.state, "csrf_binding", "nobody"))
    return Markup('<input type="hidden" name="csrf_token" value="{}">').format(token)


def _flash(request: Request) -> tuple[str, str] | None:
    access: Access = request.app.state.access
    try:
        kind, text = access.signer("flash").loads(request.cookies.get(access.flash_cookie, ""))
    except BadSignature:
        return None
    return kind, text


def _distance(moment: datetime) -> str:
    seconds = (datetime.now(UTC) - moment).total_seconds()
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if abs(seconds) >= size:
            number = f"{int(abs(seconds) // size)} {unit}"
            return f"{number} ago" if seconds > 0 else f"in {number}"
    return "just now" if seconds >= 0 else "in a moment"
