"""map(task, inputs): one function for everything that fans out, on one core, on many, or on a cluster.

A task is a function at the top of a module; each input is a value with a content hash. A result is known by the hash of
task, input and version of enthesis, so equal inputs are computed once, a cache makes a second run cost nothing, and
results come back in the order of the inputs whatever the number of workers. A worker that dies loses the task it ran,
which is tried again; everything finished is kept.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, MutableMapping
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any, Protocol

from enthesis import __version__
from enthesis.errors import EnthesisError, UsageError, shortened
from enthesis.hashing import content_hash

#: a task that loses its worker this many times is given up: memory or a fault in native code, not chance
ATTEMPTS = 3


class Executor(Protocol):
    """Anything with `submit`, such as those of `concurrent.futures` or a Dask client."""

    def submit(self, task: Callable[..., Any], /, *inputs: Any) -> Any:
        """Start a task; what is returned has a method `result()`."""


class WorkerLost(EnthesisError):
    """A task whose worker died again and again."""


def map(
    task: Callable[[Any], Any],
    inputs: Iterable[Any],
    *,
    executor: Executor | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], object] | None = None,
    cache: MutableMapping[str, Any] | None = None,
) -> list[Any]:
    """The results of a task for many inputs, in their order.

    Parameters
    ----------
    task : callable
        A function of one argument at the top of a module. What it computes may depend on its input only.
    inputs : iterable
        Values with a content hash (see `hashing`); equal ones are computed once.
    executor : optional
        Anything with `submit`. Without it tasks run here, or in `workers` processes.
    workers : int, optional
        Number of processes; None or 1 for none.
    progress : callable, optional
        Called with (finished, in all) at the start and after each result.
    cache : mutable mapping, optional
        Results by key, read first and filled: a dictionary, or a `Folder`.

    Returns
    -------
    list
        One result per input.

    Raises
    ------
    UsageError
        When the task is not at the top of a module, or the number of workers is not positive.
    WorkerLost
        When a task loses its worker three times.
    Exception
        The first that a task raises; tasks that wait are then not started.

    Examples
    --------
    >>> import math
    >>> map(math.factorial, [3, 4, 3])
    [6, 24, 6]
    """
    name = f"{getattr(task, '__module__', None)}.{getattr(task, '__qualname__', '')}"
    if not callable(task) or "<" in name or name.endswith("."):
        raise UsageError(f"a task must be a function at the top of a module, so that a worker can find it; not {name}.")
    if workers is not None and workers < 1:
        raise UsageError(f"the number of workers must be 1 or more, not {workers}.")
    inputs = list(inputs)
    keys = [task_key(task, value) for value in inputs]
    results: dict[str, Any] = {}
    todo: dict[str, Any] = {}
    for key, value in zip(keys, inputs, strict=True):
        if cache is not None and key not in results and key in cache:
            results[key] = cache[key]
        if key not in results:
            todo[key] = value
    total = len(results) + len(todo)

    def keep(key: str, result: Any) -> None:
        results[key] = result
        if cache is not None:
            cache[key] = result
        if progress:
            progress(len(results), total)

    if progress:
        progress(len(results), total)
    if executor is not None:
        _through(executor, task, todo, keep)
    elif (workers or 1) == 1 or len(todo) < 2:
        for key, value in todo.items():
            keep(key, task(value))
    else:
        _in_processes(task, todo, keep, workers or 1)
    return [results[key] for key in keys]


def task_key(task: Callable[[Any], Any], value: Any) -> str:
    """The identity of a result: hash of task, input and version.

    Examples
    --------
    >>> import math
    >>> len(task_key(math.factorial, 3))
    64
    """
    return content_hash((__version__, f"{task.__module__}.{task.__qualname__}", value))


def _through(executor: Executor, task: Callable, todo: dict[str, Any], keep: Callable[[str, Any], None]) -> None:
    """Tasks on an executor of the caller; a task lost with its worker is submitted again."""
    futures = {key: executor.submit(task, value) for key, value in todo.items()}
    for key, future in futures.items():
        for attempt in range(ATTEMPTS):
            try:
                result = future.result()
                break
            except BrokenExecutor as lost:
                if attempt == ATTEMPTS - 1:
                    raise _lost(todo[key]) from lost
                try:
                    future = executor.submit(task, todo[key])
                except BrokenExecutor:
                    raise WorkerLost("a worker died and the executor takes no more tasks: start another one.") from lost
        keep(key, result)


def _in_processes(task: Callable, todo: dict[str, Any], keep: Callable[[str, Any], None], workers: int) -> None:
    """Tasks in processes, never more submitted than run, so that a dying worker takes few with it.

    A pool cannot say which of its workers died: the tasks that ran then are suspects, and are tried one at a time.
    """
    waiting, lost = dict(todo), Counter[str]()
    while waiting:
        suspects = [key for key in waiting if lost[key]]
        round_ = dict.fromkeys(suspects[:1] or waiting)
        width = min(workers, len(round_))
        with _pool(task, width) as pool:
            for key, outcome in _rolling(pool, width, task, {key: waiting[key] for key in round_}):
                if isinstance(outcome, BrokenExecutor):
                    lost[key] += 1
                    if lost[key] >= ATTEMPTS:
                        raise _lost(waiting[key]) from outcome
                    continue
                keep(key, outcome.result())
                del waiting[key]


def _rolling(pool: ProcessPoolExecutor, width: int, task: Callable, todo: dict[str, Any]):
    """(key, future or the error of a broken pool) as they finish; ends when the pool breaks."""
    queue = iter(todo.items())
    running: dict[Future, str] = {}
    broken = False
    while True:
        while not broken and len(running) < width and (item := next(queue, None)):
            try:
                running[pool.submit(task, item[1])] = item[0]
            except BrokenExecutor:
                broken = True
        if not running:
            return
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            key, problem = running.pop(future), future.exception()
            broken = broken or isinstance(problem, BrokenExecutor)
            yield key, problem if isinstance(problem, BrokenExecutor) else future


def _pool(task: Callable, workers: int) -> ProcessPoolExecutor:
    """Processes forked from a server that has imported the task's module once; no thread or lock is copied."""
    context = multiprocessing.get_context("forkserver" if os.name == "posix" else "spawn")
    if os.name == "posix":
        context.set_forkserver_preload([task.__module__])
    return ProcessPoolExecutor(max_workers=workers, mp_context=context)


def _lost(value: Any) -> WorkerLost:
    return WorkerLost(
        f"the worker died {ATTEMPTS} times on the input {shortened(repr(value))}: too little memory, or a fault in "
        "native code. Run it alone, or with fewer workers."
    )


class Folder(MutableMapping[str, Any]):
    """A cache of results as files in a folder, each written whole or not at all.

    Results are pickled: use a folder that only you can write to.

    Parameters
    ----------
    path : path
        Made when it does not exist.

    Examples
    --------
    >>> import math, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = map(math.factorial, [3, 4], cache=Folder(folder))
    ...     len(Folder(folder))
    2
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.path.mkdir(parents=True, exist_ok=True)

    def _file(self, key: str) -> Path:
        if len(key) != 64 or not set(key) <= set("0123456789abcdef"):
            raise KeyError(key)
        return self.path / f"{key}.pickle"

    def __getitem__(self, key: str) -> Any:
        try:
            return pickle.loads(self._file(key).read_bytes())
        except FileNotFoundError:
            raise KeyError(key) from None

    def __setitem__(self, key: str, result: Any) -> None:
        handle, temporary = tempfile.mkstemp(dir=self.path)
        with os.fdopen(handle, "wb") as file:
            pickle.dump(result, file)
        Path(temporary).replace(self._file(key))

    def __delitem__(self, key: str) -> None:
        try:
            self._file(key).unlink()
        except FileNotFoundError:
            raise KeyError(key) from None

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._file(key).exists()

    def __iter__(self):
        return (path.stem for path in sorted(self.path.glob("*.pickle")))

    def __len__(self) -> int:
        return sum(1 for _ in self)
