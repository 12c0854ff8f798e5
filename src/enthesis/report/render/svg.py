"""Figures as inline SVG: drawn without a browser, reduced to what a drawing needs.

Names in a figure come from outside. Only drawing elements and attributes pass, so a figure cannot carry a script, a
link or a request to another host, whatever a name says.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

from enthesis.errors import UsageError

SVG = "{http://www.w3.org/2000/svg}"

_TAGS = frozenset({"svg", "g", "path", "text", "tspan", "rect", "line", "circle", "defs", "clipPath", "linearGradient",
                   "stop"})  # fmt: skip
_ATTRIBUTES = frozenset(
    {
        "d", "x", "y", "x1", "x2", "y1", "y2", "dx", "dy", "cx", "cy", "r", "rx", "ry", "width", "height", "viewBox",
        "transform", "fill", "fill-opacity", "stroke", "stroke-width", "stroke-opacity", "stroke-dasharray",
        "stroke-linecap", "stroke-linejoin", "stroke-miterlimit", "opacity", "font-family", "font-size", "font-weight",
        "font-style", "text-anchor", "clip-path", "id", "offset", "stop-color", "gradientUnits", "pointer-events",
    }
)  # fmt: skip
_UNDRAWABLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
_OWN_REFERENCE = re.compile(r"url\(#([A-Za-z0-9_-]+)\)")


def draw(chart: Callable[[], Any]) -> str:
    """An Altair chart as an SVG text.

    Parameters
    ----------
    chart : callable
        Makes the chart. It is called here, because checking every part against the schema while a chart is put
        together costs more than drawing it; the tests do check.

    Returns
    -------
    str
    """
    import vl_convert

    return _drawn(vl_convert.vegalite_to_svg, specification(chart))


def draw_png(chart: Callable[[], Any], *, scale: float) -> bytes:
    """An Altair chart as the bytes of a PNG file, `scale` pixels per unit of the drawing; see `draw`."""
    import vl_convert

    return _drawn(vl_convert.vegalite_to_png, specification(chart), scale=scale)


def _drawn(convert: Callable[..., Any], spec: Any, **settings: Any) -> Any:
    try:
        return convert(spec, allowed_base_urls=[], **settings)
    except ValueError as problem:
        if "RangeError" not in str(problem):
            raise
        raise UsageError("there is too much for one figure: draw fewer rows, or write a table instead.") from None


def specification(chart: Callable[[], Any]) -> Any:
    """What is drawn, as plain values, without the characters that no drawing can hold.

    The drawing library ends the whole process at a control character, and marks that turn the direction of writing
    would change how the rest of a line reads.
    """
    from altair.utils.schemapi import debug_mode

    with debug_mode(False):
        return drawable(chart().to_dict(validate=False))


def drawable(value: Any) -> Any:
    """The same value without the characters that neither a drawing nor a line of text should hold."""
    if isinstance(value, str):
        return _UNDRAWABLE.sub(" ", value)
    if isinstance(value, dict):
        return {drawable(key): drawable(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [drawable(part) for part in value]
    return value


def inline(svg: str, prefix: str, label: str) -> tuple[str, int, int]:
    """An SVG that can stand inside a page.

    Parameters
    ----------
    svg : str
        As drawn by `draw`.
    prefix : str
        Starts each id, so that two figures of a page do not share one.
    label : str
        The text alternative.

    Returns
    -------
    (str, int, int)
        The element, and the width and height it is drawn for.

    Raises
    ------
    ValueError
        When the text is not an SVG drawing.
    """
    root = ElementTree.fromstring(svg)
    if root.tag != SVG + "svg":
        raise ValueError("not an SVG drawing")
    width, height = (round(float(root.get(name, "0"))) for name in ("width", "height"))
    ids = [e.get("id") for e in root.iter() if e.get("id")]
    # the drawing library numbers its ids through a whole process; here a figure is the same each time it is drawn
    _reduce(root, {old: f"{prefix}-{i}" for i, old in enumerate(dict.fromkeys(ids))})
    root.set("role", "img")
    root.set("aria-label", drawable(label))
    text = ElementTree.tostring(root, encoding="unicode")
    return text, width, height


def _reduce(element: ElementTree.Element, ids: dict[str, str]) -> None:
    element.tag = element.tag.removeprefix(SVG)
    if element.tag == "svg":
        element.set("xmlns", "http://www.w3.org/2000/svg")
    for name in list(element.attrib):
        value = element.attrib[name]
        if name == "xmlns":
            continue
        if name not in _ATTRIBUTES:
            del element.attrib[name]
        elif name == "id":
            element.set("id", ids[value])
        elif "url" in value.lower():
            own = _OWN_REFERENCE.fullmatch(value)
            if own and own.group(1) in ids:
                element.set(name, f"url(#{ids[own.group(1)]})")
            else:
                del element.attrib[name]
    for child in list(element):
        if isinstance(child.tag, str) and child.tag.removeprefix(SVG) in _TAGS:
            _reduce(child, ids)
        else:
            element.remove(child)
    # empty groups of the drawing library say nothing
    for child in list(element):
        if child.tag == "g" and not len(child) and not (child.text or "").strip():
            element.remove(child)
