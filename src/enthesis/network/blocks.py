"""Blocks: rows of one kind of data. A network is a tuple of them.

Model code loops over blocks and never asks which kinds exist, so counts, means, rates and contrasts can stand in
one network on a shared scale. Rows are arms (or contrasts), sorted by study; `study` and `treatment` are positions
in the network's lists; `rows` names the evidence rows behind each number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from enthesis.errors import DataError
from enthesis.network.measures import Kind

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: no standard error or time at risk of a study is smaller; below it weights lose all digits
SMALLEST = 1e-15


@dataclass(frozen=True, kw_only=True)
class ArmCounts:
    """Events out of a number of patients: r of n in each arm.

    Parameters
    ----------
    study, treatment : int arrays, shape (rows,)
    r, n : float arrays, shape (rows,)
        Events and patients; whole numbers, 0 <= r <= n, n > 0.
    rows : tuple of str
        The evidence row behind each arm.
    """

    kind: ClassVar[Kind] = "counts"
    numbers: ClassVar[tuple[str, ...]] = ("r", "n")
    study: Ints
    treatment: Ints
    r: Floats
    n: Floats
    rows: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, kw_only=True)
class ArmMeans:
    """A mean (or a mean change) with its standard error in each arm.

    Parameters
    ----------
    study, treatment : int arrays, shape (rows,)
    y, se : float arrays, shape (rows,)
        Mean and its standard error, in the outcome's units; se > 0.
    sd, n : float arrays, shape (rows,)
        Standard deviation and number of patients; NaN where the table has none (then SMD is refused).
    rows : tuple of str
        The evidence row behind each arm.
    """

    kind: ClassVar[Kind] = "means"
    numbers: ClassVar[tuple[str, ...]] = ("y", "se", "sd", "n")
    study: Ints
    treatment: Ints
    y: Floats
    se: Floats
    sd: Floats
    n: Floats
    rows: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, kw_only=True)
class ArmRates:
    """Events over a time at risk: r in E in each arm.

    Parameters
    ----------
    study, treatment : int arrays, shape (rows,)
    r, E : float arrays, shape (rows,)
        Events, and time at risk in one unit for all rows; E > 0.
    rows : tuple of str
        The evidence row behind each arm.
    """

    kind: ClassVar[Kind] = "rates"
    numbers: ClassVar[tuple[str, ...]] = ("r", "E")
    study: Ints
    treatment: Ints
    r: Floats
    E: Floats
    rows: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, kw_only=True)
class ArmFollowUp:
    """Patients with an event within a follow-up time: r of n over E, the time each patient was followed.

    Parameters
    ----------
    study, treatment : int arrays, shape (rows,)
    r, n : float arrays, shape (rows,)
        Patients with an event, and patients.
    E : float array, shape (rows,)
        Follow-up of each patient, in one unit for all rows; E > 0.
    rows : tuple of str
        The evidence row behind each arm.
    """

    kind: ClassVar[Kind] = "followup"
    numbers: ClassVar[tuple[str, ...]] = ("r", "n", "E")
    study: Ints
    treatment: Ints
    r: Floats
    n: Floats
    E: Floats
    rows: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, kw_only=True)
class ArmLevels:
    """Nested responses of the same patients: r[:, c] of n reached level c, levels in increasing order of severity.

    Parameters
    ----------
    study, treatment : int arrays, shape (rows,)
    r : float array, shape (rows, levels)
        Patients who reached at least the level (for example ASAS20, ASAS40); not increasing along a row; NaN where a
        level was not reported.
    n : float array, shape (rows,)
    rows : tuple of str
        The evidence rows behind each arm.
    """

    kind: ClassVar[Kind] = "levels"
    numbers: ClassVar[tuple[str, ...]] = ("r", "n")
    study: Ints
    treatment: Ints
    r: Floats
    n: Floats
    rows: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, kw_only=True)
class Contrasts:
    """Differences between two arms of a study, on the measure's scale, with their standard errors.

    Two arms of one treatment may be compared: that difference tells of heterogeneity only.

    A study with k arms gives either all k(k-1)/2 contrasts, or k-1 against one comparator together with the
    standard error of that comparator's own arm, which is their covariance.

    Parameters
    ----------
    study, treatment, comparator : int arrays, shape (rows,)
    y, se : float arrays, shape (rows,)
        Effect of treatment minus comparator on the measure's scale (log for ratios), and its standard error.
    se_comparator : float array, shape (rows,)
        Standard error of the comparator's arm; NaN where not given (needed only for studies of three or more arms
        that list their contrasts against one comparator).
    rows : tuple of str
        The evidence row behind each contrast.
    """

    kind: ClassVar[str] = "contrasts"
    numbers: ClassVar[tuple[str, ...]] = ("y", "se", "se_comparator")
    study: Ints
    treatment: Ints
    comparator: Ints
    y: Floats
    se: Floats
    se_comparator: Floats
    rows: tuple[str, ...] = field(default=(), compare=False)


ArmBlock = ArmCounts | ArmMeans | ArmRates | ArmFollowUp | ArmLevels
Block = ArmBlock | Contrasts


def sorted_by_study(block: Block) -> Block:
    """The same block with its rows in the order of their studies (stable within a study)."""
    order = np.argsort(block.study, kind="stable")
    if np.array_equal(order, np.arange(len(order))):
        return block
    return taken(block, order)


def taken(block: Block, rows: Ints) -> Block:
    """The rows of a block at the given positions."""
    changed = {
        f.name: (tuple(block.rows[i] for i in rows) if block.rows else ())
        if f.name == "rows"
        else getattr(block, f.name)[rows]
        for f in fields(block)
    }
    return type(block)(**changed)


def by_size(study: Ints) -> Iterator[tuple[int, Ints]]:
    """Rows grouped by how many rows their study has.

    Parameters
    ----------
    study : int array, shape (rows,)
        Sorted.

    Yields
    ------
    size : int
    positions : int array, shape (studies of that size, size)
    """
    starts = np.flatnonzero(np.r_[True, study[1:] != study[:-1]]) if len(study) else np.empty(0, int)
    sizes = np.diff(np.r_[starts, len(study)])
    for size in np.unique(sizes):
        yield int(size), starts[sizes == size][:, None] + np.arange(size)


def check(block: Block, studies: tuple[str, ...], treatments: tuple[str, ...]) -> None:
    """Raise DataError at the first row that no model could use."""

    def refuse(position: int, what: str, column: str, value: object, fix: str) -> None:
        where = block.rows[position] if block.rows else f"row {position + 1} of the block"
        study, arm = studies[block.study[position]], treatments[block.treatment[position]]
        raise DataError(f"{what} (study {study!r}, treatment {arm!r})", file=where, column=column, value=value, fix=fix)

    def demand(ok: NDArray[np.bool_], what: str, column: str, values: Floats, fix: str) -> None:
        bad = np.flatnonzero(~ok)
        if len(bad):
            refuse(int(bad[0]), what, column, values[bad[0]], fix)

    if isinstance(block, ArmLevels):
        _check_levels(block, refuse)
    elif isinstance(block, ArmCounts | ArmFollowUp):
        demand(np.isfinite(block.n) & (block.n > 0), "n must be above 0", "n", block.n, "Give the number analysed.")
        demand(block.r >= 0, "events must be a number of 0 or more", "events", block.r, "Give a count.")
        demand(block.r <= block.n, "more events than patients", "events", block.r, "Check events and n of this arm.")
        if isinstance(block, ArmFollowUp):
            demand(np.isfinite(block.E) & (block.E > 0), "the follow-up must be above 0", "time", block.E,
                   "Give the follow-up of this arm's patients.")  # fmt: skip
    elif isinstance(block, ArmRates):
        demand(~(block.E > 0) | (block.E >= SMALLEST), "no study has so little time at risk", "time_at_risk", block.E,
               "Check the time, or give it in another unit.")  # fmt: skip
        demand(np.isfinite(block.E) & (block.E > 0), "time at risk must be above 0", "time_at_risk", block.E,
               "Give the time at risk of this arm.")  # fmt: skip
        demand(block.r >= 0, "events must be a number of 0 or more", "events", block.r, "Give a count.")
    else:
        demand(np.isfinite(block.y), "not a number", "y", block.y, "Give the estimate.")
        demand(~(block.se > 0) | (block.se >= SMALLEST), "no study has so small a standard error", "se", block.se,
               "Check the standard error or deviation, or give the outcome in another unit.")  # fmt: skip
        demand(np.isfinite(block.se) & (block.se > 0), "a standard error must be above 0", "se", block.se,
               "Give the standard error, or an interval or SD from which it follows.")  # fmt: skip


def _check_levels(block: ArmLevels, refuse) -> None:
    for i, (r, n) in enumerate(zip(block.r, block.n, strict=True)):
        known = r[np.isfinite(r)]
        if not np.isfinite(n) or n <= 0:
            refuse(i, "n must be above 0", "n", n, "Give the number analysed.")
        if not len(known):
            refuse(i, "no level is reported", "events", "", "Give at least one level, or leave the arm out.")
        if known.min() < 0 or known.max() > n:
            refuse(i, "a level must lie between 0 and n", "events", known.tolist(), "Check the counts of this arm.")
        if np.any(np.diff(known) > 0):
            refuse(i, "more patients reach a higher level than a lower one", "events", known.tolist(),
                   "Give the levels from the easiest to the hardest.")  # fmt: skip
