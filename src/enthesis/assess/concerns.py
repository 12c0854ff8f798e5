"""CINeMA's rules: from intervals, tests and contributions to concerns, each with its reason in words and numbers.

All numbers are on the model's scale (logarithms for ratios), where no difference is 0 and M is the smallest difference
that matters: effects from -M to M make up the range of equivalence. The rules are those of the CINeMA application
(Nikolakopoulou A et al., PLoS Med 2020;17:e1003082; Papakonstantinou T et al., Campbell Syst Rev 2020;16:e1080; its
documentation and change log, versions 1.5 to 2.0):

- imprecision counts how many of two limits lie inside the confidence interval: no difference, and the important
  difference on the side opposite to the estimate. An interval inside the range of equivalence counts none;
- heterogeneity sets the count of the prediction interval against that of the confidence interval, so that the two
  domains add up to the count of the prediction interval and do not punish one fact twice. For an interval inside the
  range of equivalence the limits are the ends of that range;
- incoherence looks at the p-value of direct against indirect evidence and, where it is 0.10 or less, at whether the two
  intervals reach into the same of three areas: below, inside and above the range of equivalence. Without one of the two
  kinds of evidence the global design-by-treatment test decides;
- within-study bias and indirectness weigh the studies' levels (1 to 3) by their contributions: the average, the
  majority, or the highest level.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from enthesis.errors import unknown_name
from enthesis.hashing import content_hash
from enthesis.network.measures import Measure

Level = Literal["no concerns", "some concerns", "major concerns"]
LEVELS: tuple[Level, ...] = ("no concerns", "some concerns", "major concerns")
DOMAINS: tuple[str, ...] = (
    "within-study bias", "reporting bias", "indirectness", "imprecision", "heterogeneity", "incoherence",
)  # fmt: skip
Weighing = Literal["average", "majority", "highest"]
WEIGHINGS: tuple[str, ...] = ("average", "majority", "highest")
#: above this, direct and indirect evidence are taken to agree (Papakonstantinou 2020)
P_LOCAL = 0.10
#: the global test: above the first no concerns, below the second major ones (CINeMA 1.7)
P_GLOBAL = (0.10, 0.05)


@dataclass(frozen=True, kw_only=True)
class Concern:
    """A judgement on one domain of one comparison.

    Parameters
    ----------
    domain : str
    level : {"no concerns", "some concerns", "major concerns"}
    reason : str
        In words, with the numbers used.
    inputs : dict
        Those numbers; their hash tells whether a person's judgement was made on other ones.
    by : str
        "rule", or the author of an override.
    proposed : str
        What the rule said, where a person decided otherwise.
    re_judge : bool
        A person decided, and the inputs have changed since.
    """

    domain: str
    level: Level
    reason: str
    inputs: Mapping[str, Any] = field(default_factory=dict, compare=False)
    by: str = "rule"
    proposed: str = ""
    re_judge: bool = False

    @property
    def steps(self) -> int:
        """0, 1 or 2."""
        return LEVELS.index(self.level)

    @property
    def inputs_hash(self) -> str:
        """Identity of the inputs, numbers compared to six significant digits."""
        return content_hash({name: _rounded(value) for name, value in self.inputs.items()})[:16]

    def replace(self, **changes: Any) -> Concern:
        """The same judgement with some fields changed."""
        return replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "judgement": self.level, "reason": self.reason, "by": self.by, "proposed": self.proposed,
            "re_judge": self.re_judge, "inputs": self.inputs_hash,
        }  # fmt: skip


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(k): _rounded(v) for k, v in value.items()}
    return [_rounded(v) for v in value] if isinstance(value, list | tuple) else value


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How numbers of a comparison are read: the measure, and the smallest difference that matters.

    Parameters
    ----------
    measure : Measure
    mid : float or None
        On the scale people read: 1.25 stands for 0.8 to 1.25, 0.1 for -0.1 to 0.1.
    """

    measure: Measure
    mid: float | None = None

    @property
    def limit(self) -> float:
        """M on the model's scale; infinite when no difference is stated to matter."""
        return math.inf if self.mid is None else abs(float(self.measure.transform(self.mid)))

    def said(self, *values: float) -> str:
        """One number, or an interval of two, as people read them."""
        shown = [f"{float(self.measure.back_transform(v)):.2f}" if abs(v) < 300 else f"{v:.0f}" for v in values]
        return " to ".join(shown)

    @property
    def zone(self) -> str:
        """The range of equivalence in words."""
        return self.said(-self.limit, self.limit) if math.isfinite(self.limit) else "not stated"


def crossings(lower: float, upper: float, limits: Sequence[float]) -> int:
    """How many limits lie strictly inside an interval.

    Examples
    --------
    >>> crossings(-0.1, 0.4, (-0.22, 0.0)), crossings(-0.3, 0.4, (-0.22, 0.0))
    (1, 2)
    """
    return sum(lower < limit < upper for limit in set(limits))


def opposite(estimate: float, lower: float, upper: float, limit: float) -> tuple[float, float]:
    """No difference, and the important difference on the other side of it than the estimate."""
    return (0.0, -limit if (estimate or lower + upper) >= 0 else limit)


def imprecision(estimate: float, lower: float, upper: float, scale: Scale) -> Concern:
    """How far the confidence interval reaches to the other side.

    Parameters
    ----------
    estimate, lower, upper : float
        Model's scale.
    scale : Scale

    Returns
    -------
    Concern

    Examples
    --------
    >>> from math import log
    >>> from enthesis.network.measures import OR
    >>> scale = Scale(measure=OR, mid=1.25)
    >>> [imprecision(log(e), log(a), log(b), scale).level for e, a, b in ((2, 1.5, 3), (1.3, 0.9, 2), (1.3, 0.7, 2))]
    ['no concerns', 'some concerns', 'major concerns']
    """
    inside = _inside(lower, upper, scale)
    null, far = opposite(estimate, lower, upper, scale.limit)
    count = 0 if inside else crossings(lower, upper, (null, far))
    told = f"The 95 % interval {scale.said(lower, upper)}"
    if inside:
        reason = f"{told} lies inside the range of differences too small to matter ({scale.zone})."
    elif count == 0:
        reason = f"{told} excludes no difference ({scale.said(null)})."
    elif count == 1 and math.isinf(far):
        reason = f"{told} includes no difference ({scale.said(null)}); how large a difference matters is not stated."
    elif count == 1:
        reason = (
            f"{told} includes no difference ({scale.said(null)}) but no important effect in the opposite direction "
            f"(beyond {scale.said(far)})."
        )
    else:
        reason = (
            f"{told} reaches from the estimate ({scale.said(estimate)}) past no difference to important effects in the "
            f"opposite direction (beyond {scale.said(far)})."
        )
    inputs = {"estimate": estimate, "lower": lower, "upper": upper, "mid": scale.mid}
    return Concern(domain="imprecision", level=LEVELS[count], reason=reason, inputs=inputs)


def _inside(lower: float, upper: float, scale: Scale) -> bool:
    return math.isfinite(scale.limit) and lower > -scale.limit and upper < scale.limit


def heterogeneity(
    estimate: float, lower: float, upper: float, new_lower: float, new_upper: float, scale: Scale
) -> Concern:
    """Whether the effect to expect in a new study would lead to another conclusion than the average effect.

    Parameters
    ----------
    estimate, lower, upper : float
        Confidence (or credible) interval, model's scale.
    new_lower, new_upper : float
        Prediction interval; NaN when it cannot be computed.
    scale : Scale

    Returns
    -------
    Concern
    """
    inputs = {"estimate": estimate, "lower": lower, "upper": upper, "new_lower": new_lower, "new_upper": new_upper,
              "mid": scale.mid}  # fmt: skip
    if not (math.isfinite(new_lower) and math.isfinite(new_upper)):
        return Concern(
            domain="heterogeneity", level="some concerns", inputs=inputs,
            reason="How much studies differ cannot be estimated from so few: the effect in a new study is unknown.",
        )  # fmt: skip
    new_lower, new_upper = min(lower, new_lower), max(upper, new_upper)
    inside = _inside(lower, upper, scale)
    limits = (-scale.limit, scale.limit) if inside else opposite(estimate, lower, upper, scale.limit)
    own, new = crossings(lower, upper, limits), crossings(new_lower, new_upper, limits)
    level = LEVELS[new - own]
    told = f"The prediction interval {scale.said(new_lower, new_upper)}"
    if level == "no concerns":
        reason = f"{told} leads to the same conclusion as the 95 % interval {scale.said(lower, upper)}."
    else:
        what = {1: "one limit", 2: "both limits"}[new - own]
        named = " and ".join(scale.said(x) for x in sorted(limits) if math.isfinite(x))
        reason = (
            f"{told} crosses {what} more (of {named}) than the 95 % interval {scale.said(lower, upper)}: a new "
            "study could lead to another conclusion."
        )
    return Concern(domain="heterogeneity", level=level, reason=reason, inputs=inputs)


@dataclass(frozen=True, kw_only=True)
class Untestable:
    """What is judged where an estimate has no local test of coherence.

    Parameters
    ----------
    direct, indirect : level
        In a network without loops, for estimates from direct evidence alone, and from indirect evidence alone. CINeMA
        judges both as major concerns (its change log, version 1.7, "star networks").
    only_direct : {"global test", "no concerns"}
        In a network with loops, for estimates from direct evidence alone: what the global test says of the network
        (CINeMA from 1.7 on), or no concerns, because there is nothing to agree with (CINeMA before; GRADE).
    reason : str
        Added to the reason of the judgement.
    """

    direct: Level = "major concerns"
    indirect: Level = "major concerns"
    only_direct: Literal["global test", "no concerns"] = "global test"
    reason: str = ""


def incoherence(
    *,
    direct: tuple[float, float] | None,
    indirect: tuple[float, float] | None,
    p: float,
    global_p: float,
    scale: Scale,
    untestable: Untestable = Untestable(),
) -> Concern:
    """Whether direct and indirect evidence agree.

    Parameters
    ----------
    direct, indirect : (float, float) or None
        95 % intervals, model's scale; None where there is no such evidence.
    p : float
        Of the difference between them; NaN without a local test.
    global_p : float
        Of the design-by-treatment interaction test with random effects; NaN where the network has nothing to test.
    scale : Scale
    untestable : Untestable

    Returns
    -------
    Concern
    """
    inputs = {"direct": direct, "indirect": indirect, "p": p, "global_p": global_p, "mid": scale.mid}
    made = {"domain": "incoherence", "inputs": inputs}
    if direct is not None and indirect is not None and math.isfinite(p):
        told = f"direct {scale.said(*direct)}, indirect {scale.said(*indirect)}, p = {_p(p)}"
        if p > P_LOCAL:
            return Concern(**made, level="no concerns", reason=f"Direct and indirect evidence do not disagree: {told}.")
        common = sum(a == b for a, b in zip(_areas(direct, scale), _areas(indirect, scale), strict=True))
        level = {3: "no concerns", 2: "some concerns"}.get(common, "major concerns")
        where = {3: "in the same areas", 2: "partly in other areas"}.get(common, "in different areas")
        reason = f"Direct and indirect evidence differ ({told}) and lie {where}: below, inside, above {_zone(scale)}."
        return Concern(**made, level=level, reason=reason)
    only = "direct" if direct is not None else "indirect"
    if only == "direct" and math.isfinite(global_p) and untestable.only_direct == "no concerns":
        reason = f"Only direct evidence: nothing to agree with (global test of the network: p = {_p(global_p)})."
        return Concern(**made, level="no concerns", reason=reason)
    if math.isfinite(global_p):
        high, low = P_GLOBAL
        level = LEVELS[0 if global_p > high else 1 if global_p >= low else 2]
        reason = f"Only {only} evidence: no local test. Global design-by-treatment test: p = {_p(global_p)}."
        return Concern(**made, level=level, reason=reason)
    reason = (
        f"Only {only} evidence, and no closed loop in the network that could show disagreement: coherence is assumed, "
        f"not tested. {untestable.reason}"
    )
    return Concern(**made, level=getattr(untestable, only), reason=reason.strip())


def _areas(interval: tuple[float, float], scale: Scale) -> tuple[bool, bool, bool]:
    """Whether an interval reaches below, inside and above the range of equivalence (the sides of 0 without one)."""
    lower, upper = interval
    limit = scale.limit if math.isfinite(scale.limit) else 0.0
    return lower < -limit, lower < limit and upper > -limit, upper > limit


def _zone(scale: Scale) -> str:
    return scale.zone if math.isfinite(scale.limit) else f"no difference, {scale.said(0.0)}"


def percent(share: float) -> str:
    """A share in words: no decimals, and never 0 for something.

    Examples
    --------
    >>> percent(0.123), percent(0.001)
    ('12 %', '<1 %')
    """
    return "<1 %" if 0 < share < 0.005 else f"{100 * share:.0f} %"


def _p(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


#: what a level of a study is called, by domain
STUDY_LEVELS = {
    "within-study bias": ("low risk of bias", "some concerns", "high risk of bias"),
    "indirectness": ("direct", "somewhat indirect", "very indirect"),
}


def weighed(
    domain: str, levels: Mapping[str, int], shares: Mapping[str, float], rule: Weighing = "average", said: str = ""
) -> Concern:
    """Levels of studies weighed by what each contributes to an estimate.

    Parameters
    ----------
    domain : {"within-study bias", "indirectness"}
    levels : dict of str to int
        1, 2 or 3 by study.
    shares : dict of str to float
        Contributions of the same studies.
    rule : {"average", "majority", "highest"}
        The mean level, rounded (halves up); the level with the largest share; the highest level of any study that
        contributes.
    said : str
        Added to the reason.

    Returns
    -------
    Concern

    Examples
    --------
    >>> levels, shares = {"1": 1, "2": 2, "3": 3}, {"1": 0.55, "2": 0.25, "3": 0.2}
    >>> [weighed("within-study bias", levels, shares, rule).level for rule in ("average", "majority", "highest")]
    ['some concerns', 'no concerns', 'major concerns']
    """
    if rule not in WEIGHINGS:
        raise unknown_name("rule", rule, WEIGHINGS)
    total = sum(shares[s] for s in levels if s in shares)
    part = [sum(shares.get(s, 0.0) for s, level in levels.items() if level == at) / total for at in (1, 2, 3)]
    mean = sum((at + 1) * share for at, share in enumerate(part))
    found = {
        "average": math.floor(mean + 0.5),
        "majority": 1 + max(range(3), key=lambda at: (part[at], -at)),
        "highest": max((at + 1 for at, share in enumerate(part) if share > 0), default=1),
    }[rule]
    names = STUDY_LEVELS.get(domain, ("1", "2", "3"))
    parts = [f"{percent(share)} from studies judged {name}" for share, name in zip(part, names, strict=True) if share]
    how = f"average rule, mean level {mean:.2f}" if rule == "average" else f"{rule} rule"
    reason = f"Contributions to this estimate: {', '.join(parts)} ({how})."
    inputs = {"shares": [round(x, 4) for x in part], "rule": rule}
    return Concern(domain=domain, level=LEVELS[found - 1], reason=f"{reason} {said}".strip(), inputs=inputs)
