"""The sentence on a drug's place, as pieces: what each rests on is a reference that a renderer can turn into a link.

The same pieces make the sentence of the report, of `results.json` and of the command line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from enthesis.assess.place import Entry, Number
from enthesis.assess.place_rules import Fired
from enthesis.report.wording import count, interval, listed, patients_gain, whole

Kind = Literal["", "strong", "effect", "question", "trail", "licence", "guideline"]


@dataclass(frozen=True)
class Piece:
    """A piece of a sentence, and what it refers to."""

    text: str
    kind: Kind = ""


def sentence(entry: Entry, outcome: str = "the outcome") -> tuple[Piece, ...]:
    """What is said of a drug in a cell.

    Parameters
    ----------
    entry : Entry
    outcome : str
        Label of the outcome of the question that answers.

    Returns
    -------
    tuple of Piece
    """
    seen = entry.seen
    head = Piece(f"{_capital(seen.drug)}: {entry.place.words}. ", "strong")
    pieces = [head, *_evidence(entry, outcome), *_harms(entry)]
    licence = seen.licence.in_words()
    pieces.append(Piece(f"{_capital(licence)}. " if licence else "Its licence is not in the evidence. ", "licence"))
    told = [f"{p.guideline} {p.year}: {p.words}" for p in seen.positions]
    if told:
        pieces.append(Piece("; ".join(told) + ". ", "guideline"))
    if entry.cautions:
        pieces.append(Piece(f"Caution: {listed([c.adds for c in entry.cautions])}. "))
    decided = f"Rule: {entry.by.id}" if entry.by else "No rule gives a place"
    near = [f"{f.rule.id} ({missed(f)})" for f in entry.nearly]
    pieces.append(Piece(decided, "trail"))
    pieces.append(Piece(f"; nearly {listed(near)}." if near else "."))
    return tuple(pieces)


def words(pieces: tuple[Piece, ...]) -> str:
    """The sentence without its references."""
    return "".join(p.text for p in pieces)


#: what the words of the rules mean to a reader
_ASKED = {
    "evidence()": "its studies are of",
    "licence()": "its licence is",
    "guideline()": "the leading guideline says",
}
_MEANS = {"stratum": "this line", "broader": "any line", "none": "no line", "this line": "for this line",
          "later line": "for a later line", "no": "not there"}  # fmt: skip
_LEVELS = {1.0: "very low", 2.0: "low", 3.0: "moderate", 4.0: "high"}


def missed(fired: Fired) -> str:
    """The condition that alone keeps a rule from firing, in words.

    Examples
    --------
    >>> from enthesis.assess.place_rules import Condition, Rule
    >>> rule = Rule(id="a", when=("certainty() >= least",), place="x", numbers={"least": 2})
    >>> failed = Condition(text=rule.when[0], holds=False, value=1.0, needed=2.0, missed_by=1.0)
    >>> missed(Fired(rule=rule, conditions=(failed,)))
    'certainty very low, needed low'
    """
    c = fired.failing[0]
    asked = c.text
    for mark in (" >=", " ==", " <=", " >", " <", " in"):
        head, found, _ = c.text.rpartition(mark)
        if found and head.count("(") == head.count(")"):
            asked = head
            break
    if asked == "certainty()" and c.value in _LEVELS and c.needed in _LEVELS:
        return f"certainty {_LEVELS[c.value]}, needed {_LEVELS[c.needed]}"
    if asked in _ASKED:
        return f"{_ASKED[asked]} {_MEANS.get(str(c.value), c.value)}, needed {_MEANS.get(str(c.needed), c.needed)}"
    return f"{with_numbers(asked, fired.rule.numbers)} {c.why}"


def with_numbers(text: str, numbers: Mapping[str, float | str]) -> str:
    """A condition with the numbers of its rule in place of their names.

    Examples
    --------
    >>> with_numbers("P(gain(drug, reference) > margin)", {"margin": 0.1})
    'P(gain > 0.1)'
    """
    text = text.replace("(drug, reference)", "")
    for name, value in numbers.items():
        text = re.sub(rf"\b{re.escape(name)}\b", f"{value:g}" if not isinstance(value, str) else value, text)
    return text


def _evidence(entry: Entry, outcome: str) -> list[Piece]:
    seen = entry.seen
    if seen.evidence == "none":
        return [Piece(f"There is no evidence of its effect here: {_short(seen.silence)}. ")]
    pieces = []
    if seen.evidence == "broader":
        where = seen.cell.broader_is or "studies of any line of treatment"
        pieces.append(Piece(f"From {where}, because there is no study of it at this line: "))
    if seen.gain is not None:
        g = seen.gain
        pieces += [
            Piece(f"{outcome} in "),
            Piece(patients_gain(g.value, g.lower, g.upper), "effect"),
            Piece(f" than with {seen.reference}"),
        ]
    if seen.effect is not None:
        e = seen.effect
        pieces += [
            Piece("; " if seen.gain is not None else f"{outcome} against {seen.reference}: "),
            Piece(f"{e.measure} {interval(e.value, e.lower, e.upper)}", "effect"),
        ]
    patients = f" with {whole(seen.patients)} patients on it" if seen.patients == seen.patients else ""
    n = count(seen.n_studies, "study", "studies") if seen.n_studies else "no study"
    pieces += [Piece(", from "), Piece(f"{n} against {seen.reference}{patients}", "question")]
    if seen.certainty:
        because = f" ({seen.certainty_because})" if seen.certainty_because else ""
        of = " for studies of any line" if seen.evidence == "broader" else ""
        pieces.append(Piece(f"; {seen.certainty} certainty{of}{because}. "))
    else:
        pieces.append(Piece("; certainty not rated. "))
    return pieces


def _harms(entry: Entry) -> list[Piece]:
    """Harms against the reference; what is known of the class alone stands under the table."""
    if entry.seen.evidence == "none":
        return []
    told = [harm_words(n) for n in entry.seen.harms]
    return [Piece(f"Against {entry.seen.reference}: {'; '.join(told)}. ")] if told else []


def harm_words(n: Number) -> str:
    """A harm with its interval."""
    name = n.label or n.name
    return f"{name[:1].lower() + name[1:]} {n.measure} {interval(n.value, n.lower, n.upper)}"


def _short(text: str) -> str:
    return text.split(" Widen the question")[0].rstrip(". ")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


__all__ = ["Piece", "harm_words", "missed", "sentence", "with_numbers", "words"]
