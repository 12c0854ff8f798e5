"""The PRISMA-NMA checklist: each item with the sections of the report that answer it, or empty where a person must."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from typing import Any

from enthesis.assess.prisma import Flow
from enthesis.report.values import Block, Cell, Column, Link, Parts, Row, Strong, Table, Text, anchor
from enthesis.report.wording import count

#: chapters of parts of a review, by the name of the part: title and anchor
PARTS: dict[str, tuple[str, str]] = {
    "safety": ("Safety", "#safety"),
    "certainty": ("Certainty of the evidence", "#certainty"),
    "thresholds": ("What would change a decision", "#thresholds"),
    "benefit_risk": ("Benefit and risk", "#benefit-risk"),
    "place": ("Place in treatment", "#place"),
    "conclusions": ("Conclusions, and how sure", "#conclusions"),
    "forecast": ("What would change the conclusions", "#forecast"),
}


@dataclass(frozen=True, kw_only=True)
class Item:
    """An item of PRISMA-NMA, and where the report answers it.

    Parameters
    ----------
    number, part, topic, asks : str
        As in the statement, in our words.
    places : tuple of (str, str)
        Title and anchor of the sections that answer it; empty where a person must.
    does : str
        What is found there.
    needs : str
        What a person still writes.
    answer : str
        Where a person answers it, as the review's settings say.
    """

    number: str
    part: str
    topic: str
    asks: str
    places: tuple[tuple[str, str], ...]
    does: str
    needs: str
    answer: str = ""

    @property
    def state(self) -> str:
        """`by the software`, `in part`, or `by a person`: who answers it."""
        if not self.places:
            return "by a person"
        return "in part" if self.needs else "by the software"


@lru_cache(maxsize=1)
def _items() -> tuple[Mapping[str, Any], ...]:
    text = files("enthesis").joinpath("report", "prisma_nma.toml").read_text(encoding="utf-8")
    return tuple(tomllib.loads(text)["item"])


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a report of a review has, as far as the checklist points to it.

    Parameters
    ----------
    main : (str, str) or None
        Id and title of the main question, when the report has its chapter.
    fitted : bool
        Whether it has an answer.
    several : bool
        Whether there are further questions.
    parts : frozenset of str
        Names of the parts that have a chapter.
    answers : mapping
        By item number, where a person answers it.
    """

    main: tuple[str, str] | None
    fitted: bool = True
    several: bool = True
    parts: frozenset[str] = frozenset()
    answers: Mapping[str, str] = field(default_factory=dict)


def checklist(value: Flow, report: Report) -> tuple[Item, ...]:
    """The 32 items of PRISMA-NMA, with the sections of a report that answer each.

    Parameters
    ----------
    value : Flow
    report : Report

    Returns
    -------
    tuple of Item

    Examples
    --------
    >>> from enthesis.assess.prisma import flow
    >>> from enthesis.evidence import bundled_evidence
    >>> items = checklist(flow(bundled_evidence()), Report(main=("asas40", "ASAS40")))
    >>> len(items), [item.number for item in items if item.state == "by a person"][:3]
    (32, ['1', '3', '5'])
    """
    known = _places(value, report)
    found = []
    for item in _items():
        places = tuple(known[place] for place in item.get("places", ()) if place in known)
        needs = item.get("needs", "") if places else item.get("needs", f"{item['topic']}.")
        if value["database_results"].n is None:
            needs = item.get("needs_without_records", needs)
        found.append(
            Item(number=item["number"], part=item["part"], topic=item["topic"], asks=item["asks"], places=places,
                 does=item.get("does", "") if places else "", needs=needs,
                 answer=report.answers.get(item["number"], ""))
        )  # fmt: skip
    return tuple(found)


def _places(value: Flow, report: Report) -> dict[str, tuple[str, str]]:
    """By key of a place: (title, anchor) of the sections that the report has."""
    fixed = {"messages": "Key messages", "limits": "What this report cannot tell", "methods": "Methods",
             "studies": "Studies", "results": "Result rows", "sources": "Sources"}  # fmt: skip
    found = {key: (title, f"#{key}") for key, title in fixed.items()}
    found |= {part: place for part, place in PARTS.items() if part in report.parts}
    found["prisma.flow"] = ("Flow of records", "#prisma.flow")
    if value["records_screened"].n:
        found["prisma.decisions"] = ("Flow of records", "#prisma.flow")
    if value.searches:
        found["prisma.searches"] = ("Searches", "#prisma.searches")
    if report.several:
        found["overview"] = ("All questions at a glance", "#overview")
    if report.main is not None:
        id = anchor("q", report.main[0])
        found["main"] = (report.main[1], f"#{id}")
        if report.fitted:
            titles = {"network": "The network", "effects": "Effects", "league": "League table", "ranks": "Ranks",
                      "models": "Other models", "evidence": "What this rests on",
                      "flow": "What was left out"}  # fmt: skip
            found |= {f"main.{key}": (title, f"#{id}.{key}") for key, title in titles.items()}
    return found


def checklist_blocks(items: tuple[Item, ...], *, links: bool = True) -> tuple[Block, ...]:
    """The checklist as a table, with a sentence on who answers what; without links where the report is elsewhere."""
    done = {state: sum(i.state == state for i in items) for state in ("by the software", "in part", "by a person")}
    intro = Text((
        f"PRISMA-NMA has {len(items)} items. This report answers {done['by the software']} by itself and "
        f"{done['in part']} in part; {count(done['by a person'], 'item')} only a person can answer. The wording of the "
        "items is ours; the statement (doi 10.7326/M14-2385) has the binding one.",
    ))  # fmt: skip
    rows = tuple(
        Row((Cell((i.number,)), Cell((Strong(i.topic + ". "), i.asks)), Cell(_where(i, links)),
             Cell((i.answer or i.needs or "–",))),
            id=anchor("prisma-item", i.number))
        for i in items
    )  # fmt: skip
    columns = (
        Column("Item"), Column("Asks for", "long"), Column("In this report", "long"), Column("A person adds", "long"),
    )  # fmt: skip
    table = Table(id="prisma-checklist", caption="PRISMA-NMA checklist", rows=rows, columns=columns)
    return (intro, table)


def _where(item: Item, links: bool) -> Parts:
    if not item.places:
        return ("–",)
    parts: list[Any] = []
    for title, place in item.places:
        parts += [", " if parts else "", Link(title, place) if links else title]
    return (*parts, f". {item.does}")
