"""The same network with its arms replaced by their contrasts, for the model that is normal on contrasts.

An odds ratio of a network of counts can be modelled by the exact likelihood of the counts, or by the normal likelihood
of each study's log odds ratios. Which one is used follows from what the network holds, so the second model is this
network with the first one's data put as contrasts.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from enthesis.network.blocks import Contrasts, sorted_by_study
from enthesis.network.ledger import Entry
from enthesis.network.network import Network
from enthesis.network.pairwise import Group
from enthesis.network.subset import comparable

#: disagreement of a study's contrasts above which they are listed against one arm only
_LOOP = 1e-9


def as_contrasts(network: Network) -> Network:
    """A network of contrasts that carries what the arms of this one say on its measure.

    Parameters
    ----------
    network : Network

    Returns
    -------
    Network
        Without the arms that give no contrast (the ledger says which). A network that holds contrasts only is returned
        as it is. In a study of more than three arms with zero cells, whose contrasts a continuity correction leaves
        inconsistent, the covariance between contrasts is their mean.

    Examples
    --------
    >>> import enthesis as en
    >>> rows = [dict(study="1", treatment=t, events=r, n=50) for t, r in (("A", 5), ("B", 12))]
    >>> as_contrasts(en.from_table(rows, measure="OR", reference="A")).blocks[0].y.round(3).tolist()
    [1.045]
    """
    if all(isinstance(block, Contrasts) for block in network.blocks):
        return network
    network = comparable(network)
    listed = [row for group in network.pairs.groups for row in _rows(group, network.index(network.reference))]
    study, treatment, comparator = (np.array([row[i] for row in listed], dtype=np.int64) for i in range(3))
    y, se, shared = (np.array([row[i] for row in listed], dtype=float) for i in range(3, 6))
    behind = _rows_behind(network)
    block = Contrasts(
        study=study, treatment=treatment, comparator=comparator, y=y, se=se, se_comparator=shared,
        rows=tuple("; ".join(dict.fromkeys(behind.get((s, a), ()) + behind.get((s, b), ())))
                   for s, a, b in zip(study.tolist(), treatment.tolist(), comparator.tolist(), strict=True)),
    )  # fmt: skip
    note = Entry(action="changed", rule="as contrasts", reason="Arms enter as contrasts with a normal likelihood.")
    return network.replace(blocks=(sorted_by_study(block),)).with_notes(note)


def _rows(group: Group, reference: int) -> list[tuple]:
    """(study, treatment, comparator, effect, standard error, standard error of the comparator's arm) of each contrast.

    All pairs of a study whose contrasts add up; otherwise those against its first arm, the reference if it has it.
    """
    rows = []
    for study, arms, y, v in zip(group.study, group.arms, group.y, group.v, strict=True):
        first = int(np.argmax(arms == reference)) if (arms == reference).any() else 0
        consistent = np.abs(y - (y[:, [first]] - y[None, :, first])).max() < _LOOP
        repeated = len(set(arms.tolist())) < len(arms)
        if consistent and not repeated:
            rows += [
                (study, arms[b], arms[a], y[b, a], np.sqrt(v[b, a]), np.nan) for a, b in combinations(range(group.k), 2)
            ]
            continue
        others = [i for i in range(group.k) if i != first]
        covariance = [0.5 * (v[a, first] + v[b, first] - v[a, b]) for a, b in combinations(others, 2)]
        shared = np.sqrt(np.mean(covariance))
        rows += [(study, arms[i], arms[first], y[i, first], np.sqrt(v[i, first]), shared) for i in others]
    return rows


def _rows_behind(network: Network) -> dict[tuple[int, int], tuple[str, ...]]:
    """The evidence rows of each arm by (study, treatment)."""
    found: dict[tuple[int, int], tuple[str, ...]] = {}
    for block in network.blocks:
        for s, t, row in zip(block.study.tolist(), block.treatment.tolist(), block.rows or (), strict=False):
            found[s, t] = (*found.get((s, t), ()), row)
    return found
