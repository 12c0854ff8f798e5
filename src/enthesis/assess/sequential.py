"""Looking again after every study: boundaries that keep the error of repeated looks, and a sceptic's posterior.

A review that is updated until it is significant errs more often than it says. Trial sequential analysis sets the
evidence so far in relation to the information that one sufficiently large trial would need, and lets each look spend
only a part of the error.

Sources. Spending function of O'Brien-Fleming type: Lan KKG, DeMets DL, Biometrika 1983;70:659; per side
a(t) = 2 - 2 Phi(z_{1-alpha/4} / sqrt(t)) for a two-sided alpha; of Pocock type: (alpha/2) log(1 + (e - 1) t).
Boundaries by numerical integration of the density of the score that has not crossed: Armitage P, McPherson CK, Rowe BC,
J R Stat Soc A 1969;132:235. Required information (z_{1-alpha/2} + z_{1-beta})^2 / theta^2, divided by 1 - D^2 with
the diversity D^2 = (v_R - v_F) / v_R: Wetterslev J, Thorlund K, Brok J, Gluud C, BMC Med Res Methodol 2009;9:86.
Sceptical prior: Spiegelhalter DJ, Freedman LS, Parmar MKB, J R Stat Soc A 1994;157:357.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import log_ndtr, logit, ndtr, ndtri

from enthesis.assess.pair import PairEffects, pair_effects, regression
from enthesis.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

    from enthesis.network.network import Network

Array = NDArray[np.float64]
Spending = Literal["obrien-fleming", "pocock"]

#: a boundary beyond this is never reached
HIGHEST = 8.0
#: two looks closer than this, as a share of the required information, are one
_CLOSEST = 1e-4
#: nodes of a panel, and its width in standard deviations of the narrowest step
_PANEL, _PANEL_WIDTH = np.polynomial.legendre.leggauss(10), 2.0


def spent(t: Array | float, alpha: float = 0.05, spending: Spending = "obrien-fleming") -> Array:
    """Error spent on one side up to an information fraction; half of alpha from fraction 1 on.

    Parameters
    ----------
    t : float or array
        Information fractions, 0 or above.
    alpha : float
        Two-sided.
    spending : {"obrien-fleming", "pocock"}

    Returns
    -------
    float array

    Examples
    --------
    >>> spent(np.array([0.2, 1.0])).round(8).tolist()
    [5.4e-07, 0.025]
    """
    t = np.clip(np.asarray(t, dtype=float), 0.0, 1.0)
    if spending == "pocock":
        return alpha / 2 * np.log1p((np.e - 1) * t)
    if spending != "obrien-fleming":
        raise UsageError(f"a spending function is obrien-fleming or pocock, not {spending!r}.")
    with np.errstate(divide="ignore"):
        return 2 * ndtr(-ndtri(1 - alpha / 4) / np.sqrt(t))


def boundaries(t: Array, alpha: float = 0.05, spending: Spending = "obrien-fleming") -> Array:
    """Values of |Z| that a look must reach, by information fraction.

    Parameters
    ----------
    t : float array, shape (looks,)
        Information fractions, increasing. The first look at or beyond 1 spends all that is left; later ones have its
        boundary.
    alpha : float
        Two-sided.
    spending : {"obrien-fleming", "pocock"}

    Returns
    -------
    float array, shape (looks,)
        inf where the look has no error to spend.

    Raises
    ------
    UsageError
        When fractions do not increase or alpha is not between 0 and 1.

    Examples
    --------
    >>> boundaries(np.array([0.2, 0.4, 0.6, 0.8, 1.0])).round(3).tolist()
    [4.877, 3.357, 2.68, 2.29, 2.031]
    """
    t = np.asarray(t, dtype=float)
    if not 0 < alpha < 1:
        raise UsageError(f"alpha must be between 0 and 1, not {alpha!r}.")
    if len(t) and (not np.isfinite(t).all() or t[0] <= 0 or (np.diff(t) <= 0).any()):
        raise UsageError("information fractions must be above 0 and increase from look to look.")
    last = int(np.argmax(t >= 1)) if (t >= 1).any() else len(t) - 1
    looks = np.minimum(t[: last + 1], 1.0)
    errors = np.diff(spent(looks, alpha, spending), prepend=0.0)
    found: list[float] = []
    walk = _Walk(looks)
    for fraction, error in zip(looks, errors, strict=True):
        if error <= ndtr(-HIGHEST):
            limit = np.inf
        else:
            walk_to = walk.crossing(fraction)
            limit = _solved(walk_to, float(error))
        found.append(limit)
        walk.stop(fraction, limit)
    return np.array([*found, *([found[-1]] * (len(t) - len(found)))]) if len(t) else np.empty(0)


def crossing_probability(t: Array, limits: Array, drift: float = 0.0) -> float:
    """Probability that |Z| reaches its limit at one look or another.

    Parameters
    ----------
    t : float array, shape (looks,)
        Information fractions, increasing.
    limits : float array, shape (looks,)
        Of |Z|; inf for none.
    drift : float
        Expected Z at fraction 1; 0 under no difference.

    Returns
    -------
    float
        Under no difference the type I error of the looks.

    Examples
    --------
    >>> round(crossing_probability(np.arange(1, 6) / 5, np.full(5, 1.96)), 3)  # Armitage 1969: 0.142
    0.142
    """
    walk, total = _Walk(np.asarray(t, float), drift), 0.0
    for fraction, limit in zip(np.asarray(t, float), np.asarray(limits, float), strict=True):
        above, below = walk.crossing(float(fraction))(float(limit))
        total += above + below
        walk.stop(float(fraction), float(limit))
    return float(total)


class _Walk:
    """The density of a Brownian motion B(t) = Z sqrt(t) that has not crossed so far, on Gauss-Legendre panels."""

    def __init__(self, times: Array, drift: float = 0.0) -> None:
        self.drift, self.t = drift, 0.0
        self.narrowest = float(np.sqrt(np.min(np.diff(times, prepend=0.0)))) if len(times) else 1.0
        self.nodes, self.mass = np.zeros(1), np.ones(1)  # weight times density; at t = 0 all of it is at 0

    def crossing(self, t: float):
        """limit of |Z| → (probability to be above, and below, at time t, without an earlier crossing)."""
        sd = np.sqrt(t - self.t)
        centre = self.nodes + self.drift * (t - self.t)

        def probability(limit: float) -> tuple[float, float]:
            end = limit * np.sqrt(t)
            return float(self.mass @ ndtr((centre - end) / sd)), float(self.mass @ ndtr((-end - centre) / sd))

        return probability

    def stop(self, t: float, limit: float) -> None:
        """Go on to time t, without what crossed the limit there."""
        gap = t - self.t
        sd = np.sqrt(gap)
        far = HIGHEST + abs(self.drift) * np.sqrt(t)
        end = min(limit, far) * np.sqrt(t)
        panels = int(np.ceil(2 * end / (_PANEL_WIDTH * self.narrowest)))
        edges = np.linspace(-end, end, max(panels, 8) + 1)
        half = 0.5 * np.diff(edges)[:, None]
        nodes = (0.5 * (edges[1:] + edges[:-1])[:, None] + half * _PANEL[0]).ravel()
        weights = (half * _PANEL[1]).ravel()
        z = (nodes[:, None] - self.nodes[None, :] - self.drift * gap) / sd
        density = np.exp(-0.5 * z**2) @ self.mass / (sd * np.sqrt(2 * np.pi))
        self.nodes, self.mass, self.t = nodes, weights * density, t


def _solved(probability, error: float) -> float:
    def excess(limit: float) -> float:
        return probability(limit)[0] - error

    if excess(HIGHEST) > 0:
        return np.inf
    return float(brentq(excess, 0.0, HIGHEST, xtol=1e-8)) if excess(0.0) > 0 else 0.0


@dataclass(frozen=True, kw_only=True)
class Monitoring:
    """A comparison monitored study by study.

    Parameters
    ----------
    pair : PairEffects
        The studies, in the order in which they came.
    anticipated : float
        The effect that the required information is for, on the model's scale.
    alpha, power : float
    diversity : float
        D², of all studies.
    required : float
        Information (one over a variance) needed, adjusted for diversity.
    required_patients : float or None
        The same in patients, in proportion to those of the studies so far.
    estimate, se, tau : float arrays, shape (looks,)
        Cumulative random-effects estimates.
    information, fraction : float arrays, shape (looks,)
    z, limit : float arrays, shape (looks,)
        Statistic, and what it must reach.
    sceptical, flat, enthusiastic : float arrays, shape (looks,)
        Posterior probability of an effect in the direction anticipated, by prior.
    prior_sd : float
        Of the sceptical prior (centred at no effect) and the enthusiastic one (at the effect anticipated).
    naive_error : float
        Type I error when each look is tested at alpha.
    year : tuple of str
    """

    pair: PairEffects
    anticipated: float
    alpha: float
    power: float
    diversity: float
    required: float
    required_patients: float | None
    estimate: Array
    se: Array
    tau: Array
    information: Array
    fraction: Array
    z: Array
    limit: Array
    sceptical: Array
    flat: Array
    enthusiastic: Array
    prior_sd: float
    naive_error: float
    year: tuple[str, ...] = ()

    @property
    def crossed(self) -> int | None:
        """The first look whose statistic reached its boundary."""
        over = np.flatnonzero(np.abs(self.z) >= self.limit)
        return int(over[0]) if len(over) else None

    @property
    def usual_limit(self) -> float:
        """What a single test at alpha would have to reach."""
        return float(ndtri(1 - self.alpha / 2))

    def curve(self, spending: Spending = "obrien-fleming") -> pd.DataFrame:
        """The boundary over the share of the required information, with its end when that is not reached.

        Returns
        -------
        pandas.DataFrame
            fraction, limit.
        """
        import pandas as pd

        known = np.isfinite(self.limit)
        at = pd.DataFrame({"fraction": self.fraction[known], "limit": self.limit[known]})
        if self.fraction[-1] >= 1:
            return at
        seen = self.fraction[np.diff(self.fraction, prepend=0.0) > 1e-4]
        end = boundaries(np.append(seen, 1.0), self.alpha, spending)[-1]
        return pd.concat([at, pd.DataFrame({"fraction": [1.0], "limit": [end]})], ignore_index=True)

    @property
    def message(self) -> str:
        """The result in sentences."""
        p, k = self.pair, len(self.pair)
        name = f"{p.treatment} against {p.comparator}"
        have = f"{100 * self.fraction[-1]:.0f} % of the information needed"
        at = self.crossed
        if at is not None:
            told = (
                f"{name}: the boundary was crossed with study {at + 1} of {k} ({p.study[at]}), at "
                f"{100 * self.fraction[at]:.0f} % of the information needed; now {have}. More looks cannot explain it."
            )
        elif self.fraction[-1] >= 1:
            told = f"{name}: {have} is there, and no look reached its boundary: an effect of this size is unlikely."
        else:
            naive = abs(self.z[-1]) >= ndtri(1 - self.alpha / 2)
            told = f"{name}: no boundary is crossed with {have}" + (
                "; the usual test would call it significant, and could be wrong by repeated looking." if naive else "."
            )
        return f"{told} A sceptic's probability of an effect is {self.sceptical[-1]:.3f}."

    def to_frame(self) -> pd.DataFrame:
        """One row per look.

        Returns
        -------
        pandas.DataFrame
            look, study, year, patients (so far), estimate, se, lower, upper (model's scale, without adjustment), tau,
            information, fraction, z, limit, crossed, sceptical, flat, enthusiastic.
        """
        import pandas as pd

        width = ndtri(1 - self.alpha / 2) * self.se
        return pd.DataFrame(
            {
                "look": np.arange(1, len(self.pair) + 1), "study": self.pair.study,
                "year": self.year or [""] * len(self.pair), "patients": np.cumsum(self.pair.n),
                "estimate": self.estimate, "se": self.se, "lower": self.estimate - width,
                "upper": self.estimate + width, "tau": self.tau, "information": self.information,
                "fraction": self.fraction, "z": self.z, "limit": self.limit,
                "crossed": np.abs(self.z) >= self.limit, "sceptical": self.sceptical, "flat": self.flat,
                "enthusiastic": self.enthusiastic,
            }
        )  # fmt: skip


def monitor(
    network: Network,
    treatment: str | None = None,
    comparator: str | None = None,
    *,
    effect: float | None = None,
    gain: float | None = None,
    alpha: float = 0.05,
    power: float = 0.9,
    spending: Spending = "obrien-fleming",
    tau: str = "REML",
    order: tuple[str, ...] = (),
) -> Monitoring:
    """Monitor a comparison after each of its studies.

    Parameters
    ----------
    network : Network
    treatment, comparator : str, optional
        Needed when the network has more than two treatments; the comparator is the reference by default.
    effect : float, optional
        The effect anticipated, on the scale people read (an odds ratio of 1.5).
    gain : float, optional
        Instead, for counts: a difference of risks, at the pooled risk of the comparator. Without either the smallest
        difference that matters for the outcome.
    alpha, power : float
        Of the required information.
    spending : {"obrien-fleming", "pocock"}
    tau : str
        Estimator of tau, or "common".
    order : tuple of str
        Names of studies, oldest first; by default by the covariate `year`, then as in the network.

    Returns
    -------
    Monitoring

    Raises
    ------
    UsageError
        When there is no effect to anticipate, or the comparison has no study.

    Examples
    --------
    >>> import enthesis as en
    >>> rows = [dict(study=s, treatment=t, events=r, n=80) for s, b in (("1", 22), ("2", 30), ("3", 33))
    ...         for t, r in (("A", 15), ("B", b))]
    >>> found = monitor(en.from_table(rows, reference="A"), effect=2.0)
    >>> found.to_frame()[["study", "crossed"]].to_dict("list")
    {'study': ['1', '2', '3'], 'crossed': [False, True, True]}
    """
    if not 0 < power < 1:
        raise UsageError(f"power must be between 0 and 1, not {power!r}.")
    pair, years = _ordered(network, pair_effects(network, treatment, comparator), order)
    theta = _anticipated(network, pair, effect, gain)
    looks = [regression(pair.y[:k], pair.v[:k], tau=tau) for k in range(1, len(pair) + 1)]
    estimate = np.array([float(x.beta[0]) for x in looks])
    se = np.array([float(np.sqrt(x.cov[0, 0])) for x in looks])
    common = 1 / np.sum(1 / pair.v)
    diversity = max(0.0, 1 - common / se[-1] ** 2)
    needed = float((ndtri(1 - alpha / 2) + ndtri(power)) ** 2 / theta**2 / (1 - diversity))
    information = np.cumsum(1 / pair.v)
    fraction = information / needed
    kept = np.diff(fraction, prepend=0.0) > _CLOSEST
    limit = np.full(len(pair), np.inf)
    limit[kept] = boundaries(fraction[kept], alpha, spending)
    z = estimate / se
    sd = abs(theta) / ndtri(0.95)
    patients = float(pair.n.sum())
    # all looks err, those beyond the required information too; only the proportions of their information matter
    share = information / information[-1]
    seen = share[np.diff(share, prepend=0.0) > _CLOSEST]
    return Monitoring(
        pair=pair, anticipated=theta, alpha=alpha, power=power, diversity=diversity, required=needed,
        required_patients=patients * needed / information[-1] if np.isfinite(patients) else None,
        estimate=estimate, se=se, tau=np.array([float(np.sqrt(x.tau2)) for x in looks]), information=information,
        fraction=fraction, z=z, limit=limit, sceptical=_posterior(estimate, se, 0.0, sd, theta),
        flat=ndtr(np.sign(theta) * z), enthusiastic=_posterior(estimate, se, theta, sd, theta), prior_sd=float(sd),
        naive_error=crossing_probability(seen, np.full(len(seen), ndtri(1 - alpha / 2))), year=years,
    )  # fmt: skip


def _posterior(estimate: Array, se: Array, centre: float, sd: float, theta: float) -> Array:
    """P(effect in the direction of theta) for normal data and a normal prior."""
    precision = 1 / se**2 + 1 / sd**2
    mean = (estimate / se**2 + centre / sd**2) / precision
    return np.exp(log_ndtr(np.sign(theta) * mean * np.sqrt(precision)))


def _ordered(network: Network, pair: PairEffects, order: tuple[str, ...]) -> tuple[PairEffects, tuple[str, ...]]:
    """The studies in the order of their coming, with their years."""
    from dataclasses import replace

    year = dict(zip(network.studies, network.covariates.get("year", np.full(network.n_studies, np.nan)), strict=True))
    if order:
        missing = [s for s in pair.study if s not in order]
        if missing:
            raise UsageError(f"the order leaves out {', '.join(missing[:5])}: name every study of the comparison.")
        place = sorted(range(len(pair)), key=lambda i: order.index(pair.study[i]))
    else:
        place = sorted(range(len(pair)), key=lambda i: (year[pair.study[i]] if year[pair.study[i]] > 0 else np.inf, i))
    at = np.array(place)
    study = tuple(pair.study[i] for i in place)
    told = tuple(f"{year[s]:.0f}" if year[s] > 0 else "" for s in study)
    return replace(
        pair, study=study, y=pair.y[at], v=pair.v[at], n=pair.n[at],
        events=None if pair.events is None else pair.events[at],
        patients=None if pair.patients is None else pair.patients[at],
    ), told  # fmt: skip


def _anticipated(network: Network, pair: PairEffects, effect: float | None, gain: float | None) -> float:
    if effect is not None and gain is not None:
        raise UsageError("anticipate an effect or a gain, not both.")
    measure = pair.measure
    if effect is None and gain is None:
        from enthesis.network.outcomes import outcome, outcomes

        limits = dict(outcome(network.outcome).mid) if network.outcome in outcomes() else {}
        effect = network.mid if network.mid is not None else limits.get(measure.name)
        gain = limits.get("RD") if effect is None else None
    if gain is not None:
        if pair.events is None or measure.name not in ("OR", "RR", "RD"):
            raise UsageError("a gain is a difference of risks: it needs counts of both arms, on OR, RR or RD.")
        base = float(pair.events[:, 1].sum() / pair.patients[:, 1].sum())
        if not 0 < base < 1 or not 0 < base + gain < 1 or gain == 0:
            raise UsageError(f"a gain of {gain:g} is not possible at a risk of {base:.3g} with {pair.comparator}.")
        told = {"OR": logit(base + gain) - logit(base), "RR": np.log((base + gain) / base), "RD": gain}
        return float(told[measure.name])
    if effect is None:
        raise UsageError(
            "name the effect that would matter (effect, on the scale people read, or gain, a difference of risks): the "
            "outcome has no smallest important difference."
        )
    if measure.scale == "log" and effect <= 0:
        raise UsageError(f"a ratio is above 0, not {effect:g}.")
    theta = float(measure.transform(effect))
    if theta == 0 or not np.isfinite(theta):
        raise UsageError("no difference cannot be anticipated: no trial is large enough to find it.")
    return theta


__all__ = ["Monitoring", "boundaries", "crossing_probability", "monitor", "spent"]
