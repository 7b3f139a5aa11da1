"""Reads landed records again that an older version of the code has read, so that an upgrade reaches every job.

A new field of the record, or a better reading of an old one, comes into the tables without a fetch, and although Kombo
calls no job changed. Each rule of reading has a number (kombo/record.py); `raw.fetches` keeps the rule of each fetch,
and `core.integrations` the oldest one among the rows of core.jobs. An older one is due, whoever has written it.
"""

import logging
import time
from collections.abc import Sequence

import psycopg

from kombo_pipeline.db import leases
from kombo_pipeline.db.connection import Connection
from kombo_pipeline.ingest import health
from kombo_pipeline.ingest.apply import apply_landed_fetches, release_records
from kombo_pipeline.ingest.fetch import land_records
from kombo_pipeline.ingest.fetchable import may_be_fetched
from kombo_pipeline.ingest.statements import integrations, job_pages, landed_records, quarantined_records
from kombo_pipeline.kombo.record import RECORD_RULE
from kombo_pipeline.kombo.responses import read_page
from kombo_pipeline.linking import links

AT_ONCE = 2000
"""Records read again in one transaction."""

log = logging.getLogger(__name__)


def work_off(conn: Connection, *, seconds: float) -> tuple[int, int]:
    """Renew what is due for about so many seconds; return how many records were read, and how many integrations wait.

    An integration that another process works on is left to the next call, and one that fails keeps no other waiting.
    Raises RuntimeError at the end, which names those that failed.
    """
    until, records, failed = time.monotonic() + seconds, 0, {}
    for integration_id in integrations.read_by_older_rule(conn, RECORD_RULE):
        conn.commit()
        if time.monotonic() >= until:
            break
        try:
            records += renew(conn, integration_id, until=until)
        except (leases.LeaseTakenError, leases.LeaseLostError):
            continue
        except psycopg.OperationalError:
            raise
        except Exception as error:
            log.exception("the records of %s cannot be read again", integration_id)
            conn.rollback()
            failed[integration_id] = f"{type(error).__name__}: {error}".partition("\n")[0]
    waiting = len(integrations.read_by_older_rule(conn, RECORD_RULE))
    conn.commit()
    if failed:
        named = "; ".join(f"{integration_id} ({reason})" for integration_id, reason in failed.items())
        raise RuntimeError(f"Records that an older version has read cannot be read again: {named}. See the log.")
    return records, waiting


def renew(conn: Connection, integration_id: str, *, until: float | None = None) -> int:
    """Read the records of an integration again, batch after batch, until `until` (time.monotonic); return how many.

    Each batch goes the way of every record, in a transaction of its own: only fields that differ are written, with
    their history, and links follow. A job whose record was pruned is applied at its next sighting, whatever it holds.
    Raises LeaseTakenError when another process works on the integration.
    """
    odd = quarantined_records.of_older_rule(conn, integration_id, RECORD_RULE)
    conn.commit()
    if odd:
        release_records(conn, odd)
    done = 0
    with leases.hold(conn, integration_id, "fetch") as lease:
        with conn.transaction():
            apply_landed_fetches(conn, integration_id)
            landed = landed_records.of_older_rule(conn, integration_id, RECORD_RULE)
            lease.confirm(conn)
        for start in range(0, len(landed), AT_ONCE):
            if until is not None and time.monotonic() >= until:
                return done
            with conn.transaction():
                leases.limit_idle_time(conn)
                done += _read_again(conn, integration_id, landed[start : start + AT_ONCE])
                lease.confirm(conn)
        with conn.transaction():
            integration = integrations.lock(conn, integration_id)
            landed_records.apply_at_next_sighting(conn, integration_id, RECORD_RULE)
            if integration is not None:
                # The new rule may have changed what links and health follow from.
                links.follow_jobs(conn, integration_id)
                health.diagnose_and_store(conn, integration_id)
                integrations.update(conn, integration_id, {"record_rule": RECORD_RULE})
            lease.confirm(conn)
    return done


def _read_again(conn: Connection, integration_id: str, landed: Sequence[landed_records.LandedRecord]) -> int:
    integration = integrations.lock(conn, integration_id)
    if integration is None or not may_be_fetched(integration):
        return 0
    records: list[bytes] = []
    places: dict[int, dict[int, list[int]]] = {}
    for record in landed_records.still_shown(conn, integration_id, landed):
        places.setdefault(record.fetch_id, {}).setdefault(record.page_number, []).append(record.position)
    for fetch_id, pages in places.items():
        for page in job_pages.read(conn, fetch_id, list(pages)):
            found = read_page(page.body)
            records += [bytes(found[position - 1]) for position in pages[page.page_number]]
    if records:
        land_records(conn, integration_id, records)
        apply_landed_fetches(conn, integration_id)
    return len(records)
