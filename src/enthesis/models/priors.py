"""Prior distributions as values, and the words that name them.

A prior knows its log density, its support and its quantiles; nothing else in the package evaluates a prior.
Heterogeneity priors are on the standard deviation tau unless wrapped in `OnVariance`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfinv, gammaln, ndtri, stdtrit

from enthesis.errors import UsageError

Array = NDArray[np.float64]
_LOG_2PI = math.log(2 * math.pi)


def _positive(prior: object, **values: float) -> None:
    for name, value in values.items():
        if not (math.isfinite(value) and value > 0):
            raise UsageError(f"{type(prior).__name__}: {name} must be above 0, not {value}.")


@dataclass(frozen=True)
class Normal:
    """Normal(mean, sd²) on the real line.

    Examples
    --------
    >>> str(Normal(0, 100))
    'normal(0, 100)'
    """

    mean: float = 0.0
    sd: float = 1.0

    def __post_init__(self) -> None:
        _positive(self, sd=self.sd)

    support = (-math.inf, math.inf)

    def log_density(self, x: Array) -> Array:
        """Log density at x."""
        return -0.5 * ((x - self.mean) / self.sd) ** 2 - math.log(self.sd) - 0.5 * _LOG_2PI

    def quantile(self, p: Array) -> Array:
        """Quantile function."""
        return self.mean + self.sd * ndtri(p)

    def __str__(self) -> str:
        return f"normal({self.mean:g}, {self.sd:g})"


@dataclass(frozen=True)
class Uniform:
    """Uniform(lower, upper).

    Examples
    --------
    >>> float(Uniform(0, 5).quantile(0.5))
    2.5
    """

    lower: float = 0.0
    upper: float = 5.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.lower) and math.isfinite(self.upper) and self.lower < self.upper):
            raise UsageError(f"Uniform: lower must be below upper, not ({self.lower}, {self.upper}).")

    @property
    def support(self) -> tuple[float, float]:
        """Where the density is above zero."""
        return (self.lower, self.upper)

    def log_density(self, x: Array) -> Array:
        """Log density at x."""
        inside = (x >= self.lower) & (x <= self.upper)
        return np.where(inside, -math.log(self.upper - self.lower), -np.inf)

    def quantile(self, p: Array) -> Array:
        """Quantile function."""
        return self.lower + (self.upper - self.lower) * np.asarray(p)

    def __str__(self) -> str:
        return f"uniform({self.lower:g}, {self.upper:g})"


@dataclass(frozen=True)
class HalfNormal:
    """The size of X, ``|X|``, with X ~ Normal(0, sd²).

    Examples
    --------
    >>> round(float(HalfNormal(0.5).quantile(0.95)), 3)
    0.98
    """

    sd: float = 1.0

    def __post_init__(self) -> None:
        _positive(self, sd=self.sd)

    support = (0.0, math.inf)

    def log_density(self, x: Array) -> Array:
        """Log density at x."""
        inside = np.asarray(x) >= 0
        return np.where(inside, math.log(2 / self.sd) - 0.5 * _LOG_2PI - 0.5 * (np.asarray(x) / self.sd) ** 2, -np.inf)

    def quantile(self, p: Array) -> Array:
        """Quantile function."""
        return self.sd * math.sqrt(2) * erfinv(p)

    def __str__(self) -> str:
        return f"half-normal({self.sd:g})"


@dataclass(frozen=True)
class HalfCauchy:
    """The size of X, ``|X|``, with X ~ Cauchy(0, scale).

    Examples
    --------
    >>> float(HalfCauchy(2.0).quantile(0.5).round(6))
    2.0
    """

    scale: float = 1.0

    def __post_init__(self) -> None:
        _positive(self, scale=self.scale)

    support = (0.0, math.inf)

    def log_density(self, x: Array) -> Array:
        """Log density at x."""
        inside = np.asarray(x) >= 0
        body = math.log(2 / (math.pi * self.scale)) - np.log1p((np.asarray(x) / self.scale) ** 2)
        return np.where(inside, body, -np.inf)

    def quantile(self, p: Array) -> Array:
        """Quantile function."""
        return self.scale * np.tan(0.5 * np.pi * np.asarray(p))

    def __str__(self) -> str:
        return f"half-cauchy({self.scale:g})"


@dataclass(frozen=True)
class LogNormal:
    """exp(X) with X ~ Normal(mean_log, sd_log²).

    Examples
    --------
    >>> float(LogNormal(0.0, 1.0).quantile(0.5))
    1.0
    """

    mean_log: float = 0.0
    sd_log: float = 1.0

    def __post_init__(self) -> None:
        _positive(self, sd_log=self.sd_log)

    support = (0.0, math.inf)

    def log_density(self, x: Array) -> Array:
        """Log density at x."""
        x = np.asarray(x, dtype=float)
        with np.errstate(divide="ignore"):
            log_x = np.log(np.maximum(x, 0.0))
        body = -0.5 * ((log_x - self.mean_log) / self.sd_log) ** 2 - math.log(self.sd_log) - 0.5 * _LOG_2PI
        with np.errstate(invalid="ignore"):
            return np.where(x > 0, body - log_x, -np.inf)

    def quantile(self, p: Array) -> Array:
        """Quantile function."""
        return np.exp(self.mean_log + self.sd_log * ndtri(p))

    def __str__(self) -> str:
        return f"log-normal({self.mean_log:g}, {self.sd_log:g})"


@dataclass(frozen=True)
class LogStudentT:
    """exp(location + scale T), T with Student's t distribution on `df` degrees of freedom.

    Examples
    --------
    >>> float(LogStudentT(0.0, 1.0).quantile(0.5))
    1.0
    """

    location: float = 0.0
    scale: float = 1.0
    df: float = 5.0

    def __post_init__(self) -> None:
        _positive(self, scale=self.scale, df=self.df)

    support = (0.0, math.inf)

    def log_density(self, x: Array) -> Array:
        """Log density at x."""
        x = np.asarray(x, dtype=float)
        with np.errstate(divide="ignore"):
            log_x = np.log(np.maximum(x, 0.0))
        half = 0.5 * (self.df + 1)
        constant = gammaln(half) - gammaln(0.5 * self.df) - 0.5 * math.log(self.df * math.pi) - math.log(self.scale)
        with np.errstate(invalid="ignore"):
            body = constant - half * np.log1p(((log_x - self.location) / self.scale) ** 2 / self.df)
            return np.where(x > 0, body - log_x, -np.inf)

    def quantile(self, p: Array) -> Array:
        """Quantile function."""
        return np.exp(self.location + self.scale * stdtrit(self.df, p))

    def __str__(self) -> str:
        return f"log-student-t({self.location:g}, {self.scale:g}, {self.df:g})"


@dataclass(frozen=True)
class OnVariance:
    """A prior stated for the variance tau², as a prior for tau: p(tau) = prior(tau²) 2 tau.

    Examples
    --------
    >>> str(OnVariance(LogNormal(-3.93, 1.51)))
    'log-normal(-3.93, 1.51) on tau²'
    """

    prior: Uniform | HalfNormal | HalfCauchy | LogNormal | LogStudentT

    @property
    def support(self) -> tuple[float, float]:
        """Where the density of tau is above zero."""
        lower, upper = self.prior.support
        return (math.sqrt(max(lower, 0.0)), math.sqrt(upper))

    def log_density(self, x: Array) -> Array:
        """Log density of tau at x."""
        x = np.asarray(x, dtype=float)
        with np.errstate(divide="ignore"):
            return self.prior.log_density(x**2) + np.log(2 * np.maximum(x, 0.0))

    def quantile(self, p: Array) -> Array:
        """Quantile function of tau."""
        return np.sqrt(self.prior.quantile(p))

    def __str__(self) -> str:
        return f"{self.prior} on tau²"


Prior = Normal | Uniform | HalfNormal | HalfCauchy | LogNormal | LogStudentT | OnVariance

_FAMILIES = {
    "normal": (Normal, 2),
    "uniform": (Uniform, 2),
    "halfnormal": (HalfNormal, 1),
    "halfcauchy": (HalfCauchy, 1),
    "lognormal": (LogNormal, 2),
    "logstudentt": (LogStudentT, 3),
}


def parse_prior(text: str) -> Prior:
    """The prior that a phrase names, for example `uniform(0,5)` or `log-normal(-3.93, 1.51) on variance`.

    Parameters
    ----------
    text : str
        `normal(mean, sd)`, `uniform(lower, upper)`, `half-normal(sd)`, `half-cauchy(scale)`,
        `log-normal(mean_log, sd_log)` or `log-student-t(location, scale, df)`; hyphens, underscores and case do not
        matter; ` on variance` (or ` on tau2`) states it for tau² instead of tau. Published distributions of tau by
        name: `turner(outcome, comparison)`, `turner2012(outcome, comparison)`, `rhodes(outcome, comparison, area)`;
        see `models.published`.

    Returns
    -------
    Prior

    Raises
    ------
    UsageError
        When the phrase is not one of these.

    Examples
    --------
    >>> parse_prior("Half_Normal(0.5)")
    HalfNormal(sd=0.5)
    """
    named = re.fullmatch(r"\s*(turner|turner2012|rhodes)\s*\((.*)\)\s*", str(text)[:300], re.IGNORECASE | re.DOTALL)
    if named:
        from enthesis.models.published import parse_published

        return parse_published(named.group(1).lower(), named.group(2))
    match = re.fullmatch(
        r"\s*([A-Za-z][A-Za-z_\- ]*?)\s*\(([^()]*)\)\s*(on\s+(?:variance|tau2|tau²))?\s*", str(text)[:200]
    )
    family = re.sub(r"[_\- ]", "", match.group(1)).lower() if match else ""
    if not match or family not in _FAMILIES:
        raise UsageError(
            f"prior {str(text)[:60]!r} is not understood. Write normal(mean, sd), uniform(lower, upper), "
            "half-normal(sd), half-cauchy(scale), log-normal(mean_log, sd_log) or log-student-t(location, scale, df); "
            "for tau² add ' on variance'. By name: turner(outcome, comparison), turner2012(...), rhodes(...)."
        )
    kind, size = _FAMILIES[family]
    try:
        numbers = [float(part) for part in match.group(2).split(",")]
    except ValueError:
        numbers = []
    if family in ("halfnormal", "halfcauchy") and len(numbers) == 2 and numbers[0] == 0:
        numbers = numbers[1:]  # half-normal(0, s) is how several packages write it
    if len(numbers) != size or not all(map(math.isfinite, numbers)):
        raise UsageError(
            f"prior {str(text)[:60]!r} needs {size} finite number{'s' if size > 1 else ''} in the brackets."
        )
    prior = kind(*numbers)
    return OnVariance(prior) if match.group(3) else prior
