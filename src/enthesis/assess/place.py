"""Place in treatment: for each population and line of treatment a row per drug, and a place chosen by rules as data.

For each drug of a cell the evidence of that cell is used; where it has none, a broader network of any line of treatment
may speak, and is named as such; where neither has the drug, nothing is said of its effect. Numbers, certainty,
long-term safety, licences and guideline positions are gathered once (`Seen`); `decide` then applies the rules, so a
changed threshold decides again without a fit. Every number keeps its question, its result rows and its sources.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from enthesis.assess.expressions import Draws, Scope, probability
from enthesis.assess.licence import Licence, Position, licence, positions
from enthesis.assess.place_rules import Fired, Rule, Silent, apply
from enthesis.assess.place_settings import Cell, PlaceKind, PlaceSettings, read_settings
from enthesis.assess.quantities import fit_scope
from enthesis.errors import EnthesisError
from enthesis.estimands import absolute_effects, relative_effects

if TYPE_CHECKING:
    from enthesis.inference.fit import Fit

Three = tuple[float, float, float]
LEVELS: dict[str, float] = {"very low": 1.0, "low": 2.0, "moderate": 3.0, "high": 4.0}
#: functions of a fit that name treatments
_OF_TREATMENTS = ("effect", "new", "gain", "risk", "rank")


@dataclass(frozen=True, kw_only=True)
class Number:
    """A number used, and what it rests on.

    Parameters
    ----------
    name : str
        "effect", "gain per 1,000", "P(gain > 0.1)", "sae", "zoster, average" ...
    value, lower, upper : float
        On the scale people read; the ends are NaN for a probability.
    label : str
        The outcome in words.
    measure : str
        `OR`, `per 1,000`, `probability`, `rate ratio`.
    question : str
        Of the review, or the outcome and stratum of the safety part.
    rows, sources, studies : tuples of str
        Result rows, documents and studies behind it that compare the drug directly.
    """

    name: str
    value: float
    lower: float = float("nan")
    upper: float = float("nan")
    label: str = ""
    measure: str = ""
    question: str = ""
    rows: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    studies: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What is known of a drug in a cell, before any rule.

    Parameters
    ----------
    cell : Cell
    drug, drug_class : str
    evidence : {"stratum", "broader", "none"}
    question : str
        That answers; empty without evidence.
    reference : str
    silence : str
        Why there is no evidence of the cell's own.
    n_studies, patients : int, float
        Studies that compare the drug with the reference directly; patients in its own arms.
    effect, gain : Number or None
    probability : Number or None
        Of a gain above the margin of the settings.
    harms, long_term : tuple of Number
    certainty, certainty_because : str
        Level of the drug against the reference; empty when it is not rated.
    licence : Licence
    positions : tuple of Position
        Of guidelines that place the drug at this line.
    """

    cell: Cell
    drug: str
    drug_class: str
    evidence: str
    question: str = ""
    reference: str = ""
    silence: str = ""
    n_studies: int = 0
    patients: float = float("nan")
    effect: Number | None = None
    gain: Number | None = None
    probability: Number | None = None
    harms: tuple[Number, ...] = ()
    long_term: tuple[Number, ...] = ()
    certainty: str = ""
    certainty_because: str = ""
    licence: Licence = field(default_factory=Licence)
    positions: tuple[Position, ...] = ()
    draws: Mapping[str, Draws] = field(default_factory=dict, repr=False, compare=False)
    fit: Any = field(default=None, repr=False, compare=False)
    risk: float | None = None

    @property
    def numbers(self) -> tuple[Number, ...]:
        """Every number, in the order of the table."""
        return tuple(n for n in (self.effect, self.gain, self.probability, *self.harms, *self.long_term) if n)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A drug's place in a cell.

    Parameters
    ----------
    seen : Seen
    place : PlaceKind
    by : Rule or None
        The rule that decided; None when none did.
    cautions : tuple of Rule
        Rules that fired and add a caution.
    trail : tuple of Fired
        Every rule.
    places : mapping of str to PlaceKind
    """

    seen: Seen
    place: PlaceKind
    by: Rule | None
    cautions: tuple[Rule, ...]
    trail: tuple[Fired, ...]
    places: Mapping[str, PlaceKind] = field(default_factory=dict, repr=False)

    @property
    def fired(self) -> tuple[Fired, ...]:
        """Rules that fired."""
        return tuple(f for f in self.trail if f.fired)

    @property
    def nearly(self) -> tuple[Fired, ...]:
        """Rules that nearly fired: a number closely missed, or a word that alone keeps the drug from a better place."""
        return tuple(f for f in self.trail if f.nearly and (f.failing[0].missed_by is not None or self._lifts(f.rule)))

    def _lifts(self, rule: Rule) -> bool:
        return bool(rule.place) and self.places[rule.place].tone > self.place.tone


@dataclass(frozen=True, kw_only=True)
class Places:
    """The part `place` of a run.

    Parameters
    ----------
    settings : PlaceSettings
    seen : tuple of Seen
    entries : tuple of Entry
        By cell, then class, then from the largest gain.
    problems : dict of str to str
        By cell, why it has no network of its own.
    """

    settings: PlaceSettings
    seen: tuple[Seen, ...]
    entries: tuple[Entry, ...]
    problems: Mapping[str, str] = field(default_factory=dict)

    def of_cell(self, id: str) -> tuple[Entry, ...]:
        """The entries of a cell."""
        return tuple(e for e in self.entries if e.seen.cell.id == id)

    def entry(self, cell: str, drug: str) -> Entry | None:
        """The entry of a drug in a cell, or None."""
        return next((e for e in self.of_cell(cell) if e.seen.drug == drug), None)

    def decided_again(self, values: Mapping[str, Any]) -> Places:
        """The same evidence under other numbers in the rules; nothing is fitted."""
        settings = self.settings.with_values(values)
        return decide(self.seen, settings, self.problems)


def compute(run: Any, settings: Path, done: Mapping[str, Any]) -> Places:
    """The place of every drug.

    Parameters
    ----------
    run : Run
    settings : Path
        `place.toml` of the review.
    done : mapping
        Parts computed before: `safety` and `certainty` are used when they are there.

    Returns
    -------
    Places
    """
    chosen = read_settings(settings)
    known = {q.id for q in run.review.questions}
    from enthesis.errors import DataError, unknown_name

    for id in {q for c in chosen.cells for q in (c.question, c.broader) if q} | set(chosen.harms):
        if id not in known:
            raise DataError(str(unknown_name("question", id, known)), file=settings.name, column="question")
    gather = _Gather(run, chosen, done)
    seen = tuple(s for cell in chosen.cells for s in gather.cell(cell))
    return decide(seen, chosen, gather.problems)


def decide(seen: tuple[Seen, ...], settings: PlaceSettings, problems: Mapping[str, str] | None = None) -> Places:
    """Apply the rules to what is known.

    Parameters
    ----------
    seen : tuple of Seen
    settings : PlaceSettings
    problems : dict, optional
        By cell, why it has no network.

    Returns
    -------
    Places
    """
    order = {c.id: i for i, c in enumerate(settings.cells)}
    classes = {c: i for i, c in enumerate(settings.classes)}
    entries = []
    for s in seen:
        trail = apply(settings.rules, functions(s, settings), names(s), near=settings.near)
        fired = [f.rule for f in trail if f.fired]
        by = next((r for r in fired if r.place), None)
        kind = settings.places[by.place if by else settings.default]
        entries.append(Entry(seen=s, place=kind, by=by, cautions=tuple(r for r in fired if r.adds), trail=trail,
                             places=settings.places))  # fmt: skip
    entries.sort(key=lambda e: (order[e.seen.cell.id], classes.get(e.seen.drug_class, len(classes)),
                                -(e.seen.gain.value if e.seen.gain else -1e9), e.seen.drug))  # fmt: skip
    return Places(settings=settings, seen=tuple(seen), entries=tuple(entries), problems=dict(problems or {}))


def names(seen: Seen) -> dict[str, Any]:
    """Names with a value in the rules for this drug."""
    return {"drug": seen.drug, "drug_class": seen.drug_class, "reference": seen.reference,
            "population": seen.cell.population, "line": seen.cell.line}  # fmt: skip


def functions(seen: Seen, settings: PlaceSettings) -> dict[str, Callable[..., Any]]:
    """Functions of the rules for this drug; each raises Silent where the number is not there."""

    def missing(name: str) -> Callable[..., Any]:
        def silent(*_: object) -> Any:
            raise Silent(f"{name} is not known: {seen.silence or 'there is no fit'}")

        return silent

    of_fit = dict(fit_scope(seen.fit, seen.risk).functions) if seen.fit is not None else {}
    found: dict[str, Callable[..., Any]] = {name: of_fit.get(name, missing(name)) for name in _OF_TREATMENTS}
    found |= {name: f for name, f in of_fit.items() if name not in found}
    found["tau"] = of_fit.get("tau", missing("tau"))

    def certainty() -> float:
        if not seen.certainty:
            raise Silent("the certainty is not rated")
        return LEVELS[seen.certainty]

    def harm(question: str) -> Draws:
        if question not in seen.draws:
            raise Silent(f"{seen.drug} is not in the network of {question}")
        return seen.draws[question]

    def rate_ratio(outcome: str, stratum: str) -> Draws:
        if f"{outcome}, {stratum}" not in seen.draws:
            raise Silent(f"there is no long-term rate ratio of {outcome} ({stratum}) for {seen.drug_class}")
        return seen.draws[f"{outcome}, {stratum}"]

    def guideline(name: str = "") -> str:
        wanted = name or settings.guideline
        return next((p.position for p in seen.positions if p.guideline == wanted), "not stated")

    return found | {
        "evidence": lambda: seen.evidence, "studies": lambda: float(seen.n_studies), "certainty": certainty,
        "licence": lambda region="": seen.licence.at(region), "measures": lambda: float(len(seen.licence.measures)),
        "guideline": guideline, "harm": harm, "rate_ratio": rate_ratio,
    }  # fmt: skip


class _Gather:
    """Reads what is known of every drug, each question once."""

    def __init__(self, run: Any, settings: PlaceSettings, done: Mapping[str, Any]) -> None:
        self.run, self.settings = run, settings
        self.certainty = done.get("certainty")
        self.safety = done.get("safety")
        self.problems: dict[str, str] = {}
        self._answers: dict[str, Any] = {}
        self._tables: dict[str, Any] = {}

    def answer(self, id: str) -> Any:
        """The answer to a question, or None when it was not asked in this run."""
        if id not in self._answers:
            try:
                self._answers[id] = self.run.answer(id)
            except EnthesisError:
                self._answers[id] = None
        return self._answers[id]

    @cached_property
    def documents(self) -> dict[str, str]:
        """The documents of each result row."""
        frames = (self.run.evidence.outcomes, self.run.evidence.contrasts)
        return {r: s for f in frames for r, s in zip(f["result_id"], f["source_id"], strict=True)}

    @cached_property
    def regulatory(self) -> list[dict[str, Any]]:
        """Rows of the regulatory table with the name of each."""
        return _named_rows(self.run.evidence.regulatory, "regulatory")

    @cached_property
    def positions(self) -> tuple[Position, ...]:
        """Guideline positions with the row behind each."""
        return positions(self.settings.positions, _named_rows(self.run.evidence.guidelines, "guidelines"))

    def cell(self, cell: Cell) -> list[Seen]:
        """What is known of every drug in a cell."""
        own, broader = self.answer(cell.question), self.answer(cell.broader) if cell.broader else None
        if own is None:
            self.problems[cell.id] = f"The question {cell.question} was not asked in this run."
        elif own.fit is None:
            self.problems[cell.id] = own.problem or "; ".join(own.problems.values())
        found: dict[str, str] = {}
        for answer in (own, broader):
            if answer is not None and answer.fit is not None:
                found |= {t.name: t.drug_class for t in answer.fit.network.treatments
                          if t.drug_class in self.settings.classes}  # fmt: skip
        for drug in self.run.review.treatments.drugs:
            if drug.specific and drug.drug_class in self.settings.classes and drug.name not in found:
                rows = self.licence(drug.name, drug.drug_class, cell).rows
                if rows:
                    found[drug.name] = drug.drug_class
        return [self.seen(cell, drug, drug_class, own, broader) for drug, drug_class in found.items()]

    def licence(self, drug: str, drug_class: str, cell: Cell) -> Licence:
        """What regulators say of a drug in a cell."""
        return licence(self.regulatory, drug, drug_class, indications=cell.indications, line=cell.line,
                       wording=self.settings.wording, general=self.settings.general)  # fmt: skip

    def seen(self, cell: Cell, drug: str, drug_class: str, own: Any, broader: Any) -> Seen:
        """What is known of one drug in a cell."""
        answer, evidence = next(
            ((a, kind) for a, kind in ((own, "stratum"), (broader, "broader"))
             if a is not None and a.fit is not None and drug in a.fit.treatments), (None, "none")
        )  # fmt: skip
        silence = ""
        if evidence != "stratum":
            silence = self.problems.get(cell.id) or f"no study of {drug} is in the network of {cell.question}"
        known: dict[str, Any] = {
            "cell": cell, "drug": drug, "drug_class": drug_class, "evidence": evidence, "silence": silence,
            "licence": self.licence(drug, drug_class, cell),
            "positions": tuple(p for p in self.positions if p.speaks_of(drug, drug_class, cell.line)),
        }  # fmt: skip
        harms, long_term, draws = self.harms(drug), self.long_term(drug_class), {}
        for n, d in (*harms, *long_term):
            draws[n.name] = d
        known |= {"harms": tuple(n for n, _ in harms), "long_term": tuple(n for n, _ in long_term), "draws": draws}
        if answer is None:
            return Seen(**known)
        return Seen(**known, **self.numbers(answer, drug))

    def numbers(self, answer: Any, drug: str) -> dict[str, Any]:
        """Effect, gain, probability and certainty of a drug against the reference in an answer."""
        fit, id = answer.fit, answer.question.id
        reference = fit.reference
        rows, sources, studies = behind(answer, drug, reference, self.documents)
        origin = {
            "label": answer.question.asked.label,
            "question": id,
            "rows": rows,
            "sources": sources,
            "studies": studies,
        }
        measure = fit.network.measure
        table = self._table(f"effects {id}", lambda: relative_effects(fit, reference).set_index("treatment"))
        at = table.loc[drug]
        value, lower, upper = (float(measure.back_transform(at[c])) for c in ("estimate", "lower", "upper"))
        effect = Number(name="effect", value=value, lower=lower, upper=upper, measure=measure.name, **origin)
        gain = chance = None
        risk = answer.baseline.risk if answer.baseline is not None else None
        if risk is not None:
            absolute = self._table(f"gains {id}", lambda: absolute_effects(fit, risk).set_index("treatment")).loc[drug]
            gain = Number(name="gain per 1,000", value=float(absolute["difference_per_1000"]), measure="per 1,000",
                          lower=float(absolute["difference_lower"]), upper=float(absolute["difference_upper"]),
                          **origin)  # fmt: skip
            scope: Scope = self._table(f"scope {id}", lambda: fit_scope(fit, risk))
            more = scope.functions["gain"](drug, reference)
            p = probability(more.like(more.values > self.settings.margin))
            chance = Number(name=f"P(gain > {self.settings.margin:g})", value=float(p), measure="probability", **origin)
        rating = self.certainty.rating(id, drug, reference) if self.certainty is not None else None
        arms = [arm for c in answer.selection.choices for arm in c.arms if arm.node.name == drug]
        known = [arm.n for arm in arms if arm.n]
        return {
            "question": id, "reference": reference, "n_studies": len(studies), "effect": effect, "gain": gain,
            "patients": float(sum(known)) if known else float("nan"), "probability": chance, "fit": fit, "risk": risk,
            "certainty": rating.level if rating is not None else "",
            "certainty_because": ", ".join(rating.down) if rating is not None else "",
        }  # fmt: skip

    def harms(self, drug: str) -> list[tuple[Number, Draws]]:
        """Harms in the period of the controlled comparison, each with its draws."""
        found = []
        for id in self.settings.harms:
            answer = self.answer(id)
            if answer is None or answer.fit is None or drug not in answer.fit.treatments:
                continue
            fit: Fit = answer.fit
            measure = fit.network.measure
            at = self._table(f"effects {id}", lambda f=fit: relative_effects(f, f.reference).set_index("treatment"))
            row = at.loc[drug]
            value, lower, upper = (float(measure.back_transform(row[c])) for c in ("estimate", "lower", "upper"))
            rows, sources, studies = behind(answer, drug, fit.reference, self.documents)
            scope: Scope = self._table(f"scope {id}", lambda f=fit: fit_scope(f, None))
            found.append((Number(name=id, value=value, lower=lower, upper=upper, measure=measure.name, question=id,
                                 label=answer.question.asked.label, rows=rows, sources=sources, studies=studies),
                          scope.functions["effect"](drug, fit.reference)))  # fmt: skip
        return found

    def long_term(self, drug_class: str) -> list[tuple[Number, Draws]]:
        """Long-term rate ratios of the class, each with its draws."""
        found = []
        for outcome, stratum in self.settings.long_term if self.safety is not None else ():
            result = next((r for r in self.safety.results if (r.outcome, r.stratum) == (outcome, stratum)), None)
            if result is None or result.rate_ratio is None or drug_class != result.comparison[0]:
                continue
            ratio = result.rate_ratio
            used = [s for s in result.sources if not s.left_out]
            rows = tuple(dict.fromkeys(r for s in used for r in s.rows))
            values = np.asarray(ratio.draws, dtype=float)
            name = f"{outcome}, {stratum}"
            number = Number(
                name=name, value=ratio.estimate, lower=ratio.lower, upper=ratio.upper, question=name,
                label=f"{result.name}, {result.stratum_label}", measure="rate ratio",
                rows=rows, sources=sources_of(rows, self.documents),
                studies=tuple(dict.fromkeys(s.study for s in used)),
            )  # fmt: skip
            found.append((number, Draws(values, np.full(len(values), 1 / len(values)), name)))
        return found

    def _table(self, key: str, make: Callable[[], Any]) -> Any:
        if key not in self._tables:
            self._tables[key] = make()
        return self._tables[key]


def behind(
    answer: Any, drug: str, reference: str, documents: Mapping[str, str]
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Result rows, sources and studies that compare a drug with the reference directly.

    Parameters
    ----------
    answer : Answer
    drug, reference : str
    documents : mapping of str to str
        Source ids of each result row, separated by semicolons.
    """
    rows: list[str] = []
    studies: list[str] = []
    for choice in answer.selection.choices:
        its = [arm for arm in choice.arms if arm.node.name in (drug, reference)]
        if {arm.node.name for arm in its} != {drug, reference} or choice.study in answer.unconnected:
            continue
        studies.append(choice.study)
        rows += [row.id for arm in its for row in arm.rows]
    return tuple(dict.fromkeys(rows)), sources_of(rows, documents), tuple(dict.fromkeys(studies))


def sources_of(rows: Iterable[str], documents: Mapping[str, str]) -> tuple[str, ...]:
    """The documents of rows, once each."""
    parts = (part.strip() for row in rows for part in str(documents.get(row, "")).split(";"))
    return tuple(dict.fromkeys(part for part in parts if part))


def _named_rows(frame: Any, table: str) -> list[dict[str, Any]]:
    """Rows of a table of the evidence, each with the name of its place in the file."""
    rows = frame.to_dict("records")
    return [{**row, "fact": f"{table}.csv:row {row['file_row']}" if row.get("file_row") else f"fact {row['fact_id']}"}
            for row in rows]  # fmt: skip


__all__ = ["Entry", "Number", "Places", "Seen", "behind", "compute", "decide", "functions", "names"]
