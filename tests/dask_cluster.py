"""A Dask scheduler and its workers as processes on the loopback interface, started and ended by the test itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

#: nannies would start a killed worker again; without them a kill is a loss
_WORKER = "from distributed.cli.dask_worker import main; main()"
_SCHEDULER = "from distributed.cli.dask_scheduler import main; main()"
HERE = Path(__file__).parent


class Cluster:
    """One scheduler and a number of workers of one thread each.

    Parameters
    ----------
    workers : int
    """

    def __init__(self, workers: int) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="dask-")
        file = Path(self.folder.name, "scheduler.json")
        self.processes = [self._start(_SCHEDULER, "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
                                      "--scheduler-file", str(file))]  # fmt: skip
        deadline = time.monotonic() + 60
        while not (file.exists() and file.stat().st_size):
            if time.monotonic() > deadline or self.processes[0].poll() is not None:
                self.stop()
                raise RuntimeError("the scheduler did not start")
            time.sleep(0.05)
        self.address: str = json.loads(file.read_text())["address"]
        self.workers = [self.start_worker() for _ in range(workers)]

    def start_worker(self) -> subprocess.Popen:
        """Start one more worker of one thread."""
        self.processes.append(self._start(_WORKER, self.address, "--host", "127.0.0.1", "--nthreads", "1", "--no-nanny",
                                          "--no-dashboard", "--memory-limit", "0"))  # fmt: skip
        return self.processes[-1]

    def _start(self, code: str, *arguments: str) -> subprocess.Popen:
        path = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
        environment = {**os.environ, "PYTHONPATH": path, "PYTHONWARNINGS": "ignore", "OPENBLAS_NUM_THREADS": "1"}
        return subprocess.Popen([sys.executable, "-c", code, *arguments], cwd=self.folder.name, env=environment,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip

    def kill(self, worker: int) -> None:
        """End one worker without a word, as the kernel does when memory runs out."""
        self.workers[worker].send_signal(signal.SIGKILL)

    def stop(self) -> None:
        """End what this cluster started."""
        for process in reversed(self.processes):
            process.kill()
        for process in self.processes:
            process.wait()
        self.folder.cleanup()
