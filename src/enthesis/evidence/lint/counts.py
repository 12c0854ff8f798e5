"""Counts and percentages: what whole numbers can give, and which outcome can have no more events than another.

The percentage checks are GRIM (Brown and Heathers 2017, Soc Psychol Personal Sci 8:363): a proportion of n patients is
a whole number over n, so most printed values of a small group are impossible.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, floor, sqrt

from enthesis.evidence.lint.cells import by, grouped, half_unit, lines
from enthesis.evidence.lint.finding import Finding, finding
from enthesis.evidence.view import Evidence

#: (the harder outcome, the easier): whoever has the first has the second
NESTED = (
    ("ASAS40", "ASAS20"),
    ("ASAS-PR", "ASAS20"),
    ("ASDAS-ID", "ASDAS-LDA"),
    ("ASDAS-MI", "ASDAS-CII"),
    ("SERINF", "INF"),
    ("SERINF", "SAE"),
    ("SAE", "AE"),
    ("DVT", "VTE"),
    ("PE", "VTE"),
    ("TB", "OPPINF"),
    ("LYMPHOMA", "MALIG"),
)
_SLACK = 1e-9


def counts_that_fit(percent: str, n: int) -> list[int]:
    """The counts of n that print as this percentage.

    Parameters
    ----------
    percent : str
        As printed: the number of decimals says how it was rounded.
    n : int

    Returns
    -------
    list of int
        Empty when no whole number fits.

    Examples
    --------
    >>> counts_that_fit("47.8", 159), counts_that_fit("47.6", 159), counts_that_fit("50", 300)
    ([76], [], [149, 150, 151])
    """
    value, half = float(percent), half_unit(percent)
    low, high = (value - half) * n / 100, (value + half) * n / 100
    return list(range(max(0, ceil(low - _SLACK)), min(n, floor(high + _SLACK)) + 1))


def grim(mean: str, n: int, step: float = 1.0) -> bool:
    """Whether n values on a grid can have this mean.

    Parameters
    ----------
    mean : str
        As printed.
    n : int
    step : float
        Distance between possible values of one patient.

    Examples
    --------
    >>> grim("5.19", 28), grim("5.18", 28)
    (False, True)
    """
    half, total = half_unit(mean), float(mean) * n / step
    return floor(total + half * n / step + _SLACK) >= ceil(total - half * n / step - _SLACK)


def percentages(evidence: Evidence) -> Iterator[Finding]:
    """Printed percentages that no count, or not this count, can give."""
    for row in lines(evidence, "outcomes"):
        n, events = row.value("n"), row.value("events")
        if row["measure"] != "binary" or not row["percent"] or not n:
            continue
        fitting = counts_that_fit(row["percent"], int(n))
        read = [(row.name, (row["events"], row["n"], row["percent"]))]
        fits = f"{', '.join(map(str, fitting))} of {n:g}" if fitting else f"no whole number of {n:g}"
        if events is None:
            if not fitting:
                yield finding("percent-impossible", "warning", row.where(), read,
                              f"{row['percent']} % of {n:g} patients is {fits}.",
                              "Look for the number analysed at this time, or for a percentage that is not a simple "
                              "proportion (imputed, adjusted): then say so in the note.")  # fmt: skip
        elif int(events) not in fitting:
            other = denominators(row["percent"], int(events), int(n))
            hint = f" {events:g} patients print so of {other}." if other else ""
            cut = abs(100 * events / n - row.value("percent")) < 2 * row.half("percent")
            yield finding("percent-count", "warning" if cut else "error", row.where(), read,
                          f"{events:g} of {n:g} is {100 * events / n:.2f} %, but {row['percent']} % is printed, which "
                          f"is {fits}.", "Compare count, number analysed and percentage with the source"
                          + (", which may have cut digits instead of rounding." if cut else ".") + hint,
                          )  # fmt: skip
        elif row["events_derived"] == "yes" and len(fitting) > 1:
            yield finding("count-not-unique", "note", row.where(), read,
                          f"The count {events:g} was derived from {row['percent']} %, and so could be "
                          f"{fitting[0]} to {fitting[-1]} of {n:g}.",
                          "Look for the count itself; else leave it: the error is at most "
                          f"{max(events - fitting[0], fitting[-1] - events):g} patients.")  # fmt: skip


def upper_limit(events: float, z: float = 1.959964) -> float:
    """The exact 95 % upper limit of a Poisson count, to a part in a thousand.

    By the cube-root approximation of the chi-squared quantile (Wilson and Hilferty 1931, Proc Natl Acad Sci 17:684).

    Examples
    --------
    >>> round(upper_limit(10), 1), round(upper_limit(0), 1)
    (18.4, 3.7)
    """
    more = events + 1
    return more * (1 - 1 / (9 * more) + z / (3 * sqrt(more))) ** 3


def denominators(percent: str, events: int, near: int) -> str:
    """Numbers of patients near the stated one of which the events print as this percentage."""
    found = [n for n in range(max(events, near - 15, 1), near + 16) if events in counts_that_fit(percent, n)]
    return " or ".join(map(str, found[:4]))


def nested(evidence: Evidence) -> Iterator[Finding]:
    """Harder outcomes with more events than the easier outcome that contains them."""
    rows = [r for r in lines(evidence, "outcomes") if r["measure"] == "binary" and r.value("events") is not None]
    groups = grouped(rows, by("study_id", "arm_id", "subgroup", "week", "n", "source_id", "estimator"))
    for group in groups.values():
        for hard, easy in NESTED:
            for first in (r for r in group if r["outcome"] == hard):
                for second in (r for r in group if r["outcome"] == easy):
                    if first.value("events") > second.value("events"):
                        yield finding("nested", "error", first.where(),
                                      [(r.name, r["events"]) for r in (first, second)],
                                      f"{first['events']} patients have {hard} but only {second['events']} {easy}, "
                                      "which everyone with the first has.",
                                      "Compare both counts with the source; they may be swapped or from other sets."
                                      )  # fmt: skip


def subgroups(evidence: Evidence) -> Iterator[Finding]:
    """Parts of an arm that are together more than the arm."""
    rows = [r for r in lines(evidence, "outcomes") if r["measure"] == "binary" and r.value("n")]
    key = by("study_id", "arm_id", "outcome", "week", "estimator", "source_id")
    for group in grouped(rows, key).values():
        named = {r["subgroup"]: r for r in group}
        parts = [named.get(name) for name in ("naive", "inadequate-response")]
        whole = named.get("all")
        if whole is None or None in parts:
            continue
        for column in ("n", "events"):
            values = [r.value(column) for r in (*parts, whole)]
            if None not in values and values[0] + values[1] > values[2]:
                yield finding("subgroups", "error", whole.where(), [(r.name, r[column]) for r in (*parts, whole)],
                              f"The subgroups naive and inadequate-response have {values[0]:g} and {values[1]:g} in "
                              f"column {column}, together more than the {values[2]:g} of all.",
                              "Compare with the source.")  # fmt: skip


def rates(evidence: Evidence) -> Iterator[Finding]:
    """Rates that are not events over patient-years, and intervals far from the exact one."""
    for row in lines(evidence, "outcomes"):
        events, years, rate = row.value("events"), row.value("patient_years"), row.value("rate_per_100py")
        if row["measure"] != "rate":
            continue
        read = [(row.name, tuple(row[c] for c in ("events", "patient_years", "rate_per_100py", "rate_ci_low",
                                                  "rate_ci_high")))]  # fmt: skip
        if events is not None and years and rate is not None:
            low = 100 * events / (years + row.half("patient_years"))
            high = 100 * events / max(years - row.half("patient_years"), 1e-9)
            half = row.half("rate_per_100py") + _SLACK
            if not low - half <= rate <= high + half:
                yield finding("rate", "error" if not 0.9 < rate * years / max(100 * events, 1e-9) < 1.1 else "warning",
                              row.where(), read,
                              f"{events:g} events in {years:g} patient-years are {100 * events / years:.3g} per 100, "
                              f"but {rate:g} is printed.",
                              "Compare with the source: exposure to the first event, to the end of treatment and to "
                              "the end of the study differ, and standardised rates are no simple ratio.")  # fmt: skip
                continue
        low, high = row.value("rate_ci_low"), row.value("rate_ci_high")
        if rate is not None and low is not None and high is not None:
            if not low - row.half("rate_ci_low") <= rate <= high + row.half("rate_ci_high"):
                yield finding("outside-interval", "error", row.where(), read,
                              f"The rate {rate:g} lies outside its interval {low:g} to {high:g}.",
                              "Compare with the source.")  # fmt: skip
            elif events and years:
                exact = 100 * upper_limit(events) / years
                if abs(high - exact) > 0.25 * exact + row.half("rate_ci_high"):
                    yield finding("rate-interval", "warning", row.where(), read,
                                  f"The upper limit {high:g} is far from {exact:.3g}, that of an exact interval for "
                                  f"{events:g} events in {years:g} patient-years.",
                                  "Look for another level, adjusted rates, or a slip in a digit.")  # fmt: skip
