"""Deterministic Bayesian engine for any likelihood: Gaussian at each tau, quadrature over tau, corrected to be exact.

Write eta[i,k] = mu[i] + x[i,k]'theta + sqrt(t) b[i,k] with t = tau²/2 and independent b ~ Normal(0, 1): given mu[i] the
arms of a study are independent (see `models.heterogeneity`). Three steps:

1. *Approximate.* At each of a few dozen tau the joint mode of (theta, mu, b) is found by Newton's method in its
   iteratively reweighted form, studies eliminated one by one, so the cost is linear in studies. Mode and curvature
   give a Gaussian for theta and Laplace's approximation of p(tau | y) (Tierney L & Kadane JB, JASA 1986;81:82; the
   scheme is that of Rue H, Martino S, Chopin N, J R Stat Soc B 2009;71:319).
2. *Draw.* tau from that one-dimensional density, theta from the Gaussian of the nearest node, by quasi-random points.
3. *Correct.* For each draw the likelihood with all study-level parameters integrated out is computed by nested
   adaptive Gauss-Hermite quadrature: the product over arms of one-dimensional integrals over b inside a
   one-dimensional integral over mu, so the cost is linear in arms whatever the size of the study. The ratio of the
   exact to the approximate density is the draw's weight; Pareto k of the weights says whether they can be trusted
   (Vehtari A et al., J Mach Learn Res 2024;25:72).

So the weighted draws target the exact posterior, up to the error of the inner quadrature, which is measured.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from enthesis.inference.diagnostics import PARETO_K_LIMIT, covariance, effective_sample_size, mean, pareto_smoothed
from enthesis.inference.exact import GaussianSystem, nearest_node, to_normal, typical_se, uniform_points
from enthesis.inference.integrals import RULES, Centres, log_marginal, quadrature_error
from enthesis.inference.quadrature import TauPosterior, tau_posterior
from enthesis.inference.result import Posterior, Status
from enthesis.models.target import Target

Array = NDArray[np.float64]

MAX_ITERATIONS = 100
#: Newton stops when no linear predictor moves by more than this
CONVERGED = 1e-9
#: summed error of the log likelihood below which a quadrature rule is good enough: weights then err by under 0.5 %
QUADRATURE_TOLERANCE = 5e-3
#: degrees of freedom of the heavier-tailed proposal used when the Gaussian one fails its check
HEAVY_TAIL = 6.0


@dataclass(frozen=True, kw_only=True)
class Modes:
    """Conditional modes at a vector of tau.

    Parameters
    ----------
    tau : float array, shape (nodes,)
    theta : float array, shape (nodes, P)
    cov : float array, shape (nodes, P, P)
    log_p : float array, shape (nodes,)
        Laplace's log p(y | tau).
    centres : Centres
        Modes of mu and b of each arm part.
    converged : bool array, shape (nodes,)
    """

    tau: Array
    theta: Array
    cov: Array
    log_p: Array
    centres: Centres
    converged: NDArray[np.bool_]


def conditional_modes(target: Target, tau: Array) -> Modes:
    """Joint modes of all parameters at each tau, and the Gaussian approximation of theta.

    Parameters
    ----------
    target : Target
    tau : float array, shape (nodes,)

    Returns
    -------
    Modes
    """
    J, P = len(tau), target.size
    t = 0.5 * tau[:, None] ** 2
    root = np.sqrt(t)
    p0, m0 = target.baseline.sd**-2.0, target.baseline.mean
    prior_precision = target.prior_sd**-2.0
    system = GaussianSystem(target)
    fixed = [system.at(float(x)) for x in tau] if target.gaussian else None
    X = [target.contrast_design(part.plus, part.minus) for part in target.arms]
    eta = [np.tile(part.likelihood.start(part.data), (J, 1)) for part in target.arms]
    theta = np.zeros((J, P))
    mu = [np.zeros((J, len(part.start))) for part in target.arms]
    b = [np.zeros_like(e) for e in eta]
    best = np.full(J, -np.inf)
    done = np.zeros(J, dtype=bool)

    def objective(theta, mu, b, eta):
        value = -0.5 * ((theta - target.prior_mean) ** 2) @ prior_precision
        for part, m, bb, e in zip(target.arms, mu, b, eta, strict=True):
            value = value + part.likelihood.log_density(part.data, e).sum(1)
            value = value - 0.5 * (bb**2).sum(1) - 0.5 * p0 * ((m - m0) ** 2).sum(1)
        if fixed:
            A, r, c = (np.array(x) for x in zip(*fixed, strict=True))
            value = value - 0.5 * np.einsum("jp,jpq,jq->j", theta, A, theta) + (r * theta).sum(1) + c
        return value

    for iteration in range(MAX_ITERATIONS):
        A, r, parts = _normal_equations(target, X, eta, t, fixed, prior_precision, p0, m0)
        new_theta = np.linalg.solve(A, r[:, :, None])[:, :, 0]
        new_mu, new_b, new_eta = [], [], []
        for x, part, (z, w, sw) in zip(X, target.arms, parts, strict=True):
            fit = new_theta @ x.T
            m = (np.add.reduceat(w * (z - fit), part.start, axis=1) + p0 * m0) / sw
            bb = root * w * (z - fit - m[:, part.study])
            new_mu.append(m)
            new_b.append(bb)
            new_eta.append(m[:, part.study] + fit + root * bb)
        if iteration == 0:
            theta, mu, b, eta = new_theta, new_mu, new_b, new_eta
            best = objective(theta, mu, b, eta)
            continue
        step = np.ones((J, 1))
        for _ in range(30):
            tried = [
                theta + step * (new_theta - theta),
                *([old + step * (new - old) for old, new in zip(olds, news, strict=True)]
                  for olds, news in ((mu, new_mu), (b, new_b), (eta, new_eta))),
            ]  # fmt: skip
            value = objective(*tried)
            worse = ~(value >= best - 1e-9 * (1 + np.abs(best)))
            if not worse.any():
                break
            step[worse] *= 0.5
        moved = np.max([np.abs(n - o).max(1) for n, o in zip(tried[3], eta, strict=True)], axis=0)
        theta, mu, b, eta = tried
        best = value
        done = moved < CONVERGED
        if done.all():
            break
    A, _, parts = _normal_equations(target, X, eta, t, fixed, prior_precision, p0, m0)
    cov = np.linalg.inv(A)
    log_p = best - 0.5 * np.linalg.slogdet(A)[1] + 0.5 * np.log(prior_precision).sum()
    for part, e, (_, _, sw) in zip(target.arms, eta, parts, strict=True):
        h = np.maximum(part.likelihood.derivatives(part.data, e)[1], 1e-12)
        log_p = log_p - 0.5 * np.log1p(t * h).sum(1) - 0.5 * np.log(sw / p0).sum(1)
        log_p = log_p + part.likelihood.constant(part.data).sum()
    return Modes(tau=tau, theta=theta, cov=0.5 * (cov + cov.transpose(0, 2, 1)), log_p=log_p,
                 centres=Centres(mu=tuple(mu), b=tuple(b)), converged=done)  # fmt: skip


def _normal_equations(target, X, eta, t, fixed, prior_precision, p0, m0):
    """Weighted least squares of one Newton step, study baselines eliminated; also the working data of each part."""
    J, P = t.shape[0], target.size
    A = np.zeros((J, P, P)) + np.diag(prior_precision)
    r = np.zeros((J, P)) + prior_precision * target.prior_mean
    parts = []
    for x, part, e in zip(X, target.arms, eta, strict=True):
        g, h = part.likelihood.derivatives(part.data, e)
        h = np.maximum(h, 1e-12)
        z, w = e + g / h, 1 / (1 / h + t)
        sw = np.add.reduceat(w, part.start, axis=1) + p0
        swz = np.add.reduceat(w * z, part.start, axis=1) + p0 * m0
        for j in range(J):
            wx = w[j][:, None] * x
            u = np.add.reduceat(wx, part.start, axis=0)
            A[j] += x.T @ wx - u.T @ (u / sw[j][:, None])
            r[j] += wx.T @ z[j] - u.T @ (swz[j] / sw[j])
        parts.append((z, w, sw))
    if fixed:
        A += np.array([f[0] for f in fixed])
        r += np.array([f[1] for f in fixed])
    return A, r, parts


def posterior(target: Target, *, draws: int, seed: int) -> Posterior:
    """The posterior of a target with arm parts (and Gaussian parts, if any).

    Parameters
    ----------
    target : Target
    draws : int
    seed : int
        Of the quasi-random points; nothing else is random.

    Returns
    -------
    Posterior
        `status.ok` is False when the Pareto k of the weights exceeds 0.7 or a mode was not found.
    """
    if target.tau is None:
        tau_post, modes = None, conditional_modes(target, np.zeros(1))
    else:
        tau_post = tau_posterior(
            lambda tau: conditional_modes(target, tau).log_p + target.tau.log_density(tau), target.tau,
            scale=typical_se(target), panels=8, order=6,
        )  # fmt: skip
        modes = conditional_modes(target, tau_post.nodes)
    rule, error = _rule(target, modes, tau_post)
    attempts = []
    for spread, df in ((1.0, None), (1.15, HEAVY_TAIL)):
        theta, tau, log_q = _proposal(modes, tau_post, draws, seed, spread, df)
        log_p = log_marginal(target, theta, tau, _at(modes, tau), rule)
        log_p = log_p - 0.5 * (((theta - target.prior_mean) / target.prior_sd) ** 2).sum(1)
        if target.tau is not None:
            log_p = log_p + target.tau.log_density(tau)
        weights, k = pareto_smoothed(log_p - log_q)
        attempts.append((k, theta, tau, weights, "gaussian" if df is None else f"student t, {df:g} df"))
        if k <= 0.5:
            break
    k, theta, tau, weights, proposal = min(attempts, key=lambda a: a[0])
    ess = effective_sample_size(weights)
    return Posterior(
        mean=mean(theta, weights), cov=covariance(theta, weights), theta=theta, weights=weights,
        tau=None if target.tau is None else tau,
        tau_mean=float(weights @ tau), tau_interval=_interval(tau, weights),
        status=_status(k, ess, modes, tau_post), diagnostics={
            "method": "laplace", "pareto_k": k, "effective_sample_size": ess, "proposal": proposal,
            "quadrature_rule": list(rule), "quadrature_error": error, "tau_nodes": len(modes.tau),
        },
    )  # fmt: skip


def _interval(tau: Array, weights: Array) -> tuple[float, float]:
    from enthesis.inference.diagnostics import quantiles

    lower, upper = quantiles(tau, weights, (0.025, 0.975))
    return float(lower), float(upper)


def _rule(target: Target, modes: Modes, tau_post: TauPosterior | None) -> tuple[tuple[int, int], float]:
    """The smallest quadrature rule whose error at typical points is small, and that error."""
    likely = [0] if tau_post is None else nearest_node(tau_post.quantile(np.array([0.025, 0.5, 0.975])), modes.tau)
    theta, tau = [], []
    for j in likely:
        spread = np.sqrt(np.diag(modes.cov[j]))
        theta += [modes.theta[j], modes.theta[j] + 2 * spread, modes.theta[j] - 2 * spread]
        tau += [modes.tau[j]] * 3
    theta, tau = np.array(theta), np.array(tau)
    for rule, finer in itertools.pairwise(RULES):
        error = quadrature_error(target, theta, tau, _at(modes, tau), rule, finer)
        if error < QUADRATURE_TOLERANCE:
            return rule, error
    return RULES[-1], error


def _at(modes: Modes, tau: Array) -> Centres:
    j = nearest_node(tau, modes.tau)
    return Centres(
        mu=tuple(m[j] for m in modes.centres.mu), b=tuple(x[j] for x in modes.centres.b), theta=modes.theta[j]
    )


def _proposal(modes, tau_post, draws, seed, spread, df):
    """Draws of (theta, tau) and their log density."""
    P = modes.theta.shape[1]
    u = uniform_points(draws, P + 1 + (df is not None), seed)
    z = to_normal(u[:, 1 : P + 1])
    tau = np.zeros(draws) if tau_post is None else tau_post.quantile(u[:, 0])
    log_q = np.zeros(draws) if tau_post is None else tau_post.log_density(tau)
    if df is None:
        log_q = log_q - 0.5 * (z**2).sum(1)
    else:
        from scipy.special import chdtri

        chi2 = chdtri(df, 1 - u[:, P + 1])
        z = z * np.sqrt(df / chi2)[:, None]
        log_q = log_q - 0.5 * (df + P) * np.log1p((z**2).sum(1) / df)
    theta = np.empty((draws, P))
    nearest = nearest_node(tau, modes.tau)
    for j in np.unique(nearest):
        at = nearest == j
        chol = spread * np.linalg.cholesky(modes.cov[j])
        theta[at] = modes.theta[j] + z[at] @ chol.T
        log_q[at] -= np.log(np.diag(chol)).sum()
    return theta, tau, log_q


def _status(k: float, ess: float, modes: Modes, tau_post: TauPosterior | None) -> Status:
    mass = np.ones(1) if tau_post is None else tau_post.mass
    if mass[~modes.converged].sum() > 1e-3:
        return Status(ok=False, message="The posterior mode was not found; the result cannot be relied on.")
    if k > PARETO_K_LIMIT:
        return Status(
            ok=False,
            message=f"The Gaussian approximation is too far from the posterior to be corrected (Pareto k {k:.2f} > "
            f"{PARETO_K_LIMIT}). Use tighter priors, pool sparse treatments, or sample with the nuts engine.",
        )
    return Status(ok=True, message=f"Corrected to the exact posterior: Pareto k {k:.2f}, {ess:,.0f} effective draws.")
