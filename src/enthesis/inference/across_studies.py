"""A rate ratio between single-arm studies: what counts of different studies say when their baselines are exchangeable.

Events of study i are Poisson(E_i exp(m + u_i + theta x_i)), with x_i = 1 under the treatment and 0 under the
comparator, and u_i ~ Normal(0, s²) what makes studies differ beside the treatment. m has a flat prior, s a stated one;
both are integrated out, so what is left is the likelihood of theta alone:

    L(theta) = ∫ p(s) ∫ Π_comparator g_j(m; s) Π_treated g_i(m + theta; s) dm ds,
    g_i(x; s) = ∫ Poisson(r_i; E_i exp(x + u)) Normal(u; 0, s²) du.

With s = 0 it is the binomial of the events given their total (the comparator's rate applies as it is: an external
baseline); with s > 0 a few studies on either side can say no more than the spread between studies allows. (NICE DSU TSD
5; Thom H et al., Res Synth Methods 2015;6:123, reference prediction and random baselines for disconnected evidence.)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.signal import fftconvolve
from scipy.special import gammaln

from enthesis.errors import DataError
from enthesis.models.priors import HalfNormal, Prior

Array = NDArray[np.float64]
Counts = tuple[tuple[float, float], ...]

#: log rate ratios beyond this are not told apart by any data there are
WIDEST = 9.0
_SHARES = 12


@dataclass(frozen=True, kw_only=True)
class AcrossStudies:
    """The likelihood of a log rate ratio from single arms of different studies.

    Parameters
    ----------
    treated, comparator : tuple of (events, exposure)
        One pair per study.
    spread : Prior or None
        Prior of s, the sd of log baseline rates between studies. None takes baselines as equal: the comparator's rate
        is the external baseline of the treated.

    Examples
    --------
    >>> from enthesis.models.one_parameter import EventCounts
    >>> same = AcrossStudies(treated=((5, 308.6),), comparator=((17, 1201.1),), spread=None)
    >>> exact = EventCounts(events=5, exposure=308.6, comparator_events=17, comparator_exposure=1201.1)
    >>> gap = [like.log_likelihood(np.array([0.0, 1.0])) for like in (same, exact)]
    >>> bool(np.allclose(np.diff(gap[0]), np.diff(gap[1]), atol=1e-4))
    True
    >>> wide = AcrossStudies(treated=((5, 308.6),), comparator=((17, 1201.1),))
    >>> wide.place[1] > same.place[1]
    True
    """

    treated: Counts
    comparator: Counts
    spread: Prior | None = field(default=HalfNormal(0.5))

    def __post_init__(self) -> None:
        if not self.treated or not self.comparator:
            raise DataError("a ratio across studies needs at least one study on each side")
        for events, exposure in (*self.treated, *self.comparator):
            if not (np.isfinite(events) and events >= 0 and events == round(events)):
                raise DataError("is not a count", column="events", value=events)
            if not (np.isfinite(exposure) and exposure > 0):
                raise DataError("must be a finite number above 0", column="exposure", value=exposure)

    @property
    def events(self) -> tuple[float, float]:
        """Events under the treatment and under the comparator."""
        return sum(r for r, _ in self.treated), sum(r for r, _ in self.comparator)

    @property
    def total(self) -> float:
        """Events on both sides."""
        return sum(self.events)

    @property
    def informative(self) -> bool:
        """Whether the likelihood falls off on both sides."""
        return min(self.events) > 0

    @cached_property
    def _curve(self) -> CubicSpline:
        theta = np.arange(-WIDEST, WIDEST + 1e-9, 0.1)
        if sum(self.events) == 0:
            return CubicSpline(theta, np.zeros(len(theta)))
        sides = (*self.treated, *self.comparator)
        step = 0.1 / np.ceil(0.1 / min(0.05, 0.3 / np.sqrt(max(r for r, _ in sides) + 1)))
        middle = [np.log((r + 0.5) / E) for r, E in sides]
        x = np.arange(min(middle) - 2 * WIDEST, max(middle) + 2 * WIDEST, step)
        shift = np.round(theta / step).astype(int)
        inside = np.arange(len(x))[: len(x)]
        total = np.zeros(len(theta))
        for s in self._spreads():
            a = sum(_log_margin(r, E, x, s) for r, E in self.treated)
            b = sum(_log_margin(r, E, x, s) for r, E in self.comparator)
            for k, move in enumerate(shift):
                at = inside[max(0, -move) : len(x) - max(0, move)]
                logs = a[at + move] + b[at]
                top = logs.max()
                total[k] += np.exp(top + np.log(np.exp(logs - top).sum() * step) - _best_fit(self))
        return CubicSpline(theta, np.log(np.maximum(total, 1e-300)))

    def _spreads(self) -> Array:
        """Values of s with equal probability under its prior."""
        if self.spread is None:
            return np.zeros(1)
        p = (np.arange(_SHARES) + 0.5) / _SHARES
        return np.asarray(self.spread.quantile(p), dtype=float)

    @cached_property
    def place(self) -> tuple[float, float]:
        """Where the likelihood is, and how wide."""
        theta = np.linspace(-WIDEST + 1, WIDEST - 1, 801)
        values = self._curve(theta)
        w = np.exp(values - values.max() - 0.5 * (theta / 4) ** 2)
        w /= w.sum()
        mean = float(w @ theta)
        return mean, float(np.sqrt(w @ (theta - mean) ** 2))

    def log_likelihood(self, theta: Array) -> Array:
        """Log likelihood at theta, up to a constant; straight beyond the widest ratios."""
        theta = np.asarray(theta, dtype=float)
        held = np.clip(theta, -WIDEST, WIDEST)
        return self._curve(held) + self._curve(held, 1) * (theta - held)

    def derivatives(self, theta: Array) -> tuple[Array, Array]:
        """First derivative and negative second derivative."""
        theta = np.asarray(theta, dtype=float)
        held = np.clip(theta, -WIDEST, WIDEST)
        return self._curve(held, 1), np.where(theta == held, -self._curve(held, 2), 0.0)


def predictive_p_value(data: AcrossStudies, theta: Array, mass: Array) -> float | None:
    """Box's prior predictive p-value: the probability of treated counts as improbable as the one seen, or more.

    Given the total of events, those of the treated are binomial with log odds theta + d + log(E1 / E0), where d is the
    difference of the baselines, normal with variance s² times the squared shares of exposure (exact for one study on
    either side). (Box GEP, J R Stat Soc A 1980;143:383.)

    Parameters
    ----------
    data : AcrossStudies
    theta, mass : float arrays, shape (points,)
        The prior that is questioned, as points with probabilities.

    Returns
    -------
    float or None
        None when there is no event.
    """
    total, seen = int(data.total), int(data.events[0])
    if total == 0:
        return None
    shares = [np.array([E for _, E in side]) for side in (data.treated, data.comparator)]
    squared = sum(float(((e / e.sum()) ** 2).sum()) for e in shares)
    offset = float(np.log(shares[0].sum() / shares[1].sum()))
    z, w = np.polynomial.hermite_e.hermegauss(15)
    w = w / w.sum()
    counts = np.arange(total + 1)
    choose = gammaln(total + 1) - gammaln(counts + 1) - gammaln(total - counts + 1)
    spreads = data._spreads()
    predictive = np.zeros(total + 1)
    for s in spreads:
        for node, weight in zip(z, w, strict=True):
            eta = theta + offset + s * np.sqrt(squared) * node
            logs = choose - np.outer(np.logaddexp(0, -eta), counts) - np.outer(np.logaddexp(0, eta), total - counts)
            predictive += weight / len(spreads) * (mass @ np.exp(logs))
    predictive /= predictive.sum()
    return float(min(1.0, predictive[predictive <= predictive[seen] * (1 + 1e-9)].sum()))


def _best_fit(data: AcrossStudies) -> float:
    """A log that keeps the integrals within the range of numbers: Poisson at the best fit of every study."""
    return sum(r * np.log(max(r, 1e-12)) - r - gammaln(r + 1) for r, _ in (*data.treated, *data.comparator))


def _log_margin(r: float, E: float, x: Array, s: float) -> Array:
    """log ∫ Poisson(r; E exp(x + u)) Normal(u; 0, s²) du on an even grid of x."""
    mean = E * np.exp(np.minimum(x, 700.0 - np.log(E)))
    plain = r * (np.log(E) + x) - mean - gammaln(r + 1)
    step = x[1] - x[0]
    if s < step / 4:
        return plain
    half = int(np.ceil(6 * s / step))
    kernel = np.exp(-0.5 * (np.arange(-half, half + 1) * step / s) ** 2)
    top = plain.max()
    density = np.exp(plain - top)
    # beyond the lower end of the grid the likelihood goes on as its first value (1 without events, else nothing)
    padded = np.r_[np.full(half, density[0]), density, np.zeros(half)]
    smooth = fftconvolve(padded, kernel / kernel.sum(), mode="valid")
    return np.log(np.maximum(smooth, 1e-300)) + top
