"""What a cell of evidence may hold: text, keys, numbers within bounds; the check of each, and the mend when it fails.

Checks read the text of a cell and never change it: what is stored is what was printed.
"""

from __future__ import annotations

import re
from math import isfinite
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict
from pydantic_core import PydanticCustomError

_NUMBER = re.compile(r"[+-]?(\d{1,300}(\.\d{0,300})?|\.\d{1,300})([eE][+-]?\d{1,3})?\Z", re.ASCII)
_KEY = re.compile(r"[!-~]{1,120}\Z")


def cell_error(reason: str, fix: str, column: str | None = None) -> PydanticCustomError:
    """A failed cell: the reason and the mend, each a sentence."""
    return PydanticCustomError("cell", "{reason}", {"reason": reason, "fix": fix, "column": column})


def _number(text: Any) -> float | None:
    if text is None or text == "":
        return None
    if not isinstance(text, str):
        text = str(text)
    if not _NUMBER.match(text) or not isfinite(float(text)):
        raise cell_error("is not a number", _number_fix(text))
    return float(text)


def _number_fix(text: str) -> str:
    if text.rstrip().endswith("%"):
        return "Write the number without the percent sign."
    if "," in text:
        return "Write a decimal point instead of a comma and no thousands separator."
    if text.strip().lower() in {"na", "n/a", "nan", "none", "null", "nr", "-", "not reported", "inf"}:
        return "Leave the cell empty when the value is not reported."
    return "Write one plain number such as 12.5, or leave the cell empty."


def _within(low: float, high: float, what: str, fix: str):
    def check(value: float | None) -> float | None:
        if value is not None and not low <= value <= high:
            raise cell_error(what, fix)
        return value

    return AfterValidator(check)


def _is_whole(value: float | None) -> float | None:
    if value is not None and value != int(value):
        raise cell_error("is not a whole number", "Write a whole number; for a percentage use the column percent.")
    return value


def _filled(text: str) -> str:
    if not text:
        raise cell_error("is empty", "This column must be filled in every row.")
    return text


def _key(text: str) -> str:
    if not _KEY.match(_filled(text)):
        raise cell_error("is not a key", "Use up to 120 ASCII characters without spaces, such as SELECT-AXIS-1.")
    return text


_INF = float("inf")
Text = str
Filled = Annotated[str, AfterValidator(_filled)]
Key = Annotated[str, AfterValidator(_key)]
Number = Annotated[float | None, BeforeValidator(_number)]
Positive = Annotated[
    float | None,
    BeforeValidator(_number),
    _within(5e-324, _INF, "is not above zero", "Correct the value, or leave the cell empty."),
]
NotNegative = Annotated[
    float | None,
    BeforeValidator(_number),
    _within(0, _INF, "is negative", "Correct the sign, or leave the cell empty when it is not reported."),
]
Whole = Annotated[
    float | None,
    BeforeValidator(_number),
    AfterValidator(_is_whole),
    _within(0, 1e12, "is not a count", "Write a whole number from 0 upwards, or leave the cell empty."),
]
Fraction = Annotated[
    float | None,
    BeforeValidator(_number),
    _within(0, 1, "is not between 0 and 1", "Write a fraction: 57 % is 0.57."),
]
Percent = Annotated[
    float | None,
    BeforeValidator(_number),
    _within(0, 100, "is not between 0 and 100", "Write a percentage from 0 to 100, without the sign."),
]
Year = Annotated[
    float | None,
    BeforeValidator(_number),
    AfterValidator(_is_whole),
    _within(1900, 2100, "is not a year between 1900 and 2100", "Write the year with four digits."),
]


class Row(BaseModel):
    """A row of any table; cells come as text, unknown columns are kept."""

    model_config = ConfigDict(extra="allow", frozen=True)
