"""Exact posterior for normal likelihoods: Gaussian given tau, quadrature over tau.

Given tau, every part is y ~ Normal(X theta, V + tau² M), so theta | tau, y is Gaussian and p(tau | y) is known up to a
constant: p(tau) |A0|^(1/2) |A|^(-1/2) Π |V + tau² M|^(-1/2) exp(-(y'Wy + m'A0 m - b'A^-1 b) / 2). Means and
covariances are sums over quadrature nodes; draws come from the mixture over the nodes. There is no Monte Carlo error
in the mean, the covariance or the quantiles of tau. Same scheme as Röver C, J Stat Softw 2020;93:6 (bayesmeta) for
two treatments.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from enthesis.inference.quadrature import TauPosterior, tau_posterior
from enthesis.inference.result import Posterior, Status
from enthesis.models.target import GaussianPart, Target

Array = NDArray[np.float64]


class GaussianSystem:
    """Precision and right-hand side of theta given tau, for the Gaussian parts of a target."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.size = target.D.shape[0]

    def at(self, tau: float) -> tuple[Array, Array, float]:
        """(A, b, c) with log p(y | theta, tau) = -theta'A theta / 2 + b'theta + c, prior of theta not included."""
        T, D = self.size, self.target.D
        L, r, c = np.zeros(T * T), np.zeros(T), 0.0
        for part in self.target.gaussian:
            V = part.V + tau**2 * part.M
            W = np.linalg.inv(V)
            Wy = np.einsum("gij,gj->gi", W, part.y)
            c -= 0.5 * float(np.sum(Wy * part.y) + np.linalg.slogdet(V)[1].sum() + part.y.size * np.log(2 * np.pi))
            _scatter(L, W, part, T)
            r += np.bincount(part.plus.ravel(), Wy.ravel(), T) - np.bincount(part.minus.ravel(), Wy.ravel(), T)
        return D.T @ L.reshape(T, T) @ D, D.T @ r, c


def _scatter(L: Array, W: Array, part: GaussianPart, T: int) -> None:
    for left, sign in ((part.plus, 1.0), (part.minus, -1.0)):
        for right, other in ((part.plus, 1.0), (part.minus, -1.0)):
            cells = (left[:, :, None] * T + right[:, None, :]).ravel()
            L += sign * other * np.bincount(cells, W.ravel(), T * T)


def posterior(target: Target, *, draws: int, seed: int) -> Posterior:
    """The posterior of a target that has only Gaussian parts.

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
    if target.tau is None:
        mean, cov, _ = _conditional(system, 0.0)
        z = normal_points(draws, len(mean), seed)
        theta = mean + z @ np.linalg.cholesky(cov).T
        return Posterior(
            mean=mean, cov=cov, theta=theta, weights=np.full(draws, 1 / draws),
            status=Status(ok=True, message="Exact: the posterior is Gaussian."), diagnostics={"method": "exact"},
        )  # fmt: skip

    def log_density(tau: Array) -> Array:
        return np.array([_conditional(system, t)[2] for t in tau]) + target.tau.log_density(tau)

    tau_post = tau_posterior(log_density, target.tau, scale=typical_se(target))
    nodes = [_conditional(system, t) for t in tau_post.nodes]
    means = np.array([n[0] for n in nodes])
    mean = tau_post.mass @ means
    cov = np.tensordot(tau_post.mass, np.array([n[1] for n in nodes]), axes=1)
    cov = cov + (tau_post.mass[:, None] * (means - mean)).T @ (means - mean)
    u = uniform_points(draws, 1 + len(mean), seed)
    tau = tau_post.quantile(u[:, 0])
    theta = _given_node(tau, tau_post, means, [n[1] for n in nodes], to_normal(u[:, 1:]))
    interval = tau_post.quantile(np.array([0.025, 0.975]))
    return Posterior(
        mean=mean, cov=cov, theta=theta, weights=np.full(draws, 1 / draws), tau=tau, tau_mean=tau_post.mean,
        tau_interval=(float(interval[0]), float(interval[1])),
        status=Status(ok=True, message="Exact: Gaussian given tau, quadrature over tau."),
        diagnostics={"method": "exact", "tau_nodes": len(tau_post.nodes), "log_evidence": tau_post.log_evidence},
    )  # fmt: skip


def _conditional(system: GaussianSystem, tau: float) -> tuple[Array, Array, float]:
    """Mean and covariance of theta given tau, and log p(y | tau)."""
    target = system.target
    A, b, c = system.at(tau)
    precision = target.prior_sd**-2.0
    A = A + np.diag(precision)
    b = b + precision * target.prior_mean
    cov = np.linalg.inv(A)
    cov = 0.5 * (cov + cov.T)
    mean = cov @ b
    log_p = c + 0.5 * (b @ mean - np.sum(precision * target.prior_mean**2) + np.sum(np.log(precision)))
    return mean, cov, float(log_p - 0.5 * np.linalg.slogdet(A)[1])


def _given_node(tau: Array, tau_post: TauPosterior, means: Array, covs: list[Array], z: Array) -> Array:
    """Draws of theta from the conditional of the node nearest to each draw of tau."""
    theta = np.empty_like(z)
    nearest = nearest_node(tau, tau_post.nodes)
    for j in np.unique(nearest):
        at = nearest == j
        theta[at] = means[j] + z[at] @ np.linalg.cholesky(covs[j]).T
    return theta


def nearest_node(tau: Array, nodes: Array) -> NDArray[np.int64]:
    """Position of the nearest node of each tau."""
    return np.searchsorted(0.5 * (nodes[1:] + nodes[:-1]), tau)


def typical_se(target: Target) -> float:
    """A typical standard error of the data, for the scale on which tau is looked for."""
    if not target.gaussian:
        return 1.0
    spread = [np.sqrt(np.abs(p.V[:, -1, -1] + p.V[:, 0, 0] - 2 * p.V[:, 0, -1] if p.M[0, 0] == 0 else p.V[:, 0, 0]))
              for p in target.gaussian]  # fmt: skip
    return float(np.median(np.concatenate(spread)))


def uniform_points(draws: int, dimension: int, seed: int) -> Array:
    """Scrambled Sobol points in the open unit cube, shape (draws, dimension)."""
    power = max(int(np.ceil(np.log2(max(draws, 2)))), 1)
    points = qmc.Sobol(dimension, scramble=True, rng=np.random.default_rng(seed)).random_base2(power)[:draws]
    return np.clip(points, 1e-12, 1 - 1e-12)


def to_normal(u: Array) -> Array:
    """Standard normal quantiles."""
    from scipy.special import ndtri

    return ndtri(u)


def normal_points(draws: int, dimension: int, seed: int) -> Array:
    """Quasi-random standard normal draws, shape (draws, dimension)."""
    return to_normal(uniform_points(draws, dimension, seed))
