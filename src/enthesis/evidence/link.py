"""Which records are the same report, and which reports are of which study.

Everything here is a proposal with its reason and a stated certainty: `certain` (an identifier that only one thing can
have), `probable`, `possible`. A person decides, and the decision is a fact (table `decisions`, stages `duplicate` and
`study`); what was decided is not proposed again.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import combinations
from typing import TYPE_CHECKING, Literal

from enthesis.evidence.sources.records import NCT, doi_in

if TYPE_CHECKING:
    from enthesis.evidence.view import Evidence

Certainty = Literal["certain", "probable", "possible"]
CERTAINTIES: tuple[Certainty, ...] = ("certain", "probable", "possible")

#: titles at least this alike are the same but for typography
SAME_TITLE = 0.92
#: titles at least this alike are worth a look
LIKE_TITLE = 0.80
#: one DOI may stand for a whole supplement of congress abstracts: below this the titles are of different reports
OTHER_TITLE = 0.55
#: words of a title that make it a candidate for comparison with another: its rarest ones
_RARE = 5
#: a word that more titles share says nothing
_BLOCK = 200
#: smaller numbers are in every abstract
_TELLING = 50
#: shorter names of studies are words
_ACRONYM = 5
_NUMBERS = re.compile(r"\b\d{1,3}(?:,\d{3})+\b|\b\d{2,6}\b")


@dataclass(frozen=True, kw_only=True)
class Duplicate:
    """Two records that may be one report: `record` could go, `other` would be kept."""

    record: str
    other: str
    certainty: Certainty
    reason: str
    likeness: float


@dataclass(frozen=True, kw_only=True)
class ReportLink:
    """A record that may be a report of a study."""

    record: str
    study: str
    certainty: Certainty
    reason: str


def plain_title(title: str) -> str:
    """A title in lower case, letters and digits only.

    Examples
    --------
    >>> plain_title("[Efficacy of JAK-1 inhibition.]")
    'efficacy of jak 1 inhibition'
    """
    return " ".join(re.findall(r"\w+", title.casefold()))


def likeness(a: str, b: str, *, floor: float = OTHER_TITLE) -> float:
    """How alike two titles are, 0 to 1: the share of text in common, whatever the typography.

    Parameters
    ----------
    a, b : str
    floor : float
        Below this only an upper bound is given, which is quicker.

    Examples
    --------
    >>> likeness("A trial of X.", "a trial of x") > 0.99
    True
    """
    a, b = plain_title(a), plain_title(b)
    if a == b:
        return 1.0
    matcher = SequenceMatcher(None, a, b, autojunk=False)
    for bound in (matcher.real_quick_ratio, matcher.quick_ratio):
        if (most := bound()) < floor:
            return most
    return matcher.ratio()


def duplicates(evidence: Evidence, *, decided: bool = False) -> tuple[Duplicate, ...]:
    """Pairs of records that are probably the same report, the surest first.

    Parameters
    ----------
    evidence : Evidence
    decided : bool
        Also pairs on which a person decided already.

    Returns
    -------
    tuple of Duplicate

    Examples
    --------
    >>> from enthesis.evidence import bundled_evidence
    >>> duplicates(bundled_evidence())
    ()
    """
    records = rows_of(evidence, "records")
    by_id = {r["record_id"]: r for r in records}
    order = {r["record_id"]: at for at, r in enumerate(records)}
    settled = set() if decided else _decided_pairs(evidence)
    found = []
    for pair in _candidates(records):
        if pair in settled:
            continue
        gone, kept = sorted(pair, key=lambda id: (bool(by_id[id].get("pmid")), -order[id]))
        judged = _same(by_id[gone], by_id[kept])
        if judged:
            certainty, reason, alike = judged
            found.append(Duplicate(record=gone, other=kept, certainty=certainty, reason=reason, likeness=alike))
    return tuple(sorted(found, key=lambda d: (CERTAINTIES.index(d.certainty), -d.likeness, order[d.record])))


def kept_records(evidence: Evidence) -> dict[str, str]:
    """By record_id, the record that stands for it after the decisions on duplicates: itself, or the one kept.

    Returns
    -------
    dict of str to str
        One entry per record.
    """
    stands = {r["record_id"]: r["record_id"] for r in rows_of(evidence, "records")}
    for gone, kept in verdicts(evidence, "duplicate", "duplicate"):
        if gone in stands and kept in stands and (end := _end(stands, gone)) != (other := _end(stands, kept)):
            stands[end] = other
    return {record: _end(stands, record) for record in stands}


def report_links(evidence: Evidence, *, decided: bool = False) -> tuple[ReportLink, ...]:
    """Records that are reports of a study of the evidence, with the reason and how sure it is.

    Parameters
    ----------
    evidence : Evidence
    decided : bool
        Also pairs on which a person decided already.

    Returns
    -------
    tuple of ReportLink
        By record; the surest study first.
    """
    known = _Studies(evidence)
    settled = set() if decided else _study_pairs(evidence)
    found = []
    for record in rows_of(evidence, "records"):
        reasons: dict[str, list[tuple[int, str]]] = defaultdict(list)
        for study, certainty, reason in known.of(record):
            reasons[study].append((CERTAINTIES.index(certainty), reason))
        links = [
            ReportLink(record=record["record_id"], study=study, certainty=CERTAINTIES[min(told)[0]],
                       reason="; ".join(dict.fromkeys(r for _, r in sorted(told))))
            for study, told in reasons.items() if (record["record_id"], study) not in settled
        ]  # fmt: skip
        found += sorted(links, key=lambda link: (CERTAINTIES.index(link.certainty), link.study))
    return tuple(found)


# Records that are the same report


def _candidates(records: list[dict[str, str]]) -> Iterator[tuple[str, str]]:
    """Pairs worth comparing: a common identifier, or at least two of their rarest title words."""
    words = {r["record_id"]: set(plain_title(r.get("title", "")).split()) for r in records}
    counts = Counter(word for its in words.values() for word in its)
    blocks: dict[tuple[str, str], list[str]] = defaultdict(list)
    for r in records:
        for column in ("pmid", "doi"):
            if r.get(column):
                blocks[column, r[column].casefold()].append(r["record_id"])
        blocks["title", plain_title(r.get("title", ""))].append(r["record_id"])
        for word in sorted(words[r["record_id"]], key=lambda w: (counts[w], w))[:_RARE]:
            blocks["word", word].append(r["record_id"])
    shared: Counter[tuple[str, str]] = Counter()
    for (kind, _), ids in blocks.items():
        if 1 < len(ids) <= _BLOCK:
            shared.update({_pair(a, b): 1 if kind == "word" else 2 for a, b in combinations(ids, 2)})
    return (pair for pair, count in shared.items() if count >= 2)


def _same(a: Mapping[str, str], b: Mapping[str, str]) -> tuple[Certainty, str, float] | None:
    alike = likeness(a.get("title", ""), b.get("title", ""))
    for column, what in (("pmid", "PMID"), ("doi", "DOI")):
        if a.get(column) and a[column].casefold() == b.get(column, "").casefold():
            if alike >= OTHER_TITLE:
                return "certain", f"the same {what}", alike
            return "possible", f"the same {what}, but the titles differ: it may stand for a whole supplement", alike
    if a.get("pmid") and b.get("pmid"):
        return None
    years = [int(float(x["year"])) for x in (a, b) if x.get("year")]
    near = len(years) < 2 or abs(years[0] - years[1]) <= 1
    numbers = [re.findall(r"\d+", x.get("title", "")) for x in (a, b)]
    if alike >= SAME_TITLE and near and numbers[0] != numbers[1]:
        return "possible", "the same title but for a number, as in reports of different weeks", alike
    if alike >= SAME_TITLE and near:
        return "probable", "the same title" if alike == 1 else "nearly the same title", alike
    first = [plain_title(x.get("authors", "").partition("; ")[0].partition(",")[0]) for x in (a, b)]
    if alike >= LIKE_TITLE and near and first[0] and first[0] == first[1]:
        return "possible", "a similar title and the same first author", alike
    return None


# Reports of studies


class _Studies:
    """What identifies the studies of the evidence."""

    def __init__(self, evidence: Evidence) -> None:
        self.rows = {s["study_id"]: s for s in rows_of(evidence, "studies")}
        self.by_number: dict[str, list[str]] = defaultdict(list)
        for study, row in self.rows.items():
            for number in NCT.findall(row.get("nct_id", "")):
                self.by_number[number].append(study)
        cited: dict[str, set[str]] = defaultdict(set)
        for name in ("studies", "arms", "outcomes", "contrasts"):
            for row in rows_of(evidence, name):
                for source in split_ids(row.get("source_id", "")):
                    cited[source].add(row["study_id"])
        self.sources = [
            (source, sorted(studies), set(plain_title(source.get("title", "")).split()))
            for source in rows_of(evidence, "sources")
            if (studies := cited[source["source_id"]])
        ]
        self.by_id: dict[tuple[str, str], set[str]] = defaultdict(set)
        for source, _, _ in self.sources:
            for column in ("pmid", "doi"):
                if source.get(column):
                    self.by_id[column, plain_id(source[column])].add(source["source_id"])
        drugs: dict[str, set[str]] = defaultdict(set)
        for arm in rows_of(evidence, "arms"):
            if arm.get("drug_class") != "placebo":
                drugs[arm["study_id"]].add(plain_title(arm["treatment"]))
        #: name with blanks around (empty when it is too short to be one), number of patients, drugs
        self.signs = {
            study: (_name(study), _size(row.get("n_randomised", "")), [f" {d} " for d in sorted(drugs[study])])
            for study, row in self.rows.items()
        }

    def of(self, record: Mapping[str, str]) -> Iterator[tuple[str, Certainty, str]]:
        """(study, certainty, reason) for every sign that a record is a report of a study."""
        registered = NCT.findall(record.get("nct_id", ""))
        text = f"{record.get('title', '')} {record.get('abstract', '')}"
        told = [number for number in NCT.findall(text) if number not in registered]
        for number in registered:
            yield from self._number(number, "certain", f"registered as {number}")
        for number in told:
            yield from self._number(number, "probable", f"{number} is named in the text")
        yield from self._cited(record)
        yield from self._named(record)

    def _number(self, number: str, certainty: Certainty, reason: str) -> Iterator[tuple[str, Certainty, str]]:
        studies = self.by_number.get(number, [])
        for study in studies:
            if len(studies) == 1:
                yield study, certainty, reason
            else:
                yield study, "probable", f"{reason}, which {len(studies)} studies share"

    def _cited(self, record: Mapping[str, str]) -> Iterator[tuple[str, Certainty, str]]:
        words = set(plain_title(record.get("title", "")).split())
        ids = {c: self.by_id.get((c, plain_id(record[c])), set()) for c in ("pmid", "doi") if record.get(c)}
        for source, studies, its in self.sources:
            id = source["source_id"]
            same_id = next((c.upper() for c, found in ids.items() if id in found), "")
            if not same_id and 2 * len(words & its) < max(len(words), len(its), 1):
                continue  # most pairs share few words, and comparing letters is slow
            alike = likeness(source.get("title", ""), record.get("title", ""), floor=LIKE_TITLE)
            if not same_id and alike < LIKE_TITLE:
                continue
            for study in studies:
                if same_id and len(studies) == 1:
                    yield study, "certain", f"{same_id} of its source {id}"
                elif same_id:
                    yield study, "probable", f"{same_id} of {id}, a source of {len(studies)} studies"
                elif alike >= SAME_TITLE and len(studies) == 1:
                    yield study, "probable", f"the title of its source {id}"
                else:
                    yield study, "possible", f"a title like that of its source {id}"

    def _named(self, record: Mapping[str, str]) -> Iterator[tuple[str, Certainty, str]]:
        title = f" {plain_title(record.get('title', ''))} "
        text = f"{title} {plain_title(record.get('abstract', ''))} "
        numbers = {n.replace(",", "") for n in _NUMBERS.findall(record.get("abstract", ""))}
        for study, (name, size, drugs) in self.signs.items():
            by_name, sized = bool(name) and name in text, size in numbers
            if by_name:
                more = f", and its {size} patients" if sized else ""
                yield study, "probable" if sized else "possible", f"its name is in the text{more}"
            elif sized and (drug := next((d for d in drugs if d in title), "")):
                yield study, "possible", f"{drug.strip()} in the title, and its {size} patients in the abstract"


def _name(study: str) -> str:
    name = plain_title(study)
    return f" {name} " if len(name) >= _ACRONYM and any(mark.isalpha() for mark in name) else ""


def _size(n_randomised: str) -> str:
    """A number of patients that tells studies apart; `none` when it is small or not known."""
    return f"{float(n_randomised):.0f}" if n_randomised and float(n_randomised) >= _TELLING else "none"


# Shared


def rows_of(evidence: Evidence, name: str) -> list[dict[str, str]]:
    """The cells of the rows of a table, empty ones left out."""
    return [fact.cells() for fact in evidence.facts if fact.table == name]


def verdicts(evidence: Evidence, stage: str, decision: str = "") -> list[tuple[str, str]]:
    """(subject, of) of the decisions at a stage; for each pair the last one counts."""
    last: dict[tuple[str, str], tuple[int, str, tuple[str, str]]] = {}
    for fact in evidence.facts:
        if fact.table == "decisions" and (cells := fact.cells())["stage"] == stage:
            pair = cells["subject"], cells.get("of", "")
            key = _pair(*pair) if stage == "duplicate" else pair
            if key not in last or last[key][0] < fact.id:
                last[key] = (fact.id, cells["decision"], pair)
    return [pair for _, verdict, pair in last.values() if decision in ("", verdict)]


def _decided_pairs(evidence: Evidence) -> set[tuple[str, str]]:
    return {_pair(*pair) for pair in verdicts(evidence, "duplicate")}


def _study_pairs(evidence: Evidence) -> set[tuple[str, str]]:
    return set(verdicts(evidence, "study"))


def _pair(a: str, b: str) -> tuple[str, str]:
    return (a, b) if a <= b else (b, a)


def _end(stands: Mapping[str, str], record: str) -> str:
    while stands[record] != record:
        record = stands[record]
    return record


def plain_id(text: str) -> str:
    """A DOI or another identifier as it is compared."""
    return doi_in(text) or text.strip().casefold()


def split_ids(source_id: str) -> list[str]:
    """The documents of a cell `source_id`."""
    return [part for part in map(str.strip, source_id.split(";")) if part]


__all__ = [
    "CERTAINTIES", "Certainty", "Duplicate", "ReportLink", "duplicates", "kept_records", "likeness", "plain_title",
    "report_links",
]  # fmt: skip
