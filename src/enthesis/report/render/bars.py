"""Small drawings inside table cells: an estimate with its interval on the scale of the table."""

from __future__ import annotations

import math

from markupsafe import Markup

from enthesis.report.values import Axis, Interval

WIDTH, HEIGHT = 190, 18


def bar(interval: Interval, axis: Axis) -> Markup:
    """One interval.

    Parameters
    ----------
    interval : Interval
    axis : Axis

    Returns
    -------
    Markup
        An SVG without text; the numbers stand in the next cell.
    """
    middle = HEIGHT / 2
    low, high = place(interval.lower, axis), place(interval.upper, axis)
    parts = [_band(axis), f'<path class="n" d="M{place(axis.null, axis):.1f} 0V{HEIGHT}"/>']
    if math.isfinite(low) and math.isfinite(high):
        parts.append(f'<path class="i" d="M{max(low, 2):.1f} {middle}H{min(high, WIDTH - 2):.1f}"/>')
        if low < 0:
            parts.append(f'<path class="a" d="M0 {middle}l6 -3.5v7z"/>')
        if high > WIDTH:
            parts.append(f'<path class="a" d="M{WIDTH} {middle}l-6 -3.5v7z"/>')
    at = place(interval.estimate, axis)
    if 0 <= at <= WIDTH:
        parts.append(f'<path class="e" d="M{at - 3.5:.1f} {middle - 3.5}h7v7h-7z"/>')
    strong = " s" if interval.strong else ""
    return Markup(
        f'<svg class="bar{strong}" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true">'
        + "".join(parts)
        + "</svg>"
    )


def scale(axis: Axis) -> Markup:
    """The axis under the intervals: ticks with numbers."""
    parts = [f'<path class="n" d="M0 .5H{WIDTH}"/>']
    for value in ticks(axis):
        at = place(value, axis)
        anchor = "start" if at < 8 else "end" if at > WIDTH - 8 else "middle"
        parts.append(
            f'<path class="n" d="M{at:.1f} 0v4"/><text x="{at:.1f}" y="15" text-anchor="{anchor}">{value:,g}</text>'
        )
    return Markup(
        f'<svg class="bar" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true">'
        + "".join(parts)
        + "</svg>"
    )


def place(value: float, axis: Axis) -> float:
    """Horizontal position in pixels; outside 0 to WIDTH when the value is beyond the axis."""
    if axis.log:
        if value <= 0:
            return -math.inf
        low, high, value = math.log(axis.lower), math.log(axis.upper), math.log(value)
    else:
        low, high = axis.lower, axis.upper
    at = WIDTH * (value - low) / (high - low) if high > low else WIDTH / 2
    # a far value is only "beyond": its distance would be a number too long for a drawing
    return min(max(at, -9999.0), 9999.0) if not math.isnan(at) else at


def ticks(axis: Axis) -> list[float]:
    """At most six round values on the axis."""
    if axis.log:
        steps = [1, 2, 5] if axis.upper / axis.lower < 30 else [1]
        found = [m * 10.0**e for e in range(-5, 6) for m in steps if axis.lower <= m * 10.0**e <= axis.upper]
        every = math.ceil(len(found) / 6)
        keep = [v for i, v in enumerate(found) if (i - (found.index(1.0) if 1.0 in found else 0)) % every == 0]
        return keep
    raw = (axis.upper - axis.lower) / 5
    size = 10.0 ** math.floor(math.log10(raw)) if raw > 0 else 1.0
    step = next(m * size for m in (1, 2, 5, 10) if m * size >= raw)
    first, last = math.ceil(axis.lower / step), math.floor(axis.upper / step)
    return [round(k * step, 10) for k in range(first, last + 1)]


def _band(axis: Axis) -> str:
    if axis.band is None:
        return ""
    low, high = (min(max(place(v, axis), 0.0), WIDTH) for v in axis.band)
    return f'<path class="b" d="M{low:.1f} 0H{high:.1f}V{HEIGHT}H{low:.1f}z"/>'
