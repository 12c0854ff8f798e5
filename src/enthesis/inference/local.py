"""Draws of the study-level parameters, given draws of the global ones.

Given theta and h the studies are independent, and the nodes of their integrals with their weights are a discrete
distribution with the same moments; a node of mu is drawn for each study, then a node of b for each arm. For Gaussian
parts the conditional distribution is Gaussian and drawn from directly.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from enthesis.inference.integrals import arm_nodes
from enthesis.models.target import ArmPart, GaussianPart, Target

Array = NDArray[np.float64]

#: nodes for mu and b; finer than for the weights, because the draws themselves are used
RULE = (11, 9)
#: values held in memory at once
CHUNK = 1_000_000


def arm_predictors(target: Target, theta: Array, h: Array, rng: np.random.Generator) -> list[Array]:
    """Linear predictors of every arm part from their posterior, shape (points, arms).

    Parameters
    ----------
    target : Target
    theta, h : float arrays, shape (points, P), (points, H)
    rng : numpy.random.Generator

    Returns
    -------
    list of float arrays
    """
    out = []
    for part in target.arms:
        size = max(1, CHUNK // (len(part.study) * RULE[0] * RULE[1]))
        chunks = [_drawn(target, part, theta[i : i + size], h[i : i + size], rng) for i in range(0, len(theta), size)]
        out.append(np.concatenate(chunks))
    return out


def _drawn(target: Target, part: ArmPart, theta: Array, h: Array, rng: np.random.Generator) -> Array:
    eta, log_mu, log_b, _ = arm_nodes(target, part, theta, h, RULE)
    q = _choose(log_mu, rng)[:, part.study]
    points, arms = np.indices(q.shape)
    log_b, eta = log_b[points, arms, q], eta[points, arms, q]
    return eta[points, arms, _choose(log_b, rng)]


def gaussian_predictors(target: Target, theta: Array, h: Array, rng: np.random.Generator) -> list[Array]:
    """True contrasts or arm means of every Gaussian part, shape (points, studies, q)."""
    out = []
    s0 = target.baseline.sd**2
    for part in target.gaussian:
        mean = np.moveaxis(target.design(part) @ theta.T, -1, 0)
        B = np.stack([part.between(x) for x in h]) + (s0 if part.lead else 0.0)
        R = observation_covariance(target, part)
        gain = np.linalg.solve(B + R, np.broadcast_to(B, np.broadcast_shapes(B.shape, R.shape)))
        gain = np.swapaxes(gain, -1, -2)
        centre = mean + np.einsum("ngij,ngj->ngi", gain, part.y - mean)
        cov = B - gain @ B
        cov = 0.5 * (cov + np.swapaxes(cov, -1, -2))
        scale, axes = np.linalg.eigh(cov)
        z = rng.standard_normal(centre.shape)
        out.append(centre + np.einsum("ngij,ngj->ngi", axes, np.sqrt(np.maximum(scale, 0.0)) * z))
    return out


def observation_covariance(target: Target, part: GaussianPart) -> Array:
    """Covariance of the data given their true values, shape (studies, q, q)."""
    return part.V - target.baseline.sd**2 if part.lead else part.V


def _choose(log_weights: Array, rng: np.random.Generator) -> NDArray[np.int64]:
    """A position along the last axis, with these log probabilities up to a constant."""
    p = np.exp(log_weights - log_weights.max(axis=-1, keepdims=True))
    cumulative = np.cumsum(p, axis=-1)
    u = rng.random(cumulative.shape[:-1])[..., None] * cumulative[..., -1:]
    return (cumulative < u).sum(-1)
