"""The ATS jobs that bare titles may mean: the matcher asked for texts that are no own jobs."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.linking.proposals import ats_text
from kombo_pipeline.linking.statements import match_candidates
from kombo_pipeline.matching import retrieval, vectors
from kombo_pipeline.matching.job_features import JobText, tie_breaks
from kombo_pipeline.matching.scoring import Matcher, default_matcher


class Proposed(NamedTuple):
    """An ATS job that a title may mean. `band` is strong, possible, weak or none."""

    kombo_job_id: str
    confidence: float
    band: str


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

    `customer` is the customer's name, which says nothing in its own titles. Jobs that matching has not read yet
    are not found.
    """
    matcher = matcher or default_matcher()
    known = match_candidates.job_vectors(conn, integration_id)
    if not known or not titles:
        return [[] for _ in titles]
    ids = [job for job, _ in known]
    own = vectors.read([JobText(str(number), title) for number, title in enumerate(titles)], matcher, customer)
    postings = vectors.unpack([vector for _, vector in known]).T.tocsr()
    own_rows, ats_rows, cosine = retrieval.nearest(own.search, postings, tie_breaks(ids))
    needed, here = np.unique(ats_rows, return_inverse=True)
    rows = match_candidates.matchable_jobs(conn, integration_id, [ids[row] for row in needed])
    ats = vectors.read([ats_text(row) for row in rows], matcher, customer)
    found = matcher.rank(own, ats, own_rows, here, cosine, k=k)
    return [[Proposed(each.ats.id, each.confidence, each.band) for each in match.candidates] for match in found]
