"""A registry record becomes facts: a pure function of its bytes, what is known of the study, and what persons decided.

    parsed, = parse(Path("NCT02552212.json").read_bytes())
    parsed.facts[0].locator

Everything in the record is a fact, a text that a fact was read with, or unparsed with a reason.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from enthesis.errors import DataError
from enthesis.evidence.sources.ctgov.adverse import adverse
from enthesis.evidence.sources.ctgov.analyses import analyses
from enthesis.evidence.sources.ctgov.baseline import arm_columns, baseline
from enthesis.evidence.sources.ctgov.context import Context
from enthesis.evidence.sources.ctgov.flow import flow
from enthesis.evidence.sources.ctgov.outcomes import outcome
from enthesis.evidence.sources.ctgov.posted import Fact, Group, Parsed, Unparsed
from enthesis.evidence.sources.ctgov.record import Log, Node, records
from enthesis.evidence.sources.ctgov.study import NCT, Protocol, protocol

#: Most places that are reported one by one; the rest of a hostile record is one line.
MAX_UNPARSED = 20_000


@dataclass(frozen=True)
class Known:
    """What the store knows of a registered study: its row, its arms, and the decisions of persons.

    Attributes
    ----------
    study : mapping
        Row of `studies`; empty when the study is new.
    arms : sequence of mappings
        Rows of `arms`.
    decisions : mapping
        (kind, subject) to value; see `posted.Review`.
    """

    study: Mapping[str, str] = field(default_factory=dict)
    arms: Sequence[Mapping[str, str]] = ()
    decisions: Mapping[tuple[str, str], str] = field(default_factory=dict)


def parse(content: bytes, name: str = "record", known: Mapping[str, Known] | None = None) -> tuple[Parsed, ...]:
    """The records in a file as facts.

    Parameters
    ----------
    content : bytes
        One record of the API v2, a list of them, or a page of a search.
    name : str
        Of the file, for messages.
    known : mapping of str to Known, optional
        By NCT number.

    Returns
    -------
    tuple of Parsed

    Raises
    ------
    DataError
        When the bytes are not such a file, or a record has no NCT number.

    Examples
    --------
    >>> record = b'{"protocolSection": {"identificationModule": {"nctId": "NCT00000001", "acronym": "SMALL"}}}'
    >>> parse(record)[0].study["study_id"]
    'SMALL'
    """
    found = tuple(_parsed(record, name, known or {}) for record in records(content, name))
    for number, times in Counter(item.nct_id for item in found).items():
        if times > 1:
            why = f"holds several records, and {number} is there twice: which one holds is not known"
            raise DataError(why, file=name, fix="Leave one of them in the file.")
    return found


def _parsed(record: dict[str, Any], name: str, known: Mapping[str, Known]) -> Parsed:
    log = Log()
    root = Node(record, "", log)
    nct_id = str(root["protocolSection"]["identificationModule"]["nctId"].value or "").strip().upper()
    if not NCT.match(nct_id):
        raise DataError(
            "has no NCT number", file=name, column="nctId", value=nct_id or None,
            fix="A record names itself in protocolSection/identificationModule/nctId, such as NCT02552212.",
        )  # fmt: skip
    told = known.get(nct_id, Known())
    context = Context(log, (), told.decisions)
    said = protocol(root["protocolSection"], log, dict(told.study), [dict(a) for a in told.arms], context)
    context.arms = said.texts
    started = _results(root["resultsSection"], context)
    arms = tuple(_arm(row, started, context.facts) for row in said.arms)
    return Parsed(
        nct_id, said.source, said.study, arms, tuple(context.facts), tuple(context.groups),
        tuple(context.review.values()), _unparsed(record, log, context.facts, said), said.reads,
        tuple(context.unsure),
    )  # fmt: skip


def _results(node: Node, context: Context) -> dict[str, Fact]:
    """Read the results section into the context; who started the study, by arm."""
    found, started = flow(node["participantFlowModule"], context)
    context.facts += found
    context.facts += baseline(node["baselineCharacteristicsModule"], context)
    for item in node["outcomeMeasuresModule"]["outcomeMeasures"].items():
        before = len(context.groups)
        facts = outcome(item, context)
        groups: dict[str, Group] = {group.id: group for group in context.groups[before:]}
        context.facts += facts
        context.facts += analyses(item, groups, facts, context)
    context.facts += adverse(node["adverseEventsModule"], context)
    return started


def _arm(row: dict[str, str], started: Mapping[str, Fact], facts: Sequence[Fact]) -> dict[str, str]:
    begun = started.get(row["arm_id"])
    return {**row, "n_randomised": begun.events if begun else "", **arm_columns(facts, row["arm_id"])}


@cache
def _reasons() -> tuple[tuple[str, str], ...]:
    """Why parts of a record are no facts, by the beginning of their pointer; the longest that fits holds."""
    data = tomllib.loads(files(__package__).joinpath("unparsed.toml").read_text(encoding="utf-8"))
    return tuple(sorted(((r["at"], r["reason"]) for r in data["reason"]), key=lambda r: -len(r[0])))


def _unparsed(record: dict[str, Any], log: Log, facts: Sequence[Fact], said: Protocol) -> tuple[Unparsed, ...]:
    """What the log says, and every part of the record that nothing was read from."""
    read = {pointer for fact in facts for pointer in fact.reads} | log.texts | set(said.reads)
    found = [Unparsed(pointer, reason) for pointer, reason in log.problems.items()]
    covered = set(log.problems)
    inner = {"/".join(p.split("/")[:k]) for p in read | covered for k in range(1, p.count("/") + 1)}
    left: list[Unparsed] = []
    stack: list[tuple[str, Any]] = [("", record)]
    while stack:
        pointer, value = stack.pop()
        if pointer in covered or pointer in read:
            continue
        if pointer in inner and isinstance(value, dict | list) and value:
            pairs = value.items() if isinstance(value, dict) else enumerate(value)
            stack += [(f"{pointer}/{str(n).replace('~', '~0').replace('/', '~1')}", child) for n, child in pairs]
        else:
            reason = next((why for at, why in _reasons() if (pointer + "/").startswith(at)), "")
            left.append(Unparsed(pointer, reason or _leaf_reason(pointer)))
    if len(left) > MAX_UNPARSED:
        more = len(left) - MAX_UNPARSED
        left = [*left[:MAX_UNPARSED], Unparsed("", f"{more} further places are no part of a record as it is known")]
    return tuple(found + left[::-1])


def _leaf_reason(pointer: str) -> str:
    if "/denoms/" in pointer:
        return "a denominator that no value is counted from"
    return "no part of a record that this parser knows"
