"""`enthesis benefit-risk`: benefits and harms on one scale, under weights that are known, partly known or unknown."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from enthesis.cli.assessing import ExportOption, FigureOption, JsonOption, Outcome, checked_files, deliver
from enthesis.cli.printing import progress

app = typer.Typer(add_completion=False)


@app.command("benefit-risk")
def benefit_risk(
    name: Annotated[str, typer.Argument(metavar="REVIEW", help="A bundled review, such as axspa, or a folder.")],
    profile: Annotated[
        str | None, typer.Option(help="Preferences of the review by id.", show_default="the first")
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option("--weight", metavar="CRITERION=NUMBER", help="Swing weight of a criterion; name all of them."),
    ] = None,
    order: Annotated[
        str | None, typer.Option(help="Criteria from the most to the least important, separated by commas.")
    ] = None,
    between: Annotated[
        list[str] | None,
        typer.Option(metavar="CRITERION=LOW:HIGH", help="Bounds of a weight, as shares of 1; repeatable."),
    ] = None,
    keep: Annotated[
        Path | None, typer.Option(help="Keep fits in this folder: the next time nothing is fitted.")
    ] = None,
    plot: Annotated[
        Literal["ranks", "weights"], typer.Option(help="Which figure --figure draws: rank acceptability or weights.")
    ] = "ranks",
    as_json: JsonOption = None,
    export: ExportOption = None,
    figure: FigureOption = None,
) -> None:
    """Weigh benefits against harms for the drugs that all criteria of a review hold.

    Criteria, scales and preferences are in benefit-risk.toml of the review. Give your own preferences with --weight, or
    with --order and --between, or name a profile; with none of them the first profile is used.

    Exit codes: 0 fine, 2 usage, 3 bad data.

    Example: enthesis benefit-risk axspa --order asas40,sae,ae-disc --figure ranks.svg
    """
    from enthesis.assess.benefit_risk_part import Profile, read_settings
    from enthesis.errors import UsageError, unknown_name
    from enthesis.living.cache import Kept
    from enthesis.living.review import Review, cores, run_review

    checked_files(export, figure, as_json)
    review = Review.load(name)
    path = review.folder / "benefit-risk.toml"
    if not path.is_file():
        raise UsageError(f"the review {review.id!r} has no benefit-risk.toml, so it has no criteria.")
    settings = read_settings(path)
    ids = tuple(c.id for c in settings.criteria)
    own = bool(weights or order or between)
    if own and profile:
        raise UsageError("name a --profile, or give preferences of your own, not both.")
    if own:
        chosen = Profile(id="own", title="Your preferences", weights=_numbers(weights or []),
                         order=tuple((c.strip(),) for c in order.split(",")) if order else (),
                         between=_bounds(between or []))  # fmt: skip
    else:
        known = {p.id: p for p in settings.profiles}
        if profile and profile not in known:
            raise unknown_name("profile", profile, known)
        chosen = known[profile] if profile else settings.profiles[0]
    chosen.preferences(ids)
    with progress("Weighing") as step:
        run = run_review(review, None, list(ids), step, workers=cores(), parts=("benefit_risk",), roles=("primary",),
                         kept=Kept(keep) if keep else None)  # fmt: skip
    if "benefit_risk" not in run.parts:
        raise UsageError(run.part_problems.get("benefit_risk", "benefit and risk were not computed."))
    deliver(_found(run.parts["benefit_risk"], chosen, plot), as_json, export, figure)


def _found(value: Any, profile: Any, plot: str) -> Outcome:
    from dataclasses import replace

    from enthesis.report.benefit_risk import record
    from enthesis.report.plots import central_weights, rank_acceptability

    weighed = value.under(profile)
    part = replace(value, weighed=(weighed,))
    table = part.table(profile.id)
    titles = {c.id: c.title for c in value.measured.criteria}
    shown = table[["alternative", "value", "lower", "upper", "rank_1", "confidence",
                   *(c for c in table.columns if c.startswith("weight_"))]]  # fmt: skip
    drawn = rank_acceptability.chart if plot == "ranks" else lambda t: central_weights.chart(t, titles=titles)
    said = rank_acceptability.alt_text if plot == "ranks" else lambda t: central_weights.alt_text(t, titles=titles)
    return Outcome(
        title="Benefit and risk", table=table, told=record(part), shown=shown,
        sentences=(f"Preferences: {weighed.words}.",),
        warnings=tuple(f"{n} is left out: {why}" for n, why in value.left_out.items()),
        chart=lambda: drawn(table), words=lambda: said(table),
    )  # fmt: skip


def _numbers(pairs: list[str]) -> dict[str, float]:
    return {key: _number(text, f"--weight {key}={text}") for key, text in _pairs(pairs, "--weight")}


def _bounds(pairs: list[str]) -> dict[str, tuple[float, float]]:
    found = {}
    for key, text in _pairs(pairs, "--between"):
        low, _, high = text.partition(":")
        told = f"--between {key}={text}"
        found[key] = (_number(low, told), _number(high, told))
    return found


def _pairs(pairs: list[str], option: str) -> list[tuple[str, str]]:
    from enthesis.errors import UsageError

    found = []
    for pair in pairs:
        key, sign, text = pair.partition("=")
        if not (sign and key.strip() and text.strip()):
            raise UsageError(f"{option} {pair[:60]!r} must be criterion=value.")
        found.append((key.strip(), text.strip()))
    return found


def _number(text: str, told: str) -> float:
    from enthesis.errors import UsageError

    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{told[:80]!r}: {text[:20]!r} is not a number.") from None
