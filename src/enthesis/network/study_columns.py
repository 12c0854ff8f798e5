"""What a table says beside its numbers: the class of each treatment, and study-level covariates.

A column is a covariate when it has no other meaning, holds numbers (or exactly two words), and says one thing about
each study. MetaInsight's `covar.` is taken off its name. Empty cells are values that are not known.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from enthesis.errors import DataError
from enthesis.network.arms import ArmRows
from enthesis.network.cells import MISSING, Numbers, natural_order
from enthesis.network.contrasts import ContrastRows
from enthesis.network.headers import Columns, plain, unused
from enthesis.network.layouts import Layout
from enthesis.network.ledger import Entry
from enthesis.network.reading import Sheet, tidy

Floats = NDArray[np.float64]

#: (study, position of the record in the sheet) of every arm or contrast that was read
Places = Sequence[tuple[str, int]]
#: roles whose columns may be covariates when the layout does not use them
_MAY_BE_COVARIATES = frozenset(["followup"])
_LONGEST_WORD = 60


def beside(
    sheet: Sheet,
    layout: Layout,
    columns: Columns,
    arms: ArmRows | None,
    contrasts: ContrastRows | None,
    studies: tuple[str, ...],
    ledger: list[Entry],
) -> tuple[dict[str, Floats], dict[str, str], set[str]]:
    """Covariates of the studies, classes of the treatments, and the headers they were read from.

    Parameters
    ----------
    sheet, layout, columns
        The table and what its columns mean.
    arms, contrasts : ArmRows, ContrastRows or None
        The rows in the network.
    studies : tuple of str
    ledger : list of Entry
        Gets a note of each.
    """
    rows = [r for r in (arms, contrasts) if r is not None]
    places = [pair for r in rows for pair in zip(r.study, r.position.tolist(), strict=True)]
    covariates, used = read_covariates(sheet, layout, columns, places, studies, ledger)
    known = [] if arms is None else list(zip(arms.treatment, arms.position.tolist(), arms.slot.tolist(), strict=True))
    if contrasts is not None:
        single = layout.header("treatment")
        if single is not None:  # one treatment per row: the row of the comparator tells its class
            known += [(tidy(text), i, 0) for i, text in enumerate(sheet.cells(single))]
        else:
            for slot, names in ((1, contrasts.treatment), (2, contrasts.comparator)):
                known += [(t, p, slot) for t, p in zip(names, contrasts.position.tolist(), strict=True)]
    classes = read_classes(sheet, columns, known, ledger)
    if classes:
        used |= {columns.single.get("class", ""), *columns.slotted.get("class", {}).values()}
    return covariates, classes, used


def read_classes(
    sheet: Sheet, columns: Columns, arms: Sequence[tuple[str, int, int]], ledger: list[Entry]
) -> dict[str, str]:
    """The class of each treatment, from a column `class`, `trt_class` or `drug_class`.

    Parameters
    ----------
    sheet, columns
        The table and what its columns mean.
    arms : sequence of (treatment, position of the record, slot)
    ledger : list of Entry
        Gets a note.

    Returns
    -------
    dict of treatment to class
        Empty when the table has none.

    Raises
    ------
    DataError
        When a column that was named as the class gives a treatment two classes.
    """
    named = "class" in columns.asked
    slotted = columns.slotted.get("class", {})
    if "class" not in columns.single and not slotted:
        return {}
    found: dict[str, tuple[str, int, str]] = {}
    for treatment, position, slot in arms:
        header = slotted.get(slot) or columns.single.get("class")
        if header is None or (slot and slot not in slotted):
            continue  # one column cannot tell the classes of several treatments in a row
        text = tidy(sheet.cells(header)[position])
        if not text or text.casefold() in MISSING:
            continue
        first = found.setdefault(treatment, (text, position, header))
        if first[0] != text:
            if named:
                raise sheet.error(
                    f"treatment {treatment!r} has class {first[0]!r} in row {sheet.lines[first[1]]} and another here",
                    position, header, text, "Give each treatment one class.",
                )  # fmt: skip
            reason = f"Column {header!r} was not read as classes: it says two things about {treatment!r}."
            ledger.append(Entry(action="note", rule="classes", reason=reason))
            return {}
    if found:
        header = next(iter(found.values()))[2]
        reason = f"Column {header!r} gives {len({v[0] for v in found.values()})} classes of treatments."
        ledger.append(Entry(action="note", rule="classes", reason=reason))
    return {treatment: text for treatment, (text, _, _) in found.items()}


def read_covariates(
    sheet: Sheet, layout: Layout, columns: Columns, places: Places, studies: tuple[str, ...], ledger: list[Entry]
) -> tuple[dict[str, Floats], set[str]]:
    """Study-level covariates by name, and their headers.

    Parameters
    ----------
    sheet, layout, columns
    places : sequence of (study, position)
    studies : tuple of str
    ledger : list of Entry
        Gets a note that names them.

    Returns
    -------
    covariates : dict of name to float array, shape (studies,)
        NaN where a study has no value. A column of two words is 0 for the first by name and 1 for the other, under the
        name `column[other]`.
    headers : set of str
    """
    at = {name: i for i, name in enumerate(studies)}
    study = np.array([at[name] for name, _ in places], int)
    position = np.array([p for _, p in places], int)
    meanings = {h: role for role, h in columns.single.items()}
    meanings |= {h: role for role, slots in columns.slotted.items() for h in slots.values()}
    out: dict[str, Floats] = {}
    headers = set()
    for header in unused(sheet.header, set(layout.columns.values())):
        if meanings.get(header, "followup") not in _MAY_BE_COVARIATES and not _ambiguous(header):
            continue
        name = header[6:].strip() if header.casefold().startswith("covar.") else header
        got = _numeric(sheet, header, study, position, len(studies))
        if got is None:
            got, word = _two_words(sheet, header, study, position, len(studies))
            name = f"{name}[{word}]"
        if got is not None and name and name not in out:
            out[name] = got
            headers.add(header)
    if out:
        shown = ", ".join(x[:40] for x in list(out)[:12]) + (", …" if len(out) > 12 else "")
        ledger.append(Entry(action="note", rule="covariates", reason=f"Kept as study-level covariates: {shown}."))
    return out, headers


def _ambiguous(header: str) -> bool:
    """Whether a name is too short to be taken for a role that the layout has no use for (x is not always events)."""
    return len(plain(header)) < 3 and plain(header) not in ("n", "r", "y", "sd", "se")


def _numeric(sheet: Sheet, header: str, study, position, size: int) -> Floats | None:
    """The value of each study, or None when the column is no number, is empty, or differs within a study."""
    try:
        values = Numbers(sheet, [header])(header)[position]
    except DataError:
        return None
    known = np.isfinite(values)
    if not known.any():
        return None
    low, high = np.full(size, np.inf), np.full(size, -np.inf)
    np.minimum.at(low, study[known], values[known])
    np.maximum.at(high, study[known], values[known])
    if np.any(high > low):
        return None
    return np.where(np.isfinite(low), low, np.nan)


def _two_words(sheet: Sheet, header: str, study, position, size: int) -> tuple[Floats | None, str]:
    cells = sheet.cells(header)
    texts = [tidy(cells[p]) for p in position]
    texts = ["" if t.casefold() in MISSING else t for t in texts]
    words = natural_order({t for t in texts if t})
    if len(words) != 2 or max(map(len, words)) > _LONGEST_WORD:
        return None, ""
    out = np.full(size, np.nan)
    for i, text in zip(study, texts, strict=True):
        if text:
            value = float(text == words[1])
            if np.isfinite(out[i]) and out[i] != value:
                return None, ""
            out[i] = value
    return out, words[1]
