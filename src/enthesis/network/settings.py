"""Settings files: TOML in, TOML out, and a sentence for every way in which a file can be wrong."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enthesis.errors import DataError, shortened, unknown_name

if TYPE_CHECKING:
    from pydantic import ValidationError

#: a settings file is a few pages of text; anything larger is not one
LARGEST_FILE = 1_000_000
#: parts of a dotted key; the reader of TOML takes memory with the square of their number
MAX_PARTS = 200


def toml_value(value: Any) -> str:
    """A plain value (text, number, bool, sequence of them) as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return '"' + "".join(c if c >= " " and c != "\x7f" else f"\\u{ord(c):04x}" for c in escaped) + '"'
    return "[" + ", ".join(toml_value(item) for item in value) + "]"


def read_toml(path: Path | str) -> dict[str, Any]:
    """The tables of a TOML file of ordinary size; DataError names the file and the line that is not TOML."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_FILE + 1)
    except OSError as problem:
        raise DataError(f"cannot be read ({problem.strerror})", file=str(path), fix="Check the name.") from None
    if len(raw) > LARGEST_FILE:
        raise DataError("is too large for a settings file", file=str(path), fix="Keep it under 1 MB.")
    try:
        return parse_toml(raw.decode("utf-8"), file=path.name)
    except UnicodeDecodeError:
        raise DataError("is not UTF-8 text", file=path.name, fix="Save the file as UTF-8.") from None


def parse_toml(text: str, *, file: str) -> dict[str, Any]:
    """The tables of a TOML text."""
    for row, line in enumerate(text.split("\n"), 1):
        if line.count(".") > MAX_PARTS and any(part.count(".") > MAX_PARTS for part in re.split(r"[=,{}\[\]#]", line)):
            raise DataError(f"has more than {MAX_PARTS} points in one key or sentence", file=file, row=row,
                            fix="Break the line, or write shorter keys.")  # fmt: skip
    try:
        found = tomllib.loads(text)
        _refuse_no_numbers(found, (), file)
        return found
    except RecursionError:
        raise DataError("is not a settings file: its brackets are nested too deeply", file=file,
                        fix="Mend the brackets.") from None  # fmt: skip
    except tomllib.TOMLDecodeError as problem:
        raise DataError(f"is not TOML: {shortened(problem)}", file=file, fix="Mend that line.") from None


def _refuse_no_numbers(value: Any, keys: tuple[str, ...], file: str) -> None:
    """TOML can write nan and inf; no setting means either, and a comparison with nan is false without a word."""
    if isinstance(value, dict):
        for key, part in value.items():
            _refuse_no_numbers(part, (*keys, key), file)
    elif isinstance(value, list):
        for part in value:
            _refuse_no_numbers(part, keys, file)
    elif isinstance(value, float) and not math.isfinite(value):
        raise DataError("is not a finite number", file=file, column=shortened(".".join(keys)), value=value,
                        fix="Write a number.")  # fmt: skip


def settings_error(problem: ValidationError, file: str, what: str, keys: Iterable[str]) -> DataError:
    """The first thing that pydantic found wrong, as a DataError.

    Parameters
    ----------
    problem : pydantic.ValidationError
    file : str
    what : str
        What the table describes, with its article: `a question`.
    keys : iterable of str
        The keys it may have.

    Returns
    -------
    DataError
        Naming file, key, value and mend.
    """
    first = problem.errors()[0]
    kind = first["type"]
    key = str(first["loc"][0]) if first["loc"] else None
    value = first["input"] if key and kind != "missing" else None
    known = list(keys)
    said: dict[str, tuple[str, str | None]] = {
        "missing": ("is missing", f"Write {key} = ..."),
        "tuple_type": ("must be a list", f"Write [{toml_value(str(value))}]."),
        "list_type": ("must be a list", f"Write [{toml_value(str(value))}]."),
        "bool_type": ("must be true or false, without quotes", None),
        "string_pattern_mismatch": ("is not an id", "Use lower-case letters, digits and hyphens, up to 80."),
    }
    if kind in ("unexpected_keyword_argument", "extra_forbidden"):
        hint = str(unknown_name("key", key, known, show=len(known)))
        return DataError(f"is not a key of {what}", file=file, column=key, fix=hint)
    if kind == "literal_error":
        allowed = first["ctx"]["expected"].replace(" or ", ", ")
        return DataError("is not one of the values allowed here", file=file, column=key, value=value,
                         fix=f"Use one of {allowed}.")  # fmt: skip
    if kind == "value_error":
        mend = None if key else "Change one of them so that they agree."
        return DataError(str(first["ctx"]["error"]), file=file, column=key, fix=mend)
    text, fix = said.get(kind, (f"cannot be used: {first['msg'][0].lower()}{first['msg'][1:]}", "Correct the value."))
    return DataError(text, file=file, column=key, value=value, fix=fix)
