import os
import subprocess
import sys
from pathlib import Path

import pytest

from enthesis.evidence import Store, load_tables
from small_tables import edit, small_folder

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="loads are forked")

PROGRAM = Path(__file__).with_name("killed_loads.py")


def outcomes(place, folder, *how) -> list[tuple[str, str, str]]:
    """What each load left, whether it was killed, and whether it could be run again."""
    small = small_folder(folder)
    edit(small / "outcomes.csv", lambda rows: rows[:10])
    edit(small / "curation.csv", lambda rows: rows[:5])
    run = subprocess.run(
        [sys.executable, str(PROGRAM), place, str(small), *how], capture_output=True, text=True, timeout=300
    )
    assert run.returncode == 0, run.stderr
    return [tuple(line.split(maxsplit=2)) for line in run.stdout.splitlines()]


def test_a_load_killed_at_a_random_point_leaves_the_old_or_the_new_state(place, tmp_path):
    loads = "20" if place.startswith("postgresql") else "50"
    told = outcomes(place, tmp_path / "tables", "random", loads)
    assert {left for left, _, _ in told} <= {"old", "new"}
    assert len(told) == int(loads)
    assert sum(killed == "killed" for _, killed, _ in told) >= 5
    assert {again for _, _, again in told} == {"again"}


def test_a_load_killed_before_any_statement_leaves_the_old_state_and_after_its_commit_the_new(place, tmp_path):
    *killed, last = outcomes(place, tmp_path / "tables", "statements")
    old = sum(left == "old" for left, _, _ in killed)
    assert old > 15
    assert [left for left, _, _ in killed] == ["old"] * old + ["new"] * (len(killed) - old)
    assert {again for _, _, again in killed} == {"again"}
    assert last == ("new", "ended", "again")


FIRST_LOAD = """
import sys
sys.path.insert(0, sys.argv[1])
from killed_loads import forked
from pathlib import Path
from itertools import count
for number in count(1):
    place = f"{sys.argv[2]}/store-{number}.sqlite"
    if not forked(place, Path(sys.argv[3]), statement=number):
        break
print(number)
"""


def test_a_first_load_killed_before_any_statement_leaves_a_store_that_opens(tmp_path):
    folder = small_folder(tmp_path / "tables")
    command = [sys.executable, "-c", FIRST_LOAD, str(PROGRAM.parent), str(tmp_path), str(folder)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    states = []
    for number in range(1, int(run.stdout)):
        with Store.open(tmp_path / f"store-{number}.sqlite") as store:
            states.append(len(store.evidence().facts))
            assert load_tables(store, folder).total("rejected_rows") == 0
            store.verify()
    empty = states.count(0)
    assert empty > 15
    assert states == [0] * empty + [states[-1]] * (len(states) - empty)
