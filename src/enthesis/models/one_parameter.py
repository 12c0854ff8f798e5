"""What a source says about one number: likelihoods of a single parameter, exact where the data are counts.

Borrowing and cross-design models are about one effect at a time, so that everything can be integrated by quadrature.
theta is a log rate ratio (`EventCounts`, `EffectEstimate`), a logit of a risk (`Responders`), a log rate (`Events`) or
any number with a standard error (`EffectEstimate`). Every class gives the log likelihood (with its constants where the
data are counts, so that it is the log probability of the data), its first derivative and the negative second
derivative, element by element, and a place and a width where the likelihood is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.special import expit, gammaln, xlogy

from enthesis.errors import DataError, shortened

Array = NDArray[np.float64]
_LOG_2PI = math.log(2 * math.pi)


def _softplus(x: Array) -> Array:
    return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))


def _log_choose(n: float, r: float) -> float:
    return float(gammaln(n + 1) - gammaln(r + 1) - gammaln(n - r + 1))


def _count(name: str, value: float) -> None:
    if not (math.isfinite(value) and value >= 0 and float(value).is_integer()):
        raise DataError(
            "is not a count", column=name, value=shortened(value), fix="Write a whole number that is 0 or more."
        )


def _above_zero(name: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise DataError("must be a finite number above 0", column=name, value=shortened(value))


@dataclass(frozen=True, kw_only=True)
class EffectEstimate:
    """An estimate of theta with its standard error: estimate ~ Normal(theta, se²).

    Parameters
    ----------
    estimate, se : float
        On the scale of theta; for ratios this is the logarithm.

    Examples
    --------
    >>> one = EffectEstimate.from_interval(1.48, 1.04, 2.09)
    >>> round(one.estimate, 4), round(one.se, 4)
    (0.392, 0.1781)
    """

    estimate: float
    se: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.estimate):
            raise DataError("is not a finite number", column="estimate", value=shortened(self.estimate))
        _above_zero("se", self.se)

    @classmethod
    def from_interval(cls, ratio: float, lower: float, upper: float, *, level: float = 0.95) -> EffectEstimate:
        """The log of a ratio and its standard error from a printed interval: (log upper - log lower) / (2 z).

        Raises
        ------
        DataError
            When a number is not above 0 or the interval does not hold the ratio.
        """
        from scipy.special import ndtri

        for name, value in (("ratio", ratio), ("lower", lower), ("upper", upper)):
            _above_zero(name, value)
        if not lower <= ratio <= upper or lower == upper:
            raise DataError(
                f"the interval {lower:g} to {upper:g} does not hold the ratio {ratio:g}",
                fix="Give lower, ratio and upper in this order, on the ratio scale.",
            )
        z = float(ndtri(0.5 + level / 2))
        return cls(estimate=math.log(ratio), se=(math.log(upper) - math.log(lower)) / (2 * z))

    @property
    def place(self) -> tuple[float, float]:
        """Where the likelihood is, and how wide."""
        return self.estimate, self.se

    @property
    def informative(self) -> bool:
        """Whether the likelihood falls off on both sides."""
        return True

    def log_likelihood(self, theta: Array) -> Array:
        """Log likelihood at theta."""
        return -0.5 * ((self.estimate - np.asarray(theta)) / self.se) ** 2 - math.log(self.se) - 0.5 * _LOG_2PI

    def derivatives(self, theta: Array) -> tuple[Array, Array]:
        """First derivative and negative second derivative."""
        theta = np.asarray(theta, dtype=float)
        return (self.estimate - theta) / self.se**2, np.full(theta.shape, self.se**-2)


class _Logit:
    """r ~ Binomial(n, expit(theta + offset)); the subclass says what r, n and offset are."""

    def _numbers(self) -> tuple[float, float, float]:
        raise NotImplementedError

    @property
    def place(self) -> tuple[float, float]:
        """Where the likelihood is, and how wide (half an event added on either side)."""
        r, n, offset = self._numbers()
        return math.log((r + 0.5) / (n - r + 0.5)) - offset, math.sqrt(1 / (r + 0.5) + 1 / (n - r + 0.5))

    @property
    def informative(self) -> bool:
        """Whether the likelihood falls off on both sides."""
        r, n, _ = self._numbers()
        return 0 < r < n

    def log_likelihood(self, theta: Array) -> Array:
        """Log likelihood at theta."""
        r, n, offset = self._numbers()
        eta = np.asarray(theta, dtype=float) + offset
        return _log_choose(n, r) + r * eta - n * _softplus(eta)

    def derivatives(self, theta: Array) -> tuple[Array, Array]:
        """First derivative and negative second derivative."""
        r, n, offset = self._numbers()
        eta = np.asarray(theta, dtype=float) + offset
        p = expit(eta)
        return r - n * p, n * p * expit(-eta)


@dataclass(frozen=True, kw_only=True)
class Responders(_Logit):
    """Patients with an event out of n: events ~ Binomial(n, expit(theta)); theta is the logit of the risk.

    Examples
    --------
    >>> round(float(np.exp(Responders(events=1, n=2).log_likelihood(0.0))), 3)
    0.5
    """

    events: float
    n: float

    def __post_init__(self) -> None:
        _count("events", self.events)
        _count("n", self.n)
        if self.n < 1 or self.events > self.n:
            raise DataError(f"{self.events:g} events among {self.n:g} patients is not possible", column="events")

    def _numbers(self) -> tuple[float, float, float]:
        return self.events, self.n, 0.0


@dataclass(frozen=True, kw_only=True)
class EventCounts(_Logit):
    """Events and patient-years on two sides; theta is the log rate ratio, treatment against comparator.

    With Poisson counts on either side, the events of the treatment given the total are binomial:
    r1 | r1 + r0 ~ Binomial(r1 + r0, E1 exp(theta) / (E1 exp(theta) + E0)). The unknown rate of the comparator is gone
    and nothing is approximated: no event is added to a side without any (Przyborowski J & Wilenski H, Biometrika
    1940;31:313; Cox DR & Hinkley DV, Theoretical Statistics 1974, section 5.2). With no event on either side the
    likelihood is flat: such data say nothing about a ratio.

    Parameters
    ----------
    events, exposure : float
        Of the treatment; exposure in patient-years.
    comparator_events, comparator_exposure : float

    Examples
    --------
    >>> own = EventCounts(events=3, exposure=600, comparator_events=0, comparator_exposure=450)
    >>> own.informative
    False
    >>> round(float(np.exp(own.log_likelihood(0.0))), 4)   # (600 / 1050)³
    0.1866
    """

    events: float
    exposure: float
    comparator_events: float
    comparator_exposure: float

    def __post_init__(self) -> None:
        _count("events", self.events)
        _count("comparator_events", self.comparator_events)
        _above_zero("exposure", self.exposure)
        _above_zero("comparator_exposure", self.comparator_exposure)

    @property
    def total(self) -> float:
        """Events on both sides."""
        return self.events + self.comparator_events

    @property
    def offset(self) -> float:
        """Log of the ratio of the exposures."""
        return math.log(self.exposure / self.comparator_exposure)

    def _numbers(self) -> tuple[float, float, float]:
        return self.events, self.total, self.offset


@dataclass(frozen=True, kw_only=True)
class Events:
    """Events in patient-years of one side: events ~ Poisson(exposure exp(theta)); theta is the log rate.

    Examples
    --------
    >>> round(float(np.exp(Events(events=0, exposure=2.0).log_likelihood(0.0))), 4)
    0.1353
    """

    events: float
    exposure: float

    def __post_init__(self) -> None:
        _count("events", self.events)
        _above_zero("exposure", self.exposure)

    @property
    def place(self) -> tuple[float, float]:
        """Where the likelihood is, and how wide (half an event added)."""
        return math.log((self.events + 0.5) / self.exposure), 1 / math.sqrt(self.events + 0.5)

    @property
    def informative(self) -> bool:
        """Whether the likelihood falls off on both sides."""
        return self.events > 0

    def log_likelihood(self, theta: Array) -> Array:
        """Log likelihood at theta."""
        theta = np.asarray(theta, dtype=float)
        mean = self.exposure * np.exp(np.minimum(theta, 600.0))
        constant = float(xlogy(self.events, self.exposure) - gammaln(self.events + 1))
        return self.events * theta - mean + constant

    def derivatives(self, theta: Array) -> tuple[Array, Array]:
        """First derivative and negative second derivative."""
        mean = self.exposure * np.exp(np.minimum(np.asarray(theta, dtype=float), 600.0))
        return self.events - mean, mean


Reported = EffectEstimate | Responders | EventCounts | Events


@dataclass(frozen=True, kw_only=True)
class Biased:
    """A source that measures theta + bias, bias ~ Normal(mean, sd²), and whose likelihood counts to a power.

    With random effects the spread of the bias adds to the spread between studies: what the source measures is
    Normal(mu + mean, tau² + sd²) (Turner RM, Spiegelhalter DJ, Smith GCS, Thompson SG, J R Stat Soc A 2009;172:21). A
    power of 0 leaves the source out, 1 counts it in full.

    Examples
    --------
    >>> Biased(row=EffectEstimate(estimate=0.5, se=0.3), mean=0.1, sd=0.4).place
    (0.4, 0.5)
    """

    row: Reported
    mean: float = 0.0
    sd: float = 0.0
    power: float = 1.0

    @property
    def place(self) -> tuple[float, float]:
        """Where the likelihood is, and how wide."""
        place, width = self.row.place
        return place - self.mean, math.hypot(width, self.sd)


@dataclass(frozen=True, kw_only=True, eq=False)
class Tabulated:
    """A log likelihood known at points, for example of a design after its own spread is integrated out.

    Between the points it is a cubic spline; outside it goes on as a parabola.

    Parameters
    ----------
    x, log_values : float arrays, shape (points,)
        x increasing.
    place : tuple of float
        Where the likelihood is, and how wide.
    """

    x: Array
    log_values: Array
    place: tuple[float, float]

    def log_likelihood(self, theta: Array) -> Array:
        """Log likelihood at theta."""
        theta = np.asarray(theta, dtype=float)
        low, high = self.x[0], self.x[-1]
        inside = np.clip(theta, low, high)
        beyond = theta - inside
        return self._spline(inside) + beyond * self._spline(inside, 1) - 0.5 * (beyond / self.place[1]) ** 2

    def derivatives(self, theta: Array) -> tuple[Array, Array]:
        """First derivative and negative second derivative, the latter not below 0."""
        theta = np.asarray(theta, dtype=float)
        inside = np.clip(theta, self.x[0], self.x[-1])
        outside = theta != inside
        g = self._spline(inside, 1) - (theta - inside) / self.place[1] ** 2
        h = np.where(outside, self.place[1] ** -2, np.maximum(-self._spline(inside, 2), 0.0))
        return g, h

    @cached_property
    def _spline(self) -> CubicSpline:
        return CubicSpline(self.x, self.log_values)


Likelihood = Reported | Biased | Tabulated
