"""Errors that say what is wrong, where, and what to do next.

One base and five kinds. Library code raises them; only the faces (`cli`, `web`) catch. A computation that went
badly is not an error: it is a `Fit` whose `status` says so in a sentence.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class EnthesisError(ValueError):
    """Base of every error that enthesis raises on purpose; its text is meant for the user.

    Examples
    --------
    >>> import enthesis as en
    >>> try:
    ...     en.parse_prior("normal(0)")
    ... except en.EnthesisError as problem:
    ...     print(problem)
    prior 'normal(0)' needs 2 finite numbers in the brackets.
    """


class UsageError(EnthesisError):
    """An argument or a name that cannot be used as given."""


class DataError(EnthesisError):
    """Data that cannot be read as they stand.

    Parameters
    ----------
    what : str
        What is wrong, as a sentence without the place.
    file, row, column, value : optional
        Where. `row` is the line in the file as a spreadsheet shows it (the header is row 1).
    fix : str, optional
        What to do next, as a sentence.

    Examples
    --------
    >>> print(DataError("is not a whole number", file="t.csv", row=3, column="events", value="57%",
    ...                 fix="Write the number of patients, not a percentage."))
    t.csv, row 3, column 'events', value '57%': is not a whole number. Write the number of patients, not a percentage.
    """

    def __init__(
        self,
        what: str,
        *,
        file: str | None = None,
        row: int | None = None,
        column: str | None = None,
        value: object = None,
        fix: str | None = None,
    ) -> None:
        self.what, self.file, self.row, self.column, self.value, self.fix = what, file, row, column, value, fix
        place = ", ".join(
            part
            for part in (
                " ".join(file.split()) if file else None,
                f"row {row}" if row is not None else None,
                f"column {column!r}" if column is not None else None,
                f"value {shortened(value)!r}" if value is not None else None,
            )
            if part
        )
        sentence = what.rstrip(". ") + "."
        super().__init__(" ".join(filter(None, [f"{place}: {sentence}" if place else sentence, fix])))


class NotConnected(EnthesisError):
    """A comparison was asked for between parts of the network that share no study."""


class ModelError(EnthesisError):
    """Parts of a model that do not fit one another, the network or the engine."""


class StoreError(EnthesisError):
    """The evidence store cannot be opened, read or written."""


def shortened(value: object, length: int = 80) -> str:
    """The text of a value, cut so that a hostile cell cannot flood a message."""
    text = str(value)
    return text if len(text) <= length else text[: length - 1] + "…"


def unknown_name(kind: str, name: object, known: Iterable[str], *, show: int = 12) -> UsageError:
    """The error for a name that is not among the known ones, with the nearest one suggested.

    Examples
    --------
    >>> print(unknown_name("treatment", "placbo", ["placebo", "adalimumab"]))
    treatment 'placbo' is not known. Did you mean 'placebo'? Known: adalimumab, placebo.
    """
    names = sorted(map(str, known))
    by_case = {known_name.casefold(): known_name for known_name in reversed(names)}
    close = get_close_matches(str(name).casefold(), by_case, n=1)
    hint = f" Did you mean {by_case[close[0]]!r}?" if close else ""
    show = len(names) if len(names) <= show + 3 else show
    listed = ", ".join(names[:show]) + (f", … ({len(names)} in all)" if len(names) > show else "")
    known_names = f"Known: {listed}." if names else "There is none."
    return UsageError(f"{kind} {shortened(name)!r} is not known.{hint} {known_names}")
