"""Studies of different designs about one effect: which levels there are, and how they are believed.

Levels are `rct`, `extension`, `pooled` and `cohort`. A belief says what separates a level from the truth: a stated bias
(`BiasAdjusted`), an estimated one (`EstimatedBias`), exchangeable levels (`DesignHierarchy`), fewer data
(`DownWeighted`), or nothing at all, and then the levels are compared rather than combined (`SeparateThenCompare`).
theta is the effect of interest, on the log scale for ratios; study effects vary around their level's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from enthesis.errors import UsageError, unknown_name
from enthesis.models.one_parameter import Reported
from enthesis.models.priors import HalfNormal, Normal, Prior

DESIGNS = ("rct", "extension", "pooled", "cohort")


@dataclass(frozen=True, kw_only=True)
class DesignedEffect:
    """What one study reports about the effect, with its design.

    Parameters
    ----------
    study : str
    design : {"rct", "extension", "pooled", "cohort"}
    data : EffectEstimate, EventCounts, Events or Responders
    source : str
    """

    study: str
    design: str
    data: Reported
    source: str = ""

    def __post_init__(self) -> None:
        if self.design not in DESIGNS:
            raise unknown_name("design", self.design, DESIGNS)


@dataclass(frozen=True, kw_only=True)
class Bias:
    """An additive bias on the scale of theta: what is measured is theta + bias, bias ~ Normal(mean, sd²).

    Examples
    --------
    >>> Bias(mean=0.1, sd=0.3).sd
    0.3
    """

    mean: float = 0.0
    sd: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean) and math.isfinite(self.sd) and self.sd >= 0):
            raise UsageError(f"a bias has a finite mean and a standard deviation of 0 or more, not {self}.")


def _designs(named: Mapping[str, object]) -> None:
    for name in named:
        if name not in DESIGNS:
            raise unknown_name("design", name, DESIGNS)


@dataclass(frozen=True, kw_only=True)
class BiasAdjusted:
    """Stated biases: study i of level l measures Normal(theta + bias[l].mean, tau² + bias[l].sd²).

    Turner RM, Spiegelhalter DJ, Smith GCS, Thompson SG, J R Stat Soc A 2009;172:21. Levels without a stated bias have
    none. tau is common to all levels.
    """

    bias: Mapping[str, Bias] = field(default_factory=dict)
    tau: float | Prior = field(default=HalfNormal(0.5))
    mu: Normal | None = None

    def __post_init__(self) -> None:
        _designs(self.bias)


@dataclass(frozen=True, kw_only=True)
class EstimatedBias:
    """Biases learned from the data: level l is centred at theta + b[l], b[reference] = 0, else b[l] ~ `mean`.

    After Welton NJ, Ades AE, Carlin JB, Altman DG, Sterne JAC, J R Stat Soc A 2009;172:119. The spread of studies
    within a level, which holds heterogeneity and the spread of its bias, is the level's own, with the prior `within`.
    """

    reference: str = "rct"
    mean: Normal = field(default=Normal(0.0, 0.5))
    within: float | Prior = field(default=HalfNormal(0.5))
    mu: Normal | None = None

    def __post_init__(self) -> None:
        _designs({self.reference: None})


@dataclass(frozen=True, kw_only=True)
class DesignHierarchy:
    """Three levels: studies within designs, designs around theta.

    Study i of level l: Normal(mu[l] + bias[l].mean, within[l]² + bias[l].sd²), mu[l] ~ Normal(theta, between²)
    (Prevost TC, Abrams KR, Jones DR, Stat Med 2000;19:3359). With `bias` it is the design-adjusted model (Efthimiou O,
    Mavridis D, Debray TPA, et al., Stat Med 2017;36:1210). between to 0 is one pooled analysis.
    """

    between: float | Prior = field(default=HalfNormal(0.5))
    within: float | Prior = field(default=HalfNormal(0.5))
    bias: Mapping[str, Bias] = field(default_factory=dict)
    mu: Normal | None = None

    def __post_init__(self) -> None:
        _designs(self.bias)


@dataclass(frozen=True, kw_only=True)
class DownWeighted:
    """The likelihood of every study of a level to the power weights[level]; levels not named count in full.

    A power prior by design (Ibrahim JG & Chen MH, Stat Sci 2000;15:46; Efthimiou et al. 2017). tau is common.
    """

    weights: Mapping[str, float] = field(default_factory=dict)
    tau: float | Prior = field(default=HalfNormal(0.5))
    mu: Normal | None = None

    def __post_init__(self) -> None:
        _designs(self.weights)
        for name, value in self.weights.items():
            if not 0 <= value <= 1:
                raise UsageError(f"the weight of {name} must lie between 0 and 1, not {value}.")


@dataclass(frozen=True, kw_only=True)
class SeparateThenCompare:
    """Every level on its own; theta is the effect in `reference`, and the others are tested against it."""

    reference: str = "rct"
    tau: float | Prior = field(default=HalfNormal(0.5))
    mu: Normal | None = None

    def __post_init__(self) -> None:
        _designs({self.reference: None})


DesignBelief = BiasAdjusted | EstimatedBias | DesignHierarchy | DownWeighted | SeparateThenCompare
