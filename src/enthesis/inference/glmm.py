"""Pairwise generalised linear mixed models of counts: the likelihood is exact, no continuity correction is needed.

theta is the log odds ratio (patients) or log rate ratio (times at risk) of treatment versus comparator, u_i ~
Normal(0, tau²) the study's deviation, and in study i:

- UM.FS: eta_i1, eta_i2 = alpha_i ± (theta + u_i) / 2, one free alpha_i per study;
- UM.RS: the same with alpha_i ~ Normal(mu, sigma²);
- CM.EL: events of the treatment given all events of the study follow the non-central hypergeometric (patients) or the
  binomial (times at risk) with log odds ratio theta + u_i;
- CM.AL: their approximation by a binomial with log odds theta + u_i + log(n1 / n2), good when events are rare.

(Stijnen T, Hamza TH, Özdemir P, Stat Med 2010;29:3046; Jackson D, Law M, Stijnen T, Viechtbauer W, White IR, Stat Med
2018;37:1059; the split ± 1/2 is the latter's model 4.) Integrals over u (and alpha) are by adaptive Gauss-Hermite
quadrature at each study's mode; one point is the Laplace approximation. Standard errors come from the curvature of the
log likelihood in all parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import minimize
from scipy.special import gammaln

from enthesis.errors import DataError, ModelError, UsageError, unknown_name
from enthesis.inference.intervals import critical
from enthesis.inference.result import Status

if TYPE_CHECKING:
    from enthesis.network.comparison import Cells

Array = NDArray[np.float64]
Kind = Literal["UM.FS", "UM.RS", "CM.EL", "CM.AL"]
KINDS: tuple[str, ...] = ("UM.FS", "UM.RS", "CM.EL", "CM.AL")
#: (studies, predictors) → log density, first derivative and negative second derivative, element by element
Density = Callable[[Array], tuple[Array, Array, Array]]


@dataclass(frozen=True, kw_only=True)
class MixedModel:
    """A fitted mixed model.

    Parameters
    ----------
    kind : str
    treatment, comparator : str
    estimate, se, lower, upper, pvalue : float
        Log odds or rate ratio, with a 95 % normal interval.
    tau, sigma : float
        Standard deviations of the effects and, for UM.RS, of the baselines (else NaN).
    log_likelihood : float
        Up to a constant that does not depend on the parameters.
    k : int
        Studies with information.
    status : Status
    """

    kind: str
    treatment: str
    comparator: str
    estimate: float
    se: float
    lower: float
    upper: float
    pvalue: float
    tau: float
    sigma: float
    log_likelihood: float
    k: int
    status: Status


def mixed_model(
    table: Cells,
    kind: Kind = "UM.FS",
    *,
    effects: Literal["random", "common"] = "random",
    points: int = 7,
) -> MixedModel:
    """A generalised linear mixed model of one comparison.

    Parameters
    ----------
    table : Cells
        As `cells(network)` gives them: patients with the measure OR, or times at risk with the measure IRR.
    kind : {"UM.FS", "UM.RS", "CM.EL", "CM.AL"}
    effects : {"random", "common"}
    points : int
        Quadrature points per dimension, 1 to 50.

    Returns
    -------
    MixedModel

    Raises
    ------
    ModelError
        When measure and data do not fit.
    DataError
        When one arm has no events in any study, so that the likelihood has no maximum.

    Examples
    --------
    >>> import enthesis as en
    >>> network = en.from_table([
    ...     {"study": s, "treatment": t, "events": r, "n": 50}
    ...     for s, t, r in [("A", "placebo", 8), ("A", "drug", 4), ("B", "placebo", 6), ("B", "drug", 0)]])
    >>> round(mixed_model(en.cells(network), "CM.EL", effects="common").estimate, 2)
    -1.36
    """
    if kind not in KINDS:
        raise unknown_name("mixed model", kind, KINDS)
    if effects not in ("random", "common"):
        raise unknown_name("effects", effects, ("random", "common"))
    if not 1 <= points <= 50:
        raise UsageError(f"quadrature points must be between 1 and 50, not {points}.")
    if table.measure.name != ("IRR" if table.rates else "OR"):
        raise ModelError(f"a mixed model of {'rates gives IRR' if table.rates else 'counts gives OR'}, not "
                         f"{table.measure.name}.")  # fmt: skip
    total = table.r1 + table.r2
    silent = total == 0 if table.rates else (total == 0) | (total == table.n1 + table.n2)
    if kind != "UM.RS":
        table = table.taken(~silent)
    if not _bounded(table):
        raise DataError(
            f"{table.treatment!r} or {table.comparator!r} has no events (or only events) over all studies, so the "
            "likelihood has no maximum", fix="Use a penalised likelihood (engine='plr') or a Bayesian engine.",
        )  # fmt: skip
    return _Problem(table, kind, effects == "random", points).solve(len(silent) - int(silent.sum()))


def _bounded(t: Cells) -> bool:
    some = t.r1.sum() > 0 and t.r2.sum() > 0
    return bool(some and (t.rates or (np.any(t.r1 < t.n1) and np.any(t.r2 < t.n2))))


class _Problem:
    """The log likelihood of one mixed model in theta, (mu), tau, (sigma)."""

    def __init__(self, table: Cells, kind: str, random: bool, points: int) -> None:
        self.table, self.kind, self.random, self.points = table, kind, random, points
        self.unconditional = kind.startswith("UM")
        self.density = _density(table, kind)
        self.offset = np.zeros((len(table.r1), 2 if self.unconditional else 1))
        if kind == "CM.AL" or (table.rates and kind == "CM.EL"):
            self.offset[:, 0] = np.log(table.n1 / table.n2)
        self.split = np.array([0.5, -0.5]) if self.unconditional else np.ones(1)
        half = (table.r1 + table.r2 + 0.5) / (table.n1 + table.n2 + (0 if table.rates else 1))
        self.alpha = np.log(half) if table.rates else np.log(half / (1 - half))
        y = np.log((table.r1 + 0.5) / (table.n1 + 0.5)) - np.log((table.r2 + 0.5) / (table.n2 + 0.5))
        w = 1 / (1 / (table.r1 + 0.5) + 1 / (table.r2 + 0.5))
        self.start = float(np.sum(w * y) / np.sum(w))

    def solve(self, k: int) -> MixedModel:
        start = [self.start]
        if self.kind == "UM.RS":
            start += [float(np.mean(self.alpha)), max(float(np.std(self.alpha)), 0.1)]
        if self.random:
            start.append(0.3)
        found = minimize(lambda x: -self.value(x), start, method="BFGS", options={"gtol": 1e-5})
        # tau and sigma enter as squares, so the sign of the solution says nothing
        x, converged = self._polished(found.x)
        curvature = _hessian(self.value, x)
        if self.random and abs(x[-1]) < 1e-4:
            curvature = curvature[:-1, :-1]  # at tau = 0 the curvature in tau says nothing on theta
            x = np.r_[x[:-1], 0.0]
        variance = float(np.linalg.inv(-curvature)[0, 0])
        ok = bool(converged and variance > 0)
        estimate, se = float(x[0]), float(np.sqrt(variance)) if variance > 0 else float("nan")
        half = critical(float("inf")) * se
        message = f"Maximum likelihood, {self.points} quadrature points." if ok else (
            "The likelihood has no clear maximum: estimates are not to be used. Try common effects or another kind."
        )  # fmt: skip
        return MixedModel(
            kind=self.kind, treatment=self.table.treatment, comparator=self.table.comparator, estimate=estimate, se=se,
            lower=estimate - half, upper=estimate + half, pvalue=float(2 * stats.norm.sf(abs(estimate / se))),
            tau=abs(float(x[-1])) if self.random else 0.0,
            sigma=abs(float(x[2])) if self.kind == "UM.RS" else float("nan"), log_likelihood=self.value(x), k=k,
            status=Status(ok=ok, message=message),
        )  # fmt: skip

    def _polished(self, x: Array) -> tuple[Array, bool]:
        """Newton steps from numerical derivatives, kept only where they climb."""
        for _ in range(20):
            gradient, curvature = _gradient(self.value, x), _hessian(self.value, x)
            if np.any(np.linalg.eigvalsh(-curvature) <= 0):
                break
            step = np.linalg.solve(-curvature, gradient)
            if self.value(x + step) < self.value(x) - 1e-10:
                break
            x = x + step
            if np.max(np.abs(step)) < 1e-8:
                break
        return x, bool(np.max(np.abs(_gradient(self.value, x))) < 1e-3)

    def value(self, x: Array) -> float:
        tau = abs(float(x[-1])) if self.random else 0.0
        base = self.offset + x[0] * self.split
        if self.kind == "UM.RS":
            A = np.stack([np.ones(2), self.split], axis=1)
            return float(self.integral(base + x[1], A, np.array([abs(float(x[2])), tau]))[0].sum())
        A = self.split[:, None]
        if self.kind != "UM.FS":
            return float(self.integral(base, A, np.array([tau]))[0].sum())
        for _ in range(50):
            value, slope, curvature = self.integral(base + self.alpha[:, None], A, np.array([tau]))
            step = np.clip(slope / curvature, -1.0, 1.0)
            self.alpha = self.alpha + step
            if np.max(np.abs(step)) < 1e-10:
                break
        return float(value.sum())

    def integral(self, base: Array, A: Array, sd: Array) -> tuple[Array, Array, Array]:
        """Log of ∫ exp(density(base + A b)) Normal(b; 0, sd²) db per study, slope and curvature in a common shift."""
        used = sd > 1e-8
        A, sd = A[:, used], sd[used]
        m = len(sd)
        if m == 0:
            value, first, second = self.density(base)
            return value.sum(1), first.sum(1), second.sum(1)
        mode = np.zeros((len(base), m))
        for _ in range(100):
            _, first, second = self.density(base + mode @ A.T)
            slope = first @ A - mode / sd**2
            curvature = np.einsum("em,ke,en->kmn", A, second, A) + np.diag(sd**-2)
            step = np.linalg.solve(curvature, slope[:, :, None])[:, :, 0]
            mode = mode + np.clip(step, -3.0, 3.0)
            if np.max(np.abs(step)) < 1e-10:
                break
        _, _, second = self.density(base + mode @ A.T)
        root = np.linalg.cholesky(np.linalg.inv(np.einsum("em,ke,en->kmn", A, second, A) + np.diag(sd**-2)))
        nodes, weights = np.polynomial.hermite_e.hermegauss(self.points)
        terms, slopes, curvatures = [], [], []
        for at in product(range(self.points), repeat=m):
            z = nodes[list(at)]
            b = mode + root @ z
            value, first, second = self.density(base + b @ A.T)
            log_prior = -0.5 * np.sum((b / sd) ** 2, axis=1) - np.log(sd).sum() - 0.5 * m * np.log(2 * np.pi)
            terms.append(value.sum(1) + log_prior + np.log(weights[list(at)]).sum() + 0.5 * z @ z)
            slopes.append(first.sum(1))
            curvatures.append(second.sum(1))
        terms = np.array(terms) + np.log(np.einsum("kmm->km", root)).sum(1)
        top = terms.max(0)
        w = np.exp(terms - top)
        total = w.sum(0)
        w /= total
        slope = (w * slopes).sum(0)
        spread = (w * (np.array(slopes) - slope) ** 2).sum(0)
        return top + np.log(total), slope, np.maximum((w * curvatures).sum(0) - spread, 1e-8)


def _density(t: Cells, kind: str) -> Density:
    if kind.startswith("UM"):
        r, size = np.stack([t.r1, t.r2], 1), np.stack([t.n1, t.n2], 1)
        return _poisson(r, size) if t.rates else _binomial(r, size)
    if kind == "CM.AL" or t.rates:
        return _binomial(t.r1[:, None], (t.r1 + t.r2)[:, None])
    return _noncentral(t)


def _binomial(r: Array, n: Array) -> Density:
    def density(eta: Array) -> tuple[Array, Array, Array]:
        p = 1 / (1 + np.exp(-np.clip(eta, -500, 500)))
        return r * eta - n * np.logaddexp(0, eta), r - n * p, n * p * (1 - p)

    return density


def _poisson(r: Array, E: Array) -> Density:
    def density(eta: Array) -> tuple[Array, Array, Array]:
        mean = E * np.exp(np.minimum(eta, 500))
        return r * eta - mean, r - mean, mean

    return density


def _noncentral(t: Cells) -> Density:
    R = t.r1 + t.r2
    low, high = np.maximum(0, R - t.n2), np.minimum(t.n1, R)
    j = low[:, None] + np.arange(int((high - low).max()) + 1)
    inside = j <= high[:, None]
    j = np.where(inside, j, low[:, None])
    n1, n2, rest = t.n1[:, None], t.n2[:, None], R[:, None] - j
    log_weight = -(gammaln(j + 1) + gammaln(n1 - j + 1) + gammaln(rest + 1) + gammaln(n2 - rest + 1))
    log_weight = np.where(inside, log_weight, -np.inf)

    def density(eta: Array) -> tuple[Array, Array, Array]:
        logs = log_weight + j * eta
        top = logs.max(1, keepdims=True)
        w = np.exp(logs - top)
        total = w.sum(1, keepdims=True)
        w /= total
        mean = (w * j).sum(1, keepdims=True)
        variance = (w * (j - mean) ** 2).sum(1, keepdims=True)
        return t.r1[:, None] * eta - top - np.log(total), t.r1[:, None] - mean, variance

    return density


def _gradient(f: Callable[[Array], float], x: Array, h: float = 1e-5) -> Array:
    steps = h * np.eye(len(x))
    return np.array([(f(x + s) - f(x - s)) / (2 * h) for s in steps])


def _hessian(f: Callable[[Array], float], x: Array, h: float = 1e-3) -> Array:
    """Central second differences, with one Richardson step."""

    def plain(h: float) -> Array:
        steps = h * np.eye(len(x))
        out = np.empty((len(x), len(x)))
        middle = f(x)
        for a, s in enumerate(steps):
            out[a, a] = (f(x + s) - 2 * middle + f(x - s)) / h**2
            for b in range(a):
                t = steps[b]
                out[a, b] = out[b, a] = (f(x + s + t) - f(x + s - t) - f(x - s + t) + f(x - s - t)) / (4 * h**2)
        return out

    return (4 * plain(h) - plain(2 * h)) / 3
