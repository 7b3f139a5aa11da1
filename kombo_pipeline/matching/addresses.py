"""Addresses of jobs in canonical form: the id of the job where the ATS is known, one spelling where it is not. Pure.

`ats_pages` has a template for each known kind of page. An address that matches none keeps everything that could tell
jobs apart. Only these are normalised: scheme, "www.", default port, trailing slashes, spelling of escapes, order of
parameters, and parameters that advertising networks append. No address is fetched.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from kombo_pipeline.matching.ats_pages import CASE_SENSITIVE, GUESSES, IDS, SHAPES, Shape

MAX_LENGTH: Final = 4000
"""A longer text is not read as an address: no job is published there, and reading it would take long."""
MAX_SEGMENTS: Final = 30
"""No ATS has addresses with more path segments. An address with more is not compared with the templates."""
MAX_HOST: Final = 253
"""The longest host name that DNS allows."""

APPENDED: Final = re.compile(
    r"(?:utm|mc|hsa|pk|mtm|_hs)[-_]\w*|_g[al]|_hs(?:enc|mi)|gclid|gclsrc|gbraid|wbraid|dclid|fbclid|ttclid|twclid|msclkid"
    r"|yclid|igshid|li_fat_id|mkt_tok|epik",
    re.IGNORECASE,
)
"""Parameters that advertising networks and newsletters append to any address."""

_UUID: Final = re.compile(IDS["uuid"], re.IGNORECASE)
_HOST: Final = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
_WITHOUT_SCHEME: Final = re.compile(r"(?://)?(?:[\w-]+\.)+[^\W\d_]{2,}(?::\d+)?[/?]\S")
_WEB: Final = re.compile(r"https?://", re.IGNORECASE)
# Workday puts "-1", "-2" behind the number of a requisition that is posted on another site. A shorter number, or one
# that begins with a year, may be part of a numbering such as 2026-12.
_REPOSTED: Final = re.compile(r"(?P<id>[a-z]{0,4}[-_]?(?!20[0-4][0-9][0-9]{0,2}-)[0-9]{5,})-[0-9]{1,2}", re.IGNORECASE)


class Address(NamedTuple):
    """The parts of an address, each in canonical spelling."""

    host: str
    port: str
    segments: tuple[str, ...]
    query: tuple[tuple[str, str], ...]
    fragment: str

    def __str__(self) -> str:
        text = "/".join([f"https://{self.host}{self.port}", *map(_quoted, self.segments)])
        if self.query:
            text += "?" + urlencode(self.query, errors="surrogateescape")
        return f"{text}#{_quoted(self.fragment, '/?')}" if self.fragment else text


def canonical_url(url: str) -> str | None:
    """Return the canonical form, which is equal for two addresses of the same job.

    For a page of a known ATS it is the id in the address ("greenhouse:4012873008"), also where the page is embedded in
    another site; for any other page the address in one spelling. None for text that is not an http(s) address, and for
    an address without path, parameters and fragment.
    """
    address = read(url)
    return None if address is None else known_job(address) or str(address)


def guessed_urls(url: str) -> list[str]:
    """Return the likely canonical forms of a page on the customer's own site, in a known ATS; often none."""
    address = read(url)
    if address is None or known_job(address):
        return []
    ids = ((found, found.rpartition(":")[2]) for found in _named(address, _GUESSES_BY_HOST))
    # Shorter numbers are ids in more than one system.
    return [found for found, job in ids if not job.isdecimal() or len(job) >= 6]


@lru_cache(maxsize=65536)
def read(url: str) -> Address | None:
    """Return the parts of an address; None for text that is not the http(s) address of a page."""
    if len(url) > MAX_LENGTH:
        return None
    text = url.encode("utf-8", "ignore").decode().strip()
    if not _WEB.match(text):
        if not _WITHOUT_SCHEME.match(text):
            return None
        text = f"https://{text.removeprefix('//')}"
    try:
        parts = urlsplit(text)
        host = _canonical_host(parts.hostname or "")
        port = parts.port
    except ValueError:
        return None
    query = [
        pair
        for pair in parse_qsl(parts.query, keep_blank_values=True, errors="surrogateescape")
        if not APPENDED.fullmatch(pair[0])
    ]
    address = Address(
        host=host,
        port="" if port in (None, 80, 443) else f":{port}",
        segments=tuple(map(_unquoted, parts.path.rstrip("/").split("/")[1:])),
        query=tuple(sorted(query, key=lambda pair: pair[0])),
        fragment=_unquoted(parts.fragment.partition(":~:")[0]),
    )
    return address if host and (address.segments or address.query or address.fragment) else None


@lru_cache(maxsize=65536)
def known_job(address: Address) -> str | None:
    """Return the job of a page of a known ATS as "ats:tenant:id"; None where no row of SHAPES matches."""
    return next(_named(address, _SHAPES_BY_HOST), None)


def _unquoted(text: str) -> str:
    return unicodedata.normalize("NFC", unquote(text, errors="surrogateescape"))


def _quoted(text: str, also: str = "") -> str:
    return quote(text, safe=f"!$&'()*+,;=:@~{also}", errors="surrogateescape")


@lru_cache(maxsize=4096)
def _canonical_host(host: str) -> str:
    """Return the host in lower case and punycode, "" for text that is not a host. Raises UnicodeError, a ValueError."""
    if len(host) > MAX_HOST:
        return ""
    ascii_host = host.encode("idna").decode().lower().rstrip(".")
    plain = re.sub(r"^(?:www\.)+(?=[^.]+\.)", "", ascii_host)
    return plain if _HOST.fullmatch(plain) else ""


# ------------------------------------------------------------------------------------------------ templates


class _Matcher(NamedTuple):
    """A compiled row of SHAPES. Each segment of an address is compared with one piece of the template."""

    ats: str
    host: re.Pattern[str]
    path: tuple[str | re.Pattern[str], ...]
    query: tuple[tuple[str, re.Pattern[str]], ...]
    length: int | None  # number of path segments; None where the template has "..."


def _compiled(shape: Shape, host: str) -> _Matcher:
    label = "[a-z0-9_-]*"
    pattern, number = "", 0
    for piece in re.split(r"(\{\w+\}|\*)", host):
        if piece.startswith("{"):
            pattern += rf"(?P<tenant{number}>{'.+' if piece == '{host}' else label})"
            number += 1
        else:
            pattern += label if piece == "*" else re.escape(piece)
    return _Matcher(
        shape.ats,
        re.compile(".*" if host == "any" else pattern),
        tuple(_piece(each) for each in shape.path.split("/")),
        tuple((name, _braced(value)) for name, _, value in (each.partition("=") for each in shape.query.split())),
        None if "..." in shape.path else shape.path.count("/") + 1,
    )


def _piece(template: str) -> str | re.Pattern[str]:
    return _braced(template) if template.startswith("{") else template


def _braced(template: str) -> re.Pattern[str]:
    name = template.strip("{}")
    if name == "folder":
        return re.compile("(?P<tenant>[a-z]{2}|global)", re.IGNORECASE)
    return re.compile("(?P<tenant>[^:/]+)" if name == "tenant" else IDS[name], re.IGNORECASE | re.DOTALL)


def _by_host(shapes: Sequence[Shape]) -> dict[str, list[_Matcher]]:
    """Return the compiled rows by the last two labels of their hosts; rows that match any host are under ""."""
    found: defaultdict[str, list[_Matcher]] = defaultdict(list)
    for shape in shapes:
        for host in shape.host.split():
            end = ".".join(host.split(".")[-2:])
            found["" if set(end) & set("{*") or host == "any" else end].append(_compiled(shape, host))
    return dict(found)


_SHAPES_BY_HOST: Final = _by_host(SHAPES)
_GUESSES_BY_HOST: Final = _by_host(GUESSES)


def _named(address: Address, by_host: Mapping[str, Iterable[_Matcher]]) -> Iterator[str]:
    """Yield the canonical form of the address for each row that matches, in the order of the rows."""
    if len(address.segments) > MAX_SEGMENTS:
        return
    given: defaultdict[str, set[str]] = defaultdict(set)
    for name, value in address.query:
        given[name.lower()].add(value)
    for key in (".".join(address.host.split(".")[-2:]), ""):
        for matcher in by_host.get(key, ()):
            # The cheapest checks come first: they exclude most rows of any host.
            if matcher.length not in (None, len(address.segments)) or any(
                name not in given for name, _ in matcher.query
            ):
                continue
            if found := _matched(matcher, address, given):
                yield found


def _matched(matcher: _Matcher, address: Address, given: Mapping[str, set[str]]) -> str | None:
    if not (host := matcher.host.fullmatch(address.host)):
        return None
    found = list(filter(None, host.groups()))
    names: dict[str, str] = {}
    for name, pattern in matcher.query:
        values = given.get(name, set())
        if len(values) != 1 or not (value := pattern.fullmatch(next(iter(values)))):
            return None
        names |= value.groupdict()
    inside = _along(matcher.path, address.segments)
    if inside is None:
        return None
    names |= inside
    job = names["id"]
    if matcher.ats == "workday" and (again := _REPOSTED.fullmatch(job)):
        job = again["id"]
    tenants = filter(None, (".".join(found), names.get("tenant", "").lower()))
    return ":".join([matcher.ats, *tenants, _quoted(_in_one_case(matcher.ats, job))])


def _in_one_case(ats: str, job: str) -> str:
    if ats in CASE_SENSITIVE:
        return job
    return job.lower() if _UUID.fullmatch(job) else job.upper()


def _along(
    template: Sequence[str | re.Pattern[str]], segments: Sequence[str], names: Mapping[str, str] | None = None
) -> dict[str, str] | None:
    """Return the values of the names in the template; None where the segments do not match it."""
    named = dict(names or {})
    for place, piece in enumerate(template):
        if piece == "...":
            rest = template[place + 1 :]
            for skipped in range(len(segments), place - 1, -1) if rest else ():
                if (found := _along(rest, segments[skipped:], named)) is not None:
                    return found
            return None if rest else named
        if place >= len(segments):
            return None
        if isinstance(piece, re.Pattern):
            if not (found_here := piece.fullmatch(segments[place])):
                return None
            named |= found_here.groupdict()
        elif piece != "*" and piece != segments[place].lower():
            return None
    return named if len(segments) == len(template) else None
