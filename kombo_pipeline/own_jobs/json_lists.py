"""Lists of jobs in JSON: an array, an object that holds one under a usual name, JSON-LD, or one object a line."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from kombo_pipeline.own_jobs.files import BadRow, FeedError, Record
from kombo_pipeline.own_jobs.names import LISTS, is_wrapper, key

IsJob = Callable[[Mapping[str, Any]], bool]
"""Whether an object by itself is understood as a job."""

_BLANK: Final = re.compile(r"[ \t\r\n]*")
_MAX_DEPTH: Final = 5
"""A list of jobs is looked for so many objects deep."""
_DECODER: Final = json.JSONDecoder()


def json_lines(text: str) -> Iterator[Record | BadRow]:
    """Yield a record a line; a line that is no JSON costs itself alone."""
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            yield from _record(number, json.loads(line))
        except (ValueError, RecursionError) as error:
            yield BadRow(number, f"no JSON: {error}")


def json_records(text: str, is_job: IsJob) -> Iterator[Record | BadRow]:
    """Yield the jobs of a document: [...], {"jobs": [...]} or the like, one job, or JSON Lines under another name.

    Raises FeedError for half a document and for one without a list of jobs.
    """
    start = _skip_blank(text, 0)
    try:
        if not text.startswith("[", start):
            document, end = _DECODER.raw_decode(text, start)
            if text[end:].strip():
                yield from json_lines(text)
                return
            found = _list_in(text, start, is_job) if isinstance(document, dict) else None
            if found is None and isinstance(document, dict) and _is_single(document, is_job):
                yield from _record(text.count("\n", 0, start) + 1, document)
                return
            if found is None:
                raise FeedError(_no_list(document))
            start = found
            del document
        line, counted = 1, 0
        for at, value in _elements(text, start):
            line, counted = line + text.count("\n", counted, at), at
            yield from _record(line, value)
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
    element = _DECODER.raw_decode(text, first)[0]
    if is_job(element) or "JobPosting" in _types(element):
        return False
    return _is_single(_DECODER.raw_decode(text, start)[0], is_job)


def _members(text: str, start: int) -> Iterator[tuple[int, str]]:
    """The names of the object at `start`, each with the position of its value."""
    at = start
    while text[at] in "{,":
        at = _skip_blank(text, at + 1)
        if text.startswith("}", at):
            return
        name, at = _DECODER.raw_decode(text, at)
        at = _skip_blank(text, _skip_blank(text, at) + 1)
        yield at, name
        at = _skip_blank(text, _DECODER.raw_decode(text, at)[1])


def _elements(text: str, start: int) -> Iterator[tuple[int, Any]]:
    """The elements of the array at `start`, each with its position."""
    at = _skip_blank(text, start + 1)
    if text.startswith("]", at):
        return
    while True:
        value, end = _DECODER.raw_decode(text, at)
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


def _record(line: int, value: Any) -> Iterator[Record | BadRow]:
    """The jobs of an element: itself, those of its JSON-LD graph, none where JSON-LD says that it is another thing."""
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
