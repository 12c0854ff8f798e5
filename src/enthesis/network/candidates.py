"""Candidates: every result row of the evidence, joined with its study, its arm and the judgement on its eligibility.

Made once per evidence and kept, so that sixty questions do not join the same tables sixty times.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan, sqrt
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from enthesis.evidence.rate_kind import rate_kind

if TYPE_CHECKING:
    import pandas as pd

    from enthesis.evidence import Evidence

#: 97.5 % point of the normal distribution: half the width of a 95 % interval in standard errors
Z95 = 1.959963984540054

_NUMBERS = ("events", "n", "percent", "mean", "sd", "se", "ci_low", "ci_high", "patient_years")


@dataclass(frozen=True, slots=True)
class Row:
    """One result row.

    Numbers are None where the evidence has none. `study` and `arm` are rows of those tables; `arm` is None when the
    arm is not described. `rate_of` is what a rate counts: events, patients or unstated; empty for other rows.
    """

    id: str
    place: int
    study: dict[str, Any]
    arm: dict[str, Any] | None
    arm_id: str
    subgroup: str
    outcome: str
    week: float | None
    kind: str
    events: float | None
    n: float | None
    percent: float | None
    mean: float | None
    sd: float | None
    se: float | None
    ci_low: float | None
    ci_high: float | None
    patient_years: float | None
    derived: bool
    estimator: str
    check: str
    preferred: bool
    use: str
    why: str
    rate_of: str = ""

    @property
    def study_id(self) -> str:
        """Name of the study."""
        return self.study["study_id"]

    @property
    def count(self) -> float | None:
        """Events as printed, or the only whole number that the printed percentage of n can stand for."""
        if self.events is not None or self.percent is None or not self.n:
            return self.events
        fitting = whole_numbers(self.percent, self.n)
        return fitting[0] if len(fitting) == 1 else None

    @property
    def counted_here(self) -> bool:
        """Whether `count` is computed from the percentage by us, not by the evidence table."""
        return self.events is None and self.count is not None

    @property
    def standard_error(self) -> tuple[float | None, str]:
        """Standard error of the mean, and how it was obtained (empty when printed)."""
        if self.se is not None:
            return self.se, ""
        if self.sd is not None and self.n:
            return self.sd / sqrt(self.n), "standard deviation and n"
        if self.ci_low is not None and self.ci_high is not None:
            return (self.ci_high - self.ci_low) / (2 * Z95), "interval, read as 95 % and normal"
        return None, ""


def whole_numbers(percent: float, n: float) -> list[float]:
    """The numbers of events out of n that print as this percentage, to the digits that it has.

    Examples
    --------
    >>> whole_numbers(39.6, 48), whole_numbers(39.7, 48), whole_numbers(12, 204)
    ([19.0], [], [24.0, 25.0])
    """
    written = f"{percent:.6f}".rstrip("0").rstrip(".")
    half = 0.5 * 10.0 ** -(len(written.partition(".")[2]))
    near = range(max(0, int(n * (percent - half) / 100)), min(int(n), int(n * (percent + half) / 100) + 1) + 1)
    return [float(k) for k in near if abs(100 * k / n - percent) <= half * (1 + 1e-9)]


_KEPT: WeakKeyDictionary = WeakKeyDictionary()


def candidates(evidence: Evidence) -> dict[str, tuple[Row, ...]]:
    """Every result row by outcome code, in the order of the tables.

    Parameters
    ----------
    evidence : Evidence
        Anything with the frames `studies`, `arms`, `outcomes` and the method `eligibility()`.

    Returns
    -------
    dict of str to tuple of Row
    """
    if evidence not in _KEPT:
        _KEPT[evidence] = _joined(evidence)
    return _KEPT[evidence]


def _joined(evidence: Evidence) -> dict[str, tuple[Row, ...]]:
    studies = {s["study_id"]: s for s in _records(evidence.studies)}
    arms = {(a["study_id"], a["arm_id"]): a for a in _records(evidence.arms)}
    use = evidence.eligibility()
    found: dict[str, list[Row]] = {}
    for place, (r, judged, why) in enumerate(zip(_records(evidence.outcomes), use["use"], use["reason"], strict=True)):
        found.setdefault(r["outcome"], []).append(
            Row(
                id=r["result_id"],
                place=place,
                study=studies.get(r["study_id"]) or {"study_id": r["study_id"]},
                arm=arms.get((r["study_id"], r["arm_id"])),
                arm_id=r["arm_id"],
                subgroup=r["subgroup"],
                outcome=r["outcome"],
                week=r["week"],
                kind=r["measure"],
                derived=r["events_derived"] == "yes",
                estimator=r["estimator"],
                check=r["check"],
                preferred=r["preferred"] != "no",
                use=judged,
                why=why,
                rate_of=_rate_of(r) if r["measure"] == "rate" else "",
                **{name: r[name] for name in _NUMBERS},
            )
        )
    return {code: tuple(rows) for code, rows in found.items()}


def _rate_of(row: dict[str, Any]) -> str:
    return rate_kind({name: "" if value is None else str(value) for name, value in row.items()}).rate_of


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as dictionaries of plain values, None for a number that is not there."""
    columns = {
        name: [None if isinstance(v, float) and isnan(v) else v for v in frame[name].tolist()] for name in frame.columns
    }
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
