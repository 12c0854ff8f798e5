"""The part of a report about one question: what the network is, what follows, and what it rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from enthesis.report.figures import forest_figure, league_figure, level, network_figure, versus_figure
from enthesis.report.plots.forest import limits as axis_limits
from enthesis.report.plots.league import tones
from enthesis.report.rests import data, direct, flow, left_out, study_links
from enthesis.report.tables import Reading, better_side
from enthesis.report.values import (
    Axis,
    Block,
    Bullets,
    Cell,
    Column,
    Facts,
    Figure,
    Folded,
    Interval,
    Link,
    Part,
    Row,
    Section,
    Strong,
    Table,
    Text,
    anchor,
)
from enthesis.report.wording import count, interval, number, percent, whole

if TYPE_CHECKING:
    from enthesis.evidence import Evidence

#: with more treatments a league table cannot be read, and the pairs are in results.json
LEAGUE_UP_TO = 20

_NNT = (
    "NNT: number needed to treat for one more patient to benefit (harm: worse off); it ends at \N{INFINITY} where "
    "the interval includes no difference, and then the opposite effect is possible too. "
)

_MEANS = (
    "Numbers per 1,000 are means of the posterior; where it is lopsided they lie off those that the ratio beside them "
    "would give. "
)

#: from the verdict's tone to words short enough for a cell
SHORT = {
    "important": "better, and by enough to matter",
    "better": "better, size unsure",
    "maybe-better": "not decided, better or same",
    "same": "no difference that matters",
    "unclear": "not decided",
    "maybe-worse": "not decided, worse or same",
    "worse": "worse, size unsure",
    "important-harm": "worse, and by enough to matter",
}


def question_section(reading: Reading, evidence: Evidence, *, full: bool) -> Section:
    """The section of one question.

    Parameters
    ----------
    reading : Reading
    evidence : Evidence
    full : bool
        With every figure, the league table, ranks and absolute effects open; else the effects, with the rest folded.

    Returns
    -------
    Section
    """
    question = reading.answer.question
    id = anchor("q", reading.id)
    head: tuple[Block, ...] = (_asked(reading),)
    if reading.fit is None:
        why = reading.answer.problem or "; ".join(reading.answer.problems.values())
        blocks = (*head, Text((Strong("No answer. "), why), kind="warning"), *left_out(reading))
        return Section(id=id, title=question.title, blocks=blocks, nav=full)
    head += (_size(reading), *_warnings(reading))
    if not full:
        folded = (direct(reading), data(reading))
        blocks = (*head, _effects(reading), Folded(title="What this rests on: comparisons, studies, result rows",
                                                   blocks=folded, id=f"{id}.rests"), *_league_folded(reading),
                  *left_out(reading))  # fmt: skip
        return Section(id=id, title=question.title, blocks=blocks, nav=False)
    parts = [
        Section(id=f"{id}.network", title="The network", blocks=(network_figure(reading),)),
        Section(id=f"{id}.effects", title=f"Against {reading.fit.reference}",
                blocks=(forest_figure(reading), _effects(reading))),
    ]  # fmt: skip
    if not reading.versus.empty:
        parts.append(Section(id=f"{id}.versus", title=f"{reading.review.focus_class} against other drugs",
                             blocks=(versus_figure(reading), _versus(reading))))  # fmt: skip
    if not reading.absolute.empty:
        parts.append(Section(id=f"{id}.absolute", title="Per 1,000 patients", blocks=_absolute(reading)))
    if len(reading.fit.treatments) <= LEAGUE_UP_TO:
        parts.append(Section(id=f"{id}.league", title="League table",
                             blocks=(league_figure(reading), _league(reading))))  # fmt: skip
    parts.append(Section(id=f"{id}.ranks", title="Ranks", blocks=_ranks(reading)))
    parts.append(Section(id=f"{id}.models", title="Other models", blocks=(_models(reading),)))
    parts.append(Section(id=f"{id}.evidence", title="What this rests on", blocks=(direct(reading), data(reading))))
    parts.append(Section(id=f"{id}.flow", title="From evidence to network: what was left out",
                         blocks=(*flow(reading, evidence), *left_out(reading))))  # fmt: skip
    return Section(id=id, title=question.title, blocks=head, sections=tuple(parts))


def _asked(reading: Reading) -> Text:
    q = reading.answer.question
    measure = reading.fit.network.measure.label if reading.fit else q.scale
    mid = f", smallest difference that matters {q.difference:g}" if q.difference is not None else ""
    better = "more is better" if q.asked.better == "higher" else "less is better"
    return Text(
        (
            f"{q.asked.label} ({better}) at weeks {q.window}, nearest to {q.target_week:g}; {q.stratum}; treatments by "
            f"{q.nodes}; {measure}{mid}.",
        )
    )


def _size(reading: Reading) -> Facts:
    n, fit = reading.fit.network, reading.fit
    items = [(f"{n.n_studies:,}", "studies"), (f"{n.n_arms:,}", "arms")]
    if n.n_patients:
        items.append((whole(n.n_patients), "patients"))
    items.append((str(n.n_treatments - 1), f"treatments and {n.reference}"))
    if fit.effects == "random":
        items.append((f"{number(fit.tau.estimate)} ({number(fit.tau.lower)} to {number(fit.tau.upper)})",
                      "tau, between-study SD"))  # fmt: skip
    if np.isfinite(fit.heterogeneity.I2):
        h = fit.heterogeneity
        items.append((percent(h.I2), f"I², Q {number(h.Q, 1)} on {h.df} df"))
    return Facts(items=tuple(items))


def _warnings(reading: Reading) -> tuple[Text, ...]:
    told = []
    if not reading.fit.status.ok:
        told.append(Text((Strong("Do not rely on these numbers. "), reading.fit.status.message), kind="warning"))
    if reading.answer.unconnected:
        parts: list[Part] = [Strong("Not connected. "), f"These studies share no treatment with the part that holds "
                             f"{reading.fit.reference} and are not in the model: "]  # fmt: skip
        told.append(Text((*parts, *study_links(reading.answer.unconnected), "."), kind="warning"))
    for id, why in reading.answer.problems.items():
        told.append(Text((Strong(f"No fit by the model {id!r}. "), why), kind="note"))
    return tuple(told)


def _axis(table: pd.DataFrame, reading: Reading, left: str, right: str) -> Axis:
    measure, mid = reading.fit.network.measure, reading.fit.network.mid
    log = measure.scale == "log"
    low, high = axis_limits(table, log)
    band = None if mid is None else (1 / mid, mid) if log else (-abs(mid), abs(mid))
    return Axis(lower=low, upper=high, log=log, null=measure.null, band=band, left=left, right=right)


def _effects(reading: Reading) -> Table:
    """Each treatment against the reference, with the picture in the row."""
    fit, table = reading.fit, reading.effects
    measure = fit.network.measure
    left, right = better_side(fit)
    columns = [Column("Treatment"), Column("Class", "words"), Column(f"{measure.label}", "interval"),
               Column(f"{measure.name} ({level(reading)})", "number")]  # fmt: skip
    has_new, has_twin, has_risk = "predicted_lower" in table, "twin" in table, not reading.middle.empty
    if has_new:
        columns.append(Column("In a new study", "number"))
    if has_twin:
        columns.append(Column(list(reading.titles.values())[1], "number"))
    if has_risk:
        base = reading.answer.baseline
        columns.append(Column(f"More per 1,000 ({whole(1000 * base.risk)} with {fit.reference})", "number"))
        columns.append(Column("NNT", "number"))
    columns += [Column("Direct studies", "number"), Column("Reading", "words")]
    rows = []
    for r in table.itertuples():
        to = "#" + reading.where(r.treatment, r.comparator)
        cells = [Cell((r.treatment,)), Cell((r.drug_class,)),
                 Cell(interval=Interval(estimate=r.estimate, lower=r.lower, upper=r.upper, strong=r.strong)),
                 Cell((Link(interval(r.estimate, r.lower, r.upper), to),))]  # fmt: skip
        if has_new:
            cells.append(Cell((f"{number(r.predicted_lower)} to {number(r.predicted_upper)}",)))
        if has_twin:
            cells.append(Cell((interval(r.twin, r.twin_lower, r.twin_upper),)))
        if has_risk:
            cells += _risk_cells(reading, r.treatment, to)
        cells += [Cell((Link(str(r.n_direct), to) if r.n_direct else "none",)), Cell((SHORT[r.verdict],), tone=r.tone)]
        rows.append(Row(tuple(cells), strong=r.strong))
    note: list[Part] = [
        f"Each row is a treatment against {fit.reference}, by the model {next(iter(reading.titles.values()))!r}. "
    ]
    if fit.network.mid is not None:
        note.append("Differences inside the shaded band are too small to matter. ")
    if has_risk:
        note.append(
            f"Per 1,000: difference for patients whose risk with {base.treatment} is {percent(base.risk, 1)} "
            f"({base.events:,.0f} of {base.n:,.0f} in {count(base.studies, 'study', 'studies')}). "
        )
    if has_risk:
        note.append(_NNT)
        if fit.is_bayesian:
            note.append(_MEANS)
    note.append("Estimates lead to the studies and result rows behind them.")
    return Table(id=f"q-{reading.id}.table",
                 caption=f"{reading.answer.question.title}: effects against {fit.reference}",
                 columns=tuple(columns), rows=tuple(rows), note=tuple(note),
                 axis=_axis(table, reading, left, right))  # fmt: skip


def _risk_cells(reading: Reading, treatment: str, to: str) -> list[Cell]:
    risk = reading.middle.loc[treatment]
    return [Cell((Link(gain(risk), to),)), Cell((nnt(risk),))]


def gain(risk: pd.Series) -> str:
    """The difference per 1,000 with its interval."""
    told = [whole(risk[name]) for name in ("difference_per_1000", "difference_lower", "difference_upper")]
    return f"{told[0]} ({told[1]} to {told[2]})"


def nnt(risk: pd.Series) -> str:
    """Number needed to treat with its interval; it ends at infinity when the interval of the difference holds zero."""
    harm = " harm" if risk["nnt_for"] == "harm" else ""
    return f"{number(risk['nnt'], 1)} ({number(risk['nnt_lower'], 1)} to {number(risk['nnt_upper'], 1)}){harm}"


def _versus(reading: Reading) -> Table:
    fit, table = reading.fit, reading.versus
    columns = (Column("Treatment"), Column("Versus"), Column(fit.network.measure.label, "interval"),
               Column(f"{fit.network.measure.name} ({level(reading)})", "number"), Column("Evidence"),
               Column("Reading", "words"))  # fmt: skip
    rows = []
    for r in table.itertuples():
        to = "#" + reading.where(r.treatment, r.comparator)
        evidence = Link(count(r.n_direct, "direct study", "direct studies"), to) if r.n_direct else "indirect"
        rows.append(Row((Cell((r.treatment,)), Cell((r.comparator,)),
                         Cell(interval=Interval(estimate=r.estimate, lower=r.lower, upper=r.upper, strong=True)),
                         Cell((Link(interval(r.estimate, r.lower, r.upper), to),)), Cell((evidence,)),
                         Cell((SHORT[r.verdict],), tone=r.tone))))  # fmt: skip
    sides = ("other better", f"{reading.review.focus_class} better")
    if fit.network.better == "lower":
        sides = sides[::-1]
    return Table(id=f"q-{reading.id}.versus-table",
                 caption=f"{reading.answer.question.title}: {reading.review.focus_class} against other treatments",
                 columns=columns, rows=tuple(rows), axis=_axis(table, reading, *sides),
                 note=("The first treatment versus the second.",))  # fmt: skip


def _league(reading: Reading) -> Table:
    fit = reading.fit
    names = list(fit.treatments)
    shade = tones(reading.league, fit.network.measure.scale == "log", fit.network.better or "higher")
    cells = {}
    null = fit.network.measure.null
    for r, tone in zip(reading.league.itertuples(), shade, strict=True):
        to = "#" + reading.where(r.treatment, r.comparator)
        text = f"{number(r.estimate)}\n({number(r.lower)} to {number(r.upper)})"
        cells[r.treatment, r.comparator] = Cell((Link(text, to),), tone=round(4 * float(tone)),
                                                mark=r.lower > null or r.upper < null)  # fmt: skip
    rows = tuple(
        Row((Cell((a,)), *(cells.get((a, b), Cell(("–",))) for b in names)), strong=a in reading.strong) for a in names
    )
    return Table(
        id=f"q-{reading.id}.league-table", kind="league",
        caption=f"{reading.answer.question.title}: all comparisons, {fit.network.measure.label}",
        columns=(Column("Row versus column"), *(Column(b, "number") for b in names)), rows=rows,
        note=(Strong("Each cell is the row versus the column. "),
              f"{fit.network.measure.label.capitalize()} with {level(reading)}; bold where the interval excludes no "
              "difference. Green: the row is better; brown: the column is better."),
    )  # fmt: skip


def _league_folded(reading: Reading) -> tuple[Block, ...]:
    if not 2 < len(reading.fit.treatments) <= LEAGUE_UP_TO:
        return ()
    return (Folded(title="League table: every pair", blocks=(_league(reading),)),)


def _ranks(reading: Reading) -> tuple[Block, ...]:
    table, fit = reading.ranks, reading.fit
    figure = Figure(id=f"q-{reading.id}.rankogram", plot="rankogram", table=table,
                    caption=f"How probable each rank is. Beside each treatment its {fit.network.measure.label} against "
                    f"{fit.reference}: a rank alone says nothing about the size of a difference.")  # fmt: skip
    rows = tuple(
        Row((Cell((r.treatment,)),
             Cell((Link(r.effect, "#" + reading.where(r.treatment, fit.reference))
                   if r.treatment != fit.reference else r.effect,)),
             Cell((number(r.mean_rank, 1),)), Cell((percent(r.p_score),)), Cell((percent(r.rank_1),))),
            strong=r.strong)
        for r in table.itertuples()
    )  # fmt: skip
    listing = Table(id=f"q-{reading.id}.rank-table", caption=f"{reading.answer.question.title}: ranks with effects",
                    columns=(Column("Treatment"), Column(f"{fit.network.measure.label} vs {fit.reference}", "number"),
                             Column("Mean rank", "number"), Column("P-score (SUCRA)", "number"),
                             Column("P(best)", "number")), rows=rows,
                    note=("P-score: mean probability of being better than another treatment. A small, uncertain trial "
                          "can lead a ranking: read the interval first.",))  # fmt: skip
    return (figure, listing)


def _absolute(reading: Reading) -> tuple[Block, ...]:
    q, fit = reading.answer.question, reading.fit
    figure = Figure(id=f"q-{reading.id}.absolute-figure", plot="absolute", table=reading.absolute,
                    options={"outcome": q.asked.label, "comparator": fit.reference},
                    caption=f"Patients per 1,000 with {q.asked.label}, for each stated risk with {fit.reference} "
                    "(dashed line).")  # fmt: skip
    told = [(Strong(f"{b.label.capitalize()} risk {percent(b.risk, 1)}: "), f"{b.how}.") for b in reading.baselines]
    tables = []
    for b in reading.baselines:
        its = reading.absolute[reading.absolute["baseline_risk"] == b.risk]
        rows = tuple(
            Row((Cell((r["treatment"],)),
                 Cell((f"{whole(r['per_1000'])} ({whole(r['per_1000_lower'])} to {whole(r['per_1000_upper'])})",)),
                 *_gain_cells(reading, r)), strong=bool(r["strong"]))
            for _, r in its.iterrows()
        )  # fmt: skip
        table = Table(id=f"q-{reading.id}.absolute-{b.label}",
                      caption=f"{q.asked.label} per 1,000 patients, when {whole(1000 * b.risk)} have it with "
                      f"{fit.reference}",
                      columns=(Column("Treatment"), Column("Per 1,000 (95 % interval)", "number"),
                               Column(f"Difference from {fit.reference}", "number"), Column("NNT", "number")),
                      rows=rows, note=(_NNT,))  # fmt: skip
        tables.append(table if b.label == "middle" else Folded(title=f"At the {b.label} risk, {percent(b.risk, 1)}",
                                                               blocks=(table,)))  # fmt: skip
    return (Bullets(tuple(told)), figure, *tables)


def _gain_cells(reading: Reading, risk: pd.Series) -> tuple[Cell, Cell]:
    to = "#" + reading.where(risk["treatment"], reading.fit.reference)
    return Cell((Link(gain(risk), to),)), Cell((nnt(risk),))


def _models(reading: Reading) -> Table:
    rows = []
    for id, fit in reading.answer.fits.items():
        tau = (
            f"{number(fit.tau.estimate)} ({number(fit.tau.lower)} to {number(fit.tau.upper)})"
            if fit.effects == "random" else "none"
        )  # fmt: skip
        about = (
            fit.model.describe() if fit.is_bayesian else f"{fit.effects} effects, tau by {fit.settings.get('tau', '')}"
        )
        rows.append(Row((Cell((reading.titles[id],)), Cell((about,)), Cell((tau,)), Cell((fit.status.message,)))))
    return Table(id=f"q-{reading.id}.models-table", caption=f"{reading.answer.question.title}: models fitted",
                 columns=(Column("Model"), Column("What it assumes", "long"), Column("Tau (95 % interval)", "number"),
                          Column("Computation", "long")), rows=tuple(rows),
                 note=("The first is read everywhere in this report; the others stand beside it.",))  # fmt: skip
