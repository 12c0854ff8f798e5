"""The document of a review's run: key messages first, then the answers, then everything they rest on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from enthesis.living.parts import PARTS, from_parts
from enthesis.report.answers import question_section
from enthesis.report.behind import results_section, sources_section, studies_section
from enthesis.report.messages import key_messages, limits
from enthesis.report.tables import Reading, readings
from enthesis.report.values import (
    Block,
    Bullets,
    Cell,
    Column,
    Document,
    Facts,
    Link,
    Row,
    Section,
    Strong,
    Table,
    Text,
    anchor,
)
from enthesis.report.wording import count, interval, number, whole

if TYPE_CHECKING:
    from enthesis.living.run import Run


def review_document(run: Run, read: tuple[Reading, ...] | None = None) -> Document:
    """The report of a run.

    Parameters
    ----------
    run : Run
    read : tuple of Reading, optional
        Of the run's answers, when they exist already.

    Returns
    -------
    Document
        Sections in reading order: key messages, limits, main question, all questions at a glance, chapters, methods,
        studies, result rows, sources.

    Examples
    --------
    >>> from enthesis.living.review import run_review
    >>> document = review_document(run_review("axspa", only="asas40-nr"))
    >>> [section.id for section in document.sections][:2]
    ['messages', 'q-asas40-nr']
    """
    read = read if read is not None else readings(run)
    main = next(r for r in read if r.answer is run.main)
    added = _parts(run, read)
    sections = [_messages(run, read), *added["front"], question_section(main, run.evidence, full=True)]
    if len(read) > 1:
        sections.append(_overview(read))
        sections += _chapters(run, read, main)
    sections += [*added["chapters"], *added["behind"]]
    sections += [
        _methods(run, read),
        studies_section(run.evidence, read),
        results_section(run.evidence, read),
        sources_section(run.evidence, read),
    ]
    return Document(
        title=run.review.title, subtitle=run.review.asks, facts=_identity(run, read), sections=tuple(sections)
    )


def _identity(run: Run, read: tuple[Reading, ...]) -> tuple[tuple[str, str], ...]:
    from enthesis import __version__

    snapshot = run.evidence.snapshot
    studies = {s for r in read for s in r.answer.selection.studies}
    answered = sum(r.fit is not None for r in read)
    return (
        ("Evidence", f"snapshot {snapshot.number:,} of {snapshot.recorded_at[:10]}, hash {snapshot.content_hash[:10]}"),
        ("Studies in a network", f"{len(studies):,}"),
        ("Questions", f"{answered} of {len(read)} answered"),
        ("Run", run.content_hash[:10]),
        ("Made with", f"enthesis {__version__}"),
    )


def _messages(run: Run, read: tuple[Reading, ...]) -> Section:
    blocks: list[Block] = [Bullets(key_messages(run, read), kind="key")]
    if run.review.is_not:
        blocks.append(Text((run.review.is_not,), kind="note"))
    lower = Section(id="limits", title="What this report cannot tell", blocks=(Bullets(limits(run, read)),))
    return Section(id="messages", title="Key messages", blocks=tuple(blocks), sections=(lower,))


def _overview(read: tuple[Reading, ...]) -> Section:
    """Every question on one line, with the effects of the drugs in focus."""
    rows = []
    for r in read:
        q = r.answer.question
        heading = Cell((Link(q.title, "#" + anchor("q", r.id)),))
        if r.fit is None:
            rows.append(Row((heading, *(Cell(("–",)) for _ in range(5)), Cell(("no answer",)))))
            continue
        n = r.fit.network
        mine = r.effects[r.effects["strong"]]
        told = [
            (f"{e.treatment} {n.measure.name} ", Link(interval(e.estimate, e.lower, e.upper),
                                                      "#" + r.where(e.treatment, e.comparator)))
            for e in mine.itertuples()
        ]  # fmt: skip
        parts = tuple(p for i, pair in enumerate(told) for p in (("; ",) if i else ()) + pair)
        rows.append(
            Row((heading, Cell((f"{n.n_studies:,}",)), Cell((whole(n.n_patients) if n.n_patients else "–",)),
                 Cell((str(n.n_treatments - 1),)),
                 Cell((number(r.fit.tau.estimate) if r.fit.effects == "random" else "common",)),
                 Cell(parts or (f"no {r.review.focus_class}",)),
                 Cell(("reliable" if r.fit.status.ok else "not reliable",), tone=0 if r.fit.status.ok else -3)))
        )  # fmt: skip
    reference = read[0].answer.question.reference
    table = Table(
        id="overview-table", caption="All questions",
        columns=(Column("Question"), Column("Studies", "number"), Column("Patients", "number"),
                 Column(f"Treatments, without {reference}", "number"), Column("Tau", "number"),
                 Column(f"{read[0].review.focus_class} against {reference} (95 % interval)", "long"),
                 Column("Computation")),
        rows=tuple(rows),
    )  # fmt: skip
    return Section(id="overview", title="All questions at a glance", blocks=(table,))


def _chapters(run: Run, read: tuple[Reading, ...], main: Reading) -> list[Section]:
    by_id = {r.id: r for r in read}
    chapters = []
    for at, (title, intro, answers) in enumerate(run.chapters, start=1):
        its = [by_id[a.question.id] for a in answers if a.question.id != main.id]
        if not its:
            continue
        inner = tuple(question_section(r, run.evidence, full=False) for r in its)
        blocks = (Text((intro,)),) if intro else ()
        chapters.append(Section(id=f"chapter-{at}", title=title, blocks=blocks, sections=inner))
    return chapters


def _parts(run: Run, read: tuple[Reading, ...]) -> dict[str, list[Section]]:
    """The sections of the parts of a run by their place; a part that could not be computed says why."""
    found: dict[str, list[Section]] = {"front": [], "chapters": [], "behind": []}
    for part, sections in from_parts(run, "report", read):
        found[part.where] += sections
    for part in PARTS:
        if part.name in run.part_problems:
            why = Text((Strong("Not computed. "), run.part_problems[part.name]), kind="warning")
            title = part.name.replace("_", " ").capitalize()
            found[part.where].append(Section(id=f"part-{part.name}", title=title, blocks=(why,)))
    return found


def _methods(run: Run, read: tuple[Reading, ...]) -> Section:
    review = run.review
    rows = [
        Row((Cell((m.title,)), Cell((m.role,)), Cell((f"{m.effects} effects",)), Cell((m.engine,)), Cell((_priors(m),)),
             Cell((str(sum(m.id in r.answer.fits for r in read)),))))
        for m in review.models
    ]  # fmt: skip
    models = Table(id="models-table", caption="Models of the review",
                   columns=(Column("Model"), Column("Role"), Column("Effects"), Column("Engine"),
                           Column("Priors", "long"), Column("Questions", "number")), rows=tuple(rows))  # fmt: skip
    kinds = {r.answer.question.kind for r in read}
    data = {"binary": "counts by their binomial likelihood", "continuous": "means by their normal likelihood",
            "rate": "events in patient-years by their Poisson likelihood"}  # fmt: skip
    used = len({row for r in read for row in r.answer.selection.used})
    text = (
        Text((
            Strong("Evidence. "),
            f"Published, group-level results: {len(run.evidence.outcomes):,} result rows of "
            f"{count(len(run.evidence.studies), 'study', 'studies')} from "
            f"{count(len(run.evidence.sources), 'document')}; {used:,} rows are used here. A value not found in a "
            "source is left empty. Eligibility is judged row by row in the evidence, with a reason; the rules of each "
            "question then decide, and the ledger of each question accounts for every row.",
        )),
        Text((
            Strong("Synthesis. "),
            "Network meta-analysis; the Bayesian engine models " + "; ".join(data[k] for k in sorted(kinds)) + ". "
            "Intervals are 95 %: credible (CrI) for Bayesian, confidence (CI) for frequentist models. An effect is "
            "treatment minus comparator on the model's scale; ratios are shown back-transformed. The estimate of a "
            "Bayesian fit is the posterior mean on that scale.",
        )),
        Text((
            Strong("Words. "),
            "Whether a difference is called better, the same or not decided follows from the whole interval and the "
            "smallest difference that matters, stated with each outcome; where none is stated, only the direction "
            "is said.",
        )),
        models,
        Facts(items=((run.content_hash[:10], "run"), (run.evidence.content_hash[:10], "evidence"),
                     (review.content_hash[:10], "review"))),
    )  # fmt: skip
    return Section(id="methods", title="Methods", blocks=text)


def _priors(model) -> str:
    told = [f"effects {model.prior_d}" if model.prior_d else "", f"tau {model.prior_tau}" if model.prior_tau else ""]
    if model.prior_tau_for:
        told.append("; ".join(f"tau of {code} {prior}" for code, prior in model.prior_tau_for.items()))
    if model.engine == "gls":
        return f"none; tau by {model.tau}"
    return "; ".join(filter(None, told)) or "the library's defaults"
