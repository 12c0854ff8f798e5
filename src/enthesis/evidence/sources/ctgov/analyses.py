"""Posted analyses become contrasts, kept beside the crude ones: an adjusted odds ratio is another estimand.

Which arm is the treatment is read from the text ("CZP/Placebo") and from the arms' own numbers; where both are silent
or disagree, a person decides.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from enthesis.evidence.sources.ctgov import words
from enthesis.evidence.sources.ctgov.context import Context
from enthesis.evidence.sources.ctgov.groups import about
from enthesis.evidence.sources.ctgov.posted import Fact, Group
from enthesis.evidence.sources.ctgov.printed import number, p_value
from enthesis.evidence.sources.ctgov.record import Node

_TEXTS = (
    "groupDescription", "statisticalMethod", "statisticalComment", "estimateComment", "nonInferiorityType",
    "nonInferiorityComment", "pValueComment", "ciLowerLimitComment", "ciUpperLimitComment", "otherAnalysisDescription",
    "testedNonInferiority", "ciNumSides", "dispersionType",
)  # fmt: skip
_BETWEEN = re.compile(
    r"\s*(?:/|\bvs\.?|\bversus\b|\bminus\b|\bcompared (?:to|with)\b|\brelative to\b|\bover\b|\s[-–]\s)\s*"
)


def analyses(node: Node, groups: dict[str, Group], facts: Sequence[Fact], context: Context) -> list[Fact]:
    """The facts of the analyses of one outcome measure.

    Parameters
    ----------
    node : Node
        The outcome measure.
    groups : dict of str to Group
        Its groups by id.
    facts : sequence of Fact
        Its results.
    context : Context
    """
    return [_analysis(item, node["title"].text(), groups, facts, context) for item in node["analyses"].items()]


def _analysis(item: Node, title: str, groups: dict[str, Group], facts: Sequence[Fact], context: Context) -> Fact:
    texts = {name: item[name].text() for name in _TEXTS}
    reads: list[str] = []
    numbers = {
        name: _number(item[name], reads)
        for name in ("paramValue", "ciPctValue", "ciLowerLimit", "ciUpperLimit", "dispersionValue")
    }
    printed = item["pValue"].printed()
    p = p_value(printed)
    if p:
        reads.append(item["pValue"].pointer)
    elif printed:
        item.log.unparsed(item["pValue"].pointer, f"{printed[:40]!r} is not a p value")
    param = item["paramType"].text()
    names = [name for name in item["groupIds"].texts() if name in groups]
    compared = [groups[name] for name in names]
    method = "; ".join(filter(None, (texts["statisticalMethod"], texts["groupDescription"])))
    first = next(iter(facts), None)
    binary = first is not None and first.measure == "binary"
    effect = words.effect(param)
    if effect == "difference" and binary:
        effect = "risk_difference"
    fact = Fact(
        "analysis", item.pointer, tuple(reads), title, " vs ".join(g.title for g in compared), measure="contrast",
        effect=effect, estimate=numbers["paramValue"], ci_low=numbers["ciLowerLimit"],
        ci_high=numbers["ciUpperLimit"], ci_level=numbers["ciPctValue"], p_value=p, method=method, param=param,
        dispersion=texts["dispersionType"], note=_note(texts),
        se=numbers["dispersionValue"] if "ERROR" in texts["dispersionType"].upper() else "",
        spread="" if "ERROR" in texts["dispersionType"].upper() else numbers["dispersionValue"],
        **({"unit": first.unit, "time_frame": first.time_frame, "analysis_set": first.analysis_set} if first else {}),
    )  # fmt: skip
    if fact.ci_low and fact.ci_high and float(fact.ci_low) > float(fact.ci_high):
        why = f"the lower limit {fact.ci_low} is above the upper limit {fact.ci_high}"
        item.log.unparsed(item.pointer, why)
        fact = replace(fact, doubt=why)
    return _directed(fact, compared, facts, context)


def _note(texts: dict[str, str]) -> str:
    """What the record says about the analysis beside its method."""
    side = "one-sided interval" if texts["ciNumSides"] == "ONE_SIDED" else ""
    return "; ".join(filter(None, (side, *(text for name, text in texts.items() if name.endswith("Comment")))))


def _number(node: Node, reads: list[str]) -> str:
    printed = node.printed()
    found = number(printed)
    if found:
        reads.append(node.pointer)
    elif printed:
        node.log.unparsed(node.pointer, f"{printed[:40]!r} is not a number")
    return found


def _directed(fact: Fact, compared: list[Group], facts: Sequence[Fact], context: Context) -> Fact:
    """With treatment, comparator, outcome and week; a doubt where one of them is not known."""
    codes, at = {f.outcome for f in facts}, {f.week for f in facts}
    named = [str(week) for week in words.weeks(f"{fact.method} {fact.note}")]
    if len(at) > 1 and len(named) == 1 and named[0] in at:
        at = set(named)
    fact = replace(
        fact, outcome=codes.pop() if len(codes) == 1 else "", week=at.pop() if len(at) == 1 else "",
        estimator=next((f.estimator for f in facts if f.estimator), ""),
    )  # fmt: skip
    doubts = [fact.doubt, *dict.fromkeys(f.doubt for f in facts if f.doubt)]
    arms = [group.arm for group in compared if group.sure and group.arm]
    if len(compared) != 2 or len(arms) != 2 or arms[0] == arms[1]:
        doubts.append("the analysis does not compare two arms as randomised")
    elif not fact.effect or not fact.estimate:
        doubts.append(f"the analysis estimates {fact.param or 'nothing'}: no effect of the dictionary")
    elif not fact.week and fact.outcome:
        doubts.append("the outcome has several weeks and the analysis does not say which it is about")
    else:
        fact, why = _treatment(fact, arms, compared, facts, context)
        doubts.append(why)
    return replace(fact, doubt="; ".join(filter(None, dict.fromkeys(doubts))))


def _treatment(
    fact: Fact, arms: list[str], compared: list[Group], facts: Sequence[Fact], context: Context
) -> tuple[Fact, str]:
    subject = about(fact.title, fact.method)
    decided = context.decided("direction", subject)
    crude = _crude(fact, arms, facts)
    said = decided if decided in arms else _said(fact.method + " . " + fact.note, arms, context)
    shown = _shown(fact, arms, crude)
    if said and shown and said != shown and decided is None:
        why = f"the text says that {said} is the treatment, the numbers of the arms say {shown}"
    elif not said and not shown:
        why = "neither the text nor the numbers of the arms say which arm is the treatment"
    else:
        treatment = said or shown
        sign = 1 if treatment == arms[0] else -1
        shown_as = (
            math.exp(sign * crude) if crude is not None and fact.effect.endswith("_ratio") else sign * (crude or 0)
        )
        other = arms[1] if treatment == arms[0] else arms[0]
        crude_text = "" if crude is None else f"{shown_as:.4g}"
        return replace(fact, arm=treatment, comparator=other, crude=crude_text), ""
    context.ask("direction", subject, "", why, fact.locator)
    return fact, why


def _said(text: str, arms: list[str], context: Context) -> str:
    """The arm that a text such as "CZP/Placebo" names first; empty when it names none or is not clear."""
    drugs = {a.arm_id: a.treatment for a in context.arms}
    if drugs.get(arms[0]) == drugs.get(arms[1]):
        return ""
    found = set()
    for sentence in re.split(r"[.;:]\s", text):
        parts = _BETWEEN.split(sentence)
        for left, right in pairwise(parts):
            first = [d.name for d in words.drugs(left[-60:])]
            second = [d.name for d in words.drugs(right[:60])]
            for treatment, comparator in (arms, arms[::-1]):
                if first == [drugs.get(treatment)] and second == [drugs.get(comparator)]:
                    found.add(treatment)
    return found.pop() if len(found) == 1 else ""


def _crude(fact: Fact, arms: list[str], facts: Sequence[Fact]) -> float | None:
    """The effect of the first arm against the second from their posted numbers; on the log scale for ratios."""
    rows = [[f for f in facts if f.arm == arm and f.week == fact.week] for arm in arms]
    if any(len(found) != 1 for found in rows):
        return None
    (a,), (b,) = rows
    if fact.effect == "difference":
        return float(a.mean) - float(b.mean) if a.mean and b.mean else None
    if not (a.events and b.events and a.n and b.n and int(a.n) and int(b.n)):
        return None
    pa, pb = int(a.events) / int(a.n), int(b.events) / int(b.n)
    if fact.effect == "risk_difference":
        return (pa - pb) * (100 if a.percent else 1)
    if not (0 < pa < 1 and 0 < pb < 1):
        return None
    if fact.effect == "odds_ratio":
        return math.log(pa / (1 - pa)) - math.log(pb / (1 - pb))
    return math.log(pa / pb) if fact.effect == "risk_ratio" else None


def _shown(fact: Fact, arms: list[str], crude: float | None) -> str:
    """The arm that is the treatment by the arms' numbers: the estimate is near the crude effect in that direction."""
    estimate = float(fact.estimate)
    if fact.effect.endswith("_ratio"):
        if estimate <= 0:
            return ""
        estimate = math.log(estimate)
    if crude is None or estimate == 0:
        return ""
    near, far = abs(estimate - crude), abs(estimate + crude)
    if near <= far / 2:
        return arms[0]
    return arms[1] if far <= near / 2 else ""
