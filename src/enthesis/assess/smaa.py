"""SMAA-2: which ranks alternatives can have, and for which preferences, when weights are unknown or partly known.

With partial values v[a, k] of alternative a on criterion k and weights w on the simplex, the value of an alternative is
Σ w_k v[a, k]. Over draws of the measurements and of the weights:

- rank acceptability b[a, r]: share of draws in which a has rank r; equal alternatives share their ranks;
- central weights of a: mean of the weights over the draws in which it is first, the typical preferences that favour it;
- confidence factor of a: share of draws of the measurements in which it is first under its central weights;
- pairwise winning index: share of draws in which a is better than b.

Weights that nothing is known of are uniform on the simplex (normalised exponentials). An order of the criteria sorts
them. Bounds of weights and of ratios of weights are kept by rejection, or, where that would reject nearly all, by
hit-and-run in the polytope they leave.

Sources: Lahdelma R, Salminen P, Oper Res 2001;49:444 (SMAA-2); Tervonen T, Lahdelma R, Eur J Oper Res 2007;178:500
(sampling); Tervonen T, van Valkenhoef G, Baştürk N, Postmus D, Eur J Oper Res 2013;224:552 (hit-and-run); Leskinen P,
Viitanen J, Kangas A, Kangas J, Eur J Oper Res 2006;172:957 (pairwise winning index).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from enthesis.errors import UsageError

Array = NDArray[np.float64]

#: draws of weights when no number is given; the error of an acceptability is below 0.004
DRAWS = 20_000
#: rejection gives up when fewer than this share is kept
LEAST_KEPT = 0.01
_BATCH, _CHAINS = 20_000, 400


@dataclass(frozen=True, kw_only=True)
class Preferences:
    """What is known of the weights of criteria 0, 1, ...

    Parameters
    ----------
    weights : tuple of float
        Swing weights, in any unit; when given, they are all that is used.
    order : tuple of tuple of int
        Criteria from the most to the least important; those in one group are not ordered among themselves.
    between : mapping of int to (float, float)
        Bounds of single weights, which sum to 1.
    ratios : mapping of (int, int) to (float, float)
        Bounds of the weight of the first divided by that of the second.

    Examples
    --------
    >>> Preferences(order=((0,), (1, 2))).in_words(("gain", "harm", "burden"))
    'gain before harm, burden'
    """

    weights: tuple[float, ...] = ()
    order: tuple[tuple[int, ...], ...] = ()
    between: Mapping[int, tuple[float, float]] = field(default_factory=dict)
    ratios: Mapping[tuple[int, int], tuple[float, float]] = field(default_factory=dict)

    def in_words(self, criteria: tuple[str, ...]) -> str:
        """The preferences in words."""
        if self.weights:
            total = sum(self.weights)
            return ", ".join(f"{c} {100 * w / total:.0f} %" for c, w in zip(criteria, self.weights, strict=True))
        told = []
        if self.order:
            told.append(" before ".join(", ".join(criteria[k] for k in group) for group in self.order))
        told += [f"{criteria[k]} from {low:g} to {high:g}" for k, (low, high) in self.between.items()]
        told += [
            f"{criteria[i]} {low:g} to {high:g} times {criteria[j]}" for (i, j), (low, high) in self.ratios.items()
        ]
        return "; ".join(told) or "nothing is known of the weights"


@dataclass(frozen=True, kw_only=True)
class Smaa:
    """The result of SMAA-2.

    Parameters
    ----------
    acceptability : float array, shape (alternatives, ranks)
        Rank 1 first; rows and columns sum to 1.
    central : float array, shape (alternatives, criteria)
        NaN for an alternative that is never first.
    confidence : float array, shape (alternatives,)
        NaN likewise.
    winning : float array, shape (alternatives, alternatives)
        Share of draws in which the row's alternative is better than the column's.
    mean, lower, upper : float arrays, shape (alternatives,)
        Overall value with its central 95 % range over measurements and weights.
    n : int
        Draws.
    """

    acceptability: Array
    central: Array
    confidence: Array
    winning: Array
    mean: Array
    lower: Array
    upper: Array
    n: int


def smaa(values: Array, weights: Array) -> Smaa:
    """SMAA-2 from draws of partial values and of weights.

    Parameters
    ----------
    values : float array, shape (draws, alternatives, criteria)
        Partial values; 0 is the worst and 1 the best end of each criterion's scale.
    weights : float array, shape (draws, criteria) or (criteria,)
        Sum to 1. One vector stands for weights that are known; central weights then say nothing and are NaN.

    Returns
    -------
    Smaa

    Examples
    --------
    >>> import numpy as np
    >>> weights = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.1, 0.9]])
    >>> result = smaa(np.array([[[1.0, 0.0], [0.0, 1.0]]] * 4), weights)
    >>> result.acceptability[0].tolist(), result.central[1].round(3).tolist()
    ([0.75, 0.25], [0.1, 0.9])
    """
    values, weights = np.asarray(values, dtype=float), np.asarray(weights, dtype=float)
    n, size, K = values.shape
    known = weights.ndim == 1
    right = weights.shape in ((K,), (n, K)) and np.allclose(weights.sum(axis=-1), 1.0, atol=1e-6)
    if not right or (weights < -1e-12).any():
        raise UsageError(f"weights need a row per draw ({n}) and a non-negative weight per criterion ({K}), of sum 1.")
    w = np.broadcast_to(weights, (n, K))
    total = np.einsum("nak,nk->na", values, w)
    acceptability, winning = _ranked(total)
    central, confidence = np.full((size, K), np.nan), np.full(size, np.nan)
    top = total == total.max(axis=1, keepdims=True)
    share = top / top.sum(axis=1, keepdims=True)
    for a in range(size):
        if known or not share[:, a].any():
            continue
        central[a] = share[:, a] @ w / share[:, a].sum()
        under = values @ central[a]
        first = under == under.max(axis=1, keepdims=True)
        confidence[a] = float((first[:, a] / first.sum(axis=1)).mean())
    lower, upper = np.quantile(total, [0.025, 0.975], axis=0)
    return Smaa(acceptability=acceptability, central=central, confidence=confidence, winning=winning,
                mean=total.mean(axis=0), lower=lower, upper=upper, n=n)  # fmt: skip


def _ranked(total: Array) -> tuple[Array, Array]:
    """Rank acceptabilities and pairwise winning indices; equal alternatives share their ranks."""
    size = total.shape[1]
    acceptability, winning = np.zeros((size, size)), np.zeros((size, size))
    ranks = np.arange(size)
    for a in range(size):
        better = (total > total[:, [a]]).sum(axis=1)
        equal = (total == total[:, [a]]).sum(axis=1)
        inside = (ranks >= better[:, None]) & (ranks < (better + equal)[:, None])
        acceptability[a] = (inside / equal[:, None]).mean(axis=0)
        winning[a] = (total[:, [a]] > total).mean(axis=0)
    return acceptability, winning


def sample_weights(criteria: int, n: int = DRAWS, preferences: Preferences | None = None, *, seed: int = 1) -> Array:
    """Weights uniform over what the preferences allow.

    Parameters
    ----------
    criteria : int
    n : int
    preferences : Preferences, optional
        Default: nothing is known.
    seed : int

    Returns
    -------
    float array, shape (n, criteria)
        The same for the same arguments.

    Raises
    ------
    UsageError
        When a preference names no criterion, or no weights satisfy all of them.

    Examples
    --------
    >>> w = sample_weights(3, 1000, Preferences(order=((2,), (0,), (1,))))
    >>> bool((w[:, 2] >= w[:, 0]).all()), bool((w[:, 0] >= w[:, 1]).all())
    (True, True)
    """
    p = preferences or Preferences()
    check(p, criteria)
    if p.weights:
        w = np.asarray(p.weights, dtype=float)
        return np.tile(w / w.sum(), (n, 1))
    rng = np.random.default_rng(seed)
    if not p.between and not p.ratios:
        return _ordered(_simplex(rng, n, criteria), p.order, rng)
    A, b = _constraints(p, criteria)
    kept: list[Array] = []
    count, tried = 0, 0
    while count < n:
        w = _ordered(_simplex(rng, _BATCH, criteria), p.order, rng)
        good = w[(w @ A.T <= b + 1e-12).all(axis=1)]
        kept.append(good)
        count, tried = count + len(good), tried + _BATCH
        if count < LEAST_KEPT * tried:
            return _hit_and_run(A, b, criteria, n, rng)
    return np.concatenate(kept)[:n]


def check(p: Preferences, criteria: int) -> None:
    """Raise UsageError for preferences that name no criterion, or whose numbers make no sense."""
    if p.weights:
        if len(p.weights) != criteria or min(p.weights) < 0 or not sum(p.weights) > 0:
            raise UsageError(f"swing weights need {criteria} numbers of 0 or more, not all 0.")
        if p.order or p.between or p.ratios:
            raise UsageError("give the weights, or what is known about them, not both.")
    named = [k for group in p.order for k in group]
    if p.order and sorted(named) != list(range(criteria)):
        raise UsageError("an order of the criteria names each of them once.")
    for k, (low, high) in p.between.items():
        if not (0 <= k < criteria and 0 <= low <= high <= 1):
            raise UsageError(
                f"bounds of a weight are two numbers from 0 to 1, the lower first, not {low:g} to {high:g}."
            )
    for (i, j), (low, high) in p.ratios.items():
        if not (0 <= i < criteria and 0 <= j < criteria and i != j and 0 <= low <= high):
            raise UsageError(f"bounds of a ratio are two numbers, the lower first, not {low:g} to {high:g}.")


def _simplex(rng: np.random.Generator, n: int, criteria: int) -> Array:
    """Uniform on the simplex: normalised exponentials."""
    w = rng.standard_exponential((n, criteria))
    return w / w.sum(axis=1, keepdims=True)


def _ordered(w: Array, order: tuple[tuple[int, ...], ...], rng: np.random.Generator) -> Array:
    """The same weights, handed out in the order of the criteria."""
    if not order:
        return w
    w = -np.sort(-w, axis=1)
    found, first = np.empty_like(w), 0
    for group in order:
        its = w[:, first : first + len(group)]
        if len(group) > 1:
            its = rng.permuted(its, axis=1)
        found[:, list(group)] = its
        first += len(group)
    return found


def _constraints(p: Preferences, criteria: int) -> tuple[Array, Array]:
    """A w <= b for bounds, ratios and order."""
    rows: list[Array] = []
    b: list[float] = []
    unit = np.eye(criteria)
    for k, (low, high) in p.between.items():
        rows += [unit[k], -unit[k]]
        b += [high, -low]
    for (i, j), (low, high) in p.ratios.items():
        rows.append(low * unit[j] - unit[i])
        b.append(0.0)
        if np.isfinite(high):
            rows.append(unit[i] - high * unit[j])
            b.append(0.0)
    for above, below in zip(p.order, p.order[1:], strict=False):
        for i in above:
            for j in below:
                rows.append(unit[j] - unit[i])
                b.append(0.0)
    return np.array(rows), np.array(b)


def _hit_and_run(A: Array, b: Array, criteria: int, n: int, rng: np.random.Generator) -> Array:
    """Uniform in the polytope A w <= b on the simplex; many chains from its centre, along the simplex."""
    from scipy.linalg import null_space
    from scipy.optimize import linprog

    A = np.vstack([A, -np.eye(criteria)])
    b = np.concatenate([b, np.zeros(criteria)])
    basis = null_space(np.ones((1, criteria)))
    size = np.linalg.norm(A @ basis, axis=1)
    found = linprog(np.r_[np.zeros(criteria), -1.0], A_ub=np.c_[A, size], b_ub=b,
                    A_eq=np.r_[np.ones(criteria), 0.0][None, :], b_eq=[1.0],
                    bounds=[(None, None)] * criteria + [(0, None)])  # fmt: skip
    if not found.success or found.x[-1] <= 1e-12:
        raise UsageError("no weights satisfy all preferences, or only a single point does. Widen the bounds.")
    w = np.tile(found.x[:-1], (min(_CHAINS, n), 1))
    draws: list[Array] = []
    step, burn = 4 * criteria, 60 * criteria
    for i in range(burn + step * int(np.ceil(n / len(w)))):
        direction = rng.standard_normal((len(w), criteria - 1)) @ basis.T
        slope, room = direction @ A.T, b - w @ A.T
        with np.errstate(divide="ignore", invalid="ignore"):
            t = room / slope
        high = np.where(slope > 1e-15, t, np.inf).min(axis=1)
        low = np.where(slope < -1e-15, t, -np.inf).max(axis=1)
        w = w + (low + (high - low) * rng.random(len(w)))[:, None] * direction
        if i >= burn and (i - burn) % step == step - 1:
            draws.append(w)
    return np.clip(np.concatenate(draws)[:n], 0.0, 1.0)


__all__ = ["Preferences", "Smaa", "check", "sample_weights", "smaa"]
