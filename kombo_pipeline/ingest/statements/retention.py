"""Statements that delete what is only of passing interest."""

from datetime import timedelta

from kombo_pipeline.db.connection import Connection


def empty_event_bodies(conn: Connection, *, older_than: timedelta) -> int:
    """Empty the bodies of events handled long ago; return how many. Their ids stay and keep repeated ones out."""
    return conn.execute(
        "update raw.webhook_events set body = null, payload = null where body is not null and handled_at < now() - %s",
        (older_than,),
    ).rowcount


def delete_pages(conn: Connection, *, older_than: timedelta) -> int:
    """Delete the pages of old fetches; return how many.

    Those since each integration's newest applied full fetch stay whatever their age: core.jobs can be
    rebuilt from them.
    """
    return conn.execute(
        "delete from raw.job_pages p using raw.fetches f where p.fetch_id = f.fetch_id "
        "and f.status not in ('running', 'landed') and f.requested_at < now() - %s and f.fetch_id < coalesce(("
        "select max(full_fetch.fetch_id) from raw.fetches full_fetch where full_fetch.kind = 'full' "
        "and full_fetch.status = 'applied' and full_fetch.integration_id = f.integration_id), 0)",
        (older_than,),
    ).rowcount
