"""Kombo's responses: decompressed, checked for size and shape, and split into raw records."""

import codecs
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

import httpx
import msgspec
from isal import igzip, isal_zlib

from kombo_pipeline.kombo import nesting
from kombo_pipeline.kombo.errors import KomboProtocolError, KomboTooLargeError, http_date

T = TypeVar("T")

MAX_BYTES = 64 * 1024 * 1024
"""Limit for one response, on the wire and decompressed each; a page of 250 jobs is about 2 MB."""

_GZIP = b"\x1f\x8b"
_SEEN = 65_536
_FIRST_RECORD = re.compile(rb'"results"\s*+:\s*+\[\s*+\{')
_ID = re.compile(rb'"id"\s*+:\s*+"([^"]{1,200})"')


@dataclass(frozen=True, slots=True)
class Response:
    """A response as received, with the times (UTC, this machine) before the request and after the last byte."""

    wire: bytes = field(repr=False)
    headers: httpx.Headers
    requested_at: datetime
    fetched_at: datetime

    @property
    def gzipped(self) -> bool:
        """Whether `wire` is gzip, judged by its first bytes, because proxies may remove or add the header."""
        return self.wire.startswith(_GZIP)

    def text(self) -> bytes:
        """Return the decompressed body; raises KomboProtocolError for a damaged, too large or encoded one."""
        encoding = self.headers.get("content-encoding", "identity").lower()
        if not self.gzipped and encoding not in {"identity", "gzip", "x-gzip"}:
            raise KomboProtocolError("a response in a content encoding that was not asked for")
        return _plain(self.wire)

    def data(self, kind: type[T]) -> T:
        """Return the `data` of a success envelope; raises a retryable KomboProtocolError for any other body."""
        return _data(kind, self.text())


@dataclass(frozen=True, slots=True)
class Page:
    """One page of `GET /ats/jobs`.

    `number` counts from 1. `body` is gzip: as received, or compressed here when the response was not. `records` are
    undecoded JSON values of any type; they keep the decompressed page in memory. `cursor` is the one that was sent.
    `next_cursor` is None on the last page; a blank one is kept, although Kombo cannot be asked for it.
    `requested_at` and `fetched_at` are this machine's times around the request, `kombo_date` is Kombo's (the Date
    header, whole seconds, None if there was none); all UTC.
    """

    number: int
    body: bytes = field(repr=False)
    records: list[msgspec.Raw] = field(repr=False)
    cursor: str | None
    next_cursor: str | None
    requested_at: datetime
    fetched_at: datetime
    kombo_date: datetime | None

    @classmethod
    def of(cls, response: Response, *, number: int, cursor: str | None) -> "Page":
        """Read a page; raises KomboProtocolError when the response is not one."""
        text = response.text()
        listing = _listing(text)
        return cls(
            number=number,
            body=response.wire if response.gzipped else igzip.compress(text, 1, mtime=0),
            records=listing.results,
            cursor=cursor,
            next_cursor=listing.next,
            requested_at=response.requested_at,
            fetched_at=response.fetched_at,
            kombo_date=http_date(response.headers.get("date")),
        )


def read_page(body: bytes) -> list[msgspec.Raw]:
    """Return the records of a stored page, as at its fetch; raises KomboProtocolError when it is damaged."""
    return _listing(_plain(body)).results


def page_text(body: bytes) -> str:
    """Return the JSON text of a stored page; bytes that are not UTF-8 become U+FFFD."""
    return _plain(body).decode("utf-8", "replace")


def first_record_id(beginning: bytes) -> str | None:
    """Return the id of the first record, given only the beginning of a page; None where it cannot be found."""
    if beginning.startswith(_GZIP):
        try:
            beginning = isal_zlib.decompressobj(wbits=31).decompress(beginning, _SEEN)
        except isal_zlib.error:  # type: ignore[misc]  # isal's stub declares it as an instance
            return None
    record = _FIRST_RECORD.search(beginning[:_SEEN])
    found = _ID.search(beginning[:_SEEN], record.end()) if record else None
    return found[1].decode("utf-8", "replace") if found else None


class _Envelope(msgspec.Struct, Generic[T]):
    status: Literal["success"]
    data: T


class _Listing(msgspec.Struct):
    # Required although it may be null: a page without `next` must not be taken for the last one.
    next: str | None
    results: list[msgspec.Raw]


_DEPTH_OF_RECORDS = 3  # the envelope, its data, the list of records
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)"
)


def _listing(text: bytes) -> _Listing:
    try:
        return _data(_Listing, text)
    except KomboProtocolError as error:
        # JavaScript writes half of an emoji, at the end of a cut title, as a lone surrogate. That is not Unicode and
        # would make the whole page unreadable. It becomes U+FFFD here; the stored page keeps it.
        if rb"\ud" in text or rb"\uD" in text:
            text = _ESCAPE.sub(lambda escape: rb"\ufffd" if escape[1] else escape[0], text)
        elif not _is_too_deep(error):
            raise
    try:
        return _data(_Listing, text)
    except KomboProtocolError as error:
        if not _is_too_deep(error):
            raise
    # A record is nested deeper than the decoder allows. The others are fine, so the page is read without that part.
    try:
        shallow, parts = nesting.cut(text, depth=_DEPTH_OF_RECORDS)
    except ValueError as error:
        raise KomboProtocolError(f"not the response that Kombo documents: {error}", retryable=True) from error
    listing = _data(_Listing, shallow)
    return _Listing(listing.next, [msgspec.Raw(nesting.restored(bytes(each), parts)) for each in listing.results])


def _is_too_deep(error: KomboProtocolError) -> bool:
    return isinstance(error.__cause__, RecursionError)


def _data(kind: type[T], text: bytes) -> T:
    envelope: Any = _Envelope
    try:
        data: T = msgspec.json.decode(text, type=envelope[kind]).data
    except (ValueError, RecursionError) as error:
        raise KomboProtocolError(f"not the response that Kombo documents: {error}", retryable=True) from error
    return data


def _plain(wire: bytes) -> bytes:
    """Decompress gzip, also when a proxy has compressed it a second time, and remove a byte order mark."""
    for _ in range(2):
        if wire.startswith(_GZIP):
            wire = _gunzip(wire)
    return wire.removeprefix(codecs.BOM_UTF8)


def _gunzip(wire: bytes) -> bytes:
    """Decompress, and stop at MAX_BYTES: a small gzip can become a thousand times larger."""
    members: list[bytes] = []
    room = MAX_BYTES
    while wire or not members:
        member = isal_zlib.decompressobj(wbits=31)
        try:
            members.append(member.decompress(wire, room + 1))
        except isal_zlib.error as error:  # type: ignore[misc]  # isal's stub declares it as an instance
            raise KomboProtocolError(f"damaged gzip: {error}", retryable=True) from error
        room -= len(members[-1])
        if room < 0:
            raise KomboTooLargeError(
                f"a response of more than {MAX_BYTES} bytes once decompressed", record_id=first_record_id(members[0])
            )
        if not member.eof:
            raise KomboProtocolError("truncated gzip", retryable=True)
        wire = member.unused_data
    return b"".join(members)
