"""A CSV file from outside: UTF-8, comma separated, one header row. What is not so is refused with the mend.

Rows are numbered as a spreadsheet shows them: the header is row 1, empty lines count.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from enthesis.errors import DataError

#: A table of 100,000 results takes about 25 MB; larger files are not tables of evidence.
MAX_BYTES = 64 * 2**20
MAX_COLUMNS = 500
MAX_CELL = 100_000

_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_KNOWN_BINARY = {
    b"PK\x03\x04": "looks like an Excel workbook or a zip file",
    b"\xd0\xcf\x11\xe0": "looks like an old Excel workbook",
    b"%PDF": "is a PDF",
    b"\x1f\x8b": "is compressed (gzip)",
    b"SQLite format 3": "is a SQLite database",
}


@dataclass(frozen=True)
class Sheet:
    """A CSV file as read: cells stripped of outer blanks, `rows` as (row number, cells)."""

    name: str
    content: bytes
    header: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]


def read_csv(path: Path, name: str | None = None) -> Sheet:
    """Read a CSV file.

    Raises
    ------
    DataError
        When it is too large, not text, not UTF-8, not comma separated, has no header, a header cell twice or empty, or
        a broken quotation.
    """
    name = name or path.name
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise DataError(
            f"is {size / 2**20:,.0f} MB; the limit is {MAX_BYTES // 2**20} MB",
            file=name,
            fix="Split the table into several files in several loads.",
        )
    with path.open("rb") as stream:
        content = stream.read(MAX_BYTES + 1)
    return parse_csv(content, name)


def parse_csv(content: bytes, name: str) -> Sheet:
    """Read the bytes of a CSV file; see `read_csv`.

    Examples
    --------
    >>> parse_csv(b"source_id,kind\\nwho2024,article\\n", "sources.csv").rows
    ((2, ('who2024', 'article')),)
    """
    text = _text(content, name)
    records = _records(text, name)
    if not records or not any(records[0][1]):
        raise DataError("is empty", file=name, fix="Write a header row with the column names, then one row per line.")
    header = _header(records[0][1], name)
    return Sheet(name, content, header, tuple((row, cells) for row, cells in records[1:] if any(cells)))


def _text(content: bytes, name: str) -> str:
    for magic, what in _KNOWN_BINARY.items():
        if content.startswith(magic):
            raise DataError(f"{what}, not a CSV file", file=name, fix="Save the table as CSV (UTF-8) and load that.")
    if content.startswith(_UTF16):
        raise DataError("is encoded as UTF-16", file=name, fix="Save it as CSV (UTF-8).")
    if b"\x00" in content:
        row = content[: content.index(b"\x00")].count(b"\n") + 1
        raise DataError(
            "is a binary file (it holds a NUL byte)", file=name, row=row, fix="Save the table as CSV (UTF-8)."
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = content[: error.start].count(b"\n") + 1
        raise DataError(
            "is not UTF-8 text",
            file=name,
            row=row,
            value=content[error.start : error.start + 1].hex(),
            fix="Save it as CSV (UTF-8); older Excel writes another encoding.",
        ) from None


def _records(text: str, name: str) -> list[tuple[int, tuple[str, ...]]]:
    records: list[tuple[int, tuple[str, ...]]] = []
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for row, cells in enumerate(reader, start=1):
            if len(cells) > MAX_COLUMNS:
                raise DataError(f"has {len(cells)} cells; the limit is {MAX_COLUMNS}", file=name, row=row)
            if any(len(cell) > MAX_CELL for cell in cells):
                raise DataError(
                    f"holds a cell of more than {MAX_CELL:,} characters",
                    file=name,
                    row=row,
                    fix="A quotation mark may be missing its partner; keep long texts elsewhere.",
                )
            records.append((row, tuple(cell.strip() for cell in cells)))
    except csv.Error as error:
        raise DataError(
            f"cannot be read as CSV ({error})",
            file=name,
            row=len(records) + 1,
            fix='Close every quotation and write a quotation mark inside a cell twice ("").',
        ) from None
    return records


def _header(cells: tuple[str, ...], name: str) -> tuple[str, ...]:
    while cells and not cells[-1]:
        cells = cells[:-1]
    if len(cells) == 1:
        for mark, word in ((";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars")):
            if mark in cells[0]:
                raise DataError(
                    f"is separated by {word}, not by commas",
                    file=name,
                    row=1,
                    value=cells[0],
                    fix="Save it with commas and decimal points.",
                )
    seen: set[str] = set()
    for position, cell in enumerate(cells, start=1):
        if not cell:
            raise DataError(f"has no name for column {position}", file=name, row=1, fix="Name every column.")
        if cell.casefold() in seen:
            raise DataError("names a column twice", file=name, row=1, column=cell, fix="Give each column its own name.")
        seen.add(cell.casefold())
    return cells
