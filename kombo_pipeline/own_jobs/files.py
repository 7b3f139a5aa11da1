"""A file with a list of jobs: unpacked within a limit, told by its kind, decoded, as records of named values."""

import codecs
import gzip
import io
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final, Literal, NamedTuple

Format = Literal["csv", "json", "jsonl", "xml", "xlsx"]

MAX_BYTES: Final = 2**29
"""Of a file once unpacked; a bomb ends here. 100,000 jobs without descriptions are about 30 MB."""
MAX_WORKBOOK_BYTES: Final = 2**28
"""Of an XLSX file once unpacked: its texts take several times as much memory as they are long."""
MAX_LAYERS: Final = 3
"""How often a file may be packed: a list in a ZIP file in a gzip file is 2."""

_SUFFIXES: Final[Mapping[str, Format]] = {
    ".csv": "csv", ".tsv": "csv", ".txt": "csv", ".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl",
    ".jsonld": "json", ".xml": "xml", ".rss": "xml", ".atom": "xml", ".xlsx": "xlsx", ".xlsm": "xlsx",
}  # fmt: skip
_BEGINNINGS: Final[Mapping[str, Format]] = {"<": "xml", "[": "json", "{": "json"}
_NOT_READ: Final[Mapping[bytes, str]] = {
    b"\xd0\xcf\x11\xe0": "a file of Excel 97 (.xls) or a protected one; save it as .xlsx or CSV without a password",
    b"%PDF": "a PDF file; export the list as CSV, XLSX, JSON or XML",
    b"7z\xbc\xaf": "a 7z file; pack it with ZIP or gzip",
    b"Rar!": "a RAR file; pack it with ZIP or gzip",
    b"BZh": "a bzip2 file; pack it with ZIP or gzip",
    b"\xfd7zXZ": "an xz file; pack it with ZIP or gzip",
}
_NO_LISTS: Final = ("__MACOSX/", ".DS_Store", "Thumbs.db", "desktop.ini")


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
    """The columns of a file in which all rows have the same, and the line in which they are named."""

    names: list[str]
    line: int


class Record(NamedTuple):
    """One job as the file has it: names to texts, numbers, lists and named values; "" where a value is missing."""

    line: int
    fields: dict[str, Any]
    fault: str = ""
    """Why the job cannot be taken."""
    broken: str = ""
    """Why only a beginning of the record could be read; the fields are whole."""


class Content(NamedTuple):
    """What a file holds once it is unpacked."""

    data: bytes
    format: Format | None


def unpacked(source: str | Path | BinaryIO, format: Format | None) -> Content:  # noqa: A002
    """Read a file or binary stream, packed by gzip or ZIP or not, and tell its format.

    The format is the one stated, else it is told by the content of XLSX files, by the suffix, or by the first
    character. Raises FeedError for a damaged or an empty file, one larger than MAX_BYTES, and a kind not read.
    """
    if isinstance(source, str | Path):
        with Path(source).open("rb") as file:
            data, name = file.read(MAX_BYTES + 1), str(source)
    else:
        data, name = source.read(MAX_BYTES + 1), ""
    for _ in range(MAX_LAYERS):
        if data.startswith(b"\x1f\x8b"):
            data, name = _gunzipped(data), name.lower().removesuffix(".gz")
        elif data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            inner = _in_zip(data)
            if inner is None:
                if format not in (None, "xlsx"):
                    raise FeedError(f"an XLSX file, not {format}")
                return Content(data, "xlsx")
            data, name = inner
    _check_size(len(data), MAX_BYTES)
    for beginning, kind in _NOT_READ.items():
        if data.startswith(beginning):
            raise FeedError(f"{kind[0].upper()}{kind[1:]}")
    if format == "xlsx" or data.startswith((b"PK\x03\x04", b"\x1f\x8b")):
        raise FeedError("no XLSX file" if format == "xlsx" else f"packed more than {MAX_LAYERS} times; unpack it")
    start = data[:1000].lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n").replace(b"\0", b"").lower()
    if not start and not data[1000:].strip(b" \t\r\n\0"):
        raise FeedError("the file is empty")
    if start.startswith((b"<!doctype html", b"<html")):
        raise FeedError(
            "an HTML page, not a list of jobs. Was it a sign-in or an error page? Of a page with JSON-LD, "
            'send what stands in <script type="application/ld+json">'
        )
    suffix = PurePosixPath(name.lower()).suffix
    told = format or _SUFFIXES.get(suffix) or _BEGINNINGS.get(start[:1].decode("latin-1"), "csv")
    return Content(data, "csv" if told == "xlsx" else told)


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise FeedError(f"the file is larger than {limit // 2**20} MB once unpacked; split it")


def _gunzipped(data: bytes) -> bytes:
    try:
        with gzip.open(io.BytesIO(data)) as file:
            return file.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise FeedError(f"the gzip file is damaged: {error}") from error


def _in_zip(data: bytes) -> tuple[bytes, str] | None:
    """The one file that a ZIP file holds, with its name; None for a workbook of Excel, which is a ZIP file too."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            files = [each for each in archive.infolist() if not each.is_dir()]
            names = [each.filename for each in files]
            # `zipfile` gives out no more than the sizes that the file states.
            size = sum(each.file_size for each in files)
            if "xl/workbook.xml" in names:
                _check_size(size, MAX_WORKBOOK_BYTES)
                return None
            _check_size(size, MAX_BYTES)
            if "xl/workbook.bin" in names or "mimetype" in names:
                raise FeedError("a workbook that is not XLSX (.xlsb, .ods); save it as .xlsx or CSV")
            lists = [each for each in files if not each.filename.startswith(_NO_LISTS[0])]
            lists = [each for each in lists if PurePosixPath(each.filename).name not in _NO_LISTS]
            if len(lists) != 1:
                found = ", ".join(each.filename for each in lists)[:200]
                raise FeedError(f"a ZIP file with one list is read; this one has {len(lists)} files: {found}")
            return archive.read(lists[0]), lists[0].filename
    except FeedError:
        raise
    except Exception as error:  # `zipfile` raises many kinds for damaged, encrypted and unknown content
        raise FeedError(f"the ZIP file cannot be unpacked: {error}") from error


def decoded(data: bytes, encoding: str | None = None) -> tuple[str, list[BadRow]]:
    """Return the text of a file, and the lines in which bytes are not UTF-8.

    Those bytes are read as Windows-1252, in which most such files are written, and all others as what they
    are: a single byte must not change the rest of the file. `encoding` is one that the file itself states.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace"), []
    if data[1:2] == b"\0" or data[:1] == b"\0":
        return data.decode("utf-16-le" if data[1:2] == b"\0" else "utf-16-be", "replace"), []
    if encoding:
        try:
            return data.decode(encoding, "replace"), []
        except LookupError:
            pass
    try:
        return data.decode("utf-8-sig"), []
    except UnicodeDecodeError as error:
        first = data.count(b"\n", 0, error.start) + 1
    text = data.decode("utf-8-sig", "windows-1252")
    odd, others = [], 0
    for number, line in enumerate(data.split(b"\n"), start=1):
        if line.isascii():
            continue
        try:
            line.decode()
            others += 1
        except UnicodeDecodeError:
            odd.append(number)
    if len(odd) > others:
        return text, [BadRow(first, "not UTF-8; the file is read as Windows-1252", kept=True)]
    return text, [BadRow(number, "not UTF-8; the line is read as Windows-1252", kept=True) for number in odd]


def _as_windows_1252(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


codecs.register_error("windows-1252", _as_windows_1252)
