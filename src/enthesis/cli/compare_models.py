"""`enthesis compare-models TABLE --model A.toml --model B.toml`: which model describes the data best."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from enthesis.cli.assessing import columns_of
from enthesis.cli.printing import plain, print_table, working, write_text

app = typer.Typer()


@app.command()
def compare_models(
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="Table of arms or contrasts: CSV, TSV or semicolons.")],
    model: Annotated[
        list[Path], typer.Option("--model", metavar="FILE", help="Model file (TOML); two or more, each with --model.")
    ],
    measure: Annotated[str | None, typer.Option(help="As for enthesis fit.", show_default="by columns")] = None,
    reference: Annotated[
        str | None, typer.Option(help="Treatment that others are expressed against.", show_default="placebo, control")
    ] = None,
    column: Annotated[
        list[str] | None, typer.Option("--column", help="Which column is what, such as events=responders; repeatable.")
    ] = None,
    level_counts: Annotated[
        str | None, typer.Option(help="With levels: cumulative or exclusive; see enthesis fit.")
    ] = None,
    repeated_arms: Annotated[
        str, typer.Option(help="Groups on one treatment in a study: 'added up' or apart.")
    ] = "added up",
    engine: Annotated[Literal["auto", "laplace", "nuts"], typer.Option(help="Bayesian engine.")] = "auto",
    seed: Annotated[int, typer.Option(help="Seed of the draws.")] = 1,
    draws: Annotated[int, typer.Option(help="Number of draws.")] = 4000,
    as_json: Annotated[
        str | None, typer.Option("--json", metavar="FILE|-", help="Write the table as JSON; - is standard output.")
    ] = None,
) -> None:
    """Fit several models to one table and compare them: deviance, DIC, WAIC and leave-one-study-out.

    Criteria are on the deviance scale: lower is better, and differences of LOO come with their standard errors.

    Exit codes: 0 fine, 2 usage, 3 bad data, 4 compared but the status of a fit is not ok.

    Example: enthesis compare-models trials.csv --model random.toml --model common.toml
    """
    from enthesis.assess.compare_models import compare_models as compared
    from enthesis.errors import UsageError
    from enthesis.estimands import plain as plain_values
    from enthesis.inference.fit import fit
    from enthesis.models.file import read_model
    from enthesis.network.tables import from_table

    if len(model) < 2:
        raise UsageError("name two or more model files, each with --model.")
    files = [read_model(path) for path in model]
    labels = [path.stem for path in model]
    if len(set(labels)) < len(labels):
        labels = [str(path) for path in model]
    if len(set(labels)) < len(labels):
        raise UsageError("the same model file is named twice.")
    with working("Fitting and comparing"):
        network = from_table(table, measure=measure, reference=reference, columns=columns_of(column),
                             level_counts=level_counts, repeated_arms=repeated_arms)  # fmt: skip
        fits = {
            label: fit(network, found.model, engine=engine, seed=seed, draws=draws)
            for label, found in zip(labels, files, strict=True)
        }
        frame = compared(fits)
    told = {"measure": network.measure.name, "n_studies": network.n_studies, "n_arms": network.n_arms,
            "models": [{"model": label, "title": f.title, "describe": f.model.describe(),
                        "engine": fits[label].engine} for label, f in zip(labels, files, strict=True)],
            "comparison": frame.to_dict("records")}  # fmt: skip
    text = json.dumps(plain_values(told), ensure_ascii=False, indent=2, allow_nan=False)
    if as_json == "-":
        print(text)
    else:
        if as_json:
            write_text(Path(as_json), text + "\n")
            print(f"The comparison is in {plain(as_json)}", file=sys.stderr)
        _print(frame, network.n_studies)
    if not frame["ok"].all():
        for row in frame[~frame["ok"]].itertuples():
            print(f"enthesis: {plain(row.model)}: {plain(row.status)}", file=sys.stderr)
        raise typer.Exit(4)


def _print(frame, n_studies: int) -> None:
    print_table(
        "Models, on the deviance scale (lower is better)",
        ["model", "deviance", "of", "pD", "DIC", "WAIC", "LOO", "LOO difference", "tau"],
        [
            [
                row.model, f"{row.residual_deviance:.1f}", f"{row.data_points:.0f}", f"{row.pD:.1f}", f"{row.DIC:.1f}",
                f"{row.WAIC:.1f}", f"{row.LOO:.1f}",
                "0" if row.Index == 0 else f"{row.LOO_difference:.1f} (SE {row.LOO_difference_se:.1f})",
                f"{row.tau:.2f} ({row.tau_lower:.2f} to {row.tau_upper:.2f})" if row.tau_upper > 0 else "none",
            ]
            for row in frame.itertuples()
        ],
    )  # fmt: skip
    bad = frame[frame["pareto_k_above"] > 0]
    for row in bad.itertuples():
        print(
            f"{plain(row.model)}: LOO is unreliable for {row.pareto_k_above} of {n_studies} studies (Pareto k over 0.7)"
        )
