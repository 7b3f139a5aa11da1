"""Own jobs out of a file: which of its names mean what, and what cannot be taken."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import BinaryIO, Final

from kombo_pipeline.own_jobs import files
from kombo_pipeline.own_jobs.files import BadRow, FeedError, Format
from kombo_pipeline.own_jobs.names import NAMES, PLACE

MAX_ID_CHARACTERS: Final = 500
"""Longer ids do not fit into an index entry of Postgres (2,704 bytes) in every script."""


@dataclass(frozen=True, slots=True)
class OwnJob:
    """A job of yours. None is what the file does not tell: what is stored stays; "" is told to be empty."""

    own_job_id: str
    title: str | None = None
    kombo_job_id: str | None = None
    remote_id: str | None = None
    job_code: str | None = None
    post_url: str | None = None
    location: str | None = None
    department: str | None = None
    employment_type: str | None = None
    posted_at: date | None = None
    line: int = field(default=0, compare=False)
    """Where the job stands in its file."""


COLUMNS: Final = tuple(column.name for column in fields(OwnJob) if column.name != "line")

_DATE_FORMATS: Final = ("%d.%m.%Y", "%d.%m.%y", "%Y/%m/%d", "%d %B %Y", "%d %b %Y", "%B %d, %Y", "%b %d, %Y")


def read(
    path_or_stream: str | Path | BinaryIO,
    *,
    format: Format | None = None,  # noqa: A002
    columns: Mapping[str, str] | None = None,
) -> Iterator[OwnJob | BadRow]:
    """Yield the jobs of a CSV, JSON, JSON Lines or XML file, and a `BadRow` for what cannot be taken.

    `columns` maps names of the file that are not understood by themselves to columns of core.own_jobs. A
    job without a title or with an unreadable date is kept and reported. Raises FeedError when the file
    cannot be read to its end, when a CSV file has no column for the id or the title, and when `columns`
    names what is not there.
    """
    names = _names(columns or {})
    for item in files.records(path_or_stream, format=format):
        match item:
            case files.Header():
                _check_header(item.names, names, columns or {})
            case BadRow():
                yield item
            case files.Record():
                yield from _job(item, names)


def read_date(text: str) -> date | None:
    """Return the day that a text names: ISO, mail and feed dates, 31.12.2026, 31 December 2026, Unix time (UTC).

    None where it names none, or may mean two: 03/04/2026 is a day in March or in April.
    """
    day: date | None = None
    with suppress(ValueError, OverflowError):
        if re.match(r"\d{4}-\d\d-\d\d(?!\d)", text):
            day = date.fromisoformat(text[:10])
        elif re.fullmatch(r"\d{10}(?:\d{3})?", text):
            day = datetime.fromtimestamp(int(text[:10]), UTC).date()
        elif re.fullmatch(r"\d{8}", text):
            day = date.fromisoformat(text)
        elif slashed := re.match(r"(\d\d?)/(\d\d?)/(\d{4})(?!\d)", text):
            first, second, year = map(int, slashed.groups())
            readings = {(first, second), (second, first)}
            possible = [(month, of_month) for month, of_month in readings if month <= 12]
            day = date(year, *possible[0]) if len(possible) == 1 else None
        elif ":" in text and re.match(r"[A-Za-z]{3},? ", text):
            day = parsedate_to_datetime(text).date()
        else:
            day = next(filter(None, (_dated(text, form) for form in _DATE_FORMATS)), None)
    return day if day and 1970 <= day.year <= 2100 else None


def _dated(text: str, form: str) -> date | None:
    try:
        return datetime.strptime(" ".join(text.split()), form).date()
    except ValueError:
        return None


def _names(columns: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    names = dict(NAMES)
    for name, column in columns.items():
        if column not in names:
            raise FeedError(f"{name!r} is mapped to {column!r}, which is no column; known are {', '.join(names)}")
        names = {known: tuple(other for other in others if other != _key(name)) for known, others in names.items()}
        names[column] = (_key(name), *names[column])
    return names


def _check_header(found: list[str], names: Mapping[str, tuple[str, ...]], columns: Mapping[str, str]) -> None:
    keys = {_key(name) for name in found}
    missing = [column for column in ("own_job_id", "title") if not keys.intersection(names[column])]
    unknown = [name for name in columns if _key(name) not in keys]
    if missing or unknown:
        wanted = [f"no column for {' and '.join(missing)}"] if missing else []
        wanted += [f"no column {', '.join(unknown)}, which is to be mapped"] if unknown else []
        raise FeedError(f"{'; '.join(wanted)}; the file has the columns {', '.join(found)[:500]}")


def _job(record: files.Record, names: Mapping[str, tuple[str, ...]]) -> Iterator[OwnJob | BadRow]:
    line, notes = record.line, []
    given = {_key(name): _clean(text) for name, text in reversed(record.fields.items())}
    if any("\0" in text for text in record.fields.values()):
        notes.append("null bytes were taken out")
    values = {column: _value(given, known) for column, known in names.items()}
    if not values["location"]:
        parts = [_value(given, known) for known in PLACE]
        if any(part is not None for part in parts):
            values["location"] = ", ".join(filter(None, parts))
    own_job_id = values.pop("own_job_id")
    posted = values.pop("posted_at")
    if record.fault:
        yield BadRow(line, record.fault, own_job_id=own_job_id)
        return
    if not own_job_id:
        yield BadRow(line, f"no id; the row has {_clean(', '.join(record.fields))[:200] or 'nothing'}")
        return
    if len(own_job_id) > MAX_ID_CHARACTERS:
        yield BadRow(line, f"an id of {len(own_job_id)} characters; {MAX_ID_CHARACTERS} are possible")
        return
    if not values["title"]:
        notes.append("no title; only its identifiers can match it")
    posted_at = read_date(posted) if posted else None
    if posted and not posted_at:
        notes.append(f"the date {posted[:40]!r} cannot be read or may mean two days")
    for note in notes:
        yield BadRow(line, note, kept=True, own_job_id=own_job_id)
    yield OwnJob(own_job_id, **values, posted_at=posted_at, line=line)


def _value(given: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    told = [given[name] for name in names if name in given]
    return next(filter(None, told), "") if told else None


def _key(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


def _clean(text: str) -> str:
    """The text without what Postgres cannot keep: null bytes and halves of surrogate pairs."""
    return text.replace("\0", "").encode("utf-8", "replace").decode().strip()
