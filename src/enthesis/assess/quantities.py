"""What an expression can ask of a fit: relative effects, absolute gains, ranks and tau, as weighted draws.

Draws of one fit are joint: `OR(a, b) < OR(c, b)` is decided draw by draw. A frequentist fit is read through the normal
distribution of its estimates, which is its posterior under flat priors.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from enthesis.assess.expressions import Draws, Scope
from enthesis.errors import UsageError
from enthesis.estimands import direction, risk_given
from enthesis.inference.fit import Fit
from enthesis.inference.points import normal_points
from enthesis.models.consistency import UnrelatedMeanEffects
from enthesis.network.measures import MEASURES

Array = NDArray[np.float64]

#: quasi-random draws of a fit that has none
DRAWS = 8192

#: functions of `fit_scope` in words, for messages and documentation
FUNCTIONS: dict[str, str] = {
    "OR, RR, RD, MD, HR, ... (treatment, comparator)": "the effect on the scale people read; the measure of the fit",
    "effect(treatment, comparator)": "the same, whatever the measure of the fit is",
    "new(treatment, comparator)": "the effect in a new study",
    "gain(treatment, comparator)": "the difference of absolute risks",
    "risk(treatment)": "the absolute risk",
    "rank(treatment)": "the place, 1 is best",
    "tau()": "the standard deviation between studies",
}


def fit_scope(fit: Fit, baseline_risk: float | None = None) -> Scope:
    """The functions of an expression over a fit.

    Parameters
    ----------
    fit : Fit
    baseline_risk : float, optional
        Risk with the reference, on which `gain` and `risk` stand.

    Returns
    -------
    Scope
        With the functions of `FUNCTIONS`; each names the treatments of the fit when it is given another.

    Examples
    --------
    >>> import enthesis as en
    >>> from enthesis.assess.expressions import parse
    >>> rows = [dict(study=i, treatment=x, events=r, n=50) for i in (1, 2) for x, r in (("A", 5 * i), ("B", 12))]
    >>> result = en.fit(en.from_table(rows, reference="A", better="higher"), engine="gls")
    >>> p = parse("P(OR(B, A) > 1)").evaluate(fit_scope(result))
    >>> abs(p - en.probability(result, "B", "A")) < 3 * p.mcse
    True
    """
    if isinstance(fit.model.consistency, UnrelatedMeanEffects):
        raise UsageError("a model with unrelated mean effects does not order the treatments: use the consistent one.")
    d, weights = draws_of(fit)
    source = fit.content_hash[:10]
    measure = fit.network.measure
    efficiency = _efficiency(fit, weights)

    def told(values: Array) -> Draws:
        return Draws(np.asarray(values), weights, source, efficiency)

    def at(name: object) -> int:
        return fit.network.index(str(name))

    def effect(treatment: str, comparator: str) -> Draws:
        return told(measure.back_transform(d[:, at(treatment)] - d[:, at(comparator)]))

    def new(treatment: str, comparator: str) -> Draws:
        a, b = at(treatment), at(comparator)
        noise = normal_points(len(d), 1, seed=17)[np.random.default_rng(17).permutation(len(d)), 0]
        return told(measure.back_transform(d[:, a] - d[:, b] + _tau(fit, len(d)) * noise))

    def risk(treatment: str) -> Draws:
        if baseline_risk is None:
            raise UsageError(f"there is no risk with {fit.reference} to start from: the outcome is not counted.")
        base = fit.network.index(fit.reference)
        return told(risk_given(fit, baseline_risk, d[:, at(treatment)] - d[:, base]))

    def gain(treatment: str, comparator: str) -> Draws:
        return told(risk(treatment).values - risk(comparator).values)

    def rank(treatment: str) -> Draws:
        mine = at(treatment)
        better = direction(fit) * (d - d[:, [mine]]) > 0
        return told(1.0 + better.sum(axis=1))

    def tau() -> Draws:
        return told(_tau(fit, len(d)))

    def other(name: str):
        def refuse(*_: object) -> Draws:
            raise UsageError(f"the fit is on {measure.name} ({measure.label}), not {name}: write {measure.name}(...).")

        return refuse

    measures = {name: effect if name == measure.name else other(name) for name in MEASURES}
    return Scope({**measures, "effect": effect, "new": new, "gain": gain, "risk": risk, "rank": rank, "tau": tau})


def draws_of(fit: Fit) -> tuple[Array, Array]:
    """Draws of the effects against the reference, shape (draws, treatments), and their weights."""
    if fit.d is not None and fit.weights is not None:
        return fit.d, fit.weights
    scale, axes = np.linalg.eigh(fit.covariance)
    z = normal_points(DRAWS, len(fit.treatments), seed=1)
    return fit.estimate + z @ (axes * np.sqrt(np.maximum(scale, 0.0))).T, np.full(DRAWS, 1 / DRAWS)


def _tau(fit: Fit, size: int) -> Array:
    if fit.tau_draws is not None and len(fit.tau_draws) == size:
        return fit.tau_draws
    return np.full(size, float(fit.tau.estimate))


def _efficiency(fit: Fit, weights: Array) -> float:
    """Effective draws of a chain per draw: below 1 with autocorrelation; 1 for independent or quasi-random draws."""
    ess = fit.diagnostics.get("ess_bulk", fit.diagnostics.get("effective_sample_size"))
    if fit.engine != "nuts" or not isinstance(ess, int | float) or not np.isfinite(ess):
        return 1.0
    return float(min(1.0, max(1e-3, ess * np.sum(weights**2))))


__all__ = ["FUNCTIONS", "draws_of", "fit_scope"]
