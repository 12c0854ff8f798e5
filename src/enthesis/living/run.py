"""A run: the answers to a review's questions on one snapshot of the evidence.

Each answer keeps the whole way to it: the question, what was selected and why, the network, the fits. Nothing here is
formatted; the report reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from enthesis.errors import unknown_name
from enthesis.hashing import content_hash
from enthesis.inference.fit import Fit
from enthesis.network.blocks import ArmCounts
from enthesis.network.build import Selection
from enthesis.network.network import Network
from enthesis.network.question import Question

if TYPE_CHECKING:
    import pandas as pd

    from enthesis.assess.conclusions import Earlier
    from enthesis.evidence import Evidence
    from enthesis.living.review import Review


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """The risk with the reference, pooled over the arms of a network: events of n in a number of studies."""

    treatment: str
    events: float
    n: float
    studies: int

    @property
    def risk(self) -> float:
        """Events divided by patients."""
        return self.events / self.n


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of one question.

    Parameters
    ----------
    question : Question
    selection : Selection
        Which rows were used, which not, and why.
    network : Network or None
        None when no study is left; then `problem` says why.
    fitted : Network or None
        The connected part that holds the reference: what the models saw.
    fits : dict of str to Fit
        By model id, in the order of the review; the first is the one to read.
    problems : dict of str to str
        By model id, why it gave no fit.
    problem : str
        Why there is no answer at all; empty when there is one.
    """

    question: Question
    selection: Selection
    network: Network | None = None
    fitted: Network | None = None
    fits: dict[str, Fit] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    problem: str = ""

    @property
    def fit(self) -> Fit | None:
        """The fit to read first: of the first model that gave one."""
        return next(iter(self.fits.values()), None)

    @property
    def unconnected(self) -> tuple[str, ...]:
        """Studies of the network that share nothing with the part that holds the reference."""
        if self.network is None or self.fitted is None:
            return ()
        return tuple(s for s in self.network.studies if s not in self.fitted.studies)

    @cached_property
    def baseline(self) -> Baseline | None:
        """The pooled risk with the reference; None for outcomes that are not counted in patients, or without events."""
        if self.fitted is None:
            return None
        at = self.fitted.index(self.fitted.reference)
        arms = [(b, b.treatment == at) for b in self.fitted.blocks if isinstance(b, ArmCounts)]
        events = float(sum(b.r[mask].sum() for b, mask in arms))
        n = float(sum(b.n[mask].sum() for b, mask in arms))
        if not 0 < events < n:
            return None
        studies = len(np.unique(np.concatenate([b.study[mask] for b, mask in arms])))
        return Baseline(treatment=self.fitted.reference, events=events, n=n, studies=studies)


@dataclass(frozen=True, kw_only=True)
class Run:
    """A review on a snapshot.

    Parameters
    ----------
    review : Review
    evidence : Evidence
    answers : tuple of Answer
        In the order of the review's chapters.
    seconds : float
        How long it took.
    parts : dict
        What was computed from all answers together, by name (`living.parts`).
    part_problems : dict of str to str
        By name, why a part was not computed.
    earlier : mapping of str to Earlier
        What the last recorded run said of each conclusion; empty for a run that is not recorded.
    parts_reused, parts_why : dict
        By name of a part, with kept results: whether it was used again, and what it had read that has changed.
    """

    review: Review
    evidence: Evidence
    answers: tuple[Answer, ...]
    seconds: float = 0.0
    parts: dict[str, Any] = field(default_factory=dict)
    part_problems: dict[str, str] = field(default_factory=dict)
    earlier: Mapping[str, Earlier] = field(default_factory=dict, compare=False)
    parts_reused: dict[str, bool] = field(default_factory=dict, compare=False)
    parts_why: dict[str, tuple[str, ...]] = field(default_factory=dict, compare=False)

    def answer(self, id: str) -> Answer:
        """The answer to the question with that id."""
        found = {a.question.id: a for a in self.answers}
        if id not in found:
            raise unknown_name("question", id, found)
        return found[id]

    @property
    def main(self) -> Answer:
        """The answer to the review's main question; the first one when that was not run."""
        wanted = self.review.main_question
        return next((a for a in self.answers if a.question.id == wanted), self.answers[0])

    @property
    def chapters(self) -> tuple[tuple[str, str, tuple[Answer, ...]], ...]:
        """(title, introduction, answers) of each chapter that has an answer."""
        found = {a.question.id: a for a in self.answers}
        return tuple(
            (c.title, c.intro, its)
            for c in self.review.chapters
            if (its := tuple(found[i] for i in c.questions if i in found))
        )

    @cached_property
    def content_hash(self) -> str:
        """Identity of what was asked, believed and known: equal inputs give an equal hash."""
        return content_hash(
            (
                self.evidence.content_hash,
                [(a.question, [fit.content_hash for fit in a.fits.values()]) for a in self.answers],
            )
        )

    def overview(self) -> pd.DataFrame:
        """One line per question.

        Returns
        -------
        pandas.DataFrame
            question, title, outcome, stratum, nodes, studies, arms, patients, treatments (without the reference),
            unconnected, rows_used, rows_out, tau, status.
        """
        import pandas as pd

        return pd.DataFrame([_line(a) for a in self.answers])


def _line(a: Answer) -> dict[str, object]:
    fit, network = a.fit, a.network
    return {
        "question": a.question.id,
        "title": a.question.title,
        "outcome": a.question.outcome,
        "stratum": a.question.stratum,
        "nodes": a.question.nodes,
        "studies": network.n_studies if network else 0,
        "arms": network.n_arms if network else 0,
        "patients": network.n_patients if network else None,
        "treatments": network.n_treatments - 1 if network else 0,
        "unconnected": len(a.unconnected),
        "rows_used": len(a.selection.used),
        "rows_out": len(a.selection.excluded),
        "tau": fit.tau.estimate if fit else None,
        "status": fit.status.message if fit else a.problem or "; ".join(a.problems.values()),
    }
