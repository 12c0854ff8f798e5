"""Additions to the effects: columns of the design that regression and inconsistency bring, with their priors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from enthesis.errors import ModelError, unknown_name
from enthesis.models.consistency import DesignByTreatment, NodeSplit
from enthesis.models.heterogeneity import contrast_correlation
from enthesis.models.likelihoods import LikelihoodChoice, chosen_likelihood
from enthesis.models.priors import Normal, Prior
from enthesis.models.regression import AnyRegression, BaselineRisk, Regression
from enthesis.models.target import Hyper, Penalty
from enthesis.network.blocks import ArmCounts, ArmFollowUp, ArmRates
from enthesis.network.geometry import study_arms

if TYPE_CHECKING:
    from enthesis.models.model import Model
    from enthesis.network.network import Network

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Addition:
    """Parameters that come on top of the effects.

    Parameters
    ----------
    names : tuple of str
    prior_mean, prior_sd : float arrays, shape (parameters,)
    hypers, penalties : tuples
        Positions in `penalties` count from this addition's own first hyperparameter.
    design : callable
        (study, plus, minus), all of one shape → rows of the design, one more axis of length parameters.
    slopes : callable
        (plus, minus) → coefficients of the parameters in the slope on the study's baseline.
    centre : float or None
        Baseline at which the effects are read, where there are slopes.
    """

    names: tuple[str, ...]
    prior_mean: Array
    prior_sd: Array
    design: Callable[[Ints, Ints, Ints], Array]
    slopes: Callable[[Ints, Ints], Array]
    hypers: tuple[Hyper, ...] = ()
    penalties: tuple[Penalty, ...] = ()
    centre: float | None = None


def additions(model: Model, network: Network) -> tuple[Addition, ...]:
    """What a model adds to its effects, in a fixed order: regression, then inconsistency."""
    found = []
    if model.regression is not None:
        found.append(_regression(model.regression, network, model.likelihood))
    if isinstance(model.consistency, NodeSplit):
        found.append(_direct(model.consistency, network))
    if isinstance(model.consistency, DesignByTreatment):
        found.append(_designs(model.consistency, network))
    return tuple(found)


def cutpoints(levels: int) -> Addition:
    """Cutpoints of an ordered likelihood beyond the first, under a vague prior; order is in the likelihood."""
    size = levels - 1
    return Addition(
        names=tuple(f"cutpoint[{c + 2}]" for c in range(size)),
        prior_mean=np.zeros(size),
        prior_sd=np.full(size, 100.0),
        design=lambda study, plus, minus: np.zeros((*plus.shape, size)),
        slopes=lambda plus, minus: np.zeros((*plus.shape, size)),
    )


def _regression(choice: AnyRegression, network: Network, likelihood: LikelihoodChoice) -> Addition:
    names, to_beta, hypers, penalties = _interactions(choice, network)
    size = len(names)

    def difference(plus: Ints, minus: Ints) -> Array:
        return to_beta[plus] - to_beta[minus]

    def nothing(*args: Ints) -> Array:
        return np.zeros((*args[-1].shape, size))

    common = {
        "names": names,
        "prior_mean": np.full(size, float(choice.prior.mean)),
        "prior_sd": _prior_sd(choice.prior, size, penalties),
        "hypers": hypers,
        "penalties": penalties,
    }
    if isinstance(choice, BaselineRisk):
        centre = observed_baseline(network, likelihood) if choice.centre is None else choice.centre
        return Addition(**common, design=nothing, slopes=difference, centre=centre)
    x = covariate(choice, network)
    return Addition(
        **common, design=lambda study, plus, minus: x[study][..., None] * difference(plus, minus), slopes=nothing
    )


def _interactions(choice: AnyRegression, network: Network):
    """Names, the map from parameters to the beta of each treatment, and hierarchies."""
    T, reference = network.n_treatments, network.index(network.reference)
    others = [t for t in range(T) if t != reference]
    labels = network.treatment_names
    if choice.interactions == "common":
        to_beta = np.ones((T, 1))
        to_beta[reference] = 0.0
        return ("beta",), to_beta, (), ()
    if choice.interactions == "class":
        classes = [network.treatments[t].drug_class or labels[t] for t in range(T)]
        groups = sorted({classes[t] for t in others})
        to_beta = np.array([[float(classes[t] == g and t != reference) for g in groups] for t in range(T)])
        return tuple(f"beta[{g}]" for g in groups), to_beta, (), ()
    if choice.interactions not in ("independent", "exchangeable"):
        raise unknown_name(
            "kind of interaction", choice.interactions, ["common", "independent", "exchangeable", "class"]
        )
    names = tuple(f"beta[{labels[t]}]" for t in others)
    to_beta = np.delete(np.eye(T), reference, axis=1)
    if choice.interactions == "independent":
        return names, to_beta, (), ()
    n = len(others)
    links = np.c_[np.eye(n), -np.ones(n)]
    to_beta = np.c_[to_beta, np.zeros(T)]
    hyper: Prior = choice.sd
    return (
        (*names, "beta_mean"),
        to_beta,
        (Hyper(name="regression_sd", prior=hyper),),
        (Penalty(hyper=0, K=links.T @ links, rank=n),),
    )


def _prior_sd(prior: Normal, size: int, penalties: tuple[Penalty, ...]) -> Array:
    sd = np.full(size, float(prior.sd))
    if penalties:  # a hierarchy carries the prior of all but its mean, which comes last
        sd[:-1] = np.inf
    return sd


def covariate(choice: Regression, network: Network) -> Array:
    """The covariate of every study, centred and scaled.

    Raises
    ------
    UsageError, ModelError
        When the network has no such covariate, a study has no value, or all studies have the same.
    """
    if choice.covariate not in network.covariates:
        raise unknown_name("covariate", choice.covariate, network.covariates)
    values = network.covariates[choice.covariate]
    missing = [network.studies[i] for i in np.flatnonzero(~np.isfinite(values))]
    if missing:
        raise ModelError(
            f"covariate {choice.covariate!r} has no value in {len(missing)} of {network.n_studies} studies: "
            f"{', '.join(missing[:5])}{', …' if len(missing) > 5 else ''}. Give the values, or leave these studies out."
        )
    if np.ptp(values) == 0:
        raise ModelError(
            f"covariate {choice.covariate!r} is {values[0]:g} in every study: nothing can be learnt of how effects "
            "change with it. Leave the regression out, or choose another covariate."
        )
    centre = float(values.mean()) if choice.centre is None else choice.centre
    return (values - centre) / choice.scale


def observed_baseline(network: Network, choice: LikelihoodChoice = "usual") -> float:
    """Mean of the observed baselines of arms with the reference, on the scale of the linear predictor.

    Cells with a zero count half an event, for this centre only.
    """
    reference = network.index(network.reference)
    found = []
    for block in network.blocks:
        at = block.treatment == reference
        likelihood = chosen_likelihood(choice, block.kind, network.measure.name)
        if isinstance(block, ArmCounts | ArmFollowUp) and likelihood is not None:
            r, n = block.r[at], block.n[at]
            zero = (r == 0) | (r == n)
            value = likelihood.link.forward((r + 0.5 * zero) / (n + zero))
            found.append(value - np.log(block.E[at]) if isinstance(block, ArmFollowUp) else value)
        elif isinstance(block, ArmRates):
            found.append(np.log(np.maximum(block.r[at], 0.5) / block.E[at]))
    values = np.concatenate(found) if found else np.zeros(0)
    if not len(values):
        raise ModelError(f"no arm with the reference {network.reference!r} gives a baseline; name a centre.")
    return float(values.mean())


def _direct(choice: NodeSplit, network: Network) -> Addition:
    a, b = network.index(choice.comparator), network.index(choice.treatment)
    require_indirect(network, choice)

    def design(study: Ints, plus: Ints, minus: Ints) -> Array:
        return ((plus == b) & (minus == a)).astype(float)[..., None]

    return Addition(
        names=(f"direct[{choice.treatment} vs {choice.comparator}]",),
        prior_mean=np.array([float(choice.prior.mean)]),
        prior_sd=np.array([float(choice.prior.sd)]),
        design=design,
        slopes=lambda plus, minus: np.zeros((*plus.shape, 1)),
    )


def require_indirect(network: Network, choice: NodeSplit) -> None:
    """Raise ModelError unless other evidence than their own comparison joins the two treatments."""
    if not has_indirect(network, network.index(choice.treatment), network.index(choice.comparator)):
        raise ModelError(
            f"{choice.treatment!r} and {choice.comparator!r} are joined by their direct comparison alone: there is no "
            "indirect evidence to hold it against."
        )


def has_indirect(network: Network, b: int, a: int) -> bool:
    """Whether a and b stay connected when b's arm is taken out of the studies that hold both."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    arms = study_arms(network)
    with_a = set(arms[arms[:, 1] == a, 0].tolist())
    keep = np.array([not (t == b and s in with_a) for s, t in arms])
    arms = arms[keep]
    size = network.n_treatments + network.n_studies
    graph = coo_array((np.ones(len(arms)), (arms[:, 1], network.n_treatments + arms[:, 0])), shape=(size, size))
    labels = connected_components(graph, directed=False)[1]
    return bool(labels[a] == labels[b])


def node_splits(network: Network) -> tuple[NodeSplit, ...]:
    """Every comparison that has both direct and indirect evidence, as a value for `Model.consistency`.

    Parameters
    ----------
    network : Network

    Returns
    -------
    tuple of NodeSplit
        Comparator: the reference where it is one of the two, otherwise the earlier treatment in network order.
    """
    arms = study_arms(network)
    starts = np.flatnonzero(np.r_[True, np.diff(arms[:, 0]) != 0])
    pairs = {
        (int(x), int(y)) for rows in np.split(arms[:, 1], starts[1:]) for i, x in enumerate(rows) for y in rows[i + 1 :]
    }
    reference = network.index(network.reference)
    names = network.treatment_names
    out = []
    for x, y in sorted(pairs):
        a, b = (y, x) if y == reference else (x, y)
        if has_indirect(network, b, a):
            out.append(NodeSplit(treatment=names[b], comparator=names[a]))
    return tuple(out)


def _designs(choice: DesignByTreatment, network: Network) -> Addition:
    """One deviation per design and arm other than its first; those of one design are correlated like its contrasts."""
    arms = study_arms(network)
    starts = np.flatnonzero(np.r_[True, np.diff(arms[:, 0]) != 0])
    design_of: dict[int, tuple[int, ...]] = {}
    for rows in np.split(arms, starts[1:]):
        design_of[int(rows[0, 0])] = tuple(rows[:, 1].tolist())
    designs = sorted(set(design_of.values()))
    reference = network.index(network.reference)
    columns: dict[tuple[tuple[int, ...], int], int] = {}
    blocks: list[Array] = []
    names = []
    for design in designs:
        first = reference if reference in design else design[0]
        rest = [t for t in design if t != first]
        for t in rest:
            columns[design, t] = len(columns)
            names.append(
                f"omega[{' : '.join(network.treatment_names[x] for x in design)}; {network.treatment_names[t]}]"
            )
        blocks.append(np.linalg.inv(contrast_correlation(len(rest))))
    P = len(columns)
    K = np.zeros((P, P))
    at = 0
    for block in blocks:
        K[at : at + len(block), at : at + len(block)] = block
        at += len(block)

    def design(study: Ints, plus: Ints, minus: Ints) -> Array:
        X = np.zeros((*plus.shape, P))
        for place in np.ndindex(plus.shape):
            if plus[place] != minus[place]:
                X[(*place, columns[design_of[int(study[place])], int(plus[place])])] = 1.0
        return X

    return Addition(
        names=tuple(names),
        prior_mean=np.zeros(P),
        prior_sd=np.full(P, np.inf),
        design=design,
        slopes=lambda plus, minus: np.zeros((*plus.shape, P)),
        hypers=(Hyper(name="inconsistency_sd", prior=choice.sd),),
        penalties=(Penalty(hyper=0, K=K, rank=P),),
    )
