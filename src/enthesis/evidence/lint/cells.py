"""The rows of an evidence as the checks read them: text as printed, numbers beside it, and a name for every row.

How a number was printed matters here: 46.4 with one decimal stands for anything from 46.35 to 46.45.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from math import isfinite

from enthesis.evidence.facts import short_id
from enthesis.evidence.rows import TABLES
from enthesis.evidence.view import Evidence


@dataclass(frozen=True)
class Line:
    """One row: its name, its cells as printed."""

    name: str
    cells: dict[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells.get(column, "")

    def value(self, column: str) -> float | None:
        """The number in a column; None when it is empty."""
        text = self[column]
        if not text:
            return None
        value = float(text)
        return value if isfinite(value) else None

    def half(self, column: str) -> float:
        """Half a unit of the last printed digit: how far the true number can be from the printed one."""
        return half_unit(self[column])

    def where(self) -> str:
        """Study, arm, subgroup, outcome and week."""
        parts = [self["study_id"], self["arm_id"]]
        if self["comparator_arm_id"]:
            parts.append(f"vs {self['comparator_arm_id']}")
        if self["subgroup"] not in ("", "all"):
            parts.append(f"({self['subgroup']})")
        parts.append(self["outcome"])
        if self["week"]:
            parts.append(f"week {self['week']}")
        return " ".join(filter(None, parts))


def half_unit(text: str) -> float:
    """Half a unit of the last printed digit.

    Examples
    --------
    >>> half_unit("46.4"), half_unit("12"), half_unit("1.5e-3")
    (0.05, 0.5, 5e-05)
    """
    digits, _, exponent = text.lower().partition("e")
    decimals = len(digits.partition(".")[2])
    return 0.5 * 10.0 ** (-decimals + int(exponent or 0))


def lines(evidence: Evidence, table: str) -> list[Line]:
    """The visible rows of a table."""
    prefix = TABLES[table].prefix
    return [
        Line(
            short_id(prefix, fact.key, fact.ordinal) if prefix else f"{fact.file or table}:row {fact.file_row}"
            if fact.file_row else f"fact {fact.id}",
            fact.cells(),
        )
        for fact in evidence.facts
        if fact.table == table
    ]  # fmt: skip


def used(evidence: Evidence, table: str) -> list[Line]:
    """The rows of a table that no eligibility judgement excludes."""
    uses = evidence.eligibility(table)["use"]
    return [line for line, use in zip(lines(evidence, table), uses, strict=True) if use != "no"]


def grouped(rows: Iterable[Line], key: Callable[[Line], Hashable]) -> dict[Hashable, list[Line]]:
    """Rows by a key, in order."""
    found: dict[Hashable, list[Line]] = defaultdict(list)
    for row in rows:
        found[key(row)].append(row)
    return dict(found)


def by(*columns: str) -> Callable[[Line], tuple[str, ...]]:
    """A key made of columns."""
    return lambda line: tuple(line[column] for column in columns)
