"""Node-splitting as a Bayesian model: direct and indirect effect of a comparison as two parameters, one fit each.

Every comparison with both kinds of evidence is split in turn (van Valkenhoef G et al., Res Synth Methods 2016;7:80),
with the model's own priors, likelihood and tau. p is the two-sided posterior tail probability of the difference,
2 min(P(direct > indirect), P(direct < indirect)) (Dias S et al., Stat Med 2010;29:932; Marshall EC & Spiegelhalter DJ,
Bayesian Anal 2007;2:409). In a study of three or more arms only the split contrast is direct, and its other arms are
compared with the comparator's; or such studies are reduced to the two arms. The frequentist counterpart is
`node_splitting.node_splits`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from enthesis.errors import EnthesisError, ModelError, unknown_name
from enthesis.execute import map as map_tasks
from enthesis.inference.diagnostics import quantiles
from enthesis.inference.fit import Fit, fit
from enthesis.models.additions import node_splits
from enthesis.models.consistency import Consistent, NodeSplit
from enthesis.models.model import Model
from enthesis.network.geometry import edges
from enthesis.network.subset import apart_from_others

if TYPE_CHECKING:
    import pandas as pd

    from enthesis.network.network import Network

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class _Task:
    network: Network
    model: Model
    engine: str
    seed: int
    draws: int


def node_split_table(
    network: Network,
    model: Model | None = None,
    *,
    splits: tuple[NodeSplit, ...] | None = None,
    multi_arm: Literal["kept", "reduced"] = "kept",
    engine: str = "auto",
    seed: int = 1,
    draws: int = 4000,
    workers: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> pd.DataFrame:
    """Direct against indirect evidence of every comparison that has both, each by a model of its own.

    Parameters
    ----------
    network : Network
    model : Model, optional
        With consistent effects; default random effects.
    splits : tuple of NodeSplit, optional
        The comparisons; by default `models.additions.node_splits(network)`.
    multi_arm : {"kept", "reduced"}
        Studies that hold both treatments and others: kept whole, with one separate contrast (R's multinma), or reduced
        to the two arms, other arms of studies of four or more being a study of their own (R's gemtc).
    engine : {"auto", "laplace", "nuts"}
    seed, draws : int
    workers : int, optional
        Processes (see `execute.map`).
    progress : callable, optional
        Called with (done, total).

    Returns
    -------
    pandas.DataFrame
        treatment, comparator, studies (with both arms), direct, direct_se, direct_lower, direct_upper, the same of
        indirect, network (from the consistent model) and difference (direct minus indirect), p (two-sided),
        probability (that direct exceeds indirect), tau (of the split model), ok, status. Effects are on the model's
        scale. No rows when no comparison has both kinds of evidence. A split that could not be fitted has NaN and says
        why in `status`.

    Raises
    ------
    ModelError
        When the model is not one of consistent effects.

    Examples
    --------
    >>> import enthesis as en
    >>> rows = [dict(study=f"{a}{b}{i}", treatment=x, events=r + i, n=60) for a, b in ("AB", "AC", "BC")
    ...         for i in (1, 2) for x, r in ((a, 10), (b, 15))]
    >>> table = node_split_table(en.from_table(rows, reference="A"), draws=500)
    >>> table[["treatment", "comparator", "studies"]].to_records(index=False).tolist()
    [('B', 'A', 2), ('C', 'A', 2), ('C', 'B', 2)]
    """
    import pandas as pd

    model = model or Model()
    if not isinstance(model.consistency, Consistent):
        raise ModelError("node-splits need a model of consistent effects; each comparison is split in turn.")
    splits = node_splits(network) if splits is None else splits
    if not splits:
        return pd.DataFrame(columns=_COLUMNS)
    if multi_arm not in ("kept", "reduced"):
        raise unknown_name("way with multi-arm studies", multi_arm, ["kept", "reduced"])
    reduced = multi_arm == "reduced"
    networks = [apart_from_others(network, s.treatment, s.comparator) if reduced else network for s in splits]
    models = [model, *(model.replace(consistency=s) for s in splits)]
    tasks = [
        _Task(network=n, model=m, engine=engine, seed=seed, draws=draws)
        for n, m in zip([network, *networks], models, strict=True)
    ]
    whole, *fits = map_tasks(_run, tasks, workers=workers, progress=progress)
    counts = _studies(network)
    return pd.DataFrame([_row(network, s, f, whole, counts) for s, f in zip(splits, fits, strict=True)])[_COLUMNS]


_KINDS = ("direct", "indirect", "network", "difference")
_COLUMNS = ["treatment", "comparator", "studies", *(f"{k}{x}" for k in _KINDS for x in ("", "_se", "_lower", "_upper")),
            "p", "probability", "tau", "ok", "status"]  # fmt: skip


def _run(task: _Task) -> Fit | str:
    try:
        return fit(task.network, task.model, engine=task.engine, seed=task.seed, draws=task.draws)
    except EnthesisError as problem:
        return str(problem)


def _studies(network: Network) -> dict[frozenset[str], int]:
    table = edges(network)
    return {
        frozenset((a, b)): int(n)
        for a, b, n in zip(table["treatment"], table["comparator"], table["n_studies"], strict=True)
    }


def _row(network: Network, split: NodeSplit, found: Fit | str, whole: Fit | str, counts) -> dict[str, object]:
    row: dict[str, object] = {"treatment": split.treatment, "comparator": split.comparator}
    row["studies"] = counts.get(frozenset((split.treatment, split.comparator)), 0)
    row |= dict.fromkeys(_COLUMNS[3:-2], float("nan"))
    if isinstance(whole, Fit):
        b, a = whole.network.index(split.treatment), whole.network.index(split.comparator)
        row |= _summary("network", whole.d[:, b] - whole.d[:, a], whole.weights)
    if isinstance(found, str):
        return row | {"ok": False, "status": found}
    b, a = found.network.index(split.treatment), found.network.index(split.comparator)
    direct = found.theta[:, found.theta_names.index(f"direct[{split.treatment} vs {split.comparator}]")]
    indirect = found.d[:, b] - found.d[:, a]
    for kind, draws in (("direct", direct), ("indirect", indirect), ("difference", direct - indirect)):
        row |= _summary(kind, draws, found.weights)
    above = float(found.weights @ (direct > indirect))
    return row | {"p": 2 * min(above, 1 - above), "probability": above, "tau": found.tau.estimate,
                  "ok": found.status.ok, "status": found.status.message}  # fmt: skip


def _summary(kind: str, draws: Array, weights: Array) -> dict[str, float]:
    mean = float(weights @ draws)
    lower, upper = quantiles(draws, weights, (0.025, 0.975))
    sd = float(np.sqrt(weights @ (draws - mean) ** 2))
    return {kind: mean, f"{kind}_se": sd, f"{kind}_lower": float(lower), f"{kind}_upper": float(upper)}
