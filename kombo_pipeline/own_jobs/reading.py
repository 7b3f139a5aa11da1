"""Own jobs from a file: which column each of its names means, and which rows cannot be taken."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO, Final

from kombo_pipeline import limits
from kombo_pipeline.own_jobs import files, values
from kombo_pipeline.own_jobs.dates import read_date
from kombo_pipeline.own_jobs.files import BadRow, FeedError, Header, Record, TooLargeError
from kombo_pipeline.own_jobs.formats import FORMATS, recognised
from kombo_pipeline.own_jobs.names import (
    LAST_ID_NAMES,
    MORE_PLACES,
    NAMES,
    NO,
    PLACE,
    REFERENCES,
    TEXT_TITLES,
    WITHIN,
    WITHIN_OTHERS,
    YES,
    key,
)
from kombo_pipeline.settings import OWN_JOBS_MAX_ROWS


@dataclass(frozen=True, slots=True)
class OwnJob:
    """A job of yours. None: the file does not have the value, so the stored one stays. Empty: it is to be cleared."""

    own_job_id: str
    title: str | None = None
    kombo_job_id: str | None = None
    remote_id: str | None = None
    job_code: str | None = None
    post_url: str | None = None
    location: str | None = None
    """Several places are separated by semicolons."""
    department: str | None = None
    employment_type: str | None = None
    posted_at: date | None = None
    withdrawn: bool = False
    """Whether the file says that the job is to be withdrawn."""
    line: int = field(default=0, compare=False)
    """Where the job stands in its file."""


COLUMNS: Final = tuple(column.name for column in fields(OwnJob) if column.name not in ("withdrawn", "line"))
"""The columns of core.own_jobs that come from the file."""
_READ: Final = (*COLUMNS, "withdrawn")
_NUMBERS: Final = ("own_job_id", "kombo_job_id", "remote_id", "job_code")
"""Columns of ids and codes. They are compared exactly, and spreadsheets damage them."""
_PARTS: Final = tuple(name for names in PLACE for name in names)
_JOINED: Final = ("department", "employment_type")
_SHOWN: Final = 500


def read(
    path_or_stream: str | Path | BinaryIO,
    *,
    format: str | None = None,  # noqa: A002
    columns: Mapping[str, str] | None = None,
    sheet: str | None = None,
    max_rows: int = OWN_JOBS_MAX_ROWS,
) -> Iterator[OwnJob | BadRow]:
    """Yield the jobs of a file, and a `BadRow` for what cannot be taken.

    `format` is a key of FORMATS; without it the format is recognised. `columns` maps names of the file that are not
    known to columns of core.own_jobs, `sheet` names the sheet of a workbook. A job without a title or with an
    unreadable date is kept and reported; one with a text beyond its limit (limits.OWN_JOB) is not taken. Raises
    FeedError when the file cannot be read to its end or has more than `max_rows` rows, when no job in it is
    understood, when a table has no column for the id or the title, and when `columns` names what is not there.
    """
    yield from _without_decimals(_Reader(columns or {}, max_rows).read(path_or_stream, format, sheet))


def read_mapping(entries: Iterable[str]) -> dict[str, str]:
    """Read `own_job_id=Referenznummer`, a column here and its name in the file, as the `columns` of `read`.

    The other way round, `Referenznummer=own_job_id`, is understood where only that can be meant. Raises FeedError
    for what names no column, and for a column or a name that comes twice.
    """
    columns: dict[str, str] = {}
    for entry in entries:
        before, _, after = (part.strip() for part in entry.partition("="))
        column, name = (before, after) if before in _READ else (after, before)
        if column not in _READ or not name:
            raise FeedError(f"{entry!r} maps no column; write COLUMN=NAME, COLUMN being one of {', '.join(_READ)}")
        if column in columns.values() or name in columns:
            raise FeedError(f"{entry!r} maps {column if column in columns.values() else name} a second time")
        columns[name] = column
    return columns


class _Reader:
    """Understands the records of one file."""

    def __init__(self, columns: Mapping[str, str], max_rows: int) -> None:
        self._max_rows = max_rows
        self._mapped = columns
        self._names = dict(NAMES)
        for name, column in columns.items():
            if column not in self._names:
                raise FeedError(
                    f"{name!r} is mapped to {column!r}, which is no column; known are {', '.join(self._names)}"
                )
            self._names = {each: tuple(n for n in known if n != key(name)) for each, known in self._names.items()}
            # An id that is mapped is found nowhere else.
            self._names[column] = (key(name), *(() if column == "own_job_id" else self._names[column]))
        self._id_names = self._names["own_job_id"]
        self._last_id_names: tuple[str, ...] = () if "own_job_id" in columns.values() else LAST_ID_NAMES
        self._found: dict[str, set[str]] = defaultdict(set)
        """The names under which whole records had each column."""
        self._given: tuple[str, ...] = ()
        self._columns: dict[str, list[str]] = {column: [] for column in self._names}
        self._has_header = False

    def read(self, source: str | Path | BinaryIO, form: str | None, sheet: str | None) -> Iterator[OwnJob | BadRow]:
        first: Record | None = None
        unread: BadRow | None = None
        rows = 0
        for item in self._records(source, form, sheet):
            rows += isinstance(item, Record) or (isinstance(item, BadRow) and not item.kept)
            if rows > self._max_rows:
                raise TooLargeError(f"more than {self._max_rows:,} rows; split it, or see KOMBO_OWN_JOBS_MAX_ROWS")
            match item:
                case Header():
                    yield from self._understand_header(item)
                case BadRow():
                    unread = unread or (None if item.kept else item)
                    yield item
                case Record():
                    if item.fault:
                        unread = unread or BadRow(item.line, item.fault)
                    else:
                        first = first or item
                    yield from self._job(item)
        if not self._has_header and not self._found["own_job_id"] and (first or unread):
            if unread and not first:
                raise FeedError(f"no job understood; line {unread.line}: {unread.reason}")
            names = ", ".join(values.named(first.fields)) if first else ""
            has = f" The first one has {names[:_SHOWN]}." if names else ""
            raise FeedError(f"no job understood: none has an id under a known name.{has} Name it `id`, or map its name")

    def _records(
        self, source: str | Path | BinaryIO, form: str | None, sheet: str | None
    ) -> Iterator[Header | Record | BadRow]:
        data, kind = files.unpacked(source, form, recognised)
        if sheet is not None and not FORMATS[kind].has_sheets:
            raise FeedError("only a workbook of Excel (.xlsx) has sheets")
        yield from FORMATS[kind].records(data, self, sheet)

    def is_header(self, names: Sequence[str]) -> bool:
        """Whether a table with these columns has an id, a title and every name that is mapped."""
        keys = set(map(key, names))
        has_id = not keys.isdisjoint((*self._id_names, *self._last_id_names))
        return has_id and not keys.isdisjoint(self._names["title"]) and keys.issuperset(map(key, self._mapped))

    def is_job(self, record: Mapping[str, Any]) -> bool:
        """Whether a JSON object has an id, a title and every name that is mapped."""
        return self.is_header(list(values.named(record)))

    def _understand_header(self, header: Header) -> Iterator[BadRow]:
        self._has_header = True
        keys = [key(name) for name in header.names]
        if not self._id_names_in(keys):
            self._id_names, self._last_id_names = self._last_id_names, ()
        missing = [] if self._id_names_in(keys) else ["own_job_id"]
        missing += [] if set(keys).intersection(self._names["title"]) else ["title"]
        unknown = [name for name in self._mapped if key(name) not in keys]
        understood = dict(self._understood(header.names))
        if missing or unknown:
            wanted = [f"no column for {' and '.join(missing)}"] if missing else []
            wanted += [f"no column {', '.join(unknown)}, which is to be mapped"] if unknown else []
            told = f"; understood are {_listed(understood)}" if understood else ""
            columns = ", ".join(filter(None, header.names))[:_SHOWN]
            raise FeedError(f"{'; '.join(wanted)}; the file has the columns {columns}{told}")
        # Of a table the id is one column, in every row.
        self._id_names = self._id_names_in(keys)[:1]
        self._last_id_names = ()
        times = Counter(keys)
        twice = [name for name in understood if times[key(name)] > 1]
        if twice:
            reason = f"the column {', '.join(twice)} comes more than once; the first one counts"
            yield BadRow(header.line, reason, kept=True)
        if left := [name for name in dict.fromkeys(header.names) if name and name not in understood]:
            reason = f"columns not understood: {', '.join(left)[:_SHOWN]}; understood: {_listed(understood)}"
            yield BadRow(header.line, reason, kept=True)

    def _id_names_in(self, keys: Sequence[str]) -> tuple[str, ...]:
        return tuple(name for name in self._id_names if name in keys)

    def _understood(self, header: Sequence[str]) -> Iterator[tuple[str, str]]:
        columns = {**dict.fromkeys(MORE_PLACES, "location"), **dict.fromkeys(_PARTS, "location")}
        for column in reversed(_READ):
            columns |= dict.fromkeys(self._names[column], column)
        columns |= dict.fromkeys(self._id_names, "own_job_id")
        for name in header:
            if key(name) in columns:
                yield name, columns[key(name)]

    def _job(self, record: Record) -> Iterator[OwnJob | BadRow]:
        line, notes = record.line, []
        given = values.named(record.fields)
        if any("\0" in each for each in record.fields.values() if isinstance(each, str)):
            notes.append("null bytes were taken out")
        if not given.keys().isdisjoint(TEXT_TITLES) and "text" in given:
            given.setdefault("title", given["text"])
        id_name = self._id_name(given, is_broken=bool(record.broken))
        told_id = given.get(id_name, "")
        own_job_id, damage = values.number(told_id, WITHIN["own_job_id"])
        if isinstance(told_id, list) and not all(isinstance(each, dict) for each in told_id):
            damage = "one of a list"
        id_too_long = values.too_long("own_job_id", own_job_id)
        if record.fault or damage or id_too_long:
            reason = record.fault or id_too_long or f"the id {own_job_id[:40]!r} is {damage}"
            yield BadRow(line, reason, own_job_id=None if damage or id_too_long else own_job_id or None)
            return
        if not own_job_id:
            what = (
                record.broken or f"no id; the row has {values.clean(', '.join(record.fields)[:200])[:200] or 'nothing'}"
            )
            yield BadRow(line, what)
            return
        if self._has_header and not given.keys() & set(self._names["title"]):
            yield BadRow(line, f"the row ends after {len(record.fields)} values, before its title")
            return
        if record.broken:
            notes.append(f"{record.broken}; what stands before it was taken")
        told: dict[str, str | None] = {}
        for column in COLUMNS[1:]:
            text, damage = self._value(column, given, id_name, is_broken=bool(record.broken))
            if damage:
                notes.append(f"{column} is left out: {(text or '')[:40]!r} is {damage}")
            told[column] = None if damage else text
        posted = told.pop("posted_at")
        posted_at = read_date(posted) if posted else None
        if posted and not posted_at:
            notes.append(f"the date {posted[:40]!r} cannot be read or may mean two days")
        withdrawn = self._flag("withdrawn", given)
        if withdrawn is None:
            notes.append("withdrawn is left out: it is neither yes nor no")
        too_long = {column: fault for column, text in told.items() if (fault := values.too_long(column, text or ""))}
        if too_long and not withdrawn:
            yield BadRow(line, "; ".join(too_long.values()), own_job_id=own_job_id)
            return
        told |= dict.fromkeys(too_long)  # nothing of a row that withdraws its job is stored
        if not told["title"] and not withdrawn and not any(note.startswith("title") for note in notes):
            notes.append("no title; only its identifiers can match it")
        for note in notes:
            yield BadRow(line, note, kept=True, own_job_id=own_job_id)
        yield OwnJob(own_job_id, **told, posted_at=posted_at, withdrawn=bool(withdrawn), line=line)

    def _id_name(self, given: Mapping[str, Any], *, is_broken: bool) -> str:
        """The name under which a record has its id: the first one that is there, with a value or without."""
        name = next((name for name in self._id_names if name in given), "")
        if is_broken and name not in (*self._id_names[:2], *self._found["own_job_id"]):
            return ""  # a better name may stand in what could not be read
        if not name and not self._found["own_job_id"].intersection(self._id_names):
            name = next((name for name in self._last_id_names if name in given), "")
        if name:
            self._found["own_job_id"].add(name)
        return name

    def _present(self, given: tuple[str, ...]) -> Mapping[str, Sequence[str]]:
        """The names of each column that a record has. Most records of a file have the same ones."""
        if given != self._given:
            keys = set(given)
            self._given = given
            self._columns = {column: [n for n in names if n in keys] for column, names in self._names.items()}
        return self._columns

    def _value(self, column: str, given: Mapping[str, Any], id_name: str, *, is_broken: bool) -> tuple[str | None, str]:
        """What a record tells of a column, None where it tells nothing, and what a spreadsheet did to it."""
        names = self._present(tuple(given))[column]
        if id_name in REFERENCES:
            names = [name for name in names if name != id_name]
        if is_broken:
            names = [name for name in names if name in (*self._names[column][:2], *self._found[column])]
        else:
            self._found[column].update(names[:1])
        if column == "location":
            return self._location(given, names)
        # Named values of which none is understood tell nothing; an empty text tells that there is none.
        within = WITHIN.get(column, WITHIN_OTHERS) if column not in _NUMBERS else WITHIN["own_job_id"]
        names = [name for name in names if not _is_nested(given[name]) or values.texts(given[name], within)]
        if not names:
            return None, ""
        if column in _NUMBERS:
            numbers = (values.number(given[name], within) for name in names)
            return next((number for number in numbers if number[0]), ("", ""))
        for name in names:
            found = values.texts(given[name], within)
            text = ", ".join(found) if column in _JOINED else "".join(found[:1])
            if values.is_far_too_long(text):
                return text, ""
            text, damage = values.undamaged(text)
            if damage:
                return text, damage
            text = values.unescaped(text)
            if text and (column == "title" or not values.is_nothing(text)):
                return text, ""
        return "", ""

    def _flag(self, column: str, given: Mapping[str, Any]) -> bool | None:
        """Whether a record says yes to a column; None where its word is neither yes nor no."""
        name = next((name for name in self._names[column] if name in given), None)
        word = key(values.plain(given[name])) if name else ""
        if not word or word in NO or values.is_nothing(word):
            return False
        return True if word in YES else None

    def _location(self, given: Mapping[str, Any], names: Sequence[str]) -> tuple[str | None, str]:
        composed = values.composed_places(given)
        more = [name for name in MORE_PLACES if name in given]
        if not names and not more and given.keys().isdisjoint(_PARTS):
            return None, ""
        found = next(filter(None, (values.places(given[name]) for name in names)), [])
        found = [text for text in found if not values.is_nothing(text)] or composed
        if len(found) == len(composed) == 1:
            found = [values.one_place(found[0], composed)]
        for place in (place for name in more for place in values.places(given[name])):
            if sum(map(len, found)) > limits.PLACES.most:
                break  # it is too long already
            if not any(values.names_place(known, place) or values.names_place(place, known) for known in found):
                found.append(place)
        for text in found:
            if (damaged := values.undamaged(text))[1]:
                return damaged
        return "; ".join(dict.fromkeys(found)), ""


def _is_nested(value: Any) -> bool:
    return isinstance(value, (dict, list)) and bool(value)


def _listed(understood: Mapping[str, str]) -> str:
    return ", ".join(f"{name} as {column}" for name, column in understood.items())[:_SHOWN]


def _without_decimals(rows: Iterable[OwnJob | BadRow]) -> Iterator[OwnJob | BadRow]:
    """Undo what pandas and spreadsheets do to a column of numbers with a gap in it: 1, 2, 3 become 1.0, 2.0, 3.0.

    Ids may end in .0 by themselves. Then there are 1.1 or 2.5 among them, and they stay as they are. Beside ids of
    another form nobody can tell what 3.0 was, so it is refused. Rows wait from the first .0 to the end of the file.
    """
    whole: Counter[str] = Counter()
    others: Counter[str] = Counter()
    fractions: Counter[str] = Counter()
    waiting: list[OwnJob | BadRow] = []
    is_waiting = False
    for row in rows:
        for column in _NUMBERS if isinstance(row, OwnJob) else ("own_job_id",):
            if text := getattr(row, column):
                ends = values.is_whole(text)
                whole[column] += ends
                others[column] += not ends
                fractions[column] += not ends and values.is_decimal(text)
        is_waiting = is_waiting or any(whole.values())
        if is_waiting and row.own_job_id:
            waiting.append(row)
        else:
            yield row
    mended = {column for column in _NUMBERS if whole[column] and not others[column]}
    is_unclear = bool(whole["own_job_id"] and others["own_job_id"] and not fractions["own_job_id"])
    for column in sorted(mended):
        reason = f"each {column} ends in .0, as spreadsheets write numbers; read without it"
        yield BadRow(1, reason, kept=True)
    for row in waiting:
        if is_unclear and row.own_job_id and values.is_whole(row.own_job_id):
            if isinstance(row, OwnJob):
                reason = f"the id {row.own_job_id!r} ends in .0 and others do not: is it {row.own_job_id[:-2]}?"
                yield BadRow(row.line, reason)
            elif not row.kept:
                yield replace(row, own_job_id=None)
        else:
            changes: dict[str, Any] = {}
            for column in mended:
                if values.is_whole(text := getattr(row, column, None) or ""):
                    changes[column] = text[:-2]
            yield replace(row, **changes) if changes else row
