"""Thresholds of a review: for each decision of its settings, how far the evidence could move before it changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from enthesis.assess.decision import RULES, margin_on_scale, rule_of
from enthesis.assess.threshold import BIASES, LEVELS, decided, thresholds
from enthesis.errors import DataError, EnthesisError, unknown_name
from enthesis.network.settings import read_toml

if TYPE_CHECKING:
    import pandas as pd

    from enthesis.network.measures import Measure

_KEYS = ("question", "rule", "margin", "k", "level", "bias", "title")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A decision of the settings; `margin` is as people read it (a ratio: 1.25)."""

    question: str
    rule: str = "best"
    margin: float = 0.0
    k: int | None = None
    level: str = "study"
    bias: str = "none"
    title: str = ""


@dataclass(frozen=True, kw_only=True)
class Decided:
    """A decision with its thresholds.

    Parameters
    ----------
    asked : Asked
    question : str
        Title of the question.
    words : str
        The rule in words.
    chosen : tuple of str
        What is decided.
    measure : Measure or None
    table : pandas.DataFrame or None
        As `thresholds` returns it.
    model : str
        What was assumed of the fit, in words.
    problem : str
        Why there is none.
    """

    asked: Asked
    question: str = ""
    words: str = ""
    chosen: tuple[str, ...] = ()
    measure: Measure | None = None
    table: pd.DataFrame | None = field(default=None, compare=False, repr=False)
    model: str = ""
    problem: str = ""

    @property
    def fragile(self) -> pd.DataFrame:
        """The rows whose own 95 % interval reaches beyond where the decision holds."""
        t = self.table
        known = t["estimate"].notna()
        return t[known & ((t["lower"] < t["invariant_low"]) | (t["upper"] > t["invariant_high"]))]


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """The part `thresholds` of a run: decisions in the order of the settings."""

    decisions: tuple[Decided, ...]


def compute(run: Any, settings: Path, done: Mapping[str, Any]) -> Thresholds:
    """The thresholds of every decision of the settings.

    Parameters
    ----------
    run : Run
    settings : Path
        `thresholds.toml` of the review.
    done : mapping
        Not used.

    Returns
    -------
    Thresholds
    """
    asked = read_settings(settings)
    known = [q.id for q in run.review.questions]
    for a in asked:
        if a.question not in known:
            raise DataError(str(unknown_name("question", a.question, known)), file=settings.name, column="question")
    return Thresholds(decisions=tuple(_decided(run, a) for a in asked))


def _decided(run: Any, asked: Asked) -> Decided:
    try:
        answer = run.answer(asked.question)
    except EnthesisError as problem:
        return Decided(asked=asked, problem=str(problem))
    title = answer.question.title
    fit = answer.fit
    if fit is None:
        return Decided(asked=asked, question=title, problem=answer.problem or "; ".join(answer.problems.values()))
    network = fit.network
    try:
        margin = margin_on_scale(network.measure, asked.margin)
        rule = rule_of(asked.rule, network, margin=margin, k=asked.k)
        table = thresholds(fit, rule, level=asked.level, bias=asked.bias)
    except EnthesisError as problem:
        return Decided(asked=asked, question=title, problem=str(problem))
    model = "the normal approximation of the posterior, at its mean of tau" if fit.is_bayesian else "exact at its tau"
    return Decided(asked=asked, question=title, words=_words(asked, network, rule), chosen=decided(fit, rule),
                   measure=network.measure, table=table, model=model)  # fmt: skip


def _words(asked: Asked, network: Any, rule: Any) -> str:
    """The rule in words, with the margin as people read it."""
    if asked.rule == "superior" and asked.margin:
        what = f"{network.measure.label} above" if network.measure.scale == "log" else "by more than"
        return f"all treatments better than {network.reference} ({what} {asked.margin:g})"
    return rule.words(network.treatment_names)


def read_settings(path: Path | str) -> tuple[Asked, ...]:
    """The decisions in a file.

    Raises
    ------
    DataError
        Naming file, key and mend.
    """
    path = Path(path)
    raw, file = read_toml(path), path.name
    tables = raw.get("decision", [])
    if set(raw) - {"decision"} or not isinstance(tables, list) or not all(isinstance(t, dict) for t in tables):
        raise DataError("holds [[decision]] tables and nothing else", file=file)
    found = []
    for t in tables:
        for key in t:
            if key not in _KEYS:
                raise DataError("is not a key of a decision", file=file, column=key,
                                fix=str(unknown_name("key", key, _KEYS)))  # fmt: skip
        for key, allowed in (("rule", RULES), ("level", LEVELS), ("bias", BIASES)):
            if t.get(key, allowed[0]) not in allowed:
                raise DataError("is not known here", file=file, column=key, value=t[key],
                                fix=f"Use one of {', '.join(allowed)}.")  # fmt: skip
        margin, k = t.get("margin", 0.0), t.get("k")
        if isinstance(margin, bool) or not isinstance(margin, int | float) or not np.isfinite(margin) or margin < 0:
            raise DataError("must be a number of 0 or more", file=file, column="margin", value=margin)
        if k is not None and (isinstance(k, bool) or not isinstance(k, int)):
            raise DataError("must be a whole number", file=file, column="k", value=k)
        if not isinstance(t.get("question"), str):
            raise DataError("is missing", file=file, column="question")
        found.append(Asked(**{**t, "margin": float(margin)}))
    return tuple(found)


__all__ = ["Asked", "Decided", "Thresholds", "compute", "read_settings"]
