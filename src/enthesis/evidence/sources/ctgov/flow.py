"""The participant flow becomes facts: who started, completed and left each period, and why.

From the periods follows when an arm's randomised part ends, which the adverse events of the same record do not say.
"""

from __future__ import annotations

from enthesis.evidence.sources.ctgov import words
from enthesis.evidence.sources.ctgov.context import Context
from enthesis.evidence.sources.ctgov.posted import Fact, Group
from enthesis.evidence.sources.ctgov.printed import whole
from enthesis.evidence.sources.ctgov.record import Node


def flow(node: Node, context: Context) -> tuple[list[Fact], dict[str, Fact]]:
    """The facts of the flow, and for each arm the fact of how many started the first period.

    Parameters
    ----------
    node : Node
        `participantFlowModule`.
    context : Context
        Gets `ends`, the last week of the last period in which each arm takes part.
    """
    groups = context.matched(node["groups"])
    for name in ("preAssignmentDetails", "recruitmentDetails", "typeUnitsAnalyzed"):
        node[name].text()
    found: list[Fact] = []
    started: dict[str, Fact] = {}
    periods: list[tuple[str, dict[str, Fact]]] = []
    for period in node["periods"].items():
        title = period["title"].text()
        facts = _period(period, title, groups)
        begun = {f.arm: f for f in facts if f.part == "STARTED" and f.arm}
        found += facts
        periods.append((title, begun))
        for arm, fact in begun.items():
            started.setdefault(arm, fact)
    _ends(periods, context)
    return found, started


def _period(period: Node, title: str, groups: dict[str, Group]) -> list[Fact]:
    found: list[Fact] = []
    begun: dict[str, Fact] = {}
    for milestone in period["milestones"].items():
        kind = milestone["type"].text()
        milestone["comment"].text()
        seen: set[str] = set()
        for item in milestone["achievements"].items():
            fact = _count(item, title, kind, groups, seen)
            if fact is None:
                continue
            if kind == "STARTED":
                begun[item["groupId"].text()] = fact
            found.append(_of(fact, begun.get(item["groupId"].text())))
    for reason in period["dropWithdraws"].items():
        kind = reason["type"].text()
        reason["comment"].text()
        seen = set()
        for item in reason["reasons"].items():
            fact = _count(item, title, f"left: {kind}", groups, seen)
            if fact is not None:
                found.append(_of(fact, begun.get(item["groupId"].text())))
    return found


def _count(item: Node, title: str, kind: str, groups: dict[str, Group], seen: set[str]) -> Fact | None:
    name, where = item["groupId"].text(), item["numSubjects"]
    group, count = groups.get(name), whole(where.printed())
    if group is None or count is None:
        why = f"the group id {name[:40]!r} is not in the list of groups of the flow"
        item.log.unparsed(item.pointer, why if group is None else f"{where.printed()[:40]!r} is not a count")
        return None
    if name in seen:
        item.log.unparsed(item.pointer, f"a second count of the group {name[:40]!r}")
        return None
    seen.add(name)
    reads = [where.pointer]
    units = whole(item["numUnits"].printed()) if item["numUnits"] else None
    if units is not None:
        reads.append(item["numUnits"].pointer)
    return Fact(
        "flow", item.pointer, tuple(reads), title, group.title, arm=group.arm if group.sure else "",
        events=str(count), part=kind, group_text=group.description, note=item["comment"].text(),
        value="" if units is None else str(units), unit="Participants",
    )  # fmt: skip


def _of(fact: Fact, begun: Fact | None) -> Fact:
    """With the number that started the period as denominator."""
    if begun is None:
        return fact
    reads = dict.fromkeys((*fact.reads, *begun.reads[:1]))
    return Fact(
        **{**{n: getattr(fact, n) for n in fact.__dataclass_fields__}, "n": begun.events, "reads": tuple(reads)}
    )


def _ends(periods: list[tuple[str, dict[str, Fact]]], context: Context) -> None:
    """The last week of each arm, when every period in which it takes part names its weeks."""
    for arm in {a for _, begun in periods for a in begun}:
        took = [title for title, begun in periods if arm in begun and int(begun[arm].events) > 0]
        named = [words.weeks(title) for title in took]
        if named and all(named):
            context.ends[arm] = max(max(weeks) for weeks in named)
