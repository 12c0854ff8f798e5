"""`enthesis import ctgov` and its companions: records of ClinicalTrials.gov, from files or from the registry.

One record prints one JSON object, several print a list of them. What a person has to decide is listed by
`ctgov-questions` and answered by `ctgov-answer`; an answer is a fact and holds at every later import.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from enthesis.cli.printing import plain, print_table, progress, write_text

if TYPE_CHECKING:
    from enthesis.evidence.sources.ctgov.posted import Parsed

StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store", envvar="ENTHESIS_STORE", help="SQLite file or postgresql:// URL.", show_default="user data folder"
    ),
]
JsonOption = Annotated[
    str | None, typer.Option("--json", metavar="FILE|-", help="Write the result as JSON; - is standard output.")
]
AddressOption = Annotated[
    str | None,
    typer.Option(
        "--address", envvar="ENTHESIS_CTGOV", help="Address of the registry's API.", show_default="ClinicalTrials.gov"
    ),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Read and report; store nothing.")]


def ctgov(
    records: Annotated[list[str], typer.Argument(metavar="FILE|NCT...", help="JSON files or NCT numbers.")],
    store: StoreOption = None,
    study: Annotated[str, typer.Option(help="study_id, when the store has several studies of the number.")] = "",
    population: Annotated[
        str, typer.Option(help="Population of a new study, when the record does not say it clearly.")
    ] = "",
    refetch: Annotated[bool, typer.Option("--refetch", help="Fetch also records that did not change.")] = False,
    address: AddressOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = None,
) -> None:
    """Import registry records: every number becomes a fact with its place, or is reported with the reason.

    The bytes are kept first; a second import adds nothing; a changed record supersedes. Each record is stored by
    itself, so an interrupted import goes on where it stopped.
    Example: enthesis import ctgov NCT02552212.json --dry-run --json -
    """
    from enthesis.errors import EnthesisError, UsageError
    from enthesis.evidence import Store, default_place
    from enthesis.evidence.sources.ctgov.keep import import_bytes, preview

    place = store or default_place()
    parsed: list[Parsed] = []
    failed: list[str] = []
    fetching = _Fetching(address, [r for r in records if not _is_file(r)], refetch=refetch)
    if population and len(records) > 1:
        raise UsageError("--population is about one study: import that record by itself.")
    with progress("Importing") as step:
        opened = None if dry_run and not _exists(place) else Store.open(place, create=not dry_run)
        try:
            for done, one in enumerate(records):
                step(done, len(records), one[:60])
                try:
                    content, name = fetching.content(one, opened)
                    if dry_run or opened is None:
                        parsed += preview(content, name, opened, study=study)
                        continue
                    for kept in import_bytes(opened, content, name, study=study, population=population):
                        parsed.append(kept.parsed)
                        print(plain(kept.sentence()), file=sys.stderr)
                except (EnthesisError, OSError) as problem:
                    if len(records) == 1:
                        raise
                    failed.append(f"{one[:80]}: {problem}")
            step(len(records), len(records), "")
        finally:
            if opened is not None:
                opened.close()
    _printed(parsed, as_json, one=len(records) == 1)
    for line in failed:
        print(plain(f"not imported: {line}"), file=sys.stderr)
    if failed:
        raise typer.Exit(3)


class _Fetching:
    """The bytes of files and of records of the registry; a record that did not change is not fetched again."""

    def __init__(self, address: str | None, numbers: list[str], *, refetch: bool) -> None:
        self._address, self._numbers, self._refetch = address, numbers, refetch
        self._client: Any = None
        self._stamp = ""
        self._updates: dict[str, str] = {}

    def content(self, one: str, opened: Any) -> tuple[bytes, str]:
        """The bytes and the name of a file or of a record."""
        from enthesis.evidence.sources.ctgov.registry import fetch, number, stored

        if _is_file(one):
            return _read(Path(one))
        nct_id = number(one)
        self._begin()
        old = stored(opened, nct_id) if opened is not None and not self._refetch and self._updates else None
        if old is not None and old[1] and old[1] == self._updates.get(nct_id):
            print(f"{nct_id}: not updated since {old[1]}, read again as it is stored", file=sys.stderr)
            return old[0], f"{nct_id}.json"
        fetched = fetch(self._client, nct_id, stamp=self._stamp)
        if fetched.nct_id != fetched.asked:
            print(f"{fetched.asked} is now {fetched.nct_id}", file=sys.stderr)
        return fetched.content, fetched.name

    def _begin(self) -> None:
        from enthesis.evidence.sources.ctgov.registry import data_timestamp, registry, updates

        if self._client is None:
            client = registry(self._address)
            self._stamp = data_timestamp(client)
            if len(self._numbers) > 1 and not self._refetch:
                self._updates = updates(client, self._numbers)
            self._client = client


def _is_file(one: str) -> bool:
    return Path(one).exists() or not one.strip().upper().startswith("NCT") or one.lower().endswith(".json")


def _exists(place: str) -> bool:
    return "://" in place or Path(place).exists()


def _read(path: Path) -> tuple[bytes, str]:
    from enthesis.errors import DataError
    from enthesis.evidence.sources.ctgov.record import MAX_BYTES

    if path.is_dir():
        raise DataError("is a folder; name a file in it", file=str(path))
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        size = path.stat().st_size / 2**20
        raise DataError(f"has {size:.0f} MB; a record has at most {MAX_BYTES // 2**20} MB", file=path.name)
    return content, path.name


def _printed(parsed: list[Parsed], as_json: str | None, *, one: bool) -> None:
    if as_json is not None:
        told = [record.to_dict() for record in parsed]
        _json(told[0] if one and len(told) == 1 else told, as_json)
        return
    rows = [[r.nct_id, r.study["study_id"], len(r.arms), len(r.facts), len(r.unparsed), len(r.review)] for r in parsed]
    print_table("Records", ["record", "study", "arms", "facts", "unparsed", "questions"], rows)


def _json(value: object, where: str) -> None:
    text = json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False)
    if where == "-":
        print(text)
    else:
        write_text(Path(where), text + "\n")


def search(
    condition: Annotated[str, typer.Option(help="Condition, in the registry's words for searching.")] = "",
    intervention: Annotated[str, typer.Option(help="Intervention.")] = "",
    store: StoreOption = None,
    address: AddressOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = None,
) -> None:
    """Search the registry: which records are new or updated since the last look.

    Example: enthesis import ctgov-search --condition "axial spondyloarthritis" --intervention upadacitinib
    """
    from enthesis.evidence import Store, default_place
    from enthesis.evidence.sources.ctgov.registry import look, registry
    from enthesis.evidence.sources.ctgov.registry import search as ask

    with progress("Searching") as step:
        found = ask(registry(address), condition, intervention, progress=step)
    place = store or default_place()
    if dry_run and not _exists(place):
        place = ":memory:"
    with Store.open(place) as opened:
        found, _ = look(opened, found, dry_run=dry_run)
    if as_json is not None:
        _json(found.to_dict(), as_json)
        return
    rows = [
        [e.state, e.nct_id, e.updated, e.results, e.status, e.title] for e in found.entries if e.state != "unchanged"
    ]
    print_table("New or updated", ["state", "record", "updated", "results", "status", "title"], rows)
    same = sum(entry.state == "unchanged" for entry in found.entries)
    print(f"{len(found.entries)} records, {len(rows)} new or updated, {same} as at the last look")
    for note in found.notes:
        print(plain(f"note: {note}"), file=sys.stderr)


def questions(store: StoreOption = None, as_json: JsonOption = None) -> None:
    """List what a person has to decide about imported records.

    Example: enthesis import ctgov-questions --store my-review.sqlite
    """
    found = _opened(store, lambda opened: _questions(opened.evidence()))
    if as_json is not None:
        _json(found, as_json)
        return
    columns = ["question", "source_id", "kind", "subject", "proposal", "reason"]
    print_table("Questions", columns, [[row[name] for name in columns] for row in found])
    if not found:
        print("Nothing to decide.")


def answer(
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="Q-... as `ctgov-questions` lists it.")],
    value: Annotated[str, typer.Argument(help="An arm_id, an outcome code, a week, ok, none, new or keep.")],
    author: Annotated[str, typer.Option(help="Who decides.")],
    reason: Annotated[str, typer.Option(help="Why, in a sentence.")],
    store: StoreOption = None,
    as_json: JsonOption = None,
) -> None:
    """Answer a question about an imported record, and read the record again with the answer.

    The answer is a fact with its author and reason, and holds at every later import.
    Example: enthesis import ctgov-answer Q-0123456789 ok --author "A. Reviewer" --reason "checked with the paper"
    """
    from enthesis.evidence.sources.ctgov.answers import answered

    kept = _opened(store, lambda opened: answered(opened, question, value, author=author, reason=reason))
    if as_json is not None:
        told = {"question": question, "value": value, "snapshot": kept.snapshot, "summary": kept.sentence()}
        _json(told, as_json)
        return
    print(plain(kept.sentence()))


def _questions(evidence: Any) -> list[dict[str, str]]:
    from enthesis.evidence.sources.ctgov.answers import open_questions

    return open_questions(evidence)


def _opened(store: str | None, call: Callable[[Any], Any]) -> Any:
    from enthesis.evidence import Store, default_place

    with Store.open(store or default_place(), create=False) as opened:
        return call(opened)
