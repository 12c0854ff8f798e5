"""Proposals of the importance sampler, in coordinates standardised by the conditional modes.

The first is the Gaussian. Where it is poor (an effect that only studies with few events inform has a skewed posterior;
without events, one like half a normal distribution) two others are tried:

- along axes: each coordinate has the density that the posterior has along its axis through the mode, as a table. It
  needs no draws to be fitted to, so it works for hundreds of parameters;
- a mixture of t distributions fitted to weighted draws by weighted EM: population Monte Carlo (Cappé O et al., Stat
  Comput 2008;18:447, section 3.2). One wide part is always in the mixture, so that weights stay bounded where the fit
  is wrong (Hesterberg T, Technometrics 1995;37:185).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.linalg import solve_triangular
from scipy.special import chdtri, gammaln

from enthesis.inference.diagnostics import covariance, effective_sample_size, mean
from enthesis.inference.points import to_normal

Array = NDArray[np.float64]

#: degrees of freedom of the parts
HEAVY_TAIL = 5.0
#: share and scale of the wide part; it has the mean and covariance of all draws, widened
WIDE_SHARE, WIDE_SCALE = 0.15, 1.5
#: parts beside the wide one, at most, and how many effective draws each needs per parameter
MOST_PARTS, DRAWS_PER_PARAMETER = 4, 10
#: with more parameters than this no covariance fitted to weighted draws is better than that of the mode
MOST_PARAMETERS = 40
EM_STEPS = 15
_LOG_2PI = float(np.log(2 * np.pi))


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A distribution in coordinates standardised by the nearest node.

    Parameters
    ----------
    share : float array, shape (parts,)
    centre : float array, shape (parts, P)
    chol : float array, shape (parts, P, P)
    df : float or None
        Degrees of freedom of all parts; None: Gaussian.
    """

    share: Array
    centre: Array
    chol: Array
    df: float | None

    @property
    def extra(self) -> int:
        """Uniforms needed beside one for each coordinate."""
        return 0 if self.df is None else 2

    @property
    def words(self) -> str:
        """For the reader."""
        if self.df is None:
            return "gaussian"
        return f"student t, {self.df:g} df" if len(self.share) == 1 else f"{len(self.share)} student t, {self.df:g} df"

    def draw(self, u: Array) -> Array:
        """Draws from uniforms, shape (points, P + extra) → (points, P)."""
        P = self.centre.shape[1]
        z = to_normal(u[:, :P])
        part = np.zeros(len(u), dtype=int)
        if self.df is not None:
            z = z * np.sqrt(self.df / chdtri(self.df, 1 - u[:, P]))[:, None]
            part = np.minimum(np.searchsorted(np.cumsum(self.share), u[:, P + 1], side="right"), len(self.share) - 1)
        out = np.empty((len(u), P))
        for k in range(len(self.share)):
            at = part == k
            out[at] = self.centre[k] + z[at] @ self.chol[k].T
        return out

    def log_density(self, x: Array) -> Array:
        """Log density, shape (points,)."""
        each = np.stack([log_t(x, *part, self.df) for part in zip(self.centre, self.chol, strict=True)])
        return np.logaddexp.reduce(np.log(self.share)[:, None] + each, axis=0)


def can_adapt(draws: int, P: int) -> bool:
    """Whether so many draws say enough of a covariance of P parameters to be worth fitting a proposal to them."""
    return P <= MOST_PARAMETERS and draws >= DRAWS_PER_PARAMETER * (P + 2)


def gaussian(P: int) -> Proposal:
    """The standard normal."""
    return Proposal(share=np.ones(1), centre=np.zeros((1, P)), chol=np.eye(P)[None], df=None)


#: where the density along an axis is looked at, in standard deviations of the Gaussian
LOOKED_AT = np.array([-7.0, -4.5, -3.0, -2.0, -1.2, -0.5, 0.0, 0.5, 1.2, 2.0, 3.0, 4.5, 7.0])
#: the table reaches so far, beyond with tails that fall at least so fast
REACH, LEAST_FALL, CELLS = 20.0, 0.7, 800


@dataclass(frozen=True, kw_only=True)
class AxisProposal:
    """Independent coordinates, each with a density given by a table.

    Parameters
    ----------
    grid : float array, shape (points,)
    density, cdf : float arrays, shape (P, points)
        Piecewise linear densities, normalised, and their distribution functions.
    """

    grid: Array
    density: Array
    cdf: Array
    extra = 0
    words = "along axes"

    def draw(self, u: Array) -> Array:
        """Draws from uniforms, shape (points, P)."""
        return np.stack([self._quantile(j, u[:, j]) for j in range(len(self.cdf))], axis=1)

    def _quantile(self, j: int, u: Array) -> Array:
        i = np.clip(np.searchsorted(self.cdf[j], u, side="right") - 1, 0, len(self.grid) - 2)
        f0, f1, width = self.density[j, i], self.density[j, i + 1], self.grid[i + 1] - self.grid[i]
        need = u - self.cdf[j, i]
        root = np.sqrt(np.maximum(f0**2 + 2 * (f1 - f0) / width * need, 0.0))
        return self.grid[i] + np.clip(2 * need / np.maximum(f0 + root, 1e-300), 0.0, width)

    def log_density(self, x: Array) -> Array:
        """Log density, shape (points,)."""
        at = np.stack([np.interp(x[:, j], self.grid, f) for j, f in enumerate(self.density)])
        return np.log(np.maximum(at, 1e-300)).sum(0)


def along_axes(log_p: Array) -> AxisProposal:
    """Proposal from log densities along each axis.

    Parameters
    ----------
    log_p : float array, shape (P, places of LOOKED_AT)
        Log posterior density, up to a constant for each row; -inf or NaN is taken as far below.
    """
    grid = np.linspace(-REACH, REACH, CELLS + 1)
    # what the Gaussian misses is smooth, and interpolated; beyond the places the density goes on with its last slope
    missed = np.where(np.isfinite(log_p), log_p, -1e4) + 0.5 * LOOKED_AT**2
    missed = np.clip(missed - missed[:, LOOKED_AT == 0.0], -1e3, 1e3)
    inner = PchipInterpolator(LOOKED_AT, missed, axis=1)(np.clip(grid, LOOKED_AT[0], LOOKED_AT[-1]))
    value = inner - 0.5 * np.clip(grid, LOOKED_AT[0], LOOKED_AT[-1]) ** 2
    for side, end, step in ((-1.0, 0, 1), (1.0, -1, -1)):
        at, next_ = LOOKED_AT[end], LOOKED_AT[end + step]
        slope = (missed[:, end] - missed[:, end + step] - 0.5 * (at**2 - next_**2)) / abs(at - next_)
        beyond = np.maximum(side * (grid - at), 0.0)
        value = value + np.minimum(slope, -LEAST_FALL)[:, None] * beyond
    density = np.exp(np.clip(value - value.max(1, keepdims=True), -600, 0))
    area = 0.5 * (density[:, 1:] + density[:, :-1]) * np.diff(grid)
    density = density / area.sum(1, keepdims=True)
    cdf = np.concatenate([np.zeros((len(density), 1)), np.cumsum(area / area.sum(1, keepdims=True), axis=1)], axis=1)
    return AxisProposal(grid=grid, density=density, cdf=cdf)


def log_t(x: Array, centre: Array, chol: Array, df: float | None) -> Array:
    """Log density of a multivariate t, or of a normal distribution when df is None."""
    P = len(centre)
    q = _distance(x, centre, chol)
    log_det = np.log(np.diag(chol)).sum()
    if df is None:
        return -0.5 * (q + P * _LOG_2PI) - log_det
    constant = gammaln(0.5 * (df + P)) - gammaln(0.5 * df) - 0.5 * P * np.log(np.pi * df)
    return constant - log_det - 0.5 * (df + P) * np.log1p(q / df)


def adapted(x: Array, weights: Array) -> Proposal:
    """A mixture fitted to weighted draws.

    Parameters
    ----------
    x : float array, shape (draws, P)
    weights : float array, shape (draws,)
        Sum to 1.

    Returns
    -------
    Proposal
    """
    P = x.shape[1]
    # weights tempered until enough draws count, so that one lucky draw does not become the proposal
    wanted = min(5 * (P + 2), 0.5 * np.count_nonzero(weights))
    while effective_sample_size(weights) < wanted:
        weights = np.sqrt(weights)
        weights = weights / weights.sum()
    centre, spread = mean(x, weights), covariance(x, weights) + 1e-9 * np.eye(P)
    parts = int(np.clip(effective_sample_size(weights) / (DRAWS_PER_PARAMETER * (P + 2)), 1, MOST_PARTS))
    share, centres, chols = _mixture(x, weights, parts, centre, spread)
    return Proposal(
        share=np.r_[(1 - WIDE_SHARE) * share, WIDE_SHARE],
        centre=np.concatenate([centres, centre[None]]),
        chol=np.concatenate([chols, WIDE_SCALE * np.linalg.cholesky(spread)[None]]),
        df=HEAVY_TAIL,
    )


def _mixture(x: Array, weights: Array, parts: int, centre: Array, spread: Array) -> tuple[Array, Array, Array]:
    """Shares, centres and Cholesky factors of a mixture of t, by EM from a split along the most skewed direction."""
    P = x.shape[1]
    if parts == 1:
        # matched to the covariance and a little wider: tails matter more than the last bit of efficiency
        return np.ones(1), centre[None], np.linalg.cholesky(spread)[None]
    axis = _skewed(x, weights, centre, np.linalg.cholesky(spread))
    order = np.argsort(axis)
    group = np.empty(len(x), dtype=int)
    group[order] = np.minimum((np.cumsum(weights[order]) * parts).astype(int), parts - 1)
    belongs = 0.1 / parts + 0.9 * np.eye(parts)[group]
    scale = np.ones((len(x), parts))
    ridge = 0.02 * spread
    for _ in range(EM_STEPS):
        mass = weights[:, None] * belongs
        share = mass.sum(0)
        pull = mass * scale
        centres = (pull.T @ x) / pull.sum(0)[:, None]
        chols = np.empty((parts, P, P))
        for k in range(parts):
            away = x - centres[k]
            chols[k] = np.linalg.cholesky((pull[:, k, None] * away).T @ away / share[k] + ridge)
        log_p = np.stack([log_t(x, c, L, HEAVY_TAIL) for c, L in zip(centres, chols, strict=True)], axis=1)
        log_p += np.log(share)
        belongs = np.exp(log_p - np.logaddexp.reduce(log_p, axis=1)[:, None])
        q = np.stack([_distance(x, c, L) for c, L in zip(centres, chols, strict=True)], axis=1)
        scale = (HEAVY_TAIL + P) / (HEAVY_TAIL + q)
    keep = share > 0.02
    return share[keep] / share[keep].sum(), centres[keep], chols[keep]


def _skewed(x: Array, weights: Array, centre: Array, chol: Array) -> Array:
    """Draws along the coordinate in which they are the most skewed."""
    z = solve_triangular(chol, (x - centre).T, lower=True).T
    return z[:, np.argmax(np.abs(weights @ z**3))]


def _distance(x: Array, centre: Array, chol: Array) -> Array:
    """Squared Mahalanobis distance, shape (points,)."""
    return (solve_triangular(chol, (x - centre).T, lower=True) ** 2).sum(0)
