"""Small-study effects: whether smaller studies report larger effects, for one comparison and for a network.

One comparison, study i with effect y_i and variance v_i:
- `egger`: y_i = a + b sqrt(v_i), weights 1/v_i, residual variance free (Egger M et al., BMJ 1997;315:629); with
  `egger-random` the residual variance is v_i + tau² (Sterne JAC & Egger M, in: Publication Bias in Meta-Analysis, 2005,
  chapter 6). The test is of b; the intercept a is the effect that a study of no error would show;
- `peters`: log odds ratio on 1/n, weights (1/events + 1/non-events)^-1 (Peters JL et al., JAMA 2006;295:676);
- `harbord`: score Z_i / V_i on 1/sqrt(V_i), weights V_i (Harbord RM, Egger M, Sterne JAC, Stat Med 2006;25:3443);
- `begg`: Kendall's correlation of v_i with (y_i - mean) / sqrt(v_i - 1/Σ 1/v) (Begg CB & Mazumdar M, Biometrics
  1994;50:1088).

A network: effects are oriented by an order of the treatments (say from the oldest to the newest), so that small-study
effects point in one direction. `comparison_adjusted_funnel` takes from each contrast the mean of its comparison
(Chaimani A et al., PLoS ONE 2013;8:e76654); `network_egger` adds one slope on the standard error to the network model
(Chaimani A & Salanti G, Res Synth Methods 2012;3:161).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau, norm, t

from enthesis.assess.pair import PairEffects, pair_effects, regression
from enthesis.errors import UsageError, unknown_name
from enthesis.inference.fit import Fit
from enthesis.inference.regression import solve
from enthesis.network.network import Network

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

METHODS: tuple[str, ...] = ("egger", "egger-random", "peters", "harbord", "begg")
#: covariates for `egger` and `egger-random`
PREDICTORS: tuple[str, ...] = ("se", "variance", "n", "inverse n", "inverse sqrt n")
#: below ten studies the tests cannot tell chance from asymmetry (Sterne JAC et al., BMJ 2011;343:d4002)
FEW = 10
#: a line through two points leaves no error to test it with
LEAST = 3


@dataclass(frozen=True, kw_only=True)
class AsymmetryTest:
    """The result of a test for small-study effects.

    Parameters
    ----------
    method, predictor : str
    n_studies : int
    statistic : float
        t, z, or Kendall's tau.
    df : int or None
        Of t; None where the statistic is normal or exact.
    p : float
        Two-sided.
    slope, se : float or None
    limit, limit_lower, limit_upper : float or None
        The effect extrapolated to a study of no error, model's scale, with a 95 % interval.
    tau2 : float or None
        Residual between-study variance.
    message : str
        A sentence for the reader.
    """

    method: str
    predictor: str
    n_studies: int
    statistic: float
    df: int | None
    p: float
    slope: float | None = None
    se: float | None = None
    limit: float | None = None
    limit_lower: float | None = None
    limit_upper: float | None = None
    tau2: float | None = None
    message: str = ""

    def to_dict(self) -> dict:
        """Plain fields."""
        return asdict(self)


def asymmetry_test(
    network: Network,
    method: str = "egger",
    *,
    treatment: str | None = None,
    comparator: str | None = None,
    predictor: str = "se",
) -> AsymmetryTest:
    """A test of funnel-plot asymmetry for one comparison.

    Parameters
    ----------
    network : Network
    method : {"egger", "egger-random", "peters", "harbord", "begg"}
    treatment, comparator : str, optional
        The comparison; not needed for a network of two treatments.
    predictor : {"se", "variance", "n", "inverse n", "inverse sqrt n"}
        For `egger` and `egger-random`.

    Returns
    -------
    AsymmetryTest

    Raises
    ------
    UsageError
        With fewer than three studies; when the method needs counts or patient numbers that are not there.

    Examples
    --------
    >>> import enthesis as en
    >>> rows = [dict(study=s, treatment=t, mean=m * (t == "B"), sd=1, n=n)
    ...         for s, m, n in (("1", 0.5, 400), ("2", 0.6, 100), ("3", 0.9, 25), ("4", 0.7, 64)) for t in "AB"]
    >>> round(asymmetry_test(en.from_table(rows, measure="MD", reference="A")).slope, 2)
    1.81
    """
    if method not in METHODS:
        raise unknown_name("method", method, METHODS)
    data = pair_effects(network, treatment, comparator)
    data.require(LEAST, f"the test {method!r}")
    if method == "begg":
        return _begg(data)
    if method == "peters":
        return _peters(data)
    if method == "harbord":
        return _harbord(data)
    x = _predictor(data, predictor)
    X = np.column_stack([np.ones(len(data)), x])
    has_limit = predictor != "n"
    if method == "egger":
        return _least_squares(method, predictor, data.y, 1 / data.v, X, limit=has_limit)
    model = regression(data.y, data.v, X)
    return _normal_test(method, predictor, model.beta, model.cov, len(data), model.tau2, limit=has_limit)


def _predictor(data: PairEffects, name: str) -> Array:
    if name not in PREDICTORS:
        raise unknown_name("predictor", name, PREDICTORS)
    if name in ("se", "variance"):
        return np.sqrt(data.v) if name == "se" else data.v
    if not np.all(np.isfinite(data.n)):
        missing = data.study[int(np.flatnonzero(~np.isfinite(data.n))[0])]
        raise UsageError(
            f"the predictor {name!r} needs the number of patients of every study; {missing!r} gives none. Use 'se'."
        )
    return {"n": data.n, "inverse n": 1 / data.n, "inverse sqrt n": 1 / np.sqrt(data.n)}[name]


def _least_squares(
    method: str, predictor: str, y: Array, w: Array, X: Array, *, limit: bool = True, tested: int = 1
) -> AsymmetryTest:
    if np.linalg.matrix_rank(X) < X.shape[1]:
        raise UsageError(f"every study has the same {predictor}, so asymmetry cannot be tested.")
    now = solve(y, X, w)
    beta, df = now.beta, len(y) - X.shape[1]
    cov = now.cov * now.rss / df
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = float(beta[tested] / np.sqrt(cov[tested, tested]))
    if not np.isfinite(statistic):
        raise UsageError("the studies lie on a line exactly, so there is no error to test asymmetry with.")
    p = float(2 * t.sf(abs(statistic), df))
    width = t.ppf(0.975, df) * np.sqrt(cov[0, 0])
    ends = (float(beta[0]), float(beta[0] - width), float(beta[0] + width)) if limit else (None,) * 3
    return AsymmetryTest(
        method=method, predictor=predictor, n_studies=len(y), statistic=statistic, df=df, p=p,
        slope=float(beta[tested]), se=float(np.sqrt(cov[tested, tested])), limit=ends[0],
        limit_lower=ends[1], limit_upper=ends[2], message=_sentence(p, len(y)),
    )  # fmt: skip


def _normal_test(
    method: str, predictor: str, beta: Array, cov: Array, n: int, tau2: float, *, limit: bool = True
) -> AsymmetryTest:
    se = np.sqrt(np.diag(cov))
    statistic = float(beta[1] / se[1])
    width = norm.ppf(0.975) * se[0]
    ends = (float(beta[0]), float(beta[0] - width), float(beta[0] + width)) if limit else (None,) * 3
    p = float(2 * norm.sf(abs(statistic)))
    return AsymmetryTest(
        method=method, predictor=predictor, n_studies=n, statistic=statistic, df=None, p=p, slope=float(beta[1]),
        se=float(se[1]), limit=ends[0], limit_lower=ends[1], limit_upper=ends[2], tau2=tau2, message=_sentence(p, n),
    )  # fmt: skip


def _begg(data: PairEffects) -> AsymmetryTest:
    w = 1 / data.v
    mean = np.sum(w * data.y) / w.sum()
    spread = data.v - 1 / w.sum()
    found = kendalltau((data.y - mean) / np.sqrt(spread), data.v)
    if not np.isfinite(found.statistic):
        raise UsageError("every study has the same variance, so its correlation with the effect cannot be computed.")
    p = float(found.pvalue)
    return AsymmetryTest(method="begg", predictor="variance", n_studies=len(data), statistic=float(found.statistic),
                         df=None, p=p, message=_sentence(p, len(data)))  # fmt: skip


def _counts(data: PairEffects, method: str) -> tuple[Array, Array]:
    if data.events is None or data.measure.name != "OR":
        lack = f"is on {data.measure.name}" if data.measure.name != "OR" else "has no counts"
        raise UsageError(
            f"the test {method!r} is for odds ratios from events and patients of both arms; this comparison {lack}. "
            "Use 'egger' or 'egger-random'."
        )
    return data.events, data.patients


def _peters(data: PairEffects) -> AsymmetryTest:
    events, patients = _counts(data, "peters")
    total, n = events.sum(axis=1), patients.sum(axis=1)
    X = np.column_stack([np.ones(len(data)), 1 / n])
    return _least_squares("peters", "inverse n", data.y, total * (n - total) / n, X)


def _harbord(data: PairEffects) -> AsymmetryTest:
    events, patients = _counts(data, "harbord")
    total, n = events.sum(axis=1), patients.sum(axis=1)
    score = events[:, 0] - patients[:, 0] * total / n
    information = patients.prod(axis=1) * total * (n - total) / (n**2 * (n - 1))
    X = np.column_stack([np.ones(len(data)), 1 / np.sqrt(information)])
    return _least_squares("harbord", "inverse sqrt information", score / information, information, X)


def _sentence(p: float, n: int) -> str:
    said = "Smaller studies show different effects than larger ones" if p < 0.1 else "No sign of small-study effects"
    few = f"; with {n} studies (fewer than {FEW}) the test has little power" if n < FEW else ""
    return f"{said} (p = {p:.2g}, {n} studies){few}."


def _oriented(network: Network, order: Sequence[str] | None) -> Array:
    """The rank of each treatment, shape (treatments,): contrasts point from the lower rank to the higher.

    Without an order the reference has rank 0 and all others 1, so contrasts between two others have no direction.
    """
    rank = np.ones(network.n_treatments)
    if order is None:
        rank[network.index(network.reference)] = 0
        return rank
    at = [network.index(name) for name in order]
    missing = [name for name in network.treatment_names if name not in order]
    if missing or len(set(at)) != len(at):
        raise UsageError(
            f"the order must name every treatment once; it lacks {', '.join(missing[:6])}."
            if missing
            else "the order names a treatment twice; name each once."
        )
    rank[at] = np.arange(len(at))
    return rank


def comparison_adjusted_funnel(fit: Fit, *, order: Sequence[str] | None = None) -> pd.DataFrame:
    """Contrasts less the mean of their comparison: one funnel for all comparisons.

    Parameters
    ----------
    fit : Fit
        Its network and tau.
    order : sequence of str, optional
        Every treatment, from the one that bias is expected to disfavour (old, placebo) to the one it favours (new,
        sponsored). Without it only contrasts with the reference are shown, since the others have no direction.

    Returns
    -------
    pandas.DataFrame
        study, treatment, comparator (treatment later in the order), effect, se, centre (weighted mean of the
        comparison's studies, weights 1 / (v + tau²)), adjusted (effect - centre), n_studies of the comparison.
        `adjusted` is 0 where a comparison has one study.

    Raises
    ------
    UsageError
        When the order leaves a treatment out.

    Examples
    --------
    >>> import enthesis as en
    >>> network = en.from_table([dict(study=s, treatment=t, mean=m * (t == "B"), sd=1, n=50)
    ...                          for s, m in (("1", 0.4), ("2", 0.8)) for t in "AB"], measure="MD", reference="A")
    >>> comparison_adjusted_funnel(en.fit(network, engine="gls")).adjusted.round(6).tolist()
    [-0.2, 0.2]
    """
    import pandas as pd

    network = fit.network
    rank = _oriented(network, order)
    study, treatment, comparator, y, v = _contrasts(network, rank)
    pair = treatment * network.n_treatments + comparator
    unique, which, count = np.unique(pair, return_inverse=True, return_counts=True)
    w = 1 / (v + fit.tau.estimate**2)
    centre = (np.bincount(which, w * y, len(unique)) / np.bincount(which, w, len(unique)))[which]
    names = np.array(network.treatment_names, dtype=object)
    return pd.DataFrame(
        {
            "study": np.array(network.studies, dtype=object)[study],
            "treatment": names[treatment],
            "comparator": names[comparator],
            "effect": y,
            "se": np.sqrt(v),
            "centre": centre,
            "adjusted": np.where(count[which] > 1, y - centre, 0.0),
            "n_studies": count[which],
        }
    )


def _contrasts(network: Network, rank: Array):
    """All contrasts with a direction, sorted by study: study, treatment, comparator, y, v."""
    parts = []
    for g in network.pairs.groups:
        above = rank[g.arms][:, :, None] > rank[g.arms][:, None, :]
        i, a, b = np.nonzero(above)
        parts.append((g.study[i], g.arms[i, a], g.arms[i, b], g.y[i, a, b], g.v[i, a, b]))
    columns = [np.concatenate(c) for c in zip(*parts, strict=True)]
    at = np.lexsort((columns[2], columns[1], columns[0]))
    return tuple(c[at] for c in columns)


def comparison_adjusted_egger(fit: Fit, *, order: Sequence[str] | None = None) -> AsymmetryTest:
    """Egger's regression on the points of the comparison-adjusted funnel.

    Comparisons with a single study are left out: their adjusted effect is 0 whatever the study found. Contrasts of one
    multi-arm study are treated as independent here; `network_egger` is not so.

    Parameters
    ----------
    fit : Fit
    order : sequence of str, optional
        As for `comparison_adjusted_funnel`.

    Returns
    -------
    AsymmetryTest
    """
    table = comparison_adjusted_funnel(fit, order=order)
    table = table[table.n_studies > 1]
    if len(table) < LEAST:
        raise UsageError(
            f"{len(table)} contrasts are in comparisons with more than one study; the test needs at least {LEAST}. "
            "Give an order of all treatments to use more contrasts."
        )
    se = table.se.to_numpy()
    X = np.column_stack([np.ones(len(se)), se])
    return _least_squares("comparison-adjusted egger", "se", table.adjusted.to_numpy(), se**-2.0, X, limit=False)


def network_egger(fit: Fit, *, order: Sequence[str] | None = None) -> tuple[AsymmetryTest, pd.DataFrame]:
    """Network meta-regression with one slope on the standard error of the contrast.

    In study i with arms ordered, the contrast of arm k with the study's first arm has mean d_k - d_1 + b se_ik, with
    the covariance of the network model at the fit's tau plus tau² estimated anew by REML. The effects at se = 0 are
    those that studies of no error would show.

    Parameters
    ----------
    fit : Fit
    order : sequence of str, optional
        As for `comparison_adjusted_funnel`; contrasts without a direction get no slope.

    Returns
    -------
    test : AsymmetryTest
        `slope` per unit of standard error.
    effects : pandas.DataFrame
        treatment, comparator (the reference), estimate, se, lower, upper at se = 0, model's scale.

    Raises
    ------
    UsageError
        When the data leave nothing to estimate the slope from.
    """
    import pandas as pd

    network = fit.network
    rank = _oriented(network, order)
    parts = [_study_designs(g, rank, network) for g in network.pairs.groups]
    n_rows = sum(part[0].size for part in parts)
    reference = network.index(network.reference)
    keep = np.r_[np.delete(np.arange(network.n_treatments), reference), network.n_treatments]
    stacked = np.concatenate([part[2].reshape(-1, network.n_treatments + 1) for part in parts])[:, keep]
    if n_rows <= len(keep) or np.linalg.matrix_rank(stacked) < len(keep):
        raise UsageError(
            "the studies do not tell a slope on the standard error apart from the effects (too few studies per "
            "comparison, or all of the same size)."
        )
    tau2 = _network_tau2(parts, keep) if fit.effects == "random" else 0.0
    beta, cov, _, _ = _network_regression(parts, keep, tau2)
    z = float(beta[-1] / np.sqrt(cov[-1, -1]))
    p = float(2 * norm.sf(abs(z)))
    test = AsymmetryTest(
        method="network egger", predictor="se", n_studies=network.n_studies, statistic=z, df=None, p=p,
        slope=float(beta[-1]), se=float(np.sqrt(cov[-1, -1])), tau2=tau2, message=_sentence(p, network.n_studies),
    )  # fmt: skip
    se = np.sqrt(np.diag(cov))[:-1]
    width = norm.ppf(0.975) * se
    names = [network.treatment_names[i] for i in keep[:-1]]
    effects = pd.DataFrame({"treatment": names, "comparator": network.reference, "estimate": beta[:-1], "se": se,
                            "lower": beta[:-1] - width, "upper": beta[:-1] + width})  # fmt: skip
    return test, effects


def _study_designs(g, rank: Array, network: Network):
    """Per study of a group: contrasts with its first arm in the order (y, V, design with the slope's column last)."""
    size = network.n_treatments
    place = np.argsort(rank[g.arms], axis=1, kind="stable")
    row = np.arange(len(place))[:, None]
    arms = g.arms[row, place]
    y = g.y[row, place[:, 1:], place[:, :1]]
    v = g.v[row[:, :, None], place[:, :, None], place[:, None, :]]
    V = 0.5 * (v[:, 1:, :1] + v[:, :1, 1:] - v[:, 1:, 1:])
    X = np.zeros((*y.shape, size + 1))
    i, k = np.indices(y.shape)
    X[i, k, arms[:, 1:]] += 1
    X[i, k, arms[:, :1]] -= 1
    X[:, :, size] = np.sqrt(v[:, 1:, 0]) * (rank[arms[:, 1:]] > rank[arms[:, :1]])
    return y, V, X


def _network_regression(parts, keep, tau2: float):
    """Effects, covariance, log determinant and residual sum of squares at tau²."""
    A, b, total, logdet = 0.0, 0.0, 0.0, 0.0
    weights = []
    for y, V, X in parts:
        q = y.shape[1]
        W = np.linalg.inv(V + tau2 * 0.5 * (np.eye(q) + 1))
        x = X[:, :, keep]
        A = A + np.einsum("ikp,ikl,ilq->pq", x, W, x)
        b = b + np.einsum("ikp,ikl,il->p", x, W, y)
        logdet += np.linalg.slogdet(W)[1].sum()
        weights.append(W)
    cov = np.linalg.inv(A)
    beta = cov @ b
    for (y, _, X), W in zip(parts, weights, strict=True):
        r = y - X[:, :, keep] @ beta
        total += np.einsum("ik,ikl,il->", r, W, r)
    return beta, cov, logdet - np.linalg.slogdet(A)[1], total


def _network_tau2(parts, keep) -> float:
    """REML: the highest of a grid, refined; the criterion is smooth in log tau²."""
    from scipy.optimize import minimize_scalar

    def loss(tau2: float) -> float:
        _, _, logdet, total = _network_regression(parts, keep, tau2)
        return total - logdet

    scale = float(np.median(np.concatenate([np.diagonal(V, axis1=1, axis2=2).ravel() for _, V, _ in parts])))
    grid = scale * np.r_[0.0, np.geomspace(1e-3, 1e3, 25)]
    losses = [loss(x) for x in grid]
    at = int(np.argmin(losses))
    low, high = grid[max(at - 1, 0)], grid[min(at + 1, len(grid) - 1)]
    found = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-10 * scale})
    return float(found.x) if found.fun < losses[0] else 0.0
