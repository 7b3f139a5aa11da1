"""Which ATS jobs are worth a closer look: the nearest by words, character trigrams and place."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, Final, Self

import numpy as np

from kombo_pipeline.matching.columns import Columns, JobText, Rarity

SHORTLIST: Final = 24
"""So many ATS jobs are compared in full. Fixed: a number that moved with the size of the index would let one
more ATS job change the results of all own jobs."""
LARGE: Final = 20_000
"""From so many ATS jobs on, a search leaves out the least telling parts of the own job: five times less work."""
GIST: Final = 0.85
"""What the parts kept then hold of the squared length."""

_ALIKE: Final = 0.3
"""Where more than SHORTLIST jobs have this cosine, the others are left out before they are put in order."""


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

    def shortlist(self, own: Columns) -> tuple[Any, Any, Any]:
        """The pairs worth comparing, by own job: rows of `own`, rows of the index, cosine of their texts."""
        return nearest(own.search, self._postings, self.columns.tie)


def nearest(search: Any, postings: Any, tie: Any) -> tuple[Any, Any, Any]:
    """The ATS jobs nearest to each row of `search`, at most SHORTLIST: rows, columns of `postings`, cosine.

    `postings` are the ATS jobs' search vectors transposed, `tie` settles equal cosines. What is found for a row
    depends on that row, the ATS jobs and whether they are LARGE in number.
    """
    scores = (sought(search, size=postings.shape[1]) @ postings).tocsr()
    alike = np.flatnonzero(scores.data >= _ALIKE)
    bounds = np.searchsorted(alike, scores.indptr)
    chosen: list[Any] = []
    for row, (start, end) in enumerate(pairwise(bounds)):
        near = alike[start:end] if end - start > SHORTLIST else np.arange(scores.indptr[row], scores.indptr[row + 1])
        if len(near) > SHORTLIST:
            values = scores.data[near]
            near = near[values >= np.partition(values, -SHORTLIST)[-SHORTLIST] - 1e-4]
            keys = np.round(scores.data[near].astype(np.float64), 5) + tie[scores.indices[near]]
            near = near[np.argsort(-keys)[:SHORTLIST]]
        chosen.append(near)
    rows = np.repeat(np.arange(search.shape[0]), [len(found) for found in chosen])
    picked = np.concatenate(chosen) if chosen else np.empty(0, dtype=np.int64)
    return rows, scores.indices[picked], scores.data[picked]


def sought(search: Any, *, size: int) -> Any:
    """What of the own jobs' search vectors is looked for among `size` ATS jobs."""
    return _gist(search) if size >= LARGE else search


def _gist(search: Any) -> Any:
    rows = np.repeat(np.arange(search.shape[0]), np.diff(search.indptr))
    order = np.lexsort((search.indices, -search.data, rows))
    squares = search.data[order].astype(np.float64) ** 2
    total = np.bincount(rows, squares, minlength=search.shape[0])
    before = np.cumsum(squares) - squares - (np.cumsum(total) - total)[rows]
    abridged = search.copy()
    abridged.data[order] *= np.round(before, 6) < np.round(GIST * total[rows], 6)
    abridged.eliminate_zeros()
    return abridged


def read_own(own: Sequence[JobText], index: Index) -> Columns:
    """Own jobs of the index's customer as columns."""
    return Columns.read(own, customer=index.customer, rarity=index.rarity)
