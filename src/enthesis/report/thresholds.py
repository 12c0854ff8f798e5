"""The chapter on thresholds: which decisions hang on which studies, and how much bias they could bear."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from enthesis.assess.threshold import on_the_scale_people_read
from enthesis.assess.threshold_part import Decided, Thresholds
from enthesis.report.values import (
    Block,
    Cell,
    Column,
    Figure,
    Folded,
    Link,
    Parts,
    Row,
    Section,
    Strong,
    Table,
    Text,
    anchor,
)
from enthesis.report.wording import count, interval, listed, number

if TYPE_CHECKING:
    from enthesis.living.run import Run

_BIAS = {"none": "each data point alone", "study": "every contrast of a study", "treatment": "every contrast of a drug",
         "class": "every contrast of a class", "all": "all contrasts together"}  # fmt: skip


def sections(value: Thresholds, run: Run, read: Any) -> tuple[Section, ...]:
    """The chapter.

    Parameters
    ----------
    value : Thresholds
    run : Run
    read : tuple of Reading

    Returns
    -------
    tuple of Section
    """
    ids = {r.id for r in read}
    intro = Text((
        "A decision follows from the estimates by a stated rule. For each data point this chapter says between which "
        "values the decision stays as it is, if nothing else changes (Phillippo 2018). A study whose own 95 % interval "
        "reaches beyond that is one the decision hangs on. Whether a bias of that size is plausible is for the reader "
        "to say.",
    ))  # fmt: skip
    inner = tuple(_decision(d, n, ids) for n, d in enumerate(value.decisions, start=1))
    return (Section(id="thresholds", title="What would change a decision", blocks=(intro,), sections=inner),)


def _decision(d: Decided, n: int, ids: set[str]) -> Section:
    id = f"thresholds-{n}"
    where: Parts = (
        (Link(d.question, "#" + anchor("q", d.asked.question)),) if d.asked.question in ids else (d.question,)
    )
    if d.problem:
        return Section(id=id, title=d.question or d.asked.question, nav=False,
                       blocks=(Text((Strong("Silence. "), d.problem), kind="warning"),))  # fmt: skip
    read = on_the_scale_people_read(d.table, d.measure)
    log = d.measure.scale == "log"
    single = d.asked.bias == "none"
    axis = d.measure.label if single else f"{d.measure.label}: size of the bias"
    said = (
        Strong(f"{_capital(d.words)}: {listed(d.chosen) or 'none'}. "),
        *_fragile(d), " Question: ", *where, f". Moved: {_BIAS[d.asked.bias]}. Computed from {d.model}.",
    )  # fmt: skip
    blocks: list[Block] = [
        Text(said),
        Figure(id=f"{id}.figure", plot="invariant_intervals", table=read, options={"measure": axis, "log": log},
               caption=f"{d.question}: where the decision holds."),
        Folded(title="All numbers", blocks=(_table(id, d, read, axis),)),
    ]  # fmt: skip
    return Section(id=id, title=f"{d.question}: {d.words}", blocks=tuple(blocks), nav=False)


def _fragile(d: Decided) -> Parts:
    t = d.fragile
    if d.asked.bias != "none":
        first = d.table.iloc[0]
        size = min(first["high"], -first["low"])
        if not math.isfinite(size):
            return ("No bias of this kind changes it.",)
        return (f"The smallest bias that changes it is that of {first['what']}: "
                f"{number(float(d.measure.back_transform(size)))} on the scale of the {d.measure.label}.",)  # fmt: skip
    if t.empty:
        return (f"It hangs on none of the {count(len(d.table), 'data point')}: each could lie anywhere in its own "
                "interval.",)  # fmt: skip
    return (f"It hangs on {len(t)} of the {count(len(d.table), 'data point')}: {listed(t['what'].tolist())}.",)


def _table(id: str, d: Decided, read: Any, axis: str) -> Table:
    rows = []
    for r in read.itertuples():
        has = r.lower == r.lower
        rows.append(Row((
            Cell((r.what,)), Cell((interval(r.estimate, r.lower, r.upper) if has else "–",)),
            Cell((_holds(r),)), Cell((r.below or "never",)), Cell((r.above or "never",)),
        )))  # fmt: skip
    return Table(id=f"{id}.table", caption=f"{d.question}: {d.words}",
                 columns=(Column("Data point" if d.asked.bias == "none" else "Bias"),
                          Column(f"{axis} (95 %)", "number"), Column("The decision holds", "number"),
                          Column("Below it", "long"),
                          Column("Above it", "long")), rows=tuple(rows))  # fmt: skip


def _holds(r: Any) -> str:
    low, high = r.invariant_low, r.invariant_high
    if not math.isfinite(high) and (not math.isfinite(low) or low == 0):
        return "anywhere"
    if not math.isfinite(high):
        return f"from {number(low)}"
    return f"up to {number(high)}" if not math.isfinite(low) or low == 0 else f"{number(low)} to {number(high)}"


def messages(value: Thresholds, run: Run, read: Any) -> tuple[Parts, ...]:
    """One key message: how many decisions hang on a single study."""
    told = [d for d in value.decisions if not d.problem and d.asked.bias == "none"]
    hang = [d for d in told if not d.fragile.empty]
    if not told:
        return ()
    return ((Strong(f"Of {count(len(told), 'decision')} looked at, {len(hang)} hang on single data points. "),
             "One study elsewhere in its own interval would change them; see ", Link("what would change a decision",
                                                                            "#thresholds"), "."),)  # fmt: skip


def as_json(value: Thresholds, run: Run) -> dict[str, Any]:
    """The key `thresholds` of `results.json`."""
    return {"thresholds": [record(d) for d in value.decisions]}


def record(d: Decided) -> dict[str, Any]:
    """A decision as plain values; changes and data points are on the model's scale."""
    return {
        "question": d.asked.question, "rule": d.asked.rule, "margin": d.asked.margin, "k": d.asked.k,
        "level": d.asked.level, "bias": d.asked.bias, "in_words": d.words, "decision": list(d.chosen),
        "measure": d.measure.name if d.measure else None, "problem": d.problem or None,
        "rows": d.table.to_dict("records") if d.table is not None else [],
        "hangs_on": d.fragile["what"].tolist() if d.table is not None else [],
    }  # fmt: skip


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
