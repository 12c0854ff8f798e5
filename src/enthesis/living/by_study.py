"""Which study moved a number: each changed study left in the old evidence, and left out of the new.

What a study adds when it comes first and what is lost without it in the end differ, and do not sum to the whole, where
studies say the same; both are told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from enthesis.errors import EnthesisError
from enthesis.execute import map as map_tasks
from enthesis.hashing import content_hash
from enthesis.living.review import Review, jobs_of, networks_of, run_job, with_fits
from enthesis.living.run import Answer
from enthesis.network.build import network_of
from enthesis.network.subset import component

if TYPE_CHECKING:
    from enthesis.evidence import Evidence
    from enthesis.living.cache import Kept

#: studies left in and out of one question
MOST_STUDIES = 12


@dataclass(frozen=True, kw_only=True)
class StudyMove:
    """What one changed study does to a number: alone on the old evidence, and last on the new."""

    study: str
    how: str
    first: float | None
    last: float | None


class LeftOut:
    """The fits of questions with each changed study left in the old evidence, and out of the new.

    Parameters
    ----------
    review : Review
        As at the end.
    old : Evidence
        At the start.
    answers : mapping of str to Answer
        At the end, with their primary fits.
    ids : iterable of str
        Questions to look at.
    kept : Kept
    workers : int, optional
    """

    def __init__(
        self,
        review: Review,
        old: Evidence,
        answers: Mapping[str, Answer],
        ids: Iterable[str],
        kept: Kept,
        workers: int | None = None,
    ) -> None:
        self._answers = answers
        self._how: dict[tuple[str, str], str] = {}
        variants: dict[tuple[str, str, str], Answer] = {}
        for id in ids:
            new = answers[id]
            if new.fit is None:
                continue
            before = networks_of(review, old, [new.question])[0]
            changed = list(changed_studies(before, new).items())[:MOST_STUDIES]
            if changed:
                variants[id, "", "old"] = before
            for study, kind in changed:
                self._how[id, study] = kind
                for name, base, other in (("in", before, new), ("out", new, before)):
                    swapped = _swapped(base, other, study, review)
                    if swapped is not None:
                        variants[id, study, name] = swapped
        models = {key: primary(review, a) for key, a in variants.items()}
        jobs = [job for key, a in variants.items() for job in jobs_of(a, models[key])]
        results = iter(map_tasks(run_job, jobs, workers=workers, cache=kept))
        self._fitted = {key: with_fits(a, models[key], results) for key, a in variants.items()}

    def moves(self, id: str, read: Callable[[Answer], float | None]) -> tuple[StudyMove, ...]:
        """What each changed study does to a number that `read` takes from an answer."""
        base, end = self._fitted.get((id, "", "old")), self._answers[id]
        return tuple(
            StudyMove(study=study, how=kind, first=_gap(read, self._fitted.get((id, study, "in")), base),
                      last=_gap(read, end, self._fitted.get((id, study, "out"))))
            for (question, study), kind in self._how.items() if question == id
        )  # fmt: skip


def primary(review: Review, begun: Answer) -> tuple[Any, ...]:
    """The model that is read first, alone; none when no model applies."""
    return next(((m,) for m in review.models if m.applies_to(begun.question)), ())


def _gap(read: Callable[[Answer], float | None], a: Answer | None, b: Answer | None) -> float | None:
    if a is None or b is None:
        return None
    x, y = read(a), read(b)
    return None if x is None or y is None else float(x - y)


def changed_studies(old: Answer, new: Answer) -> dict[str, str]:
    """Studies of a question that are added, changed or gone between two selections."""

    def numbers(answer: Answer) -> dict[str, str]:
        return {
            c.study: content_hash([(a.node, a.r, a.n, a.y, a.se, a.sd, a.E) for a in c.arms])
            for c in answer.selection.choices
        }

    before, after = numbers(old), numbers(new)
    found = {s: "added" for s in after if s not in before}
    found |= {s: "gone" for s in before if s not in after}
    return found | {s: "changed" for s in after if s in before and before[s] != after[s]}


def _swapped(base: Answer, other: Answer, study: str, review: Review) -> Answer | None:
    """An answer's network with one study as it is in another: left in, left out, or exchanged."""
    choices = [c for c in base.selection.choices if c.study != study]
    choices += [c for c in other.selection.choices if c.study == study]
    order = {s: i for i, s in enumerate(dict.fromkeys([*other.selection.studies, *base.selection.studies]))}
    choices.sort(key=lambda c: order[c.study])
    selection = replace(base.selection, choices=tuple(choices))
    try:
        network = network_of(selection, review.treatments)
        return Answer(question=base.question, selection=selection, network=network,
                      fitted=component(network, network.reference))  # fmt: skip
    except EnthesisError:
        return None


__all__ = ["LeftOut", "StudyMove", "changed_studies", "primary"]
