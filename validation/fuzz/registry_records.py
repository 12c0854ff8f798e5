"""Fuzz the parser of registry records with coverage guidance: any bytes become facts or one DataError.

    python -m pip install atheris
    python validation/fuzz/registry_records.py [CORPUS] -max_total_time=600

Without atheris it says so and ends well: the default tests fuzz with hypothesis.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

try:
    import atheris
except ImportError:
    print("atheris is not installed: nothing was fuzzed.")
    sys.exit(0)

with atheris.instrument_imports(include=["enthesis.evidence.sources.ctgov"]):
    from enthesis.errors import DataError
    from enthesis.evidence.sources.ctgov.parse import parse

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
from ctgov_records import analysis, as_bytes, asas40, record

SEED = json.loads(as_bytes(record(asas40(analyses=[analysis()]))))


def paths(value: object, above: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The way to every value of a tree."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [above, *(found for name, child in pairs for found in paths(child, (*above, name)))]


PATHS = [path for path in paths(SEED) if path]


def mutated(data: atheris.FuzzedDataProvider) -> bytes:
    """The seed with a few values replaced, or bytes as they come."""
    if data.ConsumeProbability() < 0.2:
        return data.ConsumeBytes(4096)
    tree = json.loads(json.dumps(SEED))
    for _ in range(data.ConsumeIntInRange(1, 4)):
        path = PATHS[data.ConsumeIntInRange(0, len(PATHS) - 1)]
        place = tree
        try:
            for name in path[:-1]:
                place = place[name]
            place[path[-1]] = value(data)
        except (KeyError, IndexError, TypeError):
            continue
    return as_bytes(tree)


def value(data: atheris.FuzzedDataProvider) -> object:
    """A value of any type."""
    kind = data.ConsumeIntInRange(0, 6)
    text = data.ConsumeUnicode(40)
    return [None, True, data.ConsumeInt(8), text, [text], {text: text}, f"{data.ConsumeFloat()}"][kind]


def one(content: bytes) -> None:
    """One attempt."""
    try:
        found = parse(mutated(atheris.FuzzedDataProvider(content)), "fuzz")
    except DataError:
        return
    for item in found:
        json.dumps(item.to_dict(), allow_nan=False)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
