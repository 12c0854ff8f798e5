"""What the sections of a record share while it is parsed: arms, decisions of persons, and the lists that fill up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from enthesis.evidence.sources.ctgov.groups import ArmText, matched, simple_text, subject
from enthesis.evidence.sources.ctgov.posted import Fact, Group, Review
from enthesis.evidence.sources.ctgov.printed import whole
from enthesis.evidence.sources.ctgov.record import Log, Node


@dataclass
class Context:
    """The state of parsing one record.

    Attributes
    ----------
    arms : sequence of ArmText
    decisions : mapping
        (kind, subject) to what a person decided.
    ends : dict
        Last week of the periods in which an arm takes part, by arm_id, from the participant flow.
    unsure : dict
        Arms whose drug a person has to name, with the reason.
    """

    log: Log
    arms: Sequence[ArmText]
    decisions: Mapping[tuple[str, str], str]
    facts: list[Fact] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    review: dict[tuple[str, str], Review] = field(default_factory=dict)
    ends: dict[str, int] = field(default_factory=dict)
    unsure: dict[str, str] = field(default_factory=dict)
    _known: dict[str, str] = field(default_factory=dict)

    def matched(self, items: Node) -> dict[str, Group]:
        """The groups of one list by id, remembered; a group whose arm is not sure becomes a question."""
        found = matched(items, self.arms, self.decisions, self._known)
        for name, group in found.items():
            if group.arm in self.unsure:
                found[name] = replace(group, reason=self.unsure[group.arm], sure=False)
                self.groups.append(found[name])
                continue
            self.groups.append(group)
            if not group.sure:
                self.ask("group", subject(group), group.arm, group.reason, group.locator)
            elif group.arm and group.description:
                self._known.setdefault(simple_text(group.description), group.arm)
        return found

    def ask(self, kind: str, about: str, proposal: str, reason: str, locator: str) -> None:
        """Put a question to a person, once for each subject."""
        self.review.setdefault((kind, about), Review(kind, about, proposal, reason, locator))

    def decided(self, kind: str, about: str) -> str | None:
        """What a person decided; None when nobody did."""
        return self.decisions.get((kind, about))


@dataclass(frozen=True)
class Denominators:
    """How many were analysed in each group, by unit."""

    counts: Mapping[str, tuple[int, str]]
    units: str

    @property
    def of_patients(self) -> bool:
        """Whether patients were counted, and not joints, eyes or samples."""
        return self.units.lower() in ("", "participants", "subjects", "patients")


def denominators(node: Node, selected: str, fallback: Denominators | None = None) -> Denominators:
    """Read `denoms`: the unit that the outcome selects, else the first one."""
    found: list[Denominators] = []
    for denom in node["denoms"].items():
        counts: dict[str, tuple[int, str]] = {}
        units = denom["units"].text()
        for count in denom["counts"].items():
            name, printed = count["groupId"].text(), count["value"].printed()
            value = whole(printed)
            if value is None:
                node.log.unparsed(count["value"].pointer, f"{printed[:40]!r} is not a count")
            elif name in counts:
                node.log.unparsed(count.pointer, f"a second denominator of the group {name[:40]!r}")
            else:
                counts[name] = (value, count["value"].pointer)
        found.append(Denominators(counts, units))
    wanted = [d for d in found if selected and d.units == selected] or found
    return wanted[0] if wanted else fallback or Denominators({}, "")
