"""The bundled review as a newcomer runs it: against its main outcome alone."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from run import Case


def reviewed(*options: str) -> None:
    program = str(Path(sys.executable).with_name("enthesis"))
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([program, "review", "run", "axspa", "--out", folder, *options], check=True, capture_output=True)


def cases():
    yield Case("enthesis review run axspa --only ASAS40", lambda: reviewed("--only", "ASAS40"), repeat=1)
    yield Case("enthesis review run axspa", reviewed, repeat=1, budget=15.0)
