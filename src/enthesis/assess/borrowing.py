"""Borrowing for a user's own question: a table of results from elsewhere, own data, and the answer over the weight.

A row of the table is a relative effect (a ratio with its interval) or events and patient-years on both sides. Rows of
the own indication are own data. A row with one side only is an absolute rate and is refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from enthesis.errors import DataError, ModelError, UsageError
from enthesis.inference.borrowing import BorrowingTable, borrowing_table, tipping_points
from enthesis.models.borrowing import AbsoluteRate, Belief, Conclusion, RelativeEffect, transport
from enthesis.models.one_parameter import EffectEstimate, EventCounts
from enthesis.network.cells import Numbers
from enthesis.network.reading import Sheet, read_table

#: column of each role, by what people call it
_ROLES = {
    "study": ("study", "study_id", "source"),
    "indication": ("indication", "disease", "population"),
    "stratum": ("stratum", "risk_stratum", "subgroup"),
    "outcome": ("outcome", "event"),
    "treatment": ("treatment", "exposure"),
    "comparator": ("comparator", "control"),
    "measure": ("measure", "effect_measure"),
    "ratio": ("ratio", "hr", "irr", "rr", "hazard_ratio", "rate_ratio", "estimate"),
    "lower": ("lower", "ci_low", "ci_lower", "lcl"),
    "upper": ("upper", "ci_high", "ci_upper", "ucl"),
    "events": ("events", "events_treatment"),
    "time": ("time_at_risk", "patient_years", "time", "py", "time_treatment"),
    "comparator_events": ("comparator_events", "events_comparator", "control_events"),
    "comparator_time": ("comparator_time", "comparator_patient_years", "time_comparator", "control_time"),
}
_NUMBERS = ("ratio", "lower", "upper", "events", "time", "comparator_events", "comparator_time")
_SIDES = ("events", "time", "comparator_events", "comparator_time")


def read_effects(table: Any, *, elsewhere: str = "elsewhere") -> tuple[RelativeEffect | AbsoluteRate, ...]:
    """The rows of a table of relative effects.

    Parameters
    ----------
    table : path, data frame or rows
        study; ratio, lower, upper (95 %), or events, time_at_risk, comparator_events, comparator_time; optionally
        indication, stratum, outcome, treatment, comparator, measure (IRR, HR, RR, OR).
    elsewhere : str
        Indication of rows of a table without that column.

    Returns
    -------
    tuple of RelativeEffect
        A row with one side only is an AbsoluteRate, which `transport` refuses.

    Raises
    ------
    DataError
        When a cell cannot be used, with its place.

    Examples
    --------
    >>> rows = read_effects([{"study": "A", "hr": 1.33, "lower": 0.91, "upper": 1.94}])
    >>> round(rows[0].data.estimate, 3)
    0.285
    """
    sheet = read_table(table)
    columns = _columns(sheet)
    numbers = Numbers(sheet, [columns[r] for r in _NUMBERS if r in columns])
    values = {r: numbers(columns[r]) for r in _NUMBERS if r in columns}
    rows = []
    for i in range(len(sheet)):
        words = {r: str(sheet.cells(h)[i]).strip() for r, h in columns.items() if r not in _NUMBERS}
        cell = {r: float(v[i]) for r, v in values.items() if not math.isnan(v[i])}
        rows.append(_row(sheet, i, columns, words, cell, elsewhere))
    if not rows:
        raise DataError("has no row", file=sheet.file, fix="Write one row for each study.")
    return tuple(rows)


def _columns(sheet: Sheet) -> dict[str, str]:
    names = {re.sub(r"[\s.-]+", "_", h.casefold()): h for h in reversed(sheet.header)}
    found = {role: next((names[w] for w in words if w in names), None) for role, words in _ROLES.items()}
    columns = {role: header for role, header in found.items() if header is not None}
    if "study" not in columns:
        raise DataError("has no column that names the study", file=sheet.file, fix="Call it study.")
    if not {"ratio", "lower", "upper"} <= set(columns) and not set(_SIDES[:2]) <= set(columns):
        raise DataError(
            "has neither ratio, lower and upper nor events and times at risk", file=sheet.file,
            fix="Give columns study, ratio, lower, upper; or study, events, time_at_risk, comparator_events, "
            "comparator_time.",
        )  # fmt: skip
    return columns


def _row(
    sheet: Sheet, i: int, columns: dict[str, str], words: dict[str, str], cell: dict[str, float], elsewhere: str
) -> RelativeEffect | AbsoluteRate:
    def wrong(problem: str, role: str, fix: str) -> DataError:
        value = sheet.cells(columns[role])[i] if role in columns else ""
        return sheet.error(problem, i, columns.get(role, role), value, fix)

    study = words.get("study", "")
    if not study:
        raise wrong("names no study", "study", "Write the name of the study.")
    common: dict[str, Any] = {
        "study": study, "indication": words.get("indication") or elsewhere,
        "outcome": words.get("outcome") or "outcome", "treatment": words.get("treatment") or "treatment",
        "source": f"{sheet.file}:row {sheet.lines[i]}",
    }  # fmt: skip
    has_ratio, sides = {"ratio", "lower", "upper"} <= set(cell), [r for r in _SIDES if r in cell]
    if not has_ratio and set(sides) == {"events", "time"}:
        return AbsoluteRate(events=cell["events"], exposure=cell["time"], **common)
    try:
        if has_ratio:
            data: EffectEstimate | EventCounts = EffectEstimate.from_interval(
                cell["ratio"], cell["lower"], cell["upper"]
            )
        elif len(sides) == 4:
            data = EventCounts(
                events=cell["events"], exposure=cell["time"], comparator_events=cell["comparator_events"],
                comparator_exposure=cell["comparator_time"],
            )  # fmt: skip
        else:
            missing = next(r for r in (*_SIDES, "ratio") if r not in cell)
            raise wrong(
                "is empty, and the row gives no ratio with its interval", missing, "Fill it, or leave the row out."
            )
    except DataError as problem:
        if problem.file:
            raise
        role = {"exposure": "time", "comparator_exposure": "comparator_time"}.get(problem.column, problem.column)
        raise wrong(problem.what, role or "ratio", problem.fix or "Mend the cell.") from None
    measure = (words.get("measure") or ("HR" if columns.get("ratio", "").casefold() == "hr" else "IRR")).upper()
    return RelativeEffect(
        data=data, measure=measure, stratum=words.get("stratum") or "all",
        comparator=words.get("comparator") or "comparator", **common,
    )  # fmt: skip


def own_counts(text: str) -> EventCounts:
    """Own events and patient-years as typed: `3/600,1/450`, treatment first.

    Examples
    --------
    >>> own_counts("3/600, 1/450").comparator_exposure
    450.0
    """
    number = r"\s*([0-9]+(?:\.[0-9]+)?)\s*"
    found = re.fullmatch(f"{number}/{number},{number}/{number}", text[:200])
    if not found:
        raise UsageError(
            f"own data {text[:60]!r} must be events/patient-years of the treatment, then of the comparator, such as "
            "3/600,1/450."
        )
    a, s, b, t = (float(x) for x in found.groups())
    return EventCounts(events=a, exposure=s, comparator_events=b, comparator_exposure=t)


@dataclass(frozen=True, kw_only=True)
class BorrowingAnswer:
    """The answer to a question with borrowed data.

    Parameters
    ----------
    table : BorrowingTable
    external : tuple of RelativeEffect
    tipping : tuple of float
        Weights at which the conclusion changes.
    conclusion : Conclusion
    weight : float
        The weight that is reported.
    sentences : tuple of str
    """

    table: BorrowingTable
    external: tuple[RelativeEffect, ...]
    tipping: tuple[float, ...]
    conclusion: Conclusion
    weight: float
    sentences: tuple[str, ...]

    def rows(self) -> list[dict[str, Any]]:
        """One row per weight, ratios on their own scale."""
        made = []
        for row in self.table.rows():
            line = {"weight": row["weight"]}
            line |= {
                name: math.exp(row[key])
                for name, key in (("ratio", "estimate"), ("lower", "lower"), ("upper", "upper"))
            }
            line |= {f"p_above_{math.exp(t):g}": p for t, p in row["probability_above"].items()}
            line |= {name: row[name] for name in ("ess_prior", "ess_borrowed", "posterior_weight")}
            made.append(line)
        return made


def answer(
    own: Sequence[EventCounts | EffectEstimate],
    rows: Sequence[RelativeEffect | AbsoluteRate],
    belief: Belief,
    *,
    to: str,
    stratum: str = "all",
    thresholds: Sequence[float] = (1.0,),
    probability: float = 0.975,
    weights: Sequence[float] | None = None,
) -> BorrowingAnswer:
    """Own data with what may be borrowed, over the weight.

    Parameters
    ----------
    own : sequence of EventCounts or EffectEstimate
        Added to the rows of the table whose indication is `to`.
    rows : sequence of RelativeEffect
    belief : Belief
        With a weight; its own weight is the one reported.
    to : str
        The own indication.
    stratum : str
    thresholds : sequence of float
        Ratios; the first is that of the conclusion.
    probability : float
        The conclusion holds when the ratio is above (or below) the first threshold with at least this probability.
    weights : sequence of float, optional

    Returns
    -------
    BorrowingAnswer
    """
    if not thresholds or min(thresholds) <= 0:
        raise UsageError("a threshold is a ratio above 0.")
    here = [r for r in rows if r.indication == to]
    for row in here:
        if isinstance(row, AbsoluteRate):
            raise ModelError(
                f"{row.study}: own data need both sides: events and patient-years of treatment and comparator, or a "
                "ratio."
            )
    in_stratum = [r for r in here if isinstance(r, RelativeEffect) and r.stratum == stratum]
    own_rows = [*own, *(in_stratum or [r for r in here if isinstance(r, RelativeEffect) and r.stratum == "all"])]
    external = transport(rows, to=to, stratum=stratum)
    table = borrowing_table(own_rows, external, belief, weights=weights, thresholds=[math.log(t) for t in thresholds])
    used = table.at(belief.weight)
    side = "above" if used.probability_above(math.log(thresholds[0])) >= 0.5 else "below"
    conclusion = Conclusion(threshold=math.log(thresholds[0]), side=side, probability=probability)
    tipping = tipping_points(table, conclusion)
    return BorrowingAnswer(
        table=table, external=external, tipping=tipping, conclusion=conclusion, weight=belief.weight,
        sentences=_sentences(table, used, external, conclusion, tipping, to),
    )  # fmt: skip


def _sentences(
    table: BorrowingTable, used: Any, external: Sequence[RelativeEffect], conclusion: Conclusion,
    tipping: tuple[float, ...], to: str,
) -> tuple[str, ...]:  # fmt: skip
    def told(result: Any) -> str:
        estimate, lower, upper = result.rate_ratio
        return f"{estimate:.2f} ({lower:.2f} to {upper:.2f})"

    places = ", ".join(sorted({r.indication for r in external}))
    n = len(external)
    own = table.setup.own
    events = f" with {sum(r.total for r in own):g} events" if own and all(hasattr(r, "total") for r in own) else ""
    here = f" of {to}" if to != "own" else ""
    weight = used.belief.weight
    after = (
        f"; the borrowed part had a probability of {weight:g} before the own data and has {used.posterior_weight:.2f} "
        "after"
        if used.posterior_weight is not None
        else ""
    )
    said = [
        f"Own data: {len(own)} row{'s' * (len(own) != 1)}{here}{events}. Borrowed: {n} relative effect"
        f"{'s' * (n != 1)} from {places}.",
        f"Ratio {told(table.at(0.0))} with nothing borrowed, {told(used)} at weight {weight:g}, "
        f"{told(table.at(1.0))} with all.",
        f"At weight {weight:g} the prior is worth {used.ess_prior:.0f} events{after}.",
        used.conflict.sentence,
    ]
    if tipping:
        at = " and ".join(f"{t:.2f}" for t in tipping)
        said.append(f"Whether {conclusion} holds changes at weight {at}.")
    else:
        said.append(f"{conclusion} holds at {'every' if _holds(used, conclusion) else 'no'} weight.")
    return tuple(said)


def _holds(result: Any, conclusion: Conclusion) -> bool:
    above = result.probability_above(conclusion.threshold)
    return (above if conclusion.side == "above" else 1 - above) >= conclusion.probability
