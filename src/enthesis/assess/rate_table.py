"""Rates from a user's table: one row per arm with events and time at risk, single arms welcome.

Columns are found as in any table. `rate_of` says what is counted; without it nothing is known of the kind, all rows are
taken as one, and a note says so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from enthesis.assess.rates import DESIGNS, RateRow
from enthesis.errors import DataError, UsageError
from enthesis.network.arms import read_arms
from enthesis.network.cells import Numbers
from enthesis.network.headers import check_roles, read_headers
from enthesis.network.layouts import choose
from enthesis.network.ledger import Entry
from enthesis.network.measures import IRR
from enthesis.network.reading import Sheet, read_table

_KINDS = ("events", "patients", "unstated")


@dataclass(frozen=True, kw_only=True)
class RateTable:
    """The rows of a table and what a reader should know about how it was read.

    Parameters
    ----------
    rows : tuple of RateRow
    says_kind : bool
        Whether the table has a column rate_of.
    notes : tuple of str
    """

    rows: tuple[RateRow, ...]
    says_kind: bool
    notes: tuple[str, ...] = ()


def read_rates(table: Any, *, rate_of: str = "", columns: dict[str, str] | None = None) -> RateTable:
    """The rates of a table.

    Parameters
    ----------
    table : path, data frame or rows
        study, events, time_at_risk (synonyms are known); optionally treatment, class, design, population, outcome,
        rate_of, and period_end in years where the rows are periods of follow-up.
    rate_of : {"", "events", "patients", "unstated"}
        What the rows of a table without that column count.
    columns : dict of role to column, optional

    Returns
    -------
    RateTable

    Raises
    ------
    DataError
        When a cell cannot be used, with its place.
    UsageError
        When `rate_of` contradicts the table.

    Examples
    --------
    >>> found = read_rates([{"study": "A", "events": 3, "time_at_risk": 210.5},
    ...                     {"study": "B", "events": 0, "time_at_risk": 98.0}], rate_of="patients")
    >>> [(r.study_id, r.events, r.exposure, r.rate_of) for r in found.rows]
    [('A', 3.0, 210.5, 'patients'), ('B', 0.0, 98.0, 'patients')]
    """
    sheet = read_table(table)
    asked = check_roles(dict(columns or {}))
    found = read_headers(sheet.header, asked, sheet.file)
    if not _names_treatments(found):
        sheet = _with_treatment(sheet)
        found = read_headers(sheet.header, asked, sheet.file)
    layout, _ = choose(found, sheet, IRR)
    ledger: list[Entry] = []
    read = Numbers(sheet, [h for (role, _), h in layout.columns.items() if role not in ("study", "treatment", "agent")])
    arms, lost = read_arms(sheet, layout, read, IRR, ledger)
    ends = _ends(sheet)
    beside = {name: _column(sheet, name, *also) for name, also in _BESIDE.items()}
    kinds = beside["rate_of"]
    if kinds is not None and rate_of:
        _same_or_refused(sheet, kinds, rate_of)
    rows = []
    for i, study in enumerate(arms.study):
        at = int(arms.position[i])
        said = {name: cells[at].strip() if cells is not None else "" for name, cells in beside.items()}
        kind = _word(sheet, at, "rate_of", said["rate_of"], _KINDS) or (rate_of if kinds is None else "unstated")
        rows.append(
            RateRow(
                id=arms.label(i), study_id=study, arm_id=arms.treatment[i], treatment=arms.treatment[i],
                drug_class=said["drug_class"], population=said["population"], outcome=said["outcome"],
                design=_word(sheet, at, "design", said["design"], DESIGNS), rate_of=kind or "unstated",
                events=float(arms.values["events"][i]), exposure=float(arms.values["time_at_risk"][i]),
                period_end=ends[at] if ends else None,
            )
        )  # fmt: skip
    _refuse_twice(sheet, rows, arms.position)
    notes = [entry.reason for entry in (*ledger, *lost)]
    if kinds is None and not rate_of:
        notes.append(
            "The table has no column rate_of and --rate-of is not given: all rows are taken to count the same thing, "
            "events or patients with an event, and the result cannot say which."
        )
    if not rows:
        raise DataError("has no row with events and time at risk", file=sheet.file)
    return RateTable(rows=tuple(rows), says_kind=kinds is not None or bool(rate_of), notes=tuple(notes))


_BESIDE = {
    "rate_of": ("rateof",),
    "drug_class": ("class",),
    "design": ("study_type", "studytype"),
    "population": (),
    "outcome": (),
}


def _refuse_twice(sheet: Sheet, rows: list[RateRow], position: Any) -> None:
    """Refuse a row that stands twice: its patients would count twice."""
    seen: dict[tuple, int] = {}
    for i, row in enumerate(rows):
        key = (row.study_id, row.treatment, row.outcome, row.period_end, row.events, row.exposure)
        if key in seen:
            first = sheet.lines[int(position[seen[key]])]
            raise DataError(f"is the same arm with the same numbers as row {first}", file=sheet.file,
                            row=int(sheet.lines[int(position[i])]), column="study", value=row.study_id,
                            fix="Delete one of the two rows.")  # fmt: skip
        seen[key] = i


def _ends(sheet: Sheet) -> tuple[float, ...] | None:
    """The column period_end, in years; None without it."""
    header = next((h for h in sheet.header if h.casefold().replace(" ", "_") == "period_end"), None)
    if header is None:
        return None
    found = Numbers(sheet, [header])(header)
    for at, end in enumerate(found):
        if not end > 0:
            value = sheet.cells(header)[at]
            raise sheet.error("is not the end of a period in years", at, header, value, "Write a number above 0.")
    return tuple(float(end) for end in found)


def _names_treatments(found: Any) -> bool:
    return bool({"treatment", "agent"} & {*found.single, *found.slotted}) or "events" in found.slotted


def _with_treatment(sheet: Sheet) -> Sheet:
    return replace(sheet, header=(*sheet.header, "treatment"), columns=(*sheet.columns, ["all"] * len(sheet)))


def _column(sheet: Sheet, *names: str) -> tuple[str, ...] | None:
    for header in sheet.header:
        if header.casefold().replace(" ", "_") in names:
            return tuple(sheet.cells(header))
    return None


def _word(sheet: Sheet, at: int, name: str, value: str, known: tuple[str, ...]) -> str:
    if value and value.lower() not in known:
        raise DataError(
            f"is not one of: {', '.join(known)}", file=sheet.file, row=sheet.lines[at], column=name, value=value
        )
    return value.lower()


def _same_or_refused(sheet: Sheet, kinds: tuple[str, ...], asked: str) -> None:
    if asked not in _KINDS:
        raise UsageError(f"rate_of must be one of {', '.join(_KINDS)}, not {asked!r}.")
    if not any(kind.strip().lower() in (asked, "") for kind in kinds):
        raise UsageError(f"no row of {sheet.file} has rate_of {asked}; the table has: {', '.join(sorted(set(kinds)))}.")
