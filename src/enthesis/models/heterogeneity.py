"""Heterogeneity: how study effects differ around the network's effects, and how arms of one study are correlated.

Study i, arm k: delta[i,k] = d[t(i,k)] - d[t(i,1)] + e[i,k], with e ~ Normal(0, tau² (I + J) / 2): variance tau² and
correlation 1/2 between the contrasts of one study (Higgins JPT & Whitehead A, Stat Med 1996;15:2733; NICE DSU TSD 2).
Equivalently e[i,k] = a[i,k] - a[i,1] with independent a ~ Normal(0, tau² / 2), which is how the engines compute it.

With one tau per class the arm's own is used: a[i,k] ~ Normal(0, tau[c(k)]² / 2). The effects of classes b and c against
one another then vary with variance (tau[b]² + tau[c]²) / 2, which obeys the triangle inequalities that consistent
effects need (Lu G & Ades AE, Biostatistics 2009;10:792).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from enthesis.errors import ModelError, unknown_name
from enthesis.models.priors import HalfNormal, Prior

if TYPE_CHECKING:
    from enthesis.network.network import Network


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
    by : {"all", "class"}
        One tau, or one for each class of treatments (`tau[...]`); the reference is a class of its own when it has none.

    Examples
    --------
    >>> str(Exchangeable(sd=HalfNormal(0.5)).sd)
    'half-normal(0.5)'
    """

    sd: Prior = field(default=HalfNormal(1.0))
    by: Literal["all", "class"] = "all"

    def __post_init__(self) -> None:
        if self.by not in ("all", "class"):
            raise unknown_name("grouping of tau", self.by, ["all", "class"])

    def names(self, network: Network) -> tuple[str, ...]:
        """The standard deviations."""
        if self.by == "all":
            return ("tau",)
        return tuple(f"tau[{c}]" for c in dict.fromkeys(self._classes(network)))

    def of_treatments(self, network: Network) -> NDArray[np.int64]:
        """Which of them belongs to the arms of each treatment, shape (treatments,)."""
        if self.by == "all":
            return np.zeros(network.n_treatments, dtype=int)
        classes = self._classes(network)
        order = list(dict.fromkeys(classes))
        return np.array([order.index(c) for c in classes])

    def _classes(self, network: Network) -> list[str]:
        without = [t.name for t in network.treatments if not t.drug_class and t.name != network.reference]
        if without:
            raise ModelError(
                f"tau by class needs the class of every treatment, and there is none for {', '.join(without[:5])}. "
                "Give a column `class` in the table, or use one tau."
            )
        return [t.drug_class or t.name for t in network.treatments]


Heterogeneity = Common | Exchangeable


def contrast_correlation(size: int) -> NDArray[np.float64]:
    """Covariance of a study's contrasts against its first arm, per unit of tau²: (I + J) / 2, shape (size, size)."""
    return 0.5 * (np.eye(size) + 1.0)
