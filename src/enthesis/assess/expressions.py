"""Statements as data: a small, closed language of expressions over posterior draws, names and numbers.

    P(OR(upadacitinib, placebo) > 1)
    P(0.8 < OR(JAKi, TNFi) < 1.25) > 0.9 and certainty(drug) in ("high", "moderate")

Nothing of Python runs: the text is read by the grammar below into a tree, and the tree can only use the functions and
names of its `Scope`.

    either     = both {"or" both}                    both = negated {"and" negated}
    negated    = "not" negated | compared
    compared   = sum {("<" | "<=" | ">" | ">=" | "==" | "!=") sum} | sum "in" list
    sum        = product {("+" | "-") product}       product = signed {("*" | "/") signed}
    signed     = "-" signed | atom
    atom       = number | text | word | word list | "(" either ")"
    list       = "(" [either {"," either}] ")"

A word starts with a letter and may hold digits and _ . - / + (so IL-17A/Fi is one word): write spaces around operators.
Other names stand in quotes. A word that is a whole argument and no name of the scope is the text itself.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enthesis.errors import UsageError, shortened, unknown_name

Array = NDArray[np.float64]

#: limits that no statement of a person reaches
LONGEST, DEEPEST = 2_000, 40

_TOKEN = re.compile(
    r"""\s*(?:(?P<number>\d+(?:\.\d*)?(?:[eE][-+]?\d+)?(?![\w.])|\.\d+(?:[eE][-+]?\d+)?(?![\w.]))
    |(?P<word>[^\W\d_](?:[\w.]|[-/+](?=\w))*)
    |(?P<text>"[^"\n]*"|'[^'\n]*')
    |(?P<mark><=|>=|==|!=|[<>+\-*/(),]))""",
    re.VERBOSE,
)
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
_WORDS = ("and", "or", "not", "in", "true", "false")


class Probability(float):
    """A probability with its Monte Carlo standard error `mcse`; otherwise a number like any other."""

    mcse: float = 0.0

    def __new__(cls, value: float, mcse: float = 0.0) -> Probability:
        """A number and its error."""
        made = super().__new__(cls, value)
        made.mcse = mcse
        return made


@dataclass(frozen=True, eq=False)
class Draws:
    """Weighted draws of one quantity.

    Parameters
    ----------
    values : array, shape (draws,)
        Numbers, or true and false.
    weights : float array, shape (draws,)
        Sum to 1.
    source : str
        Whose draws they are: only draws of one source are joint, row by row.
    efficiency : float
        Effective draws per independent draw with these weights; below 1 for a chain with autocorrelation.
    """

    values: Array
    weights: Array
    source: str = ""
    efficiency: float = 1.0

    def like(self, values: Array) -> Draws:
        """Other values on the same draws."""
        return Draws(values, self.weights, self.source, self.efficiency)


@dataclass(frozen=True)
class Scope:
    """What an expression can use.

    Parameters
    ----------
    functions : mapping of str to callable
        Called with the values of the arguments (text, numbers, Draws); what is returned is one of them too. A function
        raises an EnthesisError for arguments that it does not know.
    names : mapping of str to value
        Names that stand for a value, such as the drug that a rule is applied to.

    Examples
    --------
    >>> scope = Scope({"certainty": {"upadacitinib": "high"}.get}, {"drug": "upadacitinib"})
    >>> parse('certainty(drug) in ("high", "moderate")').evaluate(scope)
    True
    """

    functions: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    names: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Expression:
    """A parsed expression; make one with `parse`.

    Parameters
    ----------
    text : str
    tree : tuple
        (kind, ...) with the parts below it.
    """

    text: str
    tree: tuple = field(repr=False)

    @property
    def content_hash(self) -> str:
        """Spacing does not change what an expression says."""
        from enthesis.hashing import content_hash

        return content_hash(("expression", self.tree))

    def evaluate(self, scope: Scope) -> Any:
        """The value in a scope.

        Parameters
        ----------
        scope : Scope

        Returns
        -------
        bool, float, str, Probability or Draws

        Raises
        ------
        UsageError
            When a name or function is not in the scope, or values cannot be combined; the text is in the message.
        """
        try:
            return _value(self.tree, scope)
        except UsageError as problem:
            raise UsageError(f"in {shortened(self.text, 120)!r}: {problem}") from None

    def calls(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """(function, its arguments that are plain words or texts) for every call, outer before inner."""
        return tuple(
            (node[1], tuple(part[1] for part in node[2] if part[0] in ("word", "text")))
            for node in _walk(self.tree)
            if node[0] == "call"
        )

    def words(self) -> frozenset[str]:
        """Every word that is not a function: names, or arguments."""
        return frozenset(node[1] for node in _walk(self.tree) if node[0] == "word")

    @property
    def is_probability(self) -> bool:
        """Whether it is one `P(...)` and nothing around it."""
        return self.tree[0] == "call" and self.tree[1] == "P"


@lru_cache(maxsize=1024)
def parse(text: str) -> Expression:
    """Read an expression.

    Parameters
    ----------
    text : str

    Returns
    -------
    Expression

    Raises
    ------
    UsageError
        Saying at which sign it stops being one.

    Examples
    --------
    >>> scope = Scope({"OR": lambda a, b: Draws(np.array([0.9, 1.2, 1.3, 2.0]), np.full(4, 0.25))})
    >>> p = parse("P(OR(JAKi, IL-17Ai) > 1)").evaluate(scope)
    >>> float(p), round(p.mcse, 3)
    (0.75, 0.217)
    >>> parse("P(OR(a) >> 1)")
    Traceback (most recent call last):
        ...
    enthesis.errors.UsageError: the expression 'P(OR(a) >> 1)' cannot be read at '> 1)' (sign 10): a value is missing.
    """
    reader = _Reader(text)
    tree = reader.either(0)
    if reader.at < len(reader.tokens):
        raise reader.stop("nothing is expected here")
    return Expression(text.strip(), tree)


class _Reader:
    """Recursive descent; every method reads one rule of the grammar and returns its tree."""

    def __init__(self, text: str) -> None:
        if not isinstance(text, str) or len(text) > LONGEST:
            raise UsageError(f"an expression is a text of at most {LONGEST} signs.")
        self.text, self.tokens, self.at = text, [], 0
        end = len(text.rstrip())
        place = 0
        while place < end:
            found = _TOKEN.match(text, place)
            if found is None:
                place += len(text[place:]) - len(text[place:].lstrip())
                raise self.stop("no number, name or operator starts like this", place)
            kind = str(found.lastgroup)
            self.tokens.append((kind, found.group(kind), found.start(kind)))
            place = found.end()

    def stop(self, why: str, place: int | None = None) -> UsageError:
        """The error at the next token."""
        if place is None:
            place = self.tokens[self.at][2] if self.at < len(self.tokens) else len(self.text)
        rest = shortened(self.text[place:].strip(), 20)
        where = f"at {rest!r} (sign {place + 1})" if rest else "to its end"
        return UsageError(f"the expression {shortened(self.text.strip(), 120)!r} cannot be read {where}: {why}.")

    def next_is(self, *marks: str) -> str:
        """The next token when it is one of these marks or words, which is then read; else an empty text."""
        if self.at < len(self.tokens):
            kind, text, _ = self.tokens[self.at]
            if kind in ("mark", "word") and text in marks:
                self.at += 1
                return text
        return ""

    def either(self, depth: int) -> tuple:
        if depth > DEEPEST:
            raise self.stop("brackets are nested too deeply")
        return self._several(("or",), self.both, depth)

    def both(self, depth: int) -> tuple:
        return self._several(("and",), self.negated, depth)

    def negated(self, depth: int) -> tuple:
        times = 0
        while self.next_is("not"):
            times += 1
        tree = self.compared(depth)
        return ("not", tree) if times % 2 else ("truth", tree) if times else tree

    def compared(self, depth: int) -> tuple:
        first = self.sum(depth)
        if self.next_is("in"):
            if not self.next_is("("):
                raise self.stop("`in` is followed by a list in brackets")
            return ("in", first, self.list(depth))
        links = []
        while mark := self.next_is(*_COMPARE):
            links.append((mark, self.sum(depth)))
        return ("compare", first, tuple(links)) if links else first

    def sum(self, depth: int) -> tuple:
        return self._several(("+", "-"), self.product, depth)

    def product(self, depth: int) -> tuple:
        return self._several(("*", "/"), self.signed, depth)

    def signed(self, depth: int) -> tuple:
        minus = 0
        while self.next_is("-"):
            minus += 1
        tree = self.atom(depth)
        return ("minus", tree) if minus % 2 else tree

    def atom(self, depth: int) -> tuple:
        if self.at >= len(self.tokens):
            raise self.stop("a value is missing")
        kind, text, _ = self.tokens[self.at]
        if (kind == "mark" and text != "(") or (kind == "word" and text in _WORDS[:4]):
            raise self.stop("a value is missing")
        self.at += 1
        if kind == "number":
            if not np.isfinite(float(text)):
                self.at -= 1
                raise self.stop("the number is too large")
            return ("number", float(text))
        if kind == "text":
            return ("text", text[1:-1])
        if kind == "mark":
            tree = self.either(depth + 1)
            if not self.next_is(")"):
                raise self.stop("a closing bracket is missing")
            return tree
        if text in _WORDS:
            return ("truth", ("number", float(text == "true")))
        if self.next_is("("):
            return ("call", text, self.list(depth))
        return ("word", text)

    def list(self, depth: int) -> tuple:
        """What stands between brackets, the opening one being read."""
        if self.next_is(")"):
            return ()
        items = [self.either(depth + 1)]
        while self.next_is(","):
            items.append(self.either(depth + 1))
        if not self.next_is(")"):
            raise self.stop("a comma or a closing bracket is missing")
        return tuple(items)

    def _several(self, marks: tuple[str, ...], part: Callable[[int], tuple], depth: int) -> tuple:
        first, rest = part(depth), []
        while mark := self.next_is(*marks):
            rest.append((mark, part(depth)))
        return ("chain", first, tuple(rest)) if rest else first


def _walk(tree: tuple) -> Iterator[tuple]:
    """Every node, outer before inner."""
    if tree and tree[0] in _KINDS:
        yield tree
    for part in tree:
        if isinstance(part, tuple):
            yield from _walk(part)


_KINDS = ("number", "text", "word", "call", "chain", "compare", "in", "not", "truth", "minus")


def _value(node: tuple, scope: Scope) -> Any:
    kind = node[0]
    if kind in ("number", "text"):
        return node[1]
    if kind == "word":
        if node[1] not in scope.names:
            raise unknown_name("name", node[1], [*scope.names, *(f"{f}(...)" for f in scope.functions), "P(...)"])
        return scope.names[node[1]]
    if kind == "call":
        return _called(node[1], node[2], scope)
    if kind == "not":
        return _combined(np.logical_not, "not", _value(node[1], scope))
    if kind == "truth":
        return _combined(np.logical_and, "true", _value(node[1], scope), True)
    if kind == "minus":
        return _combined(np.negative, "-", _value(node[1], scope))
    if kind == "in":
        value = _value(node[1], scope)
        if isinstance(value, Draws):
            raise UsageError("`in` compares single values, not draws.")
        return any(value == _argument(item, scope) for item in node[2])
    if kind == "compare":
        return _compared(node, scope)
    return _chain(node, scope)


def _chain(node: tuple, scope: Scope) -> Any:
    value = _value(node[1], scope)
    for mark, part in node[2]:
        if not isinstance(value, Draws) and ((mark == "or" and value is True) or (mark == "and" and value is False)):
            continue  # the rest is not looked at: `known(x) and certainty(x) == "high"` may be said
        other = _value(part, scope)
        if mark in ("or", "and"):
            value = _combined(np.logical_or if mark == "or" else np.logical_and, mark, value, other)
        else:
            value = _combined(_ARITHMETIC[mark], mark, value, other)
    return value


def _compared(node: tuple, scope: Scope) -> Any:
    left, result = _argument(node[1], scope), None
    for mark, part in node[2]:
        right = _argument(part, scope)
        link = _combined(_COMPARE[mark], mark, left, right)
        result = link if result is None else _combined(np.logical_and, "and", result, link)
        left = right
    return result


def _argument(node: tuple, scope: Scope) -> Any:
    """A value; a word that the scope does not know is the text itself."""
    if node[0] == "word" and node[1] not in scope.names:
        return node[1]
    return _value(node, scope)


def _called(name: str, parts: tuple, scope: Scope) -> Any:
    if name == "P":
        if len(parts) != 1:
            raise UsageError("P takes one statement.")
        return probability(_value(parts[0], scope))
    if name not in scope.functions:
        raise unknown_name("function", name, [*scope.functions, "P"])
    arguments = [_argument(part, scope) for part in parts]
    try:
        return scope.functions[name](*arguments)
    except TypeError as problem:
        if "argument" not in str(problem):
            raise
        raise UsageError(f"{name} cannot be given {len(arguments)} arguments.") from None


def probability(statement: Any) -> Probability:
    """The probability of a statement about draws, with its Monte Carlo standard error.

    Parameters
    ----------
    statement : Draws of true and false, or bool

    Returns
    -------
    Probability
        Of Σ w I; standard error √(Σ w² (I − p)²), that of a self-normalised importance estimate (Owen AB, Monte Carlo
        theory, methods and examples, 2013, equation 9.9), over the square root of the efficiency. For quasi-random
        draws it is an upper bound in practice.

    Raises
    ------
    UsageError
        When it is not a statement.
    """
    if isinstance(statement, bool | np.bool_):
        return Probability(float(statement))
    if not isinstance(statement, Draws) or statement.values.dtype != bool:
        raise UsageError("P takes a statement that is true or false, such as P(OR(a, b) > 1).")
    holds = statement.values.astype(float)
    p = float(min(1.0, max(0.0, statement.weights @ holds)))
    error = float(np.sqrt(np.sum(statement.weights**2 * (holds - p) ** 2) / statement.efficiency))
    return Probability(p, error)


def _exactly(operation: Callable[..., Any], *values: Any) -> Any:
    """An operation whose result is a number: none is infinite or undefined without a word."""
    with np.errstate(divide="raise", over="raise", invalid="raise"):
        try:
            return operation(*values)
        except FloatingPointError as problem:
            if operation is np.true_divide and "overflow" not in str(problem):
                raise UsageError("a division by zero.") from None
            raise UsageError("a result that is too large, or no number.") from None


_ARITHMETIC: dict[str, Callable[..., Any]] = {"+": np.add, "-": np.subtract, "*": np.multiply, "/": np.true_divide}


def _combined(operation: Callable[..., Any], mark: str, *values: Any) -> Any:
    """An operation on single values or on draws of one source."""
    draws = [v for v in values if isinstance(v, Draws)]
    if len({v.source for v in draws}) > 1:
        listed = " and ".join(sorted({v.source or "unnamed" for v in draws}))
        raise UsageError(
            f"draws of different fits ({listed}) are not joint. Write P(...) of each, and multiply them if they are "
            "independent."
        )
    plain = [v.values if isinstance(v, Draws) else v for v in values]
    _require_kinds(mark, plain)
    found = _exactly(operation, *plain)
    if draws:
        return draws[0].like(np.asarray(found))
    if isinstance(found, np.bool_ | bool):
        return bool(found)
    return float(found)


def _require_kinds(mark: str, values: list[Any]) -> None:
    """Raise UsageError for a text where a number is needed, or a number where a statement is."""

    def is_truth(v: Any) -> bool:
        return isinstance(v, bool | np.bool_) or (isinstance(v, np.ndarray) and v.dtype == bool)

    for value in values:
        known = isinstance(value, bool | int | float | str | np.bool_ | np.number | np.ndarray)
        if not known:
            raise UsageError(f"a value of the kind {type(value).__name__} cannot be combined.")
    if mark in ("and", "or", "not"):
        if not all(is_truth(v) for v in values):
            raise UsageError(f"`{mark}` combines statements that are true or false.")
    elif mark in ("==", "!="):
        if isinstance(values[0], str) != isinstance(values[1], str) and any(isinstance(v, np.ndarray) for v in values):
            raise UsageError(f"`{mark}` cannot compare draws with a text.")
    elif mark != "true":
        wrong = next((v for v in values if isinstance(v, str)), None)
        if wrong is not None:
            raise UsageError(f"{shortened(wrong)!r} is a text (or a name that is not known) where a number is needed.")
        if mark in ("+", "-", "*", "/") and any(map(is_truth, values)):
            raise UsageError(f"`{mark}` takes numbers, not what is true or false.")


__all__ = ["Draws", "Expression", "Probability", "Scope", "parse", "probability"]
