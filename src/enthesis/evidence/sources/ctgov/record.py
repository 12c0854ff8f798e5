"""A registry record as a tree whose every leaf has a JSON pointer: read once, with limits, and never trusted.

Numbers keep the digits that were printed. What is read of the tree is remembered, so that what nobody read can be
reported.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from enthesis.errors import DataError, shortened

#: Largest file that is read, in bytes: a record with results is 0.1 to 5 MB, a page of a search about as much.
MAX_BYTES = 64 * 2**20
#: Deepest nesting that is read: records have a dozen levels.
MAX_DEPTH = 60
#: Most values of a file that is read.
MAX_VALUES = 2_000_000
#: Longest text that is kept of one value; longer ones are cut, and said so.
MAX_TEXT = 20_000

_FIX = "Download the record again as JSON from ClinicalTrials.gov (API v2)."


def records(content: bytes, name: str) -> list[dict[str, Any]]:
    """The records in a file: one record, a list of records, or a page of a search.

    Parameters
    ----------
    content : bytes
    name : str
        Of the file, for messages.

    Returns
    -------
    list of dict
        Each with `protocolSection`. Numbers with a decimal point, and whole numbers of more than 15 digits, are text.

    Raises
    ------
    DataError
        When the bytes are no such file: too large, not JSON, nested too deeply, a key twice, another kind of document.

    Examples
    --------
    >>> records(b'{"protocolSection": {}}', "a.json")
    [{'protocolSection': {}}]
    """
    if len(content) > MAX_BYTES:
        raise DataError(
            f"has {len(content) / 2**20:.0f} MB; a record has at most {MAX_BYTES // 2**20} MB", file=name, fix=_FIX
        )
    tree = _tree(content, name)
    found = tree.get("studies") if isinstance(tree, dict) and isinstance(tree.get("studies"), list) else tree
    found = found if isinstance(found, list) else [found]
    for place, record in enumerate(found):
        if not isinstance(record, dict) or not isinstance(record.get("protocolSection"), dict):
            where = f"entry {place + 1} of the file" if len(found) > 1 else "the file"
            raise DataError(f"is not a ClinicalTrials.gov record: {where} has no protocolSection", file=name, fix=_FIX)
    return found


def _tree(content: bytes, name: str) -> Any:
    try:
        text = content.decode("utf-8-sig")
        tree = json.loads(text, object_pairs_hook=_once, parse_float=str, parse_int=_whole, parse_constant=_no_number)
    except UnicodeDecodeError as problem:
        raise DataError(f"is not UTF-8 text (byte {problem.start})", file=name, fix=_FIX) from None
    except json.JSONDecodeError as problem:
        what = "is empty" if not content.strip() else f"is not JSON or was cut off: {problem.msg}"
        raise DataError(what, file=name, row=problem.lineno, fix=_FIX) from None
    except RecursionError:
        raise DataError(f"is nested more than {MAX_DEPTH} levels deep", file=name, fix=_FIX) from None
    except _Refused as problem:
        raise DataError(str(problem), file=name, fix=_FIX) from None
    values, level = 0, [tree]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for value in level
            for child in (value.values() if isinstance(value, dict) else value if isinstance(value, list) else ())
        ]
        values += len(level)
        if values > MAX_VALUES:
            raise DataError(f"holds more than {MAX_VALUES:,} values", file=name, fix=_FIX)
        if not level:
            return tree
    raise DataError(f"is nested more than {MAX_DEPTH} levels deep", file=name, fix=_FIX)


class _Refused(ValueError):
    """JSON that a registry never writes."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _Refused(f"has the key {shortened(twice)!r} twice in one object, so it is not known which one holds")
    return found


def _whole(text: str) -> int | str:
    return int(text) if len(text) <= 15 else text


def _no_number(text: str) -> Any:
    raise _Refused(f"holds {text}, which is not a number of JSON")


def clean(text: str) -> str:
    r"""Text without control characters, markdown escapes and runs of blanks.

    Examples
    --------
    >>> clean("Placebo-\\>OL\x1b[2J  CZP \\[FAS\\]")
    'Placebo->OL [2J CZP [FAS]'
    """
    kept = "".join(mark if mark.isprintable() else " " for mark in text[:MAX_TEXT])
    plain = "".join(
        mark
        for place, mark in enumerate(kept)
        if not (mark == "\\" and kept[place + 1 : place + 2] in _ESCAPED and kept[place + 1 : place + 2])
    )
    return " ".join(plain.split())


_ESCAPED = "\\`*_{}[]()#+-.!<>|~&"


@dataclass
class Log:
    """What was read of a record: pointers of the texts, and what could not be read, with the reason."""

    texts: set[str] = field(default_factory=set)
    problems: dict[str, str] = field(default_factory=dict)

    def unparsed(self, pointer: str, reason: str) -> None:
        """Remember that a place could not be read; the first reason stands."""
        self.problems.setdefault(pointer, reason)


@dataclass(frozen=True)
class Node:
    """A value in a record, its JSON pointer (RFC 6901), and the log of what was read.

    Examples
    --------
    >>> node = Node({"groups": [{"id": "OG000"}]}, "", Log())
    >>> [(group["id"].text(), group.pointer) for group in node["groups"].items()]
    [('OG000', '/groups/0')]
    """

    value: Any
    pointer: str
    log: Log

    def __getitem__(self, name: str) -> Node:
        child = self.value.get(name) if isinstance(self.value, dict) else None
        return Node(child, f"{self.pointer}/{name.replace('~', '~0').replace('/', '~1')}", self.log)

    def __bool__(self) -> bool:
        return self.value is not None

    def items(self) -> Iterator[Node]:
        """The objects of a list; what is no list, or no object in it, is logged as unparsed."""
        if self.value is None:
            return
        if not isinstance(self.value, list):
            self.log.unparsed(self.pointer, f"a list was expected, not {_kind(self.value)}")
            return
        for place, item in enumerate(self.value):
            child = Node(item, f"{self.pointer}/{place}", self.log)
            if isinstance(item, dict):
                yield child
            else:
                self.log.unparsed(child.pointer, f"an object was expected, not {_kind(item)}")

    def text(self) -> str:
        """The cleaned text of a leaf, marked as read; empty when there is none."""
        if self.value is None:
            return ""
        if isinstance(self.value, dict | list):
            self.log.unparsed(self.pointer, f"a text was expected, not {_kind(self.value)}")
            return ""
        self.log.texts.add(self.pointer)
        if isinstance(self.value, str) and len(self.value) > MAX_TEXT:
            self.log.unparsed(self.pointer, f"only the first {MAX_TEXT} of {len(self.value)} characters are read")
        return clean(str(self.value))

    def texts(self) -> list[str]:
        """The texts of a list of leaves, marked as read."""
        if self.value is None:
            return []
        if not isinstance(self.value, list):
            self.log.unparsed(self.pointer, f"a list was expected, not {_kind(self.value)}")
            return []
        return [Node(item, f"{self.pointer}/{place}", self.log).text() for place, item in enumerate(self.value)]

    def printed(self) -> str:
        """A number or other value as printed, not marked as read: who makes a fact of it says so in the fact."""
        if self.value is None or isinstance(self.value, dict | list):
            if isinstance(self.value, dict | list):
                self.log.unparsed(self.pointer, f"a number was expected, not {_kind(self.value)}")
            return ""
        return clean(str(self.value))


def _kind(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "a text", bool: "true or false", int: "a number"}
    return kinds.get(type(value), "nothing")


def leaves(value: Any, pointer: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf of a tree with its pointer; empty objects and lists are leaves too.

    Examples
    --------
    >>> list(leaves({"a": [1, {"b/c": "x"}]}))
    [('/a/0', 1), ('/a/1/b~1c', 'x')]
    """
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = False
    for name, child in children:
        found = True
        yield from leaves(child, f"{pointer}/{str(name).replace('~', '~0').replace('/', '~1')}")
    if not found:
        yield pointer, value
