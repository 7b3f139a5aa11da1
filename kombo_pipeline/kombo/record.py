"""The job record of GET /ats/jobs, read leniently: odd values pass, odd shapes are named.

Only `id` is required. Enumerations are open (Kombo passes the ATS's own word through), free-form values
stay raw JSON, and a nested list that is missing or null is None: unknown, which is not the same as empty.
Source: Kombo's OpenAPI document and SDK 1.4.0.
"""

from typing import Annotated, Any, Final

import msgspec

from kombo_pipeline.kombo import nesting

RECORD_RULE: Final = 1
"""The version of what is read of a record: raise it with every change of this module, of `tolerance` or of
ingest/rows.py that reads another value of the same bytes, or a field more. What an older one has read is read again."""

# Postgres reads words such as "tomorrow" as instants; only dates that start like ISO 8601 get through.
Instant = Annotated[str, msgspec.Meta(pattern=r"^(?!0000)\d{4}-\d{2}-\d{2}")]
Index = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
# Kombo's have 24 characters; three of these must fit an index entry of Postgres.
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Json = msgspec.Raw
_NULL = msgspec.Raw(b"null")


class _Strict(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """Refuses unknown keys, so that they are noticed (and kept) without looking for them in every record."""


class Location(_Strict):
    """Where the job is; every part may be missing."""

    city: str | None = None
    country: str | None = None
    raw: str | None = None
    state: str | None = None
    street_1: str | None = None
    street_2: str | None = None
    zip_code: str | None = None


class Stage(_Strict):
    """An application stage."""

    id: Id
    remote_id: str | None = None
    name: str | None = None
    status: str | None = None
    index: Index | None = None
    custom_fields: Json = _NULL
    remote_data: Json = _NULL


class ScreeningQuestion(_Strict):
    """A question to applicants; `format` is kept as JSON, whatever type it is of."""

    id: Id
    remote_id: str | None = None
    title: str | None = None
    description: str | None = None
    category: str | None = None
    required: bool | None = None
    index: Index | None = None
    format: Json = _NULL
    precondition_question_id: str | None = None
    precondition_options: Json = _NULL


class Posting(_Strict):
    """A publication of the job."""

    id: Id
    remote_id: str | None = None
    title: str | None = None
    description_html: str | None = None
    status: str | None = None
    visibility: str | None = None
    url: str | None = None
    remote_data: Json = _NULL


class TeamMember(_Strict):
    """A person of the hiring team."""

    id: Id
    remote_id: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    hiring_team_roles: Json = _NULL
    job_roles: Json = _NULL


class Job(_Strict):
    """A job as Kombo sends it."""

    id: Id
    remote_id: str | None = None
    name: str | None = None
    job_code: str | None = None
    description: str | None = None
    confidential: bool | None = None
    weekly_hours: float | None = None
    employment_type: str | None = None
    status: str | None = None
    visibility: str | None = None
    category: str | None = None
    department: str | None = None
    post_url: str | None = None
    experience_level: str | None = None
    remote_work_status: str | None = None
    salary_amount: float | None = None
    salary_amount_from: float | None = None
    salary_amount_to: float | None = None
    salary_currency: str | None = None
    salary_period: str | None = None
    location: Location | None = None
    custom_fields: Json = _NULL
    integration_fields: Json = _NULL
    remote_url: str | None = None
    opened_at: Instant | None = None
    closed_at: Instant | None = None
    remote_created_at: Instant | None = None
    remote_updated_at: Instant | None = None
    contact_id: str | None = None
    remote_data: Json = _NULL
    changed_at: Instant | None = None
    remote_deleted_at: Instant | None = None
    stages: list[Stage] | None = None
    screening_questions: list[ScreeningQuestion] | None = None
    job_postings: list[Posting] | None = None
    hiring_team: list[TeamMember] | None = None

    @property
    def is_emptied_tombstone(self) -> bool:
        """Whether this is a tombstone that Kombo has emptied, as it does 14 days after a deletion."""
        return self.remote_deleted_at is not None and self.remote_id is None and self.name is None


class UnreadableRecordError(ValueError):
    """The record, or a field of it, cannot be stored; the message names the place inside it."""


class _JobId(msgspec.Struct, gc=False):
    id: Id


_job_id = msgspec.json.Decoder(_JobId)
_job = msgspec.json.Decoder(Job)
NESTED: dict[str, type[msgspec.Struct]] = {
    "stages": Stage,
    "screening_questions": ScreeningQuestion,
    "job_postings": Posting,
    "hiring_team": TeamMember,
}
"""Nested list of a job -> what its entries are."""


def read_id(record: msgspec.Raw | bytes) -> str | None:
    """Return the Kombo id of a record; None where it has no usable one (Postgres keeps no NUL in a text)."""
    try:
        job_id = _job_id.decode(record).id
    except RecursionError:
        try:
            return read_id(nesting.cut(bytes(record), depth=1)[0])
        except ValueError:
            return None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return None if "\0" in job_id else job_id


def read_job(record: msgspec.Raw | bytes) -> tuple[Job, dict[str, Any] | None]:
    """Decode a record; the second value holds what stood under keys that no field knows, None if nothing did.

    Raises UnreadableRecordError when a value has a shape that is not Kombo's; `tolerance` reads the rest of such a
    record.
    """
    try:
        return _job.decode(record), None
    except msgspec.ValidationError as error:
        if "unknown field" not in str(error):
            raise UnreadableRecordError(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableRecordError(str(error)) from None
    try:
        content = msgspec.json.decode(record)
        unknown = _take_unknown(content)
        return _job.decode(msgspec.json.encode(content)), unknown
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableRecordError(str(error)) from None


def _take_unknown(content: dict[str, Any]) -> dict[str, Any]:
    """Move the values under unknown keys out of a decoded record; those of nested entries stay with their id."""
    unknown = _take(content, Job)
    if isinstance(content.get("location"), dict) and (found := _take(content["location"], Location)):
        unknown["location"] = found
    for name, struct in NESTED.items():
        listed = content.get(name)
        entries = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
        if found_entries := [{"id": entry.get("id"), **found} for entry in entries if (found := _take(entry, struct))]:
            unknown[name] = found_entries
    return unknown


def _take(content: dict[str, Any], struct: Any) -> dict[str, Any]:
    return {key: content.pop(key) for key in list(content) if key not in struct.__struct_fields__}
