"""Pairwise analyses beside R's metafor 4.8-0 (metadat 1.6-0, R 4.2.2): rma(yi, vi, method=, test=), rma.mh, rma.peto,
rma.glmm, robust, confint. validation/metafor compares everything; these are the numbers that must never move.

Closed forms agree to 1e-8. metafor's iterative estimators stop when tau² moves by less than about 1e-5, so theirs agree
to 1e-4 of the estimate.
"""

import math

import numpy as np
import pytest

from enthesis.inference.fit import fit
from enthesis.inference.glmm import mixed_model
from enthesis.inference.locscale import location_scale
from enthesis.inference.metareg import meta_regression
from enthesis.inference.metareg_tests import cluster_robust
from enthesis.inference.stratified import mantel_haenszel, peto
from enthesis.network.comparison import cells, study_effects
from enthesis.network.measures import ContinuityCorrection
from published import bcg, normand, table, two_arms

EXACT, ITERATIVE = 1e-8, 1e-4

#: BCG, log risk ratio: estimate, se (z), se (knha), tau², se of tau²
BCG = {
    "DL": (-0.714117222073227, 0.178742089535403, 0.180696628335547, 0.308760262862376, 0.229869992511026),
    "HE": (-0.715878588758735, 0.183279985988782, 0.181104069191232, 0.328563857995769, 0.207087178298934),
    "HS": (-0.704535373916257, 0.158652093056656, 0.178623307721992, 0.228362863676907, 0.12790455661328),
    "HSk": (-0.70747605172449, 0.164148019907629, 0.179238254082345, 0.249169930280965, 0.150709190075735),
    "SJ": (-0.717248592557584, 0.187059458416427, 0.181428451527755, 0.345515701598595, 0.149680511347343),
    "ML": (-0.711199139190283, 0.171896817022674, 0.180042222963046, 0.280028171049595, 0.144251964039114),
    "REML": (-0.714532348365101, 0.179781531780361, 0.1807917455191, 0.313243325980895, 0.166425783098725),
    "EB": (-0.714968159161362, 0.180892206115034, 0.180892192848002, 0.318068515771305, 0.173663055452438),
    "PM": (-0.714970405632446, 0.180897984125838, 0.180892712222961, 0.318093711863015, 0.173674149828009),
    "PMM": (-0.717084670882789, 0.186594686847632, 0.181389268578324, 0.343408698186051, 0.184784812596384),
}
CLOSED = ("DL", "HE", "HS", "HSk", "SJ")


@pytest.fixture(scope="module")
def effects():
    return study_effects(bcg())


@pytest.mark.parametrize("method", BCG)
def test_bcg_by_every_estimator(effects, method):
    z, hk = (meta_regression(effects.effect, effects.variance, tau=method, ci=ci) for ci in ("normal", "knapp-hartung"))
    got = (z.beta[0], z.se[0], hk.se[0], z.tau2, z.tau2_se)
    assert got == pytest.approx(BCG[method], rel=EXACT if method in CLOSED else ITERATIVE)


@pytest.mark.parametrize("method", BCG)
def test_a_fit_of_a_two_treatment_network_gives_the_same(method):
    result = fit(bcg(), engine="gls", tau=method)
    at = result.treatments.index("vaccine")
    got = (result.estimate[at], np.sqrt(result.covariance[at, at]), result.tau.estimate**2)
    expected = (*BCG[method][:2], BCG[method][3])
    assert got == pytest.approx(expected, rel=EXACT if method in CLOSED else ITERATIVE)


def test_bcg_common_effect(effects):
    result = meta_regression(effects.effect, effects.variance, effects="common")
    got = (result.beta[0], result.se[0], result.QE, 100 * result.I2, result.H2)
    expected = (-0.430285163654091, 0.0404987517108638, 152.233008082373, 92.1173468545621, 12.6860840068644)
    assert got == pytest.approx(expected, rel=EXACT)


def test_bcg_prediction_and_fit_statistics(effects):
    result = meta_regression(effects.effect, effects.variance, tau="DL", ci="knapp-hartung")
    row = result.predict().iloc[0]
    assert (row.prediction_lower, row.prediction_upper, result.pvalue[0], 100 * result.I2) == pytest.approx(
        (-1.98720696343074, 0.558972519284285, 0.00192076676704736, 92.1173468545621), rel=EXACT
    )
    assert (result.AIC, result.BIC, result.AICc) == pytest.approx(
        (29.3646715628558, 30.4945702777789, 30.5646715628558), rel=EXACT
    )


def test_bcg_intervals_for_tau2(effects):
    result = meta_regression(effects.effect, effects.variance)
    assert result.tau2_interval("Q-profile") == pytest.approx((0.119695312816638, 1.11148626221544), rel=3e-4)
    assert result.tau2_interval("profile likelihood") == pytest.approx((0.115239399672938, 0.964666425362115), rel=3e-4)


def test_bcg_on_latitude(effects):
    result = meta_regression(effects.effect, effects.variance, {"ablat": table("bcg").ablat})
    got = (*result.beta, *result.se, result.tau2, result.QE, result.QM, 100 * result.I2, 100 * result.R2)
    expected = (
        0.251464294374285, -0.0291016609280148, 0.249103666389133, 0.00719555475708091, 0.0763546947056598,
        30.7330900107493, 16.3571255721594, 68.3931305090481, 75.6244783614905,
    )  # fmt: skip
    assert got == pytest.approx(expected, rel=ITERATIVE)


def test_bcg_on_latitude_with_knapp_hartung(effects):
    result = meta_regression(effects.effect, effects.variance, {"ablat": table("bcg").ablat}, ci="knapp-hartung")
    got = (*result.se, result.pvalue[1], result.QM, result.lower[1])
    expected = (0.283930037419131, 0.00820154179600833, 0.00456554558895661, 12.5905455260742, -0.0471531327109005)
    assert got == pytest.approx(expected, rel=2e-4)


def test_bcg_on_latitude_and_allocation(effects):
    data = table("bcg")
    result = meta_regression(effects.effect, effects.variance, data[["ablat", "alloc"]], tau="ML")
    assert result.names == ("intercept", "ablat", "alloc=random", "alloc=systematic")
    assert (*result.beta, result.QM) == pytest.approx(
        (0.416339631334432, -0.0298459236695034, -0.214648848849011, -0.0697523743564878, 33.3206459806786), rel=1e-3
    )


def test_bcg_with_latitude_for_effect_and_heterogeneity(effects):
    latitude = {"ablat": table("bcg").ablat}
    result = location_scale(effects.effect, effects.variance, latitude, latitude)
    assert (*result.beta, *result.alpha) == pytest.approx(
        (0.251476041051362, -0.0291105216249222, -2.54250096641238, -0.000730145508897059), rel=1e-5
    )


def test_bcg_cluster_robust(effects):
    result = cluster_robust(meta_regression(effects.effect, effects.variance), table("bcg").trial)
    assert (result.se[0], result.pvalue[0]) == pytest.approx((0.179181384455786, 0.00180094112048399), rel=1e-6)


@pytest.mark.parametrize(
    ("measure", "estimate", "se", "Q"),
    [
        ("OR", -0.473410988388585, 0.0410077784042314, 163.942579569193),
        ("RR", -0.453709604683754, 0.0393373668712944, 152.567553586657),
        ("RD", -0.003288181832613, 0.000286656748527374, 386.77594183656),
    ],
)
def test_bcg_mantel_haenszel(measure, estimate, se, Q):
    result = mantel_haenszel(cells(bcg(measure)))
    assert (result.estimate, result.se, result.Q) == pytest.approx((estimate, se, Q), rel=EXACT)


def test_bcg_peto():
    result = peto(cells(bcg("OR")))
    assert (result.estimate, result.se, result.Q) == pytest.approx(
        (-0.474446310940636, 0.0406590807446483, 167.730167511489), rel=EXACT
    )


@pytest.mark.parametrize(
    ("kind", "points", "estimate", "se", "tau2"),
    [
        ("UM.FS", 7, -0.745013466103339, 0.175565799339644, 0.294893647589718),
        ("CM.AL", 7, -0.722116995623337, 0.174401922301382, 0.288710350731379),
    ],
)
def test_bcg_mixed_models(kind, points, estimate, se, tau2):
    result = mixed_model(cells(bcg("OR")), kind, points=points)
    assert (result.estimate, result.se, result.tau**2) == pytest.approx((estimate, se, tau2), rel=ITERATIVE)


def test_bcg_mixed_model_with_random_baselines_by_laplace_as_lme4_does():
    result = mixed_model(cells(bcg("OR")), "UM.RS", points=1)
    assert (result.estimate, result.tau**2, result.sigma**2) == pytest.approx(
        (-0.761584037779691, 0.319835500625488, 1.86161816488596), rel=5e-4
    )


@pytest.mark.parametrize(
    ("method", "ci", "estimate", "se", "tau2"),
    [
        ("DL", "normal", 0.0893220844315025, 0.0557939247181291, 0.0259036722998061),
        ("DL", "knapp-hartung", 0.0893220844315025, 0.0635755550816228, 0.0259036722998061),
        ("SJ", "normal", 0.113341152560469, 0.0780643677830481, 0.0771409967298081),
        ("HS", "normal", 0.0866523169593298, 0.0537883171676799, 0.0223816691896635),
    ],
)
def test_teacher_expectancy(method, ci, estimate, se, tau2):
    data = table("raudenbush1985")
    result = meta_regression(data.yi, data.vi, tau=method, ci=ci)
    assert (result.beta[0], result.se[0], result.tau2) == pytest.approx((estimate, se, tau2), rel=EXACT)


@pytest.mark.parametrize(
    ("method", "estimate", "se", "tau2"),
    [
        ("DL", -13.9817218170439, 5.12669833923133, 205.409375467911),
        ("SJ", -15.1450313271664, 9.20972822793435, 727.500263331633),
        ("REML", -15.1060274743905, 8.94655284568962, 684.646152881847),
        ("PM", -15.1456800341113, 9.2142715953766, 728.251128607141),
    ],
)
def test_length_of_stay(method, estimate, se, tau2):
    result = meta_regression(*normand(), tau=method)
    assert (result.beta[0], result.se[0], result.tau2) == pytest.approx((estimate, se, tau2), rel=EXACT)


def test_catheters_with_a_zero_cell_where_the_moment_estimate_is_zero():
    # escalc gives the study without events (Yucel 2004) an effect from its corrected cells, which is not our default
    network = two_arms("nielweise2007", ("ai", "n1i"), ("ci", "n2i"), "n", "OR")
    effects = study_effects(network.replace(correction=ContinuityCorrection(double_zero="corrected")))
    result = meta_regression(effects.effect, effects.variance, tau="DL", ci="knapp-hartung")
    assert (result.beta[0], result.se[0], result.tau2) == pytest.approx(
        (-0.954779173418366, 0.227537497636796, 0.0), rel=EXACT
    )


@pytest.mark.parametrize(
    ("name", "one", "two", "size", "measure", "estimate", "se", "tau"),
    [
        ("nielweise2007", ("ai", "n1i"), ("ci", "n2i"), "n", "OR", -1.353, 0.351, 0.83),
        ("nielweise2008", ("x1i", "t1i"), ("x2i", "t2i"), "time_at_risk", "IRR", -0.476, 0.238, 0.35),
    ],
)
def test_catheters_by_the_exact_conditional_model_as_published(name, one, two, size, measure, estimate, se, tau):
    """Stijnen T, Hamza TH, Özdemir P, Stat Med 2010;29:3046, tables III (page 3052) and VIII (page 3055).

    The figures are those that metafor's own test of the paper compares with (test_analysis_example_stijnen2010.r).
    """
    result = mixed_model(cells(two_arms(name, one, two, size, measure)), "CM.EL")
    assert (result.estimate, result.se) == pytest.approx((estimate, se), abs=6e-4)
    assert result.tau == pytest.approx(tau, abs=6e-3)


def test_catheters_by_the_exact_conditional_model_written_out():
    """The likelihood itself: every table with the study's margins, the log odds ratio's distribution on a fine grid."""
    table = cells(two_arms("nielweise2007", ("ai", "n1i"), ("ci", "n2i"), "n", "OR"))
    z = np.linspace(-8, 8, 801)
    weight = np.exp(-(z**2) / 2) / np.exp(-(z**2) / 2).sum()

    def log_likelihood(theta, tau):
        total = 0.0
        for r1, n1, r2, n2 in zip(table.r1, table.n1, table.r2, table.n2, strict=True):
            events = int(r1 + r2)
            k = np.arange(max(0, events - int(n2)), min(int(n1), events) + 1)
            ways = np.array([math.log(math.comb(int(n1), i) * math.comb(int(n2), events - i)) for i in k])
            terms = ways[:, None] + k[:, None] * (theta + tau * z)
            share = np.exp(terms - terms.max(axis=0))
            total += math.log(weight @ (share[int(r1) - k[0]] / share.sum(axis=0)))
        return total

    found = mixed_model(table, "CM.EL", points=21)
    top = log_likelihood(found.estimate, found.tau)
    step = 1e-3
    slope = [(log_likelihood(found.estimate + a, found.tau + b) - log_likelihood(found.estimate - a, found.tau - b))
             / (2 * step) for a, b in ((step, 0), (0, step))]  # fmt: skip
    assert slope == pytest.approx([0.0, 0.0], abs=1e-4)
    assert top > log_likelihood(found.estimate, 0.0)
