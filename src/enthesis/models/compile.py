"""(Model, Network) → Target: each block meets its likelihood, and the parameters are laid out.

Within a study the reference comes first, then the network's order; a split comparison's comparator comes before all.
The first arm carries the study's baseline, and every other arm's row of the design is its difference from it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from enthesis.errors import ModelError
from enthesis.models.additions import Addition, additions, cutpoints
from enthesis.models.consistency import NodeSplit, UnrelatedMeanEffects
from enthesis.models.effects import Layout, require_estimable
from enthesis.models.heterogeneity import Exchangeable
from enthesis.models.likelihoods import Gaussian, Likelihood, chosen_likelihood
from enthesis.models.model import Model
from enthesis.models.priors import Normal
from enthesis.models.target import ArmPart, GaussianPart, Hyper, Penalty, Target
from enthesis.network.blocks import ArmBlock, Contrasts, by_size, taken
from enthesis.network.network import Network
from enthesis.network.pairwise import Group, pairwise

Array = NDArray[np.float64]
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
    ModelError
        When the model's parts do not fit the network.
    """
    require_estimable(model.effects, network)
    parts, words = _parts(model, network)
    layout = model.effects.layout(network)
    if isinstance(model.consistency, UnrelatedMeanEffects):
        layout = _unrelated(model.consistency, network, parts)
    extra = additions(model, network)
    hypers = layout.hypers + tuple(h for a in extra for h in a.hypers)
    if isinstance(model.heterogeneity, Exchangeable):
        tau = len(hypers) + model.heterogeneity.of_treatments(network)
        parts = [replace(p, tau=tau[_arms_of(p)]) for p in parts]
        hypers += tuple(Hyper(name=n, prior=model.heterogeneity.sd) for n in model.heterogeneity.names(network))
    if extra or isinstance(model.consistency, NodeSplit | UnrelatedMeanEffects):
        parts = [_designed(p, layout, extra, model, network) for p in parts]
    parts, extra = _with_cutpoints(parts, layout, extra)
    D, names, mean, sd, penalties = _joined(layout, extra)
    return Target(
        D=D,
        names=names,
        prior_mean=mean,
        prior_sd=sd,
        hypers=hypers,
        penalties=penalties,
        gaussian=tuple(p for p in parts if isinstance(p, GaussianPart)),
        arms=tuple(p for p in parts if isinstance(p, ArmPart)),
        baseline=model.baseline.prior,
        likelihoods=words,
    )


def _arms_of(part: GaussianPart | ArmPart) -> Ints:
    """The treatment of each arm of a part, in the shape of its `tau`."""
    if isinstance(part, ArmPart) or part.lead:
        return part.plus
    return np.concatenate([part.minus[:, :1], part.plus], axis=1)


def _with_cutpoints(parts, layout: Layout, extra: tuple[Addition, ...]):
    """Cutpoints of ordered likelihoods become parameters behind all others, shared by all studies."""
    levels = max((p.data["r"].shape[1] for p in parts if isinstance(p, ArmPart) and p.data["r"].ndim == 2), default=0)
    if levels < 2:
        return parts, extra
    first = len(layout.names) + sum(len(a.names) for a in extra)
    addition = cutpoints(levels)
    out = []
    for part in parts:
        design = part.X if part.X is not None else layout.D[part.plus] - layout.D[part.minus]
        X = np.concatenate([design, np.zeros((*design.shape[:-1], levels - 1))], axis=-1)
        slopes = None
        if isinstance(part, ArmPart) and part.S is not None:
            slopes = np.pad(part.S, ((0, 0), (0, levels - 1)))
        part = replace(part, X=X) if slopes is None else replace(part, X=X, S=slopes)
        if isinstance(part, ArmPart) and part.data["r"].ndim == 2:
            part = replace(part, cut=first + np.arange(levels - 1))
        out.append(part)
    return out, (*extra, addition)


def _parts(model: Model, network: Network) -> tuple[list[GaussianPart | ArmPart], tuple[str, ...]]:
    """The data, without random effects and designs."""
    rank = _arm_order(model, network)
    parts: list[GaussianPart | ArmPart] = []
    words: list[str] = []
    for block in network.blocks:
        likelihood = chosen_likelihood(model.likelihood, block.kind, network.measure.name)
        if likelihood is None:
            words.append("normal on contrasts")
            pairs = pairwise((block,), network.measure, network.correction, network.studies)
            parts += [_from_group(group, rank) for group in pairs.groups]
            continue
        block = taken(block, np.lexsort((rank(block.study, block.treatment), block.study)))
        if isinstance(likelihood, Gaussian):
            words.append("normal on arm means")
            parts += _from_means(block, model.baseline.prior)
        else:
            words.append(f"{type(likelihood).__name__.lower()}, {likelihood.link.name} link")
            parts.append(_from_arms(block, likelihood))
    return parts, tuple(dict.fromkeys(words))


def _arm_order(model: Model, network: Network):
    """(study, treatment) → rank of an arm within its study."""
    order = np.arange(network.n_treatments)
    order[network.index(network.reference)] = -1
    if not isinstance(model.consistency, NodeSplit):
        return lambda study, treatment: order[treatment]
    split = model.consistency
    a, b = network.index(split.comparator), network.index(split.treatment)
    both = _studies_with(network, a) & _studies_with(network, b)
    if not both.any():
        raise ModelError(f"no study compares {split.treatment!r} with {split.comparator!r}: there is nothing to split.")
    return lambda study, treatment: np.where(both[study] & (treatment == a), -2, order[treatment])


def _studies_with(network: Network, treatment: int) -> NDArray[np.bool_]:
    found = np.zeros(network.n_studies, dtype=bool)
    for block in network.blocks:
        found[block.study[block.treatment == treatment]] = True
        if isinstance(block, Contrasts):
            found[block.study[block.comparator == treatment]] = True
    return found


def _from_group(group: Group, rank) -> GaussianPart:
    order = np.argsort(rank(group.study[:, None], group.arms), axis=1, kind="stable")
    rows = np.arange(len(order))[:, None]
    arms = group.arms[rows, order]
    y, v = (x[rows[:, :, None], order[:, :, None], order[:, None, :]] for x in (group.y, group.v))
    y, V = Group(study=group.study, arms=arms, y=y, v=v).basic()
    return GaussianPart(
        y=y,
        V=V,
        lead=0,
        tau=np.full(arms.shape, -1),
        plus=arms[:, 1:],
        minus=np.repeat(arms[:, :1], group.k - 1, axis=1),
        study=group.study,
    )


def _from_means(block: ArmBlock, baseline: Normal) -> list[GaussianPart]:
    return [
        GaussianPart(
            y=block.y[at] - baseline.mean,
            V=np.eye(k) * (block.se[at] ** 2)[:, None, :] + baseline.sd**2,
            lead=1,
            tau=np.full(at.shape, -1),
            plus=block.treatment[at],
            minus=np.repeat(block.treatment[at[:, :1]], k, axis=1),
            study=block.study[at[:, 0]],
        )
        for k, at in by_size(block.study)
    ]


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
        tau=np.full(len(block.study), -1),
    )


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """Study, treatment and study's first treatment of every row of a part, in one shape."""

    study: Ints
    plus: Ints
    minus: Ints


def _rows(part: GaussianPart | ArmPart) -> _Rows:
    study = part.label[part.study] if isinstance(part, ArmPart) else part.study[:, None] + 0 * part.plus
    return _Rows(study=study, plus=part.plus, minus=part.minus)


def _designed(part, layout: Layout, extra: tuple[Addition, ...], model: Model, network: Network):
    """The part with its own design (and slopes on the baseline, if any)."""
    rows = _rows(part)
    if isinstance(model.consistency, UnrelatedMeanEffects):
        X = _unrelated_rows(rows, layout)
    else:
        X = layout.D[rows.plus] - layout.D[rows.minus]
    if isinstance(model.consistency, NodeSplit):
        a, b = network.index(model.consistency.comparator), network.index(model.consistency.treatment)
        X = np.where(((rows.plus == b) & (rows.minus == a))[..., None], 0.0, X)
    columns = [X, *(a.design(rows.study, rows.plus, rows.minus) for a in extra)]
    slopes = [a.slopes(rows.plus, rows.minus) for a in extra]
    part = replace(part, X=np.concatenate(columns, axis=-1))
    if not any(s.any() for s in slopes):
        return part
    if not isinstance(part, ArmPart):
        raise ModelError(
            "regression on the baseline needs arm data with a likelihood of their own (counts on OR, rates on IRR)."
        )
    S = np.concatenate([np.zeros((len(part.plus), layout.D.shape[1])), *slopes], axis=-1)
    part = replace(part, S=S, centre=next(a.centre for a in extra if a.centre is not None))
    return _on_baseline(part) if (part.tau >= 0).any() else part


def _on_baseline(part: ArmPart) -> ArmPart:
    """The part with random effects that leave the baseline of sloped studies alone.

    Effects are regressed on the first arm's linear predictor, so in a study with a slope that arm has no effect of its
    own, and every other arm has all of tau² (see `models.regression.BaselineRisk`).
    """
    first = np.zeros(len(part.study), dtype=bool)
    first[part.start] = True
    sloped = np.logical_or.reduceat(part.S.any(axis=1), part.start)[part.study]
    return replace(part, tau=np.where(sloped & first, -1, part.tau), share=np.where(sloped, 1.0, 0.5))


def _joined(layout: Layout, extra: tuple[Addition, ...]):
    """Effects and additions as one vector of parameters."""
    sizes = [len(layout.names), *(len(a.names) for a in extra)]
    P = sum(sizes)
    offsets = np.cumsum([0, *sizes])
    D = np.zeros((layout.D.shape[0], P))
    D[:, : sizes[0]] = layout.D
    penalties: list[Penalty] = []
    hyper_offset = 0
    for offset, piece in zip(offsets, (layout, *extra), strict=False):
        for penalty in piece.penalties:
            K = np.zeros((P, P))
            size = len(piece.names)
            K[offset : offset + size, offset : offset + size] = penalty.K
            penalties.append(Penalty(hyper=penalty.hyper + hyper_offset, K=K, rank=penalty.rank))
        hyper_offset += len(piece.hypers)
    pieces = (layout, *extra)
    return (
        D,
        tuple(name for p in pieces for name in p.names),
        np.concatenate([p.prior_mean for p in pieces]),
        np.concatenate([p.prior_sd for p in pieces]),
        tuple(penalties),
    )


def _unrelated(choice: UnrelatedMeanEffects, network: Network, parts) -> Layout:
    """One parameter per comparison of an arm with its study's first arm; d is defined only against the reference."""
    pairs = sorted({
        (int(p), int(m))
        for part in parts
        for p, m in zip(part.plus.ravel(), part.minus.ravel(), strict=True)
        if p != m
    })  # fmt: skip
    names = network.treatment_names
    reference = network.index(network.reference)
    D = np.full((len(names), len(pairs)), np.nan)
    D[reference] = 0.0
    for j, (p, m) in enumerate(pairs):
        if m == reference:
            D[p] = np.eye(len(pairs))[j]
    return Layout(
        D=D,
        names=tuple(f"d[{names[p]} vs {names[m]}]" for p, m in pairs),
        prior_mean=np.full(len(pairs), float(choice.prior.mean)),
        prior_sd=np.full(len(pairs), float(choice.prior.sd)),
        pairs=tuple(pairs),
    )


def _unrelated_rows(rows: _Rows, layout: Layout) -> Array:
    X = np.zeros((*rows.plus.shape, len(layout.pairs)))
    for j, (p, m) in enumerate(layout.pairs):
        X[(rows.plus == p) & (rows.minus == m), j] = 1.0
    return X
