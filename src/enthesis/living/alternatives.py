"""The networks of a multiverse: one for every setting of the axes that change the data.

Made from a network or from a question of a review, each once; a network that cannot be made is the sentence that says
why. A name is resolved anew in each, because a drug is a class in one network and a regimen in another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from enthesis.errors import EnthesisError, UsageError, unknown_name
from enthesis.living.axes import AXES, NONE, question_changes
from enthesis.living.review import Review
from enthesis.models.model import Model
from enthesis.network.blocks import ArmCounts
from enthesis.network.build import build
from enthesis.network.measures import measure
from enthesis.network.network import Network
from enthesis.network.outcomes import outcome, outcomes
from enthesis.network.question import Question
from enthesis.network.subset import component, without_study
from enthesis.network.treatments import TreatmentMap

if TYPE_CHECKING:
    from enthesis.evidence import Evidence


class Alternatives:
    """Networks by setting.

    Parameters
    ----------
    make : callable
        Setting (of axes that change the question or the measure) → network; may raise EnthesisError.
    review : bool
        Whether axes of questions apply.
    model : Model
        The model that axes change.
    treatments : TreatmentMap
        What a name stands for.
    """

    def __init__(
        self,
        make: Callable[[Mapping[str, str]], Network],
        *,
        review: bool,
        model: Model,
        treatments: TreatmentMap,
    ) -> None:
        self._make, self.review, self.model, self._treatments = make, review, model, treatments
        self._made: dict[tuple, Network | str] = {}
        self.network = make({})

    @property
    def measure(self) -> str:
        """Of the network without any axis."""
        return self.network.measure.name

    def at(self, setting: Mapping[str, str]) -> Network | str:
        """The network of a setting, or why there is none; equal settings give the same object."""
        shaping = tuple((n, v) for n, v in setting.items() if AXES[n].kind in ("question", "measure"))
        network = self._once(shaping, lambda: self._make(dict(shaping)))
        study = setting.get("without", NONE)
        if study == NONE or isinstance(network, str):
            return network
        return self._once((*shaping, study), lambda: _without(network, study))

    def _once(self, key: tuple, make: Callable[[], Network]) -> Network | str:
        if key not in self._made:
            try:
                self._made[key] = make()
            except EnthesisError as problem:
                self._made[key] = str(problem)
        return self._made[key]

    def node(self, network: Network, name: str) -> str:
        """The node of a network that a name stands for."""
        return node_of(network, name, self._treatments)

    def require(self, *names: str) -> None:
        """Raise UsageError for a name that no network can hold."""
        for name in names:
            self.node(self.network, name)

    def require_measures(self, names: tuple[str, ...]) -> None:
        """Raise UsageError for measures that cannot be had from these data."""
        kinds = {block.kind for block in self.network.blocks}
        for name in names:
            if name != self.measure and not all(measure(name).kind == kind for kind in kinds):
                raise UsageError(
                    f"the axis measure cannot take {name}: the data are {', '.join(sorted(kinds))} on {self.measure}."
                )

    def risk(self, comparator: str) -> float | None:
        """Pooled risk of the comparator's arms."""
        at = self.network.index(self.node(self.network, comparator))
        arms = [(b, b.treatment == at) for b in self.network.blocks if isinstance(b, ArmCounts)]
        n = sum(float(b.n[on].sum()) for b, on in arms)
        return sum(float(b.r[on].sum()) for b, on in arms) / n if n else None

    def limit(self, scale: str, mid: float | None) -> float | None:
        """The smallest difference that matters on the model's scale."""
        if mid is None and self.network.outcome in outcomes():
            mid = outcome(self.network.outcome).mid.get(scale)
        if mid is None and scale == self.measure:
            mid = self.network.mid
        if mid is None:
            return None
        if not np.isfinite(mid) or mid <= 0 or (measure(scale).scale == "log" and mid == 1):
            raise UsageError(f"the smallest difference that matters must be above 0 (and a ratio not 1), not {mid!r}.")
        return abs(float(measure(scale).transform(mid)))


def _without(network: Network, study: str) -> Network:
    return component(without_study(network, network.studies.index(study)), network.reference)


def of_network(network: Network) -> Alternatives:
    """The alternatives to a network: its other measures."""
    own = component(network, network.reference)

    def make(setting: Mapping[str, str]) -> Network:
        name = setting.get("measure", own.measure.name)
        return own if name == own.measure.name else own.replace(measure=measure(name), mid=None)

    return Alternatives(make, review=False, model=Model(), treatments=TreatmentMap())


def of_review(source: Review | str | Path, question: str | Question | None, evidence: Evidence | None) -> Alternatives:
    """The alternatives to the network of a question of a review.

    Parameters
    ----------
    source : Review, str or path
    question : str or Question
    evidence : Evidence, optional
    """
    review = source if isinstance(source, Review) else Review.load(source)
    if question is None:
        raise UsageError(f"name a question of the review {review.id!r}, such as {review.questions[0].id!r}.")
    asked = question if isinstance(question, Question) else review.question(question)
    known = evidence if evidence is not None else review.evidence()
    choice = next((m for m in review.models if m.applies_to(asked)), None)

    def make(setting: Mapping[str, str]) -> Network:
        built = build(known, asked.replace(**question_changes(setting, asked.target_week)), review.treatments)
        return component(built, built.reference)

    model = choice.model(asked) if choice else Model()
    return Alternatives(make, review=True, model=model, treatments=review.treatments)


def node_of(network: Network, name: str, treatments: TreatmentMap) -> str:
    """The node of a network that a drug, a regimen or a class stands for, whatever its nodes are.

    Parameters
    ----------
    network : Network
    name : str
    treatments : TreatmentMap

    Raises
    ------
    UsageError
        When there is none, or several regimens of a drug and not exactly one of them licensed.
    """
    if name in network.treatment_names:
        return name
    regimen = next((r for r in treatments.regimens if r.label == name), None)
    drug = regimen.drug if regimen else name
    if drug in network.treatment_names:
        return drug
    known = next((d for d in treatments.drugs if d.name == drug), None)
    if known and known.drug_class in network.treatment_names:
        return known.drug_class
    own = [t.name for t in network.treatments if t.agent == drug] if not regimen else []
    licensed = {r.label for r in treatments.regimens if r.licensed == "yes"}
    for some in (own, [n for n in own if n in licensed]):
        if len(some) == 1:
            return some[0]
    if own:
        raise UsageError(f"{name!r} has several regimens in the network ({', '.join(own)}): name one of them.")
    raise unknown_name("treatment", name, network.treatment_names)
