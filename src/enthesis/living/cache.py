"""What was computed once is kept beside the store: fits by their inputs, parts by what they read.

A kept result is used again only when everything that decides it is the same: data, model, engine settings, and the
source code of the packages that compute. It is whole or not there: a checksum stands before each, so that a torn file
after a power cut is computed again and not believed. The folder can be deleted at any time.
"""

from __future__ import annotations

import errno
import hashlib
import os
import pickle
import tempfile
from collections.abc import Iterator, MutableMapping
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from time import time
from typing import Any

from enthesis import __version__
from enthesis.errors import StoreError

#: packages whose code decides numbers
_DECIDING = ("network", "models", "inference", "estimands.py", "execute.py", "hashing.py")
#: a temporary file that is older belongs to a process that was killed
_STALE_SECONDS = 86_400


@lru_cache(maxsize=1)
def method_hash() -> str:
    """The hash of the version and of the source code that decides the numbers of a fit."""
    root = Path(str(files("enthesis")))
    digest = hashlib.sha256(__version__.encode())
    for name in _DECIDING:
        place = root / name
        for path in [place] if place.is_file() else sorted(place.rglob("*")):
            if path.suffix in (".py", ".toml", ".csv"):
                digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


@lru_cache(maxsize=64)
def code_hash(module: str) -> str:
    """The hash of the source code of the layer in which a module is, for results that more than the fits decide."""
    root = Path(str(files("enthesis"))).parent
    folder = (root / Path(*module.split("."))).parent
    digest = hashlib.sha256(method_hash().encode())
    for path in sorted(folder.glob("*")) if root in folder.parents else []:
        if path.suffix in (".py", ".toml"):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


class Kept(MutableMapping[str, Any]):
    """Results in a folder that only its owner can read, by key.

    Results are pickled: use a folder that only you can write to.

    Parameters
    ----------
    path : path
        Made when it does not exist.
    salt : str
        Part of every key; by default the hash of the computing code.

    Attributes
    ----------
    found, made : int
        How often a result was there, and how many were stored.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     kept = Kept(folder)
    ...     kept["a"] = 1
    ...     Kept(folder)["a"], "b" in kept
    (1, False)
    """

    def __init__(self, path: str | Path, salt: str | None = None) -> None:
        self.path = Path(path)
        self.salt = method_hash() if salt is None else salt
        self.found = self.made = 0
        with sentences(self.path):
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        for old in self.path.glob("*.part"):
            try:
                if time() - old.stat().st_mtime > _STALE_SECONDS:
                    old.unlink()
            except OSError:  # another process was quicker
                continue

    def _file(self, key: str) -> Path:
        return self.path / (hashlib.sha256(f"{self.salt}|{key}".encode()).hexdigest() + ".kept")

    def __getitem__(self, key: str) -> Any:
        try:
            raw = self._file(key).read_bytes()
        except OSError:
            raise KeyError(key) from None
        if hashlib.sha256(raw[32:]).digest() != raw[:32]:
            raise KeyError(key)
        try:
            value = pickle.loads(raw[32:])
        except Exception:  # written by another version of a class: computed again
            raise KeyError(key) from None
        self.found += 1
        return value

    def __setitem__(self, key: str, result: Any) -> None:
        raw = pickle.dumps(result)
        write_whole(self._file(key), hashlib.sha256(raw).digest() + raw)
        self.made += 1

    def __delitem__(self, key: str) -> None:
        try:
            self._file(key).unlink()
        except FileNotFoundError:
            raise KeyError(key) from None

    def __contains__(self, key: object) -> bool:
        if not isinstance(key, str):
            return False
        try:
            self[key]
        except KeyError:
            return False
        self.found -= 1
        return True

    def __iter__(self) -> Iterator[str]:
        return (path.stem for path in sorted(self.path.glob("*.kept")))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def write_whole(path: Path, raw: bytes, *, new: bool = False) -> None:
    """Write a file that is whole or not there, also when the process is killed or the disk is full.

    Parameters
    ----------
    path : Path
        In a folder that exists.
    raw : bytes
    new : bool
        True: FileExistsError when the file is there already, whoever was quicker.
    """
    with sentences(path):
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(raw)
                file.flush()
                os.fsync(file.fileno())
            if new:
                _link(temporary, path, raw)
            else:
                os.replace(temporary, path)
        finally:
            Path(temporary).unlink(missing_ok=True)


def _link(temporary: str, path: Path, raw: bytes) -> None:
    """Give a finished file its name unless that is taken; where there are no links, write it under its name."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:
        with path.open("xb") as file:
            file.write(raw)


class sentences:
    """What the operating system refuses, as a sentence about a place."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, problem: BaseException | None, _trace: object) -> None:
        if not isinstance(problem, OSError) or isinstance(problem, FileExistsError):
            return
        if problem.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreError(
                f"{self.place} cannot be written: the disk is full. Free some space and start again; what was finished "
                "is kept."
            ) from problem
        if problem.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise StoreError(
                f"{self.place} cannot be written: no permission. Choose a store in a folder that you can write to."
            ) from problem
        raise StoreError(f"{self.place} cannot be used: {problem.strerror or type(problem).__name__}.") from problem


__all__ = ["Kept", "code_hash", "method_hash", "sentences", "write_whole"]
