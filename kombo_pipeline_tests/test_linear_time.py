"""Nothing that reads text from outside takes long because of what the text is: the time grows as the text does."""

import ast
import dataclasses
import importlib
import inspect
import json
import pkgutil
import re
import types
import typing
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date
from functools import cache
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NamedTuple

import pytest

import kombo_pipeline
from kombo_pipeline.matching.evidence import explain
from kombo_pipeline.matching.job_features import JobText
from kombo_pipeline.matching.scoring import default_matcher
from kombo_pipeline_tests.hostile_texts import MOST_SECONDS, SIZE, attacks, hostile_texts, seconds_of
from kombo_pipeline_tests.own_jobs.lists import rows

ROOMS: Final = ("kombo", "matching", "own_jobs", "linking", "ingest", "backoffice", "sandbox")
"""Where text from outside is read. The others read settings, command lines and files of this repository."""
READING: Final = ("kombo", "matching", "own_jobs", "linking.pasted", "backoffice.rendering", "backoffice.widgets")
"""Where functions take texts and nothing else."""
SCREENED: Final = 20_000
SUSPECT: Final = 1 / 20
"""Texts of SCREENED characters come first: what takes less than this share of the limit is
too little to become too much at SIZE."""
STORED: Final = 3_980
"""With what stands before and after it an address of this length is still read."""
NOT_FROM_OUTSIDE: Final = {
    "linking.pasted.ask_kombo": "asks Kombo for what read_lines has read",
}
"""Functions that take texts of this repository, or that others have read."""
ROWS: Final = ("own_jobs.json_lists.json_lines",)
A_ROW_A_LINE: Final = 8 * MOST_SECONDS
"""What a list of own jobs of SIZE may take: of each of its rows, 50,000 empty ones, something is said."""


@cache
def modules() -> list[ModuleType]:
    found = pkgutil.walk_packages(kombo_pipeline.__path__, "kombo_pipeline.")
    return [importlib.import_module(each.name) for each in found if each.name.split(".")[1] in ROOMS]


# Regular expressions


class Used(NamedTuple):
    """A regular expression, where it stands, how it is used, and how long its texts are at most."""

    where: str
    pattern: re.Pattern[Any]
    method: str
    longest: int

    def __str__(self) -> str:
        return f"{self.where}.{self.method}"


METHODS: Final = ("search", "match", "fullmatch", "sub", "subn", "split", "findall", "finditer")


def patterns_within(value: Any, depth: int = 0) -> Iterator[re.Pattern[Any]]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, Mapping) and depth < 5:
        for each in value.values():
            yield from patterns_within(each, depth + 1)
    elif isinstance(value, (tuple, list)) and depth < 5:
        for each in value:
            yield from patterns_within(each, depth + 1)


def used_patterns() -> list[Used]:
    """Every regular expression of the rooms: those that modules hold, and those written where they are used."""
    trees = {module: ast.parse(Path(str(module.__file__)).read_text("utf-8")) for module in modules()}
    calls = [
        (module, node)
        for module, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]
    methods: defaultdict[str, set[str]] = defaultdict(set)
    others: defaultdict[ModuleType, set[str]] = defaultdict(set)
    found: dict[tuple[str, Any, int, str], Used] = {}

    def add(module: ModuleType, where: str, pattern: re.Pattern[Any], method: str) -> None:
        name = f"{module.__name__.removeprefix('kombo_pipeline.')}.{where}"
        longest = getattr(module, "MAX_CHARACTERS", SIZE)
        found.setdefault(
            (module.__name__, pattern.pattern, pattern.flags, method), Used(name, pattern, method, longest)
        )

    for module, call in calls:
        function = typing.cast("ast.Attribute", call.func)
        if function.attr not in (*METHODS, "compile"):
            continue
        receiver = function.value
        name = receiver.id if isinstance(receiver, ast.Name) else getattr(receiver, "attr", "")
        if name == "re":
            text = call.args[0]
            if isinstance(text, ast.Constant):
                given = [ast.unparse(each) for each in (*call.args[1:], *(each.value for each in call.keywords))]
                flags = [getattr(re, each.removeprefix("re.")) for each in given if re.fullmatch(r"re\.[A-Z]+", each)]
                if function.attr != "compile":
                    add(module, f"line {call.lineno}", re.compile(text.value, *flags), function.attr)
        elif name.isupper():
            methods[name].add(function.attr)
        else:
            others[module].add(function.attr)
    for module in modules():
        for name, value in vars(module).items():
            for pattern in patterns_within(value):
                for method in methods[name] or others[module] - {"split", "compile"} or {"search"}:
                    add(module, name, pattern, method)
    return list(found.values())


def seconds_with(used: Used, text: Any, most: float) -> float:
    method = getattr(used.pattern, used.method)
    nothing = b"" if isinstance(text, bytes) else ""
    if used.method in ("sub", "subn"):
        return seconds_of(lambda: method(nothing, text), most=most)
    if used.method == "finditer":
        return seconds_of(lambda: deque(method(text), maxlen=0), most=most)
    return seconds_of(lambda: method(text), most=most)


def slowest(used: Used) -> str:
    """What of a regular expression takes too long; "" for nothing."""
    size = min(SCREENED, used.longest)
    for number, text in enumerate(attacks(used.pattern, size)):
        if seconds_with(used, text, SUSPECT * MOST_SECONDS) <= SUSPECT * MOST_SECONDS:
            continue
        text = attacks(used.pattern, min(SIZE, used.longest))[number]  # noqa: PLW2901
        if (taken := seconds_with(used, text, MOST_SECONDS)) > MOST_SECONDS:
            return f"{used}: {taken:.2f} s or more for {len(text)} characters {text[:40]!r}"
    return ""


def test_every_regular_expression_is_quick_with_every_text_that_its_own_parts_make() -> None:
    used = used_patterns()
    assert len(used) > 100
    assert [told for each in used if (told := slowest(each))] == []


# Functions


def built(kind: Any, text: str) -> Any:
    """A value of an annotated kind that says `text` wherever it can; raises TypeError where that is not known."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if kind in (str, typing.Any, object):
        return text
    if kind in (bytes, bytearray):
        return text.encode("utf-8", "replace")
    if kind in (int, float, bool):
        return kind(1)
    if kind in (date, type(None)):
        return None
    if origin is typing.Literal:
        return inner[0]
    if origin in (typing.Union, types.UnionType):
        return built(next(each for each in inner if each is not type(None)), text)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {built(inner[0], text): built(inner[1], text)}
    if origin is tuple and inner[-1:] != (...,):
        return tuple(built(each, text) for each in inner)
    if isinstance(origin, type) and issubclass(origin, Iterable):
        return [built(inner[0], text)] if origin is not tuple else (built(inner[0], text),)
    if isinstance(kind, type) and (dataclasses.is_dataclass(kind) or hasattr(kind, "_fields")):
        hints = typing.get_type_hints(kind)
        wanted = [field.name for field in dataclasses.fields(kind)] if dataclasses.is_dataclass(kind) else kind._fields
        # All fields together say as much as the text.
        share = text if len(text) < 100 else text[: len(text) // len(wanted)] + text[-8:]
        return kind(**{name: built(hints[name], share) for name in wanted})
    raise TypeError(kind)


def arguments(function: Any, text: str) -> dict[str, Any]:
    """Arguments that say `text`: those without a default, and texts."""
    hints = typing.get_type_hints(function)
    given = {}
    for name, parameter in inspect.signature(function).parameters.items():
        kind = hints[name]
        if parameter.default is inspect.Parameter.empty or kind in (str, bytes):
            given[name] = built(kind, text)
    return given


def is_reader(function: Any, module: ModuleType) -> bool:
    if getattr(function, "__module__", "") != module.__name__ or isinstance(function, type):
        return False
    if not callable(function) or function.__name__.startswith("_"):
        return False
    try:
        return "xyz" in repr(arguments(function, "xyz"))
    except (TypeError, StopIteration, NameError, KeyError, ValueError):
        return False


def readers() -> dict[str, Any]:
    """Every public function that takes texts and nothing that a text could not make."""
    return {
        f"{module.__name__.removeprefix('kombo_pipeline.')}.{name}": value
        for module in modules()
        if module.__name__.removeprefix("kombo_pipeline.").startswith(READING)
        for name, value in vars(module).items()
        if is_reader(value, module)
        and f"{module.__name__.removeprefix('kombo_pipeline.')}.{name}" not in NOT_FROM_OUTSIDE
    }


READERS: Final = readers()


def calls(function: Any, text: str) -> Any:
    given = arguments(function, text)
    found = function(**given)
    return list(found) if isinstance(found, Iterator) else found


@cache
def texts_of(size: int) -> tuple[str, ...]:
    return tuple(hostile_texts(size))


def slow_texts(read: Callable[[str], Any], most: float = MOST_SECONDS, *, every: int = 1) -> Iterator[str]:
    """The texts that take a function too long, or far more than twice as long when they are."""

    def seconds(text: str, most: float) -> float:
        return seconds_of(lambda: read(text), most=most)

    for screened, text, longer in zip(*(texts_of(size)[::every] for size in (SCREENED, SIZE, 2 * SIZE)), strict=True):
        if seconds(screened, SUSPECT * most) <= SUSPECT * most:
            continue
        if (taken := seconds(text, most)) > most:
            yield f"{taken:.2f} s for {text[:24]!r}…{text[-4:]!r}"
        elif (twice := seconds(longer, 3.5 * taken)) > max(3.5 * taken, most):
            yield f"{taken:.3f} s, but {twice:.3f} s for twice as much of {text[:24]!r}…{text[-4:]!r}"


@pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.long)], ids=["some", "all"])
@pytest.mark.parametrize("name", READERS)
def test_a_function_that_reads_texts_takes_no_longer_than_the_text_is_long(name: str, every: int) -> None:
    function = READERS[name]
    most = A_ROW_A_LINE if name in ROWS else MOST_SECONDS
    assert list(islice(slow_texts(lambda text: calls(function, text), most, every=every), 3)) == []
    # Longer ones may be refused at once, so those of a length that is read are tried too.
    short = [text for text in texts_of(STORED)[::every] if seconds_of(lambda: calls(function, text), most=most) > most]  # noqa: B023
    assert [text[:40] for text in short] == []


# What takes more than texts


def proposed(text: str) -> object:
    """A job matched with an index of jobs that say the same in every field, and why."""
    matcher = default_matcher()
    jobs = [built(JobText, text[number:]) for number in range(3)]
    [match] = matcher.candidates(jobs[:1], matcher.index([replace(job, id=str(n)) for n, job in enumerate(jobs)]))
    return [str(explain(match, each, matcher.weights)) for each in match.candidates]


def test_matching_titles_and_saying_why_is_quick_whatever_the_jobs_say() -> None:
    default_matcher()
    assert list(slow_texts(proposed, every=3)) == []


def in_every_field(text: str) -> dict[str, Any]:
    return {"id": "1", "title": text} | dict.fromkeys(
        ("job_code", "remote_id", "post_url", "location", "city", "region", "country", "department", "posted_at"),
        text[: len(text) // 10],
    )


DOCUMENTS: Final[Mapping[str, Callable[[str], str]]] = {
    "a JSON list": lambda text: json.dumps([in_every_field(text)]),
    "JSON Lines": lambda text: json.dumps(in_every_field(text)) + "\n" + text,
    "JSON with many places": lambda text: json.dumps([{"id": 1, "title": "a", "locations": text.split(), "city": "a"}]),
    "JSON with more places": lambda text: json.dumps(
        [{"id": 1, "title": "a", "location": "b", "additional_locations": text.split()}]
    ),
    "half a JSON list": lambda text: '[{"id": 1, "title": "a"}, ' + text,
    "JSON that holds a list": lambda text: '{"jobs": [{"id": 1, "title": "a"}], "x": "' + text,
    "CSV": lambda text: "id,title,location,url\n1," + text,
    "CSV with quotation marks": lambda text: 'id;title\n1;"' + text,
    "an XML feed": lambda text: f"<jobs><job><id>1</id><title>{text}</title><city>{text}</city></job></jobs>",
    "XML with text between jobs": lambda text: f"<jobs><job><id>1</id></job>{text}<job><id>2</id></job>",
    "XML with entities": lambda text: '<!DOCTYPE jobs [<!ENTITY a "b">]><jobs><job><id>' + text,
}
"""Lists of own jobs with a text where it can hurt."""


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_list_of_own_jobs_is_read_in_the_time_that_its_length_takes(name: str) -> None:
    assert list(slow_texts(lambda text: rows(DOCUMENTS[name](text)), A_ROW_A_LINE, every=2)) == []
