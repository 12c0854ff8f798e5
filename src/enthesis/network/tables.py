"""A user's own table becomes a network: `from_table`.

The layout is recognised by the names of the columns (`layouts`, `headers`), what was read as what is echoed in
`network.mapping` and the ledger, and what cannot be used is either refused with the cell and the mend, or left out
with an entry in the ledger: arms without numbers, studies with one arm. Studies and treatments are sorted by name
(numbers in names by value), so the order of rows changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np

from enthesis.errors import DataError, UsageError, unknown_name
from enthesis.network.arms import ArmRows, LevelCounts, RepeatedArms, arm_block, comparable_arms, read_arms
from enthesis.network.blocks import Block, Contrasts
from enthesis.network.cells import Numbers, natural_order
from enthesis.network.contrasts import ContrastRows, contrast_block, read_contrasts
from enthesis.network.headers import check_roles, level_headers, plain, read_headers, told_measure, unused
from enthesis.network.layouts import Layout, choose
from enthesis.network.ledger import Entry, Ledger, after_exclusions
from enthesis.network.measures import EFFECT, HR, IRR, MD, MEASURES, OR, ContinuityCorrection, Measure
from enthesis.network.measures import measure as named_measure
from enthesis.network.network import Network, Treatment
from enthesis.network.reading import Sheet, read_table
from enthesis.network.study_columns import beside

#: names that a reference treatment usually has, compared in lower case
_REFERENCES = re.compile(
    r"placebo|pbo|plac|control|controls|no (treatment|intervention|contact|therapy|drug|prophylaxis)|usual care|"
    r"care as usual|standard (care|of care|treatment|therapy)|soc|treatment as usual|tau|wait(ing)?[ -]?list|sham|"
    r"untreated|unvaccinated|supportive care|best supportive care|observation( only)?|nothing|none|vehicle"
)


def from_table(
    table: Any,
    *,
    measure: str | Measure | None = None,
    reference: str | None = None,
    better: Literal["higher", "lower"] | None = None,
    columns: Mapping[str, str | Sequence[str]] | None = None,
    level_counts: LevelCounts | None = None,
    repeated_arms: RepeatedArms = "added up",
    study: str | None = None,
    treatment: str | None = None,
    comparator: str | None = None,
    events: str | None = None,
    n: str | None = None,
    mean: str | None = None,
    sd: str | None = None,
    se: str | None = None,
    time_at_risk: str | None = None,
    effect: str | None = None,
    lower: str | None = None,
    upper: str | None = None,
    statistic: str | None = None,
    p: str | None = None,
    correction: ContinuityCorrection | None = None,
    title: str = "",
) -> Network:
    """A network from a table of studies.

    Parameters
    ----------
    table : path, data frame, dictionary of columns, or list of records
        One row per arm (events and n; mean with sd and n, or se; events and time at risk; for HR events, n and
        follow-up; for nested responses n and the levels), one row per study with
        numbered columns (`t1, r1, n1, t2, ...`), or one row per contrast (`TE, seTE, treat1, treat2`; or gemtc's
        `diff, std.err` with an empty `diff` in the study's baseline row, whose standard error is that of the
        baseline arm). A table may hold rows of arms and, for other studies, rows of contrasts. Effects of ratios are
        logarithms, unless the column is called `OR`, `RR`, `HR` or `IRR`. Where a contrast has no standard error, it
        is rebuilt from its variance, 95 % interval, statistic or p-value.
    measure : str or Measure, optional
        By default OR for counts, MD for means, IRR for rates; for contrasts what the name of the effect column says
        (`lnOR`), else EFFECT.
    reference : str, optional
        By default the one treatment called placebo, control or the like, else the one in most studies.
    better : {"higher", "lower"}, optional
        Whether more of the outcome is good; without it nothing is ranked as best.
    columns : dict of role to column, optional
        Which column is what, where names do not tell: `{"events": "resp"}`. The arguments `study` to `p` say
        the same one by one. `{"levels": ["pasi50", "pasi75"]}` reads nested responses, the easiest level first.
    level_counts : {"cumulative", "exclusive"}, optional
        Needed with levels: whether a cell counts all patients who reached the level, or only those who reached no
        higher one that the arm reports.
    repeated_arms : {"added up", "apart"}
        Groups of patients on one treatment in a study: one arm, or arms of their own, each with its random effect.
    correction : ContinuityCorrection, optional
        For models that work on contrasts; 0.5 where a comparison has a zero cell by default.
    title : str
        For the reader.

    Returns
    -------
    Network
        With `mapping` (role → column) and a `ledger` of all that was left out, changed or noted. A column `class`
        gives the treatments their class; other columns that say one number (or one of two words) about each study are
        kept as `covariates`.

    Raises
    ------
    DataError
        When the table cannot be used as it stands: file, row, column, value and what to do.
    UsageError
        When a column, measure or treatment that was named does not exist.

    Examples
    --------
    >>> import enthesis as en
    >>> network = en.from_table([
    ...     {"study": "A", "treatment": "placebo", "events": 4, "n": 50},
    ...     {"study": "A", "treatment": "drug", "events": 9, "n": 52},
    ... ])
    >>> network.measure.name, network.reference, network.treatment_names
    ('OR', 'placebo', ('drug', 'placebo'))
    """
    chosen = named_measure(measure) if measure is not None else None
    if better not in (None, "higher", "lower"):
        raise UsageError(f"better must be 'higher' or 'lower', not {better!r}")
    named = {"study": study, "treatment": treatment, "comparator": comparator, "events": events, "n": n, "mean": mean,
             "sd": sd, "se": se, "time_at_risk": time_at_risk, "effect": effect, "lower": lower,
             "upper": upper, "statistic": statistic, "p": p}  # fmt: skip
    sheet = read_table(table)
    if repeated_arms not in get_args(RepeatedArms):
        raise unknown_name("way with repeated arms", repeated_arms, get_args(RepeatedArms))
    roles = dict(columns or {})
    levels = _levels(roles.pop("levels", None), level_counts, sheet)
    asked = check_roles({**roles, **{k: v for k, v in named.items() if v is not None}})
    found = replace(read_headers(sheet.header, asked, sheet.file), levels=levels)
    layout, others = choose(found, sheet, chosen)
    chosen = chosen or _default_measure(layout, others)
    ledger: list[Entry] = []
    studies, names, blocks, arms, contrasts = _blocks(
        sheet, layout, others, chosen, ledger, level_counts or "cumulative", repeated_arms
    )
    if not studies or len(names) < 2:
        raise DataError(
            f"nothing to compare: {len(studies)} studies and {len(names)} treatments are left"
            f"{after_exclusions(ledger)}",
            file=sheet.file, fix="Give at least one study with numbers for two treatments.",
        )  # fmt: skip
    covariates, classes, used = beside(sheet, layout, found, arms, contrasts, studies, ledger)
    used = set(used) | one_kind_of_rate(sheet, layout, arms)
    ledger[:0] = [*sheet.notes, *_mapping_notes(sheet, layout, others, chosen, used)]
    return Network(
        studies=studies,
        treatments=tuple(Treatment(name=t, drug_class=classes.get(t, "")) for t in names),
        covariates=covariates,
        blocks=blocks,
        measure=chosen,
        reference=_reference(reference, studies, names, blocks, ledger),
        better=better,
        title=title,
        correction=correction or ContinuityCorrection(),
        ledger=Ledger(tuple(ledger)),
        mapping={"file": sheet.file, **layout.mapping(), "measure": chosen.name},
    )


def _levels(asked: object, counts: str | None, sheet: Sheet) -> tuple[str, ...]:
    """The columns of nested responses, with what their cells count said by the user."""
    levels = level_headers(asked, sheet.header)
    if counts not in (None, *get_args(LevelCounts)):
        raise unknown_name("way of counting levels", counts, get_args(LevelCounts))
    if levels and counts is None:
        raise UsageError(
            f"say what the levels {', '.join(levels)} count: level_counts='cumulative' when a cell holds all patients "
            "who reached the level, 'exclusive' when it holds those who reached no higher one."
        )
    return levels


def _blocks(
    sheet: Sheet,
    layout: Layout,
    others: list[Layout],
    measure: Measure,
    ledger: list[Entry],
    level_counts: LevelCounts,
    repeated: RepeatedArms,
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[Block, ...], ArmRows | None, ContrastRows | None]:
    """Studies, treatments and blocks in their final order, with the rows behind them; what was left out goes to the
    ledger.
    """
    arms = contrasts = None
    if layout.numbers == "contrasts":
        read = _numbers(sheet, layout)
        contrasts = read_contrasts(sheet, layout, read, measure, ledger, apart=repeated == "apart")
    else:
        spare = next((x for x in others if x.shape == "contrast per row" and x.allows(measure)), None)
        spare = spare if layout.header("treatment", 1) or layout.shape == "arm per row" else None
        read = _numbers(sheet, layout, spare)
        rows, lost = read_arms(sheet, layout, read, measure, ledger, level_counts=level_counts)
        if lost and spare:
            contrasts, rows, lost = _completed(sheet, layout, spare, read, measure, rows, lost, ledger)
        ledger += lost
        arms = comparable_arms(rows, ledger, repeated)
    ledger += read.notes
    named = [r for r in (arms[0] if arms else None, contrasts) if r is not None]
    studies = tuple(natural_order({s for r in named for s in r.study}))
    versus = contrasts.comparator if contrasts else []
    treatments = tuple(natural_order({t for r in named for t in r.treatment} | set(versus)))
    at = {s: i for i, s in enumerate(studies)}, {t: i for i, t in enumerate(treatments)}
    blocks: list[Block] = []
    if arms and arms[1]:
        blocks.append(arm_block(*arms, *at))
    if contrasts and contrasts.study:
        blocks.append(contrast_block(contrasts, sheet, *at))
    return studies, treatments, tuple(blocks), arms[0] if arms else None, contrasts


def _numbers(sheet: Sheet, *layouts: Layout | None) -> Numbers:
    columns = {h for x in layouts if x for (role, _), h in x.columns.items() if role not in _NAME_ROLES}
    return Numbers(sheet, [h for h in sheet.header if h in columns])


def _completed(
    sheet: Sheet,
    layout: Layout,
    spare: Layout,
    read: Numbers,
    measure: Measure,
    rows: ArmRows,
    lost: list[Entry],
    ledger: list[Entry],
) -> tuple[ContrastRows, ArmRows, list[Entry]]:
    """Studies whose arms lack numbers, read from the table's contrasts instead."""
    short = {entry.study for entry in lost}
    if layout.shape == "arm per row":
        short -= set(rows.study)  # a row without numbers beside arms that have them is an arm not reported
    contrasts = read_contrasts(sheet, spare, read, measure, ledger, only=short)
    found = set(contrasts.study)
    if found:
        reason = f"{len(found)} studies without numbers for every arm were read from their contrasts."
        ledger.append(Entry(action="note", rule="arms and contrasts", reason=reason))
    keep = [i for i, study in enumerate(rows.study) if study not in found]
    return contrasts, rows.take(np.array(keep, int)), [e for e in lost if e.study not in found]


def one_kind_of_rate(sheet: Sheet, layout: Layout, arms: ArmRows | None) -> set[str]:
    """Refuse rates of events beside rates of patients with an event, where a column `rate_of` says which is which.

    A count of zero is zero of both kinds.

    Returns
    -------
    set of str
        The column, when there is one.

    Raises
    ------
    DataError
        Naming a row of either kind, or a row that does not say.
    """
    header = next((h for h in sheet.header if plain(h) == "rateof"), None)
    if header is None or arms is None or layout.numbers != "rates":
        return set()
    first: dict[str, int] = {}
    for i, position in enumerate(arms.position):
        if arms.values["events"][i] > 0:
            first.setdefault(sheet.cells(header)[position].strip().lower() or "unstated", int(position))
    for kind in sorted(first):
        if kind not in ("events", "patients"):
            what = "does not say whether the rate counts events or patients with an event"
            fix = "Write events or patients in every row."
            raise sheet.error(what, first[kind], header, sheet.cells(header)[first[kind]], fix)
    if len(first) > 1:
        rows = " and ".join(f"row {sheet.lines[first[kind]]} counts {kind}" for kind in ("events", "patients"))
        raise sheet.error(f"rates of events and rates of patients with an event are never pooled: {rows}",
                          first["patients"], header, "patients", "Keep the rows of one kind.")  # fmt: skip
    return {header}


_NAME_ROLES = frozenset(["study", "treatment", "agent"])


def _default_measure(layout: Layout, others: list[Layout]) -> Measure:
    """What the name of an effect column says, where the layout allows it; else the usual one."""
    for header in filter(None, (x.header("effect") for x in (layout, *others))):
        told = told_measure(header)[0]
        if told and layout.allows(MEASURES[told]):
            return MEASURES[told]
    usual = {"counts": OR, "levels": OR, "means": MD, "rates": IRR, "followup": HR, "contrasts": EFFECT}
    return usual[layout.numbers]


def _mapping_notes(
    sheet: Sheet, layout: Layout, others: list[Layout], measure: Measure, beside: set[str]
) -> list[Entry]:
    mapping = layout.mapping()
    said = "; ".join(f"{role} = {header}" for role, header in mapping.items() if role != "layout")
    ignored = unused(sheet.header, set(layout.columns.values()) | beside)
    reason = f"{sheet.file} was read as {mapping['layout']}: {said}; measure {measure.name}."
    if ignored:
        reason += f" Not used: {', '.join(h[:40] for h in ignored[:20])}{', …' if len(ignored) > 20 else ''}."
    notes = [Entry(action="note", rule="columns", reason=reason)]
    if others:
        also = "; ".join(f"{x.shape} ({x.numbers})" for x in others)
        notes.append(Entry(action="note", rule="several layouts fit",
                           reason=f"The table could also be read as {also}; name columns or a measure to choose.",
                           ))  # fmt: skip
    return notes


def _reference(
    asked: str | None,
    studies: tuple[str, ...],
    names: tuple[str, ...],
    blocks: tuple[Block, ...],
    ledger: list[Entry],
) -> str:
    if asked is not None:
        wanted = " ".join(str(asked).split())
        for name in names:
            if name.casefold() == wanted.casefold():
                return name
        raise unknown_name("treatment", asked, names)
    usual = [name for name in names if _is_usual_reference(name)]
    if len(usual) == 1:
        name, why = usual[0], "the one treatment with the name of a usual comparator"
    else:
        counts = _studies_of_each(names, blocks)
        at = int(np.argmax(counts))  # of equals, the first by name
        name, why = names[at], f"the treatment in most studies ({counts[at]} of {len(studies)})"
    ledger.append(Entry(action="note", rule="reference", arm=name, reason=f"{name!r} is the reference: {why}."))
    return name


def _studies_of_each(names: tuple[str, ...], blocks: tuple[Block, ...]) -> np.ndarray:
    """In how many studies each treatment is, shape (treatments,)."""
    pairs = [block.study * len(names) + block.treatment for block in blocks]
    pairs += [block.study * len(names) + block.comparator for block in blocks if isinstance(block, Contrasts)]
    return np.bincount(np.unique(np.concatenate(pairs)) % len(names), minlength=len(names))


def _is_usual_reference(name: str) -> bool:
    parts = re.split(r"\s*/\s*|\s+or\s+", name.casefold().replace("_", " "))
    return all(_REFERENCES.fullmatch(part.strip()) for part in parts)
