"""`enthesis certainty`: rate the certainty of estimates, decide otherwise with a reason, exchange with CINeMA."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from enthesis.cli.printing import plain, print_table, working, writable

if TYPE_CHECKING:
    from enthesis.assess.certainty import Ratings
    from enthesis.evidence import Evidence

app = typer.Typer(
    no_args_is_help=True, help="Rate how certain each estimate is, with the reason of every judgement (CINeMA, GRADE)."
)

StoreOption = Annotated[
    str | None, typer.Option(help="Evidence store with persons' judgements.", show_default="the review's evidence")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON to standard output.")]
WeighingOption = Annotated[
    Literal["average", "majority", "highest"], typer.Option(help="How levels of studies are weighed by contribution.")
]


#: a file of judgements or a project beyond this is not one
MOST_BYTES = 50_000_000


def text_of(path: Path) -> str:
    """The text of a small file, UTF-8 or Latin-1.

    Raises
    ------
    DataError
        When it is larger than 50 MB.
    """
    from enthesis.errors import DataError

    if path.stat().st_size > MOST_BYTES:
        raise DataError(f"is larger than {MOST_BYTES:,} bytes", file=path.name, fix="Name the file that was meant.")
    raw = path.read_bytes()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def evidence_of(store: str | None) -> Evidence | None:
    """The evidence of a store; None when none is named."""
    if store is None:
        return None
    from enthesis.evidence import Store

    with Store.open(store, create=False) as opened:
        return opened.evidence()


@app.command()
def rate(
    table: Annotated[
        Path | None,
        typer.Argument(metavar="[TABLE]", help="Studies, with columns rob and indirectness (1 to 3) where judged."),
    ] = None,
    review: Annotated[str | None, typer.Option(help="A review, in place of a table.", show_default=False)] = None,
    question: Annotated[str | None, typer.Option(help="Question of the review.", show_default=False)] = None,
    store: StoreOption = None,
    measure: Annotated[str | None, typer.Option(help="Effect measure of a table.", show_default="by data")] = None,
    reference: Annotated[str | None, typer.Option(help="Reference treatment.", show_default="most studied")] = None,
    better: Annotated[
        Literal["higher", "lower"] | None, typer.Option(help="Which direction is good.", show_default="not stated")
    ] = None,
    mid: Annotated[
        float | None, typer.Option(help="Smallest difference that matters: 1.25 is 0.8 to 1.25.", show_default="none")
    ] = None,
    effects: Annotated[Literal["random", "common"], typer.Option(help="Effects of a table's model.")] = "random",
    rule: WeighingOption = "average",
    comparator: Annotated[
        str | None, typer.Option(help="Show pairs with this treatment.", show_default="the reference")
    ] = None,
    every_pair: Annotated[bool, typer.Option("--every-pair", help="Show every pair of treatments.")] = False,
    reasons: Annotated[bool, typer.Option("--reasons", help="Print the reason of every judgement.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write CINeMA's report (.csv).", show_default=False)] = None,
    cnm: Annotated[Path | None, typer.Option(help="Write a CINeMA project (.cnm).", show_default=False)] = None,
    as_json: JsonOption = False,
) -> None:
    """Rate every estimate of a network in six domains, and give GRADE's level.

    Exit codes: 0 fine, 2 usage, 3 bad data.

    Example: enthesis certainty rate --review axspa --question asas40-r-naive --reasons
    """
    from enthesis.assess.cinema_file import project_json, report_table
    from enthesis.report.export import export

    for path in (report, cnm):
        if path is not None:
            writable(path, [table])
    with working("Rating"):
        if review is not None:
            found, fit, facts = _of_review(table, review, question, store, mid)
        else:
            found, fit, facts = _of_table(table, question, measure, reference, better, mid, effects, rule)
        if report is not None:
            export(report_table(found), report)
        if cnm is not None:
            from enthesis.cli.printing import write_text

            write_text(cnm, project_json(fit, found, facts))
    chosen = found.all if every_pair else found.against(comparator)
    if not chosen:
        fit.network.index(comparator or "")
    if as_json:
        told = {"reference": found.reference, "mid": found.scale.mid, "measure": found.scale.measure.name,
                "ratings": [r.to_dict() for r in chosen]}  # fmt: skip
        print(json.dumps(_finite(told), ensure_ascii=False, indent=2, allow_nan=False))
        return
    _print(found, chosen, reasons)


def _of_review(table: Path | None, review: str, question: str | None, store: str | None, mid: float | None):
    from dataclasses import replace

    from enthesis.assess.certainty_part import judgements, study_facts
    from enthesis.errors import UsageError
    from enthesis.living.one_answer import one_answer, rate
    from enthesis.living.review import Review

    if table is not None:
        raise UsageError("name either a TABLE or --review with --question.")
    if question is None:
        raise UsageError("--review needs --question.")
    loaded = Review.load(review)
    if mid is not None:
        asked = loaded.question(question).replace(mid=mid)
        loaded = replace(loaded, questions=tuple(asked if q.id == question else q for q in loaded.questions))
    run, settings = one_answer(loaded, question, evidence=evidence_of(store))
    answer = run.answers[0]
    found = rate(answer, settings, run.evidence, run.review.treatments)
    return found, answer.fit, study_facts(answer, settings, judgements(run.evidence))


def _of_table(
    table: Path | None, question: str | None, measure: str | None, reference: str | None, better: str | None,
    mid: float | None, effects: Literal["random", "common"], rule: Any,
):  # fmt: skip
    from enthesis.assess.certainty import Rules, certainty
    from enthesis.assess.cinema_file import facts_of_table, read_project
    from enthesis.errors import UsageError
    from enthesis.inference.fit import fit as fitted
    from enthesis.models.heterogeneity import Common, Exchangeable
    from enthesis.models.model import Model
    from enthesis.network.subset import component
    from enthesis.network.tables import from_table

    if table is None:
        raise UsageError("name a TABLE, or --review with --question.")
    if question is not None:
        raise UsageError("--question names a question of a review: give --review too.")
    if table.suffix.lower() in (".cnm", ".json"):
        project = read_project(text_of(table), file=table.name)
        network, facts = project.network, project.facts
        effects = project.effects
        mid = mid if mid is not None else project.mid
    else:
        network = from_table(table, measure=measure, reference=reference, better=better)
        facts = facts_of_table(table)
    network = component(network, reference or network.reference)
    network = network.replace(mid=mid if mid is not None else network.mid,
                              reference=reference or network.reference, better=better or network.better)  # fmt: skip
    model = Model(heterogeneity=Common() if effects == "common" else Exchangeable())
    fit = fitted(network, model, engine="gls")
    found = certainty(fit, facts, rules=Rules(within_study_bias=rule, indirectness=rule))
    return found, fit, facts


def _print(found: Ratings, chosen: tuple, reasons: bool) -> None:
    from enthesis.report.certainty import SIGNS

    scale = found.scale
    names = [c.domain for c in chosen[0].concerns]
    rows = [
        [r.treatment, r.comparator, f"{scale.said(r.estimate)} ({scale.said(r.lower, r.upper)})",
         *(c.level.split()[0] + ("*" if c.by != "rule" else "") for c in r.concerns),
         f"{SIGNS[r.level]} {r.level}" + (" re-judge" if r.re_judge else "")]
        for r in chosen
    ]  # fmt: skip
    columns = ["treatment", "comparator", f"{scale.measure.name} (95 %)", *names, "certainty"]
    print_table("Certainty of the evidence", columns, rows)
    if found.judged < 1:
        share, rest = (f"{100 * found.judged:.0f} %", "the rest") if found.judged else ("none", "it")
        print(f"Risk of bias was judged by a person for {share} of the studies; {rest} counts as some concerns.")
    if scale.mid is None:
        print("No smallest difference that matters is stated: give --mid.")
    if reasons:
        for r in chosen:
            print(plain(f"\n{r.treatment} against {r.comparator}: {r.level}. {r.reason}"))
            for c in r.concerns:
                print(plain(f"  {c.domain}: {c.level}. {c.reason}"))


def _finite(value: Any) -> Any:
    from enthesis.estimands import plain as plain_values

    return plain_values(value)


@app.command()
def judge(
    review: Annotated[str, typer.Argument(metavar="REVIEW", help="A bundled review, such as axspa, or a folder.")],
    store: Annotated[str, typer.Option(help="Evidence store in which the judgement is kept.")],
    question: Annotated[str, typer.Option(help="Question of the review.")],
    treatment: Annotated[str, typer.Option(help="Treatment.")],
    comparator: Annotated[str, typer.Option(help="Comparator.")],
    item: Annotated[str, typer.Option(help="A domain, or rating for the level.")],
    value: Annotated[str, typer.Option(help="The judgement, such as 'no concerns'; for the level: high ... very low.")],
    author: Annotated[str, typer.Option(help="Who judges.")],
    reason: Annotated[str, typer.Option(help="Why.")],
    as_json: JsonOption = False,
) -> None:
    """Put a person's judgement in place of the computed one; it is kept with author, date, reason and its inputs.

    When the numbers under it change, the judgement stands but is marked to be made again.

    Exit codes: 0 fine, 2 usage, 3 bad data.

    Example: enthesis certainty judge axspa --store axspa.db --question asas40 --treatment tofacitinib
    --comparator placebo --item imprecision --value "no concerns" --author "A. Panel" --reason "precise enough"
    """
    from enthesis.assess.certainty_part import override_row
    from enthesis.errors import UsageError
    from enthesis.evidence import Store
    from enthesis.living.one_answer import one_rating

    with working("Rating"):
        run, found = one_rating(review, question, evidence=evidence_of(store))
    for name in (treatment, comparator):
        run.answers[0].fit.network.index(name)
    rating = found.rating(treatment, comparator)
    if rating is None:
        raise UsageError(f"{treatment!r} and {comparator!r} are not two treatments of this network.")
    row = override_row(question, rating, item, value)
    with Store.open(store, create=False) as opened:
        fact = opened.judge("overrides", row, author=author, reason=reason)
        evidence = opened.evidence()
    again = one_rating(review, question, evidence=evidence)[1].rating(treatment, comparator)
    if as_json:
        print(json.dumps(_finite({"fact": fact, "before": rating.to_dict(), "after": again.to_dict()}),
                         ensure_ascii=False, indent=2, allow_nan=False))  # fmt: skip
        return
    print(plain(f"Kept as fact {fact}: {item} of {treatment} against {comparator} in {question}: {value}."))
    print(plain(f"Certainty: {rating.level} before, {again.level} now. {again.reason}"))
