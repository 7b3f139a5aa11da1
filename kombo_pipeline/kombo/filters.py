"""Filter values of Kombo's API: checked, and grouped into batches that fit one URL."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from urllib.parse import quote

import msgspec

_MAX_FILTER_VALUES = 100
_MAX_FILTER_LENGTH = 4000
"""Limit in URL-encoded characters; many servers refuse a request line of more than 8,000."""


def filled(value: str) -> str:
    """Return the value; raises ValueError for a blank one, which would be no filter."""
    if not value.strip():
        raise ValueError("a blank value would be no filter at all")
    return value


def batches(values: Iterable[str]) -> Iterator[list[str]]:
    """Yield the distinct values in groups that fit one URL; raises ValueError for a blank value or one with a comma."""
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
    """Return the id of a record, or its bytes where it has none."""
    try:
        return msgspec.json.decode(record, type=_Identified).id
    except ValueError:
        return bytes(record)


def timestamp(at: datetime) -> str:
    """Return Kombo's date-time format: UTC, cut to the millisecond. Rounding up would skip changes."""
    if at.tzinfo is None:
        raise ValueError(f"a time without a time zone: {at}")
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
