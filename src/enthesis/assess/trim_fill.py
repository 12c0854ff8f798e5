"""Trim and fill: how many studies a symmetric funnel would hold more, and the estimate with them.

Studies are ranked by |y_i - mean|; the number k0 missing on one side is estimated from the ranks on the other, the k0
most extreme studies are trimmed, the mean is taken again, until k0 stays; then k0 mirrored studies are filled in. With
T the sum of the ranks on the heavy side and k studies,

- L0 = (4 T - k (k + 1)) / (2 k - 1);
- R0 = (rightmost run of ranks on the heavy side) - 1;
- Q0 = k - 1/2 - sqrt(2 k² - 4 T + 1/4).

Source: Duval S & Tweedie R, J Am Stat Assoc 2000;95:89 and Biometrics 2000;56:455. The method assumes that studies are
missing for their effect; heterogeneity alone can also make it add studies (Peters JL et al., Stat Med 2007;26:4544).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata

from enthesis.assess.pair import PairEffects, pair_effects, regression
from enthesis.errors import UsageError, unknown_name
from enthesis.network.network import Network

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
ESTIMATORS: tuple[str, ...] = ("L0", "R0", "Q0")
#: the iteration either settles in a few rounds or circles; then the last k0 is used, as the message says
ROUNDS = 100


@dataclass(frozen=True, kw_only=True)
class TrimAndFill:
    """The result of trim and fill.

    Parameters
    ----------
    treatment, comparator : str
    estimator : {"L0", "R0", "Q0"}
    side : {"left", "right"}
        Where studies are missing.
    missing : int
    missing_se : float
        Standard error of k0 before rounding.
    p_no_missing : float or None
        For R0, the p-value of k0 = 0.
    estimate, se, lower, upper, tau2 : float
        With the filled studies, model's scale.
    unadjusted, unadjusted_lower, unadjusted_upper : float
        Without them.
    studies : pandas.DataFrame
        study, effect, se, filled (bool); the points of the funnel plot.
    message : str
    """

    treatment: str
    comparator: str
    estimator: str
    side: str
    missing: int
    missing_se: float
    p_no_missing: float | None
    estimate: float
    se: float
    lower: float
    upper: float
    tau2: float
    unadjusted: float
    unadjusted_lower: float
    unadjusted_upper: float
    studies: pd.DataFrame
    message: str


def trim_and_fill(
    network: Network,
    *,
    treatment: str | None = None,
    comparator: str | None = None,
    estimator: Literal["L0", "R0", "Q0"] = "L0",
    side: Literal["left", "right"] | None = None,
    tau: str = "REML",
) -> TrimAndFill:
    """Trim and fill for one comparison.

    Parameters
    ----------
    network : Network
    treatment, comparator : str, optional
        The comparison; not needed for a network of two treatments.
    estimator : {"L0", "R0", "Q0"}
    side : {"left", "right"}, optional
        Where studies may be missing; by default where the slope of the effect on its standard error points away from.
    tau : {"REML", "ML", "common"}

    Returns
    -------
    TrimAndFill

    Raises
    ------
    UsageError
        With fewer than three studies or an unknown choice.

    Examples
    --------
    >>> import enthesis as en
    >>> rows = [dict(study=str(i), treatment=t, mean=m * (t == "B"), sd=1, n=n) for i, (m, n) in enumerate(
    ...         [(0.1, 400), (0.12, 300), (0.3, 80), (0.5, 40), (0.7, 30), (0.9, 20)]) for t in "AB"]
    >>> found = trim_and_fill(en.from_table(rows, measure="MD", reference="A"))
    >>> found.side, found.missing
    ('left', 3)
    """
    if estimator not in ESTIMATORS:
        raise unknown_name("estimator", estimator, ESTIMATORS)
    if side not in (None, "left", "right"):
        raise unknown_name("side", side, ("left", "right"))
    data = pair_effects(network, treatment, comparator)
    data.require(3, "trim and fill")
    side = side or _side(data, tau)
    flip = -1.0 if side == "right" else 1.0
    order = np.argsort(flip * data.y, kind="stable")
    y, v = flip * data.y[order], data.v[order]
    missing, spread, settled = _missing(y, v, estimator, tau)
    filled_y, filled_v = _filled(y, v, missing, tau)
    before, after = regression(data.y, data.v, tau=tau), regression(filled_y, filled_v, tau=tau)
    import pandas as pd

    names = [data.study[i] for i in order]
    studies = pd.DataFrame(
        {
            "study": names + [f"filled ({name})" for name in names[len(names) - missing :]],
            "effect": flip * filled_y,
            "se": np.sqrt(filled_v),
            "filled": np.arange(len(filled_y)) >= len(names),
        }
    )
    z = norm.ppf(0.975)
    mean, se, raw, raw_se = flip * after.beta[0], after.cov[0, 0] ** 0.5, before.beta[0], before.cov[0, 0] ** 0.5
    message = (
        f"{missing} of {len(names) + missing} studies would be missing on the {side}."
        if missing
        else f"No study seems to be missing on the {side}."
    )
    if not settled:
        message += " The iteration did not settle; the last count is given."
    return TrimAndFill(
        treatment=data.treatment, comparator=data.comparator, estimator=estimator, side=side, missing=missing,
        missing_se=spread, p_no_missing=float(0.5 ** (missing + 1)) if estimator == "R0" else None,
        estimate=float(mean), se=float(se), lower=float(mean - z * se), upper=float(mean + z * se), tau2=after.tau2,
        unadjusted=float(raw), unadjusted_lower=float(raw - z * raw_se), unadjusted_upper=float(raw + z * raw_se),
        studies=studies, message=message,
    )  # fmt: skip


def funnel_points(
    network: Network, *, treatment: str | None = None, comparator: str | None = None
) -> tuple[pd.DataFrame, float]:
    """The points of a funnel plot of one comparison, with the studies that trim and fill adds, and its centre.

    Parameters
    ----------
    network : Network
    treatment, comparator : str, optional
        The comparison; not needed for a network of two treatments.

    Returns
    -------
    points : pandas.DataFrame
        study, effect, se (model's scale), filled. With fewer than three studies, or all of one size, none is added.
    centre : float
        The random-effects mean of the studies seen.
    """
    import pandas as pd

    data = pair_effects(network, treatment, comparator)
    centre = float(regression(data.y, data.v).beta[0])
    try:
        points = trim_and_fill(network, treatment=data.treatment, comparator=data.comparator).studies
    except UsageError:
        points = pd.DataFrame({"study": list(data.study), "effect": data.y, "se": np.sqrt(data.v), "filled": False})
    return points, centre


def _side(data: PairEffects, tau: str) -> str:
    if np.ptp(data.v) < 1e-12 * data.v.max():
        raise UsageError("every study has the same standard error; say on which side studies may be missing.")
    slope = regression(data.y, data.v, np.column_stack([np.ones(len(data)), np.sqrt(data.v)]), tau=tau).beta[1]
    return "left" if slope > 0 else "right"


def _missing(y: Array, v: Array, estimator: str, tau: str) -> tuple[int, float, bool]:
    """The number missing on the left of ascending y, its standard error, and whether the iteration settled."""
    k, missing, spread = len(y), 0, 0.0
    for _ in range(ROUNDS):
        kept = slice(0, max(k - missing, 1))
        centred = y - regression(y[kept], v[kept], tau=tau).beta[0]
        size = np.abs(centred)
        # distances that differ by rounding are ties
        signed = np.sign(centred) * rankdata(np.round(size / max(size.max(), 1e-300), 10), method="average")
        found, spread = _estimated(signed, estimator)
        now = min(max(0, round(found)), k - 1)
        if now == missing:
            return missing, spread, True
        missing = now
    return missing, spread, False


def _estimated(signed: Array, estimator: str) -> tuple[float, float]:
    k = len(signed)
    heavy = signed[signed > 0].sum()
    if estimator == "R0":
        left = np.abs(signed[signed < 0])
        found = k - (left.max() if len(left) else 0) - 1
        return found, float(np.sqrt(2 * max(0.0, found) + 2))
    if estimator == "L0":
        found = (4 * heavy - k * (k + 1)) / (2 * k - 1)
        m = max(0.0, found)
        variance = (k * (k + 1) * (2 * k + 1) + 10 * m**3 + 27 * m**2 + 17 * m - 18 * k * m**2 - 18 * k * m
                    + 6 * k**2 * m) / 24  # fmt: skip
        return found, 4 * np.sqrt(variance) / (2 * k - 1)
    found = k - 0.5 - np.sqrt(max(0.0, 2 * k**2 - 4 * heavy + 0.25))
    m = max(0.0, found)
    variance = (k * (k + 1) * (2 * k + 1) + 10 * m**3 + 27 * m**2 + 17 * m - 18 * k * m**2 - 18 * k * m
                + 6 * k**2 * m) / 24  # fmt: skip
    return found, 2 * np.sqrt(variance) / np.sqrt((k - 0.5) ** 2 - m * (2 * k - m - 1))


def _filled(y: Array, v: Array, missing: int, tau: str) -> tuple[Array, Array]:
    if not missing:
        return y, v
    k = len(y)
    centre = regression(y[: k - missing], v[: k - missing], tau=tau).beta[0]
    return np.r_[y, 2 * centre - y[k - missing :]], np.r_[v, v[k - missing :]]
