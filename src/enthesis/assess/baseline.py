"""The baseline of a population: arms of one treatment, exchangeable between studies, predicted for a new one.

On the scale of the linear predictor study i's baseline is mu[i] ~ Normal(m, s²), with the exact likelihood of its arm
(NICE DSU TSD 5; Dias S et al., Med Decis Making 2013;33:657). m describes the average study, the predictive
distribution Normal(m, s²) a new population. It is a model of its own: relative effects do not depend on it, and the
studies behind it may be others than those behind the effects.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from enthesis.errors import ModelError
from enthesis.inference.baseline import posterior
from enthesis.inference.diagnostics import PARETO_K_LIMIT, effective_sample_size, quantiles
from enthesis.inference.points import normal_points
from enthesis.inference.result import Status
from enthesis.models.baseline import BaselineModel
from enthesis.models.likelihoods import Binomial, Gaussian, Likelihood, Poisson
from enthesis.models.links import Cloglog, Link, Logit, Probit
from enthesis.network.blocks import ArmBlock, ArmCounts, ArmFollowUp, ArmMeans, ArmRates
from enthesis.network.network import Network

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

#: the link of the risk with a comparator, by measure; relative effects on OR, PROBIT and HR act on this scale
RISK_LINKS: dict[str, Link] = {
    "OR": Logit(), "RR": Logit(), "RD": Logit(), "ASD": Logit(), "PROBIT": Probit(), "HR": Cloglog(),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class BaselineFit:
    """The posterior of a baseline.

    Parameters
    ----------
    treatment : str
    scale : str
        Link of the linear predictor: logit, probit, cloglog, log or identity.
    studies : tuple of str
    mean, sd : float arrays, shape (draws,)
        Draws of m and s on that scale.
    weights : float array, shape (draws,)
    status : Status
    diagnostics : dict
    seed : int
    """

    treatment: str
    scale: str
    studies: tuple[str, ...]
    mean: Array
    sd: Array
    weights: Array
    status: Status
    diagnostics: dict
    seed: int

    @cached_property
    def new(self) -> Array:
        """Draws of the baseline of a new population, shape (draws,)."""
        order = np.random.default_rng(self.seed + 7).permutation(len(self.mean))
        return self.mean + self.sd * normal_points(len(self.mean), 1, seed=self.seed + 7)[order, 0]

    def summary(self, *, follow_up: float = 1.0) -> pd.DataFrame:
        """The average study, the spread between studies, and a new population.

        Parameters
        ----------
        follow_up : float
            For baselines of a hazard: the time over which natural values are risks.

        Returns
        -------
        pandas.DataFrame
            what ("mean", "sd", "new population"), estimate, se, lower, upper (linear predictor), natural,
            natural_lower, natural_upper (a risk, rate or mean; NaN for the sd).
        """
        import pandas as pd

        rows = []
        for what, draws in (("mean", self.mean), ("sd", self.sd), ("new population", self.new)):
            centre = float(self.weights @ draws)
            lower, upper = quantiles(draws, self.weights, (0.025, 0.975))
            row = [what, centre, float(np.sqrt(self.weights @ (draws - centre) ** 2)), float(lower), float(upper)]
            if what == "sd":
                rows.append([*row, np.nan, np.nan, np.nan])
                continue
            natural = self.natural(draws, follow_up=follow_up)
            rows.append([*row, float(self.weights @ natural), *quantiles(natural, self.weights, (0.025, 0.975))])
        names = ["what", "estimate", "se", "lower", "upper", "natural", "natural_lower", "natural_upper"]
        return pd.DataFrame(rows, columns=names)

    def natural(self, predictor: Array, *, follow_up: float = 1.0) -> Array:
        """From the linear predictor to a risk, rate or mean."""
        if self.scale == "cloglog":
            predictor = predictor + np.log(follow_up)
        links = {"logit": Logit(), "probit": Probit(), "cloglog": Cloglog()}
        if self.scale in links:
            return links[self.scale].inverse(predictor)[0]
        return np.exp(predictor) if self.scale == "log" else predictor


def fit_baseline(
    network: Network,
    treatment: str | None = None,
    model: BaselineModel | None = None,
    *,
    seed: int = 1,
    draws: int = 4000,
) -> BaselineFit:
    """Fit an exchangeable baseline to the arms of one treatment.

    Parameters
    ----------
    network : Network
        Of counts, means, rates or counts over a follow-up.
    treatment : str, optional
        Default: the reference.
    model : BaselineModel, optional
        Priors of m and s; default normal(0, 100) and half-normal(1).
    seed, draws : int

    Returns
    -------
    BaselineFit

    Raises
    ------
    ModelError
        When no arm of the treatment has numbers of its own, or only one has and s would be its prior alone.

    Examples
    --------
    >>> import enthesis as en
    >>> rows = [dict(study=i, treatment=x, events=r + i, n=50) for i in (1, 2, 3) for x, r in (("A", 5), ("B", 12))]
    >>> found = fit_baseline(en.from_table(rows, reference="A"))
    >>> found.scale, len(found.studies), round(float(found.summary().natural[0]), 2)
    ('logit', 3, 0.14)
    """
    model = model or BaselineModel()
    name = treatment or network.reference
    at = network.index(name)
    parts, studies, scale = [], [], ""
    for block in network.blocks:
        rows = np.flatnonzero(block.treatment == at) if isinstance(block, ArmBlock) else np.empty(0, int)
        likelihood = _likelihood(block, network)
        if likelihood is None or not len(rows):
            continue
        scale = likelihood.link.name
        studies += [network.studies[i] for i in block.study[rows]]
        parts.append(_part(block, rows, likelihood))
    if len(studies) < 2:
        raise ModelError(
            f"an exchangeable baseline needs two or more arms of {name!r} with counts, means or rates, and there "
            f"{'is one' if studies else 'is none'}. State the baseline as a number or a distribution instead."
        )
    theta, weights, k = posterior(tuple(parts), model, draws=draws, seed=seed)
    ok = k <= PARETO_K_LIMIT
    message = (
        f"Weighted to the exact posterior: Pareto k {k:.2f}, {effective_sample_size(weights):,.0f} effective draws."
    )
    if not ok:
        message = f"The posterior could not be drawn from (Pareto k {k:.2f} > {PARETO_K_LIMIT}). Use tighter priors."
    return BaselineFit(treatment=name, scale=scale, studies=tuple(studies), mean=theta[:, 0], sd=np.exp(theta[:, 1]),
                       weights=weights, status=Status(ok=ok, message=message), diagnostics={"pareto_k": k},
                       seed=seed)  # fmt: skip


def _likelihood(block: object, network: Network) -> Likelihood | None:
    if isinstance(block, ArmCounts):
        return Binomial(RISK_LINKS.get(network.measure.name, Logit()))
    if isinstance(block, ArmFollowUp):
        return Binomial(Cloglog())
    if isinstance(block, ArmRates):
        return Poisson()
    return Gaussian() if isinstance(block, ArmMeans) else None


def _part(block, rows: NDArray[np.int64], likelihood: Likelihood) -> tuple[Likelihood, dict[str, Array]]:
    return likelihood, {name: getattr(block, name)[rows] for name in block.numbers}
