"""Engine of exchangeable baselines: mu[i] ~ Normal(m, s²), one arm per study, exact likelihoods.

Two parameters, so the posterior is drawn by importance sampling from a Student t that is adapted to it; the studies'
own baselines are integrated out by Gauss-Hermite quadrature around their modes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import chdtri, logsumexp

from enthesis.inference.diagnostics import effective_sample_size, pareto_smoothed
from enthesis.inference.integrals import hermite
from enthesis.inference.points import to_normal, uniform_points
from enthesis.models.baseline import BaselineModel
from enthesis.models.likelihoods import Gaussian, Likelihood

Array = NDArray[np.float64]
Part = tuple[Likelihood, dict[str, Array]]

#: nodes of the integral over each study's baseline
NODES = 21
_DF, _ROUNDS, _GOOD_K, _GOOD_SHARE = 5.0, 6, 0.5, 0.5


def posterior(parts: tuple[Part, ...], model: BaselineModel, *, draws: int, seed: int) -> tuple[Array, Array, float]:
    """Weighted draws of (m, log s) from a Student t around the mode, adapted until its weights are even.

    Parameters
    ----------
    parts : tuple of (Likelihood, data)
        One row of data per study.
    model : BaselineModel
    draws, seed : int

    Returns
    -------
    theta : float array, shape (draws, 2)
    weights : float array, shape (draws,)
    k : float
        Pareto k of the weights.
    """

    def log_density(theta: Array) -> Array:
        m, log_s = theta.T
        s = np.exp(log_s)
        value = model.mean.log_density(m) + model.sd.log_density(s) + log_s
        inside = np.isfinite(value)
        value[inside] += sum(_log_marginal(*part, m[inside], s[inside]) for part in parts)
        return value

    upper = float(model.sd.quantile(0.5))
    starts = np.array([[m, np.log(s)] for m in _centres(parts) for s in (0.1 * upper, 0.4 * upper, upper)])
    best = starts[np.argmax(log_density(starts))]
    found = minimize(lambda x: -float(log_density(x[None])[0]), best, method="Nelder-Mead")
    centre, chol = found.x, np.diag([0.3, 0.5])
    u = uniform_points(draws, 3, seed)
    z = to_normal(u[:, :2]) * np.sqrt(_DF / chdtri(_DF, 1 - u[:, 2]))[:, None]
    log_q = -0.5 * (_DF + 2) * np.log1p((z**2).sum(1) / _DF)
    for _ in range(_ROUNDS):
        theta = centre + z @ chol.T
        weights, k = pareto_smoothed(log_density(theta) - log_q)
        if k <= _GOOD_K and effective_sample_size(weights) >= _GOOD_SHARE * draws:
            break
        centre = weights @ theta
        chol = np.linalg.cholesky((weights[:, None] * (theta - centre)).T @ (theta - centre) + 1e-8 * np.eye(2))
    return theta, weights, k


def _centres(parts) -> Array:
    eta = np.concatenate([likelihood.start(data) for likelihood, data in parts])
    return np.quantile(eta, [0.25, 0.5, 0.75])


def _log_marginal(likelihood: Likelihood, data: dict[str, Array], m: Array, s: Array) -> Array:
    """log p(data | m, s), the studies' own baselines integrated out, shape (points,)."""
    if isinstance(likelihood, Gaussian):
        v = data["se"] ** 2 + s[:, None] ** 2
        return -0.5 * ((data["y"] - m[:, None]) ** 2 / v + np.log(2 * np.pi * v)).sum(1)
    x, w = hermite(NODES)
    m, s = m[:, None], s[:, None]
    # from m every Newton step is downhill on one side, so a few damped ones suffice
    z = np.zeros((len(m), len(data["r"])))
    for _ in range(25):
        g, h = likelihood.derivatives(data, m + s * z)
        z = z + np.clip((s * g - z) / (1 + s**2 * np.maximum(h, 0.0)), -1.0, 1.0)
    h = np.maximum(likelihood.derivatives(data, m + s * z)[1], 0.0)
    scale = np.sqrt(2 / (1 + s**2 * h))
    total = np.full((*z.shape, NODES), -np.inf)
    for i in range(NODES):
        b = z + scale * x[i]
        total[:, :, i] = likelihood.log_density(data, m + s * b) - 0.5 * b**2 + np.log(w[i]) + x[i] ** 2
    return (logsumexp(total, axis=2) + np.log(scale) - 0.5 * np.log(2 * np.pi)).sum(1)
