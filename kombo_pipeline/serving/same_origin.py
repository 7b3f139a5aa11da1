"""Keeps the pages of other sites away from a web server that asks nobody for a password.

Whoever has a browser open on this machine has pages of other sites in it, and those can send requests to
127.0.0.1, or have their own host name lead there (DNS rebinding). A browser says where a request comes from; a
program such as curl says nothing of the kind and is let in.
"""

import ipaddress
import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_LOOPBACK: Final = ("http://localhost", "http://127.0.0.1", "http://[::1]")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_AUTHORITY: Final = re.compile(r"(\[[0-9a-f:.]{2,45}\]|[a-z0-9_][a-z0-9._-]{0,252})(?::([0-9]{1,5}))?", re.ASCII)
_READS: Final = ("GET", "HEAD")
_OF_BROWSERS: Final = ("origin", "referer", "sec-fetch-site", "sec-fetch-mode", "cookie", "accept-language")


class Origin(NamedTuple):
    """Where a page comes from, in the one spelling that can be compared."""

    scheme: str
    name: str
    port: int


def read_origin(text: str) -> Origin | None:
    """Read an `Origin` header: `https://name` or `https://name:port`; None for anything else, as `null`."""
    scheme, _, rest = text.lower().partition("://")
    authority = _parsed(rest)
    if authority is None or scheme not in _DEFAULT_PORTS:
        return None
    return Origin(scheme, authority.name, authority.port or _DEFAULT_PORTS[scheme])


class _Authority(NamedTuple):
    """A host name in lower case, and the port where one is written."""

    name: str
    port: int | None


class _Refusal(NamedTuple):
    """Why a request is not answered; the text says what to do."""

    status: int
    text: str


class SameOrigin:
    """Around an ASGI app: lets in its own pages, and programs that are no browser, under the host names of a list.

    Refused are a `Host` that is not on the list; an `Origin` (for what changes something, also a `Referer`) that is
    not that host; what the browser says to come from another site (`Sec-Fetch-Site`), but for somebody who follows
    a link to a page; every method but GET, HEAD and POST; and a body that is not JSON, since a form of another site
    cannot send JSON. All this holds for the opening of a WebSocket too.
    """

    def __init__(self, app: ASGIApp, *, hosts: Iterable[str], setting: str, programs_send_json: bool = True) -> None:
        """Take the host names beside those of this machine, which are reached by http.

        Without `programs_send_json` a body may have any type, or none, in a request that no browser has sent.

        A name that is an address (https://...) lets in pages of that scheme only, a bare one those of both. `setting`
        is where names are added, for the message. Raises ValueError for what is no host name.
        """
        self._app = app
        self._setting = setting
        self._programs_send_json = programs_send_json
        self._schemes: dict[str, set[str]] = {}
        for host in (*_LOOPBACK, *hosts):
            scheme, _, rest = _origin_of(host.lower()).rpartition("://")
            authority = _parsed(rest)
            if authority is None or scheme not in ("", *_DEFAULT_PORTS):
                raise ValueError(f"{setting}: {host!r} is no host name; write one such as dagster.example.com")
            self._schemes.setdefault(_undotted(authority.name), set()).update([scheme] if scheme else _DEFAULT_PORTS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        refusal = self._refusal(scope) if scope["type"] in ("http", "websocket") else None
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": ""})
        else:
            answer = PlainTextResponse(f"{refusal.text}\n", refusal.status, {"Connection": "close"})
            await answer(scope, receive, send)

    def _refusal(self, scope: Scope) -> _Refusal | None:
        headers, method = Headers(scope=scope), scope.get("method", "GET")
        given = headers.getlist("host")
        host = _parsed(given[0].strip(" \t").lower()) if len(given) == 1 else None
        if host is None or _undotted(host.name) not in self._schemes:
            told = ", ".join(given)[:100] or "nothing"
            return _Refusal(403, f"The Host header names {told!r}. If that is this server, add it to {self._setting}.")
        if method not in (*_READS, "POST"):
            return _Refusal(405, "Only GET, HEAD and POST are answered here.")
        sources = headers.getlist("origin")
        if not sources and method not in _READS:
            sources = [_origin_of(referer) for referer in headers.getlist("referer")]
        if not all(self._is_own(source, host) for source in sources) or len(sources) > 1:
            return _Refusal(403, f"This request comes from {', '.join(sources)[:100]}, not from a page of this host.")
        if self._is_sent_by_another_site(scope, headers):
            return _Refusal(403, "This request comes from a page of another site. Open the address itself.")
        is_free = not self._programs_send_json and not any(name in headers for name in _OF_BROWSERS)
        if method not in _READS and not is_free and not _is_json_or_empty(headers):
            return _Refusal(415, "Send JSON, with the header Content-Type: application/json.")
        return None

    def _is_own(self, text: str, host: _Authority) -> bool:
        origin, name = read_origin(text), _undotted(host.name)
        if origin is None or origin.scheme not in self._schemes[name]:
            return False
        port = host.port or _DEFAULT_PORTS[origin.scheme]
        return (_undotted(origin.name), origin.port) == (name, port)

    @staticmethod
    def _is_sent_by_another_site(scope: Scope, headers: Headers) -> bool:
        site = headers.getlist("sec-fetch-site")
        if site in ([], ["same-origin"], ["none"]):
            return False
        follows_link = (headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")) == ("navigate", "document")
        return not (follows_link and scope.get("method") == "GET")


def _parsed(authority: str) -> _Authority | None:
    """Read `name`, `name:port` or `[v6]:port`, in lower case; None for anything else."""
    found = _AUTHORITY.fullmatch(authority)
    if found is None or int(found[2] or 0) > 65_535:
        return None
    name = found[1]
    if name.startswith("["):
        try:
            name = f"[{ipaddress.IPv6Address(name[1:-1])}]"
        except ValueError:
            return None
    return _Authority(name, int(found[2]) if found[2] else None)


def _undotted(name: str) -> str:
    """The name of a host; DNS knows it with a dot behind it too."""
    return name.removesuffix(".")


def _origin_of(address: str) -> str:
    scheme, separator, rest = address.partition("://")
    return scheme + separator + re.split(r"[/?#]", rest, maxsplit=1)[0]


def _is_json_or_empty(headers: Headers) -> bool:
    kinds = [kind.partition(";")[0].strip().lower() for kind in headers.getlist("content-type")]
    if not kinds:
        return headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers
    return kinds == ["application/json"]
