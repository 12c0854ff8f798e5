"""Cochrane reviews: what RevMan exports, as analyses that a network can be made of.

Two readers give the same value: `cochrane_package` that of the data package of RevMan Web (a zip file of CSV tables),
`revman` that of the XML of RevMan 5 (.rm5). Cells that an analysis does not use are 0.0 in the package, not empty:
which cells count follows from the type of its data, never from the value.

Source: the data packages of the Cochrane Library and the files of RevMan 5 (element and column names).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from enthesis.errors import DataError, UsageError, shortened, unknown_name
from enthesis.evidence.facts import NewRow
from enthesis.evidence.sources.adding import Added, add, planned
from enthesis.evidence.sources.records import ReadRecords, Unparsed, clean
from enthesis.evidence.store import Store

#: measures by the words of RevMan Web and the codes of RevMan 5, compared in lower case without blanks and underscores
MEASURES = {
    "oddsratio": "OR", "or": "OR", "petooddsratio": "OR", "petoor": "OR", "riskratio": "RR", "rr": "RR",
    "relativerisk": "RR", "riskdifference": "RD", "rd": "RD", "meandifference": "MD", "md": "MD",
    "std.meandifference": "SMD", "stdmeandifference": "SMD", "standardisedmeandifference": "SMD", "smd": "SMD",
    "hazardratio": "HR", "hr": "HR", "rateratio": "IRR", "incidencerateratio": "IRR",
}  # fmt: skip
#: measures whose effect is given as a logarithm
RATIOS = frozenset({"OR", "RR", "HR", "IRR"})
#: cells of a result, by the type of data
CELLS = {
    "dichotomous": ("events_1", "n_1", "events_2", "n_2"),
    "continuous": ("mean_1", "sd_1", "n_1", "mean_2", "sd_2", "n_2"),
    "contrast": ("effect", "se"),
    "observed-expected": ("o_e", "variance"),
}
TABLES = ("analyses", "results", "characteristics", "risk-of-bias")
#: Python's float also reads 1_0, other digits and inf
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """One analysis of a review: a comparison and an outcome.

    Parameters
    ----------
    id : str
        Numbers of comparison and outcome, such as `1.2`.
    comparison, name : str
    kind : {"dichotomous", "continuous", "contrast", "observed-expected", ""}
        Type of its data; empty when it has none that a synthesis can use.
    measure : str
        `OR`, `MD`, ...; empty when its name is not known.
    treatment, comparator : str
        Labels of the experimental and the control group.
    swapped : bool
        The review analyses those without the event.
    results : tuple of mapping
        Text cells: study, year, subgroup, those of `CELLS` for its kind, applicability, footnotes, locator.
    """

    id: str
    comparison: str
    name: str
    kind: str
    measure: str
    treatment: str
    comparator: str
    swapped: bool = False
    results: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class CochraneReview:
    """A Cochrane review as read.

    Parameters
    ----------
    id, title : str
    file : str
    content : bytes
        As it came.
    analyses : tuple of Analysis
    characteristics : tuple of mapping
        Study, year, item, text: what the review says of each study.
    risk_of_bias : tuple of mapping
        Study, domain, judgement, support.
    references : ReadRecords or None
        References of the included studies.
    unparsed : tuple of Unparsed
    """

    id: str
    title: str
    file: str
    content: bytes = field(repr=False)
    analyses: tuple[Analysis, ...]
    characteristics: tuple[Mapping[str, str], ...] = ()
    risk_of_bias: tuple[Mapping[str, str], ...] = ()
    references: ReadRecords | None = None
    unparsed: tuple[Unparsed, ...] = ()

    def analysis(self, id: str) -> Analysis:
        """The analysis with that id."""
        known = {a.id: a for a in self.analyses}
        if id not in known:
            raise unknown_name("analysis", id, known)
        return known[id]

    def table(self, *ids: str) -> tuple[list[dict[str, str]], list[str]]:
        """The results of analyses of one outcome as a table that `from_table` reads, and notes.

        Parameters
        ----------
        *ids : str
            Analyses with the same type of data and measure; each adds its comparison.

        Returns
        -------
        (list of dict, list of str)
            One row per arm (study, treatment, events, n; or mean, sd, n), or per contrast (study, treatment,
            comparator, TE, seTE; logarithms for ratios).

        Raises
        ------
        UsageError
            When analyses do not fit one another, or have no usable data.
        """
        chosen = [self.analysis(id) for id in ids]
        first = chosen[0]
        for a in chosen:
            if not a.kind or not a.results:
                raise UsageError(f"analysis {a.id} has no data that a synthesis can use.")
            if a.treatment == a.comparator:
                raise UsageError(
                    f"analysis {a.id} calls both groups {shortened(a.treatment)!r}, so they cannot be compared."
                )
            if (a.kind, a.measure) != (first.kind, first.measure):
                raise UsageError(
                    f"analyses {first.id} ({first.kind}, {first.measure or 'no known measure'}) and {a.id} ({a.kind}, "
                    f"{a.measure or 'no known measure'}) are not of one kind, so they make no network together."
                )
        rows, notes = _arms(chosen) if first.kind in ("dichotomous", "continuous") else _contrasts(chosen)
        notes += [
            f"Analysis {a.id}: the review analyses those without the event; the table holds those with it."
            for a in chosen
            if a.swapped
        ]
        if {first.treatment, first.comparator} & {"Experimental", "Control"}:
            notes.append("The review does not name the groups: they are called Experimental and Control.")
        return rows, notes


def _studies(chosen: Iterable[Analysis]) -> tuple[list[tuple[str, Analysis, Mapping[str, str]]], list[str]]:
    """(name, analysis, row): a study that comes again within an analysis, by subgroup, is a study for each."""
    found, notes = [], []
    for a in chosen:
        times = Counter(r["study"] for r in a.results)
        for at, r in enumerate(a.results, start=1):
            name = r["study"]
            if times[name] > 1:
                told = r.get("subgroup") or f"row {at}"
                name = f"{name} [{told}]"
            found.append((name, a, r))
        again = sorted(n for n, count in times.items() if count > 1)
        if again:
            notes.append(
                f"Analysis {a.id}: {', '.join(again[:5])}{' and others' if len(again) > 5 else ''} come more than once "
                "and are kept apart by subgroup; patients in both are counted twice."
            )
    return found, notes


def _arms(chosen: list[Analysis]) -> tuple[list[dict[str, str]], list[str]]:
    rows: dict[tuple[str, str], dict[str, str]] = {}
    found, notes = _studies(chosen)
    for name, a, r in found:
        new, times = _both_arms(name, a, r), 1
        differs = next((key[1] for key, arm in new.items() if rows.get(key, arm) != arm), None)
        if differs is not None:
            notes.append(
                f"{name}: {differs} has other numbers in analysis {a.id}; it is kept as a study of its own, and "
                "patients in both are counted twice."
            )
            new = _both_arms(f"{name} [{a.id}]", a, r)
            while not new.keys().isdisjoint(rows):
                times += 1
                new = _both_arms(f"{name} [{a.id}, {times}]", a, r)
        rows |= new
    return list(rows.values()), notes


def _both_arms(study: str, a: Analysis, result: Mapping[str, str]) -> dict[tuple[str, str], dict[str, str]]:
    wanted = ("events", "n") if a.kind == "dichotomous" else ("mean", "sd", "n")
    sides = (("1", a.treatment), ("2", a.comparator))
    return {
        (study, treatment): {"study": study, "treatment": treatment} | {w: result[f"{w}_{side}"] for w in wanted}
        for side, treatment in sides
    }


def _contrasts(chosen: list[Analysis]) -> tuple[list[dict[str, str]], list[str]]:
    rows, notes = [], []
    found, notes = _studies(chosen)
    for name, a, r in found:
        if a.kind == "contrast":
            effect, se = r["effect"], r["se"]
        else:
            variance = float(r["variance"])
            effect, se = repr(float(r["o_e"]) / variance), repr(1 / math.sqrt(variance))
        rows.append({"study": name, "treatment": a.treatment, "comparator": a.comparator, "TE": effect, "seTE": se})
    return rows, notes


def checked_result(kind: str, cells: Mapping[str, str], where: str) -> dict[str, str] | Unparsed:
    """The cells that count for a kind of data; what cannot be a result, with its reason.

    Parameters
    ----------
    kind : str
    cells : mapping
    where : str
        Locator.

    Returns
    -------
    dict or Unparsed
    """
    numbers: dict[str, float] = {}
    for name in CELLS[kind]:
        text = (cells.get(name) or "").strip()
        if not text or text.casefold() == "nan":
            return Unparsed(where, f"{name} is missing")
        if not _NUMBER.fullmatch(text) or not math.isfinite(float(text)):
            return Unparsed(where, f"{name} {text[:40]!r} is not a number")
        numbers[name] = float(text)
    study = cells.get("study", "")
    if kind in ("dichotomous", "continuous"):
        if numbers["n_1"] <= 0 or numbers["n_2"] <= 0:
            return Unparsed(where, f"{study}: no patients in a group")
        if kind == "dichotomous" and any(not 0 <= numbers[f"events_{s}"] <= numbers[f"n_{s}"] for s in "12"):
            return Unparsed(where, f"{study}: more cases than patients")
        if kind == "continuous" and (numbers["sd_1"] <= 0 or numbers["sd_2"] <= 0):
            return Unparsed(where, f"{study}: a standard deviation of zero, so the effect cannot be estimated")
    if numbers.get("se", 1) <= 0 or numbers.get("variance", 1) <= 0:
        return Unparsed(where, f"{study}: a standard error or variance of zero")
    if kind == "observed-expected" and not math.isfinite(numbers["o_e"] / numbers["variance"]):
        return Unparsed(where, f"{study}: the variance is so small that the effect is no number")
    kept = {name: _plain(cells[name]) for name in CELLS[kind]}
    others = ("study", "year", "subgroup", "applicability", "footnotes")
    return {**{name: clean(cells[name]) for name in others if cells.get(name)}, **kept, "locator": where}


def _plain(text: str) -> str:
    """12.0 is 12."""
    value = float(text)
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else text.strip()


def known_measure(text: str) -> str:
    """The measure that RevMan's word means; empty when it is not known.

    Examples
    --------
    >>> known_measure("Std. Mean Difference"), known_measure("PETO_OR"), known_measure("Custom")
    ('SMD', 'OR', '')
    """
    return MEASURES.get("".join(text.casefold().replace("_", " ").split()), "")


def store_review(store: Store, review: CochraneReview, *, extractor: str, dry_run: bool = False) -> dict[str, Added]:
    """Store a review: its bytes, and a fact for every analysis, result, characteristic and judgement.

    They are kept in tables of their own (`cochrane/results`, ...), as the review gives them: they do not become results
    of the evidence dictionary by themselves, since a review says neither the population nor the week of a result.

    Parameters
    ----------
    store : Store
    review : CochraneReview
    extractor : str
    dry_run : bool

    Returns
    -------
    dict of str to Added
        By table.
    """
    told = {}
    with store.writing(extractor=extractor) as writer:
        digest = "" if dry_run else writer.put_bytes(review.content, name=review.file)
        for name, rows in _facts(review).items():
            table = f"cochrane/{name}"
            new = [NewRow(table, cells, file=review.file, file_row=at) for at, cells in enumerate(rows, start=1)]
            plan = planned(writer.chains(table), new)
            told[name] = plan.counts if dry_run else add(writer, plan, digest)
    return told


def _facts(review: CochraneReview) -> dict[str, list[dict[str, str]]]:
    of = {"review": review.id}
    analyses, results = [], []
    for a in review.analyses:
        cells = {"analysis": a.id, "comparison": a.comparison, "name": a.name, "kind": a.kind, "measure": a.measure,
                 "treatment": a.treatment, "comparator": a.comparator}  # fmt: skip
        analyses.append(of | {key: text for key, text in cells.items() if text})
        results += [of | {"analysis": a.id} | dict(r) for r in a.results]
    return {
        "analyses": analyses,
        "results": results,
        "characteristics": [of | dict(line) for line in review.characteristics],
        "risk-of-bias": [of | dict(line) for line in review.risk_of_bias],
    }


def read_review(content: bytes, name: str) -> CochraneReview:
    """A review from a data package (.zip) or a file of RevMan 5 (.rm5), told apart by their bytes.

    Raises
    ------
    DataError
        When it is neither, or hostile.
    """
    from enthesis.evidence.sources import cochrane_package, revman

    if content.startswith(b"PK"):
        return cochrane_package.parse(content, name)
    if content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"<", b"\xff\xfe", b"\xfe\xff")):
        return revman.parse(content, name)
    raise DataError("is neither a Cochrane data package (.zip) nor a file of RevMan 5 (.rm5)", file=name,
                    fix="Download the data package beside the review in the Cochrane Library.")  # fmt: skip


__all__ = [
    "CELLS", "MEASURES", "RATIOS", "TABLES", "Analysis", "CochraneReview", "checked_result", "known_measure",
    "read_review", "store_review",
]  # fmt: skip
