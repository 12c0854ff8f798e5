"""Forecasts: how probable it is that a trial under way changes a conclusion of the review.

`forecast.toml` of a review says which registered trials can enter which question, with the arms as the network names
them, because a registry says it in words:

    [[trial]]
    nct_id = "NCT00000000"
    question = "asas40-r-naive-class"
    arms = [["placebo", 129], ["JAKi", 129]]       # the control first
    assumes = "two equal arms"

    [[not]]
    nct_id = "NCT00000001"
    why = "one arm: it cannot move a comparison"

    [[comparison]]                                   # how large a new trial must be
    question = "asas40-r-naive-class"
    treatment = "JAKi"
    comparator = "TNFi"

    [value]                                          # every pair as a new trial
    question = "asas40-r-naive"
    patients = 300

Each trial is simulated from the posterior and every conclusion on its question is evaluated again after each simulated
result (`preposterior`). Every row of the table of ongoing trials is answered: forecast, or the reason why not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked

from enthesis.assess.conclusions import Concluded, state_of
from enthesis.assess.expressions import Draws, Scope, parse
from enthesis.assess.next_trial import Size, net_benefit, required_size, value_map
from enthesis.assess.preposterior import TRIALS, Foreseen, PlannedTrial, foresee
from enthesis.assess.quantities import fit_scope
from enthesis.errors import DataError, EnthesisError
from enthesis.network.settings import read_toml, settings_error

if TYPE_CHECKING:
    from enthesis.living.run import Run

_CONFIG = ConfigDict(extra="forbid")
#: fewer effective draws after a trial make its forecast rough
DRAWS_ENOUGH = 100


@checked(frozen=True, kw_only=True, config=_CONFIG)
class TrialSetting:
    """A registered trial as it would enter a question; see the module."""

    nct_id: Annotated[str, Field(min_length=1)]
    question: Annotated[str, Field(min_length=1)]
    arms: Annotated[tuple[tuple[str, Annotated[int, Field(ge=2, le=1_000_000)]], ...], Field(min_length=2)]
    label: str = ""
    assumes: str = ""


@checked(frozen=True, kw_only=True, config=_CONFIG)
class NotForecast:
    """A registered trial that no conclusion can be moved by, and why."""

    why: Annotated[str, Field(min_length=1)]
    nct_id: str = ""
    title: str = ""


@checked(frozen=True, kw_only=True, config=_CONFIG)
class ComparisonSetting:
    """A comparison whose next trial is sized; see `required_size`."""

    question: Annotated[str, Field(min_length=1)]
    treatment: Annotated[str, Field(min_length=1)]
    comparator: Annotated[str, Field(min_length=1)]
    margin: float | None = None
    threshold: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    assurance: Annotated[float, Field(gt=0, lt=1)] = 0.8


@checked(frozen=True, kw_only=True, config=_CONFIG)
class ValueSetting:
    """The question of the value map, the patients of each new trial, and the cost of treatments; see `value_map`."""

    question: Annotated[str, Field(min_length=1)]
    patients: Annotated[int, Field(ge=4, le=1_000_000)] = 300
    worth: float = 1.0
    costs: dict[str, float] = field(default_factory=dict)


@checked(frozen=True, kw_only=True, config=_CONFIG)
class Settings:
    """What `forecast.toml` holds."""

    trial: tuple[TrialSetting, ...] = ()
    not_: Annotated[tuple[NotForecast, ...], Field(alias="not")] = ()
    comparison: tuple[ComparisonSetting, ...] = ()
    value: ValueSetting | None = None


@dataclass(frozen=True, kw_only=True)
class Moved:
    """A conclusion before and after a trial.

    Parameters
    ----------
    conclusion, statement : str
    threshold, probability : float
        Probability of the statement now.
    state : str
        Now.
    holds, open, refuted : float
        Probability of each state after the trial.
    flips : float
        Probability of another state than now.
    mcse : float
        Monte Carlo standard error of `flips`.
    lower, median, upper : float
        5, 50 and 95 % quantiles of the probability of the statement after the trial.
    """

    conclusion: str
    statement: str
    threshold: float
    probability: float
    state: str
    holds: float
    open: float
    refuted: float
    flips: float
    mcse: float
    lower: float
    median: float
    upper: float


@dataclass(frozen=True, kw_only=True)
class TrialForecast:
    """What a registered trial may change.

    Parameters
    ----------
    nct_id, label, question : str
    arms : tuple of (str, int)
    assumes : str
    measure : str
    effects : tuple of (str, float, float, float)
        Treatment; mean and 95 % interval of the effect against the first arm that the trial will show, on the scale
        people read.
    scale_mean, scale_sd : tuple of float
        Predicted mean and standard deviation of those effects on the model's scale, for scoring.
    moved : tuple of Moved
        The conclusions on its question; empty when there are none.
    draws_left : float
        Effective draws after the median simulated trial.
    problem : str
        Why it could not be forecast.
    """

    nct_id: str
    label: str
    question: str
    arms: tuple[tuple[str, int], ...]
    assumes: str = ""
    measure: str = ""
    effects: tuple[tuple[str, float, float, float], ...] = ()
    scale_mean: tuple[float, ...] = ()
    scale_sd: tuple[float, ...] = ()
    moved: tuple[Moved, ...] = ()
    draws_left: float = 0.0
    problem: str = ""

    @property
    def patients(self) -> int:
        """Over all arms."""
        return sum(n for _, n in self.arms)


@dataclass(frozen=True, kw_only=True)
class Forecasts:
    """All forecasts of a run.

    Parameters
    ----------
    trials : tuple of TrialForecast
    skipped : tuple of (str, str, str)
        Registry number, title and reason of each registered trial without a forecast.
    sizes : tuple of (str, Size)
        Question and size of the next trial.
    problems : tuple of str
        What could not be computed of sizes and values.
    value_question : str
    value : tuple of dict
        Rows of `value_map`, the most valuable first.
    """

    trials: tuple[TrialForecast, ...]
    skipped: tuple[tuple[str, str, str], ...] = ()
    sizes: tuple[tuple[str, Size], ...] = ()
    problems: tuple[str, ...] = ()
    value_question: str = ""
    value: tuple[dict[str, Any], ...] = ()


def read_settings(path: Path | str) -> Settings:
    """The settings of a review's forecasts.

    Raises
    ------
    DataError
        Naming file, key and mend.
    """
    path = Path(path)
    try:
        return TypeAdapter(Settings).validate_python(read_toml(path))
    except ValidationError as problem:
        raise settings_error(problem, path.name, "forecasts", ["trial", "not", "comparison", "value"]) from None


def compute(run: Run, settings: Path, done: Mapping[str, Any]) -> Forecasts:
    """Forecast every registered trial of a review.

    Parameters
    ----------
    run : Run
    settings : Path
        `forecast.toml`.
    done : mapping of str to value
        `conclusions` says what can be changed.

    Returns
    -------
    Forecasts
    """
    read = read_settings(settings)
    known = {a.question.id for a in run.answers}
    for one in (*read.trial, *read.comparison, *filter(None, [read.value])):
        if one.question not in {q.id for q in run.review.questions}:
            raise DataError("is no question of the review", file=settings.name, column="question", value=one.question)
    concluded = done["conclusions"].results if "conclusions" in done else ()
    trials = tuple(_forecast(t, run, concluded) for t in read.trial if t.question in known)
    sizes, problems = [], []
    for c in read.comparison:
        if c.question in known:
            try:
                sizes.append((c.question, required_size(_fit(run, c.question), c.treatment, c.comparator,
                                                        margin=c.margin, threshold=c.threshold,
                                                        assurance=c.assurance)))  # fmt: skip
            except EnthesisError as problem:
                problems.append(f"Size of {c.treatment} against {c.comparator}, {c.question}: {problem}")
    rows: tuple[dict[str, Any], ...] = ()
    if read.value is not None and read.value.question in known:
        try:
            rows = _value(run, read.value)
        except EnthesisError as problem:
            problems.append(f"Value of new trials, {read.value.question}: {problem}")
    return Forecasts(trials=trials, skipped=_skipped(run, read), sizes=tuple(sizes), problems=tuple(problems),
                     value_question=read.value.question if rows and read.value else "", value=rows)  # fmt: skip


def _fit(run: Run, question: str):
    answer = run.answer(question)
    if answer.fit is None:
        raise DataError(answer.problem or "has no fit", file=question)
    return answer.fit


def _value(run: Run, setting: ValueSetting) -> tuple[dict[str, Any], ...]:
    fit, baseline = _fit(run, setting.question), run.answer(setting.question).baseline
    risk = baseline.risk if baseline else None
    benefit = net_benefit(fit, risk, worth=setting.worth, costs=setting.costs)
    table = value_map(fit, setting.patients, benefit=benefit)
    return tuple(table.sort_values(["value", "decides"], ascending=False).to_dict("records"))


def _forecast(setting: TrialSetting, run: Run, concluded: tuple[Concluded, ...]) -> TrialForecast:
    told: dict[str, Any] = {"nct_id": setting.nct_id, "label": setting.label or setting.nct_id,
                            "question": setting.question, "arms": setting.arms, "assumes": setting.assumes}  # fmt: skip
    try:
        fit = _fit(run, setting.question)
        new = [name for name, _ in setting.arms if name not in fit.network.treatment_names]
        if new:
            raise DataError(f"no study of {', '.join(new)} is in this network, so what the trial shows has no forecast")
        seen = foresee(fit, PlannedTrial(arms=setting.arms))
    except EnthesisError as problem:
        return TrialForecast(problem=str(problem), **told)
    measure = fit.network.measure
    effects = tuple(
        (name, *(float(measure.back_transform(x)) for x in seen.estimate(j)))
        for j, (name, _) in enumerate(setting.arms[1:], start=1)
    )
    baseline = run.answer(setting.question).baseline
    scope = fit_scope(fit, baseline.risk if baseline else None)
    moved = tuple(
        after(seen, scope, r)
        for r in concluded
        if r.conclusion.question == setting.question and r.probability is not None
    )
    return TrialForecast(
        measure=measure.name, effects=effects, moved=moved, draws_left=seen.draws_left,
        scale_mean=tuple(float(x) for x in seen.y.mean(axis=0)),
        scale_sd=tuple(float(x) for x in seen.y.std(axis=0, ddof=1)), **told,
    )  # fmt: skip


def after(seen: Foreseen, scope: Scope, r: Concluded) -> Moved:
    """A conclusion after each simulated trial.

    Parameters
    ----------
    seen : Foreseen
    scope : Scope
        Of the fit that was foreseen from.
    r : Concluded
        The conclusion as it is now.

    Returns
    -------
    Moved
    """
    expression = parse(r.conclusion.probability)
    weights = {"now": seen.weights[0]}

    def reweighed(function):
        @cache
        def plainly(*arguments):
            return function(*arguments)

        def call(*arguments):
            found = plainly(*arguments)
            if isinstance(found, Draws):
                return Draws(found.values, weights["now"], found.source, found.efficiency)
            return found

        return call

    after_scope = Scope({name: reweighed(f) for name, f in scope.functions.items()}, scope.names)
    found = np.empty(len(seen.weights))
    for s, w in enumerate(seen.weights):
        weights["now"] = w
        found[s] = float(expression.evaluate(after_scope))
    threshold = r.conclusion.threshold
    states = np.array([state_of(p, threshold) for p in found])
    share = {name: float(np.mean(states == name)) for name in ("holds", "open", "refuted")}
    flips = 1 - share.get(r.state, 0.0)
    lower, median, upper = (float(x) for x in np.quantile(found, (0.05, 0.5, 0.95)))
    return Moved(
        conclusion=r.conclusion.id, statement=r.conclusion.statement, threshold=threshold,
        probability=float(r.probability or 0.0), state=r.state, flips=flips,
        mcse=float(np.sqrt(max(flips * (1 - flips), 0.25 / len(found)) / len(found))), lower=lower, median=median,
        upper=upper, **share,
    )  # fmt: skip


def _skipped(run: Run, read: Settings) -> tuple[tuple[str, str, str], ...]:
    """Every row of the table of ongoing trials that has no forecast, with the reason."""
    named = {t.nct_id for t in read.trial}
    why_not = {n.nct_id or n.title: n.why for n in read.not_}
    told = []
    for row in run.evidence.ongoing.to_dict("records"):
        if row["nct_id"] and row["nct_id"] in named:
            continue
        why = why_not.get(row["nct_id"]) or why_not.get(row["title"]) or "not described in forecast.toml yet"
        told.append((row["nct_id"], row["title"], why))
    return tuple(told)


__all__ = ["TRIALS", "Forecasts", "Moved", "TrialForecast", "after", "compute", "read_settings"]
