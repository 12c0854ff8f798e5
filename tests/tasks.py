"""Tasks at the top of a module, for processes to find."""

import os
import signal
import time
from pathlib import Path


def square(x):
    return x * x


def refuse_three(x):
    if x == 3:
        raise ValueError("three is refused")
    return x


def note_and_square(job):
    """Append the number to a file, so that a test can count how often each was computed."""
    folder, x = job
    with Path(folder, "log").open("a") as log:
        log.write(f"{x}\n")
    return x * x


def wait_and_square(job):
    """Note the start, then take a while, so that a worker can be killed while it runs."""
    folder, x = job
    with Path(folder, "log").open("a") as log:
        log.write(f"{x}\n")
    time.sleep(0.2)
    return x * x


def die_once(job):
    """The worker that gets the number 5 for the first time is killed, as by the kernel out of memory."""
    folder, x = job
    mark = Path(folder, "killed")
    if x == 5 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return note_and_square(job)


def die_always(x):
    if x == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return x
