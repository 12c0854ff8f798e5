"""Posted outcome measures become facts: one for each group, class and category.

A percentage becomes the one count that fits; a mean keeps the dispersion that the record names; a median or geometric
mean is never taken for a mean. Where code, week, scale or group are not sure, the fact says so and a person is asked.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

from enthesis.evidence.sources.ctgov import words
from enthesis.evidence.sources.ctgov.context import Context, Denominators, denominators
from enthesis.evidence.sources.ctgov.groups import about as subject_of
from enthesis.evidence.sources.ctgov.posted import Fact, Group
from enthesis.evidence.sources.ctgov.printed import count_behind, number, whole
from enthesis.evidence.sources.ctgov.record import Node

MEANS = ("MEAN", "LEAST_SQUARES_MEAN")
SAFETY = frozenset({"AE", "SAE", "AE-DISC", "DEATH", "SERINF"})
#: A standard deviation below this share of the scale is that of another scale, such as a mean of items.
NARROW = 0.04

_PERCENT = re.compile(r"^\s*(%|per\s?cent\b|percentage\b)", re.IGNORECASE)
_PEOPLE = re.compile(r"^\s*(number of )?(participants?|subjects?|patients?)\b", re.IGNORECASE)
_YES = re.compile(
    r"^(yes|responders?|achieved|response|with( response| event)?|present|participants? (achieving|with).*)$"
)
_WEEK_ONLY = re.compile(
    r"\b(baseline|change|from|to|at|through|day|visit|weeks?|wks?|and|the|in|of|cfb|up|end|score|total|n)\b|[\W\d_]+"
)


@dataclass(frozen=True)
class _About:
    """What the outcome measure says of all its results."""

    title: str
    description: str
    time_frame: str
    people: str
    param: str
    dispersion: str
    unit: str
    groups: dict[str, Group]
    methods: str


def outcome(node: Node, context: Context) -> list[Fact]:
    """The facts of one outcome measure, without its analyses."""
    about = _About(
        title=node["title"].text(),
        description=node["description"].text(),
        time_frame=node["timeFrame"].text(),
        people=node["populationDescription"].text(),
        param=node["paramType"].text(),
        dispersion=node["dispersionType"].text(),
        unit=node["unitOfMeasure"].text(),
        groups=context.matched(node["groups"]),
        methods=" ".join(
            f"{a['statisticalMethod'].text()} {a['groupDescription'].text()}" for a in node["analyses"].items()
        ),
    )
    for name in ("type", "reportingStatus", "typeUnitsAnalyzed", "calculatePct"):
        node[name].text()
    counted = denominators(node, node["denomUnitsSelected"].text())
    found: list[Fact] = []
    for group in node["classes"].items():
        own = denominators(group, node["denomUnitsSelected"].text(), counted)
        categories = list(group["categories"].items())
        for category in categories:
            part = " | ".join(filter(None, (group["title"].text(), category["title"].text())))
            found += _category(category, part, len(categories), about, own, context)
    if not found and not node["classes"]:
        numbers = ", ".join(str(n) for n, _ in counted.counts.values()) or "none"
        status = node["reportingStatus"].text() or "POSTED"
        node.log.unparsed(node.pointer, f"{status} without results: no classes; denominators: {numbers}")
    return found


def _category(
    node: Node, part: str, categories: int, about: _About, counted: Denominators, context: Context
) -> list[Fact]:
    found: list[Fact] = []
    seen: set[str] = set()
    for item in node["measurements"].items():
        name = item["groupId"].text()
        group = about.groups.get(name)
        if group is None:
            node.log.unparsed(item.pointer, f"the group id {name[:40]!r} is not in the list of groups of this outcome")
        elif name in seen:
            node.log.unparsed(item.pointer, f"a second measurement of the group {name[:40]!r}")
        else:
            seen.add(name)
            fact = _measured(item, group, part, about, counted)
            found += [fact] if fact else []
    return _meant(found, part, categories, about, counted, context)


def _measured(item: Node, group: Group, part: str, about: _About, counted: Denominators) -> Fact | None:
    """The numbers of a measurement, before their meaning is known."""
    printed, comment = item["value"].printed(), item["comment"].text()
    value = number(printed)
    if not value:
        why = f"the value is {printed[:40]!r}" if printed else "there is no value"
        item.log.unparsed(item.pointer, f"{why}{': ' + comment if comment else ''}")
        return None
    reads = [item["value"].pointer]
    n, where = counted.counts.get(group.id, (None, ""))
    if n is not None:
        reads.append(where)
    limits = {}
    for name in ("spread", "lowerLimit", "upperLimit"):
        text = item[name].printed()
        limits[name] = number(text)
        if limits[name]:
            reads.append(item[name].pointer)
        elif text:
            item.log.unparsed(item[name].pointer, f"{text[:40]!r} is not a number")
    fact = Fact(
        "outcome", item.pointer, tuple(reads), about.title, group.title,
        arm=group.arm if group.sure else "", n="" if n is None else str(n), param=about.param,
        dispersion=about.dispersion, unit=about.unit, part=part, group_text=group.description,
        time_frame=about.time_frame, population=about.people, note=comment,
        analysis_set=words.analysis_set(group.title, group.description, about.people),
        doubt="" if group.sure else f"the arm is not sure: {group.reason}",
    )  # fmt: skip
    if about.param in MEANS:
        return _dispersed(replace(fact, measure="continuous", mean=value), limits)
    if about.param == "COUNT_OF_PARTICIPANTS" or (about.param == "NUMBER" and _PEOPLE.match(about.unit)):
        return _counted(fact, value, n, item)
    if about.param == "NUMBER" and _PERCENT.match(about.unit):
        return _from_percent(fact, value, n, counted, item)
    named = {"spread": limits["spread"], "low": limits["lowerLimit"], "high": limits["upperLimit"]}
    return replace(fact, value=value, **named)


def _dispersed(fact: Fact, limits: dict[str, str]) -> Fact:
    """A mean with its dispersion, by the record's free text."""
    low, spread = fact.dispersion.lower(), limits["spread"]
    ends = {"low": limits["lowerLimit"], "high": limits["upperLimit"]}
    interval = re.search(r"(\d{2}(?:\.\d+)?)\s*%?\s*(?:confidence|ci\b)", low)
    if "confidence" in low or interval:
        level = interval[1] if interval else ""
        return replace(fact, ci_low=ends["low"], ci_high=ends["high"], ci_level=level, spread=spread)
    if re.search(r"standard error|\bse\b|\bsem\b", low):
        return replace(fact, se=spread, **ends)
    if re.search(r"standard deviation|\bsd\b", low):
        return replace(fact, sd=spread, **ends)
    return replace(fact, spread=spread, **ends)


def _counted(fact: Fact, value: str, n: int | None, item: Node) -> Fact | None:
    events = whole(value)
    if events is None or (n is not None and events > n):
        what = "is not a count" if events is None else f"is more than the {n} analysed"
        item.log.unparsed(item.pointer, f"{value} {fact.unit} {what}")
        return None
    return replace(fact, measure="binary", events=str(events))


def _from_percent(fact: Fact, value: str, n: int | None, counted: Denominators, item: Node) -> Fact | None:
    if not 0 <= float(value) <= 100:
        item.log.unparsed(item.pointer, f"{value} is not a percentage from 0 to 100")
        return None
    fact = replace(fact, measure="binary", percent=value)
    if n is None or not counted.of_patients:
        why = "no denominator is posted" if n is None else f"the denominator counts {counted.units}, not patients"
        item.log.unparsed(item["value"].pointer, f"no count follows from {value} %: {why}")
        return fact
    count = count_behind(value, n)
    if count.events is None:
        item.log.unparsed(item["value"].pointer, f"no count follows from {value} %: {count.reason}")
        return fact
    return replace(fact, events=str(count.events), derived=True)


def _meant(
    facts: list[Fact], part: str, categories: int, about: _About, counted: Denominators, context: Context
) -> list[Fact]:
    """Facts of one category with outcome code, week and estimator, and the doubts on them."""
    if not facts or not facts[0].measure:
        return [at_week(fact, words.week(part, about.time_frame, about.title).value, context) for fact in facts]
    kind, place = facts[0].measure, facts[0].locator
    subject = subject_of(about.title, part)
    code, doubts = _code(kind, part, categories, about, context, subject, place)
    when = words.week(part, about.time_frame, about.title)
    week, why = context.decided("week", subject) or when.value, when.doubt
    if code and why and context.decided("week", subject) is None:
        context.ask("week", subject, when.value, why, place)
        doubts.append(why)
    if code and not counted.of_patients:
        doubts.append(f"the denominator counts {counted.units}, not patients")
        context.ask("outcome", subject, code, doubts[-1], place)
    if code and kind == "continuous":
        strange, decided = _scale(code, facts, about), context.decided("scale", subject)
        if decided == "none":
            code = ""
        elif strange and decided != "ok":
            context.ask("scale", subject, "ok", strange, place)
            doubts.append(strange)
    texts = (about.description, about.people, about.methods if about.param == "LEAST_SQUARES_MEAN" else "")
    how = words.estimator(kind, *texts)
    found = []
    for fact in facts:
        safety = code in SAFETY and fact.analysis_set == "safety set"
        fact = replace(fact, outcome=code, estimator="safety-set" if safety else how)
        fact = replace(fact, doubt="; ".join(filter(None, [fact.doubt, *doubts])))
        found.append(at_week(fact, week, context))
    return found


def _code(
    kind: str, part: str, categories: int, about: _About, context: Context, subject: str, place: str
) -> tuple[str, list[str]]:
    decided = context.decided("outcome", subject)
    if decided is not None:
        return ("" if decided == "none" else decided), []
    class_title, _, category = part.rpartition(" | ") if " | " in part else ("", "", part)
    own = words.outcome("", part, kind) if part else words.Meaning()
    if own.value:
        return own.value, []
    meaning = words.outcome(about.title, "", kind)
    if not meaning.value:
        if meaning.doubt:
            context.ask("outcome", subject, "", meaning.doubt, place)
        return "", [meaning.doubt] if meaning.doubt else []
    unclear = [text for text in (class_title, category) if text and _WEEK_ONLY.sub("", text.lower())]
    unclear = [text for text in unclear if not _YES.match(text.lower()) and text.lower() not in about.title.lower()]
    if unclear or (categories > 1 and not _YES.match(category.lower())):
        why = f"the part {part[:80]!r} may be a subgroup, another outcome or the opposite"
        context.ask("outcome", subject, meaning.value, why, place)
        return "", [why]
    return meaning.value, []


def _scale(code: str, facts: list[Fact], about: _About) -> str:
    """Why the numbers look like those of another scale; empty when they do not."""
    unit = words.strange_unit(code, about.unit)
    if unit:
        return unit
    own, usual = words.scale_of(code, about.description), words.scale_of(code, "")
    if usual is None or own is None:
        return ""
    if own != usual:
        return (
            f"the description prints a scale of {own[0]:g} to {own[1]:g}; that of {code} is {usual[0]:g} to "
            f"{usual[1]:g}"
        )
    width = usual[1] - usual[0]
    for fact in facts:
        sd = float(fact.sd) if fact.sd else float(fact.se) * math.sqrt(int(fact.n)) if fact.se and fact.n else None
        if abs(float(fact.mean)) > width:
            return f"a mean change of {fact.mean} does not fit the scale of {code}, {usual[0]:g} to {usual[1]:g}"
        if sd is not None and 0 < sd < NARROW * width:
            return (
                f"a standard deviation of {sd:.2g} is too small for the scale of {code}, {usual[0]:g} to "
                f"{usual[1]:g}: it may be a mean of items, or a standard error"
            )
    return ""


def at_week(fact: Fact, week: str, context: Context) -> Fact:
    """With its week; safety counts of an arm end where the participant flow says that the arm's last period ends."""
    end = context.ends.get(fact.arm)
    safety = fact.section == "adverse" or fact.outcome in SAFETY
    if safety and end is not None and week and float(week) > end:
        why = f"time frame up to week {week}; by the participant flow the arm's last period ends at week {end}"
        return replace(fact, week=str(end), note="; ".join(filter(None, (fact.note, why))))
    return replace(fact, week=week)
