"""`enthesis lint`: what in the stored numbers cannot be, is improbable, or contradicts something else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from enthesis.cli.printing import plain, print_table

if TYPE_CHECKING:
    from enthesis.evidence import Evidence

app = typer.Typer(no_args_is_help=True, help="Check the stored numbers against arithmetic, scales and one another.")

StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store", envvar="ENTHESIS_STORE", help="SQLite file or postgresql:// URL.", show_default="user data folder"
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON to standard output.")]


@app.command()
def check(
    folder: Annotated[
        Path | None, typer.Argument(help="Folder of CSV tables, instead of a store.", show_default="the store")
    ] = None,
    store: StoreOption = None,
    only: Annotated[list[str] | None, typer.Option(help="Only this check (see `lint list`); repeatable.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Show settled findings too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show findings: rows, reason and a proposed mend; nothing is changed.

    Exit codes: 0 nothing open but notes, 2 usage, 3 an open error or warning.

    Example: enthesis lint check my-review/evidence
    """
    from enthesis.evidence.lint import lint

    evidence, where = _evidence(folder, store)
    found = lint(evidence, only or None)
    shown = found if every else tuple(f for f in found if not f.settled)
    open_ones = [f for f in found if not f.settled]
    if as_json:
        told: dict[str, Any] = {
            "where": where, "snapshot": evidence.snapshot.to_dict(), "findings": [f.to_dict() for f in shown],
            "open": len(open_ones), "settled": len(found) - len(open_ones),
        }  # fmt: skip
        print(json.dumps(told, ensure_ascii=False, indent=2))
    else:
        for f in shown:
            print(plain(f"{f.id} {f.severity}: {f.check}: {f.subject}\n  {f.reason}\n  Mend: {f.mend}"))
            print(plain(f"  Rows: {', '.join(f.rows[:8])}{' ...' if len(f.rows) > 8 else ''}"))
            if f.settled:
                print(plain(f"  Settled: {f.settled}"))
        print(f"{len(open_ones)} open, {len(found) - len(open_ones)} settled")
    if any(f.severity != "note" for f in open_ones):
        raise typer.Exit(3)


@app.command()
def settle(
    finding: Annotated[str, typer.Argument(metavar="FINDING", help="F-...")],
    reason: Annotated[str, typer.Option(help="Why the rows are right as they are, in a sentence.")],
    author: Annotated[str, typer.Option(help="Who says so.")],
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Explain a finding: kept with author, reason and date, and open again when one of the cells changes.

    Example: enthesis lint settle F-0123456789 --reason "the abstract cuts digits" --author "A. Reviewer"
    """
    from enthesis.errors import unknown_name
    from enthesis.evidence import Store, default_place
    from enthesis.evidence.lint import lint
    from enthesis.evidence.lint.finding import ITEM

    with Store.open(store or default_place(), create=False) as opened:
        known = {f.id for f in lint(opened.evidence())}
        if finding not in known:
            raise unknown_name("finding", finding, known)
        line = {"subject": finding, "item": ITEM, "value": "explained"}
        fact = opened.judge("overrides", line, author=author, reason=reason)
    if as_json:
        print(json.dumps({"finding": finding, "settled": reason, "author": author, "fact": fact}, ensure_ascii=False))
    else:
        print(plain(f"{finding} is settled by {author}."))


@app.command("list")
def list_checks(as_json: JsonOption = False) -> None:
    """List the checks.

    Example: enthesis lint list
    """
    from enthesis.evidence.lint import CHECKS

    rows = [[name, (check.__doc__ or "").split("\n")[0]] for name, check in CHECKS.items()]
    if as_json:
        print(json.dumps([{"check": name, "finds": finds} for name, finds in rows], ensure_ascii=False, indent=2))
    else:
        print_table("Checks", ["check", "finds"], rows)


def _evidence(folder: Path | None, store: str | None) -> tuple[Evidence, str]:
    from enthesis.cli.evidence import shown_evidence
    from enthesis.evidence import Store, load_tables

    if folder is None:
        evidence, where, _ = shown_evidence(store)
        return evidence, where
    with Store.open(":memory:") as opened:
        load_tables(opened, folder)
        return opened.evidence(), str(folder)
