"""Identifiers link alone when they are sure, and ask a person when they are not."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kombo_pipeline.matching.addresses import canonical_url
from kombo_pipeline.matching.identifiers import (
    MAX_JOBS_PER_KEY,
    AtsIdentity,
    IdentifierResult,
    Link,
    OwnIdentity,
    Review,
    decide,
)
from kombo_pipeline.matching.objections import Side, objections


def decided(own: list[OwnIdentity], ats: list[AtsIdentity]) -> IdentifierResult:
    return decide(own, ats)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "n/a", "-", "apply by mail", "mailto:jobs@example.com", "javascript:alert(1)", "ftp://example.com/1",
        "file:///etc/passwd", "https://", "https://example.com", "https://example.com/", "https://example.com/#",
        "https://exa mple.com/jobs/1", "https://example.com:port/1", "https://[::1/jobs/1", "\0", "1.5/2",
    ],
)  # fmt: skip
def test_what_is_no_address_of_a_page_has_no_canonical_form(text: str) -> None:
    assert canonical_url(text) is None


@settings(max_examples=300, deadline=None)
@given(st.text() | st.from_regex(r"https?://[\w.-]{1,12}(:\d+)?(/[\w%. -]{0,8}){0,4}(\?\S{0,20})?", fullmatch=True))
def test_an_address_in_its_canonical_form_stays_as_it_is(text: str) -> None:
    form = canonical_url(text)
    assert form is None or not form.startswith("https://") or canonical_url(form) == form


@settings(deadline=None)
@given(st.text(st.characters(categories=["Cs", "Cc", "L", "N"])))
def test_halves_of_surrogate_pairs_and_control_characters_do_no_harm(text: str) -> None:
    canonical_url(f"https://example.com/{text}?{text}={text}")
    canonical_url(f"https://{text}/jobs")


@pytest.mark.parametrize(
    ("own", "ats", "method"),
    [
        ({"kombo_job_id": "A"}, {}, "kombo_id"),
        ({"remote_id": "77"}, {"remote_id": "77"}, "remote_id"),
        ({"job_code": "REQ-12"}, {"job_code": "REQ-12"}, "job_code"),
        ({"job_code": "req 0012"}, {"job_code": "REQ-12"}, "job_code"),
        ({"job_code": "4712"}, {"job_code": "REQ-4712"}, "job_code"),
        ({"post_url": "http://x.com/jobs/1?gclid=a"}, {"urls": ("https://a.com", "https://x.com/jobs/1")}, "post_url"),
    ],
)  # fmt: skip
def test_each_identifier_links_where_it_is_unique(own: dict, ats: dict, method: str) -> None:
    rest = [AtsIdentity("B", "Nurse", remote_id="78", job_code="REQ-13", urls=("https://x.com/2",))]
    found = decided(
        [OwnIdentity("1", "Nurse", **own), OwnIdentity("2", "Nurse")], [AtsIdentity("A", "Nurse", **ats), *rest]
    )
    assert found == IdentifierResult((Link("1", "A", method),), ())


def test_the_first_tier_that_decides_gives_the_method() -> None:
    own = OwnIdentity("1", "Nurse", kombo_job_id="A", remote_id="7", job_code="R-12")
    assert decided([own], [AtsIdentity("A", "Nurse", remote_id="7", job_code="R-12")]).links == (
        Link("1", "A", "kombo_id"),
    )


def test_an_identifier_of_two_ats_jobs_goes_to_review() -> None:
    found = decided(
        [OwnIdentity("1", job_code="R-12")], [AtsIdentity("B", job_code="R-12"), AtsIdentity("A", job_code="R-12")]
    )
    assert found == IdentifierResult((), (Review("1", ("A", "B"), "job_code", "job code R-12 belongs to 2 ATS jobs"),))


def test_an_ats_job_named_by_two_own_jobs_goes_to_review_for_both() -> None:
    own = [OwnIdentity("1", remote_id="7"), OwnIdentity("2", remote_id="7")]
    found = decided(own, [AtsIdentity("A", remote_id="7")])
    assert found.links == ()
    assert [(review.own_id, review.ats_ids) for review in found.reviews] == [("1", ("A",)), ("2", ("A",))]


def test_two_addresses_of_one_ats_job_do_not_link_two_own_jobs() -> None:
    urls = ("https://x.com/1", "https://y.com/1")
    found = decided([OwnIdentity(str(n), post_url=url) for n, url in enumerate(urls)], [AtsIdentity("A", urls=urls)])
    assert not found.links
    assert len(found.reviews) == 2


def test_the_better_identifier_keeps_the_ats_job_and_the_other_own_job_goes_to_review() -> None:
    own = [OwnIdentity("1", job_code="R-12"), OwnIdentity("2", kombo_job_id="A")]
    found = decided(own, [AtsIdentity("A", job_code="R-12")])
    assert found.links == (Link("2", "A", "kombo_id"),)
    assert found.reviews == (
        Review("1", ("A",), "job_code", "job code R-12 names an ATS job that own job 2 has by its Kombo id"),
    )


@pytest.mark.parametrize(("higher", "lower"), [("kombo_job_id", "remote_id"), ("remote_id", "job_code")])
def test_identifiers_that_name_different_jobs_go_to_review_with_both(higher: str, lower: str) -> None:
    ats = [AtsIdentity("A", remote_id="A", job_code="A"), AtsIdentity("B", remote_id="B", job_code="B")]
    found = decided([OwnIdentity("1", **{higher: "B", lower: "A"})], ats)
    assert found.links == ()
    assert [review.ats_ids for review in found.reviews] == [("A", "B")]
    assert "different ATS jobs" in found.reviews[0].reason


@pytest.mark.parametrize("tier", ["remote_id", "job_code"])
def test_the_same_code_with_quite_another_title_goes_to_review(tier: str) -> None:
    found = decided([OwnIdentity("1", "Nurse", **{tier: "4717"})], [AtsIdentity("A", "Welder", **{tier: "4717"})])
    assert found.links == ()
    assert "4717 is the same, but" in found.reviews[0].reason
    assert "Nurse" in found.reviews[0].reason
    assert "Welder" in found.reviews[0].reason


def test_a_kombo_id_links_whatever_the_title_and_a_missing_title_contradicts_nothing() -> None:
    own = [OwnIdentity("1", "Nurse", kombo_job_id="A"), OwnIdentity("2", job_code="R-12")]
    assert len(decided(own, [AtsIdentity("A", "Welder"), AtsIdentity("B", "Cook", job_code="R-12")]).links) == 2


def test_an_address_singles_out_one_of_the_jobs_that_share_a_code() -> None:
    ats = [AtsIdentity(id_, job_code="R-12", urls=(f"https://x.com/jobs/101{id_}",)) for id_ in "AB"]
    own = [OwnIdentity(id_, job_code="R-12", post_url=f"https://x.com/jobs/101{id_}") for id_ in "AB"]
    assert decided(own, ats) == IdentifierResult((Link("A", "A", "post_url"), Link("B", "B", "post_url")), ())


def test_a_stale_kombo_id_does_not_keep_the_next_identifier_from_linking() -> None:
    own = OwnIdentity("1", kombo_job_id="of the integration before", remote_id="7")
    assert decided([own], [AtsIdentity("A", remote_id="7")]).links == (Link("1", "A", "remote_id"),)


def test_a_canonical_code_is_used_only_where_the_exact_one_names_nothing_and_it_is_unique() -> None:
    ats = [AtsIdentity("A", job_code="R-12"), AtsIdentity("B", job_code="R 012")]
    assert decided([OwnIdentity("1", job_code="R-12")], ats).links == (Link("1", "A", "job_code"),)
    loose = decided([OwnIdentity("1", job_code="r12")], ats)
    assert loose.links == ()
    assert loose.reviews[0].ats_ids == ("A", "B")
    both = decided([OwnIdentity("1", job_code="R-12"), OwnIdentity("2", job_code="r 12")], ats[:1])
    assert both.links == (Link("1", "A", "job_code"),)
    assert [review.own_id for review in both.reviews] == ["2"]


def test_a_placeholder_on_many_jobs_names_none_of_them() -> None:
    page = "https://example.com/careers"
    ats = [AtsIdentity(f"{n}", job_code="tbd", urls=(page,)) for n in range(MAX_JOBS_PER_KEY + 1)]
    assert decided([OwnIdentity("1", job_code="tbd", post_url=page)], ats) == IdentifierResult((), ())
    own = [OwnIdentity(f"{n}", job_code="tbd") for n in range(MAX_JOBS_PER_KEY + 1)]
    assert decided(own, ats[:1]) == IdentifierResult((), ())
    assert decided([OwnIdentity("1", post_url="n/a")], [AtsIdentity("A", urls=("n/a",))]) == IdentifierResult((), ())


IDS = st.sampled_from(["A", "B", "1234", "01234", "r-1234", "R 1234", "5678", "tbd"]) | st.none()
URLS = st.sampled_from(
    ["https://x.com/101", "http://x.com/101/", "https://x.com/101?ref=x", "https://x.com/102", "n/a"]
)
TITLES = st.sampled_from(["Nurse", "Nurse Berlin", "Welder", ""]) | st.none()
OWN = st.lists(
    st.builds(OwnIdentity, st.uuids().map(str), TITLES, IDS, IDS, IDS, URLS | st.none()), max_size=6
)  # fmt: skip
ATS = st.lists(
    st.builds(AtsIdentity, st.sampled_from("ABCDEF"), TITLES, IDS, IDS, st.lists(URLS, max_size=2).map(tuple)),
    max_size=6,
    unique_by=lambda job: job.kombo_job_id,
)


@settings(max_examples=400, deadline=None)
@given(OWN, ATS, st.randoms())
def test_the_order_of_the_input_changes_nothing(own: list, ats: list, order: random.Random) -> None:
    shuffled_own, shuffled_ats = order.sample(own, len(own)), order.sample(ats, len(ats))
    assert decided(own, ats) == decided(shuffled_own, shuffled_ats)


@settings(max_examples=400, deadline=None)
@given(OWN, ATS)
def test_no_job_is_linked_twice_and_each_own_job_is_decided_at_most_once(own: list, ats: list) -> None:
    links, reviews = decided(own, ats)
    titles = {job.own_id: job.title for job in own} | {job.kombo_job_id: job.title for job in ats}
    assert len({link.ats_id for link in links}) == len(links)
    about = [decision.own_id for decision in (*links, *reviews)]
    assert len(set(about)) == len(about)
    for link in links:
        if link.method != "kombo_id" and titles[link.own_id] and titles[link.ats_id]:
            assert not objections(Side(titles[link.own_id]), Side(titles[link.ats_id]))


WORKDAY = "https://acme.wd3.myworkdayjobs.com/External/job/Store-Manager_{}"
SF = "https://career5.successfactors.eu/career?career_ns=job_listing&company={}&career_job_req_id=77"
WRONG = [
    # what both sides say, by kind: the jobs are different, or nobody can know
    ("a year in the number", {"post_url": WORKDAY.format("R25_173")}, {"urls": (WORKDAY.format("R26_173"),)}),
    ("a group of the number", {"post_url": WORKDAY.format("R-2026-13")}, {"urls": (WORKDAY.format("R-2026-12"),)}),
    ("another tenant", {"post_url": SF.format("acmeUS")}, {"urls": (SF.format("acmeDE"),)}),
    ("a parameter", {"post_url": "https://a.de/job.php?ref=4712"}, {"urls": ("https://a.de/job.php?ref=4711",)}),
    ("a fragment", {"post_url": "https://a.de/jobs#koch-bonn"}, {"urls": ("https://a.de/jobs#koch-koeln",)}),
    ("a folder", {"post_url": "https://a.de/fr/jobs/112"}, {"urls": ("https://a.de/de/jobs/112",)}),
    ("a page of many", {"post_url": "https://a.de/careers"}, {"urls": ("https://a.de/careers",)}),
    ("no code", {"job_code": "TBD"}, {"job_code": "TBD"}),
    ("no code, other spelling", {"job_code": "n.a."}, {"job_code": "N/A"}),
    ("a profile", {"job_code": "PFK"}, {"job_code": "PFK"}),
    ("a short number", {"job_code": "12"}, {"job_code": "12"}),
    ("a short number behind a word", {"job_code": "Stellennummer 12"}, {"job_code": "12"}),
    ("a year", {"job_code": "2026"}, {"job_code": "2026"}),
    ("another label", {"job_code": "REQ-4711"}, {"job_code": "VAC-4711"}),
    ("a number that a spreadsheet broke", {"job_code": "7,44E+14"}, {"job_code": "7,44E+14"}),
    ("an id that is none", {"remote_id": "n/a"}, {"remote_id": "n/a"}),
]


@pytest.mark.parametrize(("own", "ats"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_what_may_be_another_job_is_not_linked(own: dict, ats: dict) -> None:
    assert decide([OwnIdentity("1", "Nurse", **own)], [AtsIdentity("A", "Nurse", **ats)]).links == ()


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        ({"location": "Köln"}, {"location": "Bonn"}),
        ({"title": "Junior Engineer"}, {"title": "Senior Engineer"}),
        ({"title": "Ausbildung Koch 2025"}, {"title": "Ausbildung Koch 2026"}),
        ({"title": "Praktikum Marketing"}, {"title": "Marketing Manager"}),
        ({"title": "Night Nurse"}, {"title": "Forklift Driver"}),
    ],
)
def test_a_doubt_turns_a_link_into_a_question_in_words(mine: dict, theirs: dict) -> None:
    own = OwnIdentity("1", **{"title": "Engineer", "job_code": "R-4711"} | mine)
    found = decide([own], [AtsIdentity("A", **{"title": "Engineer", "job_code": "R-4711"} | theirs)])
    assert found.links == ()
    assert found.reviews[0].ats_ids == ("A",)
    assert found.reviews[0].reason.startswith("job code R-4711 is the same, but ")


def test_a_profile_that_several_jobs_bear_does_not_contradict_an_address() -> None:
    url = "https://acme.com/jobs/112"
    ats = [AtsIdentity("A", urls=(url,)), AtsIdentity("B", job_code="SWE"), AtsIdentity("C", job_code="SWE")]
    assert decide([OwnIdentity("1", job_code="SWE", post_url=url)], ats).links == (Link("1", "A", "post_url"),)


def test_a_bare_number_that_two_labels_may_mean_goes_to_review() -> None:
    found = decide(
        [OwnIdentity("1", job_code="4711")],
        [AtsIdentity("A", job_code="REQ-4711"), AtsIdentity("B", job_code="VAC-4711")],
    )
    assert found.links == ()
    assert found.reviews[0].ats_ids == ("A", "B")
