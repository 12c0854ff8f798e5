"""Conclusions as code: a statement, the probability that it is true, and how probable is enough, all as data.

`conclusions.toml` of a review:

    near = 1.5                                   # odds within this factor of the threshold's are called near

    [[conclusion]]
    id = "C1"
    statement = "JAK inhibitors work better than placebo"
    question = "asas40-r-naive-class"            # whose primary fit the draws are of
    probability = "P(OR(JAKi, placebo) > 1)"     # the language of `expressions`, the functions of `quantities`
    threshold = 0.95

A conclusion **holds** when its probability reaches the threshold, is **refuted** when the probability of the opposite
does, and is **open** otherwise. It **flips** when it changes between these from one run to the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked
from scipy.special import logit

from enthesis.assess.expressions import Draws, Probability, Scope, parse
from enthesis.assess.quantities import fit_scope
from enthesis.errors import DataError, EnthesisError, UsageError, unknown_name
from enthesis.hashing import content_hash
from enthesis.inference.diagnostics import quantiles
from enthesis.network.settings import read_toml, settings_error

if TYPE_CHECKING:
    from enthesis.living.run import Run

State = Literal["holds", "open", "refuted", "unknown"]
#: functions that tell how large something is, not how sure; the first of them in an expression is shown beside it
_SIZES = ("gain", "risk", "effect", "new", "rank", "tau")


@checked(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Conclusion:
    """A conclusion as it is kept.

    Parameters
    ----------
    id : str
    statement : str
        In words, as it would stand in a guideline.
    question : str
        Id of the question of the review; empty with `outcome`, for a conclusion about long-term safety.
    probability : str
        Expression that gives a probability.
    threshold : float
        How probable is enough, above a half.
    near : float or None
        It is called near when its odds are within this factor of those of the threshold; None for that of the file.
    population : str
        In words; empty for the stratum of the question, or of risk.
    shows : str
        Expression of the quantity shown beside it; empty for the first one in `probability`.
    matters : str
        What would follow, in words.
    outcome, stratum : str
        Of the result of long-term safety that it reads.
    """

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,39}$")]
    statement: Annotated[str, Field(min_length=1, max_length=400)]
    probability: Annotated[str, Field(min_length=1)]
    threshold: Annotated[float, Field(gt=0.5, lt=1)]
    question: str = ""
    near: Annotated[float, Field(ge=1, le=100)] | None = None
    population: str = ""
    shows: str = ""
    matters: str = ""
    outcome: str = ""
    stratum: str = ""


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """What the last recorded run said of a conclusion."""

    probability: float | None
    state: State
    run: int
    date: str
    asked: str = ""


@dataclass(frozen=True, kw_only=True)
class Concluded:
    """What became of a conclusion in a run.

    Parameters
    ----------
    conclusion : Conclusion
    probability, mcse : float or None
        Posterior probability and its Monte Carlo standard error.
    state : {"holds", "open", "refuted", "unknown"}
        `unknown` when it cannot be computed; `problem` says why.
    near : bool
        Whether the probability is within reach of a change of state.
    population : str
    shows : str
        Name of the quantity beside it.
    estimate, lower, upper : float or None
        Posterior median and 95 % interval of that quantity.
    studies : tuple of str
        Studies of the network behind it.
    borrowed : float or None
        For long-term safety: the share of the information, in events, that comes from other indications.
    problem : str
    before : Earlier or None
        In the last recorded run.
    """

    conclusion: Conclusion
    population: str
    probability: float | None = None
    mcse: float | None = None
    state: State = "unknown"
    near: bool = False
    shows: str = ""
    estimate: float | None = None
    lower: float | None = None
    upper: float | None = None
    studies: tuple[str, ...] = ()
    borrowed: float | None = None
    problem: str = ""
    before: Earlier | None = None

    @property
    def flipped(self) -> bool:
        """Whether the last recorded run said otherwise of the same statement."""
        return self.before is not None and not self.new and self.before.state != self.state

    @property
    def new(self) -> bool:
        """Whether the last recorded run did not hold this statement with this threshold."""
        return self.before is None or (self.before.asked not in ("", asked(self.conclusion)))


@dataclass(frozen=True, kw_only=True)
class Conclusions:
    """All conclusions of a run, in the order of the file."""

    results: tuple[Concluded, ...]

    def result(self, id: str) -> Concluded:
        """The one with that id."""
        found = {r.conclusion.id: r for r in self.results}
        if id not in found:
            raise unknown_name("conclusion", id, found)
        return found[id]

    @property
    def flips(self) -> tuple[Concluded, ...]:
        """Those that changed their state since the last recorded run."""
        return tuple(r for r in self.results if r.flipped)

    @property
    def nearly(self) -> tuple[Concluded, ...]:
        """Those within reach of a change."""
        return tuple(r for r in self.results if r.near and not r.flipped)


def asked(conclusion: Conclusion) -> str:
    """Identity of what a conclusion asks: expression, threshold, question; not its words."""
    c = conclusion
    return content_hash((parse(c.probability).tree, c.threshold, c.question, c.outcome, c.stratum))[:16]


def read_conclusions(path: Path | str) -> tuple[Conclusion, ...]:
    """The conclusions of a file.

    Parameters
    ----------
    path : path

    Returns
    -------
    tuple of Conclusion
        With `near` filled in.

    Raises
    ------
    DataError
        Naming file, key and mend; also for an expression that cannot be read or is no probability.
    """
    path = Path(path)
    raw = read_toml(path)
    known = {"near", "conclusion"}
    for key in raw:
        if key not in known:
            raise DataError("is not a key of a file of conclusions", file=path.name, column=key,
                            fix=str(unknown_name("key", key, known)))  # fmt: skip
    listed = raw.get("conclusion")
    if not isinstance(listed, list) or not listed or not all(isinstance(c, dict) for c in listed):
        raise DataError("holds no conclusions", file=path.name, fix="Write [[conclusion]] tables.")
    near = raw.get("near", 1.5)
    if isinstance(near, bool) or not isinstance(near, int | float) or not 1 <= near <= 100:
        raise DataError("must be a factor from 1 to 100", file=path.name, column="near", value=near)
    found = tuple(_read(one, float(near), path.name) for one in listed)
    ids = [c.id for c in found]
    twice = next((i for n, i in enumerate(ids) if i in ids[:n]), None)
    if twice is not None:
        raise DataError("is used twice", file=path.name, column="id", value=twice, fix="Give each its own id.")
    return found


def _read(raw: dict[str, Any], near: float, file: str) -> Conclusion:
    try:
        made = TypeAdapter(Conclusion).validate_python({"near": near, **raw})
    except ValidationError as problem:
        raise settings_error(problem, file, "a conclusion", [f.name for f in fields(Conclusion)]) from None
    if bool(made.question) == bool(made.outcome):
        raise DataError("needs either a question of the review or an outcome of long-term safety", file=file,
                        column="question", value=made.id, fix="Write question = ... or outcome = ...")  # fmt: skip
    for column, text in (("probability", made.probability), ("shows", made.shows)):
        try:
            expression = parse(text) if text else None
        except UsageError as problem:
            raise DataError(str(problem), file=file, column=column, value=made.id) from None
        if column == "probability" and not any(call == "P" for call, _ in expression.calls()):
            raise DataError("asks for no probability", file=file, column=column, value=text,
                            fix="Write P(...) around the statement.")  # fmt: skip
    return made


def compute(run: Run, settings: Path, done: Mapping[str, Any]) -> Conclusions:
    """Evaluate the conclusions of a review over the posterior draws of a run.

    Parameters
    ----------
    run : Run
    settings : Path
        `conclusions.toml`.
    done : mapping of str to value
        Parts computed before; `safety` is read by conclusions about long-term safety.

    Returns
    -------
    Conclusions
    """
    earlier = getattr(run, "earlier", {}) or {}
    return Conclusions(results=tuple(conclude(c, run, done, earlier.get(c.id)) for c in read_conclusions(settings)))


def conclude(conclusion: Conclusion, run: Run, done: Mapping[str, Any], before: Earlier | None = None) -> Concluded:
    """One conclusion in a run; what cannot be computed is `unknown` and says why."""
    c = conclusion
    population, more = c.population, {}
    try:
        if c.question:
            answer = run.answer(c.question)
            population = population or answer.question.stratum
            if answer.fit is None:
                raise UsageError(answer.problem or "; ".join(answer.problems.values()) or "there is no fit.")
            if not answer.fit.status.ok:
                raise UsageError(f"the fit is not to be relied on: {answer.fit.status.message}")
            scope = fit_scope(answer.fit, answer.baseline.risk if answer.baseline else None)
            more["studies"] = answer.fit.network.studies
        else:
            scope, told = _safety_scope(c, done)
            population = population or told.stratum_label
            more = {"borrowed": _borrowed(told), "studies": tuple(s.study for s in told.sources if not s.left_out)}
        found = parse(c.probability).evaluate(scope)
        if isinstance(found, bool) or not isinstance(found, float) or not 0 <= found <= 1 or np.isnan(found):
            raise UsageError(f"{c.probability!r} is not a probability.")
        more |= _quantity(c, scope)
    except EnthesisError as problem:
        return Concluded(conclusion=c, population=population, problem=str(problem), before=before)
    mcse = found.mcse if isinstance(found, Probability) else None
    return Concluded(
        conclusion=c, population=population, probability=float(found), mcse=mcse,
        state=state_of(found, c.threshold), near=_near(found, c, mcse), before=before, **more,
    )  # fmt: skip


def state_of(probability: float, threshold: float) -> State:
    """Holds, open or refuted.

    Examples
    --------
    >>> state_of(0.96, 0.95), state_of(0.5, 0.95), state_of(0.04, 0.95)
    ('holds', 'open', 'refuted')
    """
    return "holds" if probability >= threshold else "refuted" if probability <= 1 - threshold else "open"


def _near(probability: float, c: Conclusion, mcse: float | None) -> bool:
    """Odds within the factor of the threshold's, on either side, or a threshold within two Monte Carlo errors."""
    reach = np.log(c.near or 1.0)
    limits = (c.threshold, 1 - c.threshold)
    inside = 0 < probability < 1 and min(abs(logit(probability) - logit(limit)) for limit in limits) <= reach
    return bool(inside or min(abs(probability - limit) for limit in limits) <= 2 * (mcse or 0.0))


def _quantity(c: Conclusion, scope: Scope) -> dict[str, Any]:
    """The quantity behind the probability: posterior median and 95 % interval."""
    if c.shows:
        text = c.shows
    else:
        sizes = [
            (name, words) for name, words in parse(c.probability).calls() if name in _SIZES or name in scope.functions
        ]
        if not sizes:
            return {}
        text = f"{sizes[0][0]}({', '.join(_written(w) for w in sizes[0][1])})"
    value = parse(text).evaluate(scope)
    if not isinstance(value, Draws):
        return {}
    lower, middle, upper = quantiles(value.values.astype(float), value.weights, (0.025, 0.5, 0.975))
    return {"shows": text, "estimate": float(middle), "lower": float(lower), "upper": float(upper)}


def _written(word: str) -> str:
    return f'"{word}"' if " " in word else word


def _safety_scope(c: Conclusion, done: Mapping[str, Any]) -> tuple[Scope, Any]:
    """The rate ratio of long-term safety for the outcome and stratum of the conclusion, and its result."""
    if "safety" not in done:
        raise UsageError("long-term safety was not computed in this run.")
    results = done["safety"].results
    found = next((r for r in results if r.outcome == c.outcome and c.stratum in ("", r.stratum)), None)
    if found is None:
        raise unknown_name("safety result", f"{c.outcome} {c.stratum}", [f"{r.outcome} {r.stratum}" for r in results])
    if found.rate_ratio is None:
        raise UsageError(f"there are no data on {found.name} in {found.stratum_label}.")
    draws = np.asarray(found.rate_ratio.draws, dtype=float)
    weights = np.full(len(draws), 1 / len(draws))

    def ratio(treatment: str, comparator: str) -> Draws:
        pair = (treatment, comparator)
        if pair not in (found.comparison, found.comparison[::-1]):
            raise unknown_name("comparison", " : ".join(pair), [" : ".join(found.comparison)])
        return Draws(draws if pair == found.comparison else 1 / draws, weights, source=f"safety {c.outcome}")

    return Scope({"RR": ratio, "IRR": ratio, "HR": ratio}), found


def _borrowed(result: Any) -> float:
    """Events borrowed over events borrowed and own; 1 when own data alone give no ratio."""
    gained = max(0.0, float(result.borrowed.get("ess_borrowed") or 0.0))
    own = sum(result.own_events.values()) if result.own_ratio is not None else 0.0
    return gained / (gained + own) if gained + own else 0.0


__all__ = ["Concluded", "Conclusion", "Conclusions", "Earlier", "asked", "compute", "conclude", "read_conclusions",
           "state_of"]  # fmt: skip
