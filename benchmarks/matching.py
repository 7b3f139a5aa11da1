"""The matcher beside its peers: labelled pairs, MELO, and size; prints Markdown.

    python -m benchmarks.matching [--data DIR] [--size N] [--skip-peers]

The labelled sets are those the weights were learned from; `benchmarks.train_matcher` prints what they reach on
customers they have not seen. Peers get the same customers and the same jobs in the same process; string-grouper runs
in an environment of its own, pg_trgm in a Postgres of its own. Times are this machine's, ratios carry over.
"""

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from rapidfuzz import fuzz, process

from benchmarks import lab
from kombo_pipeline.matching import evaluate
from kombo_pipeline.matching.evaluate import Customer
from kombo_pipeline.matching.job_features import JobText
from kombo_pipeline.matching.scoring import Matcher, default_matcher

SETS = ("real", "varied")
Rank = Callable[[Customer], Any]
"""For each own job of a customer, the rows of its ATS jobs, best first, at most five."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--size", type=int, default=100_000)
    parser.add_argument("--skip-peers", action="store_true")
    parser.add_argument("--contender", nargs=3)
    arguments = parser.parse_args()
    if arguments.contender:
        lab.report(lambda: _at_scale(*arguments.contender))
        return
    if not arguments.data.is_dir():
        print(f"Skipped: the evaluation sets are not at {arguments.data}; name their folder with --data.")
        return
    print(lab.machine())
    quality(arguments.data, peers=not arguments.skip_peers)
    print(f"\nMELO usa_q_en_c_en, titles alone: MRR {melo(arguments.data / 'melo_usa_en'):.4f}")
    small_runs(arguments.data)
    at_scale(arguments.data, arguments.size, peers=not arguments.skip_peers)


def quality(data: Path, *, peers: bool) -> None:
    """Recall within each customer, and what the matcher says of itself."""
    for name in SETS:
        files = data / f"title_pairs_{name}_ats.csv.gz", data / f"title_pairs_{name}_own.csv.gz"
        print(f"\n## {name}\n\n```\n{evaluate.evaluate(*files)}\n```\n")
        if peers:
            customers = evaluate.read_customers(*files)
            rows = [[label, *_recall(customers, rank)] for label, rank in _peers()]
            print(lab.table(["peer", "recall@1", "recall@5", "seconds"], rows))


def _peers() -> Iterator[tuple[str, Rank]]:
    yield "rapidfuzz token_sort, title", lambda each: _cdist(each, fuzz.token_sort_ratio, _title)
    yield "rapidfuzz token_sort, title and place", lambda each: _cdist(each, fuzz.token_sort_ratio, _both)
    yield "rapidfuzz WRatio, title", lambda each: _cdist(each, fuzz.WRatio, _title)
    with lab.embedded_postgres() as server, psycopg.connect(server.url("postgres"), autocommit=True) as conn:
        conn.execute("create extension if not exists pg_trgm")
        yield "pg_trgm, title", lambda each: _trigrams(conn, each, _title)
        yield "pg_trgm, title and place", lambda each: _trigrams(conn, each, _both)


def _title(job: JobText) -> str:
    return job.title.lower()


def _both(job: JobText) -> str:
    return f"{job.title} {job.location}".lower()


def _cdist(customer: Customer, scorer: Any, text: Callable[[JobText], str]) -> Any:
    scores = process.cdist(
        [text(job) for job in customer.own], [text(job) for job in customer.ats], scorer=scorer, dtype=np.float32
    )
    return np.argsort(-scores, axis=1, kind="stable")[:, :5]


def _trigrams(conn: psycopg.Connection[Any], customer: Customer, text: Callable[[JobText], str]) -> Any:
    conn.execute("create temp table if not exists theirs (row int, text text)")
    conn.execute("truncate theirs")
    with conn.cursor().copy("copy theirs from stdin") as copy:
        for row, job in enumerate(customer.ats):
            copy.write_row((row, text(job).replace("\0", " ")))
    query = "select row from theirs order by similarity(text, %s) desc, row limit 5"
    return [[row for (row,) in conn.execute(query, [text(job).replace("\0", " ")])] for job in customer.own]


def _recall(customers: list[Customer], rank: Rank) -> list[str]:
    started = time.perf_counter()
    first = fifth = has = 0
    for customer in customers:
        ids = [job.id for job in customer.ats]
        for gold, rows in zip(customer.gold, rank(customer) if ids else [[]] * len(customer.own), strict=True):
            found = [ids[row] for row in rows]
            has += bool(gold)
            first += bool(gold) and gold in found[:1]
            fifth += bool(gold) and gold in found
    return [f"{first / has:.3f}", f"{fifth / has:.3f}", f"{time.perf_counter() - started:.1f}"]


def melo(folder: Path) -> float:
    """Mean reciprocal rank of the first right occupation title, over all corpus elements that are proposed."""
    right = defaultdict(set)
    for query, _, element, relevant in _tsv(folder / "annotations.tsv.gz"):
        if relevant == "1":
            right[query].add(element)
    corpus, queries = (
        [JobText(key, title) for key, title in _tsv(folder / f"{name}.tsv.gz")]
        for name in ("corpus_elements", "queries")
    )
    matches = default_matcher().candidates(queries, default_matcher().index(corpus), k=100)
    return float(
        np.mean(
            [
                next((1 / each.rank for each in match.candidates if each.ats.id in right[match.own.id]), 0.0)
                for match in matches
            ]
        )
    )


def _tsv(path: Path) -> list[list[str]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [line.rstrip("\n").split("\t") for line in file]


def small_runs(data: Path) -> None:
    """The sizes most runs have, and one own job against a ready index."""
    customer = _scale(data)
    rows: list[list[object]] = []
    matcher = default_matcher()
    for own, ats in ((20, 200), (1_000, 5_000)):
        times = [_timed(lambda own=own, ats=ats: _match(matcher, customer, own, ats)) for _ in range(5)]
        rows.append([f"{own:,} x {ats:,}", lab.median(times) * 1000])
    index = matcher.index(customer.ats)
    times = [_timed(lambda job=job: matcher.candidates([job], index)) for job in customer.own[:200]]
    rows.append([f"1 x {len(index):,}, index ready", lab.median(times) * 1000])
    print("\n" + lab.table(["own x ATS", "ms"], rows))


def at_scale(data: Path, size: int, *, peers: bool) -> None:
    """One customer of `size` jobs on both sides, every contender in a process of its own."""
    contenders = [("matcher", sys.executable)]
    with tempfile.TemporaryDirectory() as folder:
        if peers:
            contenders += [(f"string_grouper_{what}", _grouper(Path(folder))) for what in ("title", "both")]
        rows: list[list[object]] = []
        for name, python in contenders:
            arguments = ["--contender", name, str(data), str(size)]
            module = "benchmarks.matching" if name == "matcher" else "benchmarks.string_grouper_peer"
            done = subprocess.run(
                [python, "-m", module, *arguments],
                capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1],
            )  # fmt: skip
            told = json.loads(done.stdout.splitlines()[-1])
            rows.append([name, told["wall"], told["cpu"], told["peak_mb"], f"{told['result']['recall']:.3f}"])
    print(f"\n## {size:,} x {size:,}\n\n" + lab.table(["", "seconds", "CPU s", "peak MB", "recall@1"], rows))


def _grouper(folder: Path) -> str:
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "string-grouper"], check=True)
    return str(python)


def _at_scale(name: str, data: str, size: str) -> dict[str, Any]:
    assert name == "matcher", name
    customer = _scale(Path(data))
    number = int(size)
    matches = _match(default_matcher(), customer, number, number)
    right = [match.candidates[0].ats.id if match.candidates else "" for match in matches]
    has = sum(map(bool, customer.gold[:number]))
    return {"recall": round(sum(a == b != "" for a, b in zip(right, customer.gold[:number], strict=True)) / has, 3)}


def _match(matcher: Matcher, customer: Customer, own: int, ats: int) -> list[Any]:
    return matcher.candidates(customer.own[:own], matcher.index(customer.ats[:ats]))


def _scale(data: Path) -> Customer:
    [customer] = evaluate.read_customers(data / "scale_ats_100k.csv.gz", data / "scale_own_100k.csv.gz")
    return customer


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
