"""Names an own job among the ATS jobs of one integration: links, answers and review cards are about one such pair."""

from typing import NamedTuple, Protocol


class OwnJobKey(NamedTuple):
    """An own job of a customer, and the integration in which its ATS job is looked for."""

    customer_id: str
    own_job_id: str
    integration_id: str

    def of_other(self, own_job_id: str) -> "OwnJobKey":
        """Return the key of another own job of the same customer in the same integration."""
        return self._replace(own_job_id=own_job_id)


class HasOwnJobKey(Protocol):
    """A row that names an own job and an integration."""

    @property
    def customer_id(self) -> str:
        """The customer."""

    @property
    def own_job_id(self) -> str:
        """The own job."""

    @property
    def integration_id(self) -> str:
        """The integration."""


def own_job_key(row: HasOwnJobKey) -> OwnJobKey:
    """Return the key that a row holds."""
    return OwnJobKey(customer_id=row.customer_id, own_job_id=row.own_job_id, integration_id=row.integration_id)
