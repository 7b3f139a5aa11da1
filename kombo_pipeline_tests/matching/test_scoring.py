import json
from datetime import date
from importlib import resources

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from kombo_pipeline.matching import pair_features, retrieval, scoring
from kombo_pipeline.matching.evidence import explain
from kombo_pipeline.matching.job_features import JobText
from kombo_pipeline.matching.retrieval import SHORTLIST

ATS = [
    JobText("backend", "Senior Backend Engineer (m/w/d)", "Berlin, Germany", posted=date(2025, 3, 1)),
    JobText("backend-munich", "Senior Backend Engineer (m/w/d)", "München", posted=date(2025, 3, 1)),
    JobText("junior", "Junior Backend Engineer", "Berlin, Germany", posted=date(2025, 3, 1)),
    JobText("nurse", "Pflegefachkraft (m/w/d)", "Hamburg", posted=date(2025, 2, 1)),
    JobText("sales", "Sales Manager DACH", "Berlin", department="Sales", posted=date(2024, 1, 1)),
]
WORDS = ["senior", "junior", "data", "engineer", "sales", "manager", "nurse", "ii", "2025", "berlin", "münchen", "开发"]
JOBS = st.lists(
    st.builds(
        JobText,
        id=st.uuids().map(str),
        title=st.lists(st.sampled_from(WORDS), max_size=4).map(" ".join) | st.text(max_size=20),
        location=st.sampled_from(["", "Berlin", "München; Remote", "NY - Plainview"]) | st.text(max_size=10),
        posted=st.none() | st.dates(date(2024, 1, 1), date(2025, 1, 1)),
        code=st.none() | st.sampled_from(["4711", "R-10"]),
    ),
    max_size=40,
)


@pytest.fixture(scope="module")
def matcher():
    return scoring.Matcher.load()


def found(matches):
    return [
        (
            match.own.id,
            round(match.none_probability, 5),
            [(each.ats.id, round(each.score, 3), round(each.confidence, 5)) for each in match.candidates],
        )
        for match in matches
    ]


def test_the_job_itself_comes_first_and_sure(matcher):
    index = matcher.index(ATS)
    own = JobText("1", "Sr. Backend Eng. (f/m/x), Berlin", "Berlin", posted=date(2025, 3, 2))
    [match] = matcher.candidates([own], index)
    assert match.candidates[0].ats.id == "backend"
    assert match.candidates[0].confidence > 2 * match.candidates[1].confidence
    assert match.none_probability < 0.5


def test_a_job_without_counterpart_is_said_to_have_none(matcher):
    [match] = matcher.candidates([JobText("1", "Kindergärtner", "Wien")], matcher.index(ATS))
    assert match.none_probability > 0.8
    assert all(each.band in ("weak", "none") for each in match.candidates)


@given(JOBS, JOBS)
@settings(max_examples=40, deadline=None)
def test_alone_together_and_in_any_order_the_answers_are_the_same(own, ats):
    matcher = scoring.default_matcher()
    whole = matcher.index(ats)
    together = found(matcher.candidates(own, whole))
    assert [one for job in own for one in found(matcher.candidates([job], whole))] == together
    assert found(matcher.candidates(own, matcher.index(ats[::-1]))) == together


@given(JOBS, JOBS)
@settings(max_examples=40, deadline=None)
def test_probabilities_are_probabilities_and_contributions_sum_to_the_score(own, ats):
    matcher = scoring.default_matcher()
    for match in matcher.candidates(own, matcher.index(ats), k=3):
        assert 0 <= match.none_probability <= 1
        assert [each.rank for each in match.candidates] == list(range(1, len(match.candidates) + 1))
        for each in match.candidates:
            assert 0 <= each.confidence <= 1
            contributions = explain(match, each, matcher.weights).contributions
            assert sum(reason.weight for reason in contributions) == pytest.approx(each.score, abs=0.1)


@pytest.mark.parametrize("title", ["", "\0", "x" * 10_000, "🚀", "\ud800", "((((((", "(m/w/d)"])
def test_odd_titles_get_an_answer_on_either_side(matcher, title):
    index = matcher.index([*ATS, JobText("odd", title)])
    matches = matcher.candidates([JobText("1", title), JobText("2", "Sales Manager")], index)
    assert [match.own.id for match in matches] == ["1", "2"]
    assert matches[1].candidates[0].ats.id == "sales"


def test_no_ats_jobs_means_certainly_no_counterpart(matcher):
    [match] = matcher.candidates([JobText("1", "Sales Manager")], matcher.index([]))
    assert match.candidates == []
    assert match.none_probability == 1


def test_no_own_jobs_give_no_matches(matcher):
    assert matcher.candidates([], matcher.index(ATS)) == []


def test_own_jobs_with_one_id_are_each_answered_and_of_ats_jobs_the_last_counts(matcher):
    index = matcher.index([JobText("a", "Baker"), JobText("a", "Sales Manager")])
    matches = matcher.candidates([JobText("1", "Sales Manager"), JobText("1", "Baker")], index)
    assert len(index) == 1
    assert len(matches) == 2


def test_among_many_equal_titles_the_place_gets_the_job_onto_the_shortlist(matcher):
    towns = [f"{name}{ending}" for name in ("Ash", "Ber", "Col", "Dor", "El", "Fal", "Gor") for ending in
             ("ton", "ham", "ford", "wick", "ley", "den", "mouth", "field", "gate", "stead")]  # fmt: skip
    assert len(towns) > 2 * SHORTLIST
    index = matcher.index(JobText(town, "Pharmacy Technician", town) for town in towns)
    own = [JobText("1", "Pharmacy Tech", "Gorwick"), JobText("2", "Pharmacy Technician - Falmouth")]
    assert [match.candidates[0].ats.id for match in matcher.candidates(own, index)] == ["Gorwick", "Falmouth"]


@given(JOBS, JOBS)
@settings(max_examples=25, deadline=None)
def test_the_pruned_search_of_large_indexes_finds_no_job_that_the_whole_one_does_not(own, ats):
    index = scoring.default_matcher().index(ats)
    whole = retrieval.read_own(own, index)
    pruned = retrieval._pruned(whole.search)
    assert (pruned - pruned.multiply(whole.search.sign())).nnz == 0
    kept, whole_norm = pruned.multiply(pruned).sum(1), whole.search.multiply(whole.search).sum(1)
    assert (kept >= retrieval.KEPT_NORM * whole_norm - 1e-5).all()


def test_evidence_names_place_seniority_and_differing_words(matcher):
    own = JobText("1", "Junior Backend Engineer Payments", "Berlin", posted=date(2025, 3, 4))
    [match] = matcher.candidates([own], matcher.index(ATS))
    other = next(each for each in match.candidates if each.ats.id == "backend-munich")
    explanation = explain(match, other, matcher.weights)
    texts = [reason.text for reason in explanation.contributions]
    assert "other city: Berlin against Munich" in texts
    assert "other seniority: Junior against Senior" in texts
    assert "posted 3 days earlier" in texts
    assert explanation.only_own == ("junior", "payments")
    assert explanation.only_ats == ("senior",)


@pytest.mark.parametrize("known", [(False, False), (True, False), (False, True)])
def test_confidence_rises_with_probability_whatever_is_known(known):
    calibration = scoring.default_matcher().weights.calibration
    sure = scoring.calibrated(np.linspace(0.001, 0.999, 50), np.array([known] * 50), calibration)
    assert (np.diff(sure) > 0).all()


def test_years_and_seasons_weigh_little_as_words(matcher):
    own = JobText("1", "Data Engineer Intern Summer 2026")
    ats = [JobText("time", "Marketing Intern Summer 2026"), JobText("job", "Data Engineer Intern")]
    marketing, intern, summer, year = matcher.index(ats[:1]).features.words.data[
        np.argsort(-matcher.index(ats[:1]).features.words.data)
    ]
    assert max(summer, year) < 0.3 * intern < marketing
    assert matcher.candidates([own], matcher.index(ats))[0].candidates[0].ats.id == "job"


def none_of(matcher, own, ats):
    index = matcher.index(ats)
    mine = retrieval.read_own([own], index)
    rows, ats_rows, cosine = index.shortlist(mine)
    pairs = pair_features.pair_features(mine, index.features, rows, ats_rows, cosine)
    return dict(zip(pair_features.NONE_NAMES, pair_features.none_features(mine, rows, pairs)[0].tolist(), strict=True))


def test_dates_change_what_alike_titles_say_of_none(matcher):
    own = JobText("1", "Sales Manager", "Berlin", posted=date(2024, 1, 2))
    dated = none_of(matcher, own, ATS)
    undated = none_of(matcher, own, [JobText(job.id, job.title, job.location) for job in ATS])
    for name, of in (("candidates", "candidates"), ("coverage", "best_coverage"), ("place", "best_place")):
        assert dated[f"dated_{name}"] == dated[of] > 0
        assert undated[f"dated_{name}"] == 0


def test_titles_alone_are_ranked_by_their_likeness_alone(matcher):
    ats = ["Bakery and Cake Sales Clerk", "Bakers", "Baker", "Baker II", "Sales Clerk"]
    own = [JobText("1", "Baker"), JobText("2", "Baker", "Berlin")]
    index = matcher.index(JobText(title, title) for title in ats)
    alone, placed = matcher.candidates(own, index)
    assert [each.ats.id for each in alone.candidates[:2]] == ["Baker", "Bakers"]
    for each in alone.candidates:
        assert [pair_features.NAMES[column] for column in np.flatnonzero(each.features)] == ["title_alone"]
        assert "title_alone" not in evidence_of(matcher, alone, each)
    assert placed.candidates[0].features[pair_features.NAMES.index("title_alone")] == 0
    index = matcher.index([*(JobText(title, title) for title in ats), JobText("Baker in Berlin", "Baker", "Berlin")])
    [match] = matcher.candidates(own[:1], index)
    assert all(each.features[pair_features.NAMES.index("title_alone")] == 0 for each in match.candidates)


def evidence_of(matcher, match, candidate):
    explanation = explain(match, candidate, matcher.weights)
    assert sum(each.weight for each in explanation.contributions) == pytest.approx(candidate.score, abs=0.02)
    return [each.text for each in explanation.contributions]


def test_another_number_speaks_against_a_title_alone(matcher):
    index = matcher.index([JobText("2", "Engineer II"), JobText("3", "Engineer III")])
    [match] = matcher.candidates([JobText("1", "Engineer 3")], index)
    assert match.candidates[0].ats.id == "3"


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_the_nearest_are_those_of_putting_everything_in_order(seed):
    rng = np.random.default_rng(seed)
    own, ats = (sparse.random_array((size, 12), density=0.4, rng=rng, dtype=np.float32).tocsr() for size in (5, 80))
    tie = rng.random(80) * 1e-6
    rows, found, cosine = retrieval.nearest(own, ats.T.tocsr(), tie)
    every = (own @ ats.T).toarray()
    for row in range(5):
        order = np.argsort(-(np.round(every[row].astype(np.float64), 5) + tie))
        expected = [job for job in order if every[row, job]][: retrieval.SHORTLIST]
        assert set(found[rows == row]) == set(expected)
        assert cosine[rows == row] == pytest.approx(every[row, found[rows == row]])


def test_bands_follow_the_confidence():
    assert [scoring.band(each) for each in (0.99, scoring.STRONG, 0.7, 0.2, 0.01)] == [
        "strong", "strong", "possible", "weak", "none",
    ]  # fmt: skip


def test_the_stored_weights_were_learned_for_this_code():
    text = resources.files("kombo_pipeline.matching").joinpath("weights.json").read_text("utf-8")
    stored = json.loads(text)
    version = stored.pop("version")
    assert scoring.version_of(stored) == version, "tables or constants changed: run benchmarks.train_matcher --write"
    assert scoring.Weights.from_json(text).to_json() == text


def test_every_feature_is_evidence():
    from kombo_pipeline.matching.evidence import _GROUPS

    named = [name for names in _GROUPS.values() for name in names]
    assert sorted(named) == sorted(pair_features.NAMES)
