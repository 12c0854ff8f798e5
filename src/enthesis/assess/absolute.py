"""Absolute effects from a baseline that is itself uncertain: a distribution of the comparator's risk, not a number.

Relative effects act on the scale of the linear predictor (NICE DSU TSD 5), independently of the baseline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from enthesis.assess.baseline import RISK_LINKS, BaselineFit
from enthesis.errors import UsageError
from enthesis.inference.diagnostics import quantiles
from enthesis.inference.fit import Fit
from enthesis.inference.points import normal_points, to_normal, uniform_points
from enthesis.models.priors import Normal

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

#: quasi-random draws of a fit that has none
DRAWS = 8192


def risks_given_distribution(
    fit: Fit, baseline: BaselineFit | Normal, comparator: str, *, follow_up: float = 1.0
) -> tuple[Array, Array, Array]:
    """Draws of the risk with the comparator and with every treatment.

    Parameters
    ----------
    fit : Fit
        On OR, RR, RD, PROBIT or HR.
    baseline : BaselineFit or Normal
        Of the comparator: the predictive distribution of a new population is used; a Normal is on the scale of the
        linear predictor (logit for OR, RR and RD; probit; complementary log-log for HR).
    comparator : str
    follow_up : float
        For HR with a BaselineFit: the time at which risks are wanted.

    Returns
    -------
    base : float array, shape (draws,)
    risks : float array, shape (draws, treatments)
    weights : float array, shape (draws,)
    """
    from enthesis.estimands import risk_given

    name = fit.network.measure.name
    if name not in RISK_LINKS or name == "ASD":
        raise UsageError(f"absolute risks follow from OR, RR, RD, PROBIT or HR, not from {name}.")
    if fit.is_bayesian:
        d, weights = fit.d, fit.weights
    else:
        scale, axes = np.linalg.eigh(fit.covariance)
        z = normal_points(DRAWS, len(fit.treatments), seed=1)
        d = fit.estimate + z @ (axes * np.sqrt(np.maximum(scale, 0.0))).T
        weights = np.full(DRAWS, 1 / DRAWS)
    base = _baseline_risk(fit, baseline, len(d), follow_up)
    effects = d - d[:, [fit.network.index(comparator)]]
    return base, risk_given(fit, base[:, None], effects), weights


def _baseline_risk(fit: Fit, baseline: BaselineFit | Normal, size: int, follow_up: float) -> Array:
    """Draws of the comparator's risk, in an order of their own."""
    seed = int(fit.settings.get("seed", 1)) + 11
    order = np.random.default_rng(seed).permutation(size)
    if isinstance(baseline, Normal):
        predictor = (baseline.mean + baseline.sd * to_normal(uniform_points(size, 1, seed))[:, 0])[order]
        return RISK_LINKS[fit.network.measure.name].inverse(predictor)[0]
    if not isinstance(baseline, BaselineFit):
        raise UsageError(
            f"a baseline is a fit of fit_baseline or a normal distribution on the linear predictor, not {baseline!r}."
        )
    if baseline.scale not in ("logit", "probit", "cloglog"):
        raise UsageError(f"this baseline is on the scale {baseline.scale!r} and gives no risk.")
    cdf = np.cumsum(baseline.weights)
    at = np.searchsorted(cdf, (np.arange(size) + 0.5) / size * cdf[-1])
    return baseline.natural(baseline.new[at][order], follow_up=follow_up)


def absolute_from_distribution(
    fit: Fit, baseline: BaselineFit | Normal, comparator: str, *, follow_up: float = 1.0
) -> pd.DataFrame:
    """The columns of `estimands.absolute_effects` for an uncertain baseline; the comparator's own row comes first."""
    import pandas as pd

    from enthesis.estimands import nnt_for, numbers_needed

    base, risks, weights = risks_given_distribution(fit, baseline, comparator, follow_up=follow_up)
    at = fit.network.index(comparator)
    rows = []
    for j in (at, *(i for i in range(len(fit.treatments)) if i != at)):
        risk = base if j == at else risks[:, j]
        (mean, lower, upper), (diff, below, above) = (_three(x, weights) for x in (risk, risk - base))
        nnt, nnt_lower, nnt_upper = numbers_needed(1000 * diff, 1000 * below, 1000 * above)
        rows.append({
            "treatment": fit.treatments[j], "risk": mean, "risk_lower": lower, "risk_upper": upper,
            "per_1000": 1000 * mean, "per_1000_lower": 1000 * lower, "per_1000_upper": 1000 * upper,
            "difference_per_1000": 1000 * diff, "difference_lower": 1000 * below, "difference_upper": 1000 * above,
            "nnt": float(nnt), "nnt_lower": float(nnt_lower), "nnt_upper": float(nnt_upper),
            "nnt_for": nnt_for(fit, diff),
        })  # fmt: skip
    return pd.DataFrame(rows)


def _three(x: Array, weights: Array) -> tuple[float, float, float]:
    lower, upper = quantiles(x, weights, (0.025, 0.975))
    return float(weights @ x), float(lower), float(upper)
