"""A file with a list of jobs: how it is unpacked within a limit and decoded, and the records that are read from it."""

import codecs
import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final, NamedTuple

MAX_BYTES: Final = 2**28
"""How large an unpacked file may be, against bombs. 100,000 jobs without descriptions are about 30 MB."""
MAX_ROW_BYTES: Final = 2**22
"""How long a row may be, with its description and the pictures in it."""
MAX_LINES: Final = 10_000_000
MAX_WORKBOOK_BYTES: Final = 2**27
"""How large an unpacked XLSX file may be: its texts take several times as much memory as they are long."""
MAX_CELL_BYTES: Final = 2**20
MAX_ROW_ELEMENTS: Final = 100_000
"""How many XML elements a row of a workbook may have, or a part of it that has no rows."""
MAX_WORKBOOK_ROWS: Final = 3_000_000
"""How many rows and shared texts a workbook may have; a sheet has 1,048,576 rows at most."""
MAX_NAMED: Final = 1_000
"""How many bad rows are named. Further ones are only counted, so that memory does not grow with them."""
MAX_DIGITS: Final = 30
"""A longer number stays a text: as a number it would lose digits, and Python refuses more than 4,300."""
MAX_LAYERS: Final = 3
"""How often a file may be packed: a list in a ZIP file in a gzip file is 2."""

_CHUNK: Final = 2**16
_ROW: Final = re.compile(rb"<(?:\w+:)?(?:row|si)(?=[\s/>])")
"""A row of a sheet, or a text of those that cells share."""
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


class TooLargeError(FeedError):
    """The file has more bytes or rows than are read."""


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
    format: str
    """A key of `formats.FORMATS`."""


def unpacked(
    source: str | Path | BinaryIO,
    format: str | None,  # noqa: A002
    recognised: Callable[[str, str], str],
) -> Content:
    """Read a file or binary stream, packed by gzip or ZIP or not, and say which format it has.

    That is `format` where it is given, XLSX where the content shows it, else what `recognised` returns for the suffix
    and the first character. Raises FeedError for a damaged or an empty file, one larger than MAX_BYTES, and a kind
    that is not read.
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
    found = format or recognised(PurePosixPath(name.lower()).suffix, start[:1].decode("latin-1"))
    # An XLSX file is a ZIP file, which this one is not.
    return Content(data, "csv" if found == "xlsx" else found)


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise TooLargeError(f"the file is larger than {limit // 2**20} MB once unpacked; split it")


def _gunzipped(data: bytes) -> bytes:
    try:
        # Read twice, so that what is too large takes no memory.
        with gzip.open(io.BytesIO(data)) as file:
            size = 0
            while chunk := file.read(_CHUNK):
                size += len(chunk)
                _check_size(size, MAX_BYTES)
        with gzip.open(io.BytesIO(data)) as file:
            return file.read()
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
                for each in files:
                    _check_part(archive, each)
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


def _check_part(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> None:
    """Refuse a part of a workbook that would take far more memory than it is long: elements are objects when read."""
    rows = elements = text = 0
    with archive.open(part) as file:
        while chunk := file.read(_CHUNK):
            if not rows and not elements and not chunk.lstrip(b"\xef\xbb\xbf\xff\xfe\0 \r\n\t").startswith(b"<"):
                return  # a picture
            text = 0 if b"<" in chunk else text + len(chunk)
            first, *others = _ROW.split(chunk)
            counts = [elements + first.count(b"<"), *(each.count(b"<") for each in others)]
            elements, rows = counts[-1], rows + len(others)
            if max(counts) > MAX_ROW_ELEMENTS or rows > MAX_WORKBOOK_ROWS or text > MAX_CELL_BYTES:
                raise TooLargeError(
                    f"{part.filename} of the XLSX file has too many elements, rows or letters in a cell"
                )


def check_lines(data: bytes) -> None:
    """Refuse a text of more lines than are looked at one by one."""
    if data.count(b"\n") > MAX_LINES:
        raise TooLargeError(f"the file has more than {MAX_LINES:,} lines; split it")


def lines(data: bytes, start: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yield each line of a text with its line feed and where it begins, from `start` on; one at a time."""
    while start < len(data):
        end = data.find(b"\n", start) + 1 or len(data)
        yield start, data[start:end]
        start = end


def too_long_row(size: int) -> str:
    """Why a row is not read."""
    return f"a row of {size:,} bytes; {MAX_ROW_BYTES:,} are possible"


def as_utf_8(data: bytes) -> tuple[bytes, list[BadRow]]:
    """Return a text in UTF-8 without a byte order mark, and the lines in which single bytes are not UTF-8.

    Those bytes stay: `text_of` reads them.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data[:2]:
        return decoded(data)[0].encode("utf-8", "replace"), []
    if data.startswith(codecs.BOM_UTF8):
        data = data[3:]
    return data, _not_utf_8(data)


def text_of(data: bytes) -> str:
    """Decode a part of a text, bytes that are not UTF-8 as Windows-1252."""
    return data.decode("utf-8", "windows-1252")


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
    if data.startswith(codecs.BOM_UTF8):
        data = data[3:]
    return text_of(data), _not_utf_8(data)


def _not_utf_8(data: bytes) -> list[BadRow]:
    if _is_utf_8(data):
        return []
    check_lines(data)
    odd, first, others, count = [], 0, 0, 0
    for number, (_, line) in enumerate(lines(data), start=1):
        if line.isascii():
            continue
        if _is_utf_8(line):
            others += 1
        else:
            count, first = count + 1, first or number
            odd += [number] * (count <= MAX_NAMED)
    if count > others:
        return [BadRow(first, "not UTF-8; the file is read as Windows-1252", kept=True)]
    notes = [BadRow(number, "not UTF-8; the line is read as Windows-1252", kept=True) for number in odd]
    if count > len(odd):
        notes.append(BadRow(odd[-1], f"{count - len(odd):,} further lines are not UTF-8", kept=True))
    return notes


def _is_utf_8(data: bytes) -> bool:
    """Tell it part by part: a decoded text with an emoji in it takes four bytes a character."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(data), _CHUNK):
            decoder.decode(data[start : start + _CHUNK])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _as_windows_1252(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


codecs.register_error("windows-1252", _as_windows_1252)
