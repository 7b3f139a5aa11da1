"""What telling the product costs a fetch: with the triggers of core.targets and core.notices, and with them off.

    python -m benchmarks.telling [--jobs 50000] [--large 1000000] [--rounds 5]

Every job of the large table is linked, exposed and a target. Both sides take turns in every round; a ratio is taken
within a round, and the median of the rounds is shown. Renewal reads the landed records of the first fetch again.
"""

import argparse
import time
from typing import Any

from benchmarks.ingest import MODULE as INGEST
from benchmarks.ingest import PORT, multiply
from benchmarks.lab import Measured, embedded_postgres, fresh_database, machine, measure, median, report, table
from benchmarks.lab import sandbox as running_sandbox
from kombo_pipeline.db import embedded
from kombo_pipeline.db.connection import connect
from kombo_pipeline.ingest import renewal

MODULE = "benchmarks.telling"
TELLING = """
    select t.tgname, t.tgrelid::regclass::text as of_table
    from pg_trigger t
    join pg_proc p on p.oid = t.tgfoid
    join pg_namespace n on n.oid = p.pronamespace
    where n.nspname = 'core' and not t.tgisinternal
"""


def switch(url: str, *, on: bool) -> None:
    """Switch every trigger of the schema core on or off."""
    with connect(url) as conn:
        for row in conn.execute(TELLING).fetchall():
            word = "enable" if on else "disable"
            conn.execute(f"alter table {row['of_table']} {word} trigger {row['tgname']}")


def link_everything(url: str) -> None:
    """Give each job an own job, a link, an exposure and a told target."""
    with connect(url) as conn:
        conn.execute("""
            insert into core.own_jobs (customer_id, own_job_id, title, source, list)
            select customer_id, kombo_job_id, name, 'import', 'import'
            from core.jobs
            join core.integrations using (integration_id)
        """)
        conn.execute("""
            insert into core.job_links
                (customer_id, own_job_id, integration_id, kombo_job_id, method, own_seen, ats_seen)
            select customer_id, kombo_job_id, integration_id, kombo_job_id, 'kombo_id', '{}', '{}'
            from core.jobs
            join core.integrations using (integration_id)
        """)
        conn.execute("""
            insert into core.exposed_jobs (integration_id, kombo_job_id, exposed_by, channel)
            select integration_id, kombo_job_id, 'bench', 'manual'
            from core.jobs
        """)
        conn.execute("""
            insert into core.targets
                (customer_id, own_job_id, integration_id, kombo_job_id, title, remote_id, post_url, sequence)
            select customer_id, own_job_id, integration_id, kombo_job_id, name, remote_id, post_url, 0
            from marts.application_targets
        """)
        conn.commit()
        conn.autocommit = True
        conn.execute("vacuum analyze")
        conn.execute("checkpoint")
        row = conn.execute("select count(*) as targets from core.targets").fetchone()
        assert row is not None
        print(f"{row['targets']:,} targets", flush=True)


def first_fetch(server: embedded.Server, jobs: int, rounds: int) -> None:
    """The first full fetch, told and untold."""
    told: list[Measured] = []
    untold: list[Measured] = []
    with running_sandbox(jobs, port=PORT) as kombo:
        arguments = (kombo.url, kombo.integration_ids[0])
        measure(server, INGEST, "discard", *arguments, "-")  # renders the pages
        for number in range(rounds):
            for is_told in (True, False) if number % 2 else (False, True):
                url = fresh_database(server, "bench_telling")
                if not is_told:
                    switch(url, on=False)
                (told if is_told else untold).append(measure(server, INGEST, "ours", *arguments, url))
        url = fresh_database(server, "bench_telling")
        fetched = measure(server, INGEST, "ours", *arguments, url)
        renewed = measure(server, MODULE, "renew", url, kombo.integration_ids[0])
    print(f"\n## First full fetch of {jobs:,} jobs\n")
    _show(told, untold)
    print(f"\nAll read again by a newer rule: {renewed.wall:.1f} s, {renewed.wall / fetched.wall:.2f} of the fetch.")


def incremental(server: embedded.Server, jobs: int, rounds: int) -> None:
    """500 changed jobs, each a target, told and untold."""
    told: list[Measured] = []
    untold: list[Measured] = []
    with running_sandbox(5000, port=PORT) as kombo:
        url = fresh_database(server, "bench_telling")
        arguments = (kombo.url, kombo.integration_ids[0], url)
        measure(server, INGEST, "ours", *arguments)
        multiply(url, jobs // 5000)
        switch(url, on=False)
        link_everything(url)
        for number in range(-1, rounds):
            for is_told in (True, False) if number % 2 else (False, True):
                switch(url, on=is_told)
                kombo.change(500)
                measured = measure(server, INGEST, "ours", *arguments)
                if number >= 0:  # the first round warms the caches
                    (told if is_told else untold).append(measured)
        with connect(url) as conn:
            notices = conn.execute("""
                select type, payload #>> '{data,reason}' as reason, count(*) as notices
                from core.notices
                group by type, reason
            """).fetchall()
            print(notices)
    print(f"\n## 500 changed jobs of {jobs:,}\n")
    _show(told, untold)


def renew(url: str, integration_id: str) -> dict[str, Any]:
    """Read the landed records of an integration again, as after an upgrade that reads more of them."""
    with connect(url) as conn:
        conn.execute("update raw.fetches set record_rule = 0")
        conn.execute("update core.integrations set record_rule = 0")
        conn.commit()
        started = time.perf_counter()
        records = renewal.renew(conn, integration_id)
        return {"records": records, "seconds": time.perf_counter() - started}


def _show(told: list[Measured], untold: list[Measured]) -> None:
    rows: list[list[object]] = [
        [name, *(median([getattr(each, part) for each in runs]) for part in ("wall", "cpu", "postgres_cpu"))]
        for name, runs in (("told", told), ("untold", untold))
    ]
    print(table(["fetch", "wall s", "CPU s", "Postgres CPU s"], rows))
    for part in ("wall", "cpu_sum"):
        ratios = sorted(getattr(a, part) / getattr(b, part) for a, b in zip(told, untold, strict=True))
        print(f"told / untold, {part}: median {median(ratios):.3f}, from {ratios[0]:.3f} to {ratios[-1]:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contender", nargs=3, metavar=("NAME", "DATABASE", "INTEGRATION"))
    parser.add_argument("--jobs", type=int, default=50_000)
    parser.add_argument("--large", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if options.contender:
        _, url, integration_id = options.contender
        report(lambda: renew(url, integration_id))
        return
    with embedded_postgres() as server:
        print(machine())
        first_fetch(server, options.jobs, options.rounds)
        incremental(server, options.large, options.rounds)


if __name__ == "__main__":
    main()
