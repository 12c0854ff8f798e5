"""Key messages: what a reader takes away, as sentences with interval, absolute effect and limit.

Each sentence is made from the numbers by rules that are here, so that a new run changes the words when it changes the
numbers. A rank is never said without the size of the difference. Where the certainty of an estimate is rated, the words
are GRADE's: it does, probably does, may do, or the evidence is very uncertain (Santesso N et al., J Clin Epidemiol
2020;119:126).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from enthesis.living.parts import from_parts
from enthesis.report.tables import Reading
from enthesis.report.values import Link, Part, Parts, Strong, anchor
from enthesis.report.wording import count, interval, listed, number, patients_gain, percent

if TYPE_CHECKING:
    from enthesis.assess.certainty import Ratings
    from enthesis.living.run import Run


#: verdicts that decide something; an interval without an important difference in either direction does
_DECIDED = ("important", "better", "same", "worse", "important-harm")


def key_messages(run: Run, readings: tuple[Reading, ...]) -> tuple[Parts, ...]:
    """The messages of a run, most important first.

    Parameters
    ----------
    run : Run
    readings : tuple of Reading
        Of the run's answers.

    Returns
    -------
    tuple of Parts
        One per message; every number links to what is behind it.
    """
    main = next(r for r in readings if r.answer is run.main)
    messages: list[Parts] = []
    if main.fit is None:
        messages.append((Strong(f"{main.answer.question.title}: no answer. "), main.answer.problem))
    else:
        messages += _against_reference(run, main)
        messages += _against_others(run, main)
        messages += _by_line(run, main, readings)
        messages += _safety(run, readings)
        messages.append(_how_sure(run, main))
    messages += [message for _, its in from_parts(run, "messages", readings) for message in its]
    return tuple(messages)


def limits(run: Run, readings: tuple[Reading, ...]) -> tuple[Parts, ...]:
    """What the report cannot tell, as sentences."""
    main = next(r for r in readings if r.answer is run.main)
    not_rated = (
        Strong("Certainty is not rated yet. "),
        "Risk of bias, indirectness, incoherence and reporting bias are not judged in this report; the intervals "
        "show imprecision and differences between studies, and nothing else.",
    )
    told: list[Parts] = [
        *(() if "certainty" in run.parts else (not_rated,)),
        (
            Strong("Mostly indirect. "),
            f"{_share(main)} Comparisons between active drugs rest on the assumption that the studies differ in "
            "nothing that changes the effect: the populations, the years and the response with placebo do differ.",
        ),
        (
            Strong("Drugs are modelled one by one. "),
            "No class effect, no dose-response and no adjustment for prior biologics, population or baseline risk is "
            "in the model of this report.",
        ),
    ]
    if "safety" not in run.parts:
        told.append((
            Strong("Safety is short-term. "),
            "Only the placebo-controlled weeks are here. Rare and late harms need the long-term evidence, which this "
            "report does not analyse.",
        ))  # fmt: skip
    deduced = _deduced(run, main)
    if deduced:
        told.append(deduced)
    bad = [r for r in readings if r.fit is not None and not r.fit.status.ok]
    if bad:
        told.append((Strong("Computation. "), f"Not reliable for {listed([r.answer.question.title for r in bad])}."))
    told += [limit for _, its in from_parts(run, "limits", readings) for limit in its]
    return tuple(told)


def _ratings(run: Run, reading: Reading) -> Ratings | None:
    """Certainty of the estimates of a question, where it is rated."""
    rated = run.parts.get("certainty")
    return rated.by_question.get(reading.id) if rated is not None else None


def _sentences(run: Run, reading: Reading) -> dict[str, str]:
    """By treatment, its effect against the reference in GRADE's words; empty without ratings."""
    rated = _ratings(run, reading)
    if rated is None:
        return {}
    from enthesis.report.summary_of_findings import summary_of_findings

    return {line.treatment: line.interpretation for line in summary_of_findings(reading, rated).lines}


def _level(run: Run, reading: Reading, treatment: str, comparator: str) -> list[Part]:
    """ "; moderate certainty" with its place, where it is rated."""
    rated = _ratings(run, reading)
    found = rated.rating(treatment, comparator) if rated is not None else None
    return ["; ", Link(f"{found.level} certainty", "#" + anchor("certainty", reading.id))] if found is not None else []


def _share(main: Reading) -> str:
    if main.fit is None:
        return "There is no network."
    T = len(main.fit.treatments)
    return (
        f"Of the {count(T * (T - 1) // 2, 'pair')} of treatments for {main.answer.question.asked.code}, "
        f"{len(main.comparisons)} have been compared directly in a study."
    )


def _deduced(run: Run, main: Reading) -> Parts:
    rows = [row for c in main.answer.selection.choices for arm in c.arms for row in arm.rows]
    n = sum(row.check == "deduced" for row in rows)
    if not n:
        return ()
    told: list[Part] = [
        Strong("Deduced counts. "),
        f"{n} of the {len(rows)} result rows behind {main.answer.question.title} are marked deduced: the count is the "
        "only whole number that fits the printed figures.",
    ]
    without = [
        a.question for a in run.answers
        if not a.question.include_deduced and a.question.outcome == main.answer.question.outcome and a.fit is not None
    ]  # fmt: skip
    if without:
        told += [" The answer without them: ", Link(without[0].title, "#" + anchor("q", without[0].id)), "."]
    return tuple(told)


def _against_reference(run: Run, main: Reading) -> list[Parts]:
    measure = main.fit.network.measure
    outcome = main.answer.question.asked.label
    said = _sentences(run, main)
    messages = []
    for row in main.effects[main.effects["strong"]].itertuples():
        where = "#" + main.where(row.treatment, row.comparator)
        plain = f"{_capital(row.treatment)} against {row.comparator}: {row.words}."
        parts: list[Part] = [Strong(f"{said.get(row.treatment, plain)} ")]
        if row.treatment in main.middle.index:
            risk = main.middle.loc[row.treatment]
            base = main.answer.baseline
            parts += [
                f"{outcome} in ",
                Link(
                    patients_gain(risk["difference_per_1000"], risk["difference_lower"], risk["difference_upper"]),
                    where,
                ),
                f" than with {row.comparator} ({percent(base.risk)}); ",
            ]
        parts += [
            f"{measure.label} ",
            Link(interval(row.estimate, row.lower, row.upper), where),
            *_level(run, main, row.treatment, row.comparator),
            f"; {_directly(row.n_direct)}",
            f" ({count(int(row.patients), 'patient')} on {row.treatment} in all)."
            if row.patients == row.patients
            else ".",
        ]
        messages.append(tuple(parts))
    return messages


def _against_others(run: Run, main: Reading) -> list[Parts]:
    """One message about the drugs in focus against the other active drugs: how many comparisons say what."""
    table = main.versus
    if table.empty:
        return []
    undecided = table[table["verdict"].isin(["unclear", "maybe-better", "maybe-worse"])]
    parts: list[Part] = [
        Strong(
            f"Against other active drugs, {len(undecided)} of {len(table)} comparisons of a "
            f"{main.review.focus_class} are not decided. "
        )
    ]
    said: list[Part] = []
    decided = "Decided: " if _ratings(run, main) is None else "By the interval alone: "
    for codes, word in ((("important", "better"), "better than"), (("worse", "important-harm"), "worse than")):
        for row in table[table["verdict"].isin(codes)].itertuples():
            said += [
                "; " if said else decided,
                f"{row.treatment} {word} {row.comparator}, {main.fit.network.measure.name} ",
                Link(interval(row.estimate, row.lower, row.upper), "#" + main.where(row.treatment, row.comparator)),
                " (compared directly" if row.n_direct else " (indirect",
                *_level(run, main, row.treatment, row.comparator),
                ")",
            ]
    parts += [*said, ". "] if said else []
    parts.append("An interval that holds both a gain and a loss does not show that two drugs are equal.")
    return [tuple(parts)]


def _by_line(run: Run, main: Reading, readings: tuple[Reading, ...]) -> list[Parts]:
    """After a biologic: the same outcome in the harder population."""
    question = main.answer.question
    found = [
        r for r in readings
        if r.answer.question.outcome == question.outcome and r.answer.question.line == "inadequate-response"
        and r.answer.question.nodes == question.nodes
        and set(r.answer.question.populations) == set(question.populations)
    ]  # fmt: skip
    if not found:
        return []
    r = found[0]
    link = Link(r.answer.question.title, "#" + anchor("q", r.id))
    if r.fit is None:
        return [(Strong("After a biologic has failed: no answer. "), link, ": ", r.answer.problem)]
    mine = r.effects[r.effects["strong"]]
    n = r.answer.fitted.n_studies
    if mine.empty:
        return [
            (
                Strong(f"After a biologic has failed: no result for a {r.review.focus_class}. "),
                link,
                f" rests on {count(n, 'study', 'studies')} of other drugs.",
            )
        ]
    said = _sentences(run, r)
    parts: list[Part] = [Strong("After a biologic has failed, the evidence is thin. ")]
    for row in mine.itertuples():
        found = said.get(row.treatment)
        parts += [
            f"{found} " if found else "",
            f"{_capital(row.treatment)} against {row.comparator}: {r.fit.network.measure.label} ",
            Link(interval(row.estimate, row.lower, row.upper), "#" + r.where(row.treatment, row.comparator)),
            f" ({_directly(row.n_direct)}",
            *_level(run, r, row.treatment, row.comparator),
            "). " if found else f"): {row.words}. ",
        ]
    parts = [p for p in parts if p != ""]
    parts += ["See ", link, f" ({count(n, 'study', 'studies')} in all)."]
    return [tuple(parts)]


def _safety(run: Run, readings: tuple[Reading, ...]) -> list[Parts]:
    """What the placebo-controlled weeks say about harms of the drugs in focus: all of it, decided or not."""
    lines = []
    codes: Counter[str] = Counter()
    for r in readings:
        if r.answer.question.asked.domain != "safety" or r.fit is None:
            continue
        for row in r.effects[r.effects["strong"]].itertuples():
            lines.append((r, row))
            codes["decided" if row.verdict in _DECIDED else "open"] += 1
    if not lines:
        return []
    decided = [(r, row) for r, row in lines if row.verdict in _DECIDED]
    parts: list[Part] = [
        Strong(f"Harms while {run.main.question.reference}-controlled: {codes['open']} of {len(lines)} estimates are "
               "not decided. ")
    ]  # fmt: skip
    for r, row in decided:
        parts += [
            f"{r.answer.question.asked.label}, {row.treatment} against {row.comparator}: ",
            f"{r.fit.network.measure.label} ",
            Link(interval(row.estimate, row.lower, row.upper), "#" + r.where(row.treatment, row.comparator)),
            f", {row.words}",
            *_level(run, r, row.treatment, row.comparator),
            ". ",
        ]
    parts.append(
        "Events are few and follow-up is short: wide intervals are absence of evidence, not evidence of safety."
    )
    return [tuple(parts)]


def _how_sure(run: Run, main: Reading) -> Parts:
    fit = main.fit
    parts: list[Part] = [Strong("How sure. ")]
    if fit.effects == "random":
        parts += [
            f"How much studies of the same drugs differ: standard deviation between them (tau, log scale for ratios) "
            f"{number(fit.tau.estimate)} ({number(fit.tau.lower)} to {number(fit.tau.upper)}). "
        ]
    if main.twin is not None and "twin" in main.effects:
        told = main.effects.dropna(subset=["twin"])
        null = fit.network.measure.null
        same = sum(_side(r.lower, r.upper, null) == _side(r.twin_lower, r.twin_upper, null) for r in told.itertuples())
        parts.append(
            f"A second model ({list(main.titles.values())[1]}) says the same, in direction and in whether the interval "
            f"excludes no difference, for {same} of {len(told)} treatments. "
        )
    if _ratings(run, main) is None:
        parts.append("The certainty of the evidence is not rated in this report; see the limits below.")
    return tuple(parts)


def _side(lower: float, upper: float, null: float) -> int:
    return 1 if lower > null else -1 if upper < null else 0


def _directly(n: int) -> str:
    """How many studies compared the two; the estimate is the network's, so it is not said to come from them alone."""
    return f"{count(n, 'study', 'studies')} compared them directly" if n else "no study compared them directly"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
