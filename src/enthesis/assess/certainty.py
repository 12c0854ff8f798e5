"""How certain each network estimate is: CINeMA's six domains for every pair of treatments, and GRADE's level.

Everything is computed: contributions, intervals and prediction intervals, node-splits, the design-by-treatment test and
small-study effects; `concerns` holds the rules, `grade` the last step. A pair of a star network or of a network without
loops is rated like any other, with what cannot be tested said in its reason. Risk of bias that nobody has judged counts
as some concerns, and the reason says so: a rating must not be better for want of a judgement.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from enthesis.assess.aggregate import ContrastFit, by_comparison, contrast_fit
from enthesis.assess.concerns import (
    DOMAINS,
    Concern,
    Level,
    Scale,
    Untestable,
    Weighing,
    heterogeneity,
    imprecision,
    incoherence,
    percent,
    weighed,
)
from enthesis.assess.consistency import decomposition
from enthesis.assess.contribution import contributions, shared_among_studies
from enthesis.assess.grade import CERTAINTIES, Certainty, Placement, minimally_contextualised, overall
from enthesis.assess.node_splitting import node_splits
from enthesis.assess.reporting_bias import Conditions, Pair, pairwise_table, reporting_bias, small_studies
from enthesis.errors import UsageError, unknown_name
from enthesis.estimands import direction, predictive_effects, relative_effects
from enthesis.inference.fit import Fit

if TYPE_CHECKING:
    import pandas as pd

#: half the width of a 95 % interval, in standard errors
Z95 = 1.959963984540054
#: of how many treatments every pair is rated; beyond it only pairs with the reference
EVERY_PAIR_UP_TO = 40


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What a reader may set.

    Parameters
    ----------
    within_study_bias, indirectness : {"average", "majority", "highest"}
        How levels of studies are weighed by contribution.
    untestable : Untestable
        What is judged where coherence cannot be tested; the default is CINeMA's.
    conditions : Conditions
        About unpublished studies.
    unjudged : level
        Of within-study bias, when no study behind an estimate has been judged by anybody.
    """

    within_study_bias: Weighing = "average"
    indirectness: Weighing = "average"
    untestable: Untestable = field(default=Untestable())
    conditions: Conditions = field(default=Conditions())
    unjudged: Level = "some concerns"


@dataclass(frozen=True, kw_only=True)
class StudyFacts:
    """What is known of a study beyond its results.

    Parameters
    ----------
    bias : int or None
        Overall risk of bias: 1 low, 2 some concerns, 3 high; None when nothing is known.
    judged : bool
        Whether a person judged it; otherwise a rule proposed it.
    bias_because : str
        The rule's reason, for a proposal.
    indirectness : int
        1 direct, 2 somewhat indirect, 3 very indirect.
    indirect_because : str
    start : {"high", "low", ...}
        Where GRADE starts for its study type.
    """

    bias: int | None = None
    judged: bool = True
    bias_because: str = ""
    indirectness: int = 1
    indirect_because: str = ""
    start: Certainty = "high"


@dataclass(frozen=True, kw_only=True)
class Rating:
    """The certainty of one estimate.

    Parameters
    ----------
    treatment, comparator : str
    level : {"high", "moderate", "low", "very low"}
    concerns : tuple of Concern
        One per domain, in CINeMA's order.
    reason : str
        How the level follows from the concerns.
    n_studies : int
        Studies that compare the two directly.
    estimate, lower, upper : float
        Model's scale.
    by : str
        "rule", or the author of an override of the level.
    proposed : str
        The level by rule, where a person decided otherwise.
    re_judge : bool
        Some judgement by a person rests on inputs that have changed since.
    """

    treatment: str
    comparator: str
    level: Certainty
    concerns: tuple[Concern, ...]
    reason: str
    n_studies: int = 0
    estimate: float = math.nan
    lower: float = math.nan
    upper: float = math.nan
    by: str = "rule"
    proposed: str = ""
    re_judge: bool = False

    @property
    def domains(self) -> dict[str, tuple[str, str]]:
        """(judgement, reason) by domain."""
        return {c.domain: (c.level, c.reason) for c in self.concerns}

    def concern(self, domain: str) -> Concern:
        """The judgement on one domain."""
        found = {c.domain: c for c in self.concerns}
        if domain not in found:
            raise unknown_name("domain", domain, found)
        return found[domain]

    @property
    def down(self) -> tuple[str, ...]:
        """The domains with concerns, as in a report: "imprecision (major concerns)"."""
        return tuple(f"{c.domain} ({c.level})" for c in self.concerns if c.steps)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "treatment": self.treatment, "comparator": self.comparator, "rating": self.level, "reason": self.reason,
            "by": self.by, "proposed": self.proposed, "re_judge": self.re_judge, "n_studies": self.n_studies,
            "estimate": self.estimate, "lower": self.lower, "upper": self.upper,
            "domains": {c.domain: c.to_dict() for c in self.concerns},
        }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Ratings:
    """The certainty of every estimate of a network.

    Parameters
    ----------
    all : tuple of Rating
    scale : Scale
    reference : str
    judged : float
        Share of the studies whose risk of bias a person judged.
    placements : tuple of Placement
        The minimally contextualised framework.
    notes : tuple of str
        Persons' decisions that concern no estimate of this network.
    """

    all: tuple[Rating, ...]
    scale: Scale
    reference: str
    judged: float
    placements: tuple[Placement, ...] = ()
    notes: tuple[str, ...] = ()

    @cached_property
    def _by_pair(self) -> dict[Pair, Rating]:
        return {p: r for r in self.all for p in ((r.treatment, r.comparator), (r.comparator, r.treatment))}

    def rating(self, treatment: str, comparator: str) -> Rating | None:
        """The rating of a pair, in whichever order it is asked for; None when the network does not link the two."""
        return self._by_pair.get((treatment, comparator))

    def against(self, comparator: str | None = None) -> tuple[Rating, ...]:
        """Ratings against one treatment, by default the reference."""
        name = comparator or self.reference
        return tuple(r for r in self.all if name in (r.treatment, r.comparator))

    def to_frame(self) -> pd.DataFrame:
        """One row per pair.

        Returns
        -------
        pandas.DataFrame
            treatment, comparator, n_studies, the six domains, rating, reason.
        """
        import pandas as pd

        return pd.DataFrame(
            [
                {"treatment": r.treatment, "comparator": r.comparator, "n_studies": r.n_studies,
                 **{c.domain: c.level for c in r.concerns}, "rating": r.level, "reason": r.reason}
                for r in self.all
            ],
            columns=["treatment", "comparator", "n_studies", *DOMAINS, "rating", "reason"],
        )  # fmt: skip


def certainty(
    fit: Fit,
    facts: Mapping[str, StudyFacts] | None = None,
    *,
    rules: Rules = Rules(),
    missing: Mapping[Pair, int] | None = None,
    comparator: str | None = None,
) -> Ratings:
    """Rate the certainty of the estimates of a network.

    Parameters
    ----------
    fit : Fit
        Any engine. Its network states the smallest difference that matters (`mid`) and which direction is better.
    facts : dict of str to StudyFacts, optional
        By study. Studies without facts have an unknown risk of bias, and are direct.
    rules : Rules
    missing : dict of (treatment, comparator) to int, optional
        Studies that compared the two and did not report the outcome.
    comparator : str, optional
        Rate only pairs with this treatment; default every pair (with the reference only, above 40 treatments).

    Returns
    -------
    Ratings

    Examples
    --------
    >>> import enthesis as en
    >>> rows = [dict(study=i, treatment=t, events=r, n=200) for i in "123" for t, r in (("P", 40), ("A", 90))]
    >>> fit = en.fit(en.from_table(rows, reference="P", better="higher").replace(mid=1.25), engine="gls")
    >>> low = {i: StudyFacts(bias=1) for i in "123"}
    >>> rated = certainty(fit, low, rules=Rules(untestable=Untestable(direct="no concerns")))
    >>> rated.rating("P", "A").level, rated.rating("A", "P").domains["imprecision"][0]
    ('high', 'no concerns')
    """
    network = fit.network
    pairs = _pairs(fit, comparator)
    if not pairs:
        raise UsageError(f"no treatment is compared with {comparator!r}: name another comparator.")
    scale = Scale(measure=network.measure, mid=network.mid)
    facts = dict(facts or {})
    effects, new = _intervals(fit)
    at = contrast_fit(fit)
    columns = _edges(at)
    flows, shares_of = _contributions(fit, at, pairs, columns)
    sign = direction(fit) if network.better else 1.0
    favoured = {p: _favoured(p, effects[p][0], sign, network.reference) for p in {*pairs, *columns}}
    table = pairwise_table(network, list(favoured), favoured, missing=_both_ways(missing), conditions=rules.conditions)
    small = small_studies(fit)
    splits = _splits(fit)
    split = decomposition(fit)
    global_p = split.interaction.p if math.isfinite(split.tau_within) else split.between.p
    made = []
    for pair in pairs:
        shares, flow = shares_of[pair], flows.get(pair, {})
        estimate, lower, upper = effects[pair]
        direct, indirect, p, n = splits.get(pair, (None, (lower, upper), math.nan, 0))
        concerns = (
            _within_study_bias(shares, facts, rules),
            reporting_bias(pair, effects[pair], flow, table, small, sign),
            _indirectness(shares, facts, rules),
            imprecision(estimate, lower, upper, scale),
            heterogeneity(estimate, lower, upper, *new.get(pair, (math.nan, math.nan)), scale),
            incoherence(direct=direct, indirect=indirect, p=p, global_p=global_p, scale=scale,
                        untestable=rules.untestable),
        )  # fmt: skip
        start, why = _start(shares, facts)
        level, reason = overall(concerns, start=start, why=why)
        made.append(
            Rating(treatment=pair[0], comparator=pair[1], level=level, concerns=concerns, reason=reason, n_studies=n,
                   estimate=estimate, lower=lower, upper=upper)
        )  # fmt: skip
    judged = sum(s in facts and facts[s].bias is not None and facts[s].judged for s in network.studies)
    rated = Ratings(all=tuple(made), scale=scale, reference=network.reference, judged=judged / network.n_studies)
    return replace(rated, placements=_placements(fit, rated, effects, sign))


def _edges(at: ContrastFit) -> list[Pair]:
    """The comparisons with direct evidence, in the order of the columns of `contributions`."""
    found = by_comparison(at.target.groups, at.target.size, at.tau2)
    names, reference = at.network.treatment_names, at.network.index(at.network.reference)
    return [(names[b], names[a]) if a == reference else (names[a], names[b])
            for a, b in zip(found.a.tolist(), found.b.tolist(), strict=True)]  # fmt: skip


def _contributions(
    fit: Fit, at: ContrastFit, pairs: list[Pair], columns: list[Pair]
) -> tuple[dict[Pair, dict[Pair, float]], dict[Pair, dict[str, float]]]:
    """Contributions of comparisons and of studies to each pair; those above 1e-9.

    A treatment whose studies have no contrast (no event in any arm, say) has no flow; its estimate, if a model gives
    one, rests on the studies that have it, in equal parts.
    """
    known = set(at.network.treatment_names)
    told = [p for p in pairs if p[0] in known and p[1] in known]
    flows: dict[Pair, dict[Pair, float]] = {}
    shares: dict[Pair, dict[str, float]] = {}
    if told:
        table = contributions(fit, comparisons=told)
        studies = shared_among_studies(fit, table)
        for i, pair in enumerate(told):
            values, own = table.iloc[i].to_numpy(), studies.iloc[i].to_numpy()
            flows[pair] = {c: float(v) for c, v in zip(columns, values, strict=True) if v > 1e-9}
            shares[pair] = {s: float(v) for s, v in zip(studies.columns, own, strict=True) if v > 1e-9}
    arms = fit.network.arms_table() if len(told) < len(pairs) else None
    for pair in pairs:
        if pair not in shares:
            its = [str(s) for s in arms.loc[arms["treatment"].isin(pair), "study"].unique()]
            shares[pair] = {s: 1 / len(its) for s in its}
    return flows, shares


def _pairs(fit: Fit, comparator: str | None) -> list[Pair]:
    names, reference = fit.network.treatment_names, fit.network.reference
    if comparator is not None:
        fit.network.index(comparator)
    elif len(names) > EVERY_PAIR_UP_TO:
        comparator = reference
    if comparator is not None:
        return [(t, comparator) for t in names if t != comparator]
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    return [(b, a) if a == reference else (a, b) for a, b in pairs]


def _intervals(fit: Fit) -> tuple[dict[Pair, tuple[float, float, float]], dict[Pair, tuple[float, float]]]:
    """Network estimates with their intervals, and prediction intervals, of every ordered pair."""
    table = relative_effects(fit)
    effects = {
        (r.treatment, r.comparator): (float(r.estimate), float(r.lower), float(r.upper)) for r in table.itertuples()
    }
    source = fit
    if fit.effects == "common":
        # a prediction interval needs a model in which studies differ; CINeMA takes it from the random-effects model too
        from enthesis.inference.fit import fit as fitted

        source = fitted(fit.network, engine="gls")
    if source.heterogeneity.df == 0:
        # studies never repeat a comparison: the prediction interval of a Bayesian fit would say what its prior says
        return effects, {}
    new = {
        (r.treatment, r.comparator): (float(r.lower), float(r.upper)) for r in predictive_effects(source).itertuples()
    }
    return effects, new


def _favoured(pair: Pair, estimate: float, sign: float, reference: str) -> str:
    if reference in pair:
        return pair[0] if pair[1] == reference else pair[1]
    return pair[0] if sign * estimate >= 0 else pair[1]


def _both_ways(missing: Mapping[Pair, int] | None) -> dict[Pair, int]:
    return {p: n for (a, b), n in (missing or {}).items() for p in ((a, b), (b, a))}


def _splits(fit: Fit) -> dict[Pair, tuple[tuple[float, float] | None, tuple[float, float] | None, float, int]]:
    """(direct interval, indirect interval, p, direct studies) of every pair with direct evidence, in both orders."""
    found = {}
    for r in node_splits(fit).itertuples():
        direct = _interval(r.direct, r.direct_se)
        indirect = _interval(r.indirect, r.indirect_se)
        found[r.treatment, r.comparator] = (direct, indirect, float(r.p), int(r.n_studies))
        found[r.comparator, r.treatment] = (_turned(direct), _turned(indirect), float(r.p), int(r.n_studies))
    return found


def _interval(estimate: float, se: float) -> tuple[float, float] | None:
    if not (math.isfinite(estimate) and math.isfinite(se)):
        return None
    return float(estimate - Z95 * se), float(estimate + Z95 * se)


def _turned(interval: tuple[float, float] | None) -> tuple[float, float] | None:
    return None if interval is None else (-interval[1], -interval[0])


def _within_study_bias(shares: Mapping[str, float], facts: Mapping[str, StudyFacts], rules: Rules) -> Concern:
    known = {s: facts[s] for s in shares if s in facts and facts[s].bias is not None}
    by_person = sum(share for s, share in shares.items() if s in known and known[s].judged)
    if by_person > 0.999:
        return weighed("within-study bias", {s: f.bias for s, f in known.items()}, shares, rules.within_study_bias)
    step = {"no concerns": 1, "some concerns": 2, "major concerns": 3}[rules.unjudged]
    levels = {s: known[s].bias if s in known else step for s in shares}
    proposed = sum(share for s, share in shares.items() if s in known and not known[s].judged)
    if not known or (by_person == 0 and not proposed):
        return Concern(
            domain="within-study bias", level=rules.unjudged, inputs={"judged": 0.0},
            reason="No person has judged the risk of bias of the studies behind this estimate; until then it counts as "
            f"{rules.unjudged}.",
        )  # fmt: skip
    said = f"Studies with {percent(by_person)} of the contributions were judged by a person"
    if proposed:
        why = dict.fromkeys(f.bias_because for f in known.values() if not f.judged and f.bias_because)
        said += f"; for {percent(proposed)} a rule proposes concerns from recorded facts"
        said += f" ({'; '.join(why)})" if why else ""
    said += f"; what is not judged counts as {rules.unjudged}."
    made = weighed("within-study bias", levels, shares, rules.within_study_bias, said)
    if by_person == 0 and made.level == "no concerns":
        made = made.replace(level=rules.unjudged)
    return made.replace(inputs={**made.inputs, "judged": round(by_person, 4)})


def _indirectness(shares: Mapping[str, float], facts: Mapping[str, StudyFacts], rules: Rules) -> Concern:
    levels = {s: facts[s].indirectness if s in facts else 1 for s in shares}
    why: dict[str, float] = {}
    for s, share in shares.items():
        if levels[s] > 1 and facts[s].indirect_because:
            why[facts[s].indirect_because] = why.get(facts[s].indirect_because, 0.0) + share
    said = " ".join(f"{text[0].upper() + text[1:]} ({percent(share)})." for text, share in why.items())
    return weighed("indirectness", levels, shares, rules.indirectness, said)


def _start(shares: Mapping[str, float], facts: Mapping[str, StudyFacts]) -> tuple[Certainty, str]:
    """Where the rating starts: the start of the study types that contribute most."""
    weight: dict[Certainty, float] = {}
    for s, share in shares.items():
        start = facts[s].start if s in facts else "high"
        weight[start] = weight.get(start, 0.0) + share
    level = max(weight, key=lambda w: (weight[w], CERTAINTIES.index(w))) if weight else "high"
    return (
        level,
        "randomised studies" if level == "high" else f"study types that start {level}: {percent(weight[level])}",
    )


def _placements(fit: Fit, rated: Ratings, effects: Mapping[Pair, tuple[float, float, float]], sign: float):
    if fit.network.better is None:
        return ()

    def better(a: str, b: str) -> bool:
        _, lower, upper = effects[a, b]
        return (lower if sign > 0 else -upper) > 0

    levels = {}
    for t in fit.network.treatment_names:
        found = rated.rating(t, fit.network.reference) if t != fit.network.reference else None
        if found is not None:
            levels[t] = found.level
    return minimally_contextualised([fit.network.reference, *levels], fit.network.reference, better, levels)


__all__ = ["Rating", "Ratings", "Rules", "StudyFacts", "certainty"]
