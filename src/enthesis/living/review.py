"""A review: a standing set of questions and models, as data in a folder, run again as evidence arrives.

    review.toml  questions/*.toml  models/*.toml  treatments.toml  evidence/*.csv

Bundled reviews are known by name. `run_review` builds every network, fits every model that applies, and returns the
`Run`; with `out` it also writes the report.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from importlib.resources import files
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass as checked

from enthesis.errors import DataError, EnthesisError, unknown_name
from enthesis.execute import map as map_tasks
from enthesis.hashing import content_hash
from enthesis.inference.fit import Fit, fit
from enthesis.living.parts import compute_parts, parts_of
from enthesis.living.run import Answer, Baseline, Run
from enthesis.models.file import model_from
from enthesis.models.model import Model
from enthesis.network.build import network_of, select
from enthesis.network.network import Network
from enthesis.network.outcomes import outcome, outcomes
from enthesis.network.question import Question, read_questions, unique_ids
from enthesis.network.settings import read_toml, settings_error
from enthesis.network.subset import comparable, component
from enthesis.network.treatments import TreatmentMap

if TYPE_CHECKING:
    from enthesis.assess.conclusions import Earlier
    from enthesis.evidence import Evidence
    from enthesis.living.cache import Kept

Progress = Callable[[int, int, str], object]
Id = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,79}$")]
_CONFIG = ConfigDict(extra="forbid")
_MODEL_KEYS = ("effects", "prior_tau", "tau_by", "prior_d", "prior_baseline", "likelihood", "treatments",
               "consistency", "regression")  # fmt: skip


@checked(frozen=True, kw_only=True, config=_CONFIG)
class ModelChoice:
    """A model and engine that a review applies.

    Parameters
    ----------
    id, title : str
    role : {"primary", "twin", "sensitivity"}
        `primary` is read; `twin` stands beside it for every question; `sensitivity` too, and is shown last.
    engine : {"auto", "gls", "laplace", "nuts"}
    effects, prior_tau, tau_by, prior_d, prior_baseline, likelihood : str
        As in a model file (`models.file`); empty for the library's defaults.
    treatments, consistency, regression : dict
        The tables of a model file.
    prior_tau_for : dict of str to str
        Other priors of tau, by outcome code.
    tau : str
        Estimator of tau for the engine `gls`.
    only_outcomes, not_outcomes, only_questions : tuple of str
        Outcome codes and question ids it is applied to, or not; empty for no limit.
    seed, draws : int
    """

    id: Id
    title: Annotated[str, Field(min_length=1)]
    role: Literal["primary", "twin", "sensitivity"] = "primary"
    engine: Literal["auto", "gls", "laplace", "nuts"] = "auto"
    effects: Literal["random", "common"] = "random"
    prior_tau: str = ""
    tau_by: str = ""
    prior_d: str = ""
    prior_baseline: str = ""
    likelihood: str = ""
    treatments: dict[str, Any] = Field(default_factory=dict)
    consistency: dict[str, Any] = Field(default_factory=dict)
    regression: dict[str, Any] = Field(default_factory=dict)
    prior_tau_for: dict[str, str] = Field(default_factory=dict)
    tau: str = "REML"
    only_outcomes: tuple[str, ...] = ()
    not_outcomes: tuple[str, ...] = ()
    only_questions: tuple[str, ...] = ()
    seed: int = 1
    draws: int = 4000

    @model_validator(mode="after")
    def _model_is_one(self) -> ModelChoice:
        for text in ("", *self.prior_tau_for.values()):
            self._model(text)
        for code in (*self.prior_tau_for, *self.only_outcomes, *self.not_outcomes):
            if code not in outcomes():
                raise unknown_name("outcome", code, outcomes())
        return self

    def applies_to(self, question: Question) -> bool:
        """Whether the review uses it for a question."""
        return (
            (not self.only_outcomes or question.outcome in self.only_outcomes)
            and question.outcome not in self.not_outcomes
            and (not self.only_questions or question.id in self.only_questions)
        )

    def model(self, question: Question) -> Model:
        """The model for a question: the prior of tau can depend on the outcome's unit."""
        return self._model(self.prior_tau_for.get(question.outcome, ""))

    def _model(self, prior_tau: str) -> Model:
        given = {key: getattr(self, key) for key in _MODEL_KEYS}
        given |= {"prior_tau": prior_tau} if prior_tau else {}
        return model_from({key: value for key, value in given.items() if value}, file=f"model {self.id}")


@checked(frozen=True, kw_only=True, config=_CONFIG)
class Chapter:
    """A part of the report: title, introduction, ids of its questions in order."""

    title: Annotated[str, Field(min_length=1)]
    intro: str = ""
    questions: tuple[str, ...] = ()


@checked(frozen=True, kw_only=True, config=_CONFIG)
class _Front:
    """What `review.toml` holds."""

    id: Id
    title: Annotated[str, Field(min_length=1)]
    asks: str = ""
    is_not: str = ""
    main_question: str = ""
    focus_class: str = ""
    chapter: tuple[Chapter, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Review:
    """A review.

    Parameters
    ----------
    id, title, asks, is_not : str
        `asks` is the question behind it, `is_not` what a reader must not take it for.
    main_question : str
        Id of the question whose answer comes first.
    focus_class : str
        Class of treatments that the review is about.
    chapters : tuple of Chapter
    questions : tuple of Question
        In the order of the chapters, the others after them.
    models : tuple of ModelChoice
        Primary first.
    treatments : TreatmentMap
    folder : Path

    Examples
    --------
    >>> review = Review.load("axspa")
    >>> review.question("asas40").outcome
    'ASAS40'
    """

    id: str
    title: str
    asks: str
    is_not: str
    main_question: str
    focus_class: str
    chapters: tuple[Chapter, ...]
    questions: tuple[Question, ...]
    models: tuple[ModelChoice, ...]
    treatments: TreatmentMap
    folder: Path

    @classmethod
    def load(cls, name_or_folder: str | Path) -> Review:
        """Read a bundled review by name, or any folder with a `review.toml`.

        Raises
        ------
        UsageError
            When there is no such review.
        DataError
            When a file is wrong: it names file, key, value and mend.
        """
        folder = _folder(name_or_folder)
        front = _checked(_Front, read_toml(folder / "review.toml"), "review.toml", "a review")
        found = tuple(q for path in _toml_files(folder / "questions") for q in read_questions(path))
        unique_ids([q.id for q in found], "questions")
        models = tuple(
            _checked(ModelChoice, read_toml(path), path.name, "a model") for path in _toml_files(folder / "models")
        )
        unique_ids([m.id for m in models], "models")
        if not found or not models:
            raise DataError("has no questions or no models", file=str(folder),
                            fix="Add TOML files to its folders questions and models.")  # fmt: skip
        mapped = folder / "treatments.toml"
        listed = [i for c in front.chapter for i in c.questions]
        known = {q.id: q for q in found}
        for name in (*listed, *filter(None, [front.main_question])):
            if name not in known:
                raise DataError(str(unknown_name("question", name, known)), file="review.toml", column="questions")
        unique_ids(listed, "review.toml")
        order = {"primary": 0, "twin": 1, "sensitivity": 2}
        return cls(
            id=front.id, title=front.title, asks=front.asks, is_not=front.is_not, focus_class=front.focus_class,
            main_question=front.main_question or (listed or [found[0].id])[0],
            chapters=_with_rest(front.chapter, [q.id for q in found if q.id not in listed]),
            questions=tuple([known[i] for i in listed] + [q for q in found if q.id not in listed]),
            models=tuple(sorted(models, key=lambda m: (order[m.role], m.id))),
            treatments=TreatmentMap.read(mapped) if mapped.is_file() else TreatmentMap(),
            folder=folder,
        )  # fmt: skip

    @property
    def content_hash(self) -> str:
        """Identity of what is asked and believed."""
        return content_hash((self.questions, self.models, self.treatments))

    def question(self, id: str) -> Question:
        """The question with that id."""
        known = {q.id: q for q in self.questions}
        if id not in known:
            raise unknown_name("question", id, known)
        return known[id]

    def matching(self, only: str | Sequence[str] | None) -> tuple[Question, ...]:
        """The questions of an outcome (code or synonym) or with an id; all of them for None.

        Parameters
        ----------
        only : str or sequence of str, optional

        Raises
        ------
        UsageError
            When a name matches none; the message names the nearest.
        """
        if not only:
            return self.questions
        wanted: set[str] = set()
        for name in [only] if isinstance(only, str) else only:
            try:
                code = outcome(name).code
            except EnthesisError:
                code = None
            ids = {q.id for q in self.questions if q.outcome == code} or {q.id for q in self.questions if q.id == name}
            if not ids:
                known = {q.outcome for q in self.questions} | {q.id for q in self.questions}
                raise unknown_name("outcome or question", name, known)
            wanted |= ids
        return tuple(q for q in self.questions if q.id in wanted)

    def evidence(self) -> Evidence:
        """The evidence in the review's folder, loaded into a store in memory."""
        from enthesis.evidence import Store, bundled_evidence, bundled_folder, load_tables

        if self.folder.resolve() == bundled_folder().parent.resolve():
            return bundled_evidence()
        with Store.open(":memory:") as store:
            load_tables(store, self.folder / "evidence")
            return store.evidence()


def run_review(
    name_or_folder: str | Path | Review,
    out: str | Path | None = None,
    only: str | Sequence[str] | None = None,
    progress: Progress | None = None,
    *,
    evidence: Evidence | None = None,
    workers: int | None = None,
    parts: Sequence[str] | None = None,
    roles: Sequence[str] | None = None,
    kept: Kept | None = None,
    earlier: Mapping[str, Earlier] | None = None,
) -> Run:
    """Build every network of a review, fit its models, and write the report.

    Parameters
    ----------
    name_or_folder : str, Path or Review
        `axspa`, a folder, or a review that is already loaded.
    out : path, optional
        Folder for `report.html` and `results.json`; without it nothing is written.
    only : str or sequence of str, optional
        Outcome codes or question ids.
    progress : callable, optional
        Called with (steps done, steps in all, what comes next).
    evidence : Evidence, optional
        A snapshot of a store; default the evidence in the review's folder.
    workers : int, optional
        Processes for the fits (see `cores`); default none beside this one, so that a plain script needs no guard.
        Results do not depend on it.
    parts : sequence of str, optional
        Names of parts to compute (`living.parts`); default all that the review's folder switches on when every
        question is asked, none when `only` leaves some out.
    roles : sequence of str, optional
        Roles of the models that are fitted, such as `primary` alone; default all.
    kept : Kept, optional
        Results of earlier runs (`living.cache`): what depends on nothing new is not computed again.
    earlier : mapping of str to Earlier, optional
        What the last recorded run said of each conclusion.

    Returns
    -------
    Run

    Examples
    --------
    >>> run = run_review("axspa", only="asas40-nr")
    >>> run.answers[0].fit.status.ok
    True
    """
    start = perf_counter()
    from enthesis.living.traced import Parts

    review = name_or_folder if isinstance(name_or_folder, Review) else Review.load(name_or_folder)
    asked = review.matching(only)
    wanted = parts_of(review.folder, () if only and parts is None else parts)
    tell: Progress = progress or (lambda done, total, label: None)
    tell(0, len(asked), "evidence")
    evidence = evidence if evidence is not None else review.evidence()
    started = networks_of(review, evidence, asked)
    models = tuple(m for m in review.models if roles is None or m.role in roles)
    jobs = [job for begun in started for job in jobs_of(begun, models)]
    report = out is not None
    steps = len(jobs) + len(wanted) + report

    def fitted(finished: int, total: int) -> None:
        tell(finished, steps, "fits")

    done = map_tasks(run_job, jobs, workers=workers, progress=fitted, cache=kept)
    results = iter(done)
    answers = tuple(with_fits(begun, models, results) for begun in started)
    run = Run(review=review, evidence=evidence, answers=answers, earlier=earlier or {})
    before = Parts(run, kept) if kept is not None and wanted else None
    values, problems = compute_parts(
        run, wanted, lambda part: tell(len(jobs) + wanted.index(part), steps, part.name), before
    )
    run = replace(run, parts=values, part_problems=problems, seconds=perf_counter() - start,
                  parts_reused=before.reused if before else {}, parts_why=before.why if before else {})  # fmt: skip
    if out is not None:
        from enthesis.report.write import write_report

        tell(steps - 1, steps, "report")
        write_report(run, Path(out))
    tell(steps, steps, "done")
    return run


@dataclass(frozen=True, kw_only=True)
class Job:
    """One fit to be made: the network and everything that changes its numbers."""

    network: Network
    model: Model
    engine: str
    tau: str
    seed: int
    draws: int


def run_job(job: Job) -> Fit | str:
    """The fit, or the sentence that says why there is none."""
    try:
        return fit(job.network, job.model, engine=job.engine, tau=job.tau, seed=job.seed, draws=job.draws)
    except EnthesisError as problem:
        return str(problem)


def networks_of(review: Review, evidence: Evidence, asked: Sequence[Question] | None = None) -> tuple[Answer, ...]:
    """The answers of a review as far as their networks, before anything is fitted.

    Parameters
    ----------
    review : Review
    evidence : Evidence
    asked : sequence of Question, optional
        Default all of the review.

    Returns
    -------
    tuple of Answer
    """
    questions = review.questions if asked is None else asked
    return tuple(_networks(evidence, question, review.treatments) for question in questions)


def _networks(evidence: Evidence, question: Question, treatments: TreatmentMap) -> Answer:
    """The answer as far as the networks; what cannot be built is said in it, not raised."""
    selection = select(evidence, question, treatments)
    try:
        network = network_of(selection, treatments)
        fitted = component(network, network.reference)
    except EnthesisError as problem:
        return Answer(question=question, selection=selection, problem=str(problem))
    return Answer(question=question, selection=selection, network=network, fitted=fitted)


def jobs_of(begun: Answer, models: Sequence[ModelChoice]) -> list[Job]:
    """The fits that an answer needs: one per model that applies; none without a network."""
    if begun.fitted is None:
        return []
    return [
        Job(network=begun.fitted, model=m.model(begun.question), engine=m.engine, tau=m.tau, seed=m.seed, draws=m.draws)
        for m in models
        if m.applies_to(begun.question)
    ]


def with_fits(begun: Answer, models: Sequence[ModelChoice], results: Iterator[Fit | str]) -> Answer:
    """The answer with the results of its jobs, in the order of `jobs_of`."""
    if begun.fitted is None:
        return begun
    fits, problems = {}, {}
    for choice in models:
        if choice.applies_to(begun.question):
            result = next(results)
            if isinstance(result, str):
                problems[choice.id] = result
            else:
                fits[choice.id] = _of_this_question(result, begun.fitted)
    return replace(begun, fits=fits, problems=problems)


def _of_this_question(made: Fit, network: Network) -> Fit:
    """Equal data are fitted once for several questions: give the fit the title and ledger of this one."""
    own = network if made.network.content_hash == network.content_hash else comparable(network)
    return replace(made, network=own)


def cores() -> int:
    """The number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def bundled_reviews() -> tuple[str, ...]:
    """Names of the reviews that ship with the package."""
    root = Path(str(files("enthesis"))) / "reviews"
    return tuple(sorted(path.parent.name for path in root.glob("*/review.toml")))


def _folder(name_or_folder: str | Path) -> Path:
    if str(name_or_folder) in bundled_reviews():
        return Path(str(files("enthesis"))) / "reviews" / str(name_or_folder)
    folder = Path(name_or_folder)
    if (folder / "review.toml").is_file():
        return folder
    raise unknown_name("review", name_or_folder, [*bundled_reviews(), "a folder with a review.toml"])


def _toml_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.toml")) if folder.is_dir() else []


def _with_rest(chapters: tuple[Chapter, ...], rest: list[str]) -> tuple[Chapter, ...]:
    return (*chapters, Chapter(title="Further questions", questions=tuple(rest))) if rest else chapters


def _checked(kind: type, raw: dict[str, Any], file: str, what: str) -> Any:
    try:
        return TypeAdapter(kind).validate_python(raw)
    except ValidationError as problem:
        raise settings_error(problem, file, what, [f.name for f in fields(kind)]) from None


__all__ = ["Answer", "Baseline", "Chapter", "ModelChoice", "Review", "Run", "bundled_reviews", "cores", "run_review"]
