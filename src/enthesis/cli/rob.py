"""`enthesis rob`: judgements of risk of bias: the tools, judgements in and out, and their figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from enthesis.cli.certainty import evidence_of, text_of
from enthesis.cli.printing import plain, print_table, working, writable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from enthesis.assess.bias import Judged

app = typer.Typer(no_args_is_help=True, help="Keep, exchange and draw judgements of risk of bias.")

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON to standard output.")]
ToolOption = Annotated[str, typer.Option(help="Id of the tool; see 'enthesis rob tools'.")]
StoreOption = Annotated[str, typer.Option(help="Evidence store.")]
FromStore = Annotated[str | None, typer.Option(help="Evidence store with the judgements.", show_default=False)]
FromTable = Annotated[
    Path | None, typer.Argument(metavar="[TABLE]", help="Table of robvis: Study, D1 ..., Overall, Weight.")
]


@app.command()
def tools(as_json: JsonOption = False) -> None:
    """List the tools: version, study type, domains and levels.

    Example: enthesis rob tools
    """
    from enthesis.assess.bias import tools as known

    told = [
        {"tool": t.id, "name": t.tool, "version": t.version, "for": t.suits,
         "domains": [{"id": d.id, "name": d.name} for d in t.domains], "levels": [v.name for v in t.levels],
         "overall": t.overall_words, "citation": t.citation}
        for t in known().values()
    ]  # fmt: skip
    if as_json:
        print(json.dumps(told, ensure_ascii=False, indent=2))
        return
    rows = [[t["tool"], t["version"], t["for"], len(t["domains"]), ", ".join(t["levels"])] for t in told]
    print_table("Tools for risk of bias", ["tool", "version", "for", "domains", "levels"], rows)


@app.command("import")
def import_(
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="Table of robvis: Study, D1 ..., Overall, Weight.")],
    store: StoreOption,
    author: Annotated[str, typer.Option(help="Who judged.")],
    reason: Annotated[str, typer.Option(help="Where the judgements come from, and why they are as they are.")],
    tool: ToolOption = "rob2-2019",
    outcome: Annotated[str, typer.Option(help="Outcome code or domain they are for.")] = "all",
    judged_by: Annotated[Literal["editor", "published"], typer.Option(help="Own, or taken from a source.")] = "editor",
    as_json: JsonOption = False,
) -> None:
    """Keep judgements in a store as facts, each with author, date and reason; an earlier one is superseded.

    Studies are named as in the store.

    Exit codes: 0 fine, 2 usage, 3 bad data.

    Example: enthesis rob import judgements.csv --store axspa.db --author "A. Reviewer" --reason "two reviewers, agreed"
    """
    from enthesis.assess.bias import as_rows, read_robvis
    from enthesis.errors import DataError
    from enthesis.evidence import Store

    with working("Reading"):
        found = read_robvis(text_of(table), tool, file=table.name, family=outcome)
        with Store.open(store, create=False) as opened:
            known = set(opened.evidence().studies["study_id"])
            for j in found:
                if j.study not in known:
                    raise DataError("is not a study of this store", file=table.name, column="Study", value=j.study,
                                    fix="Write study_id as in the table of studies.")  # fmt: skip
            for row in as_rows(found, reason=reason, judged_by=judged_by):
                opened.judge("bias", row, author=author, reason=reason)
            snapshot = opened.snapshot()
    told = {"studies": len(found), "tool": tool, "outcome": outcome, "snapshot": snapshot.number}
    if as_json:
        print(json.dumps(told, ensure_ascii=False, indent=2))
    else:
        studies = "1 study" if len(found) == 1 else f"{len(found)} studies"
        print(plain(f"{studies} judged with {tool} for {outcome}; snapshot {snapshot.number}."))


@app.command()
def export(
    out: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, XLSX or DOCX to write.")],
    store: StoreOption,
    tool: ToolOption = "rob2-2019",
    outcome: Annotated[str, typer.Option(help="Outcome code.", show_default="all")] = "all",
    review: Annotated[str | None, typer.Option(help="Review whose question weighs the studies.")] = None,
    question: Annotated[str | None, typer.Option(help="Question whose network weighs the studies.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write judgements as the table that R's robvis reads, weighted by contribution when a question is named.

    Exit codes: 0 fine, 2 usage, 3 bad data.

    Example: enthesis rob export rob.csv --store axspa.db --review axspa --question asas40
    """
    from enthesis.assess.bias import to_robvis
    from enthesis.report.export import export as write

    writable(out)
    with working("Reading"):
        found = _stored(store, tool, outcome)
        weights = _contributions(review, question, store)
        table = to_robvis(found, weights)
        write(table, out, title="Risk of bias")
    if as_json:
        print(json.dumps({"file": str(out), "rows": table.to_dict("records")}, ensure_ascii=False, indent=2))
    else:
        print(plain(f"{len(table)} studies written to {out}."))


@app.command()
def plot(
    out: Annotated[Path, typer.Option("--figure", help="SVG, PNG or HTML to write.")],
    table: FromTable = None,
    store: FromStore = None,
    kind: Annotated[Literal["traffic-light", "summary"], typer.Option(help="Which figure.")] = "traffic-light",
    tool: ToolOption = "rob2-2019",
    outcome: Annotated[str, typer.Option(help="Outcome code.")] = "all",
    review: Annotated[str | None, typer.Option(help="Review whose question weighs the studies.")] = None,
    question: Annotated[str | None, typer.Option(help="Question whose network weighs the studies.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Draw judgements: traffic lights by study, or the share of each judgement by domain.

    With a question, studies are weighed by their contribution to its network, averaged over the estimates against the
    reference; else by the weights of the table.

    Exit codes: 0 fine, 2 usage, 3 bad data.

    Example: enthesis rob plot judgements.csv --figure rob.svg
    """
    from enthesis.assess.bias import read_robvis
    from enthesis.errors import UsageError
    from enthesis.report import bias as tables
    from enthesis.report.figure_file import save_figure
    from enthesis.report.plots import bias_summary, traffic_light

    writable(out, [table])
    if (table is None) == (store is None):
        raise UsageError("name either a TABLE of judgements or a --store.")
    with working("Drawing"):
        if table is not None:
            found = read_robvis(text_of(table), tool, file=table.name)
            weights = {j.study: j.weight for j in found if j.weight is not None} or None
        else:
            found, weights = _stored(store, tool, outcome), None
        of = "studies" if weights is None else "weights"
        if question is not None:
            weights, of = _contributions(review, question, store), "contributions"
        if kind == "traffic-light":
            total = sum(weights.values()) if weights else 0.0
            scaled = {s: w / total for s, w in weights.items()} if weights and total > 0 else None
            rows = tables.lights(found, scaled)
            save_figure(lambda: traffic_light.chart(rows, weight=of), out, words=traffic_light.alt_text(rows),
                        title="Risk of bias by study")  # fmt: skip
        else:
            rows = tables.shares(found, weights)
            save_figure(lambda: bias_summary.chart(rows, of=of), out, words=bias_summary.alt_text(rows, of=of),
                        title="Risk of bias by domain")  # fmt: skip
    if as_json:
        print(json.dumps({"file": str(out), "rows": rows.to_dict("records")}, ensure_ascii=False, indent=2))
    else:
        print(plain(f"{kind} of {len(found)} {'study' if len(found) == 1 else 'studies'} written to {out}."))


def _stored(store: str | None, tool: str, outcome: str) -> Sequence[Judged]:
    from enthesis.assess.bias import ALL, for_outcome, judgements
    from enthesis.assess.bias import tool as tool_of
    from enthesis.network.outcomes import outcomes

    its = tool_of(tool).id
    found = [j for j in judgements(evidence_of(store)) if j.tool == its]
    known = outcomes().get(outcome)
    return tuple(for_outcome(found, outcome if outcome != ALL else "", known.domain if known else "").values())


def _contributions(review: str | None, question: str | None, store: str | None) -> Mapping[str, float] | None:
    """Contribution of each study to the estimates against the reference, on average."""
    from enthesis.errors import UsageError

    if question is None and review is None:
        return None
    if question is None or review is None:
        raise UsageError("--review and --question go together.")
    from enthesis.assess.contribution import study_contributions
    from enthesis.living.one_answer import one_answer

    fit = one_answer(review, question, evidence=evidence_of(store))[0].answers[0].fit
    if fit is None:
        raise UsageError(f"question {plain(question)!r} has no answer, so nothing weighs the studies.")
    pairs = [(t, fit.reference) for t in fit.treatments if t != fit.reference]
    return {str(s): float(v) for s, v in study_contributions(fit, comparisons=pairs).mean(axis=0).items()}
