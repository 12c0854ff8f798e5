"""Whether chains agree and how many independent draws they are worth: R-hat, effective sample size, E-BFMI.

R-hat and effective sample sizes are those of ranks turned into normal scores, each chain split in two: Vehtari A et
al., Bayesian Anal 2021;16:667. E-BFMI: Betancourt M, arXiv:1604.00695.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import rankdata

Array = NDArray[np.float64]


def r_hat(x: Array) -> float:
    """Rank-normalised split R-hat, the larger of those of location and of scale.

    Parameters
    ----------
    x : float array, shape (chains, draws)
        One quantity.

    Returns
    -------
    float
        Near 1 when the chains agree; NaN when x does not vary.

    Examples
    --------
    >>> apart = np.random.default_rng(1).standard_normal((4, 100)) + np.arange(4)[:, None]
    >>> r_hat(apart) > 1.3
    True
    """
    halves = _split(x)
    if np.ptp(halves) == 0:
        return float("nan")
    folded = np.abs(halves - np.median(halves))
    return max(_plain_r_hat(_scores(halves)), _plain_r_hat(_scores(folded)))


def bulk_ess(x: Array) -> float:
    """Effective number of draws for the middle of a distribution, x of shape (chains, draws)."""
    return _plain_ess(_scores(_split(x)))


def tail_ess(x: Array) -> float:
    """The smaller effective number of draws for the 5 % and 95 % quantiles, x of shape (chains, draws)."""
    halves = _split(x)
    low, high = np.quantile(halves, [0.05, 0.95])
    return min(_plain_ess((halves <= q).astype(float)) for q in (low, high))


def mean_ess(x: Array) -> float:
    """Effective number of draws for the mean, x of shape (chains, draws)."""
    return _plain_ess(_split(x))


def e_bfmi(energy: Array) -> Array:
    """Energy fraction of missing information of each chain: low (under 0.3) when momenta are too small for the tails.

    Parameters
    ----------
    energy : float array, shape (chains, draws)

    Returns
    -------
    float array, shape (chains,)
    """
    return np.mean(np.diff(energy, axis=1) ** 2, axis=1) / np.var(energy, axis=1)


def _split(x: Array) -> Array:
    half = x.shape[1] // 2
    return np.concatenate([x[:, :half], x[:, -half:]])


def _scores(x: Array) -> Array:
    rank = rankdata(x).reshape(x.shape)
    return ndtri((rank - 0.375) / (x.size + 0.25))


def _plain_r_hat(x: Array) -> float:
    n = x.shape[1]
    within = x.var(axis=1, ddof=1).mean()
    between = n * x.mean(axis=1).var(ddof=1)
    return float(np.sqrt((between / within + n - 1) / n)) if within > 0 else float("nan")


def _plain_ess(x: Array) -> float:
    """Effective sample size from the autocorrelations of all chains, cut off by Geyer's monotone sequence."""
    m, n = x.shape
    if np.ptp(x) == 0:
        return float(x.size)
    covariance = _autocovariance(x)
    within = covariance[:, 0].mean() * n / (n - 1)
    total = within * (n - 1) / n + (x.mean(axis=1).var(ddof=1) if m > 1 else 0.0)
    rho = 1 - (within - covariance.mean(axis=0)) / total
    rho[0] = 1.0
    pairs = rho[0 : n - n % 2 : 2] + rho[1::2][: n // 2]
    negative = np.flatnonzero(pairs < 0)
    # the last lags are of too few draws to count
    count = min(int(negative[0]) if len(negative) else len(pairs), (n - 3) // 2)
    kept = np.minimum.accumulate(pairs[: max(count, 1)])
    # the first even lag after the cut improves the estimate for chains whose draws are negatively correlated
    after = max(float(rho[2 * count]), 0.0) if count and 2 * count < n else 0.0
    time = max(-1 + 2 * kept.sum() + after, 1 / np.log10(x.size))
    return float(x.size / time)


def _autocovariance(x: Array) -> Array:
    n = x.shape[1]
    size = 2 ** int(np.ceil(np.log2(2 * n)))
    f = np.fft.rfft(x - x.mean(axis=1, keepdims=True), size, axis=1)
    return np.fft.irfft(np.abs(f) ** 2, size, axis=1)[:, :n] / n
