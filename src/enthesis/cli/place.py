"""`enthesis place`: each drug's place by population and line of treatment, and what decides it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from enthesis.cli.printing import plain, print_table, progress

if TYPE_CHECKING:
    from enthesis.living.review import Review

app = typer.Typer(add_completion=False)


@app.command()
def place(
    name: Annotated[str, typer.Argument(metavar="REVIEW", help="A bundled review, such as axspa, or a folder.")],
    cell: Annotated[
        list[str] | None, typer.Option(help="Only this population and line, such as r-naive; repeatable.")
    ] = None,
    drug: Annotated[list[str] | None, typer.Option(help="Only this drug; repeatable.")] = None,
    values: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="RULE.NUMBER=VALUE", help="Decide with another number in a rule; repeatable."),
    ] = None,
    why: Annotated[bool, typer.Option("--why", help="Show every rule with its conditions and their values.")] = False,
    store: Annotated[
        str | None, typer.Option("--store", help="Evidence store; without it the evidence of the review's folder.")
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option(help="Keep fits in this folder: the next time nothing is fitted. With --store: beside the store."),
    ] = None,
    safety: Annotated[bool, typer.Option(help="Compute long-term safety too, where the review has it.")] = True,
    as_json: Annotated[
        str | None, typer.Option("--json", metavar="FILE|-", help="Write the result as JSON; - is standard output.")
    ] = None,
) -> None:
    """Give each drug its place by the rules of a review, with what decided and what nearly did.

    A place follows from rules that are data (place.toml of the review). --set decides again with another threshold, and
    fits nothing when the fits are kept.

    Exit codes: 0 fine, 2 usage, 3 bad data.

    Example: enthesis place axspa --cell r-naive --set first-choice.threshold=0.9 --keep fits
    """
    from enthesis.assess.place_settings import read_settings
    from enthesis.cli.printing import writable, write_text
    from enthesis.errors import UsageError, unknown_name
    from enthesis.estimands import plain as plain_values
    from enthesis.living.review import Review

    if as_json and as_json != "-":
        writable(Path(as_json))
    review = Review.load(name)
    path = review.folder / "place.toml"
    if not path.is_file():
        raise UsageError(f"the review {review.id!r} has no place.toml, so it has no rules of place.")
    settings = read_settings(path)
    for id in cell or ():
        settings.cell(id)
    changed = _values(values or [])
    settings.with_values(changed)
    with progress("Deciding") as step:
        run = _run(review, settings, store, keep, safety, step)
    if "place" not in run.parts:
        raise UsageError(run.part_problems.get("place", "places were not computed."))
    found = run.parts["place"].decided_again(changed)
    known = list(dict.fromkeys(e.seen.drug for e in found.entries))
    for d in drug or ():
        if d not in known:
            raise unknown_name("drug", d, known)
    entries = [e for e in found.entries if (not cell or e.seen.cell.id in cell) and (not drug or e.seen.drug in drug)]
    from enthesis.report.place import entry_record

    told = plain_values({
        "review": review.id, "snapshot": run.evidence.snapshot.to_dict(), "set": changed,
        "problems": dict(found.problems),
        "place": [entry_record(e, run.answer(e.seen.question).question.asked.label if e.seen.question else "")
                  for e in entries],
    })  # fmt: skip
    if as_json == "-":
        print(json.dumps(told, ensure_ascii=False, indent=2, allow_nan=False))
        return
    if as_json:
        write_text(Path(as_json), json.dumps(told, ensure_ascii=False, indent=2, allow_nan=False) + "\n")
        print(f"Written: {plain(as_json)}", file=sys.stderr)
    _print(told, settings, why)


def _run(review: Review, settings: Any, store: str | None, keep: Path | None, safety: bool, step: Any) -> Any:
    """The review as far as places need it: their questions, the primary model, certainty and safety."""
    from enthesis.living.cache import Kept
    from enthesis.living.parts import parts_of
    from enthesis.living.review import cores, run_review

    evidence, folder = None, keep
    if store is not None:
        from enthesis.evidence import Store
        from enthesis.living.history import living_folder

        with Store.open(store, create=False) as opened:
            evidence = opened.evidence()
            folder = keep or living_folder(opened.name) / "kept"
    asked = [q for c in settings.cells for q in (c.question, c.broader) if q]
    on = {p.name for p in parts_of(review.folder)}
    wanted = ("safety", "certainty", "place") if safety else ("certainty", "place")
    return run_review(review, None, list(dict.fromkeys([*asked, *settings.harms])), step, evidence=evidence,
                      workers=cores(), parts=tuple(p for p in wanted if p in on), roles=("primary",),
                      kept=Kept(folder) if folder else None)  # fmt: skip


def _values(pairs: list[str]) -> dict[str, float | str]:
    """`rule.number=value` pairs as a dictionary; what reads as a number is one."""
    from enthesis.errors import UsageError

    found: dict[str, float | str] = {}
    for pair in pairs:
        key, sign, text = pair.partition("=")
        if not (sign and key.strip() and text.strip()):
            raise UsageError(f"--set {pair[:60]!r} must be rule.number=value, such as first-choice.threshold=0.9.")
        try:
            found[key.strip()] = float(text)
        except ValueError:
            found[key.strip()] = text.strip()
    return found


def _print(told: dict[str, Any], settings: Any, why: bool) -> None:
    for c in settings.cells:
        its = [e for e in told["place"] if e["cell"] == c.id]
        if not its:
            continue
        rows = [[e["drug"], e["drug_class"], e["place_in_words"], _gain(e), e["certainty"] or "", e["decided_by"] or "",
                 ", ".join(f["rule"] for f in e["rules_nearly_fired"])] for e in its]  # fmt: skip
        print_table(c.title, ["drug", "class", "place", "more per 1,000", "certainty", "rule", "nearly"], rows)
        if c.id in told["problems"]:
            print(plain(f"Silence: {told['problems'][c.id]}"))
        if why:
            for e in its:
                print(plain(e["sentence"]))
                for f in (*e["rules_fired"], *e["rules_nearly_fired"]):
                    for x in f["conditions"]:
                        print(plain(f"    {f['rule']}: {x['condition']}: {x['holds']} ({x['why']})"))


def _gain(entry: dict[str, Any]) -> str:
    found = next((n for n in entry["numbers"] if n["measure"] == "per 1,000"), None)
    return f"{found['value']:.0f} ({found['lower']:.0f} to {found['upper']:.0f})" if found else ""
