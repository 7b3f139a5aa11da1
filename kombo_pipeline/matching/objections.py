"""What speaks against two jobs being one although an identifier is the same. Pure.

Only the two jobs are looked at, so that the answer does not depend on when or with which others they are compared.
It is measured: `python -m benchmarks.objections` prints how many pairs of different jobs have no objection, and
how many pairs of one job have one.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final, Literal, NamedTuple

from rapidfuzz import fuzz
from rapidfuzz.distance import OSA

from kombo_pipeline.matching.languages import is_foreign, languages_of, occupations
from kombo_pipeline.matching.titles import Title, fold, plain_words, rarities, read_title, stem
from kombo_pipeline.matching.towns import Whereabouts, can_be_one, read_location, read_title_towns
from kombo_pipeline.matching.vocabulary import BEGINNERS, FUNCTION_WORDS, GRADES, ROLES, SEASONS, TERMS

Code = Literal["place", "level", "year", "intern", "contract", "title"]


class Least(NamedTuple):
    """How much of two titles must be the same, by the weight of their words, for the titles to agree."""

    covered: float  # of the title that has fewer words of its own
    both_covered: float  # of the other one


IN_ONE_PLACE: Final = Least(0.75, 0.25)
WITHOUT_PLACE: Final = Least(0.9, 0.4)
"""Where the place of one job is not known, nothing but the title tells two jobs of a customer apart."""
LEAST_MARK: Final = 75
"""A word may be a misspelled word for a grade or an internship from this similarity on (rapidfuzz, 0 to 100)."""
MAX_CHARACTERS: Final = 1000
MAX_WORDS: Final = 40
"""Longer texts, and more words of a title, are not compared."""
RARITY_OF_UNKNOWN: Final = 8.7
RARITY_POWER: Final = 0.75
"""The weight of a word is its rarity to this power: a rare word alone, such as a name, does not decide."""
EXPLAINED: Final = 0.1
"""What is left of the weight of a word that joins others, only repeats a place or a department, is in a language that
the other title does not speak, or of which another doubt is raised: "Senior", "Intern", "2026"."""
ROLE: Final = 0.3
"""What is left of the weight of "Manager" and the like, which also say a little of what the job is."""


@dataclass(frozen=True, slots=True)
class Side:
    """One job of a pair, as far as it is compared. Unknown texts are None or empty; any text is accepted."""

    title: str | None = None
    location: str | None = None
    employment_type: str | None = None
    department: str | None = None


class Doubt(NamedTuple):
    """One thing that speaks against a pair. Where one of the jobs says nothing of it, its text is empty."""

    code: Code
    own: str
    ats: str


def objections(own: Side, ats: Side) -> tuple[Doubt, ...]:
    """Return what speaks against the pair; empty where nothing does. The order of the two sides does not matter."""
    mine, theirs = _read(own), _read(ats)
    found = [
        _place(mine, theirs),
        _differing("year", mine.spans, theirs.spans)
        or _differing("year", mine.years, theirs.years)
        or _differing("year", mine.seasons, theirs.seasons),
        _beginner(mine, theirs),
        _level(mine, theirs),
        _contract(mine, theirs),
        _title(mine, theirs),
    ]
    return tuple([doubt for doubt in found if doubt])


def confirms(own: Side, ats: Side) -> bool:
    """Whether the titles of the two jobs can be compared, and agree."""
    mine, theirs = _read(own), _read(ats)
    return bool(mine.words and theirs.words) and _agree(mine, theirs) is True


def in_words(doubts: Iterable[Doubt]) -> str:
    """The doubts as they stand behind "the job code is the same, ": "but Berlin and Hamburg, Junior and Senior"."""
    told = []
    for doubt in doubts:
        if doubt.own and doubt.ats:
            told.append(f"{doubt.own} and {doubt.ats}")
        else:
            whose = "the own job" if doubt.own else "the ATS job"
            told.append(f"only {whose} says {doubt.own or doubt.ats}")
    return f"but {', '.join(told)}" if told else ""


class _Job(NamedTuple):
    """A job as it is compared. Sets hold canonical names; empty means unknown."""

    title: str
    folded: str
    languages: frozenset[str]
    words: tuple[str, ...]
    weighed: dict[str, tuple[str, float]]  # the stems of the words, with one word and its weight each
    grades: frozenset[str]
    optional: frozenset[str]  # grades in brackets: "(Senior) Consultant" is advertised for both
    roles: frozenset[str]
    numbers: frozenset[str]
    beginner: frozenset[str]
    field_beginner: frozenset[str]  # what the employment type says of it: it may confirm, but is often filled wrongly
    years: frozenset[str]
    spans: frozenset[str]  # "2025/26", which two cohorts that follow each other do not share
    seasons: frozenset[str]
    hours: frozenset[str]
    term: frozenset[str]
    where: Whereabouts  # of the location; of the title where the location leaves it open
    in_title: Whereabouts  # of the title alone
    place: str  # the same as shown to people
    is_cut: bool  # the title ends in "…"
    explained: frozenset[str]  # stems of the place and the department


def _read(side: Side) -> _Job:
    texts = (side.title, side.location, side.employment_type, side.department)
    return _read_job(*((text or "")[:MAX_CHARACTERS] for text in texts))


@lru_cache(maxsize=2**12)
def _read_job(title: str, location: str, employment_type: str, department: str) -> _Job:
    text = _NOTES.sub(" ", _NO_GRADE.sub(" ", title))
    read = read_title(text)
    marks = _marks(read)
    plain = _marks(read_title(_IN_BRACKETS.sub(" ", text))) if marks.grades and "(" in text else marks
    where, place = _whereabouts(title, location)
    folded = fold(text)
    spans = frozenset([f"20{first}/20{last}" for first, last in _SPAN.findall(folded) if int(last) == int(first) + 1])
    return _Job(
        title=title.strip(),
        folded=read.folded,
        languages=languages_of(title),
        words=read.words[:MAX_WORDS],
        weighed={stem(word): (word, _weight(word)) for word in read.words[:MAX_WORDS]},
        grades=marks.grades,
        optional=marks.grades - plain.grades,
        roles=marks.roles,
        numbers=read.numbers,
        beginner=marks.beginner,
        field_beginner=_beginner_in_field(employment_type),
        years=read.years.union(_YEARS.findall(folded), *(span.split("/") for span in spans)),
        spans=spans,
        seasons=read.seasons,
        hours=marks.terms & {"full time", "part time"},
        term=marks.terms & {"temporary", "permanent"},
        where=where,
        in_title=Whereabouts(read_title_towns(title)),
        place=place,
        is_cut=title.rstrip().endswith(("…", "...")),
        explained=frozenset(map(stem, plain_words(f"{location} {department}"))),
    )


@lru_cache(maxsize=1024)
def _beginner_in_field(employment_type: str) -> frozenset[str]:
    return _marks(read_title(employment_type.replace("_", " "))).beginner


class _Marks(NamedTuple):
    """What the words of a title say beside the job itself, by the tables of the vocabulary."""

    grades: frozenset[str]
    roles: frozenset[str]
    beginner: frozenset[str]
    terms: frozenset[str]


_NO_MARKS: Final = _Marks(frozenset(), frozenset(), frozenset(), frozenset())


def _marks(title: Title) -> _Marks:
    """Find the spellings of the tables in a title as it is written and in its core."""
    starting = _starting()
    words = {*title.folded.split(), *title.words}
    if starting.keys().isdisjoint(words):
        return _NO_MARKS
    text = f" {title.folded} | {' '.join(title.words)} "
    found: tuple[set[str], ...] = (set(), set(), set(), set())
    for word in words:
        for spelling, table, name in starting.get(word, ()):
            if " " not in spelling or f" {spelling} " in text:
                found[table].add(name)
    return _Marks(*map(frozenset, found))


@cache
def _starting() -> dict[str, list[tuple[str, int, str]]]:
    """The spellings of the tables by their first word, with the number of the table in `_Marks`."""
    starting: dict[str, list[tuple[str, int, str]]] = {}
    for number, table in enumerate((GRADES, ROLES, BEGINNERS, TERMS)):
        for spelling, name in table.items():
            starting.setdefault(spelling.split()[0], []).append((spelling, number, name))
    return starting


def _whereabouts(title: str, location: str) -> tuple[Whereabouts, str]:
    """The places of the location, or those of the title where the location leaves it open; the same for people."""
    where, named = read_location(location), read_title_towns(title)
    if where.spots and not where.is_open:
        return where, _shown(location)
    return Whereabouts(named, is_remote=where.is_remote), ", ".join(dict.fromkeys(spot.name.title() for spot in named))


def _place(mine: _Job, theirs: _Job) -> Doubt | None:
    if can_be_one(mine.where, theirs.where) or _names(mine, theirs.where) or _names(theirs, mine.where):
        return None
    return Doubt("place", mine.place, theirs.place)


def _names(job: _Job, where: Whereabouts) -> bool:
    """Whether the title names one of the places of the other job."""
    if job.in_title.spots and can_be_one(job.in_title, where):
        return True
    return any(f" {spot.name} " in f" {job.folded} " for spot in where.spots if spot.towns)


def _differing(code: Code, mine: frozenset[str], theirs: frozenset[str]) -> Doubt | None:
    """A doubt where both sides say something and nothing of it is the same."""
    return Doubt(code, _listed(mine), _listed(theirs)) if mine and theirs and not mine & theirs else None


def _beginner(mine: _Job, theirs: _Job) -> Doubt | None:
    """Interns, working students and apprentices beside each other, and beside jobs that are none of these."""
    ours, others = mine.beginner, theirs.beginner
    if not (ours or others) or (ours | mine.field_beginner) & (others | theirs.field_beginner):
        return None
    if (not others and _may_say(theirs, mine)) or (not ours and _may_say(mine, theirs)):
        return None
    return Doubt("intern", _listed(ours), _listed(others))


def _may_say(job: _Job, other: _Job) -> bool:
    """Whether a title may say what only the other one says: it was cut off, or a word is spelled wrongly."""
    if job.is_cut:
        return True
    words, others = job.folded.split()[:MAX_WORDS], other.folded.split()[:MAX_WORDS]
    lone = [word for word in words if word not in others and len(word) > 3]
    marks = [word for word in others if word not in words and any(word in table for table in _MARKS)]
    return any(fuzz.ratio(word, mark) >= LEAST_MARK for word in lone for mark in marks)


def _level(mine: _Job, theirs: _Job) -> Doubt | None:
    return (
        _differing("level", mine.grades, theirs.grades)
        or _lone_grade(mine, theirs)
        or ("leading" not in mine.roles | theirs.roles and _differing("level", mine.roles, theirs.roles))
        or _differing("level", mine.numbers, theirs.numbers)
        or None
    )


def _lone_grade(mine: _Job, theirs: _Job) -> Doubt | None:
    """A doubt where one title names a grade above or below, or a lead, and the other names none.

    No grade is the middle one: seniors are told apart from it, while a junior is often advertised without saying so.
    Beside a manager an assistant is another job; elsewhere "assistant" is the job itself.
    """
    for job, other in ((mine, theirs), (theirs, mine)):
        if job.roles & _LEADING and not other.roles and not other.grades and not _may_say(other, job):
            return Doubt("level", _listed(mine.roles), _listed(theirs.roles))
        telling = {"senior", "staff", "principal", "deputy"} | ({"assistant"} if other.roles else set())
        if job.grades and not job.optional and job.grades <= telling and not other.grades and not _may_say(other, job):
            return Doubt("level", _listed(mine.grades), _listed(theirs.grades))
    return None


def _contract(mine: _Job, theirs: _Job) -> Doubt | None:
    return _differing("contract", mine.hours, theirs.hours) or _differing("contract", mine.term, theirs.term)


def _title(mine: _Job, theirs: _Job) -> Doubt | None:
    if not mine.words or not theirs.words or _agree(mine, theirs) is not False:
        return None
    return Doubt("title", _shown(mine.title, "“{}”"), _shown(theirs.title, "“{}”"))


def _agree(mine: _Job, theirs: _Job) -> bool | None:
    """Whether the titles agree; None where they are in two languages and cannot be compared."""
    less, more = sorted(_alikeness(mine, theirs))
    least = IN_ONE_PLACE if mine.where.spots and theirs.where.spots else WITHOUT_PLACE
    if more >= least.covered and less >= least.both_covered:
        return True
    one_language = not mine.languages or not theirs.languages or mine.languages & theirs.languages
    if one_language and not _is_strange(mine, theirs) and not _is_strange(theirs, mine):
        return False
    ours, others = (occupations({*job.words, *job.folded.split()[:MAX_WORDS]}) for job in (mine, theirs))
    return None if ours & others or not ours or not others else False


def _alikeness(mine: _Job, theirs: _Job) -> tuple[float, float]:
    """The share of each title that the other one repeats, by the weight of the words."""
    ours, others = _weighed(mine, theirs), _weighed(theirs, mine)
    return _covered(ours, others), _covered(others, ours)


def _is_strange(job: _Job, other: _Job) -> bool:
    """Whether half of a title's words or more are in a language that the other title does not speak."""
    if job.languages <= other.languages:
        return False
    return 2 * sum(_is_foreign(word, job, other) for word in job.words) >= len(job.words)


def _is_foreign(word: str, job: _Job, other: _Job) -> bool:
    return is_foreign(word, title=job.languages, other=other.languages)


def _weight(word: str) -> float:
    weight = float(rarities().get(stem(word), RARITY_OF_UNKNOWN) ** RARITY_POWER)
    says_nothing = word in FUNCTION_WORDS or word.isdecimal() or (len(word) <= 2 and stem(word) not in rarities())
    if says_nothing or any(word in table for table in (GRADES, BEGINNERS, SEASONS)):
        return weight * EXPLAINED
    return weight * ROLE if word in ROLES else weight


def _weighed(job: _Job, other: _Job) -> dict[str, tuple[str, float]]:
    """The words of a title by stem, with their weights beside the other job."""
    weights = job.weighed
    explained = [each for each in weights if each in job.explained or each in other.explained]
    if not job.languages <= other.languages:
        explained += [each for each, (word, _) in weights.items() if _is_foreign(word, job, other)]
    if explained:
        weights = weights | {each: (weights[each][0], weights[each][1] * EXPLAINED) for each in explained}
    return weights


def _covered(ours: dict[str, tuple[str, float]], others: dict[str, tuple[str, float]]) -> float:
    total = sum(weight for _, weight in ours.values())
    lone = [word for each, (word, _) in others.items() if each not in ours]
    shared = sum(weight for each, (word, weight) in ours.items() if each in others or _is_alike(word, lone))
    return shared / total if total else 0.0


def _is_alike(word: str, others: Iterable[str]) -> bool:
    """Whether another word is this one, misspelled (a letter in four) or inside a compound."""
    if len(word) < 4:
        return False
    first, last = word[0], word[-1]
    return any(_is_variant(word, other) for other in others if other[0] == first or other[-1] == last)


@lru_cache(maxsize=2**15)
def _is_variant(word: str, other: str) -> bool:
    shorter, longer = sorted((word, other), key=len)
    if len(shorter) >= 6 and (longer.startswith(shorter) or longer.endswith(shorter)):
        return True
    return word[0] == other[0] and OSA.distance(word, other, score_cutoff=2) <= len(shorter) // 4


_MARKS: Final = (GRADES, ROLES, BEGINNERS)
_LEADING: Final = frozenset({"lead", "head", "director", "chief", "vice president"})
_NOTES: Final = re.compile(
    r"\([^()]{0,60}(?:sponsorship|citizen|clearance|required|resident|f1\b|visa)[^()]{0,60}\)", re.IGNORECASE
)
_IN_BRACKETS: Final = re.compile(r"\([^()]*\)")
_NO_GRADE: Final = re.compile(
    r"(?<![\d.,/])\d{1,3}(?:[.,:]\d{1,2})?\s*(?:(?:[-–/]|bis|to|a)\s*\d{1,3}(?:[.,:]\d{1,2})?\s*)?"
    r"(?:%|(?:h|hrs?|hours?|std|stunden|uur|uren|horas|heures|ore|uhr|am|pm|months?|monate?n?|mois|mesi|meses|maanden"
    r"|weeks?|wochen|years?|jahre?n?|days?|tage|locations?|positions?|stellen|standorte)\b)"
    r"|[$€£]\s?\d[\d.,]*\s?k?|\b\d[\d.,]*\s?(?:€|\$|(?:k|euro|eur)\b)"
    r"|\b\d{1,2}[./]\d{1,2}[./](?=(?:19|20)\d\d\b)|\b\d{1,2}\.\d{1,2}\.|\b24\s?/\s?7\b",
    re.IGNORECASE,
)
"""Numbers of hours, money, dates and places: they are no step of a career."""
_YEARS: Final = re.compile(r"\b(20[12345]\d)(?:er)?\b")
_SPAN: Final = re.compile(r"\b(?:20)?([23]\d)\s?[/-]\s?(?:20)?([23]\d)\b")


def _listed(names: Iterable[str]) -> str:
    return " or ".join(name if name[:1].isdecimal() else name.capitalize() for name in sorted(names))


def _shown(text: str, form: str = "{}") -> str:
    text = " ".join(text.split())
    return form.format(text if len(text) <= 80 else f"{text[:79]}…")
