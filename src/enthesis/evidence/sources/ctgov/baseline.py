"""Baseline characteristics become facts, and those that the dictionary knows become columns of the arms."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from enthesis.evidence.sources.ctgov.context import Context, denominators
from enthesis.evidence.sources.ctgov.posted import Fact
from enthesis.evidence.sources.ctgov.printed import number, whole
from enthesis.evidence.sources.ctgov.record import Node
from enthesis.evidence.sources.ctgov.words import words


def baseline(node: Node, context: Context) -> list[Fact]:
    """The facts of `baselineCharacteristicsModule`."""
    groups = context.matched(node["groups"])
    people = node["populationDescription"].text()
    node["typeUnitsAnalyzed"].text()
    found: list[Fact] = []
    for measure in node["measures"].items():
        title, param = measure["title"].text(), measure["paramType"].text()
        texts = {name: measure[name].text() for name in ("dispersionType", "unitOfMeasure", "description")}
        own_people = measure["populationDescription"].text() or people
        measure["calculatePct"].text()
        units = measure["denomUnitsSelected"].text()
        own = denominators(measure, units, denominators(node, units))
        for group in measure["classes"].items():
            here = denominators(group, units, own)
            for category in group["categories"].items():
                part = " | ".join(filter(None, (group["title"].text(), category["title"].text())))
                seen: set[str] = set()
                for item in category["measurements"].items():
                    name = item["groupId"].text()
                    of = groups.get(name)
                    if of is None or name in seen:
                        what = "is not in the list of baseline groups" if of is None else "has a second measurement"
                        node.log.unparsed(item.pointer, f"the group id {name[:40]!r} {what}")
                        continue
                    seen.add(name)
                    n = here.counts.get(name)
                    fact = Fact(
                        "baseline", item.pointer, (), title, of.title, arm=of.arm if of.sure else "", week="0",
                        n="" if n is None else str(n[0]), param=param, dispersion=texts["dispersionType"],
                        unit=texts["unitOfMeasure"], part=part, group_text=of.description, population=own_people,
                        note=item["comment"].text(),
                    )  # fmt: skip
                    fact = _measured(item, fact, n[1] if n else "")
                    found += [fact] if fact else []
    return found


def _measured(item: Node, fact: Fact, denominator: str) -> Fact | None:
    printed = item["value"].printed()
    value = number(printed)
    if not value:
        item.log.unparsed(item.pointer, f"the value is {printed[:40]!r}" if printed else "there is no value")
        return None
    reads, limits = [item["value"].pointer, *([denominator] if denominator else [])], {}
    for name in ("spread", "lowerLimit", "upperLimit"):
        limits[name] = number(item[name].printed())
        if limits[name]:
            reads.append(item[name].pointer)
        elif item[name].printed():
            item.log.unparsed(item[name].pointer, f"{item[name].printed()[:40]!r} is not a number")
    fact = replace(fact, reads=tuple(reads), low=limits["lowerLimit"], high=limits["upperLimit"])
    if fact.param == "COUNT_OF_PARTICIPANTS":
        events = whole(value)
        if events is None or (fact.n and events > int(fact.n)):
            item.log.unparsed(item.pointer, f"{value} is no count of {fact.n or 'an unknown number of'} patients")
            return None
        return replace(fact, measure="binary", events=str(events))
    if fact.param == "MEAN":
        kind = {"STANDARD_DEVIATION": "sd", "STANDARD_ERROR": "se"}.get(fact.dispersion, "spread")
        return replace(fact, measure="continuous", mean=value, **{kind: limits["spread"]})
    return replace(fact, value=value, spread=limits["spread"])


def arm_columns(facts: Sequence[Fact], arm: str) -> dict[str, str]:
    """Columns of the table of arms that baseline facts fill: means as printed, fractions to four decimals.

    Parameters
    ----------
    facts : sequence of Fact
    arm : str

    Returns
    -------
    dict of str to str
        A column that two facts would fill is left out.
    """
    found: dict[str, list[dict[str, str]]] = {}
    for fact in (f for f in facts if f.arm == arm and f.section == "baseline"):
        for rule in words().baseline:
            if not _fits(rule, fact):
                continue
            if fact.measure == "binary":
                if not fact.n or not int(fact.n):
                    continue
                share = Decimal(fact.events) / Decimal(fact.n)
                cells = {rule["column"]: str(round(share, 4).normalize() if share else 0)}
            else:
                cells = {rule["column"]: fact.mean}
                if fact.sd and rule["column"] in ("basdai_mean", "asdas_mean", "basfi_mean", "crp_mgl_mean"):
                    cells[rule["column"].replace("_mean", "_sd")] = fact.sd
            found.setdefault(rule["column"], []).append(cells)
    return {name: text for rows in found.values() if len(rows) == 1 for name, text in rows[0].items()}


def _fits(rule: dict[str, str], fact: Fact) -> bool:
    part = fact.part.rpartition(" | ")[2].lower()
    if fact.param != rule["param"] or not re.search(rule["title"], fact.title.lower()[:500]):
        return False
    if "unit" in rule and not re.search(rule["unit"], fact.unit.lower()[:500]):
        return False
    return bool(re.search(rule["category"], part[:500])) if "category" in rule else not part
