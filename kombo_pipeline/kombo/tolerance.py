"""Reads a job record field by field, and leaves out the fields that cannot be stored instead of the whole record.

`record.read_job` is faster and comes first; only records that it refuses are read here, against the limits of the
columns of core.jobs. Status, deletion and visibility decide whether applications are possible, so they are never
guessed: an unreadable value counts as unknown, and an unknown job is neither open nor publishable.
"""

import json
import math
import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any, NamedTuple

import msgspec

from kombo_pipeline import limits
from kombo_pipeline.kombo import nesting
from kombo_pipeline.kombo import record as shapes
from kombo_pipeline.kombo.record import NESTED, Index, Instant, Job, Json, Location, UnreadableRecordError, read_id

LIFECYCLE_FIELDS = ("id", "status", "visibility", "remote_deleted_at", "changed_at")
"""Fields that are applied for every record, even when nothing else of it can be read."""

_MAX_DEPTH = 200
_MAX_REASON = 300
_MAX_DIGITS = 10_000  # Postgres' numeric holds 131,072 digits before the point and 16,383 after it
_INTEGER = 2**31
# An escaped NUL. Other escapes are matched too, so that "\\u0000", an escaped backslash, is not taken for one.
_NUL = re.compile(rb"\\(?:(u0000)|.)", re.DOTALL)
_INSTANT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(\.\d{1,20})?)?(?:Z| ?[+-](\d\d)(?::?(\d\d))?)?)?",
    re.IGNORECASE,
)
_KINDS = {"{": "an object", "[": "a list", '"': "text", "t": "true", "f": "false", "n": "null"}
_NUL_NOTE = "NUL characters were taken out"
_UTF8_NOTE = "bytes that are not UTF-8 were replaced"


class TolerantJob(NamedTuple):
    """The readable part of a record.

    `unreadable` maps each field that differs from what Kombo sent to the reason. `left_out` names those of them that
    have no value here, and `location_left_out` the parts of the location (`city`): their stored values stay.
    """

    job: Job
    unknown: dict[str, Any] | None
    unreadable: dict[str, str]
    left_out: frozenset[str]
    location_left_out: frozenset[str]


class _OddError(ValueError):
    """A value that cannot be stored; the message says why."""


def read_tolerantly(record: msgspec.Raw | bytes) -> TolerantJob:
    """Read as much as possible of a record; raises UnreadableRecordError only where it has no usable id."""
    return _RecordReader(record).read()


def read_lifecycle(record: msgspec.Raw | bytes, reason: str) -> TolerantJob:
    """Read only the fields of LIFECYCLE_FIELDS; leave out all others, with `reason` as their reason."""
    reader = _RecordReader(record)
    for field in list(reader.fields):
        if field not in LIFECYCLE_FIELDS:
            del reader.fields[field]
            if field in Job.__struct_fields__:
                reader.leave_out(field, reason)
    return reader.read()


class _RecordReader:
    def __init__(self, record: msgspec.Raw | bytes) -> None:
        job_id = read_id(record)
        if job_id is None:
            raise UnreadableRecordError("the record has no readable id")
        self._values: dict[str, Any] = {"id": job_id}
        try:
            self.fields = nesting.entries(bytes(record))
        except ValueError as error:
            raise UnreadableRecordError(str(error)) from None
        self._notes: dict[str, list[str]] = {}
        self._left_out: set[str] = set()
        self._location_left_out: set[str] = set()
        self._unknown: dict[str, Any] = {}
        self._room_for_unknown = limits.JSON.most

    def read(self) -> TolerantJob:
        for field, raw in self.fields.items():
            if field == "id":
                continue
            if field == "location":
                self._read_location(raw)
            elif field in NESTED:
                self._read_list(field, raw)
            elif field in ("status", "visibility"):
                self._read_word(field, raw)
            elif field in _JOB_READERS:
                self._read_field(field, raw)
            else:
                self._read_unknown(self._unknown, field, raw)
        if "remote_deleted_at" in self._left_out and self._values.get("status") == "OPEN":
            self._values["status"] = None
            self._note("status", "not stored, because it says OPEN and remote_deleted_at cannot be read")
        return TolerantJob(
            Job(**self._values),
            self._unknown or None,
            {field: _shortened("; ".join(dict.fromkeys(notes)), _MAX_REASON) for field, notes in self._notes.items()},
            frozenset(self._left_out),
            frozenset(self._location_left_out),
        )

    def leave_out(self, field: str, reason: str) -> None:
        """Leave the field without a value, so that its stored value stays."""
        self._note(field, reason)
        self._left_out.add(field)

    def _note(self, field: str, reason: str) -> None:
        self._notes.setdefault(field, []).append(reason)

    def _read_field(self, field: str, raw: bytes) -> None:
        try:
            self._values[field], notes = _value(_JOB_READERS[field], raw)
        except _OddError as error:
            self.leave_out(field, str(error))
        else:
            for note in notes:
                self._note(field, note)

    def _read_word(self, field: str, raw: bytes) -> None:
        """Read status or visibility. An unreadable value is kept as its JSON text, which is not a known word."""
        try:
            self._values[field], notes = _value(_JOB_READERS[field], raw)
        except _OddError as error:
            notes = [str(error)]
        if notes:
            self._values[field] = raw[: 4 * limits.WORD.most].decode("utf-8", "replace")[: limits.WORD.most]
            self._note(field, f"{'; '.join(notes)}, so it counts as unknown")

    def _read_location(self, raw: bytes) -> None:
        if raw == b"null":
            return
        if not raw.startswith(b"{"):
            self.leave_out("location", f"expected an object, got {_kind(raw)}")
            return
        values: dict[str, str | None] = {}
        unknown: dict[str, Any] = {}
        for part, value in nesting.entries(raw).items():
            if part not in Location.__struct_fields__:
                self._read_unknown(unknown, part, value)
                continue
            try:
                values[part], notes = _value(_LOCATION_READERS[part], value)
            except _OddError as error:
                self._location_left_out.add(part)
                notes = [str(error)]
            for note in notes:
                self._note("location", f"{part}: {note}")
        self._values["location"] = Location(**values)
        if unknown:
            self._unknown["location"] = unknown

    def _read_list(self, field: str, raw: bytes) -> None:
        if raw == b"null":
            return
        if not raw.startswith(b"["):
            self.leave_out(field, f"expected a list, got {_kind(raw)}")
            return
        if nesting.has_more_items(raw, limits.ENTRIES):
            self.leave_out(field, f"more than {limits.ENTRIES:,} entries")
            return
        unknown = []
        self._values[field] = []
        for number, item in enumerate(nesting.items(raw)):
            place = f"[{number}]"
            if not item.startswith(b"{"):
                self._note(field, f"{place} was left out: expected an object, got {_kind(item)}")
            elif (entry_id := read_id(item)) is None:
                self._note(field, f"{place} was left out: it has no usable id")
            else:
                found = self._read_entry(field, place, entry_id, nesting.entries(item))
                if found:
                    unknown.append({"id": entry_id, **found})
        if unknown:
            self._unknown[field] = unknown

    def _read_entry(self, field: str, place: str, entry_id: str, entry: dict[str, bytes]) -> dict[str, Any]:
        """Add an entry to its list; return the values whose keys have no column."""
        values: dict[str, Any] = {"id": entry_id}
        unknown: dict[str, Any] = {}
        readers = _ENTRY_READERS[field]
        for key, raw in entry.items():
            if key == "id":
                continue
            if key not in readers:
                self._read_unknown(unknown, key, raw)
                continue
            try:
                values[key], notes = _value(readers[key], raw)
            except _OddError as error:
                notes = [str(error)]
            for note in notes:
                self._note(field, f"{place}.{key}: {note}")
        self._values[field].append(NESTED[field](**values))
        return unknown

    def _read_unknown(self, unknown: dict[str, Any], key: str, raw: bytes) -> None:
        try:
            value, notes = _value(_json, raw)
            self._room_for_unknown -= len(key.encode("utf-8", "replace")) + len(raw)
            if self._room_for_unknown < 0:
                raise _OddError(f"more than {limits.JSON.most:,} {limits.JSON.unit} under unknown keys")
        except _OddError as error:
            notes = [str(error)]
        else:
            unknown[key.replace("\0", "")] = value
        for note in notes + [_NUL_NOTE] * ("\0" in key):
            self._note("unknown_fields", f"{_shortened(key, 50)}: {note}".replace("\0", ""))


def _value(read: Callable[[str], Any], raw: bytes) -> tuple[Any, list[str]]:
    """Read the JSON text of a value; return it with notes about what was removed or replaced."""
    notes = []
    clean = _NUL.sub(lambda escape: b"" if escape[1] else escape[0], raw) if b"u0000" in raw else raw
    if clean != raw:
        notes.append(_NUL_NOTE)
    try:
        text = clean.decode()
    except UnicodeDecodeError:
        text = clean.decode("utf-8", "replace")
        notes.append(_UTF8_NOTE)
    if nesting.depth(clean) > _MAX_DEPTH:
        raise _OddError(f"nested more than {_MAX_DEPTH} levels deep")
    return (msgspec.Raw(b"null") if read is _json else None) if text == "null" else read(text), notes


def _text(text: str, limit: limits.Limit) -> str:
    if not text.startswith('"'):
        raise _OddError(f"expected text, got {_kind(text.encode())}")
    decoded = str(_decoded(text))
    if fault := limit.fault(decoded):
        raise _OddError(f"too long: {fault}")
    return decoded


def _instant(text: str) -> str:
    instant = _text(text, limits.DATE)
    found = _INSTANT.fullmatch(instant)
    if found is None:
        raise _OddError(f"expected a date such as 2026-09-01T08:00:00Z, got {_shortened(instant, 50)!r}")
    year, month, day, hour, minute, second, fraction, *zone = (part or "0" for part in found.groups())
    try:
        datetime(int(year), int(month), int(day))  # only whether there is such a day
    except ValueError:
        raise _OddError(f"{_shortened(instant, 50)!r} is no day of the years 1 to 9999") from None
    is_midnight = (int(hour), int(minute), int(second), float(fraction)) == (24, 0, 0, 0)
    is_leap_second = int(second) == 60 and not float(fraction)
    is_time = int(hour) < 24 and int(minute) < 60 and (int(second) < 60 or is_leap_second)
    if not (is_time or is_midnight) or int(zone[0]) > 15 or int(zone[1]) > 59:
        raise _OddError(f"{_shortened(instant, 50)!r} is no time of day")
    return instant


def _number(text: str) -> float:
    if text[:1] not in "-0123456789":
        raise _OddError(f"expected a number, got {_kind(text.encode())}")
    value = float(text)
    if not math.isfinite(value):
        raise _OddError("the number is too large")
    return value


def _integer(text: str) -> int:
    if not re.fullmatch(r"-?\d{1,12}", text):
        raise _OddError(f"expected a whole number, got {_shortened(text, 30)}")
    if not -_INTEGER <= int(text) < _INTEGER:
        raise _OddError("the number is too large")
    return int(text)


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise _OddError(f"expected true or false, got {_kind(text.encode())}")
    return text == "true"


def _json(text: str) -> msgspec.Raw:
    """Read any JSON that Postgres accepts as jsonb, within the limits."""
    if fault := limits.JSON.fault(text):
        raise _OddError(f"too long: {fault}")
    decoded = _decoded(text)
    if text.count(",") >= limits.ENTRIES and _longest(decoded) > limits.ENTRIES:
        raise _OddError(f"more than {limits.ENTRIES:,} entries in it")
    try:
        json.dumps(decoded, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise _OddError("half an emoji: not Unicode text") from None
    return msgspec.Raw(text.encode())


def _longest(value: Any) -> int:
    """Return the number of entries of the longest list or object in a value."""
    if not isinstance(value, (dict, list)):
        return 0
    inner = value.values() if isinstance(value, dict) else value
    return max(len(value), max(map(_longest, inner), default=0))


def _decoded(text: str) -> Any:
    try:
        return json.loads(text, parse_float=_storable, parse_int=_storable)
    except _OddError:
        raise
    except (ValueError, RecursionError) as error:
        raise _OddError(f"cannot be read: {error}") from None


def _storable(number: str) -> str:
    try:
        magnitude = abs(Decimal(number).adjusted())
    except (InvalidOperation, OverflowError):
        magnitude = _MAX_DIGITS
    if magnitude >= _MAX_DIGITS or len(number) >= _MAX_DIGITS:
        raise _OddError("a number in it is too large")
    return number


def _kind(raw: bytes) -> str:
    return _KINDS.get(raw[:1].decode("ascii", "replace"), "a number")


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


_LIMITS: list[tuple[Any, limits.Limit]] = [
    (shapes.Code, limits.CODE), (shapes.Title, limits.TITLE), (shapes.Name, limits.NAME), (shapes.Word, limits.WORD),
    (shapes.Address, limits.ADDRESS), (shapes.Places, limits.PLACES), (shapes.Question, limits.QUESTION),
    (shapes.Description, limits.DESCRIPTION),
]  # fmt: skip


def _readers(struct: type[msgspec.Struct]) -> dict[str, Callable[[str], Any]]:
    by_type: list[tuple[Any, Callable[[str], Any]]] = [
        (Instant | None, _instant), (float | None, _number), (Index | None, _integer), (bool | None, _boolean),
        (Json, _json), *((kind | None, partial(_text, limit=limit)) for kind, limit in _LIMITS),
    ]  # fmt: skip
    return {
        field.name: reader for field in msgspec.structs.fields(struct) for kind, reader in by_type if field.type == kind
    }


_JOB_READERS = _readers(Job)
_LOCATION_READERS = _readers(Location)
_ENTRY_READERS = {field: _readers(struct) for field, struct in NESTED.items()}
TEXT_LIMITS: dict[str, limits.Limit] = {
    name: reader.keywords["limit"]
    for name, reader in (_JOB_READERS | {f"location_{part}": each for part, each in _LOCATION_READERS.items()}).items()
    if isinstance(reader, partial)
}
"""Text column of core.jobs -> its limit."""
