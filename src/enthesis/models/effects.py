"""Relative effects: the parameters that d is made of.

`design(network)` returns the matrix D, shape (treatments, parameters), with d = D theta and d[reference] = 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from enthesis.models.priors import Normal

if TYPE_CHECKING:
    from enthesis.network.network import Network


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


Effects = PerTreatment
