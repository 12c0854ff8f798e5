"""Ranking with a difference that matters and over several outcomes.

P-score with a minimally important difference beta and several outcomes (Mavridis D, Porcher R, Nikolakopoulou A,
Salanti G, Ravaud P, Biom J 2020;62:375): with Z_ij,m the standardised effect of i against j on outcome m, towards
benefit and less beta_m,

    P_i = mean over j of P(Z_ij,1 > 0, ..., Z_ij,M > 0),

normal with the stated correlation between outcomes; M = 1 and beta = 0 is the P-score. Several outcomes are also a
partial order: i is above j when it is at least as good on every outcome and better on one (Carlsen L & Bruggemann R, J
Chemom 2014;28:226; Rücker G & Schwarzer G, Res Synth Methods 2017;8:526). The Hasse diagram keeps the pairs without a
treatment in between. Cumulative rank curves with their area, SUCRA: Salanti G et al., J Clin Epidemiol 2011;64:163,
drawn as the Litmus Rank-O-Gram of Nevill CR, Cooper NJ, Sutton AJ, BMC Med Res Methodol 2023;23:190.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from enthesis.errors import UsageError
from enthesis.estimands import Better, direction, ranks
from enthesis.inference.fit import Fit
from enthesis.inference.points import normal_points

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

#: quasi-random points per pair for the joint probability of several outcomes; its error is below 0.001
POINTS = 2048


def p_scores(fit: Fit, *, mid: float | None = None, better: Better | None = None) -> pd.DataFrame:
    """P-scores against a minimally important difference.

    Parameters
    ----------
    fit : Fit
    mid : float, optional
        On the scale people read: 1.25 (or 0.8) for a ratio, 10 for a difference; its direction is that of benefit,
        whatever its sign. Default: the network's, else no difference.
    better : {"higher", "lower"}, optional
        Default: the network's; "higher" when that is not set.

    Returns
    -------
    pandas.DataFrame
        treatment, p_score (mean probability of being better than each competitor by more than the difference),
        p_worse (mean probability of being worse by more than it), p_similar (neither), mid (model's scale).

    Raises
    ------
    UsageError
        When the difference is not a finite number above 0 (above 0 for a ratio).

    Examples
    --------
    >>> import enthesis as en
    >>> rows = [dict(study="1", treatment=t, mean=m, sd=1, n=50) for t, m in (("A", 0.0), ("B", 0.5))]
    >>> table = p_scores(en.fit(en.from_table(rows, measure="MD", reference="A"), engine="gls"), mid=0.5)
    >>> table[["treatment", "p_score", "p_similar"]].round(3).to_dict("records")
    [{'treatment': 'A', 'p_score': 0.0, 'p_similar': 0.5}, {'treatment': 'B', 'p_score': 0.5, 'p_similar': 0.5}]
    """
    import pandas as pd

    step = _step(fit, mid)
    beats = _beats(fit, step, better)
    T = len(fit.treatments)
    above, below = beats.sum(axis=1) / (T - 1), beats.sum(axis=0) / (T - 1)
    return pd.DataFrame(
        {
            "treatment": list(fit.treatments),
            "p_score": above,
            "p_worse": below,
            "p_similar": np.maximum(1 - above - below, 0.0),
            "mid": step,
        }
    )


def _step(fit: Fit, mid: float | None) -> float:
    """The size of the difference on the model's scale, not negative."""
    measure = fit.network.measure
    mid = fit.network.mid if mid is None else mid
    if mid is None:
        return 0.0
    bad = not isinstance(mid, int | float) or not np.isfinite(mid) or (measure.scale == "log" and mid <= 0)
    if bad:
        kind = "a ratio above 0, such as 1.25" if measure.scale == "log" else "a finite number"
        raise UsageError(f"the minimally important difference on {measure.name} must be {kind}, not {mid!r}.")
    return abs(float(measure.transform(mid)))


def _beats(fit: Fit, step: float, better: Better | None) -> Array:
    """P(i better than j by more than step), shape (treatments, treatments), zero on the diagonal."""
    sign = direction(fit, better)
    if not fit.is_bayesian:
        return _zero_diagonal(ndtr(_standardised(fit, step, sign)))
    T = len(fit.treatments)
    out = np.zeros((T, T))
    for i in range(T):
        out[i] = fit.weights @ (sign * (fit.d[:, [i]] - fit.d) > step)
    return _zero_diagonal(out)


def _standardised(fit: Fit, step: float, sign: float) -> Array:
    """(benefit of i over j - step) / se; ±inf where the standard error is 0, 0 on the diagonal."""
    gain = sign * (fit.estimate[:, None] - fit.estimate[None, :]) - step
    spread = np.diag(fit.covariance)
    se = np.sqrt(np.maximum(spread[:, None] + spread[None, :] - 2 * fit.covariance, 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        z = gain / se
    np.fill_diagonal(z, 0.0)
    return np.nan_to_num(z, nan=0.0)


def _zero_diagonal(p: Array) -> Array:
    p = p.copy()
    np.fill_diagonal(p, 0.0)
    return p


def joint_p_scores(
    fits: Mapping[str, Fit],
    *,
    correlation: float | Array = 0.0,
    mid: Mapping[str, float] | None = None,
    better: Mapping[str, Better] | None = None,
) -> pd.DataFrame:
    """P-scores over several outcomes: being better on all of them at once.

    Parameters
    ----------
    fits : mapping of outcome to Fit
    correlation : float, or float array of shape (outcomes, outcomes)
        Between outcomes, of the estimated effects towards benefit. It is rarely known: try several values.
    mid : mapping of outcome to float, optional
        As in `p_scores`.
    better : mapping of outcome to {"higher", "lower"}, optional

    Returns
    -------
    pandas.DataFrame
        treatment, p_score (joint), then one column per outcome with the P-score of that outcome among the same
        treatments. Only treatments that are in every network, in the order of the first.

    Raises
    ------
    UsageError
        With fewer than two shared treatments, an unknown outcome, or a correlation matrix that is not one.

    Examples
    --------
    >>> import enthesis as en
    >>> rows = [dict(study="1", treatment=t, mean=m, sd=1, n=50) for t, m in (("A", 0.0), ("B", 0.5))]
    >>> fit = en.fit(en.from_table(rows, measure="MD", reference="A"), engine="gls")
    >>> joint_p_scores({"pain": fit, "function": fit}, correlation=1.0).p_score.round(3).tolist()
    [0.006, 0.994]
    """
    import pandas as pd

    R = _correlation(correlation, len(fits))
    for name in {*(mid or {}), *(better or {})} - set(fits):
        raise UsageError(f"outcome {name!r} is not among the fits: {', '.join(fits)}.")
    shared = shared_treatments(fits)
    z, single = [], {}
    for name, fit in fits.items():
        at = [fit.network.index(t) for t in shared]
        step = _step(fit, (mid or {}).get(name))
        better_way = (better or {}).get(name)
        z.append(_standardised(fit, step, direction(fit, better_way))[np.ix_(at, at)])
        single[name] = _beats(fit, step, better_way)[np.ix_(at, at)].sum(axis=1) / (len(shared) - 1)
    joint = _zero_diagonal(_joint(np.stack(z, axis=-1), R))
    return pd.DataFrame({"treatment": shared, "p_score": joint.sum(axis=1) / (len(shared) - 1), **single})


def shared_treatments(fits: Mapping[str, Fit]) -> list[str]:
    """The treatments of every fit, in the order of the first; UsageError with fewer than two."""
    if not fits:
        raise UsageError("no outcome was given; name at least one fit.")
    first, *others = fits.values()
    shared = [t for t in first.treatments if all(t in fit.treatments for fit in others)]
    if len(shared) < 2:
        raise UsageError(f"the networks of {', '.join(fits)} share {len(shared)} treatments; ranking needs two.")
    return shared


def _correlation(correlation: float | Array, size: int) -> Array:
    R = np.asarray(correlation, dtype=float)
    if R.ndim == 0:
        R = np.full((size, size), float(R))
        np.fill_diagonal(R, 1.0)
    ok = R.shape == (size, size) and np.all(np.isfinite(R)) and np.allclose(R, R.T) and np.allclose(np.diag(R), 1.0)
    if not ok or np.any(np.abs(R) > 1) or np.linalg.eigvalsh(R)[0] < -1e-9:
        raise UsageError(
            f"the correlation between {size} outcomes must be one number from {-1 / max(size - 1, 1):.2g} to 1, or a "
            f"correlation matrix of {size} by {size}."
        )
    return R


def _joint(z: Array, R: Array) -> Array:
    """P(e_1 < z_1, ..., e_M < z_M) for e ~ Normal(0, R), by sequential conditioning on quasi-random points.

    Genz A, J Comput Graph Stat 1992;1:141. The last dimension of z holds the outcomes.
    """
    M = z.shape[-1]
    if M == 1:
        return ndtr(z[..., 0])
    # a hair of noise keeps a singular R (perfect correlation) factorable; it moves probabilities by less than 1e-5
    L = np.linalg.cholesky((1 - 1e-10) * R + 1e-10 * np.eye(M))
    u = ndtr(normal_points(POINTS, M - 1, seed=1))
    flat = z.reshape(-1, M)
    out = np.empty(len(flat))
    for row, bound in enumerate(flat):
        density = np.full(POINTS, ndtr(bound[0]))
        edge = np.full(POINTS, ndtr(bound[0]))
        drawn = np.empty((POINTS, M - 1))
        for m in range(1, M):
            drawn[:, m - 1] = ndtri(np.clip(u[:, m - 1] * edge, 1e-300, 1 - 1e-16))
            edge = ndtr((bound[m] - drawn[:, :m] @ L[m, :m]) / L[m, m])
            density = density * edge
        out[row] = density.mean()
    return out.reshape(z.shape[:-1])


@dataclass(frozen=True, kw_only=True)
class PartialOrder:
    """Treatments ordered by several outcomes at once.

    Parameters
    ----------
    treatments, outcomes : tuples of str
    values : float array, shape (treatments, outcomes)
        Higher is better.
    above : bool array, shape (treatments, treatments)
        Row at least as good as column on every outcome, and better on one.
    covers : bool array, shape (treatments, treatments)
        `above` without those that follow from others: the lines of the Hasse diagram.
    level : int array, shape (treatments,)
        0 for treatments that nothing is above; otherwise the length of the longest chain from one of those.
    """

    treatments: tuple[str, ...]
    outcomes: tuple[str, ...]
    values: Array
    above: NDArray[np.bool_]
    covers: NDArray[np.bool_]
    level: NDArray[np.int64]

    def edges(self) -> pd.DataFrame:
        """The lines of the Hasse diagram: above, below."""
        import pandas as pd

        i, j = np.nonzero(self.covers)
        return pd.DataFrame({"above": [self.treatments[a] for a in i], "below": [self.treatments[b] for b in j]})

    def to_frame(self) -> pd.DataFrame:
        """treatment, level, n_above, n_below, n_incomparable, then the values by outcome."""
        import pandas as pd

        up, down = self.above.sum(axis=0), self.above.sum(axis=1)
        return pd.DataFrame(
            {
                "treatment": list(self.treatments),
                "level": self.level,
                "n_above": up,
                "n_below": down,
                "n_incomparable": len(self.treatments) - 1 - up - down,
                **dict(zip(self.outcomes, self.values.T, strict=True)),
            }
        )


def partial_order(values: Mapping[str, Fit] | pd.DataFrame) -> PartialOrder:
    """The partial order of treatments over several outcomes.

    Parameters
    ----------
    values : mapping of outcome to Fit, or pandas.DataFrame
        Fits are compared by their P-scores among all their competitors. A frame has a column `treatment` and one
        column per outcome, higher is better.

    Returns
    -------
    PartialOrder

    Raises
    ------
    UsageError
        With fewer than two treatments, no outcome, a treatment twice, or a value that is not a number.

    Examples
    --------
    >>> import pandas as pd
    >>> order = partial_order(pd.DataFrame({"treatment": ["A", "B", "C"], "pain": [3, 2, 1], "harm": [3, 1, 2]}))
    >>> order.edges().to_dict("records")
    [{'above': 'A', 'below': 'B'}, {'above': 'A', 'below': 'C'}]
    """
    import pandas as pd

    if not isinstance(values, pd.DataFrame):
        shared = shared_treatments(values)
        columns = {name: p_scores(fit, mid=fit.network.measure.null).set_index("treatment")["p_score"].reindex(shared)
                   for name, fit in values.items()}  # fmt: skip
        values = pd.DataFrame({"treatment": shared, **{name: c.to_numpy() for name, c in columns.items()}})
    if "treatment" not in values or len(values.columns) < 2:
        raise UsageError("a partial order needs a column 'treatment' and at least one column of values.")
    names = tuple(map(str, values["treatment"]))
    if len(names) < 2 or len(set(names)) != len(names):
        raise UsageError("a partial order needs at least two treatments, each once.")
    outcomes = tuple(str(c) for c in values.columns if c != "treatment")
    numbers = np.column_stack([pd.to_numeric(values[c], errors="coerce").to_numpy(dtype=float) for c in outcomes])
    if not np.all(np.isfinite(numbers)):
        row, column = (int(x[0]) for x in np.nonzero(~np.isfinite(numbers)))
        raise UsageError(f"{names[row]!r} has no number for {outcomes[column]!r}; leave the treatment or outcome out.")
    at_least = np.all(numbers[:, None] >= numbers[None, :], axis=-1)
    above = at_least & np.any(numbers[:, None] > numbers[None, :], axis=-1)
    between = (above.astype(int) @ above.astype(int)) > 0
    level = np.zeros(len(names), dtype=np.int64)
    for i in np.argsort(-numbers.sum(axis=1), kind="stable"):
        higher = np.flatnonzero(above[:, i])
        level[i] = level[higher].max() + 1 if len(higher) else 0
    return PartialOrder(treatments=names, outcomes=outcomes, values=numbers, above=above, covers=above & ~between,
                        level=level)  # fmt: skip


def cumulative_ranks(fit: Fit, better: Better | None = None) -> pd.DataFrame:
    """Cumulative rank probabilities, one row per treatment and rank.

    Parameters
    ----------
    fit : Fit
    better : {"higher", "lower"}, optional

    Returns
    -------
    pandas.DataFrame
        treatment, rank, probability, cumulative (of this rank or a better one), sucra; best SUCRA first.
    """
    import pandas as pd

    table = ranks(fit, better).sort_values("sucra", ascending=False, kind="stable", ignore_index=True)
    p = table.filter(regex=r"^rank_\d+$").to_numpy()
    T = len(table)
    return pd.DataFrame(
        {
            "treatment": np.repeat(table["treatment"].to_numpy(dtype=object), T),
            "rank": np.tile(np.arange(1, T + 1), T),
            "probability": p.ravel(),
            "cumulative": np.minimum(np.cumsum(p, axis=1), 1.0).ravel(),
            "sucra": np.repeat(table["sucra"].to_numpy(), T),
        }
    )


def rank_table(fits: Mapping[str, Fit], *, better: Sequence[Better] | None = None) -> pd.DataFrame:
    """SUCRA and P-score of every treatment for every outcome, long.

    Parameters
    ----------
    fits : mapping of outcome to Fit
    better : sequence of {"higher", "lower"}, optional
        One per outcome.

    Returns
    -------
    pandas.DataFrame
        outcome, treatment, p_score, sucra, mean_rank, n_treatments (ranked on that outcome).
    """
    import pandas as pd

    ways = list(better) if better is not None else [None] * len(fits)
    if len(ways) != len(fits):
        raise UsageError(f"{len(ways)} directions for {len(fits)} outcomes; give one each.")
    parts = []
    for (name, fit), way in zip(fits.items(), ways, strict=True):
        part = ranks(fit, way)[["treatment", "p_score", "sucra", "mean_rank"]]
        part.insert(0, "outcome", name)
        parts.append(part.assign(n_treatments=len(part)))
    return pd.concat(parts, ignore_index=True)
