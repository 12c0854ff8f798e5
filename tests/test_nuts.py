"""The sampler recovers known distributions, the engine the exact posterior, and fit() says which engine answered."""

from dataclasses import replace

import numpy as np
import pytest

import enthesis as en
from enthesis.errors import ModelError
from enthesis.inference import exact, laplace, nuts
from enthesis.inference.result import Status
from enthesis.inference.sampler import sample
from enthesis.models.priors import Uniform
from enthesis.models.target import Hyper, Target
from families import FAMILIES, simulated

BY_NAME = {f.name: f for f in FAMILIES}
#: enough for a test; the chains need not satisfy the limits of the status
FEW = 1000
GOOD = nuts.Convergence(r_hat=1.001, bulk_ess=900.0, tail_ess=800.0, e_bfmi=0.8, divergences=0)


@pytest.fixture(autouse=True)
def _short_warmup(monkeypatch):
    monkeypatch.setattr(nuts, "WARMUP", 300)


def correlated_normal(x):
    precision = np.linalg.inv(COVARIANCE)
    away = x - MEAN
    return -0.5 * np.einsum("ni,ij,nj->n", away, precision, away), -away @ precision


MEAN = np.array([1.0, -2.0, 0.5])
COVARIANCE = np.array([[1.0, 1.8, 0.0], [1.8, 4.0, 0.0], [0.0, 0.0, 0.01]])


@pytest.mark.parametrize("dense", [0, 2])
def test_a_correlated_normal_is_recovered(dense):
    found = sample(correlated_normal, np.zeros((4, 3)), warmup=400, draws=1500, seed=2, dense=dense)
    x = found.x.reshape(-1, 3)
    assert x.mean(0) / np.sqrt(np.diag(COVARIANCE)) == pytest.approx(MEAN / np.sqrt(np.diag(COVARIANCE)), abs=0.08)
    assert np.cov(x.T)[:2, :2] == pytest.approx(COVARIANCE[:2, :2], rel=0.1)
    assert x[:, 2].var() == pytest.approx(0.01, rel=0.1)
    assert not found.divergent.any()


def test_equal_seeds_give_equal_draws_and_other_seeds_others():
    one, same, other = (
        sample(correlated_normal, np.zeros((2, 3)), warmup=50, draws=20, seed=s).x for s in (1, 1, 2)
    )  # fmt: skip
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_a_chain_does_not_depend_on_the_others():
    start = np.array([[0.0, 0.0, 0.0], [2.0, -1.0, 0.4]])
    both = sample(correlated_normal, start, warmup=50, draws=20, seed=1).x
    alone = sample(correlated_normal, start[:1], warmup=50, draws=20, seed=1).x
    assert both[0] == pytest.approx(alone[0], rel=1e-6)


def test_a_start_without_a_density_is_an_error():
    with pytest.raises(FloatingPointError, match="no value"):
        sample(lambda x: (np.full(len(x), -np.inf), 0 * x), np.zeros((2, 3)), warmup=5, draws=5, seed=1)


def test_the_neck_of_a_funnel_is_reported():
    def funnel(x):
        v, rest = x[:, :1], x[:, 1:]
        value = -0.5 * (v[:, 0] / 3) ** 2 - 0.5 * (rest**2 * np.exp(-v)).sum(1) - 0.5 * rest.shape[1] * v[:, 0]
        in_v = -v / 9 + 0.5 * (rest**2 * np.exp(-v)).sum(1, keepdims=True) - 0.5 * rest.shape[1]
        return value, np.concatenate([in_v, -rest * np.exp(-v)], axis=1)

    found = sample(funnel, np.random.default_rng(1).normal(size=(4, 10)), warmup=200, draws=200, seed=1)
    assert not nuts.status(nuts.convergence(found.x[:, :, :1], found)).ok


@pytest.mark.parametrize("name", ["contrasts", "normal arms"])
def test_the_exact_posterior_of_normal_data_is_recovered(name):
    target = simulated(BY_NAME[name].target, np.random.default_rng(5))[2]
    known, found = (engine.posterior(target, draws=FEW, seed=1) for engine in (exact, nuts))
    assert found.diagnostics["r_hat"] < 1.03
    sd = np.sqrt(np.diag(known.cov))
    error = sd / np.sqrt(found.diagnostics["bulk_ess"])
    assert (np.abs(found.mean - known.mean) < 4 * error).all()
    assert np.sqrt(np.diag(found.cov)) == pytest.approx(sd, rel=0.12)
    assert found.hyper_mean == pytest.approx(known.hyper_mean, rel=0.1)


def test_counts_agree_with_the_deterministic_engine():
    target = simulated(BY_NAME["random effects"].target, np.random.default_rng(6))[2]
    known, found = (engine.posterior(target, draws=FEW, seed=1) for engine in (laplace, nuts))
    assert known.status.ok
    sd = np.sqrt(np.diag(known.cov))
    error = sd * np.sqrt(1 / found.diagnostics["bulk_ess"] + 1 / known.diagnostics["effective_sample_size"])
    assert (np.abs(found.mean - known.mean) < 4 * error).all()
    assert found.hyper_mean == pytest.approx(known.hyper_mean, rel=0.2)


def network():
    rows = [
        dict(study=str(s), treatment=t, events=r, n=80)
        for s, arms in enumerate(((9, 15), (12, 14), (7, 16)))
        for t, r in zip("AB", arms, strict=True)
    ]
    return en.from_table(rows, measure="OR", reference="A")


def test_fit_by_nuts_has_equally_weighted_draws_in_four_chains():
    fit = en.fit(network(), engine="nuts", draws=FEW)
    assert fit.engine == "nuts"
    assert fit.d.shape == (FEW, 2)
    assert (fit.weights == 1 / FEW).all()
    assert fit.diagnostics["chains"] == 4
    assert fit.hyper["tau"] == fit.tau


def test_auto_moves_to_nuts_when_the_certificate_fails_and_says_why(monkeypatch):
    real = laplace.posterior
    monkeypatch.setattr(
        laplace,
        "posterior",
        lambda *a, **k: replace(real(*a, **k), status=Status(ok=False, message="Pareto k 0.91.")),
    )
    fit = en.fit(network(), engine="auto", draws=FEW)
    assert fit.engine == "nuts"
    (tried,) = fit.diagnostics["tried"]
    assert (tried["engine"], tried["why"]) == ("laplace", "Pareto k 0.91.")
    assert not en.fit(network(), engine="laplace", draws=FEW).status.ok


def test_auto_gives_the_deterministic_result_not_ok_when_sampling_reaches_its_bound(monkeypatch):
    real = laplace.posterior
    monkeypatch.setattr(
        laplace,
        "posterior",
        lambda *a, **k: replace(real(*a, **k), status=Status(ok=False, message="Pareto k 0.91.")),
    )
    monkeypatch.setattr(nuts, "BOUND", 1e5)
    fit = en.fit(network(), engine="auto", draws=FEW)
    assert fit.engine == "laplace"
    assert not fit.status.ok
    assert "Pareto k 0.91. Then sampling was stopped after" in fit.status.message
    assert fit.diagnostics["tried"][0]["engine"] == "nuts"


def test_draws_before_the_bound_are_the_first_of_a_whole_run():
    whole = sample(correlated_normal, np.zeros((4, 3)), warmup=100, draws=300, seed=2)
    cut = sample(correlated_normal, np.zeros((4, 3)), warmup=100, draws=300, seed=2, limit=whole.evaluations // 2)
    assert cut.stopped
    assert not whole.stopped
    assert 0 < cut.x.shape[1] < 300
    assert cut.x == pytest.approx(whole.x[:, : cut.x.shape[1]])
    assert cut.energy.shape == cut.x.shape[:2]


def test_chains_cut_at_the_bound_are_judged_by_what_they_have():
    target = BY_NAME["contrasts"].target
    whole = nuts.posterior(target, draws=8000, seed=1)
    assert not whole.diagnostics["stopped"]
    enough = whole.diagnostics["evaluations"] * 0.6 * (target.size + len(target.hypers) + nuts.OVERHEAD)
    found = nuts.posterior(target, draws=8000, seed=1, bound=enough)
    assert found.diagnostics["stopped"]
    assert 1000 <= len(found.theta) < 8000
    assert len(found.theta) % 4 == 0


def test_auto_stays_with_a_deterministic_result_that_can_be_trusted():
    fit = en.fit(network(), engine="auto", draws=FEW)
    assert fit.engine == "laplace"
    assert "tried" not in fit.diagnostics


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"r_hat": 1.02}, "disagree"),
        ({"r_hat": float("nan")}, "disagree"),
        ({"bulk_ess": 399.0}, "399 independent draws"),
        ({"tail_ess": 100.0}, "100 independent draws"),
        ({"divergences": 1}, "1 trajectories diverged"),
        ({"e_bfmi": 0.1}, "E-BFMI 0.10"),
    ],
)
def test_each_diagnostic_can_fail_the_status(change, words):
    assert nuts.status(GOOD).ok
    found = nuts.status(replace(GOOD, **change))
    assert not found.ok
    assert words in found.message


def test_a_model_that_excludes_its_data_is_refused():
    empty = Uniform(0, 1)
    target = Target(D=np.zeros((1, 0)), names=(), prior_mean=np.zeros(0), prior_sd=np.zeros(0),
                    hypers=(Hyper(name="tau", prior=empty),))  # fmt: skip
    impossible = replace(target, prior_mean=np.array([np.nan]), prior_sd=np.ones(1), D=np.zeros((1, 1)), names=("d",))
    impossible = replace(impossible, arms=BY_NAME["random effects"].target.arms[:1], D=np.ones((5, 1)))
    with pytest.raises(ModelError, match="no chain can start"):
        nuts.posterior(impossible, draws=1000, seed=1)
