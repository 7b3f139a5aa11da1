"""Job records as rows for COPY, one table a list, columns in the order given here.

Formatting is half of the CPU of a first fetch, so a record is put together with delimiters that cannot
occur in JSON text and escaped as a whole, instead of field by field.
"""

from datetime import datetime
from typing import NamedTuple, TypeVar

import msgspec

from kombo_pipeline.ingest.statements.jobs import DELIMITER, NULL
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
    "remote_deleted_at", "unknown_fields",
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
"""Stands for the line break between rows until what the values hold of those is escaped."""
# A value that does hold one of the three gets a noncharacter in its place, and back as COPY's own escape.
_AWAY = str.maketrans({DELIMITER: "\ufdd0", NULL: "\ufdd1", END_OF_ROW: "\ufdd2"})
_BACK = {"\ufdd0": "\\x1f", "\ufdd1": "\\x1d", "\ufdd2": "\\x1e"}

_Entry = TypeVar("_Entry", Stage, ScreeningQuestion, Posting, TeamMember)
_NOWHERE = Location()


class JobRows(NamedTuple):
    """One record, ready for COPY."""

    kombo_job_id: str
    job: str  # the row of core.jobs
    children: dict[str, str | None]  # nested list -> its rows; None where the record does not tell
    emptied_at: datetime | None  # when a job was deleted whose record Kombo has emptied since


class RowWriter:
    """Turns the records of one fetch into rows."""

    def __init__(self, integration_id: str, fetch_id: int) -> None:
        self._integration_id = integration_id
        self._fetch_id = fetch_id

    def rows(self, record: msgspec.Raw | bytes, record_hash: str) -> JobRows:
        """Return the rows of a record; raises UnreadableRecordError when it cannot be read."""
        job, unknown = read_job(record)
        job_id, holds_delimiters = job.id, b"\\u001" in bytes(record)
        if holds_delimiters:
            _put_away(job)
        key = f"{self._integration_id}\x1f{job.id}\x1f"
        line = job_row(job, f"{key}{self._fetch_id}\x1f{record_hash}")
        line += NULL if unknown is None else msgspec.json.encode(unknown).decode()
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
        row = escaped(line + END_OF_ROW, holds_delimiters=holds_delimiters)
        return JobRows(job_id, row, children, _emptied_at(job))


# fmt: off
def job_row(job: Job, start: str) -> str:
    """Return the columns of core.jobs after `start`, unescaped, up to the delimiter before the last one."""
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


def _distinct(entries: list[_Entry]) -> list[_Entry]:
    """Keep the last of entries that share an id: (job, id) is the key of the child tables."""
    if len(entries) < 2:
        return entries
    by_id = {entry.id: entry for entry in entries}
    return entries if len(by_id) == len(entries) else list(by_id.values())


def _json(value: msgspec.Raw) -> str:
    text = str(value, "utf-8")
    return NULL if text == "null" else text
