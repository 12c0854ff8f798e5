"""Run a review again on the newest evidence: compute what new rows touch, keep the rest, and say which was which.

    with Store.open("axspa.sqlite", create=False) as store:
        done = update(Review.load("axspa"), store, out="report")
        print(done.sentences())

A run is pinned to one snapshot, its fits are kept as they finish, and its record appears last and whole: an update that
is interrupted is simply started again and goes on where it was.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enthesis.errors import EnthesisError
from enthesis.execute import task_key
from enthesis.living.cache import Kept, method_hash
from enthesis.living.history import History, Record, living_folder, record_of
from enthesis.living.parts import parts_of
from enthesis.living.review import Review, jobs_of, networks_of, run_job, run_review

if TYPE_CHECKING:
    from enthesis.evidence import Evidence, Store
    from enthesis.evidence.snapshot import Changes
    from enthesis.living.review import Progress
    from enthesis.living.run import Answer, Run

#: tables whose rows a network is made of
_BEHIND = ("studies", "arms", "outcomes", "curation")


@dataclass(frozen=True, kw_only=True)
class Line:
    """What became of one question in an update.

    Parameters
    ----------
    question : str
    state : {"reused", "recomputed", "no answer"}
    why : str
        In words.
    rows : tuple of str
        Result rows that are new, changed or gone behind its network.
    studies : tuple of str
        Their studies.
    fits : int
        Fits that were (or, in a dry run, would be) computed.
    """

    question: str
    state: str
    why: str
    rows: tuple[str, ...] = ()
    studies: tuple[str, ...] = ()
    fits: int = 0


@dataclass(frozen=True, kw_only=True)
class Update:
    """An update, done or planned.

    Parameters
    ----------
    review : Review
    evidence : Evidence
    before : Record or None
        The last recorded run.
    log : tuple of Line
        One per question.
    parts : tuple of (str, str)
        Name of each part and what became of it.
    run : Run or None
        None in a dry run.
    record : Record or None
        The record of this run; that of the last one when nothing has changed; None in a dry run.
    recorded : bool
        Whether a record was added.
    """

    review: Review
    evidence: Evidence
    before: Record | None
    log: tuple[Line, ...]
    parts: tuple[tuple[str, str], ...] = ()
    run: Run | None = None
    record: Record | None = None
    recorded: bool = False

    @property
    def recomputed(self) -> tuple[Line, ...]:
        """The questions that were computed again."""
        return tuple(line for line in self.log if line.fits)

    @property
    def flips(self) -> tuple[Any, ...]:
        """Conclusions that changed their state since the last recorded run."""
        return self.run.parts["conclusions"].flips if self.run and "conclusions" in self.run.parts else ()

    @property
    def nearly(self) -> tuple[Any, ...]:
        """Conclusions within reach of a change."""
        return self.run.parts["conclusions"].nearly if self.run and "conclusions" in self.run.parts else ()

    def sentences(self) -> str:
        """What happened, in a paragraph."""
        fits = sum(line.fits for line in self.log)
        touched = self.recomputed
        shot = self.evidence.snapshot
        told = [f"Snapshot {shot.number} ({shot.content_hash[:10]})."]
        if self.before is None:
            told.append("No run was recorded before.")
        elif self.before.snapshot["content_hash"] == shot.content_hash:
            told.append(f"The evidence is that of run {self.before.number}.")
        verb = "would be computed" if self.run is None else "were computed"
        told.append(
            f"{len(touched)} of {len(self.log)} questions and {fits} fits {verb}; the rest is unchanged and used again."
            if touched
            else "Nothing has to be computed again."
        )
        told += [f"{r.conclusion.id} flipped: {r.before.state} before, {r.state} now." for r in self.flips]
        return " ".join(told)


def update(
    review: Review,
    store: Store,
    out: str | Path | None = None,
    *,
    dry_run: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Update:
    """Run a review on the newest snapshot of a store, and record the run.

    Parameters
    ----------
    review : Review
    store : Store
        In a file or a database.
    out : path, optional
        Folder for the report.
    dry_run : bool
        Only say what would be computed; nothing is written.
    workers : int, optional
    progress : callable, optional
        As for `run_review`.

    Returns
    -------
    Update

    Raises
    ------
    StoreError
        When the disk is full, a place cannot be written, or the history is damaged.
    """
    folder = living_folder(store.name)
    history = History(folder)
    before = history.last(review.id)
    evidence = store.evidence()
    old = _evidence_of(store, before)
    started = networks_of(review, evidence)
    earlier = before.earlier if before else {}
    if dry_run:
        kept = _Peek(folder / "kept")
        log = tuple(_log(review, started, evidence, old, before, kept))
        parts = tuple((p.name, "looked at when it runs") for p in parts_of(review.folder))
        return Update(review=review, evidence=evidence, before=before, log=log, parts=parts)
    kept = Kept(folder / "kept")
    log = tuple(_log(review, started, evidence, old, before, kept))
    run = run_review(review, None, None, progress, evidence=evidence, workers=workers, kept=kept, earlier=earlier)
    parts = tuple((name, _part_words(run, name)) for name in (*run.parts, *run.part_problems))
    same = before is not None and (
        (before.run, before.settings, before.method, before.snapshot["content_hash"])
        == (run.content_hash, history.keep_settings(review), method_hash(), evidence.content_hash)
    )
    record = before
    if not same:
        told = [asdict(line) for line in log if line.state != "reused"]
        record = record_of(run, settings=history.keep_settings(review), log=told)
    if out is not None:
        from enthesis.report.write import write_report

        write_report(run, Path(out))
    if not same:
        record = history.add(record)
    return Update(
        review=review, evidence=evidence, before=before, log=log, parts=parts, run=run, record=record, recorded=not same
    )


class _Peek(Kept):
    """What is kept, for looking only: a folder that does not exist is not made."""

    def __init__(self, path: Path) -> None:
        if path.is_dir():
            super().__init__(path)
        else:
            self.path, self.salt, self.found, self.made = path, method_hash(), 0, 0


def _evidence_of(store: Store, before: Record | None) -> Evidence | None:
    """The evidence of a recorded run; None when the store does not hold it."""
    if before is None:
        return None
    try:
        found = store.evidence(int(before.snapshot["number"]))
    except EnthesisError:
        return None
    return found if found.content_hash == before.snapshot["content_hash"] else None


def _log(
    review: Review,
    started: tuple[Answer, ...],
    evidence: Evidence,
    old: Evidence | None,
    before: Record | None,
    kept: Kept,
) -> Iterable[Line]:
    """One line per question, from the networks before anything is fitted."""
    changed = _changes(old, evidence)
    for begun in started:
        id = begun.question.id
        missing = sum(task_key(run_job, job) not in kept for job in jobs_of(begun, review.models))
        if begun.fitted is None:
            yield Line(question=id, state="no answer", why=begun.problem)
            continue
        earlier = before.questions.get(id) if before else None
        if before is None:
            why, rows = "no run was recorded before", ()
        elif earlier is None:
            why, rows = "the question is new", ()
        elif earlier.get("network") == begun.fitted.content_hash:
            why, rows = "the same data", ()
            if missing:
                why = "the same data; another model" if before.method == method_hash() else "the same data; new code"
        else:
            rows = _rows(begun, changed)
            why = _why(begun, rows, earlier, changed)
        studies = tuple(dict.fromkeys(changed.study.get(row, "") for row in rows))
        state = "recomputed" if missing else "reused"
        yield Line(question=id, state=state, why=why, rows=rows, studies=tuple(filter(None, studies)), fits=missing)


class _changes:
    """Which result rows are new, changed or gone, and which studies have changed otherwise."""

    def __init__(self, old: Evidence | None, new: Evidence) -> None:
        from enthesis.evidence.facts import short_id
        from enthesis.evidence.snapshot import changes

        self.added: set[str] = set()
        self.changed: set[str] = set()
        self.gone: set[str] = set()
        self.study: dict[str, str] = {}
        self.touched: set[str] = set()
        if old is None:
            return
        found: Changes = changes(old, new)
        pairs = [(fact, self.added) for fact in found.added]
        pairs += [(fact, self.changed) for _, fact in found.superseded]
        pairs += [(fact, self.gone) for fact in found.withdrawn]
        for fact, where in pairs:
            study = fact.cells().get("study_id", "")
            if fact.table == "outcomes":
                name = short_id("R-", fact.key, fact.ordinal)
                where.add(name)
                self.study[name] = study
            if fact.table in _BEHIND and study:
                self.touched.add(study)


def _rows(begun: Answer, changed: _changes) -> tuple[str, ...]:
    used = [row for row in begun.selection.used if row in changed.added or row in changed.changed]
    known = set(begun.selection.rows)
    return (*used, *sorted(row for row in changed.gone if row not in known))


def _why(begun: Answer, rows: tuple[str, ...], earlier: dict[str, Any], changed: _changes) -> str:
    told = []
    here, then = set(begun.fitted.studies if begun.fitted else ()), set(earlier.get("studies", ()))
    if here - then:
        told.append("new: " + ", ".join(sorted(here - then)))
    if then - here:
        told.append("gone: " + ", ".join(sorted(then - here)))
    counts = [(len(changed.added & set(rows)), "new"), (len(changed.changed & set(rows)), "changed"),
              (len(changed.gone & set(rows)), "withdrawn")]  # fmt: skip
    said = ", ".join(f"{n} {word}" for n, word in counts if n)
    if said:
        told.append(f"rows behind it: {said}")
    others = (changed.touched & (here | then)) - {changed.study.get(row) for row in rows} - (here ^ then)
    if others:
        told.append("changed otherwise: " + ", ".join(sorted(others)))
    return "; ".join(told) or "the question or the treatment map has changed"


def _part_words(run: Run, name: str) -> str:
    if name in run.part_problems:
        return f"not computed: {run.part_problems[name]}"
    if run.parts_reused.get(name):
        return "reused"
    why = run.parts_why.get(name, ())
    if not why:
        return "computed"
    more = f" and {len(why) - 4} more" if len(why) > 4 else ""
    return f"recomputed, because of {', '.join(map(_thing, why[:4]))}{more}"


def _thing(read: str) -> str:
    """Something that a part had read, in words."""
    kind, _, name = read.partition(":")
    if kind == "earlier":
        return "what the last run said"
    if name == "*":
        return {"table": "the evidence", "answer": "the answers"}[kind]
    return {"table": "the table ", "answer": "the answer to ", "part": "the part "}[kind] + name


__all__ = ["Line", "Update", "update"]
