"""The queue of the review page as its address gives it: filters, order, and how many own jobs are passed over."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeVar
from urllib.parse import urlencode

from kombo_pipeline.linking.own_job_key import HasOwnJobKey
from kombo_pipeline.linking.statements.review_cards import ReviewedIntegration
from kombo_pipeline.linking.statements.review_queue import Order, Queue
from kombo_pipeline.vocabulary import BANDS, REVIEW_REASONS, SOURCES

_Code = TypeVar("_Code", bound=str)

AGES: Final = (1, 7, 30)
"""The choices of the filter by age, in days."""
ORDERS: Final[Mapping[Order, str]] = {
    "strongest": "Strongest first",
    "oldest": "Oldest first",
    "informative": "Most informative first",
}


def customers_of(integrations: Iterable[ReviewedIntegration]) -> list[tuple[str, str]]:
    """Return the customers of integrations to choose from, as (id, name)."""
    named: dict[str, str] = {}
    for each in integrations:
        named.setdefault(each.customer_id, each.name)
    return list(named.items())


def integrations_of(integrations: Iterable[ReviewedIntegration], customer_id: str | None) -> list[tuple[str, str]]:
    """Return the integrations of a customer (None: of all) to choose from, as (id, name)."""
    return [
        (each.integration_id, f"{each.name} · {each.tool or each.integration_id}")
        for each in integrations
        if customer_id in (None, each.customer_id)
    ]


@dataclass(frozen=True)
class View:
    """A queue, and how many of its own jobs are passed over."""

    queue: Queue
    skip: int = 0

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "View":
        """Read the parameters of an address; parameters that make no sense are ignored."""
        age, skip = query.get("age", ""), query.get("skip", "")
        return cls(
            Queue(
                customer_id=query.get("customer") or None,
                integration_id=query.get("integration") or None,
                band=_one_of(BANDS, query.get("band")),
                why=_one_of(REVIEW_REASONS, query.get("why")),
                source=_one_of(SOURCES, query.get("source")),
                days=int(age) if re.fullmatch(r"\d{1,4}", age) else None,
                order=_one_of(ORDERS, query.get("order")) or "strongest",
            ),
            skip=int(skip) if re.fullmatch(r"\d{1,7}", skip) else 0,
        )

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters of its address, without those that have their default."""
        queue = self.queue
        named = {
            "customer": queue.customer_id,
            "integration": queue.integration_id,
            "band": queue.band,
            "why": queue.why,
            "source": queue.source,
            "age": str(queue.days) if queue.days else None,
            "order": queue.order if queue.order != "strongest" else None,
            "skip": str(self.skip) if self.skip else None,
        }
        return {name: value for name, value in named.items() if value}

    @property
    def is_narrowed(self) -> bool:
        """Whether a filter is set."""
        return bool(self.parameters.keys() - {"order", "skip"})

    def url(self, **more: str) -> str:
        """Return the address of the page with this queue."""
        query = urlencode(self.parameters | more)
        return f"/review?{query}" if query else "/review"

    def moved(self, by: int) -> "View":
        """Return the same queue, this many own jobs further on (or back)."""
        return replace(self, skip=max(0, self.skip + by))


def card_url(row: HasOwnJobKey, view: View | None = None, **more: str) -> str:
    """Return the address of the card of the own job that a row is about."""
    at = {"of": row.customer_id, "in": row.integration_id, "own": row.own_job_id}
    return (view or View.of({})).url(**at, **more)


def _one_of(known: Iterable[_Code], value: str | None) -> _Code | None:
    return next((code for code in known if code == value), None)
