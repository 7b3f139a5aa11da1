"""The details of an integration: an odd field costs that field, an odd answer is asked for once."""

import json
from datetime import UTC, datetime

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kombo_pipeline.kombo.details import IntegrationDetails
from kombo_pipeline.kombo.errors import KomboError, KomboProtocolError
from kombo_pipeline.kombo.responses import Response
from kombo_pipeline_tests.kombo.test_client import ACME, DETAILS, JOBS, Reply, envelope, failure

WHOLE = DETAILS | {"read_models": [JOBS]}
ODD = {
    "an empty date": ({"data_expired_at": ""}, {"data_expired_at"}),
    "a date that is none": ({"data_expired_at": "soon", "created_at": 7}, {"data_expired_at", "created_at"}),
    "a date beyond the last one": ({"data_expired_at": "9999-12-31T23:59:59-05:00"}, {"data_expired_at"}),
    "a date before the first one": ({"created_at": "0001-01-01T00:00:00+02:00"}, {"created_at"}),
    "a tool that is a word": ({"tool": "personio"}, {"tool"}),
    "a tool that is a list": ({"tool": []}, {"tool"}),
    "a tool without a readable id": ({"tool": {"id": 7, "label": {}}}, {"tool.id", "tool.label"}),
    "an owner that is a word": ({"end_user": "acme"}, {"end_user"}),
    "an owner with a number": ({"end_user": {"origin_id": 36123}}, {"end_user.origin_id"}),
    "states that are none": ({"status": {}, "setup_status": 1}, {"status", "setup_status"}),
    "texts as long as their limits": (
        {
            "tool": {"id": "x" * 200, "label": "é" * 200},
            "end_user": {"origin_id": "x" * 500, "organization_name": "é" * 1000},
        },
        set(),
    ),
    "texts beyond their limits": (
        {
            **dict.fromkeys(("category", "status", "setup_status"), "x" * 201),
            "tool": {"id": "x" * 201, "label": "x" * 201},
            "end_user": {"origin_id": "x" * 501, "organization_name": "x" * 1001},
        },
        {
            "category",
            "status",
            "setup_status",
            "tool.id",
            "tool.label",
            "end_user.origin_id",
            "end_user.organization_name",
        },
    ),
    "models that are none": ({"read_models": {}}, {"read_models"}),
    "a model with odd flags": (
        {"read_models": [JOBS | {"is_available": "yes", "scope_config_setting": 1}]},
        {"read_models.is_available", "read_models.scope_config_setting"},
    ),
}


def response(body):
    now = datetime.now(UTC)
    return Response(body, httpx.Headers(), now, now)


def told(details):
    return {name: getattr(details, name) for name in details.__struct_fields__ if name != "unreadable"}


@pytest.mark.parametrize(("odd", "unreadable"), ODD.values(), ids=ODD)
def test_an_odd_field_costs_itself_and_nothing_beside_it(server, kombo, waits, odd, unreadable):
    server.script = [Reply(envelope(WHOLE)), Reply(envelope(WHOLE | odd))]
    whole, details = kombo.integration(ACME), kombo.integration(ACME)
    assert whole.unreadable == ()
    assert set(details.unreadable) == unreadable
    concerned = {name.partition(".")[0] for name in odd}
    belongs = {"tool": {"tool", "tool_label"}, "end_user": {"origin_id", "organization_name"}}
    belongs["read_models"] = {"jobs_model_enabled"}
    touched = set().union(*(belongs.get(name, {name}) for name in concerned))
    assert {name for name, value in told(whole).items() if getattr(details, name) != value} <= touched
    assert waits == []


@pytest.mark.parametrize("absent", [{"tool": None}, {"end_user": None}, {"status": None}, {"data_expired_at": None}])
def test_what_is_null_is_not_told_and_not_odd(server, kombo, absent):
    server.script = [Reply(envelope(WHOLE | absent))]
    assert kombo.integration(ACME).unreadable == ()


SHAPES = {
    "nothing": b"",
    "a page of HTML": b"<html>Welcome</html>",
    "null": b"null",
    "a list": b"[]",
    "no data": b'{"status":"success"}',
    "data that is a word": b'{"status":"success","data":"x"}',
    "another status": b'{"status":"error","data":{"id":"' + ACME.encode() + b'"}}',
    "another integration": envelope(WHOLE | {"id": "personio:other"}),
    "no id": envelope({name: value for name, value in WHOLE.items() if name != "id"}),
    "deep": b'{"status":"success","data":{"id":' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
    "damaged gzip": b"\x1f\x8b\x08no gzip",
}


@pytest.mark.parametrize("body", SHAPES.values(), ids=SHAPES)
def test_an_answer_of_another_shape_is_asked_for_once(server, kombo, waits, body):
    server.script, server.forever = [Reply(body)], True
    with pytest.raises(KomboProtocolError) as caught:
        kombo.integration(ACME)
    assert (caught.value.retryable, caught.value.integration_id) == (False, ACME)
    assert (len(server.received), waits) == (1, [])


def test_a_failure_that_may_pass_is_still_asked_for_again(server, kombo, waits):
    server.script = [failure(503, None), Reply(envelope(WHOLE))]
    assert kombo.integration(ACME).tool == "personio"
    assert len(waits) == 1


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("9999-12-31T23:59:59-05:00"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
inside = {
    "tool": st.fixed_dictionaries({}, optional={"id": anything, "label": anything}),
    "end_user": st.fixed_dictionaries({}, optional={"origin_id": anything, "organization_name": anything}),
    "read_models": st.lists(st.fixed_dictionaries({"id": st.just("ats_jobs")}, optional={"is_available": anything})),
}


@settings(max_examples=300, deadline=None)
@given(st.fixed_dictionaries({}, optional={name: inside.get(name, anything) | anything for name in WHOLE}))
def test_any_json_in_any_field_is_read_or_named(odd):
    body = json.dumps({"status": "success", "data": WHOLE | odd | {"id": ACME}}).encode()
    details = IntegrationDetails.of(response(body), ACME)
    for value in told(details).values():
        assert not isinstance(value, str) or b"\x00" not in value.encode()
    for name in ("category", "status", "setup_status"):
        value = (WHOLE | odd)[name]
        assert (name in details.unreadable) == (value is not None and not isinstance(value, str))


@given(st.binary(max_size=200))
def test_any_bytes_are_details_or_a_kombo_error(body):
    try:
        IntegrationDetails.of(response(body), ACME)
    except KomboError as error:
        assert not error.retryable
