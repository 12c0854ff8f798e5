"""`enthesis`: the program, its exit codes, and the only place where errors become sentences.

Commands live in the modules of `COMMANDS` and are imported when they are called, so `enthesis --help` stays quick; help
is plain text for the same reason. Data go to standard output; progress, notes and errors to standard error.

Exit codes: 0 fine, 1 error, 2 usage, 3 bad data, 4 computed but the status is not ok, 130 interrupted.
"""

from __future__ import annotations

import codecs
import sys
from collections.abc import Iterator, MutableMapping
from importlib import import_module
from keyword import iskeyword
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from enthesis import __version__

#: every command with the line that `enthesis --help` shows; its module is `enthesis.cli.<name>` with _ for -,
#: and with _ at the end where the name is a word of Python
COMMANDS: dict[str, str] = {
    "review": "Run a standing review: build its networks, fit its models, write its report.",
    "update": "Compute what new evidence touches, use the rest again, and record the run.",
    "conclusions": "Evaluate the conclusions that a review keeps as data: probability, threshold, state.",
    "diff": "Say what moved between two snapshots, which studies moved it, and whether it matters.",
    "fit": "Fit a network meta-analysis to a table of studies.",
    "compare-models": "Fit several models to one table and compare them: deviance, DIC, WAIC and leave-one-study-out.",
    "consistency": "Test whether designs agree, and split every comparison into direct and indirect evidence.",
    "contribution": "Share each network estimate among the direct comparisons, or the studies, that it rests on.",
    "ranks": "Rank treatments: P-score, SUCRA, mean rank, rank probabilities, and P-scores that demand a difference.",
    "influence": "Leave out each study or comparison in turn, add studies one by one, or diagnose each study.",
    "funnel": "Test for small-study effects and draw the funnel.",
    "monitor": "Monitor a comparison study by study: trial sequential analysis, and a sceptic's posterior probability.",
    "place": "Give each drug its place by the rules of a review, with what decided and what nearly did.",
    "benefit-risk": "Weigh benefits against harms for the drugs that all criteria of a review hold.",
    "threshold": "Tell how far each data point, or each bias, could move before the decision changes.",
    "multiverse": "Estimate one comparison under every combination of analytic choices.",
    "safety": "Compare the risk of adverse events between two classes for one patient, saying what is borrowed.",
    "borrow": "Estimate a rate ratio from few own events and from relative effects in another indication.",
    "rates": "Pool incidence rates of single arms: exact intervals, random effects, no continuity correction.",
    "certainty": "Rate how certain each estimate is, with the reason of every judgement (CINeMA, GRADE).",
    "sof": "Summarise the findings of a question on one page: effects, certainty, rank, interpretation.",
    "rob": "Keep, exchange and draw judgements of risk of bias.",
    "evidence": "Load published results into a store and see what is behind each number.",
    "forecast": "Tell which trials may change which conclusion, and how large a new one must be.",
    "lint": "Check the stored numbers against arithmetic, scales and one another.",
    "records": "Records: duplicates, reports of studies, retracted sources, export.",
    "screen": "Screen records: what to read next, decisions as facts, recall and effort.",
    "prisma": "Count what was found, screened and included, and fill the PRISMA-NMA checklist as far as that goes.",
    "import": "Import registry records, papers and tables into a store, with sources.",
}

OK, ERROR, USAGE, BAD_DATA, NOT_OK, INTERRUPTED = 0, 1, 2, 3, 4, 130


class _Commands(MutableMapping[str, Any]):
    """Commands by name, imported when asked for."""

    def __init__(self) -> None:
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            if name not in COMMANDS:
                raise KeyError(name)
            app = import_module(f"enthesis.cli.{name.replace('-', '_')}{'_' * iskeyword(name)}").app
            app.rich_markup_mode = None
            command = typer.main.get_command(app)
            command.params = [p for p in command.params if p.name not in ("install_completion", "show_completion")]
            self._loaded[name] = command
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)

    def __setitem__(self, name: str, command: Any) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._loaded[name]


class LazyGroup(TyperGroup):
    """A group whose help lists commands without importing them."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{**settings, "commands": {}})
        self.commands = _Commands()

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list of commands."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        print(f"enthesis {__version__}")
        raise typer.Exit


@app.callback()
def enthesis(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="On an unexpected error, show the traceback.")] = False,
) -> None:
    """Living evidence synthesis: from published results, with the source of every number, to a report.

    Example: enthesis review run axspa --out axspa-report
    """


def run(arguments: list[str] | None = None) -> None:
    """Run the program and exit with its code; what went wrong is one sentence on standard error.

    Parameters
    ----------
    arguments : list of str, optional
        Default: those of the process.

    Raises
    ------
    SystemExit
        Always.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    _write_any_letter()
    try:
        app(args=arguments, prog_name="enthesis")
    except SystemExit as stop:
        if stop.code == INTERRUPTED:
            print("enthesis: interrupted.", file=sys.stderr)
        raise
    except Exception as problem:
        if "--debug" in arguments:
            raise
        sentence, code = told(problem)
        print(f"enthesis: {sentence}", file=sys.stderr)
        raise SystemExit(code) from None


def told(problem: Exception) -> tuple[str, int]:
    """The sentence and the exit code for an exception.

    Parameters
    ----------
    problem : Exception

    Returns
    -------
    tuple of (str, int)

    Examples
    --------
    >>> from enthesis.errors import UsageError
    >>> told(UsageError("there is no engine 'x'."))
    ("there is no engine 'x'.", 2)
    """
    from enthesis.errors import DataError, EnthesisError, ModelError, NotConnected, UsageError, shortened

    if isinstance(problem, EnthesisError):
        kinds = {UsageError: USAGE, ModelError: USAGE, DataError: BAD_DATA, NotConnected: BAD_DATA}
        code = next((code for kind, code in kinds.items() if isinstance(problem, kind)), ERROR)
        return _printable(str(problem)), code
    if isinstance(problem, OSError) and (problem.filename is not None or problem.errno is not None):
        where = "the output" if problem.filename is None else shortened(problem.filename, 200)
        return _printable(f"{where}: {problem.strerror or type(problem).__name__}."), ERROR
    if isinstance(problem, MemoryError):
        return "there is not enough memory for this.", ERROR
    what = f"{type(problem).__name__}: {shortened(problem, 200)}" if str(problem) else type(problem).__name__
    return _printable(
        f"an unexpected error ({what}). This is a fault in enthesis, not in your data. Run the same with "
        "`enthesis --debug ...` and report the traceback together with the command."
    ), ERROR


def _write_any_letter() -> None:
    """Letters that the terminal's encoding lacks are written as \\u escapes, which keeps JSON valid."""

    def escaped(problem: UnicodeError) -> tuple[str, int]:
        if not isinstance(problem, UnicodeEncodeError):
            raise problem
        units = problem.object[problem.start : problem.end].encode("utf-16-be", "surrogatepass")
        pairs = (units[i : i + 2] for i in range(0, len(units), 2))
        return "".join(f"\\u{int.from_bytes(pair):04x}" for pair in pairs), problem.end

    codecs.register_error("enthesis", escaped)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="enthesis")


def _printable(text: str) -> str:
    """Text from data cannot steer the terminal."""
    return "".join(mark if mark.isprintable() or mark == "\n" else " " for mark in text)
