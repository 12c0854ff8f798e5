"""Exact posterior for normal likelihoods with at most one standard deviation to integrate over.

Given h, every part is y ~ Normal(X theta, V + between(h)), so theta | h, y is Gaussian and p(h | y) is known up to a
constant: p(h) |Q|^(1/2) |A|^(-1/2) Π |V + between|^(-1/2) exp(-(y'Wy + m'Q m - r'A^-1 r) / 2). Means and covariances
are sums over quadrature nodes; draws come from the mixture over the nodes. There is no Monte Carlo error in the mean,
the covariance or the quantiles of h. Same scheme as Röver C, J Stat Softw 2020;93:6 (bayesmeta) for two treatments.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from enthesis.inference.hyper import OneHyper, hyper_posterior
from enthesis.inference.laplace import typical_se
from enthesis.inference.modes import GaussianSystem
from enthesis.inference.points import to_normal, uniform_points
from enthesis.inference.result import Posterior, Status
from enthesis.models.target import Target, spread

Array = NDArray[np.float64]


def applies(target: Target) -> bool:
    """Whether this engine is exact for the target."""
    return not target.arms and len(target.hypers) <= 1


def posterior(target: Target, *, draws: int, seed: int) -> Posterior:
    """The posterior of a target that has only Gaussian parts and at most one hyperparameter.

    Parameters
    ----------
    target : Target
    draws : int
    seed : int
        Of the quasi-random draws.

    Returns
    -------
    Posterior
    """
    system = GaussianSystem(target)

    def log_density(h: Array) -> Array:
        return np.array([_conditional(system, x)[2] for x in h]) + target.log_hyper_prior(h)

    hyper = hyper_posterior(log_density, target.hypers, scale=typical_se(target), panels=12, order=8)
    nodes = [_conditional(system, x) for x in hyper.nodes]
    means, covs = np.array([n[0] for n in nodes]), np.array([n[1] for n in nodes])
    mean = hyper.mass @ means
    cov = np.tensordot(hyper.mass, covs, axes=1) + (hyper.mass[:, None] * (means - mean)).T @ (means - mean)
    u = uniform_points(draws, len(target.hypers) + target.size, seed)
    h, node, _ = hyper.draw(u[:, : len(target.hypers)])
    z = to_normal(u[:, len(target.hypers) :])
    theta = np.empty_like(z)
    for j in np.unique(node):
        at = node == j
        theta[at] = means[j] + z[at] @ np.linalg.cholesky(covs[j]).T
    if isinstance(hyper, OneHyper):
        interval = hyper.posterior.quantile(np.array([0.025, 0.975]))[:, None]
        hyper_mean, message = np.array([hyper.posterior.mean]), "Exact: Gaussian given tau, quadrature over tau."
    else:
        interval, hyper_mean, message = np.zeros((2, 0)), np.zeros(0), "Exact: the posterior is Gaussian."
    return Posterior(
        mean=mean,
        cov=cov,
        theta=theta,
        weights=np.full(draws, 1 / draws),
        hyper=h,
        hyper_mean=hyper_mean,
        hyper_interval=interval,
        status=Status(ok=True, message=message),
        diagnostics={"method": "exact", "nodes": len(hyper.nodes)},
    )


def _conditional(system: GaussianSystem, h: Array) -> tuple[Array, Array, float]:
    """Mean and covariance of theta given h, and log p(y | h)."""
    target = system.target
    A, r, c = system.at(h)
    Q = target.prior_precision(h)
    A, r = A + Q, r + Q @ target.prior_mean
    cov = np.linalg.inv(A)
    cov = 0.5 * (cov + cov.T)
    mean = cov @ r
    log_p = c + 0.5 * (r @ mean - target.prior_mean @ Q @ target.prior_mean) - 0.5 * np.linalg.slogdet(A)[1]
    for penalty in target.penalties:
        log_p -= penalty.rank * np.log(spread(h[penalty.hyper]))
    return mean, cov, float(log_p)
