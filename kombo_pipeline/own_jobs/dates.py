"""The day that a text names, in the forms that files of jobs have; None rather than a wrong one."""

import re
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Final

MAX_CHARACTERS: Final = 100
"""Longer texts name no day."""

_MONTHS: Final[Mapping[str, int]] = {
    name: number
    for number, names in enumerate(
        (
            "january jan januar janner janvier janv enero ene januari gennaio gen janeiro",
            "february feb februar feber fevrier fevr fev febrero februari febbraio fevereiro",
            "march mar marz maerz mrz mars marzo maart mrt marco",
            "april apr avril avr abril abr aprile",
            "may mai mayo mei maggio mag maio",
            "june jun juni juin junio giugno giu junho",
            "july jul juli juillet juil julio luglio lug julho",
            "august aug aout agosto ago augustus",
            "september sep sept septembre septiembre settembre set setembro",
            "october oct oktober okt octobre octubre ottobre ott outubro out",
            "november nov novembre noviembre novembro",
            "december dec dezember dez decembre diciembre dic dicembre dezembro",
        ),
        start=1,
    )
    for name in names.split()
}
_WEEKDAY_NAMES: Final = """
    monday tuesday wednesday thursday friday saturday sunday mon tue tues wed thu thur thurs fri sat sun
    montag dienstag mittwoch donnerstag freitag samstag sonnabend sonntag mo di mi do fr sa so
    lundi mardi mercredi jeudi vendredi samedi dimanche lun mar mer jeu ven sam dim
    lunes martes miercoles jueves viernes sabado domingo mie jue vie sab dom
    maandag dinsdag woensdag donderdag vrijdag zaterdag zondag ma wo vr za zo
"""
_WEEKDAYS: Final = frozenset(_WEEKDAY_NAMES.split())
_FILLER_WORDS: Final = "of the de del den der le el di am um at on op om a uhr utc gmt z"
_FILLERS: Final = frozenset(_FILLER_WORDS.split())
_TIME: Final = re.compile(
    r"(?:(?<=\d)T|[\s,]|\bum\b|\bat\b)\s*\d{1,2}[:h]\d\d(?::\d\d(?:[.,]\d+)?)?(?:\s*[ap]\.?m\b\.?)?(?:\s*uhr\b)?"
    r"(?:\s*(?:z|(?:gmt|utc)?[+-]\d\d:?\d\d|[a-z]{3,4}(?=\s*$)))?(?:\s*\([^()]*\))?",
    re.IGNORECASE,
)
_FIRST_SERIAL, _LAST_SERIAL = 36526, 62091
"""1 January 2000 and 31 December 2069 as numbers of a spreadsheet."""


def read_date(text: str) -> date | None:
    """Return the day that a text names: ISO, mail and feed dates, 31.12.2026, 31 December 2026 (in English, German,
    French, Spanish, Dutch, Italian or Portuguese), Unix time (UTC), the number of a day in a spreadsheet.

    None where it names none, or may mean two: 03/04/2026 is a day in March or in April.
    """
    text = text.strip()
    if len(text) > MAX_CHARACTERS:
        return None
    day: date | None = None
    with suppress(ValueError, OverflowError, OSError):
        day = _of_number(text) or _of_figures(_TIME.sub(" ", text).strip()) or _of_words(_TIME.sub(" ", text))
    return day if day and 1970 <= day.year <= 2100 else None


def _of_number(text: str) -> date | None:
    if found := re.fullmatch(r"(?:/Date\()?(\d{10})(?:\d{3})?(?:\.\d+)?(?:[+-]\d{4})?(?:\)/)?", text):
        return datetime.fromtimestamp(int(found[1]), UTC).date()
    if re.fullmatch(r"\d{5}(?:[.,]\d+)?", text) and _FIRST_SERIAL <= int(text[:5]) <= _LAST_SERIAL:
        return date(1899, 12, 30) + timedelta(days=int(text[:5]))
    return None


def _of_figures(text: str) -> date | None:
    if re.fullmatch(r"\d{8}(?:T\d{4,6}(?:\.\d+)?Z?)?|\d{4}-?W\d\d-?\d", text):
        return date.fromisoformat(text.partition("T")[0])
    if found := re.match(r"(\d{4})([-/.])(\d\d?)\2(\d\d?)(?!\d)(?![-/.]\d)", text):
        return date(int(found[1]), int(found[3]), int(found[4])) if _rest_is_time(text[found.end() :]) else None
    if found := re.fullmatch(r"(\d\d?)\.\s?(\d\d?)\.\s?(\d{4}|\d\d)\.?", text):
        year = int(found[3])
        return date(year if year > 99 else 2000 + year, int(found[2]), int(found[1]))
    if found := re.fullmatch(r"(\d\d?)([-/])(\d\d?)\2(\d{4})", text):
        first, second, year = int(found[1]), int(found[3]), int(found[4])
        possible = {(month, of_month) for month, of_month in ((first, second), (second, first)) if month <= 12}
        return date(year, *possible.pop()) if len(possible) == 1 else None
    return None


def _rest_is_time(rest: str) -> bool:
    return re.match(r"[T\s]|Z?$|[+-]\d\d:\d\d$", rest) is not None


def _of_words(text: str) -> date | None:
    """A month in words, a day and a year, whatever their order; every other word must be one of a date."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    tokens = re.findall(r"\d+|[^\W\d_]+", re.sub(r"(?<=\d)(?:st|nd|rd|th|er|e|o)\b", "", plain))
    words = [token for token in tokens if not token[0].isdigit()]
    numbers = [token for token in tokens if token[0].isdigit()]
    months = [word for word in words if word in _MONTHS]
    if len(months) > 1:  # "mar. 5 mai": Tuesday
        months = [word for word in months if word not in _WEEKDAYS]
    known = all(word in _MONTHS or word in _WEEKDAYS or word in _FILLERS for word in words)
    if not known or len(months) != 1 or len(numbers) != 2:
        return None
    day, year = sorted(numbers, key=len) if {len(number) for number in numbers} != {2} else numbers
    short = len(year) == 2 and re.fullmatch(r"\s*\d\d?[-/. ]+[a-z]+[-/. ]+\d\d\s*", plain)
    if len(day) > 2 or not (len(year) == 4 or short):
        return None
    return date(int(year) if len(year) == 4 else 2000 + int(year), _MONTHS[months[0]], int(day))
