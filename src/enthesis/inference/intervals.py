"""Intervals of a frequentist fit: which distribution, on how many degrees of freedom, and with which standard error.

With Q(tau²) the generalised Q statistic at the estimate of tau², df its degrees of freedom and s² = Q(tau²) / df:

- `normal`: estimate ± z se.
- `t`: estimate ± t(df) se.
- `knapp-hartung`: the covariance of the effects is multiplied by s², and t(df) is used (Hartung J, Knapp G, Stat Med
  2001;20:3875; Knapp G, Hartung J, Stat Med 2003;22:2693 for regression; Jackson D, Riley RD, Stat Med 2014;33:541 for
  correlated effects, which is what the contrasts of a multi-arm study are).
- `knapp-hartung-truncated`: as before with max(1, s²), so that no interval is shorter than its t interval (Knapp &
  Hartung 2003; Röver C, Knapp G, Friede T, BMC Med Res Methodol 2015;15:99).

A new study's effect has variance tau² + se², and its prediction interval is taken from
- `V`: t on df, k - 1 for a pairwise analysis of k studies (Veroniki AA et al., Res Synth Methods 2019;10:23);
- `HTS`: t on df - 1, so k - 2 (Higgins JPT, Thompson SG, Spiegelhalter DJ, J R Stat Soc A 2009;172:137);
- `S`: the normal distribution (Skipka G, in: Abstracts of the 14th Cochrane Colloquium, 2006).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import norm, t

from enthesis.errors import ModelError, unknown_name

CI = Literal["normal", "t", "knapp-hartung", "knapp-hartung-truncated"]
Prediction = Literal["V", "HTS", "S"]
CI_METHODS: tuple[str, ...] = ("normal", "t", "knapp-hartung", "knapp-hartung-truncated")
PREDICTION_METHODS: tuple[str, ...] = ("V", "HTS", "S")


@dataclass(frozen=True, kw_only=True)
class IntervalRule:
    """How wide intervals are.

    Parameters
    ----------
    factor : float
        By which the covariance of the effects is multiplied.
    df : float
        Degrees of freedom of t; inf for the normal distribution.

    Examples
    --------
    >>> round(IntervalRule(factor=1.0, df=float("inf")).critical(), 4)
    1.96
    """

    factor: float
    df: float

    def critical(self, level: float = 0.95) -> float:
        """Half-width of an interval in standard errors."""
        return critical(self.df, level)


def critical(df: float, level: float = 0.95) -> float:
    """The upper quantile of t on df degrees of freedom; normal for inf, NaN for df <= 0."""
    if not df > 0:
        return float("nan")
    return float(norm.ppf((1 + level) / 2) if np.isinf(df) else t.ppf((1 + level) / 2, df))


def interval_rule(ci: CI, *, Q: float, df: int, random: bool) -> IntervalRule:
    """The rule of a named method.

    Parameters
    ----------
    ci : str
        One of `CI_METHODS`.
    Q : float
        Generalised Q at the estimate of tau².
    df : int
        Its degrees of freedom.
    random : bool
        Whether effects are random.

    Returns
    -------
    IntervalRule

    Raises
    ------
    UsageError
        For an unknown method.
    ModelError
        For Knapp-Hartung with common effects, or t without degrees of freedom.
    """
    if ci not in CI_METHODS:
        raise unknown_name("interval method", ci, CI_METHODS)
    if ci == "normal":
        return IntervalRule(factor=1.0, df=float("inf"))
    if df <= 0:
        raise ModelError(f"the interval method {ci!r} needs degrees of freedom, and Q has none. Use 'normal'.")
    if ci == "t":
        return IntervalRule(factor=1.0, df=float(df))
    if not random:
        raise ModelError(
            "Knapp-Hartung intervals belong to random effects: with common effects they would scale the variance "
            "without a model for it. Use ci='normal' or 't', or random effects."
        )
    factor = Q / df
    return IntervalRule(factor=max(1.0, factor) if ci == "knapp-hartung-truncated" else factor, df=float(df))


def prediction_df(prediction: Prediction, df: int) -> float:
    """Degrees of freedom of a prediction interval: inf for normal, 0 when the rule leaves none.

    Examples
    --------
    >>> prediction_df("V", 12), prediction_df("HTS", 12)
    (12.0, 11.0)
    """
    if prediction not in PREDICTION_METHODS:
        raise unknown_name("prediction interval", prediction, PREDICTION_METHODS)
    if prediction == "S":
        return float("inf")
    return float(max(0, df - (prediction == "HTS")))
