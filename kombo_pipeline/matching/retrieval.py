"""Blocking: for each own job the shortlist of ATS jobs that are compared in full, by the cosine of search vectors."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, Final, Self

import numpy as np

from kombo_pipeline.matching.job_features import Idf, JobFeatures, JobText

SHORTLIST: Final = 24
"""Candidates of an own job that are compared in full. The number does not depend on the size of the index: otherwise
one more ATS job could change the results of all own jobs."""
LARGE: Final = 20_000
"""From this many ATS jobs on, query vectors are pruned; a search then takes a fifth of the work."""
KEPT_NORM: Final = 0.85
"""Share of the squared norm kept when a query vector is pruned."""

_PREFILTER_COSINE: Final = 0.3
"""Where more than SHORTLIST jobs reach this cosine, the others are dropped before sorting."""


class Index:
    """A search index of the ATS jobs of one customer. Of several jobs with one id the last counts."""

    def __init__(self, features: JobFeatures, *, customer: str, idf: Idf) -> None:
        self.features, self.customer, self.idf = features, customer, idf
        self._postings = features.search.T.tocsr()

    @classmethod
    def build(cls, jobs: Iterable[JobText], *, customer: str, idf: Idf) -> Self:
        """Read all ATS jobs of one customer."""
        unique = list({job.id: job for job in jobs}.values())
        return cls(JobFeatures.read(unique, customer=customer, idf=idf), customer=customer, idf=idf)

    def __len__(self) -> int:
        return len(self.features)

    def shortlist(self, own: JobFeatures) -> tuple[Any, Any, Any]:
        """Return the pairs to compare, by own job: row numbers of `own`, row numbers of the index, cosines."""
        return nearest(own.search, self._postings, self.features.tie_break)


def nearest(search: Any, postings: Any, tie_break: Any) -> tuple[Any, Any, Any]:
    """Return at most SHORTLIST nearest ATS jobs for each row of `search`: rows, columns of `postings`, cosines.

    `postings` is the inverted index: the search vectors of the ATS jobs, transposed. `tie_break` orders ATS jobs of
    equal cosine. The result for a row depends on that row, on the ATS jobs, and on whether they are LARGE in number.
    """
    scores = (query_vectors(search, size=postings.shape[1]) @ postings).tocsr()
    alike = np.flatnonzero(scores.data >= _PREFILTER_COSINE)
    bounds = np.searchsorted(alike, scores.indptr)
    chosen: list[Any] = []
    for row, (start, end) in enumerate(pairwise(bounds)):
        near = alike[start:end] if end - start > SHORTLIST else np.arange(scores.indptr[row], scores.indptr[row + 1])
        if len(near) > SHORTLIST:
            values = scores.data[near]
            near = near[values >= np.partition(values, -SHORTLIST)[-SHORTLIST] - 1e-4]
            keys = np.round(scores.data[near].astype(np.float64), 5) + tie_break[scores.indices[near]]
            near = near[np.argsort(-keys)[:SHORTLIST]]
        chosen.append(near)
    rows = np.repeat(np.arange(search.shape[0]), [len(found) for found in chosen])
    picked = np.concatenate(chosen) if chosen else np.empty(0, dtype=np.int64)
    return rows, scores.indices[picked], scores.data[picked]


def query_vectors(search: Any, *, size: int) -> Any:
    """Return the query vectors for an index of `size` ATS jobs: `search` itself, pruned where the index is LARGE."""
    return _pruned(search) if size >= LARGE else search


def _pruned(search: Any) -> Any:
    """Keep the largest entries of each row, as many as hold KEPT_NORM of its squared norm."""
    rows = np.repeat(np.arange(search.shape[0]), np.diff(search.indptr))
    order = np.lexsort((search.indices, -search.data, rows))
    squares = search.data[order].astype(np.float64) ** 2
    total = np.bincount(rows, squares, minlength=search.shape[0])
    before = np.cumsum(squares) - squares - (np.cumsum(total) - total)[rows]
    pruned = search.copy()
    pruned.data[order] *= np.round(before, 6) < np.round(KEPT_NORM * total[rows], 6)
    pruned.eliminate_zeros()
    return pruned


def read_own(own: Sequence[JobText], index: Index) -> JobFeatures:
    """Return the features of own jobs of the index's customer."""
    return JobFeatures.read(own, customer=index.customer, idf=index.idf)
