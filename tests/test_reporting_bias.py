"""ROB-MEN's logic: the pairwise table, then each network estimate, after table 5 of Chiocchia 2021."""

import pytest

from enthesis.assess.reporting_bias import (
    Conditions,
    PairwiseBias,
    SmallStudies,
    pairwise_table,
    reporting_bias,
    small_studies,
)
from enthesis.assess.small_study import AsymmetryTest
from enthesis.inference.fit import fit
from enthesis.network.tables import from_table

NONE = SmallStudies(test=None, effects={}, reference="P", reason="cannot be tested")
INTERVAL = (0.8, 0.4, 1.2)


def line(pair, favours="", observed=True):
    return PairwiseBias(treatment=pair[0], comparator=pair[1], observed=observed, n_studies=2, n_missing=0,
                        favours=favours, within="w", across="a")  # fmt: skip


def table(**favours):
    return {tuple(k): line(tuple(k), v) for k, v in favours.items()}


def slope(effect):
    test = AsymmetryTest(method="network egger", predictor="se", n_studies=12, statistic=3.0, df=None, p=0.01)
    return SmallStudies(test=test, effects={"A": effect}, reference="P", reason="p = 0.01")


def rated(shares, lines, small=NONE, pair=("A", "P")):
    return reporting_bias(pair, INTERVAL, shares, lines, small).level


def test_nothing_suspected_and_no_small_study_effects_is_no_concern():
    assert rated({("A", "P"): 1.0}, table(AP="")) == "no concerns"


def test_a_suspected_part_below_fifteen_percent_does_not_count():
    lines = table(AP="", AB="A", BP="")
    assert rated({("A", "P"): 0.72, ("A", "B"): 0.14, ("B", "P"): 0.14}, lines) == "no concerns"


def test_a_part_that_favours_one_side_is_some_concern():
    assert rated({("A", "P"): 1.0}, table(AP="A")) == "some concerns"


def test_suspicion_in_balance_is_no_concern():
    lines = table(AP="A", BP="B", AB="")
    assert rated({("A", "P"): 0.5, ("B", "P"): 0.5}, lines, pair=("A", "B")) == "no concerns"


@pytest.mark.parametrize(("without_error", "level"), [(0.2, "major concerns"), (1.5, "some concerns")])
def test_small_study_effects_that_point_the_same_way_make_it_major(without_error, level):
    assert rated({("A", "P"): 1.0}, table(AP="A"), slope(without_error)) == level


def test_small_study_effects_inside_the_interval_do_not_count():
    assert rated({("A", "P"): 1.0}, table(AP=""), slope(0.7)) == "no concerns"


def test_a_comparison_without_studies_that_is_itself_suspected_is_a_concern():
    lines = table(AP="", BP="") | {("A", "B"): line(("A", "B"), "A", observed=False)}
    assert rated({("A", "P"): 0.5, ("B", "P"): 0.5}, lines, pair=("A", "B")) == "some concerns"


def network(n=3):
    rows = [dict(study=str(i), treatment=t, events=r + i, n=100) for i in range(n) for t, r in (("P", 20), ("A", 40))]
    return from_table(rows, measure="OR", reference="P", better="higher")


@pytest.mark.parametrize(("lost", "favours"), [(1, ""), (4, "A")])
def test_missing_results_raise_a_suspicion_above_the_stated_share(lost, favours):
    found = pairwise_table(network(), [("A", "P")], {("A", "P"): "A"}, missing={("A", "P"): lost},
                           conditions=Conditions(missing_share=0.5))  # fmt: skip
    assert found["A", "P"].favours == favours
    assert f"{lost} of {3 + lost}" in found["A", "P"].within


def test_conditions_of_the_review_decide_where_studies_are_few():
    unsearched = Conditions(suggest_bias=("unpublished studies were not searched",))
    found = pairwise_table(network(), [("A", "P")], {("A", "P"): "A"}, conditions=unsearched)
    assert found["A", "P"].favours == "A"
    balanced = Conditions(suggest_bias=("not searched",), suggest_none=("trials are registered",))
    assert pairwise_table(network(), [("A", "P")], {("A", "P"): "A"}, conditions=balanced)["A", "P"].favours == ""


def test_from_ten_studies_on_eggers_test_speaks():
    found = pairwise_table(network(10), [("A", "P")], {("A", "P"): "A"})
    assert "Egger's test over 10 studies" in found["A", "P"].across


def test_a_network_in_which_no_slope_can_be_estimated_says_so():
    assert "cannot be tested" in small_studies(fit(network(1), engine="gls")).reason
