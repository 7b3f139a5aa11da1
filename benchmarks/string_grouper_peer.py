"""string-grouper on the scale set; runs in an environment of its own, without this project's code."""

import argparse
import csv
import gzip
import json
import resource
import sys
import time
from pathlib import Path


def read(path: Path, size: int) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return [row for row, _ in zip(csv.DictReader(file), range(size), strict=False)]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--contender", nargs=3)
    name, data, size = parser.parse_args().contender

    import pandas as pd
    from string_grouper import match_strings

    place = name.endswith("both")
    ats, own = (read(Path(data) / f"scale_{side}_100k.csv.gz", int(size)) for side in ("ats", "own"))
    started, before = time.perf_counter(), time.process_time()
    texts = [
        pd.Series([f"{row['title']} {row['location']}" if place else row["title"] for row in rows]).str.lower()
        for rows in (own, ats)
    ]
    found = match_strings(*texts, min_similarity=0.2, max_n_matches=5, ignore_index=False, number_of_processes=2)
    best = found.sort_values("similarity", ascending=False).drop_duplicates("left_index")
    golds = {row["gold_ats_id"] for row in own if row["gold_ats_id"]}
    hits = sum(
        ats[right]["ats_id"] == own[left]["gold_ats_id"]
        for left, right in zip(best["left_index"], best["right_index"], strict=True)
    )
    has = sum(bool(row["gold_ats_id"]) for row in own)
    wall, cpu = time.perf_counter() - started, time.process_time() - before
    assert golds
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    print(json.dumps({"wall": wall, "cpu": cpu, "peak_mb": peak, "result": {"recall": round(hits / has, 3)}}))


if __name__ == "__main__":
    main()
