"""Objections to a shared identifier: how many pairs of different jobs have none, how many pairs of one job have one.

    python -m benchmarks.objections [--data DIR] [--pairs N]

Prints Markdown, a row a set and half. Their constants were chosen on the first half of the customers; the second
half shows whether they carry over. Different jobs: random pairs of an own job and an ATS job of its customer that is
not its counterpart, at most N an own job. Twins, which have the same title words, are counted apart. Hard negatives:
two ATS jobs of one customer whose titles have the same words, but whose place, level or year is another.
"""

import argparse
import csv
import gzip
import hashlib
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path

from benchmarks import lab
from kombo_pipeline.matching import evaluate
from kombo_pipeline.matching.evaluate import Customer
from kombo_pipeline.matching.job_features import JobText
from kombo_pipeline.matching.languages import languages_of
from kombo_pipeline.matching.objections import Side, objections
from kombo_pipeline.matching.places import read_place
from kombo_pipeline.matching.titles import read_title
from kombo_pipeline.matching.word_lists import LEVELS

SETS = ("real", "varied")
Pair = tuple[JobText, JobText]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--pairs", type=int, default=20, help="of different jobs, at most so many an own job")
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        print(f"Skipped: the evaluation sets are not at {arguments.data}; name their folder with --data.")
        return
    print(lab.machine())
    rows: list[list[object]] = []
    hard: list[list[object]] = []
    seconds = compared = 0.0
    for name in SETS:
        files = arguments.data / f"title_pairs_{name}_ats.csv.gz", arguments.data / f"title_pairs_{name}_own.csv.gz"
        removed = _removed(files[1])
        halves: dict[int, list[Customer]] = {0: [], 1: []}
        for customer in evaluate.read_customers(*files):
            halves[hashlib.md5(customer.name.encode()).digest()[0] % 2].append(customer)
        for half, customers in halves.items():
            started = time.process_time()
            true = list(_true(customers))
            different = list(_different(customers, removed, arguments.pairs))
            rows.append([name, "chosen on" if half == 0 else "held out", *_figures(true, different)])
            seconds, compared = seconds + time.process_time() - started, compared + len(true) + len(different)
            found = {kind: [pair for each in customers for pair in _hard(each, kind)] for kind in _KINDS}
            hard.append([name, "chosen on" if half == 0 else "held out", *(_share(found[kind]) for kind in _KINDS)])
    head = ["set", "customers", "one job", "refused", "different", "passed", "without twins", "and in one language"]
    print("\n" + lab.table(head, rows))
    print("\nHard negatives that pass:\n\n" + lab.table(["set", "customers", *_KINDS], hard))
    print(f"\n{compared / seconds:,.0f} pairs a CPU second, reading the jobs included.")


def _removed(own_file: Path) -> dict[str, str]:
    with gzip.open(own_file, "rt", encoding="utf-8") as file:
        return {row["own_id"]: row["removed_gold"] for row in csv.DictReader(file)}


def _true(customers: list[Customer]) -> Iterator[Pair]:
    for customer in customers:
        by_id = {job.id: job for job in customer.ats}
        yield from ((own, by_id[gold]) for own, gold in zip(customer.own, customer.gold, strict=True) if gold in by_id)


def _different(customers: list[Customer], removed: dict[str, str], at_most: int) -> Iterator[Pair]:
    for customer in customers:
        rng = random.Random(customer.name)
        for own, gold in zip(customer.own, customer.gold, strict=True):
            others = [job for job in customer.ats if job.id not in (gold, removed[own.id])]
            yield from ((own, job) for job in rng.sample(others, min(at_most, len(others))))


def _figures(true: list[Pair], different: list[Pair]) -> list[object]:
    passed = [pair for pair in different if _passes(pair)]
    apart = [pair for pair in passed if _words(pair[0]) != _words(pair[1])]
    comparable = [pair for pair in apart if languages_of(pair[0].title) & languages_of(pair[1].title)]
    refused = sum(not _passes(pair) for pair in true)
    shares = (f"{len(pairs) / len(different):.2%}" for pairs in (passed, apart, comparable))
    return [f"{len(true):,}", f"{refused / len(true):.1%}", f"{len(different):,}", *shares]


def _passes(pair: Pair) -> bool:
    own, ats = (Side(job.title, job.location, job.employment_type, job.department) for job in pair)
    return not objections(own, ats)


def _words(job: JobText) -> list[str]:
    return sorted(read_title(job.title).words)


def _hard(customer: Customer, kind: str) -> Iterator[Pair]:
    by_title = defaultdict(list)
    for job in customer.ats:
        title = read_title(job.title)
        by_title[" ".join(sorted(word for word in title.words if not _varies(word)))].append(job)
    rng = random.Random(customer.name)
    for title, jobs in sorted(by_title.items()):
        if title:
            pairs = [pair for pair in combinations(jobs[:40], 2) if _KINDS[kind](*pair)]
            yield from rng.sample(pairs, min(5, len(pairs)))


def _varies(word: str) -> bool:
    return word in LEVELS or word.isdecimal()


def _other_place(one: JobText, other: JobText) -> bool:
    here, there = read_place(one.location), read_place(other.location)
    return bool(here.cities and there.cities and not here.words & there.words and _words(one) == _words(other))


def _other_level(one: JobText, other: JobText) -> bool:
    return read_title(one.title).levels != read_title(other.title).levels


def _other_year(one: JobText, other: JobText) -> bool:
    here, there = read_title(one.title).years, read_title(other.title).years
    return bool(here and there and not here & there)


_KINDS: dict[str, Callable[[JobText, JobText], bool]] = {
    "place": _other_place, "level": _other_level, "year": _other_year,
}  # fmt: skip


def _share(pairs: list[Pair]) -> str:
    return f"{sum(map(_passes, pairs)) / len(pairs):.1%} of {len(pairs):,}" if pairs else "none"


if __name__ == "__main__":
    main()
