"""Prior-data conflict: do the own data look like what the borrowed part expects?

Box's prior predictive p-value is the probability, under the borrowed part of the prior, of own data as improbable as
those seen or more (Box GEP, J R Stat Soc A 1980;143:383). Small values say that own and borrowed data disagree. With
few own events it cannot be small, and the sentence says so.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from enthesis.inference.borrowing_density import Density
from enthesis.models.one_parameter import EffectEstimate, EventCounts, Likelihood

Array = NDArray[np.float64]
#: own events beyond this are treated as an estimate with a standard error in the p-value
_MANY = 600


@dataclass(frozen=True, kw_only=True)
class Conflict:
    """How own and borrowed data go together.

    Parameters
    ----------
    p_value : float or None
        Box's; None when there is nothing to compare.
    difference : float
        Own mean (with the vague prior) minus mean of the borrowed part, on the scale of theta.
    z : float
        The difference over its standard deviation.
    sentence : str
    """

    p_value: float | None
    difference: float
    z: float
    sentence: str


def box_p_value(prior: Density, own: Sequence[Likelihood]) -> float | None:
    """Box's prior predictive p-value of own data that share one theta.

    Counts on two sides are compared through the number of events of the treatment, given the total of each study: its
    predictive distribution is exact. Estimates are pooled by their precision. None when there is no own information.
    """
    own = tuple(own)
    if not own:
        return None
    if all(isinstance(r, EventCounts) for r in own) and sum(r.total for r in own) <= _MANY:
        return _p_of_counts(prior, own)
    usable = [r for r in own if not (isinstance(r, EventCounts) and r.total == 0)]
    if not usable:
        return None
    precision = sum(r.place[1] ** -2 for r in usable)
    pooled = EffectEstimate(estimate=sum(r.place[0] / r.place[1] ** 2 for r in usable) / precision, se=precision**-0.5)
    return _p_of_estimate(prior, pooled)


def _p_of_counts(prior: Density, own: Sequence[EventCounts]) -> float | None:
    total = int(sum(r.total for r in own))
    if total == 0:
        return None
    frequency = np.exp(-2j * np.pi * np.arange(total + 1) / (total + 1))
    spectrum = np.ones((len(prior.x), total + 1), dtype=complex)
    for row in own:
        p = expit(prior.x + row.offset)[:, None]
        spectrum *= (1 - p + p * frequency) ** row.total
    predictive = np.maximum(np.fft.ifft(prior.mass @ spectrum).real, 0.0)
    seen = predictive[int(sum(r.events for r in own))]
    return float(min(1.0, predictive[predictive <= seen * (1 + 1e-7) + 1e-15].sum()))


def _p_of_estimate(prior: Density, own: EffectEstimate) -> float:
    def log_predictive(at: Array) -> Array:
        kernel = -0.5 * ((at[:, None] - prior.x) / own.se) ** 2
        top = kernel.max(axis=1)
        return top + np.log(np.exp(kernel - top[:, None]) @ prior.mass + 1e-300)

    low, middle, high = prior.quantile(np.array([0.4, 0.5, 0.6]))
    widths = [(prior.mean, prior.sd), (float(middle), float(high - low) / 0.507)]
    predictive = Density.of(log_predictive, [(place, float(np.hypot(width, own.se))) for place, width in widths])
    edges = predictive.panels.edges
    y = np.unique(np.concatenate([np.linspace(a, b, 17) for a, b in itertools.pairwise(edges)]))
    above = log_predictive(y) - float(log_predictive(np.array([own.estimate]))[0])
    # values more probable than the one seen lie between the places where the density crosses it
    crossings = np.flatnonzero((above[:-1] > 0) != (above[1:] > 0))
    at = y[crossings] - above[crossings] * (y[crossings + 1] - y[crossings]) / (above[crossings + 1] - above[crossings])
    ends = np.r_[y[0], at, y[-1]]
    share = np.diff(predictive.cdf(ends))
    more_probable = np.arange(len(share)) % 2 == (0 if above[0] > 0 else 1)
    return float(np.clip(1 - share[more_probable].sum(), 0.0, 1.0))


def conflict_sentence(
    p_value: float | None, difference: float, events: float | None, has_own: bool, has_external: bool
) -> str:
    """The sentence for the reader."""
    if not has_external:
        return "Nothing is borrowed, so there is nothing to disagree with."
    if not has_own:
        return "No own data compare the two, so a conflict with what is borrowed cannot be seen."
    if p_value is None:
        return "The own data have no event on either side, so a conflict with what is borrowed cannot be seen."
    direction = "higher" if difference > 0 else "lower"
    if p_value < 0.05:
        return (
            f"Own and borrowed data disagree (p = {p_value:.3f}): the own ratio is {direction} than what is borrowed."
        )
    few = (
        f" With {events:g} own event{'s' if events != 1 else ''} only a very large one could be seen."
        if events is not None and events < 10
        else ""
    )
    if p_value < 0.2:
        return f"Own and borrowed data may disagree (p = {p_value:.2f}); the own ratio is {direction}.{few}"
    return f"No conflict between own and borrowed data is seen (p = {p_value:.2f}).{few}"
