"""`enthesis import ctgov` and `ctgov-search`: records of ClinicalTrials.gov, from files or from the registry."""

from __future__ import annotations

from typing import Annotated

import typer

StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store", envvar="ENTHESIS_STORE", help="SQLite file or postgresql:// URL.", show_default="user data folder"
    ),
]
JsonOption = Annotated[
    str | None, typer.Option("--json", metavar="FILE|-", help="Write the result as JSON; - is standard output.")
]


def ctgov(
    records: Annotated[list[str], typer.Argument(metavar="FILE|NCT...", help="Records: JSON files or NCT numbers.")],
    store: StoreOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and report; store nothing.")] = False,
    as_json: JsonOption = None,
) -> None:
    """Import ClinicalTrials.gov records: every number becomes a fact or is reported as unparsed, with the reason.

    Example: enthesis import ctgov NCT02552212.json --dry-run --json -
    """
    raise NotImplementedError


def search(
    condition: Annotated[str, typer.Option(help="Condition to search for.")] = "",
    intervention: Annotated[str, typer.Option(help="Intervention to search for.")] = "",
    store: StoreOption = None,
    as_json: JsonOption = None,
) -> None:
    """Search ClinicalTrials.gov and list what is new or updated since the last look.

    Example: enthesis import ctgov-search --condition "axial spondyloarthritis" --intervention upadacitinib
    """
    raise NotImplementedError
