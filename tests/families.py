"""Model families on a small network, and data simulated from their own prior.

`FAMILIES` holds a network and a model for every family that the Bayesian engines fit. Priors are proper and narrow, so
that a draw from the prior is a plausible network; `simulated(target, rng)` draws parameters from the prior and data
from the likelihood, and returns the target with these data in place of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from enthesis.models.baseline import Independent
from enthesis.models.compile import compile_target
from enthesis.models.consistency import DesignByTreatment, NodeSplit, UnrelatedMeanEffects
from enthesis.models.effects import ClassEffects, PerTreatment
from enthesis.models.heterogeneity import Common, Exchangeable
from enthesis.models.likelihoods import Binomial, Ordered, Poisson
from enthesis.models.links import Log
from enthesis.models.model import Model
from enthesis.models.priors import HalfNormal, Normal, Uniform
from enthesis.models.regression import BaselineRisk, Regression
from enthesis.models.target import ArmPart, GaussianPart, Target
from enthesis.network.blocks import ArmCounts, ArmFollowUp, ArmLevels, ArmMeans, ArmRates, Block, Contrasts, taken
from enthesis.network.measures import EFFECT, HR, IRR, MD, OR, PROBIT, RR, Measure
from enthesis.network.network import Network, Treatment

#: treatments of each study: a loop, two studies of three arms, one treatment in a single study
DESIGNS = ((0, 1), (0, 1), (0, 1), (0, 2), (0, 2), (1, 2), (1, 2), (0, 1, 2), (0, 2, 3), (0, 3), (1, 3), (0, 4))
SIZES = np.array([60, 120, 300, 45, 200, 90, 150, 80, 110, 70, 250, 100])
CLASSES = ("", "first", "first", "second", "second")
COVARIATE = np.array([1.2, -0.7, 0.3, 0.9, -1.4, 0.0, 0.5, -0.2, 1.8, -1.1, 0.4, -0.9])
STUDY = np.concatenate([np.full(len(d), i) for i, d in enumerate(DESIGNS)])
TREATMENT = np.concatenate(DESIGNS)
N = SIZES[STUDY].astype(float)


def network(block: Block | tuple[Block, ...], measure: Measure) -> Network:
    """The small network around one or more blocks of data."""
    return Network(
        studies=tuple(f"s{i}" for i in range(len(DESIGNS))),
        treatments=tuple(Treatment(name=x, drug_class=c) for x, c in zip("ABCDE", CLASSES, strict=True)),
        blocks=block if isinstance(block, tuple) else (block,),
        measure=measure,
        reference="A",
        covariates={"x": COVARIATE},
    )


def _contrasts() -> Contrasts:
    pairs = [(i, t, d[0]) for i, d in enumerate(DESIGNS) for t in d[1:]]
    study, treatment, comparator = (np.array(x) for x in zip(*pairs, strict=True))
    se = np.sqrt(8 / SIZES[study])
    own = np.sqrt(4 / SIZES[study])
    return Contrasts(study=study, treatment=treatment, comparator=comparator, y=0.1 * treatment, se=se,
                     se_comparator=own)  # fmt: skip


HALF = np.round(N / 3)
BLOCKS = {
    "counts": ArmCounts(study=STUDY, treatment=TREATMENT, r=HALF, n=N),
    "follow-up": ArmFollowUp(study=STUDY, treatment=TREATMENT, r=HALF, n=N, E=0.5 + 0.1 * STUDY),
    "rates": ArmRates(study=STUDY, treatment=TREATMENT, r=HALF, E=N),
    "means": ArmMeans(study=STUDY, treatment=TREATMENT, y=0.1 * TREATMENT, se=2 / np.sqrt(N), sd=np.full(len(N), 2.0),
                      n=N),
    "levels": ArmLevels(study=STUDY, treatment=TREATMENT, r=np.c_[HALF, np.round(HALF / 2), np.round(HALF / 4)], n=N),
    "contrasts": _contrasts(),
}  # fmt: skip
#: counts of the first studies, contrasts of the others
BLOCKS["mixed"] = (
    taken(BLOCKS["counts"], np.flatnonzero(STUDY < 7)),
    taken(BLOCKS["contrasts"], np.flatnonzero(BLOCKS["contrasts"].study >= 7)),
)

USUAL = Model(
    effects=PerTreatment(prior=Normal(0, 1)),
    heterogeneity=Exchangeable(sd=HalfNormal(0.5)),
    baseline=Independent(prior=Normal(-1, 1)),
)


@dataclass(frozen=True, kw_only=True)
class Family:
    """A network and a model."""

    name: str
    block: str
    measure: Measure
    model: Model

    @property
    def network(self) -> Network:
        """The small network with this family's data."""
        return network(BLOCKS[self.block], self.measure)

    @property
    def target(self) -> Target:
        """The compiled model; cutpoints, which have no prior of the user's, get one that leaves all levels possible."""
        target = compile_target(self.model, self.network)
        mean, sd = target.prior_mean.copy(), target.prior_sd.copy()
        for part in target.arms:
            if part.cut is not None:
                mean[part.cut], sd[part.cut] = 0.8 * np.arange(1, len(part.cut) + 1), 0.3
        return replace(target, prior_mean=mean, prior_sd=sd)


def _family(name: str, block: str = "counts", measure: Measure = OR, **parts) -> Family:
    return Family(name=name, block=block, measure=measure, model=USUAL.replace(**parts))


FAMILIES = (
    _family("common effects", heterogeneity=Common()),
    _family("random effects"),
    _family("random effects, uniform prior", heterogeneity=Exchangeable(sd=Uniform(0, 2))),
    _family("random effects, rare events", baseline=Independent(prior=Normal(-4.5, 0.7))),
    _family("common effects, rare events", heterogeneity=Common(), baseline=Independent(prior=Normal(-4.5, 0.7))),
    _family("class effects", effects=ClassEffects(sd=HalfNormal(0.5), prior=Normal(0, 1))),
    _family("class effects, a spread per class",
            effects=ClassEffects(sd=HalfNormal(0.5), per_class=True, prior=Normal(0, 1))),
    _family("regression, common", regression=Regression(covariate="x", prior=Normal(0, 0.7))),
    _family("regression, exchangeable", regression=Regression(covariate="x", interactions="exchangeable",
                                                              prior=Normal(0, 0.7), sd=HalfNormal(0.3))),
    _family("regression, independent", regression=Regression(covariate="x", interactions="independent",
                                                             prior=Normal(0, 0.7))),
    _family("regression, shared within class", regression=Regression(covariate="x", interactions="class",
                                                                     prior=Normal(0, 0.7))),
    _family("baseline risk", regression=BaselineRisk(centre=-1.0, prior=Normal(0, 0.3))),
    _family("node split", consistency=NodeSplit(treatment="B", comparator="A", prior=Normal(0, 1))),
    _family("unrelated mean effects", consistency=UnrelatedMeanEffects(prior=Normal(0, 1))),
    _family("design by treatment", consistency=DesignByTreatment(sd=HalfNormal(0.3))),
    _family("tau by class", heterogeneity=Exchangeable(sd=HalfNormal(0.5), by="class")),
    _family("log link", measure=RR, likelihood="exact", effects=PerTreatment(prior=Normal(0, 0.3)),
            heterogeneity=Exchangeable(sd=HalfNormal(0.2)), baseline=Independent(prior=Normal(-2, 0.4))),
    _family("probit", measure=PROBIT),
    _family("cloglog, follow-up", block="follow-up", measure=HR),
    _family("Poisson", block="rates", measure=IRR),
    _family("ordered levels", block="levels", measure=OR),
    _family("normal arms", block="means", measure=MD),
    _family("normal arms, class effects", block="means", measure=MD,
            effects=ClassEffects(sd=HalfNormal(0.5), prior=Normal(0, 1))),
    _family("contrasts", block="contrasts", measure=EFFECT),
    _family("counts and contrasts", block="mixed"),
    _family("contrasts, common effects", block="contrasts", measure=EFFECT, heterogeneity=Common()),
)  # fmt: skip


def from_prior(target: Target, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One draw of (theta, h) from the prior."""
    h = np.array([float(x.prior.quantile(rng.random())) for x in target.hypers])
    precision = target.prior_precision(h)
    theta = target.prior_mean + np.linalg.solve(np.linalg.cholesky(precision).T, rng.standard_normal(target.size))
    return theta, h


def simulated(target: Target, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, Target]:
    """Parameters from the prior, and the target with data drawn at them.

    The prior is cut down to ordered cutpoints and to probabilities below 1, which the likelihoods demand.
    """
    while True:
        theta, h = from_prior(target, rng)
        predictors = [_predictor(target, part, theta, h, rng) for part in target.arms]
        if all(_possible(part, eta, theta) for part, eta in zip(target.arms, predictors, strict=True)):
            break
    arms = tuple(
        replace(part, data={**part.data, "r": _events(part, eta, theta, rng)})
        for part, eta in zip(target.arms, predictors, strict=True)
    )
    gaussian = tuple(_simulated_means(target, part, theta, h, rng) for part in target.gaussian)
    return theta, h, replace(target, arms=arms, gaussian=gaussian)


def _possible(part: ArmPart, eta, theta) -> bool:
    ordered = part.cut is None or (np.diff(np.r_[0.0, theta[part.cut]]) > 0).all()
    return bool(ordered) and not (
        isinstance(part.likelihood, Binomial) and isinstance(part.likelihood.link, Log) and (eta >= 0).any()
    )


def _predictor(target: Target, part: ArmPart, theta, h, rng) -> np.ndarray:
    a = np.sqrt(part.variance(h)) * rng.standard_normal(len(part.study))
    # the baseline prior is on the linear predictor of the first arm
    first = target.baseline.mean + target.baseline.sd * rng.standard_normal(len(part.start))
    mu = (first - a[part.start])[part.study]
    slope = 1.0 if part.S is None else 1 + part.S @ theta
    return slope * (mu - part.centre) + part.centre + target.design(part) @ theta + a


def _events(part: ArmPart, eta, theta, rng) -> np.ndarray:
    likelihood, data = part.likelihood, part.data
    if isinstance(likelihood, Poisson):
        return rng.poisson(data["E"] * np.exp(eta)).astype(float)
    if isinstance(likelihood, Ordered):
        reached = likelihood.fitted(data, eta[None], theta[part.cut][None])[0]
        exact = np.c_[1 - reached[:, 0], -np.diff(reached, axis=1), reached[:, -1]]
        counts = rng.multinomial(data["n"].astype(int), np.clip(exact, 0, 1))
        return counts[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:].astype(float)
    assert isinstance(likelihood, Binomial)
    shift = np.log(data["E"]) if "E" in data else 0.0
    return rng.binomial(data["n"].astype(int), likelihood.link.inverse(eta + shift)[0]).astype(float)


def _simulated_means(target: Target, part: GaussianPart, theta, h, rng) -> GaussianPart:
    V = np.broadcast_to(part.V + part.between(h), part.V.shape)
    noise = np.einsum("gij,gj->gi", np.linalg.cholesky(V), rng.standard_normal(part.y.shape))
    return replace(part, y=target.design(part) @ theta + noise)
