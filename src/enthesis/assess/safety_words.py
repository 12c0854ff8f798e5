"""The sentences of the safety part: what is own, what is borrowed, and what a rheumatologist needs to know.

They are made from the numbers and never state one that is not in the result. A ratio is called higher or lower only
when its interval excludes 1; a wide interval is called what it is, absence of evidence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from enthesis.assess.safety_settings import SafetySettings
    from enthesis.assess.safety_values import Absolute, SafetyResult, Three

#: an interval wider than this (upper over lower limit) leaves almost everything open
WIDE = 10.0
#: absolute numbers whose limits differ by more than this say nothing
OPEN = 50.0
KIND = {"events": "events", "patients": "patients with an event", "": "events"}


def ratio_words(three: Three) -> str:
    """A ratio with its interval."""
    return f"{_two(three[0])} ({_two(three[1])} to {_two(three[2])})"


def own_words(result: SafetyResult) -> str:
    """Own data of both sides: events in patient-years, or that there are none."""
    told = []
    for name in result.comparison:
        events, time = result.own_events[name], result.own_patient_years[name]
        told.append(f"{name} {events:g} in {time:,.0f} patient-years" if time else f"{name} none")
    return f"{KIND[result.own_rate_of]}: " + ", ".join(told) if any(result.own_patient_years.values()) else "none"


def result_sentence(result: SafetyResult, settings: SafetySettings) -> str:
    """The sentence a rheumatologist needs."""
    if result.rate_ratio is None:
        return _no_comparison(result)
    return " ".join(filter(None, [verdict(result, settings), _absolute(result, settings.years)]))


def _no_comparison(result: SafetyResult) -> str:
    treatment, comparator = result.comparison
    time = result.own_patient_years
    seen = [f"{result.own_events[n]:g} in {time[n]:,.0f} patient-years on {n}" for n in result.comparison if time[n]]
    return (
        f"{_first(result.name)}: {treatment} and {comparator} cannot be compared. The evidence has no ratio, and "
        f"{result.population} rates of {'one side only (' + '; '.join(seen) + ')' if seen else 'neither side'}."
    )


def verdict(result: SafetyResult, settings: SafetySettings) -> str:
    """What is known of the difference, without absolute numbers."""
    value, (treatment, comparator) = result.rate_ratio, result.comparison
    if value is None:
        return _no_comparison(result)
    name, here = _first(result.name), result.population
    three = ratio_words((value.estimate, value.lower, value.upper))
    borrowed = len(result.borrowed["source"])
    printed = [s for s in result.sources if s.own and not s.left_out]
    basis = f" ({here} data and {_studies(borrowed)} in other patients)" if borrowed else ""
    if printed and not borrowed:
        basis = f" ({', '.join(f'{s.study}, {_ONE[s.design]}' for s in printed)})"
    if value.lower > 1:
        return f"{name}: the rate is higher on {treatment} than on {comparator}, rate ratio {three}{basis}."
    if value.upper < 1:
        return f"{name}: the rate is lower on {treatment} than on {comparator}, rate ratio {three}{basis}."
    relevant = settings.relevant_ratio
    if value.upper < relevant and value.lower > 1 / relevant:
        return f"{name}: the rate is about the same on {treatment} and {comparator}, rate ratio {three}{basis}."
    if borrowed and result.own_ratio is None:
        weight = _percent(result.borrowed["weight"])
        return (
            f"{name}: no {here} data compare {treatment} with {comparator}. {_elsewhere(result)} Carried over to "
            f"{here} with a weight of {weight}, the rate ratio is {three}, wide because {here} may differ."
        )
    told = (
        f"{name}: {here} data do not show whether the rates on {treatment} and {comparator} differ"
        f"{f', ratio {ratio_words(result.own_ratio)}' if result.own_ratio else ''}."
    )
    if borrowed:
        told += f" {_elsewhere(result)} Together {three}; {result.conflict['sentence'][0].lower()}"
        told += f"{result.conflict['sentence'][1:]}"
    if value.upper / value.lower > WIDE:
        return told + " This is absence of evidence, not evidence of safety."
    return told + f" A ratio above {relevant:g} has a probability of {_percent(value.probability_above(relevant))}."


def _elsewhere(result: SafetyResult) -> str:
    """What studies in other patients say on average."""
    average, (treatment, _) = result.borrowed["average"], result.comparison
    side = f"higher on {treatment}" if average[1] > 1 else f"lower on {treatment}" if average[2] < 1 else ""
    shown = f"the rate is {side}" if side else "no difference is shown"
    used = [s for s in result.sources if not s.left_out]
    where = ", ".join(sorted({s.population for s in used}))
    if len(used) == 1:
        return f"In other patients ({where}; {used[0].study}) {shown}, ratio {ratio_words(average)}."
    return f"In other patients ({where}; {_studies(len(used))}) {shown}, average ratio {ratio_words(average)}."


def _absolute(result: SafetyResult, years: Sequence[float]) -> str:
    if not result.per_1000 or result.anchor is None:
        return ""
    last = result.per_1000[float(max(years))]
    treatment, comparator = result.comparison
    sides = {comparator: last.comparator, treatment: last.treatment}
    told = [f"{per_1000_words(three)} on {name}" for name, three in sides.items() if not left_open(three)]
    what = "events" if result.anchor.rate_of == "events" else "patients with an event"
    if not told:
        return ""
    rest = "" if len(told) == 2 else f"; that on {next(n for n, t in sides.items() if left_open(t))} is not known"
    return f"Over {span(last.years)}, {what} per 1,000 patients: {', '.join(told)}{rest}."


def left_open(three: Three) -> bool:
    """Whether an absolute number is so uncertain that it says nothing."""
    return three[2] > OPEN * max(three[1], 0.1)


def per_1000_words(three: Three) -> str:
    """Events per 1,000 with their interval, in whole numbers from 10."""
    return f"{_whole(three[0])} ({_whole(three[1])} to {_whole(three[2])})"


def difference_words(value: Absolute, treatment: str, comparator: str) -> str:
    """More or fewer per 1,000 over the years."""
    estimate = value.difference[0]
    return (
        f"{_whole(abs(estimate))} {'more' if estimate >= 0 else 'fewer'} on {treatment} than on {comparator} over "
        f"{span(value.years)} ({_whole(value.difference[1])} to {_whole(value.difference[2])})"
    )


def anchor_sentence(
    side: str, drug_class: str, kind: str, events: float, time: float, studies: Sequence[str], settings: SafetySettings
) -> str:
    """Where absolute numbers start, and what that assumes."""
    rate = 100 * events / time
    start = (
        f"Absolute numbers start from {settings.indication} patients on {drug_class}: {events:g} {KIND[kind]} in "
        f"{time:,.0f} patient-years ({_two(rate)} per 100; {', '.join(studies)})."
    )
    other = settings.treatment if side == "comparator" else settings.comparator
    if side == "comparator" and drug_class != settings.comparator:
        start += f" They stand for {settings.comparator}, on which the evidence has no such rate: an assumption."
    turn = "times" if side == "comparator" else "divided by"
    return f"{start} The rate on {other} is this one {turn} the rate ratio."


BASELINE_WORDS = (
    "The rate that absolute numbers start from is that of the average trial patient, and constant over the years. The "
    "evidence has no axSpA rate by age, smoking or cardiovascular disease: a patient at higher risk starts from a "
    "higher rate, and the numbers per 1,000 are then too low on both sides. Death and stopping the drug do not compete "
    "with the event. Rate and ratio are taken as independent, so intervals per 1,000 are too wide where the ratio "
    "rests on the same own data."
)


_ONE = {"rct": "a randomised trial", "extension": "an extension", "pooled": "a pooled analysis",
        "cohort": "one observational study, not randomised"}  # fmt: skip
_TYPES = {"rct": "randomised trials", "extension": "extensions", "pooled": "pooled analyses", "cohort": "cohorts"}


def design_sentence(lines: Sequence[tuple[str, int, Three]]) -> str:
    """Whether study types agree with the first of them: the difference of log ratios over its standard error."""
    reference, _, first = lines[0]
    told = []
    for design, _, ratio in lines[1:]:
        (a, ea), (b, eb) = _log(ratio), _log(first)
        z = (a - b) / math.hypot(ea, eb)
        p = math.erfc(abs(z) / math.sqrt(2))
        words = "differ from" if p < 0.05 else "may differ from" if p < 0.2 else "do not differ beyond chance from"
        told.append(f"{_first(_TYPES[design])} {words} {_TYPES[reference]} (p = {p:.2f}).")
    return " ".join(told)


def _log(three: Three) -> tuple[float, float]:
    return math.log(three[0]), (math.log(three[2]) - math.log(three[1])) / (2 * 1.959963984540054)


def span(years: float) -> str:
    """A length of time in words."""
    return "1 year" if years == 1 else f"{years:g} years"


def _studies(n: int) -> str:
    return "1 study" if n == 1 else f"{n} studies"


def _first(name: str) -> str:
    return name[:1].upper() + name[1:]


def _two(x: float) -> str:
    if x != x:
        return "unknown"
    if x in (float("inf"), float("-inf")):
        return "no limit"
    return f"{x:.2f}" if abs(x) < 10 else f"{x:.1f}" if abs(x) < 100 else f"{x:.0f}"


def _whole(x: float) -> str:
    return f"{x:,.0f}" if abs(x) >= 10 else f"{x:.1f}"


def _percent(p: float) -> str:
    return "below 1 %" if p < 0.01 else "above 99 %" if p > 0.99 else f"{100 * p:.0f} %"
