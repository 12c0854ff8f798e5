"""A figure to a file: SVG, PNG or a page of its own, by the ending of its name; the page asks no other host."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

from enthesis.errors import UsageError
from enthesis.report.export import write_bytes
from enthesis.report.render.svg import draw, draw_png, drawable, inline

ENDINGS = (".svg", ".png", ".html")
#: pixels of a PNG per unit of the drawing, enough for print at the size of a column
SCALE = 2.5

_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>
<style>body{{font-family:Helvetica,Arial,sans-serif;margin:2rem;color:#1b2430}}figure{{margin:0;max-width:{width}px}}
svg{{width:100%;height:auto}}figcaption{{margin-top:1rem;max-width:46rem;line-height:1.45;color:#5b6675}}</style></head>
<body><h1>{title}</h1><figure>{svg}<figcaption>{words}</figcaption></figure></body>
</html>
"""


def save_figure(chart: Callable[[], Any], path: str | Path, *, words: str, title: str = "Figure") -> Path:
    """Draw a chart into a file.

    Parameters
    ----------
    chart : callable
        Makes the Altair chart.
    path : path
        Ends in .svg, .png or .html.
    words : str
        The text alternative: `aria-label` of the drawing, and the caption of a page.
    title : str

    Returns
    -------
    Path

    Raises
    ------
    UsageError
        For another ending, or a folder that does not exist.

    Examples
    --------
    >>> import tempfile, pandas as pd
    >>> from enthesis.report.plots import baujat
    >>> table = pd.DataFrame({"study": ["a", "b"], "Q": [1.0, 2.0], "influence": [0.5, 0.1], "ok": [True, True]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = save_figure(lambda: baujat.chart(table), Path(folder) / "b.svg", words=baujat.alt_text(table))
    ...     path.read_text(encoding="utf-8")[:4]
    '<svg'
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise UsageError(f"{str(path)!r} must end in {', '.join(ENDINGS)}: the ending says what is drawn.")
    if not path.parent.is_dir():
        raise UsageError(f"the folder of {str(path)!r} does not exist: make it, or name another file.")
    if ending == ".png":
        write_bytes(path, draw_png(chart, scale=SCALE))
    else:
        write_bytes(path, _text(chart, ending, drawable(words), drawable(title)).encode("utf-8"))
    return path


def _text(chart: Callable[[], Any], ending: str, words: str, title: str) -> str:
    svg, width, height = inline(draw(chart), "figure", words)
    if ending == ".svg":
        sized = " width=" in svg.split(">", 1)[0]  # a file of its own needs the size that a page gives
        return svg if sized else svg.replace("<svg ", f'<svg width="{width}" height="{height}" ', 1)
    return _PAGE.format(title=escape(title), svg=svg, words=escape(words), width=width)
