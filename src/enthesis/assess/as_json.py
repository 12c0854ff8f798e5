"""What `enthesis fit --json` adds about how far to trust a frequentist fit: consistency, node-splits, contributions.

Each function returns plain numbers, strings, lists and None. Every estimate is treatment minus comparator on the
model's scale.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from enthesis.assess.consistency import decomposition
from enthesis.assess.contribution import Method, contributions, evidence_flow, shared_among_studies
from enthesis.assess.loops import loop_inconsistency
from enthesis.assess.node_splitting import Method as SplitMethod
from enthesis.assess.node_splitting import node_splits
from enthesis.errors import EnthesisError
from enthesis.estimands import plain
from enthesis.inference.fit import Fit

#: networks up to this size are assessed unasked
UNASKED = 60
#: up to this size contributions to every network estimate are listed, beyond it those against the reference
EVERY_PAIR = 30
#: contributions below this are left out of the lists
_LEAST = 1e-12


def assessment_json(fit: Fit) -> dict[str, Any]:
    """The keys `consistency`, `decomposition`, `netsplit` and `contribution` of the JSON of a fit.

    Parameters
    ----------
    fit : Fit

    Returns
    -------
    dict
        A part that cannot be computed for this network is a dictionary with the key `message` that says why.

    Examples
    --------
    >>> import enthesis as en
    >>> rows = [dict(study=i, treatment=x, events=r, n=50) for i in (1, 2) for x, r in (("A", 5 * i), ("B", 12))]
    >>> told = assessment_json(en.fit(en.from_table(rows, reference="A"), engine="gls"))
    >>> sorted(told), told["decomposition"]["between"]["df"]
    (['consistency', 'contribution', 'decomposition', 'netsplit'], 0)
    """
    parts = {
        "consistency": consistency_json,
        "decomposition": decomposition_json,
        "netsplit": netsplit_json,
        "contribution": contribution_json,
    }
    return {name: _or_why_not(part, fit) for name, part in parts.items()}


def _or_why_not(part, fit: Fit) -> Any:
    try:
        return part(fit)
    except EnthesisError as error:
        return {"message": str(error)}


def consistency_json(fit: Fit) -> dict[str, Any]:
    """The global test (random-effects design-by-treatment interaction), loops, and what they say in words."""
    split = decomposition(fit)
    return plain(
        {
            "Q": split.interaction.Q,
            "df": split.interaction.df,
            "p": split.interaction.p,
            "tau_within": split.tau_within,
            "message": split.message,
            "loops": _or_why_not(lambda fit: loop_inconsistency(fit).to_dict("records"), fit),
        }
    )


def decomposition_json(fit: Fit) -> dict[str, Any]:
    """Q of common effects: total, within and between designs, of each design, and with each design detached."""
    split = decomposition(fit)
    return plain(
        {
            "total": split.total.to_dict(),
            "within": split.within.to_dict(),
            "between": split.between.to_dict(),
            "designs": split.designs.to_dict("records"),
            "detached": split.detached.to_dict("records"),
        }
    )


def netsplit_json(fit: Fit, method: SplitMethod = "back-calculation") -> list[dict[str, Any]]:
    """Every comparison with direct evidence: comparison, direct, indirect, difference, p and their standard errors."""
    rows = node_splits(fit, method).to_dict("records")
    return plain([{"comparison": f"{row['treatment']} : {row['comparator']}", **row, "method": method} for row in rows])


def contribution_json(fit: Fit, method: Method = "shortest path") -> dict[str, Any]:
    """Contributions of comparisons and studies to network estimates (those above 0), and the flow of evidence.

    Every pair of treatments up to 30 treatments; beyond that, every treatment against the reference.
    """
    pairs = None
    if len(fit.treatments) > EVERY_PAIR:
        pairs = [(name, fit.reference) for name in fit.treatments if name != fit.reference]
    by_comparison = contributions(fit, method, pairs)
    by_study = shared_among_studies(fit, by_comparison)
    flow = evidence_flow(fit, pairs)
    rows = []
    for i, name in enumerate(by_comparison.index):
        rows.append(
            {
                "comparison": name,
                "treatment": flow["treatment"].iloc[i],
                "comparator": flow["comparator"].iloc[i],
                "direct_proportion": flow["proportion"].iloc[i],
                "mean_path": flow["mean_path"].iloc[i],
                "parallelism": flow["parallelism"].iloc[i],
                "comparisons": _shares(by_comparison.columns, by_comparison.to_numpy()[i]),
                "studies": _shares(by_study.columns, by_study.to_numpy()[i]),
            }
        )
    return plain({"method": method, "rows": rows})


def _shares(names, values: np.ndarray) -> dict[str, float]:
    return {str(names[j]): float(values[j]) for j in np.flatnonzero(np.abs(values) > _LEAST)}
