"""Tests of a meta-regression that lean on fewer assumptions: permutation, and cluster-robust variance.

- Permutation: under the null, the signs of the effects (intercept alone) or the assignment of moderator rows to studies
  are exchangeable; the test statistic is refitted under rearrangements, all of them when there are few enough, else
  random ones that include the observed one (Follmann DA, Proschan MA, Biometrics 1999;55:732; Higgins JPT, Thompson
  SG, Stat Med 2004;23:1663).
- Robust: with e the residuals and B = (X'WX)^-1 X'W, cov = B blockdiag(e_c e_c') B' n / (n - p) over n clusters, tests
  on t(n - p) (White H, Econometrica 1980;48:817; Hedges LV, Tipton E, Johnson MC, Res Synth Methods 2010;1:39).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice, permutations, product
from math import factorial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from enthesis.errors import DataError, UsageError
from enthesis.inference.intervals import critical
from enthesis.inference.metareg import MetaRegression, refitted

Array = NDArray[np.float64]
#: relative slack with which a rearranged statistic counts as equal to the observed one
_TIE = 1e-9


@dataclass(frozen=True, kw_only=True)
class PermutationTest:
    """P-values by rearrangement.

    Parameters
    ----------
    names : tuple of str
    pvalue : float array, shape (p,)
        Two-sided, by the size of each coefficient's test statistic.
    QM_p : float
        Of the moderators together.
    n : int
        Rearrangements, the observed one included.
    exact : bool
        Whether they are all there are.
    """

    names: tuple[str, ...]
    pvalue: Array
    QM_p: float
    n: int
    exact: bool


def permutation_test(fit: MetaRegression, *, n: int = 1000, seed: int = 1) -> PermutationTest:
    """Permutation test of every coefficient and of the moderators together.

    Parameters
    ----------
    fit : MetaRegression
    n : int
        All rearrangements are used when there are at most this many, else this many random ones.
    seed : int

    Returns
    -------
    PermutationTest

    Examples
    --------
    >>> from enthesis.inference.metareg import meta_regression
    >>> result = permutation_test(meta_regression([0.2, 0.5, 0.4, 0.6], [0.1, 0.1, 0.2, 0.1], tau="DL"))
    >>> result.exact, result.n, result.QM_p
    (True, 16, 0.125)
    """
    if not 20 <= n <= 1_000_000:
        raise UsageError(f"the number of permutations must be between 20 and 1,000,000, not {n}.")
    alone = fit.p == 1 and fit.names[0] == "intercept"
    total = 2**fit.k if alone else factorial(fit.k)
    exact = total <= n
    rng = np.random.default_rng(seed)
    if alone:
        every = (np.array(signs) for signs in product((1.0, -1.0), repeat=fit.k))
        some = (rng.choice((1.0, -1.0), fit.k) for _ in range(n - 1))
    else:
        every = (np.array(order) for order in permutations(range(fit.k)))
        some = (rng.permutation(fit.k) for _ in range(n - 1))
    hits, hits_all, used = np.ones(fit.p), 1, 1
    for rearranged in islice(every, 1, None) if exact else some:
        y, X = (fit.y * rearranged, fit.X) if alone else (fit.y, fit.X[rearranged])
        again = refitted(fit, y, X)
        hits += np.abs(again.statistic) >= np.abs(fit.statistic) * (1 - _TIE)
        hits_all += again.QM >= fit.QM * (1 - _TIE)
        used += 1
    return PermutationTest(names=fit.names, pvalue=hits / used, QM_p=hits_all / used, n=used, exact=exact)


def cluster_robust(fit: MetaRegression, cluster: Any) -> MetaRegression:
    """The same coefficients with cluster-robust standard errors, tests and intervals.

    Parameters
    ----------
    fit : MetaRegression
    cluster : array, shape (k,)
        The cluster of each effect (the study it comes from, for example).

    Returns
    -------
    MetaRegression
        With `ci` "robust"; QM is an F statistic on n - p.

    Raises
    ------
    DataError
        When there are no more clusters than coefficients.

    Examples
    --------
    >>> import enthesis as en
    >>> result = en.meta_regression([-0.9, -1.6, -0.2, 0.1], [0.3, 0.2, 0.1, 0.1], tau="DL")
    >>> en.cluster_robust(result, ["A", "A", "B", "C"]).ci
    'robust'
    """
    labels = np.unique(np.asarray(cluster).astype(str), return_inverse=True)[1]
    n = labels.max() + 1
    if len(labels) != fit.k:
        raise DataError(f"{fit.k} effects and {len(labels)} clusters", fix="Give one cluster for each effect.")
    if n <= fit.p:
        raise DataError(f"{n} clusters cannot carry {fit.p} coefficients", fix="Use fewer moderators.")
    w = 1 / (fit.v + fit.tau2)
    bread = np.linalg.inv(fit.X.T @ (w[:, None] * fit.X))
    scores = np.zeros((n, fit.p))
    np.add.at(scores, labels, (w * (fit.y - fit.X @ fit.beta))[:, None] * fit.X)
    cov = bread @ (scores.T @ scores) @ bread * (n / (n - fit.p))
    df = float(n - fit.p)
    se = np.sqrt(np.diag(cov))
    statistic = fit.beta / se
    tested = np.array([i for i, name in enumerate(fit.names) if name != "intercept"] or [0])
    QM = float(fit.beta[tested] @ np.linalg.solve(cov[np.ix_(tested, tested)], fit.beta[tested])) / len(tested)
    half = critical(df) * se
    return replace(
        fit, cov=cov, se=se, statistic=statistic, pvalue=2 * stats.t.sf(np.abs(statistic), df),
        lower=fit.beta - half, upper=fit.beta + half, ci="robust", df=df, QM=QM,
        QM_p=float(stats.f.sf(QM, len(tested), df)),
    )  # fmt: skip
