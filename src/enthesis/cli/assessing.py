"""What the commands that assess share: which network is meant, how it is fitted, and where the answer goes.

A command takes a table, or `--review NAME --question ID`. Its answer is one table with a few sentences: printed for
people, `--json` for programs, `--export` for spreadsheets and documents, `--figure` for its picture.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from enthesis.cli.printing import plain, print_table, working, writable, write_text

if TYPE_CHECKING:
    import pandas as pd

    from enthesis.inference.fit import Fit
    from enthesis.network.network import Network

TableArgument = Annotated[
    Path | None, typer.Argument(metavar="[TABLE]", help="Table of arms or contrasts, as for `enthesis fit`.")
]
ReviewOption = Annotated[
    str | None, typer.Option(help="Instead of a table: a bundled review, such as axspa, or a folder.")
]
QuestionOption = Annotated[str | None, typer.Option(help="With --review: the id of one of its questions.")]
MeasureOption = Annotated[
    str | None,
    typer.Option(help="OR, RR, RD, ASD, MD, SMD, SMDH, ROM, IRR, IRD, HR or EFFECT.", show_default="by columns"),
]
ReferenceOption = Annotated[
    str | None, typer.Option(help="Treatment that others are expressed against.", show_default="placebo, control")
]
EffectsOption = Annotated[Literal["random", "common"], typer.Option(help="Do effects vary between studies?")]
EngineOption = Annotated[
    Literal["gls", "laplace"], typer.Option(help="gls (frequentist) or laplace (Bayesian, default priors).")
]
TauOption = Annotated[str, typer.Option(help="Estimator of tau for gls: REML, ML, DL, PM, ...")]
BetterOption = Annotated[Literal["higher", "lower"] | None, typer.Option(help="Is a higher or a lower outcome better?")]
ColumnOption = Annotated[
    list[str] | None, typer.Option("--column", help="Which column is what, such as events=responders; repeatable.")
]
JsonOption = Annotated[
    str | None, typer.Option("--json", metavar="FILE|-", help="Write the result as JSON; - is standard output.")
]
ExportOption = Annotated[
    Path | None, typer.Option("--export", metavar="FILE", help="Write the table to FILE.csv, .xlsx or .docx.")
]
FigureOption = Annotated[
    Path | None, typer.Option("--figure", metavar="FILE", help="Draw the figure into FILE.svg, .png or .html.")
]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a command found.

    Parameters
    ----------
    title : str
    table : pandas.DataFrame
        What is exported.
    told : dict
        What `--json` prints.
    shown : pandas.DataFrame, optional
        What is printed, when it is not the table.
    sentences : tuple of str
        Printed before the table.
    warnings : tuple of str
        On standard error.
    chart : callable, optional
        Makes the figure.
    words : callable, optional
        Its text alternative.
    """

    title: str
    table: pd.DataFrame
    told: dict[str, Any]
    shown: pd.DataFrame | None = None
    sentences: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    chart: Callable[[], Any] | None = field(default=None, repr=False)
    words: Callable[[], str] | None = field(default=None, repr=False)


def network_of(
    table: Path | None,
    review: str | None,
    question: str | None,
    *,
    measure: str | None,
    reference: str | None,
    better: str | None,
    column: Sequence[str] | None,
) -> Network:
    """The network of a table, or of a question of a review.

    Raises
    ------
    UsageError
        When neither or both are named, or options for a table come with a review.
    """
    from enthesis.errors import UsageError

    if (table is None) == (review is None):
        raise UsageError("name either a TABLE or --review with --question.")
    if review is None:
        if question is not None:
            raise UsageError("--question names a question of a review: give --review too.")
        from enthesis.network.tables import from_table

        return from_table(table, measure=measure, reference=reference, better=better, columns=columns_of(column))
    if column:
        raise UsageError("--column tells how to read a table; a review knows its columns.")
    return _question_network(review, question, measure, reference, better)


def _question_network(
    review: str, id: str | None, measure: str | None, reference: str | None, better: str | None
) -> Network:
    from dataclasses import replace

    from enthesis.errors import UsageError
    from enthesis.living.review import Review
    from enthesis.network.build import build
    from enthesis.network.subset import component

    loaded = Review.load(review)
    if id is None:
        shown = ", ".join(q.id for q in loaded.questions[:12])
        raise UsageError(
            f"--review needs --question. Questions of {loaded.id}: {shown}, ... ({len(loaded.questions)} in all)."
        )
    asked = loaded.question(id)
    if measure:
        asked = replace(asked, measure=measure)
    network = build(loaded.evidence(), asked, loaded.treatments)
    if reference:
        network.index(reference)
        network = network.replace(reference=reference)
    if better:
        network = network.replace(better=better)
    connected = component(network, network.reference)
    lost = network.n_treatments - connected.n_treatments
    if lost:
        print(
            f"note: {lost} treatments share no study with {plain(network.reference)} and are set aside.",
            file=sys.stderr,
        )
    return connected


def fit_of(network: Network, effects: str, engine: str, tau: str) -> Fit:
    """Fit a network; a doubtful status is said on standard error."""
    from enthesis.inference.fit import fit
    from enthesis.models.heterogeneity import Common, Exchangeable
    from enthesis.models.model import Model

    model = Model(heterogeneity=Common() if effects == "common" else Exchangeable())
    made = fit(network, model, engine=engine, tau=tau)
    if not made.status.ok:
        print(f"warning: {plain(made.status.message)}", file=sys.stderr)
    return made


def in_words(network: Network) -> str:
    """The scale of the estimates in a table: `log odds ratio`, `mean difference`."""
    return f"log {network.measure.label}" if network.measure.scale == "log" else network.measure.label


def columns_of(pairs: Sequence[str] | None) -> dict[str, str] | None:
    """`role=column` pairs as a dictionary."""
    from enthesis.errors import UsageError

    columns = {}
    for pair in pairs or ():
        role, sign, header = pair.partition("=")
        if not (sign and role.strip() and header.strip()):
            raise UsageError(f"--column {pair[:60]!r} must be role=column, such as events=responders.")
        columns[role.strip()] = header.strip()
    return columns or None


def about(fit: Fit) -> dict[str, Any]:
    """What every JSON of an assessment says of the fit behind it."""
    return {
        "measure": fit.network.measure.name,
        "scale": fit.network.measure.scale,
        "reference": fit.reference,
        "engine": fit.engine,
        "effects": fit.effects,
        "n_studies": fit.network.n_studies,
        "n_treatments": fit.network.n_treatments,
        "tau": fit.tau.estimate,
        "status": {"ok": fit.status.ok, "message": fit.status.message},
    }


def checked_files(
    export: Path | None, figure: Path | None, as_json: str | None = None, table: Path | None = None
) -> None:
    """Refuse a file name before minutes of work, not after."""
    from enthesis.errors import UsageError
    from enthesis.report.figure_file import ENDINGS

    for path, endings, option in ((export, (".csv", ".xlsx", ".docx"), "--export"), (figure, ENDINGS, "--figure")):
        if path is not None and path.suffix.lower() not in endings:
            raise UsageError(f"{option} {str(path)!r} must end in {', '.join(endings)}.")
    for path in (export, figure, Path(as_json) if as_json and as_json != "-" else None):
        if path is not None:
            writable(path, inputs=(table,))


def deliver(found: Outcome, as_json: str | None, export: Path | None, figure: Path | None) -> None:
    """Print, write and draw an outcome, as asked."""
    from enthesis.errors import UsageError
    from enthesis.estimands import plain as plain_values

    for warning in found.warnings:
        print(f"warning: {plain(warning)}", file=sys.stderr)
    if as_json:
        told = json.dumps(plain_values(found.told), ensure_ascii=False, indent=2, allow_nan=False)
        if as_json == "-":
            print(told)
        else:
            write_text(Path(as_json), told + "\n")
    if export is not None:
        from enthesis.report.export import export as write_table

        write_table(found.table, export, title=found.title)
    if figure is not None:
        if found.chart is None or found.words is None:
            raise UsageError("there is no figure for this choice of options.")
        from enthesis.report.figure_file import save_figure

        with working("Drawing"):
            save_figure(found.chart, figure, words=found.words(), title=found.title)
    for path in filter(None, (None if as_json == "-" else as_json, export, figure)):
        print(f"Written: {plain(path)}", file=sys.stderr)
    if as_json != "-":
        for sentence in found.sentences:
            print(plain(sentence))
        _print(found.title, found.table if found.shown is None else found.shown)


#: more lines than this are not printed; a file holds them all
_MOST = 200


def _print(title: str, table: pd.DataFrame) -> None:
    shown = table.head(_MOST)
    print_table(
        title, [str(c) for c in shown.columns], [[_cell(v) for v in row] for row in shown.itertuples(index=False)]
    )
    if len(table) > _MOST:
        print(f"and {len(table) - _MOST} more (--export writes them all)")


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return "" if value is None else str(value)
