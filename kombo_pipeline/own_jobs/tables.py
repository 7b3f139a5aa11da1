"""Tables of jobs: CSV files and the sheets of XLSX workbooks, with titles above the header or without."""

import csv
import io
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from typing import Any, Final

from kombo_pipeline.own_jobs.files import (
    MAX_DIGITS,
    MAX_ROW_BYTES,
    BadRow,
    FeedError,
    Header,
    Record,
    TooLargeError,
    check_lines,
    lines,
    text_of,
    too_long_row,
)

IsHeader = Callable[[Sequence[str]], bool]
"""Whether the names of a row are those of a table of jobs."""
Row = tuple[int, list[Any]]
"""The line in which a row begins, and its values."""

HEADER_WITHIN: Final = 30
"""So many rows are looked at for the header; above it people write a title, a date, a filter."""
_DELIMITERS: Final = ",;\t|"

_SHEET_ROWS: Final = 1_048_576
"""Excel's own limit."""
_SHOWN: Final = 300

# A description with pictures in it is longer than the 131,072 characters that `csv` takes by itself.
csv.field_size_limit(MAX_ROW_BYTES)


def csv_records(data: bytes, is_header: IsHeader) -> Iterator[Header | Record | BadRow]:
    """Yield the header of a CSV text in UTF-8, then a record a row. A row that is no CSV costs itself alone."""
    check_lines(data)
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    first = next((at for at, line in lines(data) if line.strip()), 0)
    # Excel's way of naming the delimiter of the lines below.
    stated = re.match(rb"sep=([\x01-\x7f])\n", data[first : first + 6], re.IGNORECASE)
    first += stated.end() if stated else 0
    # Cut to a length in which a header ends, for an unclosed quote reads on.
    top = [text_of(line[:10_000]) for _, line in itertools.islice(lines(data, first), HEADER_WITHIN)]
    delimiter = stated[1].decode() if stated else _delimiter(top, is_header)
    yield from _records(_csv_rows(data, first, delimiter), is_header, f"is a {delimiter!r} not quoted?")


def _delimiter(top: list[str], is_header: IsHeader) -> str:
    """The delimiter with which a header is understood, else the most frequent one of the widest line."""
    for delimiter in _DELIMITERS:
        if any(is_header(row) for row in csv.reader(top, delimiter=delimiter)):
            return delimiter
    return max(_DELIMITERS, key=lambda delimiter: max((line.count(delimiter) for line in top), default=0))


class _Lines:
    """The lines of a CSV text as its reader asks for them; raises csv.Error where a row becomes too long."""

    def __init__(self, data: bytes, start: int) -> None:
        self._lines = lines(data, start)
        self.row_at = self.at = start
        """Where the row begins that is being read, and where the next line does."""

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        at, line = next(self._lines)
        self.at = at + len(line)
        if self.at - self.row_at > MAX_ROW_BYTES:
            raise csv.Error(too_long_row(self.at - self.row_at))
        return text_of(line)


def _csv_rows(data: bytes, start: int, delimiter: str) -> Iterator[Row | BadRow]:
    """Rows with the line in which they begin. After a row that is no CSV, reading goes on in the next line: a
    quote that is never closed would otherwise swallow the rest of the file."""
    begins = data.count(b"\n", 0, start) + 1
    while start < len(data):
        source = _Lines(data, start)
        reader = csv.reader(source, delimiter=delimiter, strict=True)
        first = begins
        try:
            for row in reader:
                yield begins, row
                begins, source.row_at = first + reader.line_num, source.at
            return
        except csv.Error as error:
            yield BadRow(begins, f"no CSV: {error}")
            begins, start = begins + 1, data.find(b"\n", source.row_at) + 1 or len(data)


def _records(rows: Iterator[Row | BadRow], is_header: IsHeader, hint: str) -> Iterator[Header | Record | BadRow]:
    """The header, told by its names, and the rows below it."""
    top = list(itertools.islice(rows, HEADER_WITHIN))
    at = next((at for at, row in enumerate(top) if not isinstance(row, BadRow) and is_header(_texts(row))), None)
    if at is None:  # the widest row is what its author took for the header
        at = max(range(len(top)), key=lambda at: _width(top[at]), default=0)
    header = top[at] if top else BadRow(1, "no row")
    if isinstance(header, BadRow):
        raise FeedError(f"no header: line {header.line}: {header.reason}")
    names = _texts(header)
    yield Header(names, header[0])
    for row in itertools.chain(top[at + 1 :], rows):
        if isinstance(row, BadRow):
            yield row
            continue
        line, values = row
        if not any(map(_is_given, values)):
            continue
        fields: dict[str, Any] = {}
        for name, value in zip(names, values, strict=False):
            fields.setdefault(name, value)  # of equal names the first one counts
        if any(map(_is_given, values[len(names) :])):
            # Only what stands before every possible slip is certain.
            yield Record(line, {names[0]: values[0]}, f"{len(values)} values for {len(names)} columns; {hint}")
        else:
            yield Record(line, fields)


def _texts(row: Row) -> list[str]:
    return [str(value).strip() if value is not None else "" for value in row[1]]


def _width(row: Row | BadRow) -> int:
    return 0 if isinstance(row, BadRow) else sum(map(_is_given, row[1]))


def _is_given(value: Any) -> bool:
    return value is not None and str(value).strip() != ""


def xlsx_records(data: bytes, is_header: IsHeader, sheet: str | None = None) -> Iterator[Header | Record | BadRow]:
    """Yield the header of a sheet of an XLSX workbook, then a record a row.

    Without `sheet` it is the only one, or the only visible one with a header that is understood. Numbers and texts
    come as they are stored, formulas as their text. Raises FeedError when the workbook is damaged or there is no
    such sheet.
    """
    import openpyxl.worksheet._reader  # noqa: PLC0415 -- the Dagster location does not need it

    try:
        # It would refuse the whole workbook because of one number that is longer than Python reads.
        vars(openpyxl.worksheet._reader)["_cast_number"] = _cell_number
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, keep_links=False)
        sheets = {each.title: each for each in book.worksheets}
        chosen = _chosen(sheets, is_header, sheet)
        yield from _records(_sheet_rows(sheets[chosen]), is_header, "is there a remark beside the table?")
    except FeedError:
        raise
    except Exception as error:  # openpyxl raises many kinds for what is damaged
        raise FeedError(f"the XLSX file cannot be read: {type(error).__name__}: {error}") from error


def _cell_number(text: str) -> int | float | str:
    if len(text) > MAX_DIGITS:
        return text
    try:
        return float(text) if set(text) & set(".eE") else int(text)
    except ValueError:
        return text


def _chosen(sheets: dict[str, Any], is_header: IsHeader, wanted: str | None) -> str:
    if wanted is not None:
        if wanted not in sheets:
            raise FeedError(f"no sheet {wanted!r}; the workbook has {', '.join(sheets)[:_SHOWN]}")
        return wanted
    visible = [name for name, each in sheets.items() if each.sheet_state == "visible"] or list(sheets)
    if len(visible) == 1:
        return visible[0]
    understood = [
        name
        for name in visible
        if any(is_header(_texts(row)) for row in itertools.islice(_sheet_rows(sheets[name]), HEADER_WITHIN))
    ]
    if len(understood) != 1:
        found = f"{len(understood)} of the sheets {', '.join(visible)[:_SHOWN]} have a header that is understood"
        raise FeedError(f"{found}; name one of them (--sheet)" if visible else "a workbook without a sheet")
    return understood[0]


def _sheet_rows(sheet: Any) -> Iterator[Row]:
    # The stated size is often that of the whole sheet: 16,384 columns.
    sheet.reset_dimensions()
    for number, cells in enumerate(sheet.iter_rows(), start=1):
        if number > _SHEET_ROWS:
            raise TooLargeError(f"the sheet has more than {_SHEET_ROWS:,} rows")
        yield number, [_cell_value(cell) for cell in cells]


def _cell_value(cell: Any) -> Any:
    value = cell.value
    match value:
        case datetime() | date():
            return value.isoformat(" ") if isinstance(value, datetime) else value.isoformat()
        case float() if value.is_integer() and abs(value) < 10**15:
            value = int(value)
        case None | str() | int() | float():
            pass
        case _:  # a formula of several cells
            return f"={getattr(value, 'text', value)}"
    # 123 in the format 00000 is shown, and meant, as 00123.
    if isinstance(value, int) and not isinstance(value, bool) and re.fullmatch("00+", cell.number_format or ""):
        return str(value).zfill(len(cell.number_format))
    return value
