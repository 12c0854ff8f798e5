"""What one question rests on: its direct comparisons, its data, and what was left out by which rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

from enthesis.report.tables import Reading, flow_frame
from enthesis.report.values import Block, Cell, Column, Figure, Folded, Link, Part, Parts, Row, Table, Text, anchor
from enthesis.report.wording import count, number, percent, whole

if TYPE_CHECKING:
    from enthesis.evidence import Evidence
    from enthesis.network.choice import Arm


def direct(reading: Reading) -> Table:
    """The direct comparisons, each a place that estimates lead to."""
    rows = []
    for r in reading.comparisons.itertuples():
        rows.append(
            Row((Cell((f"{r.treatment} versus {r.comparator}",)), Cell((str(r.n_studies),)),
                 Cell((whole(r.n_patients),)), Cell(_data_links(reading, r.studies))),
                id=anchor(f"q-{reading.id}.direct", r.treatment, r.comparator))
        )  # fmt: skip
    return Table(id=f"q-{reading.id}.direct", caption=f"{reading.answer.question.title}: direct comparisons",
                 columns=(Column("Comparison"), Column("Studies", "number"), Column("Patients", "number"),
                          Column("Which", "long")), rows=tuple(rows),
                 note=("An estimate also draws on every other study of the network, through the treatments they share; "
                       "what is not in this table is indirect.",))  # fmt: skip


def _data_links(reading: Reading, studies: tuple[str, ...]) -> Parts:
    parts: list[Part] = []
    for study in studies:
        parts += [", " if parts else "", Link(study, "#" + anchor(f"q-{reading.id}.study", study))]
    return tuple(parts)


def data(reading: Reading) -> Table:
    """Every arm of the network with the result rows behind it."""
    rows, seen = [], set()
    kind = reading.answer.question.kind
    for choice in reading.answer.selection.choices:
        for arm in choice.arms:
            first = choice.study not in seen
            seen.add(choice.study)
            behind: list[Part] = []
            for row in arm.rows:
                behind += ["; " if behind else "", Link(row.id, "#" + anchor("row", row.id)),
                           f" ({row.check or 'check not stated'})"]  # fmt: skip
            group = "" if choice.subgroup == "all" else f", {choice.subgroup}"
            rows.append(
                Row((Cell((Link(choice.study, "#" + anchor("study", choice.study)), group)), Cell((arm.node.name,)),
                     Cell((_numbers(arm, kind),)), Cell((f"{choice.week:g}" if choice.week is not None else "–",)),
                     Cell(tuple(behind))),
                    id=anchor(f"q-{reading.id}.study", choice.study) if first else "",
                    strong=arm.node.name in reading.strong)
            )  # fmt: skip
    heading = {"binary": "Events / patients", "continuous": "Mean (standard error)", "rate": "Events / patient-years"}
    return Table(id=f"q-{reading.id}.data", caption=f"{reading.answer.question.title}: the data of the network",
                 columns=(Column("Study"), Column("Treatment"), Column(heading[kind], "number"),
                          Column("Week", "number"), Column("Result rows and how they were checked", "long")),
                 rows=tuple(rows),
                 note=("Result rows lead to the source, the place in it and who read it.",))  # fmt: skip


def _numbers(arm: Arm, kind: str) -> str:
    if kind == "binary":
        return f"{arm.r:,.0f} / {arm.n:,.0f} ({percent(arm.r / arm.n)})"
    if kind == "rate":
        return f"{arm.r:,.0f} / {arm.E:,.1f}"
    size = f", n {arm.n:,.0f}" if arm.n else ""
    return f"{number(arm.y)} ({number(arm.se)}){size}"


def flow(reading: Reading, evidence: Evidence) -> tuple[Block, ...]:
    """The flow of evidence as a figure, and how many studies do not report the outcome."""
    q = reading.answer.question
    table = flow_frame(reading.answer.selection, evidence, q.asked.code)
    figure = Figure(id=f"q-{reading.id}.flow-figure", plot="flow", table=table,
                    caption="Flow of evidence. A result row leaves by the first rule that objects, so the rows of all "
                    "boxes add up.")  # fmt: skip
    silent = table.attrs["not_reported"]
    told = (
        (Text((f"{count(silent, 'further study', 'further studies')} of the asked type and population "
               f"{'has' if silent == 1 else 'have'} no result of {q.asked.code} in the evidence base.",)),) if silent
        else ()
    )  # fmt: skip
    return (figure, *told)


def left_out(reading: Reading) -> tuple[Block, ...]:
    """The ledger by rule: reason, studies, number of result rows."""
    selection = reading.answer.selection
    found: dict[tuple[str, str, str], dict[str, int]] = {}
    for e in selection.ledger:
        where = found.setdefault((e.action, e.rule, e.reason), {})
        where[e.study] = where.get(e.study, 0) + len(e.rows)
    if reading.answer.network is not None:
        for e in reading.answer.network.ledger.entries[len(selection.ledger) :]:
            where = found.setdefault((e.action, e.rule, e.reason), {})
            where[e.study] = where.get(e.study, 0) + len(e.rows)
    blocks = []
    for title, actions, id in (
        ("Left out, by rule", ("excluded",), "out"), ("Changed or worth knowing, by rule", ("changed", "note"), "notes")
    ):  # fmt: skip
        rows = []
        for (action, rule, reason), studies in found.items():
            if action not in actions:
                continue
            parts: list[Part] = []
            for study, n in studies.items():
                if not study:
                    continue
                parts += [", " if parts else "", Link(study, "#" + anchor("study", study)), f" ({n})" if n else ""]
            rows.append((rule, Row((Cell((rule,)), Cell((reason,)), Cell((str(sum(studies.values())) or "–",)),
                                    Cell(tuple(parts) or ("–",))))))  # fmt: skip
        if not rows:
            continue
        order = {rule: i for i, rule in enumerate(selection.flow()["rule"])}
        rows.sort(key=lambda pair: order.get(pair[0], len(order)))
        table = Table(id=f"q-{reading.id}.ledger-{id}", caption=f"{reading.answer.question.title}: {title.lower()}",
                      columns=(Column("Rule"), Column("Reason", "long"), Column("Rows", "number"),
                               Column("Studies (rows)", "long")), rows=tuple(row for _, row in rows))  # fmt: skip
        blocks.append(Folded(title=f"{title} ({count(len(rows), 'reason')})", blocks=(table,)))
    return tuple(blocks)


def study_links(studies: tuple[str, ...]) -> Parts:
    """Names of studies as links to the table of studies."""
    parts: list[Part] = []
    for study in studies:
        parts += [", " if parts else "", Link(study, "#" + anchor("study", study))]
    return tuple(parts)
