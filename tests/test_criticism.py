"""Criticism of a fit: closed forms where there are some, exact refits, simulated data, and other programs' DIC."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

import enthesis as en
from enthesis.errors import ModelError
from enthesis.inference import criticism
from enthesis.models.priors import Normal
from enthesis.network.subset import without_study
from published import TABLES

#: standard deviation of the prior of every study baseline
BASELINE_SD = 100.0


@pytest.fixture(scope="module")
def smoking():
    table = pd.read_csv(TABLES / "hasselblad1998.csv")[["study", "trt", "xi", "ni"]]
    table.columns = ["study", "treatment", "events", "n"]
    return en.from_table(table, measure="OR", reference="no_contact")


@pytest.fixture(scope="module")
def smoking_random(smoking):
    return en.fit(smoking, en.Model(heterogeneity=en.Exchangeable(sd=en.Uniform(0, 5))))


def means(studies: int, seed: int = 5, shift: dict[int, float] | None = None):
    """Arm means of A, B and C with a common effect; `shift` moves the second arm of a study."""
    rng = np.random.default_rng(seed)
    effect = {"A": 0.0, "B": 0.4, "C": 0.7}
    rows = []
    for s in range(studies):
        base = rng.normal(0, 0.5)
        for j, t in enumerate(("AB", "AC", "BC", "ABC")[s % 4]):
            mean = base + effect[t] + rng.normal(0, 0.2) + (shift or {}).get(s, 0.0) * (j == 1)
            rows.append({"study": f"S{s:02d}", "treatment": t, "mean": mean, "se": 0.2})
    return en.from_table(rows, measure="MD", reference="A")


@pytest.fixture(scope="module")
def normal():
    return en.fit(means(8), en.Model(heterogeneity=en.Common()), draws=4000)


def regression(network):
    """Least squares by hand: arms on study baselines and effects with their priors; y, variances, hat matrix."""
    block = network.blocks[0]
    S, T = network.n_studies, network.n_treatments
    X = np.zeros((len(block.y), S + T - 1))
    X[np.arange(len(block.y)), block.study] = 1
    for t in range(1, T):
        X[block.treatment == t, S + t - 1] = 1
    prior = np.diag([BASELINE_SD**-2.0] * S + [100.0**-2] * (T - 1))
    W = np.diag(block.se**-2)
    H = X @ np.linalg.solve(X.T @ W @ X + prior, X.T @ W)
    return block.y, block.se**2, H


def test_residual_deviance_and_leverage_of_a_normal_model_are_their_closed_form(normal):
    y, variance, H = regression(normal.network)
    at_mean, leverage = (y - H @ y) ** 2 / variance, np.diag(H)
    table = criticism.deviance_table(normal, draws=4000)
    arms = normal.network.arms_table()
    assert table[["study", "treatment"]].to_numpy().tolist() == arms[["study", "treatment"]].to_numpy().tolist()
    np.testing.assert_allclose(table["leverage"], leverage, atol=0.06)
    np.testing.assert_allclose(table["residual_deviance"], at_mean + leverage, atol=0.15)
    told = criticism.dic(normal, draws=4000)
    assert told["pD"] == pytest.approx(leverage.sum(), abs=0.25)
    assert told["residual_deviance"] == pytest.approx((at_mean + leverage).sum(), abs=0.4)


def test_a_saturated_model_has_as_many_parameters_as_studies_and_effects(normal):
    network = normal.network
    assert criticism.dic(normal)["pD"] == pytest.approx(network.n_studies + network.n_treatments - 1, abs=0.5)


def test_leverages_sum_to_pd_and_points_to_the_data(smoking_random):
    table, told = criticism.deviance_table(smoking_random), criticism.dic(smoking_random)
    assert told["pD"] == pytest.approx(table["leverage"].sum())
    assert told["points"] == len(table) == smoking_random.network.n_arms
    assert told["DIC"] == pytest.approx(told["residual_deviance"] + told["pD"])


@pytest.mark.parametrize(
    ("model", "peer", "expected"),
    [
        # gemtc 1.0-2, JAGS 4.3.1, 4 chains of 100,000: mu, d ~ normal(0, 100), tau ~ uniform(0, 5)
        (en.Model(heterogeneity=en.Exchangeable(sd=en.Uniform(0, 5))), "gemtc", (54.145, 43.911)),
        (en.Model(heterogeneity=en.Common()), "gemtc", (267.136, 26.982)),
        # multinma 0.8.0, rstan 2.32.7, 4 chains: mu, d ~ normal(0, 100), tau ~ half-normal(5)
        (en.Model(heterogeneity=en.Exchangeable(sd=en.HalfNormal(5))), "multinma", (54.041, 43.832)),
        (en.Model(heterogeneity=en.Common()), "multinma", (267.237, 27.085)),
    ],
    ids=["gemtc random", "gemtc common", "multinma random", "multinma common"],
)
def test_the_dic_of_smoking_cessation_is_that_of_other_programs(smoking, model, peer, expected):
    told = criticism.dic(en.fit(smoking, model), draws=4000)
    assert told["residual_deviance"] == pytest.approx(expected[0], abs=0.4)
    assert told["pD"] == pytest.approx(expected[1], abs=0.4)
    assert told["DIC"] == pytest.approx(sum(expected), abs=0.5)


def exact_elpd(network, position: int) -> float:
    """log predictive density of a study of arm means given all others, by the normal algebra."""
    block, model = network.blocks[0], en.Model(heterogeneity=en.Common())
    rest = en.fit(without_study(network, position), model)
    at = block.study == position
    names = [network.treatment_names[t] for t in block.treatment[at]]
    X = np.zeros((at.sum(), len(rest.treatments)))
    for i, name in enumerate(names):
        X[i, rest.treatments.index(name)] = 1
    V = np.diag(block.se[at] ** 2) + BASELINE_SD**2
    mean, first = X @ rest.estimate, X[0] @ rest.estimate
    # the baseline's prior belongs to the study's first arm
    D = X - X[0]
    return float(multivariate_normal(mean - first, V + D @ rest.covariance @ D.T).logpdf(block.y[at]))


def test_leaving_out_a_study_by_weights_equals_a_refit_without_it(normal):
    table = criticism.loo(normal, draws=4000)
    expected = [exact_elpd(normal.network, i) for i in range(normal.network.n_studies)]
    np.testing.assert_allclose(table["elpd_loo"], expected, atol=0.05)
    assert (table["pareto_k"] < 0.7).all()


def test_leaving_out_a_study_of_counts_equals_a_refit_without_it(smoking, smoking_random):
    table = criticism.loo(smoking_random, draws=4000).set_index("study")
    for name in (smoking.studies[3], smoking.studies[11]):
        rest = en.fit(without_study(smoking, smoking.studies.index(name)), smoking_random.model)
        moved = replace(smoking_random, theta=rest.theta, hyper_draws=rest.hyper_draws, weights=rest.weights)
        ll, names = criticism.study_log_likelihood(moved, draws=4000)
        expected = logsumexp(ll[:, names.index(name)]) - np.log(len(ll))
        assert table.loc[name, "elpd_loo"] == pytest.approx(expected, abs=0.05)


def test_waic_is_close_to_leaving_out(smoking_random):
    table = criticism.loo(smoking_random, draws=4000)
    assert table["elpd_waic"].sum() == pytest.approx(table["elpd_loo"].sum(), abs=1.0)
    assert (table["p_waic"] > 0).all()


def test_leaving_out_says_which_study_is_an_outlier():
    fit = en.fit(means(12, shift={5: 2.5}), en.Model(heterogeneity=en.Common()))
    assert criticism.loo(fit)["elpd_loo"].idxmin() == 5


def test_replicates_of_a_true_model_hold_the_data():
    fit = en.fit(means(40), en.Model(heterogeneity=en.Common()))
    p = criticism.predictive_check(fit)["p"]
    assert p.mean() == pytest.approx(0.5, abs=0.08)
    assert p.between(0.01, 0.99).all()
    # half of the arms' freedom goes into their study's baseline, so p-values lie closer to 1/2 than uniform ones
    assert 0.1 < p.std() < 0.29


def test_replicates_miss_an_outlier():
    network = means(40, shift={9: 3.0})
    table = criticism.predictive_check(en.fit(network, en.Model(heterogeneity=en.Common())))
    extreme = table[(table["p"] < 0.005) | (table["p"] > 0.995)]
    assert set(extreme["study"]) == {"S09"}
    assert (extreme["observed"] > extreme["upper"]).any()


def test_replicates_of_counts_are_counts(smoking_random):
    table = criticism.predictive_check(smoking_random)
    block = smoking_random.network.blocks[0]
    assert sorted(table["observed"]) == sorted(block.r)
    assert (table["lower"] >= 0).all()
    assert table["replicate_mean"].sum() == pytest.approx(block.r.sum(), rel=0.02)


def test_common_effects_of_a_heterogeneous_network_fail_the_check(smoking, smoking_random):
    common = en.fit(smoking, en.Model(heterogeneity=en.Common()))
    outside = [((t.p < 0.01) | (t.p > 0.99)).sum() for t in map(criticism.predictive_check, (smoking_random, common))]
    assert outside[0] == 0
    assert outside[1] >= 5


def two_arms(*effects: float, se: float = 0.5):
    rows = [{"study": str(i), "treatment": t, "mean": m, "se": se} for i, effect in enumerate(effects)
            for t, m in (("A", 0.0), ("B", effect))]  # fmt: skip
    return en.from_table(rows, measure="MD", reference="A")


def diagnosis(mean: float, sd: float) -> str:
    model = en.Model(effects=en.PerTreatment(prior=Normal(0, sd)), heterogeneity=en.Common())
    return criticism.prior_sensitivity(en.fit(two_arms(mean, mean), model))["diagnosis"].iloc[0]


@pytest.mark.parametrize(
    ("mean", "sd", "expected"),
    [
        (1.0, 100.0, "not sensitive to the prior"),
        (4.0, 1.0, "prior and data disagree"),
    ],
    ids=["vague prior", "prior against data"],
)
def test_power_scaling_tells_what_moves_the_effect(mean, sd, expected):
    assert diagnosis(mean, sd) == expected


def test_power_scaling_flags_a_tau_that_only_its_prior_knows():
    prior = en.Exchangeable(sd=en.HalfNormal(1.0))
    table = criticism.prior_sensitivity(en.fit(two_arms(1.0, 1.2, se=2.0), en.Model(heterogeneity=prior)))
    tau = table.set_index("parameter").loc["tau"]
    assert tau["diagnosis"] == "the prior decides; the data say little"
    assert tau["prior"] > 0.2 > tau["likelihood"]


def test_power_scaling_leaves_a_tau_alone_that_the_data_know(smoking):
    fit = en.fit(smoking, en.Model(heterogeneity=en.Exchangeable(sd=en.HalfNormal(5))))
    table = criticism.prior_sensitivity(fit).set_index("parameter")
    assert table.loc["tau", "diagnosis"] == "not sensitive to the prior"


def test_power_scaling_of_a_normal_model_is_its_derivative():
    # posterior mean of a normal effect: (1/v) / (1/v + power); its change per doubling of the prior's power
    model = en.Model(effects=en.PerTreatment(prior=Normal(0, 1)), heterogeneity=en.Common())
    fit = en.fit(two_arms(1.0, 1.0), model)
    v = 2 * 0.5**2 / 2
    low, high = ((1 / v) / (1 / v + power) for power in (1.125, 1 / 1.125))
    expected = (high - low) / (2 * np.log2(1.125)) * (1 / v + 1) ** 0.5
    assert criticism.prior_sensitivity(fit)["prior"].iloc[0] == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(
    "judge",
    [criticism.deviance_table, criticism.dic, criticism.loo, criticism.predictive_check, criticism.sample],
    ids=lambda f: f.__name__,
)
def test_a_fit_without_draws_is_refused_with_a_sentence(smoking, judge):
    with pytest.raises(ModelError, match=r"needs a Bayesian fit: use engine 'laplace'"):
        judge(en.fit(smoking, engine="gls"))


def test_power_scaling_of_a_fit_without_draws_is_refused_with_a_sentence(smoking):
    with pytest.raises(ModelError, match=r"needs a Bayesian fit: use engine 'laplace'"):
        criticism.prior_sensitivity(en.fit(smoking, engine="gls"))


def test_resampling_gives_draws_of_equal_weight_with_the_same_mean(smoking_random):
    s = criticism.sample(smoking_random, 4000)
    assert s.theta.shape == (4000, 3)
    np.testing.assert_allclose(s.theta.mean(0), smoking_random.weights @ smoking_random.theta, atol=0.02)


def test_the_table_of_contrasts_has_one_row_per_study(smoking):
    model = en.Model(likelihood="contrasts", heterogeneity=en.Common())
    fit = en.fit(smoking, model)
    table = criticism.deviance_table(fit)
    assert table["study"].tolist() == list(fit.network.studies)
    assert table["points"].sum() == fit.network.n_arms - fit.network.n_studies
    assert criticism.dic(fit)["pD"] == pytest.approx(fit.network.n_treatments - 1, abs=0.2)
