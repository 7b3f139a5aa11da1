"""What Kombo tells about an integration, read so that an odd field costs that field alone."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from kombo_pipeline import limits
from kombo_pipeline.kombo.errors import KomboProtocolError
from kombo_pipeline.kombo.responses import Answer


class IntegrationDetails(msgspec.Struct, frozen=True, kw_only=True):
    """What Kombo tells about an integration: `tool` is a slug, states are open strings, None is not told.

    `jobs_model_enabled` is False when the jobs model is unavailable, switched off or opted out of: Kombo then
    marks every job as deleted (docs.kombo.dev), although none is gone. `unreadable` names the fields that held
    something else than Kombo documents, or a text that is too long; they are None here, and what was known still holds.
    """

    id: str
    tool: str | None
    tool_label: str | None
    category: str | None
    status: str | None
    setup_status: str | None
    organization_name: str | None
    origin_id: str | None
    data_expired_at: datetime | None
    created_at: datetime | None
    jobs_model_enabled: bool | None
    unreadable: tuple[str, ...] = ()

    @classmethod
    def of(cls, answer: Answer, integration_id: str) -> "IntegrationDetails":
        """Read `GET /integrations/{id}`; raises KomboProtocolError when it is something else.

        Asking again would bring the same, so that error is not retryable.
        """
        told = _told(answer)
        if told.get("id") != integration_id:
            raise KomboProtocolError(f"the details of another integration than the one asked for: {told.get('id')!r}")
        reader = _Reader()
        tool, end_user = reader.mapping(told, "tool"), reader.mapping(told, "end_user")
        return cls(
            id=integration_id,
            tool=reader.text(tool, "tool.id"),
            tool_label=reader.text(tool, "tool.label"),
            category=reader.text(told, "category"),
            status=reader.text(told, "status"),
            setup_status=reader.text(told, "setup_status"),
            organization_name=reader.text(end_user, "end_user.organization_name", limits.NAME),
            origin_id=reader.text(end_user, "end_user.origin_id", limits.CODE),
            data_expired_at=reader.instant(told, "data_expired_at"),
            created_at=reader.instant(told, "created_at"),
            jobs_model_enabled=_jobs_model_enabled(reader, told),
            unreadable=tuple(reader.unreadable),
        )


def _told(answer: Answer) -> Mapping[str, Any]:
    try:
        # The standard library's parser, because it lets odd strings and numbers pass that matter to one field only.
        envelope: Any = json.loads(answer.text().decode("utf-8", "replace"), parse_int=float)
    except KomboProtocolError as error:
        raise KomboProtocolError(error.message) from error
    except (ValueError, RecursionError) as error:
        raise KomboProtocolError(f"not the answer that Kombo documents: {error}") from error
    told = envelope.get("data") if isinstance(envelope, dict) and envelope.get("status") == "success" else None
    if not isinstance(told, dict):
        raise KomboProtocolError("not the answer that Kombo documents: no data of an integration in it")
    return told


def _jobs_model_enabled(reader: "_Reader", told: Mapping[str, Any]) -> bool | None:
    models = told.get("read_models")
    if models is None:
        return None
    if not isinstance(models, list):
        reader.unreadable.append("read_models")
        return None
    jobs: Mapping[str, Any] = next((m for m in models if isinstance(m, dict) and m.get("id") == "ats_jobs"), {})
    setting = reader.text(jobs, "read_models.scope_config_setting")
    opted_out = reader.truth(jobs, "read_models.opted_out_by_customer")
    available = reader.truth(jobs, "read_models.is_available")
    return False if setting == "DISABLED" or opted_out else available


class _Reader:
    """Reads fields of the type that Kombo documents, and notes the names of those that are of another."""

    def __init__(self) -> None:
        self.unreadable: list[str] = []

    def text(self, told: Mapping[str, Any], name: str, limit: limits.Limit = limits.WORD) -> str | None:
        value: str | None = self._of_type(told, name, str)
        if value is not None and limit.fault(value):
            self.unreadable.append(name)
            return None
        # Postgres has no text with a NUL or half of an emoji in it.
        return value.replace("\x00", "").encode("utf-8", "replace").decode() if value is not None else None

    def truth(self, told: Mapping[str, Any], name: str) -> bool | None:
        value: bool | None = self._of_type(told, name, bool)
        return value

    def mapping(self, told: Mapping[str, Any], name: str) -> Mapping[str, Any]:
        return self._of_type(told, name, dict) or {}

    def instant(self, told: Mapping[str, Any], name: str) -> datetime | None:
        text = self._of_type(told, name, str)
        if text is None:
            return None
        try:
            moment = msgspec.convert(text, datetime)
            # A moment near the edge of what Python and Postgres can hold leaves it in another time zone.
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        except (msgspec.ValidationError, OverflowError, ValueError):
            self.unreadable.append(name)
            return None

    def _of_type(self, told: Mapping[str, Any], name: str, kind: type[Any]) -> Any:
        value = told.get(name.rpartition(".")[2])
        if value is None or isinstance(value, kind):
            return value
        self.unreadable.append(name)
        return None
