"""Search vectors as they are kept in the warehouse, so that a matching reads no title twice."""

from collections.abc import Sequence
from typing import Any
from zlib import crc32

import numpy as np
from scipy import sparse

from kombo_pipeline.matching.columns import FEATURES, Columns, JobText
from kombo_pipeline.matching.scoring import Matcher


def read(jobs: Sequence[JobText], matcher: Matcher, customer: str) -> Columns:
    """Jobs of one customer as the matcher's columns."""
    return Columns.read(jobs, customer=customer, rarity=matcher.weights.rarity)


def pack(matrix: Any) -> list[bytes]:
    """Each row of a sparse matrix as bytes: its columns (int32), then its values (float32), little-endian."""
    indices, data = matrix.indices.astype("<i4"), matrix.data.astype("<f4")
    bounds = zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True)
    return [indices[start:end].tobytes() + data[start:end].tobytes() for start, end in bounds]


def unpack(rows: Sequence[bytes]) -> Any:
    """The sparse matrix of packed rows, float32, one row each."""
    counts = np.fromiter((len(row) // 8 for row in rows), dtype=np.int64, count=len(rows))
    indptr = np.concatenate([[0], np.cumsum(counts)])
    words = np.frombuffer(b"".join(rows), dtype="<i4")
    # 2 for each row's columns, then 1 for as many values: what a running sum of these steps shows.
    steps = np.zeros(len(words) + 1, dtype=np.int64)
    np.add.at(steps, 2 * indptr[:-1], 1)
    np.add.at(steps, 2 * indptr[:-1] + counts, -1)
    are_columns = np.cumsum(steps[:-1]).astype(bool)
    return sparse.csr_matrix(
        (words[~are_columns].view("<f4"), words[are_columns], indptr), shape=(len(rows), FEATURES), copy=False
    )


def tie(ids: Sequence[str]) -> Any:
    """What settles equal scores, as Columns.tie."""
    return np.array([_crc(job) for job in ids], dtype=np.float64) * 1e-15


def signed_crc(job_id: str) -> int:
    """CRC-32 of an id in the range of Postgres's integer."""
    return _crc(job_id) - 2**31


def _crc(job_id: str) -> int:
    return crc32(job_id.encode("utf-8", "surrogatepass"))
