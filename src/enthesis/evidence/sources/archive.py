"""A zip file from outside: read in memory, bounded as it unpacks. Names in it are only names, never paths.

A zip file can say that it is small and unpack to more than any disk holds (zip bombs), so what it says of itself is not
believed: reading stops at the limit.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable

from enthesis.errors import DataError, shortened

#: a data package of Cochrane has a dozen files, a workbook a few dozen
MAX_ENTRIES = 2_000
MAX_PACKED = 128 * 2**20
MAX_ENTRY = 64 * 2**20
MAX_TOTAL = 192 * 2**20


def read_archive(content: bytes, name: str, wanted: Callable[[str], bool] = lambda entry: True) -> dict[str, bytes]:
    """The files of a zip archive.

    Parameters
    ----------
    content : bytes
    name : str
        What messages call it.
    wanted : callable
        Of the name of a file in it: whether to read it.

    Returns
    -------
    dict of str to bytes
        By name, in the order of the archive.

    Raises
    ------
    DataError
        When it is not a zip file, damaged, encrypted, or unpacks to more than the limits.

    Examples
    --------
    >>> stream = io.BytesIO()
    >>> with zipfile.ZipFile(stream, "w") as archive:
    ...     archive.writestr("a.csv", "x")
    >>> read_archive(stream.getvalue(), "t.zip")
    {'a.csv': b'x'}
    """
    if len(content) > MAX_PACKED:
        raise DataError(f"is larger than {MAX_PACKED // 2**20} MB", file=name, fix="Is it the right file?")
    found: dict[str, bytes] = {}
    total = 0
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            if len(entries) > MAX_ENTRIES:
                raise DataError(f"holds {len(entries):,} files; the limit is {MAX_ENTRIES:,}", file=name)
            for entry in entries:
                if entry.is_dir() or not wanted(entry.filename):
                    continue
                if entry.flag_bits & 1:
                    raise DataError("is encrypted", file=name, fix="Save it without a password.")
                with archive.open(entry) as stream:
                    raw = stream.read(MAX_ENTRY + 1)
                total += len(raw)
                if len(raw) > MAX_ENTRY or total > MAX_TOTAL:
                    raise DataError(
                        f"unpacks to more than {(MAX_ENTRY if len(raw) > MAX_ENTRY else MAX_TOTAL) // 2**20} MB "
                        f"(at {shortened(entry.filename, 60)!r})",
                        file=name,
                        fix="No data package or workbook is so large: it may be a zip bomb.",
                    )
                if entry.filename in found:
                    raise DataError(f"holds {shortened(entry.filename, 60)!r} twice", file=name)
                found[entry.filename] = raw
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        OSError,
        ValueError,
        RuntimeError,
    ) as problem:
        if isinstance(problem, DataError):
            raise
        raise DataError(
            f"cannot be unpacked ({shortened(problem, 80) or type(problem).__name__})", file=name,
            fix="Download or save it again: it may be cut.",
        ) from None  # fmt: skip
    return found
