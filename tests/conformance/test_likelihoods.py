"""Every likelihood: normalised, with derivatives that are its own, and a start near its maximum."""

import numpy as np
import pytest
from scipy.integrate import quad

import catalogue

ALL = [pytest.param(x, id=f"{type(x).__name__}-{x.link.name}") for x in catalogue.LIKELIHOODS]
DATA = {
    "counts": {"r": np.array([0.0, 3.0, 7.0, 10.0]), "n": np.full(4, 10.0)},
    "rates": {"r": np.array([0.0, 1.0, 6.0, 20.0]), "E": np.array([5.0, 2.0, 3.0, 10.0])},
    "means": {"y": np.array([-1.0, 0.0, 0.4, 2.0]), "se": np.array([0.2, 0.5, 1.0, 2.0])},
}
ETA = np.array([-2.0, -0.6, 0.3, 0.9])
STEP = 1e-5


@pytest.mark.parametrize("likelihood", ALL)
def test_the_first_derivative_is_that_of_the_log_density(likelihood):
    data = DATA[likelihood.kind]
    above, below = (likelihood.log_density(data, ETA + s) for s in (STEP, -STEP))
    assert np.allclose(likelihood.derivatives(data, ETA)[0], (above - below) / (2 * STEP), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("likelihood", ALL)
def test_the_second_derivative_is_that_of_the_first_with_its_sign_changed(likelihood):
    data = DATA[likelihood.kind]
    above, below = (likelihood.derivatives(data, ETA + s)[0] for s in (STEP, -STEP))
    assert np.allclose(likelihood.derivatives(data, ETA)[1], (below - above) / (2 * STEP), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("likelihood", ALL)
def test_probabilities_sum_to_one(likelihood):
    data = {name: values[1:2] for name, values in DATA[likelihood.kind].items()}

    def density(x):
        one = {**data, next(iter(data)): np.atleast_1d(x)}
        return np.exp(likelihood.log_density(one, np.array([0.3])) + likelihood.constant(one))

    if likelihood.kind == "means":
        total = quad(lambda y: float(density(y)[0]), -10, 10)[0]
    else:
        last = int(data["n"][0]) if likelihood.kind == "counts" else 200
        total = sum(float(density(float(r))[0]) for r in range(last + 1))
    assert total == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("likelihood", ALL)
def test_the_start_is_finite_also_for_rows_without_a_maximum(likelihood):
    assert np.all(np.isfinite(likelihood.start(DATA[likelihood.kind])))
