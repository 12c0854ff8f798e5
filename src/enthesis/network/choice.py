"""What is used of one study: which patients, which week, which analysis, and which arms fall together.

The rules, in words. Patients: the whole trial where it reports at least two nodes, else its largest separately
reported part. Week: nearest to the target among the weeks at which two nodes are reported; of two equally near, the
study's primary week, else the later one; all arms at the same week. Analysis: the one that most arms share, then the
first in the question's order; among equals, two sources before one, before deduced, before conflicting. Arms that the
resolution puts into one node are pooled: counts and patient-years add up; means, standard deviations and sizes
combine by the formulas of the Cochrane Handbook, section 6.5.2.10.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from math import sqrt

from enthesis.network.candidates import Row
from enthesis.network.ledger import Entry
from enthesis.network.network import Treatment
from enthesis.network.question import Question
from enthesis.network.rules import patients
from enthesis.network.treatments import TreatmentMap

_CHECKS = {"two-sources": 0, "one-source": 1, "deduced": 2, "conflict": 3}


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One arm as it enters a network: its node, the rows behind it, and its numbers (None where not reported)."""

    node: Treatment
    rows: tuple[Row, ...]
    r: float | None = None
    n: float | None = None
    y: float | None = None
    se: float | None = None
    sd: float | None = None
    E: float | None = None

    @property
    def row(self) -> str:
        """The ids of the evidence rows, joined where arms were pooled."""
        return "; ".join(row.id for row in self.rows)


@dataclass
class Choice:
    """The arms used of one study and what was decided on the way; no arms when nothing can be compared."""

    study: str
    subgroup: str = "all"
    week: float | None = None
    arms: list[Arm] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)

    def exclude(self, rows: list[Row], rule: str, reason: str) -> None:
        """Put rows into the ledger as excluded, one entry per arm."""
        by_arm: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            by_arm[row.arm_id].append(row)
        for arm, its in by_arm.items():
            self._say("excluded", rule, reason, its, arm)

    def _say(self, action, rule: str, reason: str, rows, arm: str = "") -> None:
        ids = tuple(row.id for row in rows)
        self.entries.append(Entry(action=action, rule=rule, reason=reason, study=self.study, arm=arm, rows=ids))

    def note(self, rule: str, reason: str, rows: list[Row]) -> None:
        """Say something about rows that are used."""
        if rows:
            self._say("note", rule, reason, rows)

    def changed(self, rule: str, reason: str, rows, arm: str = "") -> None:
        """Say that rows enter after an operation."""
        self._say("changed", rule, reason, rows, arm)


def choose(study: str, rows: list[Row], question: Question, treatments: TreatmentMap) -> Choice:
    """What a study contributes.

    Parameters
    ----------
    study : str
    rows : list of Row
        Its rows that passed every row rule.
    question : Question
    treatments : TreatmentMap

    Returns
    -------
    Choice
        Every row is either behind one of its arms or in one excluded entry.
    """
    choice = Choice(study=study)
    rows = _one_group(choice, rows, question, treatments)
    rows = _one_week(choice, rows, question, treatments)
    rows = _one_row_per_arm(choice, rows, question)
    _pool(choice, rows, question, treatments)
    if len(choice.arms) < 2:
        used = [row for arm in choice.arms for row in arm.rows]
        names = {arm.node.name for arm in choice.arms}
        pooled = any(len(arm.rows) > 1 for arm in choice.arms)
        choice.entries = [e for e in choice.entries if e.action == "excluded"]
        choice.arms = []
        reason = (
            f"All its arms are {next(iter(names))} at this resolution, so nothing is compared." if pooled
            else f"Only {next(iter(names))} has a usable result, so nothing is compared." if names
            else "No usable result."
        )  # fmt: skip
        choice.exclude(used, "nothing to compare", reason)
    else:
        _notes(choice, question)
    return choice


def _nodes(rows: list[Row], question: Question, treatments: TreatmentMap) -> set[str]:
    return {treatments.node(row.arm, question.nodes).name for row in rows}


def _one_group(choice: Choice, rows: list[Row], question: Question, treatments: TreatmentMap) -> list[Row]:
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.subgroup].append(row)

    def worth(name: str) -> tuple:
        comparable = max(
            (len(_nodes([r for r in groups[name] if r.week == w], question, treatments)) for w in
             {r.week for r in groups[name]}), default=0,
        ) >= 2  # fmt: skip
        return comparable, name == "all", max(row.n or 0 for row in groups[name]), name

    best = max(groups, key=worth)
    choice.subgroup = best
    for name, its in groups.items():
        if name != best:
            choice.exclude(its, "another group of the same patients",
                           f"The result of {'the whole trial' if best == 'all' else best} is used.")  # fmt: skip
    if best != "all":
        who = patients(groups[best][0])
        whole = who and who[1] not in (question.line, "") and question.line == "any"
        reason = (
            f"No comparison of all its patients is reported; it enters by its {best} patients." if whole
            else f"Mixed trial; it enters by its {best} patients."
        )  # fmt: skip
        choice.changed("part of the trial", reason, groups[best])
    return groups[best]


def _one_week(choice: Choice, rows: list[Row], question: Question, treatments: TreatmentMap) -> list[Row]:
    weeks = sorted({row.week for row in rows})
    primary = rows[0].study.get("primary_week")

    def worth(week: float) -> tuple:
        comparable = len(_nodes([row for row in rows if row.week == week], question, treatments)) >= 2
        return comparable, -abs(week - question.target_week), week == primary, week

    choice.week = best = max(weeks, key=worth)
    for week in weeks:
        if week != best:
            choice.exclude([row for row in rows if row.week == week], "another week is used",
                           f"Week {best:g} is used for all arms (target {question.target_week:g}).")  # fmt: skip
    return [row for row in rows if row.week == best]


def _one_row_per_arm(choice: Choice, rows: list[Row], question: Question) -> list[Row]:
    arms: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        arms[row.arm_id].append(row)
    order = {name: at for at, name in enumerate(question.order)}
    share = {e: sum(any(r.estimator == e for r in its) for its in arms.values()) for e in {r.estimator for r in rows}}
    kept = []
    for its in arms.values():
        best = min(its, key=lambda r: (-share[r.estimator], order.get(r.estimator, len(order)),
                                       _CHECKS.get(r.check, 9), r.place))  # fmt: skip
        kept.append(best)
        choice.exclude([r for r in its if r is not best], "another analysis is used",
                       f"The row with {best.estimator or 'an unstated analysis'} is used.")  # fmt: skip
    return kept


def _pool(choice: Choice, rows: list[Row], question: Question, treatments: TreatmentMap) -> None:
    nodes: dict[str, tuple[Treatment, list[Row]]] = {}
    for row in rows:
        node = treatments.node(row.arm, question.nodes)
        nodes.setdefault(node.name, (node, []))[1].append(row)
    for node, its in nodes.values():
        if len(its) > 1 and question.kind == "continuous":
            its = _with_size(choice, its, node.name)
        choice.arms.append(_arm(node, its, question.kind))
        if len(its) > 1:
            how = {"binary": "counts summed", "rate": "events and patient-years summed",
                   "continuous": "means combined (Cochrane Handbook 6.5.2.10)"}[question.kind]  # fmt: skip
            choice.changed("arms pooled", f"{len(its)} arms are {node.name} here; {how}.", its,
                           arm=", ".join(r.arm_id for r in its))  # fmt: skip


def _with_size(choice: Choice, rows: list[Row], node: str) -> list[Row]:
    """The rows of a node that can be combined: those with n, or the first one when none has."""
    sized = [row for row in rows if row.n]
    kept = sized or rows[:1]
    choice.exclude([row for row in rows if row not in kept], "cannot be pooled",
                   f"Several arms are {node}, and without n this one cannot be weighed.")  # fmt: skip
    return kept


def _arm(node: Treatment, rows: list[Row], kind: str) -> Arm:
    if kind == "binary":
        return Arm(node=node, rows=tuple(rows), r=sum(r.count for r in rows), n=sum(r.n for r in rows))
    if kind == "rate":
        return Arm(node=node, rows=tuple(rows), r=sum(r.events for r in rows), E=sum(r.patient_years for r in rows))
    y, n = rows[0].mean, rows[0].n
    se = rows[0].standard_error[0]
    sd = rows[0].sd if rows[0].sd is not None else se * sqrt(n) if n else None
    for row in rows[1:]:
        other = row.sd if row.sd is not None else row.standard_error[0] * sqrt(row.n)
        y, sd, n = combined(y, sd, n, row.mean, other, row.n)
        se = sd / sqrt(n)
    return Arm(node=node, rows=tuple(rows), y=y, se=se, sd=sd, n=n)


def combined(y1: float, sd1: float, n1: float, y2: float, sd2: float, n2: float) -> tuple[float, float, float]:
    """Mean, standard deviation and size of two groups taken as one.

    Higgins JPT, Li T, Deeks JJ, Cochrane Handbook for Systematic Reviews of Interventions, table 6.5.a.

    Examples
    --------
    >>> [round(x, 3) for x in combined(1.0, 2.0, 10, 3.0, 2.0, 10)]
    [2.0, 2.2, 20]
    """
    n = n1 + n2
    squares = (n1 - 1) * sd1**2 + (n2 - 1) * sd2**2 + n1 * n2 / n * (y1 - y2) ** 2
    return (n1 * y1 + n2 * y2) / n, sqrt(squares / (n - 1)), n


def _notes(choice: Choice, question: Question) -> None:
    rows = [row for arm in choice.arms for row in arm.rows]
    first = question.order[0]
    choice.note("deduced", "Count deduced: the only whole number that fits the printed figures.",
                [r for r in rows if r.check == "deduced"])  # fmt: skip
    choice.note("sources disagree", "Sources print different figures; the note of the row says how.",
                [r for r in rows if r.check == "conflict"])  # fmt: skip
    if question.kind == "binary":
        choice.note("events from a percentage", "Count computed from a printed percentage and n.",
                    [r for r in rows if r.derived and r.check != "deduced"])  # fmt: skip
        for row in rows:
            if row.counted_here:
                choice.changed("events from a percentage", f"{row.percent:g} % of {row.n:g} gives {row.count:g}.",
                               [row], row.arm_id)  # fmt: skip
    for estimator in sorted({r.estimator for r in rows} - {first}):
        choice.note("another analysis than the first choice", f"Analysed as {estimator or 'not stated'}.",
                    [r for r in rows if r.estimator == estimator])  # fmt: skip
    for row in rows if question.kind == "continuous" else ():
        error, how = row.standard_error
        if how:
            choice.changed("standard error computed", f"{error:.4g} from the {how}.", [row], row.arm_id)
