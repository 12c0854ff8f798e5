"""Patients that two sources share count once.

A trial and its own extension, two reports of one registry, a pooled analysis and its parts: each pair is declared as an
`Overlap`, and `keep_one` keeps rows so that no two of them overlap, by a stated rule, or refuses with a sentence. What
is left out is told with the row that is kept in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from enthesis.errors import ModelError, UsageError, shortened, unknown_name

Row = TypeVar("Row")
Rule = Literal["refuse", "largest", "latest", "first"]
_RULES = ("refuse", "largest", "latest", "first")


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """Sources any two of which may hold the same patients.

    Parameters
    ----------
    sources : tuple of str
        Two or more; with the rule `first` their order is the preference.
    reason : str
        Why they overlap, as a sentence for the report.
    group : str
        A name for the overlap; the sources joined when not given.

    Examples
    --------
    >>> Overlap(sources=("Bai", "Wu"), reason="Both are drawn from the TriNetX network.").group
    'Bai + Wu'
    """

    sources: tuple[str, ...]
    reason: str
    group: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "sources", tuple(self.sources))
        if len(set(self.sources)) < 2:
            raise UsageError("an overlap names two or more different sources.")
        if not self.reason.strip():
            raise UsageError(f"the overlap of {', '.join(self.sources)} needs a reason.")
        if not self.group:
            object.__setattr__(self, "group", " + ".join(self.sources))


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """A source left out because its patients are in another one that is kept."""

    source: str
    kept: str
    group: str
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Kept(Generic[Row]):
    """Rows of which no two overlap, and what was left out."""

    rows: tuple[Row, ...]
    dropped: tuple[Dropped, ...]


def keep_one(
    rows: Sequence[Row],
    overlaps: Iterable[Overlap],
    *,
    rule: Rule = "refuse",
    key: Callable[[Row], str] = lambda row: row.study,  # type: ignore[attr-defined]
    size: Callable[[Row], float] | None = None,
    year: Callable[[Row], float] | None = None,
) -> Kept[Row]:
    """Keep rows so that no two overlap.

    Parameters
    ----------
    rows : sequence
        Rows with one key (arms or strata of one source) stay together.
    overlaps : iterable of Overlap
    rule : {"refuse", "largest", "latest", "first"}
        refuse: an error when two rows overlap. largest: the source with the largest `size` first. latest: with the
        largest `year`. first: in the order in which the overlap names them. Sources are taken in the order of the rule,
        and one is kept when it overlaps with none that is kept already; equal ones in the order of the rows.
    key : callable
        Row → source. `row.study` by default.
    size, year : callable
        Row → number, for their rules; patients or patient-years, and the year of the report.

    Returns
    -------
    Kept

    Raises
    ------
    ModelError
        With the rule `refuse`, when sources overlap.

    Examples
    --------
    >>> both = Overlap(sources=("Bai", "Wu"), reason="Both are drawn from the TriNetX network.")
    >>> kept = keep_one([("Bai", 9000), ("Wu", 700), ("ARTIS", 5000)], [both], rule="largest",
    ...                 key=lambda row: row[0], size=lambda row: row[1])
    >>> [row[0] for row in kept.rows], kept.dropped[0].sentence
    (['Bai', 'ARTIS'], 'Wu is left out: Both are drawn from the TriNetX network. Bai is kept, the larger source.')
    """
    if rule not in _RULES:
        raise unknown_name("rule for overlaps", rule, _RULES)
    measure = {"largest": size, "latest": year}.get(rule)
    if rule in ("largest", "latest") and measure is None:
        raise UsageError(
            f"the rule {rule!r} needs {'size' if rule == 'largest' else 'year'}: how to read it from a row."
        )
    sources = list(dict.fromkeys(key(row) for row in rows))
    declared = tuple(overlaps)
    shared: dict[tuple[str, str], Overlap] = {}
    for overlap in declared:
        for one in overlap.sources:
            for two in overlap.sources:
                if one != two:
                    shared.setdefault((one, two), overlap)
    if rule == "refuse":
        for i, one in enumerate(sources):
            for two in sources[i + 1 :]:
                if (one, two) in shared:
                    raise ModelError(
                        f"{shortened(one)} and {shortened(two)} are not counted together: {shared[one, two].reason} "
                        "Leave one out, or choose which is kept: largest, latest or first."
                    )
        return Kept(rows=tuple(rows), dropped=())
    order = _order(sources, rows, key, rule, measure, declared)
    kept: list[str] = []
    dropped = []
    for source in order:
        holder = next((k for k in kept if (source, k) in shared), None)
        if holder is None:
            kept.append(source)
            continue
        overlap = shared[source, holder]
        why = {"largest": "the larger source", "latest": "the later source", "first": "the preferred source"}[rule]
        dropped.append(
            Dropped(
                source=source, kept=holder, group=overlap.group,
                sentence=f"{source} is left out: {overlap.reason} {holder} is kept, {why}.",
            )
        )  # fmt: skip
    return Kept(rows=tuple(row for row in rows if key(row) in kept), dropped=tuple(dropped))


def _order(
    sources: list[str], rows: Sequence[Any], key: Callable[[Any], str], rule: str,
    measure: Callable[[Any], float] | None, declared: tuple[Overlap, ...],
) -> list[str]:  # fmt: skip
    if measure is not None:
        best: dict[str, float] = {}
        for row in rows:
            value = float(measure(row))
            if value != value:
                raise UsageError(f"{key(row)} has no number for the rule {rule!r}; give it or choose another rule.")
            best[key(row)] = max(best.get(key(row), value), value)
        return sorted(sources, key=lambda s: -best[s])
    rank = {s: min((o.sources.index(s) for o in declared if s in o.sources), default=0) for s in sources}
    return sorted(sources, key=lambda s: rank[s])


def extension_overlaps(studies: Iterable[tuple[str, str]]) -> tuple[Overlap, ...]:
    """A trial, its extensions and their extensions: all of one trial's line hold the same patients.

    Parameters
    ----------
    studies : iterable of (study, parent)
        Parent empty for a study that continues none.

    Returns
    -------
    tuple of Overlap
        One for each trial with an extension, the trial first.

    Examples
    --------
    >>> [o.sources for o in extension_overlaps([("SELECT-AXIS-1", ""), ("SELECT-AXIS-1-OLE", "SELECT-AXIS-1")])]
    [('SELECT-AXIS-1', 'SELECT-AXIS-1-OLE')]
    """
    parents = {study: parent for study, parent in studies if parent}
    lines: dict[str, list[str]] = {}
    for study in parents:
        root, seen = study, {study}
        while root in parents:
            root = parents[root]
            if root in seen:
                raise UsageError(
                    f"{study} continues itself, by way of {', '.join(sorted(seen))}. Mend the parent studies."
                )
            seen.add(root)
        lines.setdefault(root, [root]).append(study)
    return tuple(
        Overlap(
            sources=tuple(line), group=f"{root} and its extensions",
            reason=f"{', '.join(line[1:])} continue{'s' if len(line) == 2 else ''} {root} with the same patients.",
        )
        for root, line in lines.items()
    )  # fmt: skip


def part_overlaps(studies: Iterable[tuple[str, str]]) -> tuple[Overlap, ...]:
    """A whole study and each of its separately reported parts; the parts do not overlap with one another.

    Parameters
    ----------
    studies : iterable of (study, whole)
        Whole empty for a study that is not a part.
    """
    return tuple(
        Overlap(sources=(whole, study), reason=f"{study} is a part of {whole}.") for study, whole in studies if whole
    )
