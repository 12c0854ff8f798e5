"""The chapter on certainty: what was rated, the level of each estimate, and the reason of every judgement."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from enthesis.assess.certainty import Rating, Ratings
from enthesis.assess.certainty_part import Certainties
from enthesis.assess.grade import CERTAINTIES
from enthesis.report.tables import Reading
from enthesis.report.values import (
    Block,
    Bullets,
    Cell,
    Column,
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
from enthesis.report.wording import count, listed, percent

if TYPE_CHECKING:
    from enthesis.living.run import Run

#: GRADE's signs
SIGNS = {"high": "⊕⊕⊕⊕", "moderate": "⊕⊕⊕◯", "low": "⊕⊕◯◯", "very low": "⊕◯◯◯"}
_TONE = {"high": 3, "moderate": 1, "low": -1, "very low": -3}
_STEP_TONE = (0, -1, -3)
_SHORT = {"no concerns": "none", "some concerns": "some", "major concerns": "major"}


def sections(value: Certainties, run: Run, read: tuple[Reading, ...]) -> tuple[Section, ...]:
    """The chapter.

    Parameters
    ----------
    value : Certainties
    run : Run
    read : tuple of Reading

    Returns
    -------
    tuple of Section
    """
    by_id = {r.id: r for r in read}
    blocks: list[Block] = [*_intro(value), _overview(value, by_id)]
    if value.problems:
        blocks.append(Bullets(tuple((Strong(f"{id}: not rated. "), why) for id, why in value.problems.items())))
    if value.re_judge:
        told = tuple((Strong(f"{id}, {r.treatment} against {r.comparator}. "), r.reason) for id, r in value.re_judge)
        blocks.append(Text((Strong("To be judged again. "), "Numbers under these judgements have changed."),
                           kind="warning"))  # fmt: skip
        blocks.append(Bullets(told))
    main = run.main.question.id
    order = sorted(value.by_question, key=lambda id: id != main)
    inner = tuple(_question(id, value.by_question[id], by_id[id], open=id == main) for id in order if id in by_id)
    if main in value.by_question and main in by_id:
        inner = (_findings(by_id[main], value.by_question[main]), *inner)
    return (Section(id="certainty", title="Certainty of the evidence", blocks=tuple(blocks), sections=inner),)


def _findings(reading: Reading, rated: Ratings) -> Section:
    """The summary of findings of the main question."""
    from enthesis.report.summary_files import summary_section
    from enthesis.report.summary_of_findings import summary_of_findings

    return summary_section(summary_of_findings(reading, rated), id=anchor("sof", reading.id))


def _intro(value: Certainties) -> tuple[Block, ...]:
    how = Text((
        Strong("How it is rated. "),
        "Each estimate starts high when it rests on randomised studies and goes down one level for some concerns and "
        "two for major concerns in six domains: within-study bias and indirectness (studies weighed by their "
        "contribution), reporting bias (ROB-MEN), imprecision and heterogeneity (the interval, and the interval of a "
        "new study, against the smallest difference that matters), incoherence (direct against indirect evidence). "
        "The rules are CINeMA's; indirectness and incoherence are counted once. Every judgement gives its reason and "
        "numbers, and a person can replace it with a reason.",
    ))  # fmt: skip
    return (how, Text((Strong("Risk of bias. "), _bias_words(value)), kind="warning" if not value.judged else "note"))


def _bias_words(value: Certainties) -> str:
    judged = [r.judged for r in value.by_question.values()]
    mean = sum(judged) / len(judged) if judged else 0.0
    if mean == 0:
        return (
            f"No person has judged the risk of bias of these studies. It counts as {value.rules.unjudged} everywhere, "
            "which takes one level off every rating: no estimate can be rated high. Once the studies are judged, a "
            "rating can go up by one level or down by one."
        )
    return (
        f"A person judged {percent(mean)} of the studies on average over the rated questions; what is not judged "
        f"counts as {value.rules.unjudged}."
    )


def _overview(value: Certainties, by_id: dict[str, Reading]) -> Table:
    rows = []
    for id, rated in value.by_question.items():
        if id not in by_id:
            continue
        own, every = Counter(r.level for r in rated.against()), Counter(r.level for r in rated.all)
        heading = Cell((Link(by_id[id].answer.question.title, "#" + anchor("certainty", id)),))
        rows.append(Row((heading, *(Cell((str(own[level]) if own[level] else "–",)) for level in CERTAINTIES),
                         Cell((f"{sum(every[x] for x in ('high', 'moderate'))} of {len(rated.all)}",)))))  # fmt: skip
    return Table(
        id="certainty-table", caption="Certainty of the estimates of each question",
        columns=(Column("Question"), *(Column(level.capitalize(), "number") for level in CERTAINTIES),
                 Column("All pairs: high or moderate", "number")),
        rows=tuple(rows), note=("Number of treatments whose effect against the reference has this certainty.",),
    )  # fmt: skip


def _question(id: str, rated: Ratings, reading: Reading, *, open: bool) -> Section:
    where = anchor("certainty", id)
    blocks: list[Block] = [_matrix(where, rated, reading)]
    if rated.notes:
        blocks.append(Bullets(tuple((Strong("A judgement without its estimate. "), note) for note in rated.notes)))
    if rated.placements:
        blocks.append(_placements(where, rated))
    blocks.append(Folded(title="The reason of every judgement", blocks=(_reasons(where, rated.against()),)))
    others = tuple(r for r in rated.all if rated.reference not in (r.treatment, r.comparator))
    if others:
        blocks.append(Folded(title=f"Between active treatments: {count(len(others), 'pair')}",
                             blocks=(_pairs(where, others, reading),)))  # fmt: skip
    return Section(id=where, title=reading.answer.question.title, blocks=tuple(blocks), nav=open)


def _matrix(where: str, rated: Ratings, reading: Reading) -> Table:
    told = {r.treatment: r for r in reading.effects.itertuples()}
    rows = []
    for r in rated.against():
        effect = told.get(r.treatment)
        shown = rated.scale.said(r.estimate) + f" ({rated.scale.said(r.lower, r.upper)})"
        rows.append(
            Row((Cell((r.treatment,)), Cell((Link(shown, "#" + reading.where(r.treatment, r.comparator)),)),
                 *_domain_cells(r), _level_cell(r)), strong=bool(effect is not None and effect.strong))
        )  # fmt: skip
    names = [c.domain for c in rated.all[0].concerns]
    return Table(
        id=f"{where}.table", caption=f"{reading.answer.question.title}: certainty against {rated.reference}",
        columns=(Column("Treatment"), Column(f"{reading.fit.network.measure.name} (95 % interval)", "number"),
                 *(Column(name.capitalize(), "words") for name in names), Column("Certainty", "words")),
        rows=tuple(rows),
        note=("Concerns in each domain: none, some or major. An asterisk marks a judgement by a person.",),
    )  # fmt: skip


def _domain_cells(r: Rating) -> list[Cell]:
    return [Cell((_SHORT[c.level] + ("*" if c.by != "rule" else ""),), tone=_STEP_TONE[c.steps]) for c in r.concerns]


def _level_cell(r: Rating) -> Cell:
    mark = ("*" if r.by != "rule" else "") + (" re-judge" if r.re_judge else "")
    return Cell((f"{SIGNS[r.level]} {r.level}{mark}",), tone=_TONE[r.level])


def _placements(where: str, rated: Ratings) -> Table:
    rows = tuple(
        Row((Cell((p.group[0].upper() + p.group[1:],)), Cell((p.treatment,)),
             Cell((f"{SIGNS[p.certainty]} {p.certainty}",), tone=_TONE[p.certainty])))
        for certain in (True, False) for p in rated.placements if p.certain is certain
    )  # fmt: skip
    return Table(
        id=f"{where}.placements",
        caption=f"Treatments sorted by what was shown against {rated.reference} and one another",
        columns=(Column("Group", "words"), Column("Treatment"), Column("Certainty", "words")), rows=rows,
        note=("GRADE's minimally contextualised framework: high and moderate certainty first, then low and very low. "
              "Shown means that the 95 % interval excludes no difference.",),
    )  # fmt: skip


def _reasons(where: str, ratings: tuple[Rating, ...]) -> Table:
    rows = []
    for r in ratings:
        rows.append(Row((Cell((r.treatment,)), Cell(("Certainty",)), Cell((f"{r.level}",), tone=_TONE[r.level]),
                         Cell((r.reason,)))))  # fmt: skip
        rows += [
            Row((Cell(("",)), Cell((c.domain.capitalize(),)), Cell((_SHORT[c.level],), tone=_STEP_TONE[c.steps]),
                 Cell((c.reason,)))) for c in r.concerns
        ]  # fmt: skip
    return Table(id=f"{where}.reasons", caption="Judgements and their reasons",
                 columns=(Column("Treatment"), Column("Domain", "words"), Column("Concerns", "words"),
                          Column("Reason", "long")), rows=tuple(rows))  # fmt: skip


def _pairs(where: str, ratings: tuple[Rating, ...], reading: Reading) -> Table:
    rows = tuple(
        Row((Cell((f"{r.treatment} against {r.comparator}",)),
             Cell((Link("direct" if r.n_studies else "indirect", "#" + reading.where(r.treatment, r.comparator))
                   if r.n_studies else "indirect",)),
             *_domain_cells(r), _level_cell(r)))
        for r in sorted(ratings, key=lambda r: CERTAINTIES.index(r.level))
    )  # fmt: skip
    names = [c.domain for c in ratings[0].concerns]
    return Table(id=f"{where}.pairs", caption="Certainty between active treatments",
                 columns=(Column("Comparison"), Column("Evidence", "words"),
                          *(Column(n.capitalize(), "words") for n in names),
                          Column("Certainty", "words")), rows=rows)  # fmt: skip


def as_json(value: Certainties, run: Run) -> dict[str, Any]:
    """The key `certainty` of `results.json`: one entry per rated pair."""
    return {
        "certainty": [
            {"question": id, **rating.to_dict()} for id, rated in value.by_question.items() for rating in rated.all
        ],
        "certainty_groups": [
            {"question": id, "treatment": p.treatment, "category": p.category, "group": p.group, "rating": p.certainty}
            for id, rated in value.by_question.items() for p in rated.placements
        ],
    }  # fmt: skip


def messages(value: Certainties, run: Run, read: tuple[Reading, ...]) -> tuple[Parts, ...]:
    """How sure the review is of its main answer, for the drugs it is about."""
    rated = value.by_question.get(run.main.question.id)
    if rated is None:
        return ()
    main = next(r for r in read if r.answer is run.main)
    mine = [r for r in rated.against() if r.treatment in main.strong]
    others = [r for r in rated.all if {r.treatment, r.comparator} & main.strong and rated.reference not in
              (r.treatment, r.comparator) and not {r.treatment, r.comparator} <= main.strong]  # fmt: skip
    if not mine:
        return ()
    told = listed([f"{r.treatment} {r.level}" for r in mine])
    parts: list[Any] = [
        Strong(f"Certainty of the evidence against {rated.reference}: "),
        Link(told, "#" + anchor("certainty", main.id)),
    ]  # fmt: skip
    down = Counter(domain for r in mine for domain in {c.domain for c in r.concerns if c.steps})
    if down:
        parts.append(f" (rated down for {listed([d for d, _ in down.most_common()])})")
    if others:
        counts = Counter(r.level for r in others)
        said = ", ".join(f"{counts[level]} {level}" for level in CERTAINTIES if counts[level])
        parts.append(f". Against other active drugs, over {count(len(others), 'comparison')}: {said}")
    parts.append(". Nobody has judged the risk of bias of the studies yet." if not value.judged else ".")
    return (tuple(parts),)


def limits(value: Certainties, run: Run, read: tuple[Reading, ...]) -> tuple[Parts, ...]:
    """What the ratings cannot tell."""
    told: list[Parts] = [(Strong("Certainty is rated by rules. "), _bias_words(value))]
    return tuple(told)
