"""The ATS changes at once, Kombo's copy only at a sync or an upstream event."""

from datetime import timedelta

import pytest

from kombo_pipeline.sandbox.world import World


@pytest.fixture
def job_id(world, integration_id):
    return world.ats_jobs(integration_id)[0]


def types(world):
    return [webhook.type for webhook in world.drain()]


def changed_models(world):
    return [
        {model["name"] for model in webhook.payload["data"]["changed_models"]}
        for webhook in world.drain()
        if webhook.type == "data-changed"
    ]


def test_an_edit_shows_only_after_a_sync(world, integration_id, job_id):
    before = world.kombo_jobs(integration_id)
    world.edit_job(integration_id, job_id, name="Renamed")
    assert world.ats_job(integration_id, job_id)["name"] == "Renamed"
    assert world.kombo_jobs(integration_id) == before
    assert world.drain() == []
    world.sync(integration_id)
    assert world.kombo_jobs(integration_id)[job_id]["name"] == "Renamed"
    assert types(world) == ["sync-finished", "data-changed"]


def test_a_sync_without_changes_sends_no_data_changed(world, integration_id):
    world.sync(integration_id)
    assert types(world) == ["sync-finished"]


def test_an_edit_that_is_taken_back_before_the_sync_is_no_change(world, integration_id, job_id):
    original = world.ats_job(integration_id, job_id)
    world.edit_job(integration_id, job_id, name="Mistake")
    world.edit_job(integration_id, job_id, **original)
    assert world.sync(integration_id).changed_models == ()


@pytest.mark.parametrize("state", ["FAILED", "TIMED_OUT", "CANCELLED", "AUTHENTICATION_FAILED", "WHATEVER"])
def test_a_sync_that_did_not_finish_copies_nothing(world, integration_id, job_id, state):
    world.edit_job(integration_id, job_id, name="Renamed")
    world.sync(integration_id, state)
    assert world.kombo_jobs(integration_id)[job_id]["name"] != "Renamed"
    (finished,) = world.drain()
    assert finished.payload["data"]["sync_state"] == state


def test_a_partially_failed_sync_copies_some_changes_and_no_deletion(world, integration_id):
    deleted, *edited = world.ats_jobs(integration_id)
    world.delete_job(integration_id, deleted)
    for job_id in edited:
        world.edit_job(integration_id, job_id, name="Renamed")
    world.sync(integration_id, "PARTIALLY_FAILED")
    copied = sum(job["name"] == "Renamed" for job in world.kombo_jobs(integration_id).values())
    assert 0 < copied < len(edited)
    assert world.kombo_jobs(integration_id)[deleted]["remote_deleted_at"] is None
    world.sync(integration_id)
    jobs = world.kombo_jobs(integration_id)
    assert all(jobs[job_id]["name"] == "Renamed" for job_id in edited)
    assert jobs[deleted]["remote_deleted_at"] is not None


def test_a_delta_sync_sees_edits_and_misses_deletions(world, integration_id, job_id):
    other = world.ats_jobs(integration_id)[1]
    world.delete_job(integration_id, job_id)
    world.edit_job(integration_id, other, name="Renamed")
    world.sync(integration_id, kind="DELTA")
    jobs = world.kombo_jobs(integration_id)
    assert (jobs[job_id]["remote_deleted_at"], jobs[other]["name"]) == (None, "Renamed")
    world.sync(integration_id, kind="FULL")
    assert world.kombo_jobs(integration_id)[job_id]["remote_deleted_at"] == "2026-09-14T09:00:00.000Z"


def test_an_upstream_event_copies_one_job_and_sends_data_changed_alone(world, integration_id, job_id):
    other = world.ats_jobs(integration_id)[1]
    world.edit_job(integration_id, job_id, name="Renamed")
    world.edit_job(integration_id, other, name="Renamed")
    world.upstream_event(integration_id, job_id)
    jobs = world.kombo_jobs(integration_id)
    assert (jobs[job_id]["name"], jobs[other]["name"] == "Renamed") == ("Renamed", False)
    assert types(world) == ["data-changed"]


def test_a_restored_job_keeps_its_id_and_loses_its_tombstone(world, integration_id, job_id):
    before = world.kombo_jobs(integration_id)[job_id]
    world.delete_job(integration_id, job_id)
    world.sync(integration_id)
    world.clock.advance(timedelta(days=1))
    world.restore_job(integration_id, job_id)
    world.sync(integration_id)
    after = world.kombo_jobs(integration_id)[job_id]
    assert after == before | {"changed_at": "2026-09-15T09:00:00.000Z"}


def test_a_reposted_job_has_another_id_and_the_same_content(world, integration_id, job_id):
    world.delete_job(integration_id, job_id)
    reposted = world.repost_job(integration_id, job_id)
    world.restore_job(integration_id, job_id)
    old, new = world.ats_job(integration_id, job_id), world.ats_job(integration_id, reposted)
    same = ("name", "job_code", "location", "department")
    assert [old[key] for key in same] == [new[key] for key in same]
    assert old["id"] != new["id"] == reposted
    assert old["remote_id"] != new["remote_id"]
    nested = ("stages", "screening_questions", "job_postings")
    assert not {e["id"] for name in nested for e in old[name]} & {e["id"] for name in nested for e in new[name]}


def test_a_tombstone_is_removed_after_14_days_and_not_before(world, integration_id, job_id, api):
    world.delete_job(integration_id, job_id)
    world.sync(integration_id)
    world.clock.advance(timedelta(days=14, seconds=-1))
    assert job_id in api.ids(include_deleted="true")
    assert job_id not in api.ids()
    world.clock.advance(timedelta(seconds=1))
    assert job_id not in api.ids(include_deleted="true")
    assert len(api.ids(include_deleted="true")) == 39


def test_a_tombstone_can_stay_with_null_fields_instead(world, integration_id, job_id, api):
    world.behaviour.anonymise_purged = True
    (before,) = api.jobs(ids=job_id)
    world.delete_job(integration_id, job_id)
    world.sync(integration_id)
    world.clock.advance(timedelta(days=14))
    (empty,) = api.jobs(ids=job_id, include_deleted="true")
    assert empty.keys() == before.keys()
    assert {key for key, value in empty.items() if value} == {"id", "changed_at", "remote_deleted_at"}
    world.restore_job(integration_id, job_id)
    world.sync(integration_id)
    assert api.jobs(ids=job_id) == [before | {"changed_at": "2026-09-28T09:00:00.000Z"}]


def test_a_switched_off_jobs_model_buries_every_job_and_switching_on_revives_them(world, integration_id, api):
    world.disable_jobs_model(integration_id)
    details = api.http.get(f"/integrations/{integration_id}").json()["data"]
    assert details["read_models"][0]["scope_config_setting"] == "DISABLED"
    assert details["data_expired_at"] is not None
    assert len(api.ids()) == 40
    world.sync(integration_id)
    assert api.ids() == set()
    assert len(api.ids(include_deleted="true")) == 40
    world.enable_jobs_model(integration_id)
    world.sync(integration_id)
    assert len(api.ids()) == 40


def test_the_first_successful_sync_completes_the_set_up(world):
    pending = world.add_integration(jobs=2, synced=False)
    world.drain()
    world.queue_sync(pending, delay=timedelta(seconds=8))
    assert world.integration(pending).blocked_by() == "INTEGRATION.SETUP_SYNC_PENDING"
    world.clock.advance(timedelta(seconds=8))
    assert [(w.type, w.integration_id) for w in world.drain()] == [
        ("integration-state-changed", pending),
        ("sync-finished", pending),
        ("data-changed", pending),
    ]
    assert world.integration(pending).blocked_by() is None


def test_switching_an_integration_off_cancels_its_running_sync(world, integration_id):
    world.queue_sync(integration_id, delay=timedelta(minutes=5))
    world.set_state(integration_id, state="INACTIVE")
    cancelled, moved = world.drain()
    assert cancelled.payload["data"]["sync_state"] == "CANCELLED"
    assert (moved.type, moved.payload["data"]["state"]) == ("integration-state-changed", "INACTIVE")
    world.clock.advance(timedelta(minutes=10))
    assert world.drain() == []


def test_a_person_edited_on_one_job_changes_on_every_job(world, integration_id):
    jobs = world.kombo_jobs(integration_id)
    job_id = next(job_id for job_id, job in jobs.items() if job["hiring_team"])
    person = jobs[job_id]["hiring_team"][0]["id"]
    world.edit_nested(integration_id, job_id, "hiring_team", 0, last_name="Renamed")
    world.sync(integration_id)
    names = [
        m["last_name"] for j in world.kombo_jobs(integration_id).values() for m in j["hiring_team"] if m["id"] == person
    ]
    assert len(names) > 1
    assert set(names) == {"Renamed"}


def test_an_integration_takes_its_id_and_ids_follow_from_it():
    first, second = World(), World(seed=9)
    for world in (first, second):
        world.add_integration(integration_id="personio:CBNMt7dSNCzBdnRTx87dev4E")
    made = [world.open_job("personio:CBNMt7dSNCzBdnRTx87dev4E", remote_id="4711") for world in (first, second)]
    assert made[0] == made[1]
    other = first.add_integration()
    assert first.open_job(other, remote_id="4711") != made[0]


def test_unknown_and_deleted_integrations_are_key_errors(world, integration_id):
    world.delete_integration(integration_id)
    for gone in (integration_id, "greenhouse:nobody"):
        with pytest.raises(KeyError):
            world.sync(gone)


def test_a_new_entry_and_an_edited_one_name_their_models(world, integration_id, job_id):
    world.add_nested(integration_id, job_id, "stages")
    world.sync(integration_id)
    world.edit_nested(integration_id, job_id, "stages", 0, name="Renamed")
    world.sync(integration_id)
    assert changed_models(world) == [
        {"ats_join_jobs_application_stages", "ats_application_stages"},
        {"ats_application_stages"},
    ]
