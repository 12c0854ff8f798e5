"""Run every claim of this folder: `run.py` or the tests of each folder below, one line for each.

    ENTHESIS_REFERENCE=<folder with golden/ and data/> python validation/run.py [folder ...]

The reference results of other programs are not part of this repository; without them the claims that need them say so.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def claims(wanted: list[str]) -> list[tuple[str, list[str]]]:
    """Name and command of every claim."""
    found = []
    for folder in sorted(path for path in HERE.iterdir() if path.is_dir()):
        if wanted and folder.name not in wanted:
            continue
        if (folder / "run.py").is_file():
            found.append((folder.name, [sys.executable, str(folder / "run.py")]))
        if any(folder.glob("test_*.py")):
            found.append((folder.name, [sys.executable, "-m", "pytest", "-m", "", str(folder)]))
    return found


def main() -> int:
    """Run them; 1 when one fails."""
    failed = []
    for name, command in claims(sys.argv[1:]):
        print(f"== {name}", flush=True)
        code = subprocess.run(command, cwd=HERE.parent, check=False).returncode
        if code != 0:
            failed.append(name)
    print(f"{len(failed)} of {len(claims(sys.argv[1:]))} claims failed: {', '.join(failed) or 'none'}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
