"""The posterior without a study, from the draws of the posterior with it.

p(theta | y without study i) is proportional to p(theta | y) / Z_i(theta), Z_i being the study's likelihood with its own
parameters integrated out, which is cheap at every draw. The smoothed weights have a certificate: where Pareto k or the
effective number of draws says that they cannot be trusted, there is no answer, and the model must be fitted again
(Vehtari A, Gelman A, Gabry J, Stat Comput 2017;27:1413).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from enthesis.errors import EnthesisError
from enthesis.inference import gls
from enthesis.inference.diagnostics import (
    PARETO_K_LIMIT,
    covariance,
    effective_sample_size,
    mean,
    pareto_smoothed,
    quantiles,
)
from enthesis.inference.fit import Fit, Heterogeneity, Tau
from enthesis.inference.integrals import by_study, default_centres, gaussian_by_study
from enthesis.inference.result import Status
from enthesis.models.compile import compile_target
from enthesis.models.target import contrast_target
from enthesis.network.network import Network
from enthesis.network.subset import comparable

Array = NDArray[np.float64]

#: with fewer effective draws than this an interval's ends are too rough
LEAST_DRAWS = 400
#: nodes for mu and for b
RULE = (13, 9)


def without_studies_by_weights(fit: Fit, networks: Iterable[Network | None]) -> list[Fit | None]:
    """The fit without each study in turn, as far as the draws allow.

    Parameters
    ----------
    fit : Fit
        Bayesian.
    networks : iterable of Network or None
        For each study of the fit's network, the network without it; None where there is none.

    Returns
    -------
    list of Fit or None
        None where the network lost a treatment, or the weights have no certificate.
    """
    log_z = study_densities(fit)
    with np.errstate(divide="ignore"):
        own = np.log(fit.weights)
    return [
        _reweighted(fit, own - log_z[:, i], network)
        if network is not None and network.treatment_names == fit.treatments and np.isfinite(log_z[:, i]).all()
        else None
        for i, network in enumerate(networks)
    ]


def study_densities(fit: Fit) -> Array:
    """log Z of every study at every draw, shape (draws, studies of the network); 0 for one without data of its own."""
    target = compile_target(fit.model, fit.network)
    theta, h = fit.theta, fit.hyper_draws
    out = np.zeros((len(theta), fit.network.n_studies))
    for part, found in zip(
        target.arms, by_study(target, theta, h, default_centres(target, len(theta)), RULE), strict=True
    ):
        out[:, part.label] += found
    for part, found in zip(target.gaussian, gaussian_by_study(target, theta, h), strict=True):
        out[:, part.study] += found
    return out


def _reweighted(fit: Fit, log_weights: Array, network: Network) -> Fit | None:
    weights, k = pareto_smoothed(log_weights)
    ess = effective_sample_size(weights)
    if k > PARETO_K_LIMIT or ess < LEAST_DRAWS:
        return None
    D = fit.d
    interval = quantiles(fit.hyper_draws, weights, (0.025, 0.975)) if fit.hyper else np.zeros((2, 0))
    hyper = {
        name: Tau(estimate=float(m), lower=float(lo), upper=float(hi))
        for name, m, lo, hi in zip(fit.hyper, mean(fit.hyper_draws, weights), *interval, strict=True)
    }
    ends = quantiles(fit.tau_draws, weights, (0.025, 0.975))
    return replace(
        fit,
        network=network.replace(reference=fit.reference),
        weights=weights,
        estimate=mean(D, weights),
        covariance=covariance(D, weights),
        hyper=hyper,
        tau=Tau(estimate=float(weights @ fit.tau_draws), lower=float(ends[0]), upper=float(ends[1])),
        heterogeneity=_heterogeneity(network),
        status=Status(ok=True, message=f"Reweighted: Pareto k {k:.2f}, {ess:,.0f} effective draws."),
        diagnostics={"method": "reweighted", "pareto_k": k, "effective_sample_size": ess},
    )


def _heterogeneity(network: Network) -> Heterogeneity:
    """Q of the contrasts, for the reader."""
    try:
        common = gls.solve(contrast_target(comparable(network)))
    except EnthesisError:
        return Heterogeneity(Q=np.nan, df=0, p=np.nan, I2=np.nan)
    return Heterogeneity(Q=common.Q, df=common.df, p=np.nan, I2=np.nan)
