"""Texts that take a slow reader minutes, and a clock that stops it."""

import functools
import gc
import re
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from re import _constants, _parser  # type: ignore[attr-defined]
from types import FrameType
from typing import Any, Final

SIZE: Final = 100_000
MOST_SECONDS: Final = 0.1
"""What a text of SIZE characters may take, in seconds of this process."""

_REPEATED: Final = (
    "job ", "job", "ref", "a", "A", "1", "0", "9", " ", "\t", "\n", "\r\n", "\u3000", "\xa0", ".", ",", ";", ":",
    "-", "_", "/", "\\", "|", "(", ")", "[", "{", "<", ">", "&", "#", "=", "+", "*", "!", "?", "'", '"', "%", "@",
    "$", "\0", "()", "(a", "a)", "a(", "[]", "{}", "<a", "<a ", "<b>", "</a>", "<!--", "<![CDATA[", "<?xml ",
    "&amp;", "&#", "&#1;", "&a", "&lt;", "%25", "%2", "%C3", "a.", "a-", "a/", "a/b?", "a=b&", "a,b;", "a b", "a1",
    "1a", "1.", "1,", "1/", "1-", "1:", "1 ", "01", "10", "2026", "2026-", "20/", "12.", "m/w/d", "(m/w/d)", "/in",
    "in ", "In", "senior ", "or ", "NY, ", ", NY ", "Bay City, ", "TX - ", "Berlin; ", "remote ", "1 more ",
    "24/7 ", "//", "../", "http://", "https://a.b/", "https://a/?b=", "www.", "www.a.", "utm_a=b&", "jan ",
    "12 may ", "T1:", "T12:00", "E+", "1E5", "\\u0000", "\\", '\\"', '{"a":', '"a",', "[1,", "1e", "v1,", "ß", "ä",
    "é", "e\u0301", "\u0301", "\u0345\u0301", "\u200d", "\u200b", "\u202e", "\ufdfa", "\ufb03", "\u0130",
    "\U0001f469\u200d", "日", "кириллица ", "ا", "\ud800", "sep=", "job\n", "...", "…", "<job>", "<job a=1>",
    "</job>", "<job><![CDATA[", "<job>&x;</job>", "<job><id>1</id><title>a</job>", ";;", '""', '",', '{"id":1}\n',
    "[[", "{}", ",{", '"a":{', "&x;", "<br", "a,", "\x85", "\u2028", "1\n", ",\n",
)  # fmt: skip
_BEFORE: Final = {
    "https://": ("a", "\ufdfa", ".", "a.", "www.", "xn--", "ß", "[", ":", "@", "1.", "%25", "-"),
    "https://a.de/": ("a", "/", "a/", "\ufdfa", "\u0345\u0301", "%CD%85%CC%81", "%", "?", "#", "-", "1",
        "1-", "job-",
    ),
    "https://a.de/?": ("a=b&", "&", "=", "utm_", "job=", "%26", "job", "source=1&"),
    "https://a.de/a#": ("a", "/", "#", "%25", "a="),
    "https://boards.greenhouse.io/a/jobs/": ("1", "1-", "a/", "/"),
    "https://jobs.smartrecruiters.com/": ("a/", "1-a/", "a-"),
    "https://a.myworkdayjobs.com/": ("a/", "R-1_", "_", "1-"),
    "a.de/": ("a", "/", "1"),
    "(": ("a", "a ", "(", ")"),
    "R": ("-", "0", "1", "-1"),
    "2026": ("-01", "-", "0", " "),
    "in ": ("A", "Aa ", "A-", "'"),
    '{"results": [{': (" ", "a", '"id"', '"a": 1, '),
    "<jobs>": ("<job>", "<", "</", "<a b=", "&"),
}  # fmt: skip
_AFTER: Final = ("", "x", "\0", "!")


def hostile_texts(size: int = SIZE) -> Iterator[str]:
    """Texts of `size` characters: one thing repeated, with what may stand before it, and an end that fits nothing."""
    for number, repeated in enumerate(_REPEATED):
        yield _of_size("", repeated, _AFTER[number % len(_AFTER)], size)
    for before, repetitions in _BEFORE.items():
        for number, repeated in enumerate(repetitions):
            yield _of_size(before, repeated, _AFTER[number % len(_AFTER)], size)
    half = size // 2
    yield "(" * half + ")" * half
    yield "a" * half + " " * half
    yield " " * half + "a" * half
    yield "[" * half + "]" * half
    yield " ".join(map(str, range(size // 6)))
    yield " ".join(f"w{number:x}" for number in range(size // 6))


def _of_size(before: str, repeated: str, after: str, size: int) -> str:
    return before + repeated * (size // len(repeated)) + after


class TooSlowError(Exception):
    """Stopped by the clock."""


@contextmanager
def stopped_after(seconds: float) -> Iterator[None]:
    """End what runs within after so many seconds of this process's own time; regular expressions can be ended too."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise TooSlowError

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def seconds_of(call: Callable[[], object], *, most: float) -> float:
    """What a call takes in seconds of this process, the quickest of three attempts where the first took too long.

    What a call refuses is as good as what it answers.
    """
    taken = most * 10
    for _ in range(3):
        clear_caches()
        start = time.process_time()
        with suppress(Exception), stopped_after(most * 10):
            call()
        taken = min(taken, time.process_time() - start)
        if taken <= most or taken > 4 * most:  # no busy machine makes so much of it
            break
    return taken


@functools.cache
def _caches() -> list[Any]:
    return [
        each
        for each in gc.get_objects()
        if isinstance(each, functools._lru_cache_wrapper)
        and each.__module__.startswith("kombo_pipeline.")
        and each.cache_info().maxsize is not None
    ]


def clear_caches() -> None:
    """Forget answers, so that each call is made anew. Tables that are read once stay."""
    for each in _caches():
        each.cache_clear()


# What a regular expression itself says would be slow


def attacks(pattern: re.Pattern[Any], size: int) -> list[Any]:
    """Texts made of the parts of a regular expression, each repeated until it nearly matches."""
    parts: list[tuple[str, str]] = []
    whole = _sample(_parser.parse(pattern.pattern, pattern.flags & ~re.DEBUG), "", parts)
    parts += [("", whole), ("", f"{whole} "), ("", whole[:-1])]
    parts += [("", whole[:length]) for length in range(1, min(len(whole), 12))]
    chosen = list(dict.fromkeys((before, part) for before, part in parts if part))
    chosen = chosen[:: len(chosen) // 60 + 1]
    texts = [_of_size(before, part, after, size) for before, part in chosen for after in ("", "\1")]
    if isinstance(pattern.pattern, bytes):
        return [text.encode("utf-8", "replace") for text in texts]
    return texts


def _sample(parsed: Any, before: str, parts: list[tuple[str, str]]) -> str:
    """A text that a parsed expression matches (or nearly); `parts` gets what can be repeated and what stands before."""
    text = ""
    for operation, value in parsed:
        here = _sample_of(operation, value, before + text, parts)
        if here and len(here) <= 40:
            parts += [(before + text, here), ("", here)]
        text += here
        parts.append(("", (before + text)[-40:]))
    return text


def _sample_of(operation: Any, value: Any, before: str, parts: list[tuple[str, str]]) -> str:
    match operation:
        case _constants.LITERAL:
            return chr(value)
        case _constants.NOT_LITERAL:
            return "b" if value == ord("a") else "a"
        case _constants.ANY:
            return "a"
        case _constants.IN:
            return _member(value, before, parts)
        case _constants.BRANCH:
            samples = [_sample(each, before, parts) for each in value[1]]
            return samples[0]
        case _constants.SUBPATTERN:
            return _sample(value[3], before, parts)
        case _constants.ATOMIC_GROUP:
            return _sample(value, before, parts)
        case _constants.GROUPREF_EXISTS:
            return _sample(value[1], before, parts)
        case _constants.MAX_REPEAT | _constants.MIN_REPEAT | _constants.POSSESSIVE_REPEAT:
            least, _, inner = value
            once = _sample(inner, before, parts)
            return once * max(1, min(least, 20))
        case _:  # places, and what is looked at before or after, take no character
            if operation in (_constants.ASSERT, _constants.ASSERT_NOT):
                _sample(value[1], before, parts)
            return ""


_OF_CATEGORY: Final = {
    _constants.CATEGORY_DIGIT: "1", _constants.CATEGORY_NOT_DIGIT: "a", _constants.CATEGORY_SPACE: " ",
    _constants.CATEGORY_NOT_SPACE: "a", _constants.CATEGORY_WORD: "a", _constants.CATEGORY_NOT_WORD: "-",
}  # fmt: skip


def _member(members: Sequence[Any], before: str, parts: list[tuple[str, str]]) -> str:
    if members[0][0] is _constants.NEGATE:
        out = "".join(filter(None, (_first_of(each) for each in members[1:])))
        return next(each for each in "a1 -~\n" if each not in out)
    found = [each for each in map(_first_of, members) if each]
    parts += [(before, each) for each in found]
    return found[0]


def _first_of(member: Any) -> str:
    kind, value = member
    if kind is _constants.LITERAL:
        return chr(value)
    return chr(value[0]) if kind is _constants.RANGE else _OF_CATEGORY[value]
