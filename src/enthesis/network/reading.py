"""A user's table as text cells with the row each one stands in.

Everything is read as text, so that the reader of numbers can name the exact cell it cannot use. A file is bounded
before it is opened, and its delimiter, encoding and decimal sign are found from the file itself. `row` is always the
row a spreadsheet shows: the header is row 1. A data frame or list of records counts the same way (its first record
is row 2).
"""

from __future__ import annotations

import csv
import io
import math
import numbers as abstract_numbers
import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from enthesis.errors import DataError, UsageError
from enthesis.network.ledger import Entry

#: a table of studies is kilobytes; 200 MB is a wrong file, and reading it could take all memory
MAX_BYTES = 200_000_000
#: rows and columns beyond these are a wrong file too
MAX_ROWS = 1_000_000
MAX_COLUMNS = 2_000
#: letters in one cell
MAX_CELL = 131_072
#: first bytes of files that are often sent instead of a text table
_MAGIC = (
    (b"PK\x03\x04", "a spreadsheet or zip file (xlsx, ods, docx)"),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Word file"),
    (b"%PDF", "a PDF"),
    (b"\x1f\x8b", "a gzip file"),
    (b"PAR1", "a Parquet file"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"SQLite format 3", "a database"),
    (b"RDX", "an R data file"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ", "an xz file"),
)  # fmt: skip
_SAVE_AS_CSV = "Save the table as CSV (UTF-8) and give that file."
_BUGS_INDEX = re.compile(r"\[\s*,?\s*(\d*)\s*\]")
#: what the eye cannot see: zero-width characters, byte-order marks, soft hyphens, and marks that turn the direction of
#: writing, with which a name could be shown as another
_INVISIBLE = dict.fromkeys(
    map(
        ord,
        "\u200b\u200c\u200d\u2060\ufeff\u00ad\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",
    )
)


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A table as text.

    Parameters
    ----------
    file : str
        What messages call the table: the file's name, or `table`.
    header : tuple of str
        Column names as written, without outer spaces.
    columns : tuple of sequences of str
        The cells of each column as written; an empty cell is "".
    lines : sequence of int
        The row of each record as a spreadsheet shows it.
    delimiter : str
        Of the file; empty for a data frame.
    notes : tuple of Entry
        What a reader of the ledger should know about the reading.
    """

    file: str
    header: tuple[str, ...]
    columns: tuple[Sequence[str], ...]
    lines: Sequence[int]
    delimiter: str = ""
    notes: tuple[Entry, ...] = ()

    @cached_property
    def _position(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.header)}

    def cells(self, name: str) -> Sequence[str]:
        """The cells of the column of that name."""
        return self.columns[self._position[name]]

    def __len__(self) -> int:
        return len(self.lines)

    def error(self, what: str, position: int, column: str, value: object, fix: str) -> DataError:
        """A DataError that names the cell at that record."""
        return DataError(what, file=self.file, row=int(self.lines[position]), column=column, value=value, fix=fix)


def read_table(table: Any) -> Sheet:
    """A table of any accepted kind as text cells.

    Parameters
    ----------
    table : path, data frame, mapping of columns, or list of records
        A path to delimited text (comma, semicolon, tab, bar; UTF-8, UTF-16 or Latin-1), a pandas, Polars or Arrow
        table, a dictionary of columns, or a list of dictionaries.

    Returns
    -------
    Sheet

    Raises
    ------
    DataError
        When the table cannot be read as it stands; the message says where and what to do.

    Examples
    --------
    >>> sheet = read_table([{"study": "A", "n": 10}, {"study": "B", "n": None}])
    >>> sheet.header, list(sheet.cells("n")), list(sheet.lines)
    (('study', 'n'), ['10', ''], [2, 3])
    """
    if isinstance(table, Sheet):
        return table
    if isinstance(table, str | Path):
        return _from_file(Path(table))
    if isinstance(table, Mapping):
        return _from_columns({str(k): _listed(k, v) for k, v in table.items()})
    if isinstance(table, Sequence) and all(isinstance(row, Mapping) for row in table):
        names = list(dict.fromkeys(name for row in table for name in row))
        return _from_columns({str(name): [row.get(name) for row in table] for name in names})
    return _from_frame(table)


def _from_file(path: Path) -> Sheet:
    return parse_text(_bounded(path), path.name)


def _bounded(path: Path) -> bytes:
    name = path.name or str(path)
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise DataError("there is no such file", file=name, fix="Check the path of the table.") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        raise DataError(f"cannot be opened ({why})", file=name, fix="Check the path.") from None
    if stat.S_ISDIR(found.st_mode):
        raise DataError("is a folder, not a table", file=name, fix="Give the path of one CSV file.")
    if not stat.S_ISREG(found.st_mode):
        raise DataError("is not an ordinary file", file=name, fix="Save the table as a CSV file and give its path.")
    if found.st_size > MAX_BYTES:
        raise DataError(
            f"has {found.st_size / 1e6:,.0f} MB; tables of up to {MAX_BYTES / 1e6:,.0f} MB are read",
            file=name, fix="Is it the right file? Keep only the columns and rows of the analysis.",
        )  # fmt: skip
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise DataError(
            f"cannot be read ({error.strerror or type(error).__name__})", file=name, fix="Check its permissions."
        ) from None
    if len(raw) > MAX_BYTES:  # it grew between the look and the reading
        raise DataError("is too large", file=name, fix="Keep only the columns and rows of the analysis.")
    return raw


def parse_text(raw: bytes, name: str = "table") -> Sheet:
    """The bytes of a delimited text file as a table.

    Parameters
    ----------
    raw : bytes
    name : str
        What messages call the file.

    Returns
    -------
    Sheet

    Examples
    --------
    >>> parse_text(b"study;mean\\nA;1,5\\n", "t.csv").cells("mean")
    ('1,5',)
    """
    text, notes = _decoded(raw, name)
    text, first, hinted = _without_hint(text)
    text, head = _plain_bugs_header(text)
    delimiter = hinted or _delimiter(head)
    records = _records(text, delimiter, name, first)
    return _sheet(records, delimiter, name, notes)


def _decoded(raw: bytes, name: str) -> tuple[str, tuple[Entry, ...]]:
    for magic, what in _MAGIC:
        if raw.startswith(magic):
            raise DataError(f"is {what}, not a text table", file=name, fix=_SAVE_AS_CSV)
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return raw.decode("utf-16"), ()
        except UnicodeDecodeError:
            raise DataError("starts like UTF-16 but is not", file=name, fix=_SAVE_AS_CSV) from None
    if b"\x00" in raw:
        row = raw[: raw.index(b"\x00")].count(b"\n") + 1
        raise DataError("holds a NUL byte, so it is not a text table", file=name, row=row, fix=_SAVE_AS_CSV)
    try:
        return raw.decode("utf-8-sig"), ()
    except UnicodeDecodeError as error:
        row = raw[: error.start].count(b"\n") + 1
        controls = sum(raw.count(bytes([c])) for c in range(32) if c not in (9, 10, 12, 13))
        if controls:
            raise DataError("holds control bytes, so it is not a text table", file=name, row=row,
                            fix=_SAVE_AS_CSV) from None  # fmt: skip
        note = Entry(
            action="note", rule="encoding",
            reason=f"{name} is not UTF-8 (first at row {row}); its letters were read as Latin-1 (Windows-1252). "
                   "Check names with accents, or save the table as UTF-8.",
        )  # fmt: skip
        return raw.decode("cp1252", errors="replace"), (note,)


def _without_hint(text: str) -> tuple[str, int, str]:
    """The text without Excel's `sep=;` line, the row it begins at, and the delimiter that line gave."""
    hint = re.match(r'\ufeff?"?sep=([,;|\t])"?\r?\n', text, flags=re.IGNORECASE)
    return (text[hint.end() :], 2, hint[1]) if hint else (text, 1, "")


def _plain_bugs_header(text: str) -> tuple[str, str]:
    """The text with `t[,1]` in its first line written `t.1`, as its comma is no delimiter; and that first line."""
    lead = len(text) - len(text.lstrip("\r\n"))
    end = re.compile(r"[\r\n]|$").search(text, lead).start()
    head = _BUGS_INDEX.sub(lambda m: f".{m[1]}" if m[1] else "", text[lead:end])
    return text[:lead] + head + text[end:], head


def _delimiter(head: str) -> str:
    """The delimiter that is most frequent in the header outside quotes."""
    bare = re.sub(r'"[^"]*"', "", head)
    best = max("\t;|,", key=bare.count)
    if bare.count(best) == 0:
        return " " if len(bare.split()) > 2 else ","
    return best


def _records(text: str, delimiter: str, name: str, first: int) -> list[tuple[int, list[str]]]:
    if delimiter == " ":  # aligned listings, as WinBUGS prints them
        text = re.sub(r"[ \t]+", " ", re.sub(r"(?m)^[ \t]+|[ \t]+$", "", text))
        text = re.sub(r"(?mi)^END$", "", text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
    records: list[tuple[int, list[str]]] = []
    row = first - 1
    try:
        for row, record in enumerate(reader, first):
            if len(records) > MAX_ROWS:
                raise DataError(f"has more than {MAX_ROWS:,} rows", file=name, fix="Is it the right file?")
            if "".join(record).strip():
                records.append((row, record))
    except csv.Error as error:
        what = (
            "a quotation mark is opened and not closed as it should be"
            if "limit" not in str(error)
            else f"a cell has more than {MAX_CELL:,} letters"
        )
        fix = 'Look at the quotation marks from this row on; write a quote inside a cell as "".'
        raise DataError(what, file=name, row=row + 1, fix=fix) from None
    return records


def _sheet(records: list[tuple[int, list[str]]], delimiter: str, name: str, notes: tuple[Entry, ...]) -> Sheet:
    if not records:
        raise DataError("the file is empty", file=name, fix="Give a table with a header row and one row per arm.")
    head_row, head = records[0]
    header = [tidy(cell) for cell in head]
    while header and not header[-1]:
        header.pop()
    width = len(header)
    if width > MAX_COLUMNS:
        raise DataError(f"has {width:,} columns; {MAX_COLUMNS:,} are read", file=name, fix="Is it the right file?")
    lines, body = [], []
    for row, record in records[1:]:
        if len(record) != width:
            if len(record) > width and not any(cell.strip() for cell in record[width:]):
                record = record[:width]
            else:
                _refuse_ragged(name, row, record, width, delimiter)
        lines.append(row)
        body.append(record)
    if not body:
        raise DataError("has a header and no rows", file=name, row=head_row, fix="Give one row per arm or contrast.")
    columns = tuple(zip(*body, strict=True))
    return _checked(Sheet(file=name, header=tuple(header), columns=columns, lines=lines, delimiter=delimiter,
                          notes=notes), head_row)  # fmt: skip


def _refuse_ragged(name: str, row: int, record: list[str], width: int, delimiter: str) -> None:
    fix = "Give every row the same number of cells as the header, and quote text that holds the delimiter."
    if delimiter == "," and len(record) > width:
        fix += " If numbers have decimal commas, separate the columns with semicolons."
    raise DataError(f"has {len(record)} cells where the header has {width} columns", file=name, row=row, fix=fix)


def _checked(sheet: Sheet, head_row: int = 1) -> Sheet:
    """The sheet, with unnamed columns named by their position, once no name stands twice."""
    seen: dict[str, int] = {}
    header = []
    for i, name in enumerate(sheet.header, 1):
        if not name:
            name = f"(unnamed column {i})"
        elif name in seen:
            raise DataError(f"columns {seen[name]} and {i} have the same name", file=sheet.file, row=head_row,
                            column=name, fix="Give each column its own name.")  # fmt: skip
        seen[name] = i
        header.append(name)
    return Sheet(file=sheet.file, header=tuple(header), columns=sheet.columns, lines=sheet.lines,
                 delimiter=sheet.delimiter, notes=sheet.notes)  # fmt: skip


def tidy(text: str) -> str:
    """The text without outer spaces and characters that cannot be seen."""
    return text.translate(_INVISIBLE).strip()


def _listed(name: object, values: Any) -> list:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise UsageError(f"column {name!r} of the table is not a list of values")
    return list(values)


def _from_frame(frame: Any) -> Sheet:
    import narwhals as nw

    try:
        native = nw.from_native(frame, eager_only=True)
    except TypeError:
        raise UsageError(
            f"a table cannot be read from {type(frame).__name__}; give a path, a data frame or a list of dictionaries"
        ) from None
    return _from_columns({str(name): native[name].to_list() for name in native.columns})


def _from_columns(columns: dict[str, list]) -> Sheet:
    sizes = {len(v) for v in columns.values()}
    if not columns or sizes == {0}:
        raise DataError("the table is empty", fix="Give a table with one row per arm or contrast.")
    if len(sizes) > 1:
        raise DataError("the columns have different lengths", fix="Give every column one value per row.")
    if max(sizes) > MAX_ROWS:
        raise DataError(f"the table has more than {MAX_ROWS:,} rows", fix="Is it the right table?")
    texts = [tuple(map(cell_text, column)) for column in columns.values()]
    keep = [i for i, row in enumerate(zip(*texts, strict=True)) if "".join(row).strip()]
    if not keep:
        raise DataError("the table is empty", fix="Give a table with one row per arm or contrast.")
    return _checked(
        Sheet(
            file="table",
            header=tuple(tidy(name) for name in columns),
            columns=tuple(tuple(column[i] for i in keep) for column in texts),
            lines=[i + 2 for i in keep],
        )
    )


def cell_text(value: Any) -> str:
    """A cell of a data frame as a spreadsheet would write it; missing is "".

    Examples
    --------
    >>> cell_text(3.0), cell_text(0.1), cell_text(float("nan")), cell_text("x")
    ('3', '0.1', '', 'x')
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return value[:MAX_CELL]
    if isinstance(value, bool) or not isinstance(value, abstract_numbers.Real):
        text = str(value)
        return "" if text in ("<NA>", "NaT", "nan", "None") else text[:MAX_CELL]
    try:
        number = float(value)
    except OverflowError:  # a whole number beyond any float: whoever reads the text says so
        return str(value)[:MAX_CELL]
    if math.isnan(number):
        return ""
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)
