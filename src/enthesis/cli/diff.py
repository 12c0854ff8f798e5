"""`enthesis diff`: what moved between two snapshots, taken apart into data, method and judgement."""

from __future__ import annotations

import json
from math import exp
from typing import Annotated, Any

import typer

from enthesis.cli.printing import plain, print_table, progress

app = typer.Typer(add_completion=False)


@app.command()
def diff(
    span: Annotated[
        str, typer.Argument(metavar="A..B", help="Snapshots: a number, the start of a hash, a date, or HEAD.")
    ],
    review: Annotated[str, typer.Option(help="A bundled review, or a folder.")] = "axspa",
    store: Annotated[
        str | None,
        typer.Option(
            "--store",
            envvar="ENTHESIS_STORE",
            help="SQLite file or postgresql:// URL.",
            show_default="user data folder",
        ),
    ] = None,
    question: Annotated[list[str] | None, typer.Option(help="Only this outcome or question; repeatable.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON to standard output.")] = False,
) -> None:
    """Say what moved between two snapshots, which studies moved it, and whether it matters.

    Every number is taken apart into data, method and judgement; the steps sum to the whole. A left out stands for the
    snapshot of the last recorded run, B left out for HEAD. Exit codes: 0 fine, 4 a conclusion flipped.

    Example: enthesis diff 4035..HEAD --store axspa.sqlite
    """
    from enthesis.errors import UsageError
    from enthesis.evidence import Store, default_place
    from enthesis.living.between import at
    from enthesis.living.diff import difference
    from enthesis.living.history import History, living_folder
    from enthesis.living.review import Review, cores
    from enthesis.report.difference import as_json as told_json
    from enthesis.report.difference import paragraph

    if span.count("..") != 1:
        raise UsageError(f"{plain(span)[:80]!r} is not a span of snapshots: write A..B, such as 4035..HEAD.")
    first, second = (part.strip() for part in span.split(".."))
    loaded = Review.load(review)
    only = [q.id for q in loaded.matching(question)] if question else None
    with Store.open(store or default_place(), create=False) as opened, progress("Comparing") as step:
        if not first:
            last = History(living_folder(opened.name)).last(loaded.id)
            if last is None:
                raise UsageError("no run of this review is recorded in the store: name the first snapshot.")
            first = str(last.snapshot["number"])
        found = difference(
            opened, loaded, at(opened, first), at(opened, second), only=only, workers=cores(), progress=step
        )
    if as_json:
        print(json.dumps(told_json(found), ensure_ascii=False, indent=2, allow_nan=False))
    else:
        _print(found, paragraph(found))
    if found.flips:
        raise typer.Exit(4)


def _print(found: Any, words: str) -> None:
    print(plain(words))
    print()
    mine = [m for m in found.numbers if m.strong] or list(found.numbers)
    columns = ["question", "number", "before", *(["newer code"] if found.software else []), "data", "method",
               "judgement", "after"]  # fmt: skip
    moved = [*mine, *(c.number for c in found.conclusions if c.number.whole)]
    print_table("What moved, step by step", columns, [_row(m, found.software) for m in moved])
    if any(m.scale == "log" for m in mine):
        print("Steps of ratios multiply (x1.00 is no change); steps of differences and probabilities add.")


def _row(m: Any, software: bool) -> list[str]:
    def value(x: float | None) -> str:
        return "-" if x is None else f"{exp(x) if m.scale == 'log' else x:.3f}"

    def step(x: float | None) -> str:
        return "-" if x is None else f"x{exp(x):.3f}" if m.scale == "log" else f"{x:+.3f}"

    names = (["software"] if software else []) + ["data", "method", "judgement"]
    return [m.question, m.what, value(m.path[0]), *(step(m.steps[n]) for n in names), value(m.path[-1])]
