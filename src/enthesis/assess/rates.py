"""Rates of adverse events: which rows there are, what may be pooled, and what a rate means for a patient over years.

A row is one arm's count over its time at risk, with what it counts (events, or patients with an event), its study and
the type of the study. Rows of two kinds, or of an unstated kind, are never pooled: they are refused by name, or left
out when one kind is asked for. Where patients are in two sources, a declared overlap says which one is used.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from enthesis.errors import DataError, UsageError, unknown_name
from enthesis.evidence.rate_kind import compatible
from enthesis.inference.rates import PooledRate, RateModel, pooled_rate, rate_interval
from enthesis.network.build import one_rate_kind
from enthesis.network.candidates import candidates
from enthesis.network.treatments import TreatmentMap

if TYPE_CHECKING:
    from enthesis.evidence import Evidence

Array = NDArray[np.float64]

#: what rows can be grouped by
GROUPS: tuple[str, ...] = (
    "treatment",
    "drug_class",
    "design",
    "population",
    "study_id",
    "outcome",
    "week",
    "period_end",
)
DESIGNS: tuple[str, ...] = ("rct", "extension", "pooled", "cohort")
KIND_WORDS = {"events": "events", "patients": "patients with an event", "unstated": "what is counted is not stated"}


@dataclass(frozen=True, kw_only=True)
class RateRow:
    """One arm's rate.

    Parameters
    ----------
    id : str
        The evidence row.
    study_id, arm_id, treatment, drug_class, design, population, subgroup, outcome : str
    rate_of : {"events", "patients", "unstated"}
    events, exposure : float or None
        Count and patient-years; None where not reported.
    printed, printed_lower, printed_upper : float or None
        Rate per 100 patient-years with its interval as the source prints it.
    week : float or None
    use : str
        The eligibility judgement.
    source_id : str
    period_end : float or None
        End, in years, of the period of follow-up that the count and the time are of; None for the whole follow-up.
    """

    id: str
    study_id: str
    arm_id: str = ""
    treatment: str = ""
    drug_class: str = ""
    design: str = ""
    population: str = ""
    subgroup: str = "all"
    outcome: str = ""
    rate_of: str = "unstated"
    events: float | None = None
    exposure: float | None = None
    printed: float | None = None
    printed_lower: float | None = None
    printed_upper: float | None = None
    week: float | None = None
    n: float | None = None
    use: str = "primary"
    source_id: str = ""
    period_end: float | None = None

    @property
    def counted(self) -> bool:
        """Whether it has a count and a time at risk, so that it can be pooled exactly."""
        return self.events is not None and self.exposure is not None

    @property
    def per_100(self) -> tuple[float, float, float]:
        """Rate per 100 patient-years with its 95 % interval: exact where counted, else as printed (NaN: not given)."""
        if self.counted:
            low, high = rate_interval(self.events, self.exposure)
            return 100 * self.events / self.exposure, 100 * low, 100 * high
        values = (self.printed, self.printed_lower, self.printed_upper)
        return tuple(float("nan") if v is None else v for v in values)  # type: ignore[return-value]


def rate_rows(
    evidence: Evidence, outcome: str | None = None, treatments: TreatmentMap | None = None
) -> tuple[RateRow, ...]:
    """The rate rows of an evidence, in the order of its tables.

    Parameters
    ----------
    evidence : Evidence
    outcome : str, optional
        A code; default all.
    treatments : TreatmentMap, optional
        Gives names to drugs and classes; without one, those of the arm rows.

    Returns
    -------
    tuple of RateRow

    Examples
    --------
    >>> from enthesis.evidence import bundled_evidence
    >>> rows = rate_rows(bundled_evidence(), "HZ")
    >>> [(r.study_id, r.events, r.rate_of) for r in rows if r.population == "r-axSpA"]
    [('SELECT-AXIS-1-OLE', 5.0, 'events')]
    """
    found = candidates(evidence)
    printed = evidence.outcomes.set_index("result_id")[["rate_per_100py", "rate_ci_low", "rate_ci_high", "source_id"]]
    told = printed.to_dict("index") if printed.index.is_unique else {}
    rows = []
    for code in [outcome] if outcome else found:
        for row in found.get(code, ()):
            if row.kind != "rate" or not row.preferred:
                continue
            node = treatments.node(row.arm, "drug").name if treatments and row.arm else ""
            said = told.get(row.id, {})
            rows.append(
                RateRow(
                    id=row.id, study_id=row.study_id, arm_id=row.arm_id, subgroup=row.subgroup, outcome=row.outcome,
                    treatment=node or (row.arm or {}).get("treatment", ""),
                    drug_class=(row.arm or {}).get("drug_class", ""),
                    design=row.study.get("design", ""), population=row.study.get("population", ""),
                    rate_of=row.rate_of, events=row.events, exposure=row.patient_years, week=row.week, n=row.n,
                    use=row.use, printed=_number(said.get("rate_per_100py")),
                    printed_lower=_number(said.get("rate_ci_low")), printed_upper=_number(said.get("rate_ci_high")),
                    source_id=said.get("source_id", ""),
                )
            )  # fmt: skip
    return tuple(rows)


def one_kind(
    rows: Sequence[RateRow], rate_of: str = ""
) -> tuple[str, tuple[RateRow, ...], tuple[tuple[RateRow, str], ...]]:
    """The rows that may stand together.

    Parameters
    ----------
    rows : sequence of RateRow
    rate_of : {"", "events", "patients", "unstated"}
        The kind asked for; empty for the one that all rows share.

    Returns
    -------
    (str, tuple of RateRow, tuple of (RateRow, str))
        The kind, the rows of it, and the others with the reason.

    Raises
    ------
    DataError
        Without `rate_of`, when rows are of two kinds or do not say: with the rows named.

    Examples
    --------
    >>> a = RateRow(id="R1", study_id="A", rate_of="events", events=3, exposure=90)
    >>> b = RateRow(id="R2", study_id="B", rate_of="patients", events=3, exposure=90)
    >>> one_kind([a, b], "events")[1] == (a,)
    True
    """
    if rate_of not in ("", "events", "patients", "unstated"):
        raise unknown_name("kind of rate", rate_of, ("events", "patients", "unstated"))
    if not rate_of:
        return one_rate_kind(rows), tuple(rows), ()  # type: ignore[arg-type]
    kept, left = [], []
    for row in rows:
        if compatible(row.rate_of, rate_of, events=row.events, outcome=row.outcome):
            kept.append(row)
        else:
            left.append((row, f"It is a rate of {KIND_WORDS[row.rate_of]}; asked for: {KIND_WORDS[rate_of]}."
                         if row.rate_of != "unstated" else "It does not say what it counts."))  # fmt: skip
    return rate_of, tuple(kept), tuple(left)


@dataclass(frozen=True, kw_only=True)
class RateGroup:
    """A pooled rate and what it rests on.

    Parameters
    ----------
    name : tuple of str
        Values of what the rows were grouped by.
    rate_of : str
    rows : tuple of RateRow
    pooled : PooledRate
        Per patient-year.
    """

    name: tuple[str, ...]
    rate_of: str
    rows: tuple[RateRow, ...]
    pooled: PooledRate

    @property
    def per_100(self) -> tuple[float, float, float]:
        """Rate per 100 patient-years with its 95 % interval."""
        return 100 * self.pooled.estimate, 100 * self.pooled.lower, 100 * self.pooled.upper


def pool_rates(
    rows: Iterable[RateRow],
    by: Sequence[str] = ("treatment",),
    *,
    rate_of: str = "",
    model: RateModel = "poisson-normal",
) -> tuple[RateGroup, ...]:
    """Pool rates within groups.

    Parameters
    ----------
    rows : iterable of RateRow
        Rows without a count or time at risk are left out; they cannot be pooled exactly.
    by : sequence of {"treatment", "drug_class", "design", "population", "study_id", "outcome", "week"}
    rate_of : str
        As for `one_kind`, applied within each group.
    model : {"poisson-normal", "negative-binomial", "common"}

    Returns
    -------
    tuple of RateGroup
        In the order in which groups first appear. Arms of one study in one group are added up: they share patients'
        conditions, and are no two studies.

    Raises
    ------
    DataError
        When a group holds two kinds of rates, or rates that do not say.

    Examples
    --------
    >>> rows = [RateRow(id=f"R{i}", study_id=f"S{i}", treatment="upa", outcome="HZ", rate_of="events", events=r,
    ...                 exposure=100.0) for i, r in enumerate([3, 0, 5])]
    >>> (group,) = pool_rates(rows)
    >>> group.name, group.pooled.k, round(group.per_100[0], 2)
    (('upa',), 3, 2.29)
    """
    for name in by:
        if name not in GROUPS:
            raise unknown_name("group", name, GROUPS)
    groups: dict[tuple[str, ...], list[RateRow]] = defaultdict(list)
    for row in rows:
        if row.counted:
            value = tuple("" if getattr(row, name) is None else f"{getattr(row, name)}" for name in by)
            groups[value].append(row)
    found = []
    for name, its in groups.items():
        kind, kept, _ = one_kind(its, rate_of)
        if kept:
            r, E = by_study(kept)
            found.append(RateGroup(name=name, rate_of=kind, rows=kept, pooled=pooled_rate(r, E, model=model)))
    return tuple(found)


def by_study(rows: Sequence[RateRow]) -> tuple[Array, Array]:
    """Events and patient-years of each study, its arms added up; arrays of shape (studies,)."""
    totals: dict[str, list[float]] = {}
    for row in rows:
        its = totals.setdefault(row.study_id, [0.0, 0.0])
        its[0] += row.events or 0.0
        its[1] += row.exposure or 0.0
    return np.array([t[0] for t in totals.values()]), np.array([t[1] for t in totals.values()])


@dataclass(frozen=True, kw_only=True)
class Hazard:
    """A hazard that is constant within periods.

    Parameters
    ----------
    end : tuple of float
        End of each period in years; the last may be infinite.
    rate, lower, upper : tuple of float
        Events per year in each period with an exact 95 % interval.
    """

    end: tuple[float, ...]
    rate: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]


def hazard_by_period(periods: Iterable[tuple[float, float, float]]) -> Hazard:
    """A hazard from counts by period of follow-up.

    Parameters
    ----------
    periods : iterable of (end of the period in years, events, patient-years within it)

    Returns
    -------
    Hazard

    Raises
    ------
    DataError
        When ends do not increase.

    Examples
    --------
    >>> early_and_late = hazard_by_period([(1, 8, 200), (5, 6, 400)])
    >>> [round(x, 3) for x in early_and_late.rate]
    [0.04, 0.015]
    >>> round(cumulative_risk(early_and_late, 5).estimate, 3)
    0.095
    """
    found = tuple((float(end), float(r), float(E)) for end, r, E in periods)
    ends = [end for end, _, _ in found]
    if not found or ends != sorted(set(ends)) or ends[0] <= 0:
        raise DataError("periods of follow-up must end later one after the other", column="end", value=ends)
    limits = [rate_interval(r, E) for _, r, E in found]
    return Hazard(
        end=tuple(ends), rate=tuple(r / E for _, r, E in found), lower=tuple(x for x, _ in limits),
        upper=tuple(x for _, x in limits),
    )  # fmt: skip


def hazards(rows: Iterable[RateRow], by: Sequence[str] = ("treatment",)) -> dict[tuple[str, ...], Hazard]:
    """The hazard of each group from rows of periods: events and patient-years of a period are added up.

    Parameters
    ----------
    rows : iterable of RateRow
        Those with a period_end; of one kind.
    by : sequence of str
        As for `pool_rates`.

    Returns
    -------
    dict of tuple of str to Hazard

    Examples
    --------
    >>> rows = [RateRow(id=f"R{i}", study_id="A", treatment="upa", rate_of="patients", events=r, exposure=E,
    ...                 period_end=t) for i, (t, r, E) in enumerate([(1, 8, 200), (5, 6, 400)])]
    >>> hazards(rows)[("upa",)].end
    (1.0, 5.0)
    """
    totals: dict[tuple[str, ...], dict[float, list[float]]] = {}
    for row in rows:
        if row.period_end is None or not row.counted:
            continue
        key = tuple(f"{getattr(row, name)}" for name in by if name != "period_end")
        its = totals.setdefault(key, {}).setdefault(float(row.period_end), [0.0, 0.0])
        its[0] += row.events or 0.0
        its[1] += row.exposure or 0.0
    return {key: hazard_by_period((end, r, E) for end, (r, E) in sorted(its.items())) for key, its in totals.items()}


@dataclass(frozen=True, kw_only=True)
class Risk:
    """What a rate means over some years: of one patient (`patients`), or per patient (`events`).

    Parameters
    ----------
    years : float
    estimate, lower, upper : float
        Probability of at least one event, or expected number of events.
    what : str
        "risk" or "events per patient".
    assumption : str
        In words.
    """

    years: float
    estimate: float
    lower: float
    upper: float
    what: str
    assumption: str


def cumulative_risk(rate: Hazard | tuple[float, float, float], years: float, *, rate_of: str = "patients") -> Risk:
    """The risk over some years: 1 - exp(-cumulative hazard); for rates of events, the expected number.

    Parameters
    ----------
    rate : Hazard or (estimate, lower, upper)
        Per patient-year.
    years : float
        Above 0; beyond the last period its hazard is carried on, and the assumption says so.
    rate_of : {"patients", "events"}

    Returns
    -------
    Risk
        The limits of a hazard with periods are combined by the method of variance estimates recovery (Zou GY, Donner A,
        Stat Med 2008;27:1693).

    Examples
    --------
    >>> found = cumulative_risk((0.01, 0.005, 0.02), 5)
    >>> round(found.estimate, 4), found.assumption[:40]
    (0.0488, 'The rate stays the same over the 5 years')
    """
    if not (np.isfinite(years) and years > 0):
        raise UsageError(f"years must be above 0, not {years:g}.")
    unit = "1 year" if years == 1 else f"{years:g} years"
    if isinstance(rate, Hazard):
        totals = _accumulated(rate, years)
        assumption = f"The rate is constant within each of {len(rate.end)} periods of follow-up"
        if years > rate.end[-1]:
            assumption += f"; that of the last is carried on from year {rate.end[-1]:g} to {years:g}"
    else:
        totals = [value * years for value in rate]
        assumption = f"The rate stays the same over the {unit}"
    assumption += "; death and stopping the drug do not compete with the event."
    if rate_of == "events":
        estimate, lower, upper, what = *totals, "events per patient"
    else:
        estimate, lower, upper = (float(-np.expm1(-t)) for t in totals)
        what = "risk"
    return Risk(years=years, estimate=estimate, lower=lower, upper=upper, what=what, assumption=assumption)


def _accumulated(hazard: Hazard, years: float) -> list[float]:
    """Cumulative hazard with its limits: distances of the periods' limits are squared and added.

    Limits that are added as they are would be those of a chance far below 5 %, because periods are independent.
    """
    starts = (0.0, *hazard.end[:-1])
    ends = (*hazard.end[:-1], max(years, hazard.end[-1]))
    times = np.array([max(0.0, min(end, years) - start) for start, end in zip(starts, ends, strict=True)])
    rate, lower, upper = (times * np.array(side) for side in (hazard.rate, hazard.lower, hazard.upper))
    total = float(rate.sum())
    down, up = (float(np.sqrt(np.sum((side - rate) ** 2))) for side in (lower, upper))
    return [total, max(0.0, total - down), total + up]


def table_rows(groups: Sequence[RateGroup], by: Sequence[str]) -> list[dict[str, Any]]:
    """Groups as rows of a table.

    Returns
    -------
    list of dict
        One column per name in `by`, then rate_of, studies, events, patient_years, rate, lower, upper, predicted_lower,
        predicted_upper (per 100 patient-years), tau, model, message.
    """
    rows = []
    for group in groups:
        rate, lower, upper = group.per_100
        p = group.pooled
        rows.append(
            dict(zip(by, group.name, strict=True))
            | {"rate_of": group.rate_of, "studies": p.k, "events": p.events, "patient_years": round(p.exposure, 4),
               "rate": rate, "lower": lower, "upper": upper, "predicted_lower": 100 * p.predicted[0],
               "predicted_upper": 100 * p.predicted[1], "tau": p.tau, "model": p.model, "message": p.status.message}
        )  # fmt: skip
    return rows


def _number(value: object) -> float | None:
    return None if value is None or value != value else float(value)  # type: ignore[arg-type]


def last_follow_up(rows: Sequence[RateRow]) -> tuple[RateRow, ...]:
    """Of each study the rows of its longest follow-up: an earlier look at the same patients is not added to the last.

    A row that gives no week is the longest when its time at risk is larger than that of every row with a week.

    Parameters
    ----------
    rows : sequence of RateRow
        Of one outcome.

    Returns
    -------
    tuple of RateRow
        In their order.
    """
    timed: dict[str, float] = {}
    for row in rows:
        if row.week is not None:
            timed[row.study_id] = max(timed.get(row.study_id, 0.0), row.exposure or 0.0)

    def reach(row: RateRow) -> float:
        if row.week is not None:
            return row.week
        return inf if row.exposure is not None and row.exposure > timed.get(row.study_id, 0.0) else 0.0

    ends: dict[str, float] = {}
    for row in rows:
        ends[row.study_id] = max(ends.get(row.study_id, 0.0), reach(row))
    return tuple(r for r in rows if reach(r) == ends[r.study_id])


__all__ = [
    "DESIGNS", "GROUPS", "Hazard", "RateGroup", "RateRow", "Risk", "by_study", "cumulative_risk", "hazard_by_period",
    "hazards", "last_follow_up", "one_kind", "pool_rates", "rate_rows", "table_rows",
]  # fmt: skip
