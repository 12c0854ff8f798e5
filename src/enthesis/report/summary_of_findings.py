"""Summary of findings of a network meta-analysis, on one page: what a guideline panel is handed.

The layout is that of the NMA-SoF table (Yepes-Nuñez JJ et al., J Clin Epidemiol 2019;115:1, PMID 31055177): question,
geometry, and for each treatment relative effect, anticipated absolute effects, certainty, rank and an interpretation.
Interpretations are GRADE's informative statements (Santesso N et al., J Clin Epidemiol 2020;119:126): the verb says how
certain, the adverb how large; a difference below the smallest that matters is slight.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from enthesis.assess.certainty import Rating, Ratings
from enthesis.assess.grade import Certainty
from enthesis.errors import UsageError
from enthesis.report.certainty import SIGNS
from enthesis.report.tables import Reading, network_frame
from enthesis.report.wording import count, interval, number, percent, whole

if TYPE_CHECKING:
    import pandas as pd

Size = Literal["important", "slight", "trivial", "unsized"]

#: why a level went down, in few words, by domain and concern; the full reasons are in the report
_WHY = {
    (
        "reporting bias",
        1,
    ): "Reporting bias: part of the evidence comes from comparisons where results may be missing.",
    ("reporting bias", 2): "Reporting bias: much of the evidence is suspected to favour one treatment.",
    ("indirectness", 1): "Indirectness: part of the evidence comes from studies that answer the question indirectly.",
    ("indirectness", 2): "Indirectness: most of the evidence comes from studies that answer the question indirectly.",
    ("imprecision", 1): "Imprecision: the 95 % interval includes no difference.",
    ("imprecision", 2): "Imprecision: the 95 % interval includes important effects in both directions.",
    ("heterogeneity", 1): "Heterogeneity: a new study could lead to another conclusion than the average effect.",
    ("heterogeneity", 2): "Heterogeneity: new studies could show important effects in both directions.",
    ("incoherence", 1): "Incoherence: direct and indirect evidence disagree in part.",
    ("incoherence", 2): "Incoherence: direct and indirect evidence disagree.",
    ("within-study bias", 1): "Risk of bias: some concerns.",
    ("within-study bias", 2): "Risk of bias: major concerns.",
}
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One treatment.

    Parameters
    ----------
    treatment, drug_class : str
    evidence : str
        Studies and patients that compare it with the comparator directly.
    relative : str
    without, with_it, difference : str
        Per 1,000 patients; empty for outcomes that are not counted.
    certainty : level
    notes : str
        Letters of the footnotes.
    rank : str
    interpretation : str
    strong : bool
        A treatment the review is about.
    """

    treatment: str
    drug_class: str
    evidence: str
    relative: str
    without: str
    with_it: str
    difference: str
    certainty: Certainty
    notes: str
    rank: str
    interpretation: str
    strong: bool = False


@dataclass(frozen=True, kw_only=True)
class SummaryOfFindings:
    """The page.

    Parameters
    ----------
    title : str
    pico : tuple of (str, str)
    geometry : pandas.DataFrame
        Of `network_frame`.
    geometry_options : dict
        Of the plot `network_graph`.
    measure, comparator, outcome : str
    counted : bool
        Whether absolute effects per 1,000 exist.
    lines : tuple of Line
        Best first.
    footnotes : tuple of (str, str)
        Letter and text.
    explanations : tuple of str
        How to read the table.
    """

    title: str
    pico: tuple[tuple[str, str], ...]
    geometry: pd.DataFrame = field(compare=False)
    geometry_options: dict[str, str] = field(default_factory=dict)
    measure: str
    comparator: str
    outcome: str
    counted: bool
    lines: tuple[Line, ...]
    footnotes: tuple[tuple[str, str], ...]
    explanations: tuple[str, ...]

    @property
    def headings(self) -> tuple[str, ...]:
        """Of the columns, in order."""
        absolute = (f"With {self.comparator}", "With treatment", "Difference") if self.counted else ()
        return ("Treatment", f"{self.measure} (95 % interval)", *absolute, "Certainty", "Mean rank (95 %)",
                "Interpretation")  # fmt: skip

    def cells(self, line: Line) -> tuple[str, ...]:
        """A line as text, in the order of the headings."""
        absolute = (line.without, line.with_it, line.difference) if self.counted else ()
        certainty = f"{SIGNS[line.certainty]} {line.certainty}" + (f" ({line.notes})" if line.notes else "")
        return (f"{line.treatment}\n{line.evidence}", line.relative, *absolute, certainty, line.rank,
                line.interpretation)  # fmt: skip

    def to_frame(self) -> pd.DataFrame:
        """One row per treatment: treatment, evidence and the other columns of the page."""
        import pandas as pd

        rows = [(line.treatment, line.drug_class, line.evidence, *self.cells(line)[1:]) for line in self.lines]
        return pd.DataFrame(rows, columns=["Treatment", "Class", "Evidence", *self.headings[1:]])


def summary_of_findings(reading: Reading, ratings: Ratings) -> SummaryOfFindings:
    """The summary of findings of one question.

    Parameters
    ----------
    reading : Reading
        With a fit.
    ratings : Ratings
        Of that fit.

    Returns
    -------
    SummaryOfFindings

    Raises
    ------
    UsageError
        When the question has no answer.
    """
    fit = reading.fit
    if fit is None:
        raise UsageError(f"question {reading.id!r} has no answer: {reading.answer.problem}")
    question, network = reading.answer.question, fit.network
    ranked = {r["treatment"]: r for r in reading.ranks.to_dict("records")} if network.better else {}
    order = sorted(reading.effects.to_dict("records"),
                   key=lambda r: ranked[r["treatment"]]["mean_rank"] if ranked else 0)  # fmt: skip
    rated = {r["treatment"]: ratings.rating(r["treatment"], fit.reference) for r in order}
    notes = _footnotes([r for r in rated.values() if r is not None])
    counted = not reading.middle.empty
    lines = tuple(_line(reading, r, rated[r["treatment"]], notes, ranked, counted) for r in order)
    letters = tuple((letter, text) for text, letter in notes.items())
    return SummaryOfFindings(
        title=f"Summary of findings: {question.title}", pico=_pico(reading), geometry=network_frame(network),
        geometry_options={"focus": reading.review.focus_class, "reference": fit.reference},
        measure=network.measure.label.capitalize(), comparator=fit.reference, outcome=question.asked.label,
        counted=counted, lines=lines, footnotes=letters, explanations=_explanations(reading, ratings, counted),
    )  # fmt: skip


def _pico(reading: Reading) -> tuple[tuple[str, str], ...]:
    question, network = reading.answer.question, reading.fit.network
    names = [t.name for t in network.treatments if t.name != reading.fit.reference]
    patients = f", {whole(network.n_patients)} patients" if network.n_patients else ""
    better = "more is better" if question.asked.better == "higher" else "less is better"
    return (
        ("Population", question.stratum),
        ("Interventions", ", ".join(names)),
        ("Comparator", reading.fit.reference),
        ("Outcome", f"{question.asked.label}, weeks {question.window}, nearest to {question.target_week:g} ({better})"),
        ("Evidence", f"{count(network.n_studies, 'randomised study', 'randomised studies')}{patients}"
                     if set(question.designs) == {"rct"} else
                     f"{count(network.n_studies, 'study', 'studies')}{patients}"),
    )  # fmt: skip


def _footnotes(rated: Sequence[Rating]) -> dict[str, str]:
    """Letters by text, in the order of the domains."""
    texts: dict[str, None] = {}
    for domain in dict.fromkeys(c.domain for r in rated for c in r.concerns):
        for steps in (1, 2):
            found = [c for r in rated for c in r.concerns if c.domain == domain and c.steps == steps]
            for text in dict.fromkeys(_why(c) for c in found):
                texts[text] = None
    return {text: _LETTERS[at] if at < 26 else f"n{at}" for at, text in enumerate(texts)}


def _why(concern) -> str:
    text = _WHY[concern.domain, concern.steps]
    if concern.by != "rule":
        return f"{text} Judged by {concern.by}."
    if concern.domain == "within-study bias" and concern.inputs.get("judged") == 0.0:
        return "Risk of bias: no person has judged it yet; it counts as " + f"{concern.level}."
    if concern.domain == "incoherence" and not (concern.inputs.get("direct") and concern.inputs.get("indirect")):
        p = concern.inputs.get("global_p", math.nan)
        own = "the network as a whole shows disagreement" if math.isfinite(p) else "agreement cannot be tested"
        return f"Incoherence: only direct or only indirect evidence, and {own}."
    return text


def _line(reading: Reading, r: dict, rating: Rating | None, notes: dict, ranked: dict, counted: bool) -> Line:
    name, fit = r["treatment"], reading.fit
    level: Certainty = rating.level if rating is not None else "very low"
    letters = ",".join(sorted({notes[_why(c)] for c in rating.concerns if c.steps})) if rating is not None else ""
    without = with_it = difference = ""
    risk = None
    if counted and name in reading.middle.index:
        risk = reading.middle.loc[name]
        base = reading.answer.baseline.risk
        without = whole(1000 * base)
        with_it = f"{whole(risk['per_1000'])} ({whole(risk['per_1000_lower'])} to {whole(risk['per_1000_upper'])})"
        difference = _difference(risk)
    effect = (r["estimate"], r["lower"], r["upper"])
    return Line(
        treatment=name, drug_class=r["drug_class"] or "", evidence=_evidence(reading, name),
        relative=interval(*effect), without=without, with_it=with_it, difference=difference, certainty=level,
        notes=letters, rank=_rank(ranked.get(name)), strong=bool(r["strong"]),
        interpretation=interpretation(
            name, fit.reference, _outcome(reading, counted), level, *_size(reading, effect, risk),
            good=_good(reading, r), more=effect[0] > fit.network.measure.null, counted=counted,
        ),
    )  # fmt: skip


def _difference(risk) -> str:
    mid, low, high = (float(risk[k]) for k in ("difference_per_1000", "difference_lower", "difference_upper"))
    word = "more" if mid >= 0 else "fewer"
    ends = sorted((low, high), key=abs) if low * high > 0 else (low, high)
    said = " to ".join(
        whole(abs(x)) + ("" if low * high > 0 else " fewer" if x < 0 else " more") for x in ends
    )  # fmt: skip
    return f"{whole(abs(mid))} {word} ({said}{'' if low * high <= 0 else ' ' + word})"


def _evidence(reading: Reading, name: str) -> str:
    table = reading.comparisons
    own = table[(table["treatment"] == name) & (table["comparator"] == reading.fit.reference)]
    if own.empty:
        return "indirect evidence only"
    n = own["n_patients"].iloc[0]
    patients = f", {whole(n)} patients" if n == n else ""
    return f"{count(int(own['n_studies'].iloc[0]), 'study', 'studies')}{patients}"


def _rank(row: dict | None) -> str:
    if row is None:
        return "–"
    chances = np.array([row[k] for k in sorted((k for k in row if k.startswith("rank_")), key=lambda k: int(k[5:]))])
    total = np.cumsum(chances)
    low, high = (int(np.searchsorted(total, q * total[-1]) + 1) for q in (0.025, 0.975))
    return f"{number(row['mean_rank'], 1)} ({low} to {min(high, len(chances))})"


def _size(reading: Reading, effect: tuple[float, float, float], risk) -> tuple[Size, bool]:
    """How large the effect is, and whether its interval excludes no difference."""
    asked, network = reading.answer.question.asked, reading.fit.network
    _, lower, upper = effect
    excludes = not lower <= network.measure.null <= upper
    if risk is not None and "RD" in asked.mid:
        limit = 1000 * asked.mid["RD"]
        values = tuple(float(risk[k]) for k in ("difference_per_1000", "difference_lower", "difference_upper"))
    elif network.mid is not None:
        limit = abs(float(network.measure.transform(network.mid)))
        values = tuple(float(network.measure.transform(x)) for x in effect)
    else:
        return ("unsized", excludes)
    if abs(values[0]) >= limit:
        return ("important", excludes)
    inside = max(abs(values[1]), abs(values[2])) < limit
    return ("slight" if excludes and not inside else "trivial" if not excludes or inside else "slight", excludes)


def _good(reading: Reading, r: dict) -> bool | None:
    better = reading.fit.network.better
    if better is None:
        return None
    return (r["estimate"] > reading.fit.network.measure.null) == (better == "higher")


def _outcome(reading: Reading, counted: bool) -> str:
    """The outcome as a sentence names it: a drug improves BASFI, not the change of BASFI."""
    label = reading.answer.question.asked.label
    return label if counted else label.removeprefix("change of ")


def interpretation(
    treatment: str, comparator: str, outcome: str, level: Certainty, size: Size, excludes: bool, *,
    good: bool | None, more: bool, counted: bool = True,
) -> str:  # fmt: skip
    """An effect as a sentence.

    Parameters
    ----------
    treatment, comparator, outcome : str
    level : {"high", "moderate", "low", "very low"}
    size : {"important", "slight", "trivial", "unsized"}
        Against the smallest difference that matters; unsized where none is stated.
    excludes : bool
        Whether the interval excludes no difference.
    good : bool or None
        Whether the effect is to the patient's benefit; None when no direction is stated.
    more : bool
        Whether there is more of the outcome.
    counted : bool
        Whether the outcome is counted in patients.

    Returns
    -------
    str

    Examples
    --------
    >>> interpretation("Drug A", "placebo", "ASAS40 response", "moderate", "slight", True, good=True, more=True)
    'Drug A probably increases ASAS40 response slightly compared with placebo.'
    >>> interpretation("Drug A", "placebo", "ASAS40 response", "very low", "important", False, good=True, more=True)
    'The evidence is very uncertain about the effect of Drug A on ASAS40 response compared with placebo.'
    >>> interpretation("Drug A", "placebo", "serious adverse events", "low", "trivial", False, good=False, more=True)
    'Drug A may make little to no difference to serious adverse events compared with placebo.'
    """
    name = treatment[:1].upper() + treatment[1:]
    if level == "very low":
        return (
            f"The evidence is very uncertain about the effect of {treatment} on {outcome} compared with {comparator}."
        )
    hedge = {"high": "", "moderate": "probably ", "low": "may "}[level]
    s = "" if level == "low" else "s"
    if size == "unsized" and not excludes:
        return f"A difference between {treatment} and {comparator} in {outcome} is neither shown nor excluded."
    if size == "trivial":
        verb = "make" if level == "low" else "makes"
        return f"{name} {hedge}{verb} little to no difference to {outcome} compared with {comparator}."
    if counted:
        verb = "increase" if more else "reduce"
    else:
        verb = ("increase" if more else "reduce") if good is None else "improve" if good else "worsen"
    how = " slightly" if size == "slight" else ""
    tail = "" if excludes else ", but the interval includes no difference"
    return f"{name} {hedge}{verb}{s} {outcome}{how} compared with {comparator}{tail}."


def _explanations(reading: Reading, ratings: Ratings, counted: bool) -> tuple[str, ...]:
    question, fit = reading.answer.question, reading.fit
    told = []
    if counted:
        base = reading.answer.baseline
        told.append(
            f"Anticipated absolute effects: patients per 1,000 with {question.asked.label}, when "
            f"{percent(base.risk, 1)} have it with {base.treatment} ({base.events:,.0f} of {base.n:,.0f} patients in "
            f"{count(base.studies, 'study', 'studies')} of this network)."
        )
    if fit.network.mid is not None:
        rd = question.asked.mid.get("RD")
        both = f", {1000 * rd:g} per 1,000 patients" if counted and rd else ""
        why = question.asked.mid_source or "stated in the question"
        told.append(f"Smallest difference that matters: {fit.network.measure.label} {fit.network.mid:g}{both} ({why}).")
    told.append(
        f"Model: {next(iter(reading.titles.values()))}; intervals are 95 %. Mean rank: 1 is best of "
        f"{len(fit.treatments)}, {fit.reference} included; a rank says nothing about the size of a difference."
    )
    told.append(
        "Certainty (GRADE): high, the effect is close to the estimate; moderate, probably close; low, may differ "
        "substantially; very low, likely to differ substantially. Rated by CINeMA's rules; letters: why it went down."
    )
    return tuple(told)


def frame_of(summary: SummaryOfFindings) -> dict:
    """The page as plain values, ready for JSON."""
    rows = [
        {"treatment": line.treatment, "drug_class": line.drug_class, "evidence": line.evidence,
         "relative": line.relative, "per_1000_with_comparator": line.without,
         "per_1000_with_treatment": line.with_it, "difference_per_1000": line.difference,
         "certainty": line.certainty, "notes": line.notes, "rank": line.rank,
         "interpretation": line.interpretation}
        for line in summary.lines
    ]  # fmt: skip
    return {
        "title": summary.title, "pico": dict(summary.pico), "measure": summary.measure,
        "comparator": summary.comparator, "outcome": summary.outcome, "rows": rows,
        "footnotes": dict(summary.footnotes), "explanations": list(summary.explanations),
    }  # fmt: skip


__all__ = ["Line", "SummaryOfFindings", "frame_of", "interpretation", "summary_of_findings"]
