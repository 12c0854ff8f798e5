"""Templates to fill in: the evidence dictionary as an empty workbook or as CSV files, and a filled workbook read.

The workbook has a sheet for each table, lists to choose from in every column with a closed vocabulary, and the meaning
of each table on its first sheet. A filled one is read cell by cell as text, like CSV; a formula is refused, since what
it shows depends on the program that computes it.
"""

from __future__ import annotations

import csv
import datetime
import io
from typing import Any, get_args

from enthesis.errors import DataError
from enthesis.evidence.rows import TABLES, Table
from enthesis.evidence.sources.archive import read_archive
from enthesis.evidence.sources.csvfile import MAX_CELL, MAX_COLUMNS, Sheet

README, WORDS = "read me", "vocabulary"
#: rows of a sheet for which a list to choose from is offered
OFFERED = 5_000
MAX_ROWS = 200_000


def template() -> bytes:
    """An empty workbook of the evidence dictionary, as the bytes of an .xlsx file.

    Examples
    --------
    >>> [name for name, sheet in read_workbook(template(), "t.xlsx")]
    []
    """
    from openpyxl import Workbook
    from openpyxl.styles import Alignment, Font, PatternFill
    from openpyxl.utils import get_column_letter
    from openpyxl.worksheet.datavalidation import DataValidation

    book = Workbook()
    _readme(book.active)
    words = book.create_sheet(WORDS)
    listed: dict[tuple[str, ...], str] = {}
    needed = PatternFill("solid", fgColor="E3EDF7")
    for spec in TABLES.values():
        sheet = book.create_sheet(spec.name)
        sheet.freeze_panes = "A2"
        for at, column in enumerate(spec.columns, start=1):
            cell = sheet.cell(1, at, column)
            cell.font, cell.alignment = Font(bold=True), Alignment(vertical="top")
            if column in spec.required:
                cell.fill = needed
            letter = get_column_letter(at)
            sheet.column_dimensions[letter].width = min(max(len(column) + 3, 11), 34)
            options = choices(spec, column)
            if options:
                if options not in listed:
                    listed[options] = _list(words, options, len(listed) + 1, f"{spec.name}.{column}")
                rule = DataValidation(type="list", formula1=f"={listed[options]}", allow_blank=True)
                rule.error, rule.errorTitle = "Choose a word of the list.", "Not in the vocabulary"
                sheet.add_data_validation(rule)
                rule.add(f"{letter}2:{letter}{OFFERED}")
            elif column not in spec.numeric:  # text, so that a spreadsheet does not make dates of arm names
                sheet.column_dimensions[letter].number_format = "@"
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def csv_templates() -> dict[str, str]:
    """Empty CSV files of the dictionary, by file name, with a text file that says what each column may hold.

    Examples
    --------
    >>> csv_templates()["studies.csv"].split(",")[:2]
    ['study_id', 'nct_id']
    """
    files = {}
    for spec in TABLES.values():
        stream = io.StringIO(newline="")
        csv.writer(stream, lineterminator="\n").writerow(spec.columns)
        files[f"{spec.name}.csv"] = stream.getvalue()
    files["columns.txt"] = "\n".join(_meanings())
    return files


def choices(spec: Table, column: str) -> tuple[str, ...]:
    """The closed vocabulary of a column, the empty word left out; empty when it has none.

    Examples
    --------
    >>> choices(TABLES["studies"], "design")
    ('rct', 'extension', 'cohort', 'pooled')
    """
    words = _literal(spec.row.model_fields[column].annotation)
    return tuple(word for word in words if word)


def _literal(annotation: Any) -> tuple[str, ...]:
    words: list[str] = []
    for part in get_args(annotation):
        words += _literal(part) or ([part] if isinstance(part, str) else [])
    return tuple(words) if words and all(isinstance(word, str) for word in words) else ()


def _meanings() -> list[str]:
    lines = []
    for spec in TABLES.values():
        lines.append(f"{spec.name}: {_about(spec)}")
        for column in spec.columns:
            options = choices(spec, column)
            kind = " | ".join(options) if options else "number" if column in spec.numeric else "text"
            lines.append(f"  {column}{' (needed)' if column in spec.required else ''}: {kind}")
        lines.append("")
    return lines


def _readme(sheet: Any) -> None:
    sheet.title = README
    sheet.column_dimensions["A"].width, sheet.column_dimensions["B"].width = 18, 100
    lines = [
        ("Evidence", "One sheet per table. Shaded columns are needed in every row. An empty cell: not reported."),
        ("", "Every number names its source (source_id, a row of the sheet sources) and the place in it (locator)."),
        ("", "Import it with: enthesis import table FILE.xlsx --store FILE.sqlite"),
        ("", ""),
    ]
    for line in [*lines, *((spec.name, _about(spec)) for spec in TABLES.values())]:
        sheet.append(line)


def _about(spec: Table) -> str:
    return f"{(spec.row.__doc__ or '').splitlines()[0]} One row per {', '.join(spec.key)}."


def _list(sheet: Any, options: tuple[str, ...], at: int, title: str) -> str:
    from openpyxl.utils import get_column_letter

    letter = get_column_letter(at)
    sheet.cell(1, at, title)
    for row, word in enumerate(options, start=2):
        sheet.cell(row, at, word).data_type = "s"
    return f"'{WORDS}'!${letter}$2:${letter}${len(options) + 1}"


def read_workbook(content: bytes, name: str) -> list[tuple[str, Sheet]]:
    """The filled sheets of a workbook, each with the name of its table.

    Parameters
    ----------
    content : bytes
    name : str
        What messages call the file.

    Returns
    -------
    list of (str, Sheet)
        In the order of the dictionary; sheets without rows are left out.

    Raises
    ------
    DataError
        When it is not a workbook, hostile, holds a formula, or rows on a sheet that is no table.
    """
    from openpyxl import load_workbook

    parts = read_archive(content, name)
    if "[Content_Types].xml" not in parts:
        raise DataError("is not an Excel workbook (.xlsx)", file=name, fix="Save it as .xlsx, or give CSV files.")
    for part, raw in parts.items():
        plain = raw.replace(b"\x00", b"")
        if part.endswith((".xml", ".rels")) and (b"<!DOCTYPE" in plain or b"<!ENTITY" in plain):
            raise DataError(f"declares entities in {part[:60]!r}, which no workbook does", file=name)
    try:
        book = load_workbook(io.BytesIO(content), read_only=True, data_only=False, keep_links=False)
        sheets: dict[str, list[tuple[str, ...]]] = {}
        for sheet in book.worksheets:
            title = sheet.title.strip().casefold()
            if title in sheets:
                raise DataError(f"has two sheets {title[:60]!r}", file=name, fix="Put their rows on one sheet.")
            sheets[title] = _rows(sheet, name)
    except DataError:
        raise
    except Exception as problem:  # the reader fails in many ways on a damaged workbook, none of them documented
        what = f"cannot be read as a workbook ({type(problem).__name__})"
        raise DataError(what, file=name, fix="Open and save it again as .xlsx.") from None
    full = {title: rows for title, rows in sheets.items() if any(any(cells) for cells in rows[1:])}
    unknown = [title for title in full if title not in (*TABLES, README, WORDS)]
    if unknown:
        raise DataError(
            f"has rows on the sheet {unknown[0][:60]!r}, which is no table", file=name,
            fix=f"Rename it to one of: {', '.join(TABLES)}; or remove it.",
        )  # fmt: skip
    return [(table, _sheet(full[table], content, f"{name}:{table}")) for table in TABLES if table in full]


def _sheet(rows: list[tuple[str, ...]], content: bytes, name: str) -> Sheet:
    """A sheet of rows that are as wide as the header: a workbook leaves out what is empty at the end."""
    header = _header(rows[0], name)
    filled = [(at, cells) for at, cells in enumerate(rows[1:], start=2) if any(cells)]
    return Sheet(name, content, header, tuple((at, cells + ("",) * (len(header) - len(cells))) for at, cells in filled))


def _rows(sheet: Any, name: str) -> list[tuple[str, ...]]:
    sheet.reset_dimensions()  # what a workbook says of its size is not believed
    rows = []
    for number, row in enumerate(sheet.iter_rows(), start=1):
        if number > MAX_ROWS or len(row) > MAX_COLUMNS:
            raise DataError(f"has more than {MAX_ROWS:,} rows or {MAX_COLUMNS} columns", file=f"{name}:{sheet.title}")
        rows.append(tuple(_text(cell, f"{name}:{sheet.title[:40]}", number) for cell in row))
    return rows


def _text(cell: Any, file: str, row: int) -> str:
    value = cell.value
    if value is None:
        return ""
    if cell.data_type in ("f", "e"):
        what = "is a formula" if cell.data_type == "f" else "is an error of a formula"
        raise DataError(what, file=file, row=row, column=cell.column_letter, value=value, fix="Paste its value.")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value == int(value):
        return str(int(value))
    if isinstance(value, datetime.datetime | datetime.date):
        return value.isoformat()[:10]
    text = str(value).strip()
    if len(text) > MAX_CELL:
        raise DataError(f"holds more than {MAX_CELL:,} characters", file=file, row=row, column=cell.column_letter)
    return text


def _header(cells: tuple[str, ...], file: str) -> tuple[str, ...]:
    while cells and not cells[-1]:
        cells = cells[:-1]
    for at, cell in enumerate(cells, start=1):
        if not cell:
            raise DataError(f"has no name for column {at}", file=file, row=1, fix="Name every column.")
        if cell.casefold() in (before.casefold() for before in cells[: at - 1]):
            raise DataError("names a column twice", file=file, row=1, column=cell, fix="Give each its own name.")
    return cells


__all__ = ["choices", "csv_templates", "read_workbook", "template"]
