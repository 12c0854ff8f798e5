"""Selection models: the studies seen are those that a weight function of their p-value let through.

Before selection y ~ Normal(mu, v_i + tau²). A study with one-sided p-value p is seen with relative probability w(p),
so its density is w(p_i) Normal(y_i; mu, v_i + tau²) / A_i, with A_i the integral of the numerator over y. All by
maximum likelihood; the likelihood-ratio test compares with w = 1. Weight functions:

- `step`: w = delta_j between cut points of p, 1 in the first interval (Vevea JL & Hedges LV, Psychometrika 1995;60:419;
  one cut point is the three-parameter selection model);
- `beta`: p^(a-1) (1-p)^(b-1) (Citkowicz M & Vevea JL, Psychol Methods 2017;22:28);
- `half-normal` exp(-delta p²), `negative-exponential` exp(-delta p), `logistic` 2 exp(-delta p) / (1 + exp(-delta p)),
  `power` (1-p)^delta, with delta >= 0 (Preston C, Ashby D, Smyth R, J Eval Clin Pract 2004;10:313).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import ndtr
from scipy.stats import chi2, norm

from enthesis.assess.pair import PairEffects, pair_effects, regression
from enthesis.errors import UsageError, unknown_name
from enthesis.network.network import Network

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
KINDS: tuple[str, ...] = ("step", "beta", "half-normal", "negative-exponential", "logistic", "power")

#: logarithms of parameters stay within this, where every weight function has long reached its limit
_BOUND = 12.0
#: weights are constant for p-values nearer to 0 or 1 than this: there they say nothing more about selection, and the
#: logarithm of a single one would rule the fit (R's metafor draws the same line)
_EXTREME = 1e-5
_LEGENDRE = np.polynomial.legendre.leggauss(60)


@dataclass(frozen=True, kw_only=True)
class SelectionModel:
    """A fitted selection model.

    Parameters
    ----------
    treatment, comparator, kind : str
    alternative : {"greater", "less", "two-sided"}
        Which results are favoured.
    estimate, se, lower, upper : float
        Of mu, the mean effect before selection, model's scale.
    tau2 : float
    weights : pandas.DataFrame
        parameter, estimate, se (None for a value that is fixed or on its bound), lower and upper cut point for `step`.
    lrt, df, p : float, int, float
        Likelihood-ratio test of no selection.
    unadjusted, unadjusted_lower, unadjusted_upper : float
        Maximum likelihood without selection.
    n_studies : int
    ok : bool
        Whether the maximum was found and is not flat.
    message : str
    """

    treatment: str
    comparator: str
    kind: str
    alternative: str
    estimate: float
    se: float
    lower: float
    upper: float
    tau2: float
    weights: pd.DataFrame
    lrt: float
    df: int
    p: float
    unadjusted: float
    unadjusted_lower: float
    unadjusted_upper: float
    n_studies: int
    ok: bool
    message: str


def selection_model(
    network: Network,
    kind: str = "step",
    *,
    treatment: str | None = None,
    comparator: str | None = None,
    steps: Sequence[float] = (0.025,),
    alternative: str | None = None,
) -> SelectionModel:
    """A selection model for one comparison.

    Parameters
    ----------
    network : Network
    kind : {"step", "beta", "half-normal", "negative-exponential", "logistic", "power"}
    treatment, comparator : str, optional
        The comparison; not needed for a network of two treatments.
    steps : sequence of float
        Cut points of the p-value for `step`, between 0 and 1, ascending. Each interval should hold a study.
    alternative : {"greater", "less", "two-sided"}, optional
        Effects that are favoured; by default the sign of the unadjusted mean. The p-values are one-sided in that
        direction (two-sided for "two-sided").

    Returns
    -------
    SelectionModel

    Raises
    ------
    UsageError
        With too few studies, an unknown choice, or an interval between cut points that no study falls in.

    Examples
    --------
    >>> import enthesis as en
    >>> rows = [dict(study=str(i), treatment=t, mean=m * (t == "B"), sd=1, n=50) for i, m in enumerate(
    ...         [0.1, 0.42, 0.5, 0.45, 0.6, 0.2, 0.55]) for t in "AB"]
    >>> found = selection_model(en.from_table(rows, measure="MD", reference="A"))
    >>> bool(found.estimate < found.unadjusted)
    True
    """
    if kind not in KINDS:
        raise unknown_name("weight function", kind, KINDS)
    data = pair_effects(network, treatment, comparator)
    free = len(steps) if kind == "step" else 2 if kind == "beta" else 1
    data.require(2 + free + 1, f"the selection model {kind!r} with {2 + free} parameters")
    plain = regression(data.y, data.v, tau="ML")
    alternative = alternative or ("greater" if plain.beta[0] >= 0 else "less")
    if alternative not in ("greater", "less", "two-sided"):
        raise unknown_name("alternative", alternative, ("greater", "less", "two-sided"))
    flip = -1.0 if alternative == "less" else 1.0
    model = _Likelihood(flip * data.y, data.v, kind, _cuts(steps, data, flip, alternative), alternative == "two-sided")
    start = np.r_[flip * plain.beta[0], np.log(max(plain.tau2, 1e-3 * np.median(data.v)))]
    best = _maximum(model, start, free)
    none = model.log_likelihood(np.r_[flip * plain.beta[0], max(plain.tau2, 0.0)], None)
    mu, tau2, delta = model.unpacked(best)
    covariance, ok = _covariance(model, mu, tau2, delta)
    return _told(data, model, kind, alternative, flip, (mu, tau2, delta), covariance, ok,
                 2 * (-model.loss(best) - none), plain)  # fmt: skip


def _cuts(steps: Sequence[float], data: PairEffects, flip: float, alternative: str) -> Array:
    cuts = np.array(list(steps), dtype=float)
    if len(cuts) == 0 or np.any(~((cuts > 0) & (cuts < 1))) or np.any(np.diff(cuts) <= 0):
        raise UsageError(f"steps must be ascending numbers between 0 and 1, not {list(steps)}.")
    return cuts


class _Likelihood:
    """The likelihood as a function of (mu, tau², weight parameters)."""

    def __init__(self, y: Array, v: Array, kind: str, cuts: Array, two_sided: bool):
        self.y, self.v, self.kind, self.cuts, self.two_sided = y, v, kind, cuts, two_sided
        self.p = self._p(y / np.sqrt(v))
        # between the edges the weight is smooth (on either side of 0), so Gauss-Legendre nodes serve every study
        self.edge = float(norm.isf(_EXTREME / 2 if two_sided else _EXTREME))
        half, weight = 0.5 * self.edge * (_LEGENDRE[0] + 1), 0.5 * self.edge * _LEGENDRE[1]
        self.nodes, self.node_weights = np.r_[-half[::-1], half], np.r_[weight[::-1], weight]
        self.node_p = self._p(np.r_[-self.edge, self.nodes, self.edge])
        if kind == "step":
            counts = np.bincount(np.searchsorted(cuts, self.p), minlength=len(cuts) + 1)
            if np.any(counts == 0):
                ends = np.r_[0.0, cuts, 1.0]
                at = int(np.flatnonzero(counts == 0)[0])
                raise UsageError(
                    f"no study has a p-value between {ends[at]:g} and {ends[at + 1]:g}, so the weight there cannot be "
                    "estimated. Choose other cut points, or another weight function."
                )

    def _p(self, z: Array) -> Array:
        return 2 * ndtr(-np.abs(z)) if self.two_sided else ndtr(-z)

    def log_weight(self, p: Array, delta: Array) -> Array:
        """log w(p)."""
        p = np.clip(p, _EXTREME, 1 - _EXTREME)
        if self.kind == "step":
            return np.r_[0.0, np.log(delta)][np.searchsorted(self.cuts, p)]
        if self.kind == "beta":
            return (delta[0] - 1) * np.log(p) + (delta[1] - 1) * np.log1p(-p)
        d = delta[0]
        simple: dict[str, Callable[[], Array]] = {
            "half-normal": lambda: -d * p**2,
            "negative-exponential": lambda: -d * p,
            "logistic": lambda: np.log(2) - d * p - np.logaddexp(0, -d * p),
            "power": lambda: d * np.log1p(-p),
        }
        return simple[self.kind]()

    def log_normaliser(self, mu: float, tau2: float, delta: Array) -> Array:
        """log A_i, shape (studies,): the test statistic z is Normal(mu / sigma_i, (v_i + tau²) / v_i)."""
        if self.kind == "step":
            return np.log(self._step_areas(mu, np.sqrt(self.v + tau2)) @ np.r_[1.0, delta])
        log_w = self.log_weight(self.node_p, delta)
        top = log_w.max()
        w = np.exp(log_w - top)
        centre, spread = mu / np.sqrt(self.v)[:, None], np.sqrt(1 + tau2 / self.v)[:, None]
        density = np.exp(-0.5 * ((self.nodes - centre) / spread) ** 2) / (np.sqrt(2 * np.pi) * spread)
        inside = density @ (self.node_weights * w[1:-1])
        below, above = ndtr((-self.edge - centre) / spread)[:, 0], ndtr((centre - self.edge) / spread)[:, 0]
        return np.log(w[0] * below + inside + w[-1] * above) + top

    def _step_areas(self, mu: float, s: Array) -> Array:
        """Probability of each interval of p under Normal(mu, s²), shape (studies, intervals)."""
        sigma = np.sqrt(self.v)
        if self.two_sided:
            bounds = norm.isf(np.r_[0.0, self.cuts, 1.0] / 2)
            outside = [ndtr((mu - b * sigma) / s) + ndtr((-b * sigma - mu) / s) for b in bounds]
        else:
            outside = [ndtr((mu - b * sigma) / s) for b in norm.isf(np.r_[0.0, self.cuts, 1.0])]
        return np.diff(np.stack(outside, axis=1), axis=1)

    def log_likelihood(self, place: Array, delta: Array | None) -> float:
        mu, tau2 = float(place[0]), float(place[1])
        s2 = self.v + tau2
        value = -0.5 * np.sum(np.log(2 * np.pi * s2) + (self.y - mu) ** 2 / s2)
        if delta is not None:
            value += np.sum(self.log_weight(self.p, delta) - self.log_normaliser(mu, tau2, delta))
        return float(value)

    def unpacked(self, x: Array) -> tuple[float, float, Array]:
        return float(x[0]), float(np.exp(x[1])), np.exp(x[2:])

    def loss(self, x: Array) -> float:
        mu, tau2, delta = self.unpacked(x)
        value = -self.log_likelihood(np.r_[mu, tau2], delta)
        return value if np.isfinite(value) else 1e10


def _maximum(model: _Likelihood, start: Array, free: int) -> Array:
    """The best of a few starts; parameters other than mu are logarithms."""
    bounds = [(None, None), (-30.0, _BOUND)] + [(-_BOUND, _BOUND)] * free
    starts = [0.0, -1.0, 1.0] if model.kind in ("step", "beta") else [-4.0, 0.0, 2.0]
    found = [
        minimize(model.loss, np.r_[start, np.full(free, shift)], method="L-BFGS-B", bounds=bounds) for shift in starts
    ]
    best = min(found, key=lambda r: r.fun)
    # its gradients are differences, so the last digits are left to a search without any
    options = {"xatol": 1e-8, "fatol": 1e-11, "maxiter": 4000, "maxfev": 8000}
    return minimize(model.loss, best.x, method="Nelder-Mead", bounds=bounds, options=options).x


def _covariance(model: _Likelihood, mu: float, tau2: float, delta: Array) -> tuple[Array, bool]:
    """Inverse observed information of (mu, tau², delta), those on a bound fixed (NaN); whether it is definite."""
    x = np.r_[mu, tau2, delta]
    scale = np.r_[np.sqrt(np.median(model.v)), np.median(model.v), np.ones(len(delta))]
    inside = np.r_[True, tau2 > 1e-8 * scale[1], (delta > np.exp(-_BOUND) * 10) & (delta < np.exp(_BOUND) / 10)]
    at = np.flatnonzero(inside)
    step = 1e-4 * np.where(np.arange(len(x)) == 0, scale, np.minimum(np.abs(x) + 1e-12, 1e3 * scale))
    step = np.maximum(step, 1e-7 * scale)

    def loss(change: Array) -> float:
        y = x + change
        return -model.log_likelihood(y[:2], y[2:])

    H = np.empty((len(at), len(at)))
    for a, i in enumerate(at):
        for b, j in enumerate(at[: a + 1]):
            ei, ej = np.zeros(len(x)), np.zeros(len(x))
            ei[i], ej[j] = step[i], step[j]
            H[a, b] = H[b, a] = (loss(ei + ej) - loss(ei - ej) - loss(ej - ei) + loss(-ei - ej)) / (
                4 * step[i] * step[j]
            )
    full = np.full((len(x), len(x)), np.nan)
    good = bool(np.all(np.isfinite(H)) and np.all(np.linalg.eigvalsh(H) > 0))
    if good:
        full[np.ix_(at, at)] = np.linalg.inv(H)
    return full, good


def _told(data, model, kind, alternative, flip, best, covariance, ok, lrt, plain) -> SelectionModel:
    import pandas as pd

    mu, tau2, delta = best
    z = norm.ppf(0.975)
    se = np.sqrt(np.diag(covariance))
    lrt = max(float(lrt), 0.0)
    p = float(chi2.sf(lrt, len(delta)))
    if kind == "step":
        ends = np.r_[0.0, model.cuts, 1.0]
        names = [f"weight for p from {a:g} to {b:g}" for a, b in pairwise(ends)]
        values, errors = np.r_[1.0, delta], [None, *se[2:]]
    else:
        names = ["a", "b"] if kind == "beta" else ["delta"]
        values, errors = delta, list(se[2:])
    weights = pd.DataFrame(
        {"parameter": names, "estimate": values, "se": [None if e is None or np.isnan(e) else float(e) for e in errors]}
    )
    message = (
        f"Selection by p-value ({kind}) {'changes the fit' if p < 0.1 else 'does not improve the fit'} "
        f"(likelihood ratio {lrt:.3g} on {len(delta)} df, p = {p:.2g})."
    )
    if not ok:
        message += " The likelihood is flat in some direction, so standard errors are not given."
    raw, raw_se = float(plain.beta[0]), float(np.sqrt(plain.cov[0, 0]))
    return SelectionModel(
        treatment=data.treatment, comparator=data.comparator, kind=kind, alternative=alternative,
        estimate=float(flip * mu), se=float(se[0]), lower=float(flip * mu - z * se[0]),
        upper=float(flip * mu + z * se[0]), tau2=float(tau2), weights=weights, lrt=lrt, df=len(delta), p=p,
        unadjusted=raw, unadjusted_lower=raw - z * raw_se, unadjusted_upper=raw + z * raw_se, n_studies=len(data),
        ok=ok, message=message,
    )  # fmt: skip
