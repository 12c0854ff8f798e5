"""Content hashes: one identity for caching, provenance and distribution.

`content_hash(value)` is the sha256 of a canonical, typed encoding of the value, so equal values have equal hashes
on every machine and in every process, and values of different type never collide by accident of printing.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import struct
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any

import numpy as np


def content_hash(value: Any) -> str:
    """The sha256 (64 hex digits) of any frozen value.

    Understands None, bool, int, float, str, bytes, dates, enums, tuples, lists, sets, dictionaries (order does not
    matter), NumPy arrays, frozen dataclasses, top-level functions (by name), and anything with a `content_hash`
    attribute that is a string.

    Examples
    --------
    >>> content_hash({"a": 1, "b": 2}) == content_hash({"b": 2, "a": 1})
    True
    >>> content_hash(1) == content_hash(1.0)
    False
    """
    digest = hashlib.sha256()
    _feed(digest.update, value)
    return digest.hexdigest()


def bytes_hash(raw: bytes) -> str:
    """The sha256 of bytes as they are: the identity of a source document."""
    return hashlib.sha256(raw).hexdigest()


def _sized(put: Callable[[bytes], object], tag: bytes, raw: bytes) -> None:
    put(tag + struct.pack(">Q", len(raw)))
    put(raw)


def _many(put: Callable[[bytes], object], tag: bytes, values: Iterable[Any]) -> None:
    values = list(values)
    put(tag + struct.pack(">Q", len(values)))
    for value in values:
        _feed(put, value)


def _feed(put: Callable[[bytes], object], value: Any) -> None:
    own = getattr(value, "content_hash", None)
    if isinstance(own, str):
        _sized(put, b"h", own.encode())
    elif value is None:
        put(b"0")
    elif isinstance(value, Enum):
        _many(put, b"e", (type(value).__name__, value.value))
    elif isinstance(value, bool | np.bool_):
        put(b"T" if value else b"F")
    elif isinstance(value, int | np.integer):
        _sized(put, b"i", str(int(value)).encode())
    elif isinstance(value, float | np.floating):
        put(b"f" + struct.pack(">d", float(value) + 0.0))
    elif isinstance(value, str):
        _sized(put, b"s", value.encode("utf-8", "surrogatepass"))
    elif isinstance(value, bytes):
        _sized(put, b"b", value)
    elif isinstance(value, datetime.date | datetime.datetime):
        _sized(put, b"d", value.isoformat().encode())
    elif isinstance(value, np.ndarray):
        _array(put, value)
    elif isinstance(value, list | tuple):
        _many(put, b"l", value)
    elif isinstance(value, set | frozenset):
        _many(put, b"S", sorted(content_hash(item) for item in value))
    elif isinstance(value, dict):
        _many(put, b"m", [pair for key in sorted(value, key=content_hash) for pair in (key, value[key])])
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [f.name for f in dataclasses.fields(value) if f.compare]
        _many(put, b"D", [type(value).__qualname__, *((name, getattr(value, name)) for name in fields)])
    elif callable(value) and hasattr(value, "__qualname__"):
        _sized(put, b"c", f"{value.__module__}.{value.__qualname__}".encode())
    else:
        raise TypeError(f"{type(value).__name__} has no canonical form, so it cannot be hashed")


def _array(put: Callable[[bytes], object], array: np.ndarray) -> None:
    if array.dtype.kind in "OUS":
        _many(put, b"o", [str(array.shape), *array.ravel().tolist()])
        return
    kind = {"i": "<i8", "u": "<u8", "f": "<f8", "b": "|b1", "c": "<c16"}[array.dtype.kind]
    canonical = np.ascontiguousarray(array.astype(kind))
    if array.dtype.kind == "f":
        canonical = canonical + 0.0
    _sized(put, b"a", f"{kind}{array.shape}".encode())
    put(canonical.tobytes())
