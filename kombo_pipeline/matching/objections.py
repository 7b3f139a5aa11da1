"""Reasons to doubt that two jobs with the same identifier are one job: place, level, year, intern, contract or title.

Pure. Only the two jobs are read, so the result does not depend on other jobs or on when they are compared. Measure it
with `python -m benchmarks.objections`: it prints how many pairs of different jobs have no objection (too lenient), and
how many pairs of the same job have one (too strict).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final, Literal, NamedTuple

from rapidfuzz import fuzz
from rapidfuzz.distance import OSA

from kombo_pipeline.matching.languages import is_foreign, languages_of, occupations
from kombo_pipeline.matching.titles import Title, fold, idf_by_stem, plain_words, read_title, stem
from kombo_pipeline.matching.towns import Whereabouts, can_be_one, read_location, read_title_towns
from kombo_pipeline.matching.word_lists import BEGINNERS, FUNCTION_WORDS, GRADES, ROLES, SEASONS, TERMS

Code = Literal["place", "level", "year", "intern", "contract", "title"]


class CoverageThreshold(NamedTuple):
    """Two titles agree when these shares of them, by the weight of their words, are repeated by the other title."""

    higher: float  # for the title of which more is repeated
    lower: float  # for the other one


WITH_PLACES: Final = CoverageThreshold(0.75, 0.25)
WITHOUT_PLACE: Final = CoverageThreshold(0.9, 0.4)
"""The threshold is higher where the place of a job is not known, for then only the title tells two jobs apart."""
MARK_SIMILARITY: Final = 75
"""From this similarity on (rapidfuzz, 0 to 100) a word may be a misspelled word of GRADES, ROLES or BEGINNERS."""
MAX_CHARACTERS: Final = 1000
MAX_WORDS: Final = 40
"""Texts are cut to this length, titles to this many words."""
IDF_OF_UNKNOWN: Final = 8.7
"""IDF of a word that the table does not have."""
IDF_POWER: Final = 0.75
"""The weight of a word is its IDF to this power. Below 1, so that one rare word, such as a name, does not decide."""
EXPLAINED: Final = 0.1
"""Factor for the weight of a word that is a function word ("and"), repeats a place or a department, is in a language
that the other title does not use, or is compared by another objection ("Senior", "Intern", "2026")."""
ROLE: Final = 0.3
"""Factor for the weight of words such as "Manager", which are compared as a level but also name the job a little."""


@dataclass(frozen=True, slots=True)
class Side:
    """The fields of one job that are compared. Unknown texts are None or empty; any text is accepted."""

    title: str | None = None
    location: str | None = None
    employment_type: str | None = None
    department: str | None = None


class Doubt(NamedTuple):
    """One objection: what it is about, and what each job says. The text of a job that says nothing is empty."""

    code: Code
    own: str
    ats: str


def objections(own: Side, ats: Side) -> tuple[Doubt, ...]:
    """Return the objections to the pair, empty where there are none. The order of the two jobs does not matter."""
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
    """Return whether the titles of the two jobs agree; False also where they cannot be compared."""
    mine, theirs = _read(own), _read(ats)
    return bool(mine.words and theirs.words) and _agree(mine, theirs) is True


def in_words(doubts: Iterable[Doubt]) -> str:
    """Return the second half of the sentence "the job code is the same, but Berlin and Hamburg, Junior and Senior"."""
    parts = []
    for doubt in doubts:
        if doubt.own and doubt.ats:
            parts.append(f"{doubt.own} and {doubt.ats}")
        else:
            whose = "the own job" if doubt.own else "the ATS job"
            parts.append(f"only {whose} says {doubt.own or doubt.ats}")
    return f"but {', '.join(parts)}" if parts else ""


class _Job(NamedTuple):
    """A job, read for comparison. Sets hold canonical names; empty means unknown."""

    title: str
    folded: str
    languages: frozenset[str]
    words: tuple[str, ...]
    weighed: dict[str, tuple[str, float]]  # stem -> (word, weight)
    grades: frozenset[str]
    optional: frozenset[str]  # grades in brackets: "(Senior) Consultant" is advertised for both
    roles: frozenset[str]
    numbers: frozenset[str]
    beginner: frozenset[str]
    field_beginner: frozenset[str]  # from the employment type, which may confirm the title but is often wrong
    years: frozenset[str]
    spans: frozenset[str]  # "2025/26": consecutive cohorts share a year but not a span
    seasons: frozenset[str]
    hours: frozenset[str]
    term: frozenset[str]
    where: Whereabouts  # from the location, or from the title where the location is open
    in_title: Whereabouts  # from the title alone
    place: str  # `where` in words
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
    """Grades, roles, kinds of beginners and terms of contract that a title names, from the tables of word_lists."""

    grades: frozenset[str]
    roles: frozenset[str]
    beginner: frozenset[str]
    terms: frozenset[str]


_NO_MARKS: Final = _Marks(frozenset(), frozenset(), frozenset(), frozenset())


def _marks(title: Title) -> _Marks:
    """Find the spellings of the word lists in the whole title and in its core."""
    spellings = _spellings_by_first_word()
    words = {*title.folded.split(), *title.words}
    if spellings.keys().isdisjoint(words):
        return _NO_MARKS
    text = f" {title.folded} | {' '.join(title.words)} "
    found: tuple[set[str], ...] = (set(), set(), set(), set())
    for word in words:
        for spelling, table, name in spellings.get(word, ()):
            if " " not in spelling or f" {spelling} " in text:
                found[table].add(name)
    return _Marks(*map(frozenset, found))


@cache
def _spellings_by_first_word() -> dict[str, list[tuple[str, int, str]]]:
    """Return first word -> (spelling, index of its table in `_Marks`, canonical name)."""
    spellings: dict[str, list[tuple[str, int, str]]] = {}
    for number, table in enumerate((GRADES, ROLES, BEGINNERS, TERMS)):
        for spelling, name in table.items():
            spellings.setdefault(spelling.split()[0], []).append((spelling, number, name))
    return spellings


def _whereabouts(title: str, location: str) -> tuple[Whereabouts, str]:
    """Return the places of the location, or those of the title where the location is open, and the same in words."""
    where, named = read_location(location), read_title_towns(title)
    if where.spots and not where.is_open:
        return where, _shown(location)
    return Whereabouts(named, is_remote=where.is_remote), ", ".join(dict.fromkeys(spot.name.title() for spot in named))


def _place(mine: _Job, theirs: _Job) -> Doubt | None:
    if can_be_one(mine.where, theirs.where) or _names(mine, theirs.where) or _names(theirs, mine.where):
        return None
    return Doubt("place", mine.place, theirs.place)


def _names(job: _Job, where: Whereabouts) -> bool:
    """Return whether the title names one of the places of the other job."""
    if job.in_title.spots and can_be_one(job.in_title, where):
        return True
    return any(f" {spot.name} " in f" {job.folded} " for spot in where.spots if spot.towns)


def _differing(code: Code, mine: frozenset[str], theirs: frozenset[str]) -> Doubt | None:
    """Return an objection where both sets have values and none in common."""
    return Doubt(code, _listed(mine), _listed(theirs)) if mine and theirs and not mine & theirs else None


def _beginner(mine: _Job, theirs: _Job) -> Doubt | None:
    """Object to different kinds of beginners (an intern and an apprentice), and to a beginner beside a regular job."""
    ours, others = mine.beginner, theirs.beginner
    if not (ours or others) or (ours | mine.field_beginner) & (others | theirs.field_beginner):
        return None
    if (not others and _may_say(theirs, mine)) or (not ours and _may_say(mine, theirs)):
        return None
    return Doubt("intern", _listed(ours), _listed(others))


def _may_say(job: _Job, other: _Job) -> bool:
    """Return whether a mark that only the other title has may be in this one too: cut off, or misspelled."""
    if job.is_cut:
        return True
    words, others = job.folded.split()[:MAX_WORDS], other.folded.split()[:MAX_WORDS]
    lone = [word for word in words if word not in others and len(word) > 3]
    marks = [word for word in others if word not in words and any(word in table for table in _MARKS)]
    return any(fuzz.ratio(word, mark) >= MARK_SIMILARITY for word in lone for mark in marks)


def _level(mine: _Job, theirs: _Job) -> Doubt | None:
    return (
        _differing("level", mine.grades, theirs.grades)
        or _lone_grade(mine, theirs)
        or ("leading" not in mine.roles | theirs.roles and _differing("level", mine.roles, theirs.roles))
        or _differing("level", mine.numbers, theirs.numbers)
        or None
    )


def _lone_grade(mine: _Job, theirs: _Job) -> Doubt | None:
    """Object where one title names a grade or a leading role and the other names none.

    A title without a grade means the middle grade. "Senior" differs from it; "Junior" does not, because juniors are
    often advertised without the word. "Assistant" counts only beside a role such as "Manager"; elsewhere it is the job.
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
    """Return whether the titles agree; None where they cannot be compared because they are in two languages."""
    lower, higher = sorted(_coverages(mine, theirs))
    threshold = WITH_PLACES if mine.where.spots and theirs.where.spots else WITHOUT_PLACE
    if higher >= threshold.higher and lower >= threshold.lower:
        return True
    one_language = not mine.languages or not theirs.languages or mine.languages & theirs.languages
    if one_language and not _is_mostly_foreign(mine, theirs) and not _is_mostly_foreign(theirs, mine):
        return False
    ours, others = (occupations({*job.words, *job.folded.split()[:MAX_WORDS]}) for job in (mine, theirs))
    return None if ours & others or not ours or not others else False


def _coverages(mine: _Job, theirs: _Job) -> tuple[float, float]:
    """Return the share of each title, by the weight of its words, that the other title repeats."""
    ours, others = _weighed(mine, theirs), _weighed(theirs, mine)
    return _covered(ours, others), _covered(others, ours)


def _is_mostly_foreign(job: _Job, other: _Job) -> bool:
    """Return whether at least half of the title's words are in a language that the other title does not use."""
    if job.languages <= other.languages:
        return False
    return 2 * sum(_is_foreign(word, job, other) for word in job.words) >= len(job.words)


def _is_foreign(word: str, job: _Job, other: _Job) -> bool:
    return is_foreign(word, title=job.languages, other=other.languages)


def _weight(word: str) -> float:
    weight = float(idf_by_stem().get(stem(word), IDF_OF_UNKNOWN) ** IDF_POWER)
    says_nothing = word in FUNCTION_WORDS or word.isdecimal() or (len(word) <= 2 and stem(word) not in idf_by_stem())
    if says_nothing or any(word in table for table in (GRADES, BEGINNERS, SEASONS)):
        return weight * EXPLAINED
    return weight * ROLE if word in ROLES else weight


def _weighed(job: _Job, other: _Job) -> dict[str, tuple[str, float]]:
    """Return stem -> (word, weight) of a title, with the factor EXPLAINED applied for this other job."""
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
    """Return whether one of the other words is this one misspelled (one letter in four), or a compound with it."""
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
"""Numbers of hours, money, dates and places, which do not stand for a grade ("Engineer 2")."""
_YEARS: Final = re.compile(r"\b(20[12345]\d)(?:er)?\b")
_SPAN: Final = re.compile(r"\b(?:20)?([23]\d)\s?[/-]\s?(?:20)?([23]\d)\b")


def _listed(names: Iterable[str]) -> str:
    return " or ".join(name if name[:1].isdecimal() else name.capitalize() for name in sorted(names))


def _shown(text: str, form: str = "{}") -> str:
    text = " ".join(text.split())
    return form.format(text if len(text) <= 80 else f"{text[:79]}…")
