"""A document as one HTML page that needs nothing else: style, figures and the little script are inside.

Everything that comes from outside passes `markupsafe.escape`; links are kept only when they lead into the page or to a
plain http(s) address; the page's Content-Security-Policy forbids every request and every script and style but its own.
"""

from __future__ import annotations

import base64
import hashlib
import os
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from enthesis.report.render import bars
from enthesis.report.render.svg import draw, drawable, inline
from enthesis.report.values import (
    Bullets,
    Cell,
    Document,
    Facts,
    Figure,
    Folded,
    Link,
    Part,
    Row,
    Section,
    Strong,
    Table,
    Text,
    web_address,
)


def write(document: Document, path: Path | str) -> None:
    """Write a document as a page; the file is whole or not there.

    Parameters
    ----------
    document : Document
    path : path
    """
    path = Path(path)
    beside = path.with_name(path.name + ".part")
    beside.write_text(render(document), encoding="utf-8")
    os.replace(beside, path)


def render(document: Document) -> str:
    """A document as HTML.

    Parameters
    ----------
    document : Document

    Returns
    -------
    str

    Examples
    --------
    >>> page = render(Document(title="<b>", sections=(Section(id="a", title="One"),)))
    >>> "<h1>&lt;b&gt;</h1>" in page
    True
    """
    style, script = _file("report.css"), _file("report.js")
    page = _environment().get_template("report.html.jinja").render(
        document=document,
        style=Markup(style),
        script=Markup(script),
        policy="; ".join(
            [
                "default-src 'none'", f"style-src {_digest(style)}", f"script-src {_digest(script)}", "base-uri 'none'",
                "form-action 'none'",
            ]
        ),
        block=block,
        nav=navigation(document),
    )  # fmt: skip
    return str(drawable(page))


def navigation(document: Document) -> list[tuple[Section, list[Section]]]:
    """The sections of the navigation with those inside them."""
    return [(s, [i for i in s.sections if i.nav]) for s in document.sections if s.nav]


def block(value: object) -> Markup:
    """A block of a section as HTML."""
    return _BLOCKS[type(value)](value)


def parts(value: tuple[Part, ...]) -> Markup:
    """Text parts as HTML."""
    return Markup("".join([_part(p) for p in value]))


def _part(part: Part) -> str:
    """One part. Plain formatting of escaped pieces: `Markup.format` takes ten times as long, and there are many."""
    if isinstance(part, str):
        return escape(part)
    if isinstance(part, Strong):
        return f"<strong>{escape(part.text)}</strong>"
    if isinstance(part, Link):
        if part.to.startswith("#"):
            return f'<a href="{escape(part.to)}">{escape(part.text)}</a>'
        address = web_address(part.to)
        if address:
            return f'<a href="{escape(address)}" rel="noopener noreferrer external">{escape(part.text)}</a>'
        return escape(part.text)
    raise TypeError(f"not a part of a text: {part!r}")


def _text(value: Text) -> Markup:
    return Markup('<p class="{}">{}</p>').format(value.kind, parts(value.parts))


def _bullets(value: Bullets) -> Markup:
    items = Markup("").join(Markup("<li>{}</li>").format(parts(item)) for item in value.items)
    return Markup('<ul class="{}">{}</ul>').format(value.kind, items)


def _facts(value: Facts) -> Markup:
    items = Markup("").join(Markup("<div><dd>{}</dd><dt>{}</dt></div>").format(*item) for item in value.items)
    return Markup('<dl class="facts">{}</dl>').format(items)


def _folded(value: Folded) -> Markup:
    id = Markup(' id="{}"').format(value.id) if value.id else Markup("")
    inside = Markup("").join(block(b) for b in value.blocks)
    return Markup("<details{}><summary>{}</summary>{}</details>").format(id, value.title, inside)


def _figure(value: Figure) -> Markup:
    svg, width, _ = inline(draw(value.chart), value.id.replace(".", "-"), value.alt)
    size = "wide" if width > 560 else "narrow"
    return Markup(
        '<figure id="{}"><div class="scroll {}" tabindex="0" role="group" aria-label="{}">{}</div>'
        "<figcaption>{}</figcaption></figure>"
    ).format(value.id, size, "Figure, scrolls sideways on a narrow screen", Markup(svg), value.caption)


def _table(value: Table) -> Markup:
    note = Markup('<p class="howto">{}</p>').format(parts(value.note)) if value.note else Markup("")
    head = Markup("").join(Markup('<th scope="col" class="{}">{}</th>').format(c.kind, c.label) for c in value.columns)
    kinds = [c.kind for c in value.columns]
    body = Markup("".join([_row(row, kinds, value) for row in value.rows]))
    foot = Markup("")
    if value.axis is not None and "interval" in kinds:
        cells = []
        for kind in kinds:
            if kind != "interval":
                cells.append(Markup("<td></td>"))
                continue
            sides = Markup('<div class="sides"><span>← {}</span><span>{} →</span></div>').format(
                value.axis.left, value.axis.right
            )
            cells.append(Markup('<td class="interval">{}{}</td>').format(bars.scale(value.axis), sides))
        foot = Markup('<tfoot><tr aria-hidden="true">{}</tr></tfoot>').format(Markup("").join(cells))
    big = " many" if len(value.columns) > 12 else ""
    return Markup(
        '<div class="tablebox {}{}" id="{}">{}<div class="scroll" tabindex="0" role="region" aria-label="{}"><table>'
        "<caption><span>{}</span></caption><thead><tr>{}</tr></thead><tbody>{}</tbody>{}</table></div></div>"
    ).format(value.kind, big, value.id, note, value.caption, value.caption, head, body, foot)


def _row(row: Row, kinds: list[str], table: Table) -> str:
    id = f' id="{escape(row.id)}"' if row.id else ""
    strong = ' class="strong"' if row.strong else ""
    cells = [_cell(cell, kind, table) for cell, kind in zip(row.cells[1:], kinds[1:], strict=True)]
    return f'<tr{id}{strong}><th scope="row">{parts(row.cells[0].parts)}</th>{"".join(cells)}</tr>\n'


def _cell(cell: Cell, kind: str, table: Table) -> str:
    names = [] if kind == "text" else [kind]
    if cell.tone is not None:
        names.append(f"t{cell.tone:d}" if table.kind == "league" else f"v{cell.tone:d}")
    if cell.mark:
        names.append("mark")
    inside = parts(cell.parts)
    if cell.interval is not None and table.axis is not None:
        inside = bars.bar(cell.interval, table.axis)
    return f'<td class="{" ".join(names)}">{inside}</td>' if names else f"<td>{inside}</td>"


_BLOCKS = {Text: _text, Bullets: _bullets, Facts: _facts, Folded: _folded, Figure: _figure, Table: _table}


def _digest(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


@lru_cache
def _file(name: str) -> str:
    return files("enthesis.report").joinpath("templates", name).read_text(encoding="utf-8")


@lru_cache
def _environment() -> Environment:
    return Environment(
        loader=FunctionLoader(_file), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
