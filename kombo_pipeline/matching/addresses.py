"""Addresses of jobs: one spelling for each, and the id of the job where the ATS is known. Nothing is fetched. Pure.

What is known of an ATS stands in SHAPES, a row for each kind of page. Of an address that no row understands nothing is
dropped that could tell jobs apart: only scheme, "www.", a default port, trailing slashes, the spelling of escapes, the
order of parameters and what advertising networks append are unified.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit


class Shape(NamedTuple):
    """One kind of page of an ATS, as a template.

    host: "*" stands for any characters of one label, {tenant} for a label that belongs to the key; "any" is any host.
    path: "*" stands for one segment, "..." for any number of them, a word for itself in any case.
    query: parameters that the page must have; all others are ignored.
    {tenant} and {folder} belong to the key, because the ids of the ATS are counted for each of them. Any other name in
    braces is the id, in the form that IDS gives. What has no braces carries no identity: site, language, title, form.
    """

    ats: str
    host: str
    path: str
    query: str = ""


IDS: Final[Mapping[str, str]] = {
    "number": r"(?P<id>[0-9]{1,20})",
    "number-title": r"(?P<id>[0-9]{1,20})(?:-.*)?",
    "long-title": r"(?P<id>[0-9]{9,20})(?:-.*)?",
    "long": r"(?P<id>[0-9]{9,20})",
    "uuid": r"(?P<id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})",
    "hex-title": r"(?P<id>[0-9a-f]{8,24})(?:-.*)?",
    "shortcode": r"(?P<id>[0-9a-f]{10})",
    "title_requisition": r"[^_]*_(?P<id>(?=.*[0-9])[\w-]+)",
    "requisition": r"(?P<id>(?=.*[0-9])[\w.-]+)",
    "phenom": r"(?P<id>(?=.*[0-9]{4})[\w-]+)",
    "token": r"(?P<id>(?=.*[0-9])[\w-]{6,64})",
    "jazz": r"(?P<id>[0-9A-Za-z]{8,12})",
    "jobvite": r"(?P<id>\w{6,12})",
    "jobvite,page": r"(?P<id>\w{6,12})(?:,\w*)?",
    "slug": r"(?P<id>.+)",
    "title-jnumber.html": r"(?:.*-)?j(?P<id>[0-9]+)\.html?",
}
"""The forms of ids. The letters of an id are compared in one case, except for the systems in CASE_TELLS."""

CASE_TELLS: Final = frozenset({"jobvite", "jazzhr", "onlyfy", "recruitee", "taleo", "workable-view"})
"""Systems whose ids are random letters, or of which it is not known whether the case tells ids apart."""

_SAP: Final = "*.successfactors.com *.successfactors.eu *.sapsf.com *.sapsf.eu *.sapsf.cn"

# fmt: off
SHAPES: Final = (
    Shape("greenhouse", "any", "...", "gh_jid={number}"),  # the customer's own page
    Shape("greenhouse", "boards.greenhouse.io boards.*.greenhouse.io", "*/jobs/{number}/..."),
    Shape("greenhouse", "job-boards.greenhouse.io job-boards.*.greenhouse.io", "*/jobs/{number}/..."),
    Shape("greenhouse", "boards.greenhouse.io boards.*.greenhouse.io", "embed/job_app", "token={number}"),
    Shape("greenhouse", "job-boards.greenhouse.io job-boards.*.greenhouse.io", "embed/job_app", "token={number}"),
    Shape("greenhouse", "boards-api.greenhouse.io api.greenhouse.io", "v1/boards/*/jobs/{number}/..."),
    Shape("lever", "jobs.lever.co jobs.*.lever.co", "*/{uuid}/..."),
    Shape("lever", "api.lever.co api.*.lever.co", "v0/postings/*/{uuid}/..."),
    Shape("ashby", "any", "...", "ashby_jid={uuid}"),  # the customer's own page
    Shape("ashby", "jobs.ashbyhq.com", "*/{uuid}/..."),
    Shape("ashby", "jobs.ashbyhq.com", "*/...", "jobid={uuid}"),
    # The number of a requisition is unique within the tenant; the site, the language and the place are not part of it.
    Shape("workday", "{tenant}.wd*.myworkdayjobs.com", ".../job/.../{title_requisition}"),
    Shape("workday", "{tenant}.wd*.myworkdayjobs.com", ".../job/.../{title_requisition}/apply/..."),
    Shape("workday", "{tenant}.wd*.myworkdayjobs.com", ".../details/{title_requisition}"),
    Shape("workday", "wd*.myworkdaysite.com", ".../recruiting/{tenant}/*/job/.../{title_requisition}"),
    Shape("workday", "wd*.myworkdaysite.com", ".../recruiting/{tenant}/*/job/.../{title_requisition}/apply/..."),
    Shape("workday", "wd*.myworkdaysite.com", ".../recruiting/{tenant}/*/details/{title_requisition}"),
    Shape("smartrecruiters", "jobs.smartrecruiters.com careers.smartrecruiters.com", "*/{long-title}/..."),
    Shape("smartrecruiters", "smartrecruiters.com", "*/{long-title}/..."),
    Shape("smartrecruiters", "jobs.smartrecruiters.com", "oneclick-ui/company/*/posting/{long}"),
    Shape("smartrecruiters", "api.smartrecruiters.com", "v1/companies/*/postings/{long}"),
    # The form for applications names the job by another id than its page does.
    Shape("smartrecruiters-publication", "jobs.smartrecruiters.com", "oneclick-ui/company/*/publication/{uuid}"),
    Shape("personio", "*.jobs.personio.de *.jobs.personio.com *-jobs.personio.de", "job/{number}/..."),
    Shape("recruitee", "{tenant}.recruitee.com", "o/{slug}/..."),
    Shape("recruitee", "{tenant}.recruitee.com", "*/o/{slug}/..."),
    Shape("recruitee", "{tenant}.recruitee.com", "l/*/o/{slug}/..."),
    Shape("join", "join.com", "companies/*/{number-title}/..."),
    Shape("teamtailor", "*.teamtailor.com *.*.teamtailor.com", "jobs/{number-title}/..."),
    Shape("teamtailor", "*.teamtailor.com *.*.teamtailor.com", "*/jobs/{number-title}/..."),
    Shape("softgarden", "*.softgarden.io", "job/{number}/..."),
    Shape("softgarden", "*.softgarden.io", "*/job/{number}/..."),
    Shape("softgarden", "*.career.softgarden.de career.softgarden.de", "jobs/{number}/..."),
    Shape("softgarden", "*.career.softgarden.de career.softgarden.de", "*/jobs/{number}/..."),
    # The id of a posting, which is counted apart from the ids of jobs.
    Shape("softgarden-posting", "any", "...", "jobdbpvid={number}"),
    Shape("dvinci", "{tenant}.dvinci-hr.com {tenant}.dvinci-easy.com {tenant}.dvinci.de", ".../jobs/{number}/..."),
    Shape("rexx", "{tenant}.rexx-systems.com {tenant}.rexx-recruitment.com", ".../{title-jnumber.html}"),
    Shape("successfactors", _SAP, "...", "company={tenant} career_job_req_id={number}"),
    Shape("successfactors", _SAP, "...", "company={tenant} jobid={number}"),
    # Recruiting Marketing of SuccessFactors runs on the customer's host: /job/Berlin-Engineer-BE-10115/1031544101/
    Shape("successfactors-site", "{host}", "job/*/{long}"),
    Shape("successfactors-site", "{host}", "*/job/*/{long}"),
    Shape("successfactors-site", "{host}", "talentcommunity/apply/{long}"),
    Shape("icims", "{tenant}.icims.com", "jobs/{number}/..."),
    Shape("bamboohr", "{tenant}.bamboohr.com", "careers/{number}/..."),
    Shape("bamboohr", "{tenant}.bamboohr.com", "jobs/...", "id={number}"),
    Shape("workable", "apply.workable.com", "*/j/{shortcode}/..."),
    Shape("workable", "*.workable.com workable.com", "j/{shortcode}/..."),
    Shape("workable-number", "{tenant}.workable.com", "jobs/{number}/..."),
    Shape("workable-number", "{tenant}.workable.com", "backend/jobs/{number}/..."),
    Shape("workable-view", "jobs.workable.com", "view/{token}/..."),
    Shape("jobvite", "jobs.jobvite.com", "*/job/{jobvite}/..."),
    Shape("jobvite", "jobs.jobvite.com", "careers/*/job/{jobvite}/..."),
    Shape("jobvite", "hire.jobvite.com app.jobvite.com jobvite.com", "*/*", "j={jobvite}"),
    Shape("jobvite", "hire.jobvite.com app.jobvite.com jobvite.com", "j", "cj={jobvite}"),
    Shape("jobvite", "hire.jobvite.com app.jobvite.com jobvite.com", "j", "aj={jobvite}"),
    Shape("jobvite", "any", "...", "jvi={jobvite,page}"),  # the customer's own page
    Shape("jazzhr", "*.applytojob.com", "apply/{jazz}/..."),
    Shape("jazzhr", "*.applytojob.com", "apply/jobs/details/{jazz}/..."),
    Shape("breezy", "*.breezy.hr", "p/{hex-title}/..."),
    Shape("oracle", "{tenant}.fa.{tenant}.oraclecloud.com", "hcmui/candidateexperience/.../job/{requisition}/..."),
    Shape("oracle", "{tenant}.fa.{tenant}.oraclecloud.com", "hcmui/candidateexperience/.../preview/{requisition}/..."),
    Shape("taleo", "{tenant}.taleo.net", "careersection/...", "job={requisition}"),
    Shape("taleo-business", "*.tbe.taleo.net", ".../careers/...", "org={tenant} rid={number}"),
    # The number behind Description/ is the language.
    Shape("umantis", "{tenant}.umantis.com", "vacancies/{number}/..."),
    Shape("umantis-de", "{tenant}.de.umantis.com", "vacancies/{number}/..."),
    Shape("concludis", "{tenant}.concludis.de", "prj/shw/*/{number}/..."),  # "b" is the job board
    Shape("onlyfy", "{tenant}.onlyfy.jobs {tenant}.prescreen.io", "job/{token}/..."),
    Shape("onlyfy", "{tenant}.onlyfy.jobs {tenant}.prescreen.io", "*/job/{token}/..."),
    Shape("onlyfy", "{tenant}.onlyfy.jobs {tenant}.prescreen.io", "candidate/job/print/{token}/..."),
    Shape("eightfold", "{tenant}.eightfold.ai", "careers/job/{number-title}/..."),
    Shape("eightfold", "{tenant}.eightfold.ai", "careers/...", "pid={number}"),
    # Phenom runs on the customer's host: /us/en/job/R-12345/Title. In the next country the number may be another job.
    Shape("phenom", "{host}", "{folder}/*/job/{phenom}/*"),
    Shape("phenom", "{host}", "{folder}/*/apply", "jobseqno={phenom}"),
    Shape("rippling", "ats.rippling.com ats.*.rippling.com", ".../jobs/{uuid}/..."),
    Shape("avature", "{tenant}.avature.net", ".../jobdetail/{number}"),
    Shape("avature", "{tenant}.avature.net", ".../jobdetail/*/{number}"),
    Shape("avature", "{tenant}.avature.net", "...", "jobid={number}"),
)

GUESSES: Final = (
    # What the customer's own page most likely is. It meets pages of the ATS itself, never another guess.
    Shape("teamtailor", "any", "jobs/{number-title}"),
    Shape("teamtailor", "any", "*/jobs/{number-title}"),
    Shape("recruitee", "*.{tenant}.*", "o/{slug}"),
    Shape("recruitee", "*.{tenant}.*", "*/o/{slug}"),
    Shape("recruitee", "{tenant}.*", "o/{slug}"),
    Shape("ashby", "any", "...", "jobid={uuid}"),
    Shape("smartrecruiters", "any", ".../{long-title}"),
    Shape("eightfold", "*.{tenant}.*", "careers/...", "pid={number}"),
    Shape("eightfold", "*.{tenant}.*", "careers/job/{number-title}"),
)
# fmt: on

MAX_LENGTH: Final = 4000
"""A longer text is no address: nobody publishes a job there, and reading it would take long."""
MAX_SEGMENTS: Final = 30
"""No page of an ATS has an address of more segments. Such an address is only compared as it is."""
MAX_HOST: Final = 253
"""The longest name that DNS knows."""

APPENDED: Final = re.compile(
    r"(?:utm|mc|hsa|pk|mtm|_hs)[-_]\w*|_g[al]|_hs(?:enc|mi)|gclid|gclsrc|gbraid|wbraid|dclid|fbclid|ttclid|twclid|msclkid"
    r"|yclid|igshid|li_fat_id|mkt_tok|epik",
    re.IGNORECASE,
)
"""Parameters that advertising networks and newsletters append to any address."""

_UUID: Final = re.compile(IDS["uuid"], re.IGNORECASE)
_HOST: Final = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
_WITHOUT_SCHEME: Final = re.compile(r"(?://)?(?:[\w-]+\.)+[^\W\d_]{2,}(?::\d+)?[/?]\S")
_WEB: Final = re.compile(r"https?://", re.IGNORECASE)
# Workday puts "-1", "-2" behind the number of a requisition that is posted on another site. A shorter number, or one
# that begins with a year, may be part of a numbering such as 2026-12.
_REPOSTED: Final = re.compile(r"(?P<id>[a-z]{0,4}[-_]?(?!20[0-4][0-9][0-9]{0,2}-)[0-9]{5,})-[0-9]{1,2}", re.IGNORECASE)


class Address(NamedTuple):
    """An address in its parts, each in one spelling."""

    host: str
    port: str
    segments: tuple[str, ...]
    query: tuple[tuple[str, str], ...]
    fragment: str

    def __str__(self) -> str:
        text = "/".join([f"https://{self.host}{self.port}", *map(_quoted, self.segments)])
        if self.query:
            text += "?" + urlencode(self.query, errors="surrogateescape")
        return f"{text}#{_quoted(self.fragment, '/?')}" if self.fragment else text


def canonical_url(url: str) -> str | None:
    """Return the form in which two addresses of the same job agree.

    A page of a known ATS is the id that it carries ("greenhouse:4012873008"), wherever it is embedded; any other page
    is its address in one spelling. None for what is no http(s) address, and for one that names a site but no page.
    """
    address = read(url)
    return None if address is None else known_job(address) or str(address)


def guessed_urls(url: str) -> list[str]:
    """Return what a page of the customer's own site may be in a known ATS; nothing where nothing is likely."""
    address = read(url)
    if address is None or known_job(address):
        return []
    ids = ((found, found.rpartition(":")[2]) for found in _named(address, _GUESSES_BY_HOST))
    # Shorter numbers are counted by more than one system.
    return [found for found, job in ids if not job.isdecimal() or len(job) >= 6]


@lru_cache(maxsize=65536)
def read(url: str) -> Address | None:
    """Read an address; None for what is no http(s) address of a page."""
    if len(url) > MAX_LENGTH:
        return None
    text = url.encode("utf-8", "ignore").decode().strip()
    if not _WEB.match(text):
        if not _WITHOUT_SCHEME.match(text):
            return None
        text = f"https://{text.removeprefix('//')}"
    try:
        parts = urlsplit(text)
        host = _canonical_host(parts.hostname or "")
        port = parts.port
    except ValueError:
        return None
    query = [
        pair
        for pair in parse_qsl(parts.query, keep_blank_values=True, errors="surrogateescape")
        if not APPENDED.fullmatch(pair[0])
    ]
    address = Address(
        host=host,
        port="" if port in (None, 80, 443) else f":{port}",
        segments=tuple(map(_unquoted, parts.path.rstrip("/").split("/")[1:])),
        query=tuple(sorted(query, key=lambda pair: pair[0])),
        fragment=_unquoted(parts.fragment.partition(":~:")[0]),
    )
    return address if host and (address.segments or address.query or address.fragment) else None


@lru_cache(maxsize=65536)
def known_job(address: Address) -> str | None:
    """The job that a page of a known ATS is about, as "ats:tenant:id"; None where no row of SHAPES understands it."""
    return next(_named(address, _SHAPES_BY_HOST), None)


def understands(shape: Shape, address: Address) -> bool:
    """Whether the row understands the address."""
    return next(_named(address, _by_host([shape])), None) is not None


def _unquoted(text: str) -> str:
    return unicodedata.normalize("NFC", unquote(text, errors="surrogateescape"))


def _quoted(text: str, also: str = "") -> str:
    return quote(text, safe=f"!$&'()*+,;=:@~{also}", errors="surrogateescape")


@lru_cache(maxsize=4096)
def _canonical_host(host: str) -> str:
    """The host in lower case and punycode, "" for what is none; raises UnicodeError, a ValueError."""
    if len(host) > MAX_HOST:
        return ""
    ascii_host = host.encode("idna").decode().lower().rstrip(".")
    plain = re.sub(r"^(?:www\.)+(?=[^.]+\.)", "", ascii_host)
    return plain if _HOST.fullmatch(plain) else ""


# ------------------------------------------------------------------------------------------------ templates


class _Matcher(NamedTuple):
    """A row of SHAPES, ready to be compared. Each piece of an address is compared with one piece of the template."""

    ats: str
    host: re.Pattern[str]
    path: tuple[str | re.Pattern[str], ...]
    query: tuple[tuple[str, re.Pattern[str]], ...]
    length: int | None  # how many segments the path has; None where any number may be between


def _compiled(shape: Shape, host: str) -> _Matcher:
    label = "[a-z0-9_-]*"
    pattern, number = "", 0
    for piece in re.split(r"(\{\w+\}|\*)", host):
        if piece.startswith("{"):
            pattern += rf"(?P<tenant{number}>{'.+' if piece == '{host}' else label})"
            number += 1
        else:
            pattern += label if piece == "*" else re.escape(piece)
    return _Matcher(
        shape.ats,
        re.compile(".*" if host == "any" else pattern),
        tuple(_piece(each) for each in shape.path.split("/")),
        tuple((name, _braced(value)) for name, _, value in (each.partition("=") for each in shape.query.split())),
        None if "..." in shape.path else shape.path.count("/") + 1,
    )


def _piece(template: str) -> str | re.Pattern[str]:
    return _braced(template) if template.startswith("{") else template


def _braced(template: str) -> re.Pattern[str]:
    name = template.strip("{}")
    if name == "folder":
        return re.compile("(?P<tenant>[a-z]{2}|global)", re.IGNORECASE)
    return re.compile("(?P<tenant>[^:/]+)" if name == "tenant" else IDS[name], re.IGNORECASE | re.DOTALL)


def _by_host(shapes: Sequence[Shape]) -> dict[str, list[_Matcher]]:
    """The rows by the last two labels of their hosts; rows of any host under ""."""
    found: defaultdict[str, list[_Matcher]] = defaultdict(list)
    for shape in shapes:
        for host in shape.host.split():
            end = ".".join(host.split(".")[-2:])
            found["" if set(end) & set("{*") or host == "any" else end].append(_compiled(shape, host))
    return dict(found)


_SHAPES_BY_HOST: Final = _by_host(SHAPES)
_GUESSES_BY_HOST: Final = _by_host(GUESSES)


def _named(address: Address, by_host: Mapping[str, Iterable[_Matcher]]) -> Iterator[str]:
    """What the rows make of an address, in their order."""
    if len(address.segments) > MAX_SEGMENTS:
        return
    given: defaultdict[str, set[str]] = defaultdict(set)
    for name, value in address.query:
        given[name.lower()].add(value)
    for key in (".".join(address.host.split(".")[-2:]), ""):
        for matcher in by_host.get(key, ()):
            # Most rows of any host are left out by what costs least to ask.
            if matcher.length not in (None, len(address.segments)) or any(
                name not in given for name, _ in matcher.query
            ):
                continue
            if found := _matched(matcher, address, given):
                yield found


def _matched(matcher: _Matcher, address: Address, given: Mapping[str, set[str]]) -> str | None:
    if not (host := matcher.host.fullmatch(address.host)):
        return None
    found = list(filter(None, host.groups()))
    names: dict[str, str] = {}
    for name, pattern in matcher.query:
        values = given.get(name, set())
        if len(values) != 1 or not (value := pattern.fullmatch(next(iter(values)))):
            return None
        names |= value.groupdict()
    inside = _along(matcher.path, address.segments)
    if inside is None:
        return None
    names |= inside
    job = names["id"]
    if matcher.ats == "workday" and (again := _REPOSTED.fullmatch(job)):
        job = again["id"]
    tenants = filter(None, (".".join(found), names.get("tenant", "").lower()))
    return ":".join([matcher.ats, *tenants, _quoted(_in_one_case(matcher.ats, job))])


def _in_one_case(ats: str, job: str) -> str:
    if ats in CASE_TELLS:
        return job
    return job.lower() if _UUID.fullmatch(job) else job.upper()


def _along(
    template: Sequence[str | re.Pattern[str]], segments: Sequence[str], names: Mapping[str, str] | None = None
) -> dict[str, str] | None:
    """What the segments are called in the template; None where they do not fit it. The last fitting one is the id."""
    named = dict(names or {})
    for place, piece in enumerate(template):
        if piece == "...":
            rest = template[place + 1 :]
            for skipped in range(len(segments), place - 1, -1) if rest else ():
                if (found := _along(rest, segments[skipped:], named)) is not None:
                    return found
            return None if rest else named
        if place >= len(segments):
            return None
        if isinstance(piece, re.Pattern):
            if not (found_here := piece.fullmatch(segments[place])):
                return None
            named |= found_here.groupdict()
        elif piece != "*" and piece != segments[place].lower():
            return None
    return named if len(segments) == len(template) else None
