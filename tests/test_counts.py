"""Pairwise analyses of counts: Mantel-Haenszel, Peto and mixed models."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enthesis.errors import DataError, ModelError, UsageError
from enthesis.inference.glmm import KINDS, mixed_model
from enthesis.inference.stratified import hypergeometric, mantel_haenszel, peto
from enthesis.network.comparison import cells, study_effects
from enthesis.network.tables import from_table

arms = st.tuples(st.integers(1, 15), st.integers(20, 90), st.integers(1, 15), st.integers(20, 90))


def network(rows, measure="OR", size="n"):
    return from_table(
        [
            {"study": f"s{i}", "treatment": name, "events": r, size: n}
            for i, (r1, n1, r2, n2) in enumerate(rows)
            for name, r, n in (("B", r1, n1), ("A", r2, n2))
        ],
        measure=measure,
        reference="A",
    )


@pytest.mark.parametrize("measure", ["OR", "RR", "RD"])
@settings(max_examples=15, deadline=None)
@given(st.lists(arms, min_size=1, max_size=5))
def test_exchanging_the_arms_changes_the_sign_alone(measure, rows):
    n = network(rows, measure)
    one, two = mantel_haenszel(cells(n)), mantel_haenszel(cells(n, "A", "B"))
    assert (two.estimate, two.se) == pytest.approx((-one.estimate, one.se), abs=1e-12)


def test_one_study_gives_its_own_odds_ratio():
    assert mantel_haenszel(cells(network([(5, 50, 9, 60)]))).estimate == pytest.approx(np.log(5 * 51 / (45 * 9)))


def test_one_study_gives_its_own_rate_ratio():
    result = mantel_haenszel(cells(network([(5, 100.0, 9, 120.0)], "IRR", "time_at_risk")))
    assert (result.estimate, result.se**2) == pytest.approx((np.log(5 / 100 / (9 / 120)), 1 / 5 + 1 / 9))


def test_one_study_gives_its_own_rate_difference():
    result = mantel_haenszel(cells(network([(5, 100.0, 9, 120.0)], "IRD", "time_at_risk")))
    assert (result.estimate, result.se**2) == pytest.approx((5 / 100 - 9 / 120, 5 / 100**2 + 9 / 120**2))


@pytest.mark.parametrize("method", [mantel_haenszel, peto])
def test_a_study_without_events_changes_nothing(method):
    with_it, without = (method(cells(network(rows))) for rows in ([(5, 50, 9, 60), (0, 40, 0, 30)], [(5, 50, 9, 60)]))
    assert (with_it.estimate, with_it.se, with_it.k) == pytest.approx((without.estimate, without.se, without.k))


def test_a_study_with_one_zero_cell_counts_without_a_correction():
    one = mantel_haenszel(cells(network([(5, 50, 9, 60), (0, 40, 3, 40)]))).estimate
    R, S = 5 * 51 / 110 + 0, 45 * 9 / 110 + 40 * 3 / 80
    assert one == pytest.approx(np.log(R / S))


def test_no_events_in_one_arm_of_all_studies_is_refused_in_words():
    with pytest.raises(DataError, match="no odds ratio follows"):
        mantel_haenszel(cells(network([(0, 50, 9, 60), (0, 40, 3, 40)])))


def test_mantel_haenszel_names_the_measures_it_gives():
    with pytest.raises(ModelError, match="OR, RR, RD, IRR, IRD, not ASD"):
        mantel_haenszel(cells(network([(5, 50, 9, 60)], "ASD")))


def test_peto_needs_an_odds_ratio():
    with pytest.raises(ModelError, match="not RR"):
        peto(cells(network([(5, 50, 9, 60)], "RR")))


def test_peto_is_zero_when_events_are_as_expected():
    assert peto(cells(network([(5, 50, 6, 60), (2, 30, 3, 45)]))).estimate == pytest.approx(0)


def test_the_hypergeometric_moments_are_those_of_its_distribution():
    n1, n2, R = 7, 5, 4
    from scipy.stats import hypergeom

    table = cells(network([(2, n1, R - 2, n2)]))
    observed, variance = hypergeometric(table)
    law = hypergeom(n1 + n2, n1, R)
    assert (2 - observed[0], variance[0]) == pytest.approx((law.mean(), law.var()))


def test_comparisons_with_more_arms_name_the_treatment():
    rows = [dict(study="1", treatment=t, events=5, n=50) for t in "ABC"]
    with pytest.raises(UsageError, match="3 treatments: name the treatment"):
        cells(from_table(rows, measure="OR", reference="A"))


def test_effects_of_a_comparison_come_from_the_studies_that_make_it():
    rows = [dict(study=s, treatment=t, events=5 + i, n=50) for s, ts in (("1", "ABC"), ("2", "AB"), ("3", "AC"))
            for i, t in enumerate(ts)]  # fmt: skip
    effects = study_effects(from_table(rows, measure="RD", reference="A"), "C")
    assert effects[["study", "effect"]].values.tolist() == [["1", pytest.approx(0.04)], ["3", pytest.approx(0.02)]]


HETEROGENEOUS = [(4, 50, 12, 50), (20, 80, 11, 80), (3, 60, 9, 60), (18, 70, 16, 70), (6, 40, 14, 45)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_mixed_model_does_not_depend_on_which_arm_is_called_the_treatment(kind):
    n = network(HETEROGENEOUS)
    one, two = mixed_model(cells(n), kind), mixed_model(cells(n, "A", "B"), kind)
    if kind == "CM.AL":  # its approximation is to the events of one arm
        return
    assert (two.estimate, two.se, two.tau) == pytest.approx((-one.estimate, one.se, one.tau), abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_mixed_model_says_whether_it_found_its_maximum(kind):
    result = mixed_model(cells(network(HETEROGENEOUS)), kind)
    assert result.status.ok
    assert result.tau > 0


def test_the_exact_conditional_model_of_rates_is_binomial():
    rows = [(5, 100.0, 9, 120.0), (2, 50.0, 6, 70.0)]
    result = mixed_model(cells(network(rows, "IRR", "time_at_risk")), "CM.EL", effects="common")
    theta, r, m, ratio = result.estimate, np.array([5, 2]), np.array([14, 8]), np.array([100 / 120, 50 / 70])
    p = ratio * np.exp(theta) / (1 + ratio * np.exp(theta))
    assert (r - m * p).sum() == pytest.approx(0, abs=1e-6)


def test_without_heterogeneity_fixed_baselines_are_logistic_regression():
    result = mixed_model(cells(network([(5, 50, 9, 60)])), "UM.FS", effects="common")
    expected = (np.log(5 * 51 / (45 * 9)), np.sqrt(1 / 5 + 1 / 45 + 1 / 9 + 1 / 51))
    assert (result.estimate, result.se) == pytest.approx(expected, rel=1e-5)


def test_more_quadrature_points_do_not_move_a_good_answer():
    table = cells(network(HETEROGENEOUS))
    few, many = (mixed_model(table, "CM.EL", points=points).estimate for points in (7, 21))
    assert few == pytest.approx(many, abs=1e-4)


def test_no_events_in_one_arm_leaves_no_maximum_and_says_so():
    with pytest.raises(DataError, match="no maximum"):
        mixed_model(cells(network([(0, 50, 9, 60), (0, 40, 3, 40)])), "UM.FS")
