"""From blocks to contrasts: every pair of arms of every study, with variances that stay consistent.

For a study with k arms, `y[a, b]` is the effect of arm a minus arm b and `v[a, b]` its variance. The k x k variances
determine the covariance of any set of contrasts: with v read as resistances, the study's Laplacian is
L = pinv(-C v C / 2), C = I - 11'/k, and its off-diagonal elements are minus the weights that each pair gets
(Rücker G, Res Synth Methods 2012;3:312; Rücker G & Schwarzer G, Stat Med 2014;33:4353). Between-study variance tau²
adds tau² to every v[a, b], that is variance tau² and correlation 1/2 for the contrasts of a study.

Studies are kept in groups of equal k, so all arithmetic is batched over studies and no matrix ever spans the
comparisons.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from enthesis.errors import DataError, ModelError
from enthesis.network.blocks import ArmBlock, ArmMeans, Block, Contrasts, by_size
from enthesis.network.measures import ContinuityCorrection, Measure

#: contrasts of one study must add up; printed ones are rounded, so this much absolute disagreement is let pass
LOOP_TOLERANCE = 0.05


@dataclass(frozen=True, kw_only=True)
class Group:
    """All pairwise contrasts of the studies with k arms.

    Parameters
    ----------
    study : int array, shape (studies,)
    arms : int array, shape (studies, k)
        Treatment of each arm.
    y, v : float arrays, shape (studies, k, k)
        Effect of the row's arm minus the column's arm, and its variance; zero on the diagonal.
    """

    study: NDArray[np.int64]
    arms: NDArray[np.int64]
    y: NDArray[np.float64]
    v: NDArray[np.float64]

    @property
    def k(self) -> int:
        """Arms per study."""
        return self.arms.shape[1]

    def laplacian(self, tau2: float = 0.0) -> NDArray[np.float64]:
        """Weights of the pairs as a graph Laplacian per study, shape (studies, k, k)."""
        k = self.k
        if k == 2:
            w = 1 / (self.v[:, 0, 1] + tau2)
            return w[:, None, None] * np.array([[1.0, -1.0], [-1.0, 1.0]])
        v = self.v + tau2 * (1 - np.eye(k))
        centre = np.eye(k) - 1 / k
        covariance = -0.5 * centre @ v @ centre
        ones = np.full((k, k), 1 / k)
        # the covariance of centred arms is singular along 1; adding that direction, as long as the others are, and
        # removing it again gives its inverse without cancellation
        scale = np.trace(covariance, axis1=1, axis2=2)[:, None, None] / (k - 1)
        return np.linalg.inv(covariance + scale * ones) - ones / scale

    def basic(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Contrasts against each study's first arm: y (studies, k-1) and covariance (studies, k-1, k-1)."""
        y = self.y[:, 1:, 0]
        v0 = self.v[:, 1:, 0]
        return y, 0.5 * (v0[:, :, None] + v0[:, None, :] - self.v[:, 1:, 1:])


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """A comparison or study that gave no contrast, and why."""

    study: int
    treatment: int
    comparator: int | None
    reason: str


@dataclass(frozen=True, kw_only=True)
class Pairwise:
    """The contrasts of a network: groups of studies by number of arms, and what was left out."""

    groups: tuple[Group, ...]
    dropped: tuple[Dropped, ...] = ()

    @property
    def n_studies(self) -> int:
        """Studies that give at least one contrast."""
        return sum(len(g.study) for g in self.groups)

    @property
    def n_independent(self) -> int:
        """Independent contrasts: arms minus studies."""
        return sum(len(g.study) * (g.k - 1) for g in self.groups)

    @property
    def n_contrasts(self) -> int:
        """Pairs of arms within studies."""
        return sum(len(g.study) * g.k * (g.k - 1) // 2 for g in self.groups)


def pairwise(
    blocks: tuple[Block, ...],
    measure: Measure,
    correction: ContinuityCorrection,
    studies: tuple[str, ...],
) -> Pairwise:
    """All contrasts of all blocks on the measure's scale.

    Parameters
    ----------
    blocks : tuple of Block
    measure : Measure
    correction : ContinuityCorrection
        Used only where a comparison has a zero cell.
    studies : tuple of str
        Names, for messages.

    Returns
    -------
    Pairwise

    Raises
    ------
    ModelError
        When the measure cannot be computed from a block.
    DataError
        When the contrasts of a multi-arm study contradict one another.
    """
    groups: list[Group] = []
    dropped: list[Dropped] = []
    for block in blocks:
        if isinstance(block, Contrasts):
            groups += _from_contrasts(block, studies)
        else:
            made, lost = _from_arms(block, measure, correction)
            groups += made
            dropped += lost
    merged = []
    for k in sorted({g.k for g in groups}):
        same = [g for g in groups if g.k == k]
        merged.append(
            same[0]
            if len(same) == 1
            else Group(
                **{name: np.concatenate([getattr(g, name) for g in same]) for name in ("study", "arms", "y", "v")}
            )
        )
    return Pairwise(groups=tuple(merged), dropped=tuple(dropped))


def _from_arms(
    block: ArmBlock, measure: Measure, correction: ContinuityCorrection
) -> tuple[list[Group], list[Dropped]]:
    if measure.kind != block.kind or measure.pair is None:
        raise ModelError(
            f"{measure.name} ({measure.label}) cannot be computed from arm {block.kind}. "
            f"Choose a measure for {block.kind}, or give contrasts on the {measure.name} scale."
        )
    if (
        measure.name in ("SMD", "SMDH")
        and isinstance(block, ArmMeans)
        and not np.all(np.isfinite(block.sd) & (block.n > 0))
    ):
        at = int(np.flatnonzero(~(np.isfinite(block.sd) & (block.n > 0)))[0])
        raise DataError(
            "a standardised mean difference needs the standard deviation and the number of patients of every arm",
            file=block.rows[at] if block.rows else None, fix="Give sd and n, or use the measure MD.",
        )  # fmt: skip
    groups: list[Group] = []
    dropped: list[Dropped] = []
    for k, positions in by_size(block.study):
        if k == 1:
            dropped += [
                Dropped(study=int(block.study[i]), treatment=int(block.treatment[i]), comparator=None,
                        reason="a single arm gives no contrast")
                for i in positions[:, 0]
            ]  # fmt: skip
            continue
        y, v, usable = _all_pairs(block, positions, measure, correction)
        complete = usable.all(axis=(1, 2))
        if complete.any():
            at = positions[complete]
            groups.append(Group(study=block.study[at[:, 0]], arms=block.treatment[at], y=y[complete], v=v[complete]))
        for i in np.flatnonzero(~complete):
            more, lost = _partial(block, positions[i], y[i], v[i], usable[i])
            groups += more
            dropped += lost
    return groups, dropped


def _all_pairs(block, positions, measure, correction):
    arms = {name: getattr(block, name)[positions] for name in block.numbers}
    if measure.name == "SMD":
        arms |= _pooled_over_study(arms)
    a = {name: x[:, :, None] for name, x in arms.items()}
    b = {name: x[:, None, :] for name, x in arms.items()}
    k = positions.shape[1]
    off = ~np.eye(k, dtype=bool)
    usable = np.ones((len(positions), k, k), dtype=bool)
    inc = np.zeros((len(positions), k, k))
    if "r" in arms and correction.scope == "all":
        inc[:] = correction.amount
    if "r" in arms and (measure.scale == "log" or measure.name in ("RD", "IRD", "PROBIT")):
        none_a, none_b = a["r"] == 0, b["r"] == 0
        full_a, full_b = (a["r"] == a["n"], b["r"] == b["n"]) if "n" in arms else (False, False)
        zero = (none_a | none_b | full_a | full_b) & off
        if measure.drops_double_zero and correction.double_zero == "left out":
            # a study without events (or with events in everyone) says nothing about a ratio; within a study that has
            # events, a pair of arms without them is corrected like any zero cell, so that no arm is lost
            silent = (arms["r"] == 0).all(axis=1)
            if "n" in arms:
                silent |= (arms["r"] == arms["n"]).all(axis=1)
            usable &= ~(silent[:, None, None] & off)
        if correction.scope == "none":
            usable &= ~zero
        elif correction.scope == "comparison":
            inc[zero] = correction.amount
        elif correction.scope == "study":
            inc[zero.any(axis=(1, 2))] = correction.amount
    with np.errstate(divide="ignore", invalid="ignore"):
        y, v = measure.pair(a, b, inc)
        impossible = inc.any(axis=(1, 2)) & _without_covariance(np.where(off, v, 0.0))
        if impossible.any():
            inc[impossible] = correction.amount
            y, v = measure.pair(a, b, inc)
    y, v = np.where(off, y, 0.0), np.where(off, v, 0.0)
    usable &= np.isfinite(y) & np.isfinite(v) & ((v > 0) | ~off)
    return y, v, usable


def _without_covariance(v: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether no covariance between a study's arms gives the variances of its contrasts, shape (studies,).

    That happens when arms are corrected in some of their comparisons and not in others.
    """
    k = v.shape[1]
    if k < 3:
        return np.zeros(len(v), dtype=bool)
    whole = np.isfinite(v).all(axis=(1, 2))
    centre = np.eye(k) - 1 / k
    values = np.linalg.eigvalsh(-0.5 * centre @ np.where(whole[:, None, None], v, 0.0) @ centre)
    return whole & (values[:, 1] < 1e-10 * v.max(axis=(1, 2)))


def _pooled_over_study(arms):
    """Standard deviation pooled over all arms of a study, and its number of patients, repeated for each arm."""
    n = arms["n"].sum(axis=1, keepdims=True)
    df = n - arms["n"].shape[1]
    sd = np.sqrt(((arms["n"] - 1) * arms["sd"] ** 2).sum(axis=1, keepdims=True) / df)
    return {"study_sd": sd + 0 * arms["n"], "study_n": n + 0 * arms["n"]}


def _partial(block, positions, y, v, usable) -> tuple[list[Group], list[Dropped]]:
    """A study in which some pairs give no contrast: keep the largest set of arms in which every pair does.

    Arms are given up one at a time, those with the fewest usable pairs first, then the smallest.
    """
    keep = list(range(len(positions)))
    lost = []
    size = block.n if hasattr(block, "n") else block.E
    while len(keep) > 1 and not usable[np.ix_(keep, keep)].all():
        worst = min(keep, key=lambda a: (usable[a, keep].sum(), size[positions[a]], -a))
        keep.remove(worst)
        lost.append(worst)
    if len(keep) == 1:
        lost, keep = list(range(len(positions))), []
    if isinstance(block, ArmMeans):
        reason = "means of 0 or of different signs have no ratio"
    elif keep == []:
        reason = "no events in any arm, or events in all patients: no information on a ratio"
    else:
        reason = "no usable contrast with the study's other arms (zero cells)"
    dropped = [
        Dropped(study=int(block.study[positions[a]]), treatment=int(block.treatment[positions[a]]), comparator=None,
                reason=reason)
        for a in lost
    ]  # fmt: skip
    if not keep:
        return [], dropped
    at = np.ix_(keep, keep)
    group = Group(
        study=block.study[positions[keep[:1]]],
        arms=block.treatment[positions[keep]][None],
        y=y[at][None],
        v=v[at][None],
    )
    return [group], dropped


def _from_contrasts(block: Contrasts, studies: tuple[str, ...]) -> list[Group]:
    groups: list[Group] = []
    for rows, positions in by_size(block.study):
        if rows == 1:
            p = positions[:, 0]
            arms = np.stack([block.treatment[p], block.comparator[p]], axis=1)
            groups.append(_two_arm(block.study[p], arms, block.y[p], block.se[p] ** 2))
            continue
        for row in positions:
            groups.append(_multi_arm(block, row, studies))
    return groups


def _two_arm(study, arms, y, v) -> Group:
    zero = np.zeros_like(y)
    return Group(
        study=study, arms=arms,
        y=np.stack([np.stack([zero, y], -1), np.stack([-y, zero], -1)], -2),
        v=np.stack([np.stack([zero, v], -1), np.stack([v, zero], -1)], -2),
    )  # fmt: skip


def _multi_arm(block: Contrasts, row: NDArray[np.int64], studies: tuple[str, ...]) -> Group:
    name = studies[block.study[row[0]]]
    where = block.rows[row[0]] if block.rows else None
    treatments, versus = block.treatment[row], block.comparator[row]
    repeated = len(set(versus.tolist())) == 1 and len(set(treatments.tolist())) < len(row)
    if repeated or np.any(treatments == versus):
        return _repeated_arms(block, row, name, where)
    arms = sorted({*block.treatment[row].tolist(), *block.comparator[row].tolist()})
    k = len(arms)
    index = {t: i for i, t in enumerate(arms)}
    y, v = np.zeros((k, k)), np.full((k, k), np.nan)
    np.fill_diagonal(v, 0.0)
    for p in row:
        a, b = index[int(block.treatment[p])], index[int(block.comparator[p])]
        if np.isfinite(v[a, b]):
            raise DataError(f"study {name!r} gives the same contrast twice", file=where, fix="Keep one of the rows.")
        y[a, b], y[b, a] = block.y[p], -block.y[p]
        v[a, b] = v[b, a] = block.se[p] ** 2
    if len(row) == k * (k - 1) // 2:
        _check_loops(name, where, y, v)
    elif len(row) == k - 1 and len(set(block.comparator[row].tolist())) == 1:
        _complete(name, where, block, row, index, y, v)
    else:
        raise DataError(
            f"study {name!r} has {k} arms and {len(row)} contrasts; a study of {k} arms needs all {k * (k - 1) // 2} "
            f"contrasts, or the {k - 1} against one comparator with the standard error of that comparator's arm",
            file=where, fix="Add the missing rows.",
        )  # fmt: skip
    centre = np.eye(k) - 1 / k
    smallest = np.linalg.eigvalsh(-0.5 * centre @ v @ centre)[1]
    if smallest < 1e-10 * np.max(v):
        raise DataError(
            f"the standard errors of the contrasts of study {name!r} cannot all be true together "
            "(no covariance between its arms gives them)",
            file=where, fix="Check the standard errors of this study; give arm data if you have them.",
        )  # fmt: skip
    return Group(study=block.study[row[:1]], arms=np.array([arms]), y=y[None], v=v[None])


def _repeated_arms(block: Contrasts, row: NDArray[np.int64], name: str, where: str | None) -> Group:
    """A study that lists its arms, some on one treatment, against one baseline arm with its own standard error."""
    shared = block.se_comparator[row]
    if len(set(block.comparator[row].tolist())) > 1 or not np.isfinite(shared).all():
        raise DataError(
            f"study {name!r} has several arms on one treatment, which only contrasts against one baseline arm with its "
            "own standard error can tell apart", file=where, fix="Give the study in that layout, or as arms.",
        )  # fmt: skip
    arms = np.r_[block.comparator[row[:1]], block.treatment[row]]
    own = np.r_[shared[0] ** 2, block.se[row] ** 2 - shared[0] ** 2]
    if own.min() <= 0:
        raise DataError(
            f"study {name!r}: the comparator's standard error ({shared[0]:.4g}) is larger than its contrasts allow",
            file=where, fix="Give the standard error of the comparator's arm, not of a contrast.",
        )  # fmt: skip
    mean = np.r_[0.0, block.y[row]]
    v = own[:, None] + own[None, :]
    np.fill_diagonal(v, 0.0)
    return Group(study=block.study[row[:1]], arms=arms[None], y=(mean[:, None] - mean[None, :])[None], v=v[None])


def _check_loops(name, where, y, v) -> None:
    for a, b, c in combinations(range(len(y)), 3):
        gap = abs(y[a, b] + y[b, c] - y[a, c])
        if gap > max(LOOP_TOLERANCE, 0.1 * np.sqrt(v[v > 0].min())):
            raise DataError(
                f"the contrasts of study {name!r} do not add up: A-B plus B-C differs from A-C by {gap:.3g}",
                file=where, fix="Check signs (treatment minus comparator) and values of this study's rows.",
            )  # fmt: skip


def _complete(name, where, block, row, index, y, v) -> None:
    shared = block.se_comparator[row]
    shared = shared[np.isfinite(shared)]
    if len(shared) == 0:
        raise DataError(
            f"study {name!r} has {len(index)} arms and lists contrasts against one comparator, so the standard error "
            "of the comparator's own arm is needed: it is the covariance of the contrasts",
            file=where,
            fix="Add the comparator's standard error (its row with an empty effect), or all pairwise contrasts.",
        )  # fmt: skip
    v0 = float(shared[0]) ** 2
    base = index[int(block.comparator[row[0]])]
    for a, b in combinations([i for i in range(len(y)) if i != base], 2):
        y[a, b] = y[a, base] - y[b, base]
        y[b, a] = -y[a, b]
        v[a, b] = v[b, a] = v[a, base] + v[b, base] - 2 * v0
        if v[a, b] <= 0:
            raise DataError(
                f"study {name!r}: the comparator's standard error ({shared[0]:.4g}) is larger than its contrasts allow",
                file=where, fix="Give the standard error of the comparator's arm, not of a contrast.",
            )  # fmt: skip


def without_studies(pairs: Pairwise, keep: NDArray[np.bool_]) -> Pairwise:
    """The contrasts of the studies for which `keep` (indexed by study) is true."""
    groups = []
    for g in pairs.groups:
        on = keep[g.study]
        if on.all():
            groups.append(g)
        elif on.any():
            groups.append(replace(g, study=g.study[on], arms=g.arms[on], y=g.y[on], v=g.v[on]))
    return Pairwise(groups=tuple(groups), dropped=pairs.dropped)
