"""Kombo's copy of one customer's jobs, and when each counts as changed."""

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from kombo_pipeline.sandbox.clock import stamp
from kombo_pipeline.sandbox.records import NESTED, Content, Record

TOMBSTONE_LIFETIME: Final = timedelta(days=14)
"""How long a deleted record can still be read (Kombo docs)."""

Mutation = Callable[[Record], object]

_JOIN_MODEL: Final = {
    "stages": "ats_join_jobs_application_stages",
    "screening_questions": "ats_join_jobs_screening_questions",
    "hiring_team": "ats_join_jobs_users",
}
_MODEL: Final = {
    "stages": "ats_application_stages",
    "screening_questions": "ats_screening_questions",
    "job_postings": "ats_job_postings",
    "hiring_team": "ats_users",
}


class Filterable(msgspec.Struct, frozen=True):
    """The properties a query can filter by; anything may stand in them."""

    remote_id: Any = None
    name: Any = None
    job_code: Any = None
    post_url: Any = None
    status: Any = None
    employment_type: Any = None
    visibility: Any = None
    remote_created_at: Any = None


_read_filterable = msgspec.json.Decoder(Filterable).decode


class Row:
    """A job in Kombo's database; `position` is its place in the stable but arbitrary order of results."""

    __slots__ = (
        "_filterable", "anonymised", "changed_at", "content", "id", "mutate", "position",
        "remote_deleted_at", "updated_at",
    )  # fmt: skip

    def __init__(self, job_id: str, content: Content, now: datetime) -> None:
        self.id = job_id
        self.position = hashlib.blake2b(job_id.encode(), digest_size=8).hexdigest()
        self.content = content
        self.changed_at = now
        self.updated_at = now
        self.remote_deleted_at: datetime | None = None
        self.anonymised = False
        self.mutate: Mutation | None = None
        self._filterable: Filterable | None = None

    def replace(self, content: Content) -> None:
        """Take over what the ATS holds."""
        self.content, self._filterable = content, None

    @property
    def filterable(self) -> Filterable:
        """What filters compare; read once per version of the content."""
        if self._filterable is None:
            self._filterable = _read_filterable(self.content.own)
        return self._filterable

    def wire(self, *, extras: bool) -> bytes:
        """The record as sent; `extras` are the keys of the OpenAPI document that the SDK does not know."""
        if extras and self.mutate is None and not self.anonymised:
            deleted = b"null" if self.remote_deleted_at is None else b'"%s"' % stamp(self.remote_deleted_at).encode()
            changed = stamp(self.changed_at).encode()
            own, nested = self.content
            return b'%s,"changed_at":"%s","remote_deleted_at":%s,%s' % (
                own[:-1],
                changed,
                deleted,
                nested[1:],
            )
        record = self.record()
        if not extras:
            _drop_extras(record)
        return msgspec.json.encode(record if self.mutate is None else self.mutate(record))

    def record(self) -> Record:
        """The record as a dict of one's own, before any injected oddity."""
        record = self.content.record()
        if self.anonymised:
            record |= {name: [] for name in NESTED}
        record["changed_at"] = stamp(self.changed_at)
        record["remote_deleted_at"] = None if self.remote_deleted_at is None else stamp(self.remote_deleted_at)
        return record


class Mirror:
    """The rows of one integration; `version` grows with every change that a read could show."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.version = 0
        self._ordered: tuple[int, list[Row]] = (-1, [])
        self._oldest_tombstone: datetime | None = None

    def ordered(self) -> list[Row]:
        """All rows in the order of results."""
        version, rows = self._ordered
        if version != self.version:
            rows = sorted(self.rows.values(), key=lambda row: (row.position, row.id))
            self._ordered = (self.version, rows)
        return rows

    def absorb(self, job_id: str, content: Content, now: datetime, *, question_edits_count: bool) -> set[str]:
        """Copy one job; returns the names of the models that changed, none if the copy was equal already."""
        row = self.rows.get(job_id)
        if row is None:
            self.rows[job_id] = Row(job_id, content, now)
            self.version += 1
            filled = {name for name, entries in content.lists().items() if entries}
            return {"ats_jobs"} | {models[name] for models in (_MODEL, _JOIN_MODEL) for name in filled & models.keys()}
        reborn = row.remote_deleted_at is not None or row.anonymised
        if row.content == content and not reborn:
            return set()
        models, counts = _nested_changes(row.content, content, question_edits_count=question_edits_count)
        if row.content.own != content.own or reborn:
            models.add("ats_jobs")
            row.changed_at, counts = now, True
        if counts:
            row.updated_at = now
        row.remote_deleted_at, row.anonymised = None, False
        row.replace(content)
        self.version += 1
        return models

    def bury(self, job_id: str, now: datetime) -> set[str]:
        """Mark a job as no longer seen in the ATS; deletions count as changes (Kombo SDK)."""
        row = self.rows.get(job_id)
        if row is None or row.remote_deleted_at is not None:
            return set()
        row.remote_deleted_at = row.changed_at = row.updated_at = now
        self._oldest_tombstone = self._oldest_tombstone or now
        self.version += 1
        return {"ats_jobs"}

    def mutate(self, job_id: str, mutation: Mutation | None, now: datetime) -> None:
        """Distort one record on the wire from here on, or stop doing so; counts as a change of the job."""
        row = self.rows[job_id]
        row.mutate, row.changed_at, row.updated_at = mutation, now, now
        self.version += 1

    def purge(self, now: datetime, *, anonymise: bool) -> int:
        """Remove, or empty, tombstones older than 14 days; returns how many."""
        if self._oldest_tombstone is None or now - self._oldest_tombstone < TOMBSTONE_LIFETIME:
            return 0
        purged = 0
        self._oldest_tombstone = None
        for row in list(self.rows.values()):
            deleted = row.remote_deleted_at
            if deleted is None or row.anonymised:
                continue
            if now - deleted < TOMBSTONE_LIFETIME:
                self._oldest_tombstone = min(deleted, self._oldest_tombstone or deleted)
                continue
            purged += 1
            if anonymise:
                row.anonymised = True
                row.replace(Content(_all_null(row), row.content.nested))
            else:
                del self.rows[row.id]
        self.version += bool(purged)
        return purged


def _all_null(row: Row) -> bytes:
    keys: Record = msgspec.json.decode(row.content.own)
    return msgspec.json.encode(dict.fromkeys(keys) | {"id": row.id})


def _nested_changes(old: Content, new: Content, *, question_edits_count: bool) -> tuple[set[str], bool]:
    """The models that changed, and whether `updated_after` notices (the table of Kombo's `updated_after`
    text).

    Entries added or removed always count. An edit of the linked record counts for postings, for questions
    since 2026-07-16, and never for stages and users.
    """
    models: set[str] = set()
    counts = False
    if old.nested == new.nested:
        return models, counts
    before, after = old.lists(), new.lists()
    for name in NESTED:
        was = {entry["id"]: entry for entry in before.get(name, [])}
        now = {entry["id"]: entry for entry in after.get(name, [])}
        if was.keys() != now.keys():
            models.add(_JOIN_MODEL.get(name, _MODEL[name]))
            counts = True
        if any(was.get(entry_id) != entry for entry_id, entry in now.items()):
            models.add(_MODEL[name])
            edited = any(entry_id in was and was[entry_id] != entry for entry_id, entry in now.items())
            counts |= edited and (name == "job_postings" or (name == "screening_questions" and question_edits_count))
    return models, counts


def _drop_extras(record: Record) -> None:
    for key in ("integration_fields", "remote_data"):
        record.pop(key, None)
    for entry in (*record["stages"], *record["job_postings"]):
        entry.pop("remote_data", None)
