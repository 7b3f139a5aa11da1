"""Statements on core.own_job_matches and core.job_match_candidates: what matching writes, and a summary of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from psycopg.rows import class_row

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.linking.statements import staging
from kombo_pipeline.vocabulary import Band, LinkState, Method, Outcome


@dataclass(frozen=True, kw_only=True, slots=True)
class NewMatch:
    """A row of core.own_job_matches as it is written: what was found for an own job."""

    own_job_id: str
    outcome: Outcome
    reason: str | None = None
    """Why identifiers did not decide, in words; None where none names an ATS job."""
    none_probability: float | None = None
    """Probability that the ATS has no counterpart; None where an identifier decides."""
    confidence: float | None = None
    """Of the first candidate; None without one."""
    band: Band | None = None
    own_hash: str
    matcher_version: str
    identifiers: Sequence[str]
    vector: bytes
    shortlist_floor: float
    shortlist: Sequence[int]
    """The CRC-32 of the ids of the ATS jobs that were compared in full."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NewCandidate:
    """A row of core.job_match_candidates as it is written."""

    own_job_id: str
    kombo_job_id: str
    rank: int
    score: float
    confidence: float
    band: Band
    method: Method
    evidence: str
    """JSON."""
    matcher_version: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """What matching has found so far in an integration, in counts."""

    own_jobs: int
    candidates: int
    waiting: int
    """Own jobs that wait for a person."""
    outcomes: Mapping[Outcome, int]
    bands: Mapping[Band, int]
    """Own jobs by the band of their first candidate."""
    links: Mapping[LinkState, int]
    confidences: Sequence[int]
    """Own jobs by the confidence of their first candidate, in ten bins from 0 to 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """A first candidate, with both titles and the evidence in words."""

    own_title: str | None
    ats_title: str | None
    confidence: Decimal
    band: Band
    method: Method
    why: str | None


_MATCH: Final = staging.columns_of(NewMatch)
_CANDIDATE: Final = staging.columns_of(NewCandidate)


class Writer:
    """Stages matches and candidates, then merges them into the tables; a row that is equal is not written."""

    def __init__(self, conn: Connection, *, customer_id: str, integration_id: str) -> None:
        self._conn = conn
        self._keys = {"customer_id": customer_id, "integration_id": integration_id}
        staging.create(conn, "own_job_matches", _MATCH)
        staging.create(conn, "job_match_candidates", _CANDIDATE)

    def stage(self, matches: Iterable[NewMatch], candidates: Iterable[NewCandidate]) -> None:
        """Stage the matches of some own jobs, and their candidates."""
        staging.copy_rows(self._conn, "own_job_matches", _MATCH, matches)
        staging.copy_rows(self._conn, "job_match_candidates", _CANDIDATE, candidates)

    def merge(self) -> None:
        """Replace the matches of the staged own jobs and their candidates."""
        staging.merge(self._conn, "own_job_matches", _MATCH, given=self._keys, key=("own_job_id",))
        self._conn.execute("analyze incoming_job_match_candidates")
        self._conn.execute(
            """
            delete from core.job_match_candidates c
            using incoming_own_job_matches m
            where c.customer_id = %(customer_id)s
                and c.integration_id = %(integration_id)s
                and c.own_job_id = m.own_job_id
                and not exists (
                    select
                    from incoming_job_match_candidates i
                    where i.own_job_id = c.own_job_id
                        and i.kombo_job_id = c.kombo_job_id
                )
            """,
            self._keys,
        )
        staging.merge(
            self._conn,
            "job_match_candidates",
            _CANDIDATE,
            given=self._keys,
            key=("own_job_id", "kombo_job_id"),
        )
        self._conn.execute(
            """
            update core.own_job_matches m
            set matched_at = now()
            from incoming_own_job_matches i
            where m.customer_id = %(customer_id)s
                and m.integration_id = %(integration_id)s
                and m.own_job_id = i.own_job_id
                and m.matched_at < now()
            """,
            self._keys,
        )


def summary(conn: Connection, integration_id: str) -> Summary:
    """Return what matching has found so far in an integration."""
    with conn.cursor(row_factory=class_row(Summary)) as cursor:
        row = cursor.execute(
            _SUMMARY,
            {"integration": integration_id},
        ).fetchone()
    assert row is not None
    return row


_SUMMARY: Final = """
    with found as materialized (
        select outcome, band, confidence
        from core.own_job_matches
        where integration_id = %(integration)s
    )
    select
        (select count(*) from found) as own_jobs,
        (
            select count(*)
            from core.job_match_candidates
            where integration_id = %(integration)s
        ) as candidates,
        (
            select count(*)
            from marts.review_queue
            where integration_id = %(integration)s
                and why <> 'unlikely'
        ) as waiting,
        (
            select coalesce(jsonb_object_agg(outcome, n), '{}')
            from (
                select outcome, count(*) as n
                from found
                group by outcome
            ) o
        ) as outcomes,
        (
            select coalesce(jsonb_object_agg(band, n), '{}')
            from (
                select band, count(*) as n
                from found
                where band is not null
                group by band
            ) b
        ) as bands,
        (
            select coalesce(jsonb_object_agg(state, n), '{}')
            from (
                select state, count(*) as n
                from core.job_links
                where integration_id = %(integration)s
                group by state
            ) s
        ) as links,
        (
            select
                array_agg(
                    (
                        select count(*)
                        from found
                        where least(floor(confidence * 10), 9) = bin
                    ) order by bin
                )
            from generate_series(0, 9) bin
        ) as confidences
"""


def examples(conn: Connection, integration_id: str, *, limit: int) -> list[Example]:
    """Return first candidates of all bands, some of each, the most confident first."""
    with conn.cursor(row_factory=class_row(Example)) as cursor:
        return cursor.execute(
            """
            select own_title, ats_title, round(confidence::numeric, 2) as confidence, band, method, why
            from (
                select
                    own_job_id, own_title, ats_title, confidence, band, method, why,
                    row_number() over (partition by band order by confidence desc, own_job_id) as place
                from marts.match_candidates
                where integration_id = %s and rank = 1
            ) first
            order by place, confidence desc
            limit %s
            """,
            (integration_id, limit),
        ).fetchall()
