"""Thresholds with tau estimated again: the data of a generalised-least-squares fit are moved and the fit is repeated.

The linear answer is exact while tau stays as it is. With random effects a contrast that moves away from the others also
makes them look more different, so tau grows and the contrast loses weight. Starting from zero, steps are taken outward
until the decision changes, and the point of change is found by bisection.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from enthesis.assess.aggregate import contrast_fit
from enthesis.assess.decision import Rule
from enthesis.assess.threshold import Influence, Threshold, threshold
from enthesis.inference import gls
from enthesis.inference.tau import tau2_estimate
from enthesis.models.target import ContrastTarget

if TYPE_CHECKING:
    from enthesis.inference.fit import Fit

Array = NDArray[np.float64]
#: steps outward grow by this factor; a decision that changes and changes back within one step is not seen
GROWTH = 1.3
#: the search goes from this fraction of the linear threshold ...
NEAREST = 1 / 16
#: ... to this multiple of it, and to this many standard errors where the linear answer is never
FARTHEST, FARTHEST_SE = 64.0, 400.0
#: relative width at which bisection stops
TOLERANCE = 1e-6


def refitted(fit: Fit, influence: Influence, rule: Rule) -> Callable[[Array], Threshold]:
    """A function from a combination of data points to its thresholds.

    Parameters
    ----------
    fit : Fit
        By `gls`.
    influence : Influence
        Of its data points, at the level of studies.
    rule : Rule

    Returns
    -------
    callable
        (weights, shape (points,)) → Threshold.
    """
    at = contrast_fit(fit)
    method = fit.settings.get("tau")
    reference = at.target.reference
    base = influence.sign * influence.effects
    decided = rule.chosen(base[None, :], base)[0]
    turned = np.where(_first_arm_faces(at.target, influence), 1.0, -1.0)

    def effects(u: float, weights: Array) -> Array:
        target = moved(at.target, u * turned * weights)
        tau2 = tau2_estimate(target, method) if method else 0.0
        d = gls.solve(target, tau2).d
        return influence.sign * (d - d[reference])

    def same(u: float, weights: Array) -> bool:
        return bool((rule.chosen(effects(u, weights)[None, :], base)[0] == decided).all())

    def outward(side: float, guess: float, weights: Array) -> tuple[float, tuple[int, ...]]:
        size = float(influence.se[weights != 0].max(initial=1.0))
        far = FARTHEST * guess if np.isfinite(guess) else FARTHEST_SE * size
        inner, outer = 0.0, max(NEAREST * guess if np.isfinite(guess) else size, 1e-9)
        while same(side * outer, weights):
            inner, outer = outer, outer * GROWTH
            if outer > far:
                return np.inf, ()
        while outer - inner > TOLERANCE * outer:
            middle = 0.5 * (inner + outer)
            inner, outer = (middle, outer) if same(side * middle, weights) else (inner, middle)
        chosen = rule.chosen(effects(side * outer, weights)[None, :], base)[0]
        return outer, tuple(int(t) for t in np.flatnonzero(chosen))

    def solve(weights: Array) -> Threshold:
        linear = threshold(base, influence.sign * (influence.H @ weights), rule)
        high, above = outward(1.0, linear.high, weights)
        low, below = outward(-1.0, -linear.low, weights)
        return Threshold(low=-low, high=high, below=below, above=above)

    return solve


def moved(target: ContrastTarget, by: Array) -> ContrastTarget:
    """The same target with contrasts moved.

    Parameters
    ----------
    target : ContrastTarget
    by : float array, shape (independent contrasts,)
        For each study, group by group, what is added to its arms after the first, against the first.

    Returns
    -------
    ContrastTarget
    """
    groups, first = [], 0
    for g in target.groups:
        size = len(g.study) * (g.k - 1)
        shift = np.zeros((len(g.study), g.k))
        shift[:, 1:] = by[first : first + size].reshape(len(g.study), g.k - 1)
        groups.append(replace(g, y=g.y + shift[:, :, None] - shift[:, None, :]))
        first += size
    return replace(target, groups=tuple(groups))


def _first_arm_faces(target: ContrastTarget, influence: Influence) -> NDArray[np.bool_]:
    """Whether each data point is its arm against the study's first arm, and not turned round."""
    first = np.concatenate([np.repeat(g.arms[:, 0], g.k - 1) for g in target.groups])
    return influence.minus == first
