"""`enthesis consistency`: do direct and indirect evidence agree, in all and for each comparison?"""

from __future__ import annotations

from functools import partial
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
def consistency(
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
    method: Annotated[
        Literal["back-calculation", "SIDDE", "node-split"], typer.Option(help="How indirect evidence is found.")
    ] = "back-calculation",
    plot: Annotated[
        Literal["node-split", "net-heat"], typer.Option(help="Which figure --figure draws.")
    ] = "node-split",
    as_json: JsonOption = None,
    export: ExportOption = None,
    figure: FigureOption = None,
) -> None:
    """Test whether designs agree, and split every comparison into direct and indirect evidence.

    Estimates are on the model's scale (log for ratios).

    Exit codes: 0 fine, 2 usage, 3 bad data.

    Example: enthesis consistency trials.csv --measure OR --export splits.xlsx --figure splits.svg
    """
    checked_files(export, figure, as_json, table)
    with working("Assessing consistency"):
        network = network_of(table, review, question, measure=measure, reference=reference, better=better,
                             column=column)  # fmt: skip
        found = _found(fit_of(network, effects, engine, tau), method, plot)
    deliver(found, as_json, export, figure)


def _found(fit: Any, method: str, plot: str) -> Outcome:
    from enthesis.assess.as_json import consistency_json, decomposition_json, netsplit_json
    from enthesis.assess.net_heat import net_heat
    from enthesis.assess.node_splitting import node_splits
    from enthesis.report.plots import net_heat as heat_plot
    from enthesis.report.plots import node_split as split_plot

    splits = node_splits(fit, method)
    global_test = consistency_json(fit)
    told = about(fit) | {
        "consistency": global_test,
        "decomposition": decomposition_json(fit),
        "netsplit": netsplit_json(fit, method),
    }
    name, log = fit.network.measure.label, fit.network.measure.scale == "log"
    if plot == "net-heat":
        heat = net_heat(fit)
        chart, words = partial(heat_plot.chart, heat), partial(heat_plot.alt_text, heat)
    else:
        drawn = split_plot.lines(splits, log=log)
        chart = partial(split_plot.chart, drawn, measure=name, log=log)
        words = partial(split_plot.alt_text, drawn, measure=name)
    columns = ["treatment", "comparator", "n_studies", "proportion", "direct", "indirect", "difference", "p", "note"]
    title = f"Direct and indirect evidence, {in_words(fit.network)}"
    return Outcome(title=title, table=splits, told=told, shown=splits[columns],
                   sentences=(str(global_test["message"]), ""), chart=chart, words=words)  # fmt: skip
