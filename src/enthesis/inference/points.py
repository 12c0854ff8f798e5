"""Quasi-random points: the only source of draws in the deterministic engine, fixed by a seed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import qmc

Array = NDArray[np.float64]


def uniform_points(draws: int, dimension: int, seed: int) -> Array:
    """Scrambled Sobol points in the open unit cube, shape (draws, dimension).

    Owen AB, J Complexity 1998;14:466. The first `draws` of the next power of two.

    Examples
    --------
    >>> uniform_points(4, 2, seed=1).shape
    (4, 2)
    """
    if dimension == 0:
        return np.zeros((draws, 0))
    power = max(int(np.ceil(np.log2(max(draws, 2)))), 1)
    points = qmc.Sobol(dimension, scramble=True, rng=np.random.default_rng(seed)).random_base2(power)[:draws]
    return np.clip(points, 1e-12, 1 - 1e-12)


def to_normal(u: Array) -> Array:
    """Standard normal quantiles."""
    return ndtri(u)


def normal_points(draws: int, dimension: int, seed: int) -> Array:
    """Quasi-random standard normal draws, shape (draws, dimension)."""
    return to_normal(uniform_points(draws, dimension, seed))
