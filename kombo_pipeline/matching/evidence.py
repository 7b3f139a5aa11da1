"""Why a candidate was proposed: match weights that sum to the score, each in words that a person can check."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy as np

from kombo_pipeline.matching.job_features import JobText
from kombo_pipeline.matching.pair_features import NAMES
from kombo_pipeline.matching.places import read_place
from kombo_pipeline.matching.scoring import Candidate, Match, Weights
from kombo_pipeline.matching.titles import Title, plain_words, read_title, stem


@dataclass(frozen=True, slots=True)
class Contribution:
    """One match weight with its reason. `weight` is in log-odds: +0.7 doubles the odds, -0.7 halves them."""

    text: str
    weight: float

    def __str__(self) -> str:
        return f"{self.text} {self.weight:+.1f}"


@dataclass(frozen=True, slots=True)
class Explanation:
    """The titles as compared, the words that only one of them has, and the match weights, largest first."""

    own_title: str
    ats_title: str
    only_own: tuple[str, ...]
    only_ats: tuple[str, ...]
    contributions: tuple[Contribution, ...]


_GROUPS: Final = {
    "title": (
        "cosine", "sorted_words", "common_words", "spelling", "own_covered", "ats_covered", "both_covered",
        "equal_title", "equal_spelling", "title_alone",
    ),
    "seniority": ("same_level", "other_level", "level_missing"),
    "number": ("same_number", "other_number", "number_missing"),
    "year": ("same_year", "other_year", "year_missing"),
    "season": ("same_season", "other_season"),
    "place": (
        "same_city", "city_share", "other_city", "city_missing", "same_region", "other_region", "place_numbers",
        "other_place_numbers", "place_text", "ats_city_in_title", "own_city_in_title", "both_remote",
        "remote_differs", "several_places", "title_and_place", "title_against_place",
    ),
    "code": ("same_code", "other_code"),
    "employment": ("same_employment", "other_employment"),
    "department": ("same_department", "other_department", "department_in_title"),
    "posted": (
        "same_day", "within_3_days", "within_2_weeks", "date_distance", "own_earlier", "beyond_120_days",
        "behind_nearest_date", "nearest_date_of_equals", "title_and_date", "place_and_date", "all_three",
    ),
    "rivals": ("equal_rivals", "rivals_here"),
}  # fmt: skip
_COLUMNS: Final = np.array([NAMES.index(name) for names in _GROUPS.values() for name in names])
_STARTS: Final = np.cumsum([0, *map(len, _GROUPS.values())])[:-1]


def explain(match: Match, candidate: Candidate, weights: Weights) -> Explanation:
    """Return why `candidate` was proposed for the own job of `match`."""
    own, ats = read_title(match.own.title), read_title(candidate.ats.title)
    weights_by_group = np.add.reduceat((candidate.features * weights.pair)[_COLUMNS], _STARTS).tolist()
    of = dict(zip(NAMES, candidate.features.tolist(), strict=True))
    found = [
        Contribution(_text(group, of, (match.own, own), (candidate.ats, ats)), round(weight, 2))
        for group, weight in zip(_GROUPS, weights_by_group, strict=True)
        if abs(weight) >= 0.005
    ]
    found.sort(key=lambda each: -abs(each.weight))
    theirs, ours = set(map(stem, ats.words)), set(map(stem, own.words))
    return Explanation(
        own_title=own.core,
        ats_title=ats.core,
        only_own=tuple([word for word in own.words if stem(word) not in theirs]),
        only_ats=tuple([word for word in ats.words if stem(word) not in ours]),
        contributions=tuple(found),
    )


def _text(group: str, of: dict[str, float], own_side: tuple[JobText, Title], ats_side: tuple[JobText, Title]) -> str:
    (own, mine), (ats, theirs) = own_side, ats_side
    match group:
        case "title":
            return _title_text(mine, theirs)
        case "place":
            return _place_text(of, own, ats)
        case "seniority":
            return _set_text("seniority", mine.levels, theirs.levels)
        case "number":
            return _set_text("number", mine.numbers, theirs.numbers)
        case "year":
            return _set_text("year", mine.years, theirs.years)
        case "season":
            return _set_text("season", mine.seasons, theirs.seasons)
        case "code":
            return "same code" if of["same_code"] else "other code"
        case "employment":
            return "same employment type" if of["same_employment"] else "other employment type"
        case "department":
            if of["department_in_title"] and not of["same_department"]:
                return f"department {ats.department} in the title"
            return f"{'same' if of['same_department'] else 'other'} department {ats.department}"
        case "posted":
            days = (ats.posted - own.posted).days if ats.posted and own.posted else 0
            return f"posted {abs(days)} days {'later' if days > 0 else 'earlier'}" if days else "posted the same day"
        case _:
            return "other candidates have the same title"


def _title_text(mine: Title, theirs: Title) -> str:
    if mine.core == theirs.core:
        return f"same title {mine.core}"
    common = {stem(word) for word in mine.words} & {stem(word) for word in theirs.words}
    words = " ".join(word for word in mine.words if stem(word) in common)
    return f"title words in common: {words}" if words else "no title word in common, like spelling"


def _set_text(name: str, mine: Collection[str], theirs: Collection[str]) -> str:
    ours, others = _listed(mine), _listed(theirs)
    if ours == others:
        return f"same {name} {ours}"
    if ours and others:
        return f"{'partly the same' if set(mine) & set(theirs) else 'other'} {name}: {ours} against {others}"
    return f"{name} {ours or others} only in {'our' if ours else 'the ATS'} title"


def _place_text(of: dict[str, float], own: JobText, ats: JobText) -> str:
    mine, theirs = read_place(own.location), read_place(ats.location)
    if shared := mine.cities & theirs.cities:
        return f"same city {_listed(shared)}"
    if of["other_city"]:
        return f"other city: {_listed(mine.cities)} against {_listed(theirs.cities)}"
    if of["ats_city_in_title"]:
        named = theirs.words & set(plain_words(own.title))
        return f"our title names {_listed(named) or ats.location or ats.department}"
    if of["own_city_in_title"]:
        return f"the ATS title names {own.location or own.department}"
    if of["same_region"]:
        return f"same region {_listed(mine.regions & theirs.regions)}"
    if of["place_numbers"]:
        return f"same number in the place: {_listed(mine.numbers & theirs.numbers) or ats.location}"
    return f"place {own.location or 'unknown'} against {ats.location or 'unknown'}"


def _listed(values: Collection[str]) -> str:
    return ", ".join(value.title() for value in sorted(values))
