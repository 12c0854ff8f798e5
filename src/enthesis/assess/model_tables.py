"""Tables behind the figures of Bayesian models: two fits side by side, and a posterior beside its prior."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.stats import gaussian_kde

from enthesis.errors import ModelError, UsageError, unknown_name
from enthesis.estimands import relative_effects
from enthesis.inference.criticism import DRAWS, deviance_table, sample
from enthesis.inference.fit import Fit
from enthesis.models.effects import ClassEffects, PerTreatment
from enthesis.models.heterogeneity import Exchangeable
from enthesis.models.priors import Prior

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

#: points at which densities are given
GRID = 200


def deviance_of_two(first: Fit, second: Fit, *, draws: int = DRAWS) -> pd.DataFrame:
    """Residual deviance of every data point under two models of the same network.

    Parameters
    ----------
    first, second : Fit
        Bayesian, for example consistent and unrelated mean effects.
    draws : int

    Returns
    -------
    pandas.DataFrame
        study, treatment, points, first, second (posterior mean residual deviance).

    Raises
    ------
    UsageError
        When the two fits have different data.
    """
    if first.network.content_hash != second.network.content_hash or first.model.likelihood != second.model.likelihood:
        raise UsageError("two models are compared point by point on one network and one kind of likelihood.")
    a, b = deviance_table(first, draws=draws), deviance_table(second, draws=draws)
    return a[["study", "treatment", "points"]].assign(first=a["residual_deviance"], second=b["residual_deviance"])


def shrinkage(classes: Fit, unrelated: Fit) -> pd.DataFrame:
    """Effects against the reference under class effects and without them.

    Parameters
    ----------
    classes : Fit
        With `ClassEffects`.
    unrelated : Fit
        With one unrelated effect per treatment.

    Returns
    -------
    pandas.DataFrame
        treatment, group (its class), estimate, lower, upper (class effects), unrelated, unrelated_lower,
        unrelated_upper, class_mean (NaN in a class of one), ratio (width of the interval by that of the unrelated one);
        model's scale.
    """
    if not isinstance(classes.model.effects, ClassEffects) or not isinstance(unrelated.model.effects, PerTreatment):
        raise ModelError(
            "shrinkage compares a fit with ClassEffects (first) with one of PerTreatment effects (second)."
        )
    if classes.network.treatment_names != unrelated.network.treatment_names:
        raise UsageError("shrinkage compares two models of one network.")
    own = relative_effects(classes, classes.reference)[["treatment", "estimate", "lower", "upper"]]
    free = relative_effects(unrelated, classes.reference).set_index("treatment").loc[own["treatment"]]
    group = {t.name: t.drug_class for t in classes.network.treatments}
    means = dict(zip(classes.theta_names, classes.weights @ classes.theta, strict=True))
    groups = [group[t] for t in own["treatment"]]
    return own.assign(
        group=groups,
        unrelated=free["estimate"].to_numpy(),
        unrelated_lower=free["lower"].to_numpy(),
        unrelated_upper=free["upper"].to_numpy(),
        class_mean=[means.get(f"class_mean[{g}]", np.nan) for g in groups],
        ratio=(own["upper"] - own["lower"]).to_numpy() / (free["upper"] - free["lower"]).to_numpy(),
    )


def prior_and_posterior(fit: Fit, parameters: list[str] | None = None) -> pd.DataFrame:
    """Densities of parameters before and after the data.

    Parameters
    ----------
    fit : Fit
        Bayesian, with effects per treatment.
    parameters : list of str, optional
        `tau`, or treatments (effect against the reference); default tau (with random effects) and every effect.

    Returns
    -------
    pandas.DataFrame
        parameter, value (model's scale), density, which (prior or posterior); 200 points each.

    Raises
    ------
    ModelError, UsageError
        For a fit without draws, or a parameter that it has not.

    Examples
    --------
    >>> import enthesis as en
    >>> rows = [dict(study=i, treatment=t, events=r, n=50) for i in (1, 2) for t, r in (("A", 5), ("B", 12))]
    >>> table = prior_and_posterior(en.fit(en.from_table(rows, measure="OR", reference="A")))
    >>> sorted(table["parameter"].unique()), sorted(table["which"].unique())
    (['B', 'tau'], ['posterior', 'prior'])
    """
    import pandas as pd

    sample(fit, 1)
    known = _priors(fit)
    frames = []
    for name in parameters or list(known):
        if name not in known:
            raise unknown_name("parameter", name, known)
        prior, draws = known[name]
        value, density = _density(draws, fit.weights, positive=name == "tau")
        for which, height in (("prior", np.exp(prior.log_density(value))), ("posterior", density)):
            frames.append(pd.DataFrame({"parameter": name, "value": value, "density": height, "which": which}))
    return pd.concat(frames, ignore_index=True)


def _priors(fit: Fit) -> dict[str, tuple[Prior, Array]]:
    found: dict[str, tuple[Prior, Array]] = {}
    if isinstance(fit.model.heterogeneity, Exchangeable) and "tau" in fit.hyper:
        found["tau"] = (fit.model.heterogeneity.sd, fit.tau_draws)
    if isinstance(fit.model.effects, PerTreatment):
        found |= {
            t: (fit.model.effects.prior, fit.d[:, i])
            for i, t in enumerate(fit.treatments)
            if t != fit.reference and np.isfinite(fit.d[:, i]).all()
        }
    return found


def _density(draws: Array, weights: Array, *, positive: bool) -> tuple[Array, Array]:
    """Kernel density of weighted draws; a standard deviation is reflected at 0, where its density need not vanish."""
    kernel = gaussian_kde(draws, weights=weights)
    spread = float(np.sqrt(weights @ (draws - weights @ draws) ** 2))
    low, high = draws.min() - spread, draws.max() + spread
    value = np.linspace(max(low, 0.0) if positive else low, high, GRID)
    density = kernel(value) + (kernel(-value) if positive else 0.0)
    return value, density


__all__ = ["deviance_of_two", "prior_and_posterior", "shrinkage"]
