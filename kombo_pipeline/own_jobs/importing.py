"""Jobs of your own database, written to core.own_jobs."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.own_jobs import statements
from kombo_pipeline.own_jobs.files import BadRow
from kombo_pipeline.own_jobs.reading import COLUMNS, OwnJob

SOURCES: Final = ("manual", "email", "import", "multiposter")


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did, in jobs; `bad` is what it could not take, or not as a whole."""

    new: int
    changed: int
    unchanged: int
    withdrawn: int
    bad: list[BadRow]


def import_own_jobs(
    conn: Connection, rows: Iterable[OwnJob | BadRow], *, customer_id: str, source: str, replace: bool = False
) -> Imported:
    """Upsert a customer's jobs in the caller's transaction; unchanged ones are not written.

    A withdrawn job that comes back is alive again, and belongs to the source that brought it last. With
    `replace` the customer's other jobs of this source are withdrawn, but for those that a bad row is about,
    and none when there is no job at all. Of jobs with the same id the last counts. Raises ValueError for a
    blank customer or an unknown source.
    """
    if not customer_id.strip():
        raise ValueError("a customer id is needed")
    if source not in SOURCES:
        raise ValueError(f"{source!r} is no source; known are {', '.join(SOURCES)}")
    jobs: dict[str, OwnJob] = {}
    bad: list[BadRow] = []
    for row in rows:
        if isinstance(row, BadRow):
            bad.append(row)
            continue
        if earlier := jobs.pop(row.own_job_id, None):
            reason = f"job {row.own_job_id} comes again in line {row.line}, which counts"
            bad.append(BadRow(earlier.line, reason, own_job_id=row.own_job_id))
        jobs[row.own_job_id] = row
    if not jobs and replace:
        bad.append(BadRow(0, "no job could be read, therefore none is withdrawn"))
    statements.stage(conn, COLUMNS, ([getattr(job, name) for name in COLUMNS] for job in jobs.values()))
    new, changed = statements.upsert_staged(conn, customer_id=customer_id, source=source, columns=COLUMNS)
    withdrawn = 0
    if jobs and replace:
        spared = [row.own_job_id for row in bad if row.own_job_id]
        withdrawn = statements.withdraw_unstaged(conn, customer_id=customer_id, source=source, spared=spared)
    return Imported(new, changed, len(jobs) - new - changed, withdrawn, sorted(bad, key=lambda row: row.line))
