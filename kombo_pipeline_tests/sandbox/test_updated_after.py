"""What `updated_after` notices: own changes, and nested ones by the table Kombo gives for the parameter."""

from datetime import timedelta

import pytest

from kombo_pipeline.sandbox.clock import stamp

LISTS = ("stages", "screening_questions", "job_postings", "hiring_team")
FIELD = {
    "stages": "name",
    "screening_questions": "title",
    "job_postings": "title",
    "hiring_team": "last_name",
}


@pytest.fixture
def full_job(world, integration_id):
    """A job with entries in every list."""
    job_id = world.open_job(integration_id)
    for name in LISTS:
        world.add_nested(integration_id, job_id, name)
    world.sync(integration_id)
    return job_id


def noticed(api, job_id, change):
    """Whether the change of the job is in the incremental fetch; it is always in the record."""
    world, integration_id = api.world, api.integration_id
    watermark = stamp(world.clock.now())
    before = world.kombo_jobs(integration_id)[job_id]
    world.clock.advance(timedelta(minutes=1))
    change()
    world.sync(integration_id)
    after = world.kombo_jobs(integration_id)[job_id]
    assert after != before
    found = api.ids(updated_after=watermark, include_deleted="true")
    assert found <= {job_id}
    return found == {job_id}, after["changed_at"] != before["changed_at"]


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("act", ["add", "remove"])
def test_an_entry_added_or_removed_counts_and_leaves_changed_at(world, full_job, api, name, act):
    def change():
        if act == "add":
            world.add_nested(api.integration_id, full_job, name)
        else:
            world.remove_nested(api.integration_id, full_job, name, 0)

    assert noticed(api, full_job, change) == (True, False)


@pytest.mark.parametrize(
    ("name", "counts"),
    [("stages", False), ("screening_questions", True), ("job_postings", True), ("hiring_team", False)],
)
def test_an_edited_linked_record_counts_for_questions_and_postings(world, full_job, api, name, counts):
    def change():
        last = len(world.ats_job(api.integration_id, full_job)[name]) - 1
        world.edit_nested(api.integration_id, full_job, name, last, **{FIELD[name]: "Renamed"})

    assert noticed(api, full_job, change) == (counts, False)


def test_question_edits_did_not_count_in_may_2026(world, integration_id, full_job, api):
    world.behaviour.question_edits_count = False

    def change():
        world.edit_nested(integration_id, full_job, "screening_questions", 0, title="Renamed")

    assert noticed(api, full_job, change) == (False, False)


@pytest.mark.parametrize("act", ["edit", "close", "delete"])
def test_own_changes_and_deletions_count_and_move_changed_at(world, integration_id, full_job, api, act):
    changes = {
        "edit": lambda: world.edit_job(integration_id, full_job, salary_amount=1.0),
        "close": lambda: world.set_status(integration_id, full_job, "CLOSED"),
        "delete": lambda: world.delete_job(integration_id, full_job),
    }
    assert noticed(api, full_job, changes[act]) == (True, True)


def test_a_deletion_is_hidden_without_include_deleted(world, integration_id, full_job, api):
    watermark = stamp(world.clock.now())
    world.clock.advance(timedelta(minutes=1))
    world.delete_job(integration_id, full_job)
    world.sync(integration_id)
    assert api.ids(updated_after=watermark) == set()


def test_a_closure_is_hidden_by_a_status_filter(world, integration_id, full_job, api):
    watermark = stamp(world.clock.now())
    world.clock.advance(timedelta(minutes=1))
    world.set_status(integration_id, full_job, "CLOSED")
    world.sync(integration_id)
    assert api.ids(updated_after=watermark, statuses="OPEN") == set()
    assert api.ids(updated_after=watermark) == {full_job}


def test_the_boundary_is_exclusive_unless_switched(world, integration_id, full_job, api):
    at = stamp(world.clock.now())
    assert api.ids(updated_after=at) == set()
    world.behaviour.updated_after_inclusive = True
    assert full_job in api.ids(updated_after=at)
