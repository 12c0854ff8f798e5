"""Weighted regression of independent effects with between-study variance: y = X beta + u + e.

y_i ~ Normal(x_i' beta, v_i + tau²), v_i known. With W = diag(w) and P = W - W X (X'WX)^-1 X'W, every estimator below
is a statement about a quadratic form y'Py whose mean at tau² is tr(PV) + tau² tr(P); p coefficients, k studies.

- HS (Hunter JE, Schmidt FL, Methods of Meta-Analysis, 1990): w = 1/v, (y'Py - k) / Σw; HSk multiplies y'Py by k/(k - p)
  (Brannick MT, Potter SM, Benitez B, Morris SB, Organ Res Methods 2019;22:490).
- HE (Hedges LV, Psychol Bull 1983;93:388): w = 1, (y'Py - tr PV) / (k - p).
- DL (DerSimonian R, Laird N, Control Clin Trials 1986;7:177): w = 1/v, (y'Py - (k - p)) / tr P.
- SJ (Sidik K, Jonkman JN, J R Stat Soc C 2005;54:367): t0 = Σ(y - mean y)² / k, w = 1/(v + t0), t0 y'Py / (k - p).
- ML, REML (Viechtbauer W, J Educ Behav Stat 2005;30:261; Raudenbush SW, Handbook of Research Synthesis, 2009).
- PM (Paule RC, Mandel J, J Res Natl Bur Stand 1982;87:377): w = 1/(v + tau²), the tau² at which y'Py = k - p.
- EB (Morris CN, JASA 1983;78:47): its iteration ends where PM does (Viechtbauer W et al., Psychol Methods
  2015;20:360), so it is computed as PM.
- PMM: as PM with the median of chi-square on k - p degrees of freedom in place of its mean (Viechtbauer W, European
  Congress of Methodology, 2021).
- DLIT and SJIT, the iterated DL and SJ, have PM's equation as their fixed point and are computed as PM.
Standard errors of tau²: exact variance of the quadratic form at the estimate for the moment estimators, inverse
expected information for ML and REML.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import brentq
from scipy.stats import chi2

from enthesis.errors import UsageError, unknown_name

Array = NDArray[np.float64]
Method = Literal["DL", "ML", "REML", "PM", "HE", "SJ", "EB", "HS", "HSk", "PMM", "DLIT", "SJIT"]
METHODS: tuple[str, ...] = ("DL", "ML", "REML", "PM", "HE", "SJ", "EB", "HS", "HSk", "PMM", "DLIT", "SJIT")
_AS_PM = ("PM", "EB", "DLIT", "SJIT")


@dataclass(frozen=True, kw_only=True)
class Weighted:
    """A weighted least-squares solution.

    Parameters
    ----------
    beta : float array, shape (p,)
    cov : float array, shape (p, p)
        (X'WX)^-1.
    rss : float
        y'Py, the weighted residual sum of squares.
    w : float array, shape (k,)
    """

    beta: Array
    cov: Array
    rss: float
    w: Array


def solve(y: Array, X: Array, w: Array) -> Weighted:
    """Weighted least squares with given weights.

    Parameters
    ----------
    y : float array, shape (k,)
    X : float array, shape (k, p)
        Of full column rank.
    w : float array, shape (k,)

    Returns
    -------
    Weighted
    """
    factor = cho_factor(X.T @ (w[:, None] * X), lower=True)
    beta = cho_solve(factor, X.T @ (w * y))
    cov = cho_solve(factor, np.eye(X.shape[1]))
    rss = float(np.sum(w * (y - X @ beta) ** 2))
    return Weighted(beta=beta, cov=0.5 * (cov + cov.T), rss=rss, w=w)


def traces(X: Array, now: Weighted, a: Array, b: Array) -> tuple[float, float]:
    """tr(PA) and tr(PAPB) for diagonal A and B given as vectors, without forming P."""
    w, C = now.w, now.cov
    one = C @ (X.T @ ((w**2 * a)[:, None] * X))
    two = C @ (X.T @ ((w**2 * b)[:, None] * X))
    cross = C @ (X.T @ ((w**3 * a * b)[:, None] * X))
    return (
        float(np.sum(w * a) - np.trace(one)),
        float(np.sum(w**2 * a * b) - 2 * np.trace(cross) + np.trace(one @ two)),
    )


def tau2_estimate(y: Array, v: Array, X: Array, method: str = "REML") -> float:
    """The between-study variance, truncated at 0.

    Parameters
    ----------
    y, v : float arrays, shape (k,)
        Effects and their variances.
    X : float array, shape (k, p)
    method : str
        One of `METHODS`.

    Returns
    -------
    float
        On the squared scale of y; 0 when k = p.

    Raises
    ------
    UsageError
        For an unknown method.

    Examples
    --------
    >>> import numpy as np
    >>> round(tau2_estimate(np.array([0.0, 1.0, 2.0]), np.full(3, 0.5), np.ones((3, 1)), "DL"), 6)
    0.5
    """
    if method not in METHODS:
        raise unknown_name("estimator of tau", method, METHODS)
    k, p = X.shape
    if k <= p:
        return 0.0
    if method in _AS_PM:
        return where_q_meets(y, v, X, float(k - p))
    if method == "PMM":
        return where_q_meets(y, v, X, float(chi2.median(k - p)))
    if method in ("ML", "REML"):
        return _likelihood_root(y, v, X, restricted=method == "REML")
    now, scale, start, expected, _ = _moment(y, v, X, method)
    if method == "SJ":
        return start * now.rss / (k - p)
    factor = k / (k - p) if method == "HSk" else 1.0
    return max(0.0, (factor * now.rss - expected) / scale)


def _moment(y: Array, v: Array, X: Array, method: str) -> tuple[Weighted, float, float, float, float]:
    """Solution, divisor, start, expectation under tau² = 0 and d tau²/d(y'Py) of a moment estimator."""
    k, p = X.shape
    if method == "HE":
        now = solve(y, X, np.ones(k))
        return now, float(k - p), 0.0, traces(X, now, v, v)[0], 1 / (k - p)
    if method == "SJ":
        start = float(np.var(y))
        now = solve(y, X, 1 / (v + start))
        return now, float(k - p), start, 0.0, start / (k - p)
    now = solve(y, X, 1 / v)
    if method == "DL":
        trace = traces(X, now, np.ones(k), np.ones(k))[0]
        return now, trace, 0.0, float(k - p), 1 / trace
    total = float(np.sum(now.w))
    return now, total, 0.0, float(k), (k / (k - p) if method == "HSk" else 1.0) / total


def tau2_se(y: Array, v: Array, X: Array, method: str, tau2: float) -> float:
    """Standard error of an estimate of tau².

    Parameters
    ----------
    y, v, X, method
        As in `tau2_estimate`.
    tau2 : float
        The estimate.

    Returns
    -------
    float
        NaN when k = p.
    """
    k, p = X.shape
    if k <= p:
        return float("nan")
    ones = np.ones(k)
    if method in ("ML", "REML", *_AS_PM, "PMM"):
        now = solve(y, X, 1 / (v + tau2))
        if method == "ML":
            return float(np.sqrt(2 / np.sum(now.w**2)))
        if method == "REML":
            return float(np.sqrt(2 / traces(X, now, ones, ones)[1]))
        return float(np.sqrt(2 * k**2 / (k - p)) / np.sum(now.w))
    now, *_, slope = _moment(y, v, X, method)
    pp = traces(X, now, ones, ones)[1]
    pvpv, pvp = traces(X, now, v, v)[1], traces(X, now, v, ones)[1]
    return slope * float(np.sqrt(2 * pvpv + 4 * tau2 * pvp + 2 * tau2**2 * pp))


def q_at(y: Array, v: Array, X: Array, tau2: float) -> float:
    """The generalised Q statistic: the weighted residual sum of squares at tau²."""
    return solve(y, X, 1 / (v + tau2)).rss


def where_q_meets(y: Array, v: Array, X: Array, value: float) -> float:
    """The tau² at which the generalised Q statistic, which falls in tau², meets a value; 0 when it starts below."""
    if q_at(y, v, X, 0.0) <= value:
        return 0.0
    high = float(np.median(v))
    for _ in range(300):
        if q_at(y, v, X, high) < value:
            return float(brentq(lambda t: q_at(y, v, X, t) - value, 0.0, high, xtol=1e-14 * high, rtol=1e-13))
        high *= 4
    return float("inf")


def log_likelihood(y: Array, v: Array, X: Array, tau2: float, *, restricted: bool) -> float:
    """(Restricted) log likelihood at tau² with beta at its estimate, with all constants.

    Parameters
    ----------
    y, v, X
        As in `tau2_estimate`.
    tau2 : float
    restricted : bool

    Returns
    -------
    float
    """
    k, p = X.shape
    now = solve(y, X, 1 / (v + tau2))
    value = 0.5 * np.log(now.w).sum() - 0.5 * now.rss - 0.5 * k * np.log(2 * np.pi)
    if restricted:
        value += 0.5 * p * np.log(2 * np.pi) + 0.5 * np.linalg.slogdet(X.T @ X)[1]
        value += 0.5 * np.linalg.slogdet(now.cov)[1]
    return float(value)


def _scores(y: Array, v: Array, X: Array, tau2: Array, restricted: bool) -> Array:
    """Derivative of the log likelihood at several tau² at once, shape of tau2."""
    w = 1 / (v + tau2[:, None])
    cov = np.linalg.inv(np.einsum("ki,gk,kj->gij", X, w, X))
    beta = np.einsum("gij,kj,gk->gi", cov, X, w * y)
    value = (w**2 * (y - beta @ X.T) ** 2).sum(1) - w.sum(1)
    if restricted:
        value += np.einsum("gij,ki,gk,kj->g", cov, X, w**2, X, optimize=True)
    return 0.5 * value


def _likelihood_root(y: Array, v: Array, X: Array, *, restricted: bool) -> float:
    def scores(t: Array) -> Array:
        return _scores(y, v, X, t, restricted)

    def height(t: float) -> float:
        return log_likelihood(y, v, X, t, restricted=restricted)

    return highest_root(scores, height, float(np.median(v)))


def highest_root(scores, height, scale: float) -> float:
    """The tau² >= 0 with the greatest likelihood: each fall of the score through zero is a local maximum.

    Parameters
    ----------
    scores : callable
        Derivative of the log likelihood at an array of tau².
    height : callable
        Log likelihood at one tau².
    scale : float
        A typical variance; the search spans 1e-4 to 1e4 times it.

    Returns
    -------
    float
    """
    grid = scale * np.r_[0.0, np.geomspace(1e-4, 1e4, 33)]
    slopes = scores(grid)
    candidates = [0.0] if slopes[0] <= 0 else []
    for lo, hi, left, right in zip(grid[:-1], grid[1:], slopes[:-1], slopes[1:], strict=True):
        if left > 0 >= right:
            root = brentq(lambda t: float(scores(np.array([t]))[0]), lo, hi, xtol=1e-14 * scale, rtol=1e-13)
            candidates.append(float(root))
    if len(candidates) == 1:
        return candidates[0]
    return max(candidates, key=height) if candidates else float(grid[-1])


def drop_interval(height, peak: float, scale: float, level: float) -> tuple[float, float]:
    """Where the log likelihood has fallen by half a chi-square(1) quantile on either side of its peak.

    Parameters
    ----------
    height : callable
        Log likelihood of tau².
    peak : float
        The estimate.
    scale : float
        A typical variance.
    level : float

    Returns
    -------
    lower, upper : float
        tau²; lower is 0 when the likelihood at 0 is within the drop.
    """
    goal = height(peak) - 0.5 * float(chi2.ppf(level, 1))
    lower = 0.0
    if peak > 0 and height(0.0) < goal:
        lower = float(brentq(lambda t: height(t) - goal, 0.0, peak, xtol=1e-14 * scale, rtol=1e-12))
    high = peak + scale
    for _ in range(300):
        if height(high) < goal:
            upper = brentq(lambda t: height(t) - goal, peak, high, xtol=1e-14 * scale, rtol=1e-12)
            return lower, float(upper)
        high = peak + 4 * (high - peak)
    return lower, float("inf")


def tau2_interval(
    y: Array, v: Array, X: Array, *, method: str, kind: str = "Q-profile", level: float = 0.95
) -> tuple[float, float]:
    """Interval for tau².

    Parameters
    ----------
    y, v, X
        As in `tau2_estimate`.
    method : str
        Estimator; the profile likelihood is that of ML or REML.
    kind : {"Q-profile", "profile likelihood"}
        Q-profile: Viechtbauer W, Stat Med 2007;26:37. Profile likelihood: Hardy RJ, Thompson SG, Stat Med 1996;15:619.
    level : float

    Returns
    -------
    lower, upper : float
        (nan, nan) when k = p.

    Raises
    ------
    UsageError
        For a profile likelihood of an estimator without a likelihood.
    """
    k, p = X.shape
    if k <= p:
        return (float("nan"), float("nan"))
    if kind == "Q-profile":
        return (
            where_q_meets(y, v, X, float(chi2.ppf((1 + level) / 2, k - p))),
            where_q_meets(y, v, X, float(chi2.ppf((1 - level) / 2, k - p))),
        )
    require_likelihood(method, kind)
    restricted = method == "REML"
    peak = tau2_estimate(y, v, X, method)
    return drop_interval(lambda t: log_likelihood(y, v, X, t, restricted=restricted), peak, float(np.median(v)), level)


def require_likelihood(method: str, kind: str) -> None:
    """Raise UsageError unless the interval's kind is known and its estimator has a likelihood."""
    if kind not in ("Q-profile", "profile likelihood"):
        raise unknown_name("interval for tau", kind, ("Q-profile", "profile likelihood"))
    if kind == "profile likelihood" and method not in ("ML", "REML"):
        raise UsageError(
            f"a profile-likelihood interval needs the estimator ML or REML, not {method}. "
            "Choose one of them, or the Q-profile interval."
        )
