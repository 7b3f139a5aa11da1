"""The details of an integration. A field that cannot be read is left out; the others are kept."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from kombo_pipeline import limits
from kombo_pipeline.kombo.errors import KomboProtocolError
from kombo_pipeline.kombo.responses import Response


class IntegrationDetails(msgspec.Struct, frozen=True, kw_only=True):
    """The details of an integration: `tool` is a slug, states are open strings, None means that Kombo did not say.

    `jobs_model_enabled` is False when the jobs model is unavailable, switched off or opted out of: Kombo then
    marks every job as deleted (docs.kombo.dev), although none is gone. `unreadable` names the fields whose value has
    another type than Kombo documents or is too long. They are None here; the stored value stays valid.
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
    def of(cls, response: Response, integration_id: str) -> "IntegrationDetails":
        """Read a response of `GET /integrations/{id}`; raises KomboProtocolError when it is anything else.

        That error is not retryable, because the next response would be the same.
        """
        data = _data_of(response)
        if data.get("id") != integration_id:
            raise KomboProtocolError(f"the details of another integration than the one asked for: {data.get('id')!r}")
        reader = _Reader()
        tool, end_user = reader.mapping(data, "tool"), reader.mapping(data, "end_user")
        return cls(
            id=integration_id,
            tool=reader.text(tool, "tool.id"),
            tool_label=reader.text(tool, "tool.label"),
            category=reader.text(data, "category"),
            status=reader.text(data, "status"),
            setup_status=reader.text(data, "setup_status"),
            organization_name=reader.text(end_user, "end_user.organization_name", limits.NAME),
            origin_id=reader.text(end_user, "end_user.origin_id", limits.CODE),
            data_expired_at=reader.instant(data, "data_expired_at"),
            created_at=reader.instant(data, "created_at"),
            jobs_model_enabled=_jobs_model_enabled(reader, data),
            unreadable=tuple(reader.unreadable),
        )


def _data_of(response: Response) -> Mapping[str, Any]:
    try:
        # The standard library's parser accepts odd strings and numbers, which then affect their own field only.
        envelope: Any = json.loads(response.text().decode("utf-8", "replace"), parse_int=float)
    except KomboProtocolError as error:
        raise KomboProtocolError(error.message) from error
    except (ValueError, RecursionError) as error:
        raise KomboProtocolError(f"not the response that Kombo documents: {error}") from error
    data = envelope.get("data") if isinstance(envelope, dict) and envelope.get("status") == "success" else None
    if not isinstance(data, dict):
        raise KomboProtocolError("not the response that Kombo documents: no data of an integration in it")
    return data


def _jobs_model_enabled(reader: "_Reader", data: Mapping[str, Any]) -> bool | None:
    models = data.get("read_models")
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
    """Reads fields of the type that Kombo documents, and collects the names of those of another type."""

    def __init__(self) -> None:
        self.unreadable: list[str] = []

    def text(self, data: Mapping[str, Any], name: str, limit: limits.Limit = limits.WORD) -> str | None:
        value: str | None = self._of_type(data, name, str)
        if value is not None and limit.fault(value):
            self.unreadable.append(name)
            return None
        # Postgres cannot store a NUL or half of an emoji in a text.
        return value.replace("\x00", "").encode("utf-8", "replace").decode() if value is not None else None

    def truth(self, data: Mapping[str, Any], name: str) -> bool | None:
        value: bool | None = self._of_type(data, name, bool)
        return value

    def mapping(self, data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
        return self._of_type(data, name, dict) or {}

    def instant(self, data: Mapping[str, Any], name: str) -> datetime | None:
        text = self._of_type(data, name, str)
        if text is None:
            return None
        try:
            moment = msgspec.convert(text, datetime)
            # Near the first and last year, a change of the time zone may leave the range of Python and Postgres.
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        except (msgspec.ValidationError, OverflowError, ValueError):
            self.unreadable.append(name)
            return None

    def _of_type(self, data: Mapping[str, Any], name: str, kind: type[Any]) -> Any:
        value = data.get(name.rpartition(".")[2])
        if value is None or isinstance(value, kind):
            return value
        self.unreadable.append(name)
        return None
