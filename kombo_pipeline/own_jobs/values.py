"""Values of a record as the texts of an own job: unescaped, without what a spreadsheet did to them."""

import html
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from kombo_pipeline import limits
from kombo_pipeline.own_jobs.names import ADDRESSES, PLACE, WITHIN, WITHIN_OTHERS, is_wrapper, key

MAX_DEPTH: Final = 6
"""Named values are looked for so deep in a record."""
MAX_PLACE: Final = 1000
"""A place of more is a text: it gets no parts."""

_FAR_TOO_LONG: Final = 10 * max(limit.most for limit in limits.OWN_JOB.values())

_ENTITY: Final = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_TAG: Final = re.compile(
    r"</?(?:a|abbr|b|big|br|code|div|em|font|h[1-6]|hr|i|li|mark|nobr|ol|p|s|small|span|strong|sub|sup|tt|u|ul|wbr)"
    r"(?:\s[^<>]{0,500})?/?>",
    re.IGNORECASE,
)
_BREAKING_TAG: Final = re.compile(r"</?(?:br|div|h|li|ol|p|ul)", re.IGNORECASE)
_NOTHING: Final = frozenset({"nan", "null", "none", "undefined", "n/a", "nat", "<na>"})
"""What programs write where there is no value."""

_ERROR: Final = re.compile(r"#(?:N/A|NV|[A-ZÄÖÜ0-9/]{3,12}[!?]|#+)", re.IGNORECASE)
_FORMULA: Final = re.compile(r"=\s*[\w\"'(+$-]")
_TEXT_FORMULA: Final = re.compile(r'="++([^"]++)"++|="{2,}+')
_ROUNDED: Final = re.compile(r"[+-]?\d(?:[.,]\d+)?E\+\d{1,3}", re.IGNORECASE)
_NO_NUMBER: Final = re.compile(r"[+-]?inf(?:inity)?|-0(?:[.,]0*)?", re.IGNORECASE)
_MIDNIGHT: Final = re.compile(r"\d{4}-\d\d-\d\d[ T]00:00:00(?:\.0+)?")


def named(fields: Mapping[str, Any], depth: int = 0) -> dict[str, Any]:
    """Return the values of a record by the keys of their names: the record's own, then those nested in it.

    A value within another has both names, `identifiervalue`; within what only wraps a record, its own alone. The
    annotations of JSON-LD are no names, except for `@id`.
    """
    given: dict[str, Any] = {}
    for name, value in fields.items():
        # JSON:API keeps the kind of resource beside the attributes.
        is_kind = name == "type" and "attributes" in fields
        if not is_kind and (not name.startswith("@") or name == "@id"):
            given.setdefault(key(name), value)
    given.pop("", None)
    for wraps in (True, False):
        for name, value in fields.items():
            inner = value[0] if isinstance(value, list) and len(value) == 1 else value
            if isinstance(inner, dict) and is_wrapper(name) is wraps and depth < MAX_DEPTH:
                for within, nested in named(inner, depth + 1).items():
                    if wraps or not within.startswith("@"):
                        given.setdefault(within if wraps else key(name) + within, nested)
    return given


def plain(value: Any, within: Sequence[str] = WITHIN_OTHERS) -> str:
    """Return a value as one text: of a list the first one, of named values the first of `within`."""
    return next(iter(texts(value, within)), "")


def texts(value: Any, within: Sequence[str] = WITHIN_OTHERS, depth: int = 0) -> list[str]:
    """Return the texts of a value that are not blank, one for each element of a list."""
    if isinstance(value, str):
        return [text] if (text := clean(value)) else []
    if depth > MAX_DEPTH:
        return []
    match value:
        case None:
            found: Iterable[str] = ()
        case bool():
            found = ("true" if value else "false",)
        case float() if not math.isfinite(value):
            found = ()
        case float() if value == 0 and math.copysign(1, value) < 0:
            found = ("-0",)  # no number that anybody counts with; as a text it is seen
        case float() if value.is_integer() and abs(value) < 2**53:
            found = (str(int(value)),)
        case list():
            found = (text for each in value if _is_meant(each) for text in texts(each, within, depth + 1))
        case dict():
            inner = {key(name): each for name, each in value.items()}
            found = next(filter(None, (texts(inner.get(name), within, depth + 1) for name in within)), ())
        case _:
            found = (clean(str(value)),)
    return [text for text in found if text]


def _is_meant(value: Any) -> bool:
    """Whether a link is the address of the thing itself: not that of its icon, its feed, its author."""
    return not isinstance(value, dict) or value.get("rel") in (None, "", "alternate")


def clean(text: str) -> str:
    """Return the text without what Postgres cannot keep: null bytes and halves of surrogate pairs."""
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()
    return text.replace("\0", "").strip()


def unescaped(text: str) -> str:
    """Return a text without the markup of HTML, which may have been escaped several times."""
    for _ in range(4):
        if "&" not in text or (once := _ENTITY.sub(lambda found: html.unescape(found[0]), text)) == text:
            break
        text = once
    if "<" in text:
        text = _TAG.sub(lambda found: " " if _BREAKING_TAG.match(found[0]) else "", text)
    return clean(re.sub(" {2,}", " ", text.replace("\xa0", " ")))


def is_nothing(text: str) -> bool:
    """Whether a text stands for a missing value."""
    return text.casefold() in _NOTHING


def undamaged(text: str) -> tuple[str, str]:
    """Return a text as it was before a spreadsheet wrote it, and why it cannot be told, "" if it can.

    `="007"` and `'007` are ways to keep 007 a text.
    """
    if found := _TEXT_FORMULA.fullmatch(text):
        return (found[1] or "").strip(), ""
    if text.startswith("'") and "'" not in text[1:]:
        text = text[1:].strip()
    if _FORMULA.match(text):
        return text, "a formula, not its value"
    if _ERROR.fullmatch(text):
        return text, "an error of a spreadsheet"
    return text, ""


def damage_of_number(text: str) -> str:
    """Return what a spreadsheet did to an id or a code so that it cannot be told any more, "" if nothing."""
    if _ROUNDED.fullmatch(text):
        return "a number that a spreadsheet has rounded; format the column as text and export it again"
    if _NO_NUMBER.fullmatch(text):
        return "no number that can be an id"
    if _MIDNIGHT.fullmatch(text):
        return "a date that a spreadsheet has made of it; format the column as text and export it again"
    return ""


def number(value: Any, within: Sequence[str]) -> tuple[str, str]:
    """Return an id or a code, and what a spreadsheet did to it so that it cannot be told."""
    is_infinite = isinstance(value, float) and math.isinf(value)
    text = str(value) if is_infinite else "" if isinstance(value, bool) else plain(value, within)
    if is_far_too_long(text):
        return text, ""
    text, damage = undamaged(text)
    if is_nothing(text):
        return "", ""
    return text, damage or damage_of_number(text)


def is_whole(text: str) -> bool:
    """Whether a text is a number that a program has written with a decimal: 3.0."""
    return re.fullmatch(r"[0-9]+[.,]0", text) is not None


def is_decimal(text: str) -> bool:
    """Whether a text is a number with decimals."""
    return re.fullmatch(r"[0-9]+[.,][0-9]+", text) is not None


def is_far_too_long(text: str) -> bool:
    """Whether a text is too long for every column, whatever markup is taken out of it; it need not be looked at."""
    return len(text) > _FAR_TOO_LONG


def too_long(column: str, text: str) -> str:
    """Return how much too long a text is for a column, "" where it is not."""
    fault = limits.OWN_JOB[column].fault(text) if column in limits.OWN_JOB else ""
    return f"{column} is too long: {fault}" if fault else ""


def places(value: Any, depth: int = 0) -> list[str]:
    """Return the places that a value names, each as one text: the name of a place, its city, region and country."""
    if depth > MAX_DEPTH:
        return []
    if isinstance(value, list):
        return [place for each in value for place in places(each, depth + 1)]
    if not isinstance(value, dict):
        return list(filter(None, map(unescaped, texts(value))))
    given = dict(_with_address(value, depth))
    composed = composed_places(given)
    for name in WITHIN["location"]:
        inner = given.get(name)
        if isinstance(inner, (list, dict)):
            if not composed and (found := places(inner, depth + 1)):
                return found
        elif text := unescaped(plain(inner)):
            return [one_place(text, composed[:1])]
    if composed:
        return composed
    address = next((plain(each) for name, each in given.items() if name in ADDRESSES and isinstance(each, str)), "")
    return list(filter(None, [unescaped(address)]))


def _with_address(value: Mapping[str, Any], depth: int) -> Iterator[tuple[str, Any]]:
    """The named values of a place, those of its address included."""
    for name, each in value.items():
        inner = each[0] if isinstance(each, list) and len(each) == 1 else each
        if key(name) in ADDRESSES and isinstance(inner, dict) and depth < MAX_DEPTH:
            yield from _with_address(inner, depth + 1)
        yield key(name), each


def composed_places(given: Mapping[str, Any]) -> list[str]:
    """Return the places whose city, region and country are given by name; of several cities each is one."""
    cities, *others = ([part for name in names if name in given for part in texts(given[name])] for names in PLACE)
    # A region and a country come under several names, in words and as a code.
    parts = [unescaped(next(iter(found), "")) for found in others]
    found = [unescaped(city) for city in dict.fromkeys(cities) if not is_nothing(city)] or [""]
    wholes = (one_place(city, [part for part in parts if part and not is_nothing(part)]) for city in found)
    return list(filter(None, wholes))


def one_place(text: str, parts: Iterable[str]) -> str:
    """Return a place as text, with those of its parts that the text does not name already."""
    for part in (part.strip() for whole in parts for part in whole[:MAX_PLACE].split(",")):
        if len(text) > MAX_PLACE:
            break
        if not names_place(text, part):
            text = f"{text}, {part}" if text else part
    return text


def names_place(text: str, part: str) -> bool:
    """Whether a text has the name of a place in it, as whole words."""
    # A text this long is the name of no place, and a pattern of it takes long to make.
    return (
        len(part) <= MAX_PLACE
        and part.casefold() in text.casefold()
        and bool(re.search(rf"(?<!\w){re.escape(part)}(?!\w)", text, re.IGNORECASE))
    )
