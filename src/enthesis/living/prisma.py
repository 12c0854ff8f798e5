"""PRISMA counts of a review without fitting anything: networks are built, so that the studies in them are counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from enthesis.assess.prisma import Flow, Settings, flow, read_settings
from enthesis.living.parts import parts_of
from enthesis.living.review import Review, networks_of
from enthesis.report.prisma_checklist import Item, Report, checklist

if TYPE_CHECKING:
    from enthesis.evidence import Evidence


def counted(
    review: Review, evidence: Evidence | None = None, *, networks: bool = True
) -> tuple[Flow, tuple[Item, ...]]:
    """The flow of records into a review, and the checklist with the sections that its report has.

    Parameters
    ----------
    review : Review
    evidence : Evidence, optional
        Default that in the review's folder.
    networks : bool
        Build the networks of every question, to count the studies in them.

    Returns
    -------
    (Flow, tuple of Item)

    Examples
    --------
    >>> found, items = counted(Review.load("axspa"), networks=False)
    >>> found["records_screened"].n is None, len(items)
    (True, 32)
    """
    evidence = evidence if evidence is not None else review.evidence()
    path = review.folder / "prisma.toml"
    settings = read_settings(path) if path.is_file() else Settings()
    studies = None
    if networks:
        answers = networks_of(review, evidence)
        studies = {s for answer in answers if answer.network is not None for s in answer.selection.studies}
    found = flow(evidence, networks=studies, settings=settings)
    main = review.question(review.main_question)
    report = Report(main=(main.id, main.title), several=len(review.questions) > 1, answers=settings.answers,
                    parts=frozenset(part.name for part in parts_of(review.folder)))  # fmt: skip
    return found, checklist(found, report)
