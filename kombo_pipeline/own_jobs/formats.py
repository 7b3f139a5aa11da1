"""The formats of files with own jobs, each declared once: the command, the feed and the reading take them from here."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from kombo_pipeline.own_jobs import json_lists, tables, xml_feeds
from kombo_pipeline.own_jobs.files import BadRow, Header, Record, as_utf_8

Records = Iterator[Header | Record | BadRow]


class KnownNames(Protocol):
    """What a format must know of the names in a file to find its jobs."""

    def is_header(self, names: Sequence[str]) -> bool:
        """Whether these are the names of the columns of a table of jobs."""

    def is_job(self, record: Mapping[str, Any]) -> bool:
        """Whether a JSON object is a job."""


@dataclass(frozen=True, kw_only=True)
class FileFormat:
    """A format: how it is recognised, and how its records are read."""

    suffixes: tuple[str, ...]
    media_types: tuple[str, ...]
    """Values of the Content-Type header with which the feed accepts it."""
    records: Callable[[bytes, KnownNames, str | None], Records]
    """Reads the content of a file, of a workbook the sheet of that name. Raises FeedError."""
    beginnings: str = ""
    """First characters of a file without a known suffix that is taken for this format."""
    has_sheets: bool = False


def _text(data: bytes, read: Callable[[bytes], Records]) -> Records:
    """Read a text as UTF-8, and report the lines that are not."""
    text, remarks = as_utf_8(data)
    yield from remarks
    yield from read(text)


FORMATS: Final[Mapping[str, FileFormat]] = {
    "csv": FileFormat(
        suffixes=(".csv", ".tsv", ".txt"),
        media_types=("text/csv",),
        records=lambda data, names, _: _text(data, lambda text: tables.csv_records(text, names.is_header)),
    ),
    "json": FileFormat(
        suffixes=(".json", ".jsonld"),
        media_types=("application/json", "application/ld+json"),
        records=lambda data, names, _: _text(data, lambda text: json_lists.json_records(text, names.is_job)),
        beginnings="[{",
    ),
    "jsonl": FileFormat(
        suffixes=(".jsonl", ".ndjson"),
        media_types=(
            "application/jsonl",
            "application/x-ndjson",
            "application/x-jsonlines",
            "application/json-lines",
        ),
        records=lambda data, _, __: _text(data, json_lists.json_lines),
    ),
    "xml": FileFormat(
        suffixes=(".xml", ".rss", ".atom"),
        media_types=("application/xml", "text/xml", "application/rss+xml", "application/atom+xml"),
        records=lambda data, _, __: xml_feeds.xml_records(data),
        beginnings="<",
    ),
    "xlsx": FileFormat(
        suffixes=(".xlsx", ".xlsm"),
        media_types=("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",),
        records=lambda data, names, sheet: tables.xlsx_records(data, names.is_header, sheet),
        has_sheets=True,
    ),
}
MEDIA_TYPES: Final[Mapping[str, str]] = {
    media_type: name for name, each in FORMATS.items() for media_type in each.media_types
}
"""The name of the format that each media type means."""


def recognised(suffix: str, beginning: str) -> str:
    """Return the format that a suffix such as `.xml` means, else the one that begins with that character, else CSV."""
    for name, each in FORMATS.items():
        if suffix in each.suffixes:
            return name
    return next((name for name, each in FORMATS.items() if beginning and beginning in each.beginnings), "csv")
