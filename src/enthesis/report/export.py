"""A table to a file that people open: CSV, XLSX or DOCX by the ending of its name.

Spreadsheets run text that starts with = + - @, a tab or a line end as a formula (CWE-1236). Such text gets an
apostrophe in front, which a spreadsheet shows as text; numbers are written as numbers and never touched, so -1.5 stays
-1.5. Text cells of XLSX are also typed as text. A missing value is an empty cell. Files are written whole, or not.
"""

from __future__ import annotations

import csv
import io
import math
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from enthesis.errors import UsageError
from enthesis.report.wording import MINUS, number

if TYPE_CHECKING:
    import pandas as pd

#: what makes a spreadsheet read text as a formula, when it comes first
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
#: the most rows and columns that a sheet can hold
SHEET_ROWS, SHEET_COLUMNS = 1_048_576, 16_384
#: the most text that a cell can hold
CELL_TEXT = 32_767
#: rows beyond this make a word processor unusable; the other two formats hold them
DOCUMENT_ROWS = 5_000


def export(table: pd.DataFrame, path: str | Path, *, title: str = "") -> Path:
    """Write a table to a file.

    Parameters
    ----------
    table : pandas.DataFrame
        Numbers, text, booleans, dates or missing values; the index is not written.
    path : path
        Ends in .csv, .xlsx or .docx.
    title : str
        Heading of the document, name of the sheet; not in CSV.

    Returns
    -------
    Path

    Raises
    ------
    UsageError
        For another ending, a folder that does not exist, more rows than the format can hold, or (for .docx) when
        python-docx is not installed.

    Examples
    --------
    >>> import tempfile, pandas as pd
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = export(pd.DataFrame({"treatment": ["=1+1"], "effect": [-0.5]}), Path(folder) / "t.csv")
    ...     path.read_text(encoding="utf-8-sig").splitlines()[1]
    "'=1+1,-0.5"
    """
    path = Path(path)
    writers: dict[str, Callable[[pd.DataFrame, str], bytes]] = {".csv": _csv, ".xlsx": _xlsx, ".docx": _docx}
    writer = writers.get(path.suffix.lower())
    if writer is None:
        raise UsageError(f"{str(path)!r} must end in {', '.join(writers)}: the ending says what is written.")
    if not path.parent.is_dir():
        raise UsageError(f"the folder of {str(path)!r} does not exist: make it, or name another file.")
    write_bytes(path, writer(table, title))
    return path


def safe_text(text: str) -> str:
    """Text that no spreadsheet runs: an apostrophe before a character that starts a formula, control characters gone.

    Examples
    --------
    >>> safe_text("=cmd()"), safe_text("placebo"), safe_text("'=x")
    ("'=cmd()", 'placebo', "'=x")
    """
    kept = "".join(mark for mark in text if mark in "\t\n\r" or mark.isprintable())
    bare = kept.lstrip(" \u00a0\ufeff")
    return "'" + kept if bare.startswith(FORMULA_STARTS) else kept


def _cell(value: Any) -> str | float | int | bool | None:
    """A value as something that every format can hold: text, a finite number, a truth value or None."""
    if value is None:
        return None
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        if math.isfinite(value):
            return float(value)
        return None if math.isnan(value) else ("infinite" if value > 0 else "minus infinite")
    if isinstance(value, list | tuple | set | frozenset | np.ndarray):
        return safe_text("; ".join(str(item) for item in value))
    text = str(value)
    return None if text in ("NaT", "<NA>") else safe_text(text)


def _rows(table: pd.DataFrame) -> list[list[Any]]:
    columns = [table.iloc[:, i].tolist() for i in range(table.shape[1])]
    return [[_cell(value) for value in row] for row in zip(*columns, strict=True)]


def _header(table: pd.DataFrame) -> list[str]:
    return [safe_text(str(column)) for column in table.columns]


def _csv(table: pd.DataFrame, title: str) -> bytes:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(_header(table))
    for row in _rows(table):
        writer.writerow(["" if cell is None else repr(cell) if isinstance(cell, float) else cell for cell in row])
    return stream.getvalue().encode("utf-8-sig")  # the mark tells a spreadsheet that it is UTF-8


def _xlsx(table: pd.DataFrame, title: str) -> bytes:
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.styles import Font

    if len(table) >= SHEET_ROWS or table.shape[1] > SHEET_COLUMNS:
        raise UsageError(
            f"a sheet holds {SHEET_ROWS - 1:,} rows and {SHEET_COLUMNS:,} columns, and the table has {len(table):,} "
            f"and {table.shape[1]:,}. Write a .csv file."
        )
    book = Workbook(write_only=True)
    sheet = book.create_sheet(_sheet_name(title))
    sheet.freeze_panes = "A2"

    def cell(value: Any, bold: bool = False) -> Any:
        if isinstance(value, str):
            made = WriteOnlyCell(sheet, value=value[:CELL_TEXT])
            made.data_type = "s"  # text, whatever it starts with
        else:
            made = WriteOnlyCell(sheet, value=value)
        if bold:
            made.font = Font(bold=True)
        return made

    rows = _rows(table)
    for i, name in enumerate(_header(table)):
        widest = max([len(name), *(len(str(row[i])) for row in rows[:500] if row[i] is not None)])
        sheet.column_dimensions[_letters(i)].width = min(max(widest + 2, 9), 60)
    sheet.append([cell(name, bold=True) for name in _header(table)])
    for row in rows:
        sheet.append([cell(value) for value in row])
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def _letters(position: int) -> str:
    from openpyxl.utils import get_column_letter

    return get_column_letter(position + 1)


def _sheet_name(title: str) -> str:
    kept = "".join(mark for mark in title if mark.isprintable() and mark not in "[]:*?/\\'")
    return kept[:31].strip() or "table"


def _docx(table: pd.DataFrame, title: str) -> bytes:
    try:
        from docx import Document
        from docx.enum.section import WD_ORIENT
        from docx.shared import Pt
    except ImportError:
        raise UsageError(
            "a .docx file needs python-docx, which is missing here: install it, or write .csv or .xlsx."
        ) from None
    if len(table) > DOCUMENT_ROWS:
        raise UsageError(f"a document holds at most {DOCUMENT_ROWS:,} rows, not {len(table):,}. Write .csv or .xlsx.")
    document = Document()
    section = document.sections[0]
    if table.shape[1] > 6:
        section.orientation = WD_ORIENT.LANDSCAPE
        section.page_width, section.page_height = section.page_height, section.page_width
    if title:
        document.add_heading(_printable(title), level=1)
    texts = [[_printable(str(c)) for c in table.columns], *_shown_rows(table)]
    grid = document.add_table(rows=len(texts), cols=max(table.shape[1], 1))
    grid.style = "Light List"
    grid.style.font.size = Pt(8)
    cells = iter(grid._cells)  # one walk over the table; asking each row for its cells walks it again every time
    for row in texts:
        for text in row:
            next(cells).text = text
    _repeat(grid.rows[0])
    stream = io.BytesIO()
    document.save(stream)
    return stream.getvalue()


def _shown_rows(table: pd.DataFrame) -> list[list[str]]:
    columns = [table.iloc[:, i].tolist() for i in range(table.shape[1])]
    return [[_shown(value) for value in row] for row in zip(*columns, strict=True)]


def _shown(value: Any) -> str:
    """A value as a reader wants it: numbers rounded; a document has no formulas, so text stays as it is."""
    if isinstance(value, float | np.floating) and not isinstance(value, bool):
        if not math.isfinite(value):
            return "" if math.isnan(value) else "∞" if value > 0 else f"{MINUS}∞"
        return number(float(value)) if abs(value) <= 1000 else f"{value:,.0f}".replace("-", MINUS)
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, list | tuple | set | frozenset | np.ndarray):
        return _printable("; ".join(str(item) for item in value))
    return "" if value is None or str(value) in ("NaT", "<NA>") else _printable(str(value))


def _printable(text: str) -> str:
    """Text that XML can hold."""
    return "".join(mark if mark.isprintable() or mark == "\n" else " " for mark in text)


def _repeat(row: Any) -> None:
    """The header row again on every page."""
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    mark = OxmlElement("w:tblHeader")
    mark.set(qn("w:val"), "true")
    row._tr.get_or_add_trPr().append(mark)


def write_bytes(path: Path, raw: bytes) -> None:
    """Write a file so that it holds either the old or the new bytes, never a part."""
    if path.exists() and not path.is_file():  # a device or a pipe
        path.write_bytes(raw)
        return
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:50]}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(raw)
        mask = os.umask(0)
        os.umask(mask)
        Path(temporary).chmod(0o666 & ~mask)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
