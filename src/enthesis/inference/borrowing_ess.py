"""How many observations a prior is worth.

- ELIR, the expected local information ratio: E[-(log p(theta))'' / i(theta)], the expectation over the prior and i the
  Fisher information of one observation. The one that is predictively consistent: the expected size after n observations
  is n larger (Neuenschwander B, Weber S, Schmidli H, O'Hagan A, Biometrics 2020;76:578).
- moment: the size of the one conjugate distribution with the same mean and standard deviation.
- Morita: the curvature at the mode less that of the same prior made vague, over the expected observed information of
  one observation at the mode (Morita S, Thall PF, Müller P, Biometrics 2008;64:595; at the mode instead of the mean,
  as in Neuenschwander et al. 2020).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special
from scipy.optimize import minimize_scalar

from enthesis.errors import UsageError, unknown_name
from enthesis.models.mixtures import BetaMixture, GammaMixture, Mixture, NormalMixture

Array = NDArray[np.float64]
Method = Literal["elir", "moment", "morita"]
#: the vague prior of the Morita method is worth this part of an observation
_VAGUE = 0.01


def effective_size(mixture: Mixture, method: Method = "elir", *, data: str | None = None) -> float:
    """Number of observations that a prior is worth.

    Parameters
    ----------
    mixture : Mixture
    method : {"elir", "moment", "morita"}
    data : str, optional
        What one observation is. Beta: `binomial`. Gamma: `poisson` (default) or `exponential`. Normal: `normal` with
        the mixture's `unit_sd` (default), or `binomial` or `poisson` when the mixture is of a logit or of a log rate.

    Returns
    -------
    float

    Examples
    --------
    >>> effective_size(BetaMixture(weights=(1,), a=(5,), b=(15,)))
    20.0
    >>> mixture = BetaMixture(weights=(0.2, 0.8), a=(1, 10), b=(1, 2))
    >>> round(effective_size(mixture, "elir"), 4), round(effective_size(mixture, "moment"), 4)
    (7.6515, 3.161)
    """
    if method not in ("elir", "moment", "morita"):
        raise unknown_name("method of effective sample size", method, ["elir", "moment", "morita"])
    data = data or {BetaMixture: "binomial", GammaMixture: "poisson", NormalMixture: "normal"}[type(mixture)]
    allowed = {
        BetaMixture: ("binomial",), GammaMixture: ("poisson", "exponential"),
        NormalMixture: ("normal", "binomial", "poisson"),
    }[type(mixture)]  # fmt: skip
    if data not in allowed:
        raise unknown_name(f"data for a {type(mixture).__name__}", data, allowed)
    if method == "moment":
        return _moment(mixture, data)
    if method == "elir":
        return _elir(mixture, data)
    return _morita(mixture, data)


def _moment(mixture: Mixture, data: str) -> float:
    mean, variance = mixture.mean, mixture.sd**2
    if isinstance(mixture, BetaMixture):
        return mean * (1 - mean) / variance - 1
    if isinstance(mixture, GammaMixture):
        return mean / variance if data == "poisson" else mean**2 / variance
    if data == "normal":
        return mixture.unit_sd**2 / variance
    raise UsageError("the moment method needs a mixture on the natural scale: a beta or a gamma mixture.")


def _information(theta: Array, data: str, mixture: Mixture) -> Array:
    """Fisher information of one observation at theta."""
    if isinstance(mixture, BetaMixture):
        return 1 / (theta * (1 - theta))
    if isinstance(mixture, GammaMixture):
        return 1 / theta if data == "poisson" else 1 / theta**2
    if data == "normal":
        return np.full_like(theta, mixture.unit_sd**-2)
    if data == "poisson":
        return np.exp(theta)
    return 1 / (2 + np.exp(theta) + np.exp(-theta))


def _elir(mixture: Mixture, data: str) -> float:
    if mixture.size == 1 and isinstance(mixture, BetaMixture):
        return mixture.a[0] + mixture.b[0]
    if mixture.size == 1 and isinstance(mixture, GammaMixture) and data == "poisson":
        return mixture.rate[0]
    total = 0.0
    for w, (x, mass) in zip(mixture.weights, component_nodes(mixture), strict=True):
        if w > 0:
            total += w * float(mass @ (mixture.log_density_derivatives(x)[1] / _information(x, data, mixture)))
    return total


_MARKS = np.r_[1e-14, 1e-10, 1e-7, 1e-5, 1e-3, 0.01, 0.05, 0.15, 0.3]
_MARKS = np.r_[_MARKS, 0.5, 1 - _MARKS[::-1]]
_FEWER = np.r_[0.001, 0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98, 0.999]


def component_nodes(mixture: Mixture, order: int = 12) -> list[tuple[Array, Array]]:
    """Nodes and probabilities of every component: Gauss-Legendre between its quantiles and those of the others."""
    z, w = np.polynomial.legendre.leggauss(order)
    low, high = mixture.support
    own, others = _quantiles(mixture, _MARKS), _quantiles(mixture, _FEWER)
    found = []
    for j in range(mixture.size):
        edges = np.unique(np.r_[own[j], others.ravel(), *(e for e in (low, high) if np.isfinite(e))])
        edges = edges[np.r_[True, np.diff(edges) > 1e-13 * max(1.0, float(np.abs(own[j]).max()))]]
        half = 0.5 * np.diff(edges)
        x = (edges[:-1, None] + half[:, None] * (z + 1)).ravel()
        found.append((x, (half[:, None] * w).ravel() * np.exp(mixture._component_log_density(x)[j])))
    return found


def _quantiles(mixture: Mixture, p: Array) -> Array:
    """Quantiles of every component, shape (components, len(p))."""
    first, second = (np.array(v)[:, None] for v in mixture._arrays())
    if isinstance(mixture, BetaMixture):
        return special.betaincinv(first, second, p)
    if isinstance(mixture, GammaMixture):
        return special.gammaincinv(first, p) / second
    return first + second * special.ndtri(p)


def mode(mixture: Mixture) -> float:
    """Where the density of a mixture is highest, inside its range."""
    candidates = np.unique(_quantiles(mixture, np.linspace(0.005, 0.995, 199)))
    best = int(np.argmax(mixture.log_density(candidates)))
    low, high = candidates[max(best - 1, 0)], candidates[min(best + 1, len(candidates) - 1)]
    found = minimize_scalar(lambda x: -float(mixture.log_density(np.array(x))), bounds=(low, high), method="bounded",
                            options={"xatol": 1e-12 * max(1.0, abs(high))})  # fmt: skip
    return float(found.x)


def _morita(mixture: Mixture, data: str) -> float:
    """(curvature of the prior - that of a vague prior) / expected observed information of one observation, at the mode.

    The vague prior is the conjugate one that is worth 1 / 100 of an observation and has its mean at the mode.
    """
    place = mode(mixture)
    at = np.array(place)
    peak = float(mixture.log_density_derivatives(at)[1])
    vague: Mixture
    if isinstance(mixture, BetaMixture):
        vague = BetaMixture(weights=(1.0,), a=(place * _VAGUE,), b=((1 - place) * _VAGUE,))
        one = mixture.mean / place**2 + (1 - mixture.mean) / (1 - place) ** 2
    elif isinstance(mixture, GammaMixture):
        vague = GammaMixture(weights=(1.0,), shape=(place * _VAGUE,), rate=(_VAGUE,))
        one = mixture.mean / place**2 if data == "poisson" else 1 / place**2
    elif data == "normal":
        vague = NormalMixture(weights=(1.0,), location=(place,), scale=(mixture.unit_sd / np.sqrt(_VAGUE),))
        one = mixture.unit_sd**-2
    else:
        raise UsageError("the Morita method needs a mixture on the natural scale: a beta or a gamma mixture.")
    return float((peak - float(vague.log_density_derivatives(at)[1])) / one)
