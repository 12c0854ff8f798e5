"""Conclusions in the report: each statement with its probability, its threshold, and what the last run said of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from enthesis.report.values import Cell, Column, Link, Parts, Row, Section, Strong, Table, Text, anchor
from enthesis.report.wording import count, interval, number, percent

if TYPE_CHECKING:
    from enthesis.assess.conclusions import Concluded, Conclusions
    from enthesis.living.run import Run

STATE_WORDS = {"holds": "holds", "open": "open", "refuted": "refuted", "unknown": "not computed"}
_TONES = {"holds": 3, "open": None, "refuted": -3, "unknown": None}


def sections(value: Conclusions, run: Run, read: Any) -> tuple[Section, ...]:
    """The chapter of conclusions.

    Parameters
    ----------
    value : Conclusions
    run : Run
    read : tuple of Reading

    Returns
    -------
    tuple of Section
    """
    compared = any(r.before is not None for r in value.results)
    ids = {r.answer.question.id for r in read}
    rows = []
    for r in value.results:
        c = r.conclusion
        source: Parts = (Link(c.question, "#" + anchor("q", c.question)),) if c.question in ids else (c.outcome,)
        cells = [
            Cell((Strong(f"{c.id}. "), c.statement)),
            Cell((r.population,)),
            Cell((state_words(r),), tone=_TONES[r.state]),
            Cell((number(r.probability, 3) if r.probability is not None else "–",)),
            Cell((number(c.threshold),)),
            Cell((size_words(r) or r.problem or "–",)),
            Cell(source if c.question else (f"long-term safety, {c.outcome}",)),
        ]
        if compared:
            cells.insert(4, Cell((before_words(r),)))
        rows.append(Row(tuple(cells)))
    columns = [Column("Conclusion", "long"), Column("Population"), Column("State"), Column("Probability", "number"),
               Column("Needed", "number"), Column("Size (95 % CrI)"), Column("From")]  # fmt: skip
    if compared:
        columns.insert(4, Column("In the run before"))
    text = Text((
        "Each conclusion is a statement with a rule: it holds when the posterior probability that it is true reaches "
        "the number needed, is refuted when the probability of the opposite does, and is open otherwise. Near means "
        "that a small study could change it. Statements and thresholds are data of the review (conclusions.toml) and "
        "are evaluated again whenever evidence arrives.",
    ))  # fmt: skip
    table = Table(id="conclusions-table", caption="Conclusions of the review", columns=tuple(columns), rows=tuple(rows))
    return (Section(id="conclusions", title="Conclusions, and how sure", blocks=(text, table)),)


def state_words(r: Concluded) -> str:
    """`holds`, `open, near`, `refuted (was open)`."""
    told = STATE_WORDS[r.state] + (", near" if r.near else "")
    return f"{told} (was {STATE_WORDS[r.before.state]})" if r.flipped and r.before else told


def before_words(r: Concluded) -> str:
    """The probability of the run before, or that there was none."""
    if r.before is None:
        return "–"
    if r.new:
        return "asked otherwise"
    return number(r.before.probability, 3) if r.before.probability is not None else STATE_WORDS[r.before.state]


def size_words(r: Concluded) -> str:
    """The quantity behind the probability with its interval; empty when there is none."""
    if r.estimate is None or r.lower is None or r.upper is None:
        return ""
    told = f"{r.shows} {interval(r.estimate, r.lower, r.upper)}"
    return told if r.borrowed is None else f"{told}; {percent(r.borrowed)} borrowed"


def messages(value: Conclusions, run: Run, read: Any) -> tuple[Parts, ...]:
    """One key message: how many conclusions hold, and which changed."""
    states = [r.state for r in value.results]
    told: list[Any] = [
        Strong(f"Of {count(len(states), 'conclusion')} kept by this review, {states.count('holds')} hold, "
               f"{states.count('open')} are open, {states.count('refuted')} are refuted. "),
    ]  # fmt: skip
    for r in value.flips:
        told.append(f"{r.conclusion.id} ({r.conclusion.statement}) {STATE_WORDS[r.state]} now and was "
                    f"{STATE_WORDS[r.before.state] if r.before else 'new'}. ")  # fmt: skip
    if value.nearly:
        told.append("Near to a change: " + ", ".join(r.conclusion.id for r in value.nearly) + ". ")
    told += ["See ", Link("the conclusions", "#conclusions"), "."]
    return (tuple(told),)


def as_json(value: Conclusions, run: Run) -> dict[str, Any]:
    """The key `conclusions` of `results.json`."""
    return {"conclusions": [record(r) for r in value.results]}


def record(r: Concluded) -> dict[str, Any]:
    """A conclusion of a run as plain values."""
    from enthesis.assess.conclusions import asked

    c = r.conclusion
    before = r.before
    return {
        "id": c.id, "statement": c.statement, "population": r.population, "question": c.question or None,
        "outcome": c.outcome or None, "stratum": c.stratum or None, "expression": c.probability,
        "threshold": c.threshold, "probability": r.probability, "mcse": r.mcse, "state": r.state, "near": r.near,
        "flipped": r.flipped, "shows": r.shows, "estimate": r.estimate, "lower": r.lower, "upper": r.upper,
        "studies": list(r.studies), "borrowed": r.borrowed, "matters": c.matters, "problem": r.problem,
        "asked": asked(c),
        "before": None if before is None else {"probability": before.probability, "state": before.state,
                                               "run": before.run, "date": before.date},
    }  # fmt: skip
