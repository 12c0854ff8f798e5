"""The question: what is asked, as data. A TOML file says it, `build` obeys it, the ledger answers for it.

One file holds one question, or several: keys at the top are shared, each `[[question]]` table adds its own. A key
that is wrong is refused with the file, the key, the value and the mend.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, StrictBool, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from enthesis.errors import DataError, EnthesisError
from enthesis.network.measures import measure as effect_measure
from enthesis.network.outcomes import Outcome
from enthesis.network.outcomes import outcome as known_outcome
from enthesis.network.settings import parse_toml, read_toml, settings_error, toml_value

#: which analysis of one result is used first, by kind of data; "" is an analysis that the source does not name
PREFERENCE: dict[str, tuple[str, ...]] = {
    "binary": ("NRI", "NRI-MI", "MI", "LOCF", "", "observed", "safety-set"),
    "continuous": ("MMRM", "ANCOVA", "MI", "LOCF", "", "observed"),
    "rate": ("safety-set", "", "observed"),
}

Population = Literal["r-axSpA", "nr-axSpA", "axSpA", "RA", "PsA", "mixed"]
Week = Annotated[float, Field(ge=0, allow_inf_nan=False)]
StudyType = Literal["rct", "extension", "cohort", "pooled"]


def _outcome_code(name: str) -> str:
    return known_outcome(name).code


def _measure_name(name: str) -> str:
    return effect_measure(name).name if name else ""


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Question:
    """What is asked of the evidence.

    Parameters
    ----------
    id : str
        Lower-case letters, digits and hyphens; names files.
    title : str
    outcome : str
        A code of `outcomes.toml`, or a synonym of one.
    populations : tuple of str
        Populations of the evidence tables. With a whole trial and its parts among them, the whole is used.
    line : {"any", "naive", "inadequate-response"}
        Line of treatment: all patients, biologic-naive, or after inadequate response to a biologic. Trials of mixed
        patients enter a single line by the rows that report it separately.
    unknown_line : {"exclude", "include"}
        What happens, in a question about one line, to studies that do not report earlier biologic treatment.
    weeks : (float, float)
        First and last week that count.
    target_week : float
        The week nearest to it is used. Of two equally near, the study's primary week, else the later one.
    measure : str
        OR, RR, RD, MD, IRR ...; empty for the outcome's own.
    estimators : tuple of str
        Analyses in order of preference; empty for the default of the kind of data. "unstated" is one not named.
    only_estimators : bool
        Whether other analyses are left out rather than used last.
    preferred_only : bool
        Whether only the row marked `preferred` counts when several sources or analyses give one result.
    include_deduced : bool
        Whether rows marked `deduced` (the only count that fits the printed figures) are used.
    nodes : {"dose", "drug", "class"}
        What a treatment is; arms of a study that fall together are pooled.
    doses : {"all", "except-unlicensed", "licensed"}
        Regimens used, by the licence stated in the treatment map.
    tiers : tuple of {"primary", "sensitivity", "context"}
        Eligibility judgements that are let in.
    designs : tuple of {"rct", "extension", "cohort", "pooled"}
        Study types.
    randomised_only : bool
        Whether results after the last week of randomised placebo comparison are left out.
    exclude_studies, exclude_reason : tuple of str, str
        Studies left out by name, and why; the ledger repeats the reason.
    rate_of : {"", "events", "patients", "unstated"}
        Which rates are used; empty for the kind that all rows share, and then rows of several kinds, or rows that do
        not say what they count, are refused.
    reference : str
        The treatment that effects are expressed against.
    mid : float or None
        Minimally important difference on the scale people read; None for the outcome's own.

    Examples
    --------
    >>> Question(id="a", title="ASAS40", outcome="asas 40", populations=("r-axSpA",)).stratum
    'r-axSpA, any line'
    """

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,79}$")]
    title: Annotated[str, Field(min_length=1, max_length=200)]
    outcome: Annotated[str, AfterValidator(_outcome_code)]
    populations: Annotated[tuple[Population, ...], Field(min_length=1)]
    line: Literal["any", "naive", "inadequate-response"] = "any"
    unknown_line: Literal["exclude", "include"] = "exclude"
    weeks: tuple[Week, Week] = (12.0, 16.0)
    target_week: Week = 14.0
    measure: Annotated[str, AfterValidator(_measure_name)] = ""
    estimators: tuple[str, ...] = ()
    only_estimators: StrictBool = False
    preferred_only: StrictBool = True
    include_deduced: StrictBool = True
    nodes: Literal["dose", "drug", "class"] = "drug"
    doses: Literal["all", "except-unlicensed", "licensed"] = "all"
    tiers: Annotated[tuple[Literal["primary", "sensitivity", "context"], ...], Field(min_length=1)] = ("primary",)
    designs: Annotated[tuple[StudyType, ...], Field(min_length=1)] = ("rct",)
    randomised_only: StrictBool = True
    exclude_studies: tuple[str, ...] = ()
    exclude_reason: str = ""
    rate_of: Literal["", "events", "patients", "unstated"] = ""
    reference: Annotated[str, Field(min_length=1)] = "placebo"
    mid: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _agree(self) -> Question:
        if self.weeks[0] > self.weeks[1]:
            raise ValueError(f"weeks starts at {self.weeks[0]:g} and ends before it, at {self.weeks[1]:g}")
        if not self.weeks[0] <= self.target_week <= self.weeks[1]:
            raise ValueError(f"target_week {self.target_week:g} is outside the weeks {self.window}")
        if self.asked.reported_as(self.scale) is None:
            raise ValueError(
                f"measure {self.scale} cannot be computed for {self.outcome}, which is reported as "
                f"{' or '.join(self.asked.kinds)}"
            )
        return self

    @property
    def asked(self) -> Outcome:
        """The outcome with its direction and labels."""
        return known_outcome(self.outcome)

    @property
    def scale(self) -> str:
        """Name of the measure used."""
        return self.measure or self.asked.measure

    @property
    def kind(self) -> Literal["binary", "continuous", "rate"]:
        """The kind of evidence row used."""
        return self.asked.reported_as(self.scale) or "binary"

    @property
    def order(self) -> tuple[str, ...]:
        """Analyses in order of preference, as the evidence tables write them."""
        return tuple("" if e == "unstated" else e for e in self.estimators) or PREFERENCE[self.kind]

    @property
    def difference(self) -> float | None:
        """The minimally important difference that applies, or None."""
        return self.mid if self.mid is not None else self.asked.mid.get(self.scale)

    @property
    def window(self) -> str:
        """The weeks in words."""
        return f"{self.weeks[0]:g} to {self.weeks[1]:g}"

    @property
    def stratum(self) -> str:
        """Population and line in words."""
        line = {"any": "any line", "naive": "biologic-naive", "inadequate-response": "after a biologic"}[self.line]
        who = "all axSpA" if {"r-axSpA", "nr-axSpA", "axSpA"} <= set(self.populations) else " + ".join(self.populations)
        return f"{who}, {line}"

    def replace(self, **changes: Any) -> Question:
        """The same question with some keys changed."""
        return _made({**self.to_dict(), **changes}, "question")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def to_toml(self) -> str:
        """The question as TOML, which `Question.from_toml` reads back; keys left at their default are not written.

        Examples
        --------
        >>> q = Question(id="a", title='Say "ASAS40"', outcome="ASAS40", populations=("r-axSpA",), weeks=(8, 16))
        >>> Question.from_toml(q.to_toml()) == q
        True
        """
        told = {f.name: getattr(self, f.name) for f in fields(self)}
        default = {f.name: f.default for f in fields(self)}
        kept = {name: value for name, value in told.items() if value is not None and value != default[name]}
        return "".join(f"{name} = {toml_value(value)}\n" for name, value in kept.items())

    @classmethod
    def from_toml(cls, text: str, *, file: str = "question") -> Question:
        """The one question in a TOML text; DataError when there are several or one key is wrong."""
        found = questions_from_toml(text, file=file)
        if len(found) != 1:
            raise DataError(f"holds {len(found)} questions where one is expected", file=file,
                            fix="Use read_questions for a file of several.")  # fmt: skip
        return found[0]


def questions_from_toml(text: str, *, file: str = "question") -> tuple[Question, ...]:
    """The questions of a TOML text: the top-level keys, or one per `[[question]]` table on top of them.

    Examples
    --------
    >>> text = '''
    ... outcome = "ASAS40"
    ... [[question]]
    ... id = "r"
    ... title = "ASAS40, radiographic"
    ... populations = ["r-axSpA"]
    ... '''
    >>> [q.id for q in questions_from_toml(text)]
    ['r']
    """
    raw = parse_toml(text, file=file)
    variants = raw.pop("question", None)
    if variants is None:
        return (_made(raw, file),)
    if not isinstance(variants, list) or not all(isinstance(v, dict) for v in variants):
        raise DataError("must be a list of tables", file=file, column="question", fix="Write [[question]].")
    found = tuple(_made({**raw, **variant}, file) for variant in variants)
    unique_ids([q.id for q in found], file)
    return found


def unique_ids(ids: list[str], file: str) -> None:
    """Raise DataError at the first id that appears twice."""
    twice = next((i for n, i in enumerate(ids) if i in ids[:n]), None)
    if twice is not None:
        raise DataError("is used by two questions", file=file, column="id", value=twice, fix="Give each its own id.")


def read_questions(path: Path | str) -> tuple[Question, ...]:
    """The questions of a TOML file.

    Parameters
    ----------
    path : path

    Returns
    -------
    tuple of Question

    Raises
    ------
    DataError
        Naming the file, the key, its value and what to write instead.
    """
    path = Path(path)
    read_toml(path)
    return questions_from_toml(path.read_text(encoding="utf-8"), file=path.name)


def _made(raw: dict[str, Any], file: str) -> Question:
    if "estimators" in raw and isinstance(raw["estimators"], list | tuple):
        known = {e or "unstated" for order in PREFERENCE.values() for e in order}
        for name in raw["estimators"]:
            if name not in known:
                raise DataError("is not an analysis of the evidence tables", file=file, column="estimators", value=name,
                                fix=f"Use {', '.join(sorted(known))}.")  # fmt: skip
    try:
        return TypeAdapter(Question).validate_python(raw)
    except ValidationError as problem:
        raise settings_error(problem, file, "a question", [f.name for f in fields(Question)]) from None
    except EnthesisError as problem:
        raise DataError(str(problem), file=file) from None
