"""Measure, and say what was measured against what: `python benchmarks/run.py [word ...]`.

Every file `bench_*.py` beside this one has a function `cases()` that yields `Case`s. A case is timed several times, its
median stands in the table beside the ratio to the baseline of its file, measured in the same run on the same machine.
The table is printed and written to build/benchmarks.md, with all times to build/benchmarks.json. Words choose the cases
whose group or name holds one of them, with their baselines.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Case:
    """Something to be timed.

    Parameters
    ----------
    name : str
    call : callable
    repeat : int
    budget : float, optional
        Seconds that it should take at most.
    """

    name: str
    call: Callable[[], object]
    repeat: int = 5
    budget: float | None = None


def files() -> Iterator[tuple[str, list[Case]]]:
    """The cases of every file; the first is its baseline."""
    sys.modules.setdefault("run", sys.modules[__name__])
    for path in sorted(HERE.glob("bench_*.py")):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield path.stem.removeprefix("bench_"), list(module.cases())


def seconds(case: Case) -> list[float]:
    """Times of a case, in the order they were taken."""
    times = []
    for _ in range(case.repeat):
        start = perf_counter()
        case.call()
        times.append(perf_counter() - start)
    return times


def main(words: list[str]) -> int:
    """Measure and report; 1 when a budget is exceeded."""
    rows, late = [], []
    for group, cases in files():
        chosen = [case for case in cases if not words or any(word in f"{group} {case.name}" for word in words)]
        baseline = None
        for case in [cases[0], *(case for case in chosen if case is not cases[0])] if chosen else []:
            times = seconds(case)
            median = statistics.median(times)
            baseline = baseline or median
            rows.append({"group": group, "name": case.name, "seconds": median, "ratio": median / baseline,
                         "budget": case.budget, "times": times})  # fmt: skip
            if case.budget is not None and median > case.budget:
                late.append(case.name)
            print(line(rows[-1]), flush=True)
    machine = {"python": platform.python_version(), "machine": platform.machine(), "cores": os.cpu_count(),
               "load": os.getloadavg()[0]}  # fmt: skip
    head = "| group | what | median, s | times the baseline | budget, s |\n| --- | --- | --- | --- | --- |\n"
    told = f"\nPython {machine['python']}, {machine['cores']} cores, load {machine['load']:.1f} at the end.\n"
    build = HERE.parent / "build"
    build.mkdir(exist_ok=True)
    (build / "benchmarks.md").write_text(head + "".join(line(row) + "\n" for row in rows) + told, encoding="utf-8")
    (build / "benchmarks.json").write_text(json.dumps({"machine": machine, "rows": rows}, indent=1), encoding="utf-8")
    print(f"{told}The table is in {build / 'benchmarks.md'}")
    if late:
        print(f"Over budget: {', '.join(late)}", file=sys.stderr)
    return int(bool(late))


def line(row: dict) -> str:
    """A row of the table."""
    budget = "" if row["budget"] is None else f"{row['budget']:g}"
    return f"| {row['group']} | {row['name']} | {row['seconds']:.3f} | {row['ratio']:.1f} | {budget} |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
