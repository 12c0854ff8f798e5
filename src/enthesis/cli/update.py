"""`enthesis update`: run a review again on the newest evidence of a store, and say what changed."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from enthesis.cli.printing import plain, print_table, progress

app = typer.Typer(add_completion=False)


@app.command()
def update(
    name: Annotated[str, typer.Argument(metavar="REVIEW", help="A bundled review, such as axspa, or a folder.")],
    store: Annotated[
        str | None,
        typer.Option(
            "--store",
            envvar="ENTHESIS_STORE",
            help="SQLite file or postgresql:// URL.",
            show_default="user data folder",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for report.html and results.json; none without.")] = None,
    feed: Annotated[
        Path | None, typer.Option(help="Folder for feed.atom, feed.rss and feed.json: what changed, run by run.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be computed.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON to standard output.")] = False,
) -> None:
    """Compute what new evidence touches, use the rest again, and record the run.

    An update that was interrupted is started again in the same way and goes on where it was. Exit codes: 0 fine,
    4 a conclusion of the review flipped against the last recorded run.

    Example: enthesis update axspa --store axspa.sqlite --out axspa-report
    """
    from enthesis.errors import UsageError
    from enthesis.evidence import Store, default_place
    from enthesis.living.feeds import write_feeds
    from enthesis.living.history import History, living_folder
    from enthesis.living.review import Review, cores
    from enthesis.living.update import update as updated

    for folder in (out, feed):
        if folder is not None and folder.exists() and not folder.is_dir():
            raise UsageError(f"{plain(folder)!r} is a file: name a folder.")
    review = Review.load(name)
    with Store.open(store or default_place(), create=False) as opened, progress("Updating") as step:
        done = updated(review, opened, out, dry_run=dry_run, workers=cores(), progress=step)
        if feed is not None and not dry_run:
            write_feeds(review, History(living_folder(opened.name)).records(review.id), feed)
    told = _told(done, out)
    if as_json:
        print(json.dumps(told, ensure_ascii=False, indent=2, allow_nan=False))
    else:
        _print(told)
    if told["flips"]:
        raise typer.Exit(4)


def _told(done: Any, out: Path | None) -> dict[str, Any]:
    from enthesis.estimands import plain as plain_values
    from enthesis.report.conclusions import record

    return plain_values(
        {
            "review": done.review.id,
            "snapshot": done.evidence.snapshot.to_dict(),
            "before": done.before.number if done.before else None,
            "run": done.record.number if done.record else None,
            "recorded": done.recorded,
            "seconds": round(done.run.seconds, 1) if done.run else None,
            "report": str((out / "report.html").resolve()) if out and done.run else None,
            "summary": done.sentences(),
            "log": [asdict(line) for line in done.log],
            "parts": [{"part": name, "state": state} for name, state in done.parts],
            "flips": [record(r) for r in done.flips],
            "near": [record(r) for r in done.nearly],
        }
    )


def _print(told: dict[str, Any]) -> None:
    lines = [line for line in told["log"] if line["fits"] or line["state"] != "reused"]
    print_table(
        f"Review {told['review']}", ["question", "state", "fits", "why"],
        [[line["question"], line["state"], line["fits"], line["why"]] for line in lines],
    )  # fmt: skip
    print_table("Parts", ["part", "state"], [[p["part"], p["state"]] for p in told["parts"]])
    print(plain(told["summary"]))
    for conclusion in told["flips"]:
        print(plain(f"flipped: {conclusion['id']}: {conclusion['statement']}"), file=sys.stderr)
    if told["near"]:
        print("near to a change: " + ", ".join(c["id"] for c in told["near"]))
    if told["recorded"]:
        print(f"recorded as run {told['run']}")
    if told["report"]:
        print(plain(f"The report is at {told['report']}"))
