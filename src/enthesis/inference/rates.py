"""Rates without approximation: exact intervals of a rate and of a ratio, and random effects that need no event.

A count r over a time at risk E is Poisson(E lambda), so one rate has the interval of Garwood (Biometrika 1936;28:437)
and a ratio of two has that of the binomial given the total (Przyborowski & Wilenski, Biometrika 1940;31:313). Over
studies,

- `common`: one rate; all counts and times add up, which loses nothing (the total is sufficient);
- `poisson-normal`: log lambda_i ~ Normal(mu, tau²), integrated by Gauss-Hermite quadrature at each study's mode
  (Stijnen T, Hamza TH, Özdemir P, Stat Med 2010;29:3046; `rma.glmm(measure = "IRLN")` of metafor is the same model);
- `negative-binomial`: lambda_i ~ Gamma with mean exp(mu) and variance alpha exp(2 mu), so that r_i is negative
  binomial (Lawless JF, Can J Stat 1987;15:209), in closed form.

No continuity correction is needed: a study without events has a likelihood like any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.optimize import brentq, minimize_scalar
from scipy.special import gammainc, gammaln

from enthesis.errors import DataError, UsageError, unknown_name
from enthesis.inference.result import Status

Array = NDArray[np.float64]
RateModel = Literal["common", "poisson-normal", "negative-binomial"]
RATE_MODELS: tuple[str, ...] = ("common", "poisson-normal", "negative-binomial")
IntervalMethod = Literal["exact", "mid-p"]

#: an sd (or alpha) of the logs of rates above this is no heterogeneity but a search that runs away
_WIDEST = 20.0
#: an interval of a rate whose ends differ by more than exp of this is no answer
_LOOSEST = 9.0


def rate_interval(
    events: float, exposure: float, *, level: float = 0.95, method: IntervalMethod = "exact"
) -> tuple[float, float]:
    """The interval of one rate: exact (Garwood), or mid-P, which counts half of the probability of what was seen.

    Parameters
    ----------
    events : float
        A whole number, 0 or more.
    exposure : float
        Time at risk, above 0.
    level : float
    method : {"exact", "mid-p"}
        Exact covers at least `level`; mid-P covers `level` on average and is shorter (Cohen GR, Yang SY, Stat Med
        1994;13:2189).

    Returns
    -------
    (float, float)
        Events per unit of time; the lower limit is 0 without events.

    Examples
    --------
    >>> [round(100 * x, 2) for x in rate_interval(5, 308.6)]
    [0.53, 3.78]
    >>> [round(100 * x, 2) for x in rate_interval(0, 308.6)]
    [0.0, 1.2]
    """
    r, E = _checked(events, exposure)
    a = _alpha(level)
    if method not in ("exact", "mid-p"):
        raise unknown_name("interval", method, ("exact", "mid-p"))
    if method == "exact":
        lower = 0.0 if r == 0 else float(stats.chi2.ppf(a, 2 * r)) / 2
        return lower / E, float(stats.chi2.ppf(1 - a, 2 * r + 2)) / 2 / E

    def below(m: float) -> float:
        return float(stats.poisson.cdf(r - 1, m) + 0.5 * stats.poisson.pmf(r, m))

    top = float(stats.chi2.ppf(1 - a, 2 * r + 2)) / 2
    upper = brentq(lambda m: below(m) - a, 1e-12, top, xtol=1e-12)
    lower = 0.0 if r == 0 else brentq(lambda m: below(m) - (1 - a), 1e-12, r, xtol=1e-12)
    return float(lower) / E, float(upper) / E


def rate_ratio_interval(
    events: float,
    exposure: float,
    comparator_events: float,
    comparator_exposure: float,
    *,
    level: float = 0.95,
    method: IntervalMethod = "exact",
) -> tuple[float, float, float]:
    """The ratio of two rates with its interval, given the total of events.

    Parameters
    ----------
    events, exposure, comparator_events, comparator_exposure : float
    level : float
    method : {"exact", "mid-p"}

    Returns
    -------
    (float, float, float)
        Estimate, lower, upper; 0 and infinity where a side has no events, NaN where neither has: such data say
        nothing about a ratio.

    Examples
    --------
    >>> [round(x, 2) for x in rate_ratio_interval(10, 1000, 5, 1000)]
    [2.0, 0.62, 7.46]
    """
    r1, E1 = _checked(events, exposure)
    r0, E0 = _checked(comparator_events, comparator_exposure)
    a, n = _alpha(level), r1 + r0
    if method not in ("exact", "mid-p"):
        raise unknown_name("interval", method, ("exact", "mid-p"))
    if n == 0:
        return float("nan"), 0.0, float("inf")
    if method == "exact":
        low = 0.0 if r1 == 0 else float(stats.beta.ppf(a, r1, r0 + 1))
        high = 1.0 if r0 == 0 else float(stats.beta.ppf(1 - a, r1 + 1, r0))
    else:

        def below(p: float) -> float:
            return float(stats.binom.cdf(r1 - 1, n, p) + 0.5 * stats.binom.pmf(r1, n, p))

        low = 0.0 if r1 == 0 else brentq(lambda p: below(p) - (1 - a), 1e-15, 1 - 1e-15, xtol=1e-14)
        high = 1.0 if r0 == 0 else brentq(lambda p: below(p) - a, 1e-15, 1 - 1e-15, xtol=1e-14)
    estimate = np.inf if r0 == 0 else r1 / E1 / (r0 / E0)
    return float(estimate), _odds(low) * E0 / E1, _odds(high) * E0 / E1


@dataclass(frozen=True, kw_only=True)
class PooledRate:
    """One rate from several studies, by maximum likelihood.

    Parameters
    ----------
    model : {"common", "poisson-normal", "negative-binomial"}
    estimate, lower, upper : float
        Rate per unit of time with its 95 % interval (exact for `common`, else from the profile likelihood). For
        `poisson-normal` it is the rate of the median study, for `negative-binomial` that of the mean study.
    log_estimate, se : float
        Log of the rate and its standard error by the curvature; NaN for a rate of 0.
    tau : float
        Sd of the log rates (`poisson-normal`), square root of alpha (`negative-binomial`), 0 (`common`).
    predicted : (float, float)
        95 % interval for the rate of a new study, at the estimated spread: with few studies, where the spread is
        estimated badly and often as 0, it is too narrow.
    log_likelihood : float
        With all constants, so that models compare.
    k, events, exposure
        Studies, and their totals.
    status : Status
    """

    model: str
    estimate: float
    lower: float
    upper: float
    log_estimate: float
    se: float
    tau: float
    predicted: tuple[float, float]
    log_likelihood: float
    k: int
    events: float
    exposure: float
    status: Status


def pooled_rate(
    events: ArrayLike, exposure: ArrayLike, *, model: RateModel = "poisson-normal", points: int = 21
) -> PooledRate:
    """Pool the rates of studies by maximum likelihood, studies without events included.

    Parameters
    ----------
    events, exposure : array-like, shape (studies,)
    model : {"common", "poisson-normal", "negative-binomial"}
    points : int
        Quadrature points of `poisson-normal`.

    Returns
    -------
    PooledRate
        With no event at all the rate is 0, its exact upper limit is that of the total, and tau is not estimable.

    Raises
    ------
    DataError
        When a count or a time is not one.

    Examples
    --------
    >>> found = pooled_rate([5, 0, 12, 3], [300, 150, 700, 250])
    >>> round(100 * found.estimate, 2), found.k, found.events
    (1.43, 4, 20.0)
    """
    if model not in RATE_MODELS:
        raise unknown_name("model of rates", model, RATE_MODELS)
    r, E = np.atleast_1d(np.asarray(events, float)), np.atleast_1d(np.asarray(exposure, float))
    if r.shape != E.shape or not len(r):
        raise DataError(f"{len(r)} counts and {len(E)} times at risk are not pairs")
    for a, b in zip(r, E, strict=True):
        _checked(a, b)
    if model == "common" or len(r) == 1 or r.sum() == 0:
        return _common(r, E, model)
    likelihood = _normal(r, E, points) if model == "poisson-normal" else _gamma(r, E)
    return _profiled(r, E, model, likelihood)


def _common(r: Array, E: Array, asked: str) -> PooledRate:
    total, time = float(r.sum()), float(E.sum())
    lower, upper = rate_interval(total, time)
    why = {1: "One study: nothing can be said on the spread between studies."}.get(len(r), "")
    if len(r) > 1 and total == 0:
        why = "No event in any study: the spread between studies cannot be estimated."
    log_estimate = float(np.log(total / time)) if total else float("nan")
    mean = E * total / time
    value = float(np.sum(stats.poisson.logpmf(r, mean))) if total else 0.0
    message = (
        "Exact Poisson interval of the total." if not why or asked == "common" else f"{why} Exact Poisson interval."
    )
    return PooledRate(
        model="common", estimate=total / time, lower=lower, upper=upper, log_estimate=log_estimate,
        se=1 / np.sqrt(total) if total else float("nan"), tau=0.0, predicted=(lower, upper), log_likelihood=value,
        k=len(r), events=total, exposure=time, status=Status(ok=True, message=message),
    )  # fmt: skip


def _profiled(r: Array, E: Array, model: str, likelihood) -> PooledRate:
    """Maximum and profile interval of mu; the spread s is the nuisance parameter."""
    start = float(np.log(r.sum() / E.sum()))

    def best_mu(s: float) -> tuple[float, float]:
        found = minimize_scalar(lambda mu: -likelihood(mu, s), bracket=(start - 0.5, start + 0.5), tol=1e-10)
        return float(found.x), -float(found.fun)

    def best_s(mu: float) -> tuple[float, float]:
        grid = np.r_[0.0, np.geomspace(1e-3, 4.0, 14)]
        values = np.array([likelihood(mu, s) for s in grid])
        at = int(np.argmax(values))
        if at == 0:
            return 0.0, float(values[0])
        low, high = grid[at - 1], grid[min(at + 1, len(grid) - 1)] if at + 1 < len(grid) else _WIDEST
        found = minimize_scalar(lambda s: -likelihood(mu, s), bounds=(low, high), method="bounded",
                                options={"xatol": 1e-9})  # fmt: skip
        return float(found.x), -float(found.fun)

    mu, s, value = start, 0.0, -np.inf
    for _ in range(200):
        s, _ = best_s(mu)
        mu, now = best_mu(s)
        if now - value < 1e-12:
            break
        value = now
    value = max(value, now)
    drop = float(stats.chi2.ppf(0.95, 1)) / 2

    def gap(x: float) -> float:
        return best_s(x)[1] - value + drop

    lower, upper = _crossing(gap, mu, -1.0), _crossing(gap, mu, 1.0)
    h = 1e-3
    se = _se(likelihood, mu, s, h)
    spread = s if model == "poisson-normal" else float(np.sqrt(s))
    if model == "poisson-normal":
        half = float(stats.norm.ppf(0.975)) * np.sqrt(s**2 + se**2)
        predicted = (float(np.exp(mu - half)), float(np.exp(mu + half)))
    elif s > 1e-10:
        predicted = _new_rate(mu, se if np.isfinite(se) else 0.0, s)
    else:
        predicted = (float(np.exp(lower)), float(np.exp(upper)))
    ok = bool(upper - lower < _LOOSEST and s < _WIDEST * 0.99)
    message = "Maximum likelihood, interval of the profile likelihood; studies without events count." if ok else (
        "The studies are too few or too different for this model: its interval has no end. Show them one by one."
    )  # fmt: skip
    return PooledRate(
        model=model, estimate=float(np.exp(mu)), lower=float(np.exp(lower)), upper=float(np.exp(upper)),
        log_estimate=mu, se=se, tau=spread, predicted=predicted, log_likelihood=value, k=len(r), events=float(r.sum()),
        exposure=float(E.sum()), status=Status(ok=ok, message=message),
    )  # fmt: skip


def _new_rate(mu: float, se: float, alpha: float) -> tuple[float, float]:
    """95 % interval of a rate that is Gamma with mean exp(m) and variance alpha exp(2 m), m ~ Normal(mu, se²)."""
    means = np.exp(np.clip(mu + se * stats.norm.ppf((np.arange(400) + 0.5) / 400), -300.0, 300.0))

    def quantile(p: float) -> float:
        low, high = np.log(np.maximum(means[[0, -1]] * stats.gamma.ppf(p, 1 / alpha, scale=alpha), 1e-300))

        def excess(x: float) -> float:
            return float(gammainc(1 / alpha, np.exp(x) / (alpha * means)).mean()) - p

        # without an error of the mean, or where a rate is too small to be written, the ends are the answer
        if excess(low) >= -1e-12:
            return float(np.exp(low))
        return float(np.exp(brentq(excess, low, high))) if excess(high) > 0 else float(np.exp(high))

    return quantile(0.025), quantile(0.975)


def _crossing(gap, mu: float, side: float) -> float:
    """Where the profile has fallen by half of the chi-squared quantile; infinite when it never does."""
    inner, step = mu, 0.25
    for _ in range(12):
        outer = mu + side * step
        if gap(outer) < 0:
            return float(brentq(gap, min(inner, outer), max(inner, outer), xtol=1e-8))
        inner, step = outer, step * 2
    return side * float("inf")


def _se(likelihood, mu: float, s: float, h: float) -> float:
    """Standard error of mu by the curvature in (mu, s), or in mu alone where s is 0."""
    second = (likelihood(mu + h, s) - 2 * likelihood(mu, s) + likelihood(mu - h, s)) / h**2
    if s > 5 * h:
        across = (likelihood(mu, s + h) - 2 * likelihood(mu, s) + likelihood(mu, s - h)) / h**2
        mixed = (
            likelihood(mu + h, s + h)
            - likelihood(mu + h, s - h)
            - likelihood(mu - h, s + h)
            + likelihood(mu - h, s - h)
        ) / (4 * h**2)
        information = np.array([[-second, -mixed], [-mixed, -across]])
        if np.all(np.linalg.eigvalsh(information) > 0):
            return float(np.sqrt(np.linalg.inv(information)[0, 0]))
    return float(1 / np.sqrt(-second)) if second < 0 else float("nan")


def _normal(r: Array, E: Array, points: int):
    """Log likelihood of (mu, tau) with log rates that are normal, each study integrated at its mode."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(points)
    constant = r * np.log(E) - gammaln(r + 1)

    def value(mu: float, tau: float) -> float:
        if tau < 1e-9:
            return float(np.sum(constant + r * mu - E * np.exp(mu)))
        z = np.zeros(len(r))
        for _ in range(60):
            mean = E * np.exp(np.minimum(mu + tau * z, 500.0))
            step = (tau * (r - mean) - z) / (1 + tau**2 * mean)
            z = z + np.clip(step, -2.0, 2.0)
            if np.max(np.abs(step)) < 1e-12:
                break
        sd = 1 / np.sqrt(1 + tau**2 * E * np.exp(np.minimum(mu + tau * z, 500.0)))
        b = z[:, None] + sd[:, None] * nodes
        eta = mu + tau * b
        logs = r[:, None] * eta - E[:, None] * np.exp(np.minimum(eta, 500.0)) - 0.5 * b**2 + 0.5 * nodes**2
        top = logs.max(1)
        inner = np.log((np.exp(logs - top[:, None]) * weights).sum(1)) + top
        return float(np.sum(constant + inner + np.log(sd) - 0.5 * np.log(2 * np.pi)))

    return value


def _gamma(r: Array, E: Array):
    """Log likelihood of (mu, alpha): negative binomial counts with mean E exp(mu), variance mean + alpha mean²."""

    def value(mu: float, alpha: float) -> float:
        mean = E * np.exp(min(mu, 500.0))
        if alpha < 1e-10:
            return float(np.sum(stats.poisson.logpmf(r, mean)))
        shape = 1 / alpha
        return float(
            np.sum(
                gammaln(r + shape) - gammaln(shape) - gammaln(r + 1)
                - shape * np.log1p(alpha * mean) + r * (np.log(mean) - np.log(mean + shape))
            )
        )  # fmt: skip

    return value


def _checked(events: float, exposure: float) -> tuple[float, float]:
    r, E = float(events), float(exposure)
    if not (np.isfinite(r) and r >= 0 and r == round(r)):
        raise DataError("is not a count", column="events", value=events, fix="Write a whole number that is 0 or more.")
    if not (np.isfinite(E) and E > 0):
        raise DataError("is not a time at risk", column="exposure", value=exposure, fix="Write a number above 0.")
    return r, E


def _alpha(level: float) -> float:
    if not 0 < level < 1:
        raise UsageError(f"a level lies between 0 and 1, not {level:g}.")
    return (1 - level) / 2


def _odds(p: float) -> float:
    return float("inf") if p >= 1 else p / (1 - p)
