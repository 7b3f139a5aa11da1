"""Finds the ATS jobs that a title alone may mean, for titles that belong to no own job."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.linking.proposals import ats_text
from kombo_pipeline.linking.statements import matchable_jobs
from kombo_pipeline.matching import retrieval, vectors
from kombo_pipeline.matching.job_features import JobText, tie_breaks
from kombo_pipeline.matching.scoring import Matcher, default_matcher
from kombo_pipeline.vocabulary import Band


class Proposed(NamedTuple):
    """An ATS job that a title may mean."""

    kombo_job_id: str
    confidence: float
    band: Band


def jobs_by_title(
    conn: Connection,
    titles: Sequence[str],
    *,
    integration_id: str,
    customer: str,
    k: int = 3,
    matcher: Matcher | None = None,
) -> list[list[Proposed]]:
    """Return the `k` likeliest open ATS jobs for each title, the best first.

    `customer` is the customer's name: in the customer's own titles it tells no jobs apart, so it is left out. Jobs that
    matching has not read yet are not found.
    """
    matcher = matcher or default_matcher()
    known = matchable_jobs.job_vectors(conn, integration_id)
    if not known or not titles:
        return [[] for _ in titles]
    ids = [job.kombo_job_id for job in known]
    own = vectors.read([JobText(str(number), title) for number, title in enumerate(titles)], matcher, customer)
    postings = vectors.unpack([job.vector for job in known]).T.tocsr()
    own_rows, ats_rows, cosine = retrieval.nearest(own.search, postings, tie_breaks(ids))
    needed, here = np.unique(ats_rows, return_inverse=True)
    stored = matchable_jobs.stored_jobs(conn, integration_id, [ids[row] for row in needed])
    ats = vectors.read([ats_text(job) for job in stored], matcher, customer)
    found = matcher.rank(own, ats, own_rows, here, cosine, k=k)
    return [[Proposed(each.ats.id, each.confidence, each.band) for each in match.candidates] for match in found]
