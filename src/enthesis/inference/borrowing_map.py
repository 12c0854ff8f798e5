"""Meta-analytic-predictive priors: the hierarchical model's prediction for a new study, and its mixture approximation.

The prediction is a density computed by quadrature (`borrowing_hierarchy`), so the mixture is fitted to the density
itself, not to draws: expectation-maximisation on its nodes with their probabilities, which makes the Kullback-Leibler
divergence from the prediction to the mixture as small as it gets near the start. Nothing depends on a seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import betaln, digamma, expit, gammaln, logsumexp, polygamma

from enthesis.errors import DataError, UsageError, unknown_name
from enthesis.inference.borrowing_density import Density
from enthesis.inference.borrowing_hierarchy import Hierarchy, hierarchy
from enthesis.models.mixtures import BetaMixture, GammaMixture, Mixture, NormalMixture
from enthesis.models.one_parameter import EffectEstimate, EventCounts, Events, Likelihood, Responders
from enthesis.models.priors import Normal, Prior

Array = NDArray[np.float64]
Family = Literal["beta", "gamma", "normal"]
_SCALES = {Responders: "logit", Events: "log", EffectEstimate: "identity", EventCounts: "identity"}
_BACK = {"logit": expit, "log": np.exp, "identity": lambda x: x}


@dataclass(frozen=True, kw_only=True)
class MapPrior:
    """The prediction for a new study.

    Parameters
    ----------
    hierarchy : Hierarchy
        On the scale of the linear predictor: logit, log or identity.
    scale : {"logit", "log", "identity"}
    """

    hierarchy: Hierarchy
    scale: str

    @property
    def predictive(self) -> Density:
        """The new study's parameter on the scale of the linear predictor."""
        return self.hierarchy.predictive

    @property
    def points(self) -> tuple[Array, Array]:
        """Values on the natural scale (risk, rate, mean) and their probabilities."""
        return _BACK[self.scale](self.predictive.x), self.predictive.mass

    @property
    def mean(self) -> float:
        """Mean on the natural scale."""
        x, mass = self.points
        return float(mass @ x)

    @property
    def sd(self) -> float:
        """Standard deviation on the natural scale."""
        x, mass = self.points
        return float(np.sqrt(mass @ (x - self.mean) ** 2))

    def quantile(self, p: Array | float) -> Array:
        """Quantiles on the natural scale."""
        return _BACK[self.scale](self.predictive.quantile(p))


def meta_analytic_predictive(rows: Sequence[Likelihood], *, mu: Normal, tau: Prior | float) -> MapPrior:
    """The meta-analytic-predictive prior of historical studies (Neuenschwander B et al., Clin Trials 2010;7:5).

    Parameters
    ----------
    rows : sequence of likelihoods of one kind
        `Responders` (theta is a logit), `Events` (a log rate), `EffectEstimate` (a mean or a log ratio), `EventCounts`
        (a log rate ratio).
    mu : Normal
        Prior of the mean of the studies, on the scale of theta.
    tau : Prior or float
        Prior of the standard deviation between studies, on the same scale.

    Returns
    -------
    MapPrior

    Examples
    --------
    >>> from enthesis.models.priors import HalfNormal
    >>> rows = [Responders(events=r, n=n) for r, n in ((23, 107), (12, 44), (19, 51), (9, 39))]
    >>> prior = meta_analytic_predictive(rows, mu=Normal(0, 2), tau=HalfNormal(1))
    >>> round(prior.mean, 2)
    0.28
    """
    if not rows:
        raise DataError("there is no historical study", fix="Give at least one.")
    scales = {_SCALES[type(row)] for row in rows}
    if len(scales) > 1 or len({type(r) for r in rows} - {EffectEstimate, EventCounts}) > 1:
        raise DataError(
            "studies with different kinds of data are not put into one hierarchy",
            fix="Give Responders only, Events only, or EffectEstimate and EventCounts of one ratio.",
        )
    return MapPrior(hierarchy=hierarchy(rows, mu=mu, tau=tau), scale=scales.pop())


@dataclass(frozen=True, kw_only=True)
class MixtureFit:
    """A mixture and how close it is.

    Parameters
    ----------
    mixture : Mixture
    divergence : float
        Kullback-Leibler divergence from the density to the mixture, in nats; 0 is a perfect fit.
    table : tuple of (components, divergence, criterion)
        All numbers of components that were tried.
    """

    mixture: Mixture
    divergence: float
    table: tuple[tuple[int, float, float], ...]


def fit_mixture(
    prior: MapPrior | Density,
    family: Family | None = None,
    *,
    components: int | Sequence[int] = (1, 2, 3, 4),
    worth: int = 4000,
    penalty: float = 6.0,
    unit_sd: float = 2.0,
) -> MixtureFit:
    """A mixture of conjugate distributions close to a prior, with the number of components by AIC.

    Parameters
    ----------
    prior : MapPrior or Density
        A density is taken on its own scale.
    family : {"beta", "gamma", "normal"}, optional
        The conjugate one of the prior's scale when not given.
    components : int or sequence of int
        Numbers of components to try.
    worth : int
        AIC needs a number of observations and a density has none: the divergence counts as if seen in `worth`
        independent draws. AIC = 2 worth × divergence + penalty × parameters (3 k - 1 for k components).
    penalty : float
        Per parameter. 2 is the classical criterion; 6 is more careful and what RBesT uses by default.
    unit_sd : float
        Of a normal mixture: standard deviation of one observation.

    Returns
    -------
    MixtureFit
    """
    if isinstance(prior, MapPrior):
        x, mass = prior.points
        entropy = float(prior.predictive.expect(np.log(np.maximum(prior.predictive.pdf, 1e-300))))
        if prior.scale == "logit":
            entropy -= float(mass @ np.log(np.maximum(x * (1 - x), 1e-300)))
        elif prior.scale == "log":
            entropy -= float(mass @ np.log(x))
        natural = {"logit": "beta", "log": "gamma", "identity": "normal"}[prior.scale]
    else:
        x, mass, natural = prior.x, prior.mass, "normal"
        entropy = float(prior.expect(np.log(np.maximum(prior.pdf, 1e-300))))
    family = family or natural
    if family not in ("beta", "gamma", "normal"):
        raise unknown_name("family of mixtures", family, ["beta", "gamma", "normal"])
    if (family == "beta" and (x.min() <= 0 or x.max() >= 1)) or (family == "gamma" and x.min() <= 0):
        keep = (x > 0) & (x < 1) if family == "beta" else x > 0
        if mass[keep].sum() < 1 - 1e-6:
            raise UsageError(f"a {family} mixture cannot describe this prior: it has values outside its range.")
        x, mass = x[keep], mass[keep] / mass[keep].sum()
    tried = []
    for k in (components,) if isinstance(components, int) else tuple(components):
        parameters, score = _best(x, mass, family, k)
        divergence = max(entropy - score, 0.0)
        tried.append((k, divergence, 2 * worth * divergence + penalty * (3 * k - 1), parameters))
    best = min(tried, key=lambda t: t[2])
    w, first, second = best[3]
    order = np.argsort(-w)
    w, first, second = w[order] / w.sum(), first[order], second[order]
    mixture: Mixture
    if family == "beta":
        mixture = BetaMixture(weights=tuple(w), a=tuple(first), b=tuple(second))
    elif family == "gamma":
        mixture = GammaMixture(weights=tuple(w), shape=tuple(first), rate=tuple(second))
    else:
        mixture = NormalMixture(weights=tuple(w), location=tuple(first), scale=tuple(second), unit_sd=unit_sd)
    return MixtureFit(mixture=mixture, divergence=best[1], table=tuple(t[:3] for t in tried))


def _best(x: Array, mass: Array, family: str, k: int) -> tuple[tuple[Array, Array, Array], float]:
    """The best of expectation-maximisation from three starts: cut into shares, and two nested sets of widths."""
    cumulative = np.cumsum(mass) - 0.5 * mass
    starts = [np.array([(np.floor(cumulative * k).clip(0, k - 1) == j) for j in range(k)], dtype=float)]
    mean = mass @ x
    sd = np.sqrt(mass @ (x - mean) ** 2)
    distance = np.abs(x - x[np.searchsorted(cumulative, 0.5)]) / sd
    for widths in (np.geomspace(0.4, 2.5, k), np.geomspace(0.7, 6.0, k)):
        z = -0.5 * (distance / widths[:, None]) ** 2 - np.log(widths)[:, None]
        starts.append(np.exp(z - logsumexp(z, axis=0)))
    found = [_maximised(x, mass, family, share) for share in (starts if k > 1 else starts[:1])]
    return _polished(x, mass, family, *max(found, key=lambda t: t[1]))


def _log_sum(terms: Array) -> Array:
    top = terms.max(axis=0)
    return top + np.log(np.exp(terms - top).sum(axis=0))


def _maximised(x: Array, mass: Array, family: str, share: Array) -> tuple[tuple[Array, Array, Array], float]:
    """Expectation-maximisation until it is slow."""
    log_density = _FAMILIES[family][1]
    score = -np.inf
    for _ in range(80):
        w = np.maximum(share @ mass, 1e-10)
        first, second = _FAMILIES[family][0](x, share * mass / w[:, None])
        terms = np.log(w)[:, None] + log_density(x, first[:, None], second[:, None])
        total = _log_sum(terms)
        share = np.exp(terms - total)
        new = float(mass @ total)
        if new - score < 1e-9:
            break
        score = new
    return (w, first, second), new


def _polished(
    x: Array, mass: Array, family: str, start: tuple[Array, Array, Array], score: float
) -> tuple[tuple[Array, Array, Array], float]:
    """A quasi-Newton search from where expectation-maximisation ended: its last steps are slow."""
    _, log_density, to_free, from_free = _FAMILIES[family]
    w, first, second = start
    k = len(w)

    def unpack(free: Array) -> tuple[Array, Array, Array]:
        log_w = np.r_[free[: k - 1], 0.0]
        return np.exp(log_w - _log_sum(log_w)), *from_free(free[k - 1 : 2 * k - 1], free[2 * k - 1 :])

    def loss(free: Array) -> float:
        with np.errstate(all="ignore"):
            weight, a, b = unpack(free)
            value = -float(mass @ _log_sum(np.log(weight)[:, None] + log_density(x, a[:, None], b[:, None])))
        return value if np.isfinite(value) else 1e10

    free = np.r_[np.log(w[:-1] / w[-1]), *to_free(first, second)]
    found = minimize(loss, free, method="BFGS", options={"gtol": 1e-6, "maxiter": 200})
    if found.fun < -score:
        return unpack(found.x), -float(found.fun)
    return start, score


def _inverse_digamma_pair(a: Array, b: Array, log_x: Array, log_y: Array) -> tuple[Array, Array]:
    """Newton for the beta's likelihood equations: digamma(a) - digamma(a + b) = E log x, the same for b and 1 - x."""
    for _ in range(30):
        f = digamma(a) - digamma(a + b) - log_x
        g = digamma(b) - digamma(a + b) - log_y
        faa, fab, gbb = (
            polygamma(1, a) - polygamma(1, a + b),
            -polygamma(1, a + b),
            polygamma(1, b) - polygamma(1, a + b),
        )
        determinant = faa * gbb - fab**2
        da, db = (gbb * f - fab * g) / determinant, (faa * g - fab * f) / determinant
        new_a, new_b = np.where(a - da > 0, a - da, a / 2), np.where(b - db > 0, b - db, b / 2)
        done = np.all(np.abs(new_a - a) < 1e-7 * a) and np.all(np.abs(new_b - b) < 1e-7 * b)
        a, b = new_a, new_b
        if done:
            break
    return a, b


def _beta_step(x: Array, weights: Array) -> tuple[Array, Array]:
    log_x, log_y = weights @ np.log(x), weights @ np.log1p(-x)
    mean = weights @ x
    variance = np.maximum(weights @ x**2 - mean**2, 1e-12)
    size = np.clip(mean * (1 - mean) / variance - 1, 1e-2, 1e8)
    return _inverse_digamma_pair(mean * size, (1 - mean) * size, log_x, log_y)


def _gamma_step(x: Array, weights: Array) -> tuple[Array, Array]:
    mean, log_mean = weights @ x, weights @ np.log(x)
    gap = np.maximum(np.log(mean) - log_mean, 1e-10)
    k = (3 - gap + np.sqrt((gap - 3) ** 2 + 24 * gap)) / (12 * gap)
    for _ in range(60):
        new = 1 / (1 / k + (np.log(k) - digamma(k) - gap) / (k**2 * (1 / k - polygamma(1, k))))
        done = np.all(np.abs(new - k) < 1e-10 * k)
        k = new
        if done:
            break
    return k, k / mean


def _normal_step(x: Array, weights: Array) -> tuple[Array, Array]:
    mean = weights @ x
    variance = np.sum(weights * (x - mean[:, None]) ** 2, axis=1)
    whole = weights.mean(axis=0)
    floor = 1e-8 * (whole @ x**2 - (whole @ x) ** 2)
    return mean, np.sqrt(np.maximum(variance, floor))


def _log_beta(x: Array, a: Array, b: Array) -> Array:
    return (a - 1) * np.log(x) + (b - 1) * np.log1p(-x) - betaln(a, b)


def _log_gamma(x: Array, shape: Array, rate: Array) -> Array:
    return shape * np.log(rate) + (shape - 1) * np.log(x) - rate * x - gammaln(shape)


def _log_normal(x: Array, location: Array, scale: Array) -> Array:
    return -0.5 * ((x - location) / scale) ** 2 - np.log(scale) - 0.5 * np.log(2 * np.pi)


def _mean_and_size(a: Array, b: Array) -> tuple[Array, Array]:
    return np.log(a / b), np.log(a + b)


def _from_mean_and_size(m: Array, s: Array) -> tuple[Array, Array]:
    size = np.exp(np.clip(s, -20.0, 25.0))
    return np.maximum(expit(m) * size, 1e-8), np.maximum(expit(-m) * size, 1e-8)


#: for each family: maximisation step, log density, parameters to and from free coordinates
_FAMILIES: dict[str, tuple[Any, Any, Any, Any]] = {
    "beta": (_beta_step, _log_beta, _mean_and_size, _from_mean_and_size),
    "gamma": (
        _gamma_step, _log_gamma, lambda k, r: (np.log(k / r), np.log(k)),
        lambda m, s: (np.exp(np.clip(s, -20.0, 25.0)), np.exp(np.clip(s - m, -50.0, 50.0))),
    ),
    "normal": (
        _normal_step, _log_normal, lambda m, s: (m, np.log(s)), lambda m, s: (m, np.exp(np.clip(s, -30.0, 30.0))),
    ),
}  # fmt: skip
