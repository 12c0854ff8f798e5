"""Benefit and risk on one scale: partial value functions, swing weights, additive value, net benefit.

A criterion's measurement x becomes a partial value between 0, at the worst end of a stated range, and 1, at the best,
along a line or a piecewise line; beyond the ends the line goes on. A swing weight says how much going from the worst to
the best end is worth. The value of an alternative is the weighted sum (Mussen F, Salek S, Walker S, Pharmacoepidemiol
Drug Saf 2007;16:S2). Net benefit counts events instead: patients gained minus events of harm, each at an exchange rate
(Lynd LD, O'Brien BJ, J Clin Epidemiol 2004;57:795; Sutton AJ et al., J Clin Epidemiol 2005;58:26).

Measurements are draws of absolute risks. Outcomes are drawn independently of one another, because their networks are
fitted one by one; the risk with the reference is taken as known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from enthesis.assess.smaa import Preferences, Smaa, sample_weights, smaa
from enthesis.errors import UsageError, unknown_name

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ValueFunction:
    """A piecewise linear partial value function.

    Parameters
    ----------
    points : tuple of float
        Measurements, increasing or decreasing, at least two.
    values : tuple of float
        Values there, from 0 (worst) to 1 (best), monotone.

    Examples
    --------
    >>> import numpy as np
    >>> ValueFunction.linear(worst=0.06, best=0.0)(np.array([0.06, 0.03, 0.09])).round(2).tolist()
    [0.0, 0.5, -0.5]
    """

    points: tuple[float, ...]
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        x, v = np.asarray(self.points, dtype=float), np.asarray(self.values, dtype=float)
        steps = np.diff(x)
        if len(x) < 2 or len(x) != len(v) or not (np.isfinite(x).all() and ((steps > 0).all() or (steps < 0).all())):
            raise UsageError("a value function needs two or more points in order, and a value for each.")
        rise = np.diff(v)
        if sorted((v[0], v[-1])) != [0.0, 1.0] or not ((rise >= 0).all() or (rise <= 0).all()):
            raise UsageError("values of a value function go from 0 at the worst end to 1 at the best, without turning.")

    @classmethod
    def linear(cls, *, worst: float, best: float) -> ValueFunction:
        """A straight line from the worst to the best measurement."""
        if not worst != best:
            raise UsageError("the worst and the best end of a criterion must differ.")
        return cls(points=(worst, best), values=(0.0, 1.0))

    def __call__(self, x: Array) -> Array:
        """Values of measurements; beyond the ends the last piece goes on."""
        order = np.argsort(self.points)
        at, v = np.asarray(self.points, dtype=float)[order], np.asarray(self.values, dtype=float)[order]
        x = np.asarray(x, dtype=float)
        inside = np.interp(x, at, v)
        first, last = (v[1] - v[0]) / (at[1] - at[0]), (v[-1] - v[-2]) / (at[-1] - at[-2])
        return np.where(
            x < at[0], v[0] + first * (x - at[0]), np.where(x > at[-1], v[-1] + last * (x - at[-1]), inside)
        )

    @property
    def worst(self) -> float:
        """The measurement of value 0."""
        return self.points[self.values.index(0.0)] if self.values[0] == 0.0 else self.points[-1]

    @property
    def best(self) -> float:
        """The measurement of value 1."""
        return self.points[-1] if self.values[-1] == 1.0 else self.points[0]


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """A criterion: id, words, its value function, and whether it is a harm."""

    id: str
    title: str
    value: ValueFunction
    harm: bool = False
    unit: str = "risk"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Draws of measurements.

    Parameters
    ----------
    alternatives : tuple of str
    criteria : tuple of Criterion
    draws : float array, shape (draws, alternatives, criteria)
        Equal weights.
    reference : str
        The alternative that net benefit is counted against.
    """

    alternatives: tuple[str, ...]
    criteria: tuple[Criterion, ...]
    draws: Array = field(repr=False)
    reference: str = ""

    @property
    def values(self) -> Array:
        """Partial values, shape (draws, alternatives, criteria)."""
        return np.stack([c.value(self.draws[:, :, k]) for k, c in enumerate(self.criteria)], axis=-1)

    def summary(self) -> pd.DataFrame:
        """Measurements: alternative, criterion, mean, lower, upper (95 % range), value (mean partial value)."""
        import pandas as pd

        low, high = np.quantile(self.draws, [0.025, 0.975], axis=0)
        mean, value = self.draws.mean(axis=0), self.values.mean(axis=0)
        return pd.DataFrame([
            {"alternative": a, "criterion": c.id, "mean": mean[i, k], "lower": low[i, k], "upper": high[i, k],
             "value": value[i, k]}
            for i, a in enumerate(self.alternatives) for k, c in enumerate(self.criteria)
        ])  # fmt: skip


def weigh(measured: Measured, preferences: Preferences | None = None, *, seed: int = 1) -> Smaa:
    """SMAA-2, or additive value with known weights.

    Parameters
    ----------
    measured : Measured
    preferences : Preferences, optional
        Default: nothing is known of the weights.
    seed : int

    Returns
    -------
    Smaa

    Examples
    --------
    >>> import numpy as np
    >>> gain = Criterion(id="gain", title="response", value=ValueFunction.linear(worst=0.0, best=1.0))
    >>> harm = Criterion(id="harm", title="harm", value=ValueFunction.linear(worst=1.0, best=0.0), harm=True)
    >>> draws = np.tile([[[0.2, 0.1], [0.6, 0.4]]], (500, 1, 1))
    >>> result = weigh(Measured(alternatives=("a", "b"), criteria=(gain, harm), draws=draws))
    >>> result.acceptability.sum(0).round(9).tolist()
    [1.0, 1.0]
    """
    values = measured.values
    p = preferences or Preferences()
    w = sample_weights(len(measured.criteria), len(values), p, seed=seed)
    return smaa(values, w[0] if p.weights else w)


def net_benefit(measured: Measured, exchange: Mapping[str, float], reference: str | None = None) -> pd.DataFrame:
    """Patients gained minus events of harm, each at its exchange rate, per 1,000 patients.

    Parameters
    ----------
    measured : Measured
        Of risks.
    exchange : mapping of str to float
        For each harm, how many patients gained one event outweighs; benefits count 1 unless they are named.
    reference : str, optional
        Default: that of the measurements.

    Returns
    -------
    pandas.DataFrame
        alternative, net, lower, upper (per 1,000 against the reference), p_positive.

    Raises
    ------
    UsageError
        When a name is no criterion, or a harm has no exchange rate.
    """
    import pandas as pd

    reference = reference or measured.reference
    if reference not in measured.alternatives:
        raise unknown_name("alternative", reference, measured.alternatives)
    ids = [c.id for c in measured.criteria]
    for name in exchange:
        if name not in ids:
            raise unknown_name("criterion", name, ids)
    missing = [c.id for c in measured.criteria if c.harm and c.id not in exchange]
    if missing:
        raise UsageError(f"net benefit needs an exchange rate for every harm: {', '.join(missing)} have none.")
    rate = np.array([-exchange[c.id] if c.harm else exchange.get(c.id, 1.0) for c in measured.criteria])
    base = measured.alternatives.index(reference)
    net = 1000 * (measured.draws - measured.draws[:, [base], :]) @ rate
    low, high = np.quantile(net, [0.025, 0.975], axis=0)
    rows: list[dict[str, Any]] = [
        {"alternative": a, "net": float(net[:, i].mean()), "lower": float(low[i]), "upper": float(high[i]),
         "p_positive": float((net[:, i] > 0).mean())}
        for i, a in enumerate(measured.alternatives) if i != base
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["alternative", "net", "lower", "upper", "p_positive"])


def smaa_table(result: Smaa, measured: Measured) -> pd.DataFrame:
    """One row per alternative: rank acceptabilities, confidence factor, central weights, value.

    Returns
    -------
    pandas.DataFrame
        alternative, value, lower, upper, confidence, rank_1 ... rank_A, weight_<criterion>; best acceptability of the
        first rank first.
    """
    import pandas as pd

    frame = pd.DataFrame({"alternative": measured.alternatives, "value": result.mean, "lower": result.lower,
                          "upper": result.upper, "confidence": result.confidence})  # fmt: skip
    for r in range(len(measured.alternatives)):
        frame[f"rank_{r + 1}"] = result.acceptability[:, r]
    for k, c in enumerate(measured.criteria):
        frame[f"weight_{c.id}"] = result.central[:, k]
    return frame.sort_values(["rank_1", "value"], ascending=False, kind="stable", ignore_index=True)


def resampled(draws: Array, weights: Array, n: int, *, seed: int) -> Array:
    """Weighted draws as n draws of equal weight, in random order: systematic resampling (Kitagawa 1996).

    Parameters
    ----------
    draws : float array, shape (draws, ...)
    weights : float array, shape (draws,)
    n : int
    seed : int

    Returns
    -------
    float array, shape (n, ...)
    """
    rng = np.random.default_rng(seed)
    places = (rng.random() + np.arange(n)) / n
    total = np.cumsum(weights) / np.sum(weights)
    return draws[rng.permutation(np.minimum(np.searchsorted(total, places), len(draws) - 1))]


__all__ = ["Criterion", "Measured", "ValueFunction", "net_benefit", "resampled", "smaa_table", "weigh"]
