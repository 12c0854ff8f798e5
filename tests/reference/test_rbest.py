"""Meta-analytic-predictive priors beside RBesT 1.11-0 (R 4.6.1), values as its documentation prints them.

Pages: "Getting started with RBesT (binary)", "RBesT for a Normal Endpoint" and the reference pages of gMAP, ess,
postmix, preddist, robustify and decision2S (opensource.nibr.com/RBesT; rendered in the repository Novartis/RBesT,
folders `articles` and `reference`, commit 20a870d). Exact things agree to the digits printed. gMAP is MCMC with 4,000
draws (4 chains, 6,000 iterations, 2,000 of them warm-up, thin 4), so its summaries have a Monte Carlo error: 4 standard
errors are allowed, each the posterior standard deviation over the square root of 2,000 (means), or more by the stated
factor (quantiles).

Data: historical placebo arms, ASAS20 at week 6 (Baeten D et al., Lancet 2013;382:1705), and change of CDAI on placebo
(Hueber W et al., Gut 2012;61:1693, standard deviation 88).
"""

from __future__ import annotations

import functools

import numpy as np
import pytest
from scipy.optimize import brentq

from enthesis.inference.borrowing_conjugate import (
    Decision,
    log_predictive,
    probability_of_difference,
    success_probability,
    success_region,
    update,
)
from enthesis.inference.borrowing_ess import effective_size
from enthesis.inference.borrowing_map import MapPrior, fit_mixture, meta_analytic_predictive
from enthesis.models.mixtures import BetaMixture, GammaMixture, NormalMixture
from enthesis.models.one_parameter import EffectEstimate, Responders
from enthesis.models.priors import HalfNormal, Normal

AS = ((23, 107), (12, 44), (19, 51), (9, 39), (39, 139), (6, 20), (9, 78), (10, 35))
CROHN = ((74, -51), (166, -49), (328, -36), (20, -47), (25, -90), (58, -54))
UNIFORM = BetaMixture(weights=(1,), a=(1,), b=(1,))
TREATMENT = BetaMixture(weights=(1,), a=(0.5,), b=(1,))
#: the mixtures that automixfit found there
AS_MIXTURE = BetaMixture(
    weights=(0.4612914, 0.1917812, 0.1893896, 1 - 0.4612914 - 0.1917812 - 0.1893896),
    a=(33.9513487, 19.4400089, 12.2692310, 2.2521243), b=(103.0146367, 41.5205219, 55.9202833, 5.4812202),
)  # fmt: skip
CROHN_MIXTURE = NormalMixture(
    weights=(0.50104846, 0.41871594, 1 - 0.50104846 - 0.41871594),
    location=(-51.42408665, -47.25917128, -55.07086416), scale=(19.04525409, 7.85193726, 44.57325), unit_sd=88,
)  # fmt: skip


@functools.cache
def map_of_as(tau: float = 1.0) -> MapPrior:
    rows = [Responders(events=r, n=n) for r, n in AS]
    return meta_analytic_predictive(rows, mu=Normal(0, 2), tau=HalfNormal(tau))


@functools.cache
def map_of_crohn() -> MapPrior:
    rows = [EffectEstimate(estimate=y, se=88 / n**0.5) for n, y in CROHN]
    return meta_analytic_predictive(rows, mu=Normal(0, 88), tau=HalfNormal(44))


def within_error(found: float, printed: float, sd: float, factor: float = 1.0) -> bool:
    return abs(found - printed) < 4 * factor * sd / np.sqrt(2000)


# ---- gMAP, to its Monte Carlo error


@pytest.mark.parametrize(
    ("tau", "mean", "sd", "quantiles"),
    [(1.0, 0.255, 0.0864, (0.106, 0.247, 0.461)), (0.5, 0.259, 0.0776, (0.129, 0.250, 0.442))],
)
def test_the_predicted_response_rate_of_spondylitis_agrees(tau, mean, sd, quantiles):
    prior = map_of_as(tau)
    assert within_error(prior.mean, mean, sd)
    assert abs(prior.sd / sd - 1) < 4 / np.sqrt(2 * 2000)
    found = prior.quantile(np.array([0.025, 0.5, 0.975]))
    # the outer quantiles are where draws are few: their error is larger by the ratio of the densities
    for value, printed, factor in zip(found, quantiles, (2.5, 1.5, 5.0), strict=True):
        assert within_error(value, printed, sd, factor)


@pytest.mark.parametrize(("tau", "mean", "median", "sd"), [(1.0, 0.387, 0.359, 0.215), (0.5, 0.335, 0.320, 0.172)])
def test_the_heterogeneity_of_spondylitis_agrees(tau, mean, median, sd):
    found = map_of_as(tau).hierarchy
    assert within_error(found.tau_posterior.mean, mean, sd)
    assert within_error(found.tau[0], median, sd, 1.5)


def test_the_mean_of_the_studies_agrees():
    found = map_of_as().hierarchy.mu
    assert within_error(found.mean, -1.109, 0.186)
    assert abs(found.sd / 0.186 - 1) < 4 / np.sqrt(2 * 2000)


def test_the_shrunken_response_rates_agree():
    printed = (0.2272763, 0.2614755, 0.3149371, 0.2414853, 0.2705909, 0.2677422, 0.1741634, 0.2675219)
    sds = (0.03437691, 0.04859589, 0.05848813, 0.04789034, 0.03415781, 0.06281074, 0.04459800, 0.05365127)
    for j in range(8):
        density = map_of_as().hierarchy.shrunken(j)
        mean = density.expect(1 / (1 + np.exp(-density.x)))
        assert within_error(mean, printed[j], sds[j])


def test_the_prediction_of_crohns_disease_agrees():
    prior = map_of_crohn()
    assert within_error(prior.mean, -50.0, 19.3)
    assert within_error(prior.hierarchy.tau_posterior.mean, 14.3, 9.99)
    found = prior.quantile(np.array([0.025, 0.5, 0.975]))
    for value, printed, factor in zip(found, (-93.1, -48.6, -13.8), (6.0, 1.5, 6.0), strict=True):
        assert within_error(value, printed, 19.3, factor)


# ---- effective sample sizes, exact


def test_the_sizes_of_the_spondylitis_mixture_are_those_printed():
    sizes = [effective_size(AS_MIXTURE, m) for m in ("elir", "moment", "morita")]
    assert [round(s) for s in sizes] == [38, 24, 95]


def test_the_size_of_the_robust_spondylitis_mixture_is_that_printed():
    assert round(effective_size(AS_MIXTURE.robust(0.2, mean=0.5))) == 27


def test_the_sizes_of_the_crohn_mixture_are_those_printed():
    sizes = [effective_size(CROHN_MIXTURE, m) for m in ("elir", "morita", "moment")]
    assert [round(s) for s in sizes] == [39, 89, 21]


def test_the_size_of_the_robust_crohn_mixture_is_that_printed():
    assert round(effective_size(CROHN_MIXTURE.robust(0.2, mean=-50))) == 28


@pytest.mark.parametrize(("method", "printed"), [("elir", 7.65152), ("moment", 3.161034), ("morita", 8.487603)])
def test_the_sizes_of_a_beta_mixture_agree_to_six_digits(method, printed):
    mixture = BetaMixture(weights=(0.2, 0.8), a=(1, 10), b=(1, 2))
    assert effective_size(mixture, method) == pytest.approx(printed, rel=1e-6)


@pytest.mark.parametrize(
    ("method", "unit", "printed"), [("elir", 10, 10.82796), ("moment", 10, 8.163265), ("elir", 20, 43.31185)]
)
def test_the_sizes_of_a_normal_mixture_agree(method, unit, printed):
    mixture = NormalMixture(weights=(0.5, 0.5), location=(0, 3), scale=(2, 4), unit_sd=unit)
    assert effective_size(mixture, method) == pytest.approx(printed, rel=1e-6)


@pytest.mark.parametrize(("data", "printed"), [("poisson", 7.159378), ("exponential", 34.93388)])
def test_the_sizes_of_a_gamma_mixture_agree(data, printed):
    mixture = GammaMixture(weights=(0.3, 0.7), shape=(20, 50), rate=(4, 10))
    assert effective_size(mixture, data=data) == pytest.approx(printed, rel=1e-6)


@pytest.mark.parametrize(
    ("weights", "location", "scale", "printed"),
    [
        ((1.0,), (np.log(5 / 15),), (np.sqrt(1 / 5 + 1 / 15),), 21.78289),
        ((1.0,), (np.log(1 / 3),), (2 / np.sqrt(10),), 15.17836),
        # printed from a numerical integral: agrees to 5 digits
        ((0.2, 0.8), (0.0, np.log(5.0)), (2.0, np.sqrt(0.6)), 10.12272),
    ],
)
def test_the_sizes_of_normal_mixtures_of_a_logit_agree(weights, location, scale, printed):
    mixture = NormalMixture(weights=weights, location=location, scale=scale)
    assert effective_size(mixture, data="binomial") == pytest.approx(printed, rel=1e-5)


# ---- the fitted mixture


def test_the_fitted_beta_mixture_has_the_mean_and_sd_of_the_prediction():
    fitted = fit_mixture(map_of_as())
    assert fitted.divergence < 1e-3
    assert (fitted.mixture.mean, fitted.mixture.sd) == pytest.approx((map_of_as().mean, map_of_as().sd), rel=2e-3)


def test_the_sizes_of_the_own_fit_are_near_those_of_the_fit_to_draws():
    fitted = fit_mixture(map_of_as()).mixture
    assert effective_size(fitted, "elir") == pytest.approx(38, abs=2)
    assert effective_size(fitted, "moment") == pytest.approx(24, abs=1)


def test_the_fitted_normal_mixture_has_three_components_as_printed():
    fitted = fit_mixture(map_of_crohn(), unit_sd=88)
    assert fitted.mixture.size == 3
    assert effective_size(fitted.mixture, "moment") == pytest.approx(21, abs=1)


# ---- updating, predicting, deciding


def test_the_posterior_of_a_robust_prior_agrees():
    after = update(BetaMixture(weights=(0.5, 0.5), a=(4, 1), b=(10, 1)), Responders(events=18, n=20))
    assert after.weights == pytest.approx((0.002672948, 0.997327052), rel=1e-6)
    assert (after.a, after.b) == ((22, 19), (12, 3))


def test_the_posterior_of_a_normal_prior_agrees():
    values = np.array([-46, -227, 41, -65, -103, -22, 7, -169, -69, 90])
    prior = NormalMixture(weights=(1,), location=(-49,), scale=(88 / 20**0.5,))
    after = update(prior, EffectEstimate(estimate=float(values.mean()), se=88 / 10**0.5))
    assert (after.location[0], after.scale[0]) == pytest.approx((-51.43333, 16.06653), abs=5e-6)


def test_the_predictive_probabilities_agree():
    printed = (0.08814590, 0.19605661, 0.23899190, 0.19379686, 0.11696528, 0.05913205, 0.03082078, 0.02104347,
               0.01863583, 0.01822732, 0.01818400)  # fmt: skip
    mixture = BetaMixture(weights=(0.8, 0.2), a=(15, 1), b=(50, 1))
    found = [np.exp(log_predictive(mixture, Responders(events=r, n=10))) for r in range(11)]
    assert found == pytest.approx(printed, abs=5e-9)


def test_vague_components_are_those_printed():
    gamma = GammaMixture(weights=(0.2, 0.8), shape=(6, 10), rate=(3, 5)).robust(0.1, mean=2)
    normal = NormalMixture(weights=(0.2, 0.8), location=(0.5, 2), scale=(0.7, 1), unit_sd=2).robust(0.1, mean=0)
    assert (gamma.shape[-1], gamma.rate[-1], normal.location[-1], normal.scale[-1]) == (2, 1, 0, 2)


def test_the_analysis_of_the_trial_agrees():
    after = update(AS_MIXTURE.robust(0.2, mean=0.5), Responders(events=1, n=6))
    found = probability_of_difference(update(TREATMENT, Responders(events=14, n=24)), after)
    assert found == pytest.approx(0.9917197, abs=5e-7)


def test_the_analysis_of_the_crohn_trial_agrees():
    active = update(NormalMixture(weights=(1,), location=(-50,), scale=(88,)), EffectEstimate(estimate=-29.2, se=14.0))
    placebo = update(CROHN_MIXTURE.robust(0.2, mean=-50), EffectEstimate(estimate=-63.1, se=13.9))
    found = [probability_of_difference(active, placebo, q, above=False) for q in (0, -50)]
    assert found == pytest.approx([0.06270104, 3.827361e-06], rel=1e-6)


@pytest.mark.parametrize(
    ("treatment", "control", "n_control", "printed"),
    [
        (TREATMENT, AS_MIXTURE, 6, 0.302), (UNIFORM, UNIFORM, 24, 0.341),
        (TREATMENT, AS_MIXTURE.robust(0.2, mean=0.5), 6, 0.368), (UNIFORM, UNIFORM, 6, 0.529),
    ],
)  # fmt: skip
def test_the_difference_with_80_percent_power_agrees_to_three_digits(treatment, control, n_control, printed):
    region = success_region(treatment, control, 24, n_control, Decision(probabilities=(0.95,)))
    rate = AS_MIXTURE.mean
    found = brentq(lambda delta: success_probability(region, rate + delta, rate) - 0.8, 0, 1 - rate)
    assert round(found, 3) == printed


@pytest.mark.parametrize(("ratio", "success"), [(2, True), (3, False)])
def test_decisions_on_the_odds_ratio_agree(ratio, success):
    decision = Decision(probabilities=(0.95, 0.5), thresholds=(0.0, float(np.log(ratio))), link="logit")
    first, second = (update(UNIFORM, Responders(events=r, n=40)) for r in (18, 10))
    assert decision(first, second) is success
