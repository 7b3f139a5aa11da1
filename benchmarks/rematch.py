"""Matching in the warehouse: everything for the first time, nothing new, ten changed ATS jobs, one new own job.

    python -m benchmarks.rematch [--data DIR] [--size 100000]

Reading and writing included, one integration, in this process. The jobs are those of the scale set, which is not
part of the project; the script skips with a reason where it is absent.
"""

import argparse
import csv
import gzip
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from benchmarks.lab import embedded_postgres, fresh_database, machine, median, table
from kombo_pipeline.db.connection import Connection, connect
from kombo_pipeline.linking.candidates import Matched, match_integration
from kombo_pipeline.matching.scoring import default_matcher

CUSTOMER, INTEGRATION = "acme", "greenhouse:CBNMt7dSNCzBdnRTx87dev4E"
DESCRIPTION = "<p>We look for people who like what they do, and do it well. Come as you are.</p>" * 30


def rows(file: Path, size: int) -> Iterator[dict[str, str]]:
    with gzip.open(file, "rt", encoding="utf-8", newline="") as lines:
        yield from islice(csv.DictReader(lines), size)


def fill(conn: Connection, data: Path, size: int) -> None:
    """Write the jobs of both sides as a fetch and an import leave them."""
    conn.execute(
        "insert into core.integrations (integration_id, customer_id, organization_name) values (%s, %s, 'Acme')",
        (INTEGRATION, CUSTOMER),
    )
    fetch_id = start_fetch(conn)
    with conn.cursor().copy(
        "copy core.jobs (integration_id, kombo_job_id, name, location_raw, status, description, last_fetch_id) "
        "from stdin"
    ) as copy:
        for row in rows(data / "scale_ats_100k.csv.gz", size):
            copy.write_row((INTEGRATION, row["ats_id"], row["title"], row["location"], "OPEN", DESCRIPTION, fetch_id))
    with conn.cursor().copy("copy core.own_jobs (customer_id, own_job_id, title, location) from stdin") as copy:
        for row in rows(data / "scale_own_100k.csv.gz", size):
            copy.write_row((CUSTOMER, row["own_id"], row["title"], row["location"]))
    conn.commit()
    conn.autocommit = True
    conn.execute("vacuum analyze")
    conn.execute("checkpoint")
    conn.autocommit = False


def start_fetch(conn: Connection) -> int:
    row = conn.execute(
        "insert into raw.fetches (integration_id, kind, covers_event_seq, status) "
        "values (%s, 'incremental', 0, 'applied') returning fetch_id",
        (INTEGRATION,),
    ).fetchone()
    assert row is not None
    return int(row["fetch_id"])


def change(conn: Connection, jobs: int, generation: int) -> None:
    """Rename ATS jobs as an applied fetch does."""
    fetch_id = start_fetch(conn)
    conn.execute(
        "with changed as (update core.jobs set name = name || ' ' || %(generation)s, last_fetch_id = %(fetch)s "
        "where integration_id = %(integration)s and kombo_job_id in (select kombo_job_id from core.matchable_jobs "
        "order by md5(kombo_job_id || %(generation)s) limit %(jobs)s) returning kombo_job_id, name) "
        "insert into core.job_changes (integration_id, kombo_job_id, field, new_value, fetch_id) "
        "select %(integration)s, kombo_job_id, 'name', to_jsonb(name), %(fetch)s from changed",
        {"generation": str(generation), "fetch": fetch_id, "integration": INTEGRATION, "jobs": jobs},
    )
    conn.commit()


def add_own(conn: Connection, number: int) -> None:
    conn.execute(
        "insert into core.own_jobs (customer_id, own_job_id, title, location) values (%s, %s, %s, 'Berlin')",
        (CUSTOMER, f"new-{number}", f"Senior Data Engineer {number}"),
    )
    conn.commit()


def timed(conn: Connection) -> tuple[float, Matched]:
    started = time.perf_counter()
    matched = match_integration(conn, INTEGRATION)
    conn.commit()
    return time.perf_counter() - started, matched


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--size", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if not (options.data / "scale_ats_100k.csv.gz").exists():
        print(f"Skipped: the scale set is not at {options.data}; name its folder with --data.")
        return
    print(machine())
    default_matcher()
    with embedded_postgres() as server, connect(fresh_database(server, "bench_rematch")) as conn:
        fill(conn, options.data, options.size)
        measured = [("everything, the first time", [timed(conn)]), ("nothing new", [timed(conn)])]
        conn.autocommit = True
        conn.execute("vacuum analyze")
        conn.autocommit = False
        again: list[tuple[float, Matched]] = []
        for number in range(options.rounds):
            change(conn, 10, number)
            again.append(timed(conn))
        measured.append(("10 changed ATS jobs", again))
        own: list[tuple[float, Matched]] = []
        for number in range(options.rounds):
            add_own(conn, number)
            own.append(timed(conn))
        measured.append(("1 new own job", own))
    print(f"\n## {options.size:,} own jobs and as many ATS jobs of one integration\n")
    print(
        table(
            ["matching", "s, median", "own jobs matched", "pairs compared"],
            [
                [name, median([seconds for seconds, _ in runs]), runs[-1][1].scored, runs[-1][1].pairs]
                for name, runs in measured
            ],
        )
    )


if __name__ == "__main__":
    main()
