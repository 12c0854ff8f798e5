"""One question of a review, answered by itself: what a command needs that is about a single table of the report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from enthesis.assess.certainty_part import Settings, rate, read_settings
from enthesis.living.review import Review, run_review
from enthesis.living.run import Run

if TYPE_CHECKING:
    from enthesis.assess.certainty import Ratings
    from enthesis.evidence import Evidence


def one_answer(
    name_or_folder: str | Path | Review, question: str, *, evidence: Evidence | None = None
) -> tuple[Run, Settings]:
    """Answer one question of a review, by its primary model and the one beside it.

    Parameters
    ----------
    name_or_folder : str, Path or Review
    question : str
        Id.
    evidence : Evidence, optional
        Default: that in the review's folder.

    Returns
    -------
    (Run, Settings)
        The run has this question alone; the settings are those of the review's `certainty.toml`, or the defaults.

    Raises
    ------
    UsageError
        When the review or the question does not exist.

    Examples
    --------
    >>> run, settings = one_answer("axspa", "asas40-nr-naive")
    >>> len(run.answers), run.answers[0].fit.status.ok
    (1, True)
    """
    review = name_or_folder if isinstance(name_or_folder, Review) else Review.load(name_or_folder)
    asked = review.question(question)
    path = review.folder / "certainty.toml"
    settings = read_settings(path) if path.is_file() else Settings(questions=(question,))
    models = tuple(m for m in review.models if m.role != "sensitivity")
    alone = replace(review, questions=(asked,), chapters=(), main_question=asked.id, models=models or review.models)
    return run_review(alone, evidence=evidence, parts=()), settings


def one_rating(
    name_or_folder: str | Path | Review, question: str, *, evidence: Evidence | None = None
) -> tuple[Run, Ratings]:
    """Answer one question of a review and rate its certainty; parameters as for `one_answer`."""
    run, settings = one_answer(name_or_folder, question, evidence=evidence)
    return run, rate(run.answers[0], settings, run.evidence, run.review.treatments)
