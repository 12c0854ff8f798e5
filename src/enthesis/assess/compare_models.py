"""Models of one network side by side: fit, effective parameters, and criteria with their standard errors.

Deviance, pD and DIC: Spiegelhalter DJ et al., J R Stat Soc B 2002;64:583; NICE DSU TSD 2. LOO and WAIC by study, with
standard errors of differences over studies: Vehtari A, Gelman A, Gabry J, Stat Comput 2017;27:1413. Criteria are on the
deviance scale (lower is better), and only models of the same data can be compared by them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from enthesis.errors import ModelError
from enthesis.inference.criticism import dic, loo
from enthesis.inference.diagnostics import PARETO_K_LIMIT
from enthesis.inference.fit import Fit

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]


def compare_models(fits: Mapping[str, Fit], *, progress: Callable[[str], object] | None = None) -> pd.DataFrame:
    """Criteria of several Bayesian fits to one network.

    Parameters
    ----------
    fits : mapping of label to Fit
        Two or more, with the same studies and the same kind of data (all exact likelihoods, or all contrasts).
    progress : callable, optional
        Called with the label of each model before it is judged.

    Returns
    -------
    pandas.DataFrame
        model, residual_deviance, data_points, pD, DIC, WAIC, WAIC_se, LOO, LOO_se (all on the deviance scale),
        LOO_difference and its LOO_difference_se (against the model with the lowest LOO), pareto_k_above (studies whose
        part of LOO is unreliable), tau, tau_lower, tau_upper, ok, status. Lowest LOO first.

    Raises
    ------
    ModelError
        When a fit has no draws, or the fits are of different data.

    Examples
    --------
    >>> import enthesis as en
    >>> rows = [dict(study=i, treatment=x, events=r + i, n=50) for i in (1, 2, 3) for x, r in (("A", 5), ("B", 12))]
    >>> network = en.from_table(rows, reference="A")
    >>> models = {"random": en.Model(), "common": en.Model(heterogeneity=en.Common())}
    >>> compare_models({name: en.fit(network, model) for name, model in models.items()}).model.tolist()
    ['common', 'random']
    """
    import pandas as pd

    _require_same_data(fits)
    rows, points = [], {}
    for label, fit in fits.items():
        if progress is not None:
            progress(label)
        deviance, table = dic(fit), loo(fit)
        points[label] = table.set_index("study")["elpd_loo"]
        rows.append({
            "model": label, "residual_deviance": deviance["residual_deviance"], "data_points": deviance["points"],
            "pD": deviance["pD"], "DIC": deviance["DIC"],
            "WAIC": -2 * table["elpd_waic"].sum(), "WAIC_se": _se(-2 * table["elpd_waic"].to_numpy()),
            "LOO": -2 * table["elpd_loo"].sum(), "LOO_se": _se(-2 * table["elpd_loo"].to_numpy()),
            "pareto_k_above": int((table["pareto_k"] > PARETO_K_LIMIT).sum()),
            "tau": fit.tau.estimate, "tau_lower": fit.tau.lower, "tau_upper": fit.tau.upper,
            "ok": fit.status.ok, "status": fit.status.message,
        })  # fmt: skip
    frame = pd.DataFrame(rows).sort_values("LOO", ignore_index=True, kind="stable")
    best = points[frame.loc[0, "model"]]
    differences = [-2 * (points[label] - best.reindex(points[label].index)).to_numpy() for label in frame["model"]]
    at = frame.columns.get_loc("pareto_k_above")
    frame.insert(at, "LOO_difference", [float(d.sum()) for d in differences])
    frame.insert(at + 1, "LOO_difference_se", [_se(d) for d in differences])
    return frame


def _require_same_data(fits: Mapping[str, Fit]) -> None:
    without = [label for label, fit in fits.items() if not fit.is_bayesian]
    if without:
        raise ModelError(f"criteria need a Bayesian fit; {', '.join(without)} has none. Use laplace or nuts.")
    if len(fits) < 2:
        raise ModelError("name two or more models to compare.")
    first, *others = fits.items()
    for label, fit in others:
        if fit.network.content_hash != first[1].network.content_hash:
            raise ModelError(f"{label!r} and {first[0]!r} are fits of different data; criteria cannot compare them.")
        if fit.diagnostics["likelihood"] != first[1].diagnostics["likelihood"]:
            raise ModelError(
                f"{label!r} and {first[0]!r} have different likelihoods ({', '.join(fit.diagnostics['likelihood'])}; "
                f"{', '.join(first[1].diagnostics['likelihood'])}): their criteria cannot be compared."
            )


def _se(values: Array) -> float:
    """Standard error of a sum over studies."""
    return float(np.sqrt(len(values) * np.var(values, ddof=1))) if len(values) > 1 else float("nan")
