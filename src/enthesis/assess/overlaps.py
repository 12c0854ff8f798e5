"""Declared overlaps of patients between sources, as data beside a review, applied so that no patient counts twice.

The file lists groups of sources that hold the same patients, the preferred first, each with its reason. An RCT and its
own extension need no entry: `parent_study` of the evidence says it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from enthesis.errors import DataError
from enthesis.models.overlap import Kept, Overlap, keep_one, part_overlaps
from enthesis.network.settings import read_toml, settings_error

if TYPE_CHECKING:
    from enthesis.evidence import Evidence

T = TypeVar("T")
Words = Annotated[str, Field(min_length=1, max_length=500)]


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    group: Words
    sources: Annotated[tuple[Words, ...], Field(min_length=2, max_length=50)]
    reason: Words
    source: str = ""
    certain: bool = True


def read_overlaps(path: Path) -> tuple[Overlap, ...]:
    """The overlaps that a file declares; none when there is no such file.

    Parameters
    ----------
    path : Path
        TOML: `[[overlap]]` with group, sources (the preferred first), reason, source, certain.

    Returns
    -------
    tuple of Overlap
        An overlap that is not certain says so in its reason.

    Raises
    ------
    DataError
        When the file is not of that form; it names the key.

    Examples
    --------
    >>> from enthesis.evidence import bundled_folder
    >>> found = read_overlaps(bundled_folder().parent / "overlaps.toml")
    >>> next(o.sources for o in found if "TriNetX" in o.group)
    ('TriNetX-uveitis-Bai', 'TriNetX-uveitis-Wu')
    """
    if not path.is_file():
        return ()
    told = read_toml(path)
    listed = told.pop("overlap", [])
    if told or not isinstance(listed, list):
        raise DataError("holds something else than [[overlap]] tables", file=path.name, column=next(iter(told), None))
    groups = []
    for table in listed:
        try:
            groups.append(_Group.model_validate(table))
        except ValidationError as error:
            raise settings_error(error, path.name, "an overlap", _Group.model_fields) from None
    return tuple(Overlap(group=g.group, sources=g.sources, reason=_reason(g)) for g in groups)


def _reason(group: _Group) -> str:
    said = group.reason.strip().rstrip(".")
    if not group.certain:
        return f"An overlap is not excluded: {said}."
    return f"{said[0].upper()}{said[1:]}."


def all_overlaps(path: Path, evidence: Evidence) -> tuple[Overlap, ...]:
    """The declared overlaps, then every trial with its extensions (the extension first) and every whole with its parts.

    Parameters
    ----------
    path : Path
    evidence : Evidence
        `parent_study` and `part_of` of its studies say the rest.

    Returns
    -------
    tuple of Overlap
    """
    studies = evidence.studies
    lines = [
        Overlap(sources=(study, parent.strip()), group=f"{parent.strip()} and its extension {study}",
                reason=f"{study} continues {parent.strip()} with the same patients.")
        for study, parents in zip(studies.study_id, studies.parent_study, strict=True)
        for parent in parents.split(";") if parent.strip()
    ]  # fmt: skip
    return (*read_overlaps(path), *lines, *part_overlaps(zip(studies.study_id, studies.part_of, strict=True)))


def apart(
    rows: Sequence[T],
    overlaps: Sequence[Overlap],
    key: Callable[[T], str] = lambda row: row.study_id,  # type: ignore[attr-defined]
) -> Kept[T]:
    """Rows without those whose patients are in a preferred source.

    Parameters
    ----------
    rows : sequence
        All of one outcome, so that what is kept is what is asked.
    overlaps : sequence of Overlap
    key : callable
        The source of a row.

    Returns
    -------
    Kept
        `.rows` in their order, `.dropped` with a sentence each.

    Examples
    --------
    >>> pair = Overlap(group="g", sources=("B", "A"), reason="They hold the same patients.")
    >>> kept = apart(["A", "C", "B"], [pair], key=lambda name: name)
    >>> kept.rows, [d.source for d in kept.dropped]
    (('C', 'B'), ['A'])
    """
    worst: dict[str, int] = {}
    for overlap in overlaps:
        for place, source in enumerate(overlap.sources):
            worst[source] = max(worst.get(source, 0), place)
    # a source that is first in one overlap and last in another comes after one that is first wherever it stands
    ordered = sorted(rows, key=lambda row: worst.get(key(row), 0))
    kept = keep_one(ordered, overlaps, rule="first", key=key)
    names = {key(row) for row in kept.rows}
    return Kept(rows=tuple(row for row in rows if key(row) in names), dropped=kept.dropped)
