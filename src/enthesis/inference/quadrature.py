"""One-dimensional quadrature over tau: where its posterior has mass, how much, and draws from it.

`tau_posterior` needs only log p(tau, y) up to a constant, for many tau at once. It finds the region that matters, lays
Gauss-Legendre panels whose edges have equal shares of the tempered mass p^(1/3) (so the tails are covered too), and
returns nodes with their probabilities. Between the nodes the log density is a cubic spline; its table gives quantiles,
draws and the density of the draws.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline, PchipInterpolator

from enthesis.models.priors import Prior

Array = NDArray[np.float64]

#: log density this far below its maximum is left out: exp(-28) is below the resolution of any reported number
NEGLIGIBLE = 28.0


@dataclass(frozen=True, kw_only=True)
class TauPosterior:
    """The posterior of tau as nodes with probabilities and as a table.

    Parameters
    ----------
    nodes, mass : float arrays, shape (nodes,)
        `mass` sums to 1.
    grid, density, cdf : float arrays, shape (grid,)
        Piecewise linear density, normalised; its distribution function at the grid.
    log_evidence : float
        Log of the integral of the density given to `tau_posterior`.
    """

    nodes: Array
    mass: Array
    grid: Array
    density: Array
    cdf: Array
    log_evidence: float

    def quantile(self, p: Array | float) -> Array:
        """Quantiles of tau."""
        p = np.clip(np.asarray(p, dtype=float), 0.0, 1.0)
        i = np.clip(np.searchsorted(self.cdf, p, side="right") - 1, 0, len(self.grid) - 2)
        width = self.grid[i + 1] - self.grid[i]
        f0, f1 = self.density[i], self.density[i + 1]
        slope = (f1 - f0) / width
        need = p - self.cdf[i]
        root = np.sqrt(np.maximum(f0**2 + 2 * slope * need, 0.0))
        with np.errstate(divide="ignore", invalid="ignore"):
            step = np.where(f0 + root > 0, 2 * need / (f0 + root), 0.0)
        return self.grid[i] + np.clip(step, 0.0, width)

    def log_density(self, tau: Array) -> Array:
        """Log density of draws made by `quantile`."""
        with np.errstate(divide="ignore"):
            return np.log(np.interp(tau, self.grid, self.density))

    @property
    def mean(self) -> float:
        """Posterior mean of tau."""
        return float(self.mass @ self.nodes)

    @property
    def sd(self) -> float:
        """Posterior standard deviation of tau."""
        return float(np.sqrt(max(self.mass @ self.nodes**2 - self.mean**2, 0.0)))


def tau_posterior(
    log_density: Callable[[Array], Array], prior: Prior, *, scale: float = 1.0, panels: int = 12, order: int = 8
) -> TauPosterior:
    """The posterior of tau by quadrature.

    Parameters
    ----------
    log_density : callable
        tau, shape (m,) → log p(tau, y) up to a constant, prior included.
    prior : Prior
        Gives the support.
    scale : float
        A typical size of tau, for example the median standard error.
    panels, order : int
        Gauss-Legendre panels and nodes per panel.

    Returns
    -------
    TauPosterior
    """
    lower, upper = prior.support
    lower = max(lower, 0.0)
    coarse = _coarse(log_density, lower, upper, float(prior.quantile(0.5)), scale)
    edges = _edges(*coarse, lower, panels)
    x, w = np.polynomial.legendre.leggauss(order)
    half = 0.5 * np.diff(edges)
    nodes = (edges[:-1, None] + half[:, None] * (x + 1)).ravel()
    weights = (half[:, None] * w).ravel()
    values = log_density(nodes)
    top = values.max()
    mass = weights * np.exp(values - top)
    total = mass.sum()
    grid = np.unique(np.r_[edges, np.linspace(nodes[:-1], nodes[1:], 24).ravel()])
    with np.errstate(over="ignore"):
        inner = np.exp(CubicSpline(nodes, np.maximum(values - top, -60.0))(np.clip(grid, nodes[0], nodes[-1])))
    # beyond the outermost nodes the spline is not trusted: the density goes on at the node's value
    area = np.sum(0.5 * (inner[1:] + inner[:-1]) * np.diff(grid))
    density = inner / area
    cdf = np.r_[0.0, np.cumsum(0.5 * (density[1:] + density[:-1]) * np.diff(grid))]
    return TauPosterior(
        nodes=nodes, mass=mass / total, grid=grid, density=density, cdf=cdf / cdf[-1],
        log_evidence=float(top + np.log(total)),
    )  # fmt: skip


def axis_edges(
    log_density: Callable[[Array], Array], prior: Prior, *, scale: float = 1.0, panels: int = 12
) -> tuple[Array, float]:
    """Edges of panels along one axis, and the best of the points looked at.

    Parameters
    ----------
    log_density, prior, scale, panels
        As for `tau_posterior`.

    Returns
    -------
    edges : float array
    best : float
    """
    lower, upper = max(prior.support[0], 0.0), prior.support[1]
    points, values = _coarse(log_density, lower, upper, float(prior.quantile(0.5)), scale)
    return _edges(points, values, lower, panels), float(points[np.argmax(values)])


def _coarse(log_density, lower, upper, median, scale) -> tuple[Array, Array]:
    """Points and log densities that reach from the lower end of the support to where the density is negligible."""
    unit = min(max(median, 1e-6), max(scale, 1e-6) * 10)
    points = lower + unit * np.geomspace(1e-4, 1e1, 36)
    points = np.unique(np.r_[lower + unit * 1e-7, points[points < upper], upper if np.isfinite(upper) else []])
    values = log_density(points)
    for _ in range(12):
        if points[-1] >= upper or values[-1] < values.max() - NEGLIGIBLE:
            break
        more = points[-1] * np.geomspace(1.5, 8.0, 6)
        more = np.unique(np.minimum(more, upper)) if np.isfinite(upper) else more
        more = more[more > points[-1]]
        points, values = np.r_[points, more], np.r_[values, log_density(more)]
    return points, np.where(np.isfinite(values), values, -np.inf)


def _edges(points: Array, values: Array, lower: float, panels: int) -> Array:
    keep = np.flatnonzero(values > values.max() - NEGLIGIBLE)
    first, last = max(keep[0] - 1, 0), min(keep[-1] + 1, len(points) - 1)
    points, values = points[first : last + 1], np.maximum(values[first : last + 1] - values.max(), -60.0)
    if first == 0:
        points = np.r_[lower, points[1:]]
    fine = np.unique(np.concatenate([np.linspace(a, b, 12) for a, b in itertools.pairwise(points)]))
    tempered = np.exp(PchipInterpolator(points, values)(fine) / 3)
    # a share of plain length keeps panels from becoming too wide where the density is flat and low
    pace = tempered / np.trapezoid(tempered, fine) + 0.1 / (fine[-1] - fine[0])
    cumulative = np.r_[0.0, np.cumsum(0.5 * (pace[1:] + pace[:-1]) * np.diff(fine))]
    return np.unique(np.interp(np.linspace(0, cumulative[-1], panels + 1), cumulative, fine))
