"""A trial that has not reported: what it may find, and what would be believed after it.

A new study is drawn from the posterior: its effect from N(d, tau²) with one draw of d and tau, its counts or means from
that effect and a baseline. What would be believed after seeing it is the present posterior with every draw weighted by
how probable it makes the simulated effect,

    w_i(y) ∝ w_i N(y; D d_i, V + tau_i² (I + J) / 2),

V the sampling covariance of the trial's contrasts against its first arm. With draws of the present posterior this is
exact for a normal likelihood of the contrasts; for counts the normal likelihood stands for the binomial one, and trials
so small that this matters move little. No model is fitted again. Averaged over simulated trials, what is believed after
them is what is believed now (a martingale), which the tests hold it to.

Sources: Spiegelhalter DJ, Abrams KR, Myles JP, Bayesian Approaches to Clinical Trials and Health-Care Evaluation, 2004,
chapter 6 (predictive distributions); Sutton AJ et al., Stat Med 2007;26:2479 (trial design from an updated
meta-analysis); Heath A et al., Med Decis Making 2020;40:314 (moment and weighting methods for sample information).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtri
from scipy.stats import binom

from enthesis.assess.quantities import draws_of
from enthesis.errors import ModelError, UsageError
from enthesis.estimands import risk_given
from enthesis.inference.fit import Fit
from enthesis.inference.points import uniform_points
from enthesis.network.blocks import ArmCounts, ArmMeans

Array = NDArray[np.float64]

#: simulated trials
TRIALS = 512


@dataclass(frozen=True, kw_only=True)
class PlannedTrial:
    """A trial that is planned or under way.

    Parameters
    ----------
    arms : tuple of (str, int)
        Treatment and number of patients of each arm; the first is the control.

    Examples
    --------
    >>> PlannedTrial(arms=(("placebo", 129), ("upadacitinib", 129))).patients
    258
    """

    arms: tuple[tuple[str, int], ...]

    def __post_init__(self) -> None:
        if len(self.arms) < 2 or len({name for name, _ in self.arms}) < len(self.arms):
            raise UsageError("a planned trial needs two or more arms of different treatments.")
        if min(n for _, n in self.arms) < 2:
            raise UsageError("every arm of a planned trial needs two or more patients.")

    @property
    def patients(self) -> int:
        """Over all arms."""
        return sum(n for _, n in self.arms)


@dataclass(frozen=True, kw_only=True)
class Foreseen:
    """Simulated trials and the posterior after each.

    Parameters
    ----------
    fit : Fit
    trial : PlannedTrial
    y : float array, shape (trials, arms - 1)
        Effects against the first arm that the trials would show, on the model's scale.
    weights : float array, shape (trials, draws)
        Weights of the draws of the fit after each; rows sum to 1.
    """

    fit: Fit
    trial: PlannedTrial
    y: Array
    weights: Array

    @property
    def draws_left(self) -> float:
        """Effective draws after the median trial: below 100, numbers after a trial are rough."""
        return float(np.median(1 / np.sum(self.weights**2, axis=1)))

    def estimate(self, arm: int = 1) -> tuple[float, float, float]:
        """Mean and 95 % interval of the effect that the trial will show, on the model's scale."""
        shown = self.y[:, arm - 1]
        lower, upper = np.quantile(shown, (0.025, 0.975))
        return float(shown.mean()), float(lower), float(upper)


def foresee(fit: Fit, trial: PlannedTrial, *, trials: int = TRIALS, seed: int = 1) -> Foreseen:
    """Simulate a planned trial from a fit, and weigh the draws of the fit by each result.

    Parameters
    ----------
    fit : Fit
        Of counts of patients or of means; a frequentist fit is read through the normal distribution of its estimates.
    trial : PlannedTrial
    trials, seed : int
        Number of simulated trials.

    Returns
    -------
    Foreseen

    Raises
    ------
    UsageError
        When the network does not hold a treatment of the trial: the message names those it holds.
    ModelError
        When nothing in the network says how outcomes vary within an arm.

    Examples
    --------
    >>> import enthesis as en
    >>> rows = [dict(study=i, treatment=x, events=r, n=50) for i in (1, 2) for x, r in (("A", 5 * i), ("B", 12))]
    >>> result = en.fit(en.from_table(rows, reference="A", better="higher"), engine="gls")
    >>> seen = foresee(result, PlannedTrial(arms=(("A", 100), ("B", 100))))
    >>> d, w = result.estimate[1], seen.weights
    >>> w.shape[0], bool(np.allclose(w.sum(axis=1), 1))
    (512, True)
    """
    d, weights = draws_of(fit)
    tau = _tau(fit, len(d))
    at = [fit.network.index(name) for name, _ in trial.arms]
    effects = d[:, at[1:]] - d[:, [at[0]]]
    arms = len(at)
    u = uniform_points(trials, 2 + 2 * arms, seed)
    row = np.minimum(np.searchsorted(np.cumsum(weights), u[:, 0], side="right"), len(d) - 1)
    # deviations of N(0, tau² / 2) in every arm give the contrasts covariances tau² (I + J) / 2
    deviation = tau[row, None] * np.sqrt(0.5) * ndtri(u[:, 2 : 2 + arms])
    delta = effects[row] + deviation[:, 1:] - deviation[:, [0]]
    control = d[row, at[0]] - d[row, fit.network.index(fit.reference)]
    y, V = _results(fit, trial, delta, control, u[:, 1], u[:, 2 + arms :])
    return Foreseen(fit=fit, trial=trial, y=y, weights=_after(effects, tau, weights, y, V))


def _results(fit: Fit, trial: PlannedTrial, delta: Array, control: Array, baseline: Array, noise: Array):
    """Effects against the first arm, shape (trials, contrasts), and their sampling covariances."""
    sizes = np.array([n for _, n in trial.arms], dtype=float)
    if fit.network.measure.kind == "counts" and any(isinstance(b, ArmCounts) for b in fit.network.blocks):
        base = reference_risks(fit)
        # between the observed risks, so that the baseline is not one of a few values
        risk = expit(np.interp(baseline, (np.arange(len(base)) + 0.5) / len(base), logit(base)))
        first = risk_given(fit, risk, control)
        p = np.column_stack([first, *(risk_given(fit, first, delta[:, j]) for j in range(delta.shape[1]))])
        return _contrasts(fit, binom.ppf(noise, sizes, np.clip(p, 1e-6, 1 - 1e-6)), sizes)
    if fit.network.measure.name == "MD":
        se = usual_sd(fit) / np.sqrt(sizes)
        error = se * ndtri(noise)
        V = np.diag(se[1:] ** 2) + se[0] ** 2
        return delta + error[:, 1:] - error[:, [0]], np.broadcast_to(V, (len(delta), *V.shape))
    raise ModelError(
        "a planned trial can be simulated for counts of patients and for mean differences, not for a network on "
        f"{fit.network.measure.label}."
    )


def _contrasts(fit: Fit, r: Array, sizes: Array) -> tuple[Array, Array]:
    """Effects and covariances from counts of shape (trials, arms)."""
    pair = fit.network.measure.pair
    inc = np.where(np.any((r == 0) | (r == sizes), axis=1), 0.5, 0.0)
    arms = [{"r": r[:, j], "n": np.full(len(r), sizes[j])} for j in range(r.shape[1])]
    found = [pair(arm, arms[0], inc) for arm in arms[1:]]
    y, v = np.column_stack([f[0] for f in found]), np.column_stack([f[1] for f in found])
    V = np.zeros((len(y), y.shape[1], y.shape[1]))
    for a in range(y.shape[1]):
        V[:, a, a] = v[:, a]
        for b in range(a):
            V[:, a, b] = V[:, b, a] = (v[:, a] + v[:, b] - pair(arms[a + 1], arms[b + 1], inc)[1]) / 2
    return y, V


def _after(effects: Array, tau: Array, weights: Array, y: Array, V: Array) -> Array:
    """Weights of the draws after each simulated trial, shape (trials, draws)."""
    k = effects.shape[1]
    shared = (np.eye(k) + 1) / 2
    logs = np.empty((len(y), len(effects)))
    for s in range(len(y)):
        if k == 1:
            v = V[s, 0, 0] + tau**2
            logs[s] = -0.5 * (np.log(v) + (y[s, 0] - effects[:, 0]) ** 2 / v)
            continue
        factor = np.linalg.cholesky(V[s] + tau[:, None, None] ** 2 * shared)
        z = np.linalg.solve(factor, (y[s] - effects)[:, :, None])[:, :, 0]
        logs[s] = -0.5 * np.sum(z**2, axis=1) - np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)
    made = weights * np.exp(logs - logs.max(axis=1, keepdims=True))
    return made / made.sum(axis=1, keepdims=True)


def reference_risks(fit: Fit) -> Array:
    """Risks with the reference in the studies that have such an arm, sorted; half an event keeps them from 0 and 1.

    Raises
    ------
    ModelError
        When no study has an arm of the reference with counts.
    """
    at = fit.network.index(fit.reference)
    found = [
        (b.r[b.treatment == at] + 0.5) / (b.n[b.treatment == at] + 1)
        for b in fit.network.blocks
        if isinstance(b, ArmCounts)
    ]
    risks = np.sort(np.concatenate(found)) if found else np.empty(0)
    if not len(risks):
        raise ModelError(f"no study counts patients with {fit.reference}: there is no risk to start from.")
    return risks


def usual_sd(fit: Fit) -> float:
    """The standard deviation of a patient, pooled over the arms that state or imply one.

    Raises
    ------
    ModelError
        When no arm does.
    """
    total, weight = 0.0, 0.0
    for b in fit.network.blocks:
        if isinstance(b, ArmMeans):
            n = np.asarray(b.n, dtype=float)
            sd = np.asarray(b.sd, dtype=float)
            sd = np.where(np.isfinite(sd), sd, np.asarray(b.se, dtype=float) * np.sqrt(n))
            usable = np.isfinite(sd) & (n > 1)
            total += float(np.sum((n[usable] - 1) * sd[usable] ** 2))
            weight += float(np.sum(n[usable] - 1))
    if not weight:
        raise ModelError("no arm of the network tells the standard deviation of its patients.")
    return float(np.sqrt(total / weight))


def _tau(fit: Fit, size: int) -> Array:
    if fit.tau_draws is not None and len(fit.tau_draws) == size:
        return np.asarray(fit.tau_draws, dtype=float)
    return np.full(size, float(fit.tau.estimate))


__all__ = ["TRIALS", "Foreseen", "PlannedTrial", "foresee", "reference_risks", "usual_sd"]
