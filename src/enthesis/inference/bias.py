"""Cross-design synthesis by quadrature: one effect from trials, extensions, pooled analyses and cohorts.

The studies of a level give a likelihood of the level's mean: their product, each integrated over its own effect, and
over the spread within the level. That likelihood is tabulated, and the levels are then combined as single sources: by
shifting them (a bias), by letting them vary around theta (a third level), or not at all. Where one spread is common to
all levels, it is one hierarchy of biased sources.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from enthesis.errors import DataError, ModelError
from enthesis.inference.borrowing_density import Density
from enthesis.inference.borrowing_hierarchy import hierarchy, log_marginal
from enthesis.inference.quadrature import tau_posterior
from enthesis.models.designs import (
    DESIGNS,
    Bias,
    BiasAdjusted,
    DesignBelief,
    DesignedEffect,
    DesignHierarchy,
    DownWeighted,
    EstimatedBias,
    SeparateThenCompare,
)
from enthesis.models.one_parameter import Biased, Events, Likelihood, Responders, Tabulated
from enthesis.models.overlap import Overlap, keep_one
from enthesis.models.priors import Normal, Prior

Array = NDArray[np.float64]
_NAMES = {"rct": "randomised trials", "extension": "extensions", "pooled": "pooled analyses", "cohort": "cohorts"}


@dataclass(frozen=True, kw_only=True)
class DesignConflict:
    """A level against the reference: difference of their means on the scale of theta, its z, and a two-sided p-value.

    p is 2 min(P(difference > 0), P(difference < 0)) from the posteriors of the two levels, each on its own.
    """

    design: str
    versus: str
    difference: float
    z: float
    p: float
    sentence: str


@dataclass(frozen=True, kw_only=True)
class LevelEffect:
    """The effect in one level, by its own studies only."""

    design: str
    n_studies: int
    estimate: float
    lower: float
    upper: float
    density: Density


@dataclass(frozen=True, kw_only=True)
class Synthesis:
    """The effect from studies of all designs.

    Parameters
    ----------
    posterior : Density
        Of theta.
    by_design : dict of LevelEffect
        Every level on its own, in the order rct, extension, pooled, cohort.
    spread : dict of (median, lower, upper)
        Standard deviations: `tau`, or `between`, as the belief has them.
    bias : dict of Density
        Posterior of the bias of each level, for `EstimatedBias`.
    conflict : tuple of DesignConflict
        Empty when the reference level has no study.
    """

    belief: DesignBelief
    posterior: Density
    by_design: dict[str, LevelEffect]
    conflict: tuple[DesignConflict, ...]
    sentence: str
    spread: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    bias: dict[str, Density] = field(default_factory=dict)
    level: float = 0.95

    @property
    def estimate(self) -> float:
        """Posterior median of theta."""
        return self.posterior.median

    @property
    def lower(self) -> float:
        """Lower end of the interval."""
        return self.posterior.interval(self.level)[0]

    @property
    def upper(self) -> float:
        """Upper end of the interval."""
        return self.posterior.interval(self.level)[1]


def synthesise(
    rows: Sequence[DesignedEffect], belief: DesignBelief, *, overlaps: Iterable[Overlap] = (), level: float = 0.95
) -> Synthesis:
    """Combine studies of different designs about one effect.

    Parameters
    ----------
    rows : sequence of DesignedEffect
        One row per study.
    belief : BiasAdjusted, EstimatedBias, DesignHierarchy, DownWeighted or SeparateThenCompare
    overlaps : iterable of Overlap
        Sources that share patients; two of them in the rows are refused. Choose with `keep_one` beforehand.
    level : float
        Of intervals.

    Returns
    -------
    Synthesis

    Raises
    ------
    ModelError
        When sources overlap, a study is there twice, kinds of data are mixed, or the reference level has no study.

    Examples
    --------
    >>> from enthesis.models.one_parameter import EffectEstimate
    >>> rows = [DesignedEffect(study="A", design="rct", data=EffectEstimate(estimate=0.4, se=0.2)),
    ...         DesignedEffect(study="B", design="cohort", data=EffectEstimate(estimate=0.0, se=0.1))]
    >>> alone = synthesise(rows, SeparateThenCompare())
    >>> round(alone.estimate, 2), round(alone.conflict[0].difference, 2)
    (0.38, -0.38)
    """
    rows = tuple(rows)
    if not rows:
        raise DataError("there is no study to combine", fix="Give at least one.")
    twice = sorted({r.study for r in rows if sum(q.study == r.study for q in rows) > 1})
    if twice:
        raise ModelError(f"{', '.join(twice[:5])}: a study is there twice, and its patients would count twice.")
    rows = keep_one(rows, overlaps, rule="refuse").rows
    kinds = {
        "rate" if isinstance(r.data, Events) else "risk" if isinstance(r.data, Responders) else "effect" for r in rows
    }
    if len(kinds) > 1:
        raise ModelError("rows of rates, risks and relative effects are not combined; choose one kind.")
    # a log rate per patient-year: 1 per 100 patient-years, give or take a factor of 400
    usual = Normal(float(np.log(0.01)), 3.0) if kinds == {"rate"} else Normal(0.0, 2.0)
    mu = belief.mu or usual
    spread_prior = belief.within if isinstance(belief, EstimatedBias | DesignHierarchy) else belief.tau
    designs = [d for d in DESIGNS if any(r.design == d for r in rows)]
    by_design = {d: _alone(d, [r.data for r in rows if r.design == d], mu, spread_prior, level) for d in designs}
    reference = getattr(belief, "reference", "rct")
    if isinstance(belief, EstimatedBias | SeparateThenCompare) and reference not in by_design:
        raise ModelError(
            f"there is no study of the design {reference!r}, against which the others are measured. Name another "
            f"reference: {', '.join(designs)}."
        )
    conflict = _conflicts(by_design, reference)
    spread: dict[str, tuple[float, float, float]] = {}
    bias: dict[str, Density] = {}
    if isinstance(belief, SeparateThenCompare):
        posterior = by_design[reference].density
    elif isinstance(belief, BiasAdjusted | DownWeighted):
        sources = [_source(r, belief) for r in rows]
        found = hierarchy([s for s in sources if s.power > 0], mu=mu, tau=belief.tau)
        posterior, spread = found.mu, {"tau": found.tau}
    else:
        stated = belief.bias if isinstance(belief, DesignHierarchy) else {}
        levels = {
            d: _level([r for r in rows if r.design == d], belief.within, stated.get(d, Bias()), mu) for d in designs
        }
        if isinstance(belief, DesignHierarchy):
            top = hierarchy(list(levels.values()), mu=mu, tau=belief.between)
            posterior, spread = top.mu, {"between": top.tau}
        else:
            posterior, bias = _with_estimated_bias(levels, belief, mu)
    return Synthesis(
        belief=belief, posterior=posterior, by_design=by_design, conflict=conflict, spread=spread, bias=bias,
        level=level, sentence=_sentence(belief, by_design, conflict, reference),
    )  # fmt: skip


def _source(row: DesignedEffect, belief: BiasAdjusted | DownWeighted) -> Biased:
    if isinstance(belief, DownWeighted):
        return Biased(row=row.data, power=float(belief.weights.get(row.design, 1.0)))
    bias = belief.bias.get(row.design, Bias())
    return Biased(row=row.data, mean=bias.mean, sd=bias.sd)


def _alone(design: str, data: Sequence[Likelihood], mu: Normal, tau: Prior | float, level: float) -> LevelEffect:
    density = hierarchy(data, mu=mu, tau=tau).mu
    lower, upper = density.interval(level)
    return LevelEffect(
        design=design, n_studies=len(data), estimate=density.median, lower=lower, upper=upper, density=density
    )


def _level(rows: Sequence[DesignedEffect], within: Prior | float, bias: Bias, mu: Normal) -> Tabulated:
    """Likelihood of the mean of a level, its spread integrated out, as a table."""
    sources = [Biased(row=r.data, mean=bias.mean, sd=bias.sd) for r in rows]
    # a very wide prior only places the grid; it is divided out again
    wide = Normal(mu.mean, 30.0 * mu.sd)
    found = hierarchy(sources, mu=wide, tau=within)
    centre, width = found.mu.mean, min(found.mu.sd, 4 * mu.sd)
    low = min(centre - 8 * width, mu.mean - 12 * mu.sd)
    high = max(centre + 8 * width, mu.mean + 12 * mu.sd)
    # close together around the centre, and further apart outwards
    reach = np.arcsinh(np.array([low - centre, high - centre]) / width)
    x = centre + width * np.sinh(np.linspace(*reach, 241))
    if isinstance(within, int | float):
        values = sum(log_marginal(s, x, float(within)) for s in sources)
    else:
        nodes, log_w = _rule(within, float(np.median([s.place[1] for s in sources])))
        terms = np.array([sum(log_marginal(s, x, t) for s in sources) + w for t, w in zip(nodes, log_w, strict=True)])
        top = terms.max(axis=0)
        values = top + np.log(np.exp(terms - top).sum(axis=0))
    return Tabulated(x=x, log_values=np.asarray(values), place=(centre, width))


def _rule(prior: Prior, scale: float) -> tuple[Array, Array]:
    """Nodes over the prior of a standard deviation, and logs of their probabilities."""
    found = tau_posterior(prior.log_density, prior, scale=scale, panels=14, order=6)
    keep = found.mass > 1e-14
    return found.nodes[keep], np.log(found.mass[keep])


def _with_estimated_bias(
    levels: dict[str, Tabulated], belief: EstimatedBias, mu: Normal
) -> tuple[Density, dict[str, Density]]:
    b = belief.mean
    others = [d for d in levels if d != belief.reference]

    def factor(design: str, x: Array) -> Array:
        if design == belief.reference:
            return levels[design].log_likelihood(x)
        return log_marginal(levels[design], x + b.mean, b.sd)

    def log_density(x: Array, without: str = "") -> Array:
        return mu.log_density(x) + sum((factor(d, x) for d in levels if d != without), np.zeros_like(x))

    scales = [(levels[belief.reference].place), (mu.mean, mu.sd)]
    scales += [(levels[d].place[0] - b.mean, float(np.hypot(levels[d].place[1], b.sd))) for d in others]
    posterior = Density.of(log_density, scales)
    found = {}
    for d in others:
        rest = Density.of(lambda x, d=d: log_density(x, d), scales)

        def log_bias(at: Array, d: str = d, rest: Density = rest) -> Array:
            values = levels[d].log_likelihood(rest.x[None, :] + at[:, None])
            top = values.max()
            with np.errstate(divide="ignore"):
                return b.log_density(at) + top + np.log(np.exp(values - top) @ rest.mass)

        place = levels[d].place
        found[d] = Density.of(log_bias, [(b.mean, b.sd), (place[0] - rest.mean, float(np.hypot(place[1], rest.sd)))])
    return posterior, found


def _conflicts(by_design: dict[str, LevelEffect], reference: str) -> tuple[DesignConflict, ...]:
    if reference not in by_design:
        return ()
    against = by_design[reference].density
    found = []
    for design, one in by_design.items():
        if design == reference:
            continue
        difference = one.density.mean - against.mean
        above = float(one.density.mass @ against.cdf(one.density.x))
        p = 2 * min(above, 1 - above)
        how = "disagree" if p < 0.05 else "may disagree" if p < 0.2 else "do not disagree beyond chance"
        found.append(
            DesignConflict(
                design=design, versus=reference, difference=difference, p=p,
                z=difference / float(np.hypot(one.density.sd, against.sd)),
                sentence=f"{_NAMES[design].capitalize()} and {_NAMES[reference]} {how} (p = {p:.2g}).",
            )
        )  # fmt: skip
    return tuple(found)


def _sentence(
    belief: DesignBelief, by_design: dict[str, LevelEffect], conflict: tuple[DesignConflict, ...], reference: str
) -> str:
    counts = ", ".join(f"{e.n_studies} {_NAMES[d]}" for d, e in by_design.items())
    how = {
        BiasAdjusted: "each study is corrected for the stated bias of its design",
        EstimatedBias: f"the bias of every design against {_NAMES.get(reference, reference)} is estimated",
        DesignHierarchy: "designs are exchangeable around the effect",
        DownWeighted: "designs count with their stated weights",
        SeparateThenCompare: f"only {_NAMES.get(reference, reference)} are used; the others are compared with them",
    }[type(belief)]
    at_odds = [c.sentence for c in conflict if c.p < 0.05]
    return " ".join([f"Sources: {counts}; {how}.", *at_odds])


__all__ = ["DesignConflict", "LevelEffect", "Synthesis", "synthesise"]
