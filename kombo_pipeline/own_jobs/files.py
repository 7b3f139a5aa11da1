"""Lists of jobs in files: CSV, JSON, JSON Lines and the XML job feed, as records of named texts."""

import csv
import gzip
import io
import itertools
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, NamedTuple, get_args
from xml.parsers import expat

Format = Literal["csv", "json", "jsonl", "xml"]

MAX_BYTES: Final = 2**29
"""Of a file once unpacked; a gzip bomb ends here. 100,000 jobs without descriptions are about 30 MB."""

_SUFFIXES: Final[Mapping[str, Format]] = {
    ".csv": "csv", ".tsv": "csv", ".txt": "csv", ".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".xml": "xml",
}  # fmt: skip
_BEGINNINGS: Final[Mapping[str, Format]] = {"<": "xml", "[": "json", "{": "json"}
_JOB_ELEMENTS: Final = {"job", "item", "position", "vacancy"}
_BLANK: Final = re.compile(r"[ \t\r\n]*")


class FeedError(ValueError):
    """The file as a whole cannot be read; the message says what to change. Nothing of it may be taken."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """What is wrong with a row, and in which line of the file it begins (1 is the first)."""

    line: int
    reason: str
    kept: bool = False
    """True where the job was taken all the same, without what the reason names."""
    own_job_id: str | None = None
    """The job that the row is about, where that could still be read."""


class Header(NamedTuple):
    """The columns of a file in which all rows have the same."""

    names: list[str]


class Record(NamedTuple):
    """One job as the file has it: names to texts, "" where a name is given without a value."""

    line: int
    fields: dict[str, str]
    fault: str = ""
    """Why the fields cannot be trusted."""


def records(source: str | Path | BinaryIO, *, format: Format | None = None) -> Iterator[Header | Record | BadRow]:  # noqa: A002
    """Yield what a file or binary stream holds, packed by gzip or not; a CSV file begins with its `Header`.

    The format is told by the suffix, else by the first character. Raises FeedError when the file cannot be
    read to its end as that format: half a list must not pass for the whole.
    """
    if format is not None and format not in get_args(Format):
        raise FeedError(f"{format!r} is no format; known are {', '.join(get_args(Format))}")
    data = _content(source)
    if format is None and isinstance(source, str | Path):
        format = _SUFFIXES.get(Path(str(source).lower().removesuffix(".gz")).suffix)  # noqa: A001
    if format == "xml" or (format is None and data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")):
        yield from _xml(data)
        return
    text, note = _decoded(data)
    if note:
        yield note
    if not text.strip():
        raise FeedError("the file is empty")
    match format or _BEGINNINGS.get(text.lstrip()[0], "csv"):
        case "csv":
            yield from _csv(text)
        case "jsonl":
            yield from _json_lines(text)
        case _:
            yield from _json(text)


def _content(source: str | Path | BinaryIO) -> bytes:
    if isinstance(source, str | Path):
        with Path(source).open("rb") as file:
            return _content(file)
    data = source.read(MAX_BYTES + 1)
    if data[:2] == b"\x1f\x8b":
        try:
            with gzip.open(io.BytesIO(data)) as unpacked:
                data = unpacked.read(MAX_BYTES + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise FeedError(f"the gzip file is damaged: {error}") from error
    if len(data) > MAX_BYTES:
        raise FeedError(f"the file is larger than {MAX_BYTES // 2**20} MB; split it")
    return data


def _decoded(data: bytes) -> tuple[str, BadRow | None]:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace"), None
    try:
        return data.decode("utf-8-sig"), None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return data.decode("cp1252", "replace"), BadRow(line, "not UTF-8; the file is read as Windows-1252", kept=True)


def _csv(text: str) -> Iterator[Header | Record | BadRow]:
    lines = list(io.StringIO(text, newline=None))
    first = next(number for number, line in enumerate(lines) if line.strip())
    # Excel's way of naming the delimiter of the lines below.
    stated = re.fullmatch(r"sep=(.)\n", lines[first], re.IGNORECASE)
    first += bool(stated)
    delimiter = stated[1] if stated else max(",;\t", key="".join(lines[first : first + 1]).count)
    names: list[str] = []
    for line, row in _csv_rows(lines, first, delimiter):
        if isinstance(row, csv.Error):
            yield BadRow(line, f"no CSV: {row}")
        elif not any(value.strip() for value in row):
            continue
        elif not names:
            names = [name.strip() for name in row]
            yield Header(names)
        else:
            surplus = any(value.strip() for value in row[len(names) :])
            yield Record(
                line,
                dict(itertools.zip_longest(names, row[: len(names)], fillvalue="")),
                f"{len(row)} values for {len(names)} columns; is a {delimiter!r} not quoted?" if surplus else "",
            )


def _csv_rows(lines: list[str], start: int, delimiter: str) -> Iterator[tuple[int, list[str] | csv.Error]]:
    """Rows with the line in which they begin. After a row that is no CSV, reading goes on in the next line: a
    quote that is never closed would otherwise swallow the rest of the file."""
    while start < len(lines):
        reader = csv.reader(map(lines.__getitem__, range(start, len(lines))), delimiter=delimiter, strict=True)
        begins = start + 1
        try:
            for row in reader:
                yield begins, row
                begins = start + reader.line_num + 1
            return
        except csv.Error as error:
            yield begins, error
            start = begins


def _json_lines(text: str) -> Iterator[Record | BadRow]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            yield _json_record(number, json.loads(line))
        except (ValueError, RecursionError) as error:
            yield BadRow(number, f"no JSON: {error}")


def _json(text: str) -> Iterator[Record | BadRow]:
    """An array of jobs, an object with the array under "jobs", or JSON Lines under another name."""
    start = _skip_blank(text, 0)
    try:
        if text[start] != "[":
            document, end = json.JSONDecoder().raw_decode(text, start)
            listed = isinstance(document, dict) and isinstance(document.get("jobs"), list)
            if text[end:].strip() or ("\n" not in text[start:end] and not listed):
                yield from _json_lines(text)
                return
            if not listed:
                raise FeedError('no list of jobs: expected [...] or {"jobs": [...]}')
            start = next(at for at, key in _json_members(text, start) if key == "jobs")
        line, counted = 1, 0
        for at, value in _json_elements(text, start):
            line, counted = line + text.count("\n", counted, at), at
            yield _json_record(line, value)
    except json.JSONDecodeError as error:
        raise FeedError(f"no JSON: line {error.lineno}, column {error.colno}: {error.msg}") from error
    except RecursionError as error:
        raise FeedError("no list of jobs: the JSON is nested too deep") from error


def _json_members(text: str, start: int) -> Iterator[tuple[int, str]]:
    """The keys of the object at `start`, each with the position of its value."""
    decoder, at = json.JSONDecoder(), start
    while text[at] in "{,":
        key, at = decoder.raw_decode(text, _skip_blank(text, at + 1))
        at = _skip_blank(text, _skip_blank(text, at) + 1)
        yield at, key
        at = _skip_blank(text, decoder.raw_decode(text, at)[1])


def _json_elements(text: str, start: int) -> Iterator[tuple[int, Any]]:
    """The elements of the array at `start`, each with its position."""
    decoder, at = json.JSONDecoder(), _skip_blank(text, start + 1)
    if text.startswith("]", at):
        return
    while True:
        value, end = decoder.raw_decode(text, at)
        yield at, value
        at = _skip_blank(text, end)
        if text.startswith("]", at):
            return
        if not text.startswith(",", at):
            raise json.JSONDecodeError("Expecting ',' delimiter", text, at)
        at = _skip_blank(text, at + 1)


def _skip_blank(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    return found.end() if found else at


def _json_record(line: int, value: Any) -> Record | BadRow:
    if not isinstance(value, dict):
        return BadRow(line, f"no job but {json.dumps(value)[:40]}")
    return Record(line, {key: _plain(entry) for key, entry in value.items()})


def _plain(value: Any) -> str:
    """A JSON value as text: of an object its name, or the place that it describes."""
    match value:
        case None:
            return ""
        case str():
            return value
        case list():
            return ", ".join(filter(None, map(_plain, value)))
        case dict():
            name = next((value[key] for key in ("raw", "name", "label") if value.get(key)), None)
            return _plain(name or [value.get(key) for key in ("city", "state", "region", "country")])
        case _:
            return json.dumps(value)


def _xml(data: bytes) -> Iterator[Record]:
    """The jobs of a feed in the form that Indeed made common, or one like it; namespaces do not matter."""
    jobs = _Jobs()
    # expat as such, because it tells the line of an element, which ElementTree does not.
    for start in range(0, len(data) + 1, 2**16):
        chunk = data[start : start + 2**16]
        try:
            jobs.parser.Parse(chunk, len(chunk) < 2**16)
        except (expat.ExpatError, LookupError, ValueError) as error:
            if isinstance(error, FeedError):
                raise
            raise FeedError(f"no XML: {error}") from error
        yield from jobs.found
        jobs.found.clear()


class _Jobs:
    """Collects the job elements of an XML document while it is parsed."""

    def __init__(self) -> None:
        self.found: list[Record] = []
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._data
        self.parser.StartDoctypeDeclHandler = self._refuse
        self._job: Record | None = None
        self._depth = 0
        self._text: list[str] = []

    def _refuse(self, *_: Any) -> None:
        """Entities are declared there: files could be read and memory filled through them."""
        raise FeedError("an XML feed with a DOCTYPE is not read; leave the DOCTYPE out")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._text.clear()
        if self._job:
            self._depth += 1
        elif _local(name).lower() in _JOB_ELEMENTS:
            named = {_local(key): value for key, value in attributes.items()}
            self._job = Record(self.parser.CurrentLineNumber, named)

    def _data(self, text: str) -> None:
        if self._job:
            self._text.append(text)

    def _end(self, name: str) -> None:
        if not self._job:
            return
        if self._depth == 0:
            self.found.append(self._job)
            self._job = None
            return
        self._depth -= 1
        fields, local = self._job.fields, _local(name)
        fields[local] = fields.get(local) or "".join(self._text).strip()
        self._text.clear()


def _local(name: str) -> str:
    return name.rpartition(" ")[2]
