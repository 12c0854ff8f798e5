"""Densities of one number, by Gauss-Legendre quadrature on panels laid around every place and width that matters.

A prior made of parts (a narrow one from elsewhere, a vague one) has structure on several scales at once. `panels` lays
edges at multiples of each width around each place, so that all of them are resolved; on every panel the function is a
polynomial through its nodes, which gives integrals, the distribution function and derivatives at no further cost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicHermiteSpline

from enthesis.errors import ModelError

Array = NDArray[np.float64]
#: log densities this far below the maximum are left out
NEGLIGIBLE = 36.0
_STEPS = np.array([0.0, 0.5, 1.0, 1.5, 2.0, 2.75, 3.5, 4.5, 5.75, 7.25, 9.0, 12.0, 18.0])
_ORDER = 8
_NOWHERE = "the density is zero or not finite wherever it was looked at; check the data and the prior."


@lru_cache(maxsize=1)
def _rule() -> tuple[Array, Array, Array, Array]:
    """Nodes and weights on (-1, 1); integrals from -1 to each node and derivatives at each node, as matrices."""
    x, w = np.polynomial.legendre.leggauss(_ORDER)
    vandermonde = np.polynomial.legendre.legvander(x, _ORDER - 1)
    to_coefficients = np.linalg.inv(vandermonde)
    identity = np.eye(_ORDER)
    integral = np.polynomial.legendre.legint(identity, lbnd=-1, axis=0)
    derivative = np.polynomial.legendre.legder(identity, axis=0)
    integrate = np.polynomial.legendre.legvander(x, _ORDER) @ integral @ to_coefficients
    differentiate = np.polynomial.legendre.legvander(x, _ORDER - 2) @ derivative @ to_coefficients
    return x, w, integrate, differentiate


def panel_edges(scales: Iterable[tuple[float, float]], bounds: tuple[float, float] = (-np.inf, np.inf)) -> Array:
    """Edges at multiples of every width around every place, without those that add nothing.

    Parameters
    ----------
    scales : iterable of (place, width)
    bounds : tuple of float
        Edges outside are cut to it.

    Returns
    -------
    float array, increasing
    """
    scales = list(scales)
    edges = np.concatenate([c + s * np.r_[-_STEPS[:0:-1], _STEPS] for c, s in scales])
    if np.isfinite(bounds).any():
        edges = np.unique(np.clip(edges, *bounds))
    edges = np.sort(edges)
    places, widths = np.array([c for c, _ in scales]), np.array([s for _, s in scales])
    # how far apart edges are needed at each place: half a width, or a part of the distance from the narrow places
    needed = np.min(np.maximum(0.45 * widths, 0.25 * np.abs(edges[:, None] - places)), axis=1)
    kept = [edges[0]]
    for edge, gap in zip(edges[1:-1], needed[1:-1], strict=True):
        if edge - kept[-1] >= 0.9 * gap:
            kept.append(edge)
    if edges[-1] - kept[-1] > 1e-12 * max(1.0, abs(edges[-1])):
        kept.append(edges[-1])
    return np.array(kept)


@dataclass(frozen=True)
class Panels:
    """Nodes and weights on the panels between edges."""

    edges: Array

    @cached_property
    def half(self) -> Array:
        """Half the width of every panel."""
        return 0.5 * np.diff(self.edges)

    @cached_property
    def nodes(self) -> Array:
        """All nodes, increasing, shape (panels × 8,)."""
        return (self.edges[:-1, None] + self.half[:, None] * (_rule()[0] + 1)).ravel()

    @cached_property
    def weights(self) -> Array:
        """Weights of the nodes: sum(weights × f(nodes)) is the integral."""
        return (self.half[:, None] * _rule()[1]).ravel()

    def slope(self, values: Array) -> Array:
        """Derivative at the nodes of the function with these values at the nodes."""
        return ((values.reshape(-1, _ORDER) @ _rule()[3].T) / self.half[:, None]).ravel()

    def running(self, values: Array) -> Array:
        """Integral from the first edge to each node."""
        values = values.reshape(-1, _ORDER)
        total = (values @ _rule()[1]) * self.half
        before = np.r_[0.0, np.cumsum(total)[:-1]]
        return (before[:, None] + (values @ _rule()[2].T) * self.half[:, None]).ravel()


def panels_for(
    log_f: Callable[[Array], Array],
    scales: Iterable[tuple[float, float]],
    bounds: tuple[float, float] = (-np.inf, np.inf),
) -> tuple[Panels, Array]:
    """Panels where `log_f` is not negligible, and its values at their nodes.

    The mean and the width found with the given scales are added to them when they are not among them.
    """
    scales = list(scales)
    for attempt in range(2):
        edges = panel_edges(scales, bounds)
        panels = Panels(edges)
        values = log_f(panels.nodes)
        top = np.max(values)
        if not np.isfinite(top):
            raise ModelError(_NOWHERE)
        if attempt == 0:
            mass = panels.weights * np.exp(values - top)
            mean = float(mass @ panels.nodes / mass.sum())
            sd = float(np.sqrt(max(mass @ (panels.nodes - mean) ** 2 / mass.sum(), 1e-300)))
            if any(0.6 < sd / width < 1.4 and abs(mean - place) < width for place, width in scales):
                break
            scales = [*scales, (mean, sd)]
    highest = values.reshape(-1, _ORDER).max(axis=1)
    kept = np.flatnonzero(highest > top - NEGLIGIBLE)
    first, last = kept[0], kept[-1] + 1
    return Panels(edges[first : last + 1]), values[first * _ORDER : last * _ORDER]


@dataclass(frozen=True)
class Density:
    """A probability density of one number on panels.

    Parameters
    ----------
    panels : Panels
    log_values : float array, shape (nodes,)
        Log density at the nodes up to a constant.

    Examples
    --------
    >>> normal = Density.of(lambda x: -0.5 * x**2, [(0.0, 1.0)])
    >>> round(normal.sd, 6), round(float(normal.quantile(0.975)), 4)
    (1.0, 1.96)
    """

    panels: Panels
    log_values: Array

    @classmethod
    def of(
        cls, log_f: Callable[[Array], Array], scales: Iterable[tuple[float, float]],
        bounds: tuple[float, float] = (-np.inf, np.inf),
    ) -> Density:  # fmt: skip
        """The density proportional to exp(log_f); `scales` are the places and widths where it has structure."""
        return cls(*panels_for(log_f, scales, bounds))

    @cached_property
    def log_total(self) -> float:
        """Log of the integral of exp(log_values)."""
        top = self.log_values.max()
        if not np.isfinite(top):
            raise ModelError(_NOWHERE)
        return float(top + np.log(self.panels.weights @ np.exp(self.log_values - top)))

    @property
    def x(self) -> Array:
        """Nodes, for plots."""
        return self.panels.nodes

    @cached_property
    def pdf(self) -> Array:
        """Normalised density at the nodes."""
        return np.exp(self.log_values - self.log_total)

    @cached_property
    def mass(self) -> Array:
        """Probability of each node; they sum to 1."""
        return self.panels.weights * self.pdf

    def expect(self, values: Array) -> float:
        """Expectation of a function given at the nodes."""
        return float(self.mass @ values)

    @cached_property
    def mean(self) -> float:
        """Mean."""
        return self.expect(self.x)

    @cached_property
    def sd(self) -> float:
        """Standard deviation."""
        return float(np.sqrt(self.expect((self.x - self.mean) ** 2)))

    @property
    def median(self) -> float:
        """Median."""
        return float(self.quantile(0.5))

    @cached_property
    def _curve(self) -> CubicHermiteSpline:
        running = self.panels.running(self.pdf)
        ends = self.panels.edges[[0, -1]]
        x = np.r_[ends[0], self.x, ends[1]]
        return CubicHermiteSpline(x, np.r_[0.0, running / self.mass.sum(), 1.0], np.r_[0.0, self.pdf, 0.0])

    def cdf(self, x: Array | float) -> Array:
        """Distribution function."""
        low, high = self.panels.edges[[0, -1]]
        return np.clip(self._curve(np.clip(np.asarray(x, dtype=float), low, high)), 0.0, 1.0)

    def quantile(self, p: Array | float) -> Array:
        """Quantile function, by bisection between nodes."""
        p = np.clip(np.asarray(p, dtype=float), 0.0, 1.0)
        known = np.maximum.accumulate(self._curve.c[-1])
        place = np.clip(np.searchsorted(known, p, side="right") - 1, 0, len(known) - 1)
        low, high = self._curve.x[place], self._curve.x[place + 1]
        for _ in range(46):
            middle = 0.5 * (low + high)
            below = self._curve(middle) < p
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return 0.5 * (low + high)

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Equal-tailed interval."""
        low, high = self.quantile(np.array([0.5 - level / 2, 0.5 + level / 2]))
        return float(low), float(high)

    def probability_above(self, x: float) -> float:
        """Probability of a value above x."""
        return float(1.0 - self.cdf(x))

    def density(self, x: Array) -> Array:
        """Density at x, zero outside the panels."""
        x = np.asarray(x, dtype=float)
        low, high = self.panels.edges[[0, -1]]
        return np.where((x < low) | (x > high), 0.0, np.maximum(self._curve(np.clip(x, low, high), 1), 0.0))

    def draws(self, n: int = 4000, *, seed: int | None = 1) -> Array:
        """n equally weighted values: quantiles at the middles of n equal shares, in an order set by `seed`.

        With `seed` None they are in increasing order.
        """
        values = self.quantile((np.arange(n) + 0.5) / n)
        return values if seed is None else np.random.default_rng(seed).permutation(values)

    def information(self) -> float:
        """E[-(log p)''] = E[((log p)')²]: how peaked the density is on average, in units of 1 / variance."""
        return self.expect(self.panels.slope(np.maximum(self.log_values, self.log_total - 700.0)) ** 2)
