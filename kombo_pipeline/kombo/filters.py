"""What a request of jobs asks for, as filters of Kombo's API."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from urllib.parse import quote

import msgspec

_MAX_FILTER_VALUES = 100
_MAX_FILTER_LENGTH = 4000
"""URL-encoded characters; servers commonly refuse a request line beyond 8,000."""


def filled(value: str) -> str:
    """The value; raises ValueError for a blank one."""
    if not value.strip():
        raise ValueError("a blank value would be no filter at all")
    return value


def batches(values: Iterable[str]) -> Iterator[list[str]]:
    """Distinct values in groups that fit one URL."""
    batch: list[str] = []
    length = 0
    for value in dict.fromkeys(values):
        if "," in value:
            raise ValueError(f"Kombo would read the comma in {value!r} as two values")
        needed = len(quote(filled(value), safe="")) + len("%2C")
        if batch and (len(batch) == _MAX_FILTER_VALUES or length + needed > _MAX_FILTER_LENGTH):
            yield batch
            batch, length = [], 0
        batch.append(value)
        length += needed
    if batch:
        yield batch


class _Identified(msgspec.Struct):
    id: str


def identity_of(record: msgspec.Raw) -> str | bytes:
    """What tells a record from others: its id, else its bytes."""
    try:
        return msgspec.json.decode(record, type=_Identified).id
    except ValueError:
        return bytes(record)


def timestamp(at: datetime) -> str:
    """Kombo's date-time: UTC, cut to the millisecond, as rounding up would skip changes."""
    if at.tzinfo is None:
        raise ValueError(f"a time without a time zone: {at}")
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
