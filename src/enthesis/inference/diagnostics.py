"""Diagnostics of weighted draws: Pareto-smoothed importance weights, effective sample size, Monte Carlo error."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: above this the smoothed weights have no reliable error estimate (Vehtari A et al., J Mach Learn Res 2024;25:72)
PARETO_K_LIMIT = 0.7


def pareto_smoothed(log_weights: Array) -> tuple[Array, float]:
    """Normalised weights with their largest values smoothed, and the shape k of their tail.

    Parameters
    ----------
    log_weights : float array, shape (draws,)

    Returns
    -------
    weights : float array, shape (draws,)
        Sum to 1.
    k : float
        Shape of the generalised Pareto distribution of the tail; -inf when all weights are equal.

    Notes
    -----
    Vehtari A, Simpson D, Gelman A, Yao Y, Gabry J. Pareto smoothed importance sampling. J Mach Learn Res
    2024;25:72. Tail of min(n / 5, 3 sqrt(n)) draws; its shape by Zhang & Stephens, Technometrics 2009;51:316.

    Examples
    --------
    >>> weights, k = pareto_smoothed(np.zeros(100))
    >>> float(weights[0]), k
    (0.01, -inf)
    """
    lw = log_weights - log_weights.max()
    n = len(lw)
    tail = int(np.ceil(min(n / 5, 3 * np.sqrt(n))))
    order = np.argsort(lw)
    k = -np.inf
    if tail >= 5 and lw[order[-tail]] < lw[order[-1]] - 1e-12:
        cut = lw[order[-tail - 1]]
        excess = np.exp(lw[order[-tail:]]) - np.exp(cut)
        if excess[-1] > 1e-300:
            k, sigma = _generalised_pareto(excess[excess > 0])
            if np.isfinite(k):
                p = (np.arange(tail) + 0.5) / tail
                quantiles = sigma * np.expm1(-k * np.log1p(-p)) / k if abs(k) > 1e-12 else -sigma * np.log1p(-p)
                lw = lw.copy()
                lw[order[-tail:]] = np.minimum(np.log(np.exp(cut) + quantiles), 0.0)
    weights = np.exp(lw - lw.max())
    return weights / weights.sum(), float(k)


def _generalised_pareto(x: Array) -> tuple[float, float]:
    """Shape and scale of a generalised Pareto distribution for sorted excesses, with a weak prior on the shape."""
    n = len(x)
    grid = 30 + int(np.sqrt(n))
    quarter = x[int(n / 4 + 0.5) - 1]
    if quarter <= 0:
        return np.inf, 1.0
    b = 1 / x[-1] + (1 - np.sqrt(grid / (np.arange(1, grid + 1) - 0.5))) / (3 * quarter)
    shape = np.mean(np.log1p(-b[:, None] * x), axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        profile = n * (np.log(-b / shape) - shape - 1)
    profile = np.where(np.isfinite(profile), profile, -np.inf)
    weight = np.exp(profile - profile.max())
    best = np.sum(b * weight) / weight.sum()
    k = float(np.mean(np.log1p(-best * x)))
    sigma = -k / best
    return (n * k + 5) / (n + 10), sigma


def effective_sample_size(weights: Array) -> float:
    """Kish's effective number of draws, 1 / Σ w²."""
    return float(1 / np.sum(weights**2))


def mean(x: Array, weights: Array) -> Array:
    """Weighted mean over the first axis."""
    return np.tensordot(weights, x, axes=(0, 0))


def covariance(x: Array, weights: Array) -> Array:
    """Weighted covariance of the columns of x, shape (columns, columns)."""
    centred = x - mean(x, weights)
    return (weights[:, None] * centred).T @ centred


def quantiles(x: Array, weights: Array, p: tuple[float, ...]) -> Array:
    """Weighted quantiles of each column.

    Parameters
    ----------
    x : float array, shape (draws,) or (draws, columns)
    weights : float array, shape (draws,)
    p : tuple of float

    Returns
    -------
    float array, shape (len(p),) or (len(p), columns)

    Examples
    --------
    >>> quantiles(np.arange(5.0), np.full(5, 0.2), (0.5,)).round(6).tolist()
    [2.0]
    """
    columns = x[:, None] if x.ndim == 1 else x
    order = np.argsort(columns, axis=0)
    values = np.take_along_axis(columns, order, axis=0)
    w = weights[order]
    middle = np.cumsum(w, axis=0) - 0.5 * w  # each draw stands for the middle of its own mass
    out = np.stack([np.interp(p, middle[:, j], values[:, j]) for j in range(columns.shape[1])], axis=1)
    return out[:, 0] if x.ndim == 1 else out
