"""Learn the matcher's weights from the labelled sets, and measure them on customers that they have not seen.

    python -m benchmarks.train_matcher --data ../shared/data [--write]

Each set is used twice: as it is, and title-only, with all other fields removed.
Deterministic. Without --write the weights file is left alone and only the figures are printed. Two lines a set:
in-sample (the weights as they are stored, on what they were learned from) and leave-customers-out (five
folds by customer; each fold's weights and calibration have seen none of its customers).
"""

import argparse
import math
import os
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zlib import crc32

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # sums in one order: equal data give equal weights

import numpy as np
from scipy.optimize import minimize

from kombo_pipeline.matching import evaluate, pair_features, scoring
from kombo_pipeline.matching.evaluate import Customer
from kombo_pipeline.matching.job_features import Idf, JobText
from kombo_pipeline.matching.retrieval import Index, read_own
from kombo_pipeline.matching.titles import read_title, stem

SETS = ("real", "varied")
# A job of the small set of real pairs counts as much as several rewritten ones.
IMPORTANCE = {"real": 6.0, "varied": 1.0}
RIDGE = 10.0
FOLDS = 5
COMMON_FROM = 40  # a word in fewer titles has the default IDF
RARE = 20


@dataclass(frozen=True)
class Labelled:
    """A set as numbers: the pairs of all own jobs, grouped by own job."""

    pairs: Any
    own_rows: Any
    right: Any
    none: Any
    fold: Any  # by own job
    importance: Any
    gold: list[str]
    has_counterpart: Any

    def of(self, jobs: Any) -> "Labelled":
        """The chosen own jobs (a mask)."""
        keep, number = jobs[self.own_rows], np.cumsum(jobs) - 1
        return Labelled(
            self.pairs[keep], number[self.own_rows[keep]], self.right[keep], self.none[jobs], self.fold[jobs],
            self.importance[jobs], [], self.has_counterpart[jobs],
        )  # fmt: skip


def count_words(data: Path) -> Idf:
    """Return the IDF of the words of all ATS titles in the data."""
    titles, seen = 0, Counter[str]()
    for name in ("title_pairs_real_ats", "title_pairs_varied_ats", "scale_ats_100k"):
        for row in evaluate._rows(data / f"{name}.csv.gz", "ats_id"):
            titles += 1
            seen.update({stem(word) for word in read_title(row["title"]).words})
    common = {word: round(math.log(titles / count), 1) for word, count in seen.items() if count >= COMMON_FROM}
    return Idf(round(math.log(titles / RARE), 1), common)


def read(data: Path, name: str, idf: Idf, *, title_only: bool = False) -> Labelled:
    pairs, own_rows, right, none, fold, gold = [], [], [], [], [], []
    before = 0
    files = data / f"title_pairs_{name}_ats.csv.gz", data / f"title_pairs_{name}_own.csv.gz"
    customers = evaluate.read_customers(*files)
    for customer in map(without_fields, customers) if title_only else customers:
        index = Index.build(customer.ats, customer=customer.name, idf=idf)
        own = read_own(customer.own, index)
        rows, ats_rows, cosine = index.shortlist(own)
        found = pair_features.pair_features(own, index.features, rows, ats_rows, cosine)
        pairs.append(found)
        own_rows.append(rows + before)
        none.append(pair_features.none_features(own, rows, found))
        ids = np.array([job.id for job in index.features.jobs], dtype=object)
        right.append(ids[ats_rows] == np.array(customer.gold, dtype=object)[rows])
        fold += [crc32(customer.name.encode()) % FOLDS] * len(own)
        gold += customer.gold
        before += len(own)
    return Labelled(
        np.vstack(pairs), np.concatenate(own_rows), np.concatenate(right).astype(bool), np.vstack(none),
        np.array(fold), np.full(before, IMPORTANCE[name]), gold, np.array([bool(each) for each in gold]),
    )  # fmt: skip


def without_fields(customer: Customer) -> Customer:
    """Return the customer with title-only jobs: everything but ids and titles is removed."""
    ats, own = ([JobText(job.id, job.title) for job in jobs] for jobs in (customer.ats, customer.own))
    return replace(customer, ats=ats, own=own)


def joined(sets: list[Labelled]) -> Labelled:
    before = np.cumsum([0, *(len(each.none) for each in sets)])
    return Labelled(
        np.vstack([each.pairs for each in sets]),
        np.concatenate([each.own_rows + start for each, start in zip(sets, before[:-1], strict=True)]),
        *(np.concatenate([getattr(each, name) for each in sets]) for name in ("right", "none", "fold", "importance")),
        [],
        np.concatenate([each.has_counterpart for each in sets]),
    )


def fit_both(data: Labelled) -> tuple[Any, Any]:
    """Return the sum of two fits, of title-only jobs and of all others; no feature is non-zero in both."""
    alone = data.none[:, pair_features.NONE_NAMES.index("alone")] > 0
    return tuple(map(sum, zip(fit(data.of(alone)), fit(data.of(~alone)), strict=True)))  # type: ignore[return-value]


def fit(data: Labelled) -> tuple[Any, Any]:
    """Fit the conditional logit, with a ridge penalty on standardised features."""
    jobs = len(data.none)
    scale, none_scale = (_or_one(columns.std(0)) for columns in (data.pairs, data.none))
    pairs, none = data.pairs / scale, data.none / none_scale
    found = np.bincount(data.own_rows, data.right, minlength=jobs) > 0
    weight = data.importance[data.own_rows]
    target = pairs.T @ (data.right * weight).astype(np.float32)
    none_target = none.T @ (~found * data.importance)
    split = pairs.shape[1]
    ridge = np.full(split + none.shape[1], RIDGE)
    ridge[split:][data.none.min(0) == 1] = 0  # an intercept

    def loss(weights: Any) -> tuple[float, Any]:
        utility = (pairs @ weights[:split].astype(np.float32)).astype(np.float64)
        alone = (none @ weights[split:]).astype(np.float64)
        likely, none_likely = scoring.softmax(utility, alone, data.own_rows)
        chosen = np.log(np.maximum(np.where(found, 1, none_likely), 1e-300)) @ data.importance
        chosen += np.log(np.maximum(likely[data.right], 1e-300)) @ weight[data.right]
        gradient = np.r_[
            pairs.T @ (likely * weight).astype(np.float32) - target,
            none.T @ (none_likely * data.importance) - none_target,
        ]
        return 0.5 * ridge @ weights**2 - chosen, gradient + ridge * weights

    weights = minimize(loss, np.zeros(len(ridge)), jac=True, method="L-BFGS-B", options={"maxiter": 300}).x
    return weights[:split] / scale, weights[split:] / none_scale


def _or_one(deviation: Any) -> Any:
    return np.where(deviation > 1e-6, deviation, 1)


def predict(data: Labelled, weights: tuple[Any, Any]) -> tuple[Any, Any]:
    return scoring.softmax(data.pairs @ weights[0].astype(np.float32), data.none @ weights[1], data.own_rows)


def fit_calibration(data: Labelled, likely: Any) -> Any:
    """Fit the calibration: logistic regression of "the first candidate is right" on its cross-fitted probability."""
    first = firsts(data, likely)
    clipped = np.clip(likely[first], 1e-9, 1 - 1e-9)
    columns = scoring.calibration_matrix(np.log(clipped / (1 - clipped)), scoring.calibration_groups(data.pairs[first]))
    right, weight = data.right[first], data.importance[data.own_rows[first]]

    def loss(weights: Any) -> tuple[float, Any]:
        log_odds = columns @ weights
        excess = 1 / (1 + np.exp(-log_odds)) - right
        value = weight @ (np.logaddexp(0, log_odds) - right * log_odds) + 0.5 * weights @ weights
        return value, columns.T @ (weight * excess) + weights

    return minimize(loss, np.array([0.0, 1, 0, 0, 0, 1]), jac=True, method="L-BFGS-B").x


def firsts(data: Labelled, likely: Any) -> Any:
    """Return the best pair of each own job that has candidates."""
    order = np.lexsort((-likely, data.own_rows))
    return order[np.flatnonzero(np.r_[True, np.diff(data.own_rows[order]) > 0])]


def figures(name: str, data: Labelled, likely: Any, none: Any, confidence: Any) -> None:
    order = np.lexsort((-likely, data.own_rows))
    start = np.searchsorted(data.own_rows[order], np.arange(len(data.none)))
    rank = np.empty(len(order), dtype=int)
    rank[order] = np.arange(len(order)) - start[data.own_rows[order]] + 1
    ranks = rank[data.right]
    first = firsts(data, likely)
    sure, right = confidence[first], data.right[first]
    strong = sure >= scoring.STRONG
    counterparts = data.has_counterpart.sum()
    print(
        f"{name:<42} R@1 {(ranks == 1).sum() / counterparts:.3f}  R@5 {(ranks <= 5).sum() / counterparts:.3f}"
        f"  MRR {(1 / ranks).sum() / counterparts:.3f}  strong {right[strong].sum() / max(strong.sum(), 1):.3f} at"
        f" {strong.sum() / len(data.none):.3f}  ECE {evaluate.calibration_error(sure, right):.3f}"
        f"  AUC first {evaluate.auc(sure, right):.3f}  AUC none {evaluate.auc(none, ~data.has_counterpart):.3f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    idf = count_words(arguments.data)
    sets = {name: read(arguments.data, name, idf) for name in SETS}
    sets |= {f"{name}, title-only": read(arguments.data, name, idf, title_only=True) for name in SETS}
    everything = joined(list(sets.values()))
    likely, none = np.zeros(len(everything.own_rows)), np.zeros(len(everything.none))
    for fold in range(FOLDS):
        held = everything.fold == fold
        weights = fit_both(everything.of(~held))
        likely[held[everything.own_rows]], none[held] = predict(everything.of(held), weights)
    confidence = np.zeros(len(likely))
    for fold in range(FOLDS):  # cross-fitted: no customer is calibrated by its own answers
        held = everything.fold == fold
        pairs = held[everything.own_rows]
        calibration = fit_calibration(everything.of(~held), likely[~pairs])
        confidence[pairs] = scoring.calibrated(
            likely[pairs], scoring.calibration_groups(everything.pairs[pairs]), calibration
        )
    calibration = fit_calibration(everything, likely)
    weights = fit_both(everything)
    pairs_before = jobs_before = 0
    for name, data in sets.items():
        pairs = slice(pairs_before, pairs_before + len(data.own_rows))
        jobs = slice(jobs_before, jobs_before + len(data.none))
        pairs_before, jobs_before = pairs.stop, jobs.stop
        figures(f"{name} leave-customers-out", data, likely[pairs], none[jobs], confidence[pairs])
        inside, inside_none = predict(data, weights)
        sure = scoring.calibrated(inside, scoring.calibration_groups(data.pairs), calibration)
        figures(f"{name} in-sample", data, inside, inside_none, sure)
    text = scoring.Weights(weights[0], weights[1], calibration, idf).to_json()
    if arguments.write:
        Path(scoring.__file__).with_name("weights.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
