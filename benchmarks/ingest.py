"""The whole path of a fetch beside its floors and dlt.

    python -m benchmarks.ingest [--jobs 50000] [--rounds 5] [--without-dlt]
                                [--sections initial,growth,changed,incremental]

Contenders run one after the other in every round, each in a process of its own on a fresh database; a ratio
is taken within a round, and the median of the rounds is shown.
"""

import argparse
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from benchmarks.lab import API_KEY, Measured, embedded_postgres, fresh_database, machine, measure, median, report, table
from benchmarks.lab import sandbox as running_sandbox
from kombo_pipeline.db import embedded
from kombo_pipeline.db.connection import connect
from kombo_pipeline.ingest.rows import END_OF_ROW, JOB_COLUMNS, escaped, job_row
from kombo_pipeline.ingest.statements import staged_jobs
from kombo_pipeline.ingest.statements.staged_jobs import DELIMITER, NULL
from kombo_pipeline.kombo.client import Kombo
from kombo_pipeline.kombo.record import read_job

PORT = 18090
DLT_ENVIRONMENT = Path(__file__).parent / ".venv-dlt"
MODULE = "benchmarks.ingest"


def ours(api: str, integration_id: str, url: str, *, full: bool = False) -> dict[str, Any]:
    """Land and apply: what `raw_job_pages` and `jobs` do."""
    from kombo_pipeline.ingest.apply import apply_landed_fetches
    from kombo_pipeline.ingest.fetch import land_fetch

    with connect(url) as conn, Kombo(api_url=api, api_key=API_KEY) as kombo:
        landed = land_fetch(conn, kombo, integration_id, overlap=timedelta(0), full=full)
        with conn.transaction():
            applied = apply_landed_fetches(conn, integration_id)[0]
    return {"records": landed.records, "new": applied.new, "changed": applied.changed, "unchanged": applied.unchanged}


def discard(api: str, integration_id: str, _url: str) -> dict[str, Any]:
    """Floor (a): fetch every page and throw it away."""
    with Kombo(api_url=api, api_key=API_KEY) as kombo:
        return {"records": sum(len(page.records) for page in kombo.job_pages(integration_id))}


def copy_typed(api: str, integration_id: str, url: str) -> dict[str, Any]:
    """Floor (b): fetch, decode and COPY the typed jobs alone: no pages, children, history or watermark."""
    records = 0
    with connect(url) as conn, Kombo(api_url=api, api_key=API_KEY) as kombo:
        conn.execute("insert into core.integrations (integration_id) values (%s)", (integration_id,))
        batch: list[str] = []
        for page in kombo.job_pages(integration_id):
            for record in page.records:
                job, _ = read_job(record)
                key = f"{integration_id}{DELIMITER}{job.id}{DELIMITER}1{DELIMITER}{'0' * 32}"
                batch.append(escaped(job_row(job, key) + NULL + DELIMITER + NULL + END_OF_ROW))
            records += len(page.records)
            if len(batch) >= 2000:
                staged_jobs.copy_rows(conn, "jobs", JOB_COLUMNS, batch, incoming=False)
                batch = []
        staged_jobs.copy_rows(conn, "jobs", JOB_COLUMNS, batch, incoming=False)
        conn.commit()
    return {"records": records}


def initial(server: embedded.Server, jobs: int, rounds: int, *, with_dlt: bool) -> None:
    """The first full fetch, and a second one in which nothing has changed."""
    names = ["discard", "copy_typed", "ours", "ours_again"] + (["dlt_flat", "dlt_nested"] if with_dlt else [])
    runs: dict[str, list[Measured]] = {name: [] for name in names}
    with running_sandbox(jobs, port=PORT) as kombo:
        arguments = (kombo.url, kombo.integration_ids[0])
        measure(server, MODULE, "discard", *arguments, "-")  # renders the pages
        for _ in range(rounds):
            runs["discard"].append(measure(server, MODULE, "discard", *arguments, "-"))
            url = fresh_database(server, "bench_copy")
            runs["copy_typed"].append(measure(server, MODULE, "copy_typed", *arguments, url))
            url = fresh_database(server, "bench_ours")
            runs["ours"].append(measure(server, MODULE, "ours", *arguments, url))
            runs["ours_again"].append(measure(server, MODULE, "ours_full", *arguments, url))
            for name in names[4:]:
                url = fresh_database(server, f"bench_{name}", migrated=False)
                runs[name].append(
                    measure(server, "benchmarks.dlt_peer", name, *arguments, url, python=str(dlt_python()))
                )
    rows = []
    for name, measured in runs.items():
        walls = [a.wall / b.wall for a, b in zip(runs["ours"], measured, strict=True)]
        cpus = [a.cpu_sum / b.cpu_sum for a, b in zip(runs["ours"], measured, strict=True)]
        rows.append(
            [
                name,
                median([each.wall for each in measured]),
                median([each.cpu for each in measured]),
                median([each.postgres_cpu for each in measured]),
                f"{max(each.peak_mb for each in measured):.0f}",
                median(walls),
                median(cpus),
            ]
        )
    print(f"\n## First full fetch of {jobs:,} jobs, {rounds} rounds\n")
    header = ["contender", "wall s", "CPU s", "Postgres CPU s", "peak MB", "ours / it, wall", "ours / it, CPU"]
    print(table(header, rows))
    again = [b.wall / a.wall for a, b in zip(runs["ours"], runs["ours_again"], strict=True)]
    print(f"\nSecond full fetch with nothing changed: {median(again):.2f} of the first (wall).")


def growth(server: embedded.Server, sizes: list[int]) -> None:
    """Memory and time by size."""
    rows = []
    for jobs in sizes:
        with running_sandbox(jobs, port=PORT) as kombo:
            url = fresh_database(server, "bench_growth")
            arguments = (kombo.url, kombo.integration_ids[0])
            measure(server, MODULE, "discard", *arguments, "-")
            measured = measure(server, MODULE, "ours", *arguments, url)
        rows.append([f"{jobs:,}", measured.wall, measured.cpu_sum, f"{measured.peak_mb:.0f}"])
    print("\n## Growth\n")
    print(table(["jobs", "wall s", "CPU s", "peak MB"], rows))


def changed(server: embedded.Server, jobs: int) -> None:
    """Every job changes at once, as when Kombo adds a field or a customer renames a department."""
    rows = []
    with running_sandbox(jobs, port=PORT) as kombo:
        url = fresh_database(server, "bench_changed")
        arguments = (kombo.url, kombo.integration_ids[0])
        measure(server, MODULE, "discard", *arguments, "-")
        first = measure(server, MODULE, "ours", *arguments, url)
        kombo.change(jobs - 1)
        measure(server, MODULE, "discard", *arguments, "-")
        for name, measured in (("all new", first), ("all changed", measure(server, MODULE, "ours", *arguments, url))):
            told = measured.result
            rows.append([name, told["new"], told["changed"], measured.wall, measured.cpu, measured.postgres_cpu])
    print(f"\n## All of {jobs:,} jobs changed\n")
    print(table(["fetch", "new", "changed", "wall s", "CPU s", "Postgres CPU s"], rows))


def incremental(server: embedded.Server, sizes: list[int], rounds: int) -> None:
    """500 changed jobs on a small and on a large table of one integration."""
    rows, walls = [], {}
    with running_sandbox(5000, port=PORT) as kombo:
        arguments = (kombo.url, kombo.integration_ids[0])
        for size in sizes:
            url = fresh_database(server, "bench_incremental")
            measure(server, MODULE, "ours", *arguments, url)
            multiply(url, size // 5000)
            kombo.change(500)
            measure(server, MODULE, "ours", *arguments, url)  # warms the caches
            measured = []
            for _ in range(rounds):
                kombo.change(500)
                measured.append(measure(server, MODULE, "ours", *arguments, url))
            walls[size] = median([each.wall for each in measured])
            rows.append(
                [
                    f"{size:,}",
                    measured[-1].result["changed"],
                    walls[size],
                    median([each.cpu for each in measured]),
                    median([each.postgres_cpu for each in measured]),
                    walls[size] / walls[sizes[0]],
                ]
            )
    print("\n## 500 changed jobs, by size of the integration's table\n")
    print(table(["jobs in the table", "changed", "wall s", "CPU s", "Postgres CPU s", "to the smallest"], rows))


def multiply(url: str, copies: int) -> None:
    """Give the integration copies of each of its jobs under other ids, children included."""
    with connect(url) as conn:
        for name in ("jobs", *(f"job_{child}" for child in ("stages", "screening_questions", "postings"))):
            columns = [
                row["column_name"]
                for row in conn.execute(
                    "select column_name from information_schema.columns where table_schema = 'core' "
                    "and table_name = %s and is_generated = 'NEVER' and column_name <> 'kombo_job_id'",
                    (name,),
                )
            ]
            listed = ", ".join(columns)
            conn.execute(f"create temporary table original on commit drop as table core.{name}")
            conn.execute(
                f"insert into core.{name} (kombo_job_id, {listed}) select kombo_job_id || '-' || copied, {listed} "
                f"from generate_series(1, {copies - 1}) copied cross join original"
            )
            conn.commit()
        conn.autocommit = True
        conn.execute("vacuum analyze")
        conn.execute("checkpoint")


def dlt_python() -> Path:
    """The Python of an environment with dlt, made on first use: it is no dependency of the project."""
    python = DLT_ENVIRONMENT / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(DLT_ENVIRONMENT)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", "dlt[postgres]==1.31.*"], check=True)
    return python


CONTENDERS = {
    "ours": ours,
    "ours_full": lambda *a: ours(*a, full=True),
    "discard": discard,
    "copy_typed": copy_typed,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contender", nargs=4, metavar=("NAME", "API", "INTEGRATION", "DATABASE"))
    parser.add_argument("--jobs", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--without-dlt", action="store_true")
    parser.add_argument("--sections", default="initial,growth,changed,incremental")
    options = parser.parse_args()
    if options.contender:
        name, *arguments = options.contender
        report(lambda: CONTENDERS[name](*arguments))
        return
    sections = options.sections.split(",")
    with embedded_postgres() as server:
        print(machine())
        if "initial" in sections:
            initial(server, options.jobs, options.rounds, with_dlt=not options.without_dlt)
        if "growth" in sections:
            growth(server, [options.jobs, 4 * options.jobs])
        if "changed" in sections:
            changed(server, options.jobs)
        if "incremental" in sections:
            incremental(server, [5_000, 20 * options.jobs], options.rounds)


if __name__ == "__main__":
    main()
