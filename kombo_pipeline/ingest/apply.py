"""Applies the landed pages of a fetch to core.jobs, its children and its history."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import NamedTuple

import msgspec
import psycopg

from kombo_pipeline.db import leases
from kombo_pipeline.db.connection import Connection
from kombo_pipeline.ingest import health, lifecycle, successions
from kombo_pipeline.ingest.fetch import land_records
from kombo_pipeline.ingest.fetchable import why_not_fetched
from kombo_pipeline.ingest.rows import CHILD_TABLES, JOB_COLUMNS, JobRows, RowWriter
from kombo_pipeline.ingest.statements import (
    fetches,
    held_closures,
    integrations,
    job_pages,
    jobs,
    quarantined_records,
    staged_jobs,
    unreadable_fields,
    webhook_events,
)
from kombo_pipeline.ingest.statements.fetches import Fetch
from kombo_pipeline.ingest.statements.integrations import Integration
from kombo_pipeline.ingest.statements.quarantined_records import QuarantinedRecord, UnreadRecord
from kombo_pipeline.kombo.record import RECORD_RULE, UnreadableRecordError, read_id
from kombo_pipeline.kombo.responses import read_page
from kombo_pipeline.linking import links
from kombo_pipeline.vocabulary import FetchKind

# 2,000 records: about 13 MB of JSON, which keeps memory flat and each COPY long enough to be cheap.
_PAGES_A_BATCH = 8
# What Postgres says of a value that it cannot store: the record's fault, not ours.
_UNSTORABLE = (psycopg.DataError, psycopg.errors.ProgramLimitExceeded, psycopg.errors.StatementTooComplex)


@dataclass(frozen=True)
class Applied:
    """What a fetch did to core.jobs, in numbers of jobs."""

    fetch_id: int
    kind: FetchKind
    new: int
    changed: int
    unchanged: int
    closed: int
    quarantined: int
    repaired: int
    held: int
    notes: list[str]


def apply_landed_fetches(conn: Connection, integration_id: str) -> list[Applied]:
    """Apply every landed fetch of an integration, oldest first, in the caller's transaction.

    Nothing is visible, and the watermark does not move, until the caller commits. What is applied follows
    from the tables alone, so the next run repeats what a killed one had begun.
    """
    integration = integrations.lock(conn, integration_id)
    if integration is None:
        return []
    applied = []
    for fetch in fetches.landed(conn, integration_id):
        if (why := why_not_fetched(integration)) is not None:
            fetches.abandon(conn, fetch.fetch_id, why)
        else:
            applied.append(_apply(conn, integration, fetch))
    return applied


def _apply(conn: Connection, integration: Integration, fetch: Fetch) -> Applied:
    integration_id, fetch_id = integration.integration_id, fetch.fetch_id
    reads_again = fetch.kind == "release"
    sorted_jobs = staged_jobs.classify(conn, integration_id=integration_id, fetch_id=fetch_id, reads_again=reads_again)
    open_jobs = jobs.open_job_count(conn, integration_id) if fetch.kind == "full" else 0
    records = RecordWriter(conn, integration_id=integration_id, fetch_id=fetch_id)
    unidentified = _write_pages(conn, records, fetch_id)
    staged_jobs.record_creations(conn, integration_id=integration_id, fetch_id=fetch_id)
    unreadable_fields.keep_stored_values(conn)
    held = lifecycle.hold_implausible_closures(conn, integration, fetch, emptied=records.emptied_tombstones)
    records.merge_changes()
    held_closures.note_returned(conn, integration_id=integration_id, fetch_id=fetch_id)
    repaired, notes = 0, []
    shows_all = fetch.kind == "full"
    if shows_all:
        repaired = jobs.changed_before(conn, fetch_id, integration.kombo_last_sync_started_at)
        vanished = lifecycle.close_vanished(conn, integration, fetch, unidentified=unidentified, open_jobs=open_jobs)
        held, repaired, notes = held + vanished.held, repaired + vanished.closed, vanished.notes
        shows_all = not (vanished.held or vanished.notes)
    if held:
        notes.append(f"{held} jobs were not closed: a person must decide, with `kombo-pipeline release closure`.")
    links.follow_jobs(conn, integration_id, fetch_id=None if fetch.kind == "full" else fetch_id)
    quarantined_records.release_overtaken(conn, integration_id=integration_id, fetch_id=fetch_id, shows_all=shows_all)
    counts = {
        "new": sorted_jobs.new - records.set_aside_unseen,
        "changed": jobs.changed_by(conn, fetch_id),
        "unchanged": sorted_jobs.unchanged,
        "closed": jobs.closed_by(conn, fetch_id),
        "quarantined": records.set_aside + unreadable_fields.shown_by_fetch(conn, integration_id),
        "repaired": repaired,
    }
    fetches.mark_applied(conn, fetch_id, counts, record_rule=RECORD_RULE)
    if not reads_again:
        integrations.mark_fetched(conn, fetch)
        webhook_events.mark_covered(conn, integration_id=integration_id, covers_event_seq=fetch.covers_event_seq)
        taken_over = successions.judge(
            conn, integration_id, after_full_fetch=fetch.kind == "full", has_new_jobs=counts["new"] > 0
        )
        notes += [f"It has taken over from {older}, whose links and answers follow." for older in taken_over]
    health.diagnose_and_store(conn, integration_id)
    return Applied(fetch_id=fetch_id, kind=fetch.kind, held=held, notes=notes, **counts)


class Record(NamedTuple):
    """A record of a page on its way to the tables."""

    raw: msgspec.Raw | bytes
    record_hash: str
    page_number: int
    is_known: bool
    """Whether core.jobs has the job."""
    rows: JobRows | None
    """None when the record has no readable id."""
    reason: str = ""
    """Why there are no rows."""


def _write_pages(conn: Connection, writer: "RecordWriter", fetch_id: int) -> int:
    """Write every record that is new or changed; return how many records have no readable id.

    One batch is decoded while the one before it is written.
    """
    wanted = staged_jobs.records_to_read(conn, fetch_id)
    numbers = list(wanted)
    batch: list[Record] = []
    with ThreadPoolExecutor(max_workers=1) as pool:
        for start in range(0, len(numbers), _PAGES_A_BATCH):
            pages = job_pages.read(conn, fetch_id, numbers[start : start + _PAGES_A_BATCH])
            writing = pool.submit(writer.write, batch)
            batch = [record for page in pages for record in writer.decode(page, wanted[page.page_number])]
            writing.result()
    writer.write(batch)
    return sum(len(places.unidentified) for places in wanted.values())


class RecordWriter:
    """Writes records: those of unseen jobs to core, those of known jobs to staging tables.

    A record with fields that cannot be read is written without them and kept in quarantine for a later release;
    one without a readable id is kept there whole.
    """

    def __init__(self, conn: Connection, *, integration_id: str, fetch_id: int) -> None:
        self._conn = conn
        self._integration_id = integration_id
        self._fetch_id = fetch_id
        self._rows = RowWriter(integration_id, fetch_id)
        self.emptied_tombstones: dict[str, datetime] = {}
        self.set_aside = 0
        self.set_aside_unseen = 0
        staged_jobs.prepare_incoming(conn)

    def decode(self, page: job_pages.LandedPage, places: staged_jobs.Places) -> Iterator[Record]:
        """Yield the records of a page that stand at `places`, decoded."""
        records = read_page(page.body)
        for positions, is_known in ((places.new, False), (places.changed, True), (places.unidentified, True)):
            for position in positions:
                raw, record_hash = records[position - 1], page.record_hashes[position - 1]
                yield self.read(raw, record_hash, page_number=page.page_number, is_known=is_known)

    def read(self, raw: msgspec.Raw | bytes, record_hash: str, *, page_number: int, is_known: bool) -> Record:
        """Decode one record."""
        try:
            rows = self._rows.rows(raw, record_hash)
        except UnreadableRecordError as error:
            return Record(raw, record_hash, page_number, is_known, None, str(error))
        return Record(raw, record_hash, page_number, is_known, rows)

    def write(self, records: Sequence[Record]) -> None:
        """Write records; each one that cannot be written goes to quarantine alone."""
        unseen: list[Record] = []
        known: list[Record] = []
        for record in records:
            if record.rows is None:
                self._set_aside(record, record.reason)
            elif record.is_known and record.rows.emptied_at is not None:
                self.emptied_tombstones[record.rows.kombo_job_id] = record.rows.emptied_at
            else:
                (known if record.is_known else unseen).append(record)
        self._copy(unseen, incoming=False)
        self._copy(known, incoming=True)

    def merge_changes(self) -> None:
        """Bring the staged changes into core.jobs and its children, with their history.

        Kombo empties a tombstone 14 days after the deletion. Such a record only dates the deletion: the
        copy we have is better than the empty one.
        """
        staged_jobs.merge_changed_jobs(self._conn, fetch_id=self._fetch_id, columns=JOB_COLUMNS)
        for field, (table, columns) in CHILD_TABLES.items():
            staged_jobs.merge_changed_children(
                self._conn,
                field=field,
                table=table,
                columns=columns,
                integration_id=self._integration_id,
                fetch_id=self._fetch_id,
            )
        jobs.mark_gone(
            self._conn,
            integration_id=self._integration_id,
            column="remote_deleted_at",
            gone_at=self.emptied_tombstones,
            fetch_id=self._fetch_id,
        )

    def _copy(self, records: Sequence[Record], *, incoming: bool) -> None:
        if not records:
            return
        try:
            with self._conn.transaction():
                self._copy_all([record.rows for record in records if record.rows], incoming=incoming)
        except _UNSTORABLE as error:
            if len(records) == 1:
                self._copy_what_is_storable(records[0], str(error).splitlines()[0], incoming=incoming)
            else:
                middle = len(records) // 2
                self._copy(records[:middle], incoming=incoming)
                self._copy(records[middle:], incoming=incoming)
        else:
            self._quarantine([(r, r.rows.unreadable) for r in records if r.rows and r.rows.unreadable])

    def _copy_what_is_storable(self, record: Record, refusal: str, *, incoming: bool) -> None:
        """Copy a record that Postgres refused: without its odd fields, at the worst with its lifecycle alone."""
        for read in (self._rows.tolerant_rows, partial(self._rows.lifecycle_rows, reason=refusal)):
            try:
                rows = read(record.raw, record.record_hash)
                with self._conn.transaction():
                    self._copy_all([rows], incoming=incoming)
            except (UnreadableRecordError, *_UNSTORABLE):
                continue
            self._quarantine([(record, rows.unreadable)] if rows.unreadable else [])
            return
        self._set_aside(record, refusal)

    def _copy_all(self, rows: Sequence[JobRows], *, incoming: bool) -> None:
        staged_jobs.copy_rows(self._conn, "jobs", JOB_COLUMNS, [row.job for row in rows], incoming=incoming)
        for field, (table, columns) in CHILD_TABLES.items():
            lines = [row.children[field] or "" for row in rows]
            staged_jobs.copy_rows(self._conn, table, columns, lines, incoming=incoming)
        if incoming:
            untold = [(row.kombo_job_id, field) for row in rows for field, text in row.children.items() if text is None]
            staged_jobs.note_untold_lists(self._conn, untold)
            left_out = [(row.kombo_job_id, list(row.left_out)) for row in rows if row.left_out]
            unreadable_fields.note_left_out(self._conn, left_out)

    def _set_aside(self, record: Record, reason: str) -> None:
        """Keep a record of which nothing can be applied."""
        self._quarantine([(record, {"record": reason})])
        self.set_aside += 1
        self.set_aside_unseen += not record.is_known

    def _quarantine(self, odd: Sequence[tuple[Record, Mapping[str, str]]]) -> None:
        """Keep records that could not be read whole, with the reasons by field."""
        kept = [
            UnreadRecord(
                page_number=record.page_number,
                kombo_job_id=read_id(record.raw),
                record_hash=record.record_hash,
                record=bytes(record.raw),
                reason="; ".join(f"{field}: {reason}" for field, reason in reasons.items()),
            )
            for record, reasons in odd
        ]
        quarantined_records.keep(self._conn, kept, integration_id=self._integration_id, fetch_id=self._fetch_id)


def release_records(
    conn: Connection, quarantine_ids: Sequence[int] | None = None
) -> tuple[int, list[QuarantinedRecord]]:
    """Read quarantined records with today's code and apply what it can read; without ids, all of them.

    They are landed as a fetch of their own and applied like every record. Commits after each integration; raises
    LeaseTakenError at one that is being fetched. Returns how many were applied, and the records that stay in
    quarantine, with today's reason.
    """
    asked: list[int] = []
    found = quarantined_records.waiting(conn, quarantine_ids)
    conn.commit()
    for integration_id in dict.fromkeys(record.integration_id for record in found):
        with leases.hold(conn, integration_id, "fetch") as lease, conn.transaction():
            leases.limit_idle_time(conn)
            # What landed after these records must not be overwritten by them; it may even overtake them.
            apply_landed_fetches(conn, integration_id)
            ids = [record.quarantine_id for record in found if record.integration_id == integration_id]
            if records := quarantined_records.waiting(conn, ids):
                quarantined_records.mark_released(conn, ids)
                land_records(conn, integration_id, [each.record for each in records])
                apply_landed_fetches(conn, integration_id)
            asked += [each.quarantine_id for each in records]
            lease.confirm(conn)
    staying = quarantined_records.waiting(conn, asked)
    return len(asked) - len(staying), staying
