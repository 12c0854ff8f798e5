"""What a document is made of: ordered sections of text, tables and figures, as frozen values.

Text is a tuple of parts, each a plain string, a `Link` or `Strong`. Nothing here is escaped or formatted for one
medium: renderers do that. An anchor is made by `anchor`, so that a name from outside can never break out of an
attribute.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Link:
    """A text that leads somewhere: `#anchor` in the document, or an http(s) address."""

    text: str
    to: str


@dataclass(frozen=True)
class Strong:
    """A text that carries the sentence."""

    text: str


Part = str | Link | Strong
Parts = tuple[Part, ...]


@dataclass(frozen=True)
class Text:
    """A paragraph; a `note` is set smaller, a `warning` stands out."""

    parts: Parts
    kind: Literal["paragraph", "lead", "note", "warning"] = "paragraph"


@dataclass(frozen=True)
class Bullets:
    """A list of sentences; `key` are the messages a reader takes away."""

    items: tuple[Parts, ...]
    kind: Literal["plain", "key"] = "plain"


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Short facts beside each other: (number, what it counts)."""

    items: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Interval:
    """An estimate with its interval on the scale people read, to be drawn inside a cell."""

    estimate: float
    lower: float
    upper: float
    strong: bool = False


@dataclass(frozen=True, kw_only=True)
class Axis:
    """The common scale of the intervals of a table.

    Parameters
    ----------
    lower, upper : float
        Ends of the scale, as people read it; what lies beyond is drawn as an arrow.
    log : bool
    null : float
        The line of no difference.
    band : (float, float) or None
        Differences too small to matter.
    left, right : str
        What the two sides mean.
    """

    lower: float
    upper: float
    log: bool
    null: float
    band: tuple[float, float] | None = None
    left: str = ""
    right: str = ""


@dataclass(frozen=True)
class Cell:
    """A cell: text parts, and optionally an interval to draw or a tone (-4 worse ... 4 better)."""

    parts: Parts = ()
    interval: Interval | None = None
    tone: int | None = None
    mark: bool = False

    @property
    def text(self) -> str:
        """The words of the cell."""
        return "".join(p if isinstance(p, str) else p.text for p in self.parts)


@dataclass(frozen=True)
class Column:
    """A column: its heading and what it holds."""

    label: str
    kind: Literal["text", "number", "interval", "long", "words"] = "text"


@dataclass(frozen=True)
class Row:
    """A row; the first cell is its heading. `id` makes it a target of links."""

    cells: tuple[Cell, ...]
    id: str = ""
    strong: bool = False


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table with a caption, and a sentence above it that says how to read it."""

    id: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    note: Parts = ()
    axis: Axis | None = None
    kind: Literal["plain", "league"] = "plain"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure: the name of a plot, its table and options. It is drawn when the document is rendered.

    Parameters
    ----------
    id, caption : str
    plot : str
        A name in `report.plots.PLOTS`.
    table : pandas.DataFrame
    options : dict
        Keyword arguments of the plot.
    """

    id: str
    caption: str
    plot: str
    table: pd.DataFrame = field(compare=False)
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def alt(self) -> str:
        """The text alternative, made from the same table."""
        from enthesis.report.plots import PLOTS

        return PLOTS[self.plot].alt_text(self.table, **self.options)

    def chart(self) -> Any:
        """The Altair chart."""
        from enthesis.report.plots import PLOTS

        return PLOTS[self.plot].chart(self.table, **self.options)


@dataclass(frozen=True, kw_only=True)
class Folded:
    """Detail that opens on demand. It is in the document in full."""

    title: str
    blocks: tuple[Block, ...]
    id: str = ""


Block = Text | Bullets | Facts | Table | Figure | Folded


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the document. `nav` puts it into the navigation."""

    id: str
    title: str
    blocks: tuple[Block, ...] = ()
    sections: tuple[Section, ...] = ()
    nav: bool = True


@dataclass(frozen=True, kw_only=True)
class Document:
    """A report.

    Parameters
    ----------
    title, subtitle : str
    facts : tuple of (str, str)
        What identifies the report: name and value.
    sections : tuple of Section
        In reading order.
    """

    title: str
    subtitle: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    sections: tuple[Section, ...] = ()

    def walk(self) -> tuple[Section, ...]:
        """Every section, outer before inner, in reading order."""

        def inner(sections: tuple[Section, ...]) -> tuple[Section, ...]:
            return tuple(s for section in sections for s in (section, *inner(section.sections)))

        return inner(self.sections)


def anchor(kind: str, *names: str) -> str:
    """A name for a place in the document: letters, digits and hyphens, different for different names.

    Examples
    --------
    >>> anchor("study", "SELECT-AXIS-1")
    'study-SELECT-AXIS-1'
    >>> anchor("study", 'a"b').startswith("study-a-b-")
    True
    """
    text = "--".join(names)
    plain = re.sub(r"[^A-Za-z0-9-]+", "-", text).strip("-")[:80]
    if plain != text:
        plain = f"{plain}-{sha256(text.encode()).hexdigest()[:8]}".strip("-")
    return f"{kind}-{plain}"


def web_address(text: str) -> str:
    """The address when it is a plain http or https one, else an empty string.

    Examples
    --------
    >>> web_address("https://doi.org/10.1/x"), web_address("javascript:alert(1)")
    ('https://doi.org/10.1/x', '')
    """
    text = text.strip()
    if not text or len(text) > 2000 or re.search(r"[\s\x00-\x1f\x7f<>\"'`\\]", text):
        return ""
    try:
        parts = urlsplit(text)
        host = parts.hostname
    except ValueError:
        return ""
    return text if parts.scheme in ("http", "https") and host and not parts.username else ""
