"""May an integration be fetched? The one rule that every way to a fetch asks.

A forgotten integration has no row that could be asked about; statements.forgotten.refuse keeps it from getting one.
"""

from datetime import datetime
from typing import Final, Literal, Protocol

NotFetchedReason = Literal["deleted", "succeeded"]
NOT_FETCHED: Final[dict[NotFetchedReason, str]] = {
    "deleted": "The integration was deleted in Kombo.",
    "succeeded": "{successor} has taken over from it.",
}


class Fetchable(Protocol):
    """What the rule needs to know of an integration."""

    @property
    def deleted_at(self) -> datetime | None:
        """When it was deleted in Kombo."""

    @property
    def succeeded_by(self) -> str | None:
        """The integration that has taken over from it."""


def not_fetched_because(integration: Fetchable) -> NotFetchedReason | None:
    """Return why an integration is not fetched any more; None when it may be fetched."""
    if integration.deleted_at is not None:
        return "deleted"
    return "succeeded" if integration.succeeded_by is not None else None


def may_be_fetched(integration: Fetchable) -> bool:
    """Whether an integration may be fetched, and what was fetched of it may be applied."""
    return not_fetched_because(integration) is None


def why_not_fetched(integration: Fetchable) -> str | None:
    """Say in one sentence why an integration is not fetched any more; None when it may be fetched."""
    reason = not_fetched_because(integration)
    return None if reason is None else NOT_FETCHED[reason].format(successor=integration.succeeded_by)
