"""Thresholds: where the decision changes when the data move, for each rule, each level, and with tau fitted again."""

from __future__ import annotations

import numpy as np
import pytest

import enthesis as en
from assess_networks import means, triangle
from enthesis.assess.decision import Best, NearBest, Rank, Superior, Top, rule_of
from enthesis.assess.threshold import biases, decided, influence_of, threshold, thresholds
from enthesis.assess.threshold_refit import moved
from enthesis.errors import ModelError, UsageError
from enthesis.inference import gls
from enthesis.inference.tau import tau2_estimate
from enthesis.models.target import contrast_target

COMMON = en.Model(heterogeneity=en.Common())


@pytest.fixture(scope="module")
def network():
    return triangle()


@pytest.fixture(scope="module")
def common(network):
    return en.fit(network, COMMON, engine="gls")


@pytest.fixture(scope="module")
def random():
    """Studies of different size that disagree, so that tau is above zero and decides their weights."""
    rng = np.random.default_rng(4)
    effect = {"A": 0.0, "B": 0.5, "C": 0.75}
    studies = [
        (f"S{i}", pair, [effect[t] + rng.normal(0, 0.3) for t in pair], 0.05 + 0.05 * i)
        for i, pair in enumerate(["AB", "AC", "BC", "AB", "AC", "AB", "ABC"])
    ]
    return en.fit(means(*studies, better="higher"), engine="gls", tau="REML")


def effects_when_moved(fit, study, by, *, tau=None):
    """Effects of a refit with the first contrast of a study moved."""
    target = contrast_target(fit.network)
    at, shift = 0, None
    for g in target.groups:
        for s in g.study:
            if fit.network.studies[s] == study and shift is None:
                shift = at
            at += g.k - 1
    change = np.zeros(at)
    change[shift] = by
    target = moved(target, change)
    tau2 = tau2_estimate(target, tau) if tau else fit.tau.estimate**2
    return gls.solve(target, tau2).d


def first_row(table, study):
    return table[table["study"] == study].iloc[0]


def test_a_data_point_moved_to_its_threshold_makes_a_tie(common):
    row = first_row(thresholds(common), "S03")
    change = row["high"] if np.isfinite(row["high"]) else row["low"]
    sign = 1.0 if row["treatment"] != "A" else -1.0
    d = np.sort(effects_when_moved(common, "S03", sign * change))
    assert d[-1] == pytest.approx(d[-2], abs=1e-10)


@pytest.mark.parametrize("factor", [0.999, 1.001])
def test_the_decision_holds_before_the_threshold_and_changes_after_it(common, factor):
    row = first_row(thresholds(common), "S03")
    side = "high" if np.isfinite(row["high"]) else "low"
    d = effects_when_moved(common, "S03", factor * row[side])
    best = common.treatments[int(d.argmax())]
    assert best == (decided(common)[0] if factor < 1 else row["above" if side == "high" else "below"])


def test_with_tau_fitted_again_the_refit_makes_the_tie(random):
    row = first_row(thresholds(random, refit=True), "S3")
    change = row["high"] if np.isfinite(row["high"]) else row["low"]
    d = np.sort(effects_when_moved(random, "S3", change, tau="REML"))
    assert d[-1] == pytest.approx(d[-2], abs=1e-5)


def test_fitting_tau_again_moves_the_threshold_of_heterogeneous_data(random):
    linear, again = thresholds(random).set_index("what"), thresholds(random, refit=True).set_index("what")
    both = np.isfinite(linear["high"]) & np.isfinite(again["high"].reindex(linear.index))
    assert np.abs(linear["high"][both] / again["high"].reindex(linear.index)[both] - 1).max() > 0.01


def test_without_heterogeneity_to_estimate_the_refit_agrees_with_the_line(common):
    linear, again = thresholds(common).set_index("what"), thresholds(common, refit=True).set_index("what")
    shown = ["low", "high"]
    np.testing.assert_allclose(again.reindex(linear.index)[shown], linear[shown], rtol=1e-5)


def test_moving_all_studies_of_a_comparison_is_moving_the_comparison():
    """Two-arm studies, so both say the same."""
    fit = en.fit(means(*[(f"S{i}", p, [0, v], 0.2) for i, (p, v) in enumerate(
        [("AB", 0.4), ("AB", 0.6), ("AC", 0.7), ("BC", 0.1)])], better="higher"), COMMON, engine="gls")  # fmt: skip
    by_study, by_comparison = influence_of(fit), influence_of(fit, "comparison")
    at = [m for m in range(len(by_study.y)) if by_study.point(m).endswith("B versus A")]
    whole = [by_comparison.point(m) for m in range(len(by_comparison.y))].index("B versus A")
    np.testing.assert_allclose(by_study.H[:, at].sum(1), by_comparison.H[:, whole], atol=1e-10)


def test_a_bayesian_fit_of_normal_data_moves_as_least_squares_do(network):
    bayes = influence_of(en.fit(network, COMMON, engine="laplace"))
    frequentist = influence_of(en.fit(network, COMMON, engine="gls"))
    np.testing.assert_allclose(bayes.H, frequentist.H, atol=2e-3)


@pytest.mark.parametrize("which", ["common", "random"])
def test_the_influence_times_the_data_are_the_effects(which, request):
    """H y = d for generalised least squares, with tau as it was estimated."""
    i = influence_of(request.getfixturevalue(which))
    np.testing.assert_allclose(i.H @ i.y, i.effects, atol=1e-10)


@pytest.mark.parametrize(
    ("rule", "influence", "high", "above"),
    [
        (Best(), [0, 1, 0], 1.0, (1,)),
        (Best(margin=0.5), [0, 1, 0], 1.5, (1,)),
        (Rank(rank=2), [0, 1, 0], 1.0, (2,)),
        (Top(k=2), [1, 0, 0], 1.0, (0, 2)),
        (Superior(comparator=0, margin=1.5), [0, 1, 0], 0.5, (1, 2)),
        (NearBest(margin=0.25), [0, 1, 0], 0.75, (1, 2)),
    ],
    ids=["best", "best by a margin", "second", "first two", "superior", "treatment set"],
)
def test_each_rule_changes_where_it_should(rule, influence, high, above):
    found = threshold(np.array([0.0, 1.0, 2.0]), np.array(influence, dtype=float), rule)
    assert (found.high, found.above) == (pytest.approx(high), above)


def test_lower_is_better_turns_the_decision_round(network):
    fit = en.fit(network.replace(better="lower"), COMMON, engine="gls")
    assert decided(fit) == ("A",)


def test_a_bias_of_a_treatment_moves_its_contrasts_in_its_favour(common):
    i = influence_of(common)
    weights = biases(i, "treatment")["every contrast of C"]
    assert [weights[m] for m in range(len(i.y)) if "C" not in i.point(m)] == [0.0] * int((weights == 0).sum())
    assert (i.H @ weights)[i.names.index("C")] == pytest.approx(1.0)


def test_any_linear_combination_is_a_bias(common):
    i = influence_of(common)
    table = thresholds(common, combinations={"half of everything": np.full(len(i.y), 0.5)})
    assert table["what"].tolist() == ["half of everything"]


def test_a_combination_of_the_wrong_length_is_refused(common):
    with pytest.raises(UsageError, match="one finite number for each"):
        thresholds(common, combinations={"short": np.ones(2)})


def test_a_model_with_inconsistent_effects_is_refused(network):
    fit = en.fit(network, COMMON.replace(consistency=en.UnrelatedMeanEffects()), engine="laplace")
    with pytest.raises(ModelError, match="consistent effects"):
        thresholds(fit)


def test_only_least_squares_are_fitted_again(network):
    with pytest.raises(ModelError, match="fits by gls"):
        thresholds(en.fit(network, COMMON, engine="laplace"), refit=True)


def test_a_rank_beyond_the_treatments_is_refused(network):
    with pytest.raises(UsageError, match="k must be between 1 and 3"):
        rule_of("top", network, k=4)


def test_an_unknown_rule_names_the_nearest(network):
    with pytest.raises(UsageError, match="Did you mean 'superior'"):
        rule_of("superiour", network)
