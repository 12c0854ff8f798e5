"""`enthesis import`: outside sources become facts, their bytes kept first; one subcommand per source.

To add a source: a module in `cli/importing/` with a function of its name, and one line below.
"""

from __future__ import annotations

import typer

from enthesis.cli.importing.cochrane import cochrane, revman
from enthesis.cli.importing.ctgov import answer, ctgov, questions, search
from enthesis.cli.importing.records import nbib, pubmed, ris
from enthesis.cli.importing.tables import table, template

app = typer.Typer(no_args_is_help=True, help="Import registry records, papers and tables into a store, with sources.")
app.command()(ctgov)
app.command("ctgov-search")(search)
app.command("ctgov-questions")(questions)
app.command("ctgov-answer")(answer)
app.command()(pubmed)
app.command()(ris)
app.command()(nbib)
app.command()(cochrane)
app.command()(revman)
app.command()(table)
app.command()(template)
