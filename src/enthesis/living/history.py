"""Runs as they were: append-only records beside the store, each with the hash of the one before.

A record holds what a later run is compared with: snapshot, settings, numbers, conclusions. It is one file whose name
is its number, made whole and never changed; two processes that finish together get two numbers. Order is by number,
so a clock that goes backwards changes nothing. The review's settings are kept with the runs, so that an old method can
be applied to new data.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enthesis import __version__
from enthesis.errors import StoreError, UsageError
from enthesis.estimands import plain, relative_effects
from enthesis.evidence.database import MEMORY, default_place
from enthesis.hashing import bytes_hash
from enthesis.living.cache import method_hash, sentences, write_whole
from enthesis.living.review import Review

if TYPE_CHECKING:
    from enthesis.assess.conclusions import Earlier
    from enthesis.living.run import Answer, Run

FORMAT = "enthesis-run/1"
#: a record is some hundred kB
_LARGEST = 64 * 2**20


@dataclass(frozen=True, kw_only=True)
class Record:
    """A recorded run.

    Parameters
    ----------
    number : int
        Its place in the history, from 1.
    previous : str
        Hash of the record before; empty for the first.
    recorded_at : str
        UTC, ISO 8601, by the clock of the machine.
    enthesis, method : str
        Version, and hash of the code that computes.
    review, review_hash, settings : str
        Id, hash of questions, models and treatment map, and hash of the settings files.
    snapshot : dict
        Of the evidence.
    run : str
        Hash of the run.
    seconds : float
    questions : dict
        By id: network (hash), studies, patients, model, measure, reference, effects (treatment: estimate, lower,
        upper; model's scale), tau, ok, problem.
    conclusions : list of dict
        As in `results.json`.
    parts : dict of str to str
        By name: empty, or why there is no value.
    log : list of dict
        What was recomputed and why.
    """

    number: int = 0
    previous: str = ""
    recorded_at: str = ""
    enthesis: str = __version__
    method: str = ""
    review: str = ""
    review_hash: str = ""
    settings: str = ""
    snapshot: dict[str, Any] = field(default_factory=dict)
    run: str = ""
    seconds: float = 0.0
    questions: dict[str, Any] = field(default_factory=dict)
    conclusions: list[dict[str, Any]] = field(default_factory=list)
    parts: dict[str, str] = field(default_factory=dict)
    log: list[dict[str, Any]] = field(default_factory=list)

    @property
    def hash(self) -> str:
        """The hash of everything in it."""
        return bytes_hash(json.dumps(asdict(self), sort_keys=True, ensure_ascii=False).encode())

    @property
    def earlier(self) -> dict[str, Earlier]:
        """What it said of each conclusion, by id."""
        from enthesis.assess.conclusions import Earlier

        return {
            c["id"]: Earlier(probability=c["probability"], state=c["state"], run=self.number,
                             date=self.recorded_at[:10], asked=c.get("asked", ""))
            for c in self.conclusions
        }  # fmt: skip


class History:
    """The recorded runs of a store.

    Parameters
    ----------
    folder : Path
        See `living_folder`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self._read: dict[int, Record] = {}

    @property
    def _runs(self) -> Path:
        return self.folder / "runs"

    def records(self, review: str | None = None) -> tuple[Record, ...]:
        """Every record, oldest first; of one review when it is named.

        Raises
        ------
        StoreError
            When a record is damaged, or its chain of hashes is broken.
        """
        numbers = sorted(int(p.stem) for p in self._runs.glob("*.json") if p.stem.isdigit())
        before = ""
        found = []
        for place, number in enumerate(numbers, 1):
            if number not in self._read:
                self._read[number] = self._load(number)
            record = self._read[number]
            if number != place or record.number != number or record.previous != before:
                raise StoreError(
                    f"the history of runs in {self._runs} was changed: run {number} does not follow the one before it. "
                    "Restore the folder from a copy, or move it away to start a new history."
                )
            before = record.hash
            found.append(record)
        return tuple(r for r in found if review is None or r.review == review)

    def last(self, review: str) -> Record | None:
        """The newest record of a review."""
        return next(iter(reversed(self.records(review))), None)

    def _load(self, number: int) -> Record:
        path = self._runs / f"{number:06d}.json"
        try:
            with path.open("rb") as file:
                raw = json.loads(file.read(_LARGEST))
            if raw.pop("format") != FORMAT:
                raise StoreError(f"{path} was written by another enthesis. Use that version to read it.")
            told = raw.pop("hash")
            record = Record(**{f.name: raw[f.name] for f in fields(Record)})
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
            if isinstance(problem, StoreError):
                raise
            raise StoreError(f"{path} is damaged and cannot be read. Restore it from a copy.") from problem
        if record.hash != told:
            raise StoreError(f"{path} was changed: it does not match its hash. Restore it from a copy.")
        return record

    def add(self, record: Record) -> Record:
        """Append a record; it gets the next number, the hash of the one before, and the time."""
        with sentences(self._runs):
            self._runs.mkdir(parents=True, exist_ok=True, mode=0o700)
        while True:
            known = self.records()
            numbered = replace(
                record,
                number=len(known) + 1,
                previous=known[-1].hash if known else "",
                recorded_at=datetime.now(UTC).isoformat(timespec="seconds"),
            )
            text = json.dumps({"format": FORMAT, "hash": numbered.hash, **asdict(numbered)}, ensure_ascii=False,
                              allow_nan=False, indent=1)  # fmt: skip
            try:
                write_whole(self._runs / f"{numbered.number:06d}.json", text.encode(), new=True)
            except FileExistsError:
                continue
            return numbered

    def keep_settings(self, review: Review) -> str:
        """Keep the settings files of a review and return their hash."""
        found = settings_files(review.folder)
        digest = settings_hash(found)
        place = self.folder / "reviews" / digest
        if place.is_dir():
            return digest
        with sentences(place):
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            temporary = Path(tempfile.mkdtemp(dir=place.parent, suffix=".part"))
            try:
                for name, raw in found.items():
                    (temporary / name).parent.mkdir(exist_ok=True)
                    (temporary / name).write_bytes(raw)
                os.rename(temporary, place)
            except OSError:
                shutil.rmtree(temporary, ignore_errors=True)
                if not place.is_dir():  # else another process was quicker
                    raise
        return digest

    def review_of(self, record: Record) -> Review:
        """The review as it was when a run was recorded."""
        place = self.folder / "reviews" / record.settings
        if not (place / "review.toml").is_file() or settings_hash(settings_files(place)) != record.settings:
            raise StoreError(f"the settings of run {record.number} are not in {place.parent} as they were.")
        return Review.load(place)


def settings_files(folder: Path) -> dict[str, bytes]:
    """The TOML files of a review's folder, by name relative to it."""
    paths = [*folder.glob("*.toml"), *folder.glob("questions/*.toml"), *folder.glob("models/*.toml")]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(paths)}


def settings_hash(found: dict[str, bytes]) -> str:
    """One hash for a set of settings files."""
    digest = hashlib.sha256()
    for name, raw in sorted(found.items()):
        digest.update(f"{name}\0{len(raw)}\0".encode() + raw)
    return digest.hexdigest()[:24]


def living_folder(store: str) -> Path:
    """Where the runs and the kept results of a store are.

    Parameters
    ----------
    store : str
        Name of the store: a file, or a database address without its password.

    Returns
    -------
    Path
        Beside a file: its name and `.living`. For a database: a folder of the user's data.

    Examples
    --------
    >>> living_folder("evidence.sqlite").name
    'evidence.sqlite.living'
    """
    if store == MEMORY:
        raise UsageError("a store in memory keeps no runs. Name a file.")
    if "://" in store:
        own = Path(default_place()) if "://" not in default_place() else Path.home() / ".enthesis"
        return own.parent / f"living-{hashlib.sha256(store.encode()).hexdigest()[:16]}"
    path = Path(store).expanduser()
    return path.with_name(path.name + ".living")


def record_of(run: Run, *, settings: str, log: list[dict[str, Any]]) -> Record:
    """What is kept of a run.

    Parameters
    ----------
    run : Run
    settings : str
        Hash of the settings files.
    log : list of dict

    Returns
    -------
    Record
        Without number, place in the chain and time.
    """
    conclusions: list[dict[str, Any]] = []
    if "conclusions" in run.parts:
        from enthesis.report.conclusions import record

        conclusions = [record(r) for r in run.parts["conclusions"].results]
    made = Record(
        method=method_hash(), review=run.review.id, review_hash=run.review.content_hash, settings=settings,
        snapshot=run.evidence.snapshot.to_dict(), run=run.content_hash, seconds=round(run.seconds, 2),
        questions=plain({a.question.id: numbers_of(a) for a in run.answers}), conclusions=plain(conclusions),
        parts={**dict.fromkeys(run.parts, ""), **run.part_problems}, log=log,
    )  # fmt: skip
    # what is hashed is what a reader of the file gets: tuples are lists, keys are text
    return Record(**json.loads(json.dumps(asdict(made), allow_nan=False)))


def numbers_of(answer: Answer) -> dict[str, Any]:
    """The numbers of an answer that a later run is compared with."""
    if answer.fit is None:
        return {"problem": answer.problem or "; ".join(answer.problems.values()), "effects": {}}
    fit = answer.fit
    network = answer.fitted or fit.network
    table = relative_effects(fit, fit.reference)
    return {
        "network": network.content_hash, "studies": list(network.studies), "patients": network.n_patients,
        "model": next(iter(answer.fits)), "measure": fit.network.measure.name, "reference": fit.reference,
        "effects": {row.treatment: [row.estimate, row.lower, row.upper] for row in table.itertuples()},
        "tau": [fit.tau.estimate, fit.tau.lower, fit.tau.upper], "ok": fit.status.ok, "problem": "",
    }  # fmt: skip


__all__ = ["History", "Record", "living_folder", "numbers_of", "record_of", "settings_files", "settings_hash"]
