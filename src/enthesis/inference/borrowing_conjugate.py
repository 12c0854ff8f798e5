"""Mixture priors at work: updating with data, predicting data, comparing two arms, and how often a design decides.

A mixture of conjugate distributions stays one after the data: each component is updated as usual, and its weight is
multiplied by the probability that it gave to the data (Schmidli H et al., Biometrics 2014;70:1023). The weight of a
vague component after the data is therefore a measure of conflict between prior and data.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import betaln, gammaln, logsumexp, xlogy
from scipy.stats import binom

from enthesis.errors import UsageError, unknown_name
from enthesis.inference.borrowing_ess import component_nodes
from enthesis.models.mixtures import BetaMixture, GammaMixture, Mixture, NormalMixture
from enthesis.models.one_parameter import EffectEstimate, Events, Responders

Array = NDArray[np.float64]


def update(prior: Mixture, data: Responders | Events | EffectEstimate) -> Mixture:
    """The posterior of a mixture prior.

    Parameters
    ----------
    prior : Mixture
    data : Responders for a beta, Events for a gamma, EffectEstimate for a normal mixture

    Returns
    -------
    a mixture of the same family

    Examples
    --------
    >>> prior = BetaMixture(weights=(0.5, 0.5), a=(4, 1), b=(10, 1))
    >>> after = update(prior, Responders(events=18, n=20))
    >>> after.a, after.b, round(after.weights[1], 6)
    ((22.0, 19.0), (12.0, 3.0), 0.997327)
    """
    with np.errstate(divide="ignore"):
        log_w = np.log(np.array(prior.weights)) + _component_log_predictive(prior, data)
    weights = tuple(np.exp(log_w - logsumexp(log_w)))
    if isinstance(prior, BetaMixture):
        return replace(
            prior, weights=weights, a=tuple(a + data.events for a in prior.a),
            b=tuple(b + data.n - data.events for b in prior.b),
        )  # fmt: skip
    if isinstance(prior, GammaMixture):
        return replace(
            prior, weights=weights, shape=tuple(k + data.events for k in prior.shape),
            rate=tuple(r + data.exposure for r in prior.rate),
        )  # fmt: skip
    location, variance = np.array(prior.location), np.array(prior.scale) ** 2
    precision = 1 / variance + data.se**-2
    mean = (location / variance + data.estimate / data.se**2) / precision
    return replace(prior, weights=weights, location=tuple(mean), scale=tuple(precision**-0.5))


def _component_log_predictive(prior: Mixture, data: Responders | Events | EffectEstimate) -> Array:
    pairs = ((BetaMixture, Responders), (GammaMixture, Events), (NormalMixture, EffectEstimate))
    if not any(isinstance(prior, m) and isinstance(data, d) for m, d in pairs):
        raise UsageError(
            f"{type(data).__name__} do not go with a {type(prior).__name__}: a beta takes Responders, a gamma Events, "
            "a normal mixture EffectEstimate."
        )
    first, second = prior._arrays()
    if isinstance(data, Responders):
        r, n = data.events, data.n
        choose = gammaln(n + 1) - gammaln(r + 1) - gammaln(n - r + 1)
        return choose + betaln(first + r, second + n - r) - betaln(first, second)
    if isinstance(data, Events):
        y, time = data.events, data.exposure
        return (
            gammaln(first + y) - gammaln(first) - gammaln(y + 1) + first * np.log(second) + xlogy(y, time)
            - (first + y) * np.log(second + time)
        )  # fmt: skip
    variance = second**2 + data.se**2
    return -0.5 * (data.estimate - first) ** 2 / variance - 0.5 * np.log(2 * np.pi * variance)


def log_predictive(prior: Mixture, data: Responders | Events | EffectEstimate) -> float:
    """Log probability (or density, for an estimate) that a mixture prior gives to data."""
    with np.errstate(divide="ignore"):
        return float(logsumexp(np.log(np.array(prior.weights)) + _component_log_predictive(prior, data)))


def conflict_p(prior: Mixture, data: Responders | Events | EffectEstimate) -> float:
    """Box's prior predictive p-value: the probability of data as improbable as these or more.

    Box GEP, J R Stat Soc A 1980;143:383.

    Examples
    --------
    >>> prior = BetaMixture(weights=(1.0,), a=(11,), b=(32,))
    >>> conflict_p(prior, Responders(events=18, n=20)) < 0.001
    True
    """
    seen = log_predictive(prior, data)
    if isinstance(data, Responders):
        values = np.array([log_predictive(prior, replace(data, events=r)) for r in range(int(data.n) + 1)])
        return float(np.exp(values[values <= seen + 1e-9]).sum())
    if isinstance(data, Events):
        total, p, y = 0.0, 0.0, 0
        limit = prior.mean * data.exposure
        while total < 1 - 1e-10 and y < 100_000:
            value = log_predictive(prior, replace(data, events=y))
            total += np.exp(value)
            p += np.exp(value) if value <= seen + 1e-9 else 0.0
            if y > 10 * limit + 200 and np.exp(value) < 1e-12:
                break
            y += 1
        return float(min(1.0, p + max(0.0, 1 - total)))
    # for an estimate the set of less probable values is found by its ends, where the density crosses the one seen
    spread = replace(prior, scale=tuple(np.hypot(prior.scale, data.se)))
    reach = 10 * np.array(spread.scale)
    grid = np.unique(
        np.concatenate([np.linspace(m - r, m + r, 801) for m, r in zip(prior.location, reach, strict=True)])
    )
    gap = spread.log_density(grid) - seen
    gap = np.where(gap == 0.0, 1e-300, gap)  # a point at the end itself belongs inside

    def crossing(i: int) -> float:
        return float(brentq(lambda y: float(spread.log_density(np.array(y))) - seen, grid[i], grid[i + 1]))

    ends = [grid[0], *(crossing(i) for i in np.flatnonzero((gap[:-1] > 0) != (gap[1:] > 0))), grid[-1]]
    inside = 0.0
    for low, high in itertools.pairwise(ends):
        if float(spread.log_density(np.array(0.5 * (low + high)))) > seen:
            inside += float(spread.cdf(np.array(high)) - spread.cdf(np.array(low)))
    return 1.0 - inside


def probability_of_difference(
    first: Mixture, second: Mixture, threshold: float = 0.0, *, above: bool = True, link: str = "identity"
) -> float:
    """P(g(theta_1) - g(theta_2) > threshold), or ≤ with `above` False, for independent mixtures.

    Parameters
    ----------
    first, second : Mixture
    threshold : float
        On the scale of g.
    link : {"identity", "logit", "log"}
        g.

    Returns
    -------
    float

    Examples
    --------
    >>> uniform = BetaMixture(weights=(1.0,), a=(1,), b=(1,))
    >>> round(probability_of_difference(uniform, uniform), 6)
    0.5
    """
    total = _below(first, _points(second), threshold, link)
    return 1.0 - total if above else total


def _points(mixture: Mixture) -> tuple[Array, Array]:
    """Nodes and probabilities of a mixture."""
    parts = component_nodes(mixture, order=16)
    x = np.concatenate([x for x, _ in parts])
    return x, np.concatenate([w * mass for w, (_, mass) in zip(mixture.weights, parts, strict=True)])


def _below(first: Mixture, second: tuple[Array, Array], threshold: float, link: str) -> float:
    shift: dict[str, Callable[[Array], Array]] = {
        "identity": lambda x: x + threshold,
        "logit": lambda x: 1 / (1 + (1 / x - 1) * np.exp(-threshold)),
        "log": lambda x: x * np.exp(threshold),
    }
    if link not in shift:
        raise unknown_name("link", link, shift)
    low, high = first.support
    x, mass = second
    return float(np.clip(mass @ first.cdf(np.clip(shift[link](x), low, high)), 0.0, 1.0))


@dataclass(frozen=True, kw_only=True)
class Decision:
    """A success is declared when every P(theta_1 - theta_2 > q) (or ≤, with `above` False) is larger than its p.

    Parameters
    ----------
    probabilities, thresholds : tuple of float
        Equal lengths.
    above : bool
    link : {"identity", "logit", "log"}
    """

    probabilities: tuple[float, ...]
    thresholds: tuple[float, ...] = (0.0,)
    above: bool = True
    link: str = "identity"

    def __call__(self, first: Mixture, second: Mixture) -> bool:
        """Whether the posteriors of the two arms make a success."""
        return all(
            probability_of_difference(first, second, q, above=self.above, link=self.link) > p
            for p, q in zip(self.probabilities, self.thresholds, strict=True)
        )


def success_region(
    prior_1: BetaMixture, prior_2: BetaMixture, n_1: int, n_2: int, decision: Decision
) -> NDArray[np.bool_]:
    """For every pair of counts whether the design declares a success, shape (n_1 + 1, n_2 + 1)."""
    firsts = [update(prior_1, Responders(events=r, n=n_1)) for r in range(n_1 + 1)]
    region = np.ones((n_1 + 1, n_2 + 1), dtype=bool)
    for r in range(n_2 + 1):
        second = update(prior_2, Responders(events=r, n=n_2))
        points = _points(second)
        for p, q in zip(decision.probabilities, decision.thresholds, strict=True):
            below = np.array([_below(first, points, q, decision.link) for first in firsts])
            region[:, r] &= (1 - below if decision.above else below) > p
    return region


def success_probability(region: NDArray[np.bool_], theta_1: float, theta_2: float) -> float:
    """How often a design with this region declares a success when the true risks are theta_1 and theta_2.

    With theta_1 = theta_2 it is the type I error, otherwise the power; exact, by summing over all counts.
    """
    n_1, n_2 = region.shape[0] - 1, region.shape[1] - 1
    return float(binom.pmf(np.arange(n_1 + 1), n_1, theta_1) @ region @ binom.pmf(np.arange(n_2 + 1), n_2, theta_2))
