"""Study-level parameters integrated out by nested adaptive Gauss-Hermite quadrature.

Given theta and tau, the likelihood of study i is

    Z_i = ∫ dmu Π_k ∫ p(y_k | mu + x_k'theta + sqrt(t) b_k) Normal(b_k; 0, 1) db_k,      t = tau² / 2,

with the baseline prior Normal(eta_1; m0, s0²) attached to the first arm (eta_1 is the study's baseline). Nodes are
centred at the conditional mode and scaled by the curvature there (Liu Q & Pierce DA, Biometrika 1994;81:624), so a few
suffice; the inner centre moves with mu along the regression of b on mu. For tau = 0 the inner integral is 1 point.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from enthesis.models.target import ArmPart, Target

Array = NDArray[np.float64]

#: (nodes for mu, nodes for b), coarse to fine
RULES: tuple[tuple[int, int], ...] = ((5, 3), (5, 5), (7, 5), (9, 7), (13, 9), (21, 15), (31, 21))
#: values held in memory at once
CHUNK = 2_000_000


@dataclass(frozen=True, kw_only=True)
class Centres:
    """Starting points for the centres of the quadrature: modes of mu and b per arm part, and the theta they belong to.

    Parameters
    ----------
    mu : tuple of float arrays, shape (points, studies)
    b : tuple of float arrays, shape (points, arms)
    theta : float array, shape (points, P), or None
    """

    mu: tuple[Array, ...]
    b: tuple[Array, ...]
    theta: Array | None = None


def log_marginal(target: Target, theta: Array, tau: Array, centres: Centres, rule: tuple[int, int]) -> Array:
    """log p(y | theta, tau), all study-level parameters integrated out.

    Parameters
    ----------
    target : Target
    theta : float array, shape (points, P)
    tau : float array, shape (points,)
    centres : Centres
        One row per point.
    rule : (int, int)
        Nodes for mu and for b.

    Returns
    -------
    float array, shape (points,)
    """
    return sum(
        (x.sum(1) for x in by_study(target, theta, tau, centres, rule)), gaussian_log_density(target, theta, tau)
    )


def by_study(target: Target, theta: Array, tau: Array, centres: Centres, rule: tuple[int, int]) -> list[Array]:
    """log Z_i of every study of every arm part: arrays of shape (points, studies)."""
    out = []
    for index, part in enumerate(target.arms):
        X = target.contrast_design(part.plus, part.minus)
        inner = 1 if target.tau is None else rule[1]
        size = max(1, CHUNK // (X.shape[0] * rule[0] * inner))
        chunks = [
            _study_integrals(
                target, part, theta[s] @ X.T, tau[s], centres.mu[index][s], centres.b[index][s], rule[0], inner
            )
            for s in (slice(i, i + size) for i in range(0, len(theta), size))
        ]
        out.append(np.concatenate(chunks))
    return out


def quadrature_error(target, theta, tau, centres, rule, finer) -> float:
    """Largest difference of the log likelihood between two rules, less its mean (a constant cancels in weights)."""
    gap = log_marginal(target, theta, tau, centres, rule) - log_marginal(target, theta, tau, centres, finer)
    return float(np.abs(gap - gap.mean()).max())


def gaussian_log_density(target: Target, theta: Array, tau: Array) -> Array:
    """log p(y | theta, tau) of the Gaussian parts, shape (points,)."""
    total = np.zeros(len(theta))
    for part in target.gaussian:
        X = target.contrast_design(part.plus, part.minus)
        step = max(1, CHUNK // part.V.size)
        for s in (slice(i, i + step) for i in range(0, len(theta), step)):
            V = part.V + (tau[s] ** 2)[:, None, None, None] * part.M
            residual = part.y - np.einsum("gqp,np->ngq", X, theta[s])
            solved = np.linalg.solve(V, residual[..., None])[..., 0]
            total[s] -= 0.5 * ((residual * solved).sum((1, 2)) + np.linalg.slogdet(V)[1].sum(1))
            total[s] -= 0.5 * part.y.size * np.log(2 * np.pi)
    return total


def _study_integrals(target: Target, part: ArmPart, shift, tau, mu, b, n_mu: int, n_b: int) -> Array:
    """log Z, shape (points, studies); `shift` is x'theta, shape (points, arms)."""
    t = 0.5 * tau[:, None] ** 2
    root = np.sqrt(t)
    p0, m0 = target.baseline.sd**-2.0, target.baseline.mean
    mu, b, h, sw = _local_mode(part, shift, t, root, mu, b, p0, m0)
    x, w = np.polynomial.hermite.hermgauss(n_mu)
    sd_mu = 1 / np.sqrt(sw)
    log_w_mu = np.log(w) + x**2
    away = np.sqrt(2.0) * sd_mu[:, part.study, None] * x  # mu at its nodes, less its mode: (points, arms, n_mu)
    eta = mu[:, part.study, None] + away + shift[:, :, None]
    if n_b == 1:
        log_i = _with_prior(part, eta, p0, m0)
    else:
        y, v = np.polynomial.hermite.hermgauss(n_b)
        var_b = 1 / (1 + t * h)
        centre = b[:, :, None] - (root * h * var_b)[:, :, None] * away
        scale = np.sqrt(2 * var_b)
        bb = centre[..., None] + scale[:, :, None, None] * y
        value = _with_prior(part, eta[..., None] + root[:, :, None, None] * bb, p0, m0)
        value += np.log(v) + y**2 - 0.5 * bb**2
        log_i = _log_sum_exp(value) + np.log(scale)[:, :, None] - 0.5 * np.log(2 * np.pi)
    total = np.add.reduceat(log_i, part.start, axis=1) + log_w_mu
    constant = np.add.reduceat(part.likelihood.constant(part.data), part.start)
    return _log_sum_exp(total) + 0.5 * np.log(2.0) + np.log(sd_mu) + constant


def _with_prior(part: ArmPart, eta: Array, p0: float, m0: float) -> Array:
    """Log density of each arm at eta (points, arms, ...), the baseline prior added to first arms."""
    extra = (1,) * (eta.ndim - 2)
    data = {name: x.reshape(1, -1, *extra) for name, x in part.data.items()}
    value = part.likelihood.log_density(data, eta)
    first = eta[:, part.start]
    value[:, part.start] += 0.5 * np.log(p0 / (2 * np.pi)) - 0.5 * p0 * (first - m0) ** 2
    return value


def _local_mode(part: ArmPart, shift, t, root, mu, b, p0, m0):
    """Mode of (mu, b) given theta and tau by a few Newton steps; a centre for quadrature need not be exact."""
    for _ in range(4):
        eta = mu[:, part.study] + shift + root * b
        g, h = part.likelihood.derivatives(part.data, eta)
        h = np.maximum(h, 1e-10)
        z, w = eta + np.clip(g / h, -4.0, 4.0), 1 / (1 / h + t)
        sw = np.add.reduceat(w, part.start, axis=1) + p0
        mu = (np.add.reduceat(w * (z - shift), part.start, axis=1) + p0 * m0) / sw
        b = root * w * (z - shift - mu[:, part.study])
    eta = mu[:, part.study] + shift + root * b
    h = np.maximum(part.likelihood.derivatives(part.data, eta)[1], 1e-10)
    sw = np.add.reduceat(1 / (1 / h + t), part.start, axis=1) + p0
    return mu, b, h, sw


def _log_sum_exp(values: Array) -> Array:
    """Over the last axis."""
    top = values.max(axis=-1)
    return top + np.log(np.exp(values - top[..., None]).sum(axis=-1))
