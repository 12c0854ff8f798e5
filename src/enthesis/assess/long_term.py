"""What lasts: long-term response, drug retention and radiographic progression of single arms, each as it was reported.

Nothing here is pooled across estimators, definitions or lengths of follow-up. A response as observed (of those still in
the study) stands beside the same response with drop-outs counted as failures, and never in its place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from enthesis.assess.overlaps import apart
from enthesis.models.overlap import Overlap
from enthesis.network.candidates import Row, candidates

if TYPE_CHECKING:
    from enthesis.evidence import Evidence
    from enthesis.network.treatments import TreatmentMap

#: a response is long-term from here on
LONG = 48.0

OBSERVED_OR_NRI = (
    "As observed: of the patients who were still in the study and assessed. NRI: of all patients, with those who left "
    "counted as non-responders. The first is higher by as much as patients leave; the two are never mixed."
)
SINGLE_ARM = (
    "Extensions have no concurrent comparator: arms of different studies differ in patients, years and who continued, "
    "so they stand beside each other and are not compared."
)


@dataclass(frozen=True, kw_only=True)
class Share:
    """A proportion of patients.

    Parameters
    ----------
    percent, lower, upper : float
        With the exact (Clopper-Pearson) 95 % interval where counts are reported; NaN limits otherwise.
    events, n : float or None
    row : str
    """

    percent: float
    lower: float
    upper: float
    events: float | None
    n: float | None
    row: str


@dataclass(frozen=True, kw_only=True)
class LongTerm:
    """A long-term response of one arm under the estimators that were reported.

    Parameters
    ----------
    study, arm, treatment, drug_class, population, outcome : str
    week : float
    observed, nri, other : Share or None
    other_estimator : str
        What `other` is: LOCF, multiple imputation, or not stated.
    """

    study: str
    arm: str
    treatment: str
    drug_class: str
    population: str
    outcome: str
    week: float
    observed: Share | None
    nri: Share | None
    other: Share | None
    other_estimator: str = ""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """Patients still on the drug.

    Parameters
    ----------
    study, arm, treatment, drug_class, population, design : str
    week : float
    share : Share
    how : str
        "Kaplan-Meier" or "of those who started".
    """

    study: str
    arm: str
    treatment: str
    drug_class: str
    population: str
    design: str
    week: float
    share: Share
    how: str


@dataclass(frozen=True, kw_only=True)
class Progression:
    """Radiographic progression of one arm, or a difference between two randomised arms.

    Parameters
    ----------
    study, arm, treatment, drug_class, design, outcome : str
    against : str
        The comparator arm of a difference; empty for one arm.
    week : float
    estimate, lower, upper : float
        Change of mSASSS, or per cent without progression; NaN limits where no spread is printed.
    definition : str
        The note of the row: what counts as no progression, and who the patients are.
    row : str
    """

    study: str
    arm: str
    treatment: str
    drug_class: str
    design: str
    outcome: str
    week: float
    estimate: float
    lower: float
    upper: float
    definition: str = ""
    against: str = ""
    row: str = ""


def share(row: Row) -> Share | None:
    """A proportion with its exact interval, or as printed; None when neither is there.

    Clopper CJ, Pearson ES, Biometrika 1934;26:404.
    """
    r, n = row.count, row.n
    if r is not None and n:
        low = float(stats.beta.ppf(0.025, r, n - r + 1)) if r > 0 else 0.0
        high = float(stats.beta.ppf(0.975, r + 1, n - r)) if r < n else 1.0
        return Share(percent=100 * r / n, lower=100 * low, upper=100 * high, events=r, n=n, row=row.id)
    if row.percent is None:
        return None
    return Share(percent=row.percent, lower=math.nan, upper=math.nan, events=None, n=row.n, row=row.id)


def long_term_response(
    evidence: Evidence,
    populations: Sequence[str],
    treatments: TreatmentMap | None = None,
    *,
    outcomes: Sequence[str] = ("ASAS40",),
    design: str = "extension",
) -> tuple[LongTerm, ...]:
    """Long-term response of extension arms, as observed beside NRI.

    Parameters
    ----------
    evidence : Evidence
    populations : sequence of str
    treatments : TreatmentMap, optional
    outcomes : sequence of str
    design : str

    Returns
    -------
    tuple of LongTerm
        By outcome, class, study, week. Arms that a study reports twice under two names are kept once.

    Examples
    --------
    >>> from enthesis.evidence import bundled_evidence
    >>> found = long_term_response(bundled_evidence(), ["r-axSpA"])
    >>> one = next(x for x in found if x.study == "SELECT-AXIS-1-OLE" and x.arm == "upadacitinib-15-qd")
    >>> round(one.nri.percent, 1), one.observed.percent
    (65.6, 85.9)
    """
    arms: dict[tuple, dict[str, Row]] = {}
    for code in outcomes:
        for row in candidates(evidence).get(code, ()):
            if row.kind != "binary" or row.subgroup != "all" or row.study.get("design") != design:
                continue
            if row.study.get("population") not in populations or (row.week or 0) < LONG or row.use == "no":
                continue
            slot = _slot(row.estimator)
            its = arms.setdefault((code, row.study_id, row.arm_id, row.week), {})
            if slot not in its or (row.preferred and not its[slot].preferred):
                its[slot] = row
    found: list[LongTerm] = []
    for (code, study, arm, week), its in arms.items():
        row = next(iter(its.values()))
        other = its.get("other")
        found.append(
            LongTerm(
                study=study, arm=arm, treatment=_drug(row, treatments),
                drug_class=(row.arm or {}).get("drug_class", ""),
                population=row.study.get("population", ""), outcome=code, week=float(week),
                observed=share(its["observed"]) if "observed" in its else None,
                nri=share(its["nri"]) if "nri" in its else None, other=share(other) if other else None,
                other_estimator=(other.estimator or "not stated") if other else "",
            )
        )  # fmt: skip
    return tuple(sorted(_once(found), key=lambda x: (x.outcome, x.drug_class, x.study, x.week, x.arm)))


def _slot(estimator: str) -> str:
    return "observed" if estimator == "observed" else "nri" if estimator in ("NRI", "NRI-MI") else "other"


def _once(found: list[LongTerm]) -> list[LongTerm]:
    """One of the lines of a study and week that say the same of the same drug; the one with counts."""
    kept: dict[tuple, LongTerm] = {}
    for line in found:
        values = tuple(None if s is None else round(s.percent, 1) for s in (line.observed, line.nri, line.other))
        main = next((v for v in (line.nri, line.other, line.observed) if v is not None), None)
        if main is None:
            continue
        key = (line.study.rsplit("-", 1)[0], line.outcome, line.week, line.treatment, round(main.percent, 0))
        held = kept.get(key)
        if held is None or _told(line, values) > _told(held, None):
            kept[key] = line
    return list(kept.values())


def _told(line: LongTerm, _: Any) -> int:
    return sum((s is not None) + (s is not None and s.n is not None) for s in (line.observed, line.nri, line.other))


def retention(
    evidence: Evidence,
    populations: Sequence[str],
    treatments: TreatmentMap | None = None,
    overlaps: Sequence[Overlap] = (),
) -> tuple[Kept, ...]:
    """Patients still on the drug, from cohorts and extensions; overlapping sources once.

    Returns
    -------
    tuple of Kept
        By study type, class, study, week.

    Examples
    --------
    >>> from enthesis.evidence import bundled_evidence
    >>> found = retention(bundled_evidence(), ["axSpA"])
    >>> {k.how for k in found if k.study == "EuroSpA-first-TNFi"}
    {'Kaplan-Meier'}
    """
    rows = [
        r for r in candidates(evidence).get("RETENTION", ())
        if r.kind == "binary" and r.study.get("design") in ("cohort", "extension") and r.use != "no"
        and r.study.get("population") in populations and r.week is not None and r.preferred
    ]  # fmt: skip
    notes = dict(zip(evidence.outcomes["result_id"], evidence.outcomes["note"], strict=True))
    same_trial = [o for o in overlaps if "EuroSpA" not in o.group]
    kept = apart(rows, same_trial).rows
    found: dict[tuple, Kept] = {}
    for row in kept:
        its = share(row)
        if its is None:
            continue
        line = Kept(
            study=row.study_id, arm=row.arm_id, treatment=_drug(row, treatments),
            drug_class=(row.arm or {}).get("drug_class", ""), population=row.study.get("population", ""),
            design=row.study.get("design", ""), week=float(row.week), share=its,
            how="Kaplan-Meier" if "Kaplan-Meier" in str(notes.get(row.id, "")) else "of those who started",
        )  # fmt: skip
        found.setdefault((line.study, line.treatment, line.week, round(its.percent, 1), its.n), line)
    return tuple(sorted(found.values(), key=lambda k: (k.design, k.drug_class, k.study, k.week, k.arm)))


def structure(
    evidence: Evidence,
    populations: Sequence[str],
    treatments: TreatmentMap | None = None,
    overlaps: Sequence[Overlap] = (),
) -> tuple[Progression, ...]:
    """Change of mSASSS and patients without progression, with every randomised difference.

    Returns
    -------
    tuple of Progression
        By outcome, differences between randomised arms first, then single arms by class and study.

    Examples
    --------
    >>> from enthesis.evidence import bundled_evidence
    >>> found = structure(bundled_evidence(), ["r-axSpA"])
    >>> first = found[0]
    >>> first.study, first.against, (first.estimate, first.lower, first.upper)
    ('SURPASS', 'adalimumab-biosimilar-40', (-0.18, -0.65, 0.29))
    """
    table = evidence.outcomes.set_index("result_id")
    arms: dict[tuple, Progression] = {}
    for code in ("dmSASSS", "mSASSS-noprog"):
        rows = [
            r for r in candidates(evidence).get(code, ())
            if r.study.get("population") in populations and r.subgroup.startswith("all") and r.use != "no"
            and r.preferred
        ]  # fmt: skip
        for row in apart(rows, overlaps).rows:
            numbers = _change(row) if code == "dmSASSS" else _share_numbers(row)
            if numbers is None:
                continue
            line = Progression(
                study=row.study_id, arm=row.arm_id, treatment=_drug(row, treatments),
                drug_class=(row.arm or {}).get("drug_class", ""), design=row.study.get("design", ""), outcome=code,
                week=float(row.week or math.nan), estimate=numbers[0], lower=numbers[1], upper=numbers[2],
                definition=str(table.note.get(row.id, "")), row=row.id,
            )  # fmt: skip
            arms.setdefault((line.study, line.treatment, code, line.week, round(line.estimate, 2), row.subgroup), line)
    contrasts = _differences(evidence, populations, ("dmSASSS", "mSASSS-noprog"))
    every = [*contrasts, *arms.values()]
    order = sorted(every, key=lambda p: (p.outcome, not p.against, p.drug_class, p.study, p.week, p.arm))
    return tuple(order)


def stopping_ratios(evidence: Evidence, populations: Sequence[str]) -> tuple[Progression, ...]:
    """Printed ratios of the hazard of stopping a drug, between arms of one study.

    Examples
    --------
    >>> from enthesis.evidence import bundled_evidence
    >>> [(x.study, x.arm, x.against, x.estimate) for x in stopping_ratios(bundled_evidence(), ["mixed"])]
    [('BIOBADASER-JAKi-TNFi', 'jaki', 'tnfi', 0.85)]
    """
    return tuple(_differences(evidence, populations, ("RETENTION",)))


def _differences(evidence: Evidence, populations: Sequence[str], outcomes: Sequence[str]) -> list[Progression]:
    frame = evidence.contrasts
    studies = {s.study_id: s for s in evidence.studies.itertuples()}
    found: dict[tuple, Progression] = {}
    for row in frame[frame.outcome.isin(list(outcomes))].itertuples():
        study = studies.get(row.study_id)
        if study is None or study.population not in populations:
            continue
        line = Progression(
            study=row.study_id, arm=row.arm_id, treatment=row.arm_id, drug_class="", design=study.design,
            outcome=row.outcome, week=float(row.week), estimate=float(row.estimate), lower=float(row.ci_low),
            upper=float(row.ci_high), definition=str(row.note), against=row.comparator_arm_id, row=str(row.result_id),
        )  # fmt: skip
        found.setdefault((line.study, line.outcome, line.week, line.estimate), line)
    return list(found.values())


def _change(row: Row) -> tuple[float, float, float] | None:
    if row.mean is None:
        return None
    if row.ci_low is not None and row.ci_high is not None:
        return row.mean, row.ci_low, row.ci_high
    se, _ = row.standard_error
    half = float(stats.norm.ppf(0.975)) * se if se is not None else np.nan
    return row.mean, row.mean - half, row.mean + half


def _share_numbers(row: Row) -> tuple[float, float, float] | None:
    found = share(row)
    return None if found is None else (found.percent, found.lower, found.upper)


def _drug(row: Row, treatments: TreatmentMap | None) -> str:
    if row.arm is None:
        return row.arm_id
    return treatments.node(row.arm, "drug").name if treatments else row.arm.get("treatment", row.arm_id)
