"""What `place.toml` of a review holds: cells, places, rules, and how licences and guidelines are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from enthesis.assess.licence import Position, Wording
from enthesis.assess.place_rules import Rule, read_rules, with_values
from enthesis.errors import DataError, UsageError, unknown_name
from enthesis.network.settings import read_toml

_LINES = ("naive", "inadequate-response")
_POSITIONS = ("first", "option", "later", "against")


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A population at a line of treatment.

    Parameters
    ----------
    id, title : str
    population, line : str
    question : str
        The question of the review that answers for it.
    broader : str
        A question whose studies are of any line, for drugs that the first does not hold; may be empty.
    broader_is : str
        What those studies are, in words.
    indications : tuple of str
        Names of the population in the regulatory table.
    """

    id: str
    title: str
    population: str
    line: str
    question: str
    broader: str = ""
    broader_is: str = ""
    indications: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PlaceKind:
    """A place: an id, the words for it, and a tone from -3 (not supported) to 3 (first)."""

    id: str
    words: str
    tone: int = 0
    try_next: bool = False


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step of the sequence of treatments: after what, and the cell that says what to try.

    `why` says why there is no such cell.
    """

    population: str
    after: str
    cell: str = ""
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class PlaceSettings:
    """The settings of the part `place`.

    Parameters
    ----------
    classes : tuple of str
        Classes of drugs that get a row.
    near : float
        How close a missed probability is near.
    guideline : str
        The leading guideline.
    default : str
        The place when no rule fires.
    harms : tuple of str
        Questions of the review on harms that are shown.
    long_term : tuple of (str, str)
        Outcome and stratum of the safety part that are shown.
    margin : float
        Absolute gain that matters, for the table.
    cells, places, rules, sequence, positions : tuples
    wording : Wording
    general : tuple of str
        Indications of measures for whole classes that reach every cell.
    """

    classes: tuple[str, ...]
    cells: tuple[Cell, ...]
    places: Mapping[str, PlaceKind]
    rules: tuple[Rule, ...]
    default: str
    near: float = 0.1
    margin: float = 0.1
    guideline: str = ""
    harms: tuple[str, ...] = ()
    long_term: tuple[tuple[str, str], ...] = ()
    sequence: tuple[Step, ...] = ()
    positions: tuple[Position, ...] = ()
    wording: Wording = field(default_factory=Wording)
    general: tuple[str, ...] = ()

    def cell(self, id: str) -> Cell:
        """The cell with that id."""
        found = {c.id: c for c in self.cells}
        if id not in found:
            raise unknown_name("cell", id, found)
        return found[id]

    def with_values(self, values: Mapping[str, Any]) -> PlaceSettings:
        """The same with other numbers: `rule.number`, or near, guideline and margin.

        Raises
        ------
        UsageError
            When there is no such number, or the value has the wrong type.
        """
        own = {k: v for k, v in values.items() if "." not in k}
        for key, value in own.items():
            if key not in ("near", "guideline", "margin"):
                raise unknown_name("setting", key, ["near", "guideline", "margin", *_numbers(self.rules)])
            if isinstance(value, str) != (key == "guideline"):
                raise UsageError(f"{key} is {'a text' if key == 'guideline' else 'a number'}, not {value!r}.")
            if key == "guideline" and value not in {p.guideline for p in self.positions}:
                raise unknown_name("guideline", value, {p.guideline for p in self.positions})
        rest = {k: v for k, v in values.items() if "." in k}
        return replace(self, rules=with_values(self.rules, rest), **own)


def _numbers(rules: tuple[Rule, ...]) -> list[str]:
    return [f"{r.id}.{name}" for r in rules for name in r.numbers]


def read_settings(path: Path | str) -> PlaceSettings:
    """The settings in a file.

    Raises
    ------
    DataError
        Naming file, key and mend.
    """
    path = Path(path)
    raw, file = read_toml(path), path.name
    places = {}
    for id, table in _table(raw, "places", file).items():
        _keys(table, {"words": str, "tone": int, "try_next": bool}, file, f"places.{id}", need=("words",))
        places[id] = PlaceKind(id=id, **table)
    cells = tuple(_cell(t, file) for t in _tables(raw, "cell", file))
    rules = read_rules(raw.get("rule", []), file)
    for rule in rules:
        if rule.place and rule.place not in places:
            raise DataError(str(unknown_name("place", rule.place, places)), file=file, column=f"rule {rule.id!r}")
    default = raw.get("default", "")
    if default not in places:
        raise DataError(str(unknown_name("place", default, places)), file=file, column="default")
    ids = {c.id for c in cells}
    steps = []
    for t in _tables(raw, "sequence", file):
        _keys(t, {"population": str, "after": str, "cell": str, "why": str}, file, "sequence",
              need=("population", "after"))  # fmt: skip
        if t.get("cell") and t["cell"] not in ids:
            raise DataError(str(unknown_name("cell", t["cell"], ids)), file=file, column="sequence.cell")
        if bool(t.get("cell")) == bool(t.get("why")):
            raise DataError("names a cell, or says why there is none", file=file, column="sequence", value=t["after"])
        steps.append(Step(**t))
    known = ("classes", "near", "margin", "guideline", "default", "harms", "long_term", "general", "places", "cell",
             "rule", "sequence", "position", "wording")  # fmt: skip
    for key in raw:
        if key not in known:
            raise DataError("is not a key of the settings of place", file=file, column=key,
                            fix=str(unknown_name("key", key, known, show=len(known))))  # fmt: skip
    wording = _table(raw, "wording", file)
    _keys(wording, dict.fromkeys(Wording.__dataclass_fields__, list), file, "wording")
    long_term = raw.get("long_term", [])
    if not all(isinstance(p, list) and len(p) == 2 and all(isinstance(x, str) for x in p) for p in long_term):
        raise DataError("must be pairs of outcome and stratum", file=file, column="long_term", value=long_term)
    return PlaceSettings(
        classes=_texts(raw, "classes", file), cells=cells, places=places, rules=rules, default=default,
        near=_number(raw, "near", 0.1, file), margin=_number(raw, "margin", 0.1, file),
        guideline=raw.get("guideline", ""), harms=_texts(raw, "harms", file), general=_texts(raw, "general", file),
        long_term=tuple((a, b) for a, b in long_term), sequence=tuple(steps),
        positions=tuple(_position(t, file) for t in _tables(raw, "position", file)),
        wording=Wording(**{k: tuple(v) for k, v in wording.items()}),
    )  # fmt: skip


def _cell(table: dict[str, Any], file: str) -> Cell:
    keys = {"id": str, "title": str, "population": str, "line": str, "question": str, "broader": str,
            "broader_is": str, "indications": list}  # fmt: skip
    _keys(table, keys, file, "cell", need=("id", "title", "population", "line", "question"))
    if table["line"] not in _LINES:
        raise DataError("is not a line of treatment", file=file, column="cell.line", value=table["line"],
                        fix=f"Use one of {', '.join(_LINES)}.")  # fmt: skip
    return Cell(**{**table, "indications": tuple(table.get("indications", ()))})


def _position(table: dict[str, Any], file: str) -> Position:
    keys = {"guideline": str, "statement_id": str, "lines": list, "of": list, "position": str, "words": str}
    _keys(table, keys, file, "position", need=tuple(keys))
    if table["position"] not in _POSITIONS:
        raise DataError("is not a position", file=file, column="position.position", value=table["position"],
                        fix=f"Use one of {', '.join(_POSITIONS)}.")  # fmt: skip
    return Position(**{**table, "lines": tuple(table["lines"]), "of": tuple(table["of"])})


def _keys(table: Any, known: Mapping[str, type], file: str, column: str, need: tuple[str, ...] = ()) -> None:
    if not isinstance(table, dict):
        raise DataError("must be a table", file=file, column=column)
    for key, value in table.items():
        if key not in known:
            raise DataError("is not a key of this table", file=file, column=f"{column}.{key}",
                            fix=str(unknown_name("key", key, known, show=len(known))))  # fmt: skip
        right = isinstance(value, known[key]) and (known[key] is not int or not isinstance(value, bool))
        if not right or (isinstance(value, list) and not all(isinstance(x, str) for x in value)):
            raise DataError("has the wrong type of value", file=file, column=f"{column}.{key}", value=value)
    for key in need:
        if not table.get(key):
            raise DataError("is missing", file=file, column=f"{column}.{key}", fix=f"Write {key} = ...")


def _table(raw: dict[str, Any], key: str, file: str) -> dict[str, Any]:
    found = raw.get(key, {})
    if not isinstance(found, dict):
        raise DataError("must be a table", file=file, column=key, fix=f"Write [{key}].")
    return found


def _tables(raw: dict[str, Any], key: str, file: str) -> list[dict[str, Any]]:
    found = raw.get(key, [])
    if not isinstance(found, list) or not all(isinstance(t, dict) for t in found):
        raise DataError("must be tables", file=file, column=key, fix=f"Write [[{key}]] tables.")
    return found


def _texts(raw: dict[str, Any], key: str, file: str) -> tuple[str, ...]:
    found = raw.get(key, [])
    if not isinstance(found, list) or not all(isinstance(x, str) for x in found):
        raise DataError("must be a list of texts", file=file, column=key, value=found)
    return tuple(found)


def _number(raw: dict[str, Any], key: str, default: float, file: str) -> float:
    value = raw.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise DataError("must be a number from 0 to 1", file=file, column=key, value=value)
    return float(value)


__all__ = ["Cell", "PlaceKind", "PlaceSettings", "Step", "read_settings"]
