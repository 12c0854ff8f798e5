"""Pairwise meta-analysis and meta-regression of effects with known variances.

y_i ~ Normal(x_i' beta, v_i + tau²): with an intercept alone, the pairwise analysis; with moderators, the regression of
effects on study characteristics (Thompson SG, Higgins JPT, Stat Med 2002;21:1559; Viechtbauer W, J Stat Softw
2010;36(3)). `regression` estimates tau², `intervals` says how wide intervals are. Of a fit:

- QE, residual heterogeneity: weighted residual sum of squares with weights 1/v, chi-square on k - p.
- QM, the moderators (the intercept where there are none): Wald test of their coefficients, chi-square, or F on k - p
  for t and Knapp-Hartung.
- I² = tau² / (tau² + s²), H² = 1 + tau² / s² with the typical variance s² = (k - p) / tr P at weights 1/v (Higgins
  JPT, Thompson SG, Stat Med 2002;21:1539); for common effects (QE - df) / QE and QE / df.
- R² = 1 - tau² / tau² without moderators (Raudenbush SW, Handbook of Research Synthesis and Meta-Analysis, 2009).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from enthesis.errors import DataError, ModelError, UsageError, unknown_name
from enthesis.inference import regression
from enthesis.inference.intervals import CI, Prediction, critical, interval_rule, prediction_df

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
#: a moderator column with more levels than this is an identifier, not a category
_MOST_LEVELS = 50


@dataclass(frozen=True, kw_only=True)
class MetaRegression:
    """A pairwise meta-analysis or meta-regression.

    Parameters
    ----------
    y, v : float arrays, shape (k,)
        Effects and variances.
    X : float array, shape (k, p)
    names : tuple of str
        Of the coefficients; `intercept` first where there is one.
    beta, se, statistic, pvalue, lower, upper : float arrays, shape (p,)
        Coefficients with 95 % intervals and tests of 0.
    cov : float array, shape (p, p)
    tau2, tau2_se : float
        Between-study variance and its standard error (NaN for common effects).
    method : str
        Estimator of tau², or `common`.
    ci : str
        As in `fit`.
    df : float
        Of tests and intervals; inf for the normal distribution.
    QE, QE_p, QM, QM_p : float
        Tests of residual heterogeneity (on k - p) and of the moderators (on `QM_df`).
    QM_df : int
    I2, H2, R2 : float
        I² and R² from 0 to 1; R² is NaN without moderators.
    weights : float array, shape (k,)
        Of the studies; sum to 1.
    log_likelihood, AIC, BIC, AICc : float
        Of the restricted likelihood for REML, else of the full one.
    """

    y: Array
    v: Array
    X: Array
    names: tuple[str, ...]
    beta: Array
    cov: Array
    se: Array
    statistic: Array
    pvalue: Array
    lower: Array
    upper: Array
    tau2: float
    tau2_se: float
    method: str
    ci: CI
    df: float
    QE: float
    QE_p: float
    QM: float
    QM_df: int
    QM_p: float
    I2: float
    H2: float
    R2: float
    weights: Array
    log_likelihood: float
    AIC: float
    BIC: float
    AICc: float
    levels: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def k(self) -> int:
        """Number of studies."""
        return len(self.y)

    @property
    def p(self) -> int:
        """Number of coefficients."""
        return len(self.beta)

    def tau2_interval(
        self, kind: Literal["Q-profile", "profile likelihood"] = "Q-profile", level: float = 0.95
    ) -> tuple[float, float]:
        """Interval for tau²; see `regression.tau2_interval`."""
        if self.method == "common":
            raise ModelError("common effects have no tau² to give an interval for; use effects='random'.")
        return regression.tau2_interval(self.y, self.v, self.X, method=self.method, kind=kind, level=level)

    def coefficients(self) -> pd.DataFrame:
        """One row per coefficient: name, estimate, se, statistic, p, lower, upper."""
        import pandas as pd

        return pd.DataFrame({"name": list(self.names), "estimate": self.beta, "se": self.se,
                             "statistic": self.statistic, "p": self.pvalue, "lower": self.lower,
                             "upper": self.upper})  # fmt: skip

    def predict(self, moderators: Any = None, *, prediction: Prediction | None = None) -> pd.DataFrame:
        """Mean effects at values of the moderators, and what to expect of a new study there.

        Parameters
        ----------
        moderators : as in `meta_regression`, optional
            By default the studies' own values (one row without moderators).
        prediction : {"V", "HTS", "S"}, optional
            Degrees of freedom of the prediction interval; by default those of the confidence interval.

        Returns
        -------
        pandas.DataFrame
            estimate, se, lower, upper, prediction_lower, prediction_upper.
        """
        import pandas as pd

        X = self._design(moderators)
        mean = X @ self.beta
        se = np.sqrt(np.einsum("ij,jk,ik->i", X, self.cov, X))
        half = critical(self.df) * se
        df = self.df if prediction is None else prediction_df(prediction, self.k - self.p)
        wide = critical(df) * np.sqrt(se**2 + self.tau2)
        return pd.DataFrame({"estimate": mean, "se": se, "lower": mean - half, "upper": mean + half,
                             "prediction_lower": mean - wide, "prediction_upper": mean + wide})  # fmt: skip

    def _design(self, moderators: Any) -> Array:
        if moderators is None:
            return self.X if self.p > 1 or self.names[0] != "intercept" else np.ones((1, 1))
        X, names, _ = design(moderators, intercept="intercept" in self.names, levels=self.levels)
        if names != self.names:
            raise UsageError(
                f"the moderators give the coefficients {', '.join(names)}, the model has {', '.join(self.names)}. "
                "Give the same columns as when it was fitted."
            )
        return X

    def __str__(self) -> str:
        lines = [
            f"{'Meta-regression' if self.p > 1 else 'Meta-analysis'} of {self.k} studies, {self.method}, {self.ci} "
            "intervals",
            f"  tau² {self.tau2:.4g}, I² {100 * self.I2:.1f} %, "
            f"QE {self.QE:.3f} on {self.k - self.p} (p {self.QE_p:.3g})",
        ]
        rows = zip(self.names, self.beta, self.lower, self.upper, self.pvalue, strict=True)
        return "\n".join(lines + [f"  {n}: {b:.4f} ({lo:.4f} to {hi:.4f}), p {p:.3g}" for n, b, lo, hi, p in rows])


def meta_regression(
    y: Any,
    v: Any,
    moderators: Any = None,
    *,
    effects: Literal["random", "common"] = "random",
    tau: regression.Method = "REML",
    ci: CI = "normal",
    intercept: bool = True,
) -> MetaRegression:
    """Pairwise meta-analysis, or the regression of effects on study characteristics.

    Parameters
    ----------
    y, v : arrays, shape (k,)
        Effects (logarithms for ratios) and their variances; `study_effects(network)` gives both.
    moderators : data frame, mapping of name to column, or array of shape (k,) or (k, q), optional
        Numbers are used as they are; text becomes indicators of each level against the first in alphabetical order.
    effects : {"random", "common"}
    tau : str
        Estimator of tau²; one of `regression.METHODS`.
    ci : {"normal", "t", "knapp-hartung", "knapp-hartung-truncated"}
    intercept : bool

    Returns
    -------
    MetaRegression

    Raises
    ------
    DataError
        When a value is missing or cannot be used, or moderators cannot be told apart.
    UsageError, ModelError
        For an unknown method, or one that does not fit the data.

    Examples
    --------
    >>> result = meta_regression([-0.9, -1.6, -0.2, 0.1], [0.3, 0.2, 0.1, 0.1], tau="DL")
    >>> result.coefficients().round(3).to_dict("records")[0]["estimate"]
    -0.585
    """
    if effects not in ("random", "common"):
        raise unknown_name("effects", effects, ("random", "common"))
    y, v = _numbers(y, "effects"), _numbers(v, "variances")
    if y.shape != v.shape:
        raise DataError(f"{len(y)} effects and {len(v)} variances", fix="Give one variance for each effect.")
    if np.any(v <= 0):
        at = int(np.flatnonzero(v <= 0)[0])
        raise DataError("a variance must be above 0", row=at + 1, column="variance", value=float(v[at]),
                        fix="Check the value; it is the square of the standard error.")  # fmt: skip
    X, names, levels = design(moderators, k=len(y), intercept=intercept)
    if len(X) != len(y):
        raise DataError(f"{len(y)} effects and {len(X)} rows of moderators", fix="Give one row for each study.")
    _check_design(X, names, len(y))
    return _fit(y, v, X, names, levels, effects=effects, tau=tau, ci=ci)


def refitted(fit: MetaRegression, y: Array, X: Array) -> MetaRegression:
    """The same model fitted to other effects or another design of the same shape."""
    common = fit.method == "common"
    return _fit(y, fit.v, X, fit.names, fit.levels, effects="common" if common else "random",
                tau="REML" if common else fit.method, ci=fit.ci)  # fmt: skip


def _fit(y, v, X, names, levels, *, effects, tau, ci) -> MetaRegression:
    k, p = X.shape
    random = effects == "random"
    tau2 = regression.tau2_estimate(y, v, X, tau) if random else 0.0
    at_zero = regression.solve(y, X, 1 / v)
    now = regression.solve(y, X, 1 / (v + tau2))
    rule = interval_rule(ci, Q=now.rss, df=k - p, random=random)
    cov = rule.factor * now.cov
    se = np.sqrt(np.diag(cov))
    statistic = now.beta / se
    half = rule.critical() * se
    tested = np.array([i for i, name in enumerate(names) if name != "intercept"] or [0])
    QM = float(now.beta[tested] @ np.linalg.solve(cov[np.ix_(tested, tested)], now.beta[tested]))
    if np.isinf(rule.df):
        QM_p = float(stats.chi2.sf(QM, len(tested)))
    else:
        QM /= len(tested)
        QM_p = float(stats.f.sf(QM, len(tested), rule.df))
    I2, H2 = _inconsistency(X, at_zero, tau2, random)
    restricted = random and tau == "REML"
    height = regression.log_likelihood(y, v, X, tau2, restricted=restricted)
    size, free = (k - p if restricted else k), p + random
    base = max(size, free + 2)
    return MetaRegression(
        y=y, v=v, X=X, names=names, beta=now.beta, cov=cov, se=se, statistic=statistic,
        pvalue=_two_sided(statistic, rule.df), lower=now.beta - half, upper=now.beta + half,
        tau2=tau2, tau2_se=regression.tau2_se(y, v, X, tau, tau2) if random else float("nan"),
        method=tau if random else "common", ci=ci, df=rule.df,
        QE=at_zero.rss, QE_p=float(stats.chi2.sf(at_zero.rss, k - p)) if k > p else 1.0, QM=QM, QM_df=len(tested),
        QM_p=QM_p, I2=I2, H2=H2, R2=_explained(y, v, names, tau, tau2) if random else float("nan"),
        weights=now.w / now.w.sum(), log_likelihood=height, AIC=2 * (free - height),
        BIC=free * float(np.log(size)) - 2 * height if size > 0 else float("nan"),
        AICc=2 * (free * base / (base - free - 1) - height), levels=levels,
    )  # fmt: skip


def _two_sided(statistic: Array, df: float) -> Array:
    tail = stats.norm.sf(np.abs(statistic)) if np.isinf(df) else stats.t.sf(np.abs(statistic), df)
    return 2 * tail


def _inconsistency(X: Array, at_zero: regression.Weighted, tau2: float, random: bool) -> tuple[float, float]:
    k, p = X.shape
    if k <= p:
        return float("nan"), float("nan")
    if not random:
        return max(0.0, 1 - (k - p) / at_zero.rss) if at_zero.rss > 0 else 0.0, at_zero.rss / (k - p)
    typical = (k - p) / regression.traces(X, at_zero, np.ones(k), np.ones(k))[0]
    return tau2 / (tau2 + typical), 1 + tau2 / typical


def _explained(y: Array, v: Array, names: tuple[str, ...], tau: str, tau2: float) -> float:
    if "intercept" not in names or len(names) == 1:
        return float("nan")
    alone = regression.tau2_estimate(y, v, np.ones((len(y), 1)), tau)
    return max(0.0, 1 - tau2 / alone) if alone > 0 else float("nan")


def design(
    moderators: Any,
    *,
    k: int | None = None,
    intercept: bool = True,
    levels: Mapping[str, tuple[str, ...]] | None = None,
) -> tuple[Array, tuple[str, ...], dict[str, tuple[str, ...]]]:
    """The design matrix of moderators: numbers as they are, text as indicators against its first level.

    Parameters
    ----------
    moderators : as in `meta_regression`
    k : int, optional
        Number of studies, where there are no moderators.
    intercept : bool
    levels : mapping, optional
        Levels of text columns as when the model was fitted.

    Returns
    -------
    X : float array, shape (k, p)
    names : tuple of str
    levels : dict
    """
    columns = _columns(moderators)
    parts: list[tuple[str, Array]] = []
    found: dict[str, tuple[str, ...]] = {}
    for name, values in columns.items():
        if values.dtype.kind in "biuf":
            parts.append((name, _numbers(values, name)))
            continue
        text = np.array([str(value) for value in values])
        found[name] = tuple((levels or {}).get(name) or sorted(set(text.tolist())))
        unknown = sorted(set(text.tolist()) - set(found[name]))
        if unknown:
            raise unknown_name(f"level of {name}", unknown[0], found[name])
        if len(found[name]) > _MOST_LEVELS:
            raise DataError(f"has {len(found[name])} levels", column=name, fix="Give numbers, or fewer categories.")
        parts += [(f"{name}={level}", (text == level).astype(float)) for level in found[name][1:]]
    size = len(parts[0][1]) if parts else len(next(iter(columns.values()))) if columns else (k or 1)
    if intercept:
        parts.insert(0, ("intercept", np.ones(size)))
    if any(len(column) != size for _, column in parts):
        raise DataError("moderators have different lengths", fix="Give one value for each study.")
    if not parts:
        raise UsageError("nothing to estimate: there is no intercept and there are no moderators.")
    return np.stack([column for _, column in parts], axis=1), tuple(name for name, _ in parts), found


def _columns(moderators: Any) -> dict[str, np.ndarray]:
    if moderators is None:
        return {}
    if isinstance(moderators, Mapping) or hasattr(moderators, "columns"):
        names = moderators.columns if hasattr(moderators, "columns") else moderators
        return {str(name): np.asarray(moderators[name]) for name in names}
    values = np.asarray(moderators)
    if values.ndim == 1:
        name = getattr(moderators, "name", None)
        return {str(name) if name else "x1": values}
    if values.ndim != 2:
        raise UsageError("moderators are a data frame, a mapping of columns, or an array of one or two dimensions.")
    return {f"x{i + 1}": values[:, i] for i in range(values.shape[1])}


def _numbers(values: Any, name: str) -> Array:
    try:
        numbers = np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        raise DataError("holds something that is not a number", column=name, fix="Give numbers.") from None
    if numbers.ndim != 1 or len(numbers) == 0:
        raise DataError("must be a list of numbers", column=name, fix="Give one number for each study.")
    if not np.all(np.isfinite(numbers)):
        at = int(np.flatnonzero(~np.isfinite(numbers))[0])
        raise DataError("is missing or not finite", row=at + 1, column=name, value=float(numbers[at]),
                        fix="Leave the study out, or give the value.")  # fmt: skip
    return numbers


def _check_design(X: Array, names: tuple[str, ...], k: int) -> None:
    if np.linalg.matrix_rank(X) < X.shape[1]:
        raise DataError(
            f"the coefficients {', '.join(names)} cannot be told apart in {k} studies",
            fix="Leave out a moderator that is constant, or that follows from the others.",
        )
