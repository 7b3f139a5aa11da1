"""Which ATS jobs are worth a closer look: the nearest by words, character trigrams and place."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, Self

import numpy as np

from kombo_pipeline.matching.columns import Columns, JobText, Rarity

SHORTLIST: Final = 24
"""So many ATS jobs are compared in full. Fixed: a number that moved with the size of the index would let one
more ATS job change the results of all own jobs."""


class Index:
    """The ATS jobs of one customer, ready to be searched. The last of several jobs with one id counts."""

    def __init__(self, columns: Columns, *, customer: str, rarity: Rarity) -> None:
        self.columns, self.customer, self.rarity = columns, customer, rarity
        self._postings = columns.search.T.tocsr()

    @classmethod
    def build(cls, jobs: Iterable[JobText], *, customer: str, rarity: Rarity) -> Self:
        """Read all ATS jobs of one customer."""
        unique = list({job.id: job for job in jobs}.values())
        return cls(Columns.read(unique, customer=customer, rarity=rarity), customer=customer, rarity=rarity)

    def __len__(self) -> int:
        return len(self.columns)

    def update(self, changed: Iterable[JobText], removed: Iterable[str]) -> None:
        """Replace or add the changed jobs and forget the removed ones; unknown ids are ignored."""
        latest = {job.id: job for job in changed}
        gone = latest.keys() | set(removed)
        keep = np.array([job.id not in gone for job in self.columns.jobs], dtype=bool)
        added = Columns.read(list(latest.values()), customer=self.customer, rarity=self.rarity)
        self.columns = self.columns.take(keep).followed_by(added)
        self._postings = self.columns.search.T.tocsr()

    def shortlist(self, own: Columns) -> tuple[Any, Any, Any]:
        """The pairs worth comparing, by own job: rows of `own`, rows of the index, cosine of their texts."""
        scores = (own.search @ self._postings).tocsr()
        chosen: list[Any] = []
        for start, end in zip(scores.indptr[:-1], scores.indptr[1:], strict=True):
            found = np.arange(start, end)
            if end - start > SHORTLIST:
                keys = np.round(scores.data[found].astype(np.float64), 5) + self.columns.tie[scores.indices[found]]
                found = found[np.argpartition(-keys, SHORTLIST)[:SHORTLIST]]
            chosen.append(found)
        rows = np.repeat(np.arange(len(own)), [len(found) for found in chosen])
        picked = np.concatenate(chosen) if chosen else np.empty(0, dtype=np.int64)
        return rows, scores.indices[picked], scores.data[picked]


def read_own(own: Sequence[JobText], index: Index) -> Columns:
    """Own jobs of the index's customer as columns."""
    return Columns.read(own, customer=index.customer, rarity=index.rarity)
