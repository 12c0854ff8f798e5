"""From evidence to network: apply a question, row by row and study by study, and keep the account.

`select` decides and never fails on an empty stratum; `build` turns its selection into a `Network`. Every row of the
outcome ends in exactly one place: behind an arm, or in one excluded entry of the ledger.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from enthesis.errors import DataError
from enthesis.evidence.rate_kind import compatible
from enthesis.network.blocks import ArmBlock, ArmCounts, ArmMeans, ArmRates
from enthesis.network.candidates import Row, candidates
from enthesis.network.choice import Arm, Choice, choose
from enthesis.network.ledger import Entry, Ledger
from enthesis.network.measures import measure
from enthesis.network.network import Network
from enthesis.network.question import Question
from enthesis.network.rules import ROW_RULES, patients
from enthesis.network.treatments import TreatmentMap

if TYPE_CHECKING:
    import pandas as pd

    from enthesis.evidence import Evidence


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What a question takes from the evidence.

    Parameters
    ----------
    question : Question
    choices : tuple of Choice
        The studies used, by year and name, each with its arms.
    ledger : Ledger
    rows : tuple of str
        Every row of the outcome in the evidence.
    """

    question: Question
    choices: tuple[Choice, ...]
    ledger: Ledger
    rows: tuple[str, ...]

    @cached_property
    def used(self) -> tuple[str, ...]:
        """The rows behind the arms."""
        return tuple(row.id for c in self.choices for arm in c.arms for row in arm.rows)

    @cached_property
    def excluded(self) -> tuple[str, ...]:
        """The rows left out."""
        return tuple(row for entry in self.ledger.excluded for row in entry.rows)

    @property
    def studies(self) -> tuple[str, ...]:
        """Names of the studies used."""
        return tuple(c.study for c in self.choices)

    def flow(self) -> pd.DataFrame:
        """How the rows of the outcome were used.

        Returns
        -------
        pandas.DataFrame
            rule (the last line is `used`), rows, studies touched by the rule; in the order of the rules.
        """
        import pandas as pd

        rows: Counter[str] = Counter()
        studies: dict[str, set[str]] = defaultdict(set)
        for entry in self.ledger.excluded:
            rows[entry.rule] += len(entry.rows)
            studies[entry.rule].add(entry.study)
        order = [rule.name for rule in ROW_RULES]
        names = sorted(rows, key=lambda name: order.index(name) if name in order else len(order))
        records = [(name, rows[name], len(studies[name])) for name in names]
        return pd.DataFrame(
            [*records, ("used", len(self.used), len(self.choices))], columns=["rule", "rows", "studies"]
        )

    def studies_out(self) -> pd.DataFrame:
        """Why each study of the asked study types and populations that is not used is out.

        Returns
        -------
        pandas.DataFrame
            study, rule, reason: the rule that its last remaining row met.
        """
        import pandas as pd

        last: dict[str, Entry] = {}
        order = {name: at for at, name in enumerate(("outcome not reported", *(rule.name for rule in ROW_RULES)))}
        early = {"study type", "population"}
        for entry in self.ledger.excluded:
            if entry.study in self.studies or entry.rule in early:
                continue
            known = last.get(entry.study)
            if known is None or order.get(entry.rule, 99) > order.get(known.rule, 99):
                last[entry.study] = entry
        records = [(study, entry.rule, entry.reason) for study, entry in sorted(last.items())]
        return pd.DataFrame(records, columns=["study", "rule", "reason"])


def select(evidence: Evidence, question: Question, treatments: TreatmentMap | None = None) -> Selection:
    """Decide for every row of the outcome whether and how it is used.

    Parameters
    ----------
    evidence : Evidence
    question : Question
    treatments : TreatmentMap, optional
        Without one, drug and class are those of the arm rows.

    Returns
    -------
    Selection
        Also when nothing is left; its ledger then says why.

    Examples
    --------
    >>> from enthesis.evidence import bundled_evidence
    >>> question = Question(id="r", title="ASAS40", outcome="ASAS40", populations=("r-axSpA",))
    >>> found = select(bundled_evidence(), question)
    >>> len(found.used) + len(found.excluded) == len(found.rows)
    True
    """
    treatments = treatments or TreatmentMap()
    rows = candidates(evidence).get(question.outcome, ())
    entries: list[Entry] = []
    passed: dict[str, list[Row]] = defaultdict(list)
    refused: dict[tuple[str, str, str, str], list[str]] = defaultdict(list)
    for row in rows:
        for rule in ROW_RULES:
            reason = rule.judge(row, question, treatments)
            if reason:
                refused[rule.name, row.study_id, row.arm_id, reason].append(row.id)
                break
        else:
            passed[row.study_id].append(row)
    entries += [
        Entry(action="excluded", rule=rule, reason=reason, study=study, arm=arm, rows=tuple(ids))
        for (rule, study, arm, reason), ids in refused.items()
    ]
    chosen = [choose(study, its, question, treatments) for study, its in passed.items()]
    _whole_or_parts(chosen, {study: its[0].study.get("part_of", "") for study, its in passed.items()})
    year = {study: its[0].study.get("year") or 9999 for study, its in passed.items()}
    chosen.sort(key=lambda c: (year[c.study], c.study))
    entries += [entry for c in chosen for entry in c.entries]
    entries += _not_reported(evidence, question, {row.study_id for row in rows})
    entries += _unmapped(chosen, treatments)
    return Selection(
        question=question,
        choices=tuple(c for c in chosen if c.arms),
        ledger=Ledger(tuple(entries)),
        rows=tuple(row.id for row in rows),
    )


def _whole_or_parts(chosen: list[Choice], part_of: dict[str, str]) -> None:
    """Where a whole trial and its parts can both be used, the whole is, and the parts go to the ledger."""
    whole = {c.study for c in chosen if c.arms}
    for choice in chosen:
        parent = part_of.get(choice.study)
        if choice.arms and parent and parent in whole:
            rows = [row for arm in choice.arms for row in arm.rows]
            choice.arms = []
            choice.entries = [e for e in choice.entries if e.action == "excluded"]
            choice.exclude(rows, "part of a study that is used whole", f"The patients are in {parent}.")


def _not_reported(evidence: Evidence, question: Question, reported: set[str]) -> list[Entry]:
    """Studies of the asked type and population without a row of the outcome."""
    studies = evidence.studies
    asked = studies[studies.design.isin(question.designs) & studies.population.isin(question.populations)]
    return [
        Entry(
            action="excluded",
            rule="outcome not reported",
            reason=f"No result of {question.outcome} in the evidence"
            + (f" (study {status})." if status and status != "completed" else "."),
            study=study,
        )
        for study, status in zip(asked.study_id, asked.status, strict=True)
        if study not in reported
    ]


def _unmapped(chosen: list[Choice], treatments: TreatmentMap) -> list[Entry]:
    unknown: dict[str, list[str]] = defaultdict(list)
    for row in (row for c in chosen for arm in c.arms for row in arm.rows):
        if treatments.drugs and treatments.drug(row.arm) is None:
            unknown[row.arm["treatment"]].append(row.id)
    return [
        Entry(action="note", rule="not in the treatment map", rows=tuple(ids),
              reason=f"{name} is not in the treatment map; drug and class are those of the arm row.")
        for name, ids in unknown.items()
    ]  # fmt: skip


def build(evidence: Evidence, question: Question, treatments: TreatmentMap | None = None) -> Network:
    """The network that answers a question.

    Parameters
    ----------
    evidence : Evidence
    question : Question
    treatments : TreatmentMap, optional

    Returns
    -------
    Network
        With its ledger; studies by year and name, treatments with the reference first, then by class. It may have
        unconnected parts.

    Raises
    ------
    DataError
        When no study is left; the message counts the rows by the rule that took them.

    Examples
    --------
    >>> from enthesis.evidence import bundled_evidence
    >>> question = Question(id="nr", title="ASAS40", outcome="ASAS40", populations=("nr-axSpA",))
    >>> network = build(bundled_evidence(), question)
    >>> network.reference, network.better, network.measure.name
    ('placebo', 'higher', 'OR')
    """
    return network_of(select(evidence, question, treatments), treatments)


def network_of(selection: Selection, treatments: TreatmentMap | None = None) -> Network:
    """The network of a selection; see `build`."""
    question, choices = selection.question, selection.choices
    if not choices:
        counts = Counter({e.rule: 0 for e in selection.ledger.excluded})
        for entry in selection.ledger.excluded:
            counts[entry.rule] += len(entry.rows)
        told = ", ".join(f"{rule} ({n})" for rule, n in counts.most_common() if n)
        raise DataError(
            f"no study answers the question {question.id!r} ({question.outcome}, {question.stratum}): "
            + (f"its {len(selection.rows)} rows are left out by: {told}" if told else "the outcome has no row"),
            fix="Widen the question, or add evidence.",
        )
    if question.kind == "rate" and not question.rate_of:
        one_rate_kind([row for c in choices for arm in c.arms for row in arm.rows])
    order = (treatments or TreatmentMap()).order
    nodes = {arm.node.name: arm.node for c in choices for arm in c.arms}
    entries: tuple[Entry, ...] = ()
    reference = question.reference
    if reference not in nodes:
        often = Counter(arm.node.name for c in choices for arm in c.arms)
        reference = min(often, key=lambda name: (-often[name], name))
        entries = (
            Entry(action="note", rule="reference",
                  reason=f"{question.reference} is in no study; effects are expressed against {reference}."),
        )  # fmt: skip
    listed = tuple(sorted(nodes.values(), key=lambda t: (t.name != reference, *order(t))))
    place = {t.name: i for i, t in enumerate(listed)}
    return Network(
        studies=selection.studies,
        treatments=listed,
        blocks=(_block(question.kind, choices, place),),
        measure=measure(question.scale),
        reference=reference,
        better=question.asked.better,
        outcome=question.outcome,
        title=question.title,
        mid=question.difference,
        covariates=_covariates(choices),
        ledger=selection.ledger + entries,
    )


def one_rate_kind(rows: Sequence[Row]) -> str:
    """The kind of rate that all rows can stand for; refuses rows of several kinds and rows that do not say.

    Parameters
    ----------
    rows : sequence of Row
        Rate rows.

    Returns
    -------
    str
        `events` or `patients`.

    Raises
    ------
    DataError
        Naming the rows: rates of events and rates of patients with an event are different quantities.
    """
    left = {
        kind: [row for row in rows if not compatible(row.rate_of, kind, events=row.events, outcome=row.outcome)]
        for kind in ("patients", "events")
    }
    kind = min(left, key=lambda name: len(left[name]))
    if not left[kind]:
        return kind
    unstated = [row for row in left[kind] if row.rate_of == "unstated"]
    if unstated:
        raise DataError(
            f"{_named(unstated)} {'do' if len(unstated) > 1 else 'does'} not say whether the rate counts events or "
            "patients with an event; what is unstated is not pooled silently",
            column="rate_of",
            fix="Fill the column from the source, or set rate_of in the question; other rows are then left out.",
        )
    other = "events" if kind == "patients" else "patients"
    having = [row for row in rows if row.rate_of == kind and row.events != 0]
    raise DataError(
        f"rates of events and rates of patients with an event are never pooled: {_named(having)} count {kind}, "
        f"{_named(left[kind])} count {other}",
        column="rate_of",
        fix="Set rate_of in the question to the kind to use; the other rows are then left out, with the reason.",
    )


def _named(rows: Sequence[Row]) -> str:
    told = [f"{row.id} ({row.study_id}, {row.arm_id})" for row in rows[:6]]
    return ", ".join(told) + (f" and {len(rows) - 6} more" if len(rows) > 6 else "")


def _block(kind: str, choices: tuple[Choice, ...], place: dict[str, int]) -> ArmBlock:
    arms: list[tuple[int, Arm]] = [
        (at, arm)
        for at, choice in enumerate(choices)
        for arm in sorted(choice.arms, key=lambda arm: place[arm.node.name])
    ]

    def numbers(name: str):
        return np.array([np.nan if getattr(a, name) is None else getattr(a, name) for _, a in arms], dtype=float)

    made = {"binary": (ArmCounts, "rn"), "rate": (ArmRates, "rE"), "continuous": (ArmMeans, ("y", "se", "sd", "n"))}
    cls, names = made[kind]
    return cls(
        study=np.array([at for at, _ in arms], dtype=np.int64),
        treatment=np.array([place[a.node.name] for _, a in arms], dtype=np.int64),
        rows=tuple(a.row for _, a in arms),
        **{name: numbers(name) for name in names},
    )


def _covariates(choices: tuple[Choice, ...]) -> dict[str, np.ndarray]:
    """Study-level values, NaN where not reported.

    prior_biologic_fraction: of the patients used (0 or 1 for a study or subgroup of one line); year; crp_required
    1 or 0; radiographic 1, 0, or NaN for both; n_randomised of the whole study; week used.
    """

    def each(value) -> np.ndarray:
        found = [value(c, c.arms[0].rows[0]) for c in choices]
        return np.array([np.nan if v is None else v for v in found], dtype=float)

    line = {"naive": 0.0, "inadequate-response": 1.0}
    radiographic = {"r-axSpA": 1.0, "nr-axSpA": 0.0}
    flag = {"yes": 1.0, "no": 0.0}

    def experienced(choice: Choice, row: Row) -> float | None:
        part = line.get(patients(row)[1])
        return part if part is not None else row.study.get("prior_biologic_fraction")

    return {
        "prior_biologic_fraction": each(experienced),
        "year": each(lambda c, r: r.study.get("year")),
        "crp_required": each(lambda c, r: flag.get(r.study.get("crp_required", ""))),
        "radiographic": each(lambda c, r: radiographic.get(patients(r)[0])),
        "n_randomised": each(lambda c, r: r.study.get("n_randomised")),
        "week": each(lambda c, r: c.week),
    }
