"""Limit meta-analysis: the effect that remains when precision grows without bound.

Small-study effects are added to the random-effects model: y_i = beta + sqrt(s_i² + tau²) (alpha + e_i), with e_i ~
Normal(0, 1). Divided by sqrt(s_i² + tau²) it is a straight line in 1 / sqrt(s_i² + tau²) with intercept alpha and slope
beta, fitted by ordinary least squares. As every s_i goes to 0 the effects still vary by tau, so the adjusted mean is
beta_0 = beta + tau alpha, and each study's limit is beta_0 + sqrt(tau² / (s_i² + tau²)) (y_i - beta_0).

- Q - Q' on 1 df, with Q' the residual sum of squares of the line at tau = 0, tests for small-study effects (where
  there is heterogeneity it finds them too often: prefer `asymmetry_test`);
- G² is the share of the variance of the limits that a line through them does not explain, on the radial scale.

Source: Rücker G, Schwarzer G, Carpenter JR, Binder H, Schumacher M, Biostatistics 2011;12:122. The variance of beta_0
is that of the least-squares coefficients with the residual variance 1 that the model states.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, norm

from enthesis.assess.pair import pair_effects, regression
from enthesis.errors import UsageError
from enthesis.inference.regression import solve
from enthesis.network.network import Network

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class LimitMetaAnalysis:
    """The result of a limit meta-analysis.

    Parameters
    ----------
    treatment, comparator : str
    estimate, se, lower, upper : float
        Of beta_0, model's scale.
    alpha, beta : float
        Intercept and slope of the line.
    tau2 : float
        Between-study variance of the random-effects model.
    unadjusted, unadjusted_lower, unadjusted_upper : float
        The random-effects estimate.
    Q, Q_df, Q_p : float, int, float
        Heterogeneity in all.
    Q_small, Q_small_p : float, float
        The part that small-study effects explain, on 1 df.
    Q_rest, Q_rest_df, Q_rest_p : float, int, float
        What they leave.
    G2 : float
    studies : pandas.DataFrame
        study, effect, se, limit.
    message : str
    """

    treatment: str
    comparator: str
    estimate: float
    se: float
    lower: float
    upper: float
    alpha: float
    beta: float
    tau2: float
    unadjusted: float
    unadjusted_lower: float
    unadjusted_upper: float
    Q: float
    Q_df: int
    Q_p: float
    Q_small: float
    Q_small_p: float
    Q_rest: float
    Q_rest_df: int
    Q_rest_p: float
    G2: float
    studies: pd.DataFrame
    message: str


def limit_meta_analysis(
    network: Network, *, treatment: str | None = None, comparator: str | None = None, tau: str = "REML"
) -> LimitMetaAnalysis:
    """Limit meta-analysis of one comparison.

    Parameters
    ----------
    network : Network
    treatment, comparator : str, optional
        The comparison; not needed for a network of two treatments.
    tau : str
        Estimator of the between-study variance, or "common".

    Returns
    -------
    LimitMetaAnalysis

    Raises
    ------
    UsageError
        With fewer than three studies, or when all have the same standard error.

    Examples
    --------
    >>> import enthesis as en
    >>> rows = [dict(study=str(i), treatment=t, mean=m * (t == "B"), sd=1, n=n) for i, (m, n) in enumerate(
    ...         [(0.1, 400), (0.12, 300), (0.3, 80), (0.5, 40), (0.7, 30)]) for t in "AB"]
    >>> found = limit_meta_analysis(en.from_table(rows, measure="MD", reference="A"))
    >>> found.estimate < found.unadjusted
    True
    """
    import pandas as pd

    data = pair_effects(network, treatment, comparator)
    data.require(3, "limit meta-analysis")
    if np.ptp(data.v) < 1e-12 * data.v.max():
        raise UsageError("every study has the same standard error, so there is nothing to extrapolate along.")
    model = regression(data.y, data.v, tau=tau)
    spread = np.sqrt(data.v + model.tau2)
    line = _line(data.y, spread)
    alpha, beta = line.beta
    root = np.sqrt(model.tau2)
    step = np.array([root, 1.0])
    mean, se = float(beta + root * alpha), float(np.sqrt(step @ line.cov @ step))
    limits = mean + root / spread * (data.y - mean)
    z = norm.ppf(0.975)
    raw, raw_se = float(model.beta[0]), float(np.sqrt(model.cov[0, 0]))
    rest = _line(data.y, np.sqrt(data.v)).rss
    small = max(model.Q - rest, 0.0)
    p_small = float(chi2.sf(small, 1))
    back = data.measure.back_transform
    message = (
        f"Extrapolated to studies of no error the effect is {back(mean):.3g} "
        f"({back(mean - z * se):.3g} to {back(mean + z * se):.3g}), without extrapolation {back(raw):.3g}. "
        f"Small-study effects explain {small:.3g} of the heterogeneity Q of {model.Q:.3g}."
    )
    return LimitMetaAnalysis(
        treatment=data.treatment, comparator=data.comparator, estimate=mean, se=se, lower=float(mean - z * se),
        upper=float(mean + z * se), alpha=float(alpha), beta=float(beta), tau2=model.tau2, unadjusted=raw,
        unadjusted_lower=float(raw - z * raw_se), unadjusted_upper=float(raw + z * raw_se), Q=model.Q,
        Q_df=len(data) - 1, Q_p=float(chi2.sf(model.Q, len(data) - 1)), Q_small=small, Q_small_p=p_small, Q_rest=rest,
        Q_rest_df=len(data) - 2, Q_rest_p=float(chi2.sf(rest, len(data) - 2)), G2=_g_squared(limits, np.sqrt(data.v)),
        studies=pd.DataFrame({"study": list(data.study), "effect": data.y, "se": np.sqrt(data.v), "limit": limits}),
        message=message,
    )  # fmt: skip


def _line(y: Array, spread: Array):
    """Least squares of y / spread on 1 and 1 / spread."""
    return solve(y / spread, np.column_stack([np.ones(len(y)), 1 / spread]), np.ones(len(y)))


def _g_squared(limits: Array, s: Array) -> float:
    radial = limits / s
    total = float(np.sum((radial - radial.mean()) ** 2))
    return _line(limits, s).rss / total if total > 0 else 0.0
