"""One comparison of a network, study by study: its cells and its effects, for pairwise analyses.

Only studies that hold both treatments count; in studies with more arms the other arms are set aside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from enthesis.errors import DataError, ModelError, UsageError
from enthesis.network.blocks import ArmCounts, ArmRates, Block, Contrasts
from enthesis.network.measures import Measure
from enthesis.network.network import Network

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Cells:
    """Events of treatment (1) and comparator (2) in each study, with patients or time at risk.

    Parameters
    ----------
    treatment, comparator : str
    study : tuple of str
    r1, r2 : float arrays, shape (studies,)
        Events.
    n1, n2 : float arrays, shape (studies,)
        Patients, or time at risk where `rates`.
    rates : bool
    measure : Measure
        The network's.
    """

    treatment: str
    comparator: str
    measure: Measure
    study: tuple[str, ...]
    r1: Array
    n1: Array
    r2: Array
    n2: Array
    rates: bool

    def taken(self, keep: NDArray) -> Cells:
        """The studies at the given positions."""
        return Cells(
            treatment=self.treatment, comparator=self.comparator, measure=self.measure, rates=self.rates,
            study=tuple(np.array(self.study)[keep].tolist()),
            r1=self.r1[keep], n1=self.n1[keep], r2=self.r2[keep], n2=self.n2[keep],
        )  # fmt: skip


def compared(network: Network, treatment: str | None = None, comparator: str | None = None) -> tuple[int, int]:
    """Positions of the two treatments of a comparison.

    Parameters
    ----------
    network : Network
    treatment : str, optional
        May be left out in a network of two treatments.
    comparator : str, optional
        By default the reference.

    Returns
    -------
    treatment, comparator : int
    """
    against = network.index(comparator or network.reference)
    if treatment is None:
        if network.n_treatments != 2:
            raise UsageError(
                f"the network has {network.n_treatments} treatments: name the treatment to compare with "
                f"{network.treatment_names[against]!r}."
            )
        return 1 - against, against
    at = network.index(treatment)
    if at == against:
        raise UsageError(f"{treatment!r} cannot be compared with itself. Name another comparator.")
    return at, against


def cells(network: Network, treatment: str | None = None, comparator: str | None = None) -> Cells:
    """Events and patients, or time at risk, of both arms of every study of a comparison.

    Parameters
    ----------
    network : Network
    treatment, comparator : str, optional
        As in `compared`.

    Returns
    -------
    Cells
        Studies in network order.

    Raises
    ------
    ModelError
        When a study of the comparison has no counts, or some have patients and some time at risk.
    DataError
        When no study compares the two.

    Examples
    --------
    >>> import enthesis as en
    >>> network = en.from_table([
    ...     {"study": "A", "treatment": "placebo", "events": 4, "n": 50},
    ...     {"study": "A", "treatment": "drug", "events": 9, "n": 52},
    ... ])
    >>> cells(network).r1.tolist(), cells(network).n2.tolist()
    ([9.0], [50.0])
    """
    at, against = compared(network, treatment, comparator)
    names = network.treatment_names
    rows: list[tuple[int, float, float, float, float]] = []
    kinds: set[bool] = set()
    for block in network.blocks:
        first, second = _arms(block, at, against)
        if not len(first):
            continue
        if not isinstance(block, ArmCounts | ArmRates):
            raise ModelError(
                f"{names[at]} versus {names[against]} has studies without counts of events ({block.kind}). This method "
                "needs events of every arm; use meta_regression for effects with standard errors."
            )
        size = block.E if isinstance(block, ArmRates) else block.n
        kinds.add(isinstance(block, ArmRates))
        for study in np.intersect1d(block.study[first], block.study[second]):
            # two arms of one treatment (two schedules, say) count as one group
            one, two = first[block.study[first] == study], second[block.study[second] == study]
            rows.append((study, block.r[one].sum(), size[one].sum(), block.r[two].sum(), size[two].sum()))
    if not rows:
        raise DataError(f"no study compares {names[at]!r} with {names[against]!r}", fix="Choose another comparison.")
    if len(kinds) > 1:
        raise ModelError("some studies give patients and some time at risk; this method needs one of the two.")
    table = np.array(sorted(rows))
    return Cells(
        treatment=names[at], comparator=names[against], measure=network.measure, rates=kinds.pop(),
        study=tuple(network.studies[int(i)] for i in table[:, 0]),
        r1=table[:, 1], n1=table[:, 2], r2=table[:, 3], n2=table[:, 4],
    )  # fmt: skip


def _arms(block: Block, at: int, against: int) -> tuple[NDArray, NDArray]:
    """Rows of the two treatments, for the studies that have both."""
    if not isinstance(block, Contrasts):
        first, second = (np.flatnonzero(block.treatment == t) for t in (at, against))
        shared = np.intersect1d(block.study[first], block.study[second])
        return first[np.isin(block.study[first], shared)], second[np.isin(block.study[second], shared)]
    both = ((block.treatment == at) & (block.comparator == against)) | (
        (block.treatment == against) & (block.comparator == at)
    )
    return np.flatnonzero(both), np.flatnonzero(both)


def study_effects(network: Network, treatment: str | None = None, comparator: str | None = None) -> pd.DataFrame:
    """The effect of one comparison in each study, on the network's measure, with the studies' covariates.

    Parameters
    ----------
    network : Network
    treatment, comparator : str, optional
        As in `compared`.

    Returns
    -------
    pandas.DataFrame
        study, effect (treatment minus comparator, model's scale), variance, and one column per covariate.

    Examples
    --------
    >>> import enthesis as en
    >>> network = en.from_table([
    ...     {"study": "A", "treatment": "placebo", "events": 4, "n": 50},
    ...     {"study": "A", "treatment": "drug", "events": 9, "n": 52},
    ... ])
    >>> study_effects(network).round(3).to_dict("records")
    [{'study': 'A', 'effect': 0.878, 'variance': 0.406}]
    """
    import pandas as pd

    at, against = compared(network, treatment, comparator)
    rows = []
    for g in network.pairs.groups:
        has = [(g.arms == t) for t in (at, against)]
        for i in np.flatnonzero(has[0].any(1) & has[1].any(1)):
            if has[0][i].sum() + has[1][i].sum() > 2:
                raise ModelError(
                    f"study {network.studies[int(g.study[i])]!r} has several arms of one of the two treatments, so it "
                    "has no single effect. Add their numbers up in the table, or name the arms apart."
                )
            a, b = (int(np.argmax(h[i])) for h in has)
            rows.append((int(g.study[i]), float(g.y[i, a, b]), float(g.v[i, a, b])))
    if not rows:
        names = network.treatment_names
        raise DataError(f"no study compares {names[at]!r} with {names[against]!r}", fix="Choose another comparison.")
    rows.sort()
    studies = np.array([row[0] for row in rows])
    frame = pd.DataFrame({"study": [network.studies[i] for i in studies], "effect": [row[1] for row in rows],
                          "variance": [row[2] for row in rows]})  # fmt: skip
    for name, values in network.covariates.items():
        frame[name] = np.asarray(values)[studies]
    return frame
