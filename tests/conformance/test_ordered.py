"""Ordered likelihoods: normalised, with their own derivatives, binomial with one level, merged where unreported."""

from itertools import product

import numpy as np
import pytest

import catalogue
from enthesis.models.likelihoods import Binomial

ALL = [pytest.param(x, id=x.link.name) for x in catalogue.ORDERED]
DATA = {
    "r": np.array([[18.0, 6.0, 1.0], [126.0, 67.0, np.nan], [np.nan, 5.0, 0.0], [9.0, np.nan, np.nan]]),
    "n": np.array([193.0, 196.0, 40.0, 30.0]),
}
ETA, CUT, STEP = np.array([[-1.2, 0.4, -0.3, -0.6]]), np.array([[0.7, 1.5]]), 1e-5


def moved(likelihood, eta=0.0, cut=(0.0, 0.0)):
    return likelihood.log_density(DATA, ETA + eta, CUT + np.array([cut]))


@pytest.mark.parametrize("likelihood", ALL)
def test_first_derivatives_are_those_of_the_log_density(likelihood):
    g, _, gz, _, _ = likelihood.derivatives(DATA, ETA, CUT)
    assert np.allclose(g, (moved(likelihood, STEP) - moved(likelihood, -STEP)) / (2 * STEP), rtol=1e-6, atol=1e-6)
    for j in range(2):
        step = np.eye(2)[j] * STEP
        numeric = (moved(likelihood, cut=step) - moved(likelihood, cut=-step)) / (2 * STEP)
        assert np.allclose(gz[..., j], numeric, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("likelihood", ALL)
def test_second_derivatives_are_those_of_the_first_with_their_sign_changed(likelihood):
    _, h, _, c, E = likelihood.derivatives(DATA, ETA, CUT)
    above, below = (likelihood.derivatives(DATA, ETA + s, CUT) for s in (STEP, -STEP))
    assert np.allclose(h, (below[0] - above[0]) / (2 * STEP), rtol=1e-5, atol=1e-5)
    assert np.allclose(c, (below[2] - above[2]) / (2 * STEP), rtol=1e-5, atol=1e-5)
    for j in range(2):
        above, below = (likelihood.derivatives(DATA, ETA, CUT + s * np.eye(2)[[j]]) for s in (STEP, -STEP))
        assert np.allclose(E[..., j], (below[2] - above[2]) / (2 * STEP), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("likelihood", ALL)
def test_probabilities_sum_to_one(likelihood):
    total = 0.0
    for low, high in product(range(7), repeat=2):
        if high <= low:
            one = {"r": np.array([[float(low), float(high)]]), "n": np.array([6.0])}
            value = likelihood.log_density(one, np.array([[-0.2]]), np.array([[0.6]])) + likelihood.constant(one)
            total += float(np.exp(value)[0, 0])
    assert total == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("likelihood", ALL)
def test_one_level_is_binomial(likelihood):
    one = {"r": np.array([[9.0]]), "n": np.array([30.0])}
    counts = {"r": np.array([9.0]), "n": np.array([30.0])}
    eta = np.array([[-0.4]])
    ours = likelihood.log_density(one, eta, np.zeros((1, 0))) + likelihood.constant(one)
    binomial = Binomial(likelihood.link)
    assert np.allclose(ours, binomial.log_density(counts, eta) + binomial.constant(counts), atol=1e-10)


@pytest.mark.parametrize("likelihood", ALL)
def test_cutpoints_out_of_order_have_no_density(likelihood):
    assert np.isneginf(likelihood.log_density(DATA, ETA, np.array([[1.5, 0.7]]))[0, 0])
