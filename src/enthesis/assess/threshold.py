"""Threshold analysis: how far the evidence can move before the decision changes.

With y the data (contrasts), V their covariance, X their design and C the posterior covariance of the effects d, a small
change of the data moves the effects by H = C X' V⁻¹. For normal likelihoods and priors this is exact, for others the
normal approximation of the posterior. Along a change u of one data point, or of any fixed combination a of them, the
effects are d + u H a; the decision keeps until a difference crosses the value that its rule looks at. The two nearest
such u, one below and one above zero, are the thresholds; estimate + thresholds is the decision-invariant interval.

At the level of comparisons there is one data point per comparison with direct evidence. Its variance is not observed
but reconstructed: the v that make X' diag(1/v) X nearest to C⁻¹ - P, with P the prior precision, by non-negative least
squares over the upper triangle.

For a generalised-least-squares fit with random effects tau is estimated, and changes with the data too: `refit` solves
for the thresholds with tau estimated again at every step.

Sources: Phillippo DM, Dias S, Ades AE, Didelez V, Welton NJ, J R Stat Soc A 2018;181:843 (the method, study and
contrast level, combinations of data points); Phillippo DM, Dias S, Welton NJ, Caldwell DM, Taske N, Ades AE, Ann
Intern Med 2019;170:538 (its use beside GRADE).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from enthesis.assess.aggregate import by_comparison, contrast_fit, oriented
from enthesis.assess.decision import Best, Rule
from enthesis.errors import ModelError, UsageError, unknown_name
from enthesis.estimands import direction
from enthesis.models.consistency import Consistent

if TYPE_CHECKING:
    import pandas as pd

    from enthesis.inference.fit import Fit
    from enthesis.network.measures import Measure

Array = NDArray[np.float64]
Level = Literal["study", "comparison"]
LEVELS: tuple[str, ...] = ("study", "comparison")
BIASES: tuple[str, ...] = ("none", "study", "treatment", "class", "all")
COLUMNS = ["what", "study", "treatment", "comparator", "estimate", "lower", "upper", "low", "high", "invariant_low",
           "invariant_high", "below", "above"]  # fmt: skip
#: ratios beyond these are not shown as ends
FARTHEST = (0.01, 1000.0)
#: a comparison whose reconstructed precision is smaller than this share of the largest has no direct weight
LEAST_PRECISION = 1e-12


@dataclass(frozen=True, kw_only=True)
class Influence:
    """What each data point does to the effects.

    Parameters
    ----------
    effects : float array, shape (treatments,)
        Against the reference, on the model's scale.
    H : float array, shape (treatments, points)
        Change of the effects per unit change of a data point.
    y, se : float arrays, shape (points,)
        The data points.
    plus, minus : int arrays, shape (points,)
        Treatments of each data point: effect of `plus` against `minus`.
    study : tuple of str
        Of each data point; empty texts for comparisons.
    names : tuple of str
        Treatments.
    classes : tuple of str
        Their classes.
    sign : float
        +1 when higher effects are better, else -1.
    z : float
        Quantile for the intervals of the data points.
    """

    effects: Array
    H: Array
    y: Array
    se: Array
    plus: NDArray[np.int64]
    minus: NDArray[np.int64]
    study: tuple[str, ...]
    names: tuple[str, ...]
    classes: tuple[str, ...]
    sign: float
    z: float = 1.959963984540054

    def point(self, m: int) -> str:
        """A data point in words."""
        where = f"{self.study[m]}: " if self.study[m] else ""
        return f"{where}{self.names[self.plus[m]]} versus {self.names[self.minus[m]]}"


def influence_matrix(covariance: Array, design: Array, likelihood: Array) -> Array:
    """H = C X' V⁻¹: the change of the parameters per unit change of each data point.

    Parameters
    ----------
    covariance : float array, shape (parameters, parameters)
        Posterior covariance. With random effects the parameters may be the effects followed by the study-specific
        effects; the design then selects the latter.
    design : float array, shape (points, parameters)
    likelihood : float array, shape (points, points) or (points,)
        Covariance of the data, or variances, which may be infinite for points without weight.

    Returns
    -------
    float array, shape (parameters, points)

    Examples
    --------
    >>> import numpy as np
    >>> influence_matrix(np.array([[0.5]]), np.array([[1.0], [1.0]]), np.array([1.0, 1.0])).tolist()
    [[0.5, 0.5]]
    """
    covariance, design, likelihood = (np.asarray(x, dtype=float) for x in (covariance, design, likelihood))
    pull = covariance @ design.T
    if likelihood.ndim == 1:
        return pull / likelihood
    return np.linalg.solve(likelihood.T, pull.T).T


def likelihood_variances(covariance: Array, design: Array, prior_precision: Array | float = 0.0) -> Array:
    """Variances of independent data points, one per row of the design, that explain a posterior covariance best.

    Parameters
    ----------
    covariance : float array, shape (parameters, parameters)
    design : float array, shape (points, parameters)
    prior_precision : float or float array, shape (parameters, parameters)
        A number stands for that precision of every parameter.

    Returns
    -------
    float array, shape (points,)
        inf for a point that explains nothing.

    Examples
    --------
    >>> import numpy as np
    >>> likelihood_variances(np.array([[0.5]]), np.array([[1.0]]), 1.0).tolist()
    [1.0]
    """
    covariance, design = np.asarray(covariance, dtype=float), np.asarray(design, dtype=float)
    size = len(covariance)
    prior = prior_precision * np.eye(size) if np.ndim(prior_precision) == 0 else np.asarray(prior_precision)
    upper = np.triu_indices(size)
    rows = (design[:, :, None] * design[:, None, :])[:, upper[0], upper[1]].T
    wanted = (np.linalg.inv(covariance) - prior)[upper]
    precision, _ = nnls(rows, wanted, maxiter=100 * len(design) + 1000)
    none = precision <= LEAST_PRECISION * precision.max(initial=0.0)
    with np.errstate(divide="ignore"):
        return np.where(none, np.inf, 1 / precision)


def influence_of(fit: Fit, level: Level = "study") -> Influence:
    """The influence of the data of a fit.

    Parameters
    ----------
    fit : Fit
        Consistent effects without covariates. Contrasts of its network are the data; for a Bayesian fit of counts they
        are the normal approximation of the likelihood.
    level : {"study", "comparison"}
        A data point is a contrast of a study against its first arm, or a comparison with direct evidence.

    Returns
    -------
    Influence

    Raises
    ------
    ModelError
        For models whose effects do not follow from contrasts alone.
    """
    if level not in LEVELS:
        raise unknown_name("level", level, LEVELS)
    if not isinstance(fit.model.consistency, Consistent) or fit.model.regression is not None:
        raise ModelError("thresholds need a model with consistent effects and without covariates. Fit one of these.")
    at = contrast_fit(fit)
    network = at.network
    position = [fit.treatments.index(name) for name in network.treatment_names]
    d = fit.estimate[position] if fit.is_bayesian else at.d
    C = fit.covariance[np.ix_(position, position)] if fit.is_bayesian else at.cov
    reference = at.target.reference
    keep = np.flatnonzero(np.arange(len(d)) != reference)
    shared: dict[str, Any] = {
        "effects": d - d[reference], "names": network.treatment_names, "sign": direction(fit),
        "classes": tuple(t.drug_class or t.name for t in network.treatments),
    }  # fmt: skip
    if level == "comparison":
        found = by_comparison(at.target.groups, network.n_treatments, at.tau2)
        pairs = np.array([oriented(network, int(a), int(b)) for a, b in zip(found.a, found.b, strict=True)])
        y = np.where(pairs[:, 0] == found.a, found.direct, -found.direct)
        X = _design(pairs[:, 0], pairs[:, 1], len(d))
        V = likelihood_variances(C[np.ix_(keep, keep)], X[:, keep])
        H = influence_matrix(C, X, V)
        return Influence(H=H, y=y, se=np.sqrt(found.variance), plus=pairs[:, 0], minus=pairs[:, 1],
                         study=("",) * len(y), **shared)  # fmt: skip
    y, se, plus, minus, study, blocks = [], [], [], [], [], []
    for g in at.target.groups:
        own, V = g.basic()
        spread = V + 0.5 * at.tau2 * (np.eye(g.k - 1) + 1)
        y.append(own.ravel())
        se.append(np.sqrt(np.diagonal(V, axis1=1, axis2=2)).ravel())
        plus.append(g.arms[:, 1:].ravel())
        minus.append(np.repeat(g.arms[:, 0], g.k - 1))
        study += [network.studies[s] for s in np.repeat(g.study, g.k - 1)]
        blocks += list(spread)
    plus_, minus_ = np.concatenate(plus), np.concatenate(minus)
    # (C X' S⁻¹) block by block; a dense covariance of all contrasts is never formed
    X = _design(plus_, minus_, len(d))
    H, first = np.empty((len(d), len(X))), 0
    for S in blocks:
        its = slice(first, first + len(S))
        H[:, its] = influence_matrix(C, X[its], S)
        first += len(S)
    return _facing(Influence(H=H, y=np.concatenate(y), se=np.concatenate(se), plus=plus_, minus=minus_,
                             study=tuple(study), **shared), reference)  # fmt: skip


def _facing(i: Influence, reference: int) -> Influence:
    """The same with the reference, where it takes part, as the comparator."""
    turn = i.plus == reference
    sign = np.where(turn, -1.0, 1.0)
    return Influence(effects=i.effects, H=i.H * sign, y=i.y * sign, se=i.se, plus=np.where(turn, i.minus, i.plus),
                     minus=np.where(turn, i.plus, i.minus), study=i.study, names=i.names, classes=i.classes,
                     sign=i.sign, z=i.z)  # fmt: skip


def _design(plus: Array, minus: Array, size: int) -> Array:
    identity = np.eye(size)
    return identity[plus] - identity[minus]


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """How far one change can go.

    Parameters
    ----------
    low, high : float
        The nearest changes, below and above zero, at which the decision changes; infinite where it never does.
    below, above : tuple of int
        What is decided beyond them; empty where it never changes.
    """

    low: float
    high: float
    below: tuple[int, ...] = ()
    above: tuple[int, ...] = ()

    @property
    def nearest(self) -> float:
        """The smaller of the two distances."""
        return min(-self.low, self.high)


def threshold(effects: Array, influence: Array, rule: Rule) -> Threshold:
    """The thresholds along one line in the effects.

    Parameters
    ----------
    effects : float array, shape (treatments,)
        Higher is better.
    influence : float array, shape (treatments,)
        Change of the effects per unit.
    rule : Rule

    Returns
    -------
    Threshold

    Examples
    --------
    >>> import numpy as np
    >>> threshold(np.array([0.0, 1.0]), np.array([0.0, 0.5]), Best())
    Threshold(low=-2.0, high=inf, below=(0,), above=())
    """
    effects, influence = np.asarray(effects, dtype=float), np.asarray(influence, dtype=float)
    a, b, value = rule.crossings(effects)
    slope, gap = influence[a] - influence[b], value - (effects[a] - effects[b])
    size = np.abs(influence).max(initial=0.0)
    moves = np.abs(slope) > 1e-14 * size if size > 0 else np.zeros(len(slope), dtype=bool)
    at = np.unique(gap[moves] / slope[moves])
    base = rule.chosen(effects[None, :], effects)[0]
    high, above = _first_change(effects, influence, rule, at[at >= 0], base)
    low, below = _first_change(effects, -influence, rule, np.sort(-at[at <= 0]), base)
    return Threshold(low=-low, high=high, below=below, above=above)


def _first_change(effects: Array, influence: Array, rule: Rule, at: Array, base: Array) -> tuple[float, tuple]:
    """The first of the points beyond which another decision holds, and that decision."""
    if not len(at):
        return np.inf, ()
    beyond = 0.5 * (at + np.r_[at[1:], 2 * at[-1] + 1.0])
    chosen = rule.chosen(effects + beyond[:, None] * influence, effects)
    changed = np.flatnonzero((chosen != base).any(axis=1))
    if not len(changed):
        return np.inf, ()
    return float(at[changed[0]]), tuple(int(t) for t in np.flatnonzero(chosen[changed[0]]))


def thresholds(
    fit: Fit,
    rule: Rule | None = None,
    *,
    level: Level = "study",
    bias: str = "none",
    combinations: dict[str, Array] | None = None,
    refit: bool = False,
) -> pd.DataFrame:
    """How far each data point, or each bias, can move before the decision changes.

    Parameters
    ----------
    fit : Fit
    rule : Rule, optional
        Default: the best treatment.
    level : {"study", "comparison"}
        One data point per contrast of a study, or per comparison with direct evidence.
    bias : {"none", "study", "treatment", "class", "all"}
        Instead of single data points a bias that many share: every contrast of a study; every contrast of a treatment
        or class against something else, in its favour; all contrasts together.
    combinations : dict of str to float array, shape (points,), optional
        Instead of these, any linear combination: how much each data point moves per unit.
    refit : bool
        For a `gls` fit with random effects: tau is estimated again as the data move.

    Returns
    -------
    pandas.DataFrame
        what, study, treatment, comparator (empty for a bias), estimate, lower, upper (the data point with its 95 %
        interval from its own variance; NaN for a bias), low, high (the thresholds, as changes), invariant_low,
        invariant_high (the decision holds while the data point is between them), below, above (the decision beyond
        them: its name where one treatment is chosen, else what joins and what leaves; empty where it never changes).
        On the model's scale; a row per data point or bias, the most fragile first.

    Raises
    ------
    ModelError
        For models whose effects do not follow from contrasts alone.
    UsageError
        When a choice is not known, or a combination has the wrong length.

    Examples
    --------
    >>> import enthesis as en
    >>> rows = [dict(study=s, treatment=t, mean=m, sd=1, n=50)
    ...         for s, t, m in (("1", "A", 0), ("1", "B", 0.5), ("2", "A", 0), ("2", "C", 0.3))]
    >>> result = en.fit(en.from_table(rows, measure="MD", reference="A", better="higher"), engine="gls")
    >>> thresholds(result)[["what", "low", "high"]].round(2).to_dict("records")
    [{'what': '1: B versus A', 'low': -0.2, 'high': inf}, {'what': '2: C versus A', 'low': -inf, 'high': 0.2}]
    """
    import pandas as pd

    rule = rule or Best()
    i = influence_of(fit, level)
    moves = _combined(i, combinations) if combinations is not None else biases(i, bias)
    solve = _refitted(fit, i, rule) if refit else None
    better = i.sign * i.effects
    base = tuple(int(t) for t in np.flatnonzero(rule.chosen(better[None, :], better)[0]))
    rows = []
    for name, weights in moves.items():
        if solve is None:
            found = threshold(i.sign * i.effects, i.sign * (i.H @ weights), rule)
        else:
            found = solve(weights)
        rows.append(_row(i, name, weights, found, base))
    table = pd.DataFrame(rows, columns=COLUMNS)
    nearest = np.minimum(table["high"], -table["low"])
    return table.iloc[np.argsort(nearest.to_numpy(), kind="stable")].reset_index(drop=True)


def decided(fit: Fit, rule: Rule | None = None) -> tuple[str, ...]:
    """The treatments that a rule chooses, in network order.

    Examples
    --------
    >>> import enthesis as en
    >>> rows = [dict(study="1", treatment=x, events=r, n=50) for x, r in (("A", 5), ("B", 12))]
    >>> decided(en.fit(en.from_table(rows, reference="A", better="higher"), en.Model(heterogeneity=en.Common())))
    ('B',)
    """
    effects = direction(fit) * fit.estimate
    chosen = (rule or Best()).chosen(effects[None, :], effects)[0]
    return tuple(name for name, yes in zip(fit.treatments, chosen, strict=True) if yes)


def on_the_scale_people_read(table: pd.DataFrame, measure: Measure) -> pd.DataFrame:
    """A table of `thresholds` back-transformed; for a bias, the change itself stands around no difference.

    An end of a ratio below 0.01 or above 1,000 is open: no data come near it, and an approximation says nothing there.

    Parameters
    ----------
    table : pandas.DataFrame
    measure : Measure

    Returns
    -------
    pandas.DataFrame
        The columns of `thresholds`; low and high stay changes on the model's scale.
    """
    read = table.copy()
    bias = read["estimate"].isna()
    read.loc[bias, "estimate"] = 0.0
    for end in ("low", "high"):
        read.loc[bias, f"invariant_{end}"] = read.loc[bias, end]
    for name in ("estimate", "lower", "upper", "invariant_low", "invariant_high"):
        with np.errstate(over="ignore"):
            read[name] = measure.back_transform(read[name].to_numpy(dtype=float))
    if measure.scale == "log":
        for end, beyond, open_end in (("low", "below", 0.0), ("high", "above", np.inf)):
            ends = read[f"invariant_{end}"]
            far = (ends < FARTHEST[0]) | (ends > FARTHEST[1])
            read.loc[far, f"invariant_{end}"] = open_end
            read.loc[far, beyond] = ""
    return read


def biases(influence: Influence, bias: str = "none") -> dict[str, Array]:
    """Named combinations of data points: which move together, and in which direction.

    Parameters
    ----------
    influence : Influence
    bias : {"none", "study", "treatment", "class", "all"}

    Returns
    -------
    dict of str to float array, shape (points,)
    """
    i = influence
    identity = np.eye(len(i.y))
    if bias == "none":
        return {_unique(i, m): identity[m] for m in range(len(i.y))}
    if bias == "study":
        return {f"every contrast of {s}": (np.array(i.study) == s).astype(float) for s in dict.fromkeys(i.study) if s}
    if bias == "all":
        return {"every contrast": np.ones(len(i.y))}
    if bias not in BIASES:
        raise unknown_name("bias", bias, BIASES)
    groups = np.array(i.names if bias == "treatment" else i.classes)
    found = {}
    for group in dict.fromkeys(groups.tolist()):
        weights = (groups[i.plus] == group).astype(float) - (groups[i.minus] == group)
        if weights.any():
            found[f"every contrast of {group}"] = weights
    return found


def _unique(i: Influence, m: int) -> str:
    """The data point in words; a study that repeats a contrast numbers it."""
    name = i.point(m)
    same = [k for k in range(len(i.y)) if i.point(k) == name]
    return name if len(same) == 1 else f"{name} ({same.index(m) + 1})"


def _combined(i: Influence, combinations: dict[str, Array]) -> dict[str, Array]:
    found = {name: np.asarray(weights, dtype=float) for name, weights in combinations.items()}
    for name, weights in found.items():
        if weights.shape != (len(i.y),) or not np.isfinite(weights).all():
            raise UsageError(
                f"the combination {name!r} needs one finite number for each of the {len(i.y)} data points."
            )
    return found


def _row(i: Influence, name: str, weights: Array, found: Threshold, base: tuple[int, ...]) -> dict[str, Any]:
    single = np.count_nonzero(weights) == 1 and weights.max() == 1.0
    m = int(weights.argmax())
    y, se = (i.y[m], i.se[m]) if single else (np.nan, np.nan)
    return {
        "what": name, "study": i.study[m] if single else "", "treatment": i.names[i.plus[m]] if single else "",
        "comparator": i.names[i.minus[m]] if single else "", "estimate": y, "lower": y - i.z * se,
        "upper": y + i.z * se, "low": found.low, "high": found.high,
        "invariant_low": y + found.low, "invariant_high": y + found.high,
        "below": _named(i, found.below, base) if np.isfinite(found.low) else "",
        "above": _named(i, found.above, base) if np.isfinite(found.high) else "",
    }  # fmt: skip


def _named(i: Influence, chosen: tuple[int, ...], base: tuple[int, ...]) -> str:
    """A decision in words: the treatment where there is one, else what joins and what leaves."""
    if len(chosen) == len(base) == 1:
        return i.names[chosen[0]]
    joins = [i.names[t] for t in chosen if t not in base]
    leaves = [i.names[t] for t in base if t not in chosen]
    told = [f"with {' and '.join(joins)}" if joins else "", f"without {' and '.join(leaves)}" if leaves else ""]
    return ", ".join(t for t in told if t)


def _refitted(fit: Fit, i: Influence, rule: Rule) -> Callable[[Array], Threshold]:
    """Thresholds of a gls fit with tau estimated again as the data move."""
    from enthesis.assess.threshold_refit import refitted

    if fit.is_bayesian or fit.engine != "gls":
        raise ModelError(f"thresholds are solved again for fits by gls, not by {fit.engine}. Leave `refit` out.")
    if any(not s for s in i.study):
        raise UsageError("a comparison is no data point of a fit: solve again at the level of studies.")
    return refitted(fit, i, rule)


__all__ = ["Influence", "Threshold", "biases", "decided", "influence_matrix", "influence_of",
           "likelihood_variances", "on_the_scale_people_read", "threshold", "thresholds"]  # fmt: skip
