"""Study integrals as smooth surfaces: computed at a few points, read off everywhere.

log Z of a study depends on the parameters only through the k - 1 differences x'theta of its arms and tau, a few numbers
whatever the size of the network. Over the range of the draws it is a smooth function of them, so it is interpolated by
Chebyshev polynomials on a tensor grid (Trefethen LN, Approximation Theory and Approximation Practice, 2013, chapters 3
and 4). The error is measured against the integral itself at some of the draws; a study that misses the tolerance is
integrated at every draw.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
#: (shift (points, studies, arms), root (points,), study positions) → log Z (points, studies)
Integral = Callable[[Array, Array, NDArray[np.int64]], Array]

#: Chebyshev nodes along each axis, by number of axes: first, and for the studies that need more; the last axis is tau,
#: if there is one
NODES: dict[int, tuple[tuple[int, ...], ...]] = {
    1: ((11,), (17,), (25,)), 2: ((12, 10), (17, 14)), 3: ((9, 9, 8), (12, 12, 10)),
}  # fmt: skip
#: largest error of one study's log Z that is let pass, and at the outermost draws, which count for little
TOLERANCE, TOLERANCE_AT_ENDS = 2e-4, 2e-3
#: draws at which the error is measured, beside the outermost ones
CHECKS = 8
#: values held in memory at once
CHUNK = 200_000


def worthwhile(points: int, axes: int) -> bool:
    """Whether a surface is cheaper than the integrals themselves."""
    return axes in NODES and _pays(points, NODES[axes][0])


def _pays(points: int, sizes: tuple[int, ...]) -> bool:
    return points > 1.5 * int(np.prod(sizes))


def on_surface(integral: Integral, shift: Array, root: Array | None) -> Array:
    """log Z of every study at every point.

    Parameters
    ----------
    integral : callable
    shift : float array, shape (points, studies, arms)
        x'theta of each arm; the first arm's is zero.
    root : float array, shape (points,), or None
        tau / sqrt(2); None when there is no random effect.

    Returns
    -------
    float array, shape (points, studies)
    """
    n, S, k = shift.shape
    unit = None if root is None else _TauScale(root)
    some, tolerance = _checked(shift, root)
    left = np.arange(S)
    exact = integral(shift[some], np.zeros(len(some)) if root is None else root[some], left)
    out = np.empty((n, S))
    for sizes in NODES[k - 1 + (root is not None)]:
        if len(left) and _pays(n, sizes):
            out[:, left] = _surface(integral, shift[:, left], root, unit, sizes, left)
            left = left[~(np.abs(exact - out[some])[:, left] < tolerance[:, None]).all(0)]
    if len(left):
        out[:, left] = integral(shift[:, left], np.zeros(n) if root is None else root, left)
    return out


def _checked(shift: Array, root: Array | None) -> tuple[NDArray[np.int64], Array]:
    """Draws at which the error is measured, some evenly spread and the outermost, and what is let pass at each."""
    n = len(shift)
    away = np.abs(shift - shift.mean(0)).sum((1, 2))
    ends = [int(away.argmax())] + ([] if root is None else [int(root.argmin()), int(root.argmax())])
    spread = np.linspace(0, n - 1, CHECKS).astype(int)
    tolerance = np.r_[np.full(len(spread), TOLERANCE), np.full(len(ends), TOLERANCE_AT_ENDS)]
    return np.r_[spread, ends], tolerance


def _surface(integral: Integral, shift: Array, root: Array | None, unit, sizes, studies: NDArray[np.int64]) -> Array:
    """log Z of some studies at every point, interpolated from a grid of these sizes."""
    n, S, k = shift.shape
    lower, upper = shift[:, :, 1:].min(0), shift[:, :, 1:].max(0)
    width = np.maximum(upper - lower, 1e-9)
    grids = [np.cos(np.pi * (np.arange(m) + 0.5) / m) for m in sizes]
    nodes = np.array(list(product(*grids)))
    at = np.zeros((len(nodes), S, k))
    at[:, :, 1:] = lower + 0.5 * (nodes[:, None, : k - 1] + 1) * width
    root_at = np.zeros(len(nodes)) if unit is None else unit.value(nodes[:, -1])
    values = integral(at, root_at, studies).T.reshape(S, *sizes)
    with np.errstate(invalid="ignore"):  # a study with density zero somewhere misses the tolerance
        coefficients = _coefficients(values, sizes)
    u = np.clip(2 * (shift[:, :, 1:] - lower) / width - 1, -1.0, 1.0)
    v = None if unit is None else unit.position(root)
    out = np.empty((n, S))
    step = max(1, CHUNK // (n * int(np.prod(sizes[: k - 1]))))
    for i in range(0, S, step):
        s = slice(i, i + step)
        with np.errstate(invalid="ignore"):
            out[:, s] = _read_off(coefficients[s], u[:, s], v, sizes)
    return out


class _TauScale:
    """A coordinate in [-1, 1] in which surfaces are smooth for small and for large tau: log(1 + root / median)."""

    def __init__(self, root: Array) -> None:
        self.half = max(float(np.median(root)), 1e-9)
        x = np.log1p(root / self.half)
        self.lower, self.upper = float(x.min()), float(max(x.max(), x.min() + 1e-9))

    def position(self, root: Array) -> Array:
        return np.clip(2 * (np.log1p(root / self.half) - self.lower) / (self.upper - self.lower) - 1, -1.0, 1.0)

    def value(self, position: Array) -> Array:
        return self.half * np.expm1(self.lower + 0.5 * (position + 1) * (self.upper - self.lower))


def _coefficients(values: Array, sizes: tuple[int, ...]) -> Array:
    """Chebyshev coefficients of values (studies, *sizes) at the first-kind nodes."""
    for axis, m in enumerate(sizes, start=1):
        theta = np.pi * (np.arange(m) + 0.5) / m
        transform = 2 / m * np.cos(np.outer(np.arange(m), theta))
        transform[0] /= 2
        values = np.moveaxis(np.tensordot(transform, values, axes=(1, axis)), 0, axis)
    return values


def _read_off(coefficients: Array, u: Array, v: Array | None, sizes: tuple[int, ...]) -> Array:
    """Surfaces (studies, *sizes) at points u (points, studies, arms - 1) and v (points,), shape (points, studies)."""
    if v is not None:
        # one product of matrices, not one for each study: a linear algebra library shares out each among its threads
        basis = np.stack(list(_polynomials(v, sizes[-1])))
        now = (coefficients.reshape(-1, sizes[-1]) @ basis).reshape(*coefficients.shape[:-1], len(u))
    else:
        now = np.broadcast_to(coefficients[..., None], (*coefficients.shape, len(u)))
    for j in reversed(range(u.shape[2])):
        x = np.ascontiguousarray(u[:, :, j].T).reshape(len(coefficients), *(1,) * j, len(u))
        terms = _polynomials(x, sizes[j])
        now = sum(now[..., i, :] * term for i, term in enumerate(terms))
    return now.T


def _polynomials(x: Array, m: int) -> Iterator[Array]:
    """T_0 ... T_(m-1) at x, by T_(j+1) = 2 x T_j - T_(j-1)."""
    before, now = np.ones_like(x), x
    yield before
    yield now
    for _ in range(2, m):
        before, now = now, 2 * x * now - before
        yield now
