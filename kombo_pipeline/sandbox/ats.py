"""The truth: one customer's jobs in the customer's own ATS. Nothing here is visible through Kombo until it is
copied.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from kombo_pipeline.sandbox.clock import stamp
from kombo_pipeline.sandbox.records import NESTED, Content, Record, RecordMaker, ids_below, kombo_id


class Opened(NamedTuple):
    """A job as it was when it was opened, and when that was."""

    content: Content
    at: datetime


class Ats:
    """Jobs by the Kombo id they have or will have; `touched` are those changed since Kombo last copied them.
    `opened` are all that ever were, but for re-posts, as they were at first.

    Every method raises `KeyError` for a job that does not exist (any more).
    """

    def __init__(self, integration_id: str, maker: RecordMaker) -> None:
        self.integration_id = integration_id
        self.jobs: dict[str, Content] = {}
        self.opened: dict[str, Opened] = {}
        self.touched: set[str] = set()
        self._deleted: dict[str, Content] = {}
        self._maker = maker
        self._made = 0
        self._entries_made = 0

    def open(self, now: datetime, **fields: Any) -> str:
        """A job of the generator's making, overwritten by `fields`; a given `remote_id` decides its id."""
        self._made += 1
        city = (fields.get("location") or {}).get("city")
        record = self._maker.make(self._made, now, title=fields.get("name"), city=city)
        if "remote_id" in fields:
            fields["id"] = kombo_id(self.integration_id, fields["remote_id"])
        record.update(fields)
        job_id = self._put(record)
        self.opened.setdefault(job_id, Opened(self.jobs[job_id], now))
        return job_id

    def record(self, job_id: str) -> Record:
        """A job as the ATS holds it, a copy."""
        return self.jobs[job_id].record()

    def edit(self, job_id: str, now: datetime, **fields: Any) -> None:
        """Change own properties; `remote_updated_at` moves unless it is given."""
        self._put(self.record(job_id) | {"remote_updated_at": stamp(now)} | fields)

    def set_status(self, job_id: str, status: str | None, now: datetime) -> None:
        """Change the status; closing dates `closed_at`, reopening clears it."""
        dates: dict[str | None, Record] = {"CLOSED": {"closed_at": stamp(now)}, "OPEN": {"closed_at": None}}
        self.edit(job_id, now, status=status, **dates.get(status, {}))

    def edit_nested(self, job_id: str, list_name: str, index: int, **fields: Any) -> None:
        """Change the record behind a nested entry. A person in `hiring_team` changes on every job of the
        customer.
        """
        edited_id = self._nested(job_id, list_name)[index]["id"]
        carriers = self._carriers(edited_id) if list_name == "hiring_team" else [job_id]
        for carrier in list(carriers):
            entries = self._nested(carrier, list_name)
            changed = [entry | fields if entry["id"] == edited_id else entry for entry in entries]
            self._put(self.record(carrier) | {list_name: changed})

    def add_nested(self, job_id: str, list_name: str, **fields: Any) -> str:
        """Append an entry; without a template among the existing entries one of the generator's jobs lends
        it.
        """
        record = self.record(job_id)
        entries = record[list_name]
        template = entries[-1] if entries else self._lend(list_name)
        self._entries_made += 1
        entry = (
            template | {"remote_id": f"{record['remote_id']}-new{self._entries_made}", "index": len(entries)} | fields
        )
        if "index" not in template:
            del entry["index"]
        ids_below(self.integration_id, [entry])
        self._put(record | {list_name: [*entries, entry]})
        return str(entry["id"])

    def remove_nested(self, job_id: str, list_name: str, index: int) -> None:
        """Take an entry out of a list."""
        entries = self._nested(job_id, list_name)
        del entries[index]
        self._put(self.record(job_id) | {list_name: entries})

    def delete(self, job_id: str) -> None:
        """The job is gone from the ATS without a word."""
        self._deleted[job_id] = self.jobs.pop(job_id)
        self.touched.add(job_id)

    def restore(self, job_id: str) -> None:
        """A deleted job is back as it was, under the same ids."""
        self.jobs[job_id] = self._deleted.pop(job_id)
        self.touched.add(job_id)

    def repost(self, job_id: str, now: datetime) -> str:
        """Open the same job once more under a new remote id: same code, title and place, new ids throughout.

        The old job stays as it is; a deleted one can be re-posted too.
        """
        content = self.jobs.get(job_id) or self._deleted[job_id]
        self._made += 1
        fresh = self._maker.make(self._made, now)
        keep = fresh.keys() & {
            "id",
            "remote_id",
            "remote_url",
            "remote_data",
            "hiring_team",
            "contact_id",
            *NESTED,
        }
        record = content.record() | {key: fresh[key] for key in keep}
        record |= {key: stamp(now) for key in ("opened_at", "remote_created_at", "remote_updated_at")}
        if record["post_url"]:
            record["post_url"] = f"{record['post_url'].rpartition('/')[0]}/{record['remote_id']}"
        return self._put(record | {"status": "OPEN", "closed_at": None})

    def _put(self, record: Record) -> str:
        job_id = str(record["id"])
        self.jobs[job_id] = Content.of(record)
        self.touched.add(job_id)
        return job_id

    def _nested(self, job_id: str, list_name: str) -> list[Record]:
        return self.jobs[job_id].lists()[list_name]

    def _carriers(self, entry_id: str) -> Iterator[str]:
        needle = entry_id.encode()
        return (job_id for job_id, content in self.jobs.items() if needle in content.nested)

    def _lend(self, list_name: str) -> Record:
        for number in range(1, 1000):
            entries: list[Record] = self._maker.make(number, datetime.fromisoformat("2026-01-01T00:00:00Z"))[list_name]
            if entries:
                return entries[0]
        raise LookupError(list_name)
