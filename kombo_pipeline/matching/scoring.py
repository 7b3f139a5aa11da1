"""Scoring: a conditional logit over an own job's candidates and the outcome "no counterpart", then calibration."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final, Self

import numpy as np

from kombo_pipeline.matching import job_features, pair_features, places, retrieval, titles, word_lists
from kombo_pipeline.matching.job_features import Idf, JobFeatures, JobText
from kombo_pipeline.matching.retrieval import Index
from kombo_pipeline.vocabulary import Band

STRONG: Final = 0.94
POSSIBLE: Final = 0.5
WEAK: Final = 0.1
"""The threshold of each band: its least confidence. A candidate below WEAK is in the band "none"."""

_CHUNK: Final = 1000
_THREADS: Final = 2


@dataclass(frozen=True, slots=True)
class Candidate:
    """A proposed ATS job. `confidence` is the calibrated probability that it is the own job, `score` the linear score
    of the pair (log-odds up to a constant), `features` its feature vector, which `evidence.explain` words."""

    ats: JobText
    rank: int  # from 1
    score: float
    confidence: float
    features: Any

    @property
    def band(self) -> Band:
        """The band of the confidence: strong, possible, weak or none."""
        return band(self.confidence)


@dataclass(frozen=True, slots=True)
class Match:
    """The candidates of one own job, the best first, and the probability that it has no counterpart."""

    own: JobText
    candidates: list[Candidate]
    none_probability: float


@dataclass(frozen=True)
class Weights:
    """The model that `benchmarks/train_matcher.py` has learned. Equal data and equal code give an equal version."""

    pair: Any  # one coefficient for each of pair_features.NAMES
    none: Any  # one coefficient for each of pair_features.NONE_NAMES
    calibration: Any  # one coefficient for each column of calibration_matrix
    idf: Idf

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read stored weights; raises KeyError when one of a feature is missing."""
        stored = json.loads(text)
        return cls(
            pair=np.array([stored["pair"][name] for name in pair_features.NAMES], dtype=np.float32),
            none=np.array([stored["none"][name] for name in pair_features.NONE_NAMES], dtype=np.float32),
            calibration=np.array(stored["calibration"], dtype=np.float64),
            idf=Idf(
                stored["rarity"]["default"],
                {word: float(level) for level, words in stored["rarity"]["words"].items() for word in words.split()},
            ),
        )

    def to_json(self) -> str:
        """Return the stored form, with its version."""
        words: dict[str, list[str]] = {}
        for word, level in sorted(self.idf.by_stem.items()):
            words.setdefault(str(level), []).append(word)
        body = {
            "pair": dict(zip(pair_features.NAMES, _rounded(self.pair), strict=True)),
            "none": dict(zip(pair_features.NONE_NAMES, _rounded(self.none), strict=True)),
            "calibration": _rounded(self.calibration),
            "rarity": {
                "default": self.idf.default,
                "words": {level: " ".join(words[level]) for level in sorted(words, key=float)},
            },
        }
        return json.dumps({"version": version_of(body), **body}, indent=1, ensure_ascii=False) + "\n"


class Matcher:
    """Proposes ATS jobs for the own jobs of the same customer. A proposal is never a link by itself.

    The result for one own job depends only on that job and the index, not on the other own jobs. So matching some own
    jobs again gives the same as matching all of them.
    """

    def __init__(self, weights: Weights, version: str) -> None:
        self.weights, self.version = weights, version

    @classmethod
    def load(cls) -> Self:
        """Return the matcher with the weights of this release."""
        text = resources.files(__package__).joinpath("weights.json").read_text("utf-8")
        return cls(Weights.from_json(text), json.loads(text)["version"])

    def index(self, jobs: Iterable[JobText], *, customer: str = "") -> Index:
        """Index the ATS jobs of one customer. Words of the customer's name weigh little in its titles."""
        return Index.build(jobs, customer=customer, idf=self.weights.idf)

    def candidates(self, own: Sequence[JobText], index: Index, *, k: int = 5) -> list[Match]:
        """Return a match for each own job, in the order given, with its `k` likeliest ATS jobs; any text is accepted.

        An own job that shares no term with the index has no candidates and a `none_probability` of 1.
        """
        chunks = [own[start : start + _CHUNK] for start in range(0, len(own), _CHUNK)]
        if len(chunks) == 1:
            return self._match_chunk(own, index, k)
        # Sparse products and string distances release the interpreter lock, so two threads use two cores.
        with ThreadPoolExecutor(_THREADS) as pool:
            found = pool.map(lambda chunk: self._match_chunk(chunk, index, k), chunks)
            return [match for matches in found for match in matches]

    def _match_chunk(self, own: Sequence[JobText], index: Index, k: int) -> list[Match]:
        mine = retrieval.read_own(own, index)
        return self.rank(mine, index.features, *index.shortlist(mine), k=k)

    def rank(
        self,
        own: JobFeatures,
        ats: JobFeatures,
        own_rows: Any,
        ats_rows: Any,
        cosine: Any,
        *,
        k: int | Sequence[int] = 5,
    ) -> list[Match]:
        """Score shortlisted pairs; return a match for each own job with its `k` best (one number for all, or one each).

        Pair n is row `own_rows[n]` of `own` and row `ats_rows[n]` of `ats`, with `cosine[n]` as its cosine in the
        search. `own_rows` must ascend.
        """
        pairs = pair_features.pair_features(own, ats, own_rows, ats_rows, cosine)
        # In double precision: the rounded result must not depend on which other pairs are computed with it.
        none = pair_features.none_features(own, own_rows, pairs).astype(np.float64) @ self.weights.none
        scores = pairs.astype(np.float64) @ self.weights.pair
        likely, none_likely = softmax(scores, none, own_rows)
        confidence = calibrated(likely, calibration_groups(pairs), self.weights.calibration)
        order = np.lexsort((-ats.tie_break[ats_rows], -np.round(scores, 4), own_rows))
        ends = np.searchsorted(own_rows, np.arange(len(own) + 1))
        wanted = [k] * len(own) if isinstance(k, int) else k
        matches = []
        for row, job in enumerate(own.jobs):
            best = order[ends[row] : ends[row + 1]][: wanted[row]]
            found = [
                Candidate(ats.jobs[ats_rows[pair]], rank, float(scores[pair]), float(confidence[pair]), vector)
                for rank, (pair, vector) in enumerate(zip(best, pairs[best], strict=True), start=1)
            ]
            matches.append(Match(job, found, float(none_likely[row])))
        return matches


def softmax(scores: Any, none: Any, own_rows: Any) -> tuple[Any, Any]:
    """Return the probability of each pair, and of "no counterpart" for each own job; they sum to 1 for an own job."""
    scores, none = scores.astype(np.float64), none.astype(np.float64)
    highest = none.copy()
    np.maximum.at(highest, own_rows, scores)
    pair, alone = np.exp(scores - highest[own_rows]), np.exp(none - highest)
    total = alone + np.bincount(own_rows, pair, minlength=len(none))
    empty = np.bincount(own_rows, minlength=len(none)) == 0
    return pair / total[own_rows], np.where(empty, 1.0, alone / total)


def calibrated(likely: Any, groups: Any, calibration: Any) -> Any:
    """Return calibrated probabilities (Platt scaling): of candidates with confidence 0.8, four in five are right."""
    clipped = np.clip(likely, 1e-9, 1 - 1e-9)
    return 1 / (1 + np.exp(-calibration_matrix(np.log(clipped / (1 - clipped)), groups) @ calibration))


def calibration_matrix(log_odds: Any, groups: Any) -> Any:
    """Return the design matrix of the calibration: intercept and slope on the log-odds for pairs with more than titles,
    their change where both posting dates are known, and intercept and slope for title-only pairs."""
    dated, alone = groups.T
    line = np.column_stack([np.ones(len(log_odds)), log_odds])
    return np.hstack([line * ~alone[:, None], line * dated[:, None], line * alone[:, None]])


def calibration_groups(pairs: Any) -> Any:
    """Return the two flags of a pair on which the calibration depends: both posting dates known, title-only."""
    date_distance, same_day, title_alone = (
        pairs[:, pair_features.NAMES.index(name)] for name in ("date_distance", "same_day", "title_alone")
    )
    return np.column_stack([(date_distance > 0) | (same_day > 0), title_alone != 0])


def band(confidence: float) -> Band:
    """Return the band of a confidence."""
    if confidence >= STRONG:
        return "strong"
    if confidence >= POSSIBLE:
        return "possible"
    return "weak" if confidence >= WEAK else "none"


def version_of(body: dict[str, Any]) -> str:
    """Return the version of stored weights: a digest of them and of all tables and constants on which they depend."""
    code = (
        word_lists.WORDS, word_lists.PHRASES, word_lists.LEVELS, word_lists.SEASONS, word_lists.EMPLOYMENT_PHRASES,
        sorted(word_lists.NOISE_PHRASES), sorted(word_lists.FUNCTION_WORDS),
        places.REGIONS, places.CITIES, retrieval.SHORTLIST, retrieval.LARGE,
        retrieval.KEPT_NORM, titles.MAX_CHARACTERS,
        job_features.HASH_DIMENSIONS, job_features.CONTEXT_WEIGHT, job_features.PLACE_WEIGHT, job_features.GRAM_WEIGHT,
        job_features.MIN_SEARCH_WEIGHT,
        pair_features.SPELLING_WEIGHT, pair_features.LENGTH_WEIGHT, pair_features.WORD_WEIGHT,
        pair_features.CONTRADICTION_WEIGHT,
    )  # fmt: skip
    text = json.dumps([body, code], sort_keys=True, ensure_ascii=False)
    return "titles-" + hashlib.sha256(text.encode()).hexdigest()[:10]


@cache
def default_matcher() -> Matcher:
    """Return the matcher of this release; the weights are read once."""
    return Matcher.load()


def _rounded(values: Any) -> list[float]:
    return [round(float(value), 4) for value in values]
