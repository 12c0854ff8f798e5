"""`enthesis threshold`: how far the evidence could move before the decision changes."""

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
def threshold(
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
    rule: Annotated[
        Literal["best", "rank", "top", "superior", "near-best"],
        typer.Option(help="The decision: the best, the K-th, the first K, all superior to one, or all near the best."),
    ] = "best",
    margin: Annotated[
        float, typer.Option(help="For best, superior and near-best: a difference as people read it (a ratio: 1.25).")
    ] = 0.0,
    k: Annotated[int | None, typer.Option(help="For rank and top.")] = None,
    comparator: Annotated[str | None, typer.Option(help="For superior: to what.", show_default="the reference")] = None,
    level: Annotated[
        Literal["study", "comparison"], typer.Option(help="Move each contrast of a study, or each direct comparison.")
    ] = "study",
    bias: Annotated[
        Literal["none", "study", "treatment", "class", "all"],
        typer.Option(help="Move together every contrast of a study, of a treatment, of a class, or all of them."),
    ] = "none",
    refit: Annotated[bool, typer.Option("--refit", help="With gls: estimate tau again at every step.")] = False,
    as_json: JsonOption = None,
    export: ExportOption = None,
    figure: FigureOption = None,
) -> None:
    """Tell how far each data point, or each bias, could move before the decision changes.

    Changes are on the model's scale (log for ratios); the figure shows ratios. A data point whose 95 % interval reaches
    beyond where the decision holds is one the decision hangs on.

    Exit codes: 0 fine, 2 usage, 3 bad data.

    Example: enthesis threshold trials.csv --measure OR --better higher --figure thresholds.svg
    """
    checked_files(export, figure, as_json, table)
    with working("Moving the data"):
        network = network_of(table, review, question, measure=measure, reference=reference, better=better,
                             column=column)  # fmt: skip
        fit = fit_of(network, effects, engine, tau)
        found = _found(fit, rule, margin, k, comparator, level, bias, refit)
    deliver(found, as_json, export, figure)


def _found(
    fit: Any, name: str, margin: float, k: int | None, comparator: str | None, level: str, bias: str, refit: bool
) -> Outcome:
    from enthesis.assess.decision import margin_on_scale, rule_of
    from enthesis.assess.threshold import decided, on_the_scale_people_read, thresholds
    from enthesis.report.plots import invariant_intervals
    from enthesis.report.wording import listed

    network = fit.network
    asked = rule_of(name, network, margin=margin_on_scale(network.measure, margin), k=k, comparator=comparator)
    rows = thresholds(fit, asked, level=level, bias=bias, refit=refit)
    chosen = decided(fit, asked)
    log = network.measure.scale == "log"
    read = on_the_scale_people_read(rows, network.measure)
    words = asked.words(network.treatment_names)
    if log and margin_on_scale(network.measure, margin) > 0:
        words += f" on the log scale: {network.measure.label} {margin:g}"
    told = about(fit) | {"rule": words, "decision": chosen, "level": level, "bias": bias, "refit": refit,
                         "rows": rows.to_dict("records")}  # fmt: skip
    better = "" if network.better else " Higher is taken as better: say --better lower where it is not."
    name = network.measure.label if bias == "none" else f"{network.measure.label}: change by the bias"
    return Outcome(
        title=f"Thresholds of the decision, {in_words(network)}", table=rows, told=told,
        shown=rows.drop(columns=["study", "treatment", "comparator", "invariant_low", "invariant_high"]),
        sentences=(f"Decision ({words}): {listed(chosen) or 'none'}.{better}",),
        chart=lambda: invariant_intervals.chart(read, measure=name, log=log),
        words=lambda: invariant_intervals.alt_text(read, measure=name, log=log),
    )  # fmt: skip
