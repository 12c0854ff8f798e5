"""The joint density is the target's own, its gradient is its derivative, and its coordinates are free."""

import numpy as np
import pytest
from scipy.integrate import quad

from enthesis.inference.density import JointDensity
from enthesis.inference.modes import log_density as arm_log_density
from families import FAMILIES, simulated

ALL = [pytest.param(f, id=f.name) for f in FAMILIES]


@pytest.fixture(params=ALL)
def target(request):
    return simulated(request.param.target, np.random.default_rng(3))[2]


def test_the_gradient_is_the_derivative(target):
    density = JointDensity(target)
    x = density.start(np.random.default_rng(1), 2)
    gradient = density(x)[1]
    step = 1e-5
    for point, found in zip(x, gradient, strict=True):
        moved = np.concatenate([point + step * np.eye(density.size), point - step * np.eye(density.size)])
        value = density(moved)[0]
        numeric = (value[: density.size] - value[density.size :]) / (2 * step)
        assert found == pytest.approx(numeric, rel=2e-5, abs=2e-5)


def written_out(target, point) -> np.ndarray:
    """Log density of theta, h, eta of first arms and random effects, from the definition of a target."""
    value = target.log_prior(point.theta, point.h)
    for part, mu, b in zip(target.arms, point.mu, point.b, strict=True):
        slope = 1.0 if part.S is None else 1 + point.theta @ part.S.T
        root = np.sqrt(part.variance(point.h))
        level = slope * (mu[:, part.study] - part.centre) + part.centre
        eta = level + point.theta @ target.design(part).T + root * b
        value = value + arm_log_density(part, eta, point.theta).sum(1) - 0.5 * (b**2).sum(1)
        value = value + target.baseline.log_density(eta[:, part.start]).sum(1)
    for part in target.gaussian:
        for n in range(len(value)):
            V = np.broadcast_to(part.V + part.between(point.h[n]), part.V.shape)
            rest = part.y - target.design(part) @ point.theta[n]
            value[n] -= 0.5 * (rest * np.linalg.solve(V, rest[..., None])[..., 0]).sum()
            value[n] -= 0.5 * np.linalg.slogdet(V)[1].sum()
    return value


def log_jacobian(density, x) -> float:
    """log |d(theta, h, mu, b) / dx| by finite differences."""

    def flat(x):
        p = density.point(x[None])
        effects = [b[0, part.tau >= 0] for part, b in zip(density.target.arms, p.b, strict=True)]
        return np.concatenate([p.theta[0], p.h[0], *(m[0] for m in p.mu), *effects])

    step = 1e-6
    J = np.array([(flat(x + step * e) - flat(x - step * e)) / (2 * step) for e in np.eye(density.size)])
    return float(np.linalg.slogdet(J)[1])


def test_the_density_is_the_definition_times_the_jacobian_of_its_coordinates(target):
    density = JointDensity(target)
    x = density.start(np.random.default_rng(2), 3)
    x[:, : density.P + density.H] *= 0.5
    for part in target.arms:
        if part.cut is not None:
            x[:, part.cut] = np.sort(np.abs(x[:, part.cut]), axis=1) + 0.1
    expected = written_out(target, density.point(x)) + [log_jacobian(density, point) for point in x]
    gap = density(x)[0] - expected
    assert gap - gap[0] == pytest.approx(0.0, abs=1e-5)  # equal up to a constant


def test_a_point_without_a_value_has_no_density_and_no_gradient(target):
    density = JointDensity(target)
    x = density.start(np.random.default_rng(2), 2)
    x[1, 0] = np.inf
    value, gradient = density(x)
    assert np.isfinite(value[0])
    assert value[1] == -np.inf
    assert (gradient[1] == 0).all()


def test_a_bounded_standard_deviation_integrates_to_one_in_its_free_coordinate():
    from enthesis.models.priors import HalfCauchy, Uniform
    from enthesis.models.target import Hyper, Target

    for prior in (Uniform(0.5, 3.0), HalfCauchy(0.7)):
        alone = Target(D=np.zeros((1, 0)), names=(), prior_mean=np.zeros(0), prior_sd=np.zeros(0),
                       hypers=(Hyper(name="tau", prior=prior),))  # fmt: skip
        density = JointDensity(alone)
        mass = quad(lambda x, f=density: float(np.exp(f(np.array([[x]]))[0][0])), -30, 30)[0]
        assert mass == pytest.approx(1.0, abs=1e-6)
