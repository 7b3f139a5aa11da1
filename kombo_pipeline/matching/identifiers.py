"""Identifiers: canonical forms of addresses and codes, and the links that they alone may make. Pure."""

import hashlib
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final, Literal, NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from kombo_pipeline.matching.objections import Doubt, Side, in_words

Method = Literal["kombo_id", "remote_id", "job_code", "post_url"]

MAX_BEARERS: Final = 20
"""What more jobs than this carry, on either side, is a placeholder or a careers page and names none of them."""


@dataclass(frozen=True, slots=True)
class OwnIdentity:
    """What an own job says about the ATS job that it is; `own_id` is unique among those compared."""

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
    """What names an ATS job of the same customer; `kombo_job_id` is unique among those compared."""

    kombo_job_id: str
    title: str | None = None
    remote_id: str | None = None
    job_code: str | None = None
    urls: tuple[str, ...] = ()
    """post_url, the url of each job posting, and remote_url, which recruiters paste although it points into the ATS."""
    location: str | None = None
    department: str | None = None
    employment_type: str | None = None


class Link(NamedTuple):
    """An own job is an ATS job, surely."""

    own_id: str
    ats_id: str
    method: Method


class Review(NamedTuple):
    """Identifiers that a person must judge: a collision or a contradiction, and the ATS jobs concerned."""

    own_id: str
    ats_ids: tuple[str, ...]
    method: Method
    reason: str


class Decisions(NamedTuple):
    """Sorted by own job. An own job in neither is one that no identifier names."""

    links: tuple[Link, ...]
    reviews: tuple[Review, ...]


# ---------------------------------------------------------------------------------------------- addresses

# A requisition that is posted again, or on a second site, gets "-1", "-2" behind its number.
_WORKDAY_ID: Final = r".*_(?P<id>[A-Z]*[-_]?\d{3,})(?:-\d\d?)?(?![\w-])"
# Where the pages of an ATS carry the id of the requisition or posting: a pattern on the canonical address
# without its scheme. The tenant belongs to the id where each customer's ids begin at 1.
_ATS: Final = [
    (name, re.compile(pattern, re.IGNORECASE))
    for name, pattern in [
        ("greenhouse", r".*[?&]gh_jid=(?P<id>\d+)"),
        ("greenhouse", r"[\w.-]*greenhouse\.io/(?:.*/)?jobs/(?P<id>\d+)"),
        ("greenhouse", r"[\w.-]*greenhouse\.io/embed/job_app\?(?:.*&)?token=(?P<id>\d+)"),
        ("lever", r"jobs\.(?:eu\.)?lever\.co/[^/]+/(?P<id>[\da-f-]{36})"),
        ("ashby", r"jobs\.ashbyhq\.com/[^/]+/(?P<id>[\da-f-]{36})"),
        ("ashby", r".*[?&]ashby_jid=(?P<id>[\da-f-]{36})"),
        ("workday", r"(?P<tenant>[\w-]+)\.wd\d+\.myworkdayjobs(?:-impl)?\.com/" + _WORKDAY_ID),
        ("workday", r"wd\d+\.myworkdaysite\.com/recruiting/(?P<tenant>[\w-]+)/" + _WORKDAY_ID),
        ("smartrecruiters", r"(?:jobs|careers)\.smartrecruiters\.com/[^/]+/(?P<id>\d{9,})"),
        ("personio", r"[\w-]+\.jobs\.personio\.(?:de|com)/job/(?P<id>\d+)"),
        ("recruitee", r"(?P<tenant>[\w-]+)\.recruitee\.com/(?:.*/)?o/(?P<id>[^/?]+)"),
        ("join", r"join\.com/companies/[^/]+/(?P<id>\d+)(?![^/?-])"),
        ("teamtailor", r"[\w.-]+\.teamtailor\.com/jobs/(?P<id>\d+)"),
        ("softgarden", r"[\w.-]+\.softgarden\.io/job/(?P<id>\d+)"),
        ("softgarden", r".*[?&]jobDbPVId=(?P<id>\d+)"),
        ("dvinci", r"(?P<tenant>[\w-]+)\.dvinci(?:-hr|-easy)?\.(?:com|de)/(?:.*/)?jobs/(?P<id>\d+)"),
        ("rexx", r"(?P<tenant>[\w.-]+)\.rexx-(?:systems|recruitment)\.com/.*-j(?P<id>\d+)\.html"),
        ("successfactors", r"[\w.-]*successfactors\.(?:com|eu)/.*[?&](?:career_job_req_id|jobId)=(?P<id>\d+)"),
        ("icims", r"(?P<tenant>[\w-]+)\.icims\.com/jobs/(?P<id>\d+)"),
        ("bamboohr", r"(?P<tenant>[\w-]+)\.bamboohr\.com/(?:careers/|jobs/(?:\w+\.php)?\?(?:.*&)?id=)(?P<id>\d+)"),
        ("workable", r"(?:[\w-]+\.)?workable\.com/(?:.*/)?j(?:obs)?/(?P<id>[\dA-F]{10})"),
        ("jobvite", r"jobs\.jobvite\.com/(?:.*/)?job/(?P<id>\w+)"),
        ("jazzhr", r"[\w-]+\.applytojob\.com/apply/(?:jobs/details/)?(?P<id>\w{8,})"),
        ("breezy", r"[\w-]+\.breezy\.hr/p/(?P<id>[\da-f]{8,})"),
        ("oracle", r"(?P<tenant>[\w-]+)\.fa\.[\w.-]*oraclecloud\.com/hcmUI/CandidateExperience/.*/job/(?P<id>\d+)"),
        ("taleo", r"(?P<tenant>[\w-]+)\.taleo\.net/careersection/.*[?&]job=(?P<id>[\w-]+)"),
    ]
]  # fmt: skip
# One match instead of a match a pattern for the many addresses that are of none.
_ANY_ATS: Final = re.compile("|".join(re.sub(r"\?P<\w+>", "?:", known.pattern) for _, known in _ATS), re.IGNORECASE)
_REDUCED: Final = re.compile(rf"(?:{'|'.join(sorted({name for name, _ in _ATS}))}):[^\s/]\S*")

# Parameters that tell where a visitor comes from or in which language he reads, not which job he sees.
_TRACKING: Final = re.compile(
    r"(?:utm|mc|hsa|pk|mtm|matomo|ga|rx|lever|_hs)[-_].*|_g[al]|_hs(?:enc|mi)|gclid|gclsrc|gbraid|wbraid|dclid|fbclid"
    r"|ttclid|twclid|msclkid|yclid|igshid|li_fat_id|mkt_tok|epik|source|source_?id|source_?type|src|gh_src|jobsource"
    r"|job_?board|board|ref|referr?er|referral|via|trk|trkinfo|trackingid|channel|campaign|promotion|iisn?|_pc|trid"
    r"|oga|jobpipeline|in_iframe|mobile|needsredirect|lang|language|locale|display|hl",
    re.IGNORECASE,
)
_LANGUAGES: Final = (
    "ar bg bs ca cs da de el en es et eu fa fi fr gl he hi hr hu id is it ja ko lt lv mk ms nb nl nn no pl pt ro ru "
    "sk sl sq sr sv th tr uk vi zh"
)
_LOCALE: Final = re.compile(rf"(?:{_LANGUAGES.replace(' ', '|')}|[a-z]{{2}}[-_][a-z]{{2}})", re.IGNORECASE)
_HOST: Final = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
_WITHOUT_SCHEME: Final = re.compile(r"(?://)?(?:[\w-]+\.)+[^\W\d_]{2,}(?::\d+)?[/?]\S")
_WEB: Final = re.compile(r"https?://", re.IGNORECASE)


def canonical_url(url: str) -> str | None:
    """Return the form in which two addresses of the same job agree; nothing is ever fetched.

    A page of a known ATS is reduced to the id that it carries ("greenhouse:4012873008"), wherever it is
    embedded. Of others scheme, www., default port, tracking parameters, locale prefix, trailing slashes and
    a fragment that is no path go, and escapes are written in one way. None for what is no http(s) address,
    and for one that names a site but no page of it.
    """
    text = url.encode("utf-8", "ignore").decode().strip()
    if _REDUCED.fullmatch(text):
        return text
    if not _WEB.match(text):
        if not _WITHOUT_SCHEME.match(text):
            return None
        text = f"https://{text.removeprefix('//')}"
    text = re.sub("#!?/", "/", text, count=1)  # a page that its site finds by script: /careers#/job/12
    try:
        parts = urlsplit(text)
        host = _canonical_host(parts.hostname or "")
        port = parts.port
    except ValueError:
        return None
    segments = [part for part in unicodedata.normalize("NFC", unquote(parts.path)).split("/") if part]
    while segments and _LOCALE.fullmatch(segments[0]):
        del segments[0]
    query = urlencode(
        sorted(
            (key, value)
            for key, value in parse_qsl(parts.query, keep_blank_values=True)
            if not _TRACKING.fullmatch(key)
        )
    )
    if not host or not (segments or query):
        return None
    at = host if port in (None, 80, 443) else f"{host}:{port}"
    address = "/".join([at, *(quote(part, safe="!$&'()*+,;=:@~") for part in segments)]) + (
        f"?{query}" if query else ""
    )
    for name, pattern in _ATS if _ANY_ATS.match(address) else ():
        if found := pattern.match(address):
            named = found.groupdict()
            return ":".join(filter(None, (name, (named.get("tenant") or "").lower(), named["id"])))
    return f"https://{address}"


@lru_cache(maxsize=4096)
def _canonical_host(host: str) -> str:
    """The host in lower case and punycode, "" for what is none; raises UnicodeError, a ValueError."""
    ascii_host = host.encode("idna").decode().lower().rstrip(".")
    plain = re.sub(r"^(?:www\.)+(?=[^.]+\.)", "", ascii_host)
    return plain if _HOST.fullmatch(plain) else ""


# -------------------------------------------------------------------------------------------------- codes

# Words that only announce a code: "REQ-0012", "Ref. 12" and "12" may be the same.
_ANNOUNCING: Final = re.compile(
    r"(?:(?:req|requisition|jobreq|jr|r|job|jobid|id|ref|reference|referenz|nr|no|number|code|kennziffer) )+(?=\d)"
)


def canonical_code(code: str) -> str | None:
    """Return the letters and numbers of a code, without case, separators and leading zeros: "req 12" for REQ-0012.

    None where there are none. Different codes may share a form: it says something only where it is unique.
    """
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", code).casefold())
    groups = re.findall(r"\d+|[^\W\d_]+", text)
    return " ".join(re.sub(r"^0+(?=\d)", "", group) for group in groups) or None


def _bare_code(code: str) -> str | None:
    """The canonical form without the words that announce it, where a number follows them."""
    bare = _ANNOUNCING.sub("", canonical_code(code) or "", count=1)
    return bare if bare[:1].isdecimal() else None


# ----------------------------------------------------------------------------------------------- decision

Form = Callable[[str], str | None]


def _exact(text: str) -> str | None:
    return text.strip() or None


def _exact_code(text: str) -> str | None:
    return text.strip() if canonical_code(text) else None


def _tiers() -> dict[Method, tuple[Form, ...]]:
    """The tiers in order, each with the forms in which its identifiers are compared, the exact one first."""
    address = cache(canonical_url)  # each is asked for twice and more; forgotten with the tiers
    return {
        "kombo_id": (_exact,),
        "remote_id": (_exact,),
        "job_code": (_exact_code, canonical_code, _bare_code),
        "post_url": (lambda text: text.strip() if address(text) else None, address),
    }


IN_WORDS: Final[Mapping[str, str]] = {
    "kombo_id": "Kombo id", "remote_id": "id in the ATS", "job_code": "job code", "post_url": "address",
}  # fmt: skip


class _Claim(NamedTuple):
    """The ATS jobs that one identifier of an own job names, and how many own jobs name the first of them."""

    ats_ids: tuple[str, ...]
    rank: int  # of the form that found them; 0 is the exact one
    claimants: int
    text: str


def own_keys(jobs: Iterable[OwnIdentity]) -> dict[str, list[str]]:
    """What each own job names ATS jobs by: its identifiers in every form in which they are compared.

    Jobs without a common key have nothing to do with each other, so `decide` may be asked of those alone that
    keys connect.
    """
    tiers = _tiers()
    return {job.own_id: _keys(tiers, lambda method, job=job: [_own_text(job, method)]) for job in jobs}  # type: ignore[misc]


def ats_keys(jobs: Iterable[AtsIdentity]) -> dict[str, list[str]]:
    """What each ATS job may be named by, as `own_keys`."""
    tiers = _tiers()
    return {job.kombo_job_id: _keys(tiers, lambda method, job=job: _ats_texts(job, method)) for job in jobs}  # type: ignore[misc]


def _keys(tiers: Mapping[Method, tuple[Form, ...]], texts: Callable[[Method], Iterable[str]]) -> list[str]:
    found = {
        f"{method}:{form_of}"
        for method, forms in tiers.items()
        for text in texts(method)
        if text
        for form in forms
        if (form_of := form(text))
    }
    return sorted(key if len(key) <= _LONGEST_KEY else _digest(key) for key in found)


_LONGEST_KEY: Final = 300
"""A longer one does not fit into an index entry of Postgres in every script; its beginning and a digest do."""


def _digest(key: str) -> str:
    return f"{key[:100]}…{hashlib.blake2b(key.encode('utf-8', 'surrogatepass'), digest_size=16).hexdigest()}"


def decide(
    own: Sequence[OwnIdentity], ats: Sequence[AtsIdentity], *, objections: Callable[[Side, Side], Sequence[Doubt]]
) -> Decisions:
    """Decide which own jobs of a customer are which ATS jobs of one integration, by identifiers alone.

    The first tier decides at which a pair is unique on both sides, unless something contradicts it: another
    identifier that names only other jobs, an ATS job that another own job has by a better identifier, or,
    but for Kombo ids, what `objections` finds (see matching.objections). Canonical forms count only where the exact
    one names nothing. Of two jobs with one code the address may still single out one. All own jobs of the customer
    must be given, for a collision is seen only among all. The order of the input does not matter.
    """
    by_id = {job.kombo_job_id: job for job in ats}
    tiers = _tiers()
    claims = _claims(own, ats, tiers)
    taken: dict[str, Link] = {}
    links: dict[str, Link] = {}
    refused: dict[str, Review] = {}
    for method, forms in tiers.items():
        for rank in range(len(forms)):
            made: list[Link] = []
            for job in own:
                claim = claims[job.own_id].get(method)
                if claim is None or claim.rank != rank or job.own_id in links:
                    continue
                objection = _objection(
                    job, method, claims=claims[job.own_id], by_id=by_id, taken=taken, objections=objections
                )
                if objection:
                    refused.setdefault(job.own_id, objection)
                else:
                    made.append(Link(job.own_id, claim.ats_ids[0], method))
            links.update((link.own_id, link) for link in made)
            taken.update((link.ats_id, link) for link in made)
    reviews = [review for own_id, review in refused.items() if own_id not in links]
    return Decisions(tuple(sorted(links.values())), tuple(sorted(reviews)))


def _claims(
    own: Sequence[OwnIdentity], ats: Sequence[AtsIdentity], tiers: Mapping[Method, tuple[Form, ...]]
) -> dict[str, dict[Method, _Claim]]:
    """What each own job's identifiers name: a claim a tier, of the first form that names anything."""
    claims: dict[str, dict[Method, _Claim]] = {job.own_id: {} for job in own}
    for method, forms in tiers.items():
        for rank, form in enumerate(forms):
            bearers = _bearers(ats, method, form)
            keys = {job.own_id: form(text) for job in own if (text := _own_text(job, method))}
            sharing = Counter(keys.values())
            claimants = Counter(ats_id for key in keys.values() for ats_id in bearers.get(key, ()))
            for job in own:
                key = keys.get(job.own_id)
                if key in bearers and method not in claims[job.own_id] and sharing[key] <= MAX_BEARERS:
                    text = _own_text(job, method).strip()
                    claims[job.own_id][method] = _Claim(bearers[key], rank, claimants[bearers[key][0]], text)
    return claims


def _bearers(ats: Iterable[AtsIdentity], method: Method, form: Form) -> dict[str | None, tuple[str, ...]]:
    """Which ATS jobs carry each identifier, in order of their ids."""
    bearers: defaultdict[str, set[str]] = defaultdict(set)
    for job in ats:
        for text in _ats_texts(job, method):
            if key := form(text):
                bearers[key].add(job.kombo_job_id)
    return {key: tuple(sorted(ids)) for key, ids in bearers.items() if len(ids) <= MAX_BEARERS}


def _own_text(job: OwnIdentity, method: Method) -> str:
    return (job.kombo_job_id if method == "kombo_id" else getattr(job, method)) or ""


def _ats_texts(job: AtsIdentity, method: Method) -> Iterable[str]:
    if method == "post_url":
        return job.urls
    return [(job.kombo_job_id if method == "kombo_id" else getattr(job, method)) or ""]


def _objection(
    job: OwnIdentity,
    method: Method,
    *,
    claims: Mapping[Method, _Claim],
    by_id: Mapping[str, AtsIdentity],
    taken: Mapping[str, Link],
    objections: Callable[[Side, Side], Sequence[Doubt]],
) -> Review | None:
    """Why the identifier may not link its own job; None when it may."""
    claim = claims[method]
    named = f"{IN_WORDS[method]} {claim.text[:200]}" + (", read loosely," if claim.rank else "")

    def review(reason: str, *others: str) -> Review:
        return Review(job.own_id, tuple(sorted({*claim.ats_ids, *others})), method, reason)

    if len(claim.ats_ids) > 1:
        return review(f"{named} belongs to {len(claim.ats_ids)} ATS jobs")
    ats_id = claim.ats_ids[0]
    if claim.claimants > 1:
        return review(f"{named} names an ATS job that {claim.claimants} own jobs name")
    for other, claimed in claims.items():
        if ats_id not in claimed.ats_ids:
            return review(
                f"{named} and {IN_WORDS[other]} {claimed.text[:200]} name different ATS jobs", *claimed.ats_ids
            )
    if ats_id in taken:
        first = taken[ats_id]
        return review(f"{named} names an ATS job that own job {first.own_id} has by its {IN_WORDS[first.method]}")
    if method != "kombo_id" and (doubts := objections(_side(job), _side(by_id[ats_id]))):
        return review(f"{named} is the same, {in_words(doubts)}")
    return None


def _side(job: OwnIdentity | AtsIdentity) -> Side:
    return Side(job.title, job.location, job.employment_type, job.department)
