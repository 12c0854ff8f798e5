"""The study integral in its common form: one random effect per arm, no slope on the baseline, no cutpoints.

The same nested quadrature as `integrals`, laid out for speed: studies of one size, nodes on the first axis, one node of
mu at a time, and as many points at a time as keep the numbers in the processor's cache.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from enthesis.models.target import ArmPart

Array = NDArray[np.float64]

#: values that are worked on at once; a few arrays of them fit a processor's second-level cache
CACHED = 60_000
#: a centre has been found when it moves by less
_FOUND = 1e-10
#: the longest first Newton step of a baseline or an effect; the likelihood of counts is far from a parabola beyond
LONGEST = 2.0
#: a centre that one more step would move further than this, in conditional standard deviations, was not found
OFF_CENTRE = 0.05
_LOG_2PI = float(np.log(2 * np.pi))


def plain_integrals(
    part: ArmPart, shift: Array, root: Array, mu: Array, b: Array, prior: tuple[float, float], rule: tuple[int, int],
    steps: int,
) -> Array:  # fmt: skip
    """log Z of studies of one size.

    Parameters
    ----------
    part : ArmPart
        All studies with the same number of arms.
    shift : float array, shape (points, arms)
        x'theta of each arm.
    root : float array, shape (points,)
        tau / sqrt(2) of all arms.
    mu, b : float arrays, shape (points, studies), (points, arms)
        Where the search for the centres starts.
    prior : (float, float)
        Mean and standard deviation of the study's baseline.
    rule : (int, int)
        Nodes for mu and for b; one node for b: no random effect.
    steps : int
        Newton steps to the centres, at most.

    Returns
    -------
    float array, shape (points, studies)
        NaN where the centre of the integral was not found.
    """
    size = max(1, CACHED // (shift.shape[1] * rule[1]))
    out = np.empty((len(shift), len(part.start)))
    constant = part.likelihood.constant(part.data).reshape(len(part.start), -1).sum(1)
    for i in range(0, len(shift), size):
        s = slice(i, i + size)
        out[s] = _chunk(part, shift[s], root[s, None], mu[s], b[s], prior, rule, steps)
    return out + constant


def _chunk(part: ArmPart, shift, root, mu, b, prior, rule, steps) -> Array:
    n, S = mu.shape
    k = shift.shape[1] // S
    like, data = part.likelihood, part.data
    m0, s0 = prior
    mu, b, h, sw, found = _centre(part, shift, root, mu, b, m0, s0, k, steps)
    x, w = hermite(rule[0])
    y, v = hermite(rule[1])
    level = np.repeat(mu, k, axis=1) + shift
    sd = np.repeat(np.sqrt(2 / sw), k, axis=1)
    var = 1 / (1 + root**2 * h)
    lean, scale = root * h * var, np.sqrt(2 * var)
    log_v = (np.log(v) + y**2)[:, None, None]
    log_mu = np.empty((rule[0], n, S))
    for j, node in enumerate(x):
        away = node * sd
        eta = level + away
        if rule[1] == 1:
            log_i = like.log_density(data, eta)
            log_i[:, ::k] += _baseline(eta[:, ::k], m0, s0)
        else:
            effects = (b - lean * away) + scale * y[:, None, None]
            eta = eta + root * effects
            value = like.log_density(data, eta)
            value[:, :, ::k] += _baseline(eta[:, :, ::k], m0, s0)
            np.multiply(effects, effects, out=effects)
            effects *= 0.5
            effects -= log_v
            value -= effects
            log_i = log_sum_exp(value)
        log_mu[j] = log_i.reshape(n, S, k).sum(2) + (np.log(w[j]) + node**2)
    out = log_sum_exp(log_mu) + 0.5 * np.log(2 / sw)
    if rule[1] > 1:
        out += np.log(scale).reshape(n, S, k).sum(2) - 0.5 * k * _LOG_2PI
    return doubted(out, found)


@lru_cache
def hermite(n: int) -> tuple[Array, Array]:
    """Gauss-Hermite nodes and weights."""
    return np.polynomial.hermite.hermgauss(n)


def doubted(log_z: Array, found: NDArray[np.bool_]) -> Array:
    """log Z with NaN where a centre was not found, unless the data are impossible there."""
    return log_z if found.all() else np.where(found | (log_z == -np.inf), log_z, np.nan)


def _baseline(eta: Array, mean: float, sd: float) -> Array:
    return -0.5 * ((eta - mean) / sd) ** 2 - (np.log(sd) + 0.5 * _LOG_2PI)


class Reach:
    """The longest step of every search: doubled until steps first turn back, halved whenever they do."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.longest, self.before = np.full(shape, LONGEST), np.zeros(shape)
        self.between = np.zeros(shape, dtype=bool)

    def cut(self, step: Array) -> Array:
        """The steps, cut."""
        if not np.abs(step).max() <= LONGEST or self.longest.max() > LONGEST:
            turned = step * self.before < 0
            self.between |= turned
            grown = np.where((np.abs(step) > self.longest) & ~self.between & (self.before != 0), 2.0, 1.0)
            self.longest = np.maximum(np.where(turned, 0.5, grown) * self.longest, 0.25 * LONGEST)
            step = np.clip(step, -self.longest, self.longest)
        self.before = step
        return step


def _centre(part: ArmPart, shift, root, mu, b, m0: float, s0: float, k: int, steps: int):
    """Mode of (mu, b) by Newton steps, curvature of each arm and precision of mu there, whether it was found.

    A centre need not be exact, but one that is standard deviations off makes an integral that looks converged and is
    not; so the step that would come next is looked at.
    """
    n, S = mu.shape
    t, p0 = root**2, s0**-2.0

    def per_study(value: Array) -> Array:
        return value.reshape(n, S, k).sum(2)

    def step(mu, b):
        level = np.repeat(mu, k, axis=1)
        g, h = part.likelihood.derivatives(part.data, level + shift + root * b)
        h = np.maximum(h, 1e-10)
        z = g / h + level + root * b
        w = 1 / (1 / h + t)
        sw = per_study(w) + p0
        return (per_study(w * z) + p0 * m0) / sw - mu, w, z, h, sw

    reach = Reach(mu.shape)
    for _ in range(steps):
        along, w, z, _, _ = step(mu, b)
        # the step of the study is cut, not the residual of an arm: that would turn the step of a study whose one event
        # is in an arm with a small fitted risk away from the mode
        along = reach.cut(along)
        mu = mu + along
        limit = np.repeat(reach.longest, k, axis=1)
        change = np.clip(root * w * (z - np.repeat(mu, k, axis=1)) - b, -limit, limit)
        b = b + change
        if np.abs(along).max() < _FOUND and np.abs(change).max() < _FOUND:
            break
    along, w, z, h, sw = step(mu, b)
    change = np.abs(root * w * (z - np.repeat(mu + along, k, axis=1)) - b) * np.sqrt(1 + t * h)
    found = (np.abs(along) * np.sqrt(sw) < OFF_CENTRE) & (change.reshape(n, S, k).max(2) < OFF_CENTRE)
    return mu, b, h, sw, found


def log_sum_exp(values: Array) -> Array:
    """Over the first axis, overwriting the values; -inf where all are."""
    top = values.max(axis=0)
    top[~np.isfinite(top)] = 0.0
    values -= top
    np.exp(values, out=values)
    with np.errstate(divide="ignore"):
        return top + np.log(values.sum(axis=0))
