"""From features to an answer: a conditional logit over an own job's candidates and the answer 'none of them'."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final, Self

import numpy as np

from kombo_pipeline.matching import columns, features, places, retrieval, titles, vocabulary
from kombo_pipeline.matching.columns import Columns, JobText, Rarity
from kombo_pipeline.matching.retrieval import Index
from kombo_pipeline.vocabulary import Band

STRONG: Final = 0.94
POSSIBLE: Final = 0.5
WEAK: Final = 0.1
"""The least confidence of each band; below the last one a candidate is in the band "none"."""

_CHUNK: Final = 1000
_THREADS: Final = 2


@dataclass(frozen=True, slots=True)
class Candidate:
    """A proposed ATS job. `confidence` is the calibrated probability that it is the own job, `score` its utility
    beside the other candidates; `features` says why (see `evidence.explain`)."""

    ats: JobText
    rank: int  # from 1
    score: float
    confidence: float
    features: Any

    @property
    def band(self) -> str:
        """How far a person may rely on it: strong, possible, weak or none."""
        return band(self.confidence)


@dataclass(frozen=True, slots=True)
class Match:
    """What was found for one own job: the best candidates first, and how likely it is that none is right."""

    own: JobText
    candidates: list[Candidate]
    none_probability: float


@dataclass(frozen=True)
class Weights:
    """What `benchmarks/train_matcher.py` learned; equal data and equal code give an equal version."""

    pair: Any  # one a feature of features.NAMES
    none: Any  # one a feature of features.NONE_NAMES
    calibration: Any  # intercept and slope on the log-odds, what both gain with posting dates, both for titles alone
    rarity: Rarity

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read stored weights; raises KeyError where a feature has none."""
        stored = json.loads(text)
        return cls(
            pair=np.array([stored["pair"][name] for name in features.NAMES], dtype=np.float32),
            none=np.array([stored["none"][name] for name in features.NONE_NAMES], dtype=np.float32),
            calibration=np.array(stored["calibration"], dtype=np.float64),
            rarity=Rarity(
                stored["rarity"]["default"],
                {word: float(level) for level, words in stored["rarity"]["words"].items() for word in words.split()},
            ),
        )

    def to_json(self) -> str:
        """The stored form, version included."""
        words: dict[str, list[str]] = {}
        for word, level in sorted(self.rarity.by_stem.items()):
            words.setdefault(str(level), []).append(word)
        body = {
            "pair": dict(zip(features.NAMES, _rounded(self.pair), strict=True)),
            "none": dict(zip(features.NONE_NAMES, _rounded(self.none), strict=True)),
            "calibration": _rounded(self.calibration),
            "rarity": {
                "default": self.rarity.default,
                "words": {level: " ".join(words[level]) for level in sorted(words, key=float)},
            },
        }
        return json.dumps({"version": version_of(body), **body}, indent=1, ensure_ascii=False) + "\n"


class Matcher:
    """Finds the ATS jobs that own jobs of the same customer may be.

    The result for one own job depends on that job and the index alone, not on the other own jobs, so matching
    a part again gives what matching everything would. A title never links by itself: these are proposals.
    """

    def __init__(self, weights: Weights, version: str) -> None:
        self.weights, self.version = weights, version

    @classmethod
    def load(cls) -> Self:
        """The matcher with the weights of this release."""
        text = resources.files(__package__).joinpath("weights.json").read_text("utf-8")
        return cls(Weights.from_json(text), json.loads(text)["version"])

    def index(self, jobs: Iterable[JobText], *, customer: str = "") -> Index:
        """Make the ATS jobs of one customer searchable; the customer's name says nothing in its own titles."""
        return Index.build(jobs, customer=customer, rarity=self.weights.rarity)

    def candidates(self, own: Sequence[JobText], index: Index, *, k: int = 5) -> list[Match]:
        """The `k` likeliest ATS jobs for each own job, in the order given; any text is accepted.

        An own job without any likeness to the index, or an empty index, gives no candidate and certainty of none.
        """
        chunks = [own[start : start + _CHUNK] for start in range(0, len(own), _CHUNK)]
        if len(chunks) == 1:
            return self._chunk(own, index, k)
        # Sparse products and string distances let go of the interpreter, so two threads use two cores.
        with ThreadPoolExecutor(_THREADS) as pool:
            found = pool.map(lambda chunk: self._chunk(chunk, index, k), chunks)
            return [match for matches in found for match in matches]

    def _chunk(self, own: Sequence[JobText], index: Index, k: int) -> list[Match]:
        mine = retrieval.read_own(own, index)
        return self.answer(mine, index.columns, *index.shortlist(mine), k=k)

    def answer(
        self, own: Columns, ats: Columns, own_rows: Any, ats_rows: Any, cosine: Any, *, k: int | Sequence[int] = 5
    ) -> list[Match]:
        """The `k` likeliest of the shortlisted pairs for each own job (one number for all, or one a job).

        `own_rows` ascend; of `ats` only the rows that `ats_rows` names are looked at.
        """
        pairs = features.pair_features(own, ats, own_rows, ats_rows, cosine)
        # In double precision, so that a result does not depend on what else is computed along with it.
        none = features.none_features(own, own_rows, pairs).astype(np.float64) @ self.weights.none
        scores = pairs.astype(np.float64) @ self.weights.pair
        likely, none_likely = softmax(scores, none, own_rows)
        confidence = calibrated(likely, known(pairs), self.weights.calibration)
        order = np.lexsort((-ats.tie[ats_rows], -np.round(scores, 4), own_rows))
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
    """The probability of every pair, and of 'none' for every own job; both sum to 1 for each own job."""
    scores, none = scores.astype(np.float64), none.astype(np.float64)
    highest = none.copy()
    np.maximum.at(highest, own_rows, scores)
    pair, alone = np.exp(scores - highest[own_rows]), np.exp(none - highest)
    total = alone + np.bincount(own_rows, pair, minlength=len(none))
    empty = np.bincount(own_rows, minlength=len(none)) == 0
    return pair / total[own_rows], np.where(empty, 1.0, alone / total)


def calibrated(likely: Any, knowing: Any, calibration: Any) -> Any:
    """Probabilities of which as many come true as they say, by logistic regression on the log-odds."""
    clipped = np.clip(likely, 1e-9, 1 - 1e-9)
    return 1 / (1 + np.exp(-calibration_columns(np.log(clipped / (1 - clipped)), knowing) @ calibration))


def calibration_columns(log_odds: Any, knowing: Any) -> Any:
    """What the calibration is a linear function of."""
    dated, alone = knowing.T
    line = np.column_stack([np.ones(len(log_odds)), log_odds])
    return np.hstack([line * ~alone[:, None], line * dated[:, None], line * alone[:, None]])


def known(pairs: Any) -> Any:
    """What a probability's worth depends on: whether both posting dates are known, whether titles are all there is."""
    date_distance, same_day, title_alone = (
        pairs[:, features.NAMES.index(name)] for name in ("date_distance", "same_day", "title_alone")
    )
    return np.column_stack([(date_distance > 0) | (same_day > 0), title_alone != 0])


def band(confidence: float) -> Band:
    """The name of the confidence's band."""
    if confidence >= STRONG:
        return "strong"
    if confidence >= POSSIBLE:
        return "possible"
    return "weak" if confidence >= WEAK else "none"


def version_of(body: dict[str, Any]) -> str:
    """A name for the weights and every table and number in the code that changes what they mean."""
    code = (
        vocabulary.WORDS, vocabulary.PHRASES, vocabulary.LEVELS, vocabulary.SEASONS, vocabulary.EMPLOYMENT_PHRASES,
        sorted(vocabulary.NOISE_PHRASES), sorted(vocabulary.FUNCTION_WORDS),
        places.REGIONS, places.CITIES, retrieval.SHORTLIST, retrieval.LARGE,
        retrieval.GIST, titles.MAX_CHARACTERS,
        columns.FEATURES, columns.CONTEXT_WEIGHT, columns.PLACE_WEIGHT, columns.GRAM_WEIGHT,
        columns.LEAST_SEARCH_WEIGHT,
        features.SPELLING_WEIGHT, features.LENGTH_WEIGHT, features.WORD_WEIGHT, features.CONTRADICTION_WEIGHT,
    )  # fmt: skip
    text = json.dumps([body, code], sort_keys=True, ensure_ascii=False)
    return "titles-" + hashlib.sha256(text.encode()).hexdigest()[:10]


@cache
def default_matcher() -> Matcher:
    """The matcher of this release, read once."""
    return Matcher.load()


def _rounded(values: Any) -> list[float]:
    return [round(float(value), 4) for value in values]
