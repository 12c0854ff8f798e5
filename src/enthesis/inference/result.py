"""What an engine returns: arrays without names, and how much to trust them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Status:
    """Whether a computation can be relied on, with the sentence for the reader.

    Examples
    --------
    >>> Status(ok=True, message="fine").ok
    True
    """

    ok: bool
    message: str


@dataclass(frozen=True, kw_only=True)
class Posterior:
    """The result of a Bayesian engine.

    Parameters
    ----------
    mean, cov : float arrays, shape (P,), (P, P)
        Of the global parameters.
    theta : float array, shape (draws, P)
    weights : float array, shape (draws,)
        Sum to 1.
    hyper : float array, shape (draws, H)
        Standard deviations, in the order of the target's hyperparameters.
    hyper_mean, hyper_interval : float arrays, shape (H,), (2, H)
        Posterior mean and 95 % interval.
    status : Status
    diagnostics : dict
        Plain numbers and words.
    """

    mean: Array
    cov: Array
    theta: Array
    weights: Array
    hyper: Array
    hyper_mean: Array
    hyper_interval: Array
    status: Status
    diagnostics: dict[str, Any] = field(default_factory=dict)
