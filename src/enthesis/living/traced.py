"""What a part reads while it is computed, so that it is computed again only when that has changed.

A part gets a run that notes what is taken from it. The value is kept with the hashes of exactly those things, and is
used again when they are all as they were, whatever else has changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from enthesis.evidence.facts import facts_hash
from enthesis.evidence.snapshot import Snapshot
from enthesis.evidence.view import Evidence
from enthesis.hashing import content_hash
from enthesis.living.cache import Kept, code_hash
from enthesis.living.history import settings_files, settings_hash

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from enthesis.living.run import Answer, Run

#: how many states of the evidence a part is kept for
_STATES = 8
#: the whole evidence, or all answers
EVERYTHING = "*"


class Reads:
    """The hashes of what can be read from a run, each computed once; `seen` holds those that were read."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.seen: dict[str, str] = {}
        self._known: dict[str, str] = {}
        self.parts: dict[str, str] = {}

    def note(self, what: str) -> None:
        """Note that something was read."""
        self.seen[what] = self.hash(what)

    def hash(self, what: str) -> str:
        """The hash of something that can be read; empty when it is not there."""
        if what not in self._known:
            self._known[what] = self._hash(what)
        return self._known[what]

    def _hash(self, what: str) -> str:
        kind, _, name = what.partition(":")
        run = self.run
        if kind == "table":
            if name == EVERYTHING:
                return run.evidence.content_hash
            return facts_hash([f.content_hash for f in run.evidence.facts if f.table == name])
        if kind == "answer":
            if name == EVERYTHING:
                return content_hash([self.hash(f"answer:{a.question.id}") for a in run.answers])
            found = next((a for a in run.answers if a.question.id == name), None)
            return answer_hash(found) if found is not None else ""
        if kind == "part":
            return self.parts.get(name, "")
        return content_hash({id: (e.probability, e.state, e.run) for id, e in run.earlier.items()})


def answer_hash(answer: Answer) -> str:
    """Identity of everything that an answer holds: what was asked, taken, left out, and found."""
    chosen = [
        (c.study, c.subgroup, c.week, [(a.node, a.r, a.n, a.y, a.se, a.sd, a.E, [row.id for row in a.rows],
                                        content_hash(a.rows)) for a in c.arms])
        for c in answer.selection.choices
    ]  # fmt: skip
    ledger = [(e.action, e.rule, e.study, e.arm, e.reason, len(e.rows)) for e in answer.selection.ledger]
    fits = {id: fit.content_hash for id, fit in answer.fits.items()}
    return content_hash((answer.question, fits, answer.problems, answer.problem, chosen, ledger))


class _Tables(dict):
    """Facts by table; looking one up is noted."""

    def __init__(self, tables: Mapping[str, Any], reads: Reads) -> None:
        super().__init__(tables)
        self._reads = reads

    def __getitem__(self, name: str) -> Any:
        self._reads.note(f"table:{name}")
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self._reads.note(f"table:{name}")
        return super().get(name, default)

    def __iter__(self) -> Iterator[str]:
        self._reads.note(f"table:{EVERYTHING}")
        return super().__iter__()

    def items(self) -> Any:
        self._reads.note(f"table:{EVERYTHING}")
        return super().items()


class TracedEvidence(Evidence):
    """The evidence of a run; the tables that are read are noted."""

    def __init__(self, whole: Evidence, reads: Reads) -> None:
        self._whole, self._reads = whole, reads
        self._history = whole._history
        self._frames: dict[str, pd.DataFrame] = {}

    @property
    def snapshot(self) -> Snapshot:
        """Which snapshot it is: everything."""
        self._reads.note(f"table:{EVERYTHING}")
        return self._whole.snapshot

    @property
    def facts(self) -> Any:
        """All facts."""
        self._reads.note(f"table:{EVERYTHING}")
        return self._whole.facts

    @property
    def _by_table(self) -> Any:
        return _Tables(self._whole._by_table, self._reads)

    def table(self, name: str) -> pd.DataFrame:
        """The rows of a table."""
        self._reads.note(f"table:{name}")
        return self._whole.table(name)


class TracedRun:
    """A run as a part sees it; the answers that are read are noted, and whatever else is asked counts as all of it."""

    def __init__(self, run: Run, reads: Reads) -> None:
        self._run, self._reads = run, reads
        self.review = run.review
        self.evidence = TracedEvidence(run.evidence, reads)

    @property
    def answers(self) -> tuple[Answer, ...]:
        """All answers."""
        self._reads.note(f"answer:{EVERYTHING}")
        return self._run.answers

    @property
    def main(self) -> Answer:
        """The main answer."""
        found = self._run.main
        self._reads.note(f"answer:{found.question.id}")
        return found

    def answer(self, id: str) -> Answer:
        """The answer to the question with that id."""
        self._reads.note(f"answer:{id}")
        return self._run.answer(id)

    @property
    def earlier(self) -> Mapping[str, Any]:
        """What the last recorded run said."""
        self._reads.note("earlier")
        return self._run.earlier

    def __getattr__(self, name: str) -> Any:
        self._reads.note(f"answer:{EVERYTHING}")
        self._reads.note(f"table:{EVERYTHING}")
        return getattr(self._run, name)


class _Done(Mapping[str, Any]):
    """The parts computed before; those that are looked at are noted, also that they are not there."""

    def __init__(self, done: Mapping[str, Any], reads: Reads) -> None:
        self._done, self._reads = done, reads

    def __getitem__(self, name: str) -> Any:
        self._reads.note(f"part:{name}")
        return self._done[name]

    def __iter__(self) -> Iterator[str]:
        for name in self._done:
            self._reads.note(f"part:{name}")
            yield name

    def __len__(self) -> int:
        return len(self._done)


class Parts:
    """Parts of a run, computed or taken from what was kept.

    Parameters
    ----------
    run : Run
        With its answers.
    kept : Kept or None
        None: everything is computed.

    Attributes
    ----------
    reused : dict of str to bool
        By name of part.
    why : dict of str to tuple of str
        What changed of the things that were read, for those computed again.
    """

    def __init__(self, run: Run, kept: Kept | None) -> None:
        self.run, self.kept = run, kept
        self.reads = Reads(run)
        self.reused: dict[str, bool] = {}
        self.why: dict[str, tuple[str, ...]] = {}
        self._settings = settings_hash(settings_files(run.review.folder)) if kept is not None else ""

    def value(self, name: str, settings: Path, compute: Any, done: Mapping[str, Any]) -> Any:
        """The value of a part; `compute` is called with (run, settings, done)."""
        if self.kept is None:
            return compute(self.run, settings, done)
        key = f"part|{name}|{self._settings}|{code_hash(compute.__module__)}"
        states: list[tuple[dict[str, str], str]] = self.kept.get(key, [])
        for read, place in states:
            if all(self.reads.hash(what) == digest for what, digest in read.items()):
                value = self.kept.get(place, self)
                if value is not self:
                    self.reads.parts[name] = place
                    self.reused[name] = True
                    return value
        if states:
            self.why[name] = tuple(w for w, digest in states[0][0].items() if self.reads.hash(w) != digest)
        self.reads.seen = {}
        value = compute(TracedRun(self.run, self.reads), settings, _Done(done, self.reads))
        place = f"value|{key}|{content_hash(self.reads.seen)}"
        self.kept[place] = value
        self.kept[key] = [(dict(self.reads.seen), place), *states][:_STATES]
        self.reads.parts[name] = place
        self.reused[name] = False
        return value


__all__ = ["Parts", "Reads", "TracedEvidence", "TracedRun", "answer_hash"]
