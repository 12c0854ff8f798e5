"""Generalised least squares on contrasts: effects, their covariance and Q at a given tau².

Every study is a small graph Laplacian L_i(tau²) (see `network.pairwise`). The network's Laplacian is their sum,
d solves L d = b with b = Σ weighted contrasts, and covariances come from the inverse of L without the reference
(Rücker G, Res Synth Methods 2012;3:312). Where effects are made of fewer parameters, d = B theta (additive
components, for example), theta solves B'LB theta = B'b (Rücker G, Petropoulou M, Schwarzer G, Biom J 2020;62:808).
Work is linear in studies and cubic in parameters; the covariance, which costs most of it, is computed when it is first
asked for. `tau` estimates tau².
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from enthesis.models.target import ContrastTarget

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class GLS:
    """A generalised-least-squares solution.

    Parameters
    ----------
    tau2 : float
    d : float array, shape (treatments,)
        Effects against the reference.
    Q : float
        Weighted residual sum of squares.
    df : int
        Independent contrasts minus free effects.
    logdet : float
        Log determinant of the information of the free effects.
    factor : float array, shape (parameters, parameters)
        Cholesky factor of that information, in the lower triangle.
    basis : float array, shape (treatments, parameters), or None
        Effects per parameter; None for one free effect per treatment other than the reference.
    reference : int
    """

    tau2: float
    d: Array
    Q: float
    df: int
    logdet: float
    factor: Array
    basis: Array | None
    reference: int

    @cached_property
    def cov(self) -> Array:
        """Covariance of d, shape (treatments, treatments); zero in the reference's row and column."""
        inverse = cho_solve((self.factor, True), np.eye(len(self.factor)), overwrite_b=True, check_finite=False)
        inverse = 0.5 * (inverse + inverse.T)
        if self.basis is not None:
            cov = self.basis @ inverse @ self.basis.T
            return 0.5 * (cov + cov.T)
        size = len(self.d)
        cov = np.zeros((size, size))
        keep = np.flatnonzero(np.arange(size) != self.reference)
        cov[np.ix_(keep, keep)] = inverse
        return cov


def solve(target: ContrastTarget, tau2: float = 0.0) -> GLS:
    """Effects and covariance at a given tau².

    Parameters
    ----------
    target : ContrastTarget
    tau2 : float

    Returns
    -------
    GLS
    """
    laplacians = [g.laplacian(tau2) for g in target.groups]
    L, b = _assemble(target, laplacians)
    d = np.zeros(target.size)
    if target.basis is None:
        keep = np.flatnonzero(np.arange(target.size) != target.reference)
        factor, _ = cho_factor(L[np.ix_(keep, keep)], lower=True, overwrite_a=True, check_finite=False)
        d[keep] = cho_solve((factor, True), b[keep], check_finite=False)
    else:
        B = target.basis
        factor, _ = cho_factor(B.T @ L @ B, lower=True)
        d = B @ cho_solve((factor, True), B.T @ b)
    Q = sum(float(np.sum(-lap * residuals(g, d) ** 2)) / 2 for g, lap in zip(target.groups, laplacians, strict=True))
    return GLS(
        tau2=tau2,
        d=d,
        Q=max(Q, 0.0),
        df=target.n_independent - target.rank,
        logdet=2 * float(np.log(np.diag(factor)).sum()),
        factor=factor,
        basis=target.basis,
        reference=target.reference,
    )


def residuals(group, d: Array) -> Array:
    """Observed minus fitted contrasts of every pair of arms, shape (studies, k, k)."""
    return group.y - d[group.arms][:, :, None] + d[group.arms][:, None, :]


def local(cov: Array, group) -> Array:
    """The covariance of each study's own arms, shape (studies, k, k)."""
    return cov[group.arms[:, :, None], group.arms[:, None, :]]


def _assemble(target: ContrastTarget, laplacians: list[Array]) -> tuple[Array, Array]:
    size = target.size
    L, b = np.zeros(size * size), np.zeros(size)
    for g, lap in zip(target.groups, laplacians, strict=True):
        cells = (g.arms[:, :, None] * size + g.arms[:, None, :]).ravel()
        L += np.bincount(cells, lap.ravel(), size * size)
        b += np.bincount(g.arms.ravel(), -np.sum(lap * g.y, axis=2).ravel(), size)
    return L.reshape(size, size), b
