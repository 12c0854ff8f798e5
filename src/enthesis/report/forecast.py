"""Forecasts in the report: what trials under way may change, how large a new one must be, and what it is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from enthesis.assess.forecast import DRAWS_ENOUGH
from enthesis.report.values import (
    Block,
    Cell,
    Column,
    Figure,
    Folded,
    Link,
    Parts,
    Row,
    Section,
    Strong,
    Table,
    Text,
    anchor,
)
from enthesis.report.wording import interval, number, percent

if TYPE_CHECKING:
    from enthesis.assess.forecast import Forecasts, TrialForecast
    from enthesis.living.run import Run

#: pairs that the table of values shows
MOST = 12


def sections(value: Forecasts, run: Run, read: Any) -> tuple[Section, ...]:
    """The chapter on what would change the conclusions.

    Parameters
    ----------
    value : Forecasts
    run : Run
    read : tuple of Reading

    Returns
    -------
    tuple of Section
    """
    parts = [Section(id="forecast.trials", title="Trials under way", blocks=tuple(_trials(value)))]
    if value.sizes or value.value:
        parts.append(Section(id="forecast.new", title="A new trial", blocks=tuple(_new(value, run))))
    intro = Text((
        "What is believed now says what a new trial may show, and what would be believed after it. A trial is one "
        "study: where studies differ, even a very large one leaves the mean effect uncertain. Nothing here uses press "
        "releases or protocols beyond size, arms and population.",
    ))  # fmt: skip
    return (Section(id="forecast", title="What would change the conclusions", blocks=(intro,), sections=tuple(parts)),)


def moved_table(value: Forecasts) -> pd.DataFrame:
    """One row per trial and conclusion, as the figure `forecast` draws it."""
    return pd.DataFrame([
        {"trial": t.label, "conclusion": m.conclusion, "probability": m.probability, "lower": m.lower,
         "median": m.median, "upper": m.upper, "threshold": m.threshold, "flips": m.flips}
        for t in value.trials for m in t.moved
    ])  # fmt: skip


def _trials(value: Forecasts) -> list[Block]:
    told: list[Block] = []
    moved = moved_table(value)
    if not moved.empty:
        told.append(Figure(id="forecast.figure", plot="forecast", table=moved,
                           caption="Circle: probability of the conclusion now. Line: where it will be after the "
                                   "trial (5 to 95 %, median). Red: what it needs to hold or to be refuted.",
                           ))  # fmt: skip
    rows = [row for t in value.trials for row in _trial_rows(t)]
    columns = (Column("Trial"), Column("Enters as", "long"), Column("Will show (95 % predictive)", "long"),
               Column("Conclusion"), Column("Probability now", "number"), Column("Then holds", "number"),
               Column("open", "number"), Column("refuted", "number"),
               Column("Changes (MC error)", "number"))  # fmt: skip
    if rows:
        rough = any(0 < t.draws_left < DRAWS_ENOUGH for t in value.trials)
        note = "Each trial is simulated 512 times from the posterior; the error of that is in brackets."
        if rough:
            note += (
                f" Fewer than {DRAWS_ENOUGH} effective draws are left after a typical trial: such numbers are rough."
            )
        told.append(Table(id="forecast.table", caption="Registered trials and the conclusions that they may change",
                          columns=columns, rows=tuple(rows), note=(note,)))  # fmt: skip
    if value.skipped:
        listing = Table(id="forecast.skipped", caption="Registered trials without a forecast",
                        columns=(Column("Number"), Column("Trial", "long"), Column("Why", "long")),
                        rows=tuple(Row((Cell((n or "–",)), Cell((t,)), Cell((w,))))
                                   for n, t, w in value.skipped))  # fmt: skip
        told.append(Folded(title=f"{len(value.skipped)} registered trials without a forecast, and why",
                           blocks=(listing,)))  # fmt: skip
    return told


def _trial_rows(t: TrialForecast) -> list[Row]:
    enters: Parts = (
        "; ".join(f"{name} {n}" for name, n in t.arms), " in ", Link(t.question, "#" + anchor("q", t.question)),
        f". Assumes: {t.assumes}" if t.assumes else "",
    )  # fmt: skip
    head = [Cell((Strong(t.label), f" {t.nct_id}")), Cell(enters)]
    if t.problem:
        return [Row((*head, Cell((t.problem,)), *(Cell(("–",)) for _ in range(6))))]
    shows = "; ".join(f"{name} {t.measure} {interval(m, lo, hi)}" for name, m, lo, hi in t.effects)
    if not t.moved:
        return [Row((*head, Cell((shows,)), Cell(("none on this question",)), *(Cell(("–",)) for _ in range(5))))]
    rows = []
    for i, m in enumerate(t.moved):
        first = [*head, Cell((shows,))] if not i else [Cell((t.label,)), Cell(("as above",)), Cell(("as above",))]
        rows.append(Row((*first, Cell((m.conclusion,)), Cell((number(m.probability, 3),)), Cell((percent(m.holds),)),
                         Cell((percent(m.open),)), Cell((percent(m.refuted),)),
                         Cell((f"{percent(m.flips, 1)} ({percent(m.mcse, 1)})",)))))  # fmt: skip
    return rows


def _new(value: Forecasts, run: Run) -> list[Block]:
    told: list[Block] = []
    if value.sizes:
        rows = tuple(
            Row((Cell((s.treatment,)), Cell((s.comparator,)), Cell((Link(q, "#" + anchor("q", q)),)),
                 Cell((number(s.now, 3),)), Cell((s.words(),)), Cell((percent(s.limit),))))
            for q, s in value.sizes
        )  # fmt: skip
        columns = (Column("Treatment"), Column("Against"), Column("Question"), Column("P(better) now", "number"),
                   Column("Size of a trial that decides", "long"), Column("Endless trial", "number"))  # fmt: skip
        told.append(Table(id="forecast.sizes", caption="How large a new trial must be", columns=columns, rows=rows,
                          note=("Decides: the posterior probability of being better reaches 95 % or falls to 5 %, with "
                                "an assurance of 80 % unless stated otherwise.",)))  # fmt: skip
    if value.value:
        table = pd.DataFrame(list(value.value))
        fit = run.answer(value.value_question).fit
        n = int(table["patients"].iloc[0])
        told.append(Figure(id="forecast.value", plot="value_map", table=table, options={"order": tuple(fit.treatments)},
                           caption=f"Every pair as a new trial of {n} patients ({value.value_question}). Shade: gain "
                                   "in responders per patient expected from choosing after the trial. Number: percent "
                                   "probability that it is decided after the trial which of the two is better.",
                           ))  # fmt: skip
        best = table.head(MOST)
        rows = tuple(
            Row((Cell((r.treatment,)), Cell((r.comparator,)), Cell((str(r.direct),)), Cell((number(r.probability, 3),)),
                 Cell((percent(r.decides),)), Cell((f"{number(1000 * r.value, 1)} ({number(1000 * r.mcse, 1)})",)),
                 Cell((percent(r.share),)), Cell((percent(r.changes),))))
            for r in best.itertuples()
        )  # fmt: skip
        columns = (Column("Treatment"), Column("Against"), Column("Direct studies", "number"),
                   Column("P(better) now", "number"), Column("Decided after", "number"),
                   Column("Value per 1,000 patients (MC error)", "number"), Column("Of perfect information", "number"),
                   Column("Choice changes", "number"))  # fmt: skip
        told.append(Table(id="forecast.values", caption="The most valuable new trials", columns=columns, rows=rows,
                          note=("Value: responders gained per 1,000 later patients by choosing the treatment with "
                                "the highest expected response after the trial rather than now; costs and harms are "
                                "not in it.",)))  # fmt: skip
    told += [Text((problem,), kind="note") for problem in value.problems]
    return told


def messages(value: Forecasts, run: Run, read: Any) -> tuple[Parts, ...]:
    """One key message: the change that a registered trial is most likely to bring."""
    pairs = [(m, t) for t in value.trials for m in t.moved]
    if not pairs:
        return ()
    m, t = max(pairs, key=lambda pair: pair[0].flips)
    return ((
        Strong("What is coming. "),
        f"Of the trials under way, {t.label} is the most likely to change a conclusion: {m.conclusion} "
        f"({m.statement[:1].lower() + m.statement[1:] if not m.statement[:2].isupper() else m.statement}), with "
        f"probability {percent(m.flips, 1)}. ", Link("Forecasts", "#forecast"), ".",
    ),)  # fmt: skip


def as_json(value: Forecasts, run: Run) -> dict[str, Any]:
    """The key `forecast` of `results.json`."""
    from dataclasses import asdict

    return {
        "forecast": {
            "trials": [
                {**asdict(t), "arms": [{"treatment": a, "n": n} for a, n in t.arms],
                 "effects": [{"treatment": a, "estimate": m, "lower": lo, "upper": hi} for a, m, lo, hi in t.effects],
                 "moved": [asdict(m) for m in t.moved]}
                for t in value.trials
            ],
            "skipped": [{"nct_id": n, "title": t, "why": w} for n, t, w in value.skipped],
            "sizes": [{"question": q, **asdict(s), "words": s.words()} for q, s in value.sizes],
            "value": {"question": value.value_question or None, "rows": list(value.value)},
            "problems": list(value.problems),
        }
    }  # fmt: skip
