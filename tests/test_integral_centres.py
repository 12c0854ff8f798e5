"""The centres of the study integrals are found wherever the draws are, so that rare events are integrated exactly."""

import zlib
from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad

import enthesis as en
from enthesis.inference import integrals, laplace
from enthesis.inference.integrals import RULES, Centres, by_study, sparse_studies
from enthesis.models.compile import compile_target
from families import FAMILIES, simulated

BY_NAME = {f.name: f for f in FAMILIES}
RARE = en.Model(effects=en.PerTreatment(prior=en.Normal(0, 2)), heterogeneity=en.Common())


def one_event_in_the_small_arm():
    rows = [dict(study="1", treatment=t, events=r, n=n) for t, r, n in (("A", 0, 400), ("B", 1, 100))]
    return compile_target(RARE, en.from_table(rows, measure="OR", reference="A"))


@pytest.mark.parametrize("effect", [0.0, -1.5, -3.0, -5.0])
@pytest.mark.parametrize("start", [-5.0, -7.0, -3.0])
def test_a_study_whose_one_event_is_improbable_is_integrated_exactly(effect, start):
    target = one_event_in_the_small_arm()

    def integrand(mu):
        eta = np.array([mu, mu + effect])
        r, n = np.array([0.0, 1.0]), np.array([400.0, 100.0])
        value = (r * eta - n * np.logaddexp(0, eta)).sum() + np.log(100.0)
        return np.exp(value - 0.5 * (mu / 100) ** 2) / (100 * np.sqrt(2 * np.pi))

    exact = np.log(quad(integrand, -40, 20, points=[-8, -6, -4, -2], epsabs=0, epsrel=1e-10, limit=200)[0])
    centres = Centres(mu=(np.array([[start]]),), b=(np.zeros((1, 2)),))
    found = by_study(target, np.array([[effect]]), np.zeros((1, 0)), centres, RULES[4])[0][0, 0]
    assert found == pytest.approx(exact, abs=2e-3)


@pytest.mark.parametrize("effect", [140.0, -760.0])
def test_a_draw_far_out_has_its_integral_and_not_a_gap(effect):
    rows = [dict(study="1", treatment=t, events=r, n=50) for t, r in (("A", 1), ("B", 0))]
    model = RARE.replace(heterogeneity=en.Exchangeable(sd=en.HalfNormal(1)))
    target = compile_target(model, en.from_table(rows, measure="OR", reference="A"))
    centres = Centres(mu=(np.array([[-3.0], [-3.0]]),), b=(np.zeros((2, 2)),))
    found = by_study(target, np.array([[-1.0], [effect]]), np.array([[0.5], [0.9]]), centres, RULES[3])[0]
    assert np.isfinite(found).all()


def rare_network():
    """Twenty studies of 400 patients on A and 100 on B: 32 events on A, 4 on B, most studies without one on B."""
    on_a = [1, 3, 2, 0, 1, 2, 4, 1, 0, 3, 2, 1, 1, 2, 0, 3, 2, 1, 2, 1]
    on_b = [0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]
    rows = [
        dict(study=f"{i:02d}", treatment=t, events=r, n=n)
        for i, (a, b) in enumerate(zip(on_a, on_b, strict=True))
        for t, r, n in (("A", a, 400), ("B", b, 100))
    ]
    return en.from_table(rows, measure="OR", reference="A")


def test_the_posterior_of_a_rare_network_is_that_of_one_dimensional_integration():
    target = compile_target(RARE, rare_network())
    grid = np.linspace(-6, 3, 361)
    part = target.arms[0]
    mu = np.linspace(-14, 0, 1401)
    log_z = np.zeros(len(grid))
    for s in range(len(part.start)):
        arms = slice(part.start[s], part.start[s] + 2)
        data = {k: v[arms] for k, v in part.data.items()}
        eta = mu[:, None, None] + np.stack([0 * grid, grid], axis=-1)
        value = part.likelihood.log_density(data, eta).sum(-1) - 0.5 * (mu[:, None] / 100) ** 2
        log_z += np.log(np.exp(value - value.max()).sum(0)) + value.max()
    p = np.exp(log_z - 0.5 * (grid / 2) ** 2 - (log_z - 0.5 * (grid / 2) ** 2).max())
    p /= p.sum()
    mean = p @ grid
    found = laplace.posterior(target, draws=4000, seed=1)
    assert found.status.ok
    assert found.mean[0] == pytest.approx(mean, abs=0.03)
    assert np.sqrt(found.cov[0, 0]) == pytest.approx(np.sqrt(p @ (grid - mean) ** 2), rel=0.05)


@pytest.mark.parametrize("simulation", [4, 14])
def test_large_poisson_counts_are_integrated_accurately(simulation):
    target = simulated(BY_NAME["Poisson"].target, np.random.default_rng([20260101, simulation]))[2]
    found = laplace.posterior(target, draws=1000, seed=simulation + 1)
    assert found.status.ok
    assert found.diagnostics["quadrature_error"] < 1e-3


def test_the_posterior_does_not_depend_on_where_the_search_for_centres_starts(monkeypatch):
    target = compile_target(RARE, rare_network())
    usual = laplace.posterior(target, draws=1000, seed=1)
    real = laplace._centres
    monkeypatch.setattr(
        laplace,
        "_centres",
        lambda modes, node: replace(real(modes, node), mu=tuple(m - 3.0 for m in real(modes, node).mu)),
    )
    moved = laplace.posterior(target, draws=1000, seed=1)
    assert moved.mean == pytest.approx(usual.mean, abs=1e-3)


@pytest.mark.parametrize("heterogeneity", [en.Common(), en.Exchangeable()])
def test_an_integral_whose_centre_was_not_found_is_not_a_number(monkeypatch, heterogeneity):
    monkeypatch.setattr(integrals, "LONG_SEARCH", 0)
    target = compile_target(RARE.replace(heterogeneity=heterogeneity), rare_network())
    theta, h = np.full((2, 1), -1.0), np.full((2, len(target.hypers)), 0.3)
    part = target.arms[0]
    start = np.full((2, len(part.start)), 4.0)
    far = Centres(mu=(start,), b=(np.zeros((2, len(part.study))),), steps=1)
    flat = sparse_studies(part)  # these take as many steps as they need
    assert np.isnan(by_study(target, theta, h, far, RULES[4])[0][:, ~flat]).all()
    assert np.isfinite(by_study(target, theta, h, replace(far, steps=20), RULES[4])[0]).all()


@pytest.mark.parametrize("name", ["random effects, rare events", "tau by class"])
def test_a_posterior_with_lost_centres_is_not_ok(monkeypatch, name):
    target = simulated(BY_NAME[name].target, np.random.default_rng(3))[2]
    real = laplace._centres
    monkeypatch.setattr(integrals, "LONG_SEARCH", 0)
    monkeypatch.setattr(laplace, "on_surfaces", lambda target, draws: False)
    monkeypatch.setattr(
        laplace,
        "_centres",
        lambda modes, node: replace(real(modes, node), mu=tuple(m + 6.0 for m in real(modes, node).mu), steps=1),
    )
    found = laplace.posterior(target, draws=100, seed=1)
    assert not found.status.ok
    assert "could not be computed" in found.status.message


def test_predictors_far_out_in_the_tails_overflow_without_a_warning():
    family = BY_NAME["ordered levels"]
    data = simulated(family.target, np.random.default_rng([20260101, zlib.crc32(family.name.encode()), 46]))[2]
    assert laplace.posterior(data, draws=500, seed=47).status.ok
