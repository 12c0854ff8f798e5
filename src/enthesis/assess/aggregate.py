"""A network's contrasts at one tau², summed by design and by comparison: what consistency and contribution start from.

With L_i the Laplacian of study i (weights of its pairs of arms, see `network.pairwise`), the studies of a design add up
to L_D = Σ L_i, and the estimate of the design alone solves L_D x = b_D. A comparison has two sums: the *direct* one,
pooling every study that has both arms by the variance of that contrast alone, 1 / (v + tau²); and the *edge* of the
electrical network, the off-diagonal of Σ L_i, in which the weights of multi-arm studies are shared among their pairs
(Rücker G, Schwarzer G, Stat Med 2014;33:4353). All sums are linear in studies and batched over them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from enthesis.errors import UsageError, unknown_name
from enthesis.inference import gls
from enthesis.inference.fit import Fit
from enthesis.models.target import ContrastTarget, contrast_target
from enthesis.network.network import Network
from enthesis.network.pairwise import Group
from enthesis.network.subset import comparable

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class ContrastFit:
    """Generalised least squares on the contrasts of a network.

    Parameters
    ----------
    network : Network
        Every arm of it has a contrast.
    target : ContrastTarget
    tau2 : float
    d : float array, shape (treatments,)
        Effects against the reference.
    cov : float array, shape (treatments, treatments)
    method : {"DL", "ML", "REML"}
        How tau is estimated again when a part of the network is fitted.
    random : bool
        Whether effects are random.
    """

    network: Network
    target: ContrastTarget
    tau2: float
    d: Array
    cov: Array
    method: str
    random: bool

    def variance(self, a: Ints | int, b: Ints | int) -> Array:
        """Variance of the network estimate of treatments a against b."""
        spread = np.diag(self.cov)
        return spread[a] + spread[b] - 2 * self.cov[a, b]


def contrast_fit(fit: Fit) -> ContrastFit:
    """The normal view of a fit that the methods of `assess` share.

    Parameters
    ----------
    fit : Fit
        Its contrasts are solved at its estimate of tau (the posterior mean for a Bayesian fit), with one free effect
        per treatment: what is assessed are the data of the network, whatever the fit made of them.

    Returns
    -------
    ContrastFit

    Raises
    ------
    NotConnected
        When the network falls into parts, as it may for component models.
    """
    random = fit.effects == "random"
    tau2 = float(fit.tau.estimate) ** 2 if random else 0.0
    network = comparable(fit.network)
    target = contrast_target(network)
    solution = gls.solve(target, tau2)
    return ContrastFit(network=network, target=target, tau2=tau2, d=solution.d, cov=solution.cov,
                       method=fit.settings.get("tau") or "REML", random=random)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Designs:
    """Designs of k arms, each fitted alone.

    Parameters
    ----------
    arms : int array, shape (designs, k)
        Treatments, ascending.
    n_studies : int array, shape (designs,)
    laplacian : float array, shape (designs, k, k)
    estimate : float array, shape (designs, k)
        Effects against the design's first treatment.
    Q : float array, shape (designs,)
        Heterogeneity between the studies of the design.
    spread : float array, shape (designs,)
        What a unit of tau² adds to the expectation of Q.
    """

    arms: Ints
    n_studies: Ints
    laplacian: Array
    estimate: Array
    Q: Array
    spread: Array

    @property
    def k(self) -> int:
        """Arms per design."""
        return self.arms.shape[1]

    @property
    def df(self) -> Ints:
        """Degrees of freedom of Q."""
        return (self.n_studies - 1) * (self.k - 1)

    def basic(self, d: Array) -> Array:
        """What `d` says about each design: effects against its first treatment, shape (designs, k)."""
        return d[self.arms] - d[self.arms[:, :1]]


def by_design(groups: tuple[Group, ...], tau2: float = 0.0) -> tuple[Designs, ...]:
    """The studies of each design, fitted without the rest of the network.

    Parameters
    ----------
    groups : tuple of Group
    tau2 : float

    Returns
    -------
    tuple of Designs
        One per number of arms.
    """
    return tuple(_designs(g, tau2) for g in groups)


def _designs(g: Group, tau2: float) -> Designs:
    g = _sorted_arms(g)
    k, laplacian = g.k, g.laplacian(tau2)
    arms, at = np.unique(g.arms, axis=0, return_inverse=True)
    at = at.ravel()
    total, pull = np.zeros((len(arms), k, k)), np.zeros((len(arms), k))
    np.add.at(total, at, laplacian)
    np.add.at(pull, at, -np.sum(laplacian * g.y, axis=2))
    estimate = np.zeros((len(arms), k))
    covariance = np.zeros((len(arms), k, k))
    covariance[:, 1:, 1:] = np.linalg.inv(total[:, 1:, 1:])
    estimate[:, 1:] = (covariance[:, 1:, 1:] @ pull[:, 1:, None])[:, :, 0]
    x = estimate[at]
    residual = g.y - (x[:, :, None] - x[:, None, :])
    spread = 0.5 * (
        np.trace(laplacian, axis1=1, axis2=2) - np.sum(covariance[at] * (laplacian @ laplacian), axis=(1, 2))
    )
    return Designs(
        arms=arms,
        n_studies=np.bincount(at, minlength=len(arms)),
        laplacian=total,
        estimate=estimate,
        Q=np.bincount(at, -0.5 * np.sum(laplacian * residual**2, axis=(1, 2)), len(arms)),
        spread=np.bincount(at, spread, len(arms)),
    )


def _sorted_arms(g: Group) -> Group:
    order = np.argsort(g.arms, axis=1, kind="stable")
    if np.array_equal(order, np.broadcast_to(np.arange(g.k), order.shape)):
        return g
    study = np.arange(len(order))
    cells = (study[:, None, None], order[:, :, None], order[:, None, :])
    return Group(study=g.study, arms=g.arms[study[:, None], order], y=g.y[cells], v=g.v[cells])


@dataclass(frozen=True, kw_only=True)
class Comparisons:
    """Comparisons with direct evidence, in the order of (a, b).

    Parameters
    ----------
    a, b : int arrays, shape (comparisons,)
        Treatments; a < b.
    n_studies : int array
    direct, variance : float arrays
        Pooled effect of a against b over the studies that have both, and its variance, at tau².
    Q, C : float arrays
        Heterogeneity of the comparison at tau² = 0, and what a unit of tau² adds to its expectation.
    weight : float array
        Weight of the edge in the electrical network, at tau².
    of_contrast, study, share : arrays, shape (contrasts,)
        Comparison, study, and weight in the electrical network of every pair of arms.
    """

    a: Ints
    b: Ints
    n_studies: Ints
    direct: Array
    variance: Array
    Q: Array
    C: Array
    weight: Array
    of_contrast: Ints
    study: Ints
    share: Array

    def __len__(self) -> int:
        return len(self.a)

    @property
    def tau2(self) -> Array:
        """Moment estimate of tau² of each comparison alone; NaN with a single study."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.n_studies > 1, np.maximum(0.0, (self.Q - (self.n_studies - 1)) / self.C), np.nan)


def by_comparison(groups: tuple[Group, ...], size: int, tau2: float = 0.0) -> Comparisons:
    """All pairs of arms, pooled by comparison.

    Parameters
    ----------
    groups : tuple of Group
    size : int
        Number of treatments.
    tau2 : float

    Returns
    -------
    Comparisons
    """
    columns: list[list[Array]] = []
    for g in groups:
        i, j = np.triu_indices(g.k, 1)
        a, b = g.arms[:, i].ravel(), g.arms[:, j].ravel()
        sign = np.where(a < b, 1.0, -1.0)
        low, high = np.minimum(a, b), np.maximum(a, b)
        columns.append([low * size + high, np.repeat(g.study, len(i)), sign * g.y[:, i, j].ravel(),
                        g.v[:, i, j].ravel(), -g.laplacian(tau2)[:, i, j].ravel()])  # fmt: skip
    key, study, y, v, share = (np.concatenate(column) for column in zip(*columns, strict=True))
    found, of_contrast = np.unique(key, return_inverse=True)
    n = len(found)

    def total(values: Array) -> Array:
        return np.bincount(of_contrast, values, n)

    w = 1 / (v + tau2)
    weight = total(w)
    w0 = 1 / v
    common = total(w0 * y) / total(w0)
    return Comparisons(
        a=found // size,
        b=found % size,
        n_studies=np.bincount(of_contrast, minlength=n),
        direct=total(w * y) / weight,
        variance=1 / weight,
        Q=total(w0 * (y - common[of_contrast]) ** 2),
        C=total(w0) - total(w0**2) / total(w0),
        weight=total(share),
        of_contrast=of_contrast,
        study=study,
        share=share,
    )


def oriented(network: Network, a: int, b: int) -> tuple[int, int]:
    """(treatment, comparator) as a reader expects them: the reference is the comparator where it takes part."""
    return (b, a) if network.index(network.reference) == a else (a, b)


def all_pairs(network: Network) -> list[tuple[int, int]]:
    """Every pair of treatments once, a < b."""
    a, b = np.triu_indices(network.n_treatments, 1)
    return list(zip(a.tolist(), b.tolist(), strict=True))


def chosen_pairs(network: Network, comparisons: list[tuple[str, str]] | None) -> list[tuple[int, int]]:
    """Positions of the named (treatment, comparator) pairs; every pair of treatments when none are named."""
    if comparisons is None:
        return all_pairs(network)
    pairs = []
    for treatment, comparator in comparisons:
        if treatment == comparator:
            raise UsageError(f"a comparison needs two treatments, not {treatment!r} twice.")
        pairs.append((network.index(treatment), network.index(comparator)))
    return pairs


def design_name(network: Network, arms: Ints) -> str:
    """The treatments of a design, joined by " : "."""
    return " : ".join(network.treatment_names[t] for t in arms)


def choice(kind: str, value: str, known: tuple[str, ...]) -> str:
    """`value` when it is one of the known words; UsageError with the nearest otherwise."""
    if value not in known:
        raise unknown_name(kind, value, known)
    return value
