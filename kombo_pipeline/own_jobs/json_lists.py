"""Lists of jobs in JSON: an array, an object that holds one under a usual name, JSON-LD, or one object a line."""

import json
import re
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any, Final, NamedTuple

from kombo_pipeline.own_jobs.files import (
    MAX_DIGITS,
    MAX_ROW_BYTES,
    BadRow,
    FeedError,
    Record,
    check_lines,
    lines,
    text_of,
    too_long_row,
)
from kombo_pipeline.own_jobs.names import ABOUT_PAGES, LISTS, NEXT_PAGES, TOTALS, is_wrapper, key

IsJob = Callable[[Mapping[str, Any]], bool]
"""Whether an object by itself is understood as a job."""

_BLANK: Final = re.compile(r"[ \t\r\n]*")
_MAX_DEPTH: Final = 5
"""A list of jobs is looked for so many objects deep."""
# A string that has no end reaches to that of the text, so that nothing in it is read twice.
_TOKEN: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)


def _integer(digits: str) -> int | str:
    # Nought with a sign is no number that anybody counts with; as a text it is seen.
    return digits if len(digits) > MAX_DIGITS or digits == "-0" else int(digits)


def _decimal(text: str) -> float | str:
    return text if len(text) > MAX_DIGITS else float(text)


MAX_DECODED_BYTES: Final = 2**24
"""A larger document is decoded element by element."""
_DECODER: Final = json.JSONDecoder(parse_int=_integer, parse_float=_decimal)


def json_lines(data: bytes) -> Iterator[Record | BadRow]:
    """Yield a record a line of a text in UTF-8; a line that is no JSON costs itself alone."""
    check_lines(data)
    for number, (_, line) in enumerate(lines(data), start=1):
        if not line.strip():
            continue
        if len(line) > MAX_ROW_BYTES:
            yield BadRow(number, too_long_row(len(line)))
            continue
        try:
            yield from _record(number, _DECODER.decode(text_of(line)))
        except (ValueError, RecursionError) as error:
            yield BadRow(number, f"no JSON: {error}")


class _Undecoded(str):
    """A document with a character for each of its bytes: with one emoji in it, it would be four times as large."""

    __slots__ = ()


def _decode(text: str, at: int) -> tuple[Any, int]:
    """The value at a position, and where it ends."""
    value, end = _DECODER.raw_decode(text, at)
    if isinstance(text, _Undecoded) and not (part := text[at:end]).isascii():
        value = _DECODER.decode(text_of(part.encode("latin-1")))
    return value, end


def _end(text: str, start: int) -> int:
    """Where the object or list at `start` ends, without decoding it."""
    level = 0
    for found in _TOKEN.finditer(text, start):
        level += (found[0] in "{[") - (found[0] in "}]")
        if level == 0:
            return found.end()
    raise json.JSONDecodeError("Unterminated value starting at", text, start)


def json_records(data: bytes, is_job: IsJob) -> Iterator[Record | BadRow]:
    """Yield the jobs of a document: [...], {"jobs": [...]} or the like, one job, or JSON Lines under another name.

    Raises FeedError for half a document and for one without a list of jobs.
    """
    is_large = len(data) > MAX_DECODED_BYTES and not data.isascii()
    text = _Undecoded(data.decode("latin-1")) if is_large else text_of(data)
    start = _skip_blank(text, 0)
    try:
        total, following, is_bare = 0, "", text.startswith("[", start)
        if not is_bare:
            if text[_skip(text, start) :].strip():
                yield from json_lines(data)
                return
            outline = _outline(text, start)
            found = _list_in(text, start, is_job) if isinstance(outline, dict) else None
            if found is None and isinstance(outline, dict) and _is_single(outline, is_job):
                yield from _record(text.count("\n", 0, start) + 1, _value(text, start)[0])
                return
            if found is None:
                raise FeedError(_no_list(outline))
            start, total, following = found, *_longer_list(outline)
        line, counted, number, is_understood = 1, 0, 0, False
        elements = _elements(text, start)
        while True:
            try:
                at, value = next(elements)
            except StopIteration as done:
                end = done.value
                break
            line, counted, number = line + text.count("\n", counted, at), at, number + 1
            for record in _record(line, value):
                is_understood = True
                yield record
        if is_bare and text[end:].strip():
            raise json.JSONDecodeError("Extra data behind the list", text, end)
        if number and not is_understood:
            raise FeedError("no job understood: the JSON-LD has no JobPosting")
        if total > number:
            yield BadRow(1, f"the document has {number} of {total} jobs: it is one page of several")
        elif following and number:
            yield BadRow(1, f"the document names a next page ({following[:100]}): it is one page of several")
    except json.JSONDecodeError as error:
        raise FeedError(f"no JSON: line {error.lineno}, column {error.colno}: {error.msg}") from error
    except RecursionError as error:
        raise FeedError("no list of jobs: the JSON is nested too deep") from error


def _is_single(document: Mapping[str, Any], is_job: IsJob) -> bool:
    return "JobPosting" in _types(document) or is_job(document)


def _no_list(document: Any) -> str:
    expected = f'no list of jobs: expected [...] or {{"jobs": [...]}}; also known are {", ".join(LISTS[1:])}'
    if isinstance(document, dict):
        return f"{expected}. The document has {', '.join(document)[:300] or 'nothing'}"
    return f"{expected}. The document is {json.dumps(document)[:40]}"


def _longer_list(document: Mapping[str, Any]) -> tuple[int, str]:
    """How many jobs a document says that there are, and the page that follows it; 0 and "" where it does not say."""
    about = [
        document,
        *(each for name, each in document.items() if key(name) in ABOUT_PAGES and isinstance(each, dict)),
    ]
    told = {key(name): value for each in reversed(about) for name, value in each.items()}
    total = next((told[name] for name in TOTALS if isinstance(told.get(name), int)), 0)
    following = next((told[name] for name in NEXT_PAGES if isinstance(told.get(name), str) and told[name]), "")
    return total, following


def _list_in(text: str, start: int, is_job: IsJob, depth: int = 0) -> int | None:
    """Where the list of jobs begins in the object at `start`: under a usual name, or in an object of such a name."""
    at_name: dict[str, int] = {}
    for at, name in _members(text, start):
        at_name.setdefault(key(name), at)
    places = [at_name[name] for name in LISTS if name in at_name]
    empty = None
    for at in places:
        if text.startswith("[", at):
            first = _skip_blank(text, at + 1)
            if text.startswith("{", first):
                return None if depth == 0 and _is_nested_in_job(text, start, first, is_job) else at
            if text.startswith("]", first) and empty is None:
                empty = at
        elif text.startswith("{", at) and depth < _MAX_DEPTH:
            found = _list_in(text, at, is_job, depth + 1)
            if found is not None:
                return found
    return empty


def _is_nested_in_job(text: str, start: int, first: int, is_job: IsJob) -> bool:
    """Whether the objects of a list are no jobs while the object around them is one: its benefits, its contacts."""
    element = _value(text, first)[0]
    if not isinstance(element, dict):
        return False
    if is_job(element) or "JobPosting" in _types(element):
        return False
    return _is_single(_outline(text, start), is_job)


def _outline(text: str, start: int, depth: int = 0) -> Any:
    """The value at `start` without the lists of objects in it, which may be large."""
    if text.startswith("{", start) and depth < _MAX_DEPTH:
        return {name: _outline(text, at, depth + 1) for at, name in _members(text, start)}
    if text.startswith("[", start) and text.startswith(("{", "["), _skip_blank(text, start + 1)):
        return []
    return _decode(text, start)[0]


def _skip(text: str, start: int) -> int:
    """Where the value at `start` ends. Elements of lists are held in memory one at a time."""
    if text.startswith("{", start):
        parts: Generator[Any, None, int] = _members(text, start)
    elif text.startswith("[", start):
        parts = _elements(text, start)
    else:
        return _decode(text, start)[1]
    while True:
        try:
            next(parts)
        except StopIteration as done:
            return int(done.value)


def _members(text: str, start: int) -> Generator[tuple[int, str], None, int]:
    """The names of the object at `start`, each with the position of its value; returns where the object ends."""
    at = _skip_blank(text, start + 1)
    if text.startswith("}", at):
        return at + 1
    while True:
        if not text.startswith('"', at):
            raise json.JSONDecodeError("Expecting property name enclosed in double quotes", text, at)
        name, at = _decode(text, at)
        at = _skip_blank(text, at)
        if not text.startswith(":", at):
            raise json.JSONDecodeError("Expecting ':' delimiter", text, at)
        at = _skip_blank(text, at + 1)
        yield at, name
        at = _skip_blank(text, _skip(text, at))
        if text.startswith("}", at):
            return at + 1
        if not text.startswith(",", at):
            raise json.JSONDecodeError("Expecting ',' delimiter", text, at)
        at = _skip_blank(text, at + 1)


def _elements(text: str, start: int) -> Generator[tuple[int, Any], None, int]:
    """The elements of the array at `start`, each with its position; returns where the array ends."""
    at = _skip_blank(text, start + 1)
    if text.startswith("]", at):
        return at + 1
    while True:
        value, end = _value(text, at)
        yield at, value
        at = _skip_blank(text, end)
        if text.startswith("]", at):
            return at + 1
        if not text.startswith(",", at):
            raise json.JSONDecodeError("Expecting ',' delimiter", text, at)
        at = _skip_blank(text, at + 1)


class _TooLong(NamedTuple):
    """Stands for an element that is longer than a row may be."""

    size: int


def _value(text: str, at: int) -> tuple[Any, int]:
    """The element at a position, and where it ends."""
    if len(text) - at > MAX_ROW_BYTES and text.startswith(("{", "["), at):
        end = _end(text, at)
        if end - at > MAX_ROW_BYTES:
            return _TooLong(end - at), end
    return _decode(text, at)


def _skip_blank(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    return found.end() if found else at


def _record(line: int, value: Any) -> Iterator[Record | BadRow]:
    """The jobs of an element: itself, those of its JSON-LD graph, none where JSON-LD says that it is another thing."""
    if isinstance(value, _TooLong):
        yield BadRow(line, too_long_row(value.size))
        return
    if not isinstance(value, dict):
        yield BadRow(line, f"no job but {json.dumps(value)[:40]}")
        return
    if isinstance(value.get("@graph"), list):
        for each in value["@graph"]:
            yield from _record(line, each)
        return
    types = _types(value)
    inner = next((each for name, each in value.items() if is_wrapper(name) and isinstance(each, dict)), {})
    if not types or "JobPosting" in types or "JobPosting" in _types(inner):
        yield Record(line, value)


def _types(value: Mapping[str, Any]) -> tuple[str, ...]:
    """The types that JSON-LD states, without their address."""
    types = value.get("@type") or ()
    listed = [types] if isinstance(types, str) else types
    return tuple(re.split("[/#:]", each)[-1] for each in listed if isinstance(each, str))
