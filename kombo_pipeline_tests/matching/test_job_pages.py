"""Which addresses look like the page of one job."""

import pytest

from kombo_pipeline.matching.addresses import read
from kombo_pipeline.matching.identifiers import AtsIdentity, OwnIdentity, decide
from kombo_pipeline.matching.job_pages import is_page_of_one_job

ONE_JOB = [
    "https://acme.com/jobs/12",
    "https://acme.com/jobs/12/apply",
    "https://acme.com/jobs?id=4",
    "https://acme.com/view_job.php?ref=4711",
    "https://acme.com/careers?jobId=1203",
    "https://acme.com/careers/search?jobId=1203",
    "https://acme.com/?stelle=verkaeufer-bonn",
    "https://acme.com/karriere#verkaeufer-bonn",
    "https://acme.com/careers#/job/1201",
    "https://acme.com/karriere/stellenangebote/pflegefachkraft-m-w-d-koeln/",
    "https://acme.com/jobs/senior-data-engineer",
    "https://jobs.acme.com/senior-data-engineer",
    "https://acme.com/fileadmin/stellen/anzeige_pflege_nacht.pdf",
    "https://acme.com/locations/berlin/jobs/4012",
    f"https://acme.com/careers/{'5ac21346-8e0c-4494-8e7a-3eb92ff77902'}",
    "https://acme.com/job/a7f3k9d2",
    "https://acme.com/emplois/infirmier-de-nuit-h-f",
    "https://boards.greenhouse.io/acme/jobs/401",
]
SEVERAL_JOBS = [
    "https://acme.com/careers",
    "https://acme.com/careers/",
    "https://acme.com/careers.html",
    "https://acme.com/de/karriere",
    "https://acme.com/jobs",
    "https://acme.com/jobs?page=2",
    "https://acme.com/jobs/page/2",
    "https://acme.com/jobs/2026",
    "https://acme.com/ausbildung/2026/",
    "https://acme.com/karriere/offene-stellen",
    "https://acme.com/unternehmen/karriere/stellenangebote.php?lang=de",
    "https://acme.com/jobs?department=12",
    "https://acme.com/jobs?location=koeln-innenstadt",
    "https://acme.com/jobs/search?q=nurse+4711",
    "https://acme.com/search-results?keywords=data-engineer",
    "https://acme.com/departments/sales-marketing",
    "https://acme.com/departments/12",
    "https://acme.com/category/engineering/12",
    "https://acme.com/locations/berlin-mitte",
    "https://jobs.acme.com/go/Engineering/1031544101/",
    "https://acme.com/jobs/jobs-in-berlin",
    "https://acme.com/karriere/stellenangebote-hamburg",
    "https://acme.com/careers/life-at-acme",
    "https://acme.com/karriere/arbeiten-bei-acme",
    "https://acme.com/apply",
    "https://acme.com/karriere/bewerbungsformular",
    "https://acme.com/apply?source=linkedin2026",
    "https://acme.com/careers#jobs",
    "https://acme.com/careers#open-positions",
    "https://acme.com/hr/trainee",
    "https://acme.com/karriere/initiativbewerbung",
    "https://acme.com/de",
    "https://acme.com/index.html",
    "https://boards.greenhouse.io/acme",
    "https://acme.wd3.myworkdayjobs.com/External",
    "https://jobs.lever.co/acme?team=sales",
]


@pytest.mark.parametrize("url", ONE_JOB)
def test_an_id_or_a_name_of_several_words_is_the_page_of_one_job(url: str) -> None:
    address = read(url)
    assert address is not None
    assert is_page_of_one_job(address)
    assert len(decide([OwnIdentity("1", post_url=url)], [AtsIdentity("A", urls=(url,))]).links) == 1


@pytest.mark.parametrize("url", SEVERAL_JOBS)
def test_a_page_that_jobs_could_share_names_none_even_if_one_job_alone_bears_it(url: str) -> None:
    address = read(url)
    assert address is not None
    assert not is_page_of_one_job(address)
    found = decide([OwnIdentity("1", post_url=url)], [AtsIdentity("A", urls=(url,))])
    assert (found.links, found.reviews) == ((), ())
