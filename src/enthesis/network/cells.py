"""Cells as numbers and names, strictly: what cannot be read is refused by name of the cell, never guessed.

A number is written with a decimal point (or, in files that do not separate columns by commas, a decimal comma) and
perhaps an exponent. The words of `MISSING` stand for an empty cell, and the ledger says where one was read so.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from enthesis.network.ledger import Entry
from enthesis.network.reading import Sheet, tidy

#: what reviewers write in a cell that has no number (compared without case)
MISSING = frozenset(
    ["na", "n/a", "n.a.", "n.a", "nan", "nr", "n/r", "nd", "null", "none", ".", "-", "–", "—", "?", "missing",
     "not reported", "not available", "not applicable", "<na>", "#n/a", "unknown", "unclear"]
)  # fmt: skip
#: the words of MISSING that software writes for an empty cell, and that need no remark
_SILENT = frozenset(["na", "nan", "null", "<na>", ""])
_DIGITS = re.compile(r"[0-9]+")
#: numbers in names compare by value up to this many digits
_PLACES = 20
#: longer names are a wrong column (an abstract, a free-text comment)
MAX_NAME = 200
#: no number of a study is larger; beyond it sums of squares lose all digits
LARGEST = 1e15
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_COMMA_NUMBER = re.compile(r"[+-]?[0-9]*,[0-9]+(?:[eE][+-]?[0-9]+)?")
_POINT_NUMBER = re.compile(r"[+-]?[0-9]*\.[0-9]+(?:[eE][+-]?[0-9]+)?")
_THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}(?:[,.' \u00a0\u202f\u2009][0-9]{3})+(?:[.,][0-9]+)?")

#: (pattern, what is wrong, what to do), the first that fits is said
_WRONG = (
    (re.compile(r".*%.*"), "is a percentage, not a number of patients or a plain number",
     "Write the number itself; for events the number of patients, percent times n."),
    (re.compile(r"[+-]?inf(inity)?", re.I), "is not a finite number", "Leave the cell empty when not reported."),
    (re.compile(r"#(DIV/0!|REF!|VALUE!|NAME\?|NUM!|NULL!|SPILL!|CALC!).*", re.I), "is an error of the spreadsheet",
     "Mend the formula, or leave the cell empty."),
    (re.compile(r"[=@].*"), "is a formula, not a number", "Write the value that the formula gives."),
    (re.compile(r"[<>≤≥~≈].*"), "is a bound, not a number", "Write the number, or leave the cell empty."),
    (_THOUSANDS, "has a thousands separator", "Write the number with digits and a decimal point only."),
    (_COMMA_NUMBER, "has a decimal comma", "Write a decimal point, or separate the columns with semicolons."),
    (re.compile(r".*[0-9].*(/|\(|±|\+/-|;|\bto\b|\bof\b|[0-9]\s*[-–]\s*[0-9]).*"),
     "holds more than one number or a date",
     "Give each number its own column."),
    (re.compile(r"[+-]?[0-9.]+\s*\D+"), "has text after the number",
     "Write the number only; a note or unit needs its own column."),
)  # fmt: skip


class Numbers:
    """Reads the number columns of a sheet and remembers which words it took for a missing value.

    Parameters
    ----------
    sheet : Sheet
    headers : iterable of str
        All columns that hold numbers: whether the file writes decimal commas is decided over them together.
    """

    def __init__(self, sheet: Sheet, headers: Iterable[str]) -> None:
        self.sheet = sheet
        self.notes: list[Entry] = []
        self.decimal_comma = sheet.delimiter != "," and _has_decimal_commas(sheet, tuple(headers))
        self._read: dict[str, NDArray[np.float64]] = {}

    def __call__(self, header: str) -> NDArray[np.float64]:
        """The column as floats, NaN where the cell is missing; DataError at the first cell that is neither."""
        if header not in self._read:
            self._read[header] = self._parsed(header)
        return self._read[header]

    def with_bounds(self, header: str) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """The column as floats, NaN also where it gives a bound (`<0.001`), and where those are."""
        cells = self.sheet.cells(header)
        bounds = np.array([text.strip()[:1] in ("<", ">", "\u2264", "\u2265") for text in cells], dtype=bool)
        bounds &= np.array([bool(text.strip()) for text in cells], dtype=bool)
        kept = ["" if bound else text for text, bound in zip(cells, bounds, strict=True)]
        return self._one_by_one(header, kept), bounds

    def _parsed(self, header: str) -> NDArray[np.float64]:
        cells = self.sheet.cells(header)
        if all(map(_NUMBER.fullmatch, cells)):  # the ordinary column, read at once
            values = np.fromiter(map(float, cells), float, len(cells))
        else:
            values = self._one_by_one(header, cells)
        large = np.flatnonzero(np.abs(values) > LARGEST)
        if len(large):
            raise self.sheet.error("is larger than any number that can be used", int(large[0]), header,
                                   cells[large[0]], "Check the number, or change the unit.")  # fmt: skip
        return values

    def _one_by_one(self, header: str, cells: Sequence[str]) -> NDArray[np.float64]:
        values = np.empty(len(cells))
        worded: dict[str, list[int]] = {}
        full, comma = _NUMBER.fullmatch, self.decimal_comma
        for i, text in enumerate(cells):
            if full(text):
                values[i] = float(text)
            elif text.strip().casefold() in _SILENT:
                values[i] = np.nan
            else:
                plain = tidy(text).replace("\u2212", "-")
                if comma and _COMMA_NUMBER.fullmatch(plain):
                    plain = plain.replace(",", ".")
                if full(plain):
                    values[i] = float(plain)
                elif plain.casefold() in MISSING or not plain:
                    values[i] = np.nan
                    worded.setdefault(plain, []).append(i)
                else:
                    self._refuse(header, i, text)
        for word, where in worded.items():
            rows = tuple(f"{self.sheet.file}:row {self.sheet.lines[i]}" for i in where)
            reason = f"{word!r} in column {header!r} was read as not reported ({len(where)} cells)."
            self.notes.append(Entry(action="note", rule="missing value in words", reason=reason, rows=rows))
        return values

    def _refuse(self, header: str, position: int, text: str) -> None:
        what, fix = "is not a number", "Write a number, or leave the cell empty when it was not reported."
        for pattern, said, mend in _WRONG:
            if pattern.fullmatch(tidy(text)):
                what, fix = said, mend
                break
        raise self.sheet.error(what, position, header, text, fix)


def _has_decimal_commas(sheet: Sheet, headers: tuple[str, ...]) -> bool:
    comma = point = None
    for header in headers:
        for i, text in enumerate(sheet.cells(header)):
            if comma is None and "," in text and _COMMA_NUMBER.fullmatch(text.strip()):
                comma = (header, i, text)
            elif point is None and "." in text and _POINT_NUMBER.fullmatch(text.strip()):
                point = (header, i, text)
    if comma and point:
        header, i, text = comma
        raise sheet.error(
            f"has a comma, while column {point[0]!r} has a decimal point at row {sheet.lines[point[1]]} ({point[2]})",
            i, header, text, "Use one decimal sign in the whole table, and no thousands separators.",
        )  # fmt: skip
    return comma is not None


class Names:
    """Reads name columns: trimmed, in Unicode's composed form, one spelling per thing.

    Two names that differ only in case or spaces are refused, as they may be one thing or two.

    Parameters
    ----------
    sheet : Sheet
    kind : str
        `study` or `treatment`, for messages.
    """

    def __init__(self, sheet: Sheet, kind: str) -> None:
        self.sheet, self.kind = sheet, kind
        self._clean: dict[str, str] = {}
        self._spelling: dict[str, tuple[str, int, str]] = {}
        self.changed: dict[str, str] = {}

    def __call__(self, header: str) -> list[str]:
        """The column as names; "" where the cell is empty."""
        known = self._clean
        out = []
        for i, raw in enumerate(self.sheet.cells(header)):
            name = known.get(raw)
            if name is None:
                name = known[raw] = self._cleaned(raw, i, header)
            out.append(name)
        return out

    def _cleaned(self, raw: str, position: int, header: str) -> str:
        name = " ".join(raw.split() if raw.isascii() else unicodedata.normalize("NFC", tidy(raw)).split())
        if not name or name.casefold() in ("na", "nan", "<na>", "#n/a"):
            return ""
        if len(name) > MAX_NAME:
            raise self.sheet.error(f"this {self.kind} name has {len(name):,} letters; {MAX_NAME} are read", position,
                                   header, name, "Give a short name.")  # fmt: skip
        if not name.isprintable() and any(unicodedata.category(c) == "Cc" for c in name):
            raise self.sheet.error(f"this {self.kind} name holds a control character", position, header,
                                   ascii(name), "Type the name anew.")  # fmt: skip
        key = "".join((name if name.isascii() else unicodedata.normalize("NFKC", name)).casefold().split())
        other = self._spelling.setdefault(key, (name, position, header))
        if other[0] != name:
            raise self.sheet.error(
                f"this {self.kind} name differs only in case or spaces from {other[0]!r} at row "
                f"{self.sheet.lines[other[1]]}", position, header, name,
                "Write both the same way if they are one, or give them names that differ in more.",
            )  # fmt: skip
        if name != raw:
            self.changed[raw] = name
        return name

    def notes(self) -> list[Entry]:
        """Entries for names that were changed: spaces around them in one, the others one by one."""
        out = [
            Entry(action="note", rule="name tidied", reason=f"{self.kind} {raw!r} was read as {name!r}.")
            for raw, name in self.changed.items()
            if raw.strip() != name
        ]
        spaced = [name for raw, name in self.changed.items() if raw.strip() == name]
        if spaced:
            reason = f"Spaces around the names of {len(spaced)} {self.kind} cells were removed, first {spaced[0]!r}."
            out.append(Entry(action="note", rule="name tidied", reason=reason))
        return out


def natural_order(names: Iterable[str]) -> list[str]:
    """Names sorted without regard to case, with numbers inside them by value.

    Examples
    --------
    >>> natural_order(["B10", "b2", "A"])
    ['A', 'b2', 'B10']
    """

    def key(name: str) -> tuple[str, str]:
        return (_DIGITS.sub(lambda m: m[0].zfill(_PLACES), name.casefold()), name)

    return sorted(names, key=key)


def refuse_empty_names(sheet: Sheet, header: str, names: list[str], kind: str) -> None:
    """Raise DataError at the first empty name."""
    for i, name in enumerate(names):
        if not name:
            raise sheet.error(f"the {kind} has no name", i, header, "", f"Name the {kind} of this row.")


def arms_told_apart_by_year(sheet: Sheet, names: list[str], treatments: list[str], ledger: list[Entry]) -> list[str]:
    """Study names of a table with one arm per row: where a treatment stands twice under one name, in rows of different
    calendar years, the rows are studies of those years, and the year is added to their name.
    """
    if len(set(zip(names, treatments, strict=True))) == len(names):
        return names
    year = next((h for h in sheet.header if h.casefold() in ("year", "pubyear", "study year")), None)
    if year is None:
        return names
    cells = [text.strip() for text in sheet.cells(year)]
    years: dict[tuple[str, str], set[str]] = {}
    for name, treatment, text in zip(names, treatments, cells, strict=True):
        years.setdefault((name, treatment), set()).add(text)
    repeated = {name for (name, _), found in years.items() if len(found) > 1}
    rows = [i for i, name in enumerate(names) if name in repeated]
    if not rows or not all(re.fullmatch(r"(19|20)[0-9]{2}", cells[i]) for i in rows):
        return names
    out = list(names)
    for i in rows:
        out[i] = f"{names[i]} {cells[i]}"
    if {out[i] for i in rows} & (set(names) - repeated):
        return names
    reason = f"{len(repeated)} study names stand for studies of different years and were told apart by column {year!r}."
    ledger.append(Entry(action="note", rule="studies told apart by year", reason=reason))
    return out


def told_apart_by_year(sheet: Sheet, names: list[str], ledger: list[Entry]) -> list[str]:
    """Study names of a table with one study per row: where a name stands twice, its year is added.

    `Shechter` of 1990 and `Shechter` of 1995 are two studies, as their rows are. Names stay as they are where the
    table has no column `year` or the year does not tell all rows apart.
    """
    year = next((h for h in sheet.header if h.casefold() in ("year", "pubyear", "study year")), None)
    repeated = {name for name, count in Counter(names).items() if count > 1}
    if not repeated or year is None:
        return names
    cells = sheet.cells(year)
    out = [f"{name} {cells[i].strip()}" if name in repeated else name for i, name in enumerate(names)]
    if len(set(out)) < len(out):
        return names
    reason = f"{len(repeated)} study names stand in several rows and were told apart by column {year!r}."
    ledger.append(Entry(action="note", rule="studies told apart by year", reason=reason))
    return out
