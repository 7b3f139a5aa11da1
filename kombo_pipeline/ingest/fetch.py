"""Fetches an integration's jobs and lands the pages as received."""

from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import msgspec
import psycopg
import xxhash
from isal import igzip

from kombo_pipeline.db import leases
from kombo_pipeline.db.connection import Connection
from kombo_pipeline.ingest import health
from kombo_pipeline.ingest.fetchable import may_be_fetched, why_not_fetched
from kombo_pipeline.ingest.statements import fetches, forgotten, integrations, job_pages
from kombo_pipeline.ingest.statements.integrations import Integration
from kombo_pipeline.kombo.client import Kombo
from kombo_pipeline.kombo.details import IntegrationDetails
from kombo_pipeline.kombo.errors import KomboError, KomboNotReady, KomboRefused, KomboUnavailable
from kombo_pipeline.kombo.record import read_id
from kombo_pipeline.kombo.responses import Page, read_page
from kombo_pipeline.vocabulary import FetchKind, FetchStatus

# Kombo purges tombstones 14 days after a deletion; a full fetch that fails must still find time for another.
FULL_FETCH_FORCED_AFTER = timedelta(days=10)
MAX_ABSENT_ASKED = 5000
"""Ids asked for at most, 100 a request."""
_CLOCK_TOLERANCE = timedelta(minutes=5)


@dataclass(frozen=True)
class Plan:
    """Which jobs to ask for: all, or those updated after an instant of Kombo's clock (UTC)."""

    kind: FetchKind
    updated_after: datetime | None
    why: str


def plan(integration: Integration, *, now: datetime, overlap: timedelta, full: bool = False) -> Plan:
    """Decide between a full and an incremental fetch.

    The overlap covers what is not documented: whether `updated_after` is inclusive, and changes that become
    visible some time after their timestamp. Records that come twice are recognised by their hash.
    """
    watermark, full_fetched_at = integration.kombo_last_sync_started_at, integration.full_fetched_at
    if full:
        return Plan("full", None, "a full fetch was asked for")
    if integration.closures_await_details and integration.details_error is None:
        return Plan("full", None, "jobs were left open while the details of the integration were unknown")
    if watermark is None or full_fetched_at is None:
        return Plan("full", None, "nothing was fetched before")
    if now - full_fetched_at > FULL_FETCH_FORCED_AFTER:
        return Plan("full", None, "the newest full fetch is so old that purged tombstones may have been missed")
    if max(watermark, full_fetched_at) > now + _CLOCK_TOLERANCE:
        return Plan("full", None, "the newest fetch lies in the future, so a clock has jumped")
    return Plan("incremental", watermark - overlap, "changes since the watermark, less the overlap")


@dataclass(frozen=True)
class Landed:
    """How a fetch ended."""

    status: Literal["landed", "waiting", "gone"]
    """waiting: the first sync is pending; gone: the integration was deleted, or another one has taken over."""
    fetch_id: int | None = None
    kind: FetchKind | None = None
    why: str = ""
    updated_after: datetime | None = None
    pages: int = 0
    records: int = 0
    log_url: str | None = None
    details_error: str | None = None
    """Why the details of the integration are not known; None when they are."""


def land_fetch(
    conn: Connection,
    kombo: Kombo,
    integration_id: str,
    *,
    overlap: timedelta,
    full: bool = False,
    dagster_run_id: str | None = None,
    ended_run: str | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Landed:
    """Traverse GET /ats/jobs for an integration and land each page in a transaction of its own.

    A first sync that has not finished is a state, not a failure: it returns with status `waiting`. Raises
    KomboRefused and KomboUnavailable after noting them as the integration's state, LeaseTakenError when another
    process fetches it, LeaseLostError when another one took it over, ForgottenError when it must not come back. A
    new id that Kombo does not know is not kept. A lease of `ended_run` is taken over.
    """
    with leases.hold(conn, integration_id, "fetch", run_id=dagster_run_id, ended_run=ended_run) as lease:
        is_new, integration = _registered(conn, kombo, integration_id, lease, now=now)
        if (why := why_not_fetched(integration)) is not None:
            return Landed("gone", why=why)
        chosen = plan(integration, now=now(), overlap=overlap, full=full)
        fetch_id = fetches.start(
            conn,
            integration_id=integration_id,
            kind=chosen.kind,
            updated_after=chosen.updated_after,
            requested_at=now(),
            dagster_run_id=dagster_run_id,
        )
        lease.confirm(conn)
        conn.commit()
        try:
            with closing(kombo.job_pages(integration_id, updated_after=chosen.updated_after)) as pages:
                for page in pages:
                    _land(conn, fetch_id, page)
            if chosen.kind == "full":
                _ask_for_absent_jobs(conn, kombo, integration_id, fetch_id, page_number=page.number + 1)
        except KomboError as error:
            if not _is_first_sync_awaited(conn, integration_id, fetch_id, error, lease, is_new=is_new):
                raise
            return Landed("waiting", fetch_id, chosen.kind, str(error), log_url=error.log_url)
        except Exception as error:
            _abandon(conn, fetch_id, error)
            raise
        fetches.finish(conn, fetch_id, "landed")
        fetch = fetches.newest(conn, integration_id)
        lease.confirm(conn)
        conn.commit()
    assert fetch is not None
    landed = Landed("landed", fetch_id, chosen.kind, chosen.why, chosen.updated_after)
    return replace(landed, pages=fetch.pages, records=fetch.records, details_error=integration.details_error)


def land_records(conn: Connection, integration_id: str, records: Sequence[bytes]) -> int:
    """Land records as a fetch of their own that moves no watermark, in the caller's transaction; return its id."""
    fetch_id = fetches.start(
        conn,
        integration_id=integration_id,
        kind="release",
        updated_after=None,
        requested_at=datetime.now(UTC),
        dagster_run_id=None,
    )
    _insert_page(conn, fetch_id, _page_of(records, number=1))
    fetches.finish(conn, fetch_id, "landed")
    return fetch_id


def hash_record(record: msgspec.Raw | bytes) -> str:
    """Return the 128-bit XXH3 of a record's bytes, in hexadecimal.

    It need not resist forgery: whoever could forge the hash of a record can change the record itself.
    """
    return xxhash.xxh3_128_hexdigest(record)


def _land(conn: Connection, fetch_id: int, page: Page) -> None:
    # A page that is lost in a crash of Postgres is fetched again; only the end of the fetch must be durable.
    fetches.let_commit_return_early(conn)
    if page.number == 1:
        fetches.set_started_at(conn, fetch_id, started_at(page))
    _insert_page(conn, fetch_id, page)
    conn.commit()


def started_at(first_page: Page) -> datetime:
    """Return the instant on Kombo's clock at which a traversal began, never later than our own clock.

    Kombo compares `updated_after` with its own clock, which the Date header shows. If our clock ran ahead, the
    changes in between would be lost.
    """
    if first_page.kombo_date is None:
        return first_page.requested_at
    return min(first_page.kombo_date, first_page.requested_at)


def _ask_for_absent_jobs(
    conn: Connection, kombo: Kombo, integration_id: str, fetch_id: int, *, page_number: int
) -> None:
    """Ask by id for live jobs that the traversal did not show, and land the responses as a further page.

    Kombo promises neither an order nor a snapshot over the pages, so a job may slip between two of them. A job that
    is missing even when its id is asked for has vanished. Of more than MAX_ABSENT_ASKED jobs none is asked for,
    because a person must decide about so many anyway.
    """
    absent = job_pages.live_jobs_not_shown(conn, integration_id=integration_id, fetch_id=fetch_id)
    conn.commit()
    if absent and len(absent) <= MAX_ABSENT_ASKED:
        askable = [job_id for job_id in absent if "," not in job_id and job_id.strip()]
        _insert_page(conn, fetch_id, _page_of(kombo.find_jobs(integration_id, ids=askable), number=page_number))
        conn.commit()


def _page_of(records: Sequence[msgspec.Raw | bytes], *, number: int) -> Page:
    body = b'{"status":"success","data":{"next":null,"results":[' + b",".join(map(bytes, records)) + b"]}}"
    compressed, now = igzip.compress(body, 1, mtime=0), datetime.now(UTC)
    return Page(number, compressed, read_page(compressed), None, None, now, now, None)


def _insert_page(conn: Connection, fetch_id: int, page: Page) -> None:
    job_pages.land(
        conn,
        fetch_id,
        page_number=page.number,
        cursor=page.cursor,
        next_cursor=page.next_cursor,
        fetched_at=page.fetched_at,
        body=page.body,
        record_ids=[read_id(record) for record in page.records],
        record_hashes=[hash_record(record) for record in page.records],
    )


def _registered(
    conn: Connection, kombo: Kombo, integration_id: str, lease: leases.Held, *, now: Callable[[], datetime]
) -> tuple[bool, Integration]:
    """Register an integration and update its details; return whether it is new, and the integration."""
    forgotten.refuse(conn, integration_id)
    is_new = integrations.register(conn, integration_id)
    integrations.update(conn, integration_id, {"fetch_attempted_at": now()})
    integration = integrations.get(conn, integration_id)
    assert integration is not None
    conn.commit()
    if may_be_fetched(integration):
        _refresh_details(conn, kombo, integration_id, lease, read_at=now())
        integration = integrations.get(conn, integration_id) or integration
    return is_new, integration


def _refresh_details(
    conn: Connection, kombo: Kombo, integration_id: str, lease: leases.Held, *, read_at: datetime
) -> None:
    """Update what Kombo tells of the integration; what it does not tell keeps its stored value."""
    try:
        details = kombo.integration(integration_id)
    except KomboError as error:
        who = None if isinstance(error, KomboUnavailable | KomboNotReady) else error.who_must_act
        reason = f"Kombo does not give the details of the integration: {error}."
        integrations.update(conn, integration_id, {"details_error": reason, "details_error_by": who})
        health.diagnose_and_store(conn, integration_id)
    else:
        odd = f"Kombo's details of the integration are odd in {', '.join(details.unreadable)}."
        error_by = {"details_error": odd, "details_error_by": "kombo"}
        integrations.update(conn, integration_id, error_by if details.unreadable else dict.fromkeys(error_by))
        health.note_details(conn, integration_id, _known(details), read_at=read_at)
    lease.confirm(conn)
    conn.commit()


def _known(details: IntegrationDetails) -> dict[str, Any]:
    """Return the columns that follow from the details, without those of fields that cannot be read."""
    told = {
        "organization_name": (details.organization_name, ("end_user", "end_user.organization_name")),
        "tool": (details.tool, ("tool", "tool.id")),
        "category": (details.category, ("category",)),
        "state": (details.status, ("status",)),
        "setup_status": (details.setup_status, ("setup_status",)),
        "jobs_model_enabled": (details.jobs_model_enabled, ("read_models",)),
        "data_expired_at": (details.data_expired_at, ("data_expired_at",)),
    }
    odd = {*details.unreadable, *("read_models" for name in details.unreadable if name.startswith("read_models"))}
    known = {column: value for column, (value, fields) in told.items() if odd.isdisjoint(fields)}
    # Keep the known customer if Kombo omits origin_id.
    return known | ({"customer_id": details.origin_id} if details.origin_id else {})


def _is_unknown(error: KomboError) -> bool:
    """Whether Kombo says that there is no such integration under this key."""
    return error.code == "PLATFORM.INTEGRATION_NOT_FOUND" or (error.code is None and error.status == 404)


def _abandon(conn: Connection, fetch_id: int, error: Exception) -> None:
    """Mark a fetch that failed by a fault of ours as abandoned, so that it does not look interrupted by a kill."""
    with suppress(psycopg.Error, fetches.FetchAbandonedError):
        conn.rollback()
        fetches.finish(conn, fetch_id, "abandoned", error=f"{type(error).__name__}: {error}"[:2000])
        conn.commit()


def _is_first_sync_awaited(
    conn: Connection, integration_id: str, fetch_id: int, error: KomboError, lease: leases.Held, *, is_new: bool
) -> bool:
    """Note a failed fetch, and forget a new id that Kombo does not know; return whether it only came too early."""
    conn.rollback()
    if is_new and _is_unknown(error):
        integrations.unregister(conn, integration_id)
        conn.commit()
        return False
    status: FetchStatus = "refused" if isinstance(error, KomboRefused) else "unavailable"
    if isinstance(error, KomboNotReady):
        status = "waiting"
    fetches.finish(conn, fetch_id, status, error=str(error), log_url=error.log_url)
    integrations.update(
        conn,
        integration_id,
        {"fetch_state": status, "fetch_error_code": error.code, "fetch_error": error.message},
    )
    health.diagnose_and_store(conn, integration_id, fetch_error_by=error.who_must_act)
    lease.confirm(conn)
    conn.commit()
    return status == "waiting"
