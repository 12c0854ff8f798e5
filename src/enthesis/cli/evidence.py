"""`enthesis evidence`: load tables into a store, and look at what it holds.

The store is `--store`, else the environment variable ENTHESIS_STORE, else a file in the user's data folder. While that
file does not exist, the commands that only read show the evidence that ships with enthesis.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from enthesis.cli.printing import plain, print_table

if TYPE_CHECKING:
    from enthesis.evidence import Evidence, LoadReport

app = typer.Typer(no_args_is_help=True, help="Load published results into a store and see what is behind each number.")

StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store", envvar="ENTHESIS_STORE", help="SQLite file or postgresql:// URL.", show_default="user data folder"
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON to standard output.")]


@app.command()
def load(
    folder: Annotated[
        Path | None, typer.Argument(help="Folder of CSV tables.", show_default="the bundled axSpA evidence")
    ] = None,
    store: StoreOption = None,
    extractor: Annotated[str | None, typer.Option(help="Who or what took the rows out of their sources.")] = None,
    partial: Annotated[bool, typer.Option("--partial", help="Store good rows although others are rejected.")] = False,
    withdraw_missing: Annotated[
        bool, typer.Option("--withdraw-missing", help="Withdraw rows that are gone from the files.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Load every CSV table of a folder: all rows or, when one cannot be stored, none.

    Loading the same folder again stores nothing. A changed row supersedes the old one, which stays visible at the old
    snapshots. Example: enthesis evidence load my-review/evidence --store my-review.sqlite
    """
    from enthesis.evidence import RowsRejected, Store, bundled_folder, default_place, load_tables
    from enthesis.evidence.sources.tables import EXTRACTOR

    with Store.open(store or default_place()) as opened, _progress() as progress:
        try:
            report = load_tables(
                opened,
                folder or bundled_folder(),
                extractor=extractor or EXTRACTOR,
                partial=partial,
                withdraw_missing=withdraw_missing,
                progress=progress,
            )
        except RowsRejected as rejected:
            _print_load(rejected.report, opened.name, stored=False, as_json=as_json)
            raise
        _print_load(report, opened.name, stored=True, as_json=as_json)
    if report.rejected:
        raise typer.Exit(3)


@app.command()
def summary(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Say what the store holds: rows by table, studies, treatments, outcomes, eligibility, snapshots.

    Example: enthesis evidence summary --store my-review.sqlite
    """
    evidence, where, snapshots = shown_evidence(store)
    found = _summary(evidence)
    told = {"store": where, "snapshot": evidence.snapshot.to_dict(), "snapshots": snapshots, **found}
    if as_json:
        _print_json(told)
        return
    newest = "the only one" if snapshots == 1 else f"the newest of {snapshots}"
    print(plain(f"{where}: snapshot {evidence.snapshot.number}, {newest}, hash {evidence.content_hash[:16]}"))
    print_table("Rows", ["table", "rows"], [[name, count] for name, count in found["rows"].items()])
    for title in ("studies_by_design", "results_by_measure", "results_by_check", "results_by_use"):
        print_table(title.replace("_", " "), [title.split("_by_")[1], "rows"], list(map(list, found[title].items())))
    print(f"{found['treatments']} treatments, {found['drug_classes']} classes, {found['outcomes']} outcomes")


@app.command()
def show(
    study: Annotated[str, typer.Argument(help="study_id, such as SELECT-AXIS-1.")],
    outcome: Annotated[str | None, typer.Option(help="Only this outcome, such as ASAS40.")] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a study: its arms, every result with its name for `explain`, its eligibility and its documents.

    Example: enthesis evidence show SELECT-AXIS-1 --outcome ASAS40
    """
    from enthesis.errors import unknown_name

    evidence, _, _ = shown_evidence(store)
    studies = evidence.studies
    if study not in set(studies.study_id):
        raise unknown_name("study", study, studies.study_id)
    told = _study(evidence, study, outcome)
    if as_json:
        _print_json(told)
        return
    print(plain(f"{study}: {told['study']['title']}"))
    _print_cells({key: value for key, value in told["study"].items() if key not in {"study_id", "title"}})
    _print_frame(
        "Arms", told["arms"], ["arm_id", "treatment", "drug_class", "dose", "dose_unit", "frequency", "n_randomised"]
    )
    columns = ["result_id", "arm_id", "subgroup", "outcome", "week", "events", "n", "percent", "mean", "sd", "se"]
    _print_frame(
        "Results", told["outcomes"], [*columns, "rate_per_100py", "estimator", "source_id", "preferred", "use"]
    )
    contrast_columns = ["result_id", "arm_id", "comparator_arm_id", "outcome", "week", "effect", "estimate"]
    _print_frame("Contrasts", told["contrasts"], [*contrast_columns, "ci_low", "ci_high", "source_id", "use"])
    _print_frame(
        "Eligibility", told["curation"], ["study_id", "arm_id", "outcome", "source_id", "use", "reason", "author"]
    )
    _print_frame("Risk of bias", told["rob"], ["outcome_family", "overall", "judged_by", "reason"])
    _print_frame("Documents", told["sources"], ["source_id", "kind", "year", "title", "url"])


@app.command()
def explain(
    result_id: Annotated[
        str, typer.Argument(metavar="RESULT-ID", help="R-..., C-..., 'outcomes.csv:row 12', 'fact 12'.")
    ],
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell everything behind a number: the row as printed, where it was read, who took it out, what it replaced.

    Example: enthesis evidence explain 'outcomes.csv:row 12'
    """
    evidence, _, _ = shown_evidence(store)
    told = evidence.explain(result_id)
    if as_json:
        _print_json(told)
        return
    print(plain(f"{told['result_id']} ({told['table']}), use: {told['use']}"))
    _print_cells(told["row"])
    fact = told["fact"]
    _print_cells(
        {f"fact.{key}": fact[key] for key in ("id", "extractor", "recorded_at", "file", "file_row", "document")}
    )
    for earlier in fact["supersedes"]:
        print(plain(f"supersedes fact {earlier['id']} of {earlier['recorded_at']} ({earlier['why']}):"))
        _print_cells({key: f"{before} -> {after}" for key, (before, after) in earlier["changed"].items()})
    for document in told["sources"]:
        _print_cells({f"source.{key}": value for key, value in document.items()})
    for line in told["curation"]:
        print(plain(f"eligibility: {line['use']}, {line['reason']} ({line['author']}, {line['recorded_at']})"))
    for line in told["risk_of_bias"]:
        print(plain(f"risk of bias, {line['outcome_family']}: {line['overall']}, {line['reason']}"))


def shown_evidence(store: str | None) -> tuple[Evidence, str, int]:
    """(evidence, name of the store, number of snapshots); the bundled evidence while no store was named or made."""
    from enthesis.evidence import Store, bundled_evidence, default_place

    where = store or default_place()
    if not store and "://" not in where and not Path(where).exists():
        print(f"No store at {where} yet: showing the evidence that ships with enthesis.", file=sys.stderr)
        return bundled_evidence(), "bundled", 1
    with Store.open(where, create=False) as opened:
        return opened.evidence(), opened.name, len(opened.snapshots())


def _summary(evidence: Evidence) -> dict[str, Any]:
    outcomes, studies, arms = evidence.outcomes, evidence.studies, evidence.arms

    def counted(values: Any) -> dict[str, int]:
        return {str(key): int(count) for key, count in values.value_counts().items()}

    return {
        "rows": {name: len(evidence.table(name)) for name in evidence.tables},
        "treatments": int(arms.treatment.nunique()),
        "drug_classes": int(arms.drug_class.nunique()),
        "outcomes": int(outcomes.outcome.nunique()),
        "studies_by_design": counted(studies.design),
        "results_by_measure": counted(outcomes.measure),
        "results_by_check": counted(outcomes.check),
        "results_by_use": counted(evidence.eligibility().use),
    }


def _study(evidence: Evidence, study: str, outcome: str | None) -> dict[str, Any]:
    def rows(name: str) -> list[dict[str, Any]]:
        frame = evidence.table(name)
        if name in ("outcomes", "contrasts"):
            frame = frame.assign(use=evidence.eligibility(name).use.to_numpy())
            if outcome is not None:
                frame = frame[frame.outcome == outcome]
        return _records(frame[frame.study_id == study])

    found = {name: rows(name) for name in ("arms", "outcomes", "contrasts", "rob")}
    applying = {fact.id for row in found["outcomes"] for fact in evidence.curation_applying(row)}
    curation = evidence.curation
    found["curation"] = _records(curation[(curation.study_id == study) | curation.fact_id.isin(applying)])
    named = {row["source_id"] for name in ("arms", "outcomes", "contrasts") for row in found[name]}
    record = rows("studies")[0]
    wanted = {part.strip() for text in [*named, record["source_id"]] for part in text.split(";")}
    sources = evidence.sources
    return {"study": record, **found, "sources": _records(sources[sources.source_id.isin(wanted)])}


def _records(frame: Any) -> list[dict[str, Any]]:
    """Rows as plain values for JSON: NaN is None, whole numbers are integers."""
    return [{str(key): _value(value) for key, value in row.items()} for row in frame.to_dict("records")]


def _value(value: Any) -> Any:
    if isinstance(value, float):
        return None if value != value else int(value) if value == int(value) else value
    return value


# Printing


def _print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False))


def _print_load(report: LoadReport, where: str, *, stored: bool, as_json: bool) -> None:
    if as_json:
        _print_json({"store": where, "committed": stored, **report.to_dict()})
        return
    names = ["read", "stored", "unchanged", "superseded", "rejected_rows", "withdrawn"]
    rows = [[table.name, *(getattr(table, name) for name in names)] for table in report.tables]
    print_table(where, ["table", *names], [*rows, ["total", *(report.total(name) for name in names)]])
    for item in report.rejected[:50]:
        print(plain(f"rejected: {item}"), file=sys.stderr)
    if len(report.rejected) > 50:
        print(f"and {len(report.rejected) - 50} more rejected cells (all of them with --json)", file=sys.stderr)
    for note in [*(note for table in report.tables for note in table.notes), *report.notes]:
        print(plain(f"note: {note}"), file=sys.stderr)
    if stored:
        print(f"snapshot {report.snapshot.number}, hash {report.snapshot.content_hash[:16]}")


def _print_frame(title: str, rows: list[dict[str, Any]], columns: list[str]) -> None:
    used = [column for column in columns if any(row.get(column) not in (None, "") for row in rows)]
    if rows and used:
        print_table(title, used, [[row.get(column) for column in used] for row in rows])


def _print_cells(cells: dict[str, Any]) -> None:
    for key, value in cells.items():
        if value not in (None, ""):
            print(plain(f"  {key}: {value}"))


class _progress:
    """A progress bar on standard error, shown when that is a terminal."""

    def __enter__(self) -> _progress:
        from rich.console import Console
        from rich.progress import Progress

        self._bar = Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())
        self._bar.start()
        self._task = self._bar.add_task("Reading tables", total=None)
        return self

    def __call__(self, table: str, done: int, total: int) -> None:
        self._bar.update(self._task, completed=done, total=total, description=f"Reading {table}" if table else "Stored")

    def __exit__(self, *_: object) -> None:
        self._bar.stop()
