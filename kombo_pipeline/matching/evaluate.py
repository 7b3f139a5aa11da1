"""Measures the matcher on labelled files: recall@k, MRR, precision by band, calibration error, seconds and memory."""

import csv
import gzip
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import IO, Any

import numpy as np

from kombo_pipeline.matching.job_features import JobText
from kombo_pipeline.matching.scoring import Match, Matcher, default_matcher
from kombo_pipeline.vocabulary import BANDS

BINS = 10
"""Number of bins, of equal width over the confidence of the first candidate, in which calibration is measured."""


@dataclass(frozen=True)
class Customer:
    """The labelled jobs of one customer. `gold[n]` is the ATS id of the counterpart of `own[n]`, or empty."""

    name: str
    ats: list[JobText]
    own: list[JobText]
    gold: list[str]


@dataclass(frozen=True)
class Report:
    """What `evaluate` measured. A figure is NaN where the files have no rows to measure it on.

    recall@k is the share of own jobs with a counterpart that have it among their first k candidates, MRR the mean of
    1 / rank of it over the same own jobs. Precision of a band is the share of first candidates in it that are right.
    Peak memory is in MB, of the whole process.
    """

    own: int
    with_counterpart: int
    recall_at_1: float
    recall_at_5: float
    mrr: float
    bands: dict[str, tuple[int, float]]  # band -> (own jobs whose first candidate is in it, precision)
    calibration_error: float
    auc_first_is_right: float
    auc_no_counterpart: float
    seconds: float
    peak_mb: float
    version: str

    def __str__(self) -> str:
        lines = [
            f"own jobs            {self.own} ({self.with_counterpart} with a counterpart), matcher {self.version}",
            f"recall@1            {self.recall_at_1:.3f}",
            f"recall@5            {self.recall_at_5:.3f}",
            f"MRR                 {self.mrr:.3f}",
            *(
                f"band {name:<15}precision {right:.3f} at {count / max(self.own, 1):.1%} of the own jobs"
                for name, (count, right) in self.bands.items()
            ),
            f"calibration error   {self.calibration_error:.3f} ({BINS} bins of equal width)",
            f"AUC first is right  {self.auc_first_is_right:.3f}",
            f"AUC no counterpart  {self.auc_no_counterpart:.3f}",
            f"seconds             {self.seconds:.2f}",
            f"peak memory         {self.peak_mb:.0f} MB",
        ]
        return "\n".join(lines)


def evaluate(
    ats_file: Path | str, own_file: Path | str, out_file: Path | str | None = None, *, matcher: Matcher | None = None
) -> Report:
    """Match labelled files, customer by customer, and measure; with `out_file`, write a line for each candidate.

    Files are UTF-8 CSV, plain or gzipped, with the columns ats_id or own_id and title; customer, location,
    department, employment_type, posted (YYYY-MM-DD), code and, for own jobs, gold_ats_id are read where present.
    Raises ValueError with the name of the file when a required column is missing. An own job without a candidate gets
    a line with an empty ats_id.
    """
    matcher = matcher or default_matcher()
    customers = read_customers(ats_file, own_file)
    started = time.perf_counter()
    matches = [match_customer(matcher, customer) for customer in customers]
    seconds = time.perf_counter() - started
    if out_file is not None:
        _write(Path(out_file), (match for found in matches for match in found))
    gold = [right for customer in customers for right in customer.gold]
    return measure([match for found in matches for match in found], gold, seconds=seconds, version=matcher.version)


def match_customer(matcher: Matcher, customer: Customer, *, k: int = 5) -> list[Match]:
    """Index a customer's ATS jobs and match its own jobs against them."""
    return matcher.candidates(customer.own, matcher.index(customer.ats, customer=customer.name), k=k)


def measure(matches: Sequence[Match], gold: Sequence[str], *, seconds: float, version: str) -> Report:
    """Compare matches with the gold ids, one for each match."""
    ranks = np.array(
        [
            next((found.rank for found in match.candidates if found.ats.id == right), 0)
            for match, right in zip(matches, gold, strict=True)
        ]
    )
    has = np.array([bool(right) for right in gold], dtype=bool)
    some = np.array([bool(match.candidates) for match in matches], dtype=bool)
    confidence = np.array([match.candidates[0].confidence if match.candidates else 0.0 for match in matches])
    names = np.array([match.candidates[0].band if match.candidates else "none" for match in matches])
    right = has & (ranks == 1)
    reciprocal = np.divide(1.0, ranks, out=np.zeros(len(ranks)), where=ranks > 0)
    return Report(
        own=len(matches),
        with_counterpart=int(has.sum()),
        recall_at_1=_mean(ranks[has] == 1),
        recall_at_5=_mean((ranks[has] > 0) & (ranks[has] <= 5)),
        mrr=_mean(reciprocal[has]),
        bands={name: (int((names == name).sum()), _mean(right[names == name])) for name in BANDS},
        calibration_error=calibration_error(confidence[some], right[some]),
        auc_first_is_right=auc(confidence[some], right[some]),
        auc_no_counterpart=auc(np.array([match.none_probability for match in matches]), ~has),
        seconds=seconds,
        peak_mb=_peak_mb(),
        version=version,
    )


def calibration_error(confidence: Any, right: Any) -> float:
    """Return the expected calibration error: the mean gap of confidence and precision over the bins, by size."""
    if not len(confidence):
        return float("nan")
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = [abs(confidence[bins == bin_].sum() - right[bins == bin_].sum()) for bin_ in range(BINS)]
    return float(sum(gaps) / len(confidence))


def auc(scores: Any, positive: Any) -> float:
    """Return the area under the ROC curve: how often a positive has a higher score than a negative; ties count half."""
    positives, negatives = int(positive.sum()), int((~positive).sum())
    if not positives or not negatives:
        return float("nan")
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]
    return float((ranks[positive].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def read_customers(ats_file: Path | str, own_file: Path | str) -> list[Customer]:
    """Return the customers of two labelled files, in the order in which their own jobs appear."""
    ats: dict[str, list[JobText]] = defaultdict(list)
    for row in _rows(Path(ats_file), "ats_id"):
        ats[row.get("customer") or ""].append(_job(row, "ats_id"))
    customers: dict[str, Customer] = {}
    for row in _rows(Path(own_file), "own_id"):
        name = row.get("customer") or ""
        customer = customers.setdefault(name, Customer(name, ats.get(name, []), [], []))
        customer.own.append(_job(row, "own_id"))
        customer.gold.append(row.get("gold_ats_id") or "")
    return list(customers.values())


def _rows(path: Path, key: str) -> Iterator[dict[str, str]]:
    with _opened(path, "rt") as file:
        # Cells of any length are accepted; the default limit of the csv module is 128 KiB.
        csv.field_size_limit(sys.maxsize)
        reader = csv.DictReader(file)
        if missing := {key, "title"} - set(reader.fieldnames or ()):
            raise ValueError(f"{path} has no column {', '.join(sorted(missing))}")
        yield from reader


def _job(row: dict[str, str], key: str) -> JobText:
    return JobText(
        id=row[key],
        title=row["title"] or "",
        location=row.get("location") or "",
        department=row.get("department") or "",
        employment_type=row.get("employment_type") or "",
        posted=_day(row.get("posted") or ""),
        code=row.get("code") or None,
    )


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None


def _write(path: Path, matches: Iterable[Match]) -> None:
    with _opened(path, "wt") as file:
        writer = csv.writer(file)
        writer.writerow(["own_id", "ats_id", "rank", "score", "confidence", "band", "none_probability"])
        for match in matches:
            none = f"{match.none_probability:.4f}"
            for found in match.candidates:
                score, confidence = f"{found.score:.4f}", f"{found.confidence:.4f}"
                writer.writerow([match.own.id, found.ats.id, found.rank, score, confidence, found.band, none])
            if not match.candidates:
                writer.writerow([match.own.id, "", "", "", "", "none", none])


@contextmanager
def _opened(path: Path, mode: str) -> Iterator[IO[str]]:
    encoding = "utf-8-sig" if "r" in mode else "utf-8"
    opened: Any = gzip.open if path.suffix == ".gz" else open
    with opened(path, mode, encoding=encoding, newline="") as file:
        yield file


def _mean(values: Any) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def _peak_mb() -> float:
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
