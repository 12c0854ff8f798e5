"""The summary of findings as a file: a page of Word, a sheet, or a web page that needs nothing else.

Text from data is written as text: Word has no formulas, sheets get `safe_text`, pages are escaped by the renderer.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enthesis.errors import UsageError
from enthesis.report.export import safe_text, write_bytes
from enthesis.report.render.svg import specification
from enthesis.report.values import (
    Block,
    Cell,
    Column,
    Document,
    Figure,
    Folded,
    Row,
    Section,
    Strong,
    Table,
    Text,
)

if TYPE_CHECKING:
    from enthesis.report.summary_of_findings import SummaryOfFindings

ENDINGS = (".docx", ".xlsx", ".html")
#: shades behind certainty, from high to very low
SHADES = {"high": "D8EDE6", "moderate": "E6F1DC", "low": "FBF0D0", "very low": "F6DCD8"}
_HEAD, _FOCUS = "E3E9F0", "F3F6FA"
#: relative widths of the columns; the last takes what is left
_WIDTHS = (3.2, 3.0, 1.6, 2.9, 3.5, 3.6, 2.0)


def save_summary(summary: SummaryOfFindings, path: str | Path) -> Path:
    """Write a summary of findings to a file.

    Parameters
    ----------
    summary : SummaryOfFindings
    path : path
        Ends in .docx, .xlsx or .html.

    Returns
    -------
    Path

    Raises
    ------
    UsageError
        For another ending, or a folder that does not exist.
    """
    path = Path(path)
    writers: dict[str, Callable[[SummaryOfFindings], bytes]] = {".docx": _docx, ".xlsx": _xlsx, ".html": _html}
    writer = writers.get(path.suffix.lower())
    if writer is None:
        raise UsageError(f"{str(path)!r} must end in {', '.join(ENDINGS)}: the ending says what is written.")
    if not path.parent.is_dir():
        raise UsageError(f"the folder of {str(path)!r} does not exist: make it, or name another file.")
    write_bytes(path, writer(summary))
    return path


def _geometry(summary: SummaryOfFindings) -> bytes:
    import vl_convert

    from enthesis.report.plots import network_graph

    spec = specification(lambda: network_graph.chart(summary.geometry, **summary.geometry_options))
    _enlarge(spec)
    return vl_convert.vegalite_to_png(spec, scale=2.0, allowed_base_urls=[])


def _enlarge(spec: Any) -> None:
    """Larger letters: the figure is printed at a third of its size. Classes are named in the table, so no legend."""
    if isinstance(spec, list):
        for part in spec:
            _enlarge(part)
    elif isinstance(spec, dict):
        for name, value in spec.items():
            if name == "fontSize" and isinstance(value, int | float):
                spec[name] = 1.9 * value
            elif name == "color" and isinstance(value, dict) and "scale" in value:
                value["legend"] = None
            _enlarge(value)


def _printable(text: str) -> str:
    return "".join(mark if mark.isprintable() or mark == "\n" else " " for mark in text)


def _docx(summary: SummaryOfFindings) -> bytes:
    from docx import Document as Word
    from docx.enum.section import WD_ORIENT
    from docx.shared import Cm, Pt

    word = Word()
    section = word.sections[0]
    section.orientation = WD_ORIENT.LANDSCAPE
    section.page_width, section.page_height = Cm(29.7), Cm(21.0)
    section.left_margin = section.right_margin = Cm(1.4)
    section.top_margin = section.bottom_margin = Cm(1.2)
    normal = word.styles["Normal"]
    # the page holds about nine lines of 8 points; more lines are set smaller, so that it stays one page
    many = len(summary.lines)
    normal.font.name, normal.font.size = "Arial", Pt(8 if many <= 9 else 7.5 if many <= 12 else 6.5)
    normal.paragraph_format.space_after = normal.paragraph_format.space_before = Pt(0)
    word.core_properties.title = _printable(summary.title)
    word.core_properties.author = "enthesis"
    head = word.add_paragraph()
    run = head.add_run(_printable(summary.title))
    run.bold, run.font.size = True, Pt(13)
    head.paragraph_format.space_after = Pt(3)
    _pico(word, summary)
    _findings(word, summary)
    for letter, text in summary.footnotes:
        note = word.add_paragraph()
        mark = note.add_run(f"{letter}  ")
        mark.bold = True
        _small(mark, note.add_run(_printable(text)))
    for number, text in enumerate(summary.explanations):
        note = word.add_paragraph()
        if number == 0:
            note.paragraph_format.space_before = Pt(3)
        _small(note.add_run(_printable(text)))
    stream = io.BytesIO()
    word.save(stream)
    return stream.getvalue()


def _small(*runs: Any, points: float = 7.0) -> None:
    from docx.shared import Pt

    for run in runs:
        run.font.size = Pt(points)


def _pico(word: Any, summary: SummaryOfFindings) -> None:
    """The question at the left, the geometry at the right."""
    from docx.shared import Cm, Pt

    grid = word.add_table(rows=1, cols=2)
    grid.autofit = False
    left, right = grid.rows[0].cells
    for at, width in enumerate((18.6, 8.3)):
        grid.columns[at].width = Cm(width)
        grid.rows[0].cells[at].width = Cm(width)
    first = True
    for name, text in summary.pico:
        line = left.paragraphs[0] if first else left.add_paragraph()
        first = False
        bold = line.add_run(f"{name}: ")
        bold.bold = True
        rest = line.add_run(_printable(text))
        bold.font.size = rest.font.size = Pt(9)
        line.paragraph_format.space_after = Pt(2)
    right.paragraphs[0].add_run().add_picture(
        io.BytesIO(_geometry(summary)), height=Cm(5.0 if len(summary.lines) <= 12 else 4.2)
    )
    _describe(right, f"Network of treatments: {len(summary.lines)} treatments and {summary.comparator}.")
    right.paragraphs[0].alignment = 2


def _describe(cell: Any, text: str) -> None:
    """The picture's text alternative."""
    from docx.oxml.ns import qn

    for mark in cell._tc.iter(qn("wp:docPr")):
        mark.set("descr", text)


def _findings(word: Any, summary: SummaryOfFindings) -> None:
    from docx.shared import Cm, Pt

    headings = summary.headings
    widths = list(_WIDTHS if summary.counted else (_WIDTHS[0], 3.4, *_WIDTHS[5:]))
    widths.append(26.9 - sum(widths))
    absolute = summary.counted
    size = word.styles["Normal"].font.size.pt
    grid = word.add_table(rows=(2 if absolute else 1) + len(summary.lines), cols=len(headings))
    grid.style = "Table Grid"
    grid.autofit = False
    top = grid.rows[0].cells
    rows = 2 if absolute else 1
    for at, title in enumerate(headings):
        if absolute and 2 <= at <= 4:
            _write(grid.rows[1].cells[at], title, bold=True, shade=_HEAD)
            continue
        cell = top[at].merge(grid.rows[1].cells[at]) if absolute else top[at]
        _write(cell, title, bold=True, shade=_HEAD)
    if absolute:
        title = f"{summary.outcome[:1].upper()}{summary.outcome[1:]} per 1,000 patients (95 % interval)"
        _write(top[2].merge(top[4]), title, bold=True, shade=_HEAD)
    for at, line in enumerate(summary.lines):
        cells = grid.rows[rows + at].cells
        texts = summary.cells(line)
        for i, text in enumerate(texts):
            certain = i == len(texts) - 3
            shade = SHADES[line.certainty] if certain else _FOCUS if line.strong else ""
            name, _, rest = text.partition("\n") if i == 0 else (text, "", "")
            _write(cells[i], name, bold=i == 0 or (certain and line.strong), shade=shade)
            if rest:
                _small(cells[i].add_paragraph().add_run(_printable(rest)), points=min(7.0, size))
    for at, width in enumerate(widths):
        grid.columns[at].width = Cm(width)
        for row in grid.rows:
            row.cells[at].width = Cm(width)
    for row in grid.rows[:rows]:
        _mark(row, "tblHeader")
    for row in grid.rows:
        _mark(row, "cantSplit")
    word.add_paragraph().paragraph_format.line_spacing = Pt(4)


def _write(cell: Any, text: str, *, bold: bool = False, shade: str = "") -> None:
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    paragraph = cell.paragraphs[0]
    for extra in cell.paragraphs[1:]:
        extra._p.getparent().remove(extra._p)
    run = paragraph.add_run(_printable(text))
    run.bold = bold
    if shade:
        fill = OxmlElement("w:shd")
        for name, value in (("val", "clear"), ("color", "auto"), ("fill", shade)):
            fill.set(qn(f"w:{name}"), value)
        cell._tc.get_or_add_tcPr().append(fill)


def _mark(row: Any, name: str) -> None:
    """Repeat a header row on every page, or keep a row on one."""
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    mark = OxmlElement(f"w:{name}")
    mark.set(qn("w:val"), "true")
    row._tr.get_or_add_trPr().append(mark)


def _xlsx(summary: SummaryOfFindings) -> bytes:
    from openpyxl import Workbook
    from openpyxl.styles import Alignment, Border, Font, PatternFill, Side
    from openpyxl.utils import get_column_letter

    book = Workbook()
    sheet = book.active
    sheet.title = "Summary of findings"
    sheet.page_setup.orientation, sheet.page_setup.fitToWidth, sheet.page_setup.fitToHeight = "landscape", 1, 0
    sheet.sheet_properties.pageSetUpPr.fitToPage = True
    wrap = Alignment(wrap_text=True, vertical="top")
    thin = Side(style="thin", color="B8C2CE")
    box = Border(left=thin, right=thin, top=thin, bottom=thin)

    def put(row: int, column: int, text: str, **style: Any) -> Any:
        cell = sheet.cell(row=row, column=column, value=safe_text(text))
        cell.data_type = "s"
        cell.alignment = wrap
        for name, value in style.items():
            setattr(cell, name, value)
        return cell

    width = len(summary.headings)
    put(1, 1, summary.title, font=Font(bold=True, size=14))
    sheet.merge_cells(start_row=1, start_column=1, end_row=1, end_column=width)
    row = 2
    for name, text in summary.pico:
        put(row, 1, name, font=Font(bold=True))
        put(row, 2, text)
        sheet.merge_cells(start_row=row, start_column=2, end_row=row, end_column=width - 1)
        sheet.row_dimensions[row].height = 16 * (1 + len(text) // 120)
        row += 1
    row += 1
    for at, title in enumerate(summary.headings, start=1):
        title = f"{summary.outcome} per 1,000: {title}" if summary.counted and 3 <= at <= 5 else title
        put(row, at, title, font=Font(bold=True), fill=PatternFill("solid", fgColor=_HEAD), border=box)
    sheet.freeze_panes = sheet.cell(row=row + 1, column=2)
    for line in summary.lines:
        row += 1
        texts = summary.cells(line)
        for at, text in enumerate(texts, start=1):
            cell = put(row, at, text, border=box)
            if at == len(texts) - 2:
                cell.fill = PatternFill("solid", fgColor=SHADES[line.certainty])
        sheet.row_dimensions[row].height = 46
    row += 2
    for text in [*(f"{letter}  {text}" for letter, text in summary.footnotes), *summary.explanations]:
        put(row, 1, text, font=Font(size=9))
        sheet.merge_cells(start_row=row, start_column=1, end_row=row, end_column=width)
        sheet.row_dimensions[row].height = 13 * (1 + len(text) // 150)
        row += 1
    widths = (26, 22, 14, 22, 24, 20, 16, 46) if summary.counted else (26, 24, 20, 16, 60)
    for at, size in enumerate(widths, start=1):
        sheet.column_dimensions[get_column_letter(at)].width = size
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def _html(summary: SummaryOfFindings) -> bytes:
    from enthesis.report.render.html import render

    return render(summary_document(summary)).encode("utf-8")


def summary_document(summary: SummaryOfFindings) -> Document:
    """The page as a document, which every renderer can draw."""
    return Document(title=summary.title, facts=summary.pico, sections=(summary_section(summary, nav=False),))


def summary_section(summary: SummaryOfFindings, *, id: str = "sof", nav: bool = True) -> Section:
    """The table with its notes as a section of a document."""
    tones = {"high": 3, "moderate": 1, "low": -1, "very low": -3}
    rows = []
    for line in summary.lines:
        texts = summary.cells(line)
        absolute = [Cell((line.with_it,)), Cell((line.difference,))] if summary.counted else []
        cells = [Cell((line.treatment,)), Cell((line.interpretation,)), Cell((texts[-3],), tone=tones[line.certainty]),
                 Cell((line.relative,)), *absolute, Cell((line.rank,))]  # fmt: skip
        rows.append(Row(tuple(cells), strong=line.strong))
    columns = [Column("Treatment"), Column("Interpretation", "long"), Column("Certainty"),
               Column(f"{summary.measure} (95 % interval)", "number")]  # fmt: skip
    if summary.counted:
        base = next((line.without for line in summary.lines if line.without), "–")
        columns.append(Column(f"Per 1,000 ({base} with {summary.comparator})", "number"))
        columns.append(Column("Difference per 1,000"))
    columns.append(Column("Mean rank (95 %)", "number"))
    table = Table(id=f"{id}.table", caption=summary.title, columns=tuple(columns), rows=tuple(rows))
    notes: tuple[Block, ...] = tuple(Text((Strong(f"{a}  "), text), kind="note") for a, text in summary.footnotes)
    notes += tuple(Text((text,), kind="note") for text in summary.explanations)
    figure = Figure(id=f"{id}.network", plot="network_graph", table=summary.geometry, options=summary.geometry_options,
                    caption="Treatments as circles sized by patients, comparisons as lines as thick as they have "
                    "studies.")  # fmt: skip
    return Section(id=id, title="Summary of findings", nav=nav,
                   blocks=(table, *notes, Folded(title="The network", blocks=(figure,))))  # fmt: skip
