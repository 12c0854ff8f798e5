"""Likelihoods: the density of a block's rows given their linear predictor. Each is written once, here.

Every class gives, element by element in eta, the log density without the terms that do not depend on eta, its first
derivative and the negative second derivative, and a start for Newton's method.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from enthesis.models.links import Cloglog, Identity, Link, Log, Logit

Array = NDArray[np.float64]
Data = dict[str, Array]


@dataclass(frozen=True)
class Binomial:
    """Events out of n: r ~ Binomial(n, p), link(p) = eta. Terms without eta: log C(n, r).

    Examples
    --------
    >>> import numpy as np
    >>> one = {"r": np.array([1.0]), "n": np.array([2.0])}
    >>> float(Binomial().log_density(one, np.zeros(1)).round(4)[0])
    -1.3863
    """

    link: Link = field(default=Logit())
    kind: ClassVar[str] = "counts"

    def log_density(self, data: Data, eta: Array) -> Array:
        """Log density up to its constant."""
        if isinstance(self.link, Logit):
            return data["r"] * eta - data["n"] * (np.maximum(eta, 0.0) + np.log1p(np.exp(-np.abs(eta))))
        p = self.link.inverse(eta)[0]
        return _xlogy(data["r"], p) + _xlogy(data["n"] - data["r"], 1 - p)

    def derivatives(self, data: Data, eta: Array) -> tuple[Array, Array]:
        """First derivative and negative second derivative in eta."""
        p, d1, d2 = self.link.inverse(eta)
        if isinstance(self.link, Logit):
            return data["r"] - data["n"] * p, data["n"] * d1
        with np.errstate(divide="ignore", invalid="ignore"):
            a = np.where(data["r"] > 0, data["r"] / p, 0.0)
            b = np.where(data["n"] > data["r"], (data["n"] - data["r"]) / (1 - p), 0.0)
            aa = np.where(data["r"] > 0, a / p, 0.0)
            bb = np.where(data["n"] > data["r"], b / (1 - p), 0.0)
        return (a - b) * d1, (aa + bb) * d1**2 - (a - b) * d2

    def constant(self, data: Data) -> Array:
        """The terms that do not depend on eta."""
        r, n = data["r"], data["n"]
        return gammaln(n + 1) - gammaln(r + 1) - gammaln(n - r + 1)

    def flat_side(self, data: Data) -> NDArray[np.int64]:
        """-1 where the likelihood of a row rises to a plateau as eta falls, 1 as it rises, 0 where it has a maximum."""
        return np.where(data["r"] == 0, -1, np.where(data["r"] == data["n"], 1, 0))

    def start(self, data: Data) -> Array:
        """A finite linear predictor near the row's own estimate."""
        return self.link.forward((data["r"] + 0.5) / (data["n"] + 1))


@dataclass(frozen=True)
class Poisson:
    """Events over a time at risk: r ~ Poisson(E exp(eta)). Terms without eta: r log E - log r!.

    Examples
    --------
    >>> import numpy as np
    >>> one = {"r": np.array([3.0]), "E": np.array([2.0])}
    >>> float(Poisson().derivatives(one, np.zeros(1))[0][0])
    1.0
    """

    link: Log = field(default=Log())
    kind: ClassVar[str] = "rates"

    def log_density(self, data: Data, eta: Array) -> Array:
        """Log density up to its constant."""
        return data["r"] * eta - data["E"] * np.exp(eta)

    def derivatives(self, data: Data, eta: Array) -> tuple[Array, Array]:
        """First derivative and negative second derivative in eta."""
        rate = data["E"] * np.exp(eta)
        return data["r"] - rate, rate

    def constant(self, data: Data) -> Array:
        """The terms that do not depend on eta."""
        return data["r"] * np.log(data["E"]) - gammaln(data["r"] + 1)

    def flat_side(self, data: Data) -> NDArray[np.int64]:
        """-1 where the likelihood of a row rises to a plateau as eta falls, 1 as it rises, 0 where it has a maximum."""
        return np.where(data["r"] == 0, -1, 0)

    def start(self, data: Data) -> Array:
        """A finite linear predictor near the row's own estimate."""
        return np.log((data["r"] + 0.5) / data["E"])


@dataclass(frozen=True)
class Gaussian:
    """A mean with a known standard error: y ~ Normal(eta, se²).

    Examples
    --------
    >>> import numpy as np
    >>> float(Gaussian().log_density({"y": np.ones(1), "se": np.ones(1)}, np.zeros(1))[0])
    -0.5
    """

    link: Identity = field(default=Identity())
    kind: ClassVar[str] = "means"

    def log_density(self, data: Data, eta: Array) -> Array:
        """Log density up to its constant."""
        return -0.5 * ((data["y"] - eta) / data["se"]) ** 2

    def derivatives(self, data: Data, eta: Array) -> tuple[Array, Array]:
        """First derivative and negative second derivative in eta."""
        precision = data["se"] ** -2 + 0.0 * eta
        return (data["y"] - eta) * precision, precision

    def constant(self, data: Data) -> Array:
        """The terms that do not depend on eta."""
        return -np.log(data["se"]) - 0.5 * np.log(2 * np.pi)

    def flat_side(self, data: Data) -> NDArray[np.int64]:
        """Always 0: a normal likelihood has its maximum at y."""
        return np.zeros(len(data["y"]), dtype=int)

    def start(self, data: Data) -> Array:
        """The row's own estimate."""
        return data["y"].copy()


Likelihood = Binomial | Poisson | Gaussian

#: the exact likelihood of a block's kind on a measure's scale; other pairs are modelled through their contrasts
EXACT: dict[tuple[str, str], Likelihood] = {
    ("counts", "OR"): Binomial(Logit()),
    ("counts", "HR"): Binomial(Cloglog()),
    ("means", "MD"): Gaussian(),
    ("rates", "IRR"): Poisson(),
}


def _xlogy(x: Array, y: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(x == 0, 0.0, x * np.log(y))
