"""Files of tagged lines, as reference managers write them: RIS and NBIB. Lines become records of (tag, text) pairs."""

from __future__ import annotations

import re

from enthesis.errors import DataError
from enthesis.evidence.sources.records import Unparsed

MAX_BYTES = 128 * 2**20
#: letters of one field: abstracts of congress books reach tens of thousands
MAX_FIELD = 100_000

Fields = list[tuple[str, str]]

_BINARY = ((b"PK\x03\x04", "a zip file or workbook"), (b"%PDF", "a PDF"), (b"\x1f\x8b", "a gzip file"))


def decoded(content: bytes, name: str) -> tuple[str, str]:
    """The text of a file and the encoding it was read as: UTF-8, UTF-16 with its mark, else Windows-1252.

    Raises
    ------
    DataError
        When it is too large or not text.
    """
    if len(content) > MAX_BYTES:
        raise DataError(f"is larger than {MAX_BYTES // 2**20} MB", file=name, fix="Split it into several files.")
    for magic, what in _BINARY:
        if content.startswith(magic):
            raise DataError(f"is {what}, not a text file", file=name, fix="Export the records as text and give that.")
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"
    elif b"\x00" in content:
        raise DataError("is a binary file (it holds a NUL byte)", file=name, fix="Export the records again.")
    else:
        encoding = "utf-8-sig"
    try:
        return content.decode(encoding), encoding.removesuffix("-sig")
    except UnicodeDecodeError:
        if encoding == "utf-16":
            raise DataError("is not valid UTF-16 text", file=name, fix="Export the records as UTF-8.") from None
    return content.decode("cp1252", "replace"), "windows-1252"


def records_of(
    text: str, line: re.Pattern[str], first: str, last: str = ""
) -> tuple[list[tuple[int, Fields]], list[Unparsed]]:
    """Split tagged lines into records.

    Parameters
    ----------
    text : str
    line : pattern
        Of a tagged line: groups tag and text.
    first : str
        The tag that begins a record.
    last : str
        The tag that ends one; empty when the next beginning does.

    Returns
    -------
    (list of (line number, fields), list of Unparsed)
    """
    records: list[tuple[int, Fields]] = []
    unparsed: list[Unparsed] = []
    fields: Fields | None = None
    at = 0

    def close(complete: bool) -> None:
        nonlocal fields
        if fields is not None:
            if complete:
                records.append((at, fields))
            else:
                unparsed.append(Unparsed(f"line {at}", f"the record has no end ({last}); the file may be cut there"))
        fields = None

    for number, raw in enumerate(re.split(r"\r\n|\r|\n", text), start=1):
        match = line.match(raw)
        if match and match[1] == first:
            close(complete=not last)
            fields, at = [(first, match[2].strip())], number
        elif match and last and match[1] == last:
            close(complete=True)
        elif fields is None:
            if raw.strip():
                unparsed.append(Unparsed(f"line {number}", f"it stands before the first tag {first} of a record"))
        elif match:
            fields.append((match[1], match[2].strip()))
        elif raw.strip():
            tag, before = fields[-1]
            if len(before) + len(raw) > MAX_FIELD:
                raise DataError(f"holds a field of more than {MAX_FIELD:,} letters", row=number, column=tag)
            fields[-1] = (tag, f"{before} {raw.strip()}".strip())
    close(complete=not last)
    return records, _grouped(unparsed)


def _grouped(unparsed: list[Unparsed]) -> list[Unparsed]:
    """Many stray lines are told once."""
    stray = [u for u in unparsed if "stands before" in u.reason]
    if len(stray) <= 3:
        return unparsed
    rest = [u for u in unparsed if u not in stray]
    return [Unparsed(stray[0].locator, f"{len(stray)} lines from here stand outside any record"), *rest]


def values(fields: Fields, *tags: str) -> list[str]:
    """The texts of some tags, in the order of the tags and then of the file; empty ones left out."""
    return [text for tag in tags for name, text in fields if name == tag and text]


def value(fields: Fields, *tags: str) -> str:
    """The first text of the first tag that has one; empty when none has."""
    return next(iter(values(fields, *tags)), "")
