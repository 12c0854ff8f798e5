"""One specification of a multiverse: everything that decides its numbers, as a value that a worker can be sent.

`estimate_of` fits it and reads off one comparison on the stated scale. It never raises: what cannot be estimated is an
`Estimate` that says why.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from enthesis.errors import EnthesisError, UsageError, shortened
from enthesis.estimands import relative_effects
from enthesis.execute import WorkerLost
from enthesis.inference.fit import Fit, fit
from enthesis.models.model import Model
from enthesis.network.measures import measure
from enthesis.network.network import Network

NAN = float("nan")


@dataclass(frozen=True, kw_only=True)
class Specification:
    """An analysis of one comparison.

    Parameters
    ----------
    network, model : Network, Model
    engine : str
    treatment, comparator : str
        Nodes of the network.
    scale : str
        Measure on which the result is stated: the network's own, or RD.
    baseline_risk : float or None
        Risk with the comparator, for stating a ratio as a risk difference.
    seed, draws : int
    """

    network: Network
    model: Model
    engine: str
    treatment: str
    comparator: str
    scale: str
    baseline_risk: float | None = None
    seed: int = 1
    draws: int = 2000


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a specification gives.

    Parameters
    ----------
    estimate, lower, upper : float
        On the stated scale's model scale (log for ratios); NaN where there is none.
    n_studies, n_treatments : int
        Of the network that was fitted.
    tau : float
        On the scale of the model that was fitted.
    pareto_k, effective_draws : float
        Of the importance weights; NaN for engines without.
    status : {"ok", "doubtful", "failed"}
        `doubtful`: fitted, but the engine's status is not ok.
    message : str
    """

    estimate: float = NAN
    lower: float = NAN
    upper: float = NAN
    n_studies: int = 0
    n_treatments: int = 0
    tau: float = NAN
    pareto_k: float = NAN
    effective_draws: float = NAN
    status: str = "ok"
    message: str = ""


def failed(message: str) -> Estimate:
    """An estimate that there is not, and why."""
    return Estimate(status="failed", message=message)


def lost(_: Specification, problem: WorkerLost) -> Estimate:
    """A specification that was given up because its worker died again and again."""
    return failed(str(problem))


def estimate_of(specification: Specification) -> Estimate:
    """Fit a specification and read off its comparison.

    Parameters
    ----------
    specification : Specification

    Returns
    -------
    Estimate
        With status `failed` and the sentence of the error when there is no estimate.

    Examples
    --------
    >>> import enthesis as en
    >>> rows = [dict(study=i, treatment=t, events=r, n=50) for i in (1, 2) for t, r in (("A", 5), ("B", 12))]
    >>> spec = Specification(network=en.from_table(rows, measure="OR", reference="A"), model=en.Model(), engine="gls",
    ...                      treatment="B", comparator="A", scale="OR")
    >>> estimate_of(spec).status
    'ok'
    """
    s = specification
    try:
        made = fit(s.network, s.model, engine=s.engine, seed=s.seed, draws=s.draws)
        estimate, lower, upper = _effect(made, s)
    except EnthesisError as problem:
        return failed(str(problem))
    except Exception as problem:  # one analysis of many: the others go on, and the table says what happened
        return failed(f"an unexpected error ({type(problem).__name__}: {shortened(problem, 200)}).")
    if not np.isfinite([estimate, lower, upper]).all():
        return failed("the estimate or its interval is not a finite number.")
    return Estimate(
        estimate=estimate, lower=lower, upper=upper, n_studies=made.network.n_studies,
        n_treatments=made.network.n_treatments, tau=float(made.tau.estimate),
        pareto_k=float(made.diagnostics.get("pareto_k", NAN)),
        effective_draws=float(made.diagnostics.get("effective_sample_size", NAN)),
        status="ok" if made.status.ok else "doubtful", message=made.status.message,
    )  # fmt: skip


def _effect(made: Fit, s: Specification) -> tuple[float, float, float]:
    made.network.index(s.treatment)
    table = relative_effects(made, comparator=s.comparator)
    row = table[table["treatment"] == s.treatment].iloc[0]
    values = np.array([row["estimate"], row["lower"], row["upper"]], dtype=float)
    return tuple(float(x) for x in restated(values, made.network.measure.name, s.scale, s.baseline_risk))


def restated(effect: np.ndarray, own: str, scale: str, baseline_risk: float | None) -> np.ndarray:
    """Effects of one measure on the scale of another, monotone, at a risk with the comparator.

    Parameters
    ----------
    effect : float array
        On the model's scale of `own`.
    own, scale : str
        Measure names; `scale` is `own`, or RD for OR and RR.
    baseline_risk : float or None

    Returns
    -------
    float array

    Raises
    ------
    UsageError
        When one cannot be stated as the other.

    Examples
    --------
    >>> restated(np.log(np.array([2.0])), "RR", "RD", 0.2).round(6).tolist()
    [0.2]
    """
    if own == scale:
        return effect
    if scale != "RD" or own not in ("OR", "RR") or baseline_risk is None:
        raise UsageError(
            f"{measure(own).label} cannot be stated as {measure(scale).label} here: only odds and risk ratios can, as "
            "risk differences, at a risk with the comparator."
        )
    if own == "OR":
        return expit(logit(baseline_risk) + effect) - baseline_risk
    return np.minimum(baseline_risk * np.exp(effect), 1.0) - baseline_risk
