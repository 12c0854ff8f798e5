"""RevMan 5 (.rm5): the XML of a Cochrane review, with its analyses, studies, characteristics and risk of bias.

Elements: `ANALYSES_AND_DATA/COMPARISON/{DICH,CONT,IV,IPD}_OUTCOME`, perhaps `.._SUBGROUP`, and `.._DATA` with the cells
of a study as attributes; studies are named by `STUDY_ID`, where `_x002d_` is a hyphen.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from enthesis.evidence.sources.cochrane import RATIOS, Analysis, CochraneReview, checked_result, known_measure
from enthesis.evidence.sources.records import ReadRecords, Unparsed, clean, doi_in, joined, record_id
from enthesis.evidence.sources.xmlfile import parse_xml, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lxml.etree import _Element

_KINDS = {"DICH": "dichotomous", "CONT": "continuous", "IV": "contrast", "IPD": "observed-expected"}
_CELLS = {
    "EVENTS_1": "events_1", "TOTAL_1": "n_1", "EVENTS_2": "events_2", "TOTAL_2": "n_2", "MEAN_1": "mean_1",
    "SD_1": "sd_1", "MEAN_2": "mean_2", "SD_2": "sd_2", "SE": "se", "O_E": "o_e", "VAR": "variance",
}  # fmt: skip
_JUDGEMENTS = {"YES": "Low risk", "NO": "High risk", "UNKNOWN": "Unclear risk"}
_CHARACTERISTICS = {
    "CHAR_METHODS": "methods", "CHAR_PARTICIPANTS": "participants", "CHAR_INTERVENTIONS": "interventions",
    "CHAR_OUTCOMES": "outcomes", "CHAR_NOTES": "notes",
}  # fmt: skip


def parse(content: bytes, name: str) -> CochraneReview:
    """A review from a file of RevMan 5.

    Parameters
    ----------
    content : bytes
    name : str

    Returns
    -------
    CochraneReview

    Raises
    ------
    DataError
        When it is not such a file, cut, or hostile.
    """
    root = parse_xml(content, name, ("COCHRANE_REVIEW",), "a file of RevMan 5")
    names = {s.get("ID", ""): s for s in root.iter("STUDY")}
    analyses: dict[str, Analysis] = {}
    unparsed: list[Unparsed] = []
    for comparison in root.findall("ANALYSES_AND_DATA/COMPARISON"):
        for outcome in comparison:
            prefix = str(outcome.tag).removesuffix("_OUTCOME")
            if prefix not in _KINDS:
                if str(outcome.tag).endswith("_OUTCOME"):
                    where = f"{comparison.get('NO')}.{outcome.get('NO')}"
                    unparsed.append(Unparsed(where, f"{outcome.tag}: text without numbers that could be synthesised"))
                continue
            found, more = _analysis(comparison, outcome, prefix, names)
            if found.id in analyses:
                unparsed.append(Unparsed(f"analysis {found.id}", "another analysis has this number already"))
                continue
            analyses[found.id] = found
            unparsed += more
    return CochraneReview(
        id=clean(root.get("DOI") or root.get("ID") or "review"), title=text_of(root.find("COVER_SHEET/TITLE")),
        file=name, content=content, analyses=tuple(analyses.values()),
        characteristics=tuple(_characteristics(root, names)),
        risk_of_bias=tuple(_bias(root, names)), references=_references(root, name, content), unparsed=tuple(unparsed),
    )  # fmt: skip


def _analysis(
    comparison: _Element, outcome: _Element, prefix: str, names: dict[str, _Element]
) -> tuple[Analysis, list[Unparsed]]:
    id, kind = f"{comparison.get('NO', '0')}.{outcome.get('NO', '0')}", _KINDS[prefix]
    measure = known_measure(outcome.get("EFFECT_MEASURE", ""))
    results, unparsed = [], []
    for at, (subgroup, element) in enumerate(_data(outcome, prefix), start=1):
        where = f"analysis {id}, {prefix}_DATA {at}"
        found = _result(kind, measure, element, subgroup, names, where)
        (unparsed if isinstance(found, Unparsed) else results).append(found)
    labels = (text_of(outcome.find("GROUP_LABEL_1")), text_of(outcome.find("GROUP_LABEL_2")))
    return Analysis(
        id=id, comparison=text_of(comparison.find("NAME")), name=text_of(outcome.find("NAME")), kind=kind,
        measure=measure, treatment=labels[0] or "Experimental", comparator=labels[1] or "Control",
        swapped=outcome.get("SWAP_EVENTS") == "YES", results=tuple(results),
    ), unparsed  # fmt: skip


def _data(outcome: _Element, prefix: str) -> Iterator[tuple[str, _Element]]:
    for element in outcome:
        if element.tag == f"{prefix}_DATA":
            yield "", element
        elif element.tag == f"{prefix}_SUBGROUP":
            subgroup = text_of(element.find("NAME"))
            for inner in element.findall(f"{prefix}_DATA"):
                yield subgroup, inner


def _result(
    kind: str, measure: str, element: _Element, subgroup: str, names: dict[str, _Element], where: str
) -> dict[str, str] | Unparsed:
    cells = {cell: element.get(attribute, "") for attribute, cell in _CELLS.items()}
    study = names.get(element.get("STUDY_ID", ""))
    cells["study"] = _name(study) if study is not None else _unescaped(element.get("STUDY_ID", ""))
    cells["year"] = study.get("YEAR", "") if study is not None else ""
    cells["subgroup"], cells["footnotes"] = subgroup, text_of(element.find("FOOTNOTE"))
    if not cells["study"]:
        return Unparsed(where, "it names no study")
    if kind == "contrast":
        effect = element.get("ESTIMATE") or element.get("EFFECT_SIZE", "")
        if not element.get("ESTIMATE") and measure in RATIOS:
            try:
                effect = repr(math.log(float(effect)))
            except ValueError:
                return Unparsed(where, f"the ratio {effect[:40]!r} has no logarithm")
        cells["effect"] = effect
    return checked_result(kind, cells, where)


def _name(study: _Element) -> str:
    return clean(study.get("NAME", "")) or _unescaped(study.get("ID", ""))


def _unescaped(id: str) -> str:
    """`STD-ISIS_x002d_2` is ISIS-2."""
    plain = re.sub(r"_x([0-9A-Fa-f]{4})_", lambda m: chr(int(m[1], 16)), id.removeprefix("STD-"))
    return clean(plain)


def _characteristics(root: _Element, names: dict[str, _Element]) -> list[dict[str, str]]:
    found = []
    for element in root.iter("INCLUDED_CHAR"):
        study = names.get(element.get("STUDY_ID", ""))
        if study is None:
            continue
        for tag, item in _CHARACTERISTICS.items():
            text = text_of(element.find(tag))
            if text:
                year = study.get("YEAR", "")
                found.append({"study": _name(study), "item": item, "text": text, **({"year": year} if year else {})})
    return found


def _bias(root: _Element, names: dict[str, _Element]) -> list[dict[str, str]]:
    found = []
    for item in root.iter("QUALITY_ITEM"):
        groups = {g.get("ID", ""): text_of(g.find("NAME")) for g in item.iter("QUALITY_ITEM_DATA_GROUP")}
        groups |= {g.get("ID", ""): text_of(g.find("NAME")) for g in item.iter("QUALITY_ITEM_GROUP")}
        for entry in item.iter("QUALITY_ITEM_DATA_ENTRY"):
            study, judged = names.get(entry.get("STUDY_ID", "")), _JUDGEMENTS.get(entry.get("RESULT", ""), "")
            if study is None or not judged:
                continue
            group = groups.get(entry.get("GROUP_ID", ""), "")
            domain = " ".join(filter(None, [text_of(item.find("NAME")), f"({group})" if group else ""]))
            support = text_of(entry.find("DESCRIPTION"))
            cells = {"study": _name(study), "domain": domain, "judgement": judged}
            found.append(cells | ({"support": support} if support else {}))
    return found


def _references(root: _Element, name: str, content: bytes) -> ReadRecords | None:
    records = []
    for study in root.iterfind("STUDIES_AND_REFERENCES/STUDIES/INCLUDED_STUDIES/STUDY"):
        for element in study.iter("REFERENCE"):
            title = text_of(element.find("TI"))
            if not title:
                continue
            ids = [(i.get("TYPE", ""), i.get("VALUE", "")) for i in element.iter("IDENTIFIER")]
            doi = next((doi_in(value) for kind, value in ids if kind == "DOI"), "")
            pmid = next((value for kind, value in ids if kind == "PUBMED" and value.isdigit()), "")
            year = (re.findall(r"\b(?:19|20)\d\d\b", text_of(element.find("YR"))) or [""])[0]
            records.append({
                "record_id": record_id("Cochrane", "", name, title, year), "kind": "citations",
                "database": "Cochrane review", "title": title, "year": year,
                "authors": joined(re.split(r",\s*(?=[A-Z])", text_of(element.find("AU")))), "doi": doi, "pmid": pmid,
                "journal": text_of(element.find("SO")), "volume": text_of(element.find("VL")),
                "pages": text_of(element.find("PG")), "locator": f"reference of {_name(study)}",
            })  # fmt: skip
    return ReadRecords(name, content, tuple(records)) if records else None
