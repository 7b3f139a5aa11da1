"""Import jobs of your own database into core.own_jobs, and withdraw those that a list no longer has."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from kombo_pipeline import limits
from kombo_pipeline.db.connection import Connection
from kombo_pipeline.guard import HELD_ABOVE_JOBS, HELD_ABOVE_SHARE, is_held
from kombo_pipeline.own_jobs import held_withdrawals, statements
from kombo_pipeline.own_jobs.files import MAX_NAMED, BadRow
from kombo_pipeline.own_jobs.reading import COLUMNS, OwnJob
from kombo_pipeline.own_jobs.statements import EXAMPLES, NamedJob
from kombo_pipeline.vocabulary import SOURCES

MAX_LIST_CHARACTERS: Final = limits.WORD.most


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did, in jobs; `bad` are the first rows that it could not take, or not as a whole."""

    new: int
    changed: int
    unchanged: int
    withdrawn: int
    bad: list[BadRow]
    held: int = 0
    """Jobs that the list lacks and that are too many to be withdrawn without a person."""
    hold_id: int | None = None
    """The hold of those jobs, for `kombo-pipeline release own-jobs`."""
    not_withdrawn: str = ""
    """Why no job that the list lacks was withdrawn, or held, although the list replaces."""
    examples: Mapping[str, Sequence[NamedJob]] = field(default_factory=dict, compare=False)
    """The first jobs that are new, changed, withdrawn and held, under these names."""
    more_bad: int = 0
    """Bad rows beyond MAX_NAMED, which are only counted."""


class _BadRows:
    """The bad rows of a list: the first ones in full, and of all of them which jobs must not be withdrawn."""

    def __init__(self) -> None:
        self.named: list[BadRow] = []
        self.more = 0
        self.own_job_ids: set[str] = set()
        """The ids that they name; these jobs are not withdrawn for being absent."""
        self.nameless = 0
        """How many rows could not be read and name no job: each may be any job of the list."""

    def add(self, row: BadRow) -> None:
        if len(self.named) < MAX_NAMED:
            self.named.append(row)
        else:
            self.more += 1
        if row.own_job_id is not None:
            self.own_job_ids.add(row.own_job_id)
        elif not row.kept:
            self.nameless += 1


class Collected(NamedTuple):
    """A list that has been read to its end: its jobs, of equal ids the last one, and its bad rows."""

    jobs: dict[str, OwnJob]
    bad: _BadRows


def import_own_jobs(
    conn: Connection,
    rows: Iterable[OwnJob | BadRow] | Collected,
    *,
    customer_id: str,
    source: str,
    list_name: str | None = None,
    replace: bool = False,
) -> Imported:
    """Insert or update a customer's jobs in the caller's transaction; unchanged ones are not written.

    A job belongs to the list that brought it last: `list_name`, or else the source. A withdrawn job that comes back
    is no longer withdrawn. A job marked `withdrawn` is withdrawn, whatever list it belongs to, and nothing else of its
    row is stored. Of jobs with the same id the last one counts.

    With `replace` the jobs of the same list that the rows lack are withdrawn, except those that a bad row names.
    None is withdrawn when no job could be read, or when a row that could not be read names no job, since it may be any
    of them. If they are too many to be believed (`guard.is_held`), they are held for a person. To try an import out,
    roll back. Raises ValueError for a customer id that is blank or too long, an unknown source, and a name of a list
    that cannot be stored.
    """
    _check(customer_id, source)
    list_name = source if list_name is None else checked_list_name(list_name)
    jobs, bad = rows if isinstance(rows, Collected) else collect(rows)
    ending = {own_job_id: job for own_job_id, job in jobs.items() if job.withdrawn}
    jobs = {own_job_id: job for own_job_id, job in jobs.items() if not job.withdrawn}

    statements.lock_customer(conn, customer_id)
    living = statements.living(conn, customer_id=customer_id, list_name=list_name) if replace else 0
    statements.stage(conn, COLUMNS, ([getattr(job, name) for name in COLUMNS] for job in jobs.values()))
    written = statements.upsert_staged(
        conn, customer_id=customer_id, source=source, list_name=list_name, columns=COLUMNS
    )
    held_withdrawals.take_out_staged(conn, customer_id=customer_id)
    unknown = statements.unknown(conn, customer_id=customer_id, own_job_ids=list(ending))
    for id_ in sorted(unknown):
        bad.add(BadRow(ending[id_].line, f"there is no job {id_} to withdraw", own_job_id=id_))
    ended = statements.withdraw(conn, customer_id=customer_id, own_job_ids=list(ending))
    absent = _Absent()
    if replace:
        absent = _without_absent(
            conn, customer_id=customer_id, list_name=list_name, living=living, has_jobs=bool(jobs), bad=bad
        )
    return Imported(
        written.new,
        written.changed,
        len(jobs) - written.new - written.changed + len(ending) - len(unknown) - len(ended),
        len(ended) + len(absent.withdrawn),
        sorted(bad.named, key=lambda row: row.line),
        len(absent.held),
        absent.hold_id,
        absent.why_none,
        {
            "new": written.new_jobs,
            "changed": written.changed_jobs,
            "withdrawn": [*ended, *absent.withdrawn][:EXAMPLES],
            "held": absent.held[:EXAMPLES],
        },
        bad.more,
    )


def _check(customer_id: str, source: str) -> None:
    if not customer_id.strip():
        raise ValueError("a customer id is needed")
    if fault := limits.CODE.fault(customer_id):
        raise ValueError(f"the customer id is too long: {fault}")
    if source not in SOURCES:
        raise ValueError(f"{source!r} is no source; known are {', '.join(SOURCES)}")


def checked_list_name(name: str) -> str:
    """Return the name of a list as it is stored. Raises ValueError for a blank one, a long one and null bytes."""
    name = name.strip()
    if not name or len(name) > MAX_LIST_CHARACTERS or "\0" in name:
        raise ValueError(f"the name of a list has 1 to {MAX_LIST_CHARACTERS} characters, not all blank")
    return name


def collect(rows: Iterable[OwnJob | BadRow]) -> Collected:
    """Read a list to its end, without a connection."""
    jobs: dict[str, OwnJob] = {}
    bad = _BadRows()
    for row in rows:
        if isinstance(row, BadRow):
            bad.add(row)
            continue
        if earlier := jobs.pop(row.own_job_id, None):
            reason = f"job {row.own_job_id} comes again in line {row.line}, which counts"
            bad.add(BadRow(earlier.line, reason, own_job_id=row.own_job_id))
        jobs[row.own_job_id] = row
    return Collected(jobs, bad)


@dataclass(frozen=True, slots=True)
class _Absent:
    """What became of the jobs that a list lacks."""

    withdrawn: Sequence[NamedJob] = ()
    held: Sequence[NamedJob] = ()
    hold_id: int | None = None
    why_none: str = ""


def _without_absent(
    conn: Connection, *, customer_id: str, list_name: str, living: int, has_jobs: bool, bad: _BadRows
) -> _Absent:
    """Withdraw the jobs that a list lacks, hold them, or leave them and say why; `living` is what the list had."""
    if not has_jobs:
        return _Absent(why_none="no living job could be read, so no job was withdrawn for being missing")
    if bad.nameless:
        rows = (
            f"{bad.nameless} rows could not be read and name"
            if bad.nameless > 1
            else "1 row could not be read and names"
        )
        return _Absent(why_none=f"{rows} no job, so no job was withdrawn")
    of_list = {"customer_id": customer_id, "list_name": list_name}
    absent = statements.absent(conn, **of_list, spared=list(bad.own_job_ids))
    ids = [job.own_job_id for job in absent]
    if not is_held(ending=len(absent), living=living):
        held_withdrawals.supersede(conn, **of_list)
        statements.withdraw(conn, **of_list, own_job_ids=ids)
        return _Absent(withdrawn=absent)
    hold_id = held_withdrawals.hold(conn, **of_list, own_job_ids=ids, living_jobs=living)
    if hold_id is None:
        return _Absent(why_none=f"{len(absent)} jobs are not in the list, and a person has refused to withdraw them")
    return _Absent(held=absent, hold_id=hold_id)


def why_not_withdrawn(imported: Imported, *, dry_run: bool = False) -> str:
    """Say why jobs that the list lacks were not withdrawn, and what to do; empty where there is nothing to say."""
    if not imported.held:
        return imported.not_withdrawn
    released = "" if dry_run else f": back office, page Holds, or `kombo-pipeline release own-jobs {imported.hold_id}`"
    return (
        f"{imported.held} jobs are not in the list. More than {HELD_ABOVE_JOBS} jobs and more than "
        f"{HELD_ABOVE_SHARE:.0%} of the list are not withdrawn at once until a person has looked{released}"
    )


class Released(NamedTuple):
    """What a person's decision about a held withdrawal did."""

    customer_id: str
    withdrawn: Sequence[NamedJob]


def release_withdrawal(conn: Connection, hold_id: int, *, decided_by: str, refuse: bool = False) -> Released | None:
    """Withdraw the jobs of a held withdrawal, or refuse to; None when no hold of that number waits.

    Exactly the set that was held is withdrawn, less jobs that a list has brought since, or that are withdrawn
    already. The caller lets the links follow.
    """
    decision = "refused" if refuse else "released"
    hold = held_withdrawals.decide(conn, hold_id, decision=decision, decided_by=decided_by)
    if hold is None:
        return None
    of_list = {"customer_id": hold.customer_id, "list_name": hold.list_name}
    return Released(
        hold.customer_id, () if refuse else statements.withdraw(conn, **of_list, own_job_ids=hold.own_job_ids)
    )
