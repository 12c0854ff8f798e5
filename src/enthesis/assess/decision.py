"""Decisions that follow from treatment effects: the best, the k-th, the first k, all that beat a comparator by enough.

A rule looks at differences between effects only, and each of its choices changes where a difference crosses a fixed
number: 0 when two treatments change places, a margin when one becomes better by more than that. So along a straight
line in the effects every possible change of the decision is among finitely many points, which `crossings` names.

Effects are given such that higher is better. Source: Phillippo DM, Dias S, Ades AE, Didelez V, Welton NJ, J R Stat Soc
A 2018;181:843, whose discussion names such rules beyond the best treatment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from enthesis.errors import UsageError, unknown_name

if TYPE_CHECKING:
    from enthesis.network.measures import Measure
    from enthesis.network.network import Network

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Best:
    """The best treatment; another one replaces it only when it is better by more than a margin.

    Parameters
    ----------
    margin : float
        0 or more, on the model's scale.

    Examples
    --------
    >>> import numpy as np
    >>> Best().chosen(np.array([[0.0, 1.0, 0.5]]), np.array([0.0, 1.0, 0.5])).tolist()
    [[False, True, False]]
    """

    margin: float = 0.0

    def __post_init__(self) -> None:
        _not_negative(self.margin)

    def chosen(self, effects: Array, base: Array) -> Flags:
        """Which treatments are chosen, shape (points, treatments); `base` are the effects before any change."""
        first = effects.argmax(axis=1)
        kept = int(base.argmax())
        rows = np.arange(len(effects))
        stays = effects[rows, first] - effects[:, kept] <= self.margin
        chosen = np.zeros(effects.shape, dtype=bool)
        chosen[rows, np.where(stays, kept, first)] = True
        return chosen

    def crossings(self, base: Array) -> tuple[Array, Array, Array]:
        """Pairs (a, b) and values c: the decision can change where the effect of a minus that of b is c."""
        others = np.delete(np.arange(len(base)), base.argmax())
        first = np.full(len(others), base.argmax())
        if not self.margin:
            return others, first, np.zeros(len(others))
        # beyond the margin the best of the others counts, and they can change places among themselves
        a, b = np.triu_indices(len(base), 1)
        return np.r_[others, a], np.r_[first, b], np.r_[np.full(len(others), self.margin), np.zeros(len(a))]

    def words(self, names: tuple[str, ...]) -> str:
        """The rule in words."""
        more = f"; it is kept until another is better by more than {self.margin:g}" if self.margin else ""
        return f"the best treatment{more}"


@dataclass(frozen=True, kw_only=True)
class Rank:
    """The treatment that has a rank; 1 is best."""

    rank: int = 1

    def __post_init__(self) -> None:
        _a_rank(self.rank)

    def chosen(self, effects: Array, base: Array) -> Flags:
        """Which treatment has the rank, shape (points, treatments)."""
        _fits(self.rank, effects)
        order = np.argsort(-effects, axis=1, kind="stable")
        chosen = np.zeros(effects.shape, dtype=bool)
        chosen[np.arange(len(effects)), order[:, self.rank - 1]] = True
        return chosen

    def crossings(self, base: Array) -> tuple[Array, Array, Array]:
        """Every pair, where two treatments change places."""
        return _all_pairs(base)

    def words(self, names: tuple[str, ...]) -> str:
        """The rule in words."""
        return f"the treatment that ranks {self.rank}"


@dataclass(frozen=True, kw_only=True)
class Top:
    """The first k treatments, as a set."""

    k: int = 3

    def __post_init__(self) -> None:
        _a_rank(self.k)

    def chosen(self, effects: Array, base: Array) -> Flags:
        """Which treatments are among the first k, shape (points, treatments)."""
        _fits(self.k, effects)
        order = np.argsort(-effects, axis=1, kind="stable")
        chosen = np.zeros(effects.shape, dtype=bool)
        np.put_along_axis(chosen, order[:, : self.k], True, axis=1)
        return chosen

    def crossings(self, base: Array) -> tuple[Array, Array, Array]:
        """Every pair, where two treatments change places."""
        return _all_pairs(base)

    def words(self, names: tuple[str, ...]) -> str:
        """The rule in words."""
        return f"the first {self.k} treatments"


@dataclass(frozen=True, kw_only=True)
class Superior:
    """All treatments better than a comparator by more than a margin, such as the minimally important difference.

    Parameters
    ----------
    comparator : int
        Position of the comparator.
    margin : float
        On the model's scale.
    """

    comparator: int = 0
    margin: float = 0.0

    def __post_init__(self) -> None:
        _not_negative(self.margin)

    def chosen(self, effects: Array, base: Array) -> Flags:
        """Which treatments beat the comparator by more than the margin, shape (points, treatments)."""
        chosen = effects - effects[:, [self.comparator]] > self.margin
        chosen[:, self.comparator] = False
        return chosen

    def crossings(self, base: Array) -> tuple[Array, Array, Array]:
        """Every treatment against the comparator, at the margin."""
        others = np.delete(np.arange(len(base)), self.comparator)
        return others, np.full(len(others), self.comparator), np.full(len(others), self.margin)

    def words(self, names: tuple[str, ...]) -> str:
        """The rule in words."""
        return f"all treatments better than {names[self.comparator]} by more than {self.margin:.3g}"


@dataclass(frozen=True, kw_only=True)
class NearBest:
    """The treatment set: all that are not worse than the best by more than a margin."""

    margin: float = 0.0

    def __post_init__(self) -> None:
        _not_negative(self.margin)

    def chosen(self, effects: Array, base: Array) -> Flags:
        """Which treatments are within the margin of the best, shape (points, treatments)."""
        return effects.max(axis=1, keepdims=True) - effects <= self.margin

    def crossings(self, base: Array) -> tuple[Array, Array, Array]:
        """Every ordered pair at the margin, and every pair where two change places."""
        a, b, zero = _all_pairs(base)
        return np.r_[a, b, a], np.r_[b, a, b], np.r_[zero + self.margin, zero + self.margin, zero]

    def words(self, names: tuple[str, ...]) -> str:
        """The rule in words."""
        return f"all treatments within {self.margin:.3g} of the best"


Rule = Best | Rank | Top | Superior | NearBest
RULES: tuple[str, ...] = ("best", "rank", "top", "superior", "near-best")


def rule_of(
    name: str, network: Network, *, margin: float = 0.0, k: int | None = None, comparator: str | None = None
) -> Rule:
    """A rule by its name.

    Parameters
    ----------
    name : {"best", "rank", "top", "superior", "near-best"}
    network : Network
    margin : float
        On the model's scale (log for ratios); for `best`, `superior` and `near-best`.
    k : int, optional
        For `rank` (default 1) and `top` (default 3).
    comparator : str, optional
        For `superior`; default the reference.

    Raises
    ------
    UsageError
        When the name is not known, or k is not among the ranks.

    Examples
    --------
    >>> import enthesis as en
    >>> rows = [dict(study="1", treatment=x, events=r, n=50) for x, r in (("A", 5), ("B", 12))]
    >>> rule_of("superior", en.from_table(rows, reference="A"), margin=0.2)
    Superior(comparator=0, margin=0.2)
    """
    if name not in RULES:
        raise unknown_name("decision rule", name, RULES)
    if k is not None and not 1 <= k <= network.n_treatments:
        raise UsageError(f"k must be between 1 and {network.n_treatments}, the number of treatments, not {k}.")
    if name == "best":
        return Best(margin=margin)
    if name == "rank":
        return Rank(rank=k or 1)
    if name == "top":
        return Top(k=k or min(3, network.n_treatments))
    if name == "superior":
        return Superior(comparator=network.index(comparator or network.reference), margin=margin)
    return NearBest(margin=margin)


def margin_on_scale(measure: Measure, margin: float) -> float:
    """A margin as people read it (a ratio: 1.25 or 0.8) on the model's scale; 0 for none.

    Examples
    --------
    >>> from enthesis.network.measures import MD, OR
    >>> round(margin_on_scale(OR, 1.25), 3), round(margin_on_scale(OR, 0.8), 3), margin_on_scale(MD, 0.5)
    (0.223, 0.223, 0.5)
    """
    _not_negative(margin)
    return abs(float(measure.transform(margin))) if margin else 0.0


def _all_pairs(base: Array) -> tuple[Array, Array, Array]:
    a, b = np.triu_indices(len(base), 1)
    return a, b, np.zeros(len(a))


def _not_negative(margin: float) -> None:
    if not (np.isfinite(margin) and margin >= 0):
        raise UsageError(f"the margin must be 0 or more, not {margin!r}.")


def _a_rank(rank: int) -> None:
    if rank < 1:
        raise UsageError(f"a rank is 1 or more, not {rank!r}.")


def _fits(rank: int, effects: Array) -> None:
    if rank > effects.shape[1]:
        raise UsageError(f"there is no rank {rank} among {effects.shape[1]} treatments.")
