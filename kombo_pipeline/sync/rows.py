"""Job records as lines for COPY: text format, one table a list, columns in the order given here."""

from datetime import datetime
from typing import NamedTuple, TypeVar

import msgspec

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
)  # fmt: skip
_KEY = ("integration_id", "kombo_job_id", "position", "id", "remote_id")
# Nested list of the record -> its table and columns.
CHILD_TABLES = {
    "stages": ("job_stages", (*_KEY, "name", "status", "index", "custom_fields", "remote_data")),
    "screening_questions": (
        "job_screening_questions",
        (*_KEY, "title", "description", "category", "required", "index", "format")
        + ("precondition_question_id", "precondition_options"),
    ),
    "job_postings": (
        "job_postings",
        (*_KEY, "title", "description_html", "status", "visibility", "url", "remote_data"),
    ),
    "hiring_team": (
        "job_hiring_team",
        (*_KEY, "first_name", "last_name", "email", "hiring_team_roles", "job_roles"),
    ),
}  # fmt: skip

_Entry = TypeVar("_Entry", Stage, ScreeningQuestion, Posting, TeamMember)
_NULL = "\\N"
_NOWHERE = Location()


class JobRows(NamedTuple):
    """One record, ready for COPY."""

    kombo_job_id: str
    job: str  # the line for core.jobs
    children: dict[str, str | None]  # nested list -> its lines; None where the record does not tell
    emptied_at: datetime | None  # when a job was deleted whose record Kombo has emptied since


class RowWriter:
    """Turns the records of one fetch into rows."""

    def __init__(self, integration_id: str, fetch_id: int) -> None:
        self._integration = _text(integration_id)
        self._fetch_id = fetch_id

    def rows(self, record: msgspec.Raw | bytes, record_hash: str) -> JobRows:
        """Return the rows of a record; raises UnreadableRecordError when it cannot be read."""
        job, unknown = read_job(record)
        key = f"{self._integration}\t{_text(job.id)}\t"
        place = job.location or _NOWHERE
        line = "\t".join((
            f"{key}{self._fetch_id}\t{record_hash}",
            _text(job.remote_id), _text(job.name), _text(job.job_code), _text(job.description),
            _scalar(job.confidential), _scalar(job.weekly_hours), _text(job.employment_type),
            _text(job.status), _text(job.visibility), _text(job.category), _text(job.department),
            _text(job.post_url), _text(job.experience_level), _text(job.remote_work_status),
            _scalar(job.salary_amount), _scalar(job.salary_amount_from), _scalar(job.salary_amount_to),
            _text(job.salary_currency), _text(job.salary_period), _text(place.city), _text(place.country),
            _text(place.raw), _text(place.state), _text(place.street_1), _text(place.street_2),
            _text(place.zip_code), _json(job.custom_fields), _json(job.integration_fields),
            _text(job.remote_url), _text(job.opened_at), _text(job.closed_at), _text(job.remote_created_at),
            _text(job.remote_updated_at), _text(job.contact_id), _json(job.remote_data),
            _text(job.changed_at), _text(job.remote_deleted_at),
            _NULL if unknown is None else _json(msgspec.json.encode(unknown)),
        ))  # fmt: skip
        return JobRows(kombo_job_id=job.id, job=line + "\n", children=_children(job, key), emptied_at=_emptied_at(job))


def _emptied_at(job: Job) -> datetime | None:
    if job.remote_deleted_at is None or not job.is_emptied_tombstone:
        return None
    try:
        return datetime.fromisoformat(job.remote_deleted_at)
    except ValueError as error:
        raise UnreadableRecordError(f"{error} - at `$.remote_deleted_at`") from None


def _children(job: Job, key: str) -> dict[str, str | None]:
    children: dict[str, str | None] = dict.fromkeys(CHILD_TABLES)
    if job.stages is not None:
        children["stages"] = "".join([
            f"{key}{n}\t{_text(s.id)}\t{_text(s.remote_id)}\t{_text(s.name)}\t{_text(s.status)}\t{_scalar(s.index)}"
            f"\t{_json(s.custom_fields)}\t{_json(s.remote_data)}\n"
            for n, s in enumerate(_distinct(job.stages))
        ])  # fmt: skip
    if job.screening_questions is not None:
        children["screening_questions"] = "".join([
            f"{key}{n}\t{_text(q.id)}\t{_text(q.remote_id)}\t{_text(q.title)}\t{_text(q.description)}"
            f"\t{_text(q.category)}\t{_scalar(q.required)}\t{_scalar(q.index)}\t{_json(q.format)}"
            f"\t{_text(q.precondition_question_id)}\t{_json(q.precondition_options)}\n"
            for n, q in enumerate(_distinct(job.screening_questions))
        ])  # fmt: skip
    if job.job_postings is not None:
        children["job_postings"] = "".join([
            f"{key}{n}\t{_text(p.id)}\t{_text(p.remote_id)}\t{_text(p.title)}\t{_text(p.description_html)}"
            f"\t{_text(p.status)}\t{_text(p.visibility)}\t{_text(p.url)}\t{_json(p.remote_data)}\n"
            for n, p in enumerate(_distinct(job.job_postings))
        ])  # fmt: skip
    if job.hiring_team is not None:
        children["hiring_team"] = "".join([
            f"{key}{n}\t{_text(m.id)}\t{_text(m.remote_id)}\t{_text(m.first_name)}\t{_text(m.last_name)}"
            f"\t{_text(m.email)}\t{_json(m.hiring_team_roles)}\t{_json(m.job_roles)}\n"
            for n, m in enumerate(_distinct(job.hiring_team))
        ])  # fmt: skip
    return children


def _distinct(entries: list[_Entry]) -> list[_Entry]:
    """Keep the last of entries that share an id: (job, id) is the key of the child tables."""
    if len(entries) < 2:
        return entries
    by_id = {entry.id: entry for entry in entries}
    return entries if len(by_id) == len(entries) else list(by_id.values())


def _text(value: str | None) -> str:
    if value is None:
        return _NULL
    if "\\" in value:
        value = value.replace("\\", "\\\\")
    if "\n" in value:
        value = value.replace("\n", "\\n")
    if "\r" in value:
        value = value.replace("\r", "\\r")
    if "\t" in value:
        value = value.replace("\t", "\\t")
    return value


def _json(value: msgspec.Raw | bytes) -> str:
    text = str(value, "utf-8")
    return _NULL if text == "null" else _text(text)


def _scalar(value: float | bool | None) -> str:
    return _NULL if value is None else str(value)
