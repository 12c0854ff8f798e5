"""Arms and contrasts in one network: from one table, and from several networks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enthesis.errors import DataError, ModelError
from enthesis.inference.fit import fit
from enthesis.network.blocks import ArmCounts, Contrasts
from enthesis.network.combine import combine
from enthesis.network.measures import ContinuityCorrection
from enthesis.network.tables import from_table

ARMS = [
    ("1", "A", 9, 140), ("1", "B", 23, 140), ("2", "A", 79, 702), ("2", "C", 77, 694), ("3", "B", 18, 671),
    ("3", "C", 21, 535), ("4", "A", 8, 116), ("4", "B", 19, 146), ("4", "C", 11, 120),
]  # fmt: skip


def arm(study, treatment, r, n):
    return {"study": study, "treatment": treatment, "events": r, "n": n}


def arms(*studies):
    rows = [arm(*row) for row in ARMS if row[0] in studies]
    return from_table(rows, measure="OR", reference="A" if set(studies) - {"3"} else None)


def contrast(study, a, b, y, se):
    return {"study": study, "treatment": a, "comparator": b, "lnOR": y, "se": se}


@given(st.sets(st.sampled_from("1234"), min_size=1, max_size=3))
def test_a_network_is_the_combination_of_its_parts(some):
    parts = [arms(*some), arms(*(set("1234") - some))]
    whole = arms(*"1234")
    assert combine(*parts, reference="A").content_hash == whole.content_hash


def test_arms_and_contrasts_of_other_studies_stand_in_one_network():
    one = fit(arms(*"1234"), engine="gls")
    pairs = arms("3").pairs.groups[0]
    contrasts = from_table([contrast("3", "B", "C", pairs.y[0, 0, 1], pairs.v[0, 0, 1] ** 0.5)], measure="OR")
    two = fit(combine(arms("1", "2", "4"), contrasts), engine="gls")
    assert two.estimate == pytest.approx(one.estimate)


def test_one_table_may_hold_rows_of_both_kinds():
    pairs = arms("3").pairs.groups[0]
    rows = [arm(*row) for row in ARMS if row[0] != "3"]
    rows.append(contrast("3", "B", "C", pairs.y[0, 0, 1], pairs.v[0, 0, 1] ** 0.5))
    network = from_table(rows, measure="OR", reference="A")
    assert [type(b) for b in network.blocks] == [ArmCounts, Contrasts]
    assert fit(network, engine="gls").estimate == pytest.approx(fit(arms(*"1234"), engine="gls").estimate)


def test_an_arm_without_numbers_beside_arms_with_numbers_is_not_taken_for_a_contrast():
    rows = [arm(*row) for row in ARMS] + [contrast("1", "C", "A", 0.1, 0.2)]
    network = from_table(rows, measure="OR", reference="A")
    assert [type(b) for b in network.blocks] == [ArmCounts]
    assert [e.study for e in network.ledger.excluded] == ["1"]


def test_a_contrast_row_without_its_effect_is_left_out_and_said():
    rows = [arm(*row) for row in ARMS] + [contrast("5", "C", "A", None, 0.2), contrast("6", "C", "A", 0.1, 0.2)]
    network = from_table(rows, measure="OR", reference="A")
    assert "5" in {e.study for e in network.ledger.excluded}
    assert network.studies == ("1", "2", "3", "4", "6")


def test_a_study_in_two_networks_is_refused():
    with pytest.raises(DataError, match="count twice"):
        combine(arms("1"), arms("1", "2"))


def test_networks_on_different_measures_are_refused():
    other = from_table([arm(*row) for row in ARMS if row[0] == "2"], measure="RR")
    with pytest.raises(ModelError, match="different measure cannot be combined: OR and RR"):
        combine(arms("1"), other)


def test_networks_with_different_corrections_are_refused():
    with pytest.raises(ModelError, match="continuity correction"):
        combine(arms("1"), arms("2").replace(correction=ContinuityCorrection(amount=0.1)))


def test_ledgers_covariates_and_rows_are_kept():
    one = arms("1").replace(covariates={"year": np.array([1999.0])})
    both = combine(one, arms("2"))
    assert both.covariates["year"].tolist() == [1999.0, pytest.approx(np.nan, nan_ok=True)]
    assert len(both.ledger) == len(one.ledger) + len(arms("2").ledger) + 1
    assert len(both.blocks[0].rows) == 4
