"""`enthesis influence`: what the estimates would be without a study or a comparison, and which studies drive them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from enthesis.cli.assessing import (
    BetterOption,
    ColumnOption,
    EffectsOption,
    EngineOption,
    ExportOption,
    FigureOption,
    JsonOption,
    MeasureOption,
    Outcome,
    QuestionOption,
    ReferenceOption,
    ReviewOption,
    TableArgument,
    TauOption,
    about,
    checked_files,
    deliver,
    fit_of,
    in_words,
    network_of,
)
from enthesis.cli.printing import working

app = typer.Typer()


@app.command()
def influence(
    table: TableArgument = None,
    review: ReviewOption = None,
    question: QuestionOption = None,
    measure: MeasureOption = None,
    reference: ReferenceOption = None,
    effects: EffectsOption = "random",
    engine: EngineOption = "gls",
    tau: TauOption = "REML",
    better: BetterOption = None,
    column: ColumnOption = None,
    by: Annotated[
        Literal["study", "comparison", "cumulative", "diagnostics"],
        typer.Option(help="Leave out each study or comparison, add studies one by one, or diagnose each study."),
    ] = "study",
    treatment: Annotated[
        str | None, typer.Option(help="Show and draw the effect of this treatment.", show_default="the first")
    ] = None,
    comparator: Annotated[str | None, typer.Option(help="Against this one.", show_default="the reference")] = None,
    order: Annotated[
        str, typer.Option(help="For cumulative: precision, network, or a covariate such as year.")
    ] = "precision",
    plot: Annotated[
        Literal["panel", "baujat"], typer.Option(help="For diagnostics: which figure --figure draws.")
    ] = "panel",
    as_json: JsonOption = None,
    export: ExportOption = None,
    figure: FigureOption = None,
) -> None:
    """Leave out each study or comparison in turn, add studies one by one, or diagnose each study.

    Where the network falls apart without a study, the treatments that lose their link are named on standard error and
    in the table. Estimates are on the model's scale (log for ratios); the figure shows ratios.

    Exit codes: 0 fine, 2 usage, 3 bad data.

    Example: enthesis influence trials.csv --measure OR --treatment drug --figure leave-one-out.svg
    """
    checked_files(export, figure, as_json, table)
    with working("Leaving out"):
        network = network_of(table, review, question, measure=measure, reference=reference, better=better,
                             column=column)  # fmt: skip
        fit = fit_of(network, effects, engine, tau)
        found = _diagnosed(fit, plot) if by == "diagnostics" else _left_out(fit, by, treatment, comparator, order)
    deliver(found, as_json, export, figure)


def _left_out(fit: Any, by: str, treatment: str | None, comparator: str | None, order: str) -> Outcome:
    from enthesis.assess.leave_out import cumulative, leave_one_comparison_out, leave_one_study_out
    from enthesis.errors import UsageError
    from enthesis.estimands import relative_effects
    from enthesis.report.plots import cumulative as cumulative_plot
    from enthesis.report.plots import leave_one_out as out_plot

    comparator = comparator or fit.reference
    others = [t for t in fit.treatments if t != comparator]
    treatment = treatment or others[0]
    fit.network.index(treatment)
    if treatment == comparator:
        raise UsageError(f"--treatment {treatment!r} is the comparator; name another one.")
    makers = {
        "study": lambda: leave_one_study_out(fit, comparator=comparator),
        "comparison": lambda: leave_one_comparison_out(fit, comparator=comparator),
        "cumulative": lambda: cumulative(fit, order=order, comparator=comparator),
    }
    table = makers[by]()
    its = table[table["treatment"] == treatment]
    whole = relative_effects(fit, comparator).set_index("treatment").loc[treatment, ["estimate", "lower", "upper"]]
    back, log = fit.network.measure.back_transform, fit.network.measure.scale == "log"
    read = its.assign(**{c: back(its[c].to_numpy()) for c in ("estimate", "lower", "upper")})
    all_in = tuple(float(back(v)) for v in whole)
    drawn = cumulative_plot if by == "cumulative" else out_plot
    name = f"{fit.network.measure.label}, {treatment} versus {comparator}"
    lost = tuple(dict.fromkeys(m for m in table["message"] if m)) if by != "cumulative" else ()
    columns = ["added" if by == "cumulative" else "left_out", "estimate", "lower", "upper", "change", "tau", "ok"]
    titles = {"study": "Without each study", "comparison": "Without each comparison", "cumulative": "Study by study"}
    return Outcome(
        title=f"{titles[by]}: {treatment} versus {comparator}, {in_words(fit.network)}", table=table,
        told=about(fit) | {"by": by, "comparator": comparator, "rows": table.to_dict("records")}, shown=its[columns],
        warnings=lost, chart=lambda: drawn.chart(read, whole=all_in, measure=name, log=log),
        words=lambda: drawn.alt_text(read, whole=all_in, measure=name),
    )  # fmt: skip


def _diagnosed(fit: Any, plot: str) -> Outcome:
    from enthesis.assess.influence import baujat
    from enthesis.assess.influence import influence as diagnostics
    from enthesis.report.plots import baujat as baujat_plot
    from enthesis.report.plots import influence as panel

    table, points = diagnostics(fit), baujat(fit)
    drawn, source = (panel, table) if plot == "panel" else (baujat_plot, points)
    told = about(fit) | {"by": "diagnostics", "rows": table.to_dict("records"), "baujat": points.to_dict("records")}
    return Outcome(
        title="Influence of each study", table=table, told=told, shown=table.drop(columns=["message", "n_contrasts"]),
        warnings=tuple(m for m in table["message"] if m), chart=lambda: drawn.chart(source),
        words=lambda: drawn.alt_text(source),
    )  # fmt: skip
