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
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
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
    lost: Callable[[Any, WorkerLost], Any] | None = None,
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
    lost : callable, optional
        (input, the error) → what stands for the result of a task that is given up; it is not cached. By default the
        error is raised.

    Returns
    -------
    list
        One result per input.

    Raises
    ------
    UsageError
        When the task is not at the top of a module, or the number of workers is not positive.
    WorkerLost
        When a task loses its worker three times and `lost` is not given, or the executor has stopped.
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

    def give_up(key: str, problem: WorkerLost) -> None:
        if lost is None:
            raise problem
        results[key] = lost(todo[key], problem)
        if progress:
            progress(len(results), total)

    if progress:
        progress(len(results), total)
    if executor is not None:
        _through(executor, task, todo, keep, give_up)
    elif (workers or 1) == 1 or len(todo) < 2:
        for key, value in todo.items():
            keep(key, task(value))
    else:
        _in_processes(task, todo, keep, give_up, workers or 1)
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


def _through(
    executor: Executor,
    task: Callable,
    todo: dict[str, Any],
    keep: Callable[[str, Any], None],
    give_up: Callable[[str, WorkerLost], None],
) -> None:
    """Tasks on an executor of the caller; a task lost with its worker is submitted again."""
    # an executor that tries again by itself says with these errors that it has given a task up
    tried = getattr(executor, "given_up", ())
    futures = {key: executor.submit(task, value) for key, value in todo.items()}
    for key, future in futures.items():
        for attempt in range(ATTEMPTS):
            try:
                keep(key, future.result())
                break
            except tried as problem:
                give_up(key, _lost(todo[key], problem))
                break
            except CancelledError as problem:
                raise WorkerLost("the executor has stopped before its work was done: start it again.") from problem
            except BrokenExecutor as problem:
                if attempt == ATTEMPTS - 1:
                    give_up(key, _lost(todo[key], problem))
                    break
                try:
                    future = executor.submit(task, todo[key])
                except BrokenExecutor:
                    raise WorkerLost(
                        "a worker died and the executor takes no more tasks: start another one."
                    ) from problem


def _in_processes(
    task: Callable,
    todo: dict[str, Any],
    keep: Callable[[str, Any], None],
    give_up: Callable[[str, WorkerLost], None],
    workers: int,
) -> None:
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
                        give_up(key, _lost(waiting[key], outcome))
                        del waiting[key]
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


def _lost(value: Any, cause: BaseException) -> WorkerLost:
    problem = WorkerLost(
        f"the worker died {ATTEMPTS} times on the input {shortened(repr(value))}: too little memory, or a fault in "
        "native code. Run it alone, or with fewer workers."
    )
    problem.__cause__ = cause
    return problem


class Cluster:
    """A Dask cluster as an executor; see `cluster`.

    Parameters
    ----------
    client : distributed.Client
    given_up : tuple of exception classes
        With which the scheduler says that a task has cost it too many workers.
    """

    def __init__(self, client: Any, given_up: tuple[type[BaseException], ...]) -> None:
        self.client, self.given_up = client, given_up

    def submit(self, task: Callable[..., Any], /, *inputs: Any) -> Any:
        """Start a task on one of the workers; the scheduler starts it again when its worker dies."""
        return self.client.submit(task, *inputs, pure=False)


@contextmanager
def cluster(address: str, *, timeout: float = 10.0) -> Iterator[Cluster]:
    """A Dask cluster by the address of its scheduler, for `map(..., executor=...)`.

    Workers and scheduler exchange pickled Python: connect only to a cluster that you trust.

    Parameters
    ----------
    address : str
        Such as `tcp://host:8786`.
    timeout : float
        Seconds to wait for the scheduler.

    Yields
    ------
    Cluster

    Raises
    ------
    UsageError
        When `distributed` is not installed, nothing answers at the address, no worker is there, or a worker has no
        enthesis or another version.
    """
    try:
        from distributed import Client, KilledWorker
    except ImportError:
        raise UsageError("a Dask cluster needs the package distributed: install enthesis[dask].") from None
    where = shortened(address)
    try:
        client = Client(address, timeout=timeout, set_as_default=False)
    except (OSError, ValueError, TypeError) as problem:
        raise UsageError(
            f"no Dask scheduler answers at {where!r}. Start one (`dask scheduler`), and give its address as tcp://host:port."
        ) from problem
    try:
        _require_workers(client, where, timeout)
        yield Cluster(client, (KilledWorker,))
    finally:
        client.close()


def _require_workers(client: Any, where: str, timeout: float) -> None:
    """Raise UsageError unless there is a worker, and all have this version of enthesis."""
    try:
        client.wait_for_workers(1, timeout=timeout)
    except TimeoutError:
        raise UsageError(f"the scheduler at {where!r} has no workers. Start some: `dask worker {where}`.") from None
    try:
        found = set(client.run(_version).values())
    except Exception as problem:
        raise UsageError(
            f"a worker of {where!r} cannot import enthesis ({shortened(problem)}). Install it there."
        ) from problem
    if found != {__version__}:
        raise UsageError(
            f"workers of {where!r} have enthesis {', '.join(sorted(found))}, and this is {__version__}. Install one "
            "version everywhere."
        )


def _version() -> str:
    return __version__


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
