"""The rules that judge a result row by itself, in the order in which they are applied.

Each rule gives None (the row passes) or the reason for the reader. A row is excluded once, by the first rule that
objects, so excluded and used rows add up to all rows. Which keys of the question a rule obeys is said at the rule.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from enthesis.evidence.rate_kind import compatible
from enthesis.network.candidates import Row
from enthesis.network.question import Question
from enthesis.network.treatments import TreatmentMap

Judge = Callable[[Row, Question, TreatmentMap], str | None]

LINES = ("naive", "inadequate-response")

_CALLED = {
    "rct": "a randomised trial",
    "extension": "an extension",
    "cohort": "a cohort",
    "pooled": "a pooled analysis",
}
_LINE = {"naive": "biologic-naive patients", "inadequate-response": "patients after a biologic"}


@dataclass(frozen=True)
class Rule:
    """A name for the ledger and the judgement."""

    name: str
    judge: Judge


def patients(row: Row) -> tuple[str, str] | None:
    """Population and line of the patients behind a row, or None when they are another subgroup.

    `all` stands for the whole study; a subgroup named like a population, a line, or `population-line` for its part.
    """
    population, line = row.study.get("population", ""), row.study.get("prior_biologic", "")
    if row.subgroup == "all":
        return population, line
    for part in LINES:
        if row.subgroup == part:
            return population, part
        if row.subgroup.endswith(f"-{part}"):
            return row.subgroup.removesuffix(f"-{part}"), part
    return (row.subgroup, line) if row.subgroup in ("r-axSpA", "nr-axSpA") else None


def _study_type(row: Row, q: Question, _: TreatmentMap) -> str | None:
    design = row.study.get("design", "")
    if design in q.designs:
        return None
    return f"The study is {_CALLED.get(design, 'of no stated type')}; asked for: {', '.join(q.designs)}."


def _population(row: Row, q: Question, _: TreatmentMap) -> str | None:
    who = patients(row)
    population = who[0] if who else row.study.get("population", "")
    if population in q.populations:
        return None
    return f"Patients have {population or 'no stated population'}; asked for: {', '.join(q.populations)}."


def _eligibility(row: Row, q: Question, _: TreatmentMap) -> str | None:
    if row.use in q.tiers:
        return None
    return f"Judged {row.use!r}: {row.why or 'no reason given'}."


def _by_name(row: Row, q: Question, _: TreatmentMap) -> str | None:
    return (
        f"Left out by the question: {q.exclude_reason or 'no reason given'}."
        if row.study_id in q.exclude_studies
        else None
    )


def _subgroup(row: Row, q: Question, _: TreatmentMap) -> str | None:
    return None if patients(row) else f"Result of a subgroup ({row.subgroup}), not of the population asked for."


def _line(row: Row, q: Question, _: TreatmentMap) -> str | None:
    line = (patients(row) or ("", ""))[1]
    if q.line in ("any", line):
        return None
    if line == "":
        return None if q.unknown_line == "include" else "Earlier treatment with biologics is not reported."
    if line == "mixed":
        return f"Mixed trial; this row does not report {_LINE[q.line]} separately."
    return f"Result of {_LINE.get(line, line)}."


def _data(row: Row, q: Question, _: TreatmentMap) -> str | None:
    return None if row.kind == q.kind else f"Reported as {row.kind}; the measure {q.scale} needs {q.kind} data."


def _week(row: Row, q: Question, _: TreatmentMap) -> str | None:
    if row.week is None:
        return "The week is not reported."
    if q.weeks[0] <= row.week <= q.weeks[1]:
        return None
    return f"Week {row.week:g}; asked for: {q.window}."


def _randomised(row: Row, q: Question, _: TreatmentMap) -> str | None:
    until = row.study.get("placebo_until_week")
    if not q.randomised_only or until is None or row.week <= until:
        return None
    return f"Week {row.week:g} is after the last randomised placebo comparison (week {until:g})."


def _preferred(row: Row, q: Question, _: TreatmentMap) -> str | None:
    if row.preferred or not q.preferred_only:
        return None
    return "Another source or analysis of the same result is preferred."


def _deduced(row: Row, q: Question, _: TreatmentMap) -> str | None:
    if row.check != "deduced" or q.include_deduced:
        return None
    return "The count is deduced from printed figures, and the question leaves such rows out."


def _analysis(row: Row, q: Question, _: TreatmentMap) -> str | None:
    if not q.only_estimators or row.estimator in q.order:
        return None
    return f"Analysed as {row.estimator or 'not stated'}; asked for: {', '.join(e or 'unstated' for e in q.order)}."


def _numbers(row: Row, q: Question, _: TreatmentMap) -> str | None:
    if q.kind == "binary":
        if not row.n:
            return "The number of patients is not reported."
        if row.count is None and row.percent is not None:
            return "The number of events is not reported, and the printed percentage does not fix it."
        return None if row.count is not None else "The number of events is not reported."
    if q.kind == "rate":
        if not row.patient_years:
            return "Patient-years are not reported."
        return None if row.events is not None else "The number of events is not reported."
    if row.mean is None:
        return "The mean is not reported."
    error, _how = row.standard_error
    if error is None:
        return "No standard error, standard deviation with n, or interval is reported."
    if q.scale in ("SMD", "SMDH") and not row.n:
        return "A standardised mean difference needs the number of patients."
    return None if error > 0 else "The printed spread is zero."


def _rate_of(row: Row, q: Question, _: TreatmentMap) -> str | None:
    if row.kind != "rate" or not q.rate_of:
        return None
    if compatible(row.rate_of, q.rate_of, events=row.events, outcome=row.outcome):
        return None
    counted = {"events": "every event", "patients": "patients with an event"}.get(row.rate_of, "it does not say what")
    return f"The rate counts {counted}; asked for: {q.rate_of}."


def _treatment(row: Row, q: Question, treatments: TreatmentMap) -> str | None:
    if row.arm is None:
        return "The arm is not described in the evidence."
    drug = treatments.drug(row.arm)
    if q.nodes != "class" and drug and not drug.specific:
        return f"{drug.name} stands for several drugs; it can be used at class level."
    if q.nodes == "class" and row.arm["drug_class"] == "other":
        return f"{row.arm['treatment']} belongs to no class."
    return None


def _licence(row: Row, q: Question, treatments: TreatmentMap) -> str | None:
    if q.doses == "all" or row.arm["drug_class"] == "placebo":
        return None
    regimen = treatments.regimen(row.arm)
    licensed = regimen.licensed if regimen else ""
    if licensed == "yes" or (q.doses == "except-unlicensed" and licensed == ""):
        return None
    return f"The regimen is {'not licensed' if licensed == 'no' else 'without a licence stated in the evidence'}."


#: In order. Who was studied comes first, then what was judged, then what was measured, then whether it can be used.
ROW_RULES: tuple[Rule, ...] = (
    Rule("study type", _study_type),
    Rule("population", _population),
    Rule("eligibility", _eligibility),
    Rule("left out by name", _by_name),
    Rule("data of another kind", _data),
    Rule("subgroup", _subgroup),
    Rule("line of treatment", _line),
    Rule("week outside the window", _week),
    Rule("after the randomised period", _randomised),
    Rule("not the preferred row", _preferred),
    Rule("deduced", _deduced),
    Rule("analysis not asked for", _analysis),
    Rule("numbers missing", _numbers),
    Rule("rate of another kind", _rate_of),
    Rule("treatment", _treatment),
    Rule("licence", _licence),
)
