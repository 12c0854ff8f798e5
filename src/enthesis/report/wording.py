"""Numbers into words: estimates with their intervals, and what an interval allows one to say.

The verdict looks at the whole interval and at the smallest difference that matters, never at a p-value: an interval
that holds both an important benefit and an important harm decides nothing, however narrow the point looks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from enthesis.network.measures import Measure

MINUS = "\N{MINUS SIGN}"


def number(value: float, digits: int = 2) -> str:
    """A number for a table: fewer decimals the larger it is, "<0.01" and ">1,000" at the ends, "–" when missing.

    Examples
    --------
    >>> number(2.345), number(23.45), number(0.0004), number(99999.0), number(-1.5)
    ('2.35', '23.4', '<0.01', '>1,000', '−1.50')
    """
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    size = abs(value)
    sign = MINUS if value < 0 else ""
    if 0 < size < 10**-digits / 2:
        return f"<{10**-digits:.{digits}f}" if value > 0 else f">{MINUS}{10**-digits:.{digits}f}"
    if size > 1000:
        return ">1,000" if value > 0 else f"<{MINUS}1,000"
    shown = digits if size < 10 else digits - 1 if size < 100 else max(digits - 2, 0)
    text = f"{size:.{shown}f}"
    return text if float(text) == 0 else sign + text


def whole(value: float) -> str:
    """A whole number with thousands separators, "–" when missing.

    Examples
    --------
    >>> whole(12345.2), whole(-3.4), whole(float("nan"))
    ('12,345', '−3', '–')
    """
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞"
    text = f"{abs(value):,.0f}"
    return (MINUS if value < 0 and text != "0" else "") + text


def percent(value: float, digits: int = 0) -> str:
    """A fraction as a percentage."""
    return "–" if value is None or math.isnan(value) else f"{100 * value:.{digits}f} %"


def interval(estimate: float, lower: float, upper: float, digits: int = 2) -> str:
    """An estimate with its interval, on the scale given.

    Examples
    --------
    >>> interval(3.2, 2.1, 4.9)
    '3.20 (2.10 to 4.90)'
    """
    return f"{number(estimate, digits)} ({number(lower, digits)} to {number(upper, digits)})"


def count(n: int, one: str, many: str = "") -> str:
    """A count with its noun.

    Examples
    --------
    >>> count(1, "study", "studies"), count(1200, "patient")
    ('1 study', '1,200 patients')
    """
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def listed(names: list[str] | tuple[str, ...]) -> str:
    """Names as a list in a sentence.

    Examples
    --------
    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    names = list(names)
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""


Code = Literal["important", "better", "same", "maybe-better", "unclear", "maybe-worse", "worse", "important-harm"]


@dataclass(frozen=True)
class Verdict:
    """What an interval allows one to say: a code, the words, and a tone from -3 (worse) to 3 (better)."""

    code: Code
    words: str
    tone: int


_WORDS: dict[str, tuple[str, int]] = {
    "important": ("better, by more than the smallest difference that matters", 3),
    "better": ("better; the difference may be smaller than what matters", 2),
    "maybe-better": ("not decided: from no important difference to better", 1),
    "same": ("no difference that matters", 0),
    "unclear": ("not decided: the interval holds an important benefit and an important harm", 0),
    "maybe-worse": ("not decided: from worse to no important difference", -1),
    "worse": ("worse; the difference may be smaller than what matters", -2),
    "important-harm": ("worse, by more than the smallest difference that matters", -3),
}
_PLAIN: dict[str, str] = {
    "better": "better; how large a difference matters is not stated",
    "worse": "worse; how large a difference matters is not stated",
    "unclear": "not decided: the interval includes no difference",
}


def verdict(lower: float, upper: float, measure: Measure, better: str | None, mid: float | None) -> Verdict:
    """What an interval allows one to say.

    Parameters
    ----------
    lower, upper : float
        On the model's scale.
    measure : Measure
    better : {"higher", "lower"} or None
    mid : float or None
        Minimally important difference on the scale people read.

    Returns
    -------
    Verdict

    Examples
    --------
    >>> from enthesis.network.measures import OR
    >>> verdict(0.5, 1.2, OR, "higher", 1.25).code, verdict(-0.5, 0.6, OR, "higher", 1.25).code
    ('important', 'unclear')
    """
    low, high = (-upper, -lower) if better == "lower" else (lower, upper)
    if mid is None:
        code: Code = "better" if low > 0 else "worse" if high < 0 else "unclear"
        return Verdict(code, _PLAIN[code], {"better": 2, "worse": -2}.get(code, 0))
    # the threshold is symmetrical: 1.25 stands for 0.8 to 1.25
    limit = abs(float(measure.transform(mid)))
    if low > limit:
        code = "important"
    elif high < -limit:
        code = "important-harm"
    elif low >= -limit and high <= limit:
        code = "same"
    elif low > 0:
        code = "better"
    elif high < 0:
        code = "worse"
    elif low < -limit and high > limit:
        code = "unclear"
    elif high > limit:
        code = "maybe-better"
    else:
        code = "maybe-worse"
    words, tone = _WORDS[code]
    return Verdict(code, words, tone)


def patients_gain(difference: float, lower: float, upper: float) -> str:
    """An absolute difference per 1,000 patients in words.

    Examples
    --------
    >>> patients_gain(180.2, 95.0, 270.0)
    '180 more per 1,000 (95 to 270 more)'
    >>> patients_gain(-20.0, -60.0, 40.0)
    '20 fewer per 1,000 (60 fewer to 40 more)'
    """

    def word(value: float) -> str:
        return "more" if value >= 0 else "fewer"

    first, last = (lower, upper) if abs(lower) <= abs(upper) or lower * upper < 0 else (upper, lower)
    if word(lower) == word(upper):
        inside = f"{whole(abs(first))} to {whole(abs(last))} {word(lower)}"
    else:
        inside = f"{whole(abs(lower))} {word(lower)} to {whole(abs(upper))} {word(upper)}"
    return f"{whole(abs(difference))} {word(difference)} per 1,000 ({inside})"
