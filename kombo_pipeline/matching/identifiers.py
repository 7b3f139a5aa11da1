"""Identifiers (Kombo id, id in the ATS, job code, address): which links they make without a person. Pure.

An identifier makes a link when all of this holds: its canonical form keeps everything that could tell jobs apart
(`addresses`, `codes`); it behaves like an identifier among the customer's jobs; it is unique on both sides, over all
integrations of the customer, open and closed jobs alike; and there is no objection to the pair (`objections`).
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Final, NamedTuple

from kombo_pipeline.matching import addresses, codes
from kombo_pipeline.matching.addresses import canonical_url, guessed_urls
from kombo_pipeline.matching.codes import Habits, Kind, canonical_code, kind_of, unlabelled_code
from kombo_pipeline.matching.job_pages import is_page_of_one_job, untracked_url
from kombo_pipeline.matching.objections import Side, in_words, objections
from kombo_pipeline.matching.version import IDENTIFIERS
from kombo_pipeline.vocabulary import IDENTIFIER_METHODS, IdentifierMethod

VERSION: Final = IDENTIFIERS

MAX_JOBS_PER_KEY: Final = 20
"""A key that more jobs than this share, on either side, names none of them: it is a placeholder or a careers page."""


@dataclass(frozen=True, slots=True)
class OwnIdentity:
    """The identifiers of an own job, and the fields that `objections` reads. `own_id` is unique."""

    own_id: str
    title: str | None = None
    kombo_job_id: str | None = None
    remote_id: str | None = None
    job_code: str | None = None
    post_url: str | None = None
    location: str | None = None
    department: str | None = None
    employment_type: str | None = None


@dataclass(frozen=True, slots=True)
class AtsIdentity:
    """The identifiers of an ATS job of the same customer, and what `objections` reads.

    `kombo_job_id` is unique within its integration.
    """

    kombo_job_id: str
    title: str | None = None
    remote_id: str | None = None
    job_code: str | None = None
    urls: tuple[str, ...] = ()
    """post_url, the url of each job posting, and remote_url: recruiters paste it although it leads into the ATS."""
    location: str | None = None
    department: str | None = None
    employment_type: str | None = None
    integration_id: str = ""
    tool: str | None = None
    posted_on: date | None = None


class Link(NamedTuple):
    """A link that an identifier makes without a person."""

    own_id: str
    ats_id: str
    method: IdentifierMethod
    integration_id: str = ""


class Review(NamedTuple):
    """An identifier that a person must judge: the ATS jobs of one integration that it names, and why."""

    own_id: str
    ats_ids: tuple[str, ...]
    method: IdentifierMethod
    reason: str
    integration_id: str = ""


class IdentifierResult(NamedTuple):
    """Links and reviews, sorted by own job. For an own job in neither, no identifier names an ATS job."""

    links: tuple[Link, ...]
    reviews: tuple[Review, ...]


# -------------------------------------------------------------------------------------------------- forms


class _Forms(NamedTuple):
    """The forms of one identifier, from exact to loose. Two identifiers match when their exact or their sure forms are
    equal, or when a loose form of one equals a sure form of the other. Two loose forms never match."""

    exact: tuple[str, ...] = ()
    sure: tuple[str, ...] = ()
    loose: tuple[str, ...] = ()


@lru_cache(maxsize=65536)
def _forms(method: IdentifierMethod, text: str) -> _Forms:
    plain = text.strip()
    if method == "post_url":
        return _Forms((), _non_empty(canonical_url(plain)), _non_empty(*guessed_urls(plain), untracked_url(plain)))
    if len(plain) > codes.MAX_ID_LENGTH:
        return _Forms()
    if method == "job_code":
        sure = _non_empty(canonical_code(plain))
        return _Forms(_non_empty(plain) if sure else (), sure, _non_empty(unlabelled_code(plain)))
    return _Forms(_non_empty(plain))


def _non_empty(*forms: str | None) -> tuple[str, ...]:
    return tuple(form for form in forms if form)


@lru_cache(maxsize=65536)
def _names_a_job(method: IdentifierMethod, text: str) -> bool:
    """Return whether the text can identify one job at all: a placeholder cannot, nor the address of a list of jobs."""
    if method == "post_url":
        address = addresses.read(text)
        return address is not None and is_page_of_one_job(address)
    # Ids in an ATS may be plain counters, so any number identifies a job.
    is_counted = method == "remote_id" and text.strip().isdecimal() and text.strip("0 ") != ""
    return method == "kombo_id" or is_counted or kind_of(text) is not Kind.PLACEHOLDER


def own_keys(jobs: Iterable[OwnIdentity]) -> dict[str, list[str]]:
    """Return the keys of each own job: its identifiers in every form in which they are compared.

    Jobs without a common key do not affect each other, so `decide` may be called for only those that keys connect.
    """
    return {job.own_id: _keys(lambda method, job=job: [_own_text(job, method)]) for job in jobs}  # type: ignore[misc]


def ats_keys(jobs: Iterable[AtsIdentity]) -> dict[str, list[str]]:
    """Return the keys of each ATS job of one integration, as `own_keys` does for own jobs."""
    return {job.kombo_job_id: _keys(lambda method, job=job: _ats_texts(job, method)) for job in jobs}  # type: ignore[misc]


def _keys(texts: Callable[[IdentifierMethod], Iterable[str]]) -> list[str]:
    found = {
        f"{method}:{form}"
        for method in IDENTIFIER_METHODS
        for text in texts(method)
        if text
        for forms in _forms(method, text)
        for form in forms
    }
    return sorted(key if len(key) <= _LONGEST_KEY else _digest(key) for key in found)


_LONGEST_KEY: Final = 300
"""A longer key may not fit into an index entry of Postgres. It is replaced by its beginning and a digest."""


def _digest(key: str) -> str:
    return f"{key[:100]}…{hashlib.blake2b(key.encode('utf-8', 'surrogatepass'), digest_size=16).hexdigest()}"


def _own_text(job: OwnIdentity, method: IdentifierMethod) -> str:
    return (job.kombo_job_id if method == "kombo_id" else getattr(job, method)) or ""


def _ats_texts(job: AtsIdentity, method: IdentifierMethod) -> Sequence[str]:
    if method == "post_url":
        return job.urls
    return [(job.kombo_job_id if method == "kombo_id" else getattr(job, method)) or ""]


# ----------------------------------------------------------------------------------------------- decision

_Node = int
"""An ATS job, as its index in the sorted list of all."""
_STEPS: Final = range(3)
"""Exact, sure, loose: a looser form counts only where the form before it names no ATS job."""


class _Claim(NamedTuple):
    """The ATS jobs that one identifier of an own job names."""

    nodes: tuple[_Node, ...]
    step: int
    claimants: int  # how many own jobs name the first of them by this identifier
    text: str
    is_spelled_otherwise: bool
    doubt: str | None  # why the identifier may not identify one job, in words

    def __str__(self) -> str:
        return f"{self.text[:200]}{', read loosely,' if self.is_spelled_otherwise else ''}"


def decide(own: Sequence[OwnIdentity], ats: Sequence[AtsIdentity], *, habits: Habits | None = None) -> IdentifierResult:
    """Decide which own jobs of a customer are which ATS jobs, by identifiers alone.

    The methods are tried from the most certain to the least. The first identifier that is unique on both sides makes
    the link, unless another identifier names only other ATS jobs, the ATS job is taken by another own job with a more
    certain identifier, or there is an objection (Kombo ids are exempt from objections). A Kombo id counts in its own
    integration only. Where two jobs share a code, the address may still make the link. A job that two connections to
    one account of an ATS show counts as one job, and is linked in both.

    Pass all own jobs of the customer that are not withdrawn and the ATS jobs of all its integrations, because
    collisions must be found among all of them. Leave withdrawn own jobs out: a job is often imported again under
    another id. `habits` are those of the customer's codes; None counts them in the jobs given. The order of the input
    does not matter.
    """
    known = habits or codes.habits(
        _code_counts(own), [each for jobs in _by_integration(ats) for each in _code_counts(jobs)]
    )
    return _Decision(own, ats, known).run()


def _by_integration(ats: Iterable[AtsIdentity]) -> list[list[AtsIdentity]]:
    found: defaultdict[str, list[AtsIdentity]] = defaultdict(list)
    for job in ats:
        found[job.integration_id].append(job)
    return list(found.values())


def _code_counts(jobs: Iterable[OwnIdentity | AtsIdentity]) -> list[tuple[str, int]]:
    return list(Counter(job.job_code.strip() for job in jobs if job.job_code and job.job_code.strip()).items())


class _Decision:
    def __init__(self, own: Sequence[OwnIdentity], ats: Sequence[AtsIdentity], habits: Habits) -> None:
        self._own, self._habits = sorted(own, key=lambda job: job.own_id), habits
        self._ats = sorted(ats, key=lambda job: (job.integration_id, job.kombo_job_id))
        self._copies = _copies(self._ats)
        self._claims: dict[str, dict[IdentifierMethod, _Claim]] = {job.own_id: {} for job in own}
        for method in IDENTIFIER_METHODS:
            self._claim(method)

    def run(self) -> IdentifierResult:
        links: dict[tuple[str, str], Link] = {}  # by own job and integration
        taken: dict[_Node, Link] = {}  # by the first copy of the ATS job
        refused: dict[tuple[str, str], Review] = {}
        for method in IDENTIFIER_METHODS:
            for step in _STEPS:
                made: list[tuple[_Node, Link]] = []
                for job in self._own:
                    claim = self._claims[job.own_id].get(method)
                    if claim is None or claim.step != step:
                        continue
                    for nodes in self._asked(method, claim):
                        here = {self._ats[node].integration_id for node in nodes}
                        if all((job.own_id, integration) in links for integration in here):
                            continue
                        objection = self._objection(job, method, nodes, taken)
                        if objection:
                            reason, others = objection
                            for review in self._reviews(job, method, reason, {*nodes, *others}):
                                refused.setdefault((job.own_id, review.integration_id), review)
                        else:
                            made += [(node, self._link(job, node, method)) for node in nodes]
                for node, link in made:
                    links.setdefault((link.own_id, link.integration_id), link)
                    taken.setdefault(self._copies[node], link)
        reviews = [review for key, review in refused.items() if key not in links]
        return IdentifierResult(tuple(sorted(links.values())), tuple(sorted(reviews)))

    def _asked(self, method: IdentifierMethod, claim: _Claim) -> list[tuple[_Node, ...]]:
        """Return the groups of ATS jobs to decide about: all at once, for a Kombo id each integration by itself."""
        return [(node,) for node in claim.nodes] if method == "kombo_id" else [claim.nodes]

    def _link(self, job: OwnIdentity, node: _Node, method: IdentifierMethod) -> Link:
        return Link(job.own_id, self._ats[node].kombo_job_id, method, self._ats[node].integration_id)

    def _reviews(self, job: OwnIdentity, method: IdentifierMethod, reason: str, nodes: Iterable[_Node]) -> list[Review]:
        by_integration: defaultdict[str, list[str]] = defaultdict(list)
        for node in nodes:
            by_integration[self._ats[node].integration_id].append(self._ats[node].kombo_job_id)
        return [
            Review(job.own_id, tuple(sorted(ids)), method, reason, integration)
            for integration, ids in by_integration.items()
        ]

    def _claim(self, method: IdentifierMethod) -> None:
        """Find the ATS jobs that the identifier of each own job names, by the first form that names any."""
        indexes: list[defaultdict[str, set[_Node]]] = [defaultdict(set) for _ in _STEPS]
        ats_texts: dict[_Node, list[str]] = {}
        for node, ats in enumerate(self._ats):
            ats_texts[node] = [text for text in _ats_texts(ats, method) if text and _names_a_job(method, text)]
            for text in ats_texts[node]:
                for index, each in zip(indexes, _forms(method, text), strict=True):
                    for form in each:
                        index[form].add(node)
        exact, sure, loose = indexes
        texts = {job.own_id: _own_text(job, method) for job in self._own}
        forms = {own_id: _forms(method, text) for own_id, text in texts.items() if text and _names_a_job(method, text)}
        own_counts = [Counter(form for its_forms in forms.values() for form in its_forms[step]) for step in _STEPS]
        named: dict[str, list[frozenset[_Node]]] = {}
        for own_id, its_forms in forms.items():
            found = (
                _nodes_of(exact, its_forms.exact),
                _nodes_of(sure, its_forms.sure),
                _nodes_of(sure, its_forms.loose) | _nodes_of(loose, its_forms.sure),
            )
            is_shared = any(own_counts[step][form] > MAX_JOBS_PER_KEY for step in _STEPS for form in its_forms[step])
            named[own_id] = [
                frozenset(nodes) if len(self._jobs(nodes)) <= MAX_JOBS_PER_KEY and not is_shared else frozenset()
                for nodes in found
            ]
        claimants = [Counter[_Node]() for _ in _STEPS]
        for steps in named.values():
            reached: set[_Node] = set()
            for step in _STEPS:
                reached |= self._jobs(steps[step])
                claimants[step].update(reached)
        for own_id, steps in named.items():
            first = next((step for step in _STEPS if steps[step]), None)
            if first is not None:
                nodes = tuple(sorted(steps[first]))
                text = texts[own_id].strip()
                doubt = self._doubt(method, text, [each for node in nodes for each in ats_texts[node]])
                otherwise = first == 2 or (first == 1 and method == "job_code")
                claim = _Claim(nodes, first, claimants[first][self._copies[nodes[0]]], text, otherwise, doubt)
                self._claims[own_id][method] = claim

    def _doubt(self, method: IdentifierMethod, text: str, theirs: Iterable[str]) -> str | None:
        """Return why an identifier may not identify one job. Only codes are doubted, those of both sides."""
        if method != "job_code":
            return None
        doubts = (codes.why_not_believed(each, self._habits) for each in (text, *theirs))
        return next((doubt for doubt in doubts if doubt), None)

    def _jobs(self, nodes: Iterable[_Node]) -> set[_Node]:
        """Return the distinct jobs among nodes: copies of one job count once."""
        return {self._copies[node] for node in nodes}

    def _objection(
        self,
        job: OwnIdentity,
        method: IdentifierMethod,
        nodes: tuple[_Node, ...],
        taken: Mapping[_Node, Link],
    ) -> tuple[str, tuple[_Node, ...]] | None:
        """Return why the identifier may not make a link, and the ATS jobs concerned besides `nodes`; None if it may."""
        claim = self._claims[job.own_id][method]
        named = f"{IDENTIFIER_METHODS[method]} {claim}"
        jobs = self._jobs(nodes)
        if len(jobs) > 1:
            connections = len({self._ats[node].integration_id for node in nodes})
            where = f" of {connections} connections" if connections > 1 else ""
            return f"{named} belongs to {len(jobs)} ATS jobs{where}", ()
        [ats] = jobs
        if claim.claimants > 1:
            return f"{named} names an ATS job that {claim.claimants} own jobs name", ()
        if claim.doubt:
            return f"{named} is the same, but it {claim.doubt}", ()
        for other, claimed in self._claims[job.own_id].items():
            theirs = claimed.nodes
            if method == "kombo_id":
                theirs = tuple(node for node in theirs if self._integration(node) == self._integration(nodes[0]))
            # A doubtful code of several jobs names a profile, so it does not contradict another identifier.
            is_profile = claimed.doubt is not None and len(self._jobs(claimed.nodes)) > 1
            if theirs and not is_profile and ats not in self._jobs(theirs):
                return f"{named} and {IDENTIFIER_METHODS[other]} {claimed} name different ATS jobs", theirs
        if ats in taken and taken[ats].own_id != job.own_id:
            first = taken[ats]
            return (
                f"{named} names an ATS job that own job {first.own_id} has by its {IDENTIFIER_METHODS[first.method]}",
                (),
            )
        doubts = () if method == "kombo_id" else objections(_side(job), _side(self._ats[ats]))
        return (f"{named} is the same, {in_words(doubts)}", ()) if doubts else None

    def _integration(self, node: _Node) -> str:
        return self._ats[node].integration_id


def _nodes_of(index: Mapping[str, set[_Node]], forms: Iterable[str]) -> set[_Node]:
    return {node for form in forms for node in index.get(form, ())}


def _side(job: OwnIdentity | AtsIdentity) -> Side:
    return Side(job.title, job.location, job.employment_type, job.department)


def _copies(ats: Sequence[AtsIdentity]) -> dict[_Node, _Node]:
    """Return for each ATS job the first of its copies; a job without copies is its own first copy.

    Two connections to one account of an ATS show each job twice, with the same tool, id in the ATS, title, place, code,
    day and addresses. Two accounts may use the same ids, but then differ in one of the others.
    """
    alike: defaultdict[object, list[_Node]] = defaultdict(list)
    for node, job in enumerate(ats):
        if job.tool and job.remote_id and (job.title or "").strip():
            pages = frozenset(map(canonical_url, job.urls))
            same = (job.tool, job.remote_id, job.title, job.location, job.job_code, job.posted_on, pages)
            alike[same].append(node)
    first = {node: node for node in range(len(ats))}
    for nodes in alike.values():
        if len({ats[node].integration_id for node in nodes}) == len(nodes):
            first |= dict.fromkeys(nodes, nodes[0])
    return first
