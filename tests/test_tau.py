"""Between-study variance of networks, and the intervals that follow from it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t

import enthesis.inference.regression as regression
import enthesis.inference.tau as tau
from enthesis.errors import ModelError, UsageError
from enthesis.estimands import predictive_effects, relative_effects
from enthesis.inference import gls
from enthesis.inference.fit import fit
from enthesis.inference.tau import TAU_METHODS, log_likelihood, tau2_estimate, tau_interval
from enthesis.models.heterogeneity import Common
from enthesis.models.model import Model
from enthesis.models.target import contrast_target
from enthesis.network.tables import from_table

#: hospitals, odds ratios: nine two-arm studies and one of three arms
ROWS = [
    ("1", "A", 9, 140), ("1", "B", 23, 140), ("1", "C", 10, 138), ("2", "A", 79, 702), ("2", "B", 77, 694),
    ("3", "A", 18, 671), ("3", "B", 21, 535), ("4", "A", 8, 116), ("4", "B", 19, 146), ("5", "A", 75, 731),
    ("5", "C", 363, 714), ("6", "A", 2, 106), ("6", "C", 9, 205), ("7", "B", 20, 49), ("7", "C", 16, 43),
]  # fmt: skip


def network(rows=ROWS, **more):
    return from_table(
        [dict(study=s, treatment=x, events=r, n=n) for s, x, r, n in rows], measure="OR", reference="A", **more
    )


def pair(y, v):
    return from_table(
        [dict(study=f"s{i}", treat1="B", treat2="A", TE=a, seTE=b**0.5) for i, (a, b) in enumerate(zip(y, v))],
        measure="MD",
        reference="A",
    )


studies = st.lists(
    st.tuples(st.floats(-3, 3), st.floats(0.05, 2)), min_size=3, max_size=8
).map(lambda rows: (np.array([a for a, _ in rows]), np.array([b for _, b in rows])))  # fmt: skip


def test_paule_mandel_makes_q_equal_to_its_degrees_of_freedom():
    target = contrast_target(network())
    at = gls.solve(target, tau2_estimate(target, "PM"))
    assert pytest.approx(at.df, rel=1e-9) == at.Q


@pytest.mark.parametrize("method", ["ML", "REML"])
def test_the_likelihood_is_highest_at_its_estimate(method):
    target = contrast_target(network())
    peak, restricted = tau2_estimate(target, method), method == "REML"
    here = log_likelihood(target, peak, restricted=restricted)
    assert all(log_likelihood(target, peak * f, restricted=restricted) < here for f in (0.9, 0.99, 1.01, 1.1))


@pytest.mark.parametrize("method", TAU_METHODS)
@settings(max_examples=8, deadline=None)
@given(studies)
def test_a_network_of_two_treatments_is_the_pairwise_analysis(method, data):
    y, v = data
    expected = regression.tau2_estimate(y, v, np.ones((len(y), 1)), method)
    assert tau2_estimate(contrast_target(pair(y, v)), method) == pytest.approx(expected, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("method", TAU_METHODS)
def test_tau_does_not_depend_on_the_reference(method):
    rows = ROWS[3:]
    estimates = [
        tau2_estimate(contrast_target(network(rows).replace(reference=name)), method) for name in ("A", "B", "C")
    ]
    assert np.ptp(estimates) < 1e-9


@pytest.mark.parametrize("method", [m for m in TAU_METHODS if m not in ("DL", "ML", "REML", "PM")])
def test_an_estimator_without_a_generalisation_refuses_studies_of_three_arms_in_words(method):
    with pytest.raises(ModelError, match=r"three or more arms. Choose DL, ML, REML or PM"):
        fit(network(), engine="gls", tau=method)


def test_an_unknown_estimator_is_refused_with_the_known_ones():
    with pytest.raises(UsageError, match="REML"):
        fit(network(), engine="gls", tau="REMML")


def test_the_profile_likelihood_falls_by_its_quantile_at_the_ends():
    target = contrast_target(network())
    lower, upper = tau_interval(target, kind="profile likelihood", method="REML")
    peak = log_likelihood(target, tau2_estimate(target, "REML"), restricted=True)
    drops = [2 * (peak - log_likelihood(target, x**2, restricted=True)) for x in (lower, upper)]
    assert drops == pytest.approx([3.841459, 3.841459], abs=1e-5)


def test_a_profile_likelihood_of_a_moment_estimator_is_refused():
    with pytest.raises(UsageError, match="ML or REML, not DL"):
        fit(network(), engine="gls", tau="DL", tau_interval="profile likelihood")


def test_a_profile_likelihood_starts_at_zero_when_zero_is_likely():
    target = contrast_target(pair(np.zeros(4), np.ones(4)))
    assert tau_interval(target, kind="profile likelihood")[0] == 0


def test_knapp_hartung_scales_the_covariance_by_q_over_its_degrees_of_freedom():
    plain, scaled = (fit(network(), engine="gls", tau="DL", ci=ci) for ci in ("normal", "knapp-hartung"))
    at = gls.solve(contrast_target(network()), plain.tau.estimate**2)
    assert scaled.covariance == pytest.approx(plain.covariance * at.Q / at.df)


def test_the_truncated_variant_never_shortens_an_interval():
    rows = pair(np.array([0.0, 0.01, 0.02]), np.ones(3))
    se = [
        relative_effects(fit(rows, engine="gls", ci=ci))["se"][0]
        for ci in ("t", "knapp-hartung", "knapp-hartung-truncated")
    ]
    assert se[1] < se[0] == se[2]


def test_t_intervals_use_the_degrees_of_freedom_of_q():
    result = fit(network(), engine="gls", ci="t")
    row = relative_effects(result, "A").iloc[0]
    assert (row.upper - row.estimate) / row.se == pytest.approx(t.ppf(0.975, result.heterogeneity.df))


@pytest.mark.parametrize(("prediction", "df"), [("V", 6), ("HTS", 5), ("S", np.inf)])
def test_prediction_intervals_use_the_stated_degrees_of_freedom(prediction, df):
    result = fit(network(), engine="gls", prediction=prediction)
    assert result.heterogeneity.df == 6
    row = predictive_effects(result, "A").iloc[0]
    width = 1.959964 if np.isinf(df) else t.ppf(0.975, df)
    assert (row.upper - row.estimate) / row.se == pytest.approx(width, rel=1e-6)


def test_the_choices_are_recorded_beside_the_result():
    result = fit(network(), engine="gls", tau="PM", ci="t", prediction="HTS")
    names = ("tau_method", "ci_method", "ci_df", "prediction_method", "prediction_df")
    assert [result.diagnostics[name] for name in names] == ["PM", "t", 6.0, "HTS", 5.0]


def test_a_choice_of_interval_changes_the_identity_of_the_fit():
    assert fit(network(), engine="gls").content_hash != fit(network(), engine="gls", ci="t").content_hash


def test_knapp_hartung_with_common_effects_is_refused_in_words():
    with pytest.raises(ModelError, match="belong to random effects"):
        fit(network(), Model(heterogeneity=Common()), engine="gls", ci="knapp-hartung")


def test_t_without_degrees_of_freedom_is_refused():
    with pytest.raises(ModelError, match="has none"):
        fit(network([r for r in ROWS if r[0] == "2"]), engine="gls", ci="t")


def test_a_prediction_interval_without_degrees_of_freedom_is_empty():
    result = fit(network([r for r in ROWS if r[0] == "2"]), engine="gls")
    assert predictive_effects(result)[["lower", "upper"]].isna().all(axis=None)


@pytest.mark.parametrize("method", ["ML", "REML"])
@pytest.mark.parametrize("rows", [ROWS, [(s, x, 10, n) for s, x, _, n in ROWS]], ids=["heterogeneous", "homogeneous"])
def test_searching_near_the_moment_estimate_finds_the_maximum_that_searching_everywhere_finds(
    method, rows, monkeypatch
):
    target = contrast_target(network(rows))
    everywhere = tau2_estimate(target, method)
    monkeypatch.setattr(tau, "MANY", 0)
    assert tau2_estimate(target, method) == pytest.approx(everywhere, rel=1e-8, abs=1e-12)
