"""Means and their spread: SD and SE swapped, intervals that do not fit, scores outside the scale."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from math import log, sqrt
from statistics import median
from typing import Any

from enthesis.evidence.lint.cells import Line, grouped, lines
from enthesis.evidence.lint.finding import Finding, finding
from enthesis.evidence.view import Evidence

#: arms of other studies without which an outcome's usual spread is unknown
ENOUGH = 5
#: a printed interval may be this much wider or narrower than its standard error implies (t or z, adjustment, rounding)
LOOSE = 0.12


@cache
def scales() -> dict[str, dict[str, Any]]:
    """Ranges of the instruments, of outcomes and of baseline columns."""
    return tomllib.loads(files(__package__).joinpath("scales.toml").read_text(encoding="utf-8"))


def standard_errors(evidence: Evidence) -> Iterator[Finding]:
    """Standard deviation, standard error and number of patients that do not fit one another."""
    for row in _means(evidence):
        n, sd, se = row.value("n"), row.value("sd"), row.value("se")
        if not n or not sd or not se:
            continue
        implied = sd / sqrt(n)
        room = row.half("se") + row.half("sd") / sqrt(n)
        if abs(implied - se) > 0.1 * implied + room:
            swapped = abs(se / sqrt(n) - sd) <= 0.1 * sd + row.half("sd")
            yield finding("sd-and-se", "error" if swapped else "warning", row.where(),
                          [(row.name, (row["sd"], row["se"], row["n"]))],
                          f"An SD of {row['sd']} in {n:g} patients means a standard error of {implied:.3g}, but "
                          f"{row['se']} is printed.",
                          "The two are swapped: exchange them after a look at the source." if swapped else
                          "Compare with the source: a model's standard error is not SD over root n.")  # fmt: skip


def swapped_spread(evidence: Evidence) -> Iterator[Finding]:
    """A standard deviation as small as a standard error, or the reverse, by what other studies of the outcome have."""
    for outcome, group in grouped(_means(evidence), lambda r: r["outcome"]).items():
        spreads = [(r, s) for r in group if (s := _sd(r)) is not None]
        for row in group:
            n, given = row.value("n"), _given(row)
            others = [s for r, s in spreads if r["study_id"] != row["study_id"]]
            if not n or n < 10 or given is None or len(others) < ENOUGH:
                continue
            column, value = given
            usual, root = median(others), sqrt(n)
            as_given = log((value if column == "sd" else value * root) / usual)
            as_other = log((value * root if column == "sd" else value) / usual)
            if abs(as_given) > log(3) and abs(as_other) < log(1.8):
                other = "SE" if column == "sd" else "SD"
                yield finding(f"{column}-looks-like-{other.lower()}", "warning", row.where(),
                              [(row.name, (column, row[column], row["n"]))],
                              f"The {column.upper()} {row[column]} makes an SD of "
                              f"{value if column == 'sd' else value * root:.3g}; other studies of {outcome} have about "
                              f"{usual:.3g}. Read as {other} it would be "
                              f"{value * root if column == 'sd' else value:.3g}.",
                              f"Look in the source whether it is the {other}, and move it to that column.")  # fmt: skip


def intervals(evidence: Evidence) -> Iterator[Finding]:
    """Means outside their interval or away from its middle, and intervals that do not fit their standard error."""
    for row in _means(evidence):
        mean, low, high, se = (row.value(c) for c in ("mean", "ci_low", "ci_high", "se"))
        if mean is None or low is None or high is None:
            continue
        yield from interval_findings(row, "mean", mean, low, high, se, half=row.half("ci_low") + row.half("ci_high"))


def interval_findings(
    row: Line, column: str, value: float, low: float, high: float, se: float | None, *, half: float, z: float = 1.96
) -> Iterator[Finding]:
    """What is wrong with an estimate and its interval, all on a scale on which the interval should be symmetric."""
    read = [(row.name, tuple(row[c] for c in (column, "ci_low", "ci_high", "se")))]
    shown = f"{row[column]} ({row['ci_low']} to {row['ci_high']})"
    room = half + row.half(column)
    if not low - room <= value <= high + room:
        yield finding("outside-interval", "error", row.where(), read, f"{shown}: outside its own interval.",
                      "Compare sign and limits with the source.")  # fmt: skip
        return
    width = (high - low) / 2
    if abs(value - (low + high) / 2) > 0.15 * width + room:
        yield finding("interval-not-centred", "warning", row.where(), read,
                      f"{shown}: far from the middle of its interval.",
                      "Look for a slip in a digit; bootstrap, Bayesian and exact intervals can be lopsided: then "
                      "say so in the note.")  # fmt: skip
    if se and abs(width - z * se) > LOOSE * width + half / 2 + z * row.half("se"):
        looks = " It is the width of the interval of an SD." if width > 3 * z * se else ""
        yield finding("interval-and-se", "warning", row.where(), read,
                      f"{shown}: half as wide as {width:.3g}, but the standard error {row['se']} makes {z * se:.3g}."
                      + looks, "Compare both with the source, and the level of the interval.")  # fmt: skip


def outside_scale(evidence: Evidence) -> Iterator[Finding]:
    """Scores that the instrument cannot give, often another unit (0 to 100 for 0 to 10)."""
    known = scales()
    for row in _means(evidence):
        scale = known["scale"].get(row["outcome"])
        mean, sd = row.value("mean"), _sd(row)
        if scale is None or mean is None:
            continue
        width = scale["high"] - scale["low"]
        if abs(mean) > width:
            yield finding("outside-scale", "error", row.where(), [(row.name, row["mean"])],
                          f"A change of {row['mean']} is more than the whole scale ({scale['low']} to "
                          f"{scale['high']}).", "Look for the unit in the source; divide by 10 for a 0 to 100 scale."
                          )  # fmt: skip
        elif sd is not None and sd > width:
            yield finding("outside-scale", "error", row.where(), [(row.name, (row["sd"], row["se"], row["n"]))],
                          f"An SD of {sd:.3g} is more than any change on a scale from {scale['low']} to "
                          f"{scale['high']} can have.",
                          "Look whether it is another unit, or an SD in the column of the SE.")  # fmt: skip
    for arm in lines(evidence, "arms"):
        for name, scale in known["baseline"].items():
            value = arm.value(f"{name}_mean")
            if value is not None and not scale["low"] <= value <= scale["high"]:
                yield finding("outside-scale", "error", arm.where(), [(arm.name, arm[f"{name}_mean"])],
                              f"A mean {name.upper()} of {value:g} is outside {scale['low']} to {scale['high']}.",
                              "Look for the unit in the source.")  # fmt: skip


def unusual_unit(evidence: Evidence) -> Iterator[Finding]:
    """Baseline values and changes that are about ten times those of the other studies."""
    arms = lines(evidence, "arms")
    for column in ("crp_mgl_mean", "crp_mgl_median", "symptom_duration_years_mean", "basdai_mean", "bmi_mean"):
        yield from _far(((a, a.value(column)) for a in arms), column, "baseline")
    for outcome, group in grouped(_means(evidence), lambda r: r["outcome"]).items():
        yield from _far(((r, _sd(r)) for r in group), "sd", f"SD of {outcome}")


def _far(pairs, column: str, what: str) -> Iterator[Finding]:
    given = [(row, value) for row, value in pairs if value]
    for row, value in given:
        others = [v for r, v in given if r["study_id"] != row["study_id"]]
        if len(others) < ENOUGH:
            continue
        usual = median(others)
        if usual and not 1 / 7 < value / usual < 7:
            read = [(row.name, (column, row[column] or (row["se"], row["n"])))]
            yield finding("unusual-unit", "warning", row.where(), read,
                          f"{what}, {column}: {value:.3g}, where other studies have about {usual:.3g}.",
                          "Look for the unit (mg/dL, 0 to 100, months) and for the kind of spread in the source.",
                          )  # fmt: skip


def _means(evidence: Evidence) -> list[Line]:
    return [r for r in lines(evidence, "outcomes") if r["measure"] == "continuous"]


def _given(row: Line) -> tuple[str, float] | None:
    """The one spread that a row states: (column, value)."""
    found = [(c, v) for c in ("sd", "se") if (v := row.value(c))]
    return found[0] if len(found) == 1 else None


def _sd(row: Line) -> float | None:
    """The SD of a row, stated or implied by the SE or the interval."""
    n = row.value("n")
    if sd := row.value("sd"):
        return sd
    if not n:
        return None
    if se := row.value("se"):
        return se * sqrt(n)
    low, high = row.value("ci_low"), row.value("ci_high")
    return (high - low) / 3.92 * sqrt(n) if low is not None and high is not None and high > low else None
