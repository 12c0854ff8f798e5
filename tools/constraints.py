"""Write constraints.txt: the full versions of everything that enthesis, its tests and its documentation install.

A fresh environment of the oldest supported Python resolves `.[test,docs,postgresql]` without constraints, and what came
of it is written down. The file names versions only, so that it holds wherever packages come from. Run it with
`make constraints`, then `make test` on the oldest and on the newest supported Python.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OLDEST = (3, 11)
HEADER = """\
# Full versions of what `pip install -e '.[test,docs,postgresql]'` brings in, resolved on Python {version}.
# Written by `make constraints`; used by every install of the Makefile.
"""


def resolved() -> list[str]:
    """The lines of pip's own list, one `name==version` each, without enthesis."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        pip = [str(Path(folder, "bin", "python")), "-m", "pip", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "-q", f"{ROOT}[test,docs,postgresql]"], check=True)
        done = subprocess.run([*pip, "list", "--format=freeze"], check=True, capture_output=True, text=True)
    own = {"enthesis", "pip", "setuptools", "wheel"}
    return sorted((line for line in done.stdout.splitlines() if line.split("==")[0].lower() not in own), key=str.lower)


def main() -> None:
    """Resolve and write."""
    if sys.version_info[:2] != OLDEST:
        sys.exit("Constraints are resolved on Python 3.11: make constraints PYTHON=python3.11")
    header = HEADER.format(version=f"{OLDEST[0]}.{OLDEST[1]}")
    Path(ROOT, "constraints.txt").write_text(header + "\n".join(resolved()) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
