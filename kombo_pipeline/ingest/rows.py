"""Job records as rows for COPY, one table a list, columns in the order given here.

Formatting takes half of the CPU time of a first fetch. So a record is joined with delimiters that cannot occur in JSON
text and escaped as a whole, instead of field by field.
"""

from datetime import datetime
from typing import Any, NamedTuple, TypeVar

import msgspec

from kombo_pipeline.ingest.statements.staged_jobs import DELIMITER, NULL
from kombo_pipeline.kombo.record import (
    Job,
    Location,
    Posting,
    ScreeningQuestion,
    Stage,
    TeamMember,
    UnreadableRecordError,
    read_job,
)
from kombo_pipeline.kombo.tolerance import TolerantJob, read_lifecycle, read_tolerantly

# fmt: off
JOB_COLUMNS = (
    "integration_id", "kombo_job_id", "last_fetch_id", "record_hash",
    "remote_id", "name", "job_code", "description", "confidential", "weekly_hours",
    "employment_type", "status", "visibility", "category", "department", "post_url",
    "experience_level", "remote_work_status", "salary_amount", "salary_amount_from", "salary_amount_to",
    "salary_currency", "salary_period", "location_city", "location_country", "location_raw",
    "location_state", "location_street_1", "location_street_2", "location_zip_code",
    "custom_fields", "integration_fields", "remote_url", "opened_at", "closed_at",
    "remote_created_at", "remote_updated_at", "contact_id", "remote_data", "changed_at",
    "remote_deleted_at", "unknown_fields", "unreadable_fields",
)
_KEY = ("integration_id", "kombo_job_id", "position", "id", "remote_id")
CHILD_TABLES = {
    "stages": ("job_stages", (*_KEY, "name", "status", "index", "custom_fields", "remote_data")),
    "screening_questions": ("job_screening_questions", (
        *_KEY, "title", "description", "category", "required", "index", "format", "precondition_question_id",
        "precondition_options",
    )),
    "job_postings": ("job_postings", (
        *_KEY, "title", "description_html", "status", "visibility", "url", "remote_data",
    )),
    "hiring_team": ("job_hiring_team", (
        *_KEY, "first_name", "last_name", "email", "hiring_team_roles", "job_roles",
    )),
}
"""Nested list of the record -> its table and columns."""
# fmt: on

END_OF_ROW = "\x1e"
"""Row separator used until the line breaks inside values are escaped."""
# A value that contains one of the three gets a noncharacter in its place, which becomes COPY's escape at the end.
_AWAY = str.maketrans({DELIMITER: "\ufdd0", NULL: "\ufdd1", END_OF_ROW: "\ufdd2"})
_BACK = {"\ufdd0": "\\x1f", "\ufdd1": "\\x1d", "\ufdd2": "\\x1e"}

_Entry = TypeVar("_Entry", Stage, ScreeningQuestion, Posting, TeamMember)
_NOWHERE = Location()


class JobRows(NamedTuple):
    """One record, ready for COPY."""

    kombo_job_id: str
    job: str
    """The row of core.jobs."""
    children: dict[str, str | None]
    """The rows of each nested list; None where the list is missing from the record, so that stored rows stay."""
    emptied_at: datetime | None
    """When the job was deleted, if Kombo has emptied its record since; else None."""
    unreadable: dict[str, str] | None = None
    """The reason by field that could not be read; None when all could be read."""
    left_out: tuple[str, ...] = ()
    """Columns that have no value here and keep their stored one."""


class RowWriter:
    """Formats the records of one fetch as rows for COPY."""

    def __init__(self, integration_id: str, fetch_id: int) -> None:
        self._integration_id = integration_id
        self._fetch_id = fetch_id

    def rows(self, record: msgspec.Raw | bytes, record_hash: str) -> JobRows:
        """Return the rows of a record: read as a whole first, and field by field where that fails.

        Raises UnreadableRecordError when the record has no usable id.
        """
        text = bytes(record)
        has_escapes = b"\\u00" in text
        if has_escapes and b"\\u0000" in text:
            return self.tolerant_rows(record, record_hash)
        try:
            job, unknown = read_job(record)
            return self._rows(
                job,
                record_hash,
                unknown=unknown,
                emptied_at=_emptied_at(job),
                holds_delimiters=has_escapes and b"\\u001" in text,
            )
        except (UnreadableRecordError, UnicodeDecodeError):
            return self.tolerant_rows(record, record_hash)

    def tolerant_rows(self, record: msgspec.Raw | bytes, record_hash: str) -> JobRows:
        """Return the rows of a record with every field that can be read, and the names of the others."""
        return self._rows_of(read_tolerantly(record), record, record_hash)

    def lifecycle_rows(self, record: msgspec.Raw | bytes, record_hash: str, reason: str) -> JobRows:
        """Return the rows of a record with its identity and lifecycle alone; the other fields are left out."""
        return self._rows_of(read_lifecycle(record, reason), record, record_hash)

    def _rows_of(self, read: TolerantJob, record: msgspec.Raw | bytes, record_hash: str) -> JobRows:
        emptied_at = None
        if not read.left_out & {"name", "remote_id"}:
            try:
                emptied_at = _emptied_at(read.job)
            except UnreadableRecordError:  # 24:00 or a leap second, which Python does not know
                emptied_at = datetime.fromisoformat(str(read.job.remote_deleted_at)[:10])
        rows = self._rows(
            read.job,
            record_hash,
            unknown=read.unknown,
            unreadable=read.unreadable,
            emptied_at=emptied_at,
            holds_delimiters=b"\\u001" in bytes(record),
        )
        return rows._replace(unreadable=read.unreadable or None, left_out=_columns_left_out(read))

    def _rows(
        self,
        job: Job,
        record_hash: str,
        *,
        unknown: dict[str, Any] | None,
        unreadable: dict[str, str] | None = None,
        emptied_at: datetime | None,
        holds_delimiters: bool,
    ) -> JobRows:
        job_id = job.id
        if holds_delimiters:
            _put_away(job)
        key = f"{self._integration_id}\x1f{job.id}\x1f"
        line = job_row(job, f"{key}{self._fetch_id}\x1f{record_hash}")
        line += f"{_json_or_null(unknown)}\x1f{_json_or_null(unreadable)}\x1e"
        children: dict[str, str | None] = {
            "stages": None if job.stages is None else _stage_rows(key, job.stages),
            "screening_questions": (
                None if job.screening_questions is None else _question_rows(key, job.screening_questions)
            ),
            "job_postings": None if job.job_postings is None else _posting_rows(key, job.job_postings),
            "hiring_team": None if job.hiring_team is None else _member_rows(key, job.hiring_team),
        }
        for field, text in children.items():
            if text:
                children[field] = escaped(text, holds_delimiters=holds_delimiters)
        return JobRows(job_id, escaped(line, holds_delimiters=holds_delimiters), children, emptied_at)


# fmt: off
def job_row(job: Job, start: str) -> str:
    """Return the columns of core.jobs after `start`, unescaped, up to the delimiter before the last two."""
    place = job.location or _NOWHERE
    return "\x1f".join([
        start,
        *[NULL if value is None else value for value in (
            job.remote_id, job.name, job.job_code, job.description,
        )],
        *[NULL if value is None else str(value) for value in (job.confidential, job.weekly_hours)],
        *[NULL if value is None else value for value in (
            job.employment_type, job.status, job.visibility, job.category, job.department, job.post_url,
            job.experience_level, job.remote_work_status,
        )],
        *[NULL if value is None else str(value) for value in (
            job.salary_amount, job.salary_amount_from, job.salary_amount_to,
        )],
        *[NULL if value is None else value for value in (
            job.salary_currency, job.salary_period, place.city, place.country, place.raw, place.state,
            place.street_1, place.street_2, place.zip_code,
        )],
        _json(job.custom_fields), _json(job.integration_fields),
        *[NULL if value is None else value for value in (
            job.remote_url, job.opened_at, job.closed_at, job.remote_created_at, job.remote_updated_at, job.contact_id,
        )],
        _json(job.remote_data),
        *[NULL if value is None else value for value in (job.changed_at, job.remote_deleted_at)],
        "",
    ])


def _stage_rows(key: str, stages: list[Stage]) -> str:
    return "".join([
        f"{key}{n}\x1f{s.id}\x1f{NULL if s.remote_id is None else s.remote_id}\x1f{NULL if s.name is None else s.name}"
        f"\x1f{NULL if s.status is None else s.status}\x1f{NULL if s.index is None else s.index}"
        f"\x1f{_json(s.custom_fields)}\x1f{_json(s.remote_data)}\x1e"
        for n, s in enumerate(_distinct(stages))
    ])


def _question_rows(key: str, questions: list[ScreeningQuestion]) -> str:
    return "".join([
        f"{key}{n}\x1f{q.id}\x1f{NULL if q.remote_id is None else q.remote_id}"
        f"\x1f{NULL if q.title is None else q.title}\x1f{NULL if q.description is None else q.description}"
        f"\x1f{NULL if q.category is None else q.category}\x1f{NULL if q.required is None else q.required}"
        f"\x1f{NULL if q.index is None else q.index}\x1f{_json(q.format)}"
        f"\x1f{NULL if q.precondition_question_id is None else q.precondition_question_id}"
        f"\x1f{_json(q.precondition_options)}\x1e"
        for n, q in enumerate(_distinct(questions))
    ])


def _posting_rows(key: str, postings: list[Posting]) -> str:
    return "".join([
        f"{key}{n}\x1f{p.id}\x1f{NULL if p.remote_id is None else p.remote_id}"
        f"\x1f{NULL if p.title is None else p.title}"
        f"\x1f{NULL if p.description_html is None else p.description_html}"
        f"\x1f{NULL if p.status is None else p.status}\x1f{NULL if p.visibility is None else p.visibility}"
        f"\x1f{NULL if p.url is None else p.url}\x1f{_json(p.remote_data)}\x1e"
        for n, p in enumerate(_distinct(postings))
    ])


def _member_rows(key: str, members: list[TeamMember]) -> str:
    return "".join([
        f"{key}{n}\x1f{m.id}\x1f{NULL if m.remote_id is None else m.remote_id}"
        f"\x1f{NULL if m.first_name is None else m.first_name}\x1f{NULL if m.last_name is None else m.last_name}"
        f"\x1f{NULL if m.email is None else m.email}\x1f{_json(m.hiring_team_roles)}\x1f{_json(m.job_roles)}\x1e"
        for n, m in enumerate(_distinct(members))
    ])
# fmt: on


def escaped(text: str, *, holds_delimiters: bool = False) -> str:
    """Return rows as COPY reads them: every special character of a value escaped, each row on its line."""
    if "\\" in text:
        text = text.replace("\\", "\\\\")
    if "\n" in text:
        text = text.replace("\n", "\\n")
    if "\r" in text:
        text = text.replace("\r", "\\r")
    if holds_delimiters:
        for stand_in, escape in _BACK.items():
            text = text.replace(stand_in, escape)
    return text.replace(END_OF_ROW, "\n")


def _put_away(struct: msgspec.Struct) -> None:
    for name in struct.__struct_fields__:
        value = getattr(struct, name)
        if isinstance(value, str):
            setattr(struct, name, value.translate(_AWAY))
        elif isinstance(value, msgspec.Struct):
            _put_away(value)
        elif isinstance(value, list):
            for entry in value:
                _put_away(entry)


def _emptied_at(job: Job) -> datetime | None:
    if job.remote_deleted_at is None or not job.is_emptied_tombstone:
        return None
    try:
        return datetime.fromisoformat(job.remote_deleted_at)
    except ValueError as error:
        raise UnreadableRecordError(f"{error} - at `$.remote_deleted_at`") from None


def _columns_left_out(read: TolerantJob) -> tuple[str, ...]:
    parts = Location.__struct_fields__ if "location" in read.left_out else read.location_left_out
    columns = [field for field in read.left_out if field != "location" and field not in CHILD_TABLES]
    return tuple(sorted([*columns, *(f"location_{part}" for part in parts)]))


def _distinct(entries: list[_Entry]) -> list[_Entry]:
    """Keep the last of entries that share an id: (job, id) is the key of the child tables."""
    if len(entries) < 2:
        return entries
    by_id = {entry.id: entry for entry in entries}
    return entries if len(by_id) == len(entries) else list(by_id.values())


def _json_or_null(value: dict[str, Any] | None) -> str:
    return msgspec.json.encode(value).decode() if value else NULL


def _json(value: msgspec.Raw) -> str:
    text = str(value, "utf-8")
    return NULL if text == "null" else text
