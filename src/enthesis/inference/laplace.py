"""Deterministic Bayesian engine: Gaussian given the hyperparameters, quadrature over them, corrected to be exact.

Three steps:

1. *Approximate.* At each of a few dozen values of the hyperparameters the joint mode of all other parameters is found
   (`modes`). Mode and curvature give a Gaussian for theta and Laplace's approximation of the hyperparameters' density
   (Tierney L & Kadane JB, JASA 1986;81:82; the scheme is that of Rue H, Martino S, Chopin N, J R Stat Soc B
   2009;71:319).
2. *Draw.* Hyperparameters from that density, theta from the Gaussian of the nearest node, by quasi-random points.
3. *Correct.* For each draw the likelihood with all study-level parameters integrated out is computed by quadrature
   (`integrals`). The ratio of the exact to the approximate density is the draw's weight; Pareto k of the weights says
   whether they can be trusted (Vehtari A et al., J Mach Learn Res 2024;25:72). When the Gaussian is a poor proposal
   (sparse data), others are tried that follow the posterior's skewness and tails (`proposal`), hyperparameters are
   drawn from where the weights say that their mass is, and the best round is used.

So the weighted draws target the exact posterior, up to the error of the inner quadrature, which is measured.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from enthesis.inference.diagnostics import (
    PARETO_K_LIMIT,
    covariance,
    effective_sample_size,
    mean,
    pareto_smoothed,
    quantiles,
)
from enthesis.inference.hyper import HyperPosterior, hyper_posterior
from enthesis.inference.integrals import RULES, Centres, log_marginal, on_surfaces
from enthesis.inference.modes import Modes, conditional_modes
from enthesis.inference.points import uniform_points
from enthesis.inference.proposal import (
    DRAWS_PER_PARAMETER,
    LOOKED_AT,
    AxisProposal,
    Proposal,
    adapted,
    along_axes,
    can_adapt,
    gaussian,
)
from enthesis.inference.result import Posterior, Status
from enthesis.models.target import Target

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

#: with fewer effective draws than this a reported interval is too rough
LEAST_ESS = 100.0
#: error of the log likelihood below which a quadrature rule is good enough: weights then err by under 0.1 %
QUADRATURE_TOLERANCE = 1e-3
#: above this the weights err by more than 5 % and the result is not called exact
QUADRATURE_LIMIT = 0.05
#: an error that finer rules will not mend
HOPELESS = 1.0
#: a proposal is good enough, and no further round is tried, below this Pareto k and above this share of effective draws
GOOD_K, GOOD_SHARE = 0.5, 0.3
MAX_ROUNDS = 6
#: above this Pareto k of all draws another proposal is tried, so many times in all
ENOUGH_K, MAX_FULL = 0.6, 4
TRIAL_DRAWS, TRIAL_RULE = 512, (5, 3)
#: draws from which the quadrature rule of a first attempt in full is chosen, and its error measured
PILOT_DRAWS = 64
#: posterior draws at which quadrature rules are compared
RULE_POINTS = 12


@dataclass(frozen=True, kw_only=True)
class Round:
    """Weighted draws from one proposal; `lost` is the number of draws whose study integrals were not found."""

    theta: Array
    h: Array
    weights: Array
    k: float
    standardised: Array
    node: Ints
    proposal: Proposal | AxisProposal
    hyper: HyperPosterior
    lost: int

    @property
    def ess(self) -> float:
        """Effective number of draws."""
        return effective_sample_size(self.weights)

    @property
    def corrected_hyper(self) -> HyperPosterior:
        """Where to draw hyperparameters from next time."""
        return self.hyper.corrected(self.h, self.node, self.weights)

    @property
    def good(self) -> bool:
        """Whether another round is not worth its time."""
        return self.k <= GOOD_K and self.ess >= GOOD_SHARE * len(self.weights)


def posterior(target: Target, *, draws: int, seed: int) -> Posterior:
    """The posterior of any target.

    Parameters
    ----------
    target : Target
    draws : int
    seed : int
        Of the quasi-random points; nothing else is random.

    Returns
    -------
    Posterior
        `status.ok` is False when the Pareto k of the weights exceeds 0.7, or a mode or the centre of a study integral
        was not found.
    """
    last: list[Modes] = []

    def log_density(h: Array) -> Array:
        last[:] = [conditional_modes(target, h)]
        return last[0].log_p + target.log_hyper_prior(h)

    hyper = hyper_posterior(log_density, target.hypers, scale=typical_se(target))
    # the nodes are the last points looked at, unless cells were dropped
    same = last and last[0].h.shape == hyper.nodes.shape and np.array_equal(last[0].h, hyper.nodes)
    modes = last[0] if same else conditional_modes(target, hyper.nodes)
    P = target.size
    proposal = gaussian(P)
    if on_surfaces(target, draws):
        # drawing in full is nearly as quick as a trial, and needs no other when the Gaussian proves good
        pilot = _weighted(target, modes, hyper, proposal, PILOT_DRAWS, seed, TRIAL_RULE)
        rule, error = _rule(target, modes, pilot, TRIAL_RULE)
        first = _weighted(target, modes, hyper, proposal, draws, seed, rule)
        if first.good:
            return _posterior(target, modes, first, rule, error, 1)
    rounds: list[Round] = []
    trial = min(draws, max(TRIAL_DRAWS, DRAWS_PER_PARAMETER * (P + 2)))
    for attempt in range(MAX_ROUNDS):
        # proposals are judged on fewer draws; only the chosen one is drawn from in full
        rounds.append(_weighted(target, modes, hyper, proposal, trial, seed, TRIAL_RULE))
        if rounds[-1].good:
            break
        hyper = rounds[-1].corrected_hyper
        if attempt == 0:
            proposal = _axes(target, modes, hyper)
        elif can_adapt(trial, P):
            proposal = adapted(rounds[-1].standardised, rounds[-1].weights)
        elif attempt > 1 or not target.hypers:  # once more along axes, with the hyperparameters corrected again
            break
    best = min(rounds, key=_merit)
    rule, error = _rule(target, modes, best)
    full = [_weighted(target, modes, best.hyper, best.proposal, draws, seed, rule)]
    while full[-1].k > ENOUGH_K and len(full) < MAX_FULL and can_adapt(draws, P):
        # many draws describe the posterior better than the few of a trial, and show more of its tails
        proposal = adapted(full[-1].standardised, full[-1].weights)
        full.append(_weighted(target, modes, full[-1].corrected_hyper, proposal, draws, seed, rule))
    best = min(full, key=_merit)
    return _posterior(target, modes, best, rule, error, len(rounds) + len(full) - 1)


def _axes(target: Target, modes: Modes, hyper: HyperPosterior) -> AxisProposal:
    """The proposal from the posterior along the axes through the mode of the node with the most mass."""
    node = int(np.argmax(hyper.mass))
    P, G = target.size, len(LOOKED_AT)
    chol = np.linalg.cholesky(modes.cov[node])
    theta = modes.theta[node] + (LOOKED_AT[None, :, None] * chol.T[:, None, :]).reshape(P * G, P)
    h = np.repeat(modes.h[node][None], P * G, axis=0)
    centres = _centres(modes, np.full(P * G, node))
    log_p = log_marginal(target, theta, h, centres, TRIAL_RULE) + target.log_prior(theta, h)
    return along_axes(log_p.reshape(P, G))


def _merit(round_: Round) -> tuple[bool, float, float]:
    """Smaller is better."""
    return (not round_.good, max(round_.k, GOOD_K), -round_.ess)


def typical_se(target: Target) -> float:
    """A typical standard error of a contrast, for the scale on which standard deviations are looked for."""
    found = [np.sqrt(np.abs(p.V[:, -1, -1] + p.lead * (p.V[:, 0, 0] - 2 * p.V[:, 0, -1]))) for p in target.gaussian]
    return float(np.median(np.concatenate(found))) if found else 1.0


def _weighted(target, modes: Modes, hyper: HyperPosterior, proposal, draws, seed, rule) -> Round:
    P, H = target.size, len(target.hypers)
    u = uniform_points(draws, H + P + proposal.extra, seed)
    h, node, log_q = hyper.draw(u[:, :H])
    standardised = proposal.draw(u[:, H:])
    log_q = log_q + proposal.log_density(standardised)
    theta = np.empty((draws, P))
    chol = np.linalg.cholesky(modes.cov)
    for j in np.unique(node):
        at = node == j
        theta[at] = modes.theta[j] + standardised[at] @ chol[j].T
        log_q[at] -= np.log(np.diag(chol[j])).sum()
    log_p = log_marginal(target, theta, h, _centres(modes, node), rule) + target.log_prior(theta, h)
    if np.isfinite(log_p).any():
        weights, k = pareto_smoothed(np.where(np.isfinite(log_p), log_p, -np.inf) - log_q)
    else:
        weights, k = np.full(draws, 1 / draws), np.inf
    return Round(
        theta=theta, h=h, weights=weights, k=k, standardised=standardised, node=node, proposal=proposal,
        hyper=hyper, lost=int(np.isnan(log_p).sum()),
    )  # fmt: skip


def _rule(
    target: Target, modes: Modes, trial: Round, least: tuple[int, int] = RULES[0]
) -> tuple[tuple[int, int], float]:
    """The smallest quadrature rule from `least` on whose error at draws from the posterior is small, and that error."""
    if not target.arms:
        return least, 0.0
    # in random order, because quasi-random points at a regular stride lie in one part of the space
    order = np.random.default_rng(0).permutation(len(trial.weights))
    cdf = np.cumsum(trial.weights[order])
    some = order[np.searchsorted(cdf, (np.arange(RULE_POINTS) + 0.5) / RULE_POINTS * cdf[-1])]
    theta, h = trial.theta[some], trial.h[some]
    centres = _centres(modes, trial.node[some])
    rules = RULES[RULES.index(least) :]
    coarse = log_marginal(target, theta, h, centres, rules[0])
    for rule, finer in itertools.pairwise(rules):
        fine = log_marginal(target, theta, h, centres, finer)
        # a constant error cancels in the weights
        gap = coarse - fine
        error = float(np.abs(gap - gap.mean()).max())
        if error < QUADRATURE_TOLERANCE:
            return rule, error
        if error > HOPELESS and rule[0] >= 7:
            return rule, error
        coarse = fine
    return RULES[-1], error


def _centres(modes: Modes, node: Ints) -> Centres:
    return Centres(mu=modes.mu, b=modes.b, row=node)


def _posterior(target, modes, best: Round, rule, error, rounds) -> Posterior:
    w = best.weights
    return Posterior(
        mean=mean(best.theta, w),
        cov=covariance(best.theta, w),
        theta=best.theta,
        weights=w,
        hyper=best.h,
        hyper_mean=mean(best.h, w),
        hyper_interval=quantiles(best.h, w, (0.025, 0.975)) if target.hypers else np.zeros((2, 0)),
        status=_status(best, modes, error),
        diagnostics={
            "method": "laplace, corrected",
            "pareto_k": best.k,
            "effective_sample_size": best.ess,
            "proposal": best.proposal.words,
            "rounds": rounds,
            "quadrature_rule": list(rule),
            "quadrature_error": error,
            "nodes": len(modes.h),
        },
    )


def _status(best: Round, modes: Modes, error: float) -> Status:
    if best.hyper.mass[~modes.converged].sum() > 1e-3:
        return Status(ok=False, message="The posterior mode was not found; the result cannot be relied on.")
    if best.lost:
        return Status(
            ok=False,
            message=f"The study integrals could not be computed at {best.lost:,} of {len(best.weights):,} draws, which "
            "are missing from the result. Use tighter priors, or sample with the nuts engine.",
        )
    if not error <= QUADRATURE_LIMIT:
        return Status(
            ok=False,
            message=f"The study integrals are not accurate enough (error {error:.2g} of the log likelihood). Probably "
            "some treatment has no events in any study, so that only the prior bounds its effect; use a tighter prior "
            "on d, pool that treatment with others, or sample with the nuts engine.",
        )
    if best.ess < min(LEAST_ESS, 0.25 * len(best.weights)):
        return Status(
            ok=False,
            message=f"The draws are worth only {best.ess:.0f} independent ones of {LEAST_ESS:.0f}: the approximation "
            "is far from the posterior. Use more draws or tighter priors, pool sparse treatments, or sample with the "
            "nuts engine.",
        )
    if best.k > PARETO_K_LIMIT:
        return Status(
            ok=False,
            message=f"The approximation is too far from the posterior to be corrected (Pareto k {best.k:.2f} > "
            f"{PARETO_K_LIMIT}). Use tighter priors, pool sparse treatments, or sample with the nuts engine.",
        )
    return Status(
        ok=True, message=f"Corrected to the exact posterior: Pareto k {best.k:.2f}, {best.ess:,.0f} effective draws."
    )
