"""Criticism of a Bayesian fit: how well it fits, at what price, and how much it owes to its priors.

- Residual deviance of each arm (or of each study's contrasts), averaged over the posterior; near its number of data
  points when the model fits. Leverage: that average less the deviance at the posterior means of the fitted values;
  pD is the sum of leverages, DIC = deviance + pD (Spiegelhalter DJ et al., J R Stat Soc B 2002;64:583; NICE DSU TSD 2).
- WAIC and PSIS-LOO by study: log Z_i of a study, its own parameters integrated out, is the predictive density that is
  needed, so one study is left out as a whole (Vehtari A, Gelman A, Gabry J, Stat Comput 2017;27:1413).
- Power-scaling: the posterior when prior or likelihood is raised to a power near 1, from the same draws; an effect that
  moves with the prior but not with the likelihood is the prior's (Kallioinen N et al., Stat Comput 2024;34:57). In a
  hierarchy only the priors at its top are scaled, as they advise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from enthesis.errors import ModelError
from enthesis.inference.diagnostics import effective_sample_size, pareto_smoothed
from enthesis.inference.fit import Fit
from enthesis.inference.integrals import by_study, default_centres, gaussian_by_study
from enthesis.inference.local import arm_predictors, gaussian_predictors, observation_covariance
from enthesis.models.compile import compile_target
from enthesis.models.target import Target

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

#: draws used for criticism; the error of DIC is then about 0.2
DRAWS = 2000


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Equally weighted draws of a fit with its target."""

    target: Target
    theta: Array
    h: Array


def sample(fit: Fit, draws: int = DRAWS, *, seed: int = 1) -> Sample:
    """Equally weighted draws by systematic resampling, in random order.

    The order matters: every second quasi-random point lies in one half of the space.

    Raises
    ------
    ModelError
        For a fit without draws.
    """
    _require_draws(fit)
    order = np.random.default_rng(seed).permutation(len(fit.weights))
    cdf = np.cumsum(fit.weights[order])
    at = order[np.searchsorted(cdf, (np.arange(draws) + 0.5) / draws * cdf[-1])]
    return Sample(target=compile_target(fit.model, fit.network), theta=fit.theta[at], h=fit.hyper_draws[at])


def _require_draws(fit: Fit) -> None:
    if not fit.is_bayesian or fit.theta is None:
        raise ModelError("criticism needs a Bayesian fit: use engine 'laplace' or 'nuts', not 'gls'.")


def deviance_table(fit: Fit, *, draws: int = DRAWS, seed: int = 1) -> pd.DataFrame:
    """Residual deviance and leverage of every data point.

    Parameters
    ----------
    fit : Fit
        Bayesian.
    draws, seed : int

    Returns
    -------
    pandas.DataFrame
        study, treatment (empty for contrasts), points (data points), residual_deviance, leverage, fitted (posterior
        mean: a probability, a number of events, or a mean).
    """
    import pandas as pd

    s = sample(fit, draws)
    rng = np.random.default_rng(seed)
    names, studies = fit.network.treatment_names, fit.network.studies
    rows = []
    for part, eta in zip(s.target.arms, arm_predictors(s.target, s.theta, s.h, rng), strict=True):
        like = part.likelihood
        cut = () if part.cut is None else (s.theta[:, part.cut],)
        fitted = like.fitted(part.data, eta, *cut)
        mean = fitted.mean(0)
        average, at_mean = like.deviance(part.data, fitted).mean(0), like.deviance(part.data, mean)
        points = np.isfinite(part.data["r"]).sum(1) if part.data["r"].ndim == 2 else np.ones(len(mean))
        for i in range(len(part.plus)):
            rows.append((studies[part.label[part.study[i]]], names[part.plus[i]], points[i], average[i],
                         average[i] - at_mean[i], mean[i] if mean.ndim == 1 else mean[i, 0]))  # fmt: skip
    for part, true in zip(s.target.gaussian, gaussian_predictors(s.target, s.theta, s.h, rng), strict=True):
        R = observation_covariance(s.target, part)
        mean = true.mean(0)
        average = _quadratic(part.y - true, R).mean(0)
        at_mean = _quadratic(part.y - mean[None], R)[0]
        rows += _gaussian_rows(part, R, true, mean, average, at_mean, names, studies)
    columns = ["study", "treatment", "points", "residual_deviance", "leverage", "fitted"]
    return pd.DataFrame(_in_order(rows, studies), columns=columns)


def _in_order(rows: list[tuple], studies: tuple[str, ...]) -> list[tuple]:
    """Rows that begin with a study, in the order of the network's studies."""
    place = {name: i for i, name in enumerate(studies)}
    return sorted(rows, key=lambda row: place[row[0]])


def _gaussian_rows(part, R, true, mean, average, at_mean, names, studies) -> list[tuple]:
    """Arm by arm for arm means, study by study for contrasts, whose data points are correlated."""
    if not part.lead:
        return [
            (studies[study], "", part.y.shape[1], average[g], average[g] - at_mean[g], float("nan"))
            for g, study in enumerate(part.study)
        ]
    variance = np.diagonal(R, axis1=1, axis2=2)
    each = ((part.y - true) ** 2 / variance).mean(0)
    leverage = each - (part.y - mean) ** 2 / variance
    return [
        (studies[study], names[part.plus[g, k]], 1.0, each[g, k], leverage[g, k], mean[g, k])
        for g, study in enumerate(part.study)
        for k in range(part.y.shape[1])
    ]


def _quadratic(residual: Array, R: Array) -> Array:
    """r'R^-1 r of each study, shape (points, studies)."""
    solved = np.linalg.solve(np.broadcast_to(R, (*residual.shape[:2], *R.shape[1:])), residual[..., None])[..., 0]
    return (residual * solved).sum(-1)


def dic(fit: Fit, *, draws: int = DRAWS, seed: int = 1) -> dict[str, float]:
    """Deviance information criterion.

    Parameters
    ----------
    fit : Fit
        Bayesian.
    draws, seed : int

    Returns
    -------
    dict
        residual_deviance (posterior mean, summed), pD, DIC, points.
    """
    table = deviance_table(fit, draws=draws, seed=seed)
    deviance, p = float(table["residual_deviance"].sum()), float(table["leverage"].sum())
    return {"residual_deviance": deviance, "pD": p, "DIC": deviance + p, "points": float(table["points"].sum())}


def study_log_likelihood(fit: Fit, *, draws: int = DRAWS) -> tuple[Array, tuple[str, ...]]:
    """log p(y_i | theta, h) of every study, its own parameters integrated out.

    Returns
    -------
    float array, shape (draws, studies)
    tuple of str
        Study names.
    """
    s = sample(fit, draws)
    found = by_study(s.target, s.theta, s.h, default_centres(s.target, draws), (13, 9))
    labels = [part.label for part in s.target.arms]
    found += gaussian_by_study(s.target, s.theta, s.h)
    labels += [part.study for part in s.target.gaussian]
    order = np.argsort(np.concatenate(labels), kind="stable")
    names = tuple(fit.network.studies[i] for i in np.concatenate(labels)[order])
    return np.concatenate(found, axis=1)[:, order], names


def loo(fit: Fit, *, draws: int = DRAWS) -> pd.DataFrame:
    """Leave-one-study-out predictive density by Pareto-smoothed importance sampling, and WAIC.

    Parameters
    ----------
    fit : Fit
        Bayesian.
    draws : int

    Returns
    -------
    pandas.DataFrame
        study, elpd_loo (log predictive density of the study given all others), pareto_k (above 0.7: not reliable,
        refit without the study), elpd_waic, p_waic. Sums over studies are the criteria; -2 times them is on DIC's
        scale.
    """
    import pandas as pd

    ll, names = study_log_likelihood(fit, draws=draws)
    rows = []
    for i, name in enumerate(names):
        weights, k = pareto_smoothed(-ll[:, i])
        elpd = float(_log_mean(ll[:, i], weights))
        lppd = float(_log_mean(ll[:, i], np.full(len(ll), 1 / len(ll))))
        p = float(np.var(ll[:, i], ddof=1))
        rows.append((name, elpd, k, lppd - p, p))
    return pd.DataFrame(rows, columns=["study", "elpd_loo", "pareto_k", "elpd_waic", "p_waic"])


def _log_mean(values: Array, weights: Array) -> float:
    top = values.max()
    return top + np.log(np.sum(weights * np.exp(values - top)))


def prior_sensitivity(fit: Fit, *, step: float = 0.125) -> pd.DataFrame:
    """How far each effect and each standard deviation moves when prior or likelihood is raised to a power near 1.

    Parameters
    ----------
    fit : Fit
        Bayesian.
    step : float
        The powers are 1 / (1 + step) and 1 + step.

    Returns
    -------
    pandas.DataFrame
        parameter, prior, likelihood (change of the posterior mean per doubling of the power, in posterior standard
        deviations), diagnosis in words.
    """
    import pandas as pd

    _require_draws(fit)
    target = compile_target(fit.model, fit.network)
    log_prior = target.log_top_prior(fit.theta, fit.hyper_draws)
    ll = sum(
        x.sum(1) for x in by_study(target, fit.theta, fit.hyper_draws, default_centres(target, len(fit.theta)), (9, 7))
    )
    ll = ll + sum((x.sum(1) for x in gaussian_by_study(target, fit.theta, fit.hyper_draws)), np.zeros(len(fit.theta)))
    values = np.c_[fit.theta, fit.hyper_draws]
    names = (*fit.theta_names, *fit.hyper)
    w = fit.weights
    centre = w @ values
    sd = np.sqrt(np.maximum(w @ (values - centre) ** 2, 1e-300))
    moved = {
        part: _scaled_mean(values, w, log, 1 + step) - _scaled_mean(values, w, log, 1 / (1 + step))
        for part, log in (("prior", log_prior), ("likelihood", ll))
    }
    per_doubling = {part: np.abs(m) / sd / (2 * np.log2(1 + step)) for part, m in moved.items()}
    return pd.DataFrame(
        {
            "parameter": names,
            "prior": per_doubling["prior"],
            "likelihood": per_doubling["likelihood"],
            "diagnosis": [
                _diagnosis(a, b) for a, b in zip(per_doubling["prior"], per_doubling["likelihood"], strict=True)
            ],
        }
    )


def _scaled_mean(values: Array, weights: Array, log: Array, power: float) -> Array:
    shifted = (power - 1) * log
    w = weights * np.exp(shifted - shifted.max())
    w = w / w.sum()
    if effective_sample_size(w) < 50:
        return np.full(values.shape[1], np.nan)
    return w @ values


#: change of the mean per doubling, in posterior standard deviations, above which a part counts as influential
INFLUENTIAL = 0.2


def _diagnosis(prior: float, likelihood: float) -> str:
    if not (np.isfinite(prior) and np.isfinite(likelihood)):
        return "too few effective draws to tell"
    if prior < INFLUENTIAL:
        return "not sensitive to the prior"
    return "prior and data disagree" if likelihood >= INFLUENTIAL else "the prior decides; the data say little"


def predictive_check(fit: Fit, *, draws: int = DRAWS, seed: int = 1) -> pd.DataFrame:
    """Posterior predictive check of every arm: where the observed value falls among replicates of the same arm.

    Parameters
    ----------
    fit : Fit
        Bayesian, with counts, rates or arm means.
    draws, seed : int

    Returns
    -------
    pandas.DataFrame
        study, treatment, observed, replicate_mean, lower, upper (95 % of replicates), p (mid-probability that a
        replicate is below the observed value; near 0 or 1: badly predicted).
    """
    import pandas as pd

    s = sample(fit, draws)
    rng = np.random.default_rng(seed)
    rows = []
    for part, eta in zip(s.target.arms, arm_predictors(s.target, s.theta, s.h, rng), strict=True):
        if part.cut is not None:
            raise ModelError(
                "predictive checks of ordered responses are made level by level: fit each level by itself."
            )
        new = part.likelihood.replicate(part.data, part.likelihood.fitted(part.data, eta), rng)
        rows += _check_rows(fit, part.label[part.study], part.plus, part.data["r"], new)
    for part, true in zip(s.target.gaussian, gaussian_predictors(s.target, s.theta, s.h, rng), strict=True):
        sd = np.sqrt(np.diagonal(observation_covariance(s.target, part), axis1=1, axis2=2))
        new = true + sd * rng.standard_normal(true.shape)
        study = np.repeat(part.study[:, None], part.y.shape[1], axis=1)
        rows += _check_rows(fit, study.ravel(), part.plus.ravel(), part.y.ravel(), new.reshape(len(new), -1))
    columns = ["study", "treatment", "observed", "replicate_mean", "lower", "upper", "p"]
    return pd.DataFrame(_in_order(rows, fit.network.studies), columns=columns)


def _check_rows(fit: Fit, study, treatment, observed: Array, new: Array) -> list[tuple]:
    lower, upper = np.quantile(new, [0.025, 0.975], axis=0)
    p = (new < observed).mean(0) + 0.5 * (new == observed).mean(0)
    names, studies = fit.network.treatment_names, fit.network.studies
    return [
        (studies[study[i]], names[treatment[i]], observed[i], new[:, i].mean(), lower[i], upper[i], p[i])
        for i in range(len(observed))
    ]
