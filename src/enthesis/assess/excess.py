"""Too many significant results, and how many null studies it would take: two older questions, for one comparison.

Excess significance (Ioannidis JPA & Trikalinos TA, Clin Trials 2007;4:245): O of the k studies are significant; were
the pooled effect true, study i would be with probability pi_i, so E = Σ pi_i. P(at least O) is exact.

Fail-safe N: unseen studies of no effect that would undo the result. Rosenthal R, Psychol Bull 1979;86:638:
(Σ z_i / z_alpha)² - k, one-sided; Orwin RG, J Educ Stat 1983;8:157: until the unweighted mean is the target;
Rosenberg MS, Evolution 2005;59:464: until the weighted mean of common-effect weights is no longer significant.
It says little about bias (Becker BJ, in: Publication Bias in Meta-Analysis, 2005, chapter 7).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from enthesis.assess.pair import pair_effects, regression
from enthesis.errors import UsageError
from enthesis.network.network import Network

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ExcessSignificance:
    """Observed and expected numbers of significant studies.

    Parameters
    ----------
    observed : int
    expected : float
    p : float
        One-sided: of at least as many as observed.
    effect, tau2 : float
        Taken as true, model's scale.
    studies : pandas.DataFrame
        study, p (two-sided), power.
    message : str
    """

    observed: int
    expected: float
    p: float
    effect: float
    tau2: float
    studies: pd.DataFrame
    message: str


def excess_significance(
    network: Network,
    *,
    treatment: str | None = None,
    comparator: str | None = None,
    alpha: float = 0.05,
    tau: str = "REML",
) -> ExcessSignificance:
    """The test of excess significance for one comparison.

    Parameters
    ----------
    network : Network
    treatment, comparator : str, optional
        The comparison; not needed for a network of two treatments.
    alpha : float
        Two-sided level at which a study counts as significant.
    tau : str
        Estimator of the between-study variance, or "common".

    Returns
    -------
    ExcessSignificance

    Raises
    ------
    UsageError
        For an alpha outside (0, 1) or fewer than two studies.
    """
    import pandas as pd

    if not 0 < alpha < 1:
        raise UsageError(f"alpha must be between 0 and 1, not {alpha!r}.")
    data = pair_effects(network, treatment, comparator)
    data.require(2, "the test of excess significance")
    model = regression(data.y, data.v, tau=tau)
    mean, s, spread = model.beta[0], np.sqrt(data.v), np.sqrt(data.v + model.tau2)
    edge = norm.isf(alpha / 2) * s
    power = norm.sf((edge - mean) / spread) + norm.cdf((-edge - mean) / spread)
    p = 2 * norm.sf(np.abs(data.y) / s)
    observed = int(np.sum(p <= alpha))
    tail = float(min(1.0, _count_distribution(power)[observed:].sum()))
    message = (
        f"{observed} of {len(data)} studies are significant, {power.sum():.1f} expected "
        f"({'more than expected' if tail < 0.1 else 'no excess'}, p = {tail:.2g})."
    )
    return ExcessSignificance(
        observed=observed, expected=float(power.sum()), p=tail, effect=float(mean), tau2=model.tau2,
        studies=pd.DataFrame({"study": list(data.study), "p": p, "power": power}), message=message,
    )  # fmt: skip


def _count_distribution(probabilities: Array) -> Array:
    """Probabilities of 0 ... k successes in independent trials."""
    distribution = np.ones(1)
    for q in probabilities:
        distribution = np.convolve(distribution, [1 - q, q])
    return distribution


def fail_safe_n(
    network: Network,
    *,
    treatment: str | None = None,
    comparator: str | None = None,
    alpha: float = 0.05,
    target: float | None = None,
) -> pd.DataFrame:
    """Numbers of unseen null studies that would undo a result.

    Parameters
    ----------
    network : Network
    treatment, comparator : str, optional
        The comparison; not needed for a network of two treatments.
    alpha : float
        One-sided for Rosenthal, two-sided for Rosenberg.
    target : float, optional
        For Orwin: the mean (model's scale) that would no longer matter; default half of the unweighted mean.

    Returns
    -------
    pandas.DataFrame
        method ("Rosenthal", "Orwin", "Rosenberg"), n (0 when the result is not there to undo).

    Raises
    ------
    UsageError
        For an alpha outside (0, 1), or a target that is 0 or beyond the mean.
    """
    import pandas as pd

    if not 0 < alpha < 1:
        raise UsageError(f"alpha must be between 0 and 1, not {alpha!r}.")
    data = pair_effects(network, treatment, comparator)
    k, w, mean = len(data), 1 / data.v, float(data.y.mean())
    target = mean / 2 if target is None else float(target)
    if target * mean <= 0 or not np.isfinite(target):
        raise UsageError(
            f"the target must lie between 0 and the mean ({mean:.3g}) on the model's scale, not {target!r}."
        )
    rosenthal = (np.sum(data.y / np.sqrt(data.v)) / norm.isf(alpha)) ** 2 - k
    orwin = k * (mean / target - 1)
    rosenberg = ((w @ data.y / norm.isf(alpha / 2)) ** 2 - w.sum()) / w.mean()
    # rounding errors must not add a study to a whole number
    counts = [max(0, ceil(n - 1e-9)) for n in (rosenthal, orwin, rosenberg)]
    return pd.DataFrame({"method": ["Rosenthal", "Orwin", "Rosenberg"], "n": counts})
