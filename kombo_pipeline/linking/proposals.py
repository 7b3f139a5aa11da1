"""Rows of core.own_job_matches and core.job_match_candidates: what is proposed for each own job, and why."""

import json
from collections.abc import Sequence
from math import log
from typing import Any, Final

import numpy as np

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.linking.identifier_graph import Identified
from kombo_pipeline.linking.statements import match_candidates
from kombo_pipeline.matching import retrieval, vectors
from kombo_pipeline.matching.evidence import explain
from kombo_pipeline.matching.identifiers import Review
from kombo_pipeline.matching.job_features import JobFeatures, JobText, tie_breaks
from kombo_pipeline.matching.scoring import Candidate, Match, Matcher, band
from kombo_pipeline.vocabulary import METHODS, Method

CANDIDATES: Final = 5
"""Candidates kept of an own job, beside those that a person has rejected."""

Row = dict[str, Any]


class Proposals:
    """Finds candidates among the ATS jobs of core.matchable_jobs, of which it reads no more than it needs."""

    def __init__(self, conn: Connection, matcher: Matcher, *, integration_id: str, customer: str) -> None:
        self._conn, self._matcher, self._integration_id, self._customer = conn, matcher, integration_id, customer
        known = match_candidates.job_vectors(conn, integration_id)
        self._ids = [job for job, _ in known]
        self._postings = vectors.unpack([vector for _, vector in known]).T.tocsr()
        self._tie = tie_breaks(self._ids)
        self._all: JobFeatures | None = None
        self.pairs = 0
        """Pairs compared in full so far."""

    def rows(
        self, own: Sequence[Row], identified: Identified, *, of: int
    ) -> tuple[list[Sequence[Any]], list[Sequence[Any]]]:
        """Match `own` by title; return rows of MATCH_COLUMNS and of CANDIDATE_COLUMNS.

        `of` is how many own jobs are to be matched in all: for many the ATS jobs are read once, for few those
        that are shortlisted.
        """
        texts = vectors.read([own_text(row) for row in own], self._matcher, self._customer)
        packed = vectors.pack(texts.search)
        asked = np.array([row["own_job_id"] not in identified.links for row in own], dtype=bool)
        mine = texts.take(asked)
        own_rows, ats_rows, cosine = retrieval.nearest(mine.search, self._postings, self._tie)
        self.pairs += len(own_rows)
        ats, ats_rows_here = self._read(ats_rows, of)
        wanted = [CANDIDATES + len(identified.rejected.get(job.id, ())) for job in mine.jobs]
        found = self._matcher.rank(mine, ats, own_rows, ats_rows_here, cosine, k=wanted)
        named = self._named([row for row in own if row["own_job_id"] in identified.reviews], identified)
        ends = np.searchsorted(own_rows, np.arange(len(mine) + 1))
        answers = dict(zip((job.id for job in mine.jobs), range(len(mine)), strict=True))
        own_written: list[Sequence[Any]] = []
        candidates_written: list[Sequence[Any]] = []
        for row, vector in zip(own, packed, strict=True):
            own_id = row["own_job_id"]
            shared = (row["content_hash"], self._matcher.version, identified.keys[own_id], vector)
            if own_id not in answers:
                own_written.append((own_id, "linked", None, None, None, None, *shared, float("inf"), []))
                continue
            number = answers[own_id]
            span = slice(ends[number], ends[number + 1])
            review = identified.reviews.get(own_id)
            proposed = self._proposed(found[number], named.get(own_id), review)[: wanted[number]]
            best = proposed[0] if proposed else None
            outcome = "review" if review else "candidates" if best and best[5] != "none" else "none"
            own_written.append(
                (
                    *(own_id, outcome, review.reason if review else None, round(found[number].none_probability, 4)),
                    *(best[4:6] if best else (None, None)),
                    *shared,
                    float(cosine[span].min()) if span.stop - span.start >= retrieval.SHORTLIST else 0.0,
                    [vectors.signed_crc(self._ids[job]) for job in ats_rows[span]],
                )
            )
            candidates_written += proposed
        return own_written, candidates_written

    def _read(self, ats_rows: Any, of: int) -> tuple[JobFeatures, Any]:
        """The ATS jobs that `ats_rows` name as columns, and their rows there."""
        if self._all is None and of * retrieval.SHORTLIST >= len(self._ids):
            self._all = self._columns(self._ids)
        if self._all is not None:
            return self._all, ats_rows
        needed, here = np.unique(ats_rows, return_inverse=True)
        return self._columns([self._ids[row] for row in needed]), here

    def _columns(self, kombo_job_ids: Sequence[str]) -> JobFeatures:
        rows = match_candidates.matchable_jobs(self._conn, self._integration_id, kombo_job_ids)
        return vectors.read([ats_text(row) for row in rows], self._matcher, self._customer)

    def _named(self, own: Sequence[Row], identified: Identified) -> dict[str, Match]:
        """For own jobs whose identifiers a person must judge: the ATS jobs that they name, compared by title."""
        if not own:
            return {}
        asked = [sorted(identified.reviews[row["own_job_id"]].ats_ids) for row in own]
        ids = sorted({job for jobs in asked for job in jobs})
        ats, place = self._columns(ids), {job: number for number, job in enumerate(ids)}
        mine = vectors.read([own_text(row) for row in own], self._matcher, self._customer)
        own_rows = np.repeat(np.arange(len(own)), [len(jobs) for jobs in asked])
        ats_rows = np.array([place[job] for jobs in asked for job in jobs], dtype=np.int64)
        cosine = np.asarray(mine.search[own_rows].multiply(ats.search[ats_rows]).sum(1), dtype=np.float32).ravel()
        found = self._matcher.rank(mine, ats, own_rows, ats_rows, cosine, k=[len(jobs) for jobs in asked])
        return {match.own.id: match for match in found}

    def _proposed(self, by_title: Match, named: Match | None, review: Review | None) -> list[tuple[Any, ...]]:
        """Candidate rows in order of confidence; an ATS job that an identifier names is proposed by that."""
        found: list[tuple[float, Match, Candidate, Method]] = []
        if named and review:
            found = [(identified_confidence(each, review), named, each, review.method) for each in named.candidates]
        by_identifier = {each.ats.id for _, _, each, _ in found}
        found += [(c.confidence, by_title, c, "title") for c in by_title.candidates if c.ats.id not in by_identifier]
        found.sort(key=lambda each: -each[0])  # stable: equals stay in the matcher's order
        return [
            (
                *(
                    match.own.id,
                    candidate.ats.id,
                    rank,
                    round(candidate.score, 3),
                    round(confidence, 4),
                    band(confidence),
                    method,
                ),
                json.dumps(self._evidence(match, candidate, method, confidence), ensure_ascii=False),
                self._matcher.version,
            )
            for rank, (confidence, match, candidate, method) in enumerate(found, start=1)
        ]

    def _evidence(self, match: Match, candidate: Candidate, method: Method, confidence: float) -> dict[str, Any]:
        """Evidence as JSON; texts lose what Postgres cannot keep."""
        told = explain(match, candidate, self._matcher.weights)
        contributions = [{"text": each.text, "weight": round(each.weight, 2)} for each in told.contributions]
        if method != "title":
            weight = round(_log_odds(confidence) - _log_odds(candidate.confidence), 2)
            # The title's own evidence has a word on codes that both sides write with digits.
            if weight or not any(each["text"] == "same code" for each in contributions):
                contributions.insert(0, {"text": f"same {METHODS[method]}", "weight": weight})
        return {
            "contributions": contributions,
            "own_title": told.own_title,
            "ats_title": told.ats_title,
            "only_own": list(told.only_own),
            "only_ats": list(told.only_ats),
        }


def identified_confidence(candidate: Candidate, review: Review) -> float:
    """The confidence in an ATS job that an identifier names without deciding: even odds, shared among those named.

    No labelled collisions exist to calibrate it on; the title's own confidence counts where it is higher.
    """
    return max(candidate.confidence, 0.5 if len(review.ats_ids) == 1 else 0.9 / len(review.ats_ids))


def own_text(row: Row) -> JobText:
    """An own job as titles are compared, from a row of core.own_jobs."""
    return JobText(
        row["own_job_id"],
        row["title"] or "",
        row["location"] or "",
        row["department"] or "",
        row["employment_type"] or "",
        row["posted_at"],
        row["job_code"],
    )


def ats_text(row: Row) -> JobText:
    """An ATS job as titles are compared, from a row of core.matchable_jobs or of `match_candidates.ats_jobs`."""
    return JobText(
        row["kombo_job_id"],
        row["title"],
        row["place"],
        row["department"],
        row["employment_type"],
        row["posted_on"],
        row["job_code"] or None,
    )


def _log_odds(probability: float) -> float:
    clipped = min(max(probability, 1e-6), 1 - 1e-6)
    return log(clipped / (1 - clipped))
