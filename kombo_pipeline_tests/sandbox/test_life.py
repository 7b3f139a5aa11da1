"""Starting worlds and customers that live."""

import gzip
import time
from datetime import timedelta

import pytest

from kombo_pipeline.sandbox.life import Life, populate
from kombo_pipeline.sandbox.postings import from_postings
from kombo_pipeline.sandbox.world import World


def history(seed):
    world = World(seed)
    populate(world, integrations=4, jobs=120)
    life = Life(world)
    told = []
    for _ in range(400):
        world.clock.advance(timedelta(seconds=30))
        told.append(life.step())
    return world, told, [webhook.body for webhook in world.drain()]


def test_a_life_is_decided_by_its_seed():
    (_, told, sent), (_, told_again, sent_again) = history(1), history(1)
    assert (told, sent) == (told_again, sent_again)
    assert history(2)[1] != told


def test_a_life_shows_everything_that_can_happen():
    _, told, sent = history(1)
    happenings = (
        "opened; edited; closed; archived; deleted; restored; re-posted; upstream event for; SUCCEEDED; "
        "PARTIALLY_FAILED; AUTHENTICATION_FAILED; connected; disconnected; INVALID"
    )
    for word in happenings.split("; "):
        assert any(word in line for line in told), word
    assert len(sent) > 100


def test_after_a_last_full_sync_both_layers_agree():
    world, _, _ = history(1)
    for integration_id in world.integrations():
        world.sync(integration_id)
        alive = {k: v for k, v in world.kombo_jobs(integration_id).items() if v["remote_deleted_at"] is None}
        assert alive.keys() == set(world.ats_jobs(integration_id))
        for job_id, record in alive.items():
            kombos = {key: value for key, value in record.items() if key not in ("changed_at", "remote_deleted_at")}
            assert kombos == world.ats_job(integration_id, job_id)


def test_a_paused_life_stands_still_and_a_running_one_moves(world):
    life = Life(world, pace=0.005)
    life.active = False
    life.start()
    try:
        time.sleep(0.2)
        assert world.drain() == []
        life.active = True
        deadline = time.monotonic() + 10
        while not world.drain():
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        life.stop()


def test_a_starting_world_has_all_jobs_in_customers_of_different_sizes_one_of_them_late():
    world = World()
    ids = populate(world, integrations=5, jobs=2000)
    sizes = [len(world.ats_jobs(integration_id)) for integration_id in ids]
    assert sum(sizes) == 2000
    assert len(set(sizes)) == 5
    assert len({integration_id.partition(":")[0] for integration_id in ids}) == 5
    assert [world.integration(integration_id).synced for integration_id in ids] == [True] * 4 + [False]
    world.clock.advance(timedelta(seconds=8))
    assert world.integration(ids[-1]).synced


@pytest.mark.parametrize("name", ["postings.csv", "postings.csv.gz"])
def test_postings_become_one_integration_a_customer(tmp_path, name):
    text = (
        "ats_id,customer,title,location,department,employment_type,posted\n"
        '1,zoo,Löwenpfleger (m/w/d),"Berlin, Deutschland",Raubtiere,Vollzeit,2026-03-01\n'
        "2,acme,Engineer,,,Freelance,\n"
        "3,zoo,Cashier,Leipzig,,part-time,nonsense\n"
    )
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    world = World()
    acme, zoo = from_postings(world, path)
    assert world.integration(zoo).origin_id == "zoo"
    jobs = {job["name"]: job for job in world.kombo_jobs(zoo).values()}
    assert jobs.keys() == {"Löwenpfleger (m/w/d)", "Cashier"}
    keeper = jobs["Löwenpfleger (m/w/d)"]
    assert (keeper["location"]["city"], keeper["department"], keeper["employment_type"]) == (
        "Berlin",
        "Raubtiere",
        "FULL_TIME",
    )
    assert keeper["remote_created_at"] == "2026-03-01T00:00:00.000Z"
    assert "Löwenpfleger" in keeper["description"]
    (engineer,) = world.kombo_jobs(acme).values()
    assert engineer["employment_type"] == "Freelance"
    assert engineer["location"]["raw"] is None


def test_a_file_without_titles_is_refused_by_name(tmp_path):
    path = tmp_path / "other.csv"
    path.write_text("customer,name\nzoo,x\n")
    with pytest.raises(ValueError, match="no column title"):
        from_postings(World(), path)
