"""The job record of GET /ats/jobs. Unknown values are accepted; values of a wrong type are reported.

Only `id` is required. Enumerations are open (Kombo passes the ATS's own word through), free-form values
stay raw JSON. A nested list that is missing or null is None, which means unknown; it is not an empty list.
Source: Kombo's OpenAPI document and SDK 1.4.0.
"""

from typing import Annotated, Any, Final

import msgspec

from kombo_pipeline import limits
from kombo_pipeline.kombo import nesting

RECORD_RULE: Final = 2
"""The version of the reading rules. Raise it with every change of this module, of `tolerance` or of ingest/rows.py that
reads another value from the same bytes, or another field. Records read by an older version are then read again."""

# Postgres reads words such as "tomorrow" as instants; only dates that start like ISO 8601 get through.
Instant = Annotated[str, msgspec.Meta(pattern=r"^(?!0000)\d{4}-\d{2}-\d{2}", max_length=limits.DATE.most)]
Index = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.KOMBO_ID.most)]
Code = Annotated[str, msgspec.Meta(max_length=limits.CODE.most)]
Title = Annotated[str, msgspec.Meta(max_length=limits.TITLE.most)]
Name = Annotated[str, msgspec.Meta(max_length=limits.NAME.most)]
Word = Annotated[str, msgspec.Meta(max_length=limits.WORD.most)]
Address = Annotated[str, msgspec.Meta(max_length=limits.ADDRESS.most)]
Places = Annotated[str, msgspec.Meta(max_length=limits.PLACES.most)]
Question = Annotated[str, msgspec.Meta(max_length=limits.QUESTION.most)]
# Its limit is in bytes; `tolerance` reads the records that may exceed it (see read_job).
Description = Annotated[str, msgspec.Meta(max_length=limits.DESCRIPTION.most)]
Json = msgspec.Raw
_NULL = msgspec.Raw(b"null")
_ENTRIES = msgspec.Meta(max_length=limits.ENTRIES)


class _Strict(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """Refuses unknown keys, so that only records that have some pay for collecting them."""


class Location(_Strict):
    """Where the job is; every part may be missing."""

    city: Name | None = None
    country: Name | None = None
    raw: Places | None = None
    state: Name | None = None
    street_1: Places | None = None
    street_2: Places | None = None
    zip_code: Word | None = None


class Stage(_Strict):
    """An application stage."""

    id: Id
    remote_id: Code | None = None
    name: Name | None = None
    status: Word | None = None
    index: Index | None = None
    custom_fields: Json = _NULL
    remote_data: Json = _NULL


class ScreeningQuestion(_Strict):
    """A question to applicants; `format` is kept as JSON, whatever type it is of."""

    id: Id
    remote_id: Code | None = None
    title: Question | None = None
    description: Description | None = None
    category: Name | None = None
    required: bool | None = None
    index: Index | None = None
    format: Json = _NULL
    precondition_question_id: Code | None = None
    precondition_options: Json = _NULL


class Posting(_Strict):
    """A publication of the job."""

    id: Id
    remote_id: Code | None = None
    title: Title | None = None
    description_html: Description | None = None
    status: Word | None = None
    visibility: Word | None = None
    url: Address | None = None
    remote_data: Json = _NULL


class TeamMember(_Strict):
    """A person of the hiring team."""

    id: Id
    remote_id: Code | None = None
    first_name: Name | None = None
    last_name: Name | None = None
    email: Name | None = None
    hiring_team_roles: Json = _NULL
    job_roles: Json = _NULL


class Job(_Strict):
    """A job as Kombo sends it."""

    id: Id
    remote_id: Code | None = None
    name: Title | None = None
    job_code: Code | None = None
    description: Description | None = None
    confidential: bool | None = None
    weekly_hours: float | None = None
    employment_type: Name | None = None
    status: Word | None = None
    visibility: Word | None = None
    category: Name | None = None
    department: Name | None = None
    post_url: Address | None = None
    experience_level: Name | None = None
    remote_work_status: Name | None = None
    salary_amount: float | None = None
    salary_amount_from: float | None = None
    salary_amount_to: float | None = None
    salary_currency: Word | None = None
    salary_period: Word | None = None
    location: Location | None = None
    custom_fields: Json = _NULL
    integration_fields: Json = _NULL
    remote_url: Address | None = None
    opened_at: Instant | None = None
    closed_at: Instant | None = None
    remote_created_at: Instant | None = None
    remote_updated_at: Instant | None = None
    contact_id: Code | None = None
    remote_data: Json = _NULL
    changed_at: Instant | None = None
    remote_deleted_at: Instant | None = None
    stages: Annotated[list[Stage], _ENTRIES] | None = None
    screening_questions: Annotated[list[ScreeningQuestion], _ENTRIES] | None = None
    job_postings: Annotated[list[Posting], _ENTRIES] | None = None
    hiring_team: Annotated[list[TeamMember], _ENTRIES] | None = None

    @property
    def is_emptied_tombstone(self) -> bool:
        """Whether this is a tombstone that Kombo has emptied, as it does 14 days after a deletion."""
        return self.remote_deleted_at is not None and self.remote_id is None and self.name is None


class UnreadableRecordError(ValueError):
    """The record or one of its fields cannot be stored; the message says which."""


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
    """Return the Kombo id of a record; None where it has none that Postgres can store (without NUL)."""
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
    """Decode a record; the second value holds the values of unknown keys, None if there are none.

    Raises UnreadableRecordError when a value has a wrong type, is too long, or may be too long; `tolerance` reads
    such records.
    """
    if may_be_too_long(bytes(record)):
        raise UnreadableRecordError("a value of it may be too long")
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


def may_be_too_long(text: bytes) -> bool:
    """Return whether JSON may exceed a limit in bytes or entries, judged by its length and number of commas."""
    return len(text) > limits.JSON.most or (len(text) > limits.ENTRIES and text.count(b",") >= limits.ENTRIES)


def _take_unknown(content: dict[str, Any]) -> dict[str, Any]:
    """Move the values of unknown keys out of a decoded record; those of nested entries keep the entry's id."""
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
