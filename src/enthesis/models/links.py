"""Link functions: mean = inverse(eta), with the two derivatives that Newton's method needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtr, ndtri

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Identity:
    """mean = eta."""

    name = "identity"

    def forward(self, mean: Array) -> Array:
        """From mean to eta."""
        return mean

    def inverse(self, eta: Array) -> tuple[Array, Array, Array]:
        """Mean and its first and second derivative in eta."""
        return eta, np.ones_like(eta), np.zeros_like(eta)


@dataclass(frozen=True)
class Log:
    """mean = exp(eta)."""

    name = "log"

    def forward(self, mean: Array) -> Array:
        """From mean to eta."""
        return np.log(mean)

    def inverse(self, eta: Array) -> tuple[Array, Array, Array]:
        """Mean and its first and second derivative in eta."""
        mean = np.exp(eta)
        return mean, mean, mean


@dataclass(frozen=True)
class Logit:
    """mean = 1 / (1 + exp(-eta))."""

    name = "logit"

    def forward(self, mean: Array) -> Array:
        """From mean to eta."""
        return np.log(mean) - np.log1p(-mean)

    def inverse(self, eta: Array) -> tuple[Array, Array, Array]:
        """Mean and its first and second derivative in eta."""
        p = expit(eta)
        d = p * (1 - p)
        return p, d, d * (1 - 2 * p)


@dataclass(frozen=True)
class Probit:
    """mean = Phi(eta)."""

    name = "probit"

    def forward(self, mean: Array) -> Array:
        """From mean to eta."""
        return ndtri(mean)

    def inverse(self, eta: Array) -> tuple[Array, Array, Array]:
        """Mean and its first and second derivative in eta."""
        d = np.exp(-0.5 * eta**2) / np.sqrt(2 * np.pi)
        return ndtr(eta), d, -eta * d


@dataclass(frozen=True)
class Cloglog:
    """mean = 1 - exp(-exp(eta))."""

    name = "cloglog"

    def forward(self, mean: Array) -> Array:
        """From mean to eta."""
        return np.log(-np.log1p(-mean))

    def inverse(self, eta: Array) -> tuple[Array, Array, Array]:
        """Mean and its first and second derivative in eta."""
        u = np.exp(np.minimum(eta, 700.0))
        d = u * np.exp(-u)
        return -np.expm1(-u), d, d * (1 - u)


Link = Identity | Log | Logit | Probit | Cloglog
