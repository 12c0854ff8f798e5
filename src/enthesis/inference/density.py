"""The joint log density of a target and its gradient, in coordinates that are free on the real line.

A point x holds, in this order,

- z (P): theta = prior mean + (A_0 + Σ_j h_j A_j) z. Members of a hierarchy are not centred: what is sampled is their
  standardised distance from its mean (Papaspiliopoulos O et al., Stat Sci 2007;22:59). All others are theta itself;
- one number for each hyperparameter, log(h - lower), or the logit of h's place between two finite bounds;
- for each arm part: one number for each study baseline mu, then one for each random effect b, both standardised by what
  the arms of the study themselves tell about them (see `_Arms`).

log p(x) = log p(y | theta, mu, b, h) + log p(eta_1) + log p(b) + log p(z) + log p(h) + log |d(mu, b, h)/dx|, with the
study effects of Gaussian parts integrated out in closed form. The gradient is written out by hand from the derivatives
that each likelihood gives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit

from enthesis.models.target import ArmPart, GaussianPart, Penalty, Target, arm_variance

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

#: step of the central difference that gives the derivative of a prior of a standard deviation in its free coordinate
PRIOR_STEP = 1e-5


@dataclass(frozen=True, kw_only=True)
class Point:
    """The parameters at a set of points.

    Parameters
    ----------
    theta : float array, shape (points, P)
    h : float array, shape (points, H)
    mu : tuple of float arrays, shape (points, studies)
    b : tuple of float arrays, shape (points, arms)
        Zero for arms without a random effect.
    """

    theta: Array
    h: Array
    mu: tuple[Array, ...]
    b: tuple[Array, ...]


class JointDensity:
    """The log density of all parameters of a target, and its gradient.

    Parameters
    ----------
    target : Target

    Examples
    --------
    >>> from enthesis.models.priors import HalfNormal
    >>> from enthesis.models.target import Hyper
    >>> prior_only = Target(D=np.zeros((1, 0)), names=(), prior_mean=np.zeros(0), prior_sd=np.zeros(0),
    ...                     hypers=(Hyper(name="tau", prior=HalfNormal(1)),))
    >>> value, gradient = JointDensity(prior_only)(np.zeros((1, 1)))
    >>> round(float(value[0]), 4), bool(abs(gradient[0, 0]) < 1e-9)
    (-0.7258, True)
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self.P, self.H = target.size, len(target.hypers)
        self.scale, self.free_sd, self.centred = _scales(target)
        self.parts = [_Arms(part, target.design(part), target) for part in target.arms]
        self.groups = [_Group(part, target.design(part), self.H) for part in target.gaussian]
        at = self.P + self.H
        for part in self.parts:
            at = part.place(at)
        self.size = at
        self._low = np.array([x.prior.support[0] for x in target.hypers])
        high = np.array([x.prior.support[1] for x in target.hypers])
        self._bounded = np.isfinite(high)
        self._width = np.where(self._bounded, high - self._low, 1.0)
        self._precision = self.free_sd**-2.0

    def hypers(self, free: Array) -> tuple[Array, Array, Array, Array]:
        """(h, dh/dx, log |dh/dx|, its derivative in x) at free coordinates, shapes (points, H)."""
        if not self._bounded.any():
            grown = np.exp(free)
            return self._low + grown, grown, free, np.ones_like(free)
        p = expit(free)
        grown = np.exp(np.where(self._bounded, 0.0, free))
        h = self._low + np.where(self._bounded, self._width * p, grown)
        slope = np.where(self._bounded, self._width * p * (1 - p), grown)
        log_slope = np.where(self._bounded, np.log(self._width) + log_expit(free) + log_expit(-free), free)
        return h, slope, log_slope, np.where(self._bounded, 1 - 2 * p, 1.0)

    def point(self, x: Array) -> Point:
        """Parameters at x, shape (points, size)."""
        z, h = x[:, : self.P], self.hypers(x[:, self.P : self.P + self.H])[0]
        theta = self._theta(z, h)
        effects = [part.effects(x, theta, h) for part in self.parts]
        return Point(theta=theta, h=h, mu=tuple(mu for mu, _ in effects), b=tuple(b for _, b in effects))

    def start(self, rng: np.random.Generator, points: int) -> Array:
        """Scattered starting points, shape (points, size).

        Study-level coordinates are standard normal; effects have a spread of 1, or their prior's if that is narrower;
        hyperparameters lie in the middle 80 % of their prior, between 0.05 and 2.
        """
        x = rng.standard_normal((points, self.size))
        x[:, : self.P] *= np.minimum(self.free_sd, 1.0)
        for j, hyper in enumerate(self.target.hypers):
            low, high = np.clip(hyper.prior.quantile(np.array([0.1, 0.9])), 0.05, 2.0)
            h = rng.uniform(low, max(high, 1.01 * low), points)
            if self._bounded[j]:
                share = np.clip((h - self._low[j]) / self._width[j], 0.01, 0.99)
                x[:, self.P + j] = np.log(share / (1 - share))
            else:
                x[:, self.P + j] = np.log(np.maximum(h - self._low[j], 1e-3))
        for part in self.target.arms:
            if part.cut is not None:
                x[:, part.cut] = part.likelihood.start_cutpoints(part.data)
        return x

    def __call__(self, x: Array) -> tuple[Array, Array]:
        """Log density (points,) and gradient (points, size) at x, shape (points, size); -inf where it has no value."""
        with np.errstate(all="ignore"):
            value, gradient = self._evaluated(x)
        bad = ~(np.isfinite(value) & np.isfinite(gradient).all(1))
        if bad.any():
            value = np.where(bad, -np.inf, value)
            gradient[bad] = 0.0
        return value, gradient

    def _evaluated(self, x: Array) -> tuple[Array, Array]:
        target = self.target
        z = x[:, : self.P]
        h, slope, log_slope, bend = self.hypers(x[:, self.P : self.P + self.H])
        theta = self._theta(z, h)
        gradient = np.empty_like(x)
        g_theta, g_h = np.zeros_like(theta), np.zeros_like(h)
        value = log_slope.sum(1) - 0.5 * (z**2 @ self._precision)
        for penalty in self.centred:
            away = theta - target.prior_mean
            sd = h[:, penalty.hyper]
            pulled = away @ penalty.K
            square = (away * pulled).sum(1)
            value += -0.5 * square / sd**2 - penalty.rank * np.log(sd)
            g_theta -= pulled / sd[:, None] ** 2
            g_h[:, penalty.hyper] += square / sd**3 - penalty.rank / sd
        for group in self.groups:
            value += group.add(theta, h, g_theta, g_h)
        for part in self.parts:
            value += part.add(x, theta, h, gradient, g_theta, g_h)
        for j, hyper in enumerate(target.hypers):
            p, dp = _prior(hyper.prior, h[:, j], slope[:, j])
            value += p
            g_h[:, j] += dp
        gradient[:, : self.P] = self.scale.pull(g_theta, h) - self._precision * z
        g_h += self.scale.in_h(z, g_theta)
        gradient[:, self.P : self.P + self.H] = g_h * slope + bend
        return value, gradient

    def _theta(self, z: Array, h: Array) -> Array:
        return self.target.prior_mean + self.scale.push(z, h)


class _Scale:
    """theta - prior mean = (A_0 + Σ_j h_j A_j) z."""

    def __init__(self, A0: Array, by_hyper: dict[int, Array], H: int) -> None:
        self.A0, self.by_hyper, self.H = A0, by_hyper, H
        self.plain = not by_hyper and np.array_equal(A0, np.eye(len(A0)))

    def push(self, z: Array, h: Array) -> Array:
        """z → theta - prior mean."""
        if self.plain:
            return z
        return z @ self.A0.T + sum(h[:, [j]] * (z @ A.T) for j, A in self.by_hyper.items())

    def pull(self, g: Array, h: Array) -> Array:
        """Gradient in theta → gradient in z."""
        if self.plain:
            return g
        return g @ self.A0 + sum(h[:, [j]] * (g @ A) for j, A in self.by_hyper.items())

    def in_h(self, z: Array, g: Array) -> Array | float:
        """Gradient in h through the scale of theta."""
        if not self.by_hyper:
            return 0.0
        out = np.zeros((len(z), self.H))
        for j, A in self.by_hyper.items():
            out[:, j] = ((z @ A.T) * g).sum(1)
        return out


def _scales(target: Target) -> tuple[_Scale, Array, tuple[Penalty, ...]]:
    """The map from z to theta, the prior sd of each z, and the penalties that stay centred.

    A penalty is taken out of the prior when the parameters without a prior of their own that it touches (members) are
    as many as its rank and no other penalty touches them: given the rest, away = theta - prior mean, they are then
    Normal(-K_mm^-1 K_mr away_r, h² K_mm^-1), and nothing else of the penalty is left.
    """
    P = target.size
    A0, by_hyper = np.eye(P), {}
    free_sd = target.prior_sd.copy()
    centred = []
    touched = [np.abs(p.K).sum(0) > 0 for p in target.penalties]
    for i, penalty in enumerate(target.penalties):
        own = touched[i] & ~np.isfinite(target.prior_sd)
        shared = any((own & t).any() for j, t in enumerate(touched) if j != i)
        if shared or own.sum() != penalty.rank:
            centred.append(penalty)
            continue
        inside = np.linalg.inv(penalty.K[np.ix_(own, own)])
        A0[np.ix_(own, ~own)] = -inside @ penalty.K[np.ix_(own, ~own)]
        A0[np.ix_(own, own)] = 0.0
        A = by_hyper.setdefault(penalty.hyper, np.zeros((P, P)))
        A[np.ix_(own, own)] = np.linalg.cholesky(inside)
        free_sd[own] = 1.0
    return _Scale(A0, by_hyper, len(target.hypers)), free_sd, tuple(centred)


def _prior(prior, h: Array, slope: Array) -> tuple[Array, Array]:
    """Log prior of h and its derivative, by a central difference over a small part of h."""
    step = PRIOR_STEP * np.minimum(h, slope)
    middle, above, below = prior.log_density(np.concatenate([h, h + step, h - step])).reshape(3, -1)
    return middle, (above - below) / (2 * step)


class _Arms:
    """An arm part in standardised coordinates.

    With w the information of an arm about its eta near y (its own estimate), t = root² the variance of its random
    effect and level its linear predictor without it, the coordinates v of a study and c of an arm give

        mu = (Σ w* (y - x'theta) + p0 m0) / W + v / sqrt(W),   w* = w / (1 + w t),   W = Σ w* + p0,
        b = (w root (y - level) + sqrt(1 + w t) c) / (1 + w t),   eta = level + root b.

    Were the likelihood normal, c and v would be standard normal whatever theta and tau; it is not, and the density is
    exact all the same, because y and w are constants and the derivative of the map is part of it.

    A study without events bounds its baseline on one side only; on the other the prior's standard deviation s is the
    scale. Its mu has the term - s log(1 + exp(-v)) besides, or its mirror image when there are only events, so that
    trajectories of one step size reach both sides.
    """

    def __init__(self, part: ArmPart, X: Array, target: Target) -> None:
        self.part, self.X, self.base = part, X, target.baseline
        self.p0 = target.baseline.sd**-2.0
        self.random = part.tau >= 0
        self.all_random = bool(self.random.all())
        self.columns = [(j, part.tau == j) for j in np.unique(part.tau[self.random])]
        self.per_tau = np.sqrt(np.full(len(part.tau), 0.5) if part.share is None else part.share)
        self.constant = float(np.sum(part.likelihood.constant(part.data)))
        self.constant += len(part.start) * (-np.log(target.baseline.sd) - 0.5 * np.log(2 * np.pi))
        self.constant -= 0.5 * self.random.sum() * np.log(2 * np.pi)
        self.y, self.w = _own_estimates(part)
        flat = part.likelihood.flat_side(part.data)
        self.side = sum(s * np.logical_and.reduceat(flat == s, part.start) for s in (-1.0, 1.0))
        self.reach = target.baseline.sd * np.abs(self.side)
        self.flat = bool(self.side.any())

    def place(self, at: int) -> int:
        """Take the next coordinates; returns the first that is left."""
        self.at_mu = slice(at, at + len(self.part.start))
        self.at_b = slice(self.at_mu.stop, self.at_mu.stop + int(self.random.sum()))
        return self.at_b.stop

    def _map(self, x: Array, theta: Array, h: Array) -> _Mapped:
        part = self.part
        root = h[:, part.tau] * self.per_tau if self.all_random else np.sqrt(part.variance(h))
        u = 1 / (1 + self.w * root**2)
        weight = self.w * u
        total = np.add.reduceat(weight, part.start, axis=1) + self.p0
        shift = theta @ self.X.T
        middle = (np.add.reduceat(weight * (self.y - shift), part.start, axis=1) + self.p0 * self.base.mean) / total
        v = x[:, self.at_mu]
        slope_v, bend_v = 1 / np.sqrt(total), 0.0
        mu = middle + v * slope_v
        if self.flat:
            mu = mu - self.side * self.reach * log_expit(-self.side * v)
            p = expit(self.side * v)
            slope_v = slope_v + self.reach * p
            bend_v = self.side * self.reach * p * (1 - p) / slope_v
        away = mu[:, part.study] - part.centre
        slope = 1.0 if part.S is None else 1 + theta @ part.S.T
        level = slope * away + part.centre + shift
        if self.all_random:
            c = x[:, self.at_b]
        else:
            c = np.zeros_like(level)
            c[:, self.random] = x[:, self.at_b]
        q = np.sqrt(1 / u)
        b = u * (self.w * root * (self.y - level) + q * c)
        return _Mapped(root, u, weight, total, shift, middle, v, slope_v, bend_v, mu, away, slope, level, c, q, b)

    def effects(self, x: Array, theta: Array, h: Array) -> tuple[Array, Array]:
        """Study baselines (points, studies) and standardised random effects of every arm (points, arms)."""
        m = self._map(x, theta, h)
        return m.mu, m.b

    def add(self, x: Array, theta: Array, h: Array, gradient: Array, g_theta: Array, g_h: Array) -> Array:
        """Log density of the part; gradients are added to the arrays given."""
        part, m, w = self.part, self._map(x, theta, h), self.w
        eta = m.level + m.root * m.b
        if part.cut is None:
            value = part.likelihood.log_density(part.data, eta).sum(1)
            g = np.array(part.likelihood.derivatives(part.data, eta)[0])
        else:
            value = part.likelihood.log_density(part.data, eta, theta[:, part.cut]).sum(1)
            g, _, g_cut = part.likelihood.derivatives(part.data, eta, theta[:, part.cut])[:3]
            g = np.array(g)
            g_theta[:, part.cut] += g_cut.sum(1)
        off = (eta[:, part.start] - self.base.mean) / self.base.sd
        g[:, part.start] -= off / self.base.sd
        in_b = m.root * g - m.b
        in_level = g - in_b * m.u * w * m.root
        in_mu = np.add.reduceat(in_level * m.slope, part.start, axis=1)
        by_total = (in_mu / m.total)[:, part.study]
        g_theta += (in_level - by_total * m.weight) @ self.X
        if part.S is not None:
            g_theta += (in_level * m.away) @ part.S
        gradient[:, self.at_mu] = in_mu * m.slope_v + m.bend_v
        value = value - 0.5 * (m.b**2).sum(1) - 0.5 * (off**2).sum(1) + np.log(m.slope_v).sum(1) + self.constant
        if self.columns:
            in_c = in_b / m.q
            gradient[:, self.at_b] = in_c if self.all_random else in_c[:, self.random]
            in_root = g * m.b - w * m.root * m.u
            in_root += in_b * m.u * w * (self.y - m.level + m.c * m.root / m.q - 2 * m.root * m.b)
            shared = -0.5 * (in_mu * m.v + 1 / m.slope_v) * m.total**-1.5
            in_weight = by_total * (self.y - m.shift - m.middle[:, part.study]) + shared[:, part.study]
            in_root -= 2 * m.weight**2 * m.root * in_weight
            for j, own in self.columns:
                g_h[:, j] += in_root[:, own] @ self.per_tau[own]
            value -= np.log(m.q).sum(1)
        return value


class _Mapped(NamedTuple):
    """What coordinates stand for; names as in `_Arms`."""

    root: Array
    u: Array
    weight: Array
    total: Array
    shift: Array
    middle: Array
    v: Array
    slope_v: Array
    bend_v: Array | float
    mu: Array
    away: Array
    slope: Array | float
    level: Array
    c: Array
    q: Array
    b: Array


def _own_estimates(part: ArmPart) -> tuple[Array, Array]:
    """Estimate and information of each arm about its linear predictor, from one Newton step."""
    start = part.likelihood.start(part.data)
    cut = () if part.cut is None else (part.likelihood.start_cutpoints(part.data)[None],)
    g, w = part.likelihood.derivatives(part.data, start[None], *cut)[:2]
    w = np.maximum(w[0], 1e-6)
    return start + np.clip(g[0] / w, -3, 3), w


class _Group:
    """A Gaussian part: y ~ Normal(X theta, V + between(h))."""

    def __init__(self, part: GaussianPart, X: Array, H: int) -> None:
        self.part, self.X = part, X
        arms = part.tau.shape[1]
        # d(between)/d(variance of arm k): the first arm's is shared by all rows but, for arm data, its own
        q = part.y.shape[1]
        self.unit = np.zeros((arms, q, q))
        self.unit[0, part.lead :, part.lead :] = 1.0
        for k in range(1, arms):
            self.unit[k, k - 1 + part.lead, k - 1 + part.lead] = 1.0

    def add(self, theta: Array, h: Array, g_theta: Array, g_h: Array) -> Array:
        """Log density of the part; gradients are added to the arrays given."""
        part = self.part
        t = arm_variance(part.tau.ravel(), h).reshape(len(h), *part.tau.shape)
        V = part.V + np.einsum("nga,aij->ngij", t, self.unit)
        residual = part.y - np.einsum("gip,np->ngi", self.X, theta)
        W = np.linalg.inv(V)
        u = np.einsum("ngij,ngj->ngi", W, residual)
        g_theta += np.einsum("gip,ngi->np", self.X, u)
        by_variance = 0.5 * (u[:, :, :, None] * u[:, :, None, :] - W)
        by_arm = np.einsum("ngij,aij->nga", by_variance, self.unit)
        for j in np.unique(part.tau[part.tau >= 0]):
            g_h[:, j] += h[:, j] * np.where(part.tau == j, by_arm, 0.0).sum((1, 2))
        log_det = np.linalg.slogdet(V)[1].sum(1)
        return -0.5 * ((residual * u).sum((1, 2)) + log_det + part.y.size * np.log(2 * np.pi))
