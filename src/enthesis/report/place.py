"""The chapter on place in treatment: a table per population and line, a sentence per drug, the trail of the rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from enthesis.assess.place import Entry, Number, Places, Seen
from enthesis.assess.place_rules import Condition, Fired
from enthesis.assess.place_settings import Cell as PlaceCell
from enthesis.report.behind import records, source_address
from enthesis.report.place_words import Piece, harm_words, sentence, with_numbers, words
from enthesis.report.tables import Reading
from enthesis.report.values import (
    Axis,
    Block,
    Bullets,
    Cell,
    Column,
    Folded,
    Interval,
    Link,
    Part,
    Parts,
    Row,
    Section,
    Strong,
    Table,
    Text,
    anchor,
)
from enthesis.report.wording import count, interval, listed, number, percent, whole

if TYPE_CHECKING:
    from enthesis.living.run import Run


def sections(value: Places, run: Run, read: tuple[Reading, ...]) -> tuple[Section, ...]:
    """The chapter.

    Parameters
    ----------
    value : Places
    run : Run
    read : tuple of Reading

    Returns
    -------
    tuple of Section
    """
    by_id = {r.id: r for r in read}
    inner = [_cell(value, cell, run, by_id) for cell in value.settings.cells]
    inner += [_sequence(value), _rules(value), _sources(value, run)]
    intro = Text((
        "Each table is one population at one line of treatment. A place follows from rules that are data of the review "
        "(place.toml): they read the probability of a gain that matters, the certainty, the licence and the leading "
        f"guideline ({value.settings.guideline}). The first rule that fires decides; the trail under each table shows "
        "every rule with its numbers, and by how much it missed. Where a population and line has no study of a drug, "
        "nothing is said of its effect there.",
    ))  # fmt: skip
    return (Section(id="place", title="Place in treatment", blocks=(intro,), sections=tuple(inner)),)


def _cell(value: Places, cell: PlaceCell, run: Run, by_id: dict[str, Reading]) -> Section:
    entries = value.of_cell(cell.id)
    blocks: list[Block] = []
    if cell.id in value.problems:
        why = value.problems[cell.id].split(" Widen the question")[0]
        blocks.append(Text((Strong("Silence. "), f"There is no network for {cell.title}: {why}"), kind="warning"))
    spoken = [e for e in entries if e.seen.evidence != "none"]
    silent = [e for e in entries if e.seen.evidence == "none"]
    if entries:
        blocks.append(_table(value, cell, entries, run, by_id))
    if spoken:
        told = tuple(_linked(sentence(e, _outcome(run, e.seen)), e, by_id) for e in spoken)
        blocks.append(Bullets(told))
    if silent:
        told = Bullets(tuple(_linked(sentence(e), e, by_id) for e in silent))
        blocks.append(Folded(title=f"Drugs of which nothing can be said here: {len(silent)}", blocks=(told,)))
    if entries:
        blocks.append(Folded(title="The trail: which rules fired, which nearly did, and by how much",
                             blocks=(_trail(cell, entries),)))  # fmt: skip
    return Section(id=f"place-{cell.id}", title=cell.title, blocks=tuple(blocks))


def _table(value: Places, cell: PlaceCell, entries: tuple[Entry, ...], run: Run, by_id: dict[str, Reading]) -> Table:
    effects = [e.seen.effect for e in entries if e.seen.effect is not None]
    measure = effects[0].measure if effects else "effect"
    harm = next((n for e in entries for n in e.seen.harms if n.question == value.settings.harms[0]), None)
    rows = []
    for e in entries:
        s = e.seen
        mine = s.drug_class == run.review.focus_class
        place = (Strong(e.place.words),) if e.place.tone >= 2 else (e.place.words,)
        cells = [Cell((s.drug,)), Cell((s.drug_class,)), Cell(place, tone=e.place.tone or None)]
        if effects:
            cells.append(_drawn(s.effect, mine))
        gain = "–"
        if s.gain:
            told = f"{whole(s.gain.value)} ({whole(s.gain.lower)} to {whole(s.gain.upper)})"
            gain = Link(told, _where(s, by_id)) if s.question in by_id else told
        cells += [
            Cell((gain,)), Cell((percent(s.probability.value) if s.probability else "–",)), Cell((s.certainty or "–",)),
            Cell(({"stratum": "this line", "broader": "any line", "none": "none"}[s.evidence],)),
        ]  # fmt: skip
        if harm is not None:
            own = next((n for n in s.harms if n.question == harm.question), None)
            cells.append(Cell((interval(own.value, own.lower, own.upper) if own else "–",)))
        licences = f"#place-{cell.id}-licences"
        measures = f" ({count(len(s.licence.measures), 'measure')})" if s.licence.measures else ""
        cells += [
            Cell((Link(s.licence.in_short() + measures, licences) if s.licence.rows else "not in the evidence",)),
            Cell((next((p.position for p in s.positions if p.guideline == value.settings.guideline), "–"),)),
        ]  # fmt: skip
        rows.append(Row(tuple(cells), id=_row_id(e), strong=mine))
    columns = [Column("Drug"), Column("Class"), Column("Place", "words")]
    if effects:
        columns.append(Column(measure, "interval"))
    columns += [Column("More per 1,000", "number"), Column(f"P(gain > {percent(value.settings.margin)})", "number"),
                Column("Certainty"), Column("Evidence of")]  # fmt: skip
    if harm is not None:
        columns.append(Column(f"{_capital(harm.label)}, {harm.measure}", "number"))
    columns += [Column("Licence"), Column(value.settings.guideline or "Guideline")]
    return Table(
        id=f"place-{cell.id}-table", caption=f"{cell.title}: drugs and their place", columns=tuple(columns),
        rows=tuple(rows), axis=_axis(effects),
        note=("Effects, gains and harms are against the reference of the network, with 95 % intervals; they do not "
              "compare two drugs. Licence: regions at this line; later: only after a biologic. ",
              *_long_term(entries)),
    )  # fmt: skip


def _long_term(entries: tuple[Entry, ...]) -> Parts:
    """Long-term rate ratios of a class, said once."""
    found = {e.seen.drug_class: e.seen.long_term for e in entries if e.seen.long_term}
    return tuple(
        f"Long-term rates of {drug_class}, rate ratio: "
        + "; ".join(harm_words(n).replace(" rate ratio", "") for n in numbers) + ". "
        for drug_class, numbers in found.items()
    )  # fmt: skip


def _drawn(n: Number | None, strong: bool) -> Cell:
    if n is None:
        return Cell(("–",))
    return Cell(interval=Interval(estimate=n.value, lower=n.lower, upper=n.upper, strong=strong))


def _axis(effects: list[Number]) -> Axis | None:
    if not effects:
        return None
    log = effects[0].measure in ("OR", "RR", "HR", "IRR", "ROM")
    low, high = min(e.lower for e in effects), max(e.upper for e in effects)
    if log:
        return Axis(lower=max(min(low, 0.8), 0.05), upper=min(max(high, 1.25), 20.0), log=True, null=1.0,
                    left="worse", right="better")  # fmt: skip
    return Axis(lower=min(low, 0.0), upper=max(high, 0.0), log=False, null=0.0)


def _trail(cell: PlaceCell, entries: tuple[Entry, ...]) -> Table:
    rows = []
    for e in entries:
        for n, f in enumerate(e.trail):
            if not (f.fired or f in e.nearly or _told(f)):
                continue
            state = "decides" if f.rule is e.by else "fired" if f.fired else "nearly" if f in e.nearly else "no"
            rows.append(Row((
                Cell((e.seen.drug,)), Cell((Link(f.rule.id, "#" + anchor("place-rule", f.rule.id)),)),
                Cell((state,), tone={"decides": 3, "fired": 2, "nearly": 1}.get(state)),
                Cell(_conditions(f.conditions, f.rule.numbers)),
            ), id=_trail_id(e) if n == 0 or not any(r.id == _trail_id(e) for r in rows) else ""))  # fmt: skip
    return Table(id=f"place-{cell.id}-trail", caption=f"{cell.title}: the trail of the rules",
                 columns=(Column("Drug"), Column("Rule"), Column("Fired"),
                          Column("Conditions with their values", "long")), rows=tuple(rows),
                 note=("Rules of which no condition on a number could be judged are left out.",))  # fmt: skip


def _told(f: Fired) -> bool:
    """Whether a rule was judged on a number at all."""
    return any(isinstance(c.value, float) for c in f.conditions)


def _conditions(conditions: tuple[Condition, ...], numbers: Mapping[str, float | str]) -> Parts:
    parts: list[Part] = []
    for c in conditions:
        mark = {True: "yes", False: "no", None: "unknown"}[c.holds]
        by = f", missed by {number(c.missed_by, 3)}" if c.missed_by is not None else ""
        parts += ["; " if parts else "", f"{with_numbers(c.text, numbers)}: {mark} ({c.why}{by})"]
    return tuple(parts)


def _sequence(value: Places) -> Section:
    """What to try after what, as far as the evidence goes."""
    rows = []
    for step in value.settings.sequence:
        if not step.cell:
            rows.append(Row((Cell((step.population,)), Cell((step.after,)), Cell(("–",)), Cell(("–",)),
                             Cell((f"Silence: {step.why}.",)))))  # fmt: skip
            continue
        entries = value.of_cell(step.cell)
        tried = [e for e in entries if e.place.try_next]
        undecided = [e for e in entries if e.seen.evidence != "none" and not e.place.try_next]
        silent = [e for e in entries if e.seen.evidence == "none"]
        for some in (tried, undecided):
            some.sort(key=lambda e: (-e.place.tone, -(e.seen.gain.value if e.seen.gain else 0)))
        said = f"Silence: no result here of {listed([e.seen.drug for e in silent])}." if silent else "–"
        if step.cell in value.problems:
            said = f"Silence: {value.problems[step.cell].split(' (')[0].rstrip('.')}."
        rows.append(Row((Cell((step.population,)), Cell((Link(step.after, f"#place-{step.cell}"),)), Cell(_each(tried)),
                         Cell(_each(undecided)), Cell((said,)))))  # fmt: skip
    table = Table(
        id="place-sequence-table", caption="What to try after what, as far as the evidence by prior biologic goes",
        columns=(Column("Population"), Column("After"), Column("Rules support", "long"),
                 Column("Studied, no place given", "long"), Column("Silence", "long")), rows=tuple(rows),
        note=("Drugs are named by place, then by gain. Which biologic had failed is rarely reported; nothing here says "
              "that one order of drugs was compared with another.",),
    )  # fmt: skip
    return Section(id="place-sequence", title="In which order", blocks=(table,))


def _each(entries: list[Entry]) -> Parts:
    parts: list[Part] = []
    for e in entries:
        parts += ["; " if parts else "", Link(e.seen.drug, f"#{_row_id(e)}"), f" ({e.place.words})"]
    return tuple(parts) or ("–",)


def _rules(value: Places) -> Section:
    rows = tuple(
        Row((Cell((r.id,)), Cell((value.settings.places[r.place].words if r.place else f"caution: {r.adds}",)),
             Cell(("; ".join(r.when),)), Cell((", ".join(f"{k} = {v:g}" if not isinstance(v, str) else f"{k} = {v}"
                                                         for k, v in r.numbers.items()) or "–",)), Cell((r.says,))),
            id=anchor("place-rule", r.id))
        for r in value.settings.rules
    )  # fmt: skip
    table = Table(id="place-rules-table", caption="The rules, in the order in which they are asked",
                  columns=(Column("Rule"), Column("Gives", "words"), Column("When all of this holds", "long"),
                           Column("Numbers"), Column("Why", "long")), rows=rows)  # fmt: skip
    return Section(id="place-rules", title="Rules of place",
                   blocks=(Folded(title="All rules and their numbers", blocks=(table,)),), nav=False)  # fmt: skip


def _sources(value: Places, run: Run) -> Section:
    """Rows of licences and guidelines that were used, each with its document."""
    known = {str(s["source_id"]): s for s in records(run.evidence.sources)}
    blocks: list[Block] = []
    for cell in value.settings.cells:
        found: dict[str, tuple[str, str, str, tuple[str, ...]]] = {}
        for e in value.of_cell(cell.id):
            for r in e.seen.licence.rows:
                found[f"{e.seen.drug} {r.fact}"] = (e.seen.drug, f"{r.region}: {r.status} {r.date}".strip(),
                                                    r.restriction, r.sources)  # fmt: skip
            for r in e.seen.licence.measures:
                found[f"{e.seen.drug_class} {r.fact}"] = (e.seen.drug_class, f"{r.region}: {r.status} {r.date}".strip(),
                                                          r.restriction, r.sources)  # fmt: skip
            for p in e.seen.positions:
                found[f"{p.words} {p.fact}"] = (", ".join(p.of), f"{p.guideline} {p.year}, {p.statement_id}",
                                                f"{p.statement} (read as: {p.words})", p.sources)  # fmt: skip
        rows = tuple(
            Row((Cell((of,)), Cell((what,)), Cell((text or "–",)), Cell((" ".join(key.split()[-2:]),)),
                 Cell(_documents(sources, known))))
            for key, (of, what, text, sources) in found.items()
        )  # fmt: skip
        if rows:
            table = Table(id=f"place-{cell.id}-licences",
                          caption=f"{cell.title}: licences, measures, guideline statements",
                          columns=(Column("Drug or class"), Column("What"), Column("In words", "long"), Column("Row"),
                                   Column("Document", "long")), rows=rows)  # fmt: skip
            blocks.append(Folded(title=cell.title, blocks=(table,)))
    return Section(id="place-sources", title="Licences and guidelines behind it", blocks=tuple(blocks), nav=False)


def _documents(sources: tuple[str, ...], known: dict[str, dict[str, Any]]) -> Parts:
    parts: list[Part] = []
    for id in sources:
        source = known.get(id)
        title = str(source["title"] or id) if source else id
        address = source_address(source) if source else ""
        parts += ["; " if parts else "", Link(title, address) if address else title]
    return tuple(parts) or ("–",)


def _linked(pieces: tuple[Piece, ...], entry: Entry, by_id: dict[str, Reading]) -> Parts:
    """Pieces with links to what they rest on."""
    parts: list[Part] = []
    s = entry.seen
    to = {
        "effect": _where(s, by_id),
        "question": f"#q-{s.question}.data" if s.question in by_id else "",
        "trail": f"#{_trail_id(entry)}",
        "licence": f"#place-{s.cell.id}-licences" if s.licence.rows or s.licence.measures or s.positions else "",
        "guideline": f"#place-{s.cell.id}-licences",
    }
    for p in pieces:
        if p.kind == "strong":
            parts.append(Strong(p.text))
        else:
            target = to.get(p.kind, "")
            parts.append(Link(p.text, target) if target else p.text)
    return tuple(parts)


def _where(seen: Seen, by_id: dict[str, Reading]) -> str:
    reading = by_id.get(seen.question)
    return "#" + reading.where(seen.drug, seen.reference) if reading is not None and reading.fit is not None else ""


def _outcome(run: Run, seen: Seen) -> str:
    return run.answer(seen.question).question.asked.label


def _row_id(entry: Entry) -> str:
    return anchor("place", entry.seen.cell.id, entry.seen.drug)


def _trail_id(entry: Entry) -> str:
    return anchor("place-trail", entry.seen.cell.id, entry.seen.drug)


def messages(value: Places, run: Run, read: Any) -> tuple[Parts, ...]:
    """One key message per population: what has a place at which line."""
    told: dict[str, list[Part]] = {}
    for cell in value.settings.cells:
        entries = value.of_cell(cell.id)
        parts: list[Part] = []
        kinds = sorted({e.place.id for e in entries if e.place.try_next},
                       key=lambda k: -value.settings.places[k].tone)  # fmt: skip
        for id in kinds:
            names = [e.seen.drug for e in entries if e.place.id == id]
            parts += ["; " if parts else "", f"{value.settings.places[id].words}: {listed(names)}"]
        undecided = [e for e in entries if e.seen.evidence != "none" and not e.place.try_next]
        if undecided:
            parts += ["; " if parts else "", f"no place given to {listed([e.seen.drug for e in undecided])}"]
        if not parts:
            parts = ["nothing can be said: there is no study by prior biologic"
                     if cell.line != "naive" else "nothing can be said: there is no study"]  # fmt: skip
        its = told.setdefault(cell.population, [Strong(f"Place in {cell.population}. ")])
        line = "biologic-naive" if cell.line == "naive" else "after a biologic"
        its += [Link(_capital(line), f"#place-{cell.id}"), ": ", *parts, ". "]
    return tuple((*parts[:-1], str(parts[-1]).rstrip()) for parts in told.values())


def limits(value: Places, run: Run, read: Any) -> tuple[Parts, ...]:
    """What the places do not say."""
    return (
        (
            Strong("Places are not advice. "),
            "They follow from rules that anybody can change (place.toml), from the licences and guideline statements "
            "that are in the evidence, and from the effect of each drug against the reference. Price, route, other "
            "manifestations of the disease and what a patient wants are not in the rules.",
        ),
    )


def as_json(value: Places, run: Run) -> dict[str, Any]:
    """The key `place` of `results.json`."""
    return {"place": [entry_record(e, _outcome(run, e.seen) if e.seen.question else "") for e in value.entries]}


def entry_record(e: Entry, outcome: str = "the outcome") -> dict[str, Any]:
    """An entry as plain values."""
    s = e.seen
    return {
        "population": s.cell.population, "line": s.cell.line, "cell": s.cell.id, "drug": s.drug,
        "drug_class": s.drug_class, "place": e.place.id, "place_in_words": e.place.words,
        "sentence": words(sentence(e, outcome)).strip(), "decided_by": e.by.id if e.by else None,
        "evidence": s.evidence, "question": s.question or None, "reference": s.reference or None,
        "silence": s.silence if s.evidence == "none" else None, "certainty": s.certainty or None,
        "studies": s.n_studies, "patients": s.patients,
        "rules_fired": [fired_record(f) for f in e.fired], "rules_nearly_fired": [fired_record(f) for f in e.nearly],
        "numbers": [number_record(n) for n in s.numbers],
        "licence": {
            "at": {region: s.licence.at(region) for region in s.licence.regions},
            "rows": [_licence_record(r) for r in s.licence.rows],
            "measures": [_licence_record(r) for r in s.licence.measures],
        },
        "guidelines": [{"guideline": p.guideline, "year": p.year, "statement_id": p.statement_id,
                        "position": p.position, "words": p.words, "row": p.fact, "sources": list(p.sources)}
                       for p in s.positions],
    }  # fmt: skip


def fired_record(f: Fired) -> dict[str, Any]:
    """A rule with its conditions as plain values."""
    return {
        "rule": f.rule.id, "place": f.rule.place or None, "adds": f.rule.adds or None,
        "numbers": dict(f.rule.numbers),
        "conditions": [{"condition": c.text, "holds": c.holds, "value": c.value, "needed": c.needed,
                        "missed_by": c.missed_by, "why": c.why} for c in f.conditions],
    }  # fmt: skip


def number_record(n: Number) -> dict[str, Any]:
    """A number with its question, rows and sources."""
    return {"name": n.name, "value": n.value, "lower": n.lower, "upper": n.upper, "measure": n.measure,
            "question": n.question or None, "rows": list(n.rows), "sources": list(n.sources),
            "studies": list(n.studies)}  # fmt: skip


def _licence_record(r: Any) -> dict[str, Any]:
    return {"region": r.region, "status": r.status, "date": r.date, "restriction": r.restriction, "line": r.line,
            "row": r.fact, "sources": list(r.sources)}  # fmt: skip


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
