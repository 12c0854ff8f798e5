"""What a review asks about safety, as data: outcomes, strata of risk, profiles of readers, and what may be borrowed.

No number of the evidence stands in the settings; rows are named, and a row that does not exist is an error with its
name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from enthesis.errors import DataError, EnthesisError, unknown_name
from enthesis.models.priors import Prior, parse_prior
from enthesis.network.outcomes import outcome as known_outcome
from enthesis.network.settings import read_toml, settings_error

Words = Annotated[str, Field(min_length=1, max_length=300)]
Id = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,79}$")]
_CONFIG = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class EffectSource(BaseModel):
    """A relative effect in the evidence.

    `from` says what is read: `contrast`, a printed ratio with its interval; `rates`, events and patient-years of both
    sides; `counts`, events and patients of both sides, whose follow-up is taken as equal.
    """

    model_config = _CONFIG

    stratum: Id = "average"
    study: Words
    arm: Words
    against: Words
    subgroup: str = "all"
    kind: Literal["contrast", "rates", "counts"] = Field(alias="from", default="contrast")
    own: bool = False


class OutcomeSettings(BaseModel):
    """An outcome with the relative effects that may inform it.

    `baseline_instead` names classes whose own rate may stand for that of the comparator where it has none.
    """

    model_config = _CONFIG

    code: Words
    name: Words
    baseline_instead: tuple[Words, ...] = ()
    effect: tuple[EffectSource, ...] = ()

    @property
    def strata(self) -> tuple[str, ...]:
        """Strata for which there is a relative effect; `average` always."""
        return tuple(dict.fromkeys(["average", *(e.stratum for e in self.effect)]))


class Stratum(BaseModel):
    """Patients by risk, and whose effects stand for them."""

    model_config = _CONFIG

    id: Id
    label: Words
    who: Words = "patients"


class Profile(BaseModel):
    """A reader's patient: which strata of risk fit, the most specific first."""

    model_config = _CONFIG

    id: Id
    label: Words
    age_65: bool = False
    ever_smoker: bool = False
    cardiovascular: bool = False
    strata: Annotated[tuple[Id, ...], Field(min_length=1)]


class Borrowing(BaseModel):
    """How far other indications are believed."""

    model_config = _CONFIG

    weight: Annotated[float, Field(ge=0, le=1)] = 0.5
    tau: str = "half-normal(0.5)"
    baselines: str = "half-normal(0.5)"

    @property
    def prior_tau(self) -> Prior:
        """Spread of effects between sources."""
        return parse_prior(self.tau)

    @property
    def prior_baselines(self) -> Prior:
        """Spread of baseline rates between own studies."""
        return parse_prior(self.baselines)


class SafetySettings(BaseModel):
    """The safety part of a review."""

    model_config = _CONFIG

    treatment: Words
    comparator: Words
    indication: Words
    populations: Annotated[tuple[Words, ...], Field(min_length=1)]
    years: Annotated[tuple[Annotated[float, Field(gt=0, le=50)], ...], Field(min_length=1, max_length=6)] = (1, 5)
    relevant_ratio: Annotated[float, Field(gt=1, le=20)] = 1.33
    period_questions: tuple[str, ...] = ()
    borrowing: Borrowing = Borrowing()
    stratum: Annotated[tuple[Stratum, ...], Field(min_length=1)]
    profile: tuple[Profile, ...] = ()
    outcome: Annotated[tuple[OutcomeSettings, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _names_agree(self) -> SafetySettings:
        strata = {s.id for s in self.stratum}
        for used in [e.stratum for o in self.outcome for e in o.effect] + [s for p in self.profile for s in p.strata]:
            if used not in strata:
                raise unknown_name("stratum", used, strata)
        for asked in self.outcome:
            known_outcome(asked.code)
        for text in (self.borrowing.tau, self.borrowing.baselines):
            parse_prior(text)
        return self

    def stratum_of(self, id: str) -> Stratum:
        """The stratum with that id."""
        return next(s for s in self.stratum if s.id == id)

    def profile_of(self, id: str) -> Profile:
        """The profile with that id; UsageError names those there are."""
        found = {p.id: p for p in self.profile}
        if id not in found:
            raise unknown_name("profile", id, found)
        return found[id]

    def profile_for(self, *, age: float | None, ever_smoker: bool | None, cardiovascular: bool | None) -> Profile:
        """The profile that fits a patient: cardiovascular disease first, then 65 or older or ever smoked, then none."""
        risk = bool((age is not None and age >= 65) or ever_smoker)
        fits = [p for p in self.profile if p.cardiovascular == bool(cardiovascular)]
        if not cardiovascular:
            fits = [p for p in fits if (p.age_65 or p.ever_smoker) == risk]
        if not fits:
            raise unknown_name(
                "profile for this patient", f"age {age}, smoker {ever_smoker}", [p.id for p in self.profile]
            )
        return fits[0]


def read_safety(path: Path) -> SafetySettings:
    """The settings of a file.

    Raises
    ------
    DataError
        With file, key, value and mend.

    Examples
    --------
    >>> from enthesis.evidence import bundled_folder
    >>> settings = read_safety(bundled_folder().parent / "safety.toml")
    >>> settings.profile_for(age=70, ever_smoker=False, cardiovascular=False).id
    'older-or-smoker'
    """
    try:
        return SafetySettings.model_validate(read_toml(path))
    except ValidationError as error:
        raise settings_error(error, path.name, "the safety settings", SafetySettings.model_fields) from None
    except DataError:
        raise
    except EnthesisError as problem:
        raise DataError(str(problem), file=path.name) from None
