"""A customer between sandbox and warehouse, and plain pictures of what either side holds."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.ingest import events
from kombo_pipeline.ingest.apply import Applied, apply_landed_fetches
from kombo_pipeline.ingest.fetch import Landed, land_fetch
from kombo_pipeline.kombo import webhooks
from kombo_pipeline.kombo.client import Kombo
from kombo_pipeline.sandbox.api import API_KEY
from kombo_pipeline.sandbox.deliveries import Webhook
from kombo_pipeline.sandbox.query import Cursor
from kombo_pipeline.sandbox.traffic import Fault
from kombo_pipeline.sandbox.world import World

OVERLAP = timedelta(minutes=5)
NESTED_TABLES = {
    "stages": "job_stages",
    "screening_questions": "job_screening_questions",
    "job_postings": "job_postings",
    "hiring_team": "job_hiring_team",
}
# Columns that come from us, not from Kombo; and of nested entries, the key and the place in the list.
OURS = (
    "{integration_id,kombo_job_id,record_hash,first_seen_at,last_fetch_id,publishable,lifecycle,vanished_at,"
    "integration_gone_at,unknown_fields}"
)
INSTANTS = (
    "opened_at",
    "closed_at",
    "remote_created_at",
    "remote_updated_at",
    "changed_at",
    "remote_deleted_at",
)

Record = dict[str, Any]


class Served(NamedTuple):
    """A world on a port, and a client on the world's clock that does not sleep between its tries."""

    world: World
    kombo: Kombo
    url: str

    def restart(self, seed: int = 7) -> None:
        """Begin anew; the server keeps the object."""
        World.__init__(self.world, seed=seed)
        self.world.behaviour.rate_limit = None


class Customer:
    """One integration: its ATS and Kombo in a sandbox, its copy in a warehouse, the pipeline in between."""

    def __init__(self, conn: Connection, served: Served, *, jobs: int) -> None:
        self.conn, self.world, self.kombo = conn, served.world, served.kombo
        self.skew = timedelta(0)  # of our clock against Kombo's
        self.id = self.world.add_integration(jobs=jobs)
        self.world.drain()

    def now(self) -> datetime:
        """Our own clock."""
        return self.world.clock.now() + self.skew

    def land(self, *, full: bool = False, **options: Any) -> Landed:
        options = {"now": self.now} | options
        return land_fetch(self.conn, self.kombo, self.id, overlap=OVERLAP, full=full, **options)

    def apply(self) -> list[Applied]:
        applied = apply_landed_fetches(self.conn, self.id)
        self.conn.commit()
        return applied

    def fetch(self, *, full: bool = False) -> Applied:
        """One run of the pipeline; what its own fetch did."""
        landed = self.land(full=full)
        return next(applied for applied in self.apply() if applied.fetch_id == landed.fetch_id)

    def sync_and_fetch(self, *, full: bool = False) -> Applied:
        """Kombo reads the ATS, a minute later we read Kombo."""
        self.world.sync(self.id)
        self.world.clock.advance(timedelta(minutes=1))
        return self.fetch(full=full)

    def ids(self) -> list[str]:
        return self.world.ats_jobs(self.id)

    def distort(self, job_id: str, **keys: Any) -> None:
        """Send a job with other keys than Kombo's copy has."""
        self.world.set_raw(self.id, job_id, keys)

    def answer(self, *pages: list[Any]) -> None:
        """Let the coming traversal bring these pages instead of Kombo's copy; bytes go out as they are.

        Jobs that are then asked for by id are not there either.
        """
        for fault in [fault for fault in self.world.faults if fault.parameter == "ids"]:
            self.world.faults.remove(fault)
        for number, records in enumerate(pages, 1):
            following = b"null" if number == len(pages) else json.dumps(cursor_of(number + 1)).encode()
            texts = [r if isinstance(r, bytes) else json.dumps(r).encode() for r in records]
            body = b'{"status":"success","data":{"next":%s,"results":[%s]}}' % (following, b",".join(texts))
            fault = Fault("answer", status=200, body=body, headers={"content-type": "application/json"})
            fault.path, fault.page = "/ats/jobs", number
            self.world.faults.append(fault)
        nothing = b'{"status":"success","data":{"next":null,"results":[]}}'
        headers = {"content-type": "application/json"}
        self.world.faults.append(
            Fault("answer", status=200, body=nothing, headers=headers, parameter="ids", times=1000)
        )

    def kombo_job(self, job_id: str) -> Record:
        return self.world.kombo_jobs(self.id)[job_id]

    def job(self, job_id: str) -> Record:
        """The row of core.jobs; KeyError when there is none."""
        row = self.conn.execute(
            "select * from core.jobs where integration_id = %s and kombo_job_id = %s", (self.id, job_id)
        ).fetchone()
        if row is None:
            raise KeyError(job_id)
        return row

    def lifecycles(self) -> dict[str, str]:
        rows = self.conn.execute("select kombo_job_id, lifecycle from core.jobs where integration_id = %s", (self.id,))
        return {row["kombo_job_id"]: row["lifecycle"] for row in rows}

    def open_ids(self) -> list[str]:
        return sorted(job_id for job_id, lifecycle in self.lifecycles().items() if lifecycle == "open")

    def changes(self, job_id: str | None = None) -> list[tuple[str, str]]:
        """Field and event of every history row but the creations, in order."""
        rows = self.conn.execute(
            "select field, event from core.job_changes where integration_id = %(integration)s "
            "and event <> 'created' and (%(job)s::text is null or kombo_job_id = %(job)s) order by change_id",
            {"integration": self.id, "job": job_id},
        )
        return [(row["field"], row["event"]) for row in rows]

    def quarantined(self) -> list[Record]:
        return self.conn.execute(
            "select * from raw.quarantined_records where released_at is null order by quarantine_id"
        ).fetchall()

    def hold(self) -> Record | None:
        """The closure that waits for a person."""
        return self.conn.execute("select * from core.held_closures where decision is null").fetchone()

    def integration(self) -> Record:
        row = self.conn.execute("select * from core.integrations where integration_id = %s", (self.id,)).fetchone()
        assert row is not None
        return row

    def deliver(self, hooks: list[Webhook] | None = None) -> None:
        """Land webhooks as the receiver does and look at them; by default all that wait."""
        for hook in self.world.drain() if hooks is None else hooks:
            event = webhooks.parse(hook.body)
            assert event is not None
            self.conn.execute(
                "insert into raw.webhook_events (event_id, event_type, integration_id, body, payload, received_at) "
                "values (%s, %s, %s, %b, %s, %s) on conflict do nothing",
                (
                    webhooks.event_id_of(hook.body, event),
                    event.event_type,
                    event.integration_id,
                    hook.body,
                    webhooks.jsonb_text(hook.body),
                    self.world.clock.now(),
                ),
            )
        events.observe_events(self.conn)
        self.conn.commit()


def empty(conn: Connection) -> None:
    """Delete every row of the warehouse but those that tell its schema, and commit."""
    tables = conn.execute(
        "select string_agg(format('delete from %I.%I', schemaname, tablename), '; ') as statements from pg_tables "
        "where schemaname in ('raw', 'core') and tablename <> 'schema_versions'"
    ).fetchone()
    assert tables is not None
    conn.execute(f"set local session_replication_role = replica; {tables['statements']}")
    conn.commit()


def client(url: str, now: Callable[[], datetime], *, max_attempts: int = 3) -> Kombo:
    """A client of the sandbox that does not sleep between its tries."""
    return Kombo(api_url=url, api_key=API_KEY, now=now, max_attempts=max_attempts, sleep=lambda seconds: None)


def cursor_of(page: int) -> str:
    """A cursor of the sandbox's own making."""
    return Cursor(page=page).encode()


def stored(conn: Connection, integration_id: str) -> dict[str, Record]:
    """Our copy of every job: Kombo's columns and the nested lists, by id."""
    lists = ", ".join(
        f"(select coalesce(jsonb_agg(to_jsonb(c) - '{{integration_id,kombo_job_id,position}}'::text[] order by "
        f"c.id), '[]') from core.{table} c where c.integration_id = j.integration_id "
        f"and c.kombo_job_id = j.kombo_job_id) as {name}"
        for name, table in NESTED_TABLES.items()
    )
    rows = conn.execute(
        f"select kombo_job_id, to_jsonb(j) - %s::text[] as job, {lists} from core.jobs j where integration_id = %s",
        (OURS, integration_id),
    ).fetchall()
    return {row["kombo_job_id"]: _dated(row.pop("job") | row) for row in rows}


def as_stored(record: Record, like: Record) -> Record:
    """What our copy of a record must hold: the columns and nested keys of `like`, a stored one."""
    flat = record | {f"location_{key}": value for key, value in (record.get("location") or {}).items()}
    wanted = {key: flat.get(key) for key in like} | {"kombo_job_id": record["id"]}
    for name in NESTED_TABLES:
        keys = NESTED_KEYS[name]
        entries = sorted(record.get(name) or [], key=lambda entry: entry["id"])
        wanted[name] = [{key: entry.get(key) for key in keys} for entry in entries]
    return _dated(wanted)


NESTED_KEYS = {
    "stages": ("id", "remote_id", "name", "status", "index", "custom_fields", "remote_data"),
    "screening_questions": (
        *("id", "remote_id", "title", "description", "category", "required", "index", "format"),
        *("precondition_question_id", "precondition_options"),
    ),
    "job_postings": (*("id", "remote_id", "title", "description_html", "status", "visibility", "url", "remote_data"),),
    "hiring_team": (*("id", "remote_id", "first_name", "last_name", "email", "hiring_team_roles", "job_roles"),),
}


def assert_equals_kombo(customer: Customer) -> None:
    """Our copy equals Kombo's, job by job."""
    ours, theirs = stored(customer.conn, customer.id), customer.world.kombo_jobs(customer.id)
    assert ours.keys() == theirs.keys()
    for job_id, record in theirs.items():
        assert ours[job_id] == as_stored(record, ours[job_id])


# What two runs over the same upstream history must agree on; ids of fetches and our own clock may differ.
_SAME = {
    "core.jobs": "to_jsonb(t) - '{first_seen_at,last_fetch_id}'::text[]",
    **{f"core.{table}": "to_jsonb(t)" for table in NESTED_TABLES.values()},
    "core.job_changes": "to_jsonb(t) - '{change_id,fetch_id,observed_at}'::text[]",
    "core.held_closures": "to_jsonb(t) - '{hold_id,fetch_id,held_at,decided_at}'::text[]",
    "core.integrations": "jsonb_build_array(integration_id, kombo_last_sync_started_at, full_fetched_at, "
    "fetch_state, who_must_act)",
    "raw.quarantined_records": "jsonb_build_array(integration_id, kombo_job_id, record_hash, encode(record, 'hex'), "
    "reason, released_at is null)",
}


def picture(conn: Connection) -> dict[str, list[str]]:
    """Every table that follows from upstream, as sorted JSON lines; the history in order within each job."""
    pictures = {}
    for table, expression in _SAME.items():
        order = "change_id" if table == "core.job_changes" else "1"
        rows = conn.execute(f"select ({expression})::text as line from {table} t order by {order}").fetchall()
        pictures[table] = [row["line"] for row in rows]
    pictures["core.job_changes"].sort()
    conn.rollback()
    return pictures


def assert_history_has_no_gap(conn: Connection) -> None:
    """Each change begins where the one before ended, and the last one is the current state."""
    rows = conn.execute(
        "select *, lag(new_value) over w as before, row_number() over w as nth, "
        "row_number() over (partition by integration_id, kombo_job_id order by change_id) as nth_of_job "
        "from core.job_changes window w as (partition by integration_id, kombo_job_id, field order by change_id) "
        "order by change_id"
    ).fetchall()
    newest: dict[tuple[str, str, str], Any] = {}
    for row in rows:
        job = (row["integration_id"], row["kombo_job_id"])
        if row["nth_of_job"] == 1:
            assert (row["field"], row["event"]) == ("lifecycle", "created"), row
        assert row["event"] != "created" or row["nth_of_job"] == 1, row
        assert row["nth"] == 1 or row["old_value"] == row["before"], row
        assert row["old_value"] != row["new_value"], row
        newest[(*job, row["field"])] = row["new_value"]
    lifecycles = {(*key[:2],): value for key, value in newest.items() if key[2] == "lifecycle"}
    for row in conn.execute("select *, to_jsonb(j) as job from core.jobs j"):
        job = (row["integration_id"], row["kombo_job_id"])
        assert lifecycles.pop(job) == row["lifecycle"], row
        for key in [key for key in newest if key[:2] == job and key[2] not in NESTED_TABLES]:
            assert newest[key] == row["job"][key[2]], (key, newest[key])
    assert not lifecycles, "history of jobs that are not there"
    conn.rollback()


def _dated(record: Record) -> Record:
    dated = {key: _instant(record[key]) for key in INSTANTS if isinstance(record.get(key), str)}
    return record | dated


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
