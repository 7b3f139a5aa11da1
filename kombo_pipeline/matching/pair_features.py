"""The features of a pair of jobs: numbers for what agrees and what differs, 0 where nothing is known."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from rapidfuzz import fuzz, process

from kombo_pipeline.matching.job_features import UNKNOWN_DATE, JobFeatures

NAMES: Final = (
    "cosine", "sorted_words", "common_words", "spelling", "own_covered", "ats_covered", "both_covered",
    "equal_title", "equal_spelling",
    "same_level", "other_level", "level_missing", "same_number", "other_number", "number_missing",
    "same_year", "other_year", "year_missing", "same_season", "other_season",
    "same_city", "city_share", "other_city", "city_missing", "same_region", "other_region",
    "place_numbers", "other_place_numbers", "place_text", "ats_city_in_title", "own_city_in_title",
    "both_remote", "remote_differs", "several_places",
    "same_code", "other_code", "same_employment", "other_employment", "same_department", "other_department",
    "department_in_title",
    "same_day", "within_3_days", "within_2_weeks", "date_distance", "own_earlier", "beyond_120_days",
    "behind_nearest_date", "nearest_date_of_equals", "equal_rivals", "rivals_here",
    "title_and_place", "title_and_date", "place_and_date", "all_three", "title_against_place",
    "title_alone",
)  # fmt: skip
"""The features of a pair, in the order of the columns of the feature matrix and of the weights."""

SPELLING_WEIGHT: Final = 0.05
LENGTH_WEIGHT: Final = 0.05
WORD_WEIGHT: Final = 0.01
CONTRADICTION_WEIGHT: Final = 0.1
"""Tie-break weights for title-only pairs, beside the cosine of the titles. A like spelling is rewarded. A longer
candidate (by the logarithm of the ratio of lengths, and by the number of additional words) is penalised, and so is
another number, year or season."""

Pairs = Any


def pair_features(own: JobFeatures, ats: JobFeatures, own_rows: Pairs, ats_rows: Pairs, cosine: Pairs) -> Any:
    """Return the feature matrix: one row a pair, one column a feature of NAMES.

    The pairs of one own job must stand together, because some features compare its candidates with each other. Where
    neither an own job nor any of its candidates has more than a title, only `title_alone` is set: the weights of the
    other features were learned from jobs with places and dates.
    """
    if not len(own_rows):
        return np.empty((0, len(NAMES)), dtype=np.float32)
    of: dict[str, Any] = {"cosine": cosine}
    _titles(of, own, ats, own_rows, ats_rows)
    _marks(of, own, ats, own_rows, ats_rows)
    _places(of, own, ats, own_rows, ats_rows)
    _dates(of, own, ats, own_rows, ats_rows)
    _rivals(of, own_rows, ats.title_key[ats_rows])
    alone = _is_title_only(own, ats, own_rows, ats_rows)
    of["title_alone"] = np.zeros(len(own_rows))
    if alone.any():
        alike = _title_similarity(of, own, ats, own_rows, ats_rows)
        of = {name: np.where(alone, 0, values) for name, values in of.items()} | {"title_alone": alone * alike}
    return np.column_stack([np.asarray(of[name], dtype=np.float32) for name in NAMES])


def _titles(of: dict[str, Any], own: JobFeatures, ats: JobFeatures, o: Pairs, a: Pairs) -> None:
    own_core, ats_core = own.core[o], ats.core[a]
    of["sorted_words"] = _ratio(own_core, ats_core, fuzz.token_sort_ratio)
    of["common_words"] = _ratio(own_core, ats_core, fuzz.token_set_ratio)
    of["spelling"] = _ratio(own.folded[o], ats.folded[a], fuzz.ratio)
    of["equal_title"] = own.title_key[o] == ats.title_key[a]
    of["equal_spelling"] = own.folded[o] == ats.folded[a]
    own_words, ats_words = own.words[o], ats.words[a]
    of["own_covered"] = _coverage(own_words, ats_words, ats.context[a])
    of["ats_covered"] = _coverage(ats_words, own_words, own.context[o])
    of["both_covered"] = of["own_covered"] * of["ats_covered"]


def _coverage(words: Any, others: Any, context: Any) -> Any:
    """Return the share of each title, by IDF, that the other title repeats. Words that only the other job's place or
    department repeats are left out of the share."""
    shared = words.multiply(others.sign())
    explained = words.multiply(context.sign()) - shared.multiply(context.sign())
    total = _sums(words) - _sums(explained)
    return np.divide(_sums(shared), total, out=np.zeros(len(total), dtype=np.float32), where=total > 1e-6)


def _marks(of: dict[str, Any], own: JobFeatures, ats: JobFeatures, o: Pairs, a: Pairs) -> None:
    for name, mine, theirs in (
        ("level", own.levels[o], ats.levels[a]),
        ("number", own.numbers[o], ats.numbers[a]),
        ("year", own.years[o], ats.years[a]),
        ("season", own.seasons[o], ats.seasons[a]),
        ("employment", own.employment[o], ats.employment[a]),
    ):
        known = (mine != 0) & (theirs != 0)
        of[f"same_{name}"] = known & (mine == theirs)
        of[f"other_{name}"] = known & (mine & theirs == 0)
        of[f"{name}_missing"] = (mine != 0) ^ (theirs != 0)
    shared = _sums(own.codes[o].multiply(ats.codes[a])) > 0
    of["same_code"] = shared
    of["other_code"] = ~shared & (_sums(own.codes[o]) > 0) & (_sums(ats.codes[a]) > 0)
    mine, theirs = own.department[o], ats.department[a]
    known = (mine != "") & (theirs != "")
    of["same_department"] = known & (mine == theirs)
    of["other_department"] = known & (mine != theirs)
    of["department_in_title"] = np.fromiter(
        (bool(name) and name in title for name, title in zip(theirs, own.core[o], strict=True)), bool, len(o)
    )


def _places(of: dict[str, Any], own: JobFeatures, ats: JobFeatures, o: Pairs, a: Pairs) -> None:
    mine, theirs = own.cities[o], ats.cities[a]
    mine_count, theirs_count, shared = _sums(mine), _sums(theirs), _sums(mine.multiply(theirs))
    known = (mine_count > 0) & (theirs_count > 0)
    of["same_city"] = shared > 0
    of["city_share"] = shared / np.maximum(mine_count + theirs_count - shared, 1)
    of["other_city"] = known & (shared == 0)
    of["city_missing"] = (mine_count > 0) != (theirs_count > 0)
    regions = own.regions[o], ats.regions[a]
    same_region = _sums(regions[0].multiply(regions[1])) > 0
    of["same_region"] = same_region
    of["other_region"] = ~same_region & (_sums(regions[0]) > 0) & (_sums(regions[1]) > 0)
    numbers = own.place_numbers[o], ats.place_numbers[a]
    same_number = _sums((numbers[0] + own.codes[o]).multiply(numbers[1] + ats.codes[a]))
    of["place_numbers"] = np.minimum(same_number, 2)
    of["other_place_numbers"] = (same_number == 0) & (_sums(numbers[0]) > 0) & (_sums(numbers[1]) > 0)
    said = (own.place[o] != "") & (ats.place[a] != "")
    of["place_text"] = said * _ratio(own.place[o], ats.place[a], fuzz.token_set_ratio)
    of["ats_city_in_title"] = _named_in(own.words[o], ats.context[a], shared == 0)
    of["own_city_in_title"] = _named_in(ats.words[a], own.context[o], shared == 0)
    of["both_remote"] = own.remote[o] & ats.remote[a]
    of["remote_differs"] = own.remote[o] ^ ats.remote[a]
    of["several_places"] = own.several[o] | ats.several[a]


def _named_in(title: Any, context: Any, where: Any) -> Any:
    """Return how many words (at most 3) of a place or department the other job's title has, where `where` is true."""
    return where * np.minimum(_sums(title.sign().multiply(context.sign())), 3)


def _dates(of: dict[str, Any], own: JobFeatures, ats: JobFeatures, o: Pairs, a: Pairs) -> None:
    mine, theirs = own.posted[o], ats.posted[a]
    known = (mine != UNKNOWN_DATE) & (theirs != UNKNOWN_DATE)
    days = np.where(known, theirs - mine, 0)
    distance = np.abs(days)
    of["same_day"] = known & (distance <= 1)
    of["within_3_days"] = known & (distance <= 3)
    of["within_2_weeks"] = known & (distance <= 14)
    of["date_distance"] = known * np.log1p(distance) / 6
    of["own_earlier"] = known & (days > 14)
    of["beyond_120_days"] = known & (distance > 120)
    of["_distance"] = np.where(known, np.log1p(distance) / 6, 1.0)
    of["_known"] = known


def _rivals(of: dict[str, Any], own_rows: Pairs, title_key: Pairs) -> None:
    start = np.flatnonzero(np.r_[True, own_rows[1:] != own_rows[:-1]])
    group = np.repeat(np.arange(len(start)), np.diff(np.r_[start, len(own_rows)]))
    place = of["same_city"] + of["city_share"] + 0.5 * of["same_region"] - of["other_city"]
    near = of["_known"] * np.exp(-np.expm1(6 * of["_distance"]) / 10)
    of["title_and_place"] = of["both_covered"] * of["same_city"]
    of["title_against_place"] = of["both_covered"] * of["other_city"]
    of["title_and_date"] = of["both_covered"] * near
    of["place_and_date"] = of["same_city"] * near
    of["all_three"] = of["title_and_place"] * near
    distance = of.pop("_distance")
    known = of.pop("_known")
    of["behind_nearest_date"] = known * (distance - np.minimum.reduceat(distance, start)[group])
    equals = np.unique(np.column_stack([own_rows, title_key]), axis=0, return_inverse=True)[1].ravel()
    nearest = np.full(equals.max() + 1, np.inf)
    np.minimum.at(nearest, equals, distance)
    of["nearest_date_of_equals"] = known * (distance <= nearest[equals])
    of["equal_rivals"] = np.log(np.bincount(equals)[equals])
    here = np.bincount(equals, weights=place > 0)
    of["rivals_here"] = np.log(np.maximum(here, 1))[equals] * (place > 0)


def _is_title_only(own: JobFeatures, ats: JobFeatures, o: Pairs, a: Pairs) -> Any:
    """Return for each pair whether its own job and all candidates of that job have nothing but a title."""
    mine, theirs = np.diff(own.title_only.indptr) > 0, np.diff(ats.title_only.indptr) > 0
    return mine[o] & (np.bincount(o, ~theirs[a], minlength=len(own)) == 0)[o]


def _title_similarity(of: dict[str, Any], own: JobFeatures, ats: JobFeatures, o: Pairs, a: Pairs) -> Any:
    """Return the cosine of title-only pairs plus the tie-break weights. Of equal ones the shorter wins."""
    mine, theirs = own.core[o], ats.core[a]
    longer = np.log(np.maximum(_lengths(theirs, len), 1) / np.maximum(_lengths(mine, len), 1))
    more = _lengths(theirs, _spaces) - _lengths(mine, _spaces)
    contradicted = of["other_number"] | of["other_year"] | of["other_season"]
    alike = _sums(own.title_only[o].multiply(ats.title_only[a])) + SPELLING_WEIGHT * of["spelling"]
    alike -= LENGTH_WEIGHT * longer + WORD_WEIGHT * more + CONTRADICTION_WEIGHT * contradicted
    return np.where(alike == 0, 1e-6, alike)  # exactly 0 marks pairs that have more than titles


def _lengths(texts: Any, length: Callable[[str], int]) -> Any:
    return np.fromiter(map(length, texts), np.int64, len(texts))


def _spaces(text: str) -> int:
    return text.count(" ")


NONE_NAMES: Final = (
    "always", "candidates", "best_sorted_words", "best_common_words", "best_spelling", "best_coverage",
    "best_title_and_place", "best_title_and_date", "best_all_three", "best_place",
    "title_elsewhere", "nearest_date", "dated", "own_city_known", "own_level_known",
    "dated_candidates", "dated_coverage", "dated_place", "alone", "best_alone",
)  # fmt: skip
"""The features of the outcome "no counterpart": what the candidates of an own job look like together."""


def none_features(own: JobFeatures, own_rows: Pairs, pairs: Any) -> Any:
    """Return one row an own job, one column a feature of NONE_NAMES."""
    of = dict(zip(NAMES, pairs.T, strict=True))

    def best(values: Any) -> Any:
        most = np.zeros(len(own), dtype=np.float32)
        np.maximum.at(most, own_rows, values)
        return most

    dated = (of["date_distance"] > 0) | (of["same_day"] > 0)
    alone = np.zeros(len(own), dtype=bool)
    alone[own_rows] = of["title_alone"] != 0
    columns: dict[str, Any] = {
        "always": np.ones(len(own)),
        "candidates": np.log1p(np.bincount(own_rows, minlength=len(own))),
        "best_sorted_words": best(of["sorted_words"]),
        "best_common_words": best(of["common_words"]),
        "best_spelling": best(of["spelling"]),
        "best_coverage": best(of["both_covered"]),
        "best_title_and_place": best(of["title_and_place"]),
        "best_title_and_date": best(of["title_and_date"]),
        "best_all_three": best(of["all_three"]),
        "best_place": best(of["same_city"]),
        "title_elsewhere": best(of["title_against_place"]),
        "nearest_date": best(dated * np.maximum(2 - of["date_distance"], 0)),
        "dated": best(dated),
        "own_city_known": _sums(own.cities) > 0,
        "own_level_known": own.levels != 0,
    }
    # Where dates are known they decide; a like title in the right place is then weaker evidence.
    columns["dated_candidates"] = columns["dated"] * columns["candidates"]
    columns["dated_coverage"] = columns["dated"] * columns["best_coverage"]
    columns["dated_place"] = columns["dated"] * columns["best_place"]
    columns = {name: np.where(alone, 0, values) for name, values in columns.items()}
    columns |= {"alone": alone, "best_alone": best(of["title_alone"])}
    return np.column_stack([np.asarray(columns[name], dtype=np.float32) for name in NONE_NAMES])


def _ratio(left: Any, right: Any, scorer: Any) -> Any:
    return process.cpdist(left, right, scorer=scorer, dtype=np.float32) / 100


def _sums(matrix: Any) -> Any:
    return np.asarray(matrix.sum(1)).ravel()
