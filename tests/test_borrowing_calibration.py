"""Simulation-based calibration: when the world is drawn from the model, the true effect is anywhere in its posterior.

Talts S et al., arXiv:1804.06788. The place of the truth in its posterior is uniform; the test is Kolmogorov and
Smirnov's at 0.001. Seeds are fixed.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest

from enthesis.inference.bias import synthesise
from enthesis.inference.borrowing import borrow
from enthesis.inference.borrowing_map import meta_analytic_predictive
from enthesis.models.borrowing import Commensurate, Exnex, RobustMap
from enthesis.models.designs import Bias, BiasAdjusted, DesignedEffect, DesignHierarchy, EstimatedBias
from enthesis.models.one_parameter import EffectEstimate, EventCounts, Responders
from enthesis.models.priors import HalfNormal, Normal

WORLDS = 120
VAGUE = Normal(0.0, 1.0)
SE = (0.15, 0.25, 0.4)


def estimate(rng, truth: float, se: float) -> EffectEstimate:
    return EffectEstimate(estimate=float(rng.normal(truth, se)), se=se)


def counts(rng, truth: float, rate: float = 0.03, time: float = 300.0) -> EventCounts:
    a, b = rng.poisson(rate * time * np.exp(truth)), rng.poisson(rate * time)
    return EventCounts(events=int(a), exposure=time, comparator_events=int(b), comparator_exposure=time)


def robust_map(rng):
    tau, mu = abs(rng.normal(0, 0.5)), rng.normal(VAGUE.mean, VAGUE.sd)
    external = [estimate(rng, rng.normal(mu, tau), se) for se in SE] + [counts(rng, rng.normal(mu, tau))]
    truth = rng.normal(mu, tau) if rng.random() < 0.5 else rng.normal(VAGUE.mean, VAGUE.sd)
    return truth, borrow([counts(rng, truth)], external, RobustMap(weight=0.5, vague=VAGUE)).posterior


def exnex(rng):
    tau, mu = abs(rng.normal(0, 0.5)), rng.normal(VAGUE.mean, VAGUE.sd)

    def effect() -> float:
        return rng.normal(mu, tau) if rng.random() < 0.6 else rng.normal(VAGUE.mean, VAGUE.sd)

    external = [estimate(rng, effect(), se) for se in SE]
    truth = effect()
    belief = Exnex(weight=0.6, external=0.6, vague=VAGUE)
    return truth, borrow([counts(rng, truth)], external, belief).posterior


def commensurate(rng):
    centre, sd = rng.normal(VAGUE.mean, VAGUE.sd), abs(rng.normal(0, 0.5))
    external = [estimate(rng, centre, se) for se in SE]
    truth = rng.normal(centre, sd)
    return truth, borrow([estimate(rng, truth, 0.3)], external, Commensurate(vague=VAGUE)).posterior


def response_rates(rng):
    tau, mu = abs(rng.normal(0, 1)), rng.normal(0, 2)
    sizes = (20, 60, 100, 150)
    rows = [Responders(events=int(rng.binomial(n, 1 / (1 + np.exp(-rng.normal(mu, tau))))), n=n) for n in sizes]
    prior = meta_analytic_predictive(rows, mu=Normal(0, 2), tau=HalfNormal(1.0))
    return rng.normal(mu, tau), prior.predictive


def designed(rng, centre: dict[str, float], within: dict[str, float], spread: dict[str, float]):
    rows = []
    for i, design in enumerate(("rct", "rct", "extension", "cohort", "cohort")):
        effect = rng.normal(centre[design], np.hypot(within[design], spread.get(design, 0.0)))
        data = counts(rng, effect) if i == 1 else estimate(rng, effect, (0.3, 0.0, 0.25, 0.1, 0.15)[i])
        rows.append(DesignedEffect(study=f"S{i}", design=design, data=data))
    return rows


def stated_bias(rng):
    truth, tau = rng.normal(VAGUE.mean, VAGUE.sd), abs(rng.normal(0, 0.3))
    centre = {"rct": truth, "extension": truth, "cohort": truth - 0.3}
    rows = designed(rng, centre, dict.fromkeys(centre, tau), {"cohort": 0.4})
    belief = BiasAdjusted(bias={"cohort": Bias(mean=-0.3, sd=0.4)}, tau=HalfNormal(0.3), mu=VAGUE)
    return truth, synthesise(rows, belief).posterior


def estimated_bias(rng):
    truth = rng.normal(VAGUE.mean, VAGUE.sd)
    centre = {"rct": truth, "extension": truth + rng.normal(0, 0.5), "cohort": truth + rng.normal(0, 0.5)}
    within = {design: abs(rng.normal(0, 0.3)) for design in centre}
    belief = EstimatedBias(mean=Normal(0, 0.5), within=HalfNormal(0.3), mu=VAGUE)
    return truth, synthesise(designed(rng, centre, within, {}), belief).posterior


def three_levels(rng):
    truth, between = rng.normal(VAGUE.mean, VAGUE.sd), abs(rng.normal(0, 0.5))
    centre = {design: rng.normal(truth, between) for design in ("rct", "extension", "cohort")}
    within = {design: abs(rng.normal(0, 0.3)) for design in centre}
    belief = DesignHierarchy(between=HalfNormal(0.5), within=HalfNormal(0.3), mu=VAGUE)
    return truth, synthesise(designed(rng, centre, within, {}), belief).posterior


WORLDS_OF = (robust_map, exnex, commensurate, response_rates, stated_bias, estimated_bias, three_levels)


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLDS_OF, ids=lambda f: f.__name__)
def test_the_truth_is_anywhere_in_its_posterior(world):
    places = []
    for i in range(WORLDS):
        truth, posterior = world(np.random.default_rng([20260301, i]))
        places.append(float(posterior.cdf(truth)))
    assert kstest(places, "uniform").pvalue > 0.001
