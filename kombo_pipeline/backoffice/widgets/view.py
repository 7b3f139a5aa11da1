"""Which own jobs the review page goes through, as its address says: filters, order, place in the queue."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, get_args
from urllib.parse import urlencode

from kombo_pipeline.linking.statements.review_queue import Order, Queue
from kombo_pipeline.vocabulary import BANDS, REVIEW_REASONS, SOURCES

AGES: Final = (1, 7, 30)
ORDERS: Final = {"strongest": "Strongest first", "oldest": "Oldest first", "informative": "Most informative first"}


def customers_of(connections: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return the customers of connections, id and name, for a choice."""
    named: dict[str, str] = {}
    for each in connections:
        named.setdefault(each["customer_id"], each["name"])
    return list(named.items())


def integrations_of(connections: Iterable[Mapping[str, Any]], customer_id: str | None) -> list[tuple[str, str]]:
    """Return the integrations of a customer, of all where it is None, id and name, for a choice."""
    return [
        (each["integration_id"], f"{each['name']} · {each['tool'] or each['integration_id']}")
        for each in connections
        if customer_id in (None, each["customer_id"])
    ]


@dataclass(frozen=True)
class View:
    """What the address asks for: a queue, and how many of it are passed over."""

    queue: Queue
    skip: int = 0

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "View":
        """Read the parameters of an address; what makes no sense is left out."""
        age, skip = query.get("age", ""), query.get("skip", "")
        order = query.get("order")
        return cls(
            Queue(
                customer_id=query.get("customer") or None,
                integration_id=query.get("integration") or None,
                band=_one_of(BANDS, query.get("band")),
                why=_one_of(REVIEW_REASONS, query.get("why")),
                source=_one_of(SOURCES, query.get("source")),
                days=int(age) if re.fullmatch(r"\d{1,4}", age) else None,
                order=order if order in get_args(Order) else "strongest",  # type: ignore[arg-type]
            ),
            skip=int(skip) if re.fullmatch(r"\d{1,7}", skip) else 0,
        )

    @property
    def parameters(self) -> dict[str, str]:
        """Its parameters, without those that say nothing."""
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
        """Whether a filter leaves something out."""
        return bool(self.parameters.keys() - {"order", "skip"})

    def url(self, **more: str) -> str:
        """The address of the page with this queue."""
        query = urlencode(self.parameters | more)
        return f"/review?{query}" if query else "/review"

    def moved(self, by: int) -> "View":
        """The same queue, some own jobs further on or back."""
        return replace(self, skip=max(0, self.skip + by))


def card_url(key: Mapping[str, str], view: View | None = None, **more: str) -> str:
    """The address of the card of one own job."""
    at = {"of": key["customer_id"], "in": key["integration_id"], "own": key["own_job_id"]}
    return (view or View.of({})).url(**at, **more)


def _one_of(known: Any, value: str | None) -> str | None:
    return value if value in known else None
