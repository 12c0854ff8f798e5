"""Several networks as one: their studies side by side, their treatments matched by name.

For evidence that comes in several tables (arms of some studies, contrasts of others). Nothing is converted: all
networks are on one measure.
"""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
from numpy.typing import NDArray

from enthesis.errors import DataError, ModelError
from enthesis.network.blocks import Block, Contrasts, sorted_by_study
from enthesis.network.cells import natural_order
from enthesis.network.ledger import Entry, Ledger
from enthesis.network.network import Network, Treatment


def combine(*networks: Network, reference: str | None = None, title: str = "") -> Network:
    """One network of the studies of several.

    Parameters
    ----------
    networks : Network
        On one measure, without a study in common.
    reference : str, optional
        By default the first network's.
    title : str
        For the reader; by default the first network's.

    Returns
    -------
    Network
        Studies and treatments in the order of their names; ledgers joined; covariates NaN where a network has none.

    Raises
    ------
    ModelError
        When measures, directions or continuity corrections differ.
    DataError
        When two networks hold a study of the same name, or describe a treatment differently.
    UsageError
        When the reference is not in the combined network.

    Examples
    --------
    >>> import enthesis as en
    >>> arms = en.from_table([dict(study="1", treatment=t, events=r, n=50) for t, r in (("A", 5), ("B", 9))])
    >>> contrasts = en.from_table([dict(study="2", treat1="C", treat2="A", lnOR=0.4, selnOR=0.2)])
    >>> combine(arms, contrasts, reference="A").treatment_names
    ('A', 'B', 'C')
    """
    if not networks:
        raise ModelError("nothing to combine: give at least one network.")
    first = networks[0]
    for other in networks[1:]:
        for what, get in (("measure", lambda n: n.measure.name), ("direction (better)", lambda n: n.better),
                          ("continuity correction", lambda n: n.correction)):  # fmt: skip
            if get(other) != get(first):
                raise ModelError(
                    f"networks with different {what} cannot be combined: {get(first)} and {get(other)}. "
                    "Build them with the same settings."
                )
    studies = _studies(networks)
    treatments = _treatments(networks)
    at_study = {name: i for i, name in enumerate(studies)}
    at_treatment = {t.name: i for i, t in enumerate(treatments)}
    blocks: dict[type, list[Block]] = {}
    for network in networks:
        study = np.array([at_study[name] for name in network.studies])
        treatment = np.array([at_treatment[name] for name in network.treatment_names])
        for block in network.blocks:
            changes = {"study": study[block.study], "treatment": treatment[block.treatment]}
            if isinstance(block, Contrasts):
                changes["comparator"] = treatment[block.comparator]
            blocks.setdefault(type(block), []).append(replace(block, **changes))
    note = Entry(action="note", rule="networks combined", reason=f"{len(networks)} networks of "
                 f"{', '.join(str(n.n_studies) for n in networks)} studies were combined.")  # fmt: skip
    return Network(
        studies=studies, treatments=treatments, blocks=tuple(sorted_by_study(_joined(b)) for b in blocks.values()),
        measure=first.measure, reference=reference or first.reference, better=first.better, outcome=first.outcome,
        title=title or first.title, mid=first.mid, correction=first.correction,
        covariates=_covariates(networks, at_study),
        ledger=Ledger((*(e for n in networks for e in n.ledger), note)),
        mapping={f"{key} ({i + 1})": value for i, n in enumerate(networks) for key, value in n.mapping.items()},
    )  # fmt: skip


def _studies(networks: tuple[Network, ...]) -> tuple[str, ...]:
    names = [name for network in networks for name in network.studies]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise DataError(
            f"{len(twice)} studies are in more than one network, the first {twice[0]!r}, and would count twice",
            fix="Leave the study out of one of them, or give two different studies different names.",
        )
    return tuple(natural_order(set(names)))


def _treatments(networks: tuple[Network, ...]) -> tuple[Treatment, ...]:
    found: dict[str, Treatment] = {}
    for treatment in (t for network in networks for t in network.treatments):
        known = found.setdefault(treatment.name, treatment)
        bare = Treatment(name=treatment.name)
        if known == bare:
            found[treatment.name] = treatment
        elif treatment not in (known, bare):
            raise DataError(
                f"treatment {treatment.name!r} is described differently in two of the networks",
                fix="Give it the same agent, dose, class and components in both.",
            )
    return tuple(found[name] for name in natural_order(set(found)))


def _joined(blocks: list[Block]) -> Block:
    if len(blocks) == 1:
        return blocks[0]
    if len({np.shape(block.r)[1:] for block in blocks if hasattr(block, "r")}) > 1:
        raise ModelError("the networks give responses at different numbers of levels. Build them with the same levels.")
    parts = {}
    for f in fields(blocks[0]):
        values = [getattr(block, f.name) for block in blocks]
        if f.name == "rows":
            parts[f.name] = tuple(row for v in values for row in v) if all(values) else ()
        else:
            parts[f.name] = np.concatenate(values)
    return type(blocks[0])(**parts)


def _covariates(networks: tuple[Network, ...], at: dict[str, int]) -> dict[str, NDArray[np.float64]]:
    names = sorted({name for network in networks for name in network.covariates})
    out = {name: np.full(len(at), np.nan) for name in names}
    for network in networks:
        where = np.array([at[study] for study in network.studies])
        for name, values in network.covariates.items():
            out[name][where] = values
    return out
