"""(Model, Network) → Target: each block meets its likelihood, and the parameters are laid out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from enthesis.models.effects import Layout
from enthesis.models.heterogeneity import Exchangeable
from enthesis.models.likelihoods import EXACT, Gaussian, Likelihood
from enthesis.models.model import Model
from enthesis.models.priors import Normal
from enthesis.models.target import ArmPart, GaussianPart, Hyper, Target, require_connected
from enthesis.network.blocks import ArmBlock, Contrasts, by_size
from enthesis.network.network import Network
from enthesis.network.pairwise import Group, pairwise

Ints = NDArray[np.int64]


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
    layout: Layout = model.effects.layout(network)
    random = isinstance(model.heterogeneity, Exchangeable)
    hypers = layout.hypers + ((Hyper(name="tau", prior=model.heterogeneity.sd),) if random else ())
    tau = len(hypers) - 1 if random else -1
    gaussian: list[GaussianPart] = []
    arms: list[ArmPart] = []
    words: list[str] = []
    for block in network.blocks:
        likelihood = None if isinstance(block, Contrasts) else EXACT.get((block.kind, network.measure.name))
        if likelihood is None:
            words.append("normal on contrasts")
            pairs = pairwise((block,), network.measure, network.correction, network.studies)
            gaussian += [_from_group(group, tau) for group in pairs.groups]
        elif isinstance(likelihood, Gaussian):
            words.append("normal on arm means")
            gaussian += _from_means(block, model.baseline.prior, tau)
        else:
            words.append(f"{type(likelihood).__name__.lower()}, {likelihood.link.name} link")
            arms.append(_from_arms(block, likelihood, tau))
    return Target(
        D=layout.D,
        names=layout.names,
        prior_mean=layout.prior_mean,
        prior_sd=layout.prior_sd,
        hypers=hypers,
        penalties=layout.penalties,
        gaussian=tuple(gaussian),
        arms=tuple(arms),
        baseline=model.baseline.prior,
        likelihoods=tuple(dict.fromkeys(words)),
    )


def _from_group(group: Group, tau: int) -> GaussianPart:
    y, V = group.basic()
    q = group.k - 1
    return GaussianPart(
        y=y,
        V=V,
        lead=0,
        tau=np.full(group.arms.shape, tau),
        plus=group.arms[:, 1:],
        minus=np.repeat(group.arms[:, :1], q, axis=1),
        study=group.study,
    )


def _from_means(block: ArmBlock, baseline: Normal, tau: int) -> list[GaussianPart]:
    return [
        GaussianPart(
            y=block.y[at] - baseline.mean,
            V=np.eye(k) * (block.se[at] ** 2)[:, None, :] + baseline.sd**2,
            lead=1,
            tau=np.full(at.shape, tau),
            plus=block.treatment[at],
            minus=np.repeat(block.treatment[at[:, :1]], k, axis=1),
            study=block.study[at[:, 0]],
        )
        for k, at in by_size(block.study)
    ]


def _from_arms(block: ArmBlock, likelihood: Likelihood, tau: int) -> ArmPart:
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
        tau=np.full(len(block.study), tau),
    )
