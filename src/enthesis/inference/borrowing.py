"""Borrowing at work: from own data, external data and a belief to the effect and to how much of it is borrowed.

Everything is about one number theta, so everything is a density on a line: the external data become a density through
the belief (`informative`), the own likelihood is exact, and a posterior is their product. The part that depends on the
external data is computed once; every weight after that costs a multiplication, which is what a slider needs.

p(theta | own) ∝ [w × informative(theta) + (1 - w) × vague(theta)] × L(theta; own)

for `RobustMap`, `Exnex` and `Commensurate`; for `Power` the bracket is vague(theta) × L(theta; external)^w. The
posterior weight of the borrowed part is w m₁ / (w m₁ + (1 - w) m₀), with m₁ and m₀ the probabilities that the two
parts give to the own data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from enthesis.errors import ModelError, UsageError
from enthesis.inference.borrowing_conflict import Conflict, box_p_value, conflict_sentence
from enthesis.inference.borrowing_density import Density, Panels, panel_edges
from enthesis.inference.borrowing_hierarchy import blurred_by, hierarchy
from enthesis.models.borrowing import (
    UNIT_SD,
    Belief,
    Commensurate,
    Conclusion,
    Exnex,
    Hierarchical,
    NoBorrowing,
    NormalisedPower,
    Pooling,
    Power,
    RelativeEffect,
    RobustMap,
    as_likelihoods,
)
from enthesis.models.one_parameter import Likelihood

Array = NDArray[np.float64]
LogDensity = Callable[[Array], Array]
Rows = Sequence[RelativeEffect | Likelihood]


def _sum_log_likelihood(rows: Sequence[Likelihood], x: Array, powers: Sequence[float] | None = None) -> Array:
    powers = [1.0] * len(rows) if powers is None else powers
    return sum((p * r.log_likelihood(x) for r, p in zip(rows, powers, strict=True)), np.zeros_like(x))


@dataclass(frozen=True)
class _Informative:
    """What the external data say about theta under a belief: log density up to a constant, places and widths."""

    log_density: LogDensity
    scales: list[tuple[float, float]]
    external: Any = None


def _informative(external: tuple[Likelihood, ...], belief: Belief) -> _Informative:
    vague = belief.vague
    around = [(vague.mean, vague.sd)]
    if isinstance(belief, NoBorrowing) or not external:
        return _Informative(vague.log_density, around)
    if isinstance(belief, RobustMap | Hierarchical):
        found = hierarchy(external, mu=vague, tau=belief.tau)
        return _Informative(found.log_predictive, found.scales, found)
    if isinstance(belief, Exnex):
        found = hierarchy(external, mu=vague, tau=belief.tau, exchangeable=belief.external, apart=belief.apart or vague)
        return _Informative(found.log_predictive, found.scales, found)
    places = [r.place for r in external]
    pooled = _together(places)
    if isinstance(belief, Commensurate):
        one = Density.of(lambda x: vague.log_density(x) + _sum_log_likelihood(external, x), [pooled, *places])
        log_density, scales = blurred_by(one, belief.sd)
        return _Informative(log_density, scales, one)
    if isinstance(belief, NormalisedPower):
        return _normalised_power(external, belief, [pooled, *around, *places])
    return _Informative(
        lambda x: vague.log_density(x) + _sum_log_likelihood(external, x), [pooled, *places, *around], None
    )


def _together(places: Sequence[tuple[float, float]]) -> tuple[float, float]:
    precision = sum(s**-2 for _, s in places)
    return sum(c / s**2 for c, s in places) / precision, precision**-0.5


def _normalised_power(
    external: tuple[Likelihood, ...], belief: NormalisedPower, scales: list[tuple[float, float]]
) -> _Informative:
    """Mixture over the power a of vague L^a / C(a), by Gauss-Legendre quadrature between the quantiles of its prior."""
    z, w = np.polynomial.legendre.leggauss(48)
    powers, shares = betaincinv(belief.shape_1, belief.shape_2, 0.5 * (z + 1)), w / w.sum()
    panels = Panels(panel_edges([*scales, *[(c, s / np.sqrt(a)) for c, s in scales[:1] for a in (0.01, 0.1, 0.4)]]))
    likelihood = _sum_log_likelihood(external, panels.nodes)
    prior = belief.vague.log_density(panels.nodes)
    constants = np.array([Density(panels, prior + a * likelihood).log_total for a in powers])

    def terms(x: Array) -> Array:
        return (
            np.log(shares)[:, None] + belief.vague.log_density(x) - constants[:, None]
            + powers[:, None] * _sum_log_likelihood(external, x)
        )  # fmt: skip

    def log_density(x: Array) -> Array:
        each = terms(x)
        top = each.max(axis=0)
        return top + np.log(np.exp(each - top).sum(axis=0))

    return _Informative(log_density, scales, (powers, terms))


@dataclass(frozen=True, kw_only=True)
class Borrowed:
    """The effect with what is borrowed.

    Parameters
    ----------
    belief : Belief
    posterior, own, prior : Density
        Of theta: with own and borrowed data, with own data and the vague prior only, and before the own data.
    informative : Density
        The borrowed part of the prior alone.
    posterior_weight : float or None
        Posterior weight of the borrowed part; for `NormalisedPower` the posterior mean of the power; None for methods
        without.
    conflict : Conflict
    level : float
        Of intervals.
    """

    belief: Belief
    posterior: Density
    own: Density
    prior: Density
    informative: Density
    posterior_weight: float | None
    conflict: Conflict
    level: float = 0.95
    unit_sd: float = UNIT_SD

    @cached_property
    def _three(self) -> tuple[float, float, float]:
        at = np.array([0.5, 0.5 - self.level / 2, 0.5 + self.level / 2])
        return tuple(float(v) for v in self.posterior.quantile(at))  # type: ignore[return-value]

    @property
    def estimate(self) -> float:
        """Posterior median of theta."""
        return self._three[0]

    @property
    def lower(self) -> float:
        """Lower end of the interval of theta."""
        return self._three[1]

    @property
    def upper(self) -> float:
        """Upper end of the interval of theta."""
        return self._three[2]

    @property
    def rate_ratio(self) -> tuple[float, float, float]:
        """Estimate and interval as a ratio."""
        return tuple(float(np.exp(v)) for v in (self.estimate, self.lower, self.upper))  # type: ignore[return-value]

    @cached_property
    def ess_prior(self) -> float:
        """What the prior is worth, in events at equal exposure: ELIR with one observation of variance `unit_sd`²."""
        return self.unit_sd**2 * self.prior.information()

    @cached_property
    def ess_borrowed(self) -> float:
        """Events gained by borrowing: unit_sd² (1 / var(posterior) - 1 / var(own)).

        The effective historical sample size of Hobbs BP, Carlin BP, Sargent DJ, Clin Trials 2013;10:430. Negative when
        own and borrowed data are at odds so much that the posterior is wider than without.
        """
        return self.unit_sd**2 * (self.posterior.sd**-2 - self.own.sd**-2)

    def probability_above(self, threshold: float) -> float:
        """P(theta > threshold)."""
        return self.posterior.probability_above(threshold)

    def draws(self, n: int = 4000, *, seed: int | None = 1) -> Array:
        """Equally weighted values of theta."""
        return self.posterior.draws(n, seed=seed)


@dataclass(frozen=True, kw_only=True)
class Setup:
    """Own and external data and a belief, with all that does not depend on the weight computed once.

    Parameters
    ----------
    own, external : tuple of likelihoods
    belief : Belief
    """

    own: tuple[Likelihood, ...]
    external: tuple[Likelihood, ...]
    belief: Belief
    level: float = 0.95
    _memory: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def _parts(self) -> tuple[Panels, Array, Array, Array, _Informative]:
        """Panels, and log density of the borrowed part and of the vague part and own log likelihood at their nodes."""
        found = _informative(self.external, self.belief)
        vague = self.belief.apart if isinstance(self.belief, Exnex) and self.belief.apart else self.belief.vague
        own_places = [r.place for r in self.own]
        scales = [*found.scales, (vague.mean, vague.sd), *own_places]
        if own_places:
            scales.append(_together(own_places))
            scales.extend(_together([_together(own_places), s]) for s in found.scales[:3])
        if isinstance(self.belief, Power):
            scales.extend((found.scales[0][0], found.scales[0][1] / np.sqrt(a)) for a in (0.003, 0.03, 0.3))
        # the product of narrow parts can be narrower than all of them; beyond the vague prior nothing has mass
        reach = (
            min(c - 9 * s for c, s in [(vague.mean, vague.sd), *found.scales]),
            max(c + 9 * s for c, s in [(vague.mean, vague.sd), *found.scales]),
        )
        panels = Panels(panel_edges(scales, reach))
        x = panels.nodes
        informative = found.log_density(x)
        normaliser = Density(panels, informative).log_total
        return (
            panels, informative - normaliser, vague.log_density(x), _sum_log_likelihood(self.own, x), found,
        )  # fmt: skip

    def _density(self, values: Array) -> Density:
        """The density with these log values, on the panels that matter to it."""
        panels = self._parts[0]
        size = len(values) // (len(panels.edges) - 1)
        highest = values.reshape(-1, size).max(axis=1)
        kept = np.flatnonzero(highest > highest.max() - 36.0)
        first, last = kept[0], kept[-1] + 1
        return Density(Panels(panels.edges[first : last + 1]), values[first * size : last * size])

    def _log_prior(self, belief: Belief) -> Array:
        panels, informative, vague, _, _ = self._parts
        if isinstance(belief, Power) and self.external:
            by_source = belief.by_source or (1.0,) * len(self.external)
            if len(by_source) != len(self.external):
                raise UsageError(f"{len(by_source)} weights of sources for {len(self.external)} sources.")
            powers = [belief.weight * w for w in by_source]
            values = vague + _sum_log_likelihood(self.external, panels.nodes, powers)
            return values - Density(panels, values).log_total
        if isinstance(belief, NoBorrowing) or not self.external:
            return vague
        weight = belief.weight if isinstance(belief, RobustMap | Exnex | Commensurate) else 1.0
        with np.errstate(divide="ignore"):
            return np.logaddexp(np.log(weight) + informative, np.log1p(-weight) + vague)

    @property
    def hierarchy(self) -> Any:
        """The hierarchical model of the external sources, for `RobustMap` and `Exnex`; None without external data."""
        return self._parts[4].external

    def at(self, weight: float | None = None) -> Borrowed:
        """The result at a weight; at the belief's own one when it is not given."""
        belief = self.belief if weight is None else self.belief.at(weight)
        own, found = self._parts[3:]
        prior = self._log_prior(belief)
        return Borrowed(
            belief=belief, posterior=self._density(prior + own), own=self._own, prior=self._density(prior),
            informative=self._borrowed_part, posterior_weight=self._posterior_weight(belief, found),
            conflict=self._conflict(), level=self.level,
        )  # fmt: skip

    @cached_property
    def _own(self) -> Density:
        _, _, vague, own, _ = self._parts
        return self._density(vague + own)

    @cached_property
    def _borrowed_part(self) -> Density:
        return self._density(self._parts[1])

    @cached_property
    def _log_probabilities(self) -> tuple[float, float]:
        """Log probability of the own data under the borrowed part and under the vague one."""
        panels, informative, vague, own, _ = self._parts
        return Density(panels, informative + own).log_total, Density(panels, vague + own).log_total

    def _posterior_weight(self, belief: Belief, found: _Informative) -> float | None:
        if not self.external:
            return None
        if isinstance(belief, NormalisedPower):
            powers, terms = found.external
            posterior = self.at_density(belief)
            each = terms(posterior.x)
            share = np.exp(each - each.max(axis=0))
            return posterior.expect(powers @ share / share.sum(axis=0))
        if not isinstance(belief, RobustMap | Exnex | Commensurate):
            return None
        borrowed, alone = self._log_probabilities
        w = belief.weight
        if w in (0.0, 1.0):
            return float(w)
        return float(1 / (1 + (1 - w) / w * np.exp(np.clip(alone - borrowed, -700, 700))))

    def at_density(self, belief: Belief) -> Density:
        """The posterior alone."""
        return self._density(self._log_prior(belief) + self._parts[3])

    def _conflict(self) -> Conflict:
        if "p" not in self._memory:
            part = self._borrowed_part
            self._memory["p"] = box_p_value(part, self.own) if self.external else None
        p_value = self._memory["p"]
        gap = self._own.mean - self._borrowed_part.mean
        z = gap / float(np.hypot(self._own.sd, self._borrowed_part.sd))
        events = sum(r.total for r in self.own if hasattr(r, "total")) if self.own else 0.0
        counted = bool(self.own) and all(hasattr(r, "total") for r in self.own)
        return Conflict(
            p_value=p_value, difference=gap, z=z,
            sentence=conflict_sentence(p_value, gap, events if counted else None, bool(self.own), bool(self.external)),
        )  # fmt: skip


def setup(own: Rows, external: Rows, belief: Belief, *, level: float = 0.95) -> Setup:
    """Own and external data with a belief, ready for any weight (`Setup.at`).

    Parameters
    ----------
    own, external : sequences of RelativeEffect or of likelihoods
        Rows of own data share one effect.
    belief : Belief
    level : float
        Of intervals.
    """
    if not 0 < level < 1:
        raise UsageError(f"the level of an interval must lie between 0 and 1, not {level}.")
    rows = as_likelihoods(own), as_likelihoods(external)
    effects = [r for r in (*own, *external) if isinstance(r, RelativeEffect)]
    indications = {r.indication for r in own if isinstance(r, RelativeEffect)}
    if len(indications) > 1:
        raise ModelError(f"own data are of one indication, not of {', '.join(sorted(indications))}.")
    comparisons = {(r.treatment, r.comparator, r.outcome) for r in effects}
    if len(comparisons) > 1:
        listed = "; ".join(f"{t} against {c}, {o}" for t, c, o in sorted(comparisons)[:4])
        raise ModelError(f"own and external rows must be about one comparison and outcome, not {listed}.")
    return Setup(own=rows[0], external=rows[1], belief=belief, level=level)


def borrow(own: Rows, external: Rows, belief: Belief, *, level: float = 0.95) -> Borrowed:
    """The effect in the own indication with what is borrowed from elsewhere.

    Parameters
    ----------
    own, external : sequences of RelativeEffect or of likelihoods of one parameter
        Own rows share one effect; none is allowed, and then the result is the prior.
    belief : Belief
        How far the external rows are believed.
    level : float
        Of intervals.

    Returns
    -------
    Borrowed

    Raises
    ------
    ModelError
        When rows are absolute rates, or about different comparisons, or name a study twice.

    Examples
    --------
    >>> from enthesis.models.one_parameter import EffectEstimate, EventCounts
    >>> own = [EventCounts(events=3, exposure=600, comparator_events=1, comparator_exposure=450)]
    >>> external = [EffectEstimate.from_interval(1.33, 0.91, 1.94), EffectEstimate.from_interval(1.01, 0.83, 1.23)]
    >>> found = borrow(own, external, RobustMap(weight=0.5))
    >>> [round(v, 2) for v in found.rate_ratio]
    [1.25, 0.44, 11.01]
    """
    return setup(own, external, belief, level=level).at()


@dataclass(frozen=True, kw_only=True)
class BorrowingTable:
    """The result over a grid of weights.

    Parameters
    ----------
    setup : Setup
    weights : tuple of float
    results : tuple of Borrowed
    thresholds : tuple of float
        On the scale of theta.
    """

    setup: Setup
    weights: tuple[float, ...]
    results: tuple[Borrowed, ...]
    thresholds: tuple[float, ...]

    def at(self, weight: float) -> Borrowed:
        """The result at any weight."""
        return self.setup.at(weight)

    def rows(self) -> list[dict[str, Any]]:
        """One row per weight: weight, estimate, lower, upper (scale of theta), probability_above {threshold: p},
        ess_prior, ess_borrowed, posterior_weight, conflict_p.
        """
        return [
            {
                "weight": weight, "estimate": r.estimate, "lower": r.lower, "upper": r.upper,
                "probability_above": {t: r.probability_above(t) for t in self.thresholds},
                "ess_prior": r.ess_prior, "ess_borrowed": r.ess_borrowed, "posterior_weight": r.posterior_weight,
                "conflict_p": r.conflict.p_value,
            }
            for weight, r in zip(self.weights, self.results, strict=True)
        ]  # fmt: skip


def borrowing_table(
    own: Rows, external: Rows, belief: Belief, *, weights: Sequence[float] | None = None,
    thresholds: Sequence[float] = (0.0,), level: float = 0.95,
) -> BorrowingTable:  # fmt: skip
    """The result as a function of the borrowing weight, in one call.

    Parameters
    ----------
    own, external, belief, level
        As for `borrow`; the belief must have a weight (`RobustMap`, `Power`, `Exnex`, `Commensurate`).
    weights : sequence of float, optional
        0, 0.05, ... 1 when not given.
    thresholds : sequence of float
        Probabilities are given of theta above each.

    Returns
    -------
    BorrowingTable

    Examples
    --------
    >>> from enthesis.models.one_parameter import EffectEstimate
    >>> own, external = [EffectEstimate(estimate=0.0, se=0.5)], [EffectEstimate(estimate=0.8, se=0.2)]
    >>> table = borrowing_table(own, external, Power(), weights=(0, 0.5, 1))
    >>> [round(row["upper"], 2) for row in table.rows()]
    [0.95, 1.08, 1.05]
    """
    weights = tuple(float(w) for w in (np.linspace(0, 1, 21).round(2) if weights is None else weights))
    ready = setup(own, external, belief, level=level)
    return BorrowingTable(
        setup=ready,
        weights=weights,
        results=tuple(ready.at(w) for w in weights),
        thresholds=tuple(float(t) for t in thresholds),
    )


def holds(result: Borrowed, conclusion: Conclusion) -> bool:
    """Whether a conclusion holds."""
    return _margin(result, conclusion) >= 0


def _margin(result: Borrowed, conclusion: Conclusion) -> float:
    above = result.probability_above(conclusion.threshold)
    return (above if conclusion.side == "above" else 1 - above) - conclusion.probability


def tipping_points(table: BorrowingTable, conclusion: Conclusion) -> tuple[float, ...]:
    """The weights at which a conclusion changes, in increasing order; none when it never does.

    Between neighbouring weights of the table with a change the point is found by bisection to 1e-4.

    Examples
    --------
    >>> from enthesis.models.one_parameter import EffectEstimate
    >>> own, external = [EffectEstimate(estimate=0.0, se=0.5)], [EffectEstimate(estimate=0.8, se=0.2)]
    >>> table = borrowing_table(own, external, Power())
    >>> [round(w, 2) for w in tipping_points(table, Conclusion(threshold=0.0, probability=0.975))]
    [0.36]
    """
    margins = [_margin(r, conclusion) for r in table.results]
    found = []
    for (low, a), (high, b) in zip(
        list(zip(table.weights, margins, strict=True))[:-1],
        list(zip(table.weights, margins, strict=True))[1:],
        strict=True,
    ):
        if (a >= 0) == (b >= 0):
            continue
        start = a >= 0
        while high - low > 1e-4:
            middle = 0.5 * (low + high)
            if (_margin(table.at(middle), conclusion) >= 0) == start:
                low = middle
            else:
                high = middle
        found.append(0.5 * (low + high))
    return tuple(found)


__all__ = [
    "Borrowed", "BorrowingTable", "Pooling", "Setup", "borrow", "borrowing_table", "holds", "setup", "tipping_points",
]  # fmt: skip
