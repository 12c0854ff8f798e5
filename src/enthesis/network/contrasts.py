"""Rows of contrasts: from the cells of a table to a block of differences with standard errors.

`contrast per row` is netmeta's and CINeMA's layout: effect of treat1 minus treat2. In `contrast against the study's
baseline row` (gemtc, multinma) the row with an empty effect names the comparator, and its standard error is that of
the comparator's *own arm*: the covariance of the study's contrasts. It is needed, and kept, for studies of three or
more arms only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from enthesis.network.blocks import Contrasts
from enthesis.network.cells import MISSING, Names, Numbers, refuse_empty_names, told_apart_by_year
from enthesis.network.headers import told_measure
from enthesis.network.layouts import Layout
from enthesis.network.ledger import Entry
from enthesis.network.measures import Measure
from enthesis.network.precision import demand, standard_errors
from enthesis.network.reading import Sheet

Floats = NDArray[np.float64]


@dataclass
class ContrastRows:
    """Contrasts as they stand in the table; one entry of each list or array per contrast."""

    study: list[str]
    treatment: list[str]
    comparator: list[str]
    y: Floats
    se: Floats
    se_comparator: Floats
    position: NDArray[np.int64]


def read_contrasts(
    sheet: Sheet,
    layout: Layout,
    read: Numbers,
    measure: Measure,
    ledger: list[Entry],
    *,
    only: set[str] | None = None,
    apart: bool = False,
) -> ContrastRows:
    """The contrasts of a table, checked, without those that lack numbers.

    Parameters
    ----------
    sheet, layout, read
        The table, how it is laid out, and its reader of numbers.
    measure : Measure
    ledger : list of Entry
        Gets an entry for each row that is left out, and notes on the scale and on rebuilt standard errors.
    only : set of str, optional
        The studies to read; by default all.
    apart : bool
        Whether a study may list several arms of one treatment against its baseline row.

    Returns
    -------
    ContrastRows
    """
    names = Names(sheet, "study"), Names(sheet, "treatment")
    study = names[0](layout.header("study"))
    refuse_empty_names(sheet, layout.header("study"), study, "study")
    if layout.shape == "contrast per row":
        rows = _pairs(sheet, layout, read, measure, study, names[1], ledger, only)
    else:
        rows = _to_baseline(sheet, layout, read, study, names[1], ledger, apart)
    ledger += [*names[0].notes(), *names[1].notes()]
    if measure.scale == "log" and not _is_ratio(layout, measure):
        ledger.append(Entry(action="note", rule="scale",
                            reason=f"Column {layout.header('effect')!r} was read as the logarithm of the "
                                   f"{measure.label} ({measure.name})."))  # fmt: skip
    return rows


def _is_ratio(layout: Layout, measure: Measure) -> bool:
    """Whether the effect column holds the ratio itself, by its name (`OR`, not `lnOR`)."""
    return told_measure(layout.header("effect"))[1] and measure.scale == "log"


def _pairs(
    sheet: Sheet, layout: Layout, read: Numbers, measure: Measure, study: list[str], names: Names, ledger: list[Entry],
    only: set[str] | None,
) -> ContrastRows:  # fmt: skip
    first, second = layout.header("treatment", 1), layout.header("treatment", 2)
    if first is None:
        study = told_apart_by_year(sheet, study, ledger)
        asked = np.array([only is None or name in only for name in study])
        treatment, comparator = ["treatment"] * len(sheet), ["control"] * len(sheet)
        ledger.append(Entry(action="note", rule="arms without names",
                            reason="The table does not name its treatments; its effects are taken as 'treatment' "
                                   "minus 'control'."))  # fmt: skip
    else:
        treatment, comparator = names(first), names(second)
        asked = np.array([(only is None or name in only) for name in study]) & _holds_contrast(sheet, layout, only)
        for header, column in ((first, treatment), (second, comparator)):
            refuse_empty_names(sheet, header, [c if a else "-" for c, a in zip(column, asked)], "treatment")
        same = [i for i in np.flatnonzero(asked) if treatment[i] == comparator[i]]
        if same:
            raise sheet.error(f"a treatment cannot be compared with itself (study {study[same[0]]!r})", int(same[0]),
                              second, comparator[same[0]], "Correct one of the two names.")  # fmt: skip
    y, se = _effect_and_se(sheet, layout, read, measure, ledger)
    ok = np.isfinite(y) & np.isfinite(se)
    for i in np.flatnonzero(~ok & asked):
        lacking = " and ".join(w for w, v in (("effect", y), ("standard error", se)) if not np.isfinite(v[i]))
        ledger.append(Entry(action="excluded", rule="numbers not reported", study=study[i],
                            arm=f"{treatment[i]} versus {comparator[i]}", reason=f"The contrast has no {lacking}.",
                            rows=(_label(sheet, i),)))  # fmt: skip
    keep = np.flatnonzero(ok & asked)
    _refuse_repeated(sheet, layout, study, treatment, comparator, keep)
    return ContrastRows(
        [study[i] for i in keep], [treatment[i] for i in keep], [comparator[i] for i in keep], y[keep], se[keep],
        np.full(len(keep), np.nan), keep,
    )  # fmt: skip


def _holds_contrast(sheet: Sheet, layout: Layout, only: set[str] | None) -> NDArray[np.bool_]:
    """Rows with an effect or a comparator, in a table that holds rows of arms too."""
    if only is None:
        return np.ones(len(sheet), dtype=bool)
    headers = [h for h in (layout.header("effect"), layout.header("treatment", 2)) if h]
    cells = zip(*(sheet.cells(h) for h in headers), strict=True)
    return np.array([any(text.strip().casefold() not in ("", *MISSING) for text in row) for row in cells], dtype=bool)


def _effect_and_se(
    sheet: Sheet, layout: Layout, read: Numbers, measure: Measure, ledger: list[Entry]
) -> tuple[Floats, Floats]:
    ratio = _is_ratio(layout, measure)
    header = layout.header("effect")
    y = read(header)
    if ratio:
        demand(sheet, header, y, y > 0, f"a {measure.label} must be above 0", "Check the value, or call a column of "
                "logarithms lnOR, lnRR, lnHR.")  # fmt: skip
        y = np.log(y)
        reason = f"Column {header!r} holds the {measure.label}; its logarithm was taken."
        ledger.append(Entry(action="changed", rule="logarithm", reason=reason))
    return y, standard_errors(sheet, layout, read, ratio, y, ledger)


def _to_baseline(
    sheet: Sheet, layout: Layout, read: Numbers, study: list[str], names: Names, ledger: list[Entry], apart: bool
) -> ContrastRows:
    header = layout.header("treatment") or layout.header("agent")
    treatment = names(header)
    refuse_empty_names(sheet, header, treatment, "treatment")
    effect, precision = layout.header("effect"), layout.header("se")
    y, se = read(effect), read(precision)
    demand(sheet, precision, se, se > 0, "a standard error must be above 0",
            "Check the value and its sign; the baseline row of a study with two arms may have none.")  # fmt: skip
    members: dict[str, list[int]] = {}
    for i, name in enumerate(study):
        members.setdefault(name, []).append(i)
    out: dict[str, list] = {k: [] for k in ("study", "treatment", "comparator", "y", "se", "se_comparator", "position")}
    for name, where in members.items():
        base = [i for i in where if np.isnan(y[i])]
        if len(base) != 1:
            wrong = where[0] if not base else base[1]
            what = (
                f"study {name!r} has no row with an empty {effect!r}, so its comparator is not known"
                if not base
                else f"study {name!r} has {len(base)} rows with an empty {effect!r}; the comparator is one row"
            )
            raise sheet.error(
                what, wrong, effect, sheet.cells(effect)[wrong],
                "Leave the effect empty in the row of the study's comparator only; if the column holds the mean of "
                f"each arm, say so: columns={{'mean': {effect!r}}}.",
            )  # fmt: skip
        if not apart:
            _refuse_repeated_arm(sheet, layout, name, [treatment[i] for i in where], where)
        others = [i for i in where if i != base[0]]
        if not others:
            ledger.append(Entry(action="excluded", rule="one arm", study=name, arm=treatment[base[0]],
                                reason="One arm gives no contrast.", rows=(_label(sheet, base[0]),)))  # fmt: skip
            continue
        for i in others:
            if np.isnan(se[i]):
                raise sheet.error(f"the contrast has an effect and no standard error (study {name!r}, treatment "
                                  f"{treatment[i]!r})", i, precision, "", "Give the standard error.")  # fmt: skip
        if len(others) > 1 and np.isnan(se[base[0]]):
            raise sheet.error(
                f"study {name!r} has {len(where)} arms, and the row of its comparator has no standard error", base[0],
                precision, "", "Give the standard error of the comparator's own arm: the covariance of the contrasts.",
            )  # fmt: skip
        for i in others:
            out["study"].append(name)
            out["treatment"].append(treatment[i])
            out["comparator"].append(treatment[base[0]])
            out["y"].append(y[i])
            out["se"].append(se[i])
            out["se_comparator"].append(se[base[0]] if len(others) > 1 else np.nan)
            out["position"].append(i)
    return ContrastRows(out["study"], out["treatment"], out["comparator"], np.array(out["y"], float),
                        np.array(out["se"], float), np.array(out["se_comparator"], float),
                        np.array(out["position"], int))  # fmt: skip


def contrast_block(
    rows: ContrastRows, sheet: Sheet, at_study: dict[str, int], at_treatment: dict[str, int]
) -> Contrasts:
    """The block of contrasts, sorted by study, treatment and comparator.

    Parameters
    ----------
    rows : ContrastRows
    sheet : Sheet
    at_study, at_treatment : dict of name to position
    """
    study = np.array([at_study[s] for s in rows.study])
    treatment = np.array([at_treatment[t] for t in rows.treatment])
    comparator = np.array([at_treatment[t] for t in rows.comparator])
    order = np.lexsort((comparator, treatment, study))
    return Contrasts(
        study=study[order], treatment=treatment[order], comparator=comparator[order], y=rows.y[order],
        se=rows.se[order], se_comparator=rows.se_comparator[order],
        rows=tuple(_label(sheet, i) for i in rows.position[order]),
    )  # fmt: skip


def _label(sheet: Sheet, position: int) -> str:
    return f"{sheet.file}:row {sheet.lines[position]}"


def _refuse_repeated(sheet, layout, study, treatment, comparator, keep) -> None:
    """Raise when a study gives one contrast twice, in either direction."""
    seen: dict[tuple[str, str, str], int] = {}
    for i in keep:
        a, b = treatment[i], comparator[i]
        other = seen.setdefault((study[i], min(a, b), max(a, b)), i)
        if other != i:
            header = layout.header("treatment", 2) or layout.header("study")
            raise sheet.error(
                f"study {study[i]!r} gives {a!r} versus {b!r} twice (rows {sheet.lines[other]} and {sheet.lines[i]})",
                int(i), header, sheet.cells(header)[i],
                "Keep one of the rows; if they are two studies, give each its own name.",
            )  # fmt: skip


def _refuse_repeated_arm(sheet, layout, study, names, where) -> None:
    seen: dict[str, int] = {}
    for name, i in zip(names, where, strict=True):
        other = seen.setdefault(name, i)
        if other != i:
            header = layout.header("treatment") or layout.header("agent")
            raise sheet.error(
                f"study {study!r} lists treatment {name!r} twice (rows {sheet.lines[other]} and {sheet.lines[i]})", i,
                header, name, "Keep one of the rows, give the arms different names, or repeated_arms='apart'.",
            )  # fmt: skip
