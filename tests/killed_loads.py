"""Load while being killed; run as a program by `test_evidence_crash.py`.

One process imports everything and forks the loads, so that each is a process of its own that can be killed at once.

    python killed_loads.py PLACE FOLDER random COUNT      kill after a random time, COUNT loads
    python killed_loads.py PLACE FOLDER statements        kill before each statement in turn, until none is left

Prints one line per load: what it left ("old", "new"), and whether it was killed ("killed", "ended").
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from itertools import count
from pathlib import Path

from sqlalchemy import event
from sqlalchemy.engine import Engine

from enthesis.evidence import Store, load_tables
from small_tables import edit


def content(folder: Path) -> str:
    with Store.open(":memory:") as store:
        return load_tables(store, folder).snapshot.content_hash


def load(place: str, folder: Path) -> None:
    with Store.open(place) as store:
        load_tables(store, folder)


def killed_at(number: int) -> None:
    """Kill this process before its `number`-th statement; a commit counts as one."""
    left = count(1)

    def step(*_: object) -> None:
        if next(left) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", step)
    event.listen(Engine, "commit", step)


def forked(place: str, folder: Path, *, statement: int = 0, delay: float | None = None) -> bool:
    """Whether a load in its own process was killed."""
    child = os.fork()
    if child == 0:
        if statement:
            killed_at(statement)
        load(place, folder)
        os._exit(0)
    if delay is not None:
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit("a load failed")
    return os.WIFSIGNALED(status)


def state(place: str) -> str:
    with Store.open(place) as store:
        store.verify()
        return store.evidence().content_hash


def main(place: str, folder: Path, how: str, loads: int) -> None:
    old = state(place)
    begun = time.perf_counter()
    load(":memory:", folder)
    lasts = 1.5 * (time.perf_counter() - begun)
    chance = random.Random(1)
    for number in count(1):
        # Another note on every row, and one row more: facts are superseded and added.
        edit(folder / "outcomes.csv", lambda rows: [{**row, "note": f"load {number}"} for row in rows])  # noqa: B023
        edit(folder / "arms.csv", lambda rows: [*rows, {**rows[-1], "arm_id": f"arm-{number}"}])  # noqa: B023
        new = content(folder)
        if how == "random":
            killed = forked(place, folder, delay=chance.uniform(0, lasts))
        else:
            killed = forked(place, folder, statement=number)
        left = {old: "old", new: "new"}.get(state(place), "neither")
        load(place, folder)
        again = "again" if state(place) == new else "not again"
        print(left, "killed" if killed else "ended", again, flush=True)
        old = new
        if number == loads or (how == "statements" and not killed):
            return


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]) if len(sys.argv) > 4 else 0)
