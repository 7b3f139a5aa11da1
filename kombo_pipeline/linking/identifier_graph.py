"""Finds the jobs that identifiers connect, and reconciles what identifiers decide with answers and existing links.

Jobs that share no identifier do not influence each other. So after a change it is enough to look at the jobs that
identifiers connect with the changed ones, however many the customer has.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.linking.statements import identifiers as statements
from kombo_pipeline.linking.statements import (
    job_links,
    link_decisions,
    matchable_jobs,
    matched_integrations,
    own_job_matches,
)
from kombo_pipeline.linking.statements.matchable_jobs import AtsJob
from kombo_pipeline.linking.statements.own_job_matches import OwnJob
from kombo_pipeline.matching import identifiers
from kombo_pipeline.matching.codes import Habits
from kombo_pipeline.matching.identifiers import MAX_JOBS_PER_KEY, AtsIdentity, Link, OwnIdentity, Review
from kombo_pipeline.vocabulary import IDENTIFIER_METHODS


@dataclass(frozen=True)
class Identified:
    """Own jobs to be matched, in the order of their ids, and what is known of each by its id."""

    own: list[OwnJob]
    keys: dict[str, list[str]]
    """By what each names ATS jobs (identifiers.own_keys)."""
    links: dict[str, Link]
    """The ATS jobs that identifiers decide for, where nothing speaks against it."""
    reviews: dict[str, Review]
    """The ATS jobs that identifiers name, where a person must decide."""
    live: dict[str, job_links.Link]
    """The links that are not retired."""
    rejected: dict[str, set[str]]
    """The ATS jobs that a person has rejected."""


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
    """Decide by identifiers for the own jobs named (None: all), and for those that `keys` or their keys lead to.

    `beside` are the customer's other integrations: an identifier must be unique among their jobs too.
    """
    integrations = (integration_id, *beside)
    ats: list[AtsJob] = []
    if own_job_ids is None:
        own = own_job_matches.own_jobs(conn, customer_id, None)
        own_keys = identifiers.own_keys(map(_own_identity, own))
        wanted = set(own_keys)
        for each in integrations:
            ats += matchable_jobs.ats_jobs(conn, each, None)
    else:
        named = own_job_matches.own_jobs(conn, customer_id, own_job_ids)
        found = _Connected(conn, integrations, identifiers.own_keys(map(_own_identity, named)))
        found.follow({*keys, *statements.own_identifiers(conn, integration_id, own_job_ids)})
        wanted = found.own_ids
        own = own_job_matches.own_jobs(conn, customer_id, sorted(wanted | found.other_own_ids))
        own_keys = identifiers.own_keys(map(_own_identity, own))
        for each, ids in found.ats_ids.items():
            ats += matchable_jobs.ats_jobs(conn, each, sorted(ids))
    decisions = identifiers.decide(list(map(_own_identity, own)), list(map(_ats_identity, ats)), habits=habits)
    rejected: dict[str, set[str]] = {}
    for own_job_id, kombo_job_id in link_decisions.rejected_pairs(conn, integration_id):
        rejected.setdefault(own_job_id, set()).add(kombo_job_id)
    judged = _Judged(
        own={job.own_job_id: job for job in own},
        live=job_links.live_links(conn, integration_id, None if own_job_ids is None else sorted(wanted)),
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
        own=[job for job in own if job.own_job_id in wanted],
        keys=own_keys,
        links=decided,
        reviews=reviews,
        live=judged.live,
        rejected=rejected,
    )


def ats_keys(jobs: Iterable[AtsJob]) -> dict[str, list[str]]:
    """Return by what own jobs may name each ATS job."""
    return identifiers.ats_keys(map(_ats_identity, jobs))


@dataclass(frozen=True)
class _Judged:
    """Reconciles a decision by identifiers with a person's answers and the link that is there."""

    own: dict[str, OwnJob]
    live: dict[str, job_links.Link]
    rejected: dict[str, set[str]]
    without: set[str]
    """Own jobs that have no counterpart in the ATS, as a person has said."""
    matched: dict[str, str]
    """The content hash with which each own job was last matched."""

    def __call__(self, own_id: str, proposed: Link | Review | None) -> Link | Review | None:
        live = self.live.get(own_id)
        linked = live.kombo_job_id if live else None
        made_alone = bool(live and live.state == "active" and live.confirmed_by is None)
        if proposed is None:
            return self._doubted(own_id, live) if live and made_alone else None
        method = proposed.method
        named = (proposed.ats_id,) if isinstance(proposed, Link) else proposed.ats_ids
        if linked in named and isinstance(proposed, Link):
            return proposed
        named = tuple(job for job in named if job not in self.rejected.get(own_id, ()))
        if linked and made_alone and isinstance(proposed, Review):
            named = tuple(sorted({*named, linked}))
        if not named or (live and named == (linked,) and (live.confirmed_by or live.state == "suspended")):
            return None
        if isinstance(proposed, Review):
            return proposed._replace(ats_ids=named)
        what = f"The {IDENTIFIER_METHODS[method]} names this ATS job"
        if own_id in self.without:
            return Review(own_id, named, method, f"{what}, although a person said that the ATS has none")
        if live is None:
            return proposed
        if made_alone and linked:
            if self._has_changed(own_id):
                return proposed
            return Review(own_id, tuple(sorted({*named, linked})), method, f"{what}, but another one is linked")
        if live.confirmed_by is None and live.own_seen != self.own[own_id].seen:
            return proposed
        if live.confirmed_by is None or live.state == "suspended":
            return Review(own_id, named, method, f"{what}; the one that was linked is {live.lifecycle}")
        return Review(own_id, named, method, f"{what}, but {live.confirmed_by} confirmed another one")

    def _has_changed(self, own_id: str) -> bool:
        """Whether the own job itself has changed since it was last matched, and not only the ATS jobs or the rules."""
        return self.matched.get(own_id) not in ("", self.own[own_id].content_hash)

    def _doubted(self, own_id: str, live: job_links.Link) -> Review | None:
        """Ask a person about a link that an identifier made, when that identifier no longer links the two jobs.

        Nobody is asked where the own job has lost the identifier, nor about Kombo ids: a link that was carried over
        from another connection has the Kombo id of that connection.
        """
        method, own = live.method, self.own[own_id]
        match method:
            case "remote_id":
                identifier = own.remote_id
            case "job_code":
                identifier = own.job_code
            case "post_url":
                identifier = own.post_url
            case _:
                return None
        if not (identifier or "").strip():
            return None
        reason = f"The {IDENTIFIER_METHODS[method]} that linked this ATS job does not name it for certain any more"
        return Review(own_id, (live.kombo_job_id,), method, reason)


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
        """Collect the jobs to which `keys`, and the keys of the own jobs given, lead."""
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
    """Return the keys of the ATS jobs that the integration's own matching has not read yet; gone jobs have none."""
    integration = matched_integrations.integration(conn, integration_id)
    if integration is None:
        return {}
    is_read = identifiers.VERSION in (integration.matched_with or "").split()
    since = integration.matched_fetch_id or 0
    ids = matchable_jobs.jobs_to_read(conn, integration_id, since_fetch=since) if is_read else None
    if ids == []:
        return {}
    nothing: dict[str, list[str]] = {job: [] for job in ids or ()}
    return nothing | ats_keys(matchable_jobs.ats_jobs(conn, integration_id, ids))


def _own_identity(own: OwnJob) -> OwnIdentity:
    return OwnIdentity(
        own.own_job_id,
        title=own.title,
        kombo_job_id=own.kombo_job_id,
        remote_id=own.remote_id,
        job_code=own.job_code,
        post_url=own.post_url,
        location=own.location,
        department=own.department,
        employment_type=own.employment_type,
    )


def _ats_identity(job: AtsJob) -> AtsIdentity:
    return AtsIdentity(
        job.kombo_job_id,
        title=job.title,
        remote_id=job.remote_id,
        job_code=job.job_code,
        urls=tuple(job.urls),
        location=job.place,
        department=job.department,
        employment_type=job.employment_type,
        integration_id=job.integration_id,
        tool=job.tool,
        posted_on=job.posted_on,
    )
