"""CSV that a spreadsheet opens as text: no cell is taken for a formula (OWASP ASVS 1.2.10), quoted as RFC 4180 says."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from tempfile import SpooledTemporaryFile
from typing import Any, Final

from starlette.responses import StreamingResponse

_DANGEROUS: Final = frozenset("=+-@\t\r\0＝＋－＠'")
"""With which a cell may be a formula; and the apostrophe itself, so that reading back is without doubt."""

_PART: Final = 65_536
_IN_MEMORY_BYTES: Final = 4 * 1024 * 1024


def as_cell(value: Any) -> str:
    """Return a value as the text of a cell, with an apostrophe before what a spreadsheet might calculate."""
    text = "" if value is None else str(value)
    # Spreadsheets look past blanks; a tab or a carriage return in front is dangerous by itself.
    first = text.lstrip(" \n\v\f\u00a0\u3000\ufeff\u200b")[:1]
    return f"'{text}" if first in _DANGEROUS and first else text


def csv_lines(header: Sequence[str], rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    """Yield a CSV file in parts, with a mark in front by which spreadsheets know UTF-8."""
    yield "\ufeff"
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow([as_cell(value) for value in row])
        if buffer.tell() > _PART:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def csv_response(header: Sequence[str], rows: Iterable[Iterable[Any]], *, file_name: str) -> StreamingResponse:
    """Read all rows, then send them as a download: a slow reader holds no connection to the warehouse."""
    file = SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115 -- closed when it has been sent
    for part in csv_lines(header, rows):
        file.write(part.encode())
    size = file.tell()
    file.seek(0)

    def parts() -> Iterator[bytes]:
        with file:
            while part := file.read(_PART):
                yield part

    return StreamingResponse(
        parts(),
        media_type="text/csv; charset=utf-8; header=present",
        headers={"Content-Disposition": f'attachment; filename="{file_name}"', "Content-Length": str(size)},
    )
