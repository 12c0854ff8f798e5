"""What commands share to print: tables, plain text, progress on standard error, and files written whole or not at all.

Text from data never steers the terminal: control characters become blanks, and no markup is read in it.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from enthesis.errors import UsageError


def plain(value: object) -> str:
    """Text whose control characters are blanks; line ends stay.

    Examples
    --------
    >>> plain("a\\x1b[31mb")
    'a [31mb'
    """
    return "".join(mark if mark.isprintable() or mark == "\n" else " " for mark in str(value))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table to standard output; nothing when there are no rows.

    Parameters
    ----------
    title : str
    columns : sequence of str
    rows : sequence of sequences
        Cells; None is empty.
    """
    if not rows:
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(Text(column), overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if cell is None else _line(cell)) for cell in row))
    console = Console()
    if not console.is_terminal:
        console = Console(width=240)
    console.print(Text(_line(title)))  # above the table: a title inside is broken at the width of a narrow table
    console.print(table)
    console.print()


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show on standard error, when that is a terminal, that something is being done."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(what):
        yield


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int, str], None]]:
    """A progress bar on standard error, when that is a terminal.

    Yields
    ------
    callable
        To be called with (steps done, steps in all, what comes next).
    """
    if not sys.stderr.isatty():
        yield lambda done, total, label="": None
        return
    from rich.console import Console
    from rich.progress import Progress
    from rich.text import Text

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)

        def step(done: int, total: int, label: str = "") -> None:
            bar.update(task, completed=done, total=total, description=Text(_line(label or what)).markup)

        yield step


def writable(path: Path, inputs: Sequence[Path | None] = ()) -> None:
    """Refuse a file that cannot be written, before the work and not after.

    Parameters
    ----------
    path : Path
    inputs : sequence of Path or None
        Files that are read, which must not be written over.

    Raises
    ------
    UsageError
        When it is a folder or an input, or its folder does not exist.
    """
    said = repr(plain(path))
    if "\0" in str(path):
        raise UsageError(f"{said} is not the name of a file.")
    if path.is_dir():
        raise UsageError(f"{said} is a folder: name a file in it.")
    if not path.parent.is_dir():
        raise UsageError(f"the folder of {said} does not exist: make it, or name another file.")
    if any(other is not None and path.exists() and other.exists() and path.samefile(other) for other in inputs):
        raise UsageError(f"{said} is what is read: name another file for the result.")


def write_text(path: Path, text: str) -> None:
    """Write a file so that it holds either the old or the new text, never a part.

    Parameters
    ----------
    path : Path
    text : str

    Raises
    ------
    UsageError
        When its folder does not exist.
    OSError
        When it cannot be written; it names the file, not the temporary one beside it.
    """
    writable(path)
    try:
        if path.exists() and not path.is_file():  # a device or a pipe
            path.write_text(text, encoding="utf-8")
        else:
            _replace(path, text)
    except OSError as problem:
        raise OSError(problem.errno, f"cannot be written ({problem.strerror})", str(path)) from None


def _replace(path: Path, text: str) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:50]}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).chmod(0o644 & ~_umask())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _line(value: object) -> str:
    return plain(value).replace("\n", " ")
