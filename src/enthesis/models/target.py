"""The target: everything an engine may know about a model and a network, without a name of a treatment in it.

A target has P global parameters theta and H hyperparameters h (standard deviations, each with its own prior). Given h,
theta is Gaussian with precision diag(prior_sd^-2) + Σ_j h_j^-2 K_j; the K_j carry hierarchies (drugs within a class,
exchangeable interactions). Two kinds of parts carry the data:

- `GaussianPart`: y ~ Normal(X theta, V + B diag(h²/2) B'), exactly (contrasts, arm means);
- `ArmPart`: any other likelihood, eta = (1 + S theta) (mu - centre) + centre + X theta + e, with e as `heterogeneity`
  says. S is zero except for baseline-risk regression.

Rows of the design X are differences of treatment effects, D[plus] - D[minus], unless a part carries its own X.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from enthesis.errors import NotConnected
from enthesis.models.likelihoods import Likelihood
from enthesis.models.priors import Normal, Prior
from enthesis.network.geometry import components
from enthesis.network.network import Network
from enthesis.network.pairwise import Group

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


#: a hierarchy of smaller standard deviation is one of equal parameters
LEAST_SPREAD = 1e-5


@dataclass(frozen=True, kw_only=True)
class Hyper:
    """A standard deviation with a prior.

    Parameters
    ----------
    name : str
        `tau`, `class_sd`, ...
    prior : Prior
    """

    name: str
    prior: Prior


@dataclass(frozen=True, kw_only=True)
class Penalty:
    """Part of the prior precision of theta that scales with a hyperparameter: h[hyper]^-2 K, K of the given rank."""

    hyper: int
    K: Array
    rank: int


@dataclass(frozen=True, kw_only=True)
class GaussianPart:
    """Studies of one size with a normal likelihood.

    Parameters
    ----------
    y : float array, shape (studies, q)
    V : float array, shape (studies, q, q)
        Within-study covariance, baseline prior included for arm data.
    lead : int
        0 for contrasts against the first arm (q = arms - 1), 1 for arm data (q = arms): rows of the first arm carry
        no random effect, all others share the first arm's.
    tau : int array, shape (studies, arms)
        Hyperparameter of each arm's random effect; -1 for none.
    plus, minus : int arrays, shape (studies, q)
        Treatments whose effects are added and subtracted.
    study : int array, shape (studies,)
        Positions in the network.
    X : float array, shape (studies, q, P), or None
    """

    y: Array
    V: Array
    lead: int
    tau: Ints
    plus: Ints
    minus: Ints
    study: Ints
    X: Array | None = None

    def between(self, h: Array) -> Array:
        """Between-study covariance at h: shape (studies, q, q), or (1, q, q) when all studies share it."""
        t = arm_variance(self.tau, h)
        if (self.tau == self.tau[:1]).all():
            t = t[:1]
        size = t.shape[1] - 1
        M = t[:, :1, None] + t[:, 1:, None] * np.eye(size)
        if not self.lead:
            return M
        return np.pad(M, ((0, 0), (1, 0), (1, 0)))


@dataclass(frozen=True, kw_only=True)
class ArmPart:
    """Arms with a likelihood of their own, sorted by study.

    Parameters
    ----------
    likelihood : Likelihood
    data : dict of float arrays, shape (arms,) or (arms, categories)
    start : int array, shape (studies,)
        Position of each study's first arm.
    study : int array, shape (arms,)
        0, 1, ... within this part.
    plus, minus : int arrays, shape (arms,)
        The arm's treatment and its study's first treatment.
    label : int array, shape (studies,)
        Study positions in the network.
    tau : int array, shape (arms,)
        Hyperparameter of each arm's random effect; -1 for none.
    X : float array, shape (arms, P), or None
    S : float array, shape (arms, P), or None
        Slopes on the study's own baseline: the coefficient of mu - centre is 1 + S theta.
    share : float array, shape (arms,), or None
        Variance of each arm's random effect per unit of tau²; None: 1/2 for all.
    centre : float
    cut : int array, shape (cutpoints,), or None
        Positions in theta of the likelihood's cutpoints.
    """

    likelihood: Likelihood
    data: dict[str, Array]
    start: Ints
    study: Ints
    plus: Ints
    minus: Ints
    label: Ints
    tau: Ints
    X: Array | None = None
    S: Array | None = None
    share: Array | None = None
    centre: float = 0.0
    cut: Ints | None = None

    def variance(self, h: Array) -> Array:
        """Variance of each arm's random effect: shape (arms,) for one h, (points, arms) for many."""
        half = arm_variance(self.tau, h)
        return half if self.share is None else 2 * self.share * half


@dataclass(frozen=True, kw_only=True)
class Target:
    """A compiled model: data parts, the map from parameters to effects, and priors.

    Parameters
    ----------
    D : float array, shape (treatments, P)
        d = D theta, the effects against the reference; zero rows where a model has no such effects.
    names : tuple of str
        Of theta.
    prior_mean, prior_sd : float arrays, shape (P,)
        `prior_sd` may be inf where a penalty alone carries the prior.
    hypers : tuple of Hyper
    penalties : tuple of Penalty
    gaussian, arms : tuples of parts
    baseline : Normal
        Prior of every study baseline.
    likelihoods : tuple of str
        In words, for the reader.
    """

    D: Array
    names: tuple[str, ...]
    prior_mean: Array
    prior_sd: Array
    hypers: tuple[Hyper, ...] = ()
    penalties: tuple[Penalty, ...] = ()
    gaussian: tuple[GaussianPart, ...] = ()
    arms: tuple[ArmPart, ...] = ()
    baseline: Normal = field(default=Normal(0, 100))
    likelihoods: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Number of global parameters."""
        return self.D.shape[1]

    def design(self, part: GaussianPart | ArmPart) -> Array:
        """Rows of the design of a part, shape (..., P)."""
        return part.X if part.X is not None else self.D[part.plus] - self.D[part.minus]

    def prior_precision(self, h: Array) -> Array:
        """Prior precision of theta at h, shape (P, P)."""
        precision = np.diag(self.prior_sd**-2.0)
        for penalty in self.penalties:
            precision = precision + spread(h[penalty.hyper]) ** -2.0 * penalty.K
        return precision

    def log_prior(self, theta: Array, h: Array) -> Array:
        """log p(theta | h) + log p(h), up to a constant that does not depend on either.

        Parameters
        ----------
        theta : float array, shape (points, P)
        h : float array, shape (points, H)

        Returns
        -------
        float array, shape (points,)
        """
        away = theta - self.prior_mean
        value = self.log_top_prior(theta, h)
        for penalty in self.penalties:
            sd = spread(h[:, penalty.hyper])
            value = value - 0.5 * np.einsum("np,pq,nq->n", away, penalty.K, away) / sd**2 - penalty.rank * np.log(sd)
        return value

    def log_top_prior(self, theta: Array, h: Array) -> Array:
        """`log_prior` without the hierarchies: what was stated of top-level parameters, shape (points,)."""
        return -0.5 * (((theta - self.prior_mean) / self.prior_sd) ** 2).sum(1) + self.log_hyper_prior(h)

    def log_hyper_prior(self, h: Array) -> Array:
        """log p(h), shape (points,)."""
        return sum((x.prior.log_density(h[:, j]) for j, x in enumerate(self.hypers)), np.zeros(len(h)))


def spread(h: Array) -> Array:
    """A standard deviation of a hierarchy, kept away from zero so that its precision does not drown the data's."""
    return np.maximum(h, LEAST_SPREAD)


def arm_variance(tau: Ints, h: Array) -> Array:
    """Variance tau² / 2 of each arm's random effect: shape of `tau` for one h, (points, arms) for many."""
    half = 0.5 * np.asarray(h, dtype=float) ** 2
    padded = np.concatenate([half, np.zeros((*half.shape[:-1], 1))], axis=-1)  # position -1: no random effect
    return padded[..., tau]


@dataclass(frozen=True, kw_only=True)
class ContrastTarget:
    """What generalised least squares needs: contrasts by study size, and what the effects are made of.

    Parameters
    ----------
    groups : tuple of Group
    size : int
        Number of treatments.
    reference : int
        Position of the reference.
    basis : float array, shape (treatments, free parameters), or None
        d = basis theta, of full column rank, zero in the reference's row. None for one parameter per treatment, where
        no product with it is needed.
    """

    groups: tuple[Group, ...]
    size: int
    reference: int
    basis: Array | None = None

    @property
    def rank(self) -> int:
        """Free effects."""
        return self.size - 1 if self.basis is None else self.basis.shape[1]

    @property
    def full_basis(self) -> Array:
        """`basis`, written out where it is None."""
        return np.delete(np.eye(self.size), self.reference, axis=1) if self.basis is None else self.basis

    @property
    def n_independent(self) -> int:
        """Independent contrasts."""
        return sum(len(g.study) * (g.k - 1) for g in self.groups)


def contrast_target(network: Network, basis: Array | None = None) -> ContrastTarget:
    """The target of generalised least squares.

    Parameters
    ----------
    network : Network
    basis : float array, shape (treatments, free parameters), optional
        What effects are made of; by default one parameter per treatment, and then NotConnected is raised when the
        network falls apart.

    Returns
    -------
    ContrastTarget
    """
    if basis is None:
        require_connected(network)
    return ContrastTarget(
        groups=network.pairs.groups,
        size=network.n_treatments,
        reference=network.index(network.reference),
        basis=basis,
    )


def require_connected(network: Network) -> None:
    """Raise NotConnected, naming the parts, unless one chain of studies joins all treatments."""
    parts = components(network)
    if len(parts) > 1:
        shown = " | ".join(", ".join(part[:6]) + (", …" if len(part) > 6 else "") for part in parts[:4])
        raise NotConnected(
            f"the network falls into {len(parts)} parts that share no study: {shown}. Effects between parts cannot be "
            "estimated. Analyse one part at a time, or add a study that links them; see how-to/disconnected."
        )
