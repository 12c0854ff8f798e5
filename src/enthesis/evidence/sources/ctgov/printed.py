"""Numbers as a registry prints them: text with its digits, `<` before p values, percentages that hide counts.

A percentage of n patients printed with d decimals stands for a count r with |100 r / n - p| <= 0.5 * 10**-d. With one
decimal and n < 1000 at most one integer fits: the count is unique, or the percentage is not one of n patients.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

_NUMBER = re.compile(r"[+-]?(\d{1,15}(\.\d{0,15})?|\.\d{1,15})\Z", re.ASCII)
_P_VALUE = re.compile(r"(?P<sign>[<>=≤≥]{0,2})\s*(?P<value>0?\.\d{1,15}|[01](\.\d{0,15})?)\Z", re.ASCII)


def number(text: str) -> str:
    """The number in a text, with the digits printed but without thousands separators; empty when it holds none.

    Examples
    --------
    >>> number("-0.38"), number("1,234"), number("NA"), number("1e999")
    ('-0.38', '1234', '', '')
    """
    text = text.strip().replace("−", "-")
    if re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?", text):
        text = text.replace(",", "")
    return text if _NUMBER.match(text) else ""


def whole(text: str) -> int | None:
    """The count in a text; None when it holds none.

    Examples
    --------
    >>> whole("158"), whole("158.0"), whole("-1"), whole("7.5")
    (158, 158, None, None)
    """
    printed = number(text)
    if not printed or Decimal(printed) != int(Decimal(printed)) or Decimal(printed) < 0:
        return None
    return int(Decimal(printed))


def p_value(text: str) -> str:
    """A p value as sign and number; empty when the text holds none.

    Examples
    --------
    >>> p_value("<0.001"), p_value("=0.247"), p_value(".05"), p_value("NS")
    ('<0.001', '0.247', '0.05', '')
    """
    found = _P_VALUE.match(text.strip())
    if not found or Decimal(found["value"]) > 1:
        return ""
    value = found["value"]
    return found["sign"].replace("=", "") + (f"0{value}" if value.startswith(".") else value)


@dataclass(frozen=True)
class Count:
    """The count behind a percentage: the only one that fits, or None with the reason."""

    events: int | None
    reason: str = ""


def count_behind(percent: str, n: int) -> Count:
    """The only number of `n` patients that is printed as `percent`.

    Parameters
    ----------
    percent : str
        As printed: its decimals say how far it was rounded.
    n : int
        Patients analysed.

    Returns
    -------
    Count

    Examples
    --------
    >>> count_behind("11.4", 158).events, count_behind("47.8", 159).events
    (18, 76)
    >>> count_behind("11.5", 158).reason
    'no whole number of 158 is 11.5 % (17 is 10.76 %, 18 is 11.39 %, 19 is 12.03 %)'
    >>> count_behind("11", 1580).reason
    'several whole numbers of 1580 are 11 %: 166 to 181'
    """
    printed = number(percent)
    if not printed:
        return Count(None, f"{percent!r} is not a number")
    value = Decimal(printed)
    if not 0 <= value <= 100:
        return Count(None, f"{printed} is not a percentage from 0 to 100")
    if n <= 0:
        return Count(None, f"a percentage of {n} patients stands for no count")
    half = Decimal(1).scaleb(-len(printed.partition(".")[2])) / 2
    low = max(0, int(((value - half) * n / 100).to_integral_value(ROUND_CEILING)))
    high = min(n, int(((value + half) * n / 100).to_integral_value(ROUND_FLOOR)))
    if low == high:
        return Count(low)
    if low < high:
        return Count(None, f"several whole numbers of {n} are {printed} %: {low} to {high}")
    near = round(value * n / 100)
    told = ", ".join(f"{r} is {100 * r / n:.2f} %" for r in (near - 1, near, near + 1) if 0 <= r <= n)
    return Count(None, f"no whole number of {n} is {printed} % ({told})")
