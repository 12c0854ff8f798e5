"""fit(network, model) → Fit: chooses an engine, runs it, puts the names back.

The rule (docs/how-to/how-to-choose.md says it in prose): `auto` is the deterministic Bayesian engine, which is exact
for normal data and corrected to the exact posterior otherwise, or, where that cannot be trusted, the sampler `nuts`;
`gls` is the frequentist twin on contrasts; `mh`, `nch` and `plr` are common-effect estimators for rare events.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from enthesis.errors import DataError, EnthesisError, ModelError, UsageError, unknown_name
from enthesis.hashing import content_hash
from enthesis.inference import exact, gls, laplace, nuts
from enthesis.inference import tau as between
from enthesis.inference.diagnostics import quantiles
from enthesis.inference.intervals import CI, Prediction, interval_rule, prediction_df
from enthesis.inference.rare import RARE_ENGINES, Arms, rare_solution, uninformative
from enthesis.inference.result import Posterior, Status
from enthesis.models.compile import compile_target
from enthesis.models.consistency import Consistent
from enthesis.models.effects import Components, PerTreatment
from enthesis.models.heterogeneity import Common
from enthesis.models.likelihoods import chosen_likelihood
from enthesis.models.model import Model
from enthesis.models.target import Target, contrast_target, require_connected
from enthesis.network.blocks import ArmCounts
from enthesis.network.geometry import components
from enthesis.network.ledger import Entry
from enthesis.network.network import Network
from enthesis.network.subset import comparable, keeping

Array = NDArray[np.float64]
Engine = Literal["auto", "gls", "laplace", "nuts", "mh", "nch", "nch-approximate", "plr"]
#: a posterior mean of tau beyond this quantile of its prior is a conflict between prior and data
TAIL = 0.999
ENGINES: tuple[str, ...] = ("auto", "gls", "laplace", "nuts", *RARE_ENGINES)


@dataclass(frozen=True, kw_only=True)
class Tau:
    """Between-study standard deviation with its 95 % interval, on the measure's scale.

    For common effects all three are 0. For `gls` the interval is the Q-profile interval, NaN without degrees of
    freedom; for Bayesian engines the estimate is the posterior mean.
    """

    estimate: float
    lower: float
    upper: float


@dataclass(frozen=True, kw_only=True)
class Heterogeneity:
    """Cochran's Q of the common-effect model with its degrees of freedom, p-value and I² (0 to 1).

    Q sums heterogeneity within and inconsistency between designs. All are NaN where no contrasts can be formed.
    """

    Q: float
    df: int
    p: float
    I2: float


@dataclass(frozen=True, kw_only=True)
class Fit:
    """What follows from a network and a model.

    Parameters
    ----------
    network, model : Network, Model
        `network` is what was fitted: arms without a usable contrast are left out for models that need contrasts, and
        its ledger says so.
    engine : str
        `gls`, `laplace`, `nuts`, `mh`, `nch`, `nch-approximate` or `plr`.
    estimate : float array, shape (treatments,)
        Effects against the reference on the model's scale; posterior means for Bayesian engines.
    covariance : float array, shape (treatments, treatments)
    tau : Tau
    heterogeneity : Heterogeneity
    status : Status
    d : float array, shape (draws, treatments), or None
        Draws of the effects against the reference.
    tau_draws : float array, shape (draws,), or None
        Of tau; of the root mean square over classes when there is one tau per class.
    tau_of_arms : int array, shape (treatments,), or None
        Which column of `hyper_draws` is the tau of each treatment's arms.
    weights : float array, shape (draws,), or None
        Weights of the draws; sum to 1.
    theta : float array, shape (draws, parameters), or None
        Draws of all global parameters, named by `theta_names`.
    hyper_draws : float array, shape (draws, hyperparameters), or None
        Draws of the standard deviations, in the order of `hyper`.
    hyper : dict of str to Tau
        Every standard deviation of the model with its interval.
    diagnostics : dict
    settings : dict
        Engine settings that change numbers: estimator of tau, kinds of intervals, seed, number of draws.
    df, prediction_df : float
        Degrees of freedom of confidence and prediction intervals of a frequentist fit; inf for the normal
        distribution. See `intervals`.

    Examples
    --------
    >>> import enthesis as en
    >>> rows = [dict(study="1", treatment=x, events=r, n=50) for x, r in (("A", 5), ("B", 12))]
    >>> result = en.fit(en.from_table(rows, reference="A"), en.Model(heterogeneity=en.Common()))
    >>> result.treatments, result.engine, result.status.ok
    (('A', 'B'), 'laplace', True)
    """

    network: Network
    model: Model
    engine: str
    estimate: Array
    covariance: Array
    tau: Tau
    heterogeneity: Heterogeneity
    status: Status
    d: Array | None = None
    tau_draws: Array | None = None
    tau_of_arms: NDArray[np.int64] | None = None
    weights: Array | None = None
    theta: Array | None = None
    theta_names: tuple[str, ...] = ()
    hyper_draws: Array | None = None
    hyper: dict[str, Tau] = field(default_factory=dict)
    diagnostics: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    df: float = float("inf")
    prediction_df: float = float("inf")

    @property
    def reference(self) -> str:
        """The treatment that `estimate` is expressed against."""
        return self.network.reference

    @property
    def treatments(self) -> tuple[str, ...]:
        """Treatment names in the order of the arrays."""
        return self.network.treatment_names

    @property
    def effects(self) -> str:
        """`common` or `random`."""
        return "common" if isinstance(self.model.heterogeneity, Common) else "random"

    @property
    def is_bayesian(self) -> bool:
        """Whether there are posterior draws."""
        return self.d is not None

    @cached_property
    def content_hash(self) -> str:
        """Identity of the inputs, which determine the result."""
        return content_hash((self.network, self.model, self.engine, self.settings))

    def _assumed(self) -> str:
        """The model in words; engines without priors name none."""
        if self.is_bayesian:
            return self.model.describe()
        method = self.settings.get("tau")
        return f"{self.effects} effects" + (f", tau by {method}" if method else "")

    def __str__(self) -> str:
        tau = f"tau {self.tau.estimate:.3g} ({self.tau.lower:.3g} to {self.tau.upper:.3g})"
        return (
            f"Fit of {self.network.n_studies} studies, {self.network.n_treatments} treatments, "
            f"{self.network.measure.name} by {self.engine}\n  {self._assumed()}\n  "
            f"{tau if self.effects == 'random' else 'common effects'}\n  {self.status.message}"
        )


def fit(
    network: Network,
    model: Model | None = None,
    *,
    engine: Engine = "auto",
    tau: between.TauMethod = "REML",
    tau_interval: between.TauInterval = "Q-profile",
    ci: CI = "normal",
    prediction: Prediction = "V",
    seed: int = 1,
    draws: int = 4000,
) -> Fit:
    """Fit a model to a network.

    Parameters
    ----------
    network : Network
    model : Model, optional
        Default: random effects with a half-normal(1) prior on tau; common effects for the engines of rare events.
    engine : {"auto", "gls", "laplace", "nuts", "mh", "nch", "nch-approximate", "plr"}
        `laplace` is the deterministic Bayesian engine (exact for normal data), `nuts` samples; `auto` takes the first,
        and the second when the status of the first is not ok (`diagnostics["tried"]` then says why). It lets `nuts`
        work for a bounded number of evaluations, about two minutes; when that was not enough the answer is that of
        `laplace`, not ok. `gls` ignores priors. For odds ratios of rare events: `mh` (Mantel-Haenszel), `nch`
        (non-central hypergeometric, exact or approximated), `plr` (penalised likelihood); see `inference.rare`.
    tau : {"REML", "ML", "DL", "PM", "HE", "SJ", "EB", "HS", "HSk", "PMM", "DLIT", "SJIT"}
        Estimator of tau for `gls`; see `inference.tau` for which are defined for studies of three or more arms.
    tau_interval : {"Q-profile", "profile likelihood"}
        For `gls`; the latter with ML or REML.
    ci : {"normal", "t", "knapp-hartung", "knapp-hartung-truncated"}
        Confidence intervals of `gls`.
    prediction : {"V", "HTS", "S"}
        Prediction intervals of `gls`: t on the degrees of freedom of Q, on one less, or normal.
    seed, draws : int
        Of the Bayesian engines.

    Returns
    -------
    Fit

    Raises
    ------
    NotConnected
        When the network falls into parts.
    DataError, ModelError, UsageError
        When data, model and engine do not fit one another.

    Examples
    --------
    >>> import pandas as pd, enthesis as en
    >>> table = pd.DataFrame({"study": ["1", "1", "2", "2"], "treatment": ["placebo", "drug"] * 2,
    ...                       "events": [5, 12, 8, 15], "n": [50, 50, 60, 60]})
    >>> result = en.fit(en.from_table(table, measure="OR", reference="placebo"), engine="gls")
    >>> result.status.ok
    True
    """
    if engine not in ENGINES:
        raise unknown_name("engine", engine, ENGINES)
    if not 100 <= draws <= 1_000_000:
        raise UsageError(f"draws must be between 100 and 1,000,000, not {draws}.")
    if seed < 0:
        raise UsageError(f"the seed must be 0 or above, not {seed}.")
    if engine in RARE_ENGINES:
        return _fit_rare(network, model or Model(heterogeneity=Common()), engine, ci)
    model = model or Model()
    if engine == "gls":
        return _fit_gls(network, model, tau, tau_interval, ci, prediction)
    return _fit_bayesian(network, model, engine, seed, draws)


def _fit_gls(
    network: Network,
    model: Model,
    method: between.TauMethod,
    kind: between.TauInterval,
    ci: CI,
    prediction: Prediction,
) -> Fit:
    _require_plain(model, "gls")
    network = comparable(network)
    additive = isinstance(model.effects, Components)
    target = contrast_target(network, model.effects.basis(network) if additive else None)
    common = gls.solve(target)
    random = not isinstance(model.heterogeneity, Common)
    tau2 = between.tau2_estimate(target, method) if random else 0.0
    solution = gls.solve(target, tau2) if tau2 > 0 else common
    interval = between.tau_interval(target, kind=kind, method=method) if random else (0.0, 0.0)
    rule = interval_rule(ci, Q=solution.Q, df=common.df, random=random)
    new = prediction_df(prediction, common.df) if random else rule.df
    message = "Generalised least squares."
    if random and common.df == 0:
        message += " No degrees of freedom: tau cannot be estimated and was set to 0."
    settings = {"tau": method if random else None, "tau_interval": kind if random else None, "ci": ci,
                "prediction": prediction if random else None}  # fmt: skip
    return Fit(
        network=network, model=model, engine="gls", estimate=solution.d, covariance=rule.factor * solution.cov,
        tau=Tau(estimate=float(np.sqrt(tau2)), lower=interval[0], upper=interval[1]),
        heterogeneity=_heterogeneity(common), status=Status(ok=True, message=message),
        diagnostics={"tau_method": settings["tau"], "tau_interval": settings["tau_interval"], "ci_method": ci,
                     "ci_df": rule.df, "knapp_hartung_factor": rule.factor, "prediction_method": settings["prediction"],
                     "prediction_df": new, **(_additivity(network, common) if additive else {})},
        settings=settings, df=rule.df, prediction_df=new,
    )  # fmt: skip


def _fit_rare(network: Network, model: Model, engine: str, ci: CI) -> Fit:
    _require_plain(model, engine)
    if not isinstance(model.heterogeneity, Common):
        raise ModelError(f"the engine {engine!r} has common effects only. Use a model with heterogeneity=Common().")
    if ci != "normal":
        raise ModelError(f"the engine {engine!r} gives normal intervals only, not {ci!r}.")
    network, arms = _rare_arms(network, engine)
    result = rare_solution(arms, engine)
    message = "Common effects without a continuity correction."
    if not result.converged:
        message = (
            "The likelihood has no bounded maximum: some treatments have no events where they are compared. "
            "Use the engine plr, whose estimates are finite."
        )
    between_designs = Heterogeneity(
        Q=result.Q, df=result.df, p=float(chi2.sf(result.Q, result.df)) if result.df else np.nan, I2=np.nan
    )
    return Fit(
        network=network, model=model, engine=engine, estimate=result.d, covariance=result.cov,
        tau=Tau(estimate=0.0, lower=0.0, upper=0.0),
        heterogeneity=between_designs if engine == "mh" else _contrast_heterogeneity(network),
        status=Status(ok=result.converged, message=message),
        diagnostics={"Q": "between designs" if engine == "mh" else "of contrasts", "ci_method": "normal"},
        settings={},
    )  # fmt: skip


def _rare_arms(network: Network, engine: str) -> tuple[Network, Arms]:
    """The network without the arms that carry no information for the engine (the ledger says so), and its arms."""
    if network.measure.name != "OR" or not all(isinstance(b, ArmCounts) for b in network.blocks):
        raise ModelError(
            f"the engine {engine!r} estimates odds ratios from events and patients of every arm. "
            "Use measure='OR' and a table of counts, or the engine gls."
        )
    arms = _arms(network)
    out = uninformative(arms, engine)
    if out.all():
        raise DataError("no study has events in some patients and not in others", fix="Use a risk difference.")
    if out.any():
        where = "over all studies of its design" if engine == "mh" else "of all studies of the treatment"
        reason = f"No events (or only events) in the study, or in this arm {where}: no bounded odds ratio."
        entries = tuple(
            Entry(action="excluded", rule="no information", study=network.studies[arms.study[i]],
                  arm=network.treatment_names[arms.treatment[i]], reason=reason)
            for i in np.flatnonzero(out)
        )  # fmt: skip
        network = keeping(network, [~out], entries)
        arms = _arms(network)
    require_connected(network)
    return network, arms


def _arms(network: Network) -> Arms:
    b = network.blocks[0]
    key = b.study * network.n_treatments + b.treatment
    if len(network.blocks) > 1 or len(np.unique(key)) < len(key):
        raise ModelError(
            "engines of rare events need one block of counts with one arm per treatment in each study. Build the "
            "network from one table, and add up arms of one treatment."
        )
    return Arms(study=b.study, treatment=b.treatment, r=b.r, n=b.n, size=network.n_treatments,
                reference=network.index(network.reference))  # fmt: skip


def _require_plain(model: Model, engine: str) -> None:
    """Raise ModelError for parts that only Bayesian engines know."""
    if not isinstance(model.consistency, Consistent) or model.regression is not None:
        raise ModelError(
            f"the engine {engine!r} fits consistent effects without covariates. Use engine='laplace' for this model; "
            "enthesis.assess has the frequentist tests of consistency, meta_regression pairwise regression."
        )
    if getattr(model.heterogeneity, "by", "all") != "all" or model.likelihood == "exact":
        raise ModelError(f"the engine {engine!r} has one tau and a likelihood of its own. Use engine='laplace'.")
    known = (PerTreatment, Components) if engine == "gls" else (PerTreatment,)
    if not isinstance(model.effects, known):
        raise ModelError(f"the engine {engine!r} has one effect per treatment. Use engine='laplace' for this model.")


def _additivity(network: Network, additive: gls.GLS) -> dict[str, float]:
    """Q of the additive model minus Q of one effect per treatment; NaN for a network in parts (Rücker 2020)."""
    if len(components(network)) > 1:
        return {"additivity_Q": np.nan, "additivity_df": np.nan, "additivity_p": np.nan}
    free = gls.solve(contrast_target(network))
    Q, df = max(0.0, additive.Q - free.Q), additive.df - free.df
    return {"additivity_Q": Q, "additivity_df": df, "additivity_p": float(chi2.sf(Q, df)) if df else np.nan}


def _fit_bayesian(network: Network, model: Model, wanted: str, seed: int, draws: int) -> Fit:
    if any(chosen_likelihood(model.likelihood, b.kind, network.measure.name) is None for b in network.blocks):
        network = comparable(network)
    target = compile_target(model, network)
    engine, result = _posterior(target, wanted, seed, draws)
    D = target.D
    hyper = {
        x.name: Tau(estimate=float(m), lower=float(lo), upper=float(hi))
        for x, m, lo, hi in zip(target.hypers, result.hyper_mean, *result.hyper_interval, strict=True)
    }
    tau, of_arms, tau_draws = _taus(target, model, network, result)
    return Fit(
        network=network,
        model=model,
        engine=engine,
        estimate=D @ result.mean,
        covariance=D @ result.cov @ D.T,
        tau=tau,
        tau_of_arms=of_arms,
        heterogeneity=_contrast_heterogeneity(network),
        status=_with_prior_of_tau(result.status, model, hyper),
        d=result.theta @ D.T,
        tau_draws=tau_draws,
        weights=result.weights,
        theta=result.theta,
        theta_names=target.names,
        hyper_draws=result.hyper,
        hyper=hyper,
        diagnostics={**result.diagnostics, "likelihood": list(target.likelihoods)},
        settings={"seed": seed, "draws": draws},
    )


def _with_prior_of_tau(status: Status, model: Model, hyper: dict[str, Tau]) -> Status:
    """Not ok where tau is far in the tail of its prior, as when half-normal(1) meets an outcome of 0 to 100 points."""
    sd = getattr(model.heterogeneity, "sd", None)
    if sd is None or not status.ok:
        return status
    limit = float(sd.quantile(TAIL))
    for name, tau in hyper.items():
        if (name == "tau" or name.startswith("tau[")) and tau.estimate > limit:
            message = (
                f"{name} is estimated at {tau.estimate:.3g}, where its prior {sd} has nearly no mass: the prior and "
                "not the data decides the intervals. Give tau a prior that fits the unit of the outcome, such as "
                "half-normal(S) with S a difference between studies that would be large."
            )
            return Status(ok=False, message=message)
    return status


def _taus(
    target: Target, model: Model, network: Network, result: Posterior
) -> tuple[Tau, NDArray[np.int64] | None, Array]:
    """tau, which hyperparameter belongs to the arms of each treatment, and draws of tau.

    With one tau per class, tau stands for their root mean square.
    """
    at = [j for j, x in enumerate(target.hypers) if x.name == "tau" or x.name.startswith("tau[")]
    if not at:
        return Tau(estimate=0.0, lower=0.0, upper=0.0), None, np.zeros(len(result.theta))
    of_arms = at[0] + model.heterogeneity.of_treatments(network)
    if len(at) == 1:
        lower, upper = result.hyper_interval[:, at[0]]
        mean = result.hyper_mean[at[0]]
        return Tau(estimate=float(mean), lower=float(lower), upper=float(upper)), of_arms, result.hyper[:, at[0]]
    draws = np.sqrt((result.hyper[:, at] ** 2).mean(1))
    lower, upper = quantiles(draws[:, None], result.weights, (0.025, 0.975))[:, 0]
    mean = float(result.weights @ draws)
    return Tau(estimate=mean, lower=float(lower), upper=float(upper)), of_arms, draws


def _posterior(target: Target, wanted: str, seed: int, draws: int) -> tuple[str, Posterior]:
    """The engine that answers, and its answer; what `auto` tried before is in the diagnostics."""
    if wanted == "nuts":
        return "nuts", nuts.posterior(target, draws=draws, seed=seed)
    found = (exact if exact.applies(target) else laplace).posterior(target, draws=draws, seed=seed)
    if wanted != "auto" or found.status.ok:
        return "laplace", found
    try:
        sampled = nuts.posterior(target, draws=draws, seed=seed, bound=nuts.BOUND)
    except nuts.Stopped as stopped:
        tried = {"engine": "nuts", "why": f"{stopped}"}
        message = f"{found.status.message} Then {stopped}; ask for the engine nuts to wait for it."
        return "laplace", replace(
            found, status=Status(ok=False, message=message), diagnostics={**found.diagnostics, "tried": [tried]}
        )
    tried = {"engine": "laplace", "why": found.status.message, "diagnostics": found.diagnostics}
    return "nuts", replace(sampled, diagnostics={**sampled.diagnostics, "tried": [tried]})


def _heterogeneity(common: gls.GLS) -> Heterogeneity:
    Q, df = common.Q, common.df
    if df <= 0:
        return Heterogeneity(Q=Q, df=df, p=np.nan, I2=np.nan)
    return Heterogeneity(Q=Q, df=df, p=float(chi2.sf(Q, df)), I2=max(0.0, (Q - df) / Q) if Q > 0 else 0.0)


def _contrast_heterogeneity(network: Network) -> Heterogeneity:
    """Q on contrasts, for the reader; a Bayesian fit does not depend on it, so its failure is not the fit's."""
    try:
        return _heterogeneity(gls.solve(contrast_target(comparable(network))))
    except EnthesisError:
        return Heterogeneity(Q=np.nan, df=0, p=np.nan, I2=np.nan)
