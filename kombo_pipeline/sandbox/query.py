"""The query parameters of `GET /ats/jobs`: reading, refusing, matching, and cursors."""

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from kombo_pipeline.sandbox.behaviour import Behaviour
from kombo_pipeline.sandbox.mirror import Row

_ENUMS: Final = {
    "statuses": {"OPEN", "CLOSED", "DRAFT", "ARCHIVED"},
    "employment_types": {"FULL_TIME", "PART_TIME", "CONTRACT", "SEASONAL", "INTERNSHIP"},
    "visibilities": {"PUBLIC", "INTERNAL", "UNLISTED", "CONFIDENTIAL"},
}
_LISTS: Final = {
    "remote_ids": "remote_id",
    "job_codes": "job_code",
    "statuses": "status",
    "employment_types": "employment_type",
    "visibilities": "visibility",
}
_FLAGS: Final = ("include_deleted", "ignore_unsupported_filters")
_INSTANTS: Final = ("updated_after", "remote_created_after")
_KNOWN: Final = {
    "cursor",
    "page_size",
    "ids",
    "post_url",
    "name_contains",
    "status",
    *_LISTS,
    *_FLAGS,
    *_INSTANTS,
}
_INSTANT: Final = re.compile(r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}(\.\d+)?)?Z?")


class InputInvalidError(ValueError):
    """A parameter Kombo would answer with 400 PLATFORM.INPUT_INVALID."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQuery:
    """One request, without its cursor. `fields` maps the record's fields to the values any of which must
    match.
    """

    page_size: int = 100
    updated_after: datetime | None = None
    include_deleted: bool = False
    ignore_unsupported_filters: bool = False
    ids: frozenset[str] | None = None
    fields: tuple[tuple[str, frozenset[str]], ...] = ()
    remote_created_after: str | None = None
    name_contains: str | None = None

    def filtered_fields(self) -> set[str]:
        """The fields of the record this query filters by."""
        optional = {"remote_created_at": self.remote_created_after, "name": self.name_contains}
        return {name for name, _ in self.fields} | {name for name, value in optional.items() if value is not None}

    def select(self, rows: Iterable[Row], *, unsupported: frozenset[str], inclusive: bool) -> list[Row]:
        """The matching rows, order kept; a filter on an unsupported field leaves nothing, or is skipped if so
        asked.
        """
        skipped = unsupported & self.filtered_fields()
        if skipped and not self.ignore_unsupported_filters:
            return []
        return [row for row in rows if self._matches(row, skipped=skipped, inclusive=inclusive)]

    def _matches(self, row: Row, *, skipped: frozenset[str], inclusive: bool) -> bool:
        if row.remote_deleted_at is not None and not self.include_deleted:
            return False
        after = self.updated_after
        if after is not None and not (row.updated_at > after or (inclusive and row.updated_at == after)):
            return False
        if self.ids is not None and row.id not in self.ids:
            return False
        facts = row.filterable if self.filtered_fields() else None
        if facts is None:
            return True
        if any(name not in skipped and getattr(facts, name) not in wanted for name, wanted in self.fields):
            return False
        day, keyword = self.remote_created_after, self.name_contains
        if day is not None and "remote_created_at" not in skipped and str(facts.remote_created_at or "")[:10] < day:
            return False
        return keyword is None or "name" in skipped or keyword in str(facts.name or "").casefold()


def parse_query(params: Iterable[tuple[str, str]], behaviour: Behaviour) -> tuple[JobQuery, str | None]:
    """Read the query string into a query and its cursor; raises `InputInvalidError`."""
    given: dict[str, str] = {}
    for name, value in params:
        if name not in _KNOWN:
            if behaviour.reject_unknown_parameters:
                raise InputInvalidError(f'Unrecognized query parameter "{name}"')
            continue
        if name in given:
            raise InputInvalidError(f'"{name}" is given twice; lists are comma-separated')
        if not value:
            raise InputInvalidError(f'"{name}" is empty')
        given[name] = value
    lists = {name: frozenset(given[name].split(",")) for name in ("ids", *_LISTS) if name in given}
    if "status" in given:
        lists["statuses"] = frozenset([given["status"]])
    for name, allowed in _ENUMS.items():
        if unknown := lists.get(name, frozenset()) - allowed:
            raise InputInvalidError(f'"{name}" does not allow {", ".join(sorted(unknown))}')
    fields = {field: lists[name] for name, field in _LISTS.items() if name in lists}
    if "post_url" in given:
        fields["post_url"] = frozenset([given["post_url"]])
    instants = {name: _instant(name, given[name], behaviour) for name in _INSTANTS if name in given}
    created = instants.get("remote_created_after")
    query = JobQuery(
        page_size=_page_size(given.get("page_size", "100"), behaviour),
        updated_after=instants.get("updated_after"),
        ids=lists.get("ids"),
        fields=tuple(sorted(fields.items())),
        remote_created_after=created.date().isoformat() if created else None,
        name_contains=given["name_contains"].casefold() if "name_contains" in given else None,
        **{name: _flag(name, given[name]) for name in _FLAGS if name in given},
    )
    return query, given.get("cursor")


def _page_size(text: str, behaviour: Behaviour) -> int:
    size = int(text) if re.fullmatch(r"-?\d{1,9}", text) else None
    if size is None or not (1 <= size <= 250 or behaviour.clamp_invalid_input):
        raise InputInvalidError('"page_size" must be an integer from 1 to 250')
    return min(max(size, 1), 250)


def _flag(name: str, text: str) -> bool:
    if text not in ("true", "false"):
        raise InputInvalidError(f'"{name}" must be "true" or "false"')
    return text == "true"


def _instant(name: str, text: str, behaviour: Behaviour) -> datetime:
    try:
        if not (_INSTANT.fullmatch(text) or behaviour.clamp_invalid_input):
            raise ValueError
        instant = datetime.fromisoformat(text.removesuffix("Z"))
    except ValueError:
        raise InputInvalidError(f'"{name}" must look like YYYY-MM-DDTHH:mm:ss.sssZ') from None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


class Cursor(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where the page `page` begins; carries no filter, as Kombo's do not. `issued` is seconds since 1970."""

    page: int
    after: tuple[str, str] | None = None
    offset: int = 0
    issued: float | None = None

    def encode(self) -> str:
        """The opaque text a client sends back."""
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).decode()

    @classmethod
    def decode(cls, text: str) -> "Cursor":
        """Read it back; raises `InputInvalidError`."""
        try:
            decoded: Any = base64.b64decode(text, altchars=b"-_", validate=True)
            return msgspec.json.decode(decoded, type=cls)
        except (binascii.Error, ValueError, msgspec.DecodeError):
            raise InputInvalidError('"cursor" is not one of ours') from None
