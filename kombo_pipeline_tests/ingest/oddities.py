"""Fields that cannot be read, and customers whose jobs are application targets."""

import json
from typing import Any

from kombo_pipeline import limits
from kombo_pipeline_tests.ingest.model import Customer, Record

ODDITIES: dict[str, tuple[str, bytes]] = {
    "object for a number": ("salary_amount", b"{}"),
    "text for a number": ("weekly_hours", b'"40"'),
    "number beyond float": ("weekly_hours", b"1e999"),
    "integer beyond float": ("salary_amount_to", b"1" + b"0" * 400),
    "number for a text": ("job_code", b"4711"),
    "list for a text": ("name", b'["a"]'),
    "text for a truth": ("confidential", b'"yes"'),
    "text for an object": ("location", b'"Berlin"'),
    "list for an object": ("location", b"[]"),
    "number inside the location": ("location", b'{"city": 7, "country": "DE"}'),
    "number beyond integer": ("stages", b'[{"id": "x", "index": 3000000000}]'),
    "fraction for an integer": ("screening_questions", b'[{"id": "x", "index": 1.0}]'),
    "entry that is null": ("hiring_team", b"[null]"),
    "entry that is text": ("hiring_team", b'["x"]'),
    "entry without id": ("job_postings", b'[{"title": "x"}]'),
    "entry whose id is a number": ("job_postings", b'[{"id": 7}]'),
    "object for a list": ("stages", b'{"id": "x"}'),
    "text for a list": ("screening_questions", b'"none"'),
    "NUL in a text": ("name", b'"a\\u0000b"'),
    "NUL in free JSON": ("custom_fields", b'{"a\\u0000": "\\u0000"}'),
    "NUL in a nested text": ("stages", b'[{"id": "x", "name": "a\\u0000"}]'),
    "NUL in a nested id": ("stages", b'[{"id": "a\\u0000"}]'),
    "NUL under an unknown key": ("parking\\u0000", b'"\\u0000"'),
    "year nought": ("opened_at", b'"0000-12-31T00:00:00Z"'),
    "year 10000": ("closed_at", b'"+010000-01-01T00:00:00Z"'),
    "year minus one": ("closed_at", b'"-000001-01-01T00:00:00Z"'),
    "no date at all": ("opened_at", b'""'),
    "word for a day": ("opened_at", b'"tomorrow"'),
    "no such day": ("remote_created_at", b'"2026-02-31T00:00:00Z"'),
    "no such hour": ("remote_updated_at", b'"2026-02-01T25:00:00Z"'),
    "no such zone": ("remote_updated_at", b'"2026-02-01T12:00:00+99:00"'),
    "number for a date": ("changed_at", b"1764000000"),
    "number beyond numeric": ("custom_fields", b'{"a": 1e999999}'),
    "digits beyond numeric": ("remote_data", b'{"a": ' + b"9" * 140_000 + b"}"),
    "no UTF-8": ("name", b'"\xff"'),
    "no UTF-8 in free JSON": ("custom_fields", b'{"a": "\xff"}'),
    "title beyond its limit": ("name", b'"' + b"x" * (limits.TITLE.most + 1) + b'"'),
    "code beyond its limit": ("job_code", b'"' + b"7" * (limits.CODE.most + 1) + b'"'),
    "address beyond its limit": ("post_url", b'"https://' + b"a" * limits.ADDRESS.most + b'"'),
    "description beyond its limit": ("description", b'"' + "é".encode() * (limits.DESCRIPTION.most // 2 + 1) + b'"'),
    "JSON beyond its limit": ("remote_data", b'{"a": "' + b"x" * limits.JSON.most + b'"}'),
    "options beyond their limit": ("custom_fields", b'{"options": [' + b"1," * limits.ENTRIES + b"1]}"),
    "unknown text beyond its limit": ("parking", b'"' + b"x" * limits.JSON.most + b'"'),
    "city beyond its limit": ("location", b'{"city": "' + b"x" * (limits.NAME.most + 1) + b'", "country": "DE"}'),
    "entries beyond their limit": ("stages", b'[{"id": "x"}' + b', {"id": "x"}' * limits.ENTRIES + b"]"),
    "id of an entry beyond its limit": ("hiring_team", b'[{"id": "' + b"x" * (limits.KOMBO_ID.most + 1) + b'"}]'),
    "title of an entry beyond its limit": (
        "job_postings",
        b'[{"id": "x", "title": "' + b"x" * (limits.TITLE.most + 1) + b'"}]',
    ),
    "too deep": ("custom_fields", b"[" * 5000 + b"]" * 5000),
    "too deep under an unknown key": ("parking", b'{"a":' * 5000 + b"1" + b"}" * 5000),
    "too deep in an entry": ("stages", b'[{"id": "x", "remote_data": ' + b"[" * 5000 + b"]" * 5000 + b"}]"),
}
"""What it is -> field, and its JSON."""


def field_of(oddity: str) -> str:
    """The name under which `unreadable_fields` tells of an oddity."""
    field = ODDITIES[oddity][0]
    return "unknown_fields" if field.startswith("parking") else field


def odd(record: Record, *, key: str, text: bytes) -> bytes:
    """A record whose value under `key` (which may hold JSON's escapes) is any bytes."""
    rest = json.dumps({name: value for name, value in record.items() if name != key}).encode()
    return b'%s, "%s": %s}' % (rest[:-1], key.encode(), text)


def make_targets(acme: Customer, job_ids: list[str]) -> None:
    """Link and expose jobs, so that those which are open and publishable are application targets."""
    acme.conn.execute("update core.integrations set customer_id = coalesce(customer_id, 'acme')")
    for job_id in job_ids:
        names = {"job": job_id, "integration": acme.id}
        acme.conn.execute(
            "insert into core.own_jobs (customer_id, own_job_id, title) select customer_id, %(job)s, 'Own' "
            "from core.integrations where integration_id = %(integration)s",
            names,
        )
        acme.conn.execute(
            "insert into core.job_links (customer_id, own_job_id, integration_id, kombo_job_id, method, own_seen, "
            "ats_seen) select customer_id, %(job)s, integration_id, %(job)s, 'remote_id', '{}', '{}' "
            "from core.integrations where integration_id = %(integration)s",
            names,
        )
        acme.conn.execute(
            "insert into core.exposed_jobs (integration_id, kombo_job_id, exposed_by, channel) "
            "values (%(integration)s, %(job)s, 'ana', 'picker') on conflict do nothing",
            names,
        )
    acme.conn.commit()


def targets(acme: Customer) -> set[str]:
    """The jobs to which applications may be created now."""
    rows = acme.conn.execute(
        "select kombo_job_id from marts.application_targets where integration_id = %s", (acme.id,)
    ).fetchall()
    acme.conn.rollback()
    return {row["kombo_job_id"] for row in rows}


def row(acme: Customer, query: str, *parameters: Any) -> Record:
    """The only row of a query."""
    [found] = acme.conn.execute(query, parameters).fetchall()
    acme.conn.rollback()
    return found
