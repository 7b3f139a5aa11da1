"""Signatures, lenient reading, and which events are a reason to fetch."""

import base64
import hashlib
import hmac
import json
import typing

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kombo.models import ChangedModel

from kombo_pipeline.kombo.webhooks import (
    UNRELATED_MODELS,
    event_id_of,
    is_trigger,
    jsonb_text,
    parse,
    sign,
    valid_integration_id,
    verify,
)

GREENHOUSE = "greenhouse:CBNMt7dSNCzBdnRTx87dev4E"
END_USER = {"organization_name": "Acme, Inc.", "creator_email": "user@example.com", "origin_id": "36123"}
OWNER = {"tool": "greenhouse", "category": "ATS", "end_user": END_USER}
SCOPE = {
    "integration_id": GREENHOUSE,
    "integration_tool": "greenhouse",
    "integration_category": "ATS",
    "end_user": END_USER,
}


def changed(*names):
    return {
        "id": "e1",
        "type": "data-changed",
        "data": SCOPE | {"changed_models": [{"name": n} for n in names]},
    }


def finished(state, category="ATS"):
    data = SCOPE | {"sync_state": state, "integration_category": category}
    return {"id": "e2", "type": "sync-finished", "data": data}


# -- signature ---------------------------------------------------------------------------------------------

DOCUMENTED = (
    b'{"id":"Cbfk5sHtDxrSrJBRjsDtba13","type":"data-changed","data":{"integration_id":"greenhouse:'
    b'CBNMt7dSNCzBdnRTx87dev4E","integration_tool":"greenhouse","integration_category":"ATS",'
    b'"changed_models":[{"name":"ats_jobs"}]}}'
)


@pytest.mark.parametrize(
    ("secret", "raw", "signature"),
    [
        ("kombo-sandbox-webhook-secret", DOCUMENTED, "HlaYMiXFwz-qeLZtIYsEy0_LCufWq4hVGHJxDJbA9rI"),
        (
            "kombo-sandbox-webhook-secret",
            json.dumps(json.loads(DOCUMENTED), indent=2).encode(),
            "qMkpebN6yjCX5nNS03t_oyMBYYPgNAlaTBK2shx5qQQ",
        ),
        (
            "whsec_test_0123456789abcdef0123456789abcdef",
            b'{"id":"evt_2","type":"sync-finished"}',
            "y5-MCW-lTiUfG81_hO4TmeZJqbsMpRHXqT2DRCXzK-M",
        ),
    ],
)
def test_the_signature_is_that_of_independent_implementations(secret, raw, signature):
    assert sign(secret, raw) == signature
    assert verify([secret], raw, signature) == 0
    assert verify([secret], raw, signature.encode()) == 0


def test_the_secret_that_matched_is_told_by_its_index():
    assert verify(["new", "old"], b"body", sign("old", b"body")) == 1


def test_the_signature_covers_the_raw_bytes():
    assert verify(["secret"], b'{"a": 1}', sign("secret", b'{"a":1}')) is None


def test_a_signature_in_another_encoding_does_not_match():
    mac = hmac.new(b"secret", b"body", hashlib.sha256).digest()
    assert verify(["secret"], b"body", mac.hex()) is None
    assert verify(["secret"], b"body", base64.urlsafe_b64encode(mac)) is None
    assert verify(["secret"], b"body", base64.urlsafe_b64encode(mac).rstrip(b"=")) == 0


@pytest.mark.parametrize("header", [None, "", b"", "ü", "\ud800", b"\xff\x00", "ü" * 43])
def test_a_header_that_is_no_signature_is_refused_without_an_exception(header):
    assert verify(["secret"], b"body", header) is None


def test_an_empty_secret_signs_nothing():
    assert verify([""], b"body", sign("", b"body")) is None
    assert verify([], b"body", sign("", b"body")) is None


@given(st.text(min_size=1, alphabet=st.characters(exclude_categories=["Cs"])), st.binary())
def test_whatever_was_signed_verifies(secret, raw):
    assert verify(["other" + secret, secret], raw, sign(secret, raw)) == 1


# -- reading -----------------------------------------------------------------------------------------------

STATES = {"qa_status": "PASSED", "setup_status": "COMPLETED", "state": "INVALID"}
ISSUE = {"id": "Hgmr1xNyJcwXwPGWqxJygfT5", "type": "integration.authentication_failed", "status": "OPEN"}
ORDER = {"id": "Kipt3zQaLeyZyRJYszLajhV7", "status": "OPEN", "integration_id": GREENHOUSE}


@pytest.mark.parametrize(
    ("event_type", "data", "integration_id", "category", "trigger"),
    [
        ("data-changed", SCOPE | {"changed_models": [{"name": "ats_jobs"}]}, GREENHOUSE, "ATS", True),
        ("sync-finished", SCOPE | {"sync_state": "PARTIALLY_FAILED"}, GREENHOUSE, "ATS", True),
        ("integration-created", OWNER | {"id": GREENHOUSE}, GREENHOUSE, "ATS", True),
        ("integration-deleted", OWNER | {"id": GREENHOUSE}, GREENHOUSE, "ATS", False),
        ("integration-state-changed", SCOPE | STATES, GREENHOUSE, "ATS", False),
        ("connection-flow-failed", {"integration_category": "ATS", "log_url": "x"}, None, "ATS", False),
        (
            "issue-status-changed",
            {"issue": ISSUE, "integration": OWNER | {"id": GREENHOUSE}},
            GREENHOUSE,
            "ATS",
            False,
        ),
        ("issue-status-changed", {"issue": ISSUE, "integration": None}, None, None, False),
        ("assessment:order-received", ORDER, GREENHOUSE, None, False),
        ("inline-assessment:order-received", ORDER, GREENHOUSE, None, False),
        ("remote-event-received", SCOPE, GREENHOUSE, "ATS", True),
        ("ai-apply-application-status-updated", {"id": "abc"}, None, None, False),
        ("something-of-tomorrow", SCOPE, GREENHOUSE, "ATS", False),
    ],
)
def test_every_type_is_read_and_only_some_are_a_reason_to_fetch(event_type, data, integration_id, category, trigger):
    body = {"id": "Cbfk5sHtDxrSrJBRjsDtba13", "type": event_type, "data": data}
    event = parse(json.dumps(body, indent=2).encode())
    assert (event.event_id, event.event_type, event.payload) == ("Cbfk5sHtDxrSrJBRjsDtba13", event_type, body)
    assert (event.integration_id, event.category) == (integration_id, category)
    assert is_trigger(event.event_type, event.payload) is trigger


def test_an_event_of_the_guide_without_end_user_and_with_a_fractional_duration_is_read():
    data = {"sync_state": "SUCCEEDED", "sync_duration_seconds": 1800.5, "integration_id": "personio:8d1hpPsb"}
    event = parse(json.dumps({"id": "5gjA", "type": "sync-finished", "data": data}).encode())
    assert event.integration_id == "personio:8d1hpPsb"
    assert is_trigger(event.event_type, event.payload)


UNREADABLE = [
    b"",
    b"null",
    b"[]",
    b"{",
    b"<html>",
    b'{"id":"e","type":"t"',
    b'{"id":"e\xff","type":"t"}',
    b'{"type":"data-changed"}',
    b'{"id":null,"type":"t"}',
    b'{"id":7,"type":"t"}',
    b'{"id":"","type":"t"}',
    b'{"id":"e"}',
    b'{"id":"e","type":["t"]}',
    b'{"id":"e\\u0000","type":"t"}',
    b'{"id":"\\ud800","type":"t"}',
    b'{"id":"' + b"e" * 201 + b'","type":"t"}',
    b"[" * 100_000,
    b'{"id":"e","type":"t","n":' + b"1" * 5000 + b"}",
]


@pytest.mark.parametrize("raw", UNREADABLE, ids=range(len(UNREADABLE)))
def test_a_body_that_cannot_be_read_is_landed_under_its_hash(raw):
    assert parse(raw) is None
    assert event_id_of(raw, None) == "sha256:" + hashlib.sha256(raw).hexdigest()


def test_a_body_that_can_be_read_is_landed_under_its_own_id():
    raw = b'{"id":"evt_2","type":"sync-finished"}'
    assert event_id_of(raw, parse(raw)) == "evt_2"


@given(st.binary() | st.text().map(str.encode))
def test_no_body_makes_reading_fail(raw):
    event = parse(raw)
    assert event is None or event.event_id
    jsonb_text(raw)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(st.characters()),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["id", "integration", "category"]), inner),
    )
)
def test_no_shape_of_data_makes_an_event_unreadable(data):
    for event_type in ("data-changed", "sync-finished", "integration-created", "issue-status-changed"):
        event = parse(json.dumps({"id": "e", "type": event_type, "data": data}).encode())
        assert event.event_type == event_type
        assert event.integration_id is None or valid_integration_id(event.integration_id)
        assert is_trigger(event_type, event.payload) in {True, False}


@pytest.mark.parametrize(
    "integration_id",
    [
        "personio:CBNMt7dSNCzBdnRTx87dev4E",
        "bombohr:ats-dev",
        "sandbox:a_b.c~d@e+f=g",
        "x",
        "x" * 200,
    ],
)
def test_an_integration_id_is_opaque(integration_id):
    assert valid_integration_id(integration_id)


@pytest.mark.parametrize(
    "integration_id",
    [
        "",
        " personio:a",
        "personio:a b",
        "personio:a\n",
        "personio:\x00",
        "personio:\x7f",
        "personio:a...b",
        "personio:a,b",
        "personio:a/b",
        "..",
        ".",
        "-x",
        "personio:ü",
        "personio:\ud800",
        "x" * 201,
    ],
)
def test_an_id_that_fits_no_partition_is_dropped_and_its_event_kept(integration_id):
    assert not valid_integration_id(integration_id)
    body = {"id": "e", "type": "data-changed", "data": SCOPE | {"integration_id": integration_id}}
    event = parse(json.dumps(body).encode())
    assert (event.event_id, event.integration_id) == ("e", None)


# -- triggers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "trigger"),
    [
        ("SUCCEEDED", True),
        ("PARTIALLY_FAILED", True),
        ("A_STATE_OF_TOMORROW", True),
        (None, True),
        (["FAILED"], True),
        ("FAILED", False),
        ("TIMED_OUT", False),
        ("CANCELLED", False),
        ("AUTHENTICATION_FAILED", False),
    ],
)
def test_a_sync_that_may_have_brought_something_is_fetched(state, trigger):
    assert is_trigger("sync-finished", finished(state)) is trigger


@pytest.mark.parametrize(
    ("category", "trigger"),
    [
        ("ATS", True),
        ("ats", True),
        (None, True),
        (7, True),
        ("HRIS", False),
        ("LMS", False),
        ("ASSESSMENT", False),
    ],
)
def test_another_category_is_no_reason_to_fetch_jobs(category, trigger):
    assert is_trigger("sync-finished", finished("SUCCEEDED", category)) is trigger


def test_the_category_is_found_wherever_the_type_keeps_it():
    hris = {
        "id": "e",
        "type": "integration-created",
        "data": OWNER | {"id": "personio:x", "category": "HRIS"},
    }
    assert not is_trigger("integration-created", hris)
    assert parse(json.dumps(hris).encode()).category == "HRIS"


MODELS_THAT_SHOW = {
    "ats_jobs",
    "ats_job_postings",
    "ats_application_stages",
    "ats_screening_questions",
    "ats_users",
    "ats_roles",
    "ats_join_jobs_application_stages",
    "ats_join_jobs_screening_questions",
    "ats_join_jobs_users",
    "ats_join_user_job_role_assignments",
}


def test_every_model_of_the_sdk_is_known_to_show_in_jobs_or_not():
    names = set(typing.get_args(ChangedModel.model_fields["name"].annotation))
    assert {name for name in names if is_trigger("data-changed", changed(name))} == MODELS_THAT_SHOW
    assert names > UNRELATED_MODELS


def test_one_model_that_shows_is_enough():
    assert is_trigger("data-changed", changed("ats_candidates", "ats_jobs"))
    assert not is_trigger("data-changed", changed("ats_candidates", "ats_tags"))


def test_a_model_nobody_knows_is_fetched_and_no_model_at_all_is_not():
    assert is_trigger("data-changed", changed("ats_job_perks"))
    assert not is_trigger("data-changed", changed())


@pytest.mark.parametrize("models", [None, "ats_candidates", {}, [None], ["ats_candidates"], [{"name": 7}], [{}]])
def test_models_that_cannot_be_read_are_fetched(models):
    assert is_trigger("data-changed", {"data": SCOPE | {"changed_models": models}})


@pytest.mark.parametrize("payload", [None, {}, {"data": None}, {"data": []}])
def test_a_payload_that_was_not_kept_is_fetched(payload):
    assert is_trigger("data-changed", payload)
    assert is_trigger("sync-finished", payload)
    assert not is_trigger("integration-deleted", payload)


# -- jsonb -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"{", b'"\xff"', b"NaN", b"[1e400]", b"[" + b"1" * 5000 + b"]", b"[" * 100_000),
        *(rb'"\u0000"', rb'{"a\u0000":1}', rb'"\\\u0000"', rb'"\ud800"', rb'"\udc00\ud800"'),
    ],
    ids=lambda raw: raw[:12],
)
def test_what_postgres_cannot_keep_has_no_jsonb(raw):
    assert jsonb_text(raw) is None


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (rb'{"a": "\\u0000"}', r'{"a":"\\u0000"}'),
        (rb'"\\\\u0000"', r'"\\\\u0000"'),
        (rb'"\ud83d\ude00"', '"😀"'),
        ('{"ü": [1, 2.5, null, true]}'.encode(), '{"ü":[1,2.5,null,true]}'),
        (b"1e-400", "0.0"),
    ],
)
def test_what_only_looks_odd_is_kept(raw, text):
    assert jsonb_text(raw) == text


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(st.characters(codec="utf-8")),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    )
)
def test_jsonb_keeps_every_value_or_there_is_none(value):
    text = jsonb_text(json.dumps(value).encode())
    has_nul = any("\0" in string for string in strings_in(value))
    assert text is None if has_nul else json.loads(text) == value


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_postgres_accepts_every_jsonb_text(postgres_server, data):
    number = st.sampled_from(["1e-20000", "-0e-999999", "1e400"]) | st.from_regex(
        r"-?(0|[1-9][0-9]{0,400})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,6})?", fullmatch=True
    )
    string = st.from_regex(
        r'"([ -!#-\[\]-~ü😀]|\\["\\/bfnrtu]|\\u(0000|00[0-7][0-9a-f]|d[89cd][0-9a-f]{2}))*"', fullmatch=True
    )
    text = "[" + ",".join(data.draw(st.lists(number | string))) + "]"
    if (kept := jsonb_text(text.encode())) is not None:
        with psycopg.connect(postgres_server.url("postgres")) as conn:
            assert conn.execute("select jsonb_typeof(%s::jsonb)", [kept]).fetchone() == ("array",)


def strings_in(value):
    if isinstance(value, str):
        yield value
    for inner in value if isinstance(value, list) else []:
        yield from strings_in(inner)
    for key, inner in value.items() if isinstance(value, dict) else []:
        yield key
        yield from strings_in(inner)
