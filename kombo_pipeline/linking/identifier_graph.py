"""Which own jobs identifiers concern, and what they decide once a person's answers and the links there are have spoken.

Jobs that share no identifier have nothing to do with each other. So after a change it is enough to look at the jobs
that identifiers connect with it, however many the customer has.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.linking.statements import identifiers as statements
from kombo_pipeline.linking.statements import link_decisions, match_candidates
from kombo_pipeline.matching import identifiers
from kombo_pipeline.matching.codes import Habits
from kombo_pipeline.matching.identifiers import MAX_JOBS_PER_KEY, AtsIdentity, Link, OwnIdentity, Review
from kombo_pipeline.vocabulary import IDENTIFIER_METHODS

Row = dict[str, Any]


@dataclass(frozen=True)
class Identified:
    """Own jobs to be matched, in order of their ids, and what is known of each."""

    own: list[Row]
    keys: dict[str, list[str]]
    """What each names ATS jobs by (identifiers.own_keys)."""
    links: dict[str, Link]
    """Of those whose identifiers decide, and nothing speaks against it."""
    reviews: dict[str, Review]
    """Of those whose identifiers name ATS jobs, of which a person must judge."""
    live: dict[str, Row]
    """The links there are (match_candidates.live_links)."""
    rejected: dict[str, set[str]]
    """The ATS jobs of which a person said that they are not the own job."""


def identify(
    conn: Connection,
    *,
    customer_id: str,
    integration_id: str,
    beside: Sequence[str],
    habits: Habits,
    own_job_ids: Sequence[str] | None,
    keys: Iterable[str],
) -> Identified:
    """Decide by identifiers for the own jobs named (None: all) and for those that `keys` or theirs connect.

    `beside` are the customer's other integrations, whose jobs count for uniqueness.
    """
    integrations = (integration_id, *beside)
    ats: list[Row] = []
    if own_job_ids is None:
        own = match_candidates.own_jobs(conn, customer_id, None)
        own_keys = identifiers.own_keys(map(_own_identity, own))
        wanted = set(own_keys)
        for each in integrations:
            ats += match_candidates.ats_jobs(conn, each, None)
    else:
        named = match_candidates.own_jobs(conn, customer_id, own_job_ids)
        found = _Connected(conn, integrations, identifiers.own_keys(map(_own_identity, named)))
        found.follow({*keys, *statements.own_identifiers(conn, integration_id, own_job_ids)})
        wanted = found.own_ids
        own = match_candidates.own_jobs(conn, customer_id, sorted(wanted | found.other_own_ids))
        own_keys = identifiers.own_keys(map(_own_identity, own))
        for each, ids in found.ats_ids.items():
            ats += match_candidates.ats_jobs(conn, each, sorted(ids))
    decisions = identifiers.decide(list(map(_own_identity, own)), list(map(_ats_identity, ats)), habits=habits)
    rejected: dict[str, set[str]] = {}
    for own_job_id, kombo_job_id in link_decisions.rejected_pairs(conn, integration_id):
        rejected.setdefault(own_job_id, set()).add(kombo_job_id)
    judged = _Judged(
        own={row["own_job_id"]: row for row in own},
        live=match_candidates.live_links(conn, integration_id, None if own_job_ids is None else sorted(wanted)),
        rejected=rejected,
        without=link_decisions.without_counterpart(conn, integration_id),
        matched=statements.matched_hashes(conn, integration_id, sorted(wanted)),
    )
    proposals: list[Link | Review] = [*decisions.links, *decisions.reviews]
    proposed = {each.own_id: each for each in proposals if each.integration_id == integration_id}
    decided: dict[str, Link] = {}
    reviews: dict[str, Review] = {}
    for own_id in sorted(wanted):
        match judged(own_id, proposed.get(own_id)):
            case Link() as link:
                decided[own_id] = link
            case Review() as review:
                reviews[own_id] = review
    return Identified(
        own=[row for row in own if row["own_job_id"] in wanted],
        keys=own_keys,
        links=decided,
        reviews=reviews,
        live=judged.live,
        rejected=rejected,
    )


def ats_keys(rows: Iterable[Row]) -> dict[str, list[str]]:
    """What each ATS job of `match_candidates.ats_jobs` may be named by."""
    return identifiers.ats_keys(map(_ats_identity, rows))


@dataclass(frozen=True)
class _Judged:
    """What is left of a decision by identifiers beside a person's answers and the link there is."""

    own: dict[str, Row]
    live: dict[str, Row]
    rejected: dict[str, set[str]]
    without: set[str]
    matched: dict[str, str]
    """The content with which each own job was last matched."""

    def __call__(self, own_id: str, proposed: Link | Review | None) -> Link | Review | None:
        live = self.live.get(own_id)
        linked = live["kombo_job_id"] if live else None
        made_alone = bool(live and live["state"] == "active" and live["confirmed_by"] is None)
        if proposed is None:
            return self._doubted(own_id, live) if live and made_alone else None
        method = proposed.method
        named = (proposed.ats_id,) if isinstance(proposed, Link) else proposed.ats_ids
        if linked in named and isinstance(proposed, Link):
            return proposed
        named = tuple(job for job in named if job not in self.rejected.get(own_id, ()))
        if linked and made_alone and isinstance(proposed, Review):
            named = tuple(sorted({*named, linked}))
        if not named or (live and named == (linked,) and (live["confirmed_by"] or live["state"] == "suspended")):
            return None
        if isinstance(proposed, Review):
            return proposed._replace(ats_ids=named)
        what = f"The {IDENTIFIER_METHODS[method]} names this ATS job"
        if own_id in self.without:
            return Review(own_id, named, method, f"{what}, although a person said that the ATS has none")
        if live is None:
            return proposed
        if made_alone and linked:
            if self._is_told_anew(own_id):
                return proposed
            return Review(own_id, tuple(sorted({*named, linked})), method, f"{what}, but another one is linked")
        if live["confirmed_by"] is None and live["own_seen"] != self.own[own_id]["seen"]:
            return proposed
        if live["confirmed_by"] is None or live["state"] == "suspended":
            return Review(own_id, named, method, f"{what}; the one that was linked is {live['lifecycle']}")
        return Review(own_id, named, method, f"{what}, but {live['confirmed_by']} confirmed another one")

    def _is_told_anew(self, own_id: str) -> bool:
        """Whether the own job itself has changed since it was last matched, and not only the ATS jobs or the rules."""
        return self.matched.get(own_id) not in ("", self.own[own_id]["content_hash"])

    def _doubted(self, own_id: str, live: Row) -> Review | None:
        """A link that an identifier made, when that identifier does not link the two jobs any more.

        Kombo ids are left out: a link that was carried over from another connection has that connection's id.
        """
        method = live["method"]
        if method == "kombo_id" or not (self.own[own_id].get(method) or "").strip():
            return None
        reason = f"The {IDENTIFIER_METHODS[method]} that linked this ATS job does not name it for certain any more"
        return Review(own_id, (live["kombo_job_id"],), method, reason)


class _Connected:
    """Follows identifiers from job to job.

    A key of more than MAX_JOBS_PER_KEY jobs identifies none of them, so it is not followed. The jobs that share it are
    still passed on when others are decided, because only all of them show that it is shared by too many.
    """

    def __init__(self, conn: Connection, integrations: Sequence[str], own_keys: dict[str, list[str]]) -> None:
        self._conn, self._integrations, self._fresh = conn, integrations, own_keys
        self.own_ids, self.other_own_ids = set(own_keys), set[str]()
        self.ats_ids: dict[str, set[str]] = {each: set() for each in integrations}
        self._unread = {each: _unread(conn, each) for each in integrations[1:]}

    def follow(self, keys: Iterable[str]) -> None:
        """Collect the jobs that `keys`, and the keys of the own jobs given, lead to."""
        given = {*keys, *(key for job in self._fresh.values() for key in job)}
        followed: set[str] = set()
        ahead = given
        while ahead:
            own = statements.own_bearers(self._conn, self._integrations[0], ahead)
            own |= {job: keys for job, keys in self._fresh.items() if job in own or ahead.intersection(keys)}
            ats = {each: self._bearers(each, ahead) for each in self._integrations}
            # Copies of a job in several connections count once, so the bearers of each connection are counted apart.
            borne = [
                Counter(key for keys in each.values() for key in keys if key in ahead) for each in (own, *ats.values())
            ]
            telling = {key for key in ahead if key in given or max(count[key] for count in borne) <= MAX_JOBS_PER_KEY}
            followed |= ahead
            reached: set[str] = set()
            for job, its_keys in own.items():
                if telling.intersection(its_keys):
                    self.own_ids.add(job)
                    reached.update(its_keys)
                else:
                    self.other_own_ids.add(job)
            for integration, jobs in ats.items():
                self.ats_ids[integration].update(jobs)
                for its_keys in jobs.values():
                    if telling.intersection(its_keys):
                        reached.update(its_keys)
            ahead = reached - followed

    def _bearers(self, integration_id: str, keys: set[str]) -> dict[str, list[str]]:
        found = statements.ats_bearers(self._conn, integration_id, keys)
        unread = self._unread.get(integration_id, {})
        return {job: its_keys for job, its_keys in found.items() if job not in unread} | {
            job: its_keys for job, its_keys in unread.items() if keys.intersection(its_keys)
        }


def _unread(conn: Connection, integration_id: str) -> dict[str, list[str]]:
    """What the jobs of an integration are named by that its own matching has not read yet; nothing for gone ones."""
    integration = match_candidates.integration(conn, integration_id)
    if integration is None:
        return {}
    is_read = identifiers.VERSION in (integration["matched_with"] or "").split()
    since = integration["matched_fetch_id"] or 0
    ids = match_candidates.jobs_to_look_at(conn, integration_id, since_fetch=since) if is_read else None
    if ids == []:
        return {}
    nothing: dict[str, list[str]] = {job: [] for job in ids or ()}
    return nothing | ats_keys(match_candidates.ats_jobs(conn, integration_id, ids))


def _own_identity(row: Row) -> OwnIdentity:
    return OwnIdentity(row["own_job_id"], *(row[name] for name in _OWN_FIELDS))


_OWN_FIELDS = (
    *("title", "kombo_job_id", "remote_id", "job_code", "post_url"),
    *("location", "department", "employment_type"),
)


def _ats_identity(row: Row) -> AtsIdentity:
    return AtsIdentity(
        row["kombo_job_id"],
        row["title"],
        row["remote_id"],
        row["job_code"],
        tuple(row["urls"]),
        location=row["place"],
        employment_type=row["employment_type"],
        department=row["department"],
        integration_id=row["integration_id"],
        tool=row["tool"],
        posted_on=row["posted_on"],
    )
