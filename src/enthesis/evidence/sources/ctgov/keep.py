"""A parsed record enters the store: bytes first, then all its facts in one transaction, and nothing twice.

What a person or a table wrote about the same study is never touched. A number that the store already has from the same
document, read by hand, is not added again; where the two differ, a person is asked. A record that changed supersedes
the facts that it gave before, and withdraws those that it no longer gives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from enthesis.errors import DataError, UsageError
from enthesis.evidence.facts import Fact as StoredFact
from enthesis.evidence.facts import NewRow
from enthesis.evidence.rows import TABLES
from enthesis.evidence.sources.adding import Added, planned
from enthesis.evidence.sources.ctgov.parse import Known, parse
from enthesis.evidence.sources.ctgov.posted import Parsed, Review
from enthesis.evidence.sources.ctgov.record import records
from enthesis.evidence.sources.ctgov.study import NCT
from enthesis.evidence.sources.ctgov.tabled import contrast_rows, outcome_rows, posted_rows
from enthesis.evidence.store import Store, Writer

EXTRACTOR = "enthesis.evidence.sources.ctgov"


@dataclass(frozen=True)
class Kept:
    """What became of a record.

    Attributes
    ----------
    parsed : Parsed
    document : str
        sha256 of the bytes.
    tables : mapping of str to Added
        By table, what was new, superseded or unchanged.
    withdrawn : int
        Facts that the record gave before and gives no longer.
    agreeing : int
        Numbers that the store had from this document already, read by hand.
    snapshot : int
        Number of the snapshot afterwards.
    """

    parsed: Parsed
    document: str
    tables: Mapping[str, Added]
    withdrawn: int = 0
    agreeing: int = 0
    snapshot: int = 0

    @property
    def changed(self) -> bool:
        """Whether the store holds anything new."""
        return any(added.stored or added.superseded for added in self.tables.values()) or bool(self.withdrawn)

    def sentence(self) -> str:
        """What became of the record, in a line."""
        new = sum(added.stored for added in self.tables.values())
        changed = sum(added.superseded for added in self.tables.values())
        same = sum(added.unchanged for added in self.tables.values())
        told = (
            f"{self.parsed.nct_id} ({self.parsed.study['study_id']}): {new} new, {changed} superseded, {same} unchanged"
        )
        told += f", {self.withdrawn} withdrawn" if self.withdrawn else ""
        told += f", {self.agreeing} numbers agree with what was read by hand" if self.agreeing else ""
        asked = len(self.parsed.review)
        return told + (f"; {asked} question{'s' if asked > 1 else ''} for a person" if asked else "")


Chains = dict[str, list[list[StoredFact]]]
Rows = Callable[[str], Iterable[dict[str, str]]]


def known_of(rows: Rows, nct_id: str, *, study: str = "") -> Known:
    """What the store knows of a registered study: its row, its arms and the answers of persons.

    Parameters
    ----------
    rows : callable
        The visible rows of a table by its name.
    nct_id : str
    study : str
        study_id, when the store has several studies of that number.

    Returns
    -------
    Known

    Raises
    ------
    UsageError
        When the store has several studies of that number and none is named, or not the named one.
    """
    found = [r for r in rows("studies") if nct_id in r.get("nct_id", "").replace(";", " ").replace(",", " ").split()]
    named = [row for row in found if row["study_id"] == study]
    if study and not named:
        others = ", ".join(row["study_id"] for row in found) or "none"
        raise UsageError(f"The store has no study {study!r} of {nct_id}. Studies of that number: {others}.")
    whole = named or [row for row in found if row.get("design") == "rct" and not row.get("part_of")] or found
    if len(whole) > 1:
        listed = ", ".join(row["study_id"] for row in whole)
        raise UsageError(f"{nct_id} stands for {len(whole)} studies of the store: {listed}. Name one with --study.")
    source_id = f"ctgov_{nct_id}"
    answers = {(r["kind"], r["subject"]): r["value"] for r in rows("answers") if r["source_id"] == source_id}
    if not whole:
        return Known(decisions=answers)
    return Known(whole[0], [arm for arm in rows("arms") if arm["study_id"] == whole[0]["study_id"]], answers)


def _of_writer(writer: Writer) -> Rows:
    return lambda name: [fact.cells() for fact in writer.current(name)]


def preview(content: bytes, name: str, store: Store | None = None, *, study: str = "") -> tuple[Parsed, ...]:
    """The records in a file, with the names that a store has for the studies; nothing is stored."""
    if store is None:
        return parse(content, name)
    facts = store.evidence().facts

    def rows(table: str) -> list[dict[str, str]]:
        return [fact.cells() for fact in facts if fact.table == table]

    return parse(content, name, {n: known_of(rows, n, study=study) for n in _numbers(content, name)})


def _numbers(content: bytes, name: str) -> list[str]:
    found = []
    for record in records(content, name):
        identity = record["protocolSection"].get("identificationModule")
        number = str(identity.get("nctId") or "").strip().upper() if isinstance(identity, dict) else ""
        if NCT.match(number):
            found.append(number)
    return found


def import_bytes(store: Store, content: bytes, name: str, *, study: str = "", population: str = "") -> tuple[Kept, ...]:
    """Keep the bytes of a file of records, then the facts of each record, one transaction for each.

    Parameters
    ----------
    store : Store
    content : bytes
    name : str
        Of the file, for messages.
    study : str
        study_id, when the store has several studies of a number.
    population : str
        Population of a new study, when the record does not say it clearly; stored as an answer.

    Returns
    -------
    tuple of Kept

    Raises
    ------
    DataError
        When the bytes are no records; then nothing is stored. When a study is new and its population is not known; then
        its bytes and the questions are stored, and no facts.
    UsageError
        When the store has several studies of a number and none is named.

    Examples
    --------
    >>> record = b'''{"protocolSection": {"identificationModule": {"nctId": "NCT00000001", "acronym": "SMALL"},
    ...     "conditionsModule": {"conditions": ["Axial Spondyloarthritis"]}}}'''
    >>> with Store.open(":memory:") as store:
    ...     first, = import_bytes(store, record, "small.json")
    ...     again, = import_bytes(store, record, "small.json")
    >>> first.changed, again.changed
    (True, False)
    """
    numbers = _numbers(content, name)
    if study and len(set(numbers)) > 1:
        raise UsageError(f"--study names one study, but {name} holds {len(numbers)} records.")
    parse(content, name)  # so that bytes that cannot be read as records are refused before anything is stored
    document = store.put_bytes(content, name=name)
    kept = []
    for place, nct_id in enumerate(numbers):
        if population:
            _answer_population(store, nct_id, population)
        with store.writing(extractor=EXTRACTOR) as writer:
            parsed = parse(content, name, {nct_id: known_of(_of_writer(writer), nct_id, study=study)})[place]
            kept.append(_keep(writer, parsed, document))
        kept[-1] = replace(kept[-1], snapshot=writer.snapshot.number)
    return tuple(kept)


def _answer_population(store: Store, nct_id: str, population: str) -> None:
    cells = {
        "source_id": f"ctgov_{nct_id}", "kind": "population", "subject": "population of the study", "value": population
    }  # fmt: skip
    with store.writing(extractor=EXTRACTOR) as writer:
        if any({**fact.cells(), **cells} == fact.cells() for fact in writer.current("answers")):
            return
    store.judge("answers", cells, author="named at the import", reason="named at the import")


def _keep(writer: Writer, parsed: Parsed, document: str) -> Kept:
    """Append what is new; see the module's idea."""
    if not parsed.study["population"]:
        raise DataError(
            "does not say clearly which population it is about", file=parsed.nct_id, column="conditions",
            fix="Name it: --population nr-axSpA, r-axSpA, axSpA, RA, PsA or mixed.",
        )  # fmt: skip
    problems: list[tuple[str, str]] = []
    answered = {
        (row["kind"], row["subject"])
        for row in (fact.cells() for fact in writer.current("answers"))
        if row["source_id"] == parsed.source_id
    }
    rows = {
        "sources": [parsed.source],
        "studies": [parsed.study],
        "arms": list(parsed.arms),
        "outcomes": outcome_rows(parsed),
        "contrasts": contrast_rows(parsed),
        "posted": posted_rows(parsed),
    }
    chains = {name: writer.chains(name) for name in (*rows, "questions", "unparsed")}
    hand = {name: _by_others(chains[name]) for name in rows}
    rows["sources"] = _unless_there(rows["sources"], hand["sources"], ("source_id",))
    rows["studies"] = _unless_there(rows["studies"], hand["studies"], ("study_id",))
    rows["arms"] = _unless_there(rows["arms"], hand["arms"], ("study_id", "arm_id"))
    rows["arms"] = [row for row in rows["arms"] if row["arm_id"] not in parsed.unsure_arms]
    questions = list(parsed.review)
    rows["outcomes"], agreeing, different = _not_read_by_hand(rows["outcomes"], hand["outcomes"], "outcomes")
    rows["contrasts"], also, others = _not_read_by_hand(rows["contrasts"], hand["contrasts"], "contrasts")
    questions += [item for item in different + others if (item.kind, item.subject) not in answered]
    rows["outcomes"] = _preferred(rows["outcomes"], hand["outcomes"])
    rows["questions"] = [
        {
            "source_id": parsed.source_id,
            **{k: v for k, v in vars(item).items() if k != "locator"},
            "locator": item.locator,
        }
        for item in questions
    ]
    checked = {name: _checked(name, found, parsed.nct_id, problems) for name, found in rows.items()}
    unparsed = {item.locator: item.reason for item in parsed.unparsed}
    for locator, reason in problems:
        unparsed.setdefault(locator, reason)
    places = [{"source_id": parsed.source_id, "locator": at, "reason": why[:2000]} for at, why in unparsed.items()]
    checked["unparsed"] = _checked("unparsed", places, parsed.nct_id, problems)
    added, withdrawn = {}, 0
    for name, found in checked.items():
        added[name], gone = _append(writer, chains[name], found, parsed.source_id, document)
        withdrawn += gone
    return Kept(replace(parsed, review=tuple(questions)), document, added, withdrawn, agreeing + also)


def _ours(chain: list[StoredFact]) -> bool:
    """Whether a chain began with an import, or an import went on with it; a person's correction in it stays."""
    return any(fact.extractor == EXTRACTOR for fact in chain)


def _by_others(chains: Chains) -> list[StoredFact]:
    """The visible rows of a table that no import gave."""
    tips = (chain[-1] for found in chains.values() for chain in found if not _ours(chain))
    return [fact for fact in tips if not fact.withdrawn]


def _unless_there(rows: list[dict[str, str]], hand: Iterable[StoredFact], key: tuple[str, ...]) -> list[dict[str, str]]:
    """Rows that nobody else wrote."""
    there = {tuple(fact.cells().get(name, "") for name in key) for fact in hand}
    return [row for row in rows if tuple(row.get(name, "") for name in key) not in there]


_SLOT = {
    "outcomes": ("study_id", "arm_id", "subgroup", "outcome", "week", "measure"),
    "contrasts": ("study_id", "arm_id", "comparator_arm_id", "subgroup", "outcome", "week", "effect"),
}
_COMPARED = {
    "outcomes": ("events", "n", "percent", "mean", "sd", "se"),
    "contrasts": ("estimate", "ci_low", "ci_high"),
}


def _slot(name: str, cells: Mapping[str, str]) -> tuple[str, ...]:
    texts = [cells.get(column, "") for column in _SLOT[name]]
    return tuple(f"{float(text):g}" if column == "week" and text else text for column, text in zip(_SLOT[name], texts))


def _not_read_by_hand(
    rows: list[dict[str, str]], hand: Iterable[StoredFact], name: str
) -> tuple[list[dict[str, str]], int, list[Review]]:
    """Rows that are not in the store from the same document; how many agree; a question for each that differs."""
    there: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for fact in hand:
        cells = fact.cells()
        for source in cells.get("source_id", "").split(";"):
            there.setdefault((source.strip(), *_slot(name, cells)), []).append(cells)
    new, agreeing, different = [], 0, []
    for row in rows:
        found = there.get((row["source_id"], *_slot(name, row)))
        if not found:
            new.append(row)
        elif any(_agree(name, row, cells) for cells in found):
            agreeing += 1
        else:
            told = ", ".join(f"{c} {row[c]}" for c in _COMPARED[name] if row.get(c))
            read = ", ".join(f"{c} {found[0][c]}" for c in _COMPARED[name] if found[0].get(c))
            about = " ".join(filter(None, _slot(name, row)))
            why = f"the record says {told}; read by hand from the same record: {read}. The row in the store stands"
            different.append(Review("conflict", f"{name}: {about}", told, why, row["locator"]))
    return new, agreeing, different


def _agree(name: str, row: Mapping[str, str], cells: Mapping[str, str]) -> bool:
    both = [(row[c], cells[c]) for c in _COMPARED[name] if row.get(c) and cells.get(c)]
    return bool(both) and all(float(a) == float(b) for a, b in both)


def _preferred(rows: list[dict[str, str]], hand: Iterable[StoredFact]) -> list[dict[str, str]]:
    """With one preferred row for each arm, outcome and week: the first that is not derived; none where there is one."""

    def at(cells: Mapping[str, str]) -> tuple[str, ...]:
        return _slot("outcomes", cells)[:-1]

    taken = {at(cells) for cells in (fact.cells() for fact in hand) if cells.get("preferred") == "yes"}
    chosen: dict[tuple[str, ...], int] = {}
    for place, row in enumerate(rows):
        best = chosen.get(at(row))
        if best is None or (rows[best]["events_derived"] == "yes" and row["events_derived"] != "yes"):
            chosen[at(row)] = place
    return [
        {**row, "preferred": "yes" if at(row) not in taken and chosen[at(row)] == place else "no"}
        for place, row in enumerate(rows)
    ]


def _checked(name: str, rows: list[dict[str, str]], nct_id: str, problems: list[tuple[str, str]]) -> list[NewRow]:
    """Rows that meet the dictionary; the others are problems at their place."""
    found = []
    for place, row in enumerate(rows, start=1):
        cells = {column: text for column, text in row.items() if text != ""}
        wrong = TABLES[name].problems(cells)
        if wrong:
            why = f"no row of {name}: column {wrong[0].column}, value {wrong[0].value[:40]!r}: {wrong[0].reason}"
            problems.append((row.get("locator", ""), why))
        else:
            found.append(NewRow(name, cells, file=f"{nct_id}.json", file_row=place))
    return found


def _append(writer: Writer, chains: Chains, rows: list[NewRow], source_id: str, document: str) -> tuple[Added, int]:
    """Append new and changed rows of a table, and withdraw those of this record that it no longer gives."""
    own = {
        key: mine
        for key, found in chains.items()
        if (mine := [chain for chain in found if chain[0].source_id == source_id and _ours(chain)])
    }
    plan = planned(own, rows)
    for row, tip, ordinal in sorted(plan.changed, key=lambda item: item[0].file_row):
        if tip is None:
            # the next ordinal of the whole natural key: others may have written rows with the same one
            writer.append(row, ordinal=ordinal if row.key not in chains else None, document=document)
        else:
            why = "the record gives it again" if tip.withdrawn else "the record changed"
            writer.supersede(tip, row, reason=why, document=document)
    for fact in plan.missing:
        asked = fact.table == "questions"
        why = "it was answered, or the record changed" if asked else "the record no longer gives it"
        writer.withdraw(fact, reason=why, file=fact.file)
    return plan.counts, len(plan.missing)
