"""Effect measures: how two arms are compared, on which scale, and with which variance.

A contrast is always *treatment minus comparator on the measure's scale*; nothing else in the package flips a sign.
`Measure.pair` maps two arms to (effect, variance). Formulas: Higgins JPT et al., Cochrane Handbook chapter 6 and
10.4; arcsine difference: Rücker G et al., Stat Med 2009;28:721; ratio of means: Friedrich JO et al., BMC Med Res
Methodol 2008;8:32.

Two standardised mean differences. `SMD` divides by the standard deviation pooled over all arms of the study, with
var = 1/n1 + 1/n2 + d²/(2 N), N patients in the study (Crippa A & Orsini N, BMC Med Res Methodol 2016;16:91): the
contrasts of a multi-arm study then add up, as a network needs, and R's netmeta computes the same. `SMDH` is Hedges' g
for each pair by itself, with the exact small-sample factor and var = 1/n1 + 1/n2 + g²/(2 (n1 + n2)) (Hedges LV, J Educ
Stat 1981;6:107), as R's metafor computes it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, ndtri

from enthesis.errors import unknown_name

Array = NDArray[np.float64]
Arms = dict[str, Array]
Kind = Literal["counts", "means", "rates", "followup", "levels"]


@dataclass(frozen=True, kw_only=True)
class ContinuityCorrection:
    """What is added to the cells of a table with a zero, before an effect is computed from it.

    Parameters
    ----------
    amount : float
        Added to each cell (half of it would be too little to matter; 0.5 is the field's default).
    scope : {"comparison", "study", "all", "none"}
        `comparison`: only the two arms of a comparison in which a cell is zero (as R's meta and netmeta do); where the
        variances of a multi-arm study then contradict one another, all its arms;
        `study`: every arm of a study in which any comparison has a zero cell; `all`: every study; `none`: never,
        so that comparisons with a zero cell are left out.
    double_zero : {"left out", "corrected"}
        What happens to a study without any event (or with events in everyone) on a ratio: it carries no information and
        is left out, as R's meta and netmeta do; or it is corrected like any other and then pulls towards no
        difference, as R's metafor does.

    Examples
    --------
    >>> ContinuityCorrection(scope="study").amount
    0.5
    """

    amount: float = 0.5
    scope: Literal["comparison", "study", "all", "none"] = "comparison"
    double_zero: Literal["left out", "corrected"] = "left out"

    def __post_init__(self) -> None:
        if not (0 <= self.amount <= 1):
            raise unknown_name("continuity correction", self.amount, ["a number from 0 to 1"])
        if self.scope not in ("comparison", "study", "all", "none"):
            raise unknown_name("continuity-correction scope", self.scope, ["comparison", "study", "all", "none"])
        if self.double_zero not in ("left out", "corrected"):
            raise unknown_name("treatment of studies without events", self.double_zero, ["left out", "corrected"])


@dataclass(frozen=True, kw_only=True)
class Measure:
    """An effect measure as a value.

    Parameters
    ----------
    name : str
        The short name used in tables, for example `OR`.
    label : str
        The name in words.
    scale : {"log", "identity"}
        `log`: estimates are logarithms, and `exp` gives the ratio; the null is 0 on either scale.
    kind : {"counts", "means", "rates"} or None
        The arm data the measure can be computed from; None for measures that come only as contrasts.
    pair : callable or None
        (arms of the treatment, arms of the comparator, increment to each cell) → (effect, variance).

    Examples
    --------
    >>> OR.scale, float(OR.back_transform(0.0))
    ('log', 1.0)
    """

    name: str
    label: str
    scale: Literal["log", "identity"]
    kind: Kind | None = None
    pair: Callable[[Arms, Arms, Array], tuple[Array, Array]] | None = field(default=None, repr=False)
    #: both arms without events (or all with) carry no information on a ratio, and are left out as in R's meta
    drops_double_zero: bool = False

    @property
    def null(self) -> float:
        """No difference, on the back-transformed scale: 1 for ratios, 0 for differences."""
        return 1.0 if self.scale == "log" else 0.0

    def back_transform(self, effect: Array | float) -> Array | float:
        """From the model's scale to the scale people read."""
        return np.exp(effect) if self.scale == "log" else effect

    def transform(self, value: Array | float) -> Array | float:
        """From the scale people read to the model's scale."""
        return np.log(value) if self.scale == "log" else value


def _log_odds_ratio(a: Arms, b: Arms, inc: Array) -> tuple[Array, Array]:
    cells = [a["r"] + inc, a["n"] - a["r"] + inc, b["r"] + inc, b["n"] - b["r"] + inc]
    y = np.log(cells[0]) - np.log(cells[1]) - np.log(cells[2]) + np.log(cells[3])
    return y, sum(1 / cell for cell in cells)


def _log_risk_ratio(a: Arms, b: Arms, inc: Array) -> tuple[Array, Array]:
    ra, na, rb, nb = a["r"] + inc, a["n"] + inc, b["r"] + inc, b["n"] + inc
    return np.log(ra / na) - np.log(rb / nb), 1 / ra - 1 / na + 1 / rb - 1 / nb


def _risk_difference(a: Arms, b: Arms, inc: Array) -> tuple[Array, Array]:
    y = a["r"] / a["n"] - b["r"] / b["n"]  # the difference itself needs no correction, only its variance does
    va, vb = ((arm["r"] + inc) * (arm["n"] - arm["r"] + inc) / (arm["n"] + 2 * inc) ** 3 for arm in (a, b))
    return y, va + vb


def _arcsine_difference(a: Arms, b: Arms, inc: Array) -> tuple[Array, Array]:
    y = np.arcsin(np.sqrt(a["r"] / a["n"])) - np.arcsin(np.sqrt(b["r"] / b["n"]))
    return y, 1 / (4 * a["n"]) + 1 / (4 * b["n"])


def _mean_difference(a: Arms, b: Arms, inc: Array) -> tuple[Array, Array]:
    return a["y"] - b["y"], a["se"] ** 2 + b["se"] ** 2


def _standardised(a: Arms, b: Arms, inc: Array) -> tuple[Array, Array]:
    d = (a["y"] - b["y"]) / a["study_sd"]
    return d, 1 / a["n"] + 1 / b["n"] + d**2 / (2 * a["study_n"])


def _hedges_g(a: Arms, b: Arms, inc: Array) -> tuple[Array, Array]:
    df = a["n"] + b["n"] - 2
    pooled = np.sqrt(((a["n"] - 1) * a["sd"] ** 2 + (b["n"] - 1) * b["sd"] ** 2) / df)
    exact = np.exp(gammaln(df / 2) - gammaln((df - 1) / 2)) * np.sqrt(2 / df)
    g = exact * (a["y"] - b["y"]) / pooled
    return g, 1 / a["n"] + 1 / b["n"] + g**2 / (2 * (a["n"] + b["n"]))


def _log_ratio_of_means(a: Arms, b: Arms, inc: Array) -> tuple[Array, Array]:
    y = np.log(a["y"] / b["y"])  # of two falls too: the larger one has the larger ratio
    return y, (a["se"] / a["y"]) ** 2 + (b["se"] / b["y"]) ** 2


def _log_rate_ratio(a: Arms, b: Arms, inc: Array) -> tuple[Array, Array]:
    ra, rb = a["r"] + inc, b["r"] + inc
    return np.log(ra / a["E"]) - np.log(rb / b["E"]), 1 / ra + 1 / rb


def _rate_difference(a: Arms, b: Arms, inc: Array) -> tuple[Array, Array]:
    y = a["r"] / a["E"] - b["r"] / b["E"]
    return y, (a["r"] + inc) / a["E"] ** 2 + (b["r"] + inc) / b["E"] ** 2


def _log_hazard_ratio(a: Arms, b: Arms, inc: Array) -> tuple[Array, Array]:
    y, v = 0.0, 0.0
    for arm, sign in ((a, 1.0), (b, -1.0)):
        p = (arm["r"] + inc) / (arm["n"] + 2 * inc)
        cumulative = -np.log1p(-p)  # hazard times follow-up, were the hazard constant
        y = y + sign * np.log(cumulative / arm["E"])
        v = v + p / ((arm["n"] + 2 * inc) * (1 - p) * cumulative**2)
    return y, v


def _probit_difference(a: Arms, b: Arms, inc: Array) -> tuple[Array, Array]:
    y, v = 0.0, 0.0
    for arm, sign in ((a, 1.0), (b, -1.0)):
        p = (arm["r"] + inc) / (arm["n"] + 2 * inc)
        z = ndtri(p)
        density = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
        y = y + sign * z
        v = v + p * (1 - p) / ((arm["n"] + 2 * inc) * density**2)
    return y, v


OR = Measure(name="OR", label="odds ratio", scale="log", kind="counts", pair=_log_odds_ratio, drops_double_zero=True)
RR = Measure(name="RR", label="risk ratio", scale="log", kind="counts", pair=_log_risk_ratio, drops_double_zero=True)
RD = Measure(name="RD", label="risk difference", scale="identity", kind="counts", pair=_risk_difference)
ASD = Measure(name="ASD", label="arcsine difference", scale="identity", kind="counts", pair=_arcsine_difference)
MD = Measure(name="MD", label="mean difference", scale="identity", kind="means", pair=_mean_difference)
SMD = Measure(name="SMD", label="standardised mean difference", scale="identity", kind="means", pair=_standardised)
SMDH = Measure(
    name="SMDH", label="standardised mean difference (Hedges' g)", scale="identity", kind="means", pair=_hedges_g
)
ROM = Measure(name="ROM", label="ratio of means", scale="log", kind="means", pair=_log_ratio_of_means)
IRR = Measure(
    name="IRR", label="incidence rate ratio", scale="log", kind="rates", pair=_log_rate_ratio, drops_double_zero=True
)
IRD = Measure(name="IRD", label="incidence rate difference", scale="identity", kind="rates", pair=_rate_difference)
HR = Measure(
    name="HR", label="hazard ratio", scale="log", kind="followup", pair=_log_hazard_ratio, drops_double_zero=True
)
PROBIT = Measure(
    name="PROBIT", label="probit difference", scale="identity", kind="counts", pair=_probit_difference,
    drops_double_zero=True,
)  # fmt: skip
EFFECT = Measure(name="EFFECT", label="difference on the scale given", scale="identity")

#: every measure by name
MEASURES: dict[str, Measure] = {m.name: m for m in (OR, RR, RD, ASD, PROBIT, MD, SMD, SMDH, ROM, IRR, IRD, HR, EFFECT)}


def measure(name: str | Measure) -> Measure:
    """The measure of that name, in any case.

    Parameters
    ----------
    name : str or Measure

    Returns
    -------
    Measure

    Raises
    ------
    UsageError
        When there is no such measure; the message lists them.

    Examples
    --------
    >>> measure("smd").label
    'standardised mean difference'
    """
    if isinstance(name, Measure):
        return name
    try:
        return MEASURES[str(name).strip().upper()]
    except KeyError:
        raise unknown_name("measure", name, MEASURES) from None
