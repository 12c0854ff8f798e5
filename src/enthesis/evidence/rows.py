"""What a row of evidence may hold: closed vocabularies and the checks made where outside data comes in.

Each table of the data dictionary (`reviews/axspa/evidence/README.md`) is a pydantic model: a column is a field, a
vocabulary is a type. Checks read the text of a cell and never change it: what is stored is what was printed. A cell
that fails becomes a sentence with the reason and the mend. Columns that the dictionary does not know are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import Any, Literal, get_args

from pydantic import ValidationError, model_validator

from enthesis.errors import unknown_name
from enthesis.evidence.cells import (
    Filled,
    Fraction,
    Key,
    NotNegative,
    Number,
    Percent,
    Positive,
    Row,
    Text,
    Whole,
    Year,
    cell_error,
)
from enthesis.evidence.forecast_rows import KEY as FORECAST_KEY
from enthesis.evidence.forecast_rows import Forecast
from enthesis.evidence.posted_rows import Answer, Posted, Question, UnparsedPlace
from enthesis.evidence.record_rows import Decision, Record, Search

SourceKind = Literal["registry_results", "article", "abstract", "label", "review", "regulator", "press"]
StudyDesign = Literal["rct", "extension", "cohort", "pooled"]
Phase = Literal["", "1", "1/2", "2", "2/3", "3", "4"]
Blinding = Literal["", "double", "single", "open"]
Population = Literal["r-axSpA", "nr-axSpA", "axSpA", "RA", "PsA", "mixed"]
PriorBiologic = Literal["", "naive", "inadequate-response", "mixed"]
YesNo = Literal["yes", "no"]
YesNoEmpty = Literal["", "yes", "no"]
StudyStatus = Literal["", "completed", "ongoing", "terminated"]
DrugClass = Literal[
    "JAKi", "TNFi", "IL-17Ai", "IL-17A/Fi", "IL-17RAi", "IL-23i", "IL-12/23i", "IL-6i", "PDE4i", "NSAID", "csDMARD",
    "placebo", "other",
]  # fmt: skip
#: `g` (sulfasalazine) is in the bundled arms beside the dictionary's `mg` and `mg/kg`.
DoseUnit = Literal["", "mg", "mg/kg", "g"]
#: The dictionary's list ends in "..."; `BIW`, `Q12W` and a regimen pooled over two intervals complete it.
Frequency = Literal["", "QD", "BID", "TID", "QW", "BIW", "Q2W", "Q3W", "Q4W", "Q6W", "Q8W", "Q12W", "Q2W or Q4W"]
#: `iv/sc`: an intravenous loading dose followed by subcutaneous doses.
Route = Literal["", "oral", "sc", "iv", "im", "iv/sc"]
Measure = Literal["binary", "continuous", "rate"]
#: Beyond the dictionary: `crude`, `age-sex standardised to TNFi` and `random-effects`, which registries and
#: pooled analyses print for their rates.
Estimator = Literal[
    "", "NRI", "NRI-MI", "MMRM", "ANCOVA", "LOCF", "observed", "MI", "safety-set", "crude",
    "age-sex standardised to TNFi", "random-effects",
]  # fmt: skip
Check = Literal["two-sources", "one-source", "deduced", "conflict"]
Effect = Literal["difference", "odds_ratio", "risk_ratio", "risk_difference", "hazard_ratio", "rate_ratio"]
#: What a rate row counts; empty in tables that have no such column, and in rows that are no rates.
RateOf = Literal["", "events", "patients", "unstated"]
Use = Literal["primary", "sensitivity", "context", "no"]
Bias = Literal["", "low", "some-concerns", "high"]
OutcomeCode = Literal[
    "ASAS20", "ASAS40", "ASAS-PR", "ASAS5/6", "BASDAI50", "ASDAS-CII", "ASDAS-MI", "ASDAS-LDA", "ASDAS-ID",
    "dASDAS", "dBASDAI", "dBASFI", "dBASMI", "dASQoL", "dBackPain", "dNocturnalBackPain", "dPtGA", "dSF36PCS",
    "dFACITF", "dCRP", "CRP-ratio", "dSPARCC-spine", "dSPARCC-SIJ", "dBerlin-spine", "dMASES", "dmSASSS",
    "mSASSS-noprog", "AE", "SAE", "AE-DISC", "DEATH", "INF", "SERINF", "OPPINF", "TB", "HZ", "MACE", "VTE", "DVT",
    "PE", "MALIG", "NMSC", "LYMPHOMA", "UVEITIS", "IBD", "PSORIASIS", "GIPERF", "HEPATIC", "CPK", "LIPID", "ANAEMIA",
    "NEUTROPENIA", "LYMPHOPENIA", "RETENTION",
]  # fmt: skip

#: From the most to the least restrictive; decides between equally specific curation lines.
USES: tuple[str, ...] = ("no", "context", "sensitivity", "primary")


class Source(Row):
    """One document that was read."""

    source_id: Key
    kind: SourceKind
    title: Text = ""
    year: Year = None
    doi: Text = ""
    pmid: Text = ""
    nct_id: Text = ""
    url: Text = ""
    note: Text = ""


class Study(Row):
    """One trial or cohort, or one separately randomised population of it."""

    study_id: Key
    nct_id: Text = ""
    title: Text = ""
    year: Year = None
    design: StudyDesign
    phase: Phase = ""
    parent_study: Text = ""
    blinding: Blinding = ""
    population: Population
    prior_biologic: PriorBiologic = ""
    prior_biologic_fraction: Fraction = None
    crp_required: YesNoEmpty = ""
    region: Text = ""
    n_randomised: Whole = None
    primary_outcome: Literal["", OutcomeCode] = ""
    primary_week: Whole = None
    placebo_until_week: Whole = None
    early_escape_week: Whole = None
    sponsor: Text = ""
    status: StudyStatus = ""
    source_id: Filled
    note: Text = ""
    part_of: Text = ""


class Arm(Row):
    """A group as randomised or enrolled, with its treatment and baseline."""

    study_id: Key
    arm_id: Key
    treatment: Filled
    drug_class: DrugClass
    dose: NotNegative = None
    dose_unit: DoseUnit = ""
    frequency: Frequency = ""
    route: Route = ""
    regimen: Text = ""
    n_randomised: Whole = None
    n_analysed: Whole = None
    age_mean: NotNegative = None
    male_fraction: Fraction = None
    hla_b27_fraction: Fraction = None
    symptom_duration_years_mean: NotNegative = None
    bmi_mean: NotNegative = None
    basdai_mean: NotNegative = None
    basdai_sd: NotNegative = None
    asdas_mean: NotNegative = None
    asdas_sd: NotNegative = None
    basfi_mean: NotNegative = None
    basfi_sd: NotNegative = None
    crp_mgl_mean: NotNegative = None
    crp_mgl_sd: NotNegative = None
    crp_mgl_median: NotNegative = None
    prior_tnfi_fraction: Fraction = None
    csdmard_fraction: Fraction = None
    nsaid_fraction: Fraction = None
    source_id: Filled
    locator: Text = ""
    note: Text = ""


class Result(Row):
    """What one arm showed: one outcome, time and analysis."""

    study_id: Key
    arm_id: Key
    subgroup: Filled
    outcome: OutcomeCode
    week: NotNegative = None
    measure: Measure
    events: Whole = None
    n: Whole = None
    percent: Percent = None
    events_derived: YesNoEmpty = ""
    mean: Number = None
    sd: NotNegative = None
    se: NotNegative = None
    ci_low: Number = None
    ci_high: Number = None
    patient_years: Positive = None
    rate_per_100py: NotNegative = None
    rate_ci_low: NotNegative = None
    rate_ci_high: NotNegative = None
    estimator: Estimator = ""
    source_id: Filled
    locator: Filled
    check: Check
    note: Text = ""
    preferred: YesNo
    rate_of: RateOf = ""

    @model_validator(mode="after")
    def _cells_agree(self) -> Result:
        if self.rate_of and self.measure != "rate":
            raise cell_error(
                f"is given for a row of measure {self.measure}",
                "Leave the cell empty: the column says what a rate counts.",
                "rate_of",
            )
        if self.measure == "binary" and self.events is not None and self.n is not None and self.events > self.n:
            raise cell_error(
                f"is more than the {self.n:g} patients of column n",
                "Correct the count; a percentage belongs in the column percent.",
                "events",
            )
        _ordered(self.ci_low, self.ci_high, "ci_low")
        _ordered(self.rate_ci_low, self.rate_ci_high, "rate_ci_low")
        return self


class Contrast(Row):
    """A difference between two arms of one study: effect of arm_id against comparator_arm_id."""

    study_id: Key
    arm_id: Key
    comparator_arm_id: Key
    subgroup: Filled
    outcome: OutcomeCode
    week: NotNegative = None
    effect: Effect
    estimate: Number = None
    ci_low: Number = None
    ci_high: Number = None
    ci_level: Percent = None
    se: NotNegative = None
    estimator: Text = ""
    source_id: Filled
    locator: Text = ""
    check: Check
    note: Text = ""

    @model_validator(mode="after")
    def _cells_agree(self) -> Contrast:
        _ordered(self.ci_low, self.ci_high, "ci_low")
        if self.effect.endswith("_ratio"):
            for column in ("estimate", "ci_low", "ci_high"):
                value = getattr(self, column)
                if value is not None and value < 0:
                    raise cell_error(
                        f"is negative, but the effect is a {self.effect}", "Write ratios, not logs.", column
                    )
        return self


class Curation(Row):
    """An eligibility judgement: which rows to use, and why. An empty cell matches all."""

    study_id: Text = ""
    arm_id: Text = ""
    outcome: Literal["", OutcomeCode] = ""
    source_id: Text = ""
    use: Use
    reason: Filled


class RiskOfBias(Row):
    """A RoB 2 judgement on a study and outcome family."""

    study_id: Key
    outcome_family: Filled
    randomisation: Bias = ""
    deviations: Bias = ""
    missing_data: Bias = ""
    measurement: Bias = ""
    selection: Bias = ""
    overall: Literal["low", "some-concerns", "high"]
    judged_by: Literal["published", "editor"]
    reason: Filled
    source_id: Text = ""


class BiasJudgement(Row):
    """A judgement by any tool (`assess.bias`) on one domain, or `overall`, of a study and outcome family."""

    study_id: Key
    outcome_family: Filled
    tool: Filled
    domain: Filled
    judgement: Filled
    judged_by: Literal["published", "editor"] = "editor"
    reason: Filled
    source_id: Text = ""


class Override(Row):
    """A person's decision that replaces a computed one: the item of a subject, its value and the reason."""

    subject: Filled
    item: Filled
    value: Text = ""
    reason: Filled


class Regulatory(Row):
    """An approval, refusal or restriction of a drug in a region."""

    drug: Filled
    drug_class: Literal["", DrugClass] = ""
    region: Filled
    indication: Text = ""
    status: Filled
    date: Text = ""
    line_restriction: Text = ""
    source_id: Filled
    locator: Text = ""


class Guideline(Row):
    """A statement of a guideline, in own words."""

    guideline: Filled
    year: Year = None
    statement_id: Filled
    statement: Filled
    drugs_classes: Text = ""
    strength_level: Text = ""
    source_id: Filled
    locator: Text = ""


class Ongoing(Row):
    """A registered study without results."""

    nct_id: Text = ""
    title: Filled
    drug: Filled
    population: Text = ""
    comparator: Text = ""
    n_planned: Whole = None
    status: Text = ""
    primary_outcome: Text = ""
    start: Text = ""
    expected_end: Text = ""
    source_id: Filled


def _ordered(low: float | None, high: float | None, column: str) -> None:
    if low is not None and high is not None and low > high:
        raise cell_error(f"is above the upper limit {high:g}", "Swap the limits or correct the sign.", column)


@dataclass(frozen=True)
class Table:
    """A table of the dictionary: its rows, its natural key, and whether its rows are judgements."""

    name: str
    row: type[Row]
    key: tuple[str, ...]
    judgement: bool = False
    prefix: str = ""

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The dictionary's columns, in order."""
        return tuple(self.row.model_fields)

    @cached_property
    def required(self) -> tuple[str, ...]:
        """Columns without which the table cannot be read."""
        return tuple(name for name, info in self.row.model_fields.items() if info.is_required())

    @cached_property
    def numeric(self) -> frozenset[str]:
        """Columns that hold numbers."""
        return frozenset(name for name, info in self.row.model_fields.items() if info.annotation == float | None)

    def problems(self, cells: Mapping[str, str]) -> tuple[Problem, ...]:
        """What is wrong with a row of text cells; empty when nothing is.

        Examples
        --------
        >>> [p.reason for p in TABLES["sources"].problems({"source_id": "a", "kind": "articel"})]
        ['is not one of: registry_results, article, abstract, label, review, regulator, press']
        """
        try:
            self.row.model_validate(cells)
        except ValidationError as error:
            return tuple(self._problem(detail, cells) for detail in error.errors(include_url=False))
        return ()

    def _problem(self, detail: Mapping[str, Any], cells: Mapping[str, str]) -> Problem:
        column = str(detail["loc"][0]) if detail["loc"] else ""
        context = detail.get("ctx", {})
        if detail["type"] == "cell":
            column = context.get("column") or column
            return Problem(column, cells.get(column, ""), context["reason"], context["fix"])
        if detail["type"] == "missing":
            return Problem(column, "", "is missing", "This column must be filled in every row.")
        value = cells.get(column, "")
        if detail["type"] == "literal_error":
            words = [word for word in vocabulary(self.row.model_fields[column].annotation) if word]
            near = get_close_matches(value, words, n=1) or [w for w in words if w.lower() == value.strip().lower()]
            fix = f"Did you mean {near[0]!r}?" if near else "Use a word of this list; write free text in the note."
            return Problem(
                column, value, ("is empty; use one of: " if not value else "is not one of: ") + ", ".join(words), fix
            )
        return Problem(column, value, detail["msg"], "Correct the cell.")


@dataclass(frozen=True)
class Problem:
    """What is wrong with one cell, why, and the mend."""

    column: str
    value: str
    reason: str
    fix: str


def vocabulary(annotation: Any) -> tuple[str, ...]:
    """The words of a closed vocabulary type."""
    return tuple(str(word) for word in get_args(annotation))


_RESULT_KEY = ("study_id", "arm_id", "subgroup", "outcome", "week", "measure", "estimator", "source_id", "locator")
_CONTRAST_KEY = (
    "study_id", "arm_id", "comparator_arm_id", "subgroup", "outcome", "week", "effect", "estimator", "source_id",
    "locator",
)  # fmt: skip
_POSTED_KEY = ("source_id", "section", "title", "part", "posted_group", "week", "param", "effect", "time_frame")

#: Every table of the dictionary, in the order in which they are read.
TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        Table("sources", Source, ("source_id",)),
        Table("studies", Study, ("study_id",)),
        Table("arms", Arm, ("study_id", "arm_id")),
        Table("outcomes", Result, _RESULT_KEY, prefix="R-"),
        Table("contrasts", Contrast, _CONTRAST_KEY, prefix="C-"),
        Table("curation", Curation, ("study_id", "arm_id", "outcome", "source_id"), judgement=True),
        Table("rob", RiskOfBias, ("study_id", "outcome_family"), judgement=True),
        Table("overrides", Override, ("subject", "item"), judgement=True),
        Table("bias", BiasJudgement, ("study_id", "outcome_family", "tool", "domain"), judgement=True),
        Table("guidelines", Guideline, ("guideline", "year", "statement_id")),
        Table("regulatory", Regulatory, ("drug", "region", "indication", "status", "date", "source_id")),
        Table("ongoing", Ongoing, ("nct_id", "title")),
        Table("forecasts", Forecast, FORECAST_KEY),
        Table("searches", Search, ("search_id",)),
        Table("records", Record, ("record_id",)),
        Table("decisions", Decision, ("subject", "stage", "of", "reviewer"), judgement=True),
        Table("posted", Posted, _POSTED_KEY),
        Table("unparsed", UnparsedPlace, ("source_id", "locator")),
        Table("questions", Question, ("source_id", "kind", "subject")),
        Table("answers", Answer, ("source_id", "kind", "subject"), judgement=True),
    )
}


def table(name: str) -> Table:
    """The dictionary's table of that name."""
    if name not in TABLES:
        raise unknown_name("table", name, TABLES)
    return TABLES[name]


def number(text: str) -> float:
    """The number of a checked cell; NaN when the cell is empty."""
    return float(text) if text else float("nan")


def identity(name: str, cells: Mapping[str, str]) -> str:
    """The natural key of a row as one text: two rows of a table with the same identity speak of the same thing.

    A table outside the dictionary has no natural key, so the whole row is its identity. Numbers are compared as
    numbers: week 12 and week 12.0 are one week.
    """
    spec = TABLES.get(name)
    if spec is None:
        parts = [f"{column}={value}" for column, value in sorted(cells.items()) if value]
    else:
        parts = [_canonical(cells.get(column, ""), column in spec.numeric) for column in spec.key]
    return "\x1f".join([name, *parts])


def _canonical(text: str, numeric: bool) -> str:
    if not numeric or not text:
        return text
    value = float(text)
    return str(int(value)) if value == int(value) else repr(value)
