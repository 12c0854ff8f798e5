"""(Model, Network) → Target: everything an engine may know, without a name in it.

A target has P global parameters theta with a Gaussian prior; the effects of the T treatments are d = D theta. Rows of
data see them through differences d[plus] - d[minus]. Two kinds of parts carry the data:

- `GaussianPart`: y ~ Normal(offset + d[plus] - d[minus], V + tau² M), exactly (contrasts, arm means);
- `ArmPart`: any other likelihood, eta = mu[study] + d[plus] - d[minus] + e, e as `heterogeneity` says.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from enthesis.errors import NotConnected
from enthesis.models.heterogeneity import Exchangeable, contrast_correlation
from enthesis.models.likelihoods import EXACT, Gaussian, Likelihood
from enthesis.models.model import Model
from enthesis.models.priors import Normal, Prior
from enthesis.network.blocks import ArmBlock, Contrasts, by_size
from enthesis.network.geometry import components
from enthesis.network.network import Network
from enthesis.network.pairwise import Group, pairwise

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class GaussianPart:
    """Studies of one size with a normal likelihood.

    Parameters
    ----------
    y : float array, shape (studies, q)
    V : float array, shape (studies, q, q)
        Within-study covariance, baseline prior included for arm data.
    M : float array, shape (q, q)
        Between-study covariance per unit of tau².
    plus, minus : int arrays, shape (studies, q)
        Treatments whose effects are added and subtracted.
    study : int array, shape (studies,)
    """

    y: Array
    V: Array
    M: Array
    plus: Ints
    minus: Ints
    study: Ints


@dataclass(frozen=True, kw_only=True)
class ArmPart:
    """Arms with a likelihood of their own, sorted by study.

    Parameters
    ----------
    likelihood : Likelihood
    data : dict of float arrays, shape (arms,)
    start : int array, shape (studies,)
        Position of each study's first arm.
    study : int array, shape (arms,)
        0, 1, ... within this part.
    plus, minus : int arrays, shape (arms,)
        The arm's treatment and its study's first treatment.
    label : int array, shape (studies,)
        Study positions in the network.
    """

    likelihood: Likelihood
    data: dict[str, Array]
    start: Ints
    study: Ints
    plus: Ints
    minus: Ints
    label: Ints


@dataclass(frozen=True, kw_only=True)
class Target:
    """A compiled model: data parts, the map from parameters to effects, and priors."""

    D: Array
    prior_mean: Array
    prior_sd: Array
    gaussian: tuple[GaussianPart, ...] = ()
    arms: tuple[ArmPart, ...] = ()
    baseline: Normal = field(default=Normal(0, 100))
    tau: Prior | None = None
    likelihoods: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Number of global parameters."""
        return self.D.shape[1]

    def contrast_design(self, plus: Ints, minus: Ints) -> Array:
        """Rows of the design: D[plus] - D[minus]."""
        return self.D[plus] - self.D[minus]


@dataclass(frozen=True, kw_only=True)
class ContrastTarget:
    """What generalised least squares needs: contrasts by study size, and the position of the reference."""

    groups: tuple[Group, ...]
    size: int
    reference: int

    @property
    def n_independent(self) -> int:
        """Independent contrasts."""
        return sum(len(g.study) * (g.k - 1) for g in self.groups)


def contrast_target(network: Network) -> ContrastTarget:
    """The target of generalised least squares. Raises NotConnected when the network falls apart."""
    require_connected(network)
    return ContrastTarget(
        groups=network.pairs.groups, size=network.n_treatments, reference=network.index(network.reference)
    )


def compile_target(model: Model, network: Network) -> Target:
    """Pair each block with its likelihood and lay out the parameters.

    Parameters
    ----------
    model : Model
    network : Network

    Returns
    -------
    Target

    Raises
    ------
    NotConnected
        When treatments share no chain of studies: with unrelated baselines nothing links the parts.
    """
    require_connected(network)
    gaussian: list[GaussianPart] = []
    arms: list[ArmPart] = []
    words: list[str] = []
    for block in network.blocks:
        likelihood = None if isinstance(block, Contrasts) else EXACT.get((block.kind, network.measure.name))
        if likelihood is None:
            words.append("normal on contrasts")
            pairs = pairwise((block,), network.measure, network.correction, network.studies)
            gaussian += [_from_group(group) for group in pairs.groups]
        elif isinstance(likelihood, Gaussian):
            words.append("normal on arm means")
            gaussian += _from_means(block, model.baseline.prior)
        else:
            words.append(f"{type(likelihood).__name__.lower()}, {likelihood.link.name} link")
            arms.append(_from_arms(block, likelihood))
    D = model.effects.design(network)
    prior = model.effects.prior
    return Target(
        D=D,
        prior_mean=np.full(D.shape[1], float(prior.mean)),
        prior_sd=np.full(D.shape[1], float(prior.sd)),
        gaussian=tuple(gaussian),
        arms=tuple(arms),
        baseline=model.baseline.prior,
        tau=model.heterogeneity.sd if isinstance(model.heterogeneity, Exchangeable) else None,
        likelihoods=tuple(dict.fromkeys(words)),
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


def _from_group(group: Group) -> GaussianPart:
    y, V = group.basic()
    q = group.k - 1
    return GaussianPart(
        y=y, V=V, M=contrast_correlation(q), plus=group.arms[:, 1:], minus=np.repeat(group.arms[:, :1], q, axis=1),
        study=group.study,
    )  # fmt: skip


def _from_means(block: ArmBlock, baseline: Normal) -> list[GaussianPart]:
    parts = []
    for k, at in by_size(block.study):
        M = np.zeros((k, k))
        M[1:, 1:] = contrast_correlation(k - 1)
        V = np.eye(k) * (block.se[at] ** 2)[:, None, :] + baseline.sd**2
        parts.append(
            GaussianPart(
                y=block.y[at] - baseline.mean,
                V=V,
                M=M,
                plus=block.treatment[at],
                minus=np.repeat(block.treatment[at[:, :1]], k, axis=1),
                study=block.study[at[:, 0]],
            )
        )
    return parts


def _from_arms(block: ArmBlock, likelihood: Likelihood) -> ArmPart:
    start = np.flatnonzero(np.r_[True, np.diff(block.study) != 0])
    study = np.cumsum(np.r_[0, np.diff(block.study) != 0])
    return ArmPart(
        likelihood=likelihood,
        data={name: getattr(block, name) for name in block.numbers},
        start=start,
        study=study,
        plus=block.treatment,
        minus=block.treatment[start][study],
        label=block.study[start],
    )
