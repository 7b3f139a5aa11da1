import csv
import gzip
import math

import numpy as np
import pytest

from kombo_pipeline.matching.evaluate import auc, calibration_error, evaluate

ATS = """ats_id,customer,title,location,department,employment_type,source,posted,customer_has_own
a1,acme,Senior Data Engineer (m/w/d),Berlin,,,x,2025-01-10,1
a2,acme,Junior Data Engineer,Berlin,,,x,2025-01-10,1
a3,acme,Nurse,Hamburg,,,x,,1
b1,bolt,Senior Data Engineer,Berlin,,,x,2025-01-10,1
"""
OWN = """own_id,customer,title,location,department,employment_type,gold_ats_id,removed_gold,source,kind,posted
o1,acme,Sr. Data Engineer,Berlin,,,a1,,x,abbrev,2025-01-11
o2,acme,Jr Data Eng. (f/m/d),,,,a2,,x,abbrev,
o3,acme,Astronaut,,,,,a9,x,none,
o4,new customer,Nurse,,,,,,x,none,no date
"""


@pytest.fixture
def files(tmp_path):
    with gzip.open(tmp_path / "ats.csv.gz", "wt", encoding="utf-8") as file:
        file.write(ATS)
    (tmp_path / "own.csv").write_text(OWN, encoding="utf-8")
    return tmp_path / "ats.csv.gz", tmp_path / "own.csv"


def test_figures_are_those_of_the_labels(files):
    report = evaluate(*files)
    assert (report.own, report.with_counterpart) == (4, 2)
    assert (report.recall_at_1, report.recall_at_5, report.mrr) == (1, 1, 1)
    assert report.auc_no_counterpart == 1
    assert sum(count for count, _ in report.bands.values()) == 4
    assert "recall@1            1.000" in str(report)


def test_every_own_job_has_a_line_and_customers_never_meet(files, tmp_path):
    evaluate(*files, tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["own_id"] for row in rows} == {"o1", "o2", "o3", "o4"}
    assert "b1" not in {row["ats_id"] for row in rows}
    assert [row["ats_id"] for row in rows if row["own_id"] == "o4"] == [""]
    first = next(row for row in rows if row["own_id"] == "o1")
    assert (first["ats_id"], first["rank"]) == ("a1", "1")
    assert 0 <= float(first["confidence"]) <= 1


def test_a_file_without_titles_is_refused_by_name(files, tmp_path):
    (tmp_path / "odd.csv").write_text("ats_id,name\n1,x\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"odd\.csv has no column title"):
        evaluate(tmp_path / "odd.csv", files[1])


def test_no_own_jobs_are_measured_as_nothing(files, tmp_path):
    (tmp_path / "none.csv").write_text("own_id,title\n", encoding="utf-8")
    report = evaluate(files[0], tmp_path / "none.csv")
    assert report.own == 0
    assert math.isnan(report.recall_at_1)


def test_calibration_error_is_the_mean_gap_between_said_and_seen():
    said = np.array([0.95] * 10 + [0.25] * 10)
    seen = np.array([True] * 9 + [False] + [True] * 5 + [False] * 5)
    assert calibration_error(said, seen) == pytest.approx((0.05 + 0.25) / 2)


def test_auc_counts_ties_half():
    assert auc(np.array([3, 2, 2, 1]), np.array([True, True, False, False])) == pytest.approx(0.875)
    assert math.isnan(auc(np.array([1.0]), np.array([True])))
