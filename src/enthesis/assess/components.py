"""Effects of components, of combinations that no study gave, and the test of additivity.

Read off a fit with `Components` effects: d = D theta, so a combination of components c has the effect c'theta against
giving none of them, and its variance follows from that of d (Rücker G, Petropoulou M, Schwarzer G, Biom J 2020;62:808).
What the studies cannot tell is NaN with `estimable` False, never a guess.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from enthesis.errors import ModelError, unknown_name
from enthesis.inference.diagnostics import quantiles
from enthesis.inference.fit import Fit
from enthesis.inference.intervals import critical
from enthesis.models.effects import Components

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]


def component_effects(fit: Fit) -> pd.DataFrame:
    """The effect of each component against not giving it.

    Parameters
    ----------
    fit : Fit
        With `Components` effects.

    Returns
    -------
    pandas.DataFrame
        component, estimate, se, lower, upper (model's scale), p (NaN for Bayesian fits), estimable.

    Raises
    ------
    ModelError
        When the fit has no components.

    Examples
    --------
    >>> import enthesis as en
    >>> rows = [dict(study=s, treatment=t, mean=m, sd=1, n=50) for s, t, m in (
    ...     ("1", "placebo", 0.0), ("1", "CBT", 0.5), ("2", "placebo", 0.1), ("2", "CBT + drug", 0.9))]
    >>> model = en.Model(effects=en.Components(inactive="placebo"), heterogeneity=en.Common())
    >>> fit = en.fit(en.from_table(rows, measure="MD"), model, engine="gls")
    >>> component_effects(fit).round(2).to_dict("records")[1]["estimate"]
    0.3
    """
    _, names = _components(fit)
    frame = _table(fit, np.eye(len(names)))
    frame.insert(0, "component", list(names))
    return frame


def combination_effects(fit: Fit, combinations: list[str] | tuple[str, ...], comparator: str = "") -> pd.DataFrame:
    """Effects of combinations of the network's components, whether or not a study gave them.

    Parameters
    ----------
    fit : Fit
        With `Components` effects.
    combinations : sequence of str
        Such as "CBT + SSRI", with the separator of the model.
    comparator : str
        Another combination; by default none of the components.

    Returns
    -------
    pandas.DataFrame
        combination, comparator, estimate, se, lower, upper (model's scale), p, estimable.

    Raises
    ------
    UsageError
        When a component is not in the network.

    Examples
    --------
    >>> import enthesis as en
    >>> rows = [dict(study=s, treatment=t, mean=m, sd=1, n=50) for s, t, m in (
    ...     ("1", "placebo", 0.0), ("1", "CBT", 0.5), ("2", "placebo", 0.1), ("2", "drug", 0.4))]
    >>> model = en.Model(effects=en.Components(inactive="placebo"), heterogeneity=en.Common())
    >>> fit = en.fit(en.from_table(rows, measure="MD"), model, engine="gls")
    >>> combination_effects(fit, ["CBT + drug"]).round(2).to_dict("records")[0]["estimate"]
    0.8
    """
    effects, names = _components(fit)
    against = _row(effects, names, comparator) if comparator else np.zeros(len(names))
    rows = np.stack([_row(effects, names, text) - against for text in combinations])
    frame = _table(fit, rows)
    frame.insert(0, "combination", list(combinations))
    frame.insert(1, "comparator", comparator)
    return frame


def _components(fit: Fit) -> tuple[Components, tuple[str, ...]]:
    effects = fit.model.effects
    if not isinstance(effects, Components):
        raise ModelError("this fit has one effect per treatment. Fit it with Model(effects=Components(...)).")
    return effects, effects.names(fit.network)


def _row(effects: Components, names: tuple[str, ...], text: str) -> Array:
    row = np.zeros(len(names))
    known = {name.casefold(): j for j, name in enumerate(names)}
    silent = (effects.inactive or "").casefold()
    for part in effects.parts(text):
        if part.casefold() in known:
            row[known[part.casefold()]] = 1.0
        elif part.casefold() != silent:
            raise unknown_name("component", part, (*names, *([effects.inactive] if effects.inactive else [])))
    return row


def _table(fit: Fit, rows: Array) -> pd.DataFrame:
    """Effects rows @ theta, where theta follows from d = D theta."""
    import pandas as pd

    D = fit.model.effects.design(fit.network)
    inverse = np.linalg.pinv(D)
    estimable = np.abs(rows @ inverse @ D - rows).max(axis=1, initial=0.0) < 1e-8
    use = np.where(estimable[:, None], rows @ inverse, np.nan)
    estimate = use @ fit.estimate
    se = np.sqrt(np.einsum("ij,jk,ik->i", use, fit.covariance, use))
    p = np.full(len(rows), np.nan)
    if fit.is_bayesian:
        lower, upper = (np.full(len(rows), np.nan) for _ in range(2))
        if estimable.any():
            lower[estimable], upper[estimable] = quantiles(fit.d @ use[estimable].T, fit.weights, (0.025, 0.975))
    else:
        half = critical(fit.df) * se
        lower, upper = estimate - half, estimate + half
        some = estimable & (se > 0)
        statistic = np.abs(estimate[some] / se[some])
        p[some] = 2 * (stats.norm.sf(statistic) if np.isinf(fit.df) else stats.t.sf(statistic, fit.df))
    return pd.DataFrame({"estimate": estimate, "se": se, "lower": lower, "upper": upper, "p": p,
                         "estimable": estimable})  # fmt: skip
