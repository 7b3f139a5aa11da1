"""The customers' own jobs: what they are made of, and what identifiers and titles find in them."""

import csv
import io
from collections import Counter
from datetime import date, timedelta

import httpx
import pytest

from kombo_pipeline.matching.identifiers import AtsIdentity, OwnIdentity, decide
from kombo_pipeline.matching.job_features import JobText
from kombo_pipeline.matching.scoring import default_matcher
from kombo_pipeline.matching.titles import read_title
from kombo_pipeline.own_jobs import reading
from kombo_pipeline.own_jobs.files import BadRow
from kombo_pipeline.sandbox.job_feed import job_feed, own_jobs
from kombo_pipeline.sandbox.life import Life, populate
from kombo_pipeline.sandbox.postings import from_postings
from kombo_pipeline.sandbox.server import running
from kombo_pipeline.sandbox.world import World


@pytest.fixture(scope="module")
def populated():
    """A world as `make run` starts it."""
    world = World(seed=1)
    populate(world, integrations=5, jobs=2000)
    return world


def of_all(world):
    return {(key, job.id): job for key in world.integrations() for job in own_jobs(world, key)}


def read(world, integration_id):
    feed = job_feed(own_jobs(world, integration_id), publisher="The board & co")
    return list(reading.read(io.BytesIO(feed)))


def ats_side(world, integration_id):
    return [world.ats_job(integration_id, job_id) for job_id in world.ats_jobs(integration_id)]


def decided(world, integration_id):
    ats = [
        AtsIdentity(
            job["id"],
            job["name"],
            job["remote_id"],
            job["job_code"],
            tuple(filter(None, (job["post_url"], job["remote_url"], *(each["url"] for each in job["job_postings"])))),
            (job.get("location") or {}).get("raw"),
            job.get("department"),
            job.get("employment_type"),
        )
        for job in ats_side(world, integration_id)
    ]
    own = [
        OwnIdentity(
            job.own_job_id,
            job.title,
            job.kombo_job_id,
            job.remote_id,
            job.job_code,
            job.post_url,
            job.location,
            job.department,
            job.employment_type,
        )
        for job in read(world, integration_id)
    ]
    return decide(own, ats)


def test_three_in_ten_carry_an_identifier_a_larger_part_only_a_title_and_a_fifth_has_no_counterpart(populated):
    parts = Counter(job.truth.part for job in of_all(populated).values())
    share = {part: count / parts.total() for part, count in parts.items()}
    assert 0.23 <= share["identifier"] <= 0.35
    assert 0.38 <= share["title"] <= 0.55
    assert 0.16 <= share["none"] <= 0.25
    assert 0.01 <= share["collision"] <= 0.06
    assert 0.01 <= share["contradiction"] <= 0.04


def test_every_customer_has_own_jobs_of_each_of_the_three_large_parts(populated):
    for integration_id in populated.integrations():
        parts = Counter(job.truth.part for job in own_jobs(populated, integration_id))
        assert min(parts[part] for part in ("identifier", "title", "none")) >= 5


def test_own_jobs_are_decided_by_the_seed():
    def made(seed):
        world = World(seed)
        populate(world, integrations=2, jobs=200)
        return [job for key in world.integrations() for job in own_jobs(world, key)]

    assert made(3) == made(3)
    assert made(3) != made(4)


def test_own_jobs_stay_as_they_are_while_their_ats_jobs_change_and_new_ones_come_along():
    world = World(5)
    populate(world, integrations=2, jobs=300)
    before = of_all(world)
    life = Life(world, pace=1)
    for _ in range(600):
        world.clock.advance(timedelta(seconds=30))
        life.step()
    after = of_all(world)
    still = [key for key in before if key[0] in world.integrations()]
    assert still
    assert {key: after[key].fields for key in still} == {key: before[key].fields for key in still}
    assert any(key not in before and key[0] == still[0][0] for key in after)


def test_the_feed_is_read_without_a_bad_row_and_says_what_the_jobs_say(populated):
    for integration_id in populated.integrations():
        made = {job.id: job.fields for job in own_jobs(populated, integration_id)}
        rows = read(populated, integration_id)
        assert not [row for row in rows if isinstance(row, BadRow)]
        assert {row.own_job_id: row.title for row in rows} == {key: fields["title"] for key, fields in made.items()}
        for row in rows:
            fields = made[row.own_job_id]
            assert (row.job_code, row.remote_id, row.post_url, row.department, row.employment_type) == tuple(
                map(fields.get, ("requisitionid", "atsjobid", "url", "category", "jobtype"))
            )
            assert bool(row.posted_at) == ("date" in fields)
            assert row.location is None or row.location.startswith(fields["city"])


def test_feeds_have_gaps_and_no_two_jobs_with_one_id(populated):
    jobs = of_all(populated)
    assert len(set(jobs)) == sum(len(own_jobs(populated, key)) for key in populated.integrations())
    for name, least, most in (("date", 0.8, 0.95), ("city", 0.85, 0.97), ("category", 0.3, 0.7), ("jobtype", 0.5, 0.9)):
        assert least <= sum(name in job.fields for job in jobs.values()) / len(jobs) <= most, name


def test_nothing_that_is_imported_tells_the_truth(populated):
    for (integration_id, _), job in of_all(populated).items():
        text = job_feed([job], publisher="x").decode()
        assert integration_id not in text
        assert job.truth.ats_id is None or job.truth.ats_id not in text


def test_identifiers_link_exactly_the_part_that_has_them_by_every_way_there_is(populated):
    methods = Counter()
    for integration_id in populated.integrations():
        truth = {job.id: job.truth for job in own_jobs(populated, integration_id)}
        links = decided(populated, integration_id).links
        assert {link.own_id: link.ats_id for link in links} == {
            own_id: told.ats_id for own_id, told in truth.items() if told.part == "identifier"
        }
        methods.update(link.method for link in links)
    assert min(methods[method] for method in ("job_code", "remote_id", "post_url")) >= 20


def test_codes_and_addresses_come_in_other_spellings_than_the_ats_has(populated):
    respelled = Counter()
    for (integration_id, _), job in of_all(populated).items():
        if job.truth.part == "identifier":
            ats = populated.ats_job(integration_id, job.truth.ats_id)
            postings = [each["url"] for each in ats["job_postings"]]
            respelled["code"] += job.fields.get("requisitionid", ats["job_code"]) != ats["job_code"]
            if url := job.fields.get("url"):
                respelled["address"] += url not in [ats["post_url"], *postings]
                respelled["posting"] += "/postings/" in url
    assert min(respelled[way] for way in ("code", "address", "posting")) >= 10


def test_collisions_and_contradictions_go_to_review_and_nothing_else_does(populated):
    for integration_id in populated.integrations():
        truth = {job.id: job.truth.part for job in own_jobs(populated, integration_id)}
        reviews = {review.own_id: review.reason for review in decided(populated, integration_id).reviews}
        assert reviews.keys() == {own_id for own_id, part in truth.items() if part in ("collision", "contradiction")}
        for own_id, reason in reviews.items():
            assert truth[own_id] == "collision" or "is the same, but" in reason or "ATS jobs" in reason


def test_the_matcher_finds_the_part_that_has_only_a_title_but_titles_are_rewritten(populated):
    right = found = same = 0
    for integration_id in populated.integrations():
        ats = {job["id"]: job for job in ats_side(populated, integration_id)}
        truth = {job.id: job.truth for job in own_jobs(populated, integration_id) if job.truth.part == "title"}
        index = default_matcher().index(
            JobText(
                key,
                job["name"],
                location=", ".join(filter(None, map((job.get("location") or {}).get, ("city", "state", "country")))),
                department=job["department"] or "",
                posted=date.fromisoformat((job["opened_at"] or job["remote_created_at"])[:10]),
            )
            for key, job in ats.items()
        )
        own = [
            JobText(job.own_job_id, job.title, job.location or "", job.department or "", posted=job.posted_at)
            for job in read(populated, integration_id)
            if job.own_job_id in truth
        ]
        for match in default_matcher().candidates(own, index):
            counterpart = truth[match.own.id].ats_id
            found += 1
            right += bool(match.candidates) and match.candidates[0].ats.id == counterpart
            same += match.own.title == ats[counterpart]["name"]
    assert right / found >= 0.8
    assert same == 0


def test_who_has_no_counterpart_has_a_title_that_the_ats_lacks(populated):
    for integration_id in populated.integrations():
        cores = {read_title(job["name"]).core for job in ats_side(populated, integration_id)}
        for job in own_jobs(populated, integration_id):
            assert job.truth.part != "none" or read_title(job.fields["title"]).core not in cores


def test_a_sandbox_of_real_postings_has_own_jobs_too(tmp_path):
    path = tmp_path / "postings.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["customer", "title", "location", "department", "employment_type", "posted"])
        for number in range(200):
            writer.writerow(["zoo", f"Löwenpfleger {number} \x07& <Bär>", "Köln, NRW", "", "Vollzeit", "2026-03-01"])
            writer.writerow(["bar", "Barista", "", "", "", ""])
    world = World()
    bar, zoo = from_postings(world, path)
    rows = read(world, zoo)
    assert len(rows) > 100
    assert not [row for row in rows if isinstance(row, BadRow)]
    parts = Counter(job.truth.part for job in own_jobs(world, zoo))
    assert parts.keys() >= {"identifier", "title", "none"}
    assert not [j for j in own_jobs(world, bar) if j.truth.part == "none" and "barista" in j.fields["title"].casefold()]


def test_a_tool_without_codes_has_own_jobs_without_codes():
    world = World()
    integration_id = world.add_integration(jobs=200, unsupported=frozenset({"job_code", "remote_id"}))
    jobs = own_jobs(world, integration_id)
    assert any(job.truth.part == "identifier" for job in jobs)
    assert not any({"requisitionid", "atsjobid"} & job.fields.keys() for job in jobs)


def test_the_control_api_gives_the_feed_of_a_customer(world, integration_id):
    with running(world) as sandbox:
        url = f"{sandbox.origin}/sandbox/integrations/{integration_id}/own-jobs"
        answer = httpx.get(url)
        unknown = httpx.get(url.replace(integration_id, "nobody"))
    rows = list(reading.read(io.BytesIO(answer.content)))
    assert [row.own_job_id for row in rows] == [job.id for job in own_jobs(world, integration_id)]
    assert rows
    assert (unknown.status_code, unknown.json()) == (400, {"error": "there is no nobody"})
