"""Which studies drive a result: deleted residuals, leverage, and what leaving a study out does to the estimates.

With y_i the contrasts of study i against its first arm (q_i of them), X_i their design, S_i = V_i + tau² (I + J) / 2, C
the covariance of the p effects, and (-i) for the fit without study i (tau estimated again):

- hat: tr(X_i C X_i' S_i⁻¹); they sum to p;
- deleted residual: r = y_i - X_i d(-i), R = V_i + tau(-i)² (I + J) / 2 + X_i C(-i) X_i'; `rstudent` = r / sqrt(R) for a
  single contrast, and r' R⁻¹ r is chi-square on q_i in general;
- Cook's distance: (d - d(-i))' C⁻¹ (d - d(-i));
- DFFITS: X_i (d - d(-i)) in units of hat (V_i + tau(-i)² (I + J) / 2), signed for a single contrast;
- covariance ratio: det C(-i) / det C; below 1, the study makes the estimates less precise.

For two treatments these are the diagnostics of Viechtbauer W & Cheung MW-L, Res Synth Methods 2010;1:112, whose limits
are used to mark a study as influential: |DFFITS| > 3 sqrt(p / (k - p)), Cook's distance beyond the median of chi-square
on p, or hat > 3 p / k per contrast, with k contrasts in all. The plot of Baujat B, Mahé C, Pignon J-P, Hill C, Stat Med
2002;21:2641 sets a study's part of Q against its influence, both with common effects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from enthesis.assess.aggregate import ContrastFit, contrast_fit
from enthesis.assess.leave_out import downdated, lost_link, own_contrasts, without_each
from enthesis.inference import gls
from enthesis.inference.fit import Fit

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]


def influence(fit: Fit) -> pd.DataFrame:
    """Outlier and influence diagnostics of every study.

    Parameters
    ----------
    fit : Fit
        Its contrasts are used, also for a Bayesian fit.

    Returns
    -------
    pandas.DataFrame
        study, n_contrasts (q), hat, rstudent (of treatment minus comparator; NaN for more than two arms), outlier_Q,
        outlier_p (on q degrees of freedom), dffits, cook_d, cov_ratio, tau_without, Q_without, influential, ok,
        message. Where a study holds the network together there is nothing to compare it with: `ok` is false, `message`
        says which treatments lose their link, and only hat is given.

    Examples
    --------
    >>> import enthesis as en
    >>> rows = [dict(study=s, treatment=t, mean=m * (t == "B"), sd=1, n=50)
    ...         for s, m in (("1", 0.4), ("2", 0.5), ("3", 2.5)) for t in "AB"]
    >>> table = influence(en.fit(en.from_table(rows, measure="MD", reference="A"), engine="gls"))
    >>> table.hat.sum().round(6)
    np.float64(1.0)
    """
    import pandas as pd

    at = contrast_fit(fit)
    plain = gls.solve(at.target, at.tau2)
    keep_rows = np.flatnonzero(np.arange(at.target.size) != at.target.reference)
    whole = plain.cov[np.ix_(keep_rows, keep_rows)]
    logdet = np.linalg.slogdet(whole)[1]
    p, k = len(keep_rows), at.target.n_independent
    parts = without_each(at, fit, at.target.reference)
    rows = []
    for study in _studies(at):
        X, y, V = own_contrasts(at, study)
        half = 0.5 * (np.eye(len(y)) + 1)
        S = V + at.tau2 * half
        hat = float(np.trace(np.linalg.solve(S, X @ plain.cov @ X.T)))
        row = {"study": at.network.studies[study], "n_contrasts": len(y), "hat": hat}
        keep = np.arange(at.network.n_studies) != study
        part = parts[study]
        if part is None or not part.inside.all():
            names = at.network.treatment_names
            lost = [names[i] for i in keep_rows if part is None or not part.inside[i]]
            message = lost_link(f"Without {row['study']}", lost, at.network.reference)
            rows.append(row | _nothing() | {"message": message})
            continue
        now = gls.solve(_kept(at, keep), part.tau**2)
        change = plain.d - now.d
        r, R = y - X @ now.d, V + part.tau**2 * half + X @ now.cov @ X.T
        outlier = float(r @ np.linalg.solve(R, r))
        dffits = _dffits(X @ change, X @ plain.cov @ X.T @ np.linalg.solve(S, V + part.tau**2 * half))
        cook = float(change[keep_rows] @ np.linalg.solve(whole, change[keep_rows]))
        ratio = float(np.exp(np.linalg.slogdet(now.cov[np.ix_(keep_rows, keep_rows)])[1] - logdet))
        marked = cook > chi2.ppf(0.5, p) or hat > 3 * p / k * len(y)
        if k > p:
            marked = marked or abs(dffits) > 3 * np.sqrt(p / (k - p))
        rows.append(
            row
            | {
                "rstudent": float(r[0] / np.sqrt(R[0, 0])) if len(y) == 1 else np.nan,
                "outlier_Q": outlier,
                "outlier_p": float(chi2.sf(outlier, len(y))),
                "dffits": dffits,
                "cook_d": cook,
                "cov_ratio": ratio,
                "tau_without": part.tau,
                "Q_without": part.Q,
                "influential": bool(marked),
                "ok": True,
                "message": "",
            }
        )
    return pd.DataFrame(rows)


def _studies(at: ContrastFit) -> list[int]:
    return sorted(int(s) for g in at.target.groups for s in g.study)


def _kept(at: ContrastFit, keep):
    from dataclasses import replace

    groups = []
    for g in at.target.groups:
        on = keep[g.study]
        if on.any():
            groups.append(g if on.all() else replace(g, study=g.study[on], arms=g.arms[on], y=g.y[on], v=g.v[on]))
    return replace(at.target, groups=tuple(groups))


def _nothing() -> dict:
    numbers = ("rstudent", "outlier_Q", "outlier_p", "dffits", "cook_d", "cov_ratio", "tau_without", "Q_without")
    return dict.fromkeys(numbers, np.nan) | {"influential": True, "ok": False}


def _dffits(shift: Array, scale: Array) -> float:
    if len(shift) == 1:
        return float(shift[0] / np.sqrt(scale[0, 0]))
    scale = 0.5 * (scale + scale.T)
    return float(np.sqrt(max(shift @ np.linalg.pinv(scale) @ shift, 0.0)))


def baujat(fit: Fit) -> pd.DataFrame:
    """Each study's part of Q and its influence on the estimates, both with common effects.

    Parameters
    ----------
    fit : Fit

    Returns
    -------
    pandas.DataFrame
        study, Q (its weighted squared residual; they sum to the network's Q), influence (squared standardised change
        of the effects when it is left out, (d - d(-i))' C(-i)⁻¹ (d - d(-i))), ok, message. Where a study holds the
        network together its influence is NaN and `message` says so.

    Examples
    --------
    >>> import enthesis as en
    >>> rows = [dict(study=s, treatment=t, mean=m * (t == "B"), sd=1, n=50)
    ...         for s, m in (("1", 0.4), ("2", 0.5), ("3", 2.5)) for t in "AB"]
    >>> baujat(en.fit(en.from_table(rows, measure="MD", reference="A"), engine="gls")).Q.idxmax()
    2
    """
    import pandas as pd

    at = contrast_fit(fit)
    common = gls.solve(at.target)
    free = np.flatnonzero(np.arange(at.target.size) != at.target.reference)
    rows = []
    for study in _studies(at):
        X, y, V = own_contrasts(at, study)
        r = y - X @ common.d
        row = {"study": at.network.studies[study], "Q": float(r @ np.linalg.solve(V, r))}
        found = downdated(common.d, common.cov, X, y, V)
        if found is None:
            message = f"{row['study']} holds the network together, so its influence has no finite value."
            rows.append(row | {"influence": np.nan, "ok": False, "message": message})
            continue
        change = (common.d - found[0])[free]
        size = float(change @ np.linalg.solve(found[1][np.ix_(free, free)], change))
        rows.append(row | {"influence": size, "ok": True, "message": ""})
    return pd.DataFrame(rows)
