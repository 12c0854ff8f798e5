"""Which arm a posted group is: ids such as OG000 are local to one list, so title and description decide.

A group is an arm when its title, without the analysis set, is the arm's label, when its description is the arm's, or
when it names the drug, dose and frequency of exactly one arm. A title that speaks of a switch, an extension or a total
is no arm as randomised, whatever drug it names. Where title and description disagree, a person decides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from enthesis.evidence.sources.ctgov.posted import Group
from enthesis.evidence.sources.ctgov.record import Node
from enthesis.evidence.sources.ctgov.words import MAX_DESCRIPTION, MAX_TITLE, doses, drugs, frequencies, words

_SET = re.compile(
    r"\s*[\(\[,-]?\s*\b(fas|ss|rs|itt|mitt|pps?|saf|pk-?pps|safety (analysis )?(set|population)|"
    r"full analysis (set|population)|randomi[sz]ed set)\b\s*[\)\]]?\s*$"
)
_BELONG = re.compile(r"\b(formed|included in|analy[sz]ed in|belong\w*)\b")
_A_SET = re.compile(r"\b(set|population|fas|ss|rs|itt|pps?)\b")


@dataclass(frozen=True)
class ArmText:
    """What is known of an arm when groups are matched to it."""

    arm_id: str
    label: str
    description: str
    treatment: str
    dose: str
    unit: str
    frequency: str


def matched(
    items: Node, arms: Sequence[ArmText], decisions: Mapping[tuple[str, str], str], known: Mapping[str, str]
) -> dict[str, Group]:
    """The groups of one list by their id, each with its arm.

    Parameters
    ----------
    items : Node
        The list of groups.
    arms : sequence of ArmText
    decisions : mapping
        ("group", subject) to arm_id or "none": what persons decided.
    known : mapping
        Simplified descriptions of groups whose arm is known from elsewhere in the record, to arm_id.

    Returns
    -------
    dict of str to Group
        An id that appears twice is logged as unparsed and left out.
    """
    found: dict[str, Group] = {}
    twice = set()
    for item in items.items():
        group = Group(item["id"].text(), item["title"].text(), item["description"].text(), item.pointer)
        if not group.id:
            item.log.unparsed(item.pointer, "a group without id")
        elif group.id in found:
            twice.add(group.id)
            item.log.unparsed(
                item.pointer, f"the group id {group.id[:40]!r} is there twice: its numbers belong to nobody"
            )
        else:
            found[group.id] = _arm(group, arms, decisions, known)
    for name in twice:
        item = found.pop(name)
        items.log.unparsed(item.locator, f"the group id {name[:40]!r} is there twice: its numbers belong to nobody")
    return _each_arm_once(found, decisions)


def _each_arm_once(found: dict[str, Group], decisions: Mapping[tuple[str, str], str]) -> dict[str, Group]:
    """Two groups of one list are never one arm: they overlap, or one of them is another thing."""
    taken: dict[str, list[str]] = {}
    for name, group in found.items():
        if group.arm and ("group", subject(group)) not in decisions:
            taken.setdefault(group.arm, []).append(name)
    for arm, names in taken.items():
        if len(names) > 1:
            for name in names:
                why = f"{len(names)} groups of one list look like the arm {arm}"
                found[name] = replace(found[name], reason=why, sure=False)
    return found


def subject(group: Group) -> str:
    """The text that a decision on a group is about."""
    return about(group.title[:300], group.description[:300])


def about(*texts: str) -> str:
    """The subject of a question: texts that are there, as a cell keeps them.

    Examples
    --------
    >>> about("Group B", "")
    'Group B'
    """
    return " | ".join(text.strip() for text in texts if text.strip())


def _arm(
    group: Group, arms: Sequence[ArmText], decisions: Mapping[tuple[str, str], str], known: Mapping[str, str]
) -> Group:
    decided = decisions.get(("group", subject(group)))
    if decided is not None:
        arm = "" if decided == "none" else decided
        if arm and arm not in {a.arm_id for a in arms}:
            return replace(group, reason=f"a person decided {arm!r}, which is no arm of the study", sure=False)
        return replace(group, arm=arm, reason="decided by a person")
    title, text = simple_title(group.title), simple_text(group.description)
    marked = any(p.search(group.title[:MAX_TITLE].lower()) for p in words().not_an_arm)
    by_label = {a.arm_id for a in arms if title and title == simple_title(a.label)}
    by_text = {a.arm_id for a in arms if text and text == simple_text(a.description)}
    by_text |= {known[text]} if text in known else set()
    if len(by_label) == 1 and by_text <= by_label:
        return replace(group, arm=by_label.pop(), reason="the title is the label of the arm")
    if marked and not by_text:
        return replace(group, reason="the title speaks of a switch, an extension or several arms together")
    by_drug = _by_drug(group, arms)
    if len(by_text) == 1 and (by_text == by_drug or not by_drug) and not by_label - by_text and not marked:
        return replace(group, arm=by_text.pop(), reason="the description is that of the arm")
    if not by_text and not by_label and len(by_drug) == 1:
        return replace(group, arm=by_drug.pop(), reason="title and dose are those of one arm only")
    near = sorted(by_label | by_text | by_drug)
    if len(near) == 1:
        return replace(group, arm=near[0], reason="title and description do not agree on the arm", sure=False)
    if near:
        return replace(group, reason=f"the group may be any of: {', '.join(near)}", sure=False)
    return replace(group, reason="no arm has this title, description, drug or dose", sure=False)


def _by_drug(group: Group, arms: Sequence[ArmText]) -> set[str]:
    """Arms whose treatment the title names, with dose and frequency where it names those."""
    named = {drug.name for drug in drugs(group.title)}
    if len(named) > 1:
        named -= {"placebo"}
    dose, often = set(doses(group.title)), set(frequencies(group.title))
    return {
        a.arm_id
        for a in arms
        if {a.treatment} == named
        and (not dose or not a.dose or (a.dose, a.unit) in dose)
        and (not often or not a.frequency or a.frequency in often)
    }


def simple_title(title: str) -> str:
    """A title for comparing: without analysis set, case and signs; names of drugs are those of the dictionary.

    Examples
    --------
    >>> simple_title("CZP 200 mg Q2W (FAS)") == simple_title("Certolizumab Pegol 200mg Q2W")
    True
    """
    low = _SET.sub("", title[:MAX_TITLE].lower())
    for drug in words().drugs:
        low = drug.wanted[0].sub(drug.name, low)
    return re.sub(r"[^a-z0-9./%]+", "", low)


def simple_text(text: str) -> str:
    """A description for comparing: without the sentence on the analysis set, case and signs.

    Examples
    --------
    >>> simple_text("CZP every 2 weeks. Subjects formed the FAS.") == simple_text("CZP every 2 weeks.")
    True
    """
    kept = [
        s for s in re.split(r"[.;]", text[:MAX_DESCRIPTION].lower()) if not (_BELONG.search(s) and _A_SET.search(s))
    ]
    return re.sub(r"[^a-z0-9]+", "", "".join(kept))
