"""Matches the own jobs of a customer with the ATS jobs of one integration: identifiers first, then titles.

Everything follows from the tables. Only own jobs that are new or changed, or that a new, changed, reopened or
closed ATS job concerns, are matched again, and the tables are those of matching everything again: the result for
an own job depends on the jobs that share an identifier with it, and on the ATS jobs in its shortlist.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from scipy import sparse

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.linking import identifier_graph, links, targets
from kombo_pipeline.linking.identifier_graph import Identified
from kombo_pipeline.linking.links import NewLink
from kombo_pipeline.linking.proposals import Proposals, ats_text
from kombo_pipeline.linking.statements import identifiers as statements
from kombo_pipeline.linking.statements import match_candidates
from kombo_pipeline.matching import codes, identifiers, retrieval, vectors
from kombo_pipeline.matching.scoring import Matcher, default_matcher

_AT_ONCE: Final = 2000
_SLACK: Final = 3e-4
"""More than what rounding can make of a cosine."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Matched:
    """What a matching did. Counts of own jobs, unless they say otherwise."""

    scored: int = 0
    """Matched again, by identifiers, titles or both."""
    ats_jobs_changed: int = 0
    """ATS jobs that were new, changed or gone since the matching before."""
    pairs: int = 0
    """Pairs compared in full by title."""
    linked: Counter[str] = field(default_factory=Counter)
    """Links made now, by the identifier that decided."""
    why: str = ""
    """Why nothing was matched, where nothing could be."""


def match_integration(conn: Connection, integration_id: str, *, matcher: Matcher | None = None) -> Matched:
    """Match what is new or changed, in the caller's transaction; see the module.

    Nothing is matched, and `why` says so, for an integration that is unknown or whose customer is.
    """
    match_candidates.only_one_matching(conn, integration_id)
    integration = match_candidates.integration(conn, integration_id)
    if integration is None:
        return Matched(why="the integration is not registered yet")
    if not integration["customer_id"]:
        return Matched(why="the connection names no customer (end_user.origin_id), so its own jobs are not known")
    statements.only_one_matching_of_customer(conn, integration["customer_id"])
    return _Matching(conn, integration, matcher or default_matcher()).run()


class _Matching:
    """One matching of one integration."""

    def __init__(self, conn: Connection, integration: Row, matcher: Matcher) -> None:
        self.conn, self.matcher = conn, matcher
        self.integration_id, self.customer_id = integration["integration_id"], integration["customer_id"]
        self.customer = integration["organization_name"] or ""
        self.before = integration["matched_with"]
        self.since_fetch = integration["matched_fetch_id"] or 0
        self.forgotten_keys: set[str] = set()
        self.touched_ids: list[str] = []

    def run(self) -> Matched:
        read_by = f"{self.matcher.version} {identifiers.VERSION} {self.customer}"
        fetch_id = match_candidates.newest_fetch(self.conn, self.integration_id)
        new_vectors = self._read_ats(everything=self.before is None or not self.before.endswith(f" {read_by}"))
        self.size = match_candidates.proposable_count(self.conn, self.integration_id)
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
        for keys in match_candidates.delete_withdrawn(self.conn, self.integration_id):
            self.forgotten_keys.update(keys)
        changed: list[str] | None = None
        if matched_with == self.before:
            changed = self._concerned(new_vectors)
        scored, pairs, linked = self._match(changed)
        links.follow_jobs(self.conn, self.integration_id)
        targets.tell(self.conn, self.integration_id)
        match_candidates.mark_matched(self.conn, self.integration_id, fetch_id=fetch_id, matched_with=matched_with)
        return Matched(scored=scored, ats_jobs_changed=len(self.touched_ids), pairs=pairs, linked=linked)

    def _read_ats(self, *, everything: bool) -> Any:
        """Bring core.matchable_jobs up to date; return the vectors of what is new in it."""
        ids = (
            None
            if everything
            else match_candidates.jobs_to_look_at(self.conn, self.integration_id, since_fetch=self.since_fetch)
        )
        if ids == []:
            return vectors.read([], self.matcher, self.customer).search
        stored = {
            row["kombo_job_id"]: row for row in match_candidates.matchable_jobs(self.conn, self.integration_id, ids)
        }
        rows = match_candidates.ats_jobs(self.conn, self.integration_id, ids)
        hashes = {row["kombo_job_id"]: _hash(row) for row in rows}
        changed = [
            row
            for row in rows
            if everything
            or row["kombo_job_id"] not in stored
            or stored[row["kombo_job_id"]]["job_hash"] != hashes[row["kombo_job_id"]]
        ]
        gone = [job for job in stored if job not in hashes]
        self.touched_ids = gone + [row["kombo_job_id"] for row in changed]
        keys = identifier_graph.ats_keys(changed)
        for job in self.touched_ids:
            self.forgotten_keys.update(keys.get(job, ()), stored[job]["identifiers"] if job in stored else ())
        new: list[Any] = []
        written: list[Sequence[Any]] = []
        for start in range(0, len(changed), _AT_ONCE):
            part = changed[start : start + _AT_ONCE]
            search = vectors.read([ats_text(row) for row in part], self.matcher, self.customer).search
            packed = vectors.pack(search)
            new.append(search[[number for number, row in enumerate(part) if row["is_proposable"]]])
            written += [
                _matchable(row, keys[row["kombo_job_id"]], vector, hashes[row["kombo_job_id"]])
                for row, vector in zip(part, packed, strict=True)
            ]
        match_candidates.write_matchable_jobs(self.conn, self.integration_id, written, gone=gone)
        return sparse.vstack(new, "csr") if new else vectors.read([], self.matcher, self.customer).search

    def _concerned(self, new_vectors: Any) -> list[str]:
        """The own jobs whose result may differ from what is stored, besides those that identifiers connect."""
        changed = match_candidates.changed_own_jobs(
            self.conn,
            customer_id=self.customer_id,
            integration_id=self.integration_id,
            version=self.matcher.version,
        )
        if not self.touched_ids:
            return changed
        known = match_candidates.own_vectors(
            self.conn, self.integration_id, [vectors.signed_crc(job) for job in self.touched_ids]
        )
        if not known:
            return changed
        ids, packed, floors, had = zip(*known, strict=True)
        concerned = np.array(had)
        if new_vectors.shape[0]:
            # What is looked for is part of the whole vector, so the cheaper comparison misses none.
            whole, least = vectors.unpack(packed), np.maximum(np.array(floors) - _SLACK, 1e-9)
            near = np.flatnonzero(_most_alike(whole, new_vectors) >= least)
            queries = retrieval.query_vectors(whole[near], size=self.size)
            concerned[near[_most_alike(queries, new_vectors) >= least[near]]] = True
        return sorted({*changed, *(ids[row] for row in np.flatnonzero(concerned))})

    def _match(self, own_ids: list[str] | None) -> tuple[int, int, Counter[str]]:
        """Match the own jobs named (None: all), and those connected with them; return counts and links made."""
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
        writer = match_candidates.Writer(self.conn, customer_id=self.customer_id, integration_id=self.integration_id)
        for start in range(0, len(identified.own), _AT_ONCE):
            part = identified.own[start : start + _AT_ONCE]
            writer.stage(*proposals.rows(part, identified, of=len(identified.own)))
        writer.merge()
        return len(identified.own), proposals.pairs, linked

    def _link(self, identified: Identified) -> Counter[str]:
        """Make the links that identifiers decide. What speaks against one of them goes to review instead."""
        new: list[NewLink] = []
        for own in identified.own:
            link = identified.links.get(own["own_job_id"])
            live = identified.live.get(own["own_job_id"])
            if link is None or (live and live["kombo_job_id"] == link.ats_id):
                continue
            if live:
                links.retire(self.conn, live["link_id"], "identifiers_changed")
            new.append(
                NewLink(
                    customer_id=self.customer_id,
                    own_job_id=own["own_job_id"],
                    kombo_job_id=link.ats_id,
                    method=link.method,
                    confirmed_by=None,
                    matcher_version=self.matcher.version,
                )
            )
        links.make(self.conn, self.integration_id, new)
        return Counter(link.method for link in new)


def _most_alike(own: Any, ats: Any) -> Any:
    """For each row of `own` the highest cosine with a row of `ats`."""
    return (own @ ats.T).max(axis=1).toarray().ravel()


def _matchable(row: Row, keys: list[str], vector: bytes, job_hash: bytes) -> Sequence[Any]:
    searched = (row["title"], row["job_code"], row["place"], row["department"], row["remote_id"], row["kombo_job_id"])
    return [
        *(row[name] for name in match_candidates.MATCHABLE_COLUMNS[:7]),
        keys,
        vector if row["is_proposable"] else None,
        " ".join(filter(None, (text[:300] for text in searched))).lower(),
        job_hash,
    ]


def _hash(row: Row) -> bytes:
    return hashlib.blake2b(repr(list(row.values())).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _digest(values: object) -> str:
    return hashlib.blake2b(repr(values).encode(), digest_size=4).hexdigest()
