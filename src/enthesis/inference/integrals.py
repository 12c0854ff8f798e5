"""Study-level parameters integrated out by nested adaptive Gauss-Hermite quadrature.

Given theta and h, the likelihood of study i is

    Z_i = ∫ dmu Π_k ∫ p(y_k | c_k (mu - m) + m + x_k'theta + sqrt(t_k) b_k) Normal(b_k; 0, 1) db_k,   t = tau² / 2,

with the baseline prior Normal(eta_1; m0, s0²) attached to the first arm (eta_1 is the study's baseline; c_1 = 1). Given
mu the arms are independent, so the cost is linear in arms. Nodes are centred at the conditional mode and scaled by the
curvature there (Liu Q & Pierce DA, Biometrika 1994;81:624), so a few suffice; the inner centre moves with mu along the
regression of b on mu. Without random effects the inner integral is one point.

A study without events (or with events in all) has a likelihood that is flat towards one side of mu, and no single
scale fits both. For such studies the outer integral is taken on each side of the mode by itself, over the
distance in which the integrand falls (profiled over b), and the inner centre is found anew at every node.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from enthesis.inference.plain_integrals import OFF_CENTRE, Reach, doubted, hermite, plain_integrals
from enthesis.inference.surface import on_surface, worthwhile
from enthesis.models.target import ArmPart, Target

Array = NDArray[np.float64]

#: (nodes for mu, nodes for b), coarse to fine; each is finer than the one before in both, so that their difference
#: shows the error of either integral
RULES: tuple[tuple[int, int], ...] = ((3, 2), (5, 3), (7, 5), (9, 7), (13, 9), (21, 15), (31, 21))
#: a centre has been found when it moves by less
CENTRED = 1e-6
#: Newton steps to a centre from a start that is not near it
DISTANT_STEPS = 30
#: Newton steps to the centres that were not found so
LONG_SEARCH = 400
#: points whose median baseline starts the search for the centres of a surface
STARTS = 50
#: values held in memory at once: of intermediate results, and of the predictors of studies that are taken together
CHUNK, HELD = 500_000, 4_000_000
#: Gauss-Legendre nodes on each side of the mode of a study with a flat side, and how many scales they reach
SIDE_NODES, SIDE_REACH = 12, 7.0


@dataclass(frozen=True, kw_only=True)
class Centres:
    """Starting points for the centres of the quadrature: modes of mu and b per arm part.

    Parameters
    ----------
    mu : tuple of float arrays, shape (rows, studies)
    b : tuple of float arrays, shape (rows, arms)
    row : int array, shape (points,), or None
        The row where each point starts; None: a row for each point.
    steps : int
        Newton steps from here to the centres; few when these are modes near the points.
    """

    mu: tuple[Array, ...]
    b: tuple[Array, ...]
    row: NDArray[np.int64] | None = None
    steps: int = 30


def log_marginal(target: Target, theta: Array, h: Array, centres: Centres, rule: tuple[int, int]) -> Array:
    """log p(y | theta, h), all study-level parameters integrated out.

    Parameters
    ----------
    target : Target
    theta : float array, shape (points, P)
    h : float array, shape (points, H)
    centres : Centres
    rule : (int, int)
        Nodes for mu and for b.

    Returns
    -------
    float array, shape (points,)
        -inf where the data are impossible, NaN where the centre of a study's integral was not found.
    """
    return sum((x.sum(1) for x in by_study(target, theta, h, centres, rule)), gaussian_log_density(target, theta, h))


def by_study(target: Target, theta: Array, h: Array, centres: Centres, rule: tuple[int, int]) -> list[Array]:
    """log Z_i of every study of every arm part: arrays of shape (points, studies)."""
    out = []
    row = np.arange(len(theta)) if centres.row is None else centres.row
    for index, part in enumerate(target.arms):
        found = np.empty((len(theta), len(part.start)))
        for sparse, studies in _pieces(part, len(theta)):
            wanted = np.zeros(len(part.start), dtype=bool)
            wanted[studies] = True
            piece = _Piece(target, _restricted(target, part, wanted), rule, sparse)
            mu, b = centres.mu[index][:, wanted], centres.b[index][:, wanted[part.study]]
            # far out in the tails numbers overflow; what comes of it is -inf, or NaN, which is looked for
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                found[:, wanted] = piece.at(theta, h, mu, b, row, centres.steps)
                # few points are so far out that their centres need a longer search, which must not keep all others
                far = np.flatnonzero(np.isnan(found[:, wanted]).any(axis=1))
                if len(far) and centres.steps < LONG_SEARCH:
                    found[np.ix_(far, wanted)] = piece.at(theta[far], h[far], mu, b, row[far], LONG_SEARCH)
        out.append(found)
    return out


def _pieces(part: ArmPart, points: int) -> Iterator[tuple[bool, NDArray[np.int64]]]:
    """Studies of one size and one kind of integral, as many at a time as memory allows: whether sparse, positions."""
    sparse, size = sparse_studies(part), np.bincount(part.study)
    for flag in (False, True):
        for k in np.unique(size[sparse == flag]):
            studies = np.flatnonzero((sparse == flag) & (size == k))
            step = max(1, HELD // (points * int(k)))
            for i in range(0, len(studies), step):
                yield flag, studies[i : i + step]


def on_surfaces(target: Target, points: int) -> bool:
    """Whether all study integrals are read off surfaces at this many points, which makes them cheap."""
    for part in target.arms:
        tau = part.tau[0]
        if part.S is not None or part.cut is not None or part.share is not None or (part.tau != tau).any():
            return False
        sizes = np.unique(np.bincount(part.study)) - 1 + (tau >= 0)
        if sparse_studies(part).any() or not all(worthwhile(points, int(axes)) for axes in sizes):
            return False
    return True


def sparse_studies(part: ArmPart) -> NDArray[np.bool_]:
    """Whether the arms of each study leave its baseline without a bound on one side, shape (studies,).

    That is so when no arm has an event, or all arms have only events; one other arm bounds the baseline, unless its
    predictor hardly depends on the baseline, as may be when effects are regressed on it.
    """
    side = part.likelihood.flat_side(part.data)
    if part.S is not None:
        return np.logical_or.reduceat(side != 0, part.start)
    below, above = (np.logical_and.reduceat(side == s, part.start) for s in (-1, 1))
    return below | above


def _restricted(target: Target, part: ArmPart, studies: NDArray[np.bool_]) -> ArmPart:
    """The part with some of its studies only, its design written out."""
    arms = studies[part.study]
    study = np.cumsum(np.r_[0, np.diff(part.study[arms]) != 0])
    return replace(
        part,
        data={name: x[arms] for name, x in part.data.items()},
        start=np.flatnonzero(np.r_[True, np.diff(study) != 0]),
        study=study,
        plus=part.plus[arms],
        minus=part.minus[arms],
        label=part.label[studies],
        tau=part.tau[arms],
        X=target.design(part)[arms],
        S=None if part.S is None else part.S[arms],
        share=None if part.share is None else part.share[arms],
    )


class _Piece:
    """Studies of one size and one kind of integral."""

    def __init__(self, target: Target, part: ArmPart, rule: tuple[int, int], sparse: bool) -> None:
        self.target, self.part, self.rule, self.sparse = target, part, rule, sparse
        self.k = len(part.study) // len(part.start)
        self.random = bool((part.tau >= 0).any())

    def at(self, theta: Array, h: Array, mu: Array, b: Array, row: NDArray[np.int64], steps: int) -> Array:
        """log Z at every point, from surfaces where they can be had, shape (points, studies); `row` as in `Centres`."""
        part, S = self.part, len(self.part.start)
        one_tau = part.share is None and (part.tau == part.tau[0]).all()
        if part.S is not None or part.cut is not None or not one_tau:
            slope = np.ones((len(theta), len(part.study))) if part.S is None else 1 + theta @ part.S.T
            shift = theta @ part.X.T + part.centre * (1 - slope)
            cut = None if part.cut is None else theta[:, part.cut]
            return self.direct(part, shift, slope, cut, np.sqrt(part.variance(h)), mu[row], b[row], steps=steps)
        shift = theta @ part.X.T
        root = h[:, part.tau[0]] * 0.5**0.5 if self.random else np.zeros(len(h))
        if not worthwhile(len(theta), self.k - 1 + self.random):
            return self.plain(part, shift, root, mu[row], b[row], steps=steps)
        # a start is enough: every centre is searched to the end
        middle = np.median(mu[row[:: max(1, len(row) // STARTS)]], axis=0)

        def integral(shift: Array, root: Array, studies: NDArray[np.int64]) -> Array:
            keep = np.zeros(S, dtype=bool)
            keep[studies] = True
            sub = part if keep.all() else _restricted(self.target, part, keep)
            n = len(shift)
            wide = shift.reshape(n, -1)
            return self.plain(
                sub, wide, root, np.tile(middle[studies], (n, 1)), np.zeros_like(wide), steps=DISTANT_STEPS
            )

        return on_surface(integral, shift.reshape(len(theta), S, self.k), root if self.random else None)

    def plain(self, part: ArmPart, shift, root, mu, b, *, steps: int) -> Array:
        """log Z without slopes and cutpoints, with one tau; `root` has shape (points,)."""
        if self.sparse:
            wide = np.broadcast_to(root[:, None], shift.shape)
            return self.direct(part, shift, np.ones_like(shift), None, wide, mu, b, steps=steps)
        baseline = self.target.baseline
        rule = (self.rule[0], self.rule[1] if self.random else 1)
        return plain_integrals(part, shift, root, mu, b, (baseline.mean, baseline.sd), rule, steps)

    def direct(self, part: ArmPart, shift, slope, cut, root, mu, b, *, steps: int) -> Array:
        """log Z by quadrature, a chunk of points at a time."""
        inner = self.rule[1] if self.random else 1
        outer = 2 * SIDE_NODES if self.sparse else self.rule[0]
        size = max(1, CHUNK // (shift.shape[1] * outer * inner))
        integrals = _sparse_integrals if self.sparse else _study_integrals
        chunks = []
        for i in range(0, len(shift), size):
            s = slice(i, i + size)
            z = None if cut is None else cut[s]
            chunks.append(
                integrals(
                    self.target, part, shift[s], slope[s], z, root[s], mu[s], b[s], self.rule[0], inner, steps=steps
                )
            )
        return np.concatenate(chunks)


def gaussian_log_density(target: Target, theta: Array, h: Array) -> Array:
    """log p(y | theta, h) of the Gaussian parts, shape (points,)."""
    return sum((x.sum(1) for x in gaussian_by_study(target, theta, h)), np.zeros(len(theta)))


def gaussian_by_study(target: Target, theta: Array, h: Array) -> list[Array]:
    """log p(y_i | theta, h) of every study of every Gaussian part: arrays of shape (points, studies)."""
    out = []
    for part in target.gaussian:
        X = target.design(part)
        found = np.empty((len(theta), len(part.y)))
        step = max(1, CHUNK // part.V.size)
        for i in range(0, len(theta), step):
            s = slice(i, i + step)
            V = part.V + np.stack([part.between(x) for x in h[s]])
            residual = part.y - np.tensordot(theta[s], X, axes=(1, 2))
            solved = np.linalg.solve(V, residual[..., None])[..., 0]
            found[s] = -0.5 * ((residual * solved).sum(2) + np.linalg.slogdet(V)[1] + part.y.shape[1] * _LOG_2PI)
        out.append(found)
    return out


def _study_integrals(target, part: ArmPart, shift, slope, cut, root, mu, b, n_mu: int, n_b: int, steps: int) -> Array:
    """log Z, shape (points, studies); `shift`, `slope`, `root` have shape (points, arms)."""
    _, log_mu, _, found = _nodes(target, part, shift, slope, cut, root, mu, b, n_mu, n_b, steps)
    constant = np.add.reduceat(part.likelihood.constant(part.data), part.start)
    return doubted(_log_sum_exp(log_mu) + constant, found)


def _nodes(target, part: ArmPart, shift, slope, cut, root, mu, b, n_mu: int, n_b: int, steps: int):
    """Linear predictors at all nodes (points, arms, n_mu, n_b) and log weights: of mu's nodes, of b's nodes given mu's.

    The weights of mu's nodes, shape (points, studies, n_mu), sum to Z without its constant. Last, whether the centre of
    each study was found.
    """
    p0, m0 = target.baseline.sd**-2.0, target.baseline.mean
    t = root**2
    mu, b, curvature, sw, found = _local_mode(part, shift, slope, cut, root, mu, b, p0, m0, steps)
    x, w = hermite(n_mu)
    sd_mu = 1 / np.sqrt(sw)
    # linear predictor at the nodes of mu, less its value at the mode: (points, arms, n_mu)
    away = np.sqrt(2.0) * (slope * sd_mu[:, part.study])[:, :, None] * x
    eta = ((slope * mu[:, part.study] + shift)[:, :, None] + away)[..., None]
    if n_b == 1:
        value = _with_prior(part, eta, cut, p0, m0)
        log_i = value[..., 0]
    else:
        y, v = hermite(n_b)
        var_b = 1 / (1 + t * curvature)
        centre = b[:, :, None] - (root * curvature * var_b)[:, :, None] * away
        scale = np.sqrt(2 * var_b)
        bb = centre[..., None] + scale[:, :, None, None] * y
        eta = eta + root[:, :, None, None] * bb
        value = _with_prior(part, eta, cut, p0, m0)
        value += np.log(v) + y**2 - 0.5 * bb**2
        log_i = _log_sum_exp(value) + np.log(scale)[:, :, None] - 0.5 * _LOG_2PI
    log_mu = np.add.reduceat(log_i, part.start, axis=1) + np.log(w) + x**2
    return eta, log_mu + 0.5 * np.log(2.0) + np.log(sd_mu)[:, :, None], value, found


def default_centres(target: Target, points: int) -> Centres:
    """Centres to start from when no modes are at hand."""
    mu, b = [], []
    for part in target.arms:
        eta = part.likelihood.start(part.data)
        mu.append(np.tile(np.add.reduceat(eta, part.start) / np.bincount(part.study), (points, 1)))
        b.append(np.zeros((points, len(eta))))
    return Centres(mu=tuple(mu), b=tuple(b), steps=DISTANT_STEPS)


def arm_nodes(target: Target, part: ArmPart, theta: Array, h: Array, rule: tuple[int, int]):
    """Nodes of one part's integrals and their log weights, as `_nodes` gives them, at points without known modes."""
    slope = np.ones((len(theta), len(part.study))) if part.S is None else 1 + theta @ part.S.T
    shift = theta @ target.design(part).T + part.centre * (1 - slope)
    root = np.sqrt(part.variance(h))
    cut = None if part.cut is None else theta[:, part.cut]
    index = next(i for i, p in enumerate(target.arms) if p is part)
    centres = default_centres(target, len(theta))
    inner = rule[1] if (part.tau >= 0).any() else 1
    return _nodes(
        target, part, shift, slope, cut, root, centres.mu[index], centres.b[index], rule[0], inner, steps=DISTANT_STEPS
    )


def _sparse_integrals(target, part: ArmPart, shift, slope, cut, root, mu, b, n_mu: int, n_b: int, steps: int) -> Array:
    """log Z for studies with a flat side; same arguments and result as `_study_integrals`."""
    p0, m0 = target.baseline.sd**-2.0, target.baseline.mean
    mu, b, _, sw, found = _local_mode(part, shift, slope, cut, root, mu, b, p0, m0, steps=max(steps, 20))

    def profile(m: Array, start: Array) -> tuple[Array, Array]:
        """Log integrand at mu = m with each b at its mode, shape (points, studies); the modes."""
        base = slope * m[:, part.study] + shift
        bb, _ = _inner_mode(part, base, cut, root, start)
        value = _with_prior(part, base + root * bb, cut, p0, m0) - 0.5 * bb**2
        return np.add.reduceat(value, part.start, axis=1), bb

    top, b = profile(mu, b)
    unit = 1 / np.sqrt(sw)
    x, w = np.polynomial.legendre.leggauss(SIDE_NODES)
    position, weight = 0.5 * SIDE_REACH * (x + 1), 0.5 * SIDE_REACH * w
    pieces = []
    for side in (-1.0, 1.0):
        scale = _side_scale(profile, mu, b, top, side * unit)
        start = b
        for p, q in zip(position, weight, strict=True):
            m = mu + side * scale * p
            base = slope * m[:, part.study] + shift
            log_i, start = _inner_integral(part, base, cut, root, start, p0, m0, n_b)
            pieces.append(np.add.reduceat(log_i, part.start, axis=1) + np.log(q * scale))
    constant = np.add.reduceat(part.likelihood.constant(part.data), part.start)
    return doubted(_log_sum_exp(np.stack(pieces, axis=-1)) + constant, found)


def _side_scale(profile, mu, b, top, unit) -> Array:
    """Distance in which the log integrand falls by 2, halved: 1 standard deviation, were it Gaussian on this side."""
    steps = np.array([0.06, 0.12, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0])
    fall = []
    for step in steps:
        value, b = profile(mu + step * unit, b)
        fall.append(top - value)
    fall = np.maximum.accumulate(np.stack(fall), axis=0)
    beyond = np.clip((fall < 2.0).sum(0), 1, len(steps) - 1)
    lo, hi = (np.take_along_axis(fall, (beyond - k)[None], 0)[0] for k in (1, 0))
    share = np.clip((2.0 - lo) / np.maximum(hi - lo, 1e-12), 0.0, 1.0)
    return 0.5 * np.abs(unit) * (steps[beyond - 1] + share * (steps[beyond] - steps[beyond - 1]))


def _inner_mode(part: ArmPart, base, cut, root, b) -> tuple[Array, Array]:
    """Mode of b in each arm at a fixed linear predictor `base`, and the curvature of the likelihood there."""
    for _ in range(6):
        g, h = _derivatives(part, base + root * b, cut)
        step = (root * g - b) / (1 + root**2 * h)
        b = b + np.clip(step, -2.0, 2.0)
    return b, _derivatives(part, base + root * b, cut)[1]


def _inner_integral(part: ArmPart, base, cut, root, b, p0, m0, n_b: int) -> tuple[Array, Array]:
    """Log of the integral over b in each arm (points, arms), and the modes."""
    if n_b == 1:
        return _with_prior(part, base, cut, p0, m0), b
    b, h = _inner_mode(part, base, cut, root, b)
    y, v = hermite(n_b)
    scale = np.sqrt(2 / (1 + root**2 * h))
    bb = b[:, :, None] + scale[:, :, None] * y
    value = _with_prior(part, base[:, :, None] + root[:, :, None] * bb, cut, p0, m0)
    return _log_sum_exp(value + np.log(v) + y**2 - 0.5 * bb**2) + np.log(scale) - 0.5 * _LOG_2PI, b


def _derivatives(part: ArmPart, eta, cut) -> tuple[Array, Array]:
    """First and negative second derivative in eta, the second kept above zero."""
    found = (
        part.likelihood.derivatives(part.data, eta) if cut is None else part.likelihood.derivatives(part.data, eta, cut)
    )
    return found[0], np.maximum(found[1], 1e-10)


def _with_prior(part: ArmPart, eta: Array, cut: Array | None, p0: float, m0: float) -> Array:
    """Log density of each arm at eta (points, arms, ...), the baseline prior added to first arms."""
    extra = (1,) * (eta.ndim - 2)
    if cut is None:
        data = {name: x.reshape(1, -1, *extra) for name, x in part.data.items()}
        value = part.likelihood.log_density(data, eta)
    else:
        value = part.likelihood.log_density(part.data, eta, cut)
    value[:, part.start] += 0.5 * np.log(p0) - 0.5 * _LOG_2PI - 0.5 * p0 * (eta[:, part.start] - m0) ** 2
    return value


def _local_mode(part: ArmPart, shift, slope, cut, root, mu, b, p0, m0, steps: int):
    """Mode of (mu, b) given theta and h by Newton steps, curvatures there, and whether it was found (points, studies).

    A centre need not be exact, but one that is standard deviations off makes an integral that looks converged and is
    not; so the step that would come next is looked at.
    """

    def step(mu, b):
        g, h = _derivatives(part, slope * mu[:, part.study] + shift + root * b, cut)
        z = g / h + slope * mu[:, part.study] + root * b
        w = 1 / (1 / h + root**2)
        sw = np.add.reduceat(w * slope**2, part.start, axis=1) + p0
        along = (np.add.reduceat(w * slope * z, part.start, axis=1) + p0 * m0) / sw - mu
        return along, w, z, h, sw

    reach = Reach(mu.shape)
    for _ in range(steps):
        along, w, z, _, _ = step(mu, b)
        # see `plain_integrals`: the step of the study is cut, not the residual of an arm
        along = reach.cut(along)
        mu = mu + along
        limit = reach.longest[:, part.study]
        change = np.clip(root * w * (z - slope * mu[:, part.study]) - b, -limit, limit)
        b = b + change
        if np.abs(along).max() < CENTRED and np.abs(change).max() < CENTRED:
            break
    along, w, z, h, sw = step(mu, b)
    change = np.abs(root * w * (z - slope * (mu + along)[:, part.study]) - b) * np.sqrt(1 + root**2 * h)
    found = (np.abs(along) * np.sqrt(sw) < OFF_CENTRE) & (np.maximum.reduceat(change, part.start, axis=1) < OFF_CENTRE)
    return mu, b, h, sw, found


def _log_sum_exp(values: Array) -> Array:
    """Over the last axis; -inf where all values are."""
    top = values.max(axis=-1)
    top = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        return top + np.log(np.exp(values - top[..., None]).sum(axis=-1))


_LOG_2PI = float(np.log(2 * np.pi))
