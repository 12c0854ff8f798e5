"""The posterior of the hyperparameters as a set of nodes, and draws from it with a known density.

None, one or several standard deviations. One is integrated by the panels of `quadrature`; several by cells: along each
axis, the others at their mode, edges are laid as for one, and the product of the axes gives the cells. The density
inside a cell is taken as constant for drawing; the engine corrects for that with everything else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from enthesis.inference.quadrature import TauPosterior, axis_edges, tau_posterior
from enthesis.models.target import Hyper

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

#: cells along each axis, by number of hyperparameters
CELLS = {2: 16, 3: 8, 4: 6}
#: cells with less than this share of the largest mass are never drawn from
CELL_FLOOR = 1e-7
#: ranges of equal mass in which weights are averaged, and draws of weight 1 added to each
RANGES, PSEUDO_DRAWS = 10, 5.0


class HyperPosterior(Protocol):
    """Nodes (nodes, H) with their mass, and draws."""

    nodes: Array
    mass: Array

    def draw(self, u: Array) -> tuple[Array, Ints, Array]:
        """(points, H) uniforms → values (points, H), nearest node (points,), log density (points,)."""
        ...

    def corrected(self, h: Array, node: Ints, weights: Array) -> HyperPosterior:
        """Drawn from where the weights of earlier draws say that the mass is; nodes stay."""
        ...


@dataclass(frozen=True)
class NoHyper:
    """No hyperparameter: one node, nothing to draw."""

    nodes = np.zeros((1, 0))
    mass = np.ones(1)

    def draw(self, u: Array) -> tuple[Array, Ints, Array]:
        """Empty values at the only node."""
        return np.zeros((len(u), 0)), np.zeros(len(u), dtype=int), np.zeros(len(u))

    def corrected(self, h: Array, node: Ints, weights: Array) -> NoHyper:
        """Itself."""
        return self


@dataclass(frozen=True)
class OneHyper:
    """One hyperparameter, by one-dimensional quadrature."""

    posterior: TauPosterior

    @property
    def nodes(self) -> Array:
        """Quadrature nodes, shape (nodes, 1)."""
        return self.posterior.nodes[:, None]

    @property
    def mass(self) -> Array:
        """Posterior mass of each node."""
        return self.posterior.mass

    def draw(self, u: Array) -> tuple[Array, Ints, Array]:
        """Values by inverse distribution function."""
        value = self.posterior.quantile(u[:, 0])
        middle = 0.5 * (self.posterior.nodes[1:] + self.posterior.nodes[:-1])
        return value[:, None], np.searchsorted(middle, value), self.posterior.log_density(value)

    def corrected(self, h: Array, node: Ints, weights: Array) -> OneHyper:
        """The table times the mean weight of the draws in each of a few ranges, interpolated."""
        p, x = self.posterior, h[:, 0]
        edges = p.quantile(np.linspace(0, 1, RANGES + 1))
        at = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, RANGES - 1)
        ratio = _mean_weight(at, weights, RANGES)
        density = p.density * np.exp(np.interp(p.grid, 0.5 * (edges[1:] + edges[:-1]), np.log(ratio)))
        area = 0.5 * (density[1:] + density[:-1]) * np.diff(p.grid)
        return OneHyper(replace(p, density=density / area.sum(), cdf=np.r_[0.0, np.cumsum(area / area.sum())]))


@dataclass(frozen=True, kw_only=True)
class CellHyper:
    """Several hyperparameters: cells of a grid.

    Parameters
    ----------
    lower, upper : float arrays, shape (cells, H)
    mass : float array, shape (cells,)
    """

    lower: Array
    upper: Array
    mass: Array

    @property
    def nodes(self) -> Array:
        """Centres of the cells."""
        return 0.5 * (self.lower + self.upper)

    def draw(self, u: Array) -> tuple[Array, Ints, Array]:
        """A cell by its mass, then a uniform point in it; the first uniform is used for both."""
        cdf = np.cumsum(self.mass)
        cdf /= cdf[-1]
        cell = np.minimum(np.searchsorted(cdf, u[:, 0], side="right"), len(cdf) - 1)
        below = np.r_[0.0, cdf[:-1]][cell]
        within = u.copy()
        within[:, 0] = np.clip((u[:, 0] - below) / np.maximum(cdf[cell] - below, 1e-300), 1e-9, 1 - 1e-9)
        width = self.upper[cell] - self.lower[cell]
        log_q = np.log(self.mass[cell] / self.mass.sum()) - np.log(width).sum(1)
        return self.lower[cell] + within * width, cell, log_q

    def corrected(self, h: Array, node: Ints, weights: Array) -> CellHyper:
        """The mass of each cell times the mean weight of its draws."""
        return replace(self, mass=self.mass * _mean_weight(node, weights, len(self.mass)))


def _mean_weight(group: Ints, weights: Array, groups: int) -> Array:
    """Mean weight of the draws in each group, 1 on average, drawn towards 1 where there are few draws."""
    count = np.bincount(group, minlength=groups)
    total = len(weights) * np.bincount(group, weights, minlength=groups)
    return (total + PSEUDO_DRAWS) / (count + PSEUDO_DRAWS)


def hyper_posterior(
    log_density: Callable[[Array], Array], hypers: tuple[Hyper, ...], *, scale: float, panels: int = 8, order: int = 6
) -> HyperPosterior:
    """The posterior of the hyperparameters.

    Parameters
    ----------
    log_density : callable
        h, shape (points, H) → log p(h, y) up to a constant, priors included.
    hypers : tuple of Hyper
    scale : float
        A typical size of the data's standard errors.
    panels, order : int
        For one hyperparameter.

    Returns
    -------
    HyperPosterior
    """
    if not hypers:
        return NoHyper()
    if len(hypers) == 1:
        found = tau_posterior(
            lambda x: log_density(x[:, None]), hypers[0].prior, scale=scale, panels=panels, order=order
        )
        return OneHyper(found)
    return _cells(log_density, hypers, scale)


def _cells(log_density, hypers: tuple[Hyper, ...], scale: float) -> CellHyper:
    H = len(hypers)
    per_axis = CELLS.get(H, 4)
    at = np.array([min(float(x.prior.quantile(0.5)), 10 * scale) for x in hypers])

    def along(j: int):
        def profile(x: Array) -> Array:
            points = np.tile(at, (len(x), 1))
            points[:, j] = x
            return log_density(points)

        return profile

    edges = [np.zeros(0)] * H
    for _ in range(3):
        for j, hyper in enumerate(hypers):
            edges[j], at[j] = axis_edges(along(j), hyper.prior, scale=scale, panels=per_axis)
    lower = np.array(list(product(*[e[:-1] for e in edges])))
    upper = np.array(list(product(*[e[1:] for e in edges])))
    value = log_density(0.5 * (lower + upper))
    mass = np.exp(value - value.max()) * np.prod(upper - lower, axis=1)
    keep = mass > CELL_FLOOR * mass.max()
    return CellHyper(lower=lower[keep], upper=upper[keep], mass=mass[keep] / mass[keep].sum())
