"""`enthesis screen`: what to read next, what was decided and why, how much a ranking saves, and when one may stop."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from enthesis.cli.printing import plain, print_table, progress, working, writable, write_text
from enthesis.cli.records import evidence_of, print_json

app = typer.Typer(
    no_args_is_help=True, help="Screen records: what to read next, decisions as facts, recall and effort."
)

StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store", envvar="ENTHESIS_STORE", help="SQLite file or postgresql:// URL.", show_default="user data folder"
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON to standard output.")]
ReviewerOption = Annotated[
    str | None, typer.Option(help="Who decides.", envvar="ENTHESIS_REVIEWER", show_default="the name of the user")
]
QueueStage = Literal["title-abstract", "retrieval", "full-text"]
StageOption = Annotated[QueueStage, typer.Option(help="Stage of the screening.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Check and report; store nothing.")]


@app.command("next")
def next_records(
    number: Annotated[int, typer.Option(min=1, max=10_000, help="How many records to show.")] = 10,
    stage: StageOption = "title-abstract",
    reviewer: Annotated[
        str | None, typer.Option(help="Records that this reviewer has not decided on.", show_default="nobody has")
    ] = None,
    random: Annotated[bool, typer.Option("--random", help="Draw at random instead of by rank.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of the draw.")] = 0,
    abstracts: Annotated[bool, typer.Option("--abstracts", help="Show the abstracts too.")] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the records to read next, those most like the included ones first.

    The model learns from the decisions on title and abstract. A random draw is what allows a statement about the
    records that nobody reads: decide on it with --chosen random.

    Example: enthesis screen next --number 20 --store review.sqlite
    """
    from random import Random

    from enthesis.assess.screening import rank, words_of
    from enthesis.evidence.screening import queue, screened

    evidence, where = evidence_of(store)
    with working("Ranking records"):
        waiting = {r.id: r for r in queue(evidence, stage=stage, reviewer=reviewer or "")}
        labels, texts = _decided(screened(evidence))
        if random:
            drawn = Random(seed).sample(sorted(waiting), min(number, len(waiting)))
            order, told = [(id, math.nan) for id in drawn], f"Drawn at random from {len(waiting)} (seed {seed})."
            trained = (0, 0)
        else:
            ranked = rank({id: words_of(r.cells) for id, r in waiting.items()}, labels, texts)
            order, told, trained = ranked.order[:number], ranked.told, ranked.trained_on
    shown = [_shown(waiting[id].cells, score) for id, score in order]
    if as_json:
        print_json({"store": where, "stage": stage, "waiting": len(waiting), "told": told, "included": trained[0],
                    "excluded": trained[1], "chosen": "random" if random else "ranked", "records": shown})  # fmt: skip
        return
    columns = ["record_id", "score", "year", "title", "journal"]
    print_table(where, columns, [[record[c] for c in columns] for record in shown])
    if abstracts:
        for record in shown:
            print(plain(f"{record['record_id']}: {record['title']}\n{record['abstract'] or 'no abstract'}\n"))
    wait = "1 record waits" if len(waiting) == 1 else f"{len(waiting)} records wait"
    print(f"{wait} for a decision. {told}")


@app.command()
def decide(
    record: Annotated[str, typer.Argument(metavar="RECORD", help="record_id, such as pubmed:12345.")],
    decision: Annotated[
        Literal["include", "exclude", "unclear", "duplicate", "distinct", "retrieved", "not-retrieved", "report-of"],
        typer.Argument(metavar="DECISION", help="include, exclude, unclear; or the words of other stages."),
    ],
    reason: Annotated[str, typer.Option(help="Why, in words.", show_default="the word of --exclusion")] = "",
    stage: Annotated[
        Literal["duplicate", "automatic", "title-abstract", "retrieval", "full-text", "study"],
        typer.Option(help="Stage of the screening."),
    ] = "title-abstract",
    exclusion: Annotated[
        Literal[
            "",
            "population",
            "intervention",
            "comparator",
            "outcome",
            "study-design",
            "no-results",
            "publication-type",
            "duplicate-publication",
            "language",
            "retracted",
            "other",
        ],
        typer.Option(help="Reason of an exclusion, by its word; needed at full text."),
    ] = "",
    of: Annotated[str, typer.Option(help="The record that is kept, or the study.", show_default="none")] = "",
    chosen: Annotated[
        Literal["", "ranked", "random"], typer.Option(help="How the record came up.", show_default="not stated")
    ] = "",
    reviewer: ReviewerOption = None,
    store: StoreOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Record a decision, with its author and reason; the same reviewer's earlier one is superseded.

    When two reviewers differ, the decision of the reviewer `consensus` counts.

    Example: enthesis screen decide pubmed:12345 exclude --exclusion population --reason "rheumatoid arthritis only"
    """  # fmt: skip
    from enthesis.errors import UsageError
    from enthesis.evidence.screening import decide as record_decision

    reason = reason or exclusion.replace("-", " ")
    if not reason:
        if decision in ("exclude", "not-retrieved"):
            raise UsageError("say why with --reason, or with --exclusion and one of its words.")
        reason = f"judged {decision} from the record"
    with _writing(store) as place:
        fact = record_decision(
            place, record, decision, reviewer=_name(reviewer), reason=reason, stage=stage, exclusion=exclusion, of=of,
            chosen=chosen, dry_run=dry_run,
        )  # fmt: skip
        where = place.name
    told = {"store": where, "dry_run": dry_run, "record": record, "stage": stage, "decision": decision, "fact": fact}
    if as_json:
        print_json(told)
    else:
        print(plain(f"{record}, {stage}: {decision} ({reason})" + ("; dry run, not stored" if dry_run else "")))


@app.command()
def curve(
    seed: Annotated[int, typer.Option(help="Seed of the folds and of the bootstrap.")] = 0,
    figure: Annotated[
        Path | None, typer.Option(help="Draw the curve: .svg, .png or .html.", show_default=False)
    ] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Recall against effort on held-back decisions, the work it saves, and what may be said of unread records.

    Example: enthesis screen curve --figure recall.svg --store review.sqlite
    """
    from enthesis.assess.screening import curve as recall_curve
    from enthesis.assess.screening import stopping
    from enthesis.errors import UsageError
    from enthesis.evidence.screening import queue, screened

    if figure is not None:
        writable(figure)
    evidence, where = evidence_of(store)
    found = screened(evidence)
    labels, texts = _decided(found)
    with working("Holding decisions back"):
        try:
            drawn, problem = recall_curve(labels, texts, seed=seed), ""
        except UsageError as stop:
            drawn, problem = None, str(stop)
    unread = len(queue(evidence))
    stop = stopping(unread, sum(labels.values()), _random_sample(evidence, labels))
    if figure is not None:
        if drawn is None:
            raise UsageError(f"there is no curve to draw: {problem}")
        _draw(drawn, figure)
    if as_json:
        print_json({"store": where, "curve": _curve_json(drawn), "problem": problem, "stopping": vars(stop)})
        return
    if drawn is None:
        print(plain(problem))
    else:
        _print_curve(drawn)
        for line in drawn.told:
            print(line)
    print(f"Stopping: {stop.told}")


@app.command()
def export(
    out: Annotated[Path, typer.Argument(help="File to write: .csv or .ris, as ASReview reads them.")],
    undecided: Annotated[bool, typer.Option("--undecided", help="Only records without a settled decision.")] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write records with their labels (included: 1, 0, or empty) for ASReview.

    Example: enthesis screen export records.csv --store review.sqlite
    """
    from enthesis.errors import UsageError
    from enthesis.evidence.screening import labels_of, screened, write_csv
    from enthesis.evidence.sources import ris

    writable(out)
    evidence, where = evidence_of(store)
    records = [r for r in screened(evidence) if not r.duplicate]
    labels = labels_of(records)
    records = [r for r in records if not (undecided and r.id in labels)]
    if out.suffix.lower() == ".csv":
        text = write_csv(records, labels)
    elif out.suffix.lower() == ".ris":
        text = ris.write([r.cells for r in records], labels=labels)
    else:
        raise UsageError(f"{plain(out)!r} must end in .csv or .ris: the ending says what is written.")
    write_text(out, text)
    told = {"store": where, "file": str(out), "records": len(records), "labelled": sum(r.id in labels for r in records)}
    if as_json:
        print_json(told)
    else:
        print(plain(f"{told['records']} records, {told['labelled']} with a label, written to {out}"))


@app.command("import")
def import_labels(
    file: Annotated[Path, typer.Argument(help="File that ASReview exported: .csv or .ris.")],
    reviewer: ReviewerOption = None,
    store: StoreOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Import the labels of an ASReview project as decisions on title and abstract.

    Records are matched by record_id, PMID, DOI or title; what matches none is told.

    Example: enthesis screen import asreview_result.csv --reviewer "A. Reader" --store review.sqlite
    """
    from enthesis.cli.importing.options import source_bytes
    from enthesis.evidence.screening import decide_many, read_labels

    name = _name(reviewer)
    content = source_bytes(file, 128 * 2**20)
    with _writing(store) as place, progress("Storing decisions") as step:
        step(0, 1, "Matching records")
        labels = read_labels(content, file.name, place.evidence())
        stored = decide_many(place, labels, content, file.name, reviewer=name, dry_run=dry_run)
        where = place.name
    told: dict[str, Any] = {
        "store": where, "dry_run": dry_run, "labels": len(labels.found), "stored": stored.stored,
        "superseded": stored.superseded, "unchanged": stored.unchanged, "unlabelled": labels.unlabelled,
        "unmatched": list(labels.unmatched),
    }  # fmt: skip
    if as_json:
        print_json(told)
    else:
        print(f"{told['labels']} labels: {told['stored']} new decisions, {told['superseded']} changed, "
              f"{told['unchanged']} known; {told['unlabelled']} records without a label.")  # fmt: skip
        for title in labels.unmatched[:20]:
            print(plain(f"no record matches: {title}"))
    if labels.unmatched:
        raise typer.Exit(3)


def _decided(found: Any) -> tuple[dict[str, bool], dict[str, str]]:
    from enthesis.assess.screening import words_of

    settled = {
        r.id: r.verdicts["title-abstract"] == "include"
        for r in found
        if r.verdicts.get("title-abstract") in ("include", "exclude") and not r.duplicate
    }
    return settled, {r.id: words_of(r.cells) for r in found if r.id in settled}


def _random_sample(evidence: Any, labels: dict[str, bool]) -> list[bool]:
    """Settled decisions on records that were drawn at random after the last one that was not."""
    lines = [
        (fact.id, fact.cells()) for fact in evidence.facts
        if fact.table == "decisions" and fact.cells()["stage"] == "title-abstract" and fact.cells()["subject"] in labels
    ]  # fmt: skip
    last = max((id for id, cells in lines if cells.get("chosen") != "random"), default=0)
    drawn = {cells["subject"] for id, cells in lines if cells.get("chosen") == "random" and id > last}
    return [labels[record] for record in sorted(drawn)]


def _shown(cells: Any, score: float) -> dict[str, Any]:
    columns = ("record_id", "title", "abstract", "authors", "year", "journal", "doi", "pmid", "nct_id", "url")
    return {**{c: cells.get(c, "") for c in columns}, "score": None if math.isnan(score) else round(score, 4)}


def _draw(drawn: Any, path: Path) -> None:
    import pandas as pd

    from enthesis.report.figure_file import save_figure
    from enthesis.report.plots import recall_curve

    table = pd.DataFrame({name: getattr(drawn, name) for name in ("effort", "recall", "lower", "upper")})
    words = recall_curve.alt_text(table)
    save_figure(lambda: recall_curve.chart(table), path, words=words, title="Recall against effort")


def _print_curve(drawn: Any) -> None:
    def shown(i: int) -> list[str]:
        return [f"{x[i]:.0%}" for x in (drawn.effort, drawn.recall, drawn.lower, drawn.upper)]

    title = f"{drawn.included} included, {drawn.excluded} excluded records; lower and upper: 95 % interval"
    print_table(title, ["read", "found", "lower", "upper"], [shown(i) for i in (10, 20, 30, 50, 75, 100)])
    print(
        f"Work saved at 95 % recall: {drawn.wss95:.2f} ({drawn.wss95_lower:.2f} to {drawn.wss95_upper:.2f}); share to "
        f"read {drawn.effort95:.0%} ({drawn.effort95_lower:.0%} to {drawn.effort95_upper:.0%})."
    )


def _curve_json(drawn: Any) -> dict[str, Any] | None:
    if drawn is None:
        return None
    told = dict(vars(drawn))
    return {key: value.tolist() if hasattr(value, "tolist") else value for key, value in told.items()}


def _name(reviewer: str | None) -> str:
    import getpass

    from enthesis.errors import UsageError

    if reviewer is not None and reviewer.strip():
        return reviewer.strip()
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        raise UsageError("say who decides with --reviewer, or set ENTHESIS_REVIEWER.") from None


def _writing(store: str | None) -> Any:
    from enthesis.evidence import Store, default_place

    return Store.open(store or default_place(), create=False)
