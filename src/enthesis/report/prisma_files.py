"""PRISMA flow and checklist as files by themselves: a web page, a Word document, the CSV of the PRISMA2020 package."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

from enthesis.assess.prisma import KEYS, Flow
from enthesis.errors import UsageError
from enthesis.report.export import write_bytes
from enthesis.report.plots import prisma_flow
from enthesis.report.prisma import EXPECTED, boxes, prisma_sections, to_csv
from enthesis.report.prisma_checklist import Item
from enthesis.report.render import html
from enthesis.report.render.svg import draw_png
from enthesis.report.values import Document

#: relative widths of the checklist's columns in Word
_WIDTHS = (1.3, 6.4, 5.6, 4.2)


def save_html(value: Flow, items: tuple[Item, ...], title: str, path: Path) -> None:
    """Write flow and checklist as a web page that needs nothing else."""
    document = Document(title=title, subtitle="Flow of records and PRISMA-NMA checklist",
                        sections=prisma_sections(value, items, links=False))  # fmt: skip
    html.write(document, path)


def save_csv(value: Flow, path: Path) -> None:
    """Write the flow as the file that the PRISMA2020 package, and tools like it, draw."""
    write_bytes(path, to_csv(value).encode("utf-8"))


def save_docx(value: Flow, items: tuple[Item, ...], title: str, path: Path) -> None:
    """Write the flow as a picture and the checklist as a table, for Word.

    Raises
    ------
    UsageError
        When python-docx is not installed.
    """
    try:
        from docx import Document as Word
        from docx.enum.section import WD_ORIENT
        from docx.shared import Cm, Pt
    except ImportError:
        raise UsageError("a .docx file needs python-docx: install enthesis[docx].") from None
    word = Word()
    page = word.sections[0]
    page.orientation = WD_ORIENT.LANDSCAPE
    page.page_width, page.page_height = Cm(29.7), Cm(21.0)
    page.left_margin = page.right_margin = page.top_margin = page.bottom_margin = Cm(1.8)
    word.add_heading(_plain(title), level=1)
    table = boxes(value)
    picture = word.add_picture(io.BytesIO(_png(table)), width=Cm(16 if table["column"].max() < 2 else 21))
    picture._inline.docPr.set("descr", prisma_flow.alt_text(table))
    missing = [KEYS[key].lower() for key in value.unknown if key in EXPECTED]
    for text in [*([f"Not recorded: {', '.join(missing)}."] if missing else []), *value.notes]:
        word.add_paragraph().add_run(_plain(text)).font.size = Pt(9)
    word.add_page_break()
    word.add_heading("PRISMA-NMA checklist", level=1)
    _table(word, ("Item", "Asks for", "In this report", "A person adds"), [_cells(item) for item in items])
    stream = io.BytesIO()
    word.save(stream)
    write_bytes(path, stream.getvalue())


def _png(table: object) -> bytes:
    return draw_png(lambda: prisma_flow.chart(table), scale=2.0)


def _cells(item: Item) -> tuple[str, ...]:
    where = f"{', '.join(title for title, _ in item.places)}. {item.does}" if item.places else ""
    return (item.number, f"{item.topic}. {item.asks}", where, item.answer or item.needs)


def _table(word: object, header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn
    from docx.shared import Cm, Pt

    texts = [header, *rows]
    grid = word.add_table(rows=len(texts), cols=len(header))  # type: ignore[attr-defined]
    grid.style, grid.autofit = "Table Grid", False
    total = sum(_WIDTHS)
    for column, width in zip(grid.columns, _WIDTHS, strict=True):
        column.width = Cm(26 * width / total)
    for row, cells in zip(grid.rows, texts, strict=True):
        for at, (cell, text) in enumerate(zip(row.cells, cells, strict=True)):
            cell.width = Cm(26 * _WIDTHS[at] / total)
            run = cell.paragraphs[0].add_run(_plain(text))
            run.font.size, run.bold = Pt(8.5), cells is header
        keep = OxmlElement("w:cantSplit")
        row._tr.get_or_add_trPr().append(keep)
    mark = OxmlElement("w:tblHeader")
    mark.set(qn("w:val"), "true")
    grid.rows[0]._tr.get_or_add_trPr().append(mark)


def _plain(text: str) -> str:
    return "".join(mark if mark.isprintable() else " " for mark in text)


__all__ = ["save_csv", "save_docx", "save_html"]
