"""Borrowing: what is believed about evidence from elsewhere, and what may be carried over at all.

Only relative effects are carried from one indication to another: `RelativeEffect` is the one type that `transport`
accepts, and `AbsoluteRate` is refused with a sentence. How far they are believed is a value: `NoBorrowing`, `Pooling`,
`Power`, `NormalisedPower`, `Commensurate`, `Hierarchical`, `RobustMap`, `Exnex`. Each has a weight between 0 (nothing
is borrowed) and 1 where the method has one, and `at(weight)` gives the same belief at another weight. Computing is in
`inference/borrowing.py`.

theta is the effect in the own indication, on the log scale for ratios; theta[j] is the effect in external source j.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from enthesis.errors import ModelError, UsageError, shortened, unknown_name
from enthesis.models.one_parameter import EffectEstimate, EventCounts, Likelihood
from enthesis.models.priors import HalfNormal, Normal, Prior

#: one event with equal exposure on both sides: the variance of a log rate ratio from D events is 4 / D
UNIT_SD = 2.0
#: measures of a relative effect that are read as a ratio of rates
RATE_RATIOS = ("IRR", "HR", "RR")
_MEASURES = (*RATE_RATIOS, "OR", "MD", "SMD")


def _weight(value: float, what: str = "the weight") -> None:
    if not (isinstance(value, int | float) and 0 <= value <= 1):
        raise UsageError(f"{what} must lie between 0 (nothing is borrowed) and 1, not {shortened(value)}.")


# ---- what may be carried over ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class RelativeEffect:
    """A relative effect that a study of some indication reports, with its stratum of risk.

    Parameters
    ----------
    study, treatment, comparator, outcome : str
    indication : str
        For example `RA`; compared as written.
    data : EffectEstimate or EventCounts
        An estimate on the log scale with its standard error, or events and patient-years on both sides.
    measure : {"IRR", "HR", "RR", "OR", "MD", "SMD"}
    stratum : str
        Stratum of risk, `all` when the study is not split.
    design : {"rct", "extension", "pooled", "cohort"}
    source : str
        Where it was read.

    Examples
    --------
    >>> mace = RelativeEffect(study="A", treatment="JAKi", comparator="TNFi", outcome="MACE", indication="RA",
    ...                       measure="HR", data=EffectEstimate.from_interval(1.33, 0.91, 1.94), stratum="all")
    >>> round(mace.data.place[0], 3)
    0.285
    """

    study: str
    treatment: str
    comparator: str
    outcome: str
    indication: str
    data: EffectEstimate | EventCounts
    measure: str = "IRR"
    stratum: str = "all"
    design: str = "rct"
    source: str = ""

    def __post_init__(self) -> None:
        if self.measure not in _MEASURES:
            raise unknown_name("measure", self.measure, _MEASURES)
        if isinstance(self.data, EventCounts) and self.measure not in RATE_RATIOS:
            raise ModelError(f"{self.study}: events in patient-years give a rate ratio, not measure {self.measure}.")
        if not isinstance(self.data, EffectEstimate | EventCounts):
            raise ModelError(
                f"{shortened(self.study)}: a relative effect is an estimate with its standard error, or events and "
                "patient-years on both sides. One side alone is an absolute rate, which is not carried over."
            )


@dataclass(frozen=True, kw_only=True)
class AbsoluteRate:
    """Events in patient-years of one treatment in one indication: kept, shown, never carried to another indication.

    Examples
    --------
    >>> AbsoluteRate(study="A", treatment="TNFi", outcome="MACE", indication="RA", events=2, exposure=400).per_100
    0.5
    """

    study: str
    treatment: str
    outcome: str
    indication: str
    events: float
    exposure: float
    source: str = ""

    @property
    def per_100(self) -> float:
        """Events per 100 patient-years."""
        return 100 * self.events / self.exposure


def transport(
    evidence: Iterable[RelativeEffect], *, to: str, stratum: str = "all", outcome: str | None = None
) -> tuple[RelativeEffect, ...]:
    """The relative effects of other indications that may inform `to`, in one stratum of risk.

    Parameters
    ----------
    evidence : iterable of RelativeEffect
    to : str
        The own indication; rows of it are its own data and are left out here.
    stratum : str
        Only rows of this stratum are used: an effect in patients of 65 or older is not mixed with one in all patients.
    outcome : str, optional
        When given, only rows of this outcome.

    Returns
    -------
    tuple of RelativeEffect

    Raises
    ------
    ModelError
        When a row is an absolute rate, when measures do not go together, when treatments are compared in different
        directions, or when one study gives two rows of the stratum.
    UsageError
        When no row is in the stratum.

    Examples
    --------
    >>> rate = AbsoluteRate(study="A", treatment="TNFi", outcome="MACE", indication="RA", events=2, exposure=400)
    >>> try:
    ...     transport([rate], to="axSpA")
    ... except ModelError as problem:
    ...     print(str(problem).split(".")[0])
    A: the absolute rate of MACE in RA is not carried to axSpA
    """
    rows = tuple(evidence)
    for row in rows:
        if isinstance(row, AbsoluteRate):
            _refuse(row, to)
        if not isinstance(row, RelativeEffect):
            raise ModelError(f"only relative effects are carried between indications, not {type(row).__name__}.")
    found = tuple(
        r for r in rows if r.indication != to and r.stratum == stratum and (outcome is None or r.outcome == outcome)
    )
    if not found:
        known = sorted({r.stratum for r in rows if r.indication != to})
        listed = f" Strata there are: {', '.join(known)}." if known else ""
        raise UsageError(f"no relative effect from another indication than {to} is in the stratum {stratum!r}.{listed}")
    check_together(found)
    return found


def _refuse(row: AbsoluteRate, to: str) -> None:
    if row.indication == to:
        raise ModelError(
            f"{row.study}: an absolute rate is not a relative effect. Give it as own data (EventCounts) of {to}."
        )
    raise ModelError(
        f"{row.study}: the absolute rate of {row.outcome} in {row.indication} is not carried to {to}. Patients with "
        f"{row.indication} differ in age, disease and other treatment, and so do their rates. Give the rate ratio or "
        "hazard ratio of the study with its interval, or events and patient-years of both sides."
    )


def check_together(rows: Sequence[RelativeEffect]) -> None:
    """Refuse rows that are not about the same comparison, outcome and kind of measure, or name a study twice."""
    scales = {"rate ratio" if r.measure in RATE_RATIOS else r.measure for r in rows}
    if len(scales) > 1:
        raise ModelError(f"measures {', '.join(sorted(scales))} are not combined. Choose rows of one of them.")
    for name in ("outcome", "treatment", "comparator"):
        values = sorted({getattr(r, name) for r in rows})
        if len(values) > 1:
            raise ModelError(
                f"rows with different {name}s are not combined: {', '.join(values[:5])}. Give rows of one, or rename "
                "them to the class when the class is the question."
            )
    seen: set[str] = set()
    for row in rows:
        if row.study in seen:
            raise ModelError(
                f"{row.study} is there twice in the stratum {row.stratum!r}: its patients would count twice. "
                "Choose one row, or declare the overlap and use keep_one."
            )
        seen.add(row.study)


# ---- how far it is believed --------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Belief:
    """What every belief has: the prior of theta without any external source."""

    vague: Normal = field(default=Normal(0.0, UNIT_SD))

    @property
    def weight(self) -> float:
        """How much is borrowed, between 0 and 1."""
        raise NotImplementedError

    def at(self, weight: float) -> Any:
        """The same belief at another weight."""
        raise ModelError(f"{type(self).__name__} has no weight that can be moved; use RobustMap, Power or Exnex.")


@dataclass(frozen=True, kw_only=True)
class NoBorrowing(_Belief):
    """Own data only: theta ~ `vague`, by default Normal(0, 2²), which is worth one event."""

    @property
    def weight(self) -> float:
        """0."""
        return 0.0


@dataclass(frozen=True, kw_only=True)
class Pooling(_Belief):
    """One effect everywhere: theta = theta[j]; external data count in full."""

    @property
    def weight(self) -> float:
        """1."""
        return 1.0


@dataclass(frozen=True, kw_only=True)
class Power(_Belief):
    """Power prior: the external likelihood to the power a: p(theta) ∝ vague(theta) L(theta; external)^a.

    Ibrahim JG & Chen MH, Stat Sci 2000;15:46. At 0 it is `NoBorrowing`, at 1 `Pooling`.

    Parameters
    ----------
    weight : float
        a, for all sources.
    by_source : tuple of float, optional
        A factor between 0 and 1 for each source, multiplied by `weight`: down-weighting by design.

    Examples
    --------
    >>> Power(weight=0.3).at(0.5).weight
    0.5
    """

    weight: float = 0.5  # type: ignore[assignment]
    by_source: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        _weight(self.weight)
        for value in self.by_source:
            _weight(value, "the weight of a source")

    def at(self, weight: float) -> Power:
        """The same belief at another weight."""
        return replace(self, weight=weight)


@dataclass(frozen=True, kw_only=True)
class NormalisedPower(_Belief):
    """Power prior whose power a is estimated, with the constant that makes p(theta | a) proper.

    p(theta, a) ∝ Beta(a; shape_1, shape_2) vague(theta) L(theta; external)^a / C(a), with
    C(a) = ∫ vague(theta) L(theta; external)^a dtheta (Duan Y, Ye K, Smith EP, Environmetrics 2006;17:95; Neuenschwander
    B, Branson M, Spiegelhalter DJ, Stat Med 2009;28:3562).
    """

    shape_1: float = 1.0
    shape_2: float = 1.0

    def __post_init__(self) -> None:
        if min(self.shape_1, self.shape_2) <= 0:
            raise UsageError("NormalisedPower: both shapes of the beta prior must be above 0.")

    @property
    def weight(self) -> float:
        """Mean of the prior of the power."""
        return self.shape_1 / (self.shape_1 + self.shape_2)


@dataclass(frozen=True, kw_only=True)
class Commensurate(_Belief):
    """Commensurate prior: theta ~ Normal(theta_external, sd²) around the pooled external effect.

    Hobbs BP, Carlin BP, Mandrekar SJ, Sargent DJ, Biometrics 2011;67:1047. `sd` is a number or a prior (a half-normal
    by default, estimated together with theta). sd to 0 is `Pooling`, sd to infinity no borrowing. With `weight` below 1
    the rest goes to `vague`.
    """

    sd: float | Prior = field(default=HalfNormal(0.5))
    weight: float = 1.0  # type: ignore[assignment]

    def __post_init__(self) -> None:
        _weight(self.weight)
        if isinstance(self.sd, int | float) and not (math.isfinite(self.sd) and self.sd >= 0):
            raise UsageError(f"Commensurate: sd must be 0 or more, not {self.sd}.")

    def at(self, weight: float) -> Commensurate:
        """The same belief at another weight."""
        return replace(self, weight=weight)


@dataclass(frozen=True, kw_only=True)
class Hierarchical(_Belief):
    """Exchangeable effects: theta, theta[1], ... ~ Normal(mu, tau²), mu ~ `vague`, tau ~ `tau`.

    tau to 0 is `Pooling`, tau to infinity no borrowing. `tau` is a prior or a number.
    """

    tau: float | Prior = field(default=HalfNormal(0.5))

    @property
    def weight(self) -> float:
        """1: the amount of borrowing is in tau."""
        return 1.0


@dataclass(frozen=True, kw_only=True)
class RobustMap(_Belief):
    """Robust meta-analytic-predictive prior: weight × MAP + (1 - weight) × vague.

    The MAP prior is the predictive distribution of theta in the hierarchical model of the external sources
    (Neuenschwander B et al., Clin Trials 2010;7:5; Schmidli H et al., Biometrics 2014;70:1023). `weight` is what the
    reader moves: 0 is `NoBorrowing`, 1 is `Hierarchical`.

    Parameters
    ----------
    weight : float
        Prior probability that the own indication is one of the family; 1 - weight is called the robust weight.
    tau : Prior or float
        Between-source standard deviation.

    Examples
    --------
    >>> RobustMap(weight=0.5).at(0.8).weight
    0.8
    """

    weight: float = 0.5  # type: ignore[assignment]
    tau: float | Prior = field(default=HalfNormal(0.5))

    def __post_init__(self) -> None:
        _weight(self.weight)

    def at(self, weight: float) -> RobustMap:
        """The same belief at another weight."""
        return replace(self, weight=weight)


@dataclass(frozen=True, kw_only=True)
class Exnex(_Belief):
    """Exchangeability-nonexchangeability: every source, also the own, may stand apart.

    theta[j] ~ Normal(mu, tau²) with probability p[j], else Normal(apart.mean, apart.sd²) (Neuenschwander B, Wandel S,
    Roychoudhury S, Bailey S, Pharm Stat 2016;15:123). With p[j] = 1 for the external sources it is `RobustMap` with
    `apart` as its vague part.

    Parameters
    ----------
    weight : float
        p of the own indication.
    external : float or tuple of float
        p of the external sources.
    apart : Normal, optional
        Prior of an effect that stands apart; `vague` when not given.
    """

    weight: float = 0.5  # type: ignore[assignment]
    external: float | tuple[float, ...] = 0.5
    tau: float | Prior = field(default=HalfNormal(0.5))
    apart: Normal | None = None

    def __post_init__(self) -> None:
        _weight(self.weight)
        for value in self.external if isinstance(self.external, tuple) else (self.external,):
            _weight(value, "the probability of an external source to be exchangeable")

    def at(self, weight: float) -> Exnex:
        """The same belief at another weight."""
        return replace(self, weight=weight)


Belief = NoBorrowing | Pooling | Power | NormalisedPower | Commensurate | Hierarchical | RobustMap | Exnex


@dataclass(frozen=True, kw_only=True)
class Conclusion:
    """A statement about theta that holds when its probability is large enough.

    Parameters
    ----------
    threshold : float
        On the scale of theta: log(1.33) for a ratio of 1.33.
    side : {"above", "below"}
    probability : float
        The statement holds when P(theta > threshold), or <, is at least this.

    Examples
    --------
    >>> str(Conclusion(threshold=math.log(1.33), side="above", probability=0.8))
    'P(ratio > 1.33) >= 0.8'
    """

    threshold: float = 0.0
    side: str = "above"
    probability: float = 0.975

    def __post_init__(self) -> None:
        if self.side not in ("above", "below"):
            raise unknown_name("side", self.side, ["above", "below"])
        if not 0.5 <= self.probability < 1:
            raise UsageError(f"the probability of a conclusion must lie between 0.5 and 1, not {self.probability}.")

    def __str__(self) -> str:
        sign = ">" if self.side == "above" else "<"
        return f"P(ratio {sign} {math.exp(self.threshold):g}) >= {self.probability:g}"


def as_likelihoods(rows: Iterable[RelativeEffect | Likelihood]) -> tuple[Likelihood, ...]:
    """The likelihoods of rows; relative effects must be about one comparison (`check_together`)."""
    rows = tuple(rows)
    effects = [r for r in rows if isinstance(r, RelativeEffect)]
    if effects:
        check_together(effects)
    for row in rows:
        if isinstance(row, AbsoluteRate):
            raise ModelError(f"{row.study}: an absolute rate says nothing about a relative effect on its own.")
    return tuple(r.data if isinstance(r, RelativeEffect) else r for r in rows)
