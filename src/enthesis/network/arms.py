"""Rows of arms: from the cells of a table to blocks of counts, means, rates, counts over a follow-up or levels.

Every number given is checked, also in arms that cannot be used in the end. An arm with missing numbers, and a study
left with one arm, go to the ledger. A treatment listed twice in a study is one arm typed twice when the numbers
agree, and is refused; in tables with one row per comparison the same arm stands in several rows, and is taken once;
counts and rates of two groups of different size on one treatment are added up, and the ledger says so, unless the user
wants such arms kept apart.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from enthesis.errors import DataError
from enthesis.network.blocks import ArmBlock, ArmCounts, ArmFollowUp, ArmLevels, ArmMeans, ArmRates
from enthesis.network.cells import Names, Numbers, arms_told_apart_by_year, refuse_empty_names, told_apart_by_year
from enthesis.network.layouts import Layout
from enthesis.network.ledger import Entry
from enthesis.network.measures import SMD, Measure
from enthesis.network.reading import Sheet

Floats = NDArray[np.float64]
LevelCounts = Literal["cumulative", "exclusive"]
RepeatedArms = Literal["added up", "apart"]

#: a dose of 0 is placebo, whatever the agent of the row (MBNMAdose)
_PLACEBO = "placebo"
#: columns that tell repeated rows of an arm apart: such rows are not groups of patients that could be added up
_DISTINGUISHES = frozenset(
    ["time", "week", "weeks", "day", "days", "month", "months", "year", "visit", "timepoint", "followup", "outcome",
     "endpoint", "scale", "instrument", "subgroup", "stratum", "population", "analysis", "table", "measure", "dose",
     "freq", "regimen"]
)  # fmt: skip


@dataclass
class ArmRows:
    """Arms as they stand in the table, in no order yet; one entry of each list or array per arm."""

    sheet: Sheet
    study: list[str]
    treatment: list[str]
    position: NDArray[np.int64]
    slot: NDArray[np.int64]
    values: dict[str, Floats]
    layout: Layout

    def take(self, keep: NDArray[np.int64]) -> ArmRows:
        """The arms at the given places."""
        return ArmRows(
            self.sheet, [self.study[i] for i in keep], [self.treatment[i] for i in keep], self.position[keep],
            self.slot[keep], {role: v[keep] for role, v in self.values.items()}, self.layout,
        )  # fmt: skip

    def label(self, i: int) -> str:
        """The evidence row of an arm, for provenance."""
        return f"{self.sheet.file}:row {self.sheet.lines[self.position[i]]}"

    def header(self, role: str, i: int) -> str:
        """The column in which an arm's number stands."""
        slot = int(self.slot[i])
        if role.startswith("level"):
            return self.layout.header("level", int(role[5:])) or role
        return self.layout.header(role, slot) or self.layout.header(role) or role

    def error(self, what: str, i: int, role: str, fix: str, value: object = None) -> DataError:
        """A DataError that names the arm's cell."""
        header = self.header(role, i)
        if value is None:
            value = self.sheet.cells(header)[self.position[i]]
        of = f" (study {self.study[i]!r}, treatment {self.treatment[i]!r})"
        return self.sheet.error(what + of, int(self.position[i]), header, value, fix)


def read_arms(
    sheet: Sheet,
    layout: Layout,
    read: Numbers,
    measure: Measure,
    ledger: list[Entry],
    *,
    level_counts: LevelCounts = "cumulative",
) -> tuple[ArmRows, list[Entry]]:
    """The arms of a table, checked, without those that lack numbers.

    Parameters
    ----------
    sheet, layout, read
        The table, how it is laid out, and its reader of numbers.
    measure : Measure
    ledger : list of Entry
        Gets what was changed and noted.
    level_counts : {"cumulative", "exclusive"}
        Whether a level counts all patients who reached it, or only those who reached no higher one that is reported.

    Returns
    -------
    rows : ArmRows
    lost : list of Entry
        The arms that lack numbers.
    """
    names = Names(sheet, "study"), Names(sheet, "treatment")
    rows = _across(sheet, layout, read, names, ledger) if layout.slots else _per_row(sheet, layout, read, names, ledger)
    ledger += [*names[0].notes(), *names[1].notes()]
    if layout.numbers == "counts":
        _check_counts(rows)
    elif layout.numbers == "rates":
        _check_rates(rows)
    elif layout.numbers == "followup":
        _check_counts(rows)
        _demand(rows, "followup", rows.values["followup"] > 0, "the follow-up must be above 0",
                "Give the follow-up of the arm's patients, in one unit in all rows.")  # fmt: skip
    elif layout.numbers == "levels":
        _check_levels(rows, level_counts)
    else:
        _check_means(rows, measure, ledger)
    return _complete(rows)


def _per_row(sheet: Sheet, layout: Layout, read: Numbers, names: tuple[Names, Names], ledger: list[Entry]) -> ArmRows:
    study = names[0](layout.header("study"))
    if layout.header("treatment"):
        treatment = names[1](layout.header("treatment"))
    else:
        treatment = _agent_and_dose(sheet, layout, read, names[1])
    refuse_empty_names(sheet, layout.header("study"), study, "study")
    refuse_empty_names(sheet, layout.header("treatment") or layout.header("agent"), treatment, "treatment")
    study = arms_told_apart_by_year(sheet, study, treatment, ledger)
    values = {
        f"{r}{slot or ''}": read(h)
        for (r, slot), h in layout.columns.items()
        if r not in ("study", "treatment", "agent", "dose")
    }
    return ArmRows(sheet, study, treatment, np.arange(len(sheet)), np.zeros(len(sheet), int), values, layout)


def _agent_and_dose(sheet: Sheet, layout: Layout, read: Numbers, names: Names) -> list[str]:
    agents = names(layout.header("agent"))
    if layout.header("dose") is None:
        return agents
    doses = read(layout.header("dose"))
    out = []
    for i, (agent, dose) in enumerate(zip(agents, doses, strict=True)):
        if not np.isfinite(dose) or dose < 0:
            raise sheet.error("a dose must be a number of 0 or more", i, layout.header("dose"),
                              sheet.cells(layout.header("dose"))[i], "Give the dose, 0 for placebo.")  # fmt: skip
        out.append((_PLACEBO if dose == 0 else f"{agent} {dose:g}") if agent else "")
    return out


def _across(sheet: Sheet, layout: Layout, read: Numbers, names: tuple[Names, Names], ledger: list[Entry]) -> ArmRows:
    study = names[0](layout.header("study"))
    refuse_empty_names(sheet, layout.header("study"), study, "study")
    if not layout.header("treatment", 1):
        study = told_apart_by_year(sheet, study, ledger)
    roles = sorted({r for r, slot in layout.columns if slot and r != "treatment"})
    count = read(layout.header("arms")) if layout.header("arms") else np.full(len(sheet), np.nan)
    count = np.where(np.isnan(count), np.inf, count)
    parts: dict[str, list] = {"study": [], "treatment": [], "position": [], "slot": [], **{r: [] for r in roles}}
    for slot in layout.slots:
        numbers = {r: read(h) if (h := layout.header(r, slot)) else np.full(len(sheet), np.nan) for r in roles}
        header = layout.header("treatment", slot)
        arm = names[1](header) if header else [("treatment", "control")[slot - 1]] * len(sheet)
        given = np.any([np.isfinite(v) for v in numbers.values()], axis=0)
        named = np.array([bool(t) for t in arm])
        nameless = np.flatnonzero(given & ~named & (slot <= count))
        if len(nameless):
            i = int(nameless[0])
            raise sheet.error(f"arm {slot} has numbers and no treatment", i, header, "", "Name its treatment.")
        beyond = np.flatnonzero(given & named & (slot > count))
        if len(beyond):
            i = int(beyond[0])
            raise sheet.error(f"arm {slot} has numbers, and the row says it has {count[i]:g} arms", i,
                              layout.header("arms"), sheet.cells(layout.header("arms"))[i],
                              "Correct the number of arms, or empty the cells of the arm.")  # fmt: skip
        use = np.flatnonzero(named & (slot <= count))
        parts["study"] += [study[i] for i in use]
        parts["treatment"] += [arm[i] for i in use]
        parts["position"].append(use)
        parts["slot"].append(np.full(len(use), slot))
        for role in roles:
            parts[role].append(numbers[role][use])
    armless = set(study) - set(parts["study"])
    for i, name in enumerate(study):
        if name in armless:
            where = (f"{sheet.file}:row {sheet.lines[i]}",)
            ledger.append(Entry(action="excluded", rule="numbers not reported", study=name,
                                reason="The row has no arm.", rows=where))  # fmt: skip
    if not layout.header("treatment", 1):
        ledger.append(Entry(action="note", rule="arms without names",
                            reason="The table does not name its treatments; its first arms are called 'treatment', "
                                   "its second 'control'."))  # fmt: skip
    position = np.concatenate(parts["position"])
    values = {r: np.concatenate(parts[r]) for r in roles}
    if layout.header("followup"):
        values["followup"] = read(layout.header("followup"))[position]
    return ArmRows(sheet, parts["study"], parts["treatment"], position, np.concatenate(parts["slot"]), values, layout)


def _demand(rows: ArmRows, role: str, ok: NDArray[np.bool_], what: str, fix: str) -> None:
    """Raise at the first arm whose number is given and not ok."""
    bad = np.flatnonzero(np.isfinite(rows.values[role]) & ~ok)
    if len(bad):
        raise rows.error(what, int(bad[np.argmin(rows.position[bad])]), role, fix)


def _check_events(rows: ArmRows, role: str = "events") -> None:
    r = rows.values[role]
    _demand(rows, role, r >= 0, "a number of events cannot be negative", "Give the number of patients with the event.")
    given = r[np.isfinite(r)]
    whole = given == np.round(given)
    if not whole.all():
        as_share = np.all(given <= 1)
        what = "is not a whole number of patients; it looks like a " + ("proportion" if as_share else "percentage")
        share = "proportion" if as_share else "percent / 100"
        fix = f"Give the number of patients with the event ({share} times n, rounded)."
        _demand(rows, role, r == np.round(r), what, fix)


def _check_counts(rows: ArmRows) -> None:
    values = rows.values
    _check_events(rows)
    if "nonevents" in values:
        _check_events(rows, "nonevents")
        if "n" not in values:
            values["n"] = values["events"] + values["nonevents"]
        values.pop("nonevents")
    n, r = values["n"], values["events"]
    if ("n", 0) in rows.layout.columns or any(role == "n" for role, _ in rows.layout.columns):
        _demand(rows, "n", n > 0, "the number of patients must be above 0",
                "Give the number analysed, or leave the arm's cells empty when it was not reported.")  # fmt: skip
        _demand(
            rows, "n", n == np.round(n), "is not a whole number of patients", "Give the number of patients analysed."
        )
    bad = np.flatnonzero(r > n)
    if len(bad):
        i = int(bad[np.argmin(rows.position[bad])])
        raise rows.error(
            f"more events than patients: {r[i]:g} of {n[i]:g}", i, "events",
            "Check both cells; if the events are a percentage, give the number of patients.",
        )  # fmt: skip


def _check_rates(rows: ArmRows) -> None:
    _check_events(rows)
    _demand(rows, "time_at_risk", rows.values["time_at_risk"] > 0, "time at risk must be above 0",
            "Give the time at risk of the arm (patients times follow-up), in one unit in all rows.")  # fmt: skip


def _check_levels(rows: ArmRows, counts: LevelCounts) -> None:
    """Check nested responses, and leave them cumulative: patients who reached at least each level."""
    roles = [f"level{slot}" for role, slot in rows.layout.columns if role == "level"]
    for role in roles:
        _check_events(rows, role)
    _demand(rows, "n", rows.values["n"] > 0, "the number of patients must be above 0", "Give the number analysed.")
    r = np.stack([rows.values[role] for role in roles], axis=1)
    known = np.isfinite(r)
    if counts == "exclusive":
        r = np.where(known, np.cumsum(np.where(known, r, 0.0)[:, ::-1], axis=1)[:, ::-1], np.nan)
        rows.values.update({role: r[:, i] for i, role in enumerate(roles)})
    for i in range(len(r)):
        at = np.flatnonzero(known[i])
        up = at[1:][np.diff(r[i, at]) > 0] if len(at) > 1 else at[:0]
        if len(up):
            raise rows.error(
                "more patients reach this level than an easier one", i, roles[int(up[0])],
                "Name the levels from the easiest to the hardest; if each patient is counted at the highest level "
                "reached only, say so: level_counts='exclusive'.",
            )  # fmt: skip
        if len(at) and r[i, at[0]] > rows.values["n"][i]:
            raise rows.error(f"more responders than patients: {r[i, at[0]]:g} of {rows.values['n'][i]:g}", i,
                             roles[int(at[0])], "Check the cells; cumulative counts are not 'exclusive'."
                             if counts == "exclusive" else "Check the cells of this arm.")  # fmt: skip


def _check_means(rows: ArmRows, measure: Measure, ledger: list[Entry]) -> None:
    values, size = rows.values, len(rows.study)
    for role, word in (("se", "a standard error"), ("sd", "a standard deviation")):
        if role in values:
            _demand(rows, role, values[role] >= 0, f"{word} cannot be negative", "Check the sign.")
            _demand(rows, role, values[role] > 0, f"{word} must be above 0",
                    "Give its value, or leave the cell empty when it was not reported.")  # fmt: skip
    if "n" in values:
        _demand(rows, "n", values["n"] > 0, "the number of patients must be above 0",
                "Give the number analysed, or leave the cell empty.")  # fmt: skip
    missing = np.full(size, np.nan)
    for role in ("se", "sd", "n"):
        values.setdefault(role, missing.copy())
    with np.errstate(invalid="ignore"):
        values["se"] = np.where(np.isfinite(values["se"]), values["se"], values["sd"] / np.sqrt(values["n"]))
        from_se = ~np.isfinite(values["sd"]) & np.isfinite(values["se"]) & np.isfinite(values["n"])
        if measure is SMD and from_se.any():
            values["sd"] = np.where(from_se, values["se"] * np.sqrt(values["n"]), values["sd"])
            ledger.append(Entry(action="changed", rule="standard deviation from standard error",
                                reason=f"For {from_se.sum()} arms the SD is their SE times the square root of n.",
                                rows=tuple(rows.label(i) for i in np.flatnonzero(from_se))))  # fmt: skip


#: what an arm must have, by kind of numbers, and how to call it
_NEEDS = {
    "counts": (("events", "events"), ("n", "n")),
    "means": (("mean", "mean"), ("se", "standard error (or SD with n)")),
    "rates": (("events", "events"), ("time_at_risk", "time at risk")),
    "followup": (("events", "events"), ("n", "n"), ("followup", "follow-up")),
    "levels": (("n", "n"), ("level", "level")),
}


def _complete(rows: ArmRows) -> tuple[ArmRows, list[Entry]]:
    """The arms with all numbers, and an entry for each of the others."""
    lost = []
    needs = _NEEDS[rows.layout.numbers]
    has = {role: np.any([np.isfinite(v) for k, v in rows.values.items() if k.startswith(role)], axis=0)
           if role == "level" else np.isfinite(rows.values[role]) for role, _ in needs}  # fmt: skip
    ok = np.all(list(has.values()), axis=0)
    complete = {(rows.study[i], rows.treatment[i]) for i in np.flatnonzero(ok)}
    for i in np.flatnonzero(~ok):
        if rows.layout.slots and (rows.study[i], rows.treatment[i]) in complete:
            continue  # another row of the study gives this arm's numbers
        lacking = " and ".join(word for role, word in needs if not has[role][i])
        lost.append(Entry(action="excluded", rule="numbers not reported", study=rows.study[i], arm=rows.treatment[i],
                          reason=f"The arm has no {lacking}.", rows=(rows.label(i),)))  # fmt: skip
    return rows.take(np.flatnonzero(ok)), lost


def comparable_arms(
    rows: ArmRows, ledger: list[Entry], repeated: RepeatedArms = "added up"
) -> tuple[ArmRows, list[tuple[str, ...]]]:
    """The arms with each treatment once per study unless they are to stay apart, in studies with at least two.

    Parameters
    ----------
    rows : ArmRows
    ledger : list of Entry
        Gets an entry for each study that is left out and each arm that is added up.
    repeated : {"added up", "apart"}
        What happens to groups of patients on one treatment in a study.

    Returns
    -------
    rows : ArmRows
    labels : list of tuple of str
        The evidence rows behind each arm.

    Raises
    ------
    DataError
        When an arm stands twice in the table.
    """
    rows, labels = _one_arm_per_treatment(rows, ledger, repeated)
    arms = Counter(rows.study)
    for i, study in enumerate(rows.study):
        if arms[study] == 1:
            ledger.append(Entry(action="excluded", rule="one arm", study=study, arm=rows.treatment[i],
                                reason="One arm gives no contrast.", rows=labels[i]))  # fmt: skip
    keep = [i for i, study in enumerate(rows.study) if arms[study] > 1]
    return rows.take(np.array(keep, int)), [labels[i] for i in keep]


def arm_block(
    rows: ArmRows, labels: list[tuple[str, ...]], at_study: dict[str, int], at_treatment: dict[str, int]
) -> ArmBlock:
    """The block of arms, sorted by study and treatment.

    Parameters
    ----------
    rows, labels
        As `comparable_arms` returns them.
    at_study, at_treatment : dict of name to position
    """
    study = np.array([at_study[name] for name in rows.study])
    treatment = np.array([at_treatment[name] for name in rows.treatment])
    order = np.lexsort((treatment, study))
    v = {role: values[order] for role, values in rows.values.items()}
    common = {"study": study[order], "treatment": treatment[order], "rows": tuple("; ".join(labels[i]) for i in order)}
    if rows.layout.numbers == "counts":
        return ArmCounts(r=v["events"], n=v["n"], **common)
    if rows.layout.numbers == "rates":
        return ArmRates(r=v["events"], E=v["time_at_risk"], **common)
    if rows.layout.numbers == "followup":
        return ArmFollowUp(r=v["events"], n=v["n"], E=v["followup"], **common)
    if rows.layout.numbers == "levels":
        roles = sorted((r for r in v if r.startswith("level")), key=lambda r: int(r[5:]))
        return ArmLevels(r=np.stack([v[r] for r in roles], axis=1), n=v["n"], **common)
    return ArmMeans(y=v["mean"], se=v["se"], sd=v["sd"], n=v["n"], **common)


def _one_arm_per_treatment(
    rows: ArmRows, ledger: list[Entry], repeated: RepeatedArms
) -> tuple[ArmRows, list[tuple[str, ...]]]:
    """The arms with each treatment once per study unless they stay apart, and the evidence rows of each."""
    at: dict[tuple[str, str], list[int]] = {}
    for i, key in enumerate(zip(rows.study, rows.treatment, strict=True)):
        at.setdefault(key, []).append(i)
    if len(at) == len(rows.study):
        return rows, [(rows.label(i),) for i in range(len(rows.study))]
    treatments_of = Counter(study for study, _ in at)
    in_turn = _repeats_in_turn(rows)
    values = {role: v.copy() for role, v in rows.values.items()}
    keep, labels = [], []
    for (study, treatment), where in at.items():
        keep.append(where[0])
        labels.append(tuple(dict.fromkeys(rows.label(i) for i in where)))
        if len(where) == 1:
            continue
        same = all(np.array_equal(v[where[:1]], v[[i]], equal_nan=True) for v in values.values() for i in where[1:])
        if rows.layout.slots and same and len({rows.position[i] for i in where}) == len(where):
            continue  # one row per comparison: the arm stands in each row of its study
        if repeated == "apart" and not same:
            keep[-1:], labels[-1:] = where, [(rows.label(i),) for i in where]
            ledger.append(Entry(action="note", rule="arms of one treatment kept apart", study=study, arm=treatment,
                                reason=f"{len(where)} arms of this treatment stay apart.",
                                rows=tuple(rows.label(i) for i in where)))  # fmt: skip
            continue
        _refuse_unless_groups(rows, where, same, treatments_of[study], in_turn=study in in_turn)
        for role, v in values.items():
            if role != "followup":  # equal in the groups; they are refused otherwise
                v[where[0]] = v[where].sum()
        ledger.append(Entry(action="changed", rule="groups on one treatment added up", study=study, arm=treatment,
                            reason=f"{len(where)} groups of different size on this treatment were added up to one arm.",
                            rows=labels[-1]))  # fmt: skip
    rows = ArmRows(rows.sheet, rows.study, rows.treatment, rows.position, rows.slot, values, rows.layout)
    return rows.take(np.array(keep)), labels


def _repeats_in_turn(rows: ArmRows) -> set[str]:
    """Studies whose rows are p, x, p, x: all their treatments, again in the same order."""
    listed: dict[str, list[str]] = {}
    for study, treatment in zip(rows.study, rows.treatment, strict=True):
        listed.setdefault(study, []).append(treatment)
    sizes = {study: len(set(names)) for study, names in listed.items()}
    return {
        study
        for study, names in listed.items()
        if len(names) > sizes[study] and names == names[: sizes[study]] * (len(names) // sizes[study])
    }


def _refuse_unless_groups(rows: ArmRows, where: list[int], same: bool, n_treatments: int, in_turn: bool) -> None:
    """Raise unless repeated rows are, by their numbers, different groups of patients that can be added up.

    Where all treatments of a study come again in the same order, the rows are two studies or strata, and adding them up
    would compare patients of one with patients of the other.
    """
    first, second = where[:2]
    lines = f"rows {rows.sheet.lines[rows.position[first]]} and {rows.sheet.lines[rows.position[second]]}"
    told_apart = _differing_column(rows, first, second)
    if told_apart:
        what = f"the treatment stands twice in this study ({lines}), told apart by column {told_apart!r}"
        fix = f"Keep the rows of one value of {told_apart!r}, or make it part of the treatment's name."
    elif same:
        what = f"the arm stands twice, with the same numbers ({lines})"
        fix = "Delete one of the two rows."
    else:
        sized = [rows.values[role] for role in ("time_at_risk", "n") if role in rows.values]
        distinct = any(len({v[i] for i in where}) == len(where) for v in sized)
        distinct &= "followup" not in rows.values or len({rows.values["followup"][i] for i in where}) == 1
        groups = rows.layout.numbers != "means" and not rows.layout.slots and distinct and n_treatments > 1
        if groups and not in_turn:
            return
        what = f"the treatment stands twice in this study ({lines}), with different numbers"
        fix = "Keep one row, give the two arms different names (dose, schedule), or repeated_arms='apart'."
        if groups:
            what = f"the treatment stands twice in this study ({lines}), and all others come again in the same order"
            fix = "If these are two studies, or two strata of one, give each its own study name."
    role = "treatment" if rows.layout.header("treatment", int(rows.slot[second])) else "agent"
    if rows.layout.slots and not rows.layout.header("treatment", 1):
        role = "study"
        fix = "Give each study its own name, or keep one of its rows."
    raise rows.error(what, second, role, fix)


def _differing_column(rows: ArmRows, first: int, second: int) -> str | None:
    used = set(rows.layout.columns.values())
    for header in rows.sheet.header:
        if header not in used and "".join(c for c in header.casefold() if c.isalnum()) in _DISTINGUISHES:
            cells = rows.sheet.cells(header)
            if cells[rows.position[first]] != cells[rows.position[second]]:
                return header
    return None
