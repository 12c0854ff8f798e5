"""The No-U-Turn sampler: draws from any density with a gradient.

Multinomial sampling from trajectories that double until they turn back (Hoffman MD & Gelman A, J Mach Learn Res
2014;15:1593; Betancourt M, arXiv:1701.02434), with the turn also looked for between the halves of a trajectory. In the
warm-up the step size follows dual averaging and the scale of each coordinate the ratio of the spread of draws to the
spread of gradients, in windows that double (Carpenter B et al., J Stat Softw 2017;76:1; Seyboldt A et al.,
arXiv:2603.18845 for the scale).

Every chain is a generator that asks for the density at one point and is sent its value and gradient. Whoever drives the
chains evaluates what all of them ask for in one call, so that a density written for many points costs little more for
four chains than for one. Chains share nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Density = Callable[[Array], tuple[Array, Array]]
#: a chain asks for a point and is sent (log density, gradient)
Asking = Generator[Array, tuple[float, Array], None]

#: an error of the energy above this is a divergence
DIVERGENT = 1000.0
#: warm-up before the first window, its length, and after the last, as shares of 1,000
FIRST, WINDOW, LAST = 75, 25, 50


@dataclass(frozen=True, kw_only=True)
class Chains:
    """What the sampler returns.

    Parameters
    ----------
    x : float array, shape (chains, draws, coordinates)
        Fewer draws than asked for when the sampler was stopped, perhaps none.
    energy : float array, shape (chains, draws)
    divergent : bool array, shape (chains, draws)
    depth : int array, shape (chains, draws)
        Doublings of each trajectory.
    step : float array, shape (chains,)
    evaluations : int
        Of the density, warm-up included, all chains.
    stopped : bool
        Whether the limit of evaluations ended the run.
    """

    x: Array
    energy: Array
    divergent: NDArray[np.bool_]
    depth: NDArray[np.int64]
    step: Array
    evaluations: int
    stopped: bool = False


def sample(
    density: Density,
    start: Array,
    *,
    warmup: int,
    draws: int,
    seed: int,
    dense: int = 0,
    accept: float = 0.8,
    max_depth: int = 10,
    limit: int | None = None,
) -> Chains:
    """Draw from a density by one chain for each starting point.

    Parameters
    ----------
    density : callable
        Points (points, coordinates) → log density (points,) and gradient (points, coordinates); -inf, with a gradient
        of zeros, where there is no value.
    start : float array, shape (chains, coordinates)
    warmup, draws : int
        Transitions of each chain that are discarded and kept.
    seed : int
    dense : int
        The first so many coordinates are scaled together, correlations included; every other one by itself.
    accept : float
        Mean acceptance that the step size is tuned to; higher is slower and bends less off the trajectory.
    max_depth : int
        A trajectory takes at most 2^max_depth steps.
    limit : int, optional
        No more evaluations of the density than this, all chains together; the draws that all chains have by then are
        returned.

    Returns
    -------
    Chains

    Raises
    ------
    FloatingPointError
        When the density has no value at a starting point.

    Examples
    --------
    >>> normal = lambda x: (-0.5 * (x**2).sum(1), -x)
    >>> found = sample(normal, np.zeros((4, 2)), warmup=200, draws=500, seed=1)
    >>> found.x.shape, bool(abs(found.x.var() - 1) < 0.2)
    ((4, 500, 2), True)
    """
    seeds = np.random.SeedSequence(seed).spawn(len(start))
    chains = [
        _Chain(x, np.random.default_rng(s), warmup, draws, dense, accept, max_depth)
        for x, s in zip(start, seeds, strict=True)
    ]
    running = {i: c.run() for i, c in enumerate(chains)}
    asked = {i: next(r) for i, r in running.items()}
    count = 0
    while asked and (limit is None or count < limit):
        value, gradient = density(np.array(list(asked.values())))
        count += len(value)
        following = {}
        for i, v, g in zip(asked, value.tolist(), gradient, strict=True):
            try:
                following[i] = running[i].send((v, g))
            except StopIteration:
                continue
        asked = following
    done = min(c.done for c in chains)
    return Chains(
        x=np.array([c.x[:done] for c in chains]),
        energy=np.array([c.energy[:done] for c in chains]),
        divergent=np.array([c.divergent[:done] for c in chains]),
        depth=np.array([c.depth[:done] for c in chains]),
        step=np.array([c.step for c in chains]),
        evaluations=count,
        stopped=bool(asked),
    )


class _StepSize:
    """Dual averaging of the log step size towards a mean acceptance (Hoffman & Gelman 2014, section 3.2)."""

    def __init__(self, step: float, accept: float) -> None:
        self.accept = accept
        self.restart(step)

    def restart(self, step: float) -> None:
        """Start anew from a step size."""
        self.mu, self.error, self.average, self.n = np.log(10 * step), 0.0, 0.0, 0

    def learn(self, acceptance: float) -> float:
        """The next step size."""
        self.n += 1
        share = 1 / (self.n + 10)
        self.error += share * (self.accept - acceptance - self.error)
        log_step = self.mu - np.sqrt(self.n) / 0.05 * self.error
        weight = self.n**-0.75
        self.average += weight * (log_step - self.average)
        return float(np.exp(log_step))

    @property
    def final(self) -> float:
        """The average, used after the warm-up."""
        return float(np.exp(self.average))


@dataclass(slots=True)
class _State:
    """A point of a trajectory: position, scaled momentum, gradient, scaled gradient, log density, the same less kinetic
    energy."""

    x: Array
    p: Array
    g: Array
    pull: Array
    value: float
    joint: float


@dataclass(slots=True)
class _Tree:
    """A stretch of trajectory: its ends in time, the draw it offers, its weight, the sum of its momenta."""

    first: _State
    last: _State
    offer: _State
    weight: float
    momenta: Array


class _Chain:
    def __init__(self, x, rng, warmup: int, draws: int, dense: int, accept: float, max_depth: int) -> None:
        self.start, self.rng, self.warmup, self.draws, self.max_depth = x, rng, warmup, draws, max_depth
        self.size = len(x)
        self.scale = _Scale(np.eye(min(dense, self.size)), np.ones(self.size))
        self.target_accept = accept
        self.step = 0.1
        self.x = np.empty((draws, self.size))
        self.energy = np.empty(draws)
        self.divergent = np.zeros(draws, dtype=bool)
        self.depth = np.zeros(draws, dtype=int)
        self.done = 0

    def run(self) -> Asking:
        """Warm up and draw."""
        value, g = yield self.start
        if not np.isfinite(value):
            raise FloatingPointError("the density has no value at a starting point")
        here = _State(self.start, g, g, g, value, value)
        ends = _windows(self.warmup)
        yield from self._find_step(here)
        tuner = _StepSize(self.step, self.target_accept)
        xs, gs = [], []
        for i in range(self.warmup + self.draws):
            here = yield from self._transition(here)
            if i >= self.warmup:
                self._keep(i - self.warmup, here)
                continue
            self.step = tuner.learn(self.acceptance)
            if ends[0] <= i < ends[-1]:
                xs.append(here.x)
                gs.append(here.g)
            if i + 1 in ends[1:]:
                self.scale = _learnt(np.array(xs), np.array(gs), self.scale)
                xs, gs = [], []
                yield from self._find_step(here)
                tuner.restart(self.step)
            if i + 1 == self.warmup:
                self.step = tuner.final

    def _keep(self, i: int, here: _State) -> None:
        self.x[i], self.energy[i] = here.x, self.begin_energy
        self.divergent[i], self.depth[i] = self.diverged, self.reached
        self.done = i + 1

    def _begin(self, here: _State) -> _State:
        """A fresh momentum at a point; the gradient is scaled anew, since the scale may have changed."""
        p = self.rng.standard_normal(self.size)
        return _State(here.x, p, here.g, self.scale.back(here.g), here.value, here.value - 0.5 * float(p @ p))

    def _leap(self, s: _State, step: float) -> Generator[Array, tuple[float, Array], _State]:
        p = s.p + 0.5 * step * s.pull
        x = s.x + step * self.scale.forth(p)
        value, g = yield x
        pull = self.scale.back(g)
        p = p + 0.5 * step * pull
        return _State(x, p, g, pull, value, value - 0.5 * float(p @ p))

    def _find_step(self, here: _State) -> Asking:
        """Double or halve the step until one step changes the energy by about log 2."""
        direction = 0
        for _ in range(50):
            begin = self._begin(here)
            after = yield from self._leap(begin, self.step)
            change = after.joint - begin.joint
            now = 1 if np.isfinite(change) and change > np.log(0.8) else -1
            if direction and now != direction:
                return
            direction = now
            self.step *= 2.0**direction

    def _transition(self, here: _State) -> Generator[Array, tuple[float, Array], _State]:
        begin = self._begin(here)
        self.begin, self.begin_energy = begin.joint, -begin.joint
        self.accepted, self.steps, self.diverged = 0.0, 0, False
        tree = _Tree(begin, begin, begin, 0.0, begin.p)
        for depth in range(self.max_depth):
            forward = self.rng.random() < 0.5
            new = yield from self._grow(tree.last if forward else tree.first, depth, 1.0 if forward else -1.0)
            self.reached = depth + 1
            if new is None:
                break
            offer = new.offer if np.log(self.rng.random()) < new.weight - tree.weight else tree.offer
            joined, turned = self._join(*((tree, new) if forward else (new, tree)), offer)
            tree = joined
            if turned:
                break
        self.acceptance = self.accepted / max(self.steps, 1)
        return tree.offer

    def _grow(self, s: _State, depth: int, sign: float) -> Generator[Array, tuple[float, Array], _Tree | None]:
        """A subtree of 2^depth steps from s; None when it diverges or turns back."""
        if depth == 0:
            new = yield from self._leap(s, sign * self.step)
            gain = new.joint - self.begin
            self.steps += 1
            if not gain > -DIVERGENT:
                self.diverged = True
                return None
            self.accepted += min(1.0, float(np.exp(min(gain, 0.0))))
            return _Tree(new, new, new, gain, new.p)
        one = yield from self._grow(s, depth - 1, sign)
        if one is None:
            return None
        two = yield from self._grow(one.last if sign > 0 else one.first, depth - 1, sign)
        if two is None:
            return None
        weight = np.logaddexp(one.weight, two.weight)
        offer = two.offer if np.log(self.rng.random()) < two.weight - weight else one.offer
        joined, turned = self._join(*((one, two) if sign > 0 else (two, one)), offer)
        return None if turned else joined

    def _join(self, a: _Tree, b: _Tree, offer: _State) -> tuple[_Tree, bool]:
        """Two stretches, a before b in time, as one, and whether it turns back as a whole or at the seam."""
        momenta = a.momenta + b.momenta
        joined = _Tree(a.first, b.last, offer, float(np.logaddexp(a.weight, b.weight)), momenta)
        turned = (
            self._turns(momenta, a.first.p, b.last.p)
            or self._turns(a.momenta + b.first.p, a.first.p, b.first.p)
            or self._turns(b.momenta + a.last.p, a.last.p, b.last.p)
        )
        return joined, turned

    @staticmethod
    def _turns(momenta: Array, begin: Array, end: Array) -> bool:
        return not (momenta @ begin > 0 and momenta @ end > 0)


class _Scale:
    """x = B u with u of unit scale: a triangular block for the first coordinates, one number for each other."""

    def __init__(self, block: Array, single: Array) -> None:
        self.block, self.single, self.k = block, single, len(block)

    def forth(self, u: Array) -> Array:
        """B u."""
        x = self.single * u
        if self.k:
            x[: self.k] = self.block @ u[: self.k]
        return x

    def back(self, g: Array) -> Array:
        """B'g."""
        u = self.single * g
        if self.k:
            u[: self.k] = g[: self.k] @ self.block
        return u


def _windows(warmup: int) -> list[int]:
    """Ends of the windows in which the scale is learnt; the first number is where the first window begins."""
    unit = min(warmup / 1000, 1.0)
    at, size, last = int(FIRST * unit), max(int(WINDOW * unit), 5), warmup - int(LAST * unit)
    ends = [at]
    while at + size < last:
        at, size = (last, size) if at + 3 * size > last else (at + size, 2 * size)
        ends.append(at)
    return ends if len(ends) > 1 else [0, max(warmup - 1, 1)]


def _learnt(x: Array, g: Array, old: _Scale) -> _Scale:
    """Scales from the draws and gradients of a window.

    One coordinate: the square root of the variance of x over that of g, either of which gives its variance if the
    density is normal. Together: the covariance of x, drawn towards its diagonal as if by five more draws, and left
    diagonal when there are fewer draws than would fill it.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.sqrt(x.var(axis=0) / g.var(axis=0))
    single = np.sqrt(np.clip(np.where(np.isfinite(variance), variance, 1.0), 1e-10, 1e10))
    k, n = old.k, len(x)
    if not k:
        return _Scale(old.block, single)
    if n < 2 * k:
        return _Scale(np.diag(single[:k]), single)
    cov = np.atleast_2d(np.cov(x[:, :k].T))
    cov = (n * cov + 5 * np.diag(np.diag(cov))) / (n + 5) + 1e-12 * np.eye(k)
    return _Scale(np.linalg.cholesky(cov), single)
