"""Relative effects: the parameters that d is made of.

`design(network)` returns the matrix D, shape (treatments, parameters), with d = D theta and d[reference] = 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from enthesis.models.priors import Normal
from enthesis.models.target import Hyper, Penalty

if TYPE_CHECKING:
    from enthesis.network.network import Network


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Parameters of the effects: names, prior, and the map d = D theta.

    Parameters
    ----------
    D : float array, shape (treatments, parameters)
    names : tuple of str
    prior_mean, prior_sd : float arrays, shape (parameters,)
    hypers, penalties : tuples
        Hierarchical priors; a penalty names its hyperparameter by position in `hypers`.
    """

    D: NDArray[np.float64]
    names: tuple[str, ...]
    prior_mean: NDArray[np.float64]
    prior_sd: NDArray[np.float64]
    hypers: tuple[Hyper, ...] = ()
    penalties: tuple[Penalty, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PerTreatment:
    """One unrelated parameter per treatment: theta = d without the reference.

    Parameters
    ----------
    prior : Normal
        Prior of each d, on the measure's scale.

    Examples
    --------
    >>> PerTreatment().prior
    Normal(mean=0, sd=100)
    """

    prior: Normal = field(default=Normal(0, 100))

    def design(self, network: Network) -> NDArray[np.float64]:
        """D, shape (treatments, treatments - 1)."""
        return np.delete(np.eye(network.n_treatments), network.index(network.reference), axis=1)

    def layout(self, network: Network) -> Layout:
        """Parameters, their prior and the map to effects."""
        D = self.design(network)
        names = tuple(f"d[{name}]" for name in network.treatment_names if name != network.reference)
        return Layout(
            D=D,
            names=names,
            prior_mean=np.full(len(names), float(self.prior.mean)),
            prior_sd=np.full(len(names), float(self.prior.sd)),
        )


Effects = PerTreatment
