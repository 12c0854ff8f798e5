"""Geometry of a network: designs, connected parts, edges.

A *design* is the set of treatments that a study compares. Everything here is linear in the number of arms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from enthesis.network.blocks import Contrasts
from enthesis.network.network import Network

if TYPE_CHECKING:
    import pandas as pd


def study_arms(network: Network) -> NDArray[np.int64]:
    """(study, treatment) of every arm, sorted, shape (arms, 2); contrasts count both of their arms."""
    pairs = []
    for block in network.blocks:
        pairs.append(np.stack([block.study, block.treatment], 1))
        if isinstance(block, Contrasts):
            pairs.append(np.stack([block.study, block.comparator], 1))
    return np.unique(np.concatenate(pairs), axis=0)


def component_labels(network: Network) -> NDArray[np.int64]:
    """The connected part of each treatment, shape (treatments,), numbered from 0."""
    arms = study_arms(network)
    # each study is a node too, joined to its treatments
    n = network.n_treatments + network.n_studies
    graph = coo_array((np.ones(len(arms)), (arms[:, 1], network.n_treatments + arms[:, 0])), shape=(n, n))
    labels = connected_components(graph, directed=False)[1][: network.n_treatments]
    return np.unique(labels, return_inverse=True)[1]


def components(network: Network) -> list[tuple[str, ...]]:
    """The connected parts, largest first, each as treatment names.

    Examples
    --------
    >>> import pandas as pd, enthesis as en
    >>> t = pd.DataFrame({"study": ["1", "1", "2", "2"], "treatment": list("ABCD"), "events": [1, 2, 3, 4], "n": 9})
    >>> components(en.from_table(t, measure="OR"))
    [('A', 'B'), ('C', 'D')]
    """
    labels = component_labels(network)
    names = np.array(network.treatment_names, dtype=object)
    parts = [tuple(names[labels == c]) for c in range(labels.max() + 1)]
    return sorted(parts, key=lambda p: (-len(p), p))


def designs(network: Network) -> pd.DataFrame:
    """The designs of a network.

    Parameters
    ----------
    network : Network

    Returns
    -------
    pandas.DataFrame
        design (treatments joined by " : "), n_arms, n_studies, studies (tuple of names); most frequent first.
    """
    import pandas as pd

    arms = study_arms(network)
    starts = np.flatnonzero(np.r_[True, np.diff(arms[:, 0]) != 0])
    found: dict[tuple[int, ...], list[int]] = {}
    for rows in np.split(arms, starts[1:]):
        found.setdefault(tuple(rows[:, 1].tolist()), []).append(int(rows[0, 0]))
    names, studies = network.treatment_names, network.studies
    frame = pd.DataFrame(
        [
            {
                "design": " : ".join(names[t] for t in design),
                "n_arms": len(design),
                "n_studies": len(at),
                "studies": tuple(studies[i] for i in at),
            }
            for design, at in found.items()
        ]
    )
    return frame.sort_values(["n_studies", "design"], ascending=[False, True], ignore_index=True)


def edges(network: Network) -> pd.DataFrame:
    """The comparisons with direct evidence.

    Parameters
    ----------
    network : Network

    Returns
    -------
    pandas.DataFrame
        treatment, comparator, n_studies, n_patients (both arms; NaN where not reported).
    """
    import pandas as pd

    arms = study_arms(network)
    size = np.full(len(arms), np.nan)
    for block in network.blocks:
        if getattr(block, "n", None) is not None:
            at = np.searchsorted(arms[:, 0] * network.n_treatments + arms[:, 1],
                                 block.study * network.n_treatments + block.treatment)  # fmt: skip
            size[at] = block.n
    found: dict[tuple[int, int], list[float]] = {}
    starts = np.flatnonzero(np.r_[True, np.diff(arms[:, 0]) != 0])
    for rows, sizes in zip(np.split(arms, starts[1:]), np.split(size, starts[1:]), strict=True):
        for i in range(len(rows)):
            for j in range(i + 1, len(rows)):
                entry = found.setdefault((int(rows[i, 1]), int(rows[j, 1])), [0, 0.0])
                entry[0] += 1
                entry[1] += sizes[i] + sizes[j]
    names = network.treatment_names
    records = [
        {"treatment": names[a], "comparator": names[b], "n_studies": int(n), "n_patients": patients}
        for (a, b), (n, patients) in sorted(found.items())
    ]
    return pd.DataFrame(records, columns=["treatment", "comparator", "n_studies", "n_patients"])
