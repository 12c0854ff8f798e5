"""How long it takes until something happens: against a Python that does nothing."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

from run import Case


def called(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def cases():
    python = partial(called, sys.executable, "-c")
    yield Case("python -c pass", partial(python, "pass"), repeat=11)
    program = str(Path(sys.executable).with_name("enthesis"))
    yield Case("enthesis --help", partial(called, program, "--help"), repeat=11, budget=0.4)
    yield Case("enthesis fit --help", partial(called, program, "fit", "--help"), repeat=5)
    yield Case("import enthesis", partial(python, "import enthesis"), repeat=11)
    yield Case("import numpy, scipy.stats, pandas", partial(python, "import numpy, scipy.stats, pandas"))
    yield Case("import fit and from_table", partial(python, "from enthesis import fit, from_table"))
