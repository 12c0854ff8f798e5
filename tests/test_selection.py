"""Selection models find the selection that was simulated, and say when they cannot."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from assess_networks import drifting, means
from enthesis.assess.excess import excess_significance, fail_safe_n
from enthesis.assess.selection import KINDS, _Likelihood, selection_model
from enthesis.errors import UsageError
from published import bcg


def selected(keep: float, studies: int = 150, seed: int = 4):
    """Effects of 0.2 with tau 0.1; studies with one-sided p above 0.025 are kept with probability `keep`."""
    rng = np.random.default_rng(seed)
    rows = []
    while len(rows) < studies:
        se = float(rng.uniform(0.08, 0.3))
        effect = rng.normal(0.2, np.hypot(se, 0.1))
        if norm.sf(effect / se) < 0.025 or rng.uniform() < keep:
            rows.append((f"S{len(rows):03d}", "AB", [0.0, effect], se / np.sqrt(2)))
    return means(*rows)


def test_simulated_selection_is_found():
    assert selection_model(selected(0.2)).p < 0.01


def test_the_mean_before_selection_is_recovered():
    found = selection_model(selected(0.2))
    assert abs(found.estimate - 0.2) < 3 * found.se


def test_the_unadjusted_mean_is_too_high_under_selection():
    found = selection_model(selected(0.2))
    assert found.unadjusted > found.estimate + 0.05


def test_the_weight_of_what_was_dropped_is_recovered():
    weights = selection_model(selected(0.2)).weights
    assert abs(weights.estimate[1] - 0.2) < 3 * weights.se[1]


def test_the_first_weight_of_a_step_function_is_one():
    assert selection_model(selected(0.5)).weights.estimate[0] == 1.0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("two_sided", [False, True])
def test_the_normaliser_is_the_integral_of_the_weight_over_the_effect(kind, two_sided):
    delta = np.array([1.4, 1.2]) if kind == "beta" else np.array([0.6])
    cuts = np.array([0.3])
    y, v = np.array([0.05, 0.9]), np.array([0.1, 0.4])
    model = _Likelihood(y, v, kind, cuts, two_sided)
    mu, tau2 = 0.3, 0.05
    got = np.exp(model.log_normaliser(mu, tau2, delta))
    for i, variance in enumerate(v):
        s = np.sqrt(variance + tau2)

        def integrand(x: float, variance=variance, s=s) -> float:
            z = x / np.sqrt(variance)
            p = 2 * norm.sf(abs(z)) if two_sided else norm.sf(z)
            return float(np.exp(model.log_weight(np.array([p]), delta)[0]) * norm.pdf(x, mu, s))

        breaks = sorted({0.0, float(norm.isf(0.3) * np.sqrt(variance)), float(norm.isf(0.15) * np.sqrt(variance)),
                         float(-norm.isf(0.15) * np.sqrt(variance))})  # fmt: skip
        area = quad(integrand, mu - 10 * s, mu + 10 * s, points=breaks, limit=400)[0]
        assert got[i] == pytest.approx(area, rel=5e-5)


def test_no_weight_function_at_all_is_the_random_effects_likelihood():
    model = _Likelihood(np.array([0.1, 0.5]), np.array([0.1, 0.2]), "negative-exponential", np.array([0.5]), False)
    with_none = model.log_likelihood(np.array([0.2, 0.05]), None)
    assert model.log_likelihood(np.array([0.2, 0.05]), np.array([0.0])) == pytest.approx(with_none, abs=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_a_selection_model_never_fits_worse_than_none(kind):
    network = bcg("RR")
    assert selection_model(network, kind, alternative="less").lrt >= 0


def test_mirrored_effects_give_the_mirrored_mean():
    network = selected(0.3, studies=40)
    one = selection_model(network)
    other = selection_model(network, treatment="A", comparator="B")
    assert (other.estimate, other.alternative) == (pytest.approx(-one.estimate, abs=1e-4), "less")


def test_an_interval_without_a_study_is_named():
    with pytest.raises(UsageError, match=r"p-value between 0 and 0\.025"):
        selection_model(bcg("RR"), alternative="greater")


@pytest.mark.parametrize("steps", [(), (0.5, 0.2), (0.0,), (1.0,), (float("nan"),)])
def test_cut_points_must_ascend_between_zero_and_one(steps):
    with pytest.raises(UsageError, match="ascending numbers between 0 and 1"):
        selection_model(bcg("RR"), steps=steps)


def test_three_studies_are_too_few_for_three_parameters():
    with pytest.raises(UsageError, match="needs at least 4 studies"):
        selection_model(drifting(1.0, studies=3))


def test_the_expected_number_of_significant_studies_is_the_sum_of_powers():
    found = excess_significance(bcg("RR"))
    assert found.expected == pytest.approx(found.studies.power.sum())


def test_when_every_study_is_significant_against_the_odds_there_is_excess():
    network = means(*[(str(i), "AB", [0.0, 2.0 * 0.3 * np.sqrt(2)], 0.3) for i in range(10)])
    assert excess_significance(network).p < 0.01


def test_the_power_of_a_study_under_no_effect_is_alpha():
    network = means(*[(f"{i}{s}", "AB", [0.0, s * 0.1], 0.3) for i in range(3) for s in (-1, 1)])
    assert excess_significance(network, tau="common").studies.power.tolist() == pytest.approx([0.05] * 6)


def test_the_fail_safe_number_of_orwin_makes_the_mean_the_target():
    network = drifting(0.0, studies=10)
    n = fail_safe_n(network, target=0.1).set_index("method").n["Orwin"]
    assert 10 * 0.3 / (10 + n) == pytest.approx(0.1)


@pytest.mark.parametrize("target", [0.0, -0.1, float("inf")])
def test_a_target_on_the_other_side_of_no_effect_is_refused(target):
    with pytest.raises(UsageError, match="target must lie between"):
        fail_safe_n(drifting(0.0), target=target)


@pytest.mark.parametrize("alpha", [0.0, 1.0, 2.0])
def test_alpha_is_a_probability(alpha):
    with pytest.raises(UsageError, match="alpha must be between 0 and 1"):
        excess_significance(bcg("RR"), alpha=alpha)
