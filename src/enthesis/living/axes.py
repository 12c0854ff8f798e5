"""Axes of a multiverse: analytic choices as data, each with the values it can take.

An axis changes the question of a review (which rows, which nodes, which week), the measure, the model, the engine, or
which study is left out. Its values are written as text, in a table, in a file or on the command line alike.

Not every choice matters to every analysis: an engine that uses no prior has no prior of tau, contrasts have no other
likelihood than the normal one. There the axis is empty, so that no analysis is counted twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from enthesis.errors import UsageError, shortened, unknown_name
from enthesis.inference.fit import ENGINES
from enthesis.inference.rare import RARE_ENGINES
from enthesis.models.heterogeneity import Common, Exchangeable
from enthesis.models.model import Model
from enthesis.models.priors import parse_prior
from enthesis.network.measures import MEASURES, measure

Kind = Literal["question", "measure", "model", "study"]
Values = str | Sequence[Any]

#: engines without priors
UNPRIORED = ("gls", *RARE_ENGINES)
#: the value of `without` that leaves nothing out, and the one that stands for every study in turn
NONE, EACH = "none", "each"


@dataclass(frozen=True, kw_only=True)
class Axis:
    """An analytic choice.

    Parameters
    ----------
    name : str
    kind : {"question", "measure", "model", "study"}
        What it changes; `question` is for reviews only.
    what : str
        In words, for help.
    text : callable
        A value as given → its canonical text; raises EnthesisError for a value that cannot be.
    example : str
    """

    name: str
    kind: Kind
    what: str
    text: Callable[[Any], str]
    example: str


def _one_of(kind: str, *known: str) -> Callable[[Any], str]:
    def text(value: Any) -> str:
        if str(value) not in known:
            raise unknown_name(kind, value, known)
        return str(value)

    return text


def _weeks(value: Any) -> str:
    parts = re.split(r"\s*(?:-|to)\s*", str(value)) if isinstance(value, str) else list(value)
    try:
        first, last = (float(x) for x in parts)
    except (TypeError, ValueError):
        raise UsageError(f"weeks {shortened(value)!r} must be first-last, such as 12-16.") from None
    return f"{first:g}-{last:g}"


def _listed(value: Any) -> str:
    return "+".join(str(v).strip() for v in (value.split("+") if isinstance(value, str) else value))


def _deduced(value: Any) -> str:
    return _one_of("deduced", "in", "out")({True: "in", False: "out"}.get(value, value))


def _engine(value: Any) -> str:
    return _one_of("engine", *ENGINES)({"reml": "gls", "auto": "laplace"}.get(str(value).lower(), value))


def _heterogeneity(value: Any) -> str:
    return "common" if value == "fixed" else _one_of("heterogeneity", "random", "common")(value)


AXES: dict[str, Axis] = {
    axis.name: axis
    for axis in (
        Axis(name="nodes", kind="question", what="what a treatment is", text=_one_of("nodes", "dose", "drug", "class"),
             example="dose,drug,class"),
        Axis(name="weeks", kind="question", what="time window", text=_weeks, example="12-16,12-24"),
        Axis(name="estimators", kind="question", what="order of preference of analyses", text=_listed,
             example="NRI+NRI-MI,observed+NRI"),
        Axis(name="tiers", kind="question", what="eligibility judgements let in", text=_listed,
             example="primary,primary+sensitivity"),
        Axis(name="deduced", kind="question", what="deduced counts in or out", text=_deduced, example="in,out"),
        Axis(name="doses", kind="question", what="regimens used, by licence",
             text=_one_of("doses", "all", "except-unlicensed", "licensed"), example="all,licensed"),
        Axis(name="unknown_line", kind="question", what="studies that do not report earlier biologics",
             text=_one_of("unknown_line", "exclude", "include"), example="exclude,include"),
        Axis(name="measure", kind="measure", what="effect measure", text=lambda v: measure(str(v)).name,
             example="OR,RR,RD"),
        Axis(name="likelihood", kind="model", what="exact for arms, or normal on contrasts",
             text=_one_of("likelihood", "exact", "contrasts"), example="exact,contrasts"),
        Axis(name="engine", kind="model", what="Bayesian or frequentist (gls: REML)", text=_engine,
             example="laplace,gls"),
        Axis(name="heterogeneity", kind="model", what="do effects vary between studies", text=_heterogeneity,
             example="random,common"),
        Axis(name="prior_tau", kind="model", what="prior of tau", text=lambda v: str(parse_prior(str(v))),
             example="half-normal(0.5),half-normal(1)"),
        Axis(name="without", kind="study", what="study left out: names, none, or each in turn", text=str,
             example="none,each"),
    )
}  # fmt: skip


def checked_axes(axes: Mapping[str, Values], *, review: bool) -> dict[str, tuple[str, ...]]:
    """Axes with their values as canonical text, each value once.

    Parameters
    ----------
    axes : mapping of str to values
        Values as a sequence, or as text with commas between them (commas inside brackets do not count).
    review : bool
        Whether axes of questions apply.

    Raises
    ------
    UsageError
        For an axis or a value that is not known, an axis without values, or one that does not apply.

    Examples
    --------
    >>> checked_axes({"engine": "laplace, gls", "weeks": [(12, 16)]}, review=True)
    {'engine': ('laplace', 'gls'), 'weeks': ('12-16',)}
    """
    found: dict[str, tuple[str, ...]] = {}
    for name, values in axes.items():
        if name not in AXES:
            raise unknown_name("axis", name, AXES)
        axis = AXES[name]
        if axis.kind == "question" and not review:
            able = ", ".join(a.name for a in AXES.values() if a.kind != "question")
            raise UsageError(f"the axis {name!r} changes the question of a review; a table has {able}.")
        listed = split(values) if isinstance(values, str) else list(values)
        found[name] = tuple(dict.fromkeys(axis.text(v) for v in listed))
        if not found[name]:
            raise UsageError(f"the axis {name!r} has no values; write for example {name}={axis.example}.")
    return found


def split(text: str) -> list[str]:
    """Parts between commas that stand outside brackets.

    Examples
    --------
    >>> split("uniform(0,5), half-normal(1)")
    ['uniform(0,5)', 'half-normal(1)']
    """
    parts, depth, start = [], 0, 0
    for at, mark in enumerate(text):
        depth += (mark == "(") - (mark == ")")
        if mark == "," and depth <= 0:
            parts.append(text[start:at])
            start = at + 1
    return [part.strip() for part in (*parts, text[start:]) if part.strip()]


def question_changes(setting: Mapping[str, str], target_week: float) -> dict[str, Any]:
    """The keys of a question that a setting of axes changes.

    Parameters
    ----------
    setting : mapping of str to str
        Value of each axis.
    target_week : float
        Of the question; moved to the nearest week of a window that does not hold it.
    """
    changes: dict[str, Any] = {}
    for name, value in setting.items():
        match name:
            case "nodes" | "doses" | "unknown_line" | "measure":
                changes[name] = value
            case "weeks":
                first, last = (float(x) for x in value.split("-"))
                changes |= {"weeks": (first, last), "target_week": min(max(target_week, first), last)}
            case "estimators" | "tiers":
                changes[name] = tuple(value.split("+"))
            case "deduced":
                changes["include_deduced"] = value == "in"
    return changes


def without_what_does_not_matter(setting: Mapping[str, str], *, exact: bool, base: Mapping[str, str]) -> dict[str, str]:
    """The setting with an empty value for every axis that does not change this analysis.

    Parameters
    ----------
    setting : mapping of str to str
    exact : bool
        Whether the network's arms have a likelihood of their own on its measure.
    base : mapping of str to str
        Engine and heterogeneity where no axis sets them.
    """
    said = dict(setting)
    engine = said.get("engine", base["engine"])
    if engine in RARE_ENGINES and "heterogeneity" in said:
        said["heterogeneity"] = "common"
    if "prior_tau" in said and (engine in UNPRIORED or said.get("heterogeneity", base["heterogeneity"]) == "common"):
        said["prior_tau"] = ""
    if "likelihood" in said and (engine in UNPRIORED or not exact):
        said["likelihood"] = "" if engine in RARE_ENGINES else "contrasts"
    return said


def model_of(setting: Mapping[str, str], model: Model) -> Model:
    """The model of a setting: the given one, changed where an axis says so."""
    heterogeneity = setting.get("heterogeneity")
    if heterogeneity == "common":
        model = model.replace(heterogeneity=Common())
    elif heterogeneity == "random" and isinstance(model.heterogeneity, Common):
        model = model.replace(heterogeneity=Exchangeable())
    if setting.get("prior_tau") and isinstance(model.heterogeneity, Exchangeable):
        model = model.replace(heterogeneity=replace(model.heterogeneity, sd=parse_prior(setting["prior_tau"])))
    if setting.get("likelihood") and setting.get("engine") not in UNPRIORED:
        model = model.replace(likelihood=setting["likelihood"])
    return model


def default_axes(measures: Iterable[str], *, review: bool) -> dict[str, tuple[str, ...]]:
    """Axes for a question of which nothing else is said.

    Parameters
    ----------
    measures : iterable of str
        Measure names of the network; priors of tau are varied on ratios only, whose scale has no unit.
    review : bool

    Examples
    --------
    >>> list(default_axes(["MD"], review=False))
    ['engine', 'likelihood', 'heterogeneity']
    """
    ratios = all(MEASURES[m].scale == "log" for m in measures)
    axes: dict[str, tuple[str, ...]] = {}
    if review:
        axes |= {"nodes": ("drug", "dose", "class"), "tiers": ("primary", "primary+sensitivity"),
                 "deduced": ("in", "out")}  # fmt: skip
    axes |= {"engine": ("laplace", "gls"), "likelihood": ("exact", "contrasts"), "heterogeneity": ("random", "common")}
    if ratios:
        axes["prior_tau"] = tuple(str(parse_prior(p)) for p in ("half-normal(0.5)", "half-normal(1)", "uniform(0, 2)"))
    return axes
