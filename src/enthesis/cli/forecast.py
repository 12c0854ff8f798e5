"""`enthesis forecast`: what trials under way may change, kept, and scored when they report."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from enthesis.cli.printing import plain, print_table, progress

app = typer.Typer(add_completion=False)


@app.command()
def forecast(
    name: Annotated[str, typer.Argument(metavar="REVIEW", help="A bundled review, such as axspa, or a folder.")],
    store: Annotated[
        str | None,
        typer.Option(
            "--store",
            envvar="ENTHESIS_STORE",
            help="SQLite file or postgresql:// URL.",
            show_default="the evidence of the review",
        ),
    ] = None,
    save: Annotated[bool, typer.Option("--save", help="Keep the forecasts in the store, to score them later.")] = False,
    score: Annotated[
        bool, typer.Option("--score", help="Score the kept forecasts whose trials have reported, instead.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON to standard output.")] = False,
) -> None:
    """Tell which trials may change which conclusion, and how large a new one must be.

    Every registered trial in the table of ongoing trials is answered: forecast, or the reason why not.

    Example: enthesis forecast axspa --store axspa.sqlite --save
    """
    from enthesis.errors import UsageError
    from enthesis.evidence import Store

    if (save or score) and not store:
        raise UsageError("--save and --score need --store: the evidence of the package cannot be written to.")
    if save and score:
        raise UsageError("name --save or --score, not both.")
    if store is None:
        told = _forecast(name, None, score=False)[0]
    else:
        with Store.open(store, create=False) as opened:
            told, rows = _forecast(name, opened.evidence(), score=score)
            if save:
                told["kept"] = _keep(opened, rows)
    if as_json:
        print(json.dumps(told, ensure_ascii=False, indent=2, allow_nan=False))
    elif score:
        _print_scores(told["scores"])
    else:
        _print(told)


def _forecast(name: str, evidence: Any, *, score: bool) -> tuple[dict[str, Any], list[dict[str, str]]]:
    from datetime import UTC, datetime

    from enthesis.assess.conclusions import read_conclusions
    from enthesis.assess.forecast import read_settings
    from enthesis.assess.forecast_score import rows_to_keep, scores
    from enthesis.errors import UsageError
    from enthesis.estimands import plain as plain_values
    from enthesis.living.review import Review, cores, run_review
    from enthesis.report.forecast import as_json

    review = Review.load(name)
    missing = [f for f in ("forecast.toml", "conclusions.toml") if not (review.folder / f).is_file()]
    if missing:
        raise UsageError(f"the review {review.id} has no {' and no '.join(missing)}: nothing to forecast.")
    settings = read_settings(review.folder / "forecast.toml")
    asked = {t.question for t in (*settings.trial, *settings.comparison)}
    asked |= {c.question for c in read_conclusions(review.folder / "conclusions.toml") if c.question}
    asked |= {settings.value.question} if settings.value else set()
    asked &= {q.id for q in review.questions}
    parts = ("conclusions",) if score else ("conclusions", "forecast")
    with progress("Forecasting") as step:
        run = run_review(review, only=sorted(asked), evidence=evidence, workers=cores(), parts=parts, progress=step)
    if score:
        return plain_values({"review": review.id, "scores": scores(run)}), []
    if "forecast" in run.part_problems:
        raise UsageError(run.part_problems["forecast"])
    value = run.parts["forecast"]
    told = plain_values({"review": review.id, "snapshot": run.evidence.content_hash, **as_json(value, run)["forecast"]})
    return told, rows_to_keep(value, run, datetime.now(UTC).date().isoformat())


def _keep(store: Any, rows: list[dict[str, str]]) -> dict[str, int]:
    """Store forecasts that are not there yet; the same trial, conclusion and evidence are kept once."""
    from enthesis.evidence.store import checked

    kept = unchanged = 0
    with store.writing(extractor="enthesis forecast") as writer:
        known = {fact.key for fact in writer.current("forecasts")}
        for cells in rows:
            row = checked("forecasts", cells)
            if row.key in known:
                unchanged += 1
            else:
                writer.append(row)
                kept += 1
    return {"stored": kept, "unchanged": unchanged}


def _print(told: dict[str, Any]) -> None:
    rows = []
    for t in told["trials"]:
        for m in t["moved"]:
            rows.append([t["label"], m["conclusion"], f"{m['probability']:.3f}", m["state"],
                         f"{m['lower']:.3f} to {m['upper']:.3f}", f"{100 * m['flips']:.1f} %"])  # fmt: skip
        if t["problem"]:
            rows.append([t["label"], "", "", "", t["problem"], ""])
    print_table("Trials under way", ["trial", "conclusion", "now", "state", "after it (90 %)", "changes"], rows)
    print_table(
        "A new trial",
        ["treatment", "comparator", "question", "P(better)", "size"],
        [[s["treatment"], s["comparator"], s["question"], f"{s['now']:.3f}", s["words"]] for s in told["sizes"]],
    )
    best = told["value"]["rows"][:5]
    print_table(f"Most valuable new trials, {told['value']['question']}",
                ["treatment", "comparator", "patients", "responders gained per 1,000", "decided after"],
                [[r["treatment"], r["comparator"], r["patients"], f"{1000 * r['value']:.1f}",
                  f"{100 * r['decides']:.0f} %"] for r in best])  # fmt: skip
    print(f"{len(told['skipped'])} registered trials without a forecast; --json says why")
    for problem in told["problems"]:
        print(plain(problem))
    if "kept" in told:
        print(f"{told['kept']['stored']} forecasts kept, {told['kept']['unchanged']} were there")


def _print_scores(scores: list[dict[str, Any]]) -> None:
    if not scores:
        print("no forecasts are kept in this store")
    rows = [
        [s["label"] or s["nct_id"], s["made_on"], s["conclusion"] or "", s.get("why_not") or "",
         "" if s.get("z") is None else f"{s['z']:.2f}", "" if s.get("brier") is None else f"{s['brier']:.3f}"]
        for s in scores
    ]  # fmt: skip
    print_table("Forecasts", ["trial", "made on", "conclusion", "not scored because", "z of effect", "Brier"], rows)
