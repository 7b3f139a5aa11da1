"""The official SDK as the oracle: what it cannot read, Kombo does not send."""

from datetime import timedelta
from pathlib import Path

import httpx
import kombo
import kombo.errors as sdk
import pytest
from kombo.models.connectionflowfailedwebhookpayload import ConnectionFlowFailedWebhookPayload
from kombo.models.datachangedwebhookpayload import DataChangedWebhookPayload
from kombo.models.integrationcreatedwebhookpayload import IntegrationCreatedWebhookPayload
from kombo.models.integrationdeletedwebhookpayload import IntegrationDeletedWebhookPayload
from kombo.models.integrationstatechangedwebhookpayload import IntegrationStateChangedWebhookPayload
from kombo.models.issuestatuschangedwebhookpayload import IssueStatusChangedWebhookPayload
from kombo.models.syncfinishedwebhookpayload import SyncFinishedWebhookPayload

from kombo_pipeline.sandbox.behaviour import Behaviour
from kombo_pipeline.sandbox.server import running
from kombo_pipeline.sandbox.world import World

WEBHOOK_MODELS = {
    "connection-flow-failed": ConnectionFlowFailedWebhookPayload,
    "data-changed": DataChangedWebhookPayload,
    "integration-created": IntegrationCreatedWebhookPayload,
    "integration-deleted": IntegrationDeletedWebhookPayload,
    "integration-state-changed": IntegrationStateChangedWebhookPayload,
    "issue-status-changed": IssueStatusChangedWebhookPayload,
    "sync-finished": SyncFinishedWebhookPayload,
}


def client(url, integration_id, key="sandbox-key"):
    return kombo.Kombo(server_url=url, api_key=key, integration_id=integration_id, timeout_ms=20_000)


def all_jobs(page):
    jobs = []
    while page is not None:
        jobs += page.result.data.results
        page = page.next()
    return jobs


def test_the_sdk_installed_is_not_a_package_of_these_tests():
    assert "site-packages" in str(Path(kombo.__file__))


@pytest.mark.parametrize("extras", [True, False])
def test_the_sdk_reads_every_page_of_a_full_fetch(extras):
    world = World(seed=2, behaviour=Behaviour(wire_extras=extras))
    integration_id = world.add_integration(jobs=260)
    with running(world) as sandbox:
        jobs = all_jobs(client(sandbox.url, integration_id).ats.get_jobs(page_size=100))
    assert {job.id for job in jobs} == world.kombo_jobs(integration_id).keys()
    assert len(jobs) == 260
    formats = {question.format_.TYPE for job in jobs for question in job.screening_questions}
    assert formats == {
        "TEXT", "NUMBER", "FILE", "SINGLE_SELECT", "MULTI_SELECT", "BOOLEAN", "DATE", "INFORMATION",
        "UNKNOWN",
    }  # fmt: skip


def test_the_sdk_reads_an_incremental_fetch_with_closures_and_deletions(world, integration_id, api):
    closed, deleted, edited, *_ = world.ats_jobs(integration_id)
    watermark = world.clock.now()
    world.clock.advance(timedelta(minutes=10))
    world.set_status(integration_id, closed, "CLOSED")
    world.delete_job(integration_id, deleted)
    world.edit_job(integration_id, edited, name="Chief of Everything")
    world.sync(integration_id)
    page = client(f"{api.origin}/v1", integration_id).ats.get_jobs(updated_after=watermark, include_deleted=True)
    jobs = {job.id: job for job in all_jobs(page)}
    assert jobs.keys() == {closed, deleted, edited}
    assert jobs[closed].status == "CLOSED"
    assert jobs[deleted].remote_deleted_at == world.clock.now()
    assert jobs[edited].name == "Chief of Everything"


def test_the_sdk_reads_details_key_check_and_forced_sync(world, integration_id, api):
    sdk_client = client(f"{api.origin}/v1", integration_id)
    details = sdk_client.general.get_integration_details(integration_id=integration_id).data
    assert (details.id, details.tool.id, details.status) == (integration_id, "greenhouse", "ACTIVE")
    assert details.read_models[0].id == "ats_jobs"
    assert sdk_client.general.check_api_key().data.environment_id
    assert sdk_client.general.trigger_sync(type_="FULL").data.already_queued is False
    assert [webhook.type for webhook in world.drain()] == ["sync-finished"]


def test_the_sdk_recognises_the_error_before_the_first_sync(world, api):
    pending = world.add_integration(jobs=3, synced=False)
    with pytest.raises(sdk.KomboAtsError) as refused:
        client(f"{api.origin}/v1", pending).ats.get_jobs()
    assert refused.value.status_code == 409
    assert refused.value.data.error.code == "INTEGRATION.SETUP_SYNC_PENDING"


def test_the_sdk_recognises_a_wrong_key(integration_id, api):
    with pytest.raises(sdk.KomboAtsError) as refused:
        client(f"{api.origin}/v1", integration_id, key="wrong").ats.get_jobs()
    assert refused.value.data.error.code == "PLATFORM.AUTHENTICATION_INVALID"


def test_the_sdk_reads_all_seven_webhooks():
    world = World(seed=4)
    integration_id = world.add_integration(jobs=5)
    world.resolve_issue(world.raise_issue(integration_id))
    world.raise_issue()
    world.set_state(integration_id, state="INVALID")
    world.connection_flow_failed()
    job_id = world.ats_jobs(integration_id)[0]
    for name in ("stages", "screening_questions", "job_postings", "hiring_team"):
        world.add_nested(integration_id, job_id, name)
        world.sync(integration_id, "PARTIALLY_FAILED")
        world.sync(integration_id)
        world.edit_nested(integration_id, job_id, name, 0, remote_id="edited")
        world.sync(integration_id)
    world.delete_integration(integration_id)
    delivered = world.drain()
    assert {webhook.type for webhook in delivered} == WEBHOOK_MODELS.keys()
    for webhook in delivered:
        read = WEBHOOK_MODELS[webhook.type].model_validate_json(webhook.body)
        assert read.model_dump(mode="json", by_alias=True).keys() == webhook.payload.keys()


def test_the_sdk_rejects_an_injected_oddity(world, integration_id, api):
    job_id = world.ats_jobs(integration_id)[0]
    world.set_raw(integration_id, job_id, lambda record: {**record, "remote_id": None})
    with pytest.raises(sdk.ResponseValidationError):
        all_jobs(client(f"{api.origin}/v1", integration_id).ats.get_jobs())
    world.set_raw(integration_id, job_id, None)
    assert len(all_jobs(client(f"{api.origin}/v1", integration_id).ats.get_jobs())) == 40


def test_the_sdk_meets_a_dropped_connection_as_an_http_error(world, integration_id, api):
    from kombo_pipeline.sandbox.traffic import Fault

    world.faults.append(Fault("drop"))
    with pytest.raises(httpx.HTTPError):
        client(f"{api.origin}/v1", integration_id).ats.get_jobs()
