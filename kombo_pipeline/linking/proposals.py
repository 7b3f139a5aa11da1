"""Proposes ATS jobs for own jobs, with the evidence: the rows of core.own_job_matches and core.job_match_candidates."""

import json
from collections.abc import Sequence
from dataclasses import replace
from math import inf, log
from typing import Any, Final

import numpy as np

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.linking.identifier_graph import Identified
from kombo_pipeline.linking.statements import matchable_jobs
from kombo_pipeline.linking.statements.match_candidates import NewCandidate, NewMatch
from kombo_pipeline.linking.statements.matchable_jobs import AtsTexts
from kombo_pipeline.linking.statements.own_job_matches import OwnJob
from kombo_pipeline.matching import retrieval, vectors
from kombo_pipeline.matching.evidence import explain
from kombo_pipeline.matching.identifiers import Review
from kombo_pipeline.matching.job_features import JobFeatures, JobText, tie_breaks
from kombo_pipeline.matching.scoring import Candidate, Match, Matcher, band
from kombo_pipeline.vocabulary import METHODS, Method

CANDIDATES: Final = 5
"""How many candidates of an own job are kept, in addition to those that a person has rejected."""


class Proposals:
    """Finds candidates among the ATS jobs of core.matchable_jobs; reads no more of them than it needs."""

    def __init__(self, conn: Connection, matcher: Matcher, *, integration_id: str, customer: str) -> None:
        self._conn, self._matcher, self._integration_id, self._customer = conn, matcher, integration_id, customer
        known = matchable_jobs.job_vectors(conn, integration_id)
        self._ids = [job.kombo_job_id for job in known]
        self._postings = vectors.unpack([job.vector for job in known]).T.tocsr()
        self._tie = tie_breaks(self._ids)
        self._all: JobFeatures | None = None
        self.pairs = 0
        """How many pairs were compared in full so far."""

    def matched(
        self, own: Sequence[OwnJob], identified: Identified, *, of: int
    ) -> tuple[list[NewMatch], list[NewCandidate]]:
        """Match own jobs by title; return the match of each, and the candidates of all.

        `of` is how many own jobs are to be matched in all: for many the ATS jobs are read once, for few only those
        that are shortlisted.
        """
        texts = vectors.read([own_text(job) for job in own], self._matcher, self._customer)
        packed = vectors.pack(texts.search)
        asked = np.array([job.own_job_id not in identified.links for job in own], dtype=bool)
        mine = texts.take(asked)
        own_rows, ats_rows, cosine = retrieval.nearest(mine.search, self._postings, self._tie)
        self.pairs += len(own_rows)
        ats, ats_rows_here = self._read(ats_rows, of)
        wanted = [CANDIDATES + len(identified.rejected.get(job.id, ())) for job in mine.jobs]
        found = self._matcher.rank(mine, ats, own_rows, ats_rows_here, cosine, k=wanted)
        named = self._named([job for job in own if job.own_job_id in identified.reviews], identified)
        ends = np.searchsorted(own_rows, np.arange(len(mine) + 1))
        numbers = {job.id: number for number, job in enumerate(mine.jobs)}
        matches: list[NewMatch] = []
        candidates: list[NewCandidate] = []
        for job, vector in zip(own, packed, strict=True):
            by_identifier = NewMatch(
                own_job_id=job.own_job_id,
                outcome="linked",
                own_hash=job.content_hash,
                matcher_version=self._matcher.version,
                identifiers=identified.keys[job.own_job_id],
                vector=vector,
                shortlist_floor=inf,
                shortlist=[],
            )
            number = numbers.get(job.own_job_id)
            if number is None:
                matches.append(by_identifier)
                continue
            span = slice(ends[number], ends[number + 1])
            review = identified.reviews.get(job.own_job_id)
            proposed = self._proposed(found[number], named.get(job.own_job_id), review)[: wanted[number]]
            best = proposed[0] if proposed else None
            matches.append(
                replace(
                    by_identifier,
                    outcome="review" if review else "candidates" if best and best.band != "none" else "none",
                    reason=review.reason if review else None,
                    none_probability=round(found[number].none_probability, 4),
                    confidence=best.confidence if best else None,
                    band=best.band if best else None,
                    shortlist_floor=(
                        float(cosine[span].min()) if span.stop - span.start >= retrieval.SHORTLIST else 0.0
                    ),
                    shortlist=[vectors.signed_crc(self._ids[row]) for row in ats_rows[span]],
                )
            )
            candidates += proposed
        return matches, candidates

    def _read(self, ats_rows: Any, of: int) -> tuple[JobFeatures, Any]:
        """Return the features of the ATS jobs that `ats_rows` number, and the row of each among the features."""
        if self._all is None and of * retrieval.SHORTLIST >= len(self._ids):
            self._all = self._columns(self._ids)
        if self._all is not None:
            return self._all, ats_rows
        needed, here = np.unique(ats_rows, return_inverse=True)
        return self._columns([self._ids[row] for row in needed]), here

    def _columns(self, kombo_job_ids: Sequence[str]) -> JobFeatures:
        stored = matchable_jobs.stored_jobs(self._conn, self._integration_id, kombo_job_ids)
        return vectors.read([ats_text(job) for job in stored], self._matcher, self._customer)

    def _named(self, own: Sequence[OwnJob], identified: Identified) -> dict[str, Match]:
        """Compare own jobs by title with the ATS jobs that their identifiers name, where a person must decide."""
        if not own:
            return {}
        asked = [sorted(identified.reviews[job.own_job_id].ats_ids) for job in own]
        ids = sorted({job for jobs in asked for job in jobs})
        ats, place = self._columns(ids), {job: number for number, job in enumerate(ids)}
        mine = vectors.read([own_text(job) for job in own], self._matcher, self._customer)
        own_rows = np.repeat(np.arange(len(own)), [len(jobs) for jobs in asked])
        ats_rows = np.array([place[job] for jobs in asked for job in jobs], dtype=np.int64)
        cosine = np.asarray(mine.search[own_rows].multiply(ats.search[ats_rows]).sum(1), dtype=np.float32).ravel()
        found = self._matcher.rank(mine, ats, own_rows, ats_rows, cosine, k=[len(jobs) for jobs in asked])
        return {match.own.id: match for match in found}

    def _proposed(self, by_title: Match, named: Match | None, review: Review | None) -> list[NewCandidate]:
        """Return the candidates of an own job in the order of their confidence.

        The method of an ATS job that an identifier names is the identifier, not its title.
        """
        found: list[tuple[float, Match, Candidate, Method]] = []
        if named and review:
            found = [(identified_confidence(each, review), named, each, review.method) for each in named.candidates]
        by_identifier = {each.ats.id for _, _, each, _ in found}
        found += [(c.confidence, by_title, c, "title") for c in by_title.candidates if c.ats.id not in by_identifier]
        found.sort(key=lambda each: -each[0])  # stable: equals stay in the matcher's order
        return [
            NewCandidate(
                own_job_id=match.own.id,
                kombo_job_id=candidate.ats.id,
                rank=rank,
                score=round(candidate.score, 3),
                confidence=round(confidence, 4),
                band=band(confidence),
                method=method,
                evidence=json.dumps(self._evidence(match, candidate, method, confidence), ensure_ascii=False),
                matcher_version=self._matcher.version,
            )
            for rank, (confidence, match, candidate, method) in enumerate(found, start=1)
        ]

    def _evidence(self, match: Match, candidate: Candidate, method: Method, confidence: float) -> dict[str, Any]:
        """Return the evidence for a candidate in the form in which it is stored as JSON."""
        explained = explain(match, candidate, self._matcher.weights)
        contributions = [{"text": each.text, "weight": round(each.weight, 2)} for each in explained.contributions]
        if method != "title":
            weight = round(_log_odds(confidence) - _log_odds(candidate.confidence), 2)
            # The evidence of the title may say already that both sides have the same code.
            if weight or not any(each["text"] == "same code" for each in contributions):
                contributions.insert(0, {"text": f"same {METHODS[method]}", "weight": weight})
        return {
            "contributions": contributions,
            "own_title": explained.own_title,
            "ats_title": explained.ats_title,
            "only_own": list(explained.only_own),
            "only_ats": list(explained.only_ats),
        }


def identified_confidence(candidate: Candidate, review: Review) -> float:
    """Return the confidence in an ATS job that an identifier names without deciding.

    It is one half for a single job, and 0.9 divided among several; where the title gives a higher confidence, that
    counts. No labelled collisions exist on which it could be calibrated.
    """
    return max(candidate.confidence, 0.5 if len(review.ats_ids) == 1 else 0.9 / len(review.ats_ids))


def own_text(own: OwnJob) -> JobText:
    """Return the texts by which titles compare an own job."""
    return JobText(
        own.own_job_id,
        title=own.title or "",
        location=own.location or "",
        department=own.department or "",
        employment_type=own.employment_type or "",
        posted=own.posted_at,
        code=own.job_code,
    )


def ats_text(job: AtsTexts) -> JobText:
    """Return the texts by which titles compare an ATS job."""
    return JobText(
        job.kombo_job_id,
        title=job.title,
        location=job.place,
        department=job.department,
        employment_type=job.employment_type,
        posted=job.posted_on,
        code=job.job_code or None,
    )


def _log_odds(probability: float) -> float:
    clipped = min(max(probability, 1e-6), 1 - 1e-6)
    return log(clipped / (1 - clipped))
