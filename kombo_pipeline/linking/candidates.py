"""Matches the own jobs of a customer with the ATS jobs of one integration: identifiers first, then titles.

Everything is computed from the tables. Matched again are only own jobs that are new or changed, and own jobs whose
result may differ because an ATS job is new, changed, reopened or closed. The tables are the same as if everything had
been matched again, because the result for an own job depends only on the jobs that share an identifier with it and on
the ATS jobs in its shortlist.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from scipy import sparse

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.linking import identifier_graph, links, targets
from kombo_pipeline.linking.identifier_graph import Identified
from kombo_pipeline.linking.proposals import Proposals, ats_text
from kombo_pipeline.linking.statements import identifiers as statements
from kombo_pipeline.linking.statements import matchable_jobs, matched_integrations, own_job_matches
from kombo_pipeline.linking.statements.job_links import NewLink
from kombo_pipeline.linking.statements.match_candidates import Writer
from kombo_pipeline.linking.statements.matchable_jobs import AtsJob, MatchableJob
from kombo_pipeline.linking.statements.matched_integrations import MatchedIntegration
from kombo_pipeline.matching import codes, identifiers, retrieval, vectors
from kombo_pipeline.matching.scoring import Matcher, default_matcher

_AT_ONCE: Final = 2000
_SLACK: Final = 3e-4
"""More than the error that rounding can make in a cosine."""
HASHED: Final = (
    *("integration_id", "tool", "kombo_job_id", "is_proposable", "title", "place", "department", "employment_type"),
    *("posted_on", "job_code", "remote_id", "urls"),
)
"""The columns of AtsJob in the order in which they are hashed; another order makes every stored hash differ."""


@dataclass(frozen=True)
class Matched:
    """What a matching did. The counts are of own jobs, unless they say otherwise."""

    scored: int = 0
    """Matched again, by identifiers, titles or both."""
    ats_jobs_changed: int = 0
    """ATS jobs that were new, changed or gone since the matching before this one."""
    pairs: int = 0
    """Pairs compared in full by title."""
    linked: Counter[str] = field(default_factory=Counter)
    """How many links were made now, by the identifier that decided."""
    why: str = ""
    """Why nothing could be matched; empty where matching was possible."""


def match_integration(conn: Connection, integration_id: str, *, matcher: Matcher | None = None) -> Matched:
    """Match what is new or changed, in the caller's transaction; see the module.

    Nothing is matched, and `why` says so, when the integration or its customer is unknown.
    """
    matched_integrations.only_one_matching(conn, integration_id)
    integration = matched_integrations.integration(conn, integration_id)
    if integration is None:
        return Matched(why="the integration is not registered yet")
    if not integration.customer_id:
        return Matched(why="the connection names no customer (end_user.origin_id), so its own jobs are not known")
    statements.only_one_matching_of_customer(conn, integration.customer_id)
    return _Matching(conn, integration, integration.customer_id, matcher or default_matcher()).run()


class _Matching:
    """One matching of one integration."""

    def __init__(self, conn: Connection, integration: MatchedIntegration, customer_id: str, matcher: Matcher) -> None:
        self.conn, self.matcher = conn, matcher
        self.integration_id, self.customer_id = integration.integration_id, customer_id
        self.customer = integration.organization_name or ""
        self.before = integration.matched_with
        self.since_fetch = integration.matched_fetch_id or 0
        self.forgotten_keys: set[str] = set()
        self.touched_ids: list[str] = []

    def run(self) -> Matched:
        read_by = f"{self.matcher.version} {identifiers.VERSION} {self.customer}"
        fetch_id = matched_integrations.newest_fetch(self.conn, self.integration_id)
        new_vectors = self._read_ats(everything=self.before is None or not self.before.endswith(f" {read_by}"))
        self.size = matchable_jobs.proposable_count(self.conn, self.integration_id)
        self.beside = statements.integrations_beside(
            self.conn, customer_id=self.customer_id, integration_id=self.integration_id
        )
        if self.beside:
            statements.match_again_beside(
                self.conn, customer_id=self.customer_id, integration_id=self.integration_id, keys=self.forgotten_keys
            )
        self.habits = codes.habits(
            statements.own_codes(self.conn, self.customer_id),
            statements.ats_codes(self.conn, [self.integration_id, *self.beside]),
        )
        size = "abridged" if self.size >= retrieval.LARGE else "whole"
        matched_with = f"{size} {_digest([sorted(self.habits.believed), self.beside])} {read_by}"
        for keys in own_job_matches.delete_withdrawn(self.conn, self.integration_id):
            self.forgotten_keys.update(keys)
        changed: list[str] | None = None
        if matched_with == self.before:
            changed = self._concerned(new_vectors)
        scored, pairs, linked = self._match(changed)
        links.follow_jobs(self.conn, self.integration_id)
        targets.tell(self.conn, self.integration_id)
        matched_integrations.mark_matched(self.conn, self.integration_id, fetch_id=fetch_id, matched_with=matched_with)
        return Matched(scored=scored, ats_jobs_changed=len(self.touched_ids), pairs=pairs, linked=linked)

    def _read_ats(self, *, everything: bool) -> Any:
        """Bring core.matchable_jobs up to date; return the vectors of the jobs that are new in it."""
        ids = (
            None
            if everything
            else matchable_jobs.jobs_to_read(self.conn, self.integration_id, since_fetch=self.since_fetch)
        )
        if ids == []:
            return vectors.read([], self.matcher, self.customer).search
        stored = {job.kombo_job_id: job for job in matchable_jobs.stored_jobs(self.conn, self.integration_id, ids)}
        found = matchable_jobs.ats_jobs(self.conn, self.integration_id, ids)
        hashes = {job.kombo_job_id: _hash(job) for job in found}
        changed = [
            job
            for job in found
            if everything
            or job.kombo_job_id not in stored
            or stored[job.kombo_job_id].job_hash != hashes[job.kombo_job_id]
        ]
        gone = [job_id for job_id in stored if job_id not in hashes]
        self.touched_ids = gone + [job.kombo_job_id for job in changed]
        keys = identifier_graph.ats_keys(changed)
        for job_id in self.touched_ids:
            self.forgotten_keys.update(keys.get(job_id, ()), stored[job_id].identifiers if job_id in stored else ())
        new: list[Any] = []
        written: list[MatchableJob] = []
        for start in range(0, len(changed), _AT_ONCE):
            part = changed[start : start + _AT_ONCE]
            search = vectors.read([ats_text(job) for job in part], self.matcher, self.customer).search
            packed = vectors.pack(search)
            new.append(search[[number for number, job in enumerate(part) if job.is_proposable]])
            written += [
                _matchable(job, keys[job.kombo_job_id], vector, hashes[job.kombo_job_id])
                for job, vector in zip(part, packed, strict=True)
            ]
        matchable_jobs.write(self.conn, self.integration_id, written, gone=gone)
        return sparse.vstack(new, "csr") if new else vectors.read([], self.matcher, self.customer).search

    def _concerned(self, new_vectors: Any) -> list[str]:
        """Return the own jobs whose result may differ from what is stored; identifiers may connect further ones."""
        changed = own_job_matches.changed_own_jobs(
            self.conn,
            customer_id=self.customer_id,
            integration_id=self.integration_id,
            version=self.matcher.version,
        )
        if not self.touched_ids:
            return changed
        known = own_job_matches.own_vectors(
            self.conn, self.integration_id, [vectors.signed_crc(job) for job in self.touched_ids]
        )
        if not known:
            return changed
        concerned = np.array([own.is_concerned for own in known])
        if new_vectors.shape[0]:
            # A query vector is part of the whole vector, so the cheaper comparison with the whole one misses none.
            whole = vectors.unpack([own.vector for own in known])
            least = np.maximum(np.array([own.shortlist_floor for own in known]) - _SLACK, 1e-9)
            near = np.flatnonzero(_most_alike(whole, new_vectors) >= least)
            queries = retrieval.query_vectors(whole[near], size=self.size)
            concerned[near[_most_alike(queries, new_vectors) >= least[near]]] = True
        return sorted({*changed, *(known[number].own_job_id for number in np.flatnonzero(concerned))})

    def _match(self, own_ids: list[str] | None) -> tuple[int, int, Counter[str]]:
        """Match the own jobs named (None: all) and those connected with them.

        Return how many own jobs were matched, how many pairs were compared, and the links made by identifier.
        """
        identified = identifier_graph.identify(
            self.conn,
            customer_id=self.customer_id,
            integration_id=self.integration_id,
            beside=self.beside,
            habits=self.habits,
            own_job_ids=own_ids,
            keys=self.forgotten_keys,
        )
        linked = self._link(identified)
        if not identified.own:
            return 0, 0, linked
        proposals = Proposals(self.conn, self.matcher, integration_id=self.integration_id, customer=self.customer)
        writer = Writer(self.conn, customer_id=self.customer_id, integration_id=self.integration_id)
        for start in range(0, len(identified.own), _AT_ONCE):
            part = identified.own[start : start + _AT_ONCE]
            writer.stage(*proposals.matched(part, identified, of=len(identified.own)))
        writer.merge()
        return len(identified.own), proposals.pairs, linked

    def _link(self, identified: Identified) -> Counter[str]:
        """Make the links that identifiers decide; return how many, by identifier."""
        new: list[NewLink] = []
        for own in identified.own:
            link = identified.links.get(own.own_job_id)
            live = identified.live.get(own.own_job_id)
            if link is None or (live and live.kombo_job_id == link.ats_id):
                continue
            if live:
                links.retire(self.conn, live.link_id, "identifiers_changed")
            new.append(
                NewLink(
                    customer_id=self.customer_id,
                    own_job_id=own.own_job_id,
                    kombo_job_id=link.ats_id,
                    method=link.method,
                    confirmed_by=None,
                    matcher_version=self.matcher.version,
                )
            )
        links.make(self.conn, self.integration_id, new)
        return Counter(link.method for link in new)


def _most_alike(own: Any, ats: Any) -> Any:
    """Return for each row of `own` the highest cosine with a row of `ats`."""
    return (own @ ats.T).max(axis=1).toarray().ravel()


def _matchable(job: AtsJob, keys: list[str], vector: bytes, job_hash: bytes) -> MatchableJob:
    searched = (job.title, job.job_code, job.place, job.department, job.remote_id, job.kombo_job_id)
    return MatchableJob(
        kombo_job_id=job.kombo_job_id,
        title=job.title,
        place=job.place,
        department=job.department,
        employment_type=job.employment_type,
        posted_on=job.posted_on,
        job_code=job.job_code,
        identifiers=keys,
        vector=vector if job.is_proposable else None,
        search_text=" ".join(filter(None, (text[:300] for text in searched))).lower(),
        job_hash=job_hash,
    )


def _hash(job: AtsJob) -> bytes:
    content = [getattr(job, name) for name in HASHED]
    return hashlib.blake2b(repr(content).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _digest(values: object) -> str:
    return hashlib.blake2b(repr(values).encode(), digest_size=4).hexdigest()
