"""What the estimates would be without a study, without a comparison, or with the studies so far.

The part of the network that still holds the comparator is fitted again, with tau estimated again. A treatment that has
lost its link to the comparator gets a row that says so in `message`, with `ok` false and no numbers.

For common effects, or with tau kept, leaving out study i is a low-rank update: with X_i the design of its contrasts
y_i, S_i their covariance and C that of the network's effects, G = S_i - X_i C X_i' gives

    d(-i) = d - C X_i' G⁻¹ (y_i - X_i d),   C(-i) = C + C X_i' G⁻¹ X_i C,   Q(-i) = Q - r' G⁻¹ r,  r = y_i - X_i d,

(Cook RD & Weisberg S, Residuals and Influence in Regression, 1982, chapter 2); G is singular exactly when the study
holds the network together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from enthesis.assess.aggregate import ContrastFit, contrast_fit, oriented
from enthesis.assess.leave_out_tau import tau2_without_each
from enthesis.assess.node_splitting import part_with
from enthesis.assess.reweighted import without_studies_by_weights
from enthesis.errors import UsageError, unknown_name
from enthesis.inference import fit as fitting
from enthesis.inference import gls
from enthesis.inference.fit import Fit
from enthesis.inference.intervals import interval_rule
from enthesis.inference.tau import tau2_estimate
from enthesis.models.model import Model
from enthesis.models.target import ContrastTarget
from enthesis.network.geometry import study_arms
from enthesis.network.network import Network
from enthesis.network.pairwise import Group
from enthesis.network.subset import component, keeping

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
#: a study whose contrasts the rest predicts with less than this share of their variance holds the network together
_HOLDS = 1e-9


@dataclass(frozen=True, kw_only=True)
class Part:
    """Estimates from some of the studies; NaN for treatments outside the part that holds the base treatment.

    Parameters
    ----------
    d : float array, shape (treatments,)
        Effects against the base treatment.
    cov : float array, shape (treatments, treatments)
    lower, upper : float arrays, shape (treatments,)
    inside : bool array, shape (treatments,)
    tau : float
    Q : float
    df : int
    """

    d: Array
    cov: Array
    lower: Array
    upper: Array
    inside: NDArray[np.bool_]
    tau: float
    Q: float
    df: int


def leave_one_study_out(
    fit: Fit, *, comparator: str | None = None, keep_tau: bool = False, executor: Any = None
) -> pd.DataFrame:
    """Effects without each study in turn.

    Parameters
    ----------
    fit : Fit
        A `gls` fit is updated on its contrasts. A Bayesian fit is fitted again if it is exact; otherwise its draws are
        weighted anew where the weights can be trusted (see `assess.reweighted`), and it is fitted again where not.
    comparator : str, optional
        Default: the reference.
    keep_tau : bool
        For `gls`: keep tau as it is, which is much faster for a thousand studies.
    executor : optional
        For Bayesian fits: passed to `enthesis.execute.map`.

    Returns
    -------
    pandas.DataFrame
        left_out (study), treatment, comparator, estimate, se, lower, upper, change (from the whole network's
        estimate), tau, Q, df, ok, message; one row per study and treatment. Where the study held the network together,
        `message` says which treatments lost their link, and their rows have `ok` false and NaN.

    Raises
    ------
    UsageError
        When the comparator is not in the network.

    Examples
    --------
    >>> import enthesis as en
    >>> rows = [dict(study=s, treatment=t, mean=m * (t == "B"), sd=1, n=50)
    ...         for s, m in (("1", 0.4), ("2", 0.6), ("3", 0.5)) for t in "AB"]
    >>> out = leave_one_study_out(en.fit(en.from_table(rows, measure="MD", reference="A"), engine="gls"))
    >>> out[["left_out", "estimate"]].round(3).to_dict("records")[0]
    {'left_out': '1', 'estimate': 0.55}
    """
    comparator = comparator or fit.reference
    base = fit.network.index(comparator)
    if fit.is_bayesian:
        return _bayesian_without(fit, comparator, executor)
    at = contrast_fit(fit)
    names = at.network.studies
    parts = without_each(at, fit, base, keep_tau=keep_tau)
    return _table(fit, comparator, ((names[i], part, f"Without {names[i]}") for i, part in enumerate(parts)))


def leave_one_comparison_out(fit: Fit, *, comparator: str | None = None) -> pd.DataFrame:
    """Effects without the direct evidence of each comparison in turn.

    Every study that compares the two treatments is left out whole: part of a multi-arm study would still compare them
    through its third arm. The contrasts of the network are used, also for a Bayesian fit.

    Parameters
    ----------
    fit : Fit
    comparator : str, optional
        Default: the reference.

    Returns
    -------
    pandas.DataFrame
        As `leave_one_study_out`; left_out is "treatment versus comparator", with n_left_out studies.
    """
    comparator = comparator or fit.reference
    at = contrast_fit(fit)
    base = at.network.index(comparator)
    names = at.network.treatment_names
    members = _studies_of_pairs(at.target.groups)
    runs, counts = [], {}
    for (a, b), studies in sorted(members.items()):
        keep = np.ones(at.network.n_studies, dtype=bool)
        keep[sorted(studies)] = False
        a, b = (b, a) if names[a] == fit.reference else (a, b)
        label = f"{names[a]} versus {names[b]}"
        counts[label] = len(studies)
        runs.append((label, solved(at, fit, keep, base), f"Without the direct evidence on {label}"))
    table = _table(fit, comparator, runs)
    table.insert(1, "n_left_out", table["left_out"].map(counts).astype(int))
    return table


def cumulative(fit: Fit, *, order: Sequence[str] | str = "precision", comparator: str | None = None) -> pd.DataFrame:
    """Effects from the first study, the first two, and so on.

    Parameters
    ----------
    fit : Fit
        Its contrasts are used, also for a Bayesian fit.
    order : sequence of study names, or str
        "precision" (most precise first), "network" (the network's order), or the name of a study covariate such as
        "year" (ascending).
    comparator : str, optional
        Default: the reference.

    Returns
    -------
    pandas.DataFrame
        step, left_out renamed to added (study), then as `leave_one_study_out`; `change` is from the estimate of all
        studies. Treatments without a link to the comparator so far have `ok` false.

    Raises
    ------
    UsageError
        When the order is not one of these, or lacks a study.
    """
    comparator = comparator or fit.reference
    at = contrast_fit(fit)
    base = at.network.index(comparator)
    names = at.network.studies
    keep = np.zeros(len(names), dtype=bool)
    runs = []
    for i in _order(at, order):
        keep[i] = True
        runs.append((names[i], solved(at, fit, keep.copy(), base), f"With the studies up to {names[i]}"))
    table = _table(fit, comparator, runs).rename(columns={"left_out": "added"})
    steps = {name: step + 1 for step, (name, _, _) in enumerate(runs)}
    table.insert(0, "step", table["added"].map(steps).astype(int))
    return table


def _order(at: ContrastFit, order: Sequence[str] | str) -> list[int]:
    network = at.network
    known = ("precision", "network", *network.covariates)
    if isinstance(order, str):
        if order == "network":
            return list(range(network.n_studies))
        if order == "precision":
            information = np.zeros(network.n_studies)
            for g in at.target.groups:
                information[g.study] = np.trace(g.laplacian(), axis1=1, axis2=2)
            return np.argsort(-information, kind="stable").tolist()
        if order not in network.covariates:
            raise unknown_name("order", order, known)
        values = np.asarray(network.covariates[order], dtype=float)
        if not np.all(np.isfinite(values)):
            first = network.studies[int(np.flatnonzero(~np.isfinite(values))[0])]
            raise UsageError(f"study {first!r} has no value of {order!r}, so the studies cannot be put in that order.")
        return np.argsort(values, kind="stable").tolist()
    wanted = list(order)
    for name in wanted:
        if name not in network.studies:
            raise unknown_name("study", name, network.studies)
    missing = [name for name in network.studies if name not in wanted]
    if missing or len(set(wanted)) != len(wanted):
        raise UsageError(
            f"the order must name every study once; it lacks {', '.join(missing[:6]) or 'none, but repeats'}."
        )
    return [network.studies.index(name) for name in wanted]


def solved(at: ContrastFit, fit: Fit, keep: NDArray[np.bool_], base: int, tau2: float | None = None) -> Part | None:
    """The fit of the studies that are kept, in the part that holds the base treatment; None when that has no study.

    tau² is estimated unless it is given.
    """
    groups = []
    for g in at.target.groups:
        on = keep[g.study]
        if on.any():
            groups.append(g if on.all() else replace(g, study=g.study[on], arms=g.arms[on], y=g.y[on], v=g.v[on]))
    found = part_with(ContrastTarget(groups=tuple(groups), size=at.target.size, reference=base), base)
    if found is None:
        return None
    target, position = found
    common = gls.solve(target)
    if not at.random or common.df <= 0:
        tau2 = 0.0
    elif tau2 is None:
        tau2 = tau2_estimate(target, at.method)
    now = gls.solve(target, tau2) if tau2 > 0 else common
    inside = position >= 0
    d, cov = np.full(at.target.size, np.nan), np.full((at.target.size,) * 2, np.nan)
    d[inside] = now.d
    cov[np.ix_(inside, inside)] = now.cov
    return _part(fit, at.random, d, cov, inside, tau2, common.Q, common.df, now.Q)


def _part(fit: Fit, random: bool, d, cov, inside, tau2, Q, df, generalised_Q) -> Part:
    rule = interval_rule(fit.settings.get("ci") or "normal", Q=generalised_Q, df=df, random=random)
    cov = rule.factor * cov
    width = rule.critical() * np.sqrt(np.maximum(np.diag(cov), 0.0))
    return Part(d=d, cov=cov, lower=d - width, upper=d + width, inside=inside, tau=float(np.sqrt(tau2)), Q=Q, df=df)


def without_each(at: ContrastFit, fit: Fit, base: int, *, keep_tau: bool = False) -> list[Part | None]:
    """The fit without each study in turn, in the network's order; updates of the whole where tau does not change."""
    n = at.network.n_studies
    everything = np.arange(n)
    if at.random and not keep_tau:
        by_likelihood = at.method in ("ML", "REML")
        known = tau2_without_each(at.target, restricted=at.method == "REML") if by_likelihood else {}
        return [solved(at, fit, everything != i, base, known.get(i)) for i in range(n)]
    common, now = gls.solve(at.target), gls.solve(at.target, at.tau2)
    found = (_updated(at, fit, i, base, common, now) for i in range(n))
    return [part or solved(at, fit, everything != i, base, at.tau2) for i, part in enumerate(found)]


def _updated(at: ContrastFit, fit: Fit, study: int, base: int, common: gls.GLS, now: gls.GLS) -> Part | None:
    """The fit without one study at unchanged tau; None when it holds the network together."""
    X, y, V = own_contrasts(at, study)
    between = at.tau2 * 0.5 * (np.eye(len(y)) + 1)
    found = downdated(now.d, now.cov, X, y, V + between)
    if found is None:
        return None
    d, cov = found
    Q = common.Q - _lost_q(X, y, V, common.d, common.cov)
    generalised = now.Q - _lost_q(X, y, V + between, now.d, now.cov)
    shift = d - d[base]
    moved = cov - cov[:, [base]] - cov[[base], :] + cov[base, base]
    inside = np.ones(at.target.size, dtype=bool)
    return _part(fit, at.random, shift, moved, inside, at.tau2, max(Q, 0.0), common.df - len(y), max(generalised, 0.0))


def _lost_q(X: Array, y: Array, S: Array, d: Array, cov: Array) -> float:
    """What the generalised Q loses with contrasts y of covariance S."""
    r = y - X @ d
    return float(r @ np.linalg.solve(S - X @ cov @ X.T, r))


def own_contrasts(at: ContrastFit, study: int) -> tuple[Array, Array, Array]:
    """A study's contrasts against one arm (treatment minus comparator where it has two arms).

    Returns
    -------
    design, effects, covariance : float arrays, shape (q, treatments), (q,), (q, q)
    """
    for g in at.target.groups:
        row = np.flatnonzero(g.study == study)
        if len(row):
            one = replace(g, study=g.study[row], arms=g.arms[row], y=g.y[row], v=g.v[row])
            y, V = one.basic()
            X = np.zeros((g.k - 1, at.target.size))
            X[np.arange(g.k - 1), one.arms[0, 1:]] = 1.0
            X[:, one.arms[0, 0]] = -1.0
            if g.k == 2 and oriented(at.network, *one.arms[0].tolist())[0] == one.arms[0, 0]:
                return -X, -y[0], V[0]
            return X, y[0], V[0]
    raise UsageError(f"study {at.network.studies[study]!r} gives no contrast.")


def downdated(d: Array, cov: Array, X: Array, y: Array, S: Array) -> tuple[Array, Array] | None:
    """Effects and covariance without contrasts y of covariance S; None when they hold the network together."""
    root = np.linalg.cholesky(S)
    half = np.linalg.solve(root, X)
    if np.linalg.eigvalsh(np.eye(len(y)) - half @ cov @ half.T)[0] < _HOLDS:
        return None
    CX = cov @ X.T
    G = S - X @ CX
    return d - CX @ np.linalg.solve(G, y - X @ d), cov + CX @ np.linalg.solve(G, CX.T)


def _studies_of_pairs(groups: Iterable[Group]) -> dict[tuple[int, int], set[int]]:
    members: dict[tuple[int, int], set[int]] = {}
    for g in groups:
        for i in range(g.k):
            for j in range(i + 1, g.k):
                for s, a, b in zip(g.study.tolist(), g.arms[:, i].tolist(), g.arms[:, j].tolist(), strict=True):
                    members.setdefault((min(a, b), max(a, b)), set()).add(s)
    return members


def _table(fit: Fit, comparator: str, runs: Iterable[tuple[str, Part | None, str]]) -> pd.DataFrame:
    import pandas as pd

    at = contrast_fit(fit)
    names, base = at.network.treatment_names, at.network.index(comparator)
    whole = at.d - at.d[base]
    others = [i for i in range(len(names)) if i != base]
    rows = []
    for label, part, when in runs:
        lost = [names[i] for i in others if part is None or not part.inside[i]]
        message = lost_link(when, lost, comparator)
        for i in others:
            ok = part is not None and bool(part.inside[i])
            rows.append(
                {
                    "left_out": label,
                    "treatment": names[i],
                    "comparator": comparator,
                    "estimate": part.d[i] if ok else np.nan,
                    "se": np.sqrt(part.cov[i, i]) if ok else np.nan,
                    "lower": part.lower[i] if ok else np.nan,
                    "upper": part.upper[i] if ok else np.nan,
                    "change": part.d[i] - whole[i] if ok else np.nan,
                    "tau": part.tau if part is not None else np.nan,
                    "Q": part.Q if part is not None else np.nan,
                    "df": part.df if part is not None else 0,
                    "ok": ok,
                    "message": message,
                }
            )
    return pd.DataFrame(rows)


def lost_link(when: str, lost: Sequence[str], comparator: str) -> str:
    """The sentence for treatments without a link to the comparator; empty when there are none."""
    if not lost:
        return ""
    shown = ", ".join(lost[:6]) + (f" and {len(lost) - 6} more" if len(lost) > 6 else "")
    return (
        f"{when} no chain of studies links {shown} to {comparator}, so "
        f"{'its effect' if len(lost) == 1 else 'their effects'} cannot be estimated."
    )


@dataclass(frozen=True, kw_only=True)
class Refit:
    """One task of a fan-out: a network to fit with a model, engine settings beside it."""

    network: Network
    model: Model
    seed: int
    draws: int


def refit(task: Refit) -> Fit:
    """Fit one task."""
    return fitting.fit(task.network, task.model, engine="auto", seed=task.seed, draws=task.draws)


def _bayesian_without(fit: Fit, comparator: str, executor: Any) -> pd.DataFrame:
    import pandas as pd

    from enthesis import execute
    from enthesis.estimands import relative_effects

    network = fit.network
    parts = [_remaining(network, i, comparator) for i in range(network.n_studies)]
    # an exact fit has no Monte Carlo error, and fitting it again adds none
    exact = fit.diagnostics.get("method") == "exact"
    known = [None] * len(parts) if exact else without_studies_by_weights(fit, parts)
    tasks = [
        Refit(network=part, model=fit.model, seed=fit.settings["seed"], draws=fit.settings["draws"])
        for part, found in zip(parts, known, strict=True)
        if part is not None and found is None
    ]
    fits = iter(execute.map(refit, tasks, executor=executor))
    whole = relative_effects(fit, comparator).set_index("treatment")["estimate"]
    tables = []
    for study, part, by_weights in zip(network.studies, parts, known, strict=True):
        found = by_weights if by_weights is not None or part is None else next(fits)
        table = pd.DataFrame({"treatment": list(whole.index)})
        if found is not None:
            table = table.merge(relative_effects(found, comparator).drop(columns="comparator"), how="left")
        else:
            table[["estimate", "se", "lower", "upper"]] = np.nan
        table.insert(0, "left_out", study)
        table.insert(2, "comparator", comparator)
        table["change"] = table["estimate"] - whole.to_numpy()
        table["tau"] = found.tau.estimate if found is not None else np.nan
        table["Q"] = found.heterogeneity.Q if found is not None else np.nan
        table["df"] = found.heterogeneity.df if found is not None else 0
        table["ok"] = table["estimate"].notna()
        lost = table.loc[~table["ok"], "treatment"].tolist()
        table["message"] = lost_link(f"Without {study}", lost, comparator) or (
            "" if found is None or found.status.ok else found.status.message
        )
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _remaining(network: Network, study: int, comparator: str) -> Network | None:
    """The connected part that holds the comparator once a study is gone; None when no study is left there."""
    arms = study_arms(network)
    base = network.index(comparator)
    if not np.any((arms[:, 0] != study) & (arms[:, 1] == base)):
        return None
    at_reference = network.replace(reference=comparator)
    smaller = keeping(at_reference, [b.study != study for b in network.blocks])
    return component(smaller, comparator)
