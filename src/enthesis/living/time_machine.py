"""The conclusions of a review as they would have been: evaluated on what was published at the end of each year.

Method and judgements are those of today; only the evidence goes back. So the numbers at a date are those of a fresh run
on the evidence filtered to that date, and what is seen is how the evidence grew, not how opinions changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from enthesis.assess.conclusions import read_conclusions
from enthesis.errors import UsageError
from enthesis.living.as_of import parsed, published_by
from enthesis.living.review import Review, run_review

if TYPE_CHECKING:
    import pandas as pd

    from enthesis.evidence import Evidence
    from enthesis.living.cache import Kept
    from enthesis.living.review import Progress

#: ends of years, then everything that is known
DATES: tuple[str, ...] = ("2018", "2020", "2022", "2024", "today")
TODAY = "today"


def over_time(
    review: Review,
    evidence: Evidence | None = None,
    dates: Sequence[str] = DATES,
    *,
    kept: Kept | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """The conclusions at several dates.

    Parameters
    ----------
    review : Review
    evidence : Evidence, optional
        Default that in the review's folder.
    dates : sequence of str
        Days, months or years (their last day), or `today` for all of the evidence.
    kept : Kept, optional
    workers : int, optional
    progress : callable, optional

    Returns
    -------
    pandas.DataFrame
        date (ISO 8601, or `today`), id, statement, population, threshold, probability, mcse, state, near, shows,
        estimate, lower, upper, studies (number behind it), new_studies (names that were not there at the date before),
        problem; by date, then in the order of the file. Conclusions about long-term safety are left out: their
        sources are pooled over many years.

    Examples
    --------
    >>> from enthesis.living.review import Review
    >>> table = over_time(Review.load("axspa"), dates=("2017",))
    >>> table.loc[table.id == "C1", ["studies", "state"]].to_dict("records")
    [{'studies': 3, 'state': 'holds'}]
    """
    import pandas as pd

    path = review.folder / "conclusions.toml"
    if not path.is_file():
        raise UsageError(f"the review {review.id!r} has no conclusions.toml, so it keeps no conclusions.")
    mine = [c for c in read_conclusions(path) if c.question]
    known = evidence if evidence is not None else review.evidence()
    days = [date if date == TODAY else parsed(date).isoformat() for date in dates]
    only = tuple(dict.fromkeys(c.question for c in mine))
    tell = progress or (lambda done, total, label: None)
    rows: list[dict[str, Any]] = []
    before: dict[str, set[str]] = {}
    for at, day in enumerate(days):
        tell(at, len(days), day)
        then = known if day == TODAY else published_by(known, day)
        run = run_review(review, None, only, None, evidence=then, workers=workers, parts=("conclusions",),
                         roles=("primary",), kept=kept)  # fmt: skip
        if "conclusions" not in run.parts:
            raise UsageError(run.part_problems.get("conclusions", "the conclusions were not computed."))
        asked = {c.id for c in mine}
        for r in run.parts["conclusions"].results:
            if r.conclusion.id in asked:
                rows.append(_row(day, r, before))
    tell(len(days), len(days), "done")
    return pd.DataFrame(rows)


def _row(day: str, r: Any, before: dict[str, set[str]]) -> dict[str, Any]:
    c = r.conclusion
    new = sorted(set(r.studies) - before.get(c.id, set()))
    before[c.id] = set(r.studies)
    return {
        "date": day, "id": c.id, "statement": c.statement, "population": r.population, "threshold": c.threshold,
        "probability": r.probability, "mcse": r.mcse, "state": r.state, "near": r.near, "shows": r.shows,
        "estimate": r.estimate, "lower": r.lower, "upper": r.upper, "studies": len(r.studies), "new_studies": new,
        "problem": r.problem,
    }  # fmt: skip


__all__ = ["DATES", "TODAY", "over_time"]
