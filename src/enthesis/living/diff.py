"""What moved between two snapshots, and why: each number taken apart into data, method and judgement.

The path has three steps: the old numbers; new data under the old method and the old judgements; the new method; the new
judgements. Each step is fitted, so the changes of a number sum exactly to the whole (on the model's scale; of
probabilities as they are). A judgement about a study that was not there before comes with the study and counts as data.
A difference that only newer code makes is a step of the method before the others.

Which study moved a number is seen by leaving in and leaving out: what it adds to the old evidence when it comes first,
and what the new evidence loses without it. The two differ, and do not sum, where studies say the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from enthesis.assess.conclusions import Concluded, conclude, read_conclusions
from enthesis.errors import EnthesisError
from enthesis.estimands import relative_effects
from enthesis.evidence.facts import Fact, facts_hash
from enthesis.evidence.rows import TABLES
from enthesis.evidence.snapshot import Snapshot, changes
from enthesis.evidence.view import Evidence
from enthesis.execute import map as map_tasks
from enthesis.living.cache import Kept, method_hash
from enthesis.living.history import History, Record, living_folder
from enthesis.living.review import Review, jobs_of, networks_of, run_job, with_fits
from enthesis.living.run import Answer, Run
from enthesis.network.build import network_of
from enthesis.network.subset import component

if TYPE_CHECKING:
    from enthesis.evidence import Store
    from enthesis.living.review import Progress

STEPS = ("software", "data", "method", "judgement")
#: studies left in and out of one question
MOST_STUDIES = 12


@dataclass(frozen=True, kw_only=True)
class StudyMove:
    """What one changed study does to a number: alone on the old evidence, and last on the new."""

    study: str
    how: str
    first: float | None
    last: float | None


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
    newer = _only_data(before, after)
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
        (at, i, jobs_of(begun[at][i], _primary(r, begun[at][i]))) for at, (r, _) in enumerate(states) for i in needed
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
        answers[at][i] = with_fits(begun[at][i], _primary(states[at][0], begun[at][i]), results)
    path = [_State(review=r, evidence=e, answers=found) for (r, e), found in zip(states, answers)]

    numbers = [m for i in needed for m in _numbers(i, path, exact)]
    conclusions = _conclusions(review_new, review_old, path, exact)
    crossings = tuple(c for i in needed for c in _crossings(i, path))
    if changed:
        numbers, conclusions = _by_study(path, needed, numbers, conclusions, kept, workers, tell)
    tell(steps + 1, steps + 1, "done")
    return Difference(
        review=review_new, old=old, new=new, rows=_rows(before, after), studies=_studies(before, after),
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


def _primary(review: Review, begun: Answer) -> tuple[Any, ...]:
    """The model that is read first."""
    return next(((m,) for m in review.models if m.applies_to(begun.question)), ())


def _only_data(old: Evidence, new: Evidence) -> Evidence:
    """The new facts with the old judgements; judgements about studies that are new come with them."""
    known = {f.cells().get("study_id", "") for f in old.facts if f.table == "studies"}

    def judged(fact: Fact) -> bool:
        return fact.table in TABLES and TABLES[fact.table].judgement

    kept = [f for f in new.facts if not judged(f)]
    kept += [f for f in old.facts if judged(f)]
    kept += [f for f in new.facts if judged(f) and (study := f.cells().get("study_id", "")) and study not in known]
    found = {(f.table, f.key, f.ordinal): f for f in kept}
    facts = sorted(found.values(), key=lambda f: f.first_id)
    shot = new.snapshot
    digest = facts_hash([f.content_hash for f in facts])
    # versions of one row are told apart by what they replace; here each row has one
    alone = [replace(f, supersedes=None) for f in facts]
    return Evidence(Snapshot(shot.number, digest, shot.recorded_at, len(facts)), alone)


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


def _conclusions(review: Review, review_old: Review, path: list[_State], exact: Record | None) -> list[ConclusionMove]:
    """Each conclusion at each point of the path; before the new method the old rule of the same id is asked."""
    files = [r.folder / "conclusions.toml" for r in (review_old, review)]
    if not files[1].is_file():
        return []
    old = {c.id: c for c in read_conclusions(files[0])} if files[0].is_file() else {}
    recorded = {c["id"]: c["probability"] for c in exact.conclusions} if exact else {}
    found = []
    for c in read_conclusions(files[1]):
        if not c.question:
            continue
        if any(c.question not in s.answers for s in path):
            continue
        told = [conclude(old.get(c.id, c) if at < 2 else c, s.run, {}) for at, s in enumerate(path)]
        values = [t.probability for t in told]
        first = recorded.get(c.id)
        whole = (values[0] if first is None else first, *values)
        number = Moved(question=c.question, what=f"P of {c.id}", scale="probability", path=whole, steps=_steps(whole))
        found.append(ConclusionMove(before=told[0] if c.id in old else None, after=told[3], number=number))
    return found


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


def _by_study(
    path: list[_State],
    needed: list[str],
    numbers: list[Moved],
    conclusions: list[ConclusionMove],
    kept: Kept,
    workers: int | None,
    tell: Any,
) -> tuple[list[Moved], list[ConclusionMove]]:
    """Leave each changed study in the old evidence and out of the new, for the class in focus and the conclusions."""
    last = path[3]
    told = {last.review.main_question, *(c.number.question for c in conclusions)}
    variants: dict[tuple[str, str, str], Answer] = {}
    how: dict[tuple[str, str], str] = {}
    for id in needed:
        if id not in told or path[0].answers[id].fit is None or last.answers[id].fit is None:
            continue
        old = networks_of(last.review, path[0].evidence, [last.answers[id].question])[0]
        new = last.answers[id]
        for study, kind in list(_changed_studies(old, new).items())[:MOST_STUDIES]:
            how[id, study] = kind
            for name, base, other in (("in", old, new), ("out", new, old)):
                swapped = _swapped(base, other, study, last.review)
                if swapped is not None:
                    variants[id, study, name] = swapped
            variants[id, "", "old"] = old
    jobs = [(key, jobs_of(a, _primary(last.review, a))) for key, a in variants.items()]
    flat = [job for _, some in jobs for job in some]
    results = iter(map_tasks(run_job, flat, workers=workers, cache=kept))
    fitted = {key: with_fits(variants[key], _primary(last.review, variants[key]), results) for key, _ in jobs}

    def moves(id: str, read: Any) -> tuple[StudyMove, ...]:
        base, end = fitted.get((id, "", "old")), last.answers[id]
        found = []
        for (question, study), kind in how.items():
            if question == id and base is not None:
                alone, without = fitted.get((id, study, "in")), fitted.get((id, study, "out"))
                found.append(
                    StudyMove(study=study, how=kind, first=_gap(read, alone, base), last=_gap(read, end, without))
                )
        return tuple(found)

    def effect(what: str) -> Any:
        treatment = what.partition(" ")[2].partition(" : ")[0]

        def read(answer: Answer) -> float | None:
            fit = answer.fit
            if fit is None or treatment not in fit.treatments:
                return None
            return float(fit.estimate[fit.network.index(treatment)])

        return read

    def probability(c: Concluded) -> Any:
        return lambda a: conclude(c.conclusion, replace(last, answers={a.question.id: a}).run, {}).probability

    with_studies = [
        replace(m, studies=moves(m.question, effect(m.what))) if m.strong and m.question in told else m for m in numbers
    ]
    concluded = [
        replace(c, number=replace(c.number, studies=moves(c.number.question, probability(c.after))))
        for c in conclusions
    ]
    return with_studies, concluded


def _gap(read: Any, a: Answer | None, b: Answer | None) -> float | None:
    if a is None or b is None:
        return None
    x, y = read(a), read(b)
    return None if x is None or y is None else float(x - y)


def _changed_studies(old: Answer, new: Answer) -> dict[str, str]:
    """Studies of a question that are added, changed or gone between two selections."""
    from enthesis.hashing import content_hash

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


def _rows(old: Evidence, new: Evidence) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    all_ = changes(old, new)
    listed = [("added", f.table) for f in all_.added] + [("withdrawn", f.table) for f in all_.withdrawn]
    for kind, name in listed + [("superseded", f.table) for _, f in all_.superseded]:
        found.setdefault(name, {"added": 0, "superseded": 0, "withdrawn": 0})[kind] += 1
    return found


def _studies(old: Evidence, new: Evidence) -> dict[str, tuple[str, ...]]:
    before, after = set(old.studies.study_id), set(new.studies.study_id)
    touched = set()
    all_ = changes(old, new)
    for fact in [*all_.added, *all_.withdrawn, *(f for _, f in all_.superseded)]:
        if fact.table in ("studies", "arms", "outcomes", "contrasts"):
            touched.add(fact.cells().get("study_id", ""))
    return {
        "added": tuple(sorted(after - before)),
        "changed": tuple(sorted((touched - {""}) & before & after)),
        "gone": tuple(sorted(before - after)),
    }


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


def at(store: Store, text: str) -> Snapshot:
    """The snapshot that a name stands for: HEAD, a number, the start of a hash, or a date (what was known at its end).

    Parameters
    ----------
    store : Store
    text : str

    Raises
    ------
    UsageError
        When there is none, or a hash stands for several.
    """
    from enthesis.errors import UsageError, shortened
    from enthesis.living.as_of import known_at, parsed

    shots = store.snapshots()
    name = text.strip()
    if name.upper() in ("HEAD", ""):
        return store.snapshot()
    if name.isdigit() and (found := [s for s in shots if s.number == int(name)]):
        return found[0]
    if len(name) >= 4 and set(name.lower()) <= set("0123456789abcdef"):
        found = [s for s in shots if s.content_hash.startswith(name.lower())]
        if len({s.content_hash for s in found}) > 1:
            listed = ", ".join(f"{s.number} ({s.content_hash[:12]})" for s in found)
            raise UsageError(f"{name!r} is the start of several hashes: snapshots {listed}.")
        if found:
            return found[-1]
    try:
        day = name if "T" in name else parsed(name)
    except UsageError:
        listed = ", ".join(str(s.number) for s in shots[-8:])
        raise UsageError(
            f"{shortened(name)!r} is no snapshot of {store.name}. Write HEAD, a number ({listed}), the first signs of "
            "a hash, or a date."
        ) from None
    return known_at(store, day)


__all__ = ["STEPS", "ConclusionMove", "Crossing", "Difference", "Moved", "StudyMove", "at", "difference"]
