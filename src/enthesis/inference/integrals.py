"""Study-level parameters integrated out by nested adaptive Gauss-Hermite quadrature.

Given theta and h, the likelihood of study i is

    Z_i = ∫ dmu Π_k ∫ p(y_k | c_k (mu - m) + m + x_k'theta + sqrt(t_k) b_k) Normal(b_k; 0, 1) db_k,   t = tau² / 2,

with the baseline prior Normal(eta_1; m0, s0²) attached to the first arm (eta_1 is the study's baseline; c_1 = 1). Given
mu the arms are independent, so the cost is linear in arms. Nodes are centred at the conditional mode and scaled by the
curvature there (Liu Q & Pierce DA, Biometrika 1994;81:624), so a few suffice; the inner centre moves with mu along the
regression of b on mu. Without random effects the inner integral is one point.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from enthesis.models.target import ArmPart, Target, arm_variance

Array = NDArray[np.float64]

#: (nodes for mu, nodes for b), coarse to fine
RULES: tuple[tuple[int, int], ...] = ((3, 3), (5, 3), (5, 5), (7, 5), (9, 7), (13, 9), (21, 15), (31, 21))
#: values held in memory at once
CHUNK = 500_000


@dataclass(frozen=True, kw_only=True)
class Centres:
    """Starting points for the centres of the quadrature: modes of mu and b per arm part.

    Parameters
    ----------
    mu : tuple of float arrays, shape (points, studies)
    b : tuple of float arrays, shape (points, arms)
    """

    mu: tuple[Array, ...]
    b: tuple[Array, ...]


def log_marginal(target: Target, theta: Array, h: Array, centres: Centres, rule: tuple[int, int]) -> Array:
    """log p(y | theta, h), all study-level parameters integrated out.

    Parameters
    ----------
    target : Target
    theta : float array, shape (points, P)
    h : float array, shape (points, H)
    centres : Centres
        One row per point.
    rule : (int, int)
        Nodes for mu and for b.

    Returns
    -------
    float array, shape (points,)
    """
    return sum((x.sum(1) for x in by_study(target, theta, h, centres, rule)), gaussian_log_density(target, theta, h))


def by_study(target: Target, theta: Array, h: Array, centres: Centres, rule: tuple[int, int]) -> list[Array]:
    """log Z_i of every study of every arm part: arrays of shape (points, studies)."""
    out = []
    for index, part in enumerate(target.arms):
        X = target.design(part)
        inner = rule[1] if (part.tau >= 0).any() else 1
        size = max(1, CHUNK // (X.shape[0] * rule[0] * inner))
        chunks = []
        for i in range(0, len(theta), size):
            s = slice(i, i + size)
            slope = np.ones((1, 1)) if part.S is None else 1 + theta[s] @ part.S.T
            shift = theta[s] @ X.T + part.centre * (1 - slope)
            cut = None if part.cut is None else theta[s][:, part.cut]
            root = np.sqrt(arm_variance(part.tau, h[s]))
            chunks.append(
                _study_integrals(
                    target, part, shift, slope, cut, root, centres.mu[index][s], centres.b[index][s], rule[0], inner
                )
            )
        out.append(np.concatenate(chunks))
    return out


def quadrature_error(target: Target, theta: Array, h: Array, centres: Centres, rule, finer) -> float:
    """Largest difference of the log likelihood between two rules, less its mean (a constant cancels in weights)."""
    gap = log_marginal(target, theta, h, centres, rule) - log_marginal(target, theta, h, centres, finer)
    return float(np.abs(gap - gap.mean()).max())


def gaussian_log_density(target: Target, theta: Array, h: Array) -> Array:
    """log p(y | theta, h) of the Gaussian parts, shape (points,)."""
    total = np.zeros(len(theta))
    for part in target.gaussian:
        X = target.design(part)
        for n in range(len(theta)):
            V = part.V + part.between(h[n])
            residual = part.y - X @ theta[n]
            solved = np.linalg.solve(V, residual[..., None])[..., 0]
            total[n] -= 0.5 * ((residual * solved).sum() + np.linalg.slogdet(V)[1].sum() + part.y.size * _LOG_2PI)
    return total


def _study_integrals(target, part: ArmPart, shift, slope, cut, root, mu, b, n_mu: int, n_b: int) -> Array:
    """log Z, shape (points, studies); `shift`, `slope`, `root` have shape (points, arms)."""
    p0, m0 = target.baseline.sd**-2.0, target.baseline.mean
    t = root**2
    mu, b, curvature, sw = _local_mode(part, shift, slope, cut, root, mu, b, p0, m0)
    x, w = np.polynomial.hermite.hermgauss(n_mu)
    sd_mu = 1 / np.sqrt(sw)
    # linear predictor at the nodes of mu, less its value at the mode: (points, arms, n_mu)
    away = np.sqrt(2.0) * (slope * sd_mu[:, part.study])[:, :, None] * x
    eta = (slope * mu[:, part.study] + shift)[:, :, None] + away
    if n_b == 1:
        log_i = _with_prior(part, eta, cut, p0, m0)
    else:
        y, v = np.polynomial.hermite.hermgauss(n_b)
        var_b = 1 / (1 + t * curvature)
        centre = b[:, :, None] - (root * curvature * var_b)[:, :, None] * away
        scale = np.sqrt(2 * var_b)
        bb = centre[..., None] + scale[:, :, None, None] * y
        value = _with_prior(part, eta[..., None] + root[:, :, None, None] * bb, cut, p0, m0)
        value += np.log(v) + y**2 - 0.5 * bb**2
        log_i = _log_sum_exp(value) + np.log(scale)[:, :, None] - 0.5 * _LOG_2PI
    total = np.add.reduceat(log_i, part.start, axis=1) + np.log(w) + x**2
    constant = np.add.reduceat(part.likelihood.constant(part.data), part.start)
    return _log_sum_exp(total) + 0.5 * np.log(2.0) + np.log(sd_mu) + constant


def _with_prior(part: ArmPart, eta: Array, cut: Array | None, p0: float, m0: float) -> Array:
    """Log density of each arm at eta (points, arms, ...), the baseline prior added to first arms."""
    extra = (1,) * (eta.ndim - 2)
    if cut is None:
        data = {name: x.reshape(1, -1, *extra) for name, x in part.data.items()}
        value = part.likelihood.log_density(data, eta)
    else:
        value = part.likelihood.log_density(part.data, eta, cut)
    value[:, part.start] += 0.5 * np.log(p0) - 0.5 * _LOG_2PI - 0.5 * p0 * (eta[:, part.start] - m0) ** 2
    return value


def _local_mode(part: ArmPart, shift, slope, cut, root, mu, b, p0, m0):
    """Mode of (mu, b) given theta and h by a few Newton steps; a centre for quadrature need not be exact."""

    def derivatives(eta):
        if cut is None:
            return part.likelihood.derivatives(part.data, eta)
        return part.likelihood.derivatives(part.data, eta, cut)[:2]

    for _ in range(3):
        g, h = derivatives(slope * mu[:, part.study] + shift + root * b)
        h = np.maximum(h, 1e-10)
        z = np.clip(g / h, -4.0, 4.0) + slope * mu[:, part.study] + root * b
        w = 1 / (1 / h + root**2)
        sw = np.add.reduceat(w * slope**2, part.start, axis=1) + p0
        mu = (np.add.reduceat(w * slope * z, part.start, axis=1) + p0 * m0) / sw
        b = root * w * (z - slope * mu[:, part.study])
    h = np.maximum(derivatives(slope * mu[:, part.study] + shift + root * b)[1], 1e-10)
    sw = np.add.reduceat(slope**2 / (1 / h + root**2), part.start, axis=1) + p0
    return mu, b, h, sw


def _log_sum_exp(values: Array) -> Array:
    """Over the last axis."""
    top = values.max(axis=-1)
    return top + np.log(np.exp(values - top[..., None]).sum(axis=-1))


_LOG_2PI = float(np.log(2 * np.pi))
