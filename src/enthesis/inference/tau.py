"""Between-study variance of a network of contrasts: estimators and intervals.

With L_i(tau²) the Laplacian of study i, C the covariance of the effects, Q(tau²) the generalised Q statistic and df its
degrees of freedom:

- DL: (Q - df) / tr at tau² = 0, tr = Σ (tr L_i - tr L_i C L_i) / 2 over studies (Jackson D, White IR, Riley RD, Stat
  Med 2012;31:3805; the trace form is netmeta's, Rücker G, Schwarzer G, Stat Med 2014;33:4353).
- PM: the tau² at which Q(tau²) = df (Jackson D, Veroniki AA, Law M, Tricco AC, Baker R, Res Synth Methods 2017;8:416).
- ML, REML: the root of the score, with dL_i/dtau² = -L_i² / 2:
  2 dl/dtau² = -dQ/dtau² - Σ tr L_i / 2 (+ Σ tr C L_i² / 2 for REML).
- HE, SJ, EB, HS, HSk, PMM and the iterated DLIT and SJIT are defined for independent effects. A network of two-arm
  studies is a meta-regression of them on the treatments, so there they are what `regression` computes; studies with
  three or more arms are refused, since no generalisation to correlated contrasts is published.

Intervals: Q-profile (Viechtbauer W, Stat Med 2007;26:37; for networks the same inversion of Q(tau²), as PM) or
profile likelihood (Hardy RJ, Thompson SG, Stat Med 1996;15:619).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import chi2

from enthesis.errors import ModelError, unknown_name
from enthesis.inference import regression
from enthesis.inference.gls import local, residuals, solve
from enthesis.models.target import ContrastTarget

Array = NDArray[np.float64]
TauMethod = Literal["DL", "ML", "REML", "PM", "HE", "SJ", "EB", "HS", "HSk", "PMM", "DLIT", "SJIT"]
TauInterval = Literal["Q-profile", "profile likelihood"]
TAU_METHODS: tuple[str, ...] = regression.METHODS
#: estimators that are defined for correlated contrasts, that is, for studies of three or more arms
MULTI_ARM_METHODS: tuple[str, ...] = ("DL", "ML", "REML", "PM")
#: with more independent contrasts the likelihood of tau² has one maximum, close to the moment estimate; with fewer,
#: every maximum is looked for
MANY = 2_000


def tau2_estimate(target: ContrastTarget, method: TauMethod = "REML") -> float:
    """The between-study variance.

    Parameters
    ----------
    target : ContrastTarget
    method : str
        One of `TAU_METHODS`.

    Returns
    -------
    float
        On the squared scale of the measure; 0 when there is nothing to estimate it from.

    Raises
    ------
    UsageError
        For an unknown method.
    ModelError
        For a method that is not defined for studies of three or more arms, when there are some.
    """
    if method not in TAU_METHODS:
        raise unknown_name("estimator of tau", method, TAU_METHODS)
    common = solve(target)
    if method not in MULTI_ARM_METHODS:
        y, v, X = _independent(target, method)
        return regression.tau2_estimate(y, v, X, method)
    if common.df <= 0:
        return 0.0
    if method == "PM":
        return _where_q_meets(target, float(common.df))
    if method != "DL":
        return _likelihood_root(target, restricted=method == "REML")
    trace = 0.0
    for g in target.groups:
        lap = g.laplacian()
        trace += 0.5 * (np.trace(lap, axis1=1, axis2=2).sum() - np.sum(local(common.cov, g) * (lap @ lap)))
    return max(0.0, (common.Q - common.df) / trace)


def tau_interval(
    target: ContrastTarget, level: float = 0.95, *, kind: TauInterval = "Q-profile", method: TauMethod = "REML"
) -> tuple[float, float]:
    """Interval for tau.

    Parameters
    ----------
    target : ContrastTarget
    level : float
    kind : {"Q-profile", "profile likelihood"}
    method : str
        The estimator; a profile likelihood needs ML or REML.

    Returns
    -------
    lower, upper : float
        On the scale of the measure; (nan, nan) when there are no degrees of freedom.

    Raises
    ------
    UsageError
        For a profile likelihood of an estimator without a likelihood.
    """
    regression.require_likelihood(method, kind)
    df = solve(target).df
    if df <= 0:
        return (np.nan, np.nan)
    if kind == "Q-profile":
        ends = [_where_q_meets(target, float(chi2.ppf(q, df))) for q in ((1 + level) / 2, (1 - level) / 2)]
    else:
        restricted = method == "REML"
        ends = regression.drop_interval(
            lambda t: log_likelihood(target, t, restricted=restricted),
            tau2_estimate(target, method),
            _typical_variance(target),
            level,
        )
    return float(np.sqrt(ends[0])), float(np.sqrt(ends[1]))


def log_likelihood(target: ContrastTarget, tau2: float, *, restricted: bool) -> float:
    """(Restricted) log likelihood at tau², up to a constant.

    Parameters
    ----------
    target : ContrastTarget
    tau2 : float
    restricted : bool

    Returns
    -------
    float
    """
    now = solve(target, tau2)
    total = -now.Q
    for g in target.groups:
        total += np.linalg.slogdet(g.laplacian(tau2)[:, 1:, 1:])[1].sum()
    if restricted:
        total -= now.logdet
    return 0.5 * float(total)


def _independent(target: ContrastTarget, method: str) -> tuple[Array, Array, Array]:
    """Effects, variances and design of a network of two-arm studies."""
    if any(g.k > 2 for g in target.groups):
        raise ModelError(
            f"the estimator {method} of tau is defined for two-arm studies, and this network has studies of three or "
            f"more arms. Choose {', '.join(MULTI_ARM_METHODS[:-1])} or {MULTI_ARM_METHODS[-1]}"
            + (" (PM is the same estimator where both are defined)." if method in ("EB", "DLIT", "SJIT") else ".")
        )
    g = target.groups[0]
    B = target.full_basis
    return g.y[:, 0, 1], g.v[:, 0, 1], B[g.arms[:, 0]] - B[g.arms[:, 1]]


def _where_q_meets(target: ContrastTarget, value: float) -> float:
    if value >= solve(target).Q:
        return 0.0
    high = _typical_variance(target)
    for _ in range(200):
        if value > solve(target, high).Q:
            return float(brentq(lambda t: solve(target, t).Q - value, 0.0, high, xtol=1e-14 * high, rtol=1e-12))
        high *= 4
    return float("inf")


def _likelihood_root(target: ContrastTarget, *, restricted: bool) -> float:
    if target.n_independent > MANY:
        return _root_near(
            lambda t: _score(target, t, restricted), tau2_estimate(target, "DL"), _typical_variance(target)
        )
    return regression.highest_root(
        lambda grid: np.array([_score(target, t, restricted) for t in grid]),
        lambda t: log_likelihood(target, t, restricted=restricted),
        _typical_variance(target),
    )


def _root_near(score, start: float, scale: float) -> float:
    """The root of a falling score, searched outward from a good start; 0 when the score is not above 0 there."""
    low = high = max(start, 1e-4 * scale)
    if score(high) > 0:
        while score(high := 1.3 * high) > 0:
            low = high
    else:
        while score(low := low / 1.3) <= 0:
            high = low
            if low < 1e-4 * scale:
                if score(low := 0.0) <= 0:
                    return 0.0
                break
    return float(brentq(score, low, high, xtol=1e-14 * scale, rtol=1e-12))


def _score(target: ContrastTarget, tau2: float, restricted: bool) -> float:
    now = solve(target, tau2)
    total = 0.0
    for g in target.groups:
        lap = g.laplacian(tau2)
        square = lap @ lap
        total += -0.25 * np.sum(square * residuals(g, now.d) ** 2) - 0.5 * np.trace(lap, axis1=1, axis2=2).sum()
        if restricted:
            total += 0.5 * np.sum(local(now.cov, g) * square)
    return 0.5 * total


def _typical_variance(target: ContrastTarget) -> float:
    return float(np.median(np.concatenate([g.v[:, 1:, 0].ravel() for g in target.groups])))
