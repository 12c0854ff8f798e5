"""Parts of a network: fewer studies, fewer arms, one connected component. Each says in the ledger what it left out."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
from numpy.typing import NDArray

from enthesis.errors import DataError, ModelError
from enthesis.network.blocks import Contrasts, taken
from enthesis.network.geometry import component_labels
from enthesis.network.ledger import Entry
from enthesis.network.network import Network


def keeping(network: Network, rows: list[NDArray[np.bool_]], entries: tuple[Entry, ...] = ()) -> Network:
    """The network of the rows (one mask per block) that are kept; unused studies and treatments go.

    Parameters
    ----------
    network : Network
    rows : list of bool arrays, one per block
    entries : tuple of Entry
        Added to the ledger.

    Returns
    -------
    Network

    Raises
    ------
    DataError
        When nothing is left to compare, or the reference is not among what is left.
    """
    blocks = [taken(b, np.flatnonzero(keep)) for b, keep in zip(network.blocks, rows, strict=True) if keep.any()]
    studies = np.unique(np.concatenate([b.study for b in blocks])) if blocks else np.empty(0, int)
    seen = [b.treatment for b in blocks] + [b.comparator for b in blocks if isinstance(b, Contrasts)]
    treatments = np.unique(np.concatenate(seen)) if blocks else np.empty(0, int)
    if len(studies) and network.index(network.reference) not in treatments:
        raise DataError(
            f"the reference {network.reference!r} has no usable contrast",
            fix="Choose another reference; the ledger says what was left out and why.",
        )
    new_study = np.full(network.n_studies, -1)
    new_study[studies] = np.arange(len(studies))
    new_treatment = np.full(network.n_treatments, -1)
    new_treatment[treatments] = np.arange(len(treatments))
    renumbered = []
    for block in blocks:
        changes = {"study": new_study[block.study], "treatment": new_treatment[block.treatment]}
        if isinstance(block, Contrasts):
            changes["comparator"] = new_treatment[block.comparator]
        renumbered.append(replace(block, **changes))
    kept = {f.name: getattr(network, f.name) for f in fields(network)}
    kept |= {
        "studies": tuple(network.studies[i] for i in studies),
        "treatments": tuple(network.treatments[t] for t in treatments),
        "blocks": tuple(renumbered),
        "covariates": {name: values[studies] for name, values in network.covariates.items()},
        "ledger": network.ledger + entries,
    }
    return Network(**kept)


def without_study(network: Network, study: int) -> Network:
    """The network without one study (by position)."""
    entry = Entry(action="excluded", rule="left out", reason="Left out on request.", study=network.studies[study])
    return keeping(network, [b.study != study for b in network.blocks], (entry,))


def component(network: Network, treatment: str) -> Network:
    """The connected part that holds a treatment; the studies of the other parts go to the ledger.

    Parameters
    ----------
    network : Network
    treatment : str

    Returns
    -------
    Network
    """
    labels = component_labels(network)
    wanted = labels[network.index(treatment)]
    rows = [labels[b.treatment] == wanted for b in network.blocks]
    if all(mask.all() for mask in rows):
        return network
    lost = sorted({int(s) for b, mask in zip(network.blocks, rows, strict=True) for s in b.study[~mask]})
    entries = tuple(
        Entry(
            action="excluded",
            rule="not connected",
            reason=f"Shares no treatment, directly or through other studies, with the part that holds {treatment}.",
            study=network.studies[s],
            rows=_rows_of(network, s),
        )
        for s in lost
    )
    return keeping(network, rows, entries)


def comparable(network: Network) -> Network:
    """The network without arms and studies that give no contrast on its measure (zero cells in both arms, for example).

    Parameters
    ----------
    network : Network

    Returns
    -------
    Network
        Unchanged when every arm gives a contrast; otherwise smaller, with one ledger entry per arm left out.
    """
    dropped = network.pairs.dropped
    if not dropped:
        return network
    gone = {(d.study, d.treatment) for d in dropped}
    rows = [np.array([(int(s), int(t)) not in gone for s, t in zip(b.study, b.treatment)]) for b in network.blocks]
    names = network.treatment_names
    entries = tuple(
        Entry(
            action="excluded",
            rule="no contrast",
            reason=f"{d.reason[0].upper()}{d.reason[1:]}; left out of models that work on contrasts.",
            study=network.studies[d.study],
            arm=names[d.treatment],
            rows=_rows_of(network, d.study, d.treatment),
        )
        for d in dropped
    )
    return keeping(network, rows, entries)


def _rows_of(network: Network, study: int, treatment: int | None = None) -> tuple[str, ...]:
    return tuple(
        block.rows[i]
        for block in network.blocks
        if block.rows
        for i in np.flatnonzero((block.study == study) & ((treatment is None) | (block.treatment == treatment)))
    )


def apart_from_others(network: Network, treatment: str, comparator: str) -> Network:
    """The network in which studies of two treatments hold no other arm.

    A third arm of such a study is left out; of larger studies the other arms become a study of their own, as R's gemtc
    prepares a node-split.

    Parameters
    ----------
    network : Network
        Of arms.
    treatment, comparator : str

    Returns
    -------
    Network

    Raises
    ------
    ModelError
        When such a study of three or more arms comes as contrasts.
    """
    pair = {network.index(treatment), network.index(comparator)}
    arms: dict[int, set[int]] = {}
    for block in network.blocks:
        for s, t in zip(block.study.tolist(), block.treatment.tolist(), strict=True):
            arms.setdefault(s, set()).add(t)
        if isinstance(block, Contrasts):
            for s, t in zip(block.study.tolist(), block.comparator.tolist(), strict=True):
                arms[s].add(t)
    wide = {s for s, held in arms.items() if pair <= held and len(held) > 2}
    if not wide:
        return network
    studies, moved = list(network.studies), {}
    for s in sorted(s for s in wide if len(arms[s]) > 3):
        moved[s] = len(studies)
        studies.append(f"{network.studies[s]} (other arms)")
    blocks, rows = [], []
    for block in network.blocks:
        if isinstance(block, Contrasts) and wide & set(block.study.tolist()):
            raise ModelError("studies of three or more arms that come as contrasts cannot be reduced to two arms.")
        other = np.array([s in wide and t not in pair for s, t in zip(block.study, block.treatment, strict=True)], bool)
        study = np.array([moved.get(int(s), int(s)) if o else int(s) for s, o in zip(block.study, other, strict=True)])
        rows.append(~(other & ~np.isin(block.study, list(moved))))
        blocks.append(replace(block, study=study))
    order = [np.argsort(b.study, kind="stable") for b in blocks]
    source = np.r_[np.arange(network.n_studies), list(moved)].astype(int)
    whole = replace(
        network, studies=tuple(studies), blocks=tuple(taken(b, o) for b, o in zip(blocks, order, strict=True)),
        covariates={name: values[source] for name, values in network.covariates.items()},
    )  # fmt: skip
    entry = Entry(action="changed", rule="arms beside the pair", reason=f"{len(wide)} studies of {treatment} and "
                  f"{comparator} were reduced to these two arms.")  # fmt: skip
    return keeping(whole, [mask[o] for mask, o in zip(rows, order, strict=True)], (entry,))
