"""Likelihoods: the density of a block's rows given their linear predictor. Each is written once, here.

Every class gives, element by element in eta, the log density without the terms that do not depend on eta, its first
derivative and the negative second derivative, and a start for Newton's method.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, log_ndtr, xlogy

from enthesis.errors import ModelError, unknown_name
from enthesis.models.links import Cloglog, Identity, Link, Log, Logit, Probit

Array = NDArray[np.float64]
#: linear predictors of rates are cut here, far beyond any data, so that a wild Newton step does not overflow
_LARGEST = 600.0
#: with the log link, predictors above -_EDGE count as outside the support, and Newton's method resumes at -_RETURN
_EDGE, _RETURN = 1e-6, 0.1
Data = dict[str, Array]


@dataclass(frozen=True)
class Binomial:
    """Events out of n: r ~ Binomial(n, p), link(p) = eta (+ log E with a follow-up). Terms without eta: log C(n, r).

    With the complementary log-log link and follow-up E, exp(eta) is a constant hazard: p = 1 - exp(-E exp(eta)).

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
        eta = _with_follow_up(data, eta)
        if isinstance(self.link, Logit):
            return data["r"] * eta - data["n"] * _softplus(eta)
        if isinstance(self.link, Cloglog):
            cumulative = np.exp(np.minimum(eta, 700.0))
            with np.errstate(divide="ignore"):
                return _times(data["r"], np.log(-np.expm1(-cumulative))) - (data["n"] - data["r"]) * cumulative
        if isinstance(self.link, Probit):
            return _times(data["r"], log_ndtr(eta)) + _times(data["n"] - data["r"], log_ndtr(-eta))
        # log link: probabilities above 1 have no density
        with np.errstate(divide="ignore", invalid="ignore"):
            value = _times(data["r"], eta) + _times(data["n"] - data["r"], np.log(-np.expm1(np.minimum(eta, 0.0))))
        return np.where(eta < 0, value, np.where((eta == 0) & (data["r"] == data["n"]), 0.0, -np.inf))

    def derivatives(self, data: Data, eta: Array) -> tuple[Array, Array]:
        """First derivative and negative second derivative in eta."""
        eta = _with_follow_up(data, eta)
        if isinstance(self.link, Log) and np.any(eta > -_EDGE):
            # outside its support the log density continues as a parabola, so that Newton's method comes back
            inside = np.where(eta > -_EDGE, -_RETURN, eta)
            g, h = self._derivatives(data, inside)
            return g - h * (eta - inside), h
        return self._derivatives(data, eta)

    def _derivatives(self, data: Data, eta: Array) -> tuple[Array, Array]:
        p, d1, d2 = self.link.inverse(eta)
        if isinstance(self.link, Logit):
            return data["r"] - data["n"] * p, data["n"] * d1
        with np.errstate(divide="ignore", invalid="ignore"):
            p = np.clip(p, 1e-300, 1 - 1e-15)
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

    def fitted(self, data: Data, eta: Array) -> Array:
        """Probability of an event at eta."""
        return self.link.inverse(_with_follow_up(data, eta))[0]

    def deviance(self, data: Data, fitted: Array) -> Array:
        """Residual deviance of each row at its fitted value; 0 for a perfect fit."""
        r, n = data["r"], data["n"]
        return 2 * (xlogy(r, r / n) - xlogy(r, fitted) + xlogy(n - r, 1 - r / n) - xlogy(n - r, 1 - fitted))

    def replicate(self, data: Data, fitted: Array, rng: np.random.Generator) -> Array:
        """New events at the fitted values."""
        return rng.binomial(data["n"].astype(int), np.clip(fitted, 0.0, 1.0)).astype(float)

    def start(self, data: Data) -> Array:
        """A finite linear predictor near the row's own estimate."""
        start = self.link.forward((data["r"] + 0.5) / (data["n"] + 1))
        return start - np.log(data["E"]) if "E" in data else start


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
        return data["r"] * eta - data["E"] * np.exp(np.minimum(eta, _LARGEST))

    def derivatives(self, data: Data, eta: Array) -> tuple[Array, Array]:
        """First derivative and negative second derivative in eta."""
        rate = data["E"] * np.exp(np.minimum(eta, _LARGEST))
        return data["r"] - rate, rate

    def constant(self, data: Data) -> Array:
        """The terms that do not depend on eta."""
        return data["r"] * np.log(data["E"]) - gammaln(data["r"] + 1)

    def flat_side(self, data: Data) -> NDArray[np.int64]:
        """-1 where the likelihood of a row rises to a plateau as eta falls, 1 as it rises, 0 where it has a maximum."""
        return np.where(data["r"] == 0, -1, 0)

    def fitted(self, data: Data, eta: Array) -> Array:
        """Expected events at eta."""
        return data["E"] * np.exp(np.minimum(eta, _LARGEST))

    def deviance(self, data: Data, fitted: Array) -> Array:
        """Residual deviance of each row at its fitted value; 0 for a perfect fit."""
        r = data["r"]
        return 2 * (xlogy(r, r) - xlogy(r, fitted) - r + fitted)

    def replicate(self, data: Data, fitted: Array, rng: np.random.Generator) -> Array:
        """New events at the fitted values."""
        return rng.poisson(fitted).astype(float)

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


@dataclass(frozen=True)
class Ordered:
    """Nested responses: P(level c or better) = link^-1(eta - z[c]), z[0] = 0 and the other cutpoints parameters.

    Patients fall into the categories between the levels; levels that an arm does not report are merged. Terms without
    eta: the multinomial coefficient. A later cutpoint below an earlier one has no density.

    Examples
    --------
    >>> import numpy as np
    >>> arm = {"r": np.array([[6.0, 3.0]]), "n": np.array([10.0])}
    >>> round(float(Ordered().log_density(arm, np.zeros((1, 1)), np.array([[0.8]]))[0, 0]), 3)
    -11.161
    """

    link: Probit | Logit = field(default=Probit())
    kind: ClassVar[str] = "levels"

    def log_density(self, data: Data, eta: Array, cut: Array) -> Array:
        """Log density up to its constant; eta (points, arms, ...), cut (points, cutpoints)."""
        value = np.zeros_like(eta)
        for lower, upper, count, arms in self._steps(data):
            p = self._mass(eta[:, arms], cut, lower, upper)
            shape = (1, -1, *([1] * (eta.ndim - 2)))
            with np.errstate(divide="ignore", invalid="ignore"):
                value[:, arms] += np.where(p > 0, count.reshape(shape) * np.log(np.maximum(p, 1e-300)), -np.inf)
        return value

    def derivatives(self, data: Data, eta: Array, cut: Array) -> tuple[Array, ...]:
        """Gradient and negative Hessian: in eta (g, h), in the cutpoints (gz, E) and mixed (c).

        Shapes (points, arms), with one or two more axes for the cutpoints. Fisher's expectation is not used.
        """
        J, N = eta.shape
        C = cut.shape[1]
        g, h = np.zeros((J, N)), np.zeros((J, N))
        gz, c, E = np.zeros((J, N, C)), np.zeros((J, N, C)), np.zeros((J, N, C, C))
        for lower, upper, count, arms in self._steps(data):
            p, first, second = self._mass_derivatives(eta[:, arms], cut, lower, upper)
            p = np.maximum(p, 1e-300)
            gradient = first / p[..., None]
            curvature = gradient[..., :, None] * gradient[..., None, :] - second / p[..., None, None]
            g[:, arms] += count * gradient[..., 0]
            h[:, arms] += count * curvature[..., 0, 0]
            gz[:, arms] += count[:, None] * gradient[..., 1:]
            c[:, arms] += count[:, None] * curvature[..., 0, 1:]
            E[:, arms] += count[:, None, None] * curvature[..., 1:, 1:]
        return g, h, gz, c, E

    def constant(self, data: Data) -> Array:
        """The multinomial coefficient."""
        value = gammaln(data["n"] + 1)
        for _, _, count, arms in self._steps(data):
            value[arms] -= gammaln(count + 1)
        return value

    def flat_side(self, data: Data) -> NDArray[np.int64]:
        """-1 where no patient reached the easiest reported level, 1 where all reached the hardest, 0 otherwise."""
        r, n = data["r"], data["n"]
        return np.where(np.nanmax(r, axis=1) == 0, -1, np.where(np.nanmin(r, axis=1) == n, 1, 0))

    def fitted(self, data: Data, eta: Array, cut: Array) -> Array:
        """Probability of reaching each level, shape (points, arms, levels)."""
        z = np.concatenate([np.zeros((len(cut), 1)), cut], axis=1)
        return self.link.inverse(eta[:, :, None] - z[:, None, :])[0]

    def deviance(self, data: Data, fitted: Array) -> Array:
        """Residual deviance of each arm at its fitted probabilities, over the levels it reports."""
        value = np.zeros(fitted.shape[:-1])
        for lower, upper, count, arms in self._steps(data):
            above = 1.0 if lower is None else fitted[..., arms, lower]
            p = above - (0.0 if upper is None else fitted[..., arms, upper])
            value[..., arms] += 2 * (xlogy(count, count / data["n"][arms]) - xlogy(count, np.maximum(p, 1e-300)))
        return value

    def start(self, data: Data) -> Array:
        """From the easiest reported level of each arm."""
        first = np.argmax(np.isfinite(data["r"]), axis=1)
        r = data["r"][np.arange(len(first)), first]
        return self.link.forward((r + 0.5) / (data["n"] + 1)) + np.r_[0.0, self.start_cutpoints(data)][first]

    def start_cutpoints(self, data: Data) -> Array:
        """Cutpoints from the pooled proportions of each level, increasing."""
        z = []
        for column in data["r"].T:
            known = np.isfinite(column)
            z.append(self.link.forward((column[known].sum() + 0.5) / (data["n"][known].sum() + 1)))
        steps = np.maximum(np.diff(-np.array(z)), 0.05)
        return np.cumsum(steps)

    def _steps(self, data: Data):
        """Categories: (level that bounds it from below, next reported level above, counts, arms); None: no bound."""
        r, n = data["r"], data["n"]
        known = np.isfinite(r)
        for pattern in np.unique(known, axis=0):
            arms = np.flatnonzero((known == pattern).all(axis=1))
            at = [None, *np.flatnonzero(pattern).tolist(), None]
            reached = [n[arms], *(r[arms, x] for x in at[1:-1]), np.zeros(len(arms))]
            for i in range(len(at) - 1):
                yield at[i], at[i + 1], reached[i] - reached[i + 1], arms

    def _mass(self, eta: Array, cut: Array, lower: int | None, upper: int | None) -> Array:
        """P(reached `lower` but not `upper`)."""
        z = np.concatenate([np.zeros((len(cut), 1)), cut], axis=1)
        extra = (slice(None), *([None] * (eta.ndim - 1)))
        above = 1.0 if lower is None else self.link.inverse(eta - z[:, lower][extra])[0]
        return above - (0.0 if upper is None else self.link.inverse(eta - z[:, upper][extra])[0])

    def _mass_derivatives(self, eta: Array, cut: Array, lower: int | None, upper: int | None):
        """The mass with gradient (..., 1 + cutpoints) and Hessian in (eta, cutpoints)."""
        z = np.concatenate([np.zeros((len(cut), 1)), cut], axis=1)
        size = z.shape[1]
        p = np.full(eta.shape, 1.0 if lower is None else 0.0)
        first, second = np.zeros((*eta.shape, size)), np.zeros((*eta.shape, size, size))
        for level, sign in ((lower, 1.0), (upper, -1.0)):
            if level is None:
                continue
            value, d1, d2 = self.link.inverse(eta - z[:, level][:, None])
            direction = np.zeros(size)
            direction[0] = 1.0
            if level > 0:
                direction[level] = -1.0
            p = p + sign * value
            first += sign * d1[..., None] * direction
            second += sign * d2[..., None, None] * np.outer(direction, direction)
        return p, first, second


Likelihood = Binomial | Poisson | Gaussian | Ordered

#: the exact likelihood of a block's kind on a measure's scale; other pairs are modelled through their contrasts
EXACT: dict[tuple[str, str], Likelihood] = {
    ("counts", "OR"): Binomial(Logit()),
    ("counts", "PROBIT"): Binomial(Probit()),
    ("followup", "HR"): Binomial(Cloglog()),
    ("levels", "OR"): Ordered(Logit()),
    ("levels", "PROBIT"): Ordered(Probit()),
    ("means", "MD"): Gaussian(),
    ("rates", "IRR"): Poisson(),
}

#: exact likelihoods that are used when the model asks for them
ON_REQUEST: dict[tuple[str, str], Likelihood] = {("counts", "RR"): Binomial(Log())}
LikelihoodChoice = Literal["usual", "exact", "contrasts"]


def chosen_likelihood(choice: LikelihoodChoice, kind: str, measure: str) -> Likelihood | None:
    """The likelihood of a block under a model's choice; None for a normal likelihood of contrasts.

    Parameters
    ----------
    choice : {"usual", "exact", "contrasts"}
        `usual`: exact where a link makes the measure additive without bounds (see `EXACT`), else contrasts; `exact`:
        also the binomial with log link for risk ratios, and an error for measures that have none; `contrasts`: normal
        contrasts for all.
    kind, measure : str
        Of the block and of the network.

    Raises
    ------
    UsageError, ModelError

    Examples
    --------
    >>> chosen_likelihood("usual", "counts", "RR") is None, chosen_likelihood("exact", "counts", "RR").link.name
    (True, 'log')
    """
    if choice not in get_args(LikelihoodChoice):
        raise unknown_name("choice of likelihood", choice, get_args(LikelihoodChoice))
    if kind == "contrasts" or choice == "contrasts":
        return None
    found = EXACT.get((kind, measure))
    if found is None and choice == "exact":
        found = ON_REQUEST.get((kind, measure))
        if found is None:
            raise ModelError(
                f"there is no exact likelihood of {kind} for {measure}. With likelihood='usual' contrasts are used."
            )
    return found


def _softplus(eta: Array) -> Array:
    """log(1 + exp(eta)), to 2e-16 absolutely; log(1 + x) costs half of log1p(x), which matters here."""
    x = np.abs(eta)
    np.negative(x, out=x)
    np.exp(x, out=x)
    x += 1.0
    np.log(x, out=x)
    x += np.maximum(eta, 0.0)
    return x


def _times(x: Array, log_p: Array) -> Array:
    """x log p, 0 where x is 0."""
    with np.errstate(invalid="ignore"):
        return np.where(x == 0, 0.0, x * log_p)


def _with_follow_up(data: Data, eta: Array) -> Array:
    return eta + np.log(data["E"]) if "E" in data else eta
