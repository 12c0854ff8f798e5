"""PRISMA in the report: the flow diagram, the searches, the checklist, and the file that other PRISMA tools draw."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pandas as pd

from enthesis.assess.prisma import KEYS, Flow, read_settings
from enthesis.evidence.watch import Watch
from enthesis.report.export import safe_text
from enthesis.report.prisma_checklist import Item, Report, checklist, checklist_blocks
from enthesis.report.values import (
    Block,
    Bullets,
    Cell,
    Column,
    Figure,
    Link,
    Parts,
    Row,
    Section,
    Strong,
    Table,
    Text,
)
from enthesis.report.wording import count

if TYPE_CHECKING:
    from enthesis.living.run import Run
    from enthesis.report.tables import Reading

UNKNOWN = "not recorded"
#: the columns of the PRISMA2020 package's file
CSV_COLUMNS = ("data", "node", "box", "description", "boxtext", "tooltips", "url", "n")
#: where each count is drawn by the PRISMA2020 package: its node (the first count of a box) and its box
_CSV_PLACES = {
    "previous_studies": ("node5", "box1"), "previous_reports": ("", "box1"), "database_results": ("node7", "box2"),
    "register_results": ("", "box2"), "website_results": ("node17", "box11"), "organisation_results": ("", "box11"),
    "citations_results": ("", "box11"), "duplicates": ("node8", "box3"), "excluded_automatic": ("", "box3"),
    "excluded_other": ("", "box3"), "records_screened": ("node9", "box4"), "records_excluded": ("node10", "box5"),
    "dbr_sought_reports": ("node11", "box6"), "dbr_notretrieved_reports": ("node12", "box7"),
    "other_sought_reports": ("node18", "box12"), "other_notretrieved_reports": ("node19", "box13"),
    "dbr_assessed": ("node13", "box8"), "dbr_excluded": ("node14", "box9"), "other_assessed": ("node20", "box14"),
    "other_excluded": ("node21", "box15"), "new_studies": ("node15", "box10"), "new_reports": ("", "box10"),
    "total_studies": ("node22", "box16"), "total_reports": ("", "box16"),
}  # fmt: skip
#: headings of the package's drawing
_CSV_HEADINGS = (
    ("node4", "prevstud", "Previous studies"),
    ("node6", "newstud", "Identification of new studies via databases and registers"),
    ("node16", "othstud", "Identification of new studies via other methods"),
    ("node1", "identification", "Identification"),
    ("node2", "screening", "Screening"),
    ("node3", "included", "Included"),
)


# The flow


def boxes(value: Flow) -> pd.DataFrame:
    """The boxes of the flow diagram, for the plot `prisma_flow`.

    Returns
    -------
    pandas.DataFrame
        box, row, column, title, text, known.
    """
    earlier = value["previous_studies"].n is not None
    before = {"total_studies": "Studies with the previous version"} if earlier else {}
    own = [
        _box("identified", 0, 0, "Records identified from", value, {"database_results": "Databases",
                                                                   "register_results": "Registers"}),
        _box("removed", 0, 1, "Removed before screening", value, {
            "duplicates": "Duplicates", "excluded_automatic": "Ineligible by automation tools",
            "excluded_other": "Other reasons"}),
        _box("screened", 1, 0, "Records screened", value, {"records_screened": ""}),
        _box("excluded", 1, 1, "Records excluded", value, {"records_excluded": ""}),
        _box("sought", 2, 0, "Reports sought for retrieval", value, {"dbr_sought_reports": ""}),
        _box("not-retrieved", 2, 1, "Reports not retrieved", value, {"dbr_notretrieved_reports": ""}),
        _box("assessed", 3, 0, "Reports assessed for eligibility", value, {"dbr_assessed": ""}),
        _box("full-text", 3, 1, "Reports excluded", value, {"dbr_excluded": ""}, value.reasons),
        _box("included", 4, 0, "Included", value, {
            "new_studies": "Studies", "new_reports": "Reports of them", "total_studies_ma": "Studies in a network",
            **before}),
    ]  # fmt: skip
    if any(value[key].n for key in ("website_results", "organisation_results", "citations_results", "other_assessed")):
        own += [
            _box("other", 0, 2, "Other methods", value, {"website_results": "Websites",
                 "organisation_results": "Organisations", "citations_results": "Citation searching"}),
            _box("other-sought", 2, 2, "Reports sought", value, {"other_sought_reports": "Sought",
                 "other_notretrieved_reports": "Not retrieved"}),
            _box("other-assessed", 3, 2, "Reports assessed", value, {"other_assessed": "Assessed",
                 "other_excluded": "Excluded"}, value.other_reasons),
        ]  # fmt: skip
    return pd.DataFrame(own)


def _box(
    box: str, row: int, column: int, title: str, value: Flow, keys: Mapping[str, str],
    reasons: Iterable[tuple[str, int]] = (),
) -> dict[str, Any]:  # fmt: skip
    known = any(value[key].n is not None for key in keys)
    lines = [_line(value[key].n, label) for key, label in keys.items()] if known else [UNKNOWN]
    lines += [f"{word} (n = {n:,})" for word, n in reasons]
    return {"box": box, "row": row, "column": column, "title": title, "text": "\n".join(lines), "known": known}


def _line(n: int | None, label: str) -> str:
    told = UNKNOWN if n is None else f"n = {n:,}"
    return f"{label} ({told})" if label else told


def to_csv(value: Flow) -> str:
    """The flow as the file of the PRISMA2020 package; the cell `n` is empty where the number is not known.

    Parameters
    ----------
    value : Flow

    Returns
    -------
    str
        Columns data, node, box, description, boxtext, tooltips, url, n.
    """
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for node, box, text in _CSV_HEADINGS:
        writer.writerow(["NA", node, box, text, text, text, "NA", "0"])
    for key, (node, box) in _CSV_PLACES.items():
        n = value[key].n
        told = "" if n is None else str(n)
        reasons = {"dbr_excluded": value.reasons, "other_excluded": value.other_reasons}.get(key, ())
        if n is not None and reasons:
            told = "; ".join(f"{word.replace(',', ' ').replace(';', ' ')}, {many}" for word, many in reasons)
        tip = KEYS[key] if n is not None else f"{KEYS[key]}: {UNKNOWN}"
        writer.writerow([key, node or "NA", box, KEYS[key], KEYS[key], safe_text(tip), "NA", safe_text(told)])
    return stream.getvalue()


# The part of a review


def sections(value: Flow, run: Run, read: tuple[Reading, ...]) -> tuple[Section, ...]:
    """The chapter: flow diagram, searches, checklist.

    Parameters
    ----------
    value : Flow
    run : Run
    read : tuple of Reading

    Returns
    -------
    tuple of Section
    """
    inner = prisma_sections(value, checklist(value, _report(run, read)))
    return (Section(id="prisma", title="Search, selection and reporting (PRISMA)", sections=inner),)


def prisma_sections(value: Flow, items: tuple[Item, ...], *, links: bool = True) -> tuple[Section, ...]:
    """Flow diagram, searches and checklist as sections; without links to a report that is elsewhere."""
    inner = [_flow_section(value)]
    if value.searches:
        inner.append(Section(id="prisma.searches", title="Searches", blocks=(_searches(value),), nav=False))
    if value.watch.watched:
        blocks = _notices(value.watch)
        inner.append(Section(id="prisma.watch", title="Retracted and corrected sources", blocks=blocks, nav=False))
    blocks = checklist_blocks(items, links=links)
    inner.append(Section(id="prisma.checklist", title="PRISMA-NMA checklist", blocks=blocks, nav=False))
    return tuple(inner)


def _report(run: Run, read: tuple[Reading, ...]) -> Report:
    main = next((r for r in read if r.answer is run.main), None)
    return Report(
        main=(main.id, main.answer.question.title) if main else None, fitted=main is not None and main.fit is not None,
        several=len(read) > 1, parts=frozenset(run.parts),
        answers=read_settings(run.review.folder / "prisma.toml").answers,
    )  # fmt: skip


def _flow_section(value: Flow) -> Section:
    caption = "Flow of records (PRISMA 2020). A dashed box has no data: nothing is estimated in its place."
    figure = Figure(id="prisma-figure", plot="prisma_flow", table=boxes(value), caption=caption)
    blocks: list[Block] = []
    missing = [key for key in value.unknown if key in EXPECTED]
    if missing:
        told = "Not recorded, and so empty in the diagram: " + ", ".join(KEYS[key].lower() for key in missing) + "."
        blocks.append(Text((Strong("What is not known. "), told), kind="warning"))
    blocks.append(figure)
    if value.notes:
        blocks.append(Bullets(tuple((note,) for note in value.notes)))
    new_only = value["previous_studies"].n is None  # then the totals say again what the new ones say
    known = [
        c for c in value.counts if c.n is not None and not (new_only and c.key in ("total_studies", "total_reports"))
    ]
    rows = tuple(Row((Cell((KEYS[c.key],)), Cell((f"{c.n:,}",)), Cell((c.source,)), Cell((c.why,)))) for c in known)
    if rows:
        blocks.append(Table(id="prisma-counts", caption="Where each number comes from", rows=rows, columns=(
            Column("Count"), Column("n", "number"), Column("From"), Column("How", "long"))))  # fmt: skip
    return Section(id="prisma.flow", title="Flow of records", blocks=tuple(blocks), nav=False)


#: counts that every review should be able to tell
EXPECTED = ("database_results", "register_results", "duplicates", "records_screened", "records_excluded",
             "dbr_sought_reports", "dbr_notretrieved_reports", "dbr_assessed", "dbr_excluded")  # fmt: skip


def _searches(value: Flow) -> Table:
    rows = tuple(
        Row(tuple(Cell((s.get(c, "") or "–",)) for c in ("database", "date", "found", "query", "note")))
        for s in value.searches
    )
    columns = (
        Column("Database"), Column("Day"), Column("Found", "number"), Column("Query", "long"), Column("Note", "long"),
    )  # fmt: skip
    return Table(id="prisma-searches", caption="Searches", rows=rows, columns=columns)


def _notices(seen: Watch) -> tuple[Block, ...]:
    """The notices on sources, each with what rests on it; and how many sources were watched."""
    total = seen.watched + len(seen.unwatched)
    told = f"{seen.watched:,} of {total:,} printed sources have a record, in which PubMed keeps such notices."
    if not seen.notices:
        return (Text((f"{told} None of them is retracted, under an expression of concern, corrected or updated.",)),)
    rows = tuple(
        Row((Cell((n.kind,), tone=-4 if n.kind == "retracted" else None),
             Cell((n.title or n.source,)),
             Cell((n.told,)), Cell((", ".join(n.studies) or "–",)), Cell((f"{len(n.rows):,}",)),
             Cell(("; ".join(n.rows[:20]) + ("; ..." if len(n.rows) > 20 else "") or "–",))))
        for n in seen.notices
    )  # fmt: skip
    columns = (Column("Notice"), Column("Source", "long"), Column("Told by"), Column("Studies", "long"),
               Column("Rows", "number"), Column("Names of rows", "long"))  # fmt: skip
    table = Table(id="prisma-notices", caption="Notices on sources of this evidence", columns=columns, rows=rows)
    return (Text((told,)), table)


def messages(value: Flow, run: Run, read: tuple[Reading, ...]) -> tuple[Parts, ...]:
    """A key message for every source that carries rows and was retracted or is under an expression of concern."""
    return tuple(
        (
            Strong("Retracted source. " if n.kind == "retracted" else "Source under an expression of concern. "),
            Link(n.title or n.source, "#prisma.watch"),
            f". It carries {count(len(n.rows), 'row')} of {', '.join(n.studies)}.",
        )
        for n in value.watch.notices
        if n.rows and n.kind in ("retracted", "expression of concern")
    )


def as_json(value: Flow, run: Run) -> dict[str, Any]:
    """The key `prisma` of `results.json`.

    Parameters
    ----------
    value : Flow
    run : Run

    Returns
    -------
    dict
    """
    from enthesis.report.tables import readings

    return {"prisma": told(value, checklist(value, _report(run, readings(run))))}


def told(value: Flow, items: Iterable[Item] = ()) -> dict[str, Any]:
    """The flow and the checklist as plain values for JSON."""
    return {
        "counts": [
            {"key": c.key, "description": KEYS[c.key], "n": c.n, "from": c.source, "why": c.why} for c in value.counts
        ],
        "excluded": [{"reason": word, "n": n} for word, n in value.reasons],
        "excluded_other_methods": [{"reason": word, "n": n} for word, n in value.other_reasons],
        "databases": [{"kind": kind, "database": name, "records": n} for kind, name, n in value.databases],
        "searches": [dict(search) for search in value.searches],
        "notes": list(value.notes),
        "notices": [asdict(notice) for notice in value.watch.notices],
        "watched": value.watch.watched,
        "unwatched": list(value.watch.unwatched),
        "checklist": [
            {"item": i.number, "part": i.part, "topic": i.topic, "asks": i.asks, "state": i.state,
             "places": [{"title": title, "anchor": place} for title, place in i.places], "does": i.does,
             "needs": i.needs, "answer": i.answer} for i in items
        ],
    }  # fmt: skip


def limits(value: Flow, run: Run, read: tuple[Reading, ...]) -> tuple[Parts, ...]:
    """What the report cannot tell of the search: one sentence when nothing was recorded."""
    if value["database_results"].n is not None:
        return ()
    return ((
        Strong("How complete the evidence is. "),
        "The numbers of records that searches found, and that were screened and excluded, are ",
        Link("not recorded", "#prisma.flow"),
        ": studies may be missing, and this report cannot tell how many.",
    ),)  # fmt: skip


__all__ = ["as_json", "boxes", "limits", "messages", "prisma_sections", "sections", "to_csv", "told"]
