"""Estimands: tables read off a fit.

Everything is on the model's scale (log for ratios) with 95 % intervals named `lower` and `upper`: confidence intervals
for `gls`, equal-tailed credible intervals for Bayesian engines. An effect is treatment minus comparator.

Sources: P-score: Rücker G & Schwarzer G, BMC Med Res Methodol 2015;15:58. SUCRA and rank probabilities: Salanti G,
Ades AE, Ioannidis JPA, J Clin Epidemiol 2011;64:163. Prediction in a new study: Higgins JPT, Thompson SG,
Spiegelhalter DJ, J R Stat Soc A 2009;172:137; for networks with a t distribution on the degrees of freedom of Q as
netmeta 3 does. Absolute effects and NNT: Cochrane Handbook chapter 15; Altman DG, BMJ 1998;317:1309.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtr, ndtri

from enthesis.errors import UsageError
from enthesis.inference.diagnostics import quantiles
from enthesis.inference.fit import Fit
from enthesis.inference.intervals import critical
from enthesis.inference.points import normal_points
from enthesis.models.consistency import UnrelatedMeanEffects

if TYPE_CHECKING:
    import pandas as pd

    from enthesis.assess.baseline import BaselineFit
    from enthesis.models.priors import Normal

Array = NDArray[np.float64]
Better = Literal["higher", "lower"]

#: quasi-random points for the rank probabilities of a gls fit; their error is below 0.002
RANK_POINTS = 16_384
#: columns whose quantiles are taken at once
_BATCH = 512
#: draws that are ranked at once
_DRAWS = 2_048
#: the JSON lists every ordered pair of treatments up to here, and beyond it only effects against the reference
MOST_IN_JSON = 400


def relative_effects(fit: Fit, comparator: str | None = None) -> pd.DataFrame:
    """Effects of every treatment against a comparator, or of every ordered pair.

    Parameters
    ----------
    fit : Fit
    comparator : str, optional
        One treatment; default all.

    Returns
    -------
    pandas.DataFrame
        treatment, comparator, estimate, se, lower, upper (model's scale). Posterior mean and standard deviation for
        Bayesian engines. With unrelated mean effects NaN for pairs whose difference is no parameter of the model: a
        study's arms are compared with its first arm, the reference before the others in network order.

    Raises
    ------
    UsageError
        When the comparator is not in the network; the message names the nearest treatment.

    Examples
    --------
    >>> import enthesis as en
    >>> network = en.from_table([dict(study="1", treatment=x, effect_mean=0, mean=m, sd=1, n=50)
    ...                          for x, m in (("A", 0.0), ("B", 0.5))], measure="MD", reference="A")
    >>> en.relative_effects(en.fit(network, engine="gls"), comparator="A").round(2).to_dict("records")
    [{'treatment': 'B', 'comparator': 'A', 'estimate': 0.5, 'se': 0.2, 'lower': 0.11, 'upper': 0.89}]
    """
    rows, cols = _pairs(fit, comparator)
    if isinstance(fit.model.consistency, UnrelatedMeanEffects):
        return _unrelated(fit, rows, cols)
    estimate = fit.estimate[rows] - fit.estimate[cols]
    se = _pair_se(fit, rows, cols)
    if fit.is_bayesian:
        lower, upper = _draw_intervals(fit.d, fit.weights, rows, cols)
    else:
        width = critical(fit.df) * se
        lower, upper = estimate - width, estimate + width
    return _frame(fit, rows, cols, estimate, se, lower, upper)


def predictive_effects(fit: Fit, comparator: str | None = None) -> pd.DataFrame:
    """Effects to be expected in a new study of the same kind.

    Parameters
    ----------
    fit : Fit
    comparator : str, optional

    Returns
    -------
    pandas.DataFrame
        treatment, comparator, estimate, se, lower, upper. For `gls` the interval uses the distribution chosen in `fit`
        (`prediction`; by default t on the degrees of freedom of Q), and is NaN when that leaves no degrees of freedom.
        For common effects it equals `relative_effects`.

    Examples
    --------
    >>> import enthesis as en
    >>> rows = [dict(study=i, treatment=x, events=r, n=50) for i in (1, 2) for x, r in (("A", 5 * i), ("B", 12))]
    >>> result = en.fit(en.from_table(rows, reference="A", better="higher"), engine="gls")
    >>> len(en.predictive_effects(result, comparator="A"))
    1
    """
    if fit.effects == "common":
        return relative_effects(fit, comparator)
    rows, cols = _pairs(fit, comparator)
    if isinstance(fit.model.consistency, UnrelatedMeanEffects):
        return _unrelated(fit, rows, cols, new_study=True)
    estimate = fit.estimate[rows] - fit.estimate[cols]
    if fit.is_bayesian:
        # two scrambles of one Sobol sequence are functions of each other, row by row: the order of one is mixed
        order = np.random.default_rng(_seed(fit) + 1).permutation(len(fit.d))
        noise = normal_points(*fit.d.shape, seed=_seed(fit) + 1)[order]
        tau = fit.tau_draws[:, None] if fit.tau_of_arms is None else fit.hyper_draws[:, fit.tau_of_arms]
        new = fit.d + tau / math.sqrt(2) * noise
        each = np.broadcast_to(fit.weights @ tau**2, (fit.d.shape[1],))
        spread = 0.5 * (each[rows] + each[cols])
        lower, upper = _draw_intervals(new, fit.weights, rows, cols)
    else:
        spread = fit.tau.estimate**2
    se = np.sqrt(_pair_se(fit, rows, cols) ** 2 + spread)
    if not fit.is_bayesian:
        width = critical(fit.prediction_df) * se
        lower, upper = estimate - width, estimate + width
    return _frame(fit, rows, cols, estimate, se, lower, upper)


def parameters(fit: Fit) -> pd.DataFrame:
    """Every global parameter of a Bayesian fit: effects, class means, regression coefficients, standard deviations.

    Parameters
    ----------
    fit : Fit

    Returns
    -------
    pandas.DataFrame
        parameter, estimate (posterior mean), se (posterior standard deviation), lower, upper; no rows for fits without
        draws.

    Examples
    --------
    >>> import enthesis as en
    >>> rows = [dict(study=i, treatment=x, events=r, n=50) for i in (1, 2) for x, r in (("A", 5 * i), ("B", 12))]
    >>> en.parameters(en.fit(en.from_table(rows, reference="A")))["parameter"].tolist()
    ['d[B]', 'tau']
    """
    import pandas as pd

    columns = ["parameter", "estimate", "se", "lower", "upper"]
    if not fit.is_bayesian:
        return pd.DataFrame(columns=columns)
    values = np.c_[fit.theta, fit.hyper_draws]
    mean = fit.weights @ values
    sd = np.sqrt(np.maximum(fit.weights @ (values - mean) ** 2, 0.0))
    lower, upper = quantiles(values, fit.weights, (0.025, 0.975))
    at = len(fit.theta_names)
    for j, tau in enumerate(fit.hyper.values()):  # the engine knows these better than its draws do
        mean[at + j], lower[at + j], upper[at + j] = tau.estimate, tau.lower, tau.upper
    return pd.DataFrame(
        {"parameter": [*fit.theta_names, *fit.hyper], "estimate": mean, "se": sd, "lower": lower, "upper": upper}
    )[columns]


def probability(fit: Fit, treatment: str, comparator: str, *, above: float = 0.0) -> float:
    """Posterior probability that an effect exceeds a value (model's scale).

    Parameters
    ----------
    fit : Fit
    treatment, comparator : str
    above : float
        On the model's scale: for a ratio of 1.25 give log(1.25).

    Returns
    -------
    float
        For `gls`, the one-sided normal probability of the same statement, which equals the posterior under flat priors.

    Examples
    --------
    >>> import enthesis as en
    >>> rows = [dict(study=i, treatment=x, events=r, n=50) for i in (1, 2) for x, r in (("A", 5 * i), ("B", 12))]
    >>> result = en.fit(en.from_table(rows, reference="A", better="higher"), engine="gls")
    >>> 0.5 < en.probability(result, "B", "A") < 1
    True
    """
    a, b = fit.network.index(treatment), fit.network.index(comparator)
    if isinstance(fit.model.consistency, UnrelatedMeanEffects):
        draws = _unrelated_draws(fit, a, b)
        return float("nan") if draws is None else float(fit.weights @ (draws > above))
    if fit.is_bayesian:
        return float(fit.weights @ (fit.d[:, a] - fit.d[:, b] > above))
    se = float(_pair_se(fit, np.array([a]), np.array([b]))[0])
    return float(ndtr((fit.estimate[a] - fit.estimate[b] - above) / se))


def league(fit: Fit, *, digits: int = 2) -> pd.DataFrame:
    """The league table as text: cell = row versus column, on the scale people read.

    Parameters
    ----------
    fit : Fit
    digits : int

    Returns
    -------
    pandas.DataFrame
        Index and columns are treatments; cells "estimate (lower to upper)", ratios back-transformed; the diagonal
        holds the treatment's name.

    Examples
    --------
    >>> import enthesis as en
    >>> rows = [dict(study=i, treatment=x, events=r, n=50) for i in (1, 2) for x, r in (("A", 5 * i), ("B", 12))]
    >>> result = en.fit(en.from_table(rows, reference="A", better="higher"), engine="gls")
    >>> en.league(result).loc["B", "A"].split()[0]
    '1.78'
    """
    import pandas as pd

    table = relative_effects(fit)
    back = fit.network.measure.back_transform
    text = [
        f"{e:.{digits}f} ({lo:.{digits}f} to {hi:.{digits}f})"
        for e, lo, hi in zip(back(table["estimate"]), back(table["lower"]), back(table["upper"]), strict=True)
    ]
    names = list(fit.treatments)
    cells = np.full((len(names), len(names)), "", dtype=object)
    cells[_pairs(fit, None)] = text
    np.fill_diagonal(cells, names)
    return pd.DataFrame(cells, index=pd.Index(names, name="treatment"), columns=names)


def ranks(fit: Fit, better: Better | None = None) -> pd.DataFrame:
    """Ranking measures. They say nothing about size or certainty: read them with `relative_effects`.

    Parameters
    ----------
    fit : Fit
    better : {"higher", "lower"}, optional
        Which direction of the effect is good; default the network's; `higher` when that is not set.

    Returns
    -------
    pandas.DataFrame
        treatment, p_score, sucra, mean_rank, rank_1 ... rank_T (probabilities; rank 1 is best), in network order.
        `p_score` of a Bayesian fit is the mean posterior probability of being better than each competitor.

    Examples
    --------
    >>> import enthesis as en
    >>> rows = [dict(study=i, treatment=x, events=r, n=50) for i in (1, 2) for x, r in (("A", 5 * i), ("B", 12))]
    >>> result = en.fit(en.from_table(rows, reference="A", better="higher"), engine="gls")
    >>> en.ranks(result).sort_values("p_score").treatment.tolist()
    ['A', 'B']
    """
    import pandas as pd

    sign = direction(fit, better)
    T = len(fit.treatments)
    probabilities = _rank_probabilities(fit, sign)
    mean_rank = probabilities @ np.arange(1, T + 1)
    sucra = (T - mean_rank) / (T - 1)
    frame = pd.DataFrame(
        {
            "treatment": list(fit.treatments),
            "p_score": _p_scores(fit, sign, sucra),
            "sucra": sucra,
            "mean_rank": mean_rank,
        }
    )
    columns = pd.DataFrame(probabilities, columns=[f"rank_{i + 1}" for i in range(T)])
    return pd.concat([frame, columns], axis=1)


def _rank_probabilities(fit: Fit, sign: float) -> Array:
    """Probability of each rank, shape (treatments, ranks); draws are ranked some at a time."""
    T = len(fit.treatments)
    if isinstance(fit.model.consistency, UnrelatedMeanEffects):  # these do not order the treatments
        return np.full((T, T), np.nan)
    if fit.is_bayesian:
        draws, weights = fit.d, fit.weights
    else:
        scale, axes = np.linalg.eigh(fit.covariance)
        axes = axes * np.sqrt(np.maximum(scale, 0.0))
        draws, weights = normal_points(RANK_POINTS, T, seed=1), np.full(RANK_POINTS, 1 / RANK_POINTS)
    total = np.zeros(T * T)
    for first in range(0, len(draws), _DRAWS):
        some = draws[first : first + _DRAWS]
        effects = sign * (some if fit.is_bayesian else fit.estimate + some @ axes.T)
        place = np.argsort(np.argsort(-effects, axis=1, kind="stable"), axis=1, kind="stable")
        flat = (place + np.arange(T) * T).ravel()
        total += np.bincount(flat, np.repeat(weights[first : first + _DRAWS], T), T * T)
    return total.reshape(T, T)


def direction(fit: Fit, better: Better | None = None) -> float:
    """+1 when higher effects are better, -1 when lower ones are."""
    better = better or fit.network.better or "higher"
    if better not in ("higher", "lower"):
        raise UsageError(f"better must be 'higher' or 'lower', not {better!r}.")
    return 1.0 if better == "higher" else -1.0


def absolute_effects(
    fit: Fit,
    baseline_risk: float | None = None,
    *,
    baseline: BaselineFit | Normal | None = None,
    comparator: str | None = None,
    follow_up: float = 1.0,
) -> pd.DataFrame:
    """Absolute effects per 1,000 patients for a stated risk with the comparator, and numbers needed to treat.

    Parameters
    ----------
    fit : Fit
        On OR, RR, RD, PROBIT or HR.
    baseline_risk : float, optional
        Risk of the outcome with the comparator, between 0 and 1.
    baseline : BaselineFit or Normal, optional
        Instead of the number: a fitted baseline, whose new population is used, or a normal distribution on the scale of
        the linear predictor (logit for OR, RR and RD). The comparator then has a row of its own, the first.
    comparator : str, optional
        Default: the reference.
    follow_up : float
        With a fitted baseline of hazards: the time at which risks are wanted.

    Returns
    -------
    pandas.DataFrame
        treatment, risk, risk_lower, risk_upper, per_1000, per_1000_lower, per_1000_upper, difference_per_1000,
        difference_lower, difference_upper (against the comparator), nnt, nnt_lower, nnt_upper (1 over the
        size of the risk difference; when its interval holds 0, they run from its end on the side of the estimate to
        inf, and what lies beyond, on the other side, is left to the difference), nnt_for ("benefit",
        "harm", or "event" when the network does not say which direction is better).

    Raises
    ------
    UsageError
        When the risk is not between 0 and 1, or the measure gives no risks.

    Examples
    --------
    >>> import enthesis as en
    >>> rows = [dict(study=i, treatment=x, events=r, n=50) for i in (1, 2) for x, r in (("A", 5 * i), ("B", 12))]
    >>> result = en.fit(en.from_table(rows, reference="A", better="higher"), engine="gls")
    >>> en.absolute_effects(result, 0.1)[["treatment", "per_1000", "nnt"]].round(1).to_dict("records")
    [{'treatment': 'B', 'per_1000': 165.5, 'nnt': 15.3}]
    """
    import pandas as pd

    if baseline is not None:
        from enthesis.assess.absolute import absolute_from_distribution

        if baseline_risk is not None:
            raise UsageError("give the baseline as a risk or as a distribution, not both.")
        return absolute_from_distribution(fit, baseline, comparator or fit.reference, follow_up=follow_up)
    if not (isinstance(baseline_risk, int | float) and 0 < baseline_risk < 1):
        raise UsageError(f"the baseline risk must be between 0 and 1, not {baseline_risk!r}.")
    comparator = comparator or fit.reference
    base = fit.network.index(comparator)
    table = relative_effects(fit, comparator)
    effects = [table[c].to_numpy() for c in ("estimate", "lower", "upper")]
    risk, lower, upper = (risk_given(fit, baseline_risk, effect) for effect in effects)
    if fit.is_bayesian:
        others = [fit.network.index(name) for name in table["treatment"]]
        risk = fit.weights @ risk_given(fit, baseline_risk, fit.d[:, others] - fit.d[:, [base]])
    difference = [1000 * (x - baseline_risk) for x in (risk, lower, upper)]
    nnt, nnt_lower, nnt_upper = numbers_needed(*difference)
    return pd.DataFrame(
        {
            "treatment": table["treatment"],
            "risk": risk,
            "risk_lower": lower,
            "risk_upper": upper,
            "per_1000": 1000 * risk,
            "per_1000_lower": 1000 * lower,
            "per_1000_upper": 1000 * upper,
            "difference_per_1000": difference[0],
            "difference_lower": difference[1],
            "difference_upper": difference[2],
            "nnt": nnt,
            "nnt_lower": nnt_lower,
            "nnt_upper": nnt_upper,
            "nnt_for": [nnt_for(fit, x) for x in difference[0]],
        }
    )


def risk_given(fit: Fit, baseline_risk: float, effect: Array) -> Array:
    """The risk that follows from a baseline risk and an effect on the model's scale."""
    name = fit.network.measure.name
    if name == "OR":
        return expit(logit(baseline_risk) + effect)
    if name == "PROBIT":
        return ndtr(ndtri(baseline_risk) + effect)
    if name == "RR":
        return np.minimum(baseline_risk * np.exp(effect), 1.0)
    if name == "RD":
        return np.clip(baseline_risk + effect, 0.0, 1.0)
    if name == "HR":
        return -np.expm1(np.log1p(-baseline_risk) * np.exp(effect))
    raise UsageError(
        f"absolute risks follow from OR, RR, RD, PROBIT or HR, not from {name} ({fit.network.measure.label})."
    )


def fit_json(fit: Fit) -> dict[str, Any]:
    """The documented JSON of `enthesis fit` (docs/reference/fit-json.md).

    Parameters
    ----------
    fit : Fit

    Returns
    -------
    dict
        Plain numbers, strings, lists and None; estimates on the model's scale. Above 400 treatments `relative_effects`
        and `predictive` list the effects against the reference only.

    Examples
    --------
    >>> import enthesis as en
    >>> rows = [dict(study=i, treatment=x, events=r, n=50) for i in (1, 2) for x, r in (("A", 5 * i), ("B", 12))]
    >>> result = en.fit(en.from_table(rows, reference="A", better="higher"), engine="gls")
    >>> {key: fit_json(result)[key] for key in ("measure", "scale", "reference", "n_studies")}
    {'measure': 'OR', 'scale': 'log', 'reference': 'A', 'n_studies': 2}
    """
    from enthesis import __version__

    table = ranks(fit)
    probabilities = table.filter(regex=r"^rank_\d+$").to_numpy()
    comparator = fit.reference if len(fit.treatments) > MOST_IN_JSON else None
    result = {
        "enthesis": __version__,
        "measure": fit.network.measure.name,
        "scale": fit.network.measure.scale,
        "reference": fit.reference,
        "engine": fit.engine,
        "effects": fit.effects,
        "model": fit.model.describe() if fit.is_bayesian else f"{fit.effects} effects",
        "n_studies": fit.network.n_studies,
        "n_arms": fit.network.n_arms,
        "n_treatments": fit.network.n_treatments,
        "tau": {"estimate": fit.tau.estimate, "lower": fit.tau.lower, "upper": fit.tau.upper},
        "relative_effects": relative_effects(fit, comparator).to_dict("records"),
        "predictive": predictive_effects(fit, comparator).to_dict("records"),
        "ranks": [
            {"treatment": row.treatment, "p_score": row.p_score, "sucra": row.sucra, "mean_rank": row.mean_rank,
             "probabilities": probabilities[i].tolist()}
            for i, row in enumerate(table.itertuples())
        ] if np.isfinite(probabilities).all() else [],
        "parameters": parameters(fit).to_dict("records"),
        "better": fit.network.better or "higher",
        "heterogeneity": {"Q": fit.heterogeneity.Q, "df": fit.heterogeneity.df, "p": fit.heterogeneity.p,
                          "I2": fit.heterogeneity.I2},
        "diagnostics": {**fit.diagnostics, **fit.settings},
        "status": {"ok": fit.status.ok, "message": fit.status.message},
        "ledger": fit.network.ledger.to_records(),
        "mapping": dict(fit.network.mapping),
    }  # fmt: skip
    return plain(result)


def plain(value: Any) -> Any:
    """The same value in plain Python types, with None where a number is not finite."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(v) for v in value]
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value


def _pairs(fit: Fit, comparator: str | None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    T = len(fit.treatments)
    columns = np.arange(T) if comparator is None else np.array([fit.network.index(comparator)])
    rows, cols = np.repeat(np.arange(T), len(columns)), np.tile(columns, T)
    return rows[rows != cols], cols[rows != cols]


def _pair_se(fit: Fit, rows: NDArray[np.int64], cols: NDArray[np.int64]) -> Array:
    variance = np.diag(fit.covariance)
    return np.sqrt(np.maximum(variance[rows] + variance[cols] - 2 * fit.covariance[rows, cols], 0.0))


def _draw_intervals(d: Array, weights: Array, rows, cols) -> tuple[Array, Array]:
    """Equal-tailed intervals of d[row] - d[col]; each unordered pair is sorted once."""
    low, high = np.minimum(rows, cols), np.maximum(rows, cols)
    unique, inverse = np.unique(low * d.shape[1] + high, return_inverse=True)
    a, b = np.divmod(unique, d.shape[1])
    found = np.concatenate(
        [
            quantiles(d[:, a[i : i + _BATCH]] - d[:, b[i : i + _BATCH]], weights, (0.025, 0.975))
            for i in range(0, len(unique), _BATCH)
        ],
        axis=1,
    )[:, inverse]
    forward = rows < cols
    return np.where(forward, found[0], -found[1]), np.where(forward, found[1], -found[0])


def _unrelated(fit: Fit, rows, cols, *, new_study: bool = False) -> pd.DataFrame:
    """The table of pairs of a fit whose comparisons are parameters of their own."""
    found = np.full((4, len(rows)), np.nan)
    for i, (a, b) in enumerate(zip(rows, cols, strict=True)):
        draws = _unrelated_draws(fit, a, b)
        if draws is None:
            continue
        mean = fit.weights @ draws
        spread = fit.weights @ (draws - mean) ** 2
        if new_study:
            order = np.random.default_rng(_seed(fit) + 1).permutation(len(draws))
            noise = normal_points(len(draws), 1, seed=_seed(fit) + 1)[order, 0]
            tau = (
                fit.tau_draws
                if fit.tau_of_arms is None
                else np.sqrt(0.5 * (fit.hyper_draws[:, fit.tau_of_arms[[a, b]]] ** 2).sum(1))
            )
            draws, spread = draws + tau * noise, spread + fit.weights @ tau**2
        found[:, i] = mean, np.sqrt(spread), *quantiles(draws, fit.weights, (0.025, 0.975))
    return _frame(fit, rows, cols, *found)


def _unrelated_draws(fit: Fit, a: int, b: int) -> Array | None:
    """Draws of treatment a minus b where the model has that comparison."""
    names = fit.treatments
    for first, second, sign in ((a, b, 1.0), (b, a, -1.0)):
        name = f"d[{names[first]} vs {names[second]}]"
        if name in fit.theta_names:
            return sign * fit.theta[:, fit.theta_names.index(name)]
    return None


def _p_scores(fit: Fit, sign: float, sucra: Array) -> Array:
    if fit.is_bayesian:
        return sucra  # NaN with unrelated effects
    T = len(fit.treatments)
    difference = sign * (fit.estimate[:, None] - fit.estimate[None, :])
    variance = np.diag(fit.covariance)
    se = np.sqrt(np.maximum(variance[:, None] + variance[None, :] - 2 * fit.covariance, 0.0))
    np.fill_diagonal(se, 1.0)
    wins = ndtr(difference / se)
    np.fill_diagonal(wins, 0.0)
    return wins.sum(1) / (T - 1)


def numbers_needed(difference: Array, lower: Array, upper: Array) -> tuple[Array, Array, Array]:
    """Numbers needed to treat for differences per 1,000: at the estimate, and from where to where.

    An interval that holds 0 goes from its end on the estimate's side through inf to numbers for the opposite effect
    (Altman DG, BMJ 1998;317:1309); the part on the estimate's side is given, so that all three are of one effect.
    """
    crosses = (lower <= 0) & (upper >= 0)
    far, near = np.where(difference >= 0, (upper, lower), (lower, upper))
    with np.errstate(divide="ignore"):
        return 1000 / np.abs(difference), 1000 / np.abs(far), np.where(crosses, np.inf, 1000 / np.abs(near))


def nnt_for(fit: Fit, difference: float) -> str:
    """Whether a difference in risk is a benefit or harm; "event" when the network does not say which is better."""
    if fit.network.better is None or difference == 0:
        return "event"
    return "benefit" if (difference > 0) == (fit.network.better == "higher") else "harm"


def _seed(fit: Fit) -> int:
    return int(fit.settings.get("seed", 1))


def _frame(fit: Fit, rows, cols, estimate, se, lower, upper) -> pd.DataFrame:
    import pandas as pd

    names = np.array(fit.treatments, dtype=object)
    return pd.DataFrame(
        {
            "treatment": names[rows],
            "comparator": names[cols],
            "estimate": estimate,
            "se": se,
            "lower": lower,
            "upper": upper,
        }
    )
