"""Models at their limits are the simpler models that they then are."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import enthesis as en
from enthesis.assess.node_split_table import node_split_table
from enthesis.errors import ModelError
from enthesis.models.consistency import DesignByTreatment, UnrelatedMeanEffects
from enthesis.models.effects import ClassEffects
from enthesis.models.heterogeneity import Common
from enthesis.models.model import Model
from enthesis.models.priors import LogNormal, Normal, Uniform
from enthesis.models.regression import Regression

CLASS = {"p": "placebo", "a1": "A", "a2": "A", "a3": "A", "b1": "B", "b2": "B"}
COMMON = Model(heterogeneity=Common())
QUIET = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
EFFECTS = st.lists(st.floats(-2, 2), min_size=5, max_size=5)


def star(effects, se=0.3):
    """Each active treatment in two studies against placebo, with exact means."""
    rows = [
        {"study": f"{t}{i}", "treatment": x, "mean": m, "se": se, "class": CLASS[x]}
        for t, d in zip(list(CLASS)[1:], effects, strict=True)
        for i in range(2)
        for x, m in (("p", 0.0), (t, d + 0.1 * i))
    ]
    return en.from_table(pd.DataFrame(rows), measure="MD", reference="p")


def near(value):
    """A standard deviation that is known."""
    return LogNormal(np.log(value), 0.01)


@QUIET
@given(EFFECTS)
def test_classes_without_borrowing_are_unrelated_treatments(effects):
    network = star(effects)
    apart = en.fit(network, COMMON.replace(effects=ClassEffects(sd=near(50.0))))
    assert np.allclose(apart.estimate, en.fit(network, COMMON).estimate, atol=0.02)


@QUIET
@given(EFFECTS)
def test_classes_without_spread_are_treatments_themselves(effects):
    network = star(effects)
    together = en.fit(network, COMMON.replace(effects=ClassEffects(sd=near(1e-3))))
    members = {c: [network.index(t) for t in CLASS if CLASS[t] == c] for c in ("A", "B")}
    pooled = [together.estimate[members["A"]].mean(), together.estimate[members["B"]].mean()]
    assert np.allclose(together.estimate[members["A"]], pooled[0], atol=0.01)
    observed = np.array(effects) + 0.05
    assert np.allclose(pooled, [observed[:3].mean(), observed[3:].mean()], atol=0.02)


@QUIET
@given(EFFECTS)
def test_borrowing_moves_a_treatment_towards_its_class(effects):
    network = star(effects)
    free = en.fit(network, COMMON).estimate
    shrunk = en.fit(network, COMMON.replace(effects=ClassEffects(sd=near(0.2)))).estimate
    at = [network.index(t) for t in ("a1", "a2", "a3")]
    assert np.ptp(shrunk[at]) <= np.ptp(free[at]) + 1e-6


def triangle(direct, indirect):
    """One study of each comparison of three treatments; a-b is `direct` by itself and `indirect` through p."""
    rows = []
    for study, (x, y), d in (("1", ("p", "a"), 0.0), ("2", ("p", "b"), indirect), ("3", ("a", "b"), direct)):
        rows += [{"study": study, "treatment": t, "mean": m, "se": 0.2} for t, m in ((x, 0.0), (y, d))]
    return en.from_table(rows, measure="MD", reference="p")


@QUIET
@given(st.floats(-2, 2), st.floats(-2, 2))
def test_direct_and_indirect_effect_are_the_pairwise_results(direct, indirect):
    table = node_split_table(triangle(direct, indirect), COMMON, draws=1000)
    row = table.set_index(["treatment", "comparator"]).loc[("b", "a")]
    assert row["direct"] == pytest.approx(direct, abs=0.03)
    assert row["indirect"] == pytest.approx(indirect, abs=0.04)
    assert row["direct_se"] == pytest.approx(np.hypot(0.2, 0.2), rel=0.05)


def test_a_split_difference_has_the_p_value_of_its_posterior():
    table = node_split_table(triangle(1.5, 0.0), COMMON, draws=4000)
    row = table.set_index(["treatment", "comparator"]).loc[("b", "a")]
    z = row["difference"] / row["difference_se"]
    assert 2 < z < 3.5
    assert row["p"] == pytest.approx(2 * (1 - row["probability"]))
    assert 0.0005 < row["p"] < 0.05


def test_a_network_without_loops_has_nothing_to_split():
    table = node_split_table(star([0.1, 0.2, 0.3, 0.4, 0.5]), COMMON)
    assert len(table) == 0
    assert "p" in table


def test_unrelated_effects_of_two_treatments_are_the_consistent_ones():
    rows = [
        {"study": i, "treatment": t, "mean": m + i, "se": 0.3} for i in range(4) for t, m in (("p", 0.0), ("a", 0.5))
    ]
    network = en.from_table(rows, measure="MD", reference="p")
    unrelated = en.fit(network, Model(consistency=UnrelatedMeanEffects()))
    assert np.allclose(unrelated.estimate, en.fit(network).estimate, atol=1e-6)


def test_designs_without_inconsistency_are_consistent():
    network = triangle(0.4, 0.3)
    close = en.fit(network, COMMON.replace(consistency=DesignByTreatment(sd=near(1e-3))))
    assert np.allclose(close.estimate, en.fit(network, COMMON).estimate, atol=0.01)


def regressed(x):
    rows = [{"study": i, "treatment": t, "mean": m, "se": 0.1, "x": v} for i, v in enumerate(x)
            for t, m in (("p", 0.0), ("a", 0.5 + 2 * v))]  # fmt: skip
    return en.from_table(rows, measure="MD", reference="p")


@QUIET
@given(st.floats(-3, 3), st.floats(0.2, 5))
def test_regression_finds_the_slope_whatever_its_centre_and_scale(centre, scale):
    model = COMMON.replace(regression=Regression(covariate="x", centre=centre, scale=scale))
    found = en.fit(regressed([0.0, 0.5, 1.0, 1.5]), model)
    assert found.theta_names[-1] == "beta"
    beta = found.weights @ found.theta[:, -1]
    assert beta == pytest.approx(2 * scale, abs=0.1 * scale)
    assert found.estimate[found.network.index("a")] == pytest.approx(0.5 + 2 * centre, abs=0.4)


def test_a_covariate_that_does_not_vary_is_refused_with_a_sentence():
    with pytest.raises(ModelError, match=r"'x' is 1 in every study.*choose another covariate"):
        en.fit(regressed([1.0, 1.0, 1.0]), COMMON.replace(regression=Regression(covariate="x")))


def test_a_study_without_the_covariate_is_named():
    unknown = regressed([1.0, 3.0, 2.0]).replace(covariates={"x": np.array([1.0, np.nan, 2.0])})
    with pytest.raises(ModelError, match="has no value in 1 of 3 studies"):
        en.fit(unknown, COMMON.replace(regression=Regression(covariate="x")))


def test_a_tight_prior_of_the_coefficient_leaves_the_model_without_it():
    network = regressed([0.0, 0.5, 1.0, 1.5])
    tight = COMMON.replace(regression=Regression(covariate="x", prior=Normal(0, 1e-6)))
    assert np.allclose(en.fit(network, tight).estimate, en.fit(network, COMMON).estimate, atol=1e-4)


def test_a_prior_of_tau_that_excludes_heterogeneity_is_the_common_effect():
    network = star([0.1, 0.2, 0.3, 0.4, 0.5])
    almost = en.fit(network, Model(heterogeneity=en.Exchangeable(sd=Uniform(0, 1e-4))))
    assert np.allclose(almost.estimate, en.fit(network, COMMON).estimate, atol=1e-3)
