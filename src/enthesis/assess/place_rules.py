"""Rules of place as data: conditions in the language of `expressions`, and the trail of what fired and what nearly did.

A rule has conditions that must all hold, numbers of its own (`threshold`, `margin`, ...) which its conditions name, and
either a place or a caution that it adds. The first rule with a place that fires decides. A condition that cannot be
judged, because a number is not there, does not hold, and says why.

A rule nearly fires when one condition alone fails: for a comparison of numbers it tells by how much, and counts as near
when that is at most `near` for probabilities, or one step for certainty; for a word it tells which word was needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from enthesis.assess.expressions import Draws, Expression, Scope, parse
from enthesis.errors import DataError, EnthesisError, UsageError, unknown_name

#: keys of a rule that are not its numbers
_OWN = ("id", "place", "adds", "when", "says")
#: functions that read the evidence of the drug in hand; `place` says what each returns
FUNCTIONS: dict[str, str] = {
    "evidence()": '"stratum" (studies of this population and line), "broader" (of any line), or "none"',
    "studies()": "studies in which the drug was compared with the reference",
    "certainty()": "of the drug against the reference: very_low, low, moderate or high (1 to 4)",
    "licence()": '"this line", "later line", "no" or "not stated", over all regions; licence("EU") in one',
    "measures()": "how many measures in force limit the use of its class",
    "guideline()": '"first", "option", "later", "against" or "not stated" by the leading guideline; or by a named one',
    "harm(question)": "the effect on a harm in another question of the review, drug against the reference",
    "rate_ratio(outcome, stratum)": "long-term rate ratio of its class against the other class of the safety part",
}
#: names with a value in every rule
NAMES: tuple[str, ...] = (
    "drug",
    "drug_class",
    "reference",
    "population",
    "line",
    "very_low",
    "low",
    "moderate",
    "high",
)
_ORDERED = {"very_low": 1.0, "low": 2.0, "moderate": 3.0, "high": 4.0}


class Silent(EnthesisError):
    """A number that a condition asks for is not there; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule.

    Parameters
    ----------
    id : str
    when : tuple of str
        Conditions; all must hold.
    place : str
        The place that it gives; empty for a rule that adds a caution.
    adds : str
        The caution.
    says : str
        Why it is a rule, in words.
    numbers : dict of str to float or str
        What its conditions name.
    """

    id: str
    when: tuple[str, ...]
    place: str = ""
    adds: str = ""
    says: str = ""
    numbers: Mapping[str, float | str] = field(default_factory=dict)

    @property
    def expressions(self) -> tuple[Expression, ...]:
        """The parsed conditions."""
        return tuple(parse(text) for text in self.when)


@dataclass(frozen=True, kw_only=True)
class Condition:
    """What became of one condition.

    Parameters
    ----------
    text : str
    holds : bool or None
        None when it cannot be judged.
    value, needed : float or str or None
        The two sides of a comparison.
    missed_by : float or None
        Distance of the sides where numbers are compared and it does not hold.
    near : bool
        Whether that is close.
    why : str
        The condition in words with its values, or why it cannot be judged.
    """

    text: str
    holds: bool | None
    value: float | str | None = None
    needed: float | str | None = None
    missed_by: float | None = None
    near: bool = False
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Fired:
    """A rule with its conditions as they came out.

    Parameters
    ----------
    rule : Rule
    conditions : tuple of Condition
    """

    rule: Rule
    conditions: tuple[Condition, ...]

    @property
    def fired(self) -> bool:
        """Whether every condition holds."""
        return all(c.holds is True for c in self.conditions)

    @property
    def failing(self) -> tuple[Condition, ...]:
        """The conditions that do not hold or cannot be judged."""
        return tuple(c for c in self.conditions if c.holds is not True)

    @property
    def nearly(self) -> bool:
        """Whether one condition alone fails, closely."""
        return len(self.failing) == 1 and self.failing[0].holds is False and self.failing[0].near


def read_rules(raw: Any, file: str) -> tuple[Rule, ...]:
    """The rules of a settings file, checked: every condition parses, and names only what exists.

    Raises
    ------
    DataError
        Naming the rule and the key.
    """
    from enthesis.network.measures import MEASURES

    functions = {text.partition("(")[0] for text in FUNCTIONS} | set(MEASURES) | {"P", "effect", "new", "gain", "risk",
                                                                                  "rank", "tau"}  # fmt: skip
    if not isinstance(raw, list) or not all(isinstance(r, dict) for r in raw):
        raise DataError("must be tables", file=file, column="rule", fix="Write [[rule]] tables.")
    rules: list[Rule] = []
    for table in raw:
        id, when = table.get("id", ""), table.get("when", [])
        column = f"rule {id!r}" if isinstance(id, str) and id else "rule"
        if not isinstance(id, str) or not id or any(r.id == id for r in rules) or "." in id:
            raise DataError("needs an id of its own, without a point", file=file, column=column, value=id)
        if not isinstance(when, list) or not when or not all(isinstance(w, str) for w in when):
            raise DataError("needs conditions", file=file, column=column, fix='Write when = ["..."].')
        texts = {key: table.get(key, "") for key in ("place", "adds", "says")}
        if not all(isinstance(t, str) for t in texts.values()) or bool(texts["place"]) == bool(texts["adds"]):
            raise DataError("gives a place or adds a caution, one of the two", file=file, column=column)
        numbers = {k: v for k, v in table.items() if k not in _OWN}
        for key, value in numbers.items():
            if isinstance(value, bool) or not isinstance(value, int | float | str):
                raise DataError("must be a number or a text", file=file, column=f"{column}.{key}", value=value)
        rule = Rule(id=id, when=tuple(when), numbers=numbers, **texts)
        try:
            _known(rule, functions)
        except UsageError as problem:
            raise DataError(str(problem), file=file, column=column) from None
        rules.append(rule)
    return tuple(rules)


def _known(rule: Rule, functions: Iterable[str]) -> None:
    for expression in rule.expressions:
        for name, _ in expression.calls():
            if name not in functions:
                raise unknown_name("function", name, functions)
        inside = {word for _, words in expression.calls() for word in words}
        for word in expression.words() - inside:
            if word not in NAMES and word not in rule.numbers:
                raise unknown_name("name", word, [*NAMES, *rule.numbers])


def with_values(rules: tuple[Rule, ...], values: Mapping[str, float | str]) -> tuple[Rule, ...]:
    """Rules with other numbers.

    Parameters
    ----------
    rules : tuple of Rule
    values : mapping
        `rule.number` to value, such as {"first-choice.threshold": 0.9}.

    Raises
    ------
    UsageError
        When there is no such rule or number, or a text stands for a number.

    Examples
    --------
    >>> rule = Rule(id="a", when=("P(gain(drug, reference) > 0) >= threshold",), place="x", numbers={"threshold": 0.95})
    >>> with_values((rule,), {"a.threshold": 0.9})[0].numbers
    {'threshold': 0.9}
    """
    found = {r.id: r for r in rules}
    for key, value in values.items():
        id, _, name = key.partition(".")
        if id not in found:
            raise unknown_name("rule", id, found)
        numbers = found[id].numbers
        if name not in numbers:
            raise unknown_name(f"number of the rule {id!r}", name, numbers)
        if isinstance(numbers[name], str) != isinstance(value, str):
            raise UsageError(f"{key} is {'a text' if isinstance(numbers[name], str) else 'a number'}, not {value!r}.")
        found[id] = replace(found[id], numbers={**numbers, name: value})
    return tuple(found[r.id] for r in rules)


def apply(rules: tuple[Rule, ...], functions: Mapping[str, Callable[..., Any]], names: Mapping[str, Any], *,
          near: float) -> tuple[Fired, ...]:  # fmt: skip
    """Every rule with its conditions as they come out for one drug.

    Parameters
    ----------
    rules : tuple of Rule
    functions, names : mapping
        Of the drug; see `FUNCTIONS` and `NAMES`.
    near : float
        How close a missed probability is called near.

    Returns
    -------
    tuple of Fired
    """
    return tuple(
        Fired(
            rule=rule,
            conditions=tuple(
                judged(e, Scope(functions, {**_ORDERED, **names, **rule.numbers}), near) for e in rule.expressions
            ),
        )
        for rule in rules
    )


def judged(expression: Expression, scope: Scope, near: float) -> Condition:
    """One condition with the values of its sides and how far it was missed.

    Parameters
    ----------
    expression : Expression
    scope : Scope
    near : float

    Returns
    -------
    Condition
    """
    text = expression.text
    try:
        holds = expression.evaluate(scope)
    except EnthesisError as problem:
        return Condition(text=text, holds=None, why=str(problem))
    if isinstance(holds, Draws) or not isinstance(holds, bool | np.bool_):
        return Condition(text=text, holds=None, why="it is no statement that is true or false: put P(...) around it.")
    kind = expression.tree[0]
    if kind == "compare" and len(expression.tree[2]) == 1:
        mark, right = expression.tree[2][0]
        return _compared(text, bool(holds), mark, _side(expression.tree[1], scope), _side(right, scope), near,
                         calls=_called(expression.tree[1]))  # fmt: skip
    if kind == "in":
        value = _side(expression.tree[1], scope)
        needed = " or ".join(str(_side(part, scope)) for part in expression.tree[2])
        return Condition(text=text, holds=bool(holds), value=value, needed=needed, near=True,
                         why=f"is {value}; needed {needed}")  # fmt: skip
    return Condition(text=text, holds=bool(holds), why="holds" if holds else "does not hold")


def _compared(text: str, holds: bool, mark: str, left: Any, right: Any, near: float, *, calls: str) -> Condition:
    probability = calls == "P"
    numbers = all(isinstance(x, int | float) and not isinstance(x, bool) for x in (left, right))
    if not numbers:
        return Condition(text=text, holds=holds, value=left, needed=right, near=True,
                         why=f"is {left}; needed {'' if mark == '==' else mark + ' '}{right}")  # fmt: skip
    missed = None if holds else abs(float(left) - float(right))
    reach = near if probability else 1.0 if calls == "certainty" else 0.0
    close = holds or (missed is not None and missed <= reach)
    why = f"{_number(left, probability)} {mark} {_number(right, probability)}"
    if not holds:
        why = f"{_number(left, probability)}, needed {mark} {_number(right, probability)}"
    return Condition(text=text, holds=holds, value=float(left), needed=float(right), missed_by=missed, near=close,
                     why=why)  # fmt: skip


def _called(node: tuple) -> str:
    """The function that a side is, or an empty text."""
    return node[1] if node[0] == "call" else ""


def _side(node: tuple, scope: Scope) -> Any:
    if node[0] == "word" and node[1] not in scope.names:
        return node[1]
    value = Expression("", node).evaluate(scope)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _number(value: float, probability: bool) -> str:
    if probability:
        return f"{value:.3f}"
    return f"{value:g}"


__all__ = ["FUNCTIONS", "NAMES", "Condition", "Fired", "Rule", "Silent", "apply", "judged", "read_rules", "with_values"]
