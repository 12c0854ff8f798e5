"""Licences and guideline positions, read off the evidence: what regulators and guidelines say of a drug at a line.

The tables `regulatory` and `guidelines` hold text in words of their sources. What a wording means (which indication is
which population, which words of a restriction ask for an earlier biologic, where a guideline puts a class) is data of
the review, so it can be read, argued about and changed. A wording that no entry matches is shown and decides nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Line = Literal["this line", "later line", "not stated", "no"]
Positions = Literal["first", "option", "later", "against", "not stated"]
#: from the most to the least that it allows
ORDER: tuple[str, ...] = ("this line", "later line", "no", "not stated")


@dataclass(frozen=True, kw_only=True)
class Wording:
    """How the wordings of the regulatory table are read.

    Parameters
    ----------
    licensed, recommended, refused : tuple of str
        Beginnings of a status: approved by a regulator, recommended for payment, not approved or not yet.
    after_biologic : tuple of str
        Pieces of a line restriction that ask for an earlier biologic.
    measures : tuple of str
        Beginnings of the status of a measure that limits the use of a class.
    dropped : tuple of str
        Additions to an indication that do not change it.
    """

    licensed: tuple[str, ...] = ()
    recommended: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    after_biologic: tuple[str, ...] = ()
    measures: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LicenceRow:
    """One row of the regulatory table about a drug in a population.

    Parameters
    ----------
    region, status, date, restriction : str
        As in the evidence.
    line : {"this line", "later line", "no"}
        What it allows at the line asked for.
    by : {"licensed", "recommended", "refused", "measure"}
        Whose word it is: a regulator's, a body's that decides on payment, or a refusal.
    fact : str
        The row, such as `regulatory.csv:row 5`.
    sources : tuple of str
    """

    region: str
    status: str
    date: str
    restriction: str
    line: Line
    by: str
    fact: str
    sources: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Licence:
    """What regulators say of a drug in a population at a line.

    Parameters
    ----------
    rows : tuple of LicenceRow
        In the order of the evidence.
    measures : tuple of LicenceRow
        Measures in force that limit the use of its class.
    """

    rows: tuple[LicenceRow, ...] = ()
    measures: tuple[LicenceRow, ...] = ()

    def at(self, region: str = "") -> Line:
        """What is allowed in a region, or in any region for an empty name."""
        lines = {r.line for r in self.rows if region in ("", r.region)}
        return next((line for line in ORDER if line in lines), "not stated")  # type: ignore[return-value]

    @property
    def regions(self) -> tuple[str, ...]:
        """The regions that any row names, in order."""
        return tuple(dict.fromkeys(r.region for r in self.rows))

    def in_words(self) -> str:
        """By region: `licensed at this line in EU and UK; only after a biologic in US`."""
        by_words: dict[str, list[str]] = {}
        for region in self.regions:
            line = self.at(region)
            own = [r.by for r in self.rows if r.region == region and r.line == line]
            told = _words(line, "licensed" in own)
            if line == "no":
                status = [r.status for r in self.rows if r.region == region and r.line == line]
                told += f" ({'; '.join(dict.fromkeys(status))})"
            by_words.setdefault(told, []).append(region)
        return "; ".join(f"{words} in {_listed(regions)}" for words, regions in by_words.items())

    def in_short(self) -> str:
        """The regions alone: `EU; later: US, UK; not licensed: CN`."""
        named = {line: [r for r in self.regions if self.at(r) == line] for line in ORDER}
        heads = {"this line": "", "later line": "later: ", "no": "not licensed: ", "not stated": ""}
        return "; ".join(heads[line] + ", ".join(regions) for line, regions in named.items() if regions)


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _words(line: str, licensed: bool) -> str:
    if line == "no":
        return "not licensed"
    told = "licensed" if licensed else "recommended"
    return f"{told} at this line" if line == "this line" else f"{told} only after a biologic"


@dataclass(frozen=True, kw_only=True)
class Position:
    """Where a guideline puts a drug or a class at a line; an editor's reading of one statement.

    Parameters
    ----------
    guideline, statement_id : str
        The row of the guidelines table.
    lines : tuple of str
        Lines it speaks about.
    of : tuple of str
        Drugs or classes.
    position : {"first", "option", "later", "against"}
    words : str
        The position in words.
    fact : str
        The row behind it; empty until it is found in the evidence.
    statement : str
    sources : tuple of str
    """

    guideline: str
    statement_id: str
    lines: tuple[str, ...]
    of: tuple[str, ...]
    position: str
    words: str
    fact: str = ""
    statement: str = ""
    year: str = ""
    sources: tuple[str, ...] = ()

    def speaks_of(self, drug: str, drug_class: str, line: str) -> bool:
        """Whether it places the drug at the line; a drug that is named is not placed by its class elsewhere."""
        return line in self.lines and (drug in self.of or drug_class in self.of)


def licence(
    rows: Iterable[Mapping[str, Any]],
    drug: str,
    drug_class: str,
    *,
    indications: Iterable[str],
    line: str,
    wording: Wording,
    general: Iterable[str] = (),
) -> Licence:
    """What the regulatory table says of a drug.

    Parameters
    ----------
    rows : iterable of mapping
        Of the table, each with `fact`.
    drug, drug_class : str
    indications : iterable of str
        Names of the population in that table.
    line : {"naive", "inadequate-response"}
    wording : Wording
    general : iterable of str
        Indications of measures for a whole class that reach this population.

    Returns
    -------
    Licence

    Examples
    --------
    >>> row = {"drug": "x", "drug_class": "JAKi", "region": "US", "indication": "AS and nr-axSpA", "date": "2022",
    ...        "status": "approved", "line_restriction": "after TNF blocker", "source_id": "s", "fact": "row 2"}
    >>> read = Wording(licensed=("approved",), after_biologic=("after tnf",))
    >>> licence([row], "x", "JAKi", indications=["AS"], line="naive", wording=read).at("US")
    'later line'
    """
    wanted, broad = set(indications), set(general)
    found, measures = [], []
    for row in rows:
        status, restriction = str(row["status"]), str(row["line_restriction"])
        terms = indication_terms(str(row["indication"]), wording.dropped)
        own = names_drug(str(row["drug"]), drug)
        if own and terms & wanted:
            kind = _line(status, restriction, line, wording)
            if kind is not None:
                by = "refused" if kind == "no" else "licensed" if _begins(status, wording.licensed) else "recommended"
                found.append(_row(row, kind, by))
        reaches = row["drug_class"] == drug_class and (own or names_class(str(row["drug"])))
        if reaches and terms & (wanted | broad) and _begins(status, wording.measures):
            measures.append(_row(row, "this line", "measure"))
    return Licence(rows=tuple(found), measures=tuple(measures))


def indication_terms(text: str, dropped: Iterable[str] = ()) -> set[str]:
    """The populations that an indication names.

    Examples
    --------
    >>> sorted(indication_terms("AS and nr-axSpA (current)", ["(current)"])), indication_terms("AS (review history)")
    (['AS', 'nr-axSpA'], {'AS (review history)'})
    """
    for piece in dropped:
        text = text.replace(piece, " ")
    whole = " ".join(text.split())
    return {part for part in re.split(r"\s*(?:;|,|\band\b)\s*", whole) if part}


def names_drug(text: str, drug: str) -> bool:
    """Whether a drug cell names a drug, alone or with another name in brackets.

    Examples
    --------
    >>> names_drug("drug (X-1)", "drug"), names_drug("a and b", "a")
    (True, False)
    """
    return text == drug or text.split(" (")[0] == drug


def names_class(text: str) -> bool:
    """Whether a drug cell stands for a class."""
    return "(class" in text


def positions(stated: Iterable[Position], rows: Iterable[Mapping[str, Any]]) -> tuple[Position, ...]:
    """The stated positions whose statement is in the evidence, with the row behind each; others are left out."""
    from dataclasses import replace

    by_key: dict[tuple[str, str], Mapping[str, Any]] = {}
    for row in rows:
        by_key[str(row["guideline"]), str(row["statement_id"])] = row
    found = []
    for p in stated:
        row = by_key.get((p.guideline, p.statement_id))
        if row is not None:
            found.append(replace(p, fact=str(row["fact"]), statement=str(row["statement"]), year=_year(row["year"]),
                                 sources=_sources(row)))  # fmt: skip
    return tuple(found)


def _line(status: str, restriction: str, line: str, wording: Wording) -> Line | None:
    if _begins(status, wording.refused):
        return "no"
    if not _begins(status, (*wording.licensed, *wording.recommended)):
        return None
    later = any(piece.casefold() in restriction.casefold() for piece in wording.after_biologic)
    return "later line" if later and line == "naive" else "this line"


def _begins(status: str, beginnings: Iterable[str]) -> bool:
    return any(status.casefold().startswith(b.casefold()) for b in beginnings)


def _row(row: Mapping[str, Any], line: Line, by: str) -> LicenceRow:
    return LicenceRow(region=str(row["region"]), status=str(row["status"]), date=str(row["date"]), line=line, by=by,
                      restriction=str(row["line_restriction"]), fact=str(row["fact"]),
                      sources=_sources(row))  # fmt: skip


def _sources(row: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(part.strip() for part in str(row["source_id"]).split(";") if part.strip())


def _year(value: Any) -> str:
    return f"{value:.0f}" if isinstance(value, float) and value == value else ("" if value != value else str(value))


__all__ = ["Licence", "LicenceRow", "Position", "Wording", "indication_terms", "licence", "names_class", "names_drug",
           "positions"]  # fmt: skip
