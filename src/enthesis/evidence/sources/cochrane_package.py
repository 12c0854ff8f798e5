"""The data package of RevMan Web: a zip file with CSV tables of analyses, studies, risk of bias, and references.

Tables are found by the end of their name (`...-data-rows.csv`); they are UTF-8 with a byte order mark.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from enthesis.errors import DataError, EnthesisError
from enthesis.evidence.sources import ris
from enthesis.evidence.sources.archive import read_archive
from enthesis.evidence.sources.cochrane import (
    CELLS,
    RATIOS,
    Analysis,
    CochraneReview,
    checked_result,
    known_measure,
)
from enthesis.evidence.sources.csvfile import parse_csv
from enthesis.evidence.sources.records import ReadRecords, Unparsed, clean

#: types of data in words, in the order in which they are looked for
_KINDS = (("dichotomous", "dichotomous"), ("continuous", "continuous"), ("contrast", "contrast"),
          ("generic", "contrast"), ("o-e", "observed-expected"))  # fmt: skip
#: columns of the data rows, by the cell that they fill
_COLUMNS = {
    "study": "study", "study year": "year", "subgroup": "subgroup", "applicability": "applicability",
    "footnotes": "footnotes", "giv mean": "effect", "giv se": "se", "experimental mean": "mean_1",
    "experimental sd": "sd_1", "experimental cases": "events_1", "experimental n": "n_1", "control mean": "mean_2",
    "control sd": "sd_2", "control cases": "events_2", "control n": "n_2", "o-e": "o_e", "variance": "variance",
}  # fmt: skip
_TRUE = {"true", "yes", "1"}
_ABSENT = {"#n/a", "na", "n/a", "null"}

Line = Mapping[str, str]


def parse(content: bytes, name: str) -> CochraneReview:
    """A review from its data package.

    Parameters
    ----------
    content : bytes
        Of the zip file.
    name : str

    Returns
    -------
    CochraneReview

    Raises
    ------
    DataError
        When it is no data package, of a review of diagnostic tests, damaged, or a zip bomb.
    """
    files = _files(content, name)
    rows, settings = _found(files, "data-rows.csv"), _found(files, "overall-estimates-and-settings.csv")
    if rows is None or settings is None:
        what = (
            "is of a review of diagnostic tests" if _found(files, "parameters.csv") else "is no Cochrane data package"
        )
        raise DataError(what, file=name, fix="It needs ...-data-rows.csv and ...-overall-estimates-and-settings.csv.")
    id = PurePosixPath(rows).name.removesuffix("-data-rows.csv") or "review"
    results, unparsed = _lines(files[rows], rows), []
    analyses: dict[str, Analysis] = {}
    of_analysis: dict[str, list[tuple[int, dict[str, str]]]] = {}
    for at, line in results:
        of_analysis.setdefault(_id(line), []).append((at, line))
    for at, line in _lines(files[settings], settings):
        number = _id(line)
        if not number or number in analyses:
            why = f"the analysis {number} has settings already" if number else "the analysis has no number"
            unparsed.append(Unparsed(f"{settings}, row {at}", why))
            continue
        analyses[number], more = _analysis(number, line, of_analysis.get(number, []))
        unparsed += more
    unparsed += [
        Unparsed(f"{rows}, row {at}", f"the analysis {_id(line) or 'without number'} has no settings")
        for at, line in results
        if _id(line) not in analyses
    ]
    characteristics = _characteristics(files)
    return CochraneReview(
        id=id, title="", file=name, content=content, analyses=tuple(analyses.values()),
        characteristics=tuple(characteristics),
        risk_of_bias=tuple(_bias(files)), references=_references(files, id), unparsed=tuple(unparsed),
    )  # fmt: skip


def _files(content: bytes, name: str) -> dict[str, bytes]:
    """The tables of a package; one that holds the package as a zip file inside is opened once."""

    def wanted(entry: str) -> bool:
        return entry.lower().endswith((".csv", ".ris"))

    files = read_archive(content, name, wanted)
    if _found(files, "data-rows.csv") is None:
        inner = read_archive(content, name, lambda entry: entry.lower().endswith("-data.zip"))
        for entry, raw in inner.items():
            return read_archive(raw, f"{name}: {entry[-60:]}", wanted)
    return files


def _found(files: Mapping[str, bytes], end: str) -> str | None:
    return next((entry for entry in files if entry.lower().endswith(f"-{end}") or entry.lower() == end), None)


def _lines(content: bytes, name: str) -> list[tuple[int, dict[str, str]]]:
    """Rows of a table by column in lower case; what is not available is empty."""
    sheet = parse_csv(content, PurePosixPath(name).name)
    header = [column.casefold() for column in sheet.header]
    return [
        (at, {c: "" if text.casefold() in _ABSENT else text for c, text in zip(header, cells)})
        for at, cells in sheet.rows
    ]


def _id(line: Line) -> str:
    numbers = [line.get(column, "").removesuffix(".0") for column in ("analysis group", "analysis number")]
    return ".".join(numbers) if all(number.isdigit() for number in numbers) else ""


def _analysis(id: str, line: Line, results: list[tuple[int, dict[str, str]]]) -> tuple[Analysis, list[Unparsed]]:
    told = line.get("data type", "").casefold()
    kind = next((kind for word, kind in _KINDS if word in told), "")
    measure = known_measure(line.get("effect measure", ""))
    mine, unparsed = [], []
    for at, cells in results:
        found = _result(kind, cells, f"data-rows.csv row {at}")
        (unparsed if isinstance(found, Unparsed) else mine).append(found)
    logs = line.get("log-scale data", "").casefold() in _TRUE
    if kind == "contrast" and measure in RATIOS and "log-scale data" in line and not logs:
        measure = ""
        unparsed.append(Unparsed(id, "effects of a ratio that are not logarithms: the measure is left open"))
    analysis = Analysis(
        id=id, comparison=clean(line.get("analysis group name", "")), name=clean(line.get("analysis name", "")),
        kind=kind, measure=measure, treatment=_label(line, "experimental"), comparator=_label(line, "control"),
        swapped=line.get("swap event and non-event", "").casefold() in _TRUE, results=tuple(mine),
    )  # fmt: skip
    return analysis, unparsed


def _result(kind: str, cells: Line, where: str) -> dict[str, str] | Unparsed:
    if not kind:
        return Unparsed(where, "the type of data of its analysis is not known")
    named = {_COLUMNS[column]: text for column, text in cells.items() if column in _COLUMNS}
    if not named.get("study"):
        return Unparsed(where, "it names no study")
    if named.get("year", "").removesuffix(".0") == "0":
        named["year"] = ""
    return checked_result(kind, named, where)


def _label(line: Line, side: str) -> str:
    columns = (f"{side} group label", f"{side} intervention")
    return clean(next((line[c] for c in columns if line.get(c)), side.capitalize()))


def _characteristics(files: Mapping[str, bytes]) -> list[dict[str, str]]:
    table = _found(files, "study-information.csv")
    found = []
    for _, line in _lines(files[table], table) if table else ():
        study = clean(line.get("study", "") or line.get("study id", ""))
        if not study:
            continue
        year = line.get("year", "") or line.get("study year", "")
        for column, text in line.items():
            if text and column not in ("study", "study id", "year", "study year"):
                item = column.removeprefix("char:").strip()
                found.append({"study": study, "item": item, "text": clean(text), **({"year": year} if year else {})})
    return found


def _bias(files: Mapping[str, bytes]) -> list[dict[str, str]]:
    table = _found(files, "risk-of-bias.csv")
    found = []
    for _, line in _lines(files[table], table) if table else ():
        for column, judgement in line.items():
            if column.startswith("domain (judgement):") and judgement and line.get("study"):
                domain = column.partition(":")[2].strip()
                support = clean(line.get(f"domain (support): {domain}", ""))
                cells = {
                    "study": clean(line["study"]),
                    "domain": domain[:1].upper() + domain[1:],
                    "judgement": clean(judgement),
                }
                found.append(cells | ({"support": support} if support else {}))
    return found


def _references(files: Mapping[str, bytes], id: str) -> ReadRecords | None:
    table = _found(files, "included.ris")
    if table is None:
        return None
    try:
        return ris.parse(files[table], PurePosixPath(table).name, database=f"Cochrane {id}", kind="citations")
    except EnthesisError as problem:  # an empty list of references is no fault of the analyses
        note = clean(str(problem))
        return ReadRecords(PurePosixPath(table).name, files[table], (), (Unparsed(table, note),))


__all__ = ["CELLS", "parse"]
