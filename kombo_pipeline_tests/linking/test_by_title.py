"""Bare titles are answered as the matcher answers own jobs."""

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.linking.by_title import jobs_by_title
from kombo_pipeline.matching.job_features import JobText
from kombo_pipeline.matching.scoring import default_matcher
from kombo_pipeline_tests.backoffice.ats_jobs import add_integration, add_job, match

HERE = "personio:acme"
ATS = {
    "k1": ("Registered Nurse (m/f/d)", "Berlin"),
    "k2": ("Registered Nurse", "Hamburg"),
    "k3": ("Senior Backend Engineer", "Berlin"),
    "k4": ("Warehouse Worker", "Köln"),
}
TITLES = ["Nurse Hamburg", "backend engineer", "Elephant keeper", "", "\x00 !?"]


def test_titles_get_the_candidates_that_an_index_of_the_open_jobs_gives(conn: Connection) -> None:
    add_integration(conn, HERE, "acme", organization_name="Acme")
    for job, (title, place) in ATS.items():
        add_job(conn, HERE, job, name=title, location_raw=place)
    add_job(conn, HERE, "shut", name="Nurse Hamburg", status="CLOSED")
    match(conn, HERE)
    found = jobs_by_title(conn, TITLES, integration_id=HERE, customer="Acme")
    matcher = default_matcher()
    index = matcher.index([JobText(job, *texts) for job, texts in ATS.items()], customer="Acme")
    matches = matcher.candidates([JobText(str(n), title) for n, title in enumerate(TITLES)], index, k=3)
    assert [[each.kombo_job_id for each in proposed] for proposed in found] == [
        [candidate.ats.id for candidate in each.candidates] for each in matches
    ]
    assert found[0][0].kombo_job_id == "k2"
    assert found[3] == []


def test_an_integration_that_matching_has_not_read_proposes_nothing(conn: Connection) -> None:
    add_integration(conn, HERE, "acme")
    add_job(conn, HERE, "k1", name="Nurse")
    assert jobs_by_title(conn, ["Nurse"], integration_id=HERE, customer="Acme") == [[]]
