"""Mixtures: their functions agree with one another, and updating, sizes and conflict agree with adding up."""

from __future__ import annotations

import numpy as np
import pytest

from enthesis.errors import DataError, UsageError
from enthesis.inference.borrowing_conjugate import conflict_p, probability_of_difference, update
from enthesis.inference.borrowing_ess import effective_size, mode
from enthesis.inference.borrowing_map import fit_mixture, meta_analytic_predictive
from enthesis.models.mixtures import BetaMixture, GammaMixture, NormalMixture
from enthesis.models.one_parameter import EffectEstimate, EventCounts, Events, Responders
from enthesis.models.priors import HalfNormal, Normal

BETA = BetaMixture(weights=(0.3, 0.7), a=(2, 20), b=(5, 60))
GAMMA = GammaMixture(weights=(0.3, 0.7), shape=(2, 20), rate=(30, 400))
NORMAL = NormalMixture(weights=(0.3, 0.7), location=(0.5, -0.2), scale=(0.4, 1.1))
CASES = [
    (BETA, Responders(events=3, n=17), np.linspace(0, 1, 200_001)[1:-1]),
    (GAMMA, Events(events=4, exposure=60.0), np.linspace(0, 2, 200_001)[1:]),
    (NORMAL, EffectEstimate(estimate=0.9, se=0.3), np.linspace(-8, 8, 200_001)),
]
IDS = ["beta", "gamma", "normal"]


def likelihood(data, x: np.ndarray) -> np.ndarray:
    """On the natural scale of the mixture."""
    if isinstance(data, Responders):
        return np.exp(data.log_likelihood(np.log(x / (1 - x))))
    if isinstance(data, Events):
        return np.exp(data.log_likelihood(np.log(x)))
    return np.exp(data.log_likelihood(x))


@pytest.mark.parametrize(("mixture", "data", "x"), CASES, ids=IDS)
def test_the_density_is_the_slope_of_the_distribution_function(mixture, data, x):
    at = np.atleast_1d(mixture.quantile([0.1, 0.5, 0.9]))
    step = 1e-6
    slope = (mixture.cdf(at + step) - mixture.cdf(at - step)) / (2 * step)
    np.testing.assert_allclose(slope, mixture.density(at), rtol=1e-5)


@pytest.mark.parametrize(("mixture", "data", "x"), CASES, ids=IDS)
def test_quantiles_undo_the_distribution_function(mixture, data, x):
    p = np.array([0.001, 0.2, 0.5, 0.99])
    np.testing.assert_allclose(mixture.cdf(mixture.quantile(p)), p, atol=1e-10)


@pytest.mark.parametrize(("mixture", "data", "x"), CASES, ids=IDS)
def test_mean_and_sd_are_those_of_the_density(mixture, data, x):
    mass = mixture.density(x) * (x[1] - x[0])
    mean = mass @ x
    assert (mixture.mean, mixture.sd) == pytest.approx((mean, np.sqrt(mass @ (x - mean) ** 2)), rel=1e-5)


@pytest.mark.parametrize(("mixture", "data", "x"), CASES, ids=IDS)
def test_the_posterior_is_prior_times_likelihood(mixture, data, x):
    mass = mixture.density(x) * likelihood(data, x)
    mass /= mass.sum()
    after = update(mixture, data)
    mean = mass @ x
    assert (after.mean, after.sd) == pytest.approx((mean, np.sqrt(mass @ (x - mean) ** 2)), rel=1e-5)


@pytest.mark.parametrize(("mixture", "data", "x"), CASES, ids=IDS)
def test_derivatives_of_the_log_density_are_those_of_differences(mixture, data, x):
    at, h = np.atleast_1d(mixture.quantile([0.2, 0.6])), 1e-4 * mixture.sd
    slope, peak = mixture.log_density_derivatives(at)
    low, middle, high = (mixture.log_density(at + k * h) for k in (-1, 0, 1))
    np.testing.assert_allclose(slope, (high - low) / (2 * h), rtol=1e-4)
    np.testing.assert_allclose(peak, -(high - 2 * middle + low) / h**2, rtol=1e-3)


@pytest.mark.parametrize("method", ["elir", "moment"])
@pytest.mark.parametrize(
    ("mixture", "size"),
    [
        (BetaMixture(weights=(1,), a=(5,), b=(15,)), 20.0),
        (GammaMixture(weights=(1,), shape=(8,), rate=(40,)), 40.0),
        (NormalMixture(weights=(1,), location=(0,), scale=(0.5,), unit_sd=2), 16.0),
    ],
    ids=IDS,
)
def test_a_single_component_is_worth_its_own_observations(mixture, size, method):
    assert effective_size(mixture, method) == pytest.approx(size, rel=1e-9)


def test_equal_components_are_worth_what_one_of_them_is():
    mixture = BetaMixture(weights=(0.4, 0.6), a=(5, 5), b=(15, 15))
    assert effective_size(mixture, "elir") == pytest.approx(20.0, rel=1e-6)


def test_elir_is_predictively_consistent():
    # the mean size after 10 more observations, over what the prior predicts, is 10 more (Neuenschwander et al. 2020)
    prior = NormalMixture(weights=(0.5, 0.5), location=(0, 3), scale=(2, 4), unit_sd=10)
    se = 10 / np.sqrt(10)
    y = np.linspace(-25, 28, 500)
    weight = sum(
        w * np.exp(-0.5 * (y - m) ** 2 / (s**2 + se**2)) / np.sqrt(s**2 + se**2)
        for w, m, s in zip(prior.weights, prior.location, prior.scale, strict=True)
    )
    after = np.array([effective_size(update(prior, EffectEstimate(estimate=v, se=se))) for v in y[::10]])
    expected = np.average(after, weights=weight[::10])
    assert expected - 10 == pytest.approx(effective_size(prior), rel=2e-3)


def test_a_vague_component_makes_the_prior_worth_less():
    assert effective_size(BETA.robust(0.5, mean=0.5)) < effective_size(BETA)


@pytest.mark.parametrize("mixture", [BETA, GAMMA, NORMAL], ids=IDS)
def test_the_mode_is_where_the_density_is_highest(mixture):
    near = mixture.quantile(np.linspace(0.001, 0.999, 2001))
    assert mixture.log_density(np.array(mode(mixture))) >= mixture.log_density(near).max() - 1e-9


def test_a_difference_is_above_or_below_its_threshold():
    up = probability_of_difference(BETA, BETA.robust(0.3), 0.05)
    assert up + probability_of_difference(BETA, BETA.robust(0.3), 0.05, above=False) == pytest.approx(1.0, abs=1e-12)


def test_a_difference_of_normal_mixtures_is_that_of_normals():
    from scipy.stats import norm

    one = NormalMixture(weights=(1,), location=(1,), scale=(0.5,))
    two = NormalMixture(weights=(1,), location=(0.2,), scale=(1.2,))
    assert probability_of_difference(one, two, 0.1) == pytest.approx(norm.sf((0.1 - 0.8) / 1.3), abs=1e-9)


def test_the_conflict_of_a_normal_prior_is_a_two_sided_p_value():
    from scipy.stats import norm

    prior = NormalMixture(weights=(1,), location=(0,), scale=(1,))
    assert conflict_p(prior, EffectEstimate(estimate=2.5, se=0.75)) == pytest.approx(2 * norm.sf(2), abs=1e-9)


def test_the_conflict_of_counts_adds_up_less_probable_counts():
    from scipy.stats import betabinom

    pmf = betabinom.pmf(np.arange(21), 20, 11, 32)
    found = conflict_p(BetaMixture(weights=(1,), a=(11,), b=(32,)), Responders(events=10, n=20))
    assert found == pytest.approx(pmf[pmf <= pmf[10] * (1 + 1e-9)].sum(), abs=1e-9)


def test_the_most_probable_data_are_in_no_conflict():
    assert conflict_p(GAMMA, Events(events=0, exposure=1.0)) == pytest.approx(1.0, abs=1e-8)


def test_a_mixture_is_recovered_from_its_own_density():
    from enthesis.inference.borrowing_density import Density

    density = Density.of(NORMAL.log_density, [(0.5, 0.4), (-0.2, 1.1)])
    fitted = fit_mixture(density, "normal", components=2)
    assert fitted.divergence < 1e-8
    assert sorted(fitted.mixture.scale) == pytest.approx([0.4, 1.1], abs=1e-3)


def test_the_number_of_components_is_the_one_with_the_smallest_criterion():
    rows = [Events(events=y, exposure=t) for y, t in ((3, 250.0), (12, 900.0), (6, 700.0))]
    fitted = fit_mixture(meta_analytic_predictive(rows, mu=Normal(-4, 2), tau=HalfNormal(0.5)), components=(1, 2, 3))
    best = min(fitted.table, key=lambda row: row[2])
    assert (fitted.mixture.size, fitted.divergence) == (best[0], best[1])
    assert isinstance(fitted.mixture, GammaMixture)


def test_a_prediction_of_rates_is_positive_and_near_the_pooled_rate():
    rows = [Events(events=y, exposure=t) for y, t in ((3, 250.0), (12, 900.0), (6, 700.0))]
    prior = meta_analytic_predictive(rows, mu=Normal(-4, 2), tau=HalfNormal(0.2))
    assert prior.quantile(0.5) == pytest.approx(21 / 1850, rel=0.1)


def test_the_prediction_of_a_risk_is_that_of_adding_up_over_mean_and_spread():
    data = ((3, 20), (9, 40), (2, 30))
    rows = [Responders(events=r, n=n) for r, n in data]
    prior = meta_analytic_predictive(rows, mu=Normal(0, 2), tau=HalfNormal(1.0))
    tau, mu = ((np.arange(160) + 0.5) / 160 * 4)[:, None, None], np.linspace(-6, 4, 201)[:, None]
    z = np.linspace(-6, 6, 97)
    normal = np.exp(-0.5 * z**2) / np.exp(-0.5 * z**2).sum()
    log_joint = Normal(0, 2).log_density(mu[:, 0]) + HalfNormal(1.0).log_density(tau[:, 0])
    for row in rows:
        log_joint = log_joint + np.log(np.exp(row.log_likelihood(mu + tau * z)) @ normal)
    weight = np.exp(log_joint - log_joint.max())
    risk = (1 / (1 + np.exp(-(mu + tau * z)))) @ normal
    assert prior.mean == pytest.approx(float((weight * risk).sum() / weight.sum()), abs=2e-5)


@pytest.mark.parametrize("tau", [0.01, 0.3, 2.0])
def test_a_shrunken_effect_of_normal_data_is_the_weighted_mean(tau):
    from enthesis.inference.borrowing_hierarchy import hierarchy

    rows = [EffectEstimate(estimate=y, se=s) for y, s in ((0.5, 0.2), (-0.1, 0.3), (0.2, 0.15))]
    # theta[0] and mu are jointly normal given the data
    precision = np.array([[0.2**-2 + tau**-2, -(tau**-2)], [-(tau**-2), tau**-2 + 0.25]])
    right = np.array([0.5 / 0.2**2, 0.0])
    for y, s in ((-0.1, 0.3), (0.2, 0.15)):
        precision[1, 1] += 1 / (s**2 + tau**2)
        right[1] += y / (s**2 + tau**2)
    mean, sd = np.linalg.solve(precision, right)[0], np.sqrt(np.linalg.inv(precision)[0, 0])
    found = hierarchy(rows, mu=Normal(0, 2), tau=tau).shrunken(0)
    assert (found.mean, found.sd) == pytest.approx((mean, sd), abs=1e-6)


def test_different_kinds_of_data_are_not_put_into_one_hierarchy():
    rows = [Events(events=3, exposure=10.0), Responders(events=3, n=10)]
    with pytest.raises(DataError, match="not put into one hierarchy"):
        meta_analytic_predictive(rows, mu=Normal(0, 2), tau=1.0)


def test_estimates_and_counts_of_one_ratio_go_together():
    rows = [
        EffectEstimate(estimate=0.2, se=0.2),
        EventCounts(events=9, exposure=500, comparator_events=8, comparator_exposure=500),
    ]
    assert 0 < meta_analytic_predictive(rows, mu=Normal(0, 2), tau=HalfNormal(0.2)).mean < 0.3


def test_no_historical_study_is_refused():
    with pytest.raises(DataError, match="no historical study"):
        meta_analytic_predictive([], mu=Normal(0, 2), tau=1.0)


def test_data_of_the_wrong_kind_are_refused_with_the_right_kind():
    with pytest.raises(UsageError, match="a beta takes Responders"):
        update(BETA, Events(events=1, exposure=2.0))


@pytest.mark.parametrize("weights", [(0.5, 0.6), (-0.1, 1.1), (float("nan"), 1.0), (1.0,)])
def test_weights_that_are_no_probabilities_are_refused(weights):
    with pytest.raises(UsageError):
        BetaMixture(weights=weights, a=(1, 2), b=(1, 2))


def test_an_unknown_method_is_refused_with_those_there_are():
    with pytest.raises(UsageError, match="Known: elir, moment, morita"):
        effective_size(BETA, "elirr")
