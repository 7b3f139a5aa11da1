"""The paste box: find for each line of a pasted text, as an e-mail, the ATS job that it means.

Nothing is ever fetched from a pasted address. It is compared with known addresses, and sent to Kombo as a filter.
"""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

import httpx
import msgspec

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.kombo.client import Kombo
from kombo_pipeline.kombo.errors import KomboError
from kombo_pipeline.kombo.filters import batches
from kombo_pipeline.kombo.record import UnreadableRecordError, read_job
from kombo_pipeline.kombo.tolerance import read_tolerantly
from kombo_pipeline.linking.by_title import jobs_by_title
from kombo_pipeline.linking.statements import ats_jobs
from kombo_pipeline.linking.statements import identifiers as identifier_statements
from kombo_pipeline.linking.statements.ats_jobs import Integration
from kombo_pipeline.matching.addresses import canonical_url
from kombo_pipeline.matching.identifiers import (
    AtsIdentity,
    OwnIdentity,
    ats_keys,
    own_keys,
)
from kombo_pipeline.matching.objections import Side, confirms
from kombo_pipeline.vocabulary import IDENTIFIER_METHODS, IdentifierMethod

MAX_LINES: Final = 300
MAX_CHARACTERS: Final = 2000
MAX_URLS_ASKED: Final = 6
"""Kombo takes one address a request."""
MAX_CODES_ASKED: Final = 50
MAX_REQUESTS: Final = 12
"""How many requests to Kombo one paste may cause."""
TITLE_CANDIDATES: Final = 3
MAX_SECONDS: Final = 20
"""After this time no further request is sent to Kombo, because somebody waits for the page."""
_TIMEOUT: Final = httpx.Timeout(connect=3, read=10, write=5, pool=3)

Kind = Literal["found", "several", "kombo", "title", "repeated", "nothing"]

_BULLET: Final = re.compile(
    r"^(?:[>|\s]*)(?:(?:[-*+•·‣◦–—▪●○■□☐☑✓→]|\[[ xX]?\]|\(?(?:\d{1,3}|[a-zA-Z])[.)])(?:\s+|$))*\s*"
)
_URL: Final = re.compile(r"https?://[^\s<>\"'|]+", re.IGNORECASE)
_LABEL: Final = re.compile(
    r"^(?:(?:kombo|remote|ats|job|stellen)?[ -]?id|(?:job[ -]?)?code|url|link|kennziffer"
    r"|ref(?:erence|erenz)?(?:[ -]?(?:no|nr|number))?|req(?:uisition)?(?:[ -]?(?:id|no|number|code))?"
    r"|title|titel|job|position|stelle)\s*[.:#=]+\s*(?=\S)",
    re.IGNORECASE,
)
_LETTER_OR_DIGIT: Final = re.compile(r"\w")
_TOKEN: Final = re.compile(r"[\w./_-]*\d[\w./_-]*")


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the pasted text."""

    number: int
    text: str
    urls: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    """Texts that may be an id or a code: the whole line, and the line without a label such as `Ref.:`."""
    tokens: tuple[str, ...] = ()
    """Words with a digit in a longer text. Such a word is a code only if the rest of the line is the job's title."""
    title: str = ""

    @property
    def is_code(self) -> bool:
        """Whether it looks like an id or a code rather than a title."""
        return not self.urls and bool(self.codes) and " " not in self.codes[-1] and bool(re.search(r"\d", self.text))


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Which ATS jobs a line means, and how that was found."""

    line: Line
    kind: Kind
    jobs: tuple[str, ...] = ()
    """Kombo ids of jobs in the warehouse, the likeliest first."""
    by: str = ""
    """The identifier by which they were found, in words."""
    bands: Mapping[str, str] = field(default_factory=dict)
    """How likely each job is, where the title of the line proposes jobs."""
    remark: str = ""
    """For `repeated`, which line has the same text; for `kombo`, the jobs that Kombo has found."""


def read_lines(text: str) -> tuple[list[Line], int]:
    """Return the first MAX_LINES lines that have text, without bullets and numbering, and how many lines are left."""
    lines: list[Line] = []
    more = 0
    for number, raw in enumerate(text.replace("\0", "").splitlines(), start=1):
        if not _LETTER_OR_DIGIT.search(raw, 0, MAX_CHARACTERS):
            continue
        plain = _BULLET.sub("", raw[:MAX_CHARACTERS]).strip()
        if not _LETTER_OR_DIGIT.search(plain):
            continue
        if len(lines) < MAX_LINES:
            lines.append(_line(number, plain))
        else:
            more += 1
    return lines, more


def _line(number: int, text: str) -> Line:
    urls = [url.rstrip(".,;:!?)]}>»”") for url in _URL.findall(text)]
    rest = _URL.sub(" ", text)
    if not urls and canonical_url(text):
        urls, rest = [text], ""
    rest = " ".join(re.sub(r"[<>()\[\]\"“”„]", " ", rest).split())
    unlabelled = _LABEL.sub("", rest)
    codes = dict.fromkeys(each.strip(" .,;:–-") for each in (rest, unlabelled))
    title = unlabelled.strip(" .,;:–-")
    tokens = [token.strip("./_-") for token in _TOKEN.findall(unlabelled)]
    return Line(
        number=number,
        text=text,
        urls=tuple(dict.fromkeys(urls)),
        codes=tuple(code for code in codes if code and len(code) <= 200),
        tokens=tuple(token for token in dict.fromkeys(tokens) if len(token) >= 3 and token != title),
        title=title,
    )


def resolve(conn: Connection, integration: Integration, lines: Sequence[Line]) -> list[Verdict]:
    """Find the jobs of the warehouse that each line means: by identifiers, else by title. Return a verdict a line."""
    integration_id = integration.integration_id
    verdicts: dict[int, Verdict] = {}
    seen: dict[str, int] = {}
    fresh = []
    for line in lines:
        same = " ".join(line.text.casefold().split())
        if same in seen:
            verdicts[line.number] = Verdict(line=line, kind="repeated", remark=f"the same as line {seen[same]}")
        else:
            seen[same] = line.number
            fresh.append(line)
    for known in (_known_to_matching, _unread):
        open_lines = [line for line in fresh if line.number not in verdicts]
        if not open_lines:
            break
        bearers = known(conn, integration_id, _keys(open_lines))
        for line in open_lines:
            if found := _named(line, bearers):
                verdicts[line.number] = found
    left = [line for line in fresh if line.number not in verdicts]
    verdicts |= _by_token(conn, integration_id, left)
    verdicts |= _by_title(conn, integration, [line for line in left if line.number not in verdicts])
    return [verdicts.get(line.number) or Verdict(line=line, kind="nothing") for line in lines]


def to_ask(verdicts: Iterable[Verdict]) -> list[Line]:
    """Return the lines for which no job was found and which have an address or a code to ask Kombo for."""
    lines = [verdict.line for verdict in verdicts if verdict.kind == "nothing"]
    return [line for line in lines if line.urls or line.is_code]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What Kombo found for lines."""

    records: dict[int, list[Any]] = field(default_factory=dict)
    """The jobs that were found, by the number of the line; lines without any are left out."""
    requests: int = 0
    """How many requests were sent."""
    failure: str = ""
    """Why Kombo could not be asked; empty where it could."""
    lines_left: int = 0
    """How many lines were not asked about, because the time or the requests were used up."""


def ask_kombo(
    lines: Sequence[Line], *, api_url: str, api_key: str | None, integration_id: str, most: int = MAX_REQUESTS
) -> Asked:
    """Ask Kombo for the jobs that lines name. Sends `most` requests at most, in MAX_SECONDS at most.

    One request asks for many codes of a kind, but for one address. If Kombo finds no job, the ATS may have it still:
    some ATS do not give Kombo addresses or codes.
    """
    if not api_key:
        return Asked(failure="KOMBO_API_KEY is not set for the back office")
    found: dict[int, list[Any]] = {}
    coded = [line for line in lines if line.is_code]
    urls = [(url, line.number) for line in lines for url in line.urls]
    left, failure, requests = set(), "", 0
    try:
        with Kombo(api_url=api_url, api_key=api_key, timeout=_TIMEOUT, max_attempts=2, max_total_wait=3) as kombo:
            until = time.monotonic() + MAX_SECONDS

            def may_ask() -> bool:
                return kombo.requests < most and time.monotonic() < until

            try:
                for number, record in _by_code(kombo, integration_id, coded[:MAX_CODES_ASKED], may_ask):
                    found.setdefault(number, []).append(record)
                left = {line.number for line in (coded[MAX_CODES_ASKED:] if may_ask() else coded)}
                for place, (url, number) in enumerate(urls):
                    if place == MAX_URLS_ASKED or not may_ask():
                        left |= {number for _, number in urls[place:]}
                        break
                    found.setdefault(number, []).extend(_records(kombo.find_jobs(integration_id, post_urls=[url])))
            finally:
                requests = kombo.requests
    except (KomboError, ValueError) as error:
        failure = str(error)
    answered = {number: records for number, records in found.items() if records}
    return Asked(records=answered, requests=requests, failure=failure, lines_left=len(left - answered.keys()))


def _by_code(
    kombo: Kombo, integration_id: str, lines: Iterable[Line], may_ask: Callable[[], bool]
) -> Iterator[tuple[int, Any]]:
    """Yield the jobs that lines name by an id or a code, with the number of the line; some three requests for all."""
    codes = {line.codes[-1]: line.number for line in lines if line.is_code and "," not in line.codes[-1]}
    if not codes:
        return
    seen: set[tuple[int, str]] = set()
    for kind, name in (("ids", "id"), ("remote_ids", "remote_id"), ("job_codes", "job_code")):
        # Kombo distinguishes capital letters, and people often write a code in other ones.
        variants = [text for code in codes for text in (code, code.upper())] if name == "job_code" else list(codes)
        for batch in batches(variants):
            if not may_ask():
                return
            wanted: dict[str, Any] = {kind: batch}
            for record in _records(kombo.find_jobs(integration_id, **wanted)):
                text = (getattr(record, name) or "").casefold()
                for code, number in codes.items():
                    if code.casefold() == text and (number, record.id) not in seen:
                        seen.add((number, record.id))
                        yield number, record


def with_kombo(
    conn: Connection, integration_id: str, verdicts: Iterable[Verdict], found: Mapping[int, Sequence[Any]]
) -> list[Verdict]:
    """Return the verdicts with the jobs that Kombo found: in the warehouse, or still to arrive with the next fetch."""
    ids = sorted({record.id for records in found.values() for record in records})
    here = {job.kombo_job_id for job in ats_jobs.jobs(conn, integration_id, ids)}
    filled = []
    for verdict in verdicts:
        records = found.get(verdict.line.number, ()) if verdict.kind == "nothing" else ()
        known = tuple(dict.fromkeys(record.id for record in records if record.id in here))
        if known:
            filled.append(
                replace(verdict, kind="found" if len(known) == 1 else "several", jobs=known, by="Kombo's search")
            )
        elif records:
            names = "; ".join(_in_words(record) for record in records[:5])
            filled.append(replace(verdict, kind="kombo", remark=names))
        else:
            filled.append(verdict)
    return filled


def _in_words(record: Any) -> str:
    state = "deleted" if record.remote_deleted_at else (record.status or "no status").lower()
    return f"{record.name or record.id} ({state})"


def _records(raw: Iterable[msgspec.Raw]) -> Iterable[Any]:
    for record in raw:
        try:
            yield read_job(record)[0]
        except UnreadableRecordError:
            with suppress(UnreadableRecordError):
                yield read_tolerantly(record).job


def _keys(lines: Iterable[Line]) -> set[str]:
    return {key for line in lines for _, _, keys in _probes(line) for key in keys}


def _probes(line: Line) -> Iterable[tuple[IdentifierMethod, str, list[str]]]:
    """Yield the identifiers that a line may hold, the most certain first: kind, text, and keys, the exact one first."""
    for url in line.urls:
        yield "post_url", url, _exact_first("post_url", url, own_keys([OwnIdentity("", post_url=url)])[""])
    for code in line.codes:
        yield "kombo_id", code, own_keys([OwnIdentity("", kombo_job_id=code)])[""]
        yield "remote_id", code, own_keys([OwnIdentity("", remote_id=code)])[""]
        if " " not in code or re.search(r"\d", code):
            yield "job_code", code, _exact_first("job_code", code, own_keys([OwnIdentity("", job_code=code)])[""])


def _exact_first(method: IdentifierMethod, text: str, keys: list[str]) -> list[str]:
    return sorted(keys, key=lambda key: key != f"{method}:{text}")


def _named(line: Line, bearers: Mapping[str, set[str]]) -> Verdict | None:
    """Return the jobs that the most certain identifier of the line names; None where no identifier names any."""
    for method, _, keys in _probes(line):
        for rank, key in enumerate(keys):
            if jobs := bearers.get(key):
                by = IDENTIFIER_METHODS[method] + (", read loosely" if rank and method == "job_code" else "")
                return Verdict(
                    line=line, kind="found" if len(jobs) == 1 else "several", jobs=tuple(sorted(jobs)[:20]), by=by
                )
    return None


def _known_to_matching(conn: Connection, integration_id: str, keys: set[str]) -> dict[str, set[str]]:
    return _by_key(identifier_statements.ats_bearers(conn, integration_id, keys))


def _unread(conn: Connection, integration_id: str, keys: set[str]) -> dict[str, set[str]]:
    """Find jobs that core.matchable_jobs does not hold, most of them gone from the ATS."""
    identities = [
        AtsIdentity(job.kombo_job_id, job.name, job.remote_id, job.job_code, tuple(job.urls))
        for job in ats_jobs.unread_jobs(conn, integration_id)
    ]
    return {key: jobs for key, jobs in _by_key(ats_keys(identities)).items() if key in keys}


def _by_key(keys_of: Mapping[str, Iterable[str]]) -> dict[str, set[str]]:
    by_key: dict[str, set[str]] = {}
    for job, keys in keys_of.items():
        for key in keys:
            by_key.setdefault(key, set()).add(job)
    return by_key


def _by_token(conn: Connection, integration_id: str, lines: Sequence[Line]) -> dict[int, Verdict]:
    """Find the jobs of lines that hold a code beside the job's title."""
    probes = {
        line.number: {
            key for token in line.tokens for key in own_keys([OwnIdentity("", job_code=token, remote_id=token)])[""]
        }
        for line in lines
        if not line.is_code
    }
    bearers = _known_to_matching(conn, integration_id, {key for keys in probes.values() for key in keys})
    named = {number: {job for key in keys for job in bearers.get(key, ())} for number, keys in probes.items()}
    rows = ats_jobs.jobs(conn, integration_id, sorted({job for jobs in named.values() for job in jobs}))
    known = {job.kombo_job_id: Side(job.name, job.place, job.employment_type, job.department) for job in rows}
    verdicts = {}
    for line in lines:
        rest = line.title
        for token in line.tokens:
            rest = rest.replace(token, " ")
        agreeing = sorted(
            job for job in named.get(line.number, ()) if job in known and confirms(Side(rest), known[job])
        )
        if agreeing and re.search(r"[^\W\d_]{3}", rest):
            kind: Kind = "found" if len(agreeing) == 1 else "several"
            verdicts[line.number] = Verdict(line=line, kind=kind, jobs=tuple(agreeing[:20]), by="code and title")
    return verdicts


def _by_title(conn: Connection, integration: Integration, lines: Sequence[Line]) -> dict[int, Verdict]:
    asked = [line for line in lines if line.title and not line.is_code and re.search(r"[^\W\d_]{2}", line.title)]
    found = jobs_by_title(
        conn,
        [line.title for line in asked],
        integration_id=integration.integration_id,
        customer=integration.organization_name or "",
        k=TITLE_CANDIDATES,
    )
    verdicts = {}
    for line, proposed in zip(asked, found, strict=True):
        likely = [each for each in proposed if each.band != "none"]
        if likely:
            verdicts[line.number] = Verdict(
                line=line,
                kind="title",
                jobs=tuple(each.kombo_job_id for each in likely),
                bands={each.kombo_job_id: each.band for each in likely},
            )
    return verdicts
