"""No patient counts twice: overlaps are declared, and one source of each is kept by a stated rule or refused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

import enthesis
from enthesis.errors import ModelError, UsageError
from enthesis.models.overlap import Overlap, extension_overlaps, keep_one, part_overlaps

EVIDENCE = Path(enthesis.__file__).parent / "reviews" / "axspa" / "evidence"


@dataclass(frozen=True)
class Row:
    study: str
    patients: float = 0.0
    year: float = 2000.0


TRINETX = Overlap(sources=("Bai", "Wu"), reason="Both are drawn from the TriNetX network.")


def test_two_overlapping_sources_are_refused_unless_a_rule_is_chosen():
    with pytest.raises(ModelError, match="Both are drawn from the TriNetX network"):
        keep_one([Row("Bai"), Row("Wu")], [TRINETX])


def test_rows_without_overlap_are_all_kept():
    assert keep_one([Row("Bai"), Row("ARTIS")], [TRINETX]).rows == (Row("Bai"), Row("ARTIS"))


def test_the_largest_is_kept_whatever_the_order_of_the_rows():
    rows = [Row("Wu", 700), Row("Bai", 9000)]
    assert keep_one(rows, [TRINETX], rule="largest", size=lambda r: r.patients).rows == (rows[1],)


def test_the_latest_is_kept():
    rows = [Row("Wu", year=2026), Row("Bai", year=2025)]
    assert keep_one(rows, [TRINETX], rule="latest", year=lambda r: r.year).rows == (rows[0],)


def test_the_first_named_is_kept():
    assert keep_one([Row("Wu"), Row("Bai")], [TRINETX], rule="first").rows == (Row("Bai"),)


def test_what_is_left_out_names_the_row_kept_in_its_place():
    kept = keep_one([Row("Wu"), Row("Bai")], [TRINETX], rule="first")
    assert (kept.dropped[0].source, kept.dropped[0].kept) == ("Wu", "Bai")


def test_two_sources_that_each_overlap_with_a_smaller_one_are_both_kept():
    overlaps = [Overlap(sources=("A", "B"), reason="r"), Overlap(sources=("B", "C"), reason="r")]
    rows = [Row("A", 10), Row("B", 5), Row("C", 8)]
    assert [r.study for r in keep_one(rows, overlaps, rule="largest", size=lambda r: r.patients).rows] == ["A", "C"]


def test_rows_of_one_source_stay_together():
    rows = [Row("Bai", 10), Row("Bai", 3), Row("Wu", 8)]
    assert keep_one(rows, [TRINETX], rule="largest", size=lambda r: r.patients).rows == tuple(rows[:2])


def test_a_rule_without_its_number_is_refused():
    with pytest.raises(UsageError, match="needs size"):
        keep_one([Row("Bai")], [TRINETX], rule="largest")


def test_a_missing_number_is_refused_rather_than_sorted_anywhere():
    with pytest.raises(UsageError, match="Wu has no number"):
        keep_one([Row("Bai", 1), Row("Wu", float("nan"))], [TRINETX], rule="largest", size=lambda r: r.patients)


def test_a_trial_and_the_extension_of_its_extension_overlap():
    overlaps = extension_overlaps([("T", ""), ("T-OLE", "T"), ("T-LTE", "T-OLE")])
    with pytest.raises(ModelError, match="T-LTE"):
        keep_one([Row("T"), Row("T-LTE")], overlaps)


def test_a_study_that_continues_itself_is_refused():
    with pytest.raises(UsageError, match="continues itself"):
        extension_overlaps([("A", "B"), ("B", "A")])


def test_parts_of_one_study_are_kept_together_but_not_with_the_whole():
    overlaps = part_overlaps([("S2", ""), ("S2-r", "S2"), ("S2-nr", "S2")])
    assert len(keep_one([Row("S2-r"), Row("S2-nr")], overlaps).rows) == 2
    with pytest.raises(ModelError, match="is a part of S2"):
        keep_one([Row("S2"), Row("S2-r")], overlaps)


def test_no_trial_of_the_bundled_evidence_is_counted_with_its_own_extension():
    studies = pd.read_csv(EVIDENCE / "studies.csv", keep_default_na=False)
    overlaps = extension_overlaps(zip(studies["study_id"], studies["parent_study"], strict=True))
    extensions = studies[(studies["parent_study"] != "") & studies["parent_study"].isin(studies["study_id"])]
    assert len(extensions) > 3
    for study, parent in zip(extensions["study_id"], extensions["parent_study"], strict=True):
        with pytest.raises(ModelError, match="same patients"):
            keep_one([Row(parent), Row(study)], overlaps)


def test_the_two_trinetx_cohorts_of_the_bundled_evidence_cannot_be_counted_together():
    contrasts = pd.read_csv(EVIDENCE / "contrasts.csv", keep_default_na=False)
    both = contrasts[contrasts["study_id"].str.startswith("TriNetX-uveitis") & (contrasts["subgroup"] == "all")]
    assert both["study_id"].nunique() == 2
    overlap = Overlap(sources=tuple(both["study_id"].unique()), reason="Both are drawn from the TriNetX network.")
    with pytest.raises(ModelError, match="TriNetX network"):
        keep_one([Row(s) for s in both["study_id"]], [overlap])


@pytest.mark.parametrize("sources", [("A",), ("A", "A")])
def test_an_overlap_of_fewer_than_two_sources_is_refused(sources):
    with pytest.raises(UsageError, match="two or more"):
        Overlap(sources=sources, reason="r")


def test_an_overlap_without_a_reason_is_refused():
    with pytest.raises(UsageError, match="needs a reason"):
        Overlap(sources=("A", "B"), reason=" ")
