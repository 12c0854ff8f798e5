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


def inside(likelihood):
    """Linear predictors in the support: probabilities under the log link stay below 1."""
    return ETA - 1.0 if likelihood in catalogue.BOUNDED else ETA


@pytest.mark.parametrize("likelihood", ALL)
def test_the_first_derivative_is_that_of_the_log_density(likelihood):
    data, eta = DATA[likelihood.kind], inside(likelihood)
    above, below = (likelihood.log_density(data, eta + s) for s in (STEP, -STEP))
    assert np.allclose(likelihood.derivatives(data, eta)[0], (above - below) / (2 * STEP), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("likelihood", ALL)
def test_the_second_derivative_is_that_of_the_first_with_its_sign_changed(likelihood):
    data, eta = DATA[likelihood.kind], inside(likelihood)
    above, below = (likelihood.derivatives(data, eta + s)[0] for s in (STEP, -STEP))
    assert np.allclose(likelihood.derivatives(data, eta)[1], (below - above) / (2 * STEP), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("likelihood", ALL)
def test_probabilities_sum_to_one(likelihood):
    data = {name: values[1:2] for name, values in DATA[likelihood.kind].items()}

    def density(x):
        one = {**data, next(iter(data)): np.atleast_1d(x)}
        return np.exp(likelihood.log_density(one, inside(likelihood)[2:3]) + likelihood.constant(one))

    if likelihood.kind == "means":
        total = quad(lambda y: float(density(y)[0]), -10, 10)[0]
    else:
        last = int(data["n"][0]) if likelihood.kind == "counts" else 200
        total = sum(float(density(float(r))[0]) for r in range(last + 1))
    assert total == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("likelihood", ALL)
def test_the_start_is_finite_also_for_rows_without_a_maximum(likelihood):
    assert np.all(np.isfinite(likelihood.start(DATA[likelihood.kind])))


@pytest.mark.parametrize("likelihood", [x for x in ALL if x.values[0] in catalogue.BOUNDED])
def test_newton_steps_from_outside_the_support_lead_back_into_it(likelihood):
    # an arm with events in all has its maximum at the edge itself
    data = {name: values[:3] for name, values in DATA[likelihood.kind].items()}
    eta = np.full(3, 3.0)
    for _ in range(30):
        g, h = likelihood.derivatives(data, eta)
        eta = eta + g / h
    assert np.all(np.isfinite(likelihood.log_density(data, eta)))
