"""NUTS engine: four chains of the No-U-Turn sampler on the joint density of all parameters of a target.

The referee of the deterministic engine, with which it shares likelihoods and priors but no approximation (`density`,
`sampler`), and the engine of last resort. A run with divergences is repeated once with smaller steps. Why the sampler
is our own: decisions/0010-nuts-engine.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from enthesis.errors import ModelError
from enthesis.inference.convergence import bulk_ess, e_bfmi, r_hat, tail_ess
from enthesis.inference.density import JointDensity
from enthesis.inference.result import Posterior, Status
from enthesis.inference.sampler import Chains, sample
from enthesis.models.target import Target

Array = NDArray[np.float64]

CHAINS = 4
WARMUP = 600
#: shorter chains cannot be judged
SHORTEST = 250
#: acceptance aimed at: first, and again when there were divergences
ACCEPT, ACCEPT_AGAIN = 0.9, 0.98
#: limits of Vehtari A et al., Bayesian Anal 2021;16:667, and of Betancourt M, arXiv:1604.00695
R_HAT_LIMIT, ESS_LIMIT, BFMI_LIMIT = 1.01, 400.0, 0.2
#: bound on the work of one call: evaluations of the density times (coordinates + OVERHEAD), 0.2 microseconds each on
#: one core of 2024, so about two minutes. A count and not a time, so that results do not depend on the machine
BOUND, OVERHEAD = 6e8, 500
#: draws of a starting point before giving up
MAX_STARTS = 40
#: the first so many effects and hyperparameters are scaled together; beyond this many, one by one
MOST_DENSE = 200


class Stopped(Exception):
    """The bound was reached before there were enough draws to judge."""


@dataclass(frozen=True, kw_only=True)
class Convergence:
    """Diagnostics of four chains, the worst over effects and hyperparameters.

    Parameters
    ----------
    r_hat, bulk_ess, tail_ess, e_bfmi : float
    divergences : int
    """

    r_hat: float
    bulk_ess: float
    tail_ess: float
    e_bfmi: float
    divergences: int


def posterior(target: Target, *, draws: int, seed: int, bound: float | None = None) -> Posterior:
    """The posterior of any target, by sampling.

    Parameters
    ----------
    target : Target
    draws : int
        Over all chains; rounded up to a multiple of four. Draws of one chain follow each other.
    seed : int
    bound : float, optional
        On evaluations of the density times (coordinates + 500), such as `BOUND`. What was drawn until then is judged as
        usual, and `diagnostics["stopped"]` says that it is less than was asked for. Default: none.

    Returns
    -------
    Posterior
        Weights are equal. `status.ok` is False when the chains disagree (R-hat above 1.01), are worth fewer than 400
        independent draws, or diverge.

    Raises
    ------
    Stopped
        When the bound was reached before each chain had 250 draws.
    """
    density = JointDensity(target)
    start = _starts(density, np.random.default_rng(seed))
    each = -(-draws // CHAINS)
    limit = None if bound is None else int(bound / (density.size + OVERHEAD))
    accept, attempts = ACCEPT, 1
    chains = _run(density, start, each, seed, accept, limit)
    if chains.divergent.any() and not chains.stopped:
        again = _run(density, start, each, seed, ACCEPT_AGAIN, None if limit is None else limit - chains.evaluations)
        if again.x.shape[1] >= SHORTEST:
            accept, attempts, chains = ACCEPT_AGAIN, 2, again
    if chains.x.shape[1] < SHORTEST:
        raise Stopped(
            f"sampling was stopped after {chains.evaluations:,} evaluations of the density, its bound, before the "
            "chains could be judged"
        )
    point = density.point(chains.x.reshape(-1, density.size))
    reported = np.concatenate([point.theta, point.h], axis=1).reshape(CHAINS, -1, target.size + len(target.hypers))
    found = convergence(reported, chains)
    kept = np.concatenate([c * chains.x.shape[1] + _spaced(chains.x.shape[1], each) for c in range(CHAINS)])
    theta, h = point.theta, point.h
    return Posterior(
        mean=theta.mean(0),
        cov=np.atleast_2d(np.cov(theta.T)),
        theta=theta[kept],
        weights=np.full(len(kept), 1 / len(kept)),
        hyper=h[kept],
        hyper_mean=h.mean(0),
        hyper_interval=np.quantile(h, [0.025, 0.975], axis=0),
        status=status(found),
        diagnostics={
            "method": "nuts",
            "chains": CHAINS,
            "warmup": WARMUP,
            "r_hat": found.r_hat,
            "bulk_ess": found.bulk_ess,
            "tail_ess": found.tail_ess,
            "effective_sample_size": found.bulk_ess,
            "divergences": found.divergences,
            "e_bfmi": found.e_bfmi,
            "accept": accept,
            "attempts": attempts,
            "mean_depth": float(chains.depth.mean()),
            "evaluations": chains.evaluations,
            "stopped": chains.stopped,
        },
    )


def convergence(x: Array, chains: Chains) -> Convergence:
    """The worst diagnostics over the last axis of x, shape (chains, draws, quantities)."""
    columns = [x[:, :, j] for j in range(x.shape[2])]
    return Convergence(
        r_hat=max((r_hat(c) for c in columns), default=1.0),
        bulk_ess=min((bulk_ess(c) for c in columns), default=float(x.shape[0] * x.shape[1])),
        tail_ess=min((tail_ess(c) for c in columns), default=float(x.shape[0] * x.shape[1])),
        e_bfmi=float(e_bfmi(chains.energy).min()),
        divergences=int(chains.divergent.sum()),
    )


def status(found: Convergence) -> Status:
    """Whether four chains can be relied on, with the sentence for the reader."""
    if not found.r_hat <= R_HAT_LIMIT:
        return Status(
            ok=False,
            message=f"The chains disagree (R-hat {found.r_hat:.3f} > {R_HAT_LIMIT}). Use more draws, or tighter "
            "priors.",
        )
    if not min(found.bulk_ess, found.tail_ess) >= ESS_LIMIT:
        return Status(
            ok=False,
            message=f"The chains are worth only {min(found.bulk_ess, found.tail_ess):.0f} independent draws of "
            f"{ESS_LIMIT:.0f}. Use more draws.",
        )
    if found.divergences:
        return Status(
            ok=False,
            message=f"{found.divergences} trajectories diverged even with small steps: a part of the posterior may be "
            "missing. Use tighter priors on the standard deviations.",
        )
    if found.e_bfmi < BFMI_LIMIT:
        return Status(
            ok=False,
            message=f"The chains move too slowly through the tails (E-BFMI {found.e_bfmi:.2f} < {BFMI_LIMIT}). Use "
            "tighter priors.",
        )
    return Status(
        ok=True,
        message=f"Sampled by NUTS: R-hat {found.r_hat:.3f}, at least {min(found.bulk_ess, found.tail_ess):,.0f} "
        "effective draws, no divergences.",
    )


def _starts(density: JointDensity, rng: np.random.Generator) -> Array:
    """A starting point with a finite density for each chain."""
    found = density.start(rng, CHAINS)
    for attempt in range(1, MAX_STARTS):
        bad = ~np.isfinite(density(found)[0])
        if not bad.any():
            return found
        # ever closer to the middle of the coordinates, where the density is that of the arms' own estimates
        found[bad] = density.start(rng, int(bad.sum())) * (1 - attempt / MAX_STARTS)
    raise ModelError(
        "the model has no finite density anywhere near the data, so that no chain can start. Look for a prior that "
        "contradicts the data, such as bounds on a standard deviation."
    )


def _run(density: JointDensity, start: Array, each: int, seed: int, accept: float, limit: int | None) -> Chains:
    together = density.P + density.H
    return sample(
        density,
        start,
        warmup=WARMUP,
        draws=max(each, SHORTEST),
        seed=seed,
        dense=together if together <= MOST_DENSE else 0,
        accept=accept,
        limit=limit,
    )


def _spaced(available: int, wanted: int) -> NDArray[np.int64]:
    """Positions of evenly spaced draws."""
    return np.linspace(0, available - 1, wanted).round().astype(int) if wanted < available else np.arange(available)
