"""What moved between two snapshots, and why: each number taken apart into data, method and judgement.

The path has three steps: the old numbers; new data under the old method and the old judgements; the new method; the new
judgements. Each step is fitted, so the changes of a number sum exactly to the whole (on the model's scale; of
probabilities as they are). A judgement about a study that was not there before comes with the study and counts as data.
A difference that only newer code makes is a step of the method before the others.

Conclusions on long-term safety are followed along the path too, when a row that they could rest on has changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from enthesis.assess.conclusions import Concluded, conclude, read_conclusions
from enthesis.estimands import relative_effects
from enthesis.execute import map as map_tasks
from enthesis.living.between import only_data, outcomes_touched, rows_changed, studies_changed
from enthesis.living.by_study import LeftOut, StudyMove, primary
from enthesis.living.cache import Kept, method_hash
from enthesis.living.history import History, Record, living_folder
from enthesis.living.parts import compute_parts, parts_of
from enthesis.living.review import Review, jobs_of, networks_of, run_job, with_fits
from enthesis.living.run import Answer, Run
from enthesis.living.traced import Parts

if TYPE_CHECKING:
    from enthesis.evidence import Evidence, Store
    from enthesis.evidence.snapshot import Snapshot
    from enthesis.living.review import Progress

STEPS = ("software", "data", "method", "judgement")


@dataclass(frozen=True, kw_only=True)
class Moved:
    """A number that moved.

    Parameters
    ----------
    question, what : str
        Id of the question; the number in words, such as `OR JAKi : placebo` or `P of C3`.
    scale : {"log", "identity", "probability"}
        Scale of `path` and `steps`.
    path : tuple of float or None
        The number before, after newer code, new data, new method and new judgements.
    steps : dict of str to float or None
        By kind of change (`STEPS`); they sum to the last of the path minus the first.
    before, after : (float, float, float) or None
        Estimate and interval, on the model's scale.
    studies : tuple of StudyMove
    strong : bool
        Whether it is about the class in focus.
    """

    question: str
    what: str
    scale: str
    path: tuple[float | None, ...]
    steps: dict[str, float | None]
    before: tuple[float, float, float] | None = None
    after: tuple[float, float, float] | None = None
    studies: tuple[StudyMove, ...] = ()
    strong: bool = False

    @property
    def whole(self) -> float | None:
        """The change from first to last."""
        first, last = self.path[0], self.path[-1]
        return None if first is None or last is None else last - first


@dataclass(frozen=True, kw_only=True)
class ConclusionMove:
    """A conclusion before and after, with the probability at each step."""

    before: Concluded | None
    after: Concluded
    number: Moved

    @property
    def flipped(self) -> bool:
        """Whether its state changed."""
        return self.before is not None and self.before.state != self.after.state


@dataclass(frozen=True, kw_only=True)
class Crossing:
    """A comparison whose verdict changed: its interval passed no difference or the smallest that matters."""

    question: str
    what: str
    before: str
    after: str


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The difference between two snapshots of a review.

    Parameters
    ----------
    review : Review
        As at the end.
    old, new : Snapshot
    rows : dict of str to dict
        By table: rows added, superseded, withdrawn.
    studies : dict of str to tuple of str
        Names of studies added, changed, gone.
    method : tuple of str
        What changed in the settings, in words.
    software : bool
        Whether newer code is a step of its own.
    questions : tuple of str
        Ids whose data, method or judgements changed.
    numbers : tuple of Moved
    conclusions : tuple of ConclusionMove
    crossings : tuple of Crossing
    fits : int
        Fits that had to be computed.
    """

    review: Review
    old: Snapshot
    new: Snapshot
    rows: dict[str, dict[str, int]]
    studies: dict[str, tuple[str, ...]]
    method: tuple[str, ...]
    software: bool
    questions: tuple[str, ...]
    numbers: tuple[Moved, ...]
    conclusions: tuple[ConclusionMove, ...]
    crossings: tuple[Crossing, ...]
    fits: int = 0

    @property
    def flips(self) -> tuple[ConclusionMove, ...]:
        """Conclusions that changed their state."""
        return tuple(c for c in self.conclusions if c.flipped)

    @property
    def matters(self) -> bool:
        """Whether a conclusion flipped or a verdict changed."""
        return bool(self.flips or self.crossings)


@dataclass(frozen=True, kw_only=True)
class _State:
    """A point of the path: evidence under a review, with the answers of its questions."""

    review: Review
    evidence: Evidence
    answers: dict[str, Answer]

    @property
    def run(self) -> Run:
        return Run(review=self.review, evidence=self.evidence, answers=tuple(self.answers.values()))


def difference(
    store: Store,
    review: Review,
    old: Snapshot,
    new: Snapshot,
    *,
    only: Iterable[str] | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Difference:
    """Take the difference between two snapshots apart.

    Parameters
    ----------
    store : Store
    review : Review
        The method now; the method then is that of the last run recorded on the old snapshot or before.
    old, new : Snapshot
    only : iterable of str, optional
        Ids of questions.
    workers : int, optional
    progress : callable, optional

    Returns
    -------
    Difference
    """
    folder = living_folder(store.name)
    history, kept = History(folder), Kept(folder / "kept")
    records = history.records(review.id)
    then, now = _in_force(records, old.number), _in_force(records, new.number)
    latest = new.number == store.snapshot().number
    review_old = history.review_of(then) if then else review
    review_new = review if latest or now is None else history.review_of(now)
    before, after = store.evidence(old), store.evidence(new)
    newer = only_data(before, after)
    exact = then if then and then.snapshot["content_hash"] == old.content_hash else None

    wanted = set(only) if only is not None else None
    states = [(review_old, before), (review_old, newer), (review_new, newer), (review_new, after)]
    begun = [
        {a.question.id: a for a in networks_of(r, e, _asked(r, wanted, review_old, review_new))} for r, e in states
    ]
    ids = [q.id for q in review_new.questions if q.id in begun[0] and q.id in begun[3]]
    changed = [i for i in ids if _differs([b[i] for b in begun]) or _models_differ(review_old, review_new, i)]
    needed = _needed(changed, ids, review_new)
    jobs = [
        (at, i, jobs_of(begun[at][i], primary(r, begun[at][i]))) for at, (r, _) in enumerate(states) for i in needed
    ]
    flat = [job for _, _, some in jobs for job in some]
    made = kept.made
    steps = len(flat)
    tell = progress or (lambda done, total, label: None)
    results = iter(
        map_tasks(
            run_job, flat, workers=workers, cache=kept, progress=lambda done, total: tell(done, steps + 1, "fits")
        )
    )
    answers: list[dict[str, Answer]] = [{} for _ in states]
    for at, i, _ in jobs:
        answers[at][i] = with_fits(begun[at][i], primary(states[at][0], begun[at][i]), results)
    path = [_State(review=r, evidence=e, answers=found) for (r, e), found in zip(states, answers)]

    numbers = [m for i in needed for m in _numbers(i, path, exact)]
    done = _safety(path, outcomes_touched(before, after), kept)
    conclusions = _conclusions(review_new, review_old, path, exact, done)
    crossings = tuple(c for i in needed for c in _crossings(i, path))
    if changed:
        told = [i for i in needed if i == review_new.main_question or any(c.number.question == i for c in conclusions)]
        left = LeftOut(review_new, before, path[3].answers, told, kept, workers)
        numbers = [replace(m, studies=left.moves(m.question, _effect(m))) if m.strong and m.question in told else m
                   for m in numbers]  # fmt: skip
        conclusions = [_with_studies(c, left, path[3]) for c in conclusions]
    tell(steps + 1, steps + 1, "done")
    return Difference(
        review=review_new, old=old, new=new, rows=rows_changed(before, after), studies=studies_changed(before, after),
        method=_method(review_old, review_new), software=bool(exact and exact.method != method_hash()),
        questions=tuple(changed), numbers=tuple(m for m in numbers if _moved(m)),
        conclusions=tuple(conclusions), crossings=crossings, fits=kept.made - made,
    )  # fmt: skip


def _in_force(records: Iterable[Record], number: int) -> Record | None:
    """The last run recorded on a snapshot or an earlier one."""
    return next((r for r in reversed(tuple(records)) if int(r.snapshot["number"]) <= number), None)


def _asked(review: Review, wanted: set[str] | None, *both: Review) -> list[Any]:
    shared = set.intersection(*({q.id for q in r.questions} for r in both))
    return [q for q in review.questions if q.id in shared and (wanted is None or q.id in wanted)]


def _needed(changed: list[str], ids: list[str], review: Review) -> list[str]:
    """The changed questions, and those that conclusions read."""
    path = review.folder / "conclusions.toml"
    read = {c.question for c in read_conclusions(path)} if path.is_file() else set()
    return [i for i in ids if i in set(changed) | read]


def _differs(answers: list[Answer]) -> bool:
    return len({a.fitted.content_hash if a.fitted else a.problem for a in answers}) > 1


def _models_differ(old: Review, new: Review, id: str) -> bool:
    def model(review: Review) -> Any:
        question = review.question(id)
        choice = next((m for m in review.models if m.applies_to(question)), None)
        return (choice.model(question), choice.engine, choice.tau, choice.seed, choice.draws) if choice else None

    return model(old) != model(new)


def _numbers(id: str, path: list[_State], exact: Record | None) -> list[Moved]:
    """Every effect against the reference, along the path."""
    fits = [s.answers[id].fit if id in s.answers else None for s in path]
    if fits[0] is None and fits[3] is None:
        return []
    last = fits[3] or fits[0]
    tables = [
        {}
        if f is None
        else {r.treatment: (r.estimate, r.lower, r.upper) for r in relative_effects(f, f.reference).itertuples()}
        for f in fits
    ]
    measure = last.network.measure
    recorded = (exact.questions.get(id, {}).get("effects", {})) if exact else {}
    classes = {t.name: t.drug_class for f in fits if f is not None for t in f.network.treatments}
    found = []
    for treatment in dict.fromkeys(t for table in reversed(tables) for t in table):
        values = [table[treatment][0] if treatment in table else None for table in tables]
        if len({f.reference for f in fits if f is not None}) > 1:
            continue
        first = recorded[treatment][0] if treatment in recorded else values[0]
        whole = (first, *values)
        found.append(
            Moved(
                question=id, what=f"{measure.name} {treatment} : {last.reference}", scale=measure.scale, path=whole,
                steps=_steps(whole), before=tables[0].get(treatment), after=tables[3].get(treatment),
                strong=classes.get(treatment) == path[3].review.focus_class,
            )
        )  # fmt: skip
    return found


def _steps(path: tuple[float | None, ...]) -> dict[str, float | None]:
    """Changes along the path; None where a number is not there on both sides."""
    return {name: None if a is None or b is None else b - a for name, a, b in zip(STEPS, path, path[1:], strict=False)}


def _moved(m: Moved) -> bool:
    return any(x is None for x in m.path) or any(x for x in m.steps.values())


def _safety(path: list[_State], touched: set[str], kept: Kept) -> list[Mapping[str, Any]]:
    """Long-term safety at each point of the path; nothing where no conclusion could rest on what changed."""
    file = path[3].review.folder / "conclusions.toml"
    read = {c.outcome for c in read_conclusions(file)} if file.is_file() else set()
    found: list[Mapping[str, Any]] = []
    known: dict[tuple[str, str], Mapping[str, Any]] = {}
    for state in path:
        key = state.evidence.content_hash, str(state.review.folder)
        if key not in known:
            on = [p for p in parts_of(state.review.folder) if p.name == "safety"]
            run = state.run
            known[key] = compute_parts(run, on, kept=Parts(run, kept))[0] if on and read & touched else {}
        found.append(known[key])
    return found


def _conclusions(
    review: Review,
    review_old: Review,
    path: list[_State],
    exact: Record | None,
    done: list[Mapping[str, Any]],
) -> list[ConclusionMove]:
    """Each conclusion at each point of the path; before the new method the old rule of the same id is asked."""
    files = [r.folder / "conclusions.toml" for r in (review_old, review)]
    if not files[1].is_file():
        return []
    old = {c.id: c for c in read_conclusions(files[0])} if files[0].is_file() else {}
    recorded = {c["id"]: c["probability"] for c in exact.conclusions} if exact else {}
    found = []
    for c in read_conclusions(files[1]):
        if any(c.question not in s.answers if c.question else not safety for s, safety in zip(path, done)):
            continue
        rules = [old.get(c.id, c) if point < 2 else c for point in range(4)]
        told = [conclude(rule, s.run, safety) for rule, s, safety in zip(rules, path, done)]
        values = [t.probability for t in told]
        first = recorded.get(c.id)
        whole = (values[0] if first is None else first, *values)
        number = Moved(question=c.question, what=f"P of {c.id}", scale="probability", path=whole, steps=_steps(whole))
        found.append(ConclusionMove(before=told[0] if c.id in old else None, after=told[3], number=number))
    return found


def _effect(m: Moved) -> Any:
    """What reads the number of a moved effect off an answer."""
    treatment = m.what.partition(" ")[2].partition(" : ")[0]

    def read(answer: Answer) -> float | None:
        fit = answer.fit
        known = fit is not None and treatment in fit.treatments
        return float(fit.estimate[fit.network.index(treatment)]) if known else None

    return read


def _with_studies(c: ConclusionMove, left: LeftOut, last: _State) -> ConclusionMove:
    """A conclusion with what each changed study does to its probability."""
    if not c.number.question:
        return c

    def read(answer: Answer) -> float | None:
        alone = replace(last, answers={answer.question.id: answer})
        return conclude(c.after.conclusion, alone.run, {}).probability

    return replace(c, number=replace(c.number, studies=left.moves(c.number.question, read)))


def _crossings(id: str, path: list[_State]) -> list[Crossing]:
    """Treatments in focus whose verdict against the reference changed."""
    from enthesis.report.wording import verdict

    first, last = path[0].answers[id].fit, path[3].answers[id].fit
    if first is None or last is None or first.reference != last.reference:
        return []
    mine = [t.name for t in last.network.treatments if t.drug_class == path[3].review.focus_class]
    found = []
    words = []
    for fit in (first, last):
        back = fit.network.measure.back_transform
        words.append(
            {
                r.treatment: verdict(float(back(r.lower)), float(back(r.upper)), fit.network.measure,
                                     fit.network.better, fit.network.mid).words
                for r in relative_effects(fit, fit.reference).itertuples()
            }
        )  # fmt: skip
    for name in mine:
        if name in words[0] and words[0][name] != words[1].get(name):
            what = f"{name} : {last.reference}"
            found.append(Crossing(question=id, what=what, before=words[0][name], after=words[1][name]))
    return found


def _method(old: Review, new: Review) -> tuple[str, ...]:
    """What changed in the settings, in words."""
    told = []
    questions = ({q.id: q for q in old.questions}, {q.id: q for q in new.questions})
    for id in sorted(questions[0].keys() | questions[1].keys()):
        a, b = (q.get(id) for q in questions)
        if a is None or b is None:
            told.append(f"question {id} {'added' if a is None else 'dropped'}")
        elif a != b:
            keys = [k for k, v in b.to_dict().items() if v != a.to_dict()[k]]
            told.append(f"question {id}: {', '.join(keys)}")
    models = ({m.id: m for m in old.models}, {m.id: m for m in new.models})
    for id in sorted(models[0].keys() | models[1].keys()):
        a, b = (m.get(id) for m in models)
        if a != b:
            told.append(f"model {id} {'added' if a is None else 'dropped' if b is None else 'changed'}")
    if old.treatments != new.treatments:
        told.append("treatment map changed")
    return tuple(told)


__all__ = ["STEPS", "ConclusionMove", "Crossing", "Difference", "Moved", "StudyMove", "difference"]
