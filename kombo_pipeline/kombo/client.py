"""Kombo's API as this pipeline uses it: pages of jobs, particular jobs, the state of an integration.

Every failure is a `KomboError`; what may pass by itself has been retried before it is raised.
"""

import logging
import re
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Self, TypeVar
from urllib.parse import quote

import httpx
import msgspec
import tenacity

from kombo_pipeline import certificates
from kombo_pipeline.kombo import retries
from kombo_pipeline.kombo.details import IntegrationDetails
from kombo_pipeline.kombo.errors import (
    KomboError,
    KomboProtocolError,
    KomboTooLargeError,
    KomboUnavailable,
    error_from_response,
    seconds,
)
from kombo_pipeline.kombo.filters import batches, filled, identity_of, timestamp
from kombo_pipeline.kombo.responses import MAX_BYTES, Page, Response, first_record_id
from kombo_pipeline.kombo.retries import LAST_ATTEMPT, OpenConnections, TimeBudget
from kombo_pipeline.kombo.webhooks import valid_integration_id

log = logging.getLogger(__name__)
T = TypeVar("T")

PAGE_SIZE = 250
"""Kombo's maximum; the guide asks for few calls with large pages."""
MAX_PAGES = 10_000
MAX_RESPONSE_SECONDS = 300.0
"""Seconds for a whole response: one that arrives byte by byte never reaches the read time-out."""
DETAILS_SECONDS = 20.0
"""Seconds to wait for the details of an integration, retries included. Jobs are fetched without them too."""
TIMEOUT = httpx.Timeout(connect=5, read=60, write=10, pool=5)

_MAX_CURSOR_LENGTH = 4000


def utc_now() -> datetime:
    """Return the time of this machine, aware, in UTC."""
    return datetime.now(UTC)


class Kombo:
    """A connection to Kombo's API for the length of one run; use it as a context manager.

    `api_url` ends in the version (`https://api.kombo.dev/v1`). A call whose error is retryable is tried
    `max_attempts` times. `max_total_wait` limits the seconds that pauses and failed requests may take, in one
    call, in one traversal, and in all calls of the run together; successful requests do not count. `sleep` takes
    seconds; without one, a pause ends at once when its traversal is closed. Raises ValueError for a URL or a key
    that cannot be sent.
    """

    def __init__(
        self,
        *,
        api_url: str,
        api_key: str,
        now: Callable[[], datetime] = utc_now,
        timeout: httpx.Timeout = TIMEOUT,
        max_attempts: int = 6,
        max_total_wait: float = 300,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        url = httpx.URL(api_url)
        # httpx would send credentials in the URL in place of the key.
        if url.scheme not in {"http", "https"} or not url.host or url.userinfo:
            raise ValueError("the API URL must be http(s)://HOST/…, without credentials in it")
        # Checked here because the transport's own complaint would print the key.
        if not re.fullmatch(r"[!-~]+", api_key):
            raise ValueError("the API key is empty or contains a blank, a line break or a non-ASCII character")
        self._api_key = api_key
        self._now = now
        self._max_attempts = max_attempts
        self._max_total_wait = max_total_wait
        self._sleep = sleep
        self.requests = 0
        """Number of requests sent, failed attempts included."""
        self._rate_limit_resets_at = 0.0
        self._timeout = timeout
        self._run_budget = TimeBudget(max_total_wait)
        self._connections = OpenConnections()
        self._http = httpx.Client(
            base_url=url,
            headers={
                "Authorization": f"Bearer {api_key}",
                "Accept": "application/json",
                "Accept-Encoding": "gzip",
                "User-Agent": "kombo_pipeline",
            },
            follow_redirects=False,
            # The environment's proxy and CA bundle are how many companies reach the internet (httpx does not
            # read .netrc by itself), but no proxy reaches a sandbox on this machine.
            verify=certificates.trusted(),
            trust_env=url.host not in {"localhost", "127.0.0.1", "::1"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the client cannot be used afterwards."""
        self._http.close()

    def job_pages(self, integration_id: str, *, updated_after: datetime | None = None) -> Generator[Page, None, None]:
        """Yield every page of the integration's jobs, of every status and deleted ones too, in Kombo's order.

        With `updated_after` (aware), only jobs that changed since, themselves or in nested data. There is no
        status filter, because it would hide closures. The same job may come twice. The next page is fetched while
        the caller handles this one; close the generator to stop early.
        """
        params = {"updated_after": timestamp(updated_after)} if updated_after else {}
        return self._traverse(_checked(integration_id), params)

    def find_jobs(
        self,
        integration_id: str,
        *,
        ids: Sequence[str] = (),
        remote_ids: Sequence[str] = (),
        job_codes: Sequence[str] = (),
        post_urls: Sequence[str] = (),
        name_contains: str | None = None,
    ) -> list[msgspec.Raw]:
        """Return the jobs that match any of the identifiers, once each, deleted ones too.

        One request per kind of identifier and batch, since Kombo ANDs different filters. An empty result does
        not prove that there is no such job: for a tool that does not provide the field, Kombo returns no jobs
        (with `ignore_unsupported_filters` it would return all of them). Raises ValueError for a
        blank value, and for a comma in an id or a code, which Kombo would read as two values.
        """
        _checked(integration_id)
        queries: list[dict[str, str]] = []
        for name, values in (("ids", ids), ("remote_ids", remote_ids), ("job_codes", job_codes)):
            queries += [{name: ",".join(batch)} for batch in batches(values)]
        queries += [{"post_url": filled(url)} for url in dict.fromkeys(post_urls)]
        if name_contains is not None:
            queries.append({"name_contains": filled(name_contains)})
        found: dict[str | bytes, msgspec.Raw] = {}
        budget = TimeBudget(self._max_total_wait)
        for query in queries:
            with closing(self._traverse(integration_id, query, budget)) as pages:
                for page in pages:
                    # Copied, so that a few jobs do not keep whole pages in memory.
                    found |= {identity_of(record): record.copy() for record in page.records}
        return list(found.values())

    def integration(self, integration_id: str) -> IntegrationDetails:
        """Return state and owner of an integration, also before its first sync has finished.

        Fails within DETAILS_SECONDS. A response of another shape is not requested again. An unreadable field is
        left out; the others are returned.
        """
        path = f"/integrations/{quote(_checked(integration_id), safe=':')}"
        budget = TimeBudget(min(DETAILS_SECONDS, self._max_total_wait))
        request = _Request("GET", path, integration_id)
        return self._call(request, lambda response: IntegrationDetails.of(response, integration_id), budget)

    def _traverse(
        self, integration_id: str, params: Mapping[str, str], budget: TimeBudget | None = None
    ) -> Generator[Page, None, None]:
        """Yield the pages of a query. After a response above our limit, start again with pages half as large.

        Kombo does not document whether a cursor stays valid with another page size, so the query starts from the
        beginning. The same records then come again; the page numbers continue.
        """
        budget = budget or TimeBudget(self._max_total_wait)
        number, size = 1, PAGE_SIZE
        while True:
            try:
                for page in self._pages(integration_id, params, size, number, budget):
                    yield page
                    number = page.number + 1
                return
            except KomboTooLargeError as error:
                if size == 1:
                    raise KomboTooLargeError(
                        f"job {error.record_id or 'without a readable id'} alone makes {error.message}; find out what "
                        "fills it, such as images in its description, and have it shortened in the ATS",
                        integration_id=integration_id,
                    ) from error
                size = max(1, size // 2)
                log.warning("Integration %s: %s; asked for again, %d jobs a page", integration_id, error.message, size)

    def _pages(
        self, integration_id: str, params: Mapping[str, str], size: int, first: int, budget: TimeBudget
    ) -> Generator[Page, None, None]:
        closed = threading.Event()
        seen: set[str] = set()
        scope = {"X-Integration-Id": integration_id}
        # The cursor carries no filters: every parameter goes out again with every page (docs.kombo.dev).
        params = {**params, "include_deleted": "true", "page_size": str(size)}
        most = MAX_PAGES * max(1, PAGE_SIZE // size)

        def fetch(number: int, cursor: str | None) -> Page:
            query = params
            if cursor is not None:
                if cursor in seen or number - first >= most or len(cursor) > _MAX_CURSOR_LENGTH:
                    raise KomboProtocolError(
                        f"page {number} cannot be asked for: its cursor was used before, or is too "
                        f"long, or there are more than {most} pages",
                        integration_id=integration_id,
                    )
                seen.add(cursor)
                query = {**params, "cursor": cursor}
            request = _Request("GET", "/ats/jobs", integration_id, headers=scope, params=query)

            def ask() -> Page:
                return self._call(
                    request, lambda response: Page.of(response, number=number, cursor=cursor), budget, closed
                )

            page = ask()
            if _is_blank(page.next_cursor):
                # A blank cursor cannot be sent. Ask once more; Kombo's own SDK takes it as the end.
                page = ask()
            if _is_blank(page.next_cursor):
                log.warning("Integration %s: the cursor after page %d is blank: the end", integration_id, number)
                page = replace(page, next_cursor=None)
            return page

        # One worker and one page ahead: errors arrive in order and memory holds two pages.
        with ThreadPoolExecutor(1, thread_name_prefix="kombo-prefetch") as prefetch:
            try:
                upcoming = prefetch.submit(fetch, first, None)
                while True:
                    page = upcoming.result()
                    if page.next_cursor is None:
                        yield page
                        return
                    upcoming = prefetch.submit(fetch, page.number + 1, page.next_cursor)
                    yield page
            finally:
                closed.set()

    def _call(
        self,
        request: "_Request",
        read: Callable[[Response], T],
        budget: TimeBudget,
        closed: threading.Event | None = None,
    ) -> T:
        """Send a request until its response can be read; stop when a retry cannot help or the budget is used up."""
        closed = closed or threading.Event()
        sleep = self._sleep or tenacity.sleep_using_event(closed)
        call = TimeBudget(min(budget.left, self._run_budget.left))
        if call.left <= 0:
            reason = f"pauses and failed requests have reached the limit of {self._max_total_wait:.0f} s"
            raise KomboUnavailable(reason, integration_id=request.integration_id)

        def pause(seconds: float) -> None:
            began = time.monotonic()
            sleep(seconds)
            call.left -= seconds
            budget.left -= seconds
            self._run_budget.left -= time.monotonic() - began

        def attempt() -> T:
            self._keep_pace(request, call, sleep)
            if closed.is_set():
                raise _ClosedError
            began = time.monotonic()
            try:
                return read(self._exchange(request, closed, max(call.left, LAST_ATTEMPT)))
            except KomboError as error:
                hung = time.monotonic() - began
                for each in (call, budget, self._run_budget):
                    each.left -= hung
                if isinstance(error, KomboProtocolError):
                    error.integration_id = request.integration_id
                raise

        def exhausted(state: tenacity.RetryCallState) -> bool:
            return state.attempt_number >= self._max_attempts or state.upcoming_sleep > call.left + LAST_ATTEMPT

        def report(state: tenacity.RetryCallState) -> None:
            log.warning(
                "%s %s, integration %s: attempt %d of %d failed, next in %.1f s: %s",
                *(request.method, request.path, request.integration_id),
                *(state.attempt_number, self._max_attempts, state.upcoming_sleep, retries.error_of(state)),
            )

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(lambda error: isinstance(error, KomboError) and error.retryable),
            wait=retries.pause_before_retry,
            stop=exhausted,
            before_sleep=report,
            sleep=pause,
            reraise=True,
        )
        return retrying(attempt)

    def _keep_pace(self, request: "_Request", call: TimeBudget, sleep: Callable[[float], None]) -> None:
        """Wait until a used-up rate limit is reset. It counts for the call, not for the run: others wait too."""
        wait = self._rate_limit_resets_at - time.monotonic()
        if wait <= 0:
            return
        if wait > call.left:
            reason = f"the rate limit is used up for another {wait:.0f} s"
            raise KomboUnavailable(reason, integration_id=request.integration_id, retry_after=wait)
        self._rate_limit_resets_at = 0.0
        call.left -= wait
        sleep(wait)

    def _exchange(self, request: "_Request", closed: threading.Event, budget: float) -> Response:
        """Send one request and return its whole response; raise a KomboError for any status but 200."""
        self.requests += 1
        requested_at, started = self._now(), time.monotonic()
        limit = min(MAX_RESPONSE_SECONDS, budget)
        chunks: list[bytes] = []
        size = 0
        try:
            with (
                self._connections.cut_after(limit + LAST_ATTEMPT),
                self._http.stream(
                    request.method,
                    request.path,
                    params=request.params,
                    headers=request.headers,
                    timeout=retries.within(self._timeout, budget),
                    extensions={"trace": self._connections.note},
                ) as stream,
            ):
                for chunk in stream.iter_raw():
                    chunks.append(chunk)
                    size += len(chunk)
                    if size > MAX_BYTES:
                        raise KomboTooLargeError(
                            f"a response of more than {MAX_BYTES} bytes",
                            record_id=first_record_id(b"".join(chunks[:8])),
                        )
                    if closed.is_set():
                        raise _ClosedError
                    if time.monotonic() - started > limit:
                        raise httpx.ReadTimeout(f"the response took more than {limit:.0f} s")
        except httpx.TransportError as error:
            reason = f"{type(error).__name__}: {error}"
            raise KomboUnavailable(reason, integration_id=request.integration_id) from error
        response = Response(b"".join(chunks), stream.headers, requested_at, self._now())
        if stream.status_code != 200:
            raise self._error(stream.status_code, response, request.integration_id)
        if response.headers.get("ratelimit-remaining") == "0":
            # Waiting before the next request takes as long as a 429 would, without a failed request.
            reset = seconds(response.headers.get("ratelimit-reset")) or 0.0
            self._rate_limit_resets_at = time.monotonic() + min(reset, retries.MAX_RETRY_WAIT)
        return response

    def _error(self, status: int, response: Response, integration_id: str | None) -> KomboError:
        try:
            body = response.text()
        except KomboProtocolError:
            body = b""
        # A proxy's error page may echo the request's headers.
        body = body.replace(self._api_key.encode(), b"[API key]")
        return error_from_response(status, response.headers, body, integration_id)


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    integration_id: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)


class _ClosedError(Exception):
    """The traversal was closed; nobody waits for the response any more."""


def _is_blank(cursor: str | None) -> bool:
    return cursor is not None and not cursor.strip()


def _checked(integration_id: str) -> str:
    if not valid_integration_id(integration_id):
        raise ValueError(f"not an integration id: {integration_id[:200]!r}")
    return integration_id
