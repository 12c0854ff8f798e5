"""Exchangeable sources by quadrature: theta[j] ~ Normal(mu, tau²), what is known of mu and tau, and a new theta.

For every tau of a one-dimensional rule the density of mu is laid out on panels; the likelihood of each source given
(mu, tau) is the integral of its likelihood over theta[j], exact for estimates with a standard error and by adaptive
Gauss-Hermite quadrature around its own mode for counts (Liu Q & Pierce DA, Biometrika 1994;81:624). With a probability
below 1 that a source is exchangeable, its factor is p[j] × that integral + (1 - p[j]) × the integral over the prior of
an effect that stands apart: no configuration of sources needs to be listed. Nothing is simulated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from enthesis.errors import ModelError
from enthesis.inference.borrowing_density import NEGLIGIBLE, Density, Panels, panels_for
from enthesis.inference.quadrature import TauPosterior, tau_posterior
from enthesis.models.one_parameter import Biased, EffectEstimate, Likelihood
from enthesis.models.priors import Normal, Prior

Array = NDArray[np.float64]
_LOG_2PI = float(np.log(2 * np.pi))
#: nodes of the inner rule; rows without an event on one side have one exponential tail and need them
_INNER = np.polynomial.hermite_e.hermegauss(24)
_BLUR = np.polynomial.hermite_e.hermegauss(24)
_SMALLEST_TAU = 1e-9


def log_marginal(row: Likelihood, mu: Array, tau: Array | float) -> Array:
    """log ∫ L(theta) Normal(theta; mu, tau²) dtheta for every mu.

    Parameters
    ----------
    row : a likelihood of one parameter
    mu, tau : float arrays of shapes that go together

    Returns
    -------
    float array
    """
    if isinstance(row, Biased):
        return row.power * log_marginal(row.row, np.asarray(mu) + row.mean, np.hypot(tau, row.sd))
    mu, tau = np.broadcast_arrays(np.asarray(mu, dtype=float), np.asarray(tau, dtype=float))
    if isinstance(row, EffectEstimate):
        variance = row.se**2 + tau**2
        return -0.5 * (row.estimate - mu) ** 2 / variance - 0.5 * np.log(variance) - 0.5 * _LOG_2PI
    if np.all(tau < _SMALLEST_TAU):
        return row.log_likelihood(mu)
    tau = np.maximum(tau, _SMALLEST_TAU)
    theta = np.where(tau > row.place[1], np.clip(row.place[0], mu - 4 * tau, mu + 4 * tau), mu)
    for _ in range(40):
        g, h = row.derivatives(theta)
        step = (g - (theta - mu) / tau**2) / (h + tau**-2)
        # half a width at most, so that an exponential tail is walked down rather than jumped over
        limit = 3.0 / np.sqrt(h + tau**-2) + 0.1
        step = np.clip(step, -limit, limit)
        theta = theta + step
        if np.max(np.abs(step) * np.sqrt(h + tau**-2)) < 1e-6:
            break
    _, h = row.derivatives(theta)
    width = 1 / np.sqrt(h + tau**-2)
    z, w = _INNER
    at = theta[..., None] + width[..., None] * z
    log_integrand = row.log_likelihood(at) - 0.5 * ((at - mu[..., None]) / tau[..., None]) ** 2 + 0.5 * z**2
    top = log_integrand.max(axis=-1)
    return top + np.log(np.exp(log_integrand - top[..., None]) @ w) + np.log(width / tau) - 0.5 * _LOG_2PI


@dataclass(frozen=True)
class Slice:
    """The density of mu at one tau: log p(mu, y | tau) at the nodes of its panels, and the log of its integral."""

    tau: float
    panels: Panels
    log_values: Array
    log_total: float

    @cached_property
    def mass(self) -> Array:
        """Probability of each node."""
        return self.panels.weights * np.exp(self.log_values - self.log_total)

    @cached_property
    def moments(self) -> tuple[float, float]:
        """Mean and standard deviation of mu at this tau."""
        mean = float(self.mass @ self.panels.nodes)
        return mean, float(np.sqrt(max(self.mass @ (self.panels.nodes - mean) ** 2, 1e-300)))

    def blurred(self, x: Array, sd: float) -> Array:
        """Density at x of mu + Normal(0, sd²)."""
        if sd == 0:
            return np.exp(self._log_density(x))
        if sd > 0.5 * self.moments[1]:
            kernel = np.exp(-0.5 * ((x[:, None] - self.panels.nodes) / sd) ** 2)
            return kernel @ self.mass / (sd * np.sqrt(2 * np.pi))
        z, w = _BLUR
        at = x[:, None] - sd * z
        return np.exp(self._log_density(at)) @ w / np.sqrt(2 * np.pi)

    @cached_property
    def _spline(self) -> CubicSpline:
        return CubicSpline(self.panels.nodes, self.log_values - self.log_total)

    def _log_density(self, at: Array) -> Array:
        """Beyond the panels, where own data in strong conflict can have their mass, the tail goes on as it ends."""
        nodes = self.panels.nodes
        end = np.clip(at, nodes[0], nodes[-1])
        beyond = at - end
        slope, bend = self._spline(end, 1), np.minimum(self._spline(end, 2), 0.0)
        falls = slope * beyond <= 0
        return np.where(falls, self._spline(end) + slope * beyond + 0.5 * bend * beyond**2, -np.inf)


@dataclass(frozen=True)
class Hierarchy:
    """What is known of mu, tau and a new theta.

    Parameters
    ----------
    slices : tuple of Slice
        One for each node of the rule over tau.
    mass : float array, shape (slices,)
        Their probabilities.
    log_evidence : float
        Log probability of the data.
    rows, exchangeable : what was given
    tau_posterior : TauPosterior or None
        None when tau is a number.
    """

    slices: tuple[Slice, ...]
    mass: Array
    log_evidence: float
    rows: tuple[Likelihood, ...]
    exchangeable: Array
    apart: Normal
    tau_posterior: TauPosterior | None

    def log_predictive(self, x: Array) -> Array:
        """Log density of the effect in a new source at x: Normal(mu, tau²) averaged over mu and tau."""
        x = np.asarray(x, dtype=float)
        total = sum(m * s.blurred(x.ravel(), s.tau) for m, s in zip(self.mass, self.slices, strict=True))
        with np.errstate(divide="ignore"):
            return np.log(total).reshape(x.shape)

    @cached_property
    def scales(self) -> list[tuple[float, float]]:
        """Places and widths of the density of a new theta."""
        order = np.argsort([s.tau for s in self.slices])
        cumulative = np.cumsum(self.mass[order])
        found = []
        for share in (0.02, 0.2, 0.5, 0.8, 0.97):
            piece = self.slices[order[min(np.searchsorted(cumulative, share), len(order) - 1)]]
            mean, sd = piece.moments
            found.append((mean, float(np.hypot(sd, piece.tau))))
        return found

    @cached_property
    def predictive(self) -> Density:
        """The effect in a new source."""
        return Density.of(self.log_predictive, self.scales)

    @cached_property
    def mu(self) -> Density:
        """The mean of the sources."""

        def log_density(x: Array) -> Array:
            total = sum(m * s.blurred(x, 0.0) for m, s in zip(self.mass, self.slices, strict=True))
            with np.errstate(divide="ignore"):
                return np.log(total)

        return Density.of(log_density, [s.moments for s in self.slices[:: max(1, len(self.slices) // 8)]])

    @property
    def tau(self) -> tuple[float, float, float]:
        """Median and 95 % interval of tau."""
        if self.tau_posterior is None:
            return (self.slices[0].tau,) * 3
        return tuple(float(q) for q in self.tau_posterior.quantile(np.array([0.5, 0.025, 0.975])))  # type: ignore[return-value]

    @cached_property
    def exchangeable_posterior(self) -> Array:
        """Posterior probability of each source to be exchangeable, shape (rows,)."""
        found = np.zeros(len(self.rows))
        apart = np.array([float(log_marginal(r, np.array(self.apart.mean), self.apart.sd)) for r in self.rows])
        with np.errstate(divide="ignore"):
            log_p, log_q = np.log(self.exchangeable), np.log1p(-self.exchangeable)
        for share, piece in zip(self.mass, self.slices, strict=True):
            for j, row in enumerate(self.rows):
                inside = log_p[j] + log_marginal(row, piece.panels.nodes, piece.tau)
                found[j] += share * float(piece.mass @ np.exp(inside - np.logaddexp(inside, log_q[j] + apart[j])))
        return np.clip(found, 0.0, 1.0)

    def shrunken(self, j: int) -> Density:
        """The effect in source j, given all sources.

        At each tau: L(theta; j) × the density of a new theta given the other sources. Those of mu given the others are
        the density of mu with the factor of source j taken out.
        """
        row = self.rows[j]
        if self.exchangeable[j] < 1:
            raise ModelError("the effect in one source is given for sources that are exchangeable for certain.")
        others = []
        for share, piece in zip(self.mass, self.slices, strict=True):
            values = piece.log_values - log_marginal(row, piece.panels.nodes, piece.tau)
            total = Density(piece.panels, values).log_total
            others.append((np.log(share) + total - piece.log_total, Slice(piece.tau, piece.panels, values, total)))
        top = max(weight for weight, _ in others)

        def log_density(x: Array) -> Array:
            prior = sum(np.exp(weight - top) * piece.blurred(x, piece.tau) for weight, piece in others)
            with np.errstate(divide="ignore"):
                return np.log(prior) + row.log_likelihood(x)

        place = row.place
        return Density.of(log_density, [(self.mu.mean, self.mu.sd), place, *self.scales[2:3]])


def hierarchy(
    rows: Sequence[Likelihood],
    *,
    mu: Normal,
    tau: Prior | float,
    exchangeable: float | Sequence[float] = 1.0,
    apart: Normal | None = None,
) -> Hierarchy:
    """The posterior of exchangeable (or perhaps not exchangeable) sources.

    Parameters
    ----------
    rows : sequence of likelihoods of one parameter
        One for each source. None: the prior itself.
    mu : Normal
        Prior of the mean.
    tau : Prior or float
        Prior of the standard deviation between sources, or its value.
    exchangeable : float or sequence of float
        Prior probability of each source to be exchangeable.
    apart : Normal, optional
        Prior of an effect that stands apart; `mu` when not given.

    Returns
    -------
    Hierarchy

    Examples
    --------
    >>> from enthesis.models.priors import HalfNormal
    >>> found = hierarchy([EffectEstimate(estimate=0.0, se=0.2), EffectEstimate(estimate=0.4, se=0.2)],
    ...                   mu=Normal(0, 2), tau=HalfNormal(0.5))
    >>> round(found.predictive.mean, 3)
    0.195
    """
    rows = tuple(rows)
    apart = apart or mu
    p = np.broadcast_to(np.asarray(exchangeable, dtype=float), (len(rows),)).copy()
    with np.errstate(divide="ignore"):
        log_p, log_q = np.log(p), np.log1p(-p)
    stands_apart = [float(log_marginal(r, np.array(apart.mean), apart.sd)) for r in rows]
    mixed = [j for j in range(len(rows)) if 0 < p[j] < 1]
    constant = sum(stands_apart[j] for j in range(len(rows)) if p[j] == 0)
    used = [j for j in range(len(rows)) if p[j] > 0]

    def log_joint(at: Array, sd: float) -> Array:
        total = mu.log_density(at) + constant
        for j in used:
            inside = log_marginal(rows[j], at, sd)
            total = total + (inside if p[j] == 1 else np.logaddexp(log_p[j] + inside, log_q[j] + stands_apart[j]))
        return total

    def scales(sd: float) -> list[tuple[float, float]]:
        sure = [
            (mu.mean, mu.sd),
            *((rows[j].place[0], float(np.hypot(rows[j].place[1], sd))) for j in used if p[j] == 1),
        ]
        precision = sum(s**-2 for _, s in sure)
        together = (sum(c / s**2 for c, s in sure) / precision, precision**-0.5)
        return [together, *((rows[j].place[0], float(np.hypot(rows[j].place[1], sd))) for j in mixed)]

    known: dict[float, Slice] = {}

    def piece(sd: float) -> Slice:
        if sd not in known:
            panels, values = panels_for(lambda at: log_joint(at, sd), scales(sd))
            top = values.max()
            total = float(top + np.log(panels.weights @ np.exp(values - top)))
            known[sd] = Slice(sd, panels, values, total)
        return known[sd]

    if isinstance(tau, int | float):
        one = piece(float(tau))
        return Hierarchy((one,), np.ones(1), one.log_total, rows, p, apart, None)
    widths = [r.place[1] for r in rows] or [mu.sd]

    def log_density(at: Array) -> Array:
        prior = tau.log_density(at)
        worth = prior > np.max(prior) - 4 * NEGLIGIBLE
        return np.array(
            [q + piece(float(t)).log_total if k else -np.inf for t, q, k in zip(at, prior, worth, strict=True)]
        )

    found = tau_posterior(log_density, tau, scale=float(np.median(widths)), panels=10, order=6)
    keep = found.mass > 1e-13
    slices = tuple(piece(float(t)) for t in found.nodes[keep])
    mass = found.mass[keep] / found.mass[keep].sum()
    return Hierarchy(slices, mass, found.log_evidence, rows, p, apart, found)


def blurred_by(density: Density, sd: Prior | float) -> tuple[Callable[[Array], Array], list[tuple[float, float]]]:
    """Log density of theta + Normal(0, sd²), averaged over a prior of sd, and its places and widths.

    Parameters
    ----------
    density : Density
        Of theta.
    sd : Prior or float

    Returns
    -------
    log_density : callable
    scales : list of (place, width)
    """
    one = Slice(0.0, density.panels, density.log_values, density.log_total)
    if isinstance(sd, int | float):
        nodes, mass = np.array([float(sd)]), np.ones(1)
    else:
        found = tau_posterior(sd.log_density, sd, scale=float(sd.quantile(0.5)), panels=16, order=8)
        nodes, mass = found.nodes, found.mass

    def log_density(x: Array) -> Array:
        total = sum(m * one.blurred(np.asarray(x, dtype=float), float(s)) for m, s in zip(mass, nodes, strict=True))
        with np.errstate(divide="ignore"):
            return np.log(total)

    cumulative = np.cumsum(mass)
    typical = [nodes[min(np.searchsorted(cumulative, q), len(nodes) - 1)] for q in (0.05, 0.5, 0.95)]
    return log_density, [(density.mean, float(np.hypot(density.sd, s))) for s in typical]
