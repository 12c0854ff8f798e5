"""Generalised least squares on contrasts, common or random effects, with tau² by DL, ML or REML.

Every study is a small graph Laplacian L_i(tau²) (see `network.pairwise`). The network's Laplacian is their sum,
d solves L d = b with b = Σ weighted contrasts, and covariances come from the inverse of L without the reference
(Rücker G, Res Synth Methods 2012;3:312). Work is linear in studies and cubic in treatments.

tau² estimators:
- DL, the moment estimator for networks: (Q - df) / tr, with the trace over studies of
  (tr L_i - tr L_i C L_i) / 2 (Jackson D, White IR, Riley RD, Stat Med 2012;31:3805), at tau² = 0;
- ML, REML: the root of the score, with dL_i/dtau² = -L_i² / 2. With C the covariance of d,
  2 dl/dtau² = Q' - Σ tr L_i / 2 (+ Σ tr C L_i² / 2 for REML), where Q' = -dQ/dtau².
Interval for tau: Q-profile, the values at which the generalised Q statistic meets chi-square quantiles
(Viechtbauer W, Stat Med 2007;26:37; generalised to networks in the same way).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import brentq
from scipy.stats import chi2

from enthesis.errors import unknown_name
from enthesis.models.target import ContrastTarget

Array = NDArray[np.float64]
TauMethod = Literal["DL", "ML", "REML"]
TAU_METHODS: tuple[str, ...] = ("DL", "ML", "REML")


@dataclass(frozen=True, kw_only=True)
class GLS:
    """A generalised-least-squares solution.

    Parameters
    ----------
    tau2 : float
    d : float array, shape (treatments,)
        Effects against the reference.
    cov : float array, shape (treatments, treatments)
        Their covariance; zero in the reference's row and column.
    Q : float
        Weighted residual sum of squares.
    df : int
        Independent contrasts minus free effects.
    """

    tau2: float
    d: Array
    cov: Array
    Q: float
    df: int


def solve(target: ContrastTarget, tau2: float = 0.0) -> GLS:
    """Effects and covariance at a given tau².

    Parameters
    ----------
    target : ContrastTarget
    tau2 : float

    Returns
    -------
    GLS
    """
    laplacians = [g.laplacian(tau2) for g in target.groups]
    L, b = _assemble(target, laplacians)
    keep = np.flatnonzero(np.arange(target.size) != target.reference)
    factor = cho_factor(L[np.ix_(keep, keep)], lower=True)
    d, cov = np.zeros(target.size), np.zeros((target.size, target.size))
    d[keep] = cho_solve(factor, b[keep])
    inverse = cho_solve(factor, np.eye(len(keep)))
    cov[np.ix_(keep, keep)] = 0.5 * (inverse + inverse.T)
    Q = sum(
        float(np.sum(-lap * (g.y - d[g.arms][:, :, None] + d[g.arms][:, None, :]) ** 2)) / 2
        for g, lap in zip(target.groups, laplacians, strict=True)
    )
    return GLS(tau2=tau2, d=d, cov=cov, Q=max(Q, 0.0), df=target.n_independent - (target.size - 1))


def tau2_estimate(target: ContrastTarget, method: TauMethod = "REML") -> float:
    """The between-study variance.

    Parameters
    ----------
    target : ContrastTarget
    method : {"DL", "ML", "REML"}

    Returns
    -------
    float
        On the squared scale of the measure; 0 when there is nothing to estimate it from.

    Raises
    ------
    UsageError
        For an unknown method.
    """
    if method not in TAU_METHODS:
        raise unknown_name("estimator of tau", method, TAU_METHODS)
    common = solve(target)
    if common.df <= 0:
        return 0.0
    if method == "DL":
        trace = 0.0
        for g in target.groups:
            lap = g.laplacian()
            trace += 0.5 * (np.trace(lap, axis1=1, axis2=2).sum() - np.sum(_local(common.cov, g) * (lap @ lap)))
        return max(0.0, (common.Q - common.df) / trace)
    return _likelihood_root(target, restricted=method == "REML")


def tau_interval(target: ContrastTarget, level: float = 0.95) -> tuple[float, float]:
    """Q-profile interval for tau; (nan, nan) when there are no degrees of freedom."""
    df = solve(target).df
    if df <= 0:
        return (np.nan, np.nan)
    bounds = []
    for quantile in (chi2.ppf((1 + level) / 2, df), chi2.ppf((1 - level) / 2, df)):
        bounds.append(np.sqrt(_where_q_meets(target, quantile)))
    return float(bounds[0]), float(bounds[1])


def _where_q_meets(target: ContrastTarget, value: float) -> float:
    if value >= solve(target).Q:
        return 0.0
    high = _typical_variance(target)
    for _ in range(200):
        if value > solve(target, high).Q:
            return brentq(lambda t: solve(target, t).Q - value, 0.0, high, xtol=1e-12, rtol=1e-12)
        high *= 4
    return float("inf")


def _likelihood_root(target: ContrastTarget, *, restricted: bool) -> float:
    scale = _typical_variance(target)
    grid = scale * np.r_[0.0, np.geomspace(1e-4, 1e4, 33)]
    scores = np.array([_score(target, t, restricted) for t in grid])
    # each fall of the score through zero is a local maximum; tau² = 0 is one when the score starts below zero
    candidates = [0.0] if scores[0] <= 0 else []
    for lo, hi, left, right in zip(grid[:-1], grid[1:], scores[:-1], scores[1:], strict=True):
        if left > 0 >= right:
            candidates.append(brentq(lambda t: _score(target, t, restricted), lo, hi, xtol=1e-14 * scale, rtol=1e-13))
    if not candidates:
        return float(grid[-1])
    return max(candidates, key=lambda t: log_likelihood(target, t, restricted=restricted))


def _score(target: ContrastTarget, tau2: float, restricted: bool) -> float:
    now = solve(target, tau2)
    total = 0.0
    for g in target.groups:
        lap = g.laplacian(tau2)
        square = lap @ lap
        residual = g.y - now.d[g.arms][:, :, None] + now.d[g.arms][:, None, :]
        total += -0.25 * np.sum(square * residual**2) - 0.5 * np.trace(lap, axis1=1, axis2=2).sum()
        if restricted:
            total += 0.5 * np.sum(_local(now.cov, g) * square)
    return 0.5 * total


def log_likelihood(target: ContrastTarget, tau2: float, *, restricted: bool) -> float:
    """(Restricted) log likelihood at tau², up to a constant.

    Parameters
    ----------
    target : ContrastTarget
    tau2 : float
    restricted : bool

    Returns
    -------
    float
    """
    now = solve(target, tau2)
    total = -now.Q
    for g in target.groups:
        total += np.linalg.slogdet(g.laplacian(tau2)[:, 1:, 1:])[1].sum()
    if restricted:
        keep = np.arange(target.size) != target.reference
        total += np.linalg.slogdet(now.cov[np.ix_(keep, keep)])[1]
    return 0.5 * float(total)


def _assemble(target: ContrastTarget, laplacians: list[Array]) -> tuple[Array, Array]:
    size = target.size
    L, b = np.zeros(size * size), np.zeros(size)
    for g, lap in zip(target.groups, laplacians, strict=True):
        cells = (g.arms[:, :, None] * size + g.arms[:, None, :]).ravel()
        L += np.bincount(cells, lap.ravel(), size * size)
        b += np.bincount(g.arms.ravel(), -np.sum(lap * g.y, axis=2).ravel(), size)
    return L.reshape(size, size), b


def _local(cov: Array, g) -> Array:
    """The covariance of each study's own arms, shape (studies, k, k)."""
    return cov[g.arms[:, :, None], g.arms[:, None, :]]


def _typical_variance(target: ContrastTarget) -> float:
    return float(np.median(np.concatenate([g.v[:, 1:, 0].ravel() for g in target.groups])))
