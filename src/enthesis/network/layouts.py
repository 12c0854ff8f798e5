"""Layouts of tables of studies: which one a table is in, by its columns alone.

A layout is what a row holds (one arm, several arms, a contrast, a contrast against the study's first row) and which
numbers. Where a table fits several, the choice is by this rule, and the ledger states it:

1. a layout must use every column that the user named, and must allow the measure that was asked for;
2. of those left, arms before contrasts (arms hold more), one arm per row before several, counts before means before
   rates (a table with events, patients and time at risk is read as counts unless a rate is asked for); a follow-up is
   read only for a hazard ratio, and nested responses only when their columns are named.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from enthesis.errors import DataError
from enthesis.network.headers import SYNONYMS, Columns, plain, told_measure
from enthesis.network.measures import EFFECT, Measure
from enthesis.network.reading import Sheet

Shape = Literal["arm per row", "arms across", "contrast per row", "contrast against the study's baseline row"]
Numbers = Literal["counts", "means", "rates", "followup", "levels", "contrasts"]


@dataclass(frozen=True)
class Layout:
    """A way to read a table.

    Parameters
    ----------
    shape : str
        What one row holds.
    numbers : {"counts", "means", "rates", "followup", "levels", "contrasts"}
    columns : dict of (role, slot) to header
        Slot 0 where there is one column for the role.
    slots : tuple of int
        The arms in a row of `arms across`.
    """

    shape: Shape
    numbers: Numbers
    columns: dict[tuple[str, int], str]
    slots: tuple[int, ...] = ()

    @property
    def roles(self) -> frozenset[str]:
        """The roles it uses."""
        used = {role for role, _ in self.columns}
        return frozenset(used | {"comparator"} if self.header("treatment", 2) else used)

    def header(self, role: str, slot: int = 0) -> str | None:
        """The header of a role, or None."""
        return self.columns.get((role, slot))

    def allows(self, measure: Measure | None) -> bool:
        """Whether a measure can be computed from its numbers."""
        if measure is None or self.numbers == measure.kind:
            return True
        if self.numbers == "levels":
            return measure.name in LEVEL_MEASURES
        told = told_measure(self.header("effect"))[0]
        return self.numbers == "contrasts" and (told is None or measure is EFFECT or told == measure.name)

    def mapping(self) -> dict[str, str]:
        """What was read as what, for the user."""
        out = {"layout": f"{self.shape} ({self.numbers})"}
        for (role, _), header in self.columns.items():
            out[role] = f"{out[role]}, {header}" if role in out else header
        return out


#: measures with a likelihood of nested responses
LEVEL_MEASURES = ("OR", "PROBIT")

#: (numbers, sets of roles that suffice, roles taken along when present)
_ARM_NUMBERS: tuple[tuple[Numbers, tuple[tuple[str, ...], ...], tuple[str, ...]], ...] = (
    ("counts", (("events", "n"), ("events", "nonevents")), ("nonevents",)),
    ("means", (("mean", "se"), ("mean", "sd", "n"), ("mean", "variance")), ("se", "sd", "n")),
    ("rates", (("events", "time_at_risk"),), ("n",)),
    ("followup", (("events", "n", "followup"),), ()),
)


def arm_per_row(columns: Columns, sheet: Sheet) -> list[Layout]:
    """Layouts with a treatment and numbers in each row."""
    names = _arm_names(columns)
    if names is None:
        return []
    versus = _names_comparators(columns, sheet)
    out = []
    for numbers, sufficient, more in _ARM_NUMBERS:
        need = next((roles for roles in sufficient if columns.has(*roles)), None)
        if need is not None and not (versus and numbers == "means" and "mean" not in columns.asked):
            extra = tuple(r for r in more if columns.has(r) and r not in need)
            out.append(_single("arm per row", numbers, columns, (*names, *need, *extra)))
    return out


def arms_across(columns: Columns, sheet: Sheet) -> list[Layout]:
    """Layouts with several arms in each row: numbered columns, or two unnamed arms."""
    if not columns.has("study"):
        return []
    out = []
    for numbers, sufficient, more in _ARM_NUMBERS:
        for roles in sufficient:
            shared = tuple(r for r in roles if r == "followup" and columns.has(r))  # one column for all arms of a row
            own = tuple(r for r in roles if r not in shared)
            slots = columns.slots(*own)
            if len(slots) < 2:
                continue
            named = columns.slots("treatment")[: len(slots)]
            if len(named) < 2:
                if len(slots) > 2:
                    continue
                named = ()
            chosen = named or slots
            found = {("study", 0): columns.single["study"]}
            if not named and _names_comparators(columns, sheet):
                found |= {("treatment", 1): columns.single["treatment"], ("treatment", 2): columns.single["comparator"]}
            for slot in chosen:
                if named:
                    found["treatment", slot] = columns.slotted["treatment"][slot]
                for role in (*own, *more):
                    if slot in columns.slotted.get(role, {}):
                        found[role, slot] = columns.slotted[role][slot]
            for role in (*shared, *(("arms",) if columns.has("arms") else ())):
                found[role, 0] = columns.single[role]
            out.append(Layout("arms across", numbers, found, chosen))
            break
    return out


def contrast_per_row(columns: Columns, sheet: Sheet) -> list[Layout]:
    """Layouts with two treatments, an effect and its precision in each row."""
    if not columns.has("study"):
        return []
    # two treatments in a row: a single column `y` is their difference
    effect = columns.single.get("effect") or columns.single.get("mean")
    if effect is None:
        return []
    precision = _precision(columns)
    if not precision:
        return []
    found = {("study", 0): columns.single["study"]}
    if len(columns.slots("treatment")) >= 2:
        found |= {("treatment", s): columns.slotted["treatment"][s] for s in (1, 2)}
    elif _names_comparators(columns, sheet):
        found |= {("treatment", 1): columns.single["treatment"], ("treatment", 2): columns.single["comparator"]}
    elif not columns.has("effect"):
        return []
    elif columns.has("treatment") or "treatment" in columns.slotted:
        return []  # one treatment per row: an arm, or a contrast against the baseline row
    found |= {("effect", 0): effect, **precision}
    return [Layout("contrast per row", "contrasts", found)]


def contrast_to_baseline(columns: Columns, sheet: Sheet) -> list[Layout]:
    """Layouts with one treatment per row and an effect against the row of the study whose effect is empty."""
    names = _arm_names(columns)
    if names is None:
        return []
    effect = "effect" if columns.has("effect") else "mean" if columns.has("mean") else None
    precision = _precision(columns)
    if effect is None or ("se", 0) not in precision:
        return []
    header = columns.single[effect]
    named = effect == "effect" and (plain(header) in SYNONYMS["effect"] or "effect" in columns.asked)
    if not named and not one_empty_per_study(sheet, columns.single["study"], header):
        return []
    found = {(r, 0): columns.single[r] for r in names}
    return [
        Layout(
            "contrast against the study's baseline row",
            "contrasts",
            found | {("effect", 0): header, ("se", 0): precision["se", 0]},
        )
    ]


SHAPES: tuple[Callable[[Columns, Sheet], list[Layout]], ...] = (
    arm_per_row,
    arms_across,
    contrast_per_row,
    contrast_to_baseline,
)


def _levels(columns: Columns, sheet: Sheet, measure: Measure | None) -> Layout:
    """One arm per row with the columns of nested responses that the user named."""
    names = _arm_names(columns)
    if names is None or not columns.has("n"):
        raise DataError("nested responses need a study, a treatment and a number of patients in each row",
                        file=sheet.file, row=1, fix="Name them: columns={'study': ..., ...}, or --column study=...",
                        )  # fmt: skip
    found = {(r, 0): columns.single[r] for r in (*names, "n")}
    found |= {("level", i): header for i, header in enumerate(columns.levels, 1)}
    layout = Layout("arm per row", "levels", found)
    if not layout.allows(measure):
        raise DataError(
            f"{measure.name} ({measure.label}) has no model of nested responses", file=sheet.file, row=1,
            fix=f"Choose {' or '.join(LEVEL_MEASURES)}.",
        )  # fmt: skip
    return layout


def layouts(columns: Columns, sheet: Sheet) -> list[Layout]:
    """Every layout that a table's columns allow, the preferred first."""
    found = [layout for shape in SHAPES for layout in shape(columns, sheet)]
    baseline = [x for x in found if x.shape.startswith("contrast against") and ("effect" not in columns.single)]
    # y and se with exactly one empty y per study are contrasts (multinma), not means with holes
    return baseline + [x for x in found if x not in baseline]


def choose(columns: Columns, sheet: Sheet, measure: Measure | None) -> tuple[Layout, list[Layout]]:
    """The layout of a table, and the others that would have been possible.

    Parameters
    ----------
    columns : Columns
    sheet : Sheet
    measure : Measure or None

    Returns
    -------
    layout : Layout
    others : list of Layout

    Raises
    ------
    DataError
        When no layout fits; the message says which columns are missing.
    """
    if columns.levels:
        return _levels(columns, sheet, measure), []
    asked = columns.asked - {"class"}  # beside the numbers, in any layout
    followed = "followup" in columns.asked or (measure is not None and measure.kind == "followup")
    found = [x for x in layouts(columns, sheet) if x.numbers != "followup" or followed]
    fitting = [x for x in found if asked <= x.roles and x.allows(measure)]
    if fitting:
        return fitting[0], [x for x in found if x is not fitting[0]]
    if found and not any(asked <= x.roles for x in found):
        left = ", ".join(sorted(asked - found[0].roles))
        raise DataError(f"the table reads as {found[0].shape} ({found[0].numbers}), which has no place for {left}",
                        file=sheet.file, row=1, fix=_what_is_needed(columns, sheet))  # fmt: skip
    if found:
        raise DataError(
            f"{measure.name} ({measure.label}) cannot be computed from {found[0].numbers} "
            f"({', '.join(h for (r, _), h in found[0].columns.items() if r not in ('study', 'treatment'))})",
            file=sheet.file, row=1, fix=_measure_needs(measure),
        )  # fmt: skip
    raise DataError(f"the columns {_listed(sheet.header)} are not those of a known layout", file=sheet.file, row=1,
                    fix=_what_is_needed(columns, sheet))  # fmt: skip


def _arm_names(columns: Columns) -> tuple[str, ...] | None:
    if not columns.has("study"):
        return None
    if columns.has("treatment"):
        return ("study", "treatment")
    if columns.has("agent", "dose"):
        return ("study", "agent", "dose")
    return ("study", "agent") if columns.has("agent") else None


def _names_comparators(columns: Columns, sheet: Sheet) -> bool:
    """Whether rows name a treatment and what it was compared with (a column `control` of 0 and 1 does not)."""
    if not columns.has("treatment", "comparator"):
        return False
    if "comparator" in columns.asked:
        return True
    return not {c.strip().casefold() for c in sheet.cells(columns.single["comparator"])} <= _FLAGS


#: cells of a column that marks rows instead of naming treatments
_FLAGS = frozenset(["", "0", "1", "yes", "no", "y", "n", "true", "false", "na"])


def _single(shape: Shape, numbers: Numbers, columns: Columns, roles: Sequence[str]) -> Layout:
    return Layout(shape, numbers, {(role, 0): columns.single[role] for role in roles})


def _precision(columns: Columns) -> dict[tuple[str, int], str]:
    """The columns that tell how precise an effect is: an SE, a variance, an interval, a test statistic, a p-value."""
    out = {}
    if not ("se" in columns.asked and columns.has("se")) and columns.has("se_effect"):
        out["se", 0] = columns.single["se_effect"]
    elif columns.has("se"):
        out["se", 0] = columns.single["se"]
    roles = [("variance",), ("lower", "upper"), ("statistic",), ("p",)]
    out |= {(role, 0): columns.single[role] for together in roles if columns.has(*together) for role in together}
    if ("p", 0) in out and columns.has("df"):
        out["df", 0] = columns.single["df"]
    return out


def _measure_needs(measure: Measure) -> str:
    needs = {
        "counts": "It needs events and n for each arm",
        "means": "It needs mean, and sd with n (or se), for each arm",
        "rates": "It needs events and time_at_risk for each arm",
        "followup": "It needs events, n and followup (time) for each arm",
        None: "It needs an effect with its standard error for each contrast",
    }[measure.kind]
    return f"{needs}. Choose another measure, or name the columns (columns={{'events': 'r'}}, or --column events=r)."


def _what_is_needed(columns: Columns, sheet: Sheet) -> str:
    if not columns.has("study"):
        near = _nearest(columns, sheet, "study")
        return (
            f"{near}Name the column of studies `study` (or say which it is: columns={{'study': '...'}}, or "
            "--column study=...)."
        )
    if not (columns.has("treatment") or columns.has("agent") or "treatment" in columns.slotted):
        near = _nearest(columns, sheet, "treatment")
        return (
            f"{near}Name the column of treatments `treatment` (treat1 and treat2 for contrasts), or say which it is: "
            "columns={'treatment': '...'}, or --column treatment=..."
        )
    free = _free(columns, sheet)[:12]
    hint = f" (columns without a meaning so far: {_listed(free)})." if free else "."
    return (
        "For each arm give events and n, or mean, sd and n (or mean and se), or events and time_at_risk; or for each "
        f"contrast effect, se, treat1 and treat2. Say which column is what: columns={{'events': '...'}}, or "
        f"--column events=...{hint}"
    )


def _free(columns: Columns, sheet: Sheet) -> list[str]:
    """Headers without a meaning so far."""
    used = set(columns.single.values()) | {h for s in columns.slotted.values() for h in s.values()}
    return [h for h in sheet.header if h not in used]


def _nearest(columns: Columns, sheet: Sheet, role: str) -> str:
    """A question about a header that looks like a name of the role mistyped."""
    for header in _free(columns, sheet):
        if get_close_matches(plain(header), [n for n in SYNONYMS[role] if len(n) > 4], n=1, cutoff=0.8):
            return f"Is {header[:40]!r} the {role}? "
    return ""


def _listed(headers: Sequence[str], show: int = 12) -> str:
    names = ", ".join(repr(h[:40]) for h in headers[:show])
    return names + (f", … ({len(headers)} in all)" if len(headers) > show else "")


def one_empty_per_study(sheet: Sheet, study: str, effect: str) -> bool:
    """Whether each study has exactly one row whose effect is empty, and one that is not."""
    from enthesis.network.cells import MISSING

    counts: dict[str, list[int]] = {}
    for name, cell in zip(sheet.cells(study), sheet.cells(effect), strict=True):
        counts.setdefault(name, [0, 0])[not cell.strip() or cell.strip().casefold() in MISSING] += 1
    return all(empty == 1 and full >= 1 for full, empty in counts.values())
