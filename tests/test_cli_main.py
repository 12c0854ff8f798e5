"""The program itself: quick help, exit codes, and errors as sentences."""

import subprocess
import sys

import pytest

import enthesis
from enthesis.cli import main
from enthesis.errors import DataError, EnthesisError, ModelError, NotConnected, StoreError, UsageError


def called(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main.run(list(arguments))
    said = capsys.readouterr()
    return stop.value.code or 0, said.out, said.err


def test_the_version_is_printed(capsys):
    assert called(capsys, "--version") == (0, f"enthesis {enthesis.__version__}\n", "")


@pytest.mark.parametrize("arguments", [["--help"], ["-h"]])
def test_help_lists_every_command(capsys, arguments):
    code, out, _ = called(capsys, *arguments)
    assert code == 0
    assert all(f"  {name} " in out for name in main.COMMANDS)


def test_help_loads_no_library_that_computes():
    code = (
        "import sys\n"
        "from enthesis.cli.main import run\n"
        "try:\n    run(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'numpy', 'scipy', 'pandas', 'pydantic', 'sqlalchemy', 'altair', 'rich'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_importing_enthesis_loads_nothing():
    code = "import sys, enthesis; assert not {'numpy', 'scipy', 'pandas'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_mistyped_command_gets_the_nearest(capsys):
    code, out, err = called(capsys, "evidenc")
    assert (code, out) == (2, "")
    assert "Did you mean 'evidence'" in err


def test_the_first_line_of_a_command_is_the_line_in_the_list():
    for name, command in ((name, main._Commands()[name]) for name in main.COMMANDS):
        assert (command.help or "").split("\n")[0] == main.COMMANDS[name]


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (UsageError("x"), 2),
        (ModelError("x"), 2),
        (DataError("x"), 3),
        (NotConnected("x"), 3),
        (StoreError("x"), 1),
        (EnthesisError("x"), 1),
        (FileNotFoundError(2, "No such file", "t.csv"), 1),
        (MemoryError(), 1),
        (RuntimeError("x"), 1),
    ],
    ids=lambda x: type(x).__name__,
)
def test_each_kind_of_error_has_its_exit_code(capsys, monkeypatch, problem, code):
    def broken(**_):
        raise problem

    monkeypatch.setattr(main, "app", broken)
    got, out, err = called(capsys, "fit")
    assert (got, out) == (code, "")
    assert err.startswith("enthesis: ")
    assert "Traceback" not in err


def test_an_unexpected_error_says_how_to_report_it(capsys, monkeypatch):
    monkeypatch.setattr(main, "app", lambda **_: 1 / 0)
    _, _, err = called(capsys, "fit", "t.csv")
    assert "ZeroDivisionError" in err
    assert "--debug" in err
    assert err.count("\n") == 1


def test_debug_shows_the_traceback(monkeypatch):
    monkeypatch.setattr(main, "app", lambda **_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main.run(["--debug", "fit", "t.csv"])


def test_an_error_message_cannot_steer_the_terminal(capsys, monkeypatch):
    def broken(**_):
        raise DataError("is odd", value="\x1b[2J")

    monkeypatch.setattr(main, "app", broken)
    assert "\x1b" not in called(capsys, "fit")[2]


def test_a_name_among_none_is_refused_without_an_empty_list():
    from enthesis.errors import unknown_name

    assert str(unknown_name("finding", "F-0", [])) == "finding 'F-0' is not known. There is none."
