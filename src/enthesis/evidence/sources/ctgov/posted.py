"""What a record posts, as values: facts with a JSON pointer, groups with their arm, and what could not be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from enthesis.evidence.rows import TABLES

Section = Literal["flow", "baseline", "outcome", "analysis", "adverse"]


@dataclass(frozen=True)
class Fact:
    """One posted result of one group (or, for an analysis, of two).

    Numbers are text as printed; "" is not reported. `events` may be derived from a percentage, `mean` is a mean only.

    Attributes
    ----------
    section : str
        flow, baseline, outcome, analysis or adverse.
    arm, comparator : str
        arm_id; empty for a group that is no arm as randomised, or whose arm is not sure.
    outcome : str
        Code of the evidence dictionary; empty when the dictionary has no such outcome.
    week : str
        Whole weeks from randomisation.
    measure : str
        binary, continuous or contrast; empty for other kinds of number.
    events, n, percent, derived : str, str, str, bool
        Patients with the event, patients analysed, the percentage as printed, whether events follow from it.
    number_of_events : str
        Events, where one patient may have several.
    mean, sd, se, ci_low, ci_high, ci_level : str
    value, low, high, spread : str
        A number that is no mean (median, geometric mean, ...), with its limits or spread.
    param, dispersion, unit : str
        What the record calls them.
    effect, estimate, p_value, method, crude : str
        Of an analysis; `crude` is the same effect from the posted arms, without adjustment.
    title, part, group, group_text, time_frame, population, analysis_set, estimator, note : str
        Of the outcome, its class and category, and the group.
    doubt : str
        Why a person should look before the fact is used in a network.
    locator : str
        JSON pointer (RFC 6901) of the measurement.
    reads : tuple of str
        Pointers of every leaf that the fact was read from.
    """

    section: Section
    locator: str
    reads: tuple[str, ...]
    title: str
    group: str
    arm: str = ""
    comparator: str = ""
    outcome: str = ""
    week: str = ""
    measure: str = ""
    events: str = ""
    n: str = ""
    percent: str = ""
    derived: bool = False
    number_of_events: str = ""
    mean: str = ""
    sd: str = ""
    se: str = ""
    ci_low: str = ""
    ci_high: str = ""
    ci_level: str = ""
    value: str = ""
    low: str = ""
    high: str = ""
    spread: str = ""
    param: str = ""
    dispersion: str = ""
    unit: str = ""
    effect: str = ""
    estimate: str = ""
    p_value: str = ""
    method: str = ""
    crude: str = ""
    part: str = ""
    group_text: str = ""
    time_frame: str = ""
    population: str = ""
    analysis_set: str = ""
    estimator: str = ""
    note: str = ""
    doubt: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON: numbers are numbers, None is not reported, texts may be empty."""
        return {f.name: _json(f.name, getattr(self, f.name)) for f in fields(self)}


_NUMBERS = frozenset(
    (
        "week", "events", "n", "percent", "number_of_events", "mean", "sd", "se", "ci_low", "ci_high", "ci_level",
        "value", "low", "high", "spread", "estimate", "crude",
    )
)  # fmt: skip


def _json(name: str, value: Any) -> Any:
    if name in _NUMBERS:
        return _number(value)
    return list(value) if isinstance(value, tuple) else value


def _cells(table: str, row: Mapping[str, str]) -> dict[str, Any]:
    """A row of the dictionary for JSON: numbers are numbers."""
    numeric = TABLES[table].numeric
    return {name: _number(text) if name in numeric else text for name, text in row.items()}


def _number(text: str) -> int | float | None:
    if text == "":
        return None
    value = float(text)
    return int(value) if value == int(value) and "." not in text else value


@dataclass(frozen=True)
class Group:
    """A group of one list of the record, and the arm that it is.

    Attributes
    ----------
    id, title, description, locator : str
        As posted; ids are local to their list.
    arm : str
        arm_id; empty when the group is no arm as randomised or its arm is not known.
    reason : str
        How the arm was found, or why there is none.
    sure : bool
        Whether a person need not look.
    """

    id: str
    title: str
    description: str
    locator: str
    arm: str = ""
    reason: str = ""
    sure: bool = True


@dataclass(frozen=True)
class Review:
    """A question for a person: what the parser proposes, why it is not sure, and where.

    Attributes
    ----------
    kind : str
        group, outcome, scale, week, direction, arm, population or conflict.
    subject : str
        The text that the question is about; a decision on it holds wherever the text appears in the record.
    proposal : str
        What the parser would take.
    reason, locator : str
    """

    kind: str
    subject: str
    proposal: str
    reason: str
    locator: str

    def sentence(self) -> str:
        """The question in a line."""
        proposed = f" (proposed: {self.proposal})" if self.proposal else ""
        return f"a person has to decide on the {self.kind} of {self.subject[:120]!r}{proposed}: {self.reason}"


@dataclass(frozen=True)
class Unparsed:
    """A place of the record that is no fact, with the reason."""

    locator: str
    reason: str


@dataclass(frozen=True)
class Parsed:
    """A record as facts.

    Attributes
    ----------
    nct_id, source_id : str
    source, study : dict of str to str
        Rows of the dictionary's tables `sources` and `studies`.
    arms : tuple of dict
        Rows of the table `arms`, in the order of the record.
    facts : tuple of Fact
    groups : tuple of Group
    review : tuple of Review
    unparsed : tuple of Unparsed
    reads : tuple of str
        Pointers of the leaves that the study's own numbers were read from.
    unsure_arms : tuple of str
        Arms whose drug a person has to name before their results are used.
    """

    nct_id: str
    source: dict[str, str]
    study: dict[str, str]
    arms: tuple[dict[str, str], ...]
    facts: tuple[Fact, ...]
    groups: tuple[Group, ...] = ()
    review: tuple[Review, ...] = ()
    unparsed: tuple[Unparsed, ...] = ()
    reads: tuple[str, ...] = field(default=(), repr=False)
    unsure_arms: tuple[str, ...] = ()

    @property
    def source_id(self) -> str:
        """Key of the source, such as `ctgov_NCT02552212`."""
        return self.source["source_id"]

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON: study, arms, facts, unparsed; questions are unparsed places with their reason."""
        places = [*self.unparsed, *(Unparsed(item.locator, item.sentence()) for item in self.review)]
        return {
            "study": {**_cells("studies", self.study), "source": _cells("sources", self.source)},
            "arms": [{"arm": arm["arm_id"], **_cells("arms", arm)} for arm in self.arms],
            "facts": [fact.to_dict() for fact in self.facts],
            "unparsed": [{"locator": item.locator, "reason": item.reason} for item in places],
        }
