"""Mixtures of conjugate distributions: how a prior made from other studies is written down, shown and updated.

A mixture is weights and the parameters of its components. `robust` adds a vague component: the statement that the other
studies may be of no use here. Updating with data, effective sample sizes and fitting are in `inference/borrowing_*`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import special
from scipy.optimize import brentq

from enthesis.errors import UsageError

Array = NDArray[np.float64]
_LOG_2PI = math.log(2 * math.pi)


def _checked(mixture: Any, positive: tuple[str, ...], real: tuple[str, ...] = ()) -> None:
    for name in ("weights", *positive, *real):
        values = tuple(float(x) for x in np.atleast_1d(getattr(mixture, name)))
        object.__setattr__(mixture, name, values)
        if not values or not all(map(math.isfinite, values)):
            raise UsageError(f"{type(mixture).__name__}: {name} must be finite numbers.")
        if len(values) != len(mixture.weights):
            raise UsageError(f"{type(mixture).__name__}: {name} must have one number for each of the weights.")
        if name in positive and min(values) <= 0:
            raise UsageError(f"{type(mixture).__name__}: {name} must be above 0.")
    if min(mixture.weights) < 0 or abs(sum(mixture.weights) - 1) > 1e-8:
        raise UsageError(f"{type(mixture).__name__}: weights must be 0 or more and add up to 1.")


class _Mixture:
    """What the three families share."""

    support: ClassVar[tuple[float, float]]
    weights: tuple[float, ...]

    def _arrays(self) -> tuple[Array, ...]:
        raise NotImplementedError

    def _component_log_density(self, x: Array) -> Array:
        raise NotImplementedError

    def _component_cdf(self, x: Array) -> Array:
        raise NotImplementedError

    def _moments(self) -> tuple[Array, Array]:
        """Means and variances of the components."""
        raise NotImplementedError

    def _curvature(self, x: Array) -> tuple[Array, Array]:
        """First and second derivative of the components' log densities, shape (components, *x.shape)."""
        raise NotImplementedError

    def _vague(self, mean: float, units: float) -> tuple[float, float]:
        raise NotImplementedError

    @property
    def size(self) -> int:
        """Number of components."""
        return len(self.weights)

    @property
    def mean(self) -> float:
        """Mean of the mixture."""
        return float(np.dot(self.weights, self._moments()[0]))

    @property
    def sd(self) -> float:
        """Standard deviation of the mixture."""
        means, variances = self._moments()
        return float(np.sqrt(np.dot(self.weights, variances + (means - self.mean) ** 2)))

    def log_density(self, x: Array) -> Array:
        """Log density at x."""
        x = np.asarray(x, dtype=float)
        with np.errstate(divide="ignore"):
            log_w = np.log(np.array(self.weights)).reshape((-1,) + (1,) * x.ndim)
        return special.logsumexp(log_w + self._component_log_density(x), axis=0)

    def density(self, x: Array) -> Array:
        """Density at x."""
        return np.exp(self.log_density(x))

    def cdf(self, x: Array) -> Array:
        """Distribution function at x."""
        return np.tensordot(np.array(self.weights), self._component_cdf(np.asarray(x, dtype=float)), axes=1)

    def log_density_derivatives(self, x: Array) -> tuple[Array, Array]:
        """First derivative of the log density and its negative second derivative, which tells how peaked it is at x."""
        x = np.asarray(x, dtype=float)
        with np.errstate(divide="ignore"):
            log_w = np.log(np.array(self.weights)).reshape((-1,) + (1,) * x.ndim)
        terms = log_w + self._component_log_density(x)
        share = np.exp(terms - special.logsumexp(terms, axis=0))
        first, second = self._curvature(x)
        slope = np.sum(share * first, axis=0)
        return slope, slope**2 - np.sum(share * (second + first**2), axis=0)

    def quantile(self, p: Array | float) -> Array:
        """Quantile function."""
        p = np.asarray(p, dtype=float)
        return np.array([self._quantile(float(each)) for each in p.ravel()]).reshape(p.shape)

    def _quantile(self, p: float) -> float:
        low, high = self.support
        if p <= 0 or p >= 1:
            return low if p <= 0 else high
        means, variances = self._moments()
        reach = 10 * np.sqrt(variances)
        a, b = max(low, float(np.min(means - reach))), min(high, float(np.max(means + reach)))
        while self.cdf(np.array(a)) > p:
            a = a - 2 * (b - a) if np.isinf(low) else max(low, a - 2 * (b - a))
        while self.cdf(np.array(b)) < p:
            b = b + 2 * (b - a) if np.isinf(high) else min(high, b + 2 * (b - a))
        return float(brentq(lambda x: float(self.cdf(np.array(x))) - p, a, b, xtol=1e-13, rtol=1e-13))

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Equal-tailed interval."""
        low, high = self.quantile([0.5 - level / 2, 0.5 + level / 2])
        return float(low), float(high)

    def robust(self, weight: float, *, mean: float | None = None, units: float = 1.0) -> Any:
        """The mixture with a vague component: weight to the vague one, 1 - weight to this one.

        Parameters
        ----------
        weight : float
            Between 0 and 1.
        mean : float, optional
            Mean of the vague component; the mean of this mixture when it is not given.
        units : float
            How many observations the vague component is worth (1: a unit-information prior, Kass RE & Wasserman L,
            J Am Stat Assoc 1995;90:928). A beta has `units` + 1, so that the default at mean 1/2 is the uniform.

        Returns
        -------
        a mixture of the same family; its last component is the vague one

        Notes
        -----
        Schmidli H, Gsteiger S, Roychoudhury S, et al., Biometrics 2014;70:1023.
        """
        if not 0 <= weight <= 1:
            raise UsageError(f"the weight of the vague component must lie between 0 and 1, not {weight}.")
        added = self._vague(self.mean if mean is None else mean, units)
        first, second = self._arrays()
        weights = (*(w * (1 - weight) for w in self.weights), weight)
        names = [name for name in self.__dataclass_fields__ if name not in ("weights", "unit_sd")]  # type: ignore[attr-defined]
        extra = {"unit_sd": self.unit_sd} if hasattr(self, "unit_sd") else {}
        values = {names[0]: (*first, added[0]), names[1]: (*second, added[1])}
        return type(self)(weights=weights, **values, **extra)


@dataclass(frozen=True, kw_only=True)
class BetaMixture(_Mixture):
    """Mixture of Beta(a, b) distributions, for a risk.

    Examples
    --------
    >>> prior = BetaMixture(weights=(0.2, 0.8), a=(8, 10), b=(3, 2)).robust(0.1, mean=0.5)
    >>> prior.a, prior.b, tuple(round(w, 2) for w in prior.weights)
    ((8.0, 10.0, 1.0), (3.0, 2.0, 1.0), (0.18, 0.72, 0.1))
    """

    weights: tuple[float, ...]
    a: tuple[float, ...]
    b: tuple[float, ...]
    support: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def __post_init__(self) -> None:
        _checked(self, ("a", "b"))

    def _arrays(self) -> tuple[Array, Array]:
        return np.array(self.a), np.array(self.b)

    def _shaped(self, x: Array) -> tuple[Array, Array]:
        shape = (-1,) + (1,) * x.ndim
        return np.array(self.a).reshape(shape), np.array(self.b).reshape(shape)

    def _component_log_density(self, x: Array) -> Array:
        a, b = self._shaped(x)
        with np.errstate(divide="ignore", invalid="ignore"):
            return special.xlogy(a - 1, x) + special.xlog1py(b - 1, -x) - special.betaln(a, b)

    def _component_cdf(self, x: Array) -> Array:
        a, b = self._shaped(x)
        return special.betainc(a, b, np.clip(x, 0.0, 1.0))

    def _moments(self) -> tuple[Array, Array]:
        a, b = self._arrays()
        mean = a / (a + b)
        return mean, mean * (1 - mean) / (a + b + 1)

    def _curvature(self, x: Array) -> tuple[Array, Array]:
        a, b = self._shaped(x)
        return (a - 1) / x - (b - 1) / (1 - x), -(a - 1) / x**2 - (b - 1) / (1 - x) ** 2

    def _vague(self, mean: float, units: float) -> tuple[float, float]:
        if not 0 < mean < 1:
            raise UsageError(f"the mean of a vague beta must lie between 0 and 1, not {mean}.")
        return mean * (units + 1), (1 - mean) * (units + 1)


@dataclass(frozen=True, kw_only=True)
class GammaMixture(_Mixture):
    """Mixture of Gamma(shape, rate) distributions, for an event rate.

    Examples
    --------
    >>> round(GammaMixture(weights=(1.0,), shape=(20,), rate=(4,)).mean, 3)
    5.0
    """

    weights: tuple[float, ...]
    shape: tuple[float, ...]
    rate: tuple[float, ...]
    support: ClassVar[tuple[float, float]] = (0.0, math.inf)

    def __post_init__(self) -> None:
        _checked(self, ("shape", "rate"))

    def _arrays(self) -> tuple[Array, Array]:
        return np.array(self.shape), np.array(self.rate)

    def _shaped(self, x: Array) -> tuple[Array, Array]:
        to = (-1,) + (1,) * x.ndim
        return np.array(self.shape).reshape(to), np.array(self.rate).reshape(to)

    def _component_log_density(self, x: Array) -> Array:
        k, r = self._shaped(x)
        with np.errstate(divide="ignore", invalid="ignore"):
            return k * np.log(r) + special.xlogy(k - 1, x) - r * x - special.gammaln(k)

    def _component_cdf(self, x: Array) -> Array:
        k, r = self._shaped(x)
        return special.gammainc(k, r * np.maximum(x, 0.0))

    def _moments(self) -> tuple[Array, Array]:
        k, r = self._arrays()
        return k / r, k / r**2

    def _curvature(self, x: Array) -> tuple[Array, Array]:
        k, r = self._shaped(x)
        return (k - 1) / x - r, -(k - 1) / x**2

    def _vague(self, mean: float, units: float) -> tuple[float, float]:
        if mean <= 0:
            raise UsageError(f"the mean of a vague gamma must be above 0, not {mean}.")
        return mean * units, units


@dataclass(frozen=True, kw_only=True)
class NormalMixture(_Mixture):
    """Mixture of Normal(location, scale²) distributions, for a mean, a log ratio or a logit.

    Parameters
    ----------
    weights, location, scale : tuple of float
        `scale` are standard deviations.
    unit_sd : float
        Standard deviation of one observation, in which effective sample sizes are counted. For a log rate ratio 2: one
        event, with equal exposure on both sides, has variance 4.

    Examples
    --------
    >>> round(NormalMixture(weights=(0.5, 0.5), location=(0, 3), scale=(2, 4)).sd, 3)
    3.5
    """

    weights: tuple[float, ...]
    location: tuple[float, ...]
    scale: tuple[float, ...]
    unit_sd: float = 2.0
    support: ClassVar[tuple[float, float]] = (-math.inf, math.inf)

    def __post_init__(self) -> None:
        _checked(self, ("scale",), ("location",))
        if not (math.isfinite(self.unit_sd) and self.unit_sd > 0):
            raise UsageError(f"NormalMixture: unit_sd must be above 0, not {self.unit_sd}.")

    def _arrays(self) -> tuple[Array, Array]:
        return np.array(self.location), np.array(self.scale)

    def _shaped(self, x: Array) -> tuple[Array, Array]:
        to = (-1,) + (1,) * x.ndim
        return np.array(self.location).reshape(to), np.array(self.scale).reshape(to)

    def _component_log_density(self, x: Array) -> Array:
        m, s = self._shaped(x)
        return -0.5 * ((x - m) / s) ** 2 - np.log(s) - 0.5 * _LOG_2PI

    def _component_cdf(self, x: Array) -> Array:
        m, s = self._shaped(x)
        return special.ndtr((x - m) / s)

    def _moments(self) -> tuple[Array, Array]:
        m, s = self._arrays()
        return m, s**2

    def _curvature(self, x: Array) -> tuple[Array, Array]:
        m, s = self._shaped(x)
        return (m - x) / s**2, -1 / s**2 + 0 * x

    def _vague(self, mean: float, units: float) -> tuple[float, float]:
        return mean, self.unit_sd / math.sqrt(units)


Mixture = BetaMixture | GammaMixture | NormalMixture
