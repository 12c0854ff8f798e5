"""Pairwise pooling of counts without study effects: Mantel-Haenszel and Peto.

With r1 of n1 and r2 of n2 in a study, N = n1 + n2, f = n - r, and Σ over studies:

- MH odds ratio: R / S, R = Σ r1 f2 / N, S = Σ f1 r2 / N (Mantel N, Haenszel W, J Natl Cancer Inst 1959;22:719);
  variance of its logarithm Σ PR/2R² + Σ (PS + QR)/2RS + Σ QS/2S² with P = (r1 + f2)/N, Q = (f1 + r2)/N (Robins J,
  Breslow N, Greenland S, Biometrics 1986;42:311).
- MH risk ratio: Σ r1 n2/N / Σ r2 n1/N; variance Σ (n1 n2 (r1 + r2) - r1 r2 N)/N² / product (Greenland S, Robins JM,
  Biometrics 1985;41:55).
- MH risk difference: Σ (r1 n2 - r2 n1)/N / Σ n1 n2/N with Sato's variance (Sato T, Biometrics 1989;45:1323).
- MH rate ratio and rate difference, with times at risk in place of patients (Rothman KJ, Greenland S, Lash TL, Modern
  Epidemiology, 3rd ed. 2008, chapter 15).
- Peto odds ratio: Σ (r1 - E) / Σ V, E and V mean and variance of the hypergeometric (Yusuf S et al., Prog Cardiovasc
  Dis 1985;27:335).
Studies without events (or with events in everyone) carry no information on a ratio and fall out of the sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from enthesis.errors import DataError, ModelError
from enthesis.inference.intervals import critical

if TYPE_CHECKING:
    from enthesis.network.comparison import Cells
    from enthesis.network.measures import Measure

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Pooled:
    """A pooled effect on the measure's scale (log for ratios).

    Parameters
    ----------
    method : str
    measure : Measure
    treatment, comparator : str
        The effect is treatment minus comparator.
    estimate, se, lower, upper, pvalue : float
        With a 95 % normal interval and the test of no difference.
    Q, Q_p : float
        Heterogeneity of the studies' effects around the estimate, chi-square on `Q_df`.
    Q_df : int
    k : int
        Studies that carry information.
    """

    method: str
    measure: Measure
    treatment: str
    comparator: str
    estimate: float
    se: float
    lower: float
    upper: float
    pvalue: float
    Q: float
    Q_df: int
    Q_p: float
    k: int

    def __str__(self) -> str:
        back = self.measure.back_transform
        ends = ", ".join(f"{back(x):.4g}" for x in (self.estimate, self.lower, self.upper))
        return f"{self.method} {self.measure.name} of {self.treatment} versus {self.comparator}: {ends} (95 % CI)"


def mantel_haenszel(table: Cells) -> Pooled:
    """Mantel-Haenszel pooling on the measure of the cells: OR, RR or RD of counts, IRR or IRD of rates.

    Parameters
    ----------
    table : Cells
        As `cells(network)` gives them.

    Returns
    -------
    Pooled

    Raises
    ------
    ModelError
        When the measure is none of these.
    DataError
        When no study, or only one arm of all studies, has events.

    Examples
    --------
    >>> import enthesis as en
    >>> network = en.from_table([
    ...     {"study": s, "treatment": t, "events": r, "n": 50}
    ...     for s, t, r in [("A", "placebo", 8), ("A", "drug", 4), ("B", "placebo", 6), ("B", "drug", 0)]])
    >>> round(mantel_haenszel(en.cells(network)).estimate, 3)
    -1.38
    """
    name = table.measure.name
    if name not in _POOL:
        raise ModelError(f"Mantel-Haenszel pooling gives {', '.join(_POOL)}, not {name} ({table.measure.label}).")
    if table.rates != (name in ("IRR", "IRD")):
        raise ModelError(f"{name} cannot be pooled from {'times at risk' if table.rates else 'numbers of patients'}.")
    estimate, variance = _POOL[name](table)
    if not np.isfinite(estimate) or not variance > 0:
        raise DataError(
            f"{table.treatment!r} or {table.comparator!r} has no events (or only events) over all studies, so no "
            f"{table.measure.label} follows", fix="Use a risk difference, or a comparison with events in both arms.",
        )  # fmt: skip
    return _pooled("Mantel-Haenszel", table, estimate, float(np.sqrt(variance)))


def peto(table: Cells) -> Pooled:
    """Peto's one-step odds ratio, for rare events, balanced arms and effects that are not large.

    Parameters
    ----------
    table : Cells
        Of patients, with the measure OR.

    Returns
    -------
    Pooled

    Raises
    ------
    ModelError
        When the measure is not OR or there are no counts.
    DataError
        When no study has events.

    Examples
    --------
    >>> import enthesis as en
    >>> network = en.from_table([
    ...     {"study": s, "treatment": t, "events": r, "n": 50}
    ...     for s, t, r in [("A", "placebo", 8), ("A", "drug", 4), ("B", "placebo", 6), ("B", "drug", 0)]])
    >>> round(peto(en.cells(network)).estimate, 3)
    -1.222
    """
    if table.measure.name != "OR":
        raise ModelError(f"Peto's method gives an odds ratio, not {table.measure.name}; use measure='OR'.")
    observed, variance = hypergeometric(table)
    informative = variance > 0
    if not informative.any():
        raise DataError("no study has both events and patients without events", fix="Use a risk difference.")
    observed, variance = observed[informative], variance[informative]
    total = float(variance.sum())
    estimate = float(observed.sum()) / total
    Q = float(np.sum(variance * (observed / variance - estimate) ** 2))
    return _summary("Peto", table, estimate, total**-0.5, Q, len(variance))


def hypergeometric(table: Cells) -> tuple[Array, Array]:
    """Events of the treatment minus their expectation under no difference, and their variance, per study."""
    N, R = table.n1 + table.n2, table.r1 + table.r2
    variance = R * (N - R) * table.n1 * table.n2 / (N**2 * (N - 1))
    return table.r1 - R * table.n1 / N, variance


def _odds_ratio(t: Cells) -> tuple[float, float]:
    N, f1, f2 = t.n1 + t.n2, t.n1 - t.r1, t.n2 - t.r2
    R, S = t.r1 * f2 / N, f1 * t.r2 / N
    P, Q = (t.r1 + f2) / N, (f1 + t.r2) / N
    a, b = R.sum(), S.sum()
    if a == 0 or b == 0:
        return np.inf, np.nan
    variance = (P * R).sum() / (2 * a**2) + (P * S + Q * R).sum() / (2 * a * b) + (Q * S).sum() / (2 * b**2)
    return float(np.log(a / b)), float(variance)


def _risk_ratio(t: Cells) -> tuple[float, float]:
    N = t.n1 + t.n2
    a, b = (t.r1 * t.n2 / N).sum(), (t.r2 * t.n1 / N).sum()
    if a == 0 or b == 0:
        return np.inf, np.nan
    return float(np.log(a / b)), float(((t.n1 * t.n2 * (t.r1 + t.r2) - t.r1 * t.r2 * N) / N**2).sum() / (a * b))


def _risk_difference(t: Cells) -> tuple[float, float]:
    N = t.n1 + t.n2
    w = (t.n1 * t.n2 / N).sum()
    estimate = ((t.r1 * t.n2 - t.r2 * t.n1) / N).sum() / w
    p = (t.r2 * (t.n1 / N) ** 2 - t.r1 * (t.n2 / N) ** 2 + t.n1 / N * t.n2 / N * (t.n2 - t.n1) / 2).sum()
    q = ((t.r1 * (t.n2 - t.r2) + t.r2 * (t.n1 - t.r1)) / N).sum() / 2
    return float(estimate), float((estimate * p + q) / w**2)


def _rate_ratio(t: Cells) -> tuple[float, float]:
    T = t.n1 + t.n2
    a, b = (t.r1 * t.n2 / T).sum(), (t.r2 * t.n1 / T).sum()
    if a == 0 or b == 0:
        return np.inf, np.nan
    return float(np.log(a / b)), float((t.n1 * t.n2 / T**2 * (t.r1 + t.r2)).sum() / (a * b))


def _rate_difference(t: Cells) -> tuple[float, float]:
    w = t.n1 * t.n2 / (t.n1 + t.n2)
    estimate = (w * (t.r1 / t.n1 - t.r2 / t.n2)).sum() / w.sum()
    return float(estimate), float((w**2 * (t.r1 / t.n1**2 + t.r2 / t.n2**2)).sum() / w.sum() ** 2)


_POOL = {"OR": _odds_ratio, "RR": _risk_ratio, "RD": _risk_difference, "IRR": _rate_ratio, "IRD": _rate_difference}


def _pooled(method: str, table: Cells, estimate: float, se: float) -> Pooled:
    """Q from the studies' own effects, with 1/2 added to the cells of a study with a zero cell."""
    kept = table
    if table.measure.drops_double_zero:
        silent = table.r1 + table.r2 == 0
        if not table.rates:
            silent |= table.r1 + table.r2 == table.n1 + table.n2
        kept = table.taken(~silent)
    zero = (kept.r1 == 0) | (kept.r2 == 0)
    size = "E" if kept.rates else "n"
    if not kept.rates:
        zero |= (kept.r1 == kept.n1) | (kept.r2 == kept.n2)
    y, v = table.measure.pair({"r": kept.r1, size: kept.n1}, {"r": kept.r2, size: kept.n2}, 0.5 * zero)
    return _summary(method, table, estimate, se, float(np.sum((y - estimate) ** 2 / v)), len(y))


def _summary(method: str, table: Cells, estimate: float, se: float, Q: float, k: int) -> Pooled:
    half = critical(float("inf")) * se
    return Pooled(
        method=method, measure=table.measure, treatment=table.treatment, comparator=table.comparator, estimate=estimate,
        se=se, lower=estimate - half, upper=estimate + half, pvalue=float(2 * stats.norm.sf(abs(estimate / se))), Q=Q,
        Q_df=k - 1, Q_p=float(stats.chi2.sf(Q, k - 1)) if k > 1 else 1.0, k=k,
    )  # fmt: skip
