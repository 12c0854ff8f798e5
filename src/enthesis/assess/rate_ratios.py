"""Rate ratios between groups of single arms, with the assumption that makes them possible in words.

Arms of different studies are no randomised comparison. Two assumptions are offered: `external`, the comparator's rate
would apply to the treated patients unchanged; and `exchangeable`, baseline rates of studies differ by chance with a
standard deviation whose prior is stated. The second is wider by as much as studies of one treatment usually differ.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from enthesis.assess.rates import RateGroup, RateRow, by_study, one_kind
from enthesis.errors import DataError, unknown_name
from enthesis.inference.across_studies import AcrossStudies
from enthesis.inference.rates import rate_ratio_interval
from enthesis.models.priors import HalfNormal, Normal, Prior

Baselines = Literal["external", "exchangeable"]

#: the default spread of log baseline rates between studies: half of them differ by less than 1.4 times
SPREAD = HalfNormal(0.5)
#: prior of a log rate ratio that is worth about one event
VAGUE = Normal(0, 2)

_WORDS = {
    "external": "It assumes that the rate of {comparator} would have applied to the patients on {treatment} unchanged: "
    "studies were not randomised against each other.",
    "exchangeable": "It assumes that, beside the drug, baseline rates of studies differ only by chance (sd of log "
    "rates {spread}): studies were not randomised against each other.",
}


@dataclass(frozen=True, kw_only=True)
class RateRatio:
    """A rate ratio across studies.

    Parameters
    ----------
    treatment, comparator : str
    rate_of : str
    events, patient_years : (float, float)
        Treatment, comparator.
    studies : (int, int)
    estimate, lower, upper : float
        Rate ratio with its 95 % interval.
    baselines : {"external", "exchangeable"}
    assumption : str
    """

    treatment: str
    comparator: str
    rate_of: str
    events: tuple[float, float]
    patient_years: tuple[float, float]
    studies: tuple[int, int]
    estimate: float
    lower: float
    upper: float
    baselines: str
    assumption: str

    @property
    def sentence(self) -> str:
        """The ratio, what it rests on, and its assumption."""
        (a, b), (s, t) = self.events, self.patient_years
        told = f"{_number(self.estimate)} ({_number(self.lower)} to {_number(self.upper)})"
        return (
            f"{self.treatment} against {self.comparator}: rate ratio {told}, {a:g} in {s:,.0f} against {b:g} in "
            f"{t:,.0f} patient-years. {self.assumption}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values; infinite limits are None."""
        return {
            "treatment": self.treatment, "comparator": self.comparator, "rate_of": self.rate_of,
            "events": list(self.events), "patient_years": list(self.patient_years), "studies": list(self.studies),
            "estimate": _finite(self.estimate), "lower": _finite(self.lower), "upper": _finite(self.upper),
            "baselines": self.baselines, "assumption": self.assumption,
        }  # fmt: skip


def rate_ratio(
    treated: Sequence[RateRow],
    comparator: Sequence[RateRow],
    *,
    names: tuple[str, str] = ("treatment", "comparator"),
    baselines: Baselines = "exchangeable",
    spread: Prior = SPREAD,
    rate_of: str = "",
) -> RateRatio:
    """A rate ratio between arms of different studies.

    Parameters
    ----------
    treated, comparator : sequence of RateRow
        With counts and times at risk, of one kind.
    names : (str, str)
    baselines : {"exchangeable", "external"}
        External baselines give the exact conditional interval of the totals.
    spread : Prior
        Of the sd of log baseline rates, for exchangeable baselines.
    rate_of : str
        As for `one_kind`.

    Returns
    -------
    RateRatio
        For exchangeable baselines the median and the interval of the posterior under the prior `VAGUE` of the log
        ratio, so that it has two limits also where a side has no event.

    Raises
    ------
    DataError
        When a side has no counted row, or kinds are mixed.

    Examples
    --------
    >>> upa = [RateRow(id="R1", study_id="A", events=5, exposure=308.6, rate_of="events")]
    >>> ada = [RateRow(id="R2", study_id="B", events=17, exposure=1201.1, rate_of="events")]
    >>> narrow, wide = (rate_ratio(upa, ada, baselines=b) for b in ("external", "exchangeable"))
    >>> narrow.lower > wide.lower and narrow.upper < wide.upper
    True
    """
    if baselines not in _WORDS:
        raise unknown_name("baselines", baselines, _WORDS)
    rows = [r for r in (*treated, *comparator) if r.counted]
    kind, kept, _ = one_kind(rows, rate_of)
    sides = [[r for r in side if r in kept] for side in (treated, comparator)]
    if not all(sides):
        side = names[0] if not sides[0] else names[1]
        raise DataError(f"{side} has no rate with a count and a time at risk of the kind that is pooled")
    (r1, E1), (r0, E0) = by_study(sides[0]), by_study(sides[1])
    total = (float(r1.sum()), float(E1.sum()), float(r0.sum()), float(E0.sum()))
    if baselines == "external":
        estimate, lower, upper = rate_ratio_interval(*total)
    else:
        estimate, lower, upper = _posterior(across(sides[0], sides[1], spread))
    words = _WORDS[baselines].format(treatment=names[0], comparator=names[1], spread=spread)
    return RateRatio(
        treatment=names[0], comparator=names[1], rate_of=kind, events=(total[0], total[2]),
        patient_years=(total[1], total[3]), studies=(len(r1), len(r0)), estimate=estimate, lower=lower, upper=upper,
        baselines=baselines, assumption=words,
    )  # fmt: skip


def across(treated: Sequence[RateRow], comparator: Sequence[RateRow], spread: Prior | None = SPREAD) -> AcrossStudies:
    """The likelihood of the log rate ratio between rows of different studies."""
    pairs = [tuple(zip(*(x.tolist() for x in by_study(side)), strict=True)) for side in (treated, comparator)]
    return AcrossStudies(treated=pairs[0], comparator=pairs[1], spread=spread)


def ratios_against(
    groups: Sequence[RateGroup], comparator: str, baselines: Baselines = "exchangeable"
) -> tuple[RateRatio, ...]:
    """The ratio of every group against one of them.

    Raises
    ------
    UsageError
        When there is no such group.
    DataError
        When kinds are mixed.
    """
    named = {", ".join(group.name): group for group in groups}
    if comparator not in named:
        raise unknown_name("group", comparator, named)
    base = named[comparator]
    return tuple(
        rate_ratio(group.rows, base.rows, names=(name, comparator), baselines=baselines)
        for name, group in named.items()
        if name != comparator
    )


def _posterior(likelihood: AcrossStudies) -> tuple[float, float, float]:
    """Median and 95 % interval under the vague prior."""
    theta = np.linspace(-9.0, 9.0, 3601)
    logs = likelihood.log_likelihood(theta) + VAGUE.log_density(theta)
    w = np.exp(logs - logs.max())
    cdf = np.cumsum(w) / w.sum()
    low, mid, high = (float(np.exp(np.interp(p, cdf, theta))) for p in (0.025, 0.5, 0.975))
    return mid, low, high


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _number(value: float) -> str:
    return "without limit" if math.isinf(value) else "unknown" if math.isnan(value) else f"{value:.2f}"
