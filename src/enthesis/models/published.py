"""Heterogeneity priors from published empirical distributions, by name.

Predictive distributions of tau² in a new meta-analysis, estimated from thousands of Cochrane meta-analyses by type of
outcome and of comparison:

- `turner`: log odds ratios, log-normal (Turner RM et al., Stat Med 2015;34:984);
- `turner2012`: log odds ratios, log-normal, three groups of outcomes (Turner RM et al., Int J Epidemiol 2012;41:818);
- `rhodes`: standardised mean differences, log-Student-t with 5 degrees of freedom (Rhodes KM et al., J Clin Epidemiol
  2015;68:52), by medical area.

They say how much effects vary *on that measure*: a prior of log odds ratios is none for mean differences. The numbers
are in `published.toml`.
"""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from importlib.resources import files
from typing import Any

from enthesis.errors import UsageError
from enthesis.models.priors import LogNormal, LogStudentT, OnVariance

#: degrees of freedom of the log-Student-t distributions of Rhodes et al.
RHODES_DF = 5.0
_OVERALL = ("", "any", "overall", "general", "general setting")
_SIDES = {
    "pharmacological": "pharmacological", "pharma": "pharmacological", "drug": "pharmacological",
    "nonpharmacological": "non-pharmacological", "nonpharma": "non-pharmacological",
    "placebo / control": "placebo / control", "placebo": "placebo / control", "control": "placebo / control",
    "placebo or control": "placebo / control", "any": "any",
}  # fmt: skip


def turner(outcome: str = "any", comparison: str = "any") -> OnVariance:
    """Prior of tau on the log odds ratio scale, from 14,886 Cochrane meta-analyses of binary outcomes.

    Parameters
    ----------
    outcome : str
        One of 16 types, for example "all-cause mortality"; enough words to tell it from the others will do. "any": the
        distribution over all settings.
    comparison : str
        "pharmacological vs placebo / control" (or "pharmacological vs placebo"), "pharmacological vs pharmacological",
        "non-pharmacological vs placebo / control", "non-pharmacological vs pharmacological" or
        "non-pharmacological vs non-pharmacological".

    Returns
    -------
    OnVariance
        A log-normal distribution of tau².

    Raises
    ------
    UsageError
        When a choice is not one of them; the message lists them.

    Examples
    --------
    >>> str(turner("all-cause mortality", "pharmacological vs placebo / control"))
    'log-normal(-3.95, 1.34) on tau²'
    """
    return _log_normal("turner", outcome, comparison)


def turner2012(outcome: str, comparison: str) -> OnVariance:
    """Prior of tau on the log odds ratio scale, by three groups of outcomes and three of comparisons.

    Parameters
    ----------
    outcome : str
        "all-cause mortality", "semi-objective outcomes" or "subjective outcomes".
    comparison : str
        "pharmacological vs placebo / control", "pharmacological vs pharmacological" or "non-pharmacological vs any".

    Returns
    -------
    OnVariance
        A log-normal distribution of tau².

    Raises
    ------
    UsageError

    Examples
    --------
    >>> str(turner2012("mortality", "non-pharmacological vs any"))
    'log-normal(-3.93, 1.51) on tau²'
    """
    return _log_normal("turner2012", outcome, comparison)


def rhodes(outcome: str = "any", comparison: str = "any", area: str = "other") -> OnVariance:
    """Prior of tau on the scale of standardised mean differences, from 6,492 Cochrane meta-analyses.

    Parameters
    ----------
    outcome : str
        One of 8 types, for example "mental health outcomes"; "any": the distribution over all settings.
    comparison : str
        "pharmacological vs placebo / control", "pharmacological vs pharmacological" or "non-pharmacological vs any".
    area : {"other", "respiratory", "cancer"}
        Medical area.

    Returns
    -------
    OnVariance
        A log-Student-t distribution of tau² with 5 degrees of freedom.

    Raises
    ------
    UsageError

    Examples
    --------
    >>> str(rhodes("pain", "pharmacological vs placebo"))
    'log-student-t(-3.16, 2.5, 5) on tau²'
    """
    location, scale = _entry("rhodes", outcome, comparison, area)
    return OnVariance(LogStudentT(location, scale, RHODES_DF))


#: by the name that `parse_prior` reads
PUBLISHED = {"turner": turner, "turner2012": turner2012, "rhodes": rhodes}


def parse_published(name: str, arguments: str) -> OnVariance:
    """The prior that a phrase names, such as `turner` with `mortality, pharmacological vs placebo`.

    Parameters
    ----------
    name : str
        A key of `PUBLISHED`.
    arguments : str
        Outcome, comparison and, for `rhodes`, area, separated by commas.

    Returns
    -------
    OnVariance
    """
    parts = [part.strip() for part in arguments.split(",")] if arguments.strip() else []
    most = 3 if name == "rhodes" else 2
    if len(parts) > most or (name == "turner2012" and len(parts) < 2):
        raise UsageError(
            f"prior {name}({arguments[:60]}) takes an outcome and a comparison{', and an area' if most == 3 else ''}, "
            f"separated by commas. {_choices(name)}"
        )
    return PUBLISHED[name](*parts)


def published_choices(name: str) -> dict[str, tuple[str, ...]]:
    """The outcomes, comparisons and areas of a published set of priors.

    Parameters
    ----------
    name : {"turner", "turner2012", "rhodes"}

    Returns
    -------
    dict
        outcome, comparison, area → names.

    Examples
    --------
    >>> len(published_choices("turner")["outcome"])
    16
    """
    table = _tables()[name]
    first = next(iter(table["area"].values()))
    return {
        "outcome": tuple(row["outcome"] for row in first),
        "comparison": tuple(table["comparisons"]),
        "area": tuple(table["area"]),
    }


@lru_cache
def _tables() -> dict[str, Any]:
    return tomllib.loads((files("enthesis") / "models" / "published.toml").read_text(encoding="utf-8"))


def _log_normal(name: str, outcome: str, comparison: str) -> OnVariance:
    location, scale = _entry(name, outcome, comparison, "any")
    return OnVariance(LogNormal(location, scale))


def _entry(name: str, outcome: str, comparison: str, area: str) -> tuple[float, float]:
    table = _tables()[name]
    plain = " ".join(str(area).split()).casefold()
    if plain not in table["area"]:
        raise UsageError(f"{name} has no area {str(area)[:60]!r}. Choose one of: {', '.join(table['area'])}.")
    whole = [" ".join(str(x).split()).casefold() in _OVERALL for x in (outcome, comparison)]
    if all(whole) and "overall" in table:
        return tuple(table["overall"])
    if any(whole) and "any" not in _words(table["comparisons"][-1]):
        raise UsageError(f"{name} needs an outcome and a comparison, or neither. {_choices(name)}")
    rows = table["area"][plain]
    row = _outcome(name, outcome, rows)
    at = _comparison(name, comparison, table["comparisons"])
    return row["location"][at], row["scale"][at]


def _outcome(name: str, asked: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    wanted = _words(asked)
    for row in rows:
        if wanted and wanted in [_words(x) for x in (row["outcome"], *row.get("also", ()))]:
            return row
    found = [
        row
        for row in rows
        if wanted and all(any(w.startswith(x) for w in _words(row["outcome"])) for x in wanted)
    ]  # fmt: skip
    if len(found) == 1:
        return found[0]
    if found:
        listed = "; ".join(row["outcome"] for row in found)
        raise UsageError(f"{name}: outcome {str(asked)[:60]!r} may mean {listed}. Write more of it.")
    raise UsageError(f"{name} has no outcome {str(asked)[:60]!r}. {_choices(name)}")


def _comparison(name: str, asked: str, known: list[str]) -> int:
    sides = [
        _SIDES.get(" ".join(side.replace("-", "").split()).casefold())
        for side in re.split(r"\s+(?:vs\.?|versus)\s+|\s*:\s*", str(asked).strip())
    ]
    sets = [sorted(k.split(" vs ")) for k in known]
    if len(sides) == 2 and None not in sides:
        if sorted(sides) in sets:
            return sets.index(sorted(sides))
        with_any = sorted(["non-pharmacological", "any"])
        if "non-pharmacological" in sides and with_any in sets:
            return sets.index(with_any)
    if sides == ["non-pharmacological"] and sorted(["non-pharmacological", "any"]) in sets:
        return sets.index(sorted(["non-pharmacological", "any"]))
    raise UsageError(f"{name} has no comparison {str(asked)[:60]!r}. Choose one of: {'; '.join(known)}.")


def _choices(name: str) -> str:
    choices = published_choices(name)
    text = f"Outcomes: {'; '.join(choices['outcome'])}. Comparisons: {'; '.join(choices['comparison'])}."
    return text + (f" Areas: {', '.join(choices['area'])}." if len(choices["area"]) > 1 else "")


def _words(text: str) -> list[str]:
    """Words in lower case without hyphens, brackets and slashes."""
    return re.sub(r"[^a-z0-9 ]", " ", str(text).casefold().replace("-", "")).split()
