"""`enthesis borrow`: own data with relative effects from another indication, over the borrowing weight."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from enthesis.cli.assessing import ExportOption, FigureOption, JsonOption, Outcome, checked_files, deliver
from enthesis.cli.printing import working

app = typer.Typer()

_METHODS = {"robust-map": "RobustMap", "power": "Power", "exnex": "Exnex", "commensurate": "Commensurate"}


@app.command()
def borrow(
    table: Annotated[
        Path,
        typer.Argument(
            metavar="TABLE",
            help="Results from elsewhere: study, ratio, lower, upper (95 %); or study, events, time_at_risk, "
            "comparator_events, comparator_time. Also indication, stratum.",
        ),
    ],
    own: Annotated[
        str | None,
        typer.Option(
            metavar="EVENTS/TIME,EVENTS/TIME",
            help="Own events and patient-years, treatment first, such as 3/600,1/450.",
            show_default="the rows of --to in the table",
        ),
    ] = None,
    to: Annotated[str, typer.Option(help="The own indication; rows of it in the table are own data.")] = "own",
    stratum: Annotated[str, typer.Option(help="Borrow from this stratum of risk only.")] = "all",
    method: Annotated[
        Literal["robust-map", "power", "exnex", "commensurate"], typer.Option(help="How what is elsewhere is believed.")
    ] = "robust-map",
    weight: Annotated[float, typer.Option(help="Borrowing weight, from 0 (nothing) to 1, that is reported.")] = 0.5,
    tau: Annotated[
        str, typer.Option(help="Prior of the spread between sources (robust-map, exnex) or around them (commensurate).")
    ] = "half-normal(0.5)",
    threshold: Annotated[
        list[float] | None,
        typer.Option(help="Ratio that matters; repeatable, the first is that of the conclusion.", show_default="1"),
    ] = None,
    probability: Annotated[
        float, typer.Option(help="The conclusion holds when it has at least this probability.")
    ] = 0.975,
    as_json: JsonOption = None,
    export: ExportOption = None,
    figure: FigureOption = None,
) -> None:
    """Estimate a rate ratio from few own events and from relative effects in another indication.

    Only ratios are carried over, never rates. Own counts are used as they are, without adding half an event. The table
    shows the result for every weight from 0 to 1, how many events the prior is worth, and where the conclusion changes.

    Exit codes: 0 fine, 2 usage or data that may not be carried over, 3 bad data.

    Example: enthesis borrow elsewhere.csv --own 3/600,1/450 --threshold 1.33 --json -
    """
    checked_files(export, figure, as_json, table)
    with working("Borrowing"):
        found = _outcome(table, own, to, stratum, method, weight, tau, tuple(threshold or (1.0,)), probability)
    deliver(found, as_json, export, figure)


def _outcome(
    table: Path, own: str | None, to: str, stratum: str, method: str, weight: float, tau: str,
    thresholds: tuple[float, ...], probability: float,
) -> Outcome:  # fmt: skip
    import pandas as pd

    from enthesis.assess.borrowing import answer, own_counts, read_effects
    from enthesis.models import borrowing as beliefs
    from enthesis.models.priors import parse_prior
    from enthesis.report.plots import borrowing_weight as plot

    prior = {"robust-map": {"tau": parse_prior(tau)}, "exnex": {"tau": parse_prior(tau)},
             "commensurate": {"sd": parse_prior(tau)}, "power": {}}[method]  # fmt: skip
    belief: Any = getattr(beliefs, _METHODS[method])(weight=weight, **prior)
    found = answer(
        [own_counts(own)] if own else [], read_effects(table), belief,
        to=to, stratum=stratum, thresholds=thresholds, probability=probability,
    )  # fmt: skip
    rows = found.rows()
    frame = pd.DataFrame(rows)
    curve = frame.rename(columns={"ratio": "estimate"})
    used = found.table.at(weight)
    told = {
        "to": to, "stratum": stratum, "method": method, "weight": weight, "tau": tau,
        "borrowed": [{"study": r.study, "indication": r.indication, "measure": r.measure} for r in found.external],
        "result": dict(zip(("ratio", "lower", "upper"), used.rate_ratio, strict=True))
        | {"ess_prior": used.ess_prior, "ess_borrowed": used.ess_borrowed, "posterior_weight": used.posterior_weight},
        "conflict": {"p_value": used.conflict.p_value, "z": used.conflict.z, "sentence": used.conflict.sentence},
        "conclusion": str(found.conclusion), "tipping_points": list(found.tipping),
        "by_weight": rows, "sentences": list(found.sentences),
    }  # fmt: skip
    return Outcome(
        title="The ratio over the borrowing weight", table=frame, told=told, sentences=(*found.sentences, ""),
        chart=lambda: plot.chart(curve, weight=weight), words=lambda: plot.alt_text(curve, weight=weight),
    )  # fmt: skip
