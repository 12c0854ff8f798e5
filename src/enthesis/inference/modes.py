"""Conditional modes: for given hyperparameters, the joint mode of all other parameters and the Gaussian it implies.

Newton's method in its iteratively reweighted form. With g, -h the derivatives of an arm's log density in eta, the
working response g/h + eta has variance 1/h + t (t = tau²/2, the arm's random effect); study baselines are eliminated
one by one, so a step costs time linear in studies. Two kinds of rows change from step to step: slopes on the study's
own baseline (eta is then bilinear in mu and theta), and cutpoints of ordered likelihoods, whose curvature is completed
to a square in eta so that what is left is an addition to the precision of theta.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from enthesis.models.target import ArmPart, GaussianPart, Target, spread

Array = NDArray[np.float64]

MAX_ITERATIONS = 100
#: Newton stops when no parameter of theta and no linear predictor moves by more than this
CONVERGED = 1e-8


@dataclass(frozen=True, kw_only=True)
class Modes:
    """Conditional modes at a set of hyperparameters.

    Parameters
    ----------
    h : float array, shape (nodes, H)
    theta : float array, shape (nodes, P)
    cov : float array, shape (nodes, P, P)
    log_p : float array, shape (nodes,)
        Laplace's log p(y, theta-integrated | h), up to a constant; the prior of h is not included.
    mu, b : tuples of float arrays, shape (nodes, studies) and (nodes, arms)
        Per arm part: study baselines and standardised random effects.
    converged : bool array, shape (nodes,)
    """

    h: Array
    theta: Array
    cov: Array
    log_p: Array
    mu: tuple[Array, ...]
    b: tuple[Array, ...]
    converged: NDArray[np.bool_]


class GaussianSystem:
    """Precision and right-hand side of theta given h, for the Gaussian parts of a target."""

    def __init__(self, target: Target) -> None:
        self.target = target

    def at(self, h: Array) -> tuple[Array, Array, float]:
        """(A, r, c) with log p(y | theta, h) = -theta'A theta / 2 + r'theta + c, the prior of theta not included."""
        target = self.target
        T, P = target.D.shape
        L, s, c = np.zeros(T * T), np.zeros(T), 0.0
        A, r = np.zeros((P, P)), np.zeros(P)
        for part in target.gaussian:
            V = part.V + part.between(h)
            W = np.linalg.inv(V)
            Wy = np.einsum("gij,gj->gi", W, part.y)
            c -= 0.5 * float(np.sum(Wy * part.y) + np.linalg.slogdet(V)[1].sum() + part.y.size * np.log(2 * np.pi))
            if part.X is None:
                _scatter(L, W, part, T)
                s += np.bincount(part.plus.ravel(), Wy.ravel(), T) - np.bincount(part.minus.ravel(), Wy.ravel(), T)
            else:
                A += np.einsum("gip,gij,gjq->pq", part.X, W, part.X, optimize=True)
                r += np.einsum("gip,gi->p", part.X, Wy)
        return A + target.D.T @ L.reshape(T, T) @ target.D, r + target.D.T @ s, c


def _scatter(L: Array, W: Array, part: GaussianPart, T: int) -> None:
    for left, sign in ((part.plus, 1.0), (part.minus, -1.0)):
        for right, other in ((part.plus, 1.0), (part.minus, -1.0)):
            cells = (left[:, :, None] * T + right[:, None, :]).ravel()
            L += sign * other * np.bincount(cells, W.ravel(), T * T)


class _State:
    """Everything that moves in Newton's method, for all nodes at once."""

    def __init__(self, target: Target, h: Array) -> None:
        J = len(h)
        self.target, self.h = target, h
        self.X = [target.design(part) for part in target.arms]
        self.pairs = [_arm_pairs(part, X) for part, X in zip(target.arms, self.X, strict=True)]
        self.root = [np.sqrt(part.variance(h)) for part in target.arms]
        self.prior = np.array([target.prior_precision(x) for x in h])
        self.m = target.prior_mean
        self.p0, self.m0 = target.baseline.sd**-2.0, target.baseline.mean
        system = GaussianSystem(target)
        self.fixed = [np.array(x) for x in zip(*[system.at(x) for x in h], strict=True)] if target.gaussian else None
        self.theta = np.tile(self.m, (J, 1))
        self.mu, self.b, self.eta = [], [], []
        for part in target.arms:
            eta = np.tile(part.likelihood.start(part.data), (J, 1))
            self.eta.append(eta)
            self.mu.append(np.add.reduceat(eta, part.start, axis=1) / np.bincount(part.study))
            self.b.append(np.zeros_like(eta))
            if part.cut is not None:
                self.theta[:, part.cut] = part.likelihood.start_cutpoints(part.data)

    def coefficients(self, index: int, theta: Array) -> Array:
        """Coefficient of mu - centre in each arm, shape (nodes, arms) or (1, 1)."""
        S = self.target.arms[index].S
        return np.ones((1, 1)) if S is None else 1 + theta @ S.T

    def predictors(self, theta, mu, b) -> list[Array]:
        """Linear predictors of every arm part."""
        out = []
        for i, part in enumerate(self.target.arms):
            level = self.coefficients(i, theta) * (mu[i][:, part.study] - part.centre) + part.centre
            out.append(level + theta @ self.X[i].T + self.root[i] * b[i])
        return out

    def objective(self, theta, mu, b, eta) -> Array:
        away = theta - self.m
        value = -0.5 * np.einsum("jp,jpq,jq->j", away, self.prior, away)
        for part, m, x, e in zip(self.target.arms, mu, b, eta, strict=True):
            value = value + log_density(part, e, theta).sum(1)
            value = value - 0.5 * (x**2).sum(1) - 0.5 * self.p0 * ((m - self.m0) ** 2).sum(1)
        if self.fixed is not None:
            A, r, c = self.fixed
            value = value - 0.5 * np.einsum("jp,jpq,jq->j", theta, A, theta) + (r * theta).sum(1) + c
        return value


def log_density(part: ArmPart, eta: Array, theta: Array) -> Array:
    """Log density of each arm (points, arms) without constants, cutpoints taken from theta."""
    if part.cut is None:
        return part.likelihood.log_density(part.data, eta)
    return part.likelihood.log_density(part.data, eta, theta[:, part.cut])


def conditional_modes(target: Target, h: Array) -> Modes:
    """Joint modes of all parameters at each row of h, and the Gaussian approximation of theta.

    Parameters
    ----------
    target : Target
    h : float array, shape (nodes, H)

    Returns
    -------
    Modes
    """
    s = _State(target, h)
    best = s.objective(s.theta, s.mu, s.b, s.predictors(s.theta, s.mu, s.b))
    s.eta = s.predictors(s.theta, s.mu, s.b)
    done = np.zeros(len(h), dtype=bool)
    for _ in range(MAX_ITERATIONS):
        A, r, working = _normal_equations(s)
        theta = np.linalg.solve(A, r[:, :, None])[:, :, 0]
        mu, b = _back_substitute(s, theta, working)
        theta, mu, b, eta, value = _damped(s, theta, mu, b, best)
        moved = np.abs(theta - s.theta).max(1)
        for new, old in zip(eta, s.eta, strict=True):
            moved = np.maximum(moved, np.abs(new - old).max(1))
        s.theta, s.mu, s.b, s.eta, best = theta, mu, b, eta, value
        done = moved < CONVERGED
        if done.all():
            break
    A, _, working = _normal_equations(s)
    cov = np.linalg.inv(A)
    log_p = best - 0.5 * np.linalg.slogdet(A)[1]
    for penalty in target.penalties:
        log_p = log_p - penalty.rank * np.log(spread(h[:, penalty.hyper]))
    for i in range(len(target.arms)):
        log_p = log_p - 0.5 * np.log1p(s.root[i] ** 2 * working[i].h).sum(1) - 0.5 * np.log(working[i].sw / s.p0).sum(1)
    return Modes(h=h, theta=s.theta, cov=0.5 * (cov + cov.transpose(0, 2, 1)), log_p=log_p, mu=tuple(s.mu),
                 b=tuple(s.b), converged=done)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class _Working:
    """Working data of one part in one Newton step."""

    z: Array
    w: Array
    h: Array
    X: Array
    slope: Array
    sw: Array
    swz: Array


#: below this many parameters dense products are as quick as sparse ones
_SPARSE_FROM = 12


@dataclass(frozen=True, kw_only=True)
class _ArmPairs:
    """Products of the design's rows of two arms of one study, which are sparse: an arm knows two treatments.

    The precision of theta is the sum over studies of x_a' M_ab x_b with M = diag(w) - w w' / sum(w), linear in M.

    Parameters
    ----------
    a, b, study : int arrays, shape (pairs,)
    products : sparse array, shape (pairs, P * P)
    """

    a: NDArray[np.int64]
    b: NDArray[np.int64]
    study: NDArray[np.int64]
    products: csr_array

    def precision(self, w: Array, sw: Array) -> Array:
        """The addition of the part to the precision, shape (nodes, P, P)."""
        M = -w[:, self.a] * w[:, self.b] / sw[:, self.study]
        same = self.a == self.b
        M[:, same] += w[:, self.a[same]]
        P = round(self.products.shape[1] ** 0.5)
        return (M @ self.products).reshape(len(w), P, P)


def _arm_pairs(part: ArmPart, X: Array) -> _ArmPairs | None:
    """The pairs of a part whose design stays as it is and is mostly zeros; None for others."""
    P = X.shape[1]
    filled = np.count_nonzero(X, axis=1)
    if part.S is not None or part.cut is not None or P < _SPARSE_FROM or filled.max(initial=0) > 6:
        return None
    size = np.bincount(part.study)
    a = np.repeat(np.arange(len(part.study)), size[part.study])
    b = np.arange(len(a)) - np.repeat(np.cumsum(size[part.study]) - size[part.study], size[part.study])
    b = b + part.start[part.study[a]]
    row, column = np.nonzero(X)
    first = np.cumsum(filled) - filled
    # every nonzero of arm a with every nonzero of arm b
    count = filled[a] * filled[b]
    pair = np.repeat(np.arange(len(a)), count)
    within = np.arange(len(pair)) - np.repeat(np.cumsum(count) - count, count)
    left = first[a[pair]] + within // filled[b[pair]]
    right = first[b[pair]] + within % filled[b[pair]]
    value = X[row[left], column[left]] * X[row[right], column[right]]
    products = csr_array((value, (pair, column[left] * P + column[right])), shape=(len(a), P * P))
    return _ArmPairs(a=a, b=b, study=part.study[a], products=products)


def _normal_equations(s: _State) -> tuple[Array, Array, list[_Working]]:
    """Weighted least squares for theta, study baselines eliminated."""
    target = s.target
    A = s.prior.copy()
    r = s.prior @ s.m
    if s.fixed is not None:
        A += s.fixed[0]
        r += s.fixed[1]
    working = []
    for i, part in enumerate(target.arms):
        g, h, X = _local_quadratic(s, i, A, r)
        slope = s.coefficients(i, s.theta)
        z = g / h + _matvec(X, s.theta) + slope * s.mu[i][:, part.study] + s.root[i] * s.b[i]
        w = 1 / (1 / h + s.root[i] ** 2)
        sw = np.add.reduceat(w * slope**2, part.start, axis=1) + s.p0
        swz = np.add.reduceat(w * slope * z, part.start, axis=1) + s.p0 * s.m0
        working.append(_Working(z=z, w=w, h=h, X=X, slope=slope, sw=sw, swz=swz))
        if s.pairs[i] is not None:
            A += s.pairs[i].precision(w, sw)
            r += (w * (z - (swz / sw)[:, part.study])) @ s.X[i]
            continue
        wX = w[:, :, None] * X
        U = np.add.reduceat(slope[:, :, None] * wX, part.start, axis=1)
        A += np.swapaxes(np.broadcast_to(X, wX.shape), 1, 2) @ wX - np.swapaxes(U, 1, 2) @ (U / sw[:, :, None])
        r += np.einsum("jnp,jn->jp", wX, z) - np.einsum("jsp,js->jp", U, swz / sw)
    return A, r, working


def _local_quadratic(s: _State, i: int, A: Array, r: Array) -> tuple[Array, Array, Array]:
    """Gradient and curvature of each arm in eta, and its working design; cutpoints add to A and r."""
    part = s.target.arms[i]
    X = s.X[i][None]
    if part.S is not None:
        X = X + (s.mu[i][:, part.study] - part.centre)[:, :, None] * part.S
    if part.cut is None:
        g, h = part.likelihood.derivatives(part.data, s.eta[i])
        return g, np.maximum(h, 1e-12), X
    cut = part.cut
    z = s.theta[:, cut]
    g, h, gz, c, E = part.likelihood.derivatives(part.data, s.eta[i], z)
    h = np.maximum(h, 1e-12)
    X = np.repeat(X, len(z), axis=0) if X.shape[0] == 1 else X.copy()
    X[:, :, cut] += c / h[:, :, None]
    left = (E - c[:, :, :, None] * c[:, :, None, :] / h[:, :, None, None]).sum(1)
    A[:, cut[:, None], cut[None, :]] += left
    r[:, cut] += (gz - c * (g / h)[:, :, None]).sum(1) + np.einsum("jcd,jd->jc", left, z)
    return g, h, X


def _back_substitute(s: _State, theta: Array, working: list[_Working]) -> tuple[list[Array], list[Array]]:
    mu, b = [], []
    for i, (part, k) in enumerate(zip(s.target.arms, working, strict=True)):
        fit = _matvec(k.X, theta)
        m = (np.add.reduceat(k.w * k.slope * (k.z - fit), part.start, axis=1) + s.p0 * s.m0) / k.sw
        mu.append(m)
        b.append(s.root[i] * k.w * (k.z - fit - k.slope * m[:, part.study]))
    return mu, b


def _damped(s: _State, theta, mu, b, best):
    """The Newton step, halved for the nodes in which it makes the objective worse."""
    step = np.ones((len(theta), 1))
    for _ in range(30):
        t = s.theta + step * (theta - s.theta)
        m = [old + step * (new - old) for old, new in zip(s.mu, mu, strict=True)]
        x = [old + step * (new - old) for old, new in zip(s.b, b, strict=True)]
        eta = s.predictors(t, m, x)
        with np.errstate(over="ignore", invalid="ignore"):
            value = s.objective(t, m, x, eta)
        worse = ~(value >= best - 1e-9 * (1 + np.abs(best)))
        if not worse.any():
            break
        step[worse] *= 0.5
    return t, m, x, eta, value


def _matvec(X: Array, theta: Array) -> Array:
    """X theta for a static (1, N, P) or moving (J, N, P) design."""
    return theta @ X[0].T if X.shape[0] == 1 else np.einsum("jnp,jp->jn", X, theta)
