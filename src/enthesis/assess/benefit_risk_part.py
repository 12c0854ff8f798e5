"""Benefit and risk of a review: criteria are questions, alternatives are the drugs that all of them hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from enthesis.assess.benefit_risk import Criterion, Measured, ValueFunction, net_benefit, resampled, smaa_table, weigh
from enthesis.assess.quantities import draws_of
from enthesis.assess.smaa import Preferences, Smaa, check
from enthesis.errors import DataError, EnthesisError, UsageError, unknown_name
from enthesis.estimands import risk_given
from enthesis.network.settings import read_toml

_PROFILE = ("id", "title", "weights", "order", "between", "ratios")
_CRITERION = ("question", "title", "harm", "worst", "best", "points", "values")


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A reader's preferences: an id, a title, and what is known of the weights by criterion id."""

    id: str
    title: str
    weights: Mapping[str, float] = field(default_factory=dict)
    order: tuple[tuple[str, ...], ...] = ()
    between: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    ratios: tuple[tuple[str, str, float, float], ...] = ()

    def preferences(self, criteria: tuple[str, ...]) -> Preferences:
        """The same by position of the criteria.

        Raises
        ------
        UsageError
            When a name is no criterion, or swing weights leave one out.
        """
        at = {c: k for k, c in enumerate(criteria)}
        named = [*self.weights, *(c for g in self.order for c in g), *self.between,
                 *(c for i, j, *_ in self.ratios for c in (i, j))]  # fmt: skip
        for name in named:
            if name not in at:
                raise unknown_name("criterion", name, criteria)
        if self.weights and set(self.weights) != set(criteria):
            raise UsageError(f"swing weights name every criterion: {', '.join(criteria)}.")
        found = Preferences(
            weights=tuple(float(self.weights[c]) for c in criteria) if self.weights else (),
            order=tuple(tuple(at[c] for c in group) for group in self.order),
            between={at[c]: (float(low), float(high)) for c, (low, high) in self.between.items()},
            ratios={(at[i], at[j]): (float(low), float(high)) for i, j, low, high in self.ratios},
        )
        check(found, len(criteria))
        return found


@dataclass(frozen=True, kw_only=True)
class BenefitRiskSettings:
    """The settings of the part `benefit_risk`.

    Parameters
    ----------
    criteria : tuple of Criterion
        Their ids are questions of the review.
    profiles : tuple of Profile
    exchange : dict of str to float
        Exchange rates of net benefit; empty for none.
    include : tuple of str
        Classes of drugs that are alternatives beside the reference; empty for all.
    draws, seed : int
    """

    criteria: tuple[Criterion, ...]
    profiles: tuple[Profile, ...]
    exchange: Mapping[str, float] = field(default_factory=dict)
    include: tuple[str, ...] = ()
    draws: int = 10_000
    seed: int = 1


@dataclass(frozen=True, kw_only=True)
class Weighed:
    """A profile with what follows from it."""

    profile: Profile
    words: str
    result: Smaa


@dataclass(frozen=True, kw_only=True)
class BenefitRisk:
    """The part `benefit_risk` of a run.

    Parameters
    ----------
    settings : BenefitRiskSettings
    measured : Measured
    weighed : tuple of Weighed
        By profile.
    left_out : dict of str to str
        Drugs of the first criterion that another does not hold, and which.
    """

    settings: BenefitRiskSettings
    measured: Measured
    weighed: tuple[Weighed, ...]
    left_out: Mapping[str, str]

    def table(self, profile: str) -> Any:
        """`smaa_table` of a profile."""
        found = {w.profile.id: w for w in self.weighed}
        if profile not in found:
            raise unknown_name("profile", profile, found)
        return smaa_table(found[profile].result, self.measured)

    def net_benefit(self) -> Any:
        """`net_benefit` at the exchange rates of the settings, or None."""
        return net_benefit(self.measured, self.settings.exchange) if self.settings.exchange else None

    def under(self, profile: Profile) -> Weighed:
        """The same measurements under other preferences; nothing is fitted."""
        criteria = tuple(c.id for c in self.measured.criteria)
        p = profile.preferences(criteria)
        return Weighed(profile=profile, words=p.in_words(tuple(c.title for c in self.measured.criteria)),
                       result=weigh(self.measured, p, seed=self.settings.seed))  # fmt: skip


def compute(run: Any, settings: Path, done: Mapping[str, Any]) -> BenefitRisk:
    """Benefit and risk of the drugs that every criterion holds.

    Parameters
    ----------
    run : Run
    settings : Path
        `benefit-risk.toml` of the review.
    done : mapping
        Not used.

    Returns
    -------
    BenefitRisk
    """
    chosen = read_settings(settings)
    for c in chosen.criteria:
        if c.id not in {q.id for q in run.review.questions}:
            raise DataError(str(unknown_name("question", c.id, [q.id for q in run.review.questions])),
                            file=settings.name, column="criterion.question")  # fmt: skip
    measured, left_out = measure(run, chosen)
    part = BenefitRisk(settings=chosen, measured=measured, weighed=(), left_out=left_out)
    return BenefitRisk(settings=chosen, measured=measured, left_out=left_out,
                       weighed=tuple(part.under(p) for p in chosen.profiles))  # fmt: skip


def measure(run: Any, settings: BenefitRiskSettings) -> tuple[Measured, dict[str, str]]:
    """Draws of absolute risks for every drug that all criteria hold, and which drugs are left out, and why."""
    answers = []
    for c in settings.criteria:
        answer = run.answer(c.id)
        if answer.fit is None or answer.baseline is None:
            raise UsageError(f"{answer.question.title} gives no risks: {answer.problem or 'no events are counted'}.")
        answers.append(answer)
    first = answers[0].fit
    names = [t.name for t in first.network.treatments
             if t.name == first.reference or not settings.include or t.drug_class in settings.include]  # fmt: skip
    left_out = {}
    for name in names:
        lacking = [a.question.title for a in answers if name not in a.fit.treatments]
        if lacking:
            left_out[name] = "not in the network of " + "; nor of ".join(lacking)
    kept = tuple(n for n in names if n not in left_out)
    if len(kept) < 2:
        raise UsageError("fewer than two drugs are in the networks of all criteria.")
    columns = []
    for k, answer in enumerate(answers):
        d, weights = draws_of(answer.fit)
        d = resampled(d, weights, settings.draws, seed=settings.seed + 100 * k)
        at = [answer.fit.network.index(n) for n in kept]
        base = answer.fit.network.index(answer.fit.reference)
        columns.append(risk_given(answer.fit, answer.baseline.risk, d[:, at] - d[:, [base]]))
    return Measured(alternatives=kept, criteria=settings.criteria, draws=np.stack(columns, axis=-1),
                    reference=first.reference), left_out  # fmt: skip


def read_settings(path: Path | str) -> BenefitRiskSettings:
    """The settings in a file.

    Raises
    ------
    DataError
        Naming file, key and mend.
    """
    path = Path(path)
    raw, file = read_toml(path), path.name
    for key in raw:
        if key not in ("criterion", "profile", "exchange", "include", "draws", "seed"):
            raise DataError("is not a key of the settings of benefit and risk", file=file, column=key)
    try:
        criteria = tuple(_criterion(t) for t in raw.get("criterion", []))
        profiles = tuple(_profile(t) for t in raw.get("profile", []))
        ids = tuple(c.id for c in criteria)
        for p in profiles:
            p.preferences(ids)
        exchange = {str(k): float(v) for k, v in raw.get("exchange", {}).items()}
        for name in exchange:
            if name not in ids:
                raise unknown_name("criterion", name, ids)
        draws, seed = raw.get("draws", 10_000), raw.get("seed", 1)
        if not isinstance(draws, int) or not 1_000 <= draws <= 200_000 or not isinstance(seed, int) or seed < 0:
            raise UsageError("draws must be from 1,000 to 200,000 and the seed 0 or above.")
        include = raw.get("include", [])
        if not isinstance(include, list) or not all(isinstance(name, str) for name in include):
            raise UsageError("include must be a list of classes in quotes.")
    except DataError:
        raise
    except (EnthesisError, TypeError, AttributeError, ValueError) as problem:
        raise DataError(str(problem), file=file) from None
    if len(criteria) < 2 or not profiles:
        raise DataError("needs two or more [[criterion]] tables and a [[profile]]", file=file)
    return BenefitRiskSettings(criteria=criteria, profiles=profiles, exchange=exchange, draws=draws, seed=seed,
                               include=tuple(include))  # fmt: skip


def _criterion(t: Any) -> Criterion:
    _known(t, _CRITERION, "criterion")
    if "points" in t:
        value = ValueFunction(points=tuple(map(float, t["points"])), values=tuple(map(float, t["values"])))
    else:
        value = ValueFunction.linear(worst=float(t["worst"]), best=float(t["best"]))
    return Criterion(
        id=t["question"], title=t.get("title", t["question"]), value=value, harm=bool(t.get("harm", False))
    )


def _profile(t: Any) -> Profile:
    _known(t, _PROFILE, "profile")
    order = tuple(tuple(g) if isinstance(g, list) else (g,) for g in t.get("order", []))
    return Profile(id=t["id"], title=t["title"], weights=dict(t.get("weights", {})), order=order,
                   between={k: (v[0], v[1]) for k, v in t.get("between", {}).items()},
                   ratios=tuple(tuple(r) for r in t.get("ratios", [])))  # fmt: skip


def _known(t: Any, keys: tuple[str, ...], what: str) -> None:
    if not isinstance(t, dict):
        raise UsageError(f"[[{what}]] must be tables.")
    for key in t:
        if key not in keys:
            raise unknown_name(f"key of a {what}", key, keys)
    for key in ("id", "title") if what == "profile" else ("question",):
        if not isinstance(t.get(key), str) or not t[key]:
            raise UsageError(f"a {what} needs {key} = ...")
    if what == "criterion" and not ({"worst", "best"} <= set(t) or {"points", "values"} <= set(t)):
        raise UsageError("a criterion needs worst and best, or points and values.")


__all__ = ["BenefitRisk", "BenefitRiskSettings", "Profile", "Weighed", "compute", "measure", "read_settings"]
