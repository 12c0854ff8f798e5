"""Relative effects: the parameters that d is made of.

`design(network)` returns the matrix D, shape (treatments, parameters), with d = D theta and d[reference] = 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from enthesis.errors import ModelError, NotConnected, unknown_name
from enthesis.models.priors import HalfNormal, Normal, Prior
from enthesis.models.target import Hyper, Penalty, require_connected
from enthesis.network.geometry import study_arms

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


@dataclass(frozen=True, kw_only=True)
class Components:
    """Additive components: a combination's effect is the sum of its parts', d[t] = Σ theta[c] over the parts c of t.

    Parts come from `Treatment.components`, else from the name: "CBT + SSRI". A network in parts that share no study can
    be estimated when they share components (Welton NJ, Caldwell DM, Adamopoulos E, Vedhara K, Am J Epidemiol
    2009;169:1158; Rücker G, Petropoulou M, Schwarzer G, Biom J 2020;62:808).

    Parameters
    ----------
    separator : str
        Between the parts of a name.
    inactive : str or None
        A part without effect, such as placebo; None when every part may have one.
    prior : Normal
        Prior of each theta, on the measure's scale.

    Examples
    --------
    >>> Components().parts("CBT + SSRI + Placebo")
    ('CBT', 'SSRI', 'Placebo')
    """

    separator: str = "+"
    inactive: str | None = None
    prior: Normal = field(default=Normal(0, 100))

    def __post_init__(self) -> None:
        if not self.separator.strip():
            raise ModelError("the separator of components must not be empty. Use '+', say.")

    def parts(self, name: str) -> tuple[str, ...]:
        """The components in a treatment's name, each once, in the order written."""
        found = (" ".join(part.split()) for part in name.split(self.separator.strip()))
        return tuple(dict.fromkeys(part for part in found if part))

    def names(self, network: Network) -> tuple[str, ...]:
        """The active components of a network, by name."""
        found = {part for t in network.treatments for part in t.components or self.parts(t.name)}
        if self.inactive is not None:
            silent = {part for part in found if part.casefold() == self.inactive.casefold()}
            if not silent:
                raise unknown_name("component", self.inactive, found)
            found -= silent
        return tuple(sorted(found, key=str.casefold))

    def incidence(self, network: Network) -> NDArray[np.float64]:
        """1 where a treatment holds a component, shape (treatments, components)."""
        at = {name: j for j, name in enumerate(self.names(network))}
        C = np.zeros((network.n_treatments, len(at)))
        for i, t in enumerate(network.treatments):
            for part in t.components or self.parts(t.name):
                if part in at:
                    C[i, at[part]] = 1.0
        return C

    def design(self, network: Network) -> NDArray[np.float64]:
        """D, shape (treatments, components): components of each treatment minus those of the reference."""
        C = self.incidence(network)
        return C - C[network.index(network.reference)]

    def layout(self, network: Network) -> Layout:
        """Parameters, their prior and the map to effects."""
        names = tuple(f"component[{name}]" for name in self.names(network))
        return Layout(
            D=self.design(network),
            names=names,
            prior_mean=np.full(len(names), float(self.prior.mean)),
            prior_sd=np.full(len(names), float(self.prior.sd)),
        )

    def basis(self, network: Network) -> NDArray[np.float64]:
        """What the studies can tell of D theta: B of full column rank with d = B gamma.

        Parameters
        ----------
        network : Network

        Returns
        -------
        float array, shape (treatments, free parameters)

        Raises
        ------
        NotConnected
            When the effect of some treatment does not follow from the studies, even with additive components.
        """
        D = self.design(network)
        arms = study_arms(network)
        starts = np.flatnonzero(np.r_[True, np.diff(arms[:, 0]) != 0])
        first = np.repeat(arms[starts, 1], np.diff(np.r_[starts, len(arms)]))
        contrasts = np.unique(D[arms[:, 1]] - D[first], axis=0)
        _, size, rows = np.linalg.svd(contrasts, full_matrices=False)
        rows = rows[size > 1e-9 * max(size.max(initial=0.0), 1.0)]
        lost = np.abs(D - D @ rows.T @ rows).max(axis=1, initial=0.0) > 1e-8
        if lost.any():
            names = [network.treatment_names[i] for i in np.flatnonzero(lost)]
            shown = ", ".join(names[:6]) + (f", … ({len(names)} in all)" if len(names) > 6 else "")
            raise NotConnected(
                f"additive components do not make these effects against {network.reference!r} estimable: {shown}. No "
                "chain of studies or shared components links them. Add a study that does, declare an inactive "
                "component, or analyse one part of the network at a time; see how-to/disconnected."
            )
        return D @ rows.T


Effects = PerTreatment | ClassEffects | Components


def require_estimable(effects: Effects, network: Network) -> None:
    """Raise NotConnected unless the studies tell every treatment's effect against the reference."""
    if isinstance(effects, Components):
        effects.basis(network)
    else:
        require_connected(network)
