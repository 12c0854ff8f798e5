"""Updates that are killed, and several at once; run as a program by `test_living_update.py`.

One process imports everything and forks the updates, so that each is a process of its own that can be killed at once.

    python killed_updates.py kill PLACE REVIEW           kill before each step on the disk in turn; prints how often
    python killed_updates.py kill PLACE REVIEW NUMBER    kill before that step only
    python killed_updates.py together PLACE REVIEW N     N updates at once
    python killed_updates.py record FOLDER N M           N processes that record M runs each
"""

from __future__ import annotations

import os
import signal
import sys
from itertools import count
from pathlib import Path

from enthesis.evidence import Store
from enthesis.living.history import History, Record, living_folder
from enthesis.living.review import Review
from enthesis.living.update import update

STEPS = ("fsync", "replace", "rename", "link")


def updated(place: str, review: str) -> None:
    with Store.open(place) as store:
        update(Review.load(review), store)


def killed_at(number: int) -> None:
    """Kill this process before its `number`-th step on the disk."""
    left = count(1)

    def counted(real):
        def step(*arguments, **more):
            if next(left) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **more)

        return step

    for name in STEPS:
        setattr(os, name, counted(getattr(os, name)))


def forked(work) -> int:
    child = os.fork()
    if not child:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return child


def ended(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kill(place: str, review: str, number: int) -> bool:
    """Whether an update was killed at this step; it must leave a history that is read."""

    def work() -> None:
        killed_at(number)
        updated(place, review)

    killed = ended(forked(work)) == -signal.SIGKILL
    assert len(History(living_folder(place)).records()) <= 1
    return killed


def main(what: str, *rest: str) -> None:
    if what == "kill":
        place, review, *only = rest
        numbers = [int(only[0])] if only else count(1)
        print(sum(1 for _ in iter_killed(place, review, numbers)))
    elif what == "together":
        place, review, n = rest
        children = [forked(lambda: updated(place, review)) for _ in range(int(n))]
        print(*(ended(child) for child in children))
    else:
        folder, n, m = rest

        def work(writer: int) -> None:
            for turn in range(int(m)):
                History(Path(folder)).add(Record(review=f"{writer}-{turn}"))

        children = [forked(lambda writer=writer: work(writer)) for writer in range(int(n))]
        print(*(ended(child) for child in children))


def iter_killed(place: str, review: str, numbers):
    for number in numbers:
        if not kill(place, review, number):
            return
        yield number


if __name__ == "__main__":
    main(*sys.argv[1:])
