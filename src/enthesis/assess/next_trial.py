"""What a new trial of a comparison is worth: how large it must be, what it would decide, what choosing better gains.

**Size.** Let theta = d_a - d_b - margin have posterior N(m, s²), and a trial of n patients an effect with variance
v / n + tau². After the trial its variance is s'² = (1 / s² + 1 / (v / n + tau²))⁻¹, and its mean, seen from now, is
N(m, s² - s'²). The trial decides when the posterior probability of theta > 0 reaches the threshold, or that of the
opposite does; the probability of that, averaged over the posterior of tau, is the *assurance* (O'Hagan A, Stevens JW,
Campbell MJ, Pharm Stat 2005;4:187). With n it tends to a limit below 1 when studies differ: one trial, however
large, is one study.

**Value.** With the net benefit of each treatment per patient, what is gained on average by choosing after the trial
rather than now is the expected value of sample information (Ades AE, Lu G, Claxton K, Med Decis Making 2004;24:207),

    EVSI = E_y max_k E[NB_k | y] - max_k E[NB_k],

which is at most the value of perfect information, E max_k NB_k - max_k E[NB_k].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtr, ndtri

from enthesis.assess.preposterior import PlannedTrial, _tau, foresee, reference_risks, usual_sd
from enthesis.assess.quantities import draws_of
from enthesis.errors import ModelError, UsageError
from enthesis.estimands import direction, risk_given
from enthesis.inference.fit import Fit

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

#: quantiles of tau over which an assurance is averaged
TAUS = 33
#: more patients than any trial has
LARGEST = 20_000


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large a trial of a comparison must be.

    Parameters
    ----------
    treatment, comparator : str
    margin : float
        On the scale people read; the null for plain superiority.
    now : float
        Posterior probability that the treatment is better than the comparator by the margin.
    patients : int or None
        In both arms together; 0 when it is decided already, None when no single trial (of up to `LARGEST` patients)
        reaches the assurance.
    assurance : float
        What was asked for.
    limit : float
        The assurance of an endless trial.
    """

    treatment: str
    comparator: str
    margin: float
    now: float
    patients: int | None
    assurance: float
    limit: float

    def words(self) -> str:
        """In a sentence."""
        if self.patients == 0:
            return f"decided already: probability {self.now:.3f}"
        if self.patients is None and self.limit > self.assurance:
            return f"no single trial of up to {LARGEST:,} patients reaches an assurance of {self.assurance:g}"
        if self.patients is None:
            return (
                f"no single trial reaches an assurance of {self.assurance:g}: studies differ so much that an endless "
                f"one has {self.limit:.2f}"
            )
        return f"{self.patients:,} patients in two equal arms"


def required_size(
    fit: Fit,
    treatment: str,
    comparator: str,
    *,
    margin: float | None = None,
    threshold: float = 0.95,
    assurance: float = 0.8,
) -> Size:
    """Patients that a trial of two equal arms needs to decide whether a treatment is better.

    Parameters
    ----------
    fit : Fit
        Of counts of patients or mean differences.
    treatment, comparator : str
    margin : float, optional
        How much better, on the scale people read (an odds ratio of 1.25, 1 point); default the null.
    threshold : float
        Posterior probability that decides, for or against.
    assurance : float
        Wanted probability that the trial decides.

    Returns
    -------
    Size

    Examples
    --------
    >>> import enthesis as en
    >>> rows = [dict(study=i, treatment=x, events=r, n=50) for i in (1, 2) for x, r in (("A", 9 + i), ("B", 12))]
    >>> result = en.fit(en.from_table(rows, reference="A", better="higher"), en.Model(heterogeneity=en.Common()))
    >>> 1000 < required_size(result, "B", "A").patients < 20000
    True
    """
    _between(threshold, "threshold", 0.5)
    _between(assurance, "assurance", 0.0)
    m, s, tau, v = _belief(fit, treatment, comparator, margin)
    now = float(ndtr(m / s))
    limit = _assurance(m, s, tau, 0.0, threshold)
    shown = fit.network.measure.null if margin is None else margin
    told = {"treatment": treatment, "comparator": comparator, "margin": shown, "now": now, "assurance": assurance,
            "limit": limit}  # fmt: skip
    if max(now, 1 - now) >= threshold:
        return Size(patients=0, **told)
    if limit <= assurance or _assurance(m, s, tau, v / LARGEST, threshold) < assurance:
        return Size(patients=None, **told)
    low, high = 4, LARGEST
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _assurance(m, s, tau, v / middle, threshold) >= assurance else (middle, high)
    return Size(patients=high + high % 2, **told)


def decides(fit: Fit, treatment: str, comparator: str, patients: int, *, margin: float | None = None,
            threshold: float = 0.95) -> float:  # fmt: skip
    """The probability that a trial of that many patients in two equal arms decides; see `required_size`."""
    _between(threshold, "threshold", 0.5)
    m, s, tau, v = _belief(fit, treatment, comparator, margin)
    return _assurance(m, s, tau, v / patients, threshold)


def _belief(fit: Fit, treatment: str, comparator: str, margin: float | None) -> tuple[float, float, Array, float]:
    """Mean and sd of theta (better is above 0), quantiles of tau, and the sampling variance of one patient."""
    d, w = draws_of(fit)
    a, b = fit.network.index(treatment), fit.network.index(comparator)
    if a == b:
        raise UsageError("name two different treatments.")
    measure, sign = fit.network.measure, direction(fit)
    shift = 0.0 if margin is None else float(measure.transform(margin))
    theta = sign * (d[:, a] - d[:, b]) - abs(shift)
    m = float(w @ theta)
    s = float(np.sqrt(w @ (theta - m) ** 2))
    tau = _tau(fit, len(d))
    order = np.argsort(tau)
    at = np.searchsorted(np.cumsum(w[order]), (np.arange(TAUS) + 0.5) / TAUS)
    return m, s, tau[order][np.minimum(at, len(tau) - 1)], _unit_variance(fit, a, b, d, w)


def _unit_variance(fit: Fit, a: int, b: int, d: Array, w: Array) -> float:
    """n times the variance of the effect of a trial with n patients in two equal arms."""
    if fit.network.measure.name == "MD":
        return 4 * usual_sd(fit) ** 2
    if fit.network.measure.kind != "counts":
        raise ModelError(f"the size of a trial can be told for counts and means, not for {fit.network.measure.label}.")
    base = float(expit(np.mean(logit(reference_risks(fit)))))
    ref = fit.network.index(fit.reference)
    p = [float(np.clip(risk_given(fit, base, w @ (d[:, k] - d[:, ref])), 1e-4, 1 - 1e-4)) for k in (a, b)]
    n = 1e6
    arms = [{"r": np.array([n * q]), "n": np.array([n])} for q in p]
    return float(2 * n * fit.network.measure.pair(*arms, np.zeros(1))[1][0])


def _assurance(m: float, s: float, tau: Array, v: float, threshold: float) -> float:
    noise = v + tau**2
    with np.errstate(divide="ignore"):
        after = np.sqrt(1 / (1 / s**2 + 1 / noise)) if v > 0 else np.where(tau > 0, s * tau / np.hypot(s, tau), 0.0)
    moves = np.sqrt(np.maximum(s**2 - after**2, 1e-300))
    z = float(ndtri(threshold))
    return float(np.mean(ndtr((m - z * after) / moves) + ndtr((-m - z * after) / moves)))


@dataclass(frozen=True, kw_only=True)
class SampleInformation:
    """The value of a trial for the choice among treatments.

    Parameters
    ----------
    best : str
        The treatment with the highest expected net benefit now.
    value : float
        Expected value of sample information per patient to whom the choice applies, in units of net benefit.
    mcse : float
        Its Monte Carlo standard error.
    perfect : float
        Expected value of perfect information about the effects.
    changes : float
        Probability that another treatment is chosen after the trial.
    """

    best: str
    value: float
    mcse: float
    perfect: float
    changes: float


def net_benefit(
    fit: Fit, baseline_risk: float | None = None, *, worth: float = 1.0, costs: Mapping[str, float] | None = None
) -> Array:
    """Net benefit of every treatment by draw: worth times what is achieved, less the cost.

    Parameters
    ----------
    fit : Fit
    baseline_risk : float, optional
        Risk with the reference, for outcomes that are counted; then what is achieved is the share of patients with the
        outcome (or without it, when less is better). Otherwise it is the effect against the reference.
    worth : float
        Of one patient more (or one unit of the effect).
    costs : mapping of str to float, optional
        Cost, harm or burden of each treatment in the same units; 0 where none is given.

    Returns
    -------
    float array, shape (draws, treatments)
    """
    d, _ = draws_of(fit)
    sign = direction(fit)
    ref = fit.network.index(fit.reference)
    effect = d - d[:, [ref]]
    achieved = effect if baseline_risk is None else risk_given(fit, baseline_risk, effect)
    cost = np.zeros(d.shape[1])
    for name, value in (costs or {}).items():
        cost[fit.network.index(name)] = value
    return worth * sign * achieved - cost


def sample_information(
    fit: Fit, trial: PlannedTrial, benefit: Array, *, trials: int = 512, seed: int = 1
) -> SampleInformation:
    """Expected value of sample information of a planned trial.

    Parameters
    ----------
    fit : Fit
    trial : PlannedTrial
    benefit : float array, shape (draws, treatments)
        From `net_benefit`, or any rule of the reader's.
    trials, seed : int

    Returns
    -------
    SampleInformation
    """
    seen = foresee(fit, trial, trials=trials, seed=seed)
    _, w = draws_of(fit)
    now = w @ benefit
    after = seen.weights @ benefit
    # the mean over simulated trials of what is expected after them is what is expected now: a control variate
    gain = after.max(axis=1) - after[:, np.argmax(now)]
    return SampleInformation(
        best=fit.treatments[int(np.argmax(now))],
        value=float(gain.mean()),
        mcse=float(gain.std(ddof=1) / np.sqrt(trials)),
        perfect=float(w @ (benefit.max(axis=1) - benefit[:, np.argmax(now)])),
        changes=float(np.mean(after.argmax(axis=1) != np.argmax(now))),
    )


def value_map(
    fit: Fit,
    patients: int = 300,
    *,
    benefit: Array | None = None,
    baseline_risk: float | None = None,
    threshold: float = 0.95,
    trials: int = 256,
    seed: int = 1,
) -> pd.DataFrame:
    """Every comparison of two treatments as a trial of that many patients: what it would decide and be worth.

    Parameters
    ----------
    fit : Fit
    patients : int
        In two equal arms.
    benefit : float array, optional
        See `sample_information`; default the net benefit without costs.
    baseline_risk : float, optional
        For that default.
    threshold, trials, seed
        See `required_size` and `foresee`.

    Returns
    -------
    pandas.DataFrame
        treatment, comparator, patients, direct (studies that compare the two), probability (that the treatment is
        better, now), decides (probability that the trial brings it to the threshold or its opposite), value (expected
        value of sample information), mcse, share (of the value of perfect information), changes (probability that
        another treatment is chosen).
    """
    import pandas as pd

    from enthesis.network.geometry import edges

    if benefit is None:
        benefit = net_benefit(fit, baseline_risk)
    d, w = draws_of(fit)
    sign = direction(fit)
    direct = {frozenset((e.treatment, e.comparator)): int(e.n_studies) for e in edges(fit.network).itertuples()}
    rows = []
    for b, a in combinations(range(len(fit.treatments)), 2):
        treatment, comparator = fit.treatments[a], fit.treatments[b]
        trial = PlannedTrial(arms=((comparator, patients // 2), (treatment, patients - patients // 2)))
        info = sample_information(fit, trial, benefit, trials=trials, seed=seed)
        rows.append({
            "treatment": treatment, "comparator": comparator, "patients": patients,
            "direct": direct.get(frozenset((treatment, comparator)), 0),
            "probability": float(w @ (sign * (d[:, a] - d[:, b]) > 0)),
            "decides": decides(fit, treatment, comparator, patients, threshold=threshold),
            "value": info.value, "mcse": info.mcse,
            "share": info.value / info.perfect if info.perfect > 0 else 0.0, "changes": info.changes,
        })  # fmt: skip
    return pd.DataFrame(rows)


def _between(value: float, name: str, low: float) -> None:
    if not low < value < 1:
        raise UsageError(f"{name} must lie between {low:g} and 1, not {value:g}.")


__all__ = ["SampleInformation", "Size", "decides", "net_benefit", "required_size", "sample_information", "value_map"]
