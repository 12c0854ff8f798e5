"""What a review computes from all of its answers together: safety, certainty, place in treatment, conclusions.

A part is switched on by a settings file in the review's folder. It is computed after the fits, may use the parts before
it, and has its own chapter in the report and its own keys in `results.json`. A part that cannot be computed says so in
the report; it never stops a run. Functions are named, not imported, so a review without a part does not pay for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from enthesis.errors import EnthesisError, unknown_name

if TYPE_CHECKING:
    from pathlib import Path

    from enthesis.living.run import Run
    from enthesis.living.traced import Parts

Where = Literal["front", "chapters", "behind"]
Told = Literal["report", "json", "messages", "limits"]


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a review; functions are written `module:function`.

    Parameters
    ----------
    name : str
        Its key in `Run.parts`.
    settings : str
        File in the review's folder that switches it on.
    compute : str
        (run, path of the settings, parts computed before by name) → a frozen value.
    report : str
        (value, run, readings) → tuple of Section.
    json : str
        (value, run) → dict of top-level keys of `results.json`.
    messages, limits : str
        (value, run, readings) → tuple of Parts, added to the key messages, or to what the report cannot tell.
    where : {"front", "chapters", "behind"}
        After the key messages, after the chapters of answers, or before the methods.
    """

    name: str
    settings: str
    compute: str
    report: str
    json: str
    messages: str = ""
    limits: str = ""
    where: Where = "chapters"


#: in the order in which they are computed
PARTS: tuple[Part, ...] = (
    Part(
        name="safety",
        settings="safety.toml",
        compute="enthesis.assess.safety:compute",
        report="enthesis.report.safety:sections",
        json="enthesis.report.safety:as_json",
        messages="enthesis.report.safety:messages",
        limits="enthesis.report.safety:limits",
    ),
    Part(
        name="certainty",
        settings="certainty.toml",
        compute="enthesis.assess.certainty_part:compute",
        report="enthesis.report.certainty:sections",
        json="enthesis.report.certainty:as_json",
        messages="enthesis.report.certainty:messages",
        limits="enthesis.report.certainty:limits",
    ),
    Part(
        name="thresholds",
        settings="thresholds.toml",
        compute="enthesis.assess.threshold_part:compute",
        report="enthesis.report.thresholds:sections",
        json="enthesis.report.thresholds:as_json",
        messages="enthesis.report.thresholds:messages",
        where="chapters",
    ),
    Part(
        name="benefit_risk",
        settings="benefit-risk.toml",
        compute="enthesis.assess.benefit_risk_part:compute",
        report="enthesis.report.benefit_risk:sections",
        json="enthesis.report.benefit_risk:as_json",
        where="chapters",
    ),
    Part(
        name="place",
        settings="place.toml",
        compute="enthesis.assess.place:compute",
        report="enthesis.report.place:sections",
        json="enthesis.report.place:as_json",
        messages="enthesis.report.place:messages",
        limits="enthesis.report.place:limits",
        where="front",
    ),
    Part(
        name="conclusions",
        settings="conclusions.toml",
        compute="enthesis.assess.conclusions:compute",
        report="enthesis.report.conclusions:sections",
        json="enthesis.report.conclusions:as_json",
        messages="enthesis.report.conclusions:messages",
        where="front",
    ),
    Part(
        name="forecast",
        settings="forecast.toml",
        compute="enthesis.assess.forecast:compute",
        report="enthesis.report.forecast:sections",
        json="enthesis.report.forecast:as_json",
        messages="enthesis.report.forecast:messages",
        where="behind",
    ),
    Part(
        name="prisma",
        settings="prisma.toml",
        compute="enthesis.assess.prisma:compute",
        report="enthesis.report.prisma:sections",
        json="enthesis.report.prisma:as_json",
        messages="enthesis.report.prisma:messages",
        limits="enthesis.report.prisma:limits",
        where="behind",
    ),
)


def parts_of(folder: Path, names: Iterable[str] | None = None) -> tuple[Part, ...]:
    """The parts that a review's folder switches on, in the order in which they are computed.

    Parameters
    ----------
    folder : Path
    names : iterable of str, optional
        Only these; default all.

    Raises
    ------
    UsageError
        When a name is not that of a part, or the folder has no settings for it.
    """
    on = {p.name: p for p in PARTS if (folder / p.settings).is_file()}
    if names is None:
        return tuple(on.values())
    wanted = set(names)
    for name in sorted(wanted - set(on)):
        raise unknown_name("part of the review", name, on)
    return tuple(p for p in on.values() if p.name in wanted)


def compute_parts(
    run: Run,
    parts: Iterable[Part],
    before: Callable[[Part], object] = lambda part: None,
    kept: Parts | None = None,
) -> tuple[dict[str, Any], dict[str, str]]:
    """Compute parts from the answers of a run.

    Parameters
    ----------
    run : Run
    parts : iterable of Part
    before : callable, optional
        Called with each part before it is computed.
    kept : Parts, optional
        Values kept from earlier runs; used again when everything that the part read is as it was.

    Returns
    -------
    (dict, dict)
        Values by name; by name, in a sentence, why there is no value.
    """
    done: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for part in parts:
        before(part)
        try:
            compute, settings = named(part.compute), run.review.folder / part.settings
            done[part.name] = kept.value(part.name, settings, compute, done) if kept else compute(run, settings, done)
        except EnthesisError as problem:
            problems[part.name] = str(problem)
    return done, problems


def from_parts(run: Run, what: Told, *more: Any) -> Iterator[tuple[Part, Any]]:
    """(part, what its function returns) for each part of a run that has a value and such a function."""
    for part in PARTS:
        function = getattr(part, what)
        if function and part.name in run.parts:
            yield part, named(function)(run.parts[part.name], run, *more)


def named(function: str) -> Callable[..., Any]:
    """The function that `module:function` names."""
    module, name = function.split(":")
    return getattr(import_module(module), name)


__all__ = ["PARTS", "Part", "compute_parts", "from_parts", "named", "parts_of"]
