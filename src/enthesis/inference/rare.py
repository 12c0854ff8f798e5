"""Networks of rare events without a continuity correction: three common-effect estimators of log odds ratios.

- `mh`, Mantel-Haenszel (Efthimiou O, Rücker G, Schwarzer G, Higgins JPT, Egger M, Salanti G, Stat Med 2019;38:2992). In
  each design, C_xy = Σ r_x (n_y - r_y) / N over its studies, N the study's patients, L_xy = log(C_xy / C_yx), with
  variances and covariances of Greenland S (Biometrics 1989;45:183); the designs' L are then pooled by generalised least
  squares, whose Q is the inconsistency between designs.
- `nch`, non-central hypergeometric (same paper; Stijnen T, Hamza TH, Özdemir P, Stat Med 2010;29:3046 for two arms):
  given the events of a study, its arms' events follow Fisher's multivariate non-central hypergeometric with odds
  exp(d); the product over studies is maximised. `nch-approximate` replaces it by the multinomial with weights
  n exp(d), to which it tends when events are few among many patients (Breslow NE, JASA 1981;76:84).
- `plr`, penalised likelihood (Evrenoglou T, White IR, Afach S, Mavridis D, Chaimani A, Stat Med 2022;41:5203): logistic
  regression with study intercepts, penalised by Firth's half log determinant of the information (Firth D, Biometrika
  1993;80:27), which has a finite maximum for every data set.
Studies without events (or with events in everyone) carry no information for the first two and change neither.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import gammaln

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Arms:
    """Arms of counts, sorted by study; treatments are numbered from 0.

    Parameters
    ----------
    study, treatment : int arrays, shape (arms,)
    r, n : float arrays, shape (arms,)
    size : int
        Number of treatments.
    reference : int
    """

    study: Ints
    treatment: Ints
    r: Array
    n: Array
    size: int
    reference: int

    def studies(self) -> list[Ints]:
        """Positions of the arms of each study."""
        return np.split(np.arange(len(self.study)), np.flatnonzero(np.diff(self.study)) + 1)


@dataclass(frozen=True, kw_only=True)
class RareFit:
    """Effects against the reference with their covariance.

    Parameters
    ----------
    d : float array, shape (treatments,)
    cov : float array, shape (treatments, treatments)
    Q, df : float, int
        Inconsistency between designs (`mh`), else NaN and 0.
    converged : bool
    """

    d: Array
    cov: Array
    Q: float = float("nan")
    df: int = 0
    converged: bool = True


RARE_ENGINES: tuple[str, ...] = ("mh", "nch", "nch-approximate", "plr")


def rare_solution(arms: Arms, engine: str) -> RareFit:
    """The solution of a rare-event engine.

    Parameters
    ----------
    arms : Arms
        Connected, and without uninformative arms.
    engine : {"mh", "nch", "nch-approximate", "plr"}

    Returns
    -------
    RareFit
    """
    solve = {"mh": mantel_haenszel, "plr": penalised_logistic, "nch": noncentral_hypergeometric,
             "nch-approximate": conditional_multinomial}  # fmt: skip
    return solve[engine](arms)


def uninformative(arms: Arms, engine: str) -> NDArray[np.bool_]:
    """Arms that `mh` or `nch` cannot use: in silent studies, or of treatments whose odds are not bounded by the data.

    Parameters
    ----------
    arms : Arms
    engine : {"mh", "nch", "nch-approximate", "plr"}

    Returns
    -------
    bool array, shape (arms,)
        All False for `plr`.
    """
    out = np.zeros(len(arms.r), dtype=bool)
    if engine == "plr":
        return out
    while True:
        before = out.copy()
        live = [at[~out[at]] for at in arms.studies()]
        for at in live:
            r, n = arms.r[at], arms.n[at]
            if len(at) == 1 or r.sum() == 0 or (r == n).all():
                out[at] = True
        live = [at[~out[at]] for at in live if (~out[at]).sum() > 1]
        if engine == "mh":
            for design in _by_design(arms, live):
                out[_unusable_in_design(arms, design)] = True
        else:
            for t in range(arms.size):
                at = [i for study in live for i in study if arms.treatment[i] == t]
                if at and (arms.r[at].sum() == 0 or (arms.r[at] == arms.n[at]).all()):
                    out[at] = True
        if np.array_equal(before, out):
            return out


def mantel_haenszel(arms: Arms) -> RareFit:
    """The Mantel-Haenszel network estimate.

    Parameters
    ----------
    arms : Arms
        Without uninformative arms, connected.

    Returns
    -------
    RareFit
    """
    keep = np.flatnonzero(np.arange(arms.size) != arms.reference)
    information, score = np.zeros((arms.size, arms.size)), np.zeros(arms.size)
    parts = []
    for design in _by_design(arms, arms.studies()):
        treatments, L, U = _pooled_design(arms, design)
        X = np.zeros((len(L), arms.size))
        X[np.arange(len(L)), treatments[0]] = 1.0
        X[np.arange(len(L)), treatments[1:]] -= 1.0
        weight = np.linalg.inv(U)
        information += X.T @ weight @ X
        score += X.T @ weight @ L
        parts.append((X, L, weight))
    d, cov = np.zeros(arms.size), np.zeros((arms.size, arms.size))
    cov[np.ix_(keep, keep)] = np.linalg.inv(information[np.ix_(keep, keep)])
    d[keep] = cov[np.ix_(keep, keep)] @ score[keep]
    Q = float(sum((L - X @ d) @ W @ (L - X @ d) for X, L, W in parts))
    return RareFit(d=d, cov=cov, Q=Q, df=sum(len(L) for _, L, _ in parts) - len(keep))


def _by_design(arms: Arms, studies: list[Ints]) -> list[list[Ints]]:
    """Studies with the same treatments, each with its arms in the order of treatments."""
    found: dict[tuple[int, ...], list[Ints]] = {}
    for at in studies:
        at = at[np.argsort(arms.treatment[at])]
        found.setdefault(tuple(arms.treatment[at].tolist()), []).append(at)
    return list(found.values())


def _counts(arms: Arms, design: list[Ints]) -> tuple[Array, Array, Array]:
    """Events, non-events (studies, arms) and patients (studies,) of a design."""
    at = np.stack(design)
    r = arms.r[at]
    return r, arms.n[at] - r, arms.n[at].sum(1)


def _unusable_in_design(arms: Arms, design: list[Ints]) -> Ints:
    """Arms to leave out until every pair of the rest has events; those with fewest usable pairs, then events, first."""
    r, f, N = _counts(arms, design)
    C = np.einsum("ix,iy,i->xy", r, f, 1 / N)
    usable = (C > 0) & (C.T > 0)
    np.fill_diagonal(usable, True)
    keep = list(range(len(C)))
    lost: list[int] = []
    while len(keep) > 1 and not usable[np.ix_(keep, keep)].all():
        worst = min(keep, key=lambda x: (usable[x, keep].sum(), r[:, x].sum(), -x))
        keep.remove(worst)
        lost.append(worst)
    if len(keep) == 1:
        lost += keep
    return np.stack(design)[:, lost].ravel()


def _pooled_design(arms: Arms, design: list[Ints]) -> tuple[Ints, Array, Array]:
    """Treatments x, y, z, ... of a design, L_xy, L_xz, ... and their covariance."""
    r, f, N = _counts(arms, design)
    n = r + f
    C = np.einsum("ix,iy,i->xy", r, f, 1 / N)
    others = range(1, r.shape[1])
    L = np.array([np.log(C[0, y] / C[y, 0]) for y in others])
    U = np.empty((len(L), len(L)))
    for y in others:
        c, back = r[:, 0] * f[:, y] / N, r[:, y] * f[:, 0] / N
        same, differ = (r[:, 0] + f[:, y]) / N, (f[:, 0] + r[:, y]) / N
        U[y - 1, y - 1] = (
            (same * c).sum() / (2 * C[0, y] ** 2)
            + (same * back + differ * c).sum() / (2 * C[0, y] * C[y, 0])
            + (differ * back).sum() / (2 * C[y, 0] ** 2)
        )
        for z in range(1, y):
            terms = (
                (r[:, 0] * f[:, y] * f[:, z] / N**2).sum() / (C[0, y] * C[0, z])
                + (n[:, 0] * r[:, y] * f[:, z] / N**2).sum() / (C[y, 0] * C[0, z])
                + (n[:, 0] * f[:, y] * r[:, z] / N**2).sum() / (C[0, y] * C[z, 0])
                + (f[:, 0] * r[:, y] * r[:, z] / N**2).sum() / (C[y, 0] * C[z, 0])
            )
            U[y - 1, z - 1] = U[z - 1, y - 1] = terms / 3
    return arms.treatment[design[0]], L, U


def noncentral_hypergeometric(arms: Arms) -> RareFit:
    """The maximum of the conditional likelihood.

    Parameters
    ----------
    arms : Arms
        Without uninformative arms, connected.

    Returns
    -------
    RareFit
    """
    studies = arms.studies()
    weights = [[_log_binomials(arms.n[i], arms.r[at].sum()) for i in at] for at in studies]

    def derivatives(d: Array) -> tuple[float, Array, Array]:
        value, score, information = 0.0, np.zeros(arms.size), np.zeros((arms.size, arms.size))
        for at, logs in zip(studies, weights, strict=True):
            t = arms.treatment[at]
            log_total, mean, cov = _conditional(logs, arms.n[at], d[t], int(arms.r[at].sum()))
            value += float(arms.r[at] @ d[t]) - log_total
            score[t] += arms.r[at] - mean
            information[np.ix_(t, t)] += cov
        return value, score, information

    return _newton(arms, derivatives, _start(arms))


def conditional_multinomial(arms: Arms) -> RareFit:
    """The maximum of the multinomial approximation to the conditional likelihood.

    Parameters
    ----------
    arms : Arms
        Without uninformative arms, connected.

    Returns
    -------
    RareFit
    """
    _, group = np.unique(arms.study, return_inverse=True)
    k = group.max() + 1
    total = np.bincount(group, arms.r, k)

    def derivatives(d: Array) -> tuple[float, Array, Array]:
        eta = np.log(arms.n) + d[arms.treatment]
        weight = np.exp(eta)
        sums = np.bincount(group, weight, k)
        p = weight / sums[group]
        mean = total[group] * p
        score = np.bincount(arms.treatment, arms.r - mean, arms.size)
        shares = np.zeros((k, arms.size))
        shares[group, arms.treatment] = p
        information = np.diag(np.bincount(arms.treatment, mean, arms.size)) - shares.T @ (total[:, None] * shares)
        return float(arms.r @ eta - total @ np.log(sums)), score, information

    return _newton(arms, derivatives, _start(arms))


def _start(arms: Arms) -> Array:
    """Log odds of each treatment over all studies against the reference: a start that needs no pair of events."""
    r = np.bincount(arms.treatment, arms.r, arms.size) + 0.5
    f = np.bincount(arms.treatment, arms.n - arms.r, arms.size) + 0.5
    odds = np.log(r / f)
    return np.clip(odds - odds[arms.reference], -3, 3)


def _log_binomials(n: float, R: float) -> Array:
    """log C(n, j) for j = 0..R, -inf beyond n."""
    j = np.arange(int(R) + 1)
    inside = np.minimum(j, n)
    return np.where(j <= n, gammaln(n + 1) - gammaln(inside + 1) - gammaln(n - inside + 1), -np.inf)


def _conditional(logs: list[Array], n: Array, d: Array, R: int) -> tuple[float, Array, Array]:
    """Log normaliser, means and covariance of the arms' events given their sum R.

    A common shift of all log odds changes nothing given the sum; the one at which the arms' binomial means add up to R
    keeps every term within reach of floating point.
    """
    j = np.arange(R + 1)
    shift = _balancing_shift(n, d, R)
    eta = d + shift
    scale = n * np.logaddexp(0, eta)
    f = [np.exp(w + j * x - c) for w, x, c in zip(logs, eta, scale, strict=True)]
    k = len(f)
    total = _convolved(f, R)[R]
    mean = np.empty(k)
    second = np.empty((k, k))
    for a in range(k):
        p = f[a] * _convolved([f[c] for c in range(k) if c != a], R)[::-1] / total
        mean[a], second[a, a] = p @ j, p @ j**2
    for a in range(k):
        for b in range(a):
            rest = _convolved([f[c] for c in range(k) if c not in (a, b)], R)[::-1]
            p = _convolved([f[a], f[b]], R) * rest / total
            second[a, b] = second[b, a] = (p @ j**2 - second[a, a] - second[b, b]) / 2
    return float(np.log(total) + scale.sum() - shift * R), mean, second - np.outer(mean, mean)


def _balancing_shift(n: Array, d: Array, R: int) -> float:
    """The c at which Σ n / (1 + exp(-d - c)) = R; exists for 0 < R < Σ n."""
    centre = float(np.log(R / (n.sum() - R)))
    return float(
        brentq(lambda c: float(np.sum(n / (1 + np.exp(-d - c)))) - R, centre - d.max() - 1, centre - d.min() + 1)
    )


def _convolved(parts: list[Array], R: int) -> Array:
    """Coefficients 0..R of the product of polynomials; 1 for none."""
    out = np.zeros(R + 1)
    out[0] = 1.0
    for part in parts:
        out = np.convolve(out, part)[: R + 1]
    return out


def penalised_logistic(arms: Arms) -> RareFit:
    """The maximum of Firth's penalised likelihood, with the inverse information as covariance.

    Parameters
    ----------
    arms : Arms
        Connected.

    Returns
    -------
    RareFit
    """
    X = np.zeros((len(arms.r), arms.size))
    X[np.arange(len(arms.r)), arms.treatment] = 1.0
    X = np.delete(X, arms.reference, axis=1)
    _, group = np.unique(arms.study, return_inverse=True)
    k = group.max() + 1
    total = np.bincount(group, arms.r, k) + 0.5
    alpha = np.log(total / (np.bincount(group, arms.n, k) + 1 - total))
    beta = np.zeros(X.shape[1])
    converged = False
    for _ in range(500):
        p = 1 / (1 + np.exp(-(alpha[group] + X @ beta)))
        w = arms.n * p * (1 - p)
        W = np.bincount(group, w, k)
        centre = np.stack([np.bincount(group, w * x, k) for x in X.T], axis=1) / W[:, None]
        Z = X - centre[group]
        cov = np.linalg.inv(Z.T @ (w[:, None] * Z))
        leverage = w * (1 / W[group] + np.einsum("ij,jk,ik->i", Z, cov, Z))
        residual = arms.r - arms.n * p + leverage * (0.5 - p)
        score_alpha = np.bincount(group, residual, k)
        step = cov @ (Z.T @ residual)
        step_alpha = score_alpha / W - centre @ step
        longest = max(np.abs(step).max(initial=0.0), np.abs(step_alpha).max())
        shrink = min(1.0, 2.0 / longest) if longest > 0 else 1.0
        beta, alpha = beta + shrink * step, alpha + shrink * step_alpha
        if longest < 1e-10:
            converged = True
            break
    keep = np.flatnonzero(np.arange(arms.size) != arms.reference)
    d, out = np.zeros(arms.size), np.zeros((arms.size, arms.size))
    d[keep], out[np.ix_(keep, keep)] = beta, cov
    return RareFit(d=d, cov=out, converged=converged)


def _newton(arms: Arms, derivatives, start: Array) -> RareFit:
    keep = np.flatnonzero(np.arange(arms.size) != arms.reference)
    d = start.copy()
    value, score, information = derivatives(d)
    converged = False
    for _ in range(200):
        step = np.zeros(arms.size)
        step[keep] = np.linalg.lstsq(information[np.ix_(keep, keep)], score[keep], rcond=None)[0]
        step *= min(1.0, 2.0 / max(np.abs(step).max(), 1e-300))
        for _ in range(40):
            new = derivatives(d + step)
            if new[0] >= value - 1e-10 * (1 + abs(value)):
                break
            step /= 2
        d, (value, score, information) = d + step, new
        if np.abs(step).max() < 1e-10:
            converged = True
            break
    cov = np.zeros((arms.size, arms.size))
    cov[np.ix_(keep, keep)] = np.linalg.pinv(information[np.ix_(keep, keep)])
    bounded = bool(np.all(np.abs(d) < 15))
    return RareFit(d=d, cov=cov, converged=converged and bounded)
