"""The network: the frozen analysis data set that models believe something about.

Built by `build` from the evidence store and a question, or by `from_table` from a data frame. Printed, it answers
the first questions a reviewer asks: how many studies, arms, patients and treatments, is it connected, what was left
out.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from enthesis.errors import DataError, unknown_name
from enthesis.hashing import content_hash
from enthesis.network.blocks import Block, Contrasts, check
from enthesis.network.ledger import Entry, Ledger, after_exclusions
from enthesis.network.measures import ContinuityCorrection, Measure
from enthesis.network.pairwise import Pairwise, pairwise

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Treatment:
    """A node of the network, with what is known about it.

    Parameters
    ----------
    name : str
        How it is called in tables and figures.
    agent, dose, unit, drug_class : optional
        Agent (INN), dose as a number with its unit, class.
    components : tuple of str
        For combinations: the parts, in the order they are written.
    """

    name: str
    agent: str = ""
    dose: float | None = None
    unit: str = ""
    drug_class: str = ""
    components: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Network:
    """Studies, treatments, blocks of data and the ledger of what was left out.

    Parameters
    ----------
    studies : tuple of str
    treatments : tuple of Treatment
    blocks : tuple of Block
        Rows refer to positions in `studies` and `treatments`. Two arms of a study may hold one treatment (two
        schedules of it, say): each is an arm of its own, with its own random effect.
    measure : Measure
        The scale on which effects are expressed.
    reference : str
        The treatment that effects are expressed against inside models; comparisons do not depend on it.
    better : {"higher", "lower"} or None
        Whether a higher value of the outcome is good; None when nobody said so, and then nothing is ranked as best.
    outcome, title : str
        For the reader.
    mid : float or None
        Minimally important difference, on the scale people read (1.25 for a ratio, 10 for a difference).
    correction : ContinuityCorrection
        Used only by models that work on contrasts.
    covariates : dict of str to float array, shape (studies,)
        Study-level values, NaN where not reported.
    ledger : Ledger
    mapping : dict of str to str
        For a user's own table: which column was read as what.

    Raises
    ------
    DataError
        When a row cannot be used by any model (naming it), or nothing is left to compare.

    Examples
    --------
    >>> import enthesis as en
    >>> rows = [dict(study="1", treatment=x, events=r, n=50) for x, r in (("A", 5), ("B", 12))]
    >>> print(en.from_table(rows, reference="A"))
    Network
      1 studies, 2 arms, 100 patients, 2 treatments, 1 designs
      measure OR (odds ratio), reference 'A'
      connected
      ledger: 0 exclusions, 1 notes
    """

    studies: tuple[str, ...]
    treatments: tuple[Treatment, ...]
    blocks: tuple[Block, ...]
    measure: Measure
    reference: str
    better: Literal["higher", "lower"] | None = None
    outcome: str = ""
    title: str = ""
    mid: float | None = None
    correction: ContinuityCorrection = field(default=ContinuityCorrection())
    covariates: dict[str, np.ndarray] = field(default_factory=dict)
    ledger: Ledger = field(default=Ledger())
    mapping: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = self.treatment_names
        if len(self.studies) == 0 or len(names) < 2:
            raise DataError(
                f"nothing to compare: {len(self.studies)} studies and {len(names)} treatments are left"
                f"{after_exclusions(self.ledger)}",
                fix="A network needs at least one study of two treatments.",
            )
        if len(set(names)) != len(names):
            raise DataError("two treatments have the same name", fix="Give each treatment its own name.")
        if self.reference not in names:
            raise unknown_name("treatment", self.reference, names)
        for block in self.blocks:
            check(block, self.studies, names)

    @cached_property
    def treatment_names(self) -> tuple[str, ...]:
        """Names in network order."""
        return tuple(t.name for t in self.treatments)

    def index(self, treatment: str) -> int:
        """Position of a treatment; UsageError with the nearest name when there is none."""
        try:
            return self.treatment_names.index(treatment)
        except ValueError:
            raise unknown_name("treatment", treatment, self.treatment_names) from None

    @cached_property
    def content_hash(self) -> str:
        """Identity of the data and the settings that change an estimate (not of titles)."""
        skip = {"title", "mapping", "ledger"}
        return content_hash({f.name: getattr(self, f.name) for f in fields(self) if f.name not in skip})

    @cached_property
    def pairs(self) -> Pairwise:
        """All contrasts on the measure's scale, as groups of studies by number of arms."""
        return pairwise(self.blocks, self.measure, self.correction, self.studies)

    @property
    def n_studies(self) -> int:
        """Number of studies."""
        return len(self.studies)

    @property
    def n_treatments(self) -> int:
        """Number of treatments."""
        return len(self.treatments)

    @cached_property
    def n_arms(self) -> int:
        """Number of arms over all studies."""
        return sum(_arms_in(block) for block in self.blocks)

    @property
    def n_patients(self) -> float | None:
        """Patients over all arms, or None where an arm does not say."""
        sizes = [getattr(b, "n", None) for b in self.blocks]
        if any(s is None or not np.all(np.isfinite(s)) for s in sizes):
            return None
        return float(sum(s.sum() for s in sizes))

    def replace(self, **changes) -> Network:
        """The same network with some fields changed."""
        return replace(self, **changes)

    def with_notes(self, *entries: Entry) -> Network:
        """The same network with more ledger entries."""
        return replace(self, ledger=self.ledger + entries)

    def arms_table(self) -> pd.DataFrame:
        """One row per arm or contrast.

        Returns
        -------
        pandas.DataFrame
            study, treatment, comparator (contrasts only), the numbers of each block under whole words
            (events, n, mean, se, sd, time_at_risk, effect), row.
        """
        import pandas as pd

        words = {"r": "events", "E": "time_at_risk", "n": "n", "sd": "sd", "se": "se", "se_comparator": "se_comparator"}
        frames = []
        names = np.array(self.treatment_names, dtype=object)
        for block in self.blocks:
            frame = pd.DataFrame({"study": np.array(self.studies, dtype=object)[block.study]})
            frame["treatment"] = names[block.treatment]
            if isinstance(block, Contrasts):
                frame["comparator"] = names[block.comparator]
            for number in block.numbers:
                word = words.get(number, "effect" if isinstance(block, Contrasts) else "mean")
                frame[word] = getattr(block, number)
            frame["row"] = list(block.rows) if block.rows else ""
            frames.append(frame)
        return pd.concat(frames, ignore_index=True)

    def __str__(self) -> str:
        from enthesis.network.geometry import components, designs

        parts = components(self)
        patients = f", {self.n_patients:,.0f} patients" if self.n_patients else ""
        lines = [
            f"Network{': ' + self.title if self.title else ''}",
            f"  {self.n_studies} studies, {self.n_arms} arms{patients}, {self.n_treatments} treatments, "
            f"{len(designs(self))} designs",
            f"  measure {self.measure.name} ({self.measure.label}), reference {self.reference!r}",
            "  connected"
            if len(parts) == 1
            else f"  NOT connected: {len(parts)} parts: " + " | ".join(", ".join(p) for p in parts),
            f"  ledger: {len(self.ledger.excluded)} exclusions, {len(self.ledger) - len(self.ledger.excluded)} notes",
        ]
        return "\n".join(lines)


def _arms_in(block: Block) -> int:
    if not isinstance(block, Contrasts):
        return len(block.study)
    both = np.concatenate([np.stack([block.study, t], 1) for t in (block.treatment, block.comparator)])
    return len(np.unique(both, axis=0))
