"""Heterogeneity: how study effects differ around the network's effects, and how arms of one study are correlated.

Study i, arm k: delta[i,k] = d[t(i,k)] - d[t(i,1)] + e[i,k], with e ~ Normal(0, tau² (I + J) / 2): variance tau² and
correlation 1/2 between the contrasts of one study (Higgins JPT & Whitehead A, Stat Med 1996;15:2733; NICE DSU TSD 2).
Equivalently e[i,k] = a[i,k] - a[i,1] with independent a ~ Normal(0, tau² / 2), which is how the engines compute it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from enthesis.models.priors import HalfNormal, Prior


@dataclass(frozen=True)
class Common:
    """One effect per comparison in all studies: tau = 0.

    Examples
    --------
    >>> Common()
    Common()
    """


@dataclass(frozen=True, kw_only=True)
class Exchangeable:
    """Random effects: study effects vary with standard deviation tau around the network's.

    Parameters
    ----------
    sd : Prior
        Prior of tau, used by Bayesian engines only.

    Examples
    --------
    >>> str(Exchangeable(sd=HalfNormal(0.5)).sd)
    'half-normal(0.5)'
    """

    sd: Prior = field(default=HalfNormal(1.0))


Heterogeneity = Common | Exchangeable


def contrast_correlation(size: int) -> NDArray[np.float64]:
    """Covariance of a study's contrasts against its first arm, per unit of tau²: (I + J) / 2, shape (size, size)."""
    return 0.5 * (np.eye(size) + 1.0)
