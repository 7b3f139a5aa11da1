"""Search vectors as the warehouse stores them, so that a later matching need not read the titles again."""

from collections.abc import Sequence
from typing import Any
from zlib import crc32

import numpy as np
from scipy import sparse

from kombo_pipeline.matching.job_features import HASH_DIMENSIONS, JobFeatures, JobText
from kombo_pipeline.matching.scoring import Matcher


def read(jobs: Sequence[JobText], matcher: Matcher, customer: str) -> JobFeatures:
    """Return the features of jobs of one customer, weighted by the matcher's IDF."""
    return JobFeatures.read(jobs, customer=customer, idf=matcher.weights.idf)


def pack(matrix: Any) -> list[bytes]:
    """Return each row of a sparse matrix as little-endian bytes: column numbers (int32), then values (float32)."""
    indices, data = matrix.indices.astype("<i4"), matrix.data.astype("<f4")
    bounds = zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True)
    return [indices[start:end].tobytes() + data[start:end].tobytes() for start, end in bounds]


def unpack(rows: Sequence[bytes]) -> Any:
    """Return the sparse float32 matrix of rows that `pack` has written."""
    counts = np.fromiter((len(row) // 8 for row in rows), dtype=np.int64, count=len(rows))
    indptr = np.concatenate([[0], np.cumsum(counts)])
    words = np.frombuffer(b"".join(rows), dtype="<i4")
    # +1 where the column numbers of a row begin, -1 where its values begin: the running sum is 1 on column numbers.
    steps = np.zeros(len(words) + 1, dtype=np.int64)
    np.add.at(steps, 2 * indptr[:-1], 1)
    np.add.at(steps, 2 * indptr[:-1] + counts, -1)
    are_columns = np.cumsum(steps[:-1]).astype(bool)
    return sparse.csr_matrix(
        (words[~are_columns].view("<f4"), words[are_columns], indptr), shape=(len(rows), HASH_DIMENSIONS), copy=False
    )


def signed_crc(job_id: str) -> int:
    """Return the CRC-32 of an id, moved into the range of Postgres's integer."""
    return crc32(job_id.encode("utf-8", "surrogatepass")) - 2**31
