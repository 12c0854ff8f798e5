"""tau² without each study, by ML or REML, for all studies at once.

The score of the likelihood without study i at a given tau² follows from the whole network at that tau²: with
square_j = L_j², S = Σ square_j, h = Σ_j (square_j ∘ y_j) 1 and c = -Σ sum(square_j ∘ y_j²) / 4, all without study i,

    2 dl/dtau² = c + h' d(-i) + d(-i)' S d(-i) / 2 - Σ tr L_j / 2  (+ tr C(-i) S / 2 for REML),

where d(-i) and C(-i) are low-rank updates (see `leave_out`). So one solution of the network serves all studies, and the
root of each study's score is found on values at shared tau²: first on the grid of `regression.highest_root`, then by
Chebyshev interpolation within a cell of it, in which the score is smooth.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BarycentricInterpolator
from scipy.optimize import brentq

from enthesis.inference import gls
from enthesis.models.target import ContrastTarget
from enthesis.network.pairwise import Group

Array = NDArray[np.float64]

#: points per cell; the score's nearest singularity lies at minus the smallest variance, far from a cell in log tau²
_POINTS = 16
#: below this share of its own variance the rest of the network does not predict a study's contrasts
_HOLDS = 1e-9


def tau2_without_each(target: ContrastTarget, *, restricted: bool) -> dict[int, float]:
    """The between-study variance without each study.

    Parameters
    ----------
    target : ContrastTarget
    restricted : bool
        REML, else ML.

    Returns
    -------
    dict of study (position in the network) to tau²
        Without the studies that hold the network together, and those whose likelihood has several maxima or none on
        the grid: they need a fit of their own.
    """
    studies = np.concatenate([g.study for g in target.groups])
    scale = float(np.median(np.concatenate([g.v[:, 1:, 0].ravel() for g in target.groups])))
    grid = scale * np.r_[0.0, np.geomspace(1e-4, 1e4, 33)]
    slopes = np.stack([_scores(target, t, restricted) for t in grid], axis=1)
    falls = (slopes[:, :-1] > 0) & (slopes[:, 1:] <= 0)
    at_zero = slopes[:, 0] <= 0
    single = np.isfinite(slopes).all(axis=1) & (falls.sum(axis=1) + at_zero == 1)
    found = {int(s): 0.0 for s in studies[single & at_zero]}
    inside = single & ~at_zero
    cell = np.argmax(falls, axis=1)
    for c in np.unique(cell[inside]):
        at = np.flatnonzero(inside & (cell == c))
        for i, root in zip(at, _roots(target, grid[c], grid[c + 1], at, restricted), strict=True):
            found[int(studies[i])] = root
    return found


def _roots(target: ContrastTarget, low: float, high: float, at: NDArray[np.int64], restricted: bool) -> list[float]:
    """The root of each study's score in one cell."""
    x = np.cos(np.pi * np.arange(_POINTS) / (_POINTS - 1))  # Chebyshev points, both ends included
    if low > 0:
        nodes = np.exp(np.log(low) + 0.5 * (x + 1) * np.log(high / low))
        nodes[[0, -1]] = high, low
    else:
        nodes = 0.5 * (x + 1) * high
    values = np.stack([_scores(target, t, restricted)[at] for t in nodes], axis=0)
    roots = []
    for column in values.T:
        curve = BarycentricInterpolator(x, column)
        place = brentq(curve, -1.0, 1.0, xtol=1e-14)
        roots.append(float(low * (high / low) ** (0.5 * (place + 1)) if low > 0 else 0.5 * (place + 1) * high))
    return roots


def _scores(target: ContrastTarget, tau2: float, restricted: bool) -> Array:
    """The score without each study at tau², in the order of the groups; NaN where one holds the network together."""
    now = gls.solve(target, tau2)
    size = target.size
    S, h, c, trace = np.zeros((size, size)), np.zeros(size), 0.0, 0.0
    parts = []
    for g in target.groups:
        lap = g.laplacian(tau2)
        square = lap @ lap
        own_h = (square * g.y).sum(axis=2)
        own_c = -0.25 * (square * g.y**2).sum(axis=(1, 2))
        own_trace = np.trace(lap, axis1=1, axis2=2)
        np.add.at(S, (g.arms[:, :, None], g.arms[:, None, :]), square)
        np.add.at(h, g.arms, own_h)
        c, trace = c + own_c.sum(), trace + own_trace.sum()
        parts.append((g, square, own_h, own_c, own_trace))
    base = float(np.sum(now.cov * S))
    return np.concatenate([_without(now, tau2, S, h, c, trace, base, part, restricted) for part in parts])


def _without(
    now: gls.GLS, tau2: float, S: Array, h: Array, c: float, trace: float, base: float, part, restricted
) -> Array:
    g, square, own_h, own_c, own_trace = part
    G, W, r, removable = _gap(now, g, tau2)
    inverse = np.linalg.inv(G)
    step = np.einsum("mtq,mqr,mr->mt", W, inverse, r)
    d = now.d - step
    row = np.arange(len(g.study))[:, None]
    local = d[row, g.arms]
    value = (c - own_c) + d @ h - (own_h * local).sum(axis=1) - 0.5 * (trace - own_trace)
    value += 0.5 * np.einsum("mt,mt->m", d @ S, d) - 0.5 * np.einsum("ma,mab,mb->m", local, square, local)
    if restricted:
        own_W = W[row, g.arms]
        own_C = now.cov[g.arms[:, :, None], g.arms[:, None, :]] + own_W @ inverse @ np.swapaxes(own_W, 1, 2)
        moved = base + np.einsum("mtq,mqr,mtr->m", W, inverse, S @ W)
        value += 0.5 * (moved - (own_C * square).sum(axis=(1, 2)))
    return np.where(removable, 0.5 * value, np.nan)


def _gap(now: gls.GLS, g: Group, tau2: float) -> tuple[Array, Array, Array, NDArray[np.bool_]]:
    """S_i - X_i C X_i', C X_i', residuals, and whether the rest of the network still holds together."""
    y, V = g.basic()
    q = g.k - 1
    total = V + tau2 * 0.5 * (np.eye(q) + 1)
    W = np.moveaxis(now.cov[:, g.arms[:, 1:]] - now.cov[:, g.arms[:, :1]], 0, 1)
    row = np.arange(len(g.study))[:, None]
    G = total - (W[row, g.arms[:, 1:]] - W[row, g.arms[:, :1]])
    root = np.linalg.inv(np.linalg.cholesky(total))
    smallest = np.linalg.eigvalsh(root @ G @ np.swapaxes(root, 1, 2))[:, 0]
    removable = smallest > _HOLDS
    return np.where(removable[:, None, None], G, total), W, y - (now.d[g.arms[:, 1:]] - now.d[g.arms[:, :1]]), removable
