"""`enthesis rates`: incidence rates with exact intervals, pooled without a continuity correction."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from enthesis.cli.assessing import (
    ColumnOption,
    ExportOption,
    FigureOption,
    JsonOption,
    Outcome,
    checked_files,
    columns_of,
    deliver,
)
from enthesis.cli.printing import working

app = typer.Typer()


@app.command()
def rates(
    table: Annotated[
        Path | None,
        typer.Argument(metavar="[TABLE]", help="Arms with study, treatment, events and time_at_risk; one row each."),
    ] = None,
    review: Annotated[
        str | None, typer.Option(help="Instead of a table: a bundled review, such as axspa, or a folder.")
    ] = None,
    outcome: Annotated[str | None, typer.Option(help="With --review: an outcome code, such as SERINF.")] = None,
    population: Annotated[
        list[str] | None,
        typer.Option(help="With --review: only this population; repeatable.", show_default="of the main question"),
    ] = None,
    rate_of: Annotated[
        Literal["events", "patients", "unstated"] | None,
        typer.Option(help="Use rates of events, or of patients with an event.", show_default="the kind all share"),
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            help="Group by treatment, drug_class, design, population, study_id, outcome or week; repeatable.",
            show_default="treatment",
        ),
    ] = None,
    model: Annotated[
        Literal["poisson-normal", "negative-binomial", "common"], typer.Option(help="How rates vary between studies.")
    ] = "poisson-normal",
    comparator: Annotated[
        str | None, typer.Option(help="Also rate ratios against this group, across studies.", show_default="none")
    ] = None,
    years: Annotated[
        list[float] | None, typer.Option(help="Also what the rate means over so many years; repeatable.")
    ] = None,
    column: ColumnOption = None,
    as_json: JsonOption = None,
    export: ExportOption = None,
    figure: FigureOption = None,
) -> None:
    """Pool incidence rates of single arms: exact intervals, random effects, no continuity correction.

    Times at risk are patient-years; rates are shown per 100. Rates of events and of patients with an event are never
    pooled: a group that holds both is refused with its rows. Studies without events count.

    Exit codes: 0 fine, 2 usage, 3 bad data, 4 computed but a pooled rate is not to be used.

    Example: enthesis rates --review axspa --outcome SERINF --rate-of events --by drug_class --comparator TNFi
    """
    from enthesis.errors import UsageError

    checked_files(export, figure, as_json, table)
    if (table is None) == (review is None):
        raise UsageError("name either a TABLE or --review with --outcome.")
    groups = tuple(by or ("treatment",))
    with working("Pooling rates"):
        rows, notes = _rows(table, review, outcome, population, rate_of, column)
        found = _outcome(rows, groups, rate_of or "", model, comparator, tuple(years or ()))
    deliver(_with(found, notes), as_json, export, figure)
    if not found.told["status"]["ok"]:
        raise typer.Exit(4)


def _rows(
    table: Path | None, review: str | None, outcome: str | None, population: Any, rate_of: str | None, column: Any
) -> Any:
    from enthesis.errors import DataError, UsageError, unknown_name

    if table is not None:
        from enthesis.assess.rate_table import read_rates

        if outcome or population:
            raise UsageError("--outcome and --population choose rows of a review; a table is read as a whole.")
        read = read_rates(table, rate_of=rate_of or "", columns=columns_of(column))
        return read.rows, read.notes
    from enthesis.assess.overlaps import apart, read_overlaps
    from enthesis.assess.rates import last_follow_up, rate_rows
    from enthesis.living.review import Review
    from enthesis.network.outcomes import outcome as known

    if column:
        raise UsageError("--column tells how to read a table; a review knows its columns.")
    if not outcome:
        raise UsageError("--review needs --outcome, such as SERINF.")
    loaded = Review.load(review)
    rows = [r for r in rate_rows(loaded.evidence(), known(outcome).code, loaded.treatments) if r.use != "no"]
    asked = set(population or _populations(loaded))
    known_ones = {r.population for r in rows}
    for name in sorted(set(population or ()) - known_ones):
        raise unknown_name("population with such a rate", name, known_ones)
    rows = [r for r in rows if r.subgroup == "all" and r.population in asked]
    counted = [r for r in rows if r.counted and (not rate_of or r.rate_of == rate_of or r.events == 0)]
    last = last_follow_up(counted)
    kept = apart(last, read_overlaps(loaded.folder / "overlaps.toml"))
    notes = [f"{len(rows)} rows of all patients with {', '.join(sorted(asked))}; {sum(not r.counted for r in rows)} "
             "print no count or time at risk."]  # fmt: skip
    if len(last) < len(counted):
        earlier = ", ".join(sorted({r.study_id for r in counted if r not in last}))
        notes.append(f"Earlier follow-up of the same patients is left out: {earlier}.")
    notes += [drop.sentence for drop in kept.dropped]
    if not kept.rows:
        raise DataError(
            f"no row of {known(outcome).code} has a count and a time at risk", fix="Choose another outcome."
        )
    return kept.rows, tuple(notes)


def _populations(loaded: Any) -> tuple[str, ...]:
    return (
        loaded.question(loaded.main_question).populations if loaded.main_question else loaded.questions[0].populations
    )


def _outcome(rows: Any, by: tuple[str, ...], rate_of: str, model: str, comparator: str | None, years: Any) -> Outcome:
    import pandas as pd

    from enthesis.assess.rate_ratios import ratios_against
    from enthesis.assess.rates import KIND_WORDS, cumulative_risk, hazards, pool_rates, table_rows
    from enthesis.errors import DataError
    from enthesis.report.plots import rates as plot

    periods = any(row.period_end is not None for row in rows)
    if periods and "period_end" not in by:
        by = (*by, "period_end")
    groups = pool_rates(rows, by, rate_of=rate_of, model=model)  # type: ignore[arg-type]
    if not groups:
        raise DataError(
            f"no row counts {KIND_WORDS.get(rate_of, 'anything')}", fix="Leave --rate-of out, or change it."
        )
    lines = table_rows(groups, by)
    for line, group in zip(lines, groups, strict=True):
        p = group.pooled
        for t in () if periods else years:
            risk = cumulative_risk((p.estimate, p.lower, p.upper), t, rate_of=group.rate_of)
            name = f"per_1000_over_{t:g}_years"
            line |= {name: 1000 * risk.estimate, f"{name}_lower": 1000 * risk.lower, f"{name}_upper": 1000 * risk.upper}
    ratios = ratios_against(groups, comparator) if comparator else ()
    frame = pd.DataFrame(lines)
    kinds = sorted({g.rate_of for g in groups})
    sentences = [f"Rates per 100 patient-years of {' and of '.join(KIND_WORDS[k] for k in kinds)}, {model} model."]
    sentences += [r.sentence for r in ratios]
    told_risks = []
    for name, hazard in hazards([r for g in groups for r in g.rows], by).items() if periods else ():
        for t in years:
            risk = cumulative_risk(hazard, t, rate_of=kinds[0])
            told_risks.append({"group": list(name), "years": t, "what": risk.what, "estimate": risk.estimate,
                               "lower": risk.lower, "upper": risk.upper, "assumption": risk.assumption})  # fmt: skip
            sentences.append(f"{', '.join(name)}, over {t:g} years: {1000 * risk.estimate:.3g} per 1,000 "
                             f"({1000 * risk.lower:.3g} to {1000 * risk.upper:.3g}). {risk.assumption}")  # fmt: skip
    if years and not periods:
        p = groups[0].pooled
        sentences += [
            cumulative_risk((p.estimate, p.lower, p.upper), t, rate_of=kinds[0]).assumption for t in years[-1:]
        ]
    bad = [g for g in groups if not g.pooled.status.ok]
    forest = plot.table_of(groups)
    return Outcome(
        title="Incidence rates", table=frame,
        told={"by": list(by), "model": model, "groups": lines, "rate_ratios": [r.to_dict() for r in ratios],
              "risks": told_risks, "sentences": sentences,
              "status": {"ok": not bad, "message": bad[0].pooled.status.message if bad else ""}},
        shown=_shown(frame, () if periods else years), sentences=(*sentences, ""),
        warnings=tuple(f"{', '.join(g.name)}: {g.pooled.status.message}" for g in bad),
        chart=lambda: plot.chart(forest), words=lambda: plot.alt_text(forest),
    )  # fmt: skip


def _shown(frame: Any, years: Any) -> Any:
    """The table to print: what is per 1,000 in one column for each length of time, with its interval."""
    shown = frame.drop(columns=["message", "model"])
    for t in years:
        name = f"per_1000_over_{t:g}_years"
        parts = [name, f"{name}_lower", f"{name}_upper"]
        told = [f"{a:.3g} ({b:.3g} to {c:.3g})" for a, b, c in shown[parts].itertuples(index=False)]
        heading = f"per 1,000 over {t:g} year{'s' * (t != 1)}"
        shown = shown.drop(columns=parts).assign(**{heading: told})
    return shown


def _with(found: Outcome, notes: tuple[str, ...]) -> Outcome:
    from dataclasses import replace

    return replace(found, told=found.told | {"notes": list(notes)}, sentences=(*notes, *found.sentences))
