"""Proposals are distributions with a known density, and follow the draws that they are fitted to."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import enthesis as en
from enthesis.inference import laplace
from enthesis.inference.diagnostics import pareto_smoothed
from enthesis.inference.hyper import CellHyper, OneHyper
from enthesis.inference.points import uniform_points
from enthesis.inference.proposal import LOOKED_AT, adapted, along_axes, gaussian, log_t
from enthesis.inference.quadrature import tau_posterior
from enthesis.models.compile import compile_target
from published import TABLES


def half_normal_draws(n=4000):
    """One coordinate like half a normal distribution, two normal ones."""
    u = uniform_points(n, 3, 1)
    z = stats.norm.ppf(u)
    return np.c_[z[:, 0], -3 * np.abs(z[:, 1]), 0.5 * z[:, 2] + 0.3 * z[:, 0]]


def test_the_density_of_a_t_distribution_is_the_published_one():
    chol = np.array([[1.0, 0.0], [0.4, 0.7]])
    x = np.array([[0.0, 0.0], [1.0, -2.0], [5.0, 3.0]])
    exact = stats.multivariate_t(loc=[0.2, -0.1], shape=chol @ chol.T, df=5).logpdf(x)
    assert log_t(x, np.array([0.2, -0.1]), chol, 5.0) == pytest.approx(exact)


def test_draws_have_the_density_that_is_stated():
    x = half_normal_draws()
    proposal = adapted(x, np.full(len(x), 1 / len(x)))
    assert len(proposal.share) > 2
    drawn = proposal.draw(uniform_points(2**14, 3 + proposal.extra, 2))
    # the density of a wide normal, integrated by importance sampling, is 1 when the stated density is that of the draws
    weight = np.exp(stats.multivariate_normal(mean=[0, -2, 0], cov=np.diag([1.0, 4.0, 0.3])).logpdf(drawn))
    assert np.mean(weight / np.exp(proposal.log_density(drawn))) == pytest.approx(1.0, abs=0.02)


def test_a_posterior_like_half_a_normal_distribution_is_followed():
    x = half_normal_draws()
    proposal = adapted(x, np.full(len(x), 1 / len(x)))
    drawn = proposal.draw(uniform_points(4096, 3 + proposal.extra, 3))
    log_p = stats.norm.logpdf(drawn[:, 0]) + stats.norm.logpdf(drawn[:, 1], scale=3)
    log_p += stats.norm.logpdf(drawn[:, 2] - 0.3 * drawn[:, 0], scale=0.5)
    log_p[drawn[:, 1] > 0] = -np.inf
    weights, k = pareto_smoothed(log_p - proposal.log_density(drawn))
    assert k < 0.5
    assert 1 / np.sum(weights**2) > 0.5 * len(drawn)


def test_weights_stay_bounded_where_the_fit_is_too_narrow():
    proposal = adapted(0.5 * half_normal_draws()[:, [0, 2]], np.full(4000, 1 / 4000))
    drawn = proposal.draw(uniform_points(4096, 2 + proposal.extra, 3))
    exact = stats.multivariate_normal(mean=[0, 0], cov=[[1.0, 0.3], [0.3, 0.34]]).logpdf(drawn)
    assert pareto_smoothed(exact - proposal.log_density(drawn))[1] < 0.5


def test_the_first_proposal_is_the_standard_normal():
    x = np.array([[0.0, 0.0], [1.0, 2.0]])
    assert gaussian(2).log_density(x) == pytest.approx(stats.norm.logpdf(x).sum(1))


def smoking(reference, measure="OR"):
    table = pd.read_csv(TABLES / "hasselblad1998.csv")[["study", "trt", "xi", "ni"]]
    table.columns = ["study", "treatment", "events", "n"]
    return en.from_table(table, measure=measure, reference=reference)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(
    ("model", "reference", "measure"),
    [
        # with this reference one comparison has only a study without events: its posterior has no bound but the prior
        (en.Model(consistency=en.UnrelatedMeanEffects()), "ind_counseling", "OR"),
        (en.Model(heterogeneity=en.Common(), likelihood="exact"), "no_contact", "RR"),
    ],
)
def test_a_posterior_far_from_a_gaussian_is_certified(model, reference, measure, seed):
    found = laplace.posterior(compile_target(model, smoking(reference, measure)), draws=4000, seed=seed)
    assert found.status.ok
    assert found.diagnostics["pareto_k"] < 0.6
    assert found.diagnostics["effective_sample_size"] > 2000


def test_a_comparison_without_events_has_the_posterior_of_its_prior_below_a_bound():
    target = compile_target(en.Model(consistency=en.UnrelatedMeanEffects()), smoking("ind_counseling"))
    found = laplace.posterior(target, draws=4000, seed=1)
    at = target.names.index("d[no_contact vs grp_counseling]")
    x, w = found.theta[:, at], found.weights
    # Normal(0, 100) below about zero: mean -100 sqrt(2 / pi)
    assert w @ x == pytest.approx(-79.8, abs=4.0)
    assert w[x > 5].sum() < 1e-6


def exact_axes(log_density):
    """The proposal along axes of a density of one coordinate, and weighted draws from it."""
    proposal = along_axes(log_density(LOOKED_AT)[None])
    x = proposal.draw(uniform_points(2**13, 1, 4))
    return proposal, x, log_density(x[:, 0]) - proposal.log_density(x)


def test_a_proposal_along_axes_of_a_gaussian_is_the_gaussian():
    _, x, log_w = exact_axes(lambda z: -0.5 * z**2)
    inner = np.abs(x[:, 0]) < 6
    assert np.ptp(log_w[inner]) < 0.01
    assert x.std() == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("tail", [1.0, 3.0])
def test_a_proposal_along_axes_follows_a_skewed_density(tail):
    # log gamma: what an effect without many events looks like
    _, _, log_w = exact_axes(lambda z: tail * (z - np.exp(z)) + tail)
    assert np.exp(log_w).max() / np.exp(log_w).mean() < 1.3
    assert np.exp(log_w).min() / np.exp(log_w).mean() > 0.5


def test_the_density_along_axes_is_that_of_its_draws():
    proposal, x, _ = exact_axes(lambda z: 1.0 * (z - np.exp(z)))
    normal = np.exp(stats.norm.logpdf(x[:, 0], -0.5, 1.5) - proposal.log_density(x))
    assert normal.mean() == pytest.approx(1.0, abs=0.02)


def test_a_sparse_network_of_many_treatments_is_certified():
    rng = np.random.default_rng(5)
    rows = [
        dict(study=f"{s:03d}", treatment=f"T{t:02d}", events=int(rng.binomial(150, 0.008)), n=150)
        for s in range(120)
        for t in ((s % 59, s % 59 + 1) if s < 59 else rng.choice(60, 2, replace=False))
    ]
    network = en.from_table(rows, measure="OR", reference="T00")
    target = compile_target(en.Model(effects=en.PerTreatment(prior=en.Normal(0, 2))), network)
    found = laplace.posterior(target, draws=1000, seed=1)
    assert found.diagnostics["proposal"] == "along axes"
    assert found.status.ok
    assert found.diagnostics["effective_sample_size"] > 200


def test_weights_that_vanish_for_most_draws_do_not_stop_the_fit():
    weights = np.zeros(600)
    weights[:40] = 1 / 40
    assert np.isfinite(adapted(uniform_points(600, 50, 1), weights).centre).all()


@pytest.mark.parametrize("hyper", [OneHyper, CellHyper])
def test_hyperparameters_are_drawn_from_where_the_weights_are(hyper):
    if hyper is OneHyper:
        at = OneHyper(tau_posterior(lambda x: -0.5 * ((x - 1) / 0.3) ** 2, en.HalfNormal(5.0)))
        u = uniform_points(4000, 1, 1)
    else:
        edges = np.linspace(0.05, 2.05, 21)
        mass = np.exp(-0.5 * ((edges[:-1] + 0.05 - 1) / 0.3) ** 2)
        at = CellHyper(lower=edges[:-1, None], upper=edges[1:, None], mass=mass / mass.sum())
        u = uniform_points(4000, 1, 1)
    h, node, log_q = at.draw(u)
    weights = np.exp(-0.5 * ((h[:, 0] - 1.2) / 0.25) ** 2 - log_q)
    weights /= weights.sum()
    moved, _, log_density = at.corrected(h, node, weights).draw(u)
    assert moved.mean() == pytest.approx(1.2, abs=0.03)
    assert np.mean(np.exp(-0.5 * ((moved[:, 0] - 1.2) / 0.25) ** 2 - log_density)) == pytest.approx(
        0.25 * np.sqrt(2 * np.pi), rel=0.02
    )
