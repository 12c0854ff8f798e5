"""Adverse events become facts: deaths, serious and other events of each group, and each term.

Groups overlap and differ in exposure, so nothing is ever added up here. Patients with an event and events are different
numbers. Other events are listed from a frequency threshold upwards: a term that is absent is not a zero.
"""

from __future__ import annotations

from dataclasses import replace

from enthesis.evidence.sources.ctgov import words
from enthesis.evidence.sources.ctgov.context import Context
from enthesis.evidence.sources.ctgov.outcomes import at_week
from enthesis.evidence.sources.ctgov.posted import Fact, Group
from enthesis.evidence.sources.ctgov.printed import number, whole
from enthesis.evidence.sources.ctgov.record import Node

_TOTALS = (("deaths", "DEATH", "all deaths"), ("serious", "SAE", "serious adverse events"), ("other", "", ""))


def adverse(node: Node, context: Context) -> list[Fact]:
    """The facts of `adverseEventsModule`."""
    groups = context.matched(node["eventGroups"])
    frame = node["timeFrame"].text()
    for name in ("description", "allCauseMortalityComment"):
        node[name].text()
    threshold = number(node["frequencyThreshold"].printed())
    other = "other adverse events"
    if threshold:
        other += f" above a threshold of {threshold} %: an absent term is not zero"
    elif node["frequencyThreshold"]:
        node.log.unparsed(node["frequencyThreshold"].pointer, "the frequency threshold is not a number")
    when = words.week("", frame, "")
    base = Fact("adverse", "", (), "", "", time_frame=frame, unit="Participants")
    found: list[Fact] = []
    for item in node["eventGroups"].items():
        group = groups.get(item["id"].text())
        if group is None:
            continue
        fact = _grouped(base, group)
        for name, code, title in _TOTALS:
            affected, at_risk = item[f"{name}NumAffected"], item[f"{name}NumAtRisk"]
            total = _counted(fact, affected, at_risk, affected.pointer)
            if total is None:
                continue
            total = replace(total, title=title or other, part="total", outcome=code)
            if not title and threshold:
                total = replace(total, reads=(*total.reads, node["frequencyThreshold"].pointer))
            found.append(at_week(replace(total, doubt=_doubt(group, code, when)), when.value, context))
    for name, title in (("seriousEvents", "serious adverse event"), ("otherEvents", other)):
        for event in node[name].items():
            found += _term(event, title, groups, base, when.value, context)
    return found


def _grouped(fact: Fact, group: Group) -> Fact:
    known = words.analysis_set(group.title, group.description)
    return replace(
        fact, group=group.title, group_text=group.description, arm=group.arm if group.sure else "",
        analysis_set=known, estimator="safety-set",
    )  # fmt: skip


def _doubt(group: Group, code: str, when: words.Meaning) -> str:
    doubts = ["" if group.sure else f"the arm is not sure: {group.reason}", when.doubt if code else ""]
    return "; ".join(filter(None, doubts))


def _term(event: Node, title: str, groups: dict[str, Group], base: Fact, week: str, context: Context) -> list[Fact]:
    term = event["term"].text()
    texts = [event[name].text() for name in ("organSystem", "sourceVocabulary", "assessmentType", "notes")]
    found, seen = [], set()
    for item in event["stats"].items():
        name = item["groupId"].text()
        group = groups.get(name)
        if group is None or name in seen:
            what = "is not in the list of event groups" if group is None else "has a second line for this term"
            item.log.unparsed(item.pointer, f"the group id {name[:40]!r} {what}")
            continue
        seen.add(name)
        fact = _counted(_grouped(base, group), item["numAffected"], item["numAtRisk"], item.pointer)
        several = whole(item["numEvents"].printed())
        if fact is None:
            continue
        if several is not None:
            reads = (*fact.reads, item["numEvents"].pointer)
            fact = replace(fact, number_of_events=str(several), reads=reads)
        elif item["numEvents"]:
            item.log.unparsed(item["numEvents"].pointer, f"{item['numEvents'].printed()[:40]!r} is not a count")
        fact = replace(fact, title=title, part=term, note="; ".join(filter(None, texts)))
        found.append(at_week(fact, week, context))
    return found


def _counted(fact: Fact, affected: Node, at_risk: Node, locator: str) -> Fact | None:
    """Patients with the event of patients at risk; None, and a reason, when they are no counts."""
    if not affected and not at_risk:
        return None
    events, n = whole(affected.printed()), whole(at_risk.printed())
    if events is None or (at_risk and n is None) or (n is not None and events > n):
        why = "are no counts" if events is None or n is None else "are more affected than at risk"
        reason = f"{affected.printed()[:20]!r} of {at_risk.printed()[:20]!r} {why}"
        for node in (affected, at_risk):
            if node:
                node.log.unparsed(node.pointer, reason)
        return None
    reads = (affected.pointer, at_risk.pointer) if n is not None else (affected.pointer,)
    return replace(
        fact, locator=locator, reads=reads, measure="binary", events=str(events), n="" if n is None else str(n)
    )
