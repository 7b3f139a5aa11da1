"""Webhooks between Kombo and the subscriber: lost, doubled, forged and delayed as `Behaviour` says."""

import heapq
import random
from dataclasses import replace
from datetime import datetime, timedelta

from kombo_pipeline.sandbox.behaviour import Behaviour
from kombo_pipeline.sandbox.deliveries import Webhook


class Outbox:
    """What was sent and has not been taken for delivery yet, the first due first."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._queue: list[tuple[datetime, int, Webhook]] = []
        self._put = 0

    def put(self, webhook: Webhook, behaviour: Behaviour) -> None:
        """Send a webhook on its way, due at its own instant or later."""
        if self._rng.random() < behaviour.webhook_loss_rate:
            return
        for _ in range(2 if self._rng.random() < behaviour.webhook_duplicate_rate else 1):
            due_at = webhook.due_at + timedelta(seconds=self._rng.random() * behaviour.webhook_delay_seconds)
            forged = self._rng.random() < behaviour.webhook_bad_signature_rate
            self._put += 1
            heapq.heappush(self._queue, (due_at, self._put, replace(webhook, due_at=due_at, bad_signature=forged)))

    def take(self, until: datetime | None = None) -> list[Webhook]:
        """Take out what is due by then, or everything, in order of delivery."""
        taken = []
        while self._queue and (until is None or self._queue[0][0] <= until):
            taken.append(heapq.heappop(self._queue)[2])
        return taken
