"""`enthesis safety`: the safety part of a review for one patient, with the weight and baseline that a reader sets."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any, Literal

import typer

from enthesis.cli.assessing import ExportOption, FigureOption, JsonOption, Outcome, checked_files, deliver
from enthesis.cli.printing import working

app = typer.Typer()


@app.command()
def safety(
    review: Annotated[str, typer.Argument(metavar="REVIEW", help="A bundled review, such as axspa, or a folder.")],
    profile: Annotated[
        str | None, typer.Option(help="A profile of the review's safety.toml.", show_default="the first")
    ] = None,
    age: Annotated[float | None, typer.Option(help="Instead of --profile: the patient's age in years.")] = None,
    smoking: Annotated[Literal["ever", "never"] | None, typer.Option(help="Has the patient ever smoked?")] = None,
    cardiovascular: Annotated[
        Literal["yes", "no"] | None, typer.Option(help="Has the patient cardiovascular disease?")
    ] = None,
    outcome: Annotated[
        list[str] | None, typer.Option(help="Only this outcome; repeatable.", show_default="all")
    ] = None,
    weight: Annotated[
        float | None, typer.Option(help="How much is borrowed, 0 to 1.", show_default="that of the review")
    ] = None,
    baseline: Annotated[
        list[str] | None,
        typer.Option(help="Rate on the comparator per 100 patient-years, such as MACE=0.6; repeatable."),
    ] = None,
    as_json: JsonOption = None,
    export: ExportOption = None,
    figure: FigureOption = None,
) -> None:
    """Compare the risk of adverse events between two classes for one patient, saying what is borrowed.

    Own data, what other indications say, whether the two agree, the rate ratio of both together, and events per 1,000
    patients over the years of the review.

    Exit codes: 0 fine, 2 usage, 3 bad data.

    Example: enthesis safety axspa --age 70 --smoking ever --outcome MACE --json -
    """
    checked_files(export, figure, as_json)
    with working("Putting safety data together"):
        found = _outcome(review, profile, age, smoking, cardiovascular, outcome, weight, baseline)
    deliver(found, as_json, export, figure)


def _outcome(
    review: str, profile: str | None, age: float | None, smoking: str | None, cardiovascular: str | None,
    only: list[str] | None, weight: float | None, baseline: list[str] | None,
) -> Outcome:  # fmt: skip
    import pandas as pd

    from enthesis.assess.safety import safety as compute
    from enthesis.assess.safety import with_rate
    from enthesis.assess.safety_settings import read_safety
    from enthesis.errors import UsageError
    from enthesis.living.review import Review
    from enthesis.report.safety_json import profile_json, result_json

    loaded = Review.load(review)
    path = loaded.folder / "safety.toml"
    if not path.is_file():
        raise UsageError(f"the review {loaded.id} has no safety.toml, so it asks nothing about safety.")
    settings = read_safety(path)
    if weight is not None:
        if not 0 <= weight <= 1:
            raise UsageError(f"--weight lies between 0 (nothing is borrowed) and 1, not {weight:g}.")
        settings = settings.model_copy(update={"borrowing": settings.borrowing.model_copy(update={"weight": weight})})
    described = (age, smoking, cardiovascular) != (None, None, None)
    if profile and described:
        raise UsageError("give --profile, or --age, --smoking and --cardiovascular, not both.")
    if age is not None and not 18 <= age <= 120:
        raise UsageError(f"--age is in years of an adult, not {age:g}.")
    if described:
        chosen = settings.profile_for(age=age, ever_smoker=smoking == "ever", cardiovascular=cardiovascular == "yes")
    else:
        chosen = settings.profile_of(profile) if profile else settings.profile[0]
    codes = _codes(only, settings)
    value = compute(loaded.evidence(), settings, loaded.folder / "overlaps.toml", loaded.treatments, only=codes)
    rates = _rates(baseline, settings)
    results = [
        with_rate(r, rates[r.outcome], settings) if r.outcome in rates else r
        for r in value.for_profile(chosen)
    ]  # fmt: skip
    table = pd.DataFrame([_line(r) for r in results])
    return Outcome(
        title=f"{settings.treatment} against {settings.comparator} in {settings.indication}: {chosen.label}",
        table=table, told={"profile": profile_json(value, chosen.id), "weight": settings.borrowing.weight,
                           "safety": [result_json(r) for r in results]},
        sentences=(*(r.sentence for r in results), *_basis([r.outcome for r in results], rates), ""),
        shown=table[["outcome", "patients", "own", "rate_ratio", "lower", "upper", "agreement"]],
        chart=lambda: _figure(results, settings), words=lambda: _words(results, settings),
    )  # fmt: skip


def _basis(codes: Collection[str], stated: Collection[str]) -> list[str]:
    """Which rates absolute numbers start from."""
    from enthesis.assess.safety_words import BASELINE_WORDS

    told = []
    if stated:
        told.append(
            f"The rate on the comparator of {', '.join(stated)} is the one that was given, without uncertainty."
        )
    if not stated or set(codes) - set(stated):
        told.append(BASELINE_WORDS)
    return told


def _codes(only: list[str] | None, settings: Any) -> tuple[str, ...]:
    from enthesis.errors import unknown_name
    from enthesis.network.outcomes import outcome as known

    codes = tuple(known(name).code for name in only or ())
    asked = [o.code for o in settings.outcome]
    for code in codes:
        if code not in asked:
            raise unknown_name("outcome of the safety part", code, asked)
    return codes


def _rates(pairs: list[str] | None, settings: Any) -> dict[str, float]:
    from enthesis.errors import UsageError, shortened

    found = {}
    for pair in pairs or ():
        name, sign, text = pair.partition("=")
        try:
            rate = float(text)
        except ValueError:
            rate = float("nan")
        if not sign or rate != rate:
            raise UsageError(f"--baseline {shortened(pair)!r} must be OUTCOME=RATE, such as MACE=0.6.")
        (found[_codes([name.strip()], settings)[0]],) = (rate,)
    return found


def _line(r: Any) -> dict[str, Any]:
    from enthesis.assess.safety_words import own_words

    v, b = r.rate_ratio, r.borrowed
    line = {
        "outcome": r.outcome, "patients": r.stratum_label, "own": own_words(r),
        "rate_ratio": v.estimate if v else None, "lower": v.lower if v else None, "upper": v.upper if v else None,
        "borrowed_from": ", ".join(b["source"]), "weight": b["weight"], "posterior_weight": b["posterior_weight"],
        "effective_sample_size": b["ess"], "agreement": r.conflict["sentence"],
    }  # fmt: skip
    for years, a in r.per_1000.items():
        for side, three in (("treatment", a.treatment), ("comparator", a.comparator), ("difference", a.difference)):
            for name, x in zip(("", "_lower", "_upper"), three, strict=True):
                line[f"per_1000_{years:g}y_{side}{name}"] = x
    return line | {"sentence": r.sentence}


def _figure(results: list[Any], settings: Any) -> Any:
    from enthesis.report.plots import borrowing_weight, forest

    if len(results) == 1 and results[0].tipping:
        return borrowing_weight.chart(_weights(results[0]), weight=settings.borrowing.weight)
    return forest.chart(_ratios(results), measure="rate ratio", log=True, left=f"fewer on {settings.treatment}",
                        right=f"more on {settings.treatment}")  # fmt: skip


def _words(results: list[Any], settings: Any) -> str:
    from enthesis.report.plots import borrowing_weight, forest

    if len(results) == 1 and results[0].tipping:
        return borrowing_weight.alt_text(_weights(results[0]), weight=settings.borrowing.weight)
    return forest.alt_text(_ratios(results), measure="rate ratio", log=True)


def _weights(result: Any) -> Any:
    import pandas as pd

    return pd.DataFrame(result.tipping)


def _ratios(results: list[Any]) -> Any:
    import pandas as pd

    from enthesis.errors import UsageError

    lines = [(r.name, r.rate_ratio.estimate, r.rate_ratio.lower, r.rate_ratio.upper) for r in results if r.rate_ratio]
    if not lines:
        raise UsageError("there is no rate ratio to draw.")
    return pd.DataFrame(lines, columns=["label", "estimate", "lower", "upper"])
