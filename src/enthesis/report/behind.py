"""What stands behind the numbers: studies, result rows and sources, each a place that links lead to."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import pandas as pd

from enthesis.report.tables import Reading
from enthesis.report.values import (
    Cell,
    Column,
    Folded,
    Link,
    Part,
    Parts,
    Row,
    Section,
    Table,
    Text,
    anchor,
    web_address,
)
from enthesis.report.wording import count, number, percent, whole

if TYPE_CHECKING:
    from enthesis.evidence import Evidence

#: how a result was checked, in words
CHECKS = {
    "two-sources": "two sources agree",
    "one-source": "one source",
    "deduced": "deduced: the only whole number that fits the printed figures",
    "conflict": "sources disagree",
}


_TITLES: WeakKeyDictionary[Evidence, dict[str, str]] = WeakKeyDictionary()


def used_rows(readings: tuple[Reading, ...]) -> dict[str, list[str]]:
    """Ids of the result rows behind any network, with the ids of the questions that use each."""
    found: dict[str, list[str]] = defaultdict(list)
    for r in readings:
        for row in r.answer.selection.used:
            found[row].append(r.id)
    return dict(found)


def named_studies(readings: tuple[Reading, ...]) -> set[str]:
    """Names of the studies that a network or a ledger mentions."""
    found = {study for r in readings for study in r.answer.selection.studies}
    return found | {e.study for r in readings for e in r.answer.selection.ledger if e.study}


def studies_section(evidence: Evidence, readings: tuple[Reading, ...]) -> Section:
    """The table of studies: those in a network first, then those that a ledger names."""
    uses: dict[str, list[Reading]] = defaultdict(list)
    for r in readings:
        for study in r.answer.selection.studies:
            uses[study].append(r)
    wanted = named_studies(readings)
    listed = evidence.studies
    listed = listed[listed["study_id"].isin(wanted)]
    unknown = sorted(wanted - set(listed["study_id"]))
    arms = evidence.arms
    by_study: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for arm in records(arms[arms["study_id"].isin(wanted)]):
        by_study[arm["study_id"]].append(arm)
    found = sorted(records(listed), key=lambda s: (s["study_id"] not in uses, s["year"] or 9999, s["study_id"]))
    have_rows = set(uses)
    tables = []
    for title, id, its in (
        ("Studies in a network", "studies-in", [s for s in found if s["study_id"] in uses]),
        (
            "Studies that are in no network of this report",
            "studies-out",
            [s for s in found if s["study_id"] not in uses],
        ),
    ):
        rows = [
            _study_row(s, by_study.get(s["study_id"], []), uses.get(s["study_id"], []), have_rows, evidence)
            for s in its
        ]
        if id == "studies-out":
            rows += [
                Row(
                    (Cell((name,)), *(Cell(("–",)) for _ in range(7)), Cell(("not described",))),
                    id=anchor("study", name),
                )
                for name in unknown
            ]
        if rows:
            tables.append(
                Table(
                    id=id, caption=f"{title} ({len(rows)})",
                    columns=(Column("Study"), Column("Year", "number"), Column("Population"),
                             Column("Earlier biologic"), Column("Type"), Column("Randomised", "number"),
                             Column("Arms", "long"),
                             Column("Used in", "long"), Column("Source", "long")),
                    rows=tuple(rows),
                )
            )  # fmt: skip
    return Section(id="studies", title="Studies", blocks=tuple(tables))


def _study_row(
    s: dict[str, Any], arms: list[dict[str, Any]], uses: list[Reading], have_rows: set[str], evidence: Evidence
) -> Row:
    name = s["study_id"]
    told: list[Part] = []
    for a in arms:
        dose = " ".join(x for x in (_dose(a["dose"]), a["dose_unit"], a["frequency"]) if x)
        n = f" (n {a['n_randomised']:,.0f})" if a["n_randomised"] else ""
        told.append(("; " if told else "") + " ".join(filter(None, [a["treatment"], dose])) + n)
    used: list[Part] = []
    if name in have_rows:
        used += [Link("result rows", "#" + anchor("results", name)), "; "]
    for r in uses[:6]:
        used += ["" if not used or used[-1] == "; " else ", ", Link(r.id, "#" + anchor("q", r.id))]
    if len(uses) > 6:
        used.append(f" and {len(uses) - 6} more")
    experienced = f" ({percent(s['prior_biologic_fraction'])})" if s["prior_biologic_fraction"] is not None else ""
    kind = ", ".join(
        filter(None, [s["design"], f"phase {s['phase']}" if s["phase"] else "", s["blinding"], s["status"]])
    )
    address = registry_address(s["nct_id"])
    ids: list[Part] = [name]
    if s["nct_id"]:
        ids += [", ", Link(s["nct_id"], address) if address else s["nct_id"]]
    return Row(
        (
            Cell(tuple(ids)), Cell((f"{s['year']:.0f}" if s["year"] else "–",)), Cell((s["population"] or "–",)),
            Cell((f"{s['prior_biologic'] or 'not stated'}{experienced}",)), Cell((kind,)),
            Cell((whole(s["n_randomised"]) if s["n_randomised"] else "–",)), Cell(tuple(told) or ("–",)),
            Cell(tuple(used) or ("–",)), Cell(source_links(s["source_id"], evidence)),
        ),
        id=anchor("study", name),
    )  # fmt: skip


def results_section(evidence: Evidence, readings: tuple[Reading, ...]) -> Section:
    """Every result row behind a network, by study, with its source, the place in it, check and extractor."""
    used = used_rows(readings)
    frame = evidence.outcomes
    frame = frame[frame["result_id"].isin(used)]
    folds = []
    for study, its in sorted(frame.groupby("study_id"), key=lambda pair: str(pair[0]).casefold()):
        rows = tuple(_result_row(r, evidence) for r in records(its))
        table = Table(
            id=anchor("results-table", str(study)), caption=f"{study}: result rows used",
            columns=(Column("Result row"), Column("Arm"), Column("Outcome"), Column("Week", "number"),
                     Column("Result", "number"), Column("Analysis"), Column("Check"),
                     Column("Source and place in it", "long"), Column("Read by, recorded", "long"),
                     Column("Note", "long")),
            rows=rows, note=("The study: ", Link(str(study), "#" + anchor("study", str(study))), "."),
        )  # fmt: skip
        folds.append(Folded(title=f"{study}: {count(len(rows), 'result row')}", blocks=(table,),
                            id=anchor("results", str(study))))  # fmt: skip
    intro = Text(
        (
            f"{count(len(frame), 'result row')} of {count(len(folds), 'study', 'studies')} stand behind the networks "
            "of this report, as they were read from the source. Rows left out are counted in the ledger of each "
            "question; `enthesis evidence explain ROW` shows any of them.",
        )
    )
    return Section(id="results", title="Result rows", blocks=(intro, *folds))


def _result_row(r: dict[str, Any], evidence: Evidence) -> Row:
    fact = evidence.fact(r["result_id"])
    arm = r["arm_id"] + ("" if r["subgroup"] in ("", "all") else f", {r['subgroup']}")
    derived = ", count from a percentage" if r["events_derived"] == "yes" and r["check"] != "deduced" else ""
    place: Parts = (": ", r["locator"]) if r["locator"] else ()
    recorded = fact.recorded_at[:10]
    where = f", {fact.file} row {fact.file_row}" if fact.file else ""
    return Row(
        (
            Cell((r["result_id"],)), Cell((arm,)), Cell((r["outcome"],)),
            Cell((f"{r['week']:g}" if r["week"] is not None else "–",)), Cell((printed(r),)),
            Cell((r["estimator"] or "not stated",)),
            Cell((CHECKS.get(r["check"], r["check"] or "not stated") + derived,),
                 mark=r["check"] in ("deduced", "conflict")),
            Cell((*source_links(r["source_id"], evidence), *place)),
            Cell((f"{fact.extractor or 'not stated'}{where}, {recorded}",)), Cell((r["note"] or "–",)),
        ),
        id=anchor("row", r["result_id"]),
    )  # fmt: skip


def printed(r: dict[str, Any]) -> str:
    """The numbers of a result row as they were printed."""
    if r["measure"] == "rate":
        return f"{_given(r['events'])} in {_given(r['patient_years'])} patient-years"
    if r["measure"] == "binary":
        shown = f" ({r['percent']:g} % printed)" if r["percent"] is not None else ""
        return f"{_given(r['events'])} / {_given(r['n'])}{shown}"
    spread = [
        f"SD {number(r['sd'])}" if r["sd"] is not None else "", f"SE {number(r['se'])}" if r["se"] is not None else "",
        f"{number(r['ci_low'])} to {number(r['ci_high'])}" if None not in (r["ci_low"], r["ci_high"]) else "",
        f"n {r['n']:,.0f}" if r["n"] is not None else "",
    ]  # fmt: skip
    return f"{number(r['mean']) if r['mean'] is not None else '–'} ({', '.join(filter(None, spread))})"


def sources_section(evidence: Evidence, readings: tuple[Reading, ...]) -> Section:
    """The documents that the rows and studies of the report were read from."""
    used, counts = used_rows(readings), defaultdict(int)
    outcomes = evidence.outcomes
    for source_id in outcomes.loc[outcomes["result_id"].isin(used), "source_id"].tolist():
        for source in _split(source_id):
            counts[source] += 1
    wanted = set(counts)
    studies, named = evidence.studies, named_studies(readings)
    for source_id in studies.loc[studies["study_id"].isin(named), "source_id"].tolist():
        wanted |= _split(source_id)
    frame = evidence.sources
    rows = []
    for s in sorted(records(frame[frame["source_id"].isin(wanted)]), key=lambda s: s["source_id"].casefold()):
        title = s["title"] or s["source_id"]
        address = source_address(s)
        ids = "; ".join(filter(None, [f"doi {s['doi']}" if s["doi"] else "", f"PMID {s['pmid']}" if s["pmid"] else "",
                                      s["nct_id"]]))  # fmt: skip
        rows.append(
            Row((Cell((s["source_id"],)), Cell((Link(title, address) if address else title,)), Cell((s["kind"],)),
                 Cell((f"{s['year']:.0f}" if isinstance(s["year"], float) else str(s["year"] or "–"),)),
                 Cell((ids or "–",)), Cell((str(counts.get(s["source_id"], 0)),)), Cell((s["note"] or "–",))),
                id=anchor("source", s["source_id"]))
        )  # fmt: skip
    missing = sorted(wanted - set(frame["source_id"]))
    rows += [
        Row((Cell((m,)), Cell(("not described in the evidence",)), *(Cell(("–",)) for _ in range(5))),
            id=anchor("source", m)) for m in missing
    ]  # fmt: skip
    table = Table(id="sources-table", caption=f"Documents read ({len(rows)})",
                  columns=(Column("Key"), Column("Document", "long"), Column("Kind"), Column("Year", "number"),
                           Column("Ids", "long"), Column("Rows used", "number"), Column("Note", "long")),
                  rows=tuple(rows))  # fmt: skip
    return Section(id="sources", title="Sources", blocks=(table,))


def source_links(source_id: str, evidence: Evidence) -> Parts:
    """Links to the sources of a row, inside the document."""
    parts: list[Part] = []
    titles = _titles(evidence)
    for key in sorted(_split(source_id)):
        title = titles.get(key) or key
        shown = title if len(title) <= 90 else title[:87].rsplit(" ", 1)[0] + " …"
        parts += ["; " if parts else "", Link(shown, "#" + anchor("source", key))]
    return tuple(parts) or ("not stated",)


def source_address(source: dict[str, Any]) -> str:
    """Where a document can be read: its own address, else its DOI, PubMed or registry page; empty when none is safe."""
    found = web_address(str(source.get("url") or ""))
    if found:
        return found
    if source.get("doi"):
        return web_address("https://doi.org/" + str(source["doi"]).strip())
    if str(source.get("pmid") or "").strip().isdigit():
        return f"https://pubmed.ncbi.nlm.nih.gov/{str(source['pmid']).strip()}/"
    return registry_address(str(source.get("nct_id") or ""))


def registry_address(nct_id: str) -> str:
    """The registry page of a ClinicalTrials.gov number; empty for anything else."""
    plain = nct_id.strip()
    return f"https://clinicaltrials.gov/study/{plain}" if plain[:3] == "NCT" and plain[3:].isdigit() else ""


def _titles(evidence: Evidence) -> dict[str, str]:
    if evidence not in _TITLES:
        frame = evidence.sources
        _TITLES[evidence] = dict(zip(frame["source_id"], frame["title"], strict=True))
    return _TITLES[evidence]


def _split(source_id: str) -> set[str]:
    return {part.strip() for part in str(source_id or "").split(";")} - {""}


def _given(value: float | None) -> str:
    return "–" if value is None else f"{value:,g}" if value != int(value) else f"{value:,.0f}"


def _dose(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value or "")


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as dictionaries of plain values, None for a number that is not there."""
    columns = {
        name: [None if isinstance(v, float) and v != v else v for v in frame[name].tolist()] for name in frame.columns
    }
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
