"""Relative effects: the parameters that d is made of.

`design(network)` returns the matrix D, shape (treatments, parameters), with d = D theta and d[reference] = 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from enthesis.errors import ModelError
from enthesis.models.priors import HalfNormal, Normal, Prior
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
    #: (treatment, comparator) of each parameter, where parameters are unrelated comparisons
    pairs: tuple[tuple[int, int], ...] = ()


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


@dataclass(frozen=True, kw_only=True)
class ClassEffects:
    """Treatments exchangeable within their class: d[t] ~ Normal(m[class(t)], s²).

    A class with one treatment has no mean of its own: its d takes the prior of the means. The reference is outside all
    classes. NICE DSU TSD 2 section 6; Mayo-Wilson E et al., Lancet Psychiatry 2014;1:368 (appendix).

    Parameters
    ----------
    sd : Prior
        Prior of s, the spread of treatments within a class (`class_sd`).
    per_class : bool
        One s for all classes, or one for each (`class_sd[...]`).
    prior : Normal
        Prior of the class means, and of d in classes of one.

    Examples
    --------
    >>> ClassEffects().per_class
    False
    """

    sd: Prior = field(default=HalfNormal(1.0))
    per_class: bool = False
    prior: Normal = field(default=Normal(0, 100))

    def layout(self, network: Network) -> Layout:
        """Parameters, their prior and the map to effects."""
        others = [t for t in network.treatments if t.name != network.reference]
        without = [t.name for t in others if not t.drug_class]
        if without:
            raise ModelError(
                f"class effects need the class of every treatment, and there is none for {', '.join(without[:5])}. "
                "Give a column `class` in the table, or use effects per treatment."
            )
        members: dict[str, list[int]] = {}
        for i, t in enumerate(others):
            members.setdefault(t.drug_class, []).append(i)
        shared = [c for c, at in members.items() if len(at) > 1]
        size, P = len(others), len(others) + len(shared)
        D = np.zeros((network.n_treatments, P))
        D[[network.index(t.name) for t in others], np.arange(size)] = 1.0
        prior_sd = np.full(P, float(self.prior.sd))
        penalties, hypers = [], []
        pooled, rank = np.zeros((P, P)), 0
        for j, name in enumerate(shared):
            K = np.zeros((P, P))
            for i in members[name]:
                link = np.zeros(P)
                link[i], link[size + j] = 1.0, -1.0
                K += np.outer(link, link)
                prior_sd[i] = np.inf
            if self.per_class:
                penalties.append(Penalty(hyper=len(hypers), K=K, rank=len(members[name])))
                hypers.append(Hyper(name=f"class_sd[{name}]", prior=self.sd))
            else:
                pooled += K
                rank += len(members[name])
        if shared and not self.per_class:
            penalties.append(Penalty(hyper=0, K=pooled, rank=rank))
            hypers.append(Hyper(name="class_sd", prior=self.sd))
        return Layout(
            D=D,
            names=(*(f"d[{t.name}]" for t in others), *(f"class_mean[{c}]" for c in shared)),
            prior_mean=np.full(P, float(self.prior.mean)),
            prior_sd=prior_sd,
            hypers=tuple(hypers),
            penalties=tuple(penalties),
        )


Effects = PerTreatment | ClassEffects
