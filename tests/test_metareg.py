"""Meta-regression: what does not change its answers, what it refuses, and its rearrangement tests."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enthesis.errors import DataError, ModelError, UsageError
from enthesis.inference.intervals import CI_METHODS
from enthesis.inference.locscale import location_scale
from enthesis.inference.metareg import meta_regression
from enthesis.inference.metareg_tests import cluster_robust, permutation_test
from enthesis.inference.regression import METHODS

Y = np.array([0.2, -0.6, 0.9, 1.4, -0.1, 0.3])
V = np.array([0.1, 0.05, 0.2, 0.15, 0.08, 0.3])
X = np.array([1.0, 0.0, 2.0, 3.0, 1.5, 0.5])

effects = st.lists(st.tuples(st.floats(-2, 2), st.floats(0.05, 1), st.floats(-3, 3)), min_size=4, max_size=9).filter(
    lambda rows: np.ptp([x for *_, x in rows]) > 0.1
)


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=10, deadline=None)
@given(effects, st.floats(0.1, 10), st.floats(-5, 5))
def test_rescaling_a_moderator_rescales_its_coefficient_alone(method, rows, scale, shift):
    y, v, x = (np.array(c) for c in zip(*rows, strict=True))
    one, two = (meta_regression(y, v, z, tau=method) for z in (x, scale * x + shift))
    assert two.tau2 == pytest.approx(one.tau2, rel=1e-5, abs=1e-8)
    assert two.beta[1] * scale == pytest.approx(one.beta[1], rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("ci", CI_METHODS)
@settings(max_examples=10, deadline=None)
@given(effects)
def test_the_sign_of_the_effects_is_a_convention(ci, rows):
    y, v, x = (np.array(c) for c in zip(*rows, strict=True))
    one, two = (meta_regression(s * y, v, x, ci=ci) for s in (1, -1))
    assert two.beta == pytest.approx(-one.beta, rel=1e-6, abs=1e-9)
    assert two.upper == pytest.approx(-one.lower, rel=1e-6, abs=1e-9)


def test_text_becomes_indicators_against_the_first_level():
    result = meta_regression(Y, V, {"group": ["b", "a", "b", "c", "a", "c"]}, effects="common")
    means = {g: np.average(Y[i], weights=1 / V[i]) for g, i in {"a": [1, 4], "b": [0, 2], "c": [3, 5]}.items()}
    assert result.names == ("intercept", "group=b", "group=c")
    assert result.beta == pytest.approx([means["a"], means["b"] - means["a"], means["c"] - means["a"]])


def test_prediction_at_new_values_follows_the_line():
    result = meta_regression(Y, V, pd.DataFrame({"x": X}))
    row = result.predict({"x": [10.0]}).iloc[0]
    assert row.estimate == pytest.approx(result.beta[0] + 10 * result.beta[1])


def test_prediction_with_other_columns_is_refused():
    with pytest.raises(UsageError, match="the model has intercept, x"):
        meta_regression(Y, V, {"x": X}).predict({"z": [1.0]})


def test_prediction_for_a_level_nobody_had_is_refused():
    result = meta_regression(Y, V, {"group": list("aabbab")})
    with pytest.raises(UsageError, match="level of group 'c'"):
        result.predict({"group": ["c"]})


def test_a_constant_moderator_is_refused_by_name():
    with pytest.raises(DataError, match="intercept, x cannot be told apart"):
        meta_regression(Y, V, {"x": np.ones(6)})


@pytest.mark.parametrize(
    ("y", "v", "what"),
    [
        ([0.1, np.nan], [1, 1], "row 2, column 'effects'"),
        ([0.1, 0.2], [1, 0], "variance must be above 0"),
        ([0.1], [1, 1], "1 effects and 2 variances"),
        (["x"], [1], "not a number"),
        ([], [], "list of numbers"),
    ],
)
def test_bad_effects_are_refused_with_the_place(y, v, what):
    with pytest.raises(DataError, match=what):
        meta_regression(y, v)


def test_common_effects_have_no_interval_for_tau2():
    with pytest.raises(ModelError, match="no tau²"):
        meta_regression(Y, V, effects="common").tau2_interval()


def test_one_study_gives_its_own_effect():
    result = meta_regression([0.4], [0.09])
    assert (result.beta[0], result.se[0], result.tau2) == pytest.approx((0.4, 0.3, 0.0))


def test_the_exact_permutation_test_counts_sign_flips():
    # all six effects on one side: of the 64 flips only two are as extreme
    assert permutation_test(meta_regression(np.abs(Y) + 1, np.full(6, 0.1), tau="DL")).pvalue[0] == 2 / 64


def test_a_random_permutation_test_can_be_repeated():
    result = meta_regression(Y, V, X, tau="DL")
    assert (
        permutation_test(result, n=50, seed=3).pvalue.tolist() == permutation_test(result, n=50, seed=3).pvalue.tolist()
    )


def test_a_strong_moderator_is_found_by_permutation():
    x = np.arange(8.0)
    assert permutation_test(meta_regression(x, np.full(8, 0.01), x, effects="common"), n=200).pvalue[1] < 0.03


def test_cluster_robust_errors_do_not_depend_on_the_order_of_studies():
    order = np.array([3, 1, 5, 0, 2, 4])
    cluster = np.array(["a", "a", "b", "c", "d", "d"])
    one = cluster_robust(meta_regression(Y, V), cluster)
    two = cluster_robust(meta_regression(Y[order], V[order]), cluster[order])
    assert two.se == pytest.approx(one.se)


def test_fewer_clusters_than_coefficients_are_refused():
    with pytest.raises(DataError, match="2 clusters cannot carry 2 coefficients"):
        cluster_robust(meta_regression(Y, V, X), list("aaabbb"))


def test_a_location_scale_model_with_an_intercept_alone_is_the_random_effects_model():
    one, two = location_scale(Y, V), meta_regression(Y, V)
    assert (one.tau2[0], one.beta[0]) == pytest.approx((two.tau2, two.beta[0]), rel=1e-5)


def test_scale_moderators_of_two_groups_fit_each_group_alone():
    group = np.array([0, 0, 0, 1, 1, 1])
    y, v = np.array([0.1, 0.8, -0.5, 1.5, -1.1, 0.2]), np.full(6, 0.05)
    both = location_scale(y, v, {"g": group}, {"g": group}, tau="REML")
    alone = [meta_regression(y[group == g], v[group == g]).tau2 for g in (0, 1)]
    assert both.status.ok
    assert (both.tau2[0], both.tau2[3]) == pytest.approx(alone, rel=1e-4)


def test_heterogeneity_that_vanishes_in_a_group_is_said_and_not_guessed():
    group = np.array([0, 0, 0, 1, 1, 1])
    result = location_scale([0.1, 0.9, -0.7, 0.30, 0.31, 0.29], np.full(6, 0.1), None, {"g": group})
    assert not result.status.ok
    assert np.isnan(result.scale_cov).all()
