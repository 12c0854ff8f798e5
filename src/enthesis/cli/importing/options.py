"""What the commands of `enthesis import` share: their options, the store they write to, and how a result is told."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from enthesis.cli.printing import plain, print_table, write_text

if TYPE_CHECKING:
    from enthesis.evidence import Store

StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store", envvar="ENTHESIS_STORE", help="SQLite file or postgresql:// URL.", show_default="user data folder"
    ),
]
JsonOption = Annotated[
    str | None, typer.Option("--json", metavar="FILE|-", help="Write the result as JSON; - is standard output.")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Read and report; store nothing.")]
ExtractorOption = Annotated[str | None, typer.Option(help="Who or what took the rows out of their source.")]
BadData = 3


@contextmanager
def opened(store: str | None, dry_run: bool) -> Iterator[Store]:
    """The store to write to; for a dry run one in memory stands in for a store that does not exist yet."""
    from enthesis.evidence import Store, default_place

    where = str(store or default_place())
    absent = "://" not in where and where != ":memory:" and not Path(where).exists()
    with Store.open(":memory:" if dry_run and absent else where) as made:
        yield made


def source_bytes(path: Path, most: int) -> bytes:
    """The bytes of a file, when it is one and not too large."""
    from enthesis.errors import DataError

    if not path.exists():
        raise DataError("there is no such file", file=plain(path), fix="Check the name.")
    if not path.is_file():
        raise DataError("is not a file", file=plain(path), fix="Name a file.")
    if path.stat().st_size > most:
        raise DataError(f"is larger than {most // 2**20} MB", file=plain(path), fix="Split it, or check the name.")
    with path.open("rb") as stream:
        return stream.read(most + 1)


def tell(told: Mapping[str, Any], where: str | None) -> bool:
    """Write a result as JSON when that was asked for; whether it was printed to standard output."""
    if where is None:
        return False
    text = json.dumps(told, ensure_ascii=False, indent=2, allow_nan=False)
    if where == "-":
        print(text)
        return True
    write_text(Path(where), text + "\n")
    return False


def tell_records(reports: Sequence[Mapping[str, Any]], where: str, dry_run: bool) -> None:
    """Print what became of records, file by file; what was not read goes to standard error."""
    columns = ["file", "read", "stored", "superseded", "unchanged", "repeated"]
    title = f"{where} (dry run: nothing is stored)" if dry_run else where
    rows = [[*(r[c] for c in columns), len(r["unparsed"])] for r in reports]
    print_table(title, [*columns, "not read"], rows)
    for report in reports:
        for item in report["unparsed"][:20]:
            print(plain(f"not read: {report['file']}, {item['locator']}: {item['reason']}."), file=sys.stderr)
        if len(report["unparsed"]) > 20:
            print(f"and {len(report['unparsed']) - 20} more (all of them with --json)", file=sys.stderr)
        for note in report["notes"]:
            print(plain(f"note: {note}"), file=sys.stderr)
